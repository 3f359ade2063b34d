/* parse_create.c: CREATE SCHEMA and CREATE TABLE, with partition transforms and properties. */
#include "sql/parser_int.h"

fz_status parse_if_not_exists(parser *p, bool *out)
{
    *out = at_word(p, "if") && ahead_word(p, "not");
    if (*out) {
        TRY(parse_advance(p));
        TRY(parse_advance(p));
        TRY(need_word(p, "exists"));
    }
    return FZ_OK;
}

/* A value of WITH (…): a text, number, TRUE or FALSE. */
static fz_status parse_property_value(parser *p, str *out)
{
    token t = p->tok;
    bool minus;
    TRY(take_op(p, "-", &minus));
    if (p->tok.kind == TK_STRING && !minus) {
        *out = p->tok.text;
    } else if (p->tok.kind == TK_INTEGER || p->tok.kind == TK_DECIMAL || p->tok.kind == TK_FLOAT) {
        *out = (str){p->lex.text.p + t.offset, p->tok.end - t.offset};
    } else if (!minus && (at_word(p, "true") || at_word(p, "false"))) {
        *out = at_word(p, "true") ? STR("true") : STR("false");
    } else {
        return parse_expected(p, "a value in quotes");
    }
    return parse_advance(p);
}

/* ('k' = 'v', k.l = v, …), appended. */
fz_status parse_properties(parser *p, uint32_t *n, const ast_property **out)
{
    uint32_t cap = *n;
    ast_property *list = (ast_property *)*out;
    sql_pos open = p->tok.pos;
    bool comma, eq;
    TRY(need_op(p, "("));
    do {
        ast_property prop = {.pos = p->tok.pos};
        if (p->tok.kind == TK_STRING) {
            prop.key = p->tok.text;
            TRY(parse_advance(p));
        } else {
            sql_name name;
            size_t from = p->tok.offset;
            TRY(need_name(p, "a property's name", &name));
            prop.key = name.n == 1 ? name.parts[0].name : (str){p->lex.text.p + from, p->prev.end - from};
        }
        TRY(take_op(p, "=", &eq));
        if (!eq)
            TRY(take_op(p, "=>", &eq));
        if (!eq)
            return parse_expected(p, "\"=\"");
        TRY(parse_property_value(p, &prop.value));
        for (uint32_t i = 0; i < *n; i++)
            if (str_eq(list[i].key, prop.key)) {
                error_set(p->err, FZ_INVALID, "property '" STR_FMT "' stands here twice", STR_ARG(prop.key));
                error_line(p->err, prop.pos.line, prop.pos.column);
                return FZ_INVALID;
            }
        LIST_PUSH(p, list, *n, cap, prop);
        TRY(take_op(p, ",", &comma));
    } while (comma && !at_op(p, ")"));
    *out = list;
    return need_close(p, open);
}

/* ---- partitions ---- */

static const struct transform_entry { const char *word; sql_transform t; bool has_param; } transforms[] = {
    {"year", PT_YEAR, false}, {"years", PT_YEAR, false}, {"month", PT_MONTH, false}, {"months", PT_MONTH, false},
    {"day", PT_DAY, false}, {"days", PT_DAY, false}, {"date", PT_DAY, false}, {"hour", PT_HOUR, false}, {"hours", PT_HOUR, false},
    {"bucket", PT_BUCKET, true}, {"truncate", PT_TRUNCATE, true}, {"trunc", PT_TRUNCATE, true}, {"identity", PT_IDENTITY, false},
    {"void", PT_VOID, false},
};

static fz_status transform_unknown(parser *p, const sql_ident *id)
{
    error_set(p->err, FZ_INVALID, "there is no partition transform \"" STR_FMT "\"", STR_ARG(id->name));
    error_line(p->err, id->pos.line, id->pos.column);
    error_hint(p->err, "the transforms are identity, year, month, day, hour, bucket(n, column) and truncate(width, column)");
    return FZ_INVALID;
}

