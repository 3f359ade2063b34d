/*
 * join_int.h: a hash join: what op_join.c (build side), join_probe.c (probe side) and join_late.c (partitions that were
 * put aside) share. Private to exec/.
 *
 *   build row:  next | hash | key tuple | all columns of the build side
 *
 * Directories hold a pointer to the first row of a chain in the lower 48 bits; each of the upper 16 says whether some
 * row of the chain has that bit (tag_of), so that most keys without a match are seen without touching a row.
 */
#ifndef EXEC_JOIN_INT_H
#define EXEC_JOIN_INT_H

#include "exec/eval_int.h"
#include "exec/pipe_int.h"
#include "exec/rowfile_int.h"
#include "exec/rows_int.h"

#define JOIN_PARTS_LOG2 5
#define JOIN_PARTS      (1u << JOIN_PARTS_LOG2)
#define ROW_KEY         16
#define ROW_EXTRA       24 /* bytes of lists and directories for a row, about */

typedef struct rowlist { uint8_t **p; size_t n, cap; } rowlist;
typedef struct directory { uint64_t *heads; uint64_t cap; } directory;

typedef struct join_keys {
    const expr **exprs;
    evaluator **ev;
    vec *vecs;
    const vec **ptrs;
} join_keys;

typedef struct build_local {
    struct join_op *op;
    arena rows, scratch;
    join_keys keys;
    const vec **col_ptrs;
    uint64_t *hashes;
    rowlist parts[JOIN_PARTS];
} build_local;

/* A partition: in memory, or in files. */
typedef struct join_part {
    pthread_mutex_t lock;
    directory d;
    arena rows;             /* of a partition that was loaded again */
    spill_file *build, *probe;
    uint64_t nbuild;
    bool away;              /* not in memory: rows of the probe side are put aside too */
} join_part;

/* A partition that is still to do: rows whose hashes agree in the upper `bits`. */
typedef struct join_item {
    struct join_item *next;
    spill_file *build, *probe;
    uint64_t nbuild;
    uint32_t bits;
    bool stuck;             /* parting brought nothing: nearly all rows have one key */
} join_item;

typedef struct join_op {
    psink s;
    op probe;
    psource late;
    query *q;
    const plan *p;
    bool build_left;
    uint32_t nkeys, nleft, nright; /* columns of the inputs */
    const expr **build_keys, **probe_keys;
    row_layout key, cols;          /* of the build side */
    uint32_t width;
    row_shape shape;
    build_local **locals;
    uint32_t nlocals, nparts;
    bool open;                     /* locks are made */
    join_part parts[JOIN_PARTS];
    uint64_t rows;
    _Atomic uint64_t collected;
    _Atomic bool spilling;         /* the build side is written to files */
    int64_t floor;
    /* after the build */
    bool away;                     /* some partition is */
    pthread_mutex_t lock;          /* of the list */
    join_item *items;
    bool listed;
    _Atomic uint64_t morsels;
} join_op;

/* What a worker has loaded of the partitions that were put aside. */
typedef struct late_local {
    arena rows, scratch;
    directory d;
    spill_file *build, *probe;     /* the one it reads */
    join_keys keys;
    uint64_t morsel;
    uint32_t seq;
    bool open;
} late_local;

static inline uint32_t join_part_of(uint64_t hash) { return (uint32_t)(hash >> (64 - JOIN_PARTS_LOG2)); }
static inline uint64_t tag_of(uint64_t hash) { return 1ull << (48 + (hash >> 44 & 15)); }
#define HEAD_ROW(head) ((uint8_t *)(uintptr_t)((head) & 0xffffffffffffull))

/* ---- op_join.c ---- */
fz_status join_keys_open(join_op *o, const expr **exprs, join_keys *k, fz_error *err);
void join_keys_close(join_op *o, join_keys *k);
fz_status join_keys_eval(join_op *o, join_keys *k, const batch *b, fz_error *err);
fz_status directory_init(join_op *o, directory *d, uint64_t rows, fz_error *err);
static inline void directory_add(directory *d, uint8_t *row)
{
    uint64_t hash;
    memcpy(&hash, row + 8, 8);
    uint64_t *head = &d->heads[hash & (d->cap - 1)], next = *head & 0xffffffffffffull;
    memcpy(row, &next, 8);
    *head = (*head & ~0xffffffffffffull) | tag_of(hash) | (uint64_t)(uintptr_t)row;
}
/* All rows of a build file, into the arena and a new directory. */
fz_status build_load(join_op *o, spill_file *f, uint64_t rows, arena *a, directory *d, fz_error *err);
void directory_free(join_op *o, directory *d);

/* ---- join_probe.c ---- */
extern const op_ops join_probe_ops;

/* ---- join_late.c ---- */
extern const psource_ops join_late_ops;

#endif
