/* S3 against a store of the test's own, which misbehaves as told: what servers teach (region, clock, expired keys), lost answers, parts that fail, files
 * that change, listings that lie. Run with tsan too. */
#include "io/loop_server.h"
#include "io/s3.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <pthread.h>

typedef enum fault {
    NONE, REGION_HEADER, REGION_XML, CLOCK, EXPIRED, PUT_LOST, PUT_LOST_OTHER, COMPLETE_ERROR, CHANGES, PART_FAILS, NO_CONDITIONS, LIST_ENDLESS, LIST_BAD_SIZE,
    LIST_NO_XML, RANGES_FAIL_ONCE, STALLS, NO_UPLOAD_ID, IGNORES_CONDITIONS, REMOVE_DENIED, SHORT_ANSWER
} fault;

static struct {
    pthread_mutex_t lock;
    _Atomic fault f;
    char *body;           /* the one object, "/b/k"; NULL: none */
    size_t n;
    char etag[40];
    char *parts[64];
    size_t part_n[64];
    _Atomic int requests, heads, puts, aborts, completes, faults, lists;
} store;

static void object_set(const char *p, size_t n, const char *etag)
{
    free(store.body);
    store.body = malloc(n + 1);
    memcpy(store.body, p, n);
    store.n = n;
    snprintf(store.etag, sizeof store.etag, "%s", etag);
}

static void error_xml(int fd, const char *status, const char *headers, const char *code, const char *more)
{
    char xml[600];
    int n = snprintf(xml, sizeof xml, "<Error><Code>%s</Code><Message>told so</Message>%s</Error>", code, more);
    loop_answer(fd, status, headers, xml, (size_t)n);
}

static int64_t stamp_seconds(const char *s) /* 20130524T000000Z */
{
    struct tm t = {0};
    sscanf(s, "%4d%2d%2dT%2d%2d%2d", &t.tm_year, &t.tm_mon, &t.tm_mday, &t.tm_hour, &t.tm_min, &t.tm_sec);
    t.tm_year -= 1900;
    t.tm_mon--;
    return timegm(&t);
}

/* What is said instead of an answer; false: nothing. */
static bool refuse(int fd, const loop_request *q)
{
    char v[1024], head[256];
    switch (store.f) {
    case REGION_HEADER:
    case REGION_XML:
        if (strstr(loop_header(q, "authorization", v, sizeof v), "/eu-west-9/"))
            return false;
        store.faults++;
        if (store.f == REGION_HEADER)
            error_xml(fd, "301 Moved", "x-amz-bucket-region: eu-west-9\r\n", "PermanentRedirect", "");
        else
            error_xml(fd, "400 Bad", NULL, "AuthorizationHeaderMalformed", "<Region>eu-west-9</Region>");
        return true;
    case CLOCK: {
        time_t there = time(NULL) + 1200;
        struct tm tm;
        gmtime_r(&there, &tm);
        if (llabs(stamp_seconds(loop_header(q, "x-amz-date", v, sizeof v)) - (long long)there) < 300)
            return false;
        store.faults++;
        strftime(head, sizeof head, "Date: %a, %d %b %Y %H:%M:%S GMT\r\n", &tm);
        error_xml(fd, "403 Forbidden", head, "RequestTimeTooSkewed", "");
        return true;
    }
    case EXPIRED:
        if (strcmp(loop_header(q, "x-amz-security-token", v, sizeof v), "new") == 0)
            return false;
        store.faults++;
        error_xml(fd, "400 Bad", NULL, "ExpiredToken", "");
        return true;
    default: return false;
    }
}

