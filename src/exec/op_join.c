/*
 * op_join.c: hash joins. The build side is materialised as tuples, each with its hash, in chains behind a
 * directory; the probe side streams through as an operator of its pipeline.
 *
 *   build row:  next | hash | key tuple | all columns of the build side
 *
 * Workers collect rows and sort them into partitions by the hash's upper bits as they come; at the end each
 * partition's directory is made, side by side. Rows with a null key are left out: they match nothing.
 * A cross join is a join on no key: everything lies in one chain.
 *
 * Inner, left: pairs are collected up to a batch, then gathered; where each probe row has at most one match the
 * probe columns pass as they are, with a selection. Semi, anti: a selection of the probe batch. A residual
 * condition is evaluated on pairs; a left join then adds the rows that none of its pairs kept.
 */
#include "exec/eval_int.h"
#include "exec/pipe_int.h"
#include "exec/rows_int.h"

#define PARTS_LOG2 4
#define ROW_KEY    16

typedef struct rowlist { uint8_t **p; size_t n, cap; } rowlist;

typedef struct build_local {
    struct join_op *op;
    arena rows, scratch;
    evaluator **ev;
    vec *keys;
    const vec **key_ptrs, **col_ptrs;
    uint8_t *tuples;
    rowlist parts[1 << PARTS_LOG2];
} build_local;

typedef struct directory { uint8_t **heads; uint64_t cap; } directory;

typedef struct join_op {
    psink s;
    op probe;
    query *q;
    const plan *p;
    bool build_left;
    uint32_t nkeys, nleft, nright; /* columns of the inputs */
    const expr **build_keys, **probe_keys;
    row_layout key, cols;          /* of the build side */
    uint32_t width;
    build_local **locals;
    uint32_t nlocals, nparts;
    directory dirs[1 << PARTS_LOG2];
    uint64_t rows;
} join_op;

static uint32_t part_of(const join_op *o, uint64_t hash) { return o->nparts == 1 ? 0 : (uint32_t)(hash >> (64 - PARTS_LOG2)); }

/* ---- keys, on both sides ---- */

static fz_status keys_open(join_op *o, const expr **keys, evaluator ***ev, vec **vecs, const vec ***ptrs, fz_error *err)
{
    mem *m = &o->q->m;
    *ev = mem_zalloc(m, (o->nkeys + 1) * sizeof **ev);
    *vecs = mem_zalloc(m, (o->nkeys + 1) * sizeof **vecs);
    *ptrs = mem_zalloc(m, (o->nkeys + 1) * sizeof **ptrs);
    if (!*ev || !*vecs || !*ptrs)
        return error_nomem(err);
    for (uint32_t i = 0; i < o->nkeys; i++)
        if (keys[i]->kind != EX_COLUMN)
            TRY(evaluator_open(keys[i], o->q->o.params, o->q->o.n_params, m, &(*ev)[i], err));
    return FZ_OK;
}

static void keys_close(join_op *o, evaluator **ev, vec *vecs, const vec **ptrs)
{
    mem *m = &o->q->m;
    for (uint32_t i = 0; ev && i < o->nkeys; i++)
        evaluator_close(ev[i]);
    mem_free(m, ev, (o->nkeys + 1) * sizeof *ev);
    mem_free(m, vecs, (o->nkeys + 1) * sizeof *vecs);
    mem_free(m, ptrs, (o->nkeys + 1) * sizeof *ptrs);
}

static fz_status keys_eval(join_op *o, const expr **keys, evaluator **ev, vec *vecs, const vec **ptrs, const batch *b, fz_error *err)
{
    for (uint32_t i = 0; i < o->nkeys; i++) {
        if (ev[i]) {
            TRY(evaluator_run(ev[i], b, &vecs[i], err));
            ptrs[i] = &vecs[i];
        } else if (keys[i]->col < b->ncols) {
            ptrs[i] = &b->cols[keys[i]->col];
        } else {
            return error_set(err, FZ_INTERNAL, "a join key of column %u of %u", keys[i]->col, b->ncols);
        }
    }
    return FZ_OK;
}

/* ---- the build side ---- */

static fz_status build_start(psink *s, query *q, uint32_t workers, fz_error *err)
{
    join_op *o = (join_op *)s;
    o->locals = ARENA_ARRAY(&q->mem, build_local *, workers);
    o->nlocals = workers;
    o->nparts = workers > 1 ? 1u << PARTS_LOG2 : 1;
    return o->locals ? FZ_OK : error_nomem(err);
}

