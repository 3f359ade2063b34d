/*
 * metadata_tables.h: what a table's metadata says, as tables: t.snapshots, t.files, t.partitions, … with the columns and types
 * of Spark's (PyIceberg's are among them, by the same names).
 */
#ifndef ENGINE_METADATA_TABLES_H
#define ENGINE_METADATA_TABLES_H

#include "engine/engine_int.h"

/* Which of them a name is ("snapshots", without regard to case); -1: none. */
int metadata_table_find(str name);
const char *metadata_table_name(int kind);
/* The table `kind` of t. Time travel applies to those about one snapshot; for the others it is FZ_INVALID. One reference. */
fz_status metadata_table_open(fz_session *s, ib_table *t, int kind, const sql_travel *travel, table_source **out, fz_error *err);
/* A name that may mean a metadata table: `t.files`, `"t$files"`. The table's own name is left in *of (in the arena); *kind -1: no. */
fz_status metadata_table_split(const sql_name *name, arena *a, sql_name *of, int *kind, fz_error *err);

#endif
