/*
 * build.h: how metadata is held (see spec.h, the three lifetimes), for the code that builds it:
 * parsing here and applying updates in update/.
 */
#ifndef ICEBERG_SPEC_BUILD_H
#define ICEBERG_SPEC_BUILD_H

#include "codec/json.h"
#include "iceberg/spec/spec.h"

#define IB_MAIN "main"
#define IB_FIRST_PARTITION_ID 1000
/* Metadata of more than this is refused: a table of a million snapshots stays below. */
#define IB_METADATA_MAX ((size_t)1 << 30)

typedef struct ib_shared {
    _Atomic int refs;
    mem *m;
    arena a;
} ib_shared;

/* One reference, everything zero or empty; `shared` is taken over, NULL makes a new one. NULL: no memory (a
 * shared that was given is released). */
ib_metadata *metadata_new(mem *m, ib_shared *shared);
ib_shared *shared_ref(ib_shared *s);

/* A refcounted copy of a snapshot, strings and all; its json is made when it is empty. NULL: no memory. */
const ib_snapshot *snapshot_new(const ib_snapshot *s, int format_version, mem *m);
/* The same from a JSON object. */
fz_status snapshot_parse(const json_doc *d, const json_node *n, int format_version, mem *m,
                         const ib_snapshot **out, fz_error *err);
const ib_snapshot *snapshot_ref(const ib_snapshot *s);
void snapshot_unref(const ib_snapshot *s);

/* Deep copies into an arena. False: no memory. */
bool str_copy(arena *a, str s, str *out);
bool props_copy(arena *a, const ib_props *p, ib_props *out);
bool schema_copy(arena *a, const ib_schema *s, ib_schema *out);
bool spec_copy(arena *a, const ib_partition_spec *s, ib_partition_spec *out);
bool order_copy(arena *a, const ib_sort_order *s, ib_sort_order *out);

/* Table metadata that is an object in a larger document (a catalog's answer). One reference. */
fz_status metadata_from_json(const json_doc *d, const json_node *root, mem *m, ib_metadata **out, fz_error *err);

/* The parts of metadata as JSON. */
fz_status schema_from_json(const json_doc *d, const json_node *n, arena *a, ib_schema *out, fz_error *err);
fz_status spec_fields_from_json(const json_doc *d, const json_node *n, int32_t spec_id, arena *a,
                                ib_partition_spec *out, fz_error *err);
fz_status order_from_json(const json_doc *d, const json_node *n, arena *a, ib_sort_order *out, fz_error *err);
fz_status props_from_json(const json_doc *d, const json_node *n, arena *a, ib_props *out, fz_error *err);
void schema_to_json(const ib_schema *s, json_writer *w);
void spec_to_json(const ib_partition_spec *s, json_writer *w);        /* the object with id and fields */
void spec_fields_to_json(const ib_partition_spec *s, json_writer *w); /* the fields alone */
void order_to_json(const ib_sort_order *s, json_writer *w);

/* Ids and names of a schema that somebody made: unique ids in all depths, unique names in each
 * struct, known identifier ids. FZ_INVALID. *highest (may be NULL) is the highest field id. */
fz_status schema_check(const ib_schema *s, mem *m, int32_t *highest, fz_error *err);
int32_t spec_highest_id(const ib_partition_spec *s); /* IB_FIRST_PARTITION_ID - 1 where it has no field */

#endif
