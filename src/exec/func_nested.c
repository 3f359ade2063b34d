/*
 * func_nested.c: functions of structs, lists and maps: constructors, access, and comparisons.
 *
 * Most are FN_RAW: they see their arguments in whatever encoding and make the result's vector themselves.
 * A struct is put together from its members, and a field taken out of it, without copying a value; only nulls of
 * the struct are ANDed into the field's. Elements are found as indexes first, and taken all at once.
 *
 * Rows that aren't selected: a struct's members there are what the arguments have there, that is, anything. So
 * whatever reads members at more than a row's own value (elements put side by side) takes the selected rows first.
 *
 * Comparisons follow datum_cmp: nulls inside of nested values equal each other and are greater than all else.
 */
#include "exec/func_int.h"

#include <stdlib.h>

/* ---- helpers ---- */

static fz_status raw_null(kcall *c, fz_error *err)
{
    datum d = DATUM_NULL(c->e->t);
    return vec_const(c->out, &d, c->len, c->a, err);
}

/* The argument FLAT or CONST at the rows that count. */
static fz_status raw_flat(kcall *c, uint32_t i, vec *out, fz_error *err)
{
    return vec_flatten_rows(out, &c->args[i], c->rows, c->n, c->a, err);
}

static bool const_null(const vec *v) { return v->enc == VEC_CONST && v->valid && !bit_get(v->valid, 0); }

/* All of the argument's rows that count, in order: c->n of them. */
static fz_status raw_dense(kcall *c, uint32_t i, vec *out, fz_error *err)
{
    *out = c->args[i];
    if (!c->rows)
        return FZ_OK;
    uint32_t *idx = arena_alloc(c->a, c->n * sizeof *idx);
    if (!idx)
        return error_nomem(err);
    for (uint32_t k = 0; k < c->n; k++)
        idx[k] = c->rows[k];
    return vec_take(out, &c->args[i], idx, c->n, false, c->a, err);
}

/* Offsets of c->len lists: `count` elements in each row that counts, none in the others. */
static uint32_t *offsets_even(kcall *c, uint32_t count, fz_error *err)
{
    uint32_t *o = ARENA_ARRAY(c->a, uint32_t, (size_t)c->len + 1);
    if (!o) {
        error_nomem(err);
        return NULL;
    }
    EACH_ROW(c, i) o[i + 1] = count;
    for (uint32_t i = 0; i < c->len; i++)
        o[i + 1] += o[i];
    return o;
}

/* A list's offsets and validity for a row; false: the row is null. */
static inline bool list_at(const vec *v, uint32_t row, uint32_t *from, uint32_t *n)
{
    if (arg_null(v, row))
        return false;
    const uint32_t *o = v->data;
    uint32_t r = v->enc == VEC_CONST ? 0 : row;
    *from = o[r];
    *n = o[r + 1] - o[r];
    return true;
}

static uint32_t *index_new(kcall *c, fz_error *err)
{
    uint32_t *idx = arena_alloc(c->a, c->len * sizeof *idx);
    if (!idx)
        error_nomem(err);
    else
        memset(idx, 0xff, c->len * sizeof *idx); /* nulls */
    return idx;
}

/* ---- constructors ---- */

static fz_status struct_make(kcall *c, fz_error *err)
{
    type t = c->e->t;
    vec out = {.t = t, .enc = VEC_FLAT, .len = c->len, .kids = ARENA_ARRAY(c->a, vec, t.children->n)};
    if (!out.kids)
        return error_nomem(err);
    for (uint32_t i = 0; i < t.children->n; i++) {
        out.kids[i] = c->args[i];
        out.kids[i].t = t.children->f[i].t;
    }
    *c->out = out;
    return FZ_OK;
}

/* Arguments first, first + step, … of every row that counts, side by side. */
static fz_status interleave(kcall *c, uint32_t first, uint32_t step, type t, vec *out, fz_error *err)
{
    uint32_t n = 0;
    vec *parts = ARENA_ARRAY(c->a, vec, c->e->n), all;
    if (!parts)
        return error_nomem(err);
    for (uint32_t i = first; i < c->e->n; i += step)
        TRY(raw_dense(c, i, &parts[n++], err));
    TRY(vec_concat(&all, t, parts, n, c->a, err));
    uint32_t *idx = arena_alloc(c->a, (size_t)all.len * sizeof *idx);
    if (!idx)
        return error_nomem(err);
    for (uint32_t k = 0, at = 0; k < c->n; k++)
        for (uint32_t i = 0; i < n; i++)
            idx[at++] = i * c->n + k;
    if (n > 1)
        return vec_take(out, &all, idx, all.len, false, c->a, err);
    *out = all;
    return FZ_OK;
}

