/*
 * manifest_int.h: shared by the files of this folder: reading from memory, Avro schemas.
 */
#ifndef ICEBERG_MANIFEST_INT_H
#define ICEBERG_MANIFEST_INT_H

#include "format/avro/avro.h"
#include "iceberg/manifest/manifest.h"
#include "iceberg/manifest/write.h"

/* Files of metadata larger than this are refused (FZ_LIMIT). */
#define MANIFEST_MAX_BYTES ((size_t)1 << 30)

/* Reading from memory: `data` is the whole file, `location` its name in messages. */
fz_status manifest_list_decode(const void *data, size_t size, const char *location, mem *m, arena *a, uint32_t *n,
                               ib_manifest_file **out, fz_error *err);
fz_status manifest_decode(const void *data, size_t size, const char *location, const ib_manifest_file *mf,
                          const ib_metadata *md, bool want_stats, mem *m, arena *a, uint32_t *n,
                          ib_manifest_entry **out, fz_error *err);

/* Bytes of a fixed that holds every decimal of that precision. */
int manifest_decimal_bytes(int precision);
/* The Avro schema texts. */
void manifest_list_schema(sbuf *out);
void manifest_schema(const ib_partition_spec *spec, const type *types, sbuf *out);

#endif
