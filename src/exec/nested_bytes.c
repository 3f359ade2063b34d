/*
 * nested_bytes.c: see nested_bytes_int.h. Writing goes value by value. Reading goes member by member, with a
 * position per row: the sizes before elements give those of all elements of all rows, and so on down. Both recurse on the depth of
 * the type, which TYPE_DEPTH_MAX bounds.
 */
#include "exec/nested_bytes_int.h"

static void put_float(sbuf *b, const datum *d, bool canonical)
{
    double f = d->f64;
    uint64_t nan = 0x7ff8000000000000ull;
    if (canonical && f == 0)
        f = 0;
    sbuf_add(b, canonical && f != f ? (const void *)&nan : &f, 8);
}

static void put_float32(sbuf *b, const datum *d, bool canonical)
{
    float f = d->f32;
    uint32_t nan = 0x7fc00000u;
    if (canonical && f == 0)
        f = 0;
    sbuf_add(b, canonical && f != f ? (const void *)&nan : &f, 4);
}

static void put_value(sbuf *b, const datum *d, bool canonical);

static void put_members(sbuf *b, const datum *d, bool canonical)
{
    uint32_t n = nested_count(d);
    if (d->t.id != T_STRUCT)
        sbuf_add(b, &n, 4);
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t k = 0; k < (d->t.id == T_MAP ? 2 : 1); k++) {
            datum m = nested_member(d, i, k);
            size_t at = b->n;
            uint32_t size = 0;
            if (d->t.id != T_STRUCT)
                sbuf_add(b, &size, 4);
            put_value(b, &m, canonical);
            size = (uint32_t)(b->n - at - 4);
            if (d->t.id != T_STRUCT && !b->failed)
                memcpy(b->p + at, &size, 4);
        }
}

static void put_value(sbuf *b, const datum *d, bool canonical)
{
    uint8_t byte;
    uint32_t n;
    sbuf_addc(b, !d->null);
    if (d->null)
        return;
    switch (type_phys(d->t)) {
    case PHYS_U8:
        byte = d->b;
        sbuf_add(b, &byte, 1);
        break;
    case PHYS_I32: sbuf_add(b, &d->i32, 4); break;
    case PHYS_I64: sbuf_add(b, &d->i64, 8); break;
    case PHYS_I128: sbuf_add(b, &d->i128v, 16); break;
    case PHYS_F32: put_float32(b, d, canonical); break;
    case PHYS_F64: put_float(b, d, canonical); break;
    case PHYS_STR:
        n = (uint32_t)d->s.n;
        sbuf_add(b, &n, 4);
        sbuf_add(b, d->s.p, n);
        break;
    case PHYS_NESTED: put_members(b, d, canonical); break;
    case PHYS_NONE: break;
    }
}

fz_status nested_encode(const vec *v, const uint16_t *rows, uint32_t first, uint32_t n, bool canonical, vec *out, arena *a, fz_error *err)
{
    sbuf b;
    TRY(vec_alloc(out, TYPE(T_BINARY), n, a, err));
    strview *s = out->data;
    uint32_t *ends = arena_alloc(a, ((size_t)n + 1) * sizeof *ends);
    if (!ends)
        return error_nomem(err);
    sbuf_init(&b, a->m);
    for (uint32_t k = 0; k < n; k++) {
        datum d = vec_datum(v, rows ? rows[k] : first + k);
        if (d.null) {
            if (!out->valid && !(out->valid = bitmap_alloc(a, n, true))) {
                sbuf_free(&b);
                return error_nomem(err);
            }
            bit_clear(out->valid, k);
        } else {
            put_value(&b, &d, canonical);
        }
        ends[k] = (uint32_t)b.n;
        if (b.n > UINT32_MAX) {
            sbuf_free(&b);
            return error_set(err, FZ_LIMIT, "nested values of more than 4 GB in one batch");
        }
    }
    char *p = b.failed ? NULL : arena_alloc(a, b.n);
    if (p && b.n)
        memcpy(p, b.p, b.n);
    sbuf_free(&b);
    if (!p)
        return error_nomem(err);
    for (uint32_t k = 0, from = 0; k < n; k++) {
        s[k] = strview_make(p + from, ends[k] - from);
        from = ends[k];
    }
    return FZ_OK;
}

/* ---- back ---- */

static inline uint32_t take_u32(const uint8_t **at)
{
    uint32_t v;
    memcpy(&v, *at, 4);
    *at += 4;
    return v;
}

