/*
 * sqlite_int.h: the parts of the embedded catalog among themselves.
 *
 * Two connections: reads never wait for a commit's sync. Each is guarded by its mutex; the writer's is
 * opened by the first write. Functions named sq_… take the lock they need unless they say otherwise.
 */
#ifndef CATALOG_SQLITE_INT_H
#define CATALOG_SQLITE_INT_H

#include "catalog/sqlite/sqlite_catalog.h"

#include <pthread.h>
#include <sqlite3.h>
#include <sys/stat.h>

typedef enum sq_stmt {
    SQ_LOAD, SQ_EXISTS, SQ_INSERT, SQ_SWAP, SQ_DELETE, SQ_RENAME, SQ_NS_EXISTS, SQ_NS_INSERT, SQ_NS_DELETE,
    SQ_NS_PROPS, SQ_NS_LIST, SQ_TABLES, SQ_BEGIN, SQ_COMMIT, SQ_ROLLBACK, SQ_STMTS_,
} sq_stmt;

typedef struct sq_conn {
    sqlite3 *db; /* NULL: not open */
    sqlite3_stmt *stmt[SQ_STMTS_];
    int64_t wait_from_ms; /* of the busy handler */
    int64_t busy_ms;
    pthread_mutex_t lock;
} sq_conn;

typedef struct sq_catalog {
    ib_catalog base;
    logger *log;
    char *lake;      /* absolute, without a slash at its end */
    char *db_path;
    char *name;      /* catalog_name of the rows */
    int64_t busy_ms;
    bool read_only;
    bool immutable;  /* the folder can't be written to and there is no log: SQLite reads without locks */
    bool network;    /* a file system shared with other machines: rollback journal, no queue */
    bool typed;      /* iceberg_tables has iceberg_type */
    struct stat seen; /* the file as `read` was opened; only where immutable */
    arena mem;       /* the strings above */
    sq_conn read, write;
} sq_catalog;

static inline sq_catalog *sq_of(ib_catalog *c) { return (sq_catalog *)c; }

/* ---- conn.c ---- */
/* Where the file itself doesn't say what it is: FZ_NOT_FOUND where the catalog's tables are missing. */
fz_status sq_conn_open(sq_catalog *c, sq_conn *k, bool write, bool create, fz_error *err);
void sq_conn_close(sq_conn *k);
/* Locks the connection for reading (opened again where an immutable file was replaced). */
fz_status sq_read_begin(sq_catalog *c, fz_error *err);
void sq_read_end(sq_catalog *c);
/* The prepared statement, reset, with the strings bound from parameter 1 on. Connection locked. */
fz_status sq_bind(sq_catalog *c, sq_conn *k, sq_stmt id, uint32_t n, const str *args, sqlite3_stmt **out, fz_error *err);
/* SQLITE_ROW or SQLITE_DONE in *rc. */
fz_status sq_step(sq_catalog *c, sq_conn *k, sqlite3_stmt *s, int *rc, fz_error *err);
/* Runs a statement that gives no rows; *changed may be NULL. */
fz_status sq_run(sq_catalog *c, sq_conn *k, sq_stmt id, uint32_t n, const str *args, int *changed, fz_error *err);
fz_status sq_fail(sq_catalog *c, sqlite3 *db, int rc, const char *what, fz_error *err);
/* Retries BUSY until the time limit is over. */
fz_status sq_exec(sq_catalog *c, sq_conn *k, const char *sql, fz_error *err);
str sq_column(sqlite3_stmt *s, int i);
/* One write transaction around `body`, which runs with the writer's connection locked. *unknown is set
 * where the commit itself failed in a way that leaves open whether it happened. */
fz_status sq_transaction(sq_catalog *c, fz_status (*body)(sq_catalog *c, void *ctx, fz_error *err), void *ctx,
                         bool *unknown, fz_error *err);

/* ---- lake.c ---- */
fz_status sq_lake_find(sq_catalog *c, const sqlite_catalog_options *o, bool *create, fz_error *err);
fz_status sq_name_find(sq_catalog *c, const char *wanted, fz_error *err);
/* FZ_INVALID if the location lies outside the lake while the lake holds its file: it was moved or copied. */
fz_status sq_moved_check(sq_catalog *c, ib_ident id, const char *location, fz_error *err);
fz_status sq_default_location(ib_catalog *b, ib_ident id, arena *a, str *out, fz_error *err);

/* ---- names.c ---- */
fz_status sq_list_namespaces(ib_catalog *b, str parent, arena *a, uint32_t *n, str **out, fz_error *err);
fz_status sq_namespace_exists(ib_catalog *b, str ns, bool *out, fz_error *err);
fz_status sq_create_namespace(ib_catalog *b, str ns, const ib_props *props, fz_error *err);
fz_status sq_drop_namespace(ib_catalog *b, str ns, fz_error *err);
fz_status sq_namespace_props(ib_catalog *b, str ns, arena *a, ib_props *out, fz_error *err);
fz_status sq_list_tables(ib_catalog *b, str ns, arena *a, uint32_t *n, ib_ident **out, fz_error *err);
fz_status sq_drop_table(ib_catalog *b, ib_ident id, fz_error *err);
fz_status sq_rename_table(ib_catalog *b, ib_ident from, ib_ident to, fz_error *err);
/* On a locked connection. */
fz_status sq_ns_exists_on(sq_catalog *c, sq_conn *k, str ns, bool *out, fz_error *err);
fz_status sq_no_table(ib_ident id, fz_error *err);
fz_status sq_no_namespace(str ns, fz_error *err);
fz_status sq_writable(sq_catalog *c, fz_error *err);

/* ---- commit.c ---- */
fz_status sq_load_table(ib_catalog *b, ib_ident id, ib_table *have, ib_table **out, fz_error *err);
fz_status sq_create_table(ib_catalog *b, ib_ident id, const ib_metadata *md, ib_table **out, fz_error *err);
fz_status sq_register_table(ib_catalog *b, ib_ident id, const char *location, ib_table **out, fz_error *err);
fz_status sq_commit(ib_catalog *b, uint32_t n, const ib_commit *commits, ib_table *const *base, ib_table **out,
                    fz_error *err);

#endif
