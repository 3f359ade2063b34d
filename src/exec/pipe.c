/*
 * pipe.c: runs the pipelines of a query (pipe_int.h) as tasks of its job, and the public interface of
 * queries (plan.h).
 *
 * A worker is a task. A step pulls a few batches and pushes them through; it yields between, and after a
 * batch for query_next. With one worker everything runs in the calling thread: the first task of a job
 * wakes no other thread, and the task that ends a pipeline starts the next one.
 *
 * The first error goes to the job, which drops all other tasks. What pipelines hold (states, hash tables,
 * sources) is released at query_close, when no task is left.
 */
#include "exec/pipe_int.h"

#define STEP_BATCHES 16

static task_result worker_step(task *t);

fz_status worker_push(worker *w, uint32_t next, const batch *b, fz_error *err)
{
    branch *br = &w->p->branches[w->at];
    if ((b->sel ? b->nsel : b->nrows) == 0)
        return FZ_OK;
    if (next < br->nops)
        return br->ops[next]->ops->push(br->ops[next], w->op_locals[next], w, next + 1, b, err);
    return w->p->sink->ops->push(w->p->sink, w->sink_local, w, b, err);
}

/* ---- a worker and its branches ---- */

static void branch_leave(worker *w)
{
    branch *br = &w->p->branches[w->at];
    for (uint32_t i = 0; w->op_locals && i < br->nops; i++)
        if (w->op_locals[i]) {
            br->ops[i]->ops->local_close(br->ops[i], w->op_locals[i]);
            w->op_locals[i] = NULL;
        }
    if (w->src_open)
        br->src->ops->local_close(br->src, w->src_local);
    w->src_open = false;
    w->src_local = NULL;
}

static fz_status branch_enter(worker *w, uint32_t at, fz_error *err)
{
    w->at = at;
    branch *br = &w->p->branches[at];
    w->op_locals = mem_zalloc(&w->q->m, (br->nops + 1) * sizeof *w->op_locals);
    if (!w->op_locals)
        return error_nomem(err);
    TRY(br->src->ops->local_open(br->src, &w->src_local, err));
    w->src_open = true;
    for (uint32_t i = 0; i < br->nops; i++)
        TRY(br->ops[i]->ops->local_open(br->ops[i], w->q, &w->op_locals[i], err));
    return FZ_OK;
}

static void branch_free(worker *w)
{
    if (!w->op_locals)
        return;
    branch_leave(w);
    mem_free(&w->q->m, w->op_locals, (w->p->branches[w->at].nops + 1) * sizeof *w->op_locals);
    w->op_locals = NULL;
}

/* ---- sources that earlier branches fill ---- */

/* Parks a worker until all are through with the branches before its own. */
static bool worker_gathers(worker *w)
{
    pipeline *p = w->p;
    if (w->admitted || w->at == 0 || !branch_gathers(p, w->at))
        return false;
    pthread_mutex_lock(&p->lock);
    w->admitted = p->left[w->at - 1] == p->nworkers;
    bool there = w->admitted;
    for (uint32_t i = 0; i < p->nparked && !there; i++) /* woken by something else */
        there = p->parked[i] == w;
    if (!there)
        p->parked[p->nparked++] = w;
    pthread_mutex_unlock(&p->lock);
    return !w->admitted;
}

/* The last one through with a branch wakes those who wait behind it. */
static void branch_left(worker *w)
{
    pipeline *p = w->p;
    if (!p->fed)
        return;
    pthread_mutex_lock(&p->lock);
    p->left[w->at]++;
    uint32_t n = p->left[w->at] == p->nworkers ? p->nparked : 0;
    if (n)
        p->nparked = 0;
    for (uint32_t i = 0; i < n; i++)
        task_wake(&p->parked[i]->t); /* they can't end before they get the lock */
    pthread_mutex_unlock(&p->lock);
}

static fz_status pipeline_start(query *q, uint32_t number, fz_error *err);

/* The last worker of a pipeline: finish, and go on with the next. */
static fz_status pipeline_end(query *q, fz_error *err)
{
    pipeline *p = q->pipes[q->now];
    TRY(p->sink->ops->finish(p->sink, q, err));
    for (uint32_t i = 0; i < p->nworkers; i++)
        batch_reset(&p->workers[i].in);
    if (q->now + 1 == q->npipes)
        return FZ_OK;
    return pipeline_start(q, ++q->now, err);
}

/* Done with all branches. */
static task_result worker_end(worker *w)
{
    query *q = w->q;
    fz_error e;
    memset(&e, 0, sizeof e);
    if (atomic_fetch_sub_explicit(&w->p->active, 1, memory_order_acq_rel) != 1)
        return TASK_DONE;
    if (pipeline_end(q, &e) != FZ_OK)
        job_fail(&q->j, &e);
    return TASK_DONE;
}

