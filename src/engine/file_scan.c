/*
 * file_scan.c: see file_scan.h.
 *
 * The shared part hands out morsels under a lock: it walks files and row groups in order, opening the footer of a
 * large file to split it. The local part of a worker has one file and one row group open, a cursor per column it
 * has needed so far, and the position of each: columns that a batch didn't need lag behind and skip when they are
 * needed next.
 */
#include "engine/file_scan.h"

#include <pthread.h>

/* A conjunct of the filter and the columns that it is the first to need. */
typedef struct step {
    const expr *e;
    uint32_t ncols;
    uint32_t *cols;
} step;

typedef struct file_scan {
    scan base;
    file_scan_options o;
    arena a;
    uint32_t ncols;
    const column_def **cols;     /* delivered columns */
    uint32_t nsteps;
    step *steps;
    uint32_t nrest;              /* columns that no conjunct needs */
    uint32_t *rest;
    const datum *params;
    uint32_t n_params;
    int64_t limit;               /* rows needed, or -1; only without a filter */
    job *j;

    pthread_mutex_t lock;        /* guards what follows */
    uint32_t file;               /* the next one to hand out of */
    io_file *split_f;            /* open while `file` is being split */
    pq_file *split_p;
    uint32_t rg;
    uint64_t row;
    bool rg_all_match;
    uint64_t morsels;            /* handed out so far: the next ordinal */
    int64_t rows_out;            /* handed out so far, for limit */
} file_scan;

typedef struct morsel {
    uint64_t ordinal;
    uint32_t file;
    bool whole;                  /* all row groups of the file */
    uint32_t rg;
    uint64_t row, end;
    bool all_match;
    pq_file *p;                  /* referenced, unless whole */
} morsel;

typedef struct local {
    file_scan *s;
    bool active;
    morsel m;
    uint32_t seq;
    uint32_t file;               /* that f, p and leaf belong to; UINT32_MAX: none */
    io_file *f;
    pq_file *p;
    int *leaf;                   /* the column of the file of each delivered one, -1: not in it */
    uint32_t rg;                 /* that the cursors belong to; UINT32_MAX: none */
    pq_cursor **cur;
    uint64_t *at;                /* row of the row group where each cursor stands */
    evaluator **ev;              /* per step */
    uint16_t sel[2][BATCH_ROWS];
} local;

/* ---- pruning ---- */

typedef struct bounds_ctx {
    const file_scan *s;
    const pq_file *p;
    uint32_t rg;
} bounds_ctx;

static int find_leaf(const file_scan *s, const pq_file *p, const column_def *c)
{
    return s->o.by_name ? pq_find_name(p, c->name) : pq_find_field(p, NULL, c->field_id);
}

static bool group_bounds(void *ctx, int32_t field_id, ib_bounds *out)
{
    const bounds_ctx *b = ctx;
    int leaf = -1;
    if (!b->s->o.by_name)
        leaf = pq_find_leaf(b->p, NULL, field_id);
    else if (field_id >= 1 && (uint32_t)field_id <= b->s->o.schema->n)
        leaf = pq_column_leaf(b->p, (uint32_t)pq_find_name(b->p, b->s->o.schema->cols[field_id - 1].name));
    if (leaf < 0)
        return false;
    pq_bounds x;
    pq_column_bounds(b->p, b->rg, (uint32_t)leaf, &x);
    *out = (ib_bounds){.rows = pq_meta(b->p)->row_groups[b->rg].num_rows, .nulls = x.null_count, .nans = -1,
                       .has_lower = x.known, .has_upper = x.known};
    if (x.known) {
        out->lower = x.min;
        out->upper = x.max;
    }
    return true;
}

static ib_match group_match(const file_scan *s, const pq_file *p, uint32_t rg)
{
    if (!s->o.pred)
        return s->nsteps ? IB_MATCH_SOME : IB_MATCH_ALL;
    bounds_ctx b = {s, p, rg};
    return ib_pred_eval(s->o.pred, group_bounds, &b);
}

/* ---- handing out morsels ---- */

