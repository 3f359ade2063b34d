/* Text slices, the growing buffer, the hash map, numbers as text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/numtext.h"

#include <locale.h>
#include <math.h>
#include <stdio.h>

static void slices_compare(void **state)
{
    assert_true(str_eq(STR(""), (str){NULL, 0}));
    assert_true(str_ieq(STR("Hello-9"), STR("hELLO-9")));
    assert_false(str_ieq(STR("[a"), STR("{a"))); /* 32 apart, but no letters */
    assert_true(str_cmp(STR("ab"), STR("abc")) < 0);
    assert_true(str_cmp(STR("\xff"), STR("a")) > 0); /* bytes are unsigned */
    assert_int_equal(str_cmp((str){0}, STR("")), 0);
    assert_true(str_starts(STR("abc"), STR("ab")) && !str_starts(STR("a"), STR("ab")));
    assert_true(str_ends(STR("abc"), STR("bc")) && !str_ends(STR("c"), STR("bc")));
    assert_true(str_eqz(str_trim(STR(" \t\r\n x y \v\f")), "x y"));
    assert_int_equal(str_trim(STR("   ")).n, 0);
}

static void integers_are_read_whole(void **state)
{
    int64_t v;
    assert_true(str_to_i64(STR("9223372036854775807"), &v) && v == INT64_MAX);
    assert_true(str_to_i64(STR("-9223372036854775808"), &v) && v == INT64_MIN);
    assert_true(str_to_i64(STR("+0017"), &v) && v == 17);
    static const char *const bad[] = {"", "-", "+", "9223372036854775808", "-9223372036854775809", "1 ", " 1",
                                      "1.0", "0x1", "99999999999999999999999", "--1"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(str_to_i64(str_of(bad[i]), &v));
}

static void utf8_is_checked(void **state)
{
    static const struct { const char *z; size_t ok; } cases[] = {
        {"", 0},
        {"plain", 5},
        {"\xc3\xa9\xe2\x82\xac\xf0\x9f\x92\xa9", 9},
        {"a\x80", 1},                 /* a lone continuation */
        {"ab\xc0\x80", 2},            /* overlong */
        {"ab\xc1\xbf", 2},
        {"\xe0\x9f\xbf", 0},          /* overlong */
        {"\xed\xa0\x80", 0},          /* surrogate */
        {"\xed\x9f\xbf", 3},
        {"\xf0\x8f\xbf\xbf", 0},      /* overlong */
        {"\xf4\x90\x80\x80", 0},      /* past U+10FFFF */
        {"\xf4\x8f\xbf\xbf", 4},
        {"\xf5\x80\x80\x80", 0},
        {"x\xe2\x82", 1},             /* cut */
        {"\xe2\x28\xa1", 0},
        {"\xff", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_int_equal(utf8_valid_prefix(str_of(cases[i].z)), cases[i].ok);
    char text[200]; /* a bad byte, and a cut character, at every place of a longer text */
    for (size_t at = 0; at < sizeof text; at++) {
        memset(text, 'a', sizeof text);
        text[at] = (char)0x80;
        assert_int_equal(utf8_valid_prefix((str){text, sizeof text}), at);
        memset(text, 'a', sizeof text);
        text[at] = (char)0xc3;
        if (at + 1 < sizeof text)
            text[at + 1] = (char)0xa9;
        assert_int_equal(utf8_valid_prefix((str){text, sizeof text}), at + 1 < sizeof text ? sizeof text : at);
    }
    assert_int_equal(utf8_valid_prefix((str){"a\0b", 3}), 3);
}

static void distances(void **state)
{
    assert_int_equal(str_distance(STR("kitten"), STR("sitting"), 9), 3);
    assert_int_equal(str_distance(STR("COUNT"), STR("count"), 9), 0);
    assert_int_equal(str_distance(STR("cuont"), STR("count"), 9), 1); /* a swap */
    assert_int_equal(str_distance(STR(""), STR("abc"), 9), 3);
    assert_int_equal(str_distance(STR("abc"), STR("xyz"), 2), 3); /* above the limit */
    assert_int_equal(str_distance(STR("a"), STR("abcdefgh"), 2), 3);
    char longer[300];
    memset(longer, 'x', sizeof longer);
    assert_int_equal(str_distance((str){longer, 300}, (str){longer, 300}, 5), 6);
    assert_int_equal(str_distance((str){longer, 255}, (str){longer, 254}, 5), 1);
}

static void a_buffer_grows(void **state)
{
    mem m;
    sbuf b;
    mem_init(&m, NULL, NULL, 0);
    sbuf_init(&b, &m);
    sbuf_addz(&b, "a=");
    sbuf_i64(&b, INT64_MIN);
    sbuf_addc(&b, ',');
    sbuf_i64(&b, 0);
    sbuf_printf(&b, "|%s|%5d", "xy", 42);
    sbuf_str(&b, STR("!"));
    sbuf_add(&b, NULL, 0);
    assert_string_equal(b.p, "a=-9223372036854775808,0|xy|   42!");
    assert_int_equal(b.n, strlen(b.p));
    sbuf_clear(&b);
    assert_string_equal(b.p, "");
    sbuf_printf(&b, "%0700d", 7); /* longer than its own scratch */
    assert_int_equal(b.n, 700);
    assert_int_equal(b.p[699], '7');
    for (int i = 0; i < 10000; i++)
        sbuf_addc(&b, 'x');
    assert_int_equal(b.n, 10700);
    assert_false(sbuf_reserve(&b, SBUF_MAX));
    assert_true(b.failed);
    sbuf_addz(&b, "lost");
    assert_int_equal(b.n, 10700);
    sbuf_free(&b);
    assert_int_equal(m.used, 0);
}

static void a_map_finds_what_was_put(void **state)
{
    arena a;
    strmap m;
    char key[32];
    static int values[5000];
    arena_init(&a, NULL);
    strmap_init(&m, &a);
    assert_null(strmap_get(&m, STR("x")));
    for (int i = 0; i < 5000; i++) {
        int n = snprintf(key, sizeof key, "key%d", i);
        void **v = strmap_put(&m, (str){key, (size_t)n});
        assert_null(*v);
        *v = &values[i];
    }
    void **empty = strmap_put(&m, STR(""));
    *empty = &values[3];
    assert_int_equal(m.n, 5001);
    for (int i = 0; i < 5000; i++) {
        int n = snprintf(key, sizeof key, "key%d", i);
        assert_ptr_equal(strmap_get(&m, (str){key, (size_t)n}), &values[i]);
        assert_ptr_equal(*strmap_put(&m, (str){key, (size_t)n}), &values[i]);
    }
    assert_int_equal(m.n, 5001);
    assert_null(strmap_get(&m, STR("key5000")));
    assert_ptr_equal(strmap_get(&m, (str){NULL, 0}), &values[3]);
    assert_int_not_equal(hash_bytes("a", 1), hash_bytes("b", 1));
    assert_int_not_equal(hash_u64(1), hash_u64(2));
    arena_free(&a);
}

static void check_f64(double v, const char *expect)
{
    char t[F64_TEXT_MAX];
    size_t n = f64_text(v, t);
    assert_int_equal(n, strlen(expect));
    assert_memory_equal(t, expect, n);
}
static void check_f32(float v, const char *expect)
{
    char t[F64_TEXT_MAX];
    size_t n = f32_text(v, t);
    assert_int_equal(n, strlen(expect));
    assert_memory_equal(t, expect, n);
}

/* What PostgreSQL 16 prints. */
static void floats_have_their_shortest_text(void **state)
{
    check_f64(0.1, "0.1");
    check_f64(-0.0, "-0");
    check_f64(1e20, "1e+20");
    check_f64(1e15, "1e+15");
    check_f64(123456789012345.0, "123456789012345");
    check_f64(999999999999999.9, "999999999999999.9");
    check_f64(0.0001, "0.0001");
    check_f64(0.00001, "1e-05");
    check_f64(1.5e-7, "1.5e-07");
    check_f64(1.0 / 3, "0.3333333333333333");
    check_f64(0.1 + 0.2, "0.30000000000000004");
    check_f64(-123.456, "-123.456");
    check_f64(1e23, "1e+23");
    check_f64(9007199254740993.0, "9.007199254740992e+15");
    check_f64(5e-324, "5e-324");
    check_f64(2.2250738585072014e-308, "2.2250738585072014e-308");
    check_f64(1.7976931348623157e308, "1.7976931348623157e+308");
    check_f64(0x1p-44, "5.684341886080802e-14");
    check_f64(NAN, "NaN");
    check_f64(-INFINITY, "-Infinity");
    check_f32(0.1f, "0.1");
    check_f32(100000.0f, "100000");
    check_f32(1000000.0f, "1e+06");
    check_f32(3.4028235e38f, "3.4028235e+38");
    check_f32(1e-45f, "1e-45");
    check_f32(16777216.0f, "1.6777216e+07");
    check_f32(-0.3f, "-0.3");
}

/* A deterministic walk over all exponents: text reads back as the very same bits. */
static void floats_come_back(void **state)
{
    uint64_t x = 88172645463325252u;
    char t[F64_TEXT_MAX];
    for (int i = 0; i < 200000; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        uint64_t bits = i % 3 == 0 ? (x & 0x7ff) << 52 | (x >> 63) : x;
        double v, back;
        memcpy(&v, &bits, 8);
        if (!isfinite(v))
            continue;
        size_t n = f64_text(v, t);
        assert_true(n <= F64_TEXT_MAX);
        assert_true(str_to_f64((str){t, n}, &back));
        assert_memory_equal(&v, &back, 8);
    }
}

static void floats_are_read(void **state)
{
    static const struct { const char *z; double v; } good[] = {
        {"1", 1}, {"-1.5", -1.5}, {"+.5", 0.5}, {"5.", 5}, {"1e3", 1000}, {"1E-3", 0.001}, {"0e999999999999", 0},
        {"1e400", INFINITY}, {"-1e99999999999999999999", -INFINITY}, {"1e-99999999999999999999", 0},
        {"inf", INFINITY}, {"-Infinity", -INFINITY}, {"123456789012345678901234567890", 123456789012345678901234567890.0},
        {"9007199254740993", 9007199254740992.0}, {"9007199254740993.0000000000000000000001", 9007199254740994.0},
        {"0.000000000000000000000000000001", 1e-30},
        {"2.2250738585072011e-308", 2.2250738585072011e-308},
    };
    static const char *const bad[] = {"", "-", ".", "e5", "1e", "1e+", "1.2.3", "0x10", "1 ", " 1", "1,5", "nanx", "1e5x"};
    double v;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_true(str_to_f64(str_of(good[i].z), &v));
        assert_true(v == good[i].v);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(str_to_f64(str_of(bad[i]), &v));
    assert_true(str_to_f64(STR("NaN"), &v) && isnan(v));
    char many[5000]; /* 0.000…1 and 1000…0 and 1.000…01e…: longer than any exact form */
    memset(many, '0', sizeof many);
    many[1] = '.';
    many[4000] = '1';
    assert_true(str_to_f64((str){many, 4001}, &v) && v == 0);
    memcpy(many + 4001, "e3999", 5);
    assert_true(str_to_f64((str){many, 4006}, &v) && v == 1);
    memset(many, '0', sizeof many);
    many[0] = '1';
    memcpy(many + 4000, "1e-4000", 7);
    assert_true(str_to_f64((str){many, 4007}, &v) && v == 1);
    memset(many, '0', sizeof many); /* half way between 2^53 and its neighbour, plus a last 1 */
    memcpy(many, "9007199254740993.", 17);
    many[4000] = '1';
    assert_true(str_to_f64((str){many, 4001}, &v) && v == 9007199254740994.0);
}

static void the_locale_changes_nothing(void **state)
{
    static const char *const names[] = {"de_DE.UTF-8", "fr_FR.UTF-8", "C.UTF-8"};
    for (int i = 0; i < 3 && !setlocale(LC_ALL, names[i]); i++)
        ;
    double v;
    check_f64(1234.5, "1234.5");
    assert_true(str_to_f64(STR("0.123456789012345678901234567"), &v));
    assert_true(v == 0.12345678901234568);
    setlocale(LC_ALL, "C");
}

static char logged[64];
static void log_keep(void *ctx, log_level level, const char *message)
{
    (*(int *)ctx)++;
    snprintf(logged, sizeof logged, "%d %s", (int)level, message);
}

static void messages_reach_the_sink(void **state)
{
    int calls = 0;
    logger l = {log_keep, &calls, LOG_NOTICE};
    log_msg(&l, LOG_NOTICE, "%d rows", 3);
    assert_string_equal(logged, "1 3 rows");
    log_msg(&l, LOG_DEBUG, "too fine");
    log_msg(NULL, LOG_ERROR, "nobody");
    log_msg(&(logger){0}, LOG_ERROR, "nobody");
    assert_int_equal(calls, 1);
}

static void errors_are_filled(void **state)
{
    fz_error e;
    assert_int_equal(error_set(&e, FZ_VALUE, "value %d", 7), FZ_VALUE);
    assert_string_equal(e.message, "value 7");
    assert_string_equal(e.sqlstate, "22000");
    assert_int_equal(e.offset, -1);
    error_where(&e, "first");
    error_where(&e, "second");
    assert_string_equal(e.where, "first");
    error_line(&e, 3, 4);
    error_line(&e, 5, 6);
    assert_int_equal(e.line, 3);
    error_offset(&e, 10);
    error_offset(&e, 20);
    assert_int_equal(e.offset, 10);
    assert_int_equal(error_set(NULL, FZ_IO, "nobody looks"), FZ_IO);
    error_where(NULL, "x");
    assert_int_equal(error_errno(&e, 2, "f", "opening"), FZ_NOT_FOUND);
    assert_string_equal(e.message, "opening: No such file or directory");
    char text[3000]; /* a message is cut before a character, never inside one */
    memset(text, 'a', sizeof text);
    for (size_t pad = 0; pad < 4; pad++) {
        for (size_t i = pad; i + 3 < sizeof text; i += 3)
            memcpy(text + i, "\xe2\x82\xac", 3);
        text[sizeof text - 1] = 0;
        error_set(&e, FZ_DATA, "%s", text);
        size_t n = strlen(e.message);
        assert_true(n > sizeof e.message - 5);
        assert_int_equal(utf8_valid_prefix((str){e.message, n}), n);
        memset(text, 'a', sizeof text);
    }
    assert_string_equal(status_name(FZ_NOT_FOUND), "not_found");
    assert_string_equal(status_name((fz_status)99), "?");
}

static void sizes_have_units(void **state)
{
    int64_t v = -1;
    assert_true(str_to_size(STR("0"), &v) && v == 0);
    assert_true(str_to_size(STR(" 64k "), &v) && v == 65536);
    assert_true(str_to_size(STR("3M"), &v) && v == 3 << 20);
    assert_true(str_to_size(STR("2g"), &v) && v == (int64_t)2 << 30);
    assert_true(str_to_size(STR("100MB"), &v) && v == 100 << 20);
    assert_true(str_to_size(STR("100 MiB"), &v) && v == 100 << 20);
    assert_true(str_to_size(STR("1 kb"), &v) && v == 1024);
    assert_true(str_to_size(STR("2g"), &v) && v == (int64_t)2 << 30);
    static const char *const wrong[] = {"", "k", "-1", "1.5G", "10x", "9999999999999999G", "b", "kB", "MiB", "1i", "1ib", "1 k k"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_false(str_to_size(str_of(wrong[i]), &v));
    assert_true(v == (int64_t)2 << 30); /* left alone */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_have_units),
        cmocka_unit_test(slices_compare),
        cmocka_unit_test(integers_are_read_whole),
        cmocka_unit_test(utf8_is_checked),
        cmocka_unit_test(distances),
        cmocka_unit_test(a_buffer_grows),
        cmocka_unit_test(a_map_finds_what_was_put),
        cmocka_unit_test(floats_have_their_shortest_text),
        cmocka_unit_test(floats_come_back),
        cmocka_unit_test(floats_are_read),
        cmocka_unit_test(the_locale_changes_nothing),
        cmocka_unit_test(messages_reach_the_sink),
        cmocka_unit_test(errors_are_filled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
