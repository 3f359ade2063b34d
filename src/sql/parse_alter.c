/*
 * parse_alter.c: ALTER TABLE in PostgreSQL's, Spark's and DuckDB's spelling, CALL, ROLLBACK TABLE.
 *
 * Several actions may follow each other, separated by commas: they are one change of the table.
 */
#include "sql/parser_int.h"

typedef struct actions {
    ast_alter *list;
    uint32_t n, cap;
} actions;

static fz_status push(parser *p, actions *l, const ast_alter *x)
{
    LIST_PUSH(p, l->list, l->n, l->cap, *x);
    return FZ_OK;
}

static fz_status parse_place(parser *p, ast_alter *x)
{
    if (at_word(p, "first")) {
        x->place = PLACE_FIRST;
        return parse_advance(p);
    }
    if (at_word(p, "after")) {
        x->place = PLACE_AFTER;
        TRY(parse_advance(p));
        return need_ident(p, "a column", &x->after);
    }
    return FZ_OK;
}

/* ---- ADD ---- */

/* path type [NOT NULL] [COMMENT '…'] [FIRST | AFTER x] */
static fz_status parse_new_column(parser *p, ast_alter *x)
{
    ast_column c = {0};
    TRY(need_name(p, "a column", &x->column));
    TRY(parse_type_name(p, &x->t));
    TRY(parse_constraints(p, &c));
    x->not_null = c.not_null;
    x->comment = c.comment;
    return parse_place(p, x);
}

static fz_status parse_partition_name(parser *p, ast_alter *x)
{
    bool as;
    TRY(take_word(p, "as", &as));
    return as ? need_ident(p, "the partition field's name", &x->to) : FZ_OK;
}

static bool at_pair(parser *p, const char *a, const char *b)
{
    return at_word(p, a) && ahead_word(p, b);
}

static fz_status skip_two(parser *p)
{
    TRY(parse_advance(p));
    return parse_advance(p);
}

static fz_status parse_add(parser *p, ast_alter x, actions *l)
{
    bool took, open = false, comma = false;
    TRY(parse_advance(p));
    if (at_pair(p, "partition", "field")) {
        x.kind = AL_ADD_PARTITION;
        TRY(skip_two(p));
        TRY(parse_partition(p, &x.term));
        TRY(parse_partition_name(p, &x));
        return push(p, l, &x);
    }
    if (at_word(p, "constraint") || at_pair(p, "primary", "key") || at_pair(p, "foreign", "key"))
        return parse_unsupported(p, p->tok.pos, "ADD of a constraint (there is SET IDENTIFIER FIELDS) is");
    x.kind = AL_ADD_COLUMN;
    TRY(take_word(p, "column", &took));
    if (!took)
        TRY(take_word(p, "columns", &took));
    TRY(parse_if_not_exists(p, &x.quiet));
    sql_pos at = p->tok.pos;
    TRY(take_op(p, "(", &open));
    do {
        ast_alter one = x;
        one.pos = p->tok.pos;
        TRY(parse_new_column(p, &one));
        TRY(push(p, l, &one));
        if (open)
            TRY(take_op(p, ",", &comma));
    } while (comma);
    return open ? need_close(p, at) : FZ_OK;
}

/* ---- branches and tags ---- */

static fz_status parse_duration(parser *p, int64_t *ms)
{
    static const struct { const char *word, *words; int64_t ms; } units[] = {
        {"day", "days", 86400000}, {"hour", "hours", 3600000}, {"minute", "minutes", 60000}};
    int64_t n;
    TRY(need_integer(p, "a number", 1, INT64_MAX / 86400000, &n));
    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
        if (at_word(p, units[i].word) || at_word(p, units[i].words)) {
            *ms = n * units[i].ms;
            return parse_advance(p);
        }
    return parse_expected(p, "DAYS, HOURS or MINUTES");
}

