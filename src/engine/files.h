/*
 * files.h: files named by the user: what format they have, and the options of reading them, shared by load and by the table functions.
 */
#ifndef ENGINE_FILES_H
#define ENGINE_FILES_H

#include "engine/file_input.h"
#include "format/csv/csv.h"
#include "io/io.h"

typedef enum source_format { SOURCE_AUTO, SOURCE_CSV, SOURCE_PARQUET, SOURCE_AVRO, SOURCE_JSON } source_format;

/* By extension (.csv .tsv .txt .psv .json .ndjson .jsonl, also with .gz .zst; .parquet .pq; .avro), else by the first bytes; CSV where nothing
 * speaks against it. "-" (standard input) is CSV. */
fz_status source_detect(file_io *io, const char *path, source_format *out, fz_error *err);
/* By the extension alone; false: it says nothing. */
bool source_by_name(str path, source_format *out);
const char *source_format_name(source_format f);
fz_status source_format_parse(const char *text, source_format *out, fz_error *err);

/* Options by name into csv_options; lists grow in the arena. */
typedef struct source_options {
    arena *a;
    csv_options *o;
    uint32_t cap_types, cap_nulls;
    csv_type *types;
    str *nulls;
    const char *csv_only;  /* an option that was set and has no meaning but for CSV */
} source_options;

void source_options_init(source_options *so, arena *a, csv_options *o);
/* *known false: not an option of reading text. value lives as long as the arena. FZ_INVALID for a malformed one. */
fz_status source_options_set(source_options *so, const char *key, const char *value, bool *known, fz_error *err);

/* The type that holds two files' values of a column; one that has had no value yet (undecided) says nothing. */
type input_type_join(type a, bool a_undecided, type b, bool b_undecided);
/* Gives several files of text the same columns, each with the type that holds the values of all. Files of CSV have the first one's
 * columns, in its order, else FZ_INVALID. Before reading; and again after one of them was widened. */
fz_status inputs_unify(source_format f, uint32_t n, file_input **in, fz_error *err);

/* Opens a file of text, CSV or JSON. o: so's options, or a copy with some changed. */
fz_status source_open(source_format f, const char *path, const source_options *so, const csv_options *o, mem *m, file_input **out, fz_error *err);

#endif
