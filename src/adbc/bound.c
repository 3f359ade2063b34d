/*
 * bound.c: a statement with parameters, executed for every row that is bound.
 *
 * Rows of a query are executed one after the other as the stream is read; the first at once, so that errors come from the
 * execution. INSERT … VALUES (…) of one row of parameters becomes one insert of all rows: INSERT … SELECT from the bound data, where each
 * parameter's type is the one that is bound, so that nothing has to be converted as a parameter would be. Any other statement runs
 * row by row, in one transaction.
 */
#include "adbc/adbc_int.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- rows of what is bound ---- */

typedef struct cursor {
    struct ArrowArrayStream in;
    struct ArrowSchema schema;
    struct ArrowArray chunk;     /* release NULL: none */
    int64_t row;
} cursor;

static status stream_failed(struct ArrowArrayStream *in, int code, struct AdbcError *err)
{
    const char *why = in->get_last_error(in);
    return fail(err, code == ECANCELED ? ADBC_STATUS_CANCELLED : ADBC_STATUS_INVALID_DATA, NULL, "the bound data can't be read: %s",
                why ? why : strerror(code));
}

/* Takes the stream, also on failure. */
static status cursor_open(cursor *c, struct ArrowArrayStream *in, struct AdbcError *err)
{
    *c = (cursor){.in = *in};
    in->release = NULL;
    int code = c->in.get_schema(&c->in, &c->schema);
    if (!code)
        return ADBC_STATUS_OK;
    c->schema.release = NULL;
    return stream_failed(&c->in, code, err);
}

static void cursor_close(cursor *c)
{
    if (c->chunk.release)
        c->chunk.release(&c->chunk);
    if (c->schema.release)
        c->schema.release(&c->schema);
    if (c->in.release)
        c->in.release(&c->in);
}

static void keep(struct ArrowArray *a)
{
    a->release = NULL; /* it lies in the chunk */
}

/* The next row as parameters; it is valid until the one after. *got false: there is none. */
static status cursor_next(cursor *c, struct ArrowArray *row, struct ArrowSchema *schema, bool *got, struct AdbcError *err)
{
    *got = false;
    while (!c->chunk.release || c->row == c->chunk.length) {
        if (c->chunk.release)
            c->chunk.release(&c->chunk);
        c->chunk.release = NULL;
        c->row = 0;
        int code = c->in.get_next(&c->in, &c->chunk);
        if (code) {
            c->chunk.release = NULL;
            return stream_failed(&c->in, code, err);
        }
        if (!c->chunk.release)
            return ADBC_STATUS_OK;
    }
    if (!adbc_schema_copy(&c->schema, schema))
        return fail_nomem(err);
    *row = c->chunk;
    row->offset += c->row++;
    row->length = 1;
    row->null_count = -1;
    row->release = keep;
    *got = true;
    return ADBC_STATUS_OK;
}

/* Runs the statement for the next row; *r NULL: there is none. */
static status run_next(conn *l, const char *sql, cursor *c, fz_result **r, struct AdbcError *err)
{
    struct ArrowSchema schema;
    struct ArrowArray row;
    bool got;
    *r = NULL;
    status st = cursor_next(c, &row, &schema, &got, err);
    if (st || !got)
        return st;
    fz_params p = {&schema, &row};
    st = conn_run(l, sql, &p, r, err);
    if (!st && !*r)
        st = fail(err, ADBC_STATUS_INVALID_ARGUMENT, "42601", "the text holds no statement");
    return st;
}

/* ---- rows of several executions as one stream ---- */

typedef struct many {
    conn *l;
    char *sql;
    cursor c;
    fz_result *r;                /* NULL: the rows are at their end */
    struct ArrowSchema schema;   /* of the first execution, or what the statement would give */
    status code;
    struct AdbcError err;
} many;

static bool same_types(const struct ArrowSchema *a, const struct ArrowSchema *b)
{
    if (strcmp(a->format, b->format) != 0 || a->n_children != b->n_children)
        return false;
    for (int64_t i = 0; i < a->n_children; i++)
        if (!same_types(a->children[i], b->children[i]))
            return false;
    return true;
}

