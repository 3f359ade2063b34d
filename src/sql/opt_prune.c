/*
 * opt_prune.c: every node delivers only what is used above it. prune(p, used) makes the plan and says where each used column
 * stands now (map; what isn't used may be gone). Projections over projections are joined where nothing is computed twice.
 */
#include "sql/opt_int.h"

typedef struct pruned { const plan *p; uint32_t *map; } pruned;

static fz_status prune(binder *b, const plan *p, const bool *used, pruned *out);

static bool *flags(binder *b, uint32_t n)
{
    bool *f = ARENA_ARRAY(b->a, bool, n + 1);
    if (!f)
        error_nomem(b->err);
    return f;
}

static uint32_t *numbers(binder *b, uint32_t n)
{
    uint32_t *m = ARENA_ARRAY(b->a, uint32_t, n + 1);
    if (!m)
        error_nomem(b->err);
    return m;
}

/* The used columns, in order; *map tells where they went. */
static fz_status keep_columns(binder *b, const row_schema *in, const bool *used, row_schema *out, uint32_t **map)
{
    if (!(*map = numbers(b, in->n)) || !(out->cols = ARENA_ARRAY(b->a, column_def, in->n + 1)))
        return error_nomem(b->err);
    out->n = 0;
    for (uint32_t i = 0; i < in->n; i++)
        if (used[i]) {
            (*map)[i] = out->n;
            out->cols[out->n++] = in->cols[i];
        }
    return FZ_OK;
}

static fz_status prune_scan(binder *b, const plan *p, const bool *used, pruned *out)
{
    bool *need = flags(b, p->out.n);
    plan *q = plan_copy(b->a, p);
    if (!need || !q)
        return FZ_NOMEM;
    memcpy(need, used, p->out.n);
    if (p->scan.filter)
        expr_columns(p->scan.filter, need);
    TRY(keep_columns(b, &p->out, need, &q->out, &out->map));
    if (!(q->scan.cols = numbers(b, q->out.n)))
        return FZ_NOMEM;
    for (uint32_t i = 0; i < p->out.n; i++)
        if (need[i])
            q->scan.cols[out->map[i]] = p->scan.cols[i];
    if (p->scan.filter)
        TRY(expr_renumber(b, p->scan.filter, out->map, &q->scan.filter));
    out->p = q;
    return FZ_OK;
}

static fz_status prune_values(binder *b, const plan *p, const bool *used, pruned *out)
{
    bool *need = flags(b, p->out.n), any = false;
    plan *q = plan_copy(b->a, p);
    if (!need || !q)
        return FZ_NOMEM;
    for (uint32_t i = 0; i < p->out.n; i++)
        any |= need[i] = used[i];
    if (!any && p->out.n)
        need[0] = true; /* rows need a column to stand in */
    TRY(keep_columns(b, &p->out, need, &q->out, &out->map));
    q->values.cells = ARENA_ARRAY(b->a, const expr *, (size_t)p->values.nrows * q->out.n + 1);
    if (!q->values.cells)
        return error_nomem(b->err);
    for (uint32_t r = 0; r < p->values.nrows; r++)
        for (uint32_t i = 0; i < p->out.n; i++)
            if (need[i])
                q->values.cells[(size_t)r * q->out.n + out->map[i]] = p->values.cells[(size_t)r * p->out.n + i];
    out->p = q;
    return FZ_OK;
}

/* ---- projections ---- */

static void count_uses(const expr *e, uint32_t *uses)
{
    if (e->kind == EX_COLUMN)
        uses[e->col]++;
    for (uint32_t i = 0; i < e->n; i++)
        count_uses(e->args[i], uses);
}