static fz_status build_local_open(psink *s, uint32_t index, void **local, fz_error *err)
{
    join_op *o = (join_op *)s;
    mem *m = &o->q->m;
    build_local *l = mem_zalloc(m, sizeof *l);
    *local = o->locals[index] = l;
    if (!l)
        return error_nomem(err);
    l->op = o;
    arena_init(&l->rows, m);
    arena_init(&l->scratch, m);
    l->col_ptrs = mem_zalloc(m, (o->cols.n + 1) * sizeof *l->col_ptrs);
    if (!l->col_ptrs)
        return error_nomem(err);
    return keys_open(o, o->build_keys, &l->ev, &l->keys, &l->key_ptrs, err);
}

static void build_local_close(psink *s, void *local)
{
    join_op *o = (join_op *)s;
    build_local *l = local;
    if (!l)
        return;
    keys_close(o, l->ev, l->keys, l->key_ptrs);
    mem_free(&o->q->m, l->col_ptrs, (o->cols.n + 1) * sizeof *l->col_ptrs);
    for (uint32_t i = 0; i < 1u << PARTS_LOG2; i++)
        mem_free(&o->q->m, l->parts[i].p, l->parts[i].cap * sizeof *l->parts[i].p);
    arena_free(&l->rows);
    arena_free(&l->scratch);
    mem_free(&o->q->m, l, sizeof *l);
}

static fz_status list_add(mem *m, rowlist *r, uint8_t *row, fz_error *err)
{
    if (r->n == r->cap) {
        size_t cap = r->cap ? r->cap * 2 : 1024;
        uint8_t **p = mem_resize(m, r->p, r->cap * sizeof *p, cap * sizeof *p);
        if (!p)
            return error_nomem(err);
        r->p = p;
        r->cap = cap;
    }
    r->p[r->n++] = row;
    return FZ_OK;
}

static fz_status build_push(psink *s, void *local, worker *w, const batch *b, fz_error *err)
{
    join_op *o = (join_op *)s;
    build_local *l = local;
    uint32_t n = b->sel ? b->nsel : b->nrows;
    arena_reset(&l->scratch);
    TRY(keys_eval(o, o->build_keys, l->ev, l->keys, l->key_ptrs, b, err));
    for (uint32_t c = 0; c < o->cols.n; c++)
        l->col_ptrs[c] = &b->cols[c];
    uint8_t *rows = arena_alloc(&l->rows, (size_t)n * o->width);
    if (!rows)
        return error_nomem(err);
    TRY(rows_encode(&o->key, l->key_ptrs, b->sel, 0, n, rows + ROW_KEY, o->width, &l->scratch, err));
    TRY(rows_encode(&o->cols, l->col_ptrs, b->sel, 0, n, rows + ROW_KEY + o->key.width, o->width, &l->scratch, err));
    for (uint32_t k = 0; k < n; k++) {
        uint8_t *row = rows + (size_t)k * o->width;
        if (row_any_null(&o->key, row + ROW_KEY))
            continue;
        TRY(row_own(&o->key, row + ROW_KEY, &l->rows, err));
        TRY(row_own(&o->cols, row + ROW_KEY + o->key.width, &l->rows, err));
        uint64_t hash = o->nkeys ? row_hash(&o->key, row + ROW_KEY) : 0;
        memcpy(row + 8, &hash, 8);
        TRY(list_add(&o->q->m, &l->parts[part_of(o, hash)], row, err));
    }
    return FZ_OK;
}

static fz_status part_build(void *ctx, size_t part, fz_error *err)
{
    join_op *o = ctx;
    directory *d = &o->dirs[part];
    uint64_t n = 0;
    for (uint32_t i = 0; i < o->nlocals; i++)
        n += o->locals[i] ? o->locals[i]->parts[part].n : 0;
    uint64_t cap = 16;
    while (o->nkeys && cap < n * 2)
        cap *= 2;
    d->heads = mem_zalloc(&o->q->m, cap * sizeof *d->heads);
    if (!d->heads)
        return error_nomem(err);
    d->cap = cap;
    for (uint32_t i = o->nlocals; i-- > 0;) /* backwards: chains then have the source's order */
        for (size_t k = o->locals[i] ? o->locals[i]->parts[part].n : 0; k-- > 0;) {
            uint8_t *row = o->locals[i]->parts[part].p[k];
            uint64_t hash;
            memcpy(&hash, row + 8, 8);
            uint8_t **head = &d->heads[hash & (cap - 1)];
            memcpy(row, head, sizeof *head);
            *head = row;
        }
    return FZ_OK;
}

