/*
 * load.c: fz_load: files into a table. It is INSERT INTO table SELECT * FROM files, with the table made where it is missing, columns matched by
 * name, and the dialect and types of CSV files open to options.
 *
 * Several files are one commit: their rows follow each other (UNION ALL of their scans).
 */
#include "catalog/open.h"
#include "engine/avro_table.h"
#include "engine/csv_table.h"
#include "engine/engine_int.h"
#include "engine/files.h"
#include "engine/json_table.h"
#include "engine/new_table.h"
#include "engine/parquet_table.h"
#include "engine/rows.h"
#include "engine/transaction.h"

typedef struct load {
    statement *st;
    arena *a;
    uint32_t n_files;
    const char **files;
    source_format format;
    csv_options csv;
    source_options so;
    bool replace, dry_run, add_columns;
    const char *partition_by, *branch;
    uint32_t n_props;
    ast_property *props;
    sql_name name;
    uint32_t n_source;       /* source-set, anonymous */
    io_prop *source;
    ib_ident id;
    ib_table *base;          /* pinned by the statement; NULL: the table is made */
    row_schema target;       /* the table's columns */
    ib_schema added;         /* add-columns: the table's schema with further columns … */
    ib_metadata *evolved;    /* … and its metadata with that; NULL: nothing is added */
} load;

/* ---- options ---- */

static fz_status set_flag(const char *key, const char *v, bool *out, fz_error *err)
{
    if (strcmp(v, "true") != 0 && strcmp(v, "false") != 0)
        return error_set(err, FZ_INVALID, "option \"%s\": \"%s\" is neither true nor false", key, v);
    *out = strcmp(v, "true") == 0;
    return FZ_OK;
}

static fz_status add_property(load *l, const char *v, fz_error *err)
{
    const char *eq = strchr(v, '=');
    if (!eq || eq == v)
        return error_set(err, FZ_INVALID, "option \"property\": \"%s\" isn't key=value", v);
    ast_property *p = ARENA_ARRAY(l->a, ast_property, l->n_props + 1);
    if (!p)
        return error_nomem(err);
    if (l->n_props)
        memcpy(p, l->props, sizeof *p * l->n_props);
    p[l->n_props++] = (ast_property){.key = {v, (size_t)(eq - v)}, .value = str_of(eq + 1)};
    l->props = p;
    return FZ_OK;
}

static file_io *sources_of(const load *l)
{
    return l->st->sources ? l->st->sources : l->st->s->lake->io;
}

/* A setting of the place that the files are in. */
static fz_status source_set(load *l, str key, str value, fz_error *err)
{
    io_prop *p = ARENA_ARRAY(l->a, io_prop, l->n_source + 1);
    if (!p)
        return error_nomem(err);
    if (l->n_source)
        memcpy(p, l->source, sizeof *p * l->n_source);
    p[l->n_source++] = (io_prop){key, value};
    l->source = p;
    return FZ_OK;
}

static fz_status source_set_text(load *l, const char *v, fz_error *err)
{
    const char *eq = strchr(v, '=');
    if (!eq || eq == v) /* what was given may be a secret */
        return error_set(err, FZ_INVALID, "option \"source-set\" takes key=value, as s3.region=eu-central-1");
    char *key = arena_strndup(l->a, v, (size_t)(eq - v));
    str value;
    if (!key)
        return error_nomem(err);
    TRY(config_value(l->st->s->lake->config, key, eq + 1, l->a, &value, err));
    return source_set(l, str_of(key), value, err);
}

/* The lake's settings, with those given for the source instead. */
static fz_status open_sources(load *l, fz_error *err)
{
    fz_lake *lake = l->st->s->lake;
    uint32_t n = 0;
    io_prop *lakes = NULL;
    if (l->n_source == 0)
        return FZ_OK;
    if (lake->conf)
        TRY(catalog_props(lake->conf, l->a, &n, &lakes, err));
    io_prop *all = ARENA_ARRAY(l->a, io_prop, n + l->n_source);
    l->st->sources = all ? file_io_new(lake->m, lake->io) : NULL;
    if (!l->st->sources)
        return error_nomem(err);
    if (n)
        memcpy(all, lakes, n * sizeof *all);
    memcpy(all + n, l->source, l->n_source * sizeof *all); /* a later one counts */
    return storage_add(l->st->sources, NULL, &lake->shared, n + l->n_source, all, NULL, lake->m, err);
}

