/*
 * read.c: manifests, read (versions 1 and 2). The writer's schema is bound to the fields we know, by field
 * id; each entry is then decoded in the writer's order. Statistics arrive as up to six maps by
 * column id; they are gathered in `stats`, found again through a guess (maps name columns in the same
 * order) or a hash, and copied sorted by id.
 *
 * Partition values are converted to the types the table's current schema gives them; for a
 * source column that no longer exists they keep the type the file says.
 */
#include "iceberg/manifest/manifest_int.h"
#include "iceberg/transform/transform.h"

#include <stdlib.h>

#define MAX_COLUMNS 100000 /* with statistics, in one data file */

static const avro_want ENTRY[F_N_ENTRY] = {
    {0, "status"}, {1, "snapshot_id"}, {3, "sequence_number"}, {4, "file_sequence_number"}, {2, "data_file"},
};
static const avro_want FILE_FIELDS[F_N_FILE] = {
    {134, "content"}, {100, "file_path"}, {101, "file_format"}, {102, "partition"}, {103, "record_count"},
    {104, "file_size_in_bytes"}, {108, "column_sizes"}, {109, "value_counts"}, {110, "null_value_counts"},
    {137, "nan_value_counts"}, {125, "lower_bounds"}, {128, "upper_bounds"}, {131, "key_metadata"},
    {132, "split_offsets"}, {135, "equality_ids"}, {140, "sort_order_id"}, {143, "referenced_data_file"},
};

static void bad(entry_reader *e, const char *what)
{
    if (!e->r.cur.bad)
        e->r.cur.bad = what;
}

static str keep(entry_reader *e, str s)
{
    if (e->borrow)
        return s;
    char *p = arena_strndup(e->a, s.p ? s.p : "", s.n);
    if (!p)
        e->failed = true;
    return (str){p, p ? s.n : 0};
}

static int32_t get_i32(entry_reader *e, const avro_type *t)
{
    int64_t v = avro_get_long(&e->r.cur, t);
    if (v != (int32_t)v)
        bad(e, "a number of more than 32 bits where an int is due");
    return (int32_t)v;
}

/* ---- statistics ---- */

static uint32_t hash_id(int32_t id, uint32_t cap)
{
    return ((uint32_t)id * 0x9e3779b1u >> 7) & (2 * cap - 1);
}

/* Twice the room, the hash (2 slots for each) made again. */
static bool grow_stats(entry_reader *e)
{
    uint32_t cap = e->cap_stats ? e->cap_stats * 2 : 64;
    struct entry_slot *h = mem_zalloc(e->m, 2 * (size_t)cap * sizeof *h);
    if (!h)
        return false;
    void *p = mem_resize(e->m, e->stats, e->cap_stats * sizeof *e->stats, cap * sizeof *e->stats);
    if (!p) {
        mem_free(e->m, h, 2 * (size_t)cap * sizeof *h);
        return false;
    }
    e->stats = p;
    mem_free(e->m, e->hash, 2 * (size_t)e->cap_stats * sizeof *h);
    e->hash = h;
    e->stamp = 1;
    for (uint32_t i = 0; i < e->n_stats; i++) {
        uint32_t at = hash_id(e->stats[i].field_id, cap);
        while (h[at].stamp)
            at = (at + 1) & (2 * cap - 1);
        h[at] = (struct entry_slot){1, i};
    }
    e->cap_stats = cap;
    return true;
}

/* The statistics of a column in this entry, made where they are new. NULL: bad or no memory. */
static ib_column_stats *stat_of(entry_reader *e, int32_t id)
{
    if (e->guess < e->n_stats && e->stats[e->guess].field_id == id)
        return &e->stats[e->guess++];
    if (e->n_stats >= MAX_COLUMNS) {
        bad(e, "statistics of more than 100000 columns");
        return NULL;
    }
    if (e->n_stats == e->cap_stats && !grow_stats(e)) {
        e->failed = true;
        return NULL;
    }
    uint32_t at = hash_id(id, e->cap_stats);
    for (; e->hash[at].stamp == e->stamp; at = (at + 1) & (2 * e->cap_stats - 1))
        if (e->stats[e->hash[at].index].field_id == id) {
            e->guess = e->hash[at].index + 1;
            return &e->stats[e->hash[at].index];
        }
    e->hash[at] = (struct entry_slot){e->stamp, e->n_stats};
    ib_column_stats *s = &e->stats[e->n_stats++];
    *s = (ib_column_stats){.field_id = id, .size_bytes = -1, .value_count = -1, .null_count = -1, .nan_count = -1};
    e->guess = e->n_stats;
    return s;
}

