/* bind_call.c: functions, operators and aggregates. */
#include "sql/bind_int.h"

#include <stdio.h>
#include <time.h>

/* A function of the moment has one value throughout a statement, which tables can be pruned by. */
static fz_status moment_const(binder *b, type t, sql_pos pos, const expr **out)
{
    if (!b->moment) {
        struct timespec now;
        clock_gettime(CLOCK_REALTIME, &now);
        b->moment = (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
    }
    datum d = {.t = t};
    if (t.id == T_DATE)
        d.i32 = (int32_t)(b->moment / (24 * 3600 * (int64_t)1000000));
    else
        d.i64 = b->moment;
    return expr_const(b, d, pos, out);
}

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
    bool known;
    fz_status st = func_resolve_nested(b->a, fn, n, types, literal, &known, &m, b->err);
    if (st == FZ_OK && !known)
        st = func_resolve(fn, n, types, literal, &m, b->err);
    if (st != FZ_OK) {
        error_line(b->err, pos.line, pos.column);
        return st;
    }
    for (uint32_t i = 0; i < n; i++) {
        bool ok;
        char have[128], want[128];
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
    if (n == 0 && !expr_is_const(e) && !b->no_moment)
        return moment_const(b, m.result, pos, out);
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

/* ---- nested values ---- */

fz_status expr_field(binder *b, const expr *e, const sql_ident *field, const expr **out)
{
    char have[128];
    uint32_t at = 0;
    type_name_z(e->t, have, sizeof have);
    if (e->t.id != T_STRUCT)
        return bind_fail(b, FZ_INVALID, "42809", field->pos, "%s has no fields, \"" STR_FMT "\" can't be one", have, STR_ARG(field->name));
    const type_fields *f = e->t.children;
    str *names = ARENA_ARRAY(b->a, str, f->n);
    if (!names)
        return error_nomem(b->err);
    for (uint32_t i = 0; i < f->n; i++)
        names[i] = f->f[i].name;
    int found = sql_find_name(field->name, field->quoted, f->n, names, &at);
    if (found < 0)
        return bind_fail(b, FZ_INVALID, "42702", field->pos, "\"" STR_FMT "\" could be several fields that differ only in case",
                         STR_ARG(field->name));
    if (found == 0) {
        fz_status st = bind_fail(b, FZ_NOT_FOUND, "42703", field->pos, "there is no field \"" STR_FMT "\" in %s", STR_ARG(field->name), have);
        sql_hint_nearest(b->err, field->name, f->n, names);
        return st;
    }
    if (e->kind == EX_CALL && e->fn == func_constructor(T_STRUCT)) {
        *out = e->args[at];
        return FZ_OK;
    }
    const expr *args[2] = {e};
    TRY(expr_const(b, (datum){.t = TYPE(T_STRING), .s = names[at]}, field->pos, &args[1]));
    expr *k = expr_make(b, EX_CALL, f->f[at].t, field->pos);
    if (!k)
        return FZ_NOMEM;
    k->fn = func_field();
    TRY(expr_args(b, k, 2, args));
    *out = k;
    expr_fold_in_place(b, out);
    return FZ_OK;
}

static fz_status make_nested(binder *b, type t, sql_pos pos, uint32_t n, const expr *const *args, const expr **out)
{
    expr *k = expr_make(b, EX_CALL, t, pos);
    if (!k)
        return FZ_NOMEM;
    k->fn = func_constructor(t.id);
    TRY(expr_args(b, k, n, args));
    *out = k; /* not folded: a cast of it still reaches its literals */
    return FZ_OK;
}

/* named_struct('a', x, 'b', y) and {'a': x, b: y}; row(x, y), whose fields are f1, f2. */
static fz_status bind_struct(bind_ctx *c, const ast_expr *e, bool named, const expr **out)
{
    binder *b = c->b;
    uint32_t n = named ? e->n / 2 : e->n;
    type_fields *f = arena_zalloc(b->a, sizeof *f + n * sizeof f->f[0]);
    const expr **args = ARENA_ARRAY(b->a, const expr *, n ? n : 1);
    if (!f || !args)
        return error_nomem(b->err);
    if (n == 0 || (named && e->n % 2))
        return bind_fail(b, FZ_INVALID, "42883", e->pos, named ? "a struct is made of names and values" : "a struct needs a field");
    f->n = n;
    for (uint32_t i = 0; i < n; i++) {
        char tmp[16];
        str name = {tmp, (size_t)snprintf(tmp, sizeof tmp, "f%u", i + 1)};
        if (named) {
            const ast_expr *k = e->args[2 * i];
            if (k->kind != AX_LITERAL || k->value.t.id != T_STRING || k->value.null)
                return bind_fail(b, FZ_INVALID, "42804", k->pos, "a field's name is a text in quotes");
            name = k->value.s;
        }
        char *copy = arena_strndup(b->a, name.p, name.n);
        if (!copy)
            return error_nomem(b->err);
        for (uint32_t j = 0; j < i; j++)
            if (str_eq(f->f[j].name, name))
                return bind_fail(b, FZ_INVALID, "42701", e->pos, "the struct has two fields \"" STR_FMT "\"", STR_ARG(name));
        TRY(bind_expr(c, e->args[named ? 2 * i + 1 : i], &args[i]));
        f->f[i] = (type_field){.name = {copy, name.n}, .field_id = -1, .t = args[i]->t};
    }
    return make_nested(b, (type){.id = T_STRUCT, .children = f}, e->pos, n, args, out);
}

/* Members first, first + step, … of one type. */
static fz_status unify_every(binder *b, uint32_t n, const expr **args, uint32_t first, uint32_t step, const char *what, type *out)
{
    uint32_t count = 0;
    const expr **part = ARENA_ARRAY(b->a, const expr *, n + 1);
    if (!part)
        return error_nomem(b->err);
    for (uint32_t i = first; i < n; i += step)
        part[count++] = args[i];
    TRY(expr_unify(b, count, part, what, out));
    for (uint32_t i = first, k = 0; i < n; i += step)
        args[i] = part[k++];
    return FZ_OK;
}

static fz_status bind_list(bind_ctx *c, const ast_expr *e, const expr **out)
{
    const expr **args;
    type element, t;
    TRY(bind_args(c, e, &args));
    TRY(unify_every(c->b, e->n, args, 0, 1, "a list", &element));
    if (!type_list(c->b->a, element, &t))
        return error_nomem(c->b->err);
    return make_nested(c->b, t, e->pos, e->n, args, out);
}

static fz_status bind_map(bind_ctx *c, const ast_expr *e, const expr **out)
{
    const expr **args;
    type key, value, t;
    TRY(bind_args(c, e, &args));
    TRY(unify_every(c->b, e->n, args, 0, 2, "a map's keys", &key));
    TRY(unify_every(c->b, e->n, args, 1, 2, "a map's values", &value));
    if (!type_map(c->b->a, key, value, &t))
        return error_nomem(c->b->err);
    return make_nested(c->b, t, e->pos, e->n, args, out);
}

/* x['a'] of a struct, struct_extract(x, 'a'), x.a behind what isn't a name */
static fz_status bind_field(bind_ctx *c, const ast_expr *e, const expr *of, const expr **out)
{
    const ast_expr *k = e->args[1];
    if (k->kind != AX_LITERAL || k->value.t.id != T_STRING || k->value.null)
        return bind_fail(c->b, FZ_INVALID, "42804", k->pos, "a field's name is a text in quotes");
    sql_ident field = {k->value.s, false, k->pos};
    if (e->call.written.name.p == k->value.s.p) /* behind a point, perhaps in double quotes */
        field.quoted = e->call.written.quoted;
    return expr_field(c->b, of, &field, out);
}

/* *took false: an ordinary function. */
static fz_status bind_nested(bind_ctx *c, const ast_expr *e, bool *took, const expr **out)
{
    str fn = e->call.fn;
    *took = true;
    if (str_eqz(fn, "named_struct") || str_eqz(fn, "row"))
        return bind_struct(c, e, fn.p[0] == 'n', out);
    if (str_eqz(fn, "list_value") || str_eqz(fn, "array"))
        return bind_list(c, e, out);
    if (str_eqz(fn, "map_value") || (str_eqz(fn, "map") && e->n == 0))
        return bind_map(c, e, out);
    if (e->n == 2 && (str_eqz(fn, "struct_extract") || str_eqz(fn, "array_extract") || str_eqz(fn, "element_at"))) {
        const expr *args[2];
        TRY(bind_expr(c, e->args[0], &args[0]));
        if (args[0]->t.id == T_STRUCT || fn.p[0] == 's')
            return bind_field(c, e, args[0], out);
        TRY(bind_expr(c, e->args[1], &args[1]));
        if (args[0]->t.id != T_LIST && args[0]->t.id != T_MAP) {
            char have[128];
            type_name_z(args[0]->t, have, sizeof have);
            return bind_fail(c->b, FZ_INVALID, "42804", e->pos, "%s has no elements", have);
        }
        return expr_function_named(c->b, fn, e->pos, 2, args, out);
    }
    *took = false;
    return FZ_OK;
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
        bool took;
        TRY(bind_nested(c, e, &took, out));
        if (took)
            return FZ_OK;
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
