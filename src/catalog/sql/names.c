/*
 * names.c: namespaces and tables of a catalog in SQL by name, everything but metadata.
 *
 * A namespace exists as PyIceberg sees it: by a row of properties, or because a table or another
 * namespace lies below it. One without properties has the row exists = true, which isn't shown. Where a
 * listing has rows nothing more is asked; only an empty one needs to know whether the namespace is there.
 */
#include "catalog/sql/sql_catalog.h"
#include "catalog/stage.h"
#include "iceberg/update/layout.h"
#include "io/io.h"

#include <stdlib.h>

fz_status sql_no_table(ib_ident id, fz_error *err)
{
    return error_sql(err, FZ_NOT_FOUND, "42P01", "table " STR_FMT "." STR_FMT " doesn't exist", STR_ARG(id.ns),
                     STR_ARG(id.name));
}

fz_status sql_no_namespace(str ns, fz_error *err)
{
    return error_sql(err, FZ_NOT_FOUND, "3F000", "namespace " STR_FMT " doesn't exist", STR_ARG(ns));
}

fz_status sql_writable(sql_catalog *c, fz_error *err)
{
    if (!c->read_only)
        return FZ_OK;
    error_sql(err, FZ_IO, "25006", "the lake can only be read");
    error_where(err, c->place);
    return FZ_IO;
}

static fz_status any_row(void *ctx, uint32_t n, const str *columns, fz_error *err)
{
    *(bool *)ctx = true;
    return FZ_OK;
}

fz_status sql_any(sql_catalog *c, sql_tx *tx, sql_stmt id, uint32_t n, const str *args, bool *out, fz_error *err)
{
    *out = false;
    return c->db->query(c, tx, id, n, args, any_row, out, err);
}

fz_status sql_ns_exists(sql_catalog *c, sql_tx *tx, str ns, bool *out, fz_error *err)
{
    return sql_any(c, tx, SQL_NS_EXISTS, SQL_ARGS(str_of(c->name), ns), out, err);
}

fz_status sql_namespace_exists(ib_catalog *b, str ns, bool *out, fz_error *err)
{
    return sql_ns_exists(sql_of(b), NULL, ns, out, err);
}

static fz_status ns_required(sql_catalog *c, sql_tx *tx, str ns, fz_error *err)
{
    bool there;
    TRY(sql_ns_exists(c, tx, ns, &there, err));
    return there ? FZ_OK : sql_no_namespace(ns, err);
}

/* ---- listing ---- */

typedef struct names { arena *a; str parent; str *p; uint32_t n, cap; } names;

static fz_status names_add(names *l, str s, fz_error *err)
{
    if (l->n == l->cap) {
        uint32_t cap = l->cap ? l->cap * 2 : 16;
        str *p = ARENA_ARRAY(l->a, str, cap);
        if (!p)
            return error_nomem(err);
        if (l->n)
            memcpy(p, l->p, l->n * sizeof *p);
        l->p = p;
        l->cap = cap;
    }
    str copy = {arena_strndup(l->a, s.p, s.n), s.n};
    if (!copy.p)
        return error_nomem(err);
    l->p[l->n++] = copy;
    return FZ_OK;
}

static fz_status row_add(void *ctx, uint32_t n, const str *columns, fz_error *err)
{
    for (uint32_t i = 0; i < n; i++)
        TRY(names_add(ctx, columns[i], err));
    return FZ_OK;
}

static int str_order(const void *a, const void *b) { return str_cmp(*(const str *)a, *(const str *)b); }

static bool is_below(str ns, str parent)
{
    return !parent.n || (ns.n > parent.n && ns.p[parent.n] == '.' && memcmp(ns.p, parent.p, parent.n) == 0);
}

/* Every level of the namespace that lies below the parent. */
static fz_status levels_add(void *ctx, uint32_t n, const str *columns, fz_error *err)
{
    names *l = ctx;
    str ns = columns[0];
    for (size_t i = 1; i <= ns.n; i++) {
        str level = {ns.p, i};
        if ((i == ns.n || ns.p[i] == '.') && is_below(level, l->parent))
            TRY(names_add(l, level, err));
    }
    return FZ_OK;
}

