/*
 * config.h: catalogs by name, as PyIceberg configures them, so that one configuration serves both.
 *
 *   config          what the process was given: catalogs by name and a few settings beside them; immutable, counted
 *   config_catalog  one of them with the options of code or command line on top; immutable, counted
 *
 * Sources, later ones win key by key:
 *   1. .pyiceberg.yaml: the first that exists and holds something in $PYICEBERG_HOME, the home directory, the current one
 *   2. environment variables PYICEBERG_CATALOG__<NAME>__<KEY>, in any case; in KEY "__" is a dot and "_" a hyphen
 *      (PYICEBERG_CATALOG__PROD__S3__ACCESS_KEY_ID is s3.access-key-id of the catalog prod); PYICEBERG_DEFAULT_CATALOG
 *   3. options; an empty one counts as not given; a value "@file" is read from that file, "env:NAME" from that variable ("@@x" is "@x")
 * Keys are lower case, nested mappings are dotted keys, values are text. Every value knows where it came from.
 *
 * Reading a key. config_get() tries the key, then what other programs call it (s3.region, client.region; Java's
 * s3.path-style-access), and takes an empty value for none. Keys nobody knows are kept: catalogs pass them on.
 *
 * Secrets are in values of keys that config_secret() names, and in user parts of URIs. They are shown by config_mask() only, and
 * config_redact() takes them out of a message that somebody else wrote.
 */
#ifndef CATALOG_CONFIG_CONFIG_H
#define CATALOG_CONFIG_CONFIG_H

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"

typedef struct config config;

typedef struct config_entry {
    str key;     /* lower case, dotted */
    str value;   /* ends in NUL */
    str origin;  /* "/home/u/.pyiceberg.yaml:4", "environment variable NAME", "option" */
} config_entry;

typedef struct config_sources {
    const char *const *env; /* "NAME=value", …, NULL; NULL: the process's */
    const char *cwd;        /* NULL: the process's */
} config_sources;

typedef struct config_option {
    const char *key, *value;
} config_option;

/* ---- all of it ---- */

/* FZ_INVALID with file, line and column for a file that isn't such a configuration; FZ_IO for one that can't be read. `sources` may be
 * NULL. One reference. */
fz_status config_load(const config_sources *sources, mem *m, config **out, fz_error *err);
config *config_ref(config *c);
void config_unref(config *c); /* NULL allowed */
/* The file that was read, or empty. */
str config_file(const config *c);
/* Names in the order of their bytes, lower case. */
uint32_t config_names(const config *c, const str **out);
bool config_has(const config *c, const char *name); /* without regard to case */
/* A setting beside the catalogs ("default-catalog"), or NULL. */
const config_entry *config_setting(const config *c, const char *key);
/* All settings beside the catalogs, by key. */
uint32_t config_settings(const config *c, const config_entry **out);
/* The catalog used where none is named: default-catalog, else "default" if there is one of that name, else NULL. */
const char *config_default(const config *c);
/* What was found odd while reading: variables without a key, lists. */
uint32_t config_notes(const config *c, const str **out);

/* ---- one catalog ---- */

typedef struct config_catalog {
    _Atomic int refs;
    mem *m;
    arena a;
    const char *name;            /* as the caller wrote it */
    const char *cwd;             /* what relative paths in it are relative to; NULL: not known */
    bool configured;             /* file or environment know it */
    uint32_t n;
    const config_entry *entries; /* by key */
} config_catalog;

/* The catalog of that name with the options on top. A name that nobody configured is fine where options say what it is. FZ_INVALID for an option that can't
 * be used; FZ_NOT_FOUND for a secret's file or variable that isn't there. One reference; independent of `c`, which may be NULL: options alone. */
fz_status config_open(const config *c, const char *name, uint32_t n_options, const config_option *options, mem *m,
                      config_catalog **out, fz_error *err);
/* What an option's value stands for: itself, a file's text, a variable's; text in the arena or the environment's. */
fz_status config_value(const config *c, const char *key, const char *value, arena *a, str *out, fz_error *err);
config_catalog *config_catalog_ref(config_catalog *c);
void config_catalog_unref(config_catalog *c); /* NULL allowed */

/* The entry that says what `key` is: the key's own, else an alias's or a fallback's; NULL: none, or empty. */
const config_entry *config_get(const config_catalog *c, const char *key);
/* Its value; `def` (may be NULL) where there is none. */
const char *config_text(const config_catalog *c, const char *key, const char *def);
/* FZ_INVALID, with key and origin, for a value that isn't one. Booleans as PyIceberg reads them: y yes t true on 1, n no f false off 0. */
fz_status config_bool(const config_catalog *c, const char *key, bool def, bool *out, fz_error *err);
fz_status config_int(const config_catalog *c, const char *key, int64_t def, int64_t *out, fz_error *err);
/* Seconds, with or without a fraction, as milliseconds. */
fz_status config_seconds_ms(const config_catalog *c, const char *key, int64_t def_ms, int64_t *out, fz_error *err);
/* Whether S3 is asked by host name (bucket.host) rather than by path: s3.force-virtual-addressing, its opposite s3.path-style-access, else: not
 * where an endpoint is set. */
fz_status config_virtual_addressing(const config_catalog *c, bool *out, fz_error *err);
/* FZ_INVALID about an entry: key, where it came from, and what is wrong; never its value if that is secret. */
fz_status config_wrong(const config_entry *e, fz_error *err, const char *what) __attribute__((nonnull(1, 3)));

typedef enum config_type { CONFIG_REST, CONFIG_SQLITE, CONFIG_POSTGRES, CONFIG_MEMORY } config_type;
/* "rest", … */
const char *config_type_name(config_type t);
/* By `type`, else as PyIceberg infers it from `uri`. FZ_INVALID where neither says; FZ_UNSUPPORTED, by name, for hive, glue, … */
fz_status config_catalog_type(const config_catalog *c, config_type *out, fz_error *err);
/* The path of a SQLite catalog's database, as SQLAlchemy reads its URI, made absolute; "" stands for one in memory. In the arena. */
fz_status config_sqlite_path(const config_catalog *c, arena *a, str *out, fz_error *err);
/* The URI of a PostgreSQL catalog as libpq takes it: without driver or "jdbc:", with jdbc.user and jdbc.password. In the arena. */
fz_status config_postgres_uri(const config_catalog *c, arena *a, str *out, fz_error *err);

/* ---- what is shown ---- */

bool config_secret(str key);
/* The value as it may be shown. */
void config_mask(const config_entry *e, sbuf *out);
/* Replaces this catalog's secrets in a text in place (it only gets shorter); in an error's texts. */
void config_redact(const config_catalog *c, char *text);
void config_redact_error(const config_catalog *c, fz_error *err); /* err may be NULL */

typedef enum config_use {
    CONFIG_USED,    /* does something here */
    CONFIG_NO_USE,  /* known, does nothing here */
    CONFIG_UNKNOWN, /* passed on */
} config_use;
/* *why (may be NULL) receives a few words for a key of no use. */
config_use config_key_use(str key, const char **why);

#endif
