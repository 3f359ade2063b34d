/*
 * csv_write.h: batches as CSV text: RFC 4180 with LF line ends; NULL is an empty field, an
 * empty string is "". Fields are quoted only where they must be. csv.h reads it back.
 */
#ifndef FORMAT_CSV_CSV_WRITE_H
#define FORMAT_CSV_CSV_WRITE_H

#include "arrow/vector.h"

/* One field, quoted if needed. */
void csv_write_field(sbuf *out, str s);
/* The column names, as one line. */
void csv_write_header(sbuf *out, const row_schema *s);
/* The selected rows of a batch, a line each. Check out->failed afterwards. */
void csv_write_batch(sbuf *out, const batch *b);

#endif
