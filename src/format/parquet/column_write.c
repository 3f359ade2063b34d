/*
 * column_write.c: a column of a file being written: stage to pages, pages to a chunk.
 *
 *   sampling ──(stage full or chunk ends)──> column_decide ──> pages of the sample
 *      ^                                                            │
 *      │ chunk came out larger than planned, or its dictionary      v
 *      └──────────── was given up: the next chunk ────────── one page at a time
 *
 * The dictionary is given up when it would pass dict_bytes, or when POOR_PAGES pages in a row
 * cost more with it than they would without. Pages after that use plan.plain; those before stay.
 *
 * Finished pages are header and body in one block, compressed, in the order of the file; a
 * chunk's dictionary page is made last, when it is complete, and written first.
 */
#include "base/fault.h"
#include "codec/rle_encode.h"
#include "format/parquet/column_write_int.h"

#include <libdeflate.h>

#define POOR_PAGES  4
#define SAMPLE_ROWS 65536
#define BLOCK_FIRST 256         /* rows of nested columns that are shredded at a time, at first … */
#define BLOCK_ENTRIES 16384     /* … and entries that blocks aim at; texts are larger */
#define BLOCK_ENTRIES_TEXT 1024

/* ---- scratch ---- */

column_scratch *scratch_new(mem *m)
{
    column_scratch *s = mem_zalloc(m, sizeof *s);
    if (!s)
        return NULL;
    sbuf_init(&s->header, m);
    if (!(s->codec = codec_ctx_new(m))) {
        scratch_free(s, m);
        return NULL;
    }
    return s;
}

void scratch_free(column_scratch *s, mem *m)
{
    codec_ctx_free(s->codec);
    shred_level_free(&s->shred[0], m);
    shred_level_free(&s->shred[1], m);
    mem_free(m, s->codes_mem, s->codes_cap);
    mem_free(m, s->body, s->body_cap);
    mem_free(m, s->packed, s->packed_cap);
    mem_free(m, s->trial, s->trial_cap);
    sbuf_free(&s->header);
    mem_free(m, s, sizeof *s);
}

fz_status scratch_room(uint8_t **p, size_t *cap, size_t want, mem *m, fz_error *err)
{
    if (want <= *cap)
        return FZ_OK;
    mem_free(m, *p, *cap);
    *cap = 0;
    if (!(*p = mem_alloc(m, want)))
        return error_nomem(err);
    *cap = want;
    return FZ_OK;
}

/* ---- opening and closing ---- */

void column_open(column_writer *c, const file_leaf *l, const pq_schema_element *e, const pq_write_options *o, mem *m)
{
    *c = (column_writer){.o = o, .m = m, .leaf = l, .name = l->name, .t = l->t, .ph = type_phys(l->t),
                         .physical = e->type, .max_def = l->max_def, .max_rep = l->max_rep, .block = BLOCK_FIRST};
    c->utf8 = l->t.id == T_STRING;
    c->single = e->type == PQ_FLOAT;
    c->bytes = e->type == PQ_BYTE_ARRAY || e->type == PQ_FIXED;
    c->kind = !c->bytes ? (e->type == PQ_FLOAT || e->type == PQ_DOUBLE ? BOUND_FLOAT : BOUND_INT)
              : l->t.id == T_DECIMAL ? BOUND_SIGNED_BYTES : BOUND_BYTES;
    c->width = e->type == PQ_BYTE_ARRAY ? 0 : e->type == PQ_FIXED ? (uint32_t)e->type_length
               : e->type == PQ_INT32 || e->type == PQ_FLOAT ? 4 : e->type == PQ_BOOLEAN ? 1 : 8;
    c->ld.m = c->td.m = m;
    c->td.prefixed = c->width == 0;
    int64_t fit = o->page_bytes / (c->bytes ? 4 : c->width), rows = fit < o->page_rows ? fit : o->page_rows;
    /* Pages end where a reader's batches and morsels end: nobody decompresses one for a part of it. */
    if (rows > BATCH_ROWS)
        rows -= rows % BATCH_ROWS;
    c->page_rows = rows < 1 ? 1 : rows > 1 << 22 ? 1 << 22 : (uint32_t)rows;
    for (uint32_t i = 0; i < o->n_leaves; i++)
        if (str_eq(o->leaves[i].name, l->name))
            c->want = &o->leaves[i];
    c->page_entries = fit < 1 ? 1 : fit > 1 << 22 ? 1 << 22 : (uint32_t)fit;
}

