/*
 * func_arith.c: + - * / % and unary minus.
 *
 * Integers fail with 22003 instead of wrapping; `/` truncates. The dense kernels compute all rows and
 * collect whether any overflowed, which leaves the loop without a branch; only then are the rows that
 * count looked at one by one (KERNEL_RETRY).
 *
 * Decimals. + - % work on arguments of one type; * keeps both scales; / divides with a 256-bit product
 * and rounds half away from zero. Result types:
 *
 *   + -   scale max(s1, s2), one digit more than the wider argument
 *   *     scale s1 + s2, p1 + p2 digits
 *   /     decimal(38, max(6, s1, s2))
 *   %     the common type
 *
 * Precision ends at 38; a value past it is an error.
 */
#include "exec/func_int.h"

#include <math.h>

/* ---- 128-bit helpers ---- */

#define E18 1000000000000000000
#define P10(n) ((i128)E18 * (i128)(n))
const i128 pow10_i128[39] = {
    1, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000, 1000000000, 10000000000, 100000000000,
    1000000000000, 10000000000000, 100000000000000, 1000000000000000, 10000000000000000, 100000000000000000,
    E18, P10(10), P10(100), P10(1000), P10(10000), P10(100000), P10(1000000), P10(10000000),
    P10(100000000), P10(1000000000), P10(10000000000), P10(100000000000), P10(1000000000000),
    P10(10000000000000), P10(100000000000000), P10(1000000000000000), P10(10000000000000000),
    P10(100000000000000000), P10(E18), P10(E18) * 10, P10(E18) * 100,
};

static u128 u128_abs(i128 v) { return v < 0 ? -(u128)v : (u128)v; }

/* hi:lo = a * b */
static void u128_mul_wide(u128 a, u128 b, u128 *hi, u128 *lo)
{
    uint64_t a0 = (uint64_t)a, a1 = (uint64_t)(a >> 64), b0 = (uint64_t)b, b1 = (uint64_t)(b >> 64);
    u128 p00 = (u128)a0 * b0, p01 = (u128)a0 * b1, p10 = (u128)a1 * b0, p11 = (u128)a1 * b1;
    u128 mid = (p00 >> 64) + (uint64_t)p01 + (uint64_t)p10;
    *lo = (mid << 64) | (uint64_t)p00;
    *hi = p11 + (p01 >> 64) + (p10 >> 64) + (mid >> 64);
}

/* hi:lo / d with hi < d, bit by bit. */
static u128 u256_div(u128 hi, u128 lo, u128 d, u128 *rem)
{
    u128 q = 0;
    for (int i = 127; i >= 0; i--) {
        bool carry = hi >> 127;
        hi = hi << 1 | (lo >> i & 1);
        q <<= 1;
        if (carry || hi >= d) {
            hi -= d;
            q |= 1;
        }
    }
    *rem = hi;
    return q;
}

bool i128_muldiv(i128 a, i128 b, i128 c, bool round, i128 *out)
{
    u128 hi, lo, rem, q, d = u128_abs(c);
    bool neg = (a < 0) ^ (b < 0) ^ (c < 0);
    u128_mul_wide(u128_abs(a), u128_abs(b), &hi, &lo);
    if (hi >= d)
        return false;
    if (hi == 0) {
        q = lo / d;
        rem = lo % d;
    } else {
        q = u256_div(hi, lo, d, &rem);
    }
    if (round && rem >= d - rem)
        q++;
    if (q >= (u128)pow10_i128[38])
        return false;
    *out = neg ? -(i128)q : (i128)q;
    return true;
}

bool i128_mul(i128 a, i128 b, i128 *out)
{
    return !__builtin_mul_overflow(a, b, out) && i128_fits(*out, 38);
}

i128 i128_scale_down(i128 v, unsigned n)
{
    if (n > 38)
        return 0;
    i128 d = pow10_i128[n], q = v / d, r = v % d;
    if (r < 0 ? -r >= d + r : r >= d - r)
        q += v < 0 ? -1 : (n > 0);
    return q;
}

/* ---- integers ---- */

#define WRAP_ADD(a, b, o) __builtin_add_overflow(a, b, o)
#define WRAP_SUB(a, b, o) __builtin_sub_overflow(a, b, o)
#define WRAP_MUL(a, b, o) __builtin_mul_overflow(a, b, o)

/* Overflow as the sign bit of `bad`, so that the loops vectorise. Multiplication of 64 bits uses the
 * builtin: there is no vector form of its high half. */
