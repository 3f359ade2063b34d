/*
 * vector.c: see vector.h.
 *
 * What a batch that is `stable` must keep in refcounted buffers is what can be large: the data
 * of FLAT and DICT vectors (a list's offsets too), dictionaries' values and the bytes of text. Structures, bitmaps,
 * run ends, constants and the selection may lie in the batch's arena: batch_hold copies them.
 */
#include "arrow/nested_int.h"

/* ---- batches ---- */

void batch_init(batch *b, mem *m)
{
    *b = (batch){0};
    arena_init(&b->mem, m);
}

void batch_reset(batch *b)
{
    for (uint32_t i = 0; i < b->nkeep; i++)
        buf_unref(b->keep[i]);
    arena a = b->mem;
    arena_reset(&a);
    *b = (batch){.mem = a};
}

void batch_free(batch *b)
{
    batch_reset(b);
    arena_free(&b->mem);
}

fz_status batch_columns(batch *b, uint32_t ncols, fz_error *err)
{
    b->cols = ARENA_ARRAY(&b->mem, vec, ncols);
    if (!b->cols)
        return error_nomem(err);
    b->ncols = ncols;
    return FZ_OK;
}

fz_status batch_keep(batch *b, buf *x, fz_error *err)
{
    if (!x)
        return FZ_OK;
    if (b->nkeep == b->capkeep) {
        uint32_t cap = b->capkeep ? b->capkeep * 2 : 8;
        buf **keep = cap > b->capkeep ? ARENA_ARRAY(&b->mem, buf *, cap) : NULL;
        if (!keep)
            return error_nomem(err);
        if (b->nkeep)
            memcpy(keep, b->keep, b->nkeep * sizeof *keep);
        b->keep = keep;
        b->capkeep = cap;
    }
    b->keep[b->nkeep++] = buf_ref(x);
    return FZ_OK;
}

void batch_move(batch *dst, batch *src)
{
    if (dst == src)
        return;
    batch_free(dst);
    *dst = *src;
    batch_init(src, dst->mem.m);
}

/* ---- allocation ---- */

fz_status vec_alloc(vec *v, type t, uint32_t len, arena *a, fz_error *err)
{
    *v = (vec){.t = t, .enc = VEC_FLAT, .len = len};
    if (type_is_nested(t))
        return nested_alloc(v, len, a, err);
    v->data = arena_alloc(a, (size_t)phys_size(type_phys(t)) * len);
    return v->data ? FZ_OK : error_nomem(err);
}

uint64_t *bitmap_alloc(arena *a, uint32_t len, bool ones)
{
    size_t bytes = BITMAP_WORDS(len) * 8;
    uint64_t *b = arena_alloc(a, bytes);
    if (b)
        memset(b, ones ? 0xff : 0, bytes);
    return b;
}

fz_status vec_const(vec *v, const datum *d, uint32_t len, arena *a, fz_error *err)
{
    if (type_is_nested(d->t))
        return nested_const(v, d, len, a, err);
    TRY(vec_alloc(v, d->t, 1, a, err));
    v->enc = VEC_CONST;
    v->len = len;
    phys p = type_phys(d->t);
    memset(v->data, 0, phys_size(p));
    if (d->null) {
        v->valid = bitmap_alloc(a, 1, false);
        return v->valid ? FZ_OK : error_nomem(err);
    }
    switch (p) {
    case PHYS_U8:
        *(uint8_t *)v->data = d->b;
        break;
    case PHYS_I32:
        *(int32_t *)v->data = d->i32;
        break;
    case PHYS_I64:
        *(int64_t *)v->data = d->i64;
        break;
    case PHYS_I128:
        *(i128 *)v->data = d->i128v;
        break;
    case PHYS_F32:
        *(float *)v->data = d->f32;
        break;
    case PHYS_F64:
        *(double *)v->data = d->f64;
        break;
    case PHYS_STR: {
        if (d->s.n > UINT32_MAX)
            return error_set(err, FZ_VALUE, "a text of %zu bytes is too long", d->s.n);
        const char *p_copy = arena_strndup(a, d->s.p, d->s.n);
        if (!p_copy)
            return error_nomem(err);
        *(strview *)v->data = strview_make(p_copy, (uint32_t)d->s.n);
        break;
    }
    case PHYS_NONE:
    case PHYS_NESTED:
        return error_set(err, FZ_INTERNAL, "a constant without type must be null");
    }
    return FZ_OK;
}

