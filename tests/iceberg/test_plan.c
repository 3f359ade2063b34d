/*
 * test_plan.c: predicates. Random trees over random rows: what evaluation says of a set of rows must never leave out an outcome that a
 * row has, where the outcomes come from an evaluator of its own here, row by row in three-valued logic.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "iceberg/plan/plan.h"

#include <math.h>

static arena mem_;
static uint64_t seed = 88172645463325252u;

static uint32_t rnd(uint32_t n)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (uint32_t)(seed >> 33) % n;
}

/* ---- an evaluator for one row of two columns: 1 an integer, 2 a double, 3 text ---- */

typedef struct row { datum v[4]; } row;
enum { NO, YES, NULLY };

static int order(const datum *a, const datum *b)
{
    if (a->t.id == T_STRING) {
        size_t n = a->s.n < b->s.n ? a->s.n : b->s.n;
        int c = n ? memcmp(a->s.p, b->s.p, n) : 0;
        return c ? c : a->s.n < b->s.n ? -1 : a->s.n > b->s.n;
    }
    double x = a->t.id == T_FLOAT64 ? a->f64 : (double)a->i64, y = b->t.id == T_FLOAT64 ? b->f64 : (double)b->i64;
    if (isnan(x) || isnan(y))
        return isnan(x) - isnan(y);
    return x < y ? -1 : x > y;
}

static int eval_leaf(const ib_pred *p, const datum *v)
{
    if (p->kind == IB_PRED_IS_NULL)
        return v->null;
    if (p->kind == IB_PRED_NOT_NULL)
        return !v->null;
    if (v->null)
        return NULLY;
    switch (p->kind) {
    case IB_PRED_LT: return order(v, &p->values[0]) < 0;
    case IB_PRED_LE: return order(v, &p->values[0]) <= 0;
    case IB_PRED_GT: return order(v, &p->values[0]) > 0;
    case IB_PRED_GE: return order(v, &p->values[0]) >= 0;
    case IB_PRED_EQ: return order(v, &p->values[0]) == 0;
    case IB_PRED_NE: return order(v, &p->values[0]) != 0;
    case IB_PRED_IS_NAN: return v->t.id == T_FLOAT64 && isnan(v->f64);
    case IB_PRED_STARTS_WITH:
        return v->s.n >= p->values[0].s.n && memcmp(v->s.p, p->values[0].s.p, p->values[0].s.n) == 0;
    default:
        for (uint32_t i = 0; i < p->n; i++)
            if (order(v, &p->values[i]) == 0)
                return YES;
        return NO;
    }
}

static int eval(const ib_pred *p, const row *r)
{
    switch (p->kind) {
    case IB_PRED_TRUE: return YES;
    case IB_PRED_FALSE: return NO;
    case IB_PRED_NULL: return NULLY;
    case IB_PRED_NOT: {
        int x = eval(p->children[0], r);
        return x == NULLY ? NULLY : !x;
    }
    case IB_PRED_AND:
    case IB_PRED_OR: {
        int absorbing = p->kind == IB_PRED_OR, out = !absorbing;
        for (uint32_t i = 0; i < p->n; i++) {
            int x = eval(p->children[i], r);
            if (x == absorbing)
                return absorbing;
            if (x == NULLY)
                out = NULLY;
        }
        return out;
    }
    default: return eval_leaf(p, &r->v[p->field_id]);
    }
}

/* ---- random rows, bounds, predicates ---- */

static str texts[] = {{"", 0}, {"a", 1}, {"ab", 2}, {"abc", 3}, {"abd", 3}, {"b", 1}, {"\xc3\xa9", 2}};

static datum value(int column)
{
    switch (column) {
    case 1: return (datum){.t = TYPE(T_INT64), .i64 = (int64_t)rnd(9) - 4};
    case 2: return (datum){.t = TYPE(T_FLOAT64), .f64 = rnd(5) == 0 ? (double)NAN : (double)rnd(9) / 2 - 2};
    default: return (datum){.t = TYPE(T_STRING), .s = texts[rnd(7)]};
    }
}

static const ib_pred *random_pred(int depth)
{
    if (depth > 0 && rnd(3)) {
        const ib_pred *x = random_pred(depth - 1);
        switch (rnd(3)) {
        case 0: return ib_pred_not(&mem_, x);
        case 1: return ib_pred_and(&mem_, x, random_pred(depth - 1));
        default: return ib_pred_or(&mem_, x, random_pred(depth - 1));
        }
    }
    int column = 1 + (int)rnd(3);
    datum v[4] = {value(column), value(column), value(column), DATUM_NULL(value(column).t)};
    switch (rnd(12)) {
    case 0: return ib_pred_test(&mem_, IB_PRED_IS_NULL, column);
    case 1: return ib_pred_test(&mem_, IB_PRED_NOT_NULL, column);
    case 2: return column == 2 ? ib_pred_test(&mem_, IB_PRED_IS_NAN, 2) : ib_pred_const(&mem_, IB_PRED_TRUE);
    case 3: return ib_pred_in(&mem_, column, 3 + rnd(2), v);
    case 4: return column == 3 ? ib_pred_cmp(&mem_, IB_PRED_STARTS_WITH, 3, v) : ib_pred_const(&mem_, IB_PRED_NULL);
    default: return ib_pred_cmp(&mem_, (ib_pred_kind)(IB_PRED_LT + rnd(6)), column, v);
    }
}

