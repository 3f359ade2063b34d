/*
 * func_cmp.c: comparisons, IS [NOT] DISTINCT FROM, greatest and least, for every physical type.
 *
 * Floats: NaN equals itself and is the greatest; -0 equals 0. Text and bytes compare by unsigned bytes.
 * ">" and ">=" are "<" and "<=" with the arguments exchanged.
 */
#include "exec/func_int.h"

#define INT_EQ(a, b) ((a) == (b))
#define INT_NE(a, b) ((a) != (b))
#define INT_LT(a, b) ((a) < (b))
#define INT_LE(a, b) ((a) <= (b))
#define FL_EQ(a, b)  (((a) == (b)) | (((a) != (a)) & ((b) != (b))))
#define FL_NE(a, b)  (!FL_EQ(a, b))
#define FL_LT(a, b)  (((a) < (b)) | (((a) == (a)) & ((b) != (b))))
#define FL_LE(a, b)  (((a) <= (b)) | ((b) != (b)))

#define CMP_KERNEL(NAME, T, OP)                                                                    \
    static HOT void NAME##_vv(const T *a, const T *b, uint8_t *o, uint32_t n)                      \
    {                                                                                              \
        for (uint32_t i = 0; i < n; i++)                                                           \
            o[i] = OP(a[i], b[i]);                                                                 \
    }                                                                                              \
    static HOT void NAME##_vc(const T *a, T b, uint8_t *o, uint32_t n)                             \
    {                                                                                              \
        for (uint32_t i = 0; i < n; i++)                                                           \
            o[i] = OP(a[i], b);                                                                    \
    }                                                                                              \
    static HOT void NAME##_cv(T a, const T *b, uint8_t *o, uint32_t n)                             \
    {                                                                                              \
        for (uint32_t i = 0; i < n; i++)                                                           \
            o[i] = OP(a, b[i]);                                                                    \
    }                                                                                              \
    static fz_status NAME##_ab(kcall *c, const vec *x, const vec *y)                               \
    {                                                                                              \
        const T *a = x->data, *b = y->data;                                                        \
        uint8_t *o = c->out->data;                                                                 \
        uint32_t sa = ARG_STRIDE(x), sb = ARG_STRIDE(y);                                           \
        if (c->rows)                                                                               \
            EACH_ROW(c, i) o[i] = OP(a[i * sa], b[i * sb]);                                        \
        else if (sa && sb)                                                                         \
            NAME##_vv(a, b, o, c->n);                                                              \
        else if (sa)                                                                               \
            NAME##_vc(a, *b, o, c->n);                                                             \
        else                                                                                       \
            NAME##_cv(*a, b, o, c->n);                                                             \
        return FZ_OK;                                                                              \
    }                                                                                              \
    static fz_status NAME(kcall *c, fz_error *err) { return NAME##_ab(c, &c->args[0], &c->args[1]); }
#define CMP_SWAPPED(NAME, OF)                                                                      \
    static fz_status NAME(kcall *c, fz_error *err) { return OF##_ab(c, &c->args[1], &c->args[0]); }

#define CMP_FAMILY(S, T, K)                                                                        \
    CMP_KERNEL(eq_##S, T, K##_EQ)                                                                  \
    CMP_KERNEL(ne_##S, T, K##_NE)                                                                  \
    CMP_KERNEL(lt_##S, T, K##_LT)                                                                  \
    CMP_KERNEL(le_##S, T, K##_LE)                                                                  \
    CMP_SWAPPED(gt_##S, lt_##S)                                                                    \
    CMP_SWAPPED(ge_##S, le_##S)

CMP_FAMILY(u8, uint8_t, INT)
CMP_FAMILY(i32, int32_t, INT)
CMP_FAMILY(i64, int64_t, INT)
CMP_FAMILY(i128, i128, INT)
CMP_FAMILY(f32, float, FL)
CMP_FAMILY(f64, double, FL)

/* ---- text ---- */

/* Equality against a constant: the first 16 bytes of the views decide short texts. */
static void eq_str_const(const kcall *c, const strview *a, const strview *b, uint8_t want)
{
    uint8_t *o = c->out->data;
    uint64_t w[2], v[2];
    memcpy(w, b, 16);
    bool inl = b->len <= 12;
    EACH_ROW(c, i)
    {
        memcpy(v, &a[i], 16);
        bool eq = v[0] == w[0] && (inl ? v[1] == w[1] : v[1] == w[1] || memcmp(a[i].ptr, b->ptr, b->len) == 0);
        o[i] = eq == want;
    }
}

static fz_status eq_str_any(kcall *c, uint8_t want)
{
    const vec *x = &c->args[0], *y = &c->args[1];
    const strview *a = x->data, *b = y->data;
    uint32_t sa = ARG_STRIDE(x), sb = ARG_STRIDE(y);
    uint8_t *o = c->out->data;
    if (!sb)
        eq_str_const(c, a, b, want);
    else if (!sa)
        eq_str_const(c, b, a, want);
    else
        EACH_ROW(c, i) o[i] = strview_eq(&a[i * sa], &b[i * sb]) == want;
    return FZ_OK;
}
static fz_status eq_str(kcall *c, fz_error *err) { return eq_str_any(c, 1); }
static fz_status ne_str(kcall *c, fz_error *err) { return eq_str_any(c, 0); }

#define STR_ORDER(NAME, REL)                                                                       \
    static fz_status NAME(kcall *c, fz_error *err)                                                 \
    {                                                                                              \
        const strview *a = c->args[0].data, *b = c->args[1].data;                                  \
        uint32_t sa = ARG_STRIDE(&c->args[0]), sb = ARG_STRIDE(&c->args[1]);                       \
        uint8_t *o = c->out->data;                                                                 \
        EACH_ROW(c, i) o[i] = strview_cmp(&a[i * sa], &b[i * sb]) REL 0;                           \
        return FZ_OK;                                                                              \
    }
STR_ORDER(lt_str, <)
STR_ORDER(le_str, <=)
STR_ORDER(gt_str, >)
STR_ORDER(ge_str, >=)

/* ---- is [not] distinct from ---- */

static bool same_at(const vec *a, const vec *b, uint32_t i)
{
    bool na = arg_null(a, i), nb = arg_null(b, i);
    if (na || nb)
        return na && nb;
    uint32_t x = a->enc == VEC_CONST ? 0 : i, y = b->enc == VEC_CONST ? 0 : i;
    switch (type_phys(a->t)) {
    case PHYS_U8: return ((const uint8_t *)a->data)[x] == ((const uint8_t *)b->data)[y];
    case PHYS_I32: return ((const int32_t *)a->data)[x] == ((const int32_t *)b->data)[y];
    case PHYS_I64: return ((const int64_t *)a->data)[x] == ((const int64_t *)b->data)[y];
    case PHYS_I128: return ((const i128 *)a->data)[x] == ((const i128 *)b->data)[y];
    case PHYS_F32: return f64_cmp(((const float *)a->data)[x], ((const float *)b->data)[y]) == 0;
    case PHYS_F64: return f64_cmp(((const double *)a->data)[x], ((const double *)b->data)[y]) == 0;
    case PHYS_STR: return strview_eq((const strview *)a->data + x, (const strview *)b->data + y);
    case PHYS_NESTED: {
        datum d = vec_datum(a, i), e = vec_datum(b, i);
        return datum_cmp(&d, &e) == 0;
    }
    default: return true;
    }
}
static fz_status distinct_any(kcall *c, fz_error *err)
{
    uint8_t *o = c->out->data;
    EACH_ROW(c, i) o[i] = !same_at(&c->args[0], &c->args[1], i);
    return FZ_OK;
}
static fz_status not_distinct_any(kcall *c, fz_error *err)
{
    uint8_t *o = c->out->data;
    EACH_ROW(c, i) o[i] = same_at(&c->args[0], &c->args[1], i);
    return FZ_OK;
}

#define CMP_ROW(NAME, K)                                                                           \
    {{NAME, 2, {ANY_TYPE, ANY_TYPE}, T_BOOL, FN_DENSE | FN_CHEAP, K##_u8},                         \
     {NAME, 2, {ANY_TYPE, ANY_TYPE}, T_BOOL, FN_DENSE | FN_CHEAP, K##_i32},                        \
     {NAME, 2, {ANY_TYPE, ANY_TYPE}, T_BOOL, FN_DENSE | FN_CHEAP, K##_i64},                        \
     {NAME, 2, {ANY_TYPE, ANY_TYPE}, T_BOOL, FN_DENSE, K##_i128},                                  \
     {NAME, 2, {ANY_TYPE, ANY_TYPE}, T_BOOL, FN_DENSE | FN_CHEAP, K##_f32},                        \
     {NAME, 2, {ANY_TYPE, ANY_TYPE}, T_BOOL, FN_DENSE | FN_CHEAP, K##_f64},                        \
     {NAME, 2, {ANY_TYPE, ANY_TYPE}, T_BOOL, 0, K##_str}}
static const func cmp_table[6][7] = {CMP_ROW("=", eq), CMP_ROW("<>", ne), CMP_ROW("<", lt),
                                     CMP_ROW("<=", le), CMP_ROW(">", gt), CMP_ROW(">=", ge)};
static const func distinct_f = {"is distinct from", 2, {ANY_TYPE, ANY_TYPE}, T_BOOL, FN_NULLS, distinct_any};
static const func not_distinct_f = {"is not distinct from", 2, {ANY_TYPE, ANY_TYPE}, T_BOOL, FN_NULLS, not_distinct_any};

const func *func_cmp(int op, phys p)
{
    if (op == CMP_DISTINCT)
        return &distinct_f;
    if (op == CMP_NOT_DISTINCT)
        return &not_distinct_f;
    if (p == PHYS_NESTED)
        return func_cmp_nested(op);
    if (p < PHYS_U8 || p > PHYS_STR)
        return NULL;
    return &cmp_table[op][p - PHYS_U8];
}

/* ---- greatest, least: nulls are passed over, null only when all are ---- */

#define EXTREME_LOOP(T, CMP)                                                                       \
    {                                                                                              \
        T *o = c->out->data;                                                                       \
        EACH_ROW(c, i)                                                                             \
        {                                                                                          \
            bool have = false;                                                                     \
            T best = {0};                                                                          \
            for (uint32_t a = 0; a < c->e->n; a++) {                                               \
                const vec *v = &c->args[a];                                                        \
                if (arg_null(v, i))                                                                \
                    continue;                                                                      \
                T x = ((const T *)v->data)[v->enc == VEC_CONST ? 0 : i];                           \
                if (!have || (CMP) * sign > 0) {                                                   \
                    best = x;                                                                      \
                    have = true;                                                                   \
                }                                                                                  \
            }                                                                                      \
            o[i] = best;                                                                           \
            if (!have && !kcall_null(c, i))                                                        \
                return error_nomem(err);                                                           \
        }                                                                                          \
        return FZ_OK;                                                                              \
    }
static fz_status extreme(kcall *c, int sign, fz_error *err)
{
    switch (type_phys(c->out->t)) {
    case PHYS_U8: EXTREME_LOOP(uint8_t, (x > best) - (x < best))
    case PHYS_I32: EXTREME_LOOP(int32_t, (x > best) - (x < best))
    case PHYS_I64: EXTREME_LOOP(int64_t, (x > best) - (x < best))
    case PHYS_I128: EXTREME_LOOP(i128, (x > best) - (x < best))
    case PHYS_F32: EXTREME_LOOP(float, f64_cmp(x, best))
    case PHYS_F64: EXTREME_LOOP(double, f64_cmp(x, best))
    case PHYS_STR: EXTREME_LOOP(strview, strview_cmp(&x, &best))
    default: return FZ_OK;
    }
}
static fz_status greatest(kcall *c, fz_error *err) { return extreme(c, 1, err); }
static fz_status least(kcall *c, fz_error *err) { return extreme(c, -1, err); }
static const func greatest_f = {"greatest", 1, {ANY_TYPE}, SAME_AS_0, FN_NULLS | FN_VARIADIC, greatest};
static const func least_f = {"least", 1, {ANY_TYPE}, SAME_AS_0, FN_NULLS | FN_VARIADIC, least};

const func *func_extreme(bool is_greatest, phys p)
{
    return p == PHYS_NONE || p == PHYS_NESTED ? NULL : is_greatest ? &greatest_f : &least_f;
}
