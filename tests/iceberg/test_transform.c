/*
 * test_transform.c: partition transforms: the specification's hash values (Appendix B), values on both
 * sides of zero and 1970, all encodings against single values, what is refused.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "iceberg/transform/transform.h"

#include <stdlib.h>

static arena a;

static ib_transform tr(const char *text)
{
    ib_transform t;
    assert_int_equal(ib_transform_parse(str_of(text), &a, &t), FZ_OK);
    return t;
}

static datum i32(type_id id, int32_t v) { return (datum){.t = TYPE(id), .i32 = v}; }
static datum i64(type_id id, int64_t v) { return (datum){.t = TYPE(id), .i64 = v}; }
static datum text(type_id id, const char *v) { return (datum){.t = TYPE(id), .s = str_of(v)}; }
static datum dec(int p, int s, int64_t v)
{
    datum d = {.t = TYPE_DECIMAL((uint8_t)p, (uint8_t)s)};
    if (p > 18)
        d.i128v = v;
    else
        d.i64 = v;
    return d;
}

static datum apply(const char *transform, datum in)
{
    ib_transform t = tr(transform);
    datum out;
    fz_error e = {0};
    if (ib_transform_value(&t, &in, &a, &out, &e) != FZ_OK)
        fail_msg("%s: %s", transform, e.message);
    return out;
}

static void test_text(void **state)
{
    static const struct { const char *text; ib_transform_kind kind; int32_t param; } t[] = {
        {"identity", IB_IDENTITY, 0}, {"bucket[16]", IB_BUCKET, 16}, {"truncate[10]", IB_TRUNCATE, 10}, {"year", IB_YEAR, 0},
        {"month", IB_MONTH, 0}, {"day", IB_DAY, 0}, {"hour", IB_HOUR, 0}, {"void", IB_VOID, 0}, {"Bucket[2147483647]", IB_BUCKET, INT32_MAX},
        {"bucket[0]", IB_TRANSFORM_UNKNOWN, 0}, {"bucket", IB_TRANSFORM_UNKNOWN, 0}, {"bucket[-1]", IB_TRANSFORM_UNKNOWN, 0},
        {"bucket[2147483648]", IB_TRANSFORM_UNKNOWN, 0}, {"year[1]", IB_TRANSFORM_UNKNOWN, 0}, {"truncate[]", IB_TRANSFORM_UNKNOWN, 0},
        {"truncate[1", IB_TRANSFORM_UNKNOWN, 0}, {"zorder", IB_TRANSFORM_UNKNOWN, 0}, {"", IB_TRANSFORM_UNKNOWN, 0},
    };
    for (size_t i = 0; i < sizeof t / sizeof t[0]; i++) {
        ib_transform x = tr(t[i].text);
        assert_int_equal(x.kind, t[i].kind);
        assert_int_equal(x.param, t[i].param);
        sbuf b;
        sbuf_init(&b, NULL);
        sbuf_addz(&b, "");
        ib_transform_write(&x, &b);
        assert_true(str_ieq((str){b.p, b.n}, str_of(t[i].text)));
        sbuf_free(&b);
    }
}

/* bucket[2^31 - 1] shows the hash but for its sign bit and the one value that wraps */
static void hashes_to(datum d, uint32_t hash)
{
    assert_int_equal(apply("bucket[2147483647]", d).i32, (hash & INT32_MAX) % INT32_MAX);
}

static void test_hashes(void **state)
{
    static const char fixed[] = {0, 1, 2, 3}, uuid[] = "\xf7\x9c\x3e\x09\x67\x7c\x4b\xbd\xa4\x79\x3f\x34\x9c\xb7\x85\xe7";
    hashes_to(i32(T_INT32, 34), 2017239379);
    hashes_to(i64(T_INT64, 34), 2017239379);
    hashes_to(dec(9, 2, 1420), (uint32_t)-500754589);
    hashes_to(dec(38, 2, 1420), (uint32_t)-500754589);
    hashes_to(i32(T_DATE, 17486), (uint32_t)-653330422);                    /* 2017-11-16 */
    hashes_to(i64(T_TIME, 81068000000), (uint32_t)-662762989);              /* 22:31:08 */
    hashes_to(i64(T_TIMESTAMP, 1510871468000000), (uint32_t)-2047944441);   /* 2017-11-16T22:31:08 */
    hashes_to(i64(T_TIMESTAMPTZ, 1510871468000000), (uint32_t)-2047944441);
    hashes_to(text(T_STRING, "iceberg"), 1210000089);
    datum d = {.t = {.id = T_FIXED, .width = 4}, .s = {fixed, 4}};
    hashes_to(d, (uint32_t)-188683207);
    d.t = TYPE(T_BINARY);
    hashes_to(d, (uint32_t)-188683207);
    d = (datum){.t = TYPE(T_UUID), .s = {uuid, 16}};
    hashes_to(d, 1488055340);
    assert_int_equal(ib_murmur3_32("", 0), 0);
    /* every length of the tail, against the reference implementation */
    assert_int_equal(ib_murmur3_32("a", 1), 0x3c2569b2);
    assert_int_equal(ib_murmur3_32("abc", 3), 0xb3dd93fa);
    assert_int_equal(ib_murmur3_32("Hello, world!", 13), 0xc0363e43);
}

