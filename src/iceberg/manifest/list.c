/*
 * list.c: manifest lists, read (versions 1 and 2) and written (version 2). What version 1 leaves out
 * gets the specification's defaults: content data, sequence numbers 0, counts unknown.
 */
#include "iceberg/manifest/manifest_int.h"

enum { PATH, LENGTH, SPEC, CONTENT, SEQ, MIN_SEQ, SNAPSHOT, ADDED, EXISTING, DELETED, ADDED_ROWS, EXISTING_ROWS,
       DELETED_ROWS, PARTITIONS, KEY, N_FIELDS };

static const avro_want FIELDS[N_FIELDS] = {
    {500, "manifest_path"}, {501, "manifest_length"}, {502, "partition_spec_id"}, {517, "content"},
    {515, "sequence_number"}, {516, "min_sequence_number"}, {503, "added_snapshot_id"}, {504, "added_files_count"},
    {505, "existing_files_count"}, {506, "deleted_files_count"}, {512, "added_rows_count"},
    {513, "existing_rows_count"}, {514, "deleted_rows_count"}, {507, "partitions"}, {519, "key_metadata"},
};
enum { HAS_NULL, HAS_NAN, LOWER, UPPER, N_SUMMARY };
static const avro_want SUMMARY[N_SUMMARY] = {
    {509, "contains_null"}, {518, "contains_nan"}, {510, "lower_bound"}, {511, "upper_bound"},
};

typedef struct list_reader {
    avro_reader r;
    arena *a;
    uint8_t *slots, *summary_slots;
    const avro_type *summary;   /* item record of "partitions"; NULL: not there */
    bool failed;                /* no memory */
} list_reader;

static str keep(list_reader *l, str s)
{
    char *p = arena_strndup(l->a, s.p ? s.p : "", s.n);
    if (!p)
        l->failed = true;
    return (str){p, p ? s.n : 0};
}

static void read_summary(list_reader *l, ib_field_summary *s)
{
    avro_cursor *c = &l->r.cur;
    *s = (ib_field_summary){.contains_null = true, .contains_nan = -1};
    for (uint32_t i = 0; i < l->summary->n; i++) {
        const avro_type *t = l->summary->fields[i].type;
        uint8_t slot = l->summary_slots[i];
        if (slot == AVRO_SKIP) {
            avro_skip(c, t);
            continue;
        }
        if (!avro_value(c, &t))
            continue;
        switch (slot) {
        case HAS_NULL: s->contains_null = avro_get_bool(c, t); break;
        case HAS_NAN: s->contains_nan = avro_get_bool(c, t); break;
        case LOWER: s->has_lower = true; s->lower = keep(l, avro_get_bytes(c, t)); break;
        case UPPER: s->has_upper = true; s->upper = keep(l, avro_get_bytes(c, t)); break;
        }
    }
}

static void read_partitions(list_reader *l, const avro_type *t, ib_manifest_file *f)
{
    avro_cursor *c = &l->r.cur;
    for (uint64_t n; (n = avro_items(c, t)) > 0;) {
        if (n > 4096 || f->n_partitions + n > 4096) {
            c->bad = "a manifest list's entry of more than 4096 partition fields";
            return;
        }
        ib_field_summary *all = ARENA_ARRAY(l->a, ib_field_summary, f->n_partitions + n);
        if (!all) {
            l->failed = true;
            return;
        }
        if (f->n_partitions)
            memcpy(all, f->partitions, f->n_partitions * sizeof *all);
        f->partitions = all;
        for (; n > 0; n--)
            read_summary(l, &all[f->n_partitions++]);
    }
}

static int32_t get_i32(avro_cursor *c, const avro_type *t)
{
    int64_t v = avro_get_long(c, t);
    if (v != (int32_t)v && !c->bad)
        c->bad = "a number of more than 32 bits where an int is due";
    return (int32_t)v;
}

static void read_field(list_reader *l, uint8_t slot, const avro_type *t, ib_manifest_file *f)
{
    avro_cursor *c = &l->r.cur;
    switch (slot) {
    case PATH: f->path = keep(l, avro_get_bytes(c, t)); break;
    case LENGTH: f->length = avro_get_long(c, t); break;
    case SPEC: f->spec_id = get_i32(c, t); break;
    case CONTENT: f->content = get_i32(c, t) ? IB_POSITION_DELETES : IB_DATA; break;
    case SEQ: f->sequence_number = avro_get_long(c, t); break;
    case MIN_SEQ: f->min_sequence_number = avro_get_long(c, t); break;
    case SNAPSHOT: f->added_snapshot_id = avro_get_long(c, t); break;
    case ADDED: f->added_files = get_i32(c, t); break;
    case EXISTING: f->existing_files = get_i32(c, t); break;
    case DELETED: f->deleted_files = get_i32(c, t); break;
    case ADDED_ROWS: f->added_rows = avro_get_long(c, t); break;
    case EXISTING_ROWS: f->existing_rows = avro_get_long(c, t); break;
    case DELETED_ROWS: f->deleted_rows = avro_get_long(c, t); break;
    case PARTITIONS: read_partitions(l, t, f); break;
    case KEY: f->key_metadata = keep(l, avro_get_bytes(c, t)); break;
    default: avro_skip(c, t);
    }
}

