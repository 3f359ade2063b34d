/*
 * unneeded.c: files that nobody needs: those of snapshots that were removed, and those that no snapshot ever had (see history.h).
 *
 * Sets of paths are string maps in arenas. A path is compared without its scheme, empty parts and "." in it, so that file:///w//t and
 * /w/t are one: a file that is taken for another is a file lost.
 */
#include "codec/json.h"
#include "iceberg/spec/build.h"
#include "iceberg/update/history.h"
#include "io/io.h"

#include "base/hash.h"

static str plain(str path)
{
    const char *p = path.p ? io_local_path(path.p) : NULL; /* paths here end in NUL */
    return p ? str_of(p) : path;
}

str ib_plain_path(char *path)
{
    const char *local = io_local_path(path);
    if (!local)
        return str_of(path);
    char *to = path + (local - path), *start = to;
    for (const char *p = local; *p;) {
        if (p > local && p[-1] == '/' && (*p == '/' || (*p == '.' && (p[1] == '/' || !p[1])))) {
            p += *p == '/' || !p[1] ? 1 : 2;
            continue;
        }
        *to++ = *p++;
    }
    *to = 0;
    return (str){start, (size_t)(to - start)};
}

typedef struct finder {
    const ib_metadata *md;
    ib_manifest_cache *cache;
    mem *m;
    arena tmp;
    fz_error *err;
} finder;

static fz_status list_add(ib_path_list *l, str path, ib_file_kind kind, arena *a, fz_error *err)
{
    if (l->n == l->cap) {
        uint32_t cap = l->cap ? 2 * l->cap : 64;
        void *more = ARENA_ARRAY(a, struct ib_listed, cap);
        if (!more)
            return error_nomem(err);
        if (l->n)
            memcpy(more, l->at, l->n * sizeof *l->at);
        l->at = more;
        l->cap = cap;
    }
    l->at[l->n] = (struct ib_listed){arena_strndup(a, path.p, path.n), kind};
    return l->at[l->n++].path ? FZ_OK : error_nomem(err);
}

/* Puts a path into a set; *fresh: it wasn't there. The path needn't end in NUL. */
static fz_status set_add(finder *f, strmap *set, str path, bool *fresh)
{
    char *z = arena_strndup(&f->tmp, path.p, path.n);
    void **slot = z ? strmap_put(set, ib_plain_path(z)) : NULL;
    if (!slot)
        return error_nomem(f->err);
    *fresh = !*slot;
    *slot = set;
    return FZ_OK;
}

static fz_status snapshot_list(finder *f, const ib_metadata *md, const ib_snapshot *s, ib_decoded **out)
{
    return ib_snapshot_manifests(f->cache, md, s, f->m, out, f->err);
}

typedef fz_status (*entry_fn)(void *ctx, const ib_manifest_entry *e);

static fz_status manifest_each(finder *f, const ib_manifest_file *mf, entry_fn fn, void *ctx)
{
    ib_decoded *d;
    TRY(ib_manifest_get(f->cache, mf, f->md, false, f->m, &d, f->err));
    fz_status st = FZ_OK;
    for (uint32_t i = 0; i < d->n && !st; i++)
        st = fn(ctx, &d->entries[i]);
    ib_decoded_unref(d);
    return st;
}

/* ---- files of statistics ---- */

typedef fz_status (*stat_fn)(void *ctx, int64_t snapshot_id, str path);

static fz_status statistics_each(finder *f, str json, stat_fn fn, void *ctx)
{
    if (!json.n)
        return FZ_OK;
    json_doc d;
    TRY(json_parse(&d, json.p, json.n, NULL, f->m, f->err));
    const json_node *root = json_root(&d), *e = root + 1;
    fz_status st = FZ_OK;
    for (uint32_t i = 0; root->type == JSON_ARRAY && i < root->n && !st; i++, e = json_next(e)) {
        if (e->type != JSON_OBJECT)
            continue;
        const json_node *id = json_get(&d, e, "snapshot-id"), *path = json_get(&d, e, "statistics-path");
        int64_t v;
        str text;
        if (!id || !path || json_i64(&d, id, &v, NULL) != FZ_OK)
            continue;
        st = json_str(&d, path, &f->tmp, &text, f->err);
        if (!st)
            st = fn(ctx, v, text);
    }
    json_free(&d);
    return st;
}

