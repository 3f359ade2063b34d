/*
 * op_sort.c: ORDER BY, with or without a limit.
 *
 * Each worker collects rows (tuples) and entries (normalised keys, sortkey_int.h). At the end the workers' runs
 * are sorted side by side and merged while they are read. Equal rows keep the order of the source: an
 * entry carries its position.
 *
 * Top-N: once a worker has seen twice the limit it sorts, keeps the first N and their last key as a
 * threshold, and drops rows past it before anything of them is copied.
 *
 * Out of memory, a worker sorts what it has and writes it to a temporary file as a run of its own:
 * columns, further key columns, position. Runs in files are merged like those in memory; their batches are
 * encoded again as they are read.
 */
#include "exec/eval_int.h"
#include "exec/pipe_int.h"
#include "exec/sortkey_int.h"
#include "exec/spill.h"

#define SPILL_ROWS_MIN 65536
#define TOP_ROWS_MAX   1000000 /* a larger limit sorts everything */
#define SPILL_BATCH    4096

typedef struct run {
    uint64_t *entries;    /* sorted */
    size_t n, at;
    /* a run in a file: the entries of its current batch */
    spill_file *file;
    batch in;
    arena mem[2];         /* tuples of the current and of the previous batch */
    uint32_t turn;
} run;

typedef struct sort_local {
    struct sort_op *op;
    arena rows, scratch;
    evaluator **ev;       /* per key that isn't a column */
    vec *keys;
    const vec **key_ptrs, **col_ptrs;
    uint64_t *entries, *batch_entries;
    size_t n, cap;
    bool cut;             /* threshold holds */
    uint64_t *threshold;
    uint16_t sel[BATCH_ROWS];
    run *runs;            /* spilled */
    uint32_t nruns, capruns;
} sort_local;

typedef struct sort_op {
    psink s;
    psource src;
    query *q;
    const plan *p;
    row_layout rows;      /* out columns, then keys that are expressions */
    sort_spec spec;
    uint32_t extra;
    int64_t top;          /* rows wanted, or -1 */
    sort_local **locals;
    uint32_t nlocals;
    run **runs;           /* all of them, for merging */
    uint32_t nruns;
    uint32_t *heap;       /* runs by their first entry */
    uint32_t heap_n;
    int64_t given;
    uint32_t seq;
    bool told;
} sort_op;

/* ---- a worker ---- */

static fz_status sort_start(psink *s, query *q, uint32_t workers, fz_error *err)
{
    sort_op *o = (sort_op *)s;
    o->locals = ARENA_ARRAY(&q->mem, sort_local *, workers);
    o->nlocals = workers;
    return o->locals ? FZ_OK : error_nomem(err);
}

static fz_status sort_local_open(psink *s, uint32_t index, void **local, fz_error *err)
{
    sort_op *o = (sort_op *)s;
    mem *m = &o->q->m;
    uint32_t nk = o->spec.nkeys;
    sort_local *l = mem_zalloc(m, sizeof *l);
    *local = o->locals[index] = l;
    if (!l)
        return error_nomem(err);
    l->op = o;
    arena_init(&l->rows, m);
    arena_init(&l->scratch, m);
    l->ev = mem_zalloc(m, (nk + 1) * sizeof *l->ev);
    l->keys = mem_zalloc(m, (nk + 1) * sizeof *l->keys);
    l->key_ptrs = mem_zalloc(m, (nk + 1) * sizeof *l->key_ptrs);
    l->col_ptrs = mem_zalloc(m, (o->rows.n + 1) * sizeof *l->col_ptrs);
    l->batch_entries = mem_alloc(m, (size_t)BATCH_ROWS * sort_stride(&o->spec) * 8);
    l->threshold = mem_zalloc(m, sort_stride(&o->spec) * 8);
    if (!l->ev || !l->keys || !l->key_ptrs || !l->col_ptrs || !l->batch_entries || !l->threshold)
        return error_nomem(err);
    for (uint32_t i = 0; i < nk; i++)
        if (o->spec.keys[i].e->kind != EX_COLUMN)
            TRY(evaluator_open(o->spec.keys[i].e, o->q->o.params, o->q->o.n_params, m, &l->ev[i], err));
    return FZ_OK;
}

