/*
 * rows_int.h: tuples: several columns' values side by side, for hash tables and sorting. A tuple starts
 * with null bits (1: null; a word per 64 columns), then a slot per column: 8 bytes (integers extended,
 * floats as doubles' or floats' bits) or 16 (wide decimals, string views). Slots of nulls are zero, so
 * that tuples without text are equal when their bytes are. Nested values are text here: their bytes (nested_bytes_int.h). Private to
 * exec/.
 */
#ifndef EXEC_ROWS_INT_H
#define EXEC_ROWS_INT_H

#include "arrow/vector.h"

typedef struct row_col { type t; uint8_t p; bool nested; uint32_t off, size; } row_col;
typedef struct row_layout {
    uint32_t n, null_words, width; /* bytes; a multiple of 8 */
    row_col *cols;
    bool text;                     /* has columns that may point outside */
    bool canonical;                /* keys: -0 becomes 0 and every NaN the same one */
} row_layout;

fz_status row_layout_init(row_layout *l, uint32_t n, const type *types, bool canonical, arena *a, fz_error *err);

/* Tuples of the rows rows[0..n) (NULL: first..first+n-1) of the columns, at dst, dst + stride, …; text is shared, that of
 * nested values lies in scratch. Columns may have any encoding. */
fz_status rows_encode(const row_layout *l, const vec *const *cols, const uint16_t *rows, uint32_t first, uint32_t n,
                      uint8_t *dst, size_t stride, arena *scratch, fz_error *err);
uint64_t row_hash(const row_layout *l, const uint8_t *row);
/* The same of n rows, stride apart. */
void rows_hash(const row_layout *l, const uint8_t *rows, size_t stride, uint32_t n, uint64_t *out);
bool row_eq(const row_layout *l, const uint8_t *a, const uint8_t *b);
static inline bool row_null(const uint8_t *row, uint32_t col)
{
    return ((const uint64_t *)row)[col >> 6] >> (col & 63) & 1;
}
static inline bool row_any_null(const row_layout *l, const uint8_t *row)
{
    uint64_t any = 0;
    for (uint32_t w = 0; w < l->null_words; w++)
        any |= ((const uint64_t *)row)[w];
    return any != 0;
}
/* Copies the text that lies outside the tuple to the arena. */
fz_status row_own(const row_layout *l, uint8_t *row, arena *a, fz_error *err);
/* FLAT vector of column c of n tuples; NULL tuples are nulls. Text is shared with the tuples. */
fz_status rows_decode(const row_layout *l, uint32_t c, const uint8_t *const *rows, uint32_t n, vec *out, arena *a, fz_error *err);

#endif