static fz_status read_option(load *l, const char *key, const char *value, fz_error *err)
{
    bool anonymous;
    if (strcmp(key, "source-set") == 0)
        return source_set_text(l, value, err);
    if (strcmp(key, "anonymous") == 0) {
        TRY(set_flag(key, value, &anonymous, err));
        return anonymous ? source_set(l, STR("s3.anonymous"), STR("true"), err) : FZ_OK;
    }
    if (strcmp(key, "source-format") == 0)
        return source_format_parse(value, &l->format, err);
    if (strcmp(key, "replace") == 0)
        return set_flag(key, value, &l->replace, err);
    if (strcmp(key, "dry-run") == 0)
        return set_flag(key, value, &l->dry_run, err);
    if (strcmp(key, "add-columns") == 0)
        return set_flag(key, value, &l->add_columns, err);
    if (strcmp(key, "property") == 0)
        return add_property(l, value, err);
    if (strcmp(key, "branch") == 0) {
        l->branch = value;
        return FZ_OK;
    }
    if (strcmp(key, "partition-by") == 0) {
        l->partition_by = value;
        return FZ_OK;
    }
    bool known;
    TRY(source_options_set(&l->so, key, value, &known, err));
    if (!known)
        return error_set(err, FZ_INVALID, "unknown option \"%s\" of load", key);
    return FZ_OK;
}

static fz_status read_options(load *l, const fz_option *options, size_t n, fz_error *err)
{
    for (size_t i = 0; i < n; i++) {
        if (!options[i].value)
            continue;
        /* Values outlive the call: CSV options keep pointers to them. */
        char *v = arena_strndup(l->a, options[i].value, strlen(options[i].value));
        if (!v)
            return error_nomem(err);
        TRY(read_option(l, options[i].key, v, err));
    }
    return FZ_OK;
}

static fz_status detect_format(load *l, fz_error *err)
{
    if (l->format != SOURCE_AUTO)
        return FZ_OK;
    for (uint32_t i = 0; i < l->n_files; i++) {
        source_format f;
        TRY(source_detect(sources_of(l), l->files[i], &f, err));
        if (i && f != l->format)
            return error_set(err, FZ_INVALID, "the files have different formats: load one format at a time");
        l->format = f;
    }
    return FZ_OK;
}

/* ---- opening ---- */

static fz_status open_text(load *l, fz_error *err)
{
    statement *st = l->st;
    csv_options o = l->csv;
    if (l->base) {
        o.schema = &l->target;
        o.allow_extra = l->add_columns;
    }
    st->inputs = ARENA_ARRAY(l->a, file_input *, l->n_files);
    if (!st->inputs)
        return error_nomem(err);
    for (uint32_t i = 0; i < l->n_files; i++) {
        TRY(source_open(l->format, l->files[i], &l->so, &o, &st->s->lake->rt->rt->root, &st->inputs[i], err));
        st->n_inputs = i + 1;
    }
    return FZ_OK;
}

/* ---- plans ---- */

static const plan *plan_scan(arena *a, table_source *t, const row_schema *schema)
{
    plan *p = ARENA_NEW(a, plan);
    uint32_t *cols = ARENA_ARRAY(a, uint32_t, schema->n + 1);
    if (!p || !cols)
        return NULL;
    for (uint32_t i = 0; i < schema->n; i++)
        cols[i] = i;
    p->kind = PLAN_SCAN;
    p->out = *schema;
    p->rows = t->ops->estimate(t);
    p->scan.table = t;
    p->scan.cols = cols;
    p->scan.limit = -1;
    return p;
}

