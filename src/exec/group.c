/*
 * group.c: see group_int.h. Linear probing at a load of at most a half; the slots hold the upper 32 bits of the
 * hash: they say where a row belongs, so that growing doesn't look at rows, and rows are looked at only where
 * those bits agree. Batches look up in two passes: the first
 * fetches the slots' cache lines, the second compares.
 */
#include "exec/group_int.h"

#include "base/hash.h"

#define CHUNK_ROWS (1u << GROUP_CHUNK_LOG2)
#define GROUPS_MAX 0xfffffff0u

void group_table_init(group_table *g, const row_layout *key, uint32_t state_bytes, mem *m)
{
    *g = (group_table){.m = m, .key = key, .width = group_states_at(key) + ((state_bytes + 15) & ~15u)};
    arena_init(&g->text, m);
}

void group_table_free(group_table *g)
{
    for (uint32_t i = 0; i < g->nchunks; i++)
        mem_free(g->m, g->chunks[i], (size_t)CHUNK_ROWS * g->width);
    mem_free(g->m, g->chunks, g->capchunks * sizeof *g->chunks);
    mem_free(g->m, g->slots, g->cap * sizeof *g->slots);
    arena_free(&g->text);
    *g = (group_table){0};
}

int64_t group_bytes(const group_table *g) { return g->bytes + (int64_t)g->text.total; }

static fz_status chunk_add(group_table *g, fz_error *err)
{
    if (g->nchunks == g->capchunks) {
        uint32_t cap = g->capchunks ? g->capchunks * 2 : 16;
        uint8_t **c = mem_resize(g->m, g->chunks, g->capchunks * sizeof *c, cap * sizeof *c);
        if (!c)
            return error_nomem(err);
        g->chunks = c;
        g->capchunks = cap;
    }
    uint8_t *p = mem_alloc(g->m, (size_t)CHUNK_ROWS * g->width);
    if (!p)
        return error_nomem(err);
    g->chunks[g->nchunks++] = p;
    g->bytes += (int64_t)CHUNK_ROWS * g->width;
    return FZ_OK;
}

fz_status group_append(group_table *g, uint8_t **row, fz_error *err)
{
    if (g->n >= GROUPS_MAX)
        return error_set(err, FZ_LIMIT, "more than %u rows in a hash table", GROUPS_MAX);
    if (g->n == g->nchunks * CHUNK_ROWS)
        TRY(chunk_add(g, err));
    *row = group_row(g, g->n++);
    return FZ_OK;
}

static fz_status slots_grow(group_table *g, uint64_t cap, fz_error *err)
{
    uint64_t *s = mem_zalloc(g->m, cap * sizeof *s);
    if (!s)
        return error_nomem(err);
    for (uint64_t i = 0; i < g->cap; i++) {
        if (!g->slots[i])
            continue;
        uint64_t at = g->slots[i] >> 32 & (cap - 1);
        while (s[at])
            at = (at + 1) & (cap - 1);
        s[at] = g->slots[i];
    }
    mem_free(g->m, g->slots, g->cap * sizeof *s);
    g->bytes += (int64_t)((cap - g->cap) * sizeof *s);
    g->slots = s;
    g->cap = cap;
    return FZ_OK;
}

fz_status group_reserve(group_table *g, uint64_t n, fz_error *err)
{
    uint64_t cap = 1024;
    while (cap < n * 2)
        cap *= 2;
    return cap > g->cap ? slots_grow(g, cap, err) : FZ_OK;
}

void group_prefetch(const group_table *g, uint64_t hash)
{
    if (g->cap)
        __builtin_prefetch(&g->slots[hash >> 32 & (g->cap - 1)]);
}

static fz_status group_new(group_table *g, const uint8_t *key, uint64_t hash, uint64_t at, uint8_t **row, fz_error *err)
{
    uint32_t number = g->n;
    TRY(group_append(g, row, err));
    memcpy(*row, &hash, 8);
    memset(*row + 8, 0, 8);
    memcpy(*row + GROUP_KEY, key, g->key->width);
    uint32_t end = GROUP_KEY + g->key->width;
    memset(*row + end, 0, g->width - end);
    if (g->key->text)
        TRY(row_own(g->key, *row + GROUP_KEY, &g->text, err));
    g->slots[at] = (hash >> 32 << 32) | (number + 1u);
    return FZ_OK;
}

static inline bool key_eq(const group_table *g, const uint8_t *a, const uint8_t *b)
{
    const row_layout *l = g->key;
    if (l->text)
        return row_eq(l, a, b);
    const uint64_t *x = (const uint64_t *)a, *y = (const uint64_t *)b;
    uint64_t diff = 0;
    for (uint32_t i = 0; i < l->width / 8; i++)
        diff |= x[i] ^ y[i];
    return diff == 0;
}

static inline uint8_t *probe(const group_table *g, const uint8_t *key, uint64_t hash, uint64_t *slot)
{
    uint64_t at = hash >> 32 & (g->cap - 1);
    for (uint64_t s; (s = g->slots[at]); at = (at + 1) & (g->cap - 1)) {
        if (s >> 32 != hash >> 32)
            continue;
        uint8_t *row = group_row(g, (uint32_t)s - 1);
        if (key_eq(g, row + GROUP_KEY, key))
            return row;
    }
    *slot = at;
    return NULL;
}

fz_status group_find_add(group_table *g, const uint8_t *key, uint64_t hash, uint8_t **row, fz_error *err)
{
    if ((g->n + 1ull) * 2 > g->cap)
        TRY(slots_grow(g, g->cap ? g->cap * 2 : 1024, err));
    uint64_t at = 0;
    *row = probe(g, key, hash, &at);
    return *row ? FZ_OK : group_new(g, key, hash, at, row, err);
}

uint8_t *group_find(const group_table *g, const uint8_t *key, uint64_t hash)
{
    uint64_t at;
    return g->cap ? probe(g, key, hash, &at) : NULL;
}

fz_status group_find_add_all(group_table *g, const uint8_t *keys, size_t stride, const uint64_t *hashes, uint32_t n, uint8_t **rows, fz_error *err)
{
    uint64_t need = (g->n + (uint64_t)n) * 2, cap = g->cap ? g->cap : 1024;
    bool small = need <= 32768; /* room for all at once; else growth follows the rows that are new */
    while (cap < (small ? need : (g->n + 1ull) * 2))
        cap *= 2;
    if (cap > g->cap)
        TRY(slots_grow(g, cap, err));
    for (uint32_t k = 0; k < n; k++) {
        if (k + 8 < n)
            __builtin_prefetch(&g->slots[hashes[k + 8] >> 32 & (g->cap - 1)]);
        if (k + 4 < n) {
            uint64_t s = g->slots[hashes[k + 4] >> 32 & (g->cap - 1)];
            if (s)
                __builtin_prefetch(group_row(g, (uint32_t)s - 1));
        }
        TRY(group_find_add(g, keys + k * stride, hashes[k], &rows[k], err));
    }
    return FZ_OK;
}

void rows_hash(const row_layout *l, const uint8_t *rows, size_t stride, uint32_t n, uint64_t *out)
{
    for (uint32_t k = 0; k < n; k++)
        out[k] = row_hash(l, rows + k * stride);
}
