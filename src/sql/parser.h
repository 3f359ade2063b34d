/*
 * parser.h: SQL text to statements, one at a time, so that a script's first statements run before an error
 * in a later one is seen.
 *
 *     sql_script s;
 *     sql_script_init(&s, text);
 *     while (sql_parse_next(&s, &arena, &stmt, &err) == FZ_OK && stmt) …
 *
 * Errors are FZ_SYNTAX (42601), FZ_UNSUPPORTED naming a statement or clause, FZ_LIMIT for too deep nesting; with line
 * and column. After an error the script stands behind that statement's semicolon; going on is allowed.
 */
#ifndef SQL_PARSER_H
#define SQL_PARSER_H

#include "sql/ast.h"

typedef struct sql_script {
    str text;              /* borrowed; UTF-8, else FZ_SYNTAX */
    size_t at;
    int32_t line, column;  /* of `at` */
} sql_script;

void sql_script_init(sql_script *s, str text);
/* The next statement, or *out NULL at the end. The arena may be reset between statements. */
fz_status sql_parse_next(sql_script *s, arena *a, const ast_stmt **out, fz_error *err);
/* A text that has to be one query (a view's, say) or one scalar expression. */
fz_status sql_parse_query(str text, arena *a, const ast_query **out, fz_error *err);
fz_status sql_parse_expr(str text, arena *a, const ast_expr **out, fz_error *err);
/* A type's SQL name ("numeric(9,2)", "map(text, bigint)"), as in --types; members of nested types lie in the arena. */
fz_status sql_parse_type(str text, arena *a, type *out, fz_error *err);
/* A dotted name as the user types it on a command line: default.t, "a b".c */
fz_status sql_parse_name(str text, arena *a, sql_name *out, fz_error *err);
/* A list of partition fields as in PARTITIONED BY (…), for --partition-by: "month(ts), bucket(16, id)". */
fz_status sql_parse_partitions(str text, arena *a, uint32_t *n, const ast_partition **out, fz_error *err);
/* Whether the text may be incomplete (an open quote, parenthesis or comment, no final semicolon): for a shell's prompt. */
bool sql_incomplete(str text);

#endif
