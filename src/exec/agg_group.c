/*
 * agg_group.c: batches to groups: how a batch finds its groups, the cheapest way that fits:
 *
 *   no keys           one state; whole batches at once
 *   all keys CONST or RLE with few runs: a group per stretch of rows, and stretches at once
 *   all keys DICT, of few combinations: a group per combination of codes, remembered for the dictionaries
 *   one integer key of a small range: a group per value, in an array
 *   else              tuples, hashes, the table
 *
 * A worker's table is kept small enough for its cache: when it is full, its groups are added to the store
 * (agg_store_int.h) and it begins anew. Where that brings little, because most rows make a group of their own, batches go to the
 * store straight, for a while.
 */
#include "exec/agg_op_int.h"

#define CODES_ONE_MAX   (1u << 20) /* entries of a single key's dictionary */
#define CODES_MAX       (1u << 18) /* combinations of several keys' */
#define STRAIGHT        64         /* batches */

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
        TRY(input(l->arg_ev[i], e->arg, &part, &l->raw[i], err));
        if (!l->op->aggs[i].set)
            TRY(vec_flatten_rows(&l->args[i], &l->raw[i], part.sel, part.sel ? part.nsel : b->nrows, &l->scratch, err));
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
        if (o->aggs[i].set != l->set)
            continue;
        bool filter = e->filter && !l->set;
        const uint16_t *sel = filter ? l->filter_sel[i] : b->sel;
        agg_call c = {.arg = e->arg ? &l->args[i] : NULL, .one = group, .a = &l->g.text, .first = from, .n = to - from};
        if (sel) {
            uint32_t n = filter ? l->filter_n[i] : b->nsel;
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
    if (o->any_filter && !l->set)
        for (uint32_t k = 0; k < n; k++)
            l->by_row[b->sel ? b->sel[k] : k] = l->rows[k];
    for (uint32_t i = 0; i < o->p->aggregate.naggs; i++) {
        const agg_expr *e = &o->p->aggregate.aggs[i];
        if (o->aggs[i].set != l->set)
            continue;
        agg_call c = {.arg = e->arg ? &l->args[i] : NULL, .rows = b->sel, .n = n, .groups = l->rows, .a = &l->g.text};
        if (e->filter && !l->set) {
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

/* How many combinations the codes of the keys have; 0: too many, or not all keys are dictionaries. */
static uint32_t combinations(const agg_local *l, uint32_t n)
{
    uint32_t nk = l->op->p->aggregate.nkeys;
    uint64_t all = 1;
    for (uint32_t i = 0; i < nk; i++) {
        const vec *v = &l->keys[i];
        if (v->enc != VEC_DICT || (nk > 1 && !v->dict_id))
            return 0;
        all *= l->radix[i] = v->values->len + 1; /* one for null */
        if (all > (nk > 1 ? CODES_MAX : v->dict_id ? CODES_ONE_MAX : n))
            return 0;
    }
    return (uint32_t)all;
}

static fz_status codes_for(agg_local *l, uint32_t n, fz_error *err)
{
    uint32_t nk = l->op->p->aggregate.nkeys;
    bool same = l->ncodes == n;
    for (uint32_t i = 0; i < nk; i++) {
        same &= l->keys[i].dict_id && l->codes_of[i] == l->keys[i].dict_id;
        l->codes_of[i] = l->keys[i].dict_id;
    }
    if (same)
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
    return FZ_OK;
}

static fz_status group_dict(agg_local *l, const batch *b, uint32_t n, uint32_t combos, fz_error *err)
{
    uint32_t nk = l->op->p->aggregate.nkeys;
    uint32_t *at = arena_alloc(&l->scratch, (n + 1) * sizeof *at);
    if (!at)
        return error_nomem(err);
    TRY(codes_for(l, combos, err));
    for (uint32_t c = 0; c < nk; c++) {
        const vec *v = &l->keys[c];
        const uint32_t *code = v->data;
        uint32_t radix = l->radix[c];
        for (uint32_t k = 0; k < n; k++) {
            uint32_t i = b->sel ? b->sel[k] : k;
            uint32_t x = v->valid && !bit_get(v->valid, i) ? radix - 1 : code[i];
            at[k] = c ? at[k] * radix + x : x;
        }
    }
    for (uint32_t k = 0; k < n; k++) {
        uint8_t **slot = &l->codes[at[k]];
        if (!*slot)
            TRY(group_of_row(l, b->sel ? b->sel[k] : k, slot, err));
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

static fz_status tuples_of(agg_local *l, const batch *b, uint32_t n, fz_error *err)
{
    const row_layout *key = &l->op->key;
    TRY(rows_encode(key, l->key_ptrs, b->sel, 0, n, l->tuples, key->width, &l->scratch, err));
    rows_hash(key, l->tuples, key->width, n, l->hashes);
    return FZ_OK;
}

static fz_status group_hash(agg_local *l, const batch *b, uint32_t n, fz_error *err)
{
    TRY(tuples_of(l, b, n, err));
    TRY(group_find_add_all(&l->g, l->tuples, l->hashes, NULL, n, l->rows, err));
    return update_rows(l, b, n, err);
}

static bool is_direct(const vec *v)
{
    phys p = type_phys(v->t);
    return v->enc == VEC_FLAT && (p == PHYS_I64 || p == PHYS_I32);
}

/* ---- to the store ---- */

static fz_status straight_part(void *ctx, store_part *p, uint32_t from, uint32_t to, fz_error *err)
{
    agg_local *l = ctx;
    agg_op *o = l->op;
    TRY(group_find_add_all(&p->g, l->tuples, l->hashes, l->order + from, to - from, l->rows, err));
    for (uint32_t i = 0; i < o->p->aggregate.naggs; i++) {
        if (o->aggs[i].set != l->set)
            continue;
        agg_call c = {.arg = o->p->aggregate.aggs[i].arg ? &l->args[i] : NULL, .rows = l->order_rows + from, .n = to - from,
                      .groups = l->rows, .a = &p->g.text};
        TRY(agg_update(&o->aggs[i], &c, err));
    }
    return FZ_OK;
}

static fz_status group_straight(agg_local *l, const batch *b, uint32_t n, fz_error *err)
{
    uint32_t at[STORE_PARTS + 1] = {0}, next[STORE_PARTS];
    TRY(tuples_of(l, b, n, err));
    for (uint32_t k = 0; k < n; k++)
        at[store_part_of(l->hashes[k]) + 1]++;
    for (uint32_t p = 0; p < STORE_PARTS; p++) {
        at[p + 1] += at[p];
        next[p] = at[p];
    }
    for (uint32_t k = 0; k < n; k++) {
        uint32_t to = next[store_part_of(l->hashes[k])]++;
        l->order[to] = (uint16_t)k;
        l->order_rows[to] = b->sel ? b->sel[k] : (uint16_t)k;
    }
    l->turn += STORE_PARTS / 3;
    TRY(store_each(&l->op->store, l->turn, at, straight_part, l, err));
    return store_spill_over(&l->op->store, err);
}

typedef struct flush_ctx { agg_store *s; uint8_t **rows; } flush_ctx;

static fz_status flush_part(void *ctx, store_part *p, uint32_t from, uint32_t to, fz_error *err)
{
    flush_ctx *f = ctx;
    return store_add(f->s, &p->g, f->rows + from, to - from, err);
}

fz_status agg_flush(agg_local *l, fz_error *err)
{
    agg_op *o = l->op;
    uint32_t at[STORE_PARTS + 1] = {0}, next[STORE_PARTS], n = l->g.n;
    uint8_t **rows = mem_alloc(&o->q->m, n * sizeof *rows);
    if (!rows)
        return error_nomem(err);
    for (uint32_t i = 0; i < n; i++)
        at[store_part_of(group_hash_of(group_row(&l->g, i))) + 1]++;
    for (uint32_t p = 0; p < STORE_PARTS; p++) {
        at[p + 1] += at[p];
        next[p] = at[p];
    }
    for (uint32_t i = 0; i < n; i++) {
        uint8_t *row = group_row(&l->g, i);
        rows[next[store_part_of(group_hash_of(row))]++] = row;
    }
    atomic_store_explicit(&o->stored, true, memory_order_relaxed);
    l->turn += STORE_PARTS / 3;
    flush_ctx f = {&o->store, rows};
    fz_status st = store_each(&o->store, l->turn, at, flush_part, &f, err);
    mem_free(&o->q->m, rows, n * sizeof *rows);
    if (st != FZ_OK)
        return st;
    group_table_clear(&l->g);
    if (l->codes)
        memset(l->codes, 0, l->ncodes * sizeof *l->codes);
    if (l->direct)
        memset(l->direct, 0, DIRECT_SLOTS * sizeof *l->direct);
    l->null_group = NULL;
    l->straight = l->seen < n * 2ull && !o->any_filter ? STRAIGHT : 0;
    l->seen = 0;
    return store_spill_over(&o->store, err);
}

/* ---- a batch ---- */

static fz_status group_batch(agg_local *l, const batch *b, fz_error *err)
{
    uint32_t n = b->sel ? b->nsel : b->nrows, nk = l->op->p->aggregate.nkeys, combos;
    if (nk == 0) {
        if (!l->one)
            TRY(group_find_add(&l->g, (const uint8_t *)"", 0, &l->one, err));
        return update_range(l, b, 0, b->nrows, l->one, err);
    }
    bool direct = nk == 1 && is_direct(&l->keys[0]) && !l->direct_off;
    if ((l->g.n >= l->most && !direct) || (l->g.n && group_bytes(&l->g) > l->op->store.floor && mem_over(&l->op->q->m, 0)))
        TRY(agg_flush(l, err));
    if (few_runs(l, b)) {
        l->seen += n;
        return group_runs(l, b, err);
    }
    if (l->straight) {
        l->straight--;
        return group_straight(l, b, n, err);
    }
    l->seen += n;
    if ((combos = combinations(l, n)))
        return group_dict(l, b, n, combos, err);
    if (direct) {
        bool done;
        TRY(group_direct(l, b, n, &done, err));
        if (done)
            return FZ_OK;
    }
    return group_hash(l, b, n, err);
}

/* The keys and values of the rows that a set takes. */
static fz_status push_inner(agg_local *l, uint32_t set, worker *w, const batch *b, fz_error *err)
{
    agg_op *o = l->op;
    uint32_t nk = o->p->aggregate.nkeys, agg = o->inner_arg[set];
    const agg_expr *e = &o->p->aggregate.aggs[agg];
    batch in = *b;
    if (e->filter) {
        in.sel = l->filter_sel[agg];
        in.nsel = l->filter_n[agg];
        if (!in.nsel)
            return FZ_OK;
    }
    if (vec_may_null(&l->raw[agg])) {
        uint16_t *sel = arena_alloc(&l->scratch, (b->nrows + 8u) * sizeof *sel);
        uint32_t n = in.sel ? in.nsel : in.nrows, m = 0;
        if (!sel)
            return error_nomem(err);
        for (uint32_t k = 0; k < n; k++) {
            uint32_t i = in.sel ? in.sel[k] : k;
            sel[m] = (uint16_t)i;
            m += !vec_is_null(&l->raw[agg], i);
        }
        in.sel = sel;
        in.nsel = m;
        if (!m)
            return FZ_OK;
    }
    in.ncols = nk + 1;
    in.cols = ARENA_ARRAY(&l->scratch, vec, nk + 1);
    if (!in.cols)
        return error_nomem(err);
    memcpy(in.cols, l->keys, nk * sizeof *in.cols);
    in.cols[nk] = l->raw[agg];
    return agg_push(&o->inner[set]->s, l->inner[set], w, &in, err);
}

fz_status agg_push(psink *s, void *local, worker *w, const batch *b, fz_error *err)
{
    agg_local *l = local;
    if (b->nrows > BATCH_ROWS)
        return error_set(err, FZ_INTERNAL, "a batch of %u rows", b->nrows);
    arena_reset(&l->scratch);
    TRY(inputs(l, b, err));
    for (uint32_t i = 0; i < l->op->ninner; i++)
        TRY(push_inner(l, i, w, b, err));
    return group_batch(l, b, err);
}

fz_status agg_push_more(psink *s, void *local, worker *w, const batch *b, fz_error *err)
{
    agg_local *l = local;
    agg_op *o = l->op;
    uint32_t nk = o->p->aggregate.nkeys;
    arena_reset(&l->scratch);
    l->set = w->at + 1;
    for (uint32_t i = 0; i < nk; i++)
        l->keys[i] = b->cols[i];
    for (uint32_t i = 0; i < nk; i++)
        l->key_ptrs[i] = &l->keys[i];
    for (uint32_t i = 0; i < o->p->aggregate.naggs; i++)
        if (o->aggs[i].set == l->set)
            TRY(vec_flatten_rows(&l->args[i], &b->cols[nk], b->sel, b->sel ? b->nsel : b->nrows, &l->scratch, err));
    return group_batch(l, b, err);
}
