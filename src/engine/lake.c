/*
 * lake.c: runtimes and lakes: what sessions share. A lake remembers the tables it loaded last, so that a statement on an unchanged
 * table reads no file: the catalog is asked whether the state remembered is still the newest.
 */
#include "engine/engine_int.h"

#include "catalog/open.h"
#include "catalog/sqlite/sqlite_catalog.h"
#include "io/io.h"

#include <dirent.h>
#include <errno.h>

#define FOOTERS        4096
#define MANIFEST_BYTES (64 << 20)

const char *fz_version(void)
{
    return FRAZIL_VERSION;
}

const char *fz_status_name(fz_status status)
{
    return status_name(status);
}

/* ---- runtimes ---- */

static char *copy_text(mem *m, const char *s)
{
    size_t n = strlen(s) + 1;
    char *c = mem_alloc(m, n);
    return c ? memcpy(c, s, n) : NULL;
}

static void free_text(mem *m, char *s)
{
    if (s)
        mem_free(m, s, strlen(s) + 1);
}

static fz_status parse_size(const char *key, const char *text, int64_t *out, fz_error *err)
{
    if (str_to_size(str_of(text), out))
        return FZ_OK;
    return error_set(err, FZ_INVALID, "option \"%s\": \"%s\" isn't a size; write bytes, or a number with kB, MB or GB", key, text);
}

/* Takes the reference to rt, also on failure. */
static fz_status runtime_wrap(runtime *rt, const char *cache_dir, int64_t cache_bytes, fz_runtime **out, fz_error *err)
{
    bool cached = !cache_dir || strcmp(cache_dir, "none") != 0;
    fz_runtime *r = mem_zalloc(&rt->root, sizeof *r);
    if (r) {
        atomic_init(&r->refs, 1);
        r->rt = rt;
        r->footers = footer_cache_new(&rt->root, FOOTERS);
        r->manifests = ib_manifest_cache_new(&rt->root, MANIFEST_BYTES);
        r->http = http_client_new(NULL, &rt->root);
        r->cache = cached ? file_cache_new(cache_dir, (uint64_t)cache_bytes, &rt->root) : NULL;
        if (r->footers && r->manifests && r->http && (r->cache || !cached)) {
            *out = r;
            return FZ_OK;
        }
        footer_cache_free(r->footers);
        ib_manifest_cache_free(r->manifests);
        http_client_unref(r->http);
        file_cache_unref(r->cache);
        mem_free(&rt->root, r, sizeof *r);
    }
    runtime_unref(rt);
    return error_nomem(err);
}

fz_status fz_runtime_create(const fz_option *options, size_t n_options, const fz_allocator *allocator,
                            fz_runtime **out, fz_error *err)
{
    runtime_options o = {0};
    mem_hooks hooks;
    const char *temp_dir = NULL, *cache_dir = NULL;
    int64_t cache_bytes = 0;
    for (size_t i = 0; i < n_options; i++) {
        const fz_option *x = &options[i];
        if (!x->value)
            continue;
        int64_t v;
        if (strcmp(x->key, "temp-dir") == 0) {
            temp_dir = x->value;
        } else if (strcmp(x->key, "cache-dir") == 0) {
            cache_dir = x->value;
        } else if (strcmp(x->key, "cache-size") == 0) {
            TRY(parse_size(x->key, x->value, &cache_bytes, err));
        } else if (strcmp(x->key, "threads") == 0) {
            if (!str_to_i64(str_of(x->value), &v) || v < 1 || v > 1024)
                return error_set(err, FZ_INVALID, "option \"threads\": \"%s\" isn't a number from 1 to 1024", x->value);
            o.threads = (int)v;
        } else if (strcmp(x->key, "memory-limit") == 0) {
            TRY(parse_size(x->key, x->value, &o.memory_limit, err));
        } else {
            return error_set(err, FZ_INVALID, "unknown option \"%s\" of a runtime", x->key);
        }
    }
    if (allocator) {
        hooks = (mem_hooks){allocator->resize, allocator->ctx};
        o.hooks = &hooks;
    }
    runtime *rt;
    fz_runtime *r;
    TRY(runtime_create(&o, &rt, err));
    TRY(runtime_wrap(rt, cache_dir, cache_bytes, &r, err));
    if (temp_dir && !(r->temp_dir = copy_text(&rt->root, temp_dir))) {
        fz_runtime_release(r);
        return error_nomem(err);
    }
    *out = r;
    return FZ_OK;
}