static void test_truncate(void **state)
{
    assert_int_equal(apply("truncate[10]", i32(T_INT32, 1)).i32, 0);
    assert_int_equal(apply("truncate[10]", i32(T_INT32, -1)).i32, -10);
    assert_int_equal(apply("truncate[10]", i64(T_INT64, -10)).i64, -10);
    assert_int_equal(apply("truncate[10]", i64(T_INT64, -11)).i64, -20);
    assert_int_equal(apply("truncate[50]", dec(9, 2, 1065)).i64, 1050);
    assert_int_equal(apply("truncate[50]", dec(9, 2, -1)).i64, -50);
    assert_true(apply("truncate[50]", dec(30, 2, -51)).i128v == -100);
    assert_true(str_eqz(apply("truncate[3]", text(T_STRING, "iceberg")).s, "ice"));
    assert_true(str_eqz(apply("truncate[30]", text(T_STRING, "iceberg")).s, "iceberg"));
    assert_true(str_eqz(apply("truncate[2]", text(T_STRING, "\xc3\xa9\xe2\x82\xac" "a")).s, "\xc3\xa9\xe2\x82\xac"));
    assert_true(str_eqz(apply("truncate[3]", text(T_STRING, "\xf0\x9f\x98\x80" "abcdefghijklmnop")).s, "\xf0\x9f\x98\x80" "ab"));
    assert_true(str_eqz(apply("truncate[2]", text(T_BINARY, "\xc3\xa9\xe2")).s, "\xc3\xa9"));
    assert_true(str_eqz(apply("truncate[5]", text(T_STRING, "")).s, ""));
}

static void test_time(void **state)
{
    assert_int_equal(apply("year", i32(T_DATE, 0)).i32, 0);
    assert_int_equal(apply("year", i32(T_DATE, -1)).i32, -1);
    assert_int_equal(apply("month", i32(T_DATE, -1)).i32, -1);
    assert_int_equal(apply("month", i32(T_DATE, 17501)).i32, 575);        /* 2017-12-01 */
    assert_int_equal(apply("day", i32(T_DATE, -3)).i32, -3);
    assert_int_equal(apply("day", i32(T_DATE, -3)).t.id, T_DATE);
    assert_int_equal(apply("year", i64(T_TIMESTAMP, -1)).i32, -1);
    assert_int_equal(apply("month", i64(T_TIMESTAMPTZ, -1)).i32, -1);
    assert_int_equal(apply("day", i64(T_TIMESTAMP, -1)).i32, -1);
    assert_int_equal(apply("day", i64(T_TIMESTAMP, 86400000000)).i32, 1);
    assert_int_equal(apply("hour", i64(T_TIMESTAMP, -1)).i32, -1);
    assert_int_equal(apply("hour", i64(T_TIMESTAMP, 3600000000)).i32, 1);
    assert_int_equal(apply("day", i64(T_TIMESTAMP, INT64_MIN)).i32, -106751992);
    assert_int_equal(apply("year", i64(T_TIMESTAMP, INT64_MAX)).i32, 292277);
}

static void test_null_void(void **state)
{
    datum d = DATUM_NULL(TYPE(T_INT64));
    assert_true(apply("bucket[4]", d).null);
    assert_true(apply("truncate[4]", d).null);
    assert_true(apply("identity", d).null);
    assert_true(apply("void", i64(T_INT64, 5)).null);
    assert_int_equal(apply("void", i64(T_INT64, 5)).t.id, T_INT64);
    assert_int_equal(apply("identity", i64(T_INT64, 5)).i64, 5);
}

