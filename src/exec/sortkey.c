/*
 * sortkey.c: see sortkey_int.h. Entries are parted by one byte after the other, from the first on (bytes that
 * are the same everywhere are passed over), until few are left in a part: those are merged. All steps are stable.
 */
#include "exec/sortkey_int.h"

#define RADIX_MIN   128
#define RADIX_BYTES 24  /* entries that agree in so many varying bytes are merged, too */
#define RUN         16

static uint32_t key_bytes(const sort_key *k)
{
    switch (type_phys(k->e->t)) {
    case PHYS_U8: return 2;
    case PHYS_I32:
    case PHYS_F32: return 5;
    case PHYS_I64:
    case PHYS_F64: return 9;
    case PHYS_I128: return 17;
    case PHYS_STR: return 16;
    case PHYS_NESTED:
    case PHYS_NONE: return 1;
    }
    return 1;
}

fz_status sort_spec_init(sort_spec *s, uint32_t nkeys, const sort_key *keys, const row_layout *rows, const uint32_t *row_col,
                         arena *a, fz_error *err)
{
    *s = (sort_spec){.nkeys = nkeys, .keys = keys, .rows = rows};
    for (uint32_t i = 0; i < nkeys; i++)
        if (type_is_nested(keys[i].e->t))
            return error_set(err, FZ_UNSUPPORTED, "ORDER BY a struct, list or map");
    s->row_col = ARENA_ARRAY(a, uint32_t, nkeys + 1);
    s->byte_at = ARENA_ARRAY(a, uint32_t, nkeys + 1);
    s->segments = ARENA_ARRAY(a, sort_segment, nkeys + 1);
    if (!s->row_col || !s->byte_at || !s->segments)
        return error_nomem(err);
    uint32_t at = 0, from = 0;
    for (uint32_t i = 0; i < nkeys; i++) {
        bool text = type_phys(keys[i].e->t) == PHYS_STR;
        s->row_col[i] = row_col[i];
        s->byte_at[i] = at;
        at += key_bytes(&keys[i]);
        if (!text && i + 1 < nkeys)
            continue;
        at = (at + 7) & ~7u;
        s->segments[s->nsegments++] = (sort_segment){from, at / 8, text ? (int32_t)row_col[i] : -1, keys[i].desc};
        from = at / 8;
        s->text |= text;
    }
    s->words = at / 8;
    return FZ_OK;
}

static void put_be(uint8_t *to, u128 v, uint32_t n)
{
    for (uint32_t i = n; i-- > 0; v >>= 8)
        to[i] = (uint8_t)v;
}

static uint64_t order_f64(double v)
{
    uint64_t w;
    if (v == 0)
        v = 0;
    if (v != v)
        return UINT64_MAX;
    memcpy(&w, &v, 8);
    return w >> 63 ? ~w : w | 1ull << 63;
}
static uint32_t order_f32(float v)
{
    uint32_t w;
    if (v == 0)
        v = 0;
    if (v != v)
        return UINT32_MAX;
    memcpy(&w, &v, 4);
    return w >> 31 ? ~w : w | 1u << 31;
}

static void encode_value(uint8_t *to, const vec *v, uint32_t i)
{
    switch (type_phys(v->t)) {
    case PHYS_U8: to[0] = ((const uint8_t *)v->data)[i]; break;
    case PHYS_I32: {
        uint32_t w = __builtin_bswap32((uint32_t)((const int32_t *)v->data)[i] ^ 0x80000000u);
        memcpy(to, &w, 4);
        break;
    }
    case PHYS_I64: {
        uint64_t w = __builtin_bswap64((uint64_t)((const int64_t *)v->data)[i] ^ 1ull << 63);
        memcpy(to, &w, 8);
        break;
    }
    case PHYS_F32: put_be(to, order_f32(((const float *)v->data)[i]), 4); break;
    case PHYS_F64: put_be(to, order_f64(((const double *)v->data)[i]), 8); break;
    case PHYS_I128: put_be(to, (u128)((const i128 *)v->data)[i] ^ (u128)1 << 127, 16); break;
    case PHYS_STR: {
        const strview *s = (const strview *)v->data + i;
        uint32_t n = s->len < 15 ? s->len : 15;
        memset(to, 0, 15);
        memcpy(to, strview_ptr(s), n);
        break;
    }
    case PHYS_NONE:
    case PHYS_NESTED: break;
    }
}

