/*
 * Reading Parquet: the encodings of vectors, skipping, indexes, bounds, promotion, hostile bytes.
 * Files are made here, page by page, with the writing half's metadata and codec functions; values of
 * real files are compared in tests/interop/test_parquet_read.py.
 */
#include "codec/delta_encode.h"
#include "codec/rle_encode.h"
#include "format/mem_file.h"
#include "format/parquet/parquet.h"

#include <dirent.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* ---- a file of one column, made page by page ---- */

typedef struct maker {
    sbuf b;
    pq_schema_element schema[2];
    uint32_t leaf_element;
    pq_column_chunk chunk;
    pq_row_group group;
    pq_file_meta meta;
    pq_page_location pages[64];
    uint32_t n_pages;
    int64_t rows;
    io_file *f;
    mem_file mf;
    pq_file *p;
} maker;

static void maker_init(maker *m, pq_physical t, bool optional)
{
    memset(m, 0, sizeof *m);
    sbuf_init(&m->b, NULL);
    sbuf_add(&m->b, "PAR1", 4);
    m->schema[0] = (pq_schema_element){.name = STR("root"), .num_children = 1, .field_id = -1, .converted = PQ_CONV_NONE};
    m->schema[1] = (pq_schema_element){.name = STR("c"), .has_type = true, .type = t, .field_id = 7,
                                       .repetition = optional ? PQ_OPTIONAL : PQ_REQUIRED, .converted = PQ_CONV_NONE};
    m->leaf_element = 1;
    m->chunk = (pq_column_chunk){.type = t, .dictionary_page_offset = -1, .offset_index_offset = -1,
                                 .column_index_offset = -1};
}

static void put_page(maker *m, pq_page_header h, const void *body, size_t n)
{
    h.compressed_size = h.uncompressed_size = (int32_t)n;
    int64_t at = (int64_t)m->b.n;
    if (h.type == PQ_PAGE_DICT)
        m->chunk.dictionary_page_offset = at;
    else if (!m->n_pages)
        m->chunk.data_page_offset = at;
    pq_write_page_header(&m->b, &h);
    sbuf_add(&m->b, body, n);
    m->chunk.total_compressed_size += (int64_t)m->b.n - at;
    m->chunk.total_uncompressed_size = m->chunk.total_compressed_size;
    if (h.type != PQ_PAGE_DICT) {
        m->pages[m->n_pages++] = (pq_page_location){at, (int32_t)((int64_t)m->b.n - at), m->rows};
        m->rows += h.num_values;
    }
}

static void put_dict(maker *m, const int64_t *v, int n)
{
    put_page(m, (pq_page_header){.type = PQ_PAGE_DICT, .num_values = n, .encoding = PQ_ENC_PLAIN}, v, (size_t)n * 8);
}

/* A v1 page of `rows` rows: levels (NULL: the column is required) and the values' bytes. */
static void put_data(maker *m, int rows, pq_encoding enc, const uint8_t *levels, size_t n_levels,
                     const void *values, size_t n)
{
    sbuf body;
    sbuf_init(&body, NULL);
    if (levels) {
        uint32_t len = (uint32_t)n_levels;
        sbuf_add(&body, &len, 4);
        sbuf_add(&body, levels, n_levels);
    }
    sbuf_add(&body, values, n);
    put_page(m, (pq_page_header){.type = PQ_PAGE_DATA, .num_values = rows, .num_rows = rows, .encoding = enc,
                                 .def_encoding = PQ_ENC_RLE, .rep_encoding = PQ_ENC_RLE}, body.p, body.n);
    sbuf_free(&body);
}

/* A page of runs of dictionary codes: (code, length) pairs. */
static void put_runs(maker *m, const uint32_t (*runs)[2], int n)
{
    uint8_t b[1024] = {3};
    size_t at = 1;
    int rows = 0;
    for (int i = 0; i < n; i++) {
        at += rle_encode_run(runs[i][0], runs[i][1], 3, b + at);
        rows += (int)runs[i][1];
    }
    put_data(m, rows, PQ_ENC_RLE_DICTIONARY, NULL, 0, b, at);
}

static fz_status maker_open(maker *m, bool index, fz_error *err)
{
    m->chunk.num_values = m->rows;
    if (index) {
        m->chunk.offset_index_offset = (int64_t)m->b.n;
        pq_write_offset_index(&m->b, &(pq_offset_index){m->n_pages, m->pages});
        m->chunk.offset_index_length = (int32_t)((int64_t)m->b.n - m->chunk.offset_index_offset);
    }
    m->group = (pq_row_group){.num_rows = m->rows, .columns = &m->chunk, .total_byte_size = m->chunk.total_compressed_size};
    m->meta = (pq_file_meta){.version = 2, .num_rows = m->rows, .n_schema = 2, .schema = m->schema, .n_leaves = 1,
                             .leaf_element = &m->leaf_element, .n_row_groups = 1, .row_groups = &m->group,
                             .created_by = STR("frazil test")};
    size_t at = m->b.n;
    pq_write_footer(&m->b, &m->meta);
    uint32_t len = (uint32_t)(m->b.n - at);
    sbuf_add(&m->b, &len, 4);
    sbuf_add(&m->b, "PAR1", 4);
    assert_false(m->b.failed);
    mem_file_init(&m->mf, (const uint8_t *)m->b.p, m->b.n);
    return pq_open(&m->mf.f, NULL, &m->p, err);
}