static bool list(int fd, const loop_request *q)
{
    char xml[1000];
    bool second = strstr(q->target, "continuation-token=to%2Bken") != NULL;
    store.lists++;
    if (store.f == LIST_NO_XML) {
        loop_answer(fd, "200 OK", NULL, "<html><body>hello", 17);
        return true;
    }
    const char *size = store.f == LIST_BAD_SIZE ? "-5" : "7";
    int n = store.f == LIST_ENDLESS
                ? snprintf(xml, sizeof xml, "<R><IsTruncated>true</IsTruncated></R>")
                : snprintf(xml, sizeof xml,
                           "<?xml version=\"1.0\"?><ListBucketResult xmlns=\"x\"><IsTruncated>%s</IsTruncated><NextContinuationToken>%s</NextContinuationToken>"
                           "<Contents><Key>d/%s &amp; co</Key><LastModified>2026-11-22T21:00:00.000Z</LastModified><Size>%s</Size></Contents>"
                           "<Contents><Key>d/folder/</Key><Size>0</Size></Contents></ListBucketResult>",
                           second ? "false" : "true", second ? "" : "to+ken", second ? "two" : "one", size);
    loop_answer(fd, "200 OK", NULL, xml, (size_t)n);
    return true;
}

static bool get(int fd, const loop_request *q)
{
    char v[128], head[400];
    unsigned long long from = 0, to = store.n ? store.n - 1 : 0;
    if (!store.body) {
        error_xml(fd, "404 Not Found", NULL, "NoSuchKey", "");
        return true;
    }
    const char *match = loop_header(q, "if-match", v, sizeof v);
    if (match[0] && strcmp(match, store.etag) != 0) {
        error_xml(fd, "412 No", NULL, "PreconditionFailed", "");
        return true;
    }
    sscanf(loop_header(q, "range", v, sizeof v), "bytes=%llu-%llu", &from, &to);
    if (store.f == RANGES_FAIL_ONCE && store.faults++ == 0) {
        error_xml(fd, "403 Forbidden", NULL, "AccessDenied", "");
        return true;
    }
    if (store.f == SHORT_ANSWER)
        to--;
    int n = snprintf(head, sizeof head, "HTTP/1.1 206 Part\r\netag: %s\r\ncontent-range: bytes %llu-%llu/%zu\r\ncontent-length: %llu\r\n\r\n", store.etag, from, to,
                     store.n, to - from + 1);
    loop_send(fd, head, (size_t)n);
    loop_send(fd, store.body + from, (size_t)(to - from + 1));
    if (store.f == CHANGES)
        snprintf(store.etag, sizeof store.etag, "\"changed\"");
    return true;
}

static bool put(int fd, const loop_request *q)
{
    char v[64], etag[64];
    const char *part = strstr(q->target, "partNumber=");
    store.puts++;
    if (part) {
        int k = atoi(part + 11) - 1;
        if (store.f == PART_FAILS && k == 1) {
            error_xml(fd, "403 Forbidden", NULL, "AccessDenied", "");
            return true;
        }
        free(store.parts[k]);
        store.parts[k] = malloc(q->body_n + 1);
        memcpy(store.parts[k], q->body, q->body_n);
        store.part_n[k] = q->body_n;
        snprintf(etag, sizeof etag, "ETag: \"%032d\"\r\n", k);
        loop_answer(fd, "200 OK", etag, "", 0);
        return true;
    }
    bool condition = loop_header(q, "if-none-match", v, sizeof v)[0];
    if (condition && store.f == NO_CONDITIONS) {
        store.faults++;
        error_xml(fd, "501 No", NULL, "NotImplemented", "");
        return true;
    }
    if (condition && store.body && store.f != IGNORES_CONDITIONS) {
        error_xml(fd, "412 No", NULL, "PreconditionFailed", "");
        return true;
    }
    if (store.f == PUT_LOST || store.f == PUT_LOST_OTHER) {
        const char *other = "other";
        store.faults++;
        object_set(store.f == PUT_LOST ? q->body : other, store.f == PUT_LOST ? q->body_n : 5, "\"5d41402abc4b2a76b9719d911017c592\""); /* md5 of "hello" */
        if (store.f == PUT_LOST_OTHER)
            snprintf(store.etag, sizeof store.etag, "\"00000000000000000000000000000000\"");
        loop_reset(fd);
        return false;
    }
    object_set(q->body, q->body_n, "\"e\"");
    loop_answer(fd, "200 OK", "ETag: \"e\"\r\n", "", 0);
    return true;
}

