/*
 * frazil.h: Apache Iceberg tables inside your process: open a lake, run SQL, read Arrow.
 *
 *     #include <frazil/frazil.h>
 *     #include <stdio.h>
 *
 *     static int print(void *ctx, const char *text, size_t n) { return fwrite(text, 1, n, stdout) != n; }
 *
 *     int main(void)
 *     {
 *         fz_lake *lake; fz_session *s; fz_result *r; fz_error err;
 *         if (fz_lake_open(NULL, "lake", NULL, 0, &lake, &err) || fz_session_open(lake, &s, &err) ||
 *             fz_execute(s, "SELECT 6 * 7 AS answer", NULL, NULL, &r, &err) ||
 *             fz_result_text(r, FZ_TEXT_TABLE, NULL, print, NULL, &err))
 *             return fprintf(stderr, "%s\n", err.message), 1;
 *         fz_result_release(r); fz_session_close(s); fz_lake_close(lake);
 *     }
 *
 * Conventions. Functions that can fail return an fz_status and fill a nullable fz_error. Handles are
 * opaque; an out-parameter is set on success only. Strings are UTF-8 and end in NUL. The library prints
 * nothing, installs no signal handler and never exits.
 *
 * Threads. A runtime and a lake may be used from any number of threads at once. A session and its
 * results belong to one thread at a time, except fz_session_cancel and fz_session_progress, which any
 * thread (cancel: also a signal handler) may call while a statement runs.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FRAZIL_FRAZIL_H
#define FRAZIL_FRAZIL_H

#include <frazil/arrow_abi.h>
#include <frazil/error.h>
#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define FZ_API __attribute__((visibility("default")))
#else
#define FZ_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

typedef struct fz_runtime fz_runtime; /* threads, memory budget, caches */
typedef struct fz_lake fz_lake;       /* a catalog and the tables in it */
typedef struct fz_session fz_session; /* one user's statements: current namespace, settings */
typedef struct fz_result fz_result;   /* what one statement gave */

/* A setting by name; an unknown name is FZ_INVALID. value NULL: the default. */
typedef struct fz_option {
    const char *key;
    const char *value;
} fz_option;

/* The library's version, "MAJOR.MINOR.PATCH". Never fails. */
FZ_API const char *fz_version(void);

/* A status's name in lower case, as "not_found". Never fails. */
FZ_API const char *fz_status_name(fz_status status);

/* ---- runtime ---- */

/* An allocator. resize(ctx, p, old, new): p NULL allocates, new 0 frees and returns NULL; the result is
 * aligned to 16 bytes; NULL means no memory. Thread-safe. */
typedef struct fz_allocator {
    void *(*resize)(void *ctx, void *p, size_t old_size, size_t new_size);
    void *ctx;
} fz_allocator;

/*
 * Makes a runtime of its own. Most programs need none: where a function takes a runtime, NULL is the
 * process's default one, made at first use and shared by all.
 *
 * options: "threads" (workers, the calling thread included; default: the CPUs this process may use),
 * "memory-limit" (bytes, or with k, M, G; default: half of the machine's or the control group's),
 * "temp-dir" (for spilling; default $TMPDIR, else /var/tmp), "cache-dir" (for remote files; default $XDG_CACHE_HOME/frazil, else
 * ~/.cache/frazil; "none": nothing is kept), "cache-size" (default 4 GB). allocator NULL: the C library's.
 * Returns FZ_INVALID for an option that is unknown or malformed, FZ_NOMEM. Since 0.1.
 */
FZ_API fz_status fz_runtime_create(const fz_option *options, size_t n_options, const fz_allocator *allocator,
                                   fz_runtime **out, fz_error *err);
/* Gives the caller's reference back; the runtime goes with its last lake. NULL is allowed. */
FZ_API void fz_runtime_release(fz_runtime *rt);

/* Remote files that are kept on this machine: calls fn with each one's location, the bytes that are kept, its size, and when it was last
 * opened (Unix time in microseconds); fn returning non-zero stops (FZ_CANCELLED). rt may be NULL. Since 0.1. */
typedef int (*fz_cache_fn)(void *ctx, const char *location, int64_t bytes, int64_t size, int64_t used_us);
FZ_API fz_status fz_cache_list(fz_runtime *rt, fz_cache_fn fn, void *ctx, fz_error *err);
/* Removes them all; *bytes (may be NULL) receives how much that was. Since 0.1. */
FZ_API fz_status fz_cache_clear(fz_runtime *rt, int64_t *bytes, fz_error *err);
/* The folder they are in, or NULL. Lives as long as rt. */
FZ_API const char *fz_cache_dir(const fz_runtime *rt);