static void run_free(run *r)
{
    spill_close(r->file);
    if (r->file) {
        batch_free(&r->in);
        arena_free(&r->mem[0]);
        arena_free(&r->mem[1]);
    }
}

static void sort_local_close(psink *s, void *local)
{
    sort_op *o = (sort_op *)s;
    sort_local *l = local;
    mem *m = &o->q->m;
    if (!l)
        return;
    for (uint32_t i = 0; l->ev && i < o->spec.nkeys; i++)
        evaluator_close(l->ev[i]);
    mem_free(m, l->ev, (o->spec.nkeys + 1) * sizeof *l->ev);
    mem_free(m, l->keys, (o->spec.nkeys + 1) * sizeof *l->keys);
    mem_free(m, l->key_ptrs, (o->spec.nkeys + 1) * sizeof *l->key_ptrs);
    mem_free(m, l->col_ptrs, (o->rows.n + 1) * sizeof *l->col_ptrs);
    mem_free(m, l->batch_entries, l->batch_entries ? (size_t)BATCH_ROWS * sort_stride(&o->spec) * 8 : 0);
    mem_free(m, l->threshold, l->threshold ? sort_stride(&o->spec) * 8 : 0);
    mem_free(m, l->entries, l->cap * sort_stride(&o->spec) * 8);
    for (uint32_t i = 0; i < l->nruns; i++)
        run_free(&l->runs[i]);
    mem_free(m, l->runs, l->capruns * sizeof *l->runs);
    arena_free(&l->rows);
    arena_free(&l->scratch);
    mem_free(m, l, sizeof *l);
}

static fz_status entries_reserve(sort_local *l, size_t more, fz_error *err)
{
    size_t stride = sort_stride(&l->op->spec) * 8;
    if (l->n + more <= l->cap)
        return FZ_OK;
    size_t cap = l->cap ? l->cap * 2 : BATCH_ROWS;
    while (cap < l->n + more)
        cap *= 2;
    uint64_t *e = mem_resize(&l->op->q->m, l->entries, l->cap * stride, cap * stride);
    if (!e)
        return error_nomem(err);
    l->entries = e;
    l->cap = cap;
    return FZ_OK;
}

static fz_status local_sort(sort_local *l, fz_error *err)
{
    size_t bytes = l->n * sort_stride(&l->op->spec) * 8 + 8;
    uint64_t *tmp = mem_alloc(&l->op->q->m, bytes);
    if (!tmp)
        return error_nomem(err);
    sort_entries(&l->op->spec, l->entries, tmp, l->n);
    mem_free(&l->op->q->m, tmp, bytes);
    return FZ_OK;
}

/* Keeps the first `top` rows, in memory of their own. */
static fz_status cut_top(sort_local *l, fz_error *err)
{
    sort_op *o = l->op;
    uint32_t stride = sort_stride(&o->spec);
    TRY(local_sort(l, err));
    l->n = (size_t)o->top;
    arena keep;
    arena_init(&keep, &o->q->m);
    for (size_t i = 0; i < l->n; i++) {
        uint64_t *e = l->entries + i * stride;
        uint8_t *row = arena_alloc(&keep, o->rows.width);
        fz_status st = row ? FZ_OK : error_nomem(err);
        if (row) {
            memcpy(row, entry_row(&o->spec, e), o->rows.width);
            st = row_own(&o->rows, row, &keep, err);
        }
        if (st != FZ_OK) {
            arena_free(&keep);
            return st;
        }
        e[o->spec.words + 1] = (uintptr_t)row;
    }
    arena_free(&l->rows);
    l->rows = keep;
    memcpy(l->threshold, l->entries + (l->n - 1) * stride, stride * 8);
    l->cut = true;
    return FZ_OK;
}