static fz_status check_rows(const scan_file *sf, const pq_file *p, fz_error *err)
{
    int64_t have = pq_meta(p)->num_rows;
    if (sf->rows < 0 || sf->rows == have)
        return FZ_OK;
    error_set(err, FZ_DATA, "the file has %lld rows, but the table's metadata says %lld", (long long)have, (long long)sf->rows);
    error_where(err, sf->path);
    return FZ_DATA;
}

static void split_close(file_scan *s)
{
    pq_close(s->split_p);
    io_close(s->split_f);
    s->split_p = NULL;
    s->split_f = NULL;
}

/* Takes the next morsel; *got false: there is none left. */
static fz_status take(file_scan *s, morsel *m, bool *got, fz_error *err)
{
    fz_status st = FZ_OK;
    *got = false;
    pthread_mutex_lock(&s->lock);
    while (s->file < s->o.n_files && (s->limit < 0 || s->rows_out < s->limit)) {
        const scan_file *sf = &s->o.files[s->file];
        if (!s->split_p && sf->rows >= 0 && sf->rows <= FILE_SCAN_SMALL) {
            *m = (morsel){.ordinal = s->morsels++, .file = s->file++, .whole = true, .all_match = sf->all_match};
            s->rows_out += sf->rows;
            *got = true;
            break;
        }
        if (!s->split_p) {
            TRY_GOTO(footer_cache_open(s->o.footers, sf->path, s->o.m, &s->split_f, &s->split_p, err));
            TRY_GOTO(check_rows(sf, s->split_p, err));
            s->rg = 0;
            s->row = 0;
        }
        const pq_file_meta *meta = pq_meta(s->split_p);
        if (s->rg == meta->n_row_groups) {
            split_close(s);
            s->file++;
            continue;
        }
        if (s->row == 0) {
            ib_match match = group_match(s, s->split_p, s->rg);
            if (match == IB_MATCH_NONE || meta->row_groups[s->rg].num_rows == 0) {
                s->rg++;
                continue;
            }
            s->rg_all_match = match == IB_MATCH_ALL || sf->all_match;
        }
        uint64_t rows = (uint64_t)meta->row_groups[s->rg].num_rows, end = s->row + FILE_SCAN_MORSEL;
        if (end + FILE_SCAN_MORSEL / 2 > rows)
            end = rows;
        *m = (morsel){.ordinal = s->morsels++, .file = s->file, .rg = s->rg, .row = s->row, .end = end,
                      .all_match = s->rg_all_match, .p = pq_ref(s->split_p)};
        s->rows_out += (int64_t)(end - s->row);
        s->row = end;
        if (end == rows) {
            s->rg++;
            s->row = 0;
        }
        *got = true;
        break;
    }
out:
    pthread_mutex_unlock(&s->lock);
    return st;
}

/* ---- the worker's file and row group ---- */

static void close_group(local *l)
{
    for (uint32_t i = 0; i < l->s->ncols; i++) {
        pq_cursor_close(l->cur[i]);
        l->cur[i] = NULL;
        l->at[i] = 0;
    }
    l->rg = UINT32_MAX;
}

static void close_file(local *l)
{
    close_group(l);
    pq_close(l->p);
    io_close(l->f);
    l->p = NULL;
    l->f = NULL;
    l->file = UINT32_MAX;
}

static fz_status open_file(local *l, fz_error *err)
{
    file_scan *s = l->s;
    if (l->file == l->m.file)
        return FZ_OK;
    close_file(l);
    const scan_file *sf = &s->o.files[l->m.file];
    if (l->m.p) {
        TRY(io_open(sf->path, s->o.m, &l->f, err));
        l->p = pq_ref(l->m.p);
    } else {
        TRY(footer_cache_open(s->o.footers, sf->path, s->o.m, &l->f, &l->p, err));
        TRY(check_rows(sf, l->p, err));
    }
    for (uint32_t i = 0; i < s->ncols; i++) {
        l->leaf[i] = find_leaf(s, l->p, s->cols[i]);
        if (l->leaf[i] < 0 && s->cols[i]->not_null) {
            error_set(err, FZ_DATA, "the file lacks the required column \"" STR_FMT "\"", STR_ARG(s->cols[i]->name));
            error_where(err, sf->path);
            return FZ_DATA;
        }
    }
    l->file = l->m.file;
    return FZ_OK;
}

