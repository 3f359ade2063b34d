/* Signature Version 4 against the examples that AWS's documentation of S3 works out (bucket examplebucket, 2013-05-24), and the generic
 * example of its test suite. */
#include "io/aws/sigv4.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#define MAY24 1369353600000 /* 2013-05-24T00:00:00Z */

static const aws_keys keys = {.access_key_id = {"AKIAIOSFODNN7EXAMPLE", 20}, .secret_access_key = {"wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", 40},
                              .expires_ms = INT64_MAX};
static const sigv4_scope scope = {.region = {"us-east-1", 9}, .service = {"s3", 2}, .now_ms = MAY24};

static void signature_is(http_request *r, const aws_keys *k, const sigv4_scope *s, const char *payload, const char *signed_names, const char *signature)
{
    arena a;
    arena_init(&a, NULL);
    fz_error err;
    assert_int_equal(sigv4_sign(r, k, s, str_of(payload), &a, &err), FZ_OK);
    str auth = {0};
    for (uint32_t i = 0; i < r->n_headers; i++)
        if (str_eqz(r->headers[i].name, "authorization"))
            auth = r->headers[i].value;
    char text[512], want[512];
    snprintf(text, sizeof text, "%.*s", STR_ARG(auth));
    snprintf(want, sizeof want, "SignedHeaders=%s,Signature=%s", signed_names, signature);
    assert_non_null(strstr(text, "SignedHeaders="));
    assert_string_equal(strstr(text, "SignedHeaders="), want);
    arena_free(&a);
}

static void get_with_range(void **state)
{
    http_request r = {.method = "GET", .url = "https://examplebucket.s3.amazonaws.com/test.txt", .n_headers = 1,
                      .headers = {{{"Range", 5}, {"bytes=0-9", 9}}}};
    signature_is(&r, &keys, &scope, NULL, "host;range;x-amz-content-sha256;x-amz-date",
                 "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
}

static void put_with_body(void **state)
{
    http_request r = {.method = "PUT", .url = "https://examplebucket.s3.amazonaws.com/test%24file.text", .body = "Welcome to Amazon S3.", .body_n = 21,
                      .n_headers = 2,
                      .headers = {{{"Date", 4}, {"Fri, 24 May 2013 00:00:00 GMT", 29}}, {{"x-amz-storage-class", 19}, {"REDUCED_REDUNDANCY", 18}}}};
    signature_is(&r, &keys, &scope, NULL, "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
                 "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd");
}

static void query_without_value(void **state)
{
    http_request r = {.method = "GET", .url = "https://examplebucket.s3.amazonaws.com/?lifecycle"};
    signature_is(&r, &keys, &scope, NULL, "host;x-amz-content-sha256;x-amz-date", "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543");
}

static void query_sorted_and_port_dropped(void **state)
{
    http_request r = {.method = "GET", .url = "https://examplebucket.s3.amazonaws.com:443/?prefix=J&max-keys=2"};
    signature_is(&r, &keys, &scope, NULL, "host;x-amz-content-sha256;x-amz-date", "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7");
}

static void presigned(void **state)
{
    arena a;
    arena_init(&a, NULL);
    str out;
    fz_error err;
    assert_int_equal(sigv4_presign("GET", "https://examplebucket.s3.amazonaws.com/test.txt", &keys, &scope, 86400, &a, &out, &err), FZ_OK);
    assert_string_equal(out.p, "https://examplebucket.s3.amazonaws.com/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE"
                               "%2F20130524%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host"
                               "&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404");
    arena_free(&a);
}

/* A path is escaped again for services other than S3, a token is sent and signed, blanks within a value are one, what proxies change isn't signed:
 * checked by what differs and what doesn't. */
static str sign_once(arena *a, http_request *r, const aws_keys *k, const sigv4_scope *s)
{
    fz_error err;
    assert_int_equal(sigv4_sign(r, k, s, STR("UNSIGNED-PAYLOAD"), a, &err), FZ_OK);
    return r->headers[r->n_headers - 1].value;
}

static void variants(void **state)
{
    arena a;
    arena_init(&a, NULL);
    sigv4_scope twice = scope;
    twice.escape_path_twice = true;
    http_request plain = {.method = "GET", .url = "https://h/a%20b"}, again = plain, agent = plain, blanks = plain, one = plain, token = plain;
    str s0 = sign_once(&a, &plain, &keys, &scope);
    assert_false(str_eq(s0, sign_once(&a, &again, &keys, &twice)));
    agent.headers[agent.n_headers++] = (http_header){STR("User-Agent"), STR("x")};
    assert_true(str_eq(s0, sign_once(&a, &agent, &keys, &scope)));
    blanks.headers[blanks.n_headers++] = (http_header){STR("x-a"), STR("  b   c ")};
    one.headers[one.n_headers++] = (http_header){STR("X-A"), STR("b c")};
    assert_true(str_eq(sign_once(&a, &blanks, &keys, &scope), sign_once(&a, &one, &keys, &scope)));
    aws_keys k = keys;
    k.session_token = STR("tok");
    assert_true(str_starts(sign_once(&a, &token, &k, &scope), STR("AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,"
                                                                  "SignedHeaders=host;x-amz-content-sha256;x-amz-date;x-amz-security-token,")));
    arena_free(&a);
}

static void anonymous_adds_nothing(void **state)
{
    arena a;
    arena_init(&a, NULL);
    aws_keys none = {0};
    http_request r = {.method = "GET", .url = "https://h/x"};
    fz_error err;
    assert_int_equal(sigv4_sign(&r, &none, &scope, (str){0}, &a, &err), FZ_OK);
    assert_int_equal(r.n_headers, 0);
    arena_free(&a);
}

static void refusals(void **state)
{
    arena a;
    arena_init(&a, NULL);
    fz_error err;
    http_request ftp = {.method = "GET", .url = "ftp://h/x"};
    assert_int_equal(sigv4_sign(&ftp, &keys, &scope, (str){0}, &a, &err), FZ_INVALID);
    http_request full = {.method = "GET", .url = "http://h/x", .n_headers = HTTP_HEADERS_MAX};
    for (uint32_t i = 0; i < HTTP_HEADERS_MAX; i++)
        full.headers[i] = (http_header){STR("x-a"), STR("b")};
    assert_int_equal(sigv4_sign(&full, &keys, &scope, (str){0}, &a, &err), FZ_LIMIT);
    sbuf url;
    sbuf_init(&url, NULL);
    sbuf_addz(&url, "http://h/?");
    for (int i = 0; i < 200; i++)
        sbuf_printf(&url, "a%d=b&", i);
    http_request many = {.method = "GET", .url = url.p};
    assert_int_equal(sigv4_sign(&many, &keys, &scope, (str){0}, &a, &err), FZ_LIMIT);
    sbuf_free(&url);
    arena_free(&a);
}

static void digest(void **state)
{
    char hex[65];
    fz_error err;
    assert_int_equal(sha256_hex("", 0, hex, &err), FZ_OK);
    assert_string_equal(hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    assert_int_equal(sha256_hex("abc", 3, hex, &err), FZ_OK);
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(get_with_range), cmocka_unit_test(put_with_body), cmocka_unit_test(query_without_value),
        cmocka_unit_test(query_sorted_and_port_dropped), cmocka_unit_test(presigned), cmocka_unit_test(variants),
        cmocka_unit_test(anonymous_adds_nothing), cmocka_unit_test(refusals), cmocka_unit_test(digest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
