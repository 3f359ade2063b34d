/*
 * change.h: commits that touch no rows: a function says what to change on the newest state of the table, and is asked
 * again on a newer one after each conflict.
 */
#ifndef ICEBERG_CHANGE_H
#define ICEBERG_CHANGE_H

#include "base/task.h"
#include "iceberg/catalog.h"

/* Requirements and updates that grow in an arena. */
typedef struct ib_change {
    arena *a;
    uint32_t n_requirements, cap_requirements;
    ib_requirement *requirements;
    uint32_t n_updates, cap_updates;
    ib_update *updates;
} ib_change;

fz_status ib_change_require(ib_change *c, ib_requirement r, fz_error *err); /* once, where it is there already */
fz_status ib_change_update(ib_change *c, ib_update u, fz_error *err);

/* Fills `out` for the state t; everything it points to lies in out->a or outlives the commit. No updates: nothing is to be done. */
typedef fz_status (*ib_change_fn)(void *ctx, const ib_table *t, ib_change *out, fz_error *err);

/* base (not NULL): the table as the caller knows it; another one under its name is FZ_CONFLICT. *out receives a reference to the
 * state afterwards. Waiting and retries as for rows (snapshot.h). j may be NULL. */
fz_status ib_change_commit(ib_catalog *c, ib_ident id, ib_table *base, ib_change_fn fn, void *ctx, const job *j, mem *m,
                           ib_table **out, fz_error *err);

#endif