/* name [AS OF VERSION n] [RETAIN n DAYS] [WITH SNAPSHOT RETENTION [n SNAPSHOTS] [n DAYS]] */
static fz_status parse_ref(parser *p, ast_ref *r)
{
    TRY(need_ident(p, r->is_tag ? "a tag" : "a branch", &r->name));
    if (at_pair(p, "as", "of")) {
        TRY(skip_two(p));
        TRY(need_word(p, "version"));
        TRY(need_integer(p, "a snapshot id", 0, INT64_MAX, &r->snapshot_id));
    }
    if (at_word(p, "retain")) {
        TRY(parse_advance(p));
        TRY(parse_duration(p, &r->max_ref_age_ms));
    }
    if (!at_pair(p, "with", "snapshot"))
        return FZ_OK;
    sql_pos pos = p->tok.pos;
    TRY(skip_two(p));
    TRY(need_word(p, "retention"));
    if (r->is_tag)
        return parse_unsupported(p, pos, "a tag with snapshot retention is");
    for (int i = 0; i < 2 && p->tok.kind == TK_INTEGER; i++) {
        if (ahead_word(p, "snapshots") || ahead_word(p, "snapshot")) {
            TRY(need_integer(p, "a number of snapshots", 1, INT32_MAX, &r->min_snapshots));
            TRY(parse_advance(p));
        } else {
            TRY(parse_duration(p, &r->max_snapshot_age_ms));
        }
    }
    return r->min_snapshots < 0 && r->max_snapshot_age_ms < 0 ? parse_expected(p, "a number of SNAPSHOTS or DAYS") : FZ_OK;
}

static bool at_ref(parser *p)
{
    return at_word(p, "branch") || at_word(p, "tag");
}

/* Behind CREATE, CREATE OR REPLACE, REPLACE. */
static fz_status parse_set_ref(parser *p, ast_alter x, bool create, bool replace, actions *l)
{
    x.kind = AL_SET_REF;
    x.ref = (ast_ref){.is_tag = at_word(p, "tag"), .create = create, .replace = replace, .snapshot_id = -1, .max_ref_age_ms = -1,
                      .max_snapshot_age_ms = -1, .min_snapshots = -1};
    TRY(parse_advance(p));
    if (create)
        TRY(parse_if_not_exists(p, &x.quiet));
    if (x.quiet && replace)
        return parse_fail(p, &p->prev, "OR REPLACE and IF NOT EXISTS exclude each other");
    TRY(parse_ref(p, &x.ref));
    return push(p, l, &x);
}

static fz_status parse_create_ref(parser *p, ast_alter x, actions *l)
{
    bool replace;
    TRY(parse_advance(p));
    TRY(take_word(p, "or", &replace));
    if (replace)
        TRY(need_word(p, "replace"));
    if (!at_ref(p))
        return parse_expected(p, "BRANCH or TAG");
    return parse_set_ref(p, x, true, replace, l);
}

static fz_status parse_replace(parser *p, ast_alter x, actions *l)
{
    TRY(parse_advance(p));
    if (at_ref(p))
        return parse_set_ref(p, x, false, true, l);
    if (at_word(p, "columns"))
        return parse_unsupported(p, p->tok.pos, "REPLACE COLUMNS is");
    if (!at_pair(p, "partition", "field"))
        return parse_expected(p, "PARTITION FIELD, BRANCH or TAG");
    x.kind = AL_REPLACE_PARTITION;
    TRY(skip_two(p));
    TRY(parse_partition(p, &x.term));
    TRY(need_word(p, "with"));
    TRY(parse_partition(p, &x.by));
    TRY(parse_partition_name(p, &x));
    return push(p, l, &x);
}

/* ---- DROP ---- */

