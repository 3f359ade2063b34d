/*
 * test_convert.c: text to values: forms, ranges, rounding, and random numbers against libc.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "arrow/convert.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static uint64_t rnd_state = 0x9e3779b97f4a7c15u;
static uint64_t rnd(void)
{
    rnd_state ^= rnd_state << 13;
    rnd_state ^= rnd_state >> 7;
    rnd_state ^= rnd_state << 17;
    return rnd_state;
}

#define N(z) (z), strlen(z)

static void test_integers(void **state)
{
    (void)state;
    static const struct { const char *z; conv c; int64_t v; } t[] = {
        {"0", CONV_OK, 0}, {"-0", CONV_OK, 0}, {"+7", CONV_OK, 7}, {"000190", CONV_OK, 190},
        {"9223372036854775807", CONV_OK, INT64_MAX}, {"-9223372036854775808", CONV_OK, INT64_MIN},
        {"00000000000000000000000000000000000012", CONV_OK, 12}, {"999999999999999999", CONV_OK, 999999999999999999},
        {"9223372036854775808", CONV_RANGE, 0}, {"-9223372036854775809", CONV_RANGE, 0},
        {"99999999999999999999999", CONV_RANGE, 0}, {"18446744073709551616", CONV_RANGE, 0},
        {"", CONV_BAD, 0}, {"-", CONV_BAD, 0}, {"+", CONV_BAD, 0}, {"1 ", CONV_BAD, 0}, {" 1", CONV_BAD, 0},
        {"1.0", CONV_BAD, 0}, {"--1", CONV_BAD, 0}, {"99999999999999999999x", CONV_BAD, 0}, {"0x10", CONV_BAD, 0}};
    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        int64_t v = 0;
        assert_int_equal(text_to_i64(N(t[i].z), &v), t[i].c);
        assert_true(v == t[i].v);
    }
}

static void double_is(const char *z)
{
    double v = 12345, want = strtod(z, NULL);
    conv c = text_to_f64(N(z), &v);
    if (isinf(want)) {
        assert_int_equal(c, CONV_RANGE);
        return;
    }
    if (c != CONV_OK || memcmp(&v, &want, sizeof v) != 0)
        print_message("%s: %d, %.17g, not %.17g\n", z, c, v, want);
    assert_int_equal(c, CONV_OK);
    assert_memory_equal(&v, &want, sizeof v);
}

static void test_doubles(void **state)
{
    (void)state;
    static const char *const good[] = {
        "0", "-0", "0.0", "-0.0", "1", "1.", ".5", "-.5", "+2.5", "1e5", "1E5", "1e+5", "1e-5", "0e999999999999", "1e400",
        "123456789012345678901234567890", "0.1", "0.30000000000000004", "9007199254740993", "9007199254740992.5",
        "9007199254740993.0000000000000000000000000000001", "2.2250738585072011e-308", "2.2250738585072014e-308",
        "4.9406564584124654e-324", "2.4703282292062327e-324", "2.4703282292062328e-324", "1.7976931348623157e308",
        "1.7976931348623158e308", "1.7976931348623159e308", "179769313486231580793728971405301e276",
        "6.631236846766476e-316", "3.2378839133029012895883524125015321748630994e-319", "1e-400", "1e22", "1e23",
        "8.5e22", "18446744073709551615", "18446744073709551616", "0.000000000000000000000000000000000000001",
        "9999999999999999999", "1.00000000000000011102230246251565", "1.00000000000000011102230246251566",
        "36893488147419103233", "5e-324", "0.1e-6", "1e27", "123e27", "1e-27", "10e-28"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        double_is(good[i]);
    static const char *const bad[] = {"", "-", ".", "e5", "1e", "1e+", "1.2.3", "1,5", " 1", "1 ", "0x10", "1f", "in",
                                      "infi", "nano", "1e5.5", "--1", "+-1"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        double v;
        assert_int_equal(text_to_f64(N(bad[i]), &v), CONV_BAD);
    }
    double v;
    assert_int_equal(text_to_f64(N("-Infinity"), &v), CONV_OK);
    assert_true(v < 0 && isinf(v));
    assert_int_equal(text_to_f64(N("+inf"), &v), CONV_OK);
    assert_true(v > 0 && isinf(v));
    assert_int_equal(text_to_f64(N("NAN"), &v), CONV_OK);
    assert_true(isnan(v));
}

static void test_random_doubles(void **state)
{
    (void)state;
    char z[1200];
    for (int i = 0; i < 300000; i++) {
        uint64_t bits = rnd();
        double d;
        memcpy(&d, &bits, sizeof d);
        if (!isfinite(d))
            continue;
        snprintf(z, sizeof z, "%.*g", 1 + (int)(rnd() % 20), d);
        double_is(z);
        snprintf(z, sizeof z, "%s%llu.%llu", i % 2 ? "-" : "", (unsigned long long)(rnd() >> (rnd() % 64)),
                 (unsigned long long)(rnd() >> (rnd() % 64)));
        double_is(z);
        snprintf(z, sizeof z, "%llue%d", (unsigned long long)(rnd() >> (rnd() % 64)), (int)(rnd() % 80) - 40);
        double_is(z);
    }
    for (int i = 0; i < 2000; i++) { /* exact middles between two doubles, and just beside them */
        uint64_t bits = (rnd() & 0x000fffffffffffff) | (1000 + rnd() % 50) << 52;
        double d;
        memcpy(&d, &bits, sizeof d);
        long double mid = (long double)d + (nextafter(d, INFINITY) - (long double)d) / 2;
        snprintf(z, sizeof z, "%.1000Lf", mid);
        double_is(z);
        size_t n = strlen(z);
        z[n - 1] = '1';
        double_is(z);
    }
    memset(z, '1', 1100);
    z[1100] = 0;
    z[200] = '.';
    double_is(z);
}

