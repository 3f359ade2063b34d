/*
 * session.c: sessions: names, notices, cancelling, progress; and fz_execute, which hands a statement to who runs it.
 */
#include "engine/engine_int.h"

#include "engine/transaction.h"

#include <stdio.h>

static void session_log(void *ctx, log_level level, const char *message)
{
    fz_session *s = ctx;
    pthread_mutex_lock(&s->notice_lock);
    if (s->notice)
        s->notice(s->notice_ctx, message);
    pthread_mutex_unlock(&s->notice_lock);
}

fz_status fz_session_open(fz_lake *lake, fz_session **out, fz_error *err)
{
    fz_session *s = mem_zalloc(lake->m, sizeof *s);
    if (!s)
        return error_nomem(err);
    mem_init(&s->m, lake->m, NULL, 0);
    s->lake = s->at = lake;
    atomic_fetch_add(&lake->refs, 1);
    pthread_mutex_init(&s->lock, NULL);
    pthread_mutex_init(&s->notice_lock, NULL);
    s->log = (logger){session_log, s, LOG_NOTICE};
    s->ns = mem_alloc(lake->m, sizeof "default");
    if (!s->ns) {
        fz_session_close(s);
        return error_nomem(err);
    }
    memcpy(s->ns, "default", sizeof "default");
    *out = s;
    return FZ_OK;
}

void fz_session_close(fz_session *s)
{
    if (!s)
        return;
    fz_lake *l = s->lake;
    transaction_drop(s);
    if (s->ns)
        mem_free(l->m, s->ns, strlen(s->ns) + 1);
    pthread_mutex_destroy(&s->lock);
    pthread_mutex_destroy(&s->notice_lock);
    mem_free(l->m, s, sizeof *s);
    fz_lake_close(l);
}

void fz_session_on_notice(fz_session *s, fz_notice_fn fn, void *ctx)
{
    s->notice = fn;
    s->notice_ctx = ctx;
}

void fz_session_on_unknown_table(fz_session *s, fz_table_fn fn, void *ctx)
{
    s->unknown_table = fn;
    s->unknown_table_ctx = ctx;
}

void fz_session_cancel(fz_session *s)
{
    atomic_store(&s->interrupt, true);
}

static void progress_copy(const progress *p, fz_progress *out)
{
    out->bytes_done = atomic_load_explicit(&p->bytes_done, memory_order_relaxed);
    out->bytes_total = atomic_load_explicit(&p->bytes_total, memory_order_relaxed);
    out->rows_done = atomic_load_explicit(&p->rows_done, memory_order_relaxed);
}

void fz_session_progress(fz_session *s, fz_progress *out)
{
    pthread_mutex_lock(&s->lock);
    if (s->running)
        progress_copy(s->running, &s->last);
    *out = s->last;
    pthread_mutex_unlock(&s->lock);
}

void session_running(fz_session *s, const progress *p)
{
    pthread_mutex_lock(&s->lock);
    s->running = p;
    pthread_mutex_unlock(&s->lock);
}

void session_idle(fz_session *s, const progress *p)
{
    pthread_mutex_lock(&s->lock);
    if (s->running == p) { /* a later statement's progress stays */
        progress_copy(p, &s->last);
        s->running = NULL;
    }
    pthread_mutex_unlock(&s->lock);
}

void session_begin(fz_session *s)
{
    atomic_store(&s->interrupt, false);
    pthread_mutex_lock(&s->lock);
    s->running = NULL;
    s->last = (fz_progress){0};
    pthread_mutex_unlock(&s->lock);
    lake_tell(s);
}

void session_notice(fz_session *s, const char *fmt, ...)
{
    if (!s->notice)
        return;
    va_list ap;
    fz_error e; /* cuts long texts between characters */
    va_start(ap, fmt);
    error_vset(&e, FZ_OK, fmt, ap);
    va_end(ap);
    session_log(s, LOG_NOTICE, e.message);
}

/* ---- names ---- */

static bool part_matches(const sql_ident *part, str stored)
{
    return part->quoted ? str_eq(part->name, stored) : str_ieq(part->name, stored);
}