/* A projection over a projection becomes one, unless something would be computed more than once. */
static fz_status merge_projects(binder *b, plan *q)
{
    while (q->in[0]->kind == PLAN_PROJECT) {
        const plan *in = q->in[0];
        uint32_t *uses = numbers(b, in->out.n);
        if (!uses)
            return FZ_NOMEM;
        for (uint32_t i = 0; i < q->out.n; i++)
            count_uses(q->project.e[i], uses);
        for (uint32_t i = 0; i < in->out.n; i++)
            if (uses[i] > 1 && in->project.e[i]->n)
                return FZ_OK;
        const expr **e = ARENA_ARRAY(b->a, const expr *, q->out.n + 1);
        if (!e)
            return error_nomem(b->err);
        for (uint32_t i = 0; i < q->out.n; i++)
            TRY(expr_substitute(b, q->project.e[i], in->project.e, &e[i]));
        q->project.e = e;
        q->in[0] = in->in[0];
    }
    return FZ_OK;
}

static bool is_identity(const plan *q)
{
    for (uint32_t i = 0; i < q->out.n; i++)
        if (q->project.e[i]->kind != EX_COLUMN || q->project.e[i]->col != i)
            return false;
    return q->out.n == q->in[0]->out.n;
}

static fz_status prune_project(binder *b, const plan *p, const bool *used, pruned *out)
{
    bool *need = flags(b, p->in[0]->out.n), any = false;
    pruned in;
    plan *q = plan_copy(b->a, p);
    if (!need || !q)
        return FZ_NOMEM;
    for (uint32_t i = 0; i < p->out.n; i++)
        if (used[i]) {
            expr_columns(p->project.e[i], need);
            any = true;
        }
    TRY(prune(b, p->in[0], need, &in));
    TRY(keep_columns(b, &p->out, used, &q->out, &out->map));
    if (!any && p->out.n) { /* only the number of rows counts */
        out->p = in.p;
        return FZ_OK;
    }
    q->in[0] = in.p;
    q->project.e = ARENA_ARRAY(b->a, const expr *, q->out.n + 1);
    if (!q->project.e)
        return error_nomem(b->err);
    for (uint32_t i = 0; i < p->out.n; i++)
        if (used[i])
            TRY(expr_renumber(b, p->project.e[i], in.map, &q->project.e[out->map[i]]));
    TRY(merge_projects(b, q));
    out->p = is_identity(q) ? q->in[0] : q; /* names count at the root only, which looks after them itself */
    return FZ_OK;
}

/* ---- aggregates and joins ---- */

static fz_status prune_aggregate(binder *b, const plan *p, const bool *used, pruned *out)
{
    uint32_t nkeys = p->aggregate.nkeys, naggs = 0;
    bool *need = flags(b, p->in[0]->out.n), *keep = flags(b, p->out.n);
    pruned in;
    plan *q = plan_copy(b->a, p);
    agg_expr *aggs = ARENA_ARRAY(b->a, agg_expr, p->aggregate.naggs + 1);
    const expr **keys = ARENA_ARRAY(b->a, const expr *, nkeys + 1);
    if (!need || !keep || !q || !aggs || !keys)
        return error_nomem(b->err);
    for (uint32_t i = 0; i < p->out.n; i++)
        keep[i] = i < nkeys || used[i];
    if (!nkeys) { /* its one row needs a column */
        bool any = false;
        for (uint32_t i = 0; i < p->out.n; i++)
            any |= keep[i];
        if (!any && p->out.n)
            keep[0] = true;
    }
    for (uint32_t i = 0; i < nkeys; i++)
        expr_columns(p->aggregate.keys[i], need);
    for (uint32_t i = 0; i < p->aggregate.naggs; i++) {
        const agg_expr *g = &p->aggregate.aggs[i];
        if (keep[nkeys + i] && g->arg)
            expr_columns(g->arg, need);
        if (keep[nkeys + i] && g->filter)
            expr_columns(g->filter, need);
    }
    TRY(prune(b, p->in[0], need, &in));
    TRY(keep_columns(b, &p->out, keep, &q->out, &out->map));
    q->in[0] = in.p;
    for (uint32_t i = 0; i < nkeys; i++)
        TRY(expr_renumber(b, p->aggregate.keys[i], in.map, &keys[i]));
    for (uint32_t i = 0; i < p->aggregate.naggs; i++) {
        agg_expr g = p->aggregate.aggs[i];
        if (!keep[nkeys + i])
            continue;
        if (g.arg)
            TRY(expr_renumber(b, g.arg, in.map, &g.arg));
        if (g.filter)
            TRY(expr_renumber(b, g.filter, in.map, &g.filter));
        aggs[naggs++] = g;
    }
    q->aggregate.keys = keys;
    q->aggregate.aggs = aggs;
    q->aggregate.naggs = naggs;
    out->p = q;
    return FZ_OK;
}

