/*
 * memory_catalog.c: see memory_catalog.h. One mutex around two plain lists; a table's "metadata
 * location" is a number that changes with every commit.
 */
#include "catalog/memory/memory_catalog.h"

#include "base/fault.h"
#include "catalog/stage.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

typedef struct space {
    str name;
    ib_props props;
    bool made;     /* by create_namespace; else it is there because of what lies below */
    bool dropped;
} space;

typedef struct waiter {
    struct waiter *next;
    bool granted;
} waiter;

typedef struct queue_entry {
    ib_table *of;    /* names the table; referenced */
    bool held;
    waiter *waiting; /* first come, first served; each lies on its thread's stack */
    struct queue_entry *link;
} queue_entry;

typedef struct memory_catalog {
    ib_catalog base;
    pthread_mutex_t lock;
    pthread_cond_t turn;
    arena mem;     /* names and properties */
    str warehouse;
    uint64_t version;
    uint32_t n_spaces, cap_spaces;
    space *spaces;
    uint32_t n_tables, cap_tables;
    ib_table **tables;
    queue_entry *queues;
} memory_catalog;

static memory_catalog *of(ib_catalog *c) { return (memory_catalog *)c; }

/* Room for one more; false: no memory. */
static bool room(memory_catalog *c, void **p, uint32_t n, uint32_t *cap, size_t size)
{
    if (n < *cap)
        return true;
    uint32_t more = *cap ? *cap * 2 : 8;
    void *q = mem_resize(c->base.m, *p, *cap * size, more * size);
    if (!q)
        return false;
    *p = q;
    *cap = more;
    return true;
}

static bool is_below(str ns, str parent)
{
    return !parent.n || (ns.n > parent.n && ns.p[parent.n] == '.' && memcmp(ns.p, parent.p, parent.n) == 0);
}

/* ---- namespaces; the lock is held by the static ones ---- */

static bool space_exists(memory_catalog *c, str ns)
{
    for (uint32_t i = 0; i < c->n_spaces; i++)
        if (!c->spaces[i].dropped && (str_eq(c->spaces[i].name, ns) || is_below(c->spaces[i].name, ns)))
            return true;
    for (uint32_t i = 0; i < c->n_tables; i++)
        if (str_eqz(ns, c->tables[i]->ns) || is_below(str_of(c->tables[i]->ns), ns))
            return true;
    return false;
}

static fz_status no_namespace(str ns, fz_error *err)
{
    return error_sql(err, FZ_NOT_FOUND, "3F000", "namespace " STR_FMT " doesn't exist", STR_ARG(ns));
}

static fz_status no_table(ib_ident id, fz_error *err)
{
    return error_sql(err, FZ_NOT_FOUND, "42P01", "table " STR_FMT "." STR_FMT " doesn't exist", STR_ARG(id.ns),
                     STR_ARG(id.name));
}

static fz_status table_there(ib_ident id, fz_error *err)
{
    return error_sql(err, FZ_EXISTS, "42P07", "table " STR_FMT "." STR_FMT " exists already", STR_ARG(id.ns),
                     STR_ARG(id.name));
}

static int str_order(const void *a, const void *b) { return str_cmp(*(const str *)a, *(const str *)b); }

/* Counts with out NULL. */
static uint32_t levels(str ns, str parent, arena *a, str *out, bool *failed)
{
    uint32_t n = 0;
    for (size_t i = 1; i <= ns.n; i++) {
        str level = {ns.p, i};
        if ((i < ns.n && ns.p[i] != '.') || !is_below(level, parent))
            continue;
        if (out) {
            out[n] = (str){arena_strndup(a, level.p, level.n), level.n};
            *failed |= !out[n].p;
        }
        n++;
    }
    return n;
}

static uint32_t all_levels(memory_catalog *c, str parent, arena *a, str *out, bool *failed)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < c->n_spaces; i++)
        if (!c->spaces[i].dropped)
            n += levels(c->spaces[i].name, parent, a, out ? out + n : NULL, failed);
    for (uint32_t i = 0; i < c->n_tables; i++)
        n += levels(str_of(c->tables[i]->ns), parent, a, out ? out + n : NULL, failed);
    return n;
}

