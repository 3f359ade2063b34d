/*
 * agg_func.c: the aggregate functions.
 *
 * sum of integers is accumulated in 128 bits and must fit a bigint at the end; of decimals in 128
 * bits, result decimal(38, s). avg of integers is the exact sum divided once. The one-group forms of
 * sum work on halves of 32 bits in 64-bit lanes, which no batch can overflow, so that they
 * vectorise; the 128-bit sum is touched once per call.
 */
#include "exec/agg_int.h"

#include <math.h>

/* Loops over the rows of a call that aren't null; binds i (row), s (state) and, with VALUE, x. */
#define EACH_STATE(c, S, BODY)                                                                     \
    {                                                                                              \
        const vec *v_ = (c)->arg;                                                                  \
        for (uint32_t k_ = 0; k_ < (c)->n; k_++) {                                                 \
            uint32_t i = (c)->rows ? (c)->rows[k_] : (c)->first + k_;                              \
            if (v_ && v_->valid && !bit_get(v_->valid, v_->enc == VEC_CONST ? 0 : i))              \
                continue;                                                                          \
            S *s = (S *)(((c)->groups ? (c)->groups[k_] : (c)->one) + (c)->off);                   \
            BODY                                                                                   \
        }                                                                                          \
    }

static fz_status agg_overflow(const agg_expr *e, fz_error *err)
{
    sbuf b;
    sbuf_init(&b, NULL);
    type_sql_name(e->t, &b);
    fz_status st = error_sql(err, FZ_VALUE, "22003", "%s out of range in sum", b.p ? b.p : "value");
    sbuf_free(&b);
    if (e->line > 0)
        error_line(err, e->line, e->column);
    return st;
}

/* ---- count ---- */

typedef struct count_state { int64_t n, pad; } count_state;

static fz_status count_update(const agg_call *c, fz_error *err)
{
    if (!c->groups && (!c->arg || !c->arg->valid)) {
        ((count_state *)(c->one + c->off))->n += c->n;
        return FZ_OK;
    }
    EACH_STATE(c, count_state, s->n++;)
    return FZ_OK;
}
static fz_status count_merge(const agg_expr *e, uint8_t *to, const uint8_t *from, arena *a, fz_error *err)
{
    ((count_state *)to)->n += ((const count_state *)from)->n;
    return FZ_OK;
}
static fz_status count_finish(const agg_expr *e, const uint8_t *s, vec *out, uint32_t row, fz_error *err)
{
    ((int64_t *)out->data)[row] = ((const count_state *)s)->n;
    return FZ_OK;
}

/* ---- sums ---- */

typedef struct sum_state { i128 sum; int64_t n, overflow; } sum_state;

/* lo + hi * 2^32 - n * 2^63, with the values' sign bit flipped */
static HOT void sum_block_i64(const int64_t *x, uint32_t n, uint64_t *lo, uint64_t *hi)
{
    uint64_t l = 0, h = 0;
    for (uint32_t i = 0; i < n; i++) {
        uint64_t u = (uint64_t)x[i] ^ 0x8000000000000000ull;
        l += u & 0xffffffffu;
        h += u >> 32;
    }
    *lo = l;
    *hi = h;
}
static HOT int64_t sum_block_i32(const int32_t *x, uint32_t n)
{
    int64_t s = 0;
    for (uint32_t i = 0; i < n; i++)
        s += x[i];
    return s;
}
static i128 sum_i64_all(const int64_t *x, uint32_t n)
{
    uint64_t lo, hi;
    sum_block_i64(x, n, &lo, &hi);
    return (i128)lo + ((i128)hi << 32) - ((i128)n << 63);
}

