/*
 * connection.c: an ADBC connection is a session. Its catalog is the lake's one; its schema is the session's namespace.
 */
#include "adbc/adbc_int.h"

#include <stdlib.h>
#include <string.h>

static fz_status offered(void *ctx, const char *name, struct ArrowArrayStream *out, fz_error *err);

/* ---- life ---- */

conn *conn_ref(conn *l)
{
    atomic_fetch_add(&l->refs, 1);
    return l;
}

void conn_unref(conn *l)
{
    if (!l || atomic_fetch_sub(&l->refs, 1) != 1)
        return;
    fz_session_close(l->s);
    options_free(&l->given);
    free(l->catalog);
    pthread_mutex_destroy(&l->lock);
    free(l);
}

status connection_new(struct AdbcConnection *c, struct AdbcError *err)
{
    if (c->private_data)
        return fail_state(err, "the connection was made already");
    conn *l = calloc(1, sizeof *l);
    if (!l)
        return fail_nomem(err);
    atomic_init(&l->refs, 1);
    pthread_mutex_init(&l->lock, NULL);
    c->private_data = l;
    return ADBC_STATUS_OK;
}

/* Options that were given before ConnectionInit. */
static status apply(struct AdbcConnection *c, conn *l, struct AdbcError *err)
{
    options given = l->given;
    status st = ADBC_STATUS_OK;
    l->given = (options){0};
    for (size_t i = 0; i < given.n && !st; i++)
        st = connection_set(c, given.at[i].key, given.at[i].value, err);
    options_free(&given);
    return st;
}

status connection_init(struct AdbcConnection *c, struct AdbcDatabase *d, struct AdbcError *err)
{
    conn *l = c->private_data;
    const database *db = d->private_data;
    fz_error e;
    if (!l)
        return fail_state(err, "the connection wasn't made");
    if (l->s)
        return fail_state(err, "the connection is open already");
    if (!db || !db->lake)
        return fail_state(err, "the database isn't open");
    const char *catalog = options_get(&db->given, "catalog");
    if (!catalog)
        catalog = options_get(&db->given, "catalog-name");
    if (!(l->catalog = strdup(catalog ? catalog : "default")))
        return fail_nomem(err);
    if (fz_session_open(db->lake, &l->s, &e))
        return fail_fz(err, &e);
    fz_session_on_unknown_table(l->s, offered, l);
    return apply(c, l, err);
}

status connection_release(struct AdbcConnection *c, struct AdbcError *err)
{
    conn *l = c->private_data;
    if (!l)
        return fail_state(err, "the connection wasn't made, or is released already");
    pthread_mutex_lock(&l->lock);
    fz_result *r = NULL;
    if (l->s && fz_session_transaction(l->s) && fz_execute(l->s, "ROLLBACK", NULL, NULL, &r, NULL) == FZ_OK)
        fz_result_release(r);
    pthread_mutex_unlock(&l->lock);
    c->private_data = NULL;
    conn_unref(l);
    return ADBC_STATUS_OK;
}

status conn_open(const struct AdbcConnection *c, conn **out, struct AdbcError *err)
{
    *out = c->private_data;
    return *out && (*out)->s ? ADBC_STATUS_OK : fail_state(err, "the connection isn't open");
}

/* ---- statements on a session ---- */

/* The bound data of the statement that runs; it is given once. */
static fz_status offered(void *ctx, const char *name, struct ArrowArrayStream *out, fz_error *err)
{
    conn *l = ctx;
    if (!l->offer || strcmp(name, OFFERED) != 0)
        return FZ_NOT_FOUND;
    *out = *l->offer;
    l->offer->release = NULL;
    l->offer = NULL;
    return FZ_OK;
}

static status plain(conn *l, const char *sql, struct AdbcError *err)
{
    fz_error e;
    fz_result *r = NULL;
    if (fz_execute(l->s, sql, NULL, NULL, &r, &e))
        return fail_fz(err, &e);
    fz_result_release(r);
    return ADBC_STATUS_OK;
}

