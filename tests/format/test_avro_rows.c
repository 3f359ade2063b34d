/*
 * test_avro_rows.c: Avro files of rows: written and read back with every type and codec; columns found by id, name and mapping; promotions;
 * what is dropped or missing; runs and row numbers; hostile counts.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "format/avro/avro_file.h"
#include "format/avro/avro_write.h"
#include "format/mem_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* ---- files from a schema and the bytes of blocks ---- */

static const char SYNC[] = "0123456789abcdef";

static void put_head(sbuf *b, const char *schema)
{
    sbuf_init(b, NULL);
    sbuf_add(b, "Obj\1", 4);
    avro_put_long(b, 1);
    avro_put_bytes(b, STR("avro.schema"));
    avro_put_bytes(b, str_of(schema));
    avro_put_long(b, 0);
    sbuf_add(b, SYNC, 16);
}

static void put_block(sbuf *b, int64_t rows, const void *body, size_t n)
{
    avro_put_long(b, rows);
    avro_put_bytes(b, (str){body, n});
    sbuf_add(b, SYNC, 16);
}

/* All rows of the wanted columns as text. */
static fz_status read_text(const sbuf *data, uint32_t n, const column_def *want, const avro_match *how, sbuf *out, fz_error *err)
{
    mem_file f;
    avro_file *p;
    avro_plan *plan = NULL;
    avro_rows *rows = NULL;
    const avro_run *runs;
    uint32_t n_runs = 0;
    batch b;
    sbuf_clear(out);
    mem_file_init(&f, (const uint8_t *)data->p, data->n);
    fz_status st = avro_file_open(&f.f, NULL, &p, err);
    if (st)
        return st;
    batch_init(&b, NULL);
    st = avro_plan_new(p, n, want, how, NULL, &plan, err);
    if (!st)
        st = avro_file_runs(p, &f.f, &runs, &n_runs, err);
    if (!st)
        st = avro_rows_open(p, &f.f, plan, NULL, &rows, err);
    int64_t row = 0;
    for (uint32_t i = 0; i < n_runs && !st; i++) {
        bool more = true;
        assert_true(runs[i].row == row);
        st = avro_rows_start(rows, &runs[i], err);
        while (!st && more) {
            int64_t first;
            st = avro_rows_next(rows, &b, &first, &more, err);
            if (st || !more)
                break;
            assert_true(first == row);
            row += b.nrows;
            for (uint32_t r = 0; r < b.nrows; r++)
                for (uint32_t c = 0; c < b.ncols; c++) {
                    datum d = vec_datum(&b.cols[c], r);
                    sbuf_addz(out, c ? "|" : r || out->n ? "\n" : "");
                    if (d.null)
                        sbuf_addz(out, "-");
                    else
                        datum_text(&d, out);
                }
        }
    }
    batch_free(&b);
    avro_rows_close(rows);
    avro_plan_free(plan);
    avro_file_close(p);
    return st;
}

static sbuf text;

static void reads(const sbuf *data, uint32_t n, const column_def *want, const avro_match *how, const char *expect)
{
    fz_error err = {0};
    fz_status st = read_text(data, n, want, how, &text, &err);
    if (st)
        print_message("%s\n", err.message);
    assert_int_equal(st, FZ_OK);
    assert_string_equal(text.p ? text.p : "", expect);
}

static const char PLAIN[] = "{\"type\":\"record\",\"name\":\"r\",\"fields\":["
                            "{\"name\":\"a\",\"type\":\"int\",\"field-id\":1},"
                            "{\"name\":\"b\",\"type\":[\"string\",\"null\"],\"field-id\":2},"
                            "{\"name\":\"f\",\"type\":\"float\",\"field-id\":3},"
                            "{\"name\":\"d\",\"type\":{\"type\":\"bytes\",\"logicalType\":\"decimal\",\"precision\":5,\"scale\":1},\"field-id\":4},"
                            "{\"name\":\"s\",\"type\":[\"null\",{\"type\":\"record\",\"name\":\"q\",\"fields\":["
                            "{\"name\":\"x\",\"type\":\"long\",\"field-id\":6},{\"name\":\"y\",\"type\":\"boolean\",\"field-id\":7}]}],\"field-id\":5}]}";