/* n values from row `first`, nulls left out. */
#define SUM_DENSE(NAME, T, ALL)                                                                    \
    static void NAME(const vec *v, uint32_t first, uint32_t n, sum_state *s)                       \
    {                                                                                              \
        const T *x = v->data;                                                                      \
        if (!v->valid) {                                                                           \
            s->sum += ALL(x + first, n);                                                           \
            s->n += n;                                                                             \
            return;                                                                                \
        }                                                                                          \
        for (uint32_t i = first, end = first + n; i < end;) {                                      \
            uint32_t in_word = 64 - (i & 63), m = end - i < in_word ? end - i : in_word;           \
            uint64_t bits = v->valid[i >> 6] >> (i & 63);                                          \
            if (m < 64)                                                                            \
                bits &= (1ull << m) - 1;                                                           \
            if (m == 64 && bits == ~0ull) {                                                        \
                s->sum += ALL(x + i, 64);                                                          \
            } else {                                                                               \
                for (uint64_t b = bits; b; b &= b - 1)                                             \
                    s->sum += x[i + (uint32_t)__builtin_ctzll(b)];                                 \
            }                                                                                      \
            s->n += __builtin_popcountll(bits);                                                    \
            i += m;                                                                                \
        }                                                                                          \
    }
SUM_DENSE(sum_dense_i64, int64_t, sum_i64_all)
SUM_DENSE(sum_dense_i32, int32_t, sum_block_i32)

#define SUM_UPDATE(NAME, T, DENSE)                                                                 \
    static fz_status NAME(const agg_call *c, fz_error *err)                                        \
    {                                                                                              \
        const T *x = c->arg->data;                                                                 \
        uint32_t st = ARG_STRIDE(c->arg);                                                          \
        if (!c->groups && st && !c->rows) {                                                        \
            DENSE(c->arg, c->first, c->n, (sum_state *)(c->one + c->off));                         \
            return FZ_OK;                                                                          \
        }                                                                                          \
        if (!c->groups && st && !c->arg->valid) {                                                  \
            i128 sum = 0;                                                                          \
            for (uint32_t k = 0; k < c->n; k++)                                                    \
                sum += x[c->rows[k]];                                                              \
            ((sum_state *)(c->one + c->off))->sum += sum;                                          \
            ((sum_state *)(c->one + c->off))->n += c->n;                                           \
            return FZ_OK;                                                                          \
        }                                                                                          \
        EACH_STATE(c, sum_state, s->sum += x[i * st]; s->n++;)                                     \
        return FZ_OK;                                                                              \
    }
SUM_UPDATE(sum_i64, int64_t, sum_dense_i64)
SUM_UPDATE(sum_i32, int32_t, sum_dense_i32)

static fz_status sum_dec(const agg_call *c, fz_error *err)
{
    if (c->arg->t.precision <= 18)
        return sum_i64(c, err);
    EACH_STATE(c, sum_state, s->overflow |= __builtin_add_overflow(s->sum, decimal_at(c->arg, i), &s->sum); s->n++;)
    return FZ_OK;
}
static fz_status sum_merge(const agg_expr *e, uint8_t *to, const uint8_t *from, arena *a, fz_error *err)
{
    sum_state *t = (sum_state *)to;
    const sum_state *f = (const sum_state *)from;
    t->overflow |= f->overflow | __builtin_add_overflow(t->sum, f->sum, &t->sum);
    t->n += f->n;
    return FZ_OK;
}
static fz_status sum_finish(const agg_expr *e, const uint8_t *state, vec *out, uint32_t row, fz_error *err)
{
    const sum_state *s = (const sum_state *)state;
    if (s->n == 0) {
        bit_clear(out->valid, row);
        return FZ_OK;
    }
    bool fits = out->t.id == T_DECIMAL ? i128_fits(s->sum, 38) : s->sum == (int64_t)s->sum;
    if (s->overflow || !fits)
        return agg_overflow(e, err);
    if (out->t.id == T_DECIMAL)
        ((i128 *)out->data)[row] = s->sum;
    else
        ((int64_t *)out->data)[row] = (int64_t)s->sum;
    return FZ_OK;
}
static fz_status avg_finish(const agg_expr *e, const uint8_t *state, vec *out, uint32_t row, fz_error *err)
{
    const sum_state *s = (const sum_state *)state;
    if (s->n == 0) {
        bit_clear(out->valid, row);
        return FZ_OK;
    }
    if (out->t.id == T_DECIMAL) {
        unsigned up = (unsigned)out->t.scale - e->arg->t.scale;
        i128 v;
        if (s->overflow || !i128_muldiv(s->sum, pow10_i128[up], s->n, true, &v))
            return agg_overflow(e, err);
        ((i128 *)out->data)[row] = v;
        return FZ_OK;
    }
    /* The whole part and the remainder apart: exact where a double is. */
    i128 q = s->sum / s->n, r = s->sum % s->n;
    ((double *)out->data)[row] = (double)q + (double)r / (double)s->n;
    return FZ_OK;
}