/* column | transform(column) | transform(n, column) | transform(column, n) */
fz_status parse_partition(parser *p, ast_partition *out)
{
    *out = (ast_partition){.pos = p->tok.pos};
    sql_name name;
    bool open, comma;
    TRY(need_name(p, "a column or a partition transform", &name));
    sql_pos at = p->tok.pos;
    open = false;
    if (name.n == 1)
        TRY(take_op(p, "(", &open));
    if (!open) {
        out->column = name;
        return FZ_OK;
    }
    const sql_ident *id = &name.parts[0];
    const struct transform_entry *e = NULL;
    for (size_t i = 0; i < sizeof transforms / sizeof transforms[0] && !e; i++)
        if (str_ieq(id->name, str_of(transforms[i].word)))
            e = &transforms[i];
    if (!e)
        return transform_unknown(p, id);
    out->transform = e->t;
    const char *what = e->t == PT_BUCKET ? "the number of buckets" : "the width";
    int64_t n = 0;
    bool first = e->has_param && p->tok.kind == TK_INTEGER;
    if (first) {
        TRY(need_integer(p, what, 1, INT32_MAX, &n));
        TRY(need_op(p, ","));
    }
    TRY(need_name(p, "a column", &out->column));
    if (e->has_param && !first) {
        TRY(take_op(p, ",", &comma));
        if (!comma)
            return parse_expected(p, e->t == PT_BUCKET ? "\",\" and the number of buckets" : "\",\" and the width");
        TRY(need_integer(p, what, 1, INT32_MAX, &n));
    }
    out->param = (int32_t)n;
    return need_close(p, at);
}

/* Takes the comma between two elements of a list that may be followed by another action of ALTER TABLE: there the comma is left. An
 * action's word with another word behind it (SET TBLPROPERTIES, DROP COLUMN) is no column. */
static fz_status take_list_comma(parser *p, bool *took)
{
    static const char *const actions[] = {"add", "drop", "rename", "alter", "set", "unset", "reset", "replace", "create", "write"};
    static const char *const suffixes[] = {"asc", "desc", "nulls"};
    const token *next;
    *took = false;
    if (!at_op(p, ","))
        return FZ_OK;
    TRY(parse_peek(p, &next));
    bool action = false;
    for (size_t i = 0; i < sizeof actions / sizeof *actions; i++)
        action |= word_is(next, actions[i]);
    lexer l = p->lex_ahead;
    token after;
    if (action && lexer_next(&l, p->a, &after, NULL) == FZ_OK) {
        bool other = after.kind == TK_WORD || after.kind == TK_QUOTED || (after.kind == TK_OP && str_eqz(after.text, "(") && word_is(next, "set"));
        for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++)
            other &= !word_is(&after, suffixes[i]);
        if (other)
            return FZ_OK;
    }
    return take_op(p, ",", took);
}

fz_status parse_sort_list(parser *p, uint32_t *n, const ast_sort **out)
{
    uint32_t cap = 0;
    ast_sort *list = NULL;
    bool comma, took, open;
    sql_pos at = p->tok.pos;
    *n = 0;
    TRY(take_op(p, "(", &open));
    do {
        ast_sort x = {0};
        TRY(parse_partition(p, &x.term));
        TRY(take_word(p, "asc", &took));
        if (!took)
            TRY(take_word(p, "desc", &x.desc));
        if (at_word(p, "nulls")) {
            TRY(parse_advance(p));
            x.nulls_given = true;
            TRY(take_word(p, "first", &x.nulls_first));
            if (!x.nulls_first)
                TRY(need_word(p, "last"));
        }
        LIST_PUSH(p, list, *n, cap, x);
        TRY(take_list_comma(p, &comma));
    } while (comma);
    *out = list;
    return open ? need_close(p, at) : FZ_OK;
}

fz_status parse_path_list(parser *p, uint32_t *n, const sql_name **out)
{
    uint32_t cap = 0;
    sql_name *list = NULL;
    bool comma;
    *n = 0;
    do {
        sql_name name;
        TRY(need_name(p, "a column", &name));
        LIST_PUSH(p, list, *n, cap, name);
        TRY(take_list_comma(p, &comma));
    } while (comma);
    *out = list;
    return FZ_OK;
}

