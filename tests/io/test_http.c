/* The HTTP client against a server of its own that answers well and badly. Run with tsan too. */
#include "io/http.h"
#include "io/loop_server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <zlib.h>

static _Atomic int hits[16]; /* per behaviour */
static char big[300000];

static bool resumed(int fd, const loop_request *q)
{
    char v[64];
    unsigned long long from = 0, to = sizeof big - 1;
    sscanf(loop_header(q, "range", v, sizeof v), "bytes=%llu-%llu", &from, &to);
    char head[256];
    int k = snprintf(head, sizeof head, "HTTP/1.1 206 Partial\r\ncontent-range: bytes %llu-%llu/%zu\r\ncontent-length: %llu\r\n\r\n", from, to, sizeof big,
                     to - from + 1);
    loop_send(fd, head, (size_t)k);
    size_t n = (size_t)(to - from + 1), part = n > 50000 ? 50000 : n; /* breaks off after 50,000 bytes */
    hits[3]++;
    loop_send(fd, big + from, part);
    return part == n;
}

static bool handle(void *ctx, int fd, const loop_request *q)
{
    const char *t = q->target;
    if (strncmp(t, "/ok", 3) == 0) {
        loop_answer(fd, "200 OK", "x-a:  b c \r\nX-B:d\r\n", "hello", 5);
        return true;
    }
    if (strcmp(t, "/echo") == 0) {
        char v[64], h[128];
        snprintf(h, sizeof h, "x-method: %s\r\nx-expect: %s\r\n", q->method, loop_header(q, "expect", v, sizeof v));
        loop_answer(fd, "200 OK", h, q->body, q->body_n);
        return true;
    }
    if (strcmp(t, "/busy") == 0) { /* twice 503, then well */
        if (hits[0]++ < 2)
            loop_answer(fd, "503 Slow Down", NULL, "slow", 4);
        else
            loop_answer(fd, "200 OK", NULL, "at last", 7);
        return true;
    }
    if (strcmp(t, "/always503") == 0) {
        hits[1]++;
        loop_answer(fd, "503 no", NULL, "no", 2);
        return true;
    }
    if (strcmp(t, "/reset") == 0) {
        hits[2]++;
        loop_reset(fd);
        return false;
    }
    if (strcmp(t, "/resume") == 0)
        return resumed(fd, q);
    if (strcmp(t, "/norange") == 0) {
        loop_answer(fd, "200 OK", NULL, big, sizeof big);
        return true;
    }
    if (strcmp(t, "/wrongrange") == 0) {
        loop_answer(fd, "206 Partial", "content-range: bytes 5-14/100\r\n", big, 10);
        return true;
    }
    if (strcmp(t, "/short") == 0) {
        loop_answer(fd, "206 Partial", "content-range: bytes 0-3/4\r\n", big, 4);
        return true;
    }
    if (strcmp(t, "/truncated") == 0) {
        hits[4]++;
        const char *a = "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nonly this";
        loop_send(fd, a, strlen(a));
        return false;
    }
    if (strcmp(t, "/chunked") == 0) {
        const char *a = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n";
        loop_send(fd, a, strlen(a));
        return true;
    }
    if (strcmp(t, "/badchunk") == 0) {
        const char *a = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n wo";
        loop_send(fd, a, strlen(a));
        return false;
    }
    if (strcmp(t, "/gzip") == 0) {
        unsigned char z[400];
        char text[] = "squeezed squeezed squeezed squeezed";
        z_stream s = {0};
        deflateInit2(&s, 6, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY);
        s.next_in = (unsigned char *)text;
        s.avail_in = sizeof text - 1;
        s.next_out = z;
        s.avail_out = sizeof z;
        deflate(&s, Z_FINISH);
        deflateEnd(&s);
        loop_answer(fd, "200 OK", "content-encoding: gzip\r\n", z, s.total_out);
        return true;
    }
    if (strcmp(t, "/stall") == 0) {
        const char *a = "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nbegins";
        loop_send(fd, a, strlen(a));
        for (int i = 0; i < 60; i++) { /* until the client goes away */
            char c;
            usleep(100000);
            if (recv(fd, &c, 1, MSG_DONTWAIT) == 0)
                return false;
        }
        return false;
    }
    if (strcmp(t, "/redirect") == 0) {
        loop_answer(fd, "302 Found", "location: /ok\r\n", "", 0);
        return true;
    }
    if (strcmp(t, "/renew") == 0) { /* 401 until the request says that it knows */
        char v[64];
        bool knows = strcmp(loop_header(q, "x-token", v, sizeof v), "2") == 0;
        hits[5]++;
        loop_answer(fd, knows ? "200 OK" : "401 Unauthorized", NULL, knows ? "in" : "out", knows ? 2 : 3);
        return true;
    }
    if (strcmp(t, "/busy429") == 0) {
        if (hits[6]++ == 0)
            loop_answer(fd, "429 Too Many", "retry-after: 1\r\n", "", 0);
        else
            loop_answer(fd, "200 OK", NULL, "ok", 2);
        return true;
    }
    loop_answer(fd, "404 Not Found", NULL, "nothing here", 12);
    return true;
}