static void maker_free(maker *m)
{
    pq_close(m->p);
    sbuf_free(&m->b);
}

static pq_cursor *cursor(maker *m, fz_error *err)
{
    pq_cursor *c = NULL;
    fz_status st = pq_cursor_open(m->p, &m->mf.f, 0, 0, pq_schema(m->p)->cols[0].t, NULL, NULL, &c, err);
    if (st != FZ_OK)
        fail_msg("%s", err->message);
    return c;
}

#define OK(call)                               \
    do {                                       \
        fz_status ok_ = (call);                \
        if (ok_ != FZ_OK)                      \
            fail_msg("%s: %s", #call, e.message); \
    } while (0)

static const int64_t dict8[8] = {100, 101, 102, 103, 104, 105, 106, 107};

/* ---- the forms that vectors take ---- */

static void runs_stay_runs(void **s)
{
    maker m;
    fz_error e = {0};
    maker_init(&m, PQ_INT64, false);
    put_dict(&m, dict8, 8);
    put_runs(&m, (const uint32_t[][2]){{1, 5000}, {2, 3000}}, 2);
    put_runs(&m, (const uint32_t[][2]){{2, 1000}, {3, 7384}}, 2);
    OK(maker_open(&m, false, &e));
    assert_int_equal(pq_find_field(m.p, NULL, 7), 0);
    assert_int_equal(pq_find_name(m.p, STR("c")), 0);
    assert_int_equal(pq_find_name(m.p, STR("d")), -1);
    batch b;
    batch_init(&b, NULL);
    pq_cursor *c = cursor(&m, &e);
    vec v;
    OK(pq_cursor_read(c, 4096, NULL, 0, &v, &b, &e));
    assert_int_equal(v.enc, VEC_CONST);
    assert_int_equal(v.len, 4096);
    assert_null(v.valid);
    assert_true(*(int64_t *)v.data == 101);
    /* 904 of 1, 4000 of 2 over the end of a page, 3288 of 3 */
    OK(pq_cursor_read(c, 8192, NULL, 0, &v, &b, &e));
    assert_int_equal(v.enc, VEC_RLE);
    assert_int_equal(v.nruns, 3);
    const uint32_t *ends = v.data;
    assert_int_equal(ends[0], 904);
    assert_int_equal(ends[1], 4904);
    assert_int_equal(ends[2], 8192);
    const int64_t *values = v.values->data;
    assert_int_equal(v.values->len, 3);
    assert_true(values[0] == 101 && values[1] == 102 && values[2] == 103);
    assert_int_equal(pq_cursor_left(c), 4096);
    OK(pq_cursor_read(c, 4096, NULL, 0, &v, &b, &e));
    assert_int_equal(v.enc, VEC_CONST);
    assert_true(*(int64_t *)v.data == 103);
    assert_int_equal(pq_cursor_left(c), 0);
    assert_int_equal(pq_cursor_read(c, 1, NULL, 0, &v, &b, &e), FZ_INVALID);
    pq_cursor_close(c);
    batch_free(&b);
    maker_free(&m);
}

static void many_runs_become_codes(void **s)
{
    maker m;
    fz_error e = {0};
    maker_init(&m, PQ_INT64, false);
    put_dict(&m, dict8, 8);
    uint32_t runs[60][2];
    for (uint32_t i = 0; i < 60; i++)
        runs[i][0] = i % 7, runs[i][1] = 3;
    put_runs(&m, runs, 60);
    OK(maker_open(&m, false, &e));
    batch b;
    batch_init(&b, NULL);
    pq_cursor *c = cursor(&m, &e);
    vec v;
    OK(pq_cursor_read(c, 180, NULL, 0, &v, &b, &e));
    assert_int_equal(v.enc, VEC_DICT);
    assert_true(v.dict_id != 0);
    assert_int_equal(v.values->len, 8);
    for (uint32_t i = 0; i < 180; i++)
        assert_int_equal(((uint32_t *)v.data)[i], i / 3 % 7);
    pq_cursor_close(c);
    batch_free(&b);
    maker_free(&m);
}

/* Codes, nulls, then a page of plain values: one read over all of it. */
static void forms_mix(void **s)
{
    maker m;
    fz_error e = {0};
    maker_init(&m, PQ_INT64, true);
    put_dict(&m, dict8, 8);
    uint8_t levels[64], body[64] = {3};
    size_t n = rle_encode_run(1, 100, 1, levels);
    size_t k = 1 + rle_encode_run(5, 100, 3, body + 1);
    put_data(&m, 100, PQ_ENC_RLE_DICTIONARY, levels, n, body, k);
    uint64_t bits = 0x5555555555555555u; /* rows 0, 2, 4, … of 64 */
    n = rle_encode_bits(&bits, 0, 64, levels);
    uint32_t codes[32];
    for (uint32_t i = 0; i < 32; i++)
        codes[i] = i % 8;
    k = 1 + rle_encode(codes, 32, 3, body + 1);
    put_data(&m, 64, PQ_ENC_RLE_DICTIONARY, levels, n, body, k);
    int64_t plain[32];
    for (int i = 0; i < 32; i++)
        plain[i] = -i;
    put_data(&m, 64, PQ_ENC_PLAIN, levels, n, plain, sizeof plain);
    n = rle_encode_run(0, 50, 1, levels);
    put_data(&m, 50, PQ_ENC_PLAIN, levels, n, "", 0);
    OK(maker_open(&m, false, &e));
    static const uint32_t steps[] = {278, 164, 100, 99, 13, 1};
    for (unsigned i = 0; i < 6; i++) {
        batch b;
        batch_init(&b, NULL);
        pq_cursor *c = cursor(&m, &e);
        uint32_t at = 0;
        while (pq_cursor_left(c)) {
            uint32_t want = pq_cursor_left(c) < steps[i] ? (uint32_t)pq_cursor_left(c) : steps[i];
            vec v;
            OK(pq_cursor_read(c, want, NULL, 0, &v, &b, &e));
            if (i == 0)
                assert_int_equal(v.enc, VEC_FLAT);
            if (i == 1 && at == 0)
                assert_int_equal(v.enc, VEC_DICT);
            if (i == 2 && at == 0)
                assert_int_equal(v.enc, VEC_CONST);
            for (uint32_t j = 0; j < want; j++, at++) {
                datum d = vec_datum(&v, j);
                if (at < 100)
                    assert_true(!d.null && d.i64 == 105);
                else if (at >= 228 || at % 2 == 1)
                    assert_true(d.null);
                else if (at < 164)
                    assert_true(!d.null && d.i64 == 100 + (at - 100) / 2 % 8);
                else
                    assert_true(!d.null && d.i64 == -(int64_t)(at - 164) / 2);
            }
            batch_reset(&b);
        }
        pq_cursor_close(c);
        batch_free(&b);
    }
    maker_free(&m);
}

/* Plain values of a page in memory are handed out where they lie. */
static void plain_is_lent(void **s)
{
    maker m;
    fz_error e = {0};
    maker_init(&m, PQ_INT32, false);
    int32_t v32[3000];
    for (int i = 0; i < 3000; i++)
        v32[i] = i * 3;
    put_data(&m, 3000, PQ_ENC_PLAIN, NULL, 0, v32, sizeof v32);
    OK(maker_open(&m, false, &e));
    batch b;
    batch_init(&b, NULL);
    pq_cursor *c = cursor(&m, &e);
    vec v1, v2;
    OK(pq_cursor_read(c, 1000, NULL, 0, &v1, &b, &e));
    OK(pq_cursor_read(c, 2000, NULL, 0, &v2, &b, &e));
    assert_int_equal(v1.enc, VEC_FLAT);
    pq_cursor_close(c);
    maker_free(&m);
    /* Still there: the batch holds the page. */
    assert_int_equal(((int32_t *)v1.data)[999], 2997);
    assert_int_equal(((int32_t *)v2.data)[1999], 8997);
    batch_free(&b);
}

static void selection_is_enough(void **s)
{
    maker m;
    fz_error e = {0};
    maker_init(&m, PQ_INT64, false);
    put_dict(&m, dict8, 8);
    uint32_t codes[400];
    uint8_t body[400] = {3};
    for (uint32_t i = 0; i < 400; i++)
        codes[i] = (i * 5 + 3) % 8;
    size_t n = 1 + rle_encode(codes, 400, 3, body + 1);
    put_data(&m, 400, PQ_ENC_RLE_DICTIONARY, NULL, 0, body, n);
    OK(maker_open(&m, false, &e));
    batch b;
    batch_init(&b, NULL);
    pq_cursor *c = cursor(&m, &e);
    const uint16_t sel[] = {17, 40, 41};
    vec v;
    OK(pq_cursor_read(c, 100, sel, 3, &v, &b, &e));
    for (int i = 0; i < 3; i++)
        assert_true(vec_datum(&v, sel[i]).i64 == dict8[codes[sel[i]]]);
    for (uint32_t i = 0; i < 100; i++) /* the others are codes nevertheless */
        assert_true(((uint32_t *)v.data)[i] < 8);
    OK(pq_cursor_read(c, 100, sel, 0, &v, &b, &e));
    assert_int_equal(v.enc, VEC_CONST);
    OK(pq_cursor_read(c, 200, NULL, 0, &v, &b, &e));
    for (uint32_t i = 0; i < 200; i++)
        assert_true(vec_datum(&v, i).i64 == dict8[codes[200 + i]]);
    pq_cursor_close(c);
    batch_free(&b);
    maker_free(&m);
}

/* ---- skipping ---- */

#define SKIP_PAGES 40
#define SKIP_ROWS 20000

static void maker_big(maker *m)
{
    maker_init(m, PQ_INT64, false);
    int64_t *v = malloc(SKIP_ROWS * 8);
    for (int p = 0; p < SKIP_PAGES; p++) {
        for (int i = 0; i < SKIP_ROWS; i++)
            v[i] = (int64_t)p * SKIP_ROWS + i;
        put_data(m, SKIP_ROWS, PQ_ENC_PLAIN, NULL, 0, v, SKIP_ROWS * 8);
    }
    free(v);
}

static int64_t first_after_skip(maker *m, uint64_t skip, uint64_t *bytes)
{
    fz_error e = {0};
    batch b;
    batch_init(&b, NULL);
    pq_cursor *c = cursor(m, &e);
    vec v;
    OK(pq_cursor_skip(c, skip, &e));
    OK(pq_cursor_read(c, 10, NULL, 0, &v, &b, &e));
    int64_t got = vec_datum(&v, 0).i64;
    *bytes = pq_cursor_bytes(c);
    pq_cursor_close(c);
    batch_free(&b);
    return got;
}

static void index_saves_reads(void **s)
{
    maker m, plain;
    fz_error e = {0};
    uint64_t with, without;
    maker_big(&m);
    OK(maker_open(&m, true, &e));
    maker_big(&plain);
    OK(maker_open(&plain, false, &e));
    assert_int_equal(first_after_skip(&m, 35 * SKIP_ROWS + 123, &with), 35 * SKIP_ROWS + 123);
    assert_int_equal(first_after_skip(&plain, 35 * SKIP_ROWS + 123, &without), 35 * SKIP_ROWS + 123);
    assert_true(with < 2500000);
    assert_true(without > 5000000);
    maker_free(&m);
    maker_free(&plain);
}

/* An index whose rows or places are wrong is not used; what is read stays right. */
static void wrong_index_is_ignored(void **s)
{
    for (int kind = 0; kind < 5; kind++) {
        maker m;
        fz_error e = {0};
        uint64_t bytes;
        maker_big(&m);
        switch (kind) {
        case 0: m.pages[35].first_row += 10; break;
        case 1: m.pages[35].offset += 1; break;
        case 2: m.pages[35].compressed_size -= 1; break;
        case 3: m.pages[3].first_row = m.pages[2].first_row; break;
        case 4: m.pages[39].offset = INT64_MAX; break;
        }
        OK(maker_open(&m, true, &e));
        assert_int_equal(first_after_skip(&m, 35 * SKIP_ROWS + 123, &bytes), 35 * SKIP_ROWS + 123);
        assert_true(bytes > 5000000);
        maker_free(&m);
    }
}

/* ---- pruning by page ---- */

static bool keep_above(void *ctx, const pq_bounds *b, int64_t rows)
{
    return !b->known || b->max.i64 > *(int64_t *)ctx;
}

/* Ten pages of 100 rows, page i with values i*100 … i*100+99; what is wrong with the index is `kind`. */
static void prune_case(int kind, int64_t above, int want_n, uint64_t want_from, uint64_t want_to)
{
    maker m;
    fz_error e = {0};
    int64_t v[100], mins[10], maxs[10], low = 0, high = 999;
    str min[10], max[10];
    bool null_pages[10] = {0};
    int64_t nulls[10] = {0};
    maker_init(&m, PQ_INT64, false);
    for (int p = 0; p < 10; p++) {
        for (int i = 0; i < 100; i++)
            v[i] = p * 100 + i;
        put_data(&m, 100, PQ_ENC_PLAIN, NULL, 0, v, sizeof v);
        mins[p] = v[0];
        maxs[p] = v[99];
        min[p] = (str){(char *)&mins[p], 8};
        max[p] = (str){(char *)&maxs[p], 8};
    }
    m.chunk.stats = (pq_statistics){.has_min = true, .has_max = true, .has_null_count = true,
                                    .min = {(char *)&low, 8}, .max = {(char *)&high, 8}};
    pq_column_index ci = {.n = 10, .null_pages = null_pages, .min = min, .max = max, .boundary_order = 1, .null_counts = nulls};
    switch (kind) {
    case 1: maxs[9] = 1000; break;         /* beyond the chunk's */
    case 2: nulls[3] = 1; break;           /* more nulls than the chunk */
    case 3: ci.n = 9; break;
    case 4: m.chunk.stats.has_max = false; break;
    case 5: min[2].n = 7; break;
    case 6: m.pages[4].first_row = 399; m.pages[5].first_row = 399; break;
    }
    m.chunk.column_index_offset = (int64_t)m.b.n;
    pq_write_column_index(&m.b, &ci);
    m.chunk.column_index_length = (int32_t)((int64_t)m.b.n - m.chunk.column_index_offset);
    OK(maker_open(&m, true, &e));
    arena a;
    arena_init(&a, NULL);
    pq_row_range *r;
    uint32_t n;
    OK(pq_prune_pages(m.p, &m.mf.f, 0, 0, keep_above, &above, &a, &r, &n, &e));
    assert_int_equal(n, want_n);
    if (n) {
        assert_int_equal(r[0].from, want_from);
        assert_int_equal(r[n - 1].to, want_to);
    }
    arena_free(&a);
    maker_free(&m);
}

static void pages_are_pruned(void **s)
{
    prune_case(0, 650, 1, 600, 1000);
    prune_case(0, 699, 1, 700, 1000);
    prune_case(0, -1, 1, 0, 1000);
    prune_case(0, 999, 0, 0, 0);
    for (int kind = 1; kind <= 6; kind++) /* as if there were no index */
        prune_case(kind, 650, 1, 0, 1000);
}

/* ---- bounds and types ---- */

static pq_bounds bounds_of(maker *m, const void *min, size_t n_min, const void *max, size_t n_max)
{
    fz_error e = {0};
    m->chunk.stats.has_min = m->chunk.stats.has_max = true;
    m->chunk.stats.min = (str){min, n_min};
    m->chunk.stats.max = (str){max, n_max};
    OK(maker_open(m, false, &e));
    pq_bounds b;
    pq_column_bounds(m->p, 0, 0, &b);
    return b;
}

static void bounds_that_can_be_trusted(void **s)
{
    maker m;
    int64_t low = -5, high = 9;
    maker_init(&m, PQ_INT64, false);
    m.chunk.stats.has_null_count = true;
    pq_bounds b = bounds_of(&m, &low, 8, &high, 8);
    assert_true(b.known && b.exact && b.min.i64 == -5 && b.max.i64 == 9 && b.null_count == 0);
    maker_free(&m);

    maker_init(&m, PQ_INT64, false);
    b = bounds_of(&m, &high, 8, &low, 8); /* the wrong way round */
    assert_false(b.known);
    maker_free(&m);

    maker_init(&m, PQ_INT64, false);
    b = bounds_of(&m, &low, 7, &high, 8); /* cut */
    assert_false(b.known);
    assert_int_equal(b.null_count, -1);
    maker_free(&m);

    double zero = 0.0, one = 1.0, nan = NAN;
    maker_init(&m, PQ_DOUBLE, false);
    b = bounds_of(&m, &zero, 8, &one, 8);
    assert_true(b.known && signbit(b.min.f64) && isnan(b.max.f64)); /* there may be NaNs, which are greatest */
    maker_free(&m);

    maker_init(&m, PQ_DOUBLE, false);
    b = bounds_of(&m, &nan, 8, &one, 8);
    assert_false(b.known);
    maker_free(&m);

    maker_init(&m, PQ_BYTE_ARRAY, false);
    m.schema[1].logical = PQ_LOG_STRING;
    b = bounds_of(&m, "abc", 3, "abd", 3);
    assert_true(b.known && !b.exact && str_eqz(b.min.s, "abc") && str_eqz(b.max.s, "abd"));
    maker_free(&m);
}

static void promotion(void **s)
{
    maker m;
    fz_error e = {0};
    int32_t v32[] = {-1, 2, INT32_MAX};
    maker_init(&m, PQ_INT32, false);
    put_data(&m, 3, PQ_ENC_PLAIN, NULL, 0, v32, sizeof v32);
    OK(maker_open(&m, false, &e));
    batch b;
    batch_init(&b, NULL);
    pq_cursor *c;
    vec v;
    OK(pq_cursor_open(m.p, &m.mf.f, 0, 0, TYPE(T_INT64), NULL, NULL, &c, &e));
    OK(pq_cursor_read(c, 3, NULL, 0, &v, &b, &e));
    assert_int_equal(v.t.id, T_INT64);
    for (int i = 0; i < 3; i++)
        assert_true(((int64_t *)v.data)[i] == v32[i]);
    pq_cursor_close(c);
    assert_int_equal(pq_cursor_open(m.p, &m.mf.f, 0, 0, TYPE(T_STRING), NULL, NULL, &c, &e), FZ_INVALID);
    assert_non_null(strstr(e.message, "\"c\""));
    batch_free(&b);
    maker_free(&m);
}

static void decimals_are_checked(void **s)
{
    maker m;
    fz_error e = {0};
    int32_t v32[] = {9999, -9999, 10000};
    for (int n = 2; n <= 3; n++) {
        maker_init(&m, PQ_INT32, false);
        m.schema[1].logical = PQ_LOG_DECIMAL;
        m.schema[1].converted = PQ_CONV_DECIMAL;
        m.schema[1].precision = 4;
        m.schema[1].scale = 2;
        put_data(&m, n, PQ_ENC_PLAIN, NULL, 0, v32, (size_t)n * 4);
        OK(maker_open(&m, false, &e));
        batch b;
        batch_init(&b, NULL);
        pq_cursor *c = cursor(&m, &e);
        vec v;
        assert_int_equal(pq_cursor_read(c, (uint32_t)n, NULL, 0, &v, &b, &e), n == 2 ? FZ_OK : FZ_DATA);
        pq_cursor_close(c);
        batch_free(&b);
        maker_free(&m);
    }
}

/* ---- malformed pages ---- */

static fz_status read_all(pq_file *p, io_file *f, uint32_t leaf, fz_error *err)
{
    batch b;
    batch_init(&b, NULL);
    fz_status st = FZ_OK;
    for (uint32_t g = 0; g < pq_meta(p)->n_row_groups && st == FZ_OK; g++) {
        pq_cursor *c;
        st = pq_cursor_open(p, f, g, leaf, pq_schema(p)->cols[leaf].t, NULL, NULL, &c, err);
        uint64_t seen = 0;
        while (st == FZ_OK && pq_cursor_left(c) && seen < 100000) {
            uint32_t n = pq_cursor_left(c) < 500 ? (uint32_t)pq_cursor_left(c) : 500;
            vec v;
            st = pq_cursor_read(c, n, NULL, 0, &v, &b, err);
            for (uint32_t i = 0; st == FZ_OK && i < n; i++)
                vec_datum(&v, i);
            batch_reset(&b);
            seen += n;
        }
        pq_cursor_close(c);
    }
    batch_free(&b);
    return st;
}

static void bad_pages_are_errors(void **s)
{
    fz_error e = {0};
    static const struct { const char *words; int kind; } cases[] = {
        {"code that is too large", 0}, {"fewer values", 1}, {"without a dictionary", 2}, {"more rows than", 3},
        {"ends before its last row", 4}, {"UTF-8", 5}, {"passes its end", 6}, {"fewer levels", 7}, {"bits", 8},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        maker m;
        int kind = cases[i].kind;
        bool text = kind == 5 || kind == 6;
        maker_init(&m, text ? PQ_BYTE_ARRAY : PQ_INT64, kind == 7);
        if (text)
            m.schema[1].logical = PQ_LOG_STRING;
        else if (kind != 2)
            put_dict(&m, dict8, kind == 0 ? 4 : 8);
        uint8_t body[32] = {3}, levels[8];
        size_t n = 1 + rle_encode_run(5, 20, 3, body + 1);
        if (kind == 8)
            body[0] = 40;
        if (text)
            put_data(&m, 1, PQ_ENC_PLAIN, NULL, 0, kind == 5 ? "\2\0\0\0\xc3(" : "\3\0\0\0ab", 6);
        else if (kind == 7)
            put_data(&m, 20, PQ_ENC_RLE_DICTIONARY, levels, rle_encode_run(1, 19, 1, levels), body, n);
        else
            put_data(&m, kind == 1 ? 21 : 20, PQ_ENC_RLE_DICTIONARY, NULL, 0, body, n);
        if (kind == 3)
            m.rows--;
        if (kind == 4)
            m.rows++;
        OK(maker_open(&m, false, &e));
        memset(&e, 0, sizeof e);
        assert_int_equal(read_all(m.p, &m.mf.f, 0, &e), FZ_DATA);
        if (!strstr(e.message, cases[i].words))
            fail_msg("\"%s\" doesn't say \"%s\"", e.message, cases[i].words);
        assert_string_equal(e.where, "memory");
        maker_free(&m);
    }
}

/* ---- files of others, and what is left of them after damage ---- */

static uint8_t *file_load(const char *path, size_t *n)
{
    FILE *f = fopen(path, "rb");
    if (!f)
        return NULL;
    fseek(f, 0, SEEK_END);
    *n = (size_t)ftell(f);
    rewind(f);
    uint8_t *p = malloc(*n ? *n : 1);
    if (fread(p, 1, *n, f) != *n)
        *n = 0;
    fclose(f);
    return p;
}

static fz_status bytes_read_all(const uint8_t *data, size_t n)
{
    mem_file f;
    mem_file_init(&f, data, n);
    pq_file *p;
    fz_status st = pq_open(&f.f, NULL, &p, NULL);
    if (st != FZ_OK)
        return st;
    for (uint32_t i = 0; i < pq_schema(p)->n; i++) {
        fz_status one = read_all(p, &f.f, i, NULL);
        st = st == FZ_OK ? one : st;
    }
    pq_close(p);
    return st;
}

/* Reads with steps, skips and selections give what a plain read gives. */
static void column_compare(pq_file *p, io_file *f, uint32_t g, uint32_t column, uint32_t *seed)
{
    type t = pq_schema(p)->cols[column].t;
    pq_cursor *a, *b;
    if (pq_cursor_open(p, f, g, column, t, NULL, NULL, &a, NULL) != FZ_OK)
        return;
    assert_int_equal(pq_cursor_open(p, f, g, column, t, NULL, NULL, &b, NULL), FZ_OK);
    batch ba, bb;
    batch_init(&ba, NULL);
    batch_init(&bb, NULL);
    while (pq_cursor_left(a)) {
        uint32_t n = pq_cursor_left(a) < 3000 ? (uint32_t)pq_cursor_left(a) : 3000;
        vec va, vb;
        if (pq_cursor_read(a, n, NULL, 0, &va, &ba, NULL) != FZ_OK)
            break;
        for (uint32_t at = 0; at < n;) {
            *seed = *seed * 1664525u + 1013904223u;
            uint32_t k = 1 + (*seed >> 8) % 700, how = *seed >> 28;
            k = k < n - at ? k : n - at;
            uint16_t sel[3] = {(uint16_t)(k / 4), (uint16_t)(k / 2), (uint16_t)(k - 1)};
            if (how < 5) {
                assert_int_equal(pq_cursor_skip(b, k, NULL), FZ_OK);
            } else if (how < 10) {
                assert_int_equal(pq_cursor_read(b, k, NULL, 0, &vb, &bb, NULL), FZ_OK);
                for (uint32_t i = 0; i < k; i++) {
                    datum x = vec_datum(&va, at + i), y = vec_datum(&vb, i);
                    assert_true(datum_eq(&x, &y));
                }
            } else {
                uint32_t ns = how % 3 + 1;
                assert_int_equal(pq_cursor_read(b, k, sel, ns, &vb, &bb, NULL), FZ_OK);
                for (uint32_t i = 0; i < ns; i++) {
                    datum x = vec_datum(&va, at + sel[i]), y = vec_datum(&vb, sel[i]);
                    assert_true(datum_eq(&x, &y));
                }
            }
            at += k;
            if (*seed >> 20 & 1)
                batch_reset(&bb);
        }
        batch_reset(&ba);
    }
    batch_free(&ba);
    batch_free(&bb);
    pq_cursor_close(a);
    pq_cursor_close(b);
}

static int folder_each(const char *sub, void (*fn)(const char *name, const uint8_t *data, size_t n))
{
    const char *root = getenv("FRAZIL_SHARED_DATA");
    char folder[1024], path[2048];
    snprintf(folder, sizeof folder, "%s/%s", root ? root : "../shared/data", sub);
    DIR *d = opendir(folder);
    if (!d)
        return 0;
    int files = 0;
    for (struct dirent *x; (x = readdir(d));) {
        size_t len = strlen(x->d_name), n = 0;
        if (len < 8 || strcmp(x->d_name + len - 8, ".parquet"))
            continue;
        snprintf(path, sizeof path, "%s/%s", folder, x->d_name);
        uint8_t *data = file_load(path, &n);
        assert_non_null(data);
        fn(x->d_name, data, n);
        free(data);
        files++;
    }
    closedir(d);
    return files;
}

static void compare_one(const char *name, const uint8_t *data, size_t n)
{
    mem_file f;
    mem_file_init(&f, data, n);
    pq_file *p;
    uint32_t seed = (uint32_t)n;
    if (strstr(name, "large_string") || pq_open(&f.f, NULL, &p, NULL) != FZ_OK) /* 2 GB of text */
        return;
    for (uint32_t g = 0; g < pq_meta(p)->n_row_groups; g++)
        for (uint32_t i = 0; i < pq_schema(p)->n; i++)
            column_compare(p, &f.f, g, i, &seed);
    pq_close(p);
}

static void skips_and_selections(void **s)
{
    static const char *const folders[] = {
        "parquet-testing/data", "iceberg-java/encodings/PLAIN", "iceberg-java/encodings/RLE_DICTIONARY",
        "iceberg-java/encodings/DELTA_BINARY_PACKED", "iceberg-java/encodings/DELTA_BYTE_ARRAY",
        "iceberg-java/encodings/DELTA_LENGTH_BYTE_ARRAY", "iceberg-java/encodings/BYTE_STREAM_SPLIT",
    };
    int files = 0;
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++)
        files += folder_each(folders[i], compare_one);
    if (!files)
        skip();
    assert_true(files > 100);
}

