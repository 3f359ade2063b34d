/*
 * storage.h: file systems from properties, by PyIceberg's names (s3.endpoint, s3.access-key-id, client.region, …): what a catalog is
 * configured with, what a server sends with a table, what --source-set gives.
 */
#ifndef IO_STORAGE_H
#define IO_STORAGE_H

#include "io/aws/credentials.h"
#include "io/cache.h"
#include "io/io.h"

typedef struct io_prop { str key, value; } io_prop;

/* What the file systems of one process share. */
typedef struct storage {
    http_client *http;
    file_cache *cache;       /* NULL: none */
} storage;

/*
 * Adds the file systems of a set of properties for locations that begin with `prefix` (NULL: every s3://, s3a://, s3n://, http://
 * and https:// location). keys: a provider that counts before those in the properties, referenced (vended credentials that are renewed); NULL:
 * s3.access-key-id …, s3.anonymous, s3.profile-name, s3.role-arn, else AWS's own order. FZ_INVALID names a malformed property.
 */
fz_status storage_add(file_io *io, const char *prefix, const storage *shared, uint32_t n, const io_prop *props, aws_credentials *keys,
                      mem *m, fz_error *err);

#endif
