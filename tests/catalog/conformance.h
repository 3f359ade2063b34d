/*
 * conformance.h: what every catalog must do, run by the test of each of them (catalog.h).
 *
 *   conformance_run(c)    a fresh, empty catalog; leaves it with namespaces and tables
 *
 * Also small helpers that those tests share.
 */
#ifndef TESTS_CATALOG_CONFORMANCE_H
#define TESTS_CATALOG_CONFORMANCE_H

#include "iceberg/catalog.h"

#define IDENT(NS, NAME) ((ib_ident){str_of(NS), str_of(NAME)})

/* Metadata of a table with one column at the catalog's default location. */
ib_metadata *sample_metadata(ib_catalog *c, ib_ident id);
/* Creates a table from it; one reference. */
ib_table *sample_create(ib_catalog *c, ib_ident id);
/* Commits one snapshot on top of `base` (may be NULL), required to be still current if `strict`. */
fz_status sample_append(ib_catalog *c, ib_ident id, ib_table *base, int64_t snapshot_id, int64_t parent, int64_t sequence,
                        bool strict, ib_table **out, fz_error *err);
fz_status sample_set(ib_catalog *c, ib_ident id, const char *key, const char *value, ib_table **out, fz_error *err);

void conformance_run(ib_catalog *c);

#endif