static void bad_one(const char *name, const uint8_t *data, size_t n)
{
    if (strcmp(name, "ARROW-GH-43605.parquet") == 0) { /* readable: it was the reader that was wrong */
        assert_int_equal(bytes_read_all(data, n), FZ_OK);
        return;
    }
    mem_file f;
    pq_file *p;
    fz_error e = {.offset = -1};
    mem_file_init(&f, data, n);
    fz_status st = pq_open(&f.f, NULL, &p, &e);
    for (uint32_t i = 0; st == FZ_OK && i < pq_schema(p)->n; i++)
        st = read_all(p, &f.f, i, &e);
    pq_close(p);
    assert_int_equal(st, FZ_DATA);
    assert_string_equal(e.where, "memory");
    assert_true(e.offset > 0 && (uint64_t)e.offset < n);
}

static void bad_data(void **s)
{
    if (!folder_each("parquet-testing/bad_data", bad_one))
        skip();
}

/* A small file of each kind of page, cut at every byte and damaged at random: no reader may crash
 * (the sanitizers watch) and a cut file is never read. */
static void damage(maker *m)
{
    size_t n = m->b.n;
    for (size_t cut = 0; cut < n; cut++) {
        uint8_t *copy = malloc(cut ? cut : 1);
        memcpy(copy, m->b.p, cut);
        assert_true(bytes_read_all(copy, cut) != FZ_OK);
        free(copy);
    }
    uint8_t *copy = malloc(n);
    uint32_t seed = (uint32_t)n;
    for (int i = 0; i < 3000; i++) {
        memcpy(copy, m->b.p, n);
        for (int j = 0; j <= i % 3; j++) {
            seed = seed * 1664525u + 1013904223u;
            copy[(seed >> 8) % n] ^= (uint8_t)(1u << (seed >> 29));
        }
        bytes_read_all(copy, n);
    }
    free(copy);
}

