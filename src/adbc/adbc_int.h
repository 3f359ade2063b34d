/*
 * adbc_int.h: the driver's handles and what its parts share.
 *
 *   AdbcDatabase    ── database   options until DatabaseInit, then a lake
 *   AdbcConnection  ── conn       options until ConnectionInit, then a session; counted: open streams of rows hold it too
 *   AdbcStatement   ── stmt       text or ingest target, bound data; holds its conn
 *
 * A session takes one call at a time. Everything that uses a conn's session holds its lock, reading a stream of rows too; cancelling
 * doesn't. So several statements of a connection can be open at once, on several threads, and take turns.
 *
 * AUTOCOMMIT. Switched off, the first statement after it, after a commit or a rollback begins a transaction (conn_begin).
 *
 * Handles, texts and errors are on the C library's heap: they go to other programs, whose release comes when the runtime may be gone.
 */
#ifndef ADBC_INT_H
#define ADBC_INT_H

#include "adbc/build.h"

#include <frazil/adbc_abi.h>
#include <frazil/frazil.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

typedef AdbcStatusCode status;

/* ---- errors (error.c) ---- */

/* Fills err (may be NULL) and returns the status. */
status fail(struct AdbcError *err, status code, const char *sqlstate, const char *fmt, ...) __attribute__((format(printf, 4, 5)));
status fail_fz(struct AdbcError *err, const fz_error *e);
status fail_nomem(struct AdbcError *err);
status fail_state(struct AdbcError *err, const char *message); /* INVALID_STATE */
status status_of(const fz_error *e);
void error_clear(struct AdbcError *err); /* what an earlier call left */
int adbc_error_details(const struct AdbcError *err);
struct AdbcErrorDetail adbc_error_detail(const struct AdbcError *err, int index);

/* ---- options (option.c) ---- */

typedef struct option { char *key, *value; } option;
typedef struct options { size_t n, cap; option *at; } options;
/* Sets or replaces; value NULL: removes. False: no memory. */
bool options_set(options *o, const char *key, const char *value);
const char *options_get(const options *o, const char *key); /* NULL: not set */
void options_free(options *o);
/* Hands a value out as the getters of texts do: *length is the buffer's size, and the value's (with its NUL) afterwards. */
status option_out(const char *value, char *buffer, size_t *length, struct AdbcError *err);
/* "true" and "false"; another one is INVALID_ARGUMENT. */
status option_bool(const char *key, const char *value, bool *out, struct AdbcError *err);
status option_unknown(const char *key, struct AdbcError *err);      /* on setting: NOT_IMPLEMENTED */
status option_not_found(const char *key, struct AdbcError *err);    /* on getting: NOT_FOUND */
/* The typed ones, by way of texts. */
status option_to_int(const char *key, const char *text, int64_t *out, struct AdbcError *err);
status option_to_double(const char *key, const char *text, double *out, struct AdbcError *err);

/* ---- databases (database.c) ---- */

typedef struct database {
    options given;
    fz_lake *lake; /* NULL before DatabaseInit */
} database;

status database_new(struct AdbcDatabase *, struct AdbcError *);
status database_init(struct AdbcDatabase *, struct AdbcError *);
status database_release(struct AdbcDatabase *, struct AdbcError *);
status database_set(struct AdbcDatabase *, const char *, const char *, struct AdbcError *);
status database_get(struct AdbcDatabase *, const char *, char *, size_t *, struct AdbcError *);

/* ---- connections (connection.c) ---- */

typedef struct conn {
    _Atomic int refs;
    options given;          /* before ConnectionInit */
    fz_session *s;          /* NULL before ConnectionInit */
    char *catalog;          /* the lake's one, by name */
    bool manual;            /* autocommit is off */
    pthread_mutex_t lock;
    struct ArrowArrayStream *offer; /* what the name OFFERED means in the statement that runs; NULL: nothing */
} conn;

/* The table that bound data is, for the statement that takes it. */
#define OFFERED "adbc bound data"

conn *conn_ref(conn *l);
void conn_unref(conn *l);
/* Whether the connection can be used. */
status conn_open(const struct AdbcConnection *c, conn **out, struct AdbcError *err);
/* With the lock held: begins the transaction that a statement runs in where autocommit is off. */
status conn_begin(conn *l, struct AdbcError *err);
/* With the lock held: whether the table that `select` reads exists. A transaction doesn't fail by it. */
status conn_exists(conn *l, const char *select, bool *out, struct AdbcError *err);
/* With the lock held: a statement that the driver has written, which reads what is bound (`in`, taken if it is read) as the table OFFERED. */
status conn_run_offered(conn *l, const char *sql, struct ArrowArrayStream *in, int64_t *rows, struct AdbcError *err);
/* With the lock held: one statement, whose rows (if it has some) are in *out. */
status conn_run(conn *l, const char *sql, const fz_params *params, fz_result **out, struct AdbcError *err);

