/*
 * bytes_encode.h: writing byte arrays as DELTA_LENGTH_BYTE_ARRAY and DELTA_BYTE_ARRAY.
 *
 *   DELTA_LENGTH_BYTE_ARRAY   lengths (DELTA_BINARY_PACKED), then the bytes of all values
 *   DELTA_BYTE_ARRAY          bytes each value shares with the one before (DELTA_BINARY_PACKED), then what
 *                             follows them, as DELTA_LENGTH_BYTE_ARRAY
 *
 * Decoding is format/parquet/values.c's, over delta.h: its values are views of the page.
 */
#ifndef CODEC_BYTES_ENCODE_H
#define CODEC_BYTES_ENCODE_H

#include <stddef.h>
#include <stdint.h>

/* Value i is at data + off[i], of len[i] bytes. */
typedef struct byte_values {
    const uint8_t *data;
    const uint32_t *off, *len;
    size_t n;
} byte_values;

/* Bytes that the values take at most in either encoding; `bytes` is the sum of their lengths. */
size_t bytes_bound(size_t n, size_t bytes);
/* `scratch` has room for 2 n int64_t. Return the bytes used. */
size_t bytes_encode_lengths(const byte_values *v, int64_t *scratch, uint8_t *out);
size_t bytes_encode_prefixes(const byte_values *v, int64_t *scratch, uint8_t *out);
/* The sum of the bytes that values share with the one before. */
size_t bytes_shared(const byte_values *v);

#endif
