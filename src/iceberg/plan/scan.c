/*
 * scan.c: scan planning: manifest list, manifests, data files.
 *
 *   1. The list's manifests without live files are left out, then those whose partition summaries rule
 *      the predicate out. Live delete files are refused.
 *   2. The others are read, in parallel, and their files tested. Where every row of a manifest
 *      matches, its statistics aren't needed.
 *   3. What is left is put in the order of insertion: manifest lists name the newest manifest
 *      first, and merging moves entries, but the data sequence number of a file never changes. Files of
 *      version 1 all have number 0: for them the position of their snapshot counts.
 */
#include "iceberg/plan/plan.h"

#include <stdio.h>
#include <stdlib.h>

typedef struct chosen { uint32_t index; bool all_match; } chosen;

typedef struct manifest_task {
    const ib_manifest_file *mf;
    ib_match match;
    ib_decoded *d;
    chosen *files;
    uint32_t n, cap, pruned;
} manifest_task;

typedef struct planning {
    const ib_metadata *md;
    const ib_pred *pred;
    ib_manifest_cache *cache;
    mem *m;
    uint32_t n;
    manifest_task *tasks;
} planning;

static bool maybe_live(const ib_manifest_file *f)
{
    return f->added_files != 0 || f->existing_files != 0;
}

static fz_status refuse(fz_error *err, str path, const char *what)
{
    error_set(err, FZ_UNSUPPORTED, "%s are not supported", what);
    char where[sizeof err->where];
    size_t n = path.n < sizeof where - 1 ? path.n : sizeof where - 1;
    memcpy(where, path.p, n);
    where[n] = 0;
    error_where(err, where);
    return FZ_UNSUPPORTED;
}

/* Whether a delete manifest has live entries; names their kind. */
static fz_status check_deletes(const planning *p, const ib_manifest_file *mf, bool *live, const char **kind,
                               fz_error *err)
{
    ib_decoded *d = NULL;
    *live = false;
    TRY(ib_manifest_get(p->cache, mf, p->md, false, p->m, &d, err));
    for (uint32_t i = 0; i < d->n && !*live; i++) {
        *live = d->entries[i].status != IB_DELETED;
        *kind = d->entries[i].file.content == IB_EQUALITY_DELETES ? "equality deletes" : "position deletes";
    }
    ib_decoded_unref(d);
    return FZ_OK;
}

static fz_status plan_manifest(void *ctx, size_t i, fz_error *err)
{
    const planning *p = ctx;
    manifest_task *t = &p->tasks[i];
    TRY(ib_manifest_get(p->cache, t->mf, p->md, t->match == IB_MATCH_SOME, p->m, &t->d, err));
    t->cap = t->d->n;
    t->files = mem_alloc(p->m, t->cap * sizeof *t->files + 1);
    if (!t->files) {
        t->cap = 0;
        return error_nomem(err);
    }
    for (uint32_t k = 0; k < t->d->n; k++) {
        const ib_manifest_entry *e = &t->d->entries[k];
        if (e->status == IB_DELETED)
            continue;
        ib_match match = t->match == IB_MATCH_ALL ? IB_MATCH_ALL : ib_pred_file(p->pred, p->md, &e->file);
        if (match == IB_MATCH_NONE) {
            t->pruned++;
            continue;
        }
        if (e->file.content != IB_DATA)
            return refuse(err, e->file.file_path, "delete files among data files");
        if (!str_eqz(e->file.file_format, "PARQUET")) {
            char what[64];
            snprintf(what, sizeof what, "data files of format %.*s", (int)(e->file.file_format.n < 20 ? e->file.file_format.n : 20),
                     e->file.file_format.p);
            return refuse(err, e->file.file_path, what);
        }
        if (e->file.key_metadata.n)
            return refuse(err, e->file.file_path, "encrypted data files");
        t->files[t->n++] = (chosen){k, match == IB_MATCH_ALL};
    }
    return FZ_OK;
}

/* Step 1. */
static fz_status choose_manifests(planning *p, const ib_decoded *list, ib_scan *s, fz_error *err)
{
    p->tasks = mem_zalloc(p->m, list->n * sizeof *p->tasks + 1);
    if (!p->tasks)
        return error_nomem(err);
    s->manifests = list->n;
    for (uint32_t i = 0; i < list->n; i++) {
        const ib_manifest_file *f = &list->files[i];
        if (!maybe_live(f))
            continue;
        if (f->content != IB_DATA) {
            bool live;
            const char *kind;
            TRY(check_deletes(p, f, &live, &kind, err));
            if (live)
                return refuse(err, f->path, kind);
            continue;
        }
        ib_match match = ib_pred_manifest(p->pred, p->md, f);
        if (match != IB_MATCH_NONE)
            p->tasks[p->n++] = (manifest_task){.mf = f, .match = match};
    }
    s->manifests_read = p->n;
    return FZ_OK;
}

/* ---- order ---- */

typedef struct key { int64_t sequence; uint32_t snapshot, task, at; } key;

static int by_key(const void *x, const void *y)
{
    const key *a = x, *b = y;
    if (a->sequence != b->sequence)
        return a->sequence < b->sequence ? -1 : 1;
    if (a->snapshot != b->snapshot)
        return a->snapshot < b->snapshot ? -1 : 1;
    if (a->task != b->task)
        return a->task < b->task ? -1 : 1;
    return a->at < b->at ? -1 : a->at > b->at;
}

/* Position of a snapshot in the metadata, from 1; 0: no longer there, so older than all. */
static uint32_t snapshot_ordinal(const ib_metadata *md, int64_t id)
{
    for (uint32_t i = md->n_snapshots; i-- > 0;)
        if (md->snapshots[i]->snapshot_id == id)
            return i + 1;
    return 0;
}

