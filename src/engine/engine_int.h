/*
 * engine_int.h: what stands behind the handles of frazil.h.
 *
 *   fz_runtime   threads, budget, caches of footers and manifests; shared, reference counted
 *   fz_lake      a catalog and the tables loaded from it last; shared by sessions
 *   fz_session   current namespace, settings, the interrupt flag; one statement at a time
 *   fz_result    one statement's outcome; a query that is still running, or a tag
 *
 * A statement runs in these steps: parse, bind (names resolved through statement.c, which pins each table's
 * state), run, and for a write: finish the data files, commit, forget.
 */
#ifndef ENGINE_INT_H
#define ENGINE_INT_H

#include "base/hash.h"
#include "base/log.h"
#include "base/runtime.h"
#include "base/slab.h"
#include "base/task.h"
#include "catalog/config/config.h"
#include "engine/footer_cache.h"
#include "exec/plan.h"
#include "iceberg/catalog.h"
#include "iceberg/manifest/cache.h"
#include "iceberg/update/change.h"
#include "io/storage.h"
#include "sql/sql.h"

#include <time.h>

#include <frazil/frazil.h>

struct fz_runtime {
    _Atomic int refs;
    runtime *rt;
    footer_cache *footers;
    ib_manifest_cache *manifests;
    http_client *http;       /* starts nothing before its first request */
    file_cache *cache;       /* of remote files; makes no folder before something is kept. NULL: none is wanted */
    char *temp_dir;          /* option, or NULL: $TMPDIR, else /var/tmp */
};

#define LAKE_TABLES 256 /* loaded tables that a lake remembers */

struct fz_lake {
    _Atomic int refs;
    fz_runtime *rt;
    mem *m;                  /* the runtime's */
    char *dir;               /* absolute; NULL: a catalog by its name */
    char *catalog_name;      /* option, or that name; NULL: none given */
    char *why;               /* what chose this lake: an argument, a variable, … */
    config_catalog *conf;    /* the catalog's settings; of a directory: the options that were set */
    storage shared;          /* what its file systems share: the runtime's client, a cache */
    bool read_only;
    int64_t lock_timeout_ms;
    pthread_mutex_t lock;    /* guards what follows */
    file_io *io;             /* how locations named in statements are reached, and tables unless they say more; NULL: this machine's files alone */
    config *config;          /* what catalogs are configured; NULL: not read yet */
    ib_catalog *catalog;     /* NULL: the directory isn't a lake yet, or the catalog's database isn't there yet */
    ib_table *tables[LAKE_TABLES];
    uint32_t n_tables, next_table;
    _Atomic bool told;       /* what of the configuration does nothing here */
    struct fz_lake *others, *next_other; /* other catalogs that statements named; they live as long as this one */
};

struct fz_session {
    fz_lake *lake;
    mem m;                   /* what its statements use; child of the runtime's */
    fz_lake *at;             /* where names are looked for: lake, or another catalog that USE chose */
    char *ns;                /* current namespace, in at */
    fz_notice_fn notice;
    void *notice_ctx;
    fz_table_fn unknown_table; /* asked for names that no table of the lake has; or NULL */
    void *unknown_table_ctx;
    pthread_mutex_t notice_lock; /* one notice at a time; not the other lock, since a notice may ask for progress */
    pthread_mutex_t lock;    /* guards what follows */
    const progress *running; /* of the running statement, or NULL */
    fz_progress last;
    _Atomic bool interrupt;
    struct transaction *tx;  /* NULL: none is open (transaction.h) */
    logger log;              /* calls notice */
};

typedef struct statement statement;

struct fz_result {
    fz_session *s;
    const char *tag;
    int64_t affected;        /* -1: none */
    statement *st;           /* the query behind the rows; NULL: there are none */
    row_schema schema;       /* of the rows; in st's plan */
    batch cur;
    bool ahead;              /* cur holds a batch that wasn't handed out yet */
    bool end;
    bool taken;              /* batches were asked of the query */
    slab_pool *slabs;        /* what exported arrays lie in; NULL until one is asked for */
    struct bridge_shared *shared; /* among those arrays */
    mem exports;             /* allocates from slabs, on nobody's account: arrays outlive the result */
    query_maker arrays;      /* the query makes arrays; its make is NULL before the first one, and where batches were asked for */
};

/* ---- lakes ---- */

/* What an argument, options, environment and configuration say the lake is: fills dir or conf and the options (lake_which.c). */
fz_status lake_which(fz_lake *l, const char *location, const fz_option *options, size_t n, fz_error *err);
/* A lake with nothing in it but its runtime, whose reference it takes, also on failure (NULL: no memory). */
fz_lake *lake_new(fz_runtime *rt);
/* The process's own runtime: one reference. */
fz_status runtime_shared(fz_runtime **out, fz_error *err);
/* Makes l->io: s3:// and https:// by the properties in l->conf. */
fz_status lake_storage(fz_lake *l, fz_error *err);
/* Of a statement that failed: secrets of the session's catalogs are taken out of the error (servers may repeat them), and a failure to reach or please a
 * server gets a hint. Returns r. */
