/*
 * rle_encode.c: Parquet's RLE/bit-packed hybrid.
 *
 *   run      varint(count << 1)        value, ceil(width / 8) bytes little-endian
 *   literal  varint(groups << 1 | 1)   groups * 8 values, bit-packed
 *
 * The input is looked at in groups of eight. A group of equal values starts a run if the run is
 * long enough to save more than what ending and starting a literal costs; else it joins the
 * literal. A literal starts where the run before it ended, so runs that follow each other lose
 * no value to alignment; only the last literal is padded (with zeros).
 */
#include "codec/rle_encode.h"

#include "codec/bitpack_encode.h"

#include <stdbool.h>
#include <string.h>

static size_t put_varint(uint64_t v, uint8_t *out)
{
    size_t n = 0;
    for (; v >= 0x80; v >>= 7)
        out[n++] = (uint8_t)(v | 0x80);
    out[n++] = (uint8_t)v;
    return n;
}

/* The worst case is alternation of a minimal literal and a minimal run; a run is only written
 * where it is no longer than the literal it replaces plus the two headers. */
size_t rle_bound(size_t n, unsigned width)
{
    size_t groups = (n + 7) / 8;
    return groups * width + groups * 2 + 32 + BITPACK_SLACK;
}

size_t rle_encode_run(uint32_t v, uint64_t n, unsigned width, uint8_t *out)
{
    size_t at = put_varint(n << 1, out);
    for (unsigned b = 0; b < width; b += 8)
        out[at++] = (uint8_t)(v >> b);
    return at;
}

/* A shorter run costs more than it saves. */
static size_t min_run(unsigned width)
{
    if (width == 0)
        return 1;
    size_t bytes = 3 + (width + 7) / 8;
    size_t n = (bytes * 8 / width + 8) & ~(size_t)7;
    return n < 8 ? 8 : n;
}

static inline bool group_equal(const uint32_t *v)
{
    uint64_t a, b, c, d;
    memcpy(&a, v, 8);
    memcpy(&b, v + 2, 8);
    memcpy(&c, v + 4, 8);
    memcpy(&d, v + 6, 8);
    return ((a ^ b) | (a ^ c) | (a ^ d) | (uint64_t)(uint32_t)(a ^ a >> 32)) == 0;
}

/* The end of the run of values equal to v[i], at most n. */
static size_t run_end(const uint32_t *v, size_t i, size_t n)
{
    uint32_t x = v[i];
    while (n - i >= 32) {
        uint32_t diff = 0;
        for (int k = 0; k < 32; k++)
            diff |= v[i + k] ^ x;
        if (diff)
            break;
        i += 32;
    }
    while (i < n && v[i] == x)
        i++;
    return i;
}

static uint8_t *put_literal(const uint32_t *v, size_t n, unsigned width, uint8_t *out)
{
    size_t whole = n & ~(size_t)7, groups = (n + 7) / 8;
    out += put_varint(groups << 1 | 1, out);
    out += bitpack_u32(v, whole, width, out);
    if (whole < n) {
        uint32_t last[8] = {0};
        memcpy(last, v + whole, (n - whole) * sizeof *v);
        out += bitpack_u32(last, 8, width, out);
    }
    return out;
}

size_t rle_encode(const uint32_t *v, size_t n, unsigned width, uint8_t *out)
{
    uint8_t *start = out;
    size_t need = min_run(width), lit = 0, i = 0;
    if (width == 0)
        return n ? rle_encode_run(0, n, 0, out) : 0;
    while (i < n) {
        if (n - i >= 8 && !group_equal(v + i)) {
            i += 8;
            continue;
        }
        size_t end = run_end(v, i, n);
        /* Where nothing but one run is left, no literal is ended for it nor started after it. */
        if (end - i < need && !(end == n && i == lit)) {
            i = n - i >= 8 ? i + 8 : n;
            continue;
        }
        if (i > lit)
            out = put_literal(v + lit, i - lit, width, out);
        out += rle_encode_run(v[i], end - i, width, out);
        lit = i = end;
    }
    if (n > lit)
        out = put_literal(v + lit, n - lit, width, out);
    return (size_t)(out - start);
}

/* As above on bits: 64 at a time, a stretch of at least 128 equal ones is a run. */
size_t rle_encode_bits(const uint64_t *bits, size_t from, size_t n, uint8_t *out)
{
    uint8_t *start = out;
    size_t end_bit = from + n, at = 0;
    while (at < n) {
        size_t run = 0;
        bool one = bits[(from + at) >> 6] >> ((from + at) & 63) & 1;
        while (at + run < n) {
            uint64_t x = bits_at(bits, from + at + run, end_bit);
            x = one ? ~x : x;
            size_t left = n - at - run, k = x ? (size_t)__builtin_ctzll(x) : 64;
            run += k < left ? k : left;
            if (k < 64)
                break;
        }
        if (run >= 128 || at + run == n) {
            out += rle_encode_run(one, run, 1, out);
            at += run;
            continue;
        }
        /* A literal up to the first pair of words that are all the same. */
        size_t words = 0;
        for (;;) {
            words++;
            if (at + words * 64 >= n)
                break;
            uint64_t a = bits_at(bits, from + at + words * 64, end_bit);
            if ((a == 0 || a == UINT64_MAX) && n - at - words * 64 >= 128 &&
                bits_at(bits, from + at + words * 64 + 64, end_bit) == a)
                break;
        }
        size_t len = words * 64 < n - at ? words * 64 : n - at;
        size_t groups = (len + 7) / 8;
        out += put_varint(groups << 1 | 1, out);
        for (size_t k = 0; k < len; k += 64) {
            uint64_t x = bits_at(bits, from + at + k, end_bit);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
            x = __builtin_bswap64(x);
#endif
            size_t left = groups - k / 8;
            memcpy(out, &x, left < 8 ? left : 8);
            out += left < 8 ? left : 8;
        }
        at += len;
    }
    return (size_t)(out - start);
}