static bool post(int fd, const loop_request *q)
{
    if (strstr(q->target, "uploads")) {
        const char *xml = store.f == NO_UPLOAD_ID ? "<InitiateMultipartUploadResult/>"
                                                  : "<InitiateMultipartUploadResult><UploadId>u/1+</UploadId></InitiateMultipartUploadResult>";
        loop_answer(fd, "200 OK", NULL, xml, strlen(xml));
        return true;
    }
    if (strstr(q->target, "?delete")) {
        const char *xml = store.f == REMOVE_DENIED ? "<DeleteResult><Error><Key>k2</Key><Code>AccessDenied</Code><Message>no</Message></Error></DeleteResult>" : "<DeleteResult/>";
        store.faults = strstr(q->body, "<Key>a&amp;b</Key>") != NULL;
        loop_answer(fd, "200 OK", NULL, xml, strlen(xml));
        return true;
    }
    store.completes++;
    if (store.f == COMPLETE_ERROR && store.faults++ == 0) {
        error_xml(fd, "200 OK", NULL, "InternalError", "");
        return true;
    }
    size_t n = 0;
    for (int i = 0; i < 64; i++)
        n += store.part_n[i];
    char *all = malloc(n + 1), *at = all;
    for (int i = 0; i < 64; i++) {
        memcpy(at, store.parts[i] ? store.parts[i] : "", store.part_n[i]);
        at += store.part_n[i];
    }
    object_set(all, n, "\"multi\"");
    free(all);
    const char *xml = "<CompleteMultipartUploadResult><ETag>\"multi\"</ETag></CompleteMultipartUploadResult>";
    loop_answer(fd, "200 OK", NULL, xml, strlen(xml));
    return true;
}

static bool handle_locked(int fd, const loop_request *q)
{
    char head[200];
    store.requests++;
    if (refuse(fd, q))
        return true;
    if (strcmp(q->method, "HEAD") == 0) {
        store.heads++;
        int n = store.body ? snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\netag: %s\r\ncontent-length: %zu\r\n\r\n", store.etag, store.n)
                           : snprintf(head, sizeof head, "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n");
        loop_send(fd, head, (size_t)n);
        return true;
    }
    if (strcmp(q->method, "GET") == 0)
        return strstr(q->target, "list-type=2") ? list(fd, q) : get(fd, q);
    if (strcmp(q->method, "PUT") == 0)
        return put(fd, q);
    if (strcmp(q->method, "POST") == 0)
        return post(fd, q);
    store.aborts += strstr(q->target, "uploadId=u%2F1%2B") != NULL;
    loop_answer(fd, "204 No Content", NULL, "", 0);
    return true;
}

static bool handle(void *ctx, int fd, const loop_request *q)
{
    if (store.f == STALLS) { /* several wait at once */
        for (int i = 0; i < 100; i++) {
            char c;
            usleep(50000);
            if (recv(fd, &c, 1, MSG_DONTWAIT | MSG_PEEK) == 0)
                return false;
        }
        return false;
    }
    pthread_mutex_lock(&store.lock);
    bool keep = handle_locked(fd, q);
    pthread_mutex_unlock(&store.lock);
    return keep;
}

/* ---- keys that expire ---- */

static _Atomic bool renewed, at_hand;

static fz_status keys_get(aws_credentials *c, arena *a, aws_keys *out, fz_error *err)
{
    at_hand = true;
    *out = (aws_keys){STR("id"), STR("secret"), renewed ? STR("new") : STR("old"), INT64_MAX};
    return FZ_OK;
}

static bool keys_cached(aws_credentials *c, arena *a, aws_keys *out)
{
    return at_hand && keys_get(c, a, out, NULL) == FZ_OK;
}

