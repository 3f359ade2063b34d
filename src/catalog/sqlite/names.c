/*
 * names.c: namespaces and tables of the embedded catalog by name, everything but metadata.
 *
 * A namespace exists as PyIceberg sees it: by a row of properties, or because a table or another
 * namespace lies below it. One without properties has the row exists = true, which isn't shown.
 */
#include "catalog/sqlite/sqlite_int.h"
#include "catalog/stage.h"

#include <stdlib.h>

#define ARGS(...) (uint32_t)(sizeof((str[]){__VA_ARGS__}) / sizeof(str)), (str[]){__VA_ARGS__}

fz_status sq_no_table(ib_ident id, fz_error *err)
{
    return error_sql(err, FZ_NOT_FOUND, "42P01", "table " STR_FMT "." STR_FMT " doesn't exist", STR_ARG(id.ns),
                     STR_ARG(id.name));
}

fz_status sq_no_namespace(str ns, fz_error *err)
{
    return error_sql(err, FZ_NOT_FOUND, "3F000", "namespace " STR_FMT " doesn't exist", STR_ARG(ns));
}

fz_status sq_writable(sq_catalog *c, fz_error *err)
{
    if (!c->read_only)
        return FZ_OK;
    error_sql(err, FZ_IO, "25006", "the lake can only be read");
    error_where(err, c->lake);
    return FZ_IO;
}

fz_status sq_ns_exists_on(sq_catalog *c, sq_conn *k, str ns, bool *out, fz_error *err)
{
    sqlite3_stmt *s;
    int rc;
    TRY(sq_bind(c, k, SQ_NS_EXISTS, ARGS(str_of(c->name), ns), &s, err));
    TRY(sq_step(c, k, s, &rc, err));
    *out = rc == SQLITE_ROW;
    sqlite3_reset(s);
    return FZ_OK;
}

fz_status sq_namespace_exists(ib_catalog *b, str ns, bool *out, fz_error *err)
{
    sq_catalog *c = sq_of(b);
    TRY(sq_read_begin(c, err));
    fz_status st = sq_ns_exists_on(c, &c->read, ns, out, err);
    sq_read_end(c);
    return st;
}

/* ---- listing ---- */

typedef struct names { arena *a; str *p; uint32_t n, cap; } names;

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

static int str_order(const void *a, const void *b) { return str_cmp(*(const str *)a, *(const str *)b); }

static bool is_below(str ns, str parent)
{
    return !parent.n || (ns.n > parent.n && ns.p[parent.n] == '.' && memcmp(ns.p, parent.p, parent.n) == 0);
}

fz_status sq_list_namespaces(ib_catalog *b, str parent, arena *a, uint32_t *n, str **out, fz_error *err)
{
    sq_catalog *c = sq_of(b);
    names l = {.a = a};
    sqlite3_stmt *s = NULL;
    int rc;
    bool there = true;
    fz_status st;
    TRY(sq_read_begin(c, err));
    if (parent.n)
        TRY_GOTO(sq_ns_exists_on(c, &c->read, parent, &there, err));
    if (!there) {
        st = sq_no_namespace(parent, err);
        goto out;
    }
    TRY_GOTO(sq_bind(c, &c->read, SQ_NS_LIST, ARGS(str_of(c->name)), &s, err));
    for (;;) {
        TRY_GOTO(sq_step(c, &c->read, s, &rc, err));
        if (rc == SQLITE_DONE)
            break;
        str ns = sq_column(s, 0);
        for (size_t i = 0; i <= ns.n; i++) {
            str level = {ns.p, i};
            if (i && (i == ns.n || ns.p[i] == '.') && is_below(level, parent))
                TRY_GOTO(names_add(&l, level, err));
        }
    }
    if (l.n)
        qsort(l.p, l.n, sizeof *l.p, str_order);
    *n = 0;
    for (uint32_t i = 0; i < l.n; i++)
        if (i == 0 || !str_eq(l.p[i], l.p[i - 1]))
            l.p[(*n)++] = l.p[i];
    *out = l.p;
out:
    if (s)
        sqlite3_reset(s);
    sq_read_end(c);
    return st;
}

