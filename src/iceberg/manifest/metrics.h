/*
 * metrics.h: from what the Parquet writer reports to the statistics of an ib_data_file, as the table's
 * properties ask: write.metadata.metrics.default and write.metadata.metrics.column.<name>, each
 * none, counts, truncate(n) or full; unset means truncate(16), for the first
 * write.metadata.metrics.max-inferred-column-defaults (100) columns and for what the table is sorted by. Names of nested
 * fields are their whole path: a.b, l.element, m.key. As in Iceberg's own writer a field within a list or map has a size and
 * nothing else.
 */
#ifndef ICEBERG_METRICS_H
#define ICEBERG_METRICS_H

#include "format/parquet/parquet.h"
#include "iceberg/manifest/manifest.h"

/* Fills `out` (zeroed here; everything copied to the arena). `partition` has a value for each field of the spec. */
fz_status ib_data_file_from_parquet(const ib_metadata *md, const ib_partition_spec *spec,
                                    const datum *partition, const char *location, const pq_write_result *res,
                                    int32_t sort_order_id, arena *a, ib_data_file *out, fz_error *err);

/* Bounds of text and bytes cut to `n` code points or bytes: the lower one is a prefix; the upper one is the prefix with its
 * last character raised, false where no such text exists. A value that is short enough stays. */
str ib_truncate_text(str s, int32_t n);
bool ib_truncate_text_up(str s, int32_t n, arena *a, str *out);
bool ib_truncate_bytes_up(str s, int32_t n, arena *a, str *out);
/* The least text or bytes above everything that begins with s; false where there is none. */
bool ib_raise_text(str s, arena *a, str *out);
bool ib_raise_bytes(str s, arena *a, str *out);

#endif
