/*
 * mem.c: see mem.h.
 *
 * Counting. Every allocation adds its size to `used` of its mem and of all parents; `peak`
 * follows. A `mem` without hooks of its own takes its parent's, so that memory is always freed
 * by what allocated it. Sizes are given back by the caller: no header is kept per block.
 *
 * Arena. Chunks double from 4 kB to 1 MB. A request that would waste much of the current chunk
 * gets a chunk of its own, linked behind the current one, which stays in use. Under the
 * address sanitizer the unused part of a chunk is poisoned.
 *
 * Buffers. The block of a buf is over-allocated by 63 bytes and its data aligned inside it;
 * `owner` keeps the block's own address. The BUF_PAD bytes behind cap are zero when allocated.
 */
#include "base/mem.h"

#include <stdlib.h>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#define POISON(p, n)   __asan_poison_memory_region((p), (n))
#define UNPOISON(p, n) __asan_unpoison_memory_region((p), (n))
#else
#define POISON(p, n)   ((void)(p), (void)(n))
#define UNPOISON(p, n) ((void)(p), (void)(n))
#endif

#define MEM_MAX ((size_t)PTRDIFF_MAX / 2) /* larger requests fail: sizes can be added safely */

void mem_init(mem *m, mem *parent, const mem_hooks *hooks, int64_t limit)
{
    memset(m, 0, sizeof *m);
    if (hooks)
        m->hooks = *hooks;
    else if (parent)
        m->hooks = parent->hooks;
    m->parent = parent;
    m->limit = limit > 0 ? limit : 0;
    atomic_init(&m->used, 0);
    atomic_init(&m->peak, 0);
}

static void peak_raise(mem *m, int64_t now)
{
    int64_t peak = atomic_load_explicit(&m->peak, memory_order_relaxed);
    while (now > peak &&
           !atomic_compare_exchange_weak_explicit(&m->peak, &peak, now, memory_order_relaxed,
                                                  memory_order_relaxed))
        ;
}

void mem_charge(mem *m, int64_t bytes)
{
    for (; m; m = m->parent) {
        int64_t now = atomic_fetch_add_explicit(&m->used, bytes, memory_order_relaxed) + bytes;
        if (bytes > 0)
            peak_raise(m, now);
    }
}

bool mem_over(const mem *m, int64_t more)
{
    for (; m; m = m->parent)
        if (m->limit > 0 && atomic_load_explicit(&m->used, memory_order_relaxed) > m->limit - more)
            return true;
    return false;
}

int64_t mem_limit(const mem *m)
{
    int64_t least = 0;
    for (; m; m = m->parent)
        if (m->limit > 0 && (!least || m->limit < least))
            least = m->limit;
    return least;
}

bool mem_reserve(mem *m, int64_t bytes)
{
    for (mem *at = m; at; at = at->parent) {
        int64_t used = atomic_load_explicit(&at->used, memory_order_relaxed);
        bool fits;
        do
            fits = at->limit <= 0 || bytes <= 0 || used <= at->limit - bytes;
        while (fits && !atomic_compare_exchange_weak_explicit(&at->used, &used, used + bytes,
                                                              memory_order_relaxed,
                                                              memory_order_relaxed));
        if (!fits) {
            for (mem *undo = m; undo != at; undo = undo->parent)
                atomic_fetch_sub_explicit(&undo->used, bytes, memory_order_relaxed);
            return false;
        }
        peak_raise(at, used + bytes);
    }
    return true;
}

/* A block always has at least one byte, so that NULL means failure only. */
static inline size_t block_size(size_t size) { return size ? size : 1; }

void *mem_alloc(mem *m, size_t size)
{
    if (size > MEM_MAX)
        return NULL;
    size = block_size(size);
    void *p = m && m->hooks.resize ? m->hooks.resize(m->hooks.ctx, NULL, 0, size) : malloc(size);
    if (p)
        mem_charge(m, (int64_t)size);
    return p;
}

void *mem_zalloc(mem *m, size_t size)
{
    if (size > MEM_MAX)
        return NULL;
    size = block_size(size);
    if (m && m->hooks.resize) {
        void *p = mem_alloc(m, size);
        if (p)
            memset(p, 0, size);
        return p;
    }
    void *p = calloc(1, size); /* leaves fresh pages untouched */
    if (p)
        mem_charge(m, (int64_t)size);
    return p;
}

void *mem_resize(mem *m, void *p, size_t old_size, size_t new_size)
{
    if (!p)
        return mem_alloc(m, new_size);
    if (new_size > MEM_MAX)
        return NULL;
    old_size = block_size(old_size);
    new_size = block_size(new_size);
    void *q = m && m->hooks.resize ? m->hooks.resize(m->hooks.ctx, p, old_size, new_size)
                                   : realloc(p, new_size);
    if (q)
        mem_charge(m, (int64_t)new_size - (int64_t)old_size);
    return q;
}

void mem_free(mem *m, void *p, size_t size)
{
    if (!p)
        return;
    size = block_size(size);
    if (m && m->hooks.resize)
        m->hooks.resize(m->hooks.ctx, p, size, 0);
    else
        free(p);
    mem_charge(m, -(int64_t)size);
}

/* ---- arena ---- */

#define ARENA_CHUNK_MIN 4096
#define ARENA_CHUNK_MAX ((size_t)1 << 20)

void arena_init(arena *a, mem *m)
{
    *a = (arena){.m = m};
}

static arena_chunk *chunk_new(arena *a, size_t size)
{
    arena_chunk *c = mem_alloc(a->m, size);
    if (!c)
        return NULL;
    c->next = NULL;
    c->size = size;
    a->total += size;
    POISON(c->data, size - sizeof *c);
    return c;
}