static void blobs_free(page_blob *p, mem *m)
{
    while (p) {
        page_blob *next = p->next;
        mem_free(m, p, p->alloc);
        p = next;
    }
}

void chunk_free(chunk *k, mem *m)
{
    if (!k)
        return;
    blobs_free(k->dict, m);
    blobs_free(k->first, m);
    mem_free(m, k->pages, k->cap_pages * sizeof *k->pages);
    mem_free(m, k->bloom, k->bloom_cap);
    bounds_free(&k->b, m);
    sbuf_free(&k->column_index);
    arena_free(&k->a);
    mem_free(m, k, sizeof *k);
}

void column_free(column_writer *c)
{
    if (!c->o)
        return;
    chunk_free(c->ch, c->m);
    stage_free(&c->stage, c->m);
    lane_dict_free(&c->ld);
    text_dict_free(&c->td);
    bounds_free(&c->b, c->m);
    c->ch = NULL;
}

static fz_status chunk_begin(column_writer *c, fz_error *err)
{
    chunk *k = mem_zalloc(c->m, sizeof *k);
    if (!k)
        return error_nomem(err);
    arena_init(&k->a, c->m);
    sbuf_init(&k->column_index, c->m);
    k->meta = (pq_column_chunk){.type = c->physical, .dictionary_page_offset = -1, .offset_index_offset = -1,
                                .column_index_offset = -1, .bloom_offset = -1};
    c->ch = k;
    c->sampling = !c->plan.known;
    c->dict_on = c->sampling ? c->bytes : c->plan.dict;
    c->poor_pages = 0;
    uint32_t pages = SAMPLE_ROWS / c->page_rows + 1;
    c->stage.cap = c->sampling ? pages * c->page_rows : c->page_rows;
    c->stage.cap_entries = c->sampling && c->page_entries < SAMPLE_ROWS ? SAMPLE_ROWS : c->page_entries;
    return FZ_OK;
}

/* ---- pages ---- */

/* The body (n bytes in s->body) with its header, compressed behind its first `plain` bytes if the chunk is, as a block. */
static fz_status finish_page(column_writer *c, column_scratch *s, pq_page_header *h, size_t n, size_t plain, page_blob **out,
                             fz_error *err)
{
    const uint8_t *body = s->body;
    size_t size = n;
    TRY(fault_point("parquet.write.page", err));
    if (n > INT32_MAX)
        return error_set(err, FZ_LIMIT, "a page of %zu bytes in column \"" STR_FMT "\"; Parquet allows 2 GB", n,
                         STR_ARG(c->name));
    if (c->plan.codec != PQ_UNCOMPRESSED) {
        codec_id codec = codec_of(c->plan.codec);
        int level = c->o->codec_level ? c->o->codec_level : c->o->codec < 0 ? 1 : 0;
        size_t cap = codec_bound(codec, n - plain);
        TRY(scratch_room(&s->packed, &s->packed_cap, plain + cap, c->m, err));
        TRY(codec_compress(s->codec, codec, level, s->body + plain, n - plain, s->packed + plain, cap, &size, err));
        size += plain;
        if (size > INT32_MAX)
            return error_set(err, FZ_LIMIT, "a compressed page of %zu bytes", size);
        h->v2_compressed = h->type == PQ_PAGE_DATA_V2 && size < n;
        if (h->type != PQ_PAGE_DATA_V2 || h->v2_compressed) {
            if (plain)
                memcpy(s->packed, s->body, plain);
            body = s->packed;
        } else {
            size = n; /* version 2 may leave a page as it is */
        }
    }
    h->uncompressed_size = (int32_t)n;
    h->compressed_size = (int32_t)size;
    h->has_crc = true;
    h->crc = libdeflate_crc32(0, body, size);
    sbuf_clear(&s->header);
    pq_write_page_header(&s->header, h);
    size_t alloc = sizeof(page_blob) + s->header.n + size;
    page_blob *p = s->header.failed ? NULL : mem_alloc(c->m, alloc);
    if (!p)
        return error_nomem(err);
    *p = (page_blob){.alloc = alloc, .size = (uint32_t)(s->header.n + size)};
    memcpy(p->data, s->header.p, s->header.n);
    memcpy(p->data + s->header.n, body, size);
    chunk *k = c->ch;
    k->meta.total_uncompressed_size += (int64_t)(s->header.n + n);
    k->meta.total_compressed_size += p->size;
    atomic_fetch_add_explicit(&c->done_bytes, p->size, memory_order_relaxed);
    *out = p;
    return FZ_OK;
}

