/*
 * stream.c: rows of the engine as streams that outlive statement, connection and database; and small results as texts, for the
 * metadata functions.
 */
#include "adbc/adbc_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- streams ---- */

typedef struct rows {
    conn *l;
    fz_result *r;
    status code;             /* of the failure that is in err */
    struct AdbcError err;
} rows;

static int errno_of(status code)
{
    switch (code) {
    case ADBC_STATUS_CANCELLED:
        return ECANCELED;
    case ADBC_STATUS_NOT_IMPLEMENTED:
        return ENOTSUP;
    case ADBC_STATUS_IO:
        return EIO;
    case ADBC_STATUS_TIMEOUT:
        return ETIMEDOUT;
    case ADBC_STATUS_NOT_FOUND:
        return ENOENT;
    case ADBC_STATUS_INTERNAL:
        return ENOMEM;
    default:
        return EINVAL;
    }
}

static int settle(rows *x, fz_status st, const fz_error *e)
{
    if (!st)
        return 0;
    x->code = fail_fz(&x->err, e);
    return errno_of(x->code);
}

static int rows_schema(struct ArrowArrayStream *s, struct ArrowSchema *out)
{
    rows *x = s->private_data;
    fz_error e;
    pthread_mutex_lock(&x->l->lock);
    fz_status st = fz_result_schema(x->r, out, &e);
    pthread_mutex_unlock(&x->l->lock);
    return settle(x, st, &e);
}

static int rows_next(struct ArrowArrayStream *s, struct ArrowArray *out)
{
    rows *x = s->private_data;
    fz_error e;
    pthread_mutex_lock(&x->l->lock);
    fz_status st = fz_result_next(x->r, out, &e);
    pthread_mutex_unlock(&x->l->lock);
    return settle(x, st, &e);
}

static const char *rows_error(struct ArrowArrayStream *s)
{
    rows *x = s->private_data;
    return x->code ? x->err.message : NULL;
}

static void rows_release(struct ArrowArrayStream *s)
{
    rows *x = s->private_data;
    pthread_mutex_lock(&x->l->lock);
    fz_result_release(x->r);
    pthread_mutex_unlock(&x->l->lock);
    conn_unref(x->l);
    error_clear(&x->err);
    free(x);
    s->release = NULL;
}

status stream_of_result(conn *l, fz_result *r, struct ArrowArrayStream *out, struct AdbcError *err)
{
    rows *x = calloc(1, sizeof *x);
    if (!x) {
        fz_result_release(r);
        return fail_nomem(err);
    }
    *x = (rows){.l = conn_ref(l), .r = r, .err = ADBC_ERROR_INIT};
    *out = (struct ArrowArrayStream){rows_schema, rows_next, rows_error, rows_release, x};
    return ADBC_STATUS_OK;
}

const struct AdbcError *stream_failure(struct ArrowArrayStream *s, status *code)
{
    if (!s || s->release != rows_release)
        return s && s->release ? many_failure(s, code) : NULL;
    const rows *x = s->private_data;
    if (!x->code)
        return NULL;
    if (code)
        *code = x->code;
    return &x->err;
}

/* ---- texts ---- */

static char *cell_text(const struct ArrowArray *a, int64_t row)
{
    const unsigned char *valid = a->buffers[0];
    int64_t at = row + a->offset;
    if (valid && !(valid[at / 8] >> at % 8 & 1))
        return NULL;
    const int32_t *offsets = a->buffers[1];
    size_t n = (size_t)(offsets[at + 1] - offsets[at]);
    char *z = malloc(n + 1);
    if (!z)
        return NULL;
    if (n)
        memcpy(z, (const char *)a->buffers[2] + offsets[at], n);
    z[n] = 0;
    return z;
}

static bool take(texts *t, const struct ArrowArray *a)
{
    size_t n = (t->nrows + (size_t)a->length) * t->ncols;
    char **more = realloc(t->cells, (n + 1) * sizeof *more);
    if (!more)
        return false;
    t->cells = more;
    for (int64_t i = 0; i < a->length; i++, t->nrows++)
        for (uint32_t c = 0; c < t->ncols; c++)
            t->cells[t->nrows * t->ncols + c] = cell_text(a->children[c], i + a->offset);
    return true;
}

status conn_texts(conn *l, const char *sql, texts *out, struct AdbcError *err)
{
    *out = (texts){0};
    fz_result *r;
    fz_error e;
    struct ArrowSchema schema;
    status st = ADBC_STATUS_OK;
    if (fz_execute(l->s, sql, NULL, NULL, &r, &e))
        return fail_fz(err, &e);
    if (fz_result_schema(r, &schema, &e)) {
        fz_result_release(r);
        return fail_fz(err, &e);
    }
    out->ncols = (uint32_t)schema.n_children;
    for (int64_t i = 0; i < schema.n_children && !st; i++)
        if (strcmp(schema.children[i]->format, "u") != 0)
            st = fail(err, ADBC_STATUS_INTERNAL, NULL, "a column of metadata isn't text");
    schema.release(&schema);
    while (!st) {
        struct ArrowArray a;
        if (fz_result_next(r, &a, &e)) {
            st = fail_fz(err, &e);
        } else if (!a.release) {
            break;
        } else {
            if (!take(out, &a))
                st = fail_nomem(err);
            a.release(&a);
        }
    }
    fz_result_release(r);
    if (st)
        texts_free(out);
    return st;
}

void texts_free(texts *t)
{
    for (size_t i = 0; i < t->nrows * t->ncols; i++)
        free(t->cells[i]);
    free(t->cells);
    *t = (texts){0};
}

/* ---- statements as texts ---- */

static void add(text *t, const char *p, size_t n)
{
    if (t->failed)
        return;
    if (t->cap - t->n < n + 1) {
        size_t cap = (t->n + n + 1) * 2;
        char *more = realloc(t->p, cap);
        if (!more) {
            t->failed = true;
            return;
        }
        t->p = more;
        t->cap = cap;
    }
    memcpy(t->p + t->n, p, n);
    t->n += n;
    t->p[t->n] = 0;
}

void text_add(text *t, const char *z)
{
    add(t, z, strlen(z));
}

static void quoted(text *t, const char *z, char quote)
{
    add(t, &quote, 1);
    for (; *z; z++) {
        if (*z == quote)
            add(t, &quote, 1);
        add(t, z, 1);
    }
    add(t, &quote, 1);
}

void text_ident(text *t, const char *name)
{
    quoted(t, name, '"');
}

void text_literal(text *t, const char *value)
{
    quoted(t, value, '\'');
}

void text_table(text *t, const char *catalog, const char *schema, const char *name)
{
    const char *parts[] = {catalog, schema, name};
    for (int i = 0; i < 3; i++)
        if (parts[i] && (*parts[i] || i == 2)) {
            text_ident(t, parts[i]);
            if (i < 2)
                add(t, ".", 1);
        }
}
