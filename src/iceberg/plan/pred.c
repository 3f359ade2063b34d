/*
 * pred.c: predicates evaluated against what is known of a set of rows.
 *
 * A leaf's outcomes come from three kinds of rows that the set can have, each of which may be
 * ruled out: nulls (outcome unknown), NaN (compares as the greatest number), and other values,
 * which lie between the bounds. AND, OR and NOT combine sets of outcomes. They treat their
 * operands as independent, so a set can be larger than the truth and never smaller.
 *
 * Recursion follows the predicate's depth, up to MAX_DEPTH; what is below can have any outcome.
 */
#include "iceberg/plan/plan_int.h"

#include <math.h>
#include <stdlib.h>

#define MAX_DEPTH 256

/* ---- makers ---- */

static ib_pred *new_pred(arena *a, ib_pred_kind kind, int32_t field_id)
{
    ib_pred *p = ARENA_NEW(a, ib_pred);
    if (p) {
        p->kind = kind;
        p->field_id = field_id;
    }
    return p;
}

const ib_pred *ib_pred_const(arena *a, ib_pred_kind kind)
{
    return new_pred(a, kind, -1);
}

static const ib_pred *join(arena *a, ib_pred_kind kind, const ib_pred *x, const ib_pred *y)
{
    if (!x || !y)
        return x ? x : y;
    uint32_t nx = x->kind == kind ? x->n : 1, ny = y->kind == kind ? y->n : 1;
    ib_pred *p = new_pred(a, kind, -1);
    const ib_pred **c = ARENA_ARRAY(a, const ib_pred *, nx + ny);
    if (!p || !c)
        return NULL;
    memcpy(c, x->kind == kind ? (const void *)x->children : &x, nx * sizeof *c);
    memcpy(c + nx, y->kind == kind ? (const void *)y->children : &y, ny * sizeof *c);
    p->n = nx + ny;
    p->children = c;
    return p;
}

const ib_pred *ib_pred_and(arena *a, const ib_pred *x, const ib_pred *y) { return join(a, IB_PRED_AND, x, y); }
const ib_pred *ib_pred_or(arena *a, const ib_pred *x, const ib_pred *y) { return join(a, IB_PRED_OR, x, y); }

const ib_pred *ib_pred_not(arena *a, const ib_pred *x)
{
    ib_pred *p = new_pred(a, IB_PRED_NOT, -1);
    const ib_pred **c = ARENA_NEW(a, const ib_pred *);
    if (!x || !p || !c)
        return NULL;
    *c = x;
    p->n = 1;
    p->children = c;
    return p;
}

const ib_pred *ib_pred_cmp(arena *a, ib_pred_kind kind, int32_t field_id, const datum *value)
{
    if (value->null)
        return ib_pred_const(a, IB_PRED_NULL);
    ib_pred *p = new_pred(a, kind, field_id);
    datum *v = ARENA_NEW(a, datum);
    if (!p || !v)
        return NULL;
    *v = *value;
    p->n = 1;
    p->values = v;
    return p;
}

static int by_value(const void *x, const void *y)
{
    return datum_cmp(x, y);
}

const ib_pred *ib_pred_in(arena *a, int32_t field_id, uint32_t n, const datum *values)
{
    ib_pred *p = new_pred(a, IB_PRED_IN, field_id);
    datum *v = ARENA_ARRAY(a, datum, n + 1);
    if (!p || !v)
        return NULL;
    bool null = false;
    for (uint32_t i = 0; i < n; i++) {
        if (values[i].null)
            null = true;
        else if (p->n && !type_eq(values[i].t, v[0].t))
            return ib_pred_const(a, IB_PRED_UNKNOWN); /* values of several types have no one order */
        else
            v[p->n++] = values[i];
    }
    qsort(v, p->n, sizeof *v, by_value);
    p->values = v;
    return null ? ib_pred_or(a, p, ib_pred_const(a, IB_PRED_NULL)) : p;
}

