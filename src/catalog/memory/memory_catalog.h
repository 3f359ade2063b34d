/*
 * memory_catalog.h: a catalog that lives as long as its handle: for tests and for tables of one
 * session. Metadata is kept as structures, no metadata file is written (register_table reads one).
 */
#ifndef CATALOG_MEMORY_CATALOG_H
#define CATALOG_MEMORY_CATALOG_H

#include "iceberg/catalog.h"

/* `warehouse` is where default_location puts tables, "memory:///warehouse" if NULL. */
fz_status memory_catalog_open(const char *warehouse, mem *m, ib_catalog **out, fz_error *err);

#endif
