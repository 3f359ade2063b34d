/* The task pool: states of a task, failure, cancel, nesting; run under the thread sanitizer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/task.h"

#include <signal.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

static const int widths[] = {0, 1, 3};
#define EACH_WIDTH(p)                                                                      \
    for (unsigned w_ = 0; w_ < sizeof widths / sizeof widths[0]; w_++)                     \
        for (pool *p = pool_create(NULL, widths[w_]); p; pool_destroy(p), p = NULL)

static void nap(long us) { nanosleep(&(struct timespec){0, us * 1000}, NULL); }

/* ---- counting ---- */

typedef struct counter {
    task t;
    int left;            /* steps to go */
    _Atomic int *inside; /* steps of this task running now: must stay at 1 */
    _Atomic int own;
    _Atomic int *total;
    int drops;
} counter;

static task_result count_step(task *t)
{
    counter *c = (counter *)t;
    assert_int_equal(atomic_fetch_add(&c->own, 1), 0);
    atomic_fetch_add(c->total, 1);
    atomic_fetch_sub(&c->own, 1);
    return --c->left > 0 ? TASK_YIELD : TASK_DONE;
}
static void count_drop(task *t) { ((counter *)t)->drops++; }

static void every_step_runs_once(void **state)
{
    EACH_WIDTH(p) {
        assert_int_equal(pool_width(p), widths[w_] + 1);
        counter c[100];
        _Atomic int total = 0;
        job j;
        fz_error e;
        assert_int_equal(job_init(&j, p, NULL, NULL), FZ_OK);
        for (int i = 0; i < 100; i++) {
            c[i] = (counter){.t = {.step = count_step, .drop = count_drop}, .left = i % 7 + 1, .total = &total};
            task_submit(&j, &c[i].t);
        }
        assert_int_equal(job_wait(&j, &e), FZ_OK);
        int expect = 0;
        for (int i = 0; i < 100; i++) {
            expect += i % 7 + 1;
            assert_int_equal(c[i].left, 0);
            assert_int_equal(c[i].drops, 0);
        }
        assert_int_equal(total, expect);
        /* a job can be used again, and an empty one waits for nothing */
        assert_int_equal(job_wait(&j, &e), FZ_OK);
        c[0].left = 3;
        task_submit(&j, &c[0].t);
        assert_int_equal(job_wait(&j, &e), FZ_OK);
        assert_int_equal(total, expect + 3);
        job_destroy(&j);
    }
}

static task_result self_step(task *t)
{
    pthread_t *seen = (pthread_t *)(void *)((char *)t + sizeof *t);
    *seen = pthread_self();
    return TASK_DONE;
}

static void a_single_task_stays_with_the_waiter(void **state)
{
    pool *p = pool_create(NULL, 3);
    struct { task t; pthread_t seen; } s = {.t = {.step = self_step}};
    assert_ptr_equal((char *)&s.seen, (char *)&s.t + sizeof s.t);
    job j;
    job_init(&j, p, NULL, NULL);
    for (int i = 0; i < 50; i++) {
        task_submit(&j, &s.t);
        assert_int_equal(job_wait(&j, NULL), FZ_OK);
        assert_true(pthread_equal(s.seen, pthread_self()));
    }
    job_destroy(&j);
    pool_destroy(p);
}

/* ---- park and wake ---- */

/* A request that another thread completes; flag and wake under one lock, as task.h says. */
typedef struct parker {
    task t;
    pthread_mutex_t lock;
    bool pending, complete;
    int rounds, parks;
} parker;

#define PARKERS 8
static struct device {
    pthread_t thread;
    _Atomic bool stop;
    parker *clients;
    unsigned seed;
} device;

static task_result park_step(task *t)
{
    parker *k = (parker *)t;
    task_result r;
    pthread_mutex_lock(&k->lock);
    if (k->complete) {
        k->complete = false;
        k->rounds--;
    }
    if (k->rounds == 0) {
        r = TASK_DONE;
    } else {
        k->parks += !k->pending; /* a wake may come without cause */
        k->pending = true;
        r = TASK_PARK;
    }
    pthread_mutex_unlock(&k->lock);
    if (r == TASK_PARK && k->rounds % 3 == 0)
        nap(20); /* the wake often comes before the step has returned */
    return r;
}

