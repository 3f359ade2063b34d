/*
 * write.c: statements that write rows: INSERT, CREATE TABLE … AS, and what load shares with them.
 *
 *   bind ──> run into a table_writer ──> finish files ──> commit
 *     ^          │ a CSV column was too narrow
 *     └──────────┘ (files so far are removed, nothing was committed)
 *
 * A table that is made by the write appears in the catalog with its rows, in one step; if another process made it meanwhile with the same columns,
 * the files are appended to that one.
 */
#include "engine/engine_int.h"
#include "engine/table_writer.h"

#include "iceberg/transform/transform.h"
#include "iceberg/update/snapshot.h"
#include "iceberg/update/update.h"

#include <stdio.h>

/* ---- new tables ---- */

static const ib_transform_kind transform_kinds[] = {
    [PT_IDENTITY] = IB_IDENTITY, [PT_BUCKET] = IB_BUCKET, [PT_TRUNCATE] = IB_TRUNCATE, [PT_YEAR] = IB_YEAR,
    [PT_MONTH] = IB_MONTH, [PT_DAY] = IB_DAY, [PT_HOUR] = IB_HOUR, [PT_VOID] = IB_VOID,
};
static const char *const transform_suffix[] = {
    [PT_IDENTITY] = "", [PT_BUCKET] = "_bucket", [PT_TRUNCATE] = "_trunc", [PT_YEAR] = "_year",
    [PT_MONTH] = "_month", [PT_DAY] = "_day", [PT_HOUR] = "_hour", [PT_VOID] = "_null",
};
static const char *const transform_text[] = {
    [PT_IDENTITY] = "identity", [PT_BUCKET] = "bucket", [PT_TRUNCATE] = "truncate", [PT_YEAR] = "year",
    [PT_MONTH] = "month", [PT_DAY] = "day", [PT_HOUR] = "hour", [PT_VOID] = "void",
};

static fz_status make_transform(const ast_partition *p, arena *a, ib_transform *out, fz_error *err)
{
    char text[32];
    bool param = p->transform == PT_BUCKET || p->transform == PT_TRUNCATE;
    int n = param ? snprintf(text, sizeof text, "%s[%d]", transform_text[p->transform], p->param)
                  : snprintf(text, sizeof text, "%s", transform_text[p->transform]);
    char *copy = arena_strndup(a, text, (size_t)n);
    if (!copy)
        return error_nomem(err);
    *out = (ib_transform){transform_kinds[p->transform], p->param, {copy, (size_t)n}};
    return FZ_OK;
}

static fz_status make_spec(const row_schema *cols, uint32_t n, const ast_partition *parts, arena *a, ib_partition_spec *out, fz_error *err)
{
    ib_partition_field *f = ARENA_ARRAY(a, ib_partition_field, n + 1);
    if (!f)
        return error_nomem(err);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t c;
        TRY(sql_find_column(&parts[i].column, cols, &c, err));
        f[i].source_id = cols->cols[c].field_id;
        f[i].field_id = 1000 + (int32_t)i;
        TRY(make_transform(&parts[i], a, &f[i].transform, err));
        type t;
        fz_status st = ib_transform_result(&f[i].transform, cols->cols[c].t, &t, err);
        if (st) {
            error_line(err, parts[i].pos.line, parts[i].pos.column);
            return st;
        }
        sbuf name;
        sbuf_init(&name, a->m);
        sbuf_str(&name, cols->cols[c].name);
        sbuf_addz(&name, transform_suffix[parts[i].transform]);
        f[i].name = (str){name.failed ? NULL : arena_strndup(a, name.p, name.n), name.n};
        sbuf_free(&name);
        if (!f[i].name.p)
            return error_nomem(err);
        for (uint32_t k = 0; k < i; k++)
            if (str_eq(f[k].name, f[i].name) || (f[k].source_id == f[i].source_id && str_eq(f[k].transform.text, f[i].transform.text))) {
                error_set(err, FZ_INVALID, "the partition field \"" STR_FMT "\" is there twice", STR_ARG(f[i].name));
                error_line(err, parts[i].pos.line, parts[i].pos.column);
                return FZ_INVALID;
            }
    }
    *out = (ib_partition_spec){0, n, f};
    return FZ_OK;
}