static void test_refuses(void **state)
{
    static const struct { const char *t; type_id id; fz_status want; } t[] = {
        {"bucket[4]", T_BOOL, FZ_INVALID}, {"bucket[4]", T_FLOAT64, FZ_INVALID}, {"bucket[4]", T_FLOAT32, FZ_INVALID},
        {"truncate[4]", T_DATE, FZ_INVALID}, {"truncate[4]", T_UUID, FZ_INVALID}, {"year", T_TIME, FZ_INVALID},
        {"year", T_INT32, FZ_INVALID}, {"hour", T_DATE, FZ_INVALID}, {"identity", T_LIST, FZ_INVALID},
        {"void", T_STRUCT, FZ_INVALID}, {"other", T_INT32, FZ_UNSUPPORTED}, {"identity", T_FLOAT64, FZ_OK},
    };
    for (size_t i = 0; i < sizeof t / sizeof t[0]; i++) {
        ib_transform x = tr(t[i].t);
        type out;
        fz_error e = {0};
        assert_int_equal(ib_transform_result(&x, TYPE(t[i].id), &out, &e), t[i].want);
    }
    /* results that don't fit */
    datum bad[] = {i32(T_INT32, INT32_MIN), i64(T_INT64, INT64_MIN), dec(2, 0, -99), dec(20, 0, 0)};
    bad[3].i128v = -(i128)99999999999 * 1000000000 - 999999999; /* the smallest of 20 digits */
    ib_transform x = tr("truncate[10]");
    for (int i = 0; i < 4; i++) {
        datum out;
        assert_int_equal(ib_transform_value(&x, &bad[i], &a, &out, NULL), FZ_VALUE);
    }
    x = tr("hour");
    datum late = i64(T_TIMESTAMP, INT64_MAX), out;
    assert_int_equal(ib_transform_value(&x, &late, &a, &out, NULL), FZ_VALUE);
}

/* ---- columns: every encoding gives what single values give ---- */

static void column_check(const char *transform, const vec *in)
{
    ib_transform t = tr(transform);
    vec out;
    fz_error e = {0};
    if (ib_transform_vec(&t, in, &a, &out, &e) != FZ_OK)
        fail_msg("%s: %s", transform, e.message);
    assert_int_equal(out.enc, VEC_FLAT);
    assert_int_equal(out.len, in->len);
    for (uint32_t i = 0; i < in->len; i++) {
        datum d = vec_datum(in, i), got = vec_datum(&out, i), want;
        assert_int_equal(ib_transform_value(&t, &d, &a, &want, &e), FZ_OK);
        if (!datum_eq(&got, &want))
            fail_msg("%s, encoding %d, row %u", transform, in->enc, i);
    }
}

static void encodings_check(const char *transform, type t, const datum *values, uint32_t n)
{
    vec flat, dict, rle, runs, c;
    fz_error e;
    assert_int_equal(vec_alloc(&flat, t, n, &a, &e), FZ_OK);
    for (uint32_t i = 0; i < n; i++) {
        size_t w = phys_size(type_phys(t));
        char *at = (char *)flat.data + w * i;
        if (type_phys(t) == PHYS_STR) {
            strview v = strview_make(values[i].s.p, (uint32_t)values[i].s.n);
            memcpy(at, &v, w);
        } else {
            memcpy(at, &values[i].i32, w); /* all members of the union begin at the same place */
        }
    }
    column_check(transform, &flat);
    uint32_t rows = 3 * n + 1, *codes = arena_alloc(&a, rows * 4), *ends = arena_alloc(&a, n * 4);
    for (uint32_t i = 0; i < rows; i++)
        codes[i] = i * 7 % n;
    dict = (vec){.t = t, .enc = VEC_DICT, .len = rows, .data = codes, .values = &flat, .dict_id = 9};
    column_check(transform, &dict);
    dict.valid = bitmap_alloc(&a, rows, true);
    bit_clear(dict.valid, 1);
    codes[1] = 0;
    column_check(transform, &dict);
    dict.len = 2; /* larger dictionary than rows */
    column_check(transform, &dict);
    for (uint32_t i = 0; i < n; i++)
        ends[i] = 2 * i + 1;
    runs = flat;
    runs.valid = bitmap_alloc(&a, n, true);
    bit_clear(runs.valid, n - 1);
    rle = (vec){.t = t, .enc = VEC_RLE, .len = 2 * n - 1, .nruns = n, .data = ends, .values = &runs};
    column_check(transform, &rle);
    column_check(transform, &runs);
    assert_int_equal(vec_const(&c, &values[0], 5, &a, &e), FZ_OK);
    column_check(transform, &c);
    datum null = DATUM_NULL(t);
    assert_int_equal(vec_const(&c, &null, 5, &a, &e), FZ_OK);
    column_check(transform, &c);
    flat.len = 0;
    column_check(transform, &flat);
}