status conn_begin(conn *l, struct AdbcError *err)
{
    return l->manual && !fz_session_transaction(l->s) ? plain(l, "BEGIN", err) : ADBC_STATUS_OK;
}

status conn_exists(conn *l, const char *select, bool *out, struct AdbcError *err)
{
    fz_error e;
    fz_status st = fz_describe(l->s, select, NULL, NULL, NULL, &e);
    *out = st == FZ_OK;
    return !st || (st == FZ_NOT_FOUND && strcmp(e.sqlstate, "58P01") != 0) ? ADBC_STATUS_OK : fail_fz(err, &e);
}

status conn_run(conn *l, const char *sql, const fz_params *params, fz_result **out, struct AdbcError *err)
{
    *out = NULL;
    status st = conn_begin(l, err);
    if (st) {
        if (params && params->row->release)
            params->row->release(params->row);
        if (params && params->schema->release)
            params->schema->release(params->schema);
        return st;
    }
    for (const char *rest = sql; rest;) {
        fz_error e;
        fz_result *r = NULL;
        if (fz_execute(l->s, rest, &rest, params, &r, &e))
            st = fail_fz(err, &e);
        if (!r && !st)
            continue; /* nothing but white space */
        fz_result_release(*out);
        *out = r;
        if (!st && rest && params)
            st = fail(err, ADBC_STATUS_INVALID_ARGUMENT, "42601", "parameters are for one statement; there are several in this text");
        if (st) {
            fz_result_release(*out);
            *out = NULL;
            return st;
        }
    }
    return ADBC_STATUS_OK;
}

status conn_run_offered(conn *l, const char *sql, struct ArrowArrayStream *in, int64_t *rows, struct AdbcError *err)
{
    fz_error e;
    fz_result *r = NULL;
    status st = conn_begin(l, err);
    if (st)
        return st;
    l->offer = in;
    fz_status f = fz_execute(l->s, sql, NULL, NULL, &r, &e);
    l->offer = NULL;
    if (f) {
        e.line = e.column = -1; /* they are about a text that the caller doesn't know */
        return fail_fz(err, &e);
    }
    *rows = fz_result_rows_affected(r);
    fz_result_release(r);
    return ADBC_STATUS_OK;
}

/* ---- transactions ---- */

static status end_transaction(conn *l, const char *how, struct AdbcError *err)
{
    return fz_session_transaction(l->s) ? plain(l, how, err) : ADBC_STATUS_OK;
}

static status end_manual(struct AdbcConnection *c, const char *how, struct AdbcError *err)
{
    conn *l;
    status st = conn_open(c, &l, err);
    if (st)
        return st;
    pthread_mutex_lock(&l->lock);
    st = l->manual ? end_transaction(l, how, err) : fail_state(err, "autocommit is on: there is no transaction to end");
    pthread_mutex_unlock(&l->lock);
    return st;
}

status connection_commit(struct AdbcConnection *c, struct AdbcError *err)
{
    return end_manual(c, "COMMIT", err);
}

status connection_rollback(struct AdbcConnection *c, struct AdbcError *err)
{
    return end_manual(c, "ROLLBACK", err);
}

status connection_cancel(struct AdbcConnection *c, struct AdbcError *err)
{
    conn *l;
    status st = conn_open(c, &l, err);
    if (!st)
        fz_session_cancel(l->s);
    return st;
}

/* ---- options ---- */

static status set_autocommit(conn *l, const char *key, const char *value, struct AdbcError *err)
{
    bool on;
    status st = option_bool(key, value, &on, err);
    if (!st && on)
        st = end_transaction(l, "COMMIT", err); /* what was done so far is kept, as with JDBC and ODBC */
    if (!st)
        l->manual = !on;
    return st;
}

static status set_schema(conn *l, const char *value, struct AdbcError *err)
{
    text t = {0};
    text_add(&t, "USE ");
    text_ident(&t, value ? value : "");
    status st = t.failed ? fail_nomem(err) : plain(l, t.p, err);
    free(t.p);
    return st;
}

