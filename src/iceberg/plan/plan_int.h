/*
 * plan_int.h: shared by the files of this folder.
 */
#ifndef ICEBERG_PLAN_INT_H
#define ICEBERG_PLAN_INT_H

#include "iceberg/manifest/index.h"
#include "iceberg/plan/plan.h"

/* Outcomes of a leaf; never too few. */
unsigned pred_leaf(const ib_pred *p, const ib_bounds *b);

typedef unsigned (*pred_leaf_fn)(void *ctx, const ib_pred *leaf);
unsigned pred_tree(const ib_pred *p, pred_leaf_fn leaf, void *ctx);
ib_match pred_match(unsigned outcomes);
/* A field of the current schema, or the last one that had it. */
const type_field *plan_find_field(const ib_metadata *md, int32_t id);

/* ---- choosing the entries of a manifest (select.c) ---- */

typedef struct chosen {
    const ib_manifest_entry *e;
    bool all_match;
} chosen;

typedef struct manifest_task {
    const ib_manifest_file *mf;
    ib_match match;            /* of its partition summaries */
    bool deletes;              /* a delete manifest: pruned by partition only */
    bool keep_stats;           /* what is chosen has its statistics */
    ib_decoded *d;             /* held: entries borrow from it */
    arena mem;                 /* of entries and the list */
    chosen *files;
    uint32_t n, pruned;
} manifest_task;

/* Reads t->mf and fills files, n, pruned. */
fz_status select_entries(const ib_metadata *md, const ib_pred *p, ib_manifest_cache *cache, mem *m, manifest_task *t, fz_error *err);

/* ---- which deletes are for which data files (assign.c) ---- */

/* Fills deletes of s->files and s->deletes, from the delete entries that were chosen. */
fz_status assign_deletes(const ib_metadata *md, uint32_t n_tasks, const manifest_task *tasks, mem *m, ib_scan *s, fz_error *err);

#endif
