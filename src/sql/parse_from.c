/* parse_from.c: tables, files, table functions, sub-selects and joins. */
#include "sql/parser_int.h"

static fz_status parse_joined(parser *p, const ast_from **out);

static ast_from *from_new(parser *p, ast_from_kind kind, sql_pos pos)
{
    ast_from *f = ARENA_NEW(p->a, ast_from);
    if (!f) {
        error_nomem(p->err);
        return NULL;
    }
    f->kind = (uint8_t)kind;
    f->pos = pos;
    f->depth = 1;
    return f;
}

fz_status from_of_name(parser *p, const sql_name *name, const ast_from **out)
{
    ast_from *f = from_new(p, FROM_TABLE, name->parts[0].pos);
    if (!f)
        return FZ_NOMEM;
    f->table.name = *name;
    *out = f;
    return FZ_OK;
}

/* After FROM any word can be a table, except what shows that the table was forgotten. */
static bool at_forgotten_table(parser *p)
{
    static const char *const words[] = {"where", "having", "limit", "union", "select", "from", "on", "using", "join", "and", "or"};
    if (p->tok.kind != TK_WORD)
        return false;
    if ((at_word(p, "group") || at_word(p, "order")) && ahead_word(p, "by"))
        return true;
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (at_word(p, words[i]))
            return !(ahead_op(p, ".") || ahead_op(p, ",") || ahead_op(p, ")") || ahead_op(p, ";"));
    return false;
}

static fz_status travel_version(parser *p, sql_travel *t)
{
    if (p->tok.kind == TK_INTEGER) {
        t->kind = TRAVEL_SNAPSHOT;
        return need_integer(p, "a snapshot id", 0, INT64_MAX, &t->snapshot_id);
    }
    t->kind = TRAVEL_REF;
    return need_string(p, "a snapshot id or the name of a branch or tag in quotes", &t->ref);
}

/* AT (VERSION => n), AT (TIMESTAMP => ts), AT (BRANCH => 'b') */
static fz_status parse_at(parser *p, sql_travel *t)
{
    sql_ident what;
    bool arrow;
    TRY(parse_advance(p));
    sql_pos open = p->tok.pos;
    TRY(need_op(p, "("));
    TRY(need_ident(p, "VERSION, TIMESTAMP, BRANCH or TAG", &what));
    TRY(take_op(p, "=>", &arrow));
    if (!arrow)
        TRY(need_op(p, ":="));
    if (str_ieq(what.name, STR("version")) || str_ieq(what.name, STR("snapshot"))) {
        TRY(travel_version(p, t));
    } else if (str_ieq(what.name, STR("branch")) || str_ieq(what.name, STR("tag"))) {
        t->kind = TRAVEL_REF;
        TRY(need_string(p, "the name of a branch or tag in quotes", &t->ref));
    } else if (str_ieq(what.name, STR("timestamp"))) {
        t->kind = TRAVEL_TIME;
        TRY(parse_expr(p, &t->time));
    } else {
        token bad = {.kind = TK_WORD, .text = what.name, .pos = what.pos};
        return parse_fail(p, &bad, "expected VERSION, TIMESTAMP, BRANCH or TAG");
    }
    return need_close(p, open);
}

/* [FOR] {VERSION | TIMESTAMP | SYSTEM_VERSION | SYSTEM_TIME} AS OF … */
static fz_status parse_travel(parser *p, sql_travel *t)
{
    bool with_for = at_word(p, "for") && (ahead_word(p, "version") || ahead_word(p, "timestamp") || ahead_word(p, "system_time") ||
                                          ahead_word(p, "system_version"));
    bool bare = (at_word(p, "version") || at_word(p, "timestamp") || at_word(p, "system_time") || at_word(p, "system_version")) &&
                ahead_word(p, "as");
    *t = (sql_travel){.pos = p->tok.pos};
    if (at_word(p, "at") && ahead_op(p, "(")) { /* t at (a, b) is an alias with columns */
        lexer l = p->lex_ahead;
        token tok;
        if (lexer_next(&l, p->a, &tok, NULL) == FZ_OK && lexer_next(&l, p->a, &tok, NULL) == FZ_OK && tok.kind == TK_OP &&
            (str_eqz(tok.text, "=>") || str_eqz(tok.text, ":=")))
            return parse_at(p, t);
    }
    if (bare) {
        /* t version AS OF 1 against the alias t version AS …: OF decides */
        lexer l = p->lex;
        token tok;
        if (lexer_next(&l, p->a, &tok, NULL) != FZ_OK || lexer_next(&l, p->a, &tok, NULL) != FZ_OK || !word_is(&tok, "of"))
            return FZ_OK;
    }
    if (!with_for && !bare)
        return FZ_OK;
    if (with_for)
        TRY(parse_advance(p));
    bool version = at_word(p, "version") || at_word(p, "system_version");
    TRY(parse_advance(p));
    TRY(need_word(p, "as"));
    TRY(need_word(p, "of"));
    if (version)
        return travel_version(p, t);
    t->kind = TRAVEL_TIME;
    return parse_expr(p, &t->time);
}