static fz_status parse_drop_action(parser *p, ast_alter x, actions *l)
{
    bool took, open;
    TRY(parse_advance(p));
    if (at_pair(p, "partition", "field")) {
        x.kind = AL_DROP_PARTITION;
        TRY(skip_two(p));
        TRY(parse_if_exists(p, &x.quiet));
        TRY(parse_partition(p, &x.term));
        return push(p, l, &x);
    }
    if (at_pair(p, "identifier", "fields")) {
        x.kind = AL_DROP_IDENTIFIER;
        TRY(skip_two(p));
        TRY(parse_path_list(p, &x.n_names, &x.names));
        return push(p, l, &x);
    }
    /* "branch" alone may be a column: DROP branch */
    if (at_ref(p) && !ahead_op(p, ",") && !ahead_op(p, ";") && !ahead_op(p, ".")) {
        const token *next;
        TRY(parse_peek(p, &next));
        if (next->kind == TK_WORD || next->kind == TK_QUOTED) {
            x.kind = AL_DROP_REF;
            x.ref.is_tag = at_word(p, "tag");
            TRY(parse_advance(p));
            TRY(parse_if_exists(p, &x.quiet));
            TRY(need_ident(p, x.ref.is_tag ? "a tag" : "a branch", &x.ref.name));
            x.ref.snapshot_id = x.ref.max_ref_age_ms = x.ref.max_snapshot_age_ms = x.ref.min_snapshots = -1;
            return push(p, l, &x);
        }
    }
    if (at_word(p, "constraint"))
        return parse_unsupported(p, p->tok.pos, "DROP CONSTRAINT is");
    x.kind = AL_DROP_COLUMN;
    TRY(take_word(p, "column", &took));
    if (!took)
        TRY(take_word(p, "columns", &took));
    TRY(parse_if_exists(p, &x.quiet));
    sql_pos at = p->tok.pos;
    TRY(take_op(p, "(", &open));
    uint32_t n;
    const sql_name *names;
    if (open) {
        TRY(parse_path_list(p, &n, &names));
        TRY(need_close(p, at));
    } else {
        sql_name *one = ARENA_NEW(p->a, sql_name);
        if (!one)
            return error_nomem(p->err);
        TRY(need_name(p, "a column", one));
        n = 1;
        names = one;
    }
    for (uint32_t i = 0; i < n; i++) {
        ast_alter y = x;
        y.column = names[i];
        y.pos = names[i].parts[0].pos;
        TRY(push(p, l, &y));
    }
    TRY(take_word(p, "restrict", &took));
    return at_word(p, "cascade") ? parse_unsupported(p, p->tok.pos, "DROP COLUMN … CASCADE is") : FZ_OK;
}

/* ---- RENAME, ALTER COLUMN, SET, WRITE ---- */

static fz_status parse_rename(parser *p, ast_alter x, actions *l)
{
    TRY(parse_advance(p));
    if (at_word(p, "to")) {
        x.kind = AL_RENAME_TABLE;
        TRY(parse_advance(p));
        TRY(need_name(p, "the table's new name", &x.table));
        return push(p, l, &x);
    }
    bool part = at_pair(p, "partition", "field"), took;
    if (part) {
        x.kind = AL_RENAME_PARTITION;
        TRY(skip_two(p));
        TRY(parse_partition(p, &x.term));
    } else {
        x.kind = AL_RENAME_COLUMN;
        TRY(take_word(p, "column", &took));
        TRY(need_name(p, "a column", &x.column));
    }
    TRY(need_word(p, "to"));
    TRY(need_ident(p, "the new name", &x.to));
    return push(p, l, &x);
}

static fz_status parse_column_type(parser *p, ast_alter *x)
{
    x->kind = AL_TYPE;
    TRY(parse_type_name(p, &x->t));
    return at_word(p, "using") ? parse_unsupported(p, p->tok.pos, "ALTER COLUMN … TYPE … USING is") : FZ_OK;
}

static fz_status parse_alter_column(parser *p, ast_alter x, actions *l)
{
    bool took, set, drop;
    TRY(parse_advance(p));
    TRY(take_word(p, "column", &took));
    TRY(need_name(p, "a column", &x.column));
    TRY(take_word(p, "set", &set));
    drop = false;
    if (!set)
        TRY(take_word(p, "drop", &drop));
    if ((set || drop) && at_word(p, "not")) {
        x.kind = set ? AL_SET_NOT_NULL : AL_DROP_NOT_NULL;
        TRY(parse_advance(p));
        TRY(need_word(p, "null"));
    } else if ((set || drop) && at_word(p, "default")) {
        return parse_unsupported(p, p->tok.pos, "ALTER COLUMN … DEFAULT is");
    } else if (drop) {
        return parse_expected(p, "NOT NULL");
    } else if (set && at_word(p, "data")) {
        TRY(parse_advance(p));
        TRY(need_word(p, "type"));
        TRY(parse_column_type(p, &x));
    } else if (at_word(p, "type")) {
        TRY(parse_advance(p));
        TRY(parse_column_type(p, &x));
    } else if (!set && at_word(p, "comment")) {
        x.kind = AL_COMMENT;
        TRY(parse_advance(p));
        TRY(need_string(p, "a comment in quotes", &x.comment));
    } else if (!set && (at_word(p, "first") || at_word(p, "after"))) {
        x.kind = AL_MOVE;
        TRY(parse_place(p, &x));
    } else {
        return parse_expected(p, "TYPE, SET NOT NULL, DROP NOT NULL, COMMENT, FIRST or AFTER");
    }
    return push(p, l, &x);
}

