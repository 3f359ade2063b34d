/*
 * rowfile_int.h: rows of hash tables in temporary files, as they lie in memory. Private to exec/.
 *
 *   block:  u32 rows | u32 zero | u64 bytes of text | rows | texts longer than a view holds, one behind the other
 *
 * Pointers are made anew when a block is read: the texts come in the order of the rows, and within a row in that of
 * the shape's offsets.
 */
#ifndef EXEC_ROWFILE_INT_H
#define EXEC_ROWFILE_INT_H

#include "exec/spill.h"

typedef struct row_shape {
    uint32_t width;          /* of a row; a multiple of 8 */
    uint32_t ntext;
    const uint32_t *text_at; /* offsets of string views; len 0 where there is none */
} row_shape;

#define ROWFILE_BLOCK 1024 /* rows at most */

/* Appends n rows. */
fz_status rowfile_write(spill_file *f, const row_shape *s, uint8_t *const *rows, uint32_t n, fz_error *err);
/* The next block, in the arena: *n rows, s->width apart. *n 0: the end. */
fz_status rowfile_read(spill_file *f, const row_shape *s, arena *a, uint8_t **rows, uint32_t *n, fz_error *err);

#endif