static fz_status list_make(kcall *c, fz_error *err)
{
    type t = c->e->t;
    vec out = {.t = t, .enc = VEC_FLAT, .len = c->len, .data = offsets_even(c, c->e->n, err), .kids = ARENA_NEW(c->a, vec)};
    if (!out.data || !out.kids)
        return error_nomem(err);
    TRY(interleave(c, 0, 1, t.children->f[0].t, out.kids, err));
    *c->out = out;
    return FZ_OK;
}

static int datum_order(const void *a, const void *b) { return datum_cmp(a, b); }

/* Keys are neither null nor twice in a map. */
static fz_status keys_check(const kcall *c, const vec *map, fz_error *err)
{
    const uint32_t *o = map->data;
    datum *keys = NULL;
    uint32_t room = 0;
    for (uint32_t row = 0; row < map->len; row++) {
        uint32_t n = o[row + 1] - o[row];
        if (n > room) {
            room = n < 64 ? 64 : n;
            if (!(keys = ARENA_ARRAY(c->a, datum, room)))
                return error_nomem(err);
        }
        for (uint32_t i = 0; i < n; i++) {
            keys[i] = vec_datum(&map->kids[0], o[row] + i);
            if (keys[i].null)
                return kernel_error(c, err, "22004", "a map's key can't be null");
        }
        if (n > 1)
            qsort(keys, n, sizeof *keys, datum_order);
        for (uint32_t i = 1; i < n; i++)
            if (datum_cmp(&keys[i - 1], &keys[i]) == 0) {
                sbuf b;
                sbuf_init(&b, NULL);
                datum_text(&keys[i], &b);
                fz_status st = kernel_error(c, err, "22023", "a map's key occurs twice: %.*s", (int)(b.n < 60 ? b.n : 60), b.p ? b.p : "");
                sbuf_free(&b);
                return st;
            }
    }
    return FZ_OK;
}

/* map {k: v, …} */
static fz_status map_make(kcall *c, fz_error *err)
{
    type t = c->e->t;
    vec out = {.t = t, .enc = VEC_FLAT, .len = c->len, .data = offsets_even(c, c->e->n / 2, err), .kids = ARENA_ARRAY(c->a, vec, 2)};
    if (!out.data || !out.kids)
        return error_nomem(err);
    for (uint32_t k = 0; k < 2; k++)
        TRY(interleave(c, k, 2, t.children->f[k].t, &out.kids[k], err));
    TRY(keys_check(c, &out, err));
    *c->out = out;
    return FZ_OK;
}

/* map(keys, values) */
static fz_status map_zip(kcall *c, fz_error *err)
{
    vec part[2];
    uint32_t *idx = index_new(c, err);
    if (!idx)
        return FZ_NOMEM;
    uint64_t *valid = NULL;
    EACH_ROW(c, i)
    {
        uint32_t from[2], n[2];
        if (!list_at(&c->args[0], i, &from[0], &n[0]) || !list_at(&c->args[1], i, &from[1], &n[1])) {
            if (!valid && !(valid = bitmap_alloc(c->a, c->len, true)))
                return error_nomem(err);
            bit_clear(valid, i);
            continue;
        }
        if (n[0] != n[1])
            return kernel_error(c, err, "22023", "a map of %u keys and %u values", n[0], n[1]);
        idx[i] = i;
    }
    for (int k = 0; k < 2; k++)
        TRY(vec_take(&part[k], &c->args[k], idx, c->len, false, c->a, err));
    vec out = {.t = c->e->t, .enc = VEC_FLAT, .len = c->len, .valid = valid, .data = part[0].data, .kids = ARENA_ARRAY(c->a, vec, 2)};
    if (!out.kids)
        return error_nomem(err);
    for (int k = 0; k < 2; k++)
        out.kids[k] = part[k].kids[0];
    TRY(keys_check(c, &out, err));
    *c->out = out;
    return FZ_OK;
}

