/* bind_name.c: what an identifier means, and what was probably meant where it means nothing. */
#include "sql/bind_int.h"

#include <stdio.h>

int sql_find_name(str name, bool quoted, uint32_t n, const str *names, uint32_t *out)
{
    uint32_t found = 0;
    for (uint32_t i = 0; i < n; i++)
        if (str_eq(names[i], name)) {
            *out = i;
            return 1;
        }
    for (uint32_t i = 0; i < n && !quoted; i++)
        if (str_ieq(names[i], name) && found++ == 0)
            *out = i;
    return found == 0 ? 0 : found == 1 ? 1 : -1;
}

/* Whether `near` is more like a slip of `name` than another word. */
static unsigned near_limit(str name)
{
    return name.n <= 2 ? 1 : name.n <= 5 ? 2 : 3;
}

typedef struct nearest { str name; unsigned distance; } nearest;

static void nearest_add(nearest best[3], str wanted, str name)
{
    unsigned limit = near_limit(wanted);
    unsigned d = str_distance(wanted, name, limit);
    if (d > limit && name.n > wanted.n && wanted.n >= 3 && str_ieq((str){name.p, wanted.n}, wanted))
        d = limit; /* the beginning of a name */
    if (d > limit)
        return;
    for (int i = 0; i < 3; i++)
        if (best[i].name.p && str_eq(best[i].name, name))
            return;
    for (int i = 0; i < 3; i++)
        if (!best[i].name.p || d < best[i].distance) {
            memmove(best + i + 1, best + i, (size_t)(2 - i) * sizeof *best);
            best[i] = (nearest){name, d};
            return;
        }
}

static void nearest_hint(fz_error *err, const nearest best[3])
{
    sbuf b;
    if (!best[0].name.p)
        return;
    sbuf_init(&b, NULL);
    for (int i = 0; i < 3 && best[i].name.p; i++) {
        bool last = i == 2 || !best[i + 1].name.p;
        sbuf_addz(&b, i == 0 ? "" : last ? " or " : ", ");
        sbuf_printf(&b, "\"" STR_FMT "\"", STR_ARG(best[i].name));
    }
    if (!b.failed)
        error_hint(err, "did you mean %s?", b.p);
    sbuf_free(&b);
}

void sql_hint_nearest(fz_error *err, str name, uint32_t n, const str *names)
{
    nearest best[3] = {0};
    for (uint32_t i = 0; i < n && err; i++)
        nearest_add(best, name, names[i]);
    nearest_hint(err, best);
}

fz_status sql_find_column(const sql_ident *id, const row_schema *in, uint32_t *out, fz_error *err)
{
    uint32_t found = 0, first = 0;
    for (uint32_t i = 0; i < in->n; i++)
        if (str_eq(in->cols[i].name, id->name)) {
            *out = i;
            return FZ_OK;
        }
    for (uint32_t i = 0; i < in->n && !id->quoted; i++)
        if (str_ieq(in->cols[i].name, id->name) && found++ == 0)
            first = i;
    *out = first;
    if (found == 1)
        return FZ_OK;
    if (found) {
        error_sql(err, FZ_INVALID, "42702", "\"" STR_FMT "\" could be several columns that differ only in case", STR_ARG(id->name));
        error_line(err, id->pos.line, id->pos.column);
        error_hint(err, "put the one that is meant into double quotes, such as \"" STR_FMT "\"", STR_ARG(in->cols[first].name));
        return FZ_INVALID;
    }
    error_sql(err, FZ_NOT_FOUND, "42703", "there is no column \"" STR_FMT "\"", STR_ARG(id->name));
    error_line(err, id->pos.line, id->pos.column);
    nearest best[3] = {0};
    for (uint32_t i = 0; i < in->n && err; i++)
        nearest_add(best, id->name, in->cols[i].name);
    nearest_hint(err, best);
    return FZ_NOT_FOUND;
}

/* ---- columns of a scope ---- */

static bool ident_matches(const sql_ident *written, const sql_ident *have, bool exact)
{
    return exact || written->quoted ? str_eq(written->name, have->name) : str_ieq(written->name, have->name);
}

/* The first `parts` parts of n are the last ones of the relation's name. */
static bool rel_matches_case(const bind_rel *r, const sql_name *n, uint32_t parts, bool exact)
{
    if (parts > r->name.n)
        return false;
    for (uint32_t i = 0; i < parts; i++)
        if (!ident_matches(&n->parts[i], &r->name.parts[r->name.n - parts + i], exact))
            return false;
    return true;
}

bool rel_matches(const bind_rel *r, const sql_name *n, uint32_t parts)
{
    return rel_matches_case(r, n, parts, false);
}

static uint32_t scope_lookup(const bind_scope *s, const sql_name *n, uint32_t *out);

