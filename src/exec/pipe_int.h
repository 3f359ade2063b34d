/*
 * pipe_int.h: pipelines: how a plan runs. Private to exec/.
 *
 * A plan is cut at the operators that need all of their input (aggregate, sort, the build side of a
 * join, an inner LIMIT). Each piece is a pipeline:
 *
 *     psource ──batch──> op ──> op ──> psink          one chain per branch of a UNION ALL
 *
 * It is run by up to as many workers as the pool is wide; each pulls from the source and pushes through
 * the operators into the sink, with a state of its own (local) in each. Pipelines run one after the
 * other, in the order in which they depend on each other; the worker that ends last finishes the sink
 * and goes on as the first worker of the next pipeline.
 */
#ifndef EXEC_PIPE_INT_H
#define EXEC_PIPE_INT_H

#include "exec/plan.h"

typedef struct worker worker;
typedef struct pipeline pipeline;
typedef struct psource psource;
typedef struct psink psink;
typedef struct op op;

typedef struct psource_ops {
    /* Before the workers start; how many make sense. */
    fz_status (*start)(psource *s, query *q, int *workers, fz_error *err);
    fz_status (*local_open)(psource *s, void **local, fz_error *err);
    /* As scan_ops.next. */
    fz_status (*next)(psource *s, void *local, task *waiter, batch *out, source_result *r, fz_error *err);
    void (*local_close)(psource *s, void *local);
    void (*close)(psource *s); /* frees s */
    /* Of a source that operators of earlier branches fill: whether it will have anything, known when the pipeline starts. If so,
     * it is read once all workers are through with the branches before it. NULL: an ordinary source. */
    bool (*fed)(psource *s);
} psource_ops;
struct psource {
    const psource_ops *ops;
    bool counts; /* its rows are the statement's progress */
};

typedef struct op_ops {
    fz_status (*local_open)(op *o, query *q, void **local, fz_error *err);
    /* Hands what comes of b to worker_push(w, next, …), any number of times. */
    fz_status (*push)(op *o, void *local, worker *w, uint32_t next, const batch *b, fz_error *err);
    void (*local_close)(op *o, void *local);
    void (*close)(op *o);
} op_ops;
struct op {
    const op_ops *ops;
    mem *m;
};

typedef struct psink_ops {
    fz_status (*start)(psink *s, query *q, uint32_t workers, fz_error *err); /* may be NULL */
    fz_status (*local_open)(psink *s, uint32_t index, void **local, fz_error *err);
    fz_status (*push)(psink *s, void *local, worker *w, const batch *b, fz_error *err);
    /* Ordered sinks only: a morsel is complete; a worker is through with a branch. May be NULL. */
    fz_status (*morsel_end)(psink *s, worker *w, uint64_t morsel, fz_error *err);
    fz_status (*branch_end)(psink *s, worker *w, fz_error *err);
    /* Whether the worker has to wait before it pulls more; it is woken. May be NULL. */
    bool (*full)(psink *s, worker *w);
    /* Once, by the last worker. */
    fz_status (*finish)(psink *s, query *q, fz_error *err);
    void (*local_close)(psink *s, void *local);
    void (*close)(psink *s);
} psink_ops;
struct psink { const psink_ops *ops; };

typedef struct branch { psource *src; op **ops; uint32_t nops, capops; } branch;

struct worker {
    task t; /* first */
    query *q;
    pipeline *p;
    uint32_t index;
    uint32_t at;          /* the branch it works on */
    bool src_open;
    void *src_local;      /* of branch `at` */
    void **op_locals;     /* of branch `at` */
    void *sink_local;
    bool sink_open;
    batch in;
    uint64_t morsel;      /* of the last batch; branch in the upper 16 bits */
    bool morsel_open;     /* that morsel hasn't ended */
    bool waiting;         /* ordered sink: parked for room */
    bool admitted;        /* to branch `at`, whose source others fill */
};

struct pipeline {
    branch *branches;
    uint32_t nbranches, capbranches;
    psink *sink;
    worker *workers;
    uint32_t nworkers;
    _Atomic uint32_t active;
    _Atomic bool stop;    /* no more rows are needed */
    /* waiting for the workers that fill a branch's source */
    bool fed, lock_made;
    pthread_mutex_t lock;
    uint32_t *left;       /* workers through with each branch */
    worker **parked;
    uint32_t nparked;
};

struct query {
    const plan *p;
    exec_options o;
    mem m;                /* counts this query's memory, up to o.m's limits */
    arena mem;
    job j;
    pipeline **pipes;     /* in running order; the last one makes the result */
    uint32_t npipes, cappipes, now;
    bool started, built;
    psink *out;           /* of the last pipeline */
    batch current;
    bool has_current;
    const query_maker *maker; /* or NULL; set before the first worker starts */
    fz_error failed;      /* of the last query_next */
};

/* ---- pipe.c ---- */
fz_status worker_push(worker *w, uint32_t next, const batch *b, fz_error *err);
/* Closes sources, operators and the sink. */
void pipeline_free(pipeline *p);
/* Whether the workers gather before this branch. */
static inline bool branch_gathers(const pipeline *p, uint32_t at)
{
    psource *s = at < p->nbranches ? p->branches[at].src : NULL;
    return s && s->ops->fed && s->ops->fed(s);
}
#define MORSEL_KEY(branch, morsel) ((uint64_t)(branch) << 48 | ((morsel) & 0xffffffffffffull))

/* ---- build.c: plan → pipelines ---- */
fz_status query_build(query *q, fz_error *err);

/* ---- operators ---- */
fz_status op_filter_new(query *q, const expr *e, op **out, fz_error *err);
fz_status op_project_new(query *q, const plan *p, op **out, fz_error *err);

fz_status source_scan_new(query *q, const plan *p, bool *filtered, psource **out, fz_error *err);
fz_status source_values_new(query *q, const plan *p, psource **out, fz_error *err);

/* Each makes a sink, and the source that reads its result once it is finished (the source owns the sink's data, or
 * shares it until the query is closed). */
/* nvalues > 0: sources of distinct values, readable once the sink is finished, whose rows go to `more`, each a branch of one
 * pipeline, before src is read. */
fz_status agg_new(query *q, const plan *p, psink **sink, psource **src, psink **more, psource ***values, uint32_t *nvalues, fz_error *err);
fz_status sort_new(query *q, const plan *p, psink **sink, psource **src, fz_error *err);
fz_status limit_new(query *q, const plan *p, psink **sink, psource **src, fz_error *err);
/* The build side's sink, the probe side's operator, and the source of what that one puts aside: a branch behind those with the
 * operator, which begins with the operator too. */
fz_status join_new(query *q, const plan *p, bool build_left, psink **sink, op **probe, psource **late, fz_error *err);

/* ---- ordered.c: batches in source order ---- */
/* sink NULL: batches are kept for output_next. limit -1: all. */
fz_status output_new(query *q, sink *to, int64_t limit, int64_t offset, psink **out, fz_error *err);
/* Moves the next ready batch to `out` (initialised); false: none. */
bool output_next(psink *s, batch *out, void **made); /* one of the two is NULL */
bool output_ready(void *s);
bool output_complete(const psink *s); /* nothing will follow what is ready */
bool output_ended(const psink *s);    /* … and the workers have ended */

#endif
