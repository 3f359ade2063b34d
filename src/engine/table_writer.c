/*
 * table_writer.c: see table_writer.h.
 *
 * An unpartitioned table is the case of one partition without values. For each batch the partition values of its rows
 * are computed as vectors; rows are grouped by them (runs of one partition, the usual case, cost one comparison a row), and
 * each group is appended to its partition's writer as a selection of the batch.
 */
#include "engine/table_writer.h"

#include "base/hash.h"
#include "base/str.h"
#include "exec/spill.h"
#include "format/avro/avro_write.h"
#include "format/parquet/parquet.h"
#include "iceberg/manifest/metrics.h"
#include "iceberg/manifest/write_options.h"
#include "iceberg/transform/transform.h"
#include "iceberg/update/layout.h"

#define BUCKET_BITS 6
#define BUCKETS     (1u << BUCKET_BITS)
#define SETTLE_BYTES (4 << 20)
#define SETTLE_FILES 8

typedef struct part {
    uint64_t hash;
    datum *values;       /* of the partition; in the writer's arena */
    char *path;          /* of the file being written, or NULL */
    pq_writer *w;        /* the open file: this one, … */
    avro_data *av;       /* … or, in tables of Avro files, this one; both NULL: none is open */
} part;

struct table_writer {
    sink base;
    const ib_metadata *md;
    file_io *io;                 /* over the table's: makes its files durable together */
    const ib_schema *schema;
    const ib_partition_spec *spec;
    const row_schema *rows;
    struct source_path { uint32_t n, at[TYPE_DEPTH_MAX]; } *source; /* of each partition field: a column, then the fields of structs; n 0: none any more */
    job *j;
    mem *m;
    const char *temp_dir;
    bool avro;                   /* write.format.default */
    avro_data_options avro_o;
    pq_write_options o;
    int64_t target_size;
    int32_t sort_order_id;
    uint32_t n_sort_keys;        /* of the table's order that a file can name */
    struct pq_kv kv[1];
    sbuf schema_json;
    char uuid[UUID_TEXT];
    uint32_t n_named;            /* files named so far */

    arena a;                     /* partitions, data files */
    arena scratch;               /* of one batch */
    part *parts;                 /* open ones */
    uint32_t n_parts;
    unsigned depth;              /* of buckets: which bits of the hash choose */
    spill_file *bucket[BUCKETS];

    ib_data_file *files;
    uint32_t n_files, cap_files;
    int64_t n_rows;
    bool committed;
};

/* ---- files ---- */

static fz_status add_file(table_writer *w, part *p, const pq_write_result *res, fz_error *err)
{
    if (w->n_files == w->cap_files) {
        uint32_t cap = w->cap_files ? 2 * w->cap_files : 16;
        ib_data_file *f = mem_resize(w->m, w->files, sizeof *f * w->cap_files, sizeof *f * cap);
        if (!f)
            return error_nomem(err);
        w->files = f;
        w->cap_files = cap;
    }
    TRY(ib_data_file_from_parquet(w->md, w->spec, p->values, p->path, res, w->sort_order_id,
                                  &w->a, &w->files[w->n_files], err));
    if (w->avro)
        w->files[w->n_files].file_format = STR("AVRO");
    w->n_files++;
    w->n_rows += res->rows;
    return FZ_OK;
}

static fz_status part_finish(table_writer *w, part *p, fz_error *err)
{
    if (!p->w && !p->av)
        return FZ_OK;
    arena tmp;
    arena_init(&tmp, w->m);
    pq_write_result res = {0}; /* of an Avro file: its size and rows */
    pq_writer *pw = p->w;
    avro_data *av = p->av;
    p->w = NULL;
    p->av = NULL;
    fz_status st = av ? avro_data_finish(av, &res.file_size, &res.rows, err) : pq_writer_finish(pw, &tmp, &res, err);
    if (!st) {
        st = add_file(w, p, &res, err);
        if (st)
            io_remove(w->io, p->path, NULL);
    }
    arena_free(&tmp);
    return st;
}