static const expr *column_as(arena *a, const row_schema *in, int col, type t)
{
    expr *e = ARENA_NEW(a, expr), *cast = ARENA_NEW(a, expr);
    const expr **arg = ARENA_ARRAY(a, const expr *, 1);
    if (!e || !cast || !arg)
        return NULL;
    if (col < 0) {
        *e = (expr){.kind = EX_CONST, .t = t, .value = DATUM_NULL(t)};
        return e;
    }
    *e = (expr){.kind = EX_COLUMN, .t = in->cols[col].t, .col = (uint32_t)col};
    if (type_eq(e->t, t))
        return e;
    arg[0] = e;
    *cast = (expr){.kind = EX_CAST, .t = t, .n = 1, .args = arg};
    return cast;
}

/* Parquet and Avro columns into the table's: by name, with casts that can fail only by value. */
static fz_status plan_match(load *l, const plan *in, const plan **out, fz_error *err)
{
    arena *a = &l->st->plan_mem;
    plan *p = ARENA_NEW(a, plan);
    const expr **e = ARENA_ARRAY(a, const expr *, l->target.n + 1);
    const plan **child = ARENA_ARRAY(a, const plan *, 1);
    bool *used = ARENA_ARRAY(a, bool, in->out.n + 1);
    str *names = ARENA_ARRAY(a, str, in->out.n + 1);
    if (!p || !e || !child || !used || !names)
        return error_nomem(err);
    for (uint32_t i = 0; i < in->out.n; i++)
        names[i] = in->out.cols[i].name;
    for (uint32_t i = 0; i < l->target.n; i++) {
        const column_def *c = &l->target.cols[i];
        uint32_t at;
        int r = sql_find_name(c->name, false, in->out.n, names, &at);
        if (r < 0)
            return error_set(err, FZ_INVALID, "several columns of the file are named like \"" STR_FMT "\"", STR_ARG(c->name));
        if (r == 0 && c->not_null)
            return error_sql(err, FZ_INVALID, "23502", "the file has no column \"" STR_FMT "\", which is NOT NULL in the table", STR_ARG(c->name));
        if (r == 0)
            session_notice(l->st->s, "column \"" STR_FMT "\" is not in the file: it is filled with NULL", STR_ARG(c->name));
        if (r == 1 && !type_eq(in->out.cols[at].t, c->t) && !cast_exists(in->out.cols[at].t, c->t))
            return error_set(err, FZ_INVALID, "column \"" STR_FMT "\" of the file has a type that can't become the table's", STR_ARG(c->name));
        if (r == 1)
            used[at] = true;
        e[i] = column_as(a, &in->out, r == 1 ? (int)at : -1, c->t);
        if (!e[i])
            return error_nomem(err);
    }
    for (uint32_t i = 0; i < in->out.n; i++)
        if (!used[i]) {
            error_set(err, FZ_INVALID, "the table has no column \"" STR_FMT "\" that the file has", STR_ARG(names[i]));
            error_hint(err, "--add-columns adds what the table lacks");
            return FZ_INVALID;
        }
    child[0] = in;
    p->kind = PLAN_PROJECT;
    p->out = l->target;
    p->rows = in->rows;
    p->n = 1;
    p->in = child;
    p->project.e = e;
    *out = p;
    return FZ_OK;
}

static fz_status union_all(arena *a, uint32_t n, const plan **parts, const plan **out, fz_error *err)
{
    *out = parts[0];
    if (n == 1)
        return FZ_OK;
    plan *p = ARENA_NEW(a, plan);
    if (!p)
        return error_nomem(err);
    p->kind = PLAN_UNION_ALL;
    p->out = parts[0]->out;
    p->rows = -1;
    p->n = n;
    p->in = parts;
    *out = p;
    return FZ_OK;
}

/* The files as tables, released with the bound plan. */
static fz_status open_tables(load *l, fz_error *err)
{
    statement *st = l->st;
    file_io *io = sources_of(l);
    mem *m = &st->s->lake->rt->rt->root;
    st->bound.tables = ARENA_ARRAY(&st->plan_mem, table_source *, l->n_files);
    if (!st->bound.tables)
        return error_nomem(err);
    for (uint32_t i = 0; i < l->n_files; i++) {
        table_source **t = &st->bound.tables[i];
        if (l->format == SOURCE_PARQUET)
            TRY(parquet_table_new(str_of(l->files[i]), io, st->s->lake->rt->footers, m, t, err));
        else if (l->format == SOURCE_AVRO)
            TRY(avro_table_new(str_of(l->files[i]), io, m, t, err));
        else
            TRY(file_input_table(st->inputs[i], m, t, err));
        st->bound.n_tables = i + 1;
    }
    return FZ_OK;
}

