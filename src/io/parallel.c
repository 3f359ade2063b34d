/* parallel.c: io_for: threads for a moment, each of which takes the next number until none is left or one has failed. */
#include "base/task.h"
#include "io/io.h"

#include <signal.h>

#define WIDTH 16

struct shared {
    _Atomic size_t next;
    size_t n;
    const job *j;
    fz_status (*fn)(void *ctx, size_t i, fz_error *err);
    void *ctx;
    pthread_mutex_t lock; /* of what follows */
    fz_status status;
    fz_error error;
};

static void fail(struct shared *s, fz_status st, const fz_error *e)
{
    pthread_mutex_lock(&s->lock);
    if (s->status == FZ_OK) {
        s->status = st;
        s->error = *e;
    }
    pthread_mutex_unlock(&s->lock);
    atomic_store(&s->next, s->n); /* no further one */
}

static void *run(void *arg)
{
    struct shared *s = arg;
    fz_error e;
    for (;;) {
        size_t i = atomic_fetch_add(&s->next, 1);
        if (i >= s->n)
            return NULL;
        fz_status st = s->j && job_stopped(s->j) ? error_set(&e, FZ_CANCELLED, "cancelled") : s->fn(s->ctx, i, &e);
        if (st != FZ_OK)
            fail(s, st, &e);
    }
}

fz_status io_for(size_t n, const job *j, fz_status (*fn)(void *ctx, size_t i, fz_error *err), void *ctx, fz_error *err)
{
    struct shared s = {.n = n, .j = j, .fn = fn, .ctx = ctx, .lock = PTHREAD_MUTEX_INITIALIZER};
    pthread_t threads[WIDTH];
    size_t started = 0;
    sigset_t all, before;
    sigfillset(&all); /* signals are the program's business */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    while (started + 1 < n && started + 1 < WIDTH && pthread_create(&threads[started], NULL, run, &s) == 0)
        started++;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    run(&s); /* this thread takes its part; it is the only one where none could be started */
    for (size_t i = 0; i < started; i++)
        pthread_join(threads[i], NULL);
    pthread_mutex_destroy(&s.lock);
    if (s.status != FZ_OK && err)
        *err = s.error;
    return s.status;
}