static loop_server *server;
static http_client *client;
static char url_text[8][256];

static const char *url(int i, const char *path)
{
    snprintf(url_text[i], sizeof url_text[i], "http://127.0.0.1:%d%s", loop_server_port(server), path);
    return url_text[i];
}

static int setup(void **state)
{
    for (size_t i = 0; i < sizeof big; i++)
        big[i] = (char)(i * 2654435761u >> 13);
    server = loop_server_start(handle, NULL);
    http_options o = {.retry_ms = 3000, .stall_timeout_ms = 1000};
    client = http_client_new(&o, NULL);
    return server && client ? 0 : -1;
}

static int teardown(void **state)
{
    http_client_unref(client);
    loop_server_stop(server);
    return 0;
}

static void body_is(const http_request *r, const char *want)
{
    size_t n = r->response ? r->response->size : 0;
    assert_int_equal(n, strlen(want));
    assert_memory_equal(r->response ? (char *)r->response->data : "", want, n);
}

static void plain_get(void **state)
{
    http_request r = {.method = "GET", .url = url(0, "/ok"), .retry = true};
    fz_error err;
    assert_int_equal(http_fetch(client, &r, &err), FZ_OK);
    assert_int_equal(r.code, 200);
    body_is(&r, "hello");
    assert_true(str_eqz(http_response_header(&r, "x-a"), "b c"));
    assert_true(str_eqz(http_response_header(&r, "x-b"), "d"));
    assert_int_equal(http_response_header(&r, "x-c").n, 0);
    http_response_free(&r);
}

static void connections_are_kept(void **state)
{
    int before = loop_server_connections(server);
    for (int i = 0; i < 20; i++) {
        http_request r = {.method = "GET", .url = url(0, "/ok"), .retry = true};
        assert_int_equal(http_fetch(client, &r, NULL), FZ_OK);
        http_response_free(&r);
    }
    assert_true(loop_server_connections(server) - before <= 1);
}

static void bodies_go_out(void **state)
{
    const char *methods[] = {"POST", "PUT", "PATCH", "DELETE"};
    for (int i = 0; i < 4; i++) {
        http_request r = {.method = methods[i], .url = url(0, "/echo"), .body = big, .body_n = i == 1 ? sizeof big : 5};
        assert_int_equal(http_fetch(client, &r, NULL), FZ_OK);
        assert_int_equal(r.code, 200);
        assert_true(str_eqz(http_response_header(&r, "x-method"), methods[i]));
        assert_int_equal(http_response_header(&r, "x-expect").n, 0);
        assert_int_equal(r.response->size, r.body_n);
        assert_memory_equal(r.response->data, big, r.body_n);
        http_response_free(&r);
    }
    http_request empty = {.method = "POST", .url = url(0, "/echo")};
    assert_int_equal(http_fetch(client, &empty, NULL), FZ_OK);
    assert_true(str_eqz(http_response_header(&empty, "content-length"), "0"));
    http_response_free(&empty);
}

static void statuses_are_answers(void **state)
{
    http_request r = {.method = "GET", .url = url(0, "/nowhere?secret=1"), .retry = true};
    fz_error err;
    assert_int_equal(http_fetch(client, &r, &err), FZ_OK);
    assert_int_equal(r.code, 404);
    assert_int_equal(http_status_error(&r, STR("nothing here"), &err), FZ_NOT_FOUND);
    assert_string_equal(err.message, "the server answered 404 Not Found: nothing here");
    assert_null(strstr(err.where, "secret"));
    assert_non_null(strstr(err.where, "/nowhere"));
    http_response_free(&r);
}

