/*
 * delta_encode.c: DELTA_BINARY_PACKED.
 *
 *   header  varint(block size) varint(miniblocks per block) varint(count) zigzag(first value)
 *   block   zigzag(smallest difference) one width byte per miniblock, then the miniblocks:
 *           difference - smallest, bit-packed
 *
 * Blocks have 128 values in four miniblocks of 32. In the last block the widths of miniblocks
 * without values are 0 and nothing is written for them; one that is partly filled is padded
 * with zeros, as the format asks.
 */
#include "codec/delta_encode.h"

#include "base/clones.h"
#include "codec/bitpack_encode.h"

enum { BLOCK = 128, MINI = 32, MINIS = BLOCK / MINI };

static size_t put_varint(uint64_t v, uint8_t *out)
{
    size_t n = 0;
    for (; v >= 0x80; v >>= 7)
        out[n++] = (uint8_t)(v | 0x80);
    out[n++] = (uint8_t)v;
    return n;
}

static size_t put_zigzag(int64_t v, uint8_t *out)
{
    return put_varint((uint64_t)v << 1 ^ (uint64_t)(v >> 63), out);
}

size_t delta_bound(size_t n)
{
    size_t blocks = n / BLOCK + 1;
    return 32 + blocks * (10 + MINIS + BLOCK * 8) + BITPACK_SLACK;
}

/* d[k] = v[k] - v[k-1] for a whole block; returns the smallest. */
CLONES
static int64_t block_differences(const int64_t *restrict v, int64_t *restrict d, bool narrow)
{
    int64_t min = INT64_MAX;
    if (narrow)
        for (int k = 0; k < BLOCK; k++)
            d[k] = (int32_t)(uint32_t)((uint64_t)v[k] - (uint64_t)v[k - 1]);
    else
        for (int k = 0; k < BLOCK; k++)
            d[k] = (int64_t)((uint64_t)v[k] - (uint64_t)v[k - 1]);
    for (int k = 0; k < BLOCK; k++)
        min = d[k] < min ? d[k] : min;
    return min;
}

/* d[k] -= min, masked; any[m] = the OR of a miniblock's. */
CLONES
static void block_rebase(int64_t *restrict d, int64_t min, uint64_t mask, uint64_t *restrict any)
{
    uint64_t *u = (uint64_t *)d;
    for (int m = 0; m < MINIS; m++) {
        uint64_t all = 0;
        for (int k = 0; k < MINI; k++) {
            uint64_t x = (u[m * MINI + k] - (uint64_t)min) & mask;
            u[m * MINI + k] = x;
            all |= x;
        }
        any[m] = all;
    }
}

static uint8_t *put_block(int64_t *d, size_t n, int64_t min, bool narrow, uint8_t *out)
{
    uint64_t any[MINIS];
    uint8_t *widths;
    block_rebase(d, min, narrow ? UINT32_MAX : UINT64_MAX, any);
    out += put_zigzag(min, out);
    widths = out;
    out += MINIS;
    for (size_t m = 0; m < MINIS; m++) {
        widths[m] = 0;
        if (m * MINI < n) {
            widths[m] = (uint8_t)bit_width_u64(any[m]);
            out += bitpack_u64((uint64_t *)d + m * MINI, MINI, widths[m], out);
        }
    }
    return out;
}

size_t delta_encode(const int64_t *v, size_t n, bool narrow, uint8_t *out)
{
    uint8_t *start = out;
    int64_t d[BLOCK];
    out += put_varint(BLOCK, out);
    out += put_varint(MINIS, out);
    out += put_varint(n, out);
    out += put_zigzag(n ? v[0] : 0, out);
    size_t i = 1;
    for (; i + BLOCK <= n; i += BLOCK) {
        int64_t min = block_differences(v + i, d, narrow);
        out = put_block(d, BLOCK, min, narrow, out);
    }
    if (i < n) {
        size_t left = n - i;
        int64_t min = INT64_MAX;
        for (size_t k = 0; k < left; k++) {
            uint64_t x = (uint64_t)v[i + k] - (uint64_t)v[i + k - 1];
            d[k] = narrow ? (int32_t)(uint32_t)x : (int64_t)x;
            min = d[k] < min ? d[k] : min;
        }
        for (size_t k = left; k < BLOCK; k++)
            d[k] = min; /* the padding becomes zero */
        out = put_block(d, left, min, narrow, out);
    }
    return (size_t)(out - start);
}