static void count_encoding(chunk *k, pq_page_type page, pq_encoding e)
{
    k->meta.encodings |= 1u << e;
    uint32_t i = 0;
    while (i < k->meta.n_encoding_stats &&
           (k->meta.encoding_stats[i].page_type != page || k->meta.encoding_stats[i].encoding != e))
        i++;
    if (i == k->meta.n_encoding_stats) {
        if (i == sizeof k->meta.encoding_stats / sizeof k->meta.encoding_stats[0])
            return;
        k->meta.encoding_stats[k->meta.n_encoding_stats++] = (pq_encoding_stat){page, e, 0};
    }
    k->meta.encoding_stats[i].count++;
}

/* What one page takes of the stage. */
typedef struct page_span {
    uint32_t entry, entries, rows;
    uint32_t value, values;
} page_span;

static fz_status note_new(chunk *k, mem *m, const page_span *x, page_note **out, fz_error *err)
{
    if (k->n_pages == k->cap_pages) {
        uint32_t cap = k->cap_pages ? k->cap_pages * 2 : 16;
        page_note *p = mem_resize(m, k->pages, k->cap_pages * sizeof *p, cap * sizeof *p);
        if (!p)
            return error_nomem(err);
        k->pages = p;
        k->cap_pages = cap;
    }
    *out = &k->pages[k->n_pages++];
    **out = (page_note){.rows = x->rows, .entries = x->entries, .nulls = x->entries - x->values};
    return FZ_OK;
}

/* Adds a page whose levels and values lie in the body. */
static fz_status add_page(column_writer *c, column_scratch *s, size_t n, pq_encoding enc, page_note *note, fz_error *err)
{
    chunk *k = c->ch;
    page_blob *p;
    bool v2 = c->o->page_version == 2;
    pq_page_header h = {.type = v2 ? PQ_PAGE_DATA_V2 : PQ_PAGE_DATA, .num_values = (int32_t)note->entries, .encoding = enc,
                        .def_encoding = PQ_ENC_RLE, .rep_encoding = PQ_ENC_RLE, .num_nulls = (int32_t)note->nulls,
                        .num_rows = (int32_t)note->rows, .rep_length = (int32_t)s->rep_len,
                        .def_length = (int32_t)s->def_len};
    TRY(finish_page(c, s, &h, n, v2 ? (size_t)s->rep_len + s->def_len : 0, &p, err));
    note->size = p->size;
    k->values += note->entries;
    k->nulls += note->nulls;
    if (k->last)
        k->last->next = p;
    else
        k->first = p;
    k->last = p;
    count_encoding(k, h.type, enc);
    if (c->max_def)
        k->meta.encodings |= 1u << PQ_ENC_RLE;
    return FZ_OK;
}

/* The text bounds of a page: its own, cut, for the column index; whole for the chunk. */
static fz_status note_text(column_writer *c, page_note *note, const uint8_t *lo, size_t lo_n, const uint8_t *hi,
                           size_t hi_n, fz_error *err)
{
    chunk *k = c->ch;
    size_t max = (size_t)c->o->bounds_truncate;
    bool cuts = c->kind == BOUND_BYTES && c->t.id != T_UUID;
    size_t a = cuts ? text_cut(lo, lo_n, max, c->utf8) : lo_n, b = cuts ? text_cut(hi, hi_n, max, c->utf8) : hi_n;
    char *p = arena_strndup(&k->a, (const char *)lo, a), *q = arena_strndup(&k->a, (const char *)hi, b);
    if (!p || !q)
        return error_nomem(err);
    if (b < hi_n && !text_round_up((uint8_t *)q, &b, c->utf8)) {
        b = hi_n;
        if (!(q = arena_strndup(&k->a, (const char *)hi, b)))
            return error_nomem(err);
    }
    note->has_bounds = true;
    note->min = (str){p, a};
    note->max = (str){q, b};
    return bounds_add_text(&k->b, c->kind, lo, lo_n, hi, hi_n, c->m, err);
}

static fz_status page_of_codes(column_writer *c, column_scratch *s, const uint32_t *codes, size_t n, size_t at,
                               size_t *size, uint32_t entries, fz_error *err)
{
    c->ch->dict_pages++;
    return encode_codes(s, c->m, codes, n, code_width(entries, c->plan.whole_bytes), at, size, err);
}

/* ---- pages of lanes ---- */

static void give_up_dict(column_writer *c)
{
    c->dict_on = false;
    c->plan.known = false; /* the next chunk looks anew */
}

