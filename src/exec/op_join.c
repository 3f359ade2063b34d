/*
 * op_join.c: hash joins: the build side. It is materialised as tuples, each with its hash, in chains behind
 * directories (join_int.h); the probe side streams through as an operator of its pipeline (join_probe.c).
 *
 * Workers collect rows and sort them into partitions by the hash's upper bits as they come; at the end each
 * partition's directory is made, side by side. Rows with a null key are left out: they match nothing.
 * A cross join is a join on no key: everything lies in one chain, and stays in memory.
 *
 * When the query's memory is used up, all rows go to files by partition, those that were collected and those that still come.
 * At the end as many partitions are loaded again as fit. Rows of the probe side that belong to the others are put aside
 * as well, and joined when the probe side is through (join_late.c).
 */
#include "exec/join_int.h"

#define FLOOR_MIN ((int64_t)64 << 10)

/* ---- keys, on both sides ---- */

fz_status join_keys_open(join_op *o, const expr **exprs, join_keys *k, fz_error *err)
{
    mem *m = &o->q->m;
    k->exprs = exprs;
    k->ev = mem_zalloc(m, (o->nkeys + 1) * sizeof *k->ev);
    k->vecs = mem_zalloc(m, (o->nkeys + 1) * sizeof *k->vecs);
    k->ptrs = mem_zalloc(m, (o->nkeys + 1) * sizeof *k->ptrs);
    if (!k->ev || !k->vecs || !k->ptrs)
        return error_nomem(err);
    for (uint32_t i = 0; i < o->nkeys; i++)
        if (exprs[i]->kind != EX_COLUMN)
            TRY(evaluator_open(exprs[i], o->q->o.params, o->q->o.n_params, m, &k->ev[i], err));
    return FZ_OK;
}

void join_keys_close(join_op *o, join_keys *k)
{
    mem *m = &o->q->m;
    for (uint32_t i = 0; k->ev && i < o->nkeys; i++)
        evaluator_close(k->ev[i]);
    mem_free(m, k->ev, (o->nkeys + 1) * sizeof *k->ev);
    mem_free(m, k->vecs, (o->nkeys + 1) * sizeof *k->vecs);
    mem_free(m, k->ptrs, (o->nkeys + 1) * sizeof *k->ptrs);
    *k = (join_keys){0};
}

fz_status join_keys_eval(join_op *o, join_keys *k, const batch *b, fz_error *err)
{
    for (uint32_t i = 0; i < o->nkeys; i++) {
        if (k->ev[i]) {
            TRY(evaluator_run(k->ev[i], b, &k->vecs[i], err));
            k->ptrs[i] = &k->vecs[i];
        } else if (k->exprs[i]->col < b->ncols) {
            k->ptrs[i] = &b->cols[k->exprs[i]->col];
        } else {
            return error_set(err, FZ_INTERNAL, "a join key of column %u of %u", k->exprs[i]->col, b->ncols);
        }
    }
    return FZ_OK;
}

/* ---- collecting ---- */

static fz_status build_start(psink *s, query *q, uint32_t workers, fz_error *err)
{
    join_op *o = (join_op *)s;
    o->locals = ARENA_ARRAY(&q->mem, build_local *, workers);
    o->nlocals = workers;
    o->nparts = workers > 1 && o->nkeys ? JOIN_PARTS : 1;
    o->floor = mem_limit(&o->q->m) / 8 > FLOOR_MIN ? mem_limit(&o->q->m) / 8 : FLOOR_MIN;
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
    l->hashes = mem_zalloc(m, BATCH_ROWS * sizeof *l->hashes);
    if (!l->col_ptrs || !l->hashes)
        return error_nomem(err);
    return join_keys_open(o, o->build_keys, &l->keys, err);
}

static void lists_free(build_local *l)
{
    for (uint32_t i = 0; i < JOIN_PARTS; i++) {
        mem_free(&l->op->q->m, l->parts[i].p, l->parts[i].cap * sizeof *l->parts[i].p);
        l->parts[i] = (rowlist){0};
    }
}

static void build_local_close(psink *s, void *local)
{
    join_op *o = (join_op *)s;
    build_local *l = local;
    if (!l)
        return;
    join_keys_close(o, &l->keys);
    mem_free(&o->q->m, l->col_ptrs, (o->cols.n + 1) * sizeof *l->col_ptrs);
    mem_free(&o->q->m, l->hashes, BATCH_ROWS * sizeof *l->hashes);
    lists_free(l);
    arena_free(&l->rows);
    arena_free(&l->scratch);
    mem_free(&o->q->m, l, sizeof *l);
}