static fz_status make_schema(row_schema *cols, arena *a, ib_schema *out, fz_error *err)
{
    if (cols->n == 0)
        return error_set(err, FZ_INVALID, "a table needs at least one column");
    type_fields *f = arena_zalloc(a, sizeof *f + sizeof(type_field) * cols->n);
    if (!f)
        return error_nomem(err);
    f->n = cols->n;
    for (uint32_t i = 0; i < cols->n; i++) {
        column_def *c = &cols->cols[i];
        if (c->name.n == 0)
            return error_set(err, FZ_INVALID, "column %u has no name", i + 1);
        for (uint32_t k = 0; k < i; k++)
            if (str_eq(c->name, cols->cols[k].name)) {
                error_sql(err, FZ_INVALID, "42701", "the column \"" STR_FMT "\" is there twice", STR_ARG(c->name));
                error_hint(err, "give one of them another name with AS");
                return FZ_INVALID;
            }
        if (c->t.id == T_NULL) /* a bare NULL has no type of its own */
            c->t = TYPE(T_STRING);
        if (type_is_nested(c->t))
            return error_set(err, FZ_UNSUPPORTED, "column \"" STR_FMT "\" is nested; writing nested columns isn't supported", STR_ARG(c->name));
        c->field_id = (int32_t)i + 1;
        f->f[i] = (type_field){.name = c->name, .field_id = c->field_id, .required = c->not_null, .t = c->t, .doc = c->doc};
    }
    *out = (ib_schema){.schema_id = 0, .fields = f};
    return FZ_OK;
}

fz_status new_table_metadata(fz_session *s, ib_ident id, row_schema *cols, uint32_t n_partitions, const ast_partition *partitions,
                             uint32_t n_properties, const ast_property *properties, str location, str comment, arena *a,
                             ib_metadata **out, fz_error *err)
{
    ib_schema schema;
    ib_partition_spec spec;
    ib_sort_order order = {0};
    TRY(make_schema(cols, a, &schema, err));
    TRY(make_spec(cols, n_partitions, partitions, a, &spec, err));
    ib_kv *kv = ARENA_ARRAY(a, ib_kv, n_properties + 1);
    if (!kv)
        return error_nomem(err);
    uint32_t n = 0;
    for (uint32_t i = 0; i < n_properties; i++) {
        if (str_eqz(properties[i].key, "format-version")) {
            if (str_eqz(properties[i].value, "2"))
                continue;
            return error_set(err, FZ_UNSUPPORTED, "format-version " STR_FMT " isn't supported; tables are made with version 2", STR_ARG(properties[i].value));
        }
        kv[n++] = (ib_kv){properties[i].key, properties[i].value};
    }
    if (comment.n)
        kv[n++] = (ib_kv){STR("comment"), comment};
    ib_catalog *c;
    TRY(lake_catalog(s->lake, true, &c, err));
    if (location.n == 0)
        TRY(c->ops->default_location(c, id, a, &location, err));
    ib_props props = {n, kv};
    return ib_metadata_new(location, &schema, &spec, &order, &props, s->lake->m, out, err);
}

/* ---- rows ---- */

static fz_status run_into(statement *st, const write_target *t, table_writer **w, fz_error *err)
{
    fz_session *s = st->s;
    TRY(statement_open(st, err));
    fz_runtime *rt = s->lake->rt;
    TRY(table_writer_open(t->md, &t->schema, query_job(st->q), rt->temp_dir, &s->m, w, err));
    TRY(query_run(st->q, table_writer_sink(*w), err));
    uint32_t n;
    const ib_data_file *files;
    int64_t rows;
    return table_writer_finish(*w, &n, &files, &rows, err);
}

static bool same_columns(const ib_metadata *a, const ib_metadata *b)
{
    const type_fields *x = ib_current_schema(a)->fields, *y = ib_current_schema(b)->fields;
    const ib_partition_spec *p = ib_spec_by_id(a, a->default_spec_id), *q = ib_spec_by_id(b, b->default_spec_id);
    if (x->n != y->n || p->n != q->n || p->spec_id != q->spec_id)
        return false;
    for (uint32_t i = 0; i < x->n; i++)
        if (!str_eq(x->f[i].name, y->f[i].name) || x->f[i].field_id != y->f[i].field_id || x->f[i].required != y->f[i].required ||
            !type_eq(x->f[i].t, y->f[i].t))
            return false;
    for (uint32_t i = 0; i < p->n; i++)
        if (p->fields[i].source_id != q->fields[i].source_id || !str_eq(p->fields[i].transform.text, q->fields[i].transform.text))
            return false;
    return true;
}

