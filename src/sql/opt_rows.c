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

/* ---- aggregates from metadata ---- */

static bool agg_is(const agg_expr *g, str name)
{
    agg_match m;
    return g->arg && agg_resolve(name, 1, g->arg->t, &m, NULL) == FZ_OK && m.fn == g->fn && type_eq(m.arg, g->arg->t);
}

/* The column of the scan below p that is p's column col, whatever is between; -1: it is computed. */
static int64_t source_column(const plan *p, uint32_t col)
{
    for (; p->kind != PLAN_SCAN; p = p->in[0]) {
        if (p->kind != PLAN_PROJECT)
            continue;
        const expr *e = p->project.e[col];
        if (e->kind != EX_COLUMN)
            return -1;
        col = e->col;
    }
    return p->scan.cols[col];
}

/* What an aggregate asks for, as a question about the table. */
static bool metric_of(const agg_expr *g, const plan *in, table_metric *out)
{
    if (g->filter)
        return false;
    *out = (table_metric){.kind = METRIC_ROWS};
    if (!g->arg || (g->arg->kind == EX_CONST && !g->arg->value.null && !g->distinct && agg_is(g, STR("count"))))
        return g->t.id == T_INT64;
    int64_t col = g->arg->kind == EX_COLUMN ? source_column(in, g->arg->col) : -1;
    if (col < 0)
        return false;
    out->col = (uint32_t)col;
    if (agg_is(g, STR("min")))
        out->kind = METRIC_MIN;
    else if (agg_is(g, STR("max")))
        out->kind = METRIC_MAX;
    else if (agg_is(g, STR("count")) && !g->distinct)
        out->kind = in->out.cols[g->arg->col].not_null ? METRIC_ROWS : METRIC_VALUES;
    else
        return false;
    return true;
}

/* The table's own count of rows, where nothing else is asked for and nothing filters. */
static bool count_rows(const plan *scan, uint32_t n, const table_metric *wanted, datum *out)
{
    const table_source *t = scan->scan.table;
    for (uint32_t i = 0; i < n; i++)
        if (wanted[i].kind != METRIC_ROWS)
            return false;
    int64_t rows = scan->scan.filter || !t->ops->count ? -1 : t->ops->count(t);
    for (uint32_t i = 0; i < n; i++)
        out[i] = (datum){.t = TYPE(T_INT64), .i64 = rows};
    return rows >= 0;
}

/* count, min and max, without grouping, of a scan's columns: the table's metadata may know them. NULL: they have to be computed. */
static fz_status from_metadata(binder *b, const plan *p, const plan **out)
{
    *out = NULL;
    if (p->kind != PLAN_AGGREGATE || p->aggregate.nkeys || !p->aggregate.naggs)
        return FZ_OK;
    uint32_t n = p->aggregate.naggs;
    const plan *in = p->in[0];
    while (in->kind == PLAN_PROJECT || (in->kind == PLAN_SORT && in->sort.limit < 0))
        in = in->in[0];
    if (in->kind != PLAN_SCAN || in->scan.limit >= 0)
        return FZ_OK;
    table_metric *wanted = ARENA_ARRAY(b->a, table_metric, n);
    datum *answers = ARENA_ARRAY(b->a, datum, n);
    if (!wanted || !answers)
        return error_nomem(b->err);
    for (uint32_t i = 0; i < n; i++)
        if (!metric_of(&p->aggregate.aggs[i], p->in[0], &wanted[i]))
            return FZ_OK;
    const table_source *t = in->scan.table;
    const scan_request r = {.ncols = in->out.n, .cols = in->scan.cols, .filter = in->scan.filter, .limit = -1};
    if (!count_rows(in, n, wanted, answers) && !(t->ops->metrics && t->ops->metrics(t, &r, n, wanted, b->a, answers)))
        return FZ_OK;
    plan *v = plan_new(b->a, PLAN_VALUES, 0, NULL, NULL);
    if (!v || !(v->values.cells = ARENA_ARRAY(b->a, const expr *, p->out.n)))
        return error_nomem(b->err);
    v->out = p->out;
    v->values.nrows = 1;
    v->rows = 1;
    for (uint32_t i = 0; i < n; i++)
        TRY(expr_const(b, answers[i], (sql_pos){0, 0}, &v->values.cells[i]));
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
    const plan *known;
    TRY(from_metadata(b, q, &known));
    if (known) {
        *out = known;
        return FZ_OK;
    }
    q->rows = opt_estimate(q);
    return constant_row(b, q, out);
}
