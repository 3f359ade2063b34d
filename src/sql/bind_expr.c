/* bind_expr.c: trees of the parser to typed expressions; calls are in bind_call.c, casts in bind_cast.c. */
#include "sql/bind_int.h"

fz_status expr_bool(binder *b, expr_kind kind, sql_pos pos, uint32_t n, const expr *const *args, const expr **out)
{
    expr *e = expr_make(b, kind, TYPE(T_BOOL), pos);
    if (!e)
        return FZ_NOMEM;
    TRY(expr_args(b, e, n, args));
    *out = e;
    expr_fold_in_place(b, out);
    return FZ_OK;
}

fz_status expr_conjunction(binder *b, const expr *x, const expr *y, const expr **out)
{
    const expr *args[2] = {x, y};
    *out = x ? x : y;
    return x && y ? expr_bool(b, EX_AND, (sql_pos){x->line, x->column}, 2, args, out) : FZ_OK;
}

fz_status bind_bool(bind_ctx *c, const ast_expr *e, const expr **out)
{
    char what[64], have[64];
    TRY(bind_expr(c, e, out));
    if ((*out)->t.id == T_BOOL)
        return FZ_OK;
    if (expr_is_literal(*out))
        return expr_must_cast(c->b, *out, TYPE(T_BOOL), c->clause, out);
    (void)what;
    type_name_z((*out)->t, have, sizeof have);
    return bind_fail(c->b, FZ_INVALID, "42804", e->pos, "a condition has to be boolean, this is %s", have);
}

static fz_status bind_literal(bind_ctx *c, const ast_expr *e, const expr **out)
{
    datum d = e->value;
    expr *k = expr_make(c->b, EX_CONST, d.t, e->pos);
    if (!k)
        return FZ_NOMEM;
    if (!d.null && type_phys(d.t) == PHYS_STR) { /* the plan may outlive the statement's text */
        char *copy = arena_strndup(c->b->a, d.s.p, d.s.n);
        if (!copy)
            return error_nomem(c->b->err);
        d.s.p = copy;
        if (d.t.id == T_STRING)
            k->col = LITERAL;
    }
    k->value = d;
    *out = k;
    return FZ_OK;
}

static fz_status bind_param(bind_ctx *c, const ast_expr *e, const expr **out)
{
    binder *b = c->b;
    while (b->n_params <= e->param) {
        type t = TYPE(T_NULL);
        if (b->n_params < b->o->n_params && b->o->param_types)
            t = b->o->param_types[b->n_params];
        BIND_PUSH(b, b->params, b->n_params, b->cap_params, t);
    }
    expr *p = expr_make(b, EX_PARAM, b->params[e->param], e->pos);
    if (!p)
        return FZ_NOMEM;
    p->col = e->param;
    *out = p;
    return FZ_OK;
}

static fz_status bind_logic(bind_ctx *c, const ast_expr *e, const expr **out)
{
    const expr **args = ARENA_ARRAY(c->b->a, const expr *, e->n);
    if (!args)
        return error_nomem(c->b->err);
    for (uint32_t i = 0; i < e->n; i++)
        TRY(bind_bool(c, e->args[i], &args[i]));
    return expr_bool(c->b, e->kind == AX_AND ? EX_AND : e->kind == AX_OR ? EX_OR : EX_NOT, e->pos, e->n, args, out);
}

static fz_status bind_not(binder *b, bool negated, sql_pos pos, const expr **e)
{
    return negated ? expr_bool(b, EX_NOT, pos, 1, e, e) : FZ_OK;
}

/* CASE, both forms; conditions of the short form become comparisons. */
static fz_status bind_case(bind_ctx *c, const ast_expr *e, const expr **out)
{
    binder *b = c->b;
    uint32_t at = e->has_operand, n = e->n - at, pairs = (n - e->has_else) / 2;
    const expr **args = ARENA_ARRAY(b->a, const expr *, 2 * pairs + 1), **values = ARENA_ARRAY(b->a, const expr *, pairs + 1);
    const expr *operand = NULL;
    if (!args || !values)
        return error_nomem(b->err);
    if (e->has_operand)
        TRY(bind_expr(c, e->args[0], &operand));
    for (uint32_t i = 0; i < pairs; i++) {
        const ast_expr *when = e->args[at + 2 * i];
        if (operand) {
            const expr *pair[2] = {operand, NULL};
            TRY(bind_expr(c, when, &pair[1]));
            TRY(expr_function(b, "=", when->pos, 2, pair, &args[2 * i]));
        } else {
            TRY(bind_bool(c, when, &args[2 * i]));
        }
        TRY(bind_expr(c, e->args[at + 2 * i + 1], &values[i]));
    }
    if (e->has_else)
        TRY(bind_expr(c, e->args[e->n - 1], &values[pairs]));
    else
        TRY(expr_const(b, DATUM_NULL(TYPE(T_NULL)), e->pos, &values[pairs]));
    type t;
    TRY(expr_unify(b, pairs + 1, values, "CASE", &t));
    if (t.id == T_NULL) { /* only NULLs */
        t = TYPE(T_STRING);
        for (uint32_t i = 0; i <= pairs; i++)
            TRY(expr_settle(b, &values[i]));
    }
    for (uint32_t i = 0; i < pairs; i++)
        args[2 * i + 1] = values[i];
    args[2 * pairs] = values[pairs];
    expr *k = expr_make(b, EX_CASE, t, e->pos);
    if (!k)
        return FZ_NOMEM;
    TRY(expr_args(b, k, 2 * pairs + 1, args));
    *out = k;
    expr_fold_in_place(b, out);
    return FZ_OK;
}

