/*
 * opt_filter.c: filters move down: through projections, sorts, unions and the keys of aggregates, to the side of a join whose
 * columns they use, into scans. What holds for one side of an equi-join's key holds for the other side too.
 *
 * push(p, conditions over p's columns) returns a plan equivalent to a filter of those conditions over p.
 */
#include "sql/opt_int.h"

static fz_status push(binder *b, const plan *p, const conjuncts *c, const plan **out);

static fz_status filter_over(binder *b, const plan *p, const conjuncts *c, const plan **out)
{
    const expr *e;
    TRY(conjuncts_join(b, c, &e));
    *out = p;
    return e ? plan_filter(b, p, e, out) : FZ_OK;
}

static fz_status push_inputs(binder *b, const plan *p, const plan **out)
{
    plan *q = plan_copy(b->a, p);
    conjuncts none = {0};
    if (!q)
        return error_nomem(b->err);
    for (uint32_t i = 0; i < p->n; i++)
        TRY(push(b, p->in[i], &none, &q->in[i]));
    *out = q;
    return FZ_OK;
}

static fz_status simplify_list(binder *b, uint32_t n, const expr **from, const expr ***to)
{
    *to = ARENA_ARRAY(b->a, const expr *, n ? n : 1);
    if (!*to)
        return error_nomem(b->err);
    for (uint32_t i = 0; i < n; i++)
        TRY(opt_simplify(b, from[i], &(*to)[i]));
    return FZ_OK;
}

static fz_status no_rows(binder *b, const row_schema *out, const plan **p)
{
    plan *v = plan_new(b->a, PLAN_VALUES, 0, NULL, NULL);
    if (!v)
        return error_nomem(b->err);
    v->out = *out;
    v->rows = 0;
    *p = v;
    return FZ_OK;
}

static fz_status push_project(binder *b, const plan *p, const conjuncts *c, const plan **out)
{
    plan *q = plan_copy(b->a, p);
    conjuncts below = {0};
    if (!q)
        return error_nomem(b->err);
    TRY(simplify_list(b, p->out.n, p->project.e, &q->project.e));
    for (uint32_t i = 0; i < c->n; i++) {
        const expr *e;
        TRY(expr_substitute(b, c->list[i], q->project.e, &e));
        TRY(opt_simplify(b, e, &e));
        TRY(conjuncts_add(b, &below, e));
    }
    TRY(push(b, p->in[0], &below, &q->in[0]));
    *out = q;
    return FZ_OK;
}

static fz_status push_aggregate(binder *b, const plan *p, const conjuncts *c, const plan **out)
{
    plan *q = plan_copy(b->a, p);
    conjuncts below = {0}, above = {0};
    agg_expr *aggs = ARENA_ARRAY(b->a, agg_expr, p->aggregate.naggs ? p->aggregate.naggs : 1);
    if (!q || !aggs)
        return error_nomem(b->err);
    TRY(simplify_list(b, p->aggregate.nkeys, p->aggregate.keys, &q->aggregate.keys));
    for (uint32_t i = 0; i < p->aggregate.naggs; i++) {
        aggs[i] = p->aggregate.aggs[i];
        if (aggs[i].arg)
            TRY(opt_simplify(b, aggs[i].arg, &aggs[i].arg));
        if (aggs[i].filter)
            TRY(opt_simplify(b, aggs[i].filter, &aggs[i].filter));
        if (aggs[i].filter && expr_is_bool(aggs[i].filter, true))
            aggs[i].filter = NULL;
    }
    q->aggregate.aggs = aggs;
    for (uint32_t i = 0; i < c->n; i++) {
        const expr *e = c->list[i];
        if (p->aggregate.nkeys && expr_within(e, 0, p->aggregate.nkeys) && !expr_is_const(e)) {
            TRY(expr_substitute(b, e, q->aggregate.keys, &e));
            TRY(conjuncts_add(b, &below, e));
        } else {
            TRY(conjuncts_add(b, &above, e));
        }
    }
    TRY(push(b, p->in[0], &below, &q->in[0]));
    return filter_over(b, q, &above, out);
}

/* ---- joins ---- */

typedef struct join_parts {
    uint32_t n_left, n_all;
    conjuncts left, right, above;
    conjuncts keys;  /* equalities over both sides */
} join_parts;

static bool is_equality(const expr *e)
{
    return e->kind == EX_CALL && e->n == 2 && strcmp(func_name(e->fn), "=") == 0;
}