typedef struct table { ib_bounds b[4]; bool known[4]; } table;

static void bounds_of(const row *rows, int n, int column, table *t)
{
    ib_bounds *b = &t->b[column];
    *b = (ib_bounds){.rows = n};
    for (int i = 0; i < n; i++) {
        const datum *v = &rows[i].v[column];
        if (v->null) {
            b->nulls++;
        } else if (v->t.id == T_FLOAT64 && isnan(v->f64)) {
            b->nans++;
        } else {
            if (!b->has_lower || order(v, &b->lower) < 0)
                b->lower = *v;
            if (!b->has_upper || order(v, &b->upper) > 0)
                b->upper = *v;
            b->has_lower = b->has_upper = true;
        }
    }
    t->known[column] = rnd(8) != 0; /* what isn't known must not matter */
    if (rnd(4) == 0)
        b->has_lower = false;
    if (rnd(4) == 0)
        b->has_upper = false;
    if (rnd(4) == 0)
        b->nulls = -1;
    if (rnd(3) == 0)
        b->nans = -1;
    if (rnd(6) == 0)
        b->rows = -1;
    if (column == 1 && b->has_lower && rnd(4) == 0) /* a bound that no row reaches */
        b->lower.i64 -= 2;
    if (column == 3 && b->has_upper && rnd(4) == 0)
        b->upper.s = STR("\xf0\x9f\xa7\x8a");
}

static bool get_bounds(void *ctx, int32_t id, ib_bounds *out)
{
    const table *t = ctx;
    *out = t->b[id];
    return t->known[id];
}

static bool get_value(void *ctx, int32_t id, datum *out)
{
    *out = ((const row *)ctx)->v[id];
    return true;
}

static void random_trees(void **state)
{
    (void)state;
    int none = 0, all = 0;
    for (int round = 0; round < 60000; round++) {
        row rows[5];
        table t;
        int n = 1 + (int)rnd(4), few = (int)rnd(3);
        for (int i = 0; i < n; i++)
            for (int c = 1; c <= 3; c++) {
                rows[i].v[c] = value(c);
                rows[i].v[c].null = rnd(few + 2u) == 0;
                if (i && few == 2 && rnd(2))
                    rows[i].v[c] = rows[0].v[c];
            }
        for (int c = 1; c <= 3; c++)
            bounds_of(rows, n, c, &t);
        arena_reset(&mem_);
        const ib_pred *p = random_pred(3);
        unsigned says = ib_pred_outcomes(p, get_bounds, &t);
        for (int i = 0; i < n; i++) {
            int truth = eval(p, &rows[i]);
            assert_true(says & (truth == YES ? IB_CAN_TRUE : truth == NO ? IB_CAN_FALSE : IB_CAN_NULL));
            assert_int_equal(ib_pred_row(p, get_value, &rows[i]), truth == YES);
        }
        none += !(says & IB_CAN_TRUE);
        all += says == IB_CAN_TRUE;
    }
    assert_in_range(none, 3000, 60000); /* it does conclude something */
    assert_in_range(all, 1500, 60000);
}

/* ---- single cases ---- */

static ib_match test(const ib_pred *p, ib_bounds b)
{
    table t = {.b = {{0}, b, b, b}, .known = {false, true, true, true}};
    return ib_pred_eval(p, get_bounds, &t);
}

#define I(x) ((datum){.t = TYPE(T_INT64), .i64 = (x)})
#define I32(x) ((datum){.t = TYPE(T_INT32), .i32 = (x)})
#define D(x) ((datum){.t = TYPE(T_FLOAT64), .f64 = (x)})
#define DEC(x, s) ((datum){.t = TYPE_DECIMAL(9, s), .i64 = (x)})
#define S(x) ((datum){.t = TYPE(T_STRING), .s = STR(x)})
#define CMP(k, c, ...) ib_pred_cmp(&mem_, k, c, &(datum[]){__VA_ARGS__}[0])
#define BETWEEN(lo, hi) ((ib_bounds){.rows = 10, .nulls = 0, .nans = 0, .has_lower = true, .has_upper = true, .lower = lo, .upper = hi})

