/*
 * table_writer.h: rows into the data files of a table: a sink that computes partitions, keeps a Parquet writer for each
 * that is being written, rolls files at the table's target size, and gives back data files for a commit.
 *
 * Rows come in order and stay in order within a partition. At most WRITER_FANOUT files are open at a time (fewer when
 * memory is short): rows of further partitions go to spill files, bucketed by a hash of the partition, and are written
 * after the open ones are finished, bucket by bucket, in the same way.
 *
 * Rows are validated on the way: a NULL for a required column is FZ_VALUE (23502), naming the column.
 */
#ifndef ENGINE_TABLE_WRITER_H
#define ENGINE_TABLE_WRITER_H

#include "base/task.h"
#include "exec/source.h"
#include "iceberg/manifest/manifest.h"

#define WRITER_FANOUT 192

typedef struct table_writer table_writer;

/* md: what the files are written for (its current schema, default spec, properties, location); borrowed. schema: the rows' columns,
 * with the table's field ids. j: on whose pool columns are encoded. */
fz_status table_writer_open(const ib_metadata *md, const row_schema *schema, job *j, const char *temp_dir, mem *m,
                            table_writer **out, fz_error *err);
/* The rows come sorted by that order of the table: its files say so. Without it they say 0, unsorted. */
void table_writer_sorted(table_writer *w, int32_t order_id);
sink *table_writer_sink(table_writer *w);
/* What the files are written through: settled (io.h), they are durable. As long as the writer. */
file_io *table_writer_io(table_writer *w);
/* Finishes all files. The data files lie in the writer: use them before table_writer_close. */
fz_status table_writer_finish(table_writer *w, uint32_t *n, const ib_data_file **files, int64_t *rows, fz_error *err);
/* After the data files were committed: forgets them. Without it, close removes every file it wrote. */
void table_writer_committed(table_writer *w);
void table_writer_close(table_writer *w); /* NULL allowed */

#endif
