/*
 * bind_subquery.c: subqueries in expressions, none of them correlated. The query becomes a join:
 *
 *   (query)          CROSS JOIN with its one row: an aggregate that fails on a second row and is NULL without any
 *   EXISTS (query)   CROSS JOIN with count(*) of its first row
 *   x IN (query)     in a WHERE of its own: SEMI JOIN. Elsewhere, and NOT IN: LEFT JOIN with the distinct values and CROSS JOIN with
 *                    their counts:  CASE WHEN found THEN true WHEN none at all THEN false WHEN x or some value is null THEN null ELSE false
 */
#include "sql/bind_int.h"

/* ---- making the query's plan ---- */

static fz_status aggregate_of(binder *b, const plan *in, uint32_t n, const char *const *fns, const plan **out)
{
    agg_expr *aggs = ARENA_ARRAY(b->a, agg_expr, n);
    if (!aggs)
        return error_nomem(b->err);
    for (uint32_t i = 0; i < n; i++) {
        agg_match m;
        bool star = fns[i][0] == '*';
        const expr *arg = star ? NULL : expr_column(b, 0, in->out.cols[0].t, (sql_pos){0, 0});
        if (!star && !arg)
            return FZ_NOMEM;
        TRY(agg_resolve(str_of(star ? "count" : fns[i]), !star, star ? TYPE(T_NULL) : arg->t, &m, b->err));
        if (arg)
            TRY(expr_must_cast(b, arg, m.arg, "the argument", &arg));
        aggs[i] = (agg_expr){.fn = m.fn, .arg = arg, .t = m.result};
    }
    return plan_aggregate(b, in, 0, NULL, n, aggs, out);
}

/* Whether the plan can have no more than one row. */
static bool at_most_one(const plan *p)
{
    if (p->kind == PLAN_AGGREGATE)
        return p->aggregate.nkeys == 0;
    if (p->kind == PLAN_LIMIT && p->limit.limit >= 0 && p->limit.limit <= 1)
        return true;
    if (p->kind == PLAN_VALUES)
        return p->values.nrows <= 1;
    return (p->kind == PLAN_PROJECT || p->kind == PLAN_FILTER || p->kind == PLAN_SORT || p->kind == PLAN_LIMIT) && at_most_one(p->in[0]);
}

static fz_status limit_rows(binder *b, const plan *in, int64_t n, const plan **out)
{
    plan *l = plan_new(b->a, PLAN_LIMIT, 1, in, NULL);
    if (!l)
        return error_nomem(b->err);
    l->out = in->out;
    l->limit.limit = n;
    *out = l;
    return FZ_OK;
}

/* One row with the value; a second row is an error. */
static fz_status scalar_plan(binder *b, const plan *in, sql_pos pos, const plan **out)
{
    static const char *const any[] = {"any_value", "*"};
    bool one = at_most_one(in);
    if (one && in->kind == PLAN_AGGREGATE) {
        *out = in;
        return FZ_OK;
    }
    if (!one)
        TRY(limit_rows(b, in, 2, &in));
    TRY(aggregate_of(b, in, one ? 1 : 2, any, out));
    if (one)
        return FZ_OK;
    /* CASE WHEN (one row)(count) > 1 THEN NULL ELSE value END: the function is what fails */
    const expr *value = expr_column(b, 0, (*out)->out.cols[0].t, pos), *args[3], *pair[2], *count;
    if (!value || !(count = expr_column(b, 1, (*out)->out.cols[1].t, pos)))
        return FZ_NOMEM;
    TRY(expr_function(b, "(one row)", pos, 1, &count, &pair[0]));
    TRY(expr_const(b, (datum){.t = TYPE(T_INT64), .i64 = 1}, pos, &pair[1]));
    TRY(expr_function(b, ">", pos, 2, pair, &args[0]));
    TRY(expr_const(b, DATUM_NULL(value->t), pos, &args[1]));
    args[2] = value;
    expr *choose = expr_make(b, EX_CASE, value->t, pos);
    if (!choose)
        return FZ_NOMEM;
    TRY(expr_args(b, choose, 3, args));
    bind_out col = {.name = in->out.cols[0].name, .e = choose};
    return plan_project(b, *out, 1, &col, out);
}

static fz_status one_column(bind_ctx *c, const ast_expr *e, const plan **out)
{
    TRY(bind_query(c->b, e->query, c->env, c->scope, out));
    if ((*out)->out.n != 1)
        return bind_fail(c->b, FZ_INVALID, "42601", e->query->pos, "a subquery here has one column, this one has %u", (*out)->out.n);
    return FZ_OK;
}

