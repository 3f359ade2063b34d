/*
 * ops.c: the operators that keep nothing (filter, project) and the simple sources (scan, values).
 */
#include "exec/pipe_int.h"

/* ---- filter: narrows the selection ---- */

typedef struct filter_op { op o; query *q; const expr *e; } filter_op;
typedef struct filter_local { evaluator *ev; uint16_t sel[BATCH_ROWS + 8]; } filter_local;

static fz_status filter_open(op *o, query *q, void **local, fz_error *err)
{
    filter_op *f = (filter_op *)o;
    filter_local *l = mem_zalloc(&q->m, sizeof *l);
    *local = l;
    if (!l)
        return error_nomem(err);
    return evaluator_open(f->e, q->o.params, q->o.n_params, &q->m, &l->ev, err);
}
static fz_status filter_push(op *o, void *local, worker *w, uint32_t next, const batch *b, fz_error *err)
{
    filter_local *l = local;
    batch out = *b;
    if (b->nrows > BATCH_ROWS)
        return error_set(err, FZ_INTERNAL, "a batch of %u rows", b->nrows);
    TRY(evaluator_filter(l->ev, b, l->sel, &out.nsel, err));
    out.sel = out.nsel == b->nrows ? NULL : l->sel;
    return worker_push(w, next, &out, err);
}
static void filter_close(op *o, void *local)
{
    filter_local *l = local;
    evaluator_close(l->ev);
    mem_free(&((filter_op *)o)->q->m, l, sizeof *l);
}
static void op_nothing(op *o) {}
static const op_ops filter_ops = {filter_open, filter_push, filter_close, op_nothing};

fz_status op_filter_new(query *q, const expr *e, op **out, fz_error *err)
{
    filter_op *f = ARENA_NEW(&q->mem, filter_op);
    if (!f)
        return error_nomem(err);
    *f = (filter_op){{&filter_ops}, q, e};
    *out = &f->o;
    return FZ_OK;
}

/* ---- project ---- */

typedef struct project_op { op o; query *q; const plan *p; bool columns_only; } project_op;
typedef struct project_local { vec *cols; evaluator **ev; } project_local;

static fz_status project_open(op *o, query *q, void **local, fz_error *err)
{
    project_op *p = (project_op *)o;
    project_local *l = mem_zalloc(&q->m, sizeof *l);
    *local = l;
    if (!l)
        return error_nomem(err);
    uint32_t n = p->p->out.n;
    l->cols = mem_zalloc(&q->m, (n + 1) * sizeof *l->cols);
    l->ev = mem_zalloc(&q->m, (n + 1) * sizeof *l->ev);
    if (!l->cols || !l->ev)
        return error_nomem(err);
    for (uint32_t i = 0; i < n; i++)
        if (p->p->project.e[i]->kind != EX_COLUMN)
            TRY(evaluator_open(p->p->project.e[i], q->o.params, q->o.n_params, &q->m, &l->ev[i], err));
    return FZ_OK;
}
static fz_status project_push(op *o, void *local, worker *w, uint32_t next, const batch *b, fz_error *err)
{
    project_op *p = (project_op *)o;
    project_local *l = local;
    batch out = *b;
    for (uint32_t i = 0; i < p->p->out.n; i++) {
        const expr *e = p->p->project.e[i];
        if (e->kind == EX_COLUMN) {
            if (e->col >= b->ncols)
                return error_set(err, FZ_INTERNAL, "a projection of column %u of %u", e->col, b->ncols);
            l->cols[i] = b->cols[e->col];
        } else {
            TRY(evaluator_run(l->ev[i], b, &l->cols[i], err));
        }
    }
    out.cols = l->cols;
    out.ncols = p->p->out.n;
    out.stable = b->stable && p->columns_only;
    return worker_push(w, next, &out, err);
}
static void project_close(op *o, void *local)
{
    project_op *p = (project_op *)o;
    project_local *l = local;
    mem *m = &p->q->m;
    uint32_t n = p->p->out.n;
    for (uint32_t i = 0; l->ev && i < n; i++)
        evaluator_close(l->ev[i]);
    mem_free(m, l->ev, (n + 1) * sizeof *l->ev);
    mem_free(m, l->cols, (n + 1) * sizeof *l->cols);
    mem_free(m, l, sizeof *l);
}
static const op_ops project_ops = {project_open, project_push, project_close, op_nothing};