status connection_new(struct AdbcConnection *, struct AdbcError *);
status connection_init(struct AdbcConnection *, struct AdbcDatabase *, struct AdbcError *);
status connection_release(struct AdbcConnection *, struct AdbcError *);
status connection_set(struct AdbcConnection *, const char *, const char *, struct AdbcError *);
status connection_get(struct AdbcConnection *, const char *, char *, size_t *, struct AdbcError *);
status connection_commit(struct AdbcConnection *, struct AdbcError *);
status connection_rollback(struct AdbcConnection *, struct AdbcError *);
status connection_cancel(struct AdbcConnection *, struct AdbcError *);

/* ---- rows as streams (stream.c) ---- */

/* Takes r, also on failure; the stream holds the conn. The lock is held by the caller. */
status stream_of_result(conn *l, fz_result *r, struct ArrowArrayStream *out, struct AdbcError *err);
const struct AdbcError *stream_failure(struct ArrowArrayStream *s, status *code);

const struct AdbcError *many_failure(struct ArrowArrayStream *s, status *code); /* bound.c's streams */

/* Texts of a small result, row by row: SHOW and DESCRIBE have nothing else, and counts are cast to text. */
typedef struct texts { uint32_t ncols; size_t nrows; char **cells; /* row-major; NULL: null */ } texts;
/* With the lock held. No transaction begins by it. */
status conn_texts(conn *l, const char *sql, texts *out, struct AdbcError *err);
void texts_free(texts *t);

/* A text that grows; failed once there was no memory. */
typedef struct text { char *p; size_t n, cap; bool failed; } text;
void text_add(text *t, const char *z);
void text_ident(text *t, const char *name);   /* in double quotes */
void text_literal(text *t, const char *value); /* in single quotes */
void text_table(text *t, const char *catalog, const char *schema, const char *name); /* those that aren't NULL or empty, a dot between them */

/* ---- metadata ---- */

status connection_info(struct AdbcConnection *, const uint32_t *, size_t, struct ArrowArrayStream *, struct AdbcError *);
status connection_table_types(struct AdbcConnection *, struct ArrowArrayStream *, struct AdbcError *);
status connection_table_schema(struct AdbcConnection *, const char *, const char *, const char *, struct ArrowSchema *, struct AdbcError *);
status connection_objects(struct AdbcConnection *, int, const char *, const char *, const char *, const char **, const char *,
                          struct ArrowArrayStream *, struct AdbcError *);
status connection_statistics(struct AdbcConnection *, const char *, const char *, const char *, char, struct ArrowArrayStream *,
                             struct AdbcError *);
status connection_statistic_names(struct AdbcConnection *, struct ArrowArrayStream *, struct AdbcError *);
/* Whether a name is LIKE the pattern (% and _); NULL matches all. */
bool name_like(const char *name, const char *pattern);

/* How many parts ExecutePartitions makes at most. */
#define PARTITIONS_OPTION "frazil.partitions"

/* ---- statements (statement.c, bound.c, ingest.c, partition.c) ---- */

typedef struct stmt {
    conn *l;
    char *sql;                      /* NULL: none, or an ingest */
    bool prepared;
    struct ArrowArrayStream bound;  /* release NULL: nothing is bound */
    char *target, *target_catalog, *target_schema;
    const char *mode;               /* ADBC_INGEST_OPTION_MODE_… */
    bool temporary;
    int64_t max_parts;              /* of ExecutePartitions */
} stmt;

status stmt_new(struct AdbcConnection *, struct AdbcStatement *, struct AdbcError *);
status stmt_release(struct AdbcStatement *, struct AdbcError *);
status stmt_set_sql(struct AdbcStatement *, const char *, struct AdbcError *);
status stmt_set_substrait(struct AdbcStatement *, const uint8_t *, size_t, struct AdbcError *);
status stmt_prepare(struct AdbcStatement *, struct AdbcError *);
status stmt_bind(struct AdbcStatement *, struct ArrowArray *, struct ArrowSchema *, struct AdbcError *);
status stmt_bind_stream(struct AdbcStatement *, struct ArrowArrayStream *, struct AdbcError *);
status stmt_execute(struct AdbcStatement *, struct ArrowArrayStream *, int64_t *, struct AdbcError *);
status stmt_execute_schema(struct AdbcStatement *, struct ArrowSchema *, struct AdbcError *);
status stmt_parameters(struct AdbcStatement *, struct ArrowSchema *, struct AdbcError *);
status stmt_partitions(struct AdbcStatement *, struct ArrowSchema *, struct AdbcPartitions *, int64_t *, struct AdbcError *);
status stmt_cancel(struct AdbcStatement *, struct AdbcError *);
status stmt_set(struct AdbcStatement *, const char *, const char *, struct AdbcError *);
status stmt_get(struct AdbcStatement *, const char *, char *, size_t *, struct AdbcError *);
status stmt_get_double(struct AdbcStatement *, const char *, double *, struct AdbcError *);
status connection_read_partition(struct AdbcConnection *, const uint8_t *, size_t, struct ArrowArrayStream *, struct AdbcError *);

/* The statement once for each row of what is bound, which is taken; the lock is held. *out (may be NULL) receives the rows of all of them, one
 * after the other. */
status run_bound(stmt *x, struct ArrowArrayStream *out, int64_t *rows, struct AdbcError *err);
/* What is bound goes into the target; the lock is held. */
status run_ingest(stmt *x, int64_t *rows, struct AdbcError *err);

#endif
