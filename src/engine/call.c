/*
 * call.c: CALL system.<procedure>(…): what Spark's Iceberg procedures of these names do, with their arguments and result columns.
 *
 * A procedure reads its arguments by their place in its table, does its work, and leaves typed rows.
 */
#include "engine/new_table.h"
#include "engine/rows.h"
#include "engine/transaction.h"

#include "exec/expr.h"
#include "iceberg/update/change.h"
#include "iceberg/update/history.h"
#include "iceberg/update/snapshot.h"
#include "io/io.h"

#include <stdio.h>

enum { A_TEXT, A_LONG, A_BOOL, A_TIME, A_LONGS };
#define MAX_ARGS 8

typedef struct arg {
    bool given;
    str text;
    int64_t i64;      /* of A_TIME: microseconds since 1970 */
    bool b;
    uint32_t n;       /* A_LONGS */
    int64_t *list;
} arg;

typedef struct call {
    statement *st;
    arg args[MAX_ARGS];
    rows r;
    sql_name table;   /* the first argument of those that take a table */
    ib_ident id;
    ib_table *t;
    /* what the change functions leave */
    int64_t previous, now;
    ib_metadata *before;
} call;

struct procedure;
typedef fz_status (*proc_fn)(call *c, fz_error *err);
typedef struct procedure {
    const char *name;
    bool new_table;   /* the table argument names one that doesn't exist yet */
    uint8_t n_required;
    struct { const char *name; uint8_t kind; } params[MAX_ARGS];
    proc_fn fn;
} procedure;

/* ---- rows ---- */

static void columns(call *c, uint32_t n, const char *const *names, const type_id *types)
{
    rows_init(&c->r, c->st, n, names);
    for (uint32_t i = 0; !c->r.failed && i < n; i++)
        c->r.schema.cols[i].t = TYPE(types[i]);
}

static void put_datum(call *c, datum d)
{
    rows_cell(&c->r, NULL, 0);
    if (!c->r.failed)
        c->r.cells[c->r.n - 1] = d;
}

/* -1: NULL, as snapshot ids have it. */
static void put_id(call *c, int64_t v)
{
    put_datum(c, v < 0 ? DATUM_NULL(TYPE(T_INT64)) : (datum){.t = TYPE(T_INT64), .i64 = v});
}

static void put_text(call *c, str s)
{
    rows_str(&c->r, s);
}

static const type_id LONGS[] = {T_INT64, T_INT64, T_INT64, T_INT64, T_INT64, T_INT64};

/* ---- changing the table ---- */

static fz_status change_table(call *c, ib_change_fn fn, fz_error *err)
{
    ib_catalog *cat;
    ib_table *after;
    TRY(lake_catalog(ident_lake(c->st->s, c->id), true, &cat, err));
    TRY(ib_change_commit(cat, c->id, c->t, fn, c, NULL, c->st->s->lake->m, &after, err));
    lake_remember(ident_lake(c->st->s, c->id), after);
    ib_table_unref(c->t);
    c->t = after;
    return FZ_OK;
}

/* Sets a branch to a snapshot; its retention stays. */
static fz_status set_branch(const ib_metadata *md, str branch, int64_t id, ib_change *out, fz_error *err)
{
    const ib_ref *now = ib_ref_by_name(md, branch);
    ib_ref ref = {.min_snapshots_to_keep = -1, .max_snapshot_age_ms = -1, .max_ref_age_ms = -1};
    if (now)
        ref = *now;
    ref.name = branch;
    ref.snapshot_id = id;
    TRY(ib_change_require(out, (ib_requirement){IB_ASSERT_REF_SNAPSHOT_ID, branch, now ? now->snapshot_id : -1}, err));
    return now && now->snapshot_id == id ? FZ_OK : ib_change_update(out, (ib_update){.kind = IB_SET_SNAPSHOT_REF, .ref = ref}, err);
}

static fz_status no_snapshot(int64_t id, fz_error *err)
{
    return error_sql(err, FZ_NOT_FOUND, "42704", "the table has no snapshot %lld", (long long)id);
}

static fz_status set_main(call *c, const ib_metadata *md, int64_t id, ib_change *out, fz_error *err)
{
    c->previous = md->current_snapshot_id;
    c->now = id;
    return set_branch(md, STR("main"), id, out, err);
}