/* Codes of a page, if the dictionary holds them and they pay. */
static fz_status lanes_by_dict(column_writer *c, column_scratch *s, const uint64_t *lanes, uint32_t n,
                               const bounds *b, size_t at, size_t *size, bool *done, fz_error *err)
{
    column_stage *g = &c->stage;
    uint32_t before = c->ld.n, distinct = g->constant ? 1 : n;
    bool full;
    *done = false;
    TRY(scratch_room(&s->codes_mem, &s->codes_cap, n * sizeof(uint32_t), c->m, err));
    uint32_t *codes = (uint32_t *)(void *)s->codes_mem;
    TRY(lane_dict_codes(&c->ld, lanes, distinct, c->kind == BOUND_INT, b->imin, b->imax, dict_max(c), codes, &full, err));
    if (full) {
        give_up_dict(c);
        return FZ_OK;
    }
    for (uint32_t i = distinct; i < n; i++)
        codes[i] = codes[0];
    TRY(page_of_codes(c, s, codes, n, at, size, c->ld.n, err));
    double cost = (double)(*size - at) + (double)(c->ld.n - before) * c->width;
    c->poor_pages = cost > c->plan.plain_cost * n + 64 ? c->poor_pages + 1 : 0;
    if (c->poor_pages >= POOR_PAGES)
        give_up_dict(c);
    *done = true;
    return FZ_OK;
}

static fz_status page_of_lanes(column_writer *c, column_scratch *s, const page_span *x, fz_error *err)
{
    column_stage *g = &c->stage;
    chunk *k = c->ch;
    page_note *note = NULL;
    uint32_t n = x->values;
    const uint64_t *lanes = g->constant ? g->lanes : g->lanes + x->value;
    size_t at, size;
    bool done = false;
    TRY(note_new(k, c->m, x, &note, err));
    uint32_t seen = g->constant && n ? 1 : n;
    uint32_t nans = bounds_add_lanes(&note->b, c->kind, c->single, lanes, seen);
    k->nans += seen && nans == seen ? n : nans;
    note->has_bounds = note->b.any;
    note->nan_only = n && !note->b.any;
    if (note->b.any && c->kind == BOUND_INT) {
        bounds_add_lanes(&k->b, c->kind, false, (const uint64_t *)&note->b.imin, 1);
        bounds_add_lanes(&k->b, c->kind, false, (const uint64_t *)&note->b.imax, 1);
    } else if (note->b.any) {
        k->b.fmin = k->b.any && k->b.fmin < note->b.fmin ? k->b.fmin : note->b.fmin;
        k->b.fmax = k->b.any && k->b.fmax > note->b.fmax ? k->b.fmax : note->b.fmax;
        k->b.any = true;
    }
    TRY(encode_levels(c, s, x->entry, x->entries, &at, err));
    if (c->dict_on)
        TRY(lanes_by_dict(c, s, lanes, n, &note->b, at, &size, &done, err));
    if (done)
        return add_page(c, s, size, PQ_ENC_RLE_DICTIONARY, note, err);
    TRY(bloom_add_lanes(c, lanes, seen, err));
    TRY(stage_spread(c, err));
    TRY(encode_lanes(c, s, g->lanes + x->value, n, c->plan.plain, at, &size, err));
    return add_page(c, s, size, c->plan.plain, note, err);
}

/* ---- pages of text ---- */

/* Least and greatest of the entries that a page uses: each is looked at once. */
static fz_status bounds_of_codes(column_writer *c, const uint32_t *codes, uint32_t n, page_note *note, fz_error *err)
{
    text_dict *d = &c->td;
    if (!n)
        return FZ_OK;
    uint32_t lo = codes[0], hi = codes[0], stamp = ++c->stamp;
    for (uint32_t i = 0; i < n; i++) {
        struct text_entry *e = &d->entries[codes[i]];
        if (e->stamp == stamp)
            continue;
        e->stamp = stamp;
        const uint8_t *p = text_dict_at(d, codes[i]);
        if (bytes_cmp(c->kind, p, e->len, text_dict_at(d, lo), d->entries[lo].len) < 0)
            lo = codes[i];
        if (bytes_cmp(c->kind, p, e->len, text_dict_at(d, hi), d->entries[hi].len) > 0)
            hi = codes[i];
    }
    return note_text(c, note, text_dict_at(d, lo), d->entries[lo].len, text_dict_at(d, hi), d->entries[hi].len, err);
}

