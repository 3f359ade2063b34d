/*
 * input.c: a file, a pipe or standard input as one stream of text, decompressed, readable a
 * second time.
 *
 * A remote file is asked for some megabytes ahead of the reading, so that the network is busy while what came is worked on.
 *
 * Input that can't seek is copied to a temporary file (already unlinked) while it is read, up to
 * spool_limit; input_rewind then reads the copy, and goes on with the input behind it. Reading
 * a pipe polls, so that a cancelled job ends. At the end of a regular file its size and time of
 * change are compared with those at the start.
 */
#include "format/text/input.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#define RAW_BYTES (256 * 1024)
#define POLL_MS 100
#define READ_MAX ((size_t)1 << 30)
#define AHEAD_STEP ((uint64_t)8 << 20)  /* of a remote file: so much is asked for at once … */
#define AHEAD_BYTES ((uint64_t)48 << 20) /* … until so much is on its way or waits */

struct text_input {
    mem *m;
    char *name;
    size_t name_size;
    int fd;
    io_file *remote;          /* instead of fd */
    uint64_t asked;           /* of it, up to here */
    bool own_fd, regular, seekable;
    off_t start;              /* where in the file the input starts */
    struct stat st;
    job *j;
    text_compression comp;
    /* raw bytes of compressed input, and the first bytes of any, which were read to see what it is */
    uint8_t *raw;
    size_t raw_at, raw_n;
    bool raw_eof;
    uint64_t raw_read;        /* bytes taken from the file or the spool */
    z_stream z;
    bool z_on, z_member;      /* inside a gzip member */
    ZSTD_DStream *zs;
    bool zs_frame;            /* inside a frame */
    /* spool */
    bool spooling, spool_lost;
    int spool_fd;
    uint64_t spool_n, spool_at; /* at < n: reading the copy */
    int64_t spool_limit;
    const char *temp_dir;
};

const char *input_name(const text_input *in) { return in->name; }
text_compression input_compression(const text_input *in) { return in->comp; }
int64_t input_size(const text_input *in)
{
    return in->remote ? (int64_t)in->remote->size : in->regular ? (int64_t)(in->st.st_size - in->start) : -1;
}

bool input_seekable(const text_input *in) { return in->seekable || (in->spooling && !in->spool_lost); }

bool input_is_file(const text_input *in, const char *path)
{
    struct stat st;
    return !in->remote && stat(path, &st) == 0 && st.st_dev == in->st.st_dev && st.st_ino == in->st.st_ino;
}

/* ---- raw bytes ---- */

static fz_status spool_open(text_input *in, fz_error *err)
{
    const char *dir = in->temp_dir && *in->temp_dir ? in->temp_dir : getenv("TMPDIR");
    if (!dir || !*dir)
        dir = "/var/tmp";
    in->spool_fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (in->spool_fd >= 0)
        return FZ_OK;
    sbuf path;
    sbuf_init(&path, in->m);
    sbuf_printf(&path, "%s/frazil-", dir);
    for (int i = 0; i < 6; i++) /* mkostemp's own pattern */
        sbuf_addc(&path, 'X');
    fz_status st = FZ_OK;
    if (path.failed)
        st = error_nomem(err);
    else if ((in->spool_fd = mkostemp(path.p, O_CLOEXEC)) < 0)
        st = error_errno(err, errno, dir, "can't make a temporary file for input that can't be read twice");
    else
        unlink(path.p);
    sbuf_free(&path);
    return st;
}

void input_stop_spooling(text_input *in)
{
    in->spooling = false;
    if (in->spool_fd >= 0 && in->spool_at >= in->spool_n) {
        close(in->spool_fd);
        in->spool_fd = -1;
        in->spool_at = in->spool_n = 0;
    }
}

