/*
 * chunk_read.c: rows of a chunk as a vector, in the encoding that lies in the file.
 *
 * A read starts as NOTHING and becomes what its places need, never back: what was collected so far is
 * rewritten to the next form when a page can't go on in the present one.
 *
 *     NOTHING  only nulls (or rows that don't count) so far      -> CONST null
 *     RUNS     runs of dictionary codes without nulls            -> CONST, RLE
 *     CODES    a dictionary code per place                       -> DICT
 *     VALUES   a value per place                                 -> FLAT
 *
 * A place is a row, or an element of the innermost list where the leaf is repeated; then their number
 * isn't known beforehand, memory grows by doubling, and runs aren't looked for. A read of plain
 * numbers that lies within a page, without nulls, points into the page.
 */
#include "format/parquet/read_int.h"

#include "codec/bitpack.h"

#define PACKED_IN_RUNS 64 /* packed values between runs that are looked at one by one */
#define PLACES_MAX (1u << 28) /* elements, or levels, that one read has memory for */

/* ---- reading ---- */

typedef enum read_form { FORM_NOTHING, FORM_RUNS, FORM_CODES, FORM_VALUES } read_form;

typedef struct reading {
    pq_chunk *c;
    batch *out;
    uint32_t rows;        /* that memory is for */
    uint32_t done;
    uint32_t dead;        /* leading rows whose values don't matter */
    read_form form;
    bool nulls;
    uint32_t nruns, runs_max;
    buf *b;               /* all of the following */
    uint8_t *data;        /* rows * elem */
    uint32_t *codes;      /* of rows; of runs in FORM_RUNS */
    uint32_t *ends;       /* of runs */
    uint8_t *raw;         /* rows * source size, where there is a conversion */
    uint64_t *valid;
} reading;

static size_t pad64(size_t n) { return (n + 63) & ~(size_t)63; }

/* One of two blocks in turn, new ones while both are kept; NULL: no memory. */
static buf *block_get(pq_chunk *c, size_t bytes)
{
    for (unsigned i = 0; i < 2; i++)
        if (c->scratch[i] && atomic_load_explicit(&c->scratch[i]->refs, memory_order_acquire) == 1 &&
            c->scratch[i]->cap >= bytes)
            return buf_ref(c->scratch[i]);
    unsigned i = c->scratch[0] && atomic_load_explicit(&c->scratch[0]->refs, memory_order_relaxed) > 1;
    buf_unref(c->scratch[i]);
    c->scratch[i] = buf_new(c->m, bytes);
    return buf_ref(c->scratch[i]);
}

/* Memory for n places (the first page was entered: whether there is a dictionary is known); what was
 * collected moves there. */
static fz_status reading_room(reading *r, size_t n, fz_error *err)
{
    pq_chunk *c = r->c;
    size_t data = pad64(n * c->elem), codes = c->dict_seen ? pad64(n * 4) : 0;
    size_t ends = c->dict_seen && !c->leaf->max_rep ? pad64((n / 8 + 1) * 4) : 0;
    size_t raw = c->conv == CONV_COPY ? 0 : pad64(n * source_size(c->leaf->element->type));
    size_t valid = pad64(BITMAP_WORDS(n) * 8), all = data + codes + ends + raw + valid;
    buf *b = block_get(c, all);
    if (!b)
        return error_nomem(err);
    reading was = *r;
    r->b = b;
    r->rows = (uint32_t)n;
    r->data = b->data;
    r->codes = (uint32_t *)(r->data + data);
    r->ends = (uint32_t *)(r->data + data + codes);
    r->raw = r->data + data + codes + ends;
    r->valid = (uint64_t *)(r->raw + raw);
    if (was.b) {
        memcpy(r->valid, was.valid, BITMAP_WORDS(r->done) * 8);
        if (r->form == FORM_CODES)
            memcpy(r->codes, was.codes, r->done * sizeof *r->codes);
        else if (r->form == FORM_VALUES)
            memcpy(r->data, was.data, (size_t)r->done * c->elem);
        buf_unref(was.b);
    }
    return FZ_OK;
}

