/*
 * index.h: a manifest as scan planning wants it: the unpacked bytes as they are in the file, where each live
 * entry begins in them, and which partition it belongs to. Distinct partitions are decoded once; entries are decoded
 * when they are asked for, so that a selective plan over 100,000 files decodes the few it chooses.
 *
 * For predicates on other columns than partition sources there are key columns: bounds of all entries as 64-bit
 * numbers in the order of the values (text: its first eight bytes), made when first asked for and kept. Comparing keys
 * can only rule out: whoever passes is tested exactly.
 *
 * An index is immutable but for its key columns, which are published atomically; any thread may use it.
 */
#ifndef ICEBERG_INDEX_H
#define ICEBERG_INDEX_H

#include "iceberg/manifest/cache.h"
#include "iceberg/manifest/manifest_int.h"

#include <pthread.h>

typedef struct ib_key_column {
    struct ib_key_column *next;
    int32_t field_id;
    type t;
    size_t bytes;
    int64_t *lower, *upper;     /* of each entry; INT64_MIN, INT64_MAX: not known */
} ib_key_column;

typedef struct ib_index {
    uint8_t *raw;               /* the entries' bytes; raw_size of them */
    size_t raw_size, raw_cap;
    uint32_t *at;               /* of each live entry: where it begins in raw; n + 1 of them */
    uint32_t *part;             /* and its partition */
    size_t at_cap, part_cap;
    uint32_t n_parts, n_fields;
    datum *parts;               /* n_parts × n_fields; texts point into raw */
    entry_reader proto;         /* bound to the file's schema; copied for each use */
    arena tree;                 /* the schema's types */
    mem *m;                     /* of raw, at, part, key columns */
    pthread_mutex_t lock;       /* of who makes key columns */
    _Atomic(ib_key_column *) columns;
} ib_index;

/* Makes the index of a manifest's bytes in d (whose arena, path and sequence number are set). */
fz_status index_build(const void *data, size_t size, const char *location, const ib_manifest_file *mf, const ib_metadata *md,
                      ib_decoded *d, fz_error *err);
void index_free(ib_index *x); /* NULL allowed */
size_t index_bytes(const ib_index *x); /* without key columns and what lies in the arena of its ib_decoded */

/* Entry i, decoded into the arena; texts and bounds point into the index. */
typedef struct index_cursor {
    const ib_decoded *d;
    entry_reader e;
} index_cursor;
void index_cursor_open(index_cursor *c, const ib_decoded *d, bool want_stats, mem *m, arena *a);
fz_status index_read(index_cursor *c, uint32_t i, ib_manifest_entry *out, fz_error *err);
void index_cursor_close(index_cursor *c);

/* The key column of a field, made if it is missing: *grew says how many bytes were added then. */
fz_status index_keys(ib_decoded *d, int32_t field_id, type t, const ib_key_column **out, size_t *grew, fz_error *err);
/* A value's key: values in order have keys in order. False: it has none (null, NaN, nested). */
bool index_key(const datum *v, int64_t *key);

#endif