static fz_status spool_write(text_input *in, const char *p, size_t n, fz_error *err)
{
    if (in->spool_limit > 0 && in->spool_n + n > (uint64_t)in->spool_limit) {
        in->spool_lost = true;
        in->spool_at = in->spool_n;
        input_stop_spooling(in);
        return FZ_OK;
    }
    if (in->spool_fd < 0)
        TRY(spool_open(in, err));
    while (n) {
        ssize_t k = pwrite(in->spool_fd, p, n, (off_t)in->spool_n);
        if (k < 0 && errno == EINTR)
            continue;
        if (k <= 0)
            return error_errno(err, k < 0 ? errno : ENOSPC, in->name, "can't write the temporary copy of the input");
        p += k;
        n -= (size_t)k;
        in->spool_n += (uint64_t)k;
    }
    in->spool_at = in->spool_n;
    return FZ_OK;
}

static fz_status raw_wait(text_input *in, fz_error *err)
{
    while (!in->regular) {
        if (in->j && job_stopped(in->j))
            return error_set(err, FZ_CANCELLED, "cancelled while reading input");
        struct pollfd p = {.fd = in->fd, .events = POLLIN};
        int k = poll(&p, 1, POLL_MS);
        if (k > 0 || (k < 0 && errno != EINTR))
            break;
    }
    return FZ_OK;
}

static fz_status remote_read(text_input *in, void *dst, size_t cap, size_t *got, fz_error *err)
{
    uint64_t size = in->remote->size, left = size - in->raw_read;
    if (in->j && job_stopped(in->j))
        return error_set(err, FZ_CANCELLED, "cancelled while reading input");
    while (in->asked < size && in->asked < in->raw_read + AHEAD_BYTES) {
        io_range r = {in->asked, size - in->asked < AHEAD_STEP ? size - in->asked : AHEAD_STEP};
        io_will_read(in->remote, &r, 1);
        in->asked += r.len;
    }
    size_t n = left < cap ? (size_t)left : cap;
    TRY(io_read(in->remote, in->raw_read, dst, n, err));
    in->raw_read += n;
    if (in->j)
        atomic_fetch_add_explicit(&in->j->prog.bytes_done, (int64_t)n, memory_order_relaxed);
    *got = n;
    return FZ_OK;
}

/* One read of at most cap bytes; *got 0: the end. */
static fz_status raw_read(text_input *in, void *dst, size_t cap, size_t *got, fz_error *err)
{
    *got = 0;
    if (cap > READ_MAX)
        cap = READ_MAX;
    if (in->remote)
        return remote_read(in, dst, cap, got, err);
    ssize_t k;
    bool copy = in->spool_at < in->spool_n;
    do {
        if (copy) {
            uint64_t left = in->spool_n - in->spool_at;
            k = pread(in->spool_fd, dst, left < cap ? (size_t)left : cap, (off_t)in->spool_at);
        } else {
            TRY(raw_wait(in, err));
            k = read(in->fd, dst, cap);
        }
    } while (k < 0 && (errno == EINTR || errno == EAGAIN));
    if (k < 0) {
        if (errno == EISDIR)
            return error_set(err, FZ_INVALID, "it is a directory, not a file"), error_where(err, in->name), FZ_INVALID;
        error_errno(err, errno, in->name, "can't read");
        error_offset(err, (int64_t)in->raw_read);
        return err ? err->status : FZ_IO;
    }
    if (copy) {
        if (k == 0)
            return error_set(err, FZ_IO, "the temporary copy of the input is shorter than what was written");
        in->spool_at += (uint64_t)k;
    } else if (k > 0 && in->spooling) {
        TRY(spool_write(in, dst, (size_t)k, err));
    }
    in->raw_read += (uint64_t)k;
    if (in->j && k > 0)
        atomic_fetch_add_explicit(&in->j->prog.bytes_done, (int64_t)k, memory_order_relaxed);
    *got = (size_t)k;
    return FZ_OK;
}

