/*
 * func.c: the registry: which function a name and argument types mean, and what its arguments are cast to.
 *
 * Operators on numbers, comparisons, greatest and least are families whose types follow from their
 * arguments' common type. Everything else is a row of a table; among the rows of a name the one with
 * the cheapest implicit casts wins, the first on a tie. Text literals take the type they are used as.
 */
#include "exec/func_int.h"

#include <stdlib.h>

static const func *const tables[] = {func_math_table, func_text_table, func_regexp_table, func_date_table};
#define TABLES (sizeof tables / sizeof *tables)

static const char *const cmp_names[CMP_COUNT_] = {"=", "<>", "<", "<=", ">", ">=", "is distinct from",
                                                  "is not distinct from"};
static const char *const arith_names[ARITH_COUNT_] = {"+", "-", "*", "/", "%"};

fz_status kernel_error(const kcall *c, fz_error *err, const char *sqlstate, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    fz_status st = error_vset(err, FZ_VALUE, fmt, ap);
    va_end(ap);
    if (err)
        memcpy(err->sqlstate, sqlstate, 6);
    if (c->e->line > 0)
        error_line(err, c->e->line, c->e->column);
    return st;
}

fz_status kernel_overflow(const kcall *c, fz_error *err)
{
    sbuf b;
    sbuf_init(&b, NULL);
    type_sql_name(c->out->t, &b);
    fz_status st = kernel_error(c, err, "22003", "%s out of range", b.p ? b.p : "value");
    sbuf_free(&b);
    return st;
}

bool kcall_null(kcall *c, uint32_t row)
{
    if (!c->out->valid)
        c->out->valid = bitmap_alloc(c->a, c->len, true);
    if (!c->out->valid)
        return false;
    bit_clear(c->out->valid, row);
    return true;
}

/* ---- failures ---- */

static void types_text(uint32_t n, const type *t, sbuf *out)
{
    for (uint32_t i = 0; i < n; i++) {
        if (i)
            sbuf_addz(out, ", ");
        if (t[i].id == T_NULL)
            sbuf_addz(out, "null");
        else
            type_sql_name(t[i], out);
    }
}

static const char *nearest(str name)
{
    unsigned best = 3;
    const char *found = NULL;
    uint32_t n;
    const char *const *all = func_names(&n);
    for (uint32_t i = 0; all && i < n; i++) {
        unsigned d = str_distance(name, str_of(all[i]), best - 1);
        if (d < best) {
            best = d;
            found = all[i];
        }
    }
    return found;
}

static fz_status no_function(str name, uint32_t n, const type *args, bool known, fz_error *err)
{
    sbuf b;
    sbuf_init(&b, NULL);
    types_text(n, args, &b);
    bool op = name.n && !(name.p[0] >= 'a' && name.p[0] <= 'z') && name.p[0] != '_';
    fz_status st = error_sql(err, FZ_NOT_FOUND, "42883", known || op ? "there is no %s " STR_FMT "(%s)" : "unknown %s " STR_FMT "(%s)",
                             op ? "operator" : "function", STR_ARG(name), b.p ? b.p : "");
    sbuf_free(&b);
    const char *near = known ? NULL : nearest(name);
    if (near)
        error_hint(err, "did you mean %s?", near);
    else if (known)
        error_hint(err, "the function exists for other arguments; a cast may help");
    return st;
}

/* ---- families ---- */

static int name_index(str name, const char *const *names, int n)
{
    for (int i = 0; i < n; i++)
        if (str_eqz(name, names[i]))
            return i;
    return -1;
}

int func_cmp_op(str name) { return name_index(str_eqz(name, "!=") ? STR("<>") : name, cmp_names, CMP_COUNT_); }

