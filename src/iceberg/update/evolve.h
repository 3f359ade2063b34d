/*
 * evolve.h: new schemas, partition specs and sort orders from a table's present ones (spec, "Schema Evolution",
 * "Partition Evolution"): what ALTER TABLE asks for, checked against what the specification allows.
 *
 * Nothing is committed here: each builder reads metadata and leaves its result in an arena, for an update
 * (update.h) with the requirements that belong to it. Builders work on the table's current schema, default spec and
 * default order; several changes are applied in their order, each on what those before it left.
 *
 * PATHS. A part names a member of a struct: exactly, else (not quoted) the only one that differs in case alone. A list's
 * member is called element, a map's are key and value. Where a column is added below a list or a map, it goes
 * into the struct of its elements or values.
 */
#ifndef ICEBERG_EVOLVE_H
#define ICEBERG_EVOLVE_H

#include "iceberg/spec/spec.h"

typedef struct ib_part { str name; bool quoted; } ib_part;
typedef struct ib_path { uint32_t n; const ib_part *parts; } ib_path;

/* The field at a path; FZ_OK with *out NULL: there is none. FZ_INVALID (42702): several differ in case alone. */
fz_status ib_field_at(const ib_schema *s, ib_path path, const type_field **out, fz_error *err);
/* Appends the dotted name of a field; false: the schema doesn't have it. */
bool ib_field_path(const ib_schema *s, int32_t id, sbuf *out);
/* Gives a type's members fresh ids: a struct's fields first, then what is below each (as Java does). */
fz_status ib_assign_ids(type *t, int32_t *last_id, arena *a, fz_error *err);

/* ---- schemas ---- */

typedef enum ib_schema_op {
    IB_COL_ADD,           /* path, t, doc, required, place; if_exists: nothing where it is there already */
    IB_COL_DROP,          /* path; if_exists: nothing where it isn't there */
    IB_COL_RENAME,        /* path to name */
    IB_COL_MOVE,          /* path, place, after: within its struct */
    IB_COL_TYPE,          /* path to t: int to long, float to double, decimals to more digits */
    IB_COL_DOC,           /* path, doc (empty: none) */
    IB_COL_OPTIONAL, IB_COL_REQUIRED, /* path */
    IB_COL_IDENTIFIER,    /* paths: the identifier fields from now on */
    IB_COL_NO_IDENTIFIER, /* paths: no longer among them */
} ib_schema_op;

typedef enum ib_place { IB_PLACE_STAY, IB_PLACE_FIRST, IB_PLACE_AFTER, IB_PLACE_BEFORE } ib_place;

typedef struct ib_schema_change {
    ib_schema_op op;
    ib_path path;
    str name;             /* RENAME */
    type t;
    str doc;
    bool required;
    bool if_exists;
    ib_place place;       /* ADD: STAY is last */
    ib_part after;        /* AFTER, BEFORE: its sibling */
    uint32_t n_paths;
    const ib_path *paths; /* IDENTIFIER */
} ib_schema_change;

/* The current schema with the changes. Incompatible changes (a required column added, an optional one made required) are
 * refused unless `incompatible`, which is safe for a table that never had a row. *changed false: the result is what it was. */
fz_status ib_schema_evolve(const ib_metadata *md, uint32_t n, const ib_schema_change *c, bool incompatible, arena *a,
                           ib_schema *out, int32_t *last_column_id, bool *changed, fz_error *err);
/* A schema for a table that is replaced: columns keep the id that the same name has now, others get fresh ones. */
fz_status ib_schema_replace(const ib_metadata *md, const ib_schema *s, arena *a, ib_schema *out, int32_t *last_column_id,
                            fz_error *err);
/* What becomes of properties that name columns (metrics, statistics and Bloom filters per column, schema.name-mapping.default) when the
 * current schema becomes `now`: they follow renamed columns, as Java has it. Either may come out empty. */
fz_status ib_props_evolve(const ib_metadata *md, const ib_schema *now, arena *a, ib_props *set, ib_props *removed, fz_error *err);
/* Identifier fields are required, primitive, not float or double, and not below a list, a map or an optional struct. */
fz_status ib_identifiers_check(const ib_schema *s, fz_error *err);

/* ---- partition specs ---- */

typedef struct ib_term { ib_path path; ib_transform transform; } ib_term; /* transform.text is made here */

typedef enum ib_spec_op { IB_PART_ADD, IB_PART_DROP, IB_PART_REPLACE, IB_PART_RENAME } ib_spec_op;
typedef struct ib_spec_change {
    ib_spec_op op;
    str field;       /* DROP, REPLACE, RENAME: the partition field's name; empty: `old` says which */
    ib_term old;
    ib_term term;    /* ADD, REPLACE */
    str name;        /* ADD, REPLACE: empty: made from the column; RENAME: the new one */
    bool if_exists;
} ib_spec_change;

/* A field that an earlier spec had gets its id (and, without a name given, its name) back. In version 1 a dropped field stays with
 * the void transform. The spec_id of *out means nothing. */
fz_status ib_spec_evolve(const ib_metadata *md, uint32_t n, const ib_spec_change *c, arena *a, ib_partition_spec *out, fz_error *err);
/* A spec for new partition fields on a schema, ids from 1000; names as Java's builder makes them. */
fz_status ib_spec_build(const ib_schema *s, uint32_t n, const ib_term *terms, const str *names, arena *a, ib_partition_spec *out,
                        fz_error *err);

/* ---- sort orders ---- */

typedef struct ib_order_term { ib_term term; bool desc, nulls_last; } ib_order_term;
fz_status ib_order_build(const ib_schema *s, uint32_t n, const ib_order_term *t, arena *a, ib_sort_order *out, fz_error *err);

#endif