/* Rows that come surely behind the threshold leave; entries move up. */
static uint32_t drop_behind(sort_local *l, const batch *b, uint32_t n)
{
    const sort_spec *s = &l->op->spec;
    uint32_t stride = sort_stride(s), m = 0, words = s->segments[0].to;
    bool exact = s->nsegments == 1 && !s->text; /* equal keys of later rows come later */
    for (uint32_t k = 0; k < n; k++) {
        const uint64_t *e = l->batch_entries + (size_t)k * stride;
        int c = 0;
        for (uint32_t w = 0; w < words && c == 0; w++)
            c = (e[w] > l->threshold[w]) - (e[w] < l->threshold[w]);
        if (c > 0 || (c == 0 && exact && e[s->words] > l->threshold[s->words]))
            continue;
        if (m != k)
            memcpy(l->batch_entries + (size_t)m * stride, e, stride * 8);
        l->sel[m++] = b->sel ? b->sel[k] : (uint16_t)k;
    }
    return m;
}

static fz_status spill_run(sort_local *l, fz_error *err);

static fz_status sort_push(psink *s, void *local, worker *w, const batch *b, fz_error *err)
{
    sort_op *o = (sort_op *)s;
    sort_local *l = local;
    const sort_spec *spec = &o->spec;
    uint32_t n = b->sel ? b->nsel : b->nrows, stride = sort_stride(spec), extra = o->p->out.n;
    const uint16_t *rows = b->sel;
    if (b->nrows > BATCH_ROWS)
        return error_set(err, FZ_INTERNAL, "a batch of %u rows", b->nrows);
    arena_reset(&l->scratch);
    for (uint32_t c = 0; c < o->p->out.n; c++)
        l->col_ptrs[c] = &b->cols[c];
    for (uint32_t i = 0; i < spec->nkeys; i++) {
        l->key_ptrs[i] = &l->keys[i];
        if (!l->ev[i]) {
            l->key_ptrs[i] = &b->cols[spec->keys[i].e->col];
            continue;
        }
        TRY(evaluator_run(l->ev[i], b, &l->keys[i], err));
        l->col_ptrs[extra++] = &l->keys[i];
    }
    TRY(sort_encode(spec, l->key_ptrs, rows, n, l->batch_entries, &l->scratch, err));
    for (uint32_t k = 0; k < n; k++)
        l->batch_entries[(size_t)k * stride + spec->words] =
            (w->morsel << 36) + ((uint64_t)b->seq << 13) + (rows ? rows[k] : k);
    if (l->cut) {
        n = drop_behind(l, b, n);
        rows = l->sel;
        if (n == 0)
            return FZ_OK;
    }
    uint8_t *to = arena_alloc(&l->rows, (size_t)n * o->rows.width);
    if (!to)
        return error_nomem(err);
    TRY(rows_encode(&o->rows, l->col_ptrs, rows, 0, n, to, o->rows.width, &l->scratch, err));
    TRY(entries_reserve(l, n, err));
    memcpy(l->entries + l->n * stride, l->batch_entries, (size_t)n * stride * 8);
    for (uint32_t k = 0; k < n; k++) {
        uint8_t *row = to + (size_t)k * o->rows.width;
        TRY(row_own(&o->rows, row, &l->rows, err));
        l->entries[(l->n + k) * stride + spec->words + 1] = (uintptr_t)row;
    }
    l->n += n;
    if (o->top > 0 && l->n >= (size_t)o->top * 2 + BATCH_ROWS)
        return cut_top(l, err);
    if (o->top < 0 && l->n >= SPILL_ROWS_MIN && mem_over(&o->q->m, 0))
        return spill_run(l, err);
    return FZ_OK;
}

/* ---- runs in files ---- */