fz_status op_project_new(query *q, const plan *p, op **out, fz_error *err)
{
    project_op *o = ARENA_NEW(&q->mem, project_op);
    if (!o)
        return error_nomem(err);
    *o = (project_op){{&project_ops}, q, p, true};
    for (uint32_t i = 0; i < p->out.n; i++)
        o->columns_only &= p->project.e[i]->kind == EX_COLUMN;
    *out = &o->o;
    return FZ_OK;
}

/* ---- scan ---- */

typedef struct scan_source { psource s; scan *scan; } scan_source;

static fz_status scan_start(psource *s, query *q, int *workers, fz_error *err)
{
    *workers = ((scan_source *)s)->scan->max_workers;
    return FZ_OK;
}
static fz_status scan_local(psource *s, void **local, fz_error *err)
{
    scan *sc = ((scan_source *)s)->scan;
    return sc->ops->local_open(sc, local, err);
}
static fz_status scan_next(psource *s, void *local, task *waiter, batch *out, source_result *r, fz_error *err)
{
    scan *sc = ((scan_source *)s)->scan;
    return sc->ops->next(sc, local, waiter, out, r, err);
}
static void scan_local_close(psource *s, void *local)
{
    scan *sc = ((scan_source *)s)->scan;
    sc->ops->local_close(sc, local);
}
static void scan_close(psource *s)
{
    scan *sc = ((scan_source *)s)->scan;
    if (sc)
        sc->ops->close(sc);
}
static const psource_ops scan_source_ops = {scan_start, scan_local, scan_next, scan_local_close, scan_close};

fz_status source_scan_new(query *q, const plan *p, bool *filtered, psource **out, fz_error *err)
{
    scan_source *s = ARENA_NEW(&q->mem, scan_source);
    if (!s)
        return error_nomem(err);
    s->s = (psource){&scan_source_ops, true};
    scan_request r = {.ncols = p->out.n, .cols = p->scan.cols, .types = p->scan.types, .filter = p->scan.filter, .params = q->o.params,
                      .n_params = q->o.n_params, .limit = p->scan.limit, .j = &q->j};
    *filtered = false;
    TRY(p->scan.table->ops->open(p->scan.table, &r, &s->scan, filtered, err));
    *filtered |= !p->scan.filter;
    *out = &s->s;
    return FZ_OK;
}

/* ---- values ---- */

typedef struct values_source { psource s; query *q; const plan *p; uint32_t row, seq; bool told; } values_source;

static fz_status values_start(psource *s, query *q, int *workers, fz_error *err)
{
    *workers = 1;
    return FZ_OK;
}
static fz_status values_local(psource *s, void **local, fz_error *err)
{
    *local = NULL;
    return FZ_OK;
}

static fz_status value_of(values_source *v, const expr *e, arena *a, datum *d, fz_error *err)
{
    evaluator *ev;
    vec x;
    batch one = {.nrows = 1, .nsel = 1};
    if (e->kind == EX_CONST) {
        *d = e->value;
        d->t = e->t;
        return FZ_OK;
    }
    TRY(evaluator_open(e, v->q->o.params, v->q->o.n_params, &v->q->m, &ev, err));
    fz_status st = evaluator_run(ev, &one, &x, err);
    if (st == FZ_OK) {
        *d = vec_datum(&x, 0);
        d->t = e->t;
        if (!d->null && type_phys(e->t) == PHYS_STR && !(d->s.p = arena_strndup(a, d->s.p, d->s.n)))
            st = error_nomem(err);
        if (!d->null && type_is_nested(e->t)) { /* it lies in the evaluator's memory */
            vec *own = ARENA_NEW(a, vec);
            st = own ? vec_const(own, d, 1, a, err) : error_nomem(err);
            d->nested.v = own;
            d->nested.row = 0;
        }
    }
    evaluator_close(ev);
    return st;
}

