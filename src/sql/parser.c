/* parser.c: the parser's handling of tokens and errors, and its entry points; see parser_int.h. */
#include "sql/parser_int.h"

#include <stdio.h>

/* ---- errors ---- */

/* What a person would call the token. */
static void describe(const token *t, char *out, size_t cap)
{
    size_t n = t->text.n > 40 ? 40 : t->text.n;
    while (n < t->text.n && n > 0 && ((unsigned char)t->text.p[n] & 0xC0) == 0x80)
        n--;
    const char *more = n < t->text.n ? "…" : "";
    switch (t->kind) {
    case TK_END: snprintf(out, cap, "the end"); break;
    case TK_STRING: snprintf(out, cap, "'%.*s%s'", (int)n, t->text.p, more); break;
    case TK_BYTES: snprintf(out, cap, "x'…'"); break;
    case TK_PARAM: snprintf(out, cap, t->text.n ? "$%.*s" : "?%.*s", (int)n, t->text.p); break;
    case TK_HEX: snprintf(out, cap, "0x%.*s%s", (int)n, t->text.p, more); break;
    case TK_INTEGER: case TK_DECIMAL: case TK_FLOAT: snprintf(out, cap, "%.*s%s", (int)n, t->text.p, more); break;
    default: snprintf(out, cap, "\"%.*s%s\"", (int)n, t->text.p, more); break;
    }
}

fz_status parse_fail(parser *p, const token *at, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    error_vset(p->err, FZ_SYNTAX, fmt, ap);
    va_end(ap);
    error_line(p->err, at->pos.line, at->pos.column);
    return FZ_SYNTAX;
}

/* A keyword that the word is probably meant to be. */
static const char *near_keyword(const token *t)
{
    static const char *const words[] = {"SELECT", "FROM", "WHERE", "GROUP", "HAVING", "ORDER", "LIMIT", "OFFSET", "JOIN", "INNER", "UNION",
                                        "DISTINCT", "VALUES", "INTO", "TABLE", "SCHEMA", "BETWEEN", "LIKE", "WITH", "PARTITIONED"};
    if (t->kind != TK_WORD || word_flags(t->text) || t->text.n < 3)
        return NULL;
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        str w = str_of(words[i]);
        if (!str_ieq(t->text, w) && str_distance(t->text, w, 2) <= (w.n > 5 ? 2 : 1))
            return words[i];
    }
    return NULL;
}

fz_status parse_expected(parser *p, const char *what)
{
    char found[128];
    describe(&p->tok, found, sizeof found);
    parse_fail(p, &p->tok, "expected %s, found %s", what, found);
    const char *k = near_keyword(&p->prev);
    if (k)
        error_hint(p->err, "is \"" STR_FMT "\" meant to be %s?", STR_ARG(p->prev.text), k);
    else if ((k = near_keyword(&p->tok)))
        error_hint(p->err, "is \"" STR_FMT "\" meant to be %s?", STR_ARG(p->tok.text), k);
    return FZ_SYNTAX;
}

fz_status parse_unsupported(parser *p, sql_pos pos, const char *fmt, ...)
{
    char what[256];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(what, sizeof what, fmt, ap);
    va_end(ap);
    error_set(p->err, FZ_UNSUPPORTED, "%s not supported", what);
    error_line(p->err, pos.line, pos.column);
    return FZ_UNSUPPORTED;
}

fz_status parse_notice(parser *p, const char *fmt, ...)
{
    char text[256];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    size_t n = strlen(text);
    for (uint32_t i = 0; i < p->n_notices; i++)
        if (str_eq(p->notices[i], (str){text, n}))
            return FZ_OK;
    char *copy = arena_strndup(p->a, text, n);
    if (!copy)
        return error_nomem(p->err);
    if (p->n_notices < 100)
        LIST_PUSH(p, p->notices, p->n_notices, p->cap_notices, ((str){copy, n}));
    return FZ_OK;
}

fz_status parse_enter(parser *p, int levels)
{
    p->depth += levels;
    if (p->depth <= SQL_MAX_DEPTH)
        return FZ_OK;
    error_sql(p->err, FZ_LIMIT, "54001", "the statement is nested too deeply");
    error_line(p->err, p->tok.pos.line, p->tok.pos.column);
    return FZ_LIMIT;
}

void parse_leave(parser *p, int levels)
{
    p->depth -= levels;
}

fz_status list_grow(parser *p, void *items, uint32_t n, uint32_t *cap, size_t size)
{
    uint32_t want = *cap ? *cap * 2 : 4;
    if (want < *cap)
        return error_nomem(p->err);
    void *q = arena_array(p->a, size, want);
    if (!q)
        return error_nomem(p->err);
    void *old;
    memcpy(&old, items, sizeof old);
    if (n)
        memcpy(q, old, n * size);
    memcpy(items, &q, sizeof q);
    *cap = want;
    return FZ_OK;
}

/* ---- tokens ---- */