/* The table and its first snapshot in one step. */
static fz_status commit_new(fz_session *s, const write_target *t, const ib_write *w, ib_table **out, fz_error *err)
{
    ib_catalog *c;
    TRY(lake_catalog(s->lake, true, &c, err));
    if (w->n_files == 0)
        return c->ops->create_table(c, t->id, t->md, out, err);
    ib_producer *p;
    ib_metadata *md = NULL;
    uint32_t nr, nu;
    const ib_requirement *r;
    const ib_update *u;
    TRY(ib_producer_new(t->md, w, &p, err));
    fz_status st = ib_producer_prepare(p, t->md, &nr, &r, &nu, &u, err);
    if (!st)
        st = ib_metadata_apply(t->md, NULL, nu, u, s->lake->m, &md, err);
    if (!st)
        st = c->ops->create_table(c, t->id, md, out, err);
    ib_metadata_unref(md);
    ib_producer_finish(p, st);
    return st;
}

static fz_status commit(statement *st, const write_target *t, table_writer *w, bool may_exist, int64_t *rows, fz_error *err)
{
    fz_session *s = st->s;
    uint32_t n;
    const ib_data_file *files;
    TRY(table_writer_finish(w, &n, &files, rows, err));
    if (atomic_load(&s->interrupt))
        return error_set(err, FZ_CANCELLED, "cancelled");
    ib_write iw = {.op = t->replace ? IB_REPLACE : IB_APPEND, .schema_id = t->md->current_schema_id, .n_files = n, .files = files,
                   .schema = t->added, .last_column_id = t->md->last_column_id, .cache = s->lake->rt->manifests, .m = s->lake->m, .j = query_job(st->q)};
    ib_catalog *c;
    TRY(lake_catalog(s->lake, true, &c, err));
    ib_table *after = NULL;
    fz_status r;
    if (t->base) {
        r = ib_write_commit(c, t->id, t->base, &iw, &after, err);
    } else {
        r = commit_new(s, t, &iw, &after, err);
        if (r == FZ_EXISTS && may_exist) {
            ib_table *now;
            TRY(c->ops->load_table(c, t->id, NULL, &now, err));
            iw.schema_id = now->md->current_schema_id;
            if (same_columns(now->md, t->md))
                r = ib_write_commit(c, t->id, now, &iw, &after, err);
            else
                r = error_set(err, FZ_CONFLICT, "the table " STR_FMT "." STR_FMT " was made by another process meanwhile, with other columns",
                              STR_ARG(t->id.ns), STR_ARG(t->id.name));
            ib_table_unref(now);
        }
    }
    if (r == FZ_OK || r == FZ_UNKNOWN)
        table_writer_committed(w); /* after an unknown outcome the files may be the table's */
    if (after) {
        lake_remember(s->lake, after);
        ib_table_unref(after);
    }
    return r;
}

fz_status write_rows(statement *st, write_bind_fn bind, void *ctx, bool may_exist, int64_t *rows, fz_error *err)
{
    ib_catalog *c;
    TRY(lake_catalog(st->s->lake, true, &c, err)); /* a lake that can't be written is refused before any work */
    for (;;) {
        write_target t = {0};
        table_writer *w = NULL;
        fz_status r = bind(st, ctx, &t, err);
        if (!r)
            r = run_into(st, &t, &w, err);
        bool ran = r == FZ_OK;
        if (ran)
            r = commit(st, &t, w, may_exist, rows, err);
        table_writer_close(w); /* before the query: its columns are encoded on the query's job */
        if (!t.base)
            ib_metadata_unref(t.md);
        if (ran || !statement_restart(st, &r, err))
            return r;
    }
}

/* ---- INSERT ---- */

static fz_status bind_insert(statement *st, void *ctx, write_target *t, fz_error *err)
{
    const ast_insert *in = &st->ast->insert;
    TRY(statement_table(st, &in->table, &t->id, &t->base, err));
    if (!t->base)
        return session_no_table(st->s, &in->table, err);
    t->md = t->base->md;
    t->replace = in->overwrite;
    TRY(schema_columns(ib_current_schema(t->md), &st->plan_mem, &t->schema, err));
    sql_bind_options o;
    TRY(statement_bind_options(st, &o, err));
    TRY(sql_bind_insert(in, &t->schema, &o, &st->bound, err));
    st->plan = st->bound.plan;
    return FZ_OK;
}

fz_status run_insert(statement *st, fz_result **out, fz_error *err)
{
    fz_session *s = st->s;
    int64_t rows = 0;
    fz_result *done;
    fz_status r = result_begin(s, "INSERT", &done, err);
    if (!r)
        r = write_rows(st, bind_insert, NULL, false, &rows, err);
    statement_free(st);
    return result_end(done, r, rows, out);
}