static fz_status gather(const planning *p, ib_scan *s, fz_error *err)
{
    size_t n = 0;
    for (uint32_t t = 0; t < p->n; t++)
        n += p->tasks[t].n;
    key *keys = mem_alloc(p->m, n * sizeof *keys + 1);
    s->files = arena_alloc(&s->mem, n * sizeof *s->files + 1);
    s->held = ARENA_ARRAY(&s->mem, ib_decoded *, p->n + 1);
    if (!keys || !s->files || !s->held) {
        mem_free(p->m, keys, n * sizeof *keys + 1);
        return error_nomem(err);
    }
    bool sorted = true;
    size_t k = 0;
    int64_t last_id = -1;
    uint32_t last_ordinal = 0;
    for (uint32_t t = 0; t < p->n; t++)
        for (uint32_t i = 0; i < p->tasks[t].n; i++, k++) {
            const ib_manifest_entry *e = &p->tasks[t].d->entries[p->tasks[t].files[i].index];
            keys[k] = (key){.sequence = e->sequence_number, .task = t, .at = i};
            if (e->sequence_number == 0) {
                if (e->snapshot_id != last_id)
                    last_ordinal = snapshot_ordinal(p->md, last_id = e->snapshot_id);
                keys[k].snapshot = last_ordinal;
            }
            sorted = sorted && (k == 0 || by_key(&keys[k - 1], &keys[k]) < 0);
        }
    if (!sorted)
        qsort(keys, n, sizeof *keys, by_key);
    for (k = 0; k < n; k++) {
        const manifest_task *t = &p->tasks[keys[k].task];
        const chosen *c = &t->files[keys[k].at];
        const ib_manifest_entry *e = &t->d->entries[c->index];
        s->files[k] = (ib_scan_file){.file = &e->file, .sequence_number = e->sequence_number,
                                     .snapshot_id = e->snapshot_id, .all_match = c->all_match};
        s->rows += e->file.record_count;
        s->size_bytes += e->file.file_size_bytes;
    }
    s->n = (uint32_t)n;
    mem_free(p->m, keys, n * sizeof *keys + 1);
    for (uint32_t t = 0; t < p->n; t++) {
        s->held[s->n_held++] = ib_decoded_ref(p->tasks[t].d);
        s->files_pruned += p->tasks[t].pruned;
    }
    return FZ_OK;
}

static fz_status plan_snapshot(planning *p, const ib_snapshot *snap, job *j, ib_scan *s, fz_error *err)
{
    ib_decoded *list = NULL;
    if (snap->manifest_list.n == 0)
        return error_set(err, FZ_UNSUPPORTED, "snapshots without a manifest list (format version 1) are not supported");
    TRY(ib_manifest_list_get(p->cache, snap->manifest_list, p->m, &list, err));
    fz_status st = choose_manifests(p, list, s, err);
    if (st == FZ_OK && j)
        st = job_for(j, p->n, plan_manifest, p, err);
    for (uint32_t i = 0; st == FZ_OK && !j && i < p->n; i++)
        st = plan_manifest(p, i, err);
    if (st == FZ_OK)
        st = gather(p, s, err);
    for (uint32_t i = 0; i < p->n; i++) {
        ib_decoded_unref(p->tasks[i].d);
        mem_free(p->m, p->tasks[i].files, p->tasks[i].cap ? p->tasks[i].cap * sizeof(chosen) + 1 : 1);
    }
    mem_free(p->m, p->tasks, list->n * sizeof *p->tasks + 1);
    ib_decoded_unref(list);
    return st;
}

fz_status ib_plan(const ib_metadata *md, const ib_snapshot *snap, const ib_pred *pred, ib_manifest_cache *cache, job *j,
                  mem *m, ib_scan **out, fz_error *err)
{
    ib_scan *s = mem_zalloc(m, sizeof *s);
    if (!s)
        return error_nomem(err);
    arena_init(&s->mem, m);
    planning p = {.md = md, .pred = pred, .cache = cache, .m = m};
    fz_status st = snap ? plan_snapshot(&p, snap, j, s, err) : FZ_OK;
    if (st != FZ_OK) {
        ib_scan_free(s);
        return st;
    }
    *out = s;
    return FZ_OK;
}

void ib_scan_free(ib_scan *s)
{
    if (!s)
        return;
    for (uint32_t i = 0; i < s->n_held; i++)
        ib_decoded_unref(s->held[i]);
    mem *m = s->mem.m;
    arena_free(&s->mem);
    mem_free(m, s, sizeof *s);
}

fz_status ib_count_rows(const ib_metadata *md, const ib_snapshot *snap, ib_manifest_cache *cache, mem *m, int64_t *rows,
                        bool *known, fz_error *err)
{
    *rows = 0;
    *known = true;
    if (!snap)
        return FZ_OK;
    ib_decoded *list = NULL;
    *known = false;
    if (snap->manifest_list.n == 0)
        return FZ_OK;
    TRY(ib_manifest_list_get(cache, snap->manifest_list, m, &list, err));
    bool all = true;
    for (uint32_t i = 0; i < list->n && all; i++) {
        const ib_manifest_file *f = &list->files[i];
        if (!maybe_live(f))
            continue;
        all = f->content == IB_DATA && f->added_rows >= 0 && f->existing_rows >= 0 && f->added_files >= 0 &&
              f->existing_files >= 0 && !__builtin_add_overflow(*rows, f->added_rows, rows) &&
              !__builtin_add_overflow(*rows, f->existing_rows, rows);
    }
    *known = all;
    ib_decoded_unref(list);
    return FZ_OK;
}