static fz_status part_open(table_writer *w, part *p, fz_error *err)
{
    sbuf dir;
    sbuf_init(&dir, w->m);
    ib_partition_path(w->spec, p->values, &dir);
    p->path = ib_data_location(w->md, (str){dir.p, dir.n}, 0, w->n_named++, w->uuid, &w->a);
    bool failed = dir.failed;
    sbuf_free(&dir);
    if (!p->path || failed)
        return error_nomem(err);
    size_t n = strlen(p->path), suffix = strlen(".parquet");
    if (w->avro && n > suffix)
        memcpy(p->path + n - suffix, ".avro", sizeof ".avro");
    io_writer *out;
    TRY(io_create(w->io, p->path, w->m, &out, err));
    if (w->avro) {
        const avro_kv schema = {w->kv[0].key, w->kv[0].value};
        return avro_data_open(out, w->rows, &w->avro_o, 1, &schema, w->m, &p->av, err);
    }
    return pq_writer_open(out, w->rows, &w->o, w->kv, 1, w->j, w->m, &p->w, err);
}

static fz_status part_append(table_writer *w, part *p, const batch *b, fz_error *err)
{
    if ((p->w && (int64_t)pq_writer_size(p->w) >= w->target_size) || (p->av && (int64_t)avro_data_size(p->av) >= w->target_size))
        TRY(part_finish(w, p, err));
    if (!p->w && !p->av)
        TRY(part_open(w, p, err));
    return p->av ? avro_data_append(p->av, b, err) : pq_writer_append(p->w, b, err);
}

/* ---- partitions ---- */

static bool values_eq(const datum *a, const datum *b, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        if (!datum_eq(&a[i], &b[i]))
            return false;
    return true;
}

static part *part_find(table_writer *w, uint64_t hash, const datum *values)
{
    for (uint32_t i = w->n_parts; i-- > 0;)
        if (w->parts[i].hash == hash && values_eq(w->parts[i].values, values, w->spec->n))
            return &w->parts[i];
    return NULL;
}

static datum datum_copy(const datum *d, arena *a)
{
    datum c = *d;
    if (!d->null && type_phys(d->t) == PHYS_STR)
        c.s.p = arena_strndup(a, d->s.p, d->s.n);
    return c;
}

static uint32_t bucket_of(const table_writer *w, uint64_t hash)
{
    return (uint32_t)(hash >> (w->depth * BUCKET_BITS % 60)) & (BUCKETS - 1);
}

/* The partition to write a group to; NULL with FZ_OK: none can be opened now. One whose earlier rows may lie in a bucket isn't
 * opened: its rows would change their order. */
static fz_status part_get(table_writer *w, uint64_t hash, const datum *values, part **out, fz_error *err)
{
    *out = part_find(w, hash, values);
    if (*out)
        return FZ_OK;
    if (w->n_parts == WRITER_FANOUT || w->bucket[bucket_of(w, hash)] || (w->n_parts > 0 && mem_over(w->m, 16 << 20)))
        return FZ_OK;
    part p = {.hash = hash, .values = ARENA_ARRAY(&w->a, datum, w->spec->n + 1)};
    if (!p.values)
        return error_nomem(err);
    for (uint32_t i = 0; i < w->spec->n; i++) {
        p.values[i] = datum_copy(&values[i], &w->a);
        if (!p.values[i].null && type_phys(p.values[i].t) == PHYS_STR && !p.values[i].s.p)
            return error_nomem(err);
    }
    w->parts[w->n_parts] = p;
    *out = &w->parts[w->n_parts++];
    return FZ_OK;
}

