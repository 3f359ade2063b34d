/*
 * parquet.h: reading and writing Parquet files.
 *
 * READING. A pq_file is the parsed, checked footer of a file: immutable, shared between
 * threads. A pq_cursor reads one column of one row group front to back:
 *
 *     pq_open -> pq_schema -> for each row group, per column: pq_cursor_open
 *             -> pq_cursor_skip / pq_cursor_read ... -> pq_cursor_close -> pq_close
 *
 * A cursor returns vectors in the encoding that lies in the file as far as it can: CONST where
 * the rows asked for are one run, RLE for few runs, DICT with the page's codes, else FLAT.
 * Pages that are skipped whole are not decompressed (nor read, with a valid offset index).
 * Every value returned was validated: codes below the dictionary's size, UTF-8 text, lengths
 * within the page. Files others wrote are hostile until checked.
 *
 * WRITING. A pq_writer takes batches in order and encodes columns in parallel: each column
 * is an actor of its own with a queue, so that one row group is in memory, as finished pages.
 */
#ifndef FORMAT_PARQUET_PARQUET_H
#define FORMAT_PARQUET_PARQUET_H

#include "arrow/vector.h"
#include "base/task.h"
#include "format/parquet/meta.h"
#include "io/io.h"

/* ---- reading ---- */

typedef struct pq_file pq_file;
typedef struct pq_cursor pq_cursor;

/* Opens and checks a file; takes no ownership of f, which must outlive the pq_file.
 * One read for small footers (the last 64 kB are fetched at once). */
fz_status pq_open(io_file *f, mem *m, pq_file **out, fz_error *err);
/* For footers that are cached: counts a reference / gives one back. The io_file of a cached
 * footer is passed anew to each cursor. */
pq_file *pq_ref(pq_file *p);
void pq_close(pq_file *p); /* NULL allowed */
const pq_file_meta *pq_meta(const pq_file *p);
/* The top-level columns as engine types, nested ones with their members and field ids; a column that
 * holds anything that can't be read has type T_NULL, and reading it is FZ_UNSUPPORTED, naming it. Times and
 * timestamps of other units become microseconds. "Column" below is an index into this list, "leaf" one into the
 * footer's leaves; they are the same only in files of flat columns. */
const row_schema *pq_schema(const pq_file *p);
/* How members of the file and fields of the wanted type find each other, in all depths. */
typedef struct pq_match {
    bool by_name;          /* exact names; else by field id */
    const int32_t *ids;    /* field id of each schema element, -1: none (made from a name mapping); NULL: the file's own */
} pq_match;
/* The column with that field id / that name, or -1. how NULL: the file's own ids. */
int pq_find_field(const pq_file *p, const pq_match *how, int32_t field_id);
int pq_find_name(const pq_file *p, str name);
/* The leaf with that field id at any depth, not below a list or map; or -1: for bounds and pruning. */
int pq_find_leaf(const pq_file *p, const pq_match *how, int32_t field_id);
/* The leaf of a flat column; -1 for a nested one. */
int pq_column_leaf(const pq_file *p, uint32_t column);

/* min, max as datums of the column's engine type; `known` false where the file has none that
 * can be trusted; `exact` false where they may not be values of the column (truncated text, and
 * floats, unless no NaN is known to be there). The maximum of floats is NaN, the greatest value,
 * unless the file says that it has none. null_count -1: unknown. Strings point into the footer. */
typedef struct pq_bounds {
    bool known, exact;
    datum min, max;
    int64_t null_count;
} pq_bounds;
void pq_column_bounds(const pq_file *p, uint32_t row_group, uint32_t leaf, pq_bounds *out);

/* Page-level pruning: the rows of a row group that lie in pages of `leaf` for which keep() says
 * true (bounds of the page, its rows; bounds that aren't known must be kept), as ascending, disjoint
 * ranges in the arena. Without indexes that can be trusted that is one range over all rows. */
