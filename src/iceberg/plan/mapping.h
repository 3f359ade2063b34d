/*
 * mapping.h: field ids for files that have none (spec, "Column Projection" and "Name Mapping Serialization"):
 * from the table's property schema.name-mapping.default, and without that as Java does it: the columns of a Parquet file have the
 * ids 1, 2, … in their order, with no ids below them; those of an Avro file are found by name.
 */
#ifndef ICEBERG_MAPPING_H
#define ICEBERG_MAPPING_H

#include "format/avro/avro_file.h"
#include "format/parquet/parquet.h"
#include "iceberg/plan/plan.h"

typedef struct ib_mapping {
    uint32_t n;
    struct ib_mapped {
        int32_t field_id;        /* -1: none */
        uint32_t n_names;
        str *names;
        struct ib_mapping *kids; /* NULL: none */
    } *fields;
} ib_mapping;

/* FZ_DATA: not a name mapping. */
fz_status ib_mapping_parse(str json, arena *a, ib_mapping **out, fz_error *err);
/* The table's, or NULL. */
fz_status ib_mapping_of(const ib_metadata *md, arena *a, ib_mapping **out, fz_error *err);

/* How a file's columns are found by field id. Files with ids of their own: by these (*out NULL). mapping may be NULL. */
fz_status ib_match_parquet(const ib_mapping *mapping, const pq_file *p, arena *a, const pq_match **out, fz_error *err);
fz_status ib_match_avro(const ib_mapping *mapping, const avro_file *p, arena *a, const avro_match **out, fz_error *err);

#endif
