/*
 * statement.c: what one statement needs while it runs: names resolved to tables (each table once: all of the statement sees the same
 * state), files opened, parameters, the bound plan and its query.
 */
#include "engine/arrow_table.h"
#include "engine/avro_table.h"
#include "engine/csv_table.h"
#include "engine/engine_int.h"
#include "engine/files.h"
#include "engine/metadata_tables.h"
#include "engine/parquet_table.h"
#include "engine/path_table.h"

#include "arrow/bridge.h"

#define MAX_INPUTS 1024

/* A name that the lake doesn't have: rows of the program that the session belongs to; NULL in *out: it doesn't know it either. */
static fz_status resolve_elsewhere(statement *st, const sql_name *name, const sql_travel *travel, table_source **out, fz_error *err)
{
    fz_session *s = st->s;
    struct ArrowArrayStream in = {0};
    fz_error e;
    *out = NULL;
    if (!s->unknown_table)
        return FZ_OK;
    const char *z = arena_strndup(&st->a, name->parts[0].name.p, name->parts[0].name.n);
    if (!z)
        return error_nomem(err);
    error_set(&e, FZ_INVALID, "the rows of %s can't be had", z); /* where the callee says nothing */
    fz_status f = s->unknown_table(s->unknown_table_ctx, z, &in, &e);
    if (f == FZ_NOT_FOUND)
        return FZ_OK;
    if (f) {
        e.status = f;
        if (err)
            *err = e;
        return f;
    }
    if (travel && travel->kind != TRAVEL_NONE) {
        if (in.release)
            in.release(&in);
        return error_sql(err, FZ_INVALID, "42601", "AS OF is for tables; %s isn't one", z);
    }
    return arrow_table_new(&in, name->parts[0].name, &s->lake->rt->rt->root, out, err);
}

static fz_status resolve_table(sql_resolver *r, const sql_name *name, const sql_travel *travel, arena *a, table_source **out, fz_error *err)
{
    statement *st = (statement *)r;
    ib_ident id;
    ib_table *t;
    sql_travel named;
    TRY(statement_table_at(st, name, &id, &t, &named, err));
    if (!t) {
        sql_name of;
        int kind;
        TRY(metadata_table_split(name, &st->a, &of, &kind, err));
        if (kind >= 0) {
            ib_ident owner;
            TRY(statement_table(st, &of, &owner, &t, err));
        }
        if (t)
            return metadata_table_open(st->s, t, kind, travel, out, err);
    }
    if (!t && name->n == 1) {
        TRY(resolve_elsewhere(st, name, travel, out, err));
        if (*out)
            return FZ_OK;
    }
    if (!t)
        return error_sql(err, FZ_NOT_FOUND, "42P01", "there is no table " STR_FMT "." STR_FMT, STR_ARG(id.ns), STR_ARG(id.name));
    if (named.kind != TRAVEL_NONE && travel && travel->kind != TRAVEL_NONE)
        return error_sql(err, FZ_INVALID, "42601", "the table's name says already which of its states is meant");
    TRY(iceberg_table_open(st->s, t, named.kind != TRAVEL_NONE ? &named : travel, out, err));
    if (st->shares)
        iceberg_table_share(*out, st->share, st->shares);
    return FZ_OK;
}

/* Files of text: those that this place in the statement was given when it was bound first, or new ones. */
static fz_status resolve_text(statement *st, source_format f, uint32_t n, const char *const *paths, const source_options *so, arena *a,
                              sql_sources *out, fz_error *err)
{
    mem *m = &st->s->lake->rt->rt->root;
    uint32_t first = st->next_input;
    if (n > MAX_INPUTS - first)
        return error_set(err, FZ_LIMIT, "a statement reads at most %d files of text", MAX_INPUTS);
    if (!st->inputs && !(st->inputs = ARENA_ARRAY(&st->a, file_input *, MAX_INPUTS)))
        return error_nomem(err);
    while (st->n_inputs < first + n) {
        TRY(source_open(f, paths[st->n_inputs - first], so, so->o, m, &st->inputs[st->n_inputs], err));
        st->n_inputs++;
    }
    st->next_input = first + n;
    TRY(inputs_unify(f, n, st->inputs + first, err));
    if (!(out->at = ARENA_ARRAY(a, table_source *, n)))
        return error_nomem(err);
    for (uint32_t i = 0; i < n; i++) {
        TRY(file_input_table(st->inputs[first + i], m, &out->at[i], err));
        out->n = i + 1;
    }
    return FZ_OK;
}

