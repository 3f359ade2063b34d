/*
 * file_scan.c: see file_scan.h.
 *
 * The shared part hands out morsels under a lock: it walks files and row groups in order, opening the footer of a
 * large file to split it. The local part of a worker has one file and one row group open, a cursor per column it
 * has needed so far, and the position of each: columns that a batch didn't need lag behind and skip when they are
 * needed next.
 *
 * In a batch, rows that position deletes name go first, then those that equality deletes are equal to, then the filter's conjuncts
 * are evaluated in turn: a deleted row can't make an expression fail. Columns that only equality deletes need stand behind the delivered
 * ones and are read in files that need them.
 */
#include "engine/file_scan_int.h"

#define FETCH_AHEAD ((uint64_t)64 << 20) /* bytes of a remote file that are asked for before their row group's turn */

#define MORSELS_BYTES      ((uint64_t)64 << 20) /* of all morsels that are worked on, at 8 bytes a value: what an ordered result holds */
#define MORSELS_PER_WORKER 4                    /* at least, of a file, so that workers end together */

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
    uint32_t ncols, nall;        /* delivered columns; and those of deletes behind them */
    const column_def **cols;
    column_def *wanted;          /* the same, as Avro's reader wants them */
    uint32_t nkeys;              /* of the deletes */
    uint32_t *key_col;           /* the column that has each */
    uint32_t nsteps;
    step *steps;
    const datum *params;
    uint32_t n_params;
    int64_t limit;               /* rows needed, or -1; only without a filter */
    job *j;

    pthread_mutex_t lock;        /* guards what follows */
    uint32_t file;               /* the next one to hand out of */
    held_file *split_h;          /* open while `file` is being split … */
    io_file *split_f;
    pq_file *split_p;
    avro_file *split_av;
    const pq_match *split_how;
    const avro_run *runs;
    uint32_t n_runs, run;
    arena split_mem;
    uint32_t rg, range;
    uint64_t row;
    struct group_plan *groups;   /* … its row groups, known as far as `planned` */
    uint32_t planned;
    uint64_t bytes_ahead;        /* asked for in row groups behind `rg` */
    uint64_t morsels;            /* handed out so far: the next ordinal */
    uint64_t numbered;           /* those of others' shares too */
    int64_t rows_out;            /* handed out so far, for limit: at least so many */
    scan_fetch fetch;            /* has a lock of its own */
} file_scan;

/* What is to be read of a row group. */
typedef struct group_plan {
    bool all_match, asked;
    pq_row_range *ranges;
    uint32_t n;
    uint64_t bytes;              /* asked for in advance */
} group_plan;

typedef struct morsel {
    uint64_t ordinal;
    uint32_t file;
    bool whole;                  /* all row groups of the file */
    uint32_t rg;
    uint64_t row, end;
    bool all_match;
    pq_file *p;                  /* referenced, unless whole */
    avro_file *av;               /* referenced */
    avro_run run;
} morsel;

typedef struct local {
    file_scan *s;
    bool active;
    morsel m;
    uint32_t seq;
    uint32_t file;               /* that what follows belongs to; UINT32_MAX: none */
    arena mem;
    held_file *h;
    io_file *f;
    pq_file *p;
    const pq_match *how;
    avro_file *av;
    avro_plan *plan;
    avro_rows *rows;
    const ib_file_deletes *deletes;
    int *leaf;                   /* the column of the file of each of ours, -1: not in it */
    datum *fill;                 /* and what it is then */
    uint32_t rg;                 /* that the cursors belong to; UINT32_MAX: none */
    pq_cursor **cur, **before;   /* and those of the row group before, for their memory */
    uint64_t *at;                /* row of the row group where each cursor stands */
    pq_row_range *ranges;        /* of a whole file's row group */
    uint32_t n_ranges, range;
    bool *have;                  /* columns of the batch that are read */
    const vec **keys;
    evaluator **ev;              /* per step */
    uint16_t sel[3][BATCH_ROWS]; /* deletes', and the steps' in turn */
} local;

static const pq_match by_name = {.by_name = true};

/* ---- handing out morsels ---- */

