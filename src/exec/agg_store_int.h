/*
 * agg_store_int.h: the groups of an aggregation once they are many: PARTS tables, parted by the lower bits of the
 * hash, that all workers add to, each behind a lock of its own. Private to exec/.
 *
 * When the query's memory is used up, partitions are written to temporary files and begun anew. Such a partition is
 * put together again when its groups are asked for (store_load); one that is too large even then is parted
 * further, by the next bits of the hash.
 *
 *   filling:  store_init, then from any thread store_each (with store_add), store_spill_over
 *   reading:  store_seal, then from any thread: store_next gives partitions until there are none
 */
#ifndef EXEC_AGG_STORE_INT_H
#define EXEC_AGG_STORE_INT_H

#include "exec/agg_int.h"
#include "exec/group_int.h"
#include "exec/pipe_int.h"
#include "exec/rowfile_int.h"

#define STORE_PARTS_LOG2 6
#define STORE_PARTS      (1u << STORE_PARTS_LOG2)

typedef struct store_part {
    pthread_mutex_t lock;
    group_table g;
    spill_file *file;
    int64_t held;           /* bytes of g that are counted in the store's */
} store_part;

/* A file of rows whose hashes agree in the bits below `bits`. */
typedef struct store_file { struct store_file *next; spill_file *file; uint32_t bits; } store_file;

typedef struct agg_store {
    query *q;
    const row_layout *key;
    const agg_inst *aggs;
    uint32_t naggs, state_bytes;
    bool text_states;
    row_shape shape;
    bool open;
    store_part *parts;
    _Atomic int64_t held;
    int64_t floor;          /* the store never spills below so many bytes */
    _Atomic bool spilled;
    /* reading */
    _Atomic uint32_t next_part;
    pthread_mutex_t files_lock;
    store_file *files;
} agg_store;

fz_status store_init(agg_store *s, query *q, const row_layout *key, const agg_inst *aggs, uint32_t naggs, uint32_t state_bytes, fz_error *err);
void store_free(agg_store *s);

static inline uint32_t store_part_of(uint64_t hash) { return (uint32_t)hash & (STORE_PARTS - 1); }
/* Calls fn for each partition p with at[p] < at[p+1], its lock held; those that are free first. */
typedef fz_status store_fn(void *ctx, store_part *p, uint32_t from, uint32_t to, fz_error *err);
fz_status store_each(agg_store *s, uint32_t first, const uint32_t *at, store_fn *fn, void *ctx, fz_error *err);
/* Adds the states of n rows to those of their groups. */
fz_status store_add(const agg_store *s, group_table *to, uint8_t *const *rows, uint32_t n, fz_error *err);
/* Writes partitions to files while the memory is used up. */
fz_status store_spill_over(agg_store *s, fz_error *err);

/* No more rows come. */
fz_status store_seal(agg_store *s, fz_error *err);
/* The groups of a partition, in `g` (initialised by the store; the caller frees it); *end: there are no more. A thread
 * that saw the end may go, whoever still loads a partition takes what comes of it. */
fz_status store_next(agg_store *s, group_table *g, bool *end, fz_error *err);

#endif