static void plain_file(sbuf *b)
{
    sbuf body;
    sbuf_init(&body, NULL);
    put_head(b, PLAIN);
    for (int i = 0; i < 2; i++) {
        avro_put_long(&body, i ? -7 : 300);
        avro_put_long(&body, i);
        if (!i)
            avro_put_bytes(&body, STR("text"));
        avro_put_float(&body, 0.5f);
        avro_put_bytes(&body, i ? (str){"\xff\x38", 2} : (str){"\x7b", 1});
        avro_put_long(&body, i);
        if (i) {
            avro_put_long(&body, INT64_MIN);
            avro_put_bool(&body, true);
        }
    }
    put_block(b, 2, body.p, body.n);
    put_block(b, 0, "", 0);
    put_block(b, 2, body.p, body.n);
    sbuf_free(&body);
}

static void resolution(void **state)
{
    sbuf b;
    plain_file(&b);
    static struct { type_fields f; type_field m[2]; } st = {{.n = 2}, {{.name = {"new", 3}, .field_id = 9, .t = {.id = T_STRING}},
                                                                       {.name = {"renamed", 7}, .field_id = 6, .t = {.id = T_INT64}}}};
    const column_def want[] = {{.name = STR("s"), .field_id = 5, .t = {.id = T_STRUCT, .children = &st.f}}, {.name = STR("gone"), .field_id = 8, .t = TYPE(T_DATE)},
                               {.name = STR("A"), .field_id = 1, .t = TYPE(T_INT64)}, {.name = STR("f"), .field_id = 3, .t = TYPE(T_FLOAT64)},
                               {.name = STR("d"), .field_id = 4, .t = TYPE_DECIMAL(20, 1)}};
    reads(&b, 5, want, NULL, "-|-|300|0.5|12.3\n{'new': NULL, 'renamed': -9223372036854775808}|-|-7|0.5|-20.0\n"
                             "-|-|300|0.5|12.3\n{'new': NULL, 'renamed': -9223372036854775808}|-|-7|0.5|-20.0");
    const avro_match by_name = {.by_name = true};
    const column_def names[] = {{.name = STR("b"), .field_id = 77, .t = TYPE(T_STRING)}, {.name = STR("A"), .field_id = 1, .t = TYPE(T_INT32)}};
    reads(&b, 2, names, &by_name, "text|-\n-|-\ntext|-\n-|-");
    const int32_t ids[] = {20, -1, 21, -1, -1, -1, -1};
    const avro_match mapped = {.ids = ids};
    const column_def by_map[] = {{.name = STR("z"), .field_id = 21, .t = TYPE(T_FLOAT32)}, {.name = STR("y"), .field_id = 20, .t = TYPE(T_INT32)},
                                 {.name = STR("b"), .field_id = 2, .t = TYPE(T_STRING)}};
    reads(&b, 3, by_map, &mapped, "0.5|300|-\n0.5|-7|-\n0.5|300|-\n0.5|-7|-");
    reads(&b, 0, NULL, NULL, "");
    fz_error err;
    const column_def wrong[] = {{.name = STR("a"), .field_id = 1, .t = TYPE(T_STRING)}};
    assert_int_equal(read_text(&b, 1, wrong, NULL, &text, &err), FZ_INVALID);
    const column_def narrow[] = {{.name = STR("d"), .field_id = 4, .t = TYPE_DECIMAL(4, 1)}};
    assert_int_equal(read_text(&b, 1, narrow, NULL, &text, &err), FZ_INVALID);
    sbuf_free(&b);
}