static fz_status check_rows(const scan_file *sf, int64_t have, fz_error *err)
{
    if (sf->rows < 0 || sf->rows == have)
        return FZ_OK;
    error_set(err, FZ_DATA, "the file has %lld rows, but the table's metadata says %lld", (long long)have, (long long)sf->rows);
    error_where(err, sf->path);
    return FZ_DATA;
}

static bool is_avro(const scan_file *sf)
{
    return sf->planned && str_eqz(sf->planned->file->file_format, "AVRO");
}

static bool has_deletes(const scan_file *sf)
{
    return sf->planned && sf->planned->n_deletes;
}

static fz_status find_match(const file_scan *s, const pq_file *p, arena *a, const pq_match **how, fz_error *err)
{
    *how = &by_name;
    return s->o.by_name ? FZ_OK : ib_match_parquet(s->o.mapping, p, a, how, err);
}

static void split_close(file_scan *s)
{
    pq_close(s->split_p);
    avro_file_close(s->split_av);
    scan_fetch_put(&s->fetch, s->split_h);
    s->split_p = NULL;
    s->split_av = NULL;
    s->split_h = NULL;
    s->split_f = NULL;
    s->groups = NULL;
    arena_reset(&s->split_mem);
}

static fz_status split_open(file_scan *s, fz_error *err)
{
    const scan_file *sf = &s->o.files[s->file];
    TRY(scan_fetch_get(&s->fetch, s->file, &s->split_h, &s->split_f, err));
    scan_fetch_ahead(&s->fetch, s->file + 1);
    if (is_avro(sf)) {
        TRY(avro_file_open(s->split_f, s->o.m, &s->split_av, err));
        TRY(avro_file_runs(s->split_av, s->split_f, &s->runs, &s->n_runs, err));
        int64_t rows = 0;
        for (uint32_t i = 0; i < s->n_runs; i++)
            rows += s->runs[i].rows;
        s->run = 0;
        return check_rows(sf, rows, err);
    }
    TRY(footer_cache_get(s->o.footers, s->o.io, s->split_f, scan_file_size(sf) >= 0, s->o.m, &s->split_p, err));
    TRY(check_rows(sf, pq_meta(s->split_p)->num_rows, err));
    s->rg = s->range = s->planned = 0;
    s->bytes_ahead = 0;
    s->groups = ARENA_ARRAY(&s->split_mem, group_plan, pq_meta(s->split_p)->n_row_groups + 1);
    if (!s->groups)
        return error_nomem(err);
    return find_match(s, s->split_p, &s->split_mem, &s->split_how, err);
}

/* What is to be read of a row group: its ranges, none where nothing can match. */
static fz_status group_ranges(const file_scan *s, const prune_file *x, uint32_t rg, arena *a, bool *all_match, pq_row_range **out,
                              uint32_t *n, fz_error *err)
{
    uint64_t rows = (uint64_t)pq_meta(x->p)->row_groups[rg].num_rows;
    ib_match match = rows == 0 ? IB_MATCH_NONE : prune_group(x, rg);
    *all_match = *all_match || match == IB_MATCH_ALL || (!s->nsteps && !s->o.pred);
    if (match == IB_MATCH_SOME && !*all_match)
        return prune_pages(x, rg, a, out, n, err);
    if (!(*out = ARENA_ARRAY(a, pq_row_range, 1)))
        return error_nomem(err);
    (*out)[0] = (pq_row_range){0, rows};
    *n = match != IB_MATCH_NONE;
    return FZ_OK;
}

/* How many rows a morsel of the open file has. Other writers' pages end anywhere and can be as large as the row group, and each worker that
 * needs a part of one decompresses all of it: fewer morsels are better there, as long as all workers get some and a result in order needs
 * no more memory than it has. */
static uint64_t morsel_rows(const file_scan *s)
{
    const pq_file_meta *meta = pq_meta(s->split_p);
    str by = meta->created_by, own = STR("frazil ");
    if (!s->j || (by.n >= own.n && memcmp(by.p, own.p, own.n) == 0))
        return FILE_SCAN_MORSEL;
    uint64_t width = (uint64_t)pool_width(s->j->p), fit = MORSELS_BYTES / (width * 8 * (s->ncols + 1));
    uint64_t share = (uint64_t)meta->num_rows / (width * MORSELS_PER_WORKER);
    uint64_t rows = fit < share ? fit : share;
    if (rows > 4 * FILE_SCAN_MORSEL)
        rows = 4 * FILE_SCAN_MORSEL;
    return rows < 2 * FILE_SCAN_MORSEL ? FILE_SCAN_MORSEL : rows - rows % FILE_SCAN_MORSEL;
}

