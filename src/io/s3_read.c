/*
 * s3_read.c: reading objects: range requests for ranges.c, and whole small objects in one request.
 *
 * Where the size came from a manifest nothing was asked before: the first answer's ETag is then the one that the others must
 * have, and its total size has to be the one that was said.
 */
#include "io/s3_int.h"

#include "base/hash.h"
#include "io/http_body.h"
#include "io/ranges.h"

#include <stdio.h>

typedef struct s3_source {
    s3_fs *fs;
    mem *m;
    char *location;
    str bucket, key;
    uint64_t size;
    pthread_mutex_t lock;
    char etag[128];          /* empty: not known yet */
    job stop;                /* only its flag: ends what is under way */
} s3_source;

typedef struct s3_get {
    s3_call call;
    s3_source *s;
    range_get *g;
} s3_get;

static fz_status get_check(s3_get *x, fz_error *err)
{
    s3_source *s = x->s;
    http_request *r = &x->call.r;
    if (r->code == 412)
        return error_set(err, FZ_DATA, "the file was changed while it was being read");
    if (r->code == 416)
        return error_set(err, FZ_DATA, "the file is shorter than the %llu bytes it should have", (unsigned long long)s->size);
    if (r->code < 200 || r->code >= 300)
        return s3_answer_error(&x->call, err);
    int64_t total = http_total(r);
    if (total >= 0 && (uint64_t)total != s->size)
        return error_set(err, FZ_DATA, "the file has %lld bytes; it should have %llu", (long long)total, (unsigned long long)s->size);
    str e = http_response_header(r, "etag");
    bool same = true;
    pthread_mutex_lock(&s->lock);
    if (s->etag[0])
        same = e.n == 0 || str_eqz(e, s->etag);
    else if (e.n && e.n < sizeof s->etag)
        snprintf(s->etag, sizeof s->etag, STR_FMT, STR_ARG(e));
    pthread_mutex_unlock(&s->lock);
    return same ? FZ_OK : error_set(err, FZ_DATA, "the file was changed while it was being read");
}

static void get_end(s3_get *x, fz_status st, const fz_error *e)
{
    range_get *g = x->g;
    fz_error err;
    if (st != FZ_OK)
        err = *e;
    s3_call_free(&x->call);
    mem_free(x->s->m, x, sizeof *x);
    range_got(g, st, &err);
}

static void get_done(http_request *r)
{
    s3_get *x = (s3_get *)r;
    fz_error err = r->error;
    get_end(x, r->status != FZ_OK ? r->status : get_check(x, &err), &err);
}

static void source_send(void *source, range_get *g)
{
    s3_source *s = source;
    fz_error err;
    s3_get *x = mem_zalloc(s->m, sizeof *x);
    if (!x) {
        range_got(g, error_nomem(&err), &err);
        return;
    }
    x->s = s;
    x->g = g;
    fz_status st = s3_call_init(&x->call, s->fs, "GET", s->location, s->bucket, s->key, &err);
    char range[64];
    int n = snprintf(range, sizeof range, "bytes=%llu-%llu", (unsigned long long)g->offset, (unsigned long long)(g->offset + g->len - 1));
    s3_call_header(&x->call, "range", (str){range, (size_t)n});
    pthread_mutex_lock(&s->lock);
    if (s->etag[0])
        s3_call_header(&x->call, "if-match", str_of(s->etag));
    pthread_mutex_unlock(&s->lock);
    http_request *r = &x->call.r;
    r->dst = g->dst;
    r->dst_n = g->len;
    r->j = &s->stop;
    r->done = get_done;
    if (st == FZ_OK)
        st = s3_call_url(&x->call, &err);
    if (st != FZ_OK)
        get_end(x, st, &err);
    else
        http_send(s->fs->http, r);
}

static void source_cancel(void *source)
{
    s3_source *s = source;
    atomic_store(&s->stop.cancelled, true);
    http_wake(s->fs->http);
}

static void source_free(void *source)
{
    s3_source *s = source;
    pthread_mutex_destroy(&s->lock);
    mem_free(s->m, s->location, strlen(s->location) + 1);
    s3_fs_unref(s->fs);
    mem_free(s->m, s, sizeof *s);
}

