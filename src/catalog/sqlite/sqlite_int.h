/*
 * sqlite_int.h: the parts of the embedded catalog among themselves.
 *
 * Two connections: reads never wait for a commit's sync. Each is guarded by its mutex; the writer's is
 * opened by the first write. Functions named sq_… take the lock they need unless they say otherwise.
 */
#ifndef CATALOG_SQLITE_INT_H
#define CATALOG_SQLITE_INT_H

#include "catalog/sql/sql_catalog.h"
#include "catalog/sqlite/sqlite_catalog.h"

#include <pthread.h>
#include <sqlite3.h>
#include <sys/stat.h>

/* Behind the catalog's own statements. */
enum { SQ_BEGIN = SQL_STMTS_, SQ_COMMIT, SQ_ROLLBACK, SQ_STMTS_ };

typedef struct sq_conn {
    sqlite3 *db; /* NULL: not open */
    sqlite3_stmt *stmt[SQ_STMTS_];
    int64_t wait_from_ms; /* of the busy handler */
    int64_t busy_ms;
    pthread_mutex_t lock;
} sq_conn;

typedef struct sq_catalog {
    sql_catalog sql; /* its place is the lake */
    logger *log;
    char *lake;      /* absolute, without a slash at its end; of a database by its path: its folder */
    char *db_path;
    bool immutable;  /* the folder can't be written to and there is no log: SQLite reads without locks */
    bool network;    /* a file system shared with other machines: rollback journal, no queue */
    struct stat seen; /* the file as `read` was opened; only where immutable */
    arena mem;       /* the strings above, and those of sql */
    sq_conn read, write;
} sq_catalog;

static inline sq_catalog *sq_of(sql_catalog *c) { return (sq_catalog *)c; }

/* ---- conn.c ---- */
/* Where the file itself doesn't say what it is: FZ_NOT_FOUND where the catalog's tables are missing. */
fz_status sq_conn_open(sq_catalog *c, sq_conn *k, bool write, bool create, fz_error *err);
void sq_conn_close(sq_conn *k);
/* SQLITE_ROW or SQLITE_DONE in *rc. */
fz_status sq_step(sq_catalog *c, sq_conn *k, sqlite3_stmt *s, int *rc, fz_error *err);
fz_status sq_fail(sq_catalog *c, sqlite3 *db, int rc, const char *what, fz_error *err);
/* Retries BUSY until the time limit is over. */
fz_status sq_exec(sq_catalog *c, sq_conn *k, const char *sql, fz_error *err);
str sq_column(sqlite3_stmt *s, int i);
extern const sql_db_ops sq_db;

/* ---- lake.c ---- */
fz_status sq_lake_find(sq_catalog *c, const sqlite_catalog_options *o, bool *create, fz_error *err);
fz_status sq_file_find(sq_catalog *c, const sqlite_catalog_options *o, bool *create, fz_error *err);
fz_status sq_name_find(sq_catalog *c, const char *wanted, fz_error *err);
/* FZ_INVALID if the location lies outside the lake while the lake holds its file: it was moved or copied. */
fz_status sq_moved_check(sql_catalog *b, ib_ident id, const char *location, fz_error *err);

#endif
