/*
 * column_stage.c: rows of batches into the stage of a column being written.
 *
 * Whatever the encoding of the vector, the stage has the values of entries that aren't null, one
 * behind the other, and a bitmap over entries once there is a null; where several definition levels are
 * possible these as well, and within lists repetition levels. Two things are kept cheap:
 *
 *   - A stage whose lanes are all equal stores one of them (`constant`): a column that doesn't
 *     change costs a comparison per value and nothing else.
 *   - FLAT vectors without selection and nulls are copied whole; anything else goes through an
 *     index of values per row, in column_scratch.index.
 */
#include "base/clones.h"
#include "codec/rle_encode.h"
#include "format/parquet/column_write_int.h"

bool stage_full(const column_writer *c)
{
    const column_stage *s = &c->stage;
    if (s->rows >= s->cap || (c->max_rep && s->entries >= s->cap_entries))
        return true;
    size_t limit = (size_t)c->o->page_bytes * (c->sampling ? 4 : 1);
    return c->bytes && (c->sampling || !c->dict_on) && s->value_bytes >= limit;
}

void stage_clear(column_stage *s)
{
    s->rows = s->entries = s->values = 0;
    s->constant = false;
    s->has_nulls = false;
    s->plain_n = 0;
    s->value_bytes = 0;
}

void stage_free(column_stage *s, mem *m)
{
    mem_free(m, s->lanes, s->lanes_cap * sizeof *s->lanes);
    mem_free(m, s->codes, s->codes_cap * sizeof *s->codes);
    mem_free(m, s->plain, s->plain_cap);
    mem_free(m, s->valid, s->valid_cap * sizeof *s->valid);
    mem_free(m, s->def, s->def_cap);
    mem_free(m, s->rep, s->rep_cap);
    *s = (column_stage){0};
}

/* ---- room ---- */

static fz_status need_u32(uint32_t **p, uint32_t *cap, uint32_t n, mem *m, fz_error *err)
{
    if (n <= *cap)
        return FZ_OK;
    uint32_t want = *cap * 2 > n ? *cap * 2 : n;
    uint32_t *q = mem_resize(m, *p, *cap * sizeof *q, want * sizeof *q);
    if (!q)
        return error_nomem(err);
    *p = q;
    *cap = want;
    return FZ_OK;
}

static fz_status need_lanes(column_writer *c, uint32_t n, fz_error *err)
{
    column_stage *s = &c->stage;
    if (n <= s->lanes_cap)
        return FZ_OK;
    uint32_t want = s->lanes_cap * 2 > n ? s->lanes_cap * 2 : n;
    uint64_t *q = mem_resize(c->m, s->lanes, s->lanes_cap * sizeof *q, want * sizeof *q);
    if (!q)
        return error_nomem(err);
    s->lanes = q;
    s->lanes_cap = want;
    return FZ_OK;
}

CLONES
static void fill_lanes(uint64_t *p, size_t n, uint64_t v)
{
    for (size_t i = 0; i < n; i++)
        p[i] = v;
}

fz_status stage_spread(column_writer *c, fz_error *err)
{
    column_stage *s = &c->stage;
    if (!s->constant)
        return FZ_OK;
    TRY(need_lanes(c, s->values, err));
    fill_lanes(s->lanes, s->values, s->lanes[0]);
    s->constant = false;
    return FZ_OK;
}

/* ---- levels ---- */

static fz_status need_u8(uint8_t **p, uint32_t *cap, uint32_t n, mem *m, fz_error *err)
{
    if (n <= *cap)
        return FZ_OK;
    uint32_t want = *cap * 2 > n ? *cap * 2 : n;
    uint8_t *q = mem_resize(m, *p, *cap, want);
    if (!q)
        return error_nomem(err);
    *p = q;
    *cap = want;
    return FZ_OK;
}