static fz_status worker_batch(worker *w, fz_error *err)
{
    w->morsel = MORSEL_KEY(w->at, w->in.morsel);
    w->morsel_open = true;
    if (w->p->branches[w->at].src->counts)
        atomic_fetch_add_explicit(&w->q->j.prog.rows_done, w->in.nrows, memory_order_relaxed);
    return worker_push(w, 0, &w->in, err);
}

static fz_status worker_branch_end(worker *w, bool *done, fz_error *err)
{
    const psink_ops *s = w->p->sink->ops;
    *done = false;
    branch_free(w);
    for (;;) {
        if (s->branch_end)
            TRY(s->branch_end(w->p->sink, w, err));
        branch_left(w);
        w->admitted = false;
        if (w->at + 1 == w->p->nbranches)
            break;
        psource *next = w->p->branches[w->at + 1].src;
        if (!next->ops->fed || next->ops->fed(next))
            return branch_enter(w, w->at + 1, err);
        w->at++; /* it has nothing */
    }
    *done = true;
    return FZ_OK;
}

static fz_status worker_run(worker *w, task_result *r, bool *done, fz_error *err)
{
    pipeline *p = w->p;
    const psink_ops *s = p->sink->ops;
    *done = false;
    if (!w->sink_open) {
        fz_status st = s->local_open(p->sink, w->index, &w->sink_local, err);
        w->sink_open = st == FZ_OK || w->sink_local; /* one that failed half way leaves what it has to local_close */
        TRY(st);
        TRY(branch_enter(w, 0, err));
    }
    for (int i = 0; i < STEP_BATCHES && !job_stopped(&w->q->j); i++) {
        source_result got = SOURCE_END;
        bool stop = atomic_load_explicit(&p->stop, memory_order_relaxed);
        if (!stop && s->full && s->full(p->sink, w)) {
            *r = TASK_PARK;
            return FZ_OK;
        }
        if (!stop && worker_gathers(w)) {
            *r = TASK_PARK;
            return FZ_OK;
        }
        if (!stop) {
            psource *src = p->branches[w->at].src;
            TRY(src->ops->next(src, w->src_local, &w->t, &w->in, &got, err));
        }
        switch (got) {
        case SOURCE_BATCH:
            TRY(worker_batch(w, err));
            break;
        case SOURCE_MORSEL_END:
            w->morsel_open = false;
            if (s->morsel_end)
                TRY(s->morsel_end(p->sink, w, MORSEL_KEY(w->at, w->in.morsel), err));
            break;
        case SOURCE_BLOCKED: *r = TASK_PARK; return FZ_OK;
        case SOURCE_END:
            w->morsel_open = false;
            TRY(worker_branch_end(w, done, err));
            if (*done)
                return FZ_OK;
            break;
        }
        /* Who waits for the result is woken by a step that yields: never park behind something that was delivered. */
        if (w->q->out == p->sink && output_ready(p->sink))
            break;
    }
    *r = TASK_YIELD;
    return FZ_OK;
}

static task_result worker_step(task *t)
{
    worker *w = (worker *)t;
    task_result r = TASK_YIELD;
    bool done;
    fz_error e;
    memset(&e, 0, sizeof e);
    fz_status st = worker_run(w, &r, &done, &e);
    if (st != FZ_OK) {
        e.status = st;
        job_fail(&w->q->j, &e);
        return TASK_DONE;
    }
    return done ? worker_end(w) : r;
}

/* ---- pipelines ---- */

static fz_status pipeline_start(query *q, uint32_t number, fz_error *err)
{
    pipeline *p = q->pipes[number];
    int width = pool_width(q->o.p), n = 1;
    for (uint32_t i = 0; i < p->nbranches; i++) {
        int want = 1;
        TRY(p->branches[i].src->ops->start(p->branches[i].src, q, &want, err));
        if (want > n)
            n = want;
    }
    if (n > width)
        n = width;
    p->workers = ARENA_ARRAY(&q->mem, worker, n);
    if (!p->workers)
        return error_nomem(err);
    for (int i = 0; i < n; i++) {
        p->workers[i] = (worker){.t = {.step = worker_step}, .q = q, .p = p, .index = (uint32_t)i};
        batch_init(&p->workers[i].in, &q->m);
    }
    p->nworkers = (uint32_t)n;
    p->left = ARENA_ARRAY(&q->mem, uint32_t, p->nbranches + 1);
    p->parked = ARENA_ARRAY(&q->mem, worker *, n);
    if (!p->left || !p->parked || pthread_mutex_init(&p->lock, NULL) != 0)
        return error_nomem(err);
    p->lock_made = true;
    for (uint32_t i = 0; i < p->nbranches; i++)
        p->fed |= branch_gathers(p, i);
    atomic_store(&p->active, (uint32_t)n);
    if (p->sink->ops->start)
        TRY(p->sink->ops->start(p->sink, q, (uint32_t)n, err));
    for (int i = 0; i < n; i++)
        task_submit(&q->j, &p->workers[i].t);
    return FZ_OK;
}