static fz_status build_end(psink *s, query *q, fz_error *err)
{
    join_op *o = (join_op *)s;
    TRY(job_for(&q->j, o->nparts, part_build, o, err));
    for (uint32_t i = 0; i < o->nlocals; i++)
        for (uint32_t p = 0; o->locals[i] && p < o->nparts; p++)
            o->rows += o->locals[i]->parts[p].n;
    return FZ_OK;
}

static void build_close(psink *s)
{
    join_op *o = (join_op *)s;
    for (uint32_t i = 0; i < 1u << PARTS_LOG2; i++)
        mem_free(&o->q->m, o->dirs[i].heads, o->dirs[i].cap * sizeof *o->dirs[i].heads);
}

static const psink_ops build_ops = {
    .start = build_start, .local_open = build_local_open, .push = build_push, .finish = build_end,
    .local_close = build_local_close, .close = build_close,
};

/* ---- the probe side ---- */

typedef struct probe_local {
    evaluator **ev, *residual;
    vec *keys;
    const vec **key_ptrs;
    arena scratch;
    uint64_t hashes[BATCH_ROWS];
    uint16_t rows[BATCH_ROWS];            /* of pairs: probe row and build row */
    const uint8_t *builds[BATCH_ROWS];
    uint32_t n;
    uint8_t hit[BATCH_ROWS];              /* probe rows with a pair that counts */
    uint16_t sel[BATCH_ROWS + 8];
    const uint8_t *at_row[BATCH_ROWS];
    uint8_t *tuples;
    uint32_t seq;
} probe_local;

static fz_status probe_open(op *op_, query *q, void **local, fz_error *err)
{
    join_op *o = (join_op *)((char *)op_ - offsetof(join_op, probe));
    probe_local *l = mem_zalloc(&q->m, sizeof *l);
    *local = l;
    if (!l)
        return error_nomem(err);
    arena_init(&l->scratch, &q->m);
    l->tuples = mem_alloc(&q->m, (size_t)BATCH_ROWS * o->key.width + 8);
    if (!l->tuples)
        return error_nomem(err);
    TRY(keys_open(o, o->probe_keys, &l->ev, &l->keys, &l->key_ptrs, err));
    if (o->p->join.residual)
        TRY(evaluator_open(o->p->join.residual, q->o.params, q->o.n_params, &q->m, &l->residual, err));
    return FZ_OK;
}

static void probe_close(op *op_, void *local)
{
    join_op *o = (join_op *)((char *)op_ - offsetof(join_op, probe));
    probe_local *l = local;
    keys_close(o, l->ev, l->keys, l->key_ptrs);
    evaluator_close(l->residual);
    mem_free(&o->q->m, l->tuples, l->tuples ? (size_t)BATCH_ROWS * o->key.width + 8 : 0);
    arena_free(&l->scratch);
    mem_free(&o->q->m, l, sizeof *l);
}

/* The pairs as a batch of left and right columns; *at_rows: its rows are the probe's, else the pairs. */
static fz_status pairs_batch(join_op *o, probe_local *l, const batch *b, batch *out, bool *at_rows, fz_error *err)
{
    uint32_t nprobe = o->build_left ? o->nright : o->nleft, probe_at = o->build_left ? o->nleft : 0;
    uint32_t build_at = o->build_left ? 0 : o->nleft;
    bool single = (uint64_t)l->n * 2 >= b->nrows;
    for (uint32_t k = 1; k < l->n && single; k++)
        single = l->rows[k] > l->rows[k - 1];
    *at_rows = single;
    *out = *b;
    out->ncols = o->nleft + o->nright;
    out->cols = ARENA_ARRAY(&l->scratch, vec, out->ncols + 1);
    out->stable = false;
    if (!out->cols)
        return error_nomem(err);
    const uint8_t **builds = l->builds;
    if (single) { /* probe columns as they are */
        memset(l->at_row, 0, b->nrows * sizeof *l->at_row);
        for (uint32_t k = 0; k < l->n; k++) {
            l->at_row[l->rows[k]] = l->builds[k];
            l->sel[k] = l->rows[k];
        }
        memcpy(&out->cols[probe_at], b->cols, nprobe * sizeof *b->cols);
        out->nrows = b->nrows;
        out->sel = l->n == b->nrows ? NULL : l->sel;
        out->nsel = l->n;
        builds = l->at_row;
    } else {
        for (uint32_t c = 0; c < nprobe; c++)
            TRY(vec_gather(&out->cols[probe_at + c], &b->cols[c], l->rows, l->n, false, &l->scratch, err));
        out->nrows = out->nsel = l->n;
        out->sel = NULL;
    }
    for (uint32_t c = 0; c < o->cols.n; c++)
        TRY(rows_decode(&o->cols, c, builds, out->nrows, &out->cols[build_at + c], &l->scratch, err));
    return FZ_OK;
}

