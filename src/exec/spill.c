/*
 * spill.c: see spill.h. A batch is written column by column, every column FLAT:
 *
 *   u32 rows, u32 columns, u64 bytes that follow
 *   per column:  u32 has nulls (0/1), u32 0, [bitmap, padded to 8], values padded to 8;
 *                text: a u32 length per row padded to 8, then the bytes, padded to 8; nested values as such bytes
 *
 * Types are kept beside the file: all batches have those of the first one. What is read back is trusted as far
 * as its sizes go together; the file is nobody else's.
 */
#include "exec/spill.h"

#include "exec/nested_bytes_int.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define WRITE_BUFFER ((size_t)128 << 10) /* small: some operators keep a hundred files */
#define READ_BUFFER  ((size_t)64 << 10)  /* a block may be a few rows: one call reads many */
#define BLOCK_MAX    ((uint64_t)1 << 40)

struct spill_file {
    mem *m;
    char *dir;
    size_t dir_n;
    int fd;
    sbuf out;
    uint32_t ncols;
    type *types;
    int64_t written, at;       /* `at`: the next byte to hand out */
    uint8_t *in;               /* READ_BUFFER bytes: those of the file from in_from on */
    int64_t in_from;
    size_t in_n;
    bool reading;
};

static const char *temp_folder(void)
{
    const char *t = getenv("TMPDIR");
    return t && *t ? t : "/var/tmp";
}

fz_status spill_create(const char *temp_dir, mem *m, spill_file **out, fz_error *err)
{
    *out = NULL;
    if (!temp_dir || !*temp_dir)
        temp_dir = temp_folder();
    spill_file *f = mem_zalloc(m, sizeof *f);
    if (!f)
        return error_nomem(err);
    f->m = m;
    f->fd = -1;
    f->dir_n = strlen(temp_dir) + 1;
    f->dir = mem_alloc(m, f->dir_n);
    if (!f->dir) {
        mem_free(m, f, sizeof *f);
        return error_nomem(err);
    }
    memcpy(f->dir, temp_dir, f->dir_n);
    sbuf_init(&f->out, m);
    *out = f;
    return FZ_OK;
}

void spill_close(spill_file *f)
{
    if (!f)
        return;
    if (f->fd >= 0)
        close(f->fd);
    sbuf_free(&f->out);
    mem_free(f->m, f->in, READ_BUFFER);
    mem_free(f->m, f->types, f->ncols * sizeof *f->types);
    mem_free(f->m, f->dir, f->dir_n);
    mem_free(f->m, f, sizeof *f);
}

int64_t spill_bytes(const spill_file *f) { return f->written + (int64_t)f->out.n; }

static fz_status file_open(spill_file *f, fz_error *err)
{
#ifdef O_TMPFILE
    f->fd = open(f->dir, O_TMPFILE | O_RDWR | O_CLOEXEC | O_EXCL, 0600);
    if (f->fd >= 0)
        return FZ_OK;
#endif
    size_t n = f->dir_n + 32;
    char *path = mem_alloc(f->m, n);
    if (!path)
        return error_nomem(err);
    snprintf(path, n, "%s/frazil-spill-XXXXXX", f->dir);
    f->fd = mkostemp(path, O_CLOEXEC);
    int e = errno;
    if (f->fd >= 0)
        unlink(path);
    mem_free(f->m, path, n);
    return f->fd >= 0 ? FZ_OK : error_errno(err, e, f->dir, "can't create a temporary file");
}

static fz_status flush(spill_file *f, fz_error *err)
{
    size_t at = 0;
    if (f->out.failed)
        return error_nomem(err);
    if (f->fd < 0)
        TRY(file_open(f, err));
    while (at < f->out.n) {
        ssize_t w = pwrite(f->fd, f->out.p + at, f->out.n - at, f->written);
        if (w < 0 && errno == EINTR)
            continue;
        if (w <= 0)
            return error_errno(err, w < 0 ? errno : ENOSPC, f->dir, "can't write a temporary file");
        at += (size_t)w;
        f->written += w;
    }
    sbuf_clear(&f->out);
    return FZ_OK;
}

static void add_padded(sbuf *b, const void *p, size_t n)
{
    static const char zero[8];
    sbuf_add(b, p, n);
    sbuf_add(b, zero, -n & 7);
}

static void add_u32(sbuf *b, uint32_t v) { sbuf_add(b, &v, 4); }

