/*
 * http_fs.c: http:// and https:// URLs as files to be read: sources. A URL is used as it is written.
 *
 * open asks by HEAD, and where a server doesn't answer that, by a GET of the first byte. Ranges go through ranges.c; a server that knows none
 * sends everything each time (http_attempt.c drops what comes before): the cache's whole files are the better way there.
 */
#include "base/hash.h"
#include "io/http_body.h"
#include "io/ranges.h"
#include "io/s3.h"

#include <pthread.h>
#include <stdio.h>

typedef struct http_fs {
    io_fs base;
    http_client *http;
    mem *m;
} http_fs;

typedef struct url_source {
    http_client *http;
    mem *m;
    char *url;
    uint64_t size;
    pthread_mutex_t lock;
    char etag[128];
    job stop;           /* only its flag */
} url_source;

typedef struct url_get {
    http_request r;
    url_source *s;
    range_get *g;
    char range[64], etag[128];
} url_get;

static fz_status answer_error(const http_request *r, fz_error *err)
{
    if (r->code == 404 || r->code == 410) {
        error_set(err, FZ_NOT_FOUND, "the server answered %d: there is no such file", r->code);
        return FZ_NOT_FOUND;
    }
    return http_status_error(r, STR(""), err);
}

/* ---- ranges ---- */

static fz_status get_check(url_get *x, fz_error *err)
{
    url_source *s = x->s;
    const http_request *r = &x->r;
    str e = http_response_header(r, "etag");
    int64_t total = http_total(r);
    if (r->code < 200 || r->code >= 300)
        return r->code == 412 ? error_set(err, FZ_DATA, "the file was changed while it was being read") : answer_error(r, err);
    if (total >= 0 && (uint64_t)total != s->size)
        return error_set(err, FZ_DATA, "the file was changed while it was being read: it has %lld bytes, it had %llu", (long long)total,
                         (unsigned long long)s->size);
    pthread_mutex_lock(&s->lock);
    bool same = !s->etag[0] || e.n == 0 || str_eqz(e, s->etag);
    if (!s->etag[0] && e.n < sizeof s->etag)
        snprintf(s->etag, sizeof s->etag, STR_FMT, STR_ARG(e));
    pthread_mutex_unlock(&s->lock);
    return same ? FZ_OK : error_set(err, FZ_DATA, "the file was changed while it was being read");
}

static void get_done(http_request *r)
{
    url_get *x = (url_get *)r;
    range_get *g = x->g;
    fz_error err = r->error;
    fz_status st = r->status != FZ_OK ? r->status : get_check(x, &err);
    http_response_free(r);
    mem_free(x->s->m, x, sizeof *x);
    range_got(g, st, &err);
}

static void source_send(void *source, range_get *g)
{
    url_source *s = source;
    fz_error err;
    url_get *x = mem_zalloc(s->m, sizeof *x);
    if (!x) {
        range_got(g, error_nomem(&err), &err);
        return;
    }
    x->s = s;
    x->g = g;
    int n = snprintf(x->range, sizeof x->range, "bytes=%llu-%llu", (unsigned long long)g->offset, (unsigned long long)(g->offset + g->len - 1));
    x->r = (http_request){.method = "GET", .url = s->url, .retry = true, .dst = g->dst, .dst_n = g->len, .j = &s->stop, .done = get_done, .n_headers = 1};
    x->r.headers[0] = (http_header){STR("range"), {x->range, (size_t)n}};
    pthread_mutex_lock(&s->lock);
    snprintf(x->etag, sizeof x->etag, "%s", s->etag);
    pthread_mutex_unlock(&s->lock);
    if (x->etag[0] == '"') /* a strong one */
        x->r.headers[x->r.n_headers++] = (http_header){STR("if-match"), str_of(x->etag)};
    http_send(s->http, &x->r);
}

static void source_cancel(void *source)
{
    url_source *s = source;
    atomic_store(&s->stop.cancelled, true);
    http_wake(s->http);
}

static void source_free(void *source)
{
    url_source *s = source;
    pthread_mutex_destroy(&s->lock);
    http_client_unref(s->http);
    mem_free(s->m, s->url, strlen(s->url) + 1);
    mem_free(s->m, s, sizeof *s);
}

static const range_source url_source_ops = {source_send, source_cancel, source_free};

static fz_status url_open(http_fs *fs, const char *url, uint64_t size, const char *etag, mem *m, io_file **out, fz_error *err)
{
    size_t n = strlen(url) + 1;
    url_source *s = mem_zalloc(m, sizeof *s);
    char *copy = s ? mem_alloc(m, n) : NULL;
    if (!copy) {
        mem_free(m, s, sizeof *s);
        return error_nomem(err);
    }
    memcpy(copy, url, n);
    s->http = http_client_ref(fs->http);
    s->m = m;
    s->url = copy;
    s->size = size;
    snprintf(s->etag, sizeof s->etag, "%s", etag);
    pthread_mutex_init(&s->lock, NULL);
    TRY(range_file_new(url, size, 0, &url_source_ops, s, m, out, err));
    (*out)->version = etag[0] ? hash_bytes(etag, strlen(etag)) | 1 : 0;
    return FZ_OK;
}

/* ---- the file system ---- */

