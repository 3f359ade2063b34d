/*
 * cursor.c: one column of one row group, front to back, in the encoding that lies in the file.
 *
 * The cursor stands before row `row` of the row group, of which `pending` more are to be skipped;
 * they are skipped when something is read, so that a page that nothing is read from is never
 * decompressed, and with an offset index not even fetched.
 *
 *     no page ── page_enter (header) ──> page entered ── page_open (body) ──> page open
 *        ^                                     └────────── rows used up ──────────┘ │
 *        └──────────────────────────────────────────────────────────────────────────┘
 *
 * A read starts as NOTHING and becomes what its rows need, never back: what was collected so far is
 * rewritten to the next form when a page can't go on in the present one.
 *
 *     NOTHING  only nulls (or rows that don't count) so far      -> CONST null
 *     RUNS     runs of dictionary codes without nulls            -> CONST, RLE
 *     CODES    a dictionary code per row                         -> DICT
 *     VALUES   a value per row                                   -> FLAT
 *
 * A read of plain numbers that lies within a page, without nulls, points into the page.
 */
#include "format/parquet/read_int.h"

#include "codec/bitpack.h"

#define PACKED_IN_RUNS 64 /* packed values between runs that are looked at one by one */
#define PIECE_ROWS 8192   /* rows that are skipped at a time within a page */

struct pq_cursor {
    mem *m;
    pq_file *p;
    const pq_leaf *leaf;
    const pq_column_chunk *chunk;
    type as;
    pq_conv conv;
    uint32_t elem;            /* bytes of a delivered value */
    bool broken;              /* a read failed; where the cursor stands isn't known any more */
    uint64_t rows;            /* of the row group */
    uint64_t row, pending;
    pq_pages pages;
    uint64_t entered;         /* rows of all pages up to and with the present one */

    bool has_page, page_open;
    pq_page page;
    uint32_t page_rows;       /* not yet passed */
    rle_reader defs;
    pq_values values;

    bool dict_seen, dict_made;
    pq_page dict_page;
    vec dict;                 /* FLAT, in dict_values */
    buf *dict_values, *dict_bytes;
    uint64_t dict_id;

    bool index_tried;
    arena index_mem;
    pq_offset_index index;    /* n 0: none that can be used */
    uint64_t data_start;      /* of the first data page */

    buf *scratch[2];          /* values of reads; used again when nobody keeps them */
};

/* ---- open and close ---- */

fz_status pq_cursor_open(pq_file *p, io_file *f, uint32_t row_group, uint32_t leaf, type as, const pq_match *how,
                         mem *m, pq_cursor **out, fz_error *err)
{
    (void)how;
    *out = NULL;
    if (row_group >= p->meta.n_row_groups || leaf >= p->meta.n_leaves)
        return error_set(err, FZ_INVALID, "no such row group or column in the Parquet file");
    const pq_leaf *l = &p->leaves[leaf];
    const pq_row_group *g = &p->meta.row_groups[row_group];
    const pq_column_chunk *chunk = &g->columns[leaf];
    if (l->t.id == T_NULL) {
        error_set(err, FZ_UNSUPPORTED, "Parquet column \"" STR_FMT "\" can't be read: it is %s",
                  STR_ARG(l->element->name), l->refused);
        error_where(err, f->path);
        return FZ_UNSUPPORTED;
    }
    if (chunk->num_values != g->num_rows) {
        error_set(err, FZ_DATA, "Parquet column \"" STR_FMT "\" has %lld values in a row group of %lld rows",
                  STR_ARG(l->element->name), (long long)chunk->num_values, (long long)g->num_rows);
        error_where(err, f->path);
        return FZ_DATA;
    }
    pq_conv conv;
    TRY(conv_find(l, as, &conv, err));
    pq_cursor *c = mem_zalloc(m, sizeof *c);
    if (!c)
        return error_nomem(err);
    c->m = m;
    c->p = pq_ref(p);
    c->leaf = l;
    c->chunk = chunk;
    c->as = as;
    c->conv = conv;
    c->elem = phys_size(type_phys(as));
    c->rows = (uint64_t)g->num_rows;
    arena_init(&c->index_mem, m);
    fz_status st = pages_init(&c->pages, p, f, chunk, m, err);
    if (st != FZ_OK) {
        error_where(err, f->path);
        pq_cursor_close(c);
        return st;
    }
    *out = c;
    return FZ_OK;
}

