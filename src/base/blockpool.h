/*
 * blockpool.h: large blocks of memory that are used again and again, by readers that make batch after batch. Thread-safe.
 */
#ifndef BASE_BLOCKPOOL_H
#define BASE_BLOCKPOOL_H

#include "base/mem.h"

typedef struct blockpool blockpool;
blockpool *blockpool_new(mem *m);
void blockpool_unref(blockpool *p); /* the owner's reference; blocks in use keep it alive; NULL allowed */
/* A buf of at least `size` bytes, aligned to 64, which returns to the pool with its last
 * reference. NULL: no memory. */
buf *blockpool_get(blockpool *p, size_t size);

#endif