/* A column of nested values: the rows' values, one behind the other. */
static fz_status nested_column(values_source *v, uint32_t c, uint32_t n, vec *out, arena *a, fz_error *err)
{
    const plan *p = v->p;
    vec *rows = ARENA_ARRAY(a, vec, n);
    if (!rows)
        return error_nomem(err);
    for (uint32_t i = 0; i < n; i++) {
        datum d;
        TRY(value_of(v, p->values.cells[(size_t)(v->row + i) * p->out.n + c], a, &d, err));
        TRY(vec_const(&rows[i], &d, 1, a, err));
    }
    return vec_concat(out, p->out.cols[c].t, rows, n, a, err);
}

static void datum_put(vec *v, uint32_t i, const datum *d)
{
    if (d->null) {
        bit_clear(v->valid, i);
        memset((char *)v->data + (size_t)i * phys_size(type_phys(v->t)), 0, phys_size(type_phys(v->t)));
        return;
    }
    switch (type_phys(v->t)) {
    case PHYS_U8: ((uint8_t *)v->data)[i] = d->b; break;
    case PHYS_I32: ((int32_t *)v->data)[i] = d->i32; break;
    case PHYS_I64: ((int64_t *)v->data)[i] = d->i64; break;
    case PHYS_I128: ((i128 *)v->data)[i] = d->i128v; break;
    case PHYS_F32: ((float *)v->data)[i] = d->f32; break;
    case PHYS_F64: ((double *)v->data)[i] = d->f64; break;
    case PHYS_STR: ((strview *)v->data)[i] = strview_make(d->s.p, (uint32_t)d->s.n); break;
    case PHYS_NONE:
    case PHYS_NESTED: break;
    }
}

static fz_status values_next(psource *s, void *local, task *waiter, batch *out, source_result *r, fz_error *err)
{
    values_source *v = (values_source *)s;
    const plan *p = v->p;
    uint32_t n = p->values.nrows - v->row;
    batch_reset(out);
    if (n == 0) {
        *r = v->told ? SOURCE_END : SOURCE_MORSEL_END;
        v->told = true;
        return FZ_OK;
    }
    if (n > BATCH_ROWS)
        n = BATCH_ROWS;
    TRY(batch_columns(out, p->out.n, err));
    for (uint32_t c = 0; c < p->out.n; c++) {
        if (type_is_nested(p->out.cols[c].t)) {
            TRY(nested_column(v, c, n, &out->cols[c], &out->mem, err));
            continue;
        }
        TRY(vec_alloc(&out->cols[c], p->out.cols[c].t, n, &out->mem, err));
        out->cols[c].valid = bitmap_alloc(&out->mem, n, true);
        if (!out->cols[c].valid)
            return error_nomem(err);
        for (uint32_t i = 0; i < n; i++) {
            datum d;
            TRY(value_of(v, p->values.cells[(size_t)(v->row + i) * p->out.n + c], &out->mem, &d, err));
            datum_put(&out->cols[c], i, &d);
        }
    }
    out->nrows = out->nsel = n;
    out->seq = v->seq++;
    v->row += n;
    *r = SOURCE_BATCH;
    return FZ_OK;
}
static void values_nothing(psource *s, void *local) {}
static void values_close(psource *s) {}
static const psource_ops values_ops = {values_start, values_local, values_next, values_nothing, values_close};

fz_status source_values_new(query *q, const plan *p, psource **out, fz_error *err)
{
    values_source *v = ARENA_NEW(&q->mem, values_source);
    if (!v)
        return error_nomem(err);
    *v = (values_source){{&values_ops, false}, q, p, 0, 0, false};
    *out = &v->s;
    return FZ_OK;
}
