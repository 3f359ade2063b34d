/*
 * spec.h: the entities of the Iceberg table specification (format versions 1 and 2), a
 * structure each: schema, partition spec, sort order, snapshot, table metadata.
 *
 * A table metadata is immutable once built, and an update makes a new one. Three lifetimes keep
 * that cheap for a table that is committed to all day, and none keeps an older metadata alive:
 *
 *   shared     schemas, specs, orders, properties, names: one refcounted arena, passed on to the
 *              next metadata unless the update changes one of them
 *   snapshots  refcounted one by one; the next metadata takes references
 *   mem        what every commit changes: pointer arrays, logs, refs
 *
 * What the specification allows and this code doesn't know is kept as JSON text and written back
 * as it was.
 */
#ifndef ICEBERG_SPEC_H
#define ICEBERG_SPEC_H

#include "arrow/type.h"
#include "base/mem.h"
#include "io/io.h"

typedef struct ib_schema {
    int32_t schema_id;
    const type_fields *fields;      /* the root struct; field ids unique in all depths */
    uint32_t n_identifier;
    const int32_t *identifier_ids;
} ib_schema;

typedef enum ib_transform_kind {
    IB_IDENTITY, IB_BUCKET, IB_TRUNCATE, IB_YEAR, IB_MONTH, IB_DAY, IB_HOUR, IB_VOID,
    IB_TRANSFORM_UNKNOWN, /* kept by its text; can't be written to, prunes nothing */
} ib_transform_kind;

typedef struct ib_transform {
    ib_transform_kind kind;
    int32_t param;    /* bucket count or width */
    str text;         /* as written in the metadata */
} ib_transform;

typedef struct ib_partition_field {
    int32_t source_id, field_id;
    str name;
    ib_transform transform;
} ib_partition_field;

typedef struct ib_partition_spec {
    int32_t spec_id;
    uint32_t n;
    const ib_partition_field *fields;
} ib_partition_spec;

typedef struct ib_sort_field {
    int32_t source_id;
    ib_transform transform;
    bool desc, nulls_last;
} ib_sort_field;

typedef struct ib_sort_order {
    int32_t order_id;
    uint32_t n;
    const ib_sort_field *fields;
} ib_sort_order;

typedef struct ib_kv { str key, value; } ib_kv;
typedef struct ib_props { uint32_t n; const ib_kv *kv; } ib_props; /* in insertion order, keys unique */

typedef struct ib_snapshot {
    int64_t snapshot_id;
    int64_t parent_id;          /* -1: none */
    int64_t sequence_number;    /* 0 in version 1 */
    int64_t timestamp_ms;
    str manifest_list;          /* empty in old version 1 metadata, which is refused by name */
    int32_t schema_id;          /* -1: none */
    ib_props summary;           /* with "operation" */
    str json;                   /* this snapshot as compact JSON text: what serialising writes (a parsed one's
                                   members that nobody knows are in it) */
} ib_snapshot;

typedef struct ib_ref {
    str name;                   /* "main", … */
    int64_t snapshot_id;
    bool is_tag;
    int64_t min_snapshots_to_keep, max_snapshot_age_ms, max_ref_age_ms; /* -1: none */
} ib_ref;

typedef struct ib_log_entry { int64_t timestamp_ms; int64_t snapshot_id; str metadata_file; } ib_log_entry;

typedef struct ib_metadata {
    _Atomic int refs;
    arena mem;
    struct ib_shared *shared;   /* build.h; referenced */
    file_io *io;                /* how the table's files are reached; referenced; NULL: this machine's alone */
    int format_version;         /* 1 or 2; others are refused at parsing */
    str table_uuid, location;
    int64_t last_sequence_number, last_updated_ms;
    int32_t last_column_id, current_schema_id, default_spec_id, last_partition_id, default_sort_order_id;
    uint32_t n_schemas;   const ib_schema *schemas;
    uint32_t n_specs;     const ib_partition_spec *specs;
    uint32_t n_orders;    const ib_sort_order *orders;
    ib_props properties;
    int64_t current_snapshot_id; /* -1: none */
    uint32_t n_snapshots; const ib_snapshot *const *snapshots; /* oldest first */
    uint32_t n_snapshot_log; const ib_log_entry *snapshot_log;
    uint32_t n_metadata_log; const ib_log_entry *metadata_log;
    uint32_t n_refs;      const ib_ref *refs_list;
    str statistics_json, partition_statistics_json; /* kept as they were; empty: none */
    ib_props extra_json;        /* unknown top-level members: name and JSON text */
} ib_metadata;

/* Parses and validates (spec, "Table Metadata Fields"); version > 2 is FZ_UNSUPPORTED naming the version.
 * `where` names the file in errors. gzip'ed metadata (…gz.metadata.json) is unpacked. One reference. */
fz_status ib_metadata_parse(const void *text, size_t n, const char *where, mem *m, ib_metadata **out, fz_error *err);
/* The same of a file; the result keeps io (NULL allowed). */
fz_status ib_metadata_load(file_io *io, const char *location, mem *m, ib_metadata **out, fz_error *err);
/* Appends the JSON text, in PyIceberg's and Java's member names, compact. */
void ib_metadata_write(const ib_metadata *md, sbuf *out);
ib_metadata *ib_metadata_ref(const ib_metadata *md);
void ib_metadata_unref(const ib_metadata *md);

const ib_schema *ib_schema_by_id(const ib_metadata *md, int32_t id);
const ib_schema *ib_current_schema(const ib_metadata *md);
const ib_partition_spec *ib_spec_by_id(const ib_metadata *md, int32_t id);
const ib_sort_order *ib_order_by_id(const ib_metadata *md, int32_t id);
const ib_snapshot *ib_snapshot_by_id(const ib_metadata *md, int64_t id);
const ib_snapshot *ib_current_snapshot(const ib_metadata *md); /* NULL: empty table */
const ib_ref *ib_ref_by_name(const ib_metadata *md, str name); /* a branch or tag; exact */
/* A field anywhere in the schema, by id; NULL: none. */
const type_field *ib_field_by_id(const ib_schema *s, int32_t id);
const type_field *ib_field_by_name(const ib_schema *s, str name); /* top level, exact */
/* Value of a property, or {NULL,0}. _i64/_bool: the default when missing; a malformed value is an error. */
str ib_prop(const ib_props *p, const char *key);
fz_status ib_prop_i64(const ib_props *p, const char *key, int64_t def, int64_t *out, fz_error *err);
fz_status ib_prop_bool(const ib_props *p, const char *key, bool def, bool *out, fz_error *err);

/* A schema alone as JSON text (for manifests' "schema" and Parquet's "iceberg.schema"), and a
 * partition spec's fields array (manifests' "partition-spec"). */
void ib_schema_write(const ib_schema *s, sbuf *out);
void ib_spec_fields_write(const ib_partition_spec *s, sbuf *out);
fz_status ib_schema_parse(str json, arena *a, ib_schema *out, fz_error *err);
fz_status ib_spec_fields_parse(str json, int32_t spec_id, arena *a, ib_partition_spec *out, fz_error *err);

/* Iceberg's type names: "long", "decimal(9, 2)", "timestamptz", "fixed[16]", … */
fz_status ib_type_parse(str text, type *out, fz_error *err); /* primitives */
void ib_type_name(type t, sbuf *out);


#endif
