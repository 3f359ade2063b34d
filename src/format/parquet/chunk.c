/*
 * chunk.c: one leaf of one row group, front to back: its pages are entered, opened and skipped here, its
 * values are read in chunk_read.c.
 *
 * The chunk stands before row `row` of the row group, of which `pending` more are to be skipped;
 * they are skipped when something is read, so that a page that nothing is read from is never
 * decompressed, and with an offset index not even fetched.
 *
 *     no page ── page_enter (header) ──> page entered ── page_open (body) ──> page open
 *        ^                                     └────────── entries used up ───────┘ │
 *        └──────────────────────────────────────────────────────────────────────────┘
 *
 * Entries. A leaf under nothing that is repeated has one entry per row, and the numbers in page headers are
 * rows. Under lists a row has any number of entries, and in pages of version 1 it may go on in
 * the next page: repetition levels alone tell where it ends. So levels are decoded some thousand ahead
 * (`look`), until the next row begins; between reads the chunk always stands at the start of a row.
 */
#include "format/parquet/read_int.h"

#define PIECE_ROWS 8192   /* rows that are skipped at a time within a page */

/* ---- open and close ---- */

fz_status chunk_open(pq_file *p, io_file *f, uint32_t row_group, uint32_t leaf, type as, bool with_levels, bool no_values,
                     mem *m, pq_chunk **out, fz_error *err)
{
    const pq_leaf *l = &p->leaves[leaf];
    const pq_row_group *g = &p->meta.row_groups[row_group];
    const pq_column_chunk *meta = &g->columns[leaf];
    *out = NULL;
    if (!l->max_rep && meta->num_values != g->num_rows)
        return error_set(err, FZ_DATA, "Parquet column \"" STR_FMT "\" has %lld values in a row group of %lld rows",
                         STR_ARG(l->element->name), (long long)meta->num_values, (long long)g->num_rows);
    pq_conv conv = CONV_COPY;
    if (!no_values)
        TRY(conv_find(l, as, &conv, err));
    pq_chunk *c = mem_zalloc(m, sizeof *c);
    if (!c)
        return error_nomem(err);
    c->m = m;
    c->p = pq_ref(p);
    c->leaf = l;
    c->meta = meta;
    c->as = as;
    c->conv = conv;
    c->elem = no_values ? 0 : phys_size(type_phys(as));
    c->with_levels = with_levels;
    c->no_values = no_values;
    c->rows = (uint64_t)g->num_rows;
    arena_init(&c->index_mem, m);
    fz_status st = pages_init(&c->pages, p, f, meta, m, err);
    if (st == FZ_OK && l->max_rep && !(c->look = buf_new(m, 2 * LOOK)))
        st = error_nomem(err);
    if (st != FZ_OK) {
        chunk_close(c);
        return st;
    }
    *out = c;
    return FZ_OK;
}

static void page_leave(pq_chunk *c)
{
    if (c->p->prefixes_carried && c->page_open && c->values.kind == VALUES_DELTA_BYTES) {
        buf_unref(c->carried);
        c->carried = buf_ref(c->values.last);
    }
    values_close(&c->values);
    levels_close(&c->defs);
    levels_close(&c->reps);
    buf_unref(c->page.keep);
    c->page.keep = NULL;
    c->has_page = c->page_open = false;
    c->page_left = 0;
    c->look_at = c->look_n = 0;
}

void chunk_close(pq_chunk *c)
{
    if (!c)
        return;
    page_leave(c);
    buf_unref(c->carried);
    buf_unref(c->look);
    buf_unref(c->dict_values);
    buf_unref(c->dict_bytes);
    buf_unref(c->scratch[0]);
    buf_unref(c->scratch[1]);
    mem_free(c->m, c->levels.def, (c->leaf->max_rep ? 2 : 1) * (size_t)c->levels.cap);
    arena_free(&c->index_mem);
    pages_free(&c->pages);
    pq_close(c->p);
    mem_free(c->m, c, sizeof *c);
}

void chunk_inherit(pq_chunk *c, pq_chunk *from)
{
    page_leave(from);
    pages_inherit(&c->pages, &from->pages);
    for (unsigned i = 0; i < 2; i++)
        if (!c->scratch[i]) {
            c->scratch[i] = from->scratch[i];
            from->scratch[i] = NULL;
        }
}

fz_status page_bad(const pq_chunk *c, const char *what, fz_error *err)
{
    error_set(err, FZ_DATA, "Parquet page %s", what);
    error_offset(err, (int64_t)c->page.at);
    return FZ_DATA;
}

/* ---- entering and opening pages ---- */

