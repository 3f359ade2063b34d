/*
 * op_agg.c: aggregation: each worker groups what it sees in a table of its own; at the end the tables are
 * merged, by partitions of the hash side by side where they are large.
 *
 * How a batch finds its groups, the cheapest way that fits:
 *
 *   no keys           one state; whole batches at once
 *   all keys CONST or RLE with few runs: a group per stretch of rows, and stretches at once
 *   one DICT key      a group per code, remembered for the dictionary
 *   one integer key of a small range: a group per value, in an array
 *   else              tuples, hashes, the table
 */
#include "exec/agg_int.h"
#include "exec/eval_int.h"
#include "exec/group_int.h"
#include "exec/pipe_int.h"

#define MERGE_SERIAL_MAX 16384
#define PARTITIONS_LOG2  5
#define PARTITIONS       (1u << PARTITIONS_LOG2)
#define MERGE_AHEAD      16
#define DIRECT_SLOTS     65536

typedef struct agg_local {
    struct agg_op *op;
    group_table g;
    arena scratch;
    evaluator **key_ev, **arg_ev, **filter_ev;
    vec *keys, *args;
    const vec **key_ptrs;
    uint16_t **filter_sel;
    uint32_t *filter_n;
    uint8_t *tuples;
    uint64_t *hashes;
    uint8_t **rows;        /* the group of each selected row */
    uint8_t **by_row;      /* by row number, for FILTER; else NULL */
    uint8_t **some;
    uint8_t *one;          /* no keys */
    uint8_t **codes;       /* groups of a dictionary's codes */
    uint32_t ncodes, capcodes;
    uint64_t codes_of;     /* dict_id */
    uint8_t *null_group;   /* of a single key */
    uint8_t **direct;      /* groups of the values base … base + DIRECT_SLOTS - 1 */
    int64_t base;
    bool direct_off;
    uint32_t *by_part;     /* for merging: the groups' numbers by partition of the hash */
    uint32_t part_at[PARTITIONS + 1];
} agg_local;

typedef struct agg_op {
    psink s;
    psource src;
    query *q;
    const plan *p;
    row_layout key;
    agg_inst *aggs;
    uint32_t state_bytes;
    bool any_filter;
    agg_local **locals;
    uint32_t nlocals;
    group_table *parts;    /* the result: tables to read */
    uint32_t nparts, merged; /* merged: those of parts that are ours to free */
    _Atomic uint64_t at;   /* next piece of the result */
    uint64_t npieces;
    uint32_t *pieces_before;
} agg_op;

/* ---- a worker's state ---- */

static fz_status agg_start(psink *s, query *q, uint32_t workers, fz_error *err)
{
    agg_op *o = (agg_op *)s;
    o->locals = ARENA_ARRAY(&q->mem, agg_local *, workers);
    o->nlocals = workers;
    return o->locals ? FZ_OK : error_nomem(err);
}

static fz_status open_ev(agg_op *o, const expr *e, evaluator **out, fz_error *err)
{
    *out = NULL;
    if (!e || e->kind == EX_COLUMN)
        return FZ_OK;
    return evaluator_open(e, o->q->o.params, o->q->o.n_params, &o->q->m, out, err);
}