typedef struct fsum_state { double sum; int64_t n; } fsum_state;

#define FSUM(NAME, T)                                                                              \
    static fz_status NAME(const agg_call *c, fz_error *err)                                        \
    {                                                                                              \
        const T *x = c->arg->data;                                                                 \
        uint32_t st = ARG_STRIDE(c->arg);                                                          \
        EACH_STATE(c, fsum_state, s->sum += x[i * st]; s->n++;)                                    \
        return FZ_OK;                                                                              \
    }
FSUM(sum_f32, float)
FSUM(sum_f64, double)
static fz_status fsum_merge(const agg_expr *e, uint8_t *to, const uint8_t *from, arena *a, fz_error *err)
{
    ((fsum_state *)to)->sum += ((const fsum_state *)from)->sum;
    ((fsum_state *)to)->n += ((const fsum_state *)from)->n;
    return FZ_OK;
}
static fz_status fsum_finish(const agg_expr *e, const uint8_t *state, vec *out, uint32_t row, fz_error *err)
{
    const fsum_state *s = (const fsum_state *)state;
    if (s->n == 0)
        bit_clear(out->valid, row);
    ((double *)out->data)[row] = s->n ? s->sum : 0;
    return FZ_OK;
}
static fz_status favg_finish(const agg_expr *e, const uint8_t *state, vec *out, uint32_t row, fz_error *err)
{
    const fsum_state *s = (const fsum_state *)state;
    if (s->n == 0)
        bit_clear(out->valid, row);
    ((double *)out->data)[row] = s->n ? s->sum / (double)s->n : 0;
    return FZ_OK;
}

/* ---- variance: Welford's recurrence, Chan's merge ---- */

typedef struct var_state { double mean, m2; int64_t n, pad; } var_state;

static fz_status var_f64(const agg_call *c, fz_error *err)
{
    const double *x = c->arg->data;
    uint32_t st = ARG_STRIDE(c->arg);
    EACH_STATE(c, var_state, {
        double d = x[i * st] - s->mean;
        s->n++;
        s->mean += d / (double)s->n;
        s->m2 += d * (x[i * st] - s->mean);
    })
    return FZ_OK;
}
static fz_status var_merge(const agg_expr *e, uint8_t *to, const uint8_t *from, arena *a, fz_error *err)
{
    var_state *t = (var_state *)to;
    const var_state *f = (const var_state *)from;
    if (f->n == 0)
        return FZ_OK;
    double n = (double)(t->n + f->n), d = f->mean - t->mean;
    t->m2 += f->m2 + d * d * (double)t->n * (double)f->n / n;
    t->mean += d * (double)f->n / n;
    t->n += f->n;
    return FZ_OK;
}
static void var_put(const uint8_t *state, vec *out, uint32_t row, bool sample, bool root)
{
    const var_state *s = (const var_state *)state;
    int64_t n = s->n - sample;
    ((double *)out->data)[row] = 0;
    if (n <= 0) {
        bit_clear(out->valid, row);
        return;
    }
    double v = s->m2 / (double)n;
    ((double *)out->data)[row] = root ? sqrt(v) : v;
}
#define VAR_FINISH(NAME, SAMPLE, ROOT)                                                             \
    static fz_status NAME(const agg_expr *e, const uint8_t *s, vec *out, uint32_t row, fz_error *err) \
    {                                                                                              \
        var_put(s, out, row, SAMPLE, ROOT);                                                        \
        return FZ_OK;                                                                              \
    }
VAR_FINISH(var_samp, true, false)
VAR_FINISH(var_pop, false, false)
VAR_FINISH(stddev_samp, true, true)
VAR_FINISH(stddev_pop, false, true)