fz_status parse_advance(parser *p)
{
    p->prev = p->tok;
    if (p->has_ahead) {
        p->tok = p->ahead;
        p->lex = p->lex_ahead;
        p->has_ahead = false;
        return FZ_OK;
    }
    return lexer_next(&p->lex, p->a, &p->tok, p->err);
}

fz_status parse_peek(parser *p, const token **out)
{
    if (!p->has_ahead) {
        p->lex_ahead = p->lex;
        TRY(lexer_next(&p->lex_ahead, p->a, &p->ahead, p->err));
        p->has_ahead = true;
    }
    *out = &p->ahead;
    return FZ_OK;
}

bool at_word(const parser *p, const char *lower)
{
    return word_is(&p->tok, lower);
}

bool at_op(const parser *p, const char *op)
{
    return p->tok.kind == TK_OP && str_eqz(p->tok.text, op);
}

bool at_end(const parser *p)
{
    return p->tok.kind == TK_END || at_op(p, ";");
}

/* A token that can't be read is met again, and reported, when it becomes the current one. */
static const token *ahead_token(parser *p)
{
    fz_error *err = p->err;
    const token *t = NULL;
    p->err = NULL;
    if (parse_peek(p, &t) != FZ_OK)
        t = NULL;
    p->err = err;
    return t;
}

bool ahead_word(parser *p, const char *lower)
{
    const token *t = ahead_token(p);
    return t && word_is(t, lower);
}

bool ahead_op(parser *p, const char *op)
{
    const token *t = ahead_token(p);
    return t && t->kind == TK_OP && str_eqz(t->text, op);
}

fz_status take_word(parser *p, const char *lower, bool *took)
{
    *took = at_word(p, lower);
    return *took ? parse_advance(p) : FZ_OK;
}

fz_status take_op(parser *p, const char *op, bool *took)
{
    *took = at_op(p, op);
    return *took ? parse_advance(p) : FZ_OK;
}

fz_status need_word(parser *p, const char *lower)
{
    if (at_word(p, lower))
        return parse_advance(p);
    char upper[32];
    size_t n = strlen(lower);
    for (size_t i = 0; i <= n && i < sizeof upper; i++)
        upper[i] = lower[i] >= 'a' && lower[i] <= 'z' ? (char)(lower[i] - 32) : lower[i];
    return parse_expected(p, upper);
}

fz_status need_op(parser *p, const char *op)
{
    if (at_op(p, op))
        return parse_advance(p);
    char what[16];
    snprintf(what, sizeof what, "\"%s\"", op);
    return parse_expected(p, what);
}

fz_status need_close(parser *p, sql_pos open)
{
    if (at_op(p, ")"))
        return parse_advance(p);
    fz_status st = parse_expected(p, "\")\"");
    error_hint(p->err, "it closes the parenthesis of line %d, column %d", open.line, open.column);
    return st;
}

fz_status need_ident(parser *p, const char *what, sql_ident *out)
{
    if (p->tok.kind != TK_WORD && p->tok.kind != TK_QUOTED)
        return parse_expected(p, what);
    *out = (sql_ident){p->tok.text, p->tok.kind == TK_QUOTED, p->tok.pos};
    return parse_advance(p);
}

fz_status need_name(parser *p, const char *what, sql_name *out)
{
    uint32_t cap = 0;
    sql_ident *parts = NULL;
    *out = (sql_name){0};
    bool dot;
    do {
        sql_ident id;
        TRY(need_ident(p, out->n ? "a name after \".\"" : what, &id));
        LIST_PUSH(p, parts, out->n, cap, id);
        if (out->n > 16)
            return parse_fail(p, &p->tok, "a name has at most 16 parts");
        TRY(take_op(p, ".", &dot));
    } while (dot);
    out->parts = parts;
    return FZ_OK;
}

fz_status need_string(parser *p, const char *what, str *out)
{
    if (p->tok.kind != TK_STRING)
        return parse_expected(p, what);
    *out = p->tok.text;
    return parse_advance(p);
}

fz_status need_integer(parser *p, const char *what, int64_t min, int64_t max, int64_t *out)
{
    if (p->tok.kind != TK_INTEGER)
        return parse_expected(p, what);
    if (!str_to_i64(p->tok.text, out) || *out < min || *out > max)
        return parse_fail(p, &p->tok, "%s has to be from %lld to %lld", what, (long long)min, (long long)max);
    return parse_advance(p);
}

fz_status need_ident_list(parser *p, const char *what, uint32_t *n, const sql_ident **out)
{
    uint32_t cap = 0;
    sql_ident *ids = NULL;
    sql_pos open = p->tok.pos;
    *n = 0;
    TRY(need_op(p, "("));
    bool comma;
    do {
        sql_ident id;
        TRY(need_ident(p, what, &id));
        LIST_PUSH(p, ids, *n, cap, id);
        TRY(take_op(p, ",", &comma));
    } while (comma && !at_op(p, ")"));
    *out = ids;
    return need_close(p, open);
}

