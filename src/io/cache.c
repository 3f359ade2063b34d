/*
 * cache.c: see cache.h. The folder and its entries; the file system in front of another is cached_fs.c.
 */
#include "io/cache_int.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#define DEFAULT_BYTES ((uint64_t)4 << 30)
#define INFO_MAX 16384

static char *text_dup(mem *m, const char *s)
{
    size_t n = strlen(s) + 1;
    char *p = mem_alloc(m, n);
    if (p)
        memcpy(p, s, n);
    return p;
}

file_cache *file_cache_new(const char *dir, uint64_t max_bytes, mem *m)
{
    file_cache *c = mem_zalloc(m, sizeof *c);
    char path[CACHE_PATH];
    const char *xdg = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    int n = -1;
    if (!c)
        return NULL;
    atomic_init(&c->refs, 1);
    c->m = m;
    c->max_bytes = max_bytes ? max_bytes : DEFAULT_BYTES;
    if (dir)
        n = snprintf(path, sizeof path, "%s", dir);
    else if (xdg && *xdg == '/')
        n = snprintf(path, sizeof path, "%s/frazil", xdg);
    else if (home && *home == '/')
        n = snprintf(path, sizeof path, "%s/.cache/frazil", home);
    if (n > 0 && n < CACHE_DIR_MAX && !(c->dir = text_dup(m, path))) {
        mem_free(m, c, sizeof *c);
        return NULL;
    }
    return c;
}

file_cache *file_cache_ref(file_cache *c)
{
    atomic_fetch_add_explicit(&c->refs, 1, memory_order_relaxed);
    return c;
}

void file_cache_unref(file_cache *c)
{
    if (!c || atomic_fetch_sub_explicit(&c->refs, 1, memory_order_acq_rel) != 1)
        return;
    if (c->dir)
        mem_free(c->m, c->dir, strlen(c->dir) + 1);
    mem_free(c->m, c, sizeof *c);
}

const char *file_cache_dir(const file_cache *c) { return c->dir; }

/* ---- entries ---- */

bool cache_entry_path(const file_cache *c, const char *scope, const char *location, const char *version, char out[CACHE_PATH])
{
    if (!c->dir)
        return false;
    XXH3_state_t *s = XXH3_createState();
    if (!s)
        return false;
    const char *parts[] = {scope ? scope : "", location, version};
    XXH3_128bits_reset(s);
    for (int i = 0; i < 3; i++)
        XXH3_128bits_update(s, parts[i], strlen(parts[i]) + 1);
    XXH128_hash_t h = XXH3_128bits_digest(s);
    XXH3_freeState(s);
    return snprintf(out, CACHE_PATH, "%s/files/%016llx%016llx", c->dir, (unsigned long long)h.high64, (unsigned long long)h.low64) < CACHE_DIR_MAX + 64;
}

/* A small file's text, ended by NUL; false: it can't be read. */
static bool text_read(const char *path, char *out, size_t cap, size_t *n)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t k = read(fd, out, cap - 1);
    close(fd);
    if (k < 0)
        return false;
    out[*n = (size_t)k] = 0;
    return true;
}

/* size, version, location and scope, a line each: what the entry must be of. *size -1: whatever it says. */
bool cache_info_check(const char *dir, const char *scope, const char *location, const char *version, int64_t *size)
{
    char path[CACHE_PATH], have[INFO_MAX], want[INFO_MAX];
    size_t n;
    snprintf(path, sizeof path, "%s/info", dir);
    if (!text_read(path, have, sizeof have, &n))
        return false;
    char *line = memchr(have, '\n', n);
    int64_t said;
    if (!line || !str_to_i64((str){have, (size_t)(line - have)}, &said) || said < 0 || (*size >= 0 && *size != said))
        return false;
    int k = snprintf(want, sizeof want, "%s\n%s\n%s\n", version, location, scope ? scope : "");
    size_t rest = n - (size_t)(line + 1 - have);
    if (k < 0 || (size_t)k >= sizeof want || rest != (size_t)k || memcmp(line + 1, want, rest) != 0)
        return false;
    *size = said;
    utimensat(AT_FDCWD, path, NULL, 0); /* used now */
    return true;
}

static bool dirs_make(const char *dir)
{
    char path[CACHE_PATH];
    size_t n = strlen(dir);
    if (mkdir(dir, 0700) == 0 || errno == EEXIST)
        return true;
    memcpy(path, dir, n + 1);
    for (size_t i = 1; i < n; i++)
        if (path[i] == '/') {
            path[i] = 0;
            if (mkdir(path, 0700) != 0 && errno != EEXIST)
                return false;
            path[i] = '/';
        }
    return mkdir(dir, 0700) == 0 || errno == EEXIST;
}

static bool all_written(int fd, const void *p, size_t n)
{
    const char *at = p;
    while (n) {
        ssize_t k = write(fd, at, n < (size_t)1 << 30 ? n : (size_t)1 << 30);
        if (k < 0 && errno == EINTR)
            continue;
        if (k <= 0)
            return false;
        at += k;
        n -= (size_t)k;
    }
    return true;
}