static fz_status run_decode(sort_op *o, const uint64_t *entries, uint32_t n, bool all, batch *out, fz_error *err)
{
    uint32_t stride = sort_stride(&o->spec), ncols = all ? o->rows.n + 1 : o->p->out.n;
    const uint8_t **rows = arena_alloc(&out->mem, (n + 1) * sizeof *rows);
    if (!rows)
        return error_nomem(err);
    for (uint32_t k = 0; k < n; k++)
        rows[k] = entry_row(&o->spec, entries + (size_t)k * stride);
    TRY(batch_columns(out, ncols, err));
    out->nrows = out->nsel = n;
    for (uint32_t c = 0; c < (all ? o->rows.n : ncols); c++)
        TRY(rows_decode(&o->rows, c, rows, n, &out->cols[c], &out->mem, err));
    if (!all)
        return FZ_OK;
    vec *pos = &out->cols[o->rows.n];
    TRY(vec_alloc(pos, TYPE(T_INT64), n, &out->mem, err));
    for (uint32_t k = 0; k < n; k++)
        ((int64_t *)pos->data)[k] = (int64_t)entries[(size_t)k * stride + o->spec.words];
    return FZ_OK;
}

static fz_status spill_run(sort_local *l, fz_error *err)
{
    sort_op *o = l->op;
    mem *m = &o->q->m;
    if (l->nruns == l->capruns) {
        uint32_t cap = l->capruns ? l->capruns * 2 : 8;
        run *r = mem_resize(m, l->runs, l->capruns * sizeof *r, cap * sizeof *r);
        if (!r)
            return error_nomem(err);
        l->runs = r;
        l->capruns = cap;
    }
    TRY(local_sort(l, err));
    run *r = &l->runs[l->nruns];
    *r = (run){0};
    TRY(spill_create(o->q->o.temp_dir, m, &r->file, err));
    batch_init(&r->in, m);
    arena_init(&r->mem[0], m);
    arena_init(&r->mem[1], m);
    l->nruns++;
    batch b;
    batch_init(&b, m);
    fz_status st = FZ_OK;
    uint32_t stride = sort_stride(&o->spec);
    for (size_t i = 0; i < l->n && st == FZ_OK; i += SPILL_BATCH) {
        uint32_t n = l->n - i < SPILL_BATCH ? (uint32_t)(l->n - i) : SPILL_BATCH;
        batch_reset(&b);
        st = run_decode(o, l->entries + i * stride, n, true, &b, err);
        if (st == FZ_OK)
            st = spill_write(r->file, &b, err);
    }
    batch_free(&b);
    if (st == FZ_OK)
        st = spill_rewind(r->file, err);
    mem_free(m, l->entries, l->cap * stride * 8);
    l->entries = NULL;
    l->n = l->cap = 0;
    arena_free(&l->rows);
    arena_init(&l->rows, m);
    return st;
}

/* The next batch of a run in a file, encoded. n 0: it is through. */
static fz_status run_refill(sort_op *o, run *r, fz_error *err)
{
    bool end;
    uint32_t stride = sort_stride(&o->spec);
    r->at = r->n = 0;
    TRY(spill_read(r->file, &r->in, &end, err));
    if (end)
        return FZ_OK;
    r->turn ^= 1; /* rows of the batch before may still be in the output that is being made */
    arena *a = &r->mem[r->turn];
    arena_reset(a);
    uint32_t n = r->in.nrows;
    const vec **cols = ARENA_ARRAY(a, const vec *, o->rows.n + 1);
    const vec **keys = ARENA_ARRAY(a, const vec *, o->spec.nkeys + 1);
    uint8_t *rows = arena_alloc(a, (size_t)n * o->rows.width + 1);
    r->entries = arena_alloc(a, (size_t)n * stride * 8 + 8);
    if (!cols || !keys || !rows || !r->entries)
        return error_nomem(err);
    for (uint32_t c = 0; c < o->rows.n; c++)
        cols[c] = &r->in.cols[c];
    for (uint32_t i = 0; i < o->spec.nkeys; i++)
        keys[i] = &r->in.cols[o->spec.row_col[i]];
    TRY(rows_encode(&o->rows, cols, NULL, 0, n, rows, o->rows.width, a, err));
    TRY(sort_encode(&o->spec, keys, NULL, n, r->entries, a, err));
    const int64_t *pos = r->in.cols[o->rows.n].data;
    for (uint32_t k = 0; k < n; k++) {
        uint64_t *e = r->entries + (size_t)k * stride;
        uint8_t *row = rows + (size_t)k * o->rows.width;
        TRY(row_own(&o->rows, row, a, err));
        e[o->spec.words] = (uint64_t)pos[k];
        e[o->spec.words + 1] = (uintptr_t)row;
    }
    r->n = n;
    return FZ_OK;
}

