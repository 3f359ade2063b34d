/*
 * result.c: results: rows pulled from a query as they are asked for, as Arrow arrays or a stream.
 */
#include "engine/engine_int.h"

#include "arrow/bridge.h"

#include <errno.h>

static fz_status result_new(fz_session *s, const char *tag, fz_result **out, fz_error *err)
{
    fz_result *r = mem_zalloc(&s->m, sizeof *r);
    if (!r)
        return error_nomem(err);
    r->s = s;
    r->tag = tag;
    r->affected = -1;
    batch_init(&r->cur, &s->m);
    *out = r;
    return FZ_OK;
}

fz_status result_begin(fz_session *s, const char *tag, fz_result **r, fz_error *err)
{
    *r = NULL;
    return result_new(s, tag, r, err);
}

fz_status result_end(fz_result *r, fz_status work, int64_t affected, fz_result **out)
{
    if (work) {
        fz_result_release(r);
        return work;
    }
    r->affected = affected;
    *out = r;
    return FZ_OK;
}

static fz_status bind_query(statement *st, fz_error *err)
{
    if (st->ast && st->ast->kind == ST_QUERY && !st->plan) {
        sql_bind_options o;
        TRY(statement_bind_options(st, &o, err));
        TRY(sql_bind_query(st->ast->query, &o, &st->bound, err));
        st->plan = st->bound.plan;
    }
    return statement_open(st, err);
}

/* Starts the query; where it reads CSV files the first batch is computed here, since until then types may still widen. */
static fz_status start(fz_result *r, fz_error *err)
{
    statement *st = r->st;
    for (;;) {
        fz_status s = bind_query(st, err);
        if (!s && st->n_inputs) {
            s = query_next(st->q, &r->cur, &r->end, err);
            r->taken = true;
            r->ahead = !s && !r->end;
        }
        if (!s) {
            statement_keep_types(st);
            r->schema = st->plan->out;
            return FZ_OK;
        }
        batch_reset(&r->cur);
        if (!statement_restart(st, &s, err))
            return s;
    }
}

fz_status result_of_query(statement *st, const char *tag, fz_result **out, fz_error *err)
{
    fz_result *r;
    fz_status s = result_new(st->s, tag, &r, err);
    if (s) {
        statement_free(st);
        return s;
    }
    r->st = st;
    s = start(r, err);
    if (s) {
        fz_result_release(r);
        return s;
    }
    *out = r;
    return FZ_OK;
}

fz_status result_of_cells(statement *st, const char *tag, row_schema schema, uint32_t nrows, const datum *cells,
                          fz_result **out, fz_error *err)
{
    arena *a = &st->plan_mem;
    plan *p = ARENA_NEW(a, plan);
    size_t n = (size_t)nrows * schema.n;
    expr *e = ARENA_ARRAY(a, expr, n + 1);
    const expr **refs = ARENA_ARRAY(a, const expr *, n + 1);
    if (!p || !e || !refs) {
        statement_free(st);
        return error_nomem(err);
    }
    for (size_t i = 0; i < n; i++) {
        e[i] = (expr){.kind = EX_CONST, .t = schema.cols[i % schema.n].t, .value = cells[i]};
        e[i].value.t = e[i].t;
        refs[i] = &e[i];
    }
    p->kind = PLAN_VALUES;
    p->out = schema;
    p->rows = nrows;
    p->values.nrows = nrows;
    p->values.cells = refs;
    st->plan = p;
    st->bound.n_params = 0; /* a statement that was described or explained needs no values */
    return result_of_query(st, tag, out, err);
}

int fz_result_has_rows(const fz_result *r)
{
    return r->st != NULL;
}

int64_t fz_result_rows_affected(const fz_result *r)
{
    return r->affected;
}

const char *fz_result_tag(const fz_result *r)
{
    return r->tag;
}

fz_status result_next_batch(fz_result *r, fz_error *err)
{
    if (r->ahead) {
        r->ahead = false;
        return FZ_OK;
    }
    if (r->end || !r->st) {
        r->end = true;
        return FZ_OK;
    }
    if (r->arrays.make && !r->taken)
        return error_set(err, FZ_INVALID, "the rows of this result are taken as arrays already");
    r->taken = true;
    fz_status s = query_next(r->st->q, &r->cur, &r->end, err);
    if (s)
        r->end = true;
    if (r->end)
        statement_idle(r->st);
    return session_failed(r->s, s, err);
}