static void busy_servers_are_asked_again(void **state)
{
    http_request r = {.method = "GET", .url = url(0, "/busy"), .retry = true};
    assert_int_equal(http_fetch(client, &r, NULL), FZ_OK);
    body_is(&r, "at last");
    assert_int_equal(hits[0], 3);
    http_response_free(&r);
    /* Without leave to send twice 503 is the answer … */
    http_request once = {.method = "POST", .url = url(0, "/always503"), .body = "x", .body_n = 1};
    assert_int_equal(http_fetch(client, &once, NULL), FZ_OK);
    assert_int_equal(once.code, 503);
    assert_int_equal(hits[1], 1);
    http_response_free(&once);
    /* … but 429 says that nothing was done. */
    http_request later = {.method = "POST", .url = url(0, "/busy429"), .body = "x", .body_n = 1};
    assert_int_equal(http_fetch(client, &later, NULL), FZ_OK);
    assert_int_equal(later.code, 200);
    http_response_free(&later);
}

static void retries_end(void **state)
{
    hits[1] = 0;
    http_request r = {.method = "GET", .url = url(0, "/always503"), .retry = true};
    assert_int_equal(http_fetch(client, &r, NULL), FZ_OK);
    assert_int_equal(r.code, 503);
    body_is(&r, "no");
    assert_true(hits[1] >= 3 && hits[1] < 12);
    http_response_free(&r);
}

static void resets(void **state)
{
    fz_error err;
    http_request once = {.method = "POST", .url = url(0, "/reset"), .body = "x", .body_n = 1};
    hits[2] = 0;
    assert_int_equal(http_fetch(client, &once, &err), FZ_UNKNOWN);
    assert_int_equal(hits[2], 1);
    http_response_free(&once);
    http_request del = {.method = "DELETE", .url = url(0, "/reset")};
    hits[2] = 0;
    assert_int_equal(http_fetch(client, &del, &err), FZ_UNKNOWN);
    assert_int_equal(hits[2], 1);
    http_response_free(&del);
    http_request many = {.method = "GET", .url = url(0, "/reset"), .retry = true, .timeout_ms = 1500};
    hits[2] = 0;
    assert_int_equal(http_fetch(client, &many, &err), FZ_IO);
    assert_true(hits[2] > 1);
    http_response_free(&many);
}

static void broken_ranges_go_on(void **state)
{
    static char dst[250000];
    http_request r = {.method = "GET", .url = url(0, "/resume"), .retry = true, .dst = dst, .dst_n = sizeof dst, .n_headers = 1,
                      .headers = {{STR("range"), STR("bytes=1000-250999")}}};
    hits[3] = 0;
    fz_error err;
    assert_int_equal(http_fetch(client, &r, &err), FZ_OK);
    assert_memory_equal(dst, big + 1000, sizeof dst);
    assert_int_equal(hits[3], 5);
    http_response_free(&r);
}

static void ranges_are_checked(void **state)
{
    char dst[10];
    fz_error err;
    http_request whole = {.method = "GET", .url = url(0, "/norange"), .retry = true, .dst = dst, .dst_n = 10, .n_headers = 1,
                          .headers = {{STR("Range"), STR("bytes=290000-290009")}}};
    assert_int_equal(http_fetch(client, &whole, &err), FZ_OK);
    assert_memory_equal(dst, big + 290000, 10);
    http_response_free(&whole);
    http_request wrong = {.method = "GET", .url = url(1, "/wrongrange"), .retry = true, .dst = dst, .dst_n = 10, .n_headers = 1,
                          .headers = {{STR("range"), STR("bytes=0-9")}}};
    assert_int_equal(http_fetch(client, &wrong, &err), FZ_DATA);
    http_response_free(&wrong);
    http_request few = {.method = "GET", .url = url(2, "/short"), .retry = true, .dst = dst, .dst_n = 10, .n_headers = 1,
                        .headers = {{STR("range"), STR("bytes=0-9")}}};
    assert_int_equal(http_fetch(client, &few, &err), FZ_DATA);
    http_response_free(&few);
}

static fz_status take_some(http_request *r, const void *p, size_t n, fz_error *err)
{
    sbuf_add(r->ctx, p, n);
    return FZ_OK;
}

static fz_status take_none(http_request *r, const void *p, size_t n, fz_error *err)
{
    return error_set(err, FZ_LIMIT, "no more");
}

static void pieces_are_taken(void **state)
{
    sbuf got;
    sbuf_init(&got, NULL);
    fz_error err;
    http_request r = {.method = "GET", .url = url(0, "/chunked"), .retry = true, .take = take_some, .ctx = &got};
    assert_int_equal(http_fetch(client, &r, &err), FZ_OK);
    assert_string_equal(got.p, "hello world");
    http_response_free(&r);
    http_request no = {.method = "GET", .url = url(0, "/chunked"), .retry = true, .take = take_none};
    assert_int_equal(http_fetch(client, &no, &err), FZ_LIMIT);
    assert_string_equal(err.message, "no more");
    http_response_free(&no);
    sbuf_clear(&got);
    http_request bad = {.method = "GET", .url = url(0, "/badchunk"), .retry = true, .take = take_some, .ctx = &got};
    assert_int_equal(http_fetch(client, &bad, &err), FZ_IO); /* what was taken can't be taken back */
    http_response_free(&bad);
    sbuf_free(&got);
}

