/*
 * ast.h: statements as the parser leaves them: trees in the caller's arena, immutable, not yet
 * checked against any table. Texts (names, literals) are unescaped copies in the arena or slices of the
 * statement's text, which has to live as long as the tree.
 *
 * Positions are line and column in the whole script that was given to sql_script_init, both from 1; a
 * column is a Unicode character, a tab counts as one. No tree is deeper than SQL_MAX_DEPTH (the
 * parser refuses what would be), so that walking one recursively is safe.
 */
#ifndef SQL_AST_H
#define SQL_AST_H

#include "arrow/type.h"

#define SQL_MAX_DEPTH 400

typedef struct sql_pos {
    int32_t line, column; /* 0: none */
} sql_pos;

/* One part of a name, in the case it was written in. Unquoted parts match exactly, else the only match
 * without regard to case; quoted ones exactly. */
typedef struct sql_ident {
    str name;
    bool quoted;
    sql_pos pos;
} sql_ident;

/* a.b.c */
typedef struct sql_name {
    uint32_t n;
    const sql_ident *parts;
} sql_name;

/* The name as a person would write it, quoted where it has to be. */
void sql_name_text(const sql_name *n, sbuf *out);
void sql_ident_text(str name, sbuf *out);

typedef struct ast_expr ast_expr;
typedef struct ast_query ast_query;

/* ---- expressions ---- */

typedef enum ast_expr_kind {
    AX_LITERAL,   /* value; NULL is a null datum of T_NULL */
    AX_INTERVAL,  /* months, days, micros */
    AX_NAME,      /* name: column, qualified or not */
    AX_STAR,      /* * or name.*, with exclude and replace; only in a select list and count(*) */
    AX_PARAM,     /* param, from 0 */
    AX_CALL,      /* fn(args): functions, and operators under their names ("+", "like", "is distinct from", …) */
    AX_CAST,      /* args[0] to t */
    AX_TRY_CAST,
    AX_AND, AX_OR, /* n ≥ 2 */
    AX_NOT,
    AX_CASE,      /* [operand,] when, then, …[, else]: has_operand, has_else */
    AX_IN,        /* args[0] [NOT] in args[1..n) */
    AX_IN_QUERY,  /* args[0] [NOT] in query */
    AX_EXISTS,    /* query */
    AX_SCALAR,    /* (query) as a value */
    AX_BETWEEN,   /* args[0] [NOT] between args[1] and args[2] */
    AX_IS_NULL,   /* [NOT] */
    AX_IS_BOOL,   /* args[0] is [NOT] true / false: is_true */
} ast_expr_kind;

typedef struct ast_replace { const ast_expr *e; sql_ident as; } ast_replace;

struct ast_expr {
    uint8_t kind;         /* ast_expr_kind */
    bool negated;         /* IN, BETWEEN, IS … */
    bool distinct;        /* CALL: f(DISTINCT …) */
    bool star;            /* CALL: f(*) */
    bool is_operator;     /* CALL: written as an operator */
    bool has_operand, has_else, is_true;
    uint16_t depth;       /* of the tree below, 1 for a leaf */
    sql_pos pos;
    uint32_t n;
    const ast_expr **args;
    union {
        datum value;
        struct { int64_t months, days, micros; } interval;
        sql_name name;                                   /* NAME, STAR (n 0: plain *) */
        uint32_t param;
        struct { str fn; sql_ident written; const ast_expr *filter; } call; /* fn in lower case */
        type t;                                          /* casts */
        const ast_query *query;
    };
    uint32_t n_exclude, n_replace;                       /* STAR */
    const sql_ident *exclude;
    const ast_replace *replace;
};

/* ---- queries ---- */

/* Which state of a table is read: FOR SYSTEM_TIME / VERSION / TIMESTAMP AS OF. */
typedef enum sql_travel_kind { TRAVEL_NONE, TRAVEL_SNAPSHOT, TRAVEL_REF, TRAVEL_TIME } sql_travel_kind;
typedef struct sql_travel {
    sql_travel_kind kind;
    int64_t snapshot_id;
    str ref;               /* branch or tag */
    int64_t time_us;       /* microseconds since 1970 UTC; set by the binder from `time` */
    const ast_expr *time;  /* constant expression */
    sql_pos pos;
} sql_travel;

/* option => value of a table function, 'key' = 'value' of WITH. */
typedef struct ast_option {
    sql_ident name;
    const ast_expr *value;
} ast_option;

typedef enum ast_from_kind { FROM_TABLE, FROM_FILE, FROM_FUNCTION, FROM_QUERY, FROM_JOIN } ast_from_kind;
typedef enum ast_join_kind { AJ_INNER, AJ_LEFT, AJ_RIGHT, AJ_FULL, AJ_CROSS } ast_join_kind;