/* ---- the cache of remote files ---- */

typedef struct cache_listing { fz_cache_fn fn; void *ctx; } cache_listing;

static fz_status cache_listed(void *ctx, const cache_entry_info *e, fz_error *err)
{
    cache_listing *l = ctx;
    return l->fn(l->ctx, e->location, (int64_t)e->bytes, (int64_t)e->size, e->used_us) ? error_set(err, FZ_CANCELLED, "stopped by the caller") : FZ_OK;
}

fz_status fz_cache_list(fz_runtime *rt, fz_cache_fn fn, void *ctx, fz_error *err)
{
    fz_runtime *r = rt;
    if (!rt)
        TRY(runtime_shared(&r, err));
    fz_status st = r->cache ? file_cache_list(r->cache, cache_listed, &(cache_listing){fn, ctx}, err) : FZ_OK;
    if (!rt)
        fz_runtime_release(r);
    return st;
}

fz_status fz_cache_clear(fz_runtime *rt, int64_t *bytes, fz_error *err)
{
    fz_runtime *r = rt;
    uint64_t gone = 0;
    if (!rt)
        TRY(runtime_shared(&r, err));
    fz_status st = r->cache ? file_cache_clear(r->cache, &gone, err) : FZ_OK;
    if (!rt)
        fz_runtime_release(r);
    if (bytes)
        *bytes = (int64_t)gone;
    return st;
}

const char *fz_cache_dir(const fz_runtime *rt) { return rt->cache ? file_cache_dir(rt->cache) : NULL; }

/* The process's default one: lakes that are opened without a runtime share threads, budget and caches. */
static pthread_mutex_t default_lock = PTHREAD_MUTEX_INITIALIZER;
static fz_runtime *default_runtime; /* holds no reference of its own */

fz_status runtime_shared(fz_runtime **out, fz_error *err)
{
    fz_status st = FZ_OK;
    runtime *base;
    pthread_mutex_lock(&default_lock);
    if (default_runtime) {
        atomic_fetch_add(&default_runtime->refs, 1);
    } else {
        TRY_GOTO(runtime_default(&base, err));
        TRY_GOTO(runtime_wrap(base, NULL, 0, &default_runtime, err));
    }
    *out = default_runtime;
out:
    pthread_mutex_unlock(&default_lock);
    return st;
}

void fz_runtime_release(fz_runtime *r)
{
    if (!r)
        return;
    pthread_mutex_lock(&default_lock); /* against runtime_shared finding it at zero */
    bool last = atomic_fetch_sub(&r->refs, 1) == 1;
    if (last && r == default_runtime)
        default_runtime = NULL;
    pthread_mutex_unlock(&default_lock);
    if (!last)
        return;
    footer_cache_free(r->footers);
    ib_manifest_cache_free(r->manifests);
    http_client_unref(r->http);
    file_cache_unref(r->cache);
    runtime *rt = r->rt;
    free_text(&rt->root, r->temp_dir);
    mem_free(&rt->root, r, sizeof *r);
    runtime_unref(rt);
}

/* ---- lakes ---- */

/* Whether a lake is there, could be made there, or the directory belongs to something else. */
static fz_status look_at(const char *dir, bool *is_lake, fz_error *err)
{
    *is_lake = false;
    DIR *d = opendir(dir);
    if (!d) {
        if (errno == ENOENT)
            return FZ_OK;
        return error_errno(err, errno, dir, errno == ENOTDIR ? "the lake is not a directory" : "the lake's directory can't be opened");
    }
    bool other = false;
    for (struct dirent *e; (e = readdir(d));) {
        if (strcmp(e->d_name, "catalog.db") == 0)
            *is_lake = true;
        /* What a lake that is just being made by another process may show first. */
        else if (e->d_name[0] != '.' && strncmp(e->d_name, "catalog.db", 10) != 0 && strcmp(e->d_name, "warehouse") != 0)
            other = true;
    }
    closedir(d);
    if (!*is_lake && other) {
        error_set(err, FZ_INVALID, "the directory is not a lake: it has other content and no catalog.db");
        error_where(err, dir);
        error_hint(err, "give an empty or missing directory to make a lake there");
        return FZ_INVALID;
    }
    return FZ_OK;
}

