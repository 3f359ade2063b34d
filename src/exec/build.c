/*
 * build.c: cuts a plan into pipelines, in the order in which they run: what a pipeline reads from was
 * added before it.
 */
#include "exec/pipe_int.h"

#define PLAN_DEPTH_MAX 1000

static fz_status grow(arena *a, void **items, uint32_t n, uint32_t *cap, size_t size, fz_error *err)
{
    if (n < *cap)
        return FZ_OK;
    uint32_t more = *cap ? *cap * 2 : 4;
    void *p = arena_array(a, size, more);
    if (!p)
        return error_nomem(err);
    if (n)
        memcpy(p, *items, n * size);
    *items = p;
    *cap = more;
    return FZ_OK;
}

static fz_status pipe_add(query *q, pipeline *p, fz_error *err)
{
    TRY(grow(&q->mem, (void **)&q->pipes, q->npipes, &q->cappipes, sizeof *q->pipes, err));
    q->pipes[q->npipes++] = p;
    return FZ_OK;
}

static fz_status branch_add(query *q, pipeline *p, psource *src, fz_error *err)
{
    TRY(grow(&q->mem, (void **)&p->branches, p->nbranches, &p->capbranches, sizeof *p->branches, err));
    p->branches[p->nbranches++] = (branch){.src = src};
    return FZ_OK;
}

/* Appends an operator to the branches from `from` on. */
static fz_status op_add(query *q, pipeline *p, uint32_t from, op *o, fz_error *err)
{
    for (uint32_t i = from; i < p->nbranches; i++) {
        branch *b = &p->branches[i];
        TRY(grow(&q->mem, (void **)&b->ops, b->nops, &b->capops, sizeof *b->ops, err));
        b->ops[b->nops++] = o;
    }
    return FZ_OK;
}

static fz_status build(query *q, const plan *p, pipeline *into, uint32_t depth, fz_error *err);

/* A pipeline of its own for the input of an operator that needs all of it. */
static fz_status build_breaker(query *q, const plan *in, psink *sink, uint32_t depth, fz_error *err)
{
    pipeline *p = ARENA_NEW(&q->mem, pipeline);
    if (!p)
        return error_nomem(err);
    p->sink = sink;
    fz_status st = build(q, in, p, depth, err);
    /* Kept also after a failure: query_close releases what it has. */
    fz_status added = pipe_add(q, p, st == FZ_OK ? err : NULL);
    if (added != FZ_OK)
        pipeline_free(p);
    return st == FZ_OK ? added : st;
}

static fz_status build_scan(query *q, const plan *p, pipeline *into, fz_error *err)
{
    psource *src;
    op *o;
    uint32_t from = into->nbranches;
    bool filtered;
    TRY(source_scan_new(q, p, &filtered, &src, err));
    fz_status st = branch_add(q, into, src, err);
    if (st != FZ_OK) {
        src->ops->close(src);
        return st;
    }
    if (filtered)
        return FZ_OK;
    TRY(op_filter_new(q, p->scan.filter, &o, err));
    return op_add(q, into, from, o, err);
}

static fz_status build_join(query *q, const plan *p, pipeline *into, uint32_t depth, fz_error *err)
{
    bool left = p->join.build_left && (p->join.kind == JOIN_INNER || p->join.kind == JOIN_CROSS);
    uint32_t from = into->nbranches;
    psink *sink;
    op *probe;
    psource *late;
    TRY(join_new(q, p, left, &sink, &probe, &late, err));
    TRY(build_breaker(q, p->in[left ? 0 : 1], sink, depth, err));
    TRY(build(q, p->in[left ? 1 : 0], into, depth, err));
    TRY(branch_add(q, into, late, err));
    return op_add(q, into, from, probe, err);
}

static fz_status build_aggregate(query *q, const plan *p, pipeline *into, uint32_t depth, fz_error *err)
{
    psink *sink, *more;
    psource *src, **values;
    uint32_t n;
    TRY(agg_new(q, p, &sink, &src, &more, &values, &n, err));
    TRY(build_breaker(q, p->in[0], sink, depth, err));
    if (n) {
        pipeline *second = ARENA_NEW(&q->mem, pipeline);
        if (!second)
            return error_nomem(err);
        second->sink = more;
        for (uint32_t i = 0; i < n; i++)
            TRY(branch_add(q, second, values[i], err));
        TRY(pipe_add(q, second, err));
    }
    return branch_add(q, into, src, err);
}

static fz_status build(query *q, const plan *p, pipeline *into, uint32_t depth, fz_error *err)
{
    uint32_t from = into->nbranches;
    psink *sink;
    psource *src;
    op *o;
    if (depth >= PLAN_DEPTH_MAX)
        return error_sql(err, FZ_LIMIT, "54001", "the plan is nested more than %d deep", PLAN_DEPTH_MAX);
    switch (p->kind) {
    case PLAN_SCAN: return build_scan(q, p, into, err);
    case PLAN_VALUES:
        TRY(source_values_new(q, p, &src, err));
        return branch_add(q, into, src, err);
    case PLAN_FILTER:
        TRY(build(q, p->in[0], into, depth + 1, err));
        TRY(op_filter_new(q, p->filter.e, &o, err));
        return op_add(q, into, from, o, err);
    case PLAN_PROJECT:
        TRY(build(q, p->in[0], into, depth + 1, err));
        TRY(op_project_new(q, p, &o, err));
        return op_add(q, into, from, o, err);
    case PLAN_AGGREGATE:
        return build_aggregate(q, p, into, depth + 1, err);
    case PLAN_SORT:
        TRY(sort_new(q, p, &sink, &src, err));
        TRY(build_breaker(q, p->in[0], sink, depth + 1, err));
        return branch_add(q, into, src, err);
    case PLAN_LIMIT:
        TRY(limit_new(q, p, &sink, &src, err));
        TRY(build_breaker(q, p->in[0], sink, depth + 1, err));
        return branch_add(q, into, src, err);
    case PLAN_JOIN: return build_join(q, p, into, depth + 1, err);
    case PLAN_UNION_ALL:
        for (uint32_t i = 0; i < p->n; i++)
            TRY(build(q, p->in[i], into, depth + 1, err));
        return FZ_OK;
    }
    return error_set(err, FZ_INTERNAL, "an unknown plan node %d", (int)p->kind);
}

fz_status query_build(query *q, fz_error *err)
{
    const plan *p = q->p->kind == PLAN_LIMIT ? q->p->in[0] : q->p; /* the output cuts it */
    return build_breaker(q, p, q->out, 0, err);
}
