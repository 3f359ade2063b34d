/*
 * test_avro.c: Avro files, written and read back; schemas; what is damaged or hostile is refused.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "format/avro/avro.h"

#include <libdeflate.h>
#include <stdlib.h>

#define SCHEMA                                                                                                  \
    "{\"type\":\"record\",\"name\":\"r\",\"fields\":["                                                           \
    "{\"name\":\"id\",\"type\":\"long\",\"field-id\":1},"                                                        \
    "{\"name\":\"name\",\"type\":[\"null\",\"string\"],\"default\":null,\"field-id\":2},"                        \
    "{\"name\":\"x\",\"type\":\"double\",\"field-id\":3},"                                                       \
    "{\"name\":\"list\",\"type\":{\"type\":\"array\",\"items\":\"int\",\"element-id\":9},\"field-id\":4},"       \
    "{\"name\":\"ok\",\"type\":\"boolean\",\"field-id\":5},"                                                     \
    "{\"name\":\"f\",\"type\":{\"type\":\"fixed\",\"name\":\"f3\",\"size\":3},\"field-id\":6},"                  \
    "{\"name\":\"m\",\"type\":{\"type\":\"map\",\"values\":\"float\",\"key-id\":10,\"value-id\":11},\"field-id\":7}]}"

static void put_row(avro_writer *w, int64_t id, const char *name, uint32_t n_list)
{
    avro_put_long(&w->body, id);
    avro_put_long(&w->body, name != NULL);
    if (name)
        avro_put_bytes(&w->body, str_of(name));
    avro_put_double(&w->body, (double)id / 2);
    if (n_list)
        avro_put_long(&w->body, n_list);
    for (uint32_t i = 0; i < n_list; i++)
        avro_put_long(&w->body, -(int64_t)i);
    avro_put_long(&w->body, 0);
    avro_put_bool(&w->body, id % 2);
    sbuf_add(&w->body, "abc", 3);
    avro_put_long(&w->body, 1);
    avro_put_bytes(&w->body, STR("k"));
    avro_put_float(&w->body, 1.5f);
    avro_put_long(&w->body, 0);
}

static void make_file(avro_writer *w, codec_id codec, int rows)
{
    const avro_kv meta[] = {{STR("answer"), STR("42")}};
    assert_int_equal(avro_writer_open(w, STR(SCHEMA), 1, meta, codec, NULL, NULL), FZ_OK);
    for (int i = 0; i < rows; i++) {
        put_row(w, i * 1000000007ll, i % 3 ? "a name" : NULL, (uint32_t)(i % 5));
        assert_int_equal(avro_writer_record(w, NULL), FZ_OK);
    }
    assert_int_equal(avro_writer_finish(w, NULL), FZ_OK);
}

static void check_row(avro_reader *r, int i)
{
    avro_cursor *c = &r->cur;
    const avro_field *f = r->schema->fields;
    const avro_type *t = f[0].type;
    assert_int_equal(avro_get_long(c, t), i * 1000000007ll);
    t = f[1].type;
    bool has = avro_value(c, &t);
    assert_int_equal(has, i % 3 != 0);
    if (has)
        assert_true(str_eqz(avro_get_bytes(c, t), "a name"));
    assert_float_equal(avro_get_double(c, f[2].type), (double)(i * 1000000007ll) / 2, 0);
    uint32_t n = 0;
    for (uint64_t k; (k = avro_items(c, f[3].type)) > 0;)
        for (; k > 0; k--)
            assert_int_equal(avro_get_long(c, f[3].type->fields[0].type), -(int64_t)n++);
    assert_int_equal(n, i % 5);
    assert_int_equal(avro_get_bool(c, f[4].type), (i * 1000000007ll) % 2);
    assert_true(str_eqz(avro_get_bytes(c, f[5].type), "abc"));
    avro_skip(c, f[6].type);
    assert_null(c->bad);
}

static void round_trip(void **state)
{
    (void)state;
    static const codec_id codecs[] = {CODEC_NONE, CODEC_DEFLATE};
    for (int k = 0; k < 2; k++) {
        avro_writer w;
        avro_reader r;
        make_file(&w, codecs[k], 5000);
        assert_int_equal(avro_reader_open(&r, w.out.p, w.out.n, "file", NULL, NULL), FZ_OK);
        assert_true(str_eqz(avro_reader_meta(&r, "answer"), "42"));
        assert_null(avro_reader_meta(&r, "question").p);
        int n = 0;
        for (bool more;; n++) {
            assert_int_equal(avro_next(&r, &more, NULL), FZ_OK);
            if (!more)
                break;
            if (n % 2)
                check_row(&r, n);
            else
                avro_skip(&r.cur, r.schema);
        }
        assert_int_equal(n, 5000);
        avro_reader_close(&r);
        avro_writer_free(&w);
    }
}

/* Blocks in the codecs that are only read. */
static void foreign_codecs(void **state)
{
    (void)state;
    static const struct { codec_id id; const char *name; } CODECS[] = {{CODEC_SNAPPY, "snappy"}, {CODEC_ZSTD, "zstandard"}};
    for (int k = 0; k < 2; k++) {
        sbuf out;
        uint8_t packed[256], plain[100];
        size_t n;
        memset(plain, 2, sizeof plain); /* 100 longs of value 1 */
        sbuf_init(&out, NULL);
        sbuf_add(&out, "Obj\1", 4);
        avro_put_long(&out, 2);
        avro_put_bytes(&out, STR("avro.schema"));
        avro_put_bytes(&out, STR("\"long\""));
        avro_put_bytes(&out, STR("avro.codec"));
        avro_put_bytes(&out, str_of(CODECS[k].name));
        avro_put_long(&out, 0);
        sbuf_add(&out, "0123456789abcdef", 16);
        codec_ctx *ctx = codec_ctx_new(NULL);
        assert_int_equal(codec_compress(ctx, CODECS[k].id, 0, plain, 100, packed, sizeof packed, &n, NULL), FZ_OK);
        if (CODECS[k].id == CODEC_SNAPPY) {
            uint32_t crc = libdeflate_crc32(0, plain, 100);
            for (int i = 3; i >= 0; i--)
                packed[n++] = (uint8_t)(crc >> 8 * i);
        }
        avro_put_long(&out, 100);
        avro_put_bytes(&out, (str){(char *)packed, n});
        sbuf_add(&out, "0123456789abcdef", 16);
        avro_reader r;
        assert_int_equal(avro_reader_open(&r, out.p, out.n, "file", NULL, NULL), FZ_OK);
        int64_t sum = 0;
        for (bool more;;) {
            assert_int_equal(avro_next(&r, &more, NULL), FZ_OK);
            if (!more)
                break;
            sum += avro_get_long(&r.cur, r.schema);
        }
        assert_int_equal(sum, 100);
        avro_reader_close(&r);
        if (CODECS[k].id == CODEC_SNAPPY) { /* a checksum that doesn't fit */
            out.p[out.n - 17] ^= 1;
            bool more;
            fz_error err = {0};
            assert_int_equal(avro_reader_open(&r, out.p, out.n, "file", NULL, NULL), FZ_OK);
            assert_int_equal(avro_next(&r, &more, &err), FZ_DATA);
            assert_non_null(strstr(err.message, "checksum"));
            avro_reader_close(&r);
        }
        codec_ctx_free(ctx);
        sbuf_free(&out);
    }
}