/* Every byte changed in some ways, and every length cut: an error or rows, never more. */
static void damage(void **state)
{
    sbuf b;
    fz_error err;
    plain_file(&b);
    const column_def want[] = {{.name = STR("a"), .field_id = 1, .t = TYPE(T_INT32)}, {.name = STR("b"), .field_id = 2, .t = TYPE(T_STRING)}};
    size_t n = b.n;
    for (size_t i = 0; i < n; i++) {
        char was = b.p[i];
        static const char ways[] = {1, 0x40, (char)0x80, (char)0xff};
        for (int k = 0; k < 4; k++) {
            b.p[i] = (char)(was ^ ways[k]);
            read_text(&b, 2, want, NULL, &text, &err);
        }
        b.p[i] = was;
        b.n = i;
        fz_status st = read_text(&b, 2, want, NULL, &text, &err);
        b.n = n;
        if (st == FZ_OK)
            assert_true(i > strlen(PLAIN)); /* between two blocks */
    }
    sbuf_free(&b);
}

static void bad(const char *schema, int64_t rows, const char *body, size_t n, const char *message)
{
    sbuf b;
    fz_error err = {0};
    mem_file f;
    avro_file *p;
    put_head(&b, schema);
    put_block(&b, rows, body, n);
    mem_file_init(&f, (const uint8_t *)b.p, b.n);
    assert_int_equal(avro_file_open(&f.f, NULL, &p, NULL), FZ_OK);
    static const avro_match by_name = {.by_name = true};
    const row_schema *s = avro_file_schema(p);
    assert_int_equal(read_text(&b, s->n, s->cols, &by_name, &text, &err), FZ_DATA);
    if (!strstr(err.message, message))
        print_message("%s\n", err.message);
    assert_non_null(strstr(err.message, message));
    avro_file_close(p);
    sbuf_free(&b);
}

#define RECORD(type) "{\"type\":\"record\",\"name\":\"r\",\"fields\":[{\"name\":\"a\",\"type\":" type "}]}"

static void hostile(void **state)
{
    bad(RECORD("\"long\""), 1, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 10, "more than 64 bits");
    bad(RECORD("\"int\""), 1, "\x80\x80\x80\x80\x20", 5, "more than 32 bits");
    bad(RECORD("\"long\""), 1000000000, "\2", 1, "more records than it has bytes for");
    bad(RECORD("\"long\""), 1, "\2\2", 2, "bytes left");
    bad(RECORD("\"string\""), 1, "\x7e" "abc", 4, "passes the end");
    bad(RECORD("\"string\""), 1, "\1abc", 4, "negative length");
    bad(RECORD("\"string\""), 1, "\4\xc3\x28", 3, "UTF-8");
    bad(RECORD("\"boolean\""), 1, "\2", 1, "neither 0 nor 1");
    bad(RECORD("[\"null\",\"long\"]"), 1, "\4\0", 2, "union branch");
    bad(RECORD("{\"type\":\"array\",\"items\":\"int\"}"), 1, "\x80\x80\x80\x80\x10", 5, "more items than its block has bytes for");
    bad(RECORD("{\"type\":\"array\",\"items\":\"int\"}"), 1, "\3\x7e\2\4\0", 5, "passes the end");
    bad(RECORD("{\"type\":\"array\",\"items\":{\"type\":\"record\",\"name\":\"z\",\"fields\":[]}}"), 1, "\x80\x80\x80\x80\x10\0", 6, "take no bytes");
    bad(RECORD("{\"type\":\"enum\",\"name\":\"e\",\"symbols\":[\"A\"]}"), 1, "\2", 1, "enum");
    bad(RECORD("{\"type\":\"bytes\",\"logicalType\":\"decimal\",\"precision\":2,\"scale\":0}"), 1, "\2\x64", 2, "more digits");
    bad(RECORD("{\"type\":\"int\",\"logicalType\":\"time-millis\"}"), 1, "\1", 1, "time of day");
    bad(RECORD("{\"type\":\"long\",\"logicalType\":\"timestamp-millis\"}"), 1, "\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01", 10, "range of microseconds");
    bad(RECORD("{\"type\":\"string\",\"logicalType\":\"uuid\"}"), 1, "\4no", 3, "uuid");
}

