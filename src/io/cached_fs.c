/*
 * cached_fs.c: a file system that asks the cache before the one behind it.
 *
 * A read takes what it can from pieces and the rest from the server, each request becoming a new piece. A small one goes on to the next
 * multiple of READ_MIN, and so does what is fetched ahead, so that it covers the reads to come. The list of pieces is read when a file is opened and grows with what this file adds; a piece that has gone
 * meanwhile is asked for again. The last piece that was used in part stays in memory.
 */
#include "io/cache_int.h"

#include <dirent.h>
#include <pthread.h>
#include <stdio.h>

#define READ_MIN   ((uint64_t)64 << 10)
#define PIECE_MAX  ((uint64_t)16 << 20) /* what is read at once of a longer gap */

typedef struct cached_fs {
    io_fs base;
    io_fs *inner;
    file_cache *c;
    char *scope;
    mem *m;
} cached_fs;

typedef struct piece { uint64_t at, len; } piece;

typedef struct cached_file {
    io_file base;
    const cached_fs *fs;
    pthread_mutex_t lock;    /* guards what follows */
    io_file *inner;          /* NULL: not needed so far */
    uint32_t n, cap;
    piece *pieces;           /* by offset */
    buf *last;               /* the bytes of last_at, which was used in part */
    piece last_at;
    bool keep;               /* what is read is kept; false after the first failure to */
    char dir[CACHE_PATH];
} cached_file;

/* ---- pieces ---- */

static bool piece_add(cached_file *f, uint64_t at, uint64_t len)
{
    if (f->n == f->cap) {
        uint32_t cap = f->cap ? 2 * f->cap : 16;
        piece *more = mem_resize(f->base.m, f->pieces, f->cap * sizeof *more, cap * sizeof *more);
        if (!more)
            return false;
        f->pieces = more;
        f->cap = cap;
    }
    uint32_t i = f->n++;
    for (; i > 0 && f->pieces[i - 1].at > at; i--)
        f->pieces[i] = f->pieces[i - 1];
    f->pieces[i] = (piece){at, len};
    return true;
}

static void piece_drop(cached_file *f, piece p)
{
    for (uint32_t i = 0; i < f->n; i++)
        if (f->pieces[i].at == p.at && f->pieces[i].len == p.len) {
            memmove(f->pieces + i, f->pieces + i + 1, (--f->n - i) * sizeof *f->pieces);
            return;
        }
}

static void pieces_list(cached_file *f)
{
    DIR *d = opendir(f->dir);
    uint64_t at, len;
    if (!d)
        return;
    for (struct dirent *e; (e = readdir(d));)
        if (cache_piece_parse(e->d_name, &at, &len) && len <= PIECE_MAX && at <= f->base.size && len <= f->base.size - at && !piece_add(f, at, len))
            break;
    closedir(d);
}

/* The piece that has the byte at `at` and the most after it; false: *gap is how many bytes from there on no piece has. */
static bool piece_find(const cached_file *f, uint64_t at, piece *out, uint64_t *gap)
{
    bool found = false;
    *gap = f->base.size - at;
    for (uint32_t i = 0; i < f->n && f->pieces[i].at <= at; i++)
        if (f->pieces[i].len > at - f->pieces[i].at && (!found || f->pieces[i].at + f->pieces[i].len > out->at + out->len)) {
            *out = f->pieces[i];
            found = true;
        }
    for (uint32_t i = 0; i < f->n && !found; i++)
        if (f->pieces[i].at > at) {
            *gap = f->pieces[i].at - at;
            break;
        }
    return found;
}

/* ---- reading ---- */

static fz_status inner_open(cached_file *f, fz_error *err)
{
    if (f->inner)
        return FZ_OK;
    const io_fs *in = f->fs->inner;
    return in->open_sized ? in->open_sized(in, f->base.path, f->base.size, f->base.m, &f->inner, err) : in->open(in, f->base.path, f->base.m, &f->inner, err);
}

/* [at, at + len) of a piece, without the lock; false: the piece is no good. */
static bool from_piece(cached_file *f, piece p, uint64_t at, void *dst, size_t len)
{
    if (at == p.at && len == p.len)
        return cache_piece_get(f->dir, p.at, p.len, dst);
    pthread_mutex_lock(&f->lock);
    buf *b = f->last && f->last_at.at == p.at && f->last_at.len == p.len ? buf_ref(f->last) : NULL;
    pthread_mutex_unlock(&f->lock);
    if (!b) {
        b = buf_new(f->base.m, (size_t)p.len);
        if (!b || !cache_piece_get(f->dir, p.at, p.len, b->data)) {
            buf_unref(b);
            return false;
        }
        pthread_mutex_lock(&f->lock);
        buf_unref(f->last);
        f->last = buf_ref(b);
        f->last_at = p;
        pthread_mutex_unlock(&f->lock);
    }
    memcpy(dst, b->data + (at - p.at), len);
    buf_unref(b);
    return true;
}

