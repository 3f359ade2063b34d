/*
 * sortkey_int.h: normalised sort keys: the keys of a row as words that compare as unsigned numbers, in the order
 * that the keys ask for (direction and place of nulls included). A key takes a byte for null and its value
 * big-endian with the sign flipped, inverted for DESC. Text takes 15 bytes of prefix and ends a segment: where
 * those are equal the whole texts decide, before the next segment is looked at.
 *
 *   entry:  key words | position word | row pointer
 *
 * Private to exec/.
 */
#ifndef EXEC_SORTKEY_INT_H
#define EXEC_SORTKEY_INT_H

#include "exec/plan.h"
#include "exec/rows_int.h"

typedef struct sort_segment {
    uint32_t from, to;   /* words */
    int32_t text;        /* column of the row layout whose text decides, or -1 */
    bool desc;
} sort_segment;

typedef struct sort_spec {
    uint32_t nkeys, words, nsegments;
    const sort_key *keys;
    const row_layout *rows;
    uint32_t *row_col;   /* where a key's value lies in the row */
    uint32_t *byte_at;   /* offset of each key in the entry's bytes */
    sort_segment *segments;
    bool text;
} sort_spec;

/* Words of an entry. */
static inline uint32_t sort_stride(const sort_spec *s) { return s->words + 2; }
static inline uint8_t *entry_row(const sort_spec *s, const uint64_t *e) { return (uint8_t *)(uintptr_t)e[s->words + 1]; }

fz_status sort_spec_init(sort_spec *s, uint32_t nkeys, const sort_key *keys, const row_layout *rows, const uint32_t *row_col,
                         arena *a, fz_error *err);
/* Writes the key words of the rows of the key vectors (one per key) to entries of sort_stride words. */
fz_status sort_encode(const sort_spec *s, const vec *const *keys, const uint16_t *rows, uint32_t n, uint64_t *entries,
                      arena *scratch, fz_error *err);
int sort_cmp(const sort_spec *s, const uint64_t *a, const uint64_t *b);
/* Sorts n entries; tmp has room for as many. Stable. */
void sort_entries(const sort_spec *s, uint64_t *entries, uint64_t *tmp, size_t n);

#endif
