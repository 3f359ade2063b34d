/* catalog.c: opening and closing, the tables that are known, the queue of committers. */
#include "catalog/rest/rest_int.h"

#include "base/hash.h"
#include "catalog/queue.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- tables that are known ---- */

static rest_entry *entry_find(rest_catalog *c, str ns, str name)
{
    for (size_t i = 0; i < REST_TABLES; i++)
        if (c->tables[i].t && str_eqz(name, c->tables[i].t->name) && str_eqz(ns, c->tables[i].t->ns))
            return &c->tables[i];
    return NULL;
}

static char *text_copy(mem *m, str s)
{
    char *p = s.n ? mem_alloc(m, s.n + 1) : NULL;
    if (p) {
        memcpy(p, s.p, s.n);
        p[s.n] = 0;
    }
    return p;
}

static void text_free(mem *m, char *s)
{
    if (s)
        mem_free(m, s, strlen(s) + 1);
}

static void entry_clear(rest_catalog *c, rest_entry *e)
{
    ib_table_unref(e->t);
    rest_creds_unref(e->creds);
    text_free(c->base.m, e->etag);
    *e = (rest_entry){0};
}

void rest_recall(rest_catalog *c, ib_ident id, rest_known *out)
{
    *out = (rest_known){.age_ms = INT64_MAX};
    pthread_mutex_lock(&c->tables_lock);
    rest_entry *e = entry_find(c, id.ns, id.name);
    if (e) {
        e->used = ++c->uses;
        out->t = ib_table_ref(e->t);
        out->creds = rest_creds_ref(e->creds);
        out->etag = e->etag ? text_copy(c->base.m, str_of(e->etag)) : NULL;
        out->body = e->body;
        out->age_ms = rest_clock_ms() - e->loaded_ms;
        out->trusted = e->trusted && pthread_equal(e->by, pthread_self());
        e->trusted = e->trusted && !out->trusted; /* once */
    }
    pthread_mutex_unlock(&c->tables_lock);
}

void rest_known_free(rest_catalog *c, rest_known *k)
{
    ib_table_unref(k->t);
    rest_creds_unref(k->creds);
    text_free(c->base.m, k->etag);
    *k = (rest_known){0};
}

void rest_remember(rest_catalog *c, ib_table *t, rest_creds *creds, str etag, uint64_t body)
{
    rest_entry fresh = {.t = ib_table_ref(t), .creds = rest_creds_ref(creds), .etag = text_copy(c->base.m, etag), .body = body, .loaded_ms = rest_clock_ms()};
    pthread_mutex_lock(&c->tables_lock);
    rest_entry *e = entry_find(c, str_of(t->ns), str_of(t->name));
    for (size_t i = 0; !e && i < REST_TABLES; i++)
        if (!c->tables[i].t)
            e = &c->tables[i];
    if (!e) { /* the one that wasn't used for longest */
        e = c->tables;
        for (size_t i = 1; i < REST_TABLES; i++)
            e = c->tables[i].used < e->used ? &c->tables[i] : e;
    }
    rest_entry old = *e;
    fresh.used = ++c->uses;
    *e = fresh;
    pthread_mutex_unlock(&c->tables_lock);
    entry_clear(c, &old);
}

void rest_touch(rest_catalog *c, ib_table *t)
{
    pthread_mutex_lock(&c->tables_lock);
    rest_entry *e = entry_find(c, str_of(t->ns), str_of(t->name));
    if (e && e->t == t)
        e->loaded_ms = rest_clock_ms();
    pthread_mutex_unlock(&c->tables_lock);
}

void rest_doubt(rest_catalog *c, ib_ident id)
{
    pthread_mutex_lock(&c->tables_lock);
    rest_entry *e = entry_find(c, id.ns, id.name);
    if (e) {
        e->loaded_ms = INT64_MIN / 2;
        e->trusted = false;
    }
    pthread_mutex_unlock(&c->tables_lock);
}

void rest_forget(rest_catalog *c, ib_ident id)
{
    rest_entry old = {0};
    pthread_mutex_lock(&c->tables_lock);
    rest_entry *e = entry_find(c, id.ns, id.name);
    if (e) {
        old = *e;
        *e = (rest_entry){0};
    }
    pthread_mutex_unlock(&c->tables_lock);
    entry_clear(c, &old);
}

/* ---- namespaces ---- */

#define SPACE_KNOWN_MS 5000

void rest_space_seen(rest_catalog *c, str ns, bool there)
{
    uint64_t h = hash_bytes(ns.p, ns.n);
    pthread_mutex_lock(&c->tables_lock);
    uint32_t at = c->next_space;
    for (uint32_t i = 0; i < sizeof c->spaces / sizeof *c->spaces; i++)
        if (c->spaces[i].hash == h)
            at = i;
    if (at == c->next_space)
        c->next_space = (c->next_space + 1) % (sizeof c->spaces / sizeof *c->spaces);
    c->spaces[at].hash = h;
    c->spaces[at].until_ms = there ? rest_clock_ms() + SPACE_KNOWN_MS : 0;
    pthread_mutex_unlock(&c->tables_lock);
}

bool rest_space_known(rest_catalog *c, str ns)
{
    uint64_t h = hash_bytes(ns.p, ns.n);
    bool known = false;
    pthread_mutex_lock(&c->tables_lock);
    for (uint32_t i = 0; i < sizeof c->spaces / sizeof *c->spaces; i++)
        known = known || (c->spaces[i].hash == h && rest_clock_ms() < c->spaces[i].until_ms);
    pthread_mutex_unlock(&c->tables_lock);
    return known;
}