static void put_set(call *c)
{
    static const char *const names[] = {"previous_snapshot_id", "current_snapshot_id"};
    columns(c, 2, names, LONGS);
    put_id(c, c->previous);
    put_id(c, c->now);
}

static fz_status rollback_id_build(void *ctx, const ib_table *t, ib_change *out, fz_error *err)
{
    call *c = ctx;
    int64_t id = c->args[1].i64;
    if (!ib_snapshot_by_id(t->md, id))
        return no_snapshot(id, err);
    if (!ib_is_ancestor(t->md, id, t->md->current_snapshot_id)) {
        error_set(err, FZ_INVALID, "snapshot %lld isn't an ancestor of the current one", (long long)id);
        error_hint(err, "set_current_snapshot sets any snapshot");
        return FZ_INVALID;
    }
    return set_main(c, t->md, id, out, err);
}

static fz_status rollback_to_snapshot(call *c, fz_error *err)
{
    TRY(change_table(c, rollback_id_build, err));
    put_set(c);
    return FZ_OK;
}

static fz_status rollback_time_build(void *ctx, const ib_table *t, ib_change *out, fz_error *err)
{
    call *c = ctx;
    const ib_snapshot *s = ib_current_snapshot(t->md);
    for (uint32_t i = 0; s && i < t->md->n_snapshots && s->timestamp_ms * 1000 >= c->args[1].i64; i++)
        s = ib_parent(t->md, s);
    if (!s || s->timestamp_ms * 1000 >= c->args[1].i64)
        return error_sql(err, FZ_NOT_FOUND, "42704", "the table has no snapshot as old as that");
    return set_main(c, t->md, s->snapshot_id, out, err);
}

static fz_status rollback_to_timestamp(call *c, fz_error *err)
{
    TRY(change_table(c, rollback_time_build, err));
    put_set(c);
    return FZ_OK;
}

static fz_status set_current_build(void *ctx, const ib_table *t, ib_change *out, fz_error *err)
{
    call *c = ctx;
    int64_t id = c->args[1].i64;
    if (c->args[2].given) {
        const ib_ref *r = ib_ref_by_name(t->md, c->args[2].text);
        if (!r)
            return error_sql(err, FZ_NOT_FOUND, "42704", "the table has no branch or tag \"" STR_FMT "\"", STR_ARG(c->args[2].text));
        id = r->snapshot_id;
    } else if (!ib_snapshot_by_id(t->md, id)) {
        return no_snapshot(id, err);
    }
    return set_main(c, t->md, id, out, err);
}

static fz_status set_current_snapshot(call *c, fz_error *err)
{
    if (c->args[1].given == c->args[2].given)
        return error_sql(err, FZ_INVALID, "42601", "set_current_snapshot takes either snapshot_id or ref");
    TRY(change_table(c, set_current_build, err));
    put_set(c);
    return FZ_OK;
}

static fz_status fast_forward_build(void *ctx, const ib_table *t, ib_change *out, fz_error *err)
{
    call *c = ctx;
    str branch = c->args[1].text, to = c->args[2].text;
    const ib_ref *b = ib_ref_by_name(t->md, branch), *r = ib_ref_by_name(t->md, to);
    if (!r)
        return error_sql(err, FZ_NOT_FOUND, "42704", "the table has no branch or tag \"" STR_FMT "\"", STR_ARG(to));
    if (b && b->is_tag)
        return error_sql(err, FZ_INVALID, "42809", "\"" STR_FMT "\" is a tag: only a branch moves", STR_ARG(branch));
    if (b && !ib_is_ancestor(t->md, b->snapshot_id, r->snapshot_id))
        return error_set(err, FZ_INVALID, "\"" STR_FMT "\" can't be fast-forwarded to \"" STR_FMT "\", which doesn't continue it", STR_ARG(branch), STR_ARG(to));
    c->previous = b ? b->snapshot_id : -1;
    c->now = r->snapshot_id;
    return set_branch(t->md, branch, r->snapshot_id, out, err);
}

static fz_status fast_forward(call *c, fz_error *err)
{
    static const char *const names[] = {"branch_updated", "previous_ref", "updated_ref"};
    static const type_id types[] = {T_STRING, T_INT64, T_INT64};
    TRY(change_table(c, fast_forward_build, err));
    columns(c, 3, names, types);
    put_text(c, c->args[1].text);
    put_id(c, c->previous);
    put_id(c, c->now);
    return FZ_OK;
}

