/*
 * scan.c: scan planning: manifest list, manifests, data files, their deletes.
 *
 *   1. The list's manifests without live files are left out, then those whose partition summaries rule
 *      the predicate out.
 *   2. The others are read, in parallel (remote ones more at once than there are workers), and their entries tested (select.c).
 *   3. What is left is put in the order of insertion: manifest lists name the newest manifest
 *      first, and merging moves entries, but the data sequence number of a file never changes. Files of
 *      version 1 all have number 0: for them the position of their snapshot counts.
 *   4. Where there are data files, delete manifests are read in the same way, and deletes assigned (assign.c).
 *      A delete manifest can be pruned by partition too: its deletes are for files of the same partition.
 */
#include "iceberg/manifest/inline.h"
#include "iceberg/plan/plan_int.h"

#include <stdlib.h>

typedef struct planning {
    const ib_metadata *md;
    const ib_pred *pred;
    ib_manifest_cache *cache;
    mem *m;
    bool want_stats;
    uint32_t n, n_data;           /* tasks; those of data manifests come first */
    manifest_task *tasks;
} planning;

static bool maybe_live(const ib_manifest_file *f)
{
    return f->added_files != 0 || f->existing_files != 0;
}

static fz_status plan_manifest(void *ctx, size_t i, fz_error *err)
{
    const planning *p = ctx;
    return select_entries(p->md, p->pred, p->cache, p->m, &p->tasks[i], err);
}

static fz_status plan_delete_manifest(void *ctx, size_t i, fz_error *err)
{
    return plan_manifest(ctx, ((const planning *)ctx)->n_data + i, err);
}

static fz_status run_tasks(planning *p, job *j, uint32_t from, uint32_t n, fz_error *err)
{
    if (n > 1 && io_is_remote(p->md->io, p->tasks[from].mf->path.p))
        return io_for(n, j, from ? plan_delete_manifest : plan_manifest, p, err);
    if (j)
        return job_for(j, n, from ? plan_delete_manifest : plan_manifest, p, err);
    for (uint32_t i = 0; i < n; i++)
        TRY(plan_manifest(p, from + i, err));
    return FZ_OK;
}

/* Step 1. */
static fz_status choose_manifests(planning *p, const ib_decoded *list, ib_scan *s, fz_error *err)
{
    p->tasks = mem_zalloc(p->m, list->n * sizeof *p->tasks + 1);
    if (!p->tasks)
        return error_nomem(err);
    s->manifests = list->n;
    bool equality = false; /* there may be */
    for (uint32_t i = 0; i < list->n; i++)
        equality = equality || (list->files[i].content != IB_DATA && maybe_live(&list->files[i]));
    for (int deletes = 0; deletes < 2; deletes++) {
        for (uint32_t i = 0; i < list->n; i++) {
            const ib_manifest_file *f = &list->files[i];
            if (!maybe_live(f) || (f->content != IB_DATA) != deletes)
                continue;
            ib_match match = ib_pred_manifest(p->pred, p->md, f);
            if (match != IB_MATCH_NONE)
                p->tasks[p->n++] = (manifest_task){.mf = f, .match = match, .deletes = deletes,
                                                   .keep_stats = deletes || equality || p->want_stats};
        }
        if (!deletes)
            p->n_data = p->n;
    }
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
    for (uint32_t t = 0; t < p->n_data; t++)
        n += p->tasks[t].n;
    key *keys = mem_alloc(p->m, n * sizeof *keys + 1);
    s->files = arena_alloc(&s->mem, n * sizeof *s->files + 1);
    if (!keys || !s->files) {
        mem_free(p->m, keys, n * sizeof *keys + 1);
        return error_nomem(err);
    }
    bool sorted = true;
    size_t k = 0;
    int64_t last_id = -1;
    uint32_t last_ordinal = 0;
    for (uint32_t t = 0; t < p->n_data; t++)
        for (uint32_t i = 0; i < p->tasks[t].n; i++, k++) {
            const ib_manifest_entry *e = p->tasks[t].files[i].e;
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
        const ib_manifest_entry *e = c->e;
        s->files[k] = (ib_scan_file){.file = &e->file, .sequence_number = e->sequence_number,
                                     .snapshot_id = e->snapshot_id, .all_match = c->all_match};
        s->rows += e->file.record_count;
        s->size_bytes += e->file.file_size_bytes;
    }
    s->n = (uint32_t)n;
    mem_free(p->m, keys, n * sizeof *keys + 1);
    return FZ_OK;
}