static fz_status join_out(binder *b, plan *q, const plan *old)
{
    bool both = q->join.kind != JOIN_SEMI && q->join.kind != JOIN_ANTI;
    const plan *l = q->in[0], *r = q->in[1];
    (void)old;
    q->out.n = l->out.n + (both ? r->out.n : 0);
    q->out.cols = ARENA_ARRAY(b->a, column_def, q->out.n + 1);
    if (!q->out.cols)
        return error_nomem(b->err);
    for (uint32_t i = 0; i < q->out.n; i++) {
        q->out.cols[i] = i < l->out.n ? l->out.cols[i] : r->out.cols[i - l->out.n];
        if (i >= l->out.n && q->join.kind == JOIN_LEFT)
            q->out.cols[i].not_null = false;
    }
    return FZ_OK;
}

static fz_status prune_join(binder *b, const plan *p, const bool *used, pruned *out)
{
    uint32_t nl = p->in[0]->out.n, nr = p->in[1]->out.n, n = p->join.nkeys;
    bool *need = flags(b, nl + nr);
    plan *q = plan_copy(b->a, p);
    pruned l, r;
    const expr **lk = ARENA_ARRAY(b->a, const expr *, n + 1), **rk = ARENA_ARRAY(b->a, const expr *, n + 1);
    if (!need || !q || !lk || !rk)
        return error_nomem(b->err);
    memcpy(need, used, p->out.n);
    if (p->join.residual)
        expr_columns(p->join.residual, need);
    for (uint32_t i = 0; i < n; i++) {
        expr_columns(p->join.left_keys[i], need);
        expr_columns(p->join.right_keys[i], need + nl);
    }
    TRY(prune(b, p->in[0], need, &l));
    TRY(prune(b, p->in[1], need + nl, &r));
    q->in[0] = l.p;
    q->in[1] = r.p;
    if (!(out->map = numbers(b, nl + nr)))
        return FZ_NOMEM;
    for (uint32_t i = 0; i < nl; i++)
        out->map[i] = l.map[i];
    for (uint32_t i = 0; i < nr; i++)
        out->map[nl + i] = l.p->out.n + r.map[i];
    for (uint32_t i = 0; i < n; i++) {
        TRY(expr_renumber(b, p->join.left_keys[i], l.map, &lk[i]));
        TRY(expr_renumber(b, p->join.right_keys[i], r.map, &rk[i]));
    }
    q->join.left_keys = lk;
    q->join.right_keys = rk;
    if (p->join.residual)
        TRY(expr_renumber(b, p->join.residual, out->map, &q->join.residual));
    TRY(join_out(b, q, p));
    out->p = q;
    return FZ_OK;
}

/* ---- the rest ---- */

/* A projection to exactly the used columns, in order; nothing where the plan is that already. */
static fz_status exactly(binder *b, const row_schema *names, const bool *used, const pruned *in, const plan **out)
{
    uint32_t n = 0;
    bool same = true;
    bind_out *cols = ARENA_ARRAY(b->a, bind_out, names->n + 1);
    if (!cols)
        return error_nomem(b->err);
    for (uint32_t i = 0; i < names->n; i++) {
        if (!used[i])
            continue;
        const column_def *d = &names->cols[i];
        same &= in->map[i] == n;
        cols[n].name = d->name;
        cols[n].doc = d->doc;
        cols[n].not_null = d->not_null;
        if (!(cols[n++].e = expr_column(b, in->map[i], d->t, (sql_pos){0, 0})))
            return FZ_NOMEM;
    }
    *out = in->p;
    return same && n == in->p->out.n ? FZ_OK : plan_project(b, in->p, n, cols, out);
}

