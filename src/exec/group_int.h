/*
 * group_int.h: a hash table of tuples: groups with their aggregates' states, or keys of a join's build
 * side. Rows live in chunks and never move:
 *
 *   row:   hash (8 bytes) | extra (8 bytes) | key tuple | padding to 16 | states
 *   slot:  upper half of the hash (32 bits) | row number + 1 (32 bits); 0: empty
 *
 * Whoever parts rows by their hash uses its lower half: the upper one places them in the table.
 *
 * One thread at a time. Private to exec/.
 */
#ifndef EXEC_GROUP_INT_H
#define EXEC_GROUP_INT_H

#include "exec/rows_int.h"

#define GROUP_KEY 16 /* offset of the key tuple in a row */
#define GROUP_CHUNK_LOG2 10

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
static inline uint32_t group_states_at(const row_layout *key) { return (GROUP_KEY + key->width + 15) & ~15u; }
static inline uint8_t *group_row(const group_table *g, uint32_t i)
{
    return g->chunks[i >> GROUP_CHUNK_LOG2] + (size_t)(i & ((1u << GROUP_CHUNK_LOG2) - 1)) * g->width;
}
int64_t group_bytes(const group_table *g); /* memory it holds */
/* The row of a key, added (states zero, text copied) where it is missing. */
fz_status group_find_add(group_table *g, const uint8_t *key, uint64_t hash, uint8_t **row, fz_error *err);
fz_status group_reserve(group_table *g, uint64_t n, fz_error *err); /* slots for n rows */
void group_prefetch(const group_table *g, uint64_t hash);
/* NULL: not there. */
uint8_t *group_find(const group_table *g, const uint8_t *key, uint64_t hash);
/* n keys at `keys`, stride apart; hashes[] and rows[] parallel. */
fz_status group_find_add_all(group_table *g, const uint8_t *keys, size_t stride, const uint64_t *hashes, uint32_t n, uint8_t **rows, fz_error *err);
void rows_hash(const row_layout *l, const uint8_t *rows, size_t stride, uint32_t n, uint64_t *out);
/* A row that is not in the slots (duplicates of a join key). */
fz_status group_append(group_table *g, uint8_t **row, fz_error *err);

#endif
