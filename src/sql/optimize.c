/*
 * optimize.c: the optimizer's order of passes, and simplification of expressions.
 *
 *   simplify and push filters down -> order joins -> prune columns -> rows (counts, limits, build sides)
 */
#include "sql/opt_int.h"

plan *plan_copy(arena *a, const plan *p)
{
    plan *q = arena_alloc(a, sizeof *q);
    if (!q)
        return NULL;
    *q = *p;
    q->in = ARENA_ARRAY(a, const plan *, p->n ? p->n : 1);
    if (!q->in)
        return NULL;
    if (p->n)
        memcpy(q->in, p->in, p->n * sizeof *q->in);
    return q;
}

bool expr_is_bool(const expr *e, bool value)
{
    return e->kind == EX_CONST && e->t.id == T_BOOL && !e->value.null && e->value.b == value;
}

/* ---- helpers on expressions ---- */

void expr_columns(const expr *e, bool *used)
{
    if (e->kind == EX_COLUMN)
        used[e->col] = true;
    for (uint32_t i = 0; i < e->n; i++)
        expr_columns(e->args[i], used);
}

bool expr_within(const expr *e, uint32_t from, uint32_t to)
{
    if (e->kind == EX_COLUMN && (e->col < from || e->col >= to))
        return false;
    for (uint32_t i = 0; i < e->n; i++)
        if (!expr_within(e->args[i], from, to))
            return false;
    return true;
}

static fz_status substitute_node(void *ctx, const expr *e, const expr **out, bool *replaced)
{
    const expr *const *map = ctx;
    if (e->kind == EX_COLUMN) {
        *out = map[e->col];
        *replaced = true;
    }
    return FZ_OK;
}

fz_status expr_substitute(binder *b, const expr *e, const expr *const *map, const expr **out)
{
    return expr_map(b->a, e, substitute_node, (void *)map, out);
}

typedef struct renumber { binder *b; int64_t by; const uint32_t *map; } renumber;

static fz_status renumber_node(void *ctx, const expr *e, const expr **out, bool *replaced)
{
    renumber *r = ctx;
    if (e->kind != EX_COLUMN)
        return FZ_OK;
    *replaced = true;
    uint32_t col = r->map ? r->map[e->col] : (uint32_t)((int64_t)e->col + r->by);
    *out = col == e->col ? e : expr_column(r->b, col, e->t, (sql_pos){e->line, e->column});
    return *out ? FZ_OK : FZ_NOMEM;
}

fz_status expr_shift(binder *b, const expr *e, int64_t by, const expr **out)
{
    renumber r = {b, by, NULL};
    return expr_map(b->a, e, renumber_node, &r, out);
}

fz_status expr_renumber(binder *b, const expr *e, const uint32_t *map, const expr **out)
{
    renumber r = {b, 0, map};
    return expr_map(b->a, e, renumber_node, &r, out);
}

fz_status conjuncts_add(binder *b, conjuncts *c, const expr *e)
{
    if (e->kind == EX_AND) {
        for (uint32_t i = 0; i < e->n; i++)
            TRY(conjuncts_add(b, c, e->args[i]));
        return FZ_OK;
    }
    if (expr_is_bool(e, true))
        return FZ_OK;
    for (uint32_t i = 0; i < c->n; i++)
        if (expr_equal(c->list[i], e))
            return FZ_OK;
    BIND_PUSH(b, c->list, c->n, c->cap, e);
    return FZ_OK;
}

/* A rough price of evaluating e for a row: comparisons of numbers are cheap, texts dearer, patterns dearest. */
static unsigned cost(const expr *e)
{
    unsigned c = 0;
    if (e->kind == EX_CALL) {
        str f = str_of(func_name(e->fn));
        bool pattern = str_eqz(f, "like") || str_eqz(f, "ilike") || str_starts(f, STR("regexp"));
        bool text = e->n && e->args[0]->t.id == T_STRING;
        c = pattern ? 20 : text ? 4 : 2;
    } else if (e->kind == EX_IN) {
        c = 3;
    } else if (e->kind != EX_COLUMN && e->kind != EX_CONST && e->kind != EX_PARAM) {
        c = 1;
    }
    for (uint32_t i = 0; i < e->n; i++) {
        c += cost(e->args[i]);
        if (c > 1000000)
            break;
    }
    return c;
}

