/*
 * csv_table.h: a CSV file as a source of rows. A csv_input is the file with its inferred types; it belongs to a statement and
 * outlives the plans that are bound over it, so that a column can be widened and the statement start again.
 */
#ifndef ENGINE_CSV_TABLE_H
#define ENGINE_CSV_TABLE_H

#include "exec/source.h"
#include "format/csv/csv.h"

typedef struct csv_input {
    csv_source *src;
    char *path;
    bool started;   /* a scan has read from it */
    mem *m;
} csv_input;

fz_status csv_input_open(const char *path, const csv_options *o, mem *m, csv_input **out, fz_error *err);
void csv_input_close(csv_input *in); /* NULL allowed */

/* The input as a table: borrows `in`. One reference. */
fz_status csv_table_new(csv_input *in, mem *m, table_source **out, fz_error *err);

#endif