/* From now on the stage has a bitmap, whose entries so far are all valid. */
static fz_status start_bitmap(column_writer *c, uint32_t entries, fz_error *err)
{
    column_stage *s = &c->stage;
    uint32_t words = (uint32_t)BITMAP_WORDS(s->entries + entries) + 1;
    if (words > s->valid_cap) {
        uint32_t want = s->valid_cap * 2 > words ? s->valid_cap * 2 : words;
        uint64_t *q = mem_resize(c->m, s->valid, s->valid_cap * sizeof *q, want * sizeof *q);
        if (!q)
            return error_nomem(err);
        s->valid = q;
        s->valid_cap = want;
    }
    if (c->max_def > 1)
        TRY(need_u8(&s->def, &s->def_cap, s->entries + entries, c->m, err));
    if (!s->has_nulls) {
        memset(s->valid, 0xff, BITMAP_WORDS(s->entries) * sizeof *s->valid);
        if (c->max_def > 1 && s->entries)
            memset(s->def, c->max_def, s->entries);
    }
    s->has_nulls = true;
    return FZ_OK;
}

static inline void put_bit(uint64_t *bits, size_t i, bool v)
{
    uint64_t one = 1ull << (i & 63);
    bits[i >> 6] = (bits[i >> 6] & ~one) | (v ? one : 0);
}

/* n entries of the stage's end, all with a value or all null in themselves. */
static fz_status mark(column_writer *c, uint32_t n, bool valid, fz_error *err)
{
    column_stage *s = &c->stage;
    if (valid && !s->has_nulls)
        return FZ_OK;
    if (!valid && !c->leaf->optional)
        return error_set(err, FZ_VALUE, "null in column \"" STR_FMT "\", which is required", STR_ARG(c->name));
    TRY(start_bitmap(c, n, err));
    for (uint32_t i = 0; i < n; i++)
        put_bit(s->valid, s->entries + i, valid);
    if (c->max_def > 1)
        memset(s->def + s->entries, c->max_def - !valid, n);
    return FZ_OK;
}

/* Bits [at, at+n) of a bitmap: which levels are `max`. */
CLONES
static void put_present(uint64_t *bits, size_t at, const uint8_t *def, size_t n, uint8_t max)
{
    size_t i = 0;
    for (; i < n && (at + i) & 63; i++)
        put_bit(bits, at + i, def[i] == max);
    for (; i + 64 <= n; i += 64) {
        uint64_t w = 0;
        for (size_t k = 0; k < 64; k++)
            w |= (uint64_t)(def[i + k] == max) << k;
        bits[(at + i) >> 6] = w;
    }
    for (; i < n; i++)
        put_bit(bits, at + i, def[i] == max);
}

static fz_status mark_levels(column_writer *c, const shredded *x, fz_error *err)
{
    column_stage *s = &c->stage;
    if (c->max_rep) {
        TRY(need_u8(&s->rep, &s->rep_cap, s->entries + x->n, c->m, err));
        memcpy(s->rep + s->entries, x->rep, x->n);
    }
    if (x->n_values == x->n && !s->has_nulls)
        return FZ_OK;
    TRY(start_bitmap(c, x->n, err));
    put_present(s->valid, s->entries, x->def, x->n, c->max_def);
    if (c->max_def > 1)
        memcpy(s->def + s->entries, x->def, x->n);
    return FZ_OK;
}

/* ---- lanes ---- */

static uint64_t load_lane(const column_writer *c, const void *data, uint32_t i)
{
    switch (c->ph) {
    case PHYS_U8:
        return ((const uint8_t *)data)[i];
    case PHYS_I32:
        return (uint64_t)(int64_t)((const int32_t *)data)[i];
    case PHYS_F32:
        return ((const uint32_t *)data)[i];
    default:
        return ((const uint64_t *)data)[i];
    }
}

CLONES
static bool all_equal(const uint64_t *p, size_t n, uint64_t v)
{
    size_t i = 0;
    for (; i + 64 <= n; i += 64) {
        uint64_t diff = 0;
        for (size_t k = 0; k < 64; k++)
            diff |= p[i + k] ^ v;
        if (diff)
            return false;
    }
    for (; i < n; i++)
        if (p[i] != v)
            return false;
    return true;
}

