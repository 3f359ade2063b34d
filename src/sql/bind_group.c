/* bind_group.c: the aggregate of a select, and its expressions rewritten to what the aggregate delivers. */
#include "sql/bind_int.h"

typedef struct regroup {
    binder *b;
    const bind_scope *scope;
    uint32_t nkeys;
    const expr *const *keys;
} regroup;

static fz_status not_grouped(regroup *g, const expr *e)
{
    const bind_col *col = &g->scope->cols[e->col];
    fz_status st = bind_fail(g->b, FZ_INVALID, "42803", (sql_pos){e->line, e->column},
                             "column \"" STR_FMT "\" is neither in GROUP BY nor inside of an aggregate", STR_ARG(col->name));
    error_hint(g->b->err, "add it to GROUP BY (or write GROUP BY ALL), or use an aggregate such as min(" STR_FMT ")", STR_ARG(col->name));
    return st;
}

static fz_status regroup_node(void *ctx, const expr *e, const expr **out, bool *replaced)
{
    regroup *g = ctx;
    sql_pos pos = {e->line, e->column};
    for (uint32_t i = 0; i < g->nkeys; i++)
        if (e->kind != EX_CONST && expr_equal(g->keys[i], e)) {
            *replaced = true;
            *out = expr_column(g->b, i, e->t, pos);
            return *out ? FZ_OK : FZ_NOMEM;
        }
    if (e->kind != EX_COLUMN || (e->col & COL_MARK) == COL_SUB)
        return FZ_OK;
    if (!(e->col & COL_AGG))
        return not_grouped(g, e);
    *replaced = true;
    *out = expr_column(g->b, g->nkeys + (e->col & ~COL_AGG), e->t, pos);
    return *out ? FZ_OK : FZ_NOMEM;
}

fz_status bind_group(binder *b, bind_level *level, const bind_scope *scope, uint32_t nkeys, const expr **keys, bind_aggs *aggs, uint32_t n,
                     const expr **exprs)
{
    regroup g = {b, scope, nkeys, keys};
    for (uint32_t i = 0; i < n; i++)
        TRY(expr_map(b->a, exprs[i], regroup_node, &g, &exprs[i]));
    /* What is grouped and aggregated may contain subqueries: they belong to the level below. */
    uint32_t n_below = nkeys;
    for (uint32_t i = 0; i < aggs->n; i++)
        n_below += (aggs->list[i].arg != NULL) + (aggs->list[i].filter != NULL);
    const expr **below = ARENA_ARRAY(b->a, const expr *, n_below + 1), **at = below;
    if (!below)
        return error_nomem(b->err);
    for (uint32_t i = 0; i < nkeys; i++)
        *at++ = keys[i];
    for (uint32_t i = 0; i < aggs->n; i++) {
        if (aggs->list[i].arg)
            *at++ = aggs->list[i].arg;
        if (aggs->list[i].filter)
            *at++ = aggs->list[i].filter;
    }
    TRY(level_attach(b, level, n_below, below));
    at = below + nkeys;
    for (uint32_t i = 0; i < aggs->n; i++) {
        if (aggs->list[i].arg)
            aggs->list[i].arg = *at++;
        if (aggs->list[i].filter)
            aggs->list[i].filter = *at++;
    }
    const plan *p;
    TRY(plan_aggregate(b, level->p, nkeys, below, aggs->n, aggs->list, &p));
    for (uint32_t i = 0; i < aggs->n; i++) {
        p->out.cols[nkeys + i].name = aggs->names[i];
        p->out.cols[nkeys + i].not_null = str_eqz(aggs->names[i], "count");
    }
    *level = (bind_level){.p = p};
    return FZ_OK;
}