static void keys_expire(aws_credentials *c)
{
    renewed = true;
    at_hand = false;
}

static void keys_free(aws_credentials *c) {}
static const struct aws_credentials_ops keys_ops = {keys_get, keys_cached, keys_expire, keys_free};
static aws_credentials keys = {.ops = &keys_ops, .refs = 1};

/* ---- the tests ---- */

static loop_server *server;
static http_client *http;
static io_fs *fs;
static mem m;

static int setup(void **state)
{
    char endpoint[64];
    pthread_mutex_init(&store.lock, NULL);
    mem_init(&m, NULL, NULL, 0);
    server = loop_server_start(handle, NULL);
    http_options o = {.retry_ms = 1000};
    http = http_client_new(&o, &m);
    snprintf(endpoint, sizeof endpoint, "http://127.0.0.1:%d/", loop_server_port(server));
    s3_options s = {.endpoint = endpoint, .keys = &keys, .part_bytes = 5 << 20, .parts_in_flight = 2, .read_ahead = 20 << 20};
    return s3_fs_new(&s, http, &m, &fs, NULL) == FZ_OK ? 0 : -1;
}

static int teardown(void **state)
{
    fs->close(fs);
    http_client_unref(http);
    loop_server_stop(server);
    for (int i = 0; i < 64; i++)
        free(store.parts[i]);
    free(store.body);
    return m.used == 0 ? 0 : -1;
}

static void fresh(fault f)
{
    pthread_mutex_lock(&store.lock);
    for (int i = 0; i < 64; i++) {
        free(store.parts[i]);
        store.parts[i] = NULL;
        store.part_n[i] = 0;
    }
    free(store.body);
    store.body = NULL;
    store.n = 0;
    store.f = f;
    store.requests = store.heads = store.puts = store.aborts = store.completes = store.faults = store.lists = 0;
    pthread_mutex_unlock(&store.lock);
}

static fz_status write_n(size_t n, const char *text, fz_error *err)
{
    io_writer *w;
    fz_status st = fs->create(fs, "s3://b/k", &m, &w, err);
    if (st != FZ_OK)
        return st;
    for (size_t at = 0; at < n;) {
        char piece[100000];
        size_t k = n - at < sizeof piece ? n - at : sizeof piece;
        for (size_t i = 0; i < k; i++)
            piece[i] = text ? text[(at + i) % strlen(text)] : (char)((at + i) * 31 >> 8);
        st = io_write(w, piece, k, err);
        if (st != FZ_OK) {
            io_writer_abort(w);
            return st;
        }
        at += k;
    }
    return io_writer_finish(w, err);
}

static void read_all_is(const char *want)
{
    buf *b;
    fz_error err = {0};
    fz_status st = fs->read_all(fs, "s3://b/k", &m, 1000, &b, &err);
    if (st != FZ_OK)
        fail_msg("%s", err.message);
    assert_int_equal(b->size, strlen(want));
    assert_memory_equal(b->data, want, b->size);
    buf_unref(b);
}

static void regions_are_learned(void **state)
{
    fresh(REGION_HEADER);
    object_set("hello", 5, "\"x\"");
    read_all_is("hello");
    assert_int_equal(store.faults, 1);
    read_all_is("hello");
    assert_int_equal(store.faults, 1); /* it is kept */
    s3_options s = {.endpoint = "x", .keys = &keys, .region = "us-west-1"};
    char endpoint[64];
    snprintf(endpoint, sizeof endpoint, "http://127.0.0.1:%d", loop_server_port(server));
    s.endpoint = endpoint;
    io_fs *mine = fs;
    assert_int_equal(s3_fs_new(&s, http, &m, &fs, NULL), FZ_OK);
    store.f = REGION_XML;
    store.faults = 0;
    read_all_is("hello");
    assert_int_equal(store.faults, 1);
    fs->close(fs);
    fs = mine;
}

