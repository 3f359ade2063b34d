/* bind_call.c: functions, operators and aggregates. */
#include "sql/bind_int.h"

fz_status expr_function_named(binder *b, str fn, sql_pos pos, uint32_t n, const expr *const *args, const expr **out)
{
    type types[16] = {0};
    bool literal[16] = {0};
    const expr *cast[16];
    func_match m;
    if (n > 16)
        return bind_fail(b, FZ_INVALID, "54023", pos, "a function takes at most 16 arguments");
    for (uint32_t i = 0; i < n; i++) {
        types[i] = args[i]->t;
        literal[i] = args[i]->kind == EX_CONST && args[i]->col == LITERAL;
    }
    fz_status st = func_resolve(fn, n, types, literal, &m, b->err);
    if (st != FZ_OK) {
        error_line(b->err, pos.line, pos.column);
        return st;
    }
    for (uint32_t i = 0; i < n; i++) {
        bool ok;
        char have[64], want[64];
        TRY(expr_cast(b, args[i], m.args[i], CAST_EXPLICIT, &ok, &cast[i]));
        if (literal[i] && cast[i]->kind == EX_CAST) /* a text that isn't of the other side's type */
            TRY(expr_cast(b, args[i], m.args[i], CAST_IMPLICIT, &ok, &cast[i]));
        if (ok)
            continue;
        type_name_z(args[i]->t, have, sizeof have);
        type_name_z(m.args[i], want, sizeof want);
        return bind_fail(b, FZ_INVALID, "42804", (sql_pos){args[i]->line, args[i]->column}, STR_FMT " takes %s here, this is %s", STR_ARG(fn),
                         want, have);
    }
    expr *e = expr_make(b, EX_CALL, m.result, pos);
    if (!e)
        return FZ_NOMEM;
    e->fn = m.fn;
    TRY(expr_args(b, e, n, cast));
    *out = e;
    expr_fold_in_place(b, out);
    return FZ_OK;
}

fz_status expr_function(binder *b, const char *fn, sql_pos pos, uint32_t n, const expr *const *args, const expr **out)
{
    return expr_function_named(b, str_of(fn), pos, n, args, out);
}

static fz_status bind_args(bind_ctx *c, const ast_expr *e, const expr ***out)
{
    const expr **args = ARENA_ARRAY(c->b->a, const expr *, e->n ? e->n : 1);
    if (!args)
        return error_nomem(c->b->err);
    for (uint32_t i = 0; i < e->n; i++)
        TRY(bind_expr(c, e->args[i], &args[i]));
    *out = args;
    return FZ_OK;
}

/* ---- aggregates ---- */

static fz_status agg_allowed(bind_ctx *c, const ast_expr *e)
{
    if (c->in_agg)
        return bind_fail(c->b, FZ_INVALID, "42803", e->pos, "aggregates can't be nested");
    if (!c->aggs) {
        fz_status st = bind_fail(c->b, FZ_INVALID, "42803", e->pos, "aggregates can't be used in %s", c->clause);
        if (strcmp(c->clause, "WHERE") == 0)
            error_hint(c->b->err, "a condition on groups stands in HAVING");
        return st;
    }
    return FZ_OK;
}

/* The placeholder of an aggregate, one for all equal ones. */
static fz_status agg_add(bind_ctx *c, const agg_expr *g, str name, sql_pos pos, const expr **out)
{
    bind_aggs *l = c->aggs;
    uint32_t i = 0;
    for (; i < l->n; i++) {
        const agg_expr *h = &l->list[i];
        if (h->fn == g->fn && h->distinct == g->distinct && !h->arg == !g->arg && (!g->arg || expr_equal(g->arg, h->arg)) &&
            !h->filter == !g->filter && (!g->filter || expr_equal(g->filter, h->filter)))
            break;
    }
    if (i == l->n) {
        uint32_t n_names = l->n, cap_names = l->cap;
        BIND_PUSH(c->b, l->names, n_names, cap_names, name);
        BIND_PUSH(c->b, l->list, l->n, l->cap, *g);
    }
    *out = expr_column(c->b, COL_AGG + i, g->t, pos);
    return *out ? FZ_OK : FZ_NOMEM;
}

