/*
 * murmur.h: Murmur3, 32 bits for x86, seed 0 (spec, "Appendix B"), and what it is fed for each type.
 */
#ifndef ICEBERG_MURMUR_H
#define ICEBERG_MURMUR_H

#include "arrow/type.h"

static inline uint32_t murmur_rotl(uint32_t x, int r) { return x << r | x >> (32 - r); }

static inline uint32_t murmur_block(uint32_t h, uint32_t k)
{
    k *= 0xcc9e2d51u;
    k = murmur_rotl(k, 15);
    h ^= k * 0x1b873593u;
    return murmur_rotl(h, 13) * 5 + 0xe6546b64u;
}

static inline uint32_t murmur_final(uint32_t h, uint32_t len)
{
    h ^= len;
    h ^= h >> 16;
    h *= 0x85ebca6bu;
    h ^= h >> 13;
    h *= 0xc2b2ae35u;
    return h ^ h >> 16;
}

/* Of the eight little-endian bytes of a long: int, long, date, time and timestamps alike. */
static inline uint32_t murmur_i64(int64_t v)
{
    return murmur_final(murmur_block(murmur_block(0, (uint32_t)v), (uint32_t)((uint64_t)v >> 32)), 8);
}

/* The fewest bytes that hold v in two's complement, big-endian; returns how many (1..16). */
static inline int minimal_bytes(i128 v, uint8_t out[16])
{
    int n = 16;
    while (n > 1) {
        uint8_t top = (uint8_t)((u128)v >> (8 * (n - 1)));
        bool next = (u128)v >> (8 * (n - 1) - 1) & 1;
        if (!(top == 0 && !next) && !(top == 0xff && next))
            break;
        n--;
    }
    for (int i = 0; i < n; i++)
        out[i] = (uint8_t)((u128)v >> (8 * (n - 1 - i)));
    return n;
}

#endif