/* Up to which row a morsel goes that begins at s->row, in a range that ends at `to`. A row group of moderate size is one morsel
 * where there are as many as workers. */
static uint64_t morsel_end(const file_scan *s, uint64_t to)
{
    const pq_file_meta *meta = pq_meta(s->split_p);
    uint64_t rows = morsel_rows(s), end = (s->row / rows + 1) * rows;
    bool whole = s->j && meta->row_groups[s->rg].num_rows <= FILE_SCAN_SMALL && meta->n_row_groups >= (uint32_t)pool_width(s->j->p);
    return whole || end + rows / 2 > to ? to : end;
}

/* The columns that are fetched: those that only deletes need where the file has any. */
static uint32_t fetched_columns(const file_scan *s, const scan_file *sf)
{
    return has_deletes(sf) ? s->nall : s->ncols;
}

/* Whether the ranges are so much of a row group that its columns are fetched whole: a request for each page costs more than the bytes in between. */
static bool most_of(const pq_row_range *r, uint32_t n, uint64_t rows)
{
    uint64_t wanted = 0;
    for (uint32_t i = 0; i < n; i++)
        wanted += r[i].to - r[i].from;
    return n && wanted >= rows / 8;
}

/* Looks at row groups up to s->rg, and for a remote file so far ahead that the network stays busy. Row groups of which only a few pages are read are
 * fetched as they are read. */
static fz_status plan_groups(file_scan *s, const scan_file *sf, fz_error *err)
{
    prune_file x = {&s->o, s->split_p, s->split_f, s->split_how};
    bool remote = s->split_f->ops->will_read && s->o.shares < 2 && s->limit < 0;
    uint32_t n = pq_meta(s->split_p)->n_row_groups;
    while (s->planned < n && (s->planned <= s->rg || (remote && s->bytes_ahead < FETCH_AHEAD))) {
        group_plan *g = &s->groups[s->planned];
        g->all_match = sf->all_match;
        TRY(group_ranges(s, &x, s->planned, &s->split_mem, &g->all_match, &g->ranges, &g->n, err));
        uint64_t rows = (uint64_t)pq_meta(s->split_p)->row_groups[s->planned].num_rows;
        if (s->split_f->ops->will_read && most_of(g->ranges, g->n, rows))
            g->bytes = scan_fetch_group(&s->fetch, &x, s->planned, fetched_columns(s, sf), s->cols);
        s->bytes_ahead += g->bytes;
        s->planned++;
    }
    return FZ_OK;
}

/* The next morsel of a Parquet file's row group; *got false: it has none left. */
static fz_status split_group(file_scan *s, const scan_file *sf, morsel *m, bool *got, fz_error *err)
{
    group_plan *g = &s->groups[s->rg];
    if (!g->asked) {
        TRY(plan_groups(s, sf, err));
        g->asked = true;
        s->bytes_ahead -= g->bytes;
        s->range = 0;
        s->row = g->n ? g->ranges[0].from : 0;
    }
    if (s->range == g->n)
        return FZ_OK;
    uint64_t to = g->ranges[s->range].to, end = morsel_end(s, to);
    *m = (morsel){.ordinal = s->morsels++, .file = s->file, .rg = s->rg, .row = s->row, .end = end,
                  .all_match = g->all_match, .p = pq_ref(s->split_p)};
    s->row = end;
    if (end == to && ++s->range < g->n)
        s->row = g->ranges[s->range].from;
    *got = true;
    return FZ_OK;
}