/* A file that appears complete or not at all: data, then the checksum where it is wanted. */
static bool file_put(file_cache *c, const char *dir, const char *name, const void *p, size_t n, bool sum)
{
    char path[CACHE_PATH + 64], tmp[CACHE_PATH + 64];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    snprintf(tmp, sizeof tmp, "%s/.%ld-%u", dir, (long)getpid(), atomic_fetch_add(&c->names, 1));
    int fd = open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return false;
    uint64_t h = sum ? XXH3_64bits(p, n) : 0;
    bool ok = all_written(fd, p, n) && (!sum || all_written(fd, &h, sizeof h));
    ok = close(fd) == 0 && ok;
    ok = ok && rename(tmp, path) == 0;
    if (!ok)
        unlink(tmp);
    return ok;
}

bool cache_entry_make(file_cache *c, const char *dir, const char *scope, const char *location, const char *version, int64_t size)
{
    char info[INFO_MAX];
    int n = snprintf(info, sizeof info, "%lld\n%s\n%s\n%s\n", (long long)size, version, location, scope ? scope : "");
    return n > 0 && (size_t)n < sizeof info && !strchr(location, '\n') && !strchr(version, '\n') && dirs_make(dir) &&
           file_put(c, dir, "info", info, (size_t)n, false);
}

static void piece_name(uint64_t at, uint64_t len, char out[48])
{
    snprintf(out, 48, "%llx-%llx", (unsigned long long)at, (unsigned long long)len);
}

bool cache_piece_put(file_cache *c, const char *dir, uint64_t at, const void *p, size_t len)
{
    char name[48];
    piece_name(at, len, name);
    if (!file_put(c, dir, name, p, len, true))
        return false;
    uint64_t step = c->max_bytes / 16 + 1, was = atomic_fetch_add(&c->written, len);
    if (was == 0 || was / step != (was + len) / step)
        cache_trim(c);
    return true;
}

bool cache_piece_get(const char *dir, uint64_t at, uint64_t len, void *dst)
{
    char name[48], path[CACHE_PATH + 64];
    uint64_t sum;
    struct stat sb;
    piece_name(at, len, name);
    snprintf(path, sizeof path, "%s/%s", dir, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    bool ok = fstat(fd, &sb) == 0 && S_ISREG(sb.st_mode) && (uint64_t)sb.st_size == len + sizeof sum;
    for (uint64_t got = 0; ok && got < len;) {
        ssize_t k = pread(fd, (char *)dst + got, len - got < 1 << 30 ? len - got : 1 << 30, (off_t)got);
        if (k < 0 && errno == EINTR)
            continue;
        ok = k > 0;
        got += ok ? (uint64_t)k : 0;
    }
    ok = ok && pread(fd, &sum, sizeof sum, (off_t)len) == sizeof sum && XXH3_64bits(dst, len) == sum;
    close(fd);
    if (!ok)
        unlink(path); /* whoever asks the server now writes it anew */
    return ok;
}

bool cache_piece_parse(const char *name, uint64_t *at, uint64_t *len)
{
    char *end;
    errno = 0;
    *at = strtoull(name, &end, 16);
    if (end == name || *end != '-')
        return false;
    const char *second = end + 1;
    *len = strtoull(second, &end, 16);
    return end != second && *end == 0 && errno == 0 && *len > 0 && *at <= UINT64_MAX - *len;
}

/* ---- all entries ---- */

static fz_status dir_remove(const char *dir, uint64_t *bytes)
{
    char path[CACHE_PATH + 300];
    struct stat sb;
    DIR *d = opendir(dir);
    if (!d)
        return FZ_OK;
    for (struct dirent *e; (e = readdir(d));) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        snprintf(path, sizeof path, "%s/%s", dir, e->d_name);
        if (lstat(path, &sb) == 0 && unlink(path) == 0)
            *bytes += (uint64_t)sb.st_size;
    }
    closedir(d);
    return rmdir(dir) == 0 || errno == ENOENT || errno == ENOTEMPTY ? FZ_OK : FZ_IO;
}

/* What an entry's folder holds; false: it isn't one. */
static bool entry_look(const char *dir, uint64_t *bytes, int64_t *used_us)
{
    char path[CACHE_PATH + 300];
    struct stat sb;
    DIR *d = opendir(dir);
    if (!d)
        return false;
    *bytes = 0;
    *used_us = 0;
    for (struct dirent *e; (e = readdir(d));) {
        snprintf(path, sizeof path, "%s/%s", dir, e->d_name);
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 || lstat(path, &sb) != 0)
            continue;
        *bytes += (uint64_t)sb.st_size;
        int64_t us = (int64_t)sb.st_mtim.tv_sec * 1000000 + sb.st_mtim.tv_nsec / 1000;
        *used_us = us > *used_us ? us : *used_us;
    }
    closedir(d);
    return true;
}

