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
#define SLOT_AHEAD 16
#define ROW_AHEAD  8

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

void group_table_clear(group_table *g)
{
    for (uint32_t i = 1; i < g->nchunks; i++)
        mem_free(g->m, g->chunks[i], (size_t)CHUNK_ROWS * g->width);
    g->bytes -= (int64_t)(g->nchunks > 1 ? g->nchunks - 1 : 0) * CHUNK_ROWS * g->width;
    g->nchunks = g->nchunks ? 1 : 0;
    g->n = 0;
    if (g->cap)
        memset(g->slots, 0, g->cap * sizeof *g->slots);
    arena_reset(&g->text);
}

static fz_status row_add(group_table *g, uint8_t **row, fz_error *err)
{
    if (g->n >= GROUPS_MAX)
        return error_set(err, FZ_LIMIT, "more than %u groups in a hash table", GROUPS_MAX);
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

static fz_status group_new(group_table *g, const uint8_t *key, uint64_t hash, uint64_t at, uint8_t **row, fz_error *err)
{
    uint32_t number = g->n;
    TRY(row_add(g, row, err));
    memcpy(*row, &hash, 8);
    memcpy(*row + GROUP_KEY, key, g->key->width);
    uint32_t end = GROUP_KEY + g->key->width;
    memset(*row + end, 0, g->width - end);
    if (g->key->text)
        TRY(row_own(g->key, *row + GROUP_KEY, &g->text, err));
    g->slots[at] = (hash >> 32 << 32) | (number + 1u);
    return FZ_OK;
}

/* words: of a key without text, a constant where the compiler can unroll; 0: text. */
static inline __attribute__((always_inline)) bool key_eq(const row_layout *l, uint32_t words, const uint8_t *a, const uint8_t *b)
{
    if (!words)
        return row_eq(l, a, b);
    const uint64_t *x = (const uint64_t *)a, *y = (const uint64_t *)b;
    uint64_t diff = 0;
    for (uint32_t i = 0; i < words; i++)
        diff |= x[i] ^ y[i];
    return diff == 0;
}

static inline __attribute__((always_inline)) uint8_t *probe(const group_table *g, uint32_t words, const uint8_t *key, uint64_t hash, uint64_t *slot)
{
    uint64_t at = hash >> 32 & (g->cap - 1);
    for (uint64_t s; (s = g->slots[at]); at = (at + 1) & (g->cap - 1)) {
        if (s >> 32 != hash >> 32)
            continue;
        uint8_t *row = group_row(g, (uint32_t)s - 1);
        if (key_eq(g->key, words, row + GROUP_KEY, key))
            return row;
    }
    *slot = at;
    return NULL;
}

static inline __attribute__((always_inline)) fz_status find_add(group_table *g, uint32_t words, const uint8_t *key, uint64_t hash, uint8_t **row, fz_error *err)
{
    if ((g->n + 1ull) * 2 > g->cap)
        TRY(slots_grow(g, g->cap ? g->cap * 2 : 1024, err));
    uint64_t at = 0;
    *row = probe(g, words, key, hash, &at);
    return *row ? FZ_OK : group_new(g, key, hash, at, row, err);
}

static inline uint32_t key_words(const row_layout *l) { return l->text ? 0 : l->width / 8; }

fz_status group_find_add(group_table *g, const uint8_t *key, uint64_t hash, uint8_t **row, fz_error *err)
{
    return find_add(g, key_words(g->key), key, hash, row, err);
}

static inline __attribute__((always_inline)) fz_status find_all(group_table *g, uint32_t words, const uint8_t *keys, const uint64_t *hashes,
                                                                const uint16_t *which, uint32_t n, uint8_t **rows, fz_error *err)
{
    size_t stride = g->key->width;
    for (uint32_t k = 0; k < n; k++) {
        uint32_t at = which ? which[k] : k;
        if (k + SLOT_AHEAD < n)
            group_prefetch(g, hashes[which ? which[k + SLOT_AHEAD] : k + SLOT_AHEAD]);
        if (k + ROW_AHEAD < n)
            group_prefetch_row(g, hashes[which ? which[k + ROW_AHEAD] : k + ROW_AHEAD]);
        TRY(find_add(g, words, keys + at * stride, hashes[at], &rows[k], err));
    }
    return FZ_OK;
}

fz_status group_find_add_all(group_table *g, const uint8_t *keys, const uint64_t *hashes, const uint16_t *which, uint32_t n, uint8_t **rows, fz_error *err)
{
    uint64_t need = (g->n + (uint64_t)n) * 2, cap = g->cap ? g->cap : 1024;
    bool small = need <= 32768; /* room for all at once; else growth follows the rows that are new */
    while (cap < (small ? need : (g->n + 1ull) * 2))
        cap *= 2;
    if (cap > g->cap)
        TRY(slots_grow(g, cap, err));
    switch (key_words(g->key)) { /* null bits and a word per number */
    case 2: return find_all(g, 2, keys, hashes, which, n, rows, err);
    case 3: return find_all(g, 3, keys, hashes, which, n, rows, err);
    case 4: return find_all(g, 4, keys, hashes, which, n, rows, err);
    default: return find_all(g, key_words(g->key), keys, hashes, which, n, rows, err);
    }
}
