/*
 * csv.h: reading CSV (and its relatives) as batches of typed columns, in parallel.
 *
 *     csv_open ──> csv_schema, csv_project ──> each worker: csv_local_new
 *              ──> csv_next until CSV_END (or CSV_WIDEN) ──> csv_local_free ──> csv_close
 *                        ^                         │
 *                        └────── csv_restart ──────┘   (CSV_WIDEN, nothing of it kept)
 *
 * csv_open reads a sample of the text, detects what the options leave open (compression,
 * delimiter, quote, escape, comment, header) and infers a type for every column.
 *
 * WIDENING. A value that doesn't fit its column's *inferred* type is never dropped or changed:
 * the source stops emitting, looks through the rest of the input for further misfits, and ends
 * with CSV_WIDEN. The caller throws away what it got, calls csv_restart and reads again. Types
 * only ever grow, at most three times for a column:
 *
 *     (nothing but NULLs so far) → the type of the first value
 *     bigint → double            a fraction or exponent, or infinity
 *     date → timestamp           a time of day
 *     any → text                 everything else; also a number that would lose digits: an
 *                                integer outside 64 bits, an integer that a double can't hold
 *                                in a double column, a fraction of a second below 1 µs
 *
 * With `strict`, in a column whose type was given, and after csv_keep_types(), a misfit is an
 * error (FZ_VALUE) that names line, column and value.
 *
 * ERRORS carry the line (from 1), the column in bytes (from 1) and the byte offset in the text
 * (after decompression). Of several errors the first in the file is reported, whatever the
 * number of workers: a worker that fails first gets CSV_END, the last one to end the error.
 *
 * NULLS. An unquoted empty field is NULL in every type, a quoted one an empty string. The
 * default null list (NA N/A NULL null NaN nan) holds in columns that aren't text; a list that
 * the caller gives holds in all columns, in text columns only for unquoted fields.
 *
 * ROWS. Blank lines are skipped, but are a NULL row where the file has one column. A row with
 * too few fields gets NULLs, with a notice (an error with `strict`); one with too many is an
 * error unless the fields over are empty. Any of LF, CRLF, CR ends a line outside quotes.
 */
#ifndef FORMAT_CSV_CSV_H
#define FORMAT_CSV_CSV_H

#include "arrow/vector.h"
#include "base/log.h"
#include "base/task.h"
#include "format/text/input.h"

typedef struct csv_source csv_source;
typedef struct csv_local csv_local;

/* Which kernels run; CSV_ISA_BEST outside of tests. One that the CPU lacks: the next lower. */
typedef enum csv_isa { CSV_ISA_BEST, CSV_ISA_SCALAR, CSV_ISA_SSE2, CSV_ISA_AVX2, CSV_ISA_AVX512 } csv_isa;

#define CSV_DETECT (-1)
#define CSV_NONE   0

typedef struct csv_type {
    str name;
    type t;
} csv_type;

typedef struct csv_options {
    /* A byte, CSV_DETECT, or (not for the delimiter) CSV_NONE. `escape` is the byte that makes
     * the next one literal inside quotes; CSV_NONE: only a doubled quote does. */
    int delimiter, quote, escape, comment;
    int header;               /* 1, 0 or CSV_DETECT */

    const csv_type *types;    /* types by column name; FZ_NOT_FOUND if no such column */
    uint32_t ntypes;
    const row_schema *schema; /* the columns of an existing table, or NULL */
    bool allow_extra;         /* with schema: further columns are appended to csv_schema */

    const str *nulls;         /* null strings; NULL: the default list */
    uint32_t nnulls;
    bool strict;
    bool skip_errors;         /* rows in error are left out … */
    const char *reject_path;  /* … and written here as "line,reason,text"; may be NULL */

    text_compression compression;
    size_t sample_bytes;      /* of text that inference looks at */
    int64_t spool_limit;      /* bytes kept of input that can't be read twice; 0: none */
    const char *temp_dir;     /* for them; NULL: $TMPDIR, else /var/tmp */
    size_t block_bytes;       /* text per morsel, about */
    size_t max_record_bytes;  /* a longer row is an error */

    const logger *log;        /* notices; may be NULL */
    job *j;                   /* for cancel and progress (bytes); may be NULL */
    file_io *io;              /* for remote locations; NULL: local files alone. Outlives the source */
    csv_isa isa;
} csv_options;

