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
 * Out of memory, a worker sorts what it has and writes it to a temporary file as a run of its own: entries and tuples as they
 * are. Runs in files are merged like those in memory, a block of each at a time; where they are so many that the blocks alone
 * would fill the memory, they are first merged into fewer.
 */
#include "exec/eval_int.h"
#include "exec/pipe_int.h"
#include "exec/rowfile_int.h"
#include "exec/sortkey_int.h"

#define TOP_ROWS_MAX   1000000 /* a larger limit sorts everything */
#define SPILL_BLOCK    256     /* rows */
#define FLOOR_MIN      ((int64_t)64 << 10)
#define MERGE_MIN      16      /* runs at once */
#define MERGE_MAX      512     /* … and open files */
#define RUN_BUFFER     (128 << 10)

typedef struct run {
    uint64_t *entries;    /* sorted */
    uint32_t pitch;       /* words from one to the next */
    size_t n, at;
    /* a run in a file: the entries of its current block, each before its tuple */
    spill_file *file;
    arena mem[2];         /* of the current and of the previous block */
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
    bool all;             /* the first `top` rows don't fit in memory: everything is sorted */
    uint64_t *threshold;
    bool bounded;         /* rows whose first key, an integer, lies past `bound` are behind the threshold */
    int64_t bound;
    uint16_t sel[BATCH_ROWS], near[BATCH_ROWS];
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
    row_shape shape;      /* of runs in files */
    int64_t floor;        /* a worker that has less doesn't spill */
    sort_local **locals;
    uint32_t nlocals;
    run **runs;           /* all of them, for merging */
    uint32_t nruns;
    run **merged;         /* made of several in files */
    uint32_t nmerged;
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
    r->file = NULL;
    arena_free(&r->mem[0]);
    arena_free(&r->mem[1]);
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

/* The threshold's first key as a number that whole columns are compared with. */
static void bound_set(sort_local *l)
{
    const sort_spec *s = &l->op->spec;
    const row_col *c = &l->op->rows.cols[s->row_col[0]];
    const uint8_t *row = entry_row(s, l->threshold);
    l->bounded = (c->p == PHYS_I64 || c->p == PHYS_I32) && !row_null(row, s->row_col[0]);
    if (l->bounded)
        memcpy(&l->bound, row + c->off, 8);
}

/* Rows that may come before the bound; nulls stay. */
#define NEAR(T)                                                                                    \
    {                                                                                              \
        const T *x = v->data;                                                                      \
        T bound = (T)l->bound;                                                                     \
        for (uint32_t k = 0; k < n; k++) {                                                         \
            uint16_t i = b->sel ? b->sel[k] : (uint16_t)k;                                         \
            l->near[m] = i;                                                                        \
            m += (desc ? x[i] >= bound : x[i] <= bound) || (v->valid && !bit_get(v->valid, i));    \
        }                                                                                          \
    }
static uint32_t near_rows(sort_local *l, const vec *v, const batch *b, uint32_t n)
{
    bool desc = l->op->spec.keys[0].desc;
    uint32_t m = 0;
    if (type_phys(v->t) == PHYS_I64)
        NEAR(int64_t)
    else
        NEAR(int32_t)
    return m;
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
    bound_set(l);
    return FZ_OK;
}

/* Rows that come surely behind the threshold leave; entries move up. */
static uint32_t drop_behind(sort_local *l, const uint16_t *rows, uint32_t n)
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
        l->sel[m++] = rows ? rows[k] : (uint16_t)k;
    }
    return m;
}

static fz_status spill_run(sort_local *l, fz_error *err);

