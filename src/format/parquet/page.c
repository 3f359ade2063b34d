/*
 * page.c: the pages of a column chunk, in order: fetched in windows, checked, decompressed.
 *
 * A chunk is read through a window of about a megabyte that moves over it; a chunk that is smaller
 * is one request. Bytes that the old window shares with the new one are moved, not read again.
 * Window and decompressed pages are refcounted: vectors may point into them, then the next window or
 * page gets new memory; otherwise memory is used again.
 *
 * Nothing in a header is believed: a page lies within its chunk, its checksum is right if it has
 * one, and it can't be larger than its codec could have made it from its bytes.
 */
#include "format/parquet/read_int.h"

#include <libdeflate.h>

#define WINDOW (1u << 20)
#define HEADER_GUESS (16u << 10)
#define HEADER_MAX (16u << 20)   /* headers may carry long minima and maxima */
#define SHORT_CHUNK_SLACK 100    /* what writers with that defect leave out at most */

static io_range chunk_range(const pq_file *p, const pq_column_chunk *c)
{
    uint64_t start = (uint64_t)c->data_page_offset;
    if (c->dictionary_page_offset >= 0 && c->dictionary_page_offset < c->data_page_offset)
        start = (uint64_t)c->dictionary_page_offset;
    uint64_t len = (uint64_t)c->total_compressed_size;
    if (p->short_chunks) {
        uint64_t rest = p->size - start - len;
        len += rest < SHORT_CHUNK_SLACK ? rest : SHORT_CHUNK_SLACK;
    }
    return (io_range){start, len};
}

void pq_column_ranges(const pq_file *p, uint32_t row_group, uint32_t column, uint32_t max, io_range *out, uint32_t *n)
{
    const pq_node *c = p->columns[column];
    *n = 0;
    for (uint32_t i = 0; i < c->n_leaves && *n < max; i++)
        out[(*n)++] = chunk_range(p, &p->meta.row_groups[row_group].columns[c->first_leaf + i]);
}

fz_status pages_init(pq_pages *s, pq_file *p, io_file *f, const pq_column_chunk *c, mem *m, fz_error *err)
{
    *s = (pq_pages){.p = p, .f = f, .m = m, .codec = c->codec};
    io_range r = chunk_range(p, c);
    s->start = r.offset;
    s->end = r.offset + r.len;
    s->at = s->start;
    if (s->codec == PQ_UNCOMPRESSED)
        return FZ_OK;
    if (s->codec == PQ_LZO)
        return error_set(err, FZ_UNSUPPORTED, "Parquet compression codec lzo is not supported");
    if ((unsigned)s->codec > PQ_LZ4_RAW)
        return error_set(err, FZ_UNSUPPORTED, "Parquet compression codec %d is not supported", (int)s->codec);
    s->ctx = codec_ctx_new(m);
    return s->ctx ? FZ_OK : error_nomem(err);
}

void pages_inherit(pq_pages *s, pq_pages *from)
{
    if (!s->spare) {
        s->spare = from->spare;
        from->spare = NULL;
    }
    if (!s->win && from->win && atomic_load_explicit(&from->win->refs, memory_order_acquire) == 1) {
        s->win = from->win;
        s->win->size = 0; /* what lies in it is of another chunk */
        from->win = NULL;
    }
}

void pages_free(pq_pages *s)
{
    buf_unref(s->win);
    buf_unref(s->spare);
    codec_ctx_free(s->ctx);
    s->win = s->spare = NULL;
    s->ctx = NULL;
}

bool pages_done(const pq_pages *s) { return s->at >= s->end; }

/* A buf of n bytes with some room more: the next page or chunk has about that many again. */
static buf *roomy_new(mem *m, size_t n)
{
    buf *b = buf_new(m, n + n / 16);
    if (b)
        b->size = n;
    return b;
}

/* Whether *b can be written again with n bytes; replaces it where not. False: no memory. */
static bool buf_renew(buf **b, mem *m, size_t n)
{
    if (*b && atomic_load_explicit(&(*b)->refs, memory_order_acquire) == 1 && (*b)->cap >= n) {
        (*b)->size = n;
        return true;
    }
    buf_unref(*b);
    *b = roomy_new(m, n);
    return *b != NULL;
}

fz_status pages_fetch(pq_pages *s, uint64_t offset, size_t len, const uint8_t **out, fz_error *err)
{
    size_t have = 0; /* bytes from offset on that the window has */
    if (s->win && offset >= s->win_at && offset - s->win_at < s->win->size)
        have = s->win->size - (size_t)(offset - s->win_at);
    if (len <= have) {
        *out = s->win->data + (offset - s->win_at);
        return FZ_OK;
    }
    uint64_t rest = s->end - offset;
    size_t want = len > WINDOW ? len : WINDOW < rest ? WINDOW : (size_t)rest;
    buf *old = buf_ref(s->win);
    const uint8_t *from = have ? old->data + (offset - s->win_at) : NULL;
    if (old && atomic_load_explicit(&old->refs, memory_order_acquire) == 2 && old->cap >= want) {
        if (have)
            memmove(old->data, from, have);
        old->size = want;
    } else {
        buf_unref(s->win);
        s->win = roomy_new(s->m, want);
        if (!s->win) {
            buf_unref(old);
            return error_nomem(err);
        }
        if (have)
            memcpy(s->win->data, from, have);
    }
    buf_unref(old);
    s->win_at = offset;
    fz_status st = io_read(s->f, offset + have, s->win->data + have, want - have, err);
    if (st != FZ_OK) {
        buf_unref(s->win);
        s->win = NULL;
        return st;
    }
    s->fetched += want - have;
    *out = s->win->data;
    return FZ_OK;
}