static void read_stat(entry_reader *e, uint8_t slot, const avro_type *t, ib_column_stats *s)
{
    avro_cursor *c = &e->r.cur;
    switch (slot) {
    case F_COLUMN_SIZES: s->size_bytes = avro_get_long(c, t); break;
    case F_VALUE_COUNTS: s->value_count = avro_get_long(c, t); break;
    case F_NULL_COUNTS: s->null_count = avro_get_long(c, t); break;
    case F_NAN_COUNTS: s->nan_count = avro_get_long(c, t); break;
    case F_LOWER: s->has_lower = true; s->lower = keep(e, avro_get_bytes(c, t)); break;
    case F_UPPER: s->has_upper = true; s->upper = keep(e, avro_get_bytes(c, t)); break;
    }
}

/* A map with integer keys: an array of records of a key and a value. */
static void read_map(entry_reader *e, uint8_t slot, const avro_type *t)
{
    avro_cursor *c = &e->r.cur;
    const avro_type *item = t->kind == AVRO_ARRAY ? t->fields[0].type : NULL;
    if (!item || item->kind != AVRO_RECORD || item->n != 2 || !str_eqz(item->fields[0].name, "key") ||
        !str_eqz(item->fields[1].name, "value")) {
        bad(e, "statistics that aren't a map from column ids");
        return;
    }
    e->guess = 0;
    for (uint64_t n; (n = avro_items(c, t)) > 0;)
        for (; n > 0 && !c->bad; n--) {
            int32_t id = get_i32(e, item->fields[0].type);
            const avro_type *value = item->fields[1].type;
            if (!avro_value(c, &value))
                continue;
            ib_column_stats *s = stat_of(e, id);
            if (!s)
                return;
            read_stat(e, slot, value, s);
        }
}

static int by_field(const void *x, const void *y)
{
    const ib_column_stats *a = x, *b = y;
    return a->field_id < b->field_id ? -1 : a->field_id > b->field_id;
}

static void keep_stats(entry_reader *e, ib_data_file *f)
{
    if (e->n_stats == 0)
        return;
    f->stats = arena_alloc(e->a, e->n_stats * sizeof *f->stats);
    if (!f->stats) {
        e->failed = true;
        return;
    }
    f->n_stats = e->n_stats;
    memcpy(f->stats, e->stats, e->n_stats * sizeof *f->stats);
    for (uint32_t i = 1; i < f->n_stats; i++)
        if (f->stats[i - 1].field_id > f->stats[i].field_id) {
            qsort(f->stats, f->n_stats, sizeof *f->stats, by_field);
            break;
        }
    e->n_stats = 0;
    if (++e->stamp == 0) {
        memset(e->hash, 0, 2 * (size_t)e->cap_stats * sizeof *e->hash);
        e->stamp = 1;
    }
}

/* ---- partition values ---- */

/* The type a value has in the file. */
static type file_type(const avro_type *t)
{
    switch (t->kind) {
    case AVRO_BOOL: return TYPE(T_BOOL);
    case AVRO_INT: return TYPE(t->logical == AVRO_DATE ? T_DATE : T_INT32);
    case AVRO_LONG:
        return TYPE(t->logical == AVRO_TIME_MICROS        ? T_TIME
                    : t->logical != AVRO_TIMESTAMP_MICROS ? T_INT64
                    : t->utc                              ? T_TIMESTAMPTZ
                                                          : T_TIMESTAMP);
    case AVRO_FLOAT: return TYPE(T_FLOAT32);
    case AVRO_DOUBLE: return TYPE(T_FLOAT64);
    case AVRO_STRING: return TYPE(T_STRING);
    case AVRO_BYTES:
    case AVRO_FIXED:
        if (t->logical == AVRO_DECIMAL)
            return TYPE_DECIMAL((uint8_t)t->precision, (uint8_t)t->scale);
        if (t->kind == AVRO_BYTES)
            return TYPE(T_BINARY);
        return t->size == 16 && t->logical == AVRO_UUID ? TYPE(T_UUID) : (type){.id = T_FIXED, .width = t->size};
    default: return TYPE(T_NULL);
    }
}

