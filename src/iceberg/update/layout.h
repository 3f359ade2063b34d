/*
 * layout.h: names of a table's files, and the random numbers in them.
 *
 *   data      <data path>/[<partition path>/]<task, five digits>-<n>-<uuid>.parquet
 *   manifest  <metadata path>/<uuid>-m<n>.avro
 *   list      <metadata path>/snap-<snapshot id>-<attempt>-<uuid>.avro
 *   metadata  <metadata path>/<version, five digits>-<uuid>[.gz].metadata.json
 *
 * The data path is the property write.data.path, else <location>/data; the metadata path is
 * write.metadata.path, else <location>/metadata. Nothing is percent-decoded.
 *
 * With write.object-storage.enabled data files go to folders named by a hash of their path, as Java names them, so that an object
 * store spreads them: <data path>/0101/0110/1001/10110010/[<db>/<table>/][<partition path>/]<file>, where <db>/<table> are the last two
 * parts of the table's location and stand there only if the data path lies outside of it; without partition paths
 * (write.object-storage.partitioned-paths=false) the last part of the hash is put before the file's name with a dash.
 */
#ifndef ICEBERG_LAYOUT_H
#define ICEBERG_LAYOUT_H

#include "iceberg/spec/spec.h"

#define UUID_TEXT 37 /* with the NUL */

/* Random (version 4) UUID in lower-case text. */
fz_status ib_uuid_new(char out[UUID_TEXT], fz_error *err);
/* Random, positive, 63 bits, not the id of one of md's snapshots (md may be NULL). */
fz_status ib_snapshot_id_new(const ib_metadata *md, int64_t *out, fz_error *err);
fz_status ib_random(void *p, size_t n, fz_error *err);

/* Locations, NUL-terminated, in the arena. NULL: no memory. */
char *ib_data_location(const ib_metadata *md, str partition_path, uint32_t task, uint32_t n, const char *uuid,
                       arena *a);
char *ib_manifest_location(const ib_metadata *md, const char *uuid, uint32_t n, arena *a);
char *ib_list_location(const ib_metadata *md, int64_t snapshot_id, uint32_t attempt, const char *uuid, arena *a);
/* Whether metadata files are compressed (write.metadata.compression-codec is gzip). */
bool ib_metadata_gzip(const ib_metadata *md);
char *ib_metadata_location(const ib_metadata *md, uint32_t version, const char *uuid, arena *a);
/* The version in such a metadata location ("…/00012-<uuid>.metadata.json" gives 12, "v12.metadata.json" too); -1:
 * it has none. */
int64_t ib_metadata_version(str location);
/* "a=1/ts_month=2020-01" of a partition; nothing for an unpartitioned spec. */
void ib_partition_path(const ib_partition_spec *spec, const datum *values, sbuf *out);

#endif
