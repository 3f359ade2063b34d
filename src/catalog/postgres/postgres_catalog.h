/*
 * postgres_catalog.h: a catalog in PostgreSQL, in the tables of PyIceberg's SqlCatalog: what several machines
 * share. Table files lie wherever the warehouse says.
 *
 * libpq is loaded by the first catalog that is opened (FZ_UNSUPPORTED without it), so whoever has none doesn't
 * pay for it. No session keeps state: poolers such as PgBouncer may sit in between.
 */
#ifndef CATALOG_POSTGRES_POSTGRES_CATALOG_H
#define CATALOG_POSTGRES_POSTGRES_CATALOG_H

#include "base/log.h"
#include "iceberg/catalog.h"

typedef struct postgres_options {
    /* postgresql://user:password@host:port/database?key=value as libpq takes it (several hosts, sslmode, …);
     * SQLAlchemy's postgresql+driver:// and postgres:// mean the same. What it doesn't say comes from libpq's usual
     * places (PGHOST, ~/.pgpass, …). It isn't kept, and no error shows more of it than host, port and database. */
    const char *uri;
    const char *catalog_name;     /* of the rows; NULL: "default" */
    const char *warehouse;        /* where tables go; NULL: each namespace or table says so itself */
    bool keep_tables;             /* missing catalog tables aren't made (init_catalog_tables=false) */
    bool read_only;
    int64_t connect_timeout_ms;   /* also how long a server that went away is waited for; 0: 10 s, or connect_timeout of the URI */
    int64_t statement_timeout_ms; /* 0: 30 s. Others' locks are waited for that long, and commits go on against others that long */
    uint32_t max_connections;     /* one for each caller at the same time; more callers wait; 0: 8 */
} postgres_options;

/* io (may be NULL) is referenced. `m` and `log` (may be NULL) must outlive the catalog. FZ_IO: no connection. */
fz_status postgres_catalog_open(const postgres_options *o, file_io *io, mem *m, logger *log, ib_catalog **out, fz_error *err);

#endif
