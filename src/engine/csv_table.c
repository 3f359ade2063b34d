/* csv_table.c: see csv_table.h. A widened column ends the scan with FZ_VALUE; whoever runs the statement asks the input. */
#include "engine/csv_table.h"

typedef struct csv_input {
    file_input base;
    csv_source *src;
} csv_input;

typedef struct csv_table {
    table_source base;
    csv_input *in;
    mem *m;
} csv_table;

typedef struct csv_scan {
    scan base;
    csv_input *in;
    job *j;
    mem *m;
} csv_scan;

static fz_status local_open(scan *s, void **local, fz_error *err)
{
    return csv_local_new(((csv_scan *)s)->in->src, (csv_local **)local, err);
}

static void local_close(scan *s, void *local)
{
    csv_local_free(local);
}

static fz_status next(scan *base, void *local, task *waiter, batch *out, source_result *r, fz_error *err)
{
    csv_scan *s = (csv_scan *)base;
    if (s->j && job_stopped(s->j))
        return error_set(err, FZ_CANCELLED, "cancelled");
    csv_event ev;
    fz_status st = csv_next(s->in->src, local, out, &ev, err);
    if (st) {
        error_where(err, s->in->base.path);
        return st;
    }
    switch (ev) {
    case CSV_ROWS:
        *r = SOURCE_BATCH;
        return FZ_OK;
    case CSV_MORSEL_END:
        *r = SOURCE_MORSEL_END;
        return FZ_OK;
    case CSV_END:
        *r = SOURCE_END;
        if (!csv_widened(s->in->src))
            return FZ_OK;
        break;
    case CSV_WIDEN:
        break;
    }
    error_set(err, FZ_VALUE, "a column's type was too narrow for a later value");
    error_where(err, s->in->base.path);
    return FZ_VALUE;
}

static void scan_close(scan *base)
{
    csv_scan *s = (csv_scan *)base;
    csv_attach(s->in->src, NULL);
    mem_free(s->m, s, sizeof *s);
}

static const scan_ops csv_scan_ops = {local_open, local_close, next, scan_close};

static fz_status table_open(const table_source *base, const scan_request *r, scan **out, bool *filtered, fz_error *err)
{
    csv_table *t = (csv_table *)base;
    if (t->in->base.started)
        TRY(csv_restart(t->in->src, err));
    t->in->base.started = true;
    TRY(csv_project(t->in->src, r->cols, r->ncols, err));
    csv_scan *s = mem_zalloc(t->m, sizeof *s);
    if (!s)
        return error_nomem(err);
    csv_info info;
    csv_describe(t->in->src, &info);
    /* A file of one or two blocks isn't worth a second thread. */
    s->base.ops = &csv_scan_ops;
    s->base.max_workers = info.size_bytes >= 0 && info.size_bytes < 1 << 20 && info.compression == TEXT_PLAIN ? 1 : 1024;
    s->in = t->in;
    s->j = r->j;
    s->m = t->m;
    csv_attach(t->in->src, r->j);
    *out = &s->base;
    *filtered = false;
    return FZ_OK;
}

static int64_t unknown_rows(const table_source *t)
{
    return -1;
}

static void explain(const table_source *base, const scan_request *r, sbuf *out)
{
    const csv_table *t = (const csv_table *)base;
    csv_info info;
    csv_describe(t->in->src, &info);
    sbuf_printf(out, "csv, delimiter '%c'%s", info.delimiter, info.header ? ", header" : "");
}

static void release(table_source *base)
{
    mem_free(((csv_table *)base)->m, base, sizeof(csv_table));
}

static const table_source_ops csv_table_ops = {table_open, unknown_rows, unknown_rows, explain, release};

static fz_status table_new(file_input *base, mem *m, table_source **out, fz_error *err)
{
    csv_input *in = (csv_input *)base;
    csv_table *t = mem_zalloc(m, sizeof *t);
    if (!t)
        return error_nomem(err);
    t->base.ops = &csv_table_ops;
    atomic_init(&t->base.refs, 1);
    t->base.schema = *csv_schema(in->src);
    t->base.name = str_of(in->base.path);
    t->in = in;
    t->m = m;
    *out = &t->base;
    return FZ_OK;
}

/* ---- the input ---- */

static const row_schema *in_schema(const file_input *in) { return csv_schema(((const csv_input *)in)->src); }
static bool in_undecided(const file_input *in, uint32_t c) { return csv_schema_undecided(((const csv_input *)in)->src, c); }
static uint32_t in_given(const file_input *in) { return csv_schema_given(((const csv_input *)in)->src); }
static bool in_widened(const file_input *in) { return csv_widened(((const csv_input *)in)->src); }
static fz_status in_restart(file_input *in, fz_error *err) { return csv_restart(((csv_input *)in)->src, err); }
static void in_widen(file_input *in, uint32_t col, type t) { csv_column_widen(((csv_input *)in)->src, col, t); }
static void in_keep_types(file_input *in) { csv_keep_types(((csv_input *)in)->src); }

static int64_t in_size(const file_input *in)
{
    csv_info info;
    csv_describe(((const csv_input *)in)->src, &info);
    return info.size_bytes;
}

static void in_close(file_input *in)
{
    csv_close(((csv_input *)in)->src);
    file_input_free(in, sizeof(csv_input));
}

static const file_input_ops csv_input_ops = {
    .schema = in_schema, .undecided = in_undecided, .given = in_given, .size_bytes = in_size, .widened = in_widened, .restart = in_restart,
    .keep_types = in_keep_types, .widen = in_widen, .table = table_new, .close = in_close,
};

fz_status csv_input_open(const char *path, const csv_options *o, mem *m, file_input **out, fz_error *err)
{
    file_input *in;
    TRY(file_input_new(&csv_input_ops, sizeof(csv_input), path, m, &in, err));
    fz_status st = csv_open(path, o, m, &((csv_input *)in)->src, err);
    if (st)
        in_close(in);
    else
        *out = in;
    return st;
}

const csv_source *csv_input_source(const file_input *in)
{
    return in->ops == &csv_input_ops ? ((const csv_input *)in)->src : NULL;
}
