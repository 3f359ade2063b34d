/*
 * expr.h: bound expressions. A tree of immutable nodes in an arena, made by the binder, every node
 * typed; arguments have exactly the types the function asks for (the binder puts casts in). The
 * executor flattens a tree into steps and evaluates it a batch at a time (eval.h).
 *
 * Errors at run time (overflow, division by zero, bad cast) name the line and column of the node.
 * They happen only for rows that count: a CASE branch, the right side of AND / OR and COALESCE's later
 * arguments are evaluated for the rows that need them and no others.
 */
#ifndef EXEC_EXPR_H
#define EXEC_EXPR_H

#include "arrow/vector.h"

typedef enum expr_kind {
    EX_COLUMN,  /* column of the input */
    EX_CONST,
    EX_PARAM,   /* $1, … or ?; bound at execution */
    EX_CALL,    /* fn(args) */
    EX_CAST,    /* args[0] to t */
    EX_TRY_CAST,
    EX_AND, EX_OR, EX_NOT, /* n ≥ 2 arguments for AND and OR; three-valued */
    EX_CASE,    /* args: when1, then1, when2, then2, …, else */
    EX_COALESCE,
    EX_IN,      /* args[0] in args[1..n): constants or not; three-valued */
    EX_IS_NULL, EX_IS_NOT_NULL,
} expr_kind;

typedef struct func func;
typedef struct expr {
    uint8_t kind;          /* expr_kind */
    type t;                /* of the result */
    int32_t line, column;  /* in the statement, from 1; 0: none */
    uint32_t col;          /* EX_COLUMN, EX_PARAM: ordinal, from 0 */
    datum value;           /* EX_CONST */
    const func *fn;        /* EX_CALL */
    uint32_t n;
    const struct expr **args;
} expr;

/* ---- functions ---- */

/* A scalar function or operator for exact argument types. Operators are functions named "+", "-", "*",
 * "/", "%", "||", "=", "<>", "<", "<=", ">", ">=", "like", "ilike", "is distinct from", … */
typedef struct func_match {
    const func *fn;
    type result;
    type args[16];         /* what each argument has to be cast to */
} func_match;

/* Finds the function for a name (lower case) and argument types (T_NULL for a bare NULL or an untyped
 * parameter), with implicit casts: widening among numbers, text literals to what the other side is (is_literal[i]: the argument is a
 * constant string), date→timestamp. FZ_NOT_FOUND with SQLSTATE 42883 and, where names are near, a hint. */
fz_status func_resolve(str name, uint32_t n, const type *args, const bool *is_literal, func_match *out, fz_error *err);
/* The functions of structs, lists and maps, and comparisons of them; types lie in the arena. *known false: it isn't one of them
 * (nothing is reported): func_resolve may know it. */
fz_status func_resolve_nested(arena *a, str name, uint32_t n, const type *args, const bool *is_literal, bool *known,
                              func_match *out, fz_error *err);
/* Makes a struct of its fields, a list of its elements, a map of key, value, key, value, …, as expr.t says; any number of
 * arguments, of exactly the members' types. */
const func *func_constructor(type_id t);
const func *func_field(void); /* a struct's field: the struct, and a constant text, the field's exact name */
bool type_list(arena *a, type element, type *out); /* false: no memory */
bool type_map(arena *a, type key, type value, type *out);
/* All function names, for suggestions and documentation; sorted. */
const char *const *func_names(uint32_t *n);
const char *func_name(const func *f);
/* Whether a cast from a to b exists at all, and whether it may be put in implicitly. */
bool cast_exists(type from, type to);
bool cast_implicit(type from, type to);
/* The common type of CASE branches, UNION, VALUES, IN, comparisons; false: none. */
bool type_common(type a, type b, type *out);
/* The same, also for nested types whose members have common types; new ones lie in the arena. */
bool type_common_in(arena *a, type x, type y, type *out);
/* Whether one nested type's members find their places in the other's, and which of `from` becomes member k of `to`;
 * UINT32_MAX: none, it is null. */
bool cast_members(type from, type to);
uint32_t cast_member(type from, type to, uint32_t k);

/* ---- aggregates ---- */

typedef struct agg_func agg_func;
typedef struct agg_match {
    const agg_func *fn;
    type result;
    type arg;              /* what the argument has to be cast to */
} agg_match;
/* count (n 0: count(*)), sum, avg, min, max, any_value, bool_and, bool_or, stddev_samp, …; FZ_NOT_FOUND as func_resolve. */
fz_status agg_resolve(str name, uint32_t n, type arg, agg_match *out, fz_error *err);
bool agg_exists(str name);

typedef struct agg_expr {
    const agg_func *fn;
    const expr *arg;       /* NULL: count(*) */
    const expr *filter;    /* FILTER (WHERE …), or NULL */
    bool distinct;
    type t;
    int32_t line, column;
} agg_expr;

/* ---- evaluation outside of plans ---- */

/* The value of an expression without columns and parameters; strings in the arena. Constant folding; it fails as execution would. */
fz_status expr_fold(const expr *e, arena *a, datum *out, fz_error *err);
bool expr_is_const(const expr *e); /* no columns, parameters or volatile functions below */
/* Appends the expression as SQL-like text, for EXPLAIN; columns by name from the schema. */
void expr_text(const expr *e, const row_schema *in, sbuf *out);

/* ---- evaluation on batches ---- */

/* A compiled expression's state; one thread at a time. The expr outlives it. */
typedef struct evaluator evaluator;
fz_status evaluator_open(const expr *e, const datum *params, uint32_t n_params, mem *m, evaluator **out, fz_error *err);
void evaluator_close(evaluator *ev); /* NULL allowed */
/* Values for the batch's selected rows (others unspecified), a vector of b->nrows rows, CONST/DICT/RLE kept where the
 * expression allows. Valid until the next call or close, or as long as the batch where it shares its memory. */
fz_status evaluator_run(evaluator *ev, const batch *b, vec *out, fz_error *err);
/* A boolean expression as a filter: the selected rows where it is true, ascending. sel has room for b->nrows. */
fz_status evaluator_filter(evaluator *ev, const batch *b, uint16_t *sel, uint32_t *nsel, fz_error *err);

#endif
