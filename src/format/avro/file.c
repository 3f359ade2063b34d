/*
 * file.c: a file of rows: its header, and its runs of blocks, found by stepping from block head to block head. The layout
 * stands in reader.c.
 */
#include "format/avro/avro_file_int.h"

#define HEADER_FIRST (64u << 10)
#define HEADER_MAX   (64u << 20) /* a larger one isn't a header */
#define HEAD_BYTES   32          /* of a block: two varints, and a bit */

fz_status avro_damaged(const avro_file *p, uint64_t at, const char *what, fz_error *err)
{
    error_set(err, FZ_DATA, "Avro file: %s", what);
    error_where(err, p->path);
    error_offset(err, (int64_t)at);
    return FZ_DATA;
}

/* The end of the header, if it lies within n bytes: its metadata is walked. *more: it goes on behind them. */
static bool header_ends(const uint8_t *data, size_t n, size_t *end)
{
    static const avro_type bytes = {.kind = AVRO_BYTES, .min_size = 1};
    static const avro_field item = {.field_id = -1, .type = &bytes};
    avro_type map = {.kind = AVRO_MAP, .n = 1, .fields = (avro_field *)&item, .min_size = 1};
    if (n < 4)
        return false;
    avro_cursor c = {.p = data + 4, .end = data + n};
    avro_skip(&c, &map);
    if (c.bad || c.end - c.p < 16)
        return false;
    *end = (size_t)(c.p + 16 - data);
    return true;
}

static fz_status read_header(io_file *f, mem *m, buf **out, size_t *n, fz_error *err)
{
    for (size_t want = HEADER_FIRST;; want *= 8) {
        size_t have = want < f->size ? want : f->size;
        buf *b = buf_new(m, have);
        if (!b)
            return error_nomem(err);
        fz_status st = have ? io_read(f, 0, b->data, have, err) : FZ_OK;
        if (st) {
            buf_unref(b);
            return st;
        }
        if ((have >= 4 && memcmp(b->data, "Obj\1", 4) != 0) || have == f->size || want >= HEADER_MAX || header_ends(b->data, have, n)) {
            *n = have;
            *out = b;
            return FZ_OK;
        }
        buf_unref(b);
    }
}

/* What the reader of whole files made of the header is what is needed here. */
static fz_status open_header(avro_file *p, const buf *head, size_t n, fz_error *err)
{
    avro_reader r;
    TRY(avro_reader_open(&r, head->data, n, p->path, p->m, err));
    memcpy(p->sync, r.sync, sizeof p->sync);
    p->body = r.at;
    p->codec = r.codec;
    str schema = avro_reader_meta(&r, "avro.schema");
    fz_status st = avro_schema_parse(schema, &p->a, &p->root, err);
    avro_reader_close(&r);
    TRY(st);
    if (p->root->kind != AVRO_RECORD) {
        error_set(err, FZ_UNSUPPORTED, "Avro files of anything but records aren't supported");
        error_where(err, p->path);
        return FZ_UNSUPPORTED;
    }
    TRY(avro_types(p->root, &p->a, &p->schema, &p->why, err));
    for (uint32_t i = 0; i < p->schema.n; i++)
        p->members += avro_type_members(p->schema.cols[i].t);
    return FZ_OK;
}

fz_status avro_file_open(io_file *f, mem *m, avro_file **out, fz_error *err)
{
    avro_file *p = mem_zalloc(m, sizeof *p);
    if (!p)
        return error_nomem(err);
    p->m = m;
    p->size = f->size;
    atomic_init(&p->refs, 1);
    arena_init(&p->a, m);
    pthread_mutex_init(&p->lock, NULL);
    buf *head = NULL;
    size_t n = 0;
    fz_status st = FZ_OK;
    if (!(p->path = arena_strndup(&p->a, f->path, strlen(f->path)))) {
        st = error_nomem(err);
        goto out;
    }
    TRY_GOTO(read_header(f, m, &head, &n, err));
    TRY_GOTO(open_header(p, head, n, err));
    *out = p;
out:
    buf_unref(head);
    if (st)
        avro_file_close(p);
    return st;
}

avro_file *avro_file_ref(avro_file *p)
{
    atomic_fetch_add_explicit(&p->refs, 1, memory_order_relaxed);
    return p;
}

void avro_file_close(avro_file *p)
{
    if (!p || atomic_fetch_sub(&p->refs, 1) != 1)
        return;
    mem_free(p->m, p->runs, sizeof *p->runs * p->cap_runs);
    pthread_mutex_destroy(&p->lock);
    arena_free(&p->a);
    mem_free(p->m, p, sizeof *p);
}

const row_schema *avro_file_schema(const avro_file *p) { return &p->schema; }
uint32_t avro_file_members(const avro_file *p) { return p->members; }

/* ---- runs ---- */

static fz_status add_block(avro_file *p, uint64_t at, uint64_t bytes, int64_t rows, fz_error *err)
{
    avro_run *last = p->n_runs ? &p->runs[p->n_runs - 1] : NULL;
    if (last && last->bytes + bytes <= AVRO_RUN_BYTES && last->rows + rows <= AVRO_RUN_ROWS) {
        last->bytes += bytes;
        last->rows += rows;
        return FZ_OK;
    }
    int64_t row = last ? last->row + last->rows : 0;
    if (rows > INT64_MAX - row)
        return avro_damaged(p, at, "it says that it has more than 2^63 records", err);
    if (p->n_runs == p->cap_runs) {
        uint32_t cap = p->cap_runs ? p->cap_runs * 2 : 16;
        avro_run *x = mem_resize(p->m, p->runs, sizeof *x * p->cap_runs, sizeof *x * cap);
        if (!x)
            return error_nomem(err);
        p->runs = x;
        p->cap_runs = cap;
    }
    p->runs[p->n_runs++] = (avro_run){.offset = at, .bytes = bytes, .row = row, .rows = rows};
    return FZ_OK;
}

static fz_status find_runs(avro_file *p, io_file *f, fz_error *err)
{
    for (uint64_t at = p->body; at < p->size;) {
        uint8_t head[HEAD_BYTES];
        size_t n = p->size - at < HEAD_BYTES ? (size_t)(p->size - at) : HEAD_BYTES;
        TRY(io_read(f, at, head, n, err));
        avro_cursor c = {.p = head, .end = head + n};
        int64_t rows = avro_varint(&c), size = avro_varint(&c);
        if (c.bad)
            return avro_damaged(p, at, c.bad, err);
        uint64_t used = (uint64_t)(c.p - head), left = p->size - at - used;
        if (rows < 0 || size < 0 || left < 16 || (uint64_t)size > left - 16)
            return avro_damaged(p, at, "a block passes the end of the file", err);
        if (rows && (p->root->min_size == 0 || size == 0))
            return avro_damaged(p, at, "a block of more records than it has bytes for", err);
        TRY(add_block(p, at, used + (uint64_t)size + 16, rows, err));
        at += used + (uint64_t)size + 16;
    }
    return FZ_OK;
}

fz_status avro_file_runs(avro_file *p, io_file *f, const avro_run **runs, uint32_t *n, fz_error *err)
{
    fz_status st = FZ_OK;
    pthread_mutex_lock(&p->lock);
    if (!p->indexed) {
        p->n_runs = 0;
        st = find_runs(p, f, err);
        p->indexed = st == FZ_OK;
    }
    *runs = p->runs;
    *n = p->n_runs;
    pthread_mutex_unlock(&p->lock);
    return st;
}