/* The common type of n arguments, where text literals take the others' type. */
static bool common_of(uint32_t n, const type *args, const bool *lit, type *out)
{
    type t = TYPE(T_NULL);
    for (uint32_t i = 0; i < n; i++)
        if (!(lit && lit[i] && args[i].id == T_STRING) && !type_common(t, args[i], &t))
            return false;
    if (t.id == T_NULL)
        for (uint32_t i = 0; i < n; i++)
            if (args[i].id == T_STRING)
                t = args[i];
    *out = t;
    return true;
}

static fz_status resolve_cmp(int op, str name, const type *args, const bool *lit, func_match *out, fz_error *err)
{
    type t;
    if (!common_of(2, args, lit, &t))
        return no_function(name, 2, args, true, err);
    if (t.id == T_NULL)
        t = TYPE(T_STRING);
    const func *f = func_cmp(op, type_phys(t));
    if (!f)
        return no_function(name, 2, args, true, err);
    *out = (func_match){f, TYPE(T_BOOL), {t, t}};
    return FZ_OK;
}

static fz_status resolve_extreme(bool greatest, str name, uint32_t n, const type *args, const bool *lit, func_match *out, fz_error *err)
{
    type t;
    if (n == 0 || n > 16 || !common_of(n, args, lit, &t))
        return no_function(name, n, args, true, err);
    if (t.id == T_NULL)
        t = TYPE(T_STRING);
    const func *f = func_extreme(greatest, type_phys(t));
    if (!f)
        return no_function(name, n, args, true, err);
    *out = (func_match){.fn = f, .result = t};
    for (uint32_t i = 0; i < n; i++)
        out->args[i] = t;
    return FZ_OK;
}

/* ---- tables ---- */

/* What an implicit cast to a table's type costs; -1: there is none. */
static int cast_cost(type from, uint8_t to, bool lit)
{
    if (from.id == to || to == ANY_TYPE || from.id == T_NULL)
        return 0;
    if (to == T_DECIMAL)
        return type_is_integer(from) ? 3 : -1;
    if (lit && from.id == T_STRING && to != T_STRING)
        return 10 + (to != T_TIMESTAMP); /* a literal date part or date is most often a timestamp */
    if (!cast_implicit(from, TYPE(to)))
        return -1;
    if (from.id == T_INT32 && to == T_INT64)
        return 1;
    if (from.id == T_DATE && to == T_TIMESTAMP)
        return 1;
    if (to == T_FLOAT64)
        return 4;
    return 5;
}

static int row_cost(const func *f, uint32_t n, const type *args, const bool *lit)
{
    if (n < f->n || (n > f->n && !(f->flags & FN_VARIADIC)) || n > 16)
        return -1;
    int sum = 0;
    for (uint32_t i = 0; i < n; i++) {
        int c = cast_cost(args[i], f->args[i < f->n ? i : f->n - 1u], lit && lit[i]);
        if (c < 0)
            return -1;
        sum += c;
    }
    return sum;
}

static type arg_type(uint8_t want, type have)
{
    if (want == ANY_TYPE)
        return have.id == T_NULL ? TYPE(T_STRING) : have;
    if (want != T_DECIMAL)
        return TYPE(want);
    if (have.id == T_DECIMAL)
        return have;
    return TYPE_DECIMAL(have.id == T_INT32 ? 10 : 19, 0);
}

static type result_type(const func *f, const type *args)
{
    switch (f->result) {
    case SAME_AS_0: return args[0];
    case DEC_WHOLE: {
        unsigned p = args[0].precision - args[0].scale + 1u;
        return TYPE_DECIMAL(p > 38 ? 38 : p, 0);
    }
    case DEC_ROUND: return TYPE_DECIMAL(args[0].precision < 38 ? args[0].precision + 1 : 38, args[0].scale);
    default: return TYPE(f->result);
    }
}

