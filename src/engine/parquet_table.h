/*
 * parquet_table.h: Parquet files, named by a path or a pattern (*, ?, […]), as a source of rows. The columns of all files,
 * joined by name; rows come file by file, in the order of the files' names.
 */
#ifndef ENGINE_PARQUET_TABLE_H
#define ENGINE_PARQUET_TABLE_H

#include "engine/footer_cache.h"
#include "exec/source.h"

fz_status parquet_table_new(str pattern, file_io *io, footer_cache *footers, mem *m, table_source **out, fz_error *err);
/* Whether a path is a pattern, and the files it names, sorted; FZ_NOT_FOUND for none. */
bool path_is_pattern(str path);
fz_status path_expand(str pattern, file_io *io, arena *a, uint32_t *n, const char ***out, fz_error *err);

#endif
