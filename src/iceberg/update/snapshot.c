/*
 * snapshot.c: the snapshot producer (see snapshot.h for the steps).
 *
 *   new ──> prepare ──> finish(FZ_OK)        cache filled; files no list refers to removed
 *             │  ^  └─> finish(FZ_UNKNOWN)   everything stays
 *             └──┘ (conflict: the attempt's files removed)
 *                   └─> finish(other)        everything removed
 *
 * Invariants: every file it creates is in `added`, `made` or list_location before it is created, so
 * that a failure in the middle removes it too; entries of `added` have no sequence number, so they
 * take that of the attempt which succeeds; the snapshot id is the same in all attempts.
 */
#include "base/fault.h"
#include "iceberg/manifest/inline.h"
#include "iceberg/update/layout.h"
#include "iceberg/update/snapshot_int.h"

#include <time.h>

/* ---- writing manifests ---- */

fz_status producer_hold(ib_producer *p, ib_decoded *d, fz_error *err)
{
    if (p->n_held == p->cap_held) {
        uint32_t cap = p->cap_held ? p->cap_held * 2 : 16;
        ib_decoded **more = ARENA_ARRAY(&p->attempt, ib_decoded *, cap);
        if (!more) {
            ib_decoded_unref(d);
            return error_nomem(err);
        }
        if (p->n_held)
            memcpy(more, p->held, p->n_held * sizeof *more);
        p->held = more;
        p->cap_held = cap;
    }
    p->held[p->n_held++] = d;
    return FZ_OK;
}

static written *note(written_list *l, arena *a)
{
    if (l->n == l->cap) {
        uint32_t cap = l->cap ? l->cap * 2 : 4;
        written *more = ARENA_ARRAY(a, written, cap);
        if (!more)
            return NULL;
        if (l->n)
            memcpy(more, l->at, l->n * sizeof *more);
        l->at = more;
        l->cap = cap;
    }
    l->at[l->n] = (written){0};
    return &l->at[l->n++];
}

/* Notes a new manifest's name, then writes it. */
static fz_status finish_manifest(ib_producer *p, const ib_metadata *md, manifest_writer *mw, uint32_t n,
                                 ib_manifest_entry *entries, written_list *to, arena *a, ib_manifest_file *out,
                                 fz_error *err)
{
    char *location = ib_manifest_location(md, p->uuid, p->n_names++, a);
    written *x = location ? note(to, a) : NULL;
    if (!x) {
        manifest_writer_abort(mw);
        return error_nomem(err);
    }
    *x = (written){.location = location, .n = n, .entries = entries};
    TRY(manifest_writer_finish(mw, p->io, location, &x->mf, err));
    if (out)
        *out = x->mf;
    return FZ_OK;
}

fz_status producer_write(ib_producer *p, const ib_metadata *md, const ib_partition_spec *spec, ib_content content,
                         uint32_t n, ib_manifest_entry *entries, written_list *to, arena *a, ib_manifest_file *out,
                         fz_error *err)
{
    manifest_writer mw;
    type *types;
    const ib_schema *schema = ib_current_schema(md);
    TRY(manifest_partition_types(schema, spec, n ? entries[0].file.partition : NULL, a, &types, err));
    TRY(manifest_writer_open(&mw, p->m, schema, spec, content, p->snapshot_id, types, a, err));
    for (uint32_t i = 0; i < n; i++) {
        fz_status st = manifest_writer_add(&mw, &entries[i], err);
        if (st != FZ_OK) {
            manifest_writer_abort(&mw);
            return st;
        }
    }
    return finish_manifest(p, md, &mw, n, entries, to, a, out, err);
}

/* ---- step 2: the added files ---- */

