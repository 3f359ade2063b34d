/*
 * prepare.c: what a statement would give and take, without running it; and queries in shares, that several processes run.
 *
 * A PARTITION is a JSON text:
 *
 *   {"frazil-partition":1, "namespace":"default", "sql":"SELECT …", "moment":1795384800000000, "share":2, "of":8,
 *    "tables":[{"namespace":"default", "name":"t", "uuid":"…", "snapshot":17, "schema":0}, …]}
 *
 * Whoever runs it takes each table's newest metadata and, in memory, puts it back to that snapshot and schema; a table that was made anew
 * or whose snapshot has expired is refused. A query that is one table's scan with filters and computed columns is split: every process
 * plans the same scan (same snapshot, same filter, immutable files), whose morsels are numbered alike, and takes those whose number
 * divided by `of` leaves `share`. Any other query is one partition.
 */
#include "engine/engine_int.h"
#include "engine/file_scan.h"

#include "arrow/bridge.h"
#include "codec/json.h"

#include <stdio.h>

#define MAX_PARTITIONS 4096
#define ROWS_PER_SHARE (2 * FILE_SCAN_MORSEL) /* fewer aren't worth a process */

/* ---- describing ---- */

static fz_status parse_one(fz_session *s, const char *sql, statement **out, fz_error *err)
{
    statement *st;
    TRY(statement_new(s, &st, err));
    sql_script script;
    sql_script_init(&script, str_of(sql));
    fz_status r = sql_parse_next(&script, &st->a, &st->ast, err);
    if (!r && !st->ast)
        r = error_sql(err, FZ_INVALID, "42601", "the text holds no statement");
    if (r)
        statement_free(st);
    else
        *out = st;
    return r;
}

static fz_status params_schema(statement *st, uint32_t n, const type *types, struct ArrowSchema *out, fz_error *err)
{
    row_schema s = {n, ARENA_ARRAY(&st->a, column_def, n + 1)};
    if (!s.cols)
        return error_nomem(err);
    for (uint32_t i = 0; i < n; i++) {
        char *name = arena_alloc(&st->a, 12);
        if (!name)
            return error_nomem(err);
        int len = snprintf(name, 12, "%u", i + 1);
        s.cols[i] = (column_def){.name = {name, (size_t)len}, .t = types ? types[i] : TYPE(T_NULL)};
    }
    return bridge_export_schema(&s, out, err);
}

static bool is_bound(const ast_stmt *x)
{
    return x->kind == ST_QUERY || x->kind == ST_INSERT || (x->kind == ST_CREATE_TABLE && x->create_table.query);
}

static bool shows_rows(const ast_stmt *x)
{
    return x->kind == ST_SHOW_TABLES || x->kind == ST_SHOW_SCHEMAS || x->kind == ST_SHOW_CREATE_TABLE || x->kind == ST_DESCRIBE ||
           x->kind == ST_EXPLAIN || x->kind == ST_SHOW;
}

/* Takes st. The columns of a statement that only shows something, which is as quick as saying what it would show. */
static fz_status shown_columns(statement *st, struct ArrowSchema *columns, fz_error *err)
{
    fz_result *r;
    fz_status s;
    switch (st->ast->kind) {
    case ST_EXPLAIN: s = run_explain(st, &r, err); break;
    case ST_SHOW: s = run_setting(st, &r, err); break;
    default: s = run_show(st, &r, err);
    }
    if (!s) {
        s = fz_result_schema(r, columns, err);
        fz_result_release(r);
    }
    return s;
}

/* Parameters whose types are known, without values. */
static fz_status give_types(statement *st, const struct ArrowSchema *given, fz_error *err)
{
    row_schema s;
    TRY(bridge_import_schema(given, &st->a, &s, err));
    if (!(st->params = ARENA_ARRAY(&st->a, datum, s.n + 1)))
        return error_nomem(err);
    for (uint32_t i = 0; i < s.n; i++)
        st->params[st->n_params++] = DATUM_NULL(s.cols[i].t);
    return FZ_OK;
}