static void clocks_are_learned(void **state)
{
    fresh(CLOCK);
    object_set("hello", 5, "\"x\"");
    read_all_is("hello");
    read_all_is("hello");
    assert_int_equal(store.faults, 1);
    fresh(NONE);
}

static void keys_are_renewed(void **state)
{
    fresh(EXPIRED);
    object_set("hello", 5, "\"x\"");
    renewed = false;
    read_all_is("hello");
    assert_int_equal(store.faults, 1);
    /* In the middle of a write. */
    fresh(EXPIRED);
    renewed = false;
    at_hand = true;
    assert_int_equal(write_n(12 << 20, NULL, NULL), FZ_OK);
    assert_int_equal(store.n, 12 << 20);
    assert_true(store.faults >= 1);
    renewed = true;
}

static void uploads(void **state)
{
    fresh(NONE);
    fz_error err;
    assert_int_equal(write_n((12 << 20) + 77, NULL, &err), FZ_OK);
    assert_int_equal(store.n, (12 << 20) + 77);
    for (size_t i = 0; i < store.n; i += 1009)
        assert_int_equal(store.body[i], (char)(i * 31 >> 8));
    assert_int_equal(store.puts, 3);
    assert_int_equal(store.completes, 1);
    assert_int_equal(store.aborts, 0);
}

static void failed_uploads_are_aborted(void **state)
{
    fresh(PART_FAILS);
    fz_error err;
    assert_int_equal(write_n(22 << 20, NULL, &err), FZ_IO);
    assert_non_null(strstr(err.message, "AccessDenied"));
    assert_string_equal(err.where, "s3://b/k");
    assert_int_equal(store.completes, 0);
    assert_int_equal(store.aborts, 1);
    fresh(NO_UPLOAD_ID);
    assert_int_equal(write_n(6 << 20, NULL, &err), FZ_IO);
    assert_int_equal(store.completes, 0);
}

static void errors_in_a_good_status(void **state)
{
    fresh(COMPLETE_ERROR);
    assert_int_equal(write_n(6 << 20, NULL, NULL), FZ_OK);
    assert_int_equal(store.completes, 2);
    assert_int_equal(store.n, 6 << 20);
}

static void lost_answers_are_looked_into(void **state)
{
    fz_error err;
    fresh(PUT_LOST);
    assert_int_equal(write_n(5, "hello", &err), FZ_OK); /* the second sending meets the first one's object */
    assert_true(store.puts >= 2);
    assert_true(store.heads >= 1);
    fresh(PUT_LOST_OTHER);
    assert_int_equal(write_n(5, "hello", &err), FZ_EXISTS); /* as large, but not ours */
    assert_memory_equal(store.body, "other", 5);
}

static void what_is_there_stays(void **state)
{
    fz_error err;
    fresh(NONE);
    object_set("mine", 4, "\"x\"");
    assert_int_equal(write_n(5, "hello", &err), FZ_EXISTS);
    assert_memory_equal(store.body, "mine", 4);
    /* A store that has no conditions is asked first, once that is known. */
    fresh(NO_CONDITIONS);
    assert_int_equal(write_n(5, "hello", &err), FZ_OK);
    assert_int_equal(store.faults, 1);
    assert_int_equal(store.heads, 1);
    assert_int_equal(write_n(5, "again", &err), FZ_EXISTS);
    assert_int_equal(store.faults, 1);
    assert_memory_equal(store.body, "hello", 5);
    /* One that ignores them gives itself away with the first small file. */
    s3_options s = {.keys = &keys};
    char endpoint[64];
    snprintf(endpoint, sizeof endpoint, "http://127.0.0.1:%d", loop_server_port(server));
    s.endpoint = endpoint;
    io_fs *mine = fs;
    assert_int_equal(s3_fs_new(&s, http, &m, &fs, NULL), FZ_OK);
    fresh(IGNORES_CONDITIONS);
    assert_int_equal(write_n(5, "hello", &err), FZ_OK);
    assert_int_equal(store.puts, 2);
    assert_int_equal(write_n(5, "again", &err), FZ_EXISTS);
    assert_memory_equal(store.body, "hello", 5);
    fs->close(fs);
    fs = mine;
}

