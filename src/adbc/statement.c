/*
 * statement.c: ADBC statements: a text with parameters, or a table that bound data goes into. What is bound is used up by the next
 * execution.
 */
#include "adbc/adbc_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- life ---- */

status stmt_new(struct AdbcConnection *c, struct AdbcStatement *s, struct AdbcError *err)
{
    conn *l;
    status st = conn_open(c, &l, err);
    if (st)
        return st;
    stmt *x = calloc(1, sizeof *x);
    if (!x)
        return fail_nomem(err);
    x->l = conn_ref(l);
    x->mode = ADBC_INGEST_OPTION_MODE_CREATE;
    x->max_parts = 16;
    s->private_data = x;
    return ADBC_STATUS_OK;
}

static void unbind(stmt *x)
{
    if (x->bound.release)
        x->bound.release(&x->bound);
}

status stmt_release(struct AdbcStatement *s, struct AdbcError *err)
{
    stmt *x = s->private_data;
    if (!x)
        return fail_state(err, "the statement wasn't made, or is released already");
    unbind(x);
    free(x->sql);
    free(x->target);
    free(x->target_catalog);
    free(x->target_schema);
    conn_unref(x->l);
    free(x);
    s->private_data = NULL;
    return ADBC_STATUS_OK;
}

static status stmt_of(struct AdbcStatement *s, stmt **out, struct AdbcError *err)
{
    *out = s->private_data;
    return *out ? ADBC_STATUS_OK : fail_state(err, "the statement wasn't made");
}

static status replace(char **at, const char *value, struct AdbcError *err)
{
    char *copy = value ? strdup(value) : NULL;
    if (value && !copy)
        return fail_nomem(err);
    free(*at);
    *at = copy;
    return ADBC_STATUS_OK;
}

/* ---- what it does ---- */

status stmt_set_sql(struct AdbcStatement *s, const char *sql, struct AdbcError *err)
{
    stmt *x;
    status st = stmt_of(s, &x, err);
    if (st)
        return st;
    x->prepared = false;
    replace(&x->target, NULL, NULL);
    return replace(&x->sql, sql, err);
}

status stmt_set_substrait(struct AdbcStatement *s, const uint8_t *plan, size_t size, struct AdbcError *err)
{
    return fail(err, ADBC_STATUS_NOT_IMPLEMENTED, "0A000", "Substrait plans aren't supported");
}

static status describe(stmt *x, struct ArrowSchema *columns, struct ArrowSchema *params, struct AdbcError *err)
{
    fz_error e;
    if (!x->sql)
        return fail_state(err, "the statement has no text");
    pthread_mutex_lock(&x->l->lock);
    fz_status st = fz_describe(x->l->s, x->sql, NULL, columns, params, &e);
    pthread_mutex_unlock(&x->l->lock);
    return st ? fail_fz(err, &e) : ADBC_STATUS_OK;
}

status stmt_prepare(struct AdbcStatement *s, struct AdbcError *err)
{
    stmt *x;
    status st = stmt_of(s, &x, err);
    if (!st)
        st = describe(x, NULL, NULL, err);
    if (!st)
        x->prepared = true;
    return st;
}

status stmt_parameters(struct AdbcStatement *s, struct ArrowSchema *out, struct AdbcError *err)
{
    stmt *x;
    status st = stmt_of(s, &x, err);
    if (!st && !x->prepared)
        return fail_state(err, "the statement isn't prepared");
    return st ? st : describe(x, NULL, out, err);
}

status stmt_execute_schema(struct AdbcStatement *s, struct ArrowSchema *out, struct AdbcError *err)
{
    stmt *x;
    status st = stmt_of(s, &x, err);
    return st ? st : describe(x, out, NULL, err);
}

/* ---- binding ---- */

