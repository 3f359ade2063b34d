/*
 * s3_list.c: ListObjectsV2, page by page, and removing many objects per request.
 *
 * A listing names what lies below a location with '/' as its end; names that end in '/' (folders made by consoles) aren't files.
 */
#include "io/s3_int.h"

#include "io/aws/credentials.h"
#include "io/libs.h"

#include <stdio.h>

#define PAGES_MAX  1000000
#define REMOVE_MAX 1000      /* S3's own limit */

struct page {
    s3_call *call;
    const char *scheme;      /* "s3://bucket/" as the caller wrote it */
    size_t scheme_n;
    s3_list_fn fn;
    void *ctx;
    sbuf path, token;
    bool more, stop;         /* stop: one was enough */
    uint64_t seen;
    /* the object being read */
    sbuf key;
    int64_t size, modified_ms;
};

static fz_status page_take(void *ctx, const str *path, uint32_t depth, str text, fz_error *err)
{
    struct page *p = ctx;
    if (depth == 2 && str_eqz(path[1], "IsTruncated")) {
        p->more = str_eqz(str_trim(text), "true");
    } else if (depth == 2 && str_eqz(path[1], "NextContinuationToken")) {
        sbuf_clear(&p->token);
        sbuf_str(&p->token, text);
    } else if (depth == 3 && str_eqz(path[1], "Contents")) {
        if (str_eqz(path[2], "Key")) {
            sbuf_clear(&p->key);
            sbuf_str(&p->key, text);
        } else if (str_eqz(path[2], "Size")) {
            if (!str_to_i64(str_trim(text), &p->size) || p->size < 0)
                return error_set(err, FZ_DATA, "the server lists a file with the size " STR_FMT, STR_ARG(text));
        } else if (str_eqz(path[2], "LastModified") && !aws_parse_time(str_trim(text), &p->modified_ms)) {
            p->modified_ms = 0;
        }
    } else if (depth == 2 && str_eqz(path[1], "Contents")) {
        io_stat_info info = {.size = (uint64_t)p->size, .mtime_us = p->modified_ms * 1000};
        bool folder = p->key.n && p->key.p[p->key.n - 1] == '/' && p->size == 0;
        sbuf_clear(&p->path);
        sbuf_add(&p->path, p->scheme, p->scheme_n);
        sbuf_add(&p->path, p->key.p, p->key.n);
        bool named = p->key.n > 0;
        sbuf_clear(&p->key);
        p->size = p->modified_ms = 0;
        if (p->path.failed || p->key.failed)
            return error_nomem(err);
        if (!named || (folder && p->fn))
            return FZ_OK;
        p->seen++;
        return p->fn && !p->stop ? p->fn(p->ctx, p->path.p, &info, err) : FZ_OK;
    }
    return p->token.failed ? error_nomem(err) : FZ_OK;
}

/* The prefix of what lies below a key. */
static void prefix_of(str key, sbuf *out)
{
    http_escape(key, false, out);
    if (key.n && key.p[key.n - 1] != '/')
        sbuf_addz(out, "%2F");
}

static fz_status page_fetch(s3_fs *fs, const char *location, str bucket, str key, int max_keys, struct page *p, fz_error *err)
{
    s3_call c;
    sbuf query;
    sbuf_init(&query, fs->m);
    sbuf_addz(&query, "list-type=2&prefix=");
    prefix_of(key, &query);
    if (max_keys)
        sbuf_printf(&query, "&max-keys=%d", max_keys);
    if (p->token.n) {
        sbuf_addz(&query, "&continuation-token=");
        http_escape((str){p->token.p, p->token.n}, false, &query);
    }
    fz_status st = s3_call_init(&c, fs, "GET", location, bucket, STR(""), err);
    c.query = query.p;
    c.r.max_body = (size_t)16 << 20;
    if (query.failed)
        st = error_nomem(err);
    if (st == FZ_OK)
        st = s3_call_run(&c, err);
    if (st == FZ_OK) {
        p->more = false;
        sbuf_clear(&p->token);
        const buf *b = c.r.response;
        st = xml_read(b ? (str){(const char *)b->data, b->size} : STR(""), fs->m, page_take, p, err);
        if (st != FZ_OK)
            error_where(err, location);
    }
    s3_call_free(&c);
    sbuf_free(&query);
    return st;
}

static void page_init(struct page *p, s3_fs *fs)
{
    sbuf_init(&p->path, fs->m);
    sbuf_init(&p->token, fs->m);
    sbuf_init(&p->key, fs->m);
}

static void page_free(struct page *p)
{
    sbuf_free(&p->path);
    sbuf_free(&p->token);
    sbuf_free(&p->key);
}

