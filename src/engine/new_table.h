/*
 * new_table.h: what a statement says of a table, as the library takes it: the first metadata of a new one, the changes that replace one,
 * column paths and partition terms.
 */
#ifndef ENGINE_NEW_TABLE_H
#define ENGINE_NEW_TABLE_H

#include "engine/engine_int.h"
#include "iceberg/update/evolve.h"

typedef struct new_table {
    uint32_t n_partitions;
    const ast_partition *partitions;
    uint32_t n_properties;
    const ast_property *properties;
    uint32_t n_sort;
    const ast_sort *sort;
    uint32_t n_identifier;
    const sql_name *identifier;
    str location, comment;
} new_table;
new_table new_table_of(const ast_create_table *ct);

/* A table's first metadata as the catalog begins it: at `location`, or where that is empty at the catalog's own place, with how its files are
 * reached. One reference. */
fz_status new_table_begin(ib_catalog *c, ib_ident id, str location, const ib_schema *schema, const ib_partition_spec *spec, const ib_sort_order *order,
                          const ib_props *props, mem *m, arena *a, ib_metadata **out, fz_error *err);
/* First metadata of a new table; one reference. Field ids are set in `cols`, in place. */
fz_status new_table_metadata(fz_session *s, ib_ident id, row_schema *cols, const new_table *t, arena *a, ib_metadata **out, fz_error *err);
/* What makes a table that exists into this one: schema, spec and order in place of its own, main without a snapshot; its history stays. */
fz_status replace_updates(fz_session *s, const ib_metadata *md, row_schema *cols, const new_table *t, ib_change *out, fz_error *err);
/* The same as the target of a write: out's md, schema and what comes before the rows. */
fz_status replaced_table(fz_session *s, ib_table *base, row_schema *cols, const new_table *t, arena *a, write_target *out, fz_error *err);

fz_status path_of_name(const sql_name *n, arena *a, ib_path *out, fz_error *err);
fz_status term_of(const ast_partition *p, arena *a, ib_term *out, fz_error *err);
fz_status order_of(const ib_schema *s, uint32_t n, const ast_sort *sort, arena *a, ib_sort_order *out, fz_error *err);

/* The plan of rows for a table with a sort on top, where it has an order; *order_id: what the files are sorted by, 0: nothing. (sort_rows.c) */
fz_status sort_rows(const ib_metadata *md, const plan *in, arena *a, const plan **out, int32_t *order_id, fz_error *err);

#endif