/* Sign-extended big-endian bytes of any length, as fixed and bytes decimals are stored. */
static void get_decimal(entry_reader *e, str s, datum *d)
{
    while (s.n > 1 && ((s.p[0] == 0 && s.p[1] >= 0) || (s.p[0] == -1 && s.p[1] < 0)))
        s.p++, s.n--;
    if (ib_bound_decode(d->t, s, d, NULL) != FZ_OK)
        bad(e, "a decimal partition value that doesn't fit its type");
}

static void read_value(entry_reader *e, const avro_type *t, type want, datum *d)
{
    avro_cursor *c = &e->r.cur;
    type have = file_type(t);
    if (want.id == T_NULL)
        want = have;
    *d = DATUM_NULL(want);
    if (have.id == T_NULL) {
        bad(e, "a partition value of a type that partitions can't have");
        return;
    }
    d->null = false;
    phys from = type_phys(have), to = type_phys(want);
    if (have.id == T_DECIMAL && want.id == T_DECIMAL && have.scale == want.scale)
        get_decimal(e, avro_get_bytes(c, t), d);
    else if (have.id == T_DECIMAL || want.id == T_DECIMAL)
        bad(e, "a partition value whose type doesn't fit the table's schema");
    else if (to == PHYS_U8 && from == PHYS_U8)
        d->b = avro_get_bool(c, t);
    else if (to == PHYS_I32 && (from == PHYS_I32 || from == PHYS_I64))
        d->i32 = get_i32(e, t);
    else if (to == PHYS_I64 && (from == PHYS_I32 || from == PHYS_I64))
        d->i64 = avro_get_long(c, t);
    else if (to == PHYS_F32 && from == PHYS_F32)
        d->f32 = (float)avro_get_double(c, t);
    else if (to == PHYS_F64 && (from == PHYS_F32 || from == PHYS_F64))
        d->f64 = avro_get_double(c, t);
    else if (to == PHYS_STR && from == PHYS_STR) {
        d->s = keep(e, avro_get_bytes(c, t));
        if ((want.id == T_UUID && d->s.n != 16) || (want.id == T_FIXED && d->s.n != want.width) ||
            (want.id == T_STRING && utf8_valid_prefix(d->s) != d->s.n))
            bad(e, "a partition value that doesn't fit its type");
    } else
        bad(e, "a partition value whose type doesn't fit the table's schema");
}

void entry_partition(entry_reader *e, datum *values)
{
    for (uint32_t i = 0; i < e->n_spec; i++)
        values[i] = DATUM_NULL(e->types[i]);
    if (!e->part)
        return;
    for (uint32_t i = 0; i < e->part->n; i++) {
        const avro_type *t = e->part->fields[i].type;
        uint8_t slot = e->part_slots[i];
        if (slot == AVRO_SKIP)
            avro_skip(&e->r.cur, t);
        else if (avro_value(&e->r.cur, &t))
            read_value(e, t, e->types[slot], &values[slot]);
    }
}

/* ---- data files and entries ---- */

static void *read_longs(entry_reader *e, const avro_type *t, size_t size, uint32_t *n)
{
    avro_cursor *c = &e->r.cur;
    const avro_type *item = t->kind == AVRO_ARRAY ? t->fields[0].type : NULL;
    char *all = NULL;
    size_t count = 0, cap = 0;
    if (!item || (item->kind != AVRO_INT && item->kind != AVRO_LONG)) {
        bad(e, "a list that isn't one of numbers");
        return NULL;
    }
    for (uint64_t k; (k = avro_items(c, t)) > 0;) {
        if (count + k > cap) {
            cap = count + k < 2 * cap ? 2 * cap : count + k;
            char *more = arena_alloc(e->a, cap * size);
            if (!more) {
                e->failed = true;
                return NULL;
            }
            if (count)
                memcpy(more, all, count * size);
            all = more;
        }
        for (; k > 0; k--, count++) {
            if (size == 8)
                ((int64_t *)(void *)all)[count] = avro_get_long(c, item);
            else
                ((int32_t *)(void *)all)[count] = get_i32(e, item);
        }
    }
    *n = (uint32_t)count;
    return all;
}

