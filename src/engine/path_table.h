/*
 * path_table.h: Iceberg tables named by where they lie, without a catalog: a metadata file ('…/v3.metadata.json'), or a table's
 * folder ('warehouse/db/t'), of which the newest metadata file is meant; with "$files" and the like behind it a metadata table.
 */
#ifndef ENGINE_PATH_TABLE_H
#define ENGINE_PATH_TABLE_H

#include "engine/engine_int.h"

/* The table at `path`, one reference, its namespace empty and its name the path. NULL in *out: the path isn't a table's, but may be
 * that of a file. A folder that isn't a table's is FZ_INVALID. *kind: the metadata table that is meant, or -1. */
fz_status path_table_load(str path, file_io *io, mem *m, arena *a, ib_table **out, int *kind, fz_error *err);

#endif