/* Whether the parts, joined by dots, mean the stored namespace; *exact: letter by letter. */
static bool namespace_matches(const sql_ident *parts, uint32_t n, str stored, bool *exact)
{
    *exact = true;
    size_t at = 0;
    for (uint32_t i = 0; i < n; i++) {
        size_t len = parts[i].name.n;
        if (i && (at >= stored.n || stored.p[at++] != '.'))
            return false;
        if (stored.n - at < len)
            return false;
        str piece = {stored.p + at, len};
        if (!part_matches(&parts[i], piece))
            return false;
        *exact &= str_eq(parts[i].name, piece);
        at += len;
    }
    return at == stored.n;
}

static fz_status join_parts(const sql_ident *parts, uint32_t n, arena *a, str *out, fz_error *err)
{
    size_t len = 0;
    for (uint32_t i = 0; i < n; i++)
        len += parts[i].name.n + 1;
    char *p = arena_alloc(a, len + 1);
    if (!p)
        return error_nomem(err);
    size_t at = 0;
    for (uint32_t i = 0; i < n; i++) {
        if (i)
            p[at++] = '.';
        memcpy(p + at, parts[i].name.p, parts[i].name.n);
        at += parts[i].name.n;
    }
    p[at] = 0;
    *out = (str){p, at};
    return FZ_OK;
}

/* The one stored name among n that the identifier means: exact, else the only one without regard to case; -1: none. */
static fz_status choose(const sql_ident *id, const char *what, uint32_t n, const str *names, int *out, fz_error *err)
{
    uint32_t at = 0;
    int r = sql_find_name(id->name, id->quoted, n, names, &at);
    *out = r == 1 ? (int)at : -1;
    if (r >= 0)
        return FZ_OK;
    error_sql(err, FZ_INVALID, "42702", "the %s \"" STR_FMT "\" is ambiguous: several differ only in case", what, STR_ARG(id->name));
    error_line(err, id->pos.line, id->pos.column);
    error_hint(err, "put the exact name in double quotes, as \"" STR_FMT "\"", STR_ARG(names[at]));
    return FZ_INVALID;
}

/* The stored namespace of a catalog that parts mean. A first part that is the name of a catalog without one ("default") may be left out of them. */
static fz_status find_namespace(fz_lake *l, const sql_ident *parts, uint32_t n, arena *a, str *out, bool *exists, fz_error *err)
{
    ib_catalog *c;
    *exists = false;
    TRY(lake_catalog(l, false, &c, err));
    TRY(join_parts(parts, n, a, out, err));
    if (!c)
        return FZ_OK;
    TRY(c->ops->namespace_exists(c, *out, exists, err));
    if (*exists)
        return FZ_OK;
    uint32_t nn;
    str *all;
    TRY(c->ops->list_namespaces(c, (str){0}, a, &nn, &all, err));
    uint32_t found = 0;
    str match = {0};
    for (unsigned skip = 0; skip < 2 && !found; skip++) {
        if (skip && (n < 2 || l->catalog_name || !part_matches(&parts[0], STR("default"))))
            break;
        for (uint32_t i = 0; i < nn; i++) {
            bool exact;
            if (!namespace_matches(parts + skip, n - skip, all[i], &exact))
                continue;
            if (exact) {
                match = all[i];
                found = 1;
                break;
            }
            match = all[i];
            found++;
        }
    }
    if (found > 1) {
        error_sql(err, FZ_INVALID, "42702", "the namespace \"" STR_FMT "\" is ambiguous: several differ only in case", STR_ARG(*out));
        error_line(err, parts[0].pos.line, parts[0].pos.column);
        return FZ_INVALID;
    }
    if (found) {
        *out = match;
        *exists = true;
    }
    return FZ_OK;
}

/* The catalog that a name's first part means; NULL: none. A lake whose catalog has no name of its own is told by "default", which find_namespace knows. */
static fz_status find_catalog(fz_session *s, const sql_ident *part, fz_lake **out, fz_error *err)
{
    *out = NULL;
    if (s->lake->catalog_name ? part_matches(part, str_of(s->lake->catalog_name)) : s->at != s->lake && part_matches(part, STR("default"))) {
        *out = s->lake;
        return FZ_OK;
    }
    if (!s->lake->catalog_name && part_matches(part, STR("default")))
        return FZ_OK;
    return lake_other(s->lake, part->name, out, err);
}

