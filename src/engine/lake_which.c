/*
 * lake_which.c: which lake is meant. In this order:
 *
 *   1. a directory as an argument, a catalog's name as the option "catalog", or properties that describe one ("set": uri=…)
 *   2. $FRAZIL_LAKE, a directory
 *   3. $FRAZIL_CATALOG, a name
 *   4. the configured default-catalog, else a configured catalog called "default"
 *   5. ./lake
 *
 * The configuration (catalog/config) is read where a name or the default is asked for, so that a lake by its directory needs none.
 */
#include "engine/engine_int.h"

#include "catalog/check.h"
#include "io/io.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

static fz_status keep_text(mem *m, const char *s, char **out, fz_error *err)
{
    size_t n = strlen(s) + 1;
    char *p = mem_alloc(m, n);
    if (!p)
        return error_nomem(err);
    if (*out)
        mem_free(m, *out, strlen(*out) + 1);
    *out = memcpy(p, s, n);
    return FZ_OK;
}

/* The directory as an absolute path without links; what doesn't exist yet is taken as it is below what does. */
static fz_status absolute_dir(mem *m, const char *location, char **out, fz_error *err)
{
    const char *path = io_local_path(location);
    if (!path)
        return error_set(err, FZ_UNSUPPORTED, "a lake in \"%s\" isn't supported; give a local directory, or a catalog by its name", location);
    size_t n = strlen(path), cut;
    if (n == 0)
        return error_set(err, FZ_INVALID, "the lake's directory is an empty text");
    if (n >= PATH_MAX)
        return error_errno(err, ENAMETOOLONG, path, "the lake's directory can't be reached");
    while (n > 1 && path[n - 1] == '/')
        n--;
    char full[PATH_MAX], above[PATH_MAX];
    /* path[0, cut) is the part that exists */
    for (cut = n;;) {
        memcpy(above, cut ? path : ".", cut ? cut : 1);
        above[cut ? cut : 1] = 0;
        if (realpath(above, full))
            break;
        if (errno != ENOENT || cut == 0)
            return error_errno(err, errno, path, "the lake's directory can't be reached");
        while (cut > 0 && path[cut - 1] == '/')
            cut--;
        while (cut > 0 && path[cut - 1] != '/')
            cut--;
    }
    size_t len = strlen(full), more = n - cut;
    bool slash = more && full[len - 1] != '/';
    char *dir = mem_alloc(m, len + slash + more + 1);
    if (!dir)
        return error_nomem(err);
    memcpy(dir, full, len);
    if (slash)
        dir[len] = '/';
    memcpy(dir + len + slash, path + cut, more);
    dir[len + slash + more] = 0;
    *out = dir;
    return FZ_OK;
}

/* ---- options ---- */

typedef struct given {
    const char *catalog;
    uint32_t n;
    config_option *set;  /* properties of the catalog */
    sbuf keys;           /* what their keys lie in, each ended by NUL */
} given;

/* An option of the lake itself; *known: it is one. */
static fz_status own_option(fz_lake *l, const char *key, const char *value, bool *known, fz_error *err)
{
    *known = true;
    if (strcmp(key, "catalog-name") == 0)
        return keep_text(l->m, value, &l->catalog_name, err);
    if (strcmp(key, "read-only") == 0) {
        l->read_only = strcmp(value, "true") == 0;
        if (!l->read_only && strcmp(value, "false") != 0)
            return error_set(err, FZ_INVALID, "option \"read-only\": \"%s\" is neither true nor false", value);
        return FZ_OK;
    }
    if (strcmp(key, "lock-timeout-ms") == 0) {
        if (!str_to_i64(str_of(value), &l->lock_timeout_ms) || l->lock_timeout_ms < 0)
            return error_set(err, FZ_INVALID, "option \"lock-timeout-ms\": \"%s\" isn't a number of milliseconds", value);
        return FZ_OK;
    }
    *known = false;
    return FZ_OK;
}

/* "key=value" of "set". */
static fz_status set_option(fz_lake *l, given *g, const char *text, fz_error *err)
{
    const char *eq = strchr(text, '=');
    if (!eq || eq == text)
        return error_set(err, FZ_INVALID, "option \"set\" takes key=value"); /* the text may be a secret */
    size_t at = g->keys.n;
    sbuf_add(&g->keys, text, (size_t)(eq - text));
    sbuf_addc(&g->keys, 0);
    if (g->keys.failed)
        return error_nomem(err);
    bool own;
    TRY(own_option(l, g->keys.p + at, eq + 1, &own, err));
    if (own)
        g->keys.n = at;
    else
        g->set[g->n++] = (config_option){(const char *)(uintptr_t)at, eq + 1}; /* a pointer when all are there */
    return FZ_OK;
}