static fz_status read_column(local *l, uint32_t i, uint32_t n, const uint16_t *sel, uint32_t nsel, batch *out, fz_error *err)
{
    file_scan *s = l->s;
    vec *v = &out->cols[i];
    if (l->leaf[i] < 0) {
        datum null = DATUM_NULL(s->cols[i]->t);
        return vec_const(v, &null, n, &out->mem, err);
    }
    if (!l->cur[i]) {
        static const pq_match by_name = {.by_name = true};
        TRY(pq_cursor_open(l->p, l->f, l->rg, (uint32_t)l->leaf[i], s->cols[i]->t, s->o.by_name ? &by_name : NULL, s->o.m,
                           &l->cur[i], err));
        l->at[i] = 0;
    }
    if (l->at[i] < l->m.row)
        TRY(pq_cursor_skip(l->cur[i], l->m.row - l->at[i], err));
    TRY(pq_cursor_read(l->cur[i], n, sel, nsel, v, out, err));
    l->at[i] = l->m.row + n;
    return FZ_OK;
}

/* Reads n rows at m.row into out: out->nsel == 0 when none is left. */
static fz_status read_rows(local *l, uint32_t n, batch *out, fz_error *err)
{
    file_scan *s = l->s;
    TRY(batch_columns(out, s->ncols, err));
    out->nrows = out->nsel = n;
    out->sel = NULL;
    out->stable = true; /* the cursors' memory is in `keep`, the selection is copied by batch_hold */
    unsigned which = 0;
    for (uint32_t k = 0; k < s->nsteps && !l->m.all_match; k++) {
        const step *st = &s->steps[k];
        for (uint32_t i = 0; i < st->ncols; i++)
            TRY(read_column(l, st->cols[i], n, out->sel, out->nsel, out, err));
        uint32_t nsel = 0;
        TRY(evaluator_filter(l->ev[k], out, l->sel[which], &nsel, err));
        out->nsel = nsel;
        if (nsel == 0)
            return FZ_OK;
        if (nsel < n) {
            out->sel = l->sel[which];
            which ^= 1;
        }
    }
    if (l->m.all_match)
        for (uint32_t k = 0; k < s->nsteps; k++)
            for (uint32_t i = 0; i < s->steps[k].ncols; i++)
                TRY(read_column(l, s->steps[k].cols[i], n, NULL, n, out, err));
    for (uint32_t i = 0; i < s->nrest; i++)
        TRY(read_column(l, s->rest[i], n, out->sel, out->nsel, out, err));
    return FZ_OK;
}

/* In a morsel that is a whole file: enters the next row group that can match; false at the end. */
static bool next_group(local *l, uint32_t from)
{
    const pq_file_meta *meta = pq_meta(l->p);
    for (uint32_t rg = from; rg < meta->n_row_groups; rg++) {
        if (meta->row_groups[rg].num_rows == 0)
            continue;
        ib_match match = group_match(l->s, l->p, rg);
        if (match == IB_MATCH_NONE)
            continue;
        l->m.rg = rg;
        l->m.row = 0;
        l->m.end = (uint64_t)meta->row_groups[rg].num_rows;
        l->m.all_match = match == IB_MATCH_ALL || l->s->o.files[l->m.file].all_match;
        return true;
    }
    return false;
}

static fz_status enter_morsel(local *l, fz_error *err)
{
    TRY(open_file(l, err));
    l->seq = 0;
    if (l->m.whole) {
        if (!next_group(l, 0)) {
            l->m.rg = UINT32_MAX;
            l->m.row = l->m.end = 0;
        }
    }
    return FZ_OK;
}