/* ---- min, max, any_value, bool_and, bool_or: one value ---- */

typedef struct value_state {
    union { i128 w; int64_t i; double f; uint8_t b; strview s; };
    uint32_t has, cap;  /* cap: bytes that s.ptr has room for */
    uint64_t pad;
} value_state;

#define BETTER_ANY(a, b) 0
#define BETTER_MIN(a, b) ((a) < (b))
#define BETTER_MAX(a, b) ((a) > (b))
#define BETTER_MIN_F(a, b) (f64_cmp(a, b) < 0)
#define BETTER_MAX_F(a, b) (f64_cmp(a, b) > 0)

#define VALUE_LOOP(T, FIELD, BETTER)                                                               \
    {                                                                                              \
        const T *x = c->arg->data;                                                                 \
        uint32_t st = ARG_STRIDE(c->arg);                                                          \
        EACH_STATE(c, value_state, {                                                               \
            if (!s->has || BETTER(x[i * st], s->FIELD)) {                                          \
                s->FIELD = x[i * st];                                                              \
                s->has = 1;                                                                        \
            }                                                                                      \
        })                                                                                         \
        return FZ_OK;                                                                              \
    }

/* One group, no nulls, no selection: a plain reduction. */
#define RANGE_FN(NAME, T, OP)                                                                      \
    static HOT T NAME(const T *x, uint32_t n)                                                      \
    {                                                                                              \
        T best = x[0];                                                                             \
        for (uint32_t i = 1; i < n; i++)                                                           \
            best = x[i] OP best ? x[i] : best;                                                     \
        return best;                                                                               \
    }
RANGE_FN(range_min_i32, int32_t, <)
RANGE_FN(range_max_i32, int32_t, >)
RANGE_FN(range_min_i64, int64_t, <)
RANGE_FN(range_max_i64, int64_t, >)

static bool is_range(const agg_call *c)
{
    return !c->groups && !c->rows && !c->arg->valid && c->arg->enc == VEC_FLAT && c->n > 0;
}

static fz_status text_keep(value_state *s, const strview *v, arena *a, fz_error *err)
{
    s->has = 1;
    if (v->len <= 12) {
        s->s = *v; /* the room is given up */
        s->cap = 0;
        return FZ_OK;
    }
    char *p = s->cap >= v->len ? (char *)s->s.ptr : NULL;
    if (!p) {
        uint32_t cap = v->len < 1u << 30 ? v->len * 2 : v->len;
        p = arena_alloc(a, cap);
        if (!p)
            return error_nomem(err);
        s->cap = cap;
    }
    memcpy(p, v->ptr, v->len);
    s->s = strview_make(p, v->len);
    return FZ_OK;
}
#define TEXT_LOOP(COND)                                                                            \
    {                                                                                              \
        const strview *x = c->arg->data;                                                           \
        uint32_t st = ARG_STRIDE(c->arg);                                                          \
        EACH_STATE(c, value_state, {                                                               \
            if (!s->has || (COND))                                                                 \
                TRY(text_keep(s, &x[i * st], c->a, err));                                          \
        })                                                                                         \
        return FZ_OK;                                                                              \
    }

#define VALUE_UPDATE(NAME, LT, LTF, TEXT, RANGE32, RANGE64)                                        \
    static fz_status NAME(const agg_call *c, fz_error *err)                                        \
    {                                                                                              \
        switch (type_phys(c->arg->t)) {                                                            \
        case PHYS_U8: VALUE_LOOP(uint8_t, b, LT)                                                   \
        case PHYS_I32: {                                                                           \
            RANGE32                                                                                \
            VALUE_LOOP(int32_t, i, LT)                                                             \
        }                                                                                          \
        case PHYS_I64: {                                                                           \
            RANGE64                                                                                \
            VALUE_LOOP(int64_t, i, LT)                                                             \
        }                                                                                          \
        case PHYS_I128: VALUE_LOOP(i128, w, LT)                                                    \
        case PHYS_F32: VALUE_LOOP(float, f, LTF)                                                   \
        case PHYS_F64: VALUE_LOOP(double, f, LTF)                                                  \
        case PHYS_STR: TEXT_LOOP(TEXT)                                                             \
        default: return FZ_OK;                                                                     \
        }                                                                                          \
    }