static status set_isolation(const char *value, struct AdbcError *err)
{
    if (value && (strcmp(value, ADBC_OPTION_ISOLATION_LEVEL_DEFAULT) == 0 || strcmp(value, ADBC_OPTION_ISOLATION_LEVEL_SNAPSHOT) == 0))
        return ADBC_STATUS_OK;
    return fail(err, ADBC_STATUS_NOT_IMPLEMENTED, "0A000", "the isolation level %s isn't supported: transactions have snapshot isolation",
                value ? value : "");
}

static status set(conn *l, const char *key, const char *value, struct AdbcError *err)
{
    if (strcmp(key, ADBC_CONNECTION_OPTION_AUTOCOMMIT) == 0)
        return set_autocommit(l, key, value, err);
    if (strcmp(key, ADBC_CONNECTION_OPTION_CURRENT_DB_SCHEMA) == 0)
        return set_schema(l, value, err);
    if (strcmp(key, ADBC_CONNECTION_OPTION_ISOLATION_LEVEL) == 0)
        return set_isolation(value, err);
    if (strcmp(key, ADBC_CONNECTION_OPTION_CURRENT_CATALOG) == 0) {
        if (value && strcmp(value, l->catalog) == 0)
            return ADBC_STATUS_OK;
        return fail(err, ADBC_STATUS_NOT_FOUND, "3D000", "there is no catalog \"%s\" in this database; it has \"%s\"", value ? value : "",
                    l->catalog);
    }
    if (strcmp(key, ADBC_CONNECTION_OPTION_READ_ONLY) == 0) {
        bool on;
        status st = option_bool(key, value, &on, err);
        return !st && on ? fail(err, ADBC_STATUS_NOT_IMPLEMENTED, "0A000", "a connection can't be read-only by itself; set the database's option read-only")
                         : st;
    }
    return option_unknown(key, err);
}

status connection_set(struct AdbcConnection *c, const char *key, const char *value, struct AdbcError *err)
{
    conn *l = c->private_data;
    if (!l)
        return fail_state(err, "the connection wasn't made");
    if (!l->s)
        return options_set(&l->given, key, value) ? ADBC_STATUS_OK : fail_nomem(err);
    pthread_mutex_lock(&l->lock);
    status st = set(l, key, value, err);
    pthread_mutex_unlock(&l->lock);
    return st;
}

static status get(conn *l, const char *key, char *value, size_t *length, struct AdbcError *err)
{
    if (strcmp(key, ADBC_CONNECTION_OPTION_AUTOCOMMIT) == 0)
        return option_out(l->manual ? ADBC_OPTION_VALUE_DISABLED : ADBC_OPTION_VALUE_ENABLED, value, length, err);
    if (strcmp(key, ADBC_CONNECTION_OPTION_READ_ONLY) == 0)
        return option_out(ADBC_OPTION_VALUE_DISABLED, value, length, err);
    if (strcmp(key, ADBC_CONNECTION_OPTION_ISOLATION_LEVEL) == 0)
        return option_out(ADBC_OPTION_ISOLATION_LEVEL_SNAPSHOT, value, length, err);
    if (strcmp(key, ADBC_CONNECTION_OPTION_CURRENT_CATALOG) == 0)
        return option_out(l->catalog, value, length, err);
    if (strcmp(key, ADBC_CONNECTION_OPTION_CURRENT_DB_SCHEMA) != 0)
        return option_not_found(key, err);
    texts t;
    status st = conn_texts(l, "SHOW SCHEMA", &t, err);
    if (st)
        return st;
    st = t.nrows && t.cells[0] ? option_out(t.cells[0], value, length, err) : option_not_found(key, err);
    texts_free(&t);
    return st;
}

status connection_get(struct AdbcConnection *c, const char *key, char *value, size_t *length, struct AdbcError *err)
{
    conn *l = c->private_data;
    if (!l)
        return fail_state(err, "the connection wasn't made");
    if (!l->s) {
        const char *v = options_get(&l->given, key);
        return v ? option_out(v, value, length, err) : option_not_found(key, err);
    }
    pthread_mutex_lock(&l->lock);
    status st = get(l, key, value, length, err);
    pthread_mutex_unlock(&l->lock);
    return st;
}