fz_status parse_partition_list(parser *p, uint32_t *n, const ast_partition **out)
{
    uint32_t cap = 0;
    ast_partition *list = NULL;
    bool comma;
    *n = 0;
    do {
        ast_partition part;
        TRY(parse_partition(p, &part));
        LIST_PUSH(p, list, *n, cap, part);
        TRY(take_op(p, ",", &comma));
    } while (comma && !at_op(p, ")") && !at_end(p));
    *out = list;
    return FZ_OK;
}

/* ---- columns ---- */

fz_status parse_constraints(parser *p, ast_column *c)
{
    for (;;) {
        if (at_word(p, "not") && ahead_word(p, "null")) {
            TRY(parse_advance(p));
            TRY(parse_advance(p));
            c->not_null = true;
        } else if (at_word(p, "null")) {
            TRY(parse_advance(p));
        } else if (at_word(p, "comment")) {
            TRY(parse_advance(p));
            TRY(need_string(p, "a comment in quotes", &c->comment));
        } else if (at_word(p, "default") || at_word(p, "unique") || at_word(p, "references") || at_word(p, "check") ||
                   at_word(p, "generated") || at_word(p, "collate") || at_word(p, "constraint") || at_word(p, "primary")) {
            return parse_unsupported(p, p->tok.pos, STR_FMT " on a column is", STR_ARG(p->tok.text));
        } else {
            return FZ_OK;
        }
    }
}

static fz_status parse_column_def(parser *p, bool *typed, ast_column *c)
{
    *c = (ast_column){0};
    *typed = false;
    bool constraint = ((at_word(p, "primary") || at_word(p, "foreign")) && ahead_word(p, "key")) ||
                      ((at_word(p, "unique") || at_word(p, "check")) && ahead_op(p, "(")) || at_word(p, "constraint");
    if (constraint && !(at_word(p, "constraint") && (ahead_op(p, ",") || ahead_op(p, ")"))))
        return parse_unsupported(p, p->tok.pos, "a table constraint (" STR_FMT ") is", STR_ARG(p->tok.text));
    TRY(need_ident(p, "a column", &c->name));
    c->type_pos = p->tok.pos;
    *typed = !at_op(p, ",") && !at_op(p, ")");
    if (!*typed)
        return FZ_OK;
    TRY(parse_type_name(p, &c->t));
    return parse_constraints(p, c);
}

/* [CONSTRAINT name] PRIMARY KEY (a, b) NOT ENFORCED */
static fz_status parse_primary_key(parser *p, ast_create_table *t, bool *took)
{
    const token *next;
    *took = false;
    if (at_word(p, "constraint")) {
        TRY(parse_peek(p, &next));
        if (next->kind != TK_WORD && next->kind != TK_QUOTED)
            return FZ_OK;
        lexer l = p->lex_ahead;
        token word;
        if (lexer_next(&l, p->a, &word, NULL) != FZ_OK || !word_is(&word, "primary"))
            return FZ_OK;
        TRY(parse_advance(p));
        TRY(parse_advance(p));
    } else if (!at_word(p, "primary") || !ahead_word(p, "key")) {
        return FZ_OK;
    }
    *took = true;
    if (t->n_identifier)
        return parse_fail(p, &p->tok, "PRIMARY KEY stands here twice");
    TRY(parse_advance(p));
    TRY(need_word(p, "key"));
    sql_pos open = p->tok.pos;
    TRY(need_op(p, "("));
    TRY(parse_path_list(p, &t->n_identifier, &t->identifier));
    TRY(need_close(p, open));
    if (!at_word(p, "not") || !ahead_word(p, "enforced")) {
        parse_unsupported(p, open, "a PRIMARY KEY that is enforced is");
        error_hint(p->err, "write NOT ENFORCED behind it: the columns become the table's identifier fields");
        return FZ_UNSUPPORTED;
    }
    TRY(parse_advance(p));
    return parse_advance(p);
}