/* ---- cherry-picking ---- */

/* The data files that a snapshot added. */
static fz_status added_files(call *c, const ib_snapshot *s, uint32_t *n, ib_data_file **out, uint32_t *n_held, ib_decoded ***held, fz_error *err)
{
    arena *a = &c->st->a;
    ib_manifest_cache *cache = c->st->s->lake->rt->manifests;
    mem *m = c->st->s->lake->m;
    ib_decoded *list;
    uint32_t cap = 0;
    TRY(ib_snapshot_manifests(cache, c->t->md, s, m, &list, err));
    *held = ARENA_ARRAY(a, ib_decoded *, list->n + 1);
    fz_status st = *held ? FZ_OK : error_nomem(err);
    for (uint32_t i = 0; i < list->n && !st; i++) {
        const ib_manifest_file *mf = &list->files[i];
        ib_decoded *d;
        if (mf->added_snapshot_id != s->snapshot_id || mf->added_files == 0)
            continue;
        st = ib_manifest_get(cache, mf, c->t->md, true, m, &d, err);
        if (st)
            break;
        (*held)[(*n_held)++] = d;
        for (uint32_t k = 0; k < d->n && !st; k++) {
            if (d->entries[k].status != IB_ADDED || d->entries[k].snapshot_id != s->snapshot_id)
                continue;
            if (*n == cap) {
                uint32_t more = cap ? 2 * cap : 64;
                ib_data_file *f = ARENA_ARRAY(a, ib_data_file, more);
                if (!f) {
                    st = error_nomem(err);
                    break;
                }
                if (*n)
                    memcpy(f, *out, *n * sizeof *f);
                *out = f;
                cap = more;
            }
            (*out)[(*n)++] = d->entries[k].file;
        }
    }
    ib_decoded_unref(list);
    return st;
}

/* A snapshot of main that was made from this one before; -1: none. */
static bool picked_before(const ib_metadata *md, int64_t id)
{
    char text[24];
    snprintf(text, sizeof text, "%lld", (long long)id);
    const ib_snapshot *s = ib_current_snapshot(md);
    for (uint32_t i = 0; s && i < md->n_snapshots; i++, s = ib_parent(md, s))
        if (str_eqz(ib_prop(&s->summary, "source-snapshot-id"), text))
            return true;
    return false;
}

static fz_status pick_forward(void *ctx, const ib_table *t, ib_change *out, fz_error *err)
{
    call *c = ctx;
    const ib_snapshot *s = ib_snapshot_by_id(t->md, c->args[1].i64);
    if (!s || s->parent_id != t->md->current_snapshot_id)
        return error_set(err, FZ_CONFLICT, "the table changed meanwhile");
    return set_main(c, t->md, s->snapshot_id, out, err);
}

static fz_status pick_files(call *c, const ib_snapshot *s, fz_error *err)
{
    uint32_t n = 0, n_held = 0;
    ib_data_file *files = NULL;
    ib_decoded **held = NULL;
    ib_catalog *cat;
    ib_table *after;
    char id[24];
    int len = snprintf(id, sizeof id, "%lld", (long long)s->snapshot_id);
    ib_kv summary[2] = {{STR("source-snapshot-id"), {id, (size_t)len}}};
    str wap = ib_prop(&s->summary, "wap.id");
    if (wap.n)
        summary[1] = (ib_kv){STR("published-wap-id"), wap};
    fz_status st = lake_catalog(ident_lake(c->st->s, c->id), true, &cat, err);
    if (!st)
        st = added_files(c, s, &n, &files, &n_held, &held, err);
    if (!st && n == 0)
        st = error_set(err, FZ_INVALID, "snapshot %lld added no files", (long long)s->snapshot_id);
    if (!st) {
        /* What others commit meanwhile may be the same snapshot, picked by them: its rows would be there twice. */
        ib_requirement here = {IB_ASSERT_REF_SNAPSHOT_ID, STR("main"), c->t->md->current_snapshot_id};
        ib_write w = {.op = IB_APPEND, .schema_id = c->t->md->current_schema_id, .n_files = n, .files = files, .summary = {wap.n ? 2 : 1, summary},
                      .n_before_requirements = 1, .before_requirements = &here, .cache = c->st->s->lake->rt->manifests, .m = c->st->s->lake->m};
        st = ib_write_commit(cat, c->id, c->t, &w, &after, err);
    }
    for (uint32_t i = 0; i < n_held; i++)
        ib_decoded_unref(held[i]);
    if (st)
        return st;
    lake_remember(ident_lake(c->st->s, c->id), after);
    ib_table_unref(c->t);
    c->t = after;
    c->now = after->md->current_snapshot_id;
    return FZ_OK;
}

