/*
 * task.h: the task pool, cancellation and progress.
 *
 * A task is a step function that the pool calls until it says DONE. A step is short (a morsel,
 * some milliseconds) and never blocks on the network: a task that waits for a completion
 * returns PARK and is queued again by task_wake().
 *
 *            submit              step returns YIELD
 *   IDLE ───────────> QUEUED ──> RUNNING ─────────> QUEUED
 *     ^                 ^           │ PARK (no wake meanwhile)
 *     │ DONE            │ wake      v
 *   RUNNING             └──────── PARKED          a wake while RUNNING makes PARK act as YIELD
 *
 * A job groups the tasks of one statement: it has the cancel flag, keeps the first error, and
 * is waited for. The waiting thread runs queued tasks of its own job itself, so a pool of 0
 * threads works (everything then runs in the waiting thread) and small statements start none.
 *
 * Rules. A task belongs to one job. The pool doesn't touch it after a step that returned DONE,
 * nor after drop: either may free the task as its last act. A step that fails calls job_fail()
 * and returns DONE; the first failure of a job wins, sets the
 * cancel flag, and the job's queued and parked tasks get no further step: their `drop` is
 * called instead (where they release what they hold). Pool threads are created when a job has
 * a second task; its only task is left to the thread that waits for it.
 *
 * A wake must not reach a task that has ended. What completes a request sets its flag and calls
 * task_wake() under one lock, and the step looks at the flag under that lock; drop takes the
 * request's flag or callback away under it too. Memory that a request in flight still writes to
 * is owned by the request.
 */
#ifndef BASE_TASK_H
#define BASE_TASK_H

#include "base/error.h"
#include "base/mem.h"

#include <pthread.h>

typedef enum task_result { TASK_DONE, TASK_YIELD, TASK_PARK } task_result;

typedef struct pool pool;
typedef struct job job;
typedef struct task task;

struct task {
    task_result (*step)(task *t); /* called by one thread at a time */
    void (*drop)(task *t);        /* instead of a step once the job is cancelled; may be NULL */
    job *j;                       /* set by task_submit */
    task *next, *prev;            /* list of queued or of parked tasks, the pool's own */
    _Atomic int state;            /* the pool's own */
};

/* threads: workers beside the waiting thread; <0: the CPUs this process may use (affinity and
 * cgroup quota respected) minus one. No thread starts before it is needed. */
pool *pool_create(mem *m, int threads);
void pool_destroy(pool *p); /* no job may be alive */
int pool_width(const pool *p); /* workers + 1: how many tasks can run at once */
int cpu_count(void);           /* CPUs this process may use, at least 1 */

/* Progress of one job, read by anybody at any time. */
typedef struct progress {
    _Atomic int64_t bytes_done, bytes_total; /* of the input; total 0: unknown */
    _Atomic int64_t rows_done;
} progress;

struct job {
    pool *p;
    mem *m;                        /* what the job's work is charged to */
    _Atomic bool cancelled;
    const _Atomic bool *interrupt; /* the caller's cancel flag, polled with ours; may be NULL */
    progress prog;
    /* below: task.c's own */
    pthread_cond_t change;         /* a task was queued or ended; goes with the pool's lock */
    int sleepers, takers;          /* threads that wait for it; those in job_wait */
    int outstanding;               /* tasks between submit and DONE */
    struct task_list { task *head, *tail; } queued, parked;
    job *next, *prev;              /* the pool's list of jobs that have queued tasks */
    bool listed, failed;
    fz_error error;
};

fz_status job_init(job *j, pool *p, mem *m, const _Atomic bool *interrupt);
void job_destroy(job *j);
void task_submit(job *j, task *t);
/* Queues a parked task; allowed from any thread, at any time between submit and DONE. One that
 * is queued already stays where it is; one that runs will be queued again if it parks. So a
 * step may run without cause, as with a condition variable: it looks again at what it waits for. */
void task_wake(task *t);
/* Keeps the first error of the job and cancels the rest. From any thread. */
void job_fail(job *j, const fz_error *err);
/* Whether steps should stop: a failure, a cancel or the caller's interrupt. Cheap. */
static inline bool job_stopped(const job *j)
{
    return atomic_load_explicit(&j->cancelled, memory_order_relaxed) ||
           (j->interrupt && atomic_load_explicit(j->interrupt, memory_order_relaxed));
}
/* Runs tasks until none of the job is left. Returns the first error, FZ_CANCELLED if the
 * interrupt stopped it, else FZ_OK. */
fz_status job_wait(job *j, fz_error *err);

/* For a thread that waits for something else than the job's end, as the next batch of a result: runs one
 * step of a queued task of the job; where none is queued it sleeps until one is, or ends, unless ready(ctx) says
 * that there is nothing to wait for (called with the pool's lock: it takes none itself). What makes it true has
 * to happen inside a step that then yields or ends. False: no task is left. */
bool job_help(job *j, bool (*ready)(void *ctx), void *ctx);

/* Calls fn(ctx, i, err) for i in [0,n), on up to pool_width threads, in no fixed order; waits;
 * returns the first failure, after which no further i is begun, and FZ_CANCELLED if the job was
 * stopped before all were. Doesn't fail the job: that is the caller's to decide. Runs inline for
 * n == 1. May be nested inside a step, and called without job_wait. */
fz_status job_for(job *j, size_t n, fz_status (*fn)(void *ctx, size_t i, fz_error *err),
                  void *ctx, fz_error *err);

#endif
