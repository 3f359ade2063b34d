/*
 * nested.c: vectors and values of structs, lists and maps (vector.h says how they lie), and
 * vec_take, which moves rows of every type by index and so the members of nested vectors.
 *
 * Taking n rows of a struct takes the same rows of each member. Taking rows of a list lays their
 * elements side by side: the rows' ranges become one array of element indexes, by which the kid
 * is taken. A null row takes no elements, and null members: what lies under it isn't looked at.
 * Everything recurses on the depth of the type, which TYPE_DEPTH_MAX bounds.
 */
#include "arrow/nested_int.h"

#define TAKE_NULL UINT32_MAX

/* ---- taking rows of flat types ---- */

#define CHUNK 512 /* positions that are found at a time */

/* Positions in the flat vector behind src for idx[0..n). */
static void positions_find(const vec *src, const uint32_t *idx, uint32_t n, uint32_t *pos)
{
    const uint32_t *codes = src->data;
    if (src->enc == VEC_FLAT && !src->valid) {
        memcpy(pos, idx, n * sizeof *pos);
    } else if (src->enc == VEC_DICT && !src->valid) {
        for (uint32_t i = 0; i < n; i++)
            pos[i] = idx[i] == TAKE_NULL ? TAKE_NULL : codes[idx[i]];
    } else {
        for (uint32_t i = 0; i < n; i++)
            pos[i] = idx[i] == TAKE_NULL ? TAKE_NULL : value_position(src, idx[i]);
    }
}

/* dst[i] = src[pos[i]], 0 where that is null. */
#define TAKE(NAME, T)                                                                     \
    static void NAME(T *restrict dst, const T *restrict src, const uint32_t *restrict pos, uint32_t n) \
    {                                                                                     \
        for (uint32_t i = 0; i < n; i++)                                                  \
            dst[i] = pos[i] == TAKE_NULL ? 0 : src[pos[i]];                               \
    }
TAKE(take_8, uint8_t)
TAKE(take_32, uint32_t)
TAKE(take_64, uint64_t)
TAKE(take_128, u128)

static void values_take(void *dst, const void *src, uint32_t size, const uint32_t *pos, uint32_t n)
{
    switch (size) {
    case 1:
        take_8(dst, src, pos, n);
        break;
    case 4:
        take_32(dst, src, pos, n);
        break;
    case 8:
        take_64(dst, src, pos, n);
        break;
    case 16:
        take_128(dst, src, pos, n);
        break;
    }
}

/* Clears the bits of rows without value; the bitmap is made when the first is met. */
static fz_status nulls_mark(vec *v, uint32_t from, const uint32_t *pos, uint32_t n, arena *a, fz_error *err)
{
    bool any = false;
    for (uint32_t i = 0; i < n; i++)
        any |= pos[i] == TAKE_NULL;
    if (!any)
        return FZ_OK;
    if (!v->valid && !(v->valid = bitmap_alloc(a, v->len, true)))
        return error_nomem(err);
    for (uint32_t i = 0; i < n; i++)
        if (pos[i] == TAKE_NULL)
            bit_clear(v->valid, from + i);
    return FZ_OK;
}

/* Moves the bytes of long texts into the arena; a row without value is "" already. */
static fz_status long_texts_copy(vec *v, arena *a, fz_error *err)
{
    strview *s = v->data;
    size_t total = 0;
    for (uint32_t i = 0; i < v->len; i++)
        if (s[i].len > 12 && __builtin_add_overflow(total, (size_t)s[i].len, &total))
            return error_nomem(err);
    char *at = total ? arena_alloc(a, total) : NULL;
    if (total && !at)
        return error_nomem(err);
    for (uint32_t i = 0; at && i < v->len; i++)
        if (s[i].len > 12) {
            memcpy(at, s[i].ptr, s[i].len);
            s[i].ptr = at;
            at += s[i].len;
        }
    return FZ_OK;
}

/* Rows idx[0..n) of src (NULL: 0..n-1) into the rows of out, which has room for them, from `at` on. */
static fz_status flat_put(vec *out, uint32_t at, const vec *src, const uint32_t *idx, uint32_t n, arena *a,
                          fz_error *err)
{
    uint32_t pos[CHUNK], all[CHUNK], size = phys_size(type_phys(src->t));
    const void *values = src->values ? src->values->data : src->data;
    for (uint32_t from = 0; from < n; from += CHUNK) {
        uint32_t k = n - from < CHUNK ? n - from : CHUNK;
        for (uint32_t i = 0; i < k && !idx; i++)
            all[i] = from + i;
        positions_find(src, idx ? idx + from : all, k, pos);
        TRY(nulls_mark(out, at + from, pos, k, a, err));
        values_take((char *)out->data + (size_t)(at + from) * size, values, size, pos, k);
    }
    return FZ_OK;
}