static void test_columns(void **state)
{
    static const char *const all[] = {"identity", "void", "bucket[7]", "truncate[10]", "year", "month", "day", "hour"};
    static const char *const words[] = {"", "a", "iceberg", "longer than twelve bytes", "\xc3\xa9\xc3\xa9\xc3\xa9", "\xe2\x82\xac 12345678901", "zz"};
    enum { N = 7 };
    static const int64_t numbers[N] = {0, 1, -1, 1234567890, -987654321, 86400000000, -86400000001};
    type types[] = {TYPE(T_INT32), TYPE(T_INT64), TYPE_DECIMAL(18, 2), TYPE_DECIMAL(30, 2), TYPE(T_DATE), TYPE(T_TIMESTAMP),
                    TYPE(T_TIMESTAMPTZ), TYPE(T_TIME), TYPE(T_STRING), TYPE(T_BINARY), TYPE(T_BOOL), TYPE(T_FLOAT64)};
    for (size_t k = 0; k < sizeof types / sizeof types[0]; k++) {
        datum v[N];
        for (int i = 0; i < N; i++) {
            v[i] = (datum){.t = types[k]};
            switch (type_phys(types[k])) {
            case PHYS_U8: v[i].b = i & 1; break;
            case PHYS_I32: v[i].i32 = (int32_t)(numbers[i] % 100000000); break;
            case PHYS_I128: v[i].i128v = (i128)numbers[i] * 1000000007; break;
            case PHYS_F64: v[i].f64 = (double)numbers[i]; break;
            case PHYS_STR: v[i].s = str_of(words[i]); break;
            default: v[i].i64 = numbers[i];
            }
        }
        for (size_t j = 0; j < sizeof all / sizeof all[0]; j++) {
            ib_transform t = tr(all[j]);
            type out;
            if (ib_transform_result(&t, types[k], &out, NULL) == FZ_OK)
                encodings_check(all[j], types[k], v, N);
        }
    }
}

/* A value that doesn't fit is an error only where its row isn't null. */
static void test_null_rows_dont_fail(void **state)
{
    int32_t data[2] = {5, INT32_MIN};
    uint64_t valid = 1;
    vec in = {.t = TYPE(T_INT32), .enc = VEC_FLAT, .len = 2, .data = data, .valid = &valid}, out;
    ib_transform t = tr("truncate[10]");
    assert_int_equal(ib_transform_vec(&t, &in, &a, &out, NULL), FZ_OK);
    valid = 3;
    assert_int_equal(ib_transform_vec(&t, &in, &a, &out, NULL), FZ_VALUE);
}

static void path_is(const char *transform, datum d, const char *want)
{
    ib_transform t = tr(transform);
    datum v;
    assert_int_equal(ib_transform_value(&t, &d, &a, &v, NULL), FZ_OK);
    sbuf b;
    sbuf_init(&b, NULL);
    ib_transform_path(&t, &v, &b);
    assert_string_equal(b.p, want);
    sbuf_free(&b);
}

static void test_paths(void **state)
{
    path_is("year", i32(T_DATE, 18262), "2020");
    path_is("month", i32(T_DATE, 18262), "2020-01");
    path_is("month", i32(T_DATE, -1), "1969-12");
    path_is("day", i32(T_DATE, -1), "1969-12-31");
    path_is("hour", i64(T_TIMESTAMP, -1), "1969-12-31-23");
    path_is("identity", i32(T_DATE, 17501), "2017-12-01");
    path_is("identity", i64(T_TIMESTAMP, 1512123175038194), "2017-12-01T10%3A12%3A55.038194");
    path_is("identity", i64(T_TIMESTAMPTZ, 1512123175000000), "2017-12-01T10%3A12%3A55%2B00%3A00");
    path_is("identity", text(T_STRING, "a b/c=\xc3\xa9*"), "a+b%2Fc%3D%C3%A9*");
    path_is("identity", text(T_BINARY, "\x01\x02\x03"), "AQID");
    path_is("identity", text(T_BINARY, "\x01"), "AQ%3D%3D");
    path_is("identity", dec(9, 2, -1420), "-14.20");
    path_is("bucket[4]", DATUM_NULL(TYPE(T_INT64)), "null");
    path_is("truncate[2]", text(T_STRING, "abc"), "ab");
}

static int set_up(void **state)
{
    arena_init(&a, NULL);
    return 0;
}

static int tear_down(void **state)
{
    arena_free(&a);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text), cmocka_unit_test(test_hashes), cmocka_unit_test(test_truncate),
        cmocka_unit_test(test_time), cmocka_unit_test(test_null_void), cmocka_unit_test(test_refuses),
        cmocka_unit_test(test_columns), cmocka_unit_test(test_null_rows_dont_fail), cmocka_unit_test(test_paths),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