static fz_status resolve_one(table_source *t, arena *a, sql_sources *out, fz_error *err)
{
    if (!(out->at = ARENA_ARRAY(a, table_source *, 1))) {
        t->ops->release(t);
        return error_nomem(err);
    }
    out->at[0] = t;
    out->n = 1;
    return FZ_OK;
}

static fz_status resolve_any(statement *st, str path, source_format format, const source_options *so, arena *a, sql_sources *out, fz_error *err)
{
    file_io *io = st->s->lake->io;
    mem *m = &st->s->lake->rt->rt->root;
    char *z = arena_strndup(a, path.p, path.n);
    table_source *t = NULL;
    uint32_t n;
    const char **paths;
    if (!z)
        return error_nomem(err);
    if (format == SOURCE_AUTO)
        TRY(source_detect(io, z, &format, err));
    if (format == SOURCE_PARQUET)
        TRY(parquet_table_new(path, io, st->s->lake->rt->footers, m, &t, err));
    if (format == SOURCE_AVRO)
        TRY(avro_table_new(path, io, m, &t, err));
    if (t)
        return resolve_one(t, a, out, err);
    TRY(path_expand(path, io, a, &n, &paths, err));
    return resolve_text(st, format, n, paths, so, a, out, err);
}

static void statement_csv_options(statement *st, csv_options *o)
{
    csv_options_default(o);
    o->log = &st->s->log;
    o->temp_dir = st->s->lake->rt->temp_dir;
    o->io = st->s->lake->io;
}

static fz_status resolve_file(sql_resolver *r, str path, const sql_travel *travel, arena *a, sql_sources *out, fz_error *err)
{
    statement *st = (statement *)r;
    table_source *one = NULL;
    ib_table *t;
    int kind;
    TRY(path_table_load(path, st->s->lake->io, &st->s->lake->rt->rt->root, &st->a, &t, &kind, err));
    if (t) {
        TRY(statement_pin(st, (ib_ident){str_of(t->ns), str_of(t->name)}, &t, err));
        if (kind >= 0)
            TRY(metadata_table_open(st->s, t, kind, travel, &one, err));
        else
            TRY(iceberg_table_open(st->s, t, travel, &one, err));
        return resolve_one(one, a, out, err);
    }
    if (travel->kind != TRAVEL_NONE)
        return error_sql(err, FZ_INVALID, "42601", "AS OF is for tables; this file isn't one");
    csv_options o;
    source_options so;
    statement_csv_options((statement *)r, &o);
    source_options_init(&so, a, &o);
    return resolve_any((statement *)r, path, SOURCE_AUTO, &so, a, out, err);
}

static fz_status resolve_function(sql_resolver *r, str name, uint32_t n, const sql_option *args, arena *a, sql_sources *out, fz_error *err)
{
    statement *st = (statement *)r;
    static const struct { const char *name; source_format f; } functions[] = {
        {"read_csv", SOURCE_CSV}, {"read_json", SOURCE_JSON}, {"read_parquet", SOURCE_PARQUET}, {"read_avro", SOURCE_AVRO},
    };
    source_format format = SOURCE_AUTO;
    for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++)
        if (str_eqz(name, functions[i].name))
            format = functions[i].f;
    if (format == SOURCE_AUTO)
        return error_sql(err, FZ_NOT_FOUND, "42883", "there is no table function \"" STR_FMT "\"", STR_ARG(name));
    if (n == 0 || args[0].name.n || args[0].value.null || args[0].value.t.id != T_STRING)
        return error_set(err, FZ_INVALID, STR_FMT " takes a path as its first argument", STR_ARG(name));
    csv_options o;
    statement_csv_options(st, &o);
    source_options so;
    source_options_init(&so, a, &o);
    for (uint32_t i = 1; i < n; i++) {
        sbuf text;
        sbuf_init(&text, NULL);
        datum_text(&args[i].value, &text);
        char *value = arena_strndup(a, text.p ? text.p : "", text.n), *key = arena_strndup(a, args[i].name.p, args[i].name.n);
        sbuf_free(&text);
        if (!value || !key)
            return error_nomem(err);
        for (char *c = key; *c; c++)
            if (*c == '_')
                *c = '-';
        bool known = false;
        if (format == SOURCE_CSV || format == SOURCE_JSON)
            TRY(source_options_set(&so, key, value, &known, err));
        if (!known)
            return error_set(err, FZ_INVALID, STR_FMT " has no option \"" STR_FMT "\"", STR_ARG(name), STR_ARG(args[i].name));
    }
    return resolve_any(st, args[0].value.s, format, &so, a, out, err);
}

