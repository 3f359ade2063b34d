/* arrow_table.h: an Arrow stream of another program as a source of rows, for one scan. */
#ifndef ENGINE_ARROW_TABLE_H
#define ENGINE_ARROW_TABLE_H

#include "exec/source.h"

#include <frazil/arrow_abi.h>

/* One reference. Takes the stream, also on failure: its release is NULL afterwards. The schema and the first rows are asked for
 * here, so that a producer which fails at once fails the statement's binding. */
fz_status arrow_table_new(struct ArrowArrayStream *in, str name, mem *m, table_source **out, fz_error *err);

#endif
