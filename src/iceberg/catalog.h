/*
 * catalog.h: the catalog, inverted: this vtable is what tables need of one; src/catalog/ has the
 * implementations, and one conformance suite tests them all.
 *
 * A table identifier is a namespace (its levels joined by '.') and a name. A loaded table is a
 * reference-counted pair of metadata and its location. A commit is the REST protocol's: a list
 * of requirements and a list of updates (update/update.h); the catalog checks the requirements against
 * the newest metadata, applies the updates, writes the new metadata file durably and swaps the pointer
 * atomically. A requirement that doesn't hold is FZ_CONFLICT and leaves everything as it was.
 *
 * Thread safety: every function may be called from any thread.
 */
#ifndef ICEBERG_CATALOG_H
#define ICEBERG_CATALOG_H

#include "iceberg/spec/spec.h"
#include "iceberg/update/update.h"

typedef struct ib_ident {
    str ns, name;
    void *home; /* the caller's own: which catalog it is in; catalogs leave it alone */
} ib_ident;

typedef struct ib_table {
    _Atomic int refs;
    mem *m;
    char *ns, *name;
    char *metadata_location;
    ib_metadata *md;         /* referenced */
} ib_table;
/* One reference; takes over the caller's reference to md, also on failure. NULL: no memory. */
ib_table *ib_table_new(mem *m, ib_ident id, const char *metadata_location, ib_metadata *md);
ib_table *ib_table_ref(ib_table *t);
void ib_table_unref(ib_table *t); /* NULL allowed */

/* One table's part of a commit. */
typedef struct ib_commit {
    ib_ident id;
    uint32_t n_requirements;
    const ib_requirement *requirements;
    uint32_t n_updates;
    const ib_update *updates;
    /* What the commit refers to was written through it, and is settled (io.h) before the pointer moves. NULL: it is durable already. */
    file_io *io;
    /* A table that the commit makes, from its complete first metadata, or drops, instead of updates. One that is made in the place of
     * another has that as its base. */
    const ib_metadata *create;
    bool drop;
} ib_commit;

/* What becomes of a namespace's properties. */
typedef struct ib_props_change {
    uint32_t n_removals;
    const str *removals;
    ib_props updates;
} ib_props_change;

typedef struct ib_catalog ib_catalog;
typedef struct ib_catalog_ops {
    const char *kind; /* "sqlite", … */
    void (*close)(ib_catalog *c);
    /* Names in the arena, sorted by bytes: everything below parent at any depth (parent empty: everything),
     * with the levels in between that were never created by themselves. */
    fz_status (*list_namespaces)(ib_catalog *c, str parent, arena *a, uint32_t *n, str **out, fz_error *err);
    fz_status (*namespace_exists)(ib_catalog *c, str ns, bool *out, fz_error *err);
    fz_status (*create_namespace)(ib_catalog *c, str ns, const ib_props *props, fz_error *err); /* FZ_EXISTS */
    fz_status (*drop_namespace)(ib_catalog *c, str ns, fz_error *err); /* FZ_INVALID if it isn't empty */
    fz_status (*namespace_props)(ib_catalog *c, str ns, arena *a, ib_props *out, fz_error *err);
    fz_status (*change_namespace_props)(ib_catalog *c, str ns, const ib_props_change *change, fz_error *err);
    fz_status (*list_tables)(ib_catalog *c, str ns, arena *a, uint32_t *n, ib_ident **out, fz_error *err);
    /* Always the newest. A table that hasn't changed since `have` (may be NULL) is returned as
     * another reference to it, without reading metadata. */
    fz_status (*load_table)(ib_catalog *c, ib_ident id, ib_table *have, ib_table **out, fz_error *err);
    /* Where a new table of that name goes, when the user doesn't say: never a folder an older table used. */
    fz_status (*default_location)(ib_catalog *c, ib_ident id, arena *a, str *out, fz_error *err);
    /* A new table as the catalog wants it begun: md with the catalog's place for it (unless it is `placed` by the user), identity, properties
     * and file_io. Nothing is made yet: create_table does that, from it or from what an update made of it. One reference. NULL
     * where default_location and the catalog's io are all there is. FZ_EXISTS, FZ_NOT_FOUND. */
    fz_status (*begin_table)(ib_catalog *c, ib_ident id, const ib_metadata *md, bool placed, ib_metadata **out, fz_error *err);
    /* Makes the table from complete first metadata, whose file is written here. FZ_EXISTS. */
    fz_status (*create_table)(ib_catalog *c, ib_ident id, const ib_metadata *md, ib_table **out, fz_error *err);
    fz_status (*register_table)(ib_catalog *c, ib_ident id, const char *metadata_location, ib_table **out, fz_error *err);
    fz_status (*drop_table)(ib_catalog *c, ib_ident id, fz_error *err); /* files stay */
    fz_status (*rename_table)(ib_catalog *c, ib_ident from, ib_ident to, fz_error *err);
    /* Whether a commit may make and drop tables beside changing others. FZ_EXISTS where a table that has no base is there; out[i] of one that
     * is dropped is NULL. */
    bool commit_creates;
    /* Whether a commit settles ib_commit.io, together with what it writes itself. If not, the caller has done so. */
    bool commit_settles;
    /* All or nothing over several tables. `base[i]` (may be NULL) is what the caller built its updates on; where
     * it still is the newest nothing is read. out[i] receives a reference to the new state. */
    fz_status (*commit)(ib_catalog *c, uint32_t n, const ib_commit *commits, ib_table *const *base, ib_table **out,
                        fz_error *err);
    /* The fair lock that committers on this machine queue on (see ARCHITECTURE, Commit): correctness never
     * depends on it; FZ_OK with *token NULL when no lock can be had. */
    fz_status (*queue_lock)(ib_catalog *c, ib_ident id, int64_t timeout_ms, void **token, fz_error *err);
    void (*queue_unlock)(ib_catalog *c, void *token);
} ib_catalog_ops;

struct ib_catalog {
    const ib_catalog_ops *ops;
    mem *m;
    file_io *io;            /* how the files of tables are reached that say nothing else; referenced; NULL: this machine's alone */
};

#endif