/* HEAD; *code says what the server answered, size -1: nothing. */
static fz_status url_head(http_fs *fs, const char *url, const char *method, int64_t *size, int64_t *modified_ms, char *etag, size_t etag_n, fz_error *err)
{
    http_request r = {.method = method, .url = url, .retry = true, .max_body = 1 << 20};
    bool first_byte = strcmp(method, "GET") == 0;
    char byte;
    if (first_byte) {
        r.headers[r.n_headers++] = (http_header){STR("range"), STR("bytes=0-0")};
        r.dst = &byte;
        r.dst_n = 1;
    }
    fz_status st = http_fetch(fs->http, &r, err);
    if (st == FZ_OK && (r.code < 200 || r.code >= 300) && !(first_byte && r.code == 416))
        st = answer_error(&r, err);
    *size = -1;
    if (st == FZ_OK) {
        str e = http_response_header(&r, "etag");
        if (r.code == 206 || r.code == 416)
            *size = http_total(&r);
        else if (http_response_header(&r, "content-encoding").n || !str_to_i64(http_response_header(&r, "content-length"), size))
            *size = -1;
        *modified_ms = http_date_ms(http_response_header(&r, "last-modified"));
        snprintf(etag, etag_n, STR_FMT, e.n < etag_n ? (int)e.n : 0, e.p ? e.p : "");
    }
    http_response_free(&r);
    return st;
}

static fz_status url_stat(http_fs *fs, const char *url, io_stat_info *info, char *etag, size_t etag_n, fz_error *err)
{
    int64_t size, modified = -1;
    fz_status st = url_head(fs, url, "HEAD", &size, &modified, etag, etag_n, err);
    if (st != FZ_NOT_FOUND && (st != FZ_OK || size < 0))
        st = url_head(fs, url, "GET", &size, &modified, etag, etag_n, err);
    if (st == FZ_OK && size < 0)
        st = error_set(err, FZ_UNSUPPORTED, "the server doesn't say how large the file is");
    if (st != FZ_OK) {
        error_where(err, url);
        return st;
    }
    *info = (io_stat_info){.size = (uint64_t)size, .mtime_us = modified > 0 ? modified * 1000 : 0};
    return FZ_OK;
}

static fz_status http_open(const io_fs *base, const char *url, mem *m, io_file **out, fz_error *err)
{
    io_stat_info info;
    char etag[128] = "";
    TRY(url_stat((http_fs *)base, url, &info, etag, sizeof etag, err));
    TRY(url_open((http_fs *)base, url, info.size, etag, m, out, err));
    if (!(*out)->version && info.mtime_us) /* the other validator that HTTP has */
        (*out)->version = hash_mix((uint64_t)info.mtime_us, info.size) | 1;
    return FZ_OK;
}

static fz_status http_open_sized(const io_fs *base, const char *url, uint64_t size, mem *m, io_file **out, fz_error *err)
{
    return url_open((http_fs *)base, url, size, "", m, out, err);
}

static fz_status http_stat(const io_fs *base, const char *url, io_stat_info *out, fz_error *err)
{
    char etag[128];
    return url_stat((http_fs *)base, url, out, etag, sizeof etag, err);
}

struct whole {
    http_request r;
    http_sink sink;
};

static fz_status whole_take(http_request *r, const void *p, size_t n, fz_error *err)
{
    return http_sink_take(&((struct whole *)r)->sink, r, p, n, err);
}

static fz_status http_read_all(const io_fs *base, const char *url, mem *m, size_t max_bytes, buf **out, fz_error *err)
{
    struct whole w = {.r = {.method = "GET", .url = url, .retry = true, .take = whole_take, .n_headers = 1}, .sink = {.m = m, .max = max_bytes}};
    w.r.headers[0] = (http_header){STR("range"), STR("bytes=0-")};
    *out = NULL;
    fz_status st = http_fetch(((http_fs *)base)->http, &w.r, err);
    bool empty = st == FZ_OK && w.r.code == 416 && http_total(&w.r) <= 0;
    if (st == FZ_OK && !empty && (w.r.code < 200 || w.r.code >= 300))
        st = answer_error(&w.r, err);
    if (st == FZ_OK && !w.sink.b && !(w.sink.b = buf_new(m, 0)))
        st = error_nomem(err);
    http_response_free(&w.r);
    if (st != FZ_OK) {
        error_where(err, url);
        buf_unref(w.sink.b);
        return st;
    }
    *out = w.sink.b;
    return FZ_OK;
}

static fz_status read_only(const char *url, const char *what, fz_error *err)
{
    error_set(err, FZ_UNSUPPORTED, "files on the web are only read here: %s isn't supported", what);
    error_where(err, url);
    return FZ_UNSUPPORTED;
}

static fz_status http_create(const io_fs *fs, const char *url, mem *m, io_writer **out, fz_error *err) { return read_only(url, "writing one", err); }
static fz_status http_remove(const io_fs *fs, const char *url, fz_error *err) { return read_only(url, "removing one", err); }

static fz_status http_list(const io_fs *fs, const char *url, fz_status (*fn)(void *ctx, const char *path, const io_stat_info *info, fz_error *err),
                           void *ctx, fz_error *err)
{
    return read_only(url, "listing them", err);
}

static void http_close(io_fs *base)
{
    http_fs *fs = (http_fs *)base;
    http_client_unref(fs->http);
    mem_free(fs->m, fs, sizeof *fs);
}

fz_status http_fs_new(http_client *http, mem *m, io_fs **out, fz_error *err)
{
    http_fs *fs = mem_zalloc(m, sizeof *fs);
    if (!fs)
        return error_nomem(err);
    fs->base = (io_fs){.scheme = "https", .open = http_open, .create = http_create, .stat = http_stat, .remove = http_remove, .list = http_list,
                       .open_sized = http_open_sized, .close = http_close, .read_all = http_read_all};
    fs->http = http_client_ref(http);
    fs->m = m;
    *out = &fs->base;
    return FZ_OK;
}
