/*
 * cache.c: decoded manifest lists and manifests by path.
 *
 * A manifest can be there twice: as its entries, for commits, and as an index, for planning.
 *
 * A hash table of entries, which also stand in a list from the most to the least recently used. Each
 * holds one reference to its ib_decoded. One mutex covers both; files are read and decoded outside of
 * it, so that two threads that miss the same path both read it and the later one's copy
 * replaces the earlier one's. After an insertion entries are dropped from the old end until
 * the bytes fit; what is larger than half the cache isn't kept.
 */
#include "iceberg/manifest/cache.h"
#include "base/hash.h"
#include "iceberg/manifest/index.h"

#include <pthread.h>

typedef struct entry {
    struct entry *chain;           /* of its hash slot */
    struct entry *newer, *older;
    uint64_t hash;
    int64_t cost;
    ib_decoded *d;
} entry;

struct ib_manifest_cache {
    mem *m;
    pthread_mutex_t lock;
    entry **slots;                 /* n_slots, a power of two */
    size_t n_slots, n;
    entry *newest, *oldest;
    int64_t bytes, max_bytes;
};

ib_decoded *ib_decoded_ref(ib_decoded *d)
{
    if (d)
        atomic_fetch_add_explicit(&d->refs, 1, memory_order_relaxed);
    return d;
}

void ib_decoded_unref(ib_decoded *d)
{
    if (!d || atomic_fetch_sub_explicit(&d->refs, 1, memory_order_acq_rel) != 1)
        return;
    mem *m = d->mem.m;
    index_free(d->index);
    arena_free(&d->mem);
    mem_free(m, d, sizeof *d);
}

static ib_decoded *decoded_new(mem *m, str path)
{
    ib_decoded *d = mem_zalloc(m, sizeof *d);
    if (!d)
        return NULL;
    atomic_init(&d->refs, 1);
    arena_init(&d->mem, m);
    d->path = (str){arena_strndup(&d->mem, path.p, path.n), path.n};
    if (!d->path.p) {
        ib_decoded_unref(d);
        return NULL;
    }
    return d;
}

ib_manifest_cache *ib_manifest_cache_new(mem *m, int64_t max_bytes)
{
    ib_manifest_cache *c = mem_zalloc(m, sizeof *c);
    if (!c)
        return NULL;
    c->m = m;
    c->max_bytes = max_bytes;
    c->n_slots = 256;
    c->slots = mem_zalloc(m, c->n_slots * sizeof *c->slots);
    if (!c->slots || pthread_mutex_init(&c->lock, NULL) != 0) {
        mem_free(m, c->slots, c->n_slots * sizeof *c->slots);
        mem_free(m, c, sizeof *c);
        return NULL;
    }
    return c;
}

/* ---- under the lock ---- */

static entry **find(ib_manifest_cache *c, uint64_t hash, str path, bool index)
{
    entry **at = &c->slots[hash & (c->n_slots - 1)];
    while (*at && !((*at)->hash == hash && !(*at)->d->index == !index && str_eq((*at)->d->path, path)))
        at = &(*at)->chain;
    return at;
}

static void unlink_entry(ib_manifest_cache *c, entry *e)
{
    *(e->newer ? &e->newer->older : &c->newest) = e->older;
    *(e->older ? &e->older->newer : &c->oldest) = e->newer;
}

static void link_newest(ib_manifest_cache *c, entry *e)
{
    e->newer = NULL;
    e->older = c->newest;
    *(c->newest ? &c->newest->newer : &c->oldest) = e;
    c->newest = e;
}

static int64_t cost(const ib_decoded *d)
{
    return (int64_t)(d->mem.total + sizeof *d + sizeof(entry) + (d->index ? index_bytes(d->index) : 0));
}

static void drop(ib_manifest_cache *c, entry **at)
{
    entry *e = *at;
    *at = e->chain;
    unlink_entry(c, e);
    c->bytes -= e->cost;
    c->n--;
    ib_decoded_unref(e->d);
    mem_free(c->m, e, sizeof *e);
}

static void grow(ib_manifest_cache *c)
{
    size_t n = c->n_slots * 4;
    entry **slots = mem_zalloc(c->m, n * sizeof *slots);
    if (!slots)
        return;
    for (entry *e = c->newest; e; e = e->older) {
        e->chain = slots[e->hash & (n - 1)];
        slots[e->hash & (n - 1)] = e;
    }
    mem_free(c->m, c->slots, c->n_slots * sizeof *slots);
    c->slots = slots;
    c->n_slots = n;
}

/* ---- */