static fz_status parse_columns(parser *p, ast_create_table *t, const ast_column **untyped)
{
    uint32_t cap = 0;
    ast_column *list = NULL;
    sql_pos open = p->tok.pos;
    bool comma, typed, any_untyped = false;
    uint32_t first_untyped = 0;
    TRY(need_op(p, "("));
    do {
        ast_column c;
        bool key;
        TRY(parse_primary_key(p, t, &key));
        if (key) {
            TRY(take_op(p, ",", &comma));
            continue;
        }
        TRY(parse_column_def(p, &typed, &c));
        for (uint32_t i = 0; i < t->n_columns; i++)
            if (str_eq(list[i].name.name, c.name.name)) {
                error_sql(p->err, FZ_INVALID, "42701", "column \"" STR_FMT "\" stands here twice", STR_ARG(c.name.name));
                error_line(p->err, c.name.pos.line, c.name.pos.column);
                return FZ_INVALID;
            }
        if (!typed && !any_untyped) {
            any_untyped = true;
            first_untyped = t->n_columns;
        }
        LIST_PUSH(p, list, t->n_columns, cap, c);
        TRY(take_op(p, ",", &comma));
    } while (comma && !at_op(p, ")"));
    t->columns = list;
    *untyped = any_untyped ? &list[first_untyped] : NULL;
    return need_close(p, open);
}

/* ---- the clauses behind the columns, in any order ---- */

static fz_status parse_table_clauses(parser *p, ast_create_table *t)
{
    for (;;) {
        sql_pos pos = p->tok.pos;
        if (at_word(p, "partitioned") || (at_word(p, "partition") && ahead_word(p, "by"))) {
            if (t->n_partitions)
                return parse_fail(p, &p->tok, "PARTITIONED BY stands here twice");
            TRY(parse_advance(p));
            TRY(need_word(p, "by"));
            sql_pos open = p->tok.pos;
            TRY(need_op(p, "("));
            TRY(parse_partition_list(p, &t->n_partitions, &t->partitions));
            TRY(need_close(p, open));
        } else if (at_word(p, "with") && !ahead_word(p, "no") && !ahead_word(p, "data")) {
            TRY(parse_advance(p));
            TRY(parse_properties(p, &t->n_properties, &t->properties));
        } else if (at_word(p, "tblproperties") || at_word(p, "options")) {
            TRY(parse_advance(p));
            TRY(parse_properties(p, &t->n_properties, &t->properties));
        } else if (at_word(p, "comment")) {
            bool eq;
            TRY(parse_advance(p));
            TRY(take_op(p, "=", &eq));
            TRY(need_string(p, "a comment in quotes", &t->comment));
        } else if (at_word(p, "location")) {
            TRY(parse_advance(p));
            TRY(need_string(p, "a location in quotes", &t->location));
        } else if (at_word(p, "using")) {
            TRY(parse_advance(p));
            if (!at_word(p, "iceberg"))
                return parse_unsupported(p, pos, "a table format other than iceberg is");
            TRY(parse_advance(p));
        } else if (at_word(p, "order") && ahead_word(p, "by")) {
            if (t->n_sort)
                return parse_fail(p, &p->tok, "the table's order stands here twice");
            TRY(parse_advance(p));
            TRY(parse_advance(p));
            TRY(parse_sort_list(p, &t->n_sort, &t->sort));
        } else if (at_word(p, "write") && (ahead_word(p, "ordered") || ahead_word(p, "unordered") || ahead_word(p, "locally"))) {
            bool took;
            if (t->n_sort)
                return parse_fail(p, &p->tok, "the table's order stands here twice");
            TRY(parse_advance(p));
            TRY(take_word(p, "unordered", &took));
            if (took)
                continue;
            TRY(take_word(p, "locally", &took));
            TRY(need_word(p, "ordered"));
            TRY(need_word(p, "by"));
            TRY(parse_sort_list(p, &t->n_sort, &t->sort));
        } else if (at_word(p, "clustered") || at_word(p, "sorted") || at_word(p, "distributed") || at_word(p, "tablespace") ||
                   at_word(p, "inherits") || at_word(p, "stored") || at_word(p, "row") || (at_word(p, "cluster") && ahead_word(p, "by"))) {
            return parse_unsupported(p, pos, STR_FMT " in CREATE TABLE is", STR_ARG(p->tok.text));
        } else {
            return FZ_OK;
        }
    }
}