static void damage_never_crashes(void **s)
{
    maker m;
    fz_error e = {0};
    uint8_t body[512] = {3}, levels[64];
    maker_init(&m, PQ_INT64, true);
    put_dict(&m, dict8, 8);
    size_t n = rle_encode_run(1, 40, 1, levels), k = 1 + rle_encode_run(5, 40, 3, body + 1);
    put_data(&m, 40, PQ_ENC_RLE_DICTIONARY, levels, n, body, k);
    int64_t v[40];
    for (int i = 0; i < 40; i++)
        v[i] = i * i;
    uint8_t *delta = malloc(delta_bound(40));
    k = delta_encode(v, 40, false, delta);
    put_data(&m, 40, PQ_ENC_DELTA_BINARY_PACKED, levels, n, delta, k);
    put_data(&m, 40, PQ_ENC_PLAIN, levels, n, v, sizeof v);
    OK(maker_open(&m, true, &e));
    assert_int_equal(read_all(m.p, &m.mf.f, 0, &e), FZ_OK);
    damage(&m);
    maker_free(&m);

    /* 0, 1, … 9 bytes of text, as lengths then bytes */
    maker_init(&m, PQ_BYTE_ARRAY, false);
    m.schema[1].logical = PQ_LOG_STRING;
    for (int i = 0; i < 10; i++)
        v[i] = i;
    k = delta_encode(v, 10, true, delta);
    memcpy(body, delta, k);
    memset(body + k, 'x', 45);
    put_data(&m, 10, PQ_ENC_DELTA_LENGTH_BYTE_ARRAY, NULL, 0, body, k + 45);
    /* each value the one before and one byte */
    size_t at = k;
    for (int i = 0; i < 10; i++)
        v[i] = 1;
    k = delta_encode(v, 10, true, delta);
    memmove(body + at, delta, k);
    memset(body + at + k, 'y', 10);
    put_data(&m, 10, PQ_ENC_DELTA_BYTE_ARRAY, NULL, 0, body, at + k + 10);
    OK(maker_open(&m, false, &e));
    OK(read_all(m.p, &m.mf.f, 0, &e));
    damage(&m);
    maker_free(&m);
    free(delta);
}

