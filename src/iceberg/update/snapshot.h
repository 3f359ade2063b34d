/*
 * snapshot.h: producing a snapshot from data files, and the commit loop.
 *
 * A change of a table's rows runs in these steps; all files are durable before the pointer moves:
 *
 *   1. data files                    the caller's
 *   2. manifests of the added files  once; they inherit the sequence number, so that a retry keeps them
 *   3. manifest list (and manifests that were merged or marked deleted)   once per attempt
 *   4. metadata file and the swap of the catalog's pointer                the catalog's
 *
 * Steps 3 and 4 run while the committer holds the table's queue (catalog.h), on the newest metadata.
 * A conflict runs them again on the newer metadata until commit.retry.total-timeout-ms has
 * passed (or commit.retry.num-retries attempts failed, where that is set). What an attempt
 * wrote is removed when it has failed for certain; after FZ_UNKNOWN the catalog is asked whether the
 * snapshot is there, and nothing is removed. Data files belong to the caller always, who removes them after
 * any failure but FZ_UNKNOWN.
 *
 * REBASING. An append applies to any later state that still is the same table (uuid) and knows the
 * schema and the partition specs of its files. A replace deletes what is current when it commits,
 * also rows that others appended after the statement began: the table then holds
 * exactly its files, as if it had run after them.
 */
#ifndef ICEBERG_SNAPSHOT_H
#define ICEBERG_SNAPSHOT_H

#include "base/task.h"
#include "iceberg/catalog.h"
#include "iceberg/manifest/cache.h"
#include "iceberg/manifest/manifest.h"

typedef enum ib_operation {
    IB_APPEND,  /* adds the files */
    IB_REPLACE, /* removes every file, adds these (n_files may be 0): operation "overwrite" or "delete" */
} ib_operation;

typedef struct ib_write {
    ib_operation op;
    str branch;                  /* which one it is committed to, a branch that exists; empty: main */
    int32_t schema_id;           /* what the files were written with */
    uint32_t n_files;
    const ib_data_file *files;   /* content IB_DATA, in row order; spec_id and partition set */
    file_io *io;                 /* what the files were written through, and manifests are to be: settled before the commit; NULL: the table's */
    /* What the commit does to the table before the rows come: columns that are added, a table that is replaced. The files were
     * written for the metadata after that; schema_id is one of its. What it needs of the table to hold, else FZ_CONFLICT: */
    uint32_t n_before;
    const ib_update *before;
    uint32_t n_before_requirements;
    const ib_requirement *before_requirements;
    ib_props summary;            /* extra properties of the snapshot's summary */
    ib_manifest_cache *cache;    /* may be NULL */
    job *j;                      /* for cancelling; may be NULL */
    mem *m;
} ib_write;

/* Commits `w` to table `id`, built on `base` (not NULL; its schema and specs described the files).
 * *out (may be NULL) receives a reference to the new state. An append of no files commits nothing and
 * gives the newest state. FZ_CONFLICT: it no longer applies or retries ran out; FZ_UNKNOWN: whether it was
 * committed isn't known. */
fz_status ib_write_commit(ib_catalog *c, ib_ident id, ib_table *base, const ib_write *w, ib_table **out,
                          fz_error *err);

/* ---- the steps alone: for commits of several tables, and for a table made with its first rows ---- */

typedef struct ib_producer ib_producer;

/* Step 2. `md` is what the files were written against; `w` and what it points to must outlive the producer. */
fz_status ib_producer_new(const ib_metadata *md, const ib_write *w, ib_producer **out, fz_error *err);
int64_t ib_producer_snapshot_id(const ib_producer *p);
/* Step 3 on top of `md` (the newest). Requirements and updates live until the next prepare or finish. Files of
 * an earlier attempt are removed first. FZ_CONFLICT when the operation can't be rebased. */
fz_status ib_producer_prepare(ib_producer *p, const ib_metadata *md, uint32_t *n_requirements,
                              const ib_requirement **requirements, uint32_t *n_updates, const ib_update **updates,
                              fz_error *err);
/* Makes the data files and what it has written durable: before a catalog is asked to refer to them. */
fz_status ib_producer_settle(const ib_producer *p, fz_error *err);
/* Ends it and frees p (NULL allowed). FZ_OK: committed, the cache learns what was written. FZ_UNKNOWN: everything
 * stays. Any other status: every manifest and list it wrote is removed. */
void ib_producer_finish(ib_producer *p, fz_status outcome);

#endif