static void keep_piece(cached_file *f, uint64_t at, const void *p, size_t len)
{
    if (!f->keep)
        return;
    bool ok = cache_piece_put(f->fs->c, f->dir, at, p, len);
    pthread_mutex_lock(&f->lock);
    f->keep = ok && piece_add(f, at, len);
    pthread_mutex_unlock(&f->lock);
}

/* How much of a gap at `at` is asked for where len bytes are wanted. */
static uint64_t rounded(uint64_t at, uint64_t len, uint64_t gap)
{
    uint64_t over = (at + len) % READ_MIN;
    return gap - len < READ_MIN - over ? gap : over ? len + READ_MIN - over : len;
}

/* What no piece has: asked of the server, a little more than is wanted where that is little. */
static fz_status from_server(cached_file *f, uint64_t at, void *dst, size_t len, uint64_t gap, fz_error *err)
{
    uint64_t want = len < READ_MIN ? rounded(at, len, gap) : len;
    if (want == len || !f->keep) {
        TRY(io_read(f->inner, at, dst, len, err));
        keep_piece(f, at, dst, len);
        return FZ_OK;
    }
    buf *b = buf_new(f->base.m, (size_t)want);
    if (!b)
        return error_nomem(err);
    fz_status st = io_read(f->inner, at, b->data, (size_t)want, err);
    if (st == FZ_OK) {
        memcpy(dst, b->data, len);
        keep_piece(f, at, b->data, (size_t)want);
    }
    buf_unref(b);
    return st;
}

static fz_status cached_read(cached_file *f, uint64_t at, void *dst, size_t len, fz_error *err)
{
    char *to = dst;
    if (at > f->base.size || len > f->base.size - at) {
        error_set(err, FZ_DATA, "the file ends at byte %llu; %zu bytes at %llu were expected", (unsigned long long)f->base.size, len, (unsigned long long)at);
        error_where(err, f->base.path);
        return FZ_DATA;
    }
    while (len) {
        piece p;
        uint64_t gap;
        fz_status st = FZ_OK;
        pthread_mutex_lock(&f->lock);
        bool have = piece_find(f, at, &p, &gap);
        if (!have)
            st = inner_open(f, err);
        pthread_mutex_unlock(&f->lock);
        TRY(st);
        size_t n = len;
        if (have) {
            n = n < p.at + p.len - at ? n : (size_t)(p.at + p.len - at);
            if (!from_piece(f, p, at, to, n)) {
                pthread_mutex_lock(&f->lock);
                piece_drop(f, p);
                pthread_mutex_unlock(&f->lock);
                continue;
            }
        } else {
            n = n < gap ? n : (size_t)gap;
            n = n < PIECE_MAX ? n : PIECE_MAX;
            TRY(from_server(f, at, to, n, gap, err));
        }
        to += n;
        at += n;
        len -= n;
    }
    return FZ_OK;
}

#define AHEAD_MAX 64

static bool any_piece_in(const cached_file *f, uint64_t at, uint64_t end)
{
    for (uint32_t i = 0; i < f->n && f->pieces[i].at < end; i++)
        if (f->pieces[i].at + f->pieces[i].len > at)
            return true;
    return false;
}

/* Ranges that no piece lies in are fetched ahead, together: the file behind joins neighbours and takes one call for one stretch of work. Of a range that
 * was read before in part the rest wasn't needed then, and most likely isn't now: pages without a matching row. */
static void cached_will_read(io_file *base, const io_range *ranges, size_t n)
{
    cached_file *f = (cached_file *)base;
    io_range missing[AHEAD_MAX];
    size_t k = 0;
    pthread_mutex_lock(&f->lock);
    for (size_t i = 0; i < n; i++) {
        uint64_t at = ranges[i].offset, end = ranges[i].len > UINT64_MAX - at ? UINT64_MAX : at + ranges[i].len;
        end = end < f->base.size ? end : f->base.size;
        piece p;
        uint64_t gap;
        if (at >= end || any_piece_in(f, at, end) || piece_find(f, at, &p, &gap))
            continue;
        if (k == AHEAD_MAX) {
            if (inner_open(f, NULL) != FZ_OK)
                break;
            io_will_read(f->inner, missing, k);
            k = 0;
        }
        missing[k++] = (io_range){at, rounded(at, end - at, gap)};
    }
    if (k && inner_open(f, NULL) == FZ_OK)
        io_will_read(f->inner, missing, k);
    pthread_mutex_unlock(&f->lock);
}

