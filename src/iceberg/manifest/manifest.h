/*
 * manifest.h: data files, manifest entries, manifests and manifest lists (spec, "Manifests").
 *
 * Columns of statistics are kept as small sorted arrays by field id. Bounds are the
 * single-value binary serialisation of the specification ("Appendix D"); ib_bound_decode
 * and _encode translate.
 */
#ifndef ICEBERG_MANIFEST_H
#define ICEBERG_MANIFEST_H

#include "iceberg/spec/spec.h"
#include "io/io.h"

typedef enum ib_content { IB_DATA = 0, IB_POSITION_DELETES = 1, IB_EQUALITY_DELETES = 2 } ib_content;
typedef enum ib_entry_status { IB_EXISTING = 0, IB_ADDED = 1, IB_DELETED = 2 } ib_entry_status;

/* Statistics of one column of a data file; -1 / empty where the file has none. */
typedef struct ib_column_stats {
    int32_t field_id;
    int64_t size_bytes, value_count, null_count, nan_count;
    bool has_lower, has_upper;
    str lower, upper; /* serialised */
} ib_column_stats;

typedef struct ib_data_file {
    ib_content content;
    str file_path;
    str file_format;              /* "PARQUET", upper case */
    int32_t spec_id;
    uint32_t n_partition;
    datum *partition;             /* one per field of the spec */
    int64_t record_count, file_size_bytes;
    uint32_t n_stats;
    ib_column_stats *stats;       /* ascending field_id */
    uint8_t has_maps;             /* which maps of statistics the manifest had, also without entries: 1 column_sizes, 2 value_counts,
                                     4 null_value_counts, 8 nan_value_counts, 16 lower_bounds, 32 upper_bounds */
    uint32_t n_splits;
    int64_t *split_offsets;
    uint32_t n_equality;
    int32_t *equality_ids;
    int32_t sort_order_id;        /* -1: none */
    str key_metadata;
    str referenced_data_file;     /* position deletes: the only file they are for; empty: not said */
} ib_data_file;

typedef struct ib_manifest_entry {
    ib_entry_status status;
    int64_t snapshot_id;          /* -1: inherit */
    int64_t sequence_number;      /* -1: inherit */
    int64_t file_sequence_number; /* -1: inherit */
    ib_data_file file;
} ib_manifest_entry;

typedef struct ib_field_summary {
    bool contains_null;
    int8_t contains_nan;          /* -1 unknown */
    bool has_lower, has_upper;
    str lower, upper;
} ib_field_summary;

/* An entry of a manifest list. */
typedef struct ib_manifest_file {
    str path;
    int64_t length;
    int32_t spec_id;
    ib_content content;           /* IB_DATA or any delete: 1 */
    int64_t sequence_number, min_sequence_number; /* -1 while it isn't committed yet */
    int64_t added_snapshot_id;
    int32_t added_files, existing_files, deleted_files; /* -1 unknown (version 1) */
    int64_t added_rows, existing_rows, deleted_rows;
    uint32_t n_partitions;
    ib_field_summary *partitions;
    str key_metadata;
} ib_manifest_file;

/* Reads a manifest list. Everything in the arena. */
fz_status ib_manifest_list_read(file_io *io, const char *location, mem *m, arena *a, uint32_t *n, ib_manifest_file **out, fz_error *err);
/* Writes one (version 2, Avro, deflate) and makes it durable. Entries with sequence_number -1 are written
 * with `sequence_number` (spec, "Sequence Number Inheritance"). */
fz_status ib_manifest_list_write(file_io *io, const char *location, mem *m, int64_t snapshot_id, int64_t parent_id,
                                 int64_t sequence_number, uint32_t n, const ib_manifest_file *files, fz_error *err);

/* Reads a manifest's entries with inheritance applied from `mf`. Deleted entries are included. The partition
 * spec is taken from the table's metadata by spec_id. want_stats false skips the statistics maps. */
fz_status ib_manifest_read(const ib_manifest_file *mf, const ib_metadata *md, bool want_stats, mem *m, arena *a,
                           uint32_t *n, ib_manifest_entry **out, fz_error *err);
/* Writes a manifest and fills `out` (counts, partition summaries, length; sequence numbers -1). Durable. */
fz_status ib_manifest_write(file_io *io, const char *location, mem *m, const ib_schema *schema, const ib_partition_spec *spec,
                            ib_content content, int64_t snapshot_id, uint32_t n, const ib_manifest_entry *entries,
                            arena *a, ib_manifest_file *out, fz_error *err);

fz_status ib_bound_decode(type t, str bytes, datum *out, fz_error *err); /* strings borrow `bytes` */
fz_status ib_bound_encode(const datum *d, arena *a, str *out, fz_error *err);

#endif
