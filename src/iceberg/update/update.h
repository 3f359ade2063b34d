/*
 * update.h: requirements and updates of a commit (REST specification, TableRequirement and
 * TableUpdate), and applying them to metadata.
 */
#ifndef ICEBERG_UPDATE_H
#define ICEBERG_UPDATE_H

#include "iceberg/spec/spec.h"

typedef enum ib_requirement_kind {
    IB_ASSERT_CREATE, IB_ASSERT_TABLE_UUID, IB_ASSERT_REF_SNAPSHOT_ID, IB_ASSERT_LAST_ASSIGNED_FIELD_ID,
    IB_ASSERT_CURRENT_SCHEMA_ID, IB_ASSERT_LAST_ASSIGNED_PARTITION_ID, IB_ASSERT_DEFAULT_SPEC_ID,
    IB_ASSERT_DEFAULT_SORT_ORDER_ID,
} ib_requirement_kind;

typedef struct ib_requirement {
    ib_requirement_kind kind;
    str text;     /* uuid; ref name */
    int64_t id;   /* snapshot id (-1: the ref must not exist), schema id, … */
} ib_requirement;

typedef enum ib_update_kind {
    IB_ASSIGN_UUID, IB_UPGRADE_FORMAT_VERSION, IB_ADD_SCHEMA, IB_SET_CURRENT_SCHEMA, IB_ADD_SPEC,
    IB_SET_DEFAULT_SPEC, IB_ADD_SORT_ORDER, IB_SET_DEFAULT_SORT_ORDER, IB_ADD_SNAPSHOT, IB_SET_SNAPSHOT_REF,
    IB_REMOVE_SNAPSHOTS, IB_REMOVE_SNAPSHOT_REF, IB_SET_LOCATION, IB_SET_PROPERTIES, IB_REMOVE_PROPERTIES,
    IB_SET_STATISTICS, IB_REMOVE_STATISTICS, IB_SET_PARTITION_STATISTICS, IB_REMOVE_PARTITION_STATISTICS,
    IB_REMOVE_SCHEMAS, IB_REMOVE_SPECS,
} ib_update_kind;

typedef struct ib_update {
    ib_update_kind kind;
    int64_t id;                   /* schema, spec, order id (-1: the one just added); format version; last column id */
    str text;                     /* uuid, location; SET_…STATISTICS: the file's JSON object, id its snapshot */
    const ib_schema *schema;
    const ib_partition_spec *spec;
    const ib_sort_order *order;
    const ib_snapshot *snapshot;  /* json may be empty: made when applied */
    ib_ref ref;
    ib_props props;               /* SET_PROPERTIES; REMOVE_PROPERTIES uses the keys */
    uint32_t n_ids;
    const int64_t *ids;           /* REMOVE_SNAPSHOTS, REMOVE_SCHEMAS, REMOVE_SPECS; REMOVE_…STATISTICS: of these snapshots */
} ib_update;

/* FZ_CONFLICT naming the first requirement that doesn't hold. md NULL: the table doesn't exist. */
fz_status ib_requirements_check(const ib_metadata *md, uint32_t n, const ib_requirement *r, fz_error *err);
/* New metadata: base with the updates applied in order, last_updated_ms set (never going backwards), the metadata
 * log extended by base's location and cut as write.metadata.previous-versions-max says. Checks what the
 * specification asks of each update. Shares base's snapshots: the cost doesn't grow with their number but for one
 * array of pointers. Files are reached as base's are. One reference in *out. */
fz_status ib_metadata_apply(const ib_metadata *base, const char *base_location, uint32_t n, const ib_update *u,
                            mem *m, ib_metadata **out, fz_error *err);
/* The same updates as another program can apply them to base: a schema, spec or sort order that base has already isn't added again, but
 * set by its id, and what is new has its ids. Texts and structures are u's or in the arena. */
fz_status ib_updates_resolve(const ib_metadata *base, uint32_t n, const ib_update *u, arena *a, uint32_t *n_out, const ib_update **out,
                             fz_error *err);
/* First metadata of a table: version 2, fresh field ids given by the caller, who also sets its io. */
fz_status ib_metadata_new(str location, const ib_schema *schema, const ib_partition_spec *spec,
                          const ib_sort_order *order, const ib_props *props, mem *m, ib_metadata **out, fz_error *err);

#endif
