/* parse_stmt.c: which statement it is, and the small ones. CREATE is in parse_create.c. */
#include "sql/parser_int.h"

#include <stdio.h>

/* Statements that other systems have. Two words where the second tells them apart. */
static const struct known { const char *word; bool two; } unsupported[] = {
    {"update", false}, {"delete", false}, {"merge", false}, {"truncate", false}, {"abort", false}, {"savepoint", false}, {"release", false}, {"grant", false},
    {"revoke", false}, {"copy", false}, {"analyze", false}, {"vacuum", false}, {"comment", true}, {"refresh", true},
    {"cache", true}, {"uncache", true}, {"attach", false}, {"detach", false}, {"install", false}, {"load", false}, {"pragma", false},
    {"execute", false}, {"prepare", false}, {"deallocate", false}, {"declare", false}, {"fetch", false}, {"close", false},
    {"listen", false}, {"notify", false}, {"lock", false}, {"msck", false}, {"optimize", false}, {"export", false}, {"import", false},
    {"reindex", false}, {"summarize", false}, {"pivot", false}, {"unpivot", false}, {"checkpoint", false}, {"do", false},
    {"discard", false}, {"rename", true}, {"replace", true}, {"upsert", false}, {"cluster", false},
};

static const char *const supported[] = {"SELECT", "INSERT", "CREATE", "DROP", "ALTER", "CALL", "BEGIN", "COMMIT", "ROLLBACK", "SHOW", "DESCRIBE", "EXPLAIN", "USE", "SET", "RESET",
                                        "VALUES", "WITH", "FROM", "TABLE"};

static void upper_words(const token *a, const token *b, char *out, size_t cap)
{
    size_t n = 0;
    for (int k = 0; k < 2; k++) {
        const token *t = k ? b : a;
        if (!t || t->kind != TK_WORD)
            continue;
        if (k && n + 1 < cap)
            out[n++] = ' ';
        for (size_t i = 0; i < t->text.n && n + 1 < cap; i++)
            out[n++] = t->text.p[i] >= 'a' && t->text.p[i] <= 'z' ? (char)(t->text.p[i] - 32) : t->text.p[i];
    }
    out[n] = 0;
}

static fz_status no_statement(parser *p)
{
    token first = p->tok;
    for (size_t i = 0; i < sizeof unsupported / sizeof unsupported[0]; i++)
        if (at_word(p, unsupported[i].word)) {
            char what[64];
            TRY(parse_advance(p));
            upper_words(&first, unsupported[i].two ? &p->tok : NULL, what, sizeof what);
            return parse_unsupported(p, first.pos, "%s is", what);
        }
    if (first.kind != TK_WORD)
        return parse_expected(p, "a statement");
    parse_fail(p, &first, "no statement begins with \"" STR_FMT "\"", (int)(first.text.n > 60 ? 60 : first.text.n), first.text.p);
    const char *best = NULL;
    unsigned near = 3;
    for (size_t i = 0; i < sizeof supported / sizeof supported[0]; i++) {
        unsigned d = str_distance(first.text, str_of(supported[i]), near - 1);
        if (d < near) {
            near = d;
            best = supported[i];
        }
    }
    if (best)
        error_hint(p->err, "did you mean %s?", best);
    return FZ_SYNTAX;
}

fz_status parse_if_exists(parser *p, bool *out)
{
    *out = at_word(p, "if") && ahead_word(p, "exists");
    if (*out) {
        TRY(parse_advance(p));
        TRY(parse_advance(p));
    }
    return FZ_OK;
}

