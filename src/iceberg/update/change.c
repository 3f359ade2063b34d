/* change.c: see change.h. */
#include "iceberg/update/change.h"

#include "base/fault.h"
#include "iceberg/update/retry_int.h"

fz_status ib_change_require(ib_change *c, ib_requirement r, fz_error *err)
{
    for (uint32_t i = 0; i < c->n_requirements; i++)
        if (c->requirements[i].kind == r.kind && str_eq(c->requirements[i].text, r.text))
            return FZ_OK; /* the first one says what the table was before this change */
    if (c->n_requirements == c->cap_requirements) {
        uint32_t cap = c->cap_requirements ? 2 * c->cap_requirements : 8;
        ib_requirement *more = ARENA_ARRAY(c->a, ib_requirement, cap);
        if (!more)
            return error_nomem(err);
        if (c->n_requirements)
            memcpy(more, c->requirements, c->n_requirements * sizeof *more);
        c->requirements = more;
        c->cap_requirements = cap;
    }
    c->requirements[c->n_requirements++] = r;
    return FZ_OK;
}

fz_status ib_change_update(ib_change *c, ib_update u, fz_error *err)
{
    if (c->n_updates == c->cap_updates) {
        uint32_t cap = c->cap_updates ? 2 * c->cap_updates : 8;
        ib_update *more = ARENA_ARRAY(c->a, ib_update, cap);
        if (!more)
            return error_nomem(err);
        if (c->n_updates)
            memcpy(more, c->updates, c->n_updates * sizeof *more);
        c->updates = more;
        c->cap_updates = cap;
    }
    c->updates[c->n_updates++] = u;
    return FZ_OK;
}

/* One attempt on the newest state; *head is replaced by what was found, and by the new state on success. */
static fz_status attempt(ib_catalog *c, ib_ident id, str uuid, ib_change_fn fn, void *ctx, mem *m, ib_table **head, bool *lost, fz_error *err)
{
    ib_table *newest = NULL, *result = NULL;
    TRY(c->ops->load_table(c, id, *head, &newest, err));
    ib_table_unref(*head);
    *head = newest;
    if (!str_ieq(newest->md->table_uuid, uuid))
        return error_set(err, FZ_CONFLICT, "the table was dropped and made again meanwhile");
    arena a;
    arena_init(&a, m);
    ib_change ch = {.a = &a};
    fz_status st = FZ_OK;
    if (uuid.n)
        TRY_GOTO(ib_change_require(&ch, (ib_requirement){IB_ASSERT_TABLE_UUID, newest->md->table_uuid, 0}, err));
    TRY_GOTO(fn(ctx, newest, &ch, err));
    if (!ch.n_updates)
        goto out;
    TRY_GOTO(fault_point("commit.before", err));
    ib_commit commit = {.id = id, .n_requirements = ch.n_requirements, .requirements = ch.requirements,
                        .n_updates = ch.n_updates, .updates = ch.updates};
    st = c->ops->commit(c, 1, &commit, head, &result, err);
    *lost = st == FZ_CONFLICT;
    if (st == FZ_OK) {
        ib_table_unref(*head);
        *head = result;
    }
out:
    arena_free(&a);
    return st;
}

fz_status ib_change_commit(ib_catalog *c, ib_ident id, ib_table *base, ib_change_fn fn, void *ctx, const job *j, mem *m,
                           ib_table **out, fz_error *err)
{
    retry r;
    void *token = NULL;
    TRY(retry_init(&r, &base->md->properties, err));
    ib_table *head = ib_table_ref(base);
    fz_status st = FZ_OK;
    if (c->ops->queue_lock)
        st = c->ops->queue_lock(c, id, retry_queue_ms(&r), &token, err);
    if (st == FZ_OK || st == FZ_BUSY)
        for (;;) {
            bool lost = false;
            st = attempt(c, id, base->md->table_uuid, fn, ctx, m, &head, &lost, err);
            if (!lost)
                break;
            if (!retry_wait(&r, j)) {
                if (j && job_stopped(j))
                    st = error_set(err, FZ_CANCELLED, "cancelled");
                else
                    retry_gave_up(&r, err);
                break;
            }
        }
    if (token)
        c->ops->queue_unlock(c, token);
    if (st == FZ_OK && out)
        *out = head;
    else
        ib_table_unref(head);
    return st;
}