/* Equal floats may differ in their bits: zeros, NaNs. */
static uint64_t float_hash(double f)
{
    uint64_t bits;
    if (f != f)
        return 7;
    f += 0.0; /* -0 becomes 0 */
    memcpy(&bits, &f, sizeof bits);
    return hash_u64(bits);
}

static uint64_t values_hash(const datum *v, uint32_t n)
{
    uint64_t h = 0x9e37;
    for (uint32_t i = 0; i < n; i++) {
        uint64_t x = 1;
        if (!v[i].null)
            switch (type_phys(v[i].t)) {
            case PHYS_NONE:
            case PHYS_NESTED: break; /* nothing is partitioned by those */
            case PHYS_U8: x = hash_u64(2 + v[i].b); break;
            case PHYS_I32: x = hash_u64((uint64_t)(int64_t)v[i].i32 + 3); break;
            case PHYS_I64: x = hash_u64((uint64_t)v[i].i64 + 3); break;
            case PHYS_STR: x = hash_bytes(v[i].s.p, v[i].s.n); break;
            case PHYS_I128: x = hash_u64((uint64_t)v[i].i128v); break;
            case PHYS_F32: x = float_hash(v[i].f32); break;
            case PHYS_F64: x = float_hash(v[i].f64); break;
            }
        h = hash_mix(h, x);
    }
    return h;
}

static fz_status to_bucket(table_writer *w, uint32_t i, const batch *b, fz_error *err)
{
    if (!w->bucket[i])
        TRY(spill_create(w->temp_dir, w->m, &w->bucket[i], err));
    return spill_write(w->bucket[i], b, err);
}

/* Some of the batch's rows: to a partition's file, or (p NULL) to a bucket. */
static fz_status append_some(table_writer *w, part *p, uint32_t bucket, batch *b, const uint16_t *sel, uint32_t nsel, fz_error *err)
{
    const uint16_t *old_sel = b->sel;
    uint32_t old_nsel = b->nsel;
    b->sel = nsel == b->nrows ? NULL : sel;
    b->nsel = nsel;
    fz_status st = p ? part_append(w, p, b, err) : to_bucket(w, bucket, b, err);
    b->sel = old_sel;
    b->nsel = old_nsel;
    return st;
}

/* The rows of groups that have no open file, bucket by bucket: many groups of a row or two make one block of a bucket.
 * to: per group 0, or its bucket + 1. Rows stay in order. */
static fz_status spill_groups(table_writer *w, batch *b, const uint16_t *group_of, const uint8_t *to, uint16_t *sel, fz_error *err)
{
    uint32_t n = b->nsel, at[BUCKETS + 2] = {0};
    for (uint32_t i = 0; i < n; i++)
        at[to[group_of[i]] + 1]++;
    for (uint32_t k = 0; k <= BUCKETS; k++)
        at[k + 1] += at[k];
    for (uint32_t i = 0; i < n; i++)
        sel[at[to[group_of[i]]]++] = b->sel ? b->sel[i] : (uint16_t)i;
    for (uint32_t k = 1; k <= BUCKETS; k++) /* at[k] is the end of k now */
        if (at[k] > at[k - 1])
            TRY(append_some(w, NULL, k - 1, b, sel + at[k - 1], at[k] - at[k - 1], err));
    return FZ_OK;
}

static void row_values(const table_writer *w, const vec *keys, uint32_t row, datum *out)
{
    for (uint32_t i = 0; i < w->spec->n; i++)
        out[i] = vec_datum(&keys[i], row);
}

/* A field of a struct, null where the struct is. */
static fz_status member_vec(const vec *v, uint32_t k, arena *a, vec *out, fz_error *err)
{
    type t = v->t.children->f[k].t;
    if (v->enc == VEC_CONST) {
        datum whole = vec_datum(v, 0), d = whole.null ? DATUM_NULL(t) : nested_member(&whole, 0, k);
        return vec_const(out, &d, v->len, a, err);
    }
    TRY(vec_flatten(out, &v->kids[k], a, err));
    if (!v->valid || out->t.id == T_NULL)
        return FZ_OK;
    uint64_t *both = bitmap_alloc(a, v->len, false);
    if (!both)
        return error_nomem(err);
    for (uint32_t i = 0; i < v->len; i++)
        if (bit_get(v->valid, i) && (!out->valid || bit_get(out->valid, i)))
            bit_set(both, i);
    out->valid = both;
    return FZ_OK;
}