/* The next morsel of the file that is open; *got false: it has none left. */
static fz_status split_next(file_scan *s, const scan_file *sf, morsel *m, bool *got, fz_error *err)
{
    if (s->split_av) {
        if (s->run == s->n_runs)
            return FZ_OK;
        *m = (morsel){.ordinal = s->morsels++, .file = s->file, .all_match = sf->all_match, .av = avro_file_ref(s->split_av),
                      .run = s->runs[s->run++]};
        m->end = (uint64_t)m->run.rows;
        *got = true;
        return FZ_OK;
    }
    for (; s->rg < pq_meta(s->split_p)->n_row_groups && !*got; s->rg += !*got)
        TRY(split_group(s, sf, m, got, err));
    return FZ_OK;
}

/* Lets a morsel go that belongs to another share. The numbers are the same in every process: they follow from the files and the filter. */
static bool of_others(file_scan *s, morsel *m)
{
    if (s->o.shares < 2 || s->numbered++ % s->o.shares == s->o.share)
        return false;
    s->morsels--; /* ordinals of those that are handed out have no gaps */
    pq_close(m->p);
    avro_file_close(m->av);
    return true;
}

/* Takes the next morsel; *got false: there is none left. */
static fz_status take(file_scan *s, morsel *m, bool *got, fz_error *err)
{
    fz_status st = FZ_OK;
    *got = false;
    pthread_mutex_lock(&s->lock);
    while (s->file < s->o.n_files && (s->limit < 0 || s->rows_out < s->limit)) {
        const scan_file *sf = &s->o.files[s->file];
        bool open = s->split_p || s->split_av;
        if (!open && sf->rows >= 0 && sf->rows <= FILE_SCAN_SMALL && !is_avro(sf)) {
            *m = (morsel){.ordinal = s->morsels++, .file = s->file++, .whole = true, .all_match = sf->all_match};
            m->end = (uint64_t)sf->rows;
            *got = true;
            scan_fetch_ahead(&s->fetch, s->file);
        } else {
            st = open ? FZ_OK : split_open(s, err);
            if (st == FZ_OK)
                st = split_next(s, sf, m, got, err);
            if (st) {
                error_where(err, sf->path);
                break;
            }
        }
        if (*got && of_others(s, m)) {
            *got = false;
            continue;
        }
        if (*got) {
            s->rows_out += has_deletes(sf) ? 0 : (int64_t)(m->end - m->row);
            break;
        }
        split_close(s);
        s->file++;
    }
    pthread_mutex_unlock(&s->lock);
    return st;
}

/* ---- the worker's file and row group ---- */

static void close_group(local *l)
{
    for (uint32_t i = 0; i < l->s->nall; i++) {
        if (l->cur[i]) {
            pq_cursor_close(l->before[i]);
            l->before[i] = l->cur[i];
        }
        if (mem_over(l->s->o.m, 0)) {
            pq_cursor_close(l->before[i]);
            l->before[i] = NULL;
        }
        l->cur[i] = NULL;
        l->at[i] = 0;
    }
    l->rg = UINT32_MAX;
}

static void close_file(local *l)
{
    close_group(l);
    pq_close(l->p);
    avro_rows_close(l->rows);
    avro_plan_free(l->plan);
    avro_file_close(l->av);
    scan_fetch_put(&l->s->fetch, l->h);
    l->h = NULL;
    l->p = NULL;
    l->rows = NULL;
    l->plan = NULL;
    l->av = NULL;
    l->f = NULL;
    l->deletes = NULL;
    l->file = UINT32_MAX;
    arena_reset(&l->mem);
}

/* A partition value as a column's type, to which its own may have been promoted. */
static bool promote(const datum *v, type t, datum *out)
{
    *out = *v;
    out->t = t;
    if (type_eq(v->t, t))
        return true;
    if (v->t.id == T_INT32 && t.id == T_INT64)
        out->i64 = v->i32;
    else if (v->t.id == T_FLOAT32 && t.id == T_FLOAT64)
        out->f64 = (double)v->f32;
    else if (v->t.id == T_DECIMAL && t.id == T_DECIMAL && v->t.scale == t.scale && type_phys(v->t) == PHYS_I64 && type_phys(t) == PHYS_I128)
        out->i128v = v->i64;
    else
        return v->t.id == T_DECIMAL && t.id == T_DECIMAL && v->t.scale == t.scale && type_phys(v->t) == type_phys(t);
    return true;
}

