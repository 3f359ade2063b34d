/* test_json.c: the JSON reader and writer. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "codec/json.h"

static fz_status parse(const char *text, json_doc *d, fz_error *e)
{
    return json_parse(d, text, strlen(text), "x.json", NULL, e);
}

static void test_tree(void **state)
{
    json_doc d;
    fz_error e;
    const char *text = " {\"a\": [1, -2.5e3, {\"b\": null}], \"t\":true , \"s\":\"x\\u00e9\\ud83d\\ude00\\n\\\"\"} ";
    assert_int_equal(parse(text, &d, &e), FZ_OK);
    assert_false(d.compact);
    const json_node *root = json_root(&d), *a = json_get(&d, root, "a"), *s = json_get(&d, root, "s");
    assert_int_equal(root->n, 3);
    assert_int_equal(a->n, 3);
    assert_true(str_eqz(json_raw(&d, a), "[1, -2.5e3, {\"b\": null}]"));
    int64_t v;
    assert_int_equal(json_i64(&d, a + 1, &v, &e), FZ_OK);
    assert_int_equal(v, 1);
    const json_node *real = json_next(a + 1), *object = json_next(real);
    assert_int_equal(real->type, JSON_REAL);
    assert_int_equal(json_i64(&d, real, &v, &e), FZ_DATA);
    assert_int_equal(object->type, JSON_OBJECT);
    assert_int_equal(json_get(&d, object, "b")->type, JSON_NULL);
    arena ar;
    arena_init(&ar, NULL);
    str got;
    assert_int_equal(json_str(&d, s, &ar, &got, &e), FZ_OK);
    assert_true(str_eqz(got, "x\xc3\xa9\xf0\x9f\x98\x80\n\""));
    assert_null(json_get(&d, root, "b"));
    arena_free(&ar);
    json_free(&d);
}

static void test_accepts(void **state)
{
    static const char *const good[] = {"0", "-0", "[]", "{}", "\"\"", "null", "[[[]],{}]", "1E9", "0.5", "[1,2]",
                                       "{\"\":{\"\":[]}}", "\t\r\n 7 "};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        json_doc d;
        fz_error e = {0};
        assert_int_equal(parse(good[i], &d, &e), FZ_OK);
        json_free(&d);
    }
}

static void test_refuses(void **state)
{
    static const char *const bad[] = {
        "", " ", "{", "[", "]", "[1", "[1,", "[1,]", "{,}", "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{a:1}", "01", "1.",
        ".5", "1e", "+1", "-", "tru", "nul", "\"", "\"\\x\"", "\"\\u12\"", "\"\\ud800\"", "\"\\udc00x\"", "\"\\u0000\"",
        "\"a\nb\"", "1 2", "[1 2]", "{\"a\" 1}", "[}", "{]", "\xff", "\"\xc3\"", "[1]]", "{\"a\":1 \"b\":2}", "[,1]",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        json_doc d;
        fz_error e = {0};
        if (parse(bad[i], &d, &e) != FZ_DATA)
            fail_msg("accepted: %s", bad[i]);
        assert_string_equal(e.where, "x.json");
        assert_true(e.line >= 1 && e.column >= 1);
    }
}

static void test_place(void **state)
{
    json_doc d;
    fz_error e;
    assert_int_equal(parse("{\n \"a\": 1,\n  x}", &d, &e), FZ_DATA);
    assert_int_equal(e.line, 3);
    assert_int_equal(e.column, 3);
    assert_int_equal(e.offset, 13);
}

static void test_depth(void **state)
{
    char text[2 * JSON_MAX_DEPTH + 3];
    json_doc d;
    fz_error e;
    for (int n = JSON_MAX_DEPTH; n <= JSON_MAX_DEPTH + 1; n++) {
        memset(text, '[', (size_t)n);
        memset(text + n, ']', (size_t)n);
        fz_status st = json_parse(&d, text, (size_t)n * 2, NULL, NULL, &e);
        assert_int_equal(st, n == JSON_MAX_DEPTH ? FZ_OK : FZ_DATA);
        if (st == FZ_OK)
            json_free(&d);
    }
}

static void test_range(void **state)
{
    static const struct { const char *text; fz_status want; int64_t v; } t[] = {
        {"9223372036854775807", FZ_OK, INT64_MAX}, {"-9223372036854775808", FZ_OK, INT64_MIN},
        {"9223372036854775808", FZ_DATA, 0}, {"1.0", FZ_DATA, 0}, {"\"1\"", FZ_DATA, 0},
    };
    for (size_t i = 0; i < sizeof t / sizeof t[0]; i++) {
        json_doc d;
        fz_error e;
        int64_t v = 0;
        assert_int_equal(parse(t[i].text, &d, &e), FZ_OK);
        assert_int_equal(json_i64(&d, json_root(&d), &v, &e), t[i].want);
        if (t[i].want == FZ_OK)
            assert_true(v == t[i].v);
        json_free(&d);
    }
}

static void test_write(void **state)
{
    sbuf b;
    sbuf_init(&b, NULL);
    json_writer w = json_writer_on(&b);
    jw_begin(&w, '{');
    jw_key(&w, "a");
    jw_begin(&w, '[');
    jw_i64(&w, -5);
    jw_bool(&w, true);
    jw_begin(&w, '{');
    jw_end(&w, '}');
    jw_str(&w, STR("q\"\\\n\x01\xc3\xa9"));
    jw_end(&w, ']');
    jw_key(&w, "b");
    jw_raw(&w, STR("null"));
    jw_end(&w, '}');
    assert_string_equal(b.p, "{\"a\":[-5,true,{},\"q\\\"\\\\\\n\\u0001\xc3\xa9\"],\"b\":null}");
    sbuf_clear(&b);
    json_compact(STR(" { \"a b\\\" c\" : [ 1 , 2 ] }\n"), &b);
    assert_string_equal(b.p, "{\"a b\\\" c\":[1,2]}");
    sbuf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tree), cmocka_unit_test(test_accepts), cmocka_unit_test(test_refuses),
        cmocka_unit_test(test_place), cmocka_unit_test(test_depth), cmocka_unit_test(test_range),
        cmocka_unit_test(test_write),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