const ib_pred *ib_pred_test(arena *a, ib_pred_kind kind, int32_t field_id)
{
    return new_pred(a, kind, field_id);
}

/* ---- comparing values of types that compare ---- */

static bool is_float(const datum *d) { return d->t.id == T_FLOAT32 || d->t.id == T_FLOAT64; }
static bool is_int(const datum *d) { return d->t.id == T_INT32 || d->t.id == T_INT64; }
static int64_t int_of(const datum *d) { return type_phys(d->t) == PHYS_I32 ? d->i32 : d->i64; }
static double float_of(const datum *d) { return d->t.id == T_FLOAT32 ? (double)d->f32 : d->f64; }
static bool is_nan(const datum *d) { return is_float(d) && isnan(float_of(d)); }

/* The unscaled value of an integer or decimal. */
static i128 unscaled(const datum *d)
{
    return type_phys(d->t) == PHYS_I128 ? d->i128v : int_of(d);
}

static bool rescale(i128 *v, int by)
{
    while (by-- > 0)
        if (__builtin_mul_overflow(*v, (i128)10, v))
            return false;
    return true;
}

/* Whether a and b compare, and how: *c < 0, 0, > 0. */
static bool compare(const datum *a, const datum *b, int *c)
{
    if (type_eq(a->t, b->t)) {
        *c = datum_cmp(a, b);
        return true;
    }
    bool exact_a = is_int(a) || a->t.id == T_DECIMAL, exact_b = is_int(b) || b->t.id == T_DECIMAL;
    if (exact_a && exact_b) {
        i128 x = unscaled(a), y = unscaled(b);
        if (!rescale(&x, b->t.scale - a->t.scale) || !rescale(&y, a->t.scale - b->t.scale))
            return false;
        *c = x < y ? -1 : x > y;
        return true;
    }
    const int64_t exact = 1ll << 53; /* integers that doubles hold */
    if ((is_float(a) || (is_int(a) && int_of(a) <= exact && int_of(a) >= -exact)) &&
        (is_float(b) || (is_int(b) && int_of(b) <= exact && int_of(b) >= -exact))) {
        datum x = {.t = TYPE(T_FLOAT64), .f64 = is_float(a) ? float_of(a) : (double)int_of(a)};
        datum y = {.t = TYPE(T_FLOAT64), .f64 = is_float(b) ? float_of(b) : (double)int_of(b)};
        *c = datum_cmp(&x, &y);
        return true;
    }
    if (type_phys(a->t) == PHYS_STR && type_phys(b->t) == PHYS_STR) {
        *c = str_cmp(a->s, b->s);
        return true;
    }
    return false;
}

/* ---- leaves ---- */

enum { T = IB_CAN_TRUE, F = IB_CAN_FALSE, N = IB_CAN_NULL };

static unsigned negate(unsigned o)
{
    return (o & N) | (o & T ? F : 0) | (o & F ? T : 0);
}

/* What is known of the values that are neither null nor NaN, relative to a constant. */
typedef struct range {
    bool has_lower, has_upper;
    int lower, upper;        /* the bounds compared with the constant */
} range;

static bool range_of(const ib_bounds *b, const datum *c, range *r)
{
    *r = (range){.has_lower = b->has_lower, .has_upper = b->has_upper};
    if (is_nan(c)) { /* every such value is less */
        *r = (range){.has_lower = true, .has_upper = true, .lower = -1, .upper = -1};
        return true;
    }
    return !(b->has_lower && !compare(&b->lower, c, &r->lower)) &&
           !(b->has_upper && !compare(&b->upper, c, &r->upper));
}

static unsigned less(const range *r)
{
    return (r->has_lower && r->lower >= 0 ? 0 : T) | (r->has_upper && r->upper < 0 ? 0 : F);
}

static unsigned less_or_equal(const range *r)
{
    return (r->has_lower && r->lower > 0 ? 0 : T) | (r->has_upper && r->upper <= 0 ? 0 : F);
}