/* What a column is in a file that lacks it. */
static fz_status fill_column(local *l, uint32_t i, fz_error *err)
{
    const file_scan *s = l->s;
    const column_def *c = s->cols[i];
    const ib_scan_file *f = s->o.files[l->m.file].planned;
    const ib_partition_spec *spec = f && s->o.md ? ib_spec_by_id(s->o.md, f->file->spec_id) : NULL;
    l->fill[i] = DATUM_NULL(c->t);
    for (uint32_t k = 0; spec && k < spec->n && k < f->file->n_partition; k++)
        if (spec->fields[k].source_id == c->field_id && spec->fields[k].transform.kind == IB_IDENTITY &&
            !f->file->partition[k].null && promote(&f->file->partition[k], c->t, &l->fill[i]))
            return FZ_OK;
    l->fill[i] = DATUM_NULL(c->t);
    return c->not_null ? error_set(err, FZ_DATA, "the file lacks the required column \"" STR_FMT "\"", STR_ARG(c->name)) : FZ_OK;
}

/* Whether the file's rows need a column that isn't delivered. */
static bool column_used(const local *l, uint32_t i)
{
    if (i < l->s->ncols)
        return true;
    for (uint32_t k = 0; l->deletes && k < l->s->nkeys; k++)
        if (l->s->key_col[k] == i && file_deletes_uses(l->deletes, k))
            return true;
    return false;
}

static fz_status find_columns(local *l, fz_error *err)
{
    file_scan *s = l->s;
    for (uint32_t i = 0; i < s->nall; i++) {
        l->leaf[i] = -1;
        if (!column_used(l, i))
            continue;
        if (l->av)
            l->leaf[i] = avro_plan_has(l->plan, i) ? 0 : -1;
        else
            l->leaf[i] = s->o.by_name ? pq_find_name(l->p, s->cols[i]->name) : pq_find_field(l->p, l->how, s->cols[i]->field_id);
        if (l->leaf[i] < 0)
            TRY(fill_column(l, i, err));
    }
    return FZ_OK;
}

static fz_status open_avro(local *l, fz_error *err)
{
    file_scan *s = l->s;
    const avro_match *how;
    TRY(scan_fetch_get(&s->fetch, l->m.file, &l->h, &l->f, err));
    l->av = avro_file_ref(l->m.av);
    TRY(ib_match_avro(s->o.mapping, l->av, &l->mem, &how, err));
    TRY(avro_plan_new(l->av, l->deletes && file_deletes_compares(l->deletes) ? s->nall : s->ncols, s->wanted, how, s->o.m, &l->plan, err));
    return avro_rows_open(l->av, l->f, l->plan, s->o.m, &l->rows, err);
}

static fz_status open_parquet(local *l, fz_error *err)
{
    file_scan *s = l->s;
    const scan_file *sf = &s->o.files[l->m.file];
    TRY(scan_fetch_get(&s->fetch, l->m.file, &l->h, &l->f, err));
    if (l->m.p) {
        l->p = pq_ref(l->m.p);
        return find_match(s, l->p, &l->mem, &l->how, err);
    }
    TRY(footer_cache_get(s->o.footers, s->o.io, l->f, scan_file_size(sf) >= 0, s->o.m, &l->p, err));
    TRY(check_rows(sf, pq_meta(l->p)->num_rows, err));
    TRY(find_match(s, l->p, &l->mem, &l->how, err));
    prune_file x = {&s->o, l->p, l->f, l->how};
    for (uint32_t rg = 0; l->f->ops->will_read && rg < pq_meta(l->p)->n_row_groups; rg++)
        scan_fetch_group(&s->fetch, &x, rg, fetched_columns(s, sf), s->cols);
    return FZ_OK;
}

static fz_status open_file(local *l, fz_error *err)
{
    if (l->file == l->m.file)
        return FZ_OK;
    close_file(l);
    fz_status st;
    TRY_GOTO(ib_deletes_file(l->s->o.deletes, l->m.file, &l->deletes, err));
    TRY_GOTO(l->m.av ? open_avro(l, err) : open_parquet(l, err));
    TRY_GOTO(find_columns(l, err));
    l->file = l->m.file;
out:
    if (st)
        error_where(err, l->s->o.files[l->m.file].path);
    return st;
}