static fz_status read_options(fz_lake *l, given *g, const fz_option *options, size_t n, fz_error *err)
{
    for (size_t i = 0; i < n; i++) {
        const fz_option *x = &options[i];
        bool known = true;
        if (!x->value)
            continue;
        if (strcmp(x->key, "catalog") == 0)
            g->catalog = *x->value ? x->value : NULL;
        else if (strcmp(x->key, "set") == 0)
            TRY(set_option(l, g, x->value, err));
        else
            TRY(own_option(l, x->key, x->value, &known, err));
        if (!known) {
            error_set(err, FZ_INVALID, "unknown option \"%s\" of a lake", x->key);
            error_hint(err, "there are catalog, set, catalog-name, read-only and lock-timeout-ms");
            return FZ_INVALID;
        }
    }
    for (uint32_t i = 0; i < g->n; i++)
        g->set[i].key = g->keys.p + (uintptr_t)g->set[i].key;
    return FZ_OK;
}

/* Whether the properties say by themselves what catalog is meant. */
static bool describes(const given *g)
{
    for (uint32_t i = 0; i < g->n; i++)
        if (str_ieq(str_of(g->set[i].key), STR("uri")) || str_ieq(str_of(g->set[i].key), STR("type")))
            return true;
    return false;
}

/* ---- which one ---- */

static const char *from_env(const char *name)
{
    const char *v = getenv(name);
    return v && *v ? v : NULL;
}

static fz_status which(fz_lake *l, const char *location, given *g, fz_error *err)
{
    const char *name = g->catalog, *why = location && *location ? "argument" : "option";
    bool described = describes(g);
    if (location && !*location)
        location = NULL;
    if (location && (name || described)) {
        error_set(err, FZ_INVALID, "both a lake's directory and a catalog are given");
        error_hint(err, "a lake is one or the other");
        return FZ_INVALID;
    }
    if (!location && !name && !described && (location = from_env("FRAZIL_LAKE")))
        why = "environment variable FRAZIL_LAKE";
    if (!location) {
        if (!name && (name = from_env("FRAZIL_CATALOG")))
            why = "environment variable FRAZIL_CATALOG";
        TRY(config_load(NULL, l->m, &l->config, err));
        if (!name && (name = config_default(l->config))) {
            const config_entry *e = config_setting(l->config, "default-catalog");
            why = e && e->value.n ? e->origin.p : "the catalog called default";
        }
        if (!name && described)
            name = "default";
        if (!name) {
            location = "lake";
            why = "nothing else is said";
        }
    }
    TRY(keep_text(l->m, why, &l->why, err));
    if (location)
        TRY(absolute_dir(l->m, location, &l->dir, err));
    else if (l->catalog_name) /* of the rows; there is room, since the option itself isn't among these */
        g->set[g->n++] = (config_option){"catalog-name", l->catalog_name};
    TRY(config_open(location ? NULL : l->config, location ? "default" : name, g->n, g->set, l->m, &l->conf, err));
    if (location)
        return FZ_OK;
    config_type t;
    TRY(keep_text(l->m, name, &l->catalog_name, err));
    return config_catalog_type(l->conf, &t, err);
}

fz_status lake_which(fz_lake *l, const char *location, const fz_option *options, size_t n, fz_error *err)
{
    given g = {0};
    size_t size = (n + 1) * sizeof *g.set;
    sbuf_init(&g.keys, l->m);
    g.set = mem_zalloc(l->m, size);
    fz_status st = g.set ? read_options(l, &g, options, n, err) : error_nomem(err);
    if (!st)
        st = which(l, location, &g, err);
    sbuf_free(&g.keys);
    mem_free(l->m, g.set, size);
    return st;
}

const char *lake_place(const fz_lake *l)
{
    return l->dir ? l->dir : l->catalog_name;
}

void lake_tell(fz_session *s)
{
    fz_lake *l = s->lake;
    if (l->dir || !s->notice || atomic_exchange(&l->told, true))
        return;
    const str *notes;
    uint32_t n = l->config ? config_notes(l->config, &notes) : 0;
    for (uint32_t i = 0; i < n; i++)
        session_notice(s, STR_FMT, STR_ARG(notes[i]));
    for (uint32_t i = 0; i < l->conf->n; i++) {
        const char *why;
        const config_entry *e = &l->conf->entries[i];
        if (config_key_use(e->key, &why) == CONFIG_NO_USE)
            session_notice(s, "catalog %s: %s does nothing here: %s (%s)", l->conf->name, e->key.p, why, e->origin.p);
    }
}

static bool from_server(const fz_error *e)
{
    return strncmp(e->sqlstate, "08", 2) == 0 || strcmp(e->sqlstate, "28000") == 0 || strncmp(e->message, "the server answered", 19) == 0;
}

fz_status session_failed(fz_session *s, fz_status r, fz_error *err)
{
    fz_lake *l = s->lake;
    if (!r || !err)
        return r;
    if (!err->hint[0] && from_server(err))
        catalog_explain(s->at->conf, err);
    config_redact_error(l->conf, err);
    pthread_mutex_lock(&l->lock); /* others are only ever added */
    for (fz_lake *o = l->others; o; o = o->next_other)
        config_redact_error(o->conf, err);
    pthread_mutex_unlock(&l->lock);
    return r;
}