static int64_t local_bytes(const sort_local *l)
{
    return (int64_t)l->rows.total + (int64_t)(l->cap * sort_stride(&l->op->spec) * 8);
}

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
    if (l->cut && l->bounded && l->key_ptrs[0]->enc == VEC_FLAT) {
        n = near_rows(l, l->key_ptrs[0], b, n);
        rows = l->near;
        if (n == 0)
            return FZ_OK;
    }
    TRY(sort_encode(spec, l->key_ptrs, rows, n, l->batch_entries, &l->scratch, err));
    for (uint32_t k = 0; k < n; k++)
        l->batch_entries[(size_t)k * stride + spec->words] =
            (w->morsel << 36) + ((uint64_t)b->seq << 13) + (rows ? rows[k] : k);
    if (l->cut) {
        n = drop_behind(l, rows, n);
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
    bool top = o->top > 0 && !l->all;
    bool full = local_bytes(l) > o->floor && mem_over(&o->q->m, (int64_t)(l->n * stride * 8));
    if (top && (l->n >= (size_t)o->top * 2 + BATCH_ROWS || (full && l->n >= (size_t)o->top + (size_t)o->top / 4)))
        return cut_top(l, err);
    l->all |= full;
    return full ? spill_run(l, err) : FZ_OK;
}

/* ---- runs in files ---- */

static fz_status run_decode(sort_op *o, const uint64_t *entries, uint32_t n, batch *out, fz_error *err)
{
    uint32_t stride = sort_stride(&o->spec), ncols = o->p->out.n;
    const uint8_t **rows = arena_alloc(&out->mem, (n + 1) * sizeof *rows);
    if (!rows)
        return error_nomem(err);
    for (uint32_t k = 0; k < n; k++)
        rows[k] = entry_row(&o->spec, entries + (size_t)k * stride);
    TRY(batch_columns(out, ncols, err));
    out->nrows = out->nsel = n;
    for (uint32_t c = 0; c < ncols; c++)
        TRY(rows_decode(&o->rows, c, rows, n, &out->cols[c], &out->mem, err));
    return FZ_OK;
}

/* Entries with their tuples, put side by side for a file. */
typedef struct run_writer { sort_op *o; spill_file *f; uint8_t *block, *rows[SPILL_BLOCK]; uint32_t n; } run_writer;

static fz_status writer_flush(run_writer *w, fz_error *err)
{
    if (job_stopped(&w->o->q->j))
        return error_set(err, FZ_CANCELLED, "cancelled");
    fz_status st = rowfile_write(w->f, &w->o->shape, w->rows, w->n, err);
    w->n = 0;
    return st;
}

static fz_status writer_add(run_writer *w, const uint64_t *entry, fz_error *err)
{
    uint32_t bytes = sort_stride(&w->o->spec) * 8;
    uint8_t *to = w->rows[w->n] = w->block + (size_t)w->n * w->o->shape.width;
    memcpy(to, entry, bytes);
    memcpy(to + bytes, entry_row(&w->o->spec, entry), w->o->rows.width);
    return ++w->n == SPILL_BLOCK ? writer_flush(w, err) : FZ_OK;
}

static fz_status writer_open(run_writer *w, sort_op *o, run *r, fz_error *err)
{
    mem *m = &o->q->m;
    *r = (run){.pitch = o->shape.width / 8};
    TRY(spill_create(o->q->o.temp_dir, m, &r->file, err));
    arena_init(&r->mem[0], m);
    arena_init(&r->mem[1], m);
    *w = (run_writer){.o = o, .f = r->file, .block = mem_alloc(m, (size_t)SPILL_BLOCK * o->shape.width)};
    return w->block ? FZ_OK : error_nomem(err);
}

/* st: what came of the writing so far. */
static fz_status writer_close(run_writer *w, fz_status st, fz_error *err)
{
    if (st == FZ_OK)
        st = writer_flush(w, err);
    if (st == FZ_OK)
        st = spill_rewind(w->f, err);
    mem_free(&w->o->q->m, w->block, (size_t)SPILL_BLOCK * w->o->shape.width);
    return st;
}

static fz_status runs_reserve(sort_local *l, fz_error *err)
{
    if (l->nruns < l->capruns)
        return FZ_OK;
    uint32_t cap = l->capruns ? l->capruns * 2 : 8;
    run *r = mem_resize(&l->op->q->m, l->runs, l->capruns * sizeof *r, cap * sizeof *r);
    if (!r)
        return error_nomem(err);
    l->runs = r;
    l->capruns = cap;
    return FZ_OK;
}

