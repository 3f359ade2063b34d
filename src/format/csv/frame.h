/* frame.h: private to this folder; see frame.c. */
#ifndef FORMAT_CSV_FRAME_H
#define FORMAT_CSV_FRAME_H

#include "format/csv/csv_int.h"

/* The next frame of the local's block, of at most `max` rows; f->n = 0: the block is used up. */
fz_status frame_next(csv_local *l, uint32_t max, csv_frame *f, fz_error *err);
/* Counts a row that is left out, and writes it down for the file of rejects. */
void row_reject(csv_local *l, uint32_t start, uint32_t end, uint32_t at, const char *reason);

#endif