/* ---- access ---- */

/* Nulls of the parent are nulls of the member, whose values stay where they lie. */
static fz_status nulls_and(vec *v, const uint64_t *parent, arena *a, fz_error *err)
{
    if (!parent || v->t.id == T_NULL || const_null(v))
        return FZ_OK;
    if (v->enc == VEC_CONST || v->enc == VEC_RLE) {
        vec flat;
        TRY(vec_flatten(&flat, v, a, err));
        *v = flat;
    }
    if (!v->valid) {
        v->valid = (uint64_t *)parent;
        return FZ_OK;
    }
    size_t bytes = ((size_t)v->len + 7) / 8;
    uint64_t *both = bitmap_alloc(a, v->len, false);
    if (!both)
        return error_nomem(err);
    for (size_t i = 0; i < bytes; i++)
        ((uint8_t *)both)[i] = ((const uint8_t *)parent)[i] & ((const uint8_t *)v->valid)[i];
    v->valid = both;
    return FZ_OK;
}

static fz_status field_get(kcall *c, fz_error *err)
{
    const vec *v = &c->args[0];
    str name = c->e->args[1]->value.s;
    uint32_t k = 0;
    while (k < v->t.children->n && !str_eq(v->t.children->f[k].name, name))
        k++;
    if (k == v->t.children->n)
        return error_set(err, FZ_INTERNAL, "a struct has no field \"" STR_FMT "\"", STR_ARG(name));
    if (const_null(v))
        return raw_null(c, err);
    if (v->enc == VEC_CONST) {
        datum d = vec_datum(&v->kids[k], 0);
        return vec_const(c->out, &d, c->len, c->a, err);
    }
    vec out = v->kids[k]; /* its own type: a scan may have left out fields that nobody reads */
    TRY(nulls_and(&out, v->valid, c->a, err));
    *c->out = out;
    return FZ_OK;
}

/* Element i of each list, from 1, or from the end where i is negative. */
static fz_status element_get(kcall *c, fz_error *err)
{
    vec at;
    const vec *v = &c->args[0];
    if (const_null(v))
        return raw_null(c, err);
    TRY(raw_flat(c, 1, &at, err));
    uint32_t *idx = index_new(c, err);
    if (!idx)
        return FZ_NOMEM;
    EACH_ROW(c, i)
    {
        uint32_t from, n;
        if (arg_null(&at, i) || !list_at(v, i, &from, &n))
            continue;
        int64_t k = ((const int64_t *)at.data)[i * ARG_STRIDE(&at)];
        if (k >= 1 && k <= n)
            idx[i] = from + (uint32_t)(k - 1);
        else if (k < 0 && k >= -(int64_t)n)
            idx[i] = from + (uint32_t)(n + k);
    }
    TRY(vec_take(c->out, &v->kids[0], idx, c->len, false, c->a, err));
    c->out->t = c->e->t;
    return FZ_OK;
}

/* First position of x[row] among the elements [from, from+n) of a flat vector; UINT32_MAX: none. */
#define FIND(T, EQ)                                                                                \
    {                                                                                              \
        const T *e = in->data, b = ((const T *)x->data)[xr];                                       \
        for (uint32_t k = from; k < from + n; k++) {                                               \
            T a = e[k];                                                                            \
            if ((EQ) && (!in->valid || bit_get(in->valid, k)))                                     \
                return k;                                                                          \
        }                                                                                          \
        return UINT32_MAX;                                                                         \
    }
static uint32_t element_find(const vec *in, uint32_t from, uint32_t n, const vec *x, uint32_t xr)
{
    switch (type_phys(in->t)) {
    case PHYS_U8: FIND(uint8_t, a == b)
    case PHYS_I32: FIND(int32_t, a == b)
    case PHYS_I64: FIND(int64_t, a == b)
    case PHYS_I128: FIND(i128, a == b)
    case PHYS_F32: FIND(float, f64_cmp(a, b) == 0)
    case PHYS_F64: FIND(double, f64_cmp(a, b) == 0)
    case PHYS_STR: FIND(strview, strview_eq(&a, &b))
    default: break;
    }
    datum want = vec_datum(x, xr);
    for (uint32_t k = from; k < from + n; k++) {
        datum d = vec_datum(in, k);
        if (!d.null && datum_cmp(&d, &want) == 0)
            return k;
    }
    return UINT32_MAX;
}