static fz_status plan_files(load *l, const plan **out, fz_error *err)
{
    statement *st = l->st;
    arena *a = &st->plan_mem;
    const plan **parts = ARENA_ARRAY(a, const plan *, l->n_files);
    if (!parts)
        return error_nomem(err);
    for (uint32_t i = 0; i < l->n_files; i++) {
        table_source *t = st->bound.tables[i];
        parts[i] = plan_scan(a, t, &t->schema);
        if (!parts[i])
            return error_nomem(err);
        bool text = l->format != SOURCE_PARQUET && l->format != SOURCE_AVRO; /* whose columns are the table's already, */
        if (text ? l->evolved != NULL : (l->base || i)) {                    /* but for further ones */
            if (!l->base && i == 1)
                l->target = parts[0]->out;
            fz_status r = plan_match(l, parts[i], &parts[i], err);
            if (r) {
                error_where(err, l->files[i]);
                return r;
            }
        }
    }
    return union_all(a, l->n_files, parts, out, err);
}

/* ---- extra columns ---- */

static bool has_name(const type_field *f, uint32_t n, str name, uint32_t *at)
{
    for (*at = 0; *at < n; ++*at)
        if (str_ieq(f[*at].name, name))
            return true;
    return false;
}

/* Collects into f[*n] the columns that files have and the table lacks, each with a type that holds for all files. */
static fz_status extra_columns(load *l, type_field *f, uint32_t *n, uint32_t max, int32_t *last_id, fz_error *err)
{
    statement *st = l->st;
    uint32_t old = *n;
    bool *undecided = ARENA_ARRAY(l->a, bool, max + 1);
    if (!undecided)
        return error_nomem(err);
    for (uint32_t i = 0; i < l->n_files; i++) {
        const file_input *in = st->n_inputs ? st->inputs[i] : NULL;
        const row_schema *all = &st->bound.tables[i]->schema;
        for (uint32_t c = in ? in->ops->given(in) : 0; c < all->n; c++) {
            bool open = in && in->ops->undecided(in, c);
            str name = all->cols[c].name;
            uint32_t at;
            if (has_name(f, *n, name, &at)) {
                if (at < old)
                    continue;
                f[at].t = input_type_join(f[at].t, undecided[at], all->cols[c].t, open);
                undecided[at] &= open;
                continue;
            }
            char *copy = arena_strndup(l->a, name.p, name.n);
            if (!copy)
                return error_nomem(err);
            undecided[*n] = open;
            f[(*n)++] = (type_field){.name = {copy, name.n}, .t = all->cols[c].t};
        }
    }
    for (uint32_t i = 0; i < st->n_inputs; i++) {
        file_input *in = st->inputs[i];
        const row_schema *all = in->ops->schema(in);
        for (uint32_t c = in->ops->given(in), at; c < all->n; c++)
            if (has_name(f, *n, all->cols[c].name, &at) && !undecided[at])
                in->ops->widen(in, c, f[at].t);
    }
    for (uint32_t c = old; c < *n; c++)
        f[c].field_id = ++*last_id;
    for (uint32_t c = old; c < *n; c++) {
        if (f[c].t.id == T_NULL)
            f[c].t = TYPE(T_STRING);
        TRY(ib_assign_ids(&f[c].t, last_id, l->a, err));
    }
    return FZ_OK;
}