static void nan_and_null(void **state)
{
    (void)state;
    ib_bounds b = BETWEEN(D(1), D(5));
    assert_int_equal(test(CMP(IB_PRED_LE, 2, D(5)), b), IB_MATCH_ALL);
    assert_int_equal(test(CMP(IB_PRED_GT, 2, D(5)), b), IB_MATCH_NONE);
    b.nans = -1; /* an unknown NaN is greater than 5 */
    assert_int_equal(test(CMP(IB_PRED_LE, 2, D(5)), b), IB_MATCH_SOME);
    assert_int_equal(test(CMP(IB_PRED_GT, 2, D(5)), b), IB_MATCH_SOME);
    assert_int_equal(test(CMP(IB_PRED_EQ, 2, D(NAN)), b), IB_MATCH_SOME);
    assert_int_equal(test(CMP(IB_PRED_LT, 2, D(NAN)), b), IB_MATCH_SOME);
    b.nans = 0;
    assert_int_equal(test(CMP(IB_PRED_LT, 2, D(NAN)), b), IB_MATCH_ALL);
    assert_int_equal(test(CMP(IB_PRED_EQ, 2, D(NAN)), b), IB_MATCH_NONE);
    b.upper = D(NAN); /* a writer that took NaN for a bound */
    assert_int_equal(test(CMP(IB_PRED_GT, 2, D(5)), b), IB_MATCH_SOME);
    b = BETWEEN(I(1), I(5));
    b.nulls = 1;
    assert_int_equal(test(CMP(IB_PRED_LE, 1, I(5)), b), IB_MATCH_SOME);
    assert_int_equal(test(ib_pred_not(&mem_, CMP(IB_PRED_LE, 1, I(5))), b), IB_MATCH_NONE);
    b.nulls = 10;
    assert_int_equal(test(CMP(IB_PRED_LE, 1, I(5)), b), IB_MATCH_NONE);
    assert_int_equal(test(ib_pred_test(&mem_, IB_PRED_IS_NULL, 1), b), IB_MATCH_ALL);
    /* x IN (1, NULL) isn't false anywhere, so its negation is never true */
    const datum in[] = {I(100), DATUM_NULL(TYPE(T_INT64))};
    b.nulls = 0;
    assert_int_equal(test(ib_pred_not(&mem_, ib_pred_in(&mem_, 1, 2, in)), b), IB_MATCH_NONE);
    assert_int_equal(test(ib_pred_not(&mem_, ib_pred_in(&mem_, 1, 1, in)), b), IB_MATCH_ALL);
    assert_int_equal(test(NULL, b), IB_MATCH_ALL);
}

static void types(void **state)
{
    (void)state;
    assert_int_equal(test(CMP(IB_PRED_GT, 1, I32(5)), BETWEEN(I(1), I(5))), IB_MATCH_NONE);
    assert_int_equal(test(CMP(IB_PRED_GT, 1, I(1ll << 40)), BETWEEN(I32(1), I32(5))), IB_MATCH_NONE);
    assert_int_equal(test(CMP(IB_PRED_LT, 1, D(5.5)), BETWEEN(I(1), I(5))), IB_MATCH_ALL);
    assert_int_equal(test(CMP(IB_PRED_GT, 1, DEC(55, 1)), BETWEEN(DEC(100, 2), DEC(550, 2))), IB_MATCH_NONE);
    assert_int_equal(test(CMP(IB_PRED_EQ, 1, DEC(55, 1)), BETWEEN(DEC(550, 2), DEC(550, 2))), IB_MATCH_ALL);
    assert_int_equal(test(CMP(IB_PRED_LE, 1, I(6)), BETWEEN(DEC(100, 2), DEC(550, 2))), IB_MATCH_ALL);
    assert_int_equal(test(CMP(IB_PRED_GT, 1, S("a")), BETWEEN(I(1), I(5))), IB_MATCH_SOME); /* doesn't compare */
    assert_int_equal(test(CMP(IB_PRED_EQ, 1, I(3)), BETWEEN(I(9), I(2))), IB_MATCH_SOME);   /* bounds that can't be */
    assert_int_equal(test(CMP(IB_PRED_STARTS_WITH, 3, S("ab")), BETWEEN(S("ab"), S("abzz"))), IB_MATCH_ALL);
    assert_int_equal(test(CMP(IB_PRED_STARTS_WITH, 3, S("ab")), BETWEEN(S("a"), S("abzz"))), IB_MATCH_SOME);
    assert_int_equal(test(CMP(IB_PRED_STARTS_WITH, 3, S("ab")), BETWEEN(S("ac"), S("b"))), IB_MATCH_NONE);
    assert_int_equal(test(CMP(IB_PRED_STARTS_WITH, 3, S("ab")), BETWEEN(S(""), S("a"))), IB_MATCH_NONE);
    ib_bounds none = {.rows = 0};
    assert_int_equal(test(CMP(IB_PRED_EQ, 1, I(3)), none), IB_MATCH_NONE);
    const ib_pred *deep = CMP(IB_PRED_EQ, 1, I(3)); /* deeper than evaluation goes: undecided, not lost */
    for (int i = 0; i < 1000; i++)
        deep = ib_pred_not(&mem_, deep);
    assert_int_equal(test(deep, BETWEEN(I(4), I(5))), IB_MATCH_SOME);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_trees), cmocka_unit_test(nan_and_null), cmocka_unit_test(types),
    };
    arena_init(&mem_, NULL);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    arena_free(&mem_);
    return failed;
}
