/*
 * transaction.h: several changes of several tables that become one commit.
 *
 * A table is pinned when the transaction names it first: `base` is what the catalog had, `now` what the transaction makes of it. Each change is a
 * STEP, worked out on `now` as a single commit would be on the newest state: metadata that differs by updates (change.h), or a snapshot whose
 * manifests and list are written, and nothing is committed (snapshot.h, the steps alone). The next statement sees it.
 *
 *   pin ──> change, write, create … ──> commit ──> end(OK)         tables have moved, all at once
 *                  │                      └──────> end(failure)    everything that was written is removed
 *                  └─────────────────────────────> end(CANCELLED)  rolled back: likewise
 *
 * COMMIT sends all tables' requirements and updates in one commit of the catalog. Where somebody else has committed to a table
 * meanwhile, its steps are taken again on the newest state, in their order: data files and the manifests of added files stay as they are,
 * lists are written anew. A step that can't be taken there is FZ_CONFLICT, as is one that replaces rows where the rows have changed: the
 * transaction has not seen them. Attempts follow commit.retry.* of the first table.
 *
 * A step's owner keeps what the step points to (statement, data files) and is told the outcome once, in ib_tx_end, in the order of
 * the steps.
 */
#ifndef ICEBERG_TRANSACTION_H
#define ICEBERG_TRANSACTION_H

#include "iceberg/update/change.h"
#include "iceberg/update/snapshot.h"

typedef struct ib_tx ib_tx;
typedef struct ib_tx_owner { void (*done)(void *ctx, fz_status outcome); void *ctx; } ib_tx_owner;

fz_status ib_tx_new(mem *m, ib_tx **out, fz_error *err);
/* Rolls back unless it was committed: outcome FZ_OK; FZ_UNKNOWN: all files stay. Frees it; NULL allowed. */
void ib_tx_end(ib_tx *x, fz_status outcome);

/* The transaction's state of a table; *out receives a reference, NULL where there is none. False: it wasn't named yet. */
bool ib_tx_find(const ib_tx *x, ib_ident id, ib_table **out);
/* Names it. `base` (referenced here) NULL: the catalog has no such table. */
fz_status ib_tx_pin(ib_tx *x, ib_ident id, ib_table *base, fz_error *err);
/* Whether there are steps. Without any, pins can be forgotten. */
bool ib_tx_changed(const ib_tx *x);
void ib_tx_forget(ib_tx *x);
/* The n-th table that the transaction makes; false: there are fewer. */
bool ib_tx_created(const ib_tx *x, uint32_t n, ib_ident *out);
bool ib_tx_makes(const ib_tx *x, ib_ident id); /* whether that is one of them */

/* Steps. On failure nothing was done. *kept: the owner is the transaction's now; it isn't where the step failed or changes nothing. The table
 * must have been found or pinned. */
fz_status ib_tx_create(ib_tx *x, ib_ident id, ib_metadata *md, fz_error *err); /* FZ_EXISTS */
fz_status ib_tx_drop(ib_tx *x, ib_ident id, fz_error *err);                    /* what the transaction did to it is taken back */
fz_status ib_tx_change(ib_tx *x, ib_ident id, ib_change_fn fn, void *ctx, ib_tx_owner owner, bool *kept,
                       fz_error *err);
/* *w is copied; what it points to is the owner's. */
fz_status ib_tx_write(ib_tx *x, ib_ident id, const ib_write *w, ib_tx_owner owner, bool *kept, fz_error *err);

/* Commits; `committed` is called with each table's new state, NULL where it is dropped. Whatever the outcome: ib_tx_end with it comes next.
 * Conflicts have SQLSTATE 40001. */
fz_status ib_tx_commit(ib_tx *x, ib_catalog *c, void (*committed)(void *ctx, ib_ident id, ib_table *t), void *ctx, fz_error *err);

#endif