static fz_status list_namespaces(ib_catalog *b, str parent, arena *a, uint32_t *n, str **out, fz_error *err)
{
    memory_catalog *c = of(b);
    fz_status st = FZ_OK;
    bool failed = false;
    pthread_mutex_lock(&c->lock);
    if (parent.n && !space_exists(c, parent)) {
        st = no_namespace(parent, err);
    } else {
        uint32_t k = all_levels(c, parent, a, NULL, &failed);
        str *l = ARENA_ARRAY(a, str, k);
        if (l)
            all_levels(c, parent, a, l, &failed);
        if (!l || failed) {
            st = error_nomem(err);
        } else {
            if (k)
                qsort(l, k, sizeof *l, str_order);
            *n = 0;
            for (uint32_t i = 0; i < k; i++)
                if (i == 0 || !str_eq(l[i], l[i - 1]))
                    l[(*n)++] = l[i];
            *out = l;
        }
    }
    pthread_mutex_unlock(&c->lock);
    return st;
}

static fz_status namespace_exists(ib_catalog *b, str ns, bool *out, fz_error *err)
{
    memory_catalog *c = of(b);
    pthread_mutex_lock(&c->lock);
    *out = space_exists(c, ns);
    pthread_mutex_unlock(&c->lock);
    return FZ_OK;
}

static fz_status props_copy_to(arena *a, const ib_props *p, ib_props *out, fz_error *err)
{
    ib_kv *kv = ARENA_ARRAY(a, ib_kv, p->n);
    if (!kv)
        return error_nomem(err);
    for (uint32_t i = 0; i < p->n; i++) {
        kv[i].key = (str){arena_strndup(a, p->kv[i].key.p, p->kv[i].key.n), p->kv[i].key.n};
        kv[i].value = (str){arena_strndup(a, p->kv[i].value.p, p->kv[i].value.n), p->kv[i].value.n};
        if (!kv[i].key.p || !kv[i].value.p)
            return error_nomem(err);
    }
    *out = (ib_props){.n = p->n, .kv = kv};
    return FZ_OK;
}

static fz_status create_namespace(ib_catalog *b, str ns, const ib_props *props, fz_error *err)
{
    static const ib_props none = {0};
    memory_catalog *c = of(b);
    TRY(namespace_name_check(ns, err));
    fz_status st;
    pthread_mutex_lock(&c->lock);
    if (space_exists(c, ns)) {
        st = error_sql(err, FZ_EXISTS, "42P06", "namespace " STR_FMT " exists already", STR_ARG(ns));
    } else if (!room(c, (void **)&c->spaces, c->n_spaces, &c->cap_spaces, sizeof *c->spaces)) {
        st = error_nomem(err);
    } else {
        space s = {.name = {arena_strndup(&c->mem, ns.p, ns.n), ns.n}, .made = true};
        st = s.name.p ? props_copy_to(&c->mem, props ? props : &none, &s.props, err) : error_nomem(err);
        if (st == FZ_OK)
            c->spaces[c->n_spaces++] = s;
    }
    pthread_mutex_unlock(&c->lock);
    return st;
}

static fz_status drop_namespace(ib_catalog *b, str ns, fz_error *err)
{
    memory_catalog *c = of(b);
    fz_status st = FZ_OK;
    pthread_mutex_lock(&c->lock);
    if (!space_exists(c, ns)) {
        st = no_namespace(ns, err);
    } else {
        space *own = NULL;
        for (uint32_t i = 0; i < c->n_spaces; i++)
            if (!c->spaces[i].dropped && str_eq(c->spaces[i].name, ns))
                own = &c->spaces[i];
        if (own)
            own->dropped = true;
        if (space_exists(c, ns)) {
            if (own)
                own->dropped = false;
            st = error_sql(err, FZ_INVALID, "2BP01", "namespace " STR_FMT " isn't empty", STR_ARG(ns));
        }
    }
    pthread_mutex_unlock(&c->lock);
    return st;
}

static fz_status namespace_props(ib_catalog *b, str ns, arena *a, ib_props *out, fz_error *err)
{
    memory_catalog *c = of(b);
    fz_status st = FZ_OK;
    pthread_mutex_lock(&c->lock);
    *out = (ib_props){0};
    if (!space_exists(c, ns))
        st = no_namespace(ns, err);
    for (uint32_t i = 0; i < c->n_spaces && st == FZ_OK; i++)
        if (!c->spaces[i].dropped && str_eq(c->spaces[i].name, ns))
            st = props_copy_to(a, &c->spaces[i].props, out, err);
    pthread_mutex_unlock(&c->lock);
    return st;
}