static char *big;
#define BIG (30 << 20)

static io_file *big_open(bool sized)
{
    io_file *f;
    fz_error err;
    if (!big) {
        big = malloc(BIG);
        for (size_t i = 0; i < BIG; i++)
            big[i] = (char)(i * 2654435761u >> 15);
    }
    object_set(big, BIG, "\"big\"");
    assert_int_equal(sized ? fs->open_sized(fs, "s3://b/k", BIG, &m, &f, &err) : fs->open(fs, "s3://b/k", &m, &f, &err), FZ_OK);
    return f;
}

static void reads_ahead(void **state)
{
    fresh(NONE);
    io_file *f = big_open(true);
    assert_int_equal(store.requests, 0);
    /* Ranges with small gaps are joined, a long one is cut; two readers of the same bytes cost one request. */
    io_range r[] = {{1000, 50000}, {60000, 100000}, {4 << 20, 20 << 20}};
    char *dst = malloc(20 << 20);
    io_will_read(f, r, 3);
    for (int twice = 0; twice < 2; twice++)
        for (int i = 0; i < 3; i++) {
            assert_int_equal(io_read(f, r[i].offset, dst, r[i].len, NULL), FZ_OK);
            assert_memory_equal(dst, big + r[i].offset, r[i].len);
        }
    assert_true(store.requests <= 5);
    /* What wasn't announced is read too, also across the edges. */
    assert_int_equal(io_read(f, (4 << 20) - 10, dst, 20, NULL), FZ_OK);
    assert_memory_equal(dst, big + (4 << 20) - 10, 20);
    assert_int_equal(io_read(f, BIG - 5, dst, 5, NULL), FZ_OK);
    fz_error err;
    assert_int_equal(io_read(f, BIG - 5, dst, 6, &err), FZ_DATA);
    assert_int_equal(io_read(f, UINT64_MAX - 2, dst, 6, &err), FZ_DATA);
    io_range silly[] = {{UINT64_MAX, 5}, {BIG, 1}, {0, UINT64_MAX}, {5, 0}};
    io_will_read(f, silly, 4);
    free(dst);
    io_close(f);
}

static void more_than_memory(void **state)
{
    fresh(NONE);
    mem small;
    mem_init(&small, &m, NULL, 12 << 20);
    io_file *f = big_open(true);
    io_close(f);
    assert_int_equal(fs->open_sized(fs, "s3://b/k", BIG, &small, &f, NULL), FZ_OK);
    char dst[100000];
    for (size_t at = 0; at < BIG; at += 1 << 20) {
        io_range r = {at, 1 << 20};
        io_will_read(f, &r, 1);
    }
    for (size_t at = 0; at + sizeof dst < BIG; at += sizeof dst) {
        assert_int_equal(io_read(f, at, dst, sizeof dst, NULL), FZ_OK);
        assert_memory_equal(dst, big + at, sizeof dst);
    }
    assert_true(small.peak < 20 << 20);
    io_close(f);
    assert_int_equal(small.used, 0);
}

static void changed_files_are_found(void **state)
{
    fresh(CHANGES);
    io_file *f = big_open(false);
    char dst[100];
    fz_error err;
    assert_int_equal(io_read(f, 0, dst, 100, &err), FZ_OK);
    assert_int_equal(io_read(f, 100, dst, 100, &err), FZ_DATA);
    assert_non_null(strstr(err.message, "changed"));
    io_close(f);
    fresh(NONE);
    f = big_open(true); /* its ETag is the first answer's */
    assert_int_equal(io_read(f, 0, dst, 100, &err), FZ_OK);
    snprintf(store.etag, sizeof store.etag, "\"new\"");
    assert_int_equal(io_read(f, 0, dst, 100, &err), FZ_DATA);
    io_close(f);
    fresh(SHORT_ANSWER);
    f = big_open(true);
    assert_int_equal(io_read(f, 0, dst, 100, &err), FZ_DATA);
    io_close(f);
}