static void test_floats(void **state)
{
    (void)state;
    char z[300];
    for (int i = 0; i < 200000; i++) {
        uint32_t bits = (uint32_t)rnd();
        float f;
        memcpy(&f, &bits, sizeof f);
        if (!isfinite(f))
            continue;
        if (i % 4 == 0) /* the middle of two floats, or a digit beside it */
            snprintf(z, sizeof z, "%.60e", ((double)f + (double)nextafterf(f, INFINITY)) / 2);
        else
            snprintf(z, sizeof z, "%.*g", 1 + (int)(rnd() % 12), (double)f);
        if (i % 8 == 0) {
            char *e = strchr(z, 'e');
            e[-1] = '1';
        }
        float want = strtof(z, NULL), v = 0;
        conv c = text_to_f32(N(z), &v);
        if (isinf(want)) {
            assert_int_equal(c, CONV_RANGE);
            continue;
        }
        if (memcmp(&v, &want, sizeof v) != 0)
            print_message("%s: %.9g not %.9g\n", z, (double)v, (double)want);
        assert_int_equal(c, CONV_OK);
        assert_memory_equal(&v, &want, sizeof v);
    }
    float v;
    assert_int_equal(text_to_f32(N("3.5e38"), &v), CONV_RANGE);
    assert_int_equal(text_to_f32(N("1e-50"), &v), CONV_OK);
    assert_true(v == 0);
}

static void decimal_is(const char *z, unsigned p, unsigned s, conv want, const char *digits)
{
    i128 v = 0, w = 0;
    bool neg = *digits == '-';
    for (const char *d = digits + neg; *d; d++)
        w = w * 10 + (*d - '0');
    conv c = text_to_decimal(N(z), p, s, &v);
    if (c != want)
        print_message("%s: %d\n", z, c);
    assert_int_equal(c, want);
    if (c == CONV_OK || c == CONV_INEXACT)
        assert_true(v == (neg ? -w : w));
}

