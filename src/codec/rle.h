/*
 * rle.h: Parquet's RLE / bit-packing hybrid: levels, dictionary codes, booleans.
 *
 * A sequence of runs. A run starts with a varint h: h even: h/2 repetitions of a value of
 * ceil(width/8) bytes; h odd: h/2 groups of eight values, bit-packed. The number of values is
 * not in the bytes; the reader stops when it has enough. The last packed run may be cut short.
 *
 * An rle_reader streams over it in pieces of any size. After rle_run() has returned true,
 * `left` values remain in the current run, equal to `value` unless `packed`.
 */
#ifndef CODEC_RLE_H
#define CODEC_RLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct rle_reader {
    const uint8_t *at, *end; /* at: the next run's header */
    unsigned width;          /* 0..32 */
    bool packed;
    uint32_t value;          /* of a repeated run */
    uint64_t left;
    const uint8_t *bits;     /* of a packed run */
    uint64_t pos;            /* its next value */
} rle_reader;

/* BITUNPACK_SLACK bytes behind p + n must be readable. */
void rle_init(rle_reader *r, const uint8_t *p, size_t n, unsigned width);
/* Makes sure that left > 0. False: no more runs, or a malformed one. */
bool rle_run(rle_reader *r);
/* The next n values; the number that there were (fewer: malformed). */
size_t rle_read(rle_reader *r, uint32_t *dst, size_t n);
size_t rle_skip(rle_reader *r, size_t n);
/* For width 1: the next n values into bits [at, at+n) of dst; *ones counts those set. */
size_t rle_read_bits(rle_reader *r, uint64_t *dst, size_t at, size_t n, size_t *ones);
/* As rle_skip for width 1, counting the ones passed. */
size_t rle_skip_bits(rle_reader *r, size_t n, size_t *ones);

/* The largest of n values, 0 for none. */
uint32_t codes_max(const uint32_t *codes, size_t n);

#endif