typedef struct stat_list {
    ib_path_list *out;
    arena *a;
    fz_error *err;
} stat_list;

static fz_status stat_list_add(void *ctx, int64_t id, str path)
{
    stat_list *l = ctx;
    return list_add(l->out, path, IB_FILE_STATISTICS, l->a, l->err);
}

fz_status ib_statistics_files(const ib_metadata *md, mem *m, arena *a, ib_path_list *out, fz_error *err)
{
    finder f = {.md = md, .m = m, .err = err};
    stat_list l = {out, a, err};
    *out = (ib_path_list){0};
    arena_init(&f.tmp, m);
    fz_status st = statistics_each(&f, md->statistics_json, stat_list_add, &l);
    if (!st)
        st = statistics_each(&f, md->partition_statistics_json, stat_list_add, &l);
    arena_free(&f.tmp);
    return st;
}

/* ---- what removed snapshots leave behind ---- */

typedef struct sweep {
    finder f;
    const ib_metadata *after;
    strmap lists, manifests;      /* that stay */
    strmap candidates;            /* data files of manifests that go; the value is an ib_listed, or `kept` */
    struct ib_listed kept;
    strmap stats;                 /* that stay */
    arena *a;
    ib_path_list *out;
} sweep;

static fz_status stat_keep(void *ctx, int64_t id, str path)
{
    sweep *w = ctx;
    bool fresh;
    return set_add(&w->f, &w->stats, path, &fresh);
}

static fz_status stat_drop(void *ctx, int64_t id, str path)
{
    sweep *w = ctx;
    bool fresh;
    if (ib_snapshot_by_id(w->after, id))
        return FZ_OK;
    TRY(set_add(&w->f, &w->stats, path, &fresh));
    return fresh ? list_add(w->out, path, IB_FILE_STATISTICS, w->a, w->f.err) : FZ_OK;
}

static ib_file_kind kind_of(const ib_data_file *f)
{
    return f->content == IB_DATA ? IB_FILE_DATA : f->content == IB_POSITION_DELETES ? IB_FILE_POSITION_DELETES : IB_FILE_EQUALITY_DELETES;
}

static fz_status candidate(void *ctx, const ib_manifest_entry *e)
{
    sweep *w = ctx;
    char *z = arena_strndup(&w->f.tmp, e->file.file_path.p, e->file.file_path.n);
    void **slot = z ? strmap_put(&w->candidates, ib_plain_path(z)) : NULL;
    struct ib_listed *x = slot && !*slot ? ARENA_NEW(&w->f.tmp, struct ib_listed) : NULL;
    if (!slot || (!*slot && !x))
        return error_nomem(w->f.err);
    if (!*slot) {
        *x = (struct ib_listed){z, kind_of(&e->file)};
        *slot = x;
    }
    return FZ_OK;
}

static fz_status still_needed(void *ctx, const ib_manifest_entry *e)
{
    sweep *w = ctx;
    if (e->status == IB_DELETED)
        return FZ_OK;
    char *z = arena_strndup(&w->f.tmp, e->file.file_path.p, e->file.file_path.n);
    if (!z)
        return error_nomem(w->f.err);
    str key = ib_plain_path(z);
    if (strmap_get(&w->candidates, key)) {
        void **slot = strmap_put(&w->candidates, key);
        if (!slot)
            return error_nomem(w->f.err);
        *slot = &w->kept;
    }
    return FZ_OK;
}

/* What the snapshots of `after` hold, down to the names of manifests. */
static fz_status collect_kept(sweep *w)
{
    bool fresh;
    for (uint32_t i = 0; i < w->after->n_snapshots; i++) {
        const ib_snapshot *s = w->after->snapshots[i];
        ib_decoded *list;
        if (s->manifest_list.n)
            TRY(set_add(&w->f, &w->lists, s->manifest_list, &fresh));
        TRY(snapshot_list(&w->f, w->after, s, &list));
        fz_status st = FZ_OK;
        for (uint32_t k = 0; k < list->n && !st; k++)
            st = set_add(&w->f, &w->manifests, list->files[k].path, &fresh);
        ib_decoded_unref(list);
        TRY(st);
    }
    TRY(statistics_each(&w->f, w->after->statistics_json, stat_keep, w));
    return statistics_each(&w->f, w->after->partition_statistics_json, stat_keep, w);
}

