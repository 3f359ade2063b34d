/* lower.c: see lower.h. */
#include "engine/lower.h"

typedef struct lowering {
    const int32_t *field_ids;
    const datum *params;
    uint32_t n_params;
    arena *a;
} lowering;

static const ib_pred *lower(const lowering *l, const expr *e);

static const ib_pred *unknown(const lowering *l)
{
    return ib_pred_const(l->a, IB_PRED_UNKNOWN);
}

/* A column, also below a cast that keeps order and equality: the widening ones. */
static bool as_field(const lowering *l, const expr *e, int32_t *field_id)
{
    if (e->kind == EX_CAST) {
        const expr *x = e->args[0];
        bool widens = (x->t.id == T_INT32 && e->t.id == T_INT64) || (x->t.id == T_FLOAT32 && e->t.id == T_FLOAT64);
        if (!widens)
            return false;
        e = x;
    }
    if (e->kind != EX_COLUMN || l->field_ids[e->col] < 0)
        return false;
    *field_id = l->field_ids[e->col];
    return true;
}

static const datum *as_value(const lowering *l, const expr *e)
{
    if (e->kind == EX_CONST)
        return &e->value;
    if (e->kind == EX_PARAM && e->col < l->n_params)
        return &l->params[e->col];
    return NULL;
}

static bool comparison(const char *name, ib_pred_kind *kind, ib_pred_kind *mirrored)
{
    static const struct { const char *name; ib_pred_kind kind, mirrored; } ops[] = {
        {"=", IB_PRED_EQ, IB_PRED_EQ}, {"<>", IB_PRED_NE, IB_PRED_NE}, {"<", IB_PRED_LT, IB_PRED_GT},
        {"<=", IB_PRED_LE, IB_PRED_GE}, {">", IB_PRED_GT, IB_PRED_LT}, {">=", IB_PRED_GE, IB_PRED_LE},
    };
    for (size_t i = 0; i < sizeof ops / sizeof ops[0]; i++)
        if (strcmp(name, ops[i].name) == 0) {
            *kind = ops[i].kind;
            *mirrored = ops[i].mirrored;
            return true;
        }
    return false;
}

/* col LIKE 'prefix%': at least the prefix is tested. */
static const ib_pred *lower_like(const lowering *l, const expr *e)
{
    int32_t id;
    const datum *v = e->n == 2 ? as_value(l, e->args[1]) : NULL;
    if (!v || v->null || v->t.id != T_STRING || !as_field(l, e->args[0], &id))
        return unknown(l);
    size_t n = 0;
    while (n < v->s.n && v->s.p[n] != '%' && v->s.p[n] != '_' && v->s.p[n] != '\\')
        n++;
    if (n == 0)
        return unknown(l);
    datum prefix = *v;
    prefix.s.n = n;
    const ib_pred *p = ib_pred_cmp(l->a, IB_PRED_STARTS_WITH, id, &prefix);
    bool exact = n + 1 == v->s.n && v->s.p[n] == '%';
    return exact || !p ? p : ib_pred_and(l->a, p, unknown(l));
}

/* A comparison with NULL is neither true nor false. */
static const ib_pred *compare(const lowering *l, ib_pred_kind kind, int32_t id, const datum *v)
{
    return v->null ? ib_pred_const(l->a, IB_PRED_NULL) : ib_pred_cmp(l->a, kind, id, v);
}

static const ib_pred *lower_call(const lowering *l, const expr *e)
{
    const char *name = func_name(e->fn);
    if (strcmp(name, "like") == 0)
        return lower_like(l, e);
    ib_pred_kind kind, mirrored;
    int32_t id;
    if (e->n != 2 || !comparison(name, &kind, &mirrored))
        return unknown(l);
    const datum *v = as_value(l, e->args[1]);
    if (v && as_field(l, e->args[0], &id))
        return compare(l, kind, id, v);
    v = as_value(l, e->args[0]);
    if (v && as_field(l, e->args[1], &id))
        return compare(l, mirrored, id, v);
    return unknown(l);
}

static const ib_pred *lower_in(const lowering *l, const expr *e)
{
    int32_t id;
    if (!as_field(l, e->args[0], &id))
        return unknown(l);
    datum *values = ARENA_ARRAY(l->a, datum, e->n);
    if (!values)
        return NULL;
    for (uint32_t i = 1; i < e->n; i++) {
        const datum *v = as_value(l, e->args[i]);
        if (!v)
            return unknown(l);
        values[i - 1] = *v;
    }
    return ib_pred_in(l->a, id, e->n - 1, values);
}

static const ib_pred *lower(const lowering *l, const expr *e)
{
    int32_t id;
    switch (e->kind) {
    case EX_CONST:
        if (e->value.null)
            return ib_pred_const(l->a, IB_PRED_NULL);
        return e->t.id == T_BOOL ? ib_pred_const(l->a, e->value.b ? IB_PRED_TRUE : IB_PRED_FALSE) : unknown(l);
    case EX_AND:
    case EX_OR: {
        const ib_pred *p = lower(l, e->args[0]);
        for (uint32_t i = 1; i < e->n && p; i++) {
            const ib_pred *q = lower(l, e->args[i]);
            if (!q)
                return NULL;
            p = e->kind == EX_AND ? ib_pred_and(l->a, p, q) : ib_pred_or(l->a, p, q);
        }
        return p;
    }
    case EX_NOT: {
        const ib_pred *p = lower(l, e->args[0]);
        return p ? ib_pred_not(l->a, p) : NULL;
    }
    case EX_CALL:
        return lower_call(l, e);
    case EX_IN:
        return lower_in(l, e);
    case EX_IS_NULL:
        return as_field(l, e->args[0], &id) ? ib_pred_test(l->a, IB_PRED_IS_NULL, id) : unknown(l);
    case EX_IS_NOT_NULL:
        return as_field(l, e->args[0], &id) ? ib_pred_test(l->a, IB_PRED_NOT_NULL, id) : unknown(l);
    case EX_COLUMN:
        if (e->t.id == T_BOOL && as_field(l, e, &id)) {
            datum yes = {.t = TYPE(T_BOOL), .b = true};
            return ib_pred_cmp(l->a, IB_PRED_EQ, id, &yes);
        }
        return unknown(l);
    default:
        return unknown(l);
    }
}

const ib_pred *lower_filter(const expr *e, const int32_t *field_ids, const datum *params, uint32_t n_params, arena *a)
{
    lowering l = {field_ids, params, n_params, a};
    return lower(&l, e);
}