fz_status bind_subquery(bind_ctx *c, const ast_expr *e, const expr **out)
{
    static const char *const star[] = {"*"};
    binder *b = c->b;
    bind_sub s = {.pos = e->pos};
    if (!b->o->resolver)
        return bind_fail(b, FZ_INVALID, "42804", e->pos, "a constant has to stand here");
    if (e->kind == AX_EXISTS) {
        s.kind = SUB_EXISTS;
        TRY(bind_query(b, e->query, c->env, c->scope, &s.p));
        TRY(limit_rows(b, s.p, 1, &s.p));
        TRY(aggregate_of(b, s.p, 1, star, &s.p));
    } else {
        s.kind = e->kind == AX_SCALAR ? SUB_SCALAR : SUB_IN;
        TRY(one_column(c, e, &s.p));
        if (s.kind == SUB_SCALAR)
            TRY(scalar_plan(b, s.p, e->pos, &s.p));
    }
    s.t = s.p->out.cols[0].t;
    uint32_t k = b->n_subs;
    if (k >= 1000)
        return bind_fail(b, FZ_LIMIT, "54001", e->pos, "a statement has at most 1000 subqueries");
    BIND_PUSH(b, b->subs, b->n_subs, b->cap_subs, s);
    const expr *value = expr_column(b, COL_SUB + k, s.t, e->pos);
    if (!value)
        return FZ_NOMEM;
    *out = value;
    if (s.kind == SUB_EXISTS) {
        const expr *pair[2] = {value};
        TRY(expr_const(b, (datum){.t = TYPE(T_INT64), .i64 = 0}, e->pos, &pair[1]));
        TRY(expr_function(b, ">", e->pos, 2, pair, out));
    } else if (s.kind == SUB_IN) {
        const expr *args[2] = {NULL, value};
        TRY(bind_expr(c, e->args[0], &args[0]));
        TRY(expr_settle(b, &args[0]));
        TRY(expr_bool(b, EX_IN, e->pos, 2, args, out));
    }
    return e->negated ? expr_bool(b, EX_NOT, e->pos, 1, out, out) : FZ_OK;
}

/* ---- joining it in ---- */

/* The keys of x = value in one type; *value is a column of the query's plan. */
static fz_status in_keys(binder *b, const expr *x, const plan *p, sql_pos pos, const expr **left, const expr **right)
{
    const expr *pair[2] = {x, expr_column(b, 0, p->out.cols[0].t, pos)}, *eq;
    if (!pair[1])
        return FZ_NOMEM;
    TRY(expr_function(b, "=", pos, 2, pair, &eq));
    if (eq->kind != EX_CALL) /* folded: both are constants */
        return bind_fail(b, FZ_UNSUPPORTED, "0A000", pos, "this form of IN is not supported");
    *left = eq->args[0];
    *right = eq->args[1];
    return FZ_OK;
}

static fz_status keys_array(binder *b, const expr *e, const expr ***out)
{
    *out = ARENA_ARRAY(b->a, const expr *, 1);
    if (!*out)
        return error_nomem(b->err);
    (*out)[0] = e;
    return FZ_OK;
}

fz_status level_semi_join(bind_ctx *c, bind_level *level, const ast_expr *e)
{
    binder *b = c->b;
    const plan *p;
    const expr *x, *l, *r, **lk, **rk;
    TRY(one_column(c, e, &p));
    TRY(bind_expr(c, e->args[0], &x));
    TRY(expr_settle(b, &x));
    TRY(level_attach(b, level, 1, &x));
    TRY(in_keys(b, x, p, e->pos, &l, &r));
    TRY(keys_array(b, l, &lk));
    TRY(keys_array(b, r, &rk));
    return plan_join(b, JOIN_SEMI, level->p, p, 1, lk, rk, NULL, &level->p);
}

typedef struct attach { binder *b; bind_level *level; } attach;

/* Where the subquery's columns stand in the level's plan, joined in now if they don't yet. */
static fz_status attach_cross(attach *t, uint32_t k, uint32_t *col)
{
    bind_level *l = t->level;
    for (uint32_t i = 0; i < l->n_subs; i++)
        if (l->subs[i].sub == k && !l->subs[i].key) {
            *col = l->subs[i].col;
            return FZ_OK;
        }
    *col = l->p->out.n;
    TRY(plan_join(t->b, JOIN_CROSS, l->p, t->b->subs[k].p, 0, NULL, NULL, NULL, &l->p));
    __typeof__(*l->subs) entry = {k, *col, NULL, 0};
    BIND_PUSH(t->b, l->subs, l->n_subs, l->cap_subs, entry);
    return FZ_OK;
}