void ib_manifest_cache_free(ib_manifest_cache *c)
{
    if (!c)
        return;
    while (c->newest)
        drop(c, find(c, c->newest->hash, c->newest->d->path, c->newest->d->index));
    mem_free(c->m, c->slots, c->n_slots * sizeof *c->slots);
    pthread_mutex_destroy(&c->lock);
    mem_free(c->m, c, sizeof *c);
}

/* A new reference, or NULL. */
static ib_decoded *lookup(ib_manifest_cache *c, str path, bool index)
{
    if (!c)
        return NULL;
    uint64_t hash = hash_bytes(path.p, path.n);
    pthread_mutex_lock(&c->lock);
    entry *e = *find(c, hash, path, index);
    ib_decoded *d = NULL;
    if (e) {
        unlink_entry(c, e);
        link_newest(c, e);
        d = ib_decoded_ref(e->d);
    }
    pthread_mutex_unlock(&c->lock);
    return d;
}

/* Keeps d, in place of what has its path; takes a reference of its own. */
static void insert(ib_manifest_cache *c, ib_decoded *d)
{
    if (!c || cost(d) > c->max_bytes / 2)
        return;
    entry *e = mem_alloc(c->m, sizeof *e);
    if (!e)
        return;
    e->hash = hash_bytes(d->path.p, d->path.n);
    e->d = ib_decoded_ref(d);
    e->cost = cost(d);
    pthread_mutex_lock(&c->lock);
    entry **at = find(c, e->hash, d->path, d->index);
    if (*at)
        drop(c, at);
    if (c->n > c->n_slots)
        grow(c);
    at = &c->slots[e->hash & (c->n_slots - 1)];
    e->chain = *at;
    *at = e;
    link_newest(c, e);
    c->n++;
    c->bytes += e->cost;
    while (c->bytes > c->max_bytes)
        drop(c, find(c, c->oldest->hash, c->oldest->d->path, c->oldest->d->index));
    pthread_mutex_unlock(&c->lock);
}

fz_status ib_manifest_list_get(ib_manifest_cache *c, file_io *io, str location, mem *m, ib_decoded **out, fz_error *err)
{
    ib_decoded *d = lookup(c, location, false);
    if (d && d->files) {
        *out = d;
        return FZ_OK;
    }
    ib_decoded_unref(d);
    d = decoded_new(c ? c->m : m, location);
    if (!d)
        return error_nomem(err);
    fz_status st = ib_manifest_list_read(io, d->path.p, m, &d->mem, &d->n, &d->files, err);
    if (st != FZ_OK) {
        ib_decoded_unref(d);
        return st;
    }
    insert(c, d);
    *out = d;
    return FZ_OK;
}

fz_status ib_manifest_get(ib_manifest_cache *c, const ib_manifest_file *mf, const ib_metadata *md, bool want_stats,
                          mem *m, ib_decoded **out, fz_error *err)
{
    ib_decoded *d = lookup(c, mf->path, false);
    if (d && d->entries && (d->has_stats || !want_stats) && d->sequence_number == mf->sequence_number) {
        *out = d;
        return FZ_OK;
    }
    ib_decoded_unref(d);
    d = decoded_new(c ? c->m : m, mf->path);
    if (!d)
        return error_nomem(err);
    d->has_stats = want_stats;
    d->sequence_number = mf->sequence_number;
    fz_status st = ib_manifest_read(mf, md, want_stats, m, &d->mem, &d->n, &d->entries, err);
    if (st != FZ_OK) {
        ib_decoded_unref(d);
        return st;
    }
    insert(c, d);
    *out = d;
    return FZ_OK;
}

fz_status ib_manifest_index_get(ib_manifest_cache *c, const ib_manifest_file *mf, const ib_metadata *md, mem *m, ib_decoded **out,
                                fz_error *err)
{
    ib_decoded *d = lookup(c, mf->path, true);
    if (!d && (d = lookup(c, mf->path, false)) && !(d->entries && d->has_stats)) {
        ib_decoded_unref(d);
        d = NULL;
    }
    if (d && d->sequence_number == mf->sequence_number) {
        *out = d;
        return FZ_OK;
    }
    ib_decoded_unref(d);
    if (!(d = decoded_new(c ? c->m : m, mf->path)))
        return error_nomem(err);
    d->sequence_number = mf->sequence_number;
    buf *data = NULL;
    char *location;
    fz_status st = manifest_load(md->io, mf, &d->mem, m, &location, &data, err);
    if (st == FZ_OK)
        st = index_build(data->data, data->size, location, mf, md, d, err);
    buf_unref(data);
    if (st != FZ_OK) {
        ib_decoded_unref(d);
        return st;
    }
    insert(c, d);
    *out = d;
    return FZ_OK;
}