static void read_format(entry_reader *e, str s, ib_data_file *f)
{
    static const char *const names[] = {"PARQUET", "AVRO", "ORC", "PUFFIN"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (str_ieq(s, str_of(names[i]))) {
            f->file_format = str_of(names[i]);
            return;
        }
    char *p = arena_strndup(e->a, s.p ? s.p : "", s.n);
    if (!p)
        e->failed = true;
    f->file_format = (str){p, p ? s.n : 0};
    for (size_t i = 0; i < f->file_format.n; i++)
        if (p[i] >= 'a' && p[i] <= 'z')
            p[i] = (char)(p[i] - 'a' + 'A');
}

static void read_file_field(entry_reader *e, uint8_t slot, const avro_type *t, ib_data_file *f)
{
    avro_cursor *c = &e->r.cur;
    switch (slot) {
    case F_CONTENT: {
        int32_t v = get_i32(e, t);
        if (v < IB_DATA || v > IB_EQUALITY_DELETES)
            bad(e, "a data file whose content is none of data, position deletes and equality deletes");
        f->content = (ib_content)v;
        break;
    }
    case F_PATH: f->file_path = keep(e, avro_get_bytes(c, t)); break;
    case F_FORMAT: read_format(e, avro_get_bytes(c, t), f); break;
    case F_PARTITION: entry_partition(e, f->partition); break;
    case F_RECORDS: f->record_count = avro_get_long(c, t); break;
    case F_FILE_SIZE: f->file_size_bytes = avro_get_long(c, t); break;
    case F_KEY: f->key_metadata = keep(e, avro_get_bytes(c, t)); break;
    case F_SPLITS: f->split_offsets = read_longs(e, t, 8, &f->n_splits); break;
    case F_EQUALITY: f->equality_ids = read_longs(e, t, 4, &f->n_equality); break;
    case F_SORT_ORDER: f->sort_order_id = get_i32(e, t); break;
    case F_REFERENCED: f->referenced_data_file = keep(e, avro_get_bytes(c, t)); break;
    default:
        f->has_maps |= (uint8_t)(1u << (slot - F_COLUMN_SIZES));
        read_map(e, slot, t);
    }
}

static void read_file(entry_reader *e, ib_data_file *f)
{
    *f = (ib_data_file){.spec_id = e->mf.spec_id, .record_count = -1, .file_size_bytes = -1, .sort_order_id = -1,
                        .content = e->mf.content, .n_partition = e->n_spec};
    f->partition = ARENA_ARRAY(e->a, datum, e->n_spec + 1);
    if (!f->partition) {
        e->failed = true;
        return;
    }
    for (uint32_t i = 0; i < e->n_spec; i++)
        f->partition[i] = DATUM_NULL(e->types[i]);
    for (uint32_t i = 0; i < e->file->n && !e->r.cur.bad; i++) {
        const avro_type *t = e->file->fields[i].type;
        uint8_t slot = e->file_slots[i];
        if (slot == AVRO_SKIP || (!e->want_stats && slot >= F_COLUMN_SIZES && slot <= F_UPPER))
            avro_skip(&e->r.cur, t);
        else if (avro_value(&e->r.cur, &t))
            read_file_field(e, slot, t, f);
    }
    keep_stats(e, f);
    if (f->file_path.n == 0 || f->record_count < 0 || f->file_size_bytes < 0 ||
        memchr(f->file_path.p, 0, f->file_path.n))
        bad(e, "a data file without a usable file_path, record_count or file_size_in_bytes");
}

/* Spec, "Sequence Number Inheritance" and "Snapshot ID Inheritance". */
static void inherit(const ib_manifest_file *mf, ib_manifest_entry *x)
{
    if (x->snapshot_id < 0)
        x->snapshot_id = mf->added_snapshot_id;
    if (x->sequence_number < 0)
        x->sequence_number = mf->sequence_number;
    if (x->file_sequence_number < 0)
        x->file_sequence_number = mf->sequence_number;
}

fz_status entry_read(entry_reader *e, ib_manifest_entry *x, fz_error *err)
{
    avro_cursor *c = &e->r.cur;
    bool has_file = false;
    *x = (ib_manifest_entry){.snapshot_id = -1, .sequence_number = -1, .file_sequence_number = -1};
    for (uint32_t i = 0; i < e->r.schema->n && !c->bad; i++) {
        const avro_type *t = e->r.schema->fields[i].type;
        uint8_t slot = e->entry_slots[i];
        if (slot == AVRO_SKIP) {
            avro_skip(c, t);
            continue;
        }
        if (!avro_value(c, &t))
            continue;
        switch (slot) {
        case F_STATUS: {
            int32_t v = get_i32(e, t);
            if (v < IB_EXISTING || v > IB_DELETED)
                bad(e, "an entry whose status is none of existing, added and deleted");
            x->status = (ib_entry_status)v;
            break;
        }
        case F_SNAPSHOT: x->snapshot_id = avro_get_long(c, t); break;
        case F_SEQ: x->sequence_number = avro_get_long(c, t); break;
        case F_FILE_SEQ: x->file_sequence_number = avro_get_long(c, t); break;
        default:
            has_file = true;
            read_file(e, &x->file);
        }
    }
    if (!has_file)
        bad(e, "an entry without data_file");
    inherit(&e->mf, x);
    return e->failed ? error_nomem(err) : FZ_OK;
}

/* ---- binding ---- */

static uint8_t *slots_of(entry_reader *e, const avro_type *t, const avro_want *want, uint32_t n)
{
    uint8_t *slots = arena_alloc(e->a, t->n + 1);
    if (slots)
        avro_bind(t, want, n, slots);
    return slots;
}

static const avro_type *bound_type(const avro_type *t, const uint8_t *slots, uint8_t slot)
{
    for (uint32_t i = 0; i < t->n; i++)
        if (slots[i] == slot)
            return avro_nonnull(t->fields[i].type);
    return NULL;
}

static fz_status bind_partition(entry_reader *e, const ib_metadata *md, const ib_partition_spec *spec, fz_error *err)
{
    uint32_t n = spec->n;
    if (n >= AVRO_SKIP)
        return error_set(err, FZ_UNSUPPORTED, "a partition spec of more than %d fields is not supported", AVRO_SKIP - 1);
    avro_want *want = ARENA_ARRAY(e->a, avro_want, n + 1);
    if (!want)
        return error_nomem(err);
    const ib_schema *schema = ib_current_schema(md);
    for (uint32_t i = 0; i < n; i++) {
        const ib_partition_field *f = &spec->fields[i];
        char *name = arena_strndup(e->a, f->name.p, f->name.n);
        if (!name)
            return error_nomem(err);
        want[i] = (avro_want){f->field_id, name};
        const type_field *source = schema ? ib_field_by_id(schema, f->source_id) : NULL;
        if (!source || ib_transform_result(&f->transform, source->t, &e->types[i], NULL) != FZ_OK)
            e->types[i] = TYPE(T_NULL);
    }
    e->part_slots = slots_of(e, e->part, want, n);
    return e->part_slots ? FZ_OK : error_nomem(err);
}

static fz_status bind(entry_reader *e, const ib_metadata *md, fz_error *err)
{
    const avro_type *t = e->r.schema;
    const ib_partition_spec *spec = ib_spec_by_id(md, e->mf.spec_id);
    if (!spec)
        return error_set(err, FZ_DATA, "a manifest of partition spec %d, which the table doesn't have", e->mf.spec_id);
    e->n_spec = spec->n;
    if (!(e->types = ARENA_ARRAY(e->a, type, spec->n + 1)))
        return error_nomem(err);
    if (t->kind != AVRO_RECORD)
        return error_set(err, FZ_DATA, "a manifest's schema isn't a record");
    if (!(e->entry_slots = slots_of(e, t, ENTRY, F_N_ENTRY)))
        return error_nomem(err);
    e->file = bound_type(t, e->entry_slots, F_DATA_FILE);
    if (!e->file || e->file->kind != AVRO_RECORD)
        return error_set(err, FZ_DATA, "a manifest without the field \"data_file\"");
    if (!(e->file_slots = slots_of(e, e->file, FILE_FIELDS, F_N_FILE)))
        return error_nomem(err);
    static const uint8_t NEEDED[] = {F_PATH, F_FORMAT, F_RECORDS, F_FILE_SIZE};
    for (size_t i = 0; i < sizeof NEEDED; i++)
        if (!bound_type(e->file, e->file_slots, NEEDED[i]))
            return error_set(err, FZ_DATA, "a manifest without the field \"%s\"", FILE_FIELDS[NEEDED[i]].name);
    e->part = bound_type(e->file, e->file_slots, F_PARTITION);
    if (!e->part || e->part->kind != AVRO_RECORD) {
        e->part = NULL;
        if (spec->n)
            return error_set(err, FZ_DATA, "a manifest without the field \"partition\"");
        for (uint32_t i = 0; i < e->file->n; i++)
            if (e->file_slots[i] == F_PARTITION)
                e->file_slots[i] = AVRO_SKIP;
        return FZ_OK;
    }
    return bind_partition(e, md, spec, err);
}

static fz_status read_all(entry_reader *e, uint32_t *n, ib_manifest_entry **out, fz_error *err)
{
    size_t cap = 0, count = 0;
    ib_manifest_entry *all = NULL;
    fz_status st;
    for (bool more;;) {
        TRY_GOTO(avro_next(&e->r, &more, err));
        if (!more)
            break;
        if (count == cap) {
            size_t to = cap ? cap * 2 : 16;
            void *p = mem_resize(e->m, all, cap * sizeof *all, to * sizeof *all);
            if (!p) {
                st = error_nomem(err);
                goto out;
            }
            all = p;
            cap = to;
        }
        TRY_GOTO(entry_read(e, &all[count], err));
        count++;
    }
    *n = (uint32_t)count;
    *out = arena_alloc(e->a, (count + 1) * sizeof *all);
    if (!*out)
        st = error_nomem(err);
    else if (count)
        memcpy(*out, all, count * sizeof *all);
out:
    mem_free(e->m, all, cap * sizeof *all);
    return st;
}

fz_status entry_reader_open(entry_reader *e, const void *data, size_t size, const char *location, const ib_manifest_file *mf,
                            const ib_metadata *md, mem *m, arena *a, fz_error *err)
{
    *e = (entry_reader){.m = m, .a = a, .stamp = 1, .mf = {.spec_id = mf->spec_id, .content = mf->content,
                        .sequence_number = mf->sequence_number, .added_snapshot_id = mf->added_snapshot_id}};
    fz_status st;
    if ((int64_t)size < mf->length)
        st = error_set(err, FZ_DATA, "a manifest of %zu bytes, of which its list says that it has %lld", size,
                       (long long)mf->length);
    else
        st = avro_reader_open(&e->r, data, size, location, m, err);
    if (st == FZ_OK && (st = bind(e, md, err)) != FZ_OK)
        avro_reader_close(&e->r);
    if (st != FZ_OK)
        error_where(err, location);
    return st;
}

void entry_reader_scratch_free(entry_reader *e)
{
    mem_free(e->m, e->stats, e->cap_stats * sizeof *e->stats);
    mem_free(e->m, e->hash, 2 * (size_t)e->cap_stats * sizeof *e->hash);
    e->stats = NULL;
    e->hash = NULL;
    e->cap_stats = 0;
}

fz_status manifest_decode(const void *data, size_t size, const char *location, const ib_manifest_file *mf,
                          const ib_metadata *md, bool want_stats, mem *m, arena *a, uint32_t *n,
                          ib_manifest_entry **out, fz_error *err)
{
    entry_reader e;
    TRY(entry_reader_open(&e, data, size, location, mf, md, m, a, err));
    e.want_stats = want_stats;
    fz_status st = read_all(&e, n, out, err);
    avro_reader_close(&e.r);
    entry_reader_scratch_free(&e);
    if (st != FZ_OK)
        error_where(err, location);
    return st;
}

fz_status manifest_load(file_io *io, const ib_manifest_file *mf, arena *a, mem *m, char **location, buf **data, fz_error *err)
{
    if (!(*location = arena_strndup(a, mf->path.p, mf->path.n)))
        return error_nomem(err);
    if (mf->key_metadata.n) {
        error_set(err, FZ_UNSUPPORTED, "encrypted manifests are not supported");
        error_where(err, *location);
        return FZ_UNSUPPORTED;
    }
    return io_read_all(io, *location, m, MANIFEST_MAX_BYTES, data, err);
}

fz_status ib_manifest_read(const ib_manifest_file *mf, const ib_metadata *md, bool want_stats, mem *m, arena *a,
                           uint32_t *n, ib_manifest_entry **out, fz_error *err)
{
    buf *data = NULL;
    char *location;
    TRY(manifest_load(md->io, mf, a, m, &location, &data, err));
    fz_status st = manifest_decode(data->data, data->size, location, mf, md, want_stats, m, a, n, out, err);
    buf_unref(data);
    return st;
}