static fz_status page_of_text_codes(column_writer *c, column_scratch *s, const page_span *x, fz_error *err)
{
    page_note *note = NULL;
    size_t at, size;
    TRY(note_new(c->ch, c->m, x, &note, err));
    TRY(bounds_of_codes(c, c->stage.codes + x->value, x->values, note, err));
    TRY(encode_levels(c, s, x->entry, x->entries, &at, err));
    TRY(page_of_codes(c, s, c->stage.codes + x->value, x->values, at, &size, c->td.n, err));
    return add_page(c, s, size, PQ_ENC_RLE_DICTIONARY, note, err);
}

/* Where the values that lie in stage.plain from `from` on start, and their lengths. */
static fz_status find_values(column_writer *c, column_scratch *s, uint32_t n, size_t from, byte_values *v, size_t *bytes,
                             fz_error *err)
{
    TRY(scratch_room(&s->codes_mem, &s->codes_cap, (size_t)n * 2 * sizeof(uint32_t), c->m, err));
    uint32_t *off = (uint32_t *)(void *)s->codes_mem, *lens = off + n;
    size_t at = from, head = c->width ? 0 : 4;
    *bytes = 0;
    for (uint32_t i = 0; i < n; i++) {
        at += head;
        lens[i] = stage_plain_len(c, at);
        off[i] = (uint32_t)(at - from);
        at += lens[i];
        *bytes += lens[i];
    }
    *v = (byte_values){c->stage.plain + from, off, lens, n};
    return FZ_OK;
}

/* The values lie at `from` in the stage's plain bytes; lo, hi: offsets of the bounds. */
static fz_status page_of_plain(column_writer *c, column_scratch *s, const page_span *x, size_t from, size_t len, size_t lo,
                               size_t hi, fz_error *err)
{
    const uint8_t *p = c->stage.plain;
    page_note *note = NULL;
    size_t at;
    byte_values v;
    TRY(note_new(c->ch, c->m, x, &note, err));
    if (x->values)
        TRY(note_text(c, note, p + lo, stage_plain_len(c, lo), p + hi, stage_plain_len(c, hi), err));
    TRY(encode_levels(c, s, x->entry, x->entries, &at, err));
    if (c->plan.plain != PQ_ENC_PLAIN && len <= UINT32_MAX) {
        TRY(find_values(c, s, x->values, from, &v, &len, err));
        TRY(encode_bytes(c, s, &v, len, c->plan.plain, at, &at, err));
        return add_page(c, s, at, c->plan.plain, note, err);
    }
    TRY(body_room(s, c->m, at, len, err));
    if (len)
        memcpy(s->body + at, p + from, len);
    return add_page(c, s, at + len, PQ_ENC_PLAIN, note, err);
}

/* ---- the stage as pages ---- */

static inline bool row_starts(const column_writer *c, uint32_t entry) { return !c->max_rep || c->stage.rep[entry] == 0; }

/* Plain text: pages end at page_bytes too, unless little is left then. */
static fz_status plain_pages(column_writer *c, column_scratch *s, fz_error *err)
{
    column_stage *g = &c->stage;
    page_span x = {0};
    size_t at = 0, head = c->width ? 0 : 4, max = (size_t)c->o->page_bytes;
    while (x.entry < g->entries) {
        size_t from = at, lo = 0, hi = 0;
        x.entries = x.rows = x.values = 0;
        for (uint32_t e; (e = x.entry + x.entries) < g->entries; x.entries++) {
            bool starts = row_starts(c, e);
            if (starts && x.rows && (x.rows >= c->page_rows || (at - from >= max && g->plain_n - at >= max / 4)))
                break;
            x.rows += starts;
            if (g->has_nulls && !bit_get(g->valid, e))
                continue;
            size_t off = at + head;
            uint32_t len = stage_plain_len(c, off);
            TRY(bloom_add_bytes(c, g->plain + off, len, err));
            if (x.values == 0 || bytes_cmp(c->kind, g->plain + off, len, g->plain + lo, stage_plain_len(c, lo)) < 0)
                lo = off;
            if (x.values == 0 || bytes_cmp(c->kind, g->plain + off, len, g->plain + hi, stage_plain_len(c, hi)) > 0)
                hi = off;
            at = off + len;
            x.values++;
        }
        TRY(page_of_plain(c, s, &x, from, at - from, lo, hi, err));
        x.entry += x.entries;
        x.value += x.values;
    }
    return FZ_OK;
}

