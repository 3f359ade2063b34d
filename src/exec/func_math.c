/*
 * func_math.c: functions of numbers, and nullif, typeof.
 */
#include "exec/func_int.h"

#include <math.h>

/* ---- double → double ---- */

#define F64_FN(NAME, EXPR)                                                                         \
    static fz_status NAME##_f64(kcall *c, fz_error *err)                                           \
    {                                                                                              \
        const double *a = c->args[0].data;                                                         \
        double *o = c->out->data;                                                                  \
        uint32_t s = ARG_STRIDE(&c->args[0]);                                                      \
        EACH_ROW(c, i)                                                                             \
        {                                                                                          \
            double x = a[i * s];                                                                   \
            o[i] = EXPR;                                                                           \
        }                                                                                          \
        return FZ_OK;                                                                              \
    }
/* As above with a domain outside of which it is an error. */
#define F64_DOMAIN(NAME, OK, STATE, MSG, EXPR)                                                     \
    static fz_status NAME##_f64(kcall *c, fz_error *err)                                           \
    {                                                                                              \
        const double *a = c->args[0].data;                                                         \
        double *o = c->out->data;                                                                  \
        uint32_t s = ARG_STRIDE(&c->args[0]);                                                      \
        EACH_ROW(c, i)                                                                             \
        {                                                                                          \
            double x = a[i * s];                                                                   \
            if (!(OK))                                                                             \
                return kernel_error(c, err, STATE, MSG);                                           \
            o[i] = EXPR;                                                                           \
        }                                                                                          \
        return FZ_OK;                                                                              \
    }
#define LOG_MSG "the logarithm of a number that isn't positive"
F64_FN(abs, fabs(x))
F64_FN(ceil, ceil(x))
F64_FN(floor, floor(x))
F64_FN(trunc, trunc(x))
F64_FN(round, rint(x) == x ? x : round(x)) /* half away from zero */
F64_FN(sign, x != x ? x : (double)((x > 0) - (x < 0)))
F64_FN(cbrt, cbrt(x))
F64_FN(sin, sin(x))
F64_FN(cos, cos(x))
F64_FN(tan, tan(x))
F64_FN(atan, atan(x))
F64_FN(degrees, x * (180 / M_PI))
F64_FN(radians, x * (M_PI / 180))
F64_DOMAIN(sqrt, !(x < 0), "2201F", "the square root of a negative number", sqrt(x))
F64_DOMAIN(ln, !(x <= 0), "2201E", LOG_MSG, log(x))
F64_DOMAIN(log10, !(x <= 0), "2201E", LOG_MSG, log10(x))
F64_DOMAIN(log2, !(x <= 0), "2201E", LOG_MSG, log2(x))
F64_DOMAIN(exp, !(isinf(exp(x)) && !isinf(x)), "22003", "double precision out of range", exp(x))
F64_DOMAIN(asin, !(fabs(x) > 1), "22003", "asin of a number outside -1 to 1", asin(x))
F64_DOMAIN(acos, !(fabs(x) > 1), "22003", "acos of a number outside -1 to 1", acos(x))

static fz_status power_f64(kcall *c, fz_error *err)
{
    const double *a = c->args[0].data, *b = c->args[1].data;
    double *o = c->out->data;
    uint32_t sa = ARG_STRIDE(&c->args[0]), sb = ARG_STRIDE(&c->args[1]);
    EACH_ROW(c, i)
    {
        double x = a[i * sa], y = b[i * sb], v = pow(x, y);
        if (x == 0 && y < 0)
            return kernel_error(c, err, "2201F", "zero raised to a negative power");
        if (v != v && x == x && y == y)
            return kernel_error(c, err, "2201F", "a negative number raised to a power that isn't whole");
        if (isinf(v) && !isinf(x) && !isinf(y))
            return kernel_overflow(c, err);
        o[i] = v;
    }
    return FZ_OK;
}
static fz_status log_base_f64(kcall *c, fz_error *err)
{
    const double *a = c->args[0].data, *b = c->args[1].data;
    double *o = c->out->data;
    uint32_t sa = ARG_STRIDE(&c->args[0]), sb = ARG_STRIDE(&c->args[1]);
    EACH_ROW(c, i)
    {
        double base = a[i * sa], x = b[i * sb];
        if (base <= 0 || x <= 0)
            return kernel_error(c, err, "2201E", LOG_MSG);
        if (base == 1)
            return kernel_error(c, err, "22012", "division by zero");
        o[i] = log(x) / log(base);
    }
    return FZ_OK;
}
static fz_status atan2_f64(kcall *c, fz_error *err)
{
    const double *a = c->args[0].data, *b = c->args[1].data;
    double *o = c->out->data;
    uint32_t sa = ARG_STRIDE(&c->args[0]), sb = ARG_STRIDE(&c->args[1]);
    EACH_ROW(c, i) o[i] = atan2(a[i * sa], b[i * sb]);
    return FZ_OK;
}

