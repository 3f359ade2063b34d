/*
 * io.h: files, wherever they are.
 *
 * A location is "file:///abs/path", "file:/abs/path", a plain path, or "scheme://…" of a file system that was added;
 * nothing is ever percent-decoded. A file_io says which file system a location belongs to, and so with which credentials
 * it is reached: a lake has one, and a table whose catalog vends credentials has one of its own above it. NULL is the
 * files of this machine alone. A location that no file system takes is FZ_UNSUPPORTED, by its scheme.
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

struct job; /* base/task.h */
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

typedef struct io_range { uint64_t offset, len; } io_range;

typedef struct io_stat_info {
    uint64_t size;
    int64_t mtime_us;
    bool is_dir;
} io_stat_info;

/* A file system; others embed it as their first member. Thread-safe. Lists and stats of a store without folders treat '/' as their end. */
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
    /* May be NULL: open does without the size then. */
    fz_status (*open_sized)(const struct io_fs *fs, const char *path, uint64_t size, mem *m, io_file **out, fz_error *err);
    void (*close)(struct io_fs *fs);  /* frees it; NULL: nothing to free */
    /* May be NULL: open and read do. Where asking for the size would be a request of its own. */
    fz_status (*read_all)(const struct io_fs *fs, const char *path, mem *m, size_t max_bytes, buf **out, fz_error *err);
    /* May be NULL: one after another. What isn't there is no failure. */
    fz_status (*remove_many)(const struct io_fs *fs, uint32_t n, const char *const *paths, fz_error *err);
} io_fs;

/* ---- which file system ---- */

typedef struct file_io file_io;
/* parent (may be NULL) is asked where no prefix of this one matches, in the end the files of this machine; it is referenced. */
file_io *file_io_new(mem *m, file_io *parent); /* NULL: no memory */
/* Locations that begin with prefix ("s3://", "s3://bucket/warehouse/") belong to fs; the longest prefix counts. Takes fs
 * over, also on failure. Before the file_io is used by anybody else. */
fz_status file_io_add(file_io *io, const char *prefix, io_fs *fs, fz_error *err);
file_io *file_io_ref(file_io *io);  /* NULL allowed */
void file_io_unref(file_io *io);    /* NULL allowed */
/* Over `parent` (may be NULL): files of this machine that are written through it are complete, but not durable, when their writer
 * finishes; io_settle makes all of them durable together, which takes a fraction of the time of one after another. What refers to
 * them moves after that. Files elsewhere are durable as ever. Few of them are kept open. */
file_io *file_io_deferring(mem *m, file_io *parent); /* NULL: no memory */
/* After FZ_OK everything that was written through io (NULL allowed) is durable. Once it has failed it always fails. */
fz_status io_settle(const file_io *io, fz_error *err);
/* The file system of a location; FZ_UNSUPPORTED. Lives as long as io. */
fz_status file_io_find(const file_io *io, const char *location, const io_fs **out, fz_error *err);

struct io_file {
    const struct io_file_ops {
        void (*submit)(io_file *f, io_req *reqs, size_t n);
        void (*close)(io_file *f);
        void (*will_read)(io_file *f, const io_range *ranges, size_t n); /* NULL: of no use here */
    } *ops;
    char *path;     /* as it was given, for messages */
    uint64_t size;
    uint64_t version; /* of a remote file's bytes, from its ETag or the time it was changed; 0: not known, or local */
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

fz_status io_open(const file_io *io, const char *location, mem *m, io_file **out, fz_error *err);
/* The same of a file whose size is known (from a manifest): a remote one is not asked for it. size < 0: not known. */
fz_status io_open_sized(const file_io *io, const char *location, int64_t size, mem *m, io_file **out, fz_error *err);
void io_close(io_file *f); /* NULL allowed */
void io_submit(io_file *f, io_req *reqs, size_t n);
/* Whether a location is reached over the network; false too where nothing takes it. */
bool io_is_remote(const file_io *io, const char *location);
/* Says that these ranges will be read, about in this order, and those of later calls after them: a remote file starts to fetch them, coalesced and
 * in parallel, and reads that lie in them wait for it instead of asking again. A hint: it may be cut or ignored for
 * want of memory. */
void io_will_read(io_file *f, const io_range *ranges, size_t n);
/* Exactly len bytes at offset, or an error that names file and offset (FZ_DATA when the file
 * is shorter than that). Blocks. */
fz_status io_read(io_file *f, uint64_t offset, void *dst, size_t len, fz_error *err);
/* The whole file; FZ_LIMIT if it is larger than max_bytes. */
fz_status io_read_all(const file_io *io, const char *location, mem *m, size_t max_bytes, buf **out, fz_error *err);

/* Calls fn(ctx, i, err) for i in [0,n) on up to 16 threads of its own: for work that waits for the network, which the task pool's few threads are
 * too good for. Returns the first failure, after which no further i is begun; FZ_CANCELLED if the job (may be NULL) is stopped. */
fz_status io_for(size_t n, const struct job *j, fz_status (*fn)(void *ctx, size_t i, fz_error *err), void *ctx, fz_error *err);

/* Creates missing parent directories. FZ_EXISTS if the file is there. */
fz_status io_create(const file_io *io, const char *location, mem *m, io_writer **out, fz_error *err);
fz_status io_write(io_writer *w, const void *p, size_t n, fz_error *err);
/* Durable after FZ_OK (but see file_io_deferring). Frees w on success and on failure (after a failure the file is removed). */
fz_status io_writer_finish(io_writer *w, fz_error *err);
void io_writer_abort(io_writer *w); /* removes the file, frees w; NULL allowed */
/* Writes a whole small file durably; exclusive like io_create. */
fz_status io_write_all(const file_io *io, const char *location, mem *m, const void *p, size_t n, fz_error *err);

fz_status io_stat(const file_io *io, const char *location, io_stat_info *out, fz_error *err);
/* FZ_NOT_FOUND if it isn't there (S3 doesn't say). */
fz_status io_remove(const file_io *io, const char *location, fz_error *err);
/* Tries all, returns the first failure; what isn't there is none. */
fz_status io_remove_many(const file_io *io, uint32_t n, const char *const *locations, fz_error *err);
fz_status io_list(const file_io *io, const char *location,
                  fz_status (*fn)(void *ctx, const char *path, const io_stat_info *info, fz_error *err),
                  void *ctx, fz_error *err);
/* "file:///a/b" and "file:/a/b" to "/a/b"; a plain path as it is; NULL for other schemes. */
const char *io_local_path(const char *location);

#endif