/* Memory for elements grows with what levels claim: many of them are asked for at the memory budget. */
static bool too_large(const pq_chunk *c, size_t n, size_t size)
{
    return n > PLACES_MAX || (n * size > PAGE_BIG && mem_over(c->m, (int64_t)(n * size)));
}

static fz_status read_too_large(const pq_chunk *c, fz_error *err)
{
    error_set(err, FZ_LIMIT, "Parquet column \"" STR_FMT "\" has too many elements in the rows of one read",
              STR_ARG(c->leaf->element->name));
    error_offset(err, (int64_t)c->page.at);
    return FZ_LIMIT;
}

/* Makes room for k more places. */
static fz_status reading_grow(reading *r, uint32_t k, fz_error *err)
{
    size_t need = (size_t)r->done + k;
    if (need <= r->rows)
        return FZ_OK;
    size_t more = r->rows ? (size_t)r->rows * 2 : BATCH_ROWS;
    need = need > more ? need : more;
    if (too_large(r->c, need, r->c->elem + 1))
        return read_too_large(r->c, err);
    return reading_room(r, need, err);
}

/* Makes room for k more levels. */
static fz_status levels_grow(pq_chunk *c, uint32_t k, fz_error *err)
{
    pq_levels *l = &c->levels;
    size_t need = (size_t)l->n + k, cap = l->cap ? l->cap : BATCH_ROWS;
    if (need <= l->cap)
        return FZ_OK;
    while (cap < need)
        cap *= 2;
    if (too_large(c, cap, 2))
        return read_too_large(c, err);
    unsigned both = c->leaf->max_rep ? 2 : 1; /* in one block, repetition levels behind */
    uint8_t *def = mem_alloc(c->m, both * cap);
    if (!def)
        return error_nomem(err);
    if (l->n) {
        memcpy(def, l->def, l->n);
        if (both == 2)
            memcpy(def + cap, l->rep, l->n);
    }
    mem_free(c->m, l->def, both * (size_t)l->cap);
    l->def = def;
    l->rep = both == 2 ? def + cap : NULL;
    l->cap = (uint32_t)cap;
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

static fz_status code_bad(const pq_chunk *c, fz_error *err)
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
    pq_chunk *c = r->c;
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
    pq_chunk *c = r->c;
    if (r->form == FORM_NOTHING && r->done == r->dead && valid == k && !c->leaf->max_rep)
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
    pq_chunk *c = r->c;
    form_values(r);
    uint8_t *dst = r->data + (size_t)r->done * c->elem;
    bool wide = c->conv == CONV_BYTES_I128, be = (wide || c->conv == CONV_BYTES_I64) && values_are_be(&c->values, wide);
    if (be)
        TRY(values_read_be(&c->values, dst, valid, wide, err));
    else
        TRY(values_read(&c->values, c->conv == CONV_COPY ? dst : r->raw, valid, err));
    if (c->values.made) {
        fz_status st = batch_keep(r->out, c->values.made, err);
        buf_unref(c->values.made);
        c->values.made = NULL;
        TRY(st);
    }
    if (c->conv != CONV_COPY && !be)
        TRY(conv_run(c->conv, r->raw, dst, valid, err));
    if (c->as.id == T_DECIMAL)
        TRY(decimal_check(c->as, dst, valid, err));
    if (valid < k)
        spread(dst, c->elem, r->valid, r->done, k, valid);
    return FZ_OK;
}

/* The next k places, `valid` of them not null as r->valid has it, all in the open page. */
static fz_status places_read(reading *r, uint32_t k, uint32_t valid, fz_error *err)
{
    pq_chunk *c = r->c;
    r->nulls |= valid < k;
    if (valid == 0) {
        fill_dead(r, k);
    } else {
        fz_status st = c->values.kind == VALUES_DICT ? dict_segment(r, k, valid, err) : value_segment(r, k, valid, err);
        if (st != FZ_OK) {
            error_offset(err, (int64_t)c->page.at);
            return st;
        }
        /* Views point into the page. */
        if (c->values.kind != VALUES_DICT && type_phys(c->as) == PHYS_STR)
            TRY(batch_keep(r->out, c->page.keep, err));
    }
    r->done += k;
    return FZ_OK;
}