/* Reads headers up to the next data page that has entries; without one has_page stays false. */
static fz_status page_enter(pq_chunk *c, fz_error *err)
{
    while (!pages_done(&c->pages)) {
        if (!c->data_start && !c->dict_seen)
            c->data_start = c->pages.at;
        TRY(pages_next(&c->pages, &c->page, err));
        const pq_page_header *h = &c->page.h;
        if (h->type == PQ_PAGE_DICT) {
            if (c->dict_seen || c->entered)
                return page_bad(c, "is a dictionary in the middle of a column chunk", err);
            c->dict_seen = true;
            c->dict_page = c->page;
            c->data_start = c->pages.at;
            continue;
        }
        if (h->type == PQ_PAGE_INDEX || h->num_values == 0)
            continue;
        if (!c->leaf->max_rep) {
            if (h->type == PQ_PAGE_DATA_V2 && h->num_rows != h->num_values)
                return page_bad(c, "has other numbers of rows and values", err);
            if ((uint64_t)h->num_values > c->rows - c->entered)
                return page_bad(c, "has more rows than the row group", err);
        }
        c->entered += (uint64_t)h->num_values;
        c->page_left = (uint32_t)h->num_values;
        c->has_page = true;
        return FZ_OK;
    }
    return FZ_OK;
}

static fz_status chunk_short(const pq_chunk *c, fz_error *err)
{
    error_set(err, FZ_DATA, "Parquet column chunk ends before its last row");
    error_offset(err, (int64_t)c->pages.at);
    return FZ_DATA;
}

static _Atomic uint64_t last_dict_id;

static fz_status dict_fill(pq_chunk *c, const pq_page *g, fz_error *err)
{
    uint32_t n = (uint32_t)g->h.num_values, src = source_size(c->leaf->element->type);
    pq_values v;
    fz_status st;
    buf *raw = NULL;
    TRY(values_open(&v, PQ_ENC_PLAIN, c->leaf->element->type, (uint32_t)c->leaf->element->type_length,
                    c->as.id == T_STRING, g->data, g->n, c->m, err));
    /* Every value takes at least its width, or its length's four bytes, or a bit. */
    uint64_t least = v.kind == VALUES_BITS ? 1 : v.kind == VALUES_BYTES ? 32 : (uint64_t)v.width * 8;
    if (n > (uint64_t)g->n * 8 / least) {
        error_set(err, FZ_DATA, "Parquet dictionary has fewer values than it says");
        error_offset(err, (int64_t)g->at);
        return FZ_DATA;
    }
    c->dict_values = buf_new(c->m, (size_t)(n ? n : 1) * c->elem);
    if (c->conv != CONV_COPY)
        raw = buf_new(c->m, (size_t)(n ? n : 1) * src);
    if (!c->dict_values || (c->conv != CONV_COPY && !raw)) {
        st = error_nomem(err);
        goto out;
    }
    TRY_GOTO(values_read(&v, raw ? raw->data : c->dict_values->data, n, err));
    if (raw)
        TRY_GOTO(conv_run(c->conv, raw->data, c->dict_values->data, n, err));
    if (c->as.id == T_DECIMAL)
        TRY_GOTO(decimal_check(c->as, c->dict_values->data, n, err));
    if (type_phys(c->as) == PHYS_STR)
        c->dict_bytes = buf_ref(g->keep);
    c->dict = (vec){.t = c->as, .enc = VEC_FLAT, .len = n, .data = c->dict_values->data};
    c->dict_id = 1 + atomic_fetch_add_explicit(&last_dict_id, 1, memory_order_relaxed);
out:
    buf_unref(raw);
    values_close(&v);
    return st;
}

static fz_status dict_make(pq_chunk *c, fz_error *err)
{
    if (c->dict_made)
        return FZ_OK;
    if (!c->dict_seen)
        return page_bad(c, "has dictionary codes without a dictionary", err);
    pq_page *g = &c->dict_page;
    if (g->h.encoding != PQ_ENC_PLAIN && g->h.encoding != PQ_ENC_PLAIN_DICTIONARY)
        return error_set(err, FZ_UNSUPPORTED, "Parquet dictionary encoding %d is not supported", (int)g->h.encoding);
    TRY(page_load(&c->pages, g, err));
    fz_status st = dict_fill(c, g, err);
    buf_unref(g->keep);
    g->keep = NULL;
    c->dict_made = st == FZ_OK;
    return st;
}