/* rows_decode takes the column tuples: builds[] point to them, not to the rows' start. */
static const uint8_t *row_cols(const join_op *o, const uint8_t *row) { return row + ROW_KEY + o->key.width; }

static fz_status pairs_flush(join_op *o, probe_local *l, worker *w, uint32_t next, const batch *b, fz_error *err)
{
    batch out;
    bool at_rows, emit = o->p->join.kind != JOIN_SEMI && o->p->join.kind != JOIN_ANTI;
    if (l->n == 0)
        return FZ_OK;
    if (job_stopped(&w->q->j)) /* one batch of input may give any number of pairs */
        return error_set(err, FZ_CANCELLED, "cancelled");
    arena_reset(&l->scratch);
    TRY(pairs_batch(o, l, b, &out, &at_rows, err));
    if (l->residual) {
        uint16_t *sel = arena_alloc(&l->scratch, (BATCH_ROWS + 8) * sizeof *sel);
        uint32_t n;
        if (!sel)
            return error_nomem(err);
        TRY(evaluator_filter(l->residual, &out, sel, &n, err));
        for (uint32_t k = 0; k < n; k++)
            l->hit[at_rows ? sel[k] : l->rows[sel[k]]] = 1;
        out.sel = sel;
        out.nsel = n;
    }
    l->n = 0;
    return emit ? worker_push(w, next, &out, err) : FZ_OK;
}

static fz_status pair_add(join_op *o, probe_local *l, worker *w, uint32_t next, const batch *b, uint32_t row, const uint8_t *build, fz_error *err)
{
    if (l->n == BATCH_ROWS)
        TRY(pairs_flush(o, l, w, next, b, err));
    l->rows[l->n] = (uint16_t)row;
    l->builds[l->n++] = build ? row_cols(o, build) : NULL;
    return FZ_OK;
}

static inline const uint8_t *chain_next(const uint8_t *row)
{
    const uint8_t *n;
    memcpy(&n, row, sizeof n);
    return n;
}

/* The next row of a chain with this key, from `row` on. */
static inline const uint8_t *chain_find(const join_op *o, const uint8_t *row, uint64_t hash, const uint8_t *key)
{
    for (; row; row = chain_next(row)) {
        uint64_t h;
        memcpy(&h, row + 8, 8);
        if (h == hash && row_eq(&o->key, row + ROW_KEY, key))
            return row;
    }
    return NULL;
}

/* Probe rows [0, n) of the selection that did (or didn't) match. */
static fz_status push_marked(probe_local *l, worker *w, uint32_t next, const batch *b, uint32_t n, bool want, fz_error *err)
{
    batch out = *b;
    uint32_t m = 0;
    for (uint32_t k = 0; k < n; k++) {
        uint32_t i = b->sel ? b->sel[k] : k;
        l->sel[m] = (uint16_t)i;
        m += l->hit[i] == want;
    }
    out.sel = l->sel;
    out.nsel = m;
    return worker_push(w, next, &out, err);
}