static void truncated_bodies(void **state)
{
    fz_error err;
    http_request r = {.method = "GET", .url = url(0, "/truncated"), .retry = true, .timeout_ms = 1000};
    hits[4] = 0;
    assert_int_equal(http_fetch(client, &r, &err), FZ_IO);
    assert_true(hits[4] > 1);
    http_response_free(&r);
    http_request post = {.method = "POST", .url = url(0, "/truncated"), .body = "x", .body_n = 1};
    hits[4] = 0;
    assert_int_equal(http_fetch(client, &post, &err), FZ_UNKNOWN);
    assert_int_equal(hits[4], 1);
    http_response_free(&post);
}

static void compressed_bodies(void **state)
{
    http_request r = {.method = "GET", .url = url(0, "/gzip"), .retry = true};
    assert_int_equal(http_fetch(client, &r, NULL), FZ_OK);
    body_is(&r, "squeezed squeezed squeezed squeezed");
    http_response_free(&r);
}

static void limits(void **state)
{
    fz_error err;
    http_request r = {.method = "GET", .url = url(0, "/norange"), .retry = true, .max_body = 1000};
    assert_int_equal(http_fetch(client, &r, &err), FZ_LIMIT);
    http_response_free(&r);
    http_request stall = {.method = "GET", .url = url(0, "/stall"), .timeout_ms = 500, .retry = true};
    assert_int_equal(http_fetch(client, &stall, &err), FZ_IO);
    http_response_free(&stall);
    http_request crlf = {.method = "GET", .url = url(0, "/ok"), .n_headers = 1, .headers = {{STR("x-a"), STR("b\r\nx-evil: 1")}}};
    assert_int_equal(http_fetch(client, &crlf, &err), FZ_INVALID);
    http_response_free(&crlf);
    http_request scheme = {.method = "GET", .url = "file:///etc/passwd", .retry = true};
    assert_int_equal(http_fetch(client, &scheme, &err), FZ_INVALID);
    http_response_free(&scheme);
}

static void cancelled(void **state)
{
    job j;
    _Atomic bool stop = false;
    fz_error err;
    pool *p = pool_create(NULL, 0);
    assert_int_equal(job_init(&j, p, NULL, &stop), FZ_OK);
    stop = true;
    http_request r = {.method = "GET", .url = url(0, "/stall"), .retry = true, .j = &j};
    assert_int_equal(http_fetch(client, &r, &err), FZ_CANCELLED);
    http_response_free(&r);
    job_destroy(&j);
    pool_destroy(p);
}

static void redirects(void **state)
{
    http_request r = {.method = "GET", .url = url(0, "/redirect"), .retry = true};
    assert_int_equal(http_fetch(client, &r, NULL), FZ_OK);
    assert_int_equal(r.code, 200);
    body_is(&r, "hello");
    assert_int_equal(http_response_header(&r, "location").n, 0);
    http_response_free(&r);
}

static void refused(void **state)
{
    fz_error err;
    http_request r = {.method = "POST", .url = "http://user:pw@127.0.0.1:1/x?key=secret", .body = "x", .body_n = 1, .timeout_ms = 700};
    assert_int_equal(http_fetch(client, &r, &err), FZ_IO);
    assert_string_equal(err.sqlstate, "08001");
    assert_null(strstr(err.where, "secret"));
    assert_null(strstr(err.where, "pw"));
    http_response_free(&r);
}

/* A token is renewed: again says so, sign uses the new one, and the first signature happens on this thread. */
struct renewing {
    http_request r;
    int token, signs, waits;
};

static fz_status renew_sign(http_request *r, arena *a, fz_error *err)
{
    struct renewing *w = r->ctx;
    w->signs++;
    if (w->token == 2 && !r->may_wait) {
        w->waits++;
        r->sign_later = true;
        return FZ_OK;
    }
    char *v = arena_strndup(a, w->token == 2 ? "2" : "1", 1);
    r->headers[r->n_headers++] = (http_header){STR("x-token"), {v, 1}};
    return FZ_OK;
}

static bool renew_again(http_request *r)
{
    struct renewing *w = r->ctx;
    if (r->code != 401)
        return false;
    w->token++;
    return true;
}

