/*
 * io.c: see io.h. Finds the file system of a location and hands the call on. File systems get
 * the location as the caller wrote it: messages then show what he knows.
 */
#include "io/io.h"

#include "io/local.h"
#include "io/settle.h"

#include <pthread.h>
#include <strings.h>

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

struct file_io {
    _Atomic int refs;
    mem *m;
    file_io *parent;
    io_fs *deferring; /* instead of local_fs; NULL: the parent's */
    uint32_t n;
    struct file_io_route {
        char *prefix;
        size_t len;
        io_fs *fs;
    } *routes;
};

file_io *file_io_new(mem *m, file_io *parent)
{
    file_io *io = mem_zalloc(m, sizeof *io);
    if (!io)
        return NULL;
    atomic_init(&io->refs, 1);
    io->m = m;
    io->parent = file_io_ref(parent);
    return io;
}

file_io *file_io_deferring(mem *m, file_io *parent)
{
    file_io *io = file_io_new(m, parent);
    if (io && !(io->deferring = settle_fs_new(m))) {
        file_io_unref(io);
        return NULL;
    }
    return io;
}

fz_status io_settle(const file_io *io, fz_error *err)
{
    for (; io; io = io->parent)
        if (io->deferring)
            TRY(settle_fs_sync(io->deferring, err));
    return FZ_OK;
}

file_io *file_io_ref(file_io *io)
{
    if (io)
        atomic_fetch_add_explicit(&io->refs, 1, memory_order_relaxed);
    return io;
}

static void fs_close(io_fs *fs)
{
    if (fs->close)
        fs->close(fs);
}

void file_io_unref(file_io *io)
{
    while (io && atomic_fetch_sub_explicit(&io->refs, 1, memory_order_acq_rel) == 1) {
        file_io *parent = io->parent;
        for (uint32_t i = 0; i < io->n; i++) {
            fs_close(io->routes[i].fs);
            mem_free(io->m, io->routes[i].prefix, io->routes[i].len + 1);
        }
        mem_free(io->m, io->routes, io->n * sizeof *io->routes);
        if (io->deferring)
            fs_close(io->deferring);
        mem_free(io->m, io, sizeof *io);
        io = parent;
    }
}

fz_status file_io_add(file_io *io, const char *prefix, io_fs *fs, fz_error *err)
{
    size_t len = strlen(prefix);
    char *copy = mem_alloc(io->m, len + 1);
    struct file_io_route *routes = copy ? mem_resize(io->m, io->routes, io->n * sizeof *routes, (io->n + 1) * sizeof *routes) : NULL;
    if (!routes) {
        mem_free(io->m, copy, len + 1);
        fs_close(fs);
        return error_nomem(err);
    }
    memcpy(copy, prefix, len + 1);
    routes[io->n] = (struct file_io_route){copy, len, fs};
    io->routes = routes;
    io->n++;
    return FZ_OK;
}

/* Schemes are compared without regard to case, what follows them exactly. */
static bool has_prefix(const char *location, const struct file_io_route *r)
{
    size_t scheme = scheme_of(r->prefix).n;
    return strncasecmp(location, r->prefix, scheme) == 0 && strncmp(location + scheme, r->prefix + scheme, r->len - scheme) == 0;
}

