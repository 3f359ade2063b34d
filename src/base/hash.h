/*
 * hash.h: 64-bit hashes for hash tables (not stored, not portable between versions), and a
 * small string map. Hashes that a format fixes (Murmur3 of Iceberg's bucket transform, xxHash
 * of Parquet's Bloom filters) live with that format.
 */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include "base/str.h"

uint64_t hash_bytes(const void *p, size_t n); /* xxh3 */
static inline uint64_t hash_u64(uint64_t x)
{
    x ^= x >> 32;
    x *= 0xd6e8feb86659fd93u;
    x ^= x >> 32;
    x *= 0xd6e8feb86659fd93u;
    x ^= x >> 32;
    return x;
}
static inline uint64_t hash_mix(uint64_t a, uint64_t b)
{
    return hash_u64(a * 0x9e3779b97f4a7c15u + b);
}

/* A map from strings to pointers; keys are copied into the arena that was given at init. */
typedef struct strmap {
    arena *a;
    struct strmap_slot { str key; uint64_t hash; void *value; } *slots;
    size_t n, cap;
} strmap;

void strmap_init(strmap *m, arena *a);
/* The address of the value, inserted as NULL where it is missing; NULL: no memory. */
void **strmap_put(strmap *m, str key);
void *strmap_get(const strmap *m, str key); /* NULL: not there */

#endif