fz_status fz_result_schema(fz_result *r, struct ArrowSchema *out, fz_error *err)
{
    return bridge_export_schema(&r->schema, out, err);
}

/* ---- as arrays ----
 *
 * They are made by the query's workers where the first thing that is asked of a result is an array. A result of which
 * batches were taken already goes on with batches. */

static fz_status array_export(fz_result *r, const batch *b, struct ArrowArray *out, fz_error *err)
{
    return bridge_export_shared(&r->schema, b, r->slabs ? &r->exports : r->s->lake->m, r->shared, out, err);
}

static fz_status array_make(void *ctx, const batch *b, void **made, fz_error *err)
{
    fz_result *r = ctx;
    struct ArrowArray *a = mem_alloc(&r->s->m, sizeof *a);
    if (!a)
        return error_nomem(err);
    fz_status st = array_export(r, b, a, err);
    if (st)
        mem_free(&r->s->m, a, sizeof *a);
    else
        *made = a;
    return st;
}

static void array_drop(void *ctx, void *made)
{
    fz_result *r = ctx;
    struct ArrowArray *a = made;
    a->release(a);
    mem_free(&r->s->m, a, sizeof *a);
}

static fz_status arrays_begin(fz_result *r, fz_error *err)
{
    if (!r->slabs && !r->s->lake->m->hooks.resize) { /* a program's own allocator is used for everything */
        if (!(r->slabs = slab_pool_new()))
            return error_nomem(err);
        mem_hooks h = slab_hooks(r->slabs);
        mem_init(&r->exports, NULL, &h, 0);
    }
    if (!r->shared && !(r->shared = bridge_shared_new(r->schema.n)))
        return error_nomem(err);
    r->arrays = (query_maker){array_make, array_drop, r};
    return FZ_OK;
}

fz_status fz_result_next(fz_result *r, struct ArrowArray *out, fz_error *err)
{
    out->release = NULL;
    if (!r->arrays.make)
        TRY(arrays_begin(r, err));
    if (r->taken) {
        TRY(result_next_batch(r, err));
        return r->end ? FZ_OK : array_export(r, &r->cur, out, err);
    }
    if (r->end || !r->st) {
        r->end = true;
        return FZ_OK;
    }
    struct ArrowArray *a;
    fz_status s = query_next_made(r->st->q, &r->arrays, (void **)&a, err);
    if (s || !a) {
        r->end = true;
        statement_idle(r->st);
        return s;
    }
    *out = *a;
    mem_free(&r->s->m, a, sizeof *a);
    return FZ_OK;
}

void fz_result_release(fz_result *r)
{
    if (!r)
        return;
    batch_free(&r->cur);
    statement_free(r->st);
    bridge_shared_free(r->shared);
    slab_pool_release(r->slabs);
    mem_free(&r->s->m, r, sizeof *r);
}

/* ---- as a stream ---- */

typedef struct stream {
    fz_result *r;
    fz_error err;
} stream;

static int stream_errno(const stream *x)
{
    switch (x->err.status) {
    case FZ_NOMEM:
        return ENOMEM;
    case FZ_CANCELLED:
        return ECANCELED;
    case FZ_UNSUPPORTED:
        return ENOTSUP;
    case FZ_IO:
        return EIO;
    default:
        return EINVAL;
    }
}

static int stream_schema(struct ArrowArrayStream *s, struct ArrowSchema *out)
{
    stream *x = s->private_data;
    return fz_result_schema(x->r, out, &x->err) ? stream_errno(x) : 0;
}

static int stream_next(struct ArrowArrayStream *s, struct ArrowArray *out)
{
    stream *x = s->private_data;
    return fz_result_next(x->r, out, &x->err) ? stream_errno(x) : 0;
}

static const char *stream_error(struct ArrowArrayStream *s)
{
    stream *x = s->private_data;
    return x->err.status ? x->err.message : NULL;
}

static void stream_release(struct ArrowArrayStream *s)
{
    stream *x = s->private_data;
    fz_session *session = x->r->s;
    fz_result_release(x->r);
    mem_free(&session->m, x, sizeof *x);
    s->release = NULL;
}

fz_status fz_result_stream(fz_result *r, struct ArrowArrayStream *out, fz_error *err)
{
    stream *x = mem_zalloc(&r->s->m, sizeof *x);
    if (!x)
        return error_nomem(err);
    x->r = r;
    *out = (struct ArrowArrayStream){stream_schema, stream_next, stream_error, stream_release, x};
    return FZ_OK;
}
