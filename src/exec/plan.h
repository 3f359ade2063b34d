/*
 * plan.h: query plans: immutable trees in an arena, made by the binder and optimizer, run by the executor
 * any number of times, also at once; everything that changes lives in a `query`.
 *
 * A node's `out` names and types its columns. Expressions refer to the columns of the node's input by
 * ordinal (a join's: left columns, then right columns).
 */
#ifndef EXEC_PLAN_H
#define EXEC_PLAN_H

#include "exec/expr.h"
#include "exec/source.h"

typedef enum plan_kind {
    PLAN_SCAN, PLAN_VALUES, PLAN_FILTER, PLAN_PROJECT, PLAN_AGGREGATE, PLAN_JOIN, PLAN_SORT, PLAN_LIMIT,
    PLAN_UNION_ALL,
} plan_kind;

typedef struct sort_key { const expr *e; bool desc, nulls_first; } sort_key;

typedef enum join_kind { JOIN_INNER, JOIN_LEFT, JOIN_SEMI, JOIN_ANTI, JOIN_CROSS } join_kind;

typedef struct plan {
    plan_kind kind;
    row_schema out;
    int64_t rows;                 /* estimate, -1 unknown */
    uint32_t n;
    const struct plan **in;
    union {
        struct {                  /* SCAN: out = those columns of the table */
            table_source *table;  /* borrowed: whoever made the plan holds the reference */
            uint32_t *cols;
            const type *types;    /* scan_request.types; out has the full types */
            const expr *filter;   /* over out, or NULL */
            int64_t limit;        /* no more rows are needed, or -1 */
        } scan;
        struct { uint32_t nrows; const expr **cells; } values;      /* row-major, constant or parameters */
        struct { const expr *e; } filter;
        struct { const expr **e; } project;                         /* one per out column */
        struct {                  /* out: keys, then aggregates */
            uint32_t nkeys, naggs;
            const expr **keys;
            const agg_expr *aggs;
        } aggregate;              /* nkeys == 0: exactly one row */
        struct {
            join_kind kind;
            uint32_t nkeys;
            const expr **left_keys, **right_keys; /* equi-join keys: null matches nothing; over the left / right input alone */
            const expr *residual; /* over left columns then right columns, or NULL */
            bool build_left;      /* hash table on the left input */
        } join;
        struct { uint32_t nkeys; const sort_key *keys; int64_t limit; } sort; /* limit -1: all; else top-N */
        struct { int64_t limit, offset; } limit;                    /* limit -1: all */
    };
} plan;

/* Indented text, a line a node, for EXPLAIN. */
void plan_text(const plan *p, sbuf *out);

typedef struct exec_options {
    pool *p;
    mem *m;                        /* the statement's share of the budget: operators spill past its limit */
    const char *temp_dir;          /* for spilling */
    const datum *params;
    uint32_t n_params;
    const _Atomic bool *interrupt; /* or NULL */
} exec_options;

typedef struct query query;
fz_status query_open(const plan *p, const exec_options *o, query **out, fz_error *err);
/* Pull: the next batch of the result, dense (no selection), in order; *end true and no batch at the end. The calling thread does the
 * work together with the pool; with little data no other thread is involved. `out` is initialised; valid until the next call. */
fz_status query_next(query *q, batch *out, bool *end, fz_error *err);
/* What a consumer makes of each batch of the result (rows for another program, say), made by the workers side by side. */
typedef struct query_maker {
    fz_status (*make)(void *ctx, const batch *b, void **made, fz_error *err); /* called by many threads at once */
    void (*drop)(void *ctx, void *made);                                      /* for what nobody took */
    void *ctx;
} query_maker;
/* Pull, with `mk` (the same at each call, from the first one on; outlives the query) instead of query_next: what was made of the next
 * batch, in order; the caller's. *made NULL at the end. */
fz_status query_next_made(query *q, const query_maker *mk, void **made, fz_error *err);
/* Push: everything into a sink, in order; returns when all is consumed. Instead of query_next. */
fz_status query_run(query *q, sink *s, fz_error *err);
/* The job of the query: its progress counters, and what sinks encode on. */
job *query_job(query *q);
void query_close(query *q); /* cancels what still runs; NULL allowed */

#endif