static status check_schema(many *x)
{
    struct ArrowSchema now;
    fz_error e;
    if (fz_result_schema(x->r, &now, &e))
        return fail_fz(&x->err, &e);
    bool same = same_types(&x->schema, &now);
    now.release(&now);
    return same ? ADBC_STATUS_OK
                : fail(&x->err, ADBC_STATUS_INVALID_DATA, "42804", "the result has other types for this row of parameters than for the first one");
}

static status many_step(many *x, struct ArrowArray *out)
{
    fz_error e;
    out->release = NULL;
    while (x->r) {
        if (fz_result_next(x->r, out, &e))
            return fail_fz(&x->err, &e);
        if (out->release)
            return ADBC_STATUS_OK;
        fz_result_release(x->r);
        x->r = NULL;
        status st = run_next(x->l, x->sql, &x->c, &x->r, &x->err);
        if (!st && x->r)
            st = check_schema(x);
        if (st)
            return st;
    }
    return ADBC_STATUS_OK;
}

static int many_next(struct ArrowArrayStream *s, struct ArrowArray *out)
{
    many *x = s->private_data;
    pthread_mutex_lock(&x->l->lock);
    status st = many_step(x, out);
    pthread_mutex_unlock(&x->l->lock);
    x->code = st ? st : x->code;
    return !st ? 0 : st == ADBC_STATUS_CANCELLED ? ECANCELED : EINVAL;
}

static int many_schema(struct ArrowArrayStream *s, struct ArrowSchema *out)
{
    many *x = s->private_data;
    return adbc_schema_copy(&x->schema, out) ? 0 : ENOMEM;
}

static const char *many_error(struct ArrowArrayStream *s)
{
    many *x = s->private_data;
    return x->code ? x->err.message : NULL;
}

/* With the lock held. */
static void many_free(many *x)
{
    fz_result_release(x->r);
    cursor_close(&x->c);
    if (x->schema.release)
        x->schema.release(&x->schema);
    error_clear(&x->err);
    free(x->sql);
    free(x);
}

static void many_release(struct ArrowArrayStream *s)
{
    many *x = s->private_data;
    conn *l = x->l;
    pthread_mutex_lock(&l->lock);
    many_free(x);
    pthread_mutex_unlock(&l->lock);
    conn_unref(l);
    s->release = NULL;
}

const struct AdbcError *many_failure(struct ArrowArrayStream *s, status *code)
{
    const many *x = s->release == many_release ? s->private_data : NULL;
    if (!x || !x->code)
        return NULL;
    if (code)
        *code = x->code;
    return &x->err;
}

/* Takes the cursor; the statement gives rows. */
static status rows_of_many(stmt *x, cursor *c, struct ArrowArrayStream *out, struct AdbcError *err)
{
    fz_error e;
    many *m = calloc(1, sizeof *m);
    if (!m || !(m->sql = strdup(x->sql))) {
        free(m);
        cursor_close(c);
        return fail_nomem(err);
    }
    m->l = x->l;
    m->c = *c;
    m->err = ADBC_ERROR_INIT;
    status st = run_next(m->l, m->sql, &m->c, &m->r, err);
    if (!st && (m->r ? fz_result_schema(m->r, &m->schema, &e) : fz_describe(m->l->s, m->sql, &m->c.schema, &m->schema, NULL, &e)))
        st = fail_fz(err, &e);
    if (st) {
        many_free(m);
        return st;
    }
    conn_ref(m->l);
    *out = (struct ArrowArrayStream){many_schema, many_next, many_error, many_release, m};
    return ADBC_STATUS_OK;
}

/* ---- INSERT … VALUES as one insert ---- */

/* Skips what isn't code at p: texts, quoted names, comments. Returns p where it is code. */
static const char *skip(const char *p)
{
    if (*p == '\'' || *p == '"') {
        char q = *p;
        for (p++; *p; p++)
            if (*p == q && *++p != q)
                return p;
        return p;
    }
    if (p[0] == '-' && p[1] == '-')
        return p + strcspn(p, "\n");
    if (p[0] == '/' && p[1] == '*') {
        int depth = 0;
        do {
            if (p[0] == '/' && p[1] == '*') {
                depth++;
                p += 2;
            } else if (p[0] == '*' && p[1] == '/') {
                depth--;
                p += 2;
            } else if (*p) {
                p++;
            }
        } while (depth && *p);
        return p;
    }
    return p;
}