static const range_source s3_source_ops = {source_send, source_cancel, source_free};

fz_status s3_file_new(s3_fs *fs, const char *location, uint64_t size, const char *etag, mem *m, io_file **out, fz_error *err)
{
    size_t n = strlen(location) + 1;
    s3_source *s = mem_zalloc(m, sizeof *s);
    char *copy = s ? mem_alloc(m, n) : NULL;
    if (!copy) {
        mem_free(m, s, sizeof *s);
        return error_nomem(err);
    }
    memcpy(copy, location, n);
    fz_status st = s3_split(copy, &s->bucket, &s->key, err);
    if (st != FZ_OK) {
        mem_free(m, copy, n);
        mem_free(m, s, sizeof *s);
        return st;
    }
    s->fs = s3_fs_ref(fs);
    s->m = m;
    s->location = copy;
    s->size = size;
    pthread_mutex_init(&s->lock, NULL);
    snprintf(s->etag, sizeof s->etag, "%s", etag);
    if (s->etag[0] == 'W') /* If-Match compares strongly: a weak one never matches */
        s->etag[0] = 0;
    TRY(range_file_new(location, size, fs->o.read_ahead, &s3_source_ops, s, m, out, err));
    (*out)->version = etag[0] ? hash_bytes(etag, strlen(etag)) | 1 : 0;
    return FZ_OK;
}

/* ---- whole objects ---- */

typedef struct whole {
    s3_call call;
    http_sink sink;
} whole;

static fz_status whole_take(http_request *r, const void *p, size_t n, fz_error *err)
{
    return http_sink_take(&((whole *)r)->sink, r, p, n, err);
}

/* The store's CRC-32 of the object, where it sends one that is of all of it. */
static fz_status whole_check(whole *w, fz_error *err)
{
    str sum = http_response_header(&w->call.r, "x-amz-checksum-crc32"), type = http_response_header(&w->call.r, "x-amz-checksum-type");
    int64_t total = http_total(&w->call.r);
    size_t got = w->sink.b ? w->sink.b->size : 0;
    if (total >= 0 && (uint64_t)total != got)
        return error_set(err, FZ_DATA, "the server sent %zu of %lld bytes", got, (long long)total);
    if (sum.n != 8 || str_ieq(type, STR("COMPOSITE")))
        return FZ_OK;
    char mine[9];
    s3_crc_text(s3_crc(w->sink.b ? (const void *)w->sink.b->data : "", got), mine);
    return str_eqz(sum, mine) ? FZ_OK : error_set(err, FZ_DATA, "the file's bytes don't have the checksum that the server states");
}

fz_status s3_read_all(const io_fs *base, const char *location, mem *m, size_t max_bytes, buf **out, fz_error *err)
{
    str bucket, key;
    whole w = {.sink = {.m = m, .max = max_bytes}};
    static const int empty[] = {416, 0};
    *out = NULL;
    TRY(s3_split(location, &bucket, &key, err));
    fz_status st = s3_call_init(&w.call, (s3_fs *)base, "GET", location, bucket, key, err);
    /* A range, though of all of it: so that a broken answer is gone on with. An empty object has no such range. */
    s3_call_header(&w.call, "range", STR("bytes=0-"));
    s3_call_header(&w.call, "x-amz-checksum-mode", STR("ENABLED"));
    w.call.r.take = whole_take;
    if (st == FZ_OK)
        st = s3_call_run_or(&w.call, empty, err);
    if (st == FZ_OK && w.call.r.code != 416)
        st = whole_check(&w, err);
    else if (st == FZ_OK && http_total(&w.call.r) > 0)
        st = s3_answer_error(&w.call, err);
    if (st == FZ_OK && !w.sink.b) {
        w.sink.b = buf_new(m, 0);
        st = w.sink.b ? FZ_OK : error_nomem(err);
    }
    if (st != FZ_OK) {
        error_where(err, location);
        buf_unref(w.sink.b);
        w.sink.b = NULL;
    }
    *out = w.sink.b;
    s3_call_free(&w.call);
    return st;
}