static fz_status list_add(mem *m, rowlist *r, uint8_t *row, fz_error *err)
{
    if (r->n == r->cap) {
        size_t cap = r->cap ? r->cap * 2 : 256;
        uint8_t **p = mem_resize(m, r->p, r->cap * sizeof *p, cap * sizeof *p);
        if (!p)
            return error_nomem(err);
        r->p = p;
        r->cap = cap;
    }
    r->p[r->n++] = row;
    return FZ_OK;
}

static uint64_t hash_of(const uint8_t *row)
{
    uint64_t hash;
    memcpy(&hash, row + 8, 8);
    return hash;
}

/* Up to BATCH_ROWS rows to the files of their partitions. */
static fz_status rows_write(join_op *o, uint8_t *const *rows, uint32_t n, fz_error *err)
{
    uint32_t at[JOIN_PARTS + 1] = {0}, next[JOIN_PARTS];
    uint8_t **by_part = mem_alloc(&o->q->m, (n + 1) * sizeof *by_part);
    fz_status st = by_part ? FZ_OK : error_nomem(err);
    for (uint32_t k = 0; k < n; k++)
        at[join_part_of(hash_of(rows[k])) + 1]++;
    for (uint32_t p = 0; p < JOIN_PARTS; p++) {
        at[p + 1] += at[p];
        next[p] = at[p];
    }
    for (uint32_t k = 0; by_part && k < n; k++)
        by_part[next[join_part_of(hash_of(rows[k]))]++] = rows[k];
    for (uint32_t i = 0; i < JOIN_PARTS && st == FZ_OK; i++) {
        join_part *p = &o->parts[i];
        if (at[i] == at[i + 1])
            continue;
        pthread_mutex_lock(&p->lock);
        if (!p->build)
            st = spill_create(o->q->o.temp_dir, &o->q->m, &p->build, err);
        if (st == FZ_OK)
            st = rowfile_write(p->build, &o->shape, by_part + at[i], at[i + 1] - at[i], err);
        p->nbuild += at[i + 1] - at[i];
        pthread_mutex_unlock(&p->lock);
    }
    mem_free(&o->q->m, by_part, (n + 1) * sizeof *by_part);
    return st;
}

/* What a worker has collected goes to the files. */
static fz_status local_write(build_local *l, fz_error *err)
{
    join_op *o = l->op;
    for (uint32_t p = 0; p < JOIN_PARTS; p++)
        for (size_t k = 0; k < l->parts[p].n; k += BATCH_ROWS) {
            size_t n = l->parts[p].n - k < BATCH_ROWS ? l->parts[p].n - k : BATCH_ROWS;
            if (job_stopped(&o->q->j))
                return error_set(err, FZ_CANCELLED, "cancelled");
            TRY(rows_write(o, l->parts[p].p + k, (uint32_t)n, err));
        }
    lists_free(l);
    arena_free(&l->rows);
    return FZ_OK;
}