/* ---- reading ---- */

static fz_status read_column(local *l, uint32_t i, uint32_t n, batch *out, fz_error *err)
{
    file_scan *s = l->s;
    vec *v = &out->cols[i];
    if (l->have[i])
        return FZ_OK;
    l->have[i] = true;
    if (l->leaf[i] < 0)
        return vec_const(v, &l->fill[i], n, &out->mem, err);
    if (l->av)
        return FZ_OK;
    if (!l->cur[i]) {
        TRY(pq_cursor_open(l->p, l->f, l->rg, (uint32_t)l->leaf[i], s->cols[i]->t, l->how, s->o.m, &l->cur[i], err));
        l->at[i] = 0;
        pq_cursor_inherit(l->cur[i], l->before[i]);
        l->before[i] = NULL;
    }
    if (l->at[i] < l->m.row)
        TRY(pq_cursor_skip(l->cur[i], l->m.row - l->at[i], err));
    /* Where nearly all rows are wanted, all are decoded: that is faster than picking. */
    bool dense = out->nsel > n - n / 8;
    TRY(pq_cursor_read(l->cur[i], n, dense ? NULL : out->sel, dense ? n : out->nsel, v, out, err));
    l->at[i] = l->m.row + n;
    return FZ_OK;
}

/* Leaves deleted rows out; row: of the file. */
static fz_status apply_deletes(local *l, uint64_t row, uint32_t n, batch *out, fz_error *err)
{
    file_scan *s = l->s;
    uint32_t nsel = file_deletes_positions(l->deletes, row, n, l->sel[2]);
    if (nsel < n) {
        out->sel = l->sel[2];
        out->nsel = nsel;
    }
    if (nsel == 0 || !file_deletes_compares(l->deletes))
        return FZ_OK;
    for (uint32_t k = 0; k < s->nkeys; k++)
        if (file_deletes_uses(l->deletes, k)) {
            TRY(read_column(l, s->key_col[k], n, out, err));
            l->keys[k] = &out->cols[s->key_col[k]];
        }
    TRY(file_deletes_equality(l->deletes, l->keys, out->nsel, out->sel, l->sel[2], &nsel, s->o.m, err));
    if (nsel < out->nsel) {
        out->sel = l->sel[2];
        out->nsel = nsel;
    }
    return FZ_OK;
}

static fz_status filter_rows(local *l, uint32_t n, batch *out, fz_error *err)
{
    file_scan *s = l->s;
    unsigned which = 0;
    for (uint32_t k = 0; k < s->nsteps && !l->m.all_match; k++) {
        const step *st = &s->steps[k];
        for (uint32_t i = 0; i < st->ncols; i++)
            TRY(read_column(l, st->cols[i], n, out, err));
        uint32_t nsel = 0;
        TRY(evaluator_filter(l->ev[k], out, l->sel[which], &nsel, err));
        bool fewer = nsel < out->nsel;
        out->nsel = nsel;
        if (nsel == 0)
            return FZ_OK;
        if (fewer) {
            out->sel = l->sel[which];
            which ^= 1;
        }
    }
    for (uint32_t i = 0; i < s->ncols; i++)
        TRY(read_column(l, i, n, out, err));
    return FZ_OK;
}

/* Reads n rows at m.row into out: out->nsel == 0 when none is left. */
static fz_status read_rows(local *l, uint32_t n, batch *out, fz_error *err)
{
    file_scan *s = l->s;
    uint64_t row = l->m.row;
    if (!l->av) {
        row += (uint64_t)pq_meta(l->p)->row_groups[l->rg].first_row;
        TRY(batch_columns(out, s->nall, err));
        out->nrows = out->nsel = n;
        out->sel = NULL;
        out->stable = true; /* the cursors' memory is in `keep`, the selection is copied by batch_hold */
    }
    memset(l->have, 0, s->nall);
    if (l->deletes)
        TRY(apply_deletes(l, row, n, out, err));
    if (out->nsel)
        TRY(filter_rows(l, n, out, err));
    out->ncols = s->ncols;
    return FZ_OK;
}