/* n times the lane v. */
static fz_status add_same(column_writer *c, uint64_t v, uint32_t n, fz_error *err)
{
    column_stage *s = &c->stage;
    if (!n)
        return FZ_OK;
    if (s->values == 0) {
        TRY(need_lanes(c, 1, err));
        s->lanes[0] = v;
        s->constant = true;
    } else if (!s->constant || s->lanes[0] != v) {
        TRY(stage_spread(c, err));
        TRY(need_lanes(c, s->values + n, err));
        fill_lanes(s->lanes + s->values, n, v);
    }
    s->values += n;
    return FZ_OK;
}

/* n lanes that lie one behind the other in memory of the vector's physical type. */
static fz_status add_dense(column_writer *c, const void *data, uint32_t from, uint32_t n, fz_error *err)
{
    column_stage *s = &c->stage;
    if (!n)
        return FZ_OK;
    if (c->ph == PHYS_I64 || c->ph == PHYS_F64) {
        const uint64_t *p = (const uint64_t *)data + from;
        if ((s->values == 0 || s->constant) && all_equal(p, n, s->values ? s->lanes[0] : p[0]))
            return add_same(c, p[0], n, err);
    }
    TRY(stage_spread(c, err));
    TRY(need_lanes(c, s->values + n, err));
    uint64_t *to = s->lanes + s->values;
    switch (c->ph) {
    case PHYS_U8:
        for (uint32_t i = 0; i < n; i++)
            to[i] = ((const uint8_t *)data)[from + i];
        break;
    case PHYS_I32:
        for (uint32_t i = 0; i < n; i++)
            to[i] = (uint64_t)(int64_t)((const int32_t *)data)[from + i];
        break;
    case PHYS_F32:
        for (uint32_t i = 0; i < n; i++)
            to[i] = ((const uint32_t *)data)[from + i];
        break;
    default:
        memcpy(to, (const uint64_t *)data + from, n * sizeof *to);
    }
    s->values += n;
    return FZ_OK;
}

/* ---- text and bytes ---- */

static fz_status plain_room(column_writer *c, size_t more, fz_error *err)
{
    column_stage *s = &c->stage;
    if (s->plain_n + more <= s->plain_cap)
        return FZ_OK;
    size_t want = s->plain_cap ? s->plain_cap * 2 : 65536;
    while (want < s->plain_n + more)
        want *= 2;
    uint8_t *q = mem_resize(c->m, s->plain, s->plain_cap, want);
    if (!q)
        return error_nomem(err);
    s->plain = q;
    s->plain_cap = want;
    return FZ_OK;
}