fz_status session_find_namespace(fz_session *s, const sql_name *name, arena *a, fz_lake **in, str *out, bool *exists, fz_error *err)
{
    fz_lake *named = NULL;
    str there = {0};
    if (name->n > 1)
        TRY(find_catalog(s, &name->parts[0], &named, err));
    if (named) {
        *in = named;
        TRY(find_namespace(named, name->parts + 1, name->n - 1, a, &there, exists, err));
        *out = there;
        if (*exists)
            return FZ_OK;
    }
    fz_lake *at = s->at;
    TRY(find_namespace(at, name->parts, name->n, a, out, exists, err));
    if (*exists || !named)
        *in = at;
    else
        *out = there;
    return FZ_OK;
}

/* The table of a namespace that exists, in id's catalog; its name as stored. tried: there is none of exactly that name. */
static fz_status find_in_namespace(fz_session *s, const sql_ident *last, arena *a, bool tried, ib_ident *id, ib_table **t, fz_error *err)
{
    fz_lake *l = ident_lake(s, *id);
    ib_catalog *c;
    TRY(lake_catalog(l, false, &c, err));
    if (!c)
        return FZ_OK;
    fz_error e;
    fz_status st = tried ? FZ_NOT_FOUND : session_table(s, *id, t, &e);
    if (st == FZ_OK)
        return FZ_OK;
    if (st != FZ_NOT_FOUND || (!tried && strcmp(e.sqlstate, "58P01") == 0)) { /* a missing file is not a missing table */
        if (err)
            *err = e;
        return st;
    }
    uint32_t n;
    ib_ident *tables;
    st = c->ops->list_tables(c, id->ns, a, &n, &tables, &e);
    if (st == FZ_NOT_FOUND)
        return FZ_OK;
    if (st) {
        if (err)
            *err = e;
        return st;
    }
    TRY(transaction_tables(s, l, id->ns, a, &n, &tables, err));
    str *names = ARENA_ARRAY(a, str, n + 1);
    if (!names)
        return error_nomem(err);
    for (uint32_t i = 0; i < n; i++)
        names[i] = tables[i].name;
    int at;
    TRY(choose(last, "table", n, names, &at, err));
    if (at < 0)
        return FZ_OK;
    id->name = names[at];
    return session_table(s, *id, t, err);
}

/* The table of exactly that name, which id gets: one question to a catalog, and most often the only one. *t NULL: there is none. */
static fz_status find_exact(fz_session *s, const sql_ident *parts, uint32_t n, arena *a, ib_ident *id, ib_table **t, fz_error *err)
{
    ib_catalog *c;
    fz_error e;
    TRY(lake_catalog(ident_lake(s, *id), false, &c, err));
    if (!c)
        return FZ_OK;
    TRY(join_parts(parts, n, a, &id->ns, err));
    fz_status st = session_table(s, *id, t, &e);
    if (st == FZ_OK || (st == FZ_NOT_FOUND && strcmp(e.sqlstate, "58P01") != 0))
        return FZ_OK;
    if (err)
        *err = e;
    return st;
}

