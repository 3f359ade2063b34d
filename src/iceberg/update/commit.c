/*
 * commit.c: the commit loop: one producer, attempts on ever newer metadata until one succeeds, the operation no longer
 * applies, or time (or the number of retries, where it is limited) runs out.
 *
 * The table's queue is held over all attempts: committers on this machine then don't meet, and a conflict
 * comes from elsewhere. It is waited for a limited time: somebody who holds it and doesn't move (a stopped process) must
 * not stop the others, and correctness doesn't need it. Between attempts it waits (retry.c).
 */
#include "base/fault.h"
#include "iceberg/update/layout.h"
#include "iceberg/update/retry_int.h"
#include "iceberg/update/snapshot.h"

static bool stopped(const ib_write *w)
{
    return w->j && job_stopped(w->j);
}

/* ---- new columns ---- */

static void schema_updates(const ib_write *w, ib_update out[2])
{
    out[0] = (ib_update){.kind = IB_ADD_SCHEMA, .schema = w->schema, .id = w->last_column_id};
    out[1] = (ib_update){.kind = IB_SET_CURRENT_SCHEMA, .id = -1};
}

/* The table's metadata with the columns of the write; one reference. */
static fz_status with_schema(const ib_table *t, const ib_write *w, ib_metadata **out, fz_error *err)
{
    ib_update up[2];
    if (!w->schema) {
        *out = ib_metadata_ref(t->md);
        return FZ_OK;
    }
    schema_updates(w, up);
    return ib_metadata_apply(t->md, t->metadata_location, 2, up, w->m, out, err);
}

/* Puts the new columns before the rows in a commit. */
static fz_status add_schema(const ib_write *w, const ib_metadata *base, arena *a, ib_commit *c, fz_error *err)
{
    ib_requirement *r = ARENA_ARRAY(a, ib_requirement, c->n_requirements + 3);
    ib_update *u = ARENA_ARRAY(a, ib_update, c->n_updates + 2);
    if (!r || !u)
        return error_nomem(err);
    r[0] = (ib_requirement){IB_ASSERT_TABLE_UUID, base->table_uuid, 0};
    r[1] = (ib_requirement){IB_ASSERT_CURRENT_SCHEMA_ID, {0}, base->current_schema_id};
    r[2] = (ib_requirement){IB_ASSERT_LAST_ASSIGNED_FIELD_ID, {0}, base->last_column_id};
    schema_updates(w, u);
    if (c->n_requirements)
        memcpy(r + 3, c->requirements, c->n_requirements * sizeof *r);
    if (c->n_updates)
        memcpy(u + 2, c->updates, c->n_updates * sizeof *u);
    c->requirements = r;
    c->updates = u;
    c->n_requirements += 3;
    c->n_updates += 2;
    return FZ_OK;
}

/* What the catalog is asked for, on top of the newest metadata; md is that with the write's columns. */
static fz_status prepare(const ib_metadata *newest, const ib_metadata *md, const ib_metadata *base, const ib_write *w,
                         ib_producer *p, arena *a, ib_commit *c, fz_error *err)
{
    if (w->schema && (newest->current_schema_id != base->current_schema_id || newest->last_column_id != base->last_column_id))
        return error_set(err, FZ_CONFLICT, "the table's columns were changed meanwhile");
    if (w->op != IB_APPEND || w->n_files)
        TRY(ib_producer_prepare(p, md, &c->n_requirements, &c->requirements, &c->n_updates, &c->updates, err));
    return w->schema ? add_schema(w, base, a, c, err) : FZ_OK;
}

/* One attempt on the newest metadata; *head is replaced by what was found, and by the new state on success.
 * *lost: the catalog refused it for something that another attempt may not meet. A catalog that is busy has
 * waited as long as it was told to. */
static fz_status attempt(ib_catalog *c, ib_ident id, const ib_metadata *base, const ib_write *w, ib_producer *p, ib_table **head,
                         bool *lost, fz_error *err)
{
    ib_table *newest = NULL, *result = NULL;
    ib_commit commit = {.id = id};
    TRY(c->ops->load_table(c, id, *head, &newest, err));
    ib_table_unref(*head);
    *head = newest;
    arena a;
    ib_metadata *md;
    TRY(with_schema(newest, w, &md, err));
    arena_init(&a, w->m);
    fz_status st = FZ_OK;
    TRY_GOTO(prepare(newest->md, md, base, w, p, &a, &commit, err));
    TRY_GOTO(fault_point("commit.before", err));
    st = c->ops->commit(c, 1, &commit, head, &result, err);
    *lost = st == FZ_CONFLICT;
out:
    ib_metadata_unref(md);
    arena_free(&a);
    TRY(st);
    ib_table_unref(*head);
    *head = result;
    return FZ_OK;
}

/* After an unknown outcome: whether the catalog's table has the snapshot. */
static bool landed(ib_catalog *c, ib_ident id, int64_t snapshot_id, ib_table **head)
{
    ib_table *now = NULL;
    if (c->ops->load_table(c, id, NULL, &now, NULL) != FZ_OK)
        return false;
    if (!ib_snapshot_by_id(now->md, snapshot_id)) {
        ib_table_unref(now);
        return false;
    }
    ib_table_unref(*head);
    *head = now;
    return true;
}

static fz_status commit_loop(ib_catalog *c, ib_ident id, const ib_metadata *base, const ib_write *w, ib_producer *p, retry *r,
                             ib_table **head, fz_error *err)
{
    for (;;) {
        if (stopped(w))
            return error_set(err, FZ_CANCELLED, "cancelled");
        bool lost = false;
        fz_status st = attempt(c, id, base, w, p, head, &lost, err);
        if (st == FZ_UNKNOWN && landed(c, id, ib_producer_snapshot_id(p), head))
            st = FZ_OK;
        if (!lost)
            return st;
        if (!retry_wait(r, w->j)) {
            if (stopped(w))
                return error_set(err, FZ_CANCELLED, "cancelled");
            retry_gave_up(r, err);
            return st;
        }
    }
}

fz_status ib_write_commit(ib_catalog *c, ib_ident id, ib_table *base, const ib_write *w, ib_table **out,
                          fz_error *err)
{
    if (w->op == IB_APPEND && w->n_files == 0 && !w->schema)
        return out ? c->ops->load_table(c, id, base, out, err) : FZ_OK;
    retry r;
    ib_producer *p = NULL;
    void *token = NULL;
    TRY(retry_init(&r, &base->md->properties, err));
    ib_metadata *md;
    TRY(with_schema(base, w, &md, err));
    fz_status made = ib_producer_new(md, w, &p, err);
    ib_metadata_unref(md);
    TRY(made);
    ib_table *head = ib_table_ref(base);
    fz_status st = FZ_OK;
    if (c->ops->queue_lock)
        st = c->ops->queue_lock(c, id, retry_queue_ms(&r), &token, err);
    if (st == FZ_OK || st == FZ_BUSY) {
        st = commit_loop(c, id, base->md, w, p, &r, &head, err);
        if (token)
            c->ops->queue_unlock(c, token);
    }
    ib_producer_finish(p, st);
    if (st == FZ_OK && fault_point("commit.after", err) != FZ_OK)
        st = err ? (err->status = FZ_UNKNOWN) : FZ_UNKNOWN; /* it is committed: nobody may remove its files */
    if (st == FZ_OK && out)
        *out = head;
    else
        ib_table_unref(head);
    return st;
}
