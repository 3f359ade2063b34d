/*
 * bind_int.h: the binder's state, shared by its files.
 *
 * Expressions are bound against a scope: the columns of FROM, whose positions are the ordinals in the input plan. What
 * isn't a column of the input yet is an EX_COLUMN with a marked ordinal, put right once the plan is there:
 *
 *   COL_AGG + j    the select's j-th aggregate (group.c)
 *   COL_SUB + k    the value of the k-th uncorrelated subquery (subquery.c); EX_IN over (x, COL_SUB + k) is x IN (query)
 *
 * A level is a plan under construction together with where each subquery's value already stands in it.
 */
#ifndef SQL_BIND_INT_H
#define SQL_BIND_INT_H

#include "sql/lexer.h"
#include "sql/sql.h"

#define COL_AGG 0x80000000u
#define COL_SUB 0x40000000u
#define COL_MARK (COL_AGG | COL_SUB)
#define LITERAL 1u          /* expr.col of an EX_CONST that is a text literal as written: it takes any type */

#define BIND_QUERIES_MAX 2000 /* WITH queries are bound anew for each use: this bounds what they multiply to */
#define BIND_QUERY_DEPTH 100
#define BIND_EXPR_DEPTH 1200

typedef struct bind_col {
    str name;
    type t;
    bool not_null;
    bool merged;            /* the right side's column of USING: only with its table's name */
    uint32_t rel;
    str doc;
} bind_col;

typedef struct bind_rel {
    sql_name name;          /* alias or table name; n 0: none */
} bind_rel;

typedef struct bind_scope {
    const struct bind_scope *outer; /* of the query around, to recognise correlation */
    uint32_t n_rels, cap_rels;
    bind_rel *rels;
    uint32_t n_cols, cap_cols;
    bind_col *cols;
} bind_scope;

typedef struct bind_env {   /* the WITH queries that can be seen */
    const struct bind_env *next;
    const ast_cte *cte;
} bind_env;

typedef enum sub_kind { SUB_SCALAR, SUB_EXISTS, SUB_IN } sub_kind;
typedef struct bind_sub {
    sub_kind kind;
    const plan *p;
    type t;                 /* of the value */
    sql_pos pos;
} bind_sub;

typedef struct binder {
    const sql_bind_options *o;
    arena *a;
    fz_error *err;
    uint32_t n_params;
    type *params;           /* T_NULL: not known yet */
    uint32_t cap_params;
    uint32_t n_tables, cap_tables;
    table_source **tables;
    uint32_t n_subs, cap_subs;
    bind_sub *subs;
    uint32_t n_queries, depth, expr_depth;
    bool no_moment;         /* now() and its like stay calls */
    int64_t moment;         /* else this one, in µs since 1970, for all of them in the statement; 0: not yet taken */
} binder;

typedef struct bind_level {
    const plan *p;
    uint32_t n_subs, cap_subs;
    struct { uint32_t sub, col; const expr *key; uint32_t count_col; } *subs;
} bind_level;

typedef struct bind_aggs {
    uint32_t n, cap;
    agg_expr *list;
    str *names;             /* of the functions, for messages */
} bind_aggs;

/* An output column of a select. */
typedef struct bind_out {
    str name;
    const expr *e;
    bool not_null;
    str doc;
} bind_out;

typedef struct bind_ctx {
    binder *b;
    const bind_scope *scope;
    const bind_env *env;
    const char *clause;     /* "WHERE", …: for messages */
    bind_aggs *aggs;        /* NULL: no aggregates here */
    bool in_agg;            /* inside of an aggregate's arguments */
    uint32_t n_items;       /* aliases that may be used where no column is found */
    const ast_item *items;
    uint32_t n_outs;        /* ORDER BY: output columns, looked at first */
    const bind_out *outs;
} bind_ctx;

/* ---- general (bind.c) ---- */
fz_status bind_list_grow(binder *b, void *items, uint32_t n, uint32_t *cap, size_t size);
#define BIND_PUSH(B, items, n, cap, x)                                                \
    do {                                                                              \
        if ((n) == (cap))                                                             \
            TRY(bind_list_grow((B), &(items), (n), &(cap), sizeof *(items)));         \
        (items)[(n)++] = (x);                                                         \
    } while (0)
fz_status bind_fail(binder *b, fz_status st, const char *sqlstate, sql_pos pos, const char *fmt, ...) __attribute__((format(printf, 5, 6)));
fz_status bind_query(binder *b, const ast_query *q, const bind_env *env, const bind_scope *outer, const plan **out);
fz_status bind_query_typed(binder *b, const ast_query *q, const bind_env *env, const bind_scope *outer, uint32_t n, const type *want,
                           const plan **out); /* VALUES cells are read as those types, if not NULL */

fz_status bind_finish(binder *b, fz_status st, const plan *p, sql_bound *out); /* optimizes, hands over; releases on failure */

/* ---- plans (bind_plan.c) ---- */
plan *plan_new(arena *a, plan_kind kind, uint32_t n_in, const plan *in0, const plan *in1);
fz_status plan_filter(binder *b, const plan *in, const expr *e, const plan **out);
fz_status plan_project(binder *b, const plan *in, uint32_t n, const bind_out *cols, const plan **out);
fz_status plan_join(binder *b, join_kind kind, const plan *l, const plan *r, uint32_t nkeys, const expr **lk, const expr **rk,
                    const expr *residual, const plan **out);
