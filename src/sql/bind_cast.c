/* bind_cast.c: types of bound expressions: casts, common types, constants folded, parameters that take their type from context. */
#include "sql/bind_int.h"

#include <stdio.h>

void type_name_z(type t, char *out, size_t cap)
{
    sbuf b;
    sbuf_init(&b, NULL);
    if (t.id == T_NULL)
        sbuf_addz(&b, "null");
    else
        type_sql_name(t, &b);
    snprintf(out, cap, "%s", b.p ? b.p : "?");
    sbuf_free(&b);
}

expr *expr_make(binder *b, expr_kind kind, type t, sql_pos pos)
{
    expr *e = ARENA_NEW(b->a, expr);
    if (!e) {
        error_nomem(b->err);
        return NULL;
    }
    e->kind = (uint8_t)kind;
    e->t = t;
    e->line = pos.line;
    e->column = pos.column;
    return e;
}

fz_status expr_args(binder *b, expr *e, uint32_t n, const expr *const *args)
{
    e->args = ARENA_ARRAY(b->a, const expr *, n ? n : 1);
    if (!e->args)
        return error_nomem(b->err);
    memcpy(e->args, args, n * sizeof *args);
    e->n = n;
    return FZ_OK;
}

const expr *expr_column(binder *b, uint32_t col, type t, sql_pos pos)
{
    expr *e = expr_make(b, EX_COLUMN, t, pos);
    if (e)
        e->col = col;
    return e;
}

fz_status expr_const(binder *b, datum d, sql_pos pos, const expr **out)
{
    expr *e = expr_make(b, EX_CONST, d.t, pos);
    if (!e)
        return FZ_NOMEM;
    e->value = d;
    *out = e;
    return FZ_OK;
}

/* ---- folding ---- */

static bool args_constant(const expr *e)
{
    for (uint32_t i = 0; i < e->n; i++)
        if (e->args[i]->kind != EX_CONST)
            return false;
    return e->kind != EX_COLUMN && e->kind != EX_PARAM && e->kind != EX_CONST;
}

static fz_status fold(binder *b, const expr *e, const expr **out, fz_error *err)
{
    datum d;
    expr *k = expr_make(b, EX_CONST, e->t, (sql_pos){e->line, e->column});
    if (!k)
        return FZ_NOMEM;
    TRY(expr_fold(e, b->a, &d, err));
    k->value = d;
    k->value.t = e->t;
    *out = k;
    return FZ_OK;
}

void expr_fold_in_place(binder *b, const expr **e)
{
    if (args_constant(*e) && expr_is_const(*e))
        fold(b, *e, e, NULL);
}

/* ---- casts ---- */

bool expr_is_literal(const expr *e)
{
    return e->t.id == T_NULL || (e->kind == EX_CONST && e->col == LITERAL);
}

static bool is_datetime(type t)
{
    return t.id == T_DATE || t.id == T_TIMESTAMP || t.id == T_TIMESTAMPTZ;
}

static bool cast_allowed(type from, type to, cast_mode mode);

static bool members_allowed(type from, type to, cast_mode mode)
{
    for (uint32_t k = 0; k < to.children->n; k++) {
        uint32_t i = cast_member(from, to, k);
        if (i != UINT32_MAX && !cast_allowed(from.children->f[i].t, to.children->f[k].t, mode))
            return false;
    }
    return true;
}

static bool cast_allowed(type from, type to, cast_mode mode)
{
    if (cast_implicit(from, to))
        return true;
    if (mode == CAST_ASSIGN && cast_members(from, to))
        return members_allowed(from, to, mode);
    if (mode == CAST_IMPLICIT || !cast_exists(from, to))
        return false;
    if (mode == CAST_EXPLICIT)
        return true;
    return (type_is_numeric(from) && type_is_numeric(to)) || to.id == T_STRING || (is_datetime(from) && is_datetime(to)) ||
           (from.id == T_BINARY && (to.id == T_FIXED || to.id == T_UUID));
}

/* A parameter without a type takes the one that is wanted here. */
static fz_status param_cast(binder *b, const expr *e, type t, const expr **out)
{
    expr *p = expr_make(b, EX_PARAM, t, (sql_pos){e->line, e->column});
    if (!p)
        return FZ_NOMEM;
    p->col = e->col;
    if (b->params[e->col].id == T_NULL)
        b->params[e->col] = t;
    *out = p;
    return FZ_OK;
}

/* A constructor of another type: of members that are cast, so that literals among them still take any type. */
static fz_status constructor_cast(binder *b, const expr *e, type t, cast_mode mode, bool *ok, const expr **out)
{
    uint32_t n = t.id == T_STRUCT ? t.children->n : e->n;
    *ok = cast_members(e->t, t) && (mode != CAST_IMPLICIT || t.id != T_STRUCT || e->n == n);
    if (!*ok)
        return FZ_OK;
    expr *c = expr_make(b, EX_CALL, t, (sql_pos){e->line, e->column});
    if (!c)
        return FZ_NOMEM;
    c->fn = e->fn;
    c->n = n;
    c->args = ARENA_ARRAY(b->a, const expr *, n ? n : 1);
    if (!c->args)
        return error_nomem(b->err);
    for (uint32_t i = 0; i < n && *ok; i++) {
        uint32_t from = t.id == T_STRUCT ? cast_member(e->t, t, i) : i;
        type want = t.children->f[t.id == T_STRUCT ? i : t.id == T_LIST ? 0 : i % 2].t;
        if (from == UINT32_MAX)
            TRY(expr_const(b, DATUM_NULL(want), (sql_pos){e->line, e->column}, &c->args[i]));
        else
            TRY(expr_cast(b, e->args[from], want, mode, ok, &c->args[i]));
    }
    *out = c;
    return FZ_OK;
}

