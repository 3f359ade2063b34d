/*
 * parquet_table.c: see parquet_table.h. Footers are read when the statement is bound: they give types and row counts.
 *
 * The columns of several files are joined by name, members of structs too: in the order of the first file, then what
 * others have more. A column of two types has the one that both can be read as (integer and bigint, real and
 * double precision, decimals of one scale); one that a file lacks is null there.
 */
#include "engine/parquet_table.h"

#include "engine/file_scan.h"
#include "engine/lower.h"

#include <fnmatch.h>
#include <glob.h>
#include <stdlib.h>
#include <strings.h>

typedef struct parquet_table {
    table_source base;
    arena a;
    mem *m;
    footer_cache *footers;
    file_io *io;         /* the lake's, which outlives its statements */
    uint32_t n;
    scan_file *files;
    pq_file **kept;      /* whose memory names and types lie in */
    int64_t rows;
} parquet_table;

bool path_is_pattern(str path)
{
    for (size_t i = 0; i < path.n; i++)
        if (path.p[i] == '*' || path.p[i] == '?' || path.p[i] == '[')
            return true;
    return false;
}

/* A remote pattern: what lies below its fixed part and matches. As in a shell, '*' and '?' don't match '/'. */
typedef struct remote_glob {
    const char *pattern;
    arena *a;
    const char **paths;
    uint32_t n, cap;
} remote_glob;

static fz_status glob_take(void *ctx, const char *path, const io_stat_info *info, fz_error *err)
{
    remote_glob *g = ctx;
    if (fnmatch(g->pattern, path, FNM_PATHNAME | FNM_PERIOD) != 0)
        return FZ_OK;
    if (g->n == g->cap) {
        uint32_t cap = g->cap ? 2 * g->cap : 16;
        const char **more = ARENA_ARRAY(g->a, const char *, cap);
        if (!more)
            return error_nomem(err);
        if (g->n)
            memcpy(more, g->paths, g->n * sizeof *more);
        g->paths = more;
        g->cap = cap;
    }
    g->paths[g->n] = arena_strndup(g->a, path, strlen(path));
    return g->paths[g->n++] ? FZ_OK : error_nomem(err);
}