static fz_status spill_run(sort_local *l, fz_error *err)
{
    sort_op *o = l->op;
    uint32_t stride = sort_stride(&o->spec);
    run_writer w;
    TRY(runs_reserve(l, err));
    TRY(local_sort(l, err));
    run *r = &l->runs[l->nruns];
    fz_status st = writer_open(&w, o, r, err);
    l->nruns += r->file != NULL;
    TRY(st);
    for (size_t i = 0; i < l->n && st == FZ_OK; i++)
        st = writer_add(&w, l->entries + i * stride, err);
    st = writer_close(&w, st, err);
    mem_free(&o->q->m, l->entries, l->cap * stride * 8);
    l->entries = NULL;
    l->n = l->cap = 0;
    arena_free(&l->rows);
    return st;
}

/* The next block of a run in a file. n 0: it is through. */
static fz_status run_refill(sort_op *o, run *r, fz_error *err)
{
    uint8_t *rows;
    uint32_t n, stride = sort_stride(&o->spec);
    r->at = r->n = 0;
    r->turn ^= 1; /* rows of the block before may still be in the output that is being made */
    arena *a = &r->mem[r->turn];
    arena_reset(a);
    TRY(rowfile_read(r->file, &o->shape, a, &rows, &n, err));
    if (!n) {
        spill_close(r->file); /* the file alone: its rows may be wanted */
        r->file = NULL;
        return FZ_OK;
    }
    r->entries = (uint64_t *)rows;
    for (uint32_t k = 0; k < n; k++) {
        uint64_t *e = r->entries + (size_t)k * r->pitch;
        e[stride - 1] = (uintptr_t)(e + stride);
    }
    r->n = n;
    return FZ_OK;
}

/* ---- the end ---- */

static fz_status sort_one(void *ctx, size_t i, fz_error *err)
{
    sort_op *o = ctx;
    sort_local *l = o->locals[i];
    if (!l || !l->n)
        return FZ_OK;
    if (l->nruns && mem_over(&o->q->m, 0))
        return spill_run(l, err); /* makes room for merging */
    return local_sort(l, err);
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
        r->pitch = sort_stride(&o->spec);
        r->n = l->n;
        o->runs[o->nruns++] = r;
        for (uint32_t k = 0; k < l->nruns; k++)
            o->runs[o->nruns++] = &l->runs[k];
    }
    return FZ_OK;
}

static void sort_close(psink *s)
{
    sort_op *o = (sort_op *)s;
    for (uint32_t i = 0; i < o->nmerged; i++)
        run_free(o->merged[i]);
}

/* ---- the result: a heap of runs ---- */

#define SORT_OF_SRC(s) ((sort_op *)((char *)(s) - offsetof(sort_op, src)))

static const uint64_t *run_head(const sort_op *o, uint32_t i) { return o->runs[i]->entries + o->runs[i]->at * o->runs[i]->pitch; }

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

/* A heap of the runs [from, to). */
static fz_status heap_make(sort_op *o, uint32_t from, uint32_t to, fz_error *err)
{
    o->heap_n = 0;
    for (uint32_t i = from; i < to; i++) {
        if (o->runs[i]->file)
            TRY(run_refill(o, o->runs[i], err));
        if (o->runs[i]->n)
            o->heap[o->heap_n++] = i;
    }
    for (uint32_t i = o->heap_n; i-- > 0;)
        heap_down(o, i);
    return FZ_OK;
}

/* On from the least row. *refilled: its run has another block. */
static fz_status heap_pop(sort_op *o, bool *refilled, fz_error *err)
{
    run *r = o->runs[o->heap[0]];
    r->at++;
    if (r->at == r->n && r->file) {
        TRY(run_refill(o, r, err));
        *refilled = true;
    }
    if (r->at == r->n)
        o->heap[0] = o->heap[--o->heap_n];
    if (o->heap_n)
        heap_down(o, 0);
    return FZ_OK;
}