static void resolve_table_names(sql_resolver *r, const sql_name *missing, void (*each)(void *ctx, str name), void *ctx)
{
    statement *st = (statement *)r;
    arena a;
    arena_init(&a, &st->s->m);
    ib_catalog *c;
    if (lake_catalog(st->s->at, false, &c, NULL) == FZ_OK && c) {
        uint32_t nn = 0;
        str *ns = NULL;
        c->ops->list_namespaces(c, (str){0}, &a, &nn, &ns, NULL);
        for (uint32_t i = 0; i < nn; i++) {
            uint32_t nt = 0;
            ib_ident *t = NULL;
            c->ops->list_tables(c, ns[i], &a, &nt, &t, NULL);
            for (uint32_t k = 0; k < nt; k++) {
                if (missing->n == 1) {
                    each(ctx, t[k].name);
                    continue;
                }
                sbuf b;
                sbuf_init(&b, &st->s->m);
                sbuf_str(&b, t[k].ns);
                sbuf_addc(&b, '.');
                sbuf_str(&b, t[k].name);
                char *z = b.failed ? NULL : arena_strndup(&a, b.p, b.n);
                if (z)
                    each(ctx, (str){z, b.n});
                sbuf_free(&b);
            }
        }
    }
    arena_free(&a);
}

static void resolve_function_names(sql_resolver *r, void (*each)(void *ctx, str name), void *ctx)
{
    each(ctx, STR("read_csv"));
    each(ctx, STR("read_json"));
    each(ctx, STR("read_parquet"));
    each(ctx, STR("read_avro"));
}

static void resolve_notice(sql_resolver *r, const char *text)
{
    session_notice(((statement *)r)->s, "%s", text);
}

static const sql_resolver_ops statement_resolver_ops = {
    .table = resolve_table, .file = resolve_file, .function = resolve_function, .table_names = resolve_table_names,
    .function_names = resolve_function_names, .notice = resolve_notice,
};

/* ---- life ---- */

fz_status statement_new(fz_session *s, statement **out, fz_error *err)
{
    statement *st = mem_zalloc(&s->m, sizeof *st);
    if (!st)
        return error_nomem(err);
    st->resolver.ops = &statement_resolver_ops;
    st->s = s;
    arena_init(&st->a, &s->m);
    arena_init(&st->plan_mem, &s->m);
    *out = st;
    return FZ_OK;
}

void statement_idle(statement *st)
{
    if (st->q)
        session_idle(st->s, &query_job(st->q)->prog);
}

void statement_unbind(statement *st)
{
    statement_idle(st);
    query_close(st->q);
    st->q = NULL;
    sql_bound_release(&st->bound);
    st->bound = (sql_bound){0};
    st->plan = NULL;
    st->next_input = 0;
    arena_reset(&st->plan_mem);
}

void statement_free(statement *st)
{
    if (!st)
        return;
    if (st->kept) {
        statement_idle(st);
        query_close(st->q);
        st->q = NULL;
        return;
    }
    statement_unbind(st);
    for (uint32_t i = 0; i < st->n_inputs; i++)
        file_input_close(st->inputs[i]);
    file_io_unref(st->sources);
    for (uint32_t i = 0; i < st->n_pinned; i++)
        ib_table_unref(st->pinned[i].t);
    arena_free(&st->plan_mem);
    arena_free(&st->a);
    mem_free(&st->s->m, st, sizeof *st);
}

