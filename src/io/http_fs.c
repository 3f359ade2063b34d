/*
 * http_fs.c: http:// and https:// URLs as files to be read: sources. A URL is used as it is written.
 *
 * open asks by HEAD, and where a server doesn't answer that, by a GET of the first byte. Ranges go through ranges.c. Where HEAD doesn't say whether
 * there are ranges, that is asked when the file is first read (a cached one never is): from a server that knows none, or doesn't
 * say how large a file is, all of it is fetched once, into an unlinked temporary file.
 *
 * A file's version is its ETag; without one the time of its last change, where that lies far enough back that another change would show.
 */
#include "base/hash.h"
#include "io/http_body.h"
#include "io/ranges.h"
#include "io/s3.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

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

static fz_status url_open(const http_fs *fs, const char *url, uint64_t size, const char *etag, mem *m, io_file **out, fz_error *err)
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
    return range_file_new(url, size, 0, &url_source_ops, s, m, out, err);
}

/* ---- what a server says of a file ---- */

typedef struct url_info {
    int64_t size, modified_ms; /* -1: not said */
    bool ranges;
    char etag[128];
    uint64_t version;          /* 0: nothing tells */
} url_info;

static uint64_t version_of(const http_request *r)
{
    str e = http_response_header(r, "etag"), changed = http_response_header(r, "last-modified");
    if (e.n)
        return hash_bytes(e.p, e.n) | 1;
    int64_t at = http_date_ms(changed), now = http_date_ms(http_response_header(r, "date"));
    return at > 0 && now > at + 2000 ? hash_bytes(changed.p, changed.n) | 1 : 0;
}

/* HEAD, or GET of the first byte. */
static fz_status url_head(const http_fs *fs, const char *url, const char *method, url_info *out, fz_error *err)
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
    *out = (url_info){.size = -1, .modified_ms = -1};
    if (st == FZ_OK) {
        str e = http_response_header(&r, "etag");
        out->ranges = r.code == 206 || r.code == 416 || http_response_header(&r, "content-range").n ||
                      str_ieq(http_response_header(&r, "accept-ranges"), STR("bytes"));
        if (http_total(&r) >= 0)
            out->size = http_total(&r);
        else if (http_response_header(&r, "content-encoding").n || !str_to_i64(http_response_header(&r, "content-length"), &out->size))
            out->size = -1;
        out->modified_ms = http_date_ms(http_response_header(&r, "last-modified"));
        if (e.n < sizeof out->etag)
            snprintf(out->etag, sizeof out->etag, STR_FMT, STR_ARG(e));
        out->version = version_of(&r);
    }
    http_response_free(&r);
    return st;
}

/* ---- servers without ranges ---- */

typedef struct spooled {
    io_file base;
    const http_fs *fs;    /* outlives its files */
    pthread_mutex_t lock; /* while it is found out how to read the file, and while it is fetched */
    char etag[128];
    io_file *ranges;      /* the server knows ranges after all */
    bool asked;
    int fd;               /* -1: not fetched yet */
} spooled;

struct spooling {
    http_request r;
    int fd;
    uint64_t n;
};

static fz_status spool_take(http_request *r, const void *p, size_t n, fz_error *err)
{
    struct spooling *s = (struct spooling *)r;
    const char *at = p;
    while (n) {
        ssize_t k = pwrite(s->fd, at, n, (off_t)s->n);
        if (k < 0 && errno == EINTR)
            continue;
        if (k <= 0)
            return error_errno(err, k < 0 ? errno : ENOSPC, NULL, "writing the temporary copy of a file on the web");
        at += k;
        n -= (size_t)k;
        s->n += (uint64_t)k;
    }
    return FZ_OK;
}

static fz_status temp_file(int *fd, fz_error *err)
{
    const char *dir = getenv("TMPDIR");
    dir = dir && dir[0] ? dir : "/var/tmp";
    *fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (*fd >= 0)
        return FZ_OK;
    char path[1024];
    snprintf(path, sizeof path, "%s/frazil-%.6s", dir, "XXXXXX"); /* mkostemp's own pattern */
    *fd = mkostemp(path, O_CLOEXEC);
    if (*fd < 0)
        return error_errno(err, errno, dir, "making a temporary file");
    unlink(path);
    return FZ_OK;
}

/* All of the file; *size -1: it may have any. */
static fz_status spool_fetch(http_client *http, const char *url, int64_t *size, int *fd, fz_error *err)
{
    struct spooling s = {.r = {.method = "GET", .url = url, .retry = true, .take = spool_take}};
    TRY(temp_file(&s.fd, err));
    fz_status st = http_fetch(http, &s.r, err);
    if (st == FZ_OK && (s.r.code < 200 || s.r.code >= 300))
        st = answer_error(&s.r, err);
    if (st == FZ_OK && *size >= 0 && (uint64_t)*size != s.n)
        st = error_set(err, FZ_DATA, "the server sent %llu of %lld bytes", (unsigned long long)s.n, (long long)*size);
    http_response_free(&s.r);
    if (st != FZ_OK) {
        error_where(err, url);
        close(s.fd);
        return st;
    }
    *size = (int64_t)s.n;
    *fd = s.fd;
    return FZ_OK;
}

