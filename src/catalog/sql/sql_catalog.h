/*
 * sql_catalog.h: a catalog in the two tables of PyIceberg's SqlCatalog, over whatever database: what SQLite
 * and PostgreSQL have in common. It knows the statements and the protocol; a database runs them.
 *
 *   sql_text.c   the statements, and their words in each dialect
 *   names.c      namespaces and tables by name
 *   commit.c     loading, creating, committing
 *
 * A database embeds a sql_catalog, fills it, and takes sql_ops (without the queue and close) as its own.
 * Functions are called from any thread; nothing here has state of its own.
 */
#ifndef CATALOG_SQL_SQL_CATALOG_H
#define CATALOG_SQL_SQL_CATALOG_H

#include "iceberg/catalog.h"

typedef enum sql_stmt {
    SQL_LOAD, SQL_LOAD_SETTLED, SQL_EXISTS, SQL_INSERT, SQL_SWAP, SQL_DELETE, SQL_RENAME, SQL_NS_LOCK, SQL_NS_EXISTS,
    SQL_NS_INSERT, SQL_NS_DELETE, SQL_NS_PROPS, SQL_NS_LIST, SQL_TABLES, SQL_STMTS_,
} sql_stmt;

typedef struct sql_catalog sql_catalog;
typedef struct sql_tx sql_tx; /* an open transaction, as the database understands it */
typedef fz_status (*sql_row_fn)(void *ctx, uint32_t n, const str *columns, fz_error *err); /* valid for the call */

typedef struct sql_db_ops {
    /* Rows of a statement that only reads, in a transaction or (tx NULL) by itself. FZ_EXISTS etc. never. */
    fz_status (*query)(sql_catalog *c, sql_tx *tx, sql_stmt id, uint32_t n, const str *args, sql_row_fn row, void *ctx,
                       fz_error *err);
    /* A statement that gives no rows; *changed (may be NULL): rows it changed. FZ_EXISTS: the key is taken. */
    fz_status (*run)(sql_catalog *c, sql_tx *tx, sql_stmt id, uint32_t n, const str *args, int *changed, fz_error *err);
    /* One write transaction around `body`, which is rolled back unless it returns FZ_OK; it may be run
     * again where it is certain that nothing of it stayed. *unknown is set where the transaction's end failed in a way
     * that leaves open whether it happened. */
    fz_status (*transaction)(sql_catalog *c, fz_status (*body)(sql_catalog *c, sql_tx *tx, void *ctx, fz_error *err),
                             void *ctx, bool *unknown, fz_error *err);
    bool reconnects; /* a transaction's end may fail by its connection alone, and do better on the next one */
    /* Whether a table's recorded place can be right (may be NULL). */
    fz_status (*place_check)(sql_catalog *c, ib_ident id, const char *location, fz_error *err);
} sql_db_ops;

struct sql_catalog {
    ib_catalog base;
    const sql_db_ops *db;
    char *name;          /* catalog_name of the rows */
    const char *place;   /* for errors; holds no secrets */
    char *warehouse;     /* location without a slash at its end; NULL: none */
    int64_t busy_ms;     /* how long a commit goes on against others */
    bool read_only;
    bool typed;          /* iceberg_tables has iceberg_type */
};

static inline sql_catalog *sql_of(ib_catalog *c) { return (sql_catalog *)c; }
#define SQL_ARGS(...) (uint32_t)(sizeof((str[]){__VA_ARGS__}) / sizeof(str)), (str[]){__VA_ARGS__}

/* ---- sql_text.c ---- */
typedef enum sql_dialect { SQL_SQLITE, SQL_POSTGRES } sql_dialect;
/* The statement's text; nothing where the dialect needs none. Arguments are bound in the order of their numbers. */
void sql_text(sql_stmt id, sql_dialect d, bool typed, sbuf *out);
/* As SQLAlchemy makes the tables for PyIceberg's SqlCatalog, if they are missing. */
extern const char sql_create_tables[], sql_create_properties[];

/* ---- names.c ---- */
fz_status sql_list_namespaces(ib_catalog *b, str parent, arena *a, uint32_t *n, str **out, fz_error *err);
fz_status sql_namespace_exists(ib_catalog *b, str ns, bool *out, fz_error *err);
fz_status sql_create_namespace(ib_catalog *b, str ns, const ib_props *props, fz_error *err);
fz_status sql_drop_namespace(ib_catalog *b, str ns, fz_error *err);
fz_status sql_namespace_props(ib_catalog *b, str ns, arena *a, ib_props *out, fz_error *err);
fz_status sql_change_namespace_props(ib_catalog *b, str ns, const ib_props_change *change, fz_error *err);
fz_status sql_list_tables(ib_catalog *b, str ns, arena *a, uint32_t *n, ib_ident **out, fz_error *err);
fz_status sql_drop_table(ib_catalog *b, ib_ident id, fz_error *err);
fz_status sql_rename_table(ib_catalog *b, ib_ident from, ib_ident to, fz_error *err);
/* The namespace's property "location", else a folder of the warehouse; never one that holds anything. */
fz_status sql_default_location(ib_catalog *b, ib_ident id, arena *a, str *out, fz_error *err);
/* Inside a transaction, or by itself (tx NULL). */
fz_status sql_ns_exists(sql_catalog *c, sql_tx *tx, str ns, bool *out, fz_error *err);
/* Whether there is a row at all. */
fz_status sql_any(sql_catalog *c, sql_tx *tx, sql_stmt id, uint32_t n, const str *args, bool *out, fz_error *err);
fz_status sql_no_table(ib_ident id, fz_error *err);
fz_status sql_no_namespace(str ns, fz_error *err);
fz_status sql_writable(sql_catalog *c, fz_error *err);

/* ---- commit.c ---- */
fz_status sql_load_table(ib_catalog *b, ib_ident id, ib_table *have, ib_table **out, fz_error *err);
fz_status sql_create_table(ib_catalog *b, ib_ident id, const ib_metadata *md, ib_table **out, fz_error *err);
fz_status sql_register_table(ib_catalog *b, ib_ident id, const char *location, ib_table **out, fz_error *err);
fz_status sql_commit(ib_catalog *b, uint32_t n, const ib_commit *commits, ib_table *const *base, ib_table **out,
                     fz_error *err);

#define SQL_CATALOG_OPS                                                                            \
    .list_namespaces = sql_list_namespaces, .namespace_exists = sql_namespace_exists,              \
    .create_namespace = sql_create_namespace, .drop_namespace = sql_drop_namespace,                \
    .namespace_props = sql_namespace_props, .change_namespace_props = sql_change_namespace_props,  \
    .list_tables = sql_list_tables,                                                                \
    .load_table = sql_load_table, .default_location = sql_default_location,                        \
    .create_table = sql_create_table, .register_table = sql_register_table,                        \
    .drop_table = sql_drop_table, .rename_table = sql_rename_table, .commit_creates = true, .commit_settles = true, .commit = sql_commit

#endif
