/*
 * parser_int.h: the parser's state and the pieces its files share.
 *
 * Recursive descent with one token of look-ahead beyond the current one. Every function that recurses goes
 * through parse_enter / parse_leave, which bound the depth; finished trees carry their height, bounded too, so that
 * left-deep chains (a + b + c …) can't make a tree that later passes can't walk.
 */
#ifndef SQL_PARSER_INT_H
#define SQL_PARSER_INT_H

#include "sql/lexer.h"
#include "sql/parser.h"

#define QUERY_DEPTH 8 /* what a nested query counts against SQL_MAX_DEPTH: later passes need more stack for it */

typedef struct parser {
    lexer lex;
    arena *a;
    fz_error *err;
    token tok, prev;     /* current; the one before (a misspelt keyword is often there) */
    token ahead;
    bool has_ahead;
    lexer lex_ahead;     /* behind `ahead` */
    int depth;           /* of the recursion now */
    unsigned tallest;    /* height of the tallest tree of the query being parsed */
    uint32_t n_params;
    bool anonymous_params, numbered_params;
    uint32_t n_notices, cap_notices;
    str *notices;
} parser;

/* Lists that grow in the arena: `T *items; uint32_t n, cap`. */
fz_status list_grow(parser *p, void *items, uint32_t n, uint32_t *cap, size_t size);
#define LIST_PUSH(P, items, n, cap, x)                                               \
    do {                                                                             \
        if ((n) == (cap))                                                            \
            TRY(list_grow((P), &(items), (n), &(cap), sizeof *(items)));             \
        (items)[(n)++] = (x);                                                        \
    } while (0)

/* ---- tokens (parser.c) ---- */
fz_status parse_advance(parser *p);
fz_status parse_peek(parser *p, const token **out);
bool at_word(const parser *p, const char *lower);
bool at_op(const parser *p, const char *op);
bool at_end(const parser *p); /* of the statement */
/* The word after the current token. */
bool ahead_word(parser *p, const char *lower);
bool ahead_op(parser *p, const char *op);
fz_status take_word(parser *p, const char *lower, bool *took);
fz_status take_op(parser *p, const char *op, bool *took);
fz_status need_word(parser *p, const char *lower);
fz_status need_op(parser *p, const char *op);
fz_status need_close(parser *p, sql_pos open); /* ")" */
/* A name part where nothing else can stand: any word, reserved or not. */
fz_status need_ident(parser *p, const char *what, sql_ident *out);
fz_status need_name(parser *p, const char *what, sql_name *out);
fz_status need_string(parser *p, const char *what, str *out);
fz_status need_integer(parser *p, const char *what, int64_t min, int64_t max, int64_t *out);
/* ( a, b, … ) */
fz_status need_ident_list(parser *p, const char *what, uint32_t *n, const sql_ident **out);
/* [AS] alias; alias->name.p NULL: none */
fz_status parse_alias(parser *p, sql_ident *out);
/* Whether a comma was followed by what ends a list: a trailing comma. */
bool at_list_end(parser *p);

fz_status parse_fail(parser *p, const token *at, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
fz_status parse_expected(parser *p, const char *what); /* "expected WHAT, found …" */
fz_status parse_unsupported(parser *p, sql_pos pos, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
fz_status parse_notice(parser *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
fz_status parse_enter(parser *p, int levels);
void parse_leave(parser *p, int levels);

/* ---- expressions (parse_expr.c, parse_primary.c) ---- */
fz_status parse_expr(parser *p, const ast_expr **out);
fz_status parse_unary(parser *p, const ast_expr **out); /* what binds tighter than any binary operator */
fz_status parse_primary(parser *p, const ast_expr **out);
ast_expr *expr_new(parser *p, ast_expr_kind kind, sql_pos pos);
/* Sets arguments and depth; *out is e. */
fz_status expr_done(parser *p, ast_expr *e, uint32_t n, const ast_expr *const *args, const ast_expr **out);
fz_status expr_literal(parser *p, sql_pos pos, datum d, const ast_expr **out);
fz_status expr_call(parser *p, const char *fn, sql_pos pos, uint32_t n, const ast_expr *const *args, const ast_expr **out);
fz_status parse_number(parser *p, bool negative, const ast_expr **out);
fz_status parse_expr_list(parser *p, uint32_t *n, const ast_expr ***out); /* up to what ends a list */
fz_status parse_star_modifiers(parser *p, ast_expr *e);

/* ---- queries (parse_query.c, parse_from.c) ---- */
bool at_query(parser *p); /* SELECT, WITH, VALUES, FROM, TABLE or a parenthesis around one */
fz_status parse_query(parser *p, const ast_query **out);
fz_status parse_from(parser *p, const ast_from **out);
/* SELECT * FROM `from`. */
fz_status query_of_from(parser *p, const ast_from *from, const ast_query **out);
fz_status from_of_name(parser *p, const sql_name *name, const ast_from **out);

/* ---- the rest ---- */
fz_status parse_type_name(parser *p, type *out);           /* parse_type.c */
bool type_word(str w);                                     /* a type's name may start with it: for date '…' */
fz_status parse_statement(parser *p, ast_stmt *s);         /* parse_stmt.c */
fz_status parse_create(parser *p, ast_stmt *s);            /* parse_create.c */
fz_status parse_alter(parser *p, ast_stmt *s);             /* parse_alter.c */
fz_status parse_call(parser *p, ast_stmt *s);
fz_status parse_rollback_table(parser *p, ast_stmt *s);
fz_status parse_if_exists(parser *p, bool *out);
fz_status parse_if_not_exists(parser *p, bool *out);       /* parse_create.c */
fz_status parse_properties(parser *p, uint32_t *n, const ast_property **out); /* ('k' = 'v', …), appended */
fz_status parse_constraints(parser *p, ast_column *c);     /* NOT NULL, COMMENT … behind a type */
fz_status parse_partition(parser *p, ast_partition *out);
/* term [ASC | DESC] [NULLS FIRST | LAST], … up to what ends the list; parentheses around it are allowed. */
fz_status parse_sort_list(parser *p, uint32_t *n, const ast_sort **out);
/* column paths, separated by commas */
fz_status parse_path_list(parser *p, uint32_t *n, const sql_name **out);
fz_status parse_partition_list(parser *p, uint32_t *n, const ast_partition **out);

#endif
