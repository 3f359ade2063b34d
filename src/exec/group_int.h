/*
 * group_int.h: a hash table of tuples: groups with their aggregates' states. Rows live in chunks and never move:
 *
 *   row:   hash (8 bytes) | key tuple | padding to 16 | states
 *   slot:  upper half of the hash (32 bits) | row number + 1 (32 bits); 0: empty
 *
 * Whoever parts rows by their hash uses its lower half: the upper one places them in the table.
 *
 * One thread at a time. Private to exec/.
 */
#ifndef EXEC_GROUP_INT_H
#define EXEC_GROUP_INT_H

#include "exec/rows_int.h"

#define GROUP_KEY 8 /* offset of the key tuple in a row */
#define GROUP_CHUNK_LOG2 8

typedef struct group_table {
    mem *m;
    const row_layout *key;
    uint32_t width;      /* of a row; a multiple of 16 */
    uint64_t *slots;
    uint64_t cap;        /* power of two */
    uint32_t n;          /* rows */
    uint8_t **chunks;
    uint32_t nchunks, capchunks;
    arena text;          /* long text of keys and states */
    int64_t bytes;       /* of chunks and slots */
} group_table;

void group_table_init(group_table *g, const row_layout *key, uint32_t state_bytes, mem *m);
void group_table_free(group_table *g);
void group_table_clear(group_table *g); /* no rows; keeps the slots and one chunk */
static inline uint32_t group_states_at(const row_layout *key) { return (GROUP_KEY + key->width + 15) & ~15u; }
static inline uint8_t *group_row(const group_table *g, uint32_t i)
{
    return g->chunks[i >> GROUP_CHUNK_LOG2] + (size_t)(i & ((1u << GROUP_CHUNK_LOG2) - 1)) * g->width;
}
int64_t group_bytes(const group_table *g); /* memory it holds */
static inline uint64_t group_hash_of(const uint8_t *row)
{
    uint64_t h;
    memcpy(&h, row, 8);
    return h;
}
/* The row of a key, added (states zero, text copied) where it is missing. */
fz_status group_find_add(group_table *g, const uint8_t *key, uint64_t hash, uint8_t **row, fz_error *err);
fz_status group_reserve(group_table *g, uint64_t n, fz_error *err); /* slots for n rows */
/* Asks for the cache line of the slot; later, for that of the row which the slot names. */
static inline void group_prefetch(const group_table *g, uint64_t hash)
{
    if (g->cap)
        __builtin_prefetch(&g->slots[hash >> 32 & (g->cap - 1)]);
}
static inline void group_prefetch_row(const group_table *g, uint64_t hash)
{
    uint64_t s = g->cap ? g->slots[hash >> 32 & (g->cap - 1)] : 0;
    if (s) {
        const uint8_t *row = group_row(g, (uint32_t)s - 1);
        __builtin_prefetch(row);
        __builtin_prefetch(row + g->width - 16);
    }
}
/* Of n keys: rows[k] is that of the key at keys + which[k] * width, whose hash is hashes[which[k]]. which NULL: all in order. */
fz_status group_find_add_all(group_table *g, const uint8_t *keys, const uint64_t *hashes, const uint16_t *which, uint32_t n, uint8_t **rows, fz_error *err);
#endif