static fz_status source_vec(const struct source_path *p, const batch *b, arena *a, vec *out, fz_error *err)
{
    if (p->n == 0) {
        datum none = DATUM_NULL(TYPE(T_INT32));
        return vec_const(out, &none, b->nrows, a, err);
    }
    *out = b->cols[p->at[0]];
    for (uint32_t i = 1; i < p->n; i++) {
        vec up = *out;
        TRY(member_vec(&up, p->at[i], a, out, err));
    }
    return FZ_OK;
}

/* Groups the batch's rows by partition and appends each group. Groups are found run by run; a partition that comes back
 * in the batch joins its group, so that a batch makes one append a partition. */
static fz_status append_partitioned(table_writer *w, batch *b, fz_error *err)
{
    uint32_t nf = w->spec->n, n = b->nsel;
    vec *keys = ARENA_ARRAY(&w->scratch, vec, nf);
    uint16_t *group_of = ARENA_ARRAY(&w->scratch, uint16_t, n);
    uint16_t *first = ARENA_ARRAY(&w->scratch, uint16_t, n);  /* a row of each group, as keys count them */
    uint64_t *hashes = ARENA_ARRAY(&w->scratch, uint64_t, n); /* of each group */
    uint32_t *count = ARENA_ARRAY(&w->scratch, uint32_t, n + 1);
    uint16_t *sel = ARENA_ARRAY(&w->scratch, uint16_t, n);
    datum *cur = ARENA_ARRAY(&w->scratch, datum, nf), *other = ARENA_ARRAY(&w->scratch, datum, nf);
    uint32_t slots = 16;
    while (slots < 2 * n)
        slots *= 2;
    uint16_t *table = ARENA_ARRAY(&w->scratch, uint16_t, slots); /* group + 1 */
    if (!keys || !group_of || !first || !hashes || !count || !sel || !cur || !other || !table)
        return error_nomem(err);
    for (uint32_t i = 0; i < nf; i++) {
        vec all, in;
        TRY(source_vec(&w->source[i], b, &w->scratch, &all, err));
        in = all;
        if (b->sel) /* what isn't selected may hold anything */
            TRY(vec_gather(&in, &all, b->sel, n, false, &w->scratch, err));
        TRY(ib_transform_vec(&w->spec->fields[i].transform, &in, &w->scratch, &keys[i], err));
    }
    uint32_t groups = 0, g = 0;
    for (uint32_t i = 0; i < n; i++) {
        row_values(w, keys, i, i ? other : cur);
        if (i == 0 || !values_eq(cur, other, nf)) {
            if (i)
                memcpy(cur, other, sizeof *cur * nf);
            uint64_t h = values_hash(cur, nf);
            uint32_t s = (uint32_t)h & (slots - 1);
            for (g = groups; table[s]; s = (s + 1) & (slots - 1)) {
                uint32_t cand = table[s] - 1u;
                row_values(w, keys, first[cand], other);
                if (hashes[cand] == h && values_eq(cur, other, nf)) {
                    g = cand;
                    break;
                }
            }
            if (g == groups) {
                table[s] = (uint16_t)(g + 1);
                first[g] = (uint16_t)i;
                hashes[g] = h;
                groups++;
            }
        }
        group_of[i] = (uint16_t)g;
        count[g + 1]++;
    }
    for (uint32_t i = 0; i < groups; i++)
        count[i + 1] += count[i];
    uint32_t *at = ARENA_ARRAY(&w->scratch, uint32_t, groups + 1);
    if (!at)
        return error_nomem(err);
    memcpy(at, count, sizeof *at * groups);
    for (uint32_t i = 0; i < n; i++)
        sel[at[group_of[i]]++] = b->sel ? b->sel[i] : (uint16_t)i;
    uint8_t *to = ARENA_ARRAY(&w->scratch, uint8_t, groups);
    bool spills = false;
    if (!to)
        return error_nomem(err);
    for (uint32_t i = 0; i < groups; i++) {
        part *p;
        row_values(w, keys, first[i], cur);
        TRY(part_get(w, hashes[i], cur, &p, err));
        if (p) {
            TRY(append_some(w, p, 0, b, sel + count[i], count[i + 1] - count[i], err));
        } else {
            to[i] = (uint8_t)(bucket_of(w, hashes[i]) + 1);
            spills = true;
        }
    }
    return spills ? spill_groups(w, b, group_of, to, sel, err) : FZ_OK;
}