/* ---- every allocation fails in turn ---- */

static _Atomic int64_t allowed;

static void *resize(void *ctx, void *p, size_t old_size, size_t new_size)
{
    if (new_size == 0) {
        free(p);
        return NULL;
    }
    return allowed-- > 0 ? realloc(p, new_size) : NULL;
}

static fz_status read_with(const sbuf *data, mem *m)
{
    mem_file f;
    avro_file *p;
    avro_plan *plan = NULL;
    avro_rows *rows = NULL;
    const avro_run *runs;
    uint32_t n = 0;
    int64_t first;
    bool more = true;
    batch b;
    mem_file_init(&f, (const uint8_t *)data->p, data->n);
    fz_status st = avro_file_open(&f.f, m, &p, NULL);
    if (st)
        return st;
    batch_init(&b, m);
    st = avro_plan_new(p, avro_file_schema(p)->n, avro_file_schema(p)->cols, NULL, m, &plan, NULL);
    if (!st)
        st = avro_file_runs(p, &f.f, &runs, &n, NULL);
    if (!st)
        st = avro_rows_open(p, &f.f, plan, m, &rows, NULL);
    if (!st)
        st = avro_rows_start(rows, &runs[0], NULL);
    while (!st && more)
        st = avro_rows_next(rows, &b, &first, &more, NULL);
    batch_free(&b);
    avro_rows_close(rows);
    avro_plan_free(plan);
    avro_file_close(p);
    return st;
}

static void no_memory(void **state)
{
    static const mem_hooks hooks = {.resize = resize};
    sbuf b;
    plain_file(&b);
    fz_status st = FZ_NOMEM;
    for (int64_t n = 0; st != FZ_OK; n++) {
        mem m;
        assert_true(n < 2000);
        mem_init(&m, NULL, &hooks, 0);
        allowed = n;
        st = read_with(&b, &m);
        assert_true(st == FZ_OK || st == FZ_NOMEM);
        assert_int_equal(m.used, 0);
    }
    sbuf_free(&b);
}

/* ---- written and read back ---- */

static struct { type_fields f; type_field m[1]; } list_t = {{.n = 1}, {{.name = {"element", 7}, .field_id = 11, .t = {.id = T_INT32}}}};
static struct { type_fields f; type_field m[2]; } map_t = {{.n = 2}, {{.name = {"key", 3}, .field_id = 12, .required = true, .t = {.id = T_INT64}},
                                                                      {.name = {"value", 5}, .field_id = 13, .t = {.id = T_STRING}}}};