static void pipeline_close(pipeline *p)
{
    for (uint32_t i = 0; i < p->nworkers; i++) {
        branch_free(&p->workers[i]);
        if (p->workers[i].sink_open)
            p->sink->ops->local_close(p->sink, p->workers[i].sink_local);
        batch_free(&p->workers[i].in);
    }
}

void pipeline_free(pipeline *p)
{
    if (p->lock_made)
        pthread_mutex_destroy(&p->lock);
    for (uint32_t b = 0; b < p->nbranches; b++) {
        for (uint32_t i = 0; i < p->branches[b].nops; i++) {
            op *o = p->branches[b].ops[i];
            bool shared = false; /* the operators behind a UNION ALL are in each branch */
            for (uint32_t c = 0; c < b && !shared; c++)
                for (uint32_t k = 0; k < p->branches[c].nops && !shared; k++)
                    shared = p->branches[c].ops[k] == o;
            if (!shared)
                o->ops->close(o);
        }
        if (p->branches[b].src)
            p->branches[b].src->ops->close(p->branches[b].src);
    }
    if (p->sink)
        p->sink->ops->close(p->sink);
}

/* ---- queries ---- */

fz_status query_open(const plan *p, const exec_options *o, query **out, fz_error *err)
{
    *out = NULL;
    query *q = mem_zalloc(o->m, sizeof *q);
    if (!q)
        return error_nomem(err);
    q->p = p;
    q->o = *o;
    mem_init(&q->m, o->m, NULL, 0);
    arena_init(&q->mem, &q->m);
    batch_init(&q->current, &q->m);
    if (job_init(&q->j, o->p, &q->m, o->interrupt) != FZ_OK) {
        mem_free(o->m, q, sizeof *q);
        return error_nomem(err);
    }
    *out = q;
    return FZ_OK;
}

job *query_job(query *q) { return &q->j; }

static fz_status query_start(query *q, sink *s, fz_error *err)
{
    if (q->started)
        return error_set(err, FZ_INVALID, "the query runs already");
    q->started = true;
    int64_t limit = -1, offset = 0;
    if (q->p->kind == PLAN_LIMIT) {
        limit = q->p->limit.limit;
        offset = q->p->limit.offset;
    }
    TRY(output_new(q, s, limit, offset, &q->out, err));
    TRY(query_build(q, err));
    q->now = 0;
    return pipeline_start(q, 0, err);
}

fz_status query_run(query *q, sink *s, fz_error *err)
{
    fz_status st = query_start(q, s, err);
    if (st != FZ_OK) {
        job_fail(&q->j, err);
        job_wait(&q->j, NULL);
        return st;
    }
    return job_wait(&q->j, err);
}

static fz_status query_failed(query *q, fz_error *err)
{
    fz_status st = job_wait(&q->j, &q->failed);
    if (st != FZ_OK && err)
        *err = q->failed;
    return st;
}

static fz_status next(query *q, batch *out, void **made, bool *end, fz_error *err)
{
    *end = false;
    if (!q->started) {
        fz_error e;
        memset(&e, 0, sizeof e);
        fz_status st = query_start(q, NULL, &e);
        if (st != FZ_OK) {
            e.status = st;
            job_fail(&q->j, &e);
        }
    }
    for (;;) {
        if (job_stopped(&q->j))
            return query_failed(q, err);
        if (q->out && output_next(q->out, out, made))
            return FZ_OK;
        if (q->out && output_complete(q->out)) {
            if (output_next(q->out, out, made)) /* what came between the two looks */
                return FZ_OK;
            if (job_stopped(&q->j))
                return query_failed(q, err);
            *end = true;
            return FZ_OK;
        }
        if (!job_help(&q->j, output_ready, q->out) && !output_ready(q->out)) {
            TRY(query_failed(q, err));
            return error_set(err, FZ_INTERNAL, "a query ended without its result");
        }
    }
}

fz_status query_next(query *q, batch *out, bool *end, fz_error *err)
{
    return next(q, out, NULL, end, err);
}

fz_status query_next_made(query *q, const query_maker *mk, void **made, fz_error *err)
{
    bool end;
    *made = NULL;
    if (q->maker != mk) /* it is set before the workers begin, who read it */
        q->maker = mk;
    return next(q, NULL, made, &end, err);
}

void query_close(query *q)
{
    if (!q)
        return;
    if (q->started) {
        fz_error e;
        error_set(&e, FZ_CANCELLED, "cancelled");
        if (!q->out || !output_ended(q->out))
            job_fail(&q->j, &e);
        job_wait(&q->j, NULL);
    }
    for (uint32_t i = q->npipes; i-- > 0;)
        pipeline_close(q->pipes[i]);
    for (uint32_t i = q->npipes; i-- > 0;)
        pipeline_free(q->pipes[i]);
    batch_free(&q->current);
    job_destroy(&q->j);
    arena_free(&q->mem);
    mem *m = q->o.m;
    mem_free(m, q, sizeof *q);
}
