/*
 * parse_expr.c: operators, by precedence climbing. From loose to tight, as in PostgreSQL:
 *
 *   OR < AND < NOT < IS < comparisons < IN BETWEEN LIKE < || and others < + - < * / % < ^ < AT TIME ZONE < unary < ::
 */
#include "sql/parser_int.h"

enum { P_OR = 1, P_AND, P_NOT, P_IS, P_COMPARE, P_LIKE, P_OTHER, P_ADD, P_MUL, P_POWER, P_ZONE };

ast_expr *expr_new(parser *p, ast_expr_kind kind, sql_pos pos)
{
    ast_expr *e = ARENA_NEW(p->a, ast_expr);
    if (!e) {
        error_nomem(p->err);
        return NULL;
    }
    e->kind = (uint8_t)kind;
    e->pos = pos;
    e->depth = 1;
    return e;
}

fz_status expr_done(parser *p, ast_expr *e, uint32_t n, const ast_expr *const *args, const ast_expr **out)
{
    unsigned depth = 0;
    if (n) {
        e->args = ARENA_ARRAY(p->a, const ast_expr *, n);
        if (!e->args)
            return error_nomem(p->err);
        for (uint32_t i = 0; i < n; i++) {
            e->args[i] = args[i];
            if (args[i]->depth > depth)
                depth = args[i]->depth;
        }
    }
    e->n = n;
    if (e->kind == AX_CALL && e->call.filter && e->call.filter->depth > depth)
        depth = e->call.filter->depth;
    if ((e->kind == AX_IN_QUERY || e->kind == AX_EXISTS || e->kind == AX_SCALAR) && e->query->depth > depth)
        depth = e->query->depth;
    if (depth >= SQL_MAX_DEPTH) {
        error_sql(p->err, FZ_LIMIT, "54001", "the expression is nested too deeply");
        error_line(p->err, e->pos.line, e->pos.column);
        return FZ_LIMIT;
    }
    e->depth = (uint16_t)(depth + 1);
    if (e->depth > p->tallest)
        p->tallest = e->depth;
    *out = e;
    return FZ_OK;
}

fz_status expr_call(parser *p, const char *fn, sql_pos pos, uint32_t n, const ast_expr *const *args, const ast_expr **out)
{
    ast_expr *e = expr_new(p, AX_CALL, pos);
    if (!e)
        return FZ_NOMEM;
    e->call.fn = str_of(fn);
    e->call.written = (sql_ident){e->call.fn, false, pos};
    return expr_done(p, e, n, args, out);
}

static fz_status expr_operator(parser *p, const char *op, sql_pos pos, const ast_expr *l, const ast_expr *r, const ast_expr **out)
{
    const ast_expr *args[2] = {l, r};
    TRY(expr_call(p, op, pos, r ? 2 : 1, args, out));
    ((ast_expr *)*out)->is_operator = true; /* just made here */
    return FZ_OK;
}

/* Wraps in NOT; the new node takes the position. */
static fz_status expr_not(parser *p, sql_pos pos, const ast_expr *arg, const ast_expr **out)
{
    ast_expr *e = expr_new(p, AX_NOT, pos);
    return e ? expr_done(p, e, 1, &arg, out) : FZ_NOMEM;
}

static fz_status parse_prec(parser *p, int min, const ast_expr **out);

/* ---- binary operators ---- */

static const struct binary { const char *op; uint8_t prec; const char *fn; } binaries[] = {
    {"=", P_COMPARE, "="}, {"==", P_COMPARE, "="}, {"<>", P_COMPARE, "<>"}, {"!=", P_COMPARE, "<>"}, {"<", P_COMPARE, "<"},
    {"<=", P_COMPARE, "<="}, {">", P_COMPARE, ">"}, {">=", P_COMPARE, ">="}, {"||", P_OTHER, "||"},
    {"+", P_ADD, "+"}, {"-", P_ADD, "-"}, {"*", P_MUL, "*"}, {"/", P_MUL, "/"}, {"%", P_MUL, "%"}, {"^", P_POWER, "power"},
};

static const struct binary *binary_find(const parser *p)
{
    if (p->tok.kind == TK_OP)
        for (size_t i = 0; i < sizeof binaries / sizeof binaries[0]; i++)
            if (str_eqz(p->tok.text, binaries[i].op))
                return &binaries[i];
    return NULL;
}