static fz_status cherrypick_snapshot(call *c, fz_error *err)
{
    static const char *const names[] = {"source_snapshot_id", "current_snapshot_id"};
    const ib_metadata *md = c->t->md;
    int64_t id = c->args[1].i64;
    const ib_snapshot *s = ib_snapshot_by_id(md, id);
    if (!s)
        return no_snapshot(id, err);
    if (ib_is_ancestor(md, id, md->current_snapshot_id))
        return error_set(err, FZ_INVALID, "snapshot %lld is an ancestor of the current one already", (long long)id);
    if (picked_before(md, id))
        return error_set(err, FZ_INVALID, "snapshot %lld was picked before", (long long)id);
    if (s->parent_id == md->current_snapshot_id)
        TRY(change_table(c, pick_forward, err));
    else if (str_eqz(ib_prop(&s->summary, "operation"), "append"))
        TRY(pick_files(c, s, err));
    else
        return error_set(err, FZ_UNSUPPORTED, "snapshot %lld does more than append: only appends can be picked onto another state of the table", (long long)id);
    columns(c, 2, names, LONGS);
    put_id(c, id);
    put_id(c, c->now);
    return FZ_OK;
}

/* ---- what there is ---- */

static fz_status ancestors_of(call *c, fz_error *err)
{
    static const char *const names[] = {"snapshot_id", "timestamp"};
    const ib_metadata *md = c->t->md;
    const ib_snapshot *s = c->args[1].given ? ib_snapshot_by_id(md, c->args[1].i64) : ib_current_snapshot(md);
    if (c->args[1].given && !s)
        return no_snapshot(c->args[1].i64, err);
    columns(c, 2, names, LONGS);
    for (uint32_t i = 0; s && i < md->n_snapshots; i++, s = ib_parent(md, s)) {
        put_id(c, s->snapshot_id);
        put_id(c, s->timestamp_ms);
    }
    return FZ_OK;
}

static int64_t summary_count(const ib_snapshot *s, const char *key)
{
    int64_t v;
    return s && str_to_i64(ib_prop(&s->summary, key), &v) ? v : -1;
}

static fz_status register_table(call *c, fz_error *err)
{
    static const char *const names[] = {"current_snapshot_id", "total_records_count", "total_data_files_count"};
    fz_session *s = c->st->s;
    ib_catalog *cat;
    if (c->t)
        return error_sql(err, FZ_EXISTS, "42P07", "the table " STR_FMT "." STR_FMT " exists", STR_ARG(c->id.ns), STR_ARG(c->id.name));
    TRY(session_need_namespace(s, c->id, false, err));
    TRY(lake_catalog(ident_lake(s, c->id), true, &cat, err));
    char *file = arena_strndup(&c->st->a, c->args[1].text.p, c->args[1].text.n);
    if (!file)
        return error_nomem(err);
    TRY(cat->ops->register_table(cat, c->id, file, &c->t, err));
    lake_remember(ident_lake(s, c->id), c->t);
    const ib_snapshot *now = ib_current_snapshot(c->t->md);
    columns(c, 3, names, LONGS);
    put_id(c, now ? now->snapshot_id : -1);
    put_id(c, summary_count(now, "total-records"));
    put_id(c, summary_count(now, "total-data-files"));
    return FZ_OK;
}

/* ---- expiring and orphans ---- */

static fz_status gc_check(const ib_table *t, fz_error *err)
{
    bool on;
    TRY(ib_prop_bool(&t->md->properties, "gc.enabled", true, &on, err));
    return on ? FZ_OK : error_set(err, FZ_INVALID, "the table's property gc.enabled is false: its files may belong to others");
}

static fz_status expire_build(void *ctx, const ib_table *t, ib_change *out, fz_error *err)
{
    call *c = ctx;
    const arg *older = &c->args[1], *last = &c->args[2], *ids = &c->args[3], *clean = &c->args[4];
    ib_metadata_unref(c->before);
    c->before = ib_metadata_ref(t->md);
    TRY(gc_check(t, err));
    ib_expire_options o = {.now_ms = now_ms(), .older_than_ms = older->given ? older->i64 / 1000 : -1, .retain_last = last->given ? last->i64 : -1,
                           .n_ids = ids->n, .ids = ids->list, .only_ids = ids->given && !older->given && !last->given,
                           .clean_metadata = clean->given && clean->b};
    return ib_expire(t->md, &o, out, err);
}

