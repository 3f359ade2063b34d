/*
 * check.h: whether a configured catalog works, step by step, and in plain words why not.
 */
#ifndef CATALOG_CHECK_H
#define CATALOG_CHECK_H

#include "catalog/open.h"

/* Receives a line for each step as it ends; false stops (FZ_CANCELLED). */
typedef bool (*catalog_say_fn)(void *ctx, const char *line);

/*
 * Opens the catalog, lists its namespaces, and reads one of its tables or, where there is none, lists the warehouse. Returns the first failure, with a hint
 * about what to correct. Nothing is written: a database that isn't there yet is said to be so.
 */
fz_status catalog_check(const config_catalog *c, const catalog_open_options *o, file_io *io, mem *m, catalog_say_fn say, void *ctx, fz_error *err);

/* Puts into err->hint what most likely has to be corrected: the name of a server, a certificate, credential, scope, warehouse, region. A hint that
 * says more already is kept. `c` may be NULL. */
void catalog_explain(const config_catalog *c, fz_error *err);

#endif
