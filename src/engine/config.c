/*
 * config.c: what is configured, shown and tried out: fz_config_list, fz_config_check. Neither needs a lake that works.
 */
#include "engine/engine_int.h"

#include "catalog/check.h"

#include <stdio.h>

typedef struct shown {
    fz_setting_fn fn;
    void *ctx;
    mem *m;
} shown;

static fz_status show(const shown *s, const char *catalog, const char *key, const char *value, const char *origin, const char *note, fz_error *err)
{
    return s->fn(s->ctx, catalog, key, value, origin, note) ? error_set(err, FZ_CANCELLED, "cancelled") : FZ_OK;
}

static fz_status show_entry(const shown *s, const char *catalog, const config_entry *e, bool known, fz_error *err)
{
    sbuf value, note;
    const char *why;
    sbuf_init(&value, s->m);
    sbuf_init(&note, s->m);
    config_mask(e, &value);
    switch (known ? CONFIG_USED : config_key_use(e->key, &why)) {
    case CONFIG_NO_USE:
        sbuf_printf(&note, "does nothing here: %s", why);
        break;
    case CONFIG_UNKNOWN:
        sbuf_addz(&note, "not known here: passed on");
        break;
    default:
        break;
    }
    fz_status st = value.failed || note.failed ? error_nomem(err)
                                               : show(s, catalog, e->key.p, value.p ? value.p : "", e->origin.p, note.p ? note.p : "", err);
    sbuf_free(&value);
    sbuf_free(&note);
    return st;
}

static fz_status show_catalog(const shown *s, const config_catalog *c, fz_error *err)
{
    for (uint32_t i = 0; i < c->n; i++)
        TRY(show_entry(s, c->name, &c->entries[i], false, err));
    return FZ_OK;
}

/* Settings beside the catalogs. */
static fz_status show_settings(const shown *s, const config *c, fz_error *err)
{
    const config_entry *e;
    uint32_t n = config_settings(c, &e);
    for (uint32_t i = 0; i < n; i++) {
        bool ours = str_eqz(e[i].key, "default-catalog");
        sbuf value;
        sbuf_init(&value, s->m);
        config_mask(&e[i], &value);
        fz_status st = value.failed ? error_nomem(err)
                                    : show(s, "", e[i].key.p, value.p ? value.p : "", e[i].origin.p, ours ? "" : "does nothing here", err);
        sbuf_free(&value);
        TRY(st);
    }
    return FZ_OK;
}

static fz_status show_all(const shown *s, fz_lake *l, fz_error *err)
{
    const str *names, *notes;
    if (!l->config)
        TRY(config_load(NULL, l->m, &l->config, err));
    str file = config_file(l->config);
    TRY(show(s, "", "configuration file", file.n ? file.p : "none", "", file.n ? "" : "looked for .pyiceberg.yaml in $PYICEBERG_HOME, home and current directory", err));
    TRY(show_settings(s, l->config, err));
    uint32_t n_notes = config_notes(l->config, &notes), n = config_names(l->config, &names);
    for (uint32_t i = 0; i < n_notes; i++)
        TRY(show(s, "", "note", notes[i].p, "", "", err));
    for (uint32_t i = 0; i < n; i++) {
        if (l->conf && !l->dir && str_ieq(names[i], str_of(l->conf->name)))
            continue; /* below, with what was set */
        config_catalog *c;
        TRY(config_open(l->config, names[i].p, 0, NULL, l->m, &c, err));
        fz_status st = show_catalog(s, c, err);
        config_catalog_unref(c);
        TRY(st);
    }
    return l->conf ? show_catalog(s, l->conf, err) : FZ_OK;
}

fz_status fz_config_list(const char *location, const fz_option *options, size_t n_options, fz_setting_fn fn, void *ctx, fz_error *err)
{
    fz_runtime *rt;
    TRY(runtime_shared(&rt, err));
    fz_lake *l = lake_new(rt);
    if (!l)
        return error_nomem(err);
    const shown s = {fn, ctx, l->m};
    fz_error e = {0};
    fz_status st = lake_which(l, location, options, n_options, &e);
    if (st && !l->config && !l->dir) { /* the configuration itself can't be read, or the options */
        if (err)
            *err = e;
    } else {
        /* a catalog that can't be used is shown too, with why */
        st = show(&s, "", "lake", l->dir || l->conf ? lake_place(l) : "", l->why ? l->why : "", st ? e.message : l->dir ? "a directory" : "a catalog", err);
        if (!st)
            st = show_all(&s, l, err);
    }
    fz_lake_close(l);
    return st;
}

/* ---- checking ---- */

typedef struct told {
    fz_write_fn write;
    void *ctx;
} told;

static bool say(void *ctx, const char *line)
{
    const told *t = ctx;
    return t->write(t->ctx, line, strlen(line)) == 0 && t->write(t->ctx, "\n", 1) == 0;
}

fz_status fz_config_check(const char *location, const fz_option *options, size_t n_options, int (*write)(void *ctx, const char *text, size_t n),
                          void *ctx, fz_error *err)
{
    fz_runtime *rt;
    TRY(runtime_shared(&rt, err));
    fz_lake *l = lake_new(rt);
    if (!l)
        return error_nomem(err);
    told t = {write, ctx};
    fz_status st;
    /* Whoever asks whether it works wants no patience with what doesn't. */
    http_options quick = {.connect_timeout_ms = 5000, .stall_timeout_ms = 10000, .retry_ms = 2000};
    http_client *http = http_client_new(&quick, l->m);
    if (!http) {
        fz_lake_close(l);
        return error_nomem(err);
    }
    l->shared.http = http;
    atomic_fetch_add(&rt->refs, 1); /* the client lies in its memory */
    TRY_GOTO(lake_which(l, location, options, n_options, err));
    if (l->dir) {
        ib_catalog *c;
        uint32_t n;
        str *ns;
        arena a;
        char line[512];
        TRY_GOTO(lake_catalog(l, false, &c, err));
        if (!c) {
            say(&t, "the directory is empty or missing: it becomes a lake with the first statement that writes");
            goto out;
        }
        arena_init(&a, l->m);
        st = c->ops->list_namespaces(c, (str){0}, &a, &n, &ns, err);
        arena_free(&a);
        if (!st) {
            snprintf(line, sizeof line, "the lake in %.400s answers: %u namespace%s", l->dir, n, n == 1 ? "" : "s");
            say(&t, line);
        }
        goto out;
    }
    TRY_GOTO(lake_storage(l, err));
    catalog_open_options o = {.read_only = true, .lock_timeout_ms = l->lock_timeout_ms, .shared = l->shared};
    st = catalog_check(l->conf, &o, l->io, l->m, say, &t, err);
out:
    fz_lake_close(l);
    http_client_unref(http);
    fz_runtime_release(rt);
    return st;
}
