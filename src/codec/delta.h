/*
 * delta.h: Parquet's DELTA_BINARY_PACKED: integers as bit-packed differences.
 *
 *   header   varint values per block (a multiple of 128), varint miniblocks per block,
 *            varint number of values, zigzag first value
 *   block    zigzag least delta, one width byte per miniblock, then the miniblocks: deltas less
 *            the least one, bit-packed with that width
 *
 * Sums wrap around, as the format says. Miniblocks behind the last value may be missing, their
 * widths may be anything. A delta_reader streams in pieces of any size.
 */
#ifndef CODEC_DELTA_H
#define CODEC_DELTA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct delta_reader {
    const uint8_t *at, *end;  /* at: the next block, or the next miniblock's bytes */
    uint64_t total, left;     /* values in all; values not yet read */
    uint32_t minis;           /* miniblocks per block */
    uint32_t per_mini;        /* values per miniblock, a multiple of 32 */
    bool first;               /* the next value is `last` itself */
    int64_t last;
    int64_t least;            /* of the current block */
    const uint8_t *widths;    /* of the current block */
    uint32_t mini;            /* next miniblock of the block; == minis: a block header comes */
    const uint8_t *bits;      /* current miniblock */
    unsigned width;
    uint32_t pos, mini_left;  /* in it: next value, values left */
} delta_reader;

/* BITUNPACK_SLACK bytes behind p + n must be readable. False: malformed header. */
bool delta_init(delta_reader *r, const uint8_t *p, size_t n);
/* The next n values, modulo 2^64 or 2^32; the number that there were (fewer: malformed). */
size_t delta_read64(delta_reader *r, int64_t *dst, size_t n);
size_t delta_read32(delta_reader *r, int32_t *dst, size_t n);
/* As delta_read64 without storing. */
size_t delta_skip(delta_reader *r, size_t n);
/* The end of the whole sequence, found without decoding it; NULL: malformed. */
const uint8_t *delta_end(const delta_reader *r);

#endif