fz_status sort_encode(const sort_spec *s, const vec *const *keys, const uint16_t *rows, uint32_t n, uint64_t *entries,
                      arena *scratch, fz_error *err)
{
    uint32_t stride = sort_stride(s);
    for (uint32_t k = 0; k < n; k++)
        memset(entries + (size_t)k * stride, 0, s->words * 8);
    for (uint32_t c = 0; c < s->nkeys; c++) {
        const sort_key *key = &s->keys[c];
        vec v;
        TRY(vec_gather(&v, keys[c], rows, n, false, scratch, err));
        uint32_t bytes = key_bytes(key);
        if (type_phys(v.t) == PHYS_I64 && v.enc == VEC_FLAT && !v.valid) { /* the common case, without questions */
            const int64_t *x = v.data;
            uint8_t *to = (uint8_t *)entries + s->byte_at[c];
            uint64_t flip = key->desc ? ~(1ull << 63) : 1ull << 63;
            for (uint32_t k = 0; k < n; k++, to += stride * 8) {
                uint64_t w = __builtin_bswap64((uint64_t)x[k] ^ flip);
                to[0] = 1;
                memcpy(to + 1, &w, 8);
            }
            continue;
        }
        for (uint32_t k = 0; k < n; k++) {
            uint8_t *to = (uint8_t *)(entries + (size_t)k * stride) + s->byte_at[c];
            bool null = v.t.id == T_NULL || (v.valid && !bit_get(v.valid, v.enc == VEC_CONST ? 0 : k));
            to[0] = null ? (key->nulls_first ? 0 : 2) : 1;
            if (null)
                continue;
            encode_value(to + 1, &v, v.enc == VEC_CONST ? 0 : k);
            if (key->desc)
                for (uint32_t b = 1; b < bytes; b++)
                    to[b] = (uint8_t)~to[b];
        }
    }
    for (uint32_t k = 0; k < n; k++) {
        uint64_t *e = entries + (size_t)k * stride;
        for (uint32_t w = 0; w < s->words; w++)
            e[w] = __builtin_bswap64(e[w]);
    }
    return FZ_OK;
}

static int text_cmp(const sort_spec *s, const sort_segment *g, const uint64_t *a, const uint64_t *b)
{
    const uint8_t *x = entry_row(s, a), *y = entry_row(s, b);
    uint32_t off = s->rows->cols[g->text].off;
    if (row_null(x, (uint32_t)g->text)) /* both are, as the prefixes are equal */
        return 0;
    int c = strview_cmp((const strview *)(x + off), (const strview *)(y + off));
    return g->desc ? -c : c;
}

int sort_cmp(const sort_spec *s, const uint64_t *a, const uint64_t *b)
{
    for (uint32_t i = 0; i < s->nsegments; i++) {
        const sort_segment *g = &s->segments[i];
        for (uint32_t w = g->from; w < g->to; w++)
            if (a[w] != b[w])
                return a[w] < b[w] ? -1 : 1;
        if (g->text >= 0) {
            int c = text_cmp(s, g, a, b);
            if (c)
                return c;
        }
    }
    return a[s->words] < b[s->words] ? -1 : a[s->words] > b[s->words];
}

/* ---- merging ---- */

static void insertion(const sort_spec *s, uint64_t *e, size_t n, uint64_t *tmp)
{
    uint32_t stride = sort_stride(s);
    for (size_t i = 1; i < n; i++) {
        size_t j = i;
        if (sort_cmp(s, e + (j - 1) * stride, e + i * stride) <= 0)
            continue;
        memcpy(tmp, e + i * stride, stride * 8);
        do {
            memcpy(e + j * stride, e + (j - 1) * stride, stride * 8);
            j--;
        } while (j > 0 && sort_cmp(s, e + (j - 1) * stride, tmp) > 0);
        memcpy(e + j * stride, tmp, stride * 8);
    }
}

static void merge_two(const sort_spec *s, const uint64_t *a, size_t na, const uint64_t *b, size_t nb, uint64_t *to)
{
    uint32_t stride = sort_stride(s);
    const uint64_t *a_end = a + na * stride, *b_end = b + nb * stride;
    while (a < a_end && b < b_end) {
        const uint64_t **from = sort_cmp(s, a, b) <= 0 ? &a : &b;
        memcpy(to, *from, stride * 8);
        *from += stride;
        to += stride;
    }
    if (a < a_end)
        memcpy(to, a, (size_t)(a_end - a) * 8);
    if (b < b_end)
        memcpy(to, b, (size_t)(b_end - b) * 8);
}

