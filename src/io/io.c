/*
 * io.c: see io.h. Finds the file system of a location and hands the call on. File systems get
 * the location as the caller wrote it: messages then show what he knows.
 */
#include "io/io.h"

#include "io/local.h"

#include <pthread.h>

/* The scheme of "scheme://rest" or "file:/rest"; empty: a plain path. */
static str scheme_of(const char *location)
{
    size_t n = 0;
    while ((location[n] >= 'a' && location[n] <= 'z') || (location[n] >= 'A' && location[n] <= 'Z') ||
           (n > 0 && ((location[n] >= '0' && location[n] <= '9') || location[n] == '+' ||
                      location[n] == '-' || location[n] == '.')))
        n++;
    bool is_scheme = n > 0 && location[n] == ':' &&
                     (strncmp(location + n, "://", 3) == 0 ||
                      (str_eqz((str){location, n}, "file") && location[n + 1] == '/'));
    return (str){location, is_scheme ? n : 0};
}

const char *io_local_path(const char *location)
{
    str scheme = scheme_of(location);
    if (scheme.n == 0)
        return location;
    if (!str_ieq(scheme, STR("file")))
        return NULL;
    const char *rest = location + scheme.n + 1;
    if (rest[0] == '/' && rest[1] == '/') {
        if (rest[2] != '/') /* a host, which would be another machine's file */
            return NULL;
        rest += 2;
    }
    return rest;
}

static fz_status fs_find(const char *location, const io_fs **fs, fz_error *err)
{
    if (!location || !location[0])
        return error_set(err, FZ_INVALID, "an empty file name");
    if (io_local_path(location)) {
        *fs = &local_fs;
        return FZ_OK;
    }
    str scheme = scheme_of(location);
    if (str_ieq(scheme, STR("file")))
        error_set(err, FZ_UNSUPPORTED, "files of another host aren't supported; write file:///path");
    else
        error_set(err, FZ_UNSUPPORTED, "locations of scheme %.*s:// aren't supported", STR_ARG(scheme));
    error_where(err, location);
    return FZ_UNSUPPORTED;
}

/* ---- reading ---- */

fz_status io_open(const char *location, mem *m, io_file **out, fz_error *err)
{
    const io_fs *fs;
    *out = NULL;
    TRY(fs_find(location, &fs, err));
    return fs->open(fs, location, m, out, err);
}

void io_close(io_file *f)
{
    if (f)
        f->ops->close(f);
}

void io_submit(io_file *f, io_req *reqs, size_t n)
{
    f->ops->submit(f, reqs, n);
}

/* What a blocking read waits for; lives on its stack. */
struct read_wait {
    pthread_mutex_t lock;
    pthread_cond_t cond;
    bool done;
};

static void read_done(io_req *r)
{
    struct read_wait *w = r->ctx;
    pthread_mutex_lock(&w->lock);
    w->done = true;
    pthread_cond_signal(&w->cond); /* under the lock: the waiter may free w once it is released */
    pthread_mutex_unlock(&w->lock);
}

fz_status io_read(io_file *f, uint64_t offset, void *dst, size_t len, fz_error *err)
{
    if (len == 0)
        return FZ_OK;
    struct read_wait w = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false};
    io_req r = {.offset = offset, .len = len, .dst = dst, .done = read_done, .ctx = &w};
    io_submit(f, &r, 1);
    pthread_mutex_lock(&w.lock);
    while (!w.done)
        pthread_cond_wait(&w.cond, &w.lock);
    pthread_mutex_unlock(&w.lock);
    pthread_cond_destroy(&w.cond);
    pthread_mutex_destroy(&w.lock);
    if (r.status != FZ_OK && err)
        *err = r.error;
    return r.status;
}

fz_status io_read_all(const char *location, mem *m, size_t max_bytes, buf **out, fz_error *err)
{
    fz_status st = FZ_OK;
    io_file *f = NULL;
    buf *b = NULL;
    *out = NULL;
    TRY_GOTO(io_open(location, m, &f, err));
    if (f->size > max_bytes) {
        st = error_set(err, FZ_LIMIT, "the file has %llu bytes; at most %zu are read",
                       (unsigned long long)f->size, max_bytes);
        error_where(err, location);
        goto out;
    }
    b = buf_new(m, (size_t)f->size);
    if (!b) {
        st = error_nomem(err);
        goto out;
    }
    TRY_GOTO(io_read(f, 0, b->data, b->size, err));
    *out = b;
    b = NULL;
out:
    buf_unref(b);
    io_close(f);
    return st;
}

/* ---- writing ---- */

fz_status io_create(const char *location, mem *m, io_writer **out, fz_error *err)
{
    const io_fs *fs;
    *out = NULL;
    TRY(fs_find(location, &fs, err));
    return fs->create(fs, location, m, out, err);
}

fz_status io_write(io_writer *w, const void *p, size_t n, fz_error *err)
{
    return w->ops->write(w, p, n, err);
}

fz_status io_writer_finish(io_writer *w, fz_error *err)
{
    return w->ops->finish(w, err);
}

void io_writer_abort(io_writer *w)
{
    if (w)
        w->ops->abort(w);
}

fz_status io_write_all(const char *location, mem *m, const void *p, size_t n, fz_error *err)
{
    io_writer *w;
    TRY(io_create(location, m, &w, err));
    fz_status st = io_write(w, p, n, err);
    if (st != FZ_OK) {
        io_writer_abort(w);
        return st;
    }
    return io_writer_finish(w, err);
}

/* ---- names ---- */

fz_status io_stat(const char *location, io_stat_info *out, fz_error *err)
{
    const io_fs *fs;
    TRY(fs_find(location, &fs, err));
    return fs->stat(fs, location, out, err);
}

fz_status io_remove(const char *location, fz_error *err)
{
    const io_fs *fs;
    TRY(fs_find(location, &fs, err));
    return fs->remove(fs, location, err);
}

fz_status io_list(const char *location,
                  fz_status (*fn)(void *ctx, const char *path, const io_stat_info *info, fz_error *err),
                  void *ctx, fz_error *err)
{
    const io_fs *fs;
    TRY(fs_find(location, &fs, err));
    return fs->list(fs, location, fn, ctx, err);
}
