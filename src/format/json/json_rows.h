/*
 * json_rows.h: reading JSON as batches of typed columns, in parallel: one value per line, values one after the other, or one array.
 *
 *     json_rows_open ──> json_rows_schema, json_rows_project ──> each worker: json_local_new
 *                    ──> json_rows_next until JSON_ROWS_END (or _WIDEN) ──> json_local_free ──> json_rows_close
 *                               ^                         │
 *                               └── json_rows_restart ────┘   (_WIDEN, nothing of it kept)
 *
 * ROWS. A record is an object whose keys are the columns (its first appearance gives a column's place); keys that a record lacks are NULL. Where the first
 * value isn't an object, there is one column "value". A key twice in one object is an error, and so is one that the
 * given schema doesn't have. Text is UTF-8, a byte order mark is allowed.
 *
 * TYPES are inferred from a sample: boolean, bigint, double, date, time, timestamp (with zone) from texts that are all of that form, text,
 * structs and lists of these. Integers of more than 64 bits make decimal(38,0). A column whose values have no type in common is text:
 * texts as they are, everything else as the JSON that stands there; so is one of empty objects, and one of objects with more than JSON_KEYS_MAX keys.
 *
 * WIDENING works as the CSV reader's (csv.h): a value that doesn't fit its inferred type, and a key that wasn't there before, let
 * the workers look through the rest of the input for what types it needs; the source ends with JSON_ROWS_WIDEN, and the
 * caller throws away what it got, calls json_rows_restart and reads again. Numbers never lose digits: a whole number that a double
 * can't hold makes a column of doubles text. With `strict`, in a column whose type was given, and after json_rows_keep_types() a misfit is an
 * error (FZ_VALUE).
 *
 * A given type takes values of its kind, and texts that read as such (with all their digits); a map takes an object.
 *
 * ERRORS carry the line, the column in bytes (both from 1) and the byte offset in the text. Of several the first in the file is
 * reported. skip_errors leaves records in error out, each with its line; broken JSON only where each line is a record.
 */
#ifndef FORMAT_JSON_JSON_ROWS_H
#define FORMAT_JSON_JSON_ROWS_H

#include "arrow/vector.h"
#include "base/log.h"
#include "base/task.h"
#include "format/text/input.h"

#define JSON_COLUMNS_MAX 10000
#define JSON_KEYS_MAX    1000  /* of an object within a record that becomes a struct */

typedef struct json_rows json_rows;
typedef struct json_local json_local;

typedef struct json_type {
    str name;
    type t;
} json_type;

typedef struct json_rows_options {
    const json_type *types;   /* types by column name; a column that the sample lacks is added */
    uint32_t ntypes;
    const row_schema *schema; /* the columns of an existing table, or NULL */
    const str *nulls;         /* texts that are NULL; none by default */
    uint32_t nnulls;
    bool strict;
    bool skip_errors;         /* records in error are left out … */
    const char *reject_path;  /* … and written here as "line,reason,text"; may be NULL */
    text_compression compression;
    size_t sample_bytes;
    int64_t spool_limit;      /* bytes kept of input that can't be read twice; 0: none */
    const char *temp_dir;
    size_t block_bytes;       /* text per morsel, about */
    size_t max_record_bytes;  /* a longer record is an error */
    const logger *log;        /* notices; may be NULL */
    job *j;                   /* for cancel and progress; may be NULL */
    file_io *io;              /* for remote locations; NULL: local files alone. Outlives the source */
} json_rows_options;

void json_rows_options_default(json_rows_options *o);

/* location: a file, or "-" for standard input. Strings and arrays of the options are copied; types, `log` and `j` are borrowed. */
fz_status json_rows_open(const char *location, const json_rows_options *o, mem *m, json_rows **out, fz_error *err);
void json_rows_close(json_rows *s); /* NULL allowed; every local freed before. Batches may live on. */

/* Valid until json_rows_close: later ones, after a restart, don't take the place of earlier ones. */
const row_schema *json_rows_schema(const json_rows *s);
/* Whether a column has had nothing but NULLs so far. */
bool json_rows_undecided(const json_rows *s, uint32_t col);
/* Several inputs that are read as one: each gets the columns of all, in the same order, with types that hold the values of all. */
fz_status json_rows_unify(json_rows **s, uint32_t n, fz_error *err);
void json_rows_attach(json_rows *s, job *j);
/* Only these columns, in this order, are converted; n may be 0. Who doesn't want all of them doesn't hear of keys that come later either. Before
 * the first json_rows_next. */
fz_status json_rows_project(json_rows *s, const uint32_t *cols, uint32_t n, fz_error *err);

typedef enum json_event { JSON_ROWS, JSON_ROWS_MORSEL_END, JSON_ROWS_END, JSON_ROWS_WIDEN } json_event;

fz_status json_local_new(json_rows *s, json_local **out, fz_error *err);
void json_local_free(json_local *l); /* NULL allowed */
/* As csv_next. */
fz_status json_rows_next(json_rows *s, json_local *l, batch *out, json_event *ev, fz_error *err);
bool json_rows_widened(const json_rows *s);
void json_rows_keep_types(json_rows *s);
fz_status json_rows_restart(json_rows *s, fz_error *err);

int64_t json_rows_size(const json_rows *s);      /* of the input as it lies in the file; -1: unknown */
int64_t json_rows_rejected(const json_rows *s);
const char *json_rows_layout(const json_rows *s); /* "lines", "values", "array" */

#endif