/* Whether evaluating e can fail: then it mustn't be moved in front of a condition that kept it from being evaluated. */
static bool node_can_fail(void *ctx, const expr *e)
{
    static const char *const safe[] = {"=", "<>", "<", "<=", ">", ">=", "is distinct from", "is not distinct from", "like", "ilike", "lower",
                                       "upper", "length", "year", "month", "day", "hour", "date_part", "starts_with", "ends_with", "contains",
                                       "||", "concat", "trim", "ltrim", "rtrim", "replace", "strpos", "isnan", "struct_extract", "struct_pack", "list_value",
                                       "array_extract", "element_at", "len", "cardinality", "list_contains", "array_contains"};
    if (e->kind == EX_CAST)
        return !cast_implicit(e->args[0]->t, e->t) && e->t.id != T_STRING;
    if (e->kind != EX_CALL)
        return false;
    for (size_t i = 0; i < sizeof safe / sizeof safe[0]; i++)
        if (strcmp(func_name(e->fn), safe[i]) == 0)
            return false;
    return true;
}

bool expr_can_fail(const expr *e)
{
    return expr_any(e, node_can_fail, NULL);
}

fz_status conjuncts_join(binder *b, const conjuncts *c, const expr **out)
{
    *out = NULL;
    if (c->n == 0)
        return FZ_OK;
    const expr **list = ARENA_ARRAY(b->a, const expr *, c->n);
    unsigned *costs = ARENA_ARRAY(b->a, unsigned, c->n);
    if (!list || !costs)
        return error_nomem(b->err);
    for (uint32_t i = 0; i < c->n; i++) { /* stable: equal costs keep the order they were written in; what can fail comes last */
        unsigned x = expr_can_fail(c->list[i]) ? UINT32_MAX : cost(c->list[i]);
        uint32_t at = i;
        for (; at > 0 && costs[at - 1] > x; at--) {
            list[at] = list[at - 1];
            costs[at] = costs[at - 1];
        }
        list[at] = c->list[i];
        costs[at] = x;
    }
    *out = list[0];
    return c->n == 1 ? FZ_OK : expr_bool(b, EX_AND, (sql_pos){list[0]->line, list[0]->column}, c->n, list, out);
}

/* ---- simplification ---- */

/* AND and OR: nested ones joined, constants that decide nothing dropped. */
static fz_status simplify_logic(binder *b, const expr *e, const expr **out)
{
    bool neutral = e->kind == EX_AND;
    uint32_t n = 0, cap = 0;
    const expr **list = NULL;
    for (uint32_t i = 0; i < e->n; i++) {
        const expr *x = e->args[i];
        if (expr_is_bool(x, !neutral)) {
            *out = x;
            return FZ_OK;
        }
        if (expr_is_bool(x, neutral))
            continue;
        if (x->kind == e->kind)
            for (uint32_t k = 0; k < x->n; k++)
                BIND_PUSH(b, list, n, cap, x->args[k]);
        else
            BIND_PUSH(b, list, n, cap, x);
    }
    sql_pos pos = {e->line, e->column};
    if (n == 0)
        return expr_const(b, (datum){.t = TYPE(T_BOOL), .b = neutral}, pos, out);
    if (n == 1) {
        *out = list[0];
        return FZ_OK;
    }
    return expr_bool(b, (expr_kind)e->kind, pos, n, list, out);
}

/* Casts that keep every value apart and in order, so that a comparison may as well be made before them. */
static bool cast_keeps_order(type from, type to)
{
    if (from.id == T_INT32)
        return to.id == T_INT64 || to.id == T_FLOAT64 || (to.id == T_DECIMAL && to.precision - to.scale >= 10);
    if (from.id == T_INT64)
        return to.id == T_DECIMAL && to.precision - to.scale >= 19;
    if (from.id == T_DECIMAL)
        return to.id == T_DECIMAL && to.scale >= from.scale && to.precision - to.scale >= from.precision - from.scale;
    return (from.id == T_FLOAT32 && to.id == T_FLOAT64) || (from.id == T_DATE && to.id == T_TIMESTAMP);
}

