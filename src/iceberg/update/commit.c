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

/* ---- what comes before the rows ---- */

/* The table's metadata after it; one reference. */
static fz_status with_before(const ib_table *t, const ib_write *w, ib_metadata **out, fz_error *err)
{
    if (w->n_before)
        return ib_metadata_apply(t->md, t->metadata_location, w->n_before, w->before, w->m, out, err);
    *out = ib_metadata_ref(t->md);
    return FZ_OK;
}

/* Puts it before the rows in a commit. The branch has to be where it is now, which may differ from where the rows' updates
 * find it. */
static fz_status put_before(const ib_write *w, const ib_metadata *newest, arena *a, ib_commit *c, fz_error *err)
{
    uint32_t nr = w->n_before_requirements, nu = w->n_before;
    ib_requirement *r = ARENA_ARRAY(a, ib_requirement, c->n_requirements + nr + 1);
    ib_update *u = ARENA_ARRAY(a, ib_update, c->n_updates + nu + 1);
    if (!r || !u)
        return error_nomem(err);
    r[0] = (ib_requirement){IB_ASSERT_TABLE_UUID, newest->table_uuid, 0};
    memcpy(r + 1, w->before_requirements, nr * sizeof *r);
    memcpy(u, w->before, nu * sizeof *u);
    for (uint32_t i = 0; i < c->n_requirements; i++) {
        ib_requirement x = c->requirements[i];
        if (x.kind == IB_ASSERT_REF_SNAPSHOT_ID) {
            const ib_ref *now = ib_ref_by_name(newest, x.text);
            x.id = now ? now->snapshot_id : -1;
        }
        r[1 + nr + i] = x;
    }
    if (c->n_updates)
        memcpy(u + nu, c->updates, c->n_updates * sizeof *u);
    c->requirements = r;
    c->updates = u;
    c->n_requirements += nr + 1;
    c->n_updates += nu;
    return FZ_OK;
}

/* What the catalog is asked for, on top of the newest metadata; md is that after what comes before the rows. */
static fz_status prepare(const ib_metadata *newest, const ib_metadata *md, const ib_write *w, ib_producer *p, arena *a, ib_commit *c,
                         fz_error *err)
{
    if (w->op != IB_APPEND || w->n_files)
        TRY(ib_producer_prepare(p, md, &c->n_requirements, &c->requirements, &c->n_updates, &c->updates, err));
    return w->n_before ? put_before(w, newest, a, c, err) : FZ_OK;
}

/* One attempt on the newest metadata; *head is replaced by what was found, and by the new state on success.
 * *lost: the catalog refused it for something that another attempt may not meet. A catalog that is busy has
 * waited as long as it was told to. */
static fz_status attempt(ib_catalog *c, ib_ident id, const ib_write *w, ib_producer *p, ib_table **head,
                         bool *lost, fz_error *err)
{
    ib_table *newest = NULL, *result = NULL;
    ib_commit commit = {.id = id, .io = c->ops->commit_settles ? w->io : NULL};
    TRY(c->ops->load_table(c, id, *head, &newest, err));
    ib_table_unref(*head);
    *head = newest;
    arena a;
    ib_metadata *md;
    TRY(ib_requirements_check(newest->md, w->n_before_requirements, w->before_requirements, err));
    TRY(with_before(newest, w, &md, err));
    arena_init(&a, w->m);
    fz_status st = FZ_OK;
    TRY_GOTO(prepare(newest->md, md, w, p, &a, &commit, err));
    if (!commit.io)
        TRY_GOTO(ib_producer_settle(p, err));
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

static fz_status commit_loop(ib_catalog *c, ib_ident id, const ib_write *w, ib_producer *p, retry *r,
                             ib_table **head, fz_error *err)
{
    for (;;) {
        if (stopped(w))
            return error_set(err, FZ_CANCELLED, "cancelled");
        bool lost = false;
        fz_status st = attempt(c, id, w, p, head, &lost, err);
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
    if (w->op == IB_APPEND && w->n_files == 0 && !w->n_before)
        return out ? c->ops->load_table(c, id, base, out, err) : FZ_OK;
    retry r;
    ib_producer *p = NULL;
    void *token = NULL;
    TRY(retry_init(&r, &base->md->properties, err));
    ib_metadata *md;
    TRY(with_before(base, w, &md, err));
    fz_status made = ib_producer_new(md, w, &p, err);
    ib_metadata_unref(md);
    TRY(made);
    ib_table *head = ib_table_ref(base);
    fz_status st = FZ_OK;
    if (c->ops->queue_lock)
        st = c->ops->queue_lock(c, id, retry_queue_ms(&r), &token, err);
    if (st == FZ_OK || st == FZ_BUSY) {
        st = commit_loop(c, id, w, p, &r, &head, err);
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
