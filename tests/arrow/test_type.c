/* Types, dates, single values and their text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "arrow/civil.h"
#include "arrow/type.h"

#include <math.h>

static void check_name(type t, const char *expect)
{
    sbuf b;
    sbuf_init(&b, NULL);
    type_sql_name(t, &b);
    assert_string_equal(b.p, expect);
    sbuf_free(&b);
}

static void types_have_names_and_layouts(void **state)
{
    check_name(TYPE(T_INT64), "bigint");
    check_name(TYPE_DECIMAL(9, 2), "decimal(9,2)");
    check_name(TYPE(T_TIMESTAMPTZ), "timestamp with time zone");
    check_name((type){.id = T_FIXED, .width = 7}, "fixed(7)");
    struct two { type_fields f; type_field m[2]; } s = {{2}, {{STR("a"), 1, true, TYPE(T_INT32)}, {STR("b"), 2, false, TYPE(T_STRING)}}};
    type st = {.id = T_STRUCT, .children = &s.f};
    check_name(st, "struct(a integer, b text)");
    struct { type_fields f; type_field m[1]; } l = {{1}, {{STR("element"), 3, true, st}}};
    check_name((type){.id = T_LIST, .children = &l.f}, "struct(a integer, b text)[]");
    for (int id = T_BOOL; id < T_STRUCT; id++)
        assert_true(phys_size(type_phys(TYPE(id))) > 0);
    assert_int_equal(type_phys(TYPE_DECIMAL(18, 0)), PHYS_I64);
    assert_int_equal(type_phys(TYPE_DECIMAL(19, 0)), PHYS_I128);
    assert_int_equal(phys_size(PHYS_I128), 16);
    assert_int_equal(type_phys((type){.id = 200}), PHYS_NONE);
    assert_true(type_eq(TYPE_DECIMAL(9, 2), TYPE_DECIMAL(9, 2)));
    assert_false(type_eq(TYPE_DECIMAL(9, 2), TYPE_DECIMAL(9, 3)));
    assert_false(type_eq((type){.id = T_FIXED, .width = 7}, (type){.id = T_FIXED, .width = 8}));
    struct two s2 = s;
    type st2 = {.id = T_STRUCT, .children = &s2.f};
    assert_true(type_eq(st, st2));
    s2.m[1].field_id = 9;
    assert_false(type_eq(st, st2));
    assert_true(type_is_numeric(TYPE(T_DECIMAL)) && !type_is_numeric(TYPE(T_DATE)));
    assert_true(type_is_nested(st) && type_is_integer(TYPE(T_INT32)));
}

static void days_and_dates_agree(void **state)
{
    assert_int_equal(civil_to_days(1970, 1, 1), 0);
    assert_int_equal(civil_to_days(2000, 3, 1), 11017);
    assert_int_equal(civil_to_days(1, 1, 1), -719162);
    assert_int_equal(civil_to_days(2020, 2, 30), civil_to_days(2020, 3, 1));
    int64_t day = civil_to_days(-401, 1, 1); /* every day of nine centuries, counted by hand */
    for (int64_t y = -401; y <= 500; y++)
        for (int m = 1; m <= 12; m++)
            for (int d = 1; d <= civil_month_days(y, m); d++, day++) {
                civil_date c = civil_from_days(day);
                if (c.year != y || c.month != m || c.day != d || civil_to_days(y, m, d) != day)
                    fail_msg("day %lld", (long long)day);
            }
    for (int64_t n = INT32_MIN; n <= INT32_MAX; n += 999983) {
        civil_date c = civil_from_days(n);
        assert_true(civil_valid(c.year, c.month, c.day));
        assert_int_equal(civil_to_days(c.year, c.month, c.day), n);
    }
    assert_false(civil_valid(1900, 2, 29) || civil_valid(2001, 4, 31) || civil_valid(2001, 13, 1) || civil_valid(2001, 0, 1));
    assert_true(civil_valid(2000, 2, 29));
    assert_int_equal(civil_floor_div(-1, 10), -1);
    assert_int_equal(civil_floor_div(-10, 10), -1);
    assert_int_equal(civil_floor_div(9, 10), 0);
}