static fz_status parse_drop(parser *p, ast_stmt *s)
{
    token drop = p->tok;
    bool took;
    TRY(parse_advance(p));
    if (at_word(p, "table")) {
        s->kind = ST_DROP_TABLE;
        s->what = "DROP TABLE";
        TRY(parse_advance(p));
        TRY(parse_if_exists(p, &s->drop_table.if_exists));
        TRY(need_name(p, "a table", &s->drop_table.name));
        TRY(take_word(p, "restrict", &took));
        if (at_word(p, "cascade"))
            return parse_unsupported(p, p->tok.pos, "DROP TABLE … CASCADE is");
        TRY(take_word(p, "purge", &s->drop_table.purge));
        if (at_op(p, ","))
            return parse_unsupported(p, p->tok.pos, "DROP TABLE of several tables is");
        return FZ_OK;
    }
    if (at_word(p, "schema") || at_word(p, "namespace") || at_word(p, "database")) {
        s->kind = ST_DROP_SCHEMA;
        s->what = "DROP SCHEMA";
        TRY(parse_advance(p));
        TRY(parse_if_exists(p, &s->drop_schema.if_exists));
        TRY(need_name(p, "a schema", &s->drop_schema.name));
        TRY(take_word(p, "restrict", &took));
        return take_word(p, "cascade", &s->drop_schema.cascade);
    }
    if (p->tok.kind != TK_WORD)
        return parse_expected(p, "TABLE or SCHEMA");
    char what[64];
    upper_words(&drop, &p->tok, what, sizeof what);
    return parse_unsupported(p, drop.pos, "%s is", what);
}

static fz_status parse_insert(parser *p, ast_stmt *s)
{
    bool took;
    s->kind = ST_INSERT;
    s->what = "INSERT";
    TRY(parse_advance(p));
    if (at_word(p, "overwrite")) {
        s->insert.overwrite = true;
        s->what = "INSERT OVERWRITE";
        TRY(parse_advance(p));
        TRY(take_word(p, "into", &took));
        if (at_word(p, "table") && !ahead_op(p, "."))
            TRY(parse_advance(p));
    } else if (at_word(p, "or")) {
        return parse_unsupported(p, p->tok.pos, "INSERT OR REPLACE is");
    } else {
        TRY(need_word(p, "into"));
        if (at_word(p, "table") && !ahead_op(p, ".") && !ahead_word(p, "select") && !ahead_word(p, "values") && !ahead_op(p, "("))
            TRY(parse_advance(p));
    }
    TRY(need_name(p, "a table", &s->insert.table));
    if (at_word(p, "partition") && ahead_op(p, "("))
        return parse_unsupported(p, p->tok.pos, "INSERT … PARTITION is");
    if (at_word(p, "by") && ahead_word(p, "name")) {
        s->insert.by_name = true;
        TRY(parse_advance(p));
        TRY(parse_advance(p));
    } else if (at_op(p, "(") && !at_query(p)) {
        TRY(need_ident_list(p, "a column", &s->insert.n_columns, &s->insert.columns));
    }
    if (at_word(p, "default") && ahead_word(p, "values"))
        return parse_unsupported(p, p->tok.pos, "INSERT … DEFAULT VALUES is");
    if (!at_query(p) && !at_word(p, "table"))
        return parse_expected(p, "VALUES or a query");
    TRY(parse_query(p, &s->insert.query));
    if (at_word(p, "on") && ahead_word(p, "conflict"))
        return parse_unsupported(p, p->tok.pos, "ON CONFLICT is");
    if (at_word(p, "returning"))
        return parse_unsupported(p, p->tok.pos, "RETURNING is");
    return FZ_OK;
}

/* A setting's name: words joined by dots, in lower case; TIME ZONE is timezone. */
static fz_status parse_setting(parser *p, str *out)
{
    sql_name name;
    if (at_word(p, "time") && ahead_word(p, "zone")) {
        TRY(parse_advance(p));
        *out = STR("timezone");
        return parse_advance(p);
    }
    TRY(need_name(p, "a setting", &name));
    sbuf b;
    sbuf_init(&b, NULL);
    for (uint32_t i = 0; i < name.n; i++) {
        if (i)
            sbuf_addc(&b, '.');
        for (size_t k = 0; k < name.parts[i].name.n; k++) {
            char c = name.parts[i].name.p[k];
            sbuf_addc(&b, c >= 'A' && c <= 'Z' ? (char)(c + 32) : c);
        }
    }
    char *s = b.failed ? NULL : arena_strndup(p->a, b.p, b.n);
    *out = (str){s, b.n};
    sbuf_free(&b);
    return s ? FZ_OK : error_nomem(p->err);
}

