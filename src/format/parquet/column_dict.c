/*
 * column_dict.c: the dictionaries of a column chunk being written.
 *
 * lane_dict. Integers whose range is small get a table indexed by value - base: one load per
 * value and no branch, since values that are new show as the top bit of the OR of all codes and
 * are put in by a second pass. Others go through a hash table (multiplicative hash, linear
 * probing, at most half full), which is asked once per run of equal values. A table that has
 * become too narrow is widened or turned into a hash table, from the list of values.
 *
 * text_dict. Hash table of codes; the bytes lie one behind the other as the dictionary page has them.
 */
#include "base/hash.h"
#include "format/parquet/column_write_int.h"

#define DIRECT_NONE 0x80000000u

/* ---- lanes ---- */

static fz_status lane_append(lane_dict *d, uint64_t v, fz_error *err)
{
    if (d->n == d->cap) {
        uint32_t cap = d->cap ? d->cap * 2 : 64;
        uint64_t *p = mem_resize(d->m, d->values, d->cap * sizeof *p, cap * sizeof *p);
        if (!p)
            return error_nomem(err);
        d->values = p;
        d->cap = cap;
    }
    d->values[d->n++] = v;
    return FZ_OK;
}

static void direct_drop(lane_dict *d)
{
    mem_free(d->m, d->direct, d->span * sizeof *d->direct);
    d->direct = NULL;
    d->span = 0;
}

/* A table for [lo, hi], widened on both sides so that it need not grow at every page. */
static fz_status direct_build(lane_dict *d, int64_t lo, int64_t hi, fz_error *err)
{
    uint64_t need = (uint64_t)hi - (uint64_t)lo + 1, span = 256;
    while (span < need)
        span *= 2;
    direct_drop(d);
    if (!(d->direct = mem_alloc(d->m, span * sizeof *d->direct)))
        return error_nomem(err);
    d->span = (uint32_t)span;
    d->base = lo > INT64_MIN + (int64_t)span ? lo - (int64_t)(span - need) / 2 : lo;
    for (uint32_t i = 0; i < d->span; i++)
        d->direct[i] = DIRECT_NONE;
    for (uint32_t i = 0; i < d->n; i++)
        d->direct[d->values[i] - (uint64_t)d->base] = i;
    return FZ_OK;
}

static inline uint32_t lane_slot(uint64_t v, uint32_t nslots)
{
    return (uint32_t)((v * 0x9e3779b97f4a7c15u) >> 32) & (nslots - 1);
}

static fz_status hash_build(lane_dict *d, uint32_t nslots, fz_error *err)
{
    struct lane_slot *p = mem_zalloc(d->m, nslots * sizeof *p);
    if (!p)
        return error_nomem(err);
    mem_free(d->m, d->slots, d->nslots * sizeof *p);
    d->slots = p;
    d->nslots = nslots;
    for (uint32_t i = 0; i < d->n; i++) {
        uint32_t s = lane_slot(d->values[i], nslots);
        while (p[s].code1)
            s = (s + 1) & (nslots - 1);
        p[s].key = d->values[i];
        p[s].code1 = i + 1;
    }
    return FZ_OK;
}

/* The code of v, entered if it is new; *full where that would pass max. */
static fz_status hash_code(lane_dict *d, uint64_t v, uint32_t max, uint32_t *code, bool *full, fz_error *err)
{
    uint32_t s = lane_slot(v, d->nslots);
    while (d->slots[s].code1) {
        if (d->slots[s].key == v) {
            *code = d->slots[s].code1 - 1;
            return FZ_OK;
        }
        s = (s + 1) & (d->nslots - 1);
    }
    if (d->n >= max) {
        *full = true;
        return FZ_OK;
    }
    *code = d->n;
    d->slots[s].key = v;
    d->slots[s].code1 = d->n + 1;
    TRY(lane_append(d, v, err));
    if (d->n > d->nslots / 2)
        TRY(hash_build(d, d->nslots * 2, err));
    return FZ_OK;
}

static fz_status codes_hashed(lane_dict *d, const uint64_t *lanes, size_t n, uint32_t max, uint32_t *codes,
                              bool *full, fz_error *err)
{
    for (size_t i = 0; i < n;) {
        uint64_t v = lanes[i];
        uint32_t code = 0;
        TRY(hash_code(d, v, max, &code, full, err));
        if (*full)
            return FZ_OK;
        do
            codes[i++] = code;
        while (i < n && lanes[i] == v);
    }
    return FZ_OK;
}

static uint32_t direct_look(const uint32_t *direct, uint64_t base, const uint64_t *lanes, size_t n, uint32_t *codes)
{
    uint32_t any = 0;
    for (size_t i = 0; i < n; i++) {
        uint32_t c = direct[lanes[i] - base];
        codes[i] = c;
        any |= c;
    }
    return any;
}

static fz_status codes_direct(lane_dict *d, const uint64_t *lanes, size_t n, uint32_t max, uint32_t *codes,
                              bool *full, fz_error *err)
{
    uint64_t base = (uint64_t)d->base;
    if (!(direct_look(d->direct, base, lanes, n, codes) & DIRECT_NONE))
        return FZ_OK;
    for (size_t i = 0; i < n; i++) {
        uint32_t *c = &d->direct[lanes[i] - base];
        if (*c == DIRECT_NONE) {
            if (d->n >= max) {
                *full = true;
                return FZ_OK;
            }
            *c = d->n;
            TRY(lane_append(d, lanes[i], err));
        }
        codes[i] = *c;
    }
    return FZ_OK;
}