static bool is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || (unsigned char)c >= 0x80;
}

static const char *find_word(const char *p, const char *word)
{
    int depth = 0;
    size_t n = strlen(word);
    for (char before = ' '; *p;) {
        const char *after = skip(p);
        if (after != p) {
            before = ' ';
            p = after;
            continue;
        }
        depth += (*p == '(') - (*p == ')');
        if (!depth && !is_word(before) && strncasecmp(p, word, n) == 0 && !is_word(p[n]))
            return p;
        before = *p++;
    }
    return NULL;
}

/* Writes the tuple that begins at p with its parameters as columns of the bound data; the end of it is returned, NULL: something else
 * stands there. A text that the driver doesn't see through ($$…$$, E'…') is left to the row-by-row way. */
static const char *write_tuple(const char *p, int64_t n_columns, text *out)
{
    int depth = 0;
    int64_t at = 0;
    while (*p) {
        const char *after = skip(p);
        char part[32];
        if (after != p) {
            if (p[-1] == 'e' || p[-1] == 'E')
                return NULL;
            for (; p < after; p++)
                text_add(out, (char[]){*p, 0});
            continue;
        }
        if (*p == '?' || *p == '$') {
            int64_t which = ++at;
            if (*p == '$') {
                char *end;
                which = strtoll(p + 1, &end, 10);
                if (end == p + 1)
                    return NULL;
                p = end;
            } else {
                p++;
            }
            if (which < 1 || which > n_columns)
                return NULL;
            snprintf(part, sizeof part, "\"p%lld\"", (long long)which);
            text_add(out, part);
            continue;
        }
        depth += (*p == '(') - (*p == ')');
        if (depth || *p != ')')
            text_add(out, *p == '(' && depth == 1 ? "" : (char[]){*p, 0});
        p++;
        if (!depth)
            return p;
    }
    return NULL;
}

/* The statement as an insert from the bound data; p NULL: it isn't INSERT … VALUES of one row. */
static text as_one_insert(const char *sql, int64_t n_columns)
{
    text t = {0};
    const char *p = sql;
    while (*p == ' ' || *p == '\n' || *p == '\t' || *p == '\r' || skip(p) != p)
        p = skip(p) != p ? skip(p) : p + 1;
    const char *values = strncasecmp(p, "insert", 6) == 0 ? find_word(p, "values") : NULL;
    if (!values || find_word(p, "select"))
        return t;
    const char *tuple = values + strlen("values");
    tuple += strspn(tuple, " \t\r\n");
    if (*tuple != '(')
        return t;
    for (const char *q = sql; q < values; q++)
        text_add(&t, (char[]){*q, 0});
    text_add(&t, "SELECT ");
    const char *end = write_tuple(tuple, n_columns, &t);
    while (end && (*end == ' ' || *end == '\n' || *end == '\t' || *end == '\r' || *end == ';' || skip(end) != end))
        end = skip(end) != end ? skip(end) : end + 1;
    text_add(&t, " FROM ");
    text_ident(&t, OFFERED);
    if (!end || *end || t.failed) {
        free(t.p);
        return (text){0};
    }
    return t;
}

/* Whether every parameter wants the type that is bound. */
static bool types_fit(conn *l, const char *sql, const struct ArrowSchema *bound)
{
    struct ArrowSchema wanted;
    if (fz_describe(l->s, sql, bound, NULL, &wanted, NULL))
        return false;
    bool fit = wanted.n_children == bound->n_children;
    for (int64_t i = 0; i < bound->n_children && fit; i++)
        fit = !bound->children[i]->dictionary && same_types(wanted.children[i], bound->children[i]);
    wanted.release(&wanted);
    return fit;
}

/* The bound data with columns named p1, p2, … */
typedef struct renamed { cursor c; } renamed;