static fz_status change_namespace_props(ib_catalog *b, str ns, const ib_props_change *change, fz_error *err)
{
    static const ib_props none = {0};
    memory_catalog *c = of(b);
    fz_status st = FZ_OK;
    pthread_mutex_lock(&c->lock);
    space *own = NULL;
    for (uint32_t i = 0; i < c->n_spaces; i++)
        if (!c->spaces[i].dropped && str_eq(c->spaces[i].name, ns))
            own = &c->spaces[i];
    if (!space_exists(c, ns)) {
        st = no_namespace(ns, err);
    } else if (!own && !room(c, (void **)&c->spaces, c->n_spaces, &c->cap_spaces, sizeof *c->spaces)) {
        st = error_nomem(err);
    } else {
        space s = own ? *own : (space){.name = {arena_strndup(&c->mem, ns.p, ns.n), ns.n}, .made = true};
        st = s.name.p ? namespace_props_changed(own ? &own->props : &none, change, &c->mem, &s.props, err) : error_nomem(err);
        if (st == FZ_OK)
            *(own ? own : &c->spaces[c->n_spaces++]) = s;
    }
    pthread_mutex_unlock(&c->lock);
    return st;
}

/* ---- tables ---- */

static ib_table **table_find(memory_catalog *c, ib_ident id)
{
    for (uint32_t i = 0; i < c->n_tables; i++)
        if (str_eqz(id.name, c->tables[i]->name) && str_eqz(id.ns, c->tables[i]->ns))
            return &c->tables[i];
    return NULL;
}

static int ident_order(const void *a, const void *b)
{
    return str_cmp(((const ib_ident *)a)->name, ((const ib_ident *)b)->name);
}

static fz_status list_tables(ib_catalog *b, str ns, arena *a, uint32_t *n, ib_ident **out, fz_error *err)
{
    memory_catalog *c = of(b);
    fz_status st = FZ_OK;
    pthread_mutex_lock(&c->lock);
    ib_ident *ids = ARENA_ARRAY(a, ib_ident, c->n_tables);
    str own = {arena_strndup(a, ns.p, ns.n), ns.n};
    *n = 0;
    if (!space_exists(c, ns))
        st = no_namespace(ns, err);
    else if (!ids || !own.p)
        st = error_nomem(err);
    for (uint32_t i = 0; i < c->n_tables && st == FZ_OK; i++) {
        if (!str_eqz(ns, c->tables[i]->ns))
            continue;
        size_t k = strlen(c->tables[i]->name);
        ids[*n] = (ib_ident){.ns = own, .name = {arena_strndup(a, c->tables[i]->name, k), k}};
        if (!ids[(*n)++].name.p)
            st = error_nomem(err);
    }
    if (st == FZ_OK && *n)
        qsort(ids, *n, sizeof *ids, ident_order);
    *out = ids;
    pthread_mutex_unlock(&c->lock);
    return st;
}

static fz_status load_table(ib_catalog *b, ib_ident id, ib_table *have, ib_table **out, fz_error *err)
{
    memory_catalog *c = of(b);
    pthread_mutex_lock(&c->lock);
    ib_table **t = table_find(c, id);
    if (t)
        *out = ib_table_ref(*t);
    pthread_mutex_unlock(&c->lock);
    return t ? FZ_OK : no_table(id, err);
}

static fz_status default_location(ib_catalog *b, ib_ident id, arena *a, str *out, fz_error *err)
{
    memory_catalog *c = of(b);
    bool there;
    TRY(table_name_check(id, err));
    TRY(namespace_exists(b, id.ns, &there, err));
    if (!there)
        return no_namespace(id.ns, err);
    sbuf s;
    sbuf_init(&s, b->m);
    sbuf_str(&s, c->warehouse);
    sbuf_addc(&s, '/');
    folder_name(id.ns, &s);
    sbuf_addc(&s, '/');
    folder_name(id.name, &s);
    pthread_mutex_lock(&c->lock);
    sbuf_printf(&s, "-%llu", (unsigned long long)++c->version); /* never the same folder twice */
    pthread_mutex_unlock(&c->lock);
    out->n = s.n;
    out->p = s.failed ? NULL : arena_strndup(a, s.p, s.n);
    sbuf_free(&s);
    return out->p ? FZ_OK : error_nomem(err);
}

/* Takes over the reference to md. */
static ib_table *table_new(memory_catalog *c, ib_ident id, ib_metadata *md)
{
    char location[40];
    snprintf(location, sizeof location, "memory:%llu", (unsigned long long)++c->version);
    return ib_table_new(c->base.m, id, location, md);
}