static fz_status write_added_spec(ib_producer *p, const ib_metadata *md, const ib_schema *schema,
                                  const ib_partition_spec *spec, uint32_t n, ib_manifest_entry *entries,
                                  int64_t target_bytes, fz_error *err)
{
    type *types;
    TRY(manifest_partition_types(schema, spec, NULL, &p->mem, &types, err));
    for (uint32_t from = 0, to; from < n; from = to) {
        manifest_writer mw;
        TRY(manifest_writer_open(&mw, p->m, schema, spec, IB_DATA, p->snapshot_id, types, &p->mem, err));
        for (to = from; to < n && (to == from || (int64_t)manifest_writer_size(&mw) < target_bytes); to++) {
            fz_status st = manifest_writer_add(&mw, &entries[to], err);
            if (st != FZ_OK) {
                manifest_writer_abort(&mw);
                return st;
            }
        }
        TRY(finish_manifest(p, md, &mw, to - from, entries + from, &p->added, &p->mem, NULL, err));
    }
    return FZ_OK;
}

static fz_status write_added(ib_producer *p, const ib_metadata *md, fz_error *err)
{
    const ib_write *w = p->w;
    const ib_schema *schema = ib_schema_by_id(md, w->schema_id);
    int64_t target;
    if (!schema)
        return error_set(err, FZ_INVALID, "the table has no schema %d", w->schema_id);
    TRY(ib_prop_i64(&md->properties, "commit.manifest.target-size-bytes", 8 << 20, &target, err));
    ib_manifest_entry *entries = ARENA_ARRAY(&p->mem, ib_manifest_entry, w->n_files + 1);
    if (!entries)
        return error_nomem(err);
    uint32_t done = 0;
    for (uint32_t s = 0; s < md->n_specs && done < w->n_files; s++) {
        uint32_t first = done;
        for (uint32_t i = 0; i < w->n_files; i++)
            if (w->files[i].spec_id == md->specs[s].spec_id)
                entries[done++] = (ib_manifest_entry){.status = IB_ADDED, .snapshot_id = p->snapshot_id,
                                                      .sequence_number = -1, .file_sequence_number = -1,
                                                      .file = w->files[i]};
        TRY(write_added_spec(p, md, schema, &md->specs[s], done - first, entries + first, target, err));
    }
    if (done != w->n_files)
        return error_set(err, FZ_INVALID, "a data file of a partition spec that the table doesn't have");
    return FZ_OK;
}

static fz_status check_version(const ib_metadata *md, fz_error *err)
{
    if (md->format_version != 2)
        return error_set(err, FZ_UNSUPPORTED, "writing to tables of format version %d is not supported",
                         md->format_version);
    return FZ_OK;
}

fz_status ib_producer_new(const ib_metadata *md, const ib_write *w, ib_producer **out, fz_error *err)
{
    TRY(check_version(md, err));
    ib_producer *p = mem_zalloc(w->m, sizeof *p);
    if (!p)
        return error_nomem(err);
    p->w = w;
    p->m = w->m;
    p->io = file_io_ref(w->io ? w->io : md->io);
    arena_init(&p->mem, w->m);
    arena_init(&p->attempt, w->m);
    fz_status st;
    TRY_GOTO(ib_uuid_new(p->uuid, err));
    TRY_GOTO(ib_snapshot_id_new(md, &p->snapshot_id, err));
    p->table_uuid = (str){arena_strndup(&p->mem, md->table_uuid.p, md->table_uuid.n), md->table_uuid.n};
    if (!p->table_uuid.p) {
        st = error_nomem(err);
        goto out;
    }
    TRY_GOTO(write_added(p, md, err));
    TRY_GOTO(fault_point("commit.manifest", err));
    *out = p;
    return FZ_OK;
out:
    ib_producer_finish(p, st);
    return st;
}

fz_status ib_producer_settle(const ib_producer *p, fz_error *err)
{
    return io_settle(p->io, err);
}

int64_t ib_producer_snapshot_id(const ib_producer *p)
{
    return p->snapshot_id;
}

/* ---- step 3: an attempt ---- */

static void remove_made(ib_producer *p)
{
    for (uint32_t i = 0; i < p->made.n; i++)
        io_remove(p->io, p->made.at[i].location, NULL);
    if (p->list_location)
        io_remove(p->io, p->list_location, NULL);
}

