/* parquet_table.c: see parquet_table.h. Footers are read when the statement is bound: they give types and row counts. */
#include "engine/parquet_table.h"

#include "engine/file_scan.h"
#include "engine/lower.h"

#include <glob.h>

typedef struct parquet_table {
    table_source base;
    arena a;
    mem *m;
    footer_cache *footers;
    uint32_t n;
    scan_file *files;
    pq_file *first;      /* owns the schema */
    int64_t rows;
} parquet_table;

bool path_is_pattern(str path)
{
    for (size_t i = 0; i < path.n; i++)
        if (path.p[i] == '*' || path.p[i] == '?' || path.p[i] == '[')
            return true;
    return false;
}

fz_status path_expand(str pattern, arena *a, uint32_t *n, const char ***out, fz_error *err)
{
    char *p = arena_strndup(a, pattern.p, pattern.n);
    const char **paths;
    *n = 1;
    if (!p)
        return error_nomem(err);
    io_stat_info info;
    if (!path_is_pattern(pattern) || io_stat(p, &info, NULL) == FZ_OK) {
        paths = ARENA_ARRAY(a, const char *, 1);
        if (!paths)
            return error_nomem(err);
        paths[0] = p;
        *out = paths;
        return FZ_OK;
    }
    const char *local = io_local_path(p);
    if (!local)
        return error_set(err, FZ_UNSUPPORTED, "\"%s\": only local files can be read", p);
    glob_t g;
    int rc = glob(local, 0, NULL, &g);
    if (rc == GLOB_NOMATCH) {
        error_set(err, FZ_NOT_FOUND, "no file matches the pattern");
        error_where(err, p);
        return FZ_NOT_FOUND;
    }
    if (rc)
        return rc == GLOB_NOSPACE ? error_nomem(err) : error_set(err, FZ_IO, "the pattern \"%s\" can't be followed", p);
    fz_status st = FZ_OK;
    *n = (uint32_t)g.gl_pathc;
    paths = ARENA_ARRAY(a, const char *, *n);
    for (uint32_t i = 0; paths && i < *n; i++)
        if (!(paths[i] = arena_strndup(a, g.gl_pathv[i], strlen(g.gl_pathv[i]))))
            paths = NULL;
    globfree(&g);
    if (!paths)
        st = error_nomem(err);
    *out = paths;
    return st;
}

static void release(table_source *base)
{
    parquet_table *t = (parquet_table *)base;
    pq_close(t->first);
    arena_free(&t->a);
    mem_free(t->m, t, sizeof *t);
}

typedef struct lowered { arena a; mem *m; } lowered;

static void lowered_free(void *p)
{
    lowered *l = p;
    arena_free(&l->a);
    mem_free(l->m, l, sizeof *l);
}

static fz_status table_open(const table_source *base, const scan_request *r, scan **out, bool *filtered, fz_error *err)
{
    const parquet_table *t = (const parquet_table *)base;
    for (uint32_t i = 0; i < r->ncols; i++) {
        const column_def *c = &base->schema.cols[r->cols[i]];
        if (c->t.id == T_NULL || type_is_nested(c->t))
            return error_set(err, FZ_UNSUPPORTED, "column \"" STR_FMT "\" of " STR_FMT " has a type that isn't supported (nested, or not Iceberg's)",
                             STR_ARG(c->name), STR_ARG(base->name));
    }
    lowered *l = mem_zalloc(t->m, sizeof *l);
    if (!l)
        return error_nomem(err);
    l->m = t->m;
    arena_init(&l->a, t->m);
    fz_status st = FZ_OK;
    const ib_pred *pred = NULL;
    if (r->filter) {
        int32_t *ids = ARENA_ARRAY(&l->a, int32_t, r->ncols + 1);
        for (uint32_t i = 0; ids && i < r->ncols; i++)
            ids[i] = (int32_t)r->cols[i] + 1;
        pred = ids ? lower_filter(r->filter, ids, r->params, r->n_params, &l->a) : NULL;
        if (!pred) {
            st = error_nomem(err);
            goto out;
        }
    }
    file_scan_options o = {.n_files = t->n, .files = t->files, .schema = &base->schema, .by_name = true, .pred = pred,
                           .footers = t->footers, .m = t->m, .owned = l, .owned_free = lowered_free};
    TRY_GOTO(file_scan_open(&o, r, out, err));
    *filtered = true;
out:
    if (st)
        lowered_free(l);
    return st;
}

static int64_t rows(const table_source *base)
{
    return ((const parquet_table *)base)->rows;
}

static void explain(const table_source *base, const scan_request *r, sbuf *out)
{
    const parquet_table *t = (const parquet_table *)base;
    sbuf_printf(out, "parquet, %u file%s, %lld rows", t->n, t->n == 1 ? "" : "s", (long long)t->rows);
}

static const table_source_ops parquet_table_ops = {table_open, rows, rows, explain, release};

static fz_status check_same(const parquet_table *t, const pq_file *p, const char *path, fz_error *err)
{
    const row_schema *a = pq_schema(t->first);
    for (uint32_t i = 0; i < a->n; i++) {
        int leaf = pq_find_name(p, a->cols[i].name);
        if (leaf < 0 || !type_eq(pq_schema(p)->cols[leaf].t, a->cols[i].t)) {
            error_set(err, FZ_INVALID, "the file's column \"" STR_FMT "\" is %s; in %s it isn't", STR_ARG(a->cols[i].name),
                      leaf < 0 ? "missing" : "of another type", t->files[0].path);
            error_where(err, path);
            return FZ_INVALID;
        }
    }
    return FZ_OK;
}

fz_status parquet_table_new(str pattern, footer_cache *footers, mem *m, table_source **out, fz_error *err)
{
    parquet_table *t = mem_zalloc(m, sizeof *t);
    if (!t)
        return error_nomem(err);
    t->base.ops = &parquet_table_ops;
    atomic_init(&t->base.refs, 1);
    t->m = m;
    t->footers = footers;
    arena_init(&t->a, m);
    fz_status st = FZ_OK;
    const char **paths = NULL;
    TRY_GOTO(path_expand(pattern, &t->a, &t->n, &paths, err));
    t->files = ARENA_ARRAY(&t->a, scan_file, t->n);
    t->base.name = (str){arena_strndup(&t->a, pattern.p, pattern.n), pattern.n};
    if (!t->files || !t->base.name.p) {
        st = error_nomem(err);
        goto out;
    }
    for (uint32_t i = 0; i < t->n; i++) {
        io_file *f;
        pq_file *p;
        TRY_GOTO(footer_cache_open(footers, paths[i], m, &f, &p, err));
        io_close(f);
        t->files[i] = (scan_file){.path = paths[i], .rows = pq_meta(p)->num_rows};
        t->rows += pq_meta(p)->num_rows;
        if (!t->first) {
            t->first = p;
        } else {
            st = check_same(t, p, paths[i], err);
            pq_close(p);
            if (st)
                goto out;
        }
    }
    t->base.schema = *pq_schema(t->first);
    *out = &t->base;
out:
    if (st)
        release(&t->base);
    return st;
}
