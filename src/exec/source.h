/*
 * source.h: where rows come from: a table as the planner sees it (immutable), and a scan of it (state).
 * The engine implements them over Iceberg tables and files; the executor knows no more of them.
 */
#ifndef EXEC_SOURCE_H
#define EXEC_SOURCE_H

#include "arrow/vector.h"
#include "base/task.h"
#include "exec/expr.h"

typedef struct table_source table_source;
typedef struct scan scan;

typedef enum source_result {
    SOURCE_BATCH,      /* `out` has a batch */
    SOURCE_MORSEL_END, /* no batch; out->morsel is complete: no later batch has that ordinal */
    SOURCE_END,        /* no more work for this worker */
    SOURCE_BLOCKED,    /* nothing now: the waiter will be woken; return TASK_PARK */
} source_result;

typedef struct scan_request {
    uint32_t ncols;
    const uint32_t *cols;   /* columns of the table to deliver, in this order */
    const type *types;      /* NULL, or the types to deliver them as: their own, or structs with some of their fields (the
                             * others aren't read by anybody). A source may deliver all fields */
    const expr *filter;     /* over the delivered columns, or NULL */
    const datum *params;    /* for EX_PARAM in filter */
    uint32_t n_params;
    int64_t limit;          /* at most so many rows are needed, or -1 */
    job *j;
} scan_request;

/* A question that metadata may answer, about the rows that satisfy a filter. */
typedef struct table_metric {
    enum { METRIC_ROWS, METRIC_VALUES, METRIC_MIN, METRIC_MAX } kind; /* values: those of the column that aren't null */
    uint32_t col;           /* of the table */
} table_metric;

typedef struct table_source_ops {
    /* *filtered: whether every row delivered satisfies the filter (else the executor filters again). */
    fz_status (*open)(const table_source *t, const scan_request *r, scan **out, bool *filtered, fz_error *err);
    /* Exact row count from metadata (no filter), or -1. */
    int64_t (*count)(const table_source *t);
    /* Estimated rows, or -1. */
    int64_t (*estimate)(const table_source *t);
    /* One line for EXPLAIN: what is read, and after pruning by the filter. May be NULL. */
    void (*explain)(const table_source *t, const scan_request *r, sbuf *out);
    void (*release)(table_source *t); /* by whoever took refs to 0: frees it */
    /* Exact answers to all questions from metadata, texts in the arena: counts as T_INT64, else the column's type, null where there is
     * no value. False: not known without reading. May be NULL. The request's filter can have parameters that aren't bound yet. */
    bool (*metrics)(const table_source *t, const scan_request *r, uint32_t n, const table_metric *wanted, arena *a, datum *out);
} table_source_ops;

struct table_source {
    const table_source_ops *ops;
    _Atomic int refs;
    row_schema schema;     /* names as stored */
    str name;              /* for messages and EXPLAIN */
};

typedef struct scan_ops {
    /* Per-worker state. */
    fz_status (*local_open)(scan *s, void **local, fz_error *err);
    void (*local_close)(scan *s, void *local);
    /* Called by many workers at once, each with its own local. Morsels are handed out in ascending
     * order, best from 0 without gaps (an ordered result holds back what follows a gap until its window is full);
     * the batches of one morsel come from one worker, in ascending seq, followed by SOURCE_MORSEL_END. `out` was initialised and is reset by the callee first; it stays valid until the worker's next call. */
    fz_status (*next)(scan *s, void *local, task *waiter, batch *out, source_result *r, fz_error *err);
    void (*close)(scan *s);
} scan_ops;

struct scan {
    const scan_ops *ops;
    int max_workers; /* how many workers make sense, ≥ 1 */
};

/* ---- where rows go ---- */

typedef struct sink sink;
typedef struct sink_ops {
    /* Batches in source order, one call at a time (from changing threads). Borrowed: batch_hold to keep. */
    fz_status (*consume)(sink *s, const batch *b, fz_error *err);
} sink_ops;
struct sink {
    const sink_ops *ops;
};

#endif