static fz_status parse_set_action(parser *p, ast_alter x, actions *l)
{
    bool took;
    TRY(parse_advance(p));
    if (at_pair(p, "identifier", "fields")) {
        x.kind = AL_SET_IDENTIFIER;
        TRY(skip_two(p));
        TRY(parse_path_list(p, &x.n_names, &x.names));
    } else if (at_word(p, "location")) {
        x.kind = AL_SET_LOCATION;
        TRY(parse_advance(p));
        TRY(need_string(p, "a location in quotes", &x.comment));
    } else {
        TRY(take_word(p, "tblproperties", &took));
        if (!took)
            TRY(take_word(p, "properties", &took));
        if (!at_op(p, "("))
            return parse_expected(p, "TBLPROPERTIES, IDENTIFIER FIELDS or properties in parentheses");
        x.kind = AL_SET_PROPERTIES;
        TRY(parse_properties(p, &x.n_properties, &x.properties));
    }
    return push(p, l, &x);
}

/* UNSET TBLPROPERTIES [IF EXISTS] ('k', …), RESET ('k', …) */
static fz_status parse_unset(parser *p, ast_alter x, actions *l)
{
    bool took, comma;
    uint32_t cap = 0;
    ast_property *list = NULL;
    x.kind = AL_UNSET_PROPERTIES;
    x.quiet = at_word(p, "reset");
    TRY(parse_advance(p));
    TRY(take_word(p, "tblproperties", &took));
    if (at_word(p, "if"))
        TRY(parse_if_exists(p, &x.quiet));
    sql_pos open = p->tok.pos;
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
        LIST_PUSH(p, list, x.n_properties, cap, prop);
        TRY(take_op(p, ",", &comma));
    } while (comma);
    x.properties = list;
    TRY(need_close(p, open));
    return push(p, l, &x);
}

/* WRITE [DISTRIBUTED BY PARTITION] [LOCALLY] ORDERED BY …, WRITE UNORDERED: one process writes, so that how rows are distributed
 * means nothing here. */
static fz_status parse_write(parser *p, ast_alter x, actions *l)
{
    bool took, distributed;
    x.kind = AL_ORDER;
    TRY(parse_advance(p));
    TRY(take_word(p, "distributed", &distributed));
    if (distributed) {
        TRY(need_word(p, "by"));
        TRY(need_word(p, "partition"));
    }
    TRY(take_word(p, "unordered", &took));
    if (took || (distributed && !at_word(p, "locally") && !at_word(p, "ordered")))
        return push(p, l, &x);
    TRY(take_word(p, "locally", &took));
    TRY(need_word(p, "ordered"));
    TRY(need_word(p, "by"));
    TRY(parse_sort_list(p, &x.n_sort, &x.sort));
    return push(p, l, &x);
}

static fz_status parse_action(parser *p, actions *l)
{
    ast_alter x = {.pos = p->tok.pos};
    static const struct { const char *word; fz_status (*fn)(parser *, ast_alter, actions *); } kinds[] = {
        {"add", parse_add}, {"drop", parse_drop_action}, {"rename", parse_rename}, {"alter", parse_alter_column}, {"change", NULL},
        {"set", parse_set_action}, {"unset", parse_unset}, {"reset", parse_unset}, {"replace", parse_replace}, {"create", parse_create_ref},
        {"write", parse_write}, {"execute", NULL}, {"owner", NULL}, {"enable", NULL}, {"disable", NULL}, {"attach", NULL}, {"detach", NULL},
        {"recover", NULL}, {"cluster", NULL}, {"inherit", NULL},
    };
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (at_word(p, kinds[i].word))
            return kinds[i].fn ? kinds[i].fn(p, x, l) : parse_unsupported(p, x.pos, "ALTER TABLE … " STR_FMT " is", STR_ARG(p->tok.text));
    return parse_expected(p, "ADD, DROP, RENAME, ALTER, SET, UNSET, REPLACE, CREATE or WRITE");
}