/* The nulls of n values; those positions become NULL, the others pass the first byte. */
static fz_status take_nulls(const uint8_t **at, uint32_t n, vec *out, arena *a, fz_error *err)
{
    for (uint32_t i = 0; i < n; i++) {
        if (at[i] && *at[i]++)
            continue;
        if (!out->valid && !(out->valid = bitmap_alloc(a, n, true)))
            return error_nomem(err);
        bit_clear(out->valid, i);
    }
    return FZ_OK;
}

static bool is_null(const vec *v, uint32_t i) { return v->valid && !bit_get(v->valid, i); }

static fz_status take_list(const type_fields *f, const uint8_t **at, uint32_t n, vec *out, arena *a, fz_error *err)
{
    uint32_t *ends = ARENA_ARRAY(a, uint32_t, (size_t)n + 1), per = f->n;
    uint64_t total = 0;
    if (!ends)
        return error_nomem(err);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t count;
        if (!is_null(out, i)) {
            memcpy(&count, at[i], 4);
            total += count;
        }
        if (total > UINT32_MAX / 2)
            return error_set(err, FZ_LIMIT, "lists of more than %u elements in one batch", UINT32_MAX / 2);
        ends[i + 1] = (uint32_t)total;
    }
    out->data = ends;
    const uint8_t **member[2] = {NULL, NULL};
    for (uint32_t k = 0; k < per; k++)
        if (!(member[k] = ARENA_ARRAY(a, const uint8_t *, total + 1)))
            return error_nomem(err);
    for (uint32_t i = 0, e = 0; i < n; i++) {
        if (is_null(out, i))
            continue;
        for (uint32_t count = take_u32(&at[i]); count > 0; count--, e++)
            for (uint32_t k = 0; k < per; k++) {
                uint32_t size = take_u32(&at[i]);
                member[k][e] = at[i];
                at[i] += size;
            }
    }
    for (uint32_t k = 0; k < per; k++)
        TRY(nested_decode(f->f[k].t, member[k], (uint32_t)total, &out->kids[k], a, err));
    return FZ_OK;
}

static fz_status take_struct(const type_fields *f, const uint8_t **at, uint32_t n, vec *out, arena *a, fz_error *err)
{
    const uint8_t **mine = ARENA_ARRAY(a, const uint8_t *, (size_t)n + 1);
    if (!mine)
        return error_nomem(err);
    for (uint32_t i = 0; i < n; i++)
        mine[i] = is_null(out, i) ? NULL : at[i];
    for (uint32_t k = 0; k < f->n; k++)
        TRY(nested_decode(f->f[k].t, mine, n, &out->kids[k], a, err));
    for (uint32_t i = 0; i < n; i++)
        if (mine[i])
            at[i] = mine[i];
    return FZ_OK;
}

static fz_status take_values(phys p, const uint8_t **at, uint32_t n, vec *out)
{
    uint32_t size = phys_size(p);
    uint8_t *to = out->data;
    memset(to, 0, (size_t)n * size);
    for (uint32_t i = 0; i < n; i++) {
        if (is_null(out, i))
            continue;
        if (p == PHYS_STR) {
            uint32_t len = take_u32(&at[i]);
            ((strview *)out->data)[i] = strview_make((const char *)at[i], len);
            at[i] += len;
        } else {
            memcpy(to + (size_t)i * size, at[i], size);
            at[i] += size;
        }
    }
    return FZ_OK;
}

fz_status nested_decode(type t, const uint8_t **at, uint32_t n, vec *out, arena *a, fz_error *err)
{
    phys p = type_phys(t);
    if (p == PHYS_NONE) {
        datum null = DATUM_NULL(t);
        for (uint32_t i = 0; i < n; i++)
            at[i] += at[i] != NULL;
        return vec_const(out, &null, n, a, err);
    }
    if (p != PHYS_NESTED) {
        TRY(vec_alloc(out, t, n, a, err));
        TRY(take_nulls(at, n, out, a, err));
        return take_values(p, at, n, out);
    }
    *out = (vec){.t = t, .enc = VEC_FLAT, .len = n, .kids = ARENA_ARRAY(a, vec, t.children->n)};
    if (!out->kids)
        return error_nomem(err);
    TRY(take_nulls(at, n, out, a, err));
    return t.id == T_STRUCT ? take_struct(t.children, at, n, out, a, err) : take_list(t.children, at, n, out, a, err);
}
