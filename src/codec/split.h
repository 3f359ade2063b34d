/*
 * split.h: Parquet's BYTE_STREAM_SPLIT: of n values of `width` bytes, first the first byte of
 * every value, then the second byte of every value, and so on. The bytes aren't fewer, but alike ones lie together,
 * which a compressor sees.
 */
#ifndef CODEC_SPLIT_H
#define CODEC_SPLIT_H

#include <stddef.h>
#include <stdint.h>

/* Values [first, first+n) of the `total` that lie split at src (total * width bytes) to dst, one behind the
 * other; first + n ≤ total is the caller's to check. Widths 4 and 8 are fast, any other is right. */
void split_read(const uint8_t *src, size_t total, unsigned width, size_t first, uint8_t *dst, size_t n);
/* Splits n values; out has n * width bytes and doesn't overlap src. */
void split_write(const uint8_t *src, size_t n, unsigned width, uint8_t *out);

#endif