static fz_status parse_create_table(parser *p, ast_stmt *s, bool or_replace)
{
    ast_create_table *t = &s->create_table;
    const ast_column *untyped = NULL;
    s->kind = ST_CREATE_TABLE;
    s->what = "CREATE TABLE";
    TRY(parse_advance(p));
    t->or_replace = or_replace;
    sql_pos pos = p->tok.pos;
    TRY(parse_if_not_exists(p, &t->if_not_exists));
    if (or_replace && t->if_not_exists) {
        error_set(p->err, FZ_SYNTAX, "OR REPLACE and IF NOT EXISTS exclude each other");
        error_line(p->err, pos.line, pos.column);
        return FZ_SYNTAX;
    }
    TRY(need_name(p, "a table", &t->table));
    if (at_op(p, "(") && !at_query(p)) {
        if (ahead_word(p, "like"))
            return parse_unsupported(p, p->tok.pos, "CREATE TABLE … LIKE is");
        TRY(parse_columns(p, t, &untyped));
    } else if (at_word(p, "like")) {
        return parse_unsupported(p, p->tok.pos, "CREATE TABLE … LIKE is");
    }
    TRY(parse_table_clauses(p, t));
    bool as = at_word(p, "as");
    if (as)
        TRY(parse_advance(p));
    if (as || at_query(p)) {
        if (!at_query(p) && !at_word(p, "table"))
            return parse_expected(p, "a query");
        s->what = "CREATE TABLE AS";
        TRY(parse_query(p, &t->query));
        if (at_word(p, "with") && (ahead_word(p, "no") || ahead_word(p, "data"))) {
            if (ahead_word(p, "no"))
                return parse_unsupported(p, p->tok.pos, "WITH NO DATA is");
            TRY(parse_advance(p));
            TRY(parse_advance(p));
        }
        return FZ_OK;
    }
    if (untyped) {
        error_set(p->err, FZ_SYNTAX, "column \"" STR_FMT "\" needs a type", STR_ARG(untyped->name.name));
        error_line(p->err, untyped->type_pos.line, untyped->type_pos.column);
        return FZ_SYNTAX;
    }
    return t->n_columns ? FZ_OK : parse_expected(p, "columns in parentheses or AS and a query");
}

static fz_status parse_create_schema(parser *p, ast_stmt *s)
{
    s->kind = ST_CREATE_SCHEMA;
    s->what = "CREATE SCHEMA";
    TRY(parse_advance(p));
    TRY(parse_if_not_exists(p, &s->create_schema.if_not_exists));
    TRY(need_name(p, "a schema", &s->create_schema.name));
    for (;;) {
        if (at_word(p, "with")) {
            TRY(parse_advance(p));
            if (at_word(p, "properties") || at_word(p, "dbproperties"))
                TRY(parse_advance(p));
            TRY(parse_properties(p, &s->create_schema.n_properties, &s->create_schema.properties));
        } else if (at_word(p, "comment")) {
            TRY(parse_advance(p));
            TRY(need_string(p, "a comment in quotes", &s->create_schema.comment));
        } else if (at_word(p, "location") || at_word(p, "authorization")) {
            return parse_unsupported(p, p->tok.pos, STR_FMT " in CREATE SCHEMA is", STR_ARG(p->tok.text));
        } else {
            return FZ_OK;
        }
    }
}

fz_status parse_create(parser *p, ast_stmt *s)
{
    bool or_replace = false;
    sql_pos pos = p->tok.pos;
    TRY(parse_advance(p));
    if (at_word(p, "or")) {
        TRY(parse_advance(p));
        TRY(need_word(p, "replace"));
        or_replace = true;
    }
    if (at_word(p, "table"))
        return parse_create_table(p, s, or_replace);
    if (!or_replace && (at_word(p, "schema") || at_word(p, "namespace") || at_word(p, "database")))
        return parse_create_schema(p, s);
    if (p->tok.kind != TK_WORD)
        return parse_expected(p, "TABLE or SCHEMA");
    static const char *const words[] = {"view", "index", "unique", "sequence", "function", "macro", "type", "temp", "temporary", "external",
                                        "materialized", "user", "role", "extension", "trigger", "unlogged", "secret", "procedure",
                                        "schema", "namespace", "database", "global", "local", "domain", "aggregate"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (at_word(p, words[i]))
            return parse_unsupported(p, pos, "CREATE %s" STR_FMT " is", or_replace ? "OR REPLACE " : "", STR_ARG(p->tok.text));
    return parse_expected(p, "TABLE or SCHEMA");
}