static fz_status bind_in(bind_ctx *c, const ast_expr *e, const expr **out)
{
    binder *b = c->b;
    const expr **args = ARENA_ARRAY(b->a, const expr *, e->n);
    if (!args)
        return error_nomem(b->err);
    for (uint32_t i = 0; i < e->n; i++)
        TRY(bind_expr(c, e->args[i], &args[i]));
    type t;
    TRY(expr_unify(b, e->n, args, "IN", &t));
    for (uint32_t i = 0; i < e->n && t.id == T_NULL; i++)
        TRY(expr_settle(b, &args[i]));
    TRY(expr_bool(b, EX_IN, e->pos, e->n, args, out));
    return bind_not(b, e->negated, e->pos, out);
}

static fz_status bind_between(bind_ctx *c, const ast_expr *e, const expr **out)
{
    binder *b = c->b;
    const expr *x, *lo, *hi, *pair[2], *both[2];
    TRY(bind_expr(c, e->args[0], &x));
    TRY(bind_expr(c, e->args[1], &lo));
    TRY(bind_expr(c, e->args[2], &hi));
    pair[0] = x;
    pair[1] = lo;
    TRY(expr_function(b, e->negated ? "<" : ">=", e->pos, 2, pair, &both[0]));
    pair[1] = hi;
    TRY(expr_function(b, e->negated ? ">" : "<=", e->pos, 2, pair, &both[1]));
    return expr_bool(b, e->negated ? EX_OR : EX_AND, e->pos, 2, both, out);
}

/* x IS TRUE is coalesce(x, false); IS FALSE coalesce(NOT x, false). */
static fz_status bind_is_bool(bind_ctx *c, const ast_expr *e, const expr **out)
{
    binder *b = c->b;
    const expr *args[2];
    TRY(bind_bool(c, e->args[0], &args[0]));
    TRY(bind_not(b, !e->is_true, e->pos, &args[0]));
    TRY(expr_const(b, (datum){.t = TYPE(T_BOOL), .b = false}, e->pos, &args[1]));
    TRY(expr_bool(b, EX_COALESCE, e->pos, 2, args, out));
    return bind_not(b, e->negated, e->pos, out);
}

static fz_status bind_is_null(bind_ctx *c, const ast_expr *e, const expr **out)
{
    const expr *x;
    TRY(bind_expr(c, e->args[0], &x));
    TRY(expr_settle(c->b, &x));
    return expr_bool(c->b, e->negated ? EX_IS_NOT_NULL : EX_IS_NULL, e->pos, 1, &x, out);
}

static fz_status bind_cast(bind_ctx *c, const ast_expr *e, const expr **out)
{
    binder *b = c->b;
    const expr *x;
    bool ok;
    type t;
    TRY(bind_expr(c, e->args[0], &x));
    if (!type_copy(e->t, b->a, &t)) /* the plan may outlive the statement's tree */
        return error_nomem(b->err);
    if (e->kind == AX_CAST || x->t.id == T_NULL || type_eq(x->t, t)) {
        TRY(expr_cast(b, x, t, CAST_EXPLICIT, &ok, out));
    } else {
        ok = cast_exists(x->t, t);
        expr *k = expr_make(b, EX_TRY_CAST, t, e->pos);
        if (!k)
            return FZ_NOMEM;
        TRY(expr_args(b, k, 1, &x));
        *out = k;
        if (ok)
            expr_fold_in_place(b, out);
    }
    if (ok)
        return FZ_OK;
    char have[128], want[128];
    type_name_z(x->t, have, sizeof have);
    type_name_z(t, want, sizeof want);
    return bind_fail(b, FZ_INVALID, "42846", e->pos, "%s can't be cast to %s", have, want);
}

static fz_status bind_any(bind_ctx *c, const ast_expr *e, const expr **out)
{
    switch ((ast_expr_kind)e->kind) {
    case AX_LITERAL: return bind_literal(c, e, out);
    case AX_NAME: return bind_name(c, e, out);
    case AX_PARAM: return bind_param(c, e, out);
    case AX_CALL: return bind_call(c, e, out);
    case AX_CAST: case AX_TRY_CAST: return bind_cast(c, e, out);
    case AX_AND: case AX_OR: case AX_NOT: return bind_logic(c, e, out);
    case AX_CASE: return bind_case(c, e, out);
    case AX_IN: return bind_in(c, e, out);
    case AX_BETWEEN: return bind_between(c, e, out);
    case AX_IS_NULL: return bind_is_null(c, e, out);
    case AX_IS_BOOL: return bind_is_bool(c, e, out);
    case AX_IN_QUERY: case AX_EXISTS: case AX_SCALAR: return bind_subquery(c, e, out);
    case AX_STAR: return bind_fail(c->b, FZ_SYNTAX, "42601", e->pos, "* can only stand for columns in a select list or in count(*)");
    case AX_INTERVAL:
        return bind_fail(c->b, FZ_UNSUPPORTED, "0A000", e->pos, "an interval that isn't added to or subtracted from a date or timestamp is not supported");
    }
    return bind_fail(c->b, FZ_INTERNAL, "XX000", e->pos, "unknown expression");
}

fz_status bind_expr(bind_ctx *c, const ast_expr *e, const expr **out)
{
    if (++c->b->expr_depth > BIND_EXPR_DEPTH)
        return bind_fail(c->b, FZ_LIMIT, "54001", e->pos, "the statement is nested too deeply");
    TRY(bind_any(c, e, out));
    c->b->expr_depth--;
    return FZ_OK;
}