/* The scan takes over what its files point into. */
static fz_status hold(const planning *p, ib_scan *s, fz_error *err)
{
    s->held = ARENA_ARRAY(&s->mem, ib_decoded *, p->n + 1);
    s->arenas = ARENA_ARRAY(&s->mem, arena, p->n + 1);
    if (!s->held || !s->arenas)
        return error_nomem(err);
    for (uint32_t t = 0; t < p->n; t++) {
        manifest_task *x = &p->tasks[t];
        if (!x->d)
            continue;
        s->manifests_read++;
        s->files_pruned += x->deletes ? 0 : x->pruned;
        if (x->n == 0)
            continue;
        s->held[s->n_held++] = x->d;
        s->arenas[s->n_arenas++] = x->mem;
        x->d = NULL;
        arena_init(&x->mem, p->m);
    }
    return FZ_OK;
}

static fz_status plan_snapshot(planning *p, const ib_snapshot *snap, job *j, ib_scan *s, fz_error *err)
{
    ib_decoded *list = NULL;
    TRY(ib_snapshot_manifests(p->cache, p->md, snap, p->m, &list, err));
    fz_status st;
    TRY_GOTO(choose_manifests(p, list, s, err));
    TRY_GOTO(run_tasks(p, j, 0, p->n_data, err));
    TRY_GOTO(gather(p, s, err));
    if (s->n && p->n > p->n_data) {
        TRY_GOTO(run_tasks(p, j, p->n_data, p->n - p->n_data, err));
        TRY_GOTO(assign_deletes(p->md, p->n, p->tasks, p->m, s, err));
    }
    st = hold(p, s, err);
out:
    for (uint32_t i = 0; i < p->n; i++) {
        ib_decoded_unref(p->tasks[i].d);
        arena_free(&p->tasks[i].mem);
    }
    mem_free(p->m, p->tasks, list->n * sizeof *p->tasks + 1);
    ib_decoded_unref(list);
    return st;
}

fz_status ib_plan_stats(const ib_metadata *md, const ib_snapshot *snap, const ib_pred *pred, bool want_stats, ib_manifest_cache *cache,
                        job *j, mem *m, ib_scan **out, fz_error *err)
{
    ib_scan *s = mem_zalloc(m, sizeof *s);
    if (!s)
        return error_nomem(err);
    arena_init(&s->mem, m);
    planning p = {.md = md, .pred = pred, .cache = cache, .m = m, .want_stats = want_stats};
    fz_status st = snap ? plan_snapshot(&p, snap, j, s, err) : FZ_OK;
    if (st != FZ_OK) {
        ib_scan_free(s);
        return st;
    }
    *out = s;
    return FZ_OK;
}

fz_status ib_plan(const ib_metadata *md, const ib_snapshot *snap, const ib_pred *pred, ib_manifest_cache *cache, job *j,
                  mem *m, ib_scan **out, fz_error *err)
{
    return ib_plan_stats(md, snap, pred, false, cache, j, m, out, err);
}

void ib_scan_free(ib_scan *s)
{
    if (!s)
        return;
    for (uint32_t i = 0; i < s->n_held; i++)
        ib_decoded_unref(s->held[i]);
    for (uint32_t i = 0; i < s->n_arenas; i++)
        arena_free(&s->arenas[i]);
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
    TRY(ib_snapshot_manifests(cache, md, snap, m, &list, err));
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