/* In a morsel that is a whole file: enters the next range of rows that can match; *more false at the end. */
static fz_status next_range(local *l, uint32_t from, bool *more, fz_error *err)
{
    const pq_file_meta *meta = pq_meta(l->p);
    *more = l->ranges && l->range + 1 < l->n_ranges;
    l->range += *more;
    for (uint32_t rg = from; rg < meta->n_row_groups && !*more; rg++) {
        prune_file x = {&l->s->o, l->p, l->f, l->how};
        l->m.all_match = l->s->o.files[l->m.file].all_match;
        TRY(group_ranges(l->s, &x, rg, &l->mem, &l->m.all_match, &l->ranges, &l->n_ranges, err));
        l->range = 0;
        l->m.rg = rg;
        *more = l->n_ranges > 0;
    }
    if (*more) {
        l->m.row = l->ranges[l->range].from;
        l->m.end = l->ranges[l->range].to;
    }
    return FZ_OK;
}

static fz_status enter_morsel(local *l, fz_error *err)
{
    TRY(open_file(l, err));
    l->seq = 0;
    l->ranges = NULL;
    l->n_ranges = 0;
    if (l->m.av)
        return avro_rows_start(l->rows, &l->m.run, err);
    if (!l->m.whole)
        return FZ_OK;
    bool more;
    TRY(next_range(l, 0, &more, err));
    if (!more)
        l->m.row = l->m.end = 0;
    return FZ_OK;
}

/* How many rows to read at most. */
static uint32_t batch_rows(const local *l)
{
    const file_scan *s = l->s;
    uint64_t left = l->m.end - l->m.row;
    uint32_t n = left < BATCH_ROWS ? (uint32_t)left : BATCH_ROWS;
    if (s->limit >= 0 && s->limit < n)
        n = s->limit > 0 ? (uint32_t)s->limit : 1;
    for (uint32_t i = 0; i < s->ncols; i++)
        if (l->leaf[i] >= 0) {
            uint32_t most = pq_read_rows(l->p, l->rg, (uint32_t)l->leaf[i]);
            n = n < most ? n : most;
        }
    return n;
}

/* The morsel's next rows; *n 0: it is at its end. */
static fz_status next_rows(local *l, batch *out, uint32_t *n, fz_error *err)
{
    *n = 0;
    if (l->av) {
        int64_t first;
        bool more;
        TRY(avro_rows_next(l->rows, out, &first, &more, err));
        if (!more)
            return FZ_OK;
        l->m.row = (uint64_t)first;
        *n = out->nrows;
        return read_rows(l, *n, out, err);
    }
    if (l->m.row == l->m.end && l->m.whole && l->n_ranges) {
        bool more;
        TRY(next_range(l, l->m.rg + 1, &more, err));
    }
    if (l->m.row == l->m.end)
        return FZ_OK;
    if (l->rg != l->m.rg) {
        close_group(l);
        l->rg = l->m.rg;
    }
    *n = batch_rows(l);
    TRY(read_rows(l, *n, out, err));
    l->m.row += *n;
    return FZ_OK;
}