static void *device_main(void *arg)
{
    struct device *d = arg;
    unsigned seed = d->seed;
    while (!atomic_load(&d->stop)) {
        for (int i = 0; i < PARKERS; i++) {
            parker *k = &d->clients[i];
            pthread_mutex_lock(&k->lock);
            if (k->pending) {
                k->pending = false;
                k->complete = true;
                task_wake(&k->t);
                if ((seed = seed * 1103515245 + 12345) >> 16 & 1)
                    task_wake(&k->t); /* a second wake is harmless */
            }
            pthread_mutex_unlock(&k->lock);
        }
        if ((seed = seed * 1103515245 + 12345) >> 18 & 1)
            nap(10);
    }
    return NULL;
}

static void a_wake_is_never_lost(void **state)
{
    EACH_WIDTH(p) {
        parker k[PARKERS];
        job j;
        _Atomic bool interrupt = false;
        job_init(&j, p, NULL, w_ & 1 ? &interrupt : NULL);
        for (int i = 0; i < PARKERS; i++) {
            k[i] = (parker){.t = {.step = park_step}, .lock = PTHREAD_MUTEX_INITIALIZER, .rounds = 400};
            task_submit(&j, &k[i].t);
        }
        device = (struct device){.clients = k, .seed = 7 + w_};
        pthread_create(&device.thread, NULL, device_main, &device);
        assert_int_equal(job_wait(&j, NULL), FZ_OK);
        atomic_store(&device.stop, true);
        pthread_join(device.thread, NULL);
        for (int i = 0; i < PARKERS; i++) {
            assert_int_equal(k[i].rounds, 0);
            assert_int_equal(k[i].parks, 400);
        }
        job_destroy(&j);
    }
}

/* ---- failure and cancel ---- */

typedef struct failer {
    task t;
    int id, after, steps;
    bool parks, dropped;
} failer;

static task_result fail_step(task *t)
{
    failer *f = (failer *)t;
    if (f->parks)
        return TASK_PARK;
    if (f->after >= 0 && f->steps++ == f->after) {
        fz_error e;
        error_set(&e, FZ_VALUE, "task %d", f->id);
        job_fail(t->j, &e);
        return TASK_DONE;
    }
    return TASK_YIELD; /* for ever, but for the failure */
}
static void fail_drop(task *t)
{
    failer *f = (failer *)t;
    assert_false(f->dropped);
    f->dropped = true;
}

static void the_first_failure_ends_the_job(void **state)
{
    EACH_WIDTH(p) {
        failer f[20];
        job j;
        fz_error e;
        job_init(&j, p, NULL, NULL);
        for (int i = 0; i < 20; i++) {
            f[i] = (failer){.t = {.step = fail_step, .drop = fail_drop}, .id = i, .after = -1, .parks = i % 4 == 2};
            if (i == 13)
                f[i].after = 30;
        }
        for (int i = 0; i < 20; i++)
            task_submit(&j, &f[i].t);
        assert_int_equal(job_wait(&j, &e), FZ_VALUE);
        assert_string_equal(e.message, "task 13");
        assert_true(job_stopped(&j));
        for (int i = 0; i < 20; i++)
            assert_int_equal(f[i].dropped, i != 13); /* parked ones too */
        /* what is submitted to a failed job is dropped; the first error stays */
        failer late = {.t = {.step = fail_step, .drop = fail_drop}, .after = 0};
        task_submit(&j, &late.t);
        error_set(&e, FZ_IO, "later");
        job_fail(&j, &e);
        assert_int_equal(job_wait(&j, &e), FZ_VALUE);
        assert_true(late.dropped);
        assert_string_equal(e.message, "task 13");
        job_destroy(&j);
    }
}

