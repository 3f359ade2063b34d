/*
 * op_agg.c: aggregation: its start, its end and its result.
 *
 * Each worker groups what it sees in a table of its own (agg_group.c). If that becomes large, its groups are added
 * to the store, which all workers share and which spills (agg_store_int.h). At the end, a few groups are merged
 * into one table; many go to the store as well, and are read from there partition by partition.
 *
 * Distinct values. For every value that an aggregate takes DISTINCT there is a set: an aggregation of its own, by the keys
 * and that value, without aggregates, which gets the same batches. Once the input is through, the groups of the
 * sets are the input of a second pipeline (`more`), which updates the aggregates in question: each group's states are then those
 * of the rows and those of the distinct values. Aggregates of the same value and filter share a set.
 */
#include "exec/agg_op_int.h"

#define MERGE_SERIAL_MAX 16384
#define LOCAL_BYTES      ((size_t)2 << 20) /* of a worker's groups: so much stays in its cache */
#define LOCAL_MIN        4096

/* ---- a worker's state ---- */

static fz_status agg_start(psink *s, query *q, uint32_t workers, fz_error *err)
{
    agg_op *o = (agg_op *)s;
    o->locals = ARENA_ARRAY(&q->mem, agg_local *, workers);
    if (!o->locals)
        return error_nomem(err);
    o->nlocals = workers;
    for (uint32_t i = 0; i < o->ninner; i++)
        TRY(agg_start(&o->inner[i]->s, q, workers, err));
    return FZ_OK;
}

/* The workers of the second pipeline come behind those of the first. */
static fz_status more_start(psink *s, query *q, uint32_t workers, fz_error *err)
{
    agg_op *o = OP_OF_MORE(s);
    agg_local **all = ARENA_ARRAY(&q->mem, agg_local *, o->nlocals + workers);
    if (!all)
        return error_nomem(err);
    memcpy(all, o->locals, o->nlocals * sizeof *all);
    o->locals = all;
    o->locals_from = o->nlocals;
    o->nlocals += workers;
    return FZ_OK;
}

static fz_status open_ev(agg_op *o, const expr *e, evaluator **out, fz_error *err)
{
    *out = NULL;
    if (!e || e->kind == EX_COLUMN)
        return FZ_OK;
    return evaluator_open(e, o->q->o.params, o->q->o.n_params, &o->q->m, out, err);
}

static fz_status local_arrays(agg_local *l, fz_error *err)
{
    agg_op *o = l->op;
    uint32_t nk = o->p->aggregate.nkeys, na = o->p->aggregate.naggs;
    arena *a = &l->mem;
    l->key_ev = ARENA_ARRAY(a, evaluator *, nk + 1);
    l->arg_ev = ARENA_ARRAY(a, evaluator *, na + 1);
    l->filter_ev = ARENA_ARRAY(a, evaluator *, na + 1);
    l->keys = ARENA_ARRAY(a, vec, nk + 1);
    l->key_ptrs = ARENA_ARRAY(a, const vec *, nk + 1);
    l->raw = ARENA_ARRAY(a, vec, na + 1);
    l->args = ARENA_ARRAY(a, vec, na + 1);
    l->filter_sel = ARENA_ARRAY(a, uint16_t *, na + 1);
    l->filter_n = ARENA_ARRAY(a, uint32_t, na + 1);
    l->rows = ARENA_ARRAY(a, uint8_t *, BATCH_ROWS);
    l->inner = ARENA_ARRAY(a, void *, o->ninner + 1);
    l->codes_of = ARENA_ARRAY(a, uint64_t, nk + 1);
    l->radix = ARENA_ARRAY(a, uint32_t, nk + 1);
    if (nk) {
        l->hashes = ARENA_ARRAY(a, uint64_t, BATCH_ROWS);
        l->tuples = arena_alloc(a, (size_t)BATCH_ROWS * o->key.width);
        l->order = ARENA_ARRAY(a, uint16_t, BATCH_ROWS);
        l->order_rows = ARENA_ARRAY(a, uint16_t, BATCH_ROWS);
    }
    if (o->any_filter) {
        l->by_row = ARENA_ARRAY(a, uint8_t *, BATCH_ROWS);
        l->some = ARENA_ARRAY(a, uint8_t *, BATCH_ROWS);
    }
    bool all = l->key_ev && l->arg_ev && l->filter_ev && l->keys && l->key_ptrs && l->raw && l->args && l->filter_sel && l->filter_n &&
               l->rows && l->inner && l->codes_of && l->radix && (!nk || (l->hashes && l->tuples && l->order && l->order_rows)) &&
               (!o->any_filter || (l->by_row && l->some));
    return all ? FZ_OK : error_nomem(err);
}