static fz_status begin(local *l, bool *got, fz_error *err)
{
    TRY(take(l->s, &l->m, got, err));
    if (!*got)
        return FZ_OK;
    l->active = true;
    fz_status st = enter_morsel(l, err);
    pq_close(l->m.p);
    l->m.p = NULL;
    avro_file_close(l->m.av);
    l->m.av = NULL;
    return st;
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
            TRY(begin(l, &got, err));
            if (!got) {
                *r = SOURCE_END;
                return FZ_OK;
            }
        }
        batch_reset(out);
        uint32_t n;
        fz_status st = next_rows(l, out, &n, err);
        if (st) {
            error_where(err, s->o.files[l->file].path);
            return st;
        }
        out->morsel = l->m.ordinal;
        out->seq = l->seq;
        if (n == 0) {
            batch_reset(out);
            out->morsel = l->m.ordinal;
            out->seq = l->seq;
            l->active = false;
            *r = SOURCE_MORSEL_END;
            return FZ_OK;
        }
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
    if (l->cur && l->at && l->before)
        close_file(l);
    for (uint32_t i = 0; l->before && i < s->nall; i++)
        pq_cursor_close(l->before[i]);
    if (l->ev)
        for (uint32_t i = 0; i < s->nsteps; i++)
            evaluator_close(l->ev[i]);
    arena_free(&l->mem);
    mem_free(m, l->cur, sizeof *l->cur * (s->nall + 1));
    mem_free(m, l->before, sizeof *l->before * (s->nall + 1));
    mem_free(m, l->at, sizeof *l->at * (s->nall + 1));
    mem_free(m, l->leaf, sizeof *l->leaf * (s->nall + 1));
    mem_free(m, l->fill, sizeof *l->fill * (s->nall + 1));
    mem_free(m, l->have, sizeof *l->have * (s->nall + 1));
    mem_free(m, l->keys, sizeof *l->keys * (s->nkeys + 1));
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
    arena_init(&l->mem, m);
    l->cur = mem_zalloc(m, sizeof *l->cur * (s->nall + 1));
    l->before = mem_zalloc(m, sizeof *l->before * (s->nall + 1));
    l->at = mem_zalloc(m, sizeof *l->at * (s->nall + 1));
    l->leaf = mem_zalloc(m, sizeof *l->leaf * (s->nall + 1));
    l->fill = mem_zalloc(m, sizeof *l->fill * (s->nall + 1));
    l->have = mem_zalloc(m, sizeof *l->have * (s->nall + 1));
    l->keys = mem_zalloc(m, sizeof *l->keys * (s->nkeys + 1));
    l->ev = mem_zalloc(m, sizeof *l->ev * (s->nsteps + 1));
    fz_status st = l->cur && l->before && l->at && l->leaf && l->fill && l->have && l->keys && l->ev ? FZ_OK : error_nomem(err);
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
    scan_fetch_free(&s->fetch);
    arena_free(&s->split_mem);
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
    if (!known || !s->steps)
        return error_nomem(err);
    if (filter && filter->kind == EX_AND)
        for (uint32_t i = 0; i < filter->n; i++)
            TRY(add_step(s, filter->args[i], known, err));
    else if (filter)
        TRY(add_step(s, filter, known, err));
    return FZ_OK;
}

/* The delivered columns, and behind them those that equality deletes compare and that aren't delivered. */
static fz_status choose_columns(file_scan *s, const scan_request *r, fz_error *err)
{
    const ib_delete_key *keys = ib_deletes_keys(s->o.deletes, &s->nkeys);
    uint32_t max = r->ncols + s->nkeys + 1;
    s->ncols = s->nall = r->ncols;
    s->cols = ARENA_ARRAY(&s->a, const column_def *, max);
    s->wanted = ARENA_ARRAY(&s->a, column_def, max);
    s->key_col = ARENA_ARRAY(&s->a, uint32_t, s->nkeys + 1);
    if (!s->cols || !s->wanted || !s->key_col)
        return error_nomem(err);
    for (uint32_t i = 0; i < r->ncols; i++)
        if (r->types && !type_eq(r->types[i], s->o.schema->cols[r->cols[i]].t)) { /* a struct of which some fields are read */
            column_def *part = ARENA_NEW(&s->a, column_def);
            if (!part)
                return error_nomem(err);
            *part = s->o.schema->cols[r->cols[i]];
            part->t = r->types[i];
            s->cols[i] = part;
        } else {
            s->cols[i] = &s->o.schema->cols[r->cols[i]];
        }
    for (uint32_t k = 0; k < s->nkeys; k++) {
        uint32_t i = 0;
        while (i < s->nall && !(s->cols[i]->field_id == keys[k].col.field_id && type_eq(s->cols[i]->t, keys[k].col.t)))
            i++;
        if (i == s->nall)
            s->cols[s->nall++] = &keys[k].col;
        s->key_col[k] = i;
    }
    for (uint32_t i = 0; i < s->nall; i++)
        s->wanted[i] = *s->cols[i];
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
    scan_fetch_init(&s->fetch, &s->o);
    fz_status st = FZ_OK;
    arena_init(&s->split_mem, o->m);
    TRY_GOTO(choose_columns(s, r, err));
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
