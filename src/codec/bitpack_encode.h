/*
 * bitpack_encode.h: packing integers into fields of a fixed number of bits, least significant
 * bit first, as Parquet's RLE/bit-packed hybrid and DELTA_BINARY_PACKED have them.
 */
#ifndef CODEC_BITPACK_ENCODE_H
#define CODEC_BITPACK_ENCODE_H

#include <stddef.h>
#include <stdint.h>

/* Bytes that may be written past the packed ones: the kernels store whole words. */
#define BITPACK_SLACK 8

/* Packs n values (a multiple of 8) of `width` bits; higher bits of the values must be zero.
 * Returns the bytes used, n * width / 8; out has BITPACK_SLACK more. width 0 to 32. */
size_t bitpack_u32(const uint32_t *v, size_t n, unsigned width, uint8_t *out);
/* The same for width 0 to 64. */
size_t bitpack_u64(const uint64_t *v, size_t n, unsigned width, uint8_t *out);

/* The bits that v needs; 0 for 0. */
static inline unsigned bit_width_u64(uint64_t v) { return v ? 64 - (unsigned)__builtin_clzll(v) : 0; }

#endif