/* The distinct values with a true beside each, joined on x; and the counts of all rows and of values. */
static fz_status attach_in(attach *t, const expr *x, uint32_t k, uint32_t *found, uint32_t *count)
{
    static const char *const counts[] = {"*", "count"};
    bind_level *l = t->level;
    binder *b = t->b;
    const plan *in = b->subs[k].p, *values, *both;
    sql_pos pos = b->subs[k].pos;
    for (uint32_t i = 0; i < l->n_subs; i++)
        if (l->subs[i].sub == k && l->subs[i].key && expr_equal(l->subs[i].key, x)) {
            *found = l->subs[i].col;
            *count = l->subs[i].count_col;
            return FZ_OK;
        }
    TRY(plan_distinct(b, in, &values));
    bind_out cols[2] = {{.e = expr_column(b, 0, in->out.cols[0].t, pos)}};
    TRY(expr_const(b, (datum){.t = TYPE(T_BOOL), .b = true}, pos, &cols[1].e));
    if (!cols[0].e)
        return FZ_NOMEM;
    TRY(plan_project(b, values, 2, cols, &values));
    const expr *lk, *rk, **lks, **rks;
    TRY(in_keys(b, x, values, pos, &lk, &rk));
    TRY(keys_array(b, lk, &lks));
    TRY(keys_array(b, rk, &rks));
    *found = l->p->out.n + 1;
    TRY(plan_join(b, JOIN_LEFT, l->p, values, 1, lks, rks, NULL, &l->p));
    *count = l->p->out.n;
    TRY(aggregate_of(b, in, 2, counts, &both));
    TRY(plan_join(b, JOIN_CROSS, l->p, both, 0, NULL, NULL, NULL, &l->p));
    __typeof__(*l->subs) entry = {k, *found, x, *count};
    BIND_PUSH(b, l->subs, l->n_subs, l->cap_subs, entry);
    return FZ_OK;
}

static fz_status in_value(attach *t, const expr *e, uint32_t k, const expr **out)
{
    binder *b = t->b;
    sql_pos pos = {e->line, e->column};
    const expr *x = e->args[0], *args[7], *zero, *pair[2], *nulls[2];
    uint32_t found, count;
    TRY(level_attach(b, t->level, 1, &x));
    TRY(attach_in(t, x, k, &found, &count));
    const expr *rows = expr_column(b, count, TYPE(T_INT64), pos), *values = expr_column(b, count + 1, TYPE(T_INT64), pos);
    const expr *hit = expr_column(b, found, TYPE(T_BOOL), pos);
    if (!rows || !values || !hit)
        return FZ_NOMEM;
    TRY(expr_bool(b, EX_IS_NOT_NULL, pos, 1, &hit, &args[0]));
    TRY(expr_const(b, (datum){.t = TYPE(T_BOOL), .b = true}, pos, &args[1]));
    TRY(expr_const(b, (datum){.t = TYPE(T_INT64), .i64 = 0}, pos, &zero));
    pair[0] = rows;
    pair[1] = zero;
    TRY(expr_function(b, "=", pos, 2, pair, &args[2]));
    TRY(expr_const(b, (datum){.t = TYPE(T_BOOL), .b = false}, pos, &args[3]));
    TRY(expr_bool(b, EX_IS_NULL, pos, 1, &x, &nulls[0]));
    pair[0] = values;
    pair[1] = rows;
    TRY(expr_function(b, "<", pos, 2, pair, &nulls[1]));
    TRY(expr_bool(b, EX_OR, pos, 2, nulls, &args[4]));
    TRY(expr_const(b, DATUM_NULL(TYPE(T_BOOL)), pos, &args[5]));
    args[6] = args[3];
    expr *choose = expr_make(b, EX_CASE, TYPE(T_BOOL), pos);
    if (!choose)
        return FZ_NOMEM;
    TRY(expr_args(b, choose, 7, args));
    *out = choose;
    return FZ_OK;
}

static fz_status attach_node(void *ctx, const expr *e, const expr **out, bool *replaced)
{
    attach *t = ctx;
    if (e->kind == EX_IN && e->n == 2 && e->args[1]->kind == EX_COLUMN && (e->args[1]->col & COL_MARK) == COL_SUB &&
        t->b->subs[e->args[1]->col & ~COL_SUB].kind == SUB_IN) {
        *replaced = true;
        return in_value(t, e, e->args[1]->col & ~COL_SUB, out);
    }
    if (e->kind != EX_COLUMN || (e->col & COL_MARK) != COL_SUB)
        return FZ_OK;
    uint32_t col;
    TRY(attach_cross(t, e->col & ~COL_SUB, &col));
    *replaced = true;
    *out = expr_column(t->b, col, e->t, (sql_pos){e->line, e->column});
    return *out ? FZ_OK : FZ_NOMEM;
}

fz_status level_attach(binder *b, bind_level *level, uint32_t n, const expr **exprs)
{
    attach t = {b, level};
    for (uint32_t i = 0; i < n && b->n_subs; i++)
        TRY(expr_map(b->a, exprs[i], attach_node, &t, &exprs[i]));
    return FZ_OK;
}