fz_status statement_pin(statement *st, ib_ident id, ib_table **t, fz_error *err)
{
    ib_table *found = *t;
    *t = NULL;
    for (uint32_t i = 0; i < st->n_pinned; i++)
        if (st->pinned[i].id.home == id.home && str_eq(st->pinned[i].id.ns, id.ns) && str_eq(st->pinned[i].id.name, id.name)) {
            ib_table_unref(found);
            *t = st->pinned[i].t;
            return FZ_OK;
        }
    struct pinned *p = ARENA_ARRAY(&st->a, struct pinned, st->n_pinned + 1);
    if (!p) {
        ib_table_unref(found);
        return error_nomem(err);
    }
    if (st->n_pinned)
        memcpy(p, st->pinned, sizeof *p * st->n_pinned);
    p[st->n_pinned++] = (struct pinned){id, found};
    st->pinned = p;
    *t = found;
    return FZ_OK;
}

fz_status statement_table(statement *st, const sql_name *name, ib_ident *id, ib_table **t, fz_error *err)
{
    *t = NULL;
    TRY(session_find_table(st->s, name, &st->a, id, t, err));
    return *t ? statement_pin(st, *id, t, err) : FZ_OK;
}

/* What follows a prefix; {NULL, 0}: another beginning. */
static str after_prefix(str s, const char *prefix)
{
    size_t n = strlen(prefix);
    return s.n > n && str_ieq((str){s.p, n}, str_of(prefix)) ? (str){s.p + n, s.n - n} : (str){0};
}

static bool travel_of(str part, sql_travel *out)
{
    str x = after_prefix(part, "branch_");
    if (!x.p)
        x = after_prefix(part, "tag_");
    *out = (sql_travel){.kind = TRAVEL_REF, .ref = x};
    if (x.p)
        return true;
    out->kind = TRAVEL_SNAPSHOT;
    x = after_prefix(part, "snapshot_id_");
    if (x.p && str_to_i64(x, &out->snapshot_id))
        return true;
    out->kind = TRAVEL_TIME;
    x = after_prefix(part, "at_timestamp_");
    if (x.p && str_to_i64(x, &out->time_us) && !__builtin_mul_overflow(out->time_us, 1000, &out->time_us))
        return true;
    out->kind = TRAVEL_NONE;
    return false;
}

fz_status statement_table_at(statement *st, const sql_name *name, ib_ident *id, ib_table **t, sql_travel *travel, fz_error *err)
{
    *travel = (sql_travel){0};
    TRY(statement_table(st, name, id, t, err));
    if (*t || name->n < 2 || !travel_of(name->parts[name->n - 1].name, travel))
        return FZ_OK;
    sql_name shorter = {name->n - 1, name->parts};
    ib_ident whole = *id;
    TRY(statement_table(st, &shorter, id, t, err));
    if (*t)
        return FZ_OK;
    *id = whole;
    *travel = (sql_travel){0};
    return FZ_OK;
}

/* ---- parameters ---- */

