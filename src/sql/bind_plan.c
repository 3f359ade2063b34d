/* bind_plan.c: making plan nodes. */
#include "sql/bind_int.h"

plan *plan_new(arena *a, plan_kind kind, uint32_t n_in, const plan *in0, const plan *in1)
{
    plan *p = ARENA_NEW(a, plan);
    if (!p)
        return NULL;
    p->kind = kind;
    p->rows = -1;
    p->n = n_in;
    p->in = ARENA_ARRAY(a, const plan *, n_in ? n_in : 1);
    if (!p->in)
        return NULL;
    if (n_in > 0)
        p->in[0] = in0;
    if (n_in > 1)
        p->in[1] = in1;
    return p;
}

static fz_status out_columns(binder *b, plan *p, uint32_t n)
{
    p->out.n = n;
    p->out.cols = ARENA_ARRAY(b->a, column_def, n ? n : 1);
    if (!p->out.cols)
        return error_nomem(b->err);
    for (uint32_t i = 0; i < n; i++)
        p->out.cols[i].field_id = -1;
    return FZ_OK;
}

fz_status plan_filter(binder *b, const plan *in, const expr *e, const plan **out)
{
    plan *p = plan_new(b->a, PLAN_FILTER, 1, in, NULL);
    if (!p)
        return error_nomem(b->err);
    p->out = in->out;
    p->filter.e = e;
    *out = p;
    return FZ_OK;
}

fz_status plan_project(binder *b, const plan *in, uint32_t n, const bind_out *cols, const plan **out)
{
    plan *p = plan_new(b->a, PLAN_PROJECT, 1, in, NULL);
    if (!p)
        return error_nomem(b->err);
    TRY(out_columns(b, p, n));
    p->project.e = ARENA_ARRAY(b->a, const expr *, n ? n : 1);
    if (!p->project.e)
        return error_nomem(b->err);
    for (uint32_t i = 0; i < n; i++) {
        column_def *d = &p->out.cols[i];
        const expr *e = cols[i].e;
        p->project.e[i] = e;
        d->name = cols[i].name;
        d->t = e->t;
        d->doc = cols[i].doc;
        d->not_null = cols[i].not_null || (e->kind == EX_CONST && !e->value.null) || e->kind == EX_IS_NULL || e->kind == EX_IS_NOT_NULL ||
                      (e->kind == EX_COLUMN && in->out.cols[e->col].not_null);
    }
    p->rows = in->rows;
    *out = p;
    return FZ_OK;
}

fz_status plan_join(binder *b, join_kind kind, const plan *l, const plan *r, uint32_t nkeys, const expr **lk, const expr **rk,
                    const expr *residual, const plan **out)
{
    plan *p = plan_new(b->a, PLAN_JOIN, 2, l, r);
    if (!p)
        return error_nomem(b->err);
    bool both = kind != JOIN_SEMI && kind != JOIN_ANTI;
    TRY(out_columns(b, p, l->out.n + (both ? r->out.n : 0)));
    memcpy(p->out.cols, l->out.cols, l->out.n * sizeof *l->out.cols);
    for (uint32_t i = 0; both && i < r->out.n; i++) {
        p->out.cols[l->out.n + i] = r->out.cols[i];
        if (kind == JOIN_LEFT)
            p->out.cols[l->out.n + i].not_null = false;
    }
    p->join.kind = kind;
    p->join.nkeys = nkeys;
    p->join.left_keys = lk;
    p->join.right_keys = rk;
    p->join.residual = residual;
    *out = p;
    return FZ_OK;
}

fz_status plan_one_row(binder *b, const plan **out)
{
    plan *p = plan_new(b->a, PLAN_VALUES, 0, NULL, NULL);
    if (!p)
        return error_nomem(b->err);
    TRY(out_columns(b, p, 1));
    p->out.cols[0].t = TYPE(T_BOOL);
    p->values.nrows = 1;
    p->values.cells = ARENA_ARRAY(b->a, const expr *, 1);
    if (!p->values.cells)
        return error_nomem(b->err);
    p->rows = 1;
    *out = p;
    return expr_const(b, (datum){.t = TYPE(T_BOOL), .b = true}, (sql_pos){0, 0}, &p->values.cells[0]);
}

fz_status plan_aggregate(binder *b, const plan *in, uint32_t nkeys, const expr **keys, uint32_t naggs, const agg_expr *aggs, const plan **out)
{
    plan *p = plan_new(b->a, PLAN_AGGREGATE, 1, in, NULL);
    if (!p)
        return error_nomem(b->err);
    TRY(out_columns(b, p, nkeys + naggs));
    for (uint32_t i = 0; i < nkeys; i++) {
        column_def *d = &p->out.cols[i];
        d->t = keys[i]->t;
        if (keys[i]->kind == EX_COLUMN) {
            d->name = in->out.cols[keys[i]->col].name;
            d->not_null = in->out.cols[keys[i]->col].not_null;
        }
    }
    for (uint32_t i = 0; i < naggs; i++)
        p->out.cols[nkeys + i].t = aggs[i].t;
    p->aggregate.nkeys = nkeys;
    p->aggregate.keys = keys;
    p->aggregate.naggs = naggs;
    p->aggregate.aggs = aggs;
    if (nkeys == 0)
        p->rows = 1;
    *out = p;
    return FZ_OK;
}

fz_status plan_distinct(binder *b, const plan *in, const plan **out)
{
    const expr **keys = ARENA_ARRAY(b->a, const expr *, in->out.n ? in->out.n : 1);
    if (!keys)
        return error_nomem(b->err);
    for (uint32_t i = 0; i < in->out.n; i++)
        if (!(keys[i] = expr_column(b, i, in->out.cols[i].t, (sql_pos){0, 0})))
            return FZ_NOMEM;
    TRY(plan_aggregate(b, in, in->out.n, keys, 0, NULL, out));
    memcpy((*out)->out.cols, in->out.cols, in->out.n * sizeof *in->out.cols);
    return FZ_OK;
}