static fz_status bind_agg(bind_ctx *c, const ast_expr *e, const expr **out)
{
    binder *b = c->b;
    agg_match m;
    agg_expr g = {.distinct = e->distinct, .line = e->pos.line, .column = e->pos.column};
    TRY(agg_allowed(c, e));
    if (e->n > 1)
        return bind_fail(b, FZ_UNSUPPORTED, "0A000", e->pos, STR_FMT " of several arguments is not supported", STR_ARG(e->call.fn));
    if (e->star && !str_eqz(e->call.fn, "count"))
        return bind_fail(b, FZ_INVALID, "42883", e->pos, STR_FMT "(*) doesn't exist; only count takes *", STR_ARG(e->call.fn));
    if (e->distinct && !e->n)
        return bind_fail(b, FZ_SYNTAX, "42601", e->pos, "DISTINCT needs an argument");
    bind_ctx inner = *c;
    inner.in_agg = true;
    const expr *arg = NULL;
    if (e->n) {
        TRY(bind_expr(&inner, e->args[0], &arg));
        TRY(expr_settle(b, &arg));
    }
    fz_status st = agg_resolve(e->call.fn, e->n, arg ? arg->t : TYPE(T_NULL), &m, b->err);
    if (st != FZ_OK) {
        error_line(b->err, e->pos.line, e->pos.column);
        return st;
    }
    if (arg)
        TRY(expr_must_cast(b, arg, m.arg, "the argument", &g.arg));
    if (e->call.filter) {
        inner.clause = "FILTER";
        TRY(bind_bool(&inner, e->call.filter, &g.filter));
    }
    g.fn = m.fn;
    g.t = m.result;
    char *name = arena_strndup(b->a, e->call.fn.p, e->call.fn.n);
    if (!name)
        return error_nomem(b->err);
    return agg_add(c, &g, (str){name, e->call.fn.n}, e->pos, out);
}

/* ---- functions that aren't functions of the executor ---- */

static fz_status bind_coalesce(bind_ctx *c, const ast_expr *e, const expr **out)
{
    binder *b = c->b;
    const expr **args;
    type t;
    if (!e->n)
        return bind_fail(b, FZ_INVALID, "42883", e->pos, STR_FMT " needs an argument", STR_ARG(e->call.fn));
    TRY(bind_args(c, e, &args));
    TRY(expr_unify(b, e->n, args, "COALESCE", &t));
    for (uint32_t i = 0; i < e->n; i++)
        TRY(expr_settle(b, &args[i]));
    *out = args[0];
    if (e->n == 1)
        return FZ_OK;
    expr *k = expr_make(b, EX_COALESCE, args[0]->t, e->pos);
    if (!k)
        return FZ_NOMEM;
    TRY(expr_args(b, k, e->n, args));
    *out = k;
    expr_fold_in_place(b, out);
    return FZ_OK;
}

/* when[0] ? value : other, of one type */
static fz_status make_case(binder *b, const expr *when, const expr *value, const expr *other, sql_pos pos, const expr **out)
{
    type t;
    const expr *values[2] = {value, other};
    TRY(expr_unify(b, 2, values, "CASE", &t));
    for (int i = 0; i < 2; i++)
        TRY(expr_settle(b, &values[i]));
    const expr *args[3] = {when, values[0], values[1]};
    expr *k = expr_make(b, EX_CASE, values[0]->t, pos);
    if (!k)
        return FZ_NOMEM;
    TRY(expr_args(b, k, 3, args));
    *out = k;
    expr_fold_in_place(b, out);
    return FZ_OK;
}

/* nullif(a, b): CASE WHEN a = b THEN NULL ELSE a END */
static fz_status bind_nullif(bind_ctx *c, const ast_expr *e, const expr **out)
{
    const expr **args, *equal, *null;
    if (e->n != 2)
        return bind_fail(c->b, FZ_INVALID, "42883", e->pos, "nullif takes two arguments");
    TRY(bind_args(c, e, &args));
    TRY(expr_function(c->b, "=", e->pos, 2, args, &equal));
    TRY(expr_const(c->b, DATUM_NULL(TYPE(T_NULL)), e->pos, &null));
    return make_case(c->b, equal, null, args[0], e->pos, out);
}