/* ---- lakes and sessions ---- */

/*
 * Opens a lake: the one in a directory, or a catalog by its name. An empty or missing directory is a lake without tables; it is
 * written to by the first statement that writes.
 *
 * location: the directory; NULL: the option "catalog", else $FRAZIL_LAKE (a directory), $FRAZIL_CATALOG (a name), the configured default
 * catalog, "lake" in the current directory, the first of these that is there.
 *
 * options: "catalog" (a catalog that .pyiceberg.yaml or PYICEBERG_CATALOG__<NAME>__<KEY> configures), "set" ("key=value", repeatable: a property of
 * the catalog, above the configured ones; "key=@file" and "key=env:NAME" read a secret from there), "catalog-name" (which catalog's rows of catalog.db
 * to use), "read-only" ("true"), "lock-timeout-ms" (how long a commit waits for the catalog; default 60000).
 * Returns FZ_INVALID (a directory with other content; option; configuration), FZ_NOT_FOUND (no such catalog), FZ_UNSUPPORTED (its type), FZ_IO, FZ_NOMEM.
 * The lake holds a reference to its runtime. Since 0.1.
 */
FZ_API fz_status fz_lake_open(fz_runtime *rt, const char *location, const fz_option *options, size_t n_options,
                              fz_lake **out, fz_error *err);
/* Gives the caller's reference back; sessions keep theirs. NULL is allowed. */
FZ_API void fz_lake_close(fz_lake *lake);

/* One setting: catalog ("" for what concerns none), key, value (secrets masked), where it came from, a note (or ""). Valid for the call;
 * non-zero stops (FZ_CANCELLED). */
typedef int (*fz_setting_fn)(void *ctx, const char *catalog, const char *key, const char *value, const char *origin, const char *note);
/*
 * What is configured, with location and options as fz_lake_open takes them: the configuration file, which lake would be opened and why, the
 * settings of every configured catalog and of the one that is opened. Nothing is connected to. FZ_INVALID with file, line and column for a
 * configuration that can't be read. Since 0.1.
 */
FZ_API fz_status fz_config_list(const char *location, const fz_option *options, size_t n_options, fz_setting_fn fn, void *ctx, fz_error *err);
/* Connects to that lake and tries it out, writing nothing to it: a line of text for each step that went well; the first failure is returned, with a
 * hint about what to correct. Since 0.1. */
FZ_API fz_status fz_config_check(const char *location, const fz_option *options, size_t n_options,
                                 int (*write)(void *ctx, const char *text, size_t n), void *ctx, fz_error *err);

/* A session on a lake; its current namespace is "default". Since 0.1. */
FZ_API fz_status fz_session_open(fz_lake *lake, fz_session **out, fz_error *err);
/* Results must have been released. NULL is allowed. */
FZ_API void fz_session_close(fz_session *s);

/* Called with each notice of a statement (a type that was widened, a column filled with NULL, …), from the thread that
 * runs the statement or a worker, one call at a time. */
typedef void (*fz_notice_fn)(void *ctx, const char *message);
FZ_API void fz_session_on_notice(fz_session *s, fz_notice_fn fn, void *ctx);

/*
 * Rows of the program's own as tables of a statement. `fn` is asked for each unqualified name in FROM that no table of the lake has (a
 * table wins): it fills *out with a stream, which the statement releases, or returns FZ_NOT_FOUND, or another status with err filled,
 * which fails the statement. It is called during fz_execute, in the thread that runs it, once per place where the name stands, and once
 * more where the statement has to start again (a CSV file whose types had to be widened). `name` is as written, without quotes. The
 * stream's get_schema and first get_next are called at once; later ones from any thread, one call at a time, while the statement runs or its
 * result is read; what they fail with becomes the statement's error. Arrays are read where they lie. fn NULL: none. Since 0.1.
 */
typedef fz_status (*fz_table_fn)(void *ctx, const char *name, struct ArrowArrayStream *out, fz_error *err);
FZ_API void fz_session_on_unknown_table(fz_session *s, fz_table_fn fn, void *ctx);

/* Stops the running statement: it returns FZ_CANCELLED soon and leaves nothing behind. Async-signal-safe. */
FZ_API void fz_session_cancel(fz_session *s);