fz_status parse_alias(parser *p, sql_ident *out)
{
    *out = (sql_ident){0};
    bool as;
    TRY(take_word(p, "as", &as));
    if (as && p->tok.kind == TK_STRING) { /* AS 'a name', as some tools write */
        *out = (sql_ident){p->tok.text, true, p->tok.pos};
        if (!out->name.n)
            return parse_fail(p, &p->tok, "a name can't be empty");
        return parse_advance(p);
    }
    if (as)
        return need_ident(p, "a name after AS", out);
    if (p->tok.kind == TK_QUOTED || (p->tok.kind == TK_WORD && !(word_flags(p->tok.text) & WORD_NO_ALIAS)))
        return need_ident(p, "an alias", out);
    return FZ_OK;
}

bool at_list_end(parser *p)
{
    static const char *const words[] = {"from", "where", "having", "limit", "offset", "union", "except", "intersect", "fetch", "qualify",
                                        "window"};
    if (at_end(p) || at_op(p, ")"))
        return true;
    if (p->tok.kind != TK_WORD)
        return false;
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (at_word(p, words[i]))
            return true;
    return (at_word(p, "group") || at_word(p, "order")) && ahead_word(p, "by");
}

/* ---- entry points ---- */

void sql_script_init(sql_script *s, str text)
{
    *s = (sql_script){.text = text, .line = 1, .column = 1};
}

static fz_status parser_open(parser *p, str text, size_t at, int32_t line, int32_t column, arena *a, fz_error *err)
{
    *p = (parser){.lex = {text, at, line, column}, .a = a, .err = err};
    return parse_advance(p);
}

static fz_status parse_one(parser *p, const ast_stmt **out)
{
    *out = NULL;
    while (at_op(p, ";"))
        TRY(parse_advance(p));
    if (p->tok.kind == TK_END)
        return FZ_OK;
    ast_stmt *s = ARENA_NEW(p->a, ast_stmt);
    if (!s)
        return error_nomem(p->err);
    s->pos = p->tok.pos;
    s->offset = p->tok.offset;
    TRY(parse_statement(p, s));
    if (!at_end(p)) {
        TRY(parse_expected(p, "the end of the statement"));
        return FZ_SYNTAX;
    }
    s->length = p->prev.end - s->offset;
    s->n_params = p->n_params;
    s->n_notices = p->n_notices;
    s->notices = p->notices;
    *out = s;
    return FZ_OK;
}

fz_status sql_parse_next(sql_script *s, arena *a, const ast_stmt **out, fz_error *err)
{
    parser p;
    *out = NULL;
    fz_status st = parser_open(&p, s->text, s->at, s->line, s->column, a, err);
    if (st == FZ_OK)
        st = parse_one(&p, out);
    lexer *l = &p.lex;
    /* After an error the rest of the statement is passed over, unless the last token was its semicolon. */
    if (st != FZ_OK && !(p.tok.kind == TK_OP && str_eqz(p.tok.text, ";")))
        lexer_skip_statement(l);
    s->at = l->at;
    s->line = l->line;
    s->column = l->column;
    return st;
}

static fz_status need_text_end(parser *p)
{
    bool semi;
    TRY(take_op(p, ";", &semi));
    return p->tok.kind == TK_END ? FZ_OK : parse_expected(p, "the end");
}

fz_status sql_parse_query(str text, arena *a, const ast_query **out, fz_error *err)
{
    parser p;
    *out = NULL;
    TRY(parser_open(&p, text, 0, 1, 1, a, err));
    TRY(parse_query(&p, out));
    return need_text_end(&p);
}

fz_status sql_parse_expr(str text, arena *a, const ast_expr **out, fz_error *err)
{
    parser p;
    *out = NULL;
    TRY(parser_open(&p, text, 0, 1, 1, a, err));
    TRY(parse_expr(&p, out));
    return need_text_end(&p);
}

fz_status sql_parse_type(str text, arena *a, type *out, fz_error *err)
{
    parser p;
    TRY(parser_open(&p, text, 0, 1, 1, a, err));
    TRY(parse_type_name(&p, out));
    return need_text_end(&p);
}

fz_status sql_parse_name(str text, arena *a, sql_name *out, fz_error *err)
{
    parser p;
    TRY(parser_open(&p, text, 0, 1, 1, a, err));
    TRY(need_name(&p, "a name", out));
    return need_text_end(&p);
}

fz_status sql_parse_partitions(str text, arena *a, uint32_t *n, const ast_partition **out, fz_error *err)
{
    parser p;
    TRY(parser_open(&p, text, 0, 1, 1, a, err));
    TRY(parse_partition_list(&p, n, out));
    return need_text_end(&p);
}

bool sql_incomplete(str text)
{
    int depth;
    bool pending;
    char open = lexer_open_at_end(text, &depth, &pending);
    return open || pending;
}