fz_lake *lake_new(fz_runtime *rt)
{
    mem *m = &rt->rt->root;
    fz_lake *l = mem_zalloc(m, sizeof *l);
    if (!l) {
        fz_runtime_release(rt);
        return NULL;
    }
    atomic_init(&l->refs, 1);
    l->rt = rt;
    l->m = m;
    l->lock_timeout_ms = 60000;
    pthread_mutex_init(&l->lock, NULL);
    return l;
}

fz_status fz_lake_open(fz_runtime *rt, const char *location, const fz_option *options, size_t n_options,
                       fz_lake **out, fz_error *err)
{
    if (rt)
        atomic_fetch_add(&rt->refs, 1);
    else
        TRY(runtime_shared(&rt, err));
    fz_lake *l = lake_new(rt);
    if (!l)
        return error_nomem(err);
    fz_status st = FZ_OK;
    ib_catalog *c;
    TRY_GOTO(lake_which(l, location, options, n_options, err));
    TRY_GOTO(lake_storage(l, err));
    TRY_GOTO(lake_catalog(l, false, &c, err));
    *out = l;
out:
    if (st)
        fz_lake_close(l);
    return st;
}

void fz_lake_close(fz_lake *l)
{
    if (!l || atomic_fetch_sub(&l->refs, 1) != 1)
        return;
    for (fz_lake *o = l->others, *next; o; o = next) {
        next = o->next_other;
        fz_lake_close(o);
    }
    for (uint32_t i = 0; i < l->n_tables; i++)
        ib_table_unref(l->tables[i]);
    if (l->catalog)
        l->catalog->ops->close(l->catalog);
    file_io_unref(l->io);
    config_catalog_unref(l->conf);
    config_unref(l->config);
    free_text(l->m, l->dir);
    free_text(l->m, l->catalog_name);
    free_text(l->m, l->why);
    pthread_mutex_destroy(&l->lock);
    fz_runtime *rt = l->rt;
    mem_free(l->m, l, sizeof *l);
    fz_runtime_release(rt);
}

fz_status lake_storage(fz_lake *l, fz_error *err)
{
    arena a;
    uint32_t n;
    io_prop *props;
    arena_init(&a, l->m);
    if (!l->shared.http)
        l->shared.http = l->rt->http;
    l->shared.cache = l->rt->cache;
    l->io = file_io_new(l->m, NULL);
    fz_status st = l->io ? catalog_props(l->conf, &a, &n, &props, err) : error_nomem(err);
    if (!st)
        st = storage_add(l->io, NULL, &l->shared, n, props, NULL, l->m, err);
    arena_free(&a);
    return st;
}

/* Locked. */
static fz_status other_new(fz_lake *l, const char *name, fz_lake **out, fz_error *err)
{
    atomic_fetch_add(&l->rt->refs, 1);
    fz_lake *o = lake_new(l->rt);
    if (!o)
        return error_nomem(err);
    o->read_only = l->read_only;
    o->lock_timeout_ms = l->lock_timeout_ms;
    config_type t;
    fz_status st = FZ_OK;
    if (!(o->catalog_name = copy_text(l->m, name)))
        st = error_nomem(err);
    if (!st)
        st = config_open(l->config, name, 0, NULL, l->m, &o->conf, err);
    if (!st)
        st = config_catalog_type(o->conf, &t, err);
    if (!st)
        st = lake_storage(o, err);
    if (st) {
        fz_lake_close(o);
        return st;
    }
    o->next_other = l->others;
    *out = l->others = o;
    return FZ_OK;
}

fz_status lake_other(fz_lake *l, str name, fz_lake **out, fz_error *err)
{
    fz_status st = FZ_OK;
    *out = NULL;
    pthread_mutex_lock(&l->lock);
    for (fz_lake *o = l->others; o && !*out; o = o->next_other)
        if (str_ieq(name, str_of(o->catalog_name)))
            *out = o;
    if (*out)
        goto out;
    if (!l->config)
        TRY_GOTO(config_load(NULL, l->m, &l->config, err));
    const str *names;
    uint32_t n = config_names(l->config, &names);
    for (uint32_t i = 0; i < n; i++)
        if (str_ieq(names[i], name)) {
            TRY_GOTO(other_new(l, names[i].p, out, err));
            break;
        }
out:
    pthread_mutex_unlock(&l->lock);
    return st;
}