/* For each row the position of x among the elements (kid 0); UINT32_MAX: none, or a null. */
static fz_status find_all(kcall *c, uint32_t **out, fz_error *err)
{
    const vec *v = &c->args[0];
    vec x, in = {0};
    TRY(raw_flat(c, 1, &x, err));
    uint32_t *idx = index_new(c, err), from, n;
    if (!idx)
        return FZ_NOMEM;
    if (v->kids)
        TRY(vec_flatten(&in, &v->kids[0], c->a, err));
    EACH_ROW(c, i)
        if (!arg_null(&x, i) && list_at(v, i, &from, &n))
            idx[i] = element_find(&in, from, n, &x, i * ARG_STRIDE(&x));
    *out = idx;
    return FZ_OK;
}

static fz_status map_get(kcall *c, fz_error *err)
{
    uint32_t *idx;
    if (const_null(&c->args[0]))
        return raw_null(c, err);
    TRY(find_all(c, &idx, err));
    TRY(vec_take(c->out, &c->args[0].kids[1], idx, c->len, false, c->a, err));
    c->out->t = c->e->t;
    return FZ_OK;
}

static fz_status list_has(kcall *c, fz_error *err)
{
    uint32_t *idx;
    TRY(find_all(c, &idx, err));
    TRY(vec_alloc(c->out, TYPE(T_BOOL), c->len, c->a, err));
    uint8_t *o = c->out->data;
    for (uint32_t i = 0; i < c->len; i++)
        o[i] = idx[i] != UINT32_MAX;
    vec x;
    TRY(raw_flat(c, 1, &x, err));
    EACH_ROW(c, i)
        if ((arg_null(&c->args[0], i) || arg_null(&x, i)) && !kcall_null(c, i))
            return error_nomem(err);
    return FZ_OK;
}

/* Elements a to b of each list, both included, from 1 or from the end. */
static fz_status list_slice(kcall *c, fz_error *err)
{
    vec a, b, out = {.t = c->e->t, .enc = VEC_FLAT, .len = c->len};
    const vec *v = &c->args[0];
    TRY(raw_flat(c, 1, &a, err));
    TRY(raw_flat(c, 2, &b, err));
    uint32_t *offsets = out.data = ARENA_ARRAY(c->a, uint32_t, (size_t)c->len + 1), *start = index_new(c, err);
    out.kids = ARENA_NEW(c->a, vec);
    if (const_null(v))
        return raw_null(c, err);
    if (!offsets || !start || !out.kids)
        return error_nomem(err);
    EACH_ROW(c, i)
    {
        uint32_t from, n;
        if (arg_null(&a, i) || arg_null(&b, i) || !list_at(v, i, &from, &n)) {
            if (!out.valid && !(out.valid = bitmap_alloc(c->a, c->len, true)))
                return error_nomem(err);
            bit_clear(out.valid, i);
            continue;
        }
        int64_t lo = ((const int64_t *)a.data)[i * ARG_STRIDE(&a)], hi = ((const int64_t *)b.data)[i * ARG_STRIDE(&b)];
        if (lo < 0)
            lo = lo < -(int64_t)n ? 1 : lo + n + 1;
        if (hi < 0)
            hi = hi < -(int64_t)n ? 0 : hi + n + 1;
        lo = lo < 1 ? 1 : lo;
        hi = hi > n ? n : hi;
        start[i] = from + (uint32_t)(lo <= hi ? lo - 1 : 0);
        offsets[i + 1] = (uint32_t)(lo <= hi ? hi - lo + 1 : 0);
    }
    uint64_t total = 0;
    for (uint32_t i = 0; i < c->len; i++) {
        total += offsets[i + 1];
        if (total >= UINT32_MAX)
            return error_set(err, FZ_LIMIT, "more than 4 billion list elements in one batch");
        offsets[i + 1] = (uint32_t)total;
    }
    uint32_t *idx = arena_alloc(c->a, total * sizeof *idx);
    if (!idx)
        return error_nomem(err);
    for (uint32_t i = 0; i < c->len; i++)
        for (uint32_t k = offsets[i]; k < offsets[i + 1]; k++)
            idx[k] = start[i] + (k - offsets[i]);
    TRY(vec_take(out.kids, &v->kids[0], idx, (uint32_t)total, false, c->a, err));
    *c->out = out;
    return FZ_OK;
}

