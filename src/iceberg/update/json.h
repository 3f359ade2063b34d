/*
 * json.h: requirements and updates as the REST protocol's JSON (open-API: TableRequirement, TableUpdate), both ways: a client writes
 * them, a server reads them.
 *
 * What is read lies in the arena it was read into. Reading checks the form only; what an update means is checked where it is
 * applied. A kind nobody knows is FZ_UNSUPPORTED by its name.
 */
#ifndef ICEBERG_UPDATE_JSON_H
#define ICEBERG_UPDATE_JSON_H

#include "codec/json.h"
#include "iceberg/update/update.h"

void ib_requirement_to_json(const ib_requirement *r, json_writer *w);
/* Several where an update of this library is several of the protocol's (statistics of more than one snapshot). format_version: of the
 * table, for snapshots that have no text yet. Field ids of a new spec must be given (the protocol knows no "as it was before"). */
fz_status ib_update_to_json(const ib_update *u, int format_version, mem *m, json_writer *w, fz_error *err);

fz_status ib_requirement_from_json(const json_doc *d, const json_node *n, arena *a, ib_requirement *out, fz_error *err);
fz_status ib_update_from_json(const json_doc *d, const json_node *n, arena *a, ib_update *out, fz_error *err);

/* What makes a table like md out of nothing: identity, current layout, properties, snapshots, refs. The texts and structures are md's. */
fz_status ib_updates_of_new(const ib_metadata *md, arena *a, uint32_t *n, const ib_update **out, fz_error *err);

#endif