/* ---- single values ---- */

/* The run that holds a row: the first whose end is behind it. */
static uint32_t run_find(const vec *v, uint32_t row)
{
    const uint32_t *ends = v->data;
    uint32_t lo = 0, hi = v->nruns ? v->nruns - 1 : 0;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (ends[mid] > row)
            hi = mid;
        else
            lo = mid + 1;
    }
    return lo;
}

/* The flat vector and the position in it where a row's value lies; NULL: the row is null. */
static const vec *value_find(const vec *v, uint32_t *row)
{
    switch (v->enc) {
    case VEC_CONST:
        *row = 0;
        break;
    case VEC_DICT:
        if (v->valid && !bit_get(v->valid, *row))
            return NULL;
        *row = ((const uint32_t *)v->data)[*row];
        v = v->values;
        break;
    case VEC_RLE:
        *row = run_find(v, *row);
        v = v->values;
        break;
    }
    if (v->t.id == T_NULL || (v->valid && !bit_get(v->valid, *row)))
        return NULL;
    return v;
}

uint32_t value_position(const vec *v, uint32_t row)
{
    return value_find(v, &row) ? row : UINT32_MAX;
}

bool vec_is_null(const vec *v, uint32_t row)
{
    return !value_find(v, &row);
}

datum vec_datum(const vec *v, uint32_t row)
{
    datum d = DATUM_NULL(v->t);
    v = value_find(v, &row);
    if (!v)
        return d;
    d.null = false;
    switch (type_phys(v->t)) {
    case PHYS_U8:
        d.b = ((const uint8_t *)v->data)[row] != 0;
        break;
    case PHYS_I32:
        d.i32 = ((const int32_t *)v->data)[row];
        break;
    case PHYS_I64:
        d.i64 = ((const int64_t *)v->data)[row];
        break;
    case PHYS_I128:
        d.i128v = ((const i128 *)v->data)[row];
        break;
    case PHYS_F32:
        d.f32 = ((const float *)v->data)[row];
        break;
    case PHYS_F64:
        d.f64 = ((const double *)v->data)[row];
        break;
    case PHYS_STR:
        d.s = strview_str(&((const strview *)v->data)[row]);
        break;
    case PHYS_NESTED:
        d.nested.v = v;
        d.nested.row = row;
        break;
    case PHYS_NONE:
        break;
    }
    return d;
}

bool vec_may_null(const vec *v)
{
    if (v->t.id == T_NULL)
        return true;
    return (v->enc == VEC_RLE ? v->values->valid : v->valid) != NULL;
}

/* ---- gathering ---- */

/* dst[i] = src[sel[i]], one instance per value size */
#define GATHER(NAME, T)                                                                           \
    static void NAME(T *restrict dst, const T *restrict src, const uint16_t *restrict sel, uint32_t n) \
    {                                                                                             \
        for (uint32_t i = 0; i < n; i++)                                                          \
            dst[i] = src[sel[i]];                                                                 \
    }
GATHER(gather_8, uint8_t)
GATHER(gather_32, uint32_t)
GATHER(gather_64, uint64_t)
GATHER(gather_128, u128)

static void gather_flat(void *dst, const void *src, uint32_t size, const uint16_t *sel, uint32_t n)
{
    if (!sel) {
        if (n && size)
            memcpy(dst, src, (size_t)size * n);
        return;
    }
    switch (size) {
    case 1:
        gather_8(dst, src, sel, n);
        break;
    case 4:
        gather_32(dst, src, sel, n);
        break;
    case 8:
        gather_64(dst, src, sel, n);
        break;
    case 16:
        gather_128(dst, src, sel, n);
        break;
    }
}