/* Of n the first `parts` are written as if they named a table; some of them name a column. */
static void column_hint(binder *b, const bind_scope *s, const sql_name *n, uint32_t parts)
{
    uint32_t at;
    char t[128];
    for (uint32_t k = parts; k > 0; k--) {
        sql_name head = {k, n->parts};
        if (!scope_lookup(s, &head, &at))
            continue;
        type of = s->cols[at].t;
        str name = n->parts[k - 1].name;
        type_name_z(of, t, sizeof t);
        if (of.id == T_STRUCT)
            error_hint(b->err, "\"" STR_FMT "\" is a column; its fields are named one by one", STR_ARG(name));
        else if (of.id == T_MAP && k < n->n)
            error_hint(b->err, "\"" STR_FMT "\" is a column of type %s: " STR_FMT "['" STR_FMT "'] is the value of a key", STR_ARG(name), t,
                       STR_ARG(name), STR_ARG(n->parts[k].name));
        else
            error_hint(b->err, "\"" STR_FMT "\" is a column of type %s, which has no fields", STR_ARG(name), t);
        return;
    }
}

fz_status bind_no_relation(binder *b, const bind_scope *s, const sql_name *n, uint32_t parts)
{
    sbuf t;
    sbuf_init(&t, NULL);
    sql_name head = {parts, n->parts};
    sql_name_text(&head, &t);
    fz_status st = bind_fail(b, FZ_NOT_FOUND, "42P01", n->parts[0].pos, "there is no table \"%s\" in FROM", t.p ? t.p : "");
    sbuf_free(&t);
    column_hint(b, s, n, parts);
    nearest best[3] = {0};
    for (uint32_t i = 0; i < s->n_rels; i++)
        if (s->rels[i].name.n)
            nearest_add(best, n->parts[parts - 1].name, s->rels[i].name.parts[s->rels[i].name.n - 1].name);
    nearest_hint(b->err, best);
    return st;
}

/* Counts the columns that the name could mean; *out: the first. With `exact` names match to the letter only. */
static uint32_t scope_find(const bind_scope *s, const sql_name *n, bool exact, uint32_t *out)
{
    const sql_ident *id = &n->parts[n->n - 1];
    uint32_t found = 0;
    for (uint32_t i = 0; i < s->n_cols; i++) {
        const bind_col *c = &s->cols[i];
        if (c->merged && n->n == 1)
            continue;
        bool same = exact || id->quoted ? str_eq(c->name, id->name) : str_ieq(c->name, id->name);
        if (same && (n->n == 1 || rel_matches(&s->rels[c->rel], n, n->n - 1)) && found++ == 0)
            *out = i;
    }
    return found;
}

/* 1 found, 0 none, 2 and more: ambiguous. */
static uint32_t scope_lookup(const bind_scope *s, const sql_name *n, uint32_t *out)
{
    uint32_t found = scope_find(s, n, true, out);
    return found ? found : scope_find(s, n, false, out);
}

static fz_status ambiguous(bind_ctx *c, const sql_name *n)
{
    const sql_ident *id = &n->parts[n->n - 1];
    sbuf t;
    sbuf_init(&t, NULL);
    uint32_t shown = 0;
    for (uint32_t i = 0; i < c->scope->n_cols && shown < 5; i++) {
        const bind_col *col = &c->scope->cols[i];
        const bind_rel *r = &c->scope->rels[col->rel];
        if (!(id->quoted ? str_eq(col->name, id->name) : str_ieq(col->name, id->name)) || (col->merged && n->n == 1))
            continue;
        sbuf_addz(&t, shown++ ? ", " : "");
        if (r->name.n) {
            sql_ident_text(r->name.parts[r->name.n - 1].name, &t);
            sbuf_addc(&t, '.');
        }
        sql_ident_text(col->name, &t);
    }
    fz_status st = bind_fail(c->b, FZ_INVALID, "42702", id->pos, "column \"" STR_FMT "\" is ambiguous", STR_ARG(id->name));
    error_hint(c->b->err, "it could be %s", t.p ? t.p : "");
    sbuf_free(&t);
    return st;
}