/* The next k rows of a chunk that isn't repeated, all in the open page. */
static fz_status segment_read(reading *r, uint32_t k, fz_error *err)
{
    pq_chunk *c = r->c;
    uint8_t max = c->leaf->max_def;
    size_t valid = k;
    if (max == 0) {
        if (!c->no_values)
            bits_fill(r->valid, r->done, k);
    } else if (max == 1 && !c->with_levels) {
        if (rle_read_bits(&c->defs.rle, r->valid, r->done, k, &valid) < k)
            return page_bad(c, "has fewer levels than values", err);
    } else {
        pq_levels *l = &c->levels;
        bool all = true;
        TRY(levels_grow(c, k, err));
        if (levels_read(&c->defs, l->def + l->n, k, &all) < k)
            return page_bad(c, "has fewer levels than values, or impossible ones", err);
        if (c->no_values)
            ;
        else if (all)
            bits_fill(r->valid, r->done, k);
        else
            valid = levels_bits(l->def + l->n, k, max, r->valid, r->done);
        l->n += k;
        l->all = l->all && all;
    }
    if (c->no_values)
        r->done += k;
    else
        TRY(places_read(r, k, (uint32_t)valid, err));
    c->page_left -= k;
    c->row += k;
    return FZ_OK;
}

static fz_status dict_keep(pq_chunk *c, batch *out, fz_error *err)
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
    pq_chunk *c = r->c;
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
    pq_chunk *c = r->c;
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
static bool page_lend(pq_chunk *c, uint32_t rows, vec *v)
{
    if (c->page_left < rows || c->no_values || c->values.kind != VALUES_FIXED || c->conv != CONV_COPY ||
        type_phys(c->as) == PHYS_STR || (uintptr_t)c->values.at % c->elem ||
        (size_t)(c->values.end - c->values.at) / c->elem < rows)
        return false;
    if (c->leaf->max_def) {
        rle_reader *defs = &c->defs.rle;
        if (!rle_run(defs) || defs->packed || defs->value != c->leaf->max_def || defs->left < rows)
            return false;
        defs->left -= rows;
    }
    *v = (vec){.t = c->as, .enc = VEC_FLAT, .len = rows, .data = (void *)c->values.at};
    c->values.at += (size_t)rows * c->elem;
    c->page_left -= rows;
    c->row += rows;
    return true;
}

/* n rows that don't count, as levels: nulls at the top. */
static fz_status levels_dead(pq_chunk *c, uint32_t n, fz_error *err)
{
    pq_levels *l = &c->levels;
    if (!c->with_levels || n == 0 || c->leaf->max_def == 0)
        return FZ_OK;
    TRY(levels_grow(c, n, err));
    memset(l->def + l->n, 0, n);
    if (l->rep)
        memset(l->rep + l->n, 0, n);
    l->n += n;
    l->all = false;
    return FZ_OK;
}

/* Rows [first, last) of the next `rows` count; nothing is repeated. */
static fz_status rows_read(reading *r, uint32_t rows, uint32_t first, uint32_t last, vec *v, fz_error *err)
{
    pq_chunk *c = r->c;
    c->pending += first;
    TRY(chunk_settle(c, err));
    c->levels.n = 0;
    c->levels.all = true;
    if (first == 0 && last == rows && page_lend(c, rows, v)) {
        c->levels.n = rows;
        if (c->as.id == T_DECIMAL)
            TRY(decimal_check(c->as, v->data, rows, err));
        return batch_keep(r->out, c->page.keep, err);
    }
    TRY(levels_dead(c, first, err));
    if (!c->no_values) {
        TRY(reading_room(r, rows, err));
        r->runs_max = rows / 8 ? rows / 8 : 1; /* more are codes: a run costs as much as some rows */
        bits_fill(r->valid, 0, first);
    }
    r->done = r->dead = first;
    while (r->done < last) {
        TRY(chunk_settle(c, err));
        uint32_t k = last - r->done;
        TRY(segment_read(r, k < c->page_left ? k : c->page_left, err));
    }
    uint32_t rest = rows - last;
    c->pending += rest;
    TRY(levels_dead(c, rest, err));
    if (c->leaf->max_def == 0 || !c->with_levels)
        c->levels.n = rows;
    if (c->no_values)
        return FZ_OK;
    bits_fill(r->valid, last, rest);
    if (r->form == FORM_RUNS) {
        r->done = rows; /* the last run covers them */
    } else {
        fill_dead(r, rest);
        r->done = rows;
    }
    return reading_finish(r, v, err);
}