static void page_leave(pq_cursor *c)
{
    values_close(&c->values);
    buf_unref(c->page.keep);
    c->page.keep = NULL;
    c->has_page = c->page_open = false;
    c->page_rows = 0;
}

void pq_cursor_close(pq_cursor *c)
{
    if (!c)
        return;
    page_leave(c);
    buf_unref(c->dict_values);
    buf_unref(c->dict_bytes);
    buf_unref(c->scratch[0]);
    buf_unref(c->scratch[1]);
    arena_free(&c->index_mem);
    pages_free(&c->pages);
    pq_close(c->p);
    mem_free(c->m, c, sizeof *c);
}

uint64_t pq_cursor_left(const pq_cursor *c) { return c->rows - c->row - c->pending; }
uint64_t pq_cursor_bytes(const pq_cursor *c) { return c->pages.fetched; }

static fz_status page_bad(const pq_cursor *c, const char *what, fz_error *err)
{
    error_set(err, FZ_DATA, "Parquet page %s", what);
    error_offset(err, (int64_t)c->page.at);
    return FZ_DATA;
}

/* ---- entering and opening pages ---- */

/* Reads headers up to the next data page that has rows. */
static fz_status page_enter(pq_cursor *c, fz_error *err)
{
    for (;;) {
        if (pages_done(&c->pages))
            return error_set(err, FZ_DATA, "Parquet column chunk ends before its last row");
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
        if (h->type == PQ_PAGE_DATA_V2 && h->num_rows != h->num_values)
            return page_bad(c, "has other numbers of rows and values", err);
        if ((uint64_t)h->num_values > c->rows - c->entered)
            return page_bad(c, "has more rows than the row group", err);
        c->entered += (uint64_t)h->num_values;
        c->page_rows = (uint32_t)h->num_values;
        c->has_page = true;
        return FZ_OK;
    }
}

static _Atomic uint64_t last_dict_id;

static fz_status dict_fill(pq_cursor *c, const pq_page *g, fz_error *err)
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

static fz_status dict_make(pq_cursor *c, fz_error *err)
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