/* How far the running statement is. Counts start at 0 with each statement. */
typedef struct fz_progress {
    int64_t bytes_done;  /* of the input files */
    int64_t bytes_total; /* 0: unknown */
    int64_t rows_done;
} fz_progress;
FZ_API void fz_session_progress(fz_session *s, fz_progress *out);

/* ---- statements ---- */

/* Positional parameters ($1, …) of a statement as one row of Arrow data: a struct array of length 1. */
typedef struct fz_params {
    struct ArrowSchema *schema; /* released by the callee */
    struct ArrowArray *row;     /* released by the callee */
} fz_params;

/*
 * Runs the first statement of `sql`. *rest (may be NULL) receives the text after it, NULL when nothing but
 * white space, comments and semicolons is left; call again with it for a script. params may be NULL.
 *
 * A SELECT is started, and computed while its result is read; everything else is complete on return. The
 * statement sees each table as it was when it started. *out is NULL if `sql` holds no statement. On failure err has line and column within `sql` where the
 * statement's text is at fault. The result is released with fz_result_release. Since 0.1.
 */
FZ_API fz_status fz_execute(fz_session *s, const char *sql, const char **rest, const fz_params *params,
                            fz_result **out, fz_error *err);

/*
 * What the first statement of `sql` gives and takes, without running it. given: a struct schema with the types of values that are to be bound (stays
 * the caller's), or NULL: they follow from where the parameters stand. *columns: the columns of its rows, none where it gives no
 * rows; *params: its parameters, named "1", "2", …, with the types that they are converted to, the null type where any will do. Either may be
 * NULL, and is released by the caller. A transaction doesn't fail by it. Fails as the statement would when it is bound. Since 0.2.
 */
FZ_API fz_status fz_describe(fz_session *s, const char *sql, const struct ArrowSchema *given, struct ArrowSchema *columns,
                             struct ArrowSchema *params, fz_error *err);

/*
 * Transactions. BEGIN [TRANSACTION | WORK] begins one, COMMIT and ROLLBACK end it. In it every table stays as it was when it was first
 * named, with the transaction's own changes; others see these at COMMIT, all at once. A table that others changed meanwhile: rows that were
 * appended are appended to its new state, changes of columns are made to it if they still can be, anything else fails with FZ_CONFLICT (40001),
 * and all is rolled back. After a statement has failed only ROLLBACK (or COMMIT, which rolls back) is possible (25P02). A session that is
 * closed rolls back. CREATE SCHEMA, DROP SCHEMA, DROP TABLE PURGE, RENAME TO and CALL aren't part of a transaction: they take effect at once,
 * and are refused once it has changed a table (25001).
 * Returns 0 outside a transaction, 1 inside, 2 inside one that has failed. Since 0.2.
 */
FZ_API int fz_session_transaction(const fz_session *s);

/* Whether the statement gives rows (SELECT, SHOW, DESCRIBE, EXPLAIN, …). */
FZ_API int fz_result_has_rows(const fz_result *r);
/* Rows written by a statement that has none ("INSERT"), or -1. */
FZ_API int64_t fz_result_rows_affected(const fz_result *r);
/* A word or two on what was done: "SELECT", "INSERT", "CREATE TABLE". Lives as long as the result. */
FZ_API const char *fz_result_tag(const fz_result *r);

/* The columns: a struct schema. The caller releases it. */
FZ_API fz_status fz_result_schema(fz_result *r, struct ArrowSchema *out, fz_error *err);
/* The next rows; out->release is NULL at the end. The caller releases the array; it outlives the result. */
FZ_API fz_status fz_result_next(fz_result *r, struct ArrowArray *out, fz_error *err);
/* Moves the result into an Arrow stream, whose release releases it; r must not be used afterwards. */
FZ_API fz_status fz_result_stream(fz_result *r, struct ArrowArrayStream *out, fz_error *err);
/* Cancels what still runs. NULL is allowed. */
FZ_API void fz_result_release(fz_result *r);

typedef enum fz_text_format { FZ_TEXT_TABLE, FZ_TEXT_CSV, FZ_TEXT_JSON } fz_text_format;
typedef struct fz_text_options {
    int width;        /* columns of the terminal; 0: no limit (TABLE) */
    int64_t max_rows; /* rows shown, the first and last halves; 0: all (TABLE) */
} fz_text_options;
/* Receives text; non-zero stops (the call then returns FZ_CANCELLED). */
typedef int (*fz_write_fn)(void *ctx, const char *text, size_t n);
/*
 * Writes the rest of the rows as text: an aligned table with types and row count; CSV with a header line
 * (NULL is empty, an empty string ""), lines ending in LF; or JSON, one object a line. options may be NULL. Since 0.1.
 */