static fz_status build_push(psink *s, void *local, worker *w, const batch *b, fz_error *err)
{
    join_op *o = (join_op *)s;
    build_local *l = local;
    uint32_t n = b->sel ? b->nsel : b->nrows, kept = 0;
    bool away = atomic_load_explicit(&o->spilling, memory_order_relaxed);
    arena_reset(&l->scratch);
    if (away && l->rows.head)
        TRY(local_write(l, err));
    TRY(join_keys_eval(o, &l->keys, b, err));
    for (uint32_t c = 0; c < o->cols.n; c++)
        l->col_ptrs[c] = &b->cols[c];
    uint8_t *rows = arena_alloc(away ? &l->scratch : &l->rows, (size_t)n * o->width);
    uint8_t **list = arena_alloc(&l->scratch, (n + 1) * sizeof *list);
    if (!rows || !list)
        return error_nomem(err);
    TRY(rows_encode(&o->key, l->keys.ptrs, b->sel, 0, n, rows + ROW_KEY, o->width, &l->scratch, err));
    TRY(rows_encode(&o->cols, l->col_ptrs, b->sel, 0, n, rows + ROW_KEY + o->key.width, o->width, &l->scratch, err));
    if (o->nkeys)
        rows_hash(&o->key, rows + ROW_KEY, o->width, n, l->hashes);
    for (uint32_t k = 0; k < n; k++) {
        uint8_t *row = rows + (size_t)k * o->width;
        if (row_any_null(&o->key, row + ROW_KEY))
            continue;
        memset(row, 0, 8);
        memcpy(row + 8, &l->hashes[k], 8);
        if (away) {
            list[kept] = row;
        } else {
            TRY(row_own(&o->key, row + ROW_KEY, &l->rows, err));
            TRY(row_own(&o->cols, row + ROW_KEY + o->key.width, &l->rows, err));
            TRY(list_add(&o->q->m, &l->parts[o->nparts == 1 ? 0 : join_part_of(l->hashes[k])], row, err));
        }
        kept++;
    }
    if (away)
        return rows_write(o, list, kept, err);
    int64_t all = (int64_t)(atomic_fetch_add_explicit(&o->collected, kept, memory_order_relaxed) + kept);
    if (o->nkeys && all * (int64_t)o->width > o->floor && mem_over(&o->q->m, all * ROW_EXTRA))
        atomic_store_explicit(&o->spilling, true, memory_order_relaxed);
    return FZ_OK;
}

/* ---- the end ---- */

fz_status directory_init(join_op *o, directory *d, uint64_t rows, fz_error *err)
{
    uint64_t cap = 16;
    while (o->nkeys && cap < rows * 2)
        cap *= 2;
    d->heads = mem_zalloc(&o->q->m, cap * sizeof *d->heads);
    if (!d->heads)
        return error_nomem(err);
    d->cap = cap;
    return FZ_OK;
}

void directory_free(join_op *o, directory *d)
{
    mem_free(&o->q->m, d->heads, d->cap * sizeof *d->heads);
    *d = (directory){0};
}

static fz_status part_build(void *ctx, size_t part, fz_error *err)
{
    join_op *o = ctx;
    directory *d = &o->parts[part].d;
    uint64_t n = 0;
    for (uint32_t i = 0; i < o->nlocals; i++)
        n += o->locals[i] ? o->locals[i]->parts[part].n : 0;
    TRY(directory_init(o, d, n, err));
    for (uint32_t i = o->nlocals; i-- > 0;) { /* backwards: chains then have the source's order */
        rowlist *r = o->locals[i] ? &o->locals[i]->parts[part] : NULL;
        for (size_t k = r ? r->n : 0; k-- > 0;) {
            if (k >= 16)
                __builtin_prefetch(r->p[k - 16] + 8);
            if (k >= 8)
                __builtin_prefetch(&d->heads[hash_of(r->p[k - 8]) & (d->cap - 1)], 1);
            directory_add(d, r->p[k]);
        }
    }
    return FZ_OK;
}

fz_status build_load(join_op *o, spill_file *f, uint64_t rows, arena *a, directory *d, fz_error *err)
{
    TRY(directory_init(o, d, rows, err));
    if (!f)
        return FZ_OK;
    TRY(spill_rewind(f, err));
    for (;;) {
        uint8_t *block;
        uint32_t n;
        if (job_stopped(&o->q->j))
            return error_set(err, FZ_CANCELLED, "cancelled");
        TRY(rowfile_read(f, &o->shape, a, &block, &n, err));
        if (!n)
            return FZ_OK;
        for (uint32_t k = 0; k < n; k++)
            directory_add(d, block + (size_t)k * o->shape.width);
    }
}

static fz_status write_one(void *ctx, size_t i, fz_error *err)
{
    join_op *o = ctx;
    return o->locals[i] ? local_write(o->locals[i], err) : FZ_OK;
}

static fz_status part_load(void *ctx, size_t i, fz_error *err)
{
    join_op *o = ctx;
    join_part *p = &o->parts[i];
    if (p->away)
        return directory_init(o, &p->d, 0, err);
    TRY(build_load(o, p->build, p->nbuild, &p->rows, &p->d, err));
    spill_close(p->build);
    p->build = NULL;
    return FZ_OK;
}

