/*
 * Writing Parquet files: what goes in comes out of our reader, whatever the types, encodings of vectors,
 * selections and row groups; bounds, indexes and metrics have exact values; refusals and failures leave
 * no file. Threads encode side by side: run with tsan.
 */
#include "base/task.h"
#include "format/parquet/column_write_int.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static uint64_t seed = 11;

static uint64_t rnd(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

static char path[256];

static int setup(void **s)
{
    const char *dir = getenv("TMPDIR");
    snprintf(path, sizeof path, "%s/frazil_pqw_XXXXXX", dir ? dir : "/tmp");
    int fd = mkstemp(path);
    if (fd < 0)
        return -1;
    close(fd);
    unlink(path);
    return 0;
}

static int teardown(void **s)
{
    unlink(path);
    return 0;
}

/* ---- writing one or more columns, reading one back ---- */

static pq_writer *writer(const column_def *defs, uint32_t n, const pq_write_options *o, job *j, mem *m)
{
    pq_write_options d;
    pq_write_options_default(&d);
    row_schema s = {n, (column_def *)defs};
    io_writer *io;
    pq_writer *w;
    assert_int_equal(io_create(NULL, path, m, &io, NULL), FZ_OK);
    assert_int_equal(pq_writer_open(io, &s, o ? o : &d, NULL, 0, j, m, &w, NULL), FZ_OK);
    return w;
}

static void append_vec(pq_writer *w, const vec *v, const uint16_t *sel, uint32_t nsel)
{
    batch b;
    fz_error err = {0};
    batch_init(&b, NULL);
    assert_int_equal(batch_columns(&b, 1, NULL), FZ_OK);
    b.cols[0] = *v;
    b.nrows = v->len;
    b.sel = sel;
    b.nsel = sel ? nsel : v->len;
    if (pq_writer_append(w, &b, &err) != FZ_OK)
        fail_msg("%s", err.message);
    batch_free(&b);
}

typedef struct opened {
    io_file *f;
    pq_file *p;
} opened;

static opened open_file(void)
{
    opened o;
    fz_error err = {0};
    assert_int_equal(io_open(NULL, path, NULL, &o.f, NULL), FZ_OK);
    if (pq_open(o.f, NULL, &o.p, &err) != FZ_OK)
        fail_msg("%s", err.message);
    return o;
}

static void close_file(opened o)
{
    pq_close(o.p);
    io_close(o.f);
}

/* All rows of a leaf, in steps of `step`, given to check(ctx, row, value). */
static uint64_t read_leaf(opened o, uint32_t leaf, uint32_t step, void (*check)(void *ctx, uint64_t row, datum d), void *ctx)
{
    uint64_t row = 0;
    const pq_file_meta *meta = pq_meta(o.p);
    for (uint32_t g = 0; g < meta->n_row_groups; g++) {
        pq_cursor *c;
        fz_error err = {0};
        if (pq_cursor_open(o.p, o.f, g, leaf, pq_schema(o.p)->cols[leaf].t, NULL, NULL, &c, &err) != FZ_OK)
            fail_msg("%s", err.message);
        while (pq_cursor_left(c)) {
            batch b;
            vec v;
            uint32_t n = pq_cursor_left(c) < step ? (uint32_t)pq_cursor_left(c) : step;
            batch_init(&b, NULL);
            if (pq_cursor_read(c, n, NULL, 0, &v, &b, &err) != FZ_OK)
                fail_msg("%s", err.message);
            for (uint32_t i = 0; i < n; i++)
                check(ctx, row++, vec_datum(&v, i));
            batch_free(&b);
        }
        pq_cursor_close(c);
    }
    return row;
}

/* ---- every type ---- */

static const type types[] = {
    {.id = T_BOOL}, {.id = T_INT32}, {.id = T_INT64}, {.id = T_FLOAT32}, {.id = T_FLOAT64},
    {.id = T_DECIMAL, .precision = 5, .scale = 2}, {.id = T_DECIMAL, .precision = 18, .scale = 0},
    {.id = T_DECIMAL, .precision = 38, .scale = 38}, {.id = T_DECIMAL, .precision = 19, .scale = 4}, {.id = T_DATE},
    {.id = T_TIME}, {.id = T_TIMESTAMP}, {.id = T_TIMESTAMPTZ}, {.id = T_STRING}, {.id = T_BINARY}, {.id = T_UUID},
    {.id = T_FIXED, .width = 3},
};
enum { TYPES = sizeof types / sizeof types[0] };

/* `range` bounds how many different values there are. */
static datum random_value(type t, uint64_t range, arena *a)
{
    uint64_t u = rnd() % range * 0x9e3779b97f4a7c15u;
    datum d = {.t = t};
    uint32_t n = t.id == T_UUID ? 16 : t.id == T_FIXED ? 3 : (uint32_t)(u % 40);
    switch (type_phys(t)) {
    case PHYS_U8: d.b = u >> 63; break;
    case PHYS_I32: d.i32 = (int32_t)(u >> 32); break;
    case PHYS_I64: d.i64 = t.id == T_TIME ? (int64_t)(u % 86400000000) : t.id == T_DECIMAL ? (int64_t)(u % 99999) : (int64_t)u; break;
    case PHYS_I128: d.i128v = (i128)(int64_t)u * (t.precision == 38 ? (i128)1000000000000000000 : 1); break;
    case PHYS_F32: d.f32 = u % 50 == 0 ? NAN : (float)(int32_t)(u >> 32); break;
    case PHYS_F64: d.f64 = u % 50 == 0 ? NAN : (double)(int64_t)u; break;
    default: {
        char *p = arena_alloc(a, 40);
        for (uint32_t i = 0; i < n; i++)
            p[i] = (char)(t.id == T_STRING ? 'a' + (u >> i) % 26 : u >> i);
        d.s = (str){p, n};
    }
    }
    d.null = rnd() % 7 == 0;
    return d;
}

static void put_datum(vec *v, uint32_t i, const datum *d)
{
    if (d->null) {
        bit_clear(v->valid, i);
        memset((char *)v->data + (size_t)i * phys_size(type_phys(v->t)), 0, phys_size(type_phys(v->t)));
        return;
    }
    switch (type_phys(v->t)) {
    case PHYS_U8: ((uint8_t *)v->data)[i] = d->b; break;
    case PHYS_I32: ((int32_t *)v->data)[i] = d->i32; break;
    case PHYS_I64: ((int64_t *)v->data)[i] = d->i64; break;
    case PHYS_I128: ((i128 *)v->data)[i] = d->i128v; break;
    case PHYS_F32: ((float *)v->data)[i] = d->f32; break;
    case PHYS_F64: ((double *)v->data)[i] = d->f64; break;
    default: ((strview *)v->data)[i] = strview_make(d->s.p, (uint32_t)d->s.n);
    }
}

static void equals(void *ctx, uint64_t row, datum d)
{
    const datum *want = (const datum *)ctx + row;
    if (!datum_eq(want, &d))
        fail_msg("row %llu differs", (unsigned long long)row);
}

static void every_type(void **s)
{
    static const uint64_t ranges[] = {3, 100, UINT64_MAX};
    for (int t = 0; t < TYPES; t++)
        for (int k = 0; k < 3; k++) {
            enum { ROWS = 5000, STEP = 700 };
            arena a;
            arena_init(&a, NULL);
            datum *want = ARENA_ARRAY(&a, datum, ROWS);
            column_def def = {.name = STR("c"), .t = types[t], .field_id = 9};
            pq_write_options o;
            pq_write_options_default(&o);
            o.page_rows = 999;
            o.row_group_rows = 3333;
            o.dict_bytes = 4000;
            o.page_version = 1 + (t + k) % 2;
            o.split = k;
            pq_writer *w = writer(&def, 1, &o, NULL, NULL);
            int64_t nulls = 0, nans = 0;
            for (uint32_t r = 0; r < ROWS; r += STEP) {
                vec v;
                uint32_t n = ROWS - r < STEP ? ROWS - r : STEP;
                assert_int_equal(vec_alloc(&v, types[t], n, &a, NULL), FZ_OK);
                v.valid = bitmap_alloc(&a, n, true);
                for (uint32_t i = 0; i < n; i++) {
                    datum *d = &want[r + i];
                    *d = random_value(types[t], ranges[k], &a);
                    put_datum(&v, i, d);
                    nulls += d->null;
                    nans += !d->null && ((types[t].id == T_FLOAT32 && isnan(d->f32)) || (types[t].id == T_FLOAT64 && isnan(d->f64)));
                }
                append_vec(w, &v, NULL, 0);
            }
            pq_write_result res;
            fz_error err = {0};
            assert_int_equal(pq_writer_finish(w, &a, &res, &err), FZ_OK);
            assert_int_equal(res.rows, ROWS);
            assert_int_equal(res.n_splits, 2);
            assert_int_equal(res.split_offsets[0], 4);
            assert_int_equal(res.cols[0].value_count, ROWS);
            assert_int_equal(res.cols[0].null_count, nulls);
            bool is_float = types[t].id == T_FLOAT32 || types[t].id == T_FLOAT64;
            assert_int_equal(res.cols[0].nan_count, is_float ? nans : -1);
            assert_true(res.cols[0].has_bounds && res.cols[0].min_exact && res.cols[0].max_exact);
            bool met_min = false, met_max = false;
            for (int i = 0; i < ROWS; i++) {
                if (want[i].null || (is_float && (types[t].id == T_FLOAT32 ? isnan(want[i].f32) : isnan(want[i].f64))))
                    continue;
                assert_true(datum_cmp(&res.cols[0].min, &want[i]) <= 0 && datum_cmp(&res.cols[0].max, &want[i]) >= 0);
                met_min |= datum_eq(&res.cols[0].min, &want[i]);
                met_max |= datum_eq(&res.cols[0].max, &want[i]);
            }
            assert_true(met_min && met_max);
            opened f = open_file();
            assert_true(type_eq(pq_schema(f.p)->cols[0].t, types[t]));
            assert_int_equal(pq_schema(f.p)->cols[0].field_id, 9);
            assert_int_equal(read_leaf(f, 0, 512, equals, want), ROWS);
            close_file(f);
            unlink(path);
            arena_free(&a);
        }
}

/* ---- encodings of vectors ---- */

static void is_number(void *ctx, uint64_t row, datum d)
{
    const int64_t *want = ctx;
    if (d.null ? want[row] != INT64_MIN : want[row] != d.i64)
        fail_msg("row %llu differs", (unsigned long long)row);
}

static void vector_encodings(void **s)
{
    column_def def = {.name = STR("n"), .t = TYPE(T_INT64), .field_id = 1};
    pq_writer *w = writer(&def, 1, NULL, NULL, NULL);
    static int64_t want[1000];
    int64_t vals[3] = {5, 6, 7}, one = 9;
    uint64_t valid3[1] = {5}, none[1] = {0}, valid8[1] = {0xf7};
    uint32_t ends[3] = {4, 5, 10}, codes[8] = {2, 1, 0, 0, 2, 2, 1, 1};
    uint16_t sel[] = {0, 3, 4, 7};
    vec flat3 = {.t = def.t, .enc = VEC_FLAT, .len = 3, .data = vals}, null3 = flat3;
    null3.valid = valid3;
    vec rle = {.t = def.t, .enc = VEC_RLE, .len = 10, .nruns = 3, .data = ends, .values = &null3};
    vec dict = {.t = def.t, .enc = VEC_DICT, .len = 8, .data = codes, .values = &flat3, .valid = valid8};
    vec constant = {.t = def.t, .enc = VEC_CONST, .len = 4, .data = &one}, null = constant;
    null.valid = none;
    uint32_t n = 0;
    const int64_t N = INT64_MIN;
    append_vec(w, &constant, NULL, 0);
    append_vec(w, &rle, NULL, 0);
    append_vec(w, &dict, NULL, 0);
    append_vec(w, &null, NULL, 0);
    append_vec(w, &dict, sel, 4);
    append_vec(w, &rle, sel, 4);
    append_vec(w, &constant, sel, 2);
    append_vec(w, &null3, NULL, 0);
    const int64_t all[] = {9, 9, 9, 9, 5, 5, 5, 5, N, 7, 7, 7, 7, 7, 7, 6, 5, N, 7, 7, 6, 6, N, N, N, N, 7, N, 7, 6,
                           5, 5, N, 7, 9, 9, 5, N, 7};
    for (; n < sizeof all / sizeof all[0]; n++)
        want[n] = all[n];
    pq_write_result res;
    arena a;
    arena_init(&a, NULL);
    assert_int_equal(pq_writer_finish(w, &a, &res, NULL), FZ_OK);
    assert_int_equal(res.rows, n);
    assert_int_equal(res.cols[0].null_count, 9);
    assert_int_equal(res.cols[0].min.i64, 5);
    assert_int_equal(res.cols[0].max.i64, 9);
    opened f = open_file();
    assert_int_equal(read_leaf(f, 0, 7, is_number, want), n);
    close_file(f);
    arena_free(&a);
}

/* ---- bounds ---- */

static datum text(const char *p, size_t n) { return (datum){.t = TYPE(T_STRING), .s = {p, n}}; }

static void write_texts(const datum *d, uint32_t n, type t, int truncate, pq_write_result *res, arena *a)
{
    column_def def = {.name = STR("t"), .t = t, .field_id = 1};
    pq_write_options o;
    pq_write_options_default(&o);
    o.bounds_truncate = truncate;
    pq_writer *w = writer(&def, 1, &o, NULL, NULL);
    vec v;
    assert_int_equal(vec_alloc(&v, t, n, a, NULL), FZ_OK);
    for (uint32_t i = 0; i < n; i++)
        put_datum(&v, i, &d[i]);
    append_vec(w, &v, NULL, 0);
    assert_int_equal(pq_writer_finish(w, a, res, NULL), FZ_OK);
}

static void text_bounds(void **s)
{
    arena a;
    pq_write_result res;
    arena_init(&a, NULL);
    char *big = arena_alloc(&a, 3000);
    memset(big, 'q', 3000);
    big[2999] = 'z';
    datum d[] = {text("banana", 6), text(big, 3000), text("b\xc3\xa9" "def", 6)};
    write_texts(d, 3, d[0].t, 4, &res, &a);
    const pq_column_metrics *m = &res.cols[0];
    assert_true(m->has_bounds && m->min_exact && !m->max_exact);
    assert_true(str_eqz(m->min.s, "banana"));
    assert_true(m->max.s.n <= 1024 && m->max.s.p[m->max.s.n - 1] == 'r' && m->max.s.p[0] == 'q');
    opened f = open_file();
    const pq_statistics *st = &pq_meta(f.p)->row_groups[0].columns[0].stats;
    assert_true(str_eqz(st->min, "bana") && !st->min_exact);
    assert_true(str_eqz(st->max, "qqqr") && !st->max_exact);
    close_file(f);
    unlink(path);

    /* No text is greater than U+10FFFF repeated: no maximum is better than a wrong one. */
    char top[1200];
    for (size_t i = 0; i < sizeof top; i += 4)
        memcpy(top + i, "\xf4\x8f\xbf\xbf", 4);
    datum e[] = {text(top, sizeof top)};
    write_texts(e, 1, e[0].t, 4, &res, &a);
    assert_false(res.cols[0].has_bounds);
    f = open_file();
    st = &pq_meta(f.p)->row_groups[0].columns[0].stats;
    assert_true(st->has_min && !st->has_max);
    close_file(f);
    arena_free(&a);
}

static void rounding_up(void **s)
{
    static const struct { const char *in, *out; bool utf8; } cases[] = {
        {"abc", "abd", true}, {"ab\x7f", "ac", true}, {"\xc2\xbf", "\xc3\x80", true}, {"a\xdf\xbf", "b", true},
        {"\xed\x9f\xbf", "\xee\x80\x80", true}, {"\xef\xbf\xbf", NULL, true}, {"x\xf4\x8f\xbf\xbf", "y", true},
        {"a\xff\xff", "b", false}, {"\xff\xff", NULL, false}, {"\x7f", NULL, true}, {"a\x7f", "a\x80", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint8_t p[16];
        size_t n = strlen(cases[i].in);
        memcpy(p, cases[i].in, n);
        assert_int_equal(text_round_up(p, &n, cases[i].utf8), cases[i].out != NULL);
        if (cases[i].out) {
            assert_int_equal(n, strlen(cases[i].out));
            assert_memory_equal(p, cases[i].out, n);
        }
    }
    assert_int_equal(text_cut((const uint8_t *)"a\xc3\xa9", 3, 2, true), 1);
    assert_int_equal(text_cut((const uint8_t *)"\xe2\x82\xac!", 4, 2, true), 3);
    assert_int_equal(text_cut((const uint8_t *)"a\xc3\xa9", 3, 2, false), 2);
    assert_int_equal(text_cut((const uint8_t *)"ab", 2, 5, true), 2);
}

static void float_bounds(void **s)
{
    column_def def = {.name = STR("f"), .t = TYPE(T_FLOAT64), .field_id = 1};
    struct { double v[3]; bool any; double lo, hi; int64_t nans; } cases[] = {
        {{NAN, 1, -2}, true, -2, 1, 1},
        {{NAN, NAN, NAN}, false, 0, 0, 3},
        {{0.0, 0.0, 0.0}, true, 0, 0, 0},
        {{INFINITY, -INFINITY, NAN}, true, -INFINITY, INFINITY, 1},
    };
    for (size_t i = 0; i < 4; i++) {
        pq_write_result res;
        arena a;
        arena_init(&a, NULL);
        pq_writer *w = writer(&def, 1, NULL, NULL, NULL);
        vec v = {.t = def.t, .enc = VEC_FLAT, .len = 3, .data = cases[i].v};
        append_vec(w, &v, NULL, 0);
        assert_int_equal(pq_writer_finish(w, &a, &res, NULL), FZ_OK);
        assert_int_equal(res.cols[0].nan_count, cases[i].nans);
        assert_int_equal(res.cols[0].has_bounds, cases[i].any);
        opened f = open_file();
        const pq_column_chunk *c = &pq_meta(f.p)->row_groups[0].columns[0];
        assert_int_equal(c->stats.has_min, cases[i].any);
        assert_int_equal(c->column_index_offset >= 0, cases[i].any);
        if (cases[i].any) {
            double lo, hi;
            assert_int_equal(c->stats.min.n, 8);
            memcpy(&lo, c->stats.min.p, 8);
            memcpy(&hi, c->stats.max.p, 8);
            assert_true(lo == cases[i].lo && hi == cases[i].hi);
            if (i == 2)
                assert_true(signbit(lo) && !signbit(hi)); /* zero: -0 to +0 */
        }
        close_file(f);
        unlink(path);
        arena_free(&a);
    }
}

/* ---- indexes ---- */

static void page_indexes(void **s)
{
    column_def def = {.name = STR("n"), .t = TYPE(T_INT64), .field_id = 1};
    pq_write_options o;
    pq_write_options_default(&o);
    o.page_rows = 100;
    for (int order = 0; order < 3; order++) {
        pq_writer *w = writer(&def, 1, &o, NULL, NULL);
        static int64_t data[1000];
        uint64_t valid[16];
        memset(valid, 0xff, sizeof valid);
        for (int i = 0; i < 1000; i++)
            data[i] = order == 0 ? (i * 7919) % 1000 : order == 1 ? i / 3 : -i;
        for (uint32_t i = 300; i < 400; i++)
            bit_clear(valid, i);
        vec v = {.t = def.t, .enc = VEC_FLAT, .len = 1000, .data = data, .valid = valid};
        append_vec(w, &v, NULL, 0);
        arena a;
        pq_write_result res;
        arena_init(&a, NULL);
        assert_int_equal(pq_writer_finish(w, &a, &res, NULL), FZ_OK);
        opened f = open_file();
        const pq_column_chunk *c = &pq_meta(f.p)->row_groups[0].columns[0];
        uint8_t bytes[8192];
        pq_column_index ci;
        pq_offset_index oi;
        assert_true(c->column_index_length < 4096 && c->offset_index_length < 4096);
        assert_int_equal(io_read(f.f, (uint64_t)c->column_index_offset, bytes, (size_t)c->column_index_length, NULL), FZ_OK);
        assert_int_equal(pq_read_column_index(bytes, (size_t)c->column_index_length, &a, &ci, NULL), FZ_OK);
        assert_int_equal(io_read(f.f, (uint64_t)c->offset_index_offset, bytes + 4096, (size_t)c->offset_index_length, NULL), FZ_OK);
        assert_int_equal(pq_read_offset_index(bytes + 4096, (size_t)c->offset_index_length, &a, &oi, NULL), FZ_OK);
        assert_int_equal(ci.n, 10);
        assert_int_equal(oi.n, 10);
        assert_int_equal(ci.boundary_order, order);
        assert_int_equal(oi.pages[0].offset, c->data_page_offset);
        int64_t end = c->data_page_offset;
        for (uint32_t p = 0; p < 10; p++) {
            assert_int_equal(oi.pages[p].first_row, p * 100);
            assert_int_equal(oi.pages[p].offset, end);
            end += oi.pages[p].compressed_size;
            assert_int_equal(ci.null_pages[p], p == 3);
            assert_int_equal(ci.null_counts[p], p == 3 ? 100 : 0);
            if (p == 3)
                continue;
            int64_t lo = INT64_MAX, hi = INT64_MIN, got;
            for (uint32_t i = p * 100; i < p * 100 + 100; i++) {
                lo = data[i] < lo ? data[i] : lo;
                hi = data[i] > hi ? data[i] : hi;
            }
            memcpy(&got, ci.min[p].p, 8);
            assert_int_equal(got, lo);
            memcpy(&got, ci.max[p].p, 8);
            assert_int_equal(got, hi);
        }
        close_file(f);
        unlink(path);
        arena_free(&a);
    }
}

/* ---- Bloom filters ---- */

static void bloom_filters(void **s)
{
    enum { ROWS = 3000 };
    static const uint64_t ranges[] = {40, UINT64_MAX}; /* with and without a dictionary */
    for (int t = 0; t < TYPES; t++)
        for (int k = 0; k < 2; k++) {
            arena a;
            arena_init(&a, NULL);
            datum *want = ARENA_ARRAY(&a, datum, ROWS);
            column_def def = {.name = STR("c"), .t = types[t], .field_id = 9};
            pq_leaf_options leaf = {.name = STR("c"), .bloom = true};
            pq_write_options o;
            pq_write_options_default(&o);
            o.leaves = &leaf;
            o.n_leaves = 1;
            vec v;
            assert_int_equal(vec_alloc(&v, types[t], ROWS, &a, NULL), FZ_OK);
            v.valid = bitmap_alloc(&a, ROWS, true);
            for (uint32_t i = 0; i < ROWS; i++) {
                want[i] = random_value(types[t], ranges[k], &a);
                put_datum(&v, i, &want[i]);
            }
            pq_writer *w = writer(&def, 1, &o, NULL, NULL);
            append_vec(w, &v, NULL, 0);
            pq_write_result res;
            assert_int_equal(pq_writer_finish(w, &a, &res, NULL), FZ_OK);
            opened f = open_file();
            const pq_column_chunk *c = &pq_meta(f.p)->row_groups[0].columns[0];
            assert_int_equal(c->bloom_offset >= 0, types[t].id != T_BOOL);
            if (types[t].id != T_BOOL) {
                assert_true(c->bloom_length <= (k ? 4096 + 32 : 96));
                uint32_t false_ones = 0, asked = 0;
                for (uint32_t i = 0; i < ROWS; i++)
                    assert_true(want[i].null || pq_bloom_may_contain(f.p, f.f, 0, 0, &want[i]));
                for (uint32_t i = 0; k && i < 300; i++) {
                    datum d = random_value(types[t], UINT64_MAX, &a);
                    bool there = d.null;
                    for (uint32_t j = 0; j < ROWS && !there; j++)
                        there = datum_eq(&d, &want[j]);
                    asked += !there;
                    false_ones += !there && pq_bloom_may_contain(f.p, f.f, 0, 0, &d);
                }
                /* NaN, zero and decimals of more than 18 digits are never ruled out */
                if (type_phys(types[t]) != PHYS_I128 && false_ones > asked / 25 + 1)
                    fail_msg("type %d: %u of %u", (int)types[t].id, (unsigned)false_ones, (unsigned)asked);
            }
            close_file(f);
            unlink(path);
            arena_free(&a);
        }
}

/* ---- nested columns: levels, pages and metrics of a column that is small enough to reckon by hand ---- */

static void lists_by_hand(void **s)
{
    union { type_fields f; char room[sizeof(type_fields) + sizeof(type_field)]; } kids = {.f = {.n = 1}};
    kids.f.f[0] = (type_field){.name = STR("element"), .field_id = 2, .t = TYPE(T_INT64)};
    column_def def = {.name = STR("l"), .t = {.id = T_LIST, .children = &kids.f}, .field_id = 1};
    /* [1, 2]  null (over hidden elements)  []  [3, null]  [4] */
    int64_t data[] = {77, 1, 2, 66, 55, 3, 0, 4};
    uint32_t offsets[] = {1, 3, 5, 5, 7, 8};
    uint64_t valid[] = {0x1d}, evalid[] = {0xbf};
    vec element = {.t = TYPE(T_INT64), .enc = VEC_FLAT, .len = 8, .data = data, .valid = evalid};
    vec list = {.t = def.t, .enc = VEC_FLAT, .len = 5, .data = offsets, .valid = valid, .kids = &element};
    for (int version = 1; version <= 2; version++) {
        pq_write_options o;
        pq_write_options_default(&o);
        o.page_rows = 2;
        o.page_version = version;
        o.codec = PQ_UNCOMPRESSED;
        pq_writer *w = writer(&def, 1, &o, NULL, NULL);
        append_vec(w, &list, NULL, 0);
        arena a;
        pq_write_result res;
        arena_init(&a, NULL);
        assert_int_equal(pq_writer_finish(w, &a, &res, NULL), FZ_OK);
        assert_int_equal(res.ncols, 1);
        assert_true(str_eqz(res.cols[0].path, "l.element") && res.cols[0].repeated);
        assert_int_equal(res.cols[0].field_id, 2);
        assert_int_equal(res.cols[0].value_count, 7);
        assert_int_equal(res.cols[0].null_count, 3);
        opened f = open_file();
        const pq_file_meta *m = pq_meta(f.p);
        const pq_column_chunk *c = &m->row_groups[0].columns[0];
        assert_int_equal(m->row_groups[0].num_rows, 5);
        assert_int_equal(c->num_values, 7);
        assert_int_equal(m->schema[1].field_id, 1);
        assert_int_equal(m->schema[1].logical, PQ_LOG_LIST);
        assert_int_equal(m->schema[2].repetition, PQ_REPEATED);
        assert_int_equal(m->schema[3].field_id, 2);
        uint8_t bytes[512];
        pq_column_index ci;
        pq_offset_index oi;
        assert_int_equal(io_read(f.f, (uint64_t)c->column_index_offset, bytes, (size_t)c->column_index_length, NULL), FZ_OK);
        assert_int_equal(pq_read_column_index(bytes, (size_t)c->column_index_length, &a, &ci, NULL), FZ_OK);
        assert_int_equal(io_read(f.f, (uint64_t)c->offset_index_offset, bytes + 256, (size_t)c->offset_index_length, NULL), FZ_OK);
        assert_int_equal(pq_read_offset_index(bytes + 256, (size_t)c->offset_index_length, &a, &oi, NULL), FZ_OK);
        static const int64_t first[] = {0, 2, 4}, nulls[] = {1, 2, 0};
        assert_int_equal(ci.n, 3);
        assert_int_equal(oi.n, 3);
        for (int p = 0; p < 3; p++) {
            assert_int_equal(oi.pages[p].first_row, first[p]);
            assert_int_equal(ci.null_counts[p], nulls[p]);
        }
        /* the second page: [] and [3, null] */
        uint8_t page[256];
        pq_page_header h;
        size_t used;
        assert_int_equal(io_read(f.f, (uint64_t)oi.pages[1].offset, page, (size_t)oi.pages[1].compressed_size, NULL), FZ_OK);
        assert_int_equal(pq_read_page_header(page, sizeof page, 0, &h, &used, NULL), FZ_OK);
        assert_int_equal(h.num_values, 3);
        static const uint8_t rep[] = {3, 0x04}; /* one group of eight: 0 0 1; definition levels 1 3 2 have two bits */
        const uint8_t *body = page + used;
        if (version == 2) {
            assert_int_equal(h.num_rows, 2);
            assert_int_equal(h.num_nulls, 2);
            assert_int_equal(h.rep_length, 2);
            assert_int_equal(h.def_length, 3);
            assert_memory_equal(body, rep, 2);
            assert_int_equal(body[2], 3);
            assert_int_equal(body[3], 1 | 3 << 2 | 2 << 4);
        } else {
            assert_int_equal(body[0], 2);
            assert_memory_equal(body + 4, rep, 2);
            assert_int_equal(body[6], 3);
            assert_int_equal(body[11], 1 | 3 << 2 | 2 << 4);
        }
        close_file(f);
        unlink(path);
        arena_free(&a);
    }
}

static void nested_refusals(void **s)
{
    fz_error err = {0};
    pq_write_options o;
    pq_write_options_default(&o);
    io_writer *io;
    pq_writer *w;
    /* deeper than types may be */
    union { type_fields f; char room[sizeof(type_fields) + sizeof(type_field)]; } level[70];
    for (int i = 0; i < 70; i++) {
        level[i].f.n = 1;
        level[i].f.f[0] = (type_field){.name = STR("x"), .t = i ? (type){.id = T_STRUCT, .children = &level[i - 1].f} : TYPE(T_BOOL)};
    }
    column_def deep = {.name = STR("deep"), .t = {.id = T_STRUCT, .children = &level[69].f}};
    row_schema schema = {1, &deep};
    assert_int_equal(io_create(NULL, path, NULL, &io, NULL), FZ_OK);
    assert_int_equal(pq_writer_open(io, &schema, &o, NULL, 0, NULL, NULL, &w, &err), FZ_LIMIT);
    deep.t.children = &level[60].f;
    assert_int_equal(io_create(NULL, path, NULL, &io, NULL), FZ_OK);
    assert_int_equal(pq_writer_open(io, &schema, &o, NULL, 0, NULL, NULL, &w, &err), FZ_OK);
    pq_writer_abort(w);
    /* a struct without fields has no leaf */
    type_fields none = {.n = 0};
    deep.t.children = &none;
    assert_int_equal(io_create(NULL, path, NULL, &io, NULL), FZ_OK);
    assert_int_equal(pq_writer_open(io, &schema, &o, NULL, 0, NULL, NULL, &w, &err), FZ_UNSUPPORTED);
    assert_non_null(strstr(err.message, "\"deep\""));
    /* a null where the member of a struct that is there is required */
    level[0].f.f[0] = (type_field){.name = STR("must"), .required = true, .t = TYPE(T_INT64)};
    deep.t.children = &level[0].f;
    int64_t data[] = {1, 2, 3};
    uint64_t valid[] = {5}, parent[] = {5};
    vec member = {.t = TYPE(T_INT64), .enc = VEC_FLAT, .len = 3, .data = data, .valid = valid};
    vec v = {.t = deep.t, .enc = VEC_FLAT, .len = 3, .kids = &member, .valid = parent};
    arena a;
    pq_write_result res;
    arena_init(&a, NULL);
    w = writer(&deep, 1, &o, NULL, NULL);
    append_vec(w, &v, NULL, 0); /* hidden by its parent: fine */
    assert_int_equal(pq_writer_finish(w, &a, &res, &err), FZ_OK);
    assert_int_equal(res.cols[0].null_count, 1);
    unlink(path);
    parent[0] = 7;
    w = writer(&deep, 1, &o, NULL, NULL);
    append_vec(w, &v, NULL, 0);
    assert_int_equal(pq_writer_finish(w, &a, &res, &err), FZ_VALUE);
    assert_non_null(strstr(err.message, "deep.must"));
    v.valid = NULL; /* without a level in between */
    w = writer(&deep, 1, &o, NULL, NULL);
    append_vec(w, &v, NULL, 0);
    assert_int_equal(pq_writer_finish(w, &a, &res, &err), FZ_VALUE);
    arena_free(&a);
}

/* ---- size: what is the same costs next to nothing ---- */

static void sorted_columns_are_small(void **s)
{
    column_def def = {.name = STR("month"), .t = TYPE(T_INT64), .field_id = 1, .not_null = true};
    pq_writer *w = writer(&def, 1, NULL, NULL, NULL);
    static int64_t data[8000];
    for (uint32_t b = 0; b < 50; b++) {
        for (int i = 0; i < 8000; i++)
            data[i] = 201701 + (b * 8000 + i) / 30000;
        vec v = {.t = def.t, .enc = VEC_FLAT, .len = 8000, .data = data};
        append_vec(w, &v, NULL, 0);
    }
    arena a;
    pq_write_result res;
    arena_init(&a, NULL);
    assert_int_equal(pq_writer_finish(w, &a, &res, NULL), FZ_OK);
    assert_true(res.cols[0].size_bytes < 1100); /* 20 pages, headers included */
    opened f = open_file();
    assert_true(pq_meta(f.p)->row_groups[0].columns[0].encodings & 1u << PQ_ENC_RLE_DICTIONARY);
    close_file(f);
    arena_free(&a);
}

/* ---- refusals and failures ---- */

static void refusals(void **s)
{
    fz_error err;
    pq_write_options o;
    pq_write_options_default(&o);
    column_def bad = {.name = STR("x"), .t = TYPE(T_LIST), .field_id = 1}, good = {.name = STR("x"), .t = TYPE(T_INT64)};
    row_schema nested = {1, &bad}, none = {0, NULL}, fine = {1, &good};
    pq_writer *w;
    io_writer *io;
    assert_int_equal(io_create(NULL, path, NULL, &io, NULL), FZ_OK);
    assert_int_equal(pq_writer_open(io, &nested, &o, NULL, 0, NULL, NULL, &w, &err), FZ_UNSUPPORTED);
    assert_non_null(strstr(err.message, "\"x\""));
    assert_int_equal(io_create(NULL, path, NULL, &io, NULL), FZ_OK); /* the file is gone */
    assert_int_equal(pq_writer_open(io, &none, &o, NULL, 0, NULL, NULL, &w, &err), FZ_INVALID);
    o.codec = PQ_LZO;
    assert_int_equal(io_create(NULL, path, NULL, &io, NULL), FZ_OK);
    assert_int_equal(pq_writer_open(io, &fine, &o, NULL, 0, NULL, NULL, &w, &err), FZ_UNSUPPORTED);
    pq_write_options_default(&o);
    o.page_rows = 0;
    assert_int_equal(io_create(NULL, path, NULL, &io, NULL), FZ_OK);
    assert_int_equal(pq_writer_open(io, &fine, &o, NULL, 0, NULL, NULL, &w, &err), FZ_INVALID);
    assert_int_not_equal(access(path, F_OK), 0);
}

static void null_in_required_column(void **s)
{
    column_def def = {.name = STR("key"), .t = TYPE(T_INT64), .field_id = 1, .not_null = true};
    pq_writer *w = writer(&def, 1, NULL, NULL, NULL);
    int64_t x[3] = {1, 2, 3};
    uint64_t valid[1] = {5};
    vec v = {.t = def.t, .enc = VEC_FLAT, .len = 3, .data = x, .valid = valid};
    append_vec(w, &v, NULL, 0);
    pq_write_result res;
    fz_error err;
    arena a;
    arena_init(&a, NULL);
    assert_int_equal(pq_writer_finish(w, &a, &res, &err), FZ_VALUE);
    assert_non_null(strstr(err.message, "\"key\""));
    assert_int_not_equal(access(path, F_OK), 0);
    arena_free(&a);
}

static void wrong_length(void **s)
{
    column_def def = {.name = STR("id"), .t = TYPE(T_UUID), .field_id = 1};
    pq_writer *w = writer(&def, 1, NULL, NULL, NULL);
    strview x = strview_make("fifteen bytes..", 15);
    vec v = {.t = def.t, .enc = VEC_FLAT, .len = 1, .data = &x};
    append_vec(w, &v, NULL, 0);
    pq_write_result res;
    arena a;
    arena_init(&a, NULL);
    assert_int_equal(pq_writer_finish(w, &a, &res, NULL), FZ_VALUE);
    arena_free(&a);
}

/* ---- threads ---- */

enum { COLS = 7 };

static int64_t cell(uint64_t row, uint32_t col) { return (int64_t)(col < 3 ? row / (col * 100 + 1) : row * 2654435761u % (1u << 3 * col)); }

static fz_status append_table(pq_writer *w, uint32_t batches, uint32_t rows, fz_error *err)
{
    fz_status st = FZ_OK;
    batch b;
    batch_init(&b, NULL);
    for (uint32_t k = 0; k < batches && st == FZ_OK; k++) {
        batch_reset(&b);
        st = batch_columns(&b, COLS, err);
        for (uint32_t c = 0; c < COLS && st == FZ_OK; c++) {
            st = vec_alloc(&b.cols[c], TYPE(T_INT64), rows, &b.mem, err);
            for (uint32_t i = 0; i < rows; i++)
                ((int64_t *)b.cols[c].data)[i] = cell((uint64_t)k * rows + i, c);
        }
        b.nrows = b.nsel = rows;
        if (st == FZ_OK)
            st = pq_writer_append(w, &b, err);
    }
    batch_free(&b);
    return st;
}

static void is_cell(void *ctx, uint64_t row, datum d)
{
    if (d.null || d.i64 != cell(row, *(uint32_t *)ctx))
        fail_msg("row %llu differs", (unsigned long long)row);
}

typedef struct appender {
    task t;
    pq_writer *w;
    arena *a;
    pq_write_result res;
    fz_status st;
    fz_error err;
} appender;

static task_result append_and_finish(task *t)
{
    appender *x = (appender *)t;
    x->st = append_table(x->w, 60, 1000, &x->err);
    if (x->st == FZ_OK)
        x->st = pq_writer_finish(x->w, x->a, &x->res, &x->err);
    else
        pq_writer_abort(x->w);
    return TASK_DONE;
}

/* The file is finished within a task of the job, while encoding tasks are still queued. */
static void finish_in_a_task(void **s)
{
    for (int threads = 0; threads <= 3; threads += 3) {
        mem m;
        arena a;
        job j;
        mem_init(&m, NULL, NULL, 0);
        arena_init(&a, &m);
        pool *p = pool_create(&m, threads);
        assert_int_equal(job_init(&j, p, &m, NULL), FZ_OK);
        column_def defs[COLS];
        for (uint32_t c = 0; c < COLS; c++)
            defs[c] = (column_def){.name = STR("c"), .t = TYPE(T_INT64), .field_id = (int32_t)c, .not_null = true};
        pq_write_options o;
        pq_write_options_default(&o);
        o.row_group_rows = 7000;
        appender x = {.t = {.step = append_and_finish}, .w = writer(defs, COLS, &o, &j, &m), .a = &a};
        task_submit(&j, &x.t);
        assert_int_equal(job_wait(&j, NULL), FZ_OK);
        assert_int_equal(x.st, FZ_OK);
        assert_int_equal(x.res.rows, 60000);
        assert_int_equal(x.res.n_splits, 9);
        opened f = open_file();
        for (uint32_t c = 0; c < COLS; c++)
            assert_int_equal(read_leaf(f, c, 4096, is_cell, &c), 60000);
        close_file(f);
        unlink(path);
        job_destroy(&j);
        pool_destroy(p);
        arena_free(&a);
        assert_int_equal(atomic_load(&m.used), 0);
    }
}

/* Given up half way: nothing is left of it, whatever is still queued. */
static void abort_half_way(void **s)
{
    for (int round = 0; round < 10; round++) {
        mem m;
        job j;
        mem_init(&m, NULL, NULL, 0);
        pool *p = pool_create(&m, 2);
        assert_int_equal(job_init(&j, p, &m, NULL), FZ_OK);
        column_def defs[COLS];
        for (uint32_t c = 0; c < COLS; c++)
            defs[c] = (column_def){.name = STR("c"), .t = TYPE(T_INT64), .field_id = (int32_t)c};
        pq_writer *w = writer(defs, COLS, NULL, &j, &m);
        assert_int_equal(append_table(w, (uint32_t)round * 4, 500, NULL), FZ_OK);
        fz_error err = {.status = FZ_VALUE};
        if (round % 2)
            job_fail(&j, &err);
        pq_writer_abort(w);
        assert_int_equal(job_wait(&j, NULL), round % 2 ? FZ_VALUE : FZ_OK);
        job_destroy(&j);
        pool_destroy(p);
        assert_int_not_equal(access(path, F_OK), 0);
        assert_int_equal(atomic_load(&m.used), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_type, setup, teardown),
        cmocka_unit_test_setup_teardown(vector_encodings, setup, teardown),
        cmocka_unit_test_setup_teardown(text_bounds, setup, teardown),
        cmocka_unit_test(rounding_up),
        cmocka_unit_test_setup_teardown(float_bounds, setup, teardown),
        cmocka_unit_test_setup_teardown(page_indexes, setup, teardown),
        cmocka_unit_test_setup_teardown(bloom_filters, setup, teardown),
        cmocka_unit_test_setup_teardown(lists_by_hand, setup, teardown),
        cmocka_unit_test_setup_teardown(nested_refusals, setup, teardown),
        cmocka_unit_test_setup_teardown(sorted_columns_are_small, setup, teardown),
        cmocka_unit_test_setup_teardown(refusals, setup, teardown),
        cmocka_unit_test_setup_teardown(null_in_required_column, setup, teardown),
        cmocka_unit_test_setup_teardown(wrong_length, setup, teardown),
        cmocka_unit_test_setup_teardown(finish_in_a_task, setup, teardown),
        cmocka_unit_test_setup_teardown(abort_half_way, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
