/* csv_table.h: a CSV file as an input, and as a source of rows. */
#ifndef ENGINE_CSV_TABLE_H
#define ENGINE_CSV_TABLE_H

#include "engine/file_input.h"
#include "format/csv/csv.h"

fz_status csv_input_open(const char *path, const csv_options *o, mem *m, file_input **out, fz_error *err);
/* NULL: the input is of another kind. */
const csv_source *csv_input_source(const file_input *in);

#endif