static fz_status local_new(agg_op *o, uint32_t index, agg_local **out, fz_error *err)
{
    mem *m = &o->q->m;
    agg_local *l = mem_zalloc(m, sizeof *l);
    *out = o->locals[index] = l;
    if (!l)
        return error_nomem(err);
    l->op = o;
    l->turn = index * 7;
    arena_init(&l->mem, m);
    arena_init(&l->scratch, m);
    group_table_init(&l->g, &o->key, o->state_bytes, m);
    uint64_t most = LOCAL_BYTES / (l->g.width + 16);
    l->most = most < LOCAL_MIN ? LOCAL_MIN : (uint32_t)most;
    return local_arrays(l, err);
}

static fz_status agg_local_open(psink *s, uint32_t index, void **local, fz_error *err)
{
    agg_op *o = (agg_op *)s;
    agg_local *l;
    fz_status st = local_new(o, index, &l, err);
    *local = l;
    TRY(st);
    for (uint32_t i = 0; i < o->p->aggregate.nkeys; i++)
        TRY(open_ev(o, o->p->aggregate.keys[i], &l->key_ev[i], err));
    for (uint32_t i = 0; i < o->p->aggregate.naggs; i++) {
        const agg_expr *e = &o->p->aggregate.aggs[i];
        TRY(open_ev(o, e->arg, &l->arg_ev[i], err));
        if (e->filter)
            TRY(evaluator_open(e->filter, o->q->o.params, o->q->o.n_params, &o->q->m, &l->filter_ev[i], err));
    }
    for (uint32_t i = 0; i < o->ninner; i++)
        TRY(agg_local_open(&o->inner[i]->s, index, &l->inner[i], err));
    return FZ_OK;
}

static fz_status more_local_open(psink *s, uint32_t index, void **local, fz_error *err)
{
    agg_op *o = OP_OF_MORE(s);
    agg_local *l;
    fz_status st = local_new(o, o->locals_from + index, &l, err);
    *local = l;
    return st;
}

static void local_close(agg_op *o, agg_local *l)
{
    mem *m = &o->q->m;
    if (!l)
        return;
    for (uint32_t i = 0; l->key_ev && i < o->p->aggregate.nkeys; i++)
        evaluator_close(l->key_ev[i]);
    for (uint32_t i = 0; l->arg_ev && l->filter_ev && i < o->p->aggregate.naggs; i++) {
        evaluator_close(l->arg_ev[i]);
        evaluator_close(l->filter_ev[i]);
    }
    for (uint32_t i = 0; l->inner && i < o->ninner; i++)
        local_close(o->inner[i], l->inner[i]);
    mem_free(m, l->codes, l->capcodes * sizeof *l->codes);
    mem_free(m, l->direct, l->direct ? DIRECT_SLOTS * sizeof *l->direct : 0);
    group_table_free(&l->g);
    arena_free(&l->mem);
    arena_free(&l->scratch);
    mem_free(m, l, sizeof *l);
}

static void agg_local_close(psink *s, void *local) { local_close((agg_op *)s, local); }
static void more_local_close(psink *s, void *local) { local_close(OP_OF_MORE(s), local); }

/* ---- the end ---- */

static void local_forget(agg_op *o, agg_local *l)
{
    group_table_free(&l->g);
    group_table_init(&l->g, &o->key, o->state_bytes, &o->q->m);
    l->one = l->null_group = NULL;
}

static fz_status flush_one(void *ctx, size_t i, fz_error *err)
{
    agg_op *o = ctx;
    agg_local *l = o->locals[i];
    if (!l)
        return FZ_OK;
    if (l->g.n)
        TRY(agg_flush(l, err));
    local_forget(o, l);
    return FZ_OK;
}

