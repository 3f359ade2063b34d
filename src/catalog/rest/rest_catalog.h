/*
 * rest_catalog.h: a catalog behind the Iceberg REST protocol (the open-API file of Iceberg 1.11).
 *
 * Opening asks the server nothing; the first use gets a token where credentials are given (OAuth2 client credentials, token exchange; a
 * bearer as it is; SigV4; mutual TLS) and /v1/config, whose defaults stand below and overrides above the caller's properties.
 *
 * Tables that the server vends credentials with are reached through a file_io of their own, renewed by the server before they
 * expire, also in the middle of a read or write.
 *
 * A commit whose answer was lost is looked up: by the snapshot or metadata that it would have made, never repeated blindly (where
 * the server takes Idempotency-Key it may be); what stays unknown is FZ_UNKNOWN.
 */
#ifndef CATALOG_REST_CATALOG_H
#define CATALOG_REST_CATALOG_H

#include "iceberg/catalog.h"
#include "io/storage.h"

typedef struct rest_options {
    const char *name;               /* the catalog's; for messages and the token cache */
    uint32_t n_props;
    const io_prop *props;           /* by PyIceberg's names: uri, credential, warehouse, s3.endpoint, …; copied */
    storage shared;                 /* referenced */
    int64_t staleness_ms;           /* load_table answers from what it has for so long; 0: always asks, conditionally */
    bool keep_tokens;               /* token and /v1/config are kept between processes, in files of mode 0600 */
} rest_options;

fz_status rest_catalog_open(const rest_options *o, file_io *io, mem *m, ib_catalog **out, fz_error *err);

#endif