fz_status sql_list_namespaces(ib_catalog *b, str parent, arena *a, uint32_t *n, str **out, fz_error *err)
{
    sql_catalog *c = sql_of(b);
    names l = {.a = a, .parent = parent};
    TRY(c->db->query(c, NULL, SQL_NS_LIST, SQL_ARGS(str_of(c->name)), levels_add, &l, err));
    if (!l.n && parent.n)
        TRY(ns_required(c, NULL, parent, err));
    if (l.n)
        qsort(l.p, l.n, sizeof *l.p, str_order);
    *n = 0;
    for (uint32_t i = 0; i < l.n; i++)
        if (i == 0 || !str_eq(l.p[i], l.p[i - 1]))
            l.p[(*n)++] = l.p[i];
    *out = l.p;
    return FZ_OK;
}

fz_status sql_list_tables(ib_catalog *b, str ns, arena *a, uint32_t *n, ib_ident **out, fz_error *err)
{
    sql_catalog *c = sql_of(b);
    names l = {.a = a};
    TRY(c->db->query(c, NULL, SQL_TABLES, SQL_ARGS(str_of(c->name), ns), row_add, &l, err));
    if (!l.n)
        TRY(ns_required(c, NULL, ns, err));
    ib_ident *ids = ARENA_ARRAY(a, ib_ident, l.n);
    str own = {arena_strndup(a, ns.p, ns.n), ns.n};
    if (!ids || !own.p)
        return error_nomem(err);
    for (uint32_t i = 0; i < l.n; i++)
        ids[i] = (ib_ident){.ns = own, .name = l.p[i]};
    *n = l.n;
    *out = ids;
    return FZ_OK;
}

static fz_status ns_props(sql_catalog *c, sql_tx *tx, str ns, arena *a, ib_props *out, fz_error *err)
{
    names l = {.a = a};
    TRY(c->db->query(c, tx, SQL_NS_PROPS, SQL_ARGS(str_of(c->name), ns), row_add, &l, err));
    if (!l.n)
        TRY(ns_required(c, tx, ns, err));
    ib_kv *kv = ARENA_ARRAY(a, ib_kv, l.n / 2);
    if (!kv)
        return error_nomem(err);
    uint32_t k = 0;
    for (uint32_t i = 0; i < l.n; i += 2)
        if (!str_eqz(l.p[i], "exists"))
            kv[k++] = (ib_kv){.key = l.p[i], .value = l.p[i + 1]};
    *out = (ib_props){.n = k, .kv = kv};
    return FZ_OK;
}

fz_status sql_namespace_props(ib_catalog *b, str ns, arena *a, ib_props *out, fz_error *err)
{
    return ns_props(sql_of(b), NULL, ns, a, out, err);
}

/* ---- changing ---- */

/* A change of names whose transaction's end got lost: nothing has to be tidied up, so it is only said. */
static fz_status change(sql_catalog *c, fz_status (*body)(sql_catalog *c, sql_tx *tx, void *ctx, fz_error *err), void *ctx,
                        fz_error *err)
{
    bool unknown;
    fz_error why = {0};
    fz_status st = c->db->transaction(c, body, ctx, &unknown, &why);
    if (unknown) {
        error_set(err, FZ_UNKNOWN, "whether the change happened isn't known: %.800s", why.message);
        error_where(err, c->place);
        return FZ_UNKNOWN;
    }
    if (st != FZ_OK && err)
        *err = why;
    return st;
}

typedef struct ns_job { str ns; const ib_props *props; } ns_job;

static fz_status ns_there(str ns, fz_error *err)
{
    return error_sql(err, FZ_EXISTS, "42P06", "namespace " STR_FMT " exists already", STR_ARG(ns));
}

