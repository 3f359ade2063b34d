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

/* ---- reading entries (read.c), for who goes through them in a way of his own (index.c) ---- */

/* Fields of an entry and of its data_file, as avro_bind numbers them. */
enum { F_STATUS, F_SNAPSHOT, F_SEQ, F_FILE_SEQ, F_DATA_FILE, F_N_ENTRY };
enum { F_CONTENT, F_PATH, F_FORMAT, F_PARTITION, F_RECORDS, F_FILE_SIZE, F_COLUMN_SIZES, F_VALUE_COUNTS, F_NULL_COUNTS,
       F_NAN_COUNTS, F_LOWER, F_UPPER, F_KEY, F_SPLITS, F_EQUALITY, F_SORT_ORDER, F_REFERENCED, F_N_FILE };

typedef struct entry_reader {
    avro_reader r;
    mem *m;
    arena *a;                   /* of what is read */
    ib_manifest_file mf;        /* what entries inherit; nothing else of it */
    bool want_stats;
    bool borrow;                /* texts of entries point into the file's bytes */
    const avro_type *file, *part; /* part NULL: the file has no partition values */
    uint8_t *entry_slots, *file_slots, *part_slots;
    uint32_t n_spec;            /* fields of the partition spec */
    type *types;                /* of the partition values; T_NULL: as the file has them */
    /* statistics of the entry being read */
    ib_column_stats *stats;
    uint32_t n_stats, cap_stats, guess;
    struct entry_slot { uint32_t stamp, index; } *hash;
    uint32_t stamp;
    bool failed;                /* no memory */
} entry_reader;

/* Checks the head of a file and binds its schema; what lives as long as the reader comes from `a`. After a success:
 * avro_reader_close(&e->r) and entry_reader_scratch_free. */
fz_status entry_reader_open(entry_reader *e, const void *data, size_t size, const char *location, const ib_manifest_file *mf,
                            const ib_metadata *md, mem *m, arena *a, fz_error *err);
void entry_reader_scratch_free(entry_reader *e);
/* The entry at e->r.cur, which is at what is wrong where something is. */
fz_status entry_read(entry_reader *e, ib_manifest_entry *x, fz_error *err);
/* Its partition values alone, at the cursor: n_spec of them. */
void entry_partition(entry_reader *e, datum *values);
/* A manifest's bytes. */
fz_status manifest_load(file_io *io, const ib_manifest_file *mf, arena *a, mem *m, char **location, buf **data, fz_error *err);

/* Bytes of a fixed that holds every decimal of that precision. */
int manifest_decimal_bytes(int precision);
/* The Avro schema texts. */
void manifest_list_schema(sbuf *out);
void manifest_schema(const ib_partition_spec *spec, const type *types, sbuf *out);

#endif