/* A setting's value as text: words, texts and numbers up to the end. */
static fz_status parse_setting_value(parser *p, str *out, bool *is_default)
{
    *is_default = at_word(p, "default");
    if (p->tok.kind == TK_STRING) {
        *out = p->tok.text;
        return parse_advance(p);
    }
    size_t from = p->tok.offset;
    if (at_end(p))
        return parse_expected(p, "a value");
    while (!at_end(p))
        TRY(parse_advance(p));
    *out = (str){p->lex.text.p + from, p->prev.end - from};
    return FZ_OK;
}

static fz_status parse_set(parser *p, ast_stmt *s)
{
    bool took;
    s->kind = ST_SET;
    s->what = "SET";
    TRY(parse_advance(p));
    if (at_word(p, "transaction") || at_word(p, "role") || (at_word(p, "session") && ahead_word(p, "authorization")))
        return parse_unsupported(p, s->pos, "SET " STR_FMT " is", STR_ARG(p->tok.text));
    TRY(take_word(p, "session", &took));
    if (!took)
        TRY(take_word(p, "local", &took));
    bool zone = at_word(p, "time") && ahead_word(p, "zone");
    TRY(parse_setting(p, &s->set.name));
    TRY(take_op(p, "=", &took));
    if (!took && !zone)
        TRY(need_word(p, "to"));
    return parse_setting_value(p, &s->set.value, &s->set.is_default);
}

static fz_status parse_show_list(parser *p, ast_stmt *s)
{
    bool in, from, like;
    TRY(parse_advance(p));
    TRY(take_word(p, "in", &in));
    if (!in)
        TRY(take_word(p, "from", &from));
    if (in || from)
        TRY(need_name(p, "a schema", &s->show.in));
    TRY(take_word(p, "like", &like));
    return like ? need_string(p, "a pattern in quotes", &s->show.like) : FZ_OK;
}