fz_status sq_list_tables(ib_catalog *b, str ns, arena *a, uint32_t *n, ib_ident **out, fz_error *err)
{
    sq_catalog *c = sq_of(b);
    names l = {.a = a};
    sqlite3_stmt *s = NULL;
    int rc;
    bool there = false;
    fz_status st;
    TRY(sq_read_begin(c, err));
    TRY_GOTO(sq_ns_exists_on(c, &c->read, ns, &there, err));
    if (!there) {
        st = sq_no_namespace(ns, err);
        goto out;
    }
    TRY_GOTO(sq_bind(c, &c->read, SQ_TABLES, ARGS(str_of(c->name), ns), &s, err));
    for (;;) {
        TRY_GOTO(sq_step(c, &c->read, s, &rc, err));
        if (rc == SQLITE_DONE)
            break;
        TRY_GOTO(names_add(&l, sq_column(s, 0), err));
    }
    ib_ident *ids = ARENA_ARRAY(a, ib_ident, l.n);
    str own = {arena_strndup(a, ns.p, ns.n), ns.n};
    if (!ids || !own.p) {
        st = error_nomem(err);
        goto out;
    }
    for (uint32_t i = 0; i < l.n; i++)
        ids[i] = (ib_ident){.ns = own, .name = l.p[i]};
    *n = l.n;
    *out = ids;
out:
    if (s)
        sqlite3_reset(s);
    sq_read_end(c);
    return st;
}

fz_status sq_namespace_props(ib_catalog *b, str ns, arena *a, ib_props *out, fz_error *err)
{
    sq_catalog *c = sq_of(b);
    names l = {.a = a};
    sqlite3_stmt *s = NULL;
    int rc;
    bool there = false;
    fz_status st;
    TRY(sq_read_begin(c, err));
    TRY_GOTO(sq_ns_exists_on(c, &c->read, ns, &there, err));
    if (!there) {
        st = sq_no_namespace(ns, err);
        goto out;
    }
    TRY_GOTO(sq_bind(c, &c->read, SQ_NS_PROPS, ARGS(str_of(c->name), ns), &s, err));
    for (;;) {
        TRY_GOTO(sq_step(c, &c->read, s, &rc, err));
        if (rc == SQLITE_DONE)
            break;
        if (str_eqz(sq_column(s, 0), "exists"))
            continue;
        TRY_GOTO(names_add(&l, sq_column(s, 0), err));
        TRY_GOTO(names_add(&l, sq_column(s, 1), err));
    }
    ib_kv *kv = ARENA_ARRAY(a, ib_kv, l.n / 2);
    if (!kv) {
        st = error_nomem(err);
        goto out;
    }
    for (uint32_t i = 0; i < l.n / 2; i++)
        kv[i] = (ib_kv){.key = l.p[2 * i], .value = l.p[2 * i + 1]};
    *out = (ib_props){.n = l.n / 2, .kv = kv};
out:
    if (s)
        sqlite3_reset(s);
    sq_read_end(c);
    return st;
}

/* ---- changing ---- */

typedef struct ns_job { str ns; const ib_props *props; } ns_job;

static fz_status ns_create(sq_catalog *c, void *ctx, fz_error *err)
{
    ns_job *j = ctx;
    bool there;
    TRY(sq_ns_exists_on(c, &c->write, j->ns, &there, err));
    if (there)
        return error_sql(err, FZ_EXISTS, "42P06", "namespace " STR_FMT " exists already", STR_ARG(j->ns));
    uint32_t n = j->props ? j->props->n : 0;
    for (uint32_t i = 0; i < n; i++)
        TRY(sq_run(c, &c->write, SQ_NS_INSERT,
                   ARGS(str_of(c->name), j->ns, j->props->kv[i].key, j->props->kv[i].value), NULL, err));
    if (!n)
        TRY(sq_run(c, &c->write, SQ_NS_INSERT, ARGS(str_of(c->name), j->ns, STR("exists"), STR("true")), NULL, err));
    return FZ_OK;
}