static void numbers(void **state)
{
    (void)state;
    static const int64_t values[] = {0, -1, 1, 63, 64, -64, -65, 1ll << 31, INT64_MAX, INT64_MIN};
    sbuf b;
    sbuf_init(&b, NULL);
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        avro_put_long(&b, values[i]);
    avro_cursor c = {(uint8_t *)b.p, (uint8_t *)b.p + b.n, NULL};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        assert_true(avro_varint(&c) == values[i]);
    assert_ptr_equal(c.p, c.end);
    assert_null(c.bad);
    avro_varint(&c);
    assert_non_null(c.bad);
    sbuf_free(&b);
    const uint8_t wide[] = {0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x02};
    c = (avro_cursor){wide, wide + sizeof wide, NULL};
    avro_varint(&c);
    assert_non_null(c.bad);
}

static fz_status parse(const char *json, const avro_type **t, arena *a, fz_error *err)
{
    arena_init(a, NULL);
    return avro_schema_parse(str_of(json), a, t, err);
}

static void schemas(void **state)
{
    (void)state;
    arena a;
    const avro_type *t;
    assert_int_equal(parse("{\"type\":\"record\",\"name\":\"n.s.r\",\"fields\":["
                           "{\"name\":\"a\",\"field-id\":7,\"type\":{\"type\":\"fixed\",\"name\":\"d\",\"size\":5,"
                           "\"logicalType\":\"decimal\",\"precision\":11,\"scale\":2}},"
                           "{\"name\":\"b\",\"type\":\"n.s.d\"},{\"name\":\"c\",\"type\":[\"null\",\"d\"]},"
                           "{\"name\":\"t\",\"type\":{\"type\":\"long\",\"logicalType\":\"timestamp-micros\","
                           "\"adjust-to-utc\":true}}]}", &t, &a, NULL), FZ_OK);
    assert_int_equal(t->n, 4);
    assert_int_equal(t->min_size, 5 + 5 + 1 + 1);
    assert_int_equal(t->fields[0].field_id, 7);
    assert_int_equal(t->fields[1].field_id, -1);
    assert_ptr_equal(t->fields[0].type, t->fields[1].type);
    assert_int_equal(t->fields[0].type->precision, 11);
    assert_ptr_equal(avro_nonnull(t->fields[2].type), t->fields[1].type);
    assert_int_equal(t->fields[3].type->logical, AVRO_TIMESTAMP_MICROS);
    assert_true(t->fields[3].type->utc);
    static const avro_want want[] = {{-2, "t"}, {7, "other name"}, {3, "zz"}};
    uint8_t slots[4];
    avro_bind(t, want, 3, slots);
    assert_int_equal(slots[0], 1);
    assert_int_equal(slots[1], AVRO_SKIP);
    assert_int_equal(slots[3], 0);
    arena_free(&a);

    static const struct { const char *json; fz_status st; } BAD[] = {
        {"\"nothing\"", FZ_DATA}, {"[]", FZ_DATA}, {"{}", FZ_DATA}, {"7", FZ_DATA}, {"", FZ_DATA}, {"[[\"int\"]]", FZ_DATA},
        {"{\"type\":\"fixed\",\"name\":\"f\",\"size\":-1}", FZ_DATA},
        {"{\"type\":\"record\",\"name\":\"r\",\"fields\":[{\"name\":\"r\",\"type\":[\"null\",\"r\"]}]}", FZ_UNSUPPORTED},
        {"{\"type\":\"bytes\",\"logicalType\":\"decimal\",\"precision\":99}", FZ_DATA},
    };
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
        assert_int_equal(parse(BAD[i].json, &t, &a, NULL), BAD[i].st);
        arena_free(&a);
    }
}

