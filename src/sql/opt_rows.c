/*
 * opt_rows.c: how many rows there are, and what follows from it: counts that metadata answer, limits that scans and sorts needn't
 * pass, the build side of joins, and the order of joins (opt_join.c).
 */
#include "sql/opt_int.h"

/* The share of rows that a condition lets through, in thousandths; guesses. */
static int64_t selectivity(const expr *e)
{
    if (e->kind == EX_AND) {
        int64_t s = 1000;
        for (uint32_t i = 0; i < e->n; i++)
            s = s * selectivity(e->args[i]) / 1000;
        return s < 1 ? 1 : s;
    }
    if (e->kind == EX_OR) {
        int64_t s = 0;
        for (uint32_t i = 0; i < e->n && s < 1000; i++)
            s += selectivity(e->args[i]);
        return s > 1000 ? 1000 : s;
    }
    if (e->kind == EX_IN)
        return e->n * 50 > 1000 ? 1000 : e->n * 50;
    if (e->kind == EX_IS_NULL)
        return 100;
    if (e->kind == EX_CALL && e->n == 2) {
        const char *f = func_name(e->fn);
        return f[0] == '=' ? 50 : f[0] == '<' && f[1] == '>' ? 950 : f[0] == '<' || f[0] == '>' ? 330 : 250;
    }
    return 500;
}

static int64_t filtered(int64_t rows, const expr *e)
{
    if (rows < 0 || !e)
        return rows;
    int64_t s = selectivity(e), n = rows / 1000 * s + rows % 1000 * s / 1000;
    return n < 1 ? 1 : n;
}

static int64_t times(int64_t a, int64_t b)
{
    int64_t c;
    return __builtin_mul_overflow(a, b, &c) ? INT64_MAX / 2 : c;
}

static int64_t join_estimate(const plan *p)
{
    int64_t l = p->in[0]->rows, r = p->in[1]->rows;
    if (l < 0 || (r < 0 && p->join.kind != JOIN_SEMI && p->join.kind != JOIN_ANTI && p->join.kind != JOIN_LEFT))
        return -1;
    switch (p->join.kind) {
    case JOIN_CROSS: return times(l, r);
    case JOIN_INNER: return filtered(l > r ? l : r, p->join.residual);
    case JOIN_LEFT: return l;
    default: return l / 2 + 1;
    }
}

/* From the inputs' rows. */
int64_t opt_estimate(const plan *p)
{
    int64_t in = p->n ? p->in[0]->rows : -1, sum = 0;
    switch (p->kind) {
    case PLAN_SCAN:
        in = filtered(p->scan.table->ops->estimate ? p->scan.table->ops->estimate(p->scan.table) : -1, p->scan.filter);
        return p->scan.limit >= 0 && (in < 0 || in > p->scan.limit) ? p->scan.limit : in;
    case PLAN_VALUES: return p->values.nrows;
    case PLAN_FILTER: return filtered(in, p->filter.e);
    case PLAN_AGGREGATE: return p->aggregate.nkeys == 0 ? 1 : in < 0 ? -1 : in / 10 + 1;
    case PLAN_JOIN: return join_estimate(p);
    case PLAN_SORT: return p->sort.limit >= 0 && (in < 0 || in > p->sort.limit) ? p->sort.limit : in;
    case PLAN_LIMIT:
        if (in >= 0)
            in = in > p->limit.offset ? in - p->limit.offset : 0;
        return p->limit.limit >= 0 && (in < 0 || in > p->limit.limit) ? p->limit.limit : in;
    case PLAN_UNION_ALL:
        for (uint32_t i = 0; i < p->n; i++) {
            if (p->in[i]->rows < 0)
                return -1;
            sum += p->in[i]->rows;
        }
        return sum;
    default: return in;
    }
}

/* ---- count(*) from metadata ---- */

static bool never_null(const expr *e, const plan *in)
{
    return (e->kind == EX_CONST && !e->value.null) || (e->kind == EX_COLUMN && in->out.cols[e->col].not_null);
}

/* count(*) and count(of a column without nulls), nothing else, over a scan that nothing filters. */
static int64_t count_from_metadata(const plan *p)
{
    if (p->kind != PLAN_AGGREGATE || p->aggregate.nkeys || !p->aggregate.naggs)
        return -1;
    for (uint32_t i = 0; i < p->aggregate.naggs; i++) {
        const agg_expr *g = &p->aggregate.aggs[i];
        if (g->filter || g->distinct || g->t.id != T_INT64)
            return -1;
        agg_match count;
        if (g->arg && !(agg_resolve(STR("count"), 1, g->arg->t, &count, NULL) == FZ_OK && count.fn == g->fn && never_null(g->arg, p->in[0])))
            return -1;
    }
    const plan *in = p->in[0];
    while (in->kind == PLAN_PROJECT || (in->kind == PLAN_SORT && in->sort.limit < 0))
        in = in->in[0];
    if (in->kind != PLAN_SCAN || in->scan.filter || in->scan.limit >= 0 || !in->scan.table->ops->count)
        return -1;
    return in->scan.table->ops->count(in->scan.table);
}