/* Removes files; counts by kind. What is gone already counts too; what can't be removed is told. */
static void remove_files(call *c, const ib_path_list *l, int64_t *counts)
{
    uint32_t left = 0;
    for (uint32_t i = 0; i < l->n; i++) {
        fz_status st = io_remove(c->t->md->io, l->at[i].path, NULL);
        if (st == FZ_OK)
            counts[l->at[i].kind]++;
        else if (st != FZ_NOT_FOUND)
            left++;
    }
    if (left)
        session_notice(c->st->s, "%u files that are no longer needed couldn't be removed", left);
}

static fz_status expire_snapshots(call *c, fz_error *err)
{
    static const char *const names[] = {"deleted_data_files_count", "deleted_position_delete_files_count", "deleted_equality_delete_files_count",
                                        "deleted_manifest_files_count", "deleted_manifest_lists_count", "deleted_statistics_files_count"};
    fz_lake *l = ident_lake(c->st->s, c->id);
    int64_t counts[IB_FILE_KINDS] = {0};
    if (c->args[2].given && c->args[2].i64 < 1)
        return error_sql(err, FZ_INVALID, "22023", "retain_last has to be at least 1");
    TRY(change_table(c, expire_build, err));
    /* The commit is done: from here on only files that nobody needs are at stake, and nothing may fail any more. */
    ib_path_list files;
    fz_error why;
    ib_catalog *cat;
    ib_table *newest = NULL;
    fz_status st = lake_catalog(l, true, &cat, &why);
    if (!st)
        st = cat->ops->load_table(cat, c->id, c->t, &newest, &why);
    if (!st && !str_ieq(newest->md->table_uuid, c->t->md->table_uuid))
        st = error_set(&why, FZ_CONFLICT, "the table was dropped and made again meanwhile");
    if (!st && c->before->n_snapshots != c->t->md->n_snapshots)
        st = ib_unneeded_files(c->before, newest->md, l->rt->manifests, l->m, &c->st->a, &files, &why);
    else
        files = (ib_path_list){0};
    ib_table_unref(newest);
    if (st)
        session_notice(c->st->s, "the snapshots are expired, but which files they leave behind can't be found out: %s", why.message);
    else
        remove_files(c, &files, counts);
    columns(c, 6, names, LONGS);
    for (int i = 0; i < IB_FILE_KINDS; i++)
        put_id(c, counts[i]);
    return FZ_OK;
}

static fz_status load_newest(void *ctx, ib_table **out, fz_error *err)
{
    call *c = ctx;
    ib_catalog *cat;
    TRY(lake_catalog(ident_lake(c->st->s, c->id), true, &cat, err));
    return cat->ops->load_table(cat, c->id, NULL, out, err);
}

/* Whether `path` is the folder or lies in it. */
static bool lies_in(str path, str folder)
{
    while (folder.n && folder.p[folder.n - 1] == '/')
        folder.n--;
    return str_starts(path, folder) && (path.n == folder.n || path.p[folder.n] == '/');
}

typedef struct others {
    call *c;
    str location;       /* that is listed */
    uint32_t n, cap;
    str *list;          /* folders in it that belong to other tables */
} others;

/* A folder that another table writes to. One that holds the listed folder makes it impossible to say whose the files are. */
static fz_status other_folder(others *o, ib_ident id, str location, fz_error *err)
{
    arena *a = &o->c->st->a;
    char *z = location.n ? arena_strndup(a, location.p, location.n) : NULL;
    if (!z)
        return location.n ? error_nomem(err) : FZ_OK;
    if (!io_local_path(z))
        return FZ_OK;
    str folder = ib_plain_path(z);
    while (folder.n > 1 && folder.p[folder.n - 1] == '/')
        folder.n--;
    if (lies_in(o->location, folder))
        return error_set(err, FZ_INVALID, "the folder " STR_FMT " is also the table " STR_FMT "." STR_FMT "'s: whose its files are can't be told",
                         STR_ARG(folder), STR_ARG(id.ns), STR_ARG(id.name));
    if (!lies_in(folder, o->location))
        return FZ_OK;
    if (o->n == o->cap) {
        str *more = ARENA_ARRAY(a, str, o->cap = o->cap ? 2 * o->cap : 16);
        if (!more)
            return error_nomem(err);
        if (o->n)
            memcpy(more, o->list, o->n * sizeof *more);
        o->list = more;
    }
    o->list[o->n++] = folder;
    return FZ_OK;
}

