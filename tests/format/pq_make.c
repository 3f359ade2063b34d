/*
 * pq_make.c: writes a Parquet file of every type, for other readers to check.
 *
 *     pq_make FILE rows=N shape=S nulls=P [key=value …]
 *
 * shape:  random sorted few runs const     how the number u(row) behind each value behaves
 * nulls:  required none some most all blocks
 * vec:    flat sel dict rle const          encoding of the vectors handed to the writer
 * codec, level, page_rows, page_bytes, rg_rows, rg_bytes, dict_bytes, truncate: the options
 * batch=N rows per batch, threads=N
 *
 * Prints the writer's metrics, a line per column. tests/interop/test_parquet_write.py computes the
 * same values from the same formulas.
 */
#include "base/task.h"
#include "format/parquet/parquet.h"

#include <stdio.h>
#include <stdlib.h>

typedef struct settings {
    const char *shape, *nulls, *vec;
    uint32_t rows, batch, threads;
    pq_write_options o;
} settings;

static const struct { const char *name; type t; } columns[] = {
    {"b", {.id = T_BOOL}}, {"i", {.id = T_INT32}}, {"l", {.id = T_INT64}}, {"f", {.id = T_FLOAT32}},
    {"d", {.id = T_FLOAT64}}, {"dec9", {.id = T_DECIMAL, .precision = 9, .scale = 2}},
    {"dec18", {.id = T_DECIMAL, .precision = 18, .scale = 3}},
    {"dec38", {.id = T_DECIMAL, .precision = 38, .scale = 10}},
    {"dec20", {.id = T_DECIMAL, .precision = 20, .scale = 0}}, {"date", {.id = T_DATE}}, {"time", {.id = T_TIME}},
    {"ts", {.id = T_TIMESTAMP}}, {"tstz", {.id = T_TIMESTAMPTZ}}, {"s", {.id = T_STRING}}, {"bin", {.id = T_BINARY}},
    {"uuid", {.id = T_UUID}}, {"fix", {.id = T_FIXED, .width = 5}},
};
enum { NCOLS = sizeof columns / sizeof columns[0] };