typedef struct ast_from {
    uint8_t kind;      /* ast_from_kind */
    uint16_t depth;
    sql_pos pos;
    sql_ident alias;   /* name.p NULL: none */
    uint32_t n_columns;
    const sql_ident *columns; /* alias (a, b, …) */
    union {
        struct { sql_name name; sql_travel travel; } table;
        struct { str path; sql_travel travel; } file;
        struct { sql_ident name; uint32_t n_args; const ast_expr **args; uint32_t n_options; const ast_option *options; } function;
        const ast_query *query;
        struct {
            uint8_t kind;  /* ast_join_kind */
            bool natural;
            const struct ast_from *left, *right;
            const ast_expr *on;   /* NULL: USING or none */
            uint32_t n_using;
            const sql_ident *cols_using;
        } join;
    };
} ast_from;

typedef struct ast_item {
    const ast_expr *e;
    sql_ident alias;   /* name.p NULL: none */
    str text;          /* the expression as written, white space folded: names the column where nothing better does */
} ast_item;

typedef struct ast_order {
    const ast_expr *e; /* an integer literal is an ordinal */
    bool desc, nulls_given, nulls_first;
} ast_order;

typedef struct ast_select {
    sql_pos pos;
    bool distinct;
    uint32_t n_items;
    const ast_item *items;
    const ast_from *from;    /* NULL: none; comma lists are cross joins */
    const ast_expr *where, *having;
    bool group_all, grouped; /* GROUP BY ALL; a GROUP BY clause stands there */
    uint32_t n_group;
    const ast_expr **group;
} ast_select;

typedef struct ast_cte {
    sql_ident name;
    uint32_t n_columns;
    const sql_ident *columns;
    const ast_query *query;
} ast_cte;

typedef enum ast_body_kind { BODY_SELECT, BODY_VALUES, BODY_UNION } ast_body_kind;

struct ast_query {
    sql_pos pos;
    uint16_t depth;
    uint32_t n_ctes;
    const ast_cte *ctes;
    uint8_t body;            /* ast_body_kind */
    union {
        ast_select select;
        struct { uint32_t nrows, ncols; const ast_expr **cells; } values; /* row-major */
        struct { uint32_t n; const ast_query **in; const bool *all; } set; /* all[i]: how in[i] (i ≥ 1) is joined to what stands before it */
    };
    bool order_all, order_all_desc;
    bool order_all_nulls_given, order_all_nulls_first;
    uint32_t n_order;
    const ast_order *order;
    const ast_expr *limit, *offset; /* NULL: none; constants or parameters */
};

/* ---- statements ---- */

typedef struct ast_column {
    sql_ident name;
    type t;
    bool not_null;
    str comment;
    sql_pos type_pos;
} ast_column;

typedef enum sql_transform { PT_IDENTITY, PT_BUCKET, PT_TRUNCATE, PT_YEAR, PT_MONTH, PT_DAY, PT_HOUR, PT_VOID } sql_transform;
typedef struct ast_partition {
    sql_transform transform;
    int32_t param;           /* buckets or width */
    sql_name column;         /* its path: a.b is field b of struct a */
    sql_pos pos;
} ast_partition;

/* A part of a table's sort order. */
typedef struct ast_sort {
    ast_partition term;
    bool desc, nulls_given, nulls_first;
} ast_sort;

typedef struct ast_property { str key, value; sql_pos pos; } ast_property;

typedef enum ast_stmt_kind {
    ST_QUERY,
    ST_INSERT,
    ST_CREATE_SCHEMA, ST_DROP_SCHEMA,
    ST_CREATE_TABLE,         /* also … AS: query */
    ST_DROP_TABLE,
    ST_ALTER_TABLE,
    ST_CALL,                 /* a procedure; ROLLBACK TABLE too */
    ST_BEGIN, ST_COMMIT, ST_ROLLBACK,
    ST_SHOW_TABLES, ST_SHOW_SCHEMAS, ST_SHOW_CREATE_TABLE,
    ST_DESCRIBE,
    ST_EXPLAIN,
    ST_USE,
    ST_SET, ST_RESET, ST_SHOW,
} ast_stmt_kind;

typedef struct ast_insert {
    sql_name table;
    bool overwrite;          /* replaces all rows */
    uint32_t n_columns;      /* 0: all, in order */
    const sql_ident *columns;
    bool by_name;            /* INSERT INTO t BY NAME query */
    const ast_query *query;
} ast_insert;