/* How much of the stage the page from x->entry takes; within lists it ends with a row, unless little is left then. */
static void span_page(const column_writer *c, page_span *x)
{
    const column_stage *g = &c->stage;
    uint32_t left = g->entries - x->entry, n = left < c->page_rows ? left : c->page_rows;
    x->rows = n;
    if (c->max_rep) {
        for (n = 0, x->rows = 0; n < left; n++) {
            if (g->rep[x->entry + n])
                continue;
            if (x->rows == c->page_rows || (n >= c->page_entries && left - n >= c->page_entries / 4))
                break;
            x->rows++;
        }
    }
    x->entries = x->values = n;
    if (g->has_nulls) {
        x->values = 0;
        for (uint32_t i = 0; i < n; i += 64)
            x->values += (uint32_t)__builtin_popcountll(bits_at(g->valid, x->entry + i, x->entry + n));
    }
}

static fz_status stage_pages(column_writer *c, column_scratch *s, fz_error *err)
{
    page_span x = {0};
    if (c->bytes && !c->dict_on)
        return plain_pages(c, s, err);
    while (x.entry < c->stage.entries) {
        span_page(c, &x);
        if (c->bytes)
            TRY(page_of_text_codes(c, s, &x, err));
        else
            TRY(page_of_lanes(c, s, &x, err));
        x.entry += x.entries;
        x.value += x.values;
    }
    return FZ_OK;
}

/* Makes pages of what is staged; the first time in a chunk without a plan, makes the plan. */
static fz_status stage_flush(column_writer *c, column_scratch *s, bool last, fz_error *err)
{
    if (c->sampling) {
        TRY(column_decide(c, s, last, err));
        c->sampling = false;
        c->stage.cap = c->page_rows;
        c->stage.cap_entries = c->page_entries;
        c->dict_on = c->plan.dict;
        if (c->bytes && !c->dict_on) {
            TRY(stage_to_plain(c, err));
            text_dict_clear(&c->td);
        }
    }
    TRY(stage_pages(c, s, err));
    stage_clear(&c->stage);
    return FZ_OK;
}

/* A text dictionary that grew too large: what is staged becomes its last page. */
static fz_status check_text_dict(column_writer *c, column_scratch *s, fz_error *err)
{
    if (!c->dict_on || (int64_t)c->td.blob_n <= c->o->dict_bytes)
        return FZ_OK;
    if (c->sampling)
        return stage_flush(c, s, false, err);
    TRY(stage_flush(c, s, false, err));
    give_up_dict(c);
    return FZ_OK;
}

/* What is staged counts towards a row group's size, or a sample of wide rows would go unseen. */
static void count_staged(column_writer *c)
{
    const column_stage *g = &c->stage;
    double n = g->values, each = c->bytes && n > 0 ? (double)g->value_bytes / n : c->width;
    double bytes = g->constant ? 0 : c->plan.known ? n * c->plan.bytes_per_value : n * each / 4;
    atomic_store_explicit(&c->staged_bytes, (int64_t)bytes, memory_order_relaxed);
}

/* A block of rows of a nested column. Its size follows from how many entries blocks before had. */
static fz_status add_block(column_writer *c, column_scratch *s, const vec *v, const uint16_t *sel, uint32_t from,
                           uint32_t n, uint32_t *taken, fz_error *err)
{
    shredded x;
    uint32_t room = c->stage.cap - c->stage.rows, aim = c->bytes ? BLOCK_ENTRIES_TEXT : BLOCK_ENTRIES;
    n = n < room ? n : room;
    n = n < c->block ? n : c->block;
    TRY(shred(c, s, v, sel, from, n, &x, err));
    *taken = n;
    TRY(stage_add_entries(c, &x, n, err));
    uint64_t fit = (uint64_t)n * aim / x.n;
    c->block = fit < 1 ? 1 : fit > BATCH_ROWS ? BATCH_ROWS : (uint32_t)fit;
    return FZ_OK;
}

fz_status column_add(column_writer *c, column_scratch *s, const vec *v, const uint16_t *sel, uint32_t from,
                     uint32_t n, fz_error *err)
{
    const vec *plain = shred_plain_path(c, v);
    if (!c->ch)
        TRY(chunk_begin(c, err));
    while (n) {
        uint32_t taken;
        TRY(plain ? stage_add(c, s, plain, sel, from, n, &taken, err) : add_block(c, s, v, sel, from, n, &taken, err));
        from += taken;
        n -= taken;
        if (c->bytes)
            TRY(check_text_dict(c, s, err));
        if (stage_full(c))
            TRY(stage_flush(c, s, false, err));
    }
    count_staged(c);
    return FZ_OK;
}

/* ---- the chunk's end ---- */