#define ADD_BODY(U, T, x, y) U s = (U)(x) + (U)(y); bad |= (T)(((U)(x) ^ s) & ((U)(y) ^ s)); o[i] = (T)s;
#define SUB_BODY(U, T, x, y) U s = (U)(x) - (U)(y); bad |= (T)(((U)(x) ^ (U)(y)) & ((U)(x) ^ s)); o[i] = (T)s;
#define MUL_BODY(U, T, x, y) T s; bad |= (T)(__builtin_mul_overflow((x), (y), &s) ? -1 : 0); o[i] = s;

#define INT_KERNEL(NAME, T, U, BODY, CHECKED)                                                      \
    static HOT T NAME##_vv(const T *a, const T *b, T *o, uint32_t n)                               \
    {                                                                                              \
        T bad = 0;                                                                                 \
        for (uint32_t i = 0; i < n; i++) { BODY(U, T, a[i], b[i]) }                                \
        return bad;                                                                                \
    }                                                                                              \
    static HOT T NAME##_vc(const T *a, T b, T *o, uint32_t n)                                      \
    {                                                                                              \
        T bad = 0;                                                                                 \
        for (uint32_t i = 0; i < n; i++) { BODY(U, T, a[i], b) }                                   \
        return bad;                                                                                \
    }                                                                                              \
    static HOT T NAME##_cv(T a, const T *b, T *o, uint32_t n)                                      \
    {                                                                                              \
        T bad = 0;                                                                                 \
        for (uint32_t i = 0; i < n; i++) { BODY(U, T, a, b[i]) }                                   \
        return bad;                                                                                \
    }                                                                                              \
    static fz_status NAME(kcall *c, fz_error *err)                                                 \
    {                                                                                              \
        const T *a = c->args[0].data, *b = c->args[1].data;                                        \
        T *o = c->out->data;                                                                       \
        uint32_t sa = ARG_STRIDE(&c->args[0]), sb = ARG_STRIDE(&c->args[1]);                       \
        if (!c->rows) {                                                                            \
            T bad = sa && sb ? NAME##_vv(a, b, o, c->n)                                            \
                  : sa ? NAME##_vc(a, *b, o, c->n) : NAME##_cv(*a, b, o, c->n);                    \
            return bad < 0 ? KERNEL_RETRY : FZ_OK;                                                 \
        }                                                                                          \
        EACH_ROW(c, i)                                                                             \
            if (CHECKED(a[i * sa], b[i * sb], &o[i]))                                              \
                return kernel_overflow(c, err);                                                    \
        return FZ_OK;                                                                              \
    }

INT_KERNEL(add_i32, int32_t, uint32_t, ADD_BODY, WRAP_ADD)
INT_KERNEL(sub_i32, int32_t, uint32_t, SUB_BODY, WRAP_SUB)
INT_KERNEL(mul_i32, int32_t, uint32_t, MUL_BODY, WRAP_MUL)
INT_KERNEL(add_i64, int64_t, uint64_t, ADD_BODY, WRAP_ADD)
INT_KERNEL(sub_i64, int64_t, uint64_t, SUB_BODY, WRAP_SUB)
INT_KERNEL(mul_i64, int64_t, uint64_t, MUL_BODY, WRAP_MUL)

static fz_status error_zero(kcall *c, fz_error *err)
{
    return kernel_error(c, err, "22012", "division by zero");
}

#define DIV_KERNEL(NAME, T, MIN, EXPR, OVERFLOWS)                                                  \
    static fz_status NAME(kcall *c, fz_error *err)                                                 \
    {                                                                                              \
        const T *a = c->args[0].data, *b = c->args[1].data;                                        \
        T *o = c->out->data;                                                                       \
        uint32_t sa = ARG_STRIDE(&c->args[0]), sb = ARG_STRIDE(&c->args[1]);                       \
        EACH_ROW(c, i)                                                                             \
        {                                                                                          \
            T x = a[i * sa], y = b[i * sb];                                                        \
            if (y == 0)                                                                            \
                return error_zero(c, err);                                                         \
            if (y == -1) {                                                                         \
                if (OVERFLOWS && x == MIN)                                                         \
                    return kernel_overflow(c, err);                                                \
                o[i] = OVERFLOWS ? -x : 0;                                                         \
            } else {                                                                               \
                o[i] = EXPR;                                                                       \
            }                                                                                      \
        }                                                                                          \
        return FZ_OK;                                                                              \
    }
