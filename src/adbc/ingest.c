/*
 * ingest.c: bound data into a table, as one statement that reads it as a table: CREATE TABLE … AS, INSERT by the names of the
 * columns, or CREATE OR REPLACE TABLE … AS.
 */
#include "adbc/adbc_int.h"

#include <stdlib.h>
#include <string.h>

static status target_exists(stmt *x, bool *out, struct AdbcError *err)
{
    text t = {0};
    text_add(&t, "SELECT * FROM ");
    text_table(&t, NULL, x->target_schema, x->target);
    status st = t.failed ? fail_nomem(err) : conn_exists(x->l, t.p, out, err);
    free(t.p);
    return st;
}

static status insert_text(stmt *x, const struct ArrowSchema *s, text *t, struct AdbcError *err)
{
    text_add(t, "INSERT INTO ");
    text_table(t, NULL, x->target_schema, x->target);
    for (int64_t i = 0; i < s->n_children; i++) {
        text_add(t, i ? ", " : " (");
        text_ident(t, s->children[i]->name ? s->children[i]->name : "");
    }
    text_add(t, s->n_children ? ") SELECT * FROM " : " SELECT * FROM ");
    text_ident(t, OFFERED);
    return t->failed ? fail_nomem(err) : ADBC_STATUS_OK;
}

static status create_text(stmt *x, bool or_replace, text *t, struct AdbcError *err)
{
    text_add(t, or_replace ? "CREATE OR REPLACE TABLE " : "CREATE TABLE ");
    text_table(t, NULL, x->target_schema, x->target);
    text_add(t, " AS SELECT * FROM ");
    text_ident(t, OFFERED);
    return t->failed ? fail_nomem(err) : ADBC_STATUS_OK;
}

static status ingest_text(stmt *x, text *t, struct AdbcError *err)
{
    bool append = strcmp(x->mode, ADBC_INGEST_OPTION_MODE_APPEND) == 0;
    if (strcmp(x->mode, ADBC_INGEST_OPTION_MODE_CREATE_APPEND) == 0) {
        status st = target_exists(x, &append, err);
        if (st)
            return st;
    }
    if (!append)
        return create_text(x, strcmp(x->mode, ADBC_INGEST_OPTION_MODE_REPLACE) == 0, t, err);
    struct ArrowSchema s;
    int code = x->bound.get_schema(&x->bound, &s);
    if (code) {
        const char *why = x->bound.get_last_error(&x->bound);
        return fail(err, ADBC_STATUS_INVALID_DATA, NULL, "the bound data can't be read: %s", why ? why : strerror(code));
    }
    status st = insert_text(x, &s, t, err);
    s.release(&s);
    return st;
}

status run_ingest(stmt *x, int64_t *rows, struct AdbcError *err)
{
    text t = {0};
    struct ArrowArrayStream in = x->bound;
    status st = ADBC_STATUS_OK;
    if (x->target_catalog && strcmp(x->target_catalog, x->l->catalog) != 0)
        st = fail(err, ADBC_STATUS_NOT_FOUND, "3D000", "there is no catalog \"%s\" in this database; it has \"%s\"", x->target_catalog,
                  x->l->catalog);
    if (!st)
        st = conn_begin(x->l, err);
    if (!st)
        st = ingest_text(x, &t, err);
    x->bound.release = NULL;
    if (!st)
        st = conn_run_offered(x->l, t.p, &in, rows, err);
    if (in.release)
        in.release(&in);
    free(t.p);
    return st;
}
