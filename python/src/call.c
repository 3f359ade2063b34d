/*
 * call.c: see py_call_run in py_int.h. The helper is one thread of the process, made when first needed; it knows no Python. Where it is at work
 * already (a signal's handler runs a statement), or can't be made, the call is made here.
 *
 *   main thread                      helper
 *   job = fn, signal ──────────────> runs fn
 *   waits up to 50 ms without the interpreter's lock, looks at signals and progress, waits again
 *   done <──────────────────────────  signal
 */
#include "py_int.h"

#include <sys/syscall.h>
#include <time.h>

#define POLL_MS     50
#define PROGRESS_MS 1000 /* before it is first shown */

typedef struct helper {
    pthread_mutex_t lock;
    pthread_cond_t work, done;
    pid_t pid;                 /* whose thread it is; 0: none */
    bool busy, ended;
    session_h *s;
    call_fn fn;
    void *arg;
} helper;

static helper h = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, PTHREAD_COND_INITIALIZER};

static void run_now(session_h *s, call_fn fn, void *arg)
{
    py_session_lock(s);
    atomic_store(&s->busy, true);
    fn(arg);
    atomic_store(&s->busy, false);
    py_session_unlock(s);
}

static void *helper_main(void *unused)
{
    pthread_mutex_lock(&h.lock);
    for (;;) {
        while (!h.fn)
            pthread_cond_wait(&h.work, &h.lock);
        call_fn fn = h.fn;
        h.fn = NULL;
        pthread_mutex_unlock(&h.lock);
        run_now(h.s, fn, h.arg);
        pthread_mutex_lock(&h.lock);
        h.ended = true;
        pthread_cond_signal(&h.done);
    }
    return NULL;
}

/* Gives the helper its work; false: the caller does it. */
static bool hand_over(session_h *s, call_fn fn, void *arg)
{
    bool taken = false;
    if (h.pid != getpid()) { /* this process, perhaps the child of a fork, has none yet; only its main thread comes here */
        pthread_t t;
        pthread_attr_t attr;
        pthread_condattr_t mono;
        pthread_mutex_init(&h.lock, NULL);
        pthread_condattr_init(&mono);
        pthread_condattr_setclock(&mono, CLOCK_MONOTONIC);
        pthread_cond_init(&h.work, NULL);
        pthread_cond_init(&h.done, &mono);
        pthread_condattr_destroy(&mono);
        h.busy = false;
        h.fn = NULL;
        pthread_attr_init(&attr);
        pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
        if (pthread_create(&t, &attr, helper_main, NULL) == 0)
            h.pid = getpid();
        pthread_attr_destroy(&attr);
        if (h.pid != getpid())
            return false;
    }
    pthread_mutex_lock(&h.lock);
    if (!h.busy) {
        taken = h.busy = true;
        h.ended = false;
        h.s = s;
        h.fn = fn;
        h.arg = arg;
        pthread_cond_signal(&h.work);
    }
    pthread_mutex_unlock(&h.lock);
    return taken;
}

static bool wait_a_while(void)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += POLL_MS * 1000000L;
    if (until.tv_nsec >= 1000000000L) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000L;
    }
    pthread_mutex_lock(&h.lock);
    int late = 0;
    while (!h.ended && !late)
        late = pthread_cond_timedwait(&h.done, &h.lock, &until);
    bool ended = h.ended;
    pthread_mutex_unlock(&h.lock);
    return ended;
}

static PyObject *on_progress; /* guarded by the interpreter's lock */

void py_call_on_progress(PyObject *progress)
{
    PyObject *old = on_progress;
    on_progress = progress == Py_None ? NULL : progress;
    Py_XINCREF(on_progress);
    Py_XDECREF(old);
}

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int show_progress(session_h *s, int64_t worked_ms)
{
    int64_t now = now_ms();
    if (!on_progress || worked_ms < PROGRESS_MS || now - s->shown_ms < 2 * POLL_MS)
        return 0;
    fz_progress p;
    fz_session_progress(s->s, &p);
    s->shown_ms = now;
    PyObject *r = PyObject_CallFunction(on_progress, "LLL", (long long)p.bytes_done, (long long)p.bytes_total, (long long)p.rows_done);
    Py_XDECREF(r);
    return r ? 0 : -1;
}

void py_call_begin(session_h *s)
{
    s->worked_ms = s->shown_ms = 0;
}

void py_call_over(session_h *s)
{
    if (!s->shown_ms || !on_progress)
        return;
    PyObject *type, *value, *trace;
    s->shown_ms = 0;
    PyErr_Fetch(&type, &value, &trace);
    PyObject *r = PyObject_CallFunction(on_progress, "O", Py_None);
    if (!r)
        PyErr_Clear();
    Py_XDECREF(r);
    PyErr_Restore(type, value, trace);
}

static bool in_main_thread(void) { return syscall(SYS_gettid) == getpid(); }

static int look_around(session_h *s, int64_t worked_ms)
{
    return PyErr_CheckSignals() ? -1 : show_progress(s, worked_ms);
}

int py_call_run(session_h *s, bool quick, call_fn fn, void *arg)
{
    PyThreadState *ts = PyEval_SaveThread();
    bool main = in_main_thread();
    int64_t from = now_ms();
    if (!main || quick || !hand_over(s, fn, arg)) {
        run_now(s, fn, arg);
        PyEval_RestoreThread(ts);
        s->worked_ms += now_ms() - from;
        return main ? look_around(s, s->worked_ms) : 0;
    }
    PyObject *type = NULL, *value = NULL, *trace = NULL;
    while (!wait_a_while()) {
        PyEval_RestoreThread(ts);
        if (!type && look_around(s, s->worked_ms + now_ms() - from))
            PyErr_Fetch(&type, &value, &trace);
        ts = PyEval_SaveThread();
        if (type)
            fz_session_cancel(s->s); /* again and again: a statement that only begins forgets it */
    }
    pthread_mutex_lock(&h.lock);
    h.busy = false;
    pthread_mutex_unlock(&h.lock);
    PyEval_RestoreThread(ts);
    s->worked_ms += now_ms() - from;
    if (type) {
        PyErr_Restore(type, value, trace);
        return -1;
    }
    return PyErr_CheckSignals();
}
