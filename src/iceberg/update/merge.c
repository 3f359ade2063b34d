/*
 * merge.c: merging of data manifests, as Java's MergeAppend does it.
 *
 * Manifests are grouped by partition spec and packed, from the oldest, into bins of at most
 * commit.manifest.target-size-bytes, without changing their order: so the bin that isn't full is
 * the one of the newest, which the next commit fills. A bin becomes one manifest, except that of the newest
 * while it has fewer than commit.manifest.min-count-to-merge. Entries of earlier snapshots
 * become EXISTING with their sequence numbers written out; their deleted entries are dropped.
 */
#include "iceberg/update/snapshot_int.h"

#include <stdlib.h>

typedef struct merge_options {
    bool enabled;
    int64_t target_bytes, min_count;
} merge_options;

static fz_status read_options(const ib_metadata *md, merge_options *o, fz_error *err)
{
    TRY(ib_prop_bool(&md->properties, "commit.manifest-merge.enabled", true, &o->enabled, err));
    TRY(ib_prop_i64(&md->properties, "commit.manifest.target-size-bytes", 8 << 20, &o->target_bytes, err));
    return ib_prop_i64(&md->properties, "commit.manifest.min-count-to-merge", 100, &o->min_count, err);
}

/* A manifest's entries: of one that this commit wrote, else read. */
static fz_status entries_of(ib_producer *p, const ib_metadata *md, const ib_manifest_file *f, uint32_t *n,
                            const ib_manifest_entry **entries, fz_error *err)
{
    for (uint32_t i = 0; i < p->added.n; i++)
        if (str_eq(p->added.at[i].mf.path, f->path)) {
            *n = p->added.at[i].n;
            *entries = p->added.at[i].entries;
            return FZ_OK;
        }
    ib_decoded *d;
    TRY(ib_manifest_get(p->w->cache, f, md, true, p->m, &d, err));
    *n = d->n;
    *entries = d->entries;
    return producer_hold(p, d, err);
}

/* Takes over what the merged manifest keeps of one; returns the number of entries. */
static uint32_t take(const ib_producer *p, uint32_t n, const ib_manifest_entry *from, ib_manifest_entry *to)
{
    uint32_t k = 0;
    for (uint32_t i = 0; i < n; i++) {
        bool own = from[i].snapshot_id == p->snapshot_id;
        if (from[i].status == IB_DELETED && !own)
            continue;
        to[k] = from[i];
        if (!own)
            to[k].status = IB_EXISTING;
        k++;
    }
    return k;
}

/* Whether a merged manifest may be written from the bin: its spec is known. */
static fz_status merge_bin(ib_producer *p, const ib_metadata *md, uint32_t n, const ib_manifest_file *bin,
                           ib_manifest_file *out, fz_error *err)
{
    const ib_partition_spec *spec = ib_spec_by_id(md, bin[0].spec_id);
    if (!spec)
        return error_set(err, FZ_DATA, "a manifest of partition spec %d, which the table doesn't have", bin[0].spec_id);
    uint32_t *counts = ARENA_ARRAY(&p->attempt, uint32_t, n);
    const ib_manifest_entry **from = ARENA_ARRAY(&p->attempt, const ib_manifest_entry *, n);
    if (!counts || !from)
        return error_nomem(err);
    size_t total = 0;
    for (uint32_t i = 0; i < n; i++) {
        TRY(entries_of(p, md, &bin[i], &counts[i], &from[i], err));
        total += counts[i];
    }
    ib_manifest_entry *all = ARENA_ARRAY(&p->attempt, ib_manifest_entry, total + 1);
    if (!all)
        return error_nomem(err);
    uint32_t k = 0;
    for (uint32_t i = 0; i < n; i++)
        k += take(p, counts[i], from[i], all + k);
    return producer_write(p, md, spec, IB_DATA, k, all, &p->made, &p->attempt, out, err);
}

