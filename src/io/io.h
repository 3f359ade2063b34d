/*
 * io.h: files, wherever they are. One vtable per scheme: local now, HTTP, S3 and the cache later.
 *
 * Paths. A location is "file:///abs/path", "file:/abs/path" or a plain path; nothing is ever
 * percent-decoded. An unknown scheme is FZ_UNSUPPORTED, by name.
 *
 * Reading is submit and complete: io_submit() takes ranges; done(req) is called once for
 * each, from any thread, possibly before io_submit returns (local files complete at once).
 * A task that waits parks and is woken by done. io_read() is the blocking form for local and
 * metadata reads. Files that tables are made of are immutable; a file's size is taken at open.
 *
 * Writing makes a new file, never touches an old one (FZ_EXISTS), and is sequential. The file
 * appears under its name at create (local); it counts only after io_writer_finish, which
 * syncs file and directory. Write-back is started while writing, so that the final sync is
 * short. io_writer_abort removes it.
 */
#ifndef IO_IO_H
#define IO_IO_H

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"

typedef struct io_file io_file;
typedef struct io_writer io_writer;

typedef struct io_req {
    uint64_t offset;
    size_t len;
    void *dst;                        /* len bytes, the caller's */
    void (*done)(struct io_req *r);   /* status and error are set */
    void *ctx;
    fz_status status;
    fz_error error;
} io_req;

typedef struct io_stat_info {
    uint64_t size;
    int64_t mtime_us;
    bool is_dir;
} io_stat_info;

typedef struct io_fs {
    const char *scheme;
    fz_status (*open)(const struct io_fs *fs, const char *path, mem *m, io_file **out, fz_error *err);
    fz_status (*create)(const struct io_fs *fs, const char *path, mem *m, io_writer **out, fz_error *err);
    fz_status (*stat)(const struct io_fs *fs, const char *path, io_stat_info *out, fz_error *err);
    fz_status (*remove)(const struct io_fs *fs, const char *path, fz_error *err);
    /* Calls fn for each file (not directory) below path, recursively. */
    fz_status (*list)(const struct io_fs *fs, const char *path,
                      fz_status (*fn)(void *ctx, const char *path, const io_stat_info *info, fz_error *err),
                      void *ctx, fz_error *err);
} io_fs;

struct io_file {
    const struct io_file_ops {
        void (*submit)(io_file *f, io_req *reqs, size_t n);
        void (*close)(io_file *f);
    } *ops;
    char *path;     /* as it was given, for messages */
    uint64_t size;
    mem *m;
};

struct io_writer {
    const struct io_writer_ops {
        fz_status (*write)(io_writer *w, const void *p, size_t n, fz_error *err);
        fz_status (*finish)(io_writer *w, fz_error *err);
        void (*abort)(io_writer *w);
    } *ops;
    char *path;
    uint64_t pos;   /* bytes written so far */
    mem *m;
};

fz_status io_open(const char *location, mem *m, io_file **out, fz_error *err);
void io_close(io_file *f); /* NULL allowed */
void io_submit(io_file *f, io_req *reqs, size_t n);
/* Exactly len bytes at offset, or an error that names file and offset (FZ_DATA when the file
 * is shorter than that). Blocks. */
fz_status io_read(io_file *f, uint64_t offset, void *dst, size_t len, fz_error *err);
/* The whole file; FZ_LIMIT if it is larger than max_bytes. */
fz_status io_read_all(const char *location, mem *m, size_t max_bytes, buf **out, fz_error *err);

/* Creates missing parent directories. FZ_EXISTS if the file is there. */
fz_status io_create(const char *location, mem *m, io_writer **out, fz_error *err);
fz_status io_write(io_writer *w, const void *p, size_t n, fz_error *err);
/* Durable after FZ_OK. Frees w on success and on failure (after a failure the file is removed). */
fz_status io_writer_finish(io_writer *w, fz_error *err);
void io_writer_abort(io_writer *w); /* removes the file, frees w; NULL allowed */
/* Writes a whole small file durably; exclusive like io_create. */
fz_status io_write_all(const char *location, mem *m, const void *p, size_t n, fz_error *err);

fz_status io_stat(const char *location, io_stat_info *out, fz_error *err);
fz_status io_remove(const char *location, fz_error *err); /* FZ_NOT_FOUND if it isn't there */
fz_status io_list(const char *location,
                  fz_status (*fn)(void *ctx, const char *path, const io_stat_info *info, fz_error *err),
                  void *ctx, fz_error *err);
/* "file:///a/b" and "file:/a/b" to "/a/b"; a plain path as it is; NULL for other schemes. */
const char *io_local_path(const char *location);

#endif