/* a OR b OR c …: one node, whatever the number. */
static fz_status parse_logic(parser *p, const char *word, int prec, ast_expr_kind kind, const ast_expr **lhs)
{
    uint32_t n = 0, cap = 0;
    const ast_expr **args = NULL;
    sql_pos pos = p->tok.pos;
    LIST_PUSH(p, args, n, cap, *lhs);
    while (at_word(p, word)) {
        const ast_expr *r;
        TRY(parse_advance(p));
        TRY(parse_prec(p, prec + 1, &r));
        LIST_PUSH(p, args, n, cap, r);
    }
    ast_expr *e = expr_new(p, kind, pos);
    return e ? expr_done(p, e, n, args, lhs) : FZ_NOMEM;
}

/* ---- IS … ---- */

static fz_status parse_is(parser *p, const ast_expr **lhs)
{
    sql_pos pos = p->tok.pos;
    bool not, took;
    TRY(parse_advance(p));
    TRY(take_word(p, "not", &not));
    if (at_word(p, "distinct")) {
        const ast_expr *r;
        TRY(parse_advance(p));
        TRY(need_word(p, "from"));
        TRY(parse_prec(p, P_COMPARE + 1, &r));
        TRY(expr_operator(p, "is distinct from", pos, *lhs, r, lhs));
        return not ? expr_not(p, pos, *lhs, lhs) : FZ_OK;
    }
    bool truth = at_word(p, "true") || at_word(p, "false");
    ast_expr *e = expr_new(p, truth ? AX_IS_BOOL : AX_IS_NULL, pos);
    if (!e)
        return FZ_NOMEM;
    e->negated = not;
    e->is_true = at_word(p, "true");
    if (truth)
        TRY(parse_advance(p));
    else {
        TRY(take_word(p, "null", &took));
        if (!took)
            TRY(take_word(p, "unknown", &took));
        if (!took)
            return parse_expected(p, not ? "NULL, TRUE, FALSE or DISTINCT FROM" : "NULL, NOT NULL, TRUE, FALSE or DISTINCT FROM");
    }
    return expr_done(p, e, 1, lhs, lhs);
}

/* ---- [NOT] IN, BETWEEN, LIKE ---- */

static fz_status parse_in(parser *p, sql_pos pos, bool not, const ast_expr **lhs)
{
    TRY(parse_advance(p));
    sql_pos open = p->tok.pos;
    TRY(need_op(p, "("));
    if (at_query(p)) {
        const ast_query *q;
        TRY(parse_query(p, &q));
        TRY(need_close(p, open));
        ast_expr *e = expr_new(p, AX_IN_QUERY, pos);
        if (!e)
            return FZ_NOMEM;
        e->query = q;
        e->negated = not;
        return expr_done(p, e, 1, lhs, lhs);
    }
    uint32_t n = 0, cap = 0;
    const ast_expr **args = NULL;
    LIST_PUSH(p, args, n, cap, *lhs);
    bool comma;
    do {
        const ast_expr *item;
        TRY(parse_expr(p, &item));
        LIST_PUSH(p, args, n, cap, item);
        TRY(take_op(p, ",", &comma));
    } while (comma && !at_op(p, ")"));
    TRY(need_close(p, open));
    ast_expr *e = expr_new(p, AX_IN, pos);
    if (!e)
        return FZ_NOMEM;
    e->negated = not;
    return expr_done(p, e, n, args, lhs);
}

static fz_status parse_between(parser *p, sql_pos pos, bool not, const ast_expr **lhs)
{
    bool symmetric;
    const ast_expr *args[3] = {*lhs};
    TRY(parse_advance(p));
    sql_pos at = p->tok.pos;
    TRY(take_word(p, "symmetric", &symmetric));
    if (symmetric)
        return parse_unsupported(p, at, "BETWEEN SYMMETRIC is");
    TRY(parse_prec(p, P_LIKE + 1, &args[1]));
    TRY(need_word(p, "and"));
    TRY(parse_prec(p, P_LIKE + 1, &args[2]));
    ast_expr *e = expr_new(p, AX_BETWEEN, pos);
    if (!e)
        return FZ_NOMEM;
    e->negated = not;
    return expr_done(p, e, 3, args, lhs);
}

static fz_status parse_like(parser *p, sql_pos pos, bool not, const char *fn, const ast_expr **lhs)
{
    const ast_expr *args[3] = {*lhs};
    bool escape;
    TRY(parse_advance(p));
    TRY(parse_prec(p, P_LIKE + 1, &args[1]));
    TRY(take_word(p, "escape", &escape));
    if (escape)
        TRY(parse_prec(p, P_LIKE + 1, &args[2]));
    TRY(expr_call(p, fn, pos, escape ? 3 : 2, args, lhs));
    ((ast_expr *)*lhs)->is_operator = true;
    return not ? expr_not(p, pos, *lhs, lhs) : FZ_OK;
}