/* All groups in one table: that of the worker who has most. */
static fz_status merge_few(agg_op *o, fz_error *err)
{
    agg_local *big = NULL;
    for (uint32_t w = 0; w < o->nlocals; w++)
        if (o->locals[w] && o->locals[w]->g.n && (!big || o->locals[w]->g.n > big->g.n))
            big = o->locals[w];
    if (big) {
        o->few = big->g;
        group_table_init(&big->g, &o->key, o->state_bytes, &o->q->m);
    }
    for (uint32_t w = 0; w < o->nlocals; w++) {
        agg_local *l = o->locals[w];
        for (uint32_t i = 0; l && i < l->g.n; i++) {
            uint8_t *row = group_row(&l->g, i);
            TRY(store_add(&o->store, &o->few, &row, 1, err));
        }
        if (l)
            local_forget(o, l);
    }
    if (o->p->aggregate.nkeys == 0 && o->few.n == 0) { /* no rows: one group all the same */
        uint8_t *row;
        TRY(group_find_add(&o->few, (const uint8_t *)"", 0, &row, err));
    }
    return FZ_OK;
}

static fz_status merge_all(agg_op *o, fz_error *err)
{
    uint64_t total = 0;
    uint32_t used = 0;
    for (uint32_t w = 0; w < o->nlocals; w++)
        if (o->locals[w] && o->locals[w]->g.n) {
            used++;
            total += o->locals[w]->g.n;
        }
    o->pieces_before = ARENA_ARRAY(&o->q->mem, uint32_t, STORE_PARTS + 1);
    if (!o->pieces_before)
        return error_nomem(err);
    if (!atomic_load(&o->stored) && (used <= 1 || total <= MERGE_SERIAL_MAX || o->p->aggregate.nkeys == 0)) {
        TRY(merge_few(o, err));
        o->npieces = (o->few.n + (uint64_t)BATCH_ROWS - 1) / BATCH_ROWS;
        return FZ_OK;
    }
    TRY(job_for(&o->q->j, o->nlocals, flush_one, o, err));
    TRY(store_seal(&o->store, err));
    for (uint32_t i = 0; i < STORE_PARTS; i++)
        o->pieces_before[i + 1] = o->pieces_before[i] + (uint32_t)((o->store.parts[i].g.n + (uint64_t)BATCH_ROWS - 1) / BATCH_ROWS);
    o->npieces = o->pieces_before[STORE_PARTS];
    return FZ_OK;
}

static fz_status agg_end(psink *s, query *q, fz_error *err)
{
    agg_op *o = (agg_op *)s;
    if (!o->ninner)
        return merge_all(o, err);
    for (uint32_t i = 0; i < o->ninner; i++)
        TRY(merge_all(o->inner[i], err));
    return FZ_OK;
}

static void groups_free(agg_op *o)
{
    group_table_free(&o->few);
    store_free(&o->store);
}

static fz_status more_end(psink *s, query *q, fz_error *err)
{
    agg_op *o = OP_OF_MORE(s);
    for (uint32_t i = 0; i < o->ninner; i++)
        groups_free(o->inner[i]);
    return merge_all(o, err);
}

static void agg_close(psink *s)
{
    agg_op *o = (agg_op *)s;
    for (uint32_t i = 0; i < o->ninner; i++)
        groups_free(o->inner[i]);
    groups_free(o);
}
static void more_close(psink *s) {}

/* ---- the result as a source ---- */

#define OP_OF_SRC(s) ((agg_op *)((char *)(s) - offsetof(agg_op, src)))

typedef struct result_local {
    const uint8_t *rows[BATCH_ROWS];
    uint64_t piece;
    bool open;
    group_table part;  /* of a store that has spilled: what this worker reads */
    uint32_t from;
} result_local;

static fz_status result_start(psource *s, query *q, int *workers, fz_error *err)
{
    agg_op *o = OP_OF_SRC(s);
    uint64_t want = atomic_load(&o->store.spilled) ? STORE_PARTS : o->npieces < 4 ? 1 : o->npieces;
    *workers = want > 1024 ? 1024 : (int)want;
    return FZ_OK;
}

static fz_status result_local_open(psource *s, void **local, fz_error *err)
{
    *local = mem_zalloc(&OP_OF_SRC(s)->q->m, sizeof(result_local));
    return *local ? FZ_OK : error_nomem(err);
}