fz_status file_io_find(const file_io *io, const char *location, const io_fs **out, fz_error *err)
{
    if (!location || !location[0])
        return error_set(err, FZ_INVALID, "an empty file name");
    const io_fs *local = NULL;
    for (; io; io = io->parent) {
        if (!local)
            local = io->deferring;
        const struct file_io_route *best = NULL;
        for (uint32_t i = 0; i < io->n; i++)
            if ((!best || io->routes[i].len > best->len) && has_prefix(location, &io->routes[i]))
                best = &io->routes[i];
        if (best) {
            *out = best->fs;
            return FZ_OK;
        }
    }
    if (io_local_path(location)) {
        *out = local ? local : &local_fs;
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

fz_status io_open(const file_io *io, const char *location, mem *m, io_file **out, fz_error *err)
{
    const io_fs *fs;
    *out = NULL;
    TRY(file_io_find(io, location, &fs, err));
    return fs->open(fs, location, m, out, err);
}

fz_status io_open_sized(const file_io *io, const char *location, int64_t size, mem *m, io_file **out, fz_error *err)
{
    const io_fs *fs;
    *out = NULL;
    TRY(file_io_find(io, location, &fs, err));
    if (size >= 0 && fs->open_sized)
        return fs->open_sized(fs, location, (uint64_t)size, m, out, err);
    return fs->open(fs, location, m, out, err);
}

bool io_is_remote(const file_io *io, const char *location)
{
    const io_fs *fs;
    return file_io_find(io, location, &fs, NULL) == FZ_OK && fs != &local_fs;
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

void io_will_read(io_file *f, const io_range *ranges, size_t n)
{
    if (f->ops->will_read)
        f->ops->will_read(f, ranges, n);
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

fz_status io_read_all(const file_io *io, const char *location, mem *m, size_t max_bytes, buf **out, fz_error *err)
{
    fz_status st = FZ_OK;
    io_file *f = NULL;
    buf *b = NULL;
    const io_fs *fs;
    *out = NULL;
    TRY(file_io_find(io, location, &fs, err));
    if (fs->read_all)
        return fs->read_all(fs, location, m, max_bytes, out, err);
    TRY_GOTO(fs->open(fs, location, m, &f, err));
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

fz_status io_create(const file_io *io, const char *location, mem *m, io_writer **out, fz_error *err)
{
    const io_fs *fs;
    *out = NULL;
    TRY(file_io_find(io, location, &fs, err));
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

fz_status io_write_all(const file_io *io, const char *location, mem *m, const void *p, size_t n, fz_error *err)
{
    io_writer *w;
    TRY(io_create(io, location, m, &w, err));
    fz_status st = io_write(w, p, n, err);
    if (st != FZ_OK) {
        io_writer_abort(w);
        return st;
    }
    return io_writer_finish(w, err);
}

/* ---- names ---- */

fz_status io_stat(const file_io *io, const char *location, io_stat_info *out, fz_error *err)
{
    const io_fs *fs;
    TRY(file_io_find(io, location, &fs, err));
    return fs->stat(fs, location, out, err);
}

fz_status io_remove(const file_io *io, const char *location, fz_error *err)
{
    const io_fs *fs;
    TRY(file_io_find(io, location, &fs, err));
    return fs->remove(fs, location, err);
}

fz_status io_remove_many(const file_io *io, uint32_t n, const char *const *locations, fz_error *err)
{
    fz_status first = FZ_OK;
    for (uint32_t i = 0, end; i < n; i = end) { /* runs of one file system */
        const io_fs *fs = NULL, *next;
        fz_status st = file_io_find(io, locations[i], &fs, first ? NULL : err);
        for (end = i + 1; st == FZ_OK && end < n && file_io_find(io, locations[end], &next, NULL) == FZ_OK && next == fs; end++)
            ;
        if (st == FZ_OK && fs->remove_many) {
            st = fs->remove_many(fs, end - i, locations + i, first ? NULL : err);
            first = first ? first : st;
            continue;
        }
        for (uint32_t k = i; k < end; k++) {
            if (fs)
                st = fs->remove(fs, locations[k], first ? NULL : err);
            if (st != FZ_OK && st != FZ_NOT_FOUND && first == FZ_OK)
                first = st;
        }
    }
    return first;
}

fz_status io_list(const file_io *io, const char *location,
                  fz_status (*fn)(void *ctx, const char *path, const io_stat_info *info, fz_error *err),
                  void *ctx, fz_error *err)
{
    const io_fs *fs;
    TRY(file_io_find(io, location, &fs, err));
    return fs->list(fs, location, fn, ctx, err);
}
