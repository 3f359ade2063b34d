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
 * Rules. A task belongs to one job; its memory outlives the job_wait() that ends it. A step
 * that fails returns a status through task_fail(); the first failure of a job wins, sets the
 * cancel flag, and the job's tasks that are queued after that get no further step: their
 * `drop` is called instead (where they release what they hold). Pool threads are created on
 * the first submit that finds work for them.
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
    task *next;                   /* queue link, the pool's own */
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
    pthread_mutex_t lock;
    pthread_cond_t idle;
    int outstanding;
    fz_error error;
};

fz_status job_init(job *j, pool *p, mem *m, const _Atomic bool *interrupt);
void job_destroy(job *j);
void task_submit(job *j, task *t);
/* Queues a parked task; allowed from any thread, at any time between submit and DONE. */
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

/* Calls fn(ctx, i, err) for i in [0,n), on up to pool_width threads, in no fixed order; waits;
 * returns the first failure. Runs inline for n == 1. May be nested inside a step. */
fz_status job_for(job *j, size_t n, fz_status (*fn)(void *ctx, size_t i, fz_error *err),
                  void *ctx, fz_error *err);

#endif