/* An operator of the LIKE level at the current token (NOT is looked behind). *took false: none. */
static fz_status parse_like_level(parser *p, const ast_expr **lhs, bool *took)
{
    sql_pos pos = p->tok.pos;
    bool not = at_word(p, "not");
    *took = true;
    if (not) {
        if (!ahead_word(p, "in") && !ahead_word(p, "between") && !ahead_word(p, "like") && !ahead_word(p, "ilike") &&
            !ahead_word(p, "similar")) {
            *took = false;
            return FZ_OK;
        }
        TRY(parse_advance(p));
    }
    if (at_word(p, "in"))
        return parse_in(p, pos, not, lhs);
    if (at_word(p, "between"))
        return parse_between(p, pos, not, lhs);
    if (at_word(p, "like"))
        return parse_like(p, pos, not, "like", lhs);
    if (at_word(p, "ilike"))
        return parse_like(p, pos, not, "ilike", lhs);
    if (at_word(p, "similar") || at_word(p, "glob"))
        return parse_unsupported(p, pos, at_word(p, "glob") ? "GLOB is" : "SIMILAR TO is");
    if (at_op(p, "~~") || at_op(p, "!~~"))
        return parse_like(p, pos, at_op(p, "!~~"), "like", lhs);
    if (at_op(p, "~~*") || at_op(p, "!~~*"))
        return parse_like(p, pos, at_op(p, "!~~*"), "ilike", lhs);
    *took = false;
    return FZ_OK;
}

/* ---- the climb ---- */

static fz_status parse_binary(parser *p, int min, const ast_expr **lhs, bool *took)
{
    const struct binary *b = binary_find(p);
    *took = b && b->prec >= min;
    if (!*took) {
        if (p->tok.kind == TK_OP && min <= P_OTHER &&
            (at_op(p, "~") || at_op(p, "~*") || at_op(p, "!~") || at_op(p, "!~*") || at_op(p, "->") || at_op(p, "->>") ||
             at_op(p, "&") || at_op(p, "|") || at_op(p, "<<") || at_op(p, ">>") || at_op(p, "//")))
            return parse_unsupported(p, p->tok.pos, "operator " STR_FMT " is", STR_ARG(p->tok.text));
        return FZ_OK;
    }
    sql_pos pos = p->tok.pos;
    const ast_expr *r;
    TRY(parse_advance(p));
    if (b->prec == P_COMPARE && (at_word(p, "any") || at_word(p, "all") || at_word(p, "some")) && ahead_op(p, "("))
        return parse_unsupported(p, p->tok.pos, "a comparison with ANY, SOME or ALL is");
    TRY(parse_prec(p, b->prec + 1, &r));
    TRY(expr_operator(p, b->fn, pos, *lhs, r, lhs));
    if (b->prec == P_COMPARE && binary_find(p) && binary_find(p)->prec == P_COMPARE) {
        parse_fail(p, &p->tok, "comparisons can't be chained");
        error_hint(p->err, "join them with AND, or put one into parentheses");
        return FZ_SYNTAX;
    }
    return FZ_OK;
}

static fz_status parse_infix(parser *p, int min, const ast_expr **lhs, bool *took)
{
    *took = false;
    if (p->tok.kind == TK_OP) {
        TRY(parse_binary(p, min, lhs, took));
        if (*took || min > P_LIKE)
            return FZ_OK;
        return parse_like_level(p, lhs, took);
    }
    if (p->tok.kind != TK_WORD)
        return FZ_OK;
    *took = true;
    if (min <= P_OR && at_word(p, "or"))
        return parse_logic(p, "or", P_OR, AX_OR, lhs);
    if (min <= P_AND && at_word(p, "and"))
        return parse_logic(p, "and", P_AND, AX_AND, lhs);
    if (min <= P_IS && at_word(p, "is"))
        return parse_is(p, lhs);
    if (min <= P_IS && (at_word(p, "isnull") || at_word(p, "notnull"))) {
        ast_expr *e = expr_new(p, AX_IS_NULL, p->tok.pos);
        if (!e)
            return FZ_NOMEM;
        e->negated = at_word(p, "notnull");
        TRY(parse_advance(p));
        return expr_done(p, e, 1, lhs, lhs);
    }
    if (min <= P_ZONE && at_word(p, "at") && ahead_word(p, "time")) {
        sql_pos pos = p->tok.pos;
        const ast_expr *args[2] = {NULL, *lhs};
        TRY(parse_advance(p));
        TRY(parse_advance(p));
        TRY(need_word(p, "zone"));
        TRY(parse_prec(p, P_ZONE + 1, &args[0]));
        return expr_call(p, "timezone", pos, 2, args, lhs);
    }
    if (min <= P_LIKE)
        return parse_like_level(p, lhs, took);
    *took = false;
    return FZ_OK;
}