static fz_status dict_page(column_writer *c, column_scratch *s, fz_error *err)
{
    chunk *k = c->ch;
    uint32_t n = c->bytes ? c->td.n : c->ld.n;
    size_t size = c->td.blob_n;
    if (!k->dict_pages)
        return FZ_OK;
    if (c->bytes) {
        TRY(body_room(s, c->m, 0, size, err));
        if (size)
            memcpy(s->body, c->td.blob, size);
    } else {
        TRY(encode_lanes(c, s, c->ld.values, n, PQ_ENC_PLAIN, 0, &size, err));
    }
    pq_page_header h = {.type = PQ_PAGE_DICT, .num_values = (int32_t)n, .encoding = PQ_ENC_PLAIN};
    TRY(finish_page(c, s, &h, size, 0, &k->dict, err));
    count_encoding(k, PQ_PAGE_DICT, PQ_ENC_PLAIN);
    return FZ_OK;
}

/* A number as PLAIN has it; min of floats: -0 for 0, max: +0, as the format asks. */
static str number_bound(const column_writer *c, const bounds *b, bool max, arena *a)
{
    uint64_t bits;
    double f = max ? b->fmax : b->fmin;
    if (c->kind == BOUND_INT) {
        bits = (uint64_t)(max ? b->imax : b->imin);
    } else {
        f = f == 0 ? (max ? 0.0 : -0.0) : f;
        if (c->single) {
            float g = (float)f;
            uint32_t u;
            memcpy(&u, &g, 4);
            bits = u;
        } else {
            memcpy(&bits, &f, 8);
        }
    }
    char tmp[8];
    for (unsigned i = 0; i < 8; i++)
        tmp[i] = (char)(bits >> 8 * i);
    return (str){arena_strndup(a, tmp, c->width), c->width};
}

/* Minimum and maximum of the chunk; text cut at bounds_truncate. */
static fz_status chunk_statistics(column_writer *c, fz_error *err)
{
    chunk *k = c->ch;
    pq_statistics *st = &k->meta.stats;
    if (c->want && c->want->no_stats)
        return FZ_OK;
    st->has_null_count = true;
    st->null_count = k->nulls;
    st->has_nan_count = c->kind == BOUND_FLOAT;
    st->nan_count = k->nans;
    if (!k->b.any)
        return FZ_OK;
    if (!c->bytes) {
        st->min = number_bound(c, &k->b, false, &k->a);
        st->max = number_bound(c, &k->b, true, &k->a);
        st->has_min = st->has_max = st->min_exact = st->max_exact = true;
        return st->min.p && st->max.p ? FZ_OK : error_nomem(err);
    }
    const text_bound *lo = &k->b.tmin, *hi = &k->b.tmax;
    bool cuts = c->kind == BOUND_BYTES && c->t.id != T_UUID;
    size_t max = (size_t)c->o->bounds_truncate, a = lo->n, b = hi->n;
    if (cuts) {
        a = text_cut(lo->p, lo->n, max < BOUND_MAX ? max : BOUND_MAX - 1, c->utf8);
        b = text_cut(hi->p, hi->n, max < BOUND_MAX ? max : BOUND_MAX - 1, c->utf8);
    }
    char *p = arena_strndup(&k->a, (const char *)lo->p, a), *q = arena_strndup(&k->a, (const char *)hi->p, b);
    if (!p || !q)
        return error_nomem(err);
    st->has_min = true;
    st->min_exact = a == lo->n && !lo->cut;
    st->min = (str){p, a};
    st->max_exact = b == hi->n && !hi->cut;
    st->has_max = st->max_exact || text_round_up((uint8_t *)q, &b, c->utf8);
    st->max = (str){q, b};
    return FZ_OK;
}

static int note_cmp(const column_writer *c, const page_note *a, const page_note *b, bool max)
{
    if (c->bytes) {
        str x = max ? a->max : a->min, y = max ? b->max : b->min;
        return bytes_cmp(c->kind, (const uint8_t *)x.p, x.n, (const uint8_t *)y.p, y.n);
    }
    if (c->kind == BOUND_INT) {
        int64_t x = max ? a->b.imax : a->b.imin, y = max ? b->b.imax : b->b.imin;
        return x < y ? -1 : x > y;
    }
    double x = max ? a->b.fmax : a->b.fmin, y = max ? b->b.fmax : b->b.fmin;
    return x < y ? -1 : x > y;
}

static int boundary_order(const column_writer *c, const chunk *k)
{
    bool up = true, down = true;
    const page_note *before = NULL;
    for (uint32_t i = 0; i < k->n_pages; i++) {
        const page_note *n = &k->pages[i];
        if (!n->has_bounds)
            continue;
        if (before) {
            int lo = note_cmp(c, before, n, false), hi = note_cmp(c, before, n, true);
            up &= lo <= 0 && hi <= 0;
            down &= lo >= 0 && hi >= 0;
        }
        before = n;
    }
    return up ? 1 : down ? 2 : 0;
}