static fz_status not_found(bind_ctx *c, const sql_name *n)
{
    const sql_ident *id = &n->parts[n->n - 1];
    uint32_t at, rel = UINT32_MAX;
    for (const bind_scope *o = c->scope->outer; o; o = o->outer)
        for (uint32_t k = n->n; k > 0; k--) {
            sql_name head = {k, n->parts};
            if (scope_lookup(o, &head, &at) && (k == n->n || o->cols[at].t.id == T_STRUCT))
                return bind_fail(c->b, FZ_UNSUPPORTED, "0A000", n->parts[0].pos,
                                 "\"" STR_FMT "\" is a column of the query around: correlated subqueries are not supported",
                                 STR_ARG(n->parts[k - 1].name));
        }
    for (uint32_t i = 0; n->n > 1 && i < c->scope->n_rels && rel == UINT32_MAX; i++)
        if (rel_matches(&c->scope->rels[i], n, n->n - 1))
            rel = i;
    if (n->n > 1 && rel == UINT32_MAX)
        return bind_no_relation(c->b, c->scope, n, n->n - 1);
    fz_status st;
    if (n->n > 1)
        st = bind_fail(c->b, FZ_NOT_FOUND, "42703", id->pos, "\"" STR_FMT "\" has no column \"" STR_FMT "\"",
                       STR_ARG(n->parts[n->n - 2].name), STR_ARG(id->name));
    else
        st = bind_fail(c->b, FZ_NOT_FOUND, "42703", id->pos, "there is no column \"" STR_FMT "\"", STR_ARG(id->name));
    nearest best[3] = {0};
    for (uint32_t i = 0; i < c->scope->n_cols; i++)
        if (rel == UINT32_MAX || c->scope->cols[i].rel == rel)
            nearest_add(best, id->name, c->scope->cols[i].name);
    for (uint32_t i = 0; n->n == 1 && i < c->n_items; i++)
        if (c->items[i].alias.name.p)
            nearest_add(best, id->name, c->items[i].alias.name);
    nearest_hint(c->b->err, best);
    if (!best[0].name.p && id->quoted && c->scope->n_cols)
        error_hint(c->b->err, "double quotes name a column; a text stands in single quotes");
    else if (!best[0].name.p && c->scope->n_cols && c->scope->n_cols <= 12) {
        sbuf t;
        sbuf_init(&t, NULL);
        for (uint32_t i = 0; i < c->scope->n_cols; i++) {
            sbuf_addz(&t, i ? ", " : "");
            sql_ident_text(c->scope->cols[i].name, &t);
        }
        error_hint(c->b->err, "the columns are %s", t.p ? t.p : "");
        sbuf_free(&t);
    }
    return st;
}

/* ---- aliases ---- */

/* An output column, for ORDER BY. */
static fz_status find_out(bind_ctx *c, const sql_ident *id, const expr **out)
{
    for (int fold = 0; fold <= !id->quoted && !*out; fold++)
        for (uint32_t i = 0; i < c->n_outs; i++) {
            if (!(fold ? str_ieq(c->outs[i].name, id->name) : str_eq(c->outs[i].name, id->name)))
                continue;
            if (!*out)
                *out = c->outs[i].e;
            else if (!expr_equal(*out, c->outs[i].e))
                return bind_fail(c->b, FZ_INVALID, "42702", id->pos, "\"" STR_FMT "\" names several columns of the result", STR_ARG(id->name));
        }
    return FZ_OK;
}

/* A select item's alias where no column has the name. */
static fz_status find_item(bind_ctx *c, const sql_ident *id, const expr **out)
{
    for (int fold = 0; fold <= !id->quoted; fold++)
        for (uint32_t i = 0; i < c->n_items; i++) {
            const sql_ident *alias = &c->items[i].alias;
            if (!alias->name.p || !(fold ? str_ieq(alias->name, id->name) : str_eq(alias->name, id->name)))
                continue;
            if (++c->b->n_queries > BIND_QUERIES_MAX)
                return bind_fail(c->b, FZ_LIMIT, "54001", id->pos, "the aliases of this query multiply too far");
            bind_ctx inner = *c;
            inner.n_items = i; /* it sees the items in front of it only */
            return bind_expr(&inner, c->items[i].e, out);
        }
    return FZ_OK;
}

/* The column, output column or alias of that name; *out NULL: there is none. */
static fz_status find_column(bind_ctx *c, const sql_name *n, sql_pos pos, const expr **out)
{
    uint32_t at;
    *out = NULL;
    if (n->n == 1 && c->n_outs && !c->in_agg) {
        TRY(find_out(c, &n->parts[0], out));
        if (*out)
            return FZ_OK;
    }
    uint32_t found = scope_lookup(c->scope, n, &at);
    if (found > 1)
        return ambiguous(c, n);
    if (!found)
        return n->n == 1 ? find_item(c, &n->parts[0], out) : FZ_OK;
    *out = expr_column(c->b, at, c->scope->cols[at].t, pos);
    return *out ? FZ_OK : error_nomem(c->b->err);
}

/* a.b.c: a column of table a.b, else field c of column b of table a, else field c of field b of column a. */
fz_status bind_name(bind_ctx *c, const ast_expr *e, const expr **out)
{
    for (uint32_t k = e->name.n; k > 0; k--) {
        sql_name head = {k, e->name.parts};
        TRY(find_column(c, &head, e->pos, out));
        if (!*out || (k < e->name.n && (*out)->t.id != T_STRUCT))
            continue;
        for (uint32_t i = k; i < e->name.n; i++)
            TRY(expr_field(c->b, *out, &e->name.parts[i], out));
        return FZ_OK;
    }
    return not_found(c, &e->name);
}