#define RANGE(T, FN, OP)                                                                           \
    if (is_range(c)) {                                                                             \
        value_state *s = (value_state *)(c->one + c->off);                                         \
        int64_t v = FN((const T *)c->arg->data + c->first, c->n);                                  \
        if (!s->has || v OP s->i)                                                                  \
            s->i = v;                                                                              \
        s->has = 1;                                                                                \
        return FZ_OK;                                                                              \
    }
VALUE_UPDATE(min_update, BETTER_MIN, BETTER_MIN_F, strview_cmp(&x[i * st], &s->s) < 0,
             RANGE(int32_t, range_min_i32, <), RANGE(int64_t, range_min_i64, <))
VALUE_UPDATE(max_update, BETTER_MAX, BETTER_MAX_F, strview_cmp(&x[i * st], &s->s) > 0,
             RANGE(int32_t, range_max_i32, >), RANGE(int64_t, range_max_i64, >))
VALUE_UPDATE(any_update, BETTER_ANY, BETTER_ANY, 0, , )

static int value_cmp(phys p, const value_state *a, const value_state *b)
{
    switch (p) {
    case PHYS_U8: return (a->b > b->b) - (a->b < b->b);
    case PHYS_I32:
    case PHYS_I64: return (a->i > b->i) - (a->i < b->i);
    case PHYS_I128: return (a->w > b->w) - (a->w < b->w);
    case PHYS_F32:
    case PHYS_F64: return f64_cmp(a->f, b->f);
    case PHYS_STR: return strview_cmp(&a->s, &b->s);
    default: return 0;
    }
}
static fz_status value_merge(const agg_expr *e, int sign, uint8_t *to, const uint8_t *from, arena *a, fz_error *err)
{
    value_state *t = (value_state *)to;
    const value_state *f = (const value_state *)from;
    phys p = type_phys(e->arg->t);
    if (!f->has || (t->has && value_cmp(p, f, t) * sign <= 0))
        return FZ_OK;
    if (p == PHYS_STR)
        return text_keep(t, &f->s, a, err);
    *t = *f;
    return FZ_OK;
}
static fz_status min_merge(const agg_expr *e, uint8_t *to, const uint8_t *from, arena *a, fz_error *err) { return value_merge(e, -1, to, from, a, err); }
static fz_status max_merge(const agg_expr *e, uint8_t *to, const uint8_t *from, arena *a, fz_error *err) { return value_merge(e, 1, to, from, a, err); }
static fz_status any_merge(const agg_expr *e, uint8_t *to, const uint8_t *from, arena *a, fz_error *err) { return value_merge(e, 0, to, from, a, err); }

static fz_status value_finish(const agg_expr *e, const uint8_t *state, vec *out, uint32_t row, fz_error *err)
{
    const value_state *s = (const value_state *)state;
    if (!s->has)
        bit_clear(out->valid, row);
    switch (type_phys(out->t)) {
    case PHYS_U8: ((uint8_t *)out->data)[row] = s->b; break;
    case PHYS_I32: ((int32_t *)out->data)[row] = (int32_t)s->i; break;
    case PHYS_I64: ((int64_t *)out->data)[row] = s->i; break;
    case PHYS_I128: ((i128 *)out->data)[row] = s->w; break;
    case PHYS_F32: ((float *)out->data)[row] = (float)s->f; break;
    case PHYS_F64: ((double *)out->data)[row] = s->f; break;
    case PHYS_STR: ((strview *)out->data)[row] = s->s; break;
    default: break;
    }
    return FZ_OK;
}

/* ---- the table ---- */

