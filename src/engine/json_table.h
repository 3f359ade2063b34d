/* json_table.h: a JSON file as an input, and as a source of rows. */
#ifndef ENGINE_JSON_TABLE_H
#define ENGINE_JSON_TABLE_H

#include "engine/file_input.h"
#include "format/csv/csv.h"

/* Of the options those count that aren't about CSV's dialect. */
fz_status json_input_open(const char *path, const csv_options *o, mem *m, file_input **out, fz_error *err);
/* Several JSON inputs get the same columns, with types that hold the values of all. */
fz_status json_inputs_unify(file_input **in, uint32_t n, fz_error *err);

#endif
