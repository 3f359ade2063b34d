/*
 * blockpool.c: blocks of text and of column values that are used again and again: fresh memory
 * of this size would come from the system page by page, at a cost near that of parsing it.
 *
 * Each block starts with a header that knows its pool. The pool lives until its owner let go
 * and the last block came back. At most KEEP free blocks are kept; sizes are rounded up to
 * steps of an eighth, so that blocks of about one size fit each other's place.
 */
#include "base/blockpool.h"

#include <pthread.h>

#define KEEP 12
#define HEAD 64

typedef struct block_head {
    blockpool *pool;
    void *base;     /* as allocated */
    size_t size;    /* as allocated */
    size_t cap;     /* behind the header */
} block_head;

struct blockpool {
    mem *m;
    pthread_mutex_t lock;
    uint32_t refs;  /* under the lock */
    uint32_t nfree;
    block_head *free[KEEP];
};

blockpool *blockpool_new(mem *m)
{
    blockpool *p = mem_zalloc(m, sizeof *p);
    if (!p)
        return NULL;
    p->m = m;
    p->refs = 1;
    pthread_mutex_init(&p->lock, NULL);
    return p;
}

static void head_free(mem *m, block_head *h) { mem_free(m, h->base, h->size); }

void blockpool_unref(blockpool *p)
{
    if (!p)
        return;
    pthread_mutex_lock(&p->lock);
    uint32_t left = --p->refs;
    pthread_mutex_unlock(&p->lock);
    if (left)
        return;
    for (uint32_t i = 0; i < p->nfree; i++)
        head_free(p->m, p->free[i]);
    pthread_mutex_destroy(&p->lock);
    mem_free(p->m, p, sizeof *p);
}

static void block_release(buf *b)
{
    block_head *h = b->owner, *drop = h;
    blockpool *p = h->pool;
    pthread_mutex_lock(&p->lock);
    if (p->refs > 1 && p->nfree < KEEP) {
        p->free[p->nfree++] = h;
        drop = NULL;
    }
    pthread_mutex_unlock(&p->lock);
    if (drop)
        head_free(p->m, drop);
    blockpool_unref(p);
}

/* The next size that is a multiple of an eighth of the power of two below. */
static size_t size_step(size_t n)
{
    if (n < 4096)
        return 4096;
    size_t step = ((size_t)1 << (63 - __builtin_clzll(n))) / 8;
    return (n + step - 1) / step * step;
}

buf *blockpool_get(blockpool *p, size_t size)
{
    size_t cap = size_step(size);
    block_head *h = NULL;
    pthread_mutex_lock(&p->lock);
    for (uint32_t i = p->nfree; i-- > 0;)
        if (p->free[i]->cap >= cap && p->free[i]->cap <= 2 * cap) {
            h = p->free[i];
            p->free[i] = p->free[--p->nfree];
            break;
        }
    if (!h && p->nfree == KEEP) /* sizes changed: make room for the new one's return */
        head_free(p->m, p->free[--p->nfree]);
    p->refs++;
    pthread_mutex_unlock(&p->lock);
    if (!h) {
        size_t total = cap + HEAD + 63 + BUF_PAD;
        char *base = mem_alloc(p->m, total);
        if (!base) {
            blockpool_unref(p);
            return NULL;
        }
        h = (block_head *)(void *)(((uintptr_t)base + 63) & ~(uintptr_t)63);
        *h = (block_head){.pool = p, .base = base, .size = total, .cap = cap};
    }
    buf *b = buf_wrap(p->m, (char *)h + HEAD, h->cap, block_release, h);
    if (!b) {
        head_free(p->m, h);
        blockpool_unref(p);
    }
    return b;
}
