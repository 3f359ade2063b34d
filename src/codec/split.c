/*
 * split.c: BYTE_STREAM_SPLIT; see split.h.
 *
 * Widths 4 and 8 go 64 values at a time: eight by eight bytes are turned in registers by three steps of
 * exchanging halves (swap 4-byte, 2-byte, 1-byte parts of neighbouring words), which compilers turn into shuffles. Other
 * widths go stream by stream within pieces that stay in the first-level cache.
 */
#include "codec/split.h"

#include "base/clones.h"

#include <string.h>

static inline uint64_t load64(const uint8_t *p)
{
    uint64_t v;
    memcpy(&v, p, 8);
    return v;
}

static inline void store64(uint8_t *p, uint64_t v) { memcpy(p, &v, 8); }

/* Exchanges the bits of *b that `mask` selects with those of *a, `shift` higher. */
#define EXCHANGE(a, b, shift, mask)                      \
    do {                                                 \
        uint64_t t_ = ((a) >> (shift) ^ (b)) & (mask);   \
        (b) ^= t_;                                       \
        (a) ^= t_ << (shift);                            \
    } while (0)

/* x is eight rows of eight bytes, the first byte the lowest: rows become columns. */
static inline void transpose8(uint64_t x[8])
{
    for (int i = 0; i < 4; i++)
        EXCHANGE(x[i], x[i + 4], 32, 0x00000000ffffffffull);
    for (int i = 0; i < 8; i += 4)
        for (int k = 0; k < 2; k++)
            EXCHANGE(x[i + k], x[i + k + 2], 16, 0x0000ffff0000ffffull);
    for (int i = 0; i < 8; i += 2)
        EXCHANGE(x[i], x[i + 1], 8, 0x00ff00ff00ff00ffull);
}

static inline uint64_t little(uint64_t v)
{
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    return __builtin_bswap64(v);
#else
    return v;
#endif
}

CLONES
static size_t read8(const uint8_t *src, size_t total, uint8_t *dst, size_t n)
{
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        uint64_t x[8];
        for (int k = 0; k < 8; k++)
            x[k] = little(load64(src + k * total + i));
        transpose8(x);
        for (int k = 0; k < 8; k++)
            store64(dst + (i + k) * 8, little(x[k]));
    }
    return i;
}

CLONES
static size_t write8(const uint8_t *src, size_t n, uint8_t *out)
{
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        uint64_t x[8];
        for (int k = 0; k < 8; k++)
            x[k] = little(load64(src + (i + k) * 8));
        transpose8(x);
        for (int k = 0; k < 8; k++)
            store64(out + k * n + i, little(x[k]));
    }
    return i;
}

/* Four streams: the compiler makes unpacking and packing of these loops. */
CLONES
static size_t read4(const uint8_t *restrict src, size_t total, uint8_t *restrict dst, size_t n)
{
    const uint8_t *a = src, *b = a + total, *c = b + total, *d = c + total;
    for (size_t i = 0; i < n; i++) {
        uint32_t v = (uint32_t)a[i] | (uint32_t)b[i] << 8 | (uint32_t)c[i] << 16 | (uint32_t)d[i] << 24;
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
        v = __builtin_bswap32(v);
#endif
        memcpy(dst + i * 4, &v, 4);
    }
    return n;
}

CLONES
static size_t write4(const uint8_t *restrict src, size_t n, uint8_t *restrict out)
{
    for (unsigned k = 0; k < 4; k++) {
        uint8_t *o = out + k * n;
        for (size_t i = 0; i < n; i++)
            o[i] = src[i * 4 + k];
    }
    return n;
}

#define PIECE 256

void split_read(const uint8_t *src, size_t total, unsigned width, size_t first, uint8_t *dst, size_t n)
{
    size_t done = width == 8 ? read8(src + first, total, dst, n) : width == 4 ? read4(src + first, total, dst, n) : 0;
    for (; done < n; done += done + PIECE < n ? PIECE : n - done) {
        size_t end = done + PIECE < n ? done + PIECE : n;
        for (unsigned k = 0; k < width; k++) {
            const uint8_t *s = src + k * total + first;
            for (size_t i = done; i < end; i++)
                dst[i * width + k] = s[i];
        }
    }
}

void split_write(const uint8_t *src, size_t n, unsigned width, uint8_t *out)
{
    size_t done = width == 8 ? write8(src, n, out) : width == 4 ? write4(src, n, out) : 0;
    for (; done < n; done += done + PIECE < n ? PIECE : n - done) {
        size_t end = done + PIECE < n ? done + PIECE : n;
        for (unsigned k = 0; k < width; k++) {
            uint8_t *o = out + k * n;
            for (size_t i = done; i < end; i++)
                o[i] = src[i * width + k];
        }
    }
}