/* Makes the table fit [lo, hi] as well; without one if that is too wide. */
static fz_status fit_range(lane_dict *d, int64_t lo, int64_t hi, fz_error *err)
{
    if (d->span) {
        if (lo >= d->base && (uint64_t)hi - (uint64_t)d->base < d->span)
            return FZ_OK;
        for (uint32_t i = 0; i < d->n; i++) {
            lo = (int64_t)d->values[i] < lo ? (int64_t)d->values[i] : lo;
            hi = (int64_t)d->values[i] > hi ? (int64_t)d->values[i] : hi;
        }
    } else if (d->nslots) {
        return FZ_OK; /* it is hashed already */
    }
    if ((uint64_t)hi - (uint64_t)lo < DICT_DIRECT_SPAN)
        return direct_build(d, lo, hi, err);
    direct_drop(d);
    return FZ_OK;
}

fz_status lane_dict_codes(lane_dict *d, const uint64_t *lanes, size_t n, bool ints, int64_t lo, int64_t hi,
                          uint32_t max, uint32_t *codes, bool *full, fz_error *err)
{
    *full = false;
    if (n == 0)
        return FZ_OK;
    if (ints)
        TRY(fit_range(d, lo, hi, err));
    if (d->span)
        return codes_direct(d, lanes, n, max, codes, full, err);
    if (!d->nslots) {
        uint32_t nslots = 256;
        while (nslots / 2 <= d->n)
            nslots *= 2;
        TRY(hash_build(d, nslots, err));
    }
    return codes_hashed(d, lanes, n, max, codes, full, err);
}

void lane_dict_clear(lane_dict *d)
{
    for (uint32_t i = 0; i < d->span; i++)
        d->direct[i] = DIRECT_NONE;
    if (d->slots)
        memset(d->slots, 0, d->nslots * sizeof *d->slots);
    d->n = 0;
}

void lane_dict_free(lane_dict *d)
{
    direct_drop(d);
    mem_free(d->m, d->slots, d->nslots * sizeof *d->slots);
    mem_free(d->m, d->values, d->cap * sizeof *d->values);
    *d = (lane_dict){.m = d->m};
}

/* ---- text ---- */

static fz_status text_append(text_dict *d, const uint8_t *p, uint32_t n, fz_error *err)
{
    size_t head = d->prefixed ? 4 : 0, need = d->blob_n + head + n;
    if (need > UINT32_MAX)
        return error_set(err, FZ_LIMIT, "a Parquet dictionary of more than 4 GB");
    if (need > d->blob_cap) {
        size_t cap = d->blob_cap ? d->blob_cap * 2 : 1024;
        while (cap < need)
            cap *= 2;
        uint8_t *b = mem_resize(d->m, d->blob, d->blob_cap, cap);
        if (!b)
            return error_nomem(err);
        d->blob = b;
        d->blob_cap = cap;
    }
    if (d->n == d->cap) {
        uint32_t cap = d->cap ? d->cap * 2 : 64;
        struct text_entry *e = mem_resize(d->m, d->entries, d->cap * sizeof *e, cap * sizeof *e);
        if (!e)
            return error_nomem(err);
        d->entries = e;
        d->cap = cap;
    }
    uint8_t *at = d->blob + d->blob_n;
    if (head) {
        at[0] = (uint8_t)n;
        at[1] = (uint8_t)(n >> 8);
        at[2] = (uint8_t)(n >> 16);
        at[3] = (uint8_t)(n >> 24);
    }
    if (n)
        memcpy(at + head, p, n);
    d->entries[d->n++] = (struct text_entry){(uint32_t)(d->blob_n + head), n, 0};
    d->blob_n = need;
    return FZ_OK;
}

static fz_status text_grow(text_dict *d, fz_error *err)
{
    uint32_t nslots = d->nslots ? d->nslots * 2 : 256;
    struct text_slot *p = mem_zalloc(d->m, nslots * sizeof *p);
    if (!p)
        return error_nomem(err);
    for (uint32_t i = 0; i < d->n; i++) {
        uint32_t tag = (uint32_t)hash_bytes(text_dict_at(d, i), d->entries[i].len);
        uint32_t s = tag & (nslots - 1);
        while (p[s].code1)
            s = (s + 1) & (nslots - 1);
        p[s] = (struct text_slot){tag, i + 1};
    }
    mem_free(d->m, d->slots, d->nslots * sizeof *p);
    d->slots = p;
    d->nslots = nslots;
    return FZ_OK;
}

fz_status text_dict_code(text_dict *d, const uint8_t *p, uint32_t n, uint32_t *code, fz_error *err)
{
    if (d->n >= d->nslots / 2)
        TRY(text_grow(d, err));
    uint32_t tag = (uint32_t)hash_bytes(p, n), s = tag & (d->nslots - 1);
    while (d->slots[s].code1) {
        uint32_t c = d->slots[s].code1 - 1;
        if (d->slots[s].tag == tag && d->entries[c].len == n && memcmp(text_dict_at(d, c), p, n) == 0) {
            *code = c;
            return FZ_OK;
        }
        s = (s + 1) & (d->nslots - 1);
    }
    TRY(text_append(d, p, n, err));
    d->slots[s] = (struct text_slot){tag, d->n};
    *code = d->n - 1;
    return FZ_OK;
}

void text_dict_clear(text_dict *d)
{
    if (d->slots)
        memset(d->slots, 0, d->nslots * sizeof *d->slots);
    d->n = 0;
    d->blob_n = 0;
}

void text_dict_free(text_dict *d)
{
    mem_free(d->m, d->slots, d->nslots * sizeof *d->slots);
    mem_free(d->m, d->entries, d->cap * sizeof *d->entries);
    mem_free(d->m, d->blob, d->blob_cap);
    *d = (text_dict){.m = d->m, .prefixed = d->prefixed};
}
