/*
 * delta_encode.h: writing Parquet's DELTA_BINARY_PACKED.
 */
#ifndef CODEC_DELTA_ENCODE_H
#define CODEC_DELTA_ENCODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes that n values take at most, slack of the kernels included. */
size_t delta_bound(size_t n);
/* Writes n values as INT64, or as INT32 where `narrow` (all of them fit then: differences are
 * taken modulo 2^32). Returns the bytes used. */
size_t delta_encode(const int64_t *v, size_t n, bool narrow, uint8_t *out);

#endif
