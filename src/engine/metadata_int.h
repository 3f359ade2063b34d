/*
 * metadata_int.h: between metadata_tables.c (which tables there are, and how they are scanned) and metadata_rows.c (their
 * columns, and how a row's values are put into vectors).
 */
#ifndef ENGINE_METADATA_INT_H
#define ENGINE_METADATA_INT_H

#include "engine/metadata_tables.h"

#include "arrow/grow.h"

/* What a metadata column holds. Those of a data file stand in the order of Spark's tables. */
typedef enum meta_col {
    MC_COMMITTED_AT, MC_SNAPSHOT_ID, MC_PARENT_ID, MC_OPERATION, MC_MANIFEST_LIST, MC_SUMMARY, /* snapshots */
    MC_MADE_CURRENT_AT, MC_IS_ANCESTOR,                                                         /* history */
    MC_REF_NAME, MC_REF_TYPE, MC_REF_MAX_AGE, MC_REF_MIN_KEEP, MC_REF_MAX_SNAPSHOT_AGE,         /* refs */
    MC_LOG_TIME, MC_LOG_FILE, MC_LOG_SNAPSHOT, MC_LOG_SCHEMA, MC_LOG_SEQUENCE,                  /* metadata_log_entries */
    MC_KEY, MC_VALUE,                                                                           /* properties */
    MC_M_CONTENT, MC_M_PATH, MC_M_LENGTH, MC_M_SPEC, MC_M_SNAPSHOT, MC_M_ADDED_DATA, MC_M_EXISTING_DATA, MC_M_DELETED_DATA,
    MC_M_ADDED_DELETE, MC_M_EXISTING_DELETE, MC_M_DELETED_DELETE, MC_M_SUMMARIES, MC_M_REFERENCE, MC_M_KEY, /* manifests */
    MC_STATUS, MC_E_SNAPSHOT, MC_SEQUENCE, MC_FILE_SEQUENCE, MC_DATA_FILE,                      /* entries */
    MC_CONTENT, MC_FILE_PATH, MC_FILE_FORMAT, MC_SPEC_ID, MC_PARTITION, MC_RECORD_COUNT, MC_FILE_SIZE, MC_COLUMN_SIZES,
    MC_VALUE_COUNTS, MC_NULL_COUNTS, MC_NAN_COUNTS, MC_LOWER, MC_UPPER, MC_KEY_METADATA, MC_SPLITS, MC_EQUALITY_IDS, MC_SORT_ORDER,
    MC_FIRST_ROW_ID, MC_REFERENCED, MC_CONTENT_OFFSET, MC_CONTENT_SIZE,                         /* files */
    MC_METRICS,                                                                                 /* files, entries */
    MC_P_PARTITION, MC_P_SPEC, MC_P_RECORDS, MC_P_FILES, MC_P_SIZE, MC_P_POS_RECORDS, MC_P_POS_FILES, MC_P_EQ_RECORDS,
    MC_P_EQ_FILES, MC_P_UPDATED_AT, MC_P_UPDATED_BY,                                            /* partitions */
    MC_D_PATH, MC_D_POS, MC_D_ROW, MC_D_PARTITION, MC_D_SPEC, MC_D_FILE,                        /* position_deletes */
    MC_COUNT_
} meta_col;

/* One partition, summed up. */
typedef struct meta_partition {
    datum *values;          /* one per field of the unified partition type */
    int32_t spec_id;
    int64_t records, size, pos_records, eq_records, updated_ms, updated_by; /* updated_by -1: unknown */
    int32_t files, pos_files, eq_files;
} meta_partition;

/* A row, whatever the table: what its kind needs is set. */
typedef struct meta_row {
    const ib_snapshot *snapshot;
    const ib_log_entry *log;
    const ib_ref *ref;
    const ib_kv *property;
    const ib_manifest_file *manifest;
    const ib_manifest_entry *entry;
    const meta_partition *partition;
    int64_t snapshot_id;    /* history, metadata_log_entries: it may be gone; -1: none */
    bool is_ancestor;
    str path;               /* position_deletes: of the file they are in: entry */
    int64_t pos;
    const datum *values;    /* its partition, in the unified type */
    arena *text;            /* for texts made here; lives as long as the batch */
} meta_row;

/* How one of the table's specs fits the unified partition type. */
typedef struct meta_spec {
    const ib_partition_spec *spec;
    int32_t *from;          /* per field of the unified type: the spec's field, or -1 */
} meta_spec;

/* What the columns of one table's metadata need to know, made once. */
typedef struct meta_shape {
    const ib_metadata *md;
    type partition;         /* the fields of all specs, by field id; without fields: T_NULL */
    uint32_t n_specs;
    meta_spec *specs;
    type metrics;           /* readable_metrics */
    uint32_t n_leaves;
    struct meta_leaf { str name; int32_t field_id; type t; } *leaves; /* primitive columns of the current schema, by name */
    type row;               /* the current schema as a struct */
} meta_shape;

fz_status meta_shape_make(meta_shape *s, const ib_metadata *md, arena *a, fz_error *err);
/* Name and type of a column; *wanted false: this table has none (the partition of an unpartitioned one). */
fz_status meta_column(const meta_shape *s, meta_col c, arena *a, column_def *out, bool *wanted, fz_error *err);
/* Appends the row's value to column `at` of g. */
fz_status meta_put(const meta_shape *s, meta_col c, const meta_row *r, grow *g, uint32_t at, fz_error *err);
/* A file's partition in the unified type; `out` has room for its fields. */
void meta_partition_values(const meta_shape *s, const ib_data_file *f, datum *out);

#endif