void ib_manifest_index_grew(ib_manifest_cache *c, const ib_decoded *d, size_t bytes)
{
    if (!c || !bytes)
        return;
    uint64_t hash = hash_bytes(d->path.p, d->path.n);
    pthread_mutex_lock(&c->lock);
    entry *e = *find(c, hash, d->path, true);
    if (e && e->d == d) {
        e->cost += (int64_t)bytes;
        c->bytes += (int64_t)bytes;
        while (c->bytes > c->max_bytes)
            drop(c, find(c, c->oldest->hash, c->oldest->d->path, c->oldest->d->index));
    }
    pthread_mutex_unlock(&c->lock);
}

/* ---- copies of what was written ---- */

static bool copy_str(arena *a, str *s)
{
    if (s->n == 0)
        return true;
    s->p = arena_strndup(a, s->p, s->n);
    return s->p != NULL;
}

static bool copy_array(arena *a, void *field, size_t n, size_t size)
{
    void *from, *to;
    if (n == 0)
        return true;
    memcpy(&from, field, sizeof from);
    if (!(to = arena_alloc(a, n * size)))
        return false;
    memcpy(to, from, n * size);
    memcpy(field, &to, sizeof to);
    return true;
}

static bool copy_manifest_file(arena *a, ib_manifest_file *f)
{
    bool ok = copy_str(a, &f->path) && copy_str(a, &f->key_metadata) &&
              copy_array(a, &f->partitions, f->n_partitions, sizeof *f->partitions);
    for (uint32_t i = 0; ok && i < f->n_partitions; i++)
        ok = copy_str(a, &f->partitions[i].lower) && copy_str(a, &f->partitions[i].upper);
    return ok;
}

static bool copy_data_file(arena *a, ib_data_file *f)
{
    bool ok = copy_str(a, &f->file_path) && copy_str(a, &f->file_format) && copy_str(a, &f->key_metadata) &&
              copy_str(a, &f->referenced_data_file) && copy_array(a, &f->partition, f->n_partition, sizeof *f->partition) &&
              copy_array(a, &f->stats, f->n_stats, sizeof *f->stats) &&
              copy_array(a, &f->split_offsets, f->n_splits, sizeof *f->split_offsets) &&
              copy_array(a, &f->equality_ids, f->n_equality, sizeof *f->equality_ids);
    for (uint32_t i = 0; ok && i < f->n_partition; i++)
        if (!f->partition[i].null && type_phys(f->partition[i].t) == PHYS_STR)
            ok = copy_str(a, &f->partition[i].s);
    for (uint32_t i = 0; ok && i < f->n_stats; i++)
        ok = copy_str(a, &f->stats[i].lower) && copy_str(a, &f->stats[i].upper);
    return ok;
}

void ib_manifest_list_put(ib_manifest_cache *c, str location, uint32_t n, const ib_manifest_file *files)
{
    ib_decoded *d = c ? decoded_new(c->m, location) : NULL;
    if (!d)
        return;
    d->n = n;
    d->files = arena_alloc(&d->mem, (n + 1) * sizeof *files);
    bool ok = d->files != NULL;
    for (uint32_t i = 0; ok && i < n; i++) {
        d->files[i] = files[i];
        ok = copy_manifest_file(&d->mem, &d->files[i]);
    }
    if (ok)
        insert(c, d);
    ib_decoded_unref(d);
}

void ib_manifest_put(ib_manifest_cache *c, const ib_manifest_file *mf, uint32_t n, const ib_manifest_entry *entries)
{
    ib_decoded *d = c ? decoded_new(c->m, mf->path) : NULL;
    if (!d)
        return;
    d->n = n;
    d->has_stats = true;
    d->sequence_number = mf->sequence_number;
    d->entries = arena_alloc(&d->mem, (n + 1) * sizeof *entries);
    bool ok = d->entries != NULL;
    for (uint32_t i = 0; ok && i < n; i++) {
        ib_manifest_entry *e = &d->entries[i];
        *e = entries[i];
        if (e->snapshot_id < 0)
            e->snapshot_id = mf->added_snapshot_id;
        if (e->sequence_number < 0)
            e->sequence_number = mf->sequence_number;
        if (e->file_sequence_number < 0)
            e->file_sequence_number = mf->sequence_number;
        ok = copy_data_file(&d->mem, &e->file);
    }
    if (ok)
        insert(c, d);
    ib_decoded_unref(d);
}