status stmt_bind(struct AdbcStatement *s, struct ArrowArray *values, struct ArrowSchema *schema, struct AdbcError *err)
{
    stmt *x;
    status st = stmt_of(s, &x, err);
    if (st)
        return st;
    if (!values || !values->release || !schema || !schema->release)
        return fail(err, ADBC_STATUS_INVALID_ARGUMENT, NULL, "there is nothing to bind: the array or its schema is released");
    unbind(x);
    return stream_of_array(schema, values, &x->bound) ? ADBC_STATUS_OK : fail_nomem(err);
}

status stmt_bind_stream(struct AdbcStatement *s, struct ArrowArrayStream *stream, struct AdbcError *err)
{
    stmt *x;
    status st = stmt_of(s, &x, err);
    if (st)
        return st;
    if (!stream || !stream->release)
        return fail(err, ADBC_STATUS_INVALID_ARGUMENT, NULL, "there is nothing to bind: the stream is released");
    unbind(x);
    x->bound = *stream;
    stream->release = NULL;
    return ADBC_STATUS_OK;
}

/* ---- running ---- */

static status run_plain(stmt *x, struct ArrowArrayStream *out, int64_t *rows, struct AdbcError *err)
{
    fz_result *r;
    status st = conn_run(x->l, x->sql, NULL, &r, err);
    if (st)
        return st;
    *rows = r ? fz_result_rows_affected(r) : -1;
    if (!r && out)
        return fail(err, ADBC_STATUS_INVALID_ARGUMENT, "42601", "the text holds no statement");
    if (out)
        return stream_of_result(x->l, r, out, err);
    fz_result_release(r);
    return ADBC_STATUS_OK;
}

/* A stream without columns and rows: what an ingest gives who asks for one. */
static status no_rows(struct ArrowArrayStream *out, struct AdbcError *err)
{
    struct ArrowSchema s;
    struct ArrowArray a = {0};
    return adbc_struct(&s, 0) && stream_of_array(&s, &a, out) ? ADBC_STATUS_OK : fail_nomem(err);
}

status stmt_execute(struct AdbcStatement *s, struct ArrowArrayStream *out, int64_t *rows, struct AdbcError *err)
{
    stmt *x;
    int64_t n = -1;
    status st = stmt_of(s, &x, err);
    if (st)
        return st;
    if (!x->target && !x->sql)
        return fail_state(err, "the statement has no text");
    if (x->target && !x->bound.release)
        return fail_state(err, "nothing is bound that could go into the table");
    if (out)
        out->release = NULL;
    pthread_mutex_lock(&x->l->lock);
    if (x->target)
        st = run_ingest(x, &n, err);
    else if (x->bound.release)
        st = run_bound(x, out, &n, err);
    else
        st = run_plain(x, out, &n, err);
    pthread_mutex_unlock(&x->l->lock);
    if (!st && x->target && out)
        st = no_rows(out, err);
    if (rows)
        *rows = st ? -1 : n;
    return st;
}

status stmt_cancel(struct AdbcStatement *s, struct AdbcError *err)
{
    stmt *x;
    status st = stmt_of(s, &x, err);
    if (!st)
        fz_session_cancel(x->l->s);
    return st;
}

/* ---- options ---- */

static status set_mode(stmt *x, const char *value, struct AdbcError *err)
{
    static const char *const modes[] = {ADBC_INGEST_OPTION_MODE_CREATE, ADBC_INGEST_OPTION_MODE_APPEND, ADBC_INGEST_OPTION_MODE_REPLACE,
                                        ADBC_INGEST_OPTION_MODE_CREATE_APPEND};
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++)
        if (value && strcmp(value, modes[i]) == 0) {
            x->mode = modes[i];
            return ADBC_STATUS_OK;
        }
    return fail(err, ADBC_STATUS_INVALID_ARGUMENT, NULL, "there is no ingest mode \"%s\"", value ? value : "");
}