/* The folders in which the lake's other tables keep files and which lie inside of this one's: their files are no orphans. */
static fz_status other_tables(others *o, fz_error *err)
{
    static const char *const props[] = {"write.data.path", "write.metadata.path", "write.object-storage.path", "write.folder-storage.path"};
    arena *a = &o->c->st->a;
    ib_catalog *cat;
    uint32_t nn;
    str *ns;
    TRY(lake_catalog(ident_lake(o->c->st->s, o->c->id), true, &cat, err));
    TRY(cat->ops->list_namespaces(cat, (str){0}, a, &nn, &ns, err));
    for (uint32_t i = 0; i < nn; i++) {
        uint32_t nt;
        ib_ident *ids;
        TRY(cat->ops->list_tables(cat, ns[i], a, &nt, &ids, err));
        for (uint32_t k = 0; k < nt; k++) {
            ib_table *t;
            if (str_eq(ids[k].ns, o->c->id.ns) && str_eq(ids[k].name, o->c->id.name))
                continue;
            TRY(cat->ops->load_table(cat, ids[k], NULL, &t, err));
            fz_status st = other_folder(o, ids[k], t->md->location, err);
            for (size_t p = 0; p < sizeof props / sizeof *props && !st; p++)
                st = other_folder(o, ids[k], ib_prop(&t->md->properties, props[p]), err);
            ib_table_unref(t);
            TRY(st);
        }
    }
    return FZ_OK;
}

/* Whether a part of the path is "..". */
static bool goes_up(str path)
{
    for (size_t i = 0; i + 1 < path.n; i++)
        if (path.p[i] == '.' && path.p[i + 1] == '.' && (i == 0 || path.p[i - 1] == '/') && (i + 2 == path.n || path.p[i + 2] == '/'))
            return true;
    return false;
}

#define DAY_US (24LL * 3600 * 1000000)

static fz_status remove_orphan_files(call *c, fz_error *err)
{
    static const char *const names[] = {"orphan_file_location"};
    static const type_id types[] = {T_STRING};
    fz_lake *l = c->st->s->lake;
    bool dry = c->args[3].given && c->args[3].b;
    int64_t now_us = now_ms() * 1000, older = c->args[1].given ? c->args[1].i64 : now_us - 3 * DAY_US;
    str location = c->args[2].given ? c->args[2].text : c->t->md->location;
    int64_t counts[IB_FILE_KINDS] = {0};
    TRY(gc_check(c->t, err));
    if (older > now_us - DAY_US && !dry) {
        error_set(err, FZ_INVALID, "files younger than a day aren't removed: they may belong to a write that isn't committed yet");
        error_hint(err, "dry_run => true only lists them");
        return FZ_INVALID;
    }
    char *z = arena_strndup(&c->st->a, location.p, location.n), *own = arena_strndup(&c->st->a, c->t->md->location.p, c->t->md->location.n);
    if (!z || !own)
        return error_nomem(err);
    if (!io_local_path(z) || !io_local_path(own))
        return error_set(err, FZ_UNSUPPORTED, "remove_orphan_files lists local folders alone");
    others o = {.c = c, .location = ib_plain_path(z)};
    str own_path = ib_plain_path(own);
    if (!lies_in(o.location, own_path) || goes_up(o.location))
        return error_set(err, FZ_INVALID, "the location isn't inside of the table's own, " STR_FMT, STR_ARG(own_path));
    ib_path_list files;
    TRY(other_tables(&o, err));
    TRY(ib_orphan_files(c->t->md->io, o.location, older, o.n, o.list, load_newest, c, l->rt->manifests, l->m, &c->st->a, &files, err));
    if (!dry)
        remove_files(c, &files, counts);
    columns(c, 1, names, types);
    for (uint32_t i = 0; i < files.n; i++)
        put_text(c, str_of(files.at[i].path));
    return FZ_OK;
}

/* ---- calling ---- */

