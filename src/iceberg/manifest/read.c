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

enum { STATUS, SNAPSHOT, SEQ, FILE_SEQ, DATA_FILE, N_ENTRY };
static const avro_want ENTRY[N_ENTRY] = {
    {0, "status"}, {1, "snapshot_id"}, {3, "sequence_number"}, {4, "file_sequence_number"}, {2, "data_file"},
};
enum { CONTENT, PATH, FORMAT, PARTITION, RECORDS, FILE_SIZE, COLUMN_SIZES, VALUE_COUNTS, NULL_COUNTS, NAN_COUNTS, LOWER,
       UPPER, KEY, SPLITS, EQUALITY, SORT_ORDER, N_FILE };
static const avro_want FILE_FIELDS[N_FILE] = {
    {134, "content"}, {100, "file_path"}, {101, "file_format"}, {102, "partition"}, {103, "record_count"},
    {104, "file_size_in_bytes"}, {108, "column_sizes"}, {109, "value_counts"}, {110, "null_value_counts"},
    {137, "nan_value_counts"}, {125, "lower_bounds"}, {128, "upper_bounds"}, {131, "key_metadata"},
    {132, "split_offsets"}, {135, "equality_ids"}, {140, "sort_order_id"},
};

typedef struct entry_reader {
    avro_reader r;
    mem *m;
    arena *a;
    const ib_manifest_file *mf;
    bool want_stats;
    const avro_type *file, *part;
    uint8_t *entry_slots, *file_slots, *part_slots;
    const ib_partition_spec *spec;
    type *types;                /* of the partition values; T_NULL: as the file has them */
    /* statistics of the entry being read */
    ib_column_stats *stats;
    uint32_t n_stats, cap_stats, guess;
    struct slot { uint32_t stamp, index; } *hash;
    uint32_t stamp;
    bool failed;                /* no memory */
} entry_reader;

static void bad(entry_reader *e, const char *what)
{
    if (!e->r.cur.bad)
        e->r.cur.bad = what;
}

static str keep(entry_reader *e, str s)
{
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
    struct slot *h = mem_zalloc(e->m, 2 * (size_t)cap * sizeof *h);
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
        h[at] = (struct slot){1, i};
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
    e->hash[at] = (struct slot){e->stamp, e->n_stats};
    ib_column_stats *s = &e->stats[e->n_stats++];
    *s = (ib_column_stats){.field_id = id, .size_bytes = -1, .value_count = -1, .null_count = -1, .nan_count = -1};
    e->guess = e->n_stats;
    return s;
}