/* The table as it is with the files' further columns, which are committed together with the rows: done again after each widening. */
static fz_status evolve(load *l, fz_error *err)
{
    statement *st = l->st;
    const ib_schema *old = ib_current_schema(l->base->md);
    uint32_t n = old->fields->n, max = n;
    for (uint32_t i = 0; i < l->n_files; i++)
        max += st->bound.tables[i]->schema.n;
    type_fields *f = arena_zalloc(l->a, sizeof *f + sizeof(type_field) * max);
    if (!f)
        return error_nomem(err);
    memcpy(f->f, old->fields->f, sizeof(type_field) * n);
    int32_t id = l->base->md->last_column_id;
    TRY(extra_columns(l, f->f, &n, max, &id, err));
    if (n == old->fields->n)
        return FZ_OK;
    f->n = n;
    l->added = (ib_schema){.schema_id = -1, .fields = f, .n_identifier = old->n_identifier, .identifier_ids = old->identifier_ids};
    ib_update up[] = {{.kind = IB_ADD_SCHEMA, .schema = &l->added, .id = id}, {.kind = IB_SET_CURRENT_SCHEMA, .id = -1}};
    ib_metadata_unref(l->evolved);
    l->evolved = NULL;
    TRY(ib_metadata_apply(l->base->md, l->base->metadata_location, 2, up, &st->s->m, &l->evolved, err));
    return schema_columns(ib_current_schema(l->evolved), l->a, &l->target, err);
}

/* The files as tables; where a new table is made of several, or columns are added, all with one type a column: done again after each
 * restart, which may have widened the columns of one file. */
static fz_status open_files(load *l, fz_error *err)
{
    statement *st = l->st;
    if (!l->base && st->n_inputs)
        TRY(inputs_unify(l->format, st->n_inputs, st->inputs, err));
    TRY(open_tables(l, err));
    return l->base && l->add_columns ? evolve(l, err) : FZ_OK;
}

/* The new columns as part of the commit. */
static fz_status added_updates(load *l, arena *a, ib_change *out, fz_error *err)
{
    const ib_metadata *md = l->base->md;
    *out = (ib_change){.a = a};
    TRY(ib_change_require(out, (ib_requirement){IB_ASSERT_CURRENT_SCHEMA_ID, {0}, md->current_schema_id}, err));
    TRY(ib_change_require(out, (ib_requirement){IB_ASSERT_LAST_ASSIGNED_FIELD_ID, {0}, md->last_column_id}, err));
    TRY(ib_change_update(out, (ib_update){.kind = IB_ADD_SCHEMA, .schema = &l->added, .id = l->evolved->last_column_id}, err));
    return ib_change_update(out, (ib_update){.kind = IB_SET_CURRENT_SCHEMA, .id = -1}, err);
}

static fz_status bind_load(statement *st, void *ctx, write_target *t, fz_error *err)
{
    load *l = ctx;
    arena *a = &st->plan_mem;
    TRY(open_files(l, err));
    TRY(plan_files(l, &st->plan, err));
    t->id = l->id;
    t->replace = l->replace;
    if (l->base) {
        t->branch = str_of(l->branch);
        t->base = l->base;
        t->md = l->evolved ? l->evolved : l->base->md;
        if (l->evolved)
            TRY(added_updates(l, a, &t->before, err));
        t->schema = l->target;
        return FZ_OK;
    }
    const row_schema *from = &st->plan->out;
    t->schema = (row_schema){from->n, ARENA_ARRAY(a, column_def, from->n + 1)};
    if (!t->schema.cols)
        return error_nomem(err);
    for (uint32_t i = 0; i < from->n; i++)
        t->schema.cols[i] = (column_def){.name = from->cols[i].name, .t = from->cols[i].t};
    uint32_t np = 0;
    const ast_partition *parts = NULL;
    if (l->partition_by) {
        fz_status r = sql_parse_partitions(str_of(l->partition_by), a, &np, &parts, err);
        if (r) {
            error_hint(err, "--partition-by takes a list such as month(ts), bucket(16, id)");
            return r;
        }
    }
    ib_metadata *md;
    new_table nt = {.n_partitions = np, .partitions = parts, .n_properties = l->n_props, .properties = l->props};
    TRY(new_table_metadata(st->s, t->id, &t->schema, &nt, a, &md, err));
    t->md = md;
    t->own_md = true;
    return FZ_OK;
}

/* ---- dry run ---- */