static fz_status result_fill(agg_op *o, result_local *l, const group_table *g, uint32_t from, uint32_t n, batch *out, fz_error *err)
{
    const plan *p = o->p;
    for (uint32_t k = 0; k < n; k++)
        l->rows[k] = group_row(g, from + k) + GROUP_KEY;
    TRY(batch_columns(out, p->out.n, err));
    out->nrows = out->nsel = n;
    for (uint32_t c = 0; c < p->aggregate.nkeys; c++)
        TRY(rows_decode(&o->key, c, l->rows, n, &out->cols[c], &out->mem, err));
    for (uint32_t i = 0; i < p->aggregate.naggs; i++) {
        vec *v = &out->cols[p->aggregate.nkeys + i];
        TRY(vec_alloc(v, p->aggregate.aggs[i].t, n, &out->mem, err));
        memset(v->data, 0, (size_t)n * phys_size(type_phys(v->t)));
        v->valid = bitmap_alloc(&out->mem, n, true);
        if (!v->valid)
            return error_nomem(err);
        for (uint32_t k = 0; k < n; k++)
            TRY(agg_finish(&o->aggs[i], l->rows[k] - GROUP_KEY, v, k, err));
        bool nulls = false;
        for (uint32_t k = 0; k < n && !nulls; k++)
            nulls = !bit_get(v->valid, k);
        if (!nulls)
            v->valid = NULL;
    }
    return FZ_OK;
}

/* The next rows: of table *g from *from on. n 0: the end. */
static fz_status next_piece(agg_op *o, result_local *l, const group_table **g, uint32_t *from, uint32_t *n, fz_error *err)
{
    uint32_t part = 0;
    *n = 0;
    if (atomic_load(&o->store.spilled)) { /* whole partitions: what was read can be freed */
        bool end = false;
        while (l->from >= l->part.n && !end) {
            group_table_free(&l->part);
            l->from = 0;
            TRY(store_next(&o->store, &l->part, &end, err));
        }
        if (end)
            return FZ_OK;
        *g = &l->part;
        *from = l->from;
        l->piece = atomic_fetch_add_explicit(&o->morsels, 1, memory_order_relaxed);
    } else {
        uint64_t piece = l->piece = atomic_fetch_add_explicit(&o->at, 1, memory_order_relaxed);
        if (piece >= o->npieces)
            return FZ_OK;
        *g = &o->few;
        if (!o->few.n) {
            while (o->pieces_before[part + 1] <= piece)
                part++;
            *g = &o->store.parts[part].g;
        }
        *from = (uint32_t)(piece - o->pieces_before[part]) * BATCH_ROWS;
    }
    *n = (*g)->n - *from < BATCH_ROWS ? (*g)->n - *from : BATCH_ROWS;
    l->from = *from + *n;
    return FZ_OK;
}

static fz_status result_next(psource *s, void *local, task *waiter, batch *out, source_result *r, fz_error *err)
{
    agg_op *o = OP_OF_SRC(s);
    result_local *l = local;
    const group_table *g;
    uint32_t from, n;
    batch_reset(out);
    out->morsel = l->piece;
    if (l->open) {
        l->open = false;
        *r = SOURCE_MORSEL_END;
        return FZ_OK;
    }
    TRY(next_piece(o, l, &g, &from, &n, err));
    if (!n) {
        *r = SOURCE_END;
        return FZ_OK;
    }
    out->morsel = l->piece;
    l->open = true;
    *r = SOURCE_BATCH;
    return result_fill(o, l, g, from, n, out, err);
}

static void result_local_close(psource *s, void *local)
{
    result_local *l = local;
    if (!l)
        return;
    group_table_free(&l->part);
    mem_free(&OP_OF_SRC(s)->q->m, l, sizeof *l);
}
static void result_close(psource *s) {}

static const psource_ops result_ops = {result_start, result_local_open, result_next, result_local_close, result_close};
static const psink_ops agg_ops = {
    .start = agg_start, .local_open = agg_local_open, .push = agg_push, .finish = agg_end,
    .local_close = agg_local_close, .close = agg_close,
};
static const psink_ops more_ops = {
    .start = more_start, .local_open = more_local_open, .push = agg_push_more, .finish = more_end,
    .local_close = more_local_close, .close = more_close,
};

/* ---- making one ---- */

static bool same_value(const agg_expr *a, const agg_expr *b)
{
    bool arg = a->arg == b->arg || (a->arg->kind == EX_COLUMN && b->arg->kind == EX_COLUMN && a->arg->col == b->arg->col);
    return arg && a->filter == b->filter;
}