/* Finds the levels; *at moves to the values. */
static fz_status page_levels_open(pq_chunk *c, const uint8_t **at, size_t *n, fz_error *err)
{
    const pq_page_header *h = &c->page.h;
    if (h->type == PQ_PAGE_DATA_V2) {
        /* Some writers put repetition levels, all 0, before the others of a flat column. */
        levels_open(&c->reps, *at, (size_t)h->rep_length, c->leaf->max_rep);
        levels_open(&c->defs, *at + h->rep_length, (size_t)h->def_length, c->leaf->max_def);
        *at += h->rep_length + h->def_length;
        *n -= (size_t)h->rep_length + (size_t)h->def_length;
        return FZ_OK;
    }
    TRY(levels_open_v1(&c->reps, h->rep_encoding, c->leaf->max_rep, (uint32_t)h->num_values, at, n, c->m, err));
    return levels_open_v1(&c->defs, h->def_encoding, c->leaf->max_def, (uint32_t)h->num_values, at, n, c->m, err);
}

static fz_status page_open_at(pq_chunk *c, fz_error *err)
{
    pq_encoding enc = c->page.h.encoding;
    const uint8_t *at = c->page.data;
    size_t n = c->page.n;
    TRY(page_levels_open(c, &at, &n, err));
    if (c->no_values)
        return FZ_OK;
    TRY(values_open(&c->values, enc, c->leaf->element->type, (uint32_t)c->leaf->element->type_length,
                    c->as.id == T_STRING, at, n, c->m, err));
    if (c->values.kind == VALUES_DELTA_BYTES)
        c->values.last = buf_ref(c->carried);
    return FZ_OK;
}

static fz_status page_open(pq_chunk *c, fz_error *err)
{
    if (c->page_open)
        return FZ_OK;
    /* First the dictionary, which lies before the page: windows move forward. */
    pq_encoding enc = c->page.h.encoding;
    if (!c->no_values && (enc == PQ_ENC_PLAIN_DICTIONARY || enc == PQ_ENC_RLE_DICTIONARY))
        TRY(dict_make(c, err));
    TRY(page_load(&c->pages, &c->page, err));
    fz_status st = page_open_at(c, err);
    if (st != FZ_OK) {
        error_offset(err, (int64_t)c->page.at);
        return st;
    }
    c->page_open = true;
    return FZ_OK;
}

/* ---- jumping by the offset index ---- */

/* The offset index is an aid: any failure leaves the chunk without one. */
static void index_load(pq_chunk *c)
{
    c->index_tried = true;
    if (offset_index_load(c->pages.f, c->meta, c->data_start, c->pages.end, c->rows, &c->index_mem, &c->index))
        c->pages.fetched += (uint64_t)c->meta->offset_index_length;
}

static uint64_t index_page_end(const pq_chunk *c, uint32_t i)
{
    return i + 1 < c->index.n ? (uint64_t)c->index.pages[i + 1].first_row : c->rows;
}

static uint32_t index_page_of(const pq_chunk *c, uint64_t row)
{
    uint32_t lo = 0, hi = c->index.n;
    while (hi - lo > 1) {
        uint32_t mid = lo + (hi - lo) / 2;
        if ((uint64_t)c->index.pages[mid].first_row <= row)
            lo = mid;
        else
            hi = mid;
    }
    return lo;
}

/* Whether the page that was entered is the one that the index says; repeated ones tell their rows only in
 * version 2, and must begin with a row. */
static bool index_agrees(pq_chunk *c, uint32_t i)
{
    const pq_page_location *p = &c->index.pages[i];
    const pq_page_header *h = &c->page.h;
    uint64_t size = c->page.header_size + (uint64_t)h->compressed_size, rows = index_page_end(c, i) - (uint64_t)p->first_row;
    if (!c->has_page || c->page.at != (uint64_t)p->offset || size != (uint64_t)p->compressed_size)
        return false;
    if (!c->leaf->max_rep)
        return c->page_left == rows;
    if ((uint64_t)h->num_values < rows || (h->type == PQ_PAGE_DATA_V2 && (uint64_t)h->num_rows != rows))
        return false;
    bool more;
    return chunk_look(c, false, &more, NULL) == FZ_OK && more && c->look->data[LOOK] == 0;
}

/* At the start of a row, with `pending` to skip: moves to the page that holds the first row wanted if that is a later
 * one than the present or next. */
