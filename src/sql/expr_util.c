/* expr_util.c: comparing, copying and searching bound expressions. Their height is bounded (SQL_MAX_DEPTH and a few casts). */
#include "sql/bind_int.h"

bool expr_equal(const expr *x, const expr *y)
{
    if (x == y)
        return true;
    if (!x || !y || x->kind != y->kind || x->n != y->n || x->fn != y->fn || !type_eq(x->t, y->t))
        return false;
    if ((x->kind == EX_COLUMN || x->kind == EX_PARAM) && x->col != y->col)
        return false;
    if (x->kind == EX_CONST && (x->value.null != y->value.null || (!x->value.null && !datum_eq(&x->value, &y->value))))
        return false;
    for (uint32_t i = 0; i < x->n; i++)
        if (!expr_equal(x->args[i], y->args[i]))
            return false;
    return true;
}

fz_status expr_map(arena *a, const expr *e, expr_map_fn *fn, void *ctx, const expr **out)
{
    bool replaced = false;
    TRY(fn(ctx, e, out, &replaced));
    if (replaced)
        return FZ_OK;
    expr *copy = NULL;
    for (uint32_t i = 0; i < e->n; i++) {
        const expr *arg;
        TRY(expr_map(a, e->args[i], fn, ctx, &arg));
        if (arg == e->args[i])
            continue;
        if (!copy) { /* the first argument that changed */
            copy = arena_alloc(a, sizeof *copy);
            const expr **args = ARENA_ARRAY(a, const expr *, e->n);
            if (!copy || !args)
                return FZ_NOMEM;
            *copy = *e;
            memcpy(args, e->args, e->n * sizeof *args);
            copy->args = args;
        }
        copy->args[i] = arg;
    }
    *out = copy ? copy : e;
    return FZ_OK;
}

bool expr_any(const expr *e, bool (*fn)(void *ctx, const expr *e), void *ctx)
{
    if (fn(ctx, e))
        return true;
    for (uint32_t i = 0; i < e->n; i++)
        if (expr_any(e->args[i], fn, ctx))
            return true;
    return false;
}

static bool has_mark(void *ctx, const expr *e)
{
    return e->kind == EX_COLUMN && (e->col & *(const uint32_t *)ctx);
}

bool expr_has_mark(const expr *e, uint32_t mark)
{
    return expr_any(e, has_mark, &mark);
}

static bool is_input(void *ctx, const expr *e)
{
    return e->kind == EX_COLUMN || e->kind == EX_PARAM;
}

bool expr_reads_input(const expr *e)
{
    return expr_any(e, is_input, NULL);
}