/* ---- CREATE TABLE ---- */

static fz_status bind_create_as(statement *st, void *ctx, write_target *t, fz_error *err)
{
    const ast_create_table *ct = &st->ast->create_table;
    t->id = *(ib_ident *)ctx;
    sql_bind_options o;
    TRY(statement_bind_options(st, &o, err));
    TRY(sql_bind_query(ct->query, &o, &st->bound, err));
    st->plan = st->bound.plan;
    const row_schema *from = &st->plan->out;
    if (ct->n_columns && ct->n_columns != from->n)
        return error_sql(err, FZ_INVALID, "42601", "%u column names are given, but the query has %u columns", ct->n_columns, from->n);
    t->schema = (row_schema){from->n, ARENA_ARRAY(&st->plan_mem, column_def, from->n + 1)};
    if (!t->schema.cols)
        return error_nomem(err);
    for (uint32_t i = 0; i < from->n; i++)
        t->schema.cols[i] = (column_def){.name = ct->n_columns ? ct->columns[i].name.name : from->cols[i].name, .t = from->cols[i].t};
    ib_metadata *md;
    TRY(new_table_metadata(st->s, t->id, &t->schema, ct->n_partitions, ct->partitions, ct->n_properties, ct->properties, ct->location,
                           ct->comment, &st->plan_mem, &md, err));
    t->md = md;
    return FZ_OK;
}

static fz_status create_empty(statement *st, ib_ident id, fz_error *err)
{
    const ast_create_table *ct = &st->ast->create_table;
    row_schema cols = {ct->n_columns, ARENA_ARRAY(&st->a, column_def, ct->n_columns + 1)};
    if (!cols.cols)
        return error_nomem(err);
    for (uint32_t i = 0; i < cols.n; i++)
        cols.cols[i] = (column_def){.name = ct->columns[i].name.name, .t = ct->columns[i].t, .not_null = ct->columns[i].not_null,
                                    .doc = ct->columns[i].comment};
    ib_metadata *md;
    TRY(new_table_metadata(st->s, id, &cols, ct->n_partitions, ct->partitions, ct->n_properties, ct->properties, ct->location, ct->comment,
                           &st->a, &md, err));
    ib_catalog *c;
    ib_table *t = NULL;
    fz_status r = lake_catalog(st->s->lake, true, &c, err);
    if (!r)
        r = c->ops->create_table(c, id, md, &t, err);
    ib_metadata_unref(md);
    if (t) {
        lake_remember(st->s->lake, t);
        ib_table_unref(t);
    }
    return r;
}

fz_status run_create_table(statement *st, fz_result **out, fz_error *err)
{
    fz_session *s = st->s;
    const ast_create_table *ct = &st->ast->create_table;
    ib_ident id;
    ib_table *have = NULL;
    int64_t rows = -1;
    fz_result *done;
    fz_status r = result_begin(s, "CREATE TABLE", &done, err);
    if (!r)
        r = session_find_table(s, &ct->table, &st->a, &id, &have, err);
    bool exists = have != NULL;
    ib_table_unref(have);
    if (!r && exists && ct->or_replace) {
        r = error_set(err, FZ_UNSUPPORTED, "CREATE OR REPLACE of a table that exists isn't supported");
        error_hint(err, "INSERT OVERWRITE replaces its rows");
    } else if (!r && exists && !ct->if_not_exists) {
        r = error_sql(err, FZ_EXISTS, "42P07", "the table " STR_FMT "." STR_FMT " exists", STR_ARG(id.ns), STR_ARG(id.name));
        error_line(err, ct->table.parts[0].pos.line, ct->table.parts[0].pos.column);
    } else if (!r && exists) {
        session_notice(s, "the table " STR_FMT "." STR_FMT " exists, nothing was done", STR_ARG(id.ns), STR_ARG(id.name));
    } else if (!r) {
        fz_error e;
        r = session_need_namespace(s, id.ns, false, &e);
        if (!r)
            r = ct->query ? write_rows(st, bind_create_as, &id, false, &rows, &e) : create_empty(st, id, &e);
        if (r == FZ_EXISTS && ct->if_not_exists) { /* another process was faster */
            r = FZ_OK;
            rows = -1;
        }
        if (r && err)
            *err = e;
    }
    statement_free(st);
    return result_end(done, r, rows, out);
}