static fz_status count_values(binder *b, const plan *p, int64_t count, const plan **out)
{
    plan *v = plan_new(b->a, PLAN_VALUES, 0, NULL, NULL);
    if (!v || !(v->values.cells = ARENA_ARRAY(b->a, const expr *, p->out.n)))
        return error_nomem(b->err);
    v->out = p->out;
    v->values.nrows = 1;
    v->rows = 1;
    for (uint32_t i = 0; i < p->out.n; i++)
        TRY(expr_const(b, (datum){.t = TYPE(T_INT64), .i64 = count}, (sql_pos){0, 0}, &v->values.cells[i]));
    *out = v;
    return FZ_OK;
}

/* ---- limits ---- */

/* Below a limit no node has to deliver more than n rows. */
static fz_status limit_below(binder *b, const plan *p, int64_t n, const plan **out)
{
    plan *q;
    *out = p;
    switch (p->kind) {
    case PLAN_PROJECT:
        if (!(q = plan_copy(b->a, p)))
            return error_nomem(b->err);
        *out = q;
        return limit_below(b, p->in[0], n, &q->in[0]);
    case PLAN_SORT:
        if (p->sort.limit >= 0 && p->sort.limit <= n)
            return FZ_OK;
        if (!(q = plan_copy(b->a, p)))
            return error_nomem(b->err);
        q->sort.limit = n;
        q->rows = opt_estimate(q);
        *out = q;
        return FZ_OK;
    case PLAN_SCAN: /* with a filter, "no more rows" would depend on who applies it */
        if (p->scan.filter || (p->scan.limit >= 0 && p->scan.limit <= n))
            return FZ_OK;
        if (!(q = plan_copy(b->a, p)))
            return error_nomem(b->err);
        q->scan.limit = n;
        q->rows = opt_estimate(q);
        *out = q;
        return FZ_OK;
    case PLAN_UNION_ALL:
        if (!(q = plan_copy(b->a, p)))
            return error_nomem(b->err);
        for (uint32_t i = 0; i < p->n; i++)
            TRY(limit_below(b, p->in[i], n, &q->in[i]));
        *out = q;
        return FZ_OK;
    default:
        return FZ_OK;
    }
}

/* A projection of constants over one row (of a SELECT without FROM, or a count from metadata) is a row. */
static fz_status constant_row(binder *b, const plan *p, const plan **out)
{
    *out = p;
    if (p->kind != PLAN_PROJECT || p->in[0]->kind != PLAN_VALUES || p->in[0]->values.nrows != 1 || !p->out.n)
        return FZ_OK;
    const expr **cells = ARENA_ARRAY(b->a, const expr *, p->out.n);
    if (!cells)
        return error_nomem(b->err);
    for (uint32_t i = 0; i < p->out.n; i++) {
        TRY(expr_substitute(b, p->project.e[i], p->in[0]->values.cells, &cells[i]));
        TRY(opt_simplify(b, cells[i], &cells[i]));
        if (cells[i]->kind != EX_CONST && cells[i]->kind != EX_PARAM)
            return FZ_OK;
    }
    plan *v = plan_new(b->a, PLAN_VALUES, 0, NULL, NULL);
    if (!v)
        return error_nomem(b->err);
    v->out = p->out;
    v->values.nrows = 1;
    v->values.cells = cells;
    v->rows = 1;
    *out = v;
    return FZ_OK;
}

fz_status opt_rows(binder *b, const plan *p, const plan **out)
{
    plan *q = plan_copy(b->a, p);
    if (!q)
        return error_nomem(b->err);
    for (uint32_t i = 0; i < p->n; i++)
        TRY(opt_rows(b, p->in[i], &q->in[i]));
    if (q->kind == PLAN_LIMIT && q->limit.limit >= 0) {
        int64_t n;
        if (!__builtin_add_overflow(q->limit.limit, q->limit.offset, &n))
            TRY(limit_below(b, q->in[0], n, &q->in[0]));
    }
    if (q->kind == PLAN_JOIN && q->join.kind == JOIN_INNER)
        q->join.build_left = q->in[0]->rows >= 0 && q->in[1]->rows >= 0 && q->in[0]->rows < q->in[1]->rows;
    int64_t count = count_from_metadata(q);
    if (count >= 0)
        return count_values(b, q, count, out);
    q->rows = opt_estimate(q);
    return constant_row(b, q, out);
}
