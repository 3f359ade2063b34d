/*
 * slab.c: see slab.h.
 *
 * A slab lies at a multiple of its size, so that a block's address leads to it; its header counts the blocks in
 * use, one more while the pool still cuts from it. The size of a block, which who frees it knows, says whether it
 * came from a slab. A pool lives until it is released and its last slab is gone; up to SPARE empty slabs
 * wait in it for their next use, as long as nobody has released it.
 *
 * Paging in is most of what handing out a large result costs: 0.35 us per kB in small pages, a third of that in huge ones. But
 * a virtual machine that gives free memory back to its host takes ten times as long for a huge page that it has to get from there again,
 * and a fragmented machine has to make room for one. So huge pages are tried, the time they take is measured, and after a bad
 * try small ones are used for a good while.
 */
#include "base/slab.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#define POISON(p, n)   __asan_poison_memory_region((p), (n))
#define UNPOISON(p, n) __asan_unpoison_memory_region((p), (n))
#define GAP            64 /* poisoned, behind each block */
#else
#define POISON(p, n)   ((void)(p), (void)(n))
#define UNPOISON(p, n) ((void)(p), (void)(n))
#define GAP            0
#endif

#define SLAB_BYTES ((size_t)4 << 20)
#define BLOCK_MIN  ((size_t)16 << 10)
#define BLOCK_MAX  ((size_t)1 << 20)
#define SPARE      8
#define PAGE       ((size_t)4096) /* or a part of one */
#define HUGE_BYTES ((size_t)2 << 20)
#define HUGE_AFTER 4           /* slabs before huge pages are tried: about what one bad try costs */
#define HUGE_PAUSE 16          /* slabs after the first bad try */
#define HUGE_NS_MAX 1000000    /* for HUGE_BYTES: small pages take about that */

typedef struct slab {
    slab_pool *pool;
    struct slab *next;     /* among the spare ones */
    size_t at;             /* where the next block begins; only for the pool's current slab */
    size_t paged;          /* up to where it was in use before */
    _Atomic uint32_t refs;
} slab;

#define SLAB_HEAD ((sizeof(slab) + 63) & ~(size_t)63)

struct slab_pool {
    pthread_mutex_t lock;  /* guards what follows */
    uint32_t refs;         /* the owner's, and one per slab */
    bool released;
    slab *current, *spare;
    uint32_t n_spare;
    uint32_t mapped;       /* slabs so far */
    uint32_t huge_from, huge_pause; /* from how many on huge pages are tried (again); how many pass after the next bad try */
};

static inline bool from_slab(size_t size)
{
    return size >= BLOCK_MIN && size <= BLOCK_MAX;
}

/* Unlocks. */
static void pool_unref(slab_pool *p)
{
    bool last = --p->refs == 0;
    pthread_mutex_unlock(&p->lock);
    if (last) {
        pthread_mutex_destroy(&p->lock);
        free(p);
    }
}

static int64_t thread_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* Pages a slab in as huge pages; *paged: up to where. False: that took longer than small pages would. */
static bool huge_in(char *slab, size_t *paged)
{
    int64_t at = thread_ns(), now;
    madvise(slab, SLAB_BYTES, MADV_HUGEPAGE);
    for (*paged = 0; *paged < SLAB_BYTES; at = now) {
        if (madvise(slab + *paged, HUGE_BYTES, MADV_POPULATE_WRITE))
            return false;
        *paged += HUGE_BYTES;
        if ((now = thread_ns()) - at > HUGE_NS_MAX) {
            if (*paged < SLAB_BYTES)
                madvise(slab + *paged, SLAB_BYTES - *paged, MADV_NOHUGEPAGE);
            return false;
        }
    }
    return true;
}