fz_status statement_params(statement *st, const fz_params *params, fz_error *err)
{
    if (!params)
        return FZ_OK;
    if (!params->schema || !params->row || !params->schema->release || !params->row->release) {
        if (params->schema && params->schema->release)
            params->schema->release(params->schema);
        if (params->row && params->row->release)
            params->row->release(params->row);
        return error_set(err, FZ_INVALID, "parameters need a schema and a row");
    }
    row_schema schema;
    batch b;
    batch_init(&b, &st->s->m);
    fz_status s = bridge_import_schema(params->schema, &st->a, &schema, err);
    if (!s)
        s = bridge_import_rows(params->schema, &schema, params->row, &b, err);
    else if (params->row->release)
        params->row->release(params->row);
    if (params->schema->release)
        params->schema->release(params->schema);
    if (!s && b.nrows != 1)
        s = error_set(err, FZ_INVALID, "parameters are one row; there are %u", b.nrows);
    if (!s && !(st->params = ARENA_ARRAY(&st->a, datum, schema.n + 1)))
        s = error_nomem(err);
    for (uint32_t i = 0; i < schema.n && !s; i++) {
        datum d = vec_datum(&b.cols[i], 0);
        if (!d.null && type_phys(d.t) == PHYS_STR && !(d.s.p = arena_strndup(&st->a, d.s.p, d.s.n)))
            s = error_nomem(err);
        if (!d.null && type_is_nested(d.t)) {
            vec *own = ARENA_NEW(&st->a, vec);
            s = own ? vec_const(own, &d, 1, &st->a, err) : error_nomem(err);
            d.nested.v = own;
            d.nested.row = 0;
        }
        st->params[st->n_params++] = d;
    }
    batch_free(&b);
    return s;
}

fz_status statement_bind_options(statement *st, sql_bind_options *out, fz_error *err)
{
    type *types = ARENA_ARRAY(&st->plan_mem, type, st->n_params + 1);
    if (!types)
        return error_nomem(err);
    for (uint32_t i = 0; i < st->n_params; i++)
        types[i] = st->params[i].t; /* a NULL too: a typed one keeps its type */
    *out = (sql_bind_options){.resolver = &st->resolver, .a = &st->plan_mem, .n_params = st->n_params, .param_types = types,
                              .moment = st->moment};
    return FZ_OK;
}

static fz_status cast_param(statement *st, const datum *in, type to, datum *out, fz_error *err)
{
    if (in->null || to.id == T_NULL || type_eq(in->t, to)) {
        *out = *in;
        if (in->null)
            out->t = to;
        return FZ_OK;
    }
    expr c = {.kind = EX_CONST, .t = in->t, .value = *in};
    const expr *arg = &c;
    expr cast = {.kind = EX_CAST, .t = to, .n = 1, .args = &arg};
    if (!cast_exists(in->t, to))
        return error_sql(err, FZ_INVALID, "42804", "a parameter has a type that can't be converted to what the statement needs");
    return expr_fold(&cast, &st->plan_mem, out, err);
}

fz_status statement_open(statement *st, fz_error *err)
{
    uint32_t need = st->bound.n_params;
    if (need > st->n_params)
        return error_sql(err, FZ_INVALID, "08P01", "the statement has %u parameter%s, but %u %s given", need, need == 1 ? "" : "s",
                         st->n_params, st->n_params == 1 ? "was" : "were");
    datum *values = ARENA_ARRAY(&st->plan_mem, datum, need + 1);
    if (!values)
        return error_nomem(err);
    for (uint32_t i = 0; i < need; i++)
        TRY(cast_param(st, &st->params[i], st->bound.param_types[i], &values[i], err));
    fz_runtime *rt = st->s->lake->rt;
    exec_options o = {.p = rt->rt->p, .m = &st->s->m, .temp_dir = rt->temp_dir, .params = values, .n_params = need,
                      .interrupt = &st->s->interrupt};
    TRY(query_open(st->plan, &o, &st->q, err));
    session_running(st->s, &query_job(st->q)->prog);
    return FZ_OK;
}

bool statement_restart(statement *st, fz_status *why, fz_error *err)
{
    bool any = false;
    if (*why == FZ_CANCELLED || *why == FZ_NOMEM)
        return false;
    for (uint32_t i = 0; i < st->n_inputs; i++)
        any |= st->inputs[i]->ops->widened(st->inputs[i]);
    if (!any)
        return false;
    statement_unbind(st);
    for (uint32_t i = 0; i < st->n_inputs; i++) {
        file_input *in = st->inputs[i];
        if (!in->started)
            continue;
        fz_status s = in->ops->restart(in, err);
        if (s) {
            *why = s;
            return false;
        }
        in->started = false;
    }
    return true;
}

void statement_keep_types(statement *st)
{
    for (uint32_t i = 0; i < st->n_inputs; i++)
        st->inputs[i]->ops->keep_types(st->inputs[i]);
}
