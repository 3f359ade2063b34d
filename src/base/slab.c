/*
 * slab.c: see slab.h.
 *
 * A slab lies at a multiple of its size, so that a block's address leads to it; its header counts the blocks in
 * use, one more while the pool still cuts from it. The size of a block, which who frees it knows, says whether it
 * came from a slab. A pool lives until it is released and its last slab is gone; up to SPARE empty slabs
 * wait in it for their next use, as long as nobody has released it.
 */
#include "base/slab.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>

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
#define SPARE      16
#define PAGE       ((size_t)4096) /* or a part of one */

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

static slab *slab_map(slab_pool *p)
{
    char *raw = mmap(NULL, 2 * SLAB_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (raw == MAP_FAILED)
        return NULL;
    size_t before = (SLAB_BYTES - (uintptr_t)raw % SLAB_BYTES) % SLAB_BYTES;
    if (before)
        munmap(raw, before);
    munmap(raw + before + SLAB_BYTES, SLAB_BYTES - before);
    slab *s = (slab *)(raw + before);
    s->pool = p;
    s->paged = PAGE;
    atomic_init(&s->refs, 0);
    p->refs++;
    return s;
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
        full = s;
        s = p->spare;
        if (s) {
            p->spare = s->next;
            p->n_spare--;
        } else {
            s = slab_map(p);
        }
        p->current = s;
        if (s) {
            s->at = SLAB_HEAD;
            atomic_store_explicit(&s->refs, 1, memory_order_relaxed);
        }
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
