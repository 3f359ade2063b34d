/*
 * history.h: the snapshots of a table as a tree, which of them are too old to be kept, and which files nobody needs without them
 * (spec, "Snapshot References" and "Snapshot Retention Policy").
 */
#ifndef ICEBERG_HISTORY_H
#define ICEBERG_HISTORY_H

#include "iceberg/manifest/inline.h"
#include "iceberg/update/change.h"

/* Whether `id` is `of` or one of its parents, their parents, … as far as the metadata knows them. */
bool ib_is_ancestor(const ib_metadata *md, int64_t id, int64_t of);
/* The parent; NULL: none, or no longer known. */
const ib_snapshot *ib_parent(const ib_metadata *md, const ib_snapshot *s);

/* ---- expiring ---- */

typedef struct ib_expire_options {
    int64_t now_ms;
    int64_t older_than_ms;   /* -1: now less the table's history.expire.max-snapshot-age-ms (5 days) */
    int64_t retain_last;     /* -1: history.expire.min-snapshots-to-keep (1) */
    uint32_t n_ids;
    const int64_t *ids;      /* these go, whatever their age; only they where older_than_ms and retain_last are -1 and only_ids is set */
    bool only_ids;
    bool clean_metadata;     /* schemas and specs that no snapshot names go too */
} ib_expire_options;

/*
 * What has to be removed from the metadata, as a change: branches and tags past their max-ref-age-ms (main never), and the
 * snapshots that no other ref retains. A branch retains its newest min-snapshots-to-keep snapshots and those younger than its
 * max-snapshot-age-ms, a tag its own; a snapshot that no ref leads to goes by its age. FZ_INVALID: an id in `ids` that isn't there or that a ref points to.
 */
fz_status ib_expire(const ib_metadata *md, const ib_expire_options *o, ib_change *out, fz_error *err);

/* ---- files ---- */

typedef enum ib_file_kind { IB_FILE_DATA, IB_FILE_POSITION_DELETES, IB_FILE_EQUALITY_DELETES, IB_FILE_MANIFEST, IB_FILE_LIST, IB_FILE_STATISTICS, IB_FILE_KINDS } ib_file_kind;
typedef struct ib_path_list {
    uint32_t n, cap;
    struct ib_listed { const char *path; ib_file_kind kind; } *at;
} ib_path_list;

/*
 * The files that snapshots of `before` name which `after` doesn't have, and that nothing in `after` needs. Correct while others commit:
 * `after` is loaded when the removal is committed, and whoever commits later builds on snapshots that are in it, so that what no
 * snapshot in it reaches can't come back. Manifests are read through the cache; paths lie in the arena.
 */
fz_status ib_unneeded_files(const ib_metadata *before, const ib_metadata *after, ib_manifest_cache *cache, mem *m, arena *a,
                            ib_path_list *out, fz_error *err);

/* The files of statistics that the metadata names. */
fz_status ib_statistics_files(const ib_metadata *md, mem *m, arena *a, ib_path_list *out, fz_error *err);

/* A local path without scheme, empty parts and ".", cleaned in place; another's as it is. */
str ib_plain_path(char *path);

/*
 * Files below `location` (the table's own where it is empty) that no snapshot, statistics, metadata log or the table's metadata itself names
 * and that were last written before older_than_us. The files are listed before `load` gives the newest state, so that one which is committed
 * meanwhile isn't taken. Names that begin with '.' or '_' are left alone, as are folders in `skip`.
 */
typedef fz_status (*ib_load_fn)(void *ctx, ib_table **out, fz_error *err);
fz_status ib_orphan_files(file_io *io, str location, int64_t older_than_us, uint32_t n_skip, const str *skip, ib_load_fn load, void *ctx,
                          ib_manifest_cache *cache, mem *m, arena *a, ib_path_list *out, fz_error *err);

#endif
