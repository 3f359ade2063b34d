/*
 * write_options.h: how a table wants its Parquet files written: its write.parquet.* properties and its sort order.
 */
#ifndef ICEBERG_WRITE_OPTIONS_H
#define ICEBERG_WRITE_OPTIONS_H

#include "format/parquet/parquet.h"
#include "iceberg/spec/spec.h"

/* Fills *o; what it points to lies in the arena or in md. `order`: the order that the rows will have, NULL: none. A value
 * that makes no sense is FZ_INVALID or FZ_UNSUPPORTED, naming the property. */
fz_status ib_parquet_options(const ib_metadata *md, const ib_sort_order *order, arena *a, pq_write_options *o, fz_error *err);

#endif