static fz_status changed_check(text_input *in, fz_error *err)
{
    struct stat now;
    if (!in->regular)
        return FZ_OK;
    if (fstat(in->fd, &now) < 0)
        return error_errno(err, errno, in->name, "can't read the file's size");
    if (now.st_size != in->st.st_size || now.st_mtim.tv_sec != in->st.st_mtim.tv_sec ||
        now.st_mtim.tv_nsec != in->st.st_mtim.tv_nsec ||
        (int64_t)in->raw_read != (int64_t)(in->st.st_size > in->start ? in->st.st_size - in->start : 0)) {
        error_set(err, FZ_IO, "the file changed while it was read (it had %lld bytes at the start, now %lld)",
                  (long long)in->st.st_size, (long long)now.st_size);
        error_where(err, in->name);
        error_offset(err, (int64_t)in->raw_read);
        return FZ_IO;
    }
    return FZ_OK;
}

/* More raw bytes into the (consumed) raw buffer. */
static fz_status raw_fill(text_input *in, fz_error *err)
{
    in->raw_at = 0;
    TRY(raw_read(in, in->raw, RAW_BYTES, &in->raw_n, err));
    in->raw_eof = in->raw_n == 0;
    return FZ_OK;
}

/* ---- decompression ---- */

static fz_status broken(text_input *in, fz_error *err, const char *what, const char *detail)
{
    error_set(err, FZ_DATA, "%s data is broken: %s", what, detail);
    error_where(err, in->name);
    error_offset(err, (int64_t)(in->raw_read - (in->raw_n - in->raw_at)));
    return FZ_DATA;
}

/* Padding with zero bytes behind the last member is common on tapes and block devices. */
static bool only_zeros(const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (p[i])
            return false;
    return true;
}

static fz_status read_gzip(text_input *in, uint8_t *dst, size_t cap, size_t *got, fz_error *err)
{
    size_t n = 0;
    while (n < cap) {
        if (in->raw_at == in->raw_n && !in->raw_eof)
            TRY(raw_fill(in, err));
        if (in->raw_eof) {
            if (in->z_member)
                return broken(in, err, "gzip", "it ends within a member");
            break;
        }
        if (!in->z_member) {
            if (in->raw[in->raw_at] == 0 && only_zeros(in->raw + in->raw_at, in->raw_n - in->raw_at)) {
                in->raw_at = in->raw_n;
                continue;
            }
            if (!in->z_on) {
                if (inflateInit2(&in->z, 15 + 16) != Z_OK)
                    return error_nomem(err);
                in->z_on = true;
            } else {
                inflateReset(&in->z);
            }
            in->z_member = true;
        }
        in->z.next_in = in->raw + in->raw_at;
        in->z.avail_in = (uInt)(in->raw_n - in->raw_at);
        in->z.next_out = dst + n;
        in->z.avail_out = (uInt)(cap - n < READ_MAX ? cap - n : READ_MAX);
        uInt room = in->z.avail_out;
        int k = inflate(&in->z, Z_NO_FLUSH);
        n += room - in->z.avail_out;
        in->raw_at = in->raw_n - in->z.avail_in;
        if (k == Z_STREAM_END)
            in->z_member = false;
        else if (k != Z_OK && k != Z_BUF_ERROR)
            return k == Z_MEM_ERROR ? error_nomem(err) : broken(in, err, "gzip", in->z.msg ? in->z.msg : "unknown fault");
    }
    *got = n;
    return FZ_OK;
}