/* The runs [from, to), all in files, become one, which takes the place of the first. Rows that are never given are left out. */
static fz_status runs_merge(sort_op *o, uint32_t from, uint32_t to, fz_error *err)
{
    run_writer w;
    int64_t left = o->p->sort.limit;
    run *r = ARENA_NEW(&o->q->mem, run);
    if (!r)
        return error_nomem(err);
    fz_status st = writer_open(&w, o, r, err);
    o->merged[o->nmerged++] = r;
    TRY(st);
    st = heap_make(o, from, to, err);
    while (st == FZ_OK && o->heap_n && left != 0) {
        bool refilled = false;
        left -= left > 0;
        st = writer_add(&w, run_head(o, o->heap[0]), err);
        if (st == FZ_OK)
            st = heap_pop(o, &refilled, err);
        if (st == FZ_OK && refilled) /* texts that were added may lie in the block before: it goes with the next one */
            st = writer_flush(&w, err);
    }
    st = writer_close(&w, st, err);
    for (uint32_t i = from; i < to; i++)
        run_free(o->runs[i]);
    o->runs[from] = r;
    return st;
}

/* Runs at once, so that their blocks take a half of the memory. */
static uint32_t fan_in(const sort_op *o)
{
    int64_t limit = mem_limit(&o->q->m), each = RUN_BUFFER + 4ll * SPILL_BLOCK * o->shape.width;
    int64_t n = limit ? limit / 2 / each : MERGE_MAX;
    return n < MERGE_MIN ? MERGE_MIN : n > MERGE_MAX ? MERGE_MAX : (uint32_t)n;
}

static fz_status runs_reduce(sort_op *o, fz_error *err)
{
    uint32_t most = fan_in(o), files = 0;
    for (uint32_t i = 0; i < o->nruns; i++) /* those in files first */
        if (o->runs[i]->file) {
            run *r = o->runs[i];
            o->runs[i] = o->runs[files];
            o->runs[files++] = r;
        }
    o->merged = ARENA_ARRAY(&o->q->mem, run *, files + 1);
    if (!o->merged)
        return error_nomem(err);
    while (files > most) {
        uint32_t kept = 0;
        for (uint32_t i = 0; i < files; kept++) {
            uint32_t to = files - i < most ? files : i + most;
            if (to - i > 1)
                TRY(runs_merge(o, i, to, err));
            o->runs[kept] = o->runs[i];
            i = to;
        }
        memmove(o->runs + kept, o->runs + files, (o->nruns - files) * sizeof *o->runs);
        o->nruns -= files - kept;
        files = kept;
    }
    return FZ_OK;
}

static fz_status sorted_start(psource *s, query *q, int *workers, fz_error *err)
{
    sort_op *o = SORT_OF_SRC(s);
    *workers = 1;
    TRY(runs_reduce(o, err));
    return heap_make(o, 0, o->nruns, err);
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
    if (o->heap_n == 1 && o->runs[o->heap[0]]->pitch == stride) { /* one run in memory: as it stands */
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
        memcpy(to + (size_t)n++ * stride, r->entries + r->at * r->pitch, stride * 8);
        TRY(heap_pop(o, &refilled, err));
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
        return run_decode(o, e, n, out, err);
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

static fz_status shape_init(sort_op *o, fz_error *err)
{
    uint32_t n = 0, entry = sort_stride(&o->spec) * 8, *at = ARENA_ARRAY(&o->q->mem, uint32_t, o->rows.n + 1);
    if (!at)
        return error_nomem(err);
    for (uint32_t c = 0; c < o->rows.n; c++)
        if (o->rows.cols[c].p == PHYS_STR)
            at[n++] = entry + o->rows.cols[c].off;
    o->shape = (row_shape){entry + o->rows.width, n, at};
    return FZ_OK;
}

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
    TRY(shape_init(o, err));
    o->floor = mem_limit(&q->m) / 16 > FLOOR_MIN ? mem_limit(&q->m) / 16 : FLOOR_MIN;
    *sink = &o->s;
    *src = &o->src;
    return FZ_OK;
}
