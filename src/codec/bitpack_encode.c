/*
 * bitpack_encode.c: packing integers into fields of a fixed number of bits.
 *
 * Eight values of w bits are w whole bytes. So up to 8 bits a group of eight is one word that
 * needs no carry at all. Wider fields go through an accumulator that holds less than a byte
 * between steps: a step shifts in as many values as fit into the 57 bits above it, stores the
 * word whole and advances by the whole bytes in it. There are no branches within a loop and no
 * tables by width.
 *
 * The same text serves 32- and 64-bit lanes.
 */
#include "codec/bitpack_encode.h"

#include <string.h>

static inline void store_le64(uint8_t *p, uint64_t v)
{
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    v = __builtin_bswap64(v);
#endif
    memcpy(p, &v, 8);
}

/* One step: `bits` more bits in x. */
#define PUT(x, bits)                   \
    do {                               \
        acc |= (uint64_t)(x) << have;  \
        have += (bits);                \
        store_le64(out, acc);          \
        out += have >> 3;              \
        acc >>= have & 56;             \
        have &= 7;                     \
    } while (0)

#define PACK_NARROW                                                                                \
    for (size_t i = 0; i < n; i += 8) {                                                            \
        uint64_t a = (uint64_t)v[i] | (uint64_t)v[i + 1] << w | (uint64_t)v[i + 2] << 2 * w |      \
                     (uint64_t)v[i + 3] << 3 * w;                                                  \
        uint64_t b = (uint64_t)v[i + 4] | (uint64_t)v[i + 5] << w | (uint64_t)v[i + 6] << 2 * w |  \
                     (uint64_t)v[i + 7] << 3 * w;                                                  \
        store_le64(out, a | b << 4 * w);                                                           \
        out += w;                                                                                  \
    }

#define PACK_QUADS                                                                           \
    for (size_t i = 0; i < n; i += 4)                                                              \
        PUT((uint64_t)v[i] | (uint64_t)v[i + 1] << w | (uint64_t)v[i + 2] << 2 * w |               \
                (uint64_t)v[i + 3] << 3 * w, 4 * w);

#define PACK_PAIRS                                                                           \
    for (size_t i = 0; i < n; i += 2)                                                              \
        PUT((uint64_t)v[i] | (uint64_t)v[i + 1] << w, 2 * w);

#define PACK_SINGLES                                                                         \
    for (size_t i = 0; i < n; i++)                                                                 \
        PUT(v[i], w);

size_t bitpack_u32(const uint32_t *v, size_t n, unsigned w, uint8_t *out)
{
    uint8_t *start = out;
    uint64_t acc = 0;
    unsigned have = 0;
    if (w == 0)
        return 0;
    if (w <= 8) {
        PACK_NARROW
    } else if (w <= 14) {
        PACK_QUADS
    } else if (w <= 28) {
        PACK_PAIRS
    } else {
        PACK_SINGLES
    }
    return (size_t)(out - start);
}

size_t bitpack_u64(const uint64_t *v, size_t n, unsigned w, uint8_t *out)
{
    uint8_t *start = out;
    uint64_t acc = 0;
    unsigned have = 0;
    if (w == 0)
        return 0;
    if (w <= 8) {
        PACK_NARROW
    } else if (w <= 14) {
        PACK_QUADS
    } else if (w <= 28) {
        PACK_PAIRS
    } else if (w <= 56) {
        PACK_SINGLES
    } else {
        for (size_t i = 0; i < n; i++) {
            PUT(v[i] & 0xffffffff, 32);
            PUT(v[i] >> 32, w - 32);
        }
    }
    return (size_t)(out - start);
}