/* dst[i] = src[codes[sel[i]]] */
#define DECODE(NAME, T)                                                                            \
    static void NAME(T *restrict dst, const T *restrict src, const uint32_t *restrict codes,       \
                     const uint16_t *restrict sel, uint32_t n)                                     \
    {                                                                                              \
        if (sel)                                                                                   \
            for (uint32_t i = 0; i < n; i++)                                                       \
                dst[i] = src[codes[sel[i]]];                                                       \
        else                                                                                       \
            for (uint32_t i = 0; i < n; i++)                                                       \
                dst[i] = src[codes[i]];                                                            \
    }
DECODE(decode_8, uint8_t)
DECODE(decode_32, uint32_t)
DECODE(decode_64, uint64_t)
DECODE(decode_128, u128)

static void gather_dict(void *dst, const vec *src, uint32_t size, const uint16_t *sel, uint32_t n)
{
    const void *values = src->values->data;
    if (src->values->len == 0) { /* then every row is null */
        memset(dst, 0, (size_t)size * n);
        return;
    }
    switch (size) {
    case 1:
        decode_8(dst, values, src->data, sel, n);
        break;
    case 4:
        decode_32(dst, values, src->data, sel, n);
        break;
    case 8:
        decode_64(dst, values, src->data, sel, n);
        break;
    case 16:
        decode_128(dst, values, src->data, sel, n);
        break;
    }
}

/* n copies of one value */
#define FILL(NAME, T)                                       \
    static void NAME(T *dst, const T *value, uint32_t n)    \
    {                                                       \
        T x = *value;                                       \
        for (uint32_t i = 0; i < n; i++)                    \
            dst[i] = x;                                     \
    }
FILL(fill_8, uint8_t)
FILL(fill_32, uint32_t)
FILL(fill_64, uint64_t)
FILL(fill_128, u128)

static void fill_value(void *dst, const void *value, uint32_t size, uint32_t n)
{
    switch (size) {
    case 1:
        fill_8(dst, value, n);
        break;
    case 4:
        fill_32(dst, value, n);
        break;
    case 8:
        fill_64(dst, value, n);
        break;
    case 16:
        fill_128(dst, value, n);
        break;
    }
}

/* Bits [from, from+n) of src, or the selected ones, into a bitmap of the arena. */
static uint64_t *bitmap_gather(const uint64_t *src, const uint16_t *sel, uint32_t from, uint32_t n, arena *a)
{
    uint64_t *dst = bitmap_alloc(a, n, false);
    if (!dst)
        return NULL;
    if (sel) {
        for (uint32_t w = 0; w < BITMAP_WORDS(n); w++) {
            uint32_t end = n - w * 64 < 64 ? n - w * 64 : 64;
            uint64_t word = 0;
            for (uint32_t i = 0; i < end; i++)
                word |= (uint64_t)bit_get(src, sel[w * 64 + i]) << i;
            dst[w] = word;
        }
        return dst;
    }
    unsigned shift = from & 63;
    size_t first = from >> 6, last = n ? ((size_t)from + n - 1) >> 6 : first;
    for (size_t w = 0; w < BITMAP_WORDS(n); w++) {
        uint64_t word = src[first + w] >> shift;
        if (shift && first + w < last) /* never past the word of the last row */
            word |= src[first + w + 1] << (64 - shift);
        dst[w] = word;
    }
    return dst;
}

static void bits_fill(uint64_t *b, uint32_t from, uint32_t n, bool one)
{
    for (uint32_t i = from; i < from + n; i++)
        if (one)
            bit_set(b, i);
        else
            bit_clear(b, i);
}