/* Finds the definition levels; *at moves to the values. */
static fz_status defs_open(pq_cursor *c, const uint8_t **at, size_t *n, fz_error *err)
{
    const pq_page_header *h = &c->page.h;
    if (h->type == PQ_PAGE_DATA_V2) {
        /* Some writers put repetition levels, all 0, before the others of a flat column. */
        rle_init(&c->defs, *at + h->rep_length, (size_t)h->def_length, 1);
        *at += h->rep_length + h->def_length;
        *n -= (size_t)h->rep_length + (size_t)h->def_length;
        return FZ_OK;
    }
    if (!c->leaf->optional)
        return FZ_OK;
    if (h->def_encoding != PQ_ENC_RLE)
        return error_set(err, FZ_UNSUPPORTED, "Parquet definition levels of encoding %d are not supported",
                         (int)h->def_encoding);
    if (*n < 4)
        return page_bad(c, "ends before its levels", err);
    const uint8_t *p = *at;
    uint32_t len = (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
    if (len > *n - 4)
        return page_bad(c, "has levels that are longer than the page", err);
    rle_init(&c->defs, p + 4, len, 1);
    *at += 4 + len;
    *n -= 4 + len;
    return FZ_OK;
}

static fz_status page_open(pq_cursor *c, fz_error *err)
{
    if (c->page_open)
        return FZ_OK;
    /* First the dictionary, which lies before the page: windows move forward. */
    pq_encoding enc = c->page.h.encoding;
    if (enc == PQ_ENC_PLAIN_DICTIONARY || enc == PQ_ENC_RLE_DICTIONARY)
        TRY(dict_make(c, err));
    TRY(page_load(&c->pages, &c->page, err));
    const uint8_t *at = c->page.data;
    size_t n = c->page.n;
    TRY(defs_open(c, &at, &n, err));
    fz_status st = values_open(&c->values, enc, c->leaf->element->type, (uint32_t)c->leaf->element->type_length,
                               c->as.id == T_STRING, at, n, c->m, err);
    if (st != FZ_OK) {
        error_offset(err, (int64_t)c->page.at);
        return st;
    }
    c->page_open = true;
    return FZ_OK;
}

/* ---- skipping ---- */

/* The offset index is an aid: any failure leaves the cursor without one. */
static void index_load(pq_cursor *c)
{
    c->index_tried = true;
    if (offset_index_load(c->pages.f, c->chunk, c->data_start, c->pages.end, c->rows, &c->index_mem, &c->index))
        c->pages.fetched += (uint64_t)c->chunk->offset_index_length;
}

static uint64_t index_page_end(const pq_cursor *c, uint32_t i)
{
    return i + 1 < c->index.n ? (uint64_t)c->index.pages[i + 1].first_row : c->rows;
}

/* Between pages, with `pending` rows to skip: moves to the page that holds the first row wanted. */
static fz_status index_jump(pq_cursor *c, bool *jumped, fz_error *err)
{
    *jumped = false;
    bool all_here = c->pages.win && c->pages.win_at <= c->pages.at &&
                    c->pages.end - c->pages.win_at <= c->pages.win->size;
    if (!c->index_tried && c->data_start && !all_here)
        index_load(c);
    if (c->index.n == 0)
        return FZ_OK;
    uint64_t target = c->row + c->pending;
    uint32_t lo = 0, hi = c->index.n;
    while (hi - lo > 1) {
        uint32_t mid = lo + (hi - lo) / 2;
        if ((uint64_t)c->index.pages[mid].first_row <= target)
            lo = mid;
        else
            hi = mid;
    }
    const pq_page_location *p = &c->index.pages[lo];
    if ((uint64_t)p->first_row <= c->row)
        return FZ_OK;
    uint64_t row = c->row, pending = c->pending, entered = c->entered, at = c->pages.at;
    c->pending -= (uint64_t)p->first_row - c->row;
    c->row = c->entered = (uint64_t)p->first_row;
    c->pages.at = (uint64_t)p->offset;
    *jumped = true;
    fz_status st = page_enter(c, NULL);
    uint64_t size = c->page.header_size + (uint64_t)c->page.h.compressed_size;
    if (st == FZ_OK && c->page_rows == index_page_end(c, lo) - (uint64_t)p->first_row &&
        c->page.at == (uint64_t)p->offset && size == (uint64_t)p->compressed_size)
        return FZ_OK;
    /* The index doesn't fit the pages: go on without it, from where we stood. */
    page_leave(c);
    c->index.n = 0;
    c->row = row;
    c->pending = pending;
    c->entered = entered;
    c->pages.at = at;
    *jumped = false;
    return FZ_OK;
}

static fz_status page_skip(pq_cursor *c, uint32_t n, fz_error *err)
{
    TRY(page_open(c, err));
    c->page_rows -= n;
    c->row += n;
    while (n) {
        size_t k = n < PIECE_ROWS ? n : PIECE_ROWS, valid = k;
        if (c->leaf->optional && rle_skip_bits(&c->defs, k, &valid) < k)
            return page_bad(c, "has fewer levels than values", err);
        fz_status st = values_skip(&c->values, valid, err);
        if (st != FZ_OK) {
            error_offset(err, (int64_t)c->page.at);
            return st;
        }
        n -= (uint32_t)k;
    }
    return FZ_OK;
}

/* Does what pq_cursor_skip put off, and makes sure that an open page with rows is there. */
static fz_status cursor_settle(pq_cursor *c, fz_error *err)
{
    for (;;) {
        if (c->has_page && c->pending >= c->page_rows) {
            c->pending -= c->page_rows;
            c->row += c->page_rows;
            page_leave(c);
        }
        if (c->has_page)
            break;
        bool jumped = false;
        if (c->pending)
            TRY(index_jump(c, &jumped, err));
        if (!jumped)
            TRY(page_enter(c, err));
    }
    if (c->pending) {
        uint32_t n = (uint32_t)c->pending;
        c->pending = 0;
        TRY(page_skip(c, n, err));
    }
    return page_open(c, err);
}

fz_status pq_cursor_skip(pq_cursor *c, uint64_t rows, fz_error *err)
{
    if (rows > pq_cursor_left(c))
        return error_set(err, FZ_INVALID, "skip past the end of a Parquet row group");
    c->pending += rows;
    return FZ_OK;
}

/* ---- reading ---- */

typedef enum read_form { FORM_NOTHING, FORM_RUNS, FORM_CODES, FORM_VALUES } read_form;

typedef struct reading {
    pq_cursor *c;
    batch *out;
    uint32_t rows, done;
    uint32_t dead;        /* leading rows whose values don't matter */
    read_form form;
    bool nulls;
    uint32_t nvalid;
    uint32_t nruns, runs_max;
    buf *b;               /* all of the following */
    uint8_t *data;        /* rows * elem */
    uint32_t *codes;      /* of rows; of runs in FORM_RUNS */
    uint32_t *ends;       /* of runs */
    uint8_t *raw;         /* rows * source size, where there is a conversion */
    uint64_t *valid;
} reading;

static size_t pad64(size_t n) { return (n + 63) & ~(size_t)63; }

/* Memory for a read of r->rows rows (the first page was entered: whether there is a dictionary is
 * known): one of two blocks in turn, new ones while both are kept. */
static fz_status reading_init(reading *r, fz_error *err)
{
    pq_cursor *c = r->c;
    size_t n = r->rows;
    size_t data = pad64(n * c->elem), codes = c->dict_seen ? pad64(n * 4) : 0;
    size_t ends = c->dict_seen ? pad64((n / 8 + 1) * 4) : 0;
    size_t raw = c->conv == CONV_COPY ? 0 : pad64(n * source_size(c->leaf->element->type));
    size_t valid = pad64(BITMAP_WORDS(n) * 8), all = data + codes + ends + raw + valid;
    unsigned i = 0;
    for (; i < 2; i++)
        if (c->scratch[i] && atomic_load_explicit(&c->scratch[i]->refs, memory_order_acquire) == 1 &&
            c->scratch[i]->cap >= all)
            break;
    if (i == 2) {
        i = c->scratch[0] && atomic_load_explicit(&c->scratch[0]->refs, memory_order_relaxed) > 1;
        buf_unref(c->scratch[i]);
        c->scratch[i] = buf_new(c->m, all);
        if (!c->scratch[i])
            return error_nomem(err);
    }
    r->b = c->scratch[i];
    r->data = r->b->data;
    r->codes = (uint32_t *)(r->data + data);
    r->ends = (uint32_t *)(r->data + data + codes);
    r->raw = r->data + data + codes + ends;
    r->valid = (uint64_t *)(r->raw + raw);
    r->runs_max = r->rows / 8 ? r->rows / 8 : 1; /* more are codes: a run costs as much as some rows */
    return FZ_OK;
}

typedef struct bytes16 { uint64_t w[2]; } bytes16;

/* Makes k dense values at p stand where the bits of [at, at+n) are set, zero elsewhere: from the back,
 * in place, without branching on bits; done when those that are left lie where they belong. */
#define SPREAD(T)                                           \
    do {                                                    \
        T *v = p;                                           \
        for (size_t i = n, j = k; i > j;) {                 \
            uint64_t bit = bit_get(bits, at + --i);         \
            j -= bit;                                       \
            v[i] = v[j] & (T)(0 - bit);                     \
        }                                                   \
    } while (0)

static void spread16(bytes16 *v, const uint64_t *bits, size_t at, size_t n, size_t k)
{
    for (size_t i = n, j = k; i > j;) {
        uint64_t bit = bit_get(bits, at + --i), mask = 0 - bit;
        j -= bit;
        v[i] = (bytes16){{v[j].w[0] & mask, v[j].w[1] & mask}};
    }
}

static void spread(void *p, uint32_t size, const uint64_t *bits, size_t at, size_t n, size_t k)
{
    switch (size) {
    case 1: SPREAD(uint8_t); break;
    case 4: SPREAD(uint32_t); break;
    case 8: SPREAD(uint64_t); break;
    default: spread16(p, bits, at, n, k); break;
    }
}

#define PICK(T)                                       \
    do {                                              \
        const T *d = dict;                            \
        T *v = dst;                                   \
        for (size_t i = 0; i < n; i++)                \
            v[i] = d[codes[i]];                       \
    } while (0)

/* dst[i] = dict[codes[i]]; codes were checked. */
static void pick(void *dst, const void *dict, uint32_t size, const uint32_t *codes, size_t n)
{
    switch (size) {
    case 1: PICK(uint8_t); break;
    case 4: PICK(uint32_t); break;
    case 8: PICK(uint64_t); break;
    default: PICK(bytes16); break;
    }
}

static void form_codes(reading *r)
{
    if (r->form == FORM_CODES)
        return;
    if (r->form == FORM_NOTHING || r->nruns == 0) {
        memset(r->codes, 0, r->done * sizeof *r->codes);
    } else { /* RUNS: from the back, since a run's rows start no earlier than its own place */
        for (uint32_t i = r->nruns; i-- > 0;) {
            uint32_t from = i ? r->ends[i - 1] : 0, code = r->codes[i];
            for (uint32_t j = r->ends[i]; j-- > from;)
                r->codes[j] = code;
        }
    }
    r->form = FORM_CODES;
}

static void form_values(reading *r)
{
    if (r->form == FORM_VALUES)
        return;
    uint32_t elem = r->c->elem;
    if (r->form == FORM_NOTHING) {
        memset(r->data, 0, (size_t)r->done * elem);
    } else {
        form_codes(r);
        pick(r->data, r->c->dict.data, elem, r->codes, r->done);
    }
    r->form = FORM_VALUES;
}

/* n rows whose values don't matter (nulls, or not selected). */
static void fill_dead(reading *r, uint32_t n)
{
    if (r->form == FORM_RUNS)
        form_codes(r);
    if (r->form == FORM_CODES)
        memset(r->codes + r->done, 0, n * sizeof *r->codes);
    else if (r->form == FORM_VALUES)
        memset(r->data + (size_t)r->done * r->c->elem, 0, (size_t)n * r->c->elem);
}

static fz_status code_bad(const pq_cursor *c, fz_error *err)
{
    return page_bad(c, "has a dictionary code that is too large", err);
}

/* Adds k rows of one code; false if that would be too many runs. */
static bool run_add(reading *r, uint32_t code, uint32_t from, uint32_t k)
{
    if (r->nruns && r->codes[r->nruns - 1] == code) {
        r->ends[r->nruns - 1] = from + k;
        return true;
    }
    if (r->nruns == r->runs_max)
        return false;
    r->codes[r->nruns] = code;
    r->ends[r->nruns++] = from + k;
    return true;
}

/* As many of n codes as go on as runs; *got rows were taken. The form is CODES afterwards
 * when it stopped because there are too many runs. */
static fz_status runs_read(reading *r, uint32_t n, uint32_t *got, fz_error *err)
{
    pq_cursor *c = r->c;
    rle_reader *rle = &c->values.rle;
    *got = 0;
    while (*got < n) {
        if (!rle_run(rle))
            return page_bad(c, "has fewer values than it says", err);
        uint32_t from = r->done + *got, left = n - *got;
        uint32_t k = rle->left < left ? (uint32_t)rle->left : left;
        if (!rle->packed) {
            if (rle->value >= c->dict.len)
                return code_bad(c, err);
            if (!run_add(r, rle->value, from, k)) {
                form_codes(r);
                return FZ_OK;
            }
            rle->left -= k;
            *got += k;
            continue;
        }
        if (rle->left > PACKED_IN_RUNS) {
            form_codes(r);
            return FZ_OK;
        }
        uint32_t codes[PACKED_IN_RUNS];
        rle_read(rle, codes, k);
        if (codes_max(codes, k) >= c->dict.len)
            return code_bad(c, err);
        for (uint32_t i = 0; i < k; i++)
            if (!run_add(r, codes[i], from + i, 1)) {
                form_codes(r);
                memcpy(r->codes + from + i, codes + i, (k - i) * sizeof *codes);
                *got += k;
                return FZ_OK;
            }
        *got += k;
    }
    return FZ_OK;
}

/* k rows, `valid` of them not null, of a page of dictionary codes. */
static fz_status dict_segment(reading *r, uint32_t k, uint32_t valid, fz_error *err)
{
    pq_cursor *c = r->c;
    if (r->form == FORM_NOTHING && r->done == r->dead && valid == k)
        r->form = FORM_RUNS; /* the first run covers the dead rows too */
    uint32_t got = 0;
    if (r->form == FORM_RUNS && valid == k) {
        TRY(runs_read(r, k, &got, err));
        if (got == k)
            return FZ_OK;
    }
    uint32_t at = r->done + got, n = valid - got;
    if (r->form != FORM_VALUES)
        form_codes(r);
    uint32_t *codes = r->codes + at;
    if (rle_read(&c->values.rle, codes, n) < n)
        return page_bad(c, "has fewer values than it says", err);
    if (codes_max(codes, n) >= c->dict.len)
        return code_bad(c, err);
    if (r->form == FORM_VALUES) {
        uint8_t *dst = r->data + (size_t)at * c->elem;
        pick(dst, c->dict.data, c->elem, codes, n);
        if (valid < k)
            spread(dst, c->elem, r->valid, r->done, k, valid);
    } else if (valid < k) {
        spread(codes, 4, r->valid, r->done, k, valid);
    }
    return FZ_OK;
}

static fz_status value_segment(reading *r, uint32_t k, uint32_t valid, fz_error *err)
{
    pq_cursor *c = r->c;
    form_values(r);
    uint8_t *dst = r->data + (size_t)r->done * c->elem;
    TRY(values_read(&c->values, c->conv == CONV_COPY ? dst : r->raw, valid, err));
    if (c->values.made) {
        fz_status st = batch_keep(r->out, c->values.made, err);
        buf_unref(c->values.made);
        c->values.made = NULL;
        TRY(st);
    }
    if (c->conv != CONV_COPY)
        TRY(conv_run(c->conv, r->raw, dst, valid, err));
    if (c->as.id == T_DECIMAL)
        TRY(decimal_check(c->as, dst, valid, err));
    if (valid < k)
        spread(dst, c->elem, r->valid, r->done, k, valid);
    return FZ_OK;
}

/* The next k rows, all in the open page. */
static fz_status segment_read(reading *r, uint32_t k, fz_error *err)
{
    pq_cursor *c = r->c;
    size_t valid = k;
    if (!c->leaf->optional)
        bits_fill(r->valid, r->done, k);
    else if (rle_read_bits(&c->defs, r->valid, r->done, k, &valid) < k)
        return page_bad(c, "has fewer levels than values", err);
    r->nulls |= valid < k;
    r->nvalid += (uint32_t)valid;
    if (valid == 0) {
        fill_dead(r, k);
    } else {
        fz_status st = c->values.kind == VALUES_DICT ? dict_segment(r, k, (uint32_t)valid, err)
                                                     : value_segment(r, k, (uint32_t)valid, err);
        if (st != FZ_OK) {
            error_offset(err, (int64_t)c->page.at);
            return st;
        }
        /* Views point into the page. */
        if (c->values.kind != VALUES_DICT && type_phys(c->as) == PHYS_STR)
            TRY(batch_keep(r->out, c->page.keep, err));
    }
    r->done += k;
    c->page_rows -= k;
    c->row += k;
    return FZ_OK;
}

static fz_status dict_keep(pq_cursor *c, batch *out, fz_error *err)
{
    TRY(batch_keep(out, c->dict_values, err));
    return c->dict_bytes ? batch_keep(out, c->dict_bytes, err) : FZ_OK;
}

static fz_status vec_child(vec *v, batch *out, const vec *from, fz_error *err)
{
    v->values = ARENA_NEW(&out->mem, vec);
    if (!v->values)
        return error_nomem(err);
    *v->values = *from;
    return FZ_OK;
}

static fz_status runs_finish(reading *r, vec *v, fz_error *err)
{
    pq_cursor *c = r->c;
    const uint8_t *dict = c->dict.data;
    TRY(dict_keep(c, r->out, err));
    r->ends[r->nruns - 1] = r->rows;
    if (r->nruns == 1) {
        v->enc = VEC_CONST;
        v->data = (void *)(dict + (size_t)r->codes[0] * c->elem);
        return FZ_OK;
    }
    TRY(batch_keep(r->out, r->b, err));
    v->enc = VEC_RLE;
    v->nruns = r->nruns;
    v->data = r->ends;
    pick(r->data, dict, c->elem, r->codes, r->nruns);
    vec values = {.t = c->as, .enc = VEC_FLAT, .len = r->nruns, .data = r->data};
    return vec_child(v, r->out, &values, err);
}

static fz_status reading_finish(reading *r, vec *v, fz_error *err)
{
    pq_cursor *c = r->c;
    *v = (vec){.t = c->as, .len = r->rows};
    if (r->form == FORM_NOTHING) {
        datum null = DATUM_NULL(c->as);
        return vec_const(v, &null, r->rows, &r->out->mem, err);
    }
    if (r->form == FORM_RUNS)
        return runs_finish(r, v, err);
    TRY(batch_keep(r->out, r->b, err));
    if (r->nulls)
        v->valid = r->valid;
    if (r->form == FORM_VALUES) {
        v->enc = VEC_FLAT;
        v->data = r->data;
        /* Mixed reads may have views into the dictionary's page. */
        return c->dict_bytes ? batch_keep(r->out, c->dict_bytes, err) : FZ_OK;
    }
    v->enc = VEC_DICT;
    v->data = r->codes;
    v->dict_id = c->dict_id;
    TRY(dict_keep(c, r->out, err));
    return vec_child(v, r->out, &c->dict, err);
}

/* Plain numbers within a page, without nulls: the page itself. */
static bool page_lend(pq_cursor *c, uint32_t rows, vec *v)
{
    if (c->page_rows < rows || c->values.kind != VALUES_FIXED || c->conv != CONV_COPY ||
        type_phys(c->as) == PHYS_STR || (uintptr_t)c->values.at % c->elem ||
        (size_t)(c->values.end - c->values.at) / c->elem < rows)
        return false;
    if (c->leaf->optional) {
        if (!rle_run(&c->defs) || c->defs.packed || !c->defs.value || c->defs.left < rows)
            return false;
        c->defs.left -= rows;
    }
    *v = (vec){.t = c->as, .enc = VEC_FLAT, .len = rows, .data = (void *)c->values.at};
    c->values.at += (size_t)rows * c->elem;
    c->page_rows -= rows;
    c->row += rows;
    return true;
}

/* Rows [first, last) of the next r->rows count. */
static fz_status rows_read(reading *r, uint32_t first, uint32_t last, vec *v, fz_error *err)
{
    pq_cursor *c = r->c;
    c->pending += first;
    TRY(cursor_settle(c, err));
    if (first == 0 && last == r->rows && page_lend(c, r->rows, v)) {
        if (c->as.id == T_DECIMAL)
            TRY(decimal_check(c->as, v->data, r->rows, err));
        return batch_keep(r->out, c->page.keep, err);
    }
    TRY(reading_init(r, err));
    bits_fill(r->valid, 0, first);
    r->done = r->dead = first;
    while (r->done < last) {
        TRY(cursor_settle(c, err));
        uint32_t k = last - r->done;
        TRY(segment_read(r, k < c->page_rows ? k : c->page_rows, err));
    }
    uint32_t rest = r->rows - last;
    bits_fill(r->valid, last, rest);
    if (r->form == FORM_RUNS)
        r->done = r->rows; /* the last run covers them */
    else
        fill_dead(r, rest);
    c->pending += rest;
    return reading_finish(r, v, err);
}

fz_status pq_cursor_read(pq_cursor *c, uint32_t rows, const uint16_t *sel, uint32_t nsel, vec *v,
                         batch *out, fz_error *err)
{
    if (c->broken)
        return error_set(err, FZ_INVALID, "read from a Parquet column after a failure");
    if (rows > pq_cursor_left(c) || rows > BATCH_ROWS)
        return error_set(err, FZ_INVALID, "read past the end of a Parquet row group");
    uint32_t first = 0, last = rows;
    if (sel) {
        first = nsel ? sel[0] : rows;
        last = nsel ? sel[nsel - 1] + 1u : rows;
        if (last > rows)
            return error_set(err, FZ_INVALID, "selection past the end of a batch");
    }
    if (first == rows) { /* nothing counts */
        c->pending += rows;
        datum null = DATUM_NULL(c->as);
        return vec_const(v, &null, rows, &out->mem, err);
    }
    reading r = {.c = c, .out = out, .rows = rows};
    fz_status st = rows_read(&r, first, last, v, err);
    if (st != FZ_OK) {
        error_where(err, c->pages.f->path);
        c->broken = true;
    }
    return st;
}