/* Its rows; one where there are no properties. */
static fz_status ns_insert(sql_catalog *c, sql_tx *tx, str ns, const ib_props *props, fz_error *err)
{
    uint32_t n = props ? props->n : 0;
    for (uint32_t i = 0; i < n; i++)
        TRY(c->db->run(c, tx, SQL_NS_INSERT, SQL_ARGS(str_of(c->name), ns, props->kv[i].key, props->kv[i].value), NULL, err));
    if (!n)
        TRY(c->db->run(c, tx, SQL_NS_INSERT, SQL_ARGS(str_of(c->name), ns, STR("exists"), STR("true")), NULL, err));
    return FZ_OK;
}

static fz_status ns_create(sql_catalog *c, sql_tx *tx, void *ctx, fz_error *err)
{
    ns_job *j = ctx;
    bool there;
    TRY(c->db->run(c, tx, SQL_NS_LOCK, 0, NULL, NULL, err));
    TRY(sql_ns_exists(c, tx, j->ns, &there, err));
    if (there)
        return ns_there(j->ns, err);
    return ns_insert(c, tx, j->ns, j->props, err);
}

fz_status sql_create_namespace(ib_catalog *b, str ns, const ib_props *props, fz_error *err)
{
    sql_catalog *c = sql_of(b);
    TRY(namespace_name_check(ns, err));
    TRY(sql_writable(c, err));
    /* Asked without a lock first: nearly every time it is there already. */
    bool there;
    TRY(sql_ns_exists(c, NULL, ns, &there, err));
    if (there)
        return ns_there(ns, err);
    return change(c, ns_create, &(ns_job){ns, props}, err);
}

typedef struct ns_change_job { str ns; const ib_props_change *change; arena *a; } ns_change_job;

static fz_status ns_change(sql_catalog *c, sql_tx *tx, void *ctx, fz_error *err)
{
    ns_change_job *j = ctx;
    ib_props have, after;
    TRY(c->db->run(c, tx, SQL_NS_LOCK, 0, NULL, NULL, err));
    TRY(ns_props(c, tx, j->ns, j->a, &have, err));
    TRY(namespace_props_changed(&have, j->change, j->a, &after, err));
    TRY(c->db->run(c, tx, SQL_NS_DELETE, SQL_ARGS(str_of(c->name), j->ns), NULL, err));
    return ns_insert(c, tx, j->ns, &after, err);
}

fz_status sql_change_namespace_props(ib_catalog *b, str ns, const ib_props_change *how, fz_error *err)
{
    sql_catalog *c = sql_of(b);
    arena a;
    TRY(sql_writable(c, err));
    arena_init(&a, b->m);
    fz_status st = change(c, ns_change, &(ns_change_job){ns, how, &a}, err);
    arena_free(&a);
    return st;
}

static fz_status ns_drop(sql_catalog *c, sql_tx *tx, void *ctx, fz_error *err)
{
    ns_job *j = ctx;
    bool there;
    TRY(c->db->run(c, tx, SQL_NS_LOCK, 0, NULL, NULL, err));
    TRY(ns_required(c, tx, j->ns, err));
    TRY(c->db->run(c, tx, SQL_NS_DELETE, SQL_ARGS(str_of(c->name), j->ns), NULL, err));
    TRY(sql_ns_exists(c, tx, j->ns, &there, err));
    if (there) /* by what lies below it; the deletion is rolled back */
        return error_sql(err, FZ_INVALID, "2BP01", "namespace " STR_FMT " isn't empty", STR_ARG(j->ns));
    return FZ_OK;
}

fz_status sql_drop_namespace(ib_catalog *b, str ns, fz_error *err)
{
    sql_catalog *c = sql_of(b);
    TRY(sql_writable(c, err));
    return change(c, ns_drop, &(ns_job){ns, NULL}, err);
}

static fz_status table_drop(sql_catalog *c, sql_tx *tx, void *ctx, fz_error *err)
{
    ib_ident *id = ctx;
    int changed;
    TRY(c->db->run(c, tx, SQL_DELETE, SQL_ARGS(str_of(c->name), id->ns, id->name), &changed, err));
    return changed ? FZ_OK : sql_no_table(*id, err);
}