/* FLAT rows from runs: whole runs at once, cut to what is selected. */
static fz_status gather_rle(vec *dst, const vec *src, uint32_t size, const uint16_t *sel, uint32_t n,
                            arena *a, fz_error *err)
{
    const uint32_t *ends = src->data;
    const vec *values = src->values;
    if (values->valid && !(dst->valid = bitmap_alloc(a, n, true)))
        return error_nomem(err);
    uint32_t run = 0;
    for (uint32_t i = 0; i < n;) {
        uint32_t row = sel ? sel[i] : i, stop = i;
        while (run + 1 < src->nruns && ends[run] <= row)
            run++;
        if (!sel)
            stop = ends[run] < n && run + 1 < src->nruns ? ends[run] : n;
        else
            while (stop < n && (sel[stop] < ends[run] || run + 1 == src->nruns))
                stop++;
        fill_value((char *)dst->data + (size_t)i * size, (const char *)values->data + (size_t)run * size,
                   size, stop - i);
        if (values->valid && !bit_get(values->valid, run))
            bits_fill(dst->valid, i, stop - i, false);
        i = stop;
    }
    return FZ_OK;
}

/* Moves the bytes of long texts into the arena; what stands under a 0 bit becomes "". */
static fz_status bytes_copy(vec *v, arena *a, fz_error *err)
{
    strview *s = v->data;
    size_t total = 0;
    for (uint32_t i = 0; i < v->len; i++) {
        if (v->valid && !bit_get(v->valid, i))
            memset(&s[i], 0, sizeof s[i]);
        else if (s[i].len > 12 && __builtin_add_overflow(total, (size_t)s[i].len, &total))
            return error_nomem(err);
    }
    if (!total)
        return FZ_OK;
    char *at = arena_alloc(a, total);
    if (!at)
        return error_nomem(err);
    for (uint32_t i = 0; i < v->len; i++) {
        if (s[i].len <= 12)
            continue;
        memcpy(at, s[i].ptr, s[i].len);
        s[i].ptr = at;
        at += s[i].len;
    }
    return FZ_OK;
}

fz_status vec_gather(vec *dst, const vec *src, const uint16_t *sel, uint32_t n, bool copy_bytes,
                     arena *a, fz_error *err)
{
    vec out;
    if (!sel && n > src->len)
        n = src->len;
    if (type_is_nested(src->t))
        return nested_gather(dst, src, sel, n, copy_bytes, a, err);
    TRY(vec_alloc(&out, src->t, n, a, err));
    phys p = type_phys(src->t);
    uint32_t size = phys_size(p);
    bool bitmap = src->valid != NULL && src->enc != VEC_RLE;
    switch (src->enc) {
    case VEC_FLAT:
        gather_flat(out.data, src->data, size, sel, n);
        break;
    case VEC_CONST:
        fill_value(out.data, src->data, size, n);
        if (bitmap) {
            bitmap = false;
            if (!(out.valid = bitmap_alloc(a, n, bit_get(src->valid, 0))))
                return error_nomem(err);
        }
        break;
    case VEC_DICT:
        gather_dict(out.data, src, size, sel, n);
        break;
    case VEC_RLE:
        TRY(gather_rle(&out, src, size, sel, n, a, err));
        break;
    }
    if (bitmap && !(out.valid = bitmap_gather(src->valid, sel, 0, n, a)))
        return error_nomem(err);
    if (copy_bytes && p == PHYS_STR)
        TRY(bytes_copy(&out, a, err));
    *dst = out;
    return FZ_OK;
}

fz_status vec_flatten(vec *dst, const vec *src, arena *a, fz_error *err)
{
    if (src->enc == VEC_FLAT) {
        *dst = *src;
        return FZ_OK;
    }
    return vec_gather(dst, src, NULL, src->len, false, a, err);
}

/* ---- slices ---- */

static fz_status slice_rle(vec *out, const vec *src, uint32_t from, uint32_t n, arena *a, fz_error *err)
{
    const uint32_t *ends = src->data;
    uint32_t first = run_find(src, from), last = n ? run_find(src, from + n - 1) : first;
    uint32_t nruns = n ? last - first + 1 : 0;
    uint32_t *cut = ARENA_ARRAY(a, uint32_t, nruns);
    out->values = ARENA_NEW(a, vec);
    if (!cut || !out->values)
        return error_nomem(err);
    for (uint32_t i = 0; i < nruns; i++)
        cut[i] = i + 1 < nruns ? ends[first + i] - from : n;
    out->data = cut;
    out->nruns = nruns;
    return vec_slice(out->values, src->values, first, nruns, a, err);
}