/* The constant in the type from which k's was made; false: it isn't a value of that type. */
static bool uncast(binder *b, const expr *k, type t, const expr **out)
{
    bool ok;
    const expr *there, *back;
    fz_error ignored, *err = b->err;
    b->err = &ignored;
    fz_status st = expr_cast(b, k, t, CAST_EXPLICIT, &ok, &there);
    if (st == FZ_OK && ok && there->kind == EX_CONST) {
        st = expr_cast(b, there, k->t, CAST_EXPLICIT, &ok, &back);
        ok = st == FZ_OK && ok && back->kind == EX_CONST && back->value.null == k->value.null &&
             (k->value.null || datum_cmp(&back->value, &k->value) == 0);
    } else {
        ok = false;
    }
    b->err = err;
    *out = there;
    return ok;
}

/* cast(x) = constant, cast(x) IN (constants): compare x, with the constants in x's type. */
static fz_status simplify_comparison(binder *b, const expr *e, const expr **out)
{
    uint32_t at = e->n;
    for (uint32_t i = 0; i < e->n && i < 2; i++)
        if (e->args[i]->kind == EX_CAST && cast_keeps_order(e->args[i]->args[0]->t, e->args[i]->t) && (e->kind == EX_CALL || i == 0))
            at = i;
    *out = e;
    if (at == e->n)
        return FZ_OK;
    const expr *x = e->args[at]->args[0], **args = ARENA_ARRAY(b->a, const expr *, e->n);
    if (!args)
        return error_nomem(b->err);
    for (uint32_t i = 0; i < e->n; i++) {
        args[i] = x;
        if (i != at && (e->args[i]->kind != EX_CONST || !uncast(b, e->args[i], x->t, &args[i])))
            return FZ_OK;
    }
    sql_pos pos = {e->line, e->column};
    if (e->kind == EX_IN)
        return expr_bool(b, EX_IN, pos, e->n, args, out);
    return expr_function(b, func_name(e->fn), pos, e->n, args, out);
}

static bool is_comparison(const expr *e)
{
    if (e->kind == EX_IN)
        return true;
    if (e->kind != EX_CALL || e->n != 2)
        return false;
    const char *f = func_name(e->fn);
    return f[0] == '=' || f[0] == '<' || f[0] == '>';
}

fz_status opt_simplify(binder *b, const expr *e, const expr **out)
{
    *out = e;
    if (e->n == 0 && e->kind != EX_CALL)
        return FZ_OK;
    const expr **args = ARENA_ARRAY(b->a, const expr *, e->n + 1);
    bool changed = false;
    if (!args)
        return error_nomem(b->err);
    for (uint32_t i = 0; i < e->n; i++) {
        TRY(opt_simplify(b, e->args[i], &args[i]));
        changed |= args[i] != e->args[i];
    }
    if (changed) {
        expr *copy = arena_alloc(b->a, sizeof *copy);
        if (!copy)
            return error_nomem(b->err);
        *copy = *e;
        copy->args = args;
        *out = copy;
    }
    expr_fold_in_place(b, out);
    if ((*out)->kind == EX_AND || (*out)->kind == EX_OR)
        return simplify_logic(b, *out, out);
    if ((*out)->kind == EX_NOT && (*out)->args[0]->kind == EX_NOT)
        *out = (*out)->args[0]->args[0];
    else if (is_comparison(*out))
        return simplify_comparison(b, *out, out);
    return FZ_OK;
}

fz_status sql_optimize(const plan *p, arena *a, const plan **out, fz_error *err)
{
    fz_error own;
    sql_bind_options o = {.a = a};
    binder b = {.o = &o, .a = a, .err = err ? err : &own};
    TRY(opt_filters(&b, p, &p));
    TRY(opt_join_order(&b, p, &p));
    TRY(opt_prune(&b, p, &p));
    TRY(opt_rows(&b, p, &p));
    return opt_fields(&b, p, out);
}