static fz_status flat_take(vec *dst, const vec *src, const uint32_t *idx, uint32_t n, bool copy_bytes, arena *a,
                           fz_error *err)
{
    vec out;
    TRY(vec_alloc(&out, src->t, n, a, err));
    TRY(flat_put(&out, 0, src, idx, n, a, err));
    if (copy_bytes && type_phys(src->t) == PHYS_STR)
        TRY(long_texts_copy(&out, a, err));
    *dst = out;
    return FZ_OK;
}

/* ---- taking rows of nested types ---- */

static fz_status kids_new(vec *v, arena *a, fz_error *err)
{
    uint32_t n = v->t.children ? v->t.children->n : 0;
    if (!(v->kids = ARENA_ARRAY(a, vec, n)))
        return error_nomem(err);
    for (uint32_t i = 0; i < n; i++)
        v->kids[i].t = v->t.children->f[i].t;
    return FZ_OK;
}

/* A member: one that is the same in all rows stays so. */
static fz_status member_take(vec *dst, const vec *src, const uint32_t *idx, uint32_t n, bool copy_bytes,
                             arena *a, fz_error *err)
{
    bool same = src->enc == VEC_CONST;
    for (uint32_t i = 0; i < n && same; i++)
        same = idx[i] != TAKE_NULL;
    if (!same)
        return vec_take(dst, src, idx, n, copy_bytes, a, err);
    datum d = vec_datum(src, 0);
    return vec_const(dst, &d, n, a, err);
}

static fz_status struct_take(vec *out, const vec *src, const uint32_t *pos, bool copy_bytes, arena *a,
                             fz_error *err)
{
    for (uint32_t k = 0; k < src->t.children->n; k++) {
        if (src->kids) {
            TRY(member_take(&out->kids[k], &src->kids[k], pos, out->len, copy_bytes, a, err));
        } else { /* a CONST null */
            datum null = DATUM_NULL(src->t.children->f[k].t);
            TRY(vec_const(&out->kids[k], &null, out->len, a, err));
        }
    }
    return FZ_OK;
}

static fz_status list_take(vec *out, const vec *src, const uint32_t *pos, bool copy_bytes, arena *a,
                           fz_error *err)
{
    const uint32_t *from = src->data;
    uint32_t *offsets = out->data = ARENA_ARRAY(a, uint32_t, (size_t)out->len + 1);
    if (!offsets)
        return error_nomem(err);
    uint64_t total = 0;
    for (uint32_t i = 0; i < out->len; i++) {
        if (pos[i] != TAKE_NULL)
            total += from[pos[i] + 1] - from[pos[i]];
        if (total >= TAKE_NULL)
            return error_set(err, FZ_LIMIT, "more than 4 billion list elements in one batch");
        offsets[i + 1] = (uint32_t)total;
    }
    uint32_t *idx = arena_alloc(a, total * sizeof *idx);
    if (!idx)
        return error_nomem(err);
    for (uint32_t i = 0; i < out->len; i++)
        for (uint32_t at = offsets[i]; at < offsets[i + 1]; at++)
            idx[at] = from[pos[i]] + (at - offsets[i]);
    for (uint32_t k = 0; k < src->t.children->n; k++)
        if (src->kids)
            TRY(member_take(&out->kids[k], &src->kids[k], idx, (uint32_t)total, copy_bytes, a, err));
        else
            TRY(vec_alloc(&out->kids[k], out->kids[k].t, 0, a, err));
    return FZ_OK;
}

fz_status vec_take(vec *dst, const vec *src, const uint32_t *idx, uint32_t n, bool copy_bytes, arena *a,
                   fz_error *err)
{
    if (!type_is_nested(src->t))
        return flat_take(dst, src, idx, n, copy_bytes, a, err);
    vec out = {.t = src->t, .enc = VEC_FLAT, .len = n};
    TRY(kids_new(&out, a, err));
    const uint32_t *pos = idx;
    if (src->valid || src->enc == VEC_CONST) {
        uint32_t *p = arena_alloc(a, (size_t)n * sizeof *p);
        if (!p)
            return error_nomem(err);
        positions_find(src, idx, n, p);
        pos = p;
    }
    TRY(nulls_mark(&out, 0, pos, n, a, err));
    TRY(src->t.id == T_STRUCT ? struct_take(&out, src, pos, copy_bytes, a, err)
                              : list_take(&out, src, pos, copy_bytes, a, err));
    *dst = out;
    return FZ_OK;
}