fz_status session_failed(fz_session *s, fz_status r, fz_error *err);
/* Notices about the configuration of this lake, once. */
void lake_tell(fz_session *s);
/* What messages call it: its directory, or the catalog's name. */
const char *lake_place(const fz_lake *l);
/* The configured catalog of that name (without regard to case), opened from l when it is first named; NULL: nobody configured it. Borrowed: lives as
 * long as l. */
fz_status lake_other(fz_lake *l, str name, fz_lake **out, fz_error *err);
/* The catalog; NULL in *out where there is no lake yet and `create` is false. */
fz_status lake_catalog(fz_lake *l, bool create, ib_catalog **out, fz_error *err);
/* The newest state of a table; one reference. FZ_NOT_FOUND. Costs no file where the table hasn't changed. */
fz_status lake_table(fz_lake *l, ib_ident id, ib_table **out, fz_error *err);
/* Remembers a state that a commit gave. */
void lake_remember(fz_lake *l, ib_table *t);
void lake_forget(fz_lake *l, ib_ident id);

/* ---- sessions ---- */

void session_notice(fz_session *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Before each statement: what an earlier one left of cancelling and progress is forgotten. */
void session_begin(fz_session *s);
/* Makes the job's progress the session's, until session_idle, which comes before the job goes. */
void session_running(fz_session *s, const progress *p);
void session_idle(fz_session *s, const progress *p);
/* Makes a namespace the current one. */
fz_status session_use(fz_session *s, const sql_name *name, arena *a, fz_error *err);
/* What a table name means: namespace and name in the arena, as stored where the table exists (unquoted parts may differ from
 * it in case; several candidates are FZ_INVALID, 42702). *t receives a reference, NULL where there is no such table. */
fz_status session_find_table(fz_session *s, const sql_name *name, arena *a, ib_ident *id, ib_table **t, fz_error *err);
/* The same for a namespace; *in: the catalog it is in. */
fz_status session_find_namespace(fz_session *s, const sql_name *name, arena *a, fz_lake **in, str *out, bool *exists, fz_error *err);
/* The catalog that a table is in. */
static inline fz_lake *ident_lake(const fz_session *s, ib_ident id)
{
    return id.home ? id.home : s->at;
}
/* FZ_NOT_FOUND (42P01) at the name's position, with the nearest tables as the hint. */
fz_status session_no_table(fz_session *s, const sql_name *name, fz_error *err);
/* Makes the table's namespace if it is missing and may be made on the way (`any`, or it is "default"); else FZ_NOT_FOUND (3F000). */
fz_status session_need_namespace(fz_session *s, ib_ident id, bool any, fz_error *err);

/* ---- statements (statement.c): an arena, the sources it reads, a plan and its run ---- */

typedef struct file_input file_input; /* file_input.h */

struct statement {
    sql_resolver resolver;   /* first: the binder calls back through it */
    fz_session *s;
    arena a;                 /* syntax tree, plan, options: lives as long as the statement */
    arena plan_mem;          /* the bound plan: reset when the statement starts again */
    const ast_stmt *ast;
    sql_bound bound;
    const plan *plan;
    query *q;
    datum *params;
    uint32_t n_params;
    file_input **inputs;          /* CSV and JSON files, in the order the binder asks for them */
    uint32_t n_inputs, next_input;
    file_io *sources;             /* where load's files are, if they have settings of their own; NULL: the lake's */
    struct pinned { ib_ident id; ib_table *t; } *pinned; /* tables, as they were when first named */
    uint32_t n_pinned;
    uint32_t share, shares;       /* of a partition: which part of its table's rows; shares 0: all (prepare.c) */
    bool kept;                    /* by a transaction, whose step it is: statement_free ends its run alone */
    int64_t moment;               /* of a partition: what now() is; 0: now */
};

fz_status statement_new(fz_session *s, statement **out, fz_error *err);
void statement_free(statement *st); /* NULL allowed */
/* The state of a table that this statement uses throughout; borrowed. NULL: there is no such table. */
fz_status statement_table(statement *st, const sql_name *name, ib_ident *id, ib_table **t, fz_error *err);
/* The same; where there is no such table but one by the name without its last part, that part may say which state of it is meant, as
 * Spark writes it: t.branch_<name>, t.tag_<name>, t.snapshot_id_<n>, t.at_timestamp_<milliseconds>. *travel is set then, else TRAVEL_NONE. */
fz_status statement_table_at(statement *st, const sql_name *name, ib_ident *id, ib_table **t, sql_travel *travel, fz_error *err);
/* Takes the reference to *t and gives the state of that table that the statement uses throughout: the one named first. */
fz_status statement_pin(statement *st, ib_ident id, ib_table **t, fz_error *err);
/* Binds a query, an INSERT or a CREATE TABLE … AS into st->bound, to be looked at and not run. */
fz_status statement_bind(statement *st, const ast_stmt *s, fz_error *err);
fz_status statement_params(statement *st, const fz_params *params, fz_error *err);
fz_status statement_bind_options(statement *st, sql_bind_options *out, fz_error *err);
/* Opens the bound plan as st->q, with the parameters cast to what it wants. */
fz_status statement_open(statement *st, fz_error *err);
/* Ends the run, so that binding can begin again. */
void statement_unbind(statement *st);
/* After a failed run: true if it failed because columns of CSV files have to be wider, and the files can be read again with the wider types:
 * then the caller binds and runs again. Otherwise `*why` (the run's status) and `err` may be replaced by why not. */
bool statement_restart(statement *st, fz_status *why, fz_error *err);
/* What was read is passed on now: a value that doesn't fit is an error from here on. */
void statement_keep_types(statement *st);
/* No rows come any more: its progress stays what it is. */
void statement_idle(statement *st);

/* Takes st, also on failure. The rows of its plan. */
fz_status result_of_query(statement *st, const char *tag, fz_result **out, fz_error *err);
/* Takes st, also on failure. The rows are constants: cells row-major, schema and texts in st's arenas. */
fz_status result_of_cells(statement *st, const char *tag, row_schema schema, uint32_t nrows, const datum *cells,
                          fz_result **out, fz_error *err);
/* The next batch in r->cur, or r->end. */
fz_status result_next_batch(fz_result *r, fz_error *err);
/* A result without rows. It is made before the work, so that nothing can fail once that is committed; result_end (r NULL allowed)
 * passes the work's status on and gives the result out, or lets it go. */
fz_status result_begin(fz_session *s, const char *tag, fz_result **r, fz_error *err);
fz_status result_end(fz_result *r, fz_status work, int64_t affected, fz_result **out);

/* ---- statements that write (write.c), define (ddl.c) and show (show.c); each takes st, also on failure ---- */

fz_status run_insert(statement *st, fz_result **out, fz_error *err);
fz_status run_create_table(statement *st, fz_result **out, fz_error *err);
fz_status run_ddl(statement *st, fz_result **out, fz_error *err);
fz_status run_alter(statement *st, fz_result **out, fz_error *err); /* alter.c */
fz_status run_call(statement *st, fz_result **out, fz_error *err);  /* call.c */
fz_status run_show(statement *st, fz_result **out, fz_error *err);
fz_status run_explain(statement *st, fz_result **out, fz_error *err);
fz_status run_setting(statement *st, fz_result **out, fz_error *err); /* settings.c */

/* How rows get into a table: bind sets st->plan; it is called again when the statement starts again. */
typedef struct write_target {
    ib_ident id;
    ib_table *base;          /* the table's state, or NULL: it is made by this write */
    str branch;              /* of base; empty: main */
    const ib_metadata *md;   /* what the files are written for: base's, base's after `before`, or the new table's first metadata */
    bool own_md;             /* md is this write's own reference */
    row_schema schema;       /* its columns */
    ib_change before;        /* what the commit does to base before the rows come; empty: nothing */
    bool replace;            /* the rows replace what the table held */
} write_target;
typedef fz_status (*write_bind_fn)(statement *st, void *ctx, write_target *target, fz_error *err);
/* may_exist: a table that another process made meanwhile with the same columns is appended to; else that is FZ_EXISTS. */
/* Whether rows can be written to that branch, before any work is done. */
fz_status branch_check(const ib_metadata *md, str branch, fz_error *err);
fz_status write_rows(statement *st, write_bind_fn bind, void *ctx, bool may_exist, int64_t *rows, fz_error *err);

/* ---- tables as sources ---- */

fz_status iceberg_table_open(fz_session *s, ib_table *t, const sql_travel *travel, table_source **out, fz_error *err);
/* The snapshot that is meant; NULL in *out: the table is empty. travel may be NULL. */
fz_status iceberg_find_snapshot(const ib_metadata *md, const sql_travel *travel, const ib_snapshot **out, fz_error *err);
/* Scans of it deliver one share of the rows: see prepare.c. */
void iceberg_table_share(table_source *t, uint32_t share, uint32_t shares);
/* Whether the table is read as its main branch is, not another branch, tag or moment. */
bool iceberg_table_is_main(const table_source *t);
const ib_table *iceberg_table_of(const table_source *t); /* NULL: another kind of source */
/* A snapshot's or the current schema as columns; in the arena. */
fz_status schema_columns(const ib_schema *sc, arena *a, row_schema *out, fz_error *err);

static inline int64_t now_ms(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

#endif