fz_status plan_one_row(binder *b, const plan **out); /* one row, one column without a name */
fz_status plan_distinct(binder *b, const plan *in, const plan **out);
fz_status plan_aggregate(binder *b, const plan *in, uint32_t nkeys, const expr **keys, uint32_t naggs, const agg_expr *aggs, const plan **out);

/* ---- expressions (bind_expr.c, bind_call.c, bind_cast.c) ---- */
fz_status bind_expr(bind_ctx *c, const ast_expr *e, const expr **out);
fz_status bind_call(bind_ctx *c, const ast_expr *e, const expr **out);
fz_status bind_bool(bind_ctx *c, const ast_expr *e, const expr **out); /* a condition: 42804 if it isn't boolean */
expr *expr_make(binder *b, expr_kind kind, type t, sql_pos pos);
fz_status expr_args(binder *b, expr *e, uint32_t n, const expr *const *args);
const expr *expr_column(binder *b, uint32_t col, type t, sql_pos pos);
fz_status expr_const(binder *b, datum d, sql_pos pos, const expr **out);
fz_status expr_bool(binder *b, expr_kind kind, sql_pos pos, uint32_t n, const expr *const *args, const expr **out); /* AND, OR, NOT */
fz_status expr_conjunction(binder *b, const expr *x, const expr *y, const expr **out); /* either may be NULL */
/* A function or operator on bound arguments, casts put in, folded if constant. */
fz_status expr_function(binder *b, const char *fn, sql_pos pos, uint32_t n, const expr *const *args, const expr **out);
fz_status expr_function_named(binder *b, str fn, sql_pos pos, uint32_t n, const expr *const *args, const expr **out);
/* A struct's field; 42703 with what is near. */
fz_status expr_field(binder *b, const expr *e, const sql_ident *field, const expr **out);
void expr_fold_in_place(binder *b, const expr **e); /* leaves what fails: it fails when it is evaluated */
bool expr_is_literal(const expr *e);  /* a text literal or NULL or an untyped parameter: takes any type */
typedef enum cast_mode { CAST_IMPLICIT, CAST_ASSIGN, CAST_EXPLICIT } cast_mode;
/* *out false: there is no such cast in that mode. */
fz_status expr_cast(binder *b, const expr *e, type t, cast_mode mode, bool *ok, const expr **out);
fz_status expr_must_cast(binder *b, const expr *e, type t, const char *what, const expr **out); /* implicit, else 42804 */
/* Gives all of them one type; `what` names the construct in the error. */
fz_status expr_unify(binder *b, uint32_t n, const expr **list, const char *what, type *out);
/* What still has no type becomes text, members too. */
fz_status expr_settle(binder *b, const expr **e);
void type_name_z(type t, char *out, size_t cap);

/* ---- walking (expr_util.c) ---- */
bool expr_equal(const expr *x, const expr *y); /* positions don't count */
/* Copies the tree with each node that `fn` replaces (it sets *out and returns true) exchanged. */
typedef fz_status expr_map_fn(void *ctx, const expr *e, const expr **out, bool *replaced);
fz_status expr_map(arena *a, const expr *e, expr_map_fn *fn, void *ctx, const expr **out);
bool expr_any(const expr *e, bool (*fn)(void *ctx, const expr *e), void *ctx);
bool expr_reads_input(const expr *e); /* a column or parameter: without, it has one value at a moment, now() too */
bool expr_has_mark(const expr *e, uint32_t mark); /* an EX_COLUMN with that mark */

/* ---- names (bind_name.c) ---- */
fz_status bind_name(bind_ctx *c, const ast_expr *e, const expr **out);
/* Whether the star names the relation. */
bool rel_matches(const bind_rel *r, const sql_name *n, uint32_t parts);
fz_status bind_no_relation(binder *b, const bind_scope *s, const sql_name *n, uint32_t parts);

/* ---- the parts of a select ---- */
fz_status bind_from(binder *b, const ast_from *f, const bind_env *env, bind_scope *scope, const plan **out);
fz_status bind_select(binder *b, const ast_query *q, const bind_env *env, const bind_scope *outer, const plan **out);
fz_status bind_items(bind_ctx *c, const ast_select *s, uint32_t *n, bind_out **out);
str bind_item_name(const ast_item *it);
fz_status bind_order_key(binder *b, const ast_order *o, const expr *e, sort_key *out);
fz_status bind_limit(binder *b, const ast_query *q, int64_t *limit, int64_t *offset);
/* Aggregates: gathers what items, HAVING and ORDER BY use, groups level->p, and rewrites the n expressions to its columns. */
fz_status bind_group(binder *b, bind_level *level, const bind_scope *scope, uint32_t nkeys, const expr **keys, bind_aggs *aggs, uint32_t n,
                     const expr **exprs);
/* Subqueries. */
fz_status bind_subquery(bind_ctx *c, const ast_expr *e, const expr **out);
fz_status level_attach(binder *b, bind_level *level, uint32_t n, const expr **exprs); /* puts columns in for subqueries' marks */
fz_status level_semi_join(bind_ctx *c, bind_level *level, const ast_expr *e); /* x IN (query) as a condition of its own */

#endif