/* ---- the end ---- */

static fz_status sort_one(void *ctx, size_t i, fz_error *err)
{
    sort_op *o = ctx;
    return o->locals[i] ? local_sort(o->locals[i], err) : FZ_OK;
}

static fz_status sort_end(psink *s, query *q, fz_error *err)
{
    sort_op *o = (sort_op *)s;
    uint32_t total = 0;
    TRY(job_for(&q->j, o->nlocals, sort_one, o, err));
    for (uint32_t i = 0; i < o->nlocals; i++)
        total += o->locals[i] ? o->locals[i]->nruns + 1 : 0;
    o->runs = ARENA_ARRAY(&q->mem, run *, total + 1);
    o->heap = ARENA_ARRAY(&q->mem, uint32_t, total + 1);
    if (!o->runs || !o->heap)
        return error_nomem(err);
    for (uint32_t i = 0; i < o->nlocals; i++) {
        sort_local *l = o->locals[i];
        if (!l)
            continue;
        run *r = ARENA_NEW(&q->mem, run);
        if (!r)
            return error_nomem(err);
        r->entries = l->entries;
        r->n = l->n;
        o->runs[o->nruns++] = r;
        for (uint32_t k = 0; k < l->nruns; k++)
            o->runs[o->nruns++] = &l->runs[k];
    }
    return FZ_OK;
}

static void sort_close(psink *s) {}

/* ---- the result: a heap of runs ---- */

#define SORT_OF_SRC(s) ((sort_op *)((char *)(s) - offsetof(sort_op, src)))

static const uint64_t *run_head(const sort_op *o, uint32_t i) { return o->runs[i]->entries + o->runs[i]->at * sort_stride(&o->spec); }

static void heap_down(sort_op *o, uint32_t at)
{
    for (;;) {
        uint32_t least = at, l = 2 * at + 1;
        for (uint32_t c = l; c < l + 2 && c < o->heap_n; c++)
            if (sort_cmp(&o->spec, run_head(o, o->heap[c]), run_head(o, o->heap[least])) < 0)
                least = c;
        if (least == at)
            return;
        uint32_t swap = o->heap[at];
        o->heap[at] = o->heap[least];
        o->heap[least] = swap;
        at = least;
    }
}

static fz_status sorted_start(psource *s, query *q, int *workers, fz_error *err)
{
    sort_op *o = SORT_OF_SRC(s);
    *workers = 1;
    for (uint32_t i = 0; i < o->nruns; i++) {
        if (o->runs[i]->file)
            TRY(run_refill(o, o->runs[i], err));
        if (o->runs[i]->n)
            o->heap[o->heap_n++] = i;
    }
    for (uint32_t i = o->heap_n; i-- > 0;)
        heap_down(o, i);
    return FZ_OK;
}

static fz_status sorted_local(psource *s, void **local, fz_error *err)
{
    *local = NULL;
    return FZ_OK;
}

