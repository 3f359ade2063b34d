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
#include "engine/new_table.h"
#include "engine/table_writer.h"
#include "engine/transaction.h"

#include "iceberg/update/snapshot.h"
#include "iceberg/update/update.h"

/* ---- rows ---- */

static fz_status run_into(statement *st, const write_target *t, table_writer **w, fz_error *err)
{
    fz_session *s = st->s;
    int32_t order_id;
    TRY(sort_rows(t->md, st->plan, &st->plan_mem, &st->plan, &order_id, err));
    TRY(statement_open(st, err));
    fz_runtime *rt = s->lake->rt;
    TRY(table_writer_open(t->md, &t->schema, query_job(st->q), rt->temp_dir, &s->m, w, err));
    table_writer_sorted(*w, order_id);
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
    TRY(lake_catalog(ident_lake(s, t->id), true, &c, err));
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
        st = ib_producer_settle(p, err);
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
    ib_write iw = {.op = t->replace ? IB_REPLACE : IB_APPEND, .branch = t->branch, .schema_id = t->md->current_schema_id, .n_files = n,
                   .files = files, .io = table_writer_io(w), .n_before = t->before.n_updates, .before = t->before.updates,
                   .n_before_requirements = t->before.n_requirements, .before_requirements = t->before.requirements, .cache = s->lake->rt->manifests, .m = s->lake->m, .j = query_job(st->q)};
    if (s->tx)
        return transaction_write(st, t, &iw, w, err);
    ib_catalog *c;
    fz_lake *l = ident_lake(s, t->id);
    TRY(lake_catalog(l, true, &c, err));
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
        lake_remember(l, after);
        ib_table_unref(after);
    }
    return r;
}

fz_status write_rows(statement *st, write_bind_fn bind, void *ctx, bool may_exist, int64_t *rows, fz_error *err)
{
    ib_catalog *c;
    if (st->s->lake->read_only) /* is refused before any work */
        TRY(lake_catalog(st->s->lake, true, &c, err));
    for (;;) {
        write_target t = {0};
        table_writer *w = NULL;
        fz_status r = bind(st, ctx, &t, err);
        if (!r) /* one that can't be written, before any rows */
            r = lake_catalog(ident_lake(st->s, t.id), true, &c, err);
        if (!r)
            r = run_into(st, &t, &w, err);
        bool ran = r == FZ_OK;
        if (ran)
            r = commit(st, &t, w, may_exist, rows, err);
        if (!st->kept)
            table_writer_close(w); /* before the query: its columns are encoded on the query's job */
        if (t.own_md)
            ib_metadata_unref(t.md);
        if (ran || !statement_restart(st, &r, err))
            return r;
    }
}

fz_status branch_check(const ib_metadata *md, str branch, fz_error *err)
{
    const ib_ref *r = ib_ref_by_name(md, branch);
    if (r)
        return r->is_tag ? error_sql(err, FZ_INVALID, "42809", "\"" STR_FMT "\" is a tag: rows can be written to branches alone", STR_ARG(branch)) : FZ_OK;
    if (str_eqz(branch, "main"))
        return FZ_OK;
    error_sql(err, FZ_NOT_FOUND, "42704", "the table has no branch \"" STR_FMT "\"", STR_ARG(branch));
    error_hint(err, "ALTER TABLE … CREATE BRANCH makes it");
    return FZ_NOT_FOUND;
}

/* ---- INSERT ---- */

