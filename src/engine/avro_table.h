/* avro_table.h: Avro files as a source of rows: one file or a pattern of several with the first one's columns, found by name. */
#ifndef ENGINE_AVRO_TABLE_H
#define ENGINE_AVRO_TABLE_H

#include "exec/source.h"
#include "io/io.h"

/* One reference. FZ_NOT_FOUND for a pattern without files. */
fz_status avro_table_new(str pattern, file_io *io, mem *m, table_source **out, fz_error *err);

#endif
