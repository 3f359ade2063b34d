/*
 * stage.h: what catalogs that keep metadata in files have in common: names, and the new metadata
 * file of a commit, which is written before the catalog's pointer moves to it.
 */
#ifndef CATALOG_STAGE_H
#define CATALOG_STAGE_H

#include "iceberg/catalog.h"

/* A table's next state, whose metadata file no catalog points to yet. It is complete: once the pointer has moved nothing can
 * fail any more. */
typedef struct stage {
    ib_table *t;          /* referenced; NULL: none */
} stage;

/* Checks the requirements against `cur`, applies the updates, writes the file durably. FZ_CONFLICT. */
fz_status stage_commit(mem *m, const ib_commit *c, const ib_table *cur, stage *out, fz_error *err);
/* The first file of a table. */
fz_status stage_create(mem *m, ib_ident id, const ib_metadata *md, stage *out, fz_error *err);
/* After the pointer has moved: the state, whose reference is the caller's now. */
ib_table *stage_take(stage *s);
/* Lets go; _discard also removes the file. Both leave it zeroed; a zeroed one is allowed. */
void catalog_stage_free(stage *s);
void stage_discard(stage *s);
/* Removes the metadata files that fell out of the metadata log with this commit, if the table's
 * write.metadata.delete-after-commit.enabled says so. What can't be removed stays. */
void stage_clean(const ib_metadata *old, const ib_metadata *now);

/* Whether a namespace or table may be made with that name: FZ_INVALID. */
fz_status namespace_name_check(str ns, fz_error *err);
fz_status table_name_check(ib_ident id, fz_error *err);
/* A namespace's properties after a change, copied into the arena. */
fz_status namespace_props_changed(const ib_props *have, const ib_props_change *change, arena *a, ib_props *out, fz_error *err);
/* Appends a name as a folder's name: what no file system or URL parser takes becomes '_'. */
void folder_name(str name, sbuf *out);

#endif