typedef struct ast_create_table {
    sql_name table;
    bool or_replace, if_not_exists;
    uint32_t n_columns;      /* of … AS: names only when given, types T_NULL */
    const ast_column *columns;
    uint32_t n_partitions;
    const ast_partition *partitions;
    uint32_t n_properties;   /* WITH and TBLPROPERTIES */
    const ast_property *properties;
    uint32_t n_sort;         /* ORDER BY, WRITE ORDERED BY */
    const ast_sort *sort;
    uint32_t n_identifier;   /* PRIMARY KEY (…) NOT ENFORCED */
    const sql_name *identifier;
    str location;            /* LOCATION '…', or empty */
    str comment;
    const ast_query *query;  /* … AS, or NULL */
} ast_create_table;

typedef enum ast_alter_kind {
    AL_ADD_COLUMN,           /* column, t, not_null, comment, place, after; quiet: IF NOT EXISTS */
    AL_DROP_COLUMN,          /* column; quiet: IF EXISTS */
    AL_RENAME_COLUMN,        /* column, to */
    AL_RENAME_TABLE,         /* table */
    AL_TYPE,                 /* column, t */
    AL_SET_NOT_NULL, AL_DROP_NOT_NULL, /* column */
    AL_COMMENT,              /* column, comment */
    AL_MOVE,                 /* column, place, after */
    AL_SET_PROPERTIES,       /* properties */
    AL_UNSET_PROPERTIES,     /* keys of properties; quiet: IF EXISTS */
    AL_SET_LOCATION,         /* comment */
    AL_ADD_PARTITION,        /* term, to (name.p NULL: none) */
    AL_DROP_PARTITION,       /* term */
    AL_REPLACE_PARTITION,    /* term, by, to */
    AL_RENAME_PARTITION,     /* term (a name), to */
    AL_ORDER,                /* sort; n_sort 0: unordered */
    AL_SET_IDENTIFIER, AL_DROP_IDENTIFIER, /* names */
    AL_SET_REF,              /* ref */
    AL_DROP_REF,             /* ref; quiet: IF EXISTS */
} ast_alter_kind;

typedef enum ast_place { PLACE_NONE, PLACE_FIRST, PLACE_AFTER } ast_place;

/* CREATE, REPLACE and DROP BRANCH and TAG. */
typedef struct ast_ref {
    bool is_tag, create, replace; /* neither of the two for DROP */
    sql_ident name;
    int64_t snapshot_id;     /* AS OF VERSION; -1: the current one */
    int64_t max_ref_age_ms, max_snapshot_age_ms, min_snapshots; /* -1: not given */
} ast_ref;

/* One action of ALTER TABLE. */
typedef struct ast_alter {
    ast_alter_kind kind;
    sql_pos pos;
    bool quiet;              /* IF [NOT] EXISTS */
    bool not_null;
    sql_name column, table;
    sql_ident to;
    type t;
    str comment;
    ast_place place;
    sql_ident after;
    ast_partition term, by;
    uint32_t n_properties;
    const ast_property *properties;
    uint32_t n_sort;
    const ast_sort *sort;
    uint32_t n_names;
    const sql_name *names;
    ast_ref ref;
} ast_alter;

/* CALL [catalog.]system.name(value, name => value, …) */
typedef struct ast_call {
    sql_name name;
    uint32_t n_args;
    const ast_option *args;  /* name.name.p NULL: by position */
} ast_call;

typedef struct ast_stmt {
    ast_stmt_kind kind;
    const char *what;        /* "CREATE TABLE", …: for messages */
    sql_pos pos;
    size_t offset, length;   /* bytes of its text within the script, without the semicolon */
    uint32_t n_params;
    uint32_t n_notices;      /* what the user should be told, as "smallint becomes int" */
    const str *notices;
    union {
        const ast_query *query;
        ast_insert insert;
        struct { sql_name name; bool if_not_exists; uint32_t n_properties; const ast_property *properties; str comment; } create_schema;
        struct { sql_name name; bool if_exists, cascade; } drop_schema;
        ast_create_table create_table;
        struct { sql_name name; bool if_exists, purge; } drop_table;
        struct { sql_name name; bool if_exists; uint32_t n; const ast_alter *actions; } alter;
        ast_call call;
        struct { sql_name in; str like; } show;                  /* in.n 0: the current namespace (or all); like empty: no pattern */
        struct { sql_name name; const ast_query *query; } describe; /* name.n 0: a query or a file; query is always set (SELECT * FROM name) */
        struct { const struct ast_stmt *stmt; bool analyze; } explain; /* a query, INSERT or CREATE TABLE … AS */
        struct { sql_name name; } use;
        struct { str name; str value; bool is_default; } set;     /* SET name {=|TO} value, RESET name (ALL: "all"), SHOW name; name in lower case */
    };
} ast_stmt;

/* Text of a tree for tests and debugging: S-expressions, one line. */
void ast_stmt_text(const ast_stmt *s, sbuf *out);
void ast_query_text(const ast_query *q, sbuf *out);
void ast_expr_text(const ast_expr *e, sbuf *out);

#endif