static void chunk_free(arena *a, arena_chunk *c)
{
    UNPOISON(c, c->size);
    a->total -= c->size;
    mem_free(a->m, c, c->size);
}

static void *arena_grow(arena *a, size_t need)
{
    size_t next = a->head ? a->head->size * 2 : ARENA_CHUNK_MIN;
    if (next > ARENA_CHUNK_MAX)
        next = ARENA_CHUNK_MAX;
    if (need > next / 4) {
        arena_chunk *c = chunk_new(a, sizeof *c + need);
        if (!c)
            return NULL;
        UNPOISON(c->data, need);
        if (a->head) { /* behind the head, which still has room */
            c->next = a->head->next;
            a->head->next = c;
        } else {
            a->head = c;
            a->at = a->end = (char *)c + c->size;
        }
        return c->data;
    }
    arena_chunk *c = chunk_new(a, next);
    if (!c)
        return NULL;
    c->next = a->head;
    a->head = c;
    a->at = (char *)c->data + need;
    a->end = (char *)c + next;
    UNPOISON(c->data, need);
    return c->data;
}

void *arena_alloc(arena *a, size_t size)
{
    if (size > MEM_MAX)
        return NULL;
    size_t need = (block_size(size) + 15) & ~(size_t)15;
    if (need > (size_t)(a->end - a->at))
        return arena_grow(a, need);
    void *p = a->at;
    a->at += need;
    UNPOISON(p, size);
    return p;
}

void *arena_zalloc(arena *a, size_t size)
{
    void *p = arena_alloc(a, size);
    if (p)
        memset(p, 0, size);
    return p;
}

void *arena_array(arena *a, size_t size, size_t n)
{
    size_t bytes;
    if (__builtin_mul_overflow(size, n, &bytes))
        return NULL;
    return arena_zalloc(a, bytes);
}

char *arena_strndup(arena *a, const char *s, size_t n)
{
    if (n > MEM_MAX - 1)
        return NULL;
    char *p = arena_alloc(a, n + 1);
    if (!p)
        return NULL;
    if (n)
        memcpy(p, s, n);
    p[n] = 0;
    return p;
}

void arena_reset(arena *a)
{
    arena_chunk *keep = NULL;
    for (arena_chunk *c = a->head, *next; c; c = next) {
        next = c->next;
        if (!keep || c->size > keep->size) {
            if (keep)
                chunk_free(a, keep);
            keep = c;
        } else {
            chunk_free(a, c);
        }
    }
    a->head = keep;
    a->at = a->end = NULL;
    if (keep) {
        keep->next = NULL;
        a->at = (char *)keep->data;
        a->end = (char *)keep + keep->size;
        POISON(a->at, (size_t)(a->end - a->at));
    }
}

void arena_free(arena *a)
{
    for (arena_chunk *c = a->head, *next; c; c = next) {
        next = c->next;
        chunk_free(a, c);
    }
    arena_init(a, a->m);
}

/* ---- buf ---- */

#define BUF_ALIGN 64
#define BUF_BLOCK(cap) ((cap) + BUF_PAD + BUF_ALIGN - 1)

static uint8_t *block_data(void *block)
{
    return (uint8_t *)(((uintptr_t)block + BUF_ALIGN - 1) & ~(uintptr_t)(BUF_ALIGN - 1));
}

buf *buf_new(mem *m, size_t cap)
{
    if (cap > MEM_MAX - BUF_BLOCK(0))
        return NULL;
    buf *b = mem_zalloc(m, sizeof *b);
    if (!b)
        return NULL;
    b->owner = mem_alloc(m, BUF_BLOCK(cap));
    if (!b->owner) {
        mem_free(m, b, sizeof *b);
        return NULL;
    }
    atomic_init(&b->refs, 1);
    b->data = block_data(b->owner);
    b->size = b->cap = cap;
    b->m = m;
    memset(b->data + cap, 0, BUF_PAD);
    return b;
}

buf *buf_wrap(mem *m, const void *data, size_t size, void (*release)(buf *), void *owner)
{
    buf *b = mem_zalloc(m, sizeof *b);
    if (!b)
        return NULL;
    atomic_init(&b->refs, 1);
    b->data = (uint8_t *)(uintptr_t)data;
    b->size = b->cap = size;
    b->m = m;
    b->release = release;
    b->owner = owner;
    return b;
}

bool buf_reserve(buf *b, size_t cap)
{
    if (cap <= b->cap)
        return true;
    if (b->release || cap > MEM_MAX - BUF_BLOCK(0))
        return false; /* foreign memory can't grow */
    size_t shift = (size_t)(b->data - (uint8_t *)b->owner);
    void *block = mem_resize(b->m, b->owner, BUF_BLOCK(b->cap), BUF_BLOCK(cap));
    if (!block)
        return false;
    uint8_t *data = block_data(block);
    if ((size_t)(data - (uint8_t *)block) != shift) /* the block moved to another alignment */
        memmove(data, (uint8_t *)block + shift, b->cap);
    b->owner = block;
    b->data = data;
    b->cap = cap;
    memset(data + cap, 0, BUF_PAD);
    return true;
}

/* The release of a wrap may be NULL too (static memory): then owner is NULL as well. */
void buf_unref(buf *b)
{
    if (!b || atomic_fetch_sub_explicit(&b->refs, 1, memory_order_acq_rel) != 1)
        return;
    if (b->release)
        b->release(b);
    else if (b->owner)
        mem_free(b->m, b->owner, BUF_BLOCK(b->cap));
    mem_free(b->m, b, sizeof *b);
}
