/*
 * avro_write.h: batches into an Avro file: data files of tables.
 *
 *     avro_data_open ──> avro_data_append … ──> avro_data_finish | avro_data_abort
 *
 * The schema follows Iceberg's conversion: field-id, element-id, key-id and value-id; nullable members are unions with null first; maps
 * whose keys aren't text are arrays of key-value records (logicalType "map"); decimals are fixed; names that Avro doesn't allow are
 * escaped, with the name beside them in "iceberg-field-name". Equal rows give equal files: the sync marker is a hash of the
 * schema and the first block.
 */
#ifndef FORMAT_AVRO_AVRO_WRITE_H
#define FORMAT_AVRO_AVRO_WRITE_H

#include "arrow/vector.h"
#include "codec/compress.h"
#include "format/avro/avro.h"
#include "io/io.h"

typedef struct avro_data avro_data;

typedef struct avro_data_options {
    codec_id codec;      /* CODEC_NONE, _DEFLATE, _SNAPPY, _ZSTD */
    int level;           /* 0: the codec's default */
    size_t block_bytes;  /* of a block before it is compressed, about; 0: 256 kB */
} avro_data_options;

/* Takes ownership of w, which is finished or aborted with the writer, also by a failure here. `schema` outlives the writer; meta: further
 * entries of the header. FZ_UNSUPPORTED for a codec that Avro doesn't have. */
fz_status avro_data_open(io_writer *w, const row_schema *schema, const avro_data_options *o, uint32_t n_meta, const avro_kv *meta, mem *m,
                         avro_data **out, fz_error *err);
/* The selected rows. FZ_VALUE (23502) for a null where none may be. */
fz_status avro_data_append(avro_data *d, const batch *b, fz_error *err);
/* Bytes of the file if it ended now, about. */
uint64_t avro_data_size(const avro_data *d);
/* Makes the file durable; frees d, also on failure. */
fz_status avro_data_finish(avro_data *d, uint64_t *file_size, int64_t *rows, fz_error *err);
void avro_data_abort(avro_data *d); /* removes the file; NULL allowed */

/* The schema as JSON. */
void avro_schema_write(const row_schema *schema, sbuf *out);
/* Bytes of the fixed that holds a decimal of this precision. */
uint32_t avro_decimal_bytes(unsigned precision);

#endif