static fz_status table_add(memory_catalog *c, ib_ident id, ib_metadata *md, const char *location, ib_table **out, fz_error *err)
{
    fz_status st = FZ_OK;
    ib_table *t = NULL;
    pthread_mutex_lock(&c->lock);
    if (!space_exists(c, id.ns))
        st = no_namespace(id.ns, err);
    else if (table_find(c, id))
        st = table_there(id, err);
    else if (!room(c, (void **)&c->tables, c->n_tables, &c->cap_tables, sizeof *c->tables))
        st = error_nomem(err);
    else
        t = location ? ib_table_new(c->base.m, id, location, md) : table_new(c, id, md);
    if (t) {
        c->tables[c->n_tables++] = t;
        *out = ib_table_ref(t);
    } else if (st == FZ_OK) {
        st = error_nomem(err);
    } else {
        ib_metadata_unref(md);
    }
    pthread_mutex_unlock(&c->lock);
    return st;
}

static fz_status create_table(ib_catalog *b, ib_ident id, const ib_metadata *md, ib_table **out, fz_error *err)
{
    TRY(table_name_check(id, err));
    TRY(fault_point("catalog.create", err));
    return table_add(of(b), id, ib_metadata_ref(md), NULL, out, err);
}

static fz_status register_table(ib_catalog *b, ib_ident id, const char *location, ib_table **out, fz_error *err)
{
    ib_metadata *md;
    TRY(table_name_check(id, err));
    TRY(ib_metadata_load(b->io, location, b->m, &md, err));
    return table_add(of(b), id, md, location, out, err);
}

static fz_status drop_table(ib_catalog *b, ib_ident id, fz_error *err)
{
    memory_catalog *c = of(b);
    pthread_mutex_lock(&c->lock);
    ib_table **t = table_find(c, id);
    if (t) {
        ib_table_unref(*t);
        *t = c->tables[--c->n_tables];
    }
    pthread_mutex_unlock(&c->lock);
    return t ? FZ_OK : no_table(id, err);
}

static fz_status rename_table(ib_catalog *b, ib_ident from, ib_ident to, fz_error *err)
{
    memory_catalog *c = of(b);
    fz_status st = FZ_OK;
    TRY(table_name_check(to, err));
    pthread_mutex_lock(&c->lock);
    ib_table **t = table_find(c, from);
    if (!t)
        st = no_table(from, err);
    else if (!space_exists(c, to.ns))
        st = no_namespace(to.ns, err);
    else if (table_find(c, to))
        st = table_there(to, err);
    else {
        ib_table *moved = ib_table_new(b->m, to, (*t)->metadata_location, ib_metadata_ref((*t)->md));
        if (moved) {
            ib_table_unref(*t);
            *t = moved;
        } else {
            st = error_nomem(err);
        }
    }
    pthread_mutex_unlock(&c->lock);
    return st;
}

/* ---- commits: all of it under the lock, so nobody comes between ---- */

static fz_status commit_all(memory_catalog *c, uint32_t n, const ib_commit *commits, ib_table **next, fz_error *err)
{
    for (uint32_t i = 0; i < n; i++) {
        const ib_commit *k = &commits[i];
        ib_table **at = table_find(c, k->id);
        ib_metadata *md;
        if (!at)
            return no_table(k->id, err);
        for (uint32_t j = 0; j < i; j++)
            if (table_find(c, commits[j].id) == at)
                return error_set(err, FZ_INVALID, "table " STR_FMT "." STR_FMT " stands twice in one commit",
                                 STR_ARG(k->id.ns), STR_ARG(k->id.name));
        TRY(ib_requirements_check((*at)->md, k->n_requirements, k->requirements, err));
        if (!k->n_updates) {
            next[i] = ib_table_ref(*at);
            continue;
        }
        TRY(ib_metadata_apply((*at)->md, (*at)->metadata_location, k->n_updates, k->updates, c->base.m, &md, err));
        next[i] = table_new(c, k->id, md);
        if (!next[i])
            return error_nomem(err);
    }
    TRY(fault_point("catalog.before_cas", err));
    for (uint32_t i = 0; i < n; i++) {
        ib_table **at = table_find(c, commits[i].id);
        ib_table_unref(*at);
        *at = ib_table_ref(next[i]);
    }
    return FZ_OK;
}

static fz_status commit(ib_catalog *b, uint32_t n, const ib_commit *commits, ib_table *const *base, ib_table **out,
                        fz_error *err)
{
    memory_catalog *c = of(b);
    ib_table **next = mem_zalloc(b->m, (n + 1) * sizeof *next);
    if (!next)
        return error_nomem(err);
    pthread_mutex_lock(&c->lock);
    fz_status st = commit_all(c, n, commits, next, err);
    pthread_mutex_unlock(&c->lock);
    for (uint32_t i = 0; i < n; i++) {
        if (st == FZ_OK)
            out[i] = next[i];
        else
            ib_table_unref(next[i]);
    }
    mem_free(b->m, next, (n + 1) * sizeof *next);
    return st;
}