static unsigned equal(const range *r)
{
    bool outside = (r->has_lower && r->lower > 0) || (r->has_upper && r->upper < 0);
    bool only = r->has_lower && r->has_upper && r->lower == 0 && r->upper == 0;
    return (outside ? 0 : T) | (only ? 0 : F);
}

static unsigned in_list(const ib_pred *p, const ib_bounds *b)
{
    uint32_t lo = 0, hi = p->n; /* the first value that is not below the lower bound */
    int c;
    while (b->has_lower && lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (!compare(&p->values[mid], &b->lower, &c))
            return T | F;
        if (c < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    if (lo == p->n || is_nan(&p->values[lo]))
        return F;
    range r;
    return range_of(b, &p->values[lo], &r) ? equal(&r) : T | F;
}

/* Compares s with text that begins with `prefix`: < 0 before all of it, > 0 after all of it, 0 among it. */
static int prefix_cmp(str s, str prefix)
{
    if (s.n > prefix.n)
        s.n = prefix.n;
    return str_cmp(s, prefix);
}

static unsigned starts_with(const ib_pred *p, const ib_bounds *b)
{
    str prefix = p->values[0].s;
    if (p->values[0].t.id != T_STRING || (b->has_lower && b->lower.t.id != T_STRING) ||
        (b->has_upper && b->upper.t.id != T_STRING))
        return T | F;
    int lower = b->has_lower ? prefix_cmp(b->lower.s, prefix) : -1;
    int upper = b->has_upper ? prefix_cmp(b->upper.s, prefix) : 1;
    return (lower > 0 || upper < 0 ? 0 : T) | (lower == 0 && upper == 0 ? 0 : F);
}

/* Outcomes of values that are neither null nor NaN. */
static unsigned of_values(const ib_pred *p, const ib_bounds *b)
{
    range r;
    switch (p->kind) {
    case IB_PRED_IN:
        return in_list(p, b);
    case IB_PRED_STARTS_WITH:
        return starts_with(p, b);
    case IB_PRED_IS_NULL:
    case IB_PRED_IS_NAN:
        return F;
    case IB_PRED_NOT_NULL:
        return T;
    default:
        if (!range_of(b, &p->values[0], &r))
            return T | F;
    }
    switch (p->kind) {
    case IB_PRED_LT: return less(&r);
    case IB_PRED_LE: return less_or_equal(&r);
    case IB_PRED_GT: return negate(less_or_equal(&r));
    case IB_PRED_GE: return negate(less(&r));
    case IB_PRED_EQ: return equal(&r);
    default: return negate(equal(&r));
    }
}

/* Outcomes of a NaN: greater than every other number. */
static unsigned of_nan(const ib_pred *p)
{
    bool same = p->n > 0 && p->values && is_nan(&p->values[p->n - 1]);
    switch (p->kind) {
    case IB_PRED_LT: return F;
    case IB_PRED_LE: return same ? T : F;
    case IB_PRED_GT: return same ? F : T;
    case IB_PRED_GE: return T;
    case IB_PRED_EQ:
    case IB_PRED_IN: return same ? T : F;
    case IB_PRED_NE: return same ? F : T;
    case IB_PRED_IS_NAN:
    case IB_PRED_NOT_NULL: return T;
    default: return F;
    }
}

/* Drops bounds that can't be: NaN, and a lower one above the upper one. */
static void mend(ib_bounds *b)
{
    int c;
    if (b->has_lower && is_nan(&b->lower))
        b->has_lower = false;
    if (b->has_upper && is_nan(&b->upper))
        b->has_upper = false;
    if (b->has_lower && b->has_upper && (!compare(&b->lower, &b->upper, &c) || c > 0))
        b->has_lower = b->has_upper = false;
}

unsigned pred_leaf(const ib_pred *p, const ib_bounds *known)
{
    ib_bounds b = *known;
    mend(&b);
    if (b.rows == 0)
        return 0;
    bool floats = (b.has_lower && is_float(&b.lower)) || (b.has_upper && is_float(&b.upper)) ||
                  (p->values && p->n && is_float(&p->values[0])) || p->kind == IB_PRED_IS_NAN || b.nans > 0;
    int64_t nans = floats ? b.nans : 0;
    unsigned out = 0;
    if (b.nulls != 0)
        out |= p->kind == IB_PRED_IS_NULL ? T : p->kind == IB_PRED_NOT_NULL ? F : N;
    if (nans != 0 && !(b.rows > 0 && b.nulls >= b.rows))
        out |= of_nan(p);
    bool values = !(b.rows > 0 && b.nulls >= 0 && (b.nulls >= b.rows || (nans > 0 && nans >= b.rows - b.nulls)));
    if (values)
        out |= of_values(p, &b);
    return out;
}

/* ---- trees ---- */

static unsigned outcomes(const ib_pred *p, pred_leaf_fn leaf, void *ctx, int depth)
{
    if (depth > MAX_DEPTH)
        return IB_CAN_ANY;
    switch (p->kind) {
    case IB_PRED_TRUE: return T;
    case IB_PRED_FALSE: return F;
    case IB_PRED_NULL: return N;
    case IB_PRED_UNKNOWN: return IB_CAN_ANY;
    case IB_PRED_NOT: return negate(outcomes(p->children[0], leaf, ctx, depth + 1));
    case IB_PRED_AND:
    case IB_PRED_OR: {
        /* OR is AND of the negations, negated */
        bool or = p->kind == IB_PRED_OR;
        unsigned x = T;
        for (uint32_t i = 0; i < p->n; i++) {
            unsigned y = outcomes(p->children[i], leaf, ctx, depth + 1);
            y = or ? negate(y) : y;
            x = ((x & T && y & T) ? T : 0) | ((x & F && y) || (y & F && x) ? F : 0) |
                ((x & N && y & (T | N)) || (y & N && x & (T | N)) ? N : 0);
            if (x == F)
                break;
        }
        return or ? negate(x) : x;
    }
    default: return leaf(ctx, p);
    }
}

unsigned pred_tree(const ib_pred *p, pred_leaf_fn leaf, void *ctx)
{
    return outcomes(p, leaf, ctx, 0);
}

typedef struct by_bounds { ib_bounds_fn fn; void *ctx; } by_bounds;

static unsigned bounds_leaf(void *ctx, const ib_pred *p)
{
    const by_bounds *x = ctx;
    ib_bounds b = {.rows = -1, .nulls = -1, .nans = -1};
    return x->fn(x->ctx, p->field_id, &b) ? pred_leaf(p, &b) : IB_CAN_ANY;
}

unsigned ib_pred_outcomes(const ib_pred *p, ib_bounds_fn fn, void *ctx)
{
    by_bounds x = {fn, ctx};
    return pred_tree(p, bounds_leaf, &x);
}

ib_match pred_match(unsigned o)
{
    return !(o & T) ? IB_MATCH_NONE : o == T ? IB_MATCH_ALL : IB_MATCH_SOME;
}

ib_match ib_pred_eval(const ib_pred *p, ib_bounds_fn fn, void *ctx)
{
    return p ? pred_match(ib_pred_outcomes(p, fn, ctx)) : IB_MATCH_ALL;
}

typedef struct by_value { ib_value_fn fn; void *ctx; } by_value_ctx;

static unsigned value_leaf(void *ctx, const ib_pred *p)
{
    const by_value_ctx *x = ctx;
    datum v = {0};
    ib_bounds b = {.rows = 1};
    if (!x->fn(x->ctx, p->field_id, &v) || v.null)
        b.nulls = 1;
    else if (is_nan(&v))
        b.nans = 1;
    else
        b = (ib_bounds){.rows = 1, .has_lower = true, .has_upper = true, .lower = v, .upper = v};
    return pred_leaf(p, &b);
}

bool ib_pred_row(const ib_pred *p, ib_value_fn fn, void *ctx)
{
    by_value_ctx x = {fn, ctx};
    return !p || pred_tree(p, value_leaf, &x) == T;
}
