/*
 * rle_encode.h: writing Parquet's RLE/bit-packed hybrid (encodings RLE and RLE_DICTIONARY
 * without the length or width that precede it in a page).
 */
#ifndef CODEC_RLE_ENCODE_H
#define CODEC_RLE_ENCODE_H

#include <stddef.h>
#include <stdint.h>

/* Bytes that n values of `width` bits take at most, slack of the kernels included. */
size_t rle_bound(size_t n, unsigned width);
/* Writes n values below 2^width; returns the bytes used. width 0 to 32. */
size_t rle_encode(const uint32_t *v, size_t n, unsigned width, uint8_t *out);
/* One run of n equal values (n > 0); at most 14 bytes. */
size_t rle_encode_run(uint32_t v, uint64_t n, unsigned width, uint8_t *out);
/* n values of one bit, those of a bitmap from bit `from`: levels and booleans. rle_bound(n, 1).
 * The bitmap is read in whole words. */
size_t rle_encode_bits(const uint64_t *bits, size_t from, size_t n, uint8_t *out);

/* Bits [from, from+64) of a bitmap of `nbits` bits; those past its end are zero. */
static inline uint64_t bits_at(const uint64_t *bits, size_t from, size_t nbits)
{
    size_t w = from >> 6, s = from & 63;
    uint64_t x = bits[w] >> s;
    if (s && (w + 1) * 64 < nbits)
        x |= bits[w + 1] << (64 - s);
    return nbits - from < 64 ? x & ((1ull << (nbits - from)) - 1) : x;
}

#endif