static fz_status parse_function_args(parser *p, ast_from *f)
{
    uint32_t cap_args = 0, cap_options = 0;
    const ast_expr **args = NULL;
    ast_option *options = NULL;
    sql_pos open = p->tok.pos;
    bool comma = true;
    TRY(need_op(p, "("));
    while (comma && !at_op(p, ")")) {
        if (p->tok.kind == TK_WORD && (ahead_op(p, "=>") || ahead_op(p, ":=") || ahead_op(p, "="))) {
            ast_option o;
            TRY(need_ident(p, "an option", &o.name));
            TRY(parse_advance(p));
            TRY(parse_expr(p, &o.value));
            LIST_PUSH(p, options, f->function.n_options, cap_options, o);
        } else {
            const ast_expr *e;
            if (f->function.n_options)
                return parse_expected(p, "an option (name => value)");
            TRY(parse_expr(p, &e));
            LIST_PUSH(p, args, f->function.n_args, cap_args, e);
        }
        TRY(take_op(p, ",", &comma));
    }
    f->function.args = args;
    f->function.options = options;
    return need_close(p, open);
}

static fz_status parse_from_alias(parser *p, ast_from *f)
{
    TRY(parse_alias(p, &f->alias));
    if (f->alias.name.p && at_op(p, "("))
        TRY(need_ident_list(p, "a column", &f->n_columns, &f->columns));
    if (at_word(p, "tablesample"))
        return parse_unsupported(p, p->tok.pos, "TABLESAMPLE is");
    return FZ_OK;
}

/* (query) alias, or a join in parentheses. */
static fz_status parse_from_parenthesis(parser *p, const ast_from **out)
{
    sql_pos open = p->tok.pos;
    if (!at_query(p)) {
        TRY(parse_advance(p));
        TRY(parse_joined(p, out));
        return need_close(p, open);
    }
    TRY(parse_advance(p));
    ast_from *f = from_new(p, FROM_QUERY, open);
    if (!f)
        return FZ_NOMEM;
    TRY(parse_query(p, &f->query));
    TRY(need_close(p, open));
    *out = f;
    return parse_from_alias(p, f);
}

static fz_status parse_from_primary(parser *p, const ast_from **out)
{
    sql_pos pos = p->tok.pos;
    if (at_op(p, "("))
        return parse_from_parenthesis(p, out);
    if (p->tok.kind == TK_STRING) {
        ast_from *f = from_new(p, FROM_FILE, pos);
        if (!f)
            return FZ_NOMEM;
        f->file.path = p->tok.text;
        TRY(parse_advance(p));
        TRY(parse_travel(p, &f->file.travel));
        *out = f;
        return parse_from_alias(p, f);
    }
    if (at_word(p, "lateral") && (ahead_op(p, "(")))
        return parse_unsupported(p, pos, "LATERAL is");
    if (at_word(p, "values") && ahead_op(p, "(")) { /* FROM VALUES (…) t, without parentheses around */
        ast_from *f = from_new(p, FROM_QUERY, pos);
        if (!f)
            return FZ_NOMEM;
        TRY(parse_query(p, &f->query));
        *out = f;
        return parse_from_alias(p, f);
    }
    if ((p->tok.kind != TK_WORD && p->tok.kind != TK_QUOTED) || at_forgotten_table(p))
        return parse_expected(p, "a table, a file in quotes or a query in parentheses");
    sql_name name;
    TRY(need_name(p, "a table", &name));
    ast_from *f = from_new(p, FROM_TABLE, pos);
    if (!f)
        return FZ_NOMEM;
    *out = f;
    if (at_op(p, "(")) {
        if (name.n != 1)
            return parse_unsupported(p, pos, "a table function in a schema is");
        f->kind = FROM_FUNCTION;
        f->function.name = name.parts[0];
        f->function.n_args = f->function.n_options = 0;
        TRY(parse_function_args(p, f));
        return parse_from_alias(p, f);
    }
    f->table.name = name;
    TRY(parse_travel(p, &f->table.travel));
    TRY(parse_from_alias(p, f));
    if (f->table.travel.kind == TRAVEL_NONE) { /* t AS x FOR SYSTEM_TIME AS OF … */
        sql_travel t;
        TRY(parse_travel(p, &t));
        f->table.travel = t;
    }
    return FZ_OK;
}