/* Locked: whether there are ranges. */
static fz_status ranges_ask(spooled *f, fz_error *err)
{
    url_info info;
    if (f->asked)
        return FZ_OK;
    TRY(url_head(f->fs, f->base.path, "GET", &info, err));
    f->asked = true;
    if (!info.ranges)
        return FZ_OK;
    if (info.size >= 0 && (uint64_t)info.size != f->base.size)
        return error_set(err, FZ_DATA, "the file was changed while it was being read");
    return url_open(f->fs, f->base.path, f->base.size, f->etag, f->base.m, &f->ranges, err);
}

static fz_status spooled_read(spooled *f, io_req *r)
{
    int64_t size = (int64_t)f->base.size;
    fz_status st = FZ_OK;
    pthread_mutex_lock(&f->lock);
    if (f->fd < 0)
        st = ranges_ask(f, &r->error);
    if (st == FZ_OK && !f->ranges && f->fd < 0)
        st = spool_fetch(f->fs->http, f->base.path, &size, &f->fd, &r->error);
    pthread_mutex_unlock(&f->lock);
    TRY(st);
    if (f->ranges)
        return io_read(f->ranges, r->offset, r->dst, r->len, &r->error);
    for (size_t done = 0; done < r->len;) {
        ssize_t k = pread(f->fd, (char *)r->dst + done, r->len - done, (off_t)(r->offset + done));
        if (k < 0 && errno == EINTR)
            continue;
        if (k < 0)
            return error_errno(&r->error, errno, f->base.path, "reading the temporary copy");
        if (k == 0)
            return error_set(&r->error, FZ_DATA, "the file ends at byte %llu", (unsigned long long)f->base.size);
        done += (size_t)k;
    }
    return FZ_OK;
}

static void spooled_submit(io_file *base, io_req *reqs, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        io_req *r = &reqs[i];
        r->error.offset = -1;
        r->status = spooled_read((spooled *)base, r);
        if (r->status != FZ_OK)
            error_where(&r->error, base->path);
        r->done(r);
    }
}

static void spooled_close(io_file *base)
{
    spooled *f = (spooled *)base;
    if (f->fd >= 0)
        close(f->fd);
    io_close(f->ranges);
    pthread_mutex_destroy(&f->lock);
    mem_free(base->m, base->path, strlen(base->path) + 1);
    mem_free(base->m, f, sizeof *f);
}

static void spooled_will_read(io_file *base, const io_range *r, size_t n)
{
    spooled *f = (spooled *)base;
    pthread_mutex_lock(&f->lock);
    if (f->fd < 0)
        ranges_ask(f, NULL);
    pthread_mutex_unlock(&f->lock);
    if (f->ranges)
        io_will_read(f->ranges, r, n);
}

static const struct io_file_ops spooled_ops = {.submit = spooled_submit, .close = spooled_close, .will_read = spooled_will_read};

/* size -1: it has to be fetched to be known. */
static fz_status spooled_open(const http_fs *fs, const char *url, int64_t size, const char *etag, mem *m, io_file **out, fz_error *err)
{
    int fd = -1;
    if (size < 0)
        TRY(spool_fetch(fs->http, url, &size, &fd, err));
    size_t n = strlen(url) + 1;
    spooled *f = mem_zalloc(m, sizeof *f);
    char *copy = f ? mem_alloc(m, n) : NULL;
    if (!copy) {
        mem_free(m, f, sizeof *f);
        if (fd >= 0)
            close(fd);
        return error_nomem(err);
    }
    memcpy(copy, url, n);
    f->base = (io_file){.ops = &spooled_ops, .path = copy, .size = (uint64_t)size, .m = m};
    f->fs = fs;
    f->fd = fd;
    snprintf(f->etag, sizeof f->etag, "%s", etag);
    pthread_mutex_init(&f->lock, NULL);
    *out = &f->base;
    return FZ_OK;
}

/* ---- the file system ---- */

static fz_status url_look(http_fs *fs, const char *url, url_info *out, fz_error *err)
{
    fz_status st = url_head(fs, url, "HEAD", out, err);
    if (st != FZ_NOT_FOUND && (st != FZ_OK || out->size < 0)) {
        url_info head = *out;
        bool known = st == FZ_OK;
        st = url_head(fs, url, "GET", out, err);
        if (st == FZ_DATA && known) { /* an empty file: not even a first byte */
            *out = head;
            st = FZ_OK;
        }
    }
    if (st != FZ_OK)
        error_where(err, url);
    return st;
}

static fz_status http_open(const io_fs *base, const char *url, mem *m, io_file **out, fz_error *err)
{
    http_fs *fs = (http_fs *)base;
    url_info info;
    TRY(url_look(fs, url, &info, err));
    if (info.ranges && info.size >= 0)
        TRY(url_open(fs, url, (uint64_t)info.size, info.etag, m, out, err));
    else
        TRY(spooled_open(fs, url, info.size, info.etag, m, out, err));
    (*out)->version = info.version;
    return FZ_OK;
}

static fz_status http_open_sized(const io_fs *base, const char *url, uint64_t size, mem *m, io_file **out, fz_error *err)
{
    return url_open((http_fs *)base, url, size, "", m, out, err);
}

static fz_status http_stat(const io_fs *base, const char *url, io_stat_info *out, fz_error *err)
{
    url_info info;
    TRY(url_look((http_fs *)base, url, &info, err));
    if (info.size < 0) {
        error_set(err, FZ_UNSUPPORTED, "the server doesn't say how large the file is");
        error_where(err, url);
        return FZ_UNSUPPORTED;
    }
    *out = (io_stat_info){.size = (uint64_t)info.size, .mtime_us = info.modified_ms > 0 ? info.modified_ms * 1000 : 0};
    return FZ_OK;
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