/* ---- files ---- */

fz_status rest_files(rest_catalog *c, file_io **out, fz_error *err)
{
    fz_status st = rest_configure(c->c, err);
    if (st != FZ_OK)
        return st;
    pthread_mutex_lock(&c->tables_lock);
    if (!c->files_made) {
        c->files = file_io_ref(c->base.io);
        if (c->c->storage_configured) { /* the server says where the store is: above what the user said, as all properties */
            file_io *io = file_io_new(c->base.m, c->base.io);
            st = io ? storage_add(io, NULL, &c->c->shared, c->c->n_props, c->c->props, NULL, c->base.m, err) : error_nomem(err);
            file_io_unref(c->files);
            c->files = io;
        }
        c->files_made = st == FZ_OK;
        if (st != FZ_OK) {
            file_io_unref(c->files);
            c->files = NULL;
        }
    }
    *out = c->files;
    pthread_mutex_unlock(&c->tables_lock);
    return st;
}

/* ---- the queue ---- */

/* A folder of this user's alone; false: none can be had. */
static bool own_folder(const char *path)
{
    struct stat s;
    mkdir(path, 0700);
    return lstat(path, &s) == 0 && S_ISDIR(s.st_mode) && s.st_uid == geteuid() && (s.st_mode & 022) == 0;
}

static bool queue_path(rest_catalog *c, ib_ident id, char *path, size_t size)
{
    const char *dir = getenv("XDG_RUNTIME_DIR");
    int n;
    if (dir && *dir == '/') {
        n = snprintf(path, size, "%s/frazil", dir);
    } else {
        dir = getenv("TMPDIR");
        n = snprintf(path, size, "%s/frazil-%u", dir && *dir == '/' ? dir : "/var/tmp", (unsigned)geteuid());
    }
    if (n < 0 || (size_t)n + 32 >= size || !own_folder(path))
        return false;
    uint64_t h = hash_bytes(c->c->base.p, c->c->base.n);
    str parts[] = {rest_prop(c->c, "warehouse"), c->c->prefix, id.ns, id.name};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        h = hash_mix(h, hash_bytes(parts[i].p, parts[i].n));
    snprintf(path + n, size - (size_t)n, "/%016llx.lock", (unsigned long long)h);
    return true;
}

#define TRUST_MS 5000 /* since it was loaded */

/* A committer that didn't have to wait, on a table it loaded just now, most likely has the newest: its first try goes without asking, and the
 * server tells if that was wrong. */
static void trust(rest_catalog *c, ib_ident id, int64_t before_ms)
{
    int64_t now = rest_clock_ms();
    pthread_mutex_lock(&c->tables_lock);
    rest_entry *e = entry_find(c, id.ns, id.name);
    if (e && now - before_ms < 5 && now - e->loaded_ms < TRUST_MS) {
        e->trusted = true;
        e->by = pthread_self();
    }
    pthread_mutex_unlock(&c->tables_lock);
}

static fz_status queue_lock(ib_catalog *b, ib_ident id, int64_t timeout_ms, void **token, fz_error *err)
{
    char path[PATH_MAX + 64];
    int fd = -1;
    *token = NULL;
    TRY(rest_configure(rest_of(b)->c, err));
    int64_t before = rest_clock_ms();
    if (queue_path(rest_of(b), id, path, sizeof path))
        TRY(queue_enter(path, timeout_ms, &fd, err));
    *token = fd < 0 ? NULL : (void *)(intptr_t)(fd + 1);
    trust(rest_of(b), id, before);
    return FZ_OK;
}

static void queue_unlock(ib_catalog *b, void *token)
{
    if (token)
        queue_leave((int)(intptr_t)token - 1);
}

/* ---- life ---- */

static void close_catalog(ib_catalog *b)
{
    rest_catalog *c = rest_of(b);
    for (size_t i = 0; i < REST_TABLES; i++)
        entry_clear(c, &c->tables[i]);
    file_io_unref(c->files);
    file_io_unref(b->io);
    rest_client_unref(c->c);
    pthread_mutex_destroy(&c->tables_lock);
    mem_free(b->m, c, sizeof *c);
}

static const ib_catalog_ops ops = {
    .kind = "rest",
    .close = close_catalog,
    .list_namespaces = rest_list_namespaces,
    .namespace_exists = rest_namespace_exists,
    .create_namespace = rest_create_namespace,
    .drop_namespace = rest_drop_namespace,
    .namespace_props = rest_namespace_props,
    .change_namespace_props = rest_change_namespace_props,
    .list_tables = rest_list_tables,
    .load_table = rest_load_table,
    .default_location = rest_default_location,
    .begin_table = rest_begin_table,
    .create_table = rest_create_table,
    .register_table = rest_register_table,
    .drop_table = rest_drop_table,
    .rename_table = rest_rename_table,
    .commit = rest_commit,
    .queue_lock = queue_lock,
    .queue_unlock = queue_unlock,
};

fz_status rest_catalog_open(const rest_options *o, file_io *io, mem *m, ib_catalog **out, fz_error *err)
{
    rest_catalog *c = mem_zalloc(m, sizeof *c);
    if (!c)
        return error_nomem(err);
    fz_status st = rest_client_new(o, m, &c->c, err);
    if (st != FZ_OK) {
        mem_free(m, c, sizeof *c);
        return st;
    }
    c->base = (ib_catalog){.ops = &ops, .m = m, .io = file_io_ref(io)};
    pthread_mutex_init(&c->tables_lock, NULL);
    *out = &c->base;
    return FZ_OK;
}
