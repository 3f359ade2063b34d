/*
 * resolver.h: what the binder asks of the world: tables, files and table functions by name.
 * The engine implements it over catalogs and files; tests over tables in memory.
 */
#ifndef SQL_RESOLVER_H
#define SQL_RESOLVER_H

#include "exec/source.h"
#include "sql/ast.h"

typedef struct sql_resolver sql_resolver;

/* An evaluated option or argument of a table function. */
typedef struct sql_option {
    str name;    /* lower case; empty for a positional argument */
    datum value;
    sql_pos pos;
} sql_option;

/* What a path means: a table, or files whose rows follow each other, which all have the first one's columns and types. */
typedef struct sql_sources {
    uint32_t n;
    table_source **at; /* in the arena; each a reference for the binder, also when the call failed after all */
} sql_sources;

typedef struct sql_resolver_ops {
    /* The table (or view of metadata) of that name: a.b.c is tried as the engine's search path says. *out receives a reference,
     * which ends up in sql_bound. FZ_NOT_FOUND when there is none: the binder adds position and suggestions then (and
     * 42P01 as SQLSTATE); any other failure is reported at the name's position. A statement that names one table twice
     * may ask twice. */
    fz_status (*table)(sql_resolver *r, const sql_name *name, const sql_travel *travel, arena *a, table_source **out, fz_error *err);
    /* FROM 'path', with the state of it that is meant where it is a table's. NULL: not supported. */
    fz_status (*file)(sql_resolver *r, str path, const sql_travel *travel, arena *a, sql_sources *out, fz_error *err);
    /* FROM name(arguments, option => value): read_csv, read_parquet, … FZ_NOT_FOUND: no such function. NULL: there are none. */
    fz_status (*function)(sql_resolver *r, str name /* lower case */, uint32_t n, const sql_option *args, arena *a, sql_sources *out,
                          fz_error *err);
    /* Calls `each` with names that the user might have meant instead of `missing` (all tables of the namespaces that were looked
     * in, say, as he would write them). Only called on the way to an error. NULL: no suggestions. */
    void (*table_names)(sql_resolver *r, const sql_name *missing, void (*each)(void *ctx, str name), void *ctx);
    /* The same for table functions. NULL allowed. */
    void (*function_names)(sql_resolver *r, void (*each)(void *ctx, str name), void *ctx);
    /* Something the user should know. NULL allowed. */
    void (*notice)(sql_resolver *r, const char *text);
} sql_resolver_ops;

struct sql_resolver {
    const sql_resolver_ops *ops;
};

#endif