/* Without the lock. *huge: whether to try huge pages; becomes whether they were fast. */
static slab *slab_map(slab_pool *p, bool *huge)
{
    char *raw = mmap(NULL, 2 * SLAB_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (raw == MAP_FAILED)
        return NULL;
    size_t before = (SLAB_BYTES - (uintptr_t)raw % SLAB_BYTES) % SLAB_BYTES, paged = 0;
    if (before)
        munmap(raw, before);
    munmap(raw + before + SLAB_BYTES, SLAB_BYTES - before);
    if (*huge)
        *huge = huge_in(raw + before, &paged);
    slab *s = (slab *)(raw + before);
    s->pool = p;
    s->paged = paged ? paged : PAGE;
    atomic_init(&s->refs, 0);
    return s;
}

/* Adds a slab to the spare ones. Entered and left with the lock, which is given up meanwhile. False: no memory. */
static bool spare_add(slab_pool *p)
{
    bool tries = p->mapped++ >= p->huge_from, huge = tries;
    if (tries)
        p->huge_from = UINT32_MAX; /* one at a time, until it is known how it went */
    pthread_mutex_unlock(&p->lock);
    slab *s = slab_map(p, &huge);
    pthread_mutex_lock(&p->lock);
    if (tries) {
        p->huge_from = huge ? p->mapped : p->mapped + p->huge_pause;
        p->huge_pause *= huge ? 1 : 4;
    }
    if (!s)
        return false;
    p->refs++;
    s->next = p->spare;
    p->spare = s;
    p->n_spare++;
    return true;
}

static void slab_unref(slab *s)
{
    if (atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) != 1)
        return;
    slab_pool *p = s->pool;
    UNPOISON(s, SLAB_BYTES);
    pthread_mutex_lock(&p->lock);
    if (!p->released && p->n_spare < SPARE) {
        s->next = p->spare;
        p->spare = s;
        p->n_spare++;
        pthread_mutex_unlock(&p->lock);
        return;
    }
    munmap(s, SLAB_BYTES);
    pool_unref(p);
}

/* A block is paged in at once, just before it is filled: as many single faults cost more, and a whole slab at once would
   have left the processor's cache when its turn comes. */
static void page_in(slab *s, size_t from, size_t to)
{
    to = (to + PAGE - 1) & ~(PAGE - 1);
    if (to > from)
        madvise((char *)s + from, to - from, MADV_POPULATE_WRITE); /* a wish */
}

/* Makes a spare slab, if there is one, the current one; *full: that was it until now. */
static slab *next_slab(slab_pool *p, slab **full)
{
    slab *s = p->spare;
    if (!s)
        return NULL;
    p->spare = s->next;
    p->n_spare--;
    s->at = SLAB_HEAD;
    atomic_store_explicit(&s->refs, 1, memory_order_relaxed);
    *full = p->current;
    p->current = s;
    return s;
}

static void *block_new(slab_pool *p, size_t size)
{
    slab *full = NULL;
    char *block = NULL;
    size_t fresh = 0, end = 0;
    size_t wanted = size;
    size = ((size + 63) & ~(size_t)63) + GAP;
    pthread_mutex_lock(&p->lock);
    slab *s = p->current;
    if (!s || s->at + size > SLAB_BYTES) {
        if (!p->spare && spare_add(p) && (s = p->current) && s->at + size <= SLAB_BYTES)
            ; /* another thread was faster; the spare one is for later */
        else
            s = next_slab(p, &full);
    }
    if (s) {
        block = (char *)s + s->at;
        s->at += size;
        if (s->at > s->paged) {
            fresh = s->paged;
            end = s->at;
            s->paged = (end + PAGE - 1) & ~(PAGE - 1);
        }
        POISON(block + wanted, size - wanted);
        atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
    }
    pthread_mutex_unlock(&p->lock);
    if (full)
        slab_unref(full);
    if (end)
        page_in(s, fresh, end); /* the block keeps the slab */
    return block;
}

static void block_free(void *block, size_t size)
{
    if (!from_slab(size)) {
        free(block);
        return;
    }
    POISON(block, size);
    slab_unref((slab *)((uintptr_t)block & ~(uintptr_t)(SLAB_BYTES - 1)));
}

static void *slab_resize(void *ctx, void *block, size_t old_size, size_t new_size)
{
    if (new_size == 0) {
        block_free(block, old_size);
        return NULL;
    }
    if (block && !from_slab(old_size) && !from_slab(new_size))
        return realloc(block, new_size);
    void *moved = from_slab(new_size) ? block_new(ctx, new_size) : malloc(new_size);
    if (moved && block) {
        memcpy(moved, block, old_size < new_size ? old_size : new_size);
        block_free(block, old_size);
    }
    return moved;
}

slab_pool *slab_pool_new(void)
{
    slab_pool *p = calloc(1, sizeof *p);
    if (!p)
        return NULL;
    if (pthread_mutex_init(&p->lock, NULL)) {
        free(p);
        return NULL;
    }
    p->refs = 1;
    p->huge_from = HUGE_AFTER;
    p->huge_pause = HUGE_PAUSE;
    return p;
}

void slab_pool_release(slab_pool *p)
{
    if (!p)
        return;
    pthread_mutex_lock(&p->lock);
    slab *current = p->current, *spare = p->spare;
    p->current = p->spare = NULL;
    p->released = true;
    for (slab *next; spare; spare = next) {
        next = spare->next;
        munmap(spare, SLAB_BYTES);
        p->refs--;
    }
    pool_unref(p);
    if (current)
        slab_unref(current);
}

mem_hooks slab_hooks(slab_pool *p)
{
    return (mem_hooks){slab_resize, p};
}