static fz_status read_entry(list_reader *l, ib_manifest_file *f, fz_error *err)
{
    *f = (ib_manifest_file){.added_snapshot_id = -1, .added_files = -1, .existing_files = -1, .deleted_files = -1,
                            .added_rows = -1, .existing_rows = -1, .deleted_rows = -1};
    for (uint32_t i = 0; i < l->r.schema->n; i++) {
        const avro_type *t = l->r.schema->fields[i].type;
        if (l->slots[i] == AVRO_SKIP)
            avro_skip(&l->r.cur, t);
        else if (avro_value(&l->r.cur, &t))
            read_field(l, l->slots[i], t, f);
    }
    if (l->failed)
        return error_nomem(err);
    if (!l->r.cur.bad && (f->path.n == 0 || f->length < 0 || memchr(f->path.p, 0, f->path.n)))
        l->r.cur.bad = "an entry without a usable manifest_path or manifest_length";
    return FZ_OK;
}

static fz_status bind(list_reader *l, fz_error *err)
{
    const avro_type *t = l->r.schema;
    if (t->kind != AVRO_RECORD)
        return error_set(err, FZ_DATA, "a manifest list's schema isn't a record");
    l->slots = arena_alloc(l->a, t->n + 1);
    if (!l->slots)
        return error_nomem(err);
    avro_bind(t, FIELDS, N_FIELDS, l->slots);
    unsigned found = 0;
    for (uint32_t i = 0; i < t->n; i++) {
        if (l->slots[i] != AVRO_SKIP)
            found |= 1u << l->slots[i];
        if (l->slots[i] != PARTITIONS)
            continue;
        const avro_type *list = avro_nonnull(t->fields[i].type);
        l->summary = list->kind == AVRO_ARRAY ? avro_nonnull(list->fields[0].type) : NULL;
        if (!l->summary || l->summary->kind != AVRO_RECORD || l->summary != list->fields[0].type)
            return error_set(err, FZ_DATA, "a manifest list's \"partitions\" isn't a list of records");
        l->summary_slots = arena_alloc(l->a, l->summary->n + 1);
        if (!l->summary_slots)
            return error_nomem(err);
        avro_bind(l->summary, SUMMARY, N_SUMMARY, l->summary_slots);
    }
    for (int i = PATH; i <= SPEC; i++)
        if (!(found >> i & 1))
            return error_set(err, FZ_DATA, "a manifest list without the field \"%s\"", FIELDS[i].name);
    return FZ_OK;
}

static fz_status read_all(list_reader *l, mem *m, uint32_t *n, ib_manifest_file **out, fz_error *err)
{
    size_t cap = 0, count = 0;
    ib_manifest_file *files = NULL;
    fz_status st;
    for (bool more;;) {
        TRY_GOTO(avro_next(&l->r, &more, err));
        if (!more)
            break;
        if (count == cap) {
            size_t to = cap ? cap * 2 : 64;
            void *p = mem_resize(m, files, cap * sizeof *files, to * sizeof *files);
            if (!p) {
                st = error_nomem(err);
                goto out;
            }
            files = p;
            cap = to;
        }
        TRY_GOTO(read_entry(l, &files[count], err));
        count++;
    }
    *n = (uint32_t)count;
    *out = ARENA_ARRAY(l->a, ib_manifest_file, count + 1);
    if (!*out)
        st = error_nomem(err);
    else if (count)
        memcpy(*out, files, count * sizeof *files);
out:
    mem_free(m, files, cap * sizeof *files);
    return st;
}

fz_status manifest_list_decode(const void *data, size_t size, const char *location, mem *m, arena *a, uint32_t *n,
                               ib_manifest_file **out, fz_error *err)
{
    list_reader l = {.a = a};
    TRY(avro_reader_open(&l.r, data, size, location, m, err));
    fz_status st = bind(&l, err);
    if (st == FZ_OK)
        st = read_all(&l, m, n, out, err);
    avro_reader_close(&l.r);
    if (st != FZ_OK)
        error_where(err, location);
    return st;
}