static fz_status bind_if(bind_ctx *c, const ast_expr *e, const expr **out)
{
    const expr *when, *values[2];
    if (e->n != 3)
        return bind_fail(c->b, FZ_INVALID, "42883", e->pos, "if takes a condition and two values");
    TRY(bind_bool(c, e->args[0], &when));
    TRY(bind_expr(c, e->args[1], &values[0]));
    TRY(bind_expr(c, e->args[2], &values[1]));
    return make_case(c->b, when, values[0], values[1], e->pos, out);
}

/* x + interval, interval + x, x - interval: add_interval(x, months, days, microseconds) */
static fz_status bind_interval(bind_ctx *c, const ast_expr *e, const expr **out)
{
    binder *b = c->b;
    bool minus = str_eqz(e->call.fn, "-"), first = e->args[0]->kind == AX_INTERVAL;
    const ast_expr *iv = e->args[first ? 0 : 1], *x = e->args[first ? 1 : 0];
    if (x->kind == AX_INTERVAL || (first && minus))
        return bind_fail(b, FZ_UNSUPPORTED, "0A000", e->pos, "intervals as values are not supported");
    int64_t v[3] = {iv->interval.months, iv->interval.days, iv->interval.micros};
    const expr *args[4];
    TRY(bind_expr(c, x, &args[0]));
    if (args[0]->t.id == T_NULL || args[0]->col == LITERAL)
        if (expr_is_literal(args[0]))
            TRY(expr_must_cast(b, args[0], TYPE(T_TIMESTAMP), "what an interval is added to", &args[0]));
    for (int i = 0; i < 3; i++)
        TRY(expr_const(b, (datum){.t = TYPE(T_INT64), .i64 = minus ? (int64_t)(0 - (uint64_t)v[i]) : v[i]}, iv->pos, &args[i + 1]));
    return expr_function(b, "add_interval", e->pos, 4, args, out);
}

fz_status bind_call(bind_ctx *c, const ast_expr *e, const expr **out)
{
    str fn = e->call.fn;
    if (e->is_operator && e->n == 2 && (str_eqz(fn, "+") || str_eqz(fn, "-")) &&
        (e->args[0]->kind == AX_INTERVAL || e->args[1]->kind == AX_INTERVAL))
        return bind_interval(c, e, out);
    if (!e->is_operator && agg_exists(fn))
        return bind_agg(c, e, out);
    if (e->distinct || e->star || e->call.filter)
        return bind_fail(c->b, FZ_INVALID, "42809", e->pos, "%s is for aggregates, " STR_FMT " isn't one",
                         e->star ? "*" : e->distinct ? "DISTINCT" : "FILTER", STR_ARG(fn));
    if (!e->is_operator) {
        if (str_eqz(fn, "coalesce") || str_eqz(fn, "ifnull") || str_eqz(fn, "nvl"))
            return bind_coalesce(c, e, out);
        if (str_eqz(fn, "nullif"))
            return bind_nullif(c, e, out);
        if (str_eqz(fn, "if") || str_eqz(fn, "iff"))
            return bind_if(c, e, out);
    }
    const expr **args;
    bool ok;
    TRY(bind_args(c, e, &args));
    /* text || anything is text, and so are the arguments of concat */
    bool pair = e->is_operator && e->n == 2 && str_eqz(fn, "||"), list = !e->is_operator && (str_eqz(fn, "concat") || str_eqz(fn, "concat_ws"));
    for (uint32_t i = 0; (pair || list) && i < e->n; i++)
        if ((list || args[!i]->t.id == T_STRING) && args[i]->t.id != T_NULL && args[i]->t.id != T_STRING && args[i]->t.id != T_BINARY)
            TRY(expr_cast(c->b, args[i], TYPE(T_STRING), CAST_ASSIGN, &ok, &args[i]));
    return expr_function_named(c->b, fn, e->pos, e->n, args, out);
}