static fz_status check_required(const table_writer *w, const batch *b, fz_error *err)
{
    for (uint32_t c = 0; c < w->rows->n; c++) {
        if (!w->rows->cols[c].not_null || !vec_may_null(&b->cols[c]))
            continue;
        for (uint32_t i = 0; i < b->nsel; i++)
            if (vec_is_null(&b->cols[c], b->sel ? b->sel[i] : i))
                return error_sql(err, FZ_VALUE, "23502", "null value in column \"" STR_FMT "\", which is NOT NULL",
                                 STR_ARG(w->rows->cols[c].name));
    }
    return FZ_OK;
}

static fz_status append(table_writer *w, const batch *b, fz_error *err)
{
    arena_reset(&w->scratch);
    batch view = *b; /* the selection is changed group by group; the caller's batch is not */
    if (w->spec->n)
        return append_partitioned(w, &view, err);
    part *p;
    TRY(part_get(w, 0, NULL, &p, err)); /* the only one: it can always be opened */
    return append_some(w, p, 0, &view, b->sel, b->nsel, err);
}

static fz_status consume(sink *s, const batch *b, fz_error *err)
{
    table_writer *w = (table_writer *)s;
    if (b->nsel == 0)
        return FZ_OK;
    TRY(check_required(w, b, err));
    return append(w, b, err);
}

static const sink_ops table_writer_sink_ops = {consume};

/* ---- open, finish ---- */

static fz_status read_avro_options(table_writer *w, fz_error *err)
{
    static const struct { const char *name; codec_id codec; } codecs[] = {
        {"gzip", CODEC_DEFLATE}, {"zstd", CODEC_ZSTD}, {"snappy", CODEC_SNAPPY}, {"uncompressed", CODEC_NONE}, {"none", CODEC_NONE},
    };
    str codec = ib_prop(&w->md->properties, "write.avro.compression-codec");
    int64_t level;
    TRY(ib_prop_i64(&w->md->properties, "write.avro.compression-level", 0, &level, err));
    w->avro_o = (avro_data_options){.codec = CODEC_DEFLATE, .level = level >= 0 && level <= 22 ? (int)level : 0};
    for (size_t i = 0; i < sizeof codecs / sizeof codecs[0]; i++)
        if (str_ieq(codec, str_of(codecs[i].name))) {
            w->avro_o.codec = codecs[i].codec;
            return FZ_OK;
        }
    if (codec.n)
        return error_set(err, FZ_UNSUPPORTED, "write.avro.compression-codec \"" STR_FMT "\" isn't supported", STR_ARG(codec));
    return FZ_OK;
}

