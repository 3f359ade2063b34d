/*
 * avro_table.c: see avro_table.h. Headers are read when the statement is bound, for the types; the block heads of a file when the
 * scan comes to it. A morsel is a run of blocks.
 */
#include "engine/avro_table.h"

#include "engine/parquet_table.h"
#include "format/avro/avro_file.h"

typedef struct avro_table {
    table_source base;
    arena a;
    mem *m;
    file_io *io;             /* the lake's, which outlives its statements */
    uint32_t n;
    const char **paths;
    avro_file **files;
} avro_table;

typedef struct avro_scan {
    scan base;
    const avro_table *t;
    mem *m;
    arena a;
    uint32_t ncols;
    column_def *want;
    job *j;
    pthread_mutex_t lock;     /* guards what follows */
    uint32_t file, run;       /* the next to hand out */
    uint64_t morsels;
    avro_plan **plans;        /* per file, made when it is come to */
} avro_scan;

typedef struct local {
    avro_scan *s;
    uint32_t file;            /* that f and rows belong to; UINT32_MAX: none */
    io_file *f;
    avro_rows *rows;
    bool active;
    uint64_t morsel;
    uint32_t seq;
} local;

static fz_status local_open(scan *base, void **out, fz_error *err)
{
    avro_scan *s = (avro_scan *)base;
    local *l = mem_zalloc(s->m, sizeof *l);
    if (!l)
        return error_nomem(err);
    l->s = s;
    l->file = UINT32_MAX;
    *out = l;
    return FZ_OK;
}

static void close_file(local *l)
{
    avro_rows_close(l->rows);
    io_close(l->f);
    l->rows = NULL;
    l->f = NULL;
    l->file = UINT32_MAX;
}

static void local_close(scan *base, void *local_)
{
    local *l = local_;
    close_file(l);
    mem_free(l->s->m, l, sizeof *l);
}

static fz_status open_file(local *l, uint32_t file, fz_error *err)
{
    avro_scan *s = l->s;
    if (l->file == file)
        return FZ_OK;
    close_file(l);
    TRY(io_open(s->t->io, s->t->paths[file], s->m, &l->f, err));
    l->file = file;
    return FZ_OK;
}

static fz_status make_plan(avro_scan *s, uint32_t file, fz_error *err)
{
    static const avro_match by_name = {.by_name = true};
    if (s->plans[file])
        return FZ_OK;
    TRY(avro_plan_new(s->t->files[file], s->ncols, s->want, &by_name, s->m, &s->plans[file], err));
    for (uint32_t i = 0; i < s->ncols; i++)
        if (!avro_plan_has(s->plans[file], i)) {
            error_set(err, FZ_INVALID, "column \"" STR_FMT "\" is in %s, but not in this file", STR_ARG(s->want[i].name), s->t->paths[0]);
            error_where(err, s->t->paths[file]);
            return FZ_INVALID;
        }
    return FZ_OK;
}

/* Takes the next run; *got false: there is none left. */
static fz_status take(local *l, avro_run *run, bool *got, fz_error *err)
{
    avro_scan *s = l->s;
    fz_status st = FZ_OK;
    *got = false;
    pthread_mutex_lock(&s->lock);
    while (s->file < s->t->n) {
        const avro_run *runs;
        uint32_t n;
        TRY_GOTO(open_file(l, s->file, err));
        TRY_GOTO(make_plan(s, s->file, err));
        TRY_GOTO(avro_file_runs(s->t->files[s->file], l->f, &runs, &n, err));
        if (s->run < n) {
            *run = runs[s->run++];
            l->morsel = s->morsels++;
            l->seq = 0;
            *got = true;
            break;
        }
        s->file++;
        s->run = 0;
    }
out:
    pthread_mutex_unlock(&s->lock);
    return st;
}

static fz_status next(scan *base, void *local_, task *waiter, batch *out, source_result *r, fz_error *err)
{
    avro_scan *s = (avro_scan *)base;
    local *l = local_;
    if (s->j && job_stopped(s->j))
        return error_set(err, FZ_CANCELLED, "cancelled");
    if (!l->active) {
        avro_run run;
        bool got;
        TRY(take(l, &run, &got, err));
        if (!got) {
            *r = SOURCE_END;
            return FZ_OK;
        }
        if (!l->rows)
            TRY(avro_rows_open(s->t->files[l->file], l->f, s->plans[l->file], s->m, &l->rows, err));
        TRY(avro_rows_start(l->rows, &run, err));
        if (s->j)
            atomic_fetch_add_explicit(&s->j->prog.bytes_done, (int64_t)run.bytes, memory_order_relaxed);
        l->active = true;
    }
    int64_t first;
    bool more;
    TRY(avro_rows_next(l->rows, out, &first, &more, err));
    out->morsel = l->morsel;
    l->active = more;
    *r = more ? SOURCE_BATCH : SOURCE_MORSEL_END;
    if (more)
        out->seq = l->seq++;
    return FZ_OK;
}