static fz_status read_zstd(text_input *in, uint8_t *dst, size_t cap, size_t *got, fz_error *err)
{
    if (!in->zs) {
        in->zs = ZSTD_createDStream();
        if (!in->zs)
            return error_nomem(err);
    }
    ZSTD_outBuffer out = {dst, cap, 0};
    while (out.pos < cap) {
        size_t before = out.pos;
        if (in->raw_at == in->raw_n && !in->raw_eof)
            TRY(raw_fill(in, err));
        if (in->raw_eof && !in->zs_frame)
            break;
        ZSTD_inBuffer src = {in->raw + in->raw_at, in->raw_n - in->raw_at, 0};
        size_t k = ZSTD_decompressStream(in->zs, &out, &src);
        in->raw_at += src.pos;
        if (ZSTD_isError(k))
            return broken(in, err, "zstd", ZSTD_getErrorName(k));
        in->zs_frame = k != 0;
        if (in->raw_eof && in->zs_frame && out.pos == before)
            return broken(in, err, "zstd", "it ends within a frame");
    }
    *got = out.pos;
    return FZ_OK;
}

static fz_status read_plain(text_input *in, uint8_t *dst, size_t cap, size_t *got, fz_error *err)
{
    size_t n = in->raw_n - in->raw_at;
    if (n > cap)
        n = cap;
    memcpy(dst, in->raw + in->raw_at, n);
    in->raw_at += n;
    while (n < cap && !in->raw_eof) {
        size_t k;
        TRY(raw_read(in, dst + n, cap - n, &k, err));
        in->raw_eof = k == 0;
        n += k;
    }
    *got = n;
    return FZ_OK;
}

fz_status input_read(text_input *in, void *dst, size_t cap, size_t *got, fz_error *err)
{
    fz_status st = in->comp == TEXT_GZIP ? read_gzip(in, dst, cap, got, err)
                 : in->comp == TEXT_ZSTD ? read_zstd(in, dst, cap, got, err)
                                        : read_plain(in, dst, cap, got, err);
    if (st == FZ_OK && *got < cap)
        st = changed_check(in, err);
    return st;
}

/* ---- open, rewind, close ---- */

static void codec_reset(text_input *in)
{
    if (in->z_on)
        inflateEnd(&in->z);
    in->z_on = in->z_member = false;
    memset(&in->z, 0, sizeof in->z);
    ZSTD_freeDStream(in->zs);
    in->zs = NULL;
    in->zs_frame = false;
}

/* Fills the raw buffer and, unless it was given, sees from its first bytes what it is. */
static fz_status first_bytes(text_input *in, fz_error *err)
{
    TRY(raw_fill(in, err));
    while (in->raw_n < 4 && !in->raw_eof) { /* a pipe may give them one by one */
        size_t k;
        TRY(raw_read(in, in->raw + in->raw_n, RAW_BYTES - in->raw_n, &k, err));
        in->raw_eof = k == 0;
        in->raw_n += k;
    }
    if (in->raw_n)
        in->raw_eof = false;
    if (in->comp != TEXT_AUTO)
        return FZ_OK;
    const uint8_t *p = in->raw;
    uint32_t magic = 0;
    if (in->raw_n >= 4)
        magic = p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
    if (in->raw_n >= 2 && p[0] == 0x1f && p[1] == 0x8b)
        in->comp = TEXT_GZIP;
    else if (magic == 0xFD2FB528 || (magic & 0xFFFFFFF0) == 0x184D2A50)
        in->comp = TEXT_ZSTD;
    else
        in->comp = TEXT_PLAIN;
    return FZ_OK;
}