static void add_text(sbuf *b, const vec *v)
{
    const strview *x = v->data;
    uint64_t total = 0;
    for (uint32_t i = 0; i < v->len; i++) {
        bool null = v->valid && !bit_get(v->valid, i);
        add_u32(b, null ? 0 : x[i].len);
        total += null ? 0 : x[i].len;
    }
    sbuf_add(b, "\0\0\0\0\0\0\0", (v->len & 1) * 4);
    for (uint32_t i = 0; i < v->len; i++)
        if (!v->valid || bit_get(v->valid, i))
            sbuf_add(b, strview_ptr(&x[i]), x[i].len);
    sbuf_add(b, "\0\0\0\0\0\0\0", -total & 7);
}

static fz_status add_column(sbuf *b, const vec *v, arena *a, fz_error *err)
{
    vec bytes;
    if (type_phys(v->t) == PHYS_NESTED) {
        TRY(nested_encode(v, NULL, 0, v->len, false, &bytes, a, err));
        v = &bytes;
    }
    add_u32(b, v->valid != NULL);
    add_u32(b, 0);
    if (v->valid)
        sbuf_add(b, v->valid, BITMAP_WORDS(v->len) * 8);
    phys p = type_phys(v->t);
    if (p == PHYS_STR)
        add_text(b, v);
    else
        add_padded(b, v->data, (size_t)v->len * phys_size(p));
    return FZ_OK;
}

fz_status spill_write(spill_file *f, const batch *b, fz_error *err)
{
    uint32_t n = b->sel ? b->nsel : b->nrows;
    arena a;
    if (!f->types && b->ncols) {
        f->types = mem_alloc(f->m, b->ncols * sizeof *f->types);
        if (!f->types)
            return error_nomem(err);
        f->ncols = b->ncols;
        for (uint32_t c = 0; c < b->ncols; c++)
            f->types[c] = b->cols[c].t;
    }
    size_t head = f->out.n;
    uint64_t bytes = 0;
    add_u32(&f->out, n);
    add_u32(&f->out, b->ncols);
    sbuf_add(&f->out, &bytes, 8);
    arena_init(&a, f->m);
    fz_status st = FZ_OK;
    for (uint32_t c = 0; c < b->ncols && st == FZ_OK; c++) {
        vec v;
        st = vec_gather(&v, &b->cols[c], b->sel, n, false, &a, err);
        if (st == FZ_OK)
            st = add_column(&f->out, &v, &a, err);
    }
    arena_free(&a);
    if (st != FZ_OK)
        return st;
    if (f->out.failed)
        return error_nomem(err);
    bytes = f->out.n - head - 16;
    memcpy(f->out.p + head + 8, &bytes, 8);
    return f->out.n >= WRITE_BUFFER ? flush(f, err) : FZ_OK;
}

fz_status spill_put(spill_file *f, const void *p, size_t n, fz_error *err)
{
    sbuf_add(&f->out, p, n);
    if (f->out.failed)
        return error_nomem(err);
    return f->out.n >= WRITE_BUFFER ? flush(f, err) : FZ_OK;
}

fz_status spill_flush(spill_file *f, fz_error *err)
{
    if (f->out.n)
        TRY(flush(f, err));
    sbuf_free(&f->out);
    return FZ_OK;
}

bool spill_end(const spill_file *f) { return !f->reading || f->at >= f->written; }

fz_status spill_rewind(spill_file *f, fz_error *err)
{
    if (f->out.n)
        TRY(flush(f, err));
    sbuf_free(&f->out);
    f->at = f->in_from = 0;
    f->in_n = 0;
    f->reading = true;
    return FZ_OK;
}

/* Up to n bytes from `from` on; *got is at least 1. */
static fz_status read_some(spill_file *f, void *p, size_t n, int64_t from, size_t *got, fz_error *err)
{
    ssize_t r;
    do
        r = pread(f->fd, p, n, from);
    while (r < 0 && errno == EINTR);
    if (r <= 0)
        return error_errno(err, r < 0 ? errno : EIO, f->dir, "can't read a temporary file");
    *got = (size_t)r;
    return FZ_OK;
}

/* Large pieces go past the buffer. */
static fz_status read_all(spill_file *f, void *p, size_t n, fz_error *err)
{
    uint8_t *to = p;
    if (!f->in && !(f->in = mem_alloc(f->m, READ_BUFFER)))
        return error_nomem(err);
    while (n) {
        size_t skip = (size_t)(f->at - f->in_from), k;
        if (skip < f->in_n) {
            k = f->in_n - skip < n ? f->in_n - skip : n;
            memcpy(to, f->in + skip, k);
        } else if (n >= READ_BUFFER) {
            TRY(read_some(f, to, n, f->at, &k, err));
        } else {
            f->in_n = 0;
            TRY(read_some(f, f->in, READ_BUFFER, f->at, &f->in_n, err));
            f->in_from = f->at;
            continue;
        }
        to += k;
        n -= k;
        f->at += (int64_t)k;
    }
    return FZ_OK;
}