static void check_datum(datum d, const char *expect)
{
    sbuf b;
    sbuf_init(&b, NULL);
    sbuf_addc(&b, '>');
    datum_text(&d, &b);
    assert_string_equal(b.p + 1, expect);
    sbuf_free(&b);
}
#define I64(T, V)  ((datum){.t = TYPE(T), .i64 = (V)})
#define DAYS(V)    ((datum){.t = TYPE(T_DATE), .i32 = (V)})
#define DEC(P, S, V) ((datum){.t = TYPE_DECIMAL(P, S), .i64 = (V)})
#define TEXT(T, S) ((datum){.t = TYPE(T), .s = STR(S)})

static void values_have_text(void **state)
{
    check_datum(DATUM_NULL(TYPE(T_INT64)), "");
    check_datum((datum){.t = TYPE(T_BOOL), .b = true}, "true");
    check_datum((datum){.t = TYPE(T_INT32), .i32 = INT32_MIN}, "-2147483648");
    check_datum(I64(T_INT64, INT64_MIN), "-9223372036854775808");
    check_datum((datum){.t = TYPE(T_FLOAT32), .f32 = 0.1f}, "0.1");
    check_datum((datum){.t = TYPE(T_FLOAT64), .f64 = 1e20}, "1e+20");
    check_datum(DAYS(0), "1970-01-01");
    check_datum(DAYS(18321), "2020-02-29");
    check_datum(DAYS((int32_t)civil_to_days(-43, 3, 15)), "0044-03-15 BC");
    check_datum(DAYS((int32_t)civil_to_days(0, 12, 31)), "0001-12-31 BC");
    check_datum(DAYS((int32_t)civil_to_days(12345, 6, 7)), "12345-06-07");
    check_datum(DAYS(INT32_MIN), "5877642-06-23 BC");
    check_datum(DAYS(INT32_MAX), "5881580-07-11");
    check_datum(I64(T_TIME, 0), "00:00:00");
    check_datum(I64(T_TIME, 86399999999), "23:59:59.999999");
    check_datum(I64(T_TIME, 3723040000), "01:02:03.04");
    check_datum(I64(T_TIME, -1), "23:59:59.999999"); /* out of range: no crash */
    check_datum(I64(T_TIMESTAMP, 0), "1970-01-01 00:00:00");
    check_datum(I64(T_TIMESTAMP, -1), "1969-12-31 23:59:59.999999");
    check_datum(I64(T_TIMESTAMP, 1600000000123400), "2020-09-13 12:26:40.1234");
    check_datum(I64(T_TIMESTAMPTZ, 1600000000000000), "2020-09-13 12:26:40+00");
    check_datum(I64(T_TIMESTAMPTZ, civil_to_days(0, 1, 1) * MICROS_PER_DAY), "0001-01-01 00:00:00+00 BC");
    check_datum(I64(T_TIMESTAMP, INT64_MIN), "290309-12-21 19:59:05.224192 BC");
    check_datum(I64(T_TIMESTAMP, INT64_MAX), "294247-01-10 04:00:54.775807");
    check_datum(DEC(9, 2, 12345), "123.45");
    check_datum(DEC(9, 2, -5), "-0.05");
    check_datum(DEC(9, 0, 0), "0");
    check_datum(DEC(9, 3, 0), "0.000");
    check_datum(DEC(18, 18, 1), "0.000000000000000001");
    i128 big = (i128)1000000000000000000 * 1000000000000000000 * 100 - 1; /* 10^38 - 1 */
    check_datum((datum){.t = TYPE_DECIMAL(38, 10), .i128v = big}, "9999999999999999999999999999.9999999999");
    check_datum((datum){.t = TYPE_DECIMAL(38, 38), .i128v = -big}, "-0.99999999999999999999999999999999999999");
    check_datum((datum){.t = TYPE_DECIMAL(38, 0), .i128v = big + 1 - big + (i128)1000000000000000000 * 1000000000000000000},
                "1000000000000000000000000000000000001");
    check_datum((datum){.t = TYPE_DECIMAL(38, 20), .i128v = 1}, "0.00000000000000000001");
    check_datum(TEXT(T_STRING, "plain"), "plain");
    check_datum(TEXT(T_BINARY, "\x00\xff\x10"), "\\x00ff10");
    check_datum(TEXT(T_UUID, "\x12\x34\x56\x78\x9a\xbc\xde\xf0\x01\x02\x03\x04\x05\x06\x07\x08"),
                "12345678-9abc-def0-0102-030405060708");
}