uint32_t stage_plain_len(const column_writer *c, size_t off)
{
    if (c->width)
        return c->width;
    const uint8_t *p = c->stage.plain + off - 4;
    return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

fz_status stage_put_plain(column_writer *c, const uint8_t *p, uint32_t n, fz_error *err)
{
    column_stage *s = &c->stage;
    size_t head = c->width ? 0 : 4;
    TRY(plain_room(c, head + n, err));
    uint8_t *at = s->plain + s->plain_n;
    if (head) {
        at[0] = (uint8_t)n;
        at[1] = (uint8_t)(n >> 8);
        at[2] = (uint8_t)(n >> 16);
        at[3] = (uint8_t)(n >> 24);
    }
    if (n)
        memcpy(at + head, p, n);
    s->plain_n += head + n;
    s->values++;
    s->value_bytes += head + n;
    return FZ_OK;
}

fz_status stage_to_plain(column_writer *c, fz_error *err)
{
    column_stage *s = &c->stage;
    uint32_t n = s->values;
    s->values = 0;
    s->plain_n = 0;
    s->value_bytes = 0;
    for (uint32_t i = 0; i < n; i++)
        TRY(stage_put_plain(c, text_dict_at(&c->td, s->codes[i]), c->td.entries[s->codes[i]].len, err));
    return FZ_OK;
}

/* The bytes of value i as they lie in a file; `tmp` has room for a decimal. */
static fz_status load_bytes(const column_writer *c, const void *data, uint32_t i, uint8_t tmp[16], const uint8_t **p,
                            uint32_t *n, fz_error *err)
{
    if (c->ph == PHYS_I128) {
        u128 v = (u128)((const i128 *)data)[i];
        for (uint32_t k = 0; k < c->width; k++)
            tmp[k] = (uint8_t)(v >> 8 * (c->width - 1 - k));
        *p = tmp;
        *n = c->width;
        return FZ_OK;
    }
    const strview *s = (const strview *)data + i;
    *p = (const uint8_t *)strview_ptr(s);
    *n = s->len;
    if (c->width ? *n != c->width : *n > INT32_MAX)
        return error_set(err, FZ_VALUE, "a value of %u bytes in column \"" STR_FMT "\" where %u are needed",
                         (unsigned)*n, STR_ARG(c->name), (unsigned)c->width);
    return FZ_OK;
}

/* `times` times the value i. */
static fz_status add_bytes(column_writer *c, const void *data, uint32_t i, uint32_t times, fz_error *err)
{
    column_stage *s = &c->stage;
    uint8_t tmp[16];
    const uint8_t *p;
    uint32_t n, code;
    TRY(load_bytes(c, data, i, tmp, &p, &n, err));
    if (!c->dict_on) {
        while (times--)
            TRY(stage_put_plain(c, p, n, err));
        return FZ_OK;
    }
    TRY(text_dict_code(&c->td, p, n, &code, err));
    TRY(need_u32(&s->codes, &s->codes_cap, s->values + times, c->m, err));
    s->value_bytes += (size_t)times * (n + (c->width ? 0 : 4));
    for (uint32_t k = 0; k < times; k++)
        s->codes[s->values++] = code;
    return FZ_OK;
}

static fz_status add_value(column_writer *c, const void *data, uint32_t i, uint32_t times, fz_error *err)
{
    return c->bytes ? add_bytes(c, data, i, times, err) : add_same(c, load_lane(c, data, i), times, err);
}

/* Rows [from, from+n) of memory without nulls. */
static fz_status add_flat(column_writer *c, const void *data, uint32_t from, uint32_t n, fz_error *err)
{
    if (!c->bytes)
        return add_dense(c, data, from, n, err);
    for (uint32_t i = 0; i < n; i++)
        TRY(add_bytes(c, data, from + i, 1, err));
    return FZ_OK;
}

/* ---- vectors ---- */

/* FLAT with nulls, no selection: stretches of valid rows. */
static fz_status add_flat_nulls(column_writer *c, const vec *v, uint32_t from, uint32_t n, fz_error *err)
{
    column_stage *s = &c->stage;
    uint32_t i = 0, end = from + n;
    while (i < n) {
        bool valid = bit_get(v->valid, from + i);
        uint32_t run = 0;
        while (i + run < n) {
            uint64_t x = bits_at(v->valid, from + i + run, end);
            x = valid ? ~x : x;
            uint32_t left = n - i - run, k = x ? (uint32_t)__builtin_ctzll(x) : 64;
            run += k < left ? k : left;
            if (k < 64)
                break;
        }
        TRY(mark(c, run, valid, err));
        if (valid)
            TRY(add_flat(c, v->data, from + i, run, err));
        s->entries += run;
        i += run;
    }
    return FZ_OK;
}

/* The run of an RLE vector that has `row`, searched from run *at on (rows ascend). */
static inline uint32_t run_of(const vec *v, uint32_t row, uint32_t *at)
{
    const uint32_t *ends = v->data;
    while (ends[*at] <= row)
        ++*at;
    return *at;
}

static fz_status add_runs(column_writer *c, const vec *v, uint32_t from, uint32_t n, fz_error *err)
{
    const uint32_t *ends = v->data;
    const vec *u = v->values;
    uint32_t run = 0, end = from + n;
    while (from < end) {
        run_of(v, from, &run);
        uint32_t len = (ends[run] < end ? ends[run] : end) - from;
        bool valid = !u->valid || bit_get(u->valid, run);
        TRY(mark(c, len, valid, err));
        if (valid)
            TRY(add_value(c, u->data, run, len, err));
        c->stage.entries += len;
        from += len;
    }
    return FZ_OK;
}

/* The values at n positions. */
static fz_status add_at(column_writer *c, const void *data, const uint32_t *at, uint32_t n, fz_error *err)
{
    if (c->bytes) {
        for (uint32_t i = 0; i < n; i++)
            TRY(add_bytes(c, data, at[i], 1, err));
        return FZ_OK;
    }
    TRY(stage_spread(c, err));
    TRY(need_lanes(c, c->stage.values + n, err));
    uint64_t *to = c->stage.lanes + c->stage.values;
    if (c->ph == PHYS_I64 || c->ph == PHYS_F64)
        for (uint32_t i = 0; i < n; i++)
            to[i] = ((const uint64_t *)data)[at[i]];
    else
        for (uint32_t i = 0; i < n; i++)
            to[i] = load_lane(c, data, at[i]);
    c->stage.values += n;
    return FZ_OK;
}

/* Whether positions are those of n values that lie one behind the other. */
CLONES
static bool one_stretch(const uint32_t *at, uint32_t n)
{
    uint32_t off = 0;
    for (uint32_t i = 0; i < n; i++)
        off |= at[i] - at[0] - i;
    return off == 0;
}

fz_status stage_add_entries(column_writer *c, const shredded *x, uint32_t rows, fz_error *err)
{
    TRY(mark_levels(c, x, err));
    c->stage.entries += x->n;
    c->stage.rows += rows;
    if (x->n_values == 0)
        return FZ_OK;
    if (x->values->enc == VEC_CONST)
        return add_value(c, x->values->data, 0, x->n_values, err);
    if (one_stretch(x->at, x->n_values))
        return add_flat(c, x->values->data, x->at[0], x->n_values, err);
    return add_at(c, x->values->data, x->at, x->n_values, err);
}

/* Any encoding and selection, row by row. */
static fz_status add_rows(column_writer *c, column_scratch *s, const vec *v, const uint16_t *sel, uint32_t from,
                          uint32_t n, fz_error *err)
{
    const vec *u = v->enc == VEC_DICT || v->enc == VEC_RLE ? v->values : v;
    uint32_t run = 0, got = 0;
    bool nulls = v->enc == VEC_RLE ? u->valid != NULL : v->valid != NULL;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t row = sel ? sel[from + i] : from + i;
        uint32_t at = v->enc == VEC_RLE ? run_of(v, row, &run) : row;
        if (nulls && !bit_get(v->enc == VEC_RLE ? u->valid : v->valid, at)) {
            TRY(mark(c, 1, false, err));
        } else {
            s->index[got++] = v->enc == VEC_DICT ? ((const uint32_t *)v->data)[row] : at;
            TRY(mark(c, 1, true, err));
        }
        c->stage.entries++;
    }
    return add_at(c, u->data, s->index, got, err);
}
fz_status stage_add(column_writer *c, column_scratch *s, const vec *v, const uint16_t *sel, uint32_t from,
                    uint32_t n, uint32_t *taken, fz_error *err)
{
    column_stage *g = &c->stage;
    uint32_t room = g->cap - g->rows;
    n = n < room ? n : room;
    n = n < BATCH_ROWS ? n : BATCH_ROWS;
    /* Text is added in small steps, so that a page or dictionary passes its size by little. */
    if (c->bytes && !c->width && n > 64 && !(v->enc == VEC_CONST && c->dict_on))
        n = 64;
    *taken = n;
    g->rows += n;
    if (v->enc == VEC_CONST) {
        bool valid = !v->valid || bit_get(v->valid, 0);
        TRY(mark(c, n, valid, err));
        if (valid)
            TRY(add_value(c, v->data, 0, n, err));
        g->entries += n;
        return FZ_OK;
    }
    if (sel || v->enc == VEC_DICT)
        return add_rows(c, s, v, sel, from, n, err);
    if (v->enc == VEC_RLE)
        return add_runs(c, v, from, n, err);
    if (v->valid)
        return add_flat_nulls(c, v, from, n, err);
    TRY(mark(c, n, true, err));
    TRY(add_flat(c, v->data, from, n, err));
    g->entries += n;
    return FZ_OK;
}
