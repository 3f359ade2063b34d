/*
 * Reading nested Parquet columns: the forms of lists and maps that writers have used, rows over pages, skips, members
 * found by name and id, levels that lie. Files are made here from levels and values; random nested files of others are
 * compared in tests/interop/test_parquet_read.py.
 */
#include "codec/bloom.h"
#include "codec/rle_encode.h"
#include "format/mem_file.h"
#include "format/parquet/parquet.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define OK(call)                                  \
    do {                                          \
        fz_status ok_ = (call);                   \
        if (ok_ != FZ_OK)                         \
            fail_msg("%s: %s", #call, e.message); \
    } while (0)

/* ---- a file of any schema, made from levels ---- */

#define ELEMENTS 200

typedef struct maker {
    sbuf b;
    pq_schema_element e[ELEMENTS];
    uint32_t n, leaf_element[8], n_leaves;
    pq_column_chunk chunk[8];
    pq_row_group group;
    pq_file_meta meta;
    int64_t rows;
    mem_file mf;
    pq_file *p;
} maker;

static void maker_init(maker *m, int columns, int64_t rows)
{
    memset(m, 0, sizeof *m);
    sbuf_init(&m->b, NULL);
    sbuf_add(&m->b, "PAR1", 4);
    m->e[m->n++] = (pq_schema_element){.name = STR("root"), .num_children = columns, .field_id = -1, .converted = PQ_CONV_NONE};
    m->rows = rows;
}

static pq_schema_element *group(maker *m, const char *name, pq_repetition r, pq_converted c, int children, int id)
{
    pq_schema_element *e = &m->e[m->n++];
    *e = (pq_schema_element){.name = {name, strlen(name)}, .repetition = r, .converted = c, .num_children = children, .field_id = id};
    return e;
}

static pq_schema_element *leaf(maker *m, const char *name, pq_repetition r, pq_physical t, int id)
{
    pq_schema_element *e = group(m, name, r, PQ_CONV_NONE, 0, id);
    e->has_type = true;
    e->type = t;
    m->chunk[m->n_leaves] = (pq_column_chunk){.type = t, .dictionary_page_offset = -1, .offset_index_offset = -1,
                                              .column_index_offset = -1, .bloom_offset = -1};
    m->leaf_element[m->n_leaves++] = m->n - 1;
    return e;
}

static size_t levels_put(sbuf *body, const uint8_t *levels, uint32_t n, unsigned width, bool msb)
{
    uint32_t wide[4096];
    uint8_t out[8192];
    for (uint32_t i = 0; i < n; i++)
        wide[i] = levels[i];
    if (msb) {
        memset(out, 0, sizeof out);
        for (uint32_t i = 0, bit = 0; i < n; i++)
            for (unsigned j = width; j-- > 0; bit++)
                out[bit >> 3] |= (uint8_t)((wide[i] >> j & 1) << (7 - (bit & 7)));
        sbuf_add(body, out, (n * width + 7) / 8);
        return (n * width + 7) / 8;
    }
    uint32_t len = (uint32_t)rle_encode(wide, n, width, out);
    sbuf_add(body, &len, 4);
    sbuf_add(body, out, len);
    return len + 4;
}

/* Levels as digits: "0120"; NULL: the largest is 0. Values are PLAIN bytes. */
typedef struct page { const char *rep, *def; const void *values; size_t bytes; bool v2, msb; int rows; } page;

static unsigned width_of(uint8_t max) { return max ? 32 - (unsigned)__builtin_clz(max) : 0; }

static void put_page(maker *m, uint32_t l, uint8_t max_rep, uint8_t max_def, page g)
{
    uint8_t rep[4096], def[4096];
    uint32_t n = (uint32_t)strlen(g.def ? g.def : g.rep);
    sbuf body;
    sbuf_init(&body, NULL);
    for (uint32_t i = 0; i < n; i++) {
        rep[i] = g.rep ? (uint8_t)(g.rep[i] - '0') : 0;
        def[i] = g.def ? (uint8_t)(g.def[i] - '0') : 0;
    }
    size_t nr = max_rep ? levels_put(&body, rep, n, width_of(max_rep), g.msb) : 0;
    size_t nd = max_def ? levels_put(&body, def, n, width_of(max_def), g.msb) : 0;
    if (g.v2) { /* without the lengths */
        sbuf v2;
        sbuf_init(&v2, NULL);
        if (nr)
            sbuf_add(&v2, body.p + 4, nr -= 4);
        if (nd)
            sbuf_add(&v2, body.p + nr + (nr ? 8 : 4), nd -= 4);
        sbuf_free(&body);
        body = v2;
    }
    sbuf_add(&body, g.values, g.bytes);
    pq_encoding levels = g.msb ? PQ_ENC_BIT_PACKED : PQ_ENC_RLE;
    pq_page_header h = {.type = g.v2 ? PQ_PAGE_DATA_V2 : PQ_PAGE_DATA, .num_values = (int32_t)n, .num_rows = g.rows,
                        .encoding = PQ_ENC_PLAIN, .def_encoding = levels, .rep_encoding = levels,
                        .def_length = (int32_t)nd, .rep_length = (int32_t)nr,
                        .uncompressed_size = (int32_t)body.n, .compressed_size = (int32_t)body.n};
    pq_column_chunk *c = &m->chunk[l];
    int64_t at = (int64_t)m->b.n;
    if (!c->num_values)
        c->data_page_offset = at;
    pq_write_page_header(&m->b, &h);
    sbuf_add(&m->b, body.p, body.n);
    c->num_values += n;
    c->total_compressed_size += (int64_t)m->b.n - at;
    c->total_uncompressed_size = c->total_compressed_size;
    sbuf_free(&body);
}

static fz_status maker_open(maker *m, fz_error *err)
{
    m->group = (pq_row_group){.num_rows = m->rows, .columns = m->chunk};
    m->meta = (pq_file_meta){.version = 2, .num_rows = m->rows, .n_schema = m->n, .schema = m->e, .n_leaves = m->n_leaves,
                             .leaf_element = m->leaf_element, .n_row_groups = m->rows ? 1 : 0, .row_groups = &m->group,
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

static const char *value_text(const vec *v, uint32_t i, char *out, size_t cap)
{
    sbuf b;
    sbuf_init(&b, NULL);
    datum d = vec_datum(v, i);
    if (d.null)
        sbuf_add(&b, "NULL", 4);
    else
        datum_text(&d, &b);
    snprintf(out, cap, "%.*s", (int)b.n, b.p ? b.p : "");
    sbuf_free(&b);
    return out;
}

/* All rows, read `step` at a time, joined with "; ". */
static void expect(maker *m, uint32_t column, type as, const pq_match *how, uint32_t step, const char *want)
{
    fz_error e = {0};
    pq_cursor *c;
    batch b;
    char all[4096] = "", one[512];
    batch_init(&b, NULL);
    OK(pq_cursor_open(m->p, &m->mf.f, 0, column, as, how, NULL, &c, &e));
    while (pq_cursor_left(c)) {
        uint32_t n = pq_cursor_left(c) < step ? (uint32_t)pq_cursor_left(c) : step;
        vec v;
        OK(pq_cursor_read(c, n, NULL, 0, &v, &b, &e));
        assert_int_equal(v.len, n);
        for (uint32_t i = 0; i < n; i++) {
            if (*all)
                strcat(all, "; ");
            strcat(all, value_text(&v, i, one, sizeof one));
        }
        batch_reset(&b);
    }
    assert_string_equal(all, want);
    pq_cursor_close(c);
    batch_free(&b);
}

static type own(const maker *m, uint32_t column) { return pq_schema(m->p)->cols[column].t; }

static fz_status read_status(maker *m, uint32_t column, mem *mm, fz_error *err)
{
    pq_cursor *c;
    batch b;
    vec v;
    batch_init(&b, mm);
    fz_status st = pq_cursor_open(m->p, &m->mf.f, 0, column, own(m, column), NULL, mm, &c, err);
    while (st == FZ_OK && pq_cursor_left(c)) {
        uint32_t n = pq_cursor_left(c) < 100 ? (uint32_t)pq_cursor_left(c) : 100;
        st = pq_cursor_read(c, n, NULL, 0, &v, &b, err);
        batch_reset(&b);
    }
    pq_cursor_close(c);
    batch_free(&b);
    return st;
}

/* ---- the forms of lists and maps ---- */

static void column_is(maker *m, const char *want)
{
    fz_error e = {0};
    sbuf t;
    sbuf_init(&t, NULL);
    OK(maker_open(m, &e));
    type_sql_name(own(m, 0), &t);
    sbuf_addc(&t, 0);
    assert_string_equal(t.p, want);
    sbuf_free(&t);
    maker_free(m);
}

static void forms(void **s)
{
    maker m;
    for (int kind = 0; kind < 14; kind++) {
        maker_init(&m, 1, 0);
        switch (kind) {
        case 0: /* three levels */
            group(&m, "l", PQ_OPTIONAL, PQ_CONV_LIST, 1, 1);
            group(&m, "list", PQ_REPEATED, PQ_CONV_NONE, 1, -1);
            leaf(&m, "element", PQ_OPTIONAL, PQ_INT32, 2);
            column_is(&m, "integer[]");
            break;
        case 1: /* two levels */
            group(&m, "l", PQ_OPTIONAL, PQ_CONV_LIST, 1, 1);
            leaf(&m, "element", PQ_REPEATED, PQ_INT32, 2);
            column_is(&m, "integer[]");
            break;
        case 2: /* the element is a struct of several members */
            group(&m, "l", PQ_OPTIONAL, PQ_CONV_LIST, 1, 1);
            group(&m, "element", PQ_REPEATED, PQ_CONV_NONE, 2, -1);
            leaf(&m, "a", PQ_REQUIRED, PQ_INT32, 2);
            leaf(&m, "b", PQ_OPTIONAL, PQ_INT64, 3);
            column_is(&m, "struct(a integer, b bigint)[]");
            break;
        case 3: /* … or of one, by the group's name */
        case 4:
            group(&m, "l", PQ_OPTIONAL, PQ_CONV_LIST, 1, 1);
            group(&m, kind == 3 ? "array" : "l_tuple", PQ_REPEATED, PQ_CONV_NONE, 1, -1);
            leaf(&m, "a", PQ_REQUIRED, PQ_INT32, 2);
            column_is(&m, "struct(a integer)[]");
            break;
        case 5: /* any other name means three levels */
            group(&m, "l", PQ_OPTIONAL, PQ_CONV_LIST, 1, 1);
            group(&m, "bag", PQ_REPEATED, PQ_CONV_NONE, 1, -1);
            leaf(&m, "array_element", PQ_OPTIONAL, PQ_INT32, 2);
            column_is(&m, "integer[]");
            break;
        case 6: /* the one member is repeated itself */
            group(&m, "l", PQ_OPTIONAL, PQ_CONV_LIST, 1, 1);
            group(&m, "list", PQ_REPEATED, PQ_CONV_NONE, 1, -1);
            leaf(&m, "a", PQ_REPEATED, PQ_INT32, 2);
            column_is(&m, "struct(a integer[])[]");
            break;
        case 7: /* lists of lists in two levels each */
            group(&m, "l", PQ_REQUIRED, PQ_CONV_LIST, 1, 1);
            group(&m, "array", PQ_REPEATED, PQ_CONV_LIST, 1, -1);
            leaf(&m, "array", PQ_REPEATED, PQ_INT32, 2);
            column_is(&m, "integer[][]");
            break;
        case 8: /* repeated without annotation */
            group(&m, "g", PQ_REPEATED, PQ_CONV_NONE, 2, 1);
            leaf(&m, "a", PQ_REPEATED, PQ_INT32, 2);
            leaf(&m, "b", PQ_OPTIONAL, PQ_INT32, 3);
            column_is(&m, "struct(a integer[], b integer)[]");
            break;
        case 9: /* maps */
        case 10:
            group(&m, "m", PQ_OPTIONAL, kind == 9 ? PQ_CONV_MAP : PQ_CONV_MAP_KEY_VALUE, 1, 1);
            group(&m, "map", PQ_REPEATED, kind == 9 ? PQ_CONV_MAP_KEY_VALUE : PQ_CONV_NONE, 2, -1);
            leaf(&m, "k", kind == 9 ? PQ_REQUIRED : PQ_OPTIONAL, PQ_INT32, 2);
            leaf(&m, "v", PQ_OPTIONAL, PQ_DOUBLE, 3);
            column_is(&m, "map(integer, double precision)");
            break;
        case 11: /* a map without values: its keys */
            group(&m, "m", PQ_OPTIONAL, PQ_CONV_MAP, 1, 1);
            group(&m, "key_value", PQ_REPEATED, PQ_CONV_NONE, 1, -1);
            leaf(&m, "key", PQ_REQUIRED, PQ_INT32, 2);
            column_is(&m, "integer[]");
            break;
        case 12: /* annotated, but not in the form of a list */
            group(&m, "l", PQ_OPTIONAL, PQ_CONV_LIST, 2, 1);
            leaf(&m, "a", PQ_OPTIONAL, PQ_INT32, 2);
            leaf(&m, "b", PQ_OPTIONAL, PQ_INT32, 3);
            column_is(&m, "struct(a integer, b integer)");
            break;
        case 13: /* a map of lists of maps */
            group(&m, "m", PQ_OPTIONAL, PQ_CONV_MAP, 1, 1);
            group(&m, "key_value", PQ_REPEATED, PQ_CONV_NONE, 2, -1);
            leaf(&m, "key", PQ_REQUIRED, PQ_INT32, 2);
            group(&m, "value", PQ_OPTIONAL, PQ_CONV_LIST, 1, 3);
            group(&m, "list", PQ_REPEATED, PQ_CONV_NONE, 1, -1);
            group(&m, "element", PQ_OPTIONAL, PQ_CONV_MAP, 1, 4);
            group(&m, "key_value", PQ_REPEATED, PQ_CONV_NONE, 2, -1);
            leaf(&m, "key", PQ_REQUIRED, PQ_INT32, 5);
            leaf(&m, "value", PQ_OPTIONAL, PQ_INT32, 6);
            column_is(&m, "map(integer, map(integer, integer)[])");
            break;
        }
    }
}

/* ---- values ---- */

static const int32_t numbers[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};

static void list_of_int(maker *m, int64_t rows)
{
    maker_init(m, 1, rows);
    group(m, "l", PQ_OPTIONAL, PQ_CONV_LIST, 1, 1);
    group(m, "list", PQ_REPEATED, PQ_CONV_NONE, 1, -1);
    leaf(m, "element", PQ_OPTIONAL, PQ_INT32, 2);
}

#define LISTS "[1, 2, 3]; NULL; []; [NULL, 4, 5, 6]; [7, NULL]; [8]"

static void lists_made(maker *m, int kind)
{
    fz_error e = {0};
    list_of_int(m, 6);
    if (kind == 0) { /* one page */
        put_page(m, 0, 1, 3, (page){"011000111010", "333012333323", numbers, 32});
    } else if (kind == 1) { /* rows go on in the next page, one of them over three */
        put_page(m, 0, 1, 3, (page){"01", "33", numbers, 8});
        put_page(m, 0, 1, 3, (page){"1000", "3012", numbers + 2, 4});
        put_page(m, 0, 1, 3, (page){"1", "3", numbers + 3, 4});
        put_page(m, 0, 1, 3, (page){"11010", "33323", numbers + 4, 16});
    } else if (kind == 2) { /* version 2 */
        put_page(m, 0, 1, 3, (page){"01100", "33301", numbers, 12, .v2 = true, .rows = 3});
        put_page(m, 0, 1, 3, (page){"0111010", "2333323", numbers + 3, 20, .v2 = true, .rows = 3});
    } else { /* levels as old files have them */
        put_page(m, 0, 1, 3, (page){"0110001", "3330123", numbers, 16, .msb = true});
        put_page(m, 0, 1, 3, (page){"11010", "33323", numbers + 4, 16, .msb = true});
    }
    OK(maker_open(m, &e));
}

static void lists(void **s)
{
    for (int kind = 0; kind < 4; kind++) {
        maker m;
        lists_made(&m, kind);
        assert_int_equal(pq_column_leaf(m.p, 0), -1);
        for (uint32_t step = 1; step <= 6; step++)
            expect(&m, 0, own(&m, 0), NULL, step, LISTS);
        maker_free(&m);
    }
}

/* Rows 3 and 4 of the six, by skipping and by selecting. */
static void lists_in_part(void **s)
{
    for (int kind = 0; kind < 4; kind++) {
        maker m;
        fz_error e = {0};
        pq_cursor *c;
        batch b;
        vec v;
        char text[64];
        lists_made(&m, kind);
        batch_init(&b, NULL);
        OK(pq_cursor_open(m.p, &m.mf.f, 0, 0, own(&m, 0), NULL, NULL, &c, &e));
        OK(pq_cursor_skip(c, 3, &e));
        OK(pq_cursor_read(c, 2, NULL, 0, &v, &b, &e));
        assert_string_equal(value_text(&v, 0, text, sizeof text), "[NULL, 4, 5, 6]");
        assert_string_equal(value_text(&v, 1, text, sizeof text), "[7, NULL]");
        assert_int_equal(pq_cursor_left(c), 1);
        pq_cursor_close(c);
        OK(pq_cursor_open(m.p, &m.mf.f, 0, 0, own(&m, 0), NULL, NULL, &c, &e));
        const uint16_t sel[] = {3, 4};
        OK(pq_cursor_read(c, 6, sel, 2, &v, &b, &e));
        assert_int_equal(v.len, 6);
        assert_string_equal(value_text(&v, 3, text, sizeof text), "[NULL, 4, 5, 6]");
        assert_string_equal(value_text(&v, 4, text, sizeof text), "[7, NULL]");
        pq_cursor_close(c);
        batch_free(&b);
        maker_free(&m);
    }
}

/* struct(a integer, l struct(x integer, y integer)[]), all optional; ids 1, 2, 3; 4, 5, 6. */
static void struct_file(maker *m)
{
    fz_error e = {0};
    maker_init(m, 1, 4);
    group(m, "s", PQ_OPTIONAL, PQ_CONV_NONE, 2, 1);
    leaf(m, "a", PQ_OPTIONAL, PQ_INT32, 2);
    group(m, "l", PQ_OPTIONAL, PQ_CONV_LIST, 1, 3);
    group(m, "list", PQ_REPEATED, PQ_CONV_NONE, 1, -1);
    group(m, "element", PQ_OPTIONAL, PQ_CONV_NONE, 2, 4);
    leaf(m, "x", PQ_OPTIONAL, PQ_INT32, 5);
    leaf(m, "y", PQ_REQUIRED, PQ_INT32, 6);
    put_page(m, 0, 0, 2, (page){NULL, "2012", numbers, 8});
    put_page(m, 1, 1, 5, (page){"010001", "540235", numbers + 4, 8});
    put_page(m, 2, 1, 4, (page){"010001", "440234", numbers + 8, 12});
    OK(maker_open(m, &e));
}

static type field_type(uint8_t id, const type_fields *f) { return (type){.id = id, .children = f}; }

static void members(void **s)
{
    maker m;
    struct_file(&m);
    expect(&m, 0, own(&m, 0), NULL, 4, "{'a': 1, 'l': [{'x': 5, 'y': 9}, {'x': NULL, 'y': 10}]}; NULL; {'a': NULL, 'l': []}; "
                                       "{'a': 2, 'l': [NULL, {'x': 6, 'y': 11}]}");
    assert_int_equal(pq_find_field(m.p, NULL, 1), 0);
    assert_int_equal(pq_find_field(m.p, NULL, 2), -1);
    assert_int_equal(pq_find_leaf(m.p, NULL, 2), 0);
    assert_int_equal(pq_find_leaf(m.p, NULL, 5), -1); /* in a list */
    /* by id: turned round, promoted, renamed, one dropped, one that isn't there */
    struct { type_fields n; type_field f[2]; } item = {{2}, {{STR("why"), 6, false, TYPE(T_INT64)}, {STR("z"), 77, false, TYPE(T_STRING)}}};
    struct { type_fields n; type_field f[1]; } list = {{1}, {{STR("element"), 4, false, field_type(T_STRUCT, &item.n)}}};
    struct { type_fields n; type_field f[2]; } top = {{2}, {{STR("l"), 3, false, field_type(T_LIST, &list.n)}, {STR("b"), 2, false, TYPE(T_INT64)}}};
    for (uint32_t step = 1; step <= 4; step++)
        expect(&m, 0, field_type(T_STRUCT, &top.n), NULL, step,
               "{'l': [{'why': 9, 'z': NULL}, {'why': 10, 'z': NULL}], 'b': 1}; NULL; {'l': [], 'b': NULL}; "
               "{'l': [NULL, {'why': 11, 'z': NULL}], 'b': 2}");
    /* by ids from elsewhere: element 2 is "a" */
    int32_t ids[] = {-1, 50, 51, 52, -1, 53, 54, 55};
    const pq_match mapped = {.ids = ids}, by_name = {.by_name = true};
    assert_int_equal(pq_find_field(m.p, &mapped, 50), 0);
    assert_int_equal(pq_find_leaf(m.p, &mapped, 51), 0);
    struct { type_fields n; type_field f[1]; } one = {{1}, {{STR("q"), 51, false, TYPE(T_INT32)}}};
    expect(&m, 0, field_type(T_STRUCT, &one.n), &mapped, 3, "{'q': 1}; NULL; {'q': NULL}; {'q': 2}");
    expect(&m, 0, field_type(T_STRUCT, &one.n), NULL, 3, "{'q': NULL}; NULL; {'q': NULL}; {'q': NULL}");
    /* by name, nothing that the list's structs have: lists and nulls are known all the same */
    item.f[0].name = STR("not there");
    top.f[1].name = STR("a");
    expect(&m, 0, field_type(T_STRUCT, &top.n), &by_name, 2,
           "{'l': [{'not there': NULL, 'z': NULL}, {'not there': NULL, 'z': NULL}], 'a': 1}; NULL; {'l': [], 'a': NULL}; "
           "{'l': [NULL, {'not there': NULL, 'z': NULL}], 'a': 2}");
    /* what doesn't fit is said */
    fz_error e = {0};
    pq_cursor *c;
    one.f[0] = (type_field){STR("a"), 2, false, TYPE(T_STRING)};
    assert_int_equal(pq_cursor_open(m.p, &m.mf.f, 0, 0, field_type(T_STRUCT, &one.n), NULL, NULL, &c, &e), FZ_INVALID);
    one.f[0] = (type_field){STR("l"), 3, false, TYPE(T_INT32)};
    assert_int_equal(pq_cursor_open(m.p, &m.mf.f, 0, 0, field_type(T_STRUCT, &one.n), NULL, NULL, &c, &e), FZ_INVALID);
    one.f[0] = (type_field){STR("new"), 99, true, TYPE(T_INT32)};
    assert_int_equal(pq_cursor_open(m.p, &m.mf.f, 0, 0, field_type(T_STRUCT, &one.n), NULL, NULL, &c, &e), FZ_DATA);
    maker_free(&m);
}

/* Nothing optional: a struct has no levels at all. */
static void required(void **s)
{
    maker m;
    fz_error e = {0};
    maker_init(&m, 1, 3);
    group(&m, "s", PQ_REQUIRED, PQ_CONV_NONE, 2, 1);
    leaf(&m, "a", PQ_REQUIRED, PQ_INT32, 2);
    leaf(&m, "b", PQ_OPTIONAL, PQ_INT32, 3);
    pq_page_header h = {.type = PQ_PAGE_DATA, .num_values = 3, .num_rows = 3, .encoding = PQ_ENC_PLAIN,
                        .def_encoding = PQ_ENC_RLE, .rep_encoding = PQ_ENC_RLE, .uncompressed_size = 12, .compressed_size = 12};
    m.chunk[0].data_page_offset = (int64_t)m.b.n;
    pq_write_page_header(&m.b, &h);
    sbuf_add(&m.b, numbers, 12);
    m.chunk[0].total_compressed_size = (int64_t)m.b.n - m.chunk[0].data_page_offset;
    m.chunk[0].num_values = 3;
    put_page(&m, 1, 0, 1, (page){NULL, "101", numbers + 5, 8});
    OK(maker_open(&m, &e));
    expect(&m, 0, own(&m, 0), NULL, 2, "{'a': 1, 'b': 6}; {'a': 2, 'b': NULL}; {'a': 3, 'b': 7}");
    assert_int_equal(pq_find_leaf(m.p, NULL, 3), 1);
    maker_free(&m);
}

/* ---- the offset index ---- */

#define JUMP_PAGES 40
#define JUMP_ROWS 20000

/* Lists [2 r, 2 r + 1] of row r, in pages; what is wrong with the index is `kind`. */
static void jump_file(maker *m, int kind, bool v2)
{
    fz_error e = {0};
    pq_page_location at[JUMP_PAGES];
    int64_t *v = malloc(JUMP_ROWS * 16);
    uint32_t *reps = malloc(JUMP_ROWS * 8);
    uint8_t *out = malloc(JUMP_ROWS * 8);
    maker_init(m, 1, (int64_t)JUMP_PAGES * JUMP_ROWS);
    group(m, "l", PQ_OPTIONAL, PQ_CONV_LIST, 1, 1);
    group(m, "list", PQ_REPEATED, PQ_CONV_NONE, 1, -1);
    leaf(m, "element", PQ_OPTIONAL, PQ_INT64, 2);
    pq_column_chunk *c = &m->chunk[0];
    c->data_page_offset = (int64_t)m->b.n;
    for (int p = 0; p < JUMP_PAGES; p++) {
        sbuf body;
        sbuf_init(&body, NULL);
        uint32_t len[2];
        for (int i = 0; i < 2 * JUMP_ROWS; i++) {
            v[i] = (int64_t)p * 2 * JUMP_ROWS + i;
            reps[i] = i & 1;
        }
        len[0] = (uint32_t)rle_encode(reps, 2 * JUMP_ROWS, 1, out);
        if (!v2)
            sbuf_add(&body, &len[0], 4);
        sbuf_add(&body, out, len[0]);
        len[1] = (uint32_t)rle_encode_run(3, 2 * JUMP_ROWS, 2, out);
        if (!v2)
            sbuf_add(&body, &len[1], 4);
        sbuf_add(&body, out, len[1]);
        sbuf_add(&body, v, JUMP_ROWS * 16);
        pq_page_header h = {.type = v2 ? PQ_PAGE_DATA_V2 : PQ_PAGE_DATA, .num_values = 2 * JUMP_ROWS, .num_rows = JUMP_ROWS,
                            .encoding = PQ_ENC_PLAIN, .def_encoding = PQ_ENC_RLE, .rep_encoding = PQ_ENC_RLE,
                            .rep_length = (int32_t)len[0], .def_length = (int32_t)len[1],
                            .uncompressed_size = (int32_t)body.n, .compressed_size = (int32_t)body.n};
        at[p].offset = (int64_t)m->b.n;
        at[p].first_row = (int64_t)p * JUMP_ROWS;
        pq_write_page_header(&m->b, &h);
        sbuf_add(&m->b, body.p, body.n);
        at[p].compressed_size = (int32_t)((int64_t)m->b.n - at[p].offset);
        sbuf_free(&body);
    }
    c->total_compressed_size = (int64_t)m->b.n - c->data_page_offset;
    c->num_values = 2ll * JUMP_PAGES * JUMP_ROWS;
    switch (kind) {
    case 1: at[35].compressed_size--; break;
    case 2: at[35].offset++; at[35].compressed_size--; break;
    case 3: at[35].first_row = at[34].first_row; break;
    }
    c->offset_index_offset = (int64_t)m->b.n;
    if (kind < 4) {
        pq_write_offset_index(&m->b, &(pq_offset_index){JUMP_PAGES, at});
        c->offset_index_length = (int32_t)((int64_t)m->b.n - c->offset_index_offset);
    } else {
        c->offset_index_offset = -1;
    }
    free(v);
    free(reps);
    free(out);
    OK(maker_open(m, &e));
}

/* With an index, pages that are skipped aren't read; without one that can be used, what is read is the same. */
static void jumps(void **s)
{
    for (int kind = 0; kind < 10; kind++) {
        maker m;
        fz_error e = {0};
        pq_cursor *c;
        batch b;
        vec v;
        char text[64];
        jump_file(&m, kind % 5, kind >= 5);
        batch_init(&b, NULL);
        OK(pq_cursor_open(m.p, &m.mf.f, 0, 0, own(&m, 0), NULL, NULL, &c, &e));
        OK(pq_cursor_read(c, 10, NULL, 0, &v, &b, &e));
        assert_string_equal(value_text(&v, 9, text, sizeof text), "[18, 19]");
        OK(pq_cursor_skip(c, 35 * JUMP_ROWS + 113, &e));
        OK(pq_cursor_read(c, 10, NULL, 0, &v, &b, &e));
        assert_string_equal(value_text(&v, 0, text, sizeof text), "[1400246, 1400247]");
        assert_int_equal(pq_cursor_left(c), 5 * JUMP_ROWS - 133);
        OK(pq_cursor_skip(c, pq_cursor_left(c) - 1, &e));
        OK(pq_cursor_read(c, 1, NULL, 0, &v, &b, &e));
        assert_string_equal(value_text(&v, 0, text, sizeof text), "[1599998, 1599999]");
        assert_int_equal(pq_cursor_left(c), 0);
        assert_true(kind % 5 ? pq_cursor_bytes(c) > 5000000 : pq_cursor_bytes(c) < 5000000);
        pq_cursor_close(c);
        batch_free(&b);
        maker_free(&m);
    }
}

/* ---- levels that lie ---- */

static void bad(maker *m, fz_status want, const char *words)
{
    fz_error e = {0};
    OK(maker_open(m, &e));
    assert_int_equal(read_status(m, 0, NULL, &e), want);
    if (!strstr(e.message, words))
        fail_msg("\"%s\" doesn't say \"%s\"", e.message, words);
    assert_string_equal(e.where, "memory");
    assert_true(want != FZ_DATA || e.offset > 0);
    maker_free(m);
}

static void lies(void **s)
{
    maker m;
    list_of_int(&m, 2);
    put_page(&m, 0, 1, 3, (page){"100", "333", numbers, 12});
    bad(&m, FZ_DATA, "begins within a row");
    list_of_int(&m, 2);
    put_page(&m, 0, 1, 3, (page){"000", "333", numbers, 12});
    bad(&m, FZ_DATA, "more rows");
    list_of_int(&m, 4);
    put_page(&m, 0, 1, 3, (page){"000", "333", numbers, 12});
    bad(&m, FZ_DATA, "ends before its last row");
    list_of_int(&m, 3);
    put_page(&m, 0, 1, 3, (page){"000", "333", numbers, 8});
    bad(&m, FZ_DATA, "fewer values");
    maker_init(&m, 1, 3); /* two levels: 3 can be written and is none */
    group(&m, "l", PQ_OPTIONAL, PQ_CONV_LIST, 1, 1);
    leaf(&m, "element", PQ_REPEATED, PQ_INT32, 2);
    put_page(&m, 0, 1, 2, (page){"000", "230", numbers, 12});
    bad(&m, FZ_DATA, "levels");
    /* members of one struct in different places */
    for (int kind = 0; kind < 3; kind++) {
        maker_init(&m, 1, 2);
        group(&m, "l", PQ_OPTIONAL, PQ_CONV_LIST, 1, 1);
        group(&m, "list", PQ_REPEATED, PQ_CONV_NONE, 1, -1);
        group(&m, "element", PQ_OPTIONAL, PQ_CONV_NONE, 2, 4);
        leaf(&m, "x", PQ_OPTIONAL, PQ_INT32, 5);
        leaf(&m, "y", PQ_OPTIONAL, PQ_INT32, 6);
        put_page(&m, 0, 1, 4, (page){"0010", "4444", numbers, 16});
        m.chunk[0].num_values = 3;
        m.b.n = 4;
        m.chunk[0] = (pq_column_chunk){.type = PQ_INT32, .dictionary_page_offset = -1, .offset_index_offset = -1,
                                       .column_index_offset = -1, .bloom_offset = -1};
        put_page(&m, 0, 1, 4, (page){"001", "444", numbers, 12});
        put_page(&m, 1, 1, 4, kind == 0 ? (page){"010", "444", numbers, 12}
                              : kind == 1 ? (page){"001", "424", numbers, 8}
                                          : (page){"0011", "4444", numbers, 16});
        bad(&m, FZ_DATA, "disagree");
    }
    /* a null key */
    maker_init(&m, 1, 1);
    group(&m, "m", PQ_OPTIONAL, PQ_CONV_MAP, 1, 1);
    group(&m, "map", PQ_REPEATED, PQ_CONV_NONE, 2, -1);
    leaf(&m, "k", PQ_OPTIONAL, PQ_INT32, 2);
    leaf(&m, "v", PQ_OPTIONAL, PQ_INT32, 3);
    put_page(&m, 0, 1, 3, (page){"01", "32", numbers, 4});
    put_page(&m, 1, 1, 3, (page){"01", "33", numbers, 8});
    bad(&m, FZ_DATA, "key that is null");
}

/* Some bytes that say 2^30 null elements. */
static void bomb(void **s)
{
    maker m;
    fz_error e = {0};
    list_of_int(&m, 1);
    uint8_t body[64];
    size_t n = 0;
    for (int i = 0; i < 2; i++) { /* repetition: one 0, then 1; definition: 2 */
        uint8_t runs[32];
        uint32_t len = i ? (uint32_t)rle_encode_run(2, 1u << 30, 2, runs) : (uint32_t)rle_encode_run(0, 1, 1, runs);
        if (!i)
            len += (uint32_t)rle_encode_run(1, (1u << 30) - 1, 1, runs + len);
        memcpy(body + n, &len, 4);
        memcpy(body + n + 4, runs, len);
        n += 4 + len;
    }
    pq_page_header h = {.type = PQ_PAGE_DATA, .num_values = 1 << 30, .num_rows = 1, .encoding = PQ_ENC_PLAIN, .def_encoding = PQ_ENC_RLE,
                        .rep_encoding = PQ_ENC_RLE, .uncompressed_size = (int32_t)n, .compressed_size = (int32_t)n};
    m.chunk[0].data_page_offset = (int64_t)m.b.n;
    pq_write_page_header(&m.b, &h);
    sbuf_add(&m.b, body, n);
    m.chunk[0].total_compressed_size = (int64_t)m.b.n - m.chunk[0].data_page_offset;
    m.chunk[0].num_values = 1 << 30;
    OK(maker_open(&m, &e));
    mem mm;
    mem_init(&mm, NULL, NULL, 200 << 20);
    assert_int_equal(read_status(&m, 0, &mm, &e), FZ_LIMIT);
    assert_true(mm.peak < 400ll << 20);
    assert_int_equal(mm.used, 0);
    maker_free(&m);
}

/* Schemas of 31 lists within each other are read; of 120 levels, refused by name; of 64 groups, no footer. */
static void depth(void **s)
{
    for (int kind = 0; kind < 3; kind++) {
        maker m;
        fz_error e = {0};
        int n = kind == 0 ? 31 : kind == 1 ? 60 : 70;
        maker_init(&m, 1, kind == 0 ? 2 : 0);
        for (int i = 0; i < n; i++) {
            if (kind == 0)
                group(&m, "l", PQ_OPTIONAL, PQ_CONV_LIST, 1, -1);
            group(&m, "list", PQ_REPEATED, PQ_CONV_NONE, 1, -1);
        }
        leaf(&m, "x", PQ_REQUIRED, PQ_INT32, -1);
        if (kind == 0) {
            char top[2] = {'0' + 62, 0}, rep[2] = "0";
            put_page(&m, 0, 31, 62, (page){rep, top, numbers, 4});
            top[0] = '0';
            put_page(&m, 0, 31, 62, (page){rep, top, numbers, 0});
            OK(maker_open(&m, &e));
            expect(&m, 0, own(&m, 0), NULL, 2, "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]; NULL");
        } else if (kind == 1) {
            m.rows = 0;
            OK(maker_open(&m, &e));
            assert_int_equal(own(&m, 0).id, T_NULL);
        } else {
            assert_int_equal(maker_open(&m, &e), FZ_DATA);
        }
        maker_free(&m);
    }
}

/* ---- memory that fails ---- */

typedef struct failing { long left, live; } failing;

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

static void memory_may_fail(void **s)
{
    maker m;
    struct_file(&m);
    fz_status st = FZ_NOMEM;
    long tries = 0;
    for (; st != FZ_OK && tries < 1000; tries++) {
        failing x = {.left = tries};
        mem_hooks hooks = {failing_resize, &x};
        mem mm;
        fz_error e = {0};
        maker n = m;
        mem_init(&mm, NULL, &hooks, 0);
        n.p = NULL;
        st = pq_open(&m.mf.f, &mm, &n.p, &e);
        if (st == FZ_OK)
            st = read_status(&n, 0, &mm, &e);
        assert_true(st == FZ_OK || st == FZ_NOMEM);
        pq_close(n.p);
        assert_int_equal(x.live, 0);
        assert_int_equal(mm.used, 0);
    }
    assert_int_equal(st, FZ_OK);
    assert_true(tries > 20);
    maker_free(&m);
}

/* ---- Bloom filters ---- */

static void bloom(void **s)
{
    for (int kind = 0; kind < 4; kind++) {
        maker m;
        fz_error e = {0};
        uint8_t bits[1024] = {0};
        maker_init(&m, 1, 3);
        pq_schema_element *x = leaf(&m, "x", PQ_REQUIRED, PQ_INT32, 1);
        x->converted = kind == 1 ? PQ_CONV_UINT_32 : PQ_CONV_NONE;
        put_page(&m, 0, 0, 0, (page){"000", NULL, numbers, 12});
        for (int i = 0; i < 3; i++)
            bloom_insert(bits, sizeof bits, bloom_hash(&numbers[i], 4));
        m.chunk[0].bloom_offset = (int64_t)m.b.n;
        pq_write_bloom_header(&m.b, kind == 2 ? 1000 : sizeof bits);
        sbuf_add(&m.b, bits, kind == 3 ? 100 : sizeof bits);
        m.chunk[0].bloom_length = (int32_t)((int64_t)m.b.n - m.chunk[0].bloom_offset);
        OK(maker_open(&m, &e));
        int maybe = 0;
        for (int v = 1; v <= 300; v++) {
            datum narrow = {.t = TYPE(T_INT32), .i32 = v}, wide = {.t = TYPE(T_INT64), .i64 = v};
            bool may = pq_bloom_may_contain(m.p, &m.mf.f, 0, 0, kind == 1 ? &wide : &narrow);
            assert_true(may == pq_bloom_may_contain(m.p, &m.mf.f, 0, 0, &wide));
            assert_true(v > 3 || may);
            maybe += may;
        }
        /* a filter of a wrong size, or cut, says nothing */
        assert_true(kind < 2 ? maybe < 10 : maybe == 300);
        datum far = {.t = TYPE(T_INT64), .i64 = 1ll << 40}, zero = {.t = TYPE(T_FLOAT64), .f64 = 0};
        assert_false(pq_bloom_may_contain(m.p, &m.mf.f, 0, 0, &far)); /* no such integer in 32 bits */
        assert_true(pq_bloom_may_contain(m.p, &m.mf.f, 0, 0, &zero));
        maker_free(&m);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forms),         cmocka_unit_test(lists),    cmocka_unit_test(lists_in_part),
        cmocka_unit_test(members),       cmocka_unit_test(required), cmocka_unit_test(lies),
        cmocka_unit_test(bomb),          cmocka_unit_test(depth),    cmocka_unit_test(memory_may_fail),
        cmocka_unit_test(bloom),         cmocka_unit_test(jumps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
