/*
 * local.c: files of this machine.
 *
 * Reading is pread into the caller's memory; a request is complete when submit returns.
 *
 * Writing collects into a buffer (larger pieces go past it), and hands every WRITEBACK_BYTES to
 * the device with sync_file_range, so that the fsync at the end finds little left to do. A file
 * counts once these are done, in this order:
 *
 *     parent directories made, each synced into its own parent   (create)
 *     the bytes written, the file synced                         (finish)
 *     the directory that holds the name synced                   (finish)
 *
 * Through a file_io that defers, the syncs are settle.c's: together, later, in any order.
 *
 * Fault points stand before each step: io.create io.write io.sync io.dirsync, and io.finished
 * behind the last.
 */
#include "io/local.h"

#include "base/fault.h"
#include "io/settle.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define WRITE_BUFFER    ((size_t)256 << 10)
#define WRITEBACK_BYTES ((uint64_t)4 << 20)
#define PATH_BYTES_MAX  4096   /* Linux's PATH_MAX */
#define IO_CHUNK_MAX    ((size_t)1 << 30) /* one system call moves at most 2 GB */

static fz_status sys_error(fz_error *err, int errnum, const char *path, const char *what)
{
    fz_status st = error_errno(err, errnum, path, what);
    if ((errnum == ENOSPC || errnum == EDQUOT) && err)
        memcpy(err->sqlstate, "53100", 6);
    return st;
}

static char *path_dup(mem *m, const char *path)
{
    size_t n = strlen(path) + 1;
    char *p = mem_alloc(m, n);
    if (p)
        memcpy(p, path, n);
    return p;
}

static fz_status kind_refuse(fz_error *err, mode_t mode, const char *path)
{
    const char *kind = S_ISDIR(mode)    ? "is a directory, not a file"
                       : S_ISFIFO(mode) ? "is a pipe; only a regular file can be read here"
                       : S_ISCHR(mode) || S_ISBLK(mode)
                           ? "is a device; only a regular file can be read here"
                           : "is a socket; only a regular file can be read here";
    error_set(err, FZ_INVALID, "%s %s", path, kind);
    error_where(err, path);
    return FZ_INVALID;
}

/* ---- reading ---- */

typedef struct local_file {
    io_file base;
    int fd;
} local_file;