static void *interrupter(void *arg)
{
    nap(30000);
    atomic_store((_Atomic bool *)arg, true);
    return NULL;
}

static void an_interrupt_reaches_parked_tasks(void **state)
{
    EACH_WIDTH(p) {
        for (int parks = 0; parks < 2; parks++) {
            failer f[6];
            _Atomic bool interrupt = false;
            job j;
            fz_error e;
            pthread_t th;
            job_init(&j, p, NULL, &interrupt);
            for (int i = 0; i < 6; i++) {
                f[i] = (failer){.t = {.step = fail_step, .drop = fail_drop}, .after = -1, .parks = parks};
                task_submit(&j, &f[i].t);
            }
            pthread_create(&th, NULL, interrupter, (void *)&interrupt);
            assert_int_equal(job_wait(&j, &e), FZ_CANCELLED);
            assert_string_equal(e.sqlstate, "57014");
            for (int i = 0; i < 6; i++)
                assert_true(f[i].dropped);
            pthread_join(th, NULL);
            job_destroy(&j);
        }
    }
}

/* ---- job_for ---- */

struct nest {
    job *j;
    _Atomic int leaves;
    _Atomic int failed_after;
    int depth;
    int fail_at;
};

static fz_status nest_fn(void *ctx, size_t i, fz_error *err)
{
    struct nest *n = ctx;
    if (n->fail_at >= 0 && (int)i == n->fail_at)
        return error_set(err, FZ_DATA, "item %zu", i);
    if (n->depth == 0) {
        atomic_fetch_add(&n->leaves, 1);
        return FZ_OK;
    }
    struct nest below = {.j = n->j, .depth = n->depth - 1, .fail_at = -1};
    TRY(job_for(n->j, 6, nest_fn, &below, err));
    atomic_fetch_add(&n->leaves, below.leaves);
    return FZ_OK;
}

typedef struct nest_task {
    task t;
    struct nest n;
    fz_status st;
} nest_task;

static task_result nest_step(task *t)
{
    nest_task *k = (nest_task *)t;
    k->n.j = t->j;
    k->st = job_for(t->j, 10, nest_fn, &k->n, NULL);
    return TASK_DONE;
}

static void loops_nest(void **state)
{
    EACH_WIDTH(p) {
        job j;
        job_init(&j, p, NULL, NULL);
        nest_task k[5];
        for (int i = 0; i < 5; i++) {
            k[i] = (nest_task){.t = {.step = nest_step}, .n = {.depth = 2, .fail_at = -1}, .st = FZ_INTERNAL};
            task_submit(&j, &k[i].t);
        }
        struct nest outside = {.j = &j, .depth = 1, .fail_at = -1}; /* while tasks run */
        assert_int_equal(job_for(&j, 20, nest_fn, &outside, NULL), FZ_OK);
        assert_int_equal(outside.leaves, 120);
        assert_int_equal(job_wait(&j, NULL), FZ_OK);
        for (int i = 0; i < 5; i++) {
            assert_int_equal(k[i].st, FZ_OK);
            assert_int_equal(k[i].n.leaves, 360);
        }
        struct nest none = {.fail_at = -1};
        assert_int_equal(job_for(&j, 0, nest_fn, &none, NULL), FZ_OK);
        assert_int_equal(none.leaves, 0);
        assert_int_equal(job_for(&j, 1, nest_fn, &none, NULL), FZ_OK);
        assert_int_equal(none.leaves, 1);
        job_destroy(&j);
    }
}