static fz_status prune_union(binder *b, const plan *p, const bool *used, pruned *out)
{
    plan *q = plan_copy(b->a, p);
    bool *need = flags(b, p->out.n), any = false;
    if (!q || !need)
        return FZ_NOMEM;
    for (uint32_t i = 0; i < p->out.n; i++)
        any |= need[i] = used[i];
    if (!any)
        need[0] = true;
    TRY(keep_columns(b, &p->out, need, &q->out, &out->map));
    for (uint32_t i = 0; i < p->n; i++) {
        pruned in;
        TRY(prune(b, p->in[i], need, &in));
        TRY(exactly(b, &p->in[i]->out, need, &in, &q->in[i]));
    }
    out->p = q;
    return FZ_OK;
}

/* Filter, sort, limit: the input's columns go through. */
static fz_status prune_through(binder *b, const plan *p, const bool *used, pruned *out)
{
    bool *need = flags(b, p->out.n);
    plan *q = plan_copy(b->a, p);
    pruned in;
    if (!need || !q)
        return FZ_NOMEM;
    memcpy(need, used, p->out.n);
    if (p->kind == PLAN_FILTER)
        expr_columns(p->filter.e, need);
    for (uint32_t i = 0; p->kind == PLAN_SORT && i < p->sort.nkeys; i++)
        expr_columns(p->sort.keys[i].e, need);
    TRY(prune(b, p->in[0], need, &in));
    q->in[0] = in.p;
    q->out = in.p->out;
    out->map = in.map;
    if (p->kind == PLAN_FILTER)
        TRY(expr_renumber(b, p->filter.e, in.map, &q->filter.e));
    if (p->kind == PLAN_SORT) {
        sort_key *keys = ARENA_ARRAY(b->a, sort_key, p->sort.nkeys + 1);
        if (!keys)
            return error_nomem(b->err);
        for (uint32_t i = 0; i < p->sort.nkeys; i++) {
            keys[i] = p->sort.keys[i];
            TRY(expr_renumber(b, p->sort.keys[i].e, in.map, &keys[i].e));
        }
        q->sort.keys = keys;
    }
    out->p = q;
    return FZ_OK;
}

static fz_status prune(binder *b, const plan *p, const bool *used, pruned *out)
{
    switch (p->kind) {
    case PLAN_SCAN: return prune_scan(b, p, used, out);
    case PLAN_VALUES: return prune_values(b, p, used, out);
    case PLAN_PROJECT: return prune_project(b, p, used, out);
    case PLAN_AGGREGATE: return prune_aggregate(b, p, used, out);
    case PLAN_JOIN: return prune_join(b, p, used, out);
    case PLAN_UNION_ALL: return prune_union(b, p, used, out);
    case PLAN_FILTER: case PLAN_SORT: case PLAN_LIMIT: return prune_through(b, p, used, out);
    }
    return error_set(b->err, FZ_INTERNAL, "unknown plan node");
}

fz_status opt_prune(binder *b, const plan *p, const plan **out)
{
    bool *all = flags(b, p->out.n);
    pruned r;
    if (!all)
        return FZ_NOMEM;
    memset(all, true, p->out.n);
    TRY(prune(b, p, all, &r));
    TRY(exactly(b, &p->out, all, &r, out));
    bool same = (*out)->out.n == p->out.n;
    for (uint32_t i = 0; i < p->out.n && same; i++)
        same = str_eq((*out)->out.cols[i].name, p->out.cols[i].name);
    if (same)
        return FZ_OK;
    if ((*out)->kind != PLAN_SCAN) { /* the names are the statement's, not the input's */
        plan *q = plan_copy(b->a, *out);
        if (!q)
            return error_nomem(b->err);
        q->out = p->out;
        *out = q;
        return FZ_OK;
    }
    bind_out *cols = ARENA_ARRAY(b->a, bind_out, p->out.n + 1);
    if (!cols)
        return error_nomem(b->err);
    for (uint32_t i = 0; i < p->out.n; i++) {
        const column_def *d = &p->out.cols[i];
        cols[i] = (bind_out){.name = d->name, .e = expr_column(b, i, d->t, (sql_pos){0, 0}), .not_null = d->not_null, .doc = d->doc};
        if (!cols[i].e)
            return FZ_NOMEM;
    }
    return plan_project(b, *out, p->out.n, cols, out);
}