static void test_decimals(void **state)
{
    (void)state;
    decimal_is("1.23", 9, 2, CONV_OK, "123");
    decimal_is("99999999999999999999999999999999999999", 38, 0, CONV_OK, "99999999999999999999999999999999999999");
    decimal_is("100000000000000000000000000000000000000", 38, 0, CONV_RANGE, "0");
    decimal_is("333333333333333333333333333333333333333", 38, 0, CONV_RANGE, "0");
    decimal_is("3333333333333333333333333333333333333333333333333333333333333", 38, 0, CONV_RANGE, "0");
    decimal_is("9e37", 38, 0, CONV_OK, "90000000000000000000000000000000000000");
    decimal_is("9e38", 38, 0, CONV_RANGE, "0");
    decimal_is("-1.23", 9, 2, CONV_OK, "-123");
    decimal_is("1", 9, 2, CONV_OK, "100");
    decimal_is("1.2300000", 9, 2, CONV_OK, "123");
    decimal_is("1.235", 9, 2, CONV_INEXACT, "124");
    decimal_is("-1.235", 9, 2, CONV_INEXACT, "-124");
    decimal_is("1.2349999", 9, 2, CONV_INEXACT, "123");
    decimal_is(".005", 9, 2, CONV_INEXACT, "1");
    decimal_is("0.004", 9, 2, CONV_INEXACT, "0");
    decimal_is("1e3", 9, 2, CONV_OK, "100000");
    decimal_is("12.5e-1", 9, 2, CONV_OK, "125");
    decimal_is("1e-30", 9, 2, CONV_INEXACT, "0");
    decimal_is("9e-3", 9, 2, CONV_INEXACT, "1");
    decimal_is("0e999999999", 9, 2, CONV_OK, "0");
    decimal_is("1e999999999", 9, 2, CONV_RANGE, "0");
    decimal_is("9999999.99", 9, 2, CONV_OK, "999999999");
    decimal_is("9999999.995", 9, 2, CONV_RANGE, "0");
    decimal_is("10000000", 9, 2, CONV_RANGE, "0");
    decimal_is("99999999999999999999999999999999999999", 38, 0, CONV_OK, "99999999999999999999999999999999999999");
    decimal_is("-99999999999999999999999999999999999999", 38, 0, CONV_OK, "-99999999999999999999999999999999999999");
    decimal_is("100000000000000000000000000000000000000", 38, 0, CONV_RANGE, "0");
    decimal_is("0.99999999999999999999999999999999999999", 38, 38, CONV_OK, "99999999999999999999999999999999999999");
    decimal_is("000000000000000000000000000000000000000000001.5", 5, 1, CONV_OK, "15");
    decimal_is("1.", 5, 1, CONV_OK, "10");
    decimal_is("abc", 5, 1, CONV_BAD, "0");
    decimal_is("", 5, 1, CONV_BAD, "0");
    decimal_is("nan", 5, 1, CONV_BAD, "0");
}

static void test_booleans(void **state)
{
    (void)state;
    static const char *const yes[] = {"true", "TRUE", "t", "Yes", "y", "on", "1"}, *const no[] = {"false", "F", "no", "N", "off", "0"};
    bool b;
    for (size_t i = 0; i < sizeof yes / sizeof *yes; i++)
        assert_true(text_to_bool(N(yes[i]), &b) == CONV_OK && b);
    for (size_t i = 0; i < sizeof no / sizeof *no; i++)
        assert_true(text_to_bool(N(no[i]), &b) == CONV_OK && !b);
    assert_int_equal(text_to_bool(N("truth"), &b), CONV_BAD);
    assert_int_equal(text_to_bool(N(""), &b), CONV_BAD);
    assert_int_equal(text_to_bool(N("2"), &b), CONV_BAD);
}

typedef conv (*time_fn)(const char *, size_t, int64_t *);
static void time_is(time_fn f, const char *z, conv want, int64_t value)
{
    int64_t v = -1;
    conv c = f(N(z), &v);
    if (c != want || (c != CONV_BAD && c != CONV_RANGE && v != value))
        print_message("%s: %d, %lld\n", z, c, (long long)v);
    assert_int_equal(c, want);
    if (c == CONV_OK || c == CONV_INEXACT)
        assert_true(v == value);
}

static conv date_fn(const char *p, size_t n, int64_t *out)
{
    int32_t d = 0;
    conv c = text_to_date(p, n, &d);
    *out = d;
    return c;
}