static int path_cmp(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static fz_status remote_expand(file_io *io, const char *pattern, arena *a, uint32_t *n, const char ***out, fz_error *err)
{
    remote_glob g = {.pattern = pattern, .a = a};
    size_t fixed = strcspn(pattern, "*?[\\");
    while (fixed > 0 && pattern[fixed - 1] != '/')
        fixed--;
    char *below = arena_strndup(a, pattern, fixed);
    if (!below)
        return error_nomem(err);
    TRY(io_list(io, below, glob_take, &g, err));
    if (g.n == 0) {
        error_set(err, FZ_NOT_FOUND, "no file matches the pattern");
        error_where(err, pattern);
        return FZ_NOT_FOUND;
    }
    qsort(g.paths, g.n, sizeof *g.paths, path_cmp); /* a listing's order is the store's */
    *n = g.n;
    *out = g.paths;
    return FZ_OK;
}

fz_status path_expand(str pattern, file_io *io, arena *a, uint32_t *n, const char ***out, fz_error *err)
{
    char *p = arena_strndup(a, pattern.p, pattern.n);
    const char **paths;
    *n = 1;
    if (!p)
        return error_nomem(err);
    io_stat_info info;
    bool remote = io_is_remote(io, p);
    bool web = remote && (strncasecmp(p, "http://", 7) == 0 || strncasecmp(p, "https://", 8) == 0); /* '?' begins a query there */
    if (!path_is_pattern(pattern) || web || (!remote && io_stat(io, p, &info, NULL) == FZ_OK)) {
        paths = ARENA_ARRAY(a, const char *, 1);
        if (!paths)
            return error_nomem(err);
        paths[0] = p;
        *out = paths;
        return FZ_OK;
    }
    if (remote)
        return remote_expand(io, p, a, n, out, err);
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
    for (uint32_t i = 0; t->kept && i < t->n; i++)
        pq_close(t->kept[i]);
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
        if (c->t.id == T_NULL)
            return error_set(err, FZ_UNSUPPORTED, "column \"" STR_FMT "\" of " STR_FMT " has a type that can't be read",
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
                           .footers = t->footers, .io = t->io, .m = t->m, .owned = l, .owned_free = lowered_free};
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

/* ---- the columns of all files ---- */

static bool type_join(type a, type b, arena *m, type *out, bool *nomem);

/* The members of both, by name where `by_name` (structs), else by place. The types are at most TYPE_DEPTH_MAX deep. */
static bool members_join(const type_fields *a, const type_fields *b, bool by_name, arena *m, const type_fields **out, bool *nomem)
{
    type_fields *f = arena_zalloc(m, sizeof *f + (a->n + b->n) * sizeof f->f[0]);
    bool *taken = ARENA_ARRAY(m, bool, b->n + 1);
    if (!f || !taken) {
        *nomem = true;
        return false;
    }
    for (uint32_t i = 0; i < a->n; i++) {
        type_field *x = &f->f[f->n++];
        *x = a->f[i];
        uint32_t j = by_name ? 0 : i;
        while (by_name && j < b->n && (taken[j] || !str_eq(b->f[j].name, x->name)))
            j++;
        if (j < b->n) {
            taken[j] = true;
            x->required = x->required && b->f[j].required;
            if (!type_join(a->f[i].t, b->f[j].t, m, &x->t, nomem))
                return false;
        } else {
            x->required = false;
        }
    }
    for (uint32_t j = 0; j < b->n; j++)
        if (!taken[j]) {
            f->f[f->n] = b->f[j];
            f->f[f->n++].required = false;
        }
    *out = f;
    return true;
}

/* The type that values of both can be read as; false: there is none. */
static bool type_join(type a, type b, arena *m, type *out, bool *nomem)
{
    *out = a;
    if (type_eq(a, b))
        return true;
    if (a.id == b.id && type_is_nested(a))
        return members_join(a.children, b.children, a.id == T_STRUCT, m, &out->children, nomem);
    if (a.id == T_DECIMAL && b.id == T_DECIMAL && a.scale == b.scale) {
        out->precision = a.precision > b.precision ? a.precision : b.precision;
        return true;
    }
    if ((a.id == T_INT32 && b.id == T_INT64) || (a.id == T_FLOAT32 && b.id == T_FLOAT64))
        *out = b;
    else if (!((a.id == T_INT64 && b.id == T_INT32) || (a.id == T_FLOAT64 && b.id == T_FLOAT32)))
        return false;
    return true;
}

static fz_status types_differ(const column_def *have, type t, const char *path, fz_error *err)
{
    sbuf a, b;
    sbuf_init(&a, NULL);
    sbuf_init(&b, NULL);
    type_sql_name(have->t, &a);
    type_sql_name(t, &b);
    error_set(err, FZ_INVALID, "the file's column \"" STR_FMT "\" is of type %.120s, in the files before of %.120s",
              STR_ARG(have->name), b.p ? b.p : "?", a.p ? a.p : "?");
    sbuf_free(&a);
    sbuf_free(&b);
    error_where(err, path);
    return FZ_INVALID;
}

/* Adds the columns of one more file; `first` where there was none before. */
static fz_status schema_add(parquet_table *t, const row_schema *s, bool first, const char *path, fz_error *err)
{
    row_schema *have = &t->base.schema;
    uint32_t was = have->n;
    column_def *cols = ARENA_ARRAY(&t->a, column_def, was + s->n + 1);
    bool *seen = ARENA_ARRAY(&t->a, bool, was + 1);
    if (!cols || !seen)
        return error_nomem(err);
    if (was)
        memcpy(cols, have->cols, was * sizeof *cols);
    have->cols = cols;
    for (uint32_t i = 0; i < s->n; i++) {
        const column_def *c = &s->cols[i];
        uint32_t j = 0;
        while (j < was && (seen[j] || !str_eq(cols[j].name, c->name)))
            j++;
        bool nomem = false;
        if (j < was) {
            type joined;
            seen[j] = true;
            if (!type_join(cols[j].t, c->t, &t->a, &joined, &nomem))
                return nomem ? error_nomem(err) : types_differ(&cols[j], c->t, path, err);
            cols[j].not_null = cols[j].not_null && c->not_null;
            cols[j].t = joined;
        } else {
            cols[j = have->n++] = *c;
            cols[j].not_null = first && c->not_null;
        }
    }
    for (uint32_t j = 0; j < was; j++)
        cols[j].not_null = cols[j].not_null && seen[j];
    return FZ_OK;
}

fz_status parquet_table_new(str pattern, file_io *io, footer_cache *footers, mem *m, table_source **out, fz_error *err)
{
    parquet_table *t = mem_zalloc(m, sizeof *t);
    if (!t)
        return error_nomem(err);
    t->base.ops = &parquet_table_ops;
    atomic_init(&t->base.refs, 1);
    t->m = m;
    t->footers = footers;
    t->io = io;
    arena_init(&t->a, m);
    fz_status st = FZ_OK;
    const char **paths = NULL;
    TRY_GOTO(path_expand(pattern, io, &t->a, &t->n, &paths, err));
    t->files = ARENA_ARRAY(&t->a, scan_file, t->n);
    t->kept = ARENA_ARRAY(&t->a, pq_file *, t->n);
    t->base.name = (str){arena_strndup(&t->a, pattern.p, pattern.n), pattern.n};
    if (!t->files || !t->kept || !t->base.name.p) {
        st = error_nomem(err);
        goto out;
    }
    for (uint32_t i = 0; i < t->n; i++) {
        io_file *f;
        pq_file *p;
        TRY_GOTO(footer_cache_open(footers, io, paths[i], -1, m, &f, &p, err));
        io_close(f);
        t->files[i] = (scan_file){.path = paths[i], .rows = pq_meta(p)->num_rows};
        t->rows += pq_meta(p)->num_rows;
        t->kept[i] = p;
        TRY_GOTO(schema_add(t, pq_schema(p), i == 0, paths[i], err));
    }
    *out = &t->base;
out:
    if (st)
        release(&t->base);
    return st;
}
