/* bloom.c: Parquet's split-block Bloom filter; see bloom.h. */
#include "codec/bloom.h"

#include "base/clones.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <math.h>
#include <string.h>

uint64_t bloom_hash(const void *p, size_t n)
{
    return XXH64(p, n, 0);
}

/* A value's chance of not being there though its eight bits are set follows from the bits a value has: the
 * formula is that of the specification's reference, m = -8 n / ln(1 - fpp^(1/8)). */
size_t bloom_size(uint64_t ndv, double fpp, size_t max)
{
    size_t top = BLOOM_BLOCK, size = BLOOM_BLOCK;
    max = max < BLOOM_BYTES_MAX ? max : BLOOM_BYTES_MAX;
    while (top * 2 <= max)
        top *= 2;
    double bits = -8.0 * (double)ndv / log(1 - pow(fpp, 1.0 / 8));
    while (size < top && (double)size * 8 < bits)
        size *= 2;
    return size;
}

static const uint32_t salt[8] = {0x47b6137bu, 0x44974d91u, 0x8824ad5bu, 0xa2b7289du,
                                 0x705495c7u, 0x2df1424bu, 0x9efc4947u, 0x5c6bfb31u};

static inline uint32_t word_load(const uint8_t *p)
{
    uint32_t v;
    memcpy(&v, p, 4);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    v = __builtin_bswap32(v);
#endif
    return v;
}

static inline void word_store(uint8_t *p, uint32_t v)
{
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    v = __builtin_bswap32(v);
#endif
    memcpy(p, &v, 4);
}

static inline size_t block_of(size_t size, uint64_t hash)
{
    return (size_t)((hash >> 32) * (uint64_t)(size / BLOOM_BLOCK) >> 32) * BLOOM_BLOCK;
}

static inline void insert(uint8_t *block, uint32_t key)
{
    for (int i = 0; i < 8; i++)
        word_store(block + 4 * i, word_load(block + 4 * i) | 1u << (key * salt[i] >> 27));
}

void bloom_insert(uint8_t *filter, size_t size, uint64_t hash)
{
    insert(filter + block_of(size, hash), (uint32_t)hash);
}

CLONES
void bloom_insert_all(uint8_t *filter, size_t size, const uint64_t *hashes, size_t n)
{
    for (size_t k = 0; k < n; k++)
        insert(filter + block_of(size, hashes[k]), (uint32_t)hashes[k]);
}

bool bloom_probe(const uint8_t *filter, size_t size, uint64_t hash)
{
    if (size < BLOOM_BLOCK || size % BLOOM_BLOCK || size / BLOOM_BLOCK > UINT32_MAX)
        return true;
    const uint8_t *block = filter + block_of(size, hash);
    uint32_t key = (uint32_t)hash, missing = 0;
    for (int i = 0; i < 8; i++)
        missing |= ~word_load(block + 4 * i) & 1u << (key * salt[i] >> 27);
    return missing == 0;
}
