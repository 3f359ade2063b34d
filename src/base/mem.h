/*
 * mem.h: memory. Three lifetimes cover everything:
 *
 *   mem     an allocator with a budget: every large allocation is counted here
 *   arena   many small objects that die together (metadata, plans, per-batch scratch)
 *   buf     one refcounted block of bytes (column data, file contents)
 *
 * The budget is a soft limit: an allocation is counted and never refused by it. An operator
 * that can do with less (spill, wait, shrink a window) asks mem_over() or mem_reserve() first.
 * NULL is returned only where the allocator itself fails. A `mem *` may be NULL everywhere:
 * then libc's allocator is used and nothing is counted.
 *
 * Thread safety: mem and buf reference counts are atomic; an arena belongs to one thread at
 * a time; a buf's bytes may be written only while its creator holds the only reference.
 */
#ifndef BASE_MEM_H
#define BASE_MEM_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* The allocator that a program may plug in. resize(ctx, p, old, new): p NULL allocates, new 0
 * frees and returns NULL; results are aligned to 16 bytes; must be thread-safe. */
typedef struct mem_hooks {
    void *(*resize)(void *ctx, void *p, size_t old_size, size_t new_size);
    void *ctx;
} mem_hooks;

typedef struct mem {
    mem_hooks hooks;          /* resize NULL: libc */
    struct mem *parent;       /* also charged there; NULL at the root */
    _Atomic int64_t used;     /* bytes now */
    _Atomic int64_t peak;
    int64_t limit;            /* soft limit in bytes; 0: none */
} mem;

void mem_init(mem *m, mem *parent, const mem_hooks *hooks, int64_t limit);

void *mem_alloc(mem *m, size_t size);                 /* uninitialised; NULL on failure */
void *mem_zalloc(mem *m, size_t size);
/* p NULL allocates; p stays as it is on failure. A size of 0 counts as 1 everywhere here. */
void *mem_resize(mem *m, void *p, size_t old_size, size_t new_size);
void mem_free(mem *m, void *p, size_t size);          /* p may be NULL */

/* Counts memory that something else allocated (negative: gives back). */
void mem_charge(mem *m, int64_t bytes);
/* Whether `more` bytes would pass this limit or a parent's. */
bool mem_over(const mem *m, int64_t more);
/* The least limit of this one and its parents; 0: none. */
int64_t mem_limit(const mem *m);
/* Charges `bytes` unless that would pass a limit; gives back with mem_charge(m, -bytes). */
bool mem_reserve(mem *m, int64_t bytes);

/* ---- arena ---- */

typedef struct arena_chunk {
    struct arena_chunk *next;
    size_t size; /* of the whole chunk */
    max_align_t data[];
} arena_chunk;

typedef struct arena {
    mem *m;
    arena_chunk *head;  /* the current chunk; older ones behind it */
    char *at, *end;
    size_t total;       /* bytes of all chunks */
} arena;

void arena_init(arena *a, mem *m);
/* Aligned to 16; NULL only if the allocator fails. */
void *arena_alloc(arena *a, size_t size);
void *arena_zalloc(arena *a, size_t size);
char *arena_strndup(arena *a, const char *s, size_t n); /* NUL-terminated copy */
/* Keeps the largest chunk, forgets the contents. */
void arena_reset(arena *a);
void arena_free(arena *a);
#define ARENA_NEW(a, T)       ((T *)arena_zalloc((a), sizeof(T)))
/* n zeroed objects of `size` bytes; NULL too when their product overflows. */
void *arena_array(arena *a, size_t size, size_t n);
#define ARENA_ARRAY(a, T, n)  ((T *)arena_array((a), sizeof(T), (size_t)(n)))

/* ---- buf ---- */

#define BUF_PAD 64 /* readable bytes behind cap, so that SIMD loads may pass the end */

typedef struct buf {
    _Atomic int refs;
    uint8_t *data;   /* aligned to 64 */
    size_t size;     /* bytes in use */
    size_t cap;
    mem *m;
    void (*release)(struct buf *); /* for foreign memory; NULL: this module's own */
    void *owner;
} buf;

/* size = cap = `cap`, contents uninitialised; one reference. NULL on failure. */
buf *buf_new(mem *m, size_t cap);
/* Wraps memory that something else owns; `release` (NULL with a NULL owner: static memory) is called with the last reference and
 * frees what `owner` needs, not the buf itself. The memory needs no padding: readers that
 * rely on BUF_PAD copy first. */
buf *buf_wrap(mem *m, const void *data, size_t size, void (*release)(buf *), void *owner);
/* Grows in place or moves; only while the caller holds the only reference. False: no memory. */
bool buf_reserve(buf *b, size_t cap);
static inline buf *buf_ref(buf *b)
{
    if (b)
        atomic_fetch_add_explicit(&b->refs, 1, memory_order_relaxed);
    return b;
}
void buf_unref(buf *b); /* NULL allowed */

#endif