/* Named types used again double the tree at each level: the limit is on the expanded size. */
static void schema_bombs(void **state)
{
    (void)state;
    sbuf b;
    arena a;
    const avro_type *t;
    sbuf_init(&b, NULL);
    sbuf_addz(&b, "{\"type\":\"record\",\"name\":\"top\",\"fields\":[{\"name\":\"a0\",\"type\":{\"type\":\"record\","
                  "\"name\":\"r0\",\"fields\":[]}}");
    for (int i = 1; i < 60; i++)
        sbuf_printf(&b, ",{\"name\":\"a%d\",\"type\":{\"type\":\"record\",\"name\":\"r%d\",\"fields\":["
                    "{\"name\":\"x\",\"type\":\"r%d\"},{\"name\":\"y\",\"type\":\"r%d\"}]}}", i, i, i - 1, i - 1);
    sbuf_addz(&b, "]}");
    assert_int_equal(parse(b.p, &t, &a, NULL), FZ_DATA);
    arena_free(&a);
    sbuf_clear(&b);
    for (int i = 0; i < 100; i++)
        sbuf_addz(&b, "{\"type\":\"array\",\"items\":");
    sbuf_addz(&b, "\"int\"");
    for (int i = 0; i < 100; i++)
        sbuf_addc(&b, '}');
    assert_int_equal(parse(b.p, &t, &a, NULL), FZ_DATA);
    arena_free(&a);
    sbuf_free(&b);
}