/* A comparison or IS NOT NULL of a column of the right side: not true where that column is null. */
static bool rejects_null(const expr *e, uint32_t from, uint32_t to)
{
    bool strict = e->kind == EX_IS_NOT_NULL || e->kind == EX_IN;
    if (e->kind == EX_CALL && e->n == 2) {
        const char *f = func_name(e->fn);
        strict = f[0] == '=' || f[0] == '<' || f[0] == '>';
    }
    for (uint32_t i = 0; strict && i < e->n && i < (e->kind == EX_CALL ? 2u : 1u); i++) {
        const expr *x = e->args[i];
        if (x->kind == EX_CAST)
            x = x->args[0];
        if (x->kind == EX_COLUMN && x->col >= from && x->col < to)
            return true;
    }
    return false;
}

/* A condition on one key column, said of the other side's key. */
static fz_status mirror_condition(binder *b, const plan *p, const expr *e, bool from_left, uint32_t n_from, conjuncts *to)
{
    if (p->join.kind != JOIN_INNER && p->join.kind != JOIN_SEMI && !(p->join.kind == JOIN_LEFT && from_left))
        return FZ_OK;
    const expr **lk = from_left ? p->join.left_keys : p->join.right_keys, **rk = from_left ? p->join.right_keys : p->join.left_keys;
    for (uint32_t k = 0; k < p->join.nkeys; k++) {
        if (lk[k]->kind != EX_COLUMN || rk[k]->kind != EX_COLUMN || !type_eq(lk[k]->t, rk[k]->t))
            continue;
        uint32_t col = lk[k]->col;
        if (!expr_within(e, col, col + 1) || expr_is_const(e) || expr_can_fail(e))
            continue;
        const expr **map = ARENA_ARRAY(b->a, const expr *, n_from);
        const expr *copy;
        if (!map)
            return error_nomem(b->err);
        map[col] = rk[k];
        TRY(expr_substitute(b, e, map, &copy));
        TRY(conjuncts_add(b, to, copy));
        return FZ_OK;
    }
    return FZ_OK;
}

static fz_status add_key(binder *b, plan *q, const expr *l, const expr *r)
{
    uint32_t n = q->join.nkeys;
    const expr **lk = ARENA_ARRAY(b->a, const expr *, n + 1), **rk = ARENA_ARRAY(b->a, const expr *, n + 1);
    if (!lk || !rk)
        return error_nomem(b->err);
    if (n) {
        memcpy(lk, q->join.left_keys, n * sizeof *lk);
        memcpy(rk, q->join.right_keys, n * sizeof *rk);
    }
    lk[n] = l;
    rk[n] = r;
    q->join.left_keys = lk;
    q->join.right_keys = rk;
    q->join.nkeys = n + 1;
    return FZ_OK;
}

/* One condition above a join: to a side, into the join, or it stays. */
static fz_status sort_condition(binder *b, plan *q, join_parts *j, const expr *e)
{
    bool inner = q->join.kind == JOIN_INNER || q->join.kind == JOIN_CROSS;
    if (expr_within(e, 0, j->n_left) && !expr_is_const(e))
        return conjuncts_add(b, &j->left, e);
    if (!inner)
        return conjuncts_add(b, &j->above, e);
    if (expr_within(e, j->n_left, j->n_all) && !expr_is_const(e)) {
        TRY(expr_shift(b, e, -(int64_t)j->n_left, &e));
        return conjuncts_add(b, &j->right, e);
    }
    for (int swap = 0; swap < 2 && is_equality(e); swap++) {
        const expr *l = e->args[swap], *r = e->args[!swap];
        if (expr_within(l, 0, j->n_left) && !expr_is_const(l) && expr_within(r, j->n_left, j->n_all) && !expr_is_const(r)) {
            TRY(expr_shift(b, r, -(int64_t)j->n_left, &r));
            q->join.kind = JOIN_INNER;
            return add_key(b, q, l, r);
        }
    }
    return conjuncts_add(b, &j->above, e);
}