static fz_status req_run(const local_file *f, io_req *r)
{
    char *dst = r->dst;
    uint64_t at = r->offset;
    size_t left = r->len;
    if (at > INT64_MAX || left > INT64_MAX - at)
        return error_set(&r->error, FZ_DATA, "a read of %zu bytes passes the end of the file", left);
    while (left) {
        ssize_t n = pread(f->fd, dst, left < IO_CHUNK_MAX ? left : IO_CHUNK_MAX, (off_t)at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return sys_error(&r->error, errno, f->base.path, "reading");
        if (n == 0)
            return error_set(&r->error, FZ_DATA, "the file ends at byte %llu; %zu more were expected",
                             (unsigned long long)at, left);
        dst += n;
        at += (uint64_t)n;
        left -= (size_t)n;
    }
    return FZ_OK;
}

static void local_submit(io_file *base, io_req *reqs, size_t n)
{
    local_file *f = (local_file *)base;
    for (size_t i = 0; i < n; i++) {
        io_req *r = &reqs[i];
        r->status = req_run(f, r);
        if (r->status != FZ_OK) {
            error_where(&r->error, f->base.path);
            error_offset(&r->error, (int64_t)r->offset);
        }
        r->done(r);
    }
}

static void local_close(io_file *base)
{
    local_file *f = (local_file *)base;
    close(f->fd);
    mem_free(f->base.m, f->base.path, strlen(f->base.path) + 1);
    mem_free(f->base.m, f, sizeof *f);
}

static const struct io_file_ops local_file_ops = {.submit = local_submit, .close = local_close};

/* Looks before it opens: opening a pipe would disturb who writes to it. */
static fz_status regular_open(const char *location, int *fd, struct stat *sb, fz_error *err)
{
    const char *path = io_local_path(location);
    if (stat(path, sb) != 0)
        return sys_error(err, errno, location, "opening");
    if (!S_ISREG(sb->st_mode))
        return kind_refuse(err, sb->st_mode, location);
    do
        *fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    while (*fd < 0 && errno == EINTR);
    if (*fd < 0)
        return sys_error(err, errno, location, "opening");
    fz_status st = FZ_OK;
    if (fstat(*fd, sb) != 0)
        st = sys_error(err, errno, location, "opening");
    else if (!S_ISREG(sb->st_mode))
        st = kind_refuse(err, sb->st_mode, location);
    if (st != FZ_OK)
        close(*fd);
    return st;
}

static fz_status local_open(const io_fs *fs, const char *location, mem *m, io_file **out, fz_error *err)
{
    int fd = -1;
    struct stat sb;
    TRY(regular_open(location, &fd, &sb, err));
    local_file *f = mem_zalloc(m, sizeof *f);
    char *path = f ? path_dup(m, location) : NULL;
    if (!path) {
        mem_free(m, f, sizeof *f);
        close(fd);
        return error_nomem(err);
    }
    f->base = (io_file){.ops = &local_file_ops, .path = path, .size = (uint64_t)sb.st_size, .m = m};
    f->fd = fd;
    *out = &f->base;
    return FZ_OK;
}

/* ---- directories ---- */

/* The directory part of a path: "/a/b" -> "/a", "b" -> ".", "/b" -> "/". `out` has room for
 * the whole path and at least two bytes. */
static void parent_of(const char *path, char *out)
{
    size_t n = strlen(path);
    while (n > 1 && path[n - 1] == '/')
        n--;
    while (n > 0 && path[n - 1] != '/')
        n--;
    while (n > 1 && path[n - 1] == '/')
        n--;
    if (n == 0)
        out[n++] = '.';
    else
        memcpy(out, path, n);
    out[n] = 0;
}

fz_status local_dir_sync(const char *dir, fz_error *err)
{
    int fd;
    TRY(fault_point("io.dirsync", err));
    do
        fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    while (fd < 0 && errno == EINTR);
    if (fd < 0)
        return sys_error(err, errno, dir, "opening the directory to sync it");
    int r;
    do
        r = fsync(fd);
    while (r != 0 && errno == EINTR);
    /* Some file systems can't sync directories, and say so with EINVAL: names are durable there
     * by other means, or not at all. */
    fz_status st = r == 0 || errno == EINVAL ? FZ_OK : sys_error(err, errno, dir, "syncing the directory");
    close(fd);
    return st;
}

static fz_status dir_sync(settle *later, const char *dir, fz_error *err)
{
    return later ? settle_dir(later, dir, err) : local_dir_sync(dir, err);
}

/* Makes the directory of `path` and what is missing above it, each durable in its parent. From
 * the first that is missing on (and always for the last, which was missing a moment ago), one
 * that turns out to exist was just made by somebody else, whose sync may come later than ours. */
static fz_status parents_make(settle *later, const char *path, fz_error *err)
{
    char dir[PATH_BYTES_MAX], up[PATH_BYTES_MAX];
    struct stat sb;
    bool missing = false;
    parent_of(path, dir);
    size_t n = strlen(dir), at = strspn(dir, "/");
    while (at < n) {
        at += strcspn(dir + at, "/");
        dir[at] = 0;
        missing = missing || at == n || stat(dir, &sb) != 0;
        if (missing) {
            if (mkdir(dir, 0777) != 0 && errno != EEXIST)
                return sys_error(err, errno, dir, "making the directory");
            parent_of(dir, up);
            TRY(dir_sync(later, up, err));
        }
        if (at < n)
            dir[at] = '/';
        at += strspn(dir + at, "/");
    }
    return FZ_OK;
}

/* ---- writing ---- */

typedef struct local_writer {
    io_writer base;
    settle *later;      /* makes the file durable; NULL: the writer does */
    int fd;
    char *buffer;       /* WRITE_BUFFER bytes, made when first needed */
    size_t fill;
    uint64_t written;   /* handed to the kernel */
    uint64_t writeback; /* of which the device was told to start on */
    bool failed;        /* a write failed: the file can't be finished */
} local_writer;

static void writer_free(local_writer *w)
{
    mem *m = w->base.m;
    mem_free(m, w->buffer, WRITE_BUFFER);
    mem_free(m, w->base.path, strlen(w->base.path) + 1);
    mem_free(m, w, sizeof *w);
}

static fz_status fd_write(local_writer *w, const char *p, size_t n, fz_error *err)
{
    fz_status st = fault_point("io.write", err);
    while (n && st == FZ_OK) {
        ssize_t k = write(w->fd, p, n < IO_CHUNK_MAX ? n : IO_CHUNK_MAX);
        if (k < 0 && errno == EINTR)
            continue;
        if (k <= 0) {
            st = sys_error(err, k < 0 ? errno : EIO, w->base.path, "writing");
            break;
        }
        p += k;
        n -= (size_t)k;
        w->written += (uint64_t)k;
    }
    if (st != FZ_OK) {
        error_where(err, w->base.path);
        w->failed = true;
        return st;
    }
#ifdef SYNC_FILE_RANGE_WRITE
    if (w->written - w->writeback >= WRITEBACK_BYTES) { /* a hint: a failure shows at the fsync */
        sync_file_range(w->fd, (off_t)w->writeback, (off_t)(w->written - w->writeback),
                        SYNC_FILE_RANGE_WRITE);
        w->writeback = w->written;
    }
#endif
    return FZ_OK;
}

static fz_status buffer_flush(local_writer *w, fz_error *err)
{
    size_t n = w->fill;
    w->fill = 0;
    return n ? fd_write(w, w->buffer, n, err) : FZ_OK;
}

static fz_status local_write(io_writer *base, const void *p, size_t n, fz_error *err)
{
    local_writer *w = (local_writer *)base;
    if (w->failed) {
        error_set(err, FZ_IO, "an earlier write failed");
        error_where(err, w->base.path);
        return FZ_IO;
    }
    if (n > WRITE_BUFFER - w->fill)
        TRY(buffer_flush(w, err));
    if (n >= WRITE_BUFFER) {
        TRY(fd_write(w, p, n, err));
    } else if (n) {
        if (!w->buffer && !(w->buffer = mem_alloc(w->base.m, WRITE_BUFFER))) {
            w->failed = true;
            return error_nomem(err);
        }
        memcpy(w->buffer + w->fill, p, n);
        w->fill += n;
    }
    base->pos += n;
    return FZ_OK;
}

static void local_abort(io_writer *base)
{
    local_writer *w = (local_writer *)base;
    if (w->fd >= 0)
        close(w->fd);
    if (w->later) /* which may have it already */
        settle_remove(w->later, w->base.path, NULL);
    else
        unlink(io_local_path(w->base.path));
    writer_free(w);
}

fz_status local_fd_sync(int fd, const char *path, fz_error *err)
{
    TRY(fault_point("io.sync", err));
    int r;
    do
        r = fsync(fd);
    while (r != 0 && errno == EINTR);
    return r == 0 ? FZ_OK : sys_error(err, errno, path, "syncing the file");
}

static fz_status file_sync(local_writer *w, fz_error *err)
{
    int fd = w->fd;
    if (w->later) {
        w->fd = -1;
#ifdef SYNC_FILE_RANGE_WRITE
        sync_file_range(fd, (off_t)w->writeback, 0, SYNC_FILE_RANGE_WRITE);
#endif
        return settle_file(w->later, io_local_path(w->base.path), fd, err);
    }
    TRY(local_fd_sync(fd, w->base.path, err));
    w->fd = -1;
    return close(fd) == 0 || errno == EINTR ? FZ_OK : sys_error(err, errno, w->base.path, "closing the file");
}

static fz_status writer_sync(local_writer *w, fz_error *err)
{
    char dir[PATH_BYTES_MAX];
    TRY(buffer_flush(w, err));
    TRY(file_sync(w, err));
    parent_of(io_local_path(w->base.path), dir);
    TRY(dir_sync(w->later, dir, err));
    if (w->later) { /* the folder may have been made a moment ago by another that hasn't synced its name yet */
        char up[PATH_BYTES_MAX];
        parent_of(dir, up);
        TRY(settle_dir(w->later, up, err));
    }
    return fault_point("io.finished", err);
}

static fz_status local_finish(io_writer *base, fz_error *err)
{
    local_writer *w = (local_writer *)base;
    fz_status st;
    if (w->failed)
        st = error_set(err, FZ_IO, "an earlier write failed");
    else
        st = writer_sync(w, err);
    if (st != FZ_OK) {
        error_where(err, w->base.path);
        local_abort(base);
        return st;
    }
    writer_free(w);
    return FZ_OK;
}

static const struct io_writer_ops local_writer_ops = {local_write, local_finish, local_abort};

static fz_status exclusive_create(settle *later, const char *location, int *fd, fz_error *err)
{
    const char *path = io_local_path(location);
    if (strlen(path) >= PATH_BYTES_MAX)
        return sys_error(err, ENAMETOOLONG, location, "creating the file");
    TRY(fault_point("io.create", err));
    for (int tries = 0;; tries++) {
        *fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (*fd >= 0)
            return FZ_OK;
        if (errno == EINTR)
            continue;
        if (errno != ENOENT || tries == 3) /* somebody may remove directories meanwhile */
            return sys_error(err, errno, location, "creating the file");
        TRY(parents_make(later, path, err));
    }
}

fz_status local_create_later(settle *later, const char *location, mem *m, io_writer **out, fz_error *err)
{
    int fd = -1;
    fz_status st = exclusive_create(later, location, &fd, err);
    if (st != FZ_OK) {
        error_where(err, location);
        return st;
    }
    local_writer *w = mem_zalloc(m, sizeof *w);
    char *path = w ? path_dup(m, location) : NULL;
    if (!path) {
        mem_free(m, w, sizeof *w);
        close(fd);
        unlink(io_local_path(location));
        return error_nomem(err);
    }
    w->base = (io_writer){.ops = &local_writer_ops, .path = path, .m = m};
    w->later = later;
    w->fd = fd;
    *out = &w->base;
    return FZ_OK;
}

static fz_status local_create(const io_fs *fs, const char *location, mem *m, io_writer **out, fz_error *err)
{
    return local_create_later(NULL, location, m, out, err);
}

/* ---- names ---- */

static void info_fill(io_stat_info *out, const struct stat *sb)
{
    *out = (io_stat_info){.size = (uint64_t)sb->st_size,
                          .mtime_us = (int64_t)sb->st_mtim.tv_sec * 1000000 + sb->st_mtim.tv_nsec / 1000,
                          .is_dir = S_ISDIR(sb->st_mode)};
}

static fz_status local_stat(const io_fs *fs, const char *location, io_stat_info *out, fz_error *err)
{
    struct stat sb;
    if (stat(io_local_path(location), &sb) != 0)
        return sys_error(err, errno, location, "looking for the file");
    info_fill(out, &sb);
    return FZ_OK;
}

static fz_status local_remove(const io_fs *fs, const char *location, fz_error *err)
{
    const char *path = io_local_path(location);
    if (unlink(path) == 0)
        return FZ_OK;
    int e = errno;
    if ((e == EISDIR || e == EPERM) && rmdir(path) == 0)
        return FZ_OK;
    if (e == EISDIR || (e == EPERM && errno != ENOTDIR))
        e = errno;
    return sys_error(err, e, location, "removing the file");
}

/* ---- listing ---- */

/* Directories still to be read; a list instead of recursion. */
typedef struct dir_todo {
    struct dir_todo *next;
    const char *location;
} dir_todo;

struct walk {
    arena a;
    dir_todo *todo;
    fz_status (*fn)(void *ctx, const char *path, const io_stat_info *info, fz_error *err);
    void *ctx;
};

static fz_status todo_add(struct walk *w, const char *location, fz_error *err)
{
    dir_todo *t = ARENA_NEW(&w->a, dir_todo);
    const char *copy = t ? arena_strndup(&w->a, location, strlen(location)) : NULL;
    if (!copy)
        return error_nomem(err);
    *t = (dir_todo){w->todo, copy};
    w->todo = t;
    return FZ_OK;
}

/* One entry: files are reported, directories noted. Links are followed to files only, so that
 * a link to a directory above can't make the walk endless. What vanished meanwhile is left out. */
static fz_status entry_visit(struct walk *w, int dirfd_, const char *name, const sbuf *full, fz_error *err)
{
    struct stat sb;
    if (fstatat(dirfd_, name, &sb, AT_SYMLINK_NOFOLLOW) != 0)
        return errno == ENOENT ? FZ_OK : sys_error(err, errno, full->p, "looking at the file");
    if (S_ISDIR(sb.st_mode))
        return todo_add(w, full->p, err);
    if (S_ISLNK(sb.st_mode) && fstatat(dirfd_, name, &sb, 0) != 0)
        return FZ_OK;
    if (!S_ISREG(sb.st_mode))
        return FZ_OK;
    io_stat_info info;
    info_fill(&info, &sb);
    return w->fn(w->ctx, full->p, &info, err);
}

static fz_status dir_walk(struct walk *w, const char *location, bool top, fz_error *err)
{
    DIR *d = opendir(io_local_path(location));
    if (!d)
        return errno == ENOENT && !top ? FZ_OK : sys_error(err, errno, location, "listing the directory");
    fz_status st = FZ_OK;
    sbuf full;
    sbuf_init(&full, w->a.m);
    for (;;) {
        errno = 0;
        struct dirent *e = readdir(d);
        if (!e) {
            if (errno)
                st = sys_error(err, errno, location, "listing the directory");
            break;
        }
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        sbuf_clear(&full);
        sbuf_addz(&full, location);
        if (full.n && full.p[full.n - 1] != '/')
            sbuf_addc(&full, '/');
        sbuf_addz(&full, e->d_name);
        st = full.failed ? error_nomem(err) : entry_visit(w, dirfd(d), e->d_name, &full, err);
        if (st != FZ_OK)
            break;
    }
    sbuf_free(&full);
    closedir(d);
    return st;
}

static fz_status local_list(const io_fs *fs, const char *location,
                            fz_status (*fn)(void *ctx, const char *path, const io_stat_info *info,
                                            fz_error *err),
                            void *ctx, fz_error *err)
{
    struct walk w = {.fn = fn, .ctx = ctx};
    arena_init(&w.a, NULL);
    fz_status st = dir_walk(&w, location, true, err);
    while (st == FZ_OK && w.todo) {
        dir_todo *t = w.todo;
        w.todo = t->next;
        st = dir_walk(&w, t->location, false, err);
    }
    arena_free(&w.a);
    return st;
}

const io_fs local_fs = {.scheme = "file", .open = local_open, .create = local_create, .stat = local_stat, .remove = local_remove, .list = local_list};