static void zones_are_written(void **state)
{
    char t[CIVIL_TEXT_MAX];
    static const struct { int32_t s; const char *z; } cases[] = {
        {0, "2020-09-13 12:26:40+00"},       {32400, "2020-09-13 21:26:40+09"},
        {-43200, "2020-09-13 00:26:40-12"},  {19800, "2020-09-13 17:56:40+05:30"},
        {-2670, "2020-09-13 11:42:10-00:44:30"}, {50400, "2020-09-14 02:26:40+14"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        size_t n = timestamptz_text_at(1600000000000000, cases[i].s, t);
        assert_int_equal(n, strlen(cases[i].z));
        assert_memory_equal(t, cases[i].z, n);
    }
    timestamptz_text_at(INT64_MIN, -86399, t);
    timestamptz_text_at(INT64_MAX, 86399, t);
}

static void values_have_an_order(void **state)
{
    datum nan = {.t = TYPE(T_FLOAT64), .f64 = NAN}, inf = {.t = TYPE(T_FLOAT64), .f64 = INFINITY};
    datum zero = {.t = TYPE(T_FLOAT64), .f64 = 0.0}, minus = {.t = TYPE(T_FLOAT64), .f64 = -0.0};
    assert_true(datum_cmp(&nan, &inf) > 0 && datum_cmp(&inf, &nan) < 0);
    assert_true(datum_eq(&nan, &nan) && datum_eq(&zero, &minus));
    datum a = TEXT(T_STRING, "a"), ab = TEXT(T_STRING, "ab"), hi = TEXT(T_STRING, "\xc3\xa9");
    assert_true(datum_cmp(&a, &ab) < 0 && datum_cmp(&ab, &hi) < 0);
    datum n1 = DATUM_NULL(TYPE(T_INT64)), one = I64(T_INT64, 1), two = I64(T_INT64, 2);
    assert_true(datum_eq(&n1, &n1) && !datum_eq(&n1, &one) && !datum_eq(&one, &two));
    datum date = DAYS(1), i32 = {.t = TYPE(T_INT32), .i32 = 1};
    assert_false(datum_eq(&date, &i32));
    assert_true(datum_cmp(&one, &two) < 0);
    datum x = {.t = TYPE_DECIMAL(38, 0), .i128v = (i128)1 << 100}, y = {.t = TYPE_DECIMAL(38, 0), .i128v = -((i128)1 << 100)};
    assert_true(datum_cmp(&x, &y) > 0);
    assert_true(datum_decimal(&x) == (i128)1 << 100);
    datum d9 = DEC(9, 2, -7);
    assert_true(datum_decimal(&d9) == -7);
}

static void views_compare_as_their_text(void **state)
{
    static const char *const z[] = {"", "a", "aa", "ab", "abcdefghijkl", "abcdefghijklm", "abcdefghijkln",
                                    "abcdefghijklmmmmmmmmmmmmmmmmmm", "b", "\x80", "\xff\xff\xff\xff\xff"};
    enum { N = sizeof z / sizeof z[0] };
    strview v[N], w[N];
    char copies[N][40];
    for (int i = 0; i < N; i++) {
        size_t n = strlen(z[i]);
        memcpy(copies[i], z[i], n);
        v[i] = strview_make(z[i], (uint32_t)n);
        w[i] = strview_make(copies[i], (uint32_t)n);
        assert_true(str_eqz(strview_str(&v[i]), z[i]));
    }
    for (int i = 0; i < N; i++)
        for (int k = 0; k < N; k++) {
            assert_int_equal(strview_eq(&v[i], &w[k]), i == k);
            int c = strview_cmp(&v[i], &w[k]), e = str_cmp(str_of(z[i]), str_of(z[k]));
            assert_int_equal((c > 0) - (c < 0), (e > 0) - (e < 0));
        }
    strview nul = strview_make("a\0", 2); /* a NUL is a byte like others */
    assert_true(strview_cmp(&nul, &v[1]) > 0 && !strview_eq(&nul, &v[1]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(types_have_names_and_layouts), cmocka_unit_test(days_and_dates_agree),
        cmocka_unit_test(values_have_text),             cmocka_unit_test(zones_are_written),
        cmocka_unit_test(values_have_an_order),         cmocka_unit_test(views_compare_as_their_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