static fz_status scan_next(scan *base, void *local_, task *waiter, batch *out, source_result *r, fz_error *err)
{
    local *l = local_;
    file_scan *s = l->s;
    for (;;) {
        if (s->j && job_stopped(s->j))
            return error_set(err, FZ_CANCELLED, "cancelled");
        if (!l->active) {
            bool got;
            TRY(take(s, &l->m, &got, err));
            if (!got) {
                *r = SOURCE_END;
                return FZ_OK;
            }
            l->active = true;
            fz_status st = enter_morsel(l, err);
            pq_close(l->m.p);
            l->m.p = NULL;
            if (st)
                return st;
        }
        if (l->m.row == l->m.end && l->m.whole && l->m.rg != UINT32_MAX && next_group(l, l->m.rg + 1))
            continue;
        if (l->m.row == l->m.end) {
            batch_reset(out);
            out->morsel = l->m.ordinal;
            out->seq = l->seq;
            l->active = false;
            *r = SOURCE_MORSEL_END;
            return FZ_OK;
        }
        if (l->rg != l->m.rg) {
            close_group(l);
            l->rg = l->m.rg;
        }
        /* A worker that comes back to a row group moves forward only. */
        uint64_t left = l->m.end - l->m.row;
        uint32_t n = left < BATCH_ROWS ? (uint32_t)left : BATCH_ROWS;
        if (s->limit >= 0 && s->limit < n)
            n = s->limit > 0 ? (uint32_t)s->limit : 1;
        for (uint32_t i = 0; i < s->ncols; i++)
            if (l->leaf[i] >= 0) {
                uint32_t most = pq_read_rows(l->p, l->rg, (uint32_t)l->leaf[i]);
                n = n < most ? n : most;
            }
        batch_reset(out);
        out->morsel = l->m.ordinal;
        out->seq = l->seq;
        fz_status st = read_rows(l, n, out, err);
        if (st) {
            error_where(err, s->o.files[l->file].path);
            return st;
        }
        l->m.row += n;
        if (out->nsel == 0) {
            if (s->j) /* batches that are delivered are counted by who takes them */
                atomic_fetch_add_explicit(&s->j->prog.rows_done, n, memory_order_relaxed);
            continue;
        }
        l->seq++;
        *r = SOURCE_BATCH;
        return FZ_OK;
    }
}

static void local_close(scan *base, void *local_)
{
    local *l = local_;
    if (!l)
        return;
    file_scan *s = l->s;
    mem *m = s->o.m;
    if (l->cur && l->at)
        close_file(l);
    if (l->ev)
        for (uint32_t i = 0; i < s->nsteps; i++)
            evaluator_close(l->ev[i]);
    mem_free(m, l->cur, sizeof *l->cur * (s->ncols + 1));
    mem_free(m, l->at, sizeof *l->at * (s->ncols + 1));
    mem_free(m, l->leaf, sizeof *l->leaf * (s->ncols + 1));
    mem_free(m, l->ev, sizeof *l->ev * (s->nsteps + 1));
    mem_free(m, l, sizeof *l);
}

static fz_status local_open(scan *base, void **out, fz_error *err)
{
    file_scan *s = (file_scan *)base;
    mem *m = s->o.m;
    local *l = mem_zalloc(m, sizeof *l);
    if (!l)
        return error_nomem(err);
    l->s = s;
    l->file = l->rg = UINT32_MAX;
    l->cur = mem_zalloc(m, sizeof *l->cur * (s->ncols + 1));
    l->at = mem_zalloc(m, sizeof *l->at * (s->ncols + 1));
    l->leaf = mem_zalloc(m, sizeof *l->leaf * (s->ncols + 1));
    l->ev = mem_zalloc(m, sizeof *l->ev * (s->nsteps + 1));
    fz_status st = l->cur && l->at && l->leaf && l->ev ? FZ_OK : error_nomem(err);
    for (uint32_t i = 0; i < s->nsteps && !st; i++)
        st = evaluator_open(s->steps[i].e, s->params, s->n_params, m, &l->ev[i], err);
    if (st) {
        local_close(base, l);
        return st;
    }
    *out = l;
    return FZ_OK;
}