static void tokens_are_renewed(void **state)
{
    struct renewing w = {.token = 1};
    w.r = (http_request){.method = "GET", .url = url(0, "/renew"), .sign = renew_sign, .again = renew_again, .ctx = &w};
    assert_int_equal(http_fetch(client, &w.r, NULL), FZ_OK);
    assert_int_equal(w.r.code, 200);
    assert_int_equal(w.signs, 3);
    assert_int_equal(w.waits, 1);
    body_is(&w.r, "in");
    http_response_free(&w.r);
    /* It doesn't go on for ever. */
    struct renewing never = {.token = 2};
    never.r = (http_request){.method = "GET", .url = url(0, "/renew"), .sign = renew_sign, .again = renew_again, .ctx = &never};
    hits[5] = 0;
    never.token = 5;
    assert_int_equal(http_fetch(client, &never.r, NULL), FZ_OK);
    assert_int_equal(never.r.code, 401);
    assert_int_equal(hits[5], 4);
    http_response_free(&never.r);
}

static _Atomic int ended;
static void count_done(http_request *r) { ended++; }

static void many_at_once(void **state)
{
    enum { N = 100 };
    static http_request r[N];
    static char u[N][64], dst[N][1000];
    ended = 0;
    for (int i = 0; i < N; i++) {
        snprintf(u[i], sizeof u[i], "http://127.0.0.1:%d/norange", loop_server_port(server));
        r[i] = (http_request){.method = "GET", .url = u[i], .retry = true, .done = count_done, .dst = dst[i], .dst_n = 1000, .n_headers = 1,
                              .headers = {{STR("range"), STR("bytes=100-1099")}}};
        http_send(client, &r[i]);
    }
    for (int i = 0; i < 1000 && ended < N; i++)
        usleep(10000);
    assert_int_equal(ended, N);
    for (int i = 0; i < N; i++) {
        assert_int_equal(r[i].status, FZ_OK);
        assert_memory_equal(dst[i], big + 100, 1000);
        http_response_free(&r[i]);
    }
}

static void child_of_fork(void **state)
{
#ifdef __SANITIZE_THREAD__
    skip(); /* its runtime starts no threads in the child of a process with several */
#endif
    pid_t pid = fork();
    if (pid == 0) {
        http_request r = {.method = "GET", .url = url(0, "/ok"), .retry = true, .timeout_ms = 5000};
        bool ok = http_fetch(client, &r, NULL) == FZ_OK && r.code == 200;
        http_response_free(&r);
        _exit(ok ? 0 : 1);
    }
    int st = -1;
    assert_int_equal(waitpid(pid, &st, 0), pid);
    assert_int_equal(st, 0);
    plain_get(state);
}

static void texts(void **state)
{
    sbuf b;
    sbuf_init(&b, NULL);
    http_escape(STR("a b/ü~"), true, &b);
    assert_string_equal(b.p, "a%20b/%C3%BC~");
    sbuf_clear(&b);
    http_escape(STR("a/b"), false, &b);
    assert_string_equal(b.p, "a%2Fb");
    sbuf_clear(&b);
    http_url_plain(STR("https://u:p@h:1/a@b?x=1#y"), &b);
    assert_string_equal(b.p, "https://h:1/a@b");
    sbuf_free(&b);
    assert_int_equal(http_date_ms(STR("Fri, 24 May 2013 00:00:00 GMT")), 1369353600000);
    assert_int_equal(http_date_ms(STR("yesterday")), -1);
}

static void unused_client_costs_nothing(void **state)
{
    http_client *c = http_client_new(NULL, NULL);
    assert_non_null(http_client_ref(c));
    http_client_unref(c);
    http_client_unref(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_get), cmocka_unit_test(connections_are_kept), cmocka_unit_test(bodies_go_out), cmocka_unit_test(statuses_are_answers),
        cmocka_unit_test(busy_servers_are_asked_again), cmocka_unit_test(retries_end), cmocka_unit_test(resets), cmocka_unit_test(broken_ranges_go_on),
        cmocka_unit_test(ranges_are_checked), cmocka_unit_test(pieces_are_taken), cmocka_unit_test(truncated_bodies),
        cmocka_unit_test(compressed_bodies), cmocka_unit_test(limits), cmocka_unit_test(cancelled), cmocka_unit_test(redirects),
        cmocka_unit_test(refused), cmocka_unit_test(tokens_are_renewed), cmocka_unit_test(many_at_once), cmocka_unit_test(child_of_fork),
        cmocka_unit_test(texts), cmocka_unit_test(unused_client_costs_nothing),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