static fz_status op_new(query *q, const plan *p, agg_op **out, fz_error *err);

/* The set of distinct values of aggregate `agg`. */
static fz_status inner_new(agg_op *o, uint32_t agg, fz_error *err)
{
    arena *a = &o->q->mem;
    uint32_t nk = o->p->aggregate.nkeys;
    plan *p = ARENA_NEW(a, plan);
    expr *e = ARENA_ARRAY(a, expr, nk + 1);
    const expr **keys = ARENA_ARRAY(a, const expr *, nk + 1);
    column_def *cols = ARENA_ARRAY(a, column_def, nk + 1);
    if (!p || !e || !keys || !cols)
        return error_nomem(err);
    for (uint32_t i = 0; i <= nk; i++) {
        e[i] = (expr){.kind = EX_COLUMN, .col = i, .t = i < nk ? o->p->aggregate.keys[i]->t : o->aggs[agg].e->arg->t};
        keys[i] = &e[i];
        cols[i].t = e[i].t;
    }
    p->kind = PLAN_AGGREGATE;
    p->out = (row_schema){nk + 1, cols};
    p->aggregate.nkeys = nk + 1;
    p->aggregate.keys = keys;
    o->inner_arg[o->ninner] = agg;
    TRY(op_new(o->q, p, &o->inner[o->ninner], err));
    o->ninner++;
    return FZ_OK;
}

static fz_status inners_new(agg_op *o, fz_error *err)
{
    uint32_t na = o->p->aggregate.naggs;
    o->inner = ARENA_ARRAY(&o->q->mem, agg_op *, na + 1);
    o->inner_arg = ARENA_ARRAY(&o->q->mem, uint32_t, na + 1);
    if (!o->inner || !o->inner_arg)
        return error_nomem(err);
    for (uint32_t i = 0; i < na; i++) {
        for (uint32_t k = 0; o->aggs[i].distinct && k < o->ninner && !o->aggs[i].set; k++)
            if (same_value(o->aggs[o->inner_arg[k]].e, o->aggs[i].e))
                o->aggs[i].set = k + 1;
        if (o->aggs[i].distinct && !o->aggs[i].set) {
            TRY(inner_new(o, i, err));
            o->aggs[i].set = o->ninner;
        }
        o->any_filter |= o->aggs[i].e->filter && !o->aggs[i].set;
    }
    return FZ_OK;
}

static fz_status op_new(query *q, const plan *p, agg_op **out, fz_error *err)
{
    agg_op *o = *out = ARENA_NEW(&q->mem, agg_op);
    uint32_t nk = p->aggregate.nkeys, na = p->aggregate.naggs;
    type *types = ARENA_ARRAY(&q->mem, type, nk + 1);
    if (!o || !types || !(o->aggs = ARENA_ARRAY(&q->mem, agg_inst, na + 1)))
        return error_nomem(err);
    o->s.ops = &agg_ops;
    o->src.ops = &result_ops;
    o->more.ops = &more_ops;
    o->q = q;
    o->p = p;
    for (uint32_t i = 0; i < nk; i++)
        types[i] = p->aggregate.keys[i]->t;
    TRY(row_layout_init(&o->key, nk, types, true, &q->mem, err));
    uint32_t at = group_states_at(&o->key);
    for (uint32_t i = 0; i < na; i++) {
        agg_inst_init(&o->aggs[i], &p->aggregate.aggs[i]);
        o->aggs[i].off = at;
        at += (o->aggs[i].size + 15) & ~15u;
    }
    o->state_bytes = at - group_states_at(&o->key);
    group_table_init(&o->few, &o->key, o->state_bytes, &q->m);
    TRY(inners_new(o, err));
    return store_init(&o->store, q, &o->key, o->aggs, na, o->state_bytes, err);
}

fz_status agg_new(query *q, const plan *p, psink **sink, psource **src, psink **more, psource ***values, uint32_t *nvalues, fz_error *err)
{
    agg_op *o;
    TRY(op_new(q, p, &o, err));
    *values = ARENA_ARRAY(&q->mem, psource *, o->ninner + 1);
    if (!*values)
        return error_nomem(err);
    for (uint32_t i = 0; i < o->ninner; i++)
        (*values)[i] = &o->inner[i]->src;
    *nvalues = o->ninner;
    *sink = &o->s;
    *more = &o->more;
    *src = &o->src;
    return FZ_OK;
}