static void reset_attempt(ib_producer *p)
{
    for (uint32_t i = 0; i < p->n_held; i++)
        ib_decoded_unref(p->held[i]);
    p->made = (written_list){0};
    p->list_location = NULL;
    p->files = NULL;
    p->held = NULL;
    p->n_files = p->n_held = p->cap_held = 0;
    arena_reset(&p->attempt);
}

/* Columns that have to have a value now had to when the rows were written: an empty table's columns can become so meanwhile. */
static fz_status validate_required(const ib_schema *now, const ib_schema *written, fz_error *err)
{
    for (uint32_t i = 0; now != written && i < now->fields->n; i++) {
        const type_field *f = &now->fields->f[i];
        uint32_t k = 0;
        while (k < written->fields->n && written->fields->f[k].field_id != f->field_id)
            k++;
        if (f->required && (k == written->fields->n || !written->fields->f[k].required))
            return error_set(err, FZ_CONFLICT, "the column \"" STR_FMT "\" became NOT NULL while the rows were written", STR_ARG(f->name));
    }
    return FZ_OK;
}

/* Whether the operation applies to this state of the table. */
static fz_status validate(const ib_producer *p, const ib_metadata *md, fz_error *err)
{
    TRY(check_version(md, err));
    if (!str_ieq(md->table_uuid, p->table_uuid))
        return error_set(err, FZ_CONFLICT, "the table was dropped and made again meanwhile");
    if (!ib_schema_by_id(md, p->w->schema_id))
        return error_set(err, FZ_CONFLICT, "the schema that the rows were written with (%d) was removed meanwhile",
                         p->w->schema_id);
    if (p->w->n_files)
        TRY(validate_required(ib_current_schema(md), ib_schema_by_id(md, p->w->schema_id), err));
    for (uint32_t i = 0; i < p->added.n; i++)
        if (!ib_spec_by_id(md, p->added.at[i].mf.spec_id))
            return error_set(err, FZ_CONFLICT, "the partition spec that the rows were written with (%d) was removed "
                             "meanwhile", p->added.at[i].mf.spec_id);
    return FZ_OK;
}

static bool has_live(const ib_manifest_file *f)
{
    return f->added_files != 0 || f->existing_files != 0;
}

/* The list of an append: the added manifests and the parent's that have live files, data manifests merged. */
static fz_status list_append(ib_producer *p, const ib_metadata *md, const ib_decoded *parent, fz_error *err)
{
    uint32_t n = 0, n_parent = parent ? parent->n : 0;
    p->files = ARENA_ARRAY(&p->attempt, ib_manifest_file, p->added.n + n_parent + 1);
    if (!p->files)
        return error_nomem(err);
    for (uint32_t i = 0; i < p->added.n; i++)
        p->files[n++] = p->added.at[i].mf;
    for (uint32_t i = 0; i < n_parent; i++)
        if (has_live(&parent->files[i]) && parent->files[i].content == IB_DATA)
            p->files[n++] = parent->files[i];
    TRY(manifests_count(p, md, &n, p->files, err));
    TRY(manifests_merge(p, md, &n, p->files, err));
    for (uint32_t i = 0; i < n_parent; i++)
        if (has_live(&parent->files[i]) && parent->files[i].content != IB_DATA)
            p->files[n++] = parent->files[i];
    p->n_files = n;
    return FZ_OK;
}

/* Marks the live entries of the parent's manifests of one spec and content as deleted, in one manifest. */
static fz_status delete_group(ib_producer *p, const ib_metadata *md, const ib_decoded *parent,
                              const ib_partition_spec *spec, ib_content content, summary *s, fz_error *err)
{
    ib_manifest_entry *all = NULL;
    size_t n = 0, cap = 0;
    for (uint32_t i = 0; i < parent->n; i++) {
        const ib_manifest_file *f = &parent->files[i];
        if (f->spec_id != spec->spec_id || f->content != content || !has_live(f))
            continue;
        ib_decoded *d;
        TRY(ib_manifest_get(p->w->cache, f, md, true, p->m, &d, err));
        TRY(producer_hold(p, d, err));
        if (n + d->n > cap) {
            cap = n + d->n > cap * 2 ? n + d->n : cap * 2;
            ib_manifest_entry *more = ARENA_ARRAY(&p->attempt, ib_manifest_entry, cap);
            if (!more)
                return error_nomem(err);
            if (n)
                memcpy(more, all, n * sizeof *more);
            all = more;
        }
        for (uint32_t k = 0; k < d->n; k++) {
            if (d->entries[k].status == IB_DELETED)
                continue;
            all[n] = d->entries[k];
            all[n].status = IB_DELETED;
            all[n].snapshot_id = p->snapshot_id;
            TRY(summary_add(s, md, &all[n++].file, false, err));
        }
    }
    if (n == 0)
        return FZ_OK;
    return producer_write(p, md, spec, content, (uint32_t)n, all, &p->made, &p->attempt, &p->files[p->n_files++], err);
}