fz_status ib_manifest_list_read(file_io *io, const char *location, mem *m, arena *a, uint32_t *n, ib_manifest_file **out,
                                fz_error *err)
{
    buf *data = NULL;
    TRY(io_read_all(io, location, m, MANIFEST_MAX_BYTES, &data, err));
    fz_status st = manifest_list_decode(data->data, data->size, location, m, a, n, out, err);
    buf_unref(data);
    return st;
}

/* ---- writing ---- */

static void put_opt_bytes(sbuf *b, bool has, str s)
{
    avro_put_long(b, has);
    if (has)
        avro_put_bytes(b, s);
}

static void put_entry(sbuf *b, const ib_manifest_file *f, int64_t sequence_number)
{
    avro_put_bytes(b, f->path);
    avro_put_long(b, f->length);
    avro_put_long(b, f->spec_id);
    avro_put_long(b, f->content == IB_DATA ? 0 : 1);
    avro_put_long(b, f->sequence_number < 0 ? sequence_number : f->sequence_number);
    avro_put_long(b, f->min_sequence_number < 0 ? sequence_number : f->min_sequence_number);
    avro_put_long(b, f->added_snapshot_id);
    avro_put_long(b, f->added_files);
    avro_put_long(b, f->existing_files);
    avro_put_long(b, f->deleted_files);
    avro_put_long(b, f->added_rows);
    avro_put_long(b, f->existing_rows);
    avro_put_long(b, f->deleted_rows);
    avro_put_long(b, 1);
    if (f->n_partitions)
        avro_put_long(b, f->n_partitions);
    for (uint32_t i = 0; i < f->n_partitions; i++) {
        const ib_field_summary *s = &f->partitions[i];
        avro_put_bool(b, s->contains_null);
        avro_put_long(b, s->contains_nan >= 0);
        if (s->contains_nan >= 0)
            avro_put_bool(b, s->contains_nan);
        put_opt_bytes(b, s->has_lower, s->lower);
        put_opt_bytes(b, s->has_upper, s->upper);
    }
    avro_put_long(b, 0);
    put_opt_bytes(b, f->key_metadata.n > 0, f->key_metadata);
}

static fz_status write_entries(avro_writer *w, int64_t snapshot_id, int64_t sequence_number, uint32_t n,
                               const ib_manifest_file *files, fz_error *err)
{
    for (uint32_t i = 0; i < n; i++) {
        const ib_manifest_file *f = &files[i];
        if (f->sequence_number < 0 && f->added_snapshot_id != snapshot_id)
            return error_set(err, FZ_INTERNAL, "a manifest of another snapshot has no sequence number");
        if (f->added_files < 0 || f->existing_files < 0 || f->deleted_files < 0 || f->added_rows < 0 ||
            f->existing_rows < 0 || f->deleted_rows < 0)
            return error_set(err, FZ_UNSUPPORTED,
                             "manifests without file counts (of format version 1) can't be put in a version 2 list");
        put_entry(&w->body, f, sequence_number);
        TRY(avro_writer_record(w, err));
    }
    return avro_writer_finish(w, err);
}

fz_status ib_manifest_list_write(file_io *io, const char *location, mem *m, int64_t snapshot_id, int64_t parent_id,
                                 int64_t sequence_number, uint32_t n, const ib_manifest_file *files, fz_error *err)
{
    avro_writer w;
    sbuf text; /* the schema, then the three numbers */
    sbuf_init(&text, m);
    manifest_list_schema(&text);
    size_t schema_n = text.n;
    sbuf_i64(&text, snapshot_id);
    size_t parent_at = text.n;
    if (parent_id >= 0)
        sbuf_i64(&text, parent_id);
    else
        sbuf_addz(&text, "null");
    size_t seq_at = text.n;
    sbuf_i64(&text, sequence_number);
    if (text.failed) {
        sbuf_free(&text);
        return error_nomem(err);
    }
    const avro_kv meta[] = {
        {STR("snapshot-id"), {text.p + schema_n, parent_at - schema_n}},
        {STR("parent-snapshot-id"), {text.p + parent_at, seq_at - parent_at}},
        {STR("sequence-number"), {text.p + seq_at, text.n - seq_at}},
        {STR("format-version"), STR("2")},
    };
    fz_status st = avro_writer_open(&w, (str){text.p, schema_n}, sizeof meta / sizeof *meta, meta, CODEC_DEFLATE, m,
                                    err);
    if (st == FZ_OK) {
        st = write_entries(&w, snapshot_id, sequence_number, n, files, err);
        if (st == FZ_OK)
            st = io_write_all(io, location, m, w.out.p, w.out.n, err);
        avro_writer_free(&w);
    }
    sbuf_free(&text);
    return st;
}
