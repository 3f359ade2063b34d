/*
 * rows.c: see rows_int.h. Columns are moved one at a time.
 */
#include "exec/rows_int.h"

#include "base/hash.h"
#include "exec/nested_bytes_int.h"

fz_status row_layout_init(row_layout *l, uint32_t n, const type *types, bool canonical, arena *a, fz_error *err)
{
    *l = (row_layout){.n = n, .null_words = (n + 63) / 64, .canonical = canonical};
    l->cols = ARENA_ARRAY(a, row_col, n ? n : 1);
    if (!l->cols)
        return error_nomem(err);
    uint32_t at = l->null_words * 8;
    for (uint32_t i = 0; i < n; i++) {
        bool nested = type_phys(types[i]) == PHYS_NESTED;
        phys p = nested ? PHYS_STR : type_phys(types[i]);
        uint32_t size = p == PHYS_I128 || p == PHYS_STR ? 16 : 8;
        l->cols[i] = (row_col){types[i], p, nested, at, size};
        l->text |= p == PHYS_STR;
        at += size;
    }
    l->width = at;
    return FZ_OK;
}

static uint64_t f64_bits(double v, bool canonical)
{
    uint64_t w;
    if (canonical && v == 0)
        v = 0;
    if (canonical && v != v)
        return 0x7ff8000000000000ull;
    memcpy(&w, &v, 8);
    return w;
}
static uint64_t f32_bits(float v, bool canonical)
{
    uint32_t w;
    if (canonical && v == 0)
        v = 0;
    if (canonical && v != v)
        return 0x7fc00000u;
    memcpy(&w, &v, 4);
    return w;
}

#define EACH(T, STORE)                                                                             \
    {                                                                                              \
        const T *x = v->data;                                                                      \
        for (uint32_t k = 0; k < n; k++, to += stride) {                                           \
            T value = x[(rows ? rows[k] : first + k) * step];                                      \
            STORE;                                                                                 \
        }                                                                                          \
        break;                                                                                     \
    }
#define PUT64(EXPR) { uint64_t w_ = (uint64_t)(EXPR); memcpy(to, &w_, 8); }

static void encode_flat(const row_col *c, const vec *v, const uint16_t *rows, uint32_t first, uint32_t n, uint8_t *to, size_t stride, bool canonical)
{
    uint32_t step = v->enc == VEC_CONST ? 0 : 1;
    switch ((phys)c->p) {
    case PHYS_U8: EACH(uint8_t, PUT64(value))
    case PHYS_I32: EACH(int32_t, PUT64((int64_t)value))
    case PHYS_I64: EACH(int64_t, PUT64(value))
    case PHYS_F32: EACH(float, PUT64(f32_bits(value, canonical)))
    case PHYS_F64: EACH(double, PUT64(f64_bits(value, canonical)))
    case PHYS_I128: EACH(i128, memcpy(to, &value, 16))
    case PHYS_STR: EACH(strview, memcpy(to, &value, 16))
    case PHYS_NONE:
    case PHYS_NESTED: break;
    }
}

static void encode_nulls(const row_col *c, uint32_t col, const vec *v, const uint16_t *rows, uint32_t first, uint32_t n, uint8_t *dst, size_t stride)
{
    uint64_t bit = 1ull << (col & 63);
    for (uint32_t k = 0; k < n; k++) {
        uint32_t i = v->enc == VEC_CONST ? 0 : rows ? rows[k] : first + k;
        if (v->valid && bit_get(v->valid, i))
            continue;
        uint8_t *row = dst + k * stride;
        ((uint64_t *)row)[col >> 6] |= bit;
        memset(row + c->off, 0, c->size);
    }
}

fz_status rows_encode(const row_layout *l, const vec *const *cols, const uint16_t *rows, uint32_t first, uint32_t n,
                      uint8_t *dst, size_t stride, arena *scratch, fz_error *err)
{
    for (uint32_t k = 0; k < n; k++)
        memset(dst + k * stride, 0, l->null_words * 8);
    for (uint32_t c = 0; c < l->n; c++) {
        vec flat;
        const vec *v = cols[c];
        const uint16_t *at = rows;
        uint32_t from = first;
        if (v->enc == VEC_DICT || v->enc == VEC_RLE) { /* only the rows that are asked for */
            vec part = *v;
            if (!rows && (first || n != v->len))
                TRY(vec_slice(&part, v, first, n, scratch, err));
            TRY(vec_gather(&flat, &part, rows, n, false, scratch, err));
            v = &flat;
            at = NULL;
            from = 0;
        }
        if (l->cols[c].nested) {
            TRY(nested_encode(cols[c], rows, first, n, l->canonical, &flat, scratch, err));
            v = &flat;
            at = NULL;
            from = 0;
        }
        encode_flat(&l->cols[c], v, at, from, n, dst + l->cols[c].off, stride, l->canonical);
        if (v->valid || l->cols[c].p == PHYS_NONE)
            encode_nulls(&l->cols[c], c, v, at, from, n, dst, stride);
    }
    return FZ_OK;
}

uint64_t row_hash(const row_layout *l, const uint8_t *row)
{
    const uint64_t *w = (const uint64_t *)row;
    uint64_t h = w[0];
    for (uint32_t i = 1; i < l->null_words; i++)
        h = hash_mix(h, w[i]);
    for (uint32_t c = 0; c < l->n; c++) {
        const uint8_t *at = row + l->cols[c].off;
        if (l->cols[c].p == PHYS_STR) {
            const strview *v = (const strview *)at;
            h = hash_mix(h, hash_bytes(strview_ptr(v), v->len));
            continue;
        }
        h = hash_mix(h, ((const uint64_t *)at)[0]);
        if (l->cols[c].size == 16)
            h = hash_mix(h, ((const uint64_t *)at)[1]);
    }
    return h;
}