typedef bool (*pq_keep_fn)(void *ctx, const pq_bounds *page, int64_t rows);
typedef struct pq_row_range { uint64_t from, to; } pq_row_range;
fz_status pq_prune_pages(pq_file *p, io_file *f, uint32_t row_group, uint32_t leaf, pq_keep_fn keep, void *ctx,
                         arena *a, pq_row_range **out, uint32_t *n, fz_error *err);

/* Whether a chunk can hold the value: false only where its Bloom filter says certainly not. v is not null and of the
 * leaf's engine type (pq_leaf_type) or one it is promoted to. Reads one block of the filter; failures are true. */
bool pq_bloom_may_contain(const pq_file *p, io_file *f, uint32_t row_group, uint32_t leaf, const datum *v);
/* The engine type of a leaf at any depth; T_NULL: can't be read. */
type pq_leaf_type(const pq_file *p, uint32_t leaf);

/* Reads a column of one row group. `as` is the type to deliver: the column's own or one that Iceberg promotes
 * it to (int->long, float->double, wider decimal); others: FZ_INVALID. For a nested column `as` lists the wanted
 * members in the wanted order, found by `how` (NULL: the file's own ids): members that aren't in `as` aren't read, those
 * of `as` that the file doesn't have are null. `as` and `how` outlive the cursor. */
fz_status pq_cursor_open(pq_file *p, io_file *f, uint32_t row_group, uint32_t column, type as, const pq_match *how,
                         mem *m, pq_cursor **out, fz_error *err);
void pq_cursor_close(pq_cursor *c); /* NULL allowed */
/* Closes `from` (NULL allowed), whose memory for pages and values c goes on with: for the same column of the next row group, which
 * needs about as much. Fresh memory would cost as much as filling it. */
void pq_cursor_inherit(pq_cursor *c, pq_cursor *from);
/* Where a column's bytes lie in the file, a range per leaf; *n of at most max are filled, in the order of the leaves. */
void pq_column_ranges(const pq_file *p, uint32_t row_group, uint32_t column, uint32_t max, io_range *out, uint32_t *n);
/* How many rows a read of that column should ask for at most (1 to BATCH_ROWS): fewer where lists are long, so that a
 * vector stays of a size that is good to work on. A read of more than 2^27 list elements is FZ_LIMIT. */
uint32_t pq_read_rows(const pq_file *p, uint32_t row_group, uint32_t column);
/* Rows of the row group not yet passed. */
uint64_t pq_cursor_left(const pq_cursor *c);
fz_status pq_cursor_skip(pq_cursor *c, uint64_t rows, fz_error *err);
/* The next `rows` (≤ BATCH_ROWS) rows as a vector of that length. With sel, only the selected rows'
 * values are defined, and the others need not be decoded. All values, codes, run ends and bitmaps lie
 * in buffers that are added to out's keep, so that the vector outlives the cursor; only the vec
 * structures of dictionaries and the value of a CONST null lie in out's arena. After a failure the
 * cursor can only be closed. */
fz_status pq_cursor_read(pq_cursor *c, uint32_t rows, const uint16_t *sel, uint32_t nsel, vec *v,
                         batch *out, fz_error *err);
/* Sum of compressed bytes fetched so far. */
uint64_t pq_cursor_bytes(const pq_cursor *c);

/* ---- writing ---- */

/* BYTE_STREAM_SPLIT of floats is as old as the encoding; of integers (the format's version 2.11) DuckDB before 2.0 and Java before
 * Iceberg 1.11 don't read it. "All" also lets the writer choose LZ4_RAW. */
typedef enum pq_split { PQ_SPLIT_NONE, PQ_SPLIT_FLOATS, PQ_SPLIT_ALL } pq_split;

/* What is asked for one leaf, by its name: a.b, l.element, m.key. Names that no leaf has mean nothing. */
typedef struct pq_leaf_options {
    str name;
    bool bloom;                /* a Bloom filter per chunk; not of booleans */
    double bloom_fpp;          /* chance of a false "maybe", 0 < fpp < 1; 0: 0.01 */
    int64_t bloom_ndv;         /* distinct values expected per row group; 0: not known */
    bool no_stats;             /* neither statistics nor a column index */
} pq_leaf_options;