static fz_status agg_local_open(psink *s, uint32_t index, void **local, fz_error *err)
{
    agg_op *o = (agg_op *)s;
    mem *m = &o->q->m;
    uint32_t nk = o->p->aggregate.nkeys, na = o->p->aggregate.naggs;
    agg_local *l = mem_zalloc(m, sizeof *l);
    *local = o->locals[index] = l;
    if (!l)
        return error_nomem(err);
    l->op = o;
    arena_init(&l->scratch, m);
    group_table_init(&l->g, &o->key, o->state_bytes, m);
    arena *a = &l->g.text;
    l->key_ev = ARENA_ARRAY(a, evaluator *, nk + 1);
    l->arg_ev = ARENA_ARRAY(a, evaluator *, na + 1);
    l->filter_ev = ARENA_ARRAY(a, evaluator *, na + 1);
    l->keys = ARENA_ARRAY(a, vec, nk + 1);
    l->key_ptrs = ARENA_ARRAY(a, const vec *, nk + 1);
    l->args = ARENA_ARRAY(a, vec, na + 1);
    l->filter_sel = ARENA_ARRAY(a, uint16_t *, na + 1);
    l->filter_n = ARENA_ARRAY(a, uint32_t, na + 1);
    l->rows = ARENA_ARRAY(a, uint8_t *, BATCH_ROWS);
    if (nk) {
        l->hashes = ARENA_ARRAY(a, uint64_t, BATCH_ROWS);
        l->tuples = arena_alloc(a, (size_t)BATCH_ROWS * o->key.width);
    }
    if (o->any_filter) {
        l->by_row = ARENA_ARRAY(a, uint8_t *, BATCH_ROWS);
        l->some = ARENA_ARRAY(a, uint8_t *, BATCH_ROWS);
    }
    if (!l->key_ev || !l->arg_ev || !l->filter_ev || !l->keys || !l->key_ptrs || !l->args || !l->filter_sel ||
        !l->filter_n || !l->rows || (nk && (!l->hashes || !l->tuples)) || (o->any_filter && (!l->by_row || !l->some)))
        return error_nomem(err);
    for (uint32_t i = 0; i < nk; i++)
        TRY(open_ev(o, o->p->aggregate.keys[i], &l->key_ev[i], err));
    for (uint32_t i = 0; i < na; i++) {
        const agg_expr *e = &o->p->aggregate.aggs[i];
        TRY(open_ev(o, e->arg, &l->arg_ev[i], err));
        if (e->filter)
            TRY(evaluator_open(e->filter, o->q->o.params, o->q->o.n_params, m, &l->filter_ev[i], err));
    }
    return FZ_OK;
}

static void agg_local_close(psink *s, void *local)
{
    agg_local *l = local;
    agg_op *o = (agg_op *)s;
    mem *m = &o->q->m;
    if (!l)
        return;
    for (uint32_t i = 0; l->key_ev && i < o->p->aggregate.nkeys; i++)
        evaluator_close(l->key_ev[i]);
    for (uint32_t i = 0; l->arg_ev && l->filter_ev && i < o->p->aggregate.naggs; i++) {
        evaluator_close(l->arg_ev[i]);
        evaluator_close(l->filter_ev[i]);
    }
    mem_free(m, l->codes, l->capcodes * sizeof *l->codes);
    mem_free(m, l->direct, l->direct ? DIRECT_SLOTS * sizeof *l->direct : 0);
    mem_free(m, l->by_part, l->by_part ? l->g.n * sizeof *l->by_part : 0);
    group_table_free(&l->g);
    arena_free(&l->scratch);
    mem_free(m, l, sizeof *l);
}

/* ---- inputs of a batch ---- */

static fz_status input(evaluator *ev, const expr *e, const batch *b, vec *out, fz_error *err)
{
    if (ev)
        return evaluator_run(ev, b, out, err);
    if (e->col >= b->ncols)
        return error_set(err, FZ_INTERNAL, "an aggregate of column %u of %u", e->col, b->ncols);
    *out = b->cols[e->col];
    return FZ_OK;
}

static fz_status inputs(agg_local *l, const batch *b, fz_error *err)
{
    const plan *p = l->op->p;
    for (uint32_t i = 0; i < p->aggregate.nkeys; i++) {
        TRY(input(l->key_ev[i], p->aggregate.keys[i], b, &l->keys[i], err));
        l->key_ptrs[i] = &l->keys[i];
    }
    for (uint32_t i = 0; i < p->aggregate.naggs; i++) {
        const agg_expr *e = &p->aggregate.aggs[i];
        batch part = *b;
        if (e->filter) {
            l->filter_sel[i] = arena_alloc(&l->scratch, (b->nrows + 8u) * sizeof(uint16_t));
            if (!l->filter_sel[i])
                return error_nomem(err);
            TRY(evaluator_filter(l->filter_ev[i], b, l->filter_sel[i], &l->filter_n[i], err));
            part.sel = l->filter_sel[i];
            part.nsel = l->filter_n[i];
        }
        if (!e->arg || (e->filter && part.nsel == 0))
            continue;
        vec v;
        TRY(input(l->arg_ev[i], e->arg, &part, &v, err));
        TRY(vec_flatten_rows(&l->args[i], &v, part.sel, part.sel ? part.nsel : b->nrows, &l->scratch, err));
    }
    return FZ_OK;
}