static fz_status parse_show(parser *p, ast_stmt *s)
{
    TRY(parse_advance(p));
    s->what = "SHOW";
    if (at_word(p, "tables")) {
        s->kind = ST_SHOW_TABLES;
        s->what = "SHOW TABLES";
        return parse_show_list(p, s);
    }
    if (at_word(p, "schemas") || at_word(p, "namespaces") || at_word(p, "databases")) {
        s->kind = ST_SHOW_SCHEMAS;
        s->what = "SHOW SCHEMAS";
        return parse_show_list(p, s);
    }
    if (at_word(p, "create") && ahead_word(p, "table")) {
        s->kind = ST_SHOW_CREATE_TABLE;
        s->what = "SHOW CREATE TABLE";
        TRY(parse_advance(p));
        TRY(parse_advance(p));
        return need_name(p, "a table", &s->describe.name);
    }
    static const char *const words[] = {"columns", "partitions", "functions", "views", "catalogs", "tblproperties", "indexes", "create"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (at_word(p, words[i]))
            return parse_unsupported(p, s->pos, "SHOW " STR_FMT " is", STR_ARG(p->tok.text));
    s->kind = ST_SHOW;
    return parse_setting(p, &s->set.name);
}

static fz_status parse_describe(parser *p, ast_stmt *s)
{
    const ast_from *from;
    bool took;
    s->kind = ST_DESCRIBE;
    s->what = "DESCRIBE";
    TRY(parse_advance(p));
    if (at_query(p))
        return parse_query(p, &s->describe.query);
    if (p->tok.kind == TK_STRING) {
        TRY(parse_from(p, &from));
        return query_of_from(p, from, &s->describe.query);
    }
    if (at_word(p, "table") && !ahead_op(p, ".")) {
        const token *t;
        TRY(parse_peek(p, &t));
        if (t->kind == TK_WORD || t->kind == TK_QUOTED)
            TRY(parse_advance(p));
    }
    TRY(take_word(p, "extended", &took));
    TRY(need_name(p, "a table, a file or a query", &s->describe.name));
    TRY(from_of_name(p, &s->describe.name, &from));
    return query_of_from(p, from, &s->describe.query);
}

static fz_status parse_explain(parser *p, ast_stmt *s)
{
    s->kind = ST_EXPLAIN;
    s->what = "EXPLAIN";
    TRY(parse_advance(p));
    TRY(take_word(p, "analyze", &s->explain.analyze));
    if (at_op(p, "(") && !at_query(p)) { /* EXPLAIN (ANALYZE, …): the options of PostgreSQL */
        sql_pos open = p->tok.pos;
        TRY(parse_advance(p));
        while (!at_op(p, ")") && !at_end(p)) {
            s->explain.analyze |= at_word(p, "analyze");
            TRY(parse_advance(p));
        }
        TRY(need_close(p, open));
    }
    ast_stmt *inner = ARENA_NEW(p->a, ast_stmt);
    if (!inner)
        return error_nomem(p->err);
    inner->pos = p->tok.pos;
    inner->offset = p->tok.offset;
    TRY(parse_statement(p, inner));
    if (inner->kind != ST_QUERY && inner->kind != ST_INSERT && !(inner->kind == ST_CREATE_TABLE && inner->create_table.query))
        return parse_unsupported(p, inner->pos, "EXPLAIN of %s is", inner->what);
    inner->length = p->prev.end - inner->offset;
    s->explain.stmt = inner;
    return FZ_OK;
}

/* BEGIN, COMMIT, ROLLBACK [WORK | TRANSACTION]; START TRANSACTION. ROLLBACK TABLE is another statement. */
static fz_status parse_transaction(parser *p, ast_stmt *s)
{
    bool took, start = at_word(p, "start"), begin = start || at_word(p, "begin");
    s->kind = begin ? ST_BEGIN : at_word(p, "commit") ? ST_COMMIT : ST_ROLLBACK;
    s->what = begin ? "BEGIN" : s->kind == ST_COMMIT ? "COMMIT" : "ROLLBACK";
    TRY(parse_advance(p));
    TRY(take_word(p, "transaction", &took));
    if (start && !took)
        return parse_expected(p, "TRANSACTION");
    if (!took)
        TRY(take_word(p, "work", &took));
    if (p->tok.kind == TK_WORD && begin)
        return parse_unsupported(p, p->tok.pos, "a mode of a transaction is");
    if (at_word(p, "to") || at_word(p, "prepared"))
        return parse_unsupported(p, p->tok.pos, "a savepoint or a prepared transaction is");
    if (at_word(p, "and"))
        return parse_unsupported(p, p->tok.pos, "AND CHAIN is");
    return FZ_OK;
}

fz_status parse_statement(parser *p, ast_stmt *s)
{
    bool took;
    TRY(parse_enter(p, 1));
    fz_status st;
    if (at_query(p) || at_word(p, "table")) {
        s->kind = ST_QUERY;
        s->what = "SELECT";
        st = parse_query(p, &s->query);
    } else if (at_word(p, "insert")) {
        st = parse_insert(p, s);
    } else if (at_word(p, "create")) {
        st = parse_create(p, s);
    } else if (at_word(p, "drop")) {
        st = parse_drop(p, s);
    } else if (at_word(p, "alter")) {
        st = parse_alter(p, s);
    } else if (at_word(p, "call")) {
        st = parse_call(p, s);
    } else if (at_word(p, "rollback") && ahead_word(p, "table")) {
        st = parse_rollback_table(p, s);
    } else if (at_word(p, "begin") || at_word(p, "start") || at_word(p, "commit") || at_word(p, "rollback")) {
        st = parse_transaction(p, s);
    } else if (at_word(p, "show")) {
        st = parse_show(p, s);
    } else if (at_word(p, "describe") || at_word(p, "desc")) {
        st = parse_describe(p, s);
    } else if (at_word(p, "explain")) {
        st = parse_explain(p, s);
    } else if (at_word(p, "set")) {
        st = parse_set(p, s);
    } else if (at_word(p, "reset")) {
        s->kind = ST_RESET;
        s->what = "RESET";
        TRY(parse_advance(p));
        st = parse_setting(p, &s->set.name);
    } else if (at_word(p, "use")) {
        s->kind = ST_USE;
        s->what = "USE";
        TRY(parse_advance(p));
        if (at_word(p, "schema") || at_word(p, "namespace") || at_word(p, "database"))
            if (!ahead_op(p, ".") && !ahead_op(p, ";"))
                TRY(take_word(p, p->tok.text.n == 6 ? "schema" : p->tok.text.n == 9 ? "namespace" : "database", &took));
        st = need_name(p, "a schema or catalog", &s->use.name);
    } else {
        st = no_statement(p);
    }
    parse_leave(p, 1);
    return st;
}