static fz_status parse_prec(parser *p, int min, const ast_expr **out)
{
    TRY(parse_enter(p, 1));
    bool more;
    if (min <= P_NOT && at_word(p, "not")) {
        sql_pos pos = p->tok.pos;
        TRY(parse_advance(p));
        TRY(parse_prec(p, P_NOT, out));
        TRY(expr_not(p, pos, *out, out));
    } else {
        TRY(parse_unary(p, out));
    }
    do
        TRY(parse_infix(p, min, out, &more));
    while (more);
    parse_leave(p, 1);
    return FZ_OK;
}

fz_status parse_expr(parser *p, const ast_expr **out)
{
    return parse_prec(p, P_OR, out);
}

/* A call that no word was written for: its column is called what stands there. */
static fz_status postfix_call(parser *p, const char *fn, sql_pos pos, uint32_t n, const ast_expr *const *args, sql_ident written,
                              const ast_expr **out)
{
    TRY(expr_call(p, fn, pos, n, args, out));
    ((ast_expr *)*out)->call.written = written;
    return FZ_OK;
}

static fz_status integer_literal(parser *p, int64_t v, const ast_expr **out)
{
    return expr_literal(p, p->tok.pos, (datum){.t = TYPE(T_INT64), .i64 = v}, out);
}

/* x[i], x[a:b]; a is 1 and b the last where they aren't written. */
static fz_status parse_subscript(parser *p, const ast_expr **out)
{
    const ast_expr *args[3] = {*out};
    sql_pos pos = p->tok.pos;
    bool colon;
    TRY(parse_advance(p));
    if (at_op(p, ":"))
        TRY(integer_literal(p, 1, &args[1]));
    else
        TRY(parse_expr(p, &args[1]));
    TRY(take_op(p, ":", &colon));
    if (colon && at_op(p, "]"))
        TRY(integer_literal(p, -1, &args[2]));
    else if (colon)
        TRY(parse_expr(p, &args[2]));
    TRY(need_op(p, "]"));
    return postfix_call(p, colon ? "array_slice" : "array_extract", pos, colon ? 3 : 2, args, (sql_ident){0}, out);
}

/* x.field, behind what isn't a plain name */
static fz_status parse_field_of(parser *p, const ast_expr **out)
{
    sql_ident field;
    TRY(parse_advance(p));
    TRY(need_ident(p, "a field's name", &field));
    const ast_expr *args[2] = {*out, NULL};
    TRY(expr_literal(p, field.pos, (datum){.t = TYPE(T_STRING), .s = field.name}, &args[1]));
    return postfix_call(p, "struct_extract", field.pos, 2, args, field, out);
}

/* x::type, x[i], x.field, any number of times. */
static fz_status parse_postfix(parser *p, const ast_expr **out)
{
    for (;;) {
        if (at_op(p, "[")) {
            TRY(parse_subscript(p, out));
        } else if (at_op(p, ".")) {
            TRY(parse_field_of(p, out));
        } else if (at_op(p, "::")) {
            ast_expr *e = expr_new(p, AX_CAST, p->tok.pos);
            if (!e)
                return FZ_NOMEM;
            TRY(parse_advance(p));
            TRY(parse_type_name(p, &e->t));
            TRY(expr_done(p, e, 1, out, out));
        } else {
            return FZ_OK;
        }
    }
}

fz_status parse_unary(parser *p, const ast_expr **out)
{
    if (!at_op(p, "-") && !at_op(p, "+")) {
        TRY(parse_primary(p, out));
        return parse_postfix(p, out);
    }
    sql_pos pos = p->tok.pos;
    bool minus = at_op(p, "-");
    TRY(parse_enter(p, 1));
    TRY(parse_advance(p));
    if (p->tok.kind == TK_INTEGER || p->tok.kind == TK_DECIMAL || p->tok.kind == TK_FLOAT || p->tok.kind == TK_HEX) {
        TRY(parse_number(p, minus, out)); /* so that the smallest bigint can be written */
        ((ast_expr *)*out)->pos = pos;
        TRY(parse_postfix(p, out));
    } else {
        TRY(parse_unary(p, out));
        if (minus)
            TRY(expr_operator(p, "-", pos, *out, NULL, out));
    }
    parse_leave(p, 1);
    return FZ_OK;
}

fz_status parse_expr_list(parser *p, uint32_t *n, const ast_expr ***out)
{
    uint32_t cap = 0;
    const ast_expr **list = NULL;
    bool comma;
    *n = 0;
    do {
        const ast_expr *e;
        TRY(parse_expr(p, &e));
        LIST_PUSH(p, list, *n, cap, e);
        TRY(take_op(p, ",", &comma));
    } while (comma && !at_list_end(p));
    *out = list;
    return FZ_OK;
}
