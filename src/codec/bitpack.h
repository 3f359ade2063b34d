/*
 * bitpack.h: values of 0 to 64 bits packed one after another, least significant bit first.
 *
 * Value i of a sequence lies at bits [i*width, (i+1)*width) of the little-endian byte sequence.
 * Groups of eight values start at byte boundaries. The kernels load whole words, so that
 * BITUNPACK_SLACK bytes behind the last packed byte must be readable (BUF_PAD covers it).
 */
#ifndef CODEC_BITPACK_H
#define CODEC_BITPACK_H

#include <stddef.h>
#include <stdint.h>

#define BITUNPACK_SLACK 64

/* Values [first, first+n) of the sequence at src. bitunpack32: width ≤ 32; bitunpack64: ≤ 64. */
void bitunpack32(const uint8_t *src, uint64_t first, unsigned width, uint32_t *dst, size_t n);
void bitunpack64(const uint8_t *src, uint64_t first, unsigned width, uint64_t *dst, size_t n);
/* The same with the kernels of one instruction set, which must be at most the best one. */
typedef enum bitunpack_isa { BITUNPACK_SCALAR, BITUNPACK_AVX2, BITUNPACK_AVX512 } bitunpack_isa;
bitunpack_isa bitunpack_best(void);
void bitunpack32_with(bitunpack_isa isa, const uint8_t *src, uint64_t first, unsigned width, uint32_t *dst, size_t n);
void bitunpack64_with(bitunpack_isa isa, const uint8_t *src, uint64_t first, unsigned width, uint64_t *dst, size_t n);

/* Values [first, first+n) of a sequence packed most significant bit first, as the deprecated level encoding
 * BIT_PACKED has them (width ≤ 32), of `bytes` bytes; the number that there were. Needs no slack. */
size_t bitunpack_msb(const uint8_t *src, size_t bytes, uint64_t first, unsigned width, uint32_t *dst, size_t n);

/* Bits [first, first+n) of src as a bitmap at bits [at, at+n) of dst, whose other bits stay;
 * the number of ones. */
size_t bits_copy(const uint8_t *src, uint64_t first, uint64_t *dst, size_t at, size_t n);
void bits_fill(uint64_t *dst, size_t at, size_t n);  /* with ones */
void bits_clear(uint64_t *dst, size_t at, size_t n); /* with zeros */
size_t bits_ones(const uint8_t *src, uint64_t first, size_t n);

#endif
