/*
 * join_probe.c: hash joins: the probe side, an operator.
 *
 * Inner, left: pairs are collected up to a batch, then gathered; where each probe row has at most one match the
 * probe columns pass as they are, with a selection. Semi, anti: a selection of the probe batch. A residual
 * condition is evaluated on pairs; a left join then adds the rows that none of its pairs kept.
 *
 * Rows of a partition that isn't in memory are put aside (join_late.c). Those that come back from there find the
 * directory in the state of their source.
 */
#include "exec/join_int.h"

typedef struct probe_local {
    evaluator *residual;
    join_keys keys;
    arena scratch, keep; /* keep: until the next batch */
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
    arena_init(&l->keep, &q->m);
    l->tuples = mem_alloc(&q->m, (size_t)BATCH_ROWS * o->key.width + 8);
    if (!l->tuples)
        return error_nomem(err);
    TRY(join_keys_open(o, o->probe_keys, &l->keys, err));
    if (o->p->join.residual)
        TRY(evaluator_open(o->p->join.residual, q->o.params, q->o.n_params, &q->m, &l->residual, err));
    return FZ_OK;
}

static void probe_close(op *op_, void *local)
{
    join_op *o = (join_op *)((char *)op_ - offsetof(join_op, probe));
    probe_local *l = local;
    join_keys_close(o, &l->keys);
    evaluator_close(l->residual);
    mem_free(&o->q->m, l->tuples, l->tuples ? (size_t)BATCH_ROWS * o->key.width + 8 : 0);
    arena_free(&l->scratch);
    arena_free(&l->keep);
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
    uint64_t n;
    memcpy(&n, row, sizeof n);
    return (const uint8_t *)(uintptr_t)n;
}

/* The first row of the chain where a row of this hash can be. */
static inline const uint8_t *chain_start(const directory *d, uint64_t hash)
{
    uint64_t head = d->heads[hash & (d->cap - 1)];
    return head & tag_of(hash) ? HEAD_ROW(head) : NULL;
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

/* Rows whose partition isn't in memory go to its file; *rest: the others, tuples and hashes moved up to match. */
static fz_status put_aside(join_op *o, probe_local *l, const batch *b, uint32_t n, batch *rest, fz_error *err)
{
    uint32_t at[JOIN_PARTS + 1] = {0}, next[JOIN_PARTS], width = o->key.width, kept = 0;
    uint16_t *aside = arena_alloc(&l->keep, (n + 8u) * sizeof *aside), *keep = arena_alloc(&l->keep, (n + 8u) * sizeof *keep);
    uint8_t *part = arena_alloc(&l->keep, n + 8u);
    if (!aside || !keep || !part)
        return error_nomem(err);
    for (uint32_t k = 0; k < n; k++) {
        uint32_t p = join_part_of(l->hashes[k]);
        bool here = !o->parts[p].away || row_any_null(&o->key, l->tuples + (size_t)k * width);
        part[k] = here ? JOIN_PARTS : (uint8_t)p;
        if (!here)
            at[p + 1]++;
    }
    for (uint32_t p = 0; p < JOIN_PARTS; p++) {
        at[p + 1] += at[p];
        next[p] = at[p];
    }
    for (uint32_t k = 0; k < n; k++) {
        uint16_t row = b->sel ? b->sel[k] : (uint16_t)k;
        if (part[k] < JOIN_PARTS) {
            aside[next[part[k]]++] = row;
            continue;
        }
        memmove(l->tuples + (size_t)kept * width, l->tuples + (size_t)k * width, width);
        l->hashes[kept] = l->hashes[k];
        keep[kept++] = row;
    }
    for (uint32_t i = 0; i < JOIN_PARTS; i++) {
        join_part *p = &o->parts[i];
        batch some = *b;
        some.sel = aside + at[i];
        some.nsel = at[i + 1] - at[i];
        if (!some.nsel)
            continue;
        pthread_mutex_lock(&p->lock);
        fz_status st = p->probe ? FZ_OK : spill_create(o->q->o.temp_dir, &o->q->m, &p->probe, err);
        if (st == FZ_OK)
            st = spill_write(p->probe, &some, err);
        pthread_mutex_unlock(&p->lock);
        TRY(st);
    }
    *rest = *b;
    rest->sel = keep;
    rest->nsel = kept;
    return FZ_OK;
}

/* Left join with a condition: rows that none of their pairs kept. The condition isn't asked again. */
static fz_status push_unmatched(join_op *o, probe_local *l, worker *w, uint32_t next, const batch *b, uint32_t n, fz_error *err)
{
    evaluator *keep = l->residual;
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

static fz_status probe_push(op *op_, void *local, worker *w, uint32_t next, const batch *b, fz_error *err)
{
    join_op *o = (join_op *)((char *)op_ - offsetof(join_op, probe));
    probe_local *l = local;
    join_kind kind = o->p->join.kind;
    uint32_t n = b->sel ? b->nsel : b->nrows, width = o->key.width;
    bool pairs = l->residual || (kind != JOIN_SEMI && kind != JOIN_ANTI);
    bool mark = kind == JOIN_SEMI || kind == JOIN_ANTI || (kind == JOIN_LEFT && l->residual);
    bool late = w->p->branches[w->at].src == &o->late;
    const late_local *ll = late ? w->src_local : NULL;
    batch rest = {0};
    if (b->nrows > BATCH_ROWS)
        return error_set(err, FZ_INTERNAL, "a batch of %u rows", b->nrows);
    if (o->rows == 0 && (kind == JOIN_INNER || kind == JOIN_CROSS || kind == JOIN_SEMI))
        return FZ_OK;
    arena_reset(&l->keep);
    arena_reset(&l->scratch);
    TRY(join_keys_eval(o, &l->keys, b, err));
    TRY(rows_encode(&o->key, l->keys.ptrs, b->sel, 0, n, l->tuples, width, &l->keep, err));
    if (o->nkeys)
        rows_hash(&o->key, l->tuples, width, n, l->hashes);
    if (o->away && !late) {
        TRY(put_aside(o, l, b, n, &rest, err));
        b = &rest;
        n = rest.nsel;
    }
    if (mark)
        memset(l->hit, 0, b->nrows);
    const directory *one = ll ? &ll->d : o->nparts == 1 ? &o->parts[0].d : NULL;
#define DIR_OF(hash) (one ? one : &o->parts[join_part_of(hash)].d)
    l->n = 0;
    for (uint32_t k = 0; k < n; k++) {
        if (k + 16 < n) {
            const directory *d = DIR_OF(l->hashes[k + 16]);
            __builtin_prefetch(&d->heads[l->hashes[k + 16] & (d->cap - 1)]);
        }
        if (k + 8 < n)
            __builtin_prefetch(chain_start(DIR_OF(l->hashes[k + 8]), l->hashes[k + 8]));
        uint32_t i = b->sel ? b->sel[k] : k;
        const uint8_t *key = l->tuples + (size_t)k * width, *row = NULL;
        if (!row_any_null(&o->key, key))
            row = chain_find(o, chain_start(DIR_OF(l->hashes[k]), l->hashes[k]), l->hashes[k], key);
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
    return kind == JOIN_LEFT && l->residual ? push_unmatched(o, l, w, next, b, n, err) : FZ_OK;
}

static void probe_nothing(op *o) {}
const op_ops join_probe_ops = {probe_open, probe_push, probe_close, probe_nothing};