static fz_status dry_run(load *l, fz_result **out, fz_error *err)
{
    static const char *const names[] = {"column", "type"};
    statement *st = l->st;
    const plan *p;
    fz_status s = open_files(l, err);
    if (!s)
        s = plan_files(l, &p, err);
    rows r;
    rows_init(&r, st, 2, names);
    sbuf b;
    sbuf_init(&b, &st->s->m);
    for (uint32_t i = 0; !s && i < p->out.n; i++) {
        rows_str(&r, p->out.cols[i].name);
        type_sql_name(p->out.cols[i].t.id == T_NULL ? TYPE(T_STRING) : p->out.cols[i].t, &b);
        rows_sbuf(&r, &b);
    }
    sbuf_free(&b);
    if (s) {
        statement_free(st);
        return s;
    }
    return rows_result(&r, "LOAD", out, err);
}

/* ---- load ---- */

static fz_status prepare(load *l, const char *const *files, size_t n_files, const char *table, const fz_option *options,
                         size_t n_options, fz_error *err)
{
    if (n_files == 0)
        return error_set(err, FZ_INVALID, "there is no file to load");
    if (n_files > 1000)
        return error_set(err, FZ_LIMIT, "at most 1000 files can be loaded at once");
    TRY(read_options(l, options, n_options, err));
    TRY(open_sources(l, err));
    l->csv.io = sources_of(l);
    uint32_t cap = 0;
    for (size_t i = 0; i < n_files; i++) {
        uint32_t n;
        const char **paths;
        TRY(path_expand(str_of(files[i]), sources_of(l), l->a, &n, &paths, err));
        const char **all = ARENA_ARRAY(l->a, const char *, cap + n);
        if (!all)
            return error_nomem(err);
        if (cap)
            memcpy(all, l->files, sizeof *all * cap);
        memcpy(all + cap, paths, sizeof *all * n);
        l->files = all;
        cap += n;
    }
    l->n_files = cap;
    TRY(detect_format(l, err));
    TRY(sql_parse_name(str_of(table), l->a, &l->name, err));
    TRY(statement_table(l->st, &l->name, &l->id, &l->base, err));
    if (l->branch && !l->base)
        return session_no_table(l->st->s, &l->name, err);
    if (l->branch)
        TRY(branch_check(l->base->md, str_of(l->branch), err));
    if (l->base) {
        if (l->partition_by || l->n_props)
            return error_set(err, FZ_INVALID, "the table exists: %s is for a table that is made", l->partition_by ? "partition-by" : "property");
        TRY(schema_columns(ib_current_schema(l->base->md), l->a, &l->target, err));
    }
    if (l->format == SOURCE_JSON && l->add_columns)
        return error_set(err, FZ_UNSUPPORTED, "add-columns is not supported for JSON");
    if (l->format == SOURCE_CSV || l->format == SOURCE_JSON)
        return open_text(l, err);
    return FZ_OK;
}

fz_status fz_load(fz_session *s, const char *const *files, size_t n_files, const char *table, const fz_option *options,
                  size_t n_options, fz_result **out, fz_error *err)
{
    statement *own;
    session_begin(s);
    TRY(statement_new(s, &own, err));
    load *l = ARENA_NEW(&own->a, load); /* with the statement, which a transaction may keep */
    if (!l) {
        statement_free(own);
        return error_nomem(err);
    }
    l->st = own;
    l->a = &l->st->a;
    csv_options_default(&l->csv);
    l->csv.log = &s->log;
    l->csv.temp_dir = s->lake->rt->temp_dir;
    source_options_init(&l->so, l->a, &l->csv);
    fz_status st = transaction_check(s, NULL, err);
    if (!st)
        st = prepare(l, files, n_files, table, options, n_options, err);
    if (!st && l->dry_run)
        return dry_run(l, out, err);
    int64_t loaded = 0;
    fz_result *done = NULL;
    if (!st)
        st = result_begin(s, "LOAD", &done, err);
    if (!st && !l->base)
        st = session_need_namespace(s, l->id, true, err);
    if (!st)
        st = write_rows(l->st, bind_load, l, true, &loaded, err);
    if (st)
        transaction_failed(s);
    ib_metadata_unref(l->evolved);
    statement_free(own);
    return result_end(done, session_failed(s, st, err), loaded, out);
}
