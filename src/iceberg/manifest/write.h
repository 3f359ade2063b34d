/*
 * write.h: writing a manifest entry by entry, for who rolls to the next one at a size or merges several.
 *
 *     manifest_writer_open -> manifest_writer_add ... -> manifest_writer_finish | manifest_writer_abort
 */
#ifndef ICEBERG_MANIFEST_WRITE_H
#define ICEBERG_MANIFEST_WRITE_H

#include "format/avro/avro.h"
#include "iceberg/manifest/manifest.h"

typedef struct manifest_writer {
    avro_writer w;
    mem *m;
    arena *a;                /* the caller's: what `out` of finish points to */
    const ib_partition_spec *spec;
    type *types;             /* of the partition values */
    struct value_summary { bool null, nan, any; datum min, max; } *summaries;
    ib_manifest_file mf;     /* counts so far */
} manifest_writer;

/* types NULL: from the schema (see manifest_partition_types). After a failure nothing is to be aborted. */
fz_status manifest_writer_open(manifest_writer *w, mem *m, const ib_schema *schema, const ib_partition_spec *spec,
                               ib_content content, int64_t snapshot_id, const type *types, arena *a, fz_error *err);
fz_status manifest_writer_add(manifest_writer *w, const ib_manifest_entry *e, fz_error *err);
size_t manifest_writer_size(const manifest_writer *w);
/* Writes the file durably and frees the writer's memory, on success and on failure. */
fz_status manifest_writer_finish(manifest_writer *w, file_io *io, const char *location, ib_manifest_file *out, fz_error *err);
void manifest_writer_abort(manifest_writer *w);

/* The types of a spec's values under a schema; `values` (may be NULL) has the type of a field whose
 * source column no longer exists. */
fz_status manifest_partition_types(const ib_schema *schema, const ib_partition_spec *spec, const datum *values,
                                   arena *a, type **out, fz_error *err);

#endif