fz_status expr_cast(binder *b, const expr *e, type t, cast_mode mode, bool *ok, const expr **out)
{
    *ok = true;
    *out = e;
    if (type_eq(e->t, t)) {
        if (e->kind == EX_CONST && e->col == LITERAL && mode == CAST_EXPLICIT) { /* '…'::text is text for good */
            expr *k = expr_make(b, EX_CONST, t, (sql_pos){e->line, e->column});
            if (!k)
                return FZ_NOMEM;
            k->value = e->value;
            *out = k;
        }
        return FZ_OK;
    }
    if (e->kind == EX_PARAM && e->t.id == T_NULL)
        return param_cast(b, e, t, out);
    if (e->kind == EX_CONST && e->value.null)
        return expr_const(b, DATUM_NULL(t), (sql_pos){e->line, e->column}, out);
    if (type_is_nested(t) && e->kind == EX_CALL && e->fn == func_constructor(t.id))
        return constructor_cast(b, e, t, mode, ok, out);
    bool literal = e->kind == EX_CONST && e->col == LITERAL;
    *ok = literal ? cast_exists(e->t, t) : cast_allowed(e->t, t, mode);
    if (!*ok)
        return FZ_OK;
    expr *c = expr_make(b, EX_CAST, t, (sql_pos){e->line, e->column});
    if (!c)
        return FZ_NOMEM;
    TRY(expr_args(b, c, 1, &e));
    *out = c;
    if (literal && mode != CAST_EXPLICIT) { /* it can't mean anything else: say so now, not when a row comes by */
        fz_status st = fold(b, c, out, b->err);
        if (st != FZ_OK)
            error_line(b->err, e->line, e->column);
        return st;
    }
    expr_fold_in_place(b, out);
    return FZ_OK;
}

fz_status expr_must_cast(binder *b, const expr *e, type t, const char *what, const expr **out)
{
    bool ok;
    char have[128], want[128];
    TRY(expr_cast(b, e, t, CAST_IMPLICIT, &ok, out));
    if (ok)
        return FZ_OK;
    type_name_z(e->t, have, sizeof have);
    type_name_z(t, want, sizeof want);
    return bind_fail(b, FZ_INVALID, "42804", (sql_pos){e->line, e->column}, "%s has to be %s, this is %s", what, want, have);
}

fz_status expr_unify(binder *b, uint32_t n, const expr **list, const char *what, type *out)
{
    type t = TYPE(T_NULL), joint;
    for (uint32_t i = 0; i < n; i++) {
        if (expr_is_literal(list[i]))
            continue;
        if (!type_common_in(b->a, t, list[i]->t, &joint)) {
            char x[128], y[128];
            type_name_z(t, x, sizeof x);
            type_name_z(list[i]->t, y, sizeof y);
            fz_status st = bind_fail(b, FZ_INVALID, "42804", (sql_pos){list[i]->line, list[i]->column}, "%s can't have both %s and %s", what, x, y);
            error_hint(b->err, "cast one to the other's type: x::%s", x);
            return st;
        }
        t = joint;
    }
    for (uint32_t i = 0; i < n && t.id == T_NULL; i++)
        if (list[i]->t.id == T_STRING)
            t = list[i]->t;
    *out = t;
    if (t.id == T_NULL)
        return FZ_OK; /* nothing but NULLs: whoever uses them decides */
    for (uint32_t i = 0; i < n; i++) {
        bool ok;
        TRY(expr_cast(b, list[i], t, CAST_EXPLICIT, &ok, &list[i])); /* decimals may have to give up digits for 38 in all */
        if (!ok)
            return bind_fail(b, FZ_INVALID, "42804", (sql_pos){list[i]->line, list[i]->column}, "%s has values that have no common type", what);
    }
    return FZ_OK;
}

/* The type with text where it has no type yet; *changed stays as it is where there is no such place. */
static fz_status type_settle(binder *b, type t, bool *changed, type *out)
{
    *out = t;
    if (t.id == T_NULL) {
        *out = TYPE(T_STRING);
        *changed = true;
    }
    if (!type_is_nested(t))
        return FZ_OK;
    bool inside = false;
    type_fields *f = arena_alloc(b->a, sizeof *f + t.children->n * sizeof f->f[0]);
    if (!f)
        return error_nomem(b->err);
    memcpy(f, t.children, sizeof *f + t.children->n * sizeof f->f[0]);
    for (uint32_t i = 0; i < f->n; i++)
        TRY(type_settle(b, f->f[i].t, &inside, &f->f[i].t));
    if (inside)
        out->children = f;
    *changed |= inside;
    return FZ_OK;
}

fz_status expr_settle(binder *b, const expr **e)
{
    bool ok, open = false;
    type t;
    TRY(type_settle(b, (*e)->t, &open, &t));
    return open ? expr_cast(b, *e, t, t.id == T_STRING ? CAST_IMPLICIT : CAST_EXPLICIT, &ok, e) : FZ_OK;
}