/* Elements of the first list, then those of the second. */
static fz_status list_join(kcall *c, fz_error *err)
{
    const vec *v = c->args;
    vec kids[2], all, out = {.t = c->e->t, .enc = VEC_FLAT, .len = c->len};
    uint32_t *offsets = out.data = ARENA_ARRAY(c->a, uint32_t, (size_t)c->len + 1), from = 0, n[2] = {0};
    out.kids = ARENA_NEW(c->a, vec);
    if (const_null(&v[0]) || const_null(&v[1]))
        return raw_null(c, err);
    if (!offsets || !out.kids)
        return error_nomem(err);
    EACH_ROW(c, i)
    {
        if (list_at(&v[0], i, &from, &n[0]) && list_at(&v[1], i, &from, &n[1])) {
            offsets[i + 1] = n[0] + n[1];
            if (offsets[i + 1] < n[0])
                return error_set(err, FZ_LIMIT, "a list of more than 4 billion elements");
            continue;
        }
        if (!out.valid && !(out.valid = bitmap_alloc(c->a, c->len, true)))
            return error_nomem(err);
        bit_clear(out.valid, i);
    }
    uint64_t total = 0;
    for (uint32_t i = 0; i < c->len; i++) {
        total += offsets[i + 1];
        if (total >= UINT32_MAX)
            return error_set(err, FZ_LIMIT, "more than 4 billion list elements in one batch");
        offsets[i + 1] = (uint32_t)total;
    }
    uint32_t *idx = arena_alloc(c->a, total * sizeof *idx), at = 0;
    if (!idx)
        return error_nomem(err);
    kids[0] = v[0].kids[0];
    kids[1] = v[1].kids[0];
    EACH_ROW(c, i)
        for (int k = 0; k < 2 && offsets[i] < offsets[i + 1]; k++) {
            list_at(&v[k], i, &from, &n[k]);
            for (uint32_t j = 0; j < n[k]; j++)
                idx[at++] = (k ? kids[0].len : 0) + from + j;
        }
    TRY(vec_concat(&all, c->e->t.children->f[0].t, kids, 2, c->a, err));
    TRY(vec_take(out.kids, &all, idx, at, false, c->a, err));
    *c->out = out;
    return FZ_OK;
}

/* Keys or values of a map as a list: the same offsets. */
static fz_status map_part(kcall *c, uint32_t k, fz_error *err)
{
    const vec *v = &c->args[0];
    if (const_null(v))
        return raw_null(c, err);
    *c->out = *v;
    c->out->t = c->e->t;
    c->out->kids = ARENA_NEW(c->a, vec);
    if (!c->out->kids)
        return error_nomem(err);
    c->out->kids[0] = v->kids[k];
    return FZ_OK;
}
static fz_status map_keys(kcall *c, fz_error *err) { return map_part(c, 0, err); }
static fz_status map_values(kcall *c, fz_error *err) { return map_part(c, 1, err); }

static HOT void lengths(const uint32_t *offsets, int64_t *o, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        o[i] = (int64_t)(offsets[i + 1] - offsets[i]);
}
static fz_status list_len(kcall *c, fz_error *err)
{
    const uint32_t *offsets = c->args[0].data;
    int64_t *o = c->out->data;
    if (c->args[0].enc == VEC_FLAT && !c->rows)
        lengths(offsets, o, c->n);
    else
        EACH_ROW(c, i)
        {
            uint32_t r = i * ARG_STRIDE(&c->args[0]);
            o[i] = (int64_t)(offsets[r + 1] - offsets[r]);
        }
    return FZ_OK;
}

/* ---- comparisons ---- */

#define NESTED_CMP(NAME, REL)                                                                      \
    static fz_status NAME(kcall *c, fz_error *err)                                                 \
    {                                                                                              \
        uint8_t *o = c->out->data;                                                                 \
        EACH_ROW(c, i)                                                                             \
        {                                                                                          \
            datum a = vec_datum(&c->args[0], i), b = vec_datum(&c->args[1], i);                    \
            o[i] = datum_cmp(&a, &b) REL 0;                                                        \
        }                                                                                          \
        return FZ_OK;                                                                              \
    }