static void scan_close(scan *base)
{
    file_scan *s = (file_scan *)base;
    split_close(s);
    pthread_mutex_destroy(&s->lock);
    if (s->o.owned_free)
        s->o.owned_free(s->o.owned);
    arena_free(&s->a);
    mem_free(s->o.m, s, sizeof *s);
}

static const scan_ops file_scan_ops = {local_open, local_close, scan_next, scan_close};

/* ---- opening ---- */

static void mark_columns(const expr *e, bool *used)
{
    if (e->kind == EX_COLUMN)
        used[e->col] = true;
    for (uint32_t i = 0; i < e->n; i++)
        mark_columns(e->args[i], used);
}

static fz_status add_step(file_scan *s, const expr *e, bool *known, fz_error *err)
{
    bool *used = ARENA_ARRAY(&s->a, bool, s->ncols + 1);
    uint32_t *cols = ARENA_ARRAY(&s->a, uint32_t, s->ncols + 1);
    if (!used || !cols)
        return error_nomem(err);
    mark_columns(e, used);
    uint32_t n = 0;
    for (uint32_t i = 0; i < s->ncols; i++)
        if (used[i] && !known[i]) {
            cols[n++] = i;
            known[i] = true;
        }
    s->steps[s->nsteps++] = (step){e, n, cols};
    return FZ_OK;
}

static fz_status add_steps(file_scan *s, const expr *filter, fz_error *err)
{
    bool *known = ARENA_ARRAY(&s->a, bool, s->ncols + 1);
    uint32_t max = filter && filter->kind == EX_AND ? filter->n : 1;
    s->steps = ARENA_ARRAY(&s->a, step, max);
    s->rest = ARENA_ARRAY(&s->a, uint32_t, s->ncols + 1);
    if (!known || !s->steps || !s->rest)
        return error_nomem(err);
    if (filter && filter->kind == EX_AND)
        for (uint32_t i = 0; i < filter->n; i++)
            TRY(add_step(s, filter->args[i], known, err));
    else if (filter)
        TRY(add_step(s, filter, known, err));
    for (uint32_t i = 0; i < s->ncols; i++)
        if (!known[i])
            s->rest[s->nrest++] = i;
    return FZ_OK;
}

fz_status file_scan_open(const file_scan_options *o, const scan_request *r, scan **out, fz_error *err)
{
    file_scan *s = mem_zalloc(o->m, sizeof *s);
    if (!s)
        return error_nomem(err);
    s->base.ops = &file_scan_ops;
    s->o = *o;
    s->o.owned_free = NULL; /* the caller keeps what it owns unless this succeeds */
    s->j = r->j;
    s->params = r->params;
    s->n_params = r->n_params;
    s->limit = r->filter ? -1 : r->limit;
    arena_init(&s->a, o->m);
    pthread_mutex_init(&s->lock, NULL);
    fz_status st = FZ_OK;
    s->ncols = r->ncols;
    s->cols = ARENA_ARRAY(&s->a, const column_def *, r->ncols + 1);
    if (!s->cols) {
        st = error_nomem(err);
        goto out;
    }
    for (uint32_t i = 0; i < r->ncols; i++)
        s->cols[i] = &o->schema->cols[r->cols[i]];
    TRY_GOTO(add_steps(s, r->filter, err));
    int64_t rows = 0;
    for (uint32_t i = 0; i < o->n_files; i++)
        rows += o->files[i].rows < 0 ? FILE_SCAN_MORSEL : o->files[i].rows <= FILE_SCAN_SMALL ? FILE_SCAN_MORSEL : o->files[i].rows;
    int64_t width = rows / FILE_SCAN_MORSEL;
    if (s->limit >= 0 && s->limit <= FILE_SCAN_MORSEL)
        width = 1;
    s->base.max_workers = width < 1 ? 1 : width > 4096 ? 4096 : (int)width;
    s->o.owned_free = o->owned_free;
    *out = &s->base;
out:
    if (st)
        scan_close(&s->base);
    return st;
}