fz_status func_resolve(str name, uint32_t n, const type *args, const bool *is_literal, func_match *out, fz_error *err)
{
    memset(out, 0, sizeof *out);
    int op;
    if (str_eqz(name, "!="))
        name = STR("<>");
    if (n == 2 && (op = name_index(name, cmp_names, CMP_COUNT_)) >= 0)
        return resolve_cmp(op, name, args, is_literal, out, err);
    if (n == 2 && (op = name_index(name, arith_names, ARITH_COUNT_)) >= 0) {
        type a[2] = {args[0], args[1]};
        for (int i = 0; i < 2 && is_literal; i++)
            if (is_literal[i] && a[i].id == T_STRING && a[!i].id != T_STRING)
                a[i] = op == ARITH_SUB && a[!i].id == T_DATE ? a[!i] : TYPE(T_NULL);
        return func_arith(op, a[0], a[1], out, err);
    }
    if (n == 1 && str_eqz(name, "-") && func_neg(args[0])) {
        type t = args[0].id == T_NULL ? TYPE(T_INT64) : args[0];
        *out = (func_match){func_neg(t), t, {t}};
        return FZ_OK;
    }
    if (str_eqz(name, "greatest") || str_eqz(name, "least"))
        return resolve_extreme(name.p[0] == 'g', name, n, args, is_literal, out, err);
    const func *best = NULL;
    int best_cost = 0;
    bool known = false;
    for (size_t k = 0; k < TABLES; k++)
        for (const func *f = tables[k]; f->name; f++) {
            if (!str_eqz(name, f->name))
                continue;
            known = true;
            int cost = row_cost(f, n, args, is_literal);
            if (cost >= 0 && (!best || cost < best_cost)) {
                best = f;
                best_cost = cost;
            }
        }
    for (const func *f = func_nested_table; f->name; f++)
        known |= str_eqz(name, f->name);
    if (!best)
        return no_function(name, n, args, known, err);
    out->fn = best;
    for (uint32_t i = 0; i < n; i++)
        out->args[i] = arg_type(best->args[i < best->n ? i : best->n - 1u], args[i]);
    out->result = result_type(best, out->args);
    return FZ_OK;
}

const char *func_name(const func *f) { return f->name; }

/* Sorted by hand; a test compares it with the tables. */
static const char *const names[] = {
    "abs", "acos", "add_interval", "array_contains", "array_extract", "array_length", "array_slice", "ascii", "asin",
    "atan", "atan2", "btrim", "cardinality", "cbrt", "ceil", "ceiling", "char_length", "chr", "concat", "concat_ws",
    "contains", "cos", "current_date", "current_timestamp", "date_add", "date_diff", "date_part", "date_trunc",
    "datediff", "day", "dayname", "dayofmonth", "dayofweek", "dayofyear", "degrees", "element_at", "ends_with",
    "epoch", "exp", "extract", "floor", "greatest", "hour", "ilike", "initcap", "isfinite", "isinf", "isnan",
    "last_day", "lcase", "least", "left", "len", "length", "like", "list_contains", "list_extract", "list_has",
    "list_slice", "list_value", "ln", "localtimestamp", "log", "log10", "log2", "lower", "lpad", "ltrim", "make_date",
    "make_timestamp", "map", "map_contains", "map_from_arrays", "map_keys", "map_value", "map_values", "microsecond",
    "millisecond", "minute", "mod", "month", "monthname", "now", "nullif", "octet_length", "pi", "position", "pow",
    "power", "quarter", "radians", "regexp_extract", "regexp_like", "regexp_matches", "regexp_replace", "repeat",
    "replace", "reverse", "right", "round", "rpad", "rtrim", "second", "sign", "sin", "split_part", "sqrt",
    "starts_with", "strftime", "strpos", "struct_extract", "struct_pack", "substr", "substring", "tan", "to_char",
    "to_timestamp", "translate", "trim", "trunc", "typeof", "ucase", "upper", "week", "weekofyear", "year",
};

const char *const *func_names(uint32_t *n)
{
    *n = sizeof names / sizeof *names;
    return names;
}