static fz_status read_through(const void *p, size_t n, fz_error *err)
{
    avro_reader r;
    TRY(avro_reader_open(&r, p, n, "file", NULL, err));
    fz_status st;
    for (bool more;;) {
        st = avro_next(&r, &more, err);
        if (st != FZ_OK || !more)
            break;
        avro_skip(&r.cur, r.schema);
    }
    avro_reader_close(&r);
    return st;
}

/* Every cut and every changed byte ends in an answer; most cuts in FZ_DATA. */
static void damage(void **state)
{
    (void)state;
    avro_writer w;
    make_file(&w, CODEC_DEFLATE, 50);
    char *copy = malloc(w.out.n);
    int refused = 0;
    for (size_t n = 0; n < w.out.n; n++) {
        memcpy(copy, w.out.p, n);
        fz_error err = {0};
        fz_status st = read_through(copy, n, &err);
        refused += st != FZ_OK;
        if (st != FZ_OK) {
            assert_int_equal(st, FZ_DATA);
            assert_string_equal(err.where, "file");
        }
    }
    assert_int_equal(refused, w.out.n - 1); /* the one cut between header and block can't be told */
    for (size_t i = 0; i < w.out.n; i++) {
        memcpy(copy, w.out.p, w.out.n);
        copy[i] ^= (char)(1 << i % 8);
        read_through(copy, w.out.n, NULL);
    }
    free(copy);
    avro_writer_free(&w);
}

/* Counts that promise more than the bytes can hold must not be walked. */
static void hostile_counts(void **state)
{
    (void)state;
    avro_type item = {.kind = AVRO_NULL}, integer = {.kind = AVRO_INT, .min_size = 1};
    avro_field f = {.field_id = -1, .type = &item};
    avro_type array = {.kind = AVRO_ARRAY, .n = 1, .fields = &f, .min_size = 1};
    sbuf b;
    sbuf_init(&b, NULL);
    avro_put_long(&b, INT64_MAX);
    avro_put_long(&b, 0);
    avro_cursor c = {(uint8_t *)b.p, (uint8_t *)b.p + b.n, NULL};
    avro_skip(&c, &array); /* nulls take no bytes: passed at once */
    assert_null(c.bad);
    assert_ptr_equal(c.p, c.end);
    c = (avro_cursor){(uint8_t *)b.p, (uint8_t *)b.p + b.n, NULL};
    assert_int_equal(avro_items(&c, &array), 0);
    assert_non_null(c.bad);
    f.type = &integer;
    c = (avro_cursor){(uint8_t *)b.p, (uint8_t *)b.p + b.n, NULL};
    avro_skip(&c, &array);
    assert_non_null(c.bad);
    sbuf_clear(&b);
    avro_put_long(&b, INT64_MIN); /* a block whose size is given */
    avro_put_long(&b, INT64_MAX);
    c = (avro_cursor){(uint8_t *)b.p, (uint8_t *)b.p + b.n, NULL};
    avro_skip(&c, &array);
    assert_non_null(c.bad);
    sbuf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers),        cmocka_unit_test(round_trip), cmocka_unit_test(foreign_codecs),
        cmocka_unit_test(schemas),        cmocka_unit_test(schema_bombs), cmocka_unit_test(damage),
        cmocka_unit_test(hostile_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