NESTED_CMP(eq_nested, ==)
NESTED_CMP(ne_nested, !=)
NESTED_CMP(lt_nested, <)
NESTED_CMP(le_nested, <=)
NESTED_CMP(gt_nested, >)
NESTED_CMP(ge_nested, >=)

const func *func_cmp_nested(int op)
{
    static const func table[6] = {
        {"=", 2, {ANY_TYPE, ANY_TYPE}, T_BOOL, 0, eq_nested},   {"<>", 2, {ANY_TYPE, ANY_TYPE}, T_BOOL, 0, ne_nested},
        {"<", 2, {ANY_TYPE, ANY_TYPE}, T_BOOL, 0, lt_nested},   {"<=", 2, {ANY_TYPE, ANY_TYPE}, T_BOOL, 0, le_nested},
        {">", 2, {ANY_TYPE, ANY_TYPE}, T_BOOL, 0, gt_nested},   {">=", 2, {ANY_TYPE, ANY_TYPE}, T_BOOL, 0, ge_nested},
    };
    return &table[op];
}

/* ---- which ---- */

#define RAW (FN_RAW | FN_NULLS)
/* Their types follow from the arguments: see below. Sorted into the list of all names in func.c. */
const func func_nested_table[] = {
    {"struct_pack", 0, {0}, T_STRUCT, RAW, struct_make},
    {"list_value", 0, {0}, T_LIST, RAW | FN_FALLIBLE, list_make},
    {"map_value", 0, {0}, T_MAP, RAW | FN_FALLIBLE, map_make},
    {"struct_extract", 2, {T_STRUCT, T_STRING}, ANY_TYPE, RAW, field_get},
    {"map", 2, {T_LIST, T_LIST}, T_MAP, RAW | FN_FALLIBLE, map_zip},
    {"map_from_arrays", 2, {T_LIST, T_LIST}, T_MAP, RAW | FN_FALLIBLE, map_zip},
    {"len", 1, {T_LIST}, T_INT64, FN_DENSE, list_len},
    {"cardinality", 1, {T_LIST}, T_INT64, FN_DENSE, list_len},
    {"array_length", 1, {T_LIST}, T_INT64, FN_DENSE, list_len},
    {"element_at", 2, {T_LIST, T_INT64}, ANY_TYPE, RAW, element_get},
    {"list_extract", 2, {T_LIST, T_INT64}, ANY_TYPE, RAW, element_get},
    {"array_extract", 2, {T_LIST, T_INT64}, ANY_TYPE, RAW, element_get},
    {"element_at", 2, {T_MAP, ANY_TYPE}, ANY_TYPE, RAW, map_get},
    {"array_extract", 2, {T_MAP, ANY_TYPE}, ANY_TYPE, RAW, map_get},
    {"list_slice", 3, {T_LIST, T_INT64, T_INT64}, T_LIST, RAW | FN_FALLIBLE, list_slice},
    {"array_slice", 3, {T_LIST, T_INT64, T_INT64}, T_LIST, RAW | FN_FALLIBLE, list_slice},
    {"list_contains", 2, {T_LIST, ANY_TYPE}, T_BOOL, RAW, list_has},
    {"array_contains", 2, {T_LIST, ANY_TYPE}, T_BOOL, RAW, list_has},
    {"list_has", 2, {T_LIST, ANY_TYPE}, T_BOOL, RAW, list_has},
    {"map_contains", 2, {T_MAP, ANY_TYPE}, T_BOOL, RAW, list_has},
    {"map_keys", 1, {T_MAP}, T_LIST, RAW, map_keys},
    {"map_values", 1, {T_MAP}, T_LIST, RAW, map_values},
    {"||", 2, {T_LIST, T_LIST}, T_LIST, RAW | FN_FALLIBLE, list_join},
    {NULL, 0, {0}, 0, 0, NULL},
};

const func *func_constructor(type_id t) { return &func_nested_table[t == T_STRUCT ? 0 : t == T_LIST ? 1 : 2]; }
const func *func_field(void) { return &func_nested_table[3]; }

bool type_list(arena *a, type element, type *out)
{
    type_fields *f = arena_zalloc(a, sizeof *f + sizeof f->f[0]);
    if (!f)
        return false;
    f->n = 1;
    f->f[0] = (type_field){.name = STR("element"), .field_id = -1, .t = element};
    *out = (type){.id = T_LIST, .children = f};
    return true;
}