/* Sorts by comparing; the result is in e, or in tmp where into_tmp is set. */
static void merge_sort(const sort_spec *s, uint64_t *e, uint64_t *tmp, size_t n, bool into_tmp)
{
    uint32_t stride = sort_stride(s);
    for (size_t i = 0; i < n; i += RUN)
        insertion(s, e + i * stride, n - i < RUN ? n - i : RUN, tmp);
    uint64_t *from = e, *to = tmp;
    for (size_t width = RUN; width < n; width *= 2) {
        for (size_t i = 0; i < n; i += 2 * width) {
            size_t na = n - i < width ? n - i : width, nb = n - i - na < width ? n - i - na : width;
            merge_two(s, from + i * stride, na, from + (i + na) * stride, nb, to + i * stride);
        }
        uint64_t *swap = from;
        from = to;
        to = swap;
    }
    if (from != (into_tmp ? tmp : e))
        memcpy(into_tmp ? tmp : e, from, n * stride * 8);
}

/* ---- radix ---- */

typedef struct msd {
    const sort_spec *s;
    uint32_t nbytes;
    uint16_t bytes[RADIX_BYTES]; /* that vary among all entries, from the first on: word * 8 + byte from the low end */
    bool complete;               /* entries with these bytes equal are equal */
} msd;

/* The bytes before the first text that aren't the same everywhere. */
static void msd_bytes(msd *m, const uint64_t *e, size_t n)
{
    uint32_t stride = sort_stride(m->s), words = m->s->segments[0].to;
    m->complete = m->s->nsegments == 1 && !m->s->text;
    for (uint32_t w = 0; w < words; w++) {
        uint64_t any = 0;
        for (size_t i = 0; i < n; i++)
            any |= e[i * stride + w] ^ e[w];
        for (uint32_t b = 8; b-- > 0;) {
            if (!(any >> (b * 8) & 0xff))
                continue;
            if (m->nbytes == RADIX_BYTES) {
                m->complete = false;
                return;
            }
            m->bytes[m->nbytes++] = (uint16_t)(w * 8 + b);
        }
    }
}

/* Sorts what agrees in the bytes before `at`. No deeper than RADIX_BYTES. */
static void msd_sort(const msd *m, uint64_t *e, uint64_t *tmp, size_t n, uint32_t at, bool into_tmp)
{
    uint32_t stride = sort_stride(m->s);
    if (n < RADIX_MIN || at == m->nbytes) {
        if (n > 1 && (at < m->nbytes || !m->complete))
            merge_sort(m->s, e, tmp, n, into_tmp);
        else if (into_tmp)
            memcpy(tmp, e, n * stride * 8);
        return;
    }
    size_t start[257] = {0}, to[256];
    uint32_t w = m->bytes[at] / 8, shift = m->bytes[at] % 8 * 8;
    for (size_t i = 0; i < n; i++)
        start[(e[i * stride + w] >> shift & 0xff) + 1]++;
    for (int b = 0; b < 256; b++) {
        if (start[b + 1] == n) { /* nothing to part */
            msd_sort(m, e, tmp, n, at + 1, into_tmp);
            return;
        }
        start[b + 1] += start[b];
        to[b] = start[b];
    }
    for (size_t i = 0; i < n; i++) {
        const uint64_t *x = e + i * stride;
        uint64_t *y = tmp + to[x[w] >> shift & 0xff]++ * stride;
        for (uint32_t k = 0; k < stride; k++)
            y[k] = x[k];
    }
    for (int b = 0; b < 256; b++)
        if (start[b + 1] > start[b])
            msd_sort(m, tmp + start[b] * stride, e + start[b] * stride, start[b + 1] - start[b], at + 1, !into_tmp);
}

void sort_entries(const sort_spec *s, uint64_t *entries, uint64_t *tmp, size_t n)
{
    msd m = {.s = s};
    if (n >= RADIX_MIN && s->nsegments > 0)
        msd_bytes(&m, entries, n);
    msd_sort(&m, entries, tmp, n, 0, false);
}