#define COUNT(ARG) {"count", ARG, T_INT64, 16, count_update, count_merge, count_finish, false}
#define ONE(NAME, ARG, RES, U, M) {NAME, ARG, RES, 32, U##_update, M##_merge, value_finish, true}
#define VAR(NAME, F) {NAME, T_FLOAT64, T_FLOAT64, 32, var_f64, var_merge, F, false}
static const agg_func aggs[] = {
    COUNT(ANY_TYPE),
    {"sum", T_INT32, T_INT64, 32, sum_i32, sum_merge, sum_finish, false},
    {"sum", T_INT64, T_INT64, 32, sum_i64, sum_merge, sum_finish, false},
    {"sum", T_DECIMAL, AGG_SUM_DEC, 32, sum_dec, sum_merge, sum_finish, false},
    {"sum", T_FLOAT32, T_FLOAT64, 16, sum_f32, fsum_merge, fsum_finish, false},
    {"sum", T_FLOAT64, T_FLOAT64, 16, sum_f64, fsum_merge, fsum_finish, false},
    {"avg", T_INT32, T_FLOAT64, 32, sum_i32, sum_merge, avg_finish, false},
    {"avg", T_INT64, T_FLOAT64, 32, sum_i64, sum_merge, avg_finish, false},
    {"avg", T_DECIMAL, AGG_AVG_DEC, 32, sum_dec, sum_merge, avg_finish, false},
    {"avg", T_FLOAT32, T_FLOAT64, 16, sum_f32, fsum_merge, favg_finish, false},
    {"avg", T_FLOAT64, T_FLOAT64, 16, sum_f64, fsum_merge, favg_finish, false},
    ONE("min", ANY_TYPE, SAME_AS_0, min, min), ONE("max", ANY_TYPE, SAME_AS_0, max, max),
    ONE("any_value", ANY_TYPE, SAME_AS_0, any, any), ONE("first", ANY_TYPE, SAME_AS_0, any, any),
    ONE("bool_and", T_BOOL, T_BOOL, min, min), ONE("every", T_BOOL, T_BOOL, min, min), ONE("bool_or", T_BOOL, T_BOOL, max, max),
    VAR("var_samp", var_samp), VAR("variance", var_samp), VAR("var_pop", var_pop),
    VAR("stddev_samp", stddev_samp), VAR("stddev", stddev_samp), VAR("stddev_pop", stddev_pop),
};
#define NAGGS (sizeof aggs / sizeof *aggs)

bool agg_exists(str name)
{
    for (size_t i = 0; i < NAGGS; i++)
        if (str_eqz(name, aggs[i].name))
            return true;
    return false;
}

static bool agg_takes(const agg_func *f, type arg)
{
    return f->arg == ANY_TYPE || f->arg == arg.id || (f->arg == T_FLOAT64 && type_is_numeric(arg)) ||
           (arg.id == T_NULL && f->arg != T_DECIMAL);
}

fz_status agg_resolve(str name, uint32_t n, type arg, agg_match *out, fz_error *err)
{
    memset(out, 0, sizeof *out);
    for (size_t i = 0; i < NAGGS; i++) {
        const agg_func *f = &aggs[i];
        if (!str_eqz(name, f->name))
            continue;
        if (n == 0 && f->update == count_update) {
            *out = (agg_match){f, TYPE(T_INT64), TYPE(T_NULL)};
            return FZ_OK;
        }
        if (n != 1 || !agg_takes(f, arg) || (type_is_nested(arg) && f->update != count_update))
            continue;
        out->fn = f;
        out->arg = f->arg == ANY_TYPE || f->arg == T_DECIMAL ? arg : TYPE(f->arg);
        if (f->arg == ANY_TYPE && arg.id == T_NULL)
            out->arg = TYPE(T_STRING);
        out->result = f->result == SAME_AS_0 ? out->arg
                    : f->result == AGG_SUM_DEC ? TYPE_DECIMAL(38, arg.scale)
                    : f->result == AGG_AVG_DEC ? TYPE_DECIMAL(38, arg.scale > 6 ? arg.scale : 6) : TYPE(f->result);
        return FZ_OK;
    }
    sbuf b;
    sbuf_init(&b, NULL);
    if (n)
        type_sql_name(arg, &b);
    fz_status st = error_sql(err, FZ_NOT_FOUND, "42883", n > 1 ? "the aggregate " STR_FMT " takes one argument" : "there is no aggregate " STR_FMT "(%s)",
                             STR_ARG(name), b.p ? b.p : "");
    sbuf_free(&b);
    return st;
}