static fz_status read_options(table_writer *w, fz_error *err)
{
    const ib_props *p = &w->md->properties;
    TRY(ib_parquet_options(w->md, ib_order_by_id(w->md, w->md->default_sort_order_id), &w->a, &w->o, err));
    w->n_sort_keys = w->o.n_sorted;
    w->o.n_sorted = 0; /* until table_writer_sorted */
    TRY(ib_prop_i64(p, "write.target-file-size-bytes", 512 << 20, &w->target_size, err));
    str format = ib_prop(p, "write.format.default");
    w->avro = str_ieq(format, STR("avro"));
    if (w->avro)
        return read_avro_options(w, err);
    if (format.n && !str_ieq(format, STR("parquet")))
        return error_set(err, FZ_UNSUPPORTED, "write.format.default \"" STR_FMT "\" isn't supported", STR_ARG(format));
    return FZ_OK;
}

static bool find_below(const type_fields *f, int32_t id, struct source_path *p)
{
    for (uint32_t i = 0; f && i < f->n && p->n < TYPE_DEPTH_MAX; i++) {
        p->at[p->n++] = i;
        if (f->f[i].field_id == id || (f->f[i].t.id == T_STRUCT && find_below(f->f[i].t.children, id, p)))
            return true;
        p->n--;
    }
    return false;
}

static fz_status find_sources(table_writer *w, fz_error *err)
{
    w->source = ARENA_ARRAY(&w->a, struct source_path, w->spec->n + 1);
    if (!w->source)
        return error_nomem(err);
    for (uint32_t i = 0; i < w->spec->n; i++) {
        const ib_partition_field *f = &w->spec->fields[i];
        struct source_path *p = &w->source[i];
        bool found = false;
        for (uint32_t c = 0; c < w->rows->n && !found; c++) {
            p->at[0] = c;
            p->n = 1;
            found = w->rows->cols[c].field_id == f->source_id ||
                    (w->rows->cols[c].t.id == T_STRUCT && find_below(w->rows->cols[c].t.children, f->source_id, p));
        }
        if (!found)
            p->n = 0;
        if (!found && f->transform.kind != IB_VOID)
            return error_set(err, FZ_UNSUPPORTED, "partition field \"" STR_FMT "\" has a source that is neither a column nor a field of a struct", STR_ARG(f->name));
        if (f->transform.kind == IB_TRANSFORM_UNKNOWN)
            return error_set(err, FZ_UNSUPPORTED, "partition transform \"" STR_FMT "\" isn't supported", STR_ARG(f->transform.text));
    }
    return FZ_OK;
}

fz_status table_writer_open(const ib_metadata *md, const row_schema *schema, job *j, const char *temp_dir, mem *m,
                            table_writer **out, fz_error *err)
{
    table_writer *w = mem_zalloc(m, sizeof *w);
    if (!w)
        return error_nomem(err);
    w->base.ops = &table_writer_sink_ops;
    w->md = md;
    w->rows = schema;
    w->schema = ib_current_schema(md);
    w->spec = ib_spec_by_id(md, md->default_spec_id);
    w->j = j;
    w->m = m;
    w->temp_dir = temp_dir;
    arena_init(&w->a, m);
    arena_init(&w->scratch, m);
    sbuf_init(&w->schema_json, m);
    fz_status st = FZ_OK;
    w->parts = mem_zalloc(m, sizeof(part) * WRITER_FANOUT);
    ib_schema_write(w->schema, &w->schema_json);
    w->io = file_io_deferring(m, md->io);
    if (!w->parts || !w->io || w->schema_json.failed) {
        st = error_nomem(err);
        goto out;
    }
    w->kv[0].key = STR("iceberg.schema");
    w->kv[0].value = (str){w->schema_json.p, w->schema_json.n};
    TRY_GOTO(read_options(w, err));
    TRY_GOTO(find_sources(w, err));
    TRY_GOTO(ib_uuid_new(w->uuid, err));
    *out = w;
out:
    if (st)
        table_writer_close(w);
    return st;
}

void table_writer_sorted(table_writer *w, int32_t order_id)
{
    w->sort_order_id = order_id;
    w->o.n_sorted = order_id == w->md->default_sort_order_id ? w->n_sort_keys : 0;
}