static void failed_blocks_are_asked_for_again(void **state)
{
    fresh(RANGES_FAIL_ONCE);
    io_file *f = big_open(true);
    char dst[100];
    fz_error err;
    io_range r = {0, 1000};
    io_will_read(f, &r, 1);
    fz_status first = io_read(f, 0, dst, 100, &err); /* who waits for it fails with it … */
    assert_true(first == FZ_OK || first == FZ_IO);
    assert_int_equal(io_read(f, 0, dst, 100, &err), FZ_OK);
    assert_memory_equal(dst, big, 100);
    io_close(f);
}

static void close_ends_what_is_under_way(void **state)
{
    fresh(STALLS);
    io_file *f = big_open(true);
    io_range r = {0, 20 << 20};
    struct timespec a, b;
    io_will_read(f, &r, 1);
    usleep(50000);
    clock_gettime(CLOCK_MONOTONIC, &a);
    io_close(f);
    clock_gettime(CLOCK_MONOTONIC, &b);
    assert_true((b.tv_sec - a.tv_sec) * 1000 + (b.tv_nsec - a.tv_nsec) / 1000000 < 1500);
}

static fz_status name_add(void *ctx, const char *path, const io_stat_info *info, fz_error *err)
{
    sbuf_printf(ctx, "%s=%llu@%lld;", path, (unsigned long long)info->size, (long long)info->mtime_us);
    return FZ_OK;
}

static void listings(void **state)
{
    sbuf out;
    fz_error err;
    sbuf_init(&out, NULL);
    fresh(NONE);
    assert_int_equal(fs->list(fs, "s3://b/d", name_add, &out, &err), FZ_OK);
    assert_string_equal(out.p, "s3://b/d/one & co=7@1795381200000000;s3://b/d/two & co=7@1795381200000000;");
    assert_int_equal(store.lists, 2);
    fresh(LIST_ENDLESS);
    assert_int_equal(fs->list(fs, "s3://b/d", name_add, &out, &err), FZ_DATA);
    assert_int_equal(store.lists, 1);
    fresh(LIST_BAD_SIZE);
    assert_int_equal(fs->list(fs, "s3://b/d", name_add, &out, &err), FZ_DATA);
    fresh(LIST_NO_XML);
    assert_int_equal(fs->list(fs, "s3://b/d", name_add, &out, &err), FZ_DATA);
    assert_string_equal(err.where, "s3://b/d");
    sbuf_free(&out);
}

static void removing(void **state)
{
    const char *paths[] = {"s3://b/a&b", "s3://b/k2"};
    fz_error err;
    fresh(NONE);
    assert_int_equal(fs->remove_many(fs, 2, paths, &err), FZ_OK);
    assert_int_equal(store.requests, 1);
    assert_int_equal(store.faults, 1);
    fresh(REMOVE_DENIED);
    assert_int_equal(fs->remove_many(fs, 2, paths, &err), FZ_IO);
    assert_non_null(strstr(err.message, "k2: AccessDenied"));
}

static void done(void **state)
{
    free(big);
    big = NULL;
    fresh(NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(regions_are_learned), cmocka_unit_test(clocks_are_learned), cmocka_unit_test(keys_are_renewed), cmocka_unit_test(uploads),
        cmocka_unit_test(failed_uploads_are_aborted), cmocka_unit_test(errors_in_a_good_status), cmocka_unit_test(reads_ahead),
        cmocka_unit_test(more_than_memory), cmocka_unit_test(changed_files_are_found), cmocka_unit_test(failed_blocks_are_asked_for_again),
        cmocka_unit_test(close_ends_what_is_under_way), cmocka_unit_test(listings), cmocka_unit_test(removing),
        cmocka_unit_test(lost_answers_are_looked_into), cmocka_unit_test(what_is_there_stays), cmocka_unit_test(done),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
