/*
 * transaction.h: transactions of a session, over iceberg/update/transaction.h.
 *
 *   BEGIN ──> open ──a statement fails──> failed
 *               │                            │
 *     COMMIT, ROLLBACK               COMMIT, ROLLBACK: rolls back
 *               v                            v
 *              none                         none
 *
 * While one is open, tables are found through session_table, which pins each when it is first named; what a statement would
 * commit becomes a step instead: write.c and alter.c ask s->tx. A step keeps its statement (syntax tree, plan memory) and its
 * table writer until the end, when data files are handed to the table or removed.
 *
 * Isolation is that of snapshots: reads see one state of each table, from when it was first named. What was read isn't checked
 * at COMMIT.
 *
 * It changes tables of one catalog: two can't commit at once.
 *
 * What can't be part of it (namespaces, DROP TABLE PURGE, RENAME TO, CALL) goes through transaction_outside: it takes effect at once, as long as the
 * transaction has changed nothing.
 */
#ifndef ENGINE_TRANSACTION_H
#define ENGINE_TRANSACTION_H

#include "engine/engine_int.h"
#include "engine/table_writer.h"
#include "iceberg/update/transaction.h"

/* BEGIN, COMMIT, ROLLBACK. Takes st. */
fz_status run_transaction(statement *st, fz_result **out, fz_error *err);
/* Before a statement: FZ_INVALID (25P02) where the transaction has failed, unless the statement ends it. ast NULL: a load. */
fz_status transaction_check(const fz_session *s, const ast_stmt *ast, fz_error *err);
/* After a statement has failed. */
void transaction_failed(fz_session *s);
/* When the session closes. */
void transaction_drop(fz_session *s);
/* Before a statement that can't be part of a transaction: 25001 where it has changes; its pins are forgotten. */
fz_status transaction_outside(fz_session *s, const char *what, fz_error *err);

/* The state of a table that the session sees; one reference. FZ_NOT_FOUND. */
fz_status session_table(fz_session *s, ib_ident id, ib_table **out, fz_error *err);
/* The names of tables of a namespace that the transaction makes are added to those of the catalog, those that it drops are left out; in the
 * arena. */
fz_status transaction_tables(const fz_session *s, const fz_lake *l, str ns, arena *a, uint32_t *n, ib_ident **tables, fz_error *err);

/* Instead of a commit. `w` is finished; on success the transaction keeps it and the statement. */
fz_status transaction_write(statement *st, const write_target *t, const ib_write *iw, table_writer *w, fz_error *err);
/* `fn` gets the statement; on success the transaction keeps it. */
fz_status transaction_change(statement *st, ib_ident id, ib_change_fn fn, fz_error *err);
fz_status transaction_create(statement *st, ib_ident id, ib_metadata *md, fz_error *err);
fz_status transaction_drop_table(statement *st, ib_ident id, fz_error *err);

#endif