/* ---- updating ---- */

/* The part of an ascending list that lies in [from, to). */
static uint32_t lower(const uint16_t *rows, uint32_t n, uint32_t at)
{
    uint32_t lo = 0, hi = n;
    while (lo < hi) {
        uint32_t mid = (lo + hi) / 2;
        if (rows[mid] < at)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

/* Rows [from, to) of the batch, as far as selected, belong to one group. */
static fz_status update_range(agg_local *l, const batch *b, uint32_t from, uint32_t to, uint8_t *group, fz_error *err)
{
    agg_op *o = l->op;
    for (uint32_t i = 0; i < o->p->aggregate.naggs; i++) {
        const agg_expr *e = &o->p->aggregate.aggs[i];
        const uint16_t *sel = e->filter ? l->filter_sel[i] : b->sel;
        agg_call c = {.arg = e->arg ? &l->args[i] : NULL, .one = group, .a = &l->g.text, .first = from, .n = to - from};
        if (sel) {
            uint32_t n = e->filter ? l->filter_n[i] : b->nsel;
            uint32_t lo = lower(sel, n, from), hi = lower(sel, n, to);
            if (lo == hi)
                continue;
            c.n = hi - lo;
            c.rows = sel + lo;
            if ((uint32_t)(sel[hi - 1] - sel[lo]) == hi - lo - 1) { /* without gaps */
                c.first = sel[lo];
                c.rows = NULL;
            }
        }
        if (c.n)
            TRY(agg_update(&o->aggs[i], &c, err));
    }
    return FZ_OK;
}

/* l->rows[k] is the group of the k-th selected row. */
static fz_status update_rows(agg_local *l, const batch *b, uint32_t n, fz_error *err)
{
    agg_op *o = l->op;
    if (o->any_filter)
        for (uint32_t k = 0; k < n; k++)
            l->by_row[b->sel ? b->sel[k] : k] = l->rows[k];
    for (uint32_t i = 0; i < o->p->aggregate.naggs; i++) {
        const agg_expr *e = &o->p->aggregate.aggs[i];
        agg_call c = {.arg = e->arg ? &l->args[i] : NULL, .rows = b->sel, .n = n, .groups = l->rows, .a = &l->g.text};
        if (e->filter) {
            c.rows = l->filter_sel[i];
            c.n = l->filter_n[i];
            for (uint32_t k = 0; k < c.n; k++)
                l->some[k] = l->by_row[c.rows[k]];
            c.groups = l->some;
        }
        if (c.n)
            TRY(agg_update(&o->aggs[i], &c, err));
    }
    return FZ_OK;
}

/* ---- finding groups ---- */

/* The group of one row's keys. */
static fz_status group_of_row(agg_local *l, uint32_t row, uint8_t **out, fz_error *err)
{
    TRY(rows_encode(&l->op->key, l->key_ptrs, NULL, row, 1, l->tuples, l->op->key.width, &l->scratch, err));
    uint64_t h = row_hash(&l->op->key, l->tuples);
    return group_find_add(&l->g, l->tuples, h, out, err);
}

static bool few_runs(const agg_local *l, const batch *b)
{
    uint32_t runs = 0;
    for (uint32_t i = 0; i < l->op->p->aggregate.nkeys; i++) {
        if (l->keys[i].enc != VEC_CONST && l->keys[i].enc != VEC_RLE)
            return false;
        runs += l->keys[i].enc == VEC_RLE ? l->keys[i].nruns : 1;
    }
    return runs * 16 <= b->nrows + 16 * 16;
}

static fz_status group_runs(agg_local *l, const batch *b, fz_error *err)
{
    uint32_t nk = l->op->p->aggregate.nkeys, from = 0;
    uint32_t *run = ARENA_ARRAY(&l->scratch, uint32_t, nk);
    if (!run)
        return error_nomem(err);
    while (from < b->nrows) {
        uint32_t to = b->nrows;
        for (uint32_t i = 0; i < nk; i++)
            if (l->keys[i].enc == VEC_RLE) {
                const uint32_t *ends = l->keys[i].data;
                while (ends[run[i]] <= from)
                    run[i]++;
                if (ends[run[i]] < to)
                    to = ends[run[i]];
            }
        /* A stretch without selected rows makes no group. */
        bool any = !b->sel;
        if (b->sel) {
            uint32_t k = lower(b->sel, b->nsel, from);
            any = k < b->nsel && b->sel[k] < to;
        }
        if (any) {
            uint8_t *group;
            TRY(group_of_row(l, from, &group, err));
            TRY(update_range(l, b, from, to, group, err));
        }
        from = to;
    }
    return FZ_OK;
}

static fz_status null_group(agg_local *l, uint32_t row, uint8_t **out, fz_error *err)
{
    if (!l->null_group)
        TRY(group_of_row(l, row, &l->null_group, err));
    *out = l->null_group;
    return FZ_OK;
}

static fz_status codes_for(agg_local *l, const vec *v, fz_error *err)
{
    uint32_t n = v->values->len;
    if (v->dict_id && l->codes_of == v->dict_id && l->ncodes == n)
        return FZ_OK;
    if (n > l->capcodes) {
        uint8_t **c = mem_resize(&l->op->q->m, l->codes, l->capcodes * sizeof *c, n * sizeof *c);
        if (!c)
            return error_nomem(err);
        l->codes = c;
        l->capcodes = n;
    }
    memset(l->codes, 0, n * sizeof *l->codes);
    l->ncodes = n;
    l->codes_of = v->dict_id;
    return FZ_OK;
}

static fz_status group_dict(agg_local *l, const batch *b, uint32_t n, fz_error *err)
{
    const vec *v = &l->keys[0];
    const uint32_t *code = v->data;
    TRY(codes_for(l, v, err));
    for (uint32_t k = 0; k < n; k++) {
        uint32_t i = b->sel ? b->sel[k] : k;
        if (v->valid && !bit_get(v->valid, i)) {
            TRY(null_group(l, i, &l->rows[k], err));
            continue;
        }
        uint8_t **slot = &l->codes[code[i]];
        if (!*slot)
            TRY(group_of_row(l, i, slot, err));
        l->rows[k] = *slot;
    }
    return update_rows(l, b, n, err);
}

/* A single integer key whose values lie close together. *done false: they don't. */
static fz_status group_direct(agg_local *l, const batch *b, uint32_t n, bool *done, fz_error *err)
{
    const vec *v = &l->keys[0];
    bool wide = type_phys(v->t) == PHYS_I64;
    const int64_t *x64 = v->data;
    const int32_t *x32 = v->data;
    *done = false;
    if (!l->direct) {
        l->direct = mem_zalloc(&l->op->q->m, DIRECT_SLOTS * sizeof *l->direct);
        if (!l->direct)
            return error_nomem(err);
        uint32_t i = b->sel ? b->sel[0] : 0;
        int64_t first = wide ? x64[i] : x32[i];
        l->base = first < INT64_MIN + DIRECT_SLOTS ? INT64_MIN : first - DIRECT_SLOTS / 2;
    }
    for (uint32_t k = 0; k < n; k++) {
        uint32_t i = b->sel ? b->sel[k] : k;
        if (v->valid && !bit_get(v->valid, i)) {
            TRY(null_group(l, i, &l->rows[k], err));
            continue;
        }
        uint64_t d = (uint64_t)(wide ? x64[i] : x32[i]) - (uint64_t)l->base;
        if (d >= DIRECT_SLOTS) {
            l->direct_off = true; /* for good: the other ways find the same groups */
            return FZ_OK;
        }
        uint8_t **slot = &l->direct[d];
        if (!*slot)
            TRY(group_of_row(l, i, slot, err));
        l->rows[k] = *slot;
    }
    *done = true;
    return update_rows(l, b, n, err);
}

static fz_status group_hash(agg_local *l, const batch *b, uint32_t n, fz_error *err)
{
    const row_layout *key = &l->op->key;
    TRY(rows_encode(key, l->key_ptrs, b->sel, 0, n, l->tuples, key->width, &l->scratch, err));
    rows_hash(key, l->tuples, key->width, n, l->hashes);
    TRY(group_find_add_all(&l->g, l->tuples, key->width, l->hashes, n, l->rows, err));
    return update_rows(l, b, n, err);
}

static bool is_direct(const vec *v)
{
    phys p = type_phys(v->t);
    return v->enc == VEC_FLAT && (p == PHYS_I64 || p == PHYS_I32);
}

static fz_status agg_push(psink *s, void *local, worker *w, const batch *b, fz_error *err)
{
    agg_local *l = local;
    uint32_t n = b->sel ? b->nsel : b->nrows, nk = l->op->p->aggregate.nkeys;
    if (b->nrows > BATCH_ROWS)
        return error_set(err, FZ_INTERNAL, "a batch of %u rows", b->nrows);
    arena_reset(&l->scratch);
    TRY(inputs(l, b, err));
    if (nk == 0) {
        if (!l->one)
            TRY(group_find_add(&l->g, (const uint8_t *)"", 0, &l->one, err));
        return update_range(l, b, 0, b->nrows, l->one, err);
    }
    if (few_runs(l, b))
        return group_runs(l, b, err);
    if (nk == 1 && l->keys[0].enc == VEC_DICT && l->keys[0].values->len <= (l->keys[0].dict_id ? 1u << 20 : n))
        return group_dict(l, b, n, err);
    if (nk == 1 && is_direct(&l->keys[0]) && !l->direct_off) {
        bool done;
        TRY(group_direct(l, b, n, &done, err));
        if (done)
            return FZ_OK;
    }
    return group_hash(l, b, n, err);
}

/* ---- the end: one set of tables ---- */

static fz_status merge_row(agg_op *o, group_table *to, const uint8_t *from, fz_error *err)
{
    uint64_t hash;
    uint8_t *row;
    memcpy(&hash, from, 8);
    TRY(group_find_add(to, from + GROUP_KEY, hash, &row, err));
    for (uint32_t i = 0; i < o->p->aggregate.naggs; i++)
        TRY(agg_merge(&o->aggs[i], row, from, &to->text, err));
    return FZ_OK;
}

static uint32_t part_of(const uint8_t *row)
{
    uint64_t hash;
    memcpy(&hash, row, 8);
    return (uint32_t)hash & (PARTITIONS - 1);
}

/* Lists a worker's groups by partition, so that merging reads each of them once. */
static fz_status split_local(void *ctx, size_t w, fz_error *err)
{
    agg_op *o = ctx;
    agg_local *l = o->locals[w];
    uint32_t at[PARTITIONS];
    if (!l || !l->g.n)
        return FZ_OK;
    l->by_part = mem_alloc(&o->q->m, l->g.n * sizeof *l->by_part);
    if (!l->by_part)
        return error_nomem(err);
    for (uint32_t i = 0; i < l->g.n; i++)
        l->part_at[part_of(group_row(&l->g, i)) + 1]++;
    for (uint32_t p = 0; p < PARTITIONS; p++) {
        l->part_at[p + 1] += l->part_at[p];
        at[p] = l->part_at[p];
    }
    for (uint32_t i = 0; i < l->g.n; i++)
        l->by_part[at[part_of(group_row(&l->g, i))]++] = i;
    return FZ_OK;
}

static fz_status merge_part(void *ctx, size_t part, fz_error *err)
{
    agg_op *o = ctx;
    group_table *to = &o->parts[part];
    uint32_t most = 0;
    for (uint32_t w = 0; w < o->nlocals; w++) {
        const agg_local *l = o->locals[w];
        if (l && l->by_part && l->part_at[part + 1] - l->part_at[part] > most)
            most = l->part_at[part + 1] - l->part_at[part];
    }
    TRY(group_reserve(to, most, err));
    for (uint32_t w = 0; w < o->nlocals; w++) {
        const agg_local *l = o->locals[w];
        if (!l || !l->by_part)
            continue;
        uint32_t end = l->part_at[part + 1];
        for (uint32_t k = l->part_at[part]; k < end; k++) {
            if (k + 2 * MERGE_AHEAD < end)
                __builtin_prefetch(group_row(&l->g, l->by_part[k + 2 * MERGE_AHEAD]));
            if (k + MERGE_AHEAD < end) {
                uint64_t hash;
                memcpy(&hash, group_row(&l->g, l->by_part[k + MERGE_AHEAD]), 8);
                group_prefetch(to, hash);
            }
            TRY(merge_row(o, to, group_row(&l->g, l->by_part[k]), err));
        }
    }
    return FZ_OK;
}

static fz_status agg_merge_all(agg_op *o, fz_error *err)
{
    agg_local *big = NULL;
    uint64_t total = 0;
    uint32_t used = 0;
    for (uint32_t w = 0; w < o->nlocals; w++) {
        agg_local *l = o->locals[w];
        if (!l || !l->g.n)
            continue;
        used++;
        total += l->g.n;
        if (!big || l->g.n > big->g.n)
            big = l;
    }
    o->parts = ARENA_ARRAY(&o->q->mem, group_table, PARTITIONS);
    if (!o->parts)
        return error_nomem(err);
    if (used > 1 && total > MERGE_SERIAL_MAX && o->p->aggregate.nkeys) {
        o->nparts = o->merged = PARTITIONS;
        for (uint32_t i = 0; i < PARTITIONS; i++)
            group_table_init(&o->parts[i], &o->key, o->state_bytes, &o->q->m);
        TRY(job_for(&o->q->j, o->nlocals, split_local, o, err));
        return job_for(&o->q->j, PARTITIONS, merge_part, o, err);
    }
    o->nparts = 1;
    if (!big) {
        o->merged = 1;
        group_table_init(&o->parts[0], &o->key, o->state_bytes, &o->q->m);
        return FZ_OK;
    }
    for (uint32_t w = 0; w < o->nlocals; w++) {
        group_table *g = o->locals[w] ? &o->locals[w]->g : NULL;
        for (uint32_t i = 0; g && g != &big->g && i < g->n; i++)
            TRY(merge_row(o, &big->g, group_row(g, i), err));
    }
    o->parts[0] = big->g; /* shared: the worker's state frees it */
    return FZ_OK;
}

static fz_status agg_end(psink *s, query *q, fz_error *err)
{
    agg_op *o = (agg_op *)s;
    TRY(agg_merge_all(o, err));
    if (o->p->aggregate.nkeys == 0 && o->parts[0].n == 0) { /* no rows: one group all the same */
        uint8_t *row;
        TRY(group_find_add(&o->parts[0], (const uint8_t *)"", 0, &row, err));
    }
    o->pieces_before = ARENA_ARRAY(&q->mem, uint32_t, o->nparts + 1);
    if (!o->pieces_before)
        return error_nomem(err);
    for (uint32_t i = 0; i < o->nparts; i++)
        o->pieces_before[i + 1] = o->pieces_before[i] + (uint32_t)((o->parts[i].n + (uint64_t)BATCH_ROWS - 1) / BATCH_ROWS);
    o->npieces = o->pieces_before[o->nparts];
    return FZ_OK;
}

static void agg_close(psink *s)
{
    agg_op *o = (agg_op *)s;
    for (uint32_t i = 0; i < o->merged; i++)
        group_table_free(&o->parts[i]);
}

/* ---- the result as a source ---- */

#define OP_OF_SRC(s) ((agg_op *)((char *)(s) - offsetof(agg_op, src)))

static fz_status result_start(psource *s, query *q, int *workers, fz_error *err)
{
    agg_op *o = OP_OF_SRC(s);
    *workers = o->npieces < 4 ? 1 : o->npieces > 1024 ? 1024 : (int)o->npieces;
    return FZ_OK;
}

typedef struct result_local { const uint8_t *rows[BATCH_ROWS]; uint64_t piece; bool open; arena scratch; } result_local;

static fz_status result_local_open(psource *s, void **local, fz_error *err)
{
    result_local *l = mem_zalloc(&OP_OF_SRC(s)->q->m, sizeof *l);
    *local = l;
    if (!l)
        return error_nomem(err);
    arena_init(&l->scratch, &OP_OF_SRC(s)->q->m);
    return FZ_OK;
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
        for (uint32_t k = 0; k < n; k++) {
            TRY(agg_finish(&o->aggs[i], l->rows[k] - GROUP_KEY, v, k, &l->scratch, err));
            if (l->scratch.total > 1 << 20)
                arena_reset(&l->scratch);
        }
        bool nulls = false;
        for (uint32_t k = 0; k < n && !nulls; k++)
            nulls = !bit_get(v->valid, k);
        if (!nulls)
            v->valid = NULL;
    }
    return FZ_OK;
}

static fz_status result_next(psource *s, void *local, task *waiter, batch *out, source_result *r, fz_error *err)
{
    agg_op *o = OP_OF_SRC(s);
    result_local *l = local;
    batch_reset(out);
    out->morsel = l->piece;
    if (l->open) {
        l->open = false;
        *r = SOURCE_MORSEL_END;
        return FZ_OK;
    }
    uint64_t piece = atomic_fetch_add_explicit(&o->at, 1, memory_order_relaxed);
    if (piece >= o->npieces) {
        *r = SOURCE_END;
        return FZ_OK;
    }
    uint32_t part = 0;
    while (o->pieces_before[part + 1] <= piece)
        part++;
    uint32_t from = (uint32_t)(piece - o->pieces_before[part]) * BATCH_ROWS, n = o->parts[part].n - from;
    out->morsel = l->piece = piece;
    l->open = true;
    *r = SOURCE_BATCH;
    return result_fill(o, l, &o->parts[part], from, n > BATCH_ROWS ? BATCH_ROWS : n, out, err);
}

static void result_local_close(psource *s, void *local)
{
    result_local *l = local;
    if (!l)
        return;
    arena_free(&l->scratch);
    mem_free(&OP_OF_SRC(s)->q->m, l, sizeof *l);
}
static void result_close(psource *s) {}

static const psource_ops result_ops = {result_start, result_local_open, result_next, result_local_close, result_close};
static const psink_ops agg_ops = {
    .start = agg_start, .local_open = agg_local_open, .push = agg_push, .finish = agg_end,
    .local_close = agg_local_close, .close = agg_close,
};

fz_status agg_new(query *q, const plan *p, psink **sink, psource **src, fz_error *err)
{
    agg_op *o = ARENA_NEW(&q->mem, agg_op);
    uint32_t nk = p->aggregate.nkeys, na = p->aggregate.naggs;
    type *types = ARENA_ARRAY(&q->mem, type, nk + 1);
    if (!o || !types || !(o->aggs = ARENA_ARRAY(&q->mem, agg_inst, na + 1)))
        return error_nomem(err);
    o->s.ops = &agg_ops;
    o->src.ops = &result_ops;
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
        o->any_filter |= p->aggregate.aggs[i].filter != NULL;
    }
    o->state_bytes = at - group_states_at(&o->key);
    *sink = &o->s;
    *src = &o->src;
    return FZ_OK;
}
