/*
 * rows.h: a delete file's rows, front to back, a batch at a time, from Parquet or Avro. Columns are found by field id, or
 * by name in files that have no ids.
 */
#ifndef ICEBERG_DELETE_ROWS_H
#define ICEBERG_DELETE_ROWS_H

#include "arrow/vector.h"
#include "iceberg/manifest/manifest.h"

typedef struct delete_rows delete_rows;

/* want outlives it. FZ_DATA where a wanted column is missing; columns of the file keep it open. */
fz_status delete_rows_open(file_io *io, const ib_data_file *f, uint32_t n, const column_def *want, mem *m, delete_rows **out, fz_error *err);
/* out: reset, then the next rows; *more false at the end. */
fz_status delete_rows_next(delete_rows *r, batch *out, bool *more, fz_error *err);
void delete_rows_close(delete_rows *r); /* NULL allowed */
const char *delete_rows_path(const delete_rows *r);

#endif