fz_status sql_drop_table(ib_catalog *b, ib_ident id, fz_error *err)
{
    sql_catalog *c = sql_of(b);
    TRY(sql_writable(c, err));
    return change(c, table_drop, &id, err);
}

typedef struct rename_job { ib_ident from, to; } rename_job;

static fz_status table_rename(sql_catalog *c, sql_tx *tx, void *ctx, fz_error *err)
{
    rename_job *j = ctx;
    int changed;
    TRY(ns_required(c, tx, j->to.ns, err));
    fz_status st = c->db->run(c, tx, SQL_RENAME,
                              SQL_ARGS(str_of(c->name), j->from.ns, j->from.name, j->to.ns, j->to.name), &changed, err);
    if (st == FZ_OK && changed && str_eq(j->from.ns, j->to.ns) && str_eq(j->from.name, j->to.name))
        st = FZ_EXISTS; /* by itself */
    if (st == FZ_EXISTS)
        return error_sql(err, FZ_EXISTS, "42P07", "table " STR_FMT "." STR_FMT " exists already", STR_ARG(j->to.ns),
                         STR_ARG(j->to.name));
    TRY(st);
    return changed ? FZ_OK : sql_no_table(j->from, err);
}

fz_status sql_rename_table(ib_catalog *b, ib_ident from, ib_ident to, fz_error *err)
{
    sql_catalog *c = sql_of(b);
    TRY(table_name_check(to, err));
    TRY(sql_writable(c, err));
    return change(c, table_rename, &(rename_job){from, to}, err);
}

/* ---- where a table goes ---- */

/* A namespace's property "location" wins, as with PyIceberg. */
static fz_status ns_location(sql_catalog *c, str ns, arena *a, str *out, fz_error *err)
{
    ib_props props;
    *out = (str){0};
    TRY(sql_namespace_props(&c->base, ns, a, &props, err));
    *out = ib_prop(&props, "location");
    while (out->n > 1 && out->p[out->n - 1] == '/')
        out->n--;
    return FZ_OK;
}

/* FZ_EXISTS at the first file. */
static fz_status file_seen(void *ctx, const char *path, const io_stat_info *info, fz_error *err)
{
    return FZ_EXISTS;
}

fz_status sql_default_location(ib_catalog *b, ib_ident id, arena *a, str *out, fz_error *err)
{
    sql_catalog *c = sql_of(b);
    str own;
    TRY(table_name_check(id, err));
    TRY(ns_location(c, id.ns, a, &own, err));
    if (!own.n && !c->warehouse) {
        error_set(err, FZ_INVALID, "the catalog has no warehouse, so table " STR_FMT "." STR_FMT " needs a location",
                  STR_ARG(id.ns), STR_ARG(id.name));
        error_hint(err, "set the catalog's property warehouse, or the namespace's property location");
        error_where(err, c->place);
        return FZ_INVALID;
    }
    sbuf s;
    sbuf_init(&s, c->base.m);
    if (own.n) {
        sbuf_str(&s, own);
    } else {
        sbuf_addz(&s, c->warehouse);
        sbuf_addc(&s, '/');
        folder_name(id.ns, &s);
    }
    sbuf_addc(&s, '/');
    folder_name(id.name, &s);
    fz_status st = FZ_OK;
    /* An older table's files, or nobody can say: a folder nobody used. */
    fz_status seen = s.failed ? FZ_OK : io_list(b->io, s.p, file_seen, NULL, NULL);
    if (!s.failed && seen != FZ_OK && seen != FZ_NOT_FOUND) {
        char uuid[UUID_TEXT];
        st = ib_uuid_new(uuid, err);
        sbuf_addc(&s, '-');
        if (st == FZ_OK)
            sbuf_add(&s, uuid, 8);
    }
    if (st == FZ_OK) {
        out->n = s.n;
        out->p = s.failed ? NULL : arena_strndup(a, s.p, s.n);
        if (!out->p)
            st = error_nomem(err);
    }
    sbuf_free(&s);
    return st;
}
