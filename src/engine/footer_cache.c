/* footer_cache.c: a ring of entries, found through an open-addressing table of ring positions. */
#include "engine/footer_cache.h"

#include "base/hash.h"

#include <pthread.h>

typedef struct entry {
    uint64_t hash;
    char *path;          /* NULL: free */
    uint64_t size;
    int64_t mtime_us;
    pq_file *file;
} entry;

struct footer_cache {
    mem *m;
    pthread_mutex_t lock;
    uint32_t cap, next;  /* the ring, and the entry that leaves next */
    entry *ring;
    uint32_t slots;      /* power of two, at least twice cap */
    uint32_t *table;     /* ring position + 1, 0: free; rebuilt when an entry leaves */
};

footer_cache *footer_cache_new(mem *m, uint32_t max_entries)
{
    footer_cache *c = mem_zalloc(m, sizeof *c);
    if (!c)
        return NULL;
    c->m = m;
    c->cap = max_entries;
    c->slots = 16;
    while (c->slots < 2 * max_entries)
        c->slots *= 2;
    c->ring = mem_zalloc(m, sizeof(entry) * c->cap);
    c->table = mem_zalloc(m, sizeof(uint32_t) * c->slots);
    pthread_mutex_init(&c->lock, NULL);
    if (!c->ring || !c->table) {
        footer_cache_free(c);
        return NULL;
    }
    return c;
}

static void entry_clear(footer_cache *c, entry *e)
{
    if (!e->path)
        return;
    pq_close(e->file);
    mem_free(c->m, e->path, strlen(e->path) + 1);
    *e = (entry){0};
}

void footer_cache_free(footer_cache *c)
{
    if (!c)
        return;
    if (c->ring)
        for (uint32_t i = 0; i < c->cap; i++)
            entry_clear(c, &c->ring[i]);
    mem_free(c->m, c->ring, sizeof(entry) * c->cap);
    mem_free(c->m, c->table, sizeof(uint32_t) * c->slots);
    pthread_mutex_destroy(&c->lock);
    mem_free(c->m, c, sizeof *c);
}

static entry *find(footer_cache *c, uint64_t hash, const char *path)
{
    for (uint32_t i = (uint32_t)hash & (c->slots - 1); c->table[i]; i = (i + 1) & (c->slots - 1)) {
        entry *e = &c->ring[c->table[i] - 1];
        if (e->path && e->hash == hash && strcmp(e->path, path) == 0)
            return e;
    }
    return NULL;
}

static void table_add(footer_cache *c, uint32_t pos)
{
    uint32_t i = (uint32_t)c->ring[pos].hash & (c->slots - 1);
    while (c->table[i])
        i = (i + 1) & (c->slots - 1);
    c->table[i] = pos + 1;
}

static void remember(footer_cache *c, uint64_t hash, const char *path, const io_stat_info *info, pq_file *p)
{
    size_t n = strlen(path) + 1;
    char *copy = mem_alloc(c->m, n);
    if (!copy)
        return; /* a cache may forget */
    memcpy(copy, path, n);
    entry *e = &c->ring[c->next];
    bool replaced = e->path != NULL;
    entry_clear(c, e);
    *e = (entry){hash, copy, info->size, info->mtime_us, pq_ref(p)};
    if (replaced) {
        memset(c->table, 0, sizeof(uint32_t) * c->slots);
        for (uint32_t i = 0; i < c->cap; i++)
            if (c->ring[i].path)
                table_add(c, i);
    } else {
        table_add(c, c->next);
    }
    c->next = (c->next + 1) % c->cap;
}

/* What tells one state of a file from another; false: nothing does, so that its footer isn't kept. */
static bool file_state(file_io *io, const io_file *f, bool sized, io_stat_info *info)
{
    *info = (io_stat_info){.size = f->size};
    if (!f->ops->will_read) /* of this machine: asking is cheap */
        return io_stat(io, f->path, info, NULL) == FZ_OK && info->size == f->size;
    info->mtime_us = sized ? 0 : (int64_t)f->version;
    return sized || f->version;
}

fz_status footer_cache_get(footer_cache *c, file_io *io, io_file *f, bool sized, mem *m, pq_file **p, fz_error *err)
{
    io_stat_info info;
    *p = NULL;
    if (c && !file_state(io, f, sized, &info))
        c = NULL;
    uint64_t hash = hash_bytes(f->path, strlen(f->path));
    if (c) {
        pthread_mutex_lock(&c->lock);
        entry *e = find(c, hash, f->path);
        if (e && e->size == info.size && e->mtime_us == info.mtime_us)
            *p = pq_ref(e->file);
        else if (e)
            e->hash = ~e->hash; /* stale: no longer found; leaves with its turn in the ring */
        pthread_mutex_unlock(&c->lock);
        if (*p)
            return FZ_OK;
    }
    /* A footer that is kept is charged to the cache's account, not to the statement's. */
    TRY(pq_open(f, c ? c->m : m, p, err));
    if (c) {
        pthread_mutex_lock(&c->lock);
        if (!find(c, hash, f->path))
            remember(c, hash, f->path, &info, *p);
        pthread_mutex_unlock(&c->lock);
    }
    return FZ_OK;
}

bool footer_cache_has(footer_cache *c, const io_file *f, bool sized)
{
    if (!c || !f->ops->will_read)
        return false;
    pthread_mutex_lock(&c->lock);
    const entry *e = find(c, hash_bytes(f->path, strlen(f->path)), f->path);
    bool has = e && e->size == f->size && e->mtime_us == (sized ? 0 : (int64_t)f->version);
    pthread_mutex_unlock(&c->lock);
    return has;
}

fz_status footer_cache_open(footer_cache *c, file_io *io, const char *path, int64_t size, mem *m, io_file **f, pq_file **p, fz_error *err)
{
    *p = NULL;
    TRY(io_open_sized(io, path, size, m, f, err));
    fz_status st = footer_cache_get(c, io, *f, size >= 0, m, p, err);
    if (st) {
        io_close(*f);
        *f = NULL;
    }
    return st;
}