typedef struct entry { char name[33]; uint64_t bytes; int64_t used_us; } entry;

static int older_first(const void *a, const void *b)
{
    const entry *x = a, *y = b;
    return x->used_us < y->used_us ? -1 : x->used_us > y->used_us;
}

/* Calls fn with each entry's folder. */
static fz_status entries_each(const file_cache *c, fz_status (*fn)(void *ctx, const char *dir, const char *name, fz_error *err), void *ctx, fz_error *err)
{
    char files[CACHE_PATH], dir[CACHE_PATH];
    if (!c->dir)
        return FZ_OK;
    snprintf(files, sizeof files, "%s/files", c->dir);
    DIR *d = opendir(files);
    if (!d)
        return errno == ENOENT ? FZ_OK : error_errno(err, errno, files, "the cache's folder can't be opened");
    fz_status st = FZ_OK;
    for (struct dirent *e; st == FZ_OK && (e = readdir(d));)
        if (strlen(e->d_name) == 32 && strspn(e->d_name, "0123456789abcdef") == 32) {
            snprintf(dir, sizeof dir, "%s/files/%s", c->dir, e->d_name);
            st = fn(ctx, dir, e->d_name, err);
        }
    closedir(d);
    return st;
}

typedef struct trim { arena a; entry *e; uint32_t n, cap; uint64_t total; } trim;

static fz_status trim_add(void *ctx, const char *dir, const char *name, fz_error *err)
{
    trim *t = ctx;
    if (t->n == t->cap) {
        uint32_t cap = t->cap ? 2 * t->cap : 64;
        entry *more = ARENA_ARRAY(&t->a, entry, cap);
        if (!more)
            return FZ_NOMEM;
        if (t->n)
            memcpy(more, t->e, t->n * sizeof *more);
        t->e = more;
        t->cap = cap;
    }
    entry *e = &t->e[t->n];
    snprintf(e->name, sizeof e->name, "%s", name);
    if (entry_look(dir, &e->bytes, &e->used_us)) {
        t->total += e->bytes;
        t->n++;
    }
    return FZ_OK;
}

/* One process at a time; who finds another at it leaves it to that one. */
void cache_trim(file_cache *c)
{
    char path[CACHE_PATH];
    snprintf(path, sizeof path, "%s/lock", c->dir);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return;
    if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
        trim t = {0};
        arena_init(&t.a, c->m);
        if (entries_each(c, trim_add, &t, NULL) == FZ_OK && t.total > c->max_bytes) {
            qsort(t.e, t.n, sizeof *t.e, older_first);
            for (uint32_t i = 0; i < t.n && t.total > c->max_bytes - c->max_bytes / 10; i++) {
                uint64_t gone = 0;
                snprintf(path, sizeof path, "%s/files/%s", c->dir, t.e[i].name);
                dir_remove(path, &gone);
                t.total -= gone < t.total ? gone : t.total;
            }
        }
        arena_free(&t.a);
    }
    close(fd);
}

typedef struct listing {
    fz_status (*fn)(void *ctx, const cache_entry_info *e, fz_error *err);
    void *ctx;
} listing;

static fz_status list_one(void *ctx, const char *dir, const char *name, fz_error *err)
{
    listing *l = ctx;
    char path[CACHE_PATH], text[INFO_MAX];
    size_t n;
    cache_entry_info e = {0};
    int64_t size;
    snprintf(path, sizeof path, "%s/info", dir);
    if (!text_read(path, text, sizeof text, &n) || !entry_look(dir, &e.bytes, &e.used_us))
        return FZ_OK; /* just removed */
    char *lines[3] = {text};
    for (int i = 1; i < 3; i++) {
        char *end = strchr(lines[i - 1], '\n');
        if (!end)
            return FZ_OK;
        *end = 0;
        lines[i] = end + 1;
    }
    lines[2][strcspn(lines[2], "\n")] = 0;
    if (!str_to_i64(str_of(lines[0]), &size))
        return FZ_OK;
    e.size = (uint64_t)size;
    e.location = lines[2];
    return l->fn(l->ctx, &e, err);
}

fz_status file_cache_list(file_cache *c, fz_status (*fn)(void *ctx, const cache_entry_info *e, fz_error *err), void *ctx, fz_error *err)
{
    return entries_each(c, list_one, &(listing){fn, ctx}, err);
}

static fz_status clear_one(void *ctx, const char *dir, const char *name, fz_error *err)
{
    return dir_remove(dir, ctx) == FZ_OK ? FZ_OK : error_errno(err, errno, dir, "the cache's folder can't be removed");
}

fz_status file_cache_clear(file_cache *c, uint64_t *bytes, fz_error *err)
{
    uint64_t gone = 0;
    fz_status st = entries_each(c, clear_one, &gone, err);
    if (bytes)
        *bytes = gone;
    return st;
}
