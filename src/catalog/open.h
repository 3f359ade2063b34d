/*
 * open.h: the catalog that a configuration describes.
 */
#ifndef CATALOG_OPEN_H
#define CATALOG_OPEN_H

#include "base/log.h"
#include "catalog/config/config.h"
#include "iceberg/catalog.h"
#include "io/storage.h"

typedef struct catalog_open_options {
    bool create_if_missing;  /* the database of a SQLite catalog, tables of a database */
    bool read_only;
    int64_t lock_timeout_ms; /* 0: the default */
    storage shared;          /* referenced */
} catalog_open_options;

/*
 * Opens it; a server is not asked anything yet, a database is. Files of its tables are reached by s3.* and the like of the configuration, else through
 * `io` (may be NULL; referenced). FZ_NOT_FOUND: the database isn't there and may not be made. Errors hold no secrets. `m` and `log` (may be NULL) must
 * outlive the catalog.
 */
fz_status catalog_open(const config_catalog *c, const catalog_open_options *o, file_io *io, mem *m, logger *log, ib_catalog **out, fz_error *err);

/* The settings as properties, texts being c's own or in the arena; what is only given under another name (client.region, s3.path-style-access) also by PyIceberg's own. */
fz_status catalog_props(const config_catalog *c, arena *a, uint32_t *n, io_prop **out, fz_error *err);

#endif
