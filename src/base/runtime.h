/*
 * runtime.h: what is shared by everything that works in one process: the memory budget, the
 * task pool and the log. Lakes borrow one; the default runtime is made when it is first asked
 * for and goes with its last reference, so that eight connections share one budget.
 */
#ifndef BASE_RUNTIME_H
#define BASE_RUNTIME_H

#include "base/log.h"
#include "base/task.h"

typedef struct runtime {
    mem root;           /* the budget; parents of everything that is counted */
    pool *p;
    logger log;
    _Atomic int refs;   /* runtime.c's own */
} runtime;

typedef struct runtime_options {
    const mem_hooks *hooks; /* NULL: libc */
    int64_t memory_limit;   /* bytes; 0: half of what this process may use; <0: none */
    int threads;            /* 0: as many as CPUs; else this many in all, the caller's one included */
    logger log;
} runtime_options;

/* options may be NULL. One reference. Any thread. */
fz_status runtime_create(const runtime_options *options, runtime **out, fz_error *err);
runtime *runtime_ref(runtime *r);
/* NULL allowed. With the last reference the pool's threads are joined: nothing may run. */
void runtime_unref(runtime *r);
/* A reference to the default runtime of this process, made with default options. */
fz_status runtime_default(runtime **out, fz_error *err);

/* Bytes of memory that this process may use: the machine's, or less where a cgroup says so. */
int64_t memory_available(void);

#endif
