/*
 * handles.c: counted handles of lakes, sessions and results. They need no interpreter: an Arrow stream may outlive it, and be released by any
 * thread. A process made by fork has none of the library's threads, so it neither uses nor releases what its parent opened.
 */
#include "py_int.h"

#include <stdio.h>

static pthread_mutex_t open_lock = PTHREAD_MUTEX_INITIALIZER; /* guards the list of results, and the runtime */
static result_h *open_results;

/* The library's default runtime belongs to the process that first used it; a child of a fork makes its own. */
static pid_t first_pid, runtime_pid;
static fz_runtime *runtime;

static fz_status own_runtime(fz_runtime **out, fz_error *err)
{
    fz_status st = FZ_OK;
    pid_t pid = getpid();
    *out = NULL;
    pthread_mutex_lock(&open_lock);
    if (!first_pid)
        first_pid = pid;
    if (pid != first_pid) {
        if (runtime_pid != pid) {
            runtime = NULL; /* the parent's */
            st = fz_runtime_create(NULL, 0, NULL, &runtime, err);
            if (!st)
                runtime_pid = pid;
        }
        *out = runtime;
    }
    pthread_mutex_unlock(&open_lock);
    return st;
}

static fz_status say(fz_error *err, fz_status st, const char *sqlstate, const char *message, const char *hint)
{
    if (err) {
        *err = (fz_error){.status = st, .offset = -1, .line = -1, .column = -1};
        snprintf(err->sqlstate, sizeof err->sqlstate, "%s", sqlstate);
        snprintf(err->message, sizeof err->message, "%s", message);
        snprintf(err->hint, sizeof err->hint, "%s", hint);
    }
    return st;
}

static fz_status no_memory(fz_error *err) { return say(err, FZ_NOMEM, "53200", "out of memory", ""); }

/* ---- lakes and sessions ---- */

fz_status py_lake_open(const char *location, const fz_option *options, size_t n, lake_h **out, fz_error *err)
{
    fz_runtime *rt;
    lake_h *l = calloc(1, sizeof *l);
    if (!l)
        return no_memory(err);
    fz_status st = own_runtime(&rt, err);
    if (!st)
        st = fz_lake_open(rt, location, options, n, &l->lake, err);
    if (st) {
        free(l);
        return st;
    }
    atomic_init(&l->refs, 1);
    l->pid = getpid();
    *out = l;
    return FZ_OK;
}

lake_h *py_lake_ref(lake_h *l)
{
    atomic_fetch_add(&l->refs, 1);
    return l;
}

void py_lake_unref(lake_h *l)
{
    if (!l || atomic_fetch_sub(&l->refs, 1) != 1)
        return;
    if (l->pid == getpid())
        fz_lake_close(l->lake);
    free(l);
}

fz_status py_lake_usable(const lake_h *l, fz_error *err)
{
    if (l->closed)
        return say(err, FZ_INVALID, "08003", "the lake is closed", "");
    if (l->pid != getpid())
        return say(err, FZ_INVALID, "08003", "the lake was opened before this process was forked off", "call frazil.connect() again in the new process");
    return FZ_OK;
}

fz_status py_session_open(lake_h *l, session_h **out, fz_error *err)
{
    fz_status st = py_lake_usable(l, err);
    session_h *s = st ? NULL : calloc(1, sizeof *s);
    if (!s)
        return st ? st : no_memory(err);
    st = fz_session_open(l->lake, &s->s, err);
    if (st) {
        free(s);
        return st;
    }
    atomic_init(&s->refs, 1);
    pthread_mutex_init(&s->lock, NULL);
    s->lake = py_lake_ref(l);
    *out = s;
    return FZ_OK;
}

session_h *py_session_ref(session_h *s)
{
    atomic_fetch_add(&s->refs, 1);
    return s;
}

void py_session_unref(session_h *s)
{
    if (!s || atomic_fetch_sub(&s->refs, 1) != 1)
        return;
    if (s->lake->pid == getpid())
        fz_session_close(s->s);
    pthread_mutex_destroy(&s->lock);
    py_lake_unref(s->lake);
    free(s);
}

/* ---- results ---- */

result_h *py_result_new(session_h *s, fz_result *r)
{
    result_h *h = calloc(1, sizeof *h);
    if (!h) {
        fz_result_release(r);
        return NULL;
    }
    atomic_init(&h->refs, 1);
    h->s = py_session_ref(s);
    h->r = r;
    h->counted = fz_result_has_rows(r);
    atomic_fetch_add(&s->open, h->counted);
    pthread_mutex_init(&h->life, NULL);
    pthread_mutex_lock(&open_lock);
    h->next = open_results;
    if (h->next)
        h->next->prev = h;
    open_results = h;
    h->listed = true;
    pthread_mutex_unlock(&open_lock);
    return h;
}

result_h *py_result_ref(result_h *r)
{
    atomic_fetch_add(&r->refs, 1);
    return r;
}

static void no_more_rows(result_h *r)
{
    if (r->counted)
        atomic_fetch_sub(&r->s->open, 1);
    r->counted = false;
}

static void close_locked(result_h *r)
{
    r->closed = true;
    no_more_rows(r);
    for (array_node *n = r->head, *after; n; n = after) {
        after = n->next;
        n->a.release(&n->a);
        free(n);
    }
    r->head = r->tail = NULL;
    pthread_mutex_lock(&r->life);
    fz_result *x = r->r;
    r->r = NULL;
    pthread_mutex_unlock(&r->life);
    if (r->s->lake->pid == getpid())
        fz_result_release(x);
}