void csv_options_default(csv_options *o);

/* location: a file, or "-" for standard input. Strings and arrays of the options are
 * copied; `log` and `j` are borrowed. FZ_DATA for a directory's content, an empty file (unless
 * a schema is given), UTF-16, a broken quote …; FZ_INVALID for options that contradict. */
fz_status csv_open(const char *location, const csv_options *o, mem *m, csv_source **out, fz_error *err);
void csv_close(csv_source *s); /* NULL allowed; every local freed before. Batches may live on. */

/* The columns that csv_next delivers without a projection: the file's, or the given schema's
 * followed by the file's further ones (allow_extra). Valid until csv_restart or csv_close. */
const row_schema *csv_schema(const csv_source *s);
/* From now on this job is the one for cancel and progress (NULL: none); no worker is at work. */
void csv_attach(csv_source *s, job *j);
/* Before anything is read, and after a restart: an inferred column gets a type that other files' values need. It goes on widening
 * from there; a column whose type was given keeps it. */
void csv_column_widen(csv_source *s, uint32_t col, type t);
/* How many of them come from the given schema. */
uint32_t csv_schema_given(const csv_source *s);
/* Whether a column has had nothing but NULLs so far, so that its type is text only until a value comes. */
bool csv_schema_undecided(const csv_source *s, uint32_t col);
/* Only these columns of csv_schema, in this order, are converted; n may be 0 (rows are
 * counted). Before the first csv_next; kept over csv_restart. */
fz_status csv_project(csv_source *s, const uint32_t *cols, uint32_t n, fz_error *err);

typedef enum csv_event {
    CSV_ROWS,       /* `out` has rows */
    CSV_MORSEL_END, /* no rows; out->morsel is complete */
    CSV_END,        /* nothing more for this worker */
    CSV_WIDEN,      /* nothing more, and what was delivered doesn't count: csv_restart */
} csv_event;

/* One worker's state. Not shared between threads. */
fz_status csv_local_new(csv_source *s, csv_local **out, fz_error *err);
void csv_local_free(csv_local *l); /* NULL allowed */

/* The next batch. Thread-safe for different locals. Blocks on reading input. `out` is reset
 * first; it is stable, carries (morsel, seq), and is the consumer's to hold or reset. Morsels
 * are handed out in ascending order without gaps; the batches of one come from one worker, in
 * ascending seq, followed by CSV_MORSEL_END. Rows that were skipped are left out through
 * out->sel. Workers go on until they get CSV_END; after all did, csv_widened() says whether to
 * start again (a worker may have ended before another met the misfit). */
fz_status csv_next(csv_source *s, csv_local *l, batch *out, csv_event *ev, fz_error *err);

bool csv_widened(const csv_source *s);
/* From now on a misfit is an error: what was read has been passed on for good. */
void csv_keep_types(csv_source *s);
/* Starts again with the widened types, from the original text, with a notice per column; all
 * workers have ended. FZ_LIMIT if the input can't be read twice and wasn't spooled whole. */
fz_status csv_restart(csv_source *s, fz_error *err);

typedef struct csv_info {
    char delimiter;
    int quote, escape, comment; /* CSV_NONE: none */
    bool header;
    text_compression compression; /* never TEXT_AUTO */
    int64_t rows_rejected, rows_short;
    int64_t size_bytes;          /* of the input as it lies in the file; -1: unknown */
} csv_info;
void csv_describe(const csv_source *s, csv_info *out);

#endif