static fz_status list_replace(ib_producer *p, const ib_metadata *md, const ib_decoded *parent, summary *s,
                              fz_error *err)
{
    p->files = ARENA_ARRAY(&p->attempt, ib_manifest_file, p->added.n + 2 * md->n_specs + 1);
    if (!p->files)
        return error_nomem(err);
    for (uint32_t i = 0; i < p->added.n; i++)
        p->files[p->n_files++] = p->added.at[i].mf;
    for (uint32_t i = 0; parent && i < md->n_specs; i++) {
        TRY(delete_group(p, md, parent, &md->specs[i], IB_DATA, s, err));
        TRY(delete_group(p, md, parent, &md->specs[i], IB_POSITION_DELETES, s, err));
    }
    return FZ_OK;
}

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static const char *operation_name(const ib_write *w, const summary *s)
{
    bool removes = s->all.removed_files || s->all.removed_delete_files;
    return w->op == IB_APPEND || (!removes && w->n_files) ? "append" : w->n_files ? "overwrite" : "delete";
}

static str branch_of(const ib_write *w)
{
    return w->branch.n ? w->branch : STR("main");
}

/* The branch that is committed to; *out NULL: main, which has no snapshot yet. */
static fz_status find_branch(const ib_producer *p, const ib_metadata *md, const ib_ref **out, fz_error *err)
{
    str name = branch_of(p->w);
    *out = ib_ref_by_name(md, name);
    if (*out && (*out)->is_tag)
        return error_set(err, FZ_INVALID, "\"" STR_FMT "\" is a tag: rows can be written to branches alone", STR_ARG(name));
    if (!*out && p->w->branch.n && !str_eqz(name, "main"))
        return error_set(err, FZ_NOT_FOUND, "the table has no branch \"" STR_FMT "\"", STR_ARG(name));
    return FZ_OK;
}

/* The snapshot, and the commit's requirements and updates. */
static fz_status describe(ib_producer *p, const ib_metadata *md, const ib_ref *branch, const ib_snapshot *parent, const summary *s,
                          fz_error *err)
{
    p->snapshot = (ib_snapshot){.snapshot_id = p->snapshot_id, .parent_id = parent ? parent->snapshot_id : -1,
                                .sequence_number = p->sequence_number, .timestamp_ms = now_ms(),
                                .manifest_list = str_of(p->list_location), .schema_id = md->current_schema_id};
    if (p->snapshot.timestamp_ms < md->last_updated_ms)
        p->snapshot.timestamp_ms = md->last_updated_ms;
    TRY(summary_props(s, md, operation_name(p->w, s), &p->w->summary, parent ? &parent->summary : NULL, &p->attempt,
                      &p->snapshot.summary, err));
    p->requirements[0] = (ib_requirement){.kind = IB_ASSERT_TABLE_UUID, .text = p->table_uuid};
    p->requirements[1] = (ib_requirement){.kind = IB_ASSERT_REF_SNAPSHOT_ID, .text = branch_of(p->w),
                                          .id = parent ? parent->snapshot_id : -1};
    p->updates[0] = (ib_update){.kind = IB_ADD_SNAPSHOT, .snapshot = &p->snapshot};
    ib_ref ref = {.min_snapshots_to_keep = -1, .max_snapshot_age_ms = -1, .max_ref_age_ms = -1};
    if (branch) /* its retention stays */
        ref = *branch;
    ref.name = branch_of(p->w);
    ref.snapshot_id = p->snapshot_id;
    p->updates[1] = (ib_update){.kind = IB_SET_SNAPSHOT_REF, .ref = ref};
    return FZ_OK;
}