fz_status sq_create_namespace(ib_catalog *b, str ns, const ib_props *props, fz_error *err)
{
    sq_catalog *c = sq_of(b);
    bool unknown;
    TRY(namespace_name_check(ns, err));
    TRY(sq_writable(c, err));
    /* Asked without the write lock first: nearly every time it is there already. */
    bool there;
    TRY(sq_namespace_exists(b, ns, &there, err));
    if (there)
        return error_sql(err, FZ_EXISTS, "42P06", "namespace " STR_FMT " exists already", STR_ARG(ns));
    return sq_transaction(c, ns_create, &(ns_job){ns, props}, &unknown, err);
}

static fz_status ns_drop(sq_catalog *c, void *ctx, fz_error *err)
{
    ns_job *j = ctx;
    bool there;
    TRY(sq_ns_exists_on(c, &c->write, j->ns, &there, err));
    if (!there)
        return sq_no_namespace(j->ns, err);
    TRY(sq_run(c, &c->write, SQ_NS_DELETE, ARGS(str_of(c->name), j->ns), NULL, err));
    TRY(sq_ns_exists_on(c, &c->write, j->ns, &there, err));
    if (there) /* by what lies below it; the deletion is rolled back */
        return error_sql(err, FZ_INVALID, "2BP01", "namespace " STR_FMT " isn't empty", STR_ARG(j->ns));
    return FZ_OK;
}

fz_status sq_drop_namespace(ib_catalog *b, str ns, fz_error *err)
{
    sq_catalog *c = sq_of(b);
    bool unknown;
    TRY(sq_writable(c, err));
    return sq_transaction(c, ns_drop, &(ns_job){ns, NULL}, &unknown, err);
}

static fz_status table_drop(sq_catalog *c, void *ctx, fz_error *err)
{
    ib_ident *id = ctx;
    int changed;
    TRY(sq_run(c, &c->write, SQ_DELETE, ARGS(str_of(c->name), id->ns, id->name), &changed, err));
    return changed ? FZ_OK : sq_no_table(*id, err);
}

fz_status sq_drop_table(ib_catalog *b, ib_ident id, fz_error *err)
{
    sq_catalog *c = sq_of(b);
    bool unknown;
    TRY(sq_writable(c, err));
    return sq_transaction(c, table_drop, &id, &unknown, err);
}

typedef struct rename_job { ib_ident from, to; } rename_job;

static fz_status table_rename(sq_catalog *c, void *ctx, fz_error *err)
{
    rename_job *j = ctx;
    bool there;
    int changed;
    TRY(sq_ns_exists_on(c, &c->write, j->to.ns, &there, err));
    if (!there)
        return sq_no_namespace(j->to.ns, err);
    fz_status st = sq_run(c, &c->write, SQ_RENAME,
                          ARGS(str_of(c->name), j->from.ns, j->from.name, j->to.ns, j->to.name), &changed, err);
    if (st == FZ_EXISTS)
        return error_sql(err, FZ_EXISTS, "42P07", "table " STR_FMT "." STR_FMT " exists already", STR_ARG(j->to.ns),
                         STR_ARG(j->to.name));
    TRY(st);
    return changed ? FZ_OK : sq_no_table(j->from, err);
}

fz_status sq_rename_table(ib_catalog *b, ib_ident from, ib_ident to, fz_error *err)
{
    sq_catalog *c = sq_of(b);
    bool unknown;
    TRY(table_name_check(to, err));
    TRY(sq_writable(c, err));
    return sq_transaction(c, table_rename, &(rename_job){from, to}, &unknown, err);
}
