/*
 * nested_bytes_int.h: nested values as bytes, for tuples and temporary files. Private to exec/.
 *
 *   value:   u8 0 (null), or u8 1 and
 *     number         its bytes                         text     u32 length, bytes
 *     struct         a value per field                 list     u32 elements, and per element u32 size, value
 *     map            u32 entries, and per entry u32 size, key, u32 size, value
 *
 * With `canonical`, values are equal if and only if their bytes are: -0 becomes 0 and every NaN the same one.
 */
#ifndef EXEC_NESTED_BYTES_INT_H
#define EXEC_NESTED_BYTES_INT_H

#include "arrow/vector.h"

/* out: a FLAT vector of n texts, in the arena; a row that is null is null there. Rows as in rows_encode. */
fz_status nested_encode(const vec *v, const uint16_t *rows, uint32_t first, uint32_t n, bool canonical, vec *out, arena *a, fz_error *err);
/* The other way: at[i] is where a value's bytes are, NULL for a null; the array is used up. Texts stay where they are. */
fz_status nested_decode(type t, const uint8_t **at, uint32_t n, vec *out, arena *a, fz_error *err);

#endif