FZ_API fz_status fz_result_text(fz_result *r, fz_text_format format, const fz_text_options *options,
                                fz_write_fn write, void *ctx, fz_error *err);

/* ---- one query by several processes ---- */

/*
 * Makes partitions of a query: texts, each of which fz_execute_partition runs on any session of a lake with the same catalog, in any
 * process. The rows of all partitions together are the query's, in no order. A partition pins the tables' snapshots and what now() is, so all of them see
 * the same state whenever they run, as long as the snapshots haven't expired (then FZ_CONFLICT). A query that only filters and computes
 * over one large table is split, into at_most parts at most; any other is one partition. `each` gets them one by one. columns (may be
 * NULL): as of fz_describe. FZ_UNSUPPORTED: another statement than a query, parameters, a transaction. Since 0.2.
 */
FZ_API fz_status fz_partition(fz_session *s, const char *sql, uint32_t at_most, fz_write_fn each, void *ctx,
                              struct ArrowSchema *columns, fz_error *err);
FZ_API fz_status fz_execute_partition(fz_session *s, const char *partition, size_t size, fz_result **out, fz_error *err);

/* ---- loading files ---- */

/*
 * Loads files into a table, as one commit; the table and its namespace are created where they are missing.
 *
 * files: paths; "-" is standard input. All have one format. table: "name", "namespace.name".
 * options (a key may be repeated where it says so):
 *   "source-format"  csv, parquet; default: by extension, else content
 *   "source-set"     key=value: a setting of where the files are, as s3.endpoint=…, instead of the catalog's (repeatable)
 *   "anonymous"      true: the files are read without credentials
 *   "compression"    none, gzip, zstd; default: by content
 *   "replace"        true: the rows replace what the table held
 *   "branch"         the branch of the table that the rows go to
 *   "partition-by"   transforms, as "month(ts), bucket(16, id)"; only where the table is created
 *   "property"       key=value of the new table (repeatable)
 *   "types"          column:type (repeatable; several separated by commas)
 *   "dry-run"        true: infer only; the result has a row per column
 *   "add-columns"    true: columns that the table lacks are added
 *   "strict", "on-error" (fail, skip), "reject-file", "spool-limit", "sample-bytes"
 *   "delimiter", "quote", "escape", "comment", "header" (true, false), "null" (repeatable), "decimal"
 * The result's rows_affected is the number of rows loaded. Nothing is committed on failure. Since 0.1.
 */
FZ_API fz_status fz_load(fz_session *s, const char *const *files, size_t n_files, const char *table,
                         const fz_option *options, size_t n_options, fz_result **out, fz_error *err);

/* What a table is made of, as rows of (section, name, value): schema, partitioning, snapshots, files,
 * properties. Since 0.1. */
FZ_API fz_status fz_inspect(fz_session *s, const char *table, fz_result **out, fz_error *err);

/* ---- the catalog as data ---- */

/*
 * Answers a request of the Iceberg REST protocol (open-API file of Iceberg 1.11) in the process, whatever catalog the lake has. path:
 * what follows /v1/{prefix}/, its parts percent-encoded, the levels of a namespace joined by %1F; body: the request's JSON, or NULL.
 *
 *   GET, POST namespaces              GET, HEAD, DELETE namespaces/{ns}
 *   POST namespaces/{ns}/properties
 *   GET, POST namespaces/{ns}/tables  GET, HEAD, POST, DELETE namespaces/{ns}/tables/{table}
 *   POST namespaces/{ns}/register     POST tables/rename     POST transactions/commit
 *
 * write receives the answer's JSON, once, or isn't called where there is none. A request acts at once, also while a transaction is open. Statuses
 * are those of the failure: FZ_NOT_FOUND, FZ_EXISTS, FZ_CONFLICT (a requirement that doesn't hold), FZ_UNKNOWN, …. Since 0.2.
 */
FZ_API fz_status fz_catalog_request(fz_session *s, const char *method, const char *path, const char *body, fz_write_fn write, void *ctx,
                                    fz_error *err);

/* Writes an error as people read it: message, place, for SQL the line with a caret, hint. sql may be NULL. */
FZ_API fz_status fz_error_text(const fz_error *err, const char *sql, fz_write_fn write, void *ctx);

#ifdef __cplusplus
}
#endif
#endif