/* All rows are in files: the partitions that fit come back, up to three quarters of what is free. */
static fz_status build_settle(join_op *o, fz_error *err)
{
    int64_t need = mem_limit(&o->q->m) / 4;
    o->nparts = JOIN_PARTS;
    TRY(job_for(&o->q->j, o->nlocals, write_one, o, err));
    for (uint32_t i = 0; i < JOIN_PARTS; i++) {
        join_part *p = &o->parts[i];
        if (p->build)
            TRY(spill_flush(p->build, err));
        int64_t bytes = (p->build ? spill_bytes(p->build) : 0) + (int64_t)p->nbuild * ROW_EXTRA;
        p->away = p->build && mem_over(&o->q->m, need + bytes);
        need += p->away ? 0 : bytes;
        o->away |= p->away;
        o->rows += p->nbuild;
    }
    return job_for(&o->q->j, JOIN_PARTS, part_load, o, err);
}

static fz_status build_end(psink *s, query *q, fz_error *err)
{
    join_op *o = (join_op *)s;
    if (atomic_load(&o->spilling))
        return build_settle(o, err);
    TRY(job_for(&q->j, o->nparts, part_build, o, err));
    for (uint32_t i = 0; i < o->nlocals; i++)
        for (uint32_t p = 0; o->locals[i] && p < o->nparts; p++)
            o->rows += o->locals[i]->parts[p].n;
    for (uint32_t i = 0; i < o->nlocals; i++)
        if (o->locals[i])
            lists_free(o->locals[i]);
    return FZ_OK;
}

static void build_close(psink *s)
{
    join_op *o = (join_op *)s;
    for (uint32_t i = 0; o->open && i < JOIN_PARTS; i++) {
        join_part *p = &o->parts[i];
        directory_free(o, &p->d);
        arena_free(&p->rows);
        spill_close(p->build);
        spill_close(p->probe);
        pthread_mutex_destroy(&p->lock);
    }
    for (join_item *i = o->items, *next; i; i = next) {
        next = i->next;
        spill_close(i->build);
        spill_close(i->probe);
        mem_free(&o->q->m, i, sizeof *i);
    }
    if (o->open)
        pthread_mutex_destroy(&o->lock);
}

static const psink_ops build_ops = {
    .start = build_start, .local_open = build_local_open, .push = build_push, .finish = build_end,
    .local_close = build_local_close, .close = build_close,
};

static fz_status shape_init(join_op *o, fz_error *err)
{
    uint32_t n = 0, *at = ARENA_ARRAY(&o->q->mem, uint32_t, o->key.n + o->cols.n + 1);
    if (!at)
        return error_nomem(err);
    for (uint32_t c = 0; c < o->key.n; c++)
        if (o->key.cols[c].p == PHYS_STR)
            at[n++] = ROW_KEY + o->key.cols[c].off;
    for (uint32_t c = 0; c < o->cols.n; c++)
        if (o->cols.cols[c].p == PHYS_STR)
            at[n++] = ROW_KEY + o->key.width + o->cols.cols[c].off;
    o->shape = (row_shape){o->width, n, at};
    return FZ_OK;
}

fz_status join_new(query *q, const plan *p, bool build_left, psink **sink, op **probe, psource **late, fz_error *err)
{
    join_op *o = ARENA_NEW(&q->mem, join_op);
    if (!o)
        return error_nomem(err);
    const plan *build = p->in[build_left ? 0 : 1];
    o->s.ops = &build_ops;
    o->probe.ops = &join_probe_ops;
    o->late.ops = &join_late_ops;
    o->q = q;
    o->p = p;
    o->build_left = build_left;
    o->nkeys = p->join.kind == JOIN_CROSS ? 0 : p->join.nkeys;
    o->nleft = p->in[0]->out.n;
    o->nright = p->in[1]->out.n;
    o->build_keys = build_left ? p->join.left_keys : p->join.right_keys;
    o->probe_keys = build_left ? p->join.right_keys : p->join.left_keys;
    bool keys_only = (p->join.kind == JOIN_SEMI || p->join.kind == JOIN_ANTI) && !p->join.residual;
    uint32_t n = keys_only ? 0 : build->out.n;
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
    TRY(shape_init(o, err));
    for (uint32_t i = 0; i < JOIN_PARTS; i++) {
        pthread_mutex_init(&o->parts[i].lock, NULL);
        arena_init(&o->parts[i].rows, &q->m);
    }
    pthread_mutex_init(&o->lock, NULL);
    o->open = true;
    *sink = &o->s;
    *probe = &o->probe;
    *late = &o->late;
    return FZ_OK;
}