/* A key that rows are ordered by, within a row group. */
typedef struct pq_sort_key {
    int32_t field_id;          /* of a leaf that isn't within a list or map */
    bool descending, nulls_first;
} pq_sort_key;

typedef struct pq_write_options {
    int64_t row_group_bytes;   /* write.parquet.row-group-size-bytes, 128 MiB: of the encoded size */
    int64_t row_group_rows;    /* write.parquet.row-group-limit, 1,048,576 */
    int64_t page_bytes;        /* write.parquet.page-size-bytes, 1 MiB */
    int64_t page_rows;         /* write.parquet.page-row-limit, 20,000 */
    int64_t dict_bytes;        /* write.parquet.dict-size-bytes, 2 MiB */
    int codec;                 /* pq_codec, or -1: zstd where it pays, decided per column */
    int codec_level;           /* 0: default */
    int bounds_truncate;       /* longest bound kept for text in column index and statistics, 64 */
    int page_version;          /* write.parquet.page-version: 1 or 2; 1 */
    int64_t bloom_max_bytes;   /* write.parquet.bloom-filter-max-bytes, 1 MiB */
    const pq_leaf_options *leaves; /* both lists must live until the writer is finished or aborted */
    uint32_t n_leaves;
    const pq_sort_key *sorted; /* order of the rows that are appended: sorting_columns of row groups */
    uint32_t n_sorted;
    int split;                 /* pq_split: where BYTE_STREAM_SPLIT may be used; floats */
} pq_write_options;
void pq_write_options_default(pq_write_options *o);

/* What Iceberg wants to know of a written column. Strings belong to the writer's result arena. */
typedef struct pq_column_metrics {
    int32_t field_id;
    uint32_t column;           /* of the schema that was given; a nested one has several leaves */
    str path;                  /* a.b, l.element, m.key */
    bool repeated;             /* within a list or map: its bounds say nothing of rows */
    int64_t size_bytes;        /* compressed, in the file */
    int64_t value_count, null_count, nan_count; /* nan_count -1: not a float */
    bool has_bounds;           /* NaN never is a bound */
    datum min, max;            /* whole values, not truncated (text is cut at 1 kB, max rounded up; then *_exact false) */
    bool min_exact, max_exact;
} pq_column_metrics;

typedef struct pq_write_result {
    uint64_t file_size;
    int64_t rows;
    uint32_t ncols;
    pq_column_metrics *cols;   /* one per leaf, in the order of the file */
    uint32_t n_splits;
    int64_t *split_offsets;    /* start of each row group, ascending */
} pq_write_result;

typedef struct pq_writer pq_writer;

/* schema's field ids go into the file. kv: extra footer entries ("iceberg.schema"). The writer
 * takes ownership of w (finished or aborted by it). `j` is the job whose pool encodes columns
 * in parallel; NULL encodes in the calling thread. */
fz_status pq_writer_open(io_writer *w, const row_schema *schema, const pq_write_options *o,
                         const struct pq_kv *kv, uint32_t n_kv, job *j, mem *m, pq_writer **out,
                         fz_error *err);
/* Appends the selected rows of a batch, in call order; the batch is held (batch_hold) or
 * consumed before the call returns. Blocks (running other tasks is not possible here) only
 * briefly: when more than a bounded number of batches is queued, the caller encodes itself. */
fz_status pq_writer_append(pq_writer *w, const batch *b, fz_error *err);
/* Encoded bytes so far, about: for rolling to the next file at a target size. */
uint64_t pq_writer_size(const pq_writer *w);
/* Writes the footer, makes the file durable, fills `res` (its memory from `a`), frees w. */
fz_status pq_writer_finish(pq_writer *w, arena *a, pq_write_result *res, fz_error *err);
void pq_writer_abort(pq_writer *w); /* removes the file; NULL allowed */

#endif