fz_status fz_describe(fz_session *s, const char *sql, const struct ArrowSchema *given, struct ArrowSchema *columns,
                      struct ArrowSchema *params, fz_error *err)
{
    statement *st;
    struct ArrowSchema cols = {0};
    session_begin(s);
    TRY(parse_one(s, sql, &st, err));
    fz_status r = given ? give_types(st, given, err) : FZ_OK;
    if (!r && is_bound(st->ast))
        r = statement_bind(st, st->ast, err);
    row_schema none = {0};
    bool query = st->ast->kind == ST_QUERY;
    if (!r && params)
        r = params_schema(st, is_bound(st->ast) ? st->bound.n_params : st->ast->n_params, st->bound.param_types, params, err);
    if (!r && columns && shows_rows(st->ast)) {
        r = shown_columns(st, &cols, err); /* takes st */
        st = NULL;
    } else if (!r && columns) {
        r = bridge_export_schema(query ? &st->bound.plan->out : &none, &cols, err);
    }
    statement_free(st);
    if (r && params && params->release)
        params->release(params);
    if (!r && columns)
        *columns = cols;
    return r;
}

/* ---- making partitions ---- */

/* The table that is scanned, if the query is nothing but a scan. */
static const plan *only_scan(const plan *p)
{
    while (p->n == 1 && (p->kind == PLAN_FILTER || p->kind == PLAN_PROJECT))
        p = p->in[0];
    return p->kind == PLAN_SCAN && p->scan.limit < 0 && iceberg_table_is_main(p->scan.table) ? p : NULL;
}

static uint32_t count_shares(const plan *p, uint32_t at_most)
{
    const plan *scan = only_scan(p);
    int64_t rows = scan ? scan->scan.table->ops->estimate(scan->scan.table) : 0;
    int64_t n = rows / ROWS_PER_SHARE;
    return n < 1 ? 1 : n > at_most ? at_most : (uint32_t)n;
}

static void write_partition(const statement *st, str sql, uint32_t share, uint32_t of, sbuf *b)
{
    json_writer w = json_writer_on(b);
    jw_begin(&w, '{');
    jw_key(&w, "frazil-partition");
    jw_i64(&w, 1);
    jw_key(&w, "namespace");
    jw_str(&w, str_of(st->s->ns));
    jw_key(&w, "sql");
    jw_str(&w, sql);
    jw_key(&w, "moment");
    jw_i64(&w, st->moment);
    jw_key(&w, "share");
    jw_i64(&w, share);
    jw_key(&w, "of");
    jw_i64(&w, of);
    jw_key(&w, "tables");
    jw_begin(&w, '[');
    for (uint32_t i = 0; i < st->n_pinned; i++) {
        const struct pinned *p = &st->pinned[i];
        jw_begin(&w, '{');
        jw_key(&w, "namespace");
        jw_str(&w, p->id.ns);
        jw_key(&w, "name");
        jw_str(&w, p->id.name);
        jw_key(&w, "uuid");
        jw_str(&w, p->t->md->table_uuid);
        jw_key(&w, "snapshot");
        jw_i64(&w, p->t->md->current_snapshot_id);
        jw_key(&w, "schema");
        jw_i64(&w, p->t->md->current_schema_id);
        jw_end(&w, '}');
    }
    jw_end(&w, ']');
    jw_end(&w, '}');
}

/* A table by its path has no name that others find it by. */
static fz_status check_pinned(fz_session *s, const struct pinned *p, fz_error *err)
{
    ib_table *t;
    if (p->id.home == s->lake && s->at == s->lake && lake_table(s->lake, p->id, &t, NULL) == FZ_OK) {
        bool same = str_eq(t->md->table_uuid, p->t->md->table_uuid);
        ib_table_unref(t);
        if (same)
            return FZ_OK;
    }
    return error_sql(err, FZ_UNSUPPORTED, "0A000", "partitions of a query on a table that isn't in the lake's own catalog aren't supported");
}

