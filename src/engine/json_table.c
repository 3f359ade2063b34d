/* json_table.c: see json_table.h. A type that is too narrow ends the scan with FZ_VALUE; whoever runs the statement asks the input. */
#include "engine/json_table.h"

#include "format/json/json_rows.h"

typedef struct json_input {
    file_input base;
    json_rows *src;
} json_input;

typedef struct json_table {
    table_source base;
    json_input *in;
    mem *m;
} json_table;

typedef struct json_scan {
    scan base;
    json_input *in;
    job *j;
    mem *m;
} json_scan;

static fz_status local_open(scan *s, void **local, fz_error *err)
{
    return json_local_new(((json_scan *)s)->in->src, (json_local **)local, err);
}

static void local_close(scan *s, void *local)
{
    json_local_free(local);
}

static fz_status next(scan *base, void *local, task *waiter, batch *out, source_result *r, fz_error *err)
{
    json_scan *s = (json_scan *)base;
    if (s->j && job_stopped(s->j))
        return error_set(err, FZ_CANCELLED, "cancelled");
    json_event ev;
    fz_status st = json_rows_next(s->in->src, local, out, &ev, err);
    if (st) {
        error_where(err, s->in->base.path);
        return st;
    }
    switch (ev) {
    case JSON_ROWS:
        *r = SOURCE_BATCH;
        return FZ_OK;
    case JSON_ROWS_MORSEL_END:
        *r = SOURCE_MORSEL_END;
        return FZ_OK;
    case JSON_ROWS_END:
        *r = SOURCE_END;
        if (!json_rows_widened(s->in->src))
            return FZ_OK;
        break;
    case JSON_ROWS_WIDEN:
        break;
    }
    error_set(err, FZ_VALUE, "a column's type was too narrow for a later value");
    error_where(err, s->in->base.path);
    return FZ_VALUE;
}

static void scan_close(scan *base)
{
    json_scan *s = (json_scan *)base;
    json_rows_attach(s->in->src, NULL);
    mem_free(s->m, s, sizeof *s);
}

static const scan_ops json_scan_ops = {local_open, local_close, next, scan_close};

static fz_status table_open(const table_source *base, const scan_request *r, scan **out, bool *filtered, fz_error *err)
{
    json_table *t = (json_table *)base;
    if (t->in->base.started)
        TRY(json_rows_restart(t->in->src, err));
    t->in->base.started = true;
    TRY(json_rows_project(t->in->src, r->cols, r->ncols, err));
    json_scan *s = mem_zalloc(t->m, sizeof *s);
    if (!s)
        return error_nomem(err);
    int64_t size = json_rows_size(t->in->src);
    /* A file of one or two blocks isn't worth a second thread. */
    s->base.ops = &json_scan_ops;
    s->base.max_workers = size >= 0 && size < 1 << 18 ? 1 : 1024;
    s->in = t->in;
    s->j = r->j;
    s->m = t->m;
    json_rows_attach(t->in->src, r->j);
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
    const json_table *t = (const json_table *)base;
    sbuf_printf(out, "json, %s", json_rows_layout(t->in->src));
}

static void release(table_source *base)
{
    mem_free(((json_table *)base)->m, base, sizeof(json_table));
}

static const table_source_ops json_table_ops = {table_open, unknown_rows, unknown_rows, explain, release};

static fz_status table_new(file_input *base, mem *m, table_source **out, fz_error *err)
{
    json_input *in = (json_input *)base;
    json_table *t = mem_zalloc(m, sizeof *t);
    if (!t)
        return error_nomem(err);
    t->base.ops = &json_table_ops;
    atomic_init(&t->base.refs, 1);
    t->base.schema = *json_rows_schema(in->src);
    t->base.name = str_of(in->base.path);
    t->in = in;
    t->m = m;
    *out = &t->base;
    return FZ_OK;
}

/* ---- the input ---- */

static const row_schema *in_schema(const file_input *in) { return json_rows_schema(((const json_input *)in)->src); }
static bool in_undecided(const file_input *in, uint32_t c) { return json_rows_undecided(((const json_input *)in)->src, c); }
static uint32_t in_given(const file_input *in) { return 0; }
static bool in_widened(const file_input *in) { return json_rows_widened(((const json_input *)in)->src); }
static fz_status in_restart(file_input *in, fz_error *err) { return json_rows_restart(((json_input *)in)->src, err); }
static void in_keep_types(file_input *in) { json_rows_keep_types(((json_input *)in)->src); }

static int64_t in_size(const file_input *in)
{
    return json_rows_size(((const json_input *)in)->src);
}

static void in_close(file_input *in)
{
    json_rows_close(((json_input *)in)->src);
    file_input_free(in, sizeof(json_input));
}

static const file_input_ops json_input_ops = {
    .schema = in_schema, .undecided = in_undecided, .given = in_given, .size_bytes = in_size, .widened = in_widened, .restart = in_restart,
    .keep_types = in_keep_types, .table = table_new, .close = in_close,
};

fz_status json_input_open(const char *path, const csv_options *o, mem *m, file_input **out, fz_error *err)
{
    json_rows_options x;
    json_rows_options_default(&x);
    x.schema = o->schema;
    x.nulls = o->nulls;
    x.nnulls = o->nnulls;
    x.strict = o->strict;
    x.skip_errors = o->skip_errors;
    x.reject_path = o->reject_path;
    x.compression = o->compression;
    x.sample_bytes = o->sample_bytes;
    x.spool_limit = o->spool_limit;
    x.temp_dir = o->temp_dir;
    x.io = o->io;
    x.log = o->log;
    arena a;
    arena_init(&a, m);
    json_type *types = ARENA_ARRAY(&a, json_type, o->ntypes);
    file_input *in = NULL;
    fz_status st = types ? file_input_new(&json_input_ops, sizeof(json_input), path, m, &in, err) : error_nomem(err);
    if (st == FZ_OK) {
        for (uint32_t i = 0; i < o->ntypes; i++)
            types[i] = (json_type){o->types[i].name, o->types[i].t};
        x.types = types;
        x.ntypes = o->ntypes;
        st = json_rows_open(path, &x, m, &((json_input *)in)->src, err);
        if (st)
            in_close(in);
        else
            *out = in;
    }
    arena_free(&a);
    return st;
}

fz_status json_inputs_unify(file_input **in, uint32_t n, fz_error *err)
{
    arena a;
    if (n < 2)
        return FZ_OK;
    arena_init(&a, in[0]->m);
    json_rows **s = ARENA_ARRAY(&a, json_rows *, n);
    for (uint32_t i = 0; s && i < n; i++)
        s[i] = ((json_input *)in[i])->src;
    fz_status st = s ? json_rows_unify(s, n, err) : error_nomem(err);
    arena_free(&a);
    return st;
}