static void scan_close(scan *base)
{
    avro_scan *s = (avro_scan *)base;
    for (uint32_t i = 0; s->plans && i < s->t->n; i++)
        avro_plan_free(s->plans[i]);
    pthread_mutex_destroy(&s->lock);
    arena_free(&s->a);
    mem_free(s->m, s, sizeof *s);
}

static const scan_ops avro_scan_ops = {local_open, local_close, next, scan_close};

static fz_status table_open(const table_source *base, const scan_request *r, scan **out, bool *filtered, fz_error *err)
{
    const avro_table *t = (const avro_table *)base;
    avro_scan *s = mem_zalloc(t->m, sizeof *s);
    if (!s)
        return error_nomem(err);
    s->base.ops = &avro_scan_ops;
    s->t = t;
    s->m = t->m;
    s->j = r->j;
    s->ncols = r->ncols;
    arena_init(&s->a, t->m);
    pthread_mutex_init(&s->lock, NULL);
    s->plans = ARENA_ARRAY(&s->a, avro_plan *, t->n);
    s->want = ARENA_ARRAY(&s->a, column_def, r->ncols);
    fz_status st = s->plans && s->want ? FZ_OK : error_nomem(err);
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < t->n && !st; i++) {
        io_stat_info info;
        bytes += io_stat(t->io, t->paths[i], &info, NULL) == FZ_OK ? info.size : 0;
    }
    if (s->j)
        atomic_fetch_add_explicit(&s->j->prog.bytes_total, (int64_t)bytes, memory_order_relaxed);
    s->base.max_workers = bytes < AVRO_RUN_BYTES ? 1 : 1024;
    for (uint32_t i = 0; i < r->ncols && !st; i++)
        s->want[i] = base->schema.cols[r->cols[i]];
    if (st == FZ_OK)
        st = make_plan(s, 0, err);
    if (st) {
        scan_close(&s->base);
        return st;
    }
    *out = &s->base;
    *filtered = false;
    return FZ_OK;
}

/* What block heads say isn't taken for granted: rows are counted. */
static int64_t unknown_rows(const table_source *t)
{
    return -1;
}

static void explain(const table_source *base, const scan_request *r, sbuf *out)
{
    const avro_table *t = (const avro_table *)base;
    sbuf_printf(out, "avro, %u file%s", t->n, t->n == 1 ? "" : "s");
}

static void release(table_source *base)
{
    avro_table *t = (avro_table *)base;
    for (uint32_t i = 0; t->files && i < t->n; i++)
        avro_file_close(t->files[i]);
    arena_free(&t->a);
    mem_free(t->m, t, sizeof *t);
}

static const table_source_ops avro_table_ops = {table_open, unknown_rows, unknown_rows, explain, release};

fz_status avro_table_new(str pattern, file_io *io, mem *m, table_source **out, fz_error *err)
{
    avro_table *t = mem_zalloc(m, sizeof *t);
    if (!t)
        return error_nomem(err);
    t->base.ops = &avro_table_ops;
    atomic_init(&t->base.refs, 1);
    t->m = m;
    t->io = io;
    arena_init(&t->a, m);
    fz_status st = FZ_OK;
    TRY_GOTO(path_expand(pattern, io, &t->a, &t->n, &t->paths, err));
    t->files = ARENA_ARRAY(&t->a, avro_file *, t->n);
    t->base.name = (str){arena_strndup(&t->a, pattern.p, pattern.n), pattern.n};
    if (!t->files || !t->base.name.p) {
        st = error_nomem(err);
        goto out;
    }
    for (uint32_t i = 0; i < t->n; i++) {
        io_file *f;
        TRY_GOTO(io_open(io, t->paths[i], m, &f, err));
        st = avro_file_open(f, m, &t->files[i], err);
        io_close(f);
        if (st)
            goto out;
    }
    t->base.schema = *avro_file_schema(t->files[0]);
    *out = &t->base;
out:
    if (st)
        release(&t->base);
    return st;
}