/* The next rows in order. Stops before a run in a file would be refilled twice for one batch. */
static fz_status take(sort_op *o, uint64_t *to, uint32_t want, uint32_t *got, fz_error *err)
{
    uint32_t stride = sort_stride(&o->spec), n = 0;
    *got = 0;
    if (o->heap_n == 1 && !o->runs[o->heap[0]]->file) { /* one run in memory: as it stands */
        run *r = o->runs[o->heap[0]];
        n = r->n - r->at < want ? (uint32_t)(r->n - r->at) : want;
        memcpy(to, r->entries + r->at * stride, (size_t)n * stride * 8);
        r->at += n;
        o->heap_n -= r->at == r->n;
        *got = n;
        return FZ_OK;
    }
    bool refilled = false;
    while (n < want && o->heap_n) {
        run *r = o->runs[o->heap[0]];
        memcpy(to + (size_t)n++ * stride, r->entries + r->at * stride, stride * 8);
        r->at++;
        if (r->at == r->n && r->file) {
            TRY(run_refill(o, r, err));
            refilled = true;
        }
        if (r->at == r->n)
            o->heap[0] = o->heap[--o->heap_n];
        if (o->heap_n)
            heap_down(o, 0);
        if (refilled)
            break;
    }
    *got = n;
    return FZ_OK;
}

static fz_status sorted_next(psource *s, void *local, task *waiter, batch *out, source_result *r, fz_error *err)
{
    sort_op *o = SORT_OF_SRC(s);
    uint32_t n = 0, want = BATCH_ROWS;
    batch_reset(out);
    if (o->p->sort.limit >= 0 && o->p->sort.limit - o->given < want)
        want = (uint32_t)(o->p->sort.limit - o->given);
    if (want && o->heap_n) {
        uint64_t *e = arena_alloc(&out->mem, (size_t)want * sort_stride(&o->spec) * 8);
        if (!e)
            return error_nomem(err);
        TRY(take(o, e, want, &n, err));
        o->given += n;
        *r = SOURCE_BATCH;
        out->seq = o->seq++;
        return run_decode(o, e, n, false, out, err);
    }
    *r = o->told ? SOURCE_END : SOURCE_MORSEL_END;
    o->told = true;
    return FZ_OK;
}
static void sorted_nothing(psource *s, void *local) {}
static void sorted_close(psource *s) {}

static const psource_ops sorted_ops = {sorted_start, sorted_local, sorted_next, sorted_nothing, sorted_close};
static const psink_ops sort_ops = {
    .start = sort_start, .local_open = sort_local_open, .push = sort_push, .finish = sort_end,
    .local_close = sort_local_close, .close = sort_close,
};

fz_status sort_new(query *q, const plan *p, psink **sink, psource **src, fz_error *err)
{
    sort_op *o = ARENA_NEW(&q->mem, sort_op);
    uint32_t nk = p->sort.nkeys, n = p->out.n;
    type *types = ARENA_ARRAY(&q->mem, type, n + nk + 1);
    uint32_t *row_col = ARENA_ARRAY(&q->mem, uint32_t, nk + 1);
    if (!o || !types || !row_col)
        return error_nomem(err);
    o->s.ops = &sort_ops;
    o->src.ops = &sorted_ops;
    o->q = q;
    o->p = p;
    o->top = p->sort.limit > 0 && p->sort.limit <= TOP_ROWS_MAX ? p->sort.limit : -1;
    for (uint32_t i = 0; i < n; i++)
        types[i] = p->in[0]->out.cols[i].t;
    for (uint32_t i = 0; i < nk; i++) {
        const expr *e = p->sort.keys[i].e;
        if (e->kind == EX_COLUMN && e->col >= n)
            return error_set(err, FZ_INTERNAL, "a sort key of column %u of %u", e->col, n);
        row_col[i] = e->kind == EX_COLUMN ? e->col : n + o->extra;
        if (e->kind != EX_COLUMN)
            types[n + o->extra++] = e->t;
    }
    TRY(row_layout_init(&o->rows, n + o->extra, types, false, &q->mem, err));
    TRY(sort_spec_init(&o->spec, nk, p->sort.keys, &o->rows, row_col, &q->mem, err));
    *sink = &o->s;
    *src = &o->src;
    return FZ_OK;
}