/* ---- the queue, among the threads of this process ---- */

static queue_entry *queue_find(memory_catalog *c, ib_ident id)
{
    for (queue_entry *q = c->queues; q; q = q->link)
        if (str_eqz(id.name, q->of->name) && str_eqz(id.ns, q->of->ns))
            return q;
    ib_table **t = table_find(c, id);
    queue_entry *q = t ? ARENA_NEW(&c->mem, queue_entry) : NULL;
    if (!q)
        return NULL;
    q->of = ib_table_ref(*t);
    q->link = c->queues;
    c->queues = q;
    return q;
}

static fz_status queue_lock(ib_catalog *b, ib_ident id, int64_t timeout_ms, void **token, fz_error *err)
{
    memory_catalog *c = of(b);
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += timeout_ms < 0 ? 0 : timeout_ms / 1000;
    until.tv_nsec += timeout_ms < 0 ? 0 : timeout_ms % 1000 * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    fz_status st = FZ_OK;
    *token = NULL;
    pthread_mutex_lock(&c->lock);
    queue_entry *q = queue_find(c, id);
    waiter me = {0}, **at;
    if (q && q->held) {
        for (at = &q->waiting; *at; at = &(*at)->next)
            ;
        *at = &me;
        int rc = 0;
        while (!me.granted && rc == 0)
            rc = timeout_ms < 0 ? pthread_cond_wait(&c->turn, &c->lock)
                                : pthread_cond_clockwait(&c->turn, &c->lock, CLOCK_MONOTONIC, &until);
        if (!me.granted) {
            for (at = &q->waiting; *at != &me; at = &(*at)->next)
                ;
            *at = me.next;
            st = error_set(err, FZ_BUSY, "other writers kept the table busy for %lld ms", (long long)timeout_ms);
        }
    }
    if (q && st == FZ_OK) {
        q->held = true;
        *token = q;
    }
    pthread_mutex_unlock(&c->lock);
    return st;
}

static void queue_unlock(ib_catalog *b, void *token)
{
    memory_catalog *c = of(b);
    queue_entry *q = token;
    if (!q)
        return;
    pthread_mutex_lock(&c->lock);
    waiter *next = q->waiting;
    if (next) { /* it stays held: by the next one */
        q->waiting = next->next;
        next->granted = true;
        pthread_cond_broadcast(&c->turn);
    } else {
        q->held = false;
    }
    pthread_mutex_unlock(&c->lock);
}

/* ---- opening and closing ---- */

static void close_catalog(ib_catalog *b)
{
    memory_catalog *c = of(b);
    file_io_unref(b->io);
    for (uint32_t i = 0; i < c->n_tables; i++)
        ib_table_unref(c->tables[i]);
    for (queue_entry *q = c->queues; q; q = q->link)
        ib_table_unref(q->of);
    mem_free(b->m, c->tables, c->cap_tables * sizeof *c->tables);
    mem_free(b->m, c->spaces, c->cap_spaces * sizeof *c->spaces);
    arena_free(&c->mem);
    pthread_cond_destroy(&c->turn);
    pthread_mutex_destroy(&c->lock);
    mem_free(b->m, c, sizeof *c);
}

static const ib_catalog_ops ops = {
    .kind = "memory",
    .close = close_catalog,
    .list_namespaces = list_namespaces,
    .namespace_exists = namespace_exists,
    .create_namespace = create_namespace,
    .drop_namespace = drop_namespace,
    .namespace_props = namespace_props,
    .change_namespace_props = change_namespace_props,
    .list_tables = list_tables,
    .load_table = load_table,
    .default_location = default_location,
    .create_table = create_table,
    .register_table = register_table,
    .drop_table = drop_table,
    .rename_table = rename_table,
    .commit = commit,
    .queue_lock = queue_lock,
    .queue_unlock = queue_unlock,
};

fz_status memory_catalog_open(const char *warehouse, mem *m, ib_catalog **out, fz_error *err)
{
    memory_catalog *c = mem_zalloc(m, sizeof *c);
    if (!c)
        return error_nomem(err);
    c->base = (ib_catalog){.ops = &ops, .m = m};
    arena_init(&c->mem, m);
    pthread_mutex_init(&c->lock, NULL);
    pthread_cond_init(&c->turn, NULL);
    if (!warehouse)
        warehouse = "memory:///warehouse";
    c->warehouse = (str){arena_strndup(&c->mem, warehouse, strlen(warehouse)), strlen(warehouse)};
    if (!c->warehouse.p) {
        close_catalog(&c->base);
        return error_nomem(err);
    }
    *out = &c->base;
    return FZ_OK;
}