/* ---- memory that fails ---- */

typedef struct failing { long left; long live; } failing;

static void *failing_resize(void *ctx, void *p, size_t old_size, size_t new_size)
{
    failing *x = ctx;
    if (new_size == 0) {
        x->live -= p != NULL;
        free(p);
        return NULL;
    }
    if (x->left-- <= 0)
        return NULL;
    void *q = aligned_alloc(64, (new_size + 63) & ~(size_t)63);
    if (p) {
        memcpy(q, p, old_size < new_size ? old_size : new_size);
        free(p);
    } else {
        x->live++;
    }
    return q;
}

/* Each allocation in turn fails: FZ_NOMEM comes out, and nothing is left behind. */
static void memory_may_fail(void **s)
{
    maker m;
    fz_error e = {0};
    uint8_t body[512] = {3};
    maker_init(&m, PQ_INT64, false);
    put_dict(&m, dict8, 8);
    uint32_t codes[200];
    for (uint32_t i = 0; i < 200; i++)
        codes[i] = i % 8;
    size_t n = 1 + rle_encode(codes, 200, 3, body + 1);
    put_data(&m, 200, PQ_ENC_RLE_DICTIONARY, NULL, 0, body, n);
    int64_t v[200] = {0};
    put_data(&m, 200, PQ_ENC_PLAIN, NULL, 0, v, sizeof v);
    OK(maker_open(&m, true, &e));
    fz_status st = FZ_NOMEM;
    long tries = 0;
    for (; st != FZ_OK && tries < 1000; tries++) {
        failing x = {.left = tries};
        mem_hooks hooks = {failing_resize, &x};
        mem mm;
        mem_init(&mm, NULL, &hooks, 0);
        pq_file *p;
        pq_cursor *c = NULL;
        batch b;
        batch_init(&b, &mm);
        st = pq_open(&m.mf.f, &mm, &p, &e);
        if (st == FZ_OK)
            st = pq_cursor_open(p, &m.mf.f, 0, 0, TYPE(T_INT64), NULL, &mm, &c, &e);
        while (st == FZ_OK && pq_cursor_left(c)) {
            vec r;
            st = pq_cursor_read(c, 150 < pq_cursor_left(c) ? 150 : (uint32_t)pq_cursor_left(c), NULL, 0, &r, &b, &e);
        }
        assert_true(st == FZ_OK || st == FZ_NOMEM);
        pq_cursor_close(c);
        pq_close(p);
        batch_free(&b);
        assert_int_equal(x.live, 0);
        assert_int_equal(mm.used, 0);
    }
    assert_int_equal(st, FZ_OK);
    assert_true(tries > 8);
    maker_free(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(runs_stay_runs),
        cmocka_unit_test(many_runs_become_codes),
        cmocka_unit_test(forms_mix),
        cmocka_unit_test(plain_is_lent),
        cmocka_unit_test(selection_is_enough),
        cmocka_unit_test(index_saves_reads),
        cmocka_unit_test(wrong_index_is_ignored),
        cmocka_unit_test(pages_are_pruned),
        cmocka_unit_test(bounds_that_can_be_trusted),
        cmocka_unit_test(promotion),
        cmocka_unit_test(decimals_are_checked),
        cmocka_unit_test(bad_pages_are_errors),
        cmocka_unit_test(skips_and_selections),
        cmocka_unit_test(bad_data),
        cmocka_unit_test(damage_never_crashes),
        cmocka_unit_test(memory_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