static fz_status chunk_column_index(column_writer *c, fz_error *err)
{
    chunk *k = c->ch;
    uint32_t n = k->n_pages;
    if (c->want && c->want->no_stats)
        return FZ_OK;
    for (uint32_t i = 0; i < n; i++)
        if (k->pages[i].nan_only)
            return FZ_OK; /* such a page has no bounds and isn't a null page: no index then */
    pq_column_index x = {.n = n, .boundary_order = boundary_order(c, k)};
    x.null_pages = ARENA_ARRAY(&k->a, bool, n);
    x.min = ARENA_ARRAY(&k->a, str, n);
    x.max = ARENA_ARRAY(&k->a, str, n);
    x.null_counts = ARENA_ARRAY(&k->a, int64_t, n);
    if (!x.null_pages || !x.min || !x.max || !x.null_counts)
        return error_nomem(err);
    for (uint32_t i = 0; i < n; i++) {
        page_note *p = &k->pages[i];
        x.null_pages[i] = p->nulls == p->entries;
        x.null_counts[i] = p->nulls;
        if (!p->has_bounds)
            continue;
        x.min[i] = c->bytes ? p->min : number_bound(c, &p->b, false, &k->a);
        x.max[i] = c->bytes ? p->max : number_bound(c, &p->b, true, &k->a);
        if (!x.min[i].p || !x.max[i].p)
            return error_nomem(err);
    }
    pq_write_column_index(&k->column_index, &x);
    return k->column_index.failed ? error_nomem(err) : FZ_OK;
}

/* What Iceberg's metrics add up over the file. */
static fz_status count_metrics(column_writer *c, fz_error *err)
{
    chunk *k = c->ch;
    c->size_bytes += k->meta.total_compressed_size;
    c->value_count += k->values;
    c->null_count += k->nulls;
    c->nan_count += k->nans;
    if (!k->b.any)
        return FZ_OK;
    if (c->bytes) {
        /* A chunk's bounds that are cut count as cut here too. */
        bool cut_min = k->b.tmin.cut, cut_max = k->b.tmax.cut;
        TRY(bounds_add_text(&c->b, c->kind, k->b.tmin.p, k->b.tmin.n, k->b.tmax.p, k->b.tmax.n, c->m, err));
        if (cut_min && c->b.tmin.n == BOUND_MAX && memcmp(c->b.tmin.p, k->b.tmin.p, BOUND_MAX) == 0)
            c->b.tmin.cut = true;
        if (cut_max && c->b.tmax.n == BOUND_MAX && memcmp(c->b.tmax.p, k->b.tmax.p, BOUND_MAX) == 0)
            c->b.tmax.cut = true;
        return FZ_OK;
    }
    if (c->kind == BOUND_INT) {
        bounds_add_lanes(&c->b, c->kind, false, (const uint64_t *)&k->b.imin, 1);
        bounds_add_lanes(&c->b, c->kind, false, (const uint64_t *)&k->b.imax, 1);
        return FZ_OK;
    }
    c->b.fmin = c->b.any && c->b.fmin < k->b.fmin ? c->b.fmin : k->b.fmin;
    c->b.fmax = c->b.any && c->b.fmax > k->b.fmax ? c->b.fmax : k->b.fmax;
    c->b.any = true;
    return FZ_OK;
}

/* A plan that this chunk has outgrown is dropped. */
static void check_plan(column_writer *c)
{
    const chunk *k = c->ch;
    int64_t n = k->values - k->nulls;
    if (n && (double)k->meta.total_compressed_size / (double)n > c->plan.bytes_per_value * 1.3 + 0.25)
        c->plan.known = false;
}

fz_status column_end_chunk(column_writer *c, column_scratch *s, chunk **out, fz_error *err)
{
    if (!c->ch)
        TRY(chunk_begin(c, err));
    TRY(stage_flush(c, s, true, err));
    chunk *k = c->ch;
    TRY(dict_page(c, s, err));
    TRY(bloom_finish(c, err));
    k->meta.num_values = k->values;
    k->meta.codec = c->plan.codec;
    TRY(chunk_statistics(c, err));
    TRY(chunk_column_index(c, err));
    TRY(count_metrics(c, err));
    check_plan(c);
    lane_dict_clear(&c->ld);
    text_dict_clear(&c->td);
    count_staged(c);
    c->ch = NULL;
    *out = k;
    return FZ_OK;
}