DIV_KERNEL(div_i32, int32_t, INT32_MIN, x / y, true)
DIV_KERNEL(div_i64, int64_t, INT64_MIN, x / y, true)
DIV_KERNEL(mod_i32, int32_t, INT32_MIN, x % y, false)
DIV_KERNEL(mod_i64, int64_t, INT64_MIN, x % y, false)

/* ---- floats: a finite operand's result that has become infinite, and division by zero, are errors as in PostgreSQL ---- */

#define FINITE(x) ((x) - (x) == 0)
#define GREW(x, y, z) (!FINITE(z) & FINITE(x) & FINITE(y)) /* a NaN comes of no two finite numbers */

#define FLOAT_KERNEL(NAME, T, OP)                                                                  \
    static HOT unsigned NAME##_vv(const T *a, const T *b, T *o, uint32_t n)                        \
    {                                                                                              \
        unsigned bad = 0;                                                                          \
        for (uint32_t i = 0; i < n; i++) {                                                         \
            T z = a[i] OP b[i];                                                                    \
            bad |= GREW(a[i], b[i], z);                                                            \
            o[i] = z;                                                                              \
        }                                                                                          \
        return bad;                                                                                \
    }                                                                                              \
    static HOT unsigned NAME##_vc(const T *a, T b, T *o, uint32_t n)                               \
    {                                                                                              \
        unsigned bad = 0;                                                                          \
        for (uint32_t i = 0; i < n; i++) {                                                         \
            T z = a[i] OP b;                                                                       \
            bad |= GREW(a[i], b, z);                                                               \
            o[i] = z;                                                                              \
        }                                                                                          \
        return bad;                                                                                \
    }                                                                                              \
    static fz_status NAME(kcall *c, fz_error *err)                                                 \
    {                                                                                              \
        const T *a = c->args[0].data, *b = c->args[1].data;                                        \
        T *o = c->out->data;                                                                       \
        uint32_t sa = ARG_STRIDE(&c->args[0]), sb = ARG_STRIDE(&c->args[1]);                       \
        if (!c->rows && sa)                                                                        \
            return (sb ? NAME##_vv(a, b, o, c->n) : NAME##_vc(a, *b, o, c->n)) ? KERNEL_RETRY : FZ_OK; \
        EACH_ROW(c, i)                                                                             \
        {                                                                                          \
            o[i] = a[i * sa] OP b[i * sb];                                                         \
            if (GREW(a[i * sa], b[i * sb], o[i]) && c->rows)                                       \
                return kernel_overflow(c, err);                                                    \
            else if (GREW(a[i * sa], b[i * sb], o[i]))                                             \
                return KERNEL_RETRY;                                                               \
        }                                                                                          \
        return FZ_OK;                                                                              \
    }
FLOAT_KERNEL(add_f32, float, +)
FLOAT_KERNEL(sub_f32, float, -)
FLOAT_KERNEL(mul_f32, float, *)
FLOAT_KERNEL(add_f64, double, +)
FLOAT_KERNEL(sub_f64, double, -)
FLOAT_KERNEL(mul_f64, double, *)

#define FDIV_KERNEL(NAME, T, EXPR)                                                                 \
    static fz_status NAME(kcall *c, fz_error *err)                                                 \
    {                                                                                              \
        const T *a = c->args[0].data, *b = c->args[1].data;                                        \
        T *o = c->out->data;                                                                       \
        uint32_t sa = ARG_STRIDE(&c->args[0]), sb = ARG_STRIDE(&c->args[1]);                       \
        EACH_ROW(c, i)                                                                             \
        {                                                                                          \
            T x = a[i * sa], y = b[i * sb];                                                        \
            if (y == 0)                                                                            \
                return error_zero(c, err);                                                         \
            o[i] = EXPR;                                                                           \
            if (GREW(x, y, o[i]))                                                                  \
                return kernel_overflow(c, err);                                                    \
        }                                                                                          \
        return FZ_OK;                                                                              \
    }
FDIV_KERNEL(div_f32, float, x / y)
FDIV_KERNEL(div_f64, double, x / y)
FDIV_KERNEL(mod_f32, float, fmodf(x, y))
FDIV_KERNEL(mod_f64, double, fmod(x, y))

/* ---- decimals ---- */

static fz_status decimal_store(kcall *c, uint32_t i, i128 v, fz_error *err)
{
    unsigned p = c->out->t.precision;
    if (!i128_fits(v, p))
        return kernel_overflow(c, err);
    if (p <= 18)
        ((int64_t *)c->out->data)[i] = (int64_t)v;
    else
        ((i128 *)c->out->data)[i] = v;
    return FZ_OK;
}

static fz_status add_dec(kcall *c, fz_error *err)
{
    EACH_ROW(c, i)
    {
        i128 v;
        if (__builtin_add_overflow(decimal_at(&c->args[0], i), decimal_at(&c->args[1], i), &v))
            return kernel_overflow(c, err);
        TRY(decimal_store(c, i, v, err));
    }
    return FZ_OK;
}
static fz_status sub_dec(kcall *c, fz_error *err)
{
    EACH_ROW(c, i)
    {
        i128 v;
        if (__builtin_sub_overflow(decimal_at(&c->args[0], i), decimal_at(&c->args[1], i), &v))
            return kernel_overflow(c, err);
        TRY(decimal_store(c, i, v, err));
    }
    return FZ_OK;
}
static fz_status mul_dec(kcall *c, fz_error *err)
{
    EACH_ROW(c, i)
    {
        i128 v;
        if (!i128_mul(decimal_at(&c->args[0], i), decimal_at(&c->args[1], i), &v))
            return kernel_overflow(c, err);
        TRY(decimal_store(c, i, v, err));
    }
    return FZ_OK;
}
static fz_status div_dec(kcall *c, fz_error *err)
{
    /* a / 10^s1 : b / 10^s2 with scale s = a * 10^(s + s2 - s1) / b; s ≥ s1. */
    unsigned up = (unsigned)c->out->t.scale + c->args[1].t.scale - c->args[0].t.scale;
    EACH_ROW(c, i)
    {
        i128 a = decimal_at(&c->args[0], i), b = decimal_at(&c->args[1], i), v = 0;
        if (b == 0)
            return error_zero(c, err);
        bool ok = up <= 38 ? i128_muldiv(a, pow10_i128[up], b, true, &v)
                           : a == 0 || (i128_mul(a, pow10_i128[up - 38], &v) &&
                                        i128_muldiv(v, pow10_i128[38], b, true, &v));
        if (!ok)
            return kernel_overflow(c, err);
        TRY(decimal_store(c, i, v, err));
    }
    return FZ_OK;
}
static fz_status mod_dec(kcall *c, fz_error *err)
{
    EACH_ROW(c, i)
    {
        i128 b = decimal_at(&c->args[1], i);
        if (b == 0)
            return error_zero(c, err);
        TRY(decimal_store(c, i, decimal_at(&c->args[0], i) % b, err));
    }
    return FZ_OK;
}

/* Both of at most 18 digits and a result of at most 18: can't overflow, so dense and vectorised. */
INT_KERNEL(add_dec64, int64_t, uint64_t, ADD_BODY, WRAP_ADD)
INT_KERNEL(sub_dec64, int64_t, uint64_t, SUB_BODY, WRAP_SUB)
INT_KERNEL(mul_dec64, int64_t, uint64_t, MUL_BODY, WRAP_MUL)

/* ---- dates ---- */

static fz_status date_shift(kcall *c, bool plus, fz_error *err)
{
    const int32_t *a = c->args[0].data;
    const int64_t *b = c->args[1].data;
    int32_t *o = c->out->data;
    uint32_t sa = ARG_STRIDE(&c->args[0]), sb = ARG_STRIDE(&c->args[1]);
    EACH_ROW(c, i)
    {
        int64_t v;
        if (plus ? __builtin_add_overflow(a[i * sa], b[i * sb], &v) : __builtin_sub_overflow(a[i * sa], b[i * sb], &v))
            return kernel_error(c, err, "22008", "date out of range");
        if (v != (int32_t)v)
            return kernel_error(c, err, "22008", "date out of range");
        o[i] = (int32_t)v;
    }
    return FZ_OK;
}
static fz_status add_date(kcall *c, fz_error *err) { return date_shift(c, true, err); }
static fz_status sub_date(kcall *c, fz_error *err) { return date_shift(c, false, err); }
static fz_status add_date_r(kcall *c, fz_error *err)
{
    vec swapped[2] = {c->args[1], c->args[0]};
    kcall d = *c;
    d.args = swapped;
    return date_shift(&d, true, err);
}

/* ---- unary minus ---- */

#define NEG_INT(NAME, T, MIN)                                                                      \
    static fz_status NAME(kcall *c, fz_error *err)                                                 \
    {                                                                                              \
        const T *a = c->args[0].data;                                                              \
        T *o = c->out->data;                                                                       \
        uint32_t sa = ARG_STRIDE(&c->args[0]);                                                     \
        EACH_ROW(c, i)                                                                             \
        {                                                                                          \
            if (a[i * sa] == MIN)                                                                  \
                return kernel_overflow(c, err);                                                    \
            o[i] = -a[i * sa];                                                                     \
        }                                                                                          \
        return FZ_OK;                                                                              \
    }
NEG_INT(neg_i32, int32_t, INT32_MIN)
NEG_INT(neg_i64, int64_t, INT64_MIN)
#define NEG(NAME, T)                                                                               \
    static fz_status NAME(kcall *c, fz_error *err)                                                 \
    {                                                                                              \
        const T *a = c->args[0].data;                                                              \
        T *o = c->out->data;                                                                       \
        uint32_t sa = ARG_STRIDE(&c->args[0]);                                                     \
        EACH_ROW(c, i) o[i] = -a[i * sa];                                                          \
        return FZ_OK;                                                                              \
    }
NEG(neg_f32, float)
NEG(neg_f64, double)
static fz_status neg_dec(kcall *c, fz_error *err)
{
    EACH_ROW(c, i) TRY(decimal_store(c, i, -decimal_at(&c->args[0], i), err));
    return FZ_OK;
}

static const func neg_i32_f = {"-", 1, {T_INT32}, T_INT32, FN_FALLIBLE, neg_i32};
static const func neg_i64_f = {"-", 1, {T_INT64}, T_INT64, FN_FALLIBLE, neg_i64};
static const func neg_f32_f = {"-", 1, {T_FLOAT32}, T_FLOAT32, FN_DENSE, neg_f32};
static const func neg_f64_f = {"-", 1, {T_FLOAT64}, T_FLOAT64, FN_DENSE, neg_f64};
static const func neg_dec_f = {"-", 1, {T_DECIMAL}, SAME_AS_0, FN_FALLIBLE, neg_dec};

const func *func_neg(type t)
{
    switch (t.id) {
    case T_INT32: return &neg_i32_f;
    case T_NULL:
    case T_INT64: return &neg_i64_f;
    case T_FLOAT32: return &neg_f32_f;
    case T_FLOAT64: return &neg_f64_f;
    case T_DECIMAL: return &neg_dec_f;
    default: return NULL;
    }
}

/* ---- which kernel, which types ---- */

static const char op_text[ARITH_COUNT_][2] = {"+", "-", "*", "/", "%"};

#define CHECKED (FN_FALLIBLE | FN_DENSE)
#define OPS(T, ID)                                                                                 \
    {{"+", 2, {ID, ID}, ID, CHECKED, add_##T}, {"-", 2, {ID, ID}, ID, CHECKED, sub_##T},          \
     {"*", 2, {ID, ID}, ID, CHECKED, mul_##T}, {"/", 2, {ID, ID}, ID, FN_FALLIBLE, div_##T},      \
     {"%", 2, {ID, ID}, ID, FN_FALLIBLE, mod_##T}}
static const func arith[4][ARITH_COUNT_] = {
    OPS(i32, T_INT32), OPS(i64, T_INT64), OPS(f32, T_FLOAT32), OPS(f64, T_FLOAT64)};
#define DEC(NAME, F, K) {NAME, 2, {T_DECIMAL, T_DECIMAL}, T_DECIMAL, F, K}
static const func arith_dec[ARITH_COUNT_] = {
    DEC("+", FN_FALLIBLE, add_dec), DEC("-", FN_FALLIBLE, sub_dec), DEC("*", FN_FALLIBLE, mul_dec),
    DEC("/", FN_FALLIBLE, div_dec), DEC("%", FN_FALLIBLE, mod_dec)};
static const func arith_dec64[3] = {
    DEC("+", FN_FALLIBLE | FN_DENSE, add_dec64), DEC("-", FN_FALLIBLE | FN_DENSE, sub_dec64),
    DEC("*", FN_FALLIBLE | FN_DENSE, mul_dec64)};
static const func date_plus = {"+", 2, {T_DATE, T_INT64}, T_DATE, FN_FALLIBLE, add_date};
static const func date_minus = {"-", 2, {T_DATE, T_INT64}, T_DATE, FN_FALLIBLE, sub_date};
static const func date_plus_r = {"+", 2, {T_INT64, T_DATE}, T_DATE, FN_FALLIBLE, add_date_r};
static const func date_diff_f = {"-", 2, {T_DATE, T_DATE}, T_INT32, FN_FALLIBLE | FN_DENSE, sub_i32};

static type as_decimal(type t)
{
    return t.id == T_INT32 ? TYPE_DECIMAL(10, 0) : t.id == T_INT64 ? TYPE_DECIMAL(19, 0) : t;
}
static unsigned umax(unsigned a, unsigned b) { return a > b ? a : b; }
static unsigned umin(unsigned a, unsigned b) { return a < b ? a : b; }

static fz_status arith_decimal(int op, type a, type b, func_match *out, fz_error *err)
{
    a = as_decimal(a);
    b = as_decimal(b);
    unsigned s = umax(a.scale, b.scale), whole = umax(a.precision - a.scale, b.precision - b.scale);
    *out = (func_match){.fn = &arith_dec[op], .args = {a, b}};
    switch (op) {
    case ARITH_ADD:
    case ARITH_SUB:
        out->result = TYPE_DECIMAL(umin(38, whole + 1 + s), s);
        out->args[0] = out->args[1] = out->result;
        if (out->result.precision <= 18)
            out->fn = &arith_dec64[op];
        return FZ_OK;
    case ARITH_MUL:
        if (a.scale + b.scale > 38)
            return error_sql(err, FZ_VALUE, "22003", "the product of decimal(%u,%u) and decimal(%u,%u) has more than 38 decimal places",
                             a.precision, a.scale, b.precision, b.scale);
        out->result = TYPE_DECIMAL(umin(38, (unsigned)a.precision + b.precision), a.scale + b.scale);
        if (out->result.precision <= 18)
            out->fn = &arith_dec64[op];
        return FZ_OK;
    case ARITH_DIV:
        out->result = TYPE_DECIMAL(38, umax(6, s));
        return FZ_OK;
    default:
        out->result = TYPE_DECIMAL(umin(38, whole + s), s);
        out->args[0] = out->args[1] = out->result;
        return FZ_OK;
    }
}

static fz_status no_operator(int op, type a, type b, fz_error *err)
{
    sbuf x, y;
    sbuf_init(&x, NULL);
    sbuf_init(&y, NULL);
    type_sql_name(a, &x);
    type_sql_name(b, &y);
    fz_status st = error_sql(err, FZ_NOT_FOUND, "42883", "there is no operator %s for %s and %s", op_text[op],
                             x.p ? x.p : "?", y.p ? y.p : "?");
    sbuf_free(&x);
    sbuf_free(&y);
    return st;
}

fz_status func_arith(int op, type a, type b, func_match *out, fz_error *err)
{
    if (a.id == T_NULL)
        a = b.id == T_DATE && op == ARITH_ADD ? TYPE(T_INT64) : b;
    if (b.id == T_NULL)
        b = a.id == T_DATE ? TYPE(T_INT64) : a;
    if (a.id == T_NULL)
        a = b = TYPE(T_INT64);
    bool ints = op == ARITH_ADD || op == ARITH_SUB;
    if (ints && a.id == T_DATE && type_is_integer(b)) {
        *out = (func_match){op == ARITH_ADD ? &date_plus : &date_minus, a, {a, TYPE(T_INT64)}};
        return FZ_OK;
    }
    if (op == ARITH_ADD && b.id == T_DATE && type_is_integer(a)) {
        *out = (func_match){&date_plus_r, b, {TYPE(T_INT64), b}};
        return FZ_OK;
    }
    if (op == ARITH_SUB && a.id == T_DATE && b.id == T_DATE) {
        *out = (func_match){&date_diff_f, TYPE(T_INT32), {a, b}};
        return FZ_OK;
    }
    if (!type_is_numeric(a) || !type_is_numeric(b))
        return no_operator(op, a, b, err);
    bool fl = a.id == T_FLOAT64 || b.id == T_FLOAT64 || a.id == T_FLOAT32 || b.id == T_FLOAT32;
    if (fl) {
        bool f32 = a.id == T_FLOAT32 && b.id == T_FLOAT32;
        type t = TYPE(f32 ? T_FLOAT32 : T_FLOAT64);
        *out = (func_match){&arith[f32 ? 2 : 3][op], t, {t, t}};
        return FZ_OK;
    }
    if (a.id == T_DECIMAL || b.id == T_DECIMAL)
        return arith_decimal(op, a, b, out, err);
    type t = TYPE(a.id == T_INT32 && b.id == T_INT32 ? T_INT32 : T_INT64);
    *out = (func_match){&arith[t.id == T_INT32 ? 0 : 1][op], t, {t, t}};
    return FZ_OK;
}