static void test_times(void **state)
{
    (void)state;
    time_is(date_fn, "1970-01-01", CONV_OK, 0);
    time_is(date_fn, "2020-02-29", CONV_OK, 18321);
    time_is(date_fn, "0001-01-01", CONV_OK, -719162);
    time_is(date_fn, "9999-12-31", CONV_OK, 2932896);
    time_is(date_fn, "2021-02-29", CONV_RANGE, 0);
    time_is(date_fn, "1900-02-29", CONV_RANGE, 0);
    time_is(date_fn, "2020-13-01", CONV_RANGE, 0);
    time_is(date_fn, "2020-00-01", CONV_RANGE, 0);
    time_is(date_fn, "2020-01-00", CONV_RANGE, 0);
    time_is(date_fn, "0000-01-01", CONV_RANGE, 0);
    static const char *const bad_dates[] = {"2020-1-1", "2020/01/01", "20200101", "2020-01-01 ", "x020-01-01", "", "2020-01-1x", "-020-01-01"};
    for (size_t i = 0; i < sizeof bad_dates / sizeof *bad_dates; i++)
        time_is(date_fn, bad_dates[i], CONV_BAD, 0);

    time_is(text_to_time, "00:00", CONV_OK, 0);
    time_is(text_to_time, "23:59:59.999999", CONV_OK, 86399999999);
    time_is(text_to_time, "01:02:03.4", CONV_OK, 3723400000);
    time_is(text_to_time, "01:02:03.123456000", CONV_OK, 3723123456);
    time_is(text_to_time, "01:02:03.1234567", CONV_INEXACT, 3723123457);
    time_is(text_to_time, "01:02:03.1234564", CONV_INEXACT, 3723123456);
    time_is(text_to_time, "23:59:59.9999999", CONV_RANGE, 0);
    time_is(text_to_time, "24:00:00", CONV_RANGE, 0);
    time_is(text_to_time, "23:60:00", CONV_RANGE, 0);
    time_is(text_to_time, "23:59:60", CONV_RANGE, 0);
    static const char *const bad_times[] = {"1:02", "01:02:", "01:02:03.", "01:02:3", "01-02", "01:02:03Z", "", "01:02x"};
    for (size_t i = 0; i < sizeof bad_times / sizeof *bad_times; i++)
        time_is(text_to_time, bad_times[i], CONV_BAD, 0);

    time_is(text_to_timestamp, "1970-01-01", CONV_OK, 0);
    time_is(text_to_timestamp, "1970-01-02 00:00:01", CONV_OK, 86401000000);
    time_is(text_to_timestamp, "1969-12-31T23:59:59.999999", CONV_OK, -1);
    time_is(text_to_timestamp, "2013-01-01T05:00", CONV_OK, 1357016400000000);
    time_is(text_to_timestamp, "1970-01-01 00:00:00.0000005", CONV_INEXACT, 1);
    time_is(text_to_timestamp, "1970-02-30 00:00:00", CONV_RANGE, 0);
    time_is(text_to_timestamp, "1970-01-01 25:00:00", CONV_RANGE, 0);
    time_is(text_to_timestamp, "2013-01-01T05:00:00Z", CONV_BAD, 0);
    time_is(text_to_timestamp, "2013-01-01_05:00:00", CONV_BAD, 0);
    time_is(text_to_timestamp, "2013-01-01T", CONV_BAD, 0);

    time_is(text_to_timestamptz, "2013-01-01T05:00:00Z", CONV_OK, 1357016400000000);
    time_is(text_to_timestamptz, "2013-01-01 05:00:00 UTC", CONV_OK, 1357016400000000);
    time_is(text_to_timestamptz, "2013-01-01T05:00:00+09", CONV_OK, 1357016400000000 - 9 * 3600000000);
    time_is(text_to_timestamptz, "2013-01-01T05:00:00.5-0530", CONV_OK, 1357016400500000 + 19800000000);
    time_is(text_to_timestamptz, "2013-01-01T05:00:00-05:30", CONV_OK, 1357016400000000 + 19800000000);
    time_is(text_to_timestamptz, "2013-01-01T05:00:00+16", CONV_RANGE, 0);
    time_is(text_to_timestamptz, "2013-01-01T05:00:00+05:60", CONV_RANGE, 0);
    time_is(text_to_timestamptz, "2013-01-01T05:00:00", CONV_BAD, 0);
    time_is(text_to_timestamptz, "2013-01-01T05:00:00+", CONV_BAD, 0);
    time_is(text_to_timestamptz, "2013-01-01T05:00:00+5", CONV_BAD, 0);
    time_is(text_to_timestamptz, "2013-01-01Z", CONV_BAD, 0);
}

