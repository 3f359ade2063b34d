/*
 * task.c: see task.h.
 *
 * One lock per pool guards everything but the cancel flags: the state of each task, the queues
 * and the counts. A step runs without it. Steps are morsels of milliseconds, so the lock is
 * taken some thousand times a second, and one lock makes every transition easy to see.
 *
 * Each job has its own queue, and the pool a ring of the jobs that have something queued:
 * workers take one task of each job in turn, a waiting thread only tasks of its own.
 *
 * Invariants (under the lock)
 *   - a task is in its job's `queued` list exactly when QUEUED, in `parked` exactly when PARKED
 *   - a job is in the pool's ring exactly when its `queued` isn't empty
 *   - outstanding = tasks that are QUEUED, RUNNING, WOKEN or PARKED; at 0 the waiter may free
 *     the job: nothing touches it after the unlock that follows
 *   - a cancelled job has no parked task
 */
#include "base/task.h"

#include <signal.h>
#include <time.h>

enum { IDLE, QUEUED, RUNNING, WOKEN, PARKED }; /* WOKEN: RUNNING, and queued again if it parks */

#define POLL_MS         20 /* how late a caller's interrupt may be seen while nothing runs */
#define FOR_HELPERS_MAX 63
#define THREADS_MAX     1024

struct pool {
    pthread_mutex_t lock;
    pthread_cond_t work; /* idle workers wait for it */
    mem *m;
    job *jobs;           /* ring of jobs with queued tasks; the next one to serve */
    int idle, called;    /* workers that wait; how many of them were signalled */
    int width_max;       /* workers that were asked for */
    int started, max;    /* max sinks where the system refuses more */
    bool stop;
    pthread_t threads[];
};

/* ---- lists ---- */

static void list_add(struct task_list *l, task *t)
{
    t->next = NULL;
    t->prev = l->tail;
    if (l->tail)
        l->tail->next = t;
    else
        l->head = t;
    l->tail = t;
}

static void list_remove(struct task_list *l, task *t)
{
    if (t->prev)
        t->prev->next = t->next;
    else
        l->head = t->next;
    if (t->next)
        t->next->prev = t->prev;
    else
        l->tail = t->prev;
    t->next = t->prev = NULL;
}

static void ring_add(pool *p, job *j) /* behind all others */
{
    if (p->jobs) {
        j->next = p->jobs;
        j->prev = p->jobs->prev;
        j->prev->next = j->next->prev = j;
    } else {
        p->jobs = j->next = j->prev = j;
    }
    j->listed = true;
}

static void ring_remove(pool *p, job *j)
{
    if (j->next == j) {
        p->jobs = NULL;
    } else {
        j->prev->next = j->next;
        j->next->prev = j->prev;
        if (p->jobs == j)
            p->jobs = j->next;
    }
    j->next = j->prev = NULL;
    j->listed = false;
}

static inline void state_set(task *t, int s) { atomic_store_explicit(&t->state, s, memory_order_relaxed); }
static inline int state_of(const task *t) { return atomic_load_explicit(&t->state, memory_order_relaxed); }

/* ---- queueing; all with the lock held ---- */

static void *worker_main(void *arg);
static task_result for_step(task *t);

/* A new worker, if one more is allowed. A failure to create it only costs parallelism. */
static void worker_start(pool *p)
{
    if (p->started >= p->max)
        return;
    sigset_t all, old;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old); /* inherited: signals are the program's own threads' */
    if (pthread_create(&p->threads[p->started], NULL, worker_main, p) == 0)
        p->started++;
    else
        p->max = p->started;
    pthread_sigmask(SIG_SETMASK, &old, NULL);
}

static void queue_add(pool *p, task *t)
{
    job *j = t->j;
    state_set(t, QUEUED);
    list_add(&j->queued, t);
    if (!j->listed)
        ring_add(p, j);
    if (j->sleepers)
        pthread_cond_broadcast(&j->change);
}

/* Has a worker look at the queues. */
static void worker_call(pool *p)
{
    if (p->idle > p->called) {
        p->called++;
        pthread_cond_signal(&p->work);
    } else {
        worker_start(p);
    }
}

static task *queue_take(pool *p, job *j)
{
    task *t = j->queued.head;
    if (!t)
        return NULL;
    list_remove(&j->queued, t);
    if (!j->queued.head)
        ring_remove(p, j);
    else if (p->jobs == j)
        p->jobs = j->next;
    return t;
}

/* Sets the cancel flag and queues what is parked, to be dropped. */
static void job_cancel(pool *p, job *j)
{
    atomic_store_explicit(&j->cancelled, true, memory_order_relaxed);
    for (task *t; (t = j->parked.head);) {
        list_remove(&j->parked, t);
        queue_add(p, t);
        worker_call(p);
    }
    if (j->sleepers)
        pthread_cond_broadcast(&j->change);
}

static void task_end(job *j)
{
    j->outstanding--;
    if (j->sleepers)
        pthread_cond_broadcast(&j->change);
}