static void round_trip(void **state)
{
    static const codec_id codecs[] = {CODEC_NONE, CODEC_DEFLATE, CODEC_SNAPPY, CODEC_ZSTD};
    column_def cols[] = {{.name = STR("id"), .field_id = 1, .t = TYPE(T_INT64), .not_null = true}, {.name = STR("odd name"), .field_id = 2, .t = TYPE(T_STRING)},
                         {.name = STR("l"), .field_id = 3, .t = {.id = T_LIST, .children = &list_t.f}}, {.name = STR("m"), .field_id = 4, .t = {.id = T_MAP, .children = &map_t.f}},
                         {.name = STR("dec"), .field_id = 5, .t = TYPE_DECIMAL(38, 3)}, {.name = STR("dec2"), .field_id = 6, .t = TYPE_DECIMAL(38, 3)}};
    const row_schema schema = {6, cols};
    enum { N = 5000 };
    for (int c = 0; c < 4; c++) {
        char path[128];
        snprintf(path, sizeof path, "%s/avro-rows-%d-%d.avro", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp", (int)getpid(), c);
        batch b;
        batch_init(&b, NULL);
        assert_int_equal(batch_columns(&b, 6, NULL), FZ_OK);
        static int64_t id[N];
        static strview s[N], values[2 * N];
        static uint32_t offsets[N + 1];
        static int32_t items[2 * N];
        static int64_t keys[2 * N];
        static i128 dec[N];
        uint64_t *valid = bitmap_alloc(&b.mem, N, true);
        for (uint32_t i = 0; i < N; i++) {
            id[i] = (int64_t)i * 1000003;
            s[i] = strview_make("a text that is longer than a view", 5 + i % 25);
            offsets[i + 1] = offsets[i] + i % 3;
            dec[i] = (i128)id[i] * 1000000000000000 * (i % 2 ? -1 : 1);
            if (i % 7 == 0)
                bit_clear(valid, i);
        }
        for (uint32_t i = 0; i < 2 * N; i++) {
            items[i] = -(int32_t)i;
            keys[i] = i;
            values[i] = strview_make("v", 1);
        }
        vec kid = {.t = TYPE(T_INT32), .len = 2 * N, .data = items};
        vec kv[2] = {{.t = TYPE(T_INT64), .len = 2 * N, .data = keys}, {.t = TYPE(T_STRING), .len = 2 * N, .data = values}};
        b.cols[0] = (vec){.t = cols[0].t, .len = N, .data = id};
        b.cols[1] = (vec){.t = cols[1].t, .len = N, .data = s, .valid = valid};
        b.cols[2] = (vec){.t = cols[2].t, .len = N, .data = offsets, .valid = valid, .kids = &kid};
        b.cols[3] = (vec){.t = cols[3].t, .len = N, .data = offsets, .kids = kv};
        b.cols[4] = (vec){.t = cols[4].t, .len = N, .data = dec};
        b.cols[5] = (vec){.t = cols[5].t, .enc = VEC_CONST, .len = N, .data = dec + 1};
        b.nrows = b.nsel = N;
        uint64_t sizes[2];
        uint32_t sums[2] = {0};
        for (int k = 0; k < 2; k++) {
            io_writer *w;
            avro_data *d;
            int64_t rows;
            unlink(path);
            assert_int_equal(io_create(NULL, path, NULL, &w, NULL), FZ_OK);
            const avro_data_options o = {.codec = codecs[c], .block_bytes = 10000};
            assert_int_equal(avro_data_open(w, &schema, &o, 0, NULL, NULL, &d, NULL), FZ_OK);
            assert_int_equal(avro_data_append(d, &b, NULL), FZ_OK);
            assert_int_equal(avro_data_finish(d, &sizes[k], &rows, NULL), FZ_OK);
            assert_int_equal(rows, N);
            buf *data;
            assert_int_equal(io_read_all(NULL, path, NULL, 1 << 24, &data, NULL), FZ_OK);
            for (size_t i = 0; i < data->size; i++)
                sums[k] = sums[k] * 31 + data->data[i];
            if (k == 0) {
                sbuf file, want;
                sbuf_init(&file, NULL);
                sbuf_init(&want, NULL);
                sbuf_add(&file, data->data, data->size);
                for (uint32_t r = 0; r < N; r++)
                    for (uint32_t i = 0; i < 6; i++) {
                        datum x = vec_datum(&b.cols[i], r);
                        sbuf_addz(&want, i ? "|" : r ? "\n" : "");
                        if (x.null)
                            sbuf_addz(&want, "-");
                        else
                            datum_text(&x, &want);
                    }
                reads(&file, 6, cols, NULL, want.p);
                static const avro_match by_name = {.by_name = true};
                reads(&file, 6, cols, &by_name, want.p); /* the odd name, too */
                sbuf_free(&file);
                sbuf_free(&want);
            }
            buf_unref(data);
        }
        assert_true(sizes[0] == sizes[1] && sums[0] == sums[1]); /* equal rows, equal files */
        unlink(path);
        batch_free(&b);
    }
    sbuf_free(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(resolution), cmocka_unit_test(damage), cmocka_unit_test(hostile), cmocka_unit_test(no_memory), cmocka_unit_test(round_trip),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