bool type_map(arena *a, type key, type value, type *out)
{
    type_fields *f = arena_zalloc(a, sizeof *f + 2 * sizeof f->f[0]);
    if (!f)
        return false;
    f->n = 2;
    f->f[0] = (type_field){.name = STR("key"), .field_id = -1, .required = true, .t = key};
    f->f[1] = (type_field){.name = STR("value"), .field_id = -1, .t = value};
    *out = (type){.id = T_MAP, .children = f};
    return true;
}

/* Two arguments of one nested type. */
static bool both_common(arena *a, const type *args, func_match *out)
{
    type t;
    if (!type_common_in(a, args[0], args[1], &t))
        return false;
    out->args[0] = out->args[1] = t;
    return true;
}

/* Fills in what the table leaves open. *known false: not for these arguments. */
static fz_status types_settle(arena *a, const type *args, const bool *lit, func_match *m, bool *known, fz_error *err)
{
    const func *f = m->fn;
    const type_fields *in = type_is_nested(args[0]) ? args[0].children : NULL;
    bool ok = true;
    *known = true;
    m->args[0] = args[0];
    for (uint32_t i = 1; i < f->n; i++)
        m->args[i] = f->args[i] == ANY_TYPE ? args[i] : TYPE(f->args[i]);
    m->result = TYPE(f->result);
    if (f->run == element_get) {
        m->result = in->f[0].t;
    } else if (f->run == map_get || (f->run == list_has && args[0].id == T_MAP)) {
        m->args[1] = in->f[0].t;
        *known = args[1].id == T_NULL || (lit && lit[1] && args[1].id == T_STRING) || cast_implicit(args[1], in->f[0].t);
        m->result = f->run == map_get ? in->f[1].t : TYPE(T_BOOL);
    } else if (f->run == list_has) {
        type e = in->f[0].t;
        *known = args[1].id == T_NULL || (lit && lit[1] && args[1].id == T_STRING) || type_common_in(a, e, args[1], &e);
        m->args[1] = e;
        if (*known && !type_eq(e, in->f[0].t))
            ok = type_list(a, e, &m->args[0]);
    } else if (f->run == map_keys || f->run == map_values) {
        ok = type_list(a, in->f[f->run == map_values].t, &m->result);
    } else if (f->run == list_slice) {
        m->result = args[0];
    } else if (f->run == map_zip) {
        m->args[1] = args[1];
        ok = type_map(a, in->f[0].t, args[1].children->f[0].t, &m->result);
    } else if (f->run == list_join) {
        *known = both_common(a, args, m);
        m->result = m->args[0];
    }
    return ok ? FZ_OK : error_nomem(err);
}

static bool arg_fits(uint8_t want, type have)
{
    if (want == T_LIST || want == T_MAP || want == T_STRUCT)
        return have.id == want;
    return want == ANY_TYPE || have.id == want || (want == T_INT64 && (have.id == T_INT32 || have.id == T_NULL));
}

fz_status func_resolve_nested(arena *a, str name, uint32_t n, const type *args, const bool *is_literal, bool *known,
                              func_match *out, fz_error *err)
{
    int op = func_cmp_op(name);
    *known = false;
    memset(out, 0, sizeof *out);
    if (n == 2 && op >= 0 && (type_is_nested(args[0]) || type_is_nested(args[1]))) {
        *known = both_common(a, args, out);
        out->fn = func_cmp(op, PHYS_NESTED);
        out->result = TYPE(T_BOOL);
        return FZ_OK;
    }
    if (str_eqz(name, "length"))
        name = STR("len");
    for (const func *f = func_nested_table + 4; f->name; f++) {
        uint8_t first = f->args[0];
        if (n != f->n || !str_eqz(name, f->name))
            continue;
        if (f->run == list_len && args[0].id == T_MAP)
            first = T_MAP;
        bool fits = arg_fits(first, args[0]);
        for (uint32_t i = 1; i < n && fits; i++)
            fits = arg_fits(f->args[i], args[i]);
        if (!fits)
            continue;
        out->fn = f;
        return types_settle(a, args, is_literal, out, known, err);
    }
    return FZ_OK;
}