static void unlist(result_h *r)
{
    pthread_mutex_lock(&open_lock);
    if (r->listed) {
        if (r->prev)
            r->prev->next = r->next;
        else
            open_results = r->next;
        if (r->next)
            r->next->prev = r->prev;
    }
    r->listed = false;
    pthread_mutex_unlock(&open_lock);
}

/* After the last reference went, and it was closed. */
static void result_free(result_h *r)
{
    unlist(r);
    py_session_unref(r->s);
    if (r->failure && Py_IsInitialized()) {
        PyGILState_STATE g = PyGILState_Ensure();
        Py_DECREF(r->failure);
        PyGILState_Release(g);
    }
    pthread_mutex_destroy(&r->life);
    free(r);
}

/* ---- the session's lock ----
 *
 * Who wants to close a result and finds the lock taken puts it into `left`, with a reference, and tries once more; who gives the lock back
 * looks into `left` before and after. So one of the two closes it, and nobody waits. */

void py_session_lock(session_h *s) { pthread_mutex_lock(&s->lock); }

/* With the lock: closes what was left; gives the lock back; lets go. */
static void unlock_once(session_h *s)
{
    result_h *all = atomic_exchange(&s->left, NULL);
    for (result_h *r = all; r; r = r->left_next)
        close_locked(r);
    pthread_mutex_unlock(&s->lock);
    for (result_h *r = all, *after; r; r = after) {
        after = r->left_next;
        if (atomic_fetch_sub(&r->refs, 1) == 1)
            result_free(r);
    }
}

void py_session_unlock(session_h *s)
{
    py_session_ref(s); /* what is let go may be the last to have it */
    unlock_once(s);
    while (atomic_load(&s->left) && pthread_mutex_trylock(&s->lock) == 0)
        unlock_once(s);
    py_session_unref(s);
}

/* Takes a reference of r. */
static void leave(result_h *r)
{
    session_h *s = py_session_ref(r->s);
    r->left_next = atomic_load(&s->left);
    while (!atomic_compare_exchange_weak(&s->left, &r->left_next, r))
        ;
    if (pthread_mutex_trylock(&s->lock) == 0)
        py_session_unlock(s);
    py_session_unref(s);
}

void py_result_close(result_h *r, bool wait)
{
    bool mine = r->s->lake->pid == getpid(); /* in the child of a fork the lock may be held by a thread that isn't there */
    if (mine && wait)
        pthread_mutex_lock(&r->s->lock);
    else if (mine && pthread_mutex_trylock(&r->s->lock)) {
        if (!atomic_exchange(&r->leaving, true)) /* once: it has one link */
            leave(py_result_ref(r));
        return;
    }
    close_locked(r);
    if (mine)
        py_session_unlock(r->s);
}

void py_result_unref(result_h *r)
{
    if (!r || atomic_fetch_sub(&r->refs, 1) != 1)
        return;
    unlist(r);
    bool mine = r->s->lake->pid == getpid();
    if (mine && pthread_mutex_trylock(&r->s->lock)) {
        atomic_store(&r->refs, 1);
        leave(r);
        return;
    }
    session_h *s = py_session_ref(r->s);
    close_locked(r);
    if (mine)
        py_session_unlock(s);
    result_free(r);
    py_session_unref(s);
}

/* A reference, unless the last one is just being given back. */
static bool ref_alive(result_h *r)
{
    int n = atomic_load(&r->refs);
    while (n > 0)
        if (atomic_compare_exchange_weak(&r->refs, &n, n + 1))
            return true;
    return false;
}

void py_results_close_all(void)
{
    for (;;) {
        result_h *r = NULL;
        pthread_mutex_lock(&open_lock);
        for (result_h *x = open_results; x && !r; x = x->next)
            if (!x->closed && x->s->lake->pid == getpid() && ref_alive(x))
                r = x;
        pthread_mutex_unlock(&open_lock);
        if (!r)
            return;
        fz_session_cancel(r->s->s);
        py_result_close(r, true);
        py_result_unref(r);
    }
}

fz_status py_result_schema(result_h *r, struct ArrowSchema *out, fz_error *err)
{
    fz_status st = py_lake_usable(r->s->lake, err);
    if (st)
        return st;
    pthread_mutex_lock(&r->life);
    st = !r->r ? say(err, FZ_INVALID, "24000", "the result is closed", "") : fz_result_schema(r->r, out, err);
    pthread_mutex_unlock(&r->life);
    return st;
}

fz_status py_result_keep(result_h *r, struct ArrowArray *a, bool before, fz_error *err)
{
    array_node *n = malloc(sizeof *n);
    if (!n) {
        a->release(a);
        return no_memory(err);
    }
    n->a = *a;
    n->next = before ? r->head : NULL;
    if (before || !r->head)
        r->head = n;
    else
        r->tail->next = n;
    if (!n->next)
        r->tail = n;
    return FZ_OK;
}

fz_status py_result_next(result_h *r, struct ArrowArray *out, fz_error *err)
{
    out->release = NULL;
    fz_status st = py_lake_usable(r->s->lake, err);
    if (st)
        return st;
    if (r->closed)
        return say(err, FZ_INVALID, "24000", "the result is closed", "");
    if (r->head) {
        array_node *n = r->head;
        r->head = n->next;
        if (!r->head)
            r->tail = NULL;
        *out = n->a;
        free(n);
        return FZ_OK;
    }
    if (r->ended)
        return FZ_OK;
    st = fz_result_next(r->r, out, err);
    r->ended = st || !out->release;
    if (r->ended)
        no_more_rows(r);
    return st;
}