fz_status fz_partition(fz_session *s, const char *sql, uint32_t at_most, fz_write_fn each, void *ctx, struct ArrowSchema *columns,
                       fz_error *err)
{
    statement *st;
    sbuf b;
    session_begin(s);
    if (at_most < 1 || at_most > MAX_PARTITIONS)
        return error_set(err, FZ_INVALID, "a query can be split into 1 to %d partitions, not %u", MAX_PARTITIONS, at_most);
    TRY(parse_one(s, sql, &st, err));
    fz_status r = FZ_OK;
    sbuf_init(&b, &s->m);
    if (st->ast->kind != ST_QUERY) {
        r = error_sql(err, FZ_UNSUPPORTED, "0A000", "partitions of %s aren't supported, only of queries", st->ast->what);
        goto out;
    }
    st->moment = now_ms() * 1000;
    r = statement_bind(st, st->ast, err);
    for (uint32_t i = 0; i < st->n_pinned && !r; i++)
        r = check_pinned(s, &st->pinned[i], err);
    if (!r && st->bound.n_params)
        r = error_sql(err, FZ_UNSUPPORTED, "0A000", "partitions of a statement with parameters aren't supported");
    if (!r && fz_session_transaction(s))
        r = error_sql(err, FZ_UNSUPPORTED, "0A000", "partitions within a transaction aren't supported: other processes can't see it");
    if (r)
        goto out;
    uint32_t n = count_shares(st->bound.plan, at_most);
    str text = {sql + st->ast->offset, st->ast->length};
    for (uint32_t i = 0; i < n && !r; i++) {
        sbuf_clear(&b);
        write_partition(st, text, i, n, &b);
        if (b.failed)
            r = error_nomem(err);
        else if (each(ctx, b.p, b.n))
            r = error_set(err, FZ_CANCELLED, "cancelled");
    }
    if (!r && columns)
        r = bridge_export_schema(&st->bound.plan->out, columns, err);
out:
    sbuf_free(&b);
    statement_free(st);
    return r;
}

/* ---- running one ---- */

static fz_status text_of(const json_doc *d, const json_node *o, const char *name, arena *a, str *out, fz_error *err)
{
    const json_node *n;
    TRY(json_need(d, o, name, "a partition", &n, err));
    return json_str(d, n, a, out, err);
}

static fz_status number_of(const json_doc *d, const json_node *o, const char *name, int64_t *out, fz_error *err)
{
    const json_node *n;
    TRY(json_need(d, o, name, "a partition", &n, err));
    return json_i64(d, n, out, err);
}

/* The table as it was: its newest metadata, put back in memory. */
static fz_status pin_as_it_was(statement *st, const json_doc *d, const json_node *o, fz_error *err)
{
    fz_session *s = st->s;
    ib_ident id = {.home = s->lake};
    str uuid;
    int64_t snapshot, schema;
    TRY(json_want(d, o, JSON_OBJECT, "a table of a partition", err));
    TRY(text_of(d, o, "namespace", &st->a, &id.ns, err));
    TRY(text_of(d, o, "name", &st->a, &id.name, err));
    TRY(text_of(d, o, "uuid", &st->a, &uuid, err));
    TRY(number_of(d, o, "snapshot", &snapshot, err));
    TRY(number_of(d, o, "schema", &schema, err));
    ib_table *now;
    TRY(lake_table(s->lake, id, &now, err));
    fz_status r = FZ_OK;
    ib_metadata *md = NULL;
    bool gone = !str_ieq(now->md->table_uuid, uuid) || (snapshot >= 0 && !ib_snapshot_by_id(now->md, snapshot)) ||
                schema < 0 || schema > INT32_MAX || !ib_schema_by_id(now->md, (int32_t)schema);
    if (gone)
        r = error_sql(err, FZ_CONFLICT, "40001", "the table " STR_FMT "." STR_FMT " is no longer the one that was partitioned, or its snapshot has expired",
                      STR_ARG(id.ns), STR_ARG(id.name));
    ib_ref main = {.name = STR("main"), .snapshot_id = snapshot, .min_snapshots_to_keep = -1, .max_snapshot_age_ms = -1, .max_ref_age_ms = -1};
    ib_update u[] = {{.kind = IB_SET_CURRENT_SCHEMA, .id = schema},
                     snapshot >= 0 ? (ib_update){.kind = IB_SET_SNAPSHOT_REF, .ref = main}
                                   : (ib_update){.kind = IB_REMOVE_SNAPSHOT_REF, .ref = {.name = STR("main")}}};
    bool same = !gone && now->md->current_snapshot_id == snapshot && now->md->current_schema_id == schema;
    if (!r && !same)
        r = ib_metadata_apply(now->md, now->metadata_location, 2, u, s->lake->m, &md, err);
    ib_table *then = r ? NULL : same ? ib_table_ref(now) : ib_table_new(s->lake->m, id, now->metadata_location, md);
    ib_table_unref(now);
    if (r)
        return r;
    return then ? statement_pin(st, id, &then, err) : error_nomem(err);
}