/* ---- repeated ---- */

/* The next k entries of `look`: into r, or passed over where it is NULL. */
static fz_status entries_take(pq_chunk *c, reading *r, uint32_t k, fz_error *err)
{
    const uint8_t *def = c->look->data + c->look_at, *rep = def + LOOK;
    const pq_leaf *f = c->leaf;
    uint32_t places = k, valid = k;
    if (!c->look_all) {
        valid = (uint32_t)levels_count(def, k, f->max_def);
        places = f->ctx_def == f->max_def ? valid : (uint32_t)levels_count(def, k, f->ctx_def);
    }
    c->look_at += k;
    if (r) {
        pq_levels *l = &c->levels;
        TRY(levels_grow(c, k, err));
        memcpy(l->def + l->n, def, k);
        memcpy(l->rep + l->n, rep, k);
        l->n += k;
        l->all = l->all && c->look_all;
    }
    if (c->no_values || places == 0)
        return FZ_OK;
    if (!r) {
        fz_status st = values_skip(&c->values, valid, err);
        if (st != FZ_OK)
            error_offset(err, (int64_t)c->page.at);
        return st;
    }
    TRY(reading_grow(r, places, err));
    if (valid == places)
        bits_fill(r->valid, r->done, places);
    else if (places == k)
        levels_bits(def, k, f->max_def, r->valid, r->done);
    else
        levels_bits_among(def, k, f->ctx_def, f->max_def, r->valid, r->done);
    return places_read(r, places, valid, err);
}

/* All entries of the next `rows` rows. */
static fz_status rows_pass(pq_chunk *c, uint64_t rows, reading *r, fz_error *err)
{
    uint64_t left = rows;
    while (rows) {
        if (c->look_at == c->look_n) {
            bool more;
            TRY(chunk_look(c, left == 0, &more, err));
            if (!more)
                break;
        }
        uint64_t here = left;
        uint32_t n = c->look_n - c->look_at, k = rows_find(c->look->data + LOOK + c->look_at, n, &here);
        if (left == rows && k && c->look->data[LOOK + c->look_at])
            return page_bad(c, "begins within a row", err);
        left -= here;
        TRY(entries_take(c, r, k, err));
        if (k < n)
            break;
    }
    c->row += rows;
    if (c->row == c->rows && c->look_at < c->look_n)
        return page_bad(c, "has more rows than the row group", err);
    return FZ_OK;
}

/* Skips what is pending: whole pages unread where that can be known. */
static fz_status repeated_skip(pq_chunk *c, fz_error *err)
{
    while (c->pending) {
        TRY(chunk_pages_skip(c, err));
        uint64_t n = c->pending;
        if (n > LOOK && c->index.n)
            n = LOOK; /* then see whether the rest can be jumped over */
        c->pending -= n;
        TRY(rows_pass(c, n, NULL, err));
    }
    return FZ_OK;
}

static fz_status repeated_read(reading *r, uint32_t rows, uint32_t first, uint32_t last, vec *v, fz_error *err)
{
    pq_chunk *c = r->c;
    c->pending += first;
    TRY(repeated_skip(c, err));
    c->levels.n = 0;
    c->levels.all = true;
    TRY(levels_dead(c, first, err));
    TRY(rows_pass(c, last - first, r, err));
    TRY(levels_dead(c, rows - last, err));
    c->pending += rows - last;
    if (c->no_values)
        return FZ_OK;
    if (!r->b)
        TRY(reading_room(r, 1, err));
    r->rows = r->done;
    return reading_finish(r, v, err);
}

fz_status chunk_read(pq_chunk *c, uint32_t rows, uint32_t first, uint32_t last, vec *v, batch *out, fz_error *err)
{
    reading r = {.c = c, .out = out};
    fz_status st = c->leaf->max_rep ? repeated_read(&r, rows, first, last, v, err)
                                    : rows_read(&r, rows, first, last, v, err);
    buf_unref(r.b);
    return st;
}