static fz_status file_open(text_input *in, const char *location, const text_input_options *o, fz_error *err)
{
    in->seekable = in->regular = false;
    if (strcmp(location, "-") != 0 && o->io && io_is_remote(o->io, location)) {
        in->seekable = true;
        return io_open(o->io, location, in->m, &in->remote, err);
    }
    if (strcmp(location, "-") == 0) {
        in->fd = STDIN_FILENO;
    } else {
        const char *path = io_local_path(location);
        if (!path)
            return error_set(err, FZ_UNSUPPORTED, "%s can be read from local files only, not from \"%s\"", o->format, location);
        in->fd = open(path, O_RDONLY | O_CLOEXEC);
        if (in->fd < 0)
            return error_errno(err, errno, path, "can't open the file");
        in->own_fd = true;
    }
    if (fstat(in->fd, &in->st) < 0)
        return error_errno(err, errno, in->name, "can't read the file's size");
    if (S_ISDIR(in->st.st_mode)) {
        error_set(err, FZ_INVALID, "it is a directory, not a file");
        error_where(err, in->name);
        return FZ_INVALID;
    }
    in->regular = S_ISREG(in->st.st_mode);
    if (in->regular) {
        off_t at = lseek(in->fd, 0, SEEK_CUR);
        in->start = at > 0 ? at : 0;
        in->seekable = at >= 0;
        posix_fadvise(in->fd, 0, 0, POSIX_FADV_SEQUENTIAL);
    }
    return FZ_OK;
}

fz_status input_open(const char *location, const text_input_options *o, mem *m, text_input **out, fz_error *err)
{
    text_input *in = mem_zalloc(m, sizeof *in);
    if (!in)
        return error_nomem(err);
    in->m = m;
    in->fd = in->spool_fd = -1;
    in->j = o->j;
    in->comp = o->compression;
    in->spool_limit = o->spool_limit;
    in->temp_dir = o->temp_dir;
    const char *name = strcmp(location, "-") == 0 ? "standard input" : location;
    in->name_size = strlen(name) + 1;
    in->name = mem_alloc(m, in->name_size);
    in->raw = mem_alloc(m, RAW_BYTES);
    fz_status st = in->name && in->raw ? FZ_OK : error_nomem(err);
    if (st == FZ_OK) {
        memcpy(in->name, name, in->name_size);
        st = file_open(in, location, o, err);
    }
    if (st == FZ_OK) {
        in->spooling = !in->seekable && o->spool_limit > 0;
        if (o->j && input_size(in) >= 0)
            atomic_fetch_add_explicit(&o->j->prog.bytes_total, input_size(in), memory_order_relaxed);
        st = first_bytes(in, err);
    }
    if (st != FZ_OK) {
        input_close(in);
        return st;
    }
    *out = in;
    return FZ_OK;
}

void input_attach(text_input *in, job *j)
{
    in->j = j;
    if (!j)
        return;
    if (input_size(in) >= 0)
        atomic_fetch_add_explicit(&j->prog.bytes_total, input_size(in), memory_order_relaxed);
    atomic_fetch_add_explicit(&j->prog.bytes_done, (int64_t)in->raw_read, memory_order_relaxed);
}

fz_status input_rewind(text_input *in, fz_error *err)
{
    codec_reset(in);
    if (in->j)
        atomic_fetch_sub_explicit(&in->j->prog.bytes_done, (int64_t)in->raw_read, memory_order_relaxed);
    in->raw_read = 0;
    in->raw_at = in->raw_n = 0;
    in->raw_eof = false;
    if (in->remote) {
        in->asked = 0;
    } else if (in->seekable) {
        if (lseek(in->fd, in->start, SEEK_SET) < 0)
            return error_errno(err, errno, in->name, "can't go back to the start");
    } else if (in->spooling && !in->spool_lost) {
        in->spool_at = 0;
    } else {
        error_set(err, FZ_LIMIT, "the input can't be read a second time%s",
                  in->spool_lost ? ": it is larger than the limit of what is kept of it" : "");
        error_where(err, in->name);
        error_hint(err, "name the types with --types, raise --spool-limit, or load from a file");
        return FZ_LIMIT;
    }
    return first_bytes(in, err);
}

void input_close(text_input *in)
{
    if (!in)
        return;
    codec_reset(in);
    if (in->own_fd)
        close(in->fd);
    io_close(in->remote);
    if (in->spool_fd >= 0)
        close(in->spool_fd);
    mem_free(in->m, in->raw, RAW_BYTES);
    mem_free(in->m, in->name, in->name_size);
    mem_free(in->m, in, sizeof *in);
}
