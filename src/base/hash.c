/*
 * hash.c: see hash.h. The string map probes linearly in a table that is at most half full;
 * a free slot has a NULL key. Tables that it outgrew stay in the arena (together no larger
 * than the last one).
 */
#include "base/hash.h"

/* The library's inline form: no call through the PLT for the short keys that are the rule. */
#define XXH_INLINE_ALL
#include <xxhash.h>

uint64_t hash_bytes(const void *p, size_t n)
{
    return XXH3_64bits(p, n);
}

void strmap_init(strmap *m, arena *a)
{
    *m = (strmap){.a = a};
}

/* The slot that holds the key, or the free one where it belongs. */
static struct strmap_slot *slot_find(const strmap *m, str key, uint64_t hash)
{
    size_t mask = m->cap - 1, i = hash & mask;
    while (m->slots[i].key.p && !(m->slots[i].hash == hash && str_eq(m->slots[i].key, key)))
        i = (i + 1) & mask;
    return &m->slots[i];
}

static bool strmap_grow(strmap *m)
{
    strmap bigger = {.a = m->a, .n = m->n, .cap = m->cap ? m->cap * 2 : 16};
    bigger.slots = ARENA_ARRAY(m->a, struct strmap_slot, bigger.cap);
    if (!bigger.slots)
        return false;
    for (size_t i = 0; i < m->cap; i++)
        if (m->slots[i].key.p)
            *slot_find(&bigger, m->slots[i].key, m->slots[i].hash) = m->slots[i];
    *m = bigger;
    return true;
}

void **strmap_put(strmap *m, str key)
{
    uint64_t hash = hash_bytes(key.p, key.n);
    struct strmap_slot *s = NULL;
    if (m->cap) {
        s = slot_find(m, key, hash);
        if (s->key.p)
            return &s->value;
    }
    if (m->n * 2 >= m->cap) {
        if (!strmap_grow(m))
            return NULL;
        s = slot_find(m, key, hash);
    }
    char *copy = arena_strndup(m->a, key.p, key.n);
    if (!copy)
        return NULL;
    *s = (struct strmap_slot){.key = {copy, key.n}, .hash = hash};
    m->n++;
    return &s->value;
}

void *strmap_get(const strmap *m, str key)
{
    return m->cap ? slot_find(m, key, hash_bytes(key.p, key.n))->value : NULL;
}
