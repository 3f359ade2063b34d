/*
 * snapshot_int.h: the parts of the snapshot producer: the summary (summary.c) and merging (merge.c).
 */
#ifndef ICEBERG_SNAPSHOT_INT_H
#define ICEBERG_SNAPSHOT_INT_H

#include "iceberg/manifest/write.h"
#include "iceberg/update/snapshot.h"

/* ---- summary.c ---- */

/* What a snapshot did, counted file by file. */
typedef struct summary_counts {
    int64_t added_files, added_delete_files, removed_files, removed_delete_files;
    int64_t added_records, deleted_records, added_size, removed_size;
    int64_t removed_position_files, removed_equality_files, removed_position_deletes, removed_equality_deletes;
} summary_counts;

typedef struct summary {
    summary_counts all;
    struct strmap *by_partition;   /* path -> summary_counts */
    struct summary_partition { str path; summary_counts counts; } **partitions;
    uint32_t n_partitions, cap_partitions;
    arena *a;
} summary;

void summary_init(summary *s, arena *a);
fz_status summary_add(summary *s, const ib_metadata *md, const ib_data_file *f, bool added, fz_error *err);
/* The finished properties, with the totals carried on from the parent's summary (NULL: none). */
fz_status summary_props(const summary *s, const ib_metadata *md, const char *operation, const ib_props *extra,
                        const ib_props *parent, arena *a, ib_props *out, fz_error *err);

/* ---- snapshot.c ---- */

/* A manifest that this commit wrote, with its entries for the cache. */
typedef struct written {
    ib_manifest_file mf;
    const char *location;          /* NUL-terminated */
    uint32_t n;
    ib_manifest_entry *entries;
} written;

typedef struct written_list { uint32_t n, cap; written *at; } written_list;

struct ib_producer {
    const ib_write *w;
    mem *m;
    file_io *io;                   /* referenced: the write's, else of what the files were written against */
    arena mem;                     /* lives as long as the producer */
    arena attempt;                 /* until the next prepare */
    int64_t snapshot_id;
    char uuid[37];
    str table_uuid;
    uint32_t n_names, n_attempts;  /* of manifests; of lists */
    written_list added;            /* in mem */
    written_list made;             /* in attempt */
    const char *list_location;     /* in attempt; NULL: none written */
    int64_t sequence_number;
    uint32_t n_files;
    ib_manifest_file *files;       /* what the list holds, in attempt */
    uint32_t n_held, cap_held;
    ib_decoded **held;             /* what entries and files borrow from, in attempt */
    ib_requirement requirements[2];
    ib_update updates[2];
    ib_snapshot snapshot;
};

/* Keeps d until the attempt ends; takes over the reference, on failure too. */
fz_status producer_hold(ib_producer *p, ib_decoded *d, fz_error *err);
/* Writes a manifest of this attempt and notes it; the entries must live as long as the attempt. */
fz_status producer_write(ib_producer *p, const ib_metadata *md, const ib_partition_spec *spec, ib_content content,
                         uint32_t n, ib_manifest_entry *entries, written_list *to, arena *a, ib_manifest_file *out,
                         fz_error *err);

/* ---- merge.c ---- */

/* Writes data manifests whose counts aren't known (of version 1) anew; *n may shrink. */
fz_status manifests_count(ib_producer *p, const ib_metadata *md, uint32_t *n, ib_manifest_file *files, fz_error *err);
/* Merges data manifests as the table's properties say; files[0] is the newest. *n shrinks, files is rewritten. */
fz_status manifests_merge(ib_producer *p, const ib_metadata *md, uint32_t *n, ib_manifest_file *files, fz_error *err);

#endif