fz_status session_find_table(fz_session *s, const sql_name *name, arena *a, ib_ident *id, ib_table **t, fz_error *err)
{
    *t = NULL;
    const sql_ident *last = &name->parts[name->n - 1];
    char *copy = arena_strndup(a, last->name.p, last->name.n);
    if (!copy)
        return error_nomem(err);
    *id = (ib_ident){.name = {copy, last->name.n}, .home = s->at};
    if (name->n == 1) {
        copy = arena_strndup(a, s->ns, strlen(s->ns));
        if (!copy)
            return error_nomem(err);
        id->ns = str_of(copy);
        return find_in_namespace(s, last, a, false, id, t, err);
    }
    /* catalog.namespace.table first, then a nested namespace */
    ib_ident first = {0};
    fz_lake *named = NULL;
    bool exists = false;
    if (name->n > 2)
        TRY(find_catalog(s, &name->parts[0], &named, err));
    if (named) {
        first = (ib_ident){.name = id->name, .home = named};
        TRY(find_exact(s, name->parts + 1, name->n - 2, a, &first, t, err));
        if (*t) {
            *id = first;
            return FZ_OK;
        }
        str exact = first.ns;
        TRY(find_namespace(named, name->parts + 1, name->n - 2, a, &first.ns, &exists, err));
        if (exists)
            TRY(find_in_namespace(s, last, a, str_eq(exact, first.ns), &first, t, err));
        if (*t) {
            *id = first;
            return FZ_OK;
        }
    }
    TRY(find_exact(s, name->parts, name->n - 1, a, id, t, err));
    if (*t)
        return FZ_OK;
    str exact = id->ns;
    TRY(find_namespace(s->at, name->parts, name->n - 1, a, &id->ns, &exists, err));
    if (exists)
        TRY(find_in_namespace(s, last, a, str_eq(exact, id->ns), id, t, err));
    if (!*t && named && !exists)
        *id = first;
    return FZ_OK;
}

fz_status session_no_table(fz_session *s, const sql_name *name, fz_error *err)
{
    sbuf b;
    sbuf_init(&b, &s->m);
    sql_name_text(name, &b);
    error_sql(err, FZ_NOT_FOUND, "42P01", "there is no table %s", b.p ? b.p : "");
    sbuf_free(&b);
    error_line(err, name->parts[0].pos.line, name->parts[0].pos.column);
    ib_catalog *c;
    fz_lake *named = NULL;
    if (name->n > 2)
        find_catalog(s, &name->parts[0], &named, NULL);
    if (lake_catalog(named ? named : s->at, false, &c, NULL) || !c)
        return FZ_NOT_FOUND;
    arena a;
    arena_init(&a, &s->m);
    uint32_t nn = 0, total = 0;
    str *ns = NULL, names[256];
    c->ops->list_namespaces(c, (str){0}, &a, &nn, &ns, NULL);
    for (uint32_t i = 0; i < nn; i++) {
        uint32_t n = 0;
        ib_ident *t = NULL;
        c->ops->list_tables(c, ns[i], &a, &n, &t, NULL);
        for (uint32_t k = 0; k < n && total < 256; k++)
            names[total++] = t[k].name;
    }
    sql_hint_nearest(err, name->parts[name->n - 1].name, total, names);
    arena_free(&a);
    return FZ_NOT_FOUND;
}

fz_status session_need_namespace(fz_session *s, ib_ident id, bool any, fz_error *err)
{
    ib_catalog *c;
    str ns = id.ns;
    TRY(lake_catalog(ident_lake(s, id), true, &c, err));
    bool exists;
    TRY(c->ops->namespace_exists(c, ns, &exists, err));
    if (exists)
        return FZ_OK;
    if (!any && !str_eqz(ns, "default")) {
        error_sql(err, FZ_NOT_FOUND, "3F000", "there is no namespace \"" STR_FMT "\"", STR_ARG(ns));
        error_hint(err, "CREATE SCHEMA " STR_FMT " makes it", STR_ARG(ns));
        return FZ_NOT_FOUND;
    }
    fz_error e;
    fz_status st = c->ops->create_namespace(c, ns, NULL, &e);
    if (st == FZ_OK || st == FZ_EXISTS) /* another process was faster */
        return FZ_OK;
    if (err)
        *err = e;
    return st;
}

/* ---- statements ---- */

fz_status session_use(fz_session *s, const sql_name *name, arena *a, fz_error *err)
{
    str ns;
    bool exists;
    fz_lake *in, *named = NULL;
    TRY(session_find_namespace(s, name, a, &in, &ns, &exists, err));
    if (!exists && name->n == 1) {
        TRY(find_catalog(s, &name->parts[0], &named, err));
        if (!named && !s->lake->catalog_name && part_matches(&name->parts[0], STR("default")))
            named = s->lake;
        if (named) {
            ns = STR("default"); /* the catalog itself: its default namespace */
            in = named;
            exists = true;
        }
    }
    if (!exists) {
        error_sql(err, FZ_NOT_FOUND, "3F000", "there is no namespace \"" STR_FMT "\"", STR_ARG(ns));
        error_line(err, name->parts[0].pos.line, name->parts[0].pos.column);
        error_hint(err, "SHOW SCHEMAS lists them");
        return FZ_NOT_FOUND;
    }
    char *copy = mem_alloc(s->lake->m, ns.n + 1);
    if (!copy)
        return error_nomem(err);
    memcpy(copy, ns.p, ns.n);
    copy[ns.n] = 0;
    mem_free(s->lake->m, s->ns, strlen(s->ns) + 1);
    s->ns = copy;
    s->at = in;
    return FZ_OK;
}