static void test_bytes(void **state)
{
    (void)state;
    uint8_t u[16];
    static const uint8_t want[16] = {0x12, 0x3e, 0x45, 0x67, 0xe8, 0x9b, 0x12, 0xd3, 0xa4, 0x56, 0x42, 0x66, 0x14, 0x17, 0x40, 0xff};
    assert_int_equal(text_to_uuid(N("123e4567-e89b-12d3-a456-4266141740fF"), u), CONV_OK);
    assert_memory_equal(u, want, 16);
    assert_int_equal(text_to_uuid(N("123e4567e89b12d3a4564266141740ff"), u), CONV_OK);
    assert_int_equal(text_to_uuid(N("123e4567-e89b-12d3-a456-4266141740f"), u), CONV_BAD);
    assert_int_equal(text_to_uuid(N("123e4567-e89b-12d3-a456-4266141740fg"), u), CONV_BAD);
    assert_int_equal(text_to_uuid(N("123e4567+e89b-12d3-a456-4266141740ff"), u), CONV_BAD);
    assert_int_equal(text_to_bytes(N("\\x00fF"), u), CONV_OK);
    assert_true(u[0] == 0 && u[1] == 255);
    assert_int_equal(text_to_bytes(N("\\x0"), u), CONV_BAD);
    assert_int_equal(text_to_bytes(N("00"), u), CONV_BAD);
    assert_int_equal(text_to_bytes(N("\\x"), u), CONV_OK);
}

static void test_cast(void **state)
{
    (void)state;
    arena a;
    arena_init(&a, NULL);
    datum d;
    fz_error e = {0};
    assert_int_equal(text_to_datum(STR("  42 "), TYPE(T_INT32), &a, &d, &e), FZ_OK);
    assert_int_equal(d.i32, 42);
    assert_int_equal(text_to_datum(STR("2147483648"), TYPE(T_INT32), &a, &d, &e), FZ_VALUE);
    assert_string_equal(e.sqlstate, "22003");
    assert_int_equal(text_to_datum(STR("abc"), TYPE(T_INT64), &a, &d, &e), FZ_VALUE);
    assert_string_equal(e.sqlstate, "22P02");
    assert_string_equal(e.message, "\"abc\" isn't a value of type bigint");
    assert_int_equal(text_to_datum(STR("1.005"), TYPE_DECIMAL(10, 2), &a, &d, &e), FZ_OK);
    assert_true(d.i64 == 101);
    assert_int_equal(text_to_datum(STR("1.5"), TYPE_DECIMAL(30, 2), &a, &d, &e), FZ_OK);
    assert_true(d.i128v == 150);
    assert_int_equal(text_to_datum(STR("2020-01-01 10:00"), TYPE(T_DATE), &a, &d, &e), FZ_OK);
    assert_int_equal(d.i32, 18262);
    assert_int_equal(text_to_datum(STR("2020-02-30"), TYPE(T_DATE), &a, &d, &e), FZ_VALUE);
    assert_string_equal(e.sqlstate, "22008");
    assert_int_equal(text_to_datum(STR("soon"), TYPE(T_TIMESTAMP), &a, &d, &e), FZ_VALUE);
    assert_string_equal(e.sqlstate, "22007");
    assert_int_equal(text_to_datum(STR("1970-01-01"), TYPE(T_TIMESTAMPTZ), &a, &d, &e), FZ_OK);
    assert_true(d.i64 == 0);
    assert_int_equal(text_to_datum(STR("\\x4142"), TYPE(T_BINARY), &a, &d, &e), FZ_OK);
    assert_true(str_eqz(d.s, "AB"));
    assert_int_equal(text_to_datum(STR(" x "), TYPE(T_STRING), &a, &d, &e), FZ_OK);
    assert_true(str_eqz(d.s, " x "));
    assert_int_equal(text_to_datum(STR(""), TYPE(T_BOOL), &a, &d, &e), FZ_VALUE);
    assert_int_equal(text_to_datum(STR("{}"), TYPE(T_LIST), &a, &d, &e), FZ_UNSUPPORTED);
    arena_free(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_integers), cmocka_unit_test(test_doubles),  cmocka_unit_test(test_random_doubles),
        cmocka_unit_test(test_floats),   cmocka_unit_test(test_decimals), cmocka_unit_test(test_booleans),
        cmocka_unit_test(test_times),    cmocka_unit_test(test_bytes),    cmocka_unit_test(test_cast),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