static const procedure procedures[] = {
    {"rollback_to_snapshot", false, 2, {{"table", A_TEXT}, {"snapshot_id", A_LONG}}, rollback_to_snapshot},
    {"rollback_to_timestamp", false, 2, {{"table", A_TEXT}, {"timestamp", A_TIME}}, rollback_to_timestamp},
    {"set_current_snapshot", false, 1, {{"table", A_TEXT}, {"snapshot_id", A_LONG}, {"ref", A_TEXT}}, set_current_snapshot},
    {"cherrypick_snapshot", false, 2, {{"table", A_TEXT}, {"snapshot_id", A_LONG}}, cherrypick_snapshot},
    {"fast_forward", false, 3, {{"table", A_TEXT}, {"branch", A_TEXT}, {"to", A_TEXT}}, fast_forward},
    {"ancestors_of", false, 1, {{"table", A_TEXT}, {"snapshot_id", A_LONG}}, ancestors_of},
    {"register_table", true, 2, {{"table", A_TEXT}, {"metadata_file", A_TEXT}}, register_table},
    {"expire_snapshots", false, 1, {{"table", A_TEXT}, {"older_than", A_TIME}, {"retain_last", A_LONG}, {"snapshot_ids", A_LONGS},
                                    {"clean_expired_metadata", A_BOOL}, {"max_concurrent_deletes", A_LONG}, {"stream_results", A_BOOL}}, expire_snapshots},
    {"remove_orphan_files", false, 1, {{"table", A_TEXT}, {"older_than", A_TIME}, {"location", A_TEXT}, {"dry_run", A_BOOL},
                                       {"max_concurrent_deletes", A_LONG}}, remove_orphan_files},
};
#define N_PROCEDURES (sizeof procedures / sizeof *procedures)

static uint32_t n_params(const procedure *p)
{
    uint32_t n = 0;
    while (n < MAX_ARGS && p->params[n].name)
        n++;
    return n;
}

static fz_status find_procedure(const sql_name *name, const procedure **out, fz_error *err)
{
    const sql_ident *last = &name->parts[name->n - 1];
    bool system = name->n == 1 || str_ieq(name->parts[name->n - 2].name, STR("system"));
    str names[N_PROCEDURES];
    for (size_t i = 0; i < N_PROCEDURES; i++) {
        names[i] = str_of(procedures[i].name);
        if (system && str_ieq(last->name, names[i])) {
            *out = &procedures[i];
            return FZ_OK;
        }
    }
    error_sql(err, FZ_NOT_FOUND, "42883", "there is no procedure \"" STR_FMT "\"", STR_ARG(last->name));
    error_line(err, last->pos.line, last->pos.column);
    if (system)
        sql_hint_nearest(err, last->name, N_PROCEDURES, names);
    else
        error_hint(err, "procedures are in the schema system: CALL system.expire_snapshots(…)");
    return FZ_NOT_FOUND;
}

static fz_status cast_value(statement *st, datum *d, type to, sql_pos pos, fz_error *err)
{
    if (type_eq(d->t, to))
        return FZ_OK;
    expr c = {.kind = EX_CONST, .t = d->t, .value = *d};
    const expr *in = &c;
    expr cast = {.kind = EX_CAST, .t = to, .n = 1, .args = &in};
    datum v;
    fz_status r = cast_exists(d->t, to) ? expr_fold(&cast, &st->a, &v, err)
                                        : error_sql(err, FZ_INVALID, "42804", "the argument has the wrong type");
    if (r)
        error_line(err, pos.line, pos.column);
    else
        *d = v;
    return r;
}

/* A list of integers: ARRAY[1, 2], array(1, 2), or one integer. */
static fz_status read_longs(statement *st, const ast_expr *e, arg *out, fz_error *err)
{
    bool list = e->kind == AX_CALL && (str_eqz(e->call.fn, "array") || str_eqz(e->call.fn, "list_value"));
    uint32_t n = list ? e->n : 1;
    out->list = ARENA_ARRAY(&st->a, int64_t, n + 1);
    if (!out->list)
        return error_nomem(err);
    for (uint32_t i = 0; i < n; i++) {
        const ast_expr *x = list ? e->args[i] : e;
        datum d;
        TRY(sql_value(x, &st->a, &d, err));
        TRY(cast_value(st, &d, TYPE(T_INT64), x->pos, err));
        if (d.null)
            return error_sql(err, FZ_INVALID, "22004", "a snapshot id can't be NULL");
        out->list[out->n++] = d.i64;
    }
    return FZ_OK;
}