static fz_status push_join(binder *b, const plan *p, const conjuncts *c, const plan **out)
{
    plan *q = plan_copy(b->a, p);
    bool both = p->join.kind != JOIN_SEMI && p->join.kind != JOIN_ANTI;
    join_parts j = {.n_left = p->in[0]->out.n, .n_all = p->in[0]->out.n + p->in[1]->out.n};
    if (!q)
        return error_nomem(b->err);
    for (uint32_t i = 0; i < c->n && q->join.kind == JOIN_LEFT; i++)
        if (rejects_null(c->list[i], j.n_left, j.n_all)) /* rows without a match don't pass anyway */
            q->join.kind = q->join.nkeys ? JOIN_INNER : JOIN_LEFT;
    for (uint32_t i = 0; i < c->n; i++)
        TRY(sort_condition(b, q, &j, c->list[i]));
    if (q->join.residual && q->join.kind == JOIN_INNER) { /* ON's conditions are no different from WHERE's here */
        conjuncts on = {0};
        TRY(conjuncts_add(b, &on, q->join.residual));
        q->join.residual = NULL;
        for (uint32_t i = 0; i < on.n; i++) {
            const expr *e;
            TRY(opt_simplify(b, on.list[i], &e));
            TRY(sort_condition(b, q, &j, e));
        }
    } else if (q->join.residual && q->join.kind == JOIN_LEFT) {
        conjuncts on = {0}, rest = {0};
        TRY(conjuncts_add(b, &on, q->join.residual));
        for (uint32_t i = 0; i < on.n; i++) {
            const expr *e;
            TRY(opt_simplify(b, on.list[i], &e));
            if (expr_within(e, j.n_left, j.n_all) && !expr_is_const(e)) {
                TRY(expr_shift(b, e, -(int64_t)j.n_left, &e));
                TRY(conjuncts_add(b, &j.right, e));
            } else {
                TRY(conjuncts_add(b, &rest, e));
            }
        }
        TRY(conjuncts_join(b, &rest, &q->join.residual));
    }
    uint32_t n_left = j.left.n, n_right = j.right.n;
    for (uint32_t i = 0; i < n_left; i++)
        TRY(mirror_condition(b, q, j.left.list[i], true, j.n_left, &j.right));
    for (uint32_t i = 0; i < n_right; i++)
        TRY(mirror_condition(b, q, j.right.list[i], false, j.n_all - j.n_left, &j.left));
    TRY(push(b, p->in[0], &j.left, &q->in[0]));
    TRY(push(b, p->in[1], &j.right, &q->in[1]));
    if (both && q->join.kind == JOIN_INNER && j.above.n && q->join.nkeys) {
        TRY(conjuncts_join(b, &j.above, &q->join.residual));
        j.above.n = 0;
    }
    return filter_over(b, q, &j.above, out);
}

/* ---- the rest ---- */

static fz_status push_scan(binder *b, const plan *p, const conjuncts *c, const plan **out)
{
    conjuncts all = {0};
    if (!c->n) {
        *out = p;
        return FZ_OK;
    }
    plan *q = plan_copy(b->a, p);
    if (!q)
        return error_nomem(b->err);
    if (p->scan.filter)
        TRY(conjuncts_add(b, &all, p->scan.filter));
    for (uint32_t i = 0; i < c->n; i++)
        TRY(conjuncts_add(b, &all, c->list[i]));
    TRY(conjuncts_join(b, &all, &q->scan.filter));
    *out = q;
    return FZ_OK;
}

static fz_status push_node(binder *b, const plan *p, const conjuncts *c, const plan **out)
{
    plan *q;
    switch (p->kind) {
    case PLAN_SCAN: return push_scan(b, p, c, out);
    case PLAN_PROJECT: return push_project(b, p, c, out);
    case PLAN_AGGREGATE: return push_aggregate(b, p, c, out);
    case PLAN_JOIN: return push_join(b, p, c, out);
    case PLAN_SORT:
        if (p->sort.limit >= 0)
            break;
        if (!(q = plan_copy(b->a, p)))
            return error_nomem(b->err);
        TRY(push(b, p->in[0], c, &q->in[0]));
        *out = q;
        return FZ_OK;
    case PLAN_UNION_ALL:
        if (!(q = plan_copy(b->a, p)))
            return error_nomem(b->err);
        for (uint32_t i = 0; i < p->n; i++)
            TRY(push(b, p->in[i], c, &q->in[i]));
        *out = q;
        return FZ_OK;
    default:
        break;
    }
    TRY(push_inputs(b, p, out));
    return filter_over(b, *out, c, out);
}

static fz_status push(binder *b, const plan *p, const conjuncts *c, const plan **out)
{
    conjuncts all = *c;
    const row_schema *schema = &p->out;
    while (p->kind == PLAN_FILTER) { /* inner conditions stand first: they may keep outer ones from failing */
        const expr *e;
        conjuncts inner = {0};
        TRY(opt_simplify(b, p->filter.e, &e));
        TRY(conjuncts_add(b, &inner, e));
        for (uint32_t i = 0; i < all.n; i++)
            TRY(conjuncts_add(b, &inner, all.list[i]));
        all = inner;
        p = p->in[0];
    }
    for (uint32_t i = 0; i < all.n; i++) /* never true: no rows, and nothing below is looked at */
        if (all.list[i]->kind == EX_CONST && (all.list[i]->value.null || !all.list[i]->value.b))
            return no_rows(b, schema, out);
    return push_node(b, p, &all, out);
}

fz_status opt_filters(binder *b, const plan *p, const plan **out)
{
    conjuncts none = {0};
    return push(b, p, &none, out);
}