/*
 * Manifests that version 1 left without counts, which a list of version 2 can't name, are written anew, with counts, summaries and
 * sequence numbers. Those that turn out to have no live files are left out.
 */
fz_status manifests_count(ib_producer *p, const ib_metadata *md, uint32_t *n, ib_manifest_file *files, fz_error *err)
{
    uint32_t k = 0;
    for (uint32_t i = 0; i < *n; i++) {
        const ib_manifest_file f = files[i];
        bool known = f.added_files >= 0 && f.existing_files >= 0 && f.deleted_files >= 0 && f.added_rows >= 0 && f.existing_rows >= 0 &&
                     f.deleted_rows >= 0;
        if (known || f.content != IB_DATA) {
            files[k++] = f;
            continue;
        }
        TRY(merge_bin(p, md, 1, &f, &files[k], err));
        k += files[k].existing_files > 0;
    }
    *n = k;
    return FZ_OK;
}

/* One spec's manifests, newest first; appends the result to out. */
static fz_status merge_group(ib_producer *p, const ib_metadata *md, const merge_options *o, uint32_t n,
                             const ib_manifest_file *group, const ib_manifest_file *newest, uint32_t *n_out,
                             ib_manifest_file *out, fz_error *err)
{
    /* ends[i]: where the i-th bin from the end begins */
    uint32_t *starts = ARENA_ARRAY(&p->attempt, uint32_t, n + 1);
    if (!starts)
        return error_nomem(err);
    uint32_t bins = 0;
    int64_t weight = 0;
    for (uint32_t i = n; i-- > 0;) {
        if (i + 1 == n || weight + group[i].length > o->target_bytes) {
            bins++;
            weight = 0;
        }
        weight += group[i].length;
        starts[bins - 1] = i;
    }
    for (uint32_t b = bins; b-- > 0;) {
        uint32_t from = starts[b], to = b > 0 ? starts[b - 1] : n;
        bool has_newest = from == 0 && str_eq(group[0].path, newest->path);
        if (to - from == 1 || (has_newest && to - from < o->min_count)) {
            memcpy(out + *n_out, group + from, (to - from) * sizeof *out);
            *n_out += to - from;
        } else {
            TRY(merge_bin(p, md, to - from, group + from, &out[*n_out], err));
            ++*n_out;
        }
    }
    return FZ_OK;
}

static int by_spec_down(const void *x, const void *y)
{
    const int32_t *a = x, *b = y;
    return *a > *b ? -1 : *a < *b;
}

fz_status manifests_merge(ib_producer *p, const ib_metadata *md, uint32_t *n, ib_manifest_file *files, fz_error *err)
{
    merge_options o;
    TRY(read_options(md, &o, err));
    if (!o.enabled || *n < 2)
        return FZ_OK;
    int32_t *specs = ARENA_ARRAY(&p->attempt, int32_t, md->n_specs + 1);
    ib_manifest_file *group = ARENA_ARRAY(&p->attempt, ib_manifest_file, *n);
    ib_manifest_file *out = ARENA_ARRAY(&p->attempt, ib_manifest_file, *n);
    if (!specs || !group || !out)
        return error_nomem(err);
    for (uint32_t i = 0; i < md->n_specs; i++)
        specs[i] = md->specs[i].spec_id;
    qsort(specs, md->n_specs, sizeof *specs, by_spec_down);
    uint32_t n_out = 0, seen = 0;
    for (uint32_t s = 0; s < md->n_specs; s++) {
        uint32_t k = 0;
        for (uint32_t i = 0; i < *n; i++)
            if (files[i].spec_id == specs[s])
                group[k++] = files[i];
        seen += k;
        if (k)
            TRY(merge_group(p, md, &o, k, group, &files[0], &n_out, out, err));
    }
    if (seen != *n)
        return error_set(err, FZ_DATA, "a manifest of a partition spec that the table doesn't have");
    memcpy(files, out, n_out * sizeof *files);
    *n = n_out;
    return FZ_OK;
}