fz_status spill_get(spill_file *f, void *p, size_t n, fz_error *err)
{
    if ((uint64_t)(f->written - f->at) < n)
        return error_errno(err, EIO, f->dir, "a temporary file isn't as it was written");
    return read_all(f, p, n, err);
}

static fz_status cut_short(const spill_file *f, fz_error *err)
{
    return error_errno(err, EIO, f->dir, "a temporary file isn't as it was written");
}

static fz_status take_text(const spill_file *f, vec *v, uint32_t n, const uint8_t **at, const uint8_t *end, arena *a, fz_error *err)
{
    size_t head = ((size_t)n * 4 + 7) & ~(size_t)7;
    TRY(vec_alloc(v, v->t, n, a, err));
    if ((size_t)(end - *at) < head)
        return cut_short(f, err);
    const uint8_t *len = *at, *bytes = *at + head;
    strview *o = v->data;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t l;
        memcpy(&l, len + i * 4, 4);
        if ((size_t)(end - bytes) < l)
            return cut_short(f, err);
        o[i] = strview_make((const char *)bytes, l);
        bytes += l;
    }
    size_t used = (size_t)(bytes - (*at + head)), pad = -used & 7;
    *at = (size_t)(end - bytes) < pad ? end : bytes + pad;
    return FZ_OK;
}

static fz_status take_nested(const vec *bytes, type t, vec *v, arena *a, fz_error *err)
{
    const strview *s = bytes->data;
    const uint8_t **at = ARENA_ARRAY(a, const uint8_t *, (size_t)bytes->len + 1);
    if (!at)
        return error_nomem(err);
    for (uint32_t i = 0; i < bytes->len; i++)
        at[i] = bytes->valid && !bit_get(bytes->valid, i) ? NULL : (const uint8_t *)strview_ptr(&s[i]);
    return nested_decode(t, at, bytes->len, v, a, err);
}

static fz_status take_column(const spill_file *f, vec *v, type t, uint32_t n, const uint8_t **at, const uint8_t *end, arena *a, fz_error *err)
{
    uint32_t nulls;
    uint64_t *valid = NULL;
    *v = (vec){.t = t};
    if (end - *at < 8)
        return cut_short(f, err);
    memcpy(&nulls, *at, 4);
    *at += 8;
    if (nulls) {
        size_t size = BITMAP_WORDS(n) * 8;
        if ((size_t)(end - *at) < size)
            return cut_short(f, err);
        valid = (uint64_t *)*at; /* the block is aligned, and so is everything in it */
        *at += size;
    }
    phys p = type_phys(t);
    if (p == PHYS_NESTED) {
        vec bytes = {.t = TYPE(T_BINARY)};
        TRY(take_text(f, &bytes, n, at, end, a, err));
        bytes.valid = valid;
        return take_nested(&bytes, t, v, a, err);
    }
    if (p == PHYS_STR) {
        TRY(take_text(f, v, n, at, end, a, err));
    } else {
        size_t size = ((size_t)n * phys_size(p) + 7) & ~(size_t)7;
        if ((size_t)(end - *at) < size)
            return cut_short(f, err);
        TRY(vec_alloc(v, t, n, a, err)); /* a copy: 16-byte values need their alignment */
        memcpy(v->data, *at, (size_t)n * phys_size(p));
        *at += size;
    }
    v->valid = valid;
    return FZ_OK;
}

fz_status spill_read(spill_file *f, batch *out, bool *end, fz_error *err)
{
    uint32_t head[2];
    uint64_t bytes;
    batch_reset(out);
    *end = !f->reading || f->at >= f->written;
    if (*end)
        return FZ_OK;
    TRY(read_all(f, head, 8, err));
    TRY(read_all(f, &bytes, 8, err));
    if (bytes > BLOCK_MAX || head[1] != f->ncols)
        return cut_short(f, err);
    uint8_t *block = arena_alloc(&out->mem, bytes);
    if (!block)
        return error_nomem(err);
    TRY(read_all(f, block, bytes, err));
    TRY(batch_columns(out, f->ncols, err));
    const uint8_t *at = block;
    for (uint32_t c = 0; c < f->ncols; c++)
        TRY(take_column(f, &out->cols[c], f->types[c], head[0], &at, block + bytes, &out->mem, err));
    out->nrows = out->nsel = head[0];
    return FZ_OK;
}