void rows_hash(const row_layout *l, const uint8_t *rows, size_t stride, uint32_t n, uint64_t *out)
{
    for (uint32_t k = 0; k < n; k++) {
        const uint64_t *w = (const uint64_t *)(rows + k * stride);
        uint64_t h = w[0];
        for (uint32_t i = 1; i < l->null_words; i++)
            h = hash_mix(h, w[i]);
        out[k] = h;
    }
    for (uint32_t c = 0; c < l->n; c++) {
        const uint8_t *at = rows + l->cols[c].off;
        if (l->cols[c].p == PHYS_STR)
            for (uint32_t k = 0; k < n; k++, at += stride)
                out[k] = hash_mix(out[k], hash_bytes(strview_ptr((const strview *)at), ((const strview *)at)->len));
        else if (l->cols[c].size == 8)
            for (uint32_t k = 0; k < n; k++, at += stride)
                out[k] = hash_mix(out[k], *(const uint64_t *)at);
        else
            for (uint32_t k = 0; k < n; k++, at += stride)
                out[k] = hash_mix(hash_mix(out[k], ((const uint64_t *)at)[0]), ((const uint64_t *)at)[1]);
    }
}

bool row_eq(const row_layout *l, const uint8_t *a, const uint8_t *b)
{
    const uint64_t *x = (const uint64_t *)a, *y = (const uint64_t *)b;
    uint64_t diff = 0;
    for (uint32_t i = 0; i < (l->text ? l->null_words : l->width / 8); i++)
        diff |= x[i] ^ y[i];
    if (diff || !l->text)
        return diff == 0;
    for (uint32_t c = 0; c < l->n; c++) {
        uint32_t at = l->cols[c].off / 8;
        bool same = l->cols[c].p == PHYS_STR ? strview_eq((const strview *)(x + at), (const strview *)(y + at))
                                              : x[at] == y[at] && (l->cols[c].size == 8 || x[at + 1] == y[at + 1]);
        if (!same)
            return false;
    }
    return true;
}

fz_status row_own(const row_layout *l, uint8_t *row, arena *a, fz_error *err)
{
    for (uint32_t c = 0; l->text && c < l->n; c++) {
        if (l->cols[c].p != PHYS_STR)
            continue;
        strview *v = (strview *)(row + l->cols[c].off);
        if (v->len <= 12)
            continue;
        char *p = arena_alloc(a, v->len);
        if (!p)
            return error_nomem(err);
        memcpy(p, v->ptr, v->len);
        v->ptr = p;
    }
    return FZ_OK;
}

#define DECODE(T, FROM)                                                                            \
    {                                                                                              \
        T *o = out->data;                                                                          \
        for (uint32_t k = 0; k < n; k++) {                                                         \
            if (!rows[k]) {                                                                        \
                memset(&o[k], 0, sizeof *o);                                                       \
                continue;                                                                          \
            }                                                                                      \
            FROM w;                                                                                \
            memcpy(&w, rows[k] + off, sizeof w);                                                   \
            o[k] = (T)w;                                                                           \
        }                                                                                          \
        break;                                                                                     \
    }
#define DECODE_BYTES(T)                                                                            \
    {                                                                                              \
        T *o = out->data;                                                                          \
        for (uint32_t k = 0; k < n; k++)                                                           \
            if (rows[k])                                                                           \
                memcpy(&o[k], rows[k] + off, sizeof *o);                                           \
            else                                                                                   \
                memset(&o[k], 0, sizeof *o);                                                       \
        break;                                                                                     \
    }

static fz_status decode_nested(const row_layout *l, uint32_t c, const uint8_t *const *rows, uint32_t n, vec *out, arena *a, fz_error *err)
{
    const uint8_t **at = ARENA_ARRAY(a, const uint8_t *, (size_t)n + 1);
    if (!at)
        return error_nomem(err);
    for (uint32_t k = 0; k < n; k++)
        if (rows[k] && !row_null(rows[k], c))
            at[k] = (const uint8_t *)strview_ptr((const strview *)(rows[k] + l->cols[c].off));
    return nested_decode(l->cols[c].t, at, n, out, a, err);
}

fz_status rows_decode(const row_layout *l, uint32_t c, const uint8_t *const *rows, uint32_t n, vec *out, arena *a, fz_error *err)
{
    if (l->cols[c].p == PHYS_NONE) {
        datum d = DATUM_NULL(l->cols[c].t);
        return vec_const(out, &d, n, a, err);
    }
    if (l->cols[c].nested)
        return decode_nested(l, c, rows, n, out, a, err);
    TRY(vec_alloc(out, l->cols[c].t, n, a, err));
    uint32_t off = l->cols[c].off;
    switch ((phys)l->cols[c].p) {
    case PHYS_U8: DECODE(uint8_t, uint64_t)
    case PHYS_I32: DECODE(int32_t, int64_t)
    case PHYS_I64: DECODE(int64_t, int64_t)
    case PHYS_F32: DECODE_BYTES(float)
    case PHYS_F64: DECODE_BYTES(double)
    case PHYS_I128: DECODE_BYTES(i128)
    case PHYS_STR: DECODE_BYTES(strview)
    case PHYS_NONE:
    case PHYS_NESTED: break;
    }
    for (uint32_t k = 0; k < n; k++) {
        if (rows[k] && !row_null(rows[k], c))
            continue;
        if (!out->valid && !(out->valid = bitmap_alloc(a, n, true)))
            return error_nomem(err);
        bit_clear(out->valid, k);
    }
    return FZ_OK;
}
