/*
 * conformance.h: what every catalog must do (iceberg/catalog.h), as cases that run against any of them.
 *
 * A back end is a row of the table in test_conformance.c: how it is opened, and its quirks. What differs
 * between back ends is asked for by quirk, never by name:
 */
#ifndef TESTS_CONFORMANCE_CONFORMANCE_H
#define TESTS_CONFORMANCE_CONFORMANCE_H

#include "iceberg/catalog.h"

/* A quirk and its reason. */
#define QUIRK_ONE_HANDLE (1u << 0) /* the catalog is gone with the handle: a second one, or another process, sees another catalog */
#define QUIRK_NO_FILES   (1u << 1) /* metadata is kept in memory, so there is no file that could be registered again */
/* Of servers by other people, whose ways a client can't change: */
#define QUIRK_NAMES      (1u << 2) /* fewer names are taken (weed: a-z 0-9 _ -; Apache's: none with '%' or '/' in it), levels exist only if they were made */
#define QUIRK_WORDS      (1u << 3) /* what is wrong is said in the server's words, and in another order; requirements are checked less strictly */
#define QUIRK_PLACES     (1u << 4) /* tables can be made or registered where there is no namespace, or only from files the server wrote itself */
#define QUIRK_RENAMES    (1u << 5) /* a table may be renamed to its own name */
#define QUIRK_CREATORS   (1u << 6) /* of creators at the same moment several are told that they made the table */
#define QUIRK_TOGETHER   (1u << 7) /* commits to several tables lose each other's changes when they meet, or add properties of the server's own */
#define QUIRK_NO_FORK    (1u << 8) /* it has threads in this process, and ThreadSanitizer doesn't go through a fork then */

typedef struct conformance_backend {
    const char *name;
    uint32_t quirks;
    /* A handle on the catalog of that name; a name not used before is a new, empty catalog. FZ_UNSUPPORTED: what it
     * needs isn't installed here. */
    fz_status (*open)(const char *catalog, mem *m, ib_catalog **out, fz_error *err);
} conformance_backend;

typedef struct conformance_env {
    const conformance_backend *b;
    const char *catalog;
    mem *m;
    ib_catalog *c; /* a handle on an empty catalog */
} conformance_env;

typedef struct conformance_case {
    const char *name;
    void (*run)(conformance_env *e);
    uint32_t not_with; /* quirks that leave nothing to test */
} conformance_case;
extern const conformance_case conformance_cases[]; /* ends with name NULL */

/* The cases that need one handle, one after another on this one. */
void conformance_run(ib_catalog *c);
/* What another process does that is started with `conformance_child` as its job: an exit code. */
int conformance_child(const conformance_backend *b, const char *catalog);

/* ---- helpers ---- */

#define IDENT(NS, NAME) ((ib_ident){str_of(NS), str_of(NAME)})

/* Metadata of a table with one column at the catalog's default location. */
ib_metadata *sample_metadata(ib_catalog *c, ib_ident id);
/* Creates a table from it; one reference. */
ib_table *sample_create(ib_catalog *c, ib_ident id);
/* Commits one snapshot on top of `base` (may be NULL), required to be still current if `strict`. */
fz_status sample_append(ib_catalog *c, ib_ident id, ib_table *base, int64_t snapshot_id, int64_t parent, int64_t sequence,
                        bool strict, ib_table **out, fz_error *err);
fz_status sample_set(ib_catalog *c, ib_ident id, const char *key, const char *value, ib_table **out, fz_error *err);

#endif
