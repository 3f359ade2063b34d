/* runtime.c: see runtime.h. The default runtime is guarded by a lock; only its making and its
 * last release are slow. */
#include "base/runtime.h"

static pthread_mutex_t default_lock = PTHREAD_MUTEX_INITIALIZER;
static runtime *default_runtime; /* holds no reference of its own */

fz_status runtime_create(const runtime_options *options, runtime **out, fz_error *err)
{
    static const runtime_options defaults;
    const runtime_options *o = options ? options : &defaults;
    int64_t limit = o->memory_limit ? o->memory_limit : memory_available() / 2;
    mem outside; /* the runtime itself can't be charged to the budget it holds */
    mem_init(&outside, NULL, o->hooks, 0);
    *out = NULL;
    runtime *r = mem_zalloc(&outside, sizeof *r);
    if (!r)
        return error_nomem(err);
    mem_init(&r->root, NULL, o->hooks, limit);
    r->log = o->log;
    atomic_init(&r->refs, 1);
    r->p = pool_create(&r->root, o->threads > 0 ? o->threads - 1 : -1);
    if (!r->p) {
        mem_free(&outside, r, sizeof *r);
        return error_nomem(err);
    }
    *out = r;
    return FZ_OK;
}

runtime *runtime_ref(runtime *r)
{
    if (r)
        atomic_fetch_add_explicit(&r->refs, 1, memory_order_relaxed);
    return r;
}

void runtime_unref(runtime *r)
{
    if (!r)
        return;
    pthread_mutex_lock(&default_lock); /* against runtime_default finding it at zero */
    bool last = atomic_fetch_sub_explicit(&r->refs, 1, memory_order_acq_rel) == 1;
    if (last && r == default_runtime)
        default_runtime = NULL;
    pthread_mutex_unlock(&default_lock);
    if (!last)
        return;
    pool_destroy(r->p);
    mem outside;
    mem_init(&outside, NULL, &r->root.hooks, 0);
    mem_free(&outside, r, sizeof *r);
}

fz_status runtime_default(runtime **out, fz_error *err)
{
    fz_status st = FZ_OK;
    pthread_mutex_lock(&default_lock);
    if (default_runtime) {
        *out = runtime_ref(default_runtime);
    } else {
        st = runtime_create(NULL, out, err);
        default_runtime = *out;
    }
    pthread_mutex_unlock(&default_lock);
    return st;
}