static fz_status read_arg(statement *st, const ast_expr *e, uint8_t kind, arg *out, fz_error *err)
{
    static const type_id types[] = {[A_TEXT] = T_STRING, [A_LONG] = T_INT64, [A_BOOL] = T_BOOL, [A_TIME] = T_TIMESTAMPTZ};
    datum d;
    out->given = true;
    if (kind == A_LONGS)
        return read_longs(st, e, out, err);
    TRY(sql_value(e, &st->a, &d, err));
    if (d.null) {
        out->given = false;
        return FZ_OK;
    }
    TRY(cast_value(st, &d, TYPE(types[kind]), e->pos, err));
    if (kind == A_TEXT)
        out->text = d.s;
    else if (kind == A_BOOL)
        out->b = d.b;
    else
        out->i64 = d.i64;
    return FZ_OK;
}

static fz_status read_args(call *c, const procedure *p, fz_error *err)
{
    const ast_call *a = &c->st->ast->call;
    uint32_t n = n_params(p);
    for (uint32_t i = 0; i < a->n_args; i++) {
        const ast_option *o = &a->args[i];
        uint32_t at = i;
        if (o->name.name.p)
            for (at = 0; at < n && !str_ieq(o->name.name, str_of(p->params[at].name)); at++)
                ;
        sql_pos pos = o->name.name.p ? o->name.pos : o->value->pos;
        fz_status st = at < n ? FZ_OK : o->name.name.p ? error_sql(err, FZ_INVALID, "42883", "%s has no argument \"" STR_FMT "\"", p->name, STR_ARG(o->name.name))
                                                       : error_sql(err, FZ_INVALID, "42883", "%s takes at most %u arguments", p->name, n);
        if (!st && c->args[at].given)
            st = error_sql(err, FZ_INVALID, "42601", "the argument \"%s\" is there twice", p->params[at].name);
        if (st) {
            error_line(err, pos.line, pos.column);
            return st;
        }
        TRY(read_arg(c->st, o->value, p->params[at].kind, &c->args[at], err));
    }
    for (uint32_t i = 0; i < p->n_required; i++)
        if (!c->args[i].given)
            return error_sql(err, FZ_INVALID, "42883", "%s needs the argument \"%s\"", p->name, p->params[i].name);
    return FZ_OK;
}

/* CALL catalog.system.procedure('namespace.table'): the table is looked for in that catalog. */
static fz_status in_catalog(call *c, fz_error *err)
{
    const sql_name *of = &c->st->ast->call.name;
    if (of->n < 3 || (c->table.n > 2 && str_ieq(c->table.parts[0].name, of->parts[0].name))) /* the table's name may begin with it, too */
        return FZ_OK;
    sql_ident *parts = ARENA_ARRAY(&c->st->a, sql_ident, c->table.n + 2);
    uint32_t n = 0;
    if (!parts)
        return error_nomem(err);
    parts[n++] = of->parts[0];
    if (c->table.n == 1) /* as USE catalog would have it */
        parts[n++] = (sql_ident){.name = STR("default"), .pos = c->table.parts[0].pos};
    memcpy(parts + n, c->table.parts, sizeof *parts * c->table.n);
    c->table = (sql_name){n + c->table.n, parts};
    return FZ_OK;
}

static fz_status run_procedure(call *c, fz_error *err)
{
    const procedure *p;
    TRY(find_procedure(&c->st->ast->call.name, &p, err));
    TRY(read_args(c, p, err));
    TRY(sql_parse_name(c->args[0].text, &c->st->a, &c->table, err));
    TRY(in_catalog(c, err));
    TRY(session_find_table(c->st->s, &c->table, &c->st->a, &c->id, &c->t, err));
    if (!c->t && !p->new_table)
        return session_no_table(c->st->s, &c->table, err);
    return p->fn(c, err);
}

fz_status run_call(statement *st, fz_result **out, fz_error *err)
{
    call c = {.st = st};
    fz_status r = transaction_outside(st->s, "CALL", err);
    if (!r)
        r = run_procedure(&c, err);
    ib_table_unref(c.t);
    ib_metadata_unref(c.before);
    if (r) {
        statement_free(st);
        return r;
    }
    return rows_result(&c.r, "CALL", out, err);
}