static fz_status write_list(ib_producer *p, const ib_metadata *md, const ib_snapshot *parent, fz_error *err)
{
    p->sequence_number = md->last_sequence_number + 1;
    char *location = ib_list_location(md, p->snapshot_id, p->n_attempts++, p->uuid, &p->attempt);
    if (!location)
        return error_nomem(err);
    p->list_location = location;
    TRY(ib_manifest_list_write(p->io, location, p->m, p->snapshot_id, parent ? parent->snapshot_id : -1, p->sequence_number,
                               p->n_files, p->files, err));
    return fault_point("commit.manifest_list", err);
}

fz_status ib_producer_prepare(ib_producer *p, const ib_metadata *md, uint32_t *n_requirements,
                              const ib_requirement **requirements, uint32_t *n_updates, const ib_update **updates,
                              fz_error *err)
{
    remove_made(p);
    reset_attempt(p);
    TRY(validate(p, md, err));
    const ib_ref *branch;
    TRY(find_branch(p, md, &branch, err));
    const ib_snapshot *parent = branch ? ib_snapshot_by_id(md, branch->snapshot_id) : NULL;
    ib_decoded *list = NULL;
    if (parent) {
        TRY(ib_snapshot_manifests(p->w->cache, md, parent, p->m, &list, err));
        TRY(producer_hold(p, list, err));
    }
    summary s;
    summary_init(&s, &p->attempt);
    for (uint32_t i = 0; i < p->w->n_files; i++)
        TRY(summary_add(&s, md, &p->w->files[i], true, err));
    if (p->w->op == IB_APPEND)
        TRY(list_append(p, md, list, err));
    else
        TRY(list_replace(p, md, list, &s, err));
    TRY(write_list(p, md, parent, err));
    TRY(describe(p, md, branch, parent, &s, err));
    *n_requirements = 2;
    *requirements = p->requirements;
    *n_updates = 2;
    *updates = p->updates;
    return FZ_OK;
}

/* ---- the end ---- */

static bool in_list(const ib_producer *p, str path)
{
    for (uint32_t i = 0; i < p->n_files; i++)
        if (str_eq(p->files[i].path, path))
            return true;
    return false;
}

/* The committed list's manifests have their sequence number now; what was merged away is removed. */
static void settle(ib_producer *p, written_list *l)
{
    for (uint32_t i = 0; i < l->n; i++) {
        written *x = &l->at[i];
        if (!in_list(p, x->mf.path)) {
            io_remove(p->io, x->location, NULL);
            continue;
        }
        x->mf.sequence_number = p->sequence_number;
        ib_manifest_put(p->w->cache, &x->mf, x->n, x->entries);
    }
}

static void committed(ib_producer *p)
{
    settle(p, &p->added);
    settle(p, &p->made);
    for (uint32_t i = 0; i < p->n_files; i++) {
        if (p->files[i].sequence_number < 0)
            p->files[i].sequence_number = p->sequence_number;
        if (p->files[i].min_sequence_number < 0)
            p->files[i].min_sequence_number = p->sequence_number;
    }
    if (p->list_location)
        ib_manifest_list_put(p->w->cache, str_of(p->list_location), p->n_files, p->files);
}

void ib_producer_finish(ib_producer *p, fz_status outcome)
{
    if (!p)
        return;
    if (outcome == FZ_OK) {
        committed(p);
    } else if (outcome != FZ_UNKNOWN) {
        remove_made(p);
        for (uint32_t i = 0; i < p->added.n; i++)
            io_remove(p->io, p->added.at[i].location, NULL);
    }
    reset_attempt(p);
    arena_free(&p->attempt);
    arena_free(&p->mem);
    file_io_unref(p->io);
    mem_free(p->m, p, sizeof *p);
}
