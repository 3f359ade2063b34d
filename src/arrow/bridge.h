/*
 * bridge.h: batches to and from the Arrow C data interface.
 *
 * Export hands out Arrow-layout arrays: bool as bits, decimals as decimal128, date32,
 * time64[us], timestamp[us] with "UTC" where zoned, text as utf8, binary likewise (a batch with
 * more than 2 GB of either is refused with FZ_LIMIT), uuid and fixed as fixed_size_binary. An
 * exported array owns its memory and may be released from any thread. DICT and RLE vectors are
 * flattened. Structs, lists and maps go out as "+s", "+l" and "+m", members alike.
 *
 * Import takes ownership of the array (its release is called when the batch lets go) and is
 * zero-copy where the layouts agree. It also takes what others hand out for the same types:
 * integers of all widths (uint64 becomes decimal(20,0)), half floats, decimals of 32 and 64
 * bits, large and view text, date64, times of all units (one that isn't a whole number of
 * microseconds is FZ_VALUE, never rounded), dictionaries, large lists and lists of a fixed size.
 */
#ifndef ARROW_BRIDGE_H
#define ARROW_BRIDGE_H

#include "arrow/vector.h"

#include <frazil/arrow_abi.h>

/* A struct schema ("+s") with one child per column. out->release is set on success only. */
fz_status bridge_export_schema(const row_schema *s, struct ArrowSchema *out, fz_error *err);
/* A struct array of the batch's selected rows; its memory comes from m's allocator and may outlive m. */
fz_status bridge_export_batch(const row_schema *s, const batch *b, mem *m, struct ArrowArray *out,
                              fz_error *err);
/* What the arrays of one result share: the memory of constant columns, which are the same in many batches. NULL: no memory. Used by many
 * threads at once; arrays may outlive it. */
typedef struct bridge_shared bridge_shared;
bridge_shared *bridge_shared_new(uint32_t ncols);
void bridge_shared_free(bridge_shared *x); /* NULL allowed */
/* bridge_export_batch with what the batches before had in common; the same m and schema for one x. */
fz_status bridge_export_shared(const row_schema *s, const batch *b, mem *m, bridge_shared *x, struct ArrowArray *out, fz_error *err);
/* Columns of a "+s" schema; names and nested types in the arena. An Arrow type that has no
 * counterpart is FZ_UNSUPPORTED, naming column and format string. */
fz_status bridge_import_schema(const struct ArrowSchema *in, arena *a, row_schema *out, fz_error *err);
/* Moves the array into a batch (initialised; reset first), reading it as `schema` lays it out:
 * the same that bridge_import_schema was given and made `types` of, which outlive what is made of the batch. Rows may be more than BATCH_ROWS: the caller
 * slices. in->release is NULL afterwards, on success and on failure. Counts, offsets, codes and
 * UTF-8 are checked at every level; sizes of buffers can't be. */
fz_status bridge_import_rows(const struct ArrowSchema *schema, const row_schema *types, struct ArrowArray *in,
                             batch *out, fz_error *err);

#endif
