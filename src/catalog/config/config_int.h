/* config_int.h: the parts of the configuration among themselves. */
#ifndef CATALOG_CONFIG_CONFIG_INT_H
#define CATALOG_CONFIG_CONFIG_INT_H

#include "catalog/config/config.h"

#define CONFIG_FILE_MAX   (1 << 20) /* bytes of a configuration file */
#define CONFIG_SECRET_MAX 65536     /* bytes of a file with a secret */
#define CONFIG_ENTRIES    65536

/* An entry with the catalog it belongs to (empty: none, a setting beside them). */
typedef struct config_item {
    str catalog;
    config_entry e;
    uint32_t line; /* of a file */
    bool block;    /* a mapping's own name: only there to notice one that is given twice */
} config_item;

typedef struct config_items {
    arena *a;
    uint32_t n, cap;
    config_item *v;
    uint32_t n_notes, cap_notes;
    str *notes;
} config_items;

fz_status config_items_add(config_items *l, const config_item *x, fz_error *err);
fz_status config_items_note(config_items *l, fz_error *err, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* A copy in lower case (ASCII), ended by NUL; p NULL: no memory. */
str config_lower(arena *a, str s);
str config_copy(arena *a, str s);

/* Adds what a file holds; *any: it holds something at all. */
fz_status config_yaml(const char *path, const char *text, size_t n, config_items *l, bool *any, fz_error *err);

/* The keys tried for `key`, in order, first itself; n of them in *out. */
uint32_t config_aliases(const char *key, const char *out[4]);

/* A file's bytes, ended by NUL, in the arena; *out NULL: there is no such file. */
fz_status config_read_file(arena *a, const char *path, size_t max, char **out, size_t *n, fz_error *err);

#endif
