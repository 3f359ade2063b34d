/*
 * Decoding of integers: bit-packing with every kernel, bit by bit, the hybrid of runs and
 * bit-packing, deltas; all in pieces of odd sizes, and with malformed input.
 */
#include "codec/bitpack.h"
#include "codec/delta.h"
#include "codec/rle.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static uint64_t seed = 42;

static uint64_t rnd(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

#define N 700

/* src has all N values of the width and no byte more than the promised slack. */
static void unpack_every_width(void **s)
{
    for (unsigned w = 0; w <= 64; w++) {
        size_t bytes = (size_t)(N * w + 7) / 8;
        uint8_t *src = malloc(bytes + BITUNPACK_SLACK);
        for (size_t i = 0; i < bytes + BITUNPACK_SLACK; i++)
            src[i] = (uint8_t)rnd();
        /* the reference: bit by bit */
        uint64_t want[N];
        for (size_t i = 0; i < N; i++) {
            want[i] = 0;
            for (unsigned b = 0; b < w; b++)
                want[i] |= (uint64_t)(src[(i * w + b) / 8] >> ((i * w + b) % 8) & 1) << b;
        }
        for (int t = 0; t < 60; t++) {
            size_t first = rnd() % N, n = rnd() % (N - first + 1);
            for (int isa = BITUNPACK_SCALAR; isa <= (int)bitunpack_best(); isa++) {
                uint64_t got[N + 1];
                got[n] = 77;
                bitunpack64_with((bitunpack_isa)isa, src, first, w, got, n);
                assert_memory_equal(got, want + first, n * 8);
                assert_true(got[n] == 77); /* nothing behind the end */
                if (w > 32)
                    continue;
                uint32_t got32[N + 1];
                got32[n] = 77;
                bitunpack32_with((bitunpack_isa)isa, src, first, w, got32, n);
                for (size_t i = 0; i < n; i++)
                    assert_true(got32[i] == want[first + i]);
                assert_true(got32[n] == 77);
            }
        }
        free(src);
    }
}

static void bits_move(void **s)
{
    uint8_t *src = malloc(100);
    for (int i = 0; i < 100; i++)
        src[i] = (uint8_t)rnd();
    for (int t = 0; t < 3000; t++) {
        uint64_t dst[16], before[16];
        for (int i = 0; i < 16; i++)
            dst[i] = before[i] = rnd();
        size_t first = rnd() % 700, n = rnd() % (800 - first), at = rnd() % 200, ones = 0;
        size_t got = bits_copy(src, first, dst, at, n);
        for (size_t i = 0; i < 1024; i++) {
            bool bit = dst[i / 64] >> (i % 64) & 1;
            bool want = i < at || i >= at + n ? before[i / 64] >> (i % 64) & 1
                                             : src[(first + i - at) / 8] >> ((first + i - at) % 8) & 1;
            assert_int_equal(bit, want);
            ones += i >= at && i < at + n && want;
        }
        assert_int_equal(got, ones);
        assert_int_equal(bits_ones(src, first, n), ones);
        bits_fill(dst, at, n);
        bits_clear(before, at, n);
        for (size_t i = at; i < at + n; i++) {
            assert_true(dst[i / 64] >> (i % 64) & 1);
            assert_false(before[i / 64] >> (i % 64) & 1);
        }
    }
    free(src);
}

/* ---- hybrid ---- */

/* Writes runs of both kinds for width w; returns the bytes. */
static size_t hybrid_make(uint8_t *out, uint32_t *values, size_t n, unsigned w)
{
    uint32_t mask = w == 32 ? UINT32_MAX : (1u << w) - 1;
    size_t at = 0, done = 0;
    while (done < n) {
        size_t left = n - done;
        if (rnd() % 2) {
            size_t k = 1 + rnd() % 300;
            k = k < left ? k : left;
            uint32_t v = (uint32_t)rnd() & mask;
            for (uint64_t h = k << 1; ; h >>= 7) {
                out[at++] = (uint8_t)((h & 127) | (h > 127 ? 128 : 0));
                if (h <= 127)
                    break;
            }
            for (unsigned b = 0; b < (w + 7) / 8; b++)
                out[at++] = (uint8_t)(v >> (8 * b));
            for (size_t i = 0; i < k; i++)
                values[done++] = v;
        } else {
            size_t groups = 1 + rnd() % 20;
            out[at++] = (uint8_t)(groups << 1 | 1);
            memset(out + at, 0, groups * w);
            for (size_t i = 0; i < groups * 8; i++) {
                uint32_t v = (uint32_t)rnd() & mask;
                for (unsigned b = 0; b < w; b++)
                    out[at + (i * w + b) / 8] |= (uint8_t)((v >> b & 1) << ((i * w + b) % 8));
                if (done < n)
                    values[done++] = v;
            }
            at += groups * w;
        }
    }
    return at;
}

static void hybrid_in_pieces(void **s)
{
    enum { COUNT = 3000 };
    uint8_t *out = malloc(COUNT * 16 + 4096);
    uint32_t *want = malloc((COUNT + 200) * 4), got[COUNT];
    for (unsigned w = 0; w <= 32; w++)
        for (int t = 0; t < 6; t++) {
            size_t bytes = hybrid_make(out, want, COUNT, w), at = 0;
            rle_reader r;
            rle_init(&r, out, bytes, w);
            while (at < COUNT) {
                size_t k = 1 + rnd() % 400;
                k = k < COUNT - at ? k : COUNT - at;
                if (rnd() % 4 == 0) {
                    assert_int_equal(rle_skip(&r, k), k);
                } else {
                    assert_int_equal(rle_read(&r, got, k), k);
                    assert_memory_equal(got, want + at, k * 4);
                    uint32_t max = 0;
                    for (size_t i = 0; i < k; i++)
                        max = got[i] > max ? got[i] : max;
                    assert_true(codes_max(got, k) == max);
                }
                at += k;
            }
        }
    for (int t = 0; t < 20; t++) {
        size_t bytes = hybrid_make(out, want, COUNT, 1), at = 0;
        rle_reader r;
        rle_init(&r, out, bytes, 1);
        uint64_t bits[COUNT / 64 + 2];
        while (at < COUNT) {
            size_t k = 1 + rnd() % 400, ones, sum = 0;
            k = k < COUNT - at ? k : COUNT - at;
            bool skipped = rnd() % 3 == 0;
            size_t n = skipped ? rle_skip_bits(&r, k, &ones) : rle_read_bits(&r, bits, at, k, &ones);
            assert_int_equal(n, k);
            for (size_t i = at; i < at + k; i++) {
                sum += want[i];
                if (!skipped)
                    assert_int_equal(bits[i / 64] >> (i % 64) & 1, want[i]);
            }
            assert_int_equal(ones, sum);
            at += k;
        }
    }
    free(out);
    free(want);
}

static size_t hybrid_count(const uint8_t *p, size_t n, unsigned w)
{
    uint8_t *copy = calloc(1, n + BITUNPACK_SLACK);
    memcpy(copy, p, n);
    rle_reader r;
    uint32_t got[100];
    rle_init(&r, copy, n, w);
    size_t k = rle_read(&r, got, 100);
    free(copy);
    return k;
}

static void hybrid_malformed(void **s)
{
    assert_int_equal(hybrid_count((const uint8_t *)"", 0, 3), 0);
    assert_int_equal(hybrid_count((const uint8_t *)"\x10", 1, 3), 0);             /* no value */
    assert_int_equal(hybrid_count((const uint8_t *)"\x10\x09", 2, 3), 0);         /* value too wide */
    assert_int_equal(hybrid_count((const uint8_t *)"\x10\x07", 2, 3), 8);
    assert_int_equal(hybrid_count((const uint8_t *)"\x03\xff", 2, 3), 2);         /* cut: 2 whole values */
    assert_int_equal(hybrid_count((const uint8_t *)"\xff\xff\xff\xff\xff\xff", 6, 3), 0);
    assert_int_equal(hybrid_count((const uint8_t *)"\x00\x01\x00\x01\x08\x01", 6, 1), 4); /* empty runs */
    assert_int_equal(hybrid_count((const uint8_t *)"\xff\xff\xff\xff\x0f", 5, 0), 100);  /* 2^31 groups of nothing */
}

/* ---- deltas ---- */

static size_t put_varint(uint8_t *p, uint64_t v)
{
    size_t n = 0;
    for (; v > 127; v >>= 7)
        p[n++] = (uint8_t)(v | 128);
    p[n++] = (uint8_t)v;
    return n;
}

static size_t put_zigzag(uint8_t *p, int64_t v) { return put_varint(p, (uint64_t)v << 1 ^ (uint64_t)(v >> 63)); }

/* Straight from the format's description; widths of miniblocks without values are garbage. */
static size_t delta_make(uint8_t *out, const int64_t *v, size_t n, unsigned block, unsigned minis)
{
    size_t at = put_varint(out, block);
    at += put_varint(out + at, minis);
    at += put_varint(out + at, n);
    at += put_zigzag(out + at, n ? v[0] : 0);
    unsigned per = block / minis;
    for (size_t from = 1; from < n; from += block) {
        size_t k = n - from < block ? n - from : block;
        int64_t least = INT64_MAX;
        for (size_t i = 0; i < k; i++) {
            int64_t d = (int64_t)((uint64_t)v[from + i] - (uint64_t)v[from + i - 1]);
            least = d < least ? d : least;
        }
        at += put_zigzag(out + at, least);
        uint8_t *widths = out + at;
        memset(widths, 0xff, minis);
        at += minis;
        for (unsigned m = 0; m * per < k; m++) {
            uint64_t deltas[1024] = {0}, all = 0;
            for (size_t i = 0; i < per && m * per + i < k; i++) {
                size_t j = from + m * per + i;
                deltas[i] = (uint64_t)v[j] - (uint64_t)v[j - 1] - (uint64_t)least;
                all |= deltas[i];
            }
            unsigned w = all ? 64 - (unsigned)__builtin_clzll(all) : 0;
            widths[m] = (uint8_t)w;
            memset(out + at, 0, per * w / 8);
            for (size_t i = 0; i < per * (size_t)w; i++)
                out[at + i / 8] |= (uint8_t)((deltas[i / w] >> (i % w) & 1) << (i % 8));
            at += per * w / 8;
        }
    }
    return at;
}

static void delta_in_pieces(void **s)
{
    static const unsigned shapes[][2] = {{128, 4}, {128, 1}, {256, 2}, {1024, 4}};
    enum { COUNT = 2000 };
    int64_t *v = malloc(COUNT * 8), got[COUNT];
    int32_t got32[COUNT];
    uint8_t *out = malloc(COUNT * 10 + 4096);
    for (unsigned w = 0; w <= 64; w++)
        for (int shape = 0; shape < 4; shape++) {
            size_t n = rnd() % COUNT;
            uint64_t x = rnd();
            for (size_t i = 0; i < n; i++)
                v[i] = (int64_t)(x += w == 0 ? 3 : w == 64 ? rnd() : rnd() >> (64 - w));
            size_t bytes = delta_make(out, v, n, shapes[shape][0], shapes[shape][1]);
            delta_reader r, r32;
            assert_true(delta_init(&r, out, bytes));
            assert_true(delta_init(&r32, out, bytes));
            assert_int_equal(r.total, n);
            assert_ptr_equal(delta_end(&r), out + bytes);
            for (size_t at = 0; at < n;) {
                size_t k = 1 + rnd() % 200;
                k = k < n - at ? k : n - at;
                assert_int_equal(delta_read32(&r32, got32, k), k);
                for (size_t i = 0; i < k; i++)
                    assert_true(got32[i] == (int32_t)(uint32_t)v[at + i]);
                if (rnd() % 4 == 0) {
                    assert_int_equal(delta_skip(&r, k), k);
                } else {
                    assert_int_equal(delta_read64(&r, got, k), k);
                    assert_memory_equal(got, v + at, k * 8);
                }
                at += k;
            }
            assert_int_equal(delta_read64(&r, got, 5), 0);
            if (n > 1) { /* cut: fewer values, or none, and no read past the end */
                size_t cut = rnd() % bytes;
                uint8_t *copy = malloc(cut + BITUNPACK_SLACK);
                memcpy(copy, out, cut);
                if (delta_init(&r, copy, cut))
                    assert_true(delta_read64(&r, got, n) <= n);
                free(copy);
            }
        }
    free(v);
    free(out);
}

static void delta_malformed(void **s)
{
    static const struct { const char *p; size_t n; } bad[] = {
        {"", 0}, {"\x80\x01", 2}, {"\x80\x01\x04\x05", 4},
        {"\x00\x04\x05\x00", 4},          /* empty blocks */
        {"\x80\x01\x00\x05\x00", 5},      /* no miniblocks */
        {"\x80\x01\x03\x05\x00", 5},      /* that don't divide the block */
        {"\x80\x01\x08\x05\x00", 5},      /* of 16 values */
        {"\x80\x01\x04\xff\xff\xff\xff\xff\x01\x00", 10}, /* too many values */
    };
    delta_reader r;
    int64_t got[8];
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(delta_init(&r, (const uint8_t *)bad[i].p, bad[i].n));
    /* a miniblock of 65 bits */
    static const uint8_t wide[128] = {0x80, 1, 4, 5, 0, 0, 65, 0, 0, 0};
    assert_true(delta_init(&r, wide, 64));
    assert_null(delta_end(&r));
    assert_int_equal(delta_read64(&r, got, 5), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unpack_every_width), cmocka_unit_test(bits_move),   cmocka_unit_test(hybrid_in_pieces),
        cmocka_unit_test(hybrid_malformed),   cmocka_unit_test(delta_in_pieces), cmocka_unit_test(delta_malformed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