/* The catalog in the lake's directory; FZ_OK and nothing where there is none and it may not be made. */
static fz_status open_dir(fz_lake *l, bool create, fz_error *err)
{
    bool is_lake;
    TRY(look_at(l->dir, &is_lake, err));
    if (!is_lake && !create)
        return FZ_OK;
    sqlite_catalog_options o = {.lake_dir = l->dir, .create_if_missing = create, .catalog_name = l->catalog_name,
                                .busy_timeout_ms = l->lock_timeout_ms, .read_only = l->read_only};
    TRY(sqlite_catalog_open(&o, l->m, NULL, &l->catalog, err));
    l->catalog->io = file_io_ref(l->io);
    return FZ_OK;
}

fz_status lake_catalog(fz_lake *l, bool create, ib_catalog **out, fz_error *err)
{
    fz_status st = FZ_OK;
    pthread_mutex_lock(&l->lock);
    if (create && l->read_only) {
        st = error_sql(err, FZ_INVALID, "25006", "the lake is opened read-only");
        goto out;
    }
    if (!l->catalog) {
        fz_error e;
        catalog_open_options o = {.create_if_missing = create, .read_only = l->read_only, .lock_timeout_ms = l->lock_timeout_ms, .shared = l->shared};
        st = l->dir ? open_dir(l, create, &e) : catalog_open(l->conf, &o, l->io, l->m, NULL, &l->catalog, &e);
        if (st == FZ_NOT_FOUND && !create)
            st = FZ_OK; /* no lake yet; another process may just be making it */
        else if (st && err)
            *err = e;
    }
out:
    *out = l->catalog;
    pthread_mutex_unlock(&l->lock);
    return st;
}

/* ---- remembered tables ---- */

static ib_table **table_slot(fz_lake *l, str ns, str name)
{
    for (uint32_t i = 0; i < l->n_tables; i++)
        if (str_eqz(name, l->tables[i]->name) && str_eqz(ns, l->tables[i]->ns))
            return &l->tables[i];
    return NULL;
}

void lake_remember(fz_lake *l, ib_table *t)
{
    ib_table *old = NULL;
    pthread_mutex_lock(&l->lock);
    ib_table **slot = table_slot(l, str_of(t->ns), str_of(t->name));
    if (!slot) {
        if (l->n_tables < LAKE_TABLES) {
            slot = &l->tables[l->n_tables++];
            *slot = NULL;
        } else {
            slot = &l->tables[l->next_table++ % LAKE_TABLES];
        }
    }
    old = *slot;
    *slot = ib_table_ref(t);
    pthread_mutex_unlock(&l->lock);
    ib_table_unref(old);
}

void lake_forget(fz_lake *l, ib_ident id)
{
    ib_table *old = NULL;
    pthread_mutex_lock(&l->lock);
    ib_table **slot = table_slot(l, id.ns, id.name);
    if (slot) {
        old = *slot;
        *slot = l->tables[--l->n_tables];
    }
    pthread_mutex_unlock(&l->lock);
    ib_table_unref(old);
}

fz_status lake_table(fz_lake *l, ib_ident id, ib_table **out, fz_error *err)
{
    ib_catalog *c;
    TRY(lake_catalog(l, false, &c, err));
    if (!c)
        return error_sql(err, FZ_NOT_FOUND, "42P01", "there is no table " STR_FMT "." STR_FMT ": there is nothing in %s yet", STR_ARG(id.ns),
                         STR_ARG(id.name), lake_place(l));
    pthread_mutex_lock(&l->lock);
    ib_table **slot = table_slot(l, id.ns, id.name);
    ib_table *have = slot ? ib_table_ref(*slot) : NULL;
    pthread_mutex_unlock(&l->lock);
    fz_status st = c->ops->load_table(c, id, have, out, err);
    if (!st && *out != have)
        lake_remember(l, *out);
    if (st == FZ_NOT_FOUND)
        lake_forget(l, id);
    ib_table_unref(have);
    return st;
}