file_io *table_writer_io(table_writer *w)
{
    return w->io;
}

sink *table_writer_sink(table_writer *w)
{
    return &w->base;
}

static fz_status finish_open(table_writer *w, fz_error *err)
{
    for (uint32_t i = 0; i < w->n_parts; i++)
        TRY(part_finish(w, &w->parts[i], err));
    w->n_parts = 0;
    return FZ_OK;
}

/* Writes what was spilled: each bucket is read back and appended anew; what doesn't fit again goes into
 * buckets by further bits of the hash. Bounded: the first partition of a pass is always opened, so each pass finishes some. */
static fz_status drain_buckets(table_writer *w, spill_file **buckets, unsigned depth, fz_error *err)
{
    fz_status st = FZ_OK;
    batch b;
    batch_init(&b, w->m);
    for (uint32_t i = 0; i < BUCKETS && !st; i++) {
        if (!buckets[i])
            continue;
        w->depth = depth;
        st = spill_rewind(buckets[i], err);
        for (bool end = false; !st;) {
            st = spill_read(buckets[i], &b, &end, err);
            if (st || end)
                break;
            st = append(w, &b, err);
        }
        spill_close(buckets[i]);
        buckets[i] = NULL;
        if (st)
            break;
        st = finish_open(w, err);
        spill_file *next[BUCKETS];
        memcpy(next, w->bucket, sizeof next);
        memset(w->bucket, 0, sizeof w->bucket);
        if (!st)
            st = drain_buckets(w, next, depth + 1, err);
        for (uint32_t k = 0; k < BUCKETS; k++)
            spill_close(next[k]);
    }
    batch_free(&b);
    return st;
}

/* What takes long is made durable now, before the commit holds others up; a few small files are with the commit's own. */
static fz_status settle_much(table_writer *w, fz_error *err)
{
    int64_t bytes = 0;
    for (uint32_t i = 0; i < w->n_files; i++)
        bytes += w->files[i].file_size_bytes;
    return bytes > SETTLE_BYTES || w->n_files > SETTLE_FILES ? io_settle(w->io, err) : FZ_OK;
}

fz_status table_writer_finish(table_writer *w, uint32_t *n, const ib_data_file **files, int64_t *rows, fz_error *err)
{
    TRY(finish_open(w, err));
    spill_file *buckets[BUCKETS];
    memcpy(buckets, w->bucket, sizeof buckets);
    memset(w->bucket, 0, sizeof w->bucket);
    fz_status st = drain_buckets(w, buckets, 1, err);
    for (uint32_t i = 0; i < BUCKETS; i++)
        spill_close(buckets[i]);
    if (st)
        return st;
    TRY(settle_much(w, err));
    *n = w->n_files;
    *files = w->files;
    *rows = w->n_rows;
    return FZ_OK;
}

void table_writer_committed(table_writer *w)
{
    w->committed = true;
}

void table_writer_close(table_writer *w)
{
    if (!w)
        return;
    for (uint32_t i = 0; i < w->n_parts; i++) {
        pq_writer_abort(w->parts[i].w);
        avro_data_abort(w->parts[i].av);
    }
    for (uint32_t i = 0; i < BUCKETS; i++)
        spill_close(w->bucket[i]);
    if (!w->committed)
        for (uint32_t i = 0; i < w->n_files; i++)
            io_remove(w->io, w->files[i].file_path.p, NULL); /* ends in NUL: ib_data_file_from_parquet */
    mem *m = w->m;
    mem_free(m, w->files, sizeof *w->files * w->cap_files);
    mem_free(m, w->parts, sizeof(part) * WRITER_FANOUT);
    sbuf_free(&w->schema_json);
    file_io_unref(w->io);
    arena_free(&w->a);
    arena_free(&w->scratch);
    mem_free(m, w, sizeof *w);
}