static fz_status page_fail(const pq_page *g, const char *what, fz_error *err)
{
    error_set(err, FZ_DATA, "Parquet page %s", what);
    error_offset(err, (int64_t)g->at);
    return FZ_DATA;
}

fz_status pages_next(pq_pages *s, pq_page *out, fz_error *err)
{
    memset(out, 0, sizeof *out);
    out->at = s->at;
    uint64_t rest = s->end - s->at;
    size_t guess = rest < HEADER_GUESS ? (size_t)rest : HEADER_GUESS, used;
    const uint8_t *p;
    TRY(pages_fetch(s, s->at, guess, &p, err));
    fz_status st = pq_read_page_header(p, guess, s->at, &out->h, &used, rest > guess ? NULL : err);
    if (st == FZ_DATA && rest > guess) {
        guess = rest < HEADER_MAX ? (size_t)rest : HEADER_MAX;
        TRY(pages_fetch(s, s->at, guess, &p, err));
        st = pq_read_page_header(p, guess, s->at, &out->h, &used, err);
    }
    if (st != FZ_OK)
        return st;
    out->header_size = (uint32_t)used;
    out->body = s->at + used;
    if ((uint64_t)out->h.compressed_size > s->end - out->body)
        return page_fail(out, "passes the end of its column chunk", err);
    s->at = out->body + (uint64_t)out->h.compressed_size;
    return FZ_OK;
}

/* The most that n bytes of a codec can stand for: a size beyond it is a lie, and isn't allocated. */
static uint64_t codec_reach(pq_codec c, uint64_t n)
{
    switch (c) {
    case PQ_SNAPPY: return n * 32 + 64;     /* 64 bytes from a copy of 3 */
    case PQ_GZIP: return n * 1040 + 64;     /* 258 bytes from 2 bits */
    case PQ_LZ4:
    case PQ_LZ4_RAW: return n * 256 + 64;   /* 255 bytes from one of length */
    case PQ_BROTLI: return n << 24;         /* 16 MB from some bits */
    default: return n * 65536 + (1u << 17); /* zstd: blocks of 128 kB from 4 bytes */
    }
}

static codec_id codec_of(pq_codec c)
{
    static const codec_id ids[] = {[PQ_SNAPPY] = CODEC_SNAPPY, [PQ_GZIP] = CODEC_GZIP, [PQ_BROTLI] = CODEC_BROTLI,
                                   [PQ_LZ4] = CODEC_LZ4_HADOOP, [PQ_ZSTD] = CODEC_ZSTD, [PQ_LZ4_RAW] = CODEC_LZ4};
    return ids[c];
}

fz_status page_load(pq_pages *s, pq_page *g, fz_error *err)
{
    const pq_page_header *h = &g->h;
    const uint8_t *body;
    size_t n = (size_t)h->compressed_size, full = (size_t)h->uncompressed_size;
    TRY(pages_fetch(s, g->body, n, &body, err));
    if (h->has_crc && libdeflate_crc32(0, body, n) != h->crc)
        return page_fail(g, "has a wrong checksum", err);
    bool v2 = h->type == PQ_PAGE_DATA_V2;
    size_t levels = v2 ? (size_t)h->def_length + (size_t)h->rep_length : 0;
    bool plain = s->codec == PQ_UNCOMPRESSED || (v2 && !h->v2_compressed && !s->p->v2_flag_unset);
    if (plain) {
        if (n != full)
            return page_fail(g, "isn't compressed but has two sizes", err);
        g->keep = buf_ref(s->win);
        g->data = body;
        g->n = n;
        return FZ_OK;
    }
    if (full - levels > codec_reach(s->codec, n - levels))
        return page_fail(g, "is larger than its bytes can stand for", err);
    if (full > PAGE_BIG && mem_over(s->m, (int64_t)full)) {
        error_set(err, FZ_LIMIT, "Parquet page of %zu bytes doesn't fit in memory", full);
        error_offset(err, (int64_t)g->at);
        return FZ_LIMIT;
    }
    size_t pad = -levels & 63; /* values behind levels of known length start aligned */
    if (!buf_renew(&s->spare, s->m, pad + full))
        return error_nomem(err);
    uint8_t *dst = s->spare->data + pad;
    memcpy(dst, body, levels);
    if (full > levels) {
        fz_status st = codec_decompress(s->ctx, codec_of(s->codec), body + levels, n - levels, dst + levels,
                                        full - levels, err);
        if (st != FZ_OK) {
            error_offset(err, (int64_t)g->at);
            return st;
        }
    }
    g->keep = buf_ref(s->spare);
    g->data = dst;
    g->n = full;
    if (pages_done(s)) { /* the next column's window can take its place */
        buf_unref(s->win);
        s->win = NULL;
    }
    return FZ_OK;
}