static fz_status run_use(statement *st, fz_result **out, fz_error *err)
{
    fz_session *s = st->s;
    fz_result *done;
    fz_status r = result_begin(s, "USE", &done, err);
    if (!r)
        r = session_use(s, &st->ast->use.name, &st->a, err);
    statement_free(st);
    return result_end(done, r, -1, out);
}

static fz_status run_query(statement *st, fz_result **out, fz_error *err)
{
    return result_of_query(st, "SELECT", out, err);
}

static fz_status run(statement *st, fz_result **out, fz_error *err)
{
    switch (st->ast->kind) {
    case ST_QUERY:
        return run_query(st, out, err);
    case ST_INSERT:
        return run_insert(st, out, err);
    case ST_CREATE_TABLE:
        return run_create_table(st, out, err);
    case ST_CREATE_SCHEMA:
    case ST_DROP_SCHEMA:
    case ST_DROP_TABLE:
        return run_ddl(st, out, err);
    case ST_ALTER_TABLE:
        return run_alter(st, out, err);
    case ST_CALL:
        return run_call(st, out, err);
    case ST_BEGIN:
    case ST_COMMIT:
    case ST_ROLLBACK:
        return run_transaction(st, out, err);
    case ST_SHOW_TABLES:
    case ST_SHOW_SCHEMAS:
    case ST_SHOW_CREATE_TABLE:
    case ST_DESCRIBE:
        return run_show(st, out, err);
    case ST_EXPLAIN:
        return run_explain(st, out, err);
    case ST_USE:
        return run_use(st, out, err);
    case ST_SET:
    case ST_RESET:
    case ST_SHOW:
        break;
    }
    return run_setting(st, out, err);
}

static void release_params(const fz_params *p)
{
    if (!p)
        return;
    if (p->row && p->row->release)
        p->row->release(p->row);
    if (p->schema && p->schema->release)
        p->schema->release(p->schema);
}

fz_status fz_execute(fz_session *s, const char *sql, const char **rest, const fz_params *params, fz_result **out, fz_error *err)
{
    statement *st;
    *out = NULL;
    if (rest)
        *rest = NULL;
    session_begin(s);
    fz_status r = statement_new(s, &st, err);
    if (r) {
        release_params(params);
        return r;
    }
    /* Names and values of the tree lie in the text, and the tree lives as long as the result or, in a transaction, until its end. */
    const char *text = arena_strndup(&st->a, sql, strlen(sql));
    sql_script script;
    sql_script_init(&script, str_of(text ? text : ""));
    r = text ? sql_parse_next(&script, &st->a, &st->ast, err) : error_nomem(err);
    bool end = false;
    if (!r && rest) {
        /* Is there another statement behind this one? */
        sql_script ahead = script;
        arena tmp;
        const ast_stmt *next = NULL;
        arena_init(&tmp, &s->m);
        end = sql_parse_next(&ahead, &tmp, &next, NULL) == FZ_OK && !next;
        arena_free(&tmp);
    }
    if (rest && (r || !end))
        *rest = sql + script.at;
    if (r || !st->ast) {
        if (r)
            transaction_failed(s);
        release_params(params);
        statement_free(st);
        return r;
    }
    for (uint32_t i = 0; i < st->ast->n_notices; i++)
        session_notice(s, STR_FMT, STR_ARG(st->ast->notices[i]));
    r = statement_params(st, params, err);
    if (!r)
        r = transaction_check(s, st->ast, err);
    if (r) {
        transaction_failed(s);
        statement_free(st);
        return r;
    }
    r = run(st, out, err);
    if (r)
        transaction_failed(s);
    return session_failed(s, r, err);
}
