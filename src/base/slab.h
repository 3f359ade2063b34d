/*
 * slab.h: an allocator for what a program takes away: many blocks of some 10 kB to 1 MB that are made one
 * after the other and kept or dropped in about that order (arrays handed out as Arrow).
 *
 * libc would take fresh pages for them, 4 kB at a time, and for a large result the page faults cost more than all
 * other work. Here blocks are cut from slabs of 4 MB, which are paged in as huge pages where these are cheap, else block by block
 * just before they are used; a slab is used again, or unmapped, when its last block is freed. Small blocks and very large ones
 * are libc's.
 *
 * Blocks may outlive the pool that they were cut from, and may be freed by any thread. Allocating is thread-safe, and
 * must end before slab_pool_release.
 */
#ifndef BASE_SLAB_H
#define BASE_SLAB_H

#include "base/mem.h"

typedef struct slab_pool slab_pool;

slab_pool *slab_pool_new(void); /* NULL: no memory */
/* What is still in use stays. NULL allowed. */
void slab_pool_release(slab_pool *p);
/* For mem_init: allocates from p. Frees without it. */
mem_hooks slab_hooks(slab_pool *p);

#endif