fz_status vec_slice(vec *dst, const vec *src, uint32_t from, uint32_t n, arena *a, fz_error *err)
{
    if (from > src->len || n > src->len - from)
        return error_set(err, FZ_INTERNAL, "a slice of rows %u to %u of %u", from, from + n, src->len);
    vec out = *src;
    out.len = n;
    if (src->enc == VEC_RLE) {
        TRY(slice_rle(&out, src, from, n, a, err));
    } else if (src->enc != VEC_CONST) {
        uint32_t size = src->enc == VEC_DICT ? 4 : phys_size(type_phys(src->t));
        if (type_is_nested(src->t))
            TRY(nested_slice(&out, src, from, n, a, err));
        else
            out.data = src->data ? (char *)src->data + (size_t)from * size : NULL;
        if (src->valid && from && !(out.valid = bitmap_gather(src->valid, NULL, from, n, a)))
            return error_nomem(err);
    }
    *dst = out;
    return FZ_OK;
}

/* ---- holding ---- */

static void *arena_dup(arena *a, const void *p, size_t n)
{
    void *copy = arena_alloc(a, n);
    if (copy && n)
        memcpy(copy, p, n);
    return copy;
}

/* A vector whose large memory is kept by references: copies what may lie in an arena. */
static fz_status vec_share(vec *dst, const vec *src, arena *a, fz_error *err)
{
    *dst = *src;
    if (src->enc == VEC_CONST) {
        datum d = vec_datum(src, 0);
        return vec_const(dst, &d, src->len, a, err);
    }
    if (src->enc != VEC_RLE && src->valid &&
        !(dst->valid = arena_dup(a, src->valid, BITMAP_WORDS(src->len) * 8)))
        return error_nomem(err);
    if (src->enc == VEC_RLE && !(dst->data = arena_dup(a, src->data, src->nruns * sizeof(uint32_t))))
        return error_nomem(err);
    if (src->values) {
        if (!(dst->values = ARENA_NEW(a, vec)))
            return error_nomem(err);
        return vec_share(dst->values, src->values, a, err); /* FLAT: one level */
    }
    if (src->kids) {
        uint32_t n = src->t.children->n;
        if (!(dst->kids = ARENA_ARRAY(a, vec, n)))
            return error_nomem(err);
        for (uint32_t i = 0; i < n; i++)
            TRY(vec_share(&dst->kids[i], &src->kids[i], a, err));
    }
    return FZ_OK;
}

static fz_status hold_stable(batch *dst, const batch *src, fz_error *err)
{
    for (uint32_t i = 0; i < src->nkeep; i++)
        TRY(batch_keep(dst, src->keep[i], err));
    for (uint32_t i = 0; i < src->ncols; i++)
        TRY(vec_share(&dst->cols[i], &src->cols[i], &dst->mem, err));
    if (src->sel && !(dst->sel = arena_dup(&dst->mem, src->sel, src->nsel * sizeof *src->sel)))
        return error_nomem(err);
    dst->nrows = src->nrows;
    dst->stable = true;
    return FZ_OK;
}

static fz_status hold_copy(batch *dst, const batch *src, fz_error *err)
{
    for (uint32_t i = 0; i < src->ncols; i++) {
        const vec *v = &src->cols[i];
        if (v->enc == VEC_CONST) {
            datum d = vec_datum(v, 0);
            TRY(vec_const(&dst->cols[i], &d, src->nsel, &dst->mem, err));
        } else {
            TRY(vec_gather(&dst->cols[i], v, src->sel, src->nsel, true, &dst->mem, err));
        }
    }
    dst->nrows = src->nsel;
    return FZ_OK;
}

fz_status batch_hold(batch *dst, const batch *src, fz_error *err)
{
    fz_status st;
    batch_reset(dst);
    TRY_GOTO(batch_columns(dst, src->ncols, err));
    dst->nsel = src->nsel;
    dst->morsel = src->morsel;
    dst->seq = src->seq;
    TRY_GOTO(src->stable ? hold_stable(dst, src, err) : hold_copy(dst, src, err));
    return FZ_OK;
out:
    batch_reset(dst);
    return st;
}