static fz_status probe_push(op *op_, void *local, worker *w, uint32_t next, const batch *b, fz_error *err)
{
    join_op *o = (join_op *)((char *)op_ - offsetof(join_op, probe));
    probe_local *l = local;
    join_kind kind = o->p->join.kind;
    uint32_t n = b->sel ? b->nsel : b->nrows, width = o->key.width;
    bool pairs = l->residual || (kind != JOIN_SEMI && kind != JOIN_ANTI);
    bool mark = kind == JOIN_SEMI || kind == JOIN_ANTI || (kind == JOIN_LEFT && l->residual);
    if (b->nrows > BATCH_ROWS)
        return error_set(err, FZ_INTERNAL, "a batch of %u rows", b->nrows);
    if (o->rows == 0 && (kind == JOIN_INNER || kind == JOIN_CROSS || kind == JOIN_SEMI))
        return FZ_OK;
    arena_reset(&l->scratch);
    TRY(keys_eval(o, o->probe_keys, l->ev, l->keys, l->key_ptrs, b, err));
    TRY(rows_encode(&o->key, l->key_ptrs, b->sel, 0, n, l->tuples, width, &l->scratch, err));
    for (uint32_t k = 0; k < n; k++)
        l->hashes[k] = o->nkeys ? row_hash(&o->key, l->tuples + (size_t)k * width) : 0;
    if (mark)
        memset(l->hit, 0, b->nrows);
    l->n = 0;
    for (uint32_t k = 0; k < n; k++) {
        if (k + 8 < n) {
            const directory *d = &o->dirs[part_of(o, l->hashes[k + 8])];
            __builtin_prefetch(&d->heads[l->hashes[k + 8] & (d->cap - 1)]);
        }
        if (k + 4 < n) {
            const directory *d = &o->dirs[part_of(o, l->hashes[k + 4])];
            __builtin_prefetch(d->heads[l->hashes[k + 4] & (d->cap - 1)]);
        }
        uint32_t i = b->sel ? b->sel[k] : k;
        const uint8_t *key = l->tuples + (size_t)k * width, *row = NULL;
        const directory *d = &o->dirs[part_of(o, l->hashes[k])];
        if (!row_any_null(&o->key, key))
            row = chain_find(o, d->heads[l->hashes[k] & (d->cap - 1)], l->hashes[k], key);
        if (!pairs) {
            l->hit[i] = row != NULL;
            continue;
        }
        if (!row && kind == JOIN_LEFT && !l->residual)
            TRY(pair_add(o, l, w, next, b, i, NULL, err));
        for (; row; row = chain_find(o, chain_next(row), l->hashes[k], key))
            TRY(pair_add(o, l, w, next, b, i, row, err));
    }
    TRY(pairs_flush(o, l, w, next, b, err));
    if (kind == JOIN_SEMI || kind == JOIN_ANTI)
        return push_marked(l, w, next, b, n, kind == JOIN_SEMI, err);
    if (kind != JOIN_LEFT || !l->residual)
        return FZ_OK;
    evaluator *keep = l->residual; /* the rest has no pair: the condition isn't asked */
    fz_status st = FZ_OK;
    l->residual = NULL;
    for (uint32_t k = 0; k < n && st == FZ_OK; k++) {
        uint32_t i = b->sel ? b->sel[k] : k;
        if (!l->hit[i])
            st = pair_add(o, l, w, next, b, i, NULL, err);
    }
    if (st == FZ_OK)
        st = pairs_flush(o, l, w, next, b, err);
    l->residual = keep;
    return st;
}

static void probe_nothing(op *o) {}
static const op_ops probe_ops = {probe_open, probe_push, probe_close, probe_nothing};

fz_status join_new(query *q, const plan *p, bool build_left, psink **sink, op **probe, fz_error *err)
{
    join_op *o = ARENA_NEW(&q->mem, join_op);
    if (!o)
        return error_nomem(err);
    const plan *build = p->in[build_left ? 0 : 1];
    o->s.ops = &build_ops;
    o->probe.ops = &probe_ops;
    o->q = q;
    o->p = p;
    o->build_left = build_left;
    o->nkeys = p->join.kind == JOIN_CROSS ? 0 : p->join.nkeys;
    o->nleft = p->in[0]->out.n;
    o->nright = p->in[1]->out.n;
    o->build_keys = build_left ? p->join.left_keys : p->join.right_keys;
    o->probe_keys = build_left ? p->join.right_keys : p->join.left_keys;
    uint32_t n = build->out.n;
    type *types = ARENA_ARRAY(&q->mem, type, n + o->nkeys + 1);
    if (!types)
        return error_nomem(err);
    for (uint32_t i = 0; i < o->nkeys; i++) {
        types[i] = o->build_keys[i]->t;
        if (!type_eq(types[i], o->probe_keys[i]->t))
            return error_set(err, FZ_INTERNAL, "the two sides of a join key have different types");
    }
    TRY(row_layout_init(&o->key, o->nkeys, types, true, &q->mem, err));
    for (uint32_t i = 0; i < n; i++)
        types[i] = build->out.cols[i].t;
    TRY(row_layout_init(&o->cols, n, types, false, &q->mem, err));
    o->width = ROW_KEY + o->key.width + o->cols.width;
    *sink = &o->s;
    *probe = &o->probe;
    return FZ_OK;
}