static const double pow10_f64[23] = {1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12,
                                     1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

/* Places past what a double holds leave it as it is; half away from zero. */
static double round_places(double x, int64_t n, bool cut)
{
    if (!isfinite(x) || n > 22 || x == 0)
        return x;
    if (n < -308)
        return 0;
    double p = n >= 0 ? pow10_f64[n] : n >= -22 ? pow10_f64[-n] : pow(10, (double)-n);
    double v = n >= 0 ? x * p : x / p;
    if (!isfinite(v) || fabs(v) >= 0x1p52)
        return n >= 0 ? x : v * p;
    v = cut ? trunc(v) : round(v);
    return n >= 0 ? v / p : v * p;
}
static fz_status places_f64(kcall *c, bool cut)
{
    const double *a = c->args[0].data;
    const int64_t *b = c->args[1].data;
    double *o = c->out->data;
    uint32_t sa = ARG_STRIDE(&c->args[0]), sb = ARG_STRIDE(&c->args[1]);
    EACH_ROW(c, i) o[i] = round_places(a[i * sa], b[i * sb], cut);
    return FZ_OK;
}
static fz_status round_n_f64(kcall *c, fz_error *err) { return places_f64(c, false); }
static fz_status trunc_n_f64(kcall *c, fz_error *err) { return places_f64(c, true); }

static fz_status isnan_f64(kcall *c, fz_error *err)
{
    const double *a = c->args[0].data;
    uint8_t *o = c->out->data;
    uint32_t s = ARG_STRIDE(&c->args[0]);
    EACH_ROW(c, i) o[i] = a[i * s] != a[i * s];
    return FZ_OK;
}
static fz_status isinf_f64(kcall *c, fz_error *err)
{
    const double *a = c->args[0].data;
    uint8_t *o = c->out->data;
    uint32_t s = ARG_STRIDE(&c->args[0]);
    EACH_ROW(c, i) o[i] = isinf(a[i * s]) != 0;
    return FZ_OK;
}
static fz_status isfinite_f64(kcall *c, fz_error *err)
{
    const double *a = c->args[0].data;
    uint8_t *o = c->out->data;
    uint32_t s = ARG_STRIDE(&c->args[0]);
    EACH_ROW(c, i) o[i] = isfinite(a[i * s]) != 0;
    return FZ_OK;
}
static fz_status pi_f64(kcall *c, fz_error *err)
{
    EACH_ROW(c, i) ((double *)c->out->data)[i] = M_PI;
    return FZ_OK;
}

/* ---- integers ---- */

#define INT_FNS(S, T, MIN)                                                                         \
    static fz_status abs_##S(kcall *c, fz_error *err)                                              \
    {                                                                                              \
        const T *a = c->args[0].data;                                                              \
        T *o = c->out->data;                                                                       \
        uint32_t s = ARG_STRIDE(&c->args[0]);                                                      \
        EACH_ROW(c, i)                                                                             \
        {                                                                                          \
            if (a[i * s] == MIN)                                                                   \
                return kernel_overflow(c, err);                                                    \
            o[i] = a[i * s] < 0 ? -a[i * s] : a[i * s];                                            \
        }                                                                                          \
        return FZ_OK;                                                                              \
    }                                                                                              \
    static fz_status sign_##S(kcall *c, fz_error *err)                                             \
    {                                                                                              \
        const T *a = c->args[0].data;                                                              \
        T *o = c->out->data;                                                                       \
        uint32_t s = ARG_STRIDE(&c->args[0]);                                                      \
        EACH_ROW(c, i) o[i] = (a[i * s] > 0) - (a[i * s] < 0);                                     \
        return FZ_OK;                                                                              \
    }                                                                                              \
    static fz_status same_##S(kcall *c, fz_error *err)                                             \
    {                                                                                              \
        const T *a = c->args[0].data;                                                              \
        T *o = c->out->data;                                                                       \
        uint32_t s = ARG_STRIDE(&c->args[0]);                                                      \
        EACH_ROW(c, i) o[i] = a[i * s];                                                            \
        return FZ_OK;                                                                              \
    }                                                                                              \
    static fz_status mod_##S(kcall *c, fz_error *err)                                              \
    {                                                                                              \
        const T *a = c->args[0].data, *b = c->args[1].data;                                        \
        T *o = c->out->data;                                                                       \
        uint32_t sa = ARG_STRIDE(&c->args[0]), sb = ARG_STRIDE(&c->args[1]);                       \
        EACH_ROW(c, i)                                                                             \
        {                                                                                          \
            if (b[i * sb] == 0)                                                                    \
                return kernel_error(c, err, "22012", "division by zero");                          \
            o[i] = b[i * sb] == -1 ? 0 : a[i * sa] % b[i * sb];                                    \
        }                                                                                          \
        return FZ_OK;                                                                              \
    }
INT_FNS(i32, int32_t, INT32_MIN)
INT_FNS(i64, int64_t, INT64_MIN)

/* round(bigint, -2) */
static fz_status places_i64(kcall *c, bool cut, fz_error *err)
{
    const int64_t *a = c->args[0].data, *b = c->args[1].data;
    int64_t *o = c->out->data;
    uint32_t sa = ARG_STRIDE(&c->args[0]), sb = ARG_STRIDE(&c->args[1]);
    EACH_ROW(c, i)
    {
        int64_t x = a[i * sa], n = b[i * sb];
        if (n >= 0) {
            o[i] = x;
        } else if (n < -19) {
            o[i] = 0;
        } else {
            i128 p = pow10_i128[-n], v = (cut ? x / p : i128_scale_down(x, (unsigned)-n)) * p;
            if (v != (int64_t)v)
                return kernel_overflow(c, err);
            o[i] = (int64_t)v;
        }
    }
    return FZ_OK;
}
static fz_status round_n_i64(kcall *c, fz_error *err) { return places_i64(c, false, err); }
static fz_status trunc_n_i64(kcall *c, fz_error *err) { return places_i64(c, true, err); }

/* ---- decimals ---- */

static fz_status dec_put(kcall *c, uint32_t i, i128 v, fz_error *err)
{
    if (!i128_fits(v, c->out->t.precision))
        return kernel_overflow(c, err);
    if (c->out->t.precision <= 18)
        ((int64_t *)c->out->data)[i] = (int64_t)v;
    else
        ((i128 *)c->out->data)[i] = v;
    return FZ_OK;
}
enum dec_way { DEC_ABS, DEC_SIGN, DEC_FLOOR, DEC_CEIL, DEC_RND, DEC_CUT };
static fz_status dec_fn(kcall *c, enum dec_way way, fz_error *err)
{
    unsigned s = c->args[0].t.scale;
    i128 p = pow10_i128[s];
    EACH_ROW(c, i)
    {
        i128 x = decimal_at(&c->args[0], i), v = x / p, r = x % p;
        switch (way) {
        case DEC_ABS: v = x < 0 ? -x : x; break;
        case DEC_SIGN: v = (x > 0) - (x < 0); break;
        case DEC_FLOOR: v -= r < 0; break;
        case DEC_CEIL: v += r > 0; break;
        case DEC_RND: v = i128_scale_down(x, s); break;
        case DEC_CUT: break;
        }
        TRY(dec_put(c, i, v, err));
    }
    return FZ_OK;
}
static fz_status abs_dec(kcall *c, fz_error *err) { return dec_fn(c, DEC_ABS, err); }
static fz_status sign_dec(kcall *c, fz_error *err) { return dec_fn(c, DEC_SIGN, err); }
static fz_status floor_dec(kcall *c, fz_error *err) { return dec_fn(c, DEC_FLOOR, err); }
static fz_status ceil_dec(kcall *c, fz_error *err) { return dec_fn(c, DEC_CEIL, err); }
static fz_status round_dec(kcall *c, fz_error *err) { return dec_fn(c, DEC_RND, err); }
static fz_status trunc_dec(kcall *c, fz_error *err) { return dec_fn(c, DEC_CUT, err); }
static fz_status places_dec(kcall *c, bool cut, fz_error *err)
{
    const int64_t *b = c->args[1].data;
    uint32_t sb = ARG_STRIDE(&c->args[1]);
    int64_t s = c->args[0].t.scale;
    EACH_ROW(c, i)
    {
        i128 x = decimal_at(&c->args[0], i);
        int64_t n = b[i * sb];
        if (n < s) {
            int64_t drop = n < -38 ? 38 : s - n > 38 ? 38 : s - n;
            i128 p = pow10_i128[drop];
            x = drop == 38 ? 0 : (cut ? x / p : i128_scale_down(x, (unsigned)drop)) * p;
        }
        TRY(dec_put(c, i, x, err));
    }
    return FZ_OK;
}
static fz_status round_n_dec(kcall *c, fz_error *err) { return places_dec(c, false, err); }
static fz_status trunc_n_dec(kcall *c, fz_error *err) { return places_dec(c, true, err); }
static fz_status mod_dec_fn(kcall *c, fz_error *err)
{
    EACH_ROW(c, i)
    {
        /* Both were cast to integers' decimals or are decimals of their own scales. */
        i128 a = decimal_at(&c->args[0], i), b = decimal_at(&c->args[1], i);
        unsigned sa = c->args[0].t.scale, sb = c->args[1].t.scale;
        bool ok = true;
        if (b == 0)
            return kernel_error(c, err, "22012", "division by zero");
        if (sa < sb)
            ok = i128_mul(a, pow10_i128[sb - sa], &a);
        else
            ok = i128_mul(b, pow10_i128[sa - sb], &b);
        if (!ok)
            return kernel_overflow(c, err);
        i128 v = a % b;
        if (sa < sb)
            v = i128_scale_down(v, sb - sa);
        TRY(dec_put(c, i, v, err));
    }
    return FZ_OK;
}

/* ---- any type ---- */

static fz_status typeof_any(kcall *c, fz_error *err)
{
    sbuf b;
    sbuf_init(&b, NULL);
    type_sql_name(c->args[0].t, &b);
    char *p = b.failed ? NULL : arena_strndup(c->a, b.p, b.n);
    size_t n = b.n;
    sbuf_free(&b);
    if (!p)
        return error_nomem(err);
    strview v = strview_make(p, (uint32_t)n);
    EACH_ROW(c, i) ((strview *)c->out->data)[i] = v;
    return FZ_OK;
}

/* The number of rows of a subquery that stands for one value. */
static fz_status one_row(kcall *c, fz_error *err)
{
    const int64_t *n = c->args[0].data;
    EACH_ROW(c, i)
    {
        int64_t rows = n[i * ARG_STRIDE(&c->args[0])];
        if (rows > 1)
            return kernel_error(c, err, "21000", "more than one row from a subquery that stands for one value");
        ((int64_t *)c->out->data)[i] = rows;
    }
    return FZ_OK;
}

const func func_math_table[] = {
    {"abs", 1, {T_INT32}, T_INT32, FN_FALLIBLE, abs_i32},
    {"abs", 1, {T_INT64}, T_INT64, FN_FALLIBLE, abs_i64},
    {"abs", 1, {T_FLOAT64}, T_FLOAT64, FN_DENSE, abs_f64},
    {"abs", 1, {T_DECIMAL}, SAME_AS_0, FN_FALLIBLE, abs_dec},
    {"sign", 1, {T_INT32}, T_INT32, FN_DENSE, sign_i32},
    {"sign", 1, {T_INT64}, T_INT64, FN_DENSE, sign_i64},
    {"sign", 1, {T_FLOAT64}, T_FLOAT64, FN_DENSE, sign_f64},
    {"sign", 1, {T_DECIMAL}, DEC_WHOLE, FN_FALLIBLE, sign_dec},
    {"round", 1, {T_INT32}, T_INT32, FN_DENSE, same_i32},
    {"round", 1, {T_INT64}, T_INT64, FN_DENSE, same_i64},
    {"round", 1, {T_FLOAT64}, T_FLOAT64, FN_DENSE, round_f64},
    {"round", 1, {T_DECIMAL}, DEC_WHOLE, FN_FALLIBLE, round_dec},
    {"round", 2, {T_INT64, T_INT64}, T_INT64, FN_FALLIBLE, round_n_i64},
    {"round", 2, {T_FLOAT64, T_INT64}, T_FLOAT64, 0, round_n_f64},
    {"round", 2, {T_DECIMAL, T_INT64}, DEC_ROUND, FN_FALLIBLE, round_n_dec},
    {"trunc", 1, {T_INT32}, T_INT32, FN_DENSE, same_i32},
    {"trunc", 1, {T_INT64}, T_INT64, FN_DENSE, same_i64},
    {"trunc", 1, {T_FLOAT64}, T_FLOAT64, FN_DENSE, trunc_f64},
    {"trunc", 1, {T_DECIMAL}, DEC_WHOLE, FN_FALLIBLE, trunc_dec},
    {"trunc", 2, {T_INT64, T_INT64}, T_INT64, FN_FALLIBLE, trunc_n_i64},
    {"trunc", 2, {T_FLOAT64, T_INT64}, T_FLOAT64, 0, trunc_n_f64},
    {"trunc", 2, {T_DECIMAL, T_INT64}, SAME_AS_0, FN_FALLIBLE, trunc_n_dec},
#define WHOLE(NAME, K)                                                                             \
    {NAME, 1, {T_INT32}, T_INT32, FN_DENSE, same_i32}, {NAME, 1, {T_INT64}, T_INT64, FN_DENSE, same_i64},         \
    {NAME, 1, {T_FLOAT64}, T_FLOAT64, FN_DENSE, K##_f64}, {NAME, 1, {T_DECIMAL}, DEC_WHOLE, FN_FALLIBLE, K##_dec}
    WHOLE("floor", floor), WHOLE("ceil", ceil), WHOLE("ceiling", ceil),
    {"mod", 2, {T_INT32, T_INT32}, T_INT32, FN_FALLIBLE, mod_i32},
    {"mod", 2, {T_INT64, T_INT64}, T_INT64, FN_FALLIBLE, mod_i64},
    {"mod", 2, {T_DECIMAL, T_DECIMAL}, SAME_AS_0, FN_FALLIBLE, mod_dec_fn},
#define D1(NAME, F, K) {NAME, 1, {T_FLOAT64}, T_FLOAT64, F, K##_f64}
    D1("sqrt", FN_FALLIBLE, sqrt), D1("cbrt", 0, cbrt), D1("exp", FN_FALLIBLE, exp), D1("ln", FN_FALLIBLE, ln),
    D1("log", FN_FALLIBLE, log10), D1("log10", FN_FALLIBLE, log10), D1("log2", FN_FALLIBLE, log2),
    D1("sin", 0, sin), D1("cos", 0, cos), D1("tan", 0, tan), D1("atan", 0, atan), D1("asin", FN_FALLIBLE, asin),
    D1("acos", FN_FALLIBLE, acos), D1("degrees", FN_DENSE, degrees), D1("radians", FN_DENSE, radians),
#define D2(NAME, F, K) {NAME, 2, {T_FLOAT64, T_FLOAT64}, T_FLOAT64, F, K##_f64}
    D2("log", FN_FALLIBLE, log_base), D2("power", FN_FALLIBLE, power), D2("pow", FN_FALLIBLE, power),
    D2("^", FN_FALLIBLE, power), D2("atan2", 0, atan2),
    {"pi", 0, {0}, T_FLOAT64, 0, pi_f64},
    {"isnan", 1, {T_FLOAT64}, T_BOOL, FN_DENSE, isnan_f64},
    {"isinf", 1, {T_FLOAT64}, T_BOOL, FN_DENSE, isinf_f64},
    {"isfinite", 1, {T_FLOAT64}, T_BOOL, FN_DENSE, isfinite_f64},
    {"(one row)", 1, {T_INT64}, T_INT64, FN_FALLIBLE, one_row}, /* the binder's alone: no identifier has a space */
    {"typeof", 1, {ANY_TYPE}, T_STRING, FN_NULLS, typeof_any},
    {0},
};
