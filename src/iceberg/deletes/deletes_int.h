/* deletes_int.h: shared by the files of this folder: tables of keys (equality.c) and lists of positions (positions.c). */
#ifndef ICEBERG_DELETES_INT_H
#define ICEBERG_DELETES_INT_H

#include "iceberg/deletes/deletes.h"
#include "iceberg/deletes/rows.h"

/* ---- positions of one data file ---- */

typedef struct positions {
    uint64_t rows;           /* of the file */
    uint32_t n, cap;
    uint32_t *at;            /* ascending and distinct once finished */
    uint64_t *bits;          /* instead of them, or NULL */
} positions;

bool positions_add(positions *p, uint32_t pos, mem *m); /* false: no memory */
void positions_finish(positions *p, mem *m);
void positions_free(positions *p, mem *m);
/* iota: 0, 1, 2, … BATCH_ROWS - 1. */
uint32_t positions_select(const positions *p, uint64_t row, uint32_t n, const uint16_t *iota, uint16_t *sel);

/* ---- keys ---- */

typedef struct key_table {
    arena a;                 /* keys' bytes */
    mem *m;
    uint32_t n_fields;
    const uint32_t *fields;  /* of the scan's delete keys */
    const ib_delete_key *keys;
    struct key_slot { uint64_t hash; const char *key; uint32_t len; int64_t sequence; } *slots; /* key NULL: free */
    size_t n, n_slots;
} key_table;

void key_table_init(key_table *t, mem *m);
void key_table_free(key_table *t);
/* The rows of a delete file. */
fz_status key_table_load(key_table *t, file_io *io, const ib_data_file *f, int64_t sequence, fz_error *err);
/* keys: the batch's vectors by delete key. */
fz_status key_table_filter(const key_table *t, int64_t sequence, const vec *const *keys, uint32_t n, const uint16_t *sel, uint16_t *to,
                           uint32_t *nsel, mem *m, fz_error *err);

#endif