static void a_loop_returns_its_failure_and_leaves_the_job(void **state)
{
    EACH_WIDTH(p) {
        job j;
        fz_error e;
        job_init(&j, p, NULL, NULL);
        for (int round = 0; round < 100; round++) {
            struct nest n = {.j = &j, .fail_at = round % 10};
            assert_int_equal(job_for(&j, 1000, nest_fn, &n, &e), FZ_DATA);
            char expect[32];
            snprintf(expect, sizeof expect, "item %d", round % 10);
            assert_string_equal(e.message, expect);
            if (widths[w_] == 0) /* other threads may have run all the rest meanwhile */
                assert_int_equal(n.leaves, round % 10);
        }
        assert_false(job_stopped(&j));
        job_fail(&j, &e);
        struct nest n = {.j = &j, .fail_at = -1};
        assert_int_equal(job_for(&j, 5, nest_fn, &n, &e), FZ_CANCELLED);
        assert_int_equal(n.leaves, 0);
        assert_int_equal(job_wait(&j, NULL), FZ_DATA);
        job_destroy(&j);
    }
}

/* Two items that need each other: ends only if two threads run them at once. */
struct meet { _Atomic int here; };
static fz_status meet_fn(void *ctx, size_t i, fz_error *err)
{
    struct meet *m = ctx;
    atomic_fetch_add(&m->here, 1);
    for (int spins = 0; atomic_load(&m->here) < 2 && spins < 50000; spins++)
        nap(100);
    return atomic_load(&m->here) >= 2 ? FZ_OK : error_set(err, FZ_BUSY, "alone");
}

static void loops_use_several_threads(void **state)
{
    pool *p = pool_create(NULL, 1);
    job j;
    job_init(&j, p, NULL, NULL);
    for (int i = 0; i < 20; i++) {
        struct meet m = {0};
        assert_int_equal(job_for(&j, 2, meet_fn, &m, NULL), FZ_OK);
    }
    job_destroy(&j);
    pool_destroy(p);
}

/* ---- several jobs in one pool ---- */

static void *job_main(void *arg)
{
    pool *p = arg;
    counter c[20];
    _Atomic int total = 0;
    for (int round = 0; round < 30; round++) {
        job j;
        job_init(&j, p, NULL, NULL);
        for (int i = 0; i < 20; i++) {
            c[i] = (counter){.t = {.step = count_step}, .left = 3, .total = &total};
            task_submit(&j, &c[i].t);
        }
        assert_int_equal(job_wait(&j, NULL), FZ_OK);
        job_destroy(&j);
    }
    assert_int_equal(total, 30 * 60);
    return NULL;
}

static void jobs_share_a_pool(void **state)
{
    EACH_WIDTH(p) {
        pthread_t th[4];
        for (int i = 0; i < 4; i++)
            pthread_create(&th[i], NULL, job_main, p);
        for (int i = 0; i < 4; i++)
            pthread_join(th[i], NULL);
    }
}

static fz_status mask_fn(void *ctx, size_t i, fz_error *err)
{
    sigset_t now;
    pthread_sigmask(SIG_SETMASK, NULL, &now);
    if (!pthread_equal(*(pthread_t *)ctx, pthread_self()) && !sigismember(&now, SIGTERM))
        return error_set(err, FZ_INTERNAL, "a worker takes signals");
    nap(300);
    return FZ_OK;
}

static void workers_block_signals(void **state)
{
    pool *p = pool_create(NULL, 2);
    pthread_t me = pthread_self();
    job j;
    job_init(&j, p, NULL, NULL);
    assert_int_equal(job_for(&j, 30, mask_fn, &me, NULL), FZ_OK);
    sigset_t now;
    pthread_sigmask(SIG_SETMASK, NULL, &now);
    assert_false(sigismember(&now, SIGTERM));
    job_destroy(&j);
    pool_destroy(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_step_runs_once),
        cmocka_unit_test(a_single_task_stays_with_the_waiter),
        cmocka_unit_test(a_wake_is_never_lost),
        cmocka_unit_test(the_first_failure_ends_the_job),
        cmocka_unit_test(an_interrupt_reaches_parked_tasks),
        cmocka_unit_test(loops_nest),
        cmocka_unit_test(a_loop_returns_its_failure_and_leaves_the_job),
        cmocka_unit_test(loops_use_several_threads),
        cmocka_unit_test(jobs_share_a_pool),
        cmocka_unit_test(workers_block_signals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