/* ---- one vector behind the other ---- */

static fz_status lists_concat(vec *out, const vec *srcs, uint32_t n, vec *parts, arena *a, fz_error *err)
{
    uint32_t *offsets = out->data = ARENA_ARRAY(a, uint32_t, (size_t)out->len + 1), row = 0;
    if (!offsets)
        return error_nomem(err);
    for (uint32_t i = 0; i < n; i++) {
        const uint32_t *from = srcs[i].data;
        for (uint32_t k = 0; k < srcs[i].len; k++, row++) {
            uint64_t end = (uint64_t)offsets[row] + (from[k + 1] - from[k]);
            if (end >= TAKE_NULL)
                return error_set(err, FZ_LIMIT, "more than 4 billion list elements in one batch");
            offsets[row + 1] = (uint32_t)end;
        }
    }
    for (uint32_t k = 0; k < out->t.children->n; k++) {
        for (uint32_t i = 0; i < n; i++) {
            const uint32_t *from = srcs[i].data;
            TRY(vec_slice(&parts[i], &srcs[i].kids[k], from[0], from[srcs[i].len] - from[0], a, err));
        }
        TRY(vec_concat(&out->kids[k], out->kids[k].t, parts, n, a, err));
    }
    return FZ_OK;
}

fz_status vec_concat(vec *dst, type t, const vec *srcs, uint32_t n, arena *a, fz_error *err)
{
    uint64_t total = 0;
    for (uint32_t i = 0; i < n; i++)
        total += srcs[i].len;
    if (total >= TAKE_NULL)
        return error_set(err, FZ_LIMIT, "more than 4 billion values in one batch");
    vec out = {.t = t, .enc = VEC_FLAT, .len = (uint32_t)total};
    if (!type_is_nested(t)) {
        TRY(vec_alloc(&out, t, out.len, a, err));
        for (uint32_t i = 0, at = 0; i < n; at += srcs[i++].len)
            TRY(flat_put(&out, at, &srcs[i], NULL, srcs[i].len, a, err));
        *dst = out;
        return FZ_OK;
    }
    TRY(kids_new(&out, a, err));
    vec *flat = ARENA_ARRAY(a, vec, n), *parts = ARENA_ARRAY(a, vec, n);
    if (!flat || !parts)
        return error_nomem(err);
    for (uint32_t i = 0, at = 0; i < n; at += srcs[i++].len) {
        TRY(vec_flatten(&flat[i], &srcs[i], a, err));
        if (!flat[i].valid)
            continue;
        if (!out.valid && !(out.valid = bitmap_alloc(a, out.len, true)))
            return error_nomem(err);
        for (uint32_t k = 0; k < flat[i].len; k++)
            if (!bit_get(flat[i].valid, k))
                bit_clear(out.valid, at + k);
    }
    if (t.id != T_STRUCT) {
        TRY(lists_concat(&out, flat, n, parts, a, err));
    } else {
        for (uint32_t k = 0; k < t.children->n; k++) {
            for (uint32_t i = 0; i < n; i++)
                parts[i] = flat[i].kids[k];
            TRY(vec_concat(&out.kids[k], out.kids[k].t, parts, n, a, err));
        }
    }
    *dst = out;
    return FZ_OK;
}

/* ---- vector.h's functions ---- */

fz_status nested_alloc(vec *v, uint32_t len, arena *a, fz_error *err)
{
    if (!v->t.children)
        return error_set(err, FZ_INTERNAL, "a nested type without members");
    TRY(kids_new(v, a, err));
    for (uint32_t i = 0; i < v->t.children->n; i++)
        TRY(vec_alloc(&v->kids[i], v->kids[i].t, v->t.id == T_STRUCT ? len : 0, a, err));
    if (v->t.id == T_STRUCT)
        return FZ_OK;
    v->data = ARENA_ARRAY(a, uint32_t, (size_t)len + 1);
    return v->data ? FZ_OK : error_nomem(err);
}