static fz_status index_jump(pq_chunk *c, bool *jumped, fz_error *err)
{
    *jumped = false;
    bool all_here = c->pages.win && c->pages.win_at <= c->pages.at &&
                    c->pages.end - c->pages.win_at <= c->pages.win->size;
    if (!c->index_tried && c->data_start && !all_here)
        index_load(c);
    if (c->index.n == 0 || c->p->prefixes_carried)
        return FZ_OK;
    uint64_t target = c->row + c->pending;
    uint32_t i = index_page_of(c, target);
    const pq_page_location *p = &c->index.pages[i];
    if ((uint64_t)p->first_row <= c->row || (c->has_page && (uint64_t)p->offset <= c->page.at))
        return FZ_OK;
    page_leave(c);
    c->row = c->entered = (uint64_t)p->first_row;
    c->pending = target - c->row;
    c->pages.at = (uint64_t)p->offset;
    *jumped = true;
    if (page_enter(c, NULL) == FZ_OK && index_agrees(c, i))
        return FZ_OK;
    /* The index doesn't fit the pages: without it, from the first one. */
    page_leave(c);
    c->index.n = 0;
    c->row = c->entered = 0;
    c->pending = target;
    c->pages.at = c->data_start;
    *jumped = false;
    return FZ_OK;
}

/* ---- skipping where nothing is repeated ---- */

static fz_status page_skip(pq_chunk *c, uint32_t n, fz_error *err)
{
    TRY(page_open(c, err));
    c->page_left -= n;
    c->row += n;
    while (n) {
        size_t k = n < PIECE_ROWS ? n : PIECE_ROWS, valid = k;
        uint8_t max = c->leaf->max_def;
        if (max == 1 && rle_skip_bits(&c->defs.rle, k, &valid) < k)
            return page_bad(c, "has fewer levels than values", err);
        if (max > 1) {
            uint8_t def[PIECE_ROWS];
            bool all = true;
            if (levels_read(&c->defs, def, k, &all) < k)
                return page_bad(c, "has fewer levels than values, or impossible ones", err);
            valid = levels_count(def, k, max);
        }
        fz_status st = c->no_values ? FZ_OK : values_skip(&c->values, valid, err);
        if (st != FZ_OK) {
            error_offset(err, (int64_t)c->page.at);
            return st;
        }
        n -= (uint32_t)k;
    }
    return FZ_OK;
}

fz_status chunk_settle(pq_chunk *c, fz_error *err)
{
    for (;;) {
        if (c->has_page && c->pending >= c->page_left) {
            if (c->p->prefixes_carried) { /* the next page needs the last value */
                uint32_t n = c->page_left;
                c->pending -= n;
                TRY(page_skip(c, n, err));
            } else {
                c->pending -= c->page_left;
                c->row += c->page_left;
            }
            page_leave(c);
        }
        if (c->has_page)
            break;
        bool jumped = false;
        if (c->pending)
            TRY(index_jump(c, &jumped, err));
        if (!jumped)
            TRY(page_enter(c, err));
        if (!c->has_page)
            return chunk_short(c, err);
    }
    if (c->pending) {
        uint32_t n = (uint32_t)c->pending;
        c->pending = 0;
        TRY(page_skip(c, n, err));
    }
    return page_open(c, err);
}

/* ---- repeated: levels ahead ---- */

fz_status chunk_look(pq_chunk *c, bool may_end, bool *more, fz_error *err)
{
    *more = false;
    for (;;) {
        if (c->has_page && c->page_left == 0) {
            /* Rows end with a page of version 2. */
            if (may_end && c->page.h.type == PQ_PAGE_DATA_V2)
                return FZ_OK;
            page_leave(c);
        }
        if (c->has_page)
            break;
        TRY(page_enter(c, err));
        if (!c->has_page)
            return may_end ? FZ_OK : chunk_short(c, err);
    }
    TRY(page_open(c, err));
    uint32_t k = c->page_left < LOOK ? c->page_left : LOOK;
    uint8_t *def = c->look->data;
    bool all = true;
    c->look_all = true;
    if (levels_read(&c->reps, def + LOOK, k, &all) < k || levels_read(&c->defs, def, k, &c->look_all) < k)
        return page_bad(c, "has fewer levels than values, or impossible ones", err);
    c->page_left -= k;
    c->look_at = 0;
    c->look_n = k;
    *more = true;
    return FZ_OK;
}

fz_status chunk_pages_skip(pq_chunk *c, fz_error *err)
{
    while (c->pending) {
        bool jumped;
        TRY(index_jump(c, &jumped, err));
        if (c->look_at < c->look_n || (c->has_page && c->page_open && c->page_left))
            return FZ_OK;
        if (c->has_page && c->page_open)
            page_leave(c);
        if (!c->has_page)
            TRY(page_enter(c, err));
        if (!c->has_page)
            return chunk_short(c, err);
        const pq_page_header *h = &c->page.h;
        if (h->type != PQ_PAGE_DATA_V2 || c->p->prefixes_carried || (uint64_t)h->num_rows > c->pending)
            return FZ_OK;
        c->pending -= (uint64_t)h->num_rows;
        c->row += (uint64_t)h->num_rows;
        page_leave(c);
    }
    return FZ_OK;
}