fz_status parse_alter(parser *p, ast_stmt *s)
{
    actions l = {0};
    bool comma;
    s->kind = ST_ALTER_TABLE;
    s->what = "ALTER TABLE";
    TRY(parse_advance(p));
    if (!at_word(p, "table"))
        return p->tok.kind == TK_WORD ? parse_unsupported(p, s->pos, "ALTER " STR_FMT " is", STR_ARG(p->tok.text)) : parse_expected(p, "TABLE");
    TRY(parse_advance(p));
    TRY(parse_if_exists(p, &s->alter.if_exists));
    TRY(need_name(p, "a table", &s->alter.name));
    do {
        TRY(parse_action(p, &l));
        TRY(take_op(p, ",", &comma));
    } while (comma);
    s->alter.n = l.n;
    s->alter.actions = l.list;
    return FZ_OK;
}

/* ---- CALL ---- */

fz_status parse_call(parser *p, ast_stmt *s)
{
    uint32_t cap = 0;
    ast_option *list = NULL;
    bool comma = true;
    s->kind = ST_CALL;
    s->what = "CALL";
    TRY(parse_advance(p));
    TRY(need_name(p, "a procedure", &s->call.name));
    sql_pos open = p->tok.pos;
    TRY(need_op(p, "("));
    while (comma && !at_op(p, ")")) {
        ast_option o = {0};
        if (p->tok.kind == TK_WORD && (ahead_op(p, "=>") || ahead_op(p, ":="))) {
            TRY(need_ident(p, "an argument", &o.name));
            TRY(parse_advance(p));
        } else if (s->call.n_args && list[s->call.n_args - 1].name.name.p) {
            return parse_expected(p, "an argument by name (name => value)");
        }
        TRY(parse_expr(p, &o.value));
        LIST_PUSH(p, list, s->call.n_args, cap, o);
        TRY(take_op(p, ",", &comma));
    }
    s->call.args = list;
    return need_close(p, open);
}

static fz_status text_literal(parser *p, const sql_name *name, const ast_expr **out)
{
    ast_expr *e = expr_new(p, AX_LITERAL, name->parts[0].pos);
    if (!e)
        return FZ_NOMEM;
    sbuf b;
    sbuf_init(&b, NULL);
    sql_name_text(name, &b);
    e->value = (datum){.t = TYPE(T_STRING), .s = {b.failed ? NULL : arena_strndup(p->a, b.p, b.n), b.n}};
    sbuf_free(&b);
    return e->value.s.p ? expr_done(p, e, 0, NULL, out) : error_nomem(p->err);
}

/* ROLLBACK TABLE t TO {VERSION | SNAPSHOT} n | TIMESTAMP ts: the procedures by another name. */
fz_status parse_rollback_table(parser *p, ast_stmt *s)
{
    static const sql_ident by_id[] = {{.name = {"system", 6}}, {.name = {"rollback_to_snapshot", 20}}};
    static const sql_ident by_time[] = {{.name = {"system", 6}}, {.name = {"rollback_to_timestamp", 21}}};
    sql_name table;
    bool version;
    ast_option *args = ARENA_ARRAY(p->a, ast_option, 2);
    if (!args)
        return error_nomem(p->err);
    s->kind = ST_CALL;
    s->what = "ROLLBACK TABLE";
    TRY(parse_advance(p));
    TRY(parse_advance(p));
    TRY(need_name(p, "a table", &table));
    TRY(text_literal(p, &table, &args[0].value));
    TRY(need_word(p, "to"));
    TRY(take_word(p, "version", &version));
    if (!version)
        TRY(take_word(p, "snapshot", &version));
    if (!version && at_word(p, "timestamp") && !ahead_op(p, "(")) {
        const token *next;
        TRY(parse_peek(p, &next));
        if (next->kind != TK_STRING) /* TIMESTAMP '…' is a literal already */
            TRY(parse_advance(p));
    }
    TRY(parse_expr(p, &args[1].value));
    s->call = (ast_call){.name = {2, version ? by_id : by_time}, .n_args = 2, .args = args};
    return FZ_OK;
}
