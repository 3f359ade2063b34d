/*
 * opt_fields.c: structs that a scan delivers lose the fields that nobody reads.
 *
 * Only where a projection or an aggregate stands on the scan, with nothing but filters between: there each use of a column
 * is an expression that can be looked at. Nodes that carry whole columns (joins, sorts) need them whole. The scan's own column
 * types stay as they are, and so do expressions: taking a field looks it up in the vector that comes.
 */
#include "sql/opt_int.h"

/* What is read of a value: all of it, or fields. */
typedef struct reads {
    type t;
    bool all, any;
    struct reads *fields; /* of a struct */
} reads;

static fz_status reads_open(binder *b, reads *r)
{
    if (r->fields || r->t.id != T_STRUCT)
        return FZ_OK;
    if (!(r->fields = ARENA_ARRAY(b->a, reads, r->t.children->n + 1)))
        return error_nomem(b->err);
    for (uint32_t i = 0; i < r->t.children->n; i++)
        r->fields[i].t = r->t.children->f[i].t;
    return FZ_OK;
}

/* The place of a column, or of a field of a field of it; NULL: the expression is something else. */
static fz_status place_of(binder *b, reads *cols, const expr *e, reads **out)
{
    *out = NULL;
    if (e->kind == EX_COLUMN) {
        *out = &cols[e->col];
        (*out)->any = true;
        return FZ_OK;
    }
    if (e->kind != EX_CALL || e->fn != func_field())
        return FZ_OK;
    reads *of;
    TRY(place_of(b, cols, e->args[0], &of));
    if (!of)
        return FZ_OK;
    TRY(reads_open(b, of));
    for (uint32_t i = 0; of->fields && i < of->t.children->n; i++)
        if (str_eq(of->t.children->f[i].name, e->args[1]->value.s)) {
            *out = &of->fields[i];
            (*out)->any = true;
        }
    return FZ_OK;
}

static fz_status reads_add(binder *b, reads *cols, const expr *e)
{
    reads *at;
    if (!e)
        return FZ_OK;
    TRY(place_of(b, cols, e, &at));
    if (at) {
        at->all = true;
        return FZ_OK;
    }
    for (uint32_t i = 0; i < e->n; i++)
        TRY(reads_add(b, cols, e->args[i]));
    return FZ_OK;
}

/* The type with the fields that are read. */
static fz_status narrow(binder *b, const reads *r, type *out)
{
    *out = r->t;
    if (r->all || !r->any || !r->fields)
        return FZ_OK;
    type_fields *f = arena_zalloc(b->a, sizeof *f + r->t.children->n * sizeof f->f[0]);
    if (!f)
        return error_nomem(b->err);
    for (uint32_t i = 0; i < r->t.children->n; i++) {
        if (!r->fields[i].any)
            continue;
        f->f[f->n] = r->t.children->f[i];
        TRY(narrow(b, &r->fields[i], &f->f[f->n++].t));
    }
    out->children = f;
    return FZ_OK;
}

/* What the nodes from p down to the scan read of its columns. */
static fz_status reads_of(binder *b, const plan *p, reads *cols)
{
    for (uint32_t i = 0; p->kind == PLAN_PROJECT && i < p->out.n; i++)
        TRY(reads_add(b, cols, p->project.e[i]));
    for (uint32_t i = 0; p->kind == PLAN_AGGREGATE && i < p->aggregate.nkeys; i++)
        TRY(reads_add(b, cols, p->aggregate.keys[i]));
    for (uint32_t i = 0; p->kind == PLAN_AGGREGATE && i < p->aggregate.naggs; i++) {
        TRY(reads_add(b, cols, p->aggregate.aggs[i].arg));
        TRY(reads_add(b, cols, p->aggregate.aggs[i].filter));
    }
    if (p->kind == PLAN_FILTER)
        TRY(reads_add(b, cols, p->filter.e));
    if (p->kind == PLAN_SCAN)
        return reads_add(b, cols, p->scan.filter);
    return reads_of(b, p->in[0], cols);
}

static fz_status scan_narrow(binder *b, const plan *scan, const reads *cols, const plan **out)
{
    type *types = ARENA_ARRAY(b->a, type, scan->out.n + 1);
    plan *q = plan_copy(b->a, scan);
    bool less = false;
    if (!types || !q)
        return error_nomem(b->err);
    for (uint32_t i = 0; i < scan->out.n; i++) {
        TRY(narrow(b, &cols[i], &types[i]));
        less |= types[i].children != scan->out.cols[i].t.children;
    }
    q->scan.types = types;
    *out = less ? q : scan;
    return FZ_OK;
}

/* p: a node over the scan `at`, with filters between; makes them anew. */
static fz_status replace_scan(binder *b, const plan *p, const reads *cols, const plan **out)
{
    if (p->kind == PLAN_SCAN)
        return scan_narrow(b, p, cols, out);
    plan *q = plan_copy(b->a, p);
    if (!q)
        return error_nomem(b->err);
    TRY(replace_scan(b, p->in[0], cols, &q->in[0]));
    *out = q;
    return FZ_OK;
}

fz_status opt_fields(binder *b, const plan *p, const plan **out)
{
    const plan *scan = p->n ? p->in[0] : NULL;
    while (scan && scan->kind == PLAN_FILTER)
        scan = scan->in[0];
    *out = p;
    if (scan && scan->kind == PLAN_SCAN && (p->kind == PLAN_PROJECT || p->kind == PLAN_AGGREGATE)) {
        reads *cols = ARENA_ARRAY(b->a, reads, scan->out.n + 1);
        bool structs = false;
        if (!cols)
            return error_nomem(b->err);
        for (uint32_t i = 0; i < scan->out.n; i++) {
            cols[i].t = scan->out.cols[i].t;
            structs |= cols[i].t.id == T_STRUCT;
        }
        if (!structs)
            return FZ_OK;
        TRY(reads_of(b, p, cols));
        return replace_scan(b, p, cols, out);
    }
    plan *q = NULL;
    for (uint32_t i = 0; i < p->n; i++) {
        const plan *in;
        TRY(opt_fields(b, p->in[i], &in));
        if (in == p->in[i])
            continue;
        if (!q && !(q = plan_copy(b->a, p)))
            return error_nomem(b->err);
        q->in[i] = in;
    }
    *out = q ? q : p;
    return FZ_OK;
}
