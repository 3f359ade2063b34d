/*
 * Encoding of integers: bit-packing against a bit-by-bit reference, the hybrid of runs and literals and
 * the deltas against their decoders, each within the bytes its bound promises.
 */
#include "codec/bitpack.h"
#include "codec/bitpack_encode.h"
#include "codec/delta.h"
#include "codec/delta_encode.h"
#include "codec/rle.h"
#include "codec/rle_encode.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static uint64_t seed = 7;

static uint64_t rnd(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

static uint64_t low(unsigned width) { return width == 64 ? UINT64_MAX : (1ull << width) - 1; }

static void pack_every_width(void **s)
{
    for (unsigned w = 0; w <= 64; w++)
        for (size_t n = 8; n <= 264; n += 64) {
            uint64_t v[264];
            uint32_t v32[264];
            for (size_t i = 0; i < n; i++) {
                v[i] = rnd() % 3 ? rnd() & low(w) : low(w);
                v32[i] = (uint32_t)v[i];
            }
            size_t size = n * w / 8;
            uint8_t *out = malloc(size + BITPACK_SLACK), *want = calloc(1, size + 1);
            for (size_t bit = 0; bit < n * w; bit++)
                want[bit / 8] |= (uint8_t)((v[bit / w] >> bit % w & 1) << bit % 8);
            assert_int_equal(bitpack_u64(v, n, w, out), size);
            assert_memory_equal(out, want, size);
            if (w <= 32) {
                memset(out, 0, size);
                assert_int_equal(bitpack_u32(v32, n, w, out), size);
                assert_memory_equal(out, want, size);
            }
            free(out);
            free(want);
        }
}

/* Runs of 1 to max_run equal values. */
static void fill(uint32_t *v, size_t n, unsigned width, unsigned max_run)
{
    for (size_t i = 0; i < n;) {
        uint32_t x = (uint32_t)(rnd() & low(width));
        for (size_t k = 1 + rnd() % max_run; k && i < n; k--)
            v[i++] = x;
    }
}

static void check_rle(const uint32_t *v, size_t n, unsigned width)
{
    size_t bound = rle_bound(n, width);
    uint8_t *out = malloc(bound), *in = calloc(1, bound + BITUNPACK_SLACK);
    uint32_t *got = malloc((n + 1) * sizeof *got);
    size_t size = rle_encode(v, n, width, out);
    assert_true(size <= bound);
    memcpy(in, out, size);
    rle_reader r;
    rle_init(&r, in, size, width);
    assert_int_equal(rle_read(&r, got, n), n);
    if (n)
        assert_memory_equal(got, v, n * sizeof *v);
    free(out);
    free(in);
    free(got);
}

static void rle_round_trips(void **s)
{
    static const unsigned runs[] = {1, 2, 8, 9, 20, 100, 5000};
    static uint32_t v[20000];
    for (unsigned w = 0; w <= 32; w++)
        for (size_t k = 0; k < sizeof runs / sizeof *runs; k++)
            for (size_t n = 0; n <= 3000; n = n < 20 ? n + 1 : n * 3 + 1) {
                fill(v, n, w, runs[k]);
                check_rle(v, n, w);
            }
}

static void long_runs_are_small(void **s)
{
    static uint32_t v[20000];
    uint8_t out[64];
    for (size_t i = 0; i < 20000; i++)
        v[i] = i < 7003 ? 5 : 6;
    size_t size = rle_encode(v, 20000, 3, out);
    static const uint8_t want[] = {0xb6, 0x6d, 5, 0x8a, 0xcb, 1, 6}; /* 7003 << 1, 12997 << 1 */
    assert_int_equal(size, sizeof want);
    assert_memory_equal(out, want, sizeof want);
    assert_int_equal(rle_encode(v, 20000, 0, out), 3);
}

static void bitmaps_round_trip(void **s)
{
    for (int round = 0; round < 3000; round++) {
        uint64_t bits[70];
        unsigned kind = (unsigned)(rnd() % 4);
        for (int i = 0; i < 70; i++)
            bits[i] = kind == 0 ? rnd() : kind == 1 ? -(rnd() & 1) : kind == 2 ? -(uint64_t)(i / 5 & 1) : i % 9 ? UINT64_MAX : rnd();
        size_t from = rnd() % 300, n = rnd() % 4000;
        uint8_t out[1700], in[1700 + BITUNPACK_SLACK] = {0};
        assert_true(rle_bound(n, 1) <= sizeof out);
        size_t size = rle_encode_bits(bits, from, n, out);
        assert_true(size <= rle_bound(n, 1));
        memcpy(in, out, size);
        uint32_t got[4000];
        rle_reader r;
        rle_init(&r, in, size, 1);
        assert_int_equal(rle_read(&r, got, n), n);
        for (size_t i = 0; i < n; i++)
            assert_int_equal(got[i], bits[(from + i) / 64] >> (from + i) % 64 & 1);
    }
}

static void check_delta(const int64_t *v, size_t n, bool narrow)
{
    size_t bound = delta_bound(n);
    uint8_t *out = malloc(bound), *in = calloc(1, bound + BITUNPACK_SLACK);
    size_t size = delta_encode(v, n, narrow, out);
    assert_true(size <= bound);
    memcpy(in, out, size);
    delta_reader r;
    assert_true(delta_init(&r, in, size));
    assert_int_equal(r.total, n);
    if (narrow) {
        int32_t *got = malloc((n + 1) * sizeof *got);
        assert_int_equal(delta_read32(&r, got, n), n);
        for (size_t i = 0; i < n; i++)
            assert_int_equal(got[i], v[i]);
        free(got);
    } else {
        int64_t *got = malloc((n + 1) * sizeof *got);
        assert_int_equal(delta_read64(&r, got, n), n);
        if (n)
            assert_memory_equal(got, v, n * sizeof *v);
        free(got);
    }
    assert_true(delta_init(&r, in, size));
    assert_ptr_equal(delta_end(&r), in + size);
    free(out);
    free(in);
}

static void deltas_round_trip(void **s)
{
    static int64_t v[3000];
    for (size_t n = 0; n <= 3000; n = n < 300 ? n + 1 : n * 2 + 1)
        for (int kind = 0; kind < 7; kind++) {
            for (size_t i = 0; i < n; i++) {
                uint64_t x = rnd();
                int64_t kinds[] = {(int64_t)x, (int64_t)i * 3, 7, (int64_t)(x % 1000), x & 1 ? INT64_MIN : INT64_MAX,
                                   (int64_t)(x >> x % 64), -(int64_t)i};
                v[i] = kinds[kind];
            }
            check_delta(v, n, false);
            for (size_t i = 0; i < n; i++)
                v[i] = kind == 4 ? (v[i] < 0 ? INT32_MIN : INT32_MAX) : (int32_t)(uint32_t)(uint64_t)v[i];
            check_delta(v, n, true);
        }
}

/* The example of the format's specification: 7 5 3 1 2 3 4 5, whose differences are -2 … 1. */
static void delta_bytes(void **s)
{
    static const int64_t v[] = {7, 5, 3, 1, 2, 3, 4, 5};
    static const uint8_t want[] = {0x80, 1, 4, 8, 14, 3, 2, 0, 0, 0, 0xc0, 0x3f, 0, 0, 0, 0, 0, 0};
    uint8_t out[4096];
    assert_int_equal(delta_encode(v, 8, false, out), sizeof want);
    assert_memory_equal(out, want, sizeof want);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pack_every_width), cmocka_unit_test(rle_round_trips),   cmocka_unit_test(long_runs_are_small),
        cmocka_unit_test(bitmaps_round_trip), cmocka_unit_test(deltas_round_trip), cmocka_unit_test(delta_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