fz_status s3_list(const io_fs *base, const char *location, s3_list_fn fn, void *ctx, fz_error *err)
{
    s3_fs *fs = (s3_fs *)base;
    str bucket, key;
    TRY(s3_split(location, &bucket, &key, err));
    const char *slash = bucket.p[bucket.n] ? bucket.p + bucket.n + 1 : NULL;
    sbuf head; /* "s3://bucket/", also where the location ends with the bucket */
    sbuf_init(&head, fs->m);
    sbuf_add(&head, location, (size_t)((slash ? slash : bucket.p + bucket.n) - location));
    if (!slash)
        sbuf_addc(&head, '/');
    struct page p = {.fn = fn, .ctx = ctx, .scheme = head.p, .scheme_n = head.n};
    page_init(&p, fs);
    fz_status st = head.failed ? error_nomem(err) : FZ_OK;
    for (int i = 0; i < PAGES_MAX && st == FZ_OK; i++) {
        uint64_t before = p.seen;
        st = page_fetch(fs, location, bucket, key, 0, &p, err);
        if (st != FZ_OK || !p.more)
            break;
        if (p.token.n == 0 || (p.seen == before && i > 1000)) {
            st = error_set(err, FZ_DATA, "the server's listing doesn't end");
            error_where(err, location);
        }
    }
    page_free(&p);
    sbuf_free(&head);
    return st;
}

fz_status s3_any_below(s3_fs *fs, const char *location, str bucket, str key, bool *any, fz_error *err)
{
    struct page p = {.scheme = "", .stop = true};
    page_init(&p, fs);
    fz_status st = page_fetch(fs, location, bucket, key, 1, &p, err);
    *any = p.seen > 0;
    page_free(&p);
    return st;
}

/* ---- removing ---- */

struct removed {
    char key[512], code[64], message[256];
    bool failed;             /* the first one is kept */
    char first[900];
};

static fz_status removed_take(void *ctx, const str *path, uint32_t depth, str text, fz_error *err)
{
    struct removed *r = ctx;
    if (depth < 2 || !str_eqz(path[1], "Error"))
        return FZ_OK;
    if (depth == 3 && str_eqz(path[2], "Key"))
        snprintf(r->key, sizeof r->key, STR_FMT, STR_ARG(text));
    else if (depth == 3 && str_eqz(path[2], "Code"))
        snprintf(r->code, sizeof r->code, STR_FMT, STR_ARG(text));
    else if (depth == 3 && str_eqz(path[2], "Message"))
        snprintf(r->message, sizeof r->message, STR_FMT, STR_ARG(text));
    else if (depth == 2 && !r->failed && strcmp(r->code, "NoSuchKey") != 0) {
        r->failed = true;
        snprintf(r->first, sizeof r->first, "%s: %s: %s", r->key, r->code, r->message);
    }
    return FZ_OK;
}

static fz_status remove_some(s3_fs *fs, str bucket, uint32_t n, const char *const *paths, fz_error *err)
{
    s3_call c;
    sbuf body;
    struct removed result = {0};
    const lib_crypto *lib;
    unsigned char md[16];
    char sum[32], crc[9];
    sbuf_init(&body, fs->m);
    fz_status st = s3_call_init(&c, fs, "POST", paths[0], bucket, STR(""), err);
    sbuf_addz(&body, "<Delete xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Quiet>true</Quiet>");
    for (uint32_t i = 0; i < n && st == FZ_OK; i++) {
        str b, key;
        st = s3_split(paths[i], &b, &key, err);
        sbuf_addz(&body, "<Object><Key>");
        if (st == FZ_OK)
            xml_escape(key, &body);
        sbuf_addz(&body, "</Key></Object>");
    }
    sbuf_addz(&body, "</Delete>");
    if (st == FZ_OK)
        st = body.failed ? error_nomem(err) : crypto_lib(&lib, err);
    if (st != FZ_OK)
        goto out;
    /* One of the two is required; which one depends on the store's age. */
    if (lib->digest(body.p, body.n, md, NULL, lib->md5(), NULL)) {
        s3_base64(md, 16, sum);
        s3_call_header(&c, "content-md5", str_of(sum));
    } else {
        s3_crc_text(s3_crc(body.p, body.n), crc);
        s3_call_header(&c, "x-amz-checksum-crc32", str_of(crc));
    }
    s3_call_header(&c, "content-type", STR("application/xml"));
    c.query = "delete=";
    c.r.body = body.p;
    c.r.body_n = body.n;
    TRY_GOTO(s3_call_run(&c, err));
    if (c.r.response && c.r.response->size)
        TRY_GOTO(xml_read((str){(const char *)c.r.response->data, c.r.response->size}, fs->m, removed_take, &result, err));
    if (result.failed) {
        st = error_set(err, FZ_IO, "the server didn't remove %s", result.first);
        error_where(err, paths[0]);
    }
out:
    s3_call_free(&c);
    sbuf_free(&body);
    return st;
}

fz_status s3_remove_many(const io_fs *base, uint32_t n, const char *const *paths, fz_error *err)
{
    s3_fs *fs = (s3_fs *)base;
    fz_status first = FZ_OK;
    for (uint32_t i = 0, end; i < n; i = end) { /* runs of one bucket */
        str bucket, other, key;
        fz_status st = s3_split(paths[i], &bucket, &key, first ? NULL : err);
        for (end = i + 1; st == FZ_OK && end < n && end - i < REMOVE_MAX && s3_split(paths[end], &other, &key, NULL) == FZ_OK && str_eq(bucket, other); end++)
            ;
        if (st == FZ_OK)
            st = end - i == 1 ? base->remove(base, paths[i], first ? NULL : err) : remove_some(fs, bucket, end - i, paths + i, first ? NULL : err);
        if (st != FZ_OK && st != FZ_NOT_FOUND && first == FZ_OK)
            first = st;
    }
    return first;
}