static void read_stat(entry_reader *e, uint8_t slot, const avro_type *t, ib_column_stats *s)
{
    avro_cursor *c = &e->r.cur;
    switch (slot) {
    case COLUMN_SIZES: s->size_bytes = avro_get_long(c, t); break;
    case VALUE_COUNTS: s->value_count = avro_get_long(c, t); break;
    case NULL_COUNTS: s->null_count = avro_get_long(c, t); break;
    case NAN_COUNTS: s->nan_count = avro_get_long(c, t); break;
    case LOWER: s->has_lower = true; s->lower = keep(e, avro_get_bytes(c, t)); break;
    case UPPER: s->has_upper = true; s->upper = keep(e, avro_get_bytes(c, t)); break;
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

static void read_partition(entry_reader *e, ib_data_file *f)
{
    for (uint32_t i = 0; i < e->part->n; i++) {
        const avro_type *t = e->part->fields[i].type;
        uint8_t slot = e->part_slots[i];
        if (slot == AVRO_SKIP)
            avro_skip(&e->r.cur, t);
        else if (avro_value(&e->r.cur, &t))
            read_value(e, t, e->types[slot], &f->partition[slot]);
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
    f->file_format = keep(e, s);
    char *p = (char *)f->file_format.p;
    for (size_t i = 0; i < f->file_format.n; i++)
        if (p[i] >= 'a' && p[i] <= 'z')
            p[i] = (char)(p[i] - 'a' + 'A');
}

static void read_file_field(entry_reader *e, uint8_t slot, const avro_type *t, ib_data_file *f)
{
    avro_cursor *c = &e->r.cur;
    switch (slot) {
    case CONTENT: {
        int32_t v = get_i32(e, t);
        if (v < IB_DATA || v > IB_EQUALITY_DELETES)
            bad(e, "a data file whose content is none of data, position deletes and equality deletes");
        f->content = (ib_content)v;
        break;
    }
    case PATH: f->file_path = keep(e, avro_get_bytes(c, t)); break;
    case FORMAT: read_format(e, avro_get_bytes(c, t), f); break;
    case PARTITION: read_partition(e, f); break;
    case RECORDS: f->record_count = avro_get_long(c, t); break;
    case FILE_SIZE: f->file_size_bytes = avro_get_long(c, t); break;
    case KEY: f->key_metadata = keep(e, avro_get_bytes(c, t)); break;
    case SPLITS: f->split_offsets = read_longs(e, t, 8, &f->n_splits); break;
    case EQUALITY: f->equality_ids = read_longs(e, t, 4, &f->n_equality); break;
    case SORT_ORDER: f->sort_order_id = get_i32(e, t); break;
    default: read_map(e, slot, t);
    }
}

static void read_file(entry_reader *e, ib_data_file *f)
{
    *f = (ib_data_file){.spec_id = e->mf->spec_id, .record_count = -1, .file_size_bytes = -1, .sort_order_id = -1,
                        .content = e->mf->content, .n_partition = e->spec->n};
    f->partition = ARENA_ARRAY(e->a, datum, e->spec->n + 1);
    if (!f->partition) {
        e->failed = true;
        return;
    }
    for (uint32_t i = 0; i < e->spec->n; i++)
        f->partition[i] = DATUM_NULL(e->types[i]);
    for (uint32_t i = 0; i < e->file->n && !e->r.cur.bad; i++) {
        const avro_type *t = e->file->fields[i].type;
        uint8_t slot = e->file_slots[i];
        if (slot == AVRO_SKIP || (!e->want_stats && slot >= COLUMN_SIZES && slot <= UPPER))
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

static fz_status read_entry(entry_reader *e, ib_manifest_entry *x, fz_error *err)
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
        case STATUS: {
            int32_t v = get_i32(e, t);
            if (v < IB_EXISTING || v > IB_DELETED)
                bad(e, "an entry whose status is none of existing, added and deleted");
            x->status = (ib_entry_status)v;
            break;
        }
        case SNAPSHOT: x->snapshot_id = avro_get_long(c, t); break;
        case SEQ: x->sequence_number = avro_get_long(c, t); break;
        case FILE_SEQ: x->file_sequence_number = avro_get_long(c, t); break;
        default:
            has_file = true;
            read_file(e, &x->file);
        }
    }
    if (!has_file)
        bad(e, "an entry without data_file");
    inherit(e->mf, x);
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

static fz_status bind_partition(entry_reader *e, const ib_metadata *md, fz_error *err)
{
    uint32_t n = e->spec->n;
    if (n >= AVRO_SKIP)
        return error_set(err, FZ_UNSUPPORTED, "a partition spec of more than %d fields is not supported", AVRO_SKIP - 1);
    avro_want *want = ARENA_ARRAY(e->a, avro_want, n + 1);
    e->types = ARENA_ARRAY(e->a, type, n + 1);
    if (!want || !e->types)
        return error_nomem(err);
    const ib_schema *schema = ib_current_schema(md);
    for (uint32_t i = 0; i < n; i++) {
        const ib_partition_field *f = &e->spec->fields[i];
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
    if (t->kind != AVRO_RECORD)
        return error_set(err, FZ_DATA, "a manifest's schema isn't a record");
    if (!(e->entry_slots = slots_of(e, t, ENTRY, N_ENTRY)))
        return error_nomem(err);
    e->file = bound_type(t, e->entry_slots, DATA_FILE);
    if (!e->file || e->file->kind != AVRO_RECORD)
        return error_set(err, FZ_DATA, "a manifest without the field \"data_file\"");
    if (!(e->file_slots = slots_of(e, e->file, FILE_FIELDS, N_FILE)))
        return error_nomem(err);
    static const uint8_t NEEDED[] = {PATH, FORMAT, RECORDS, FILE_SIZE};
    for (size_t i = 0; i < sizeof NEEDED; i++)
        if (!bound_type(e->file, e->file_slots, NEEDED[i]))
            return error_set(err, FZ_DATA, "a manifest without the field \"%s\"", FILE_FIELDS[NEEDED[i]].name);
    e->part = bound_type(e->file, e->file_slots, PARTITION);
    if (!e->part || e->part->kind != AVRO_RECORD) {
        if (e->spec->n)
            return error_set(err, FZ_DATA, "a manifest without the field \"partition\"");
        for (uint32_t i = 0; i < e->file->n; i++)
            if (e->file_slots[i] == PARTITION)
                e->file_slots[i] = AVRO_SKIP;
        return FZ_OK;
    }
    return bind_partition(e, md, err);
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
        TRY_GOTO(read_entry(e, &all[count], err));
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

fz_status manifest_decode(const void *data, size_t size, const char *location, const ib_manifest_file *mf,
                          const ib_metadata *md, bool want_stats, mem *m, arena *a, uint32_t *n,
                          ib_manifest_entry **out, fz_error *err)
{
    entry_reader e = {.m = m, .a = a, .mf = mf, .want_stats = want_stats, .stamp = 1};
    e.spec = ib_spec_by_id(md, mf->spec_id);
    fz_status st;
    if (!e.spec)
        st = error_set(err, FZ_DATA, "a manifest of partition spec %d, which the table doesn't have", mf->spec_id);
    else if ((int64_t)size < mf->length)
        st = error_set(err, FZ_DATA, "a manifest of %zu bytes, of which its list says that it has %lld", size,
                       (long long)mf->length);
    else
        st = avro_reader_open(&e.r, data, size, location, m, err);
    if (st == FZ_OK) {
        st = bind(&e, md, err);
        if (st == FZ_OK)
            st = read_all(&e, n, out, err);
        avro_reader_close(&e.r);
    }
    if (st != FZ_OK)
        error_where(err, location);
    mem_free(m, e.stats, e.cap_stats * sizeof *e.stats);
    mem_free(m, e.hash, 2 * (size_t)e.cap_stats * sizeof *e.hash);
    return st;
}

fz_status ib_manifest_read(const ib_manifest_file *mf, const ib_metadata *md, bool want_stats, mem *m, arena *a,
                           uint32_t *n, ib_manifest_entry **out, fz_error *err)
{
    buf *data = NULL;
    char *location = arena_strndup(a, mf->path.p, mf->path.n);
    if (!location)
        return error_nomem(err);
    if (mf->key_metadata.n) {
        error_set(err, FZ_UNSUPPORTED, "encrypted manifests are not supported");
        error_where(err, location);
        return FZ_UNSUPPORTED;
    }
    TRY(io_read_all(location, m, MANIFEST_MAX_BYTES, &data, err));
    fz_status st = manifest_decode(data->data, data->size, location, mf, md, want_stats, m, a, n, out, err);
    buf_unref(data);
    return st;
}
