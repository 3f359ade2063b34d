/*
 * sql.h: from statements to plans, for the engine.
 *
 *     sql_parse_next ──> ast_stmt ──> sql_bind_query / sql_bind_insert ──> sql_bound.plan ──> query_open
 *
 * Binding resolves every name, types every expression, and (unless told not to) optimizes. The plan, its
 * expressions and strings lie in options.a; the tables it reads are referenced by the sql_bound until sql_bound_release. Plans are
 * immutable: they may be kept and run again with other parameters as long as the tables' states are the wanted ones.
 *
 * Errors carry line, column and SQLSTATE: 42703 unknown column, 42P01 unknown table, 42883 unknown function, 42702 ambiguous,
 * 42803 grouping, 42804 type mismatch, 0A000 not supported, …, with the nearest names as the hint.
 *
 * Thread safety: everything here may run on several threads at once with different arenas.
 */
#ifndef SQL_SQL_H
#define SQL_SQL_H

#include "exec/plan.h"
#include "sql/ast.h"
#include "sql/parser.h"
#include "sql/resolver.h"

typedef struct sql_bind_options {
    sql_resolver *resolver;
    arena *a;                 /* of the plan */
    uint32_t n_params;        /* types of the parameters' values where they are known already; a T_NULL among them
                               * and what is missing is inferred from where the parameter stands */
    const type *param_types;
    int64_t moment;           /* what now() is, in µs since 1970; 0: taken when first asked for */
    bool no_optimize;         /* the plan as bound, for tests and EXPLAIN */
} sql_bind_options;

typedef struct sql_bound {
    const plan *plan;         /* plan->out: names and types of the result */
    uint32_t n_params;        /* how many the statement has, and the type that the executor needs each to have: */
    type *param_types;        /* the caller casts values to these before query_open */
    uint32_t n_tables;
    table_source **tables;    /* referenced, in order of appearance, without repetition of pointers */
} sql_bound;

/* On failure *out holds nothing. */
fz_status sql_bind_query(const ast_query *q, const sql_bind_options *o, sql_bound *out, fz_error *err);
/* The rows for a table: a plan whose columns are exactly the target's (names, types, order), values cast (assignment casts: numbers
 * narrow with a check at run time, text literals are read), columns not given NULL. FZ_INVALID (23502) for a NOT NULL column
 * that isn't given, 42703 for an unknown one, 42601 for more or fewer values than columns, 42804 for a type that doesn't go. */
fz_status sql_bind_insert(const ast_insert *s, const row_schema *target, const sql_bind_options *o, sql_bound *out, fz_error *err);
void sql_bound_release(sql_bound *b);

/* A constant expression's value (options of WITH, SET, table functions). */
fz_status sql_const(const ast_expr *e, arena *a, datum *out, fz_error *err);
/* The same, with functions of the moment allowed: now() - interval '1 day'. */
fz_status sql_value(const ast_expr *e, arena *a, datum *out, fz_error *err);

/* The optimizer alone: an equivalent plan. */
fz_status sql_optimize(const plan *p, arena *a, const plan **out, fz_error *err);

/* Finds the column an identifier means: exact, else (unquoted) the only match without regard to case. FZ_NOT_FOUND (42703, with the
 * nearest names as hint) or FZ_INVALID (42702, naming the candidates), at the identifier's position. */
fz_status sql_find_column(const sql_ident *id, const row_schema *in, uint32_t *out, fz_error *err);
/* The same rule for any list of names: 1 found, 0 none, -1 several without regard to case (then *out is the first). */
int sql_find_name(str name, bool quoted, uint32_t n, const str *names, uint32_t *out);
/* Sets a hint `did you mean "x"?` with the (at most three) names nearest to `name`; nothing when none is near. */
void sql_hint_nearest(fz_error *err, str name, uint32_t n, const str *names);

/* Appends the error as a terminal shows it: message, place, the line of the script with a caret below, hint. The text is the
 * whole script that was given to sql_script_init; UTF-8 and tabs are minded, long lines cut around the caret. Ends in a newline. */
void sql_error_render(const fz_error *err, str sql_text, sbuf *out);

#endif
