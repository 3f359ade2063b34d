/*
 * deletes.h: the delete files of a scan, read and applied (spec, "Delete Formats").
 *
 *     ib_deletes_new(scan) ──> ib_deletes_keys: columns that equality deletes compare (read with each file that has some)
 *            └── for each data file with deletes, by whichever worker opens it:
 *                     ib_deletes_file ──> for each batch: file_deletes_positions, file_deletes_equality
 *
 * A delete file is read once, when the first data file that needs it is opened. Position deletes are sorted into
 * the data files that they are for: a sorted array of positions, or a bitmap where that is smaller. Equality deletes
 * become hash tables from key to the greatest sequence number that deletes it, one for each set of field ids and each
 * partition (or for all partitions): a row goes if its key's number is greater than its data file's. So thousands of small
 * delete files cost a row no more than one.
 *
 * Equality as Java's StructLikeSet has it: nulls equal each other, floats by their bits with one NaN.
 * Everything is charged to the scan's memory and goes with it. All functions but _new and _free may be called by many threads.
 */
#ifndef ICEBERG_DELETES_H
#define ICEBERG_DELETES_H

#include "arrow/vector.h"
#include "iceberg/plan/plan.h"

typedef struct ib_deletes ib_deletes;
typedef struct ib_file_deletes ib_file_deletes;

/* A column that equality deletes compare. A field below structs is read as its top-level column, of whose type only the
 * members on the way are left. */
typedef struct ib_delete_key {
    int32_t field_id;
    column_def col;
    uint32_t depth;          /* steps down from col to the field */
} ib_delete_key;

/* s and md outlive it. *out NULL: the scan has no deletes. */
fz_status ib_deletes_new(const ib_scan *s, const ib_metadata *md, mem *m, ib_deletes **out, fz_error *err);
void ib_deletes_free(ib_deletes *d); /* NULL allowed */
const ib_delete_key *ib_deletes_keys(const ib_deletes *d, uint32_t *n); /* d NULL allowed */

/* The deletes of the scan's i-th file, read if they weren't yet; NULL: none. Borrowed from d. */
fz_status ib_deletes_file(ib_deletes *d, uint32_t i, const ib_file_deletes **out, fz_error *err);
/* Whether rows have to be compared: the keys of the batch are needed then, those with file_deletes_uses. */
bool file_deletes_compares(const ib_file_deletes *f);
bool file_deletes_uses(const ib_file_deletes *f, uint32_t key);
/* Rows [row, row + n) of the file that no position delete names; n: all, and sel isn't written. */
uint32_t file_deletes_positions(const ib_file_deletes *f, uint64_t row, uint32_t n, uint16_t *sel);
/* Of the selected rows (sel NULL: n rows) those that no equality delete is equal to; keys[k] as ib_deletes_keys has them. to may be sel. */
fz_status file_deletes_equality(const ib_file_deletes *f, const vec *const *keys, uint32_t n, const uint16_t *sel, uint16_t *to,
                                uint32_t *nsel, mem *m, fz_error *err);

#endif