static void cached_submit(io_file *base, io_req *reqs, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        io_req *r = &reqs[i];
        r->status = cached_read((cached_file *)base, r->offset, r->dst, r->len, &r->error);
        r->done(r);
    }
}

static void text_free(mem *m, char *s)
{
    if (s)
        mem_free(m, s, strlen(s) + 1);
}

static void cached_file_close(io_file *base)
{
    cached_file *f = (cached_file *)base;
    io_close(f->inner);
    buf_unref(f->last);
    mem_free(f->base.m, f->pieces, f->cap * sizeof *f->pieces);
    pthread_mutex_destroy(&f->lock);
    text_free(f->base.m, f->base.path);
    mem_free(f->base.m, f, sizeof *f);
}

static const struct io_file_ops cached_file_ops = {.submit = cached_submit, .close = cached_file_close, .will_read = cached_will_read};

static char *text_dup(mem *m, const char *s)
{
    size_t n = strlen(s) + 1;
    char *p = mem_alloc(m, n);
    if (p)
        memcpy(p, s, n);
    return p;
}

/* Takes inner over, which may be NULL. Without memory or cache *out is inner, or FZ_NOMEM where there is none. */
static fz_status file_make(const cached_fs *fs, const char *path, uint64_t size, const char *version, io_file *inner, mem *m, io_file **out, fz_error *err)
{
    char dir[CACHE_PATH];
    int64_t known = (int64_t)size;
    *out = inner;
    if (!version || size > INT64_MAX || !cache_entry_path(fs->c, fs->scope, path, version, dir) ||
        (!cache_info_check(dir, fs->scope, path, version, &known) && !cache_entry_make(fs->c, dir, fs->scope, path, version, (int64_t)size)))
        return inner ? FZ_OK : fs->inner->open_sized ? fs->inner->open_sized(fs->inner, path, size, m, out, err) : fs->inner->open(fs->inner, path, m, out, err);
    cached_file *f = mem_zalloc(m, sizeof *f);
    char *copy = f ? text_dup(m, path) : NULL;
    if (!copy) {
        mem_free(m, f, sizeof *f);
        io_close(inner);
        return error_nomem(err);
    }
    f->base = (io_file){.ops = &cached_file_ops, .path = copy, .size = size, .version = inner ? inner->version : 0, .m = m};
    f->fs = fs;
    f->inner = inner;
    f->keep = true;
    memcpy(f->dir, dir, sizeof dir);
    pthread_mutex_init(&f->lock, NULL);
    pieces_list(f);
    *out = &f->base;
    return FZ_OK;
}

/* ---- the file system ---- */

static const cached_fs *of(const io_fs *fs) { return (const cached_fs *)fs; }

#define IMMUTABLE "immutable"

static fz_status cached_open(const io_fs *base, const char *path, mem *m, io_file **out, fz_error *err)
{
    const cached_fs *fs = of(base);
    io_file *inner;
    TRY(fs->inner->open(fs->inner, path, m, &inner, err));
    char version[24];
    snprintf(version, sizeof version, "%016llx", (unsigned long long)inner->version);
    return file_make(fs, path, inner->size, inner->version ? version : NULL, inner, m, out, err);
}

static fz_status cached_open_sized(const io_fs *base, const char *path, uint64_t size, mem *m, io_file **out, fz_error *err)
{
    return file_make(of(base), path, size, IMMUTABLE, NULL, m, out, err);
}

/* Whether the last part of a location has a UUID (8-4-4-4-12 hex digits) in it and the ending of a metadata file or manifest. */
static bool never_changes(const char *path)
{
    str s = str_of(path);
    const char *name = strrchr(path, '/');
    name = name ? name + 1 : path;
    if (!str_ends(s, STR(".avro")) && !str_ends(s, STR(".metadata.json")) && !str_ends(s, STR(".stats")))
        return false;
    for (; strlen(name) >= 36; name++) {
        int i = 0;
        while (i < 36 && (i == 8 || i == 13 || i == 18 || i == 23 ? name[i] == '-' : strchr("0123456789abcdefABCDEF", name[i]) != NULL))
            i++;
        if (i == 36)
            return true;
    }
    return false;
}