/* Runs one step of a task that was taken from the queue. Entered and left with the lock. */
static void task_run(pool *p, task *t)
{
    job *j = t->j;
    state_set(t, RUNNING);
    if (job_stopped(j) && !atomic_load_explicit(&j->cancelled, memory_order_relaxed))
        job_cancel(p, j);
    bool drop = job_stopped(j), helper = t->step == for_step;
    pthread_mutex_unlock(&p->lock);
    task_result r = TASK_DONE;
    if (!drop)
        r = t->step(t);
    else if (t->drop)
        t->drop(t);
    pthread_mutex_lock(&p->lock);
    /* After DONE a task isn't touched: it may have freed itself. Only job_for's helpers stay
     * until their caller sees IDLE. */
    if (r == TASK_YIELD ||
        (r == TASK_PARK && (state_of(t) == WOKEN ||
                            atomic_load_explicit(&j->cancelled, memory_order_relaxed)))) {
        queue_add(p, t);
    } else if (r == TASK_PARK) {
        state_set(t, PARKED);
        list_add(&j->parked, t);
    } else {
        if (helper)
            state_set(t, IDLE);
        task_end(j);
    }
}

static void *worker_main(void *arg)
{
    pool *p = arg;
    pthread_mutex_lock(&p->lock);
    while (!p->stop) {
        if (p->jobs) {
            task_run(p, queue_take(p, p->jobs));
            continue;
        }
        p->idle++;
        pthread_cond_wait(&p->work, &p->lock);
        p->idle--;
        p->called -= p->called > 0;
    }
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

/* ---- the pool ---- */

pool *pool_create(mem *m, int threads)
{
    if (threads < 0)
        threads = cpu_count() - 1;
    if (threads > THREADS_MAX)
        threads = THREADS_MAX;
    pool *p = mem_zalloc(m, sizeof *p + (size_t)threads * sizeof p->threads[0]);
    if (!p)
        return NULL;
    p->m = m;
    p->max = p->width_max = threads;
    if (pthread_mutex_init(&p->lock, NULL) != 0)
        goto fail;
    if (pthread_cond_init(&p->work, NULL) != 0) {
        pthread_mutex_destroy(&p->lock);
        goto fail;
    }
    return p;
fail:
    mem_free(m, p, sizeof *p + (size_t)threads * sizeof p->threads[0]);
    return NULL;
}

void pool_destroy(pool *p)
{
    if (!p)
        return;
    pthread_mutex_lock(&p->lock);
    p->stop = true;
    pthread_cond_broadcast(&p->work);
    pthread_mutex_unlock(&p->lock);
    for (int i = 0; i < p->started; i++)
        pthread_join(p->threads[i], NULL);
    pthread_cond_destroy(&p->work);
    pthread_mutex_destroy(&p->lock);
    mem_free(p->m, p, sizeof *p + (size_t)p->width_max * sizeof p->threads[0]);
}

int pool_width(const pool *p) { return p->width_max + 1; }

/* ---- jobs ---- */

fz_status job_init(job *j, pool *p, mem *m, const _Atomic bool *interrupt)
{
    memset(j, 0, sizeof *j);
    j->p = p;
    j->m = m;
    j->interrupt = interrupt;
    pthread_condattr_t attr;
    if (pthread_condattr_init(&attr) != 0)
        return FZ_NOMEM;
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    int r = pthread_cond_init(&j->change, &attr);
    pthread_condattr_destroy(&attr);
    return r == 0 ? FZ_OK : FZ_NOMEM;
}

void job_destroy(job *j)
{
    pthread_cond_destroy(&j->change);
}

void task_submit(job *j, task *t)
{
    pool *p = j->p;
    pthread_mutex_lock(&p->lock);
    t->j = j;
    j->outstanding++;
    queue_add(p, t);
    if (j->outstanding > 1)
        worker_call(p);
    pthread_mutex_unlock(&p->lock);
}

void task_wake(task *t)
{
    job *j = t->j;
    pool *p = j->p;
    pthread_mutex_lock(&p->lock);
    if (state_of(t) == PARKED) {
        list_remove(&j->parked, t);
        queue_add(p, t);
        if (!j->takers) /* else the waiting thread takes it: queue_add woke it */
            worker_call(p);
    } else if (state_of(t) == RUNNING) {
        state_set(t, WOKEN);
    }
    pthread_mutex_unlock(&p->lock);
}

void job_fail(job *j, const fz_error *err)
{
    pool *p = j->p;
    pthread_mutex_lock(&p->lock);
    if (!j->failed) {
        j->failed = true;
        if (err && err->status != FZ_OK)
            j->error = *err;
        else
            error_set(&j->error, FZ_INTERNAL, "a task failed without saying why");
    }
    job_cancel(p, j);
    pthread_mutex_unlock(&p->lock);
}

/* Waits until a task of the job is queued or ends, and now and then for the interrupt's sake. */
static void job_sleep(job *j)
{
    pool *p = j->p;
    j->sleepers++;
    if (j->interrupt && !atomic_load_explicit(&j->cancelled, memory_order_relaxed)) {
        struct timespec until;
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_nsec += POLL_MS * 1000000l;
        until.tv_sec += until.tv_nsec / 1000000000l;
        until.tv_nsec %= 1000000000l;
        pthread_cond_timedwait(&j->change, &p->lock, &until);
    } else {
        pthread_cond_wait(&j->change, &p->lock);
    }
    j->sleepers--;
}

fz_status job_wait(job *j, fz_error *err)
{
    pool *p = j->p;
    pthread_mutex_lock(&p->lock);
    while (j->outstanding) {
        if (job_stopped(j) && !atomic_load_explicit(&j->cancelled, memory_order_relaxed))
            job_cancel(p, j);
        task *t = queue_take(p, j);
        if (t)
            task_run(p, t);
        else {
            j->takers++;
            job_sleep(j);
            j->takers--;
        }
    }
    fz_status st = FZ_OK;
    if (j->failed) {
        st = j->error.status;
        if (err)
            *err = j->error;
    } else if (job_stopped(j)) {
        st = error_set(err, FZ_CANCELLED, "cancelled");
    }
    pthread_mutex_unlock(&p->lock);
    return st;
}

bool job_help(job *j, bool (*ready)(void *ctx), void *ctx)
{
    pool *p = j->p;
    pthread_mutex_lock(&p->lock);
    if (job_stopped(j) && !atomic_load_explicit(&j->cancelled, memory_order_relaxed))
        job_cancel(p, j);
    task *t = queue_take(p, j);
    if (t) {
        task_run(p, t);
    } else if (j->outstanding && !ready(ctx)) {
        j->takers++;
        job_sleep(j);
        j->takers--;
    }
    bool left = j->outstanding > 0;
    pthread_mutex_unlock(&p->lock);
    return left;
}

/* ---- job_for ---- */

/* Shared by the caller and its helpers; lives on the caller's stack until the last has left. */
struct for_state {
    job *j;
    _Atomic size_t next;
    size_t n;
    fz_status (*fn)(void *ctx, size_t i, fz_error *err);
    void *ctx;
    _Atomic bool stop;
    bool failed; /* under the pool's lock, as error */
    fz_error error;
};

struct for_helper {
    task t; /* first, so that the task is the helper */
    struct for_state *s;
};

static void for_fail(struct for_state *s, fz_status st, const fz_error *e)
{
    pool *p = s->j->p;
    pthread_mutex_lock(&p->lock);
    if (!s->failed) {
        s->failed = true;
        s->error = *e;
        s->error.status = st;
    }
    pthread_mutex_unlock(&p->lock);
    atomic_store_explicit(&s->stop, true, memory_order_relaxed);
}

static void for_run(struct for_state *s)
{
    fz_error e = {0};
    while (!atomic_load_explicit(&s->stop, memory_order_relaxed)) {
        size_t i = atomic_fetch_add_explicit(&s->next, 1, memory_order_relaxed);
        if (i >= s->n)
            break;
        fz_status st;
        if (job_stopped(s->j))
            st = error_set(&e, FZ_CANCELLED, "cancelled");
        else
            st = s->fn(s->ctx, i, &e);
        if (st != FZ_OK)
            for_fail(s, st, &e);
    }
}

static task_result for_step(task *t)
{
    for_run(((struct for_helper *)t)->s);
    return TASK_DONE;
}

/* Takes back the helpers that nobody has begun and waits for the others. */
static void for_finish(struct for_state *s, struct for_helper *helpers, int count)
{
    job *j = s->j;
    pool *p = j->p;
    pthread_mutex_lock(&p->lock);
    for (int i = 0; i < count; i++) {
        task *t = &helpers[i].t;
        if (state_of(t) == QUEUED) {
            list_remove(&j->queued, t);
            if (!j->queued.head)
                ring_remove(p, j);
            state_set(t, IDLE);
            task_end(j);
        }
        while (state_of(t) != IDLE)
            job_sleep(j);
    }
    pthread_mutex_unlock(&p->lock);
}

fz_status job_for(job *j, size_t n, fz_status (*fn)(void *ctx, size_t i, fz_error *err), void *ctx,
                  fz_error *err)
{
    struct for_helper helpers[FOR_HELPERS_MAX];
    struct for_state s = {.j = j, .n = n, .fn = fn, .ctx = ctx};
    int count = pool_width(j->p) - 1;
    if (count > FOR_HELPERS_MAX)
        count = FOR_HELPERS_MAX;
    if (n <= 1)
        count = 0;
    else if ((size_t)count > n - 1)
        count = (int)(n - 1);
    if (count) {
        pool *p = j->p;
        pthread_mutex_lock(&p->lock);
        for (int i = 0; i < count; i++) {
            helpers[i] = (struct for_helper){.t = {.step = for_step, .j = j}, .s = &s};
            j->outstanding++;
            queue_add(p, &helpers[i].t);
            worker_call(p);
        }
        pthread_mutex_unlock(&p->lock);
    }
    for_run(&s);
    if (count)
        for_finish(&s, helpers, count);
    if (s.failed) {
        if (err)
            *err = s.error;
        return s.error.status;
    }
    return FZ_OK;
}