/* A snapshot that is gone: its list, its manifests that no other has; their files are candidates. */
static fz_status drop_snapshot(sweep *w, const ib_snapshot *s)
{
    ib_decoded *list;
    bool fresh = true;
    TRY(snapshot_list(&w->f, w->f.md, s, &list));
    fz_status st = FZ_OK;
    for (uint32_t k = 0; k < list->n && !st; k++) {
        st = set_add(&w->f, &w->manifests, list->files[k].path, &fresh);
        if (st || !fresh)
            continue;
        st = manifest_each(&w->f, &list->files[k], candidate, w);
        if (!st)
            st = list_add(w->out, list->files[k].path, IB_FILE_MANIFEST, w->a, w->f.err);
    }
    ib_decoded_unref(list);
    if (!st && s->manifest_list.n)
        st = set_add(&w->f, &w->lists, s->manifest_list, &fresh);
    if (!st && s->manifest_list.n && fresh)
        st = list_add(w->out, s->manifest_list, IB_FILE_LIST, w->a, w->f.err);
    return st;
}

/* Takes from the candidates what manifests that stay still have. */
static fz_status spare_needed(sweep *w)
{
    strmap seen;
    strmap_init(&seen, &w->f.tmp);
    for (uint32_t i = 0; i < w->after->n_snapshots && w->candidates.n; i++) {
        ib_decoded *list;
        TRY(snapshot_list(&w->f, w->after, w->after->snapshots[i], &list));
        fz_status st = FZ_OK;
        for (uint32_t k = 0; k < list->n && !st; k++) {
            bool fresh = false;
            st = set_add(&w->f, &seen, list->files[k].path, &fresh);
            if (!st && fresh)
                st = manifest_each(&w->f, &list->files[k], still_needed, w);
        }
        ib_decoded_unref(list);
        TRY(st);
    }
    return FZ_OK;
}

static fz_status run(sweep *w, const ib_metadata *before)
{
    TRY(collect_kept(w));
    w->f.md = before;
    for (uint32_t i = 0; i < before->n_snapshots; i++)
        if (!ib_snapshot_by_id(w->after, before->snapshots[i]->snapshot_id))
            TRY(drop_snapshot(w, before->snapshots[i]));
    w->f.md = w->after;
    TRY(spare_needed(w));
    for (size_t i = 0; i < w->candidates.cap; i++) {
        const struct ib_listed *x = w->candidates.slots[i].value;
        if (x && x != &w->kept)
            TRY(list_add(w->out, str_of(x->path), x->kind, w->a, w->f.err));
    }
    TRY(statistics_each(&w->f, before->statistics_json, stat_drop, w));
    return statistics_each(&w->f, before->partition_statistics_json, stat_drop, w);
}

fz_status ib_unneeded_files(const ib_metadata *before, const ib_metadata *after, ib_manifest_cache *cache, mem *m, arena *a,
                            ib_path_list *out, fz_error *err)
{
    sweep w = {.f = {.md = after, .cache = cache, .m = m, .err = err}, .after = after, .a = a, .out = out};
    *out = (ib_path_list){0};
    arena_init(&w.f.tmp, m);
    strmap_init(&w.lists, &w.f.tmp);
    strmap_init(&w.manifests, &w.f.tmp);
    strmap_init(&w.candidates, &w.f.tmp);
    strmap_init(&w.stats, &w.f.tmp);
    fz_status st = run(&w, before);
    arena_free(&w.f.tmp);
    return st;
}

/* ---- orphans ---- */

typedef struct orphans {
    finder f;
    strmap known;
    int64_t older_than_us;
    uint32_t n_skip;
    const str *skip;
    str root;             /* without scheme */
    ib_path_list found;   /* in f.tmp: everything old enough below root */
} orphans;

/* Whether a part of the path below the root begins with '.' or '_' (and isn't a partition's name=value). */
static bool hidden(str below)
{
    for (size_t i = 0; i < below.n; i++) {
        if ((i == 0 || below.p[i - 1] == '/') && (below.p[i] == '.' || below.p[i] == '_')) {
            size_t end = i;
            while (end < below.n && below.p[end] != '/')
                end++;
            if (end == below.n || !memchr(below.p + i, '=', end - i))
                return true;
        }
    }
    return false;
}