static int renamed_schema(struct ArrowArrayStream *s, struct ArrowSchema *out)
{
    renamed *x = s->private_data;
    struct ArrowSchema *own = &x->c.schema, named;
    if (!adbc_struct(&named, 0))
        return ENOMEM;
    if (!(named.children = calloc((size_t)own->n_children + 1, sizeof *named.children))) {
        named.release(&named);
        return ENOMEM;
    }
    for (int64_t i = 0; i < own->n_children; i++) {
        char name[32];
        snprintf(name, sizeof name, "p%lld", (long long)i + 1);
        struct ArrowSchema *c = adbc_renamed(own->children[i], name);
        if (!c) {
            named.release(&named);
            return ENOMEM;
        }
        named.children[named.n_children++] = c;
    }
    *out = named;
    return 0;
}

static int renamed_next(struct ArrowArrayStream *s, struct ArrowArray *out)
{
    renamed *x = s->private_data;
    return x->c.in.get_next(&x->c.in, out);
}

static const char *renamed_error(struct ArrowArrayStream *s)
{
    renamed *x = s->private_data;
    return x->c.in.get_last_error(&x->c.in);
}

static void renamed_release(struct ArrowArrayStream *s)
{
    renamed *x = s->private_data;
    cursor_close(&x->c);
    free(x);
    s->release = NULL;
}

/* Takes the cursor. */
static status insert_all(conn *l, const char *sql, cursor *c, int64_t *rows, struct AdbcError *err)
{
    renamed *x = malloc(sizeof *x);
    if (!x) {
        cursor_close(c);
        return fail_nomem(err);
    }
    x->c = *c;
    struct ArrowArrayStream in = {renamed_schema, renamed_next, renamed_error, renamed_release, x};
    status st = conn_run_offered(l, sql, &in, rows, err);
    if (in.release)
        in.release(&in);
    return st;
}

/* ---- row by row ---- */

/* Takes the cursor. All rows or none: where there is no transaction it has one of its own. */
static status each_row(conn *l, const char *sql, cursor *c, int64_t *rows, struct AdbcError *err)
{
    fz_result *r;
    bool own = !fz_session_transaction(l->s) && !l->manual;
    status st = own ? conn_run(l, "BEGIN", NULL, &r, err) : ADBC_STATUS_OK;
    if (own && !st)
        fz_result_release(r);
    *rows = 0;
    while (!st) {
        st = run_next(l, sql, c, &r, err);
        if (st || !r)
            break;
        int64_t n = fz_result_rows_affected(r);
        *rows = n < 0 || *rows < 0 ? -1 : *rows + n;
        fz_result_release(r);
    }
    cursor_close(c);
    if (own && fz_session_transaction(l->s)) {
        struct AdbcError second = ADBC_ERROR_INIT;
        status end = conn_run(l, st ? "ROLLBACK" : "COMMIT", NULL, &r, st ? &second : err);
        if (!end)
            fz_result_release(r);
        error_clear(&second);
        st = st ? st : end;
    }
    return st;
}

status run_bound(stmt *x, struct ArrowArrayStream *out, int64_t *rows, struct AdbcError *err)
{
    cursor c;
    struct ArrowSchema columns;
    fz_error e;
    status st = cursor_open(&c, &x->bound, err);
    if (st) {
        cursor_close(&c);
        return st;
    }
    if (fz_describe(x->l->s, x->sql, &c.schema, &columns, NULL, &e)) {
        cursor_close(&c);
        return fail_fz(err, &e);
    }
    bool gives_rows = columns.n_children > 0;
    columns.release(&columns);
    if (gives_rows && out)
        return rows_of_many(x, &c, out, err);
    text one = types_fit(x->l, x->sql, &c.schema) ? as_one_insert(x->sql, c.schema.n_children) : (text){0};
    st = one.p ? insert_all(x->l, one.p, &c, rows, err) : each_row(x->l, x->sql, &c, rows, err);
    free(one.p);
    if (!st && out) {
        struct ArrowSchema s;
        struct ArrowArray a = {0};
        st = adbc_struct(&s, 0) && stream_of_array(&s, &a, out) ? ADBC_STATUS_OK : fail_nomem(err);
    }
    return st;
}