static fz_status bind_insert(statement *st, void *ctx, write_target *t, fz_error *err)
{
    const ast_insert *in = &st->ast->insert;
    sql_travel at;
    TRY(statement_table_at(st, &in->table, &t->id, &t->base, &at, err));
    if (!t->base)
        return session_no_table(st->s, &in->table, err);
    if (at.kind == TRAVEL_SNAPSHOT || at.kind == TRAVEL_TIME)
        return error_sql(err, FZ_INVALID, "42809", "a snapshot can't be written to, only a branch");
    t->branch = at.ref;
    if (at.kind == TRAVEL_REF)
        TRY(branch_check(t->base->md, at.ref, err));
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

typedef struct create_as { ib_ident id; ib_table *base; } create_as; /* base: the table that is replaced, or NULL */

static fz_status bind_create_as(statement *st, void *ctx, write_target *t, fz_error *err)
{
    const ast_create_table *ct = &st->ast->create_table;
    const create_as *ca = ctx;
    t->id = ca->id;
    t->base = ca->base;
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
    new_table nt = new_table_of(ct);
    if (ct->or_replace && t->base)
        return replaced_table(st->s, t->base, &t->schema, &nt, &st->plan_mem, t, err);
    ib_metadata *md;
    TRY(new_table_metadata(st->s, t->id, &t->schema, &nt, &st->plan_mem, &md, err));
    t->md = md;
    t->own_md = true;
    return FZ_OK;
}

static fz_status columns_of(const ast_create_table *ct, arena *a, row_schema *cols, fz_error *err)
{
    *cols = (row_schema){ct->n_columns, ARENA_ARRAY(a, column_def, ct->n_columns + 1)};
    if (!cols->cols)
        return error_nomem(err);
    for (uint32_t i = 0; i < cols->n; i++)
        cols->cols[i] = (column_def){.name = ct->columns[i].name.name, .t = ct->columns[i].t, .not_null = ct->columns[i].not_null,
                                     .doc = ct->columns[i].comment};
    return FZ_OK;
}

static fz_status create_empty(statement *st, ib_ident id, fz_error *err)
{
    const ast_create_table *ct = &st->ast->create_table;
    row_schema cols;
    ib_metadata *md;
    new_table nt = new_table_of(ct);
    TRY(columns_of(ct, &st->a, &cols, err));
    TRY(new_table_metadata(st->s, id, &cols, &nt, &st->a, &md, err));
    ib_catalog *c;
    ib_table *t = NULL;
    fz_status r = lake_catalog(ident_lake(st->s, id), true, &c, err);
    if (!r && st->s->tx)
        r = transaction_create(st, id, md, err);
    else if (!r)
        r = c->ops->create_table(c, id, md, &t, err);
    ib_metadata_unref(md);
    if (t) {
        lake_remember(ident_lake(st->s, id), t);
        ib_table_unref(t);
    }
    return r;
}

/* CREATE OR REPLACE of a table that exists, without rows. */
static fz_status replace_build(void *ctx, const ib_table *t, ib_change *out, fz_error *err)
{
    statement *st = ctx;
    const ast_create_table *ct = &st->ast->create_table;
    row_schema cols;
    new_table nt = new_table_of(ct);
    TRY(columns_of(ct, out->a, &cols, err));
    return replace_updates(st->s, t->md, &cols, &nt, out, err);
}

static fz_status replace_empty(statement *st, ib_table *base, ib_ident id, fz_error *err)
{
    ib_catalog *c;
    ib_table *after;
    TRY(lake_catalog(ident_lake(st->s, id), true, &c, err));
    if (st->s->tx)
        return transaction_change(st, id, replace_build, err);
    TRY(ib_change_commit(c, id, base, replace_build, st, NULL, st->s->lake->m, &after, err));
    lake_remember(ident_lake(st->s, id), after);
    ib_table_unref(after);
    return FZ_OK;
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
    create_as ca = {id, have};
    if (!r && exists && ct->or_replace) {
        r = ct->query ? write_rows(st, bind_create_as, &ca, false, &rows, err) : replace_empty(st, have, id, err);
    } else if (!r && exists && !ct->if_not_exists) {
        r = error_sql(err, FZ_EXISTS, "42P07", "the table " STR_FMT "." STR_FMT " exists", STR_ARG(id.ns), STR_ARG(id.name));
        error_line(err, ct->table.parts[0].pos.line, ct->table.parts[0].pos.column);
    } else if (!r && exists) {
        session_notice(s, "the table " STR_FMT "." STR_FMT " exists, nothing was done", STR_ARG(id.ns), STR_ARG(id.name));
    } else if (!r) {
        fz_error e;
        r = session_need_namespace(s, id, false, &e);
        if (!r)
            r = ct->query ? write_rows(st, bind_create_as, &ca, false, &rows, &e) : create_empty(st, id, &e);
        if (r == FZ_EXISTS && ct->if_not_exists) { /* another process was faster */
            r = FZ_OK;
            rows = -1;
        }
        if (r && err)
            *err = e;
    }
    ib_table_unref(have);
    statement_free(st);
    return result_end(done, r, rows, out);
}