static fz_status listed(void *ctx, const char *path, const io_stat_info *info, fz_error *err)
{
    orphans *o = ctx;
    str p = plain(str_of(path));
    if (info->mtime_us >= o->older_than_us || !str_starts(p, o->root))
        return FZ_OK;
    if (hidden((str){p.p + o->root.n, p.n - o->root.n}))
        return FZ_OK;
    for (uint32_t i = 0; i < o->n_skip; i++)
        if (str_starts(p, o->skip[i]) && p.n > o->skip[i].n && p.p[o->skip[i].n] == '/')
            return FZ_OK;
    return list_add(&o->found, str_of(path), IB_FILE_DATA, &o->f.tmp, err);
}

static fz_status know(orphans *o, str path)
{
    bool fresh;
    return path.n ? set_add(&o->f, &o->known, path, &fresh) : FZ_OK;
}

static fz_status know_entry(void *ctx, const ib_manifest_entry *e)
{
    return know(ctx, e->file.file_path);
}

static fz_status know_stat(void *ctx, int64_t id, str path)
{
    return know(ctx, path);
}

static fz_status know_table(orphans *o, const ib_table *t)
{
    const ib_metadata *md = t->md;
    bool fresh;
    o->f.md = md;
    TRY(know(o, str_of(t->metadata_location)));
    for (uint32_t i = 0; i < md->n_metadata_log; i++)
        TRY(know(o, md->metadata_log[i].metadata_file));
    for (uint32_t i = 0; i < md->n_snapshots; i++) {
        ib_decoded *list;
        TRY(know(o, md->snapshots[i]->manifest_list));
        TRY(snapshot_list(&o->f, md, md->snapshots[i], &list));
        fz_status st = FZ_OK;
        for (uint32_t k = 0; k < list->n && !st; k++) {
            st = set_add(&o->f, &o->known, list->files[k].path, &fresh);
            if (!st && fresh)
                st = manifest_each(&o->f, &list->files[k], know_entry, o);
        }
        ib_decoded_unref(list);
        TRY(st);
    }
    TRY(statistics_each(&o->f, md->statistics_json, know_stat, o));
    return statistics_each(&o->f, md->partition_statistics_json, know_stat, o);
}

static bool is_hint(str path)
{
    return str_ends(path, STR("/version-hint.text"));
}

static fz_status find_orphans(orphans *o, file_io *io, const char *location, ib_load_fn load, void *ctx, arena *a, ib_path_list *out)
{
    ib_table *t;
    TRY(io_list(io, location, listed, o, o->f.err));
    TRY(load(ctx, &t, o->f.err));
    fz_status st = know_table(o, t);
    ib_table_unref(t);
    for (uint32_t i = 0; i < o->found.n && !st; i++) {
        str path = str_of(o->found.at[i].path);
        if (!strmap_get(&o->known, plain(path)) && !is_hint(path))
            st = list_add(out, path, IB_FILE_DATA, a, o->f.err);
    }
    return st;
}

fz_status ib_orphan_files(file_io *io, str location, int64_t older_than_us, uint32_t n_skip, const str *skip, ib_load_fn load, void *ctx,
                          ib_manifest_cache *cache, mem *m, arena *a, ib_path_list *out, fz_error *err)
{
    orphans o = {.f = {.cache = cache, .m = m, .err = err}, .older_than_us = older_than_us, .n_skip = n_skip, .skip = skip};
    *out = (ib_path_list){0};
    arena_init(&o.f.tmp, m);
    strmap_init(&o.known, &o.f.tmp);
    char *z = arena_strndup(&o.f.tmp, location.p, location.n);
    str clean = z ? ib_plain_path(z) : (str){0};
    size_t n = clean.n;
    while (n > 1 && clean.p[n - 1] == '/')
        z[--n + (size_t)(clean.p - z)] = 0;
    char *root = z ? arena_alloc(&o.f.tmp, n + 2) : NULL;
    fz_status st;
    if (root) {
        memcpy(root, clean.p, n);
        memcpy(root + n, "/", 2);
        o.root = (str){root, n + 1};
        st = find_orphans(&o, io, z, load, ctx, a, out);
    } else {
        st = error_nomem(err);
    }
    arena_free(&o.f.tmp);
    return st;
}
