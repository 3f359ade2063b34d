/*
 * bloom.h: the split-block Bloom filter of Parquet (BloomFilter.md), over xxHash64 with seed 0.
 *
 * A filter is a power of two (or any number, in files of others) of blocks of 32 bytes: eight words, in each of which
 * a value sets one bit. The upper half of the hash chooses the block, the lower half the bits.
 */
#ifndef CODEC_BLOOM_H
#define CODEC_BLOOM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BLOOM_BLOCK 32
#define BLOOM_BYTES_MAX (128u << 20)

/* Hash of a value's PLAIN bytes (byte arrays without their length). */
uint64_t bloom_hash(const void *p, size_t n);
/* The bytes for `ndv` distinct values and false positives with probability `fpp` (0 < fpp < 1): a power of two
 * between 32 and max (itself cut to a power of two). */
size_t bloom_size(uint64_t ndv, double fpp, size_t max);
/* The filter is `size` bytes, a multiple of BLOOM_BLOCK, zeroed before the first value. */
void bloom_insert(uint8_t *filter, size_t size, uint64_t hash);
void bloom_insert_all(uint8_t *filter, size_t size, const uint64_t *hashes, size_t n);
/* False: certainly none of the values. True too where size is no multiple of a block. */
bool bloom_probe(const uint8_t *filter, size_t size, uint64_t hash);

#endif