static status set_parts(stmt *x, const char *key, const char *value, struct AdbcError *err)
{
    int64_t n;
    status st = option_to_int(key, value ? value : "", &n, err);
    if (!st && (n < 1 || n > 4096))
        st = fail(err, ADBC_STATUS_INVALID_ARGUMENT, NULL, "option %s: %s isn't a number from 1 to 4096", key, value);
    if (!st)
        x->max_parts = n;
    return st;
}

status stmt_set(struct AdbcStatement *s, const char *key, const char *value, struct AdbcError *err)
{
    stmt *x;
    bool on;
    status st = stmt_of(s, &x, err);
    if (st)
        return st;
    if (strcmp(key, ADBC_INGEST_OPTION_TARGET_TABLE) == 0) {
        replace(&x->sql, NULL, NULL);
        return replace(&x->target, value, err);
    }
    if (strcmp(key, ADBC_INGEST_OPTION_TARGET_CATALOG) == 0)
        return replace(&x->target_catalog, value, err);
    if (strcmp(key, ADBC_INGEST_OPTION_TARGET_DB_SCHEMA) == 0)
        return replace(&x->target_schema, value, err);
    if (strcmp(key, ADBC_INGEST_OPTION_MODE) == 0)
        return set_mode(x, value, err);
    if (strcmp(key, PARTITIONS_OPTION) == 0)
        return set_parts(x, key, value, err);
    if (strcmp(key, ADBC_INGEST_OPTION_TEMPORARY) == 0) {
        st = option_bool(key, value, &on, err);
        return !st && on ? fail(err, ADBC_STATUS_NOT_IMPLEMENTED, "0A000", "temporary tables aren't supported") : st;
    }
    if (strcmp(key, ADBC_STATEMENT_OPTION_INCREMENTAL) == 0) {
        st = option_bool(key, value, &on, err);
        return !st && on ? fail(err, ADBC_STATUS_NOT_IMPLEMENTED, "0A000", "incremental execution isn't supported") : st;
    }
    return option_unknown(key, err);
}

status stmt_get(struct AdbcStatement *s, const char *key, char *value, size_t *length, struct AdbcError *err)
{
    stmt *x;
    status st = stmt_of(s, &x, err);
    if (st)
        return st;
    const char *v = NULL;
    if (strcmp(key, ADBC_INGEST_OPTION_TARGET_TABLE) == 0)
        v = x->target;
    else if (strcmp(key, ADBC_INGEST_OPTION_TARGET_CATALOG) == 0)
        v = x->target_catalog;
    else if (strcmp(key, ADBC_INGEST_OPTION_TARGET_DB_SCHEMA) == 0)
        v = x->target_schema;
    else if (strcmp(key, ADBC_INGEST_OPTION_MODE) == 0)
        v = x->mode;
    else if (strcmp(key, ADBC_INGEST_OPTION_TEMPORARY) == 0 || strcmp(key, ADBC_STATEMENT_OPTION_INCREMENTAL) == 0)
        v = ADBC_OPTION_VALUE_DISABLED;
    char number[24];
    if (strcmp(key, PARTITIONS_OPTION) == 0) {
        snprintf(number, sizeof number, "%lld", (long long)x->max_parts);
        v = number;
    }
    return v ? option_out(v, value, length, err) : option_not_found(key, err);
}

/* The only options that are numbers by nature. Nothing known of the total is 0, as the specification says. */
status stmt_get_double(struct AdbcStatement *s, const char *key, double *value, struct AdbcError *err)
{
    stmt *x;
    status st = stmt_of(s, &x, err);
    if (st)
        return st;
    bool total = strcmp(key, ADBC_STATEMENT_OPTION_MAX_PROGRESS) == 0;
    if (!total && strcmp(key, ADBC_STATEMENT_OPTION_PROGRESS) != 0)
        return option_not_found(key, err);
    fz_progress p;
    fz_session_progress(x->l->s, &p);
    *value = (double)(total ? p.bytes_total : p.bytes_done);
    return ADBC_STATUS_OK;
}