static fz_status read_partition(statement *st, const json_doc *d, char **sql, str *namespace, fz_error *err)
{
    const json_node *root = json_root(d), *tables;
    int64_t version, share, of;
    str text, ns;
    TRY(json_want(d, root, JSON_OBJECT, "a partition", err));
    TRY(number_of(d, root, "frazil-partition", &version, err));
    if (version != 1)
        return error_set(err, FZ_UNSUPPORTED, "partitions of version %lld aren't supported", (long long)version);
    TRY(text_of(d, root, "sql", &st->a, &text, err));
    TRY(text_of(d, root, "namespace", &st->a, &ns, err));
    TRY(number_of(d, root, "moment", &st->moment, err));
    TRY(number_of(d, root, "share", &share, err));
    TRY(number_of(d, root, "of", &of, err));
    if (of < 1 || of > MAX_PARTITIONS || share < 0 || share >= of)
        return error_set(err, FZ_DATA, "a partition can't be share %lld of %lld", (long long)share, (long long)of);
    st->share = (uint32_t)share;
    st->shares = (uint32_t)of;
    *namespace = ns;
    TRY(json_need(d, root, "tables", "a partition", &tables, err));
    TRY(json_want(d, tables, JSON_ARRAY, "the tables of a partition", err));
    const json_node *t = tables + 1;
    for (uint32_t i = 0; i < tables->n; i++, t = json_next(t))
        TRY(pin_as_it_was(st, d, t, err));
    *sql = arena_strndup(&st->a, text.p, text.n);
    return *sql ? FZ_OK : error_nomem(err);
}

fz_status fz_execute_partition(fz_session *s, const char *partition, size_t size, fz_result **out, fz_error *err)
{
    statement *st;
    json_doc d = {0};
    char *sql = NULL, *own = s->ns;
    fz_lake *at = s->at;
    str ns = {0};
    session_begin(s);
    *out = NULL;
    TRY(statement_new(s, &st, err));
    fz_status r = json_parse(&d, partition, size, "a partition", &s->m, err);
    if (!r)
        r = read_partition(st, &d, &sql, &ns, err);
    json_free(&d);
    if (!r) {
        sql_script script;
        sql_script_init(&script, str_of(sql));
        r = sql_parse_next(&script, &st->a, &st->ast, err);
    }
    if (!r && (!st->ast || st->ast->kind != ST_QUERY))
        r = error_set(err, FZ_DATA, "a partition is of a query");
    char *there = r ? NULL : arena_strndup(&st->a, ns.p, ns.n);
    if (!r && !there)
        r = error_nomem(err);
    if (!r) {
        s->ns = there;
        s->at = s->lake;
        r = statement_bind(st, st->ast, err);
    }
    if (!r && st->shares > 1 && !only_scan(st->bound.plan))
        r = error_set(err, FZ_DATA, "the partition's query can't be split");
    if (r) {
        statement_free(st);
    } else {
        statement_unbind(st);
        r = result_of_query(st, "SELECT", out, err);
    }
    s->ns = own;
    s->at = at;
    return r;
}