fz_status nested_gather(vec *dst, const vec *src, const uint16_t *sel, uint32_t n, bool copy_bytes, arena *a,
                        fz_error *err)
{
    uint32_t *idx = arena_alloc(a, (size_t)n * sizeof *idx);
    if (!idx)
        return error_nomem(err);
    for (uint32_t i = 0; i < n; i++)
        idx[i] = sel ? sel[i] : i;
    return vec_take(dst, src, idx, n, copy_bytes, a, err);
}

fz_status nested_slice(vec *out, const vec *src, uint32_t from, uint32_t n, arena *a, fz_error *err)
{
    if (src->t.id != T_STRUCT) {
        out->data = (uint32_t *)src->data + from;
        return FZ_OK;
    }
    TRY(kids_new(out, a, err));
    for (uint32_t i = 0; i < src->t.children->n; i++)
        TRY(vec_slice(&out->kids[i], &src->kids[i], from, n, a, err));
    return FZ_OK;
}

fz_status nested_const(vec *v, const datum *d, uint32_t len, arena *a, fz_error *err)
{
    if (d->null) {
        *v = (vec){.t = d->t, .enc = VEC_CONST, .len = len, .valid = bitmap_alloc(a, 1, false)};
        return v->valid ? FZ_OK : error_nomem(err);
    }
    /* the datum's row counts in memory, whatever the encoding: see vec_datum */
    vec row = *d->nested.v, out;
    row.enc = VEC_FLAT;
    row.valid = NULL;
    TRY(vec_take(&out, &row, &d->nested.row, 1, true, a, err));
    out.t = d->t;
    out.enc = VEC_CONST;
    out.len = len;
    *v = out;
    return FZ_OK;
}

/* ---- single values ---- */

uint32_t nested_count(const datum *d)
{
    if (d->null)
        return 0;
    if (d->t.id == T_STRUCT)
        return d->t.children->n;
    const uint32_t *offsets = d->nested.v->data;
    return offsets[d->nested.row + 1] - offsets[d->nested.row];
}

datum nested_member(const datum *d, uint32_t i, uint32_t k)
{
    const vec *v = d->nested.v;
    if (d->t.id == T_STRUCT)
        return vec_datum(&v->kids[i], d->nested.row);
    return vec_datum(&v->kids[k], ((const uint32_t *)v->data)[d->nested.row] + i);
}

static int member_cmp(const datum *a, const datum *b)
{
    if (a->null || b->null)
        return (int)a->null - (int)b->null;
    return datum_cmp(a, b);
}

int nested_cmp(const datum *a, const datum *b)
{
    uint32_t n = nested_count(a), m = nested_count(b), parts = a->t.id == T_MAP ? 2 : 1;
    for (uint32_t i = 0; i < n && i < m; i++)
        for (uint32_t k = 0; k < parts; k++) {
            datum x = nested_member(a, i, k), y = nested_member(b, i, k);
            int c = member_cmp(&x, &y);
            if (c)
                return c;
        }
    return (n > m) - (n < m);
}

/* Text between single quotes, those inside it doubled. */
static void quoted_text(str s, sbuf *out)
{
    sbuf_addc(out, '\'');
    for (const char *hit; s.n && (hit = memchr(s.p, '\'', s.n)); s.n -= (size_t)(hit + 1 - s.p), s.p = hit + 1) {
        sbuf_add(out, s.p, (size_t)(hit + 1 - s.p));
        sbuf_addc(out, '\'');
    }
    sbuf_str(out, s);
    sbuf_addc(out, '\'');
}

static void member_text(const datum *d, sbuf *out)
{
    if (d->null)
        sbuf_addz(out, "NULL");
    else if (d->t.id == T_STRING)
        quoted_text(d->s, out);
    else
        datum_text(d, out);
}

void nested_text(const datum *d, sbuf *out)
{
    uint32_t n = nested_count(d);
    sbuf_addc(out, d->t.id == T_LIST ? '[' : '{');
    for (uint32_t i = 0; i < n; i++) {
        datum m = nested_member(d, i, 0);
        if (i)
            sbuf_addz(out, ", ");
        if (d->t.id == T_STRUCT) {
            quoted_text(d->t.children->f[i].name, out);
            sbuf_addz(out, ": ");
        }
        member_text(&m, out);
        if (d->t.id == T_MAP) {
            m = nested_member(d, i, 1);
            sbuf_addc(out, '=');
            member_text(&m, out);
        }
    }
    sbuf_addc(out, d->t.id == T_LIST ? ']' : '}');
}
