/*
 * sqlite_catalog.h: the embedded catalog: a lake is a directory with catalog.db (SQLite, the tables
 * of PyIceberg's SqlCatalog) and warehouse/.
 *
 * Nothing but SQLite runs inside a write transaction, so that one lasts as long as one sync of the
 * log: other programs wait milliseconds. Correctness rests on the compare-and-swap of
 * metadata_location; queue_lock (catalog/queue.h, files in <lake>/.frazil/locks) only keeps
 * committers from working in vain.
 */
#ifndef CATALOG_SQLITE_CATALOG_H
#define CATALOG_SQLITE_CATALOG_H

#include "base/log.h"
#include "iceberg/catalog.h"

typedef struct sqlite_catalog_options {
    const char *lake_dir;     /* a path or file: location */
    const char *db_file;      /* instead of a lake: the path of the database, as a configured catalog names it; its folder has to exist */
    const char *warehouse;    /* of db_file: the location that tables go to; NULL: none */
    bool create_if_missing;   /* an empty or missing folder becomes a lake, a missing database is made; else it is FZ_NOT_FOUND */
    const char *catalog_name; /* of the rows; NULL: "default", or the only other name that the file holds */
    int64_t busy_timeout_ms;  /* how long to wait for other programs' locks; 0: 30 s */
    bool read_only;           /* never writes, not even a lock file */
} sqlite_catalog_options;

/* A folder with other content and no catalog.db is FZ_INVALID, and so is a file with several catalog
 * names of which none was chosen. `m` and `log` (may be NULL) must outlive the catalog. */
fz_status sqlite_catalog_open(const sqlite_catalog_options *o, mem *m, logger *log, ib_catalog **out, fz_error *err);

#endif