static fz_status cached_read_all(const io_fs *base, const char *path, mem *m, size_t max_bytes, buf **out, fz_error *err)
{
    const cached_fs *fs = of(base);
    const io_fs *in = fs->inner;
    char dir[CACHE_PATH];
    int64_t size = -1;
    bool keep = never_changes(path) && cache_entry_path(fs->c, fs->scope, path, IMMUTABLE, dir);
    if (keep && cache_info_check(dir, fs->scope, path, IMMUTABLE, &size) && (uint64_t)size <= max_bytes && (uint64_t)size <= PIECE_MAX) {
        buf *b = buf_new(m, (size_t)size);
        if (b && (size == 0 || cache_piece_get(dir, 0, (uint64_t)size, b->data))) {
            *out = b;
            return FZ_OK;
        }
        buf_unref(b);
    }
    if (in->read_all) {
        TRY(in->read_all(in, path, m, max_bytes, out, err));
    } else {
        io_file *f;
        TRY(in->open(in, path, m, &f, err));
        fz_status st = f->size > max_bytes ? error_set(err, FZ_LIMIT, "the file has %llu bytes; at most %zu are read", (unsigned long long)f->size, max_bytes) : FZ_OK;
        buf *b = st == FZ_OK ? buf_new(m, (size_t)f->size) : NULL;
        if (st == FZ_OK)
            st = b ? io_read(f, 0, b->data, b->size, err) : error_nomem(err);
        io_close(f);
        if (st != FZ_OK) {
            buf_unref(b);
            return st;
        }
        *out = b;
    }
    if (keep && (*out)->size && (*out)->size <= PIECE_MAX && cache_entry_make(fs->c, dir, fs->scope, path, IMMUTABLE, (int64_t)(*out)->size))
        cache_piece_put(fs->c, dir, 0, (*out)->data, (*out)->size);
    return FZ_OK;
}

static fz_status cached_create(const io_fs *fs, const char *path, mem *m, io_writer **out, fz_error *err) { return of(fs)->inner->create(of(fs)->inner, path, m, out, err); }
static fz_status cached_stat(const io_fs *fs, const char *path, io_stat_info *out, fz_error *err) { return of(fs)->inner->stat(of(fs)->inner, path, out, err); }
static fz_status cached_remove(const io_fs *fs, const char *path, fz_error *err) { return of(fs)->inner->remove(of(fs)->inner, path, err); }
static fz_status cached_remove_many(const io_fs *fs, uint32_t n, const char *const *paths, fz_error *err) { return of(fs)->inner->remove_many(of(fs)->inner, n, paths, err); }

static fz_status cached_list(const io_fs *fs, const char *path, fz_status (*fn)(void *ctx, const char *path, const io_stat_info *info, fz_error *err), void *ctx,
                             fz_error *err)
{
    return of(fs)->inner->list(of(fs)->inner, path, fn, ctx, err);
}

static void inner_close(io_fs *inner)
{
    if (inner->close)
        inner->close(inner);
}

static void cached_close(io_fs *base)
{
    cached_fs *fs = (cached_fs *)base;
    inner_close(fs->inner);
    file_cache_unref(fs->c);
    text_free(fs->m, fs->scope);
    mem_free(fs->m, fs, sizeof *fs);
}

fz_status cached_fs_new(file_cache *c, io_fs *inner, const char *scope, mem *m, io_fs **out, fz_error *err)
{
    cached_fs *fs = mem_zalloc(m, sizeof *fs);
    char *copy = fs && scope ? text_dup(m, scope) : NULL;
    if (!fs || (scope && !copy)) {
        mem_free(m, fs, sizeof *fs);
        inner_close(inner);
        return error_nomem(err);
    }
    fs->base = (io_fs){.scheme = inner->scheme, .open = cached_open, .create = cached_create, .stat = cached_stat, .remove = cached_remove,
                       .list = cached_list, .open_sized = cached_open_sized, .close = cached_close, .read_all = cached_read_all,
                       .remove_many = inner->remove_many ? cached_remove_many : NULL};
    fs->inner = inner;
    fs->c = file_cache_ref(c);
    fs->scope = copy;
    fs->m = m;
    *out = &fs->base;
    return FZ_OK;
}