static fz_status join_done(parser *p, ast_from *j, const ast_from *l, const ast_from *r, const ast_from **out)
{
    unsigned depth = l->depth > r->depth ? l->depth : r->depth;
    if (depth >= SQL_MAX_DEPTH) {
        error_sql(p->err, FZ_LIMIT, "54001", "FROM joins too many tables");
        error_line(p->err, j->pos.line, j->pos.column);
        return FZ_LIMIT;
    }
    j->depth = (uint16_t)(depth + 1);
    if (j->depth > p->tallest)
        p->tallest = j->depth;
    j->join.left = l;
    j->join.right = r;
    *out = j;
    return FZ_OK;
}

/* The words in front of JOIN. *found false: there is no join here. */
static fz_status parse_join_kind(parser *p, ast_join_kind *kind, bool *natural, bool *found)
{
    bool outer;
    *kind = AJ_INNER;
    *found = true;
    if ((at_word(p, "semi") || at_word(p, "anti") || at_word(p, "asof") || at_word(p, "positional")) && ahead_word(p, "join"))
        return parse_unsupported(p, p->tok.pos, STR_FMT " JOIN is", STR_ARG(p->tok.text));
    if ((at_word(p, "left") || at_word(p, "right")) && (ahead_word(p, "semi") || ahead_word(p, "anti")))
        return parse_unsupported(p, p->tok.pos, "SEMI JOIN or ANTI JOIN (write IN or EXISTS) is");
    TRY(take_word(p, "natural", natural));
    if (at_word(p, "cross") && !*natural) {
        *kind = AJ_CROSS;
        TRY(parse_advance(p));
    } else if (at_word(p, "inner")) {
        TRY(parse_advance(p));
    } else if (at_word(p, "left") || at_word(p, "right") || at_word(p, "full")) {
        *kind = at_word(p, "left") ? AJ_LEFT : at_word(p, "right") ? AJ_RIGHT : AJ_FULL;
        TRY(parse_advance(p));
        TRY(take_word(p, "outer", &outer));
    } else if (!at_word(p, "join")) {
        if (*natural)
            return parse_expected(p, "JOIN");
        *found = false;
        return FZ_OK;
    }
    return need_word(p, "join");
}

static fz_status parse_joins(parser *p, const ast_from **out)
{
    for (;;) {
        ast_join_kind kind;
        bool natural, found, on;
        sql_pos pos = p->tok.pos;
        TRY(parse_join_kind(p, &kind, &natural, &found));
        if (!found)
            return FZ_OK;
        const ast_from *right;
        TRY(parse_from_primary(p, &right));
        ast_from *j = from_new(p, FROM_JOIN, pos);
        if (!j)
            return FZ_NOMEM;
        j->join.kind = (uint8_t)kind;
        j->join.natural = natural;
        j->join.on = NULL;
        j->join.n_using = 0;
        if (kind != AJ_CROSS && !natural) {
            TRY(take_word(p, "on", &on));
            if (on) {
                TRY(parse_expr(p, &j->join.on));
            } else if (at_word(p, "using")) {
                TRY(parse_advance(p));
                TRY(need_ident_list(p, "a column", &j->join.n_using, &j->join.cols_using));
            } else {
                return parse_expected(p, "ON or USING");
            }
        }
        TRY(join_done(p, j, *out, right, out));
    }
}

static fz_status parse_joined(parser *p, const ast_from **out)
{
    TRY(parse_enter(p, 2));
    TRY(parse_from_primary(p, out));
    TRY(parse_joins(p, out));
    parse_leave(p, 2);
    return FZ_OK;
}

fz_status parse_from(parser *p, const ast_from **out)
{
    bool comma;
    TRY(parse_joined(p, out));
    for (;;) {
        sql_pos pos = p->tok.pos;
        TRY(take_op(p, ",", &comma));
        if (!comma || at_end(p) || at_op(p, ")") || at_forgotten_table(p))
            return FZ_OK;
        const ast_from *right;
        TRY(parse_joined(p, &right));
        ast_from *j = from_new(p, FROM_JOIN, pos);
        if (!j)
            return FZ_NOMEM;
        j->join.kind = AJ_CROSS;
        TRY(join_done(p, j, *out, right, out));
    }
}
