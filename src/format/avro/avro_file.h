/*
 * avro_file.h: Avro files of rows, read as batches: data files of tables, and files named in queries.
 *
 *     avro_file_open ──> avro_file_schema ──> avro_plan_new ──────────────┐ (a file and a plan are immutable and shared)
 *          └──> avro_file_runs: pieces of the file, each some blocks      │
 *                      └── each worker: avro_rows_open ──> { avro_rows_start(run) ──> avro_rows_next … } ──> avro_rows_close
 *
 * TYPES. Records are structs, arrays lists, maps and arrays with logicalType "map" maps, enums text. A union is one of null and one more
 * type, in either order. A column that holds anything else has type T_NULL in the schema: it can be skipped, and asking for it is
 * FZ_UNSUPPORTED with the reason. timestamp-millis and -micros have a zone where "adjust-to-utc" says so; where that is missing, they
 * have one in files without Iceberg's field ids (there Avro's own meaning holds: an instant) and none in files with them.
 *
 * RUNS. A run is blocks of the file that follow each other, of at least AVRO_RUN_BYTES or AVRO_RUN_ROWS, or one larger block; runs are in the
 * order of the file, `row` is the number of a run's first row in it. Runs are independent of each other: they are the morsels of a scan.
 * Finding them reads the head of each block and trusts its counts; a block that lies is found out when it is decoded.
 *
 * HOSTILE FILES. Blocks unpack to at most AVRO_BLOCK_MAX bytes; counts are checked against the bytes that are left; there is no
 * recursion on the data: a schema is compiled to a flat program.
 */
#ifndef FORMAT_AVRO_AVRO_FILE_H
#define FORMAT_AVRO_AVRO_FILE_H

#include "arrow/vector.h"
#include "codec/compress.h"
#include "format/avro/avro.h"
#include "io/io.h"

#define AVRO_RUN_BYTES (1u << 20)
#define AVRO_RUN_ROWS  65536
#define AVRO_BLOCK_MAX (256u << 20)

typedef struct avro_file avro_file;
typedef struct avro_plan avro_plan;
typedef struct avro_rows avro_rows;

/* Reads the header; f may be closed afterwards. One reference. FZ_DATA, FZ_UNSUPPORTED (codec; recursive types). */
fz_status avro_file_open(io_file *f, mem *m, avro_file **out, fz_error *err);
avro_file *avro_file_ref(avro_file *p);
void avro_file_close(avro_file *p); /* gives a reference back; NULL allowed */
/* The columns, with field ids (-1: none). */
const row_schema *avro_file_schema(const avro_file *p);

typedef struct avro_run {
    uint64_t offset, bytes;
    int64_t row, rows;
} avro_run;
/* Thread-safe; the first call reads the file's block heads. The array lives as long as the file. */
fz_status avro_file_runs(avro_file *p, io_file *f, const avro_run **runs, uint32_t *n, fz_error *err);

/* How members of the file and fields of the wanted type find each other, in all depths. */
typedef struct avro_match {
    bool by_name;          /* exact names; else by field id */
    const int32_t *ids;    /* field ids of the file's columns and members in preorder (a column, its members, the next column …), -1: none:
                              made from a name mapping; NULL: the file's own */
} avro_match;
/* The number of columns and members: of ids. */
uint32_t avro_file_members(const avro_file *p);

/* What to deliver: n columns by name or field id with the file's types or ones that Iceberg promotes them to (int to bigint, real to
 * double, wider decimals of one scale), FZ_INVALID otherwise. Nested types list the wanted members in the wanted order. A column or member that the
 * file lacks is null. `want` and its types outlive the plan; `how` NULL: by the file's field ids. n may be 0: rows are counted. */
fz_status avro_plan_new(avro_file *p, uint32_t n, const column_def *want, const avro_match *how, mem *m, avro_plan **out, fz_error *err);
void avro_plan_free(avro_plan *p); /* NULL allowed */
/* Whether the file has the wanted column i. */
bool avro_plan_has(const avro_plan *p, uint32_t i);

/* f stays open until the close. One thread at a time. */
fz_status avro_rows_open(avro_file *p, io_file *f, const avro_plan *plan, mem *m, avro_rows **out, fz_error *err);
void avro_rows_close(avro_rows *r); /* NULL allowed; batches live on */
fz_status avro_rows_start(avro_rows *r, const avro_run *run, fz_error *err);
/* The run's next rows: out is reset, then has cols, nrows, nsel, keep, stable; *first is the number of its first row in the file.
 * *more false: the run is at its end, out is empty. */
fz_status avro_rows_next(avro_rows *r, batch *out, int64_t *first, bool *more, fz_error *err);

#endif