static uint64_t mix(uint64_t z)
{
    z += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static uint64_t u_of(const settings *s, uint64_t row, uint32_t col)
{
    switch (s->shape[0]) {
    case 's': return row / 7;
    case 'f': return mix(row * 31 + col) % 10;
    case 'c': return 42;
    default: return s->shape[1] == 'u' ? mix(row / 50) % 100 : mix(row * 131 + col);
    }
}

static bool null_of(const settings *s, uint64_t row, uint32_t col)
{
    switch (s->nulls[0]) {
    case 's': return mix(row + 999 * (col + 1)) % 5 == 0;
    case 'm': return row % 100 != 0;
    case 'a': return true;
    case 'b': return row / 300 % 2 == 1;
    default: return false;
    }
}

static void put_be(uint8_t *p, uint64_t u)
{
    for (int i = 0; i < 8; i++)
        p[i] = (uint8_t)(u >> 8 * (7 - i));
}

static strview text_of(uint64_t u, type t, arena *a)
{
    char *p = arena_alloc(a, 160);
    size_t n = 0;
    switch (t.id) {
    case T_STRING:
        for (uint64_t k = 0; k < u % 3; k++) {
            memcpy(p + n, "\xc3\xa9", 2);
            n += 2;
        }
        n += (size_t)snprintf(p + n, 32, "%llu", (unsigned long long)u);
        memset(p + n, 'x', u % 90);
        n += u % 90;
        break;
    case T_BINARY:
        put_be((uint8_t *)p, u);
        n = u % 9;
        break;
    case T_UUID:
        put_be((uint8_t *)p, u);
        put_be((uint8_t *)p + 8, ~u);
        n = 16;
        break;
    default:
        put_be((uint8_t *)p, u);
        n = t.width;
    }
    return strview_make(p, (uint32_t)n);
}

static i128 decimal_of(uint64_t u, unsigned precision)
{
    switch (precision) {
    case 9: return (int64_t)(u % 1999999999) - 999999999;
    case 18: return (int64_t)(u % 1999999999999999999) - 999999999999999999;
    case 20: return (i128)(int64_t)u * 5;
    default: return (i128)(int64_t)u * 1000000000000000 + (i128)(u % 1000);
    }
}

static void put_value(vec *v, uint32_t i, uint64_t u, arena *a)
{
    switch (v->t.id) {
    case T_BOOL: ((uint8_t *)v->data)[i] = u & 1; break;
    case T_INT32: ((int32_t *)v->data)[i] = (int32_t)(uint32_t)u; break;
    case T_INT64: ((int64_t *)v->data)[i] = (int64_t)u; break;
    case T_FLOAT32: ((float *)v->data)[i] = u % 17 == 3 ? __builtin_nanf("") : (float)((int64_t)(u % 1048576) - 524288) / 8; break;
    case T_FLOAT64:
        ((double *)v->data)[i] = u % 17 == 3 ? __builtin_nan("") : (double)((int64_t)(u % 1099511627776) - 549755813888) / 16;
        break;
    case T_DECIMAL:
        if (v->t.precision > 18)
            ((i128 *)v->data)[i] = decimal_of(u, v->t.precision);
        else
            ((int64_t *)v->data)[i] = (int64_t)decimal_of(u, v->t.precision);
        break;
    case T_DATE: ((int32_t *)v->data)[i] = (int32_t)(u % 40000) - 5000; break;
    case T_TIME: ((int64_t *)v->data)[i] = (int64_t)(u % 86400000000); break;
    case T_TIMESTAMP:
    case T_TIMESTAMPTZ: ((int64_t *)v->data)[i] = (int64_t)(u % 4000000000000000) - 1000000000000000; break;
    default: ((strview *)v->data)[i] = text_of(u, v->t, a);
    }
}

/* Rows [row, row+n) of a column, each `step` times, in the encoding asked for. */
static fz_status make_vec(const settings *s, vec *v, uint32_t col, uint64_t row, uint32_t n, arena *a, fz_error *err)
{
    bool sel = s->vec[0] == 's', rle = s->vec[0] == 'r', dict = s->vec[0] == 'd', constant = s->vec[0] == 'c';
    uint32_t len = sel ? 2 * n : constant ? 1 : n, runs = 0;
    TRY(vec_alloc(v, columns[col].t, len, a, err));
    uint64_t *valid = bitmap_alloc(a, len, true);
    uint32_t *ends = arena_alloc(a, sizeof *ends * (len + 1)), *codes = arena_alloc(a, sizeof *codes * (len + 1));
    bool any = false;
    for (uint32_t i = 0; i < len; i++) {
        uint64_t r = row + (sel ? i / 2 : i);
        bool skipped = sel && i % 2 == 0; /* what isn't selected is rubbish */
        uint64_t u = skipped ? mix(i) : u_of(s, r, col);
        bool null = skipped ? i % 3 == 0 : null_of(s, r, col);
        if (rle && i && u == u_of(s, r - 1, col) && null == null_of(s, r - 1, col)) {
            ends[runs - 1] = i + 1;
            continue;
        }
        uint32_t at = rle ? runs : dict ? n - 1 - i : i;
        put_value(v, at, u, a);
        codes[i] = null ? 0 : at;
        if (null && s->nulls[0] != 'r') {
            bit_clear(valid, rle ? runs : i);
            any = true;
        }
        ends[runs++] = i + 1;
    }
    v->valid = any ? valid : NULL;
    if (constant) {
        v->enc = VEC_CONST;
        v->len = n;
    } else if (rle || dict) {
        vec *values = ARENA_NEW(a, vec);
        *values = *v;
        values->valid = rle ? v->valid : NULL;
        values->len = rle ? runs : n;
        *v = (vec){.t = columns[col].t, .enc = rle ? VEC_RLE : VEC_DICT, .len = n, .nruns = rle ? runs : 0,
                   .data = rle ? ends : codes, .valid = rle ? NULL : v->valid, .values = values};
    }
    return FZ_OK;
}

static fz_status append_all(const settings *s, pq_writer *w, mem *m, fz_error *err)
{
    static uint16_t odd[BATCH_ROWS];
    batch b;
    fz_status st = FZ_OK;
    batch_init(&b, m);
    for (uint32_t i = 0; i < BATCH_ROWS; i++)
        odd[i] = (uint16_t)(2 * i + 1);
    for (uint64_t row = 0; row < s->rows && st == FZ_OK;) {
        uint32_t n = s->rows - row < s->batch ? (uint32_t)(s->rows - row) : s->batch;
        batch_reset(&b);
        st = batch_columns(&b, NCOLS, err);
        for (uint32_t c = 0; c < NCOLS && st == FZ_OK; c++)
            st = make_vec(s, &b.cols[c], c, row, n, &b.mem, err);
        b.nrows = s->vec[0] == 's' ? 2 * n : n;
        b.sel = s->vec[0] == 's' ? odd : NULL;
        b.nsel = n;
        if (st == FZ_OK)
            st = pq_writer_append(w, &b, err);
        row += n;
    }
    batch_free(&b);
    return st;
}

static fz_status run(const settings *s, const char *path, job *j, mem *m, fz_error *err)
{
    column_def defs[NCOLS];
    for (uint32_t i = 0; i < NCOLS; i++)
        defs[i] = (column_def){.name = str_of(columns[i].name), .t = columns[i].t, .field_id = (int32_t)(100 + i),
                               .not_null = s->nulls[0] == 'r'};
    row_schema schema = {NCOLS, defs};
    struct pq_kv kv = {STR("made.by"), STR("pq_make")};
    io_writer *io;
    pq_writer *w;
    pq_write_result res;
    arena a;
    TRY(io_create(NULL, path, m, &io, err));
    TRY(pq_writer_open(io, &schema, &s->o, &kv, 1, j, m, &w, err));
    fz_status st = append_all(s, w, m, err);
    if (st != FZ_OK) {
        pq_writer_abort(w);
        return st;
    }
    arena_init(&a, m);
    st = pq_writer_finish(w, &a, &res, err);
    for (uint32_t i = 0; st == FZ_OK && i < res.ncols; i++) {
        const pq_column_metrics *c = &res.cols[i];
        sbuf lo, hi;
        sbuf_init(&lo, m);
        sbuf_init(&hi, m);
        if (c->has_bounds) {
            datum_text(&c->min, &lo);
            datum_text(&c->max, &hi);
        }
        printf("%s\t%d\t%lld\t%lld\t%lld\t%lld\t%d\t%s\t%s\n", columns[i].name, (int)c->field_id, (long long)c->size_bytes,
               (long long)c->value_count, (long long)c->null_count, (long long)c->nan_count, c->has_bounds,
               lo.p ? lo.p : "", hi.p ? hi.p : "");
        sbuf_free(&lo);
        sbuf_free(&hi);
    }
    if (st == FZ_OK) {
        printf("file\t%llu\t%lld", (unsigned long long)res.file_size, (long long)res.rows);
        for (uint32_t i = 0; i < res.n_splits; i++)
            printf("\t%lld", (long long)res.split_offsets[i]);
        printf("\n");
    }
    arena_free(&a);
    return st;
}

static bool setting(settings *s, const char *arg)
{
    const char *eq = strchr(arg, '=');
    if (!eq)
        return false;
    str key = {arg, (size_t)(eq - arg)};
    int64_t n = strtoll(eq + 1, NULL, 10);
    const struct { const char *name; int64_t *to; } sizes[] = {
        {"page_rows", &s->o.page_rows}, {"page_bytes", &s->o.page_bytes}, {"rg_rows", &s->o.row_group_rows},
        {"rg_bytes", &s->o.row_group_bytes}, {"dict_bytes", &s->o.dict_bytes}};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        if (str_eqz(key, sizes[i].name)) {
            *sizes[i].to = n;
            return true;
        }
    if (str_eqz(key, "rows")) s->rows = (uint32_t)n;
    else if (str_eqz(key, "batch")) s->batch = (uint32_t)n;
    else if (str_eqz(key, "threads")) s->threads = (uint32_t)n;
    else if (str_eqz(key, "codec")) s->o.codec = (int)n;
    else if (str_eqz(key, "level")) s->o.codec_level = (int)n;
    else if (str_eqz(key, "split")) s->o.split = (int)n;
    else if (str_eqz(key, "version")) s->o.page_version = (int)n;
    else if (str_eqz(key, "truncate")) s->o.bounds_truncate = (int)n;
    else if (str_eqz(key, "shape")) s->shape = eq + 1;
    else if (str_eqz(key, "nulls")) s->nulls = eq + 1;
    else if (str_eqz(key, "vec")) s->vec = eq + 1;
    else return false;
    return true;
}

int main(int argc, char **argv)
{
    settings s = {.shape = "random", .nulls = "none", .vec = "flat", .rows = 1000, .batch = 2048, .threads = 1};
    pq_write_options_default(&s.o);
    for (int i = 2; i < argc; i++)
        if (!setting(&s, argv[i]))
            argc = 0;
    if (argc < 2 || s.batch == 0 || s.batch > BATCH_ROWS / 2) {
        fprintf(stderr, "usage: pq_make FILE [key=value …]\n");
        return 2;
    }
    mem m;
    mem_init(&m, NULL, NULL, 0);
    pool *p = pool_create(&m, (int)s.threads - 1);
    job j;
    fz_error err = {0};
    job_init(&j, p, &m, NULL);
    fz_status st = run(&s, argv[1], s.threads > 1 ? &j : NULL, &m, &err);
    fz_error werr = {0};
    if (job_wait(&j, &werr) != FZ_OK && st == FZ_OK) {
        err = werr;
        st = werr.status;
    }
    job_destroy(&j);
    pool_destroy(p);
    if (st != FZ_OK)
        fprintf(stderr, "%s: %s\n", status_name(st), err.message);
    if (atomic_load(&m.used) != 0) {
        fprintf(stderr, "%lld bytes were not given back\n", (long long)atomic_load(&m.used));
        return 3;
    }
    return st == FZ_OK ? 0 : 1;
}
