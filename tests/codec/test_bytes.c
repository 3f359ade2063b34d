/*
 * Encodings of bytes: BYTE_STREAM_SPLIT against a reference for many widths and pieces, byte arrays by their lengths and shared
 * prefixes against a decoder written here, levels packed from the top bit, and the split-block Bloom filter against
 * the specification's words.
 */
#include "codec/bitpack.h"
#include "codec/bloom.h"
#include "codec/bytes_encode.h"
#include "codec/delta.h"
#include "codec/split.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static uint64_t seed = 11;

static uint64_t rnd(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

static void split_every_width(void **s)
{
    static const unsigned widths[] = {1, 2, 3, 4, 5, 7, 8, 12, 16, 31};
    static const size_t counts[] = {0, 1, 7, 8, 9, 63, 64, 65, 255, 256, 257, 1000};
    for (size_t wi = 0; wi < sizeof widths / sizeof widths[0]; wi++)
        for (size_t ci = 0; ci < sizeof counts / sizeof counts[0]; ci++) {
            unsigned w = widths[wi];
            size_t n = counts[ci];
            uint8_t *v = malloc(n * w + 1), *out = malloc(n * w + 1), *back = malloc(n * w + 1);
            for (size_t i = 0; i < n * w; i++)
                v[i] = (uint8_t)rnd();
            split_write(v, n, w, out);
            for (size_t i = 0; i < n; i++)
                for (unsigned k = 0; k < w; k++)
                    assert_int_equal(out[k * n + i], v[i * w + k]);
            for (size_t at = 0; at < n;) { /* in pieces */
                size_t k = 1 + rnd() % (n - at);
                split_read(out, n, w, at, back + at * w, k);
                at += k;
            }
            assert_memory_equal(back, v, n * w);
            free(v);
            free(out);
            free(back);
        }
}

static void levels_from_the_top(void **s)
{
    /* the specification's example: 0 to 7 in three bits */
    static const uint8_t example[] = {0x05, 0x39, 0x77};
    uint32_t got[200];
    assert_int_equal(bitunpack_msb(example, 3, 0, 3, got, 200), 8);
    for (uint32_t i = 0; i < 8; i++)
        assert_int_equal(got[i], i);
    assert_int_equal(bitunpack_msb(example, 3, 6, 3, got, 200), 2);
    assert_int_equal(got[1], 7);
    assert_int_equal(bitunpack_msb(example, 3, 8, 3, got, 200), 0);
    assert_int_equal(bitunpack_msb(example, 3, UINT64_MAX / 8, 3, got, 200), 0);
    assert_int_equal(bitunpack_msb(example, 0, 0, 0, got, 200), 200);
    assert_int_equal(got[199], 0);
    for (unsigned w = 1; w <= 32; w++) {
        uint8_t bytes[100];
        for (size_t i = 0; i < sizeof bytes; i++)
            bytes[i] = (uint8_t)rnd();
        size_t n = bitunpack_msb(bytes, sizeof bytes, 0, w, got, 200);
        assert_int_equal(n, sizeof bytes * 8 / w < 200 ? sizeof bytes * 8 / w : 200);
        for (size_t i = 0; i < n; i++) {
            uint64_t want = 0;
            for (size_t b = i * w; b < (i + 1) * w; b++)
                want = want << 1 | (bytes[b / 8] >> (7 - b % 8) & 1);
            assert_int_equal(got[i], want);
        }
    }
}

/* Lengths of n values; where the bytes behind them start. */
static const uint8_t *lengths(const uint8_t *p, const uint8_t *end, size_t n, int32_t *out)
{
    delta_reader r;
    assert_true(delta_init(&r, p, (size_t)(end - p)));
    const uint8_t *behind = delta_end(&r);
    assert_non_null(behind);
    assert_int_equal(r.total, n);
    assert_int_equal(delta_read32(&r, out, n), n);
    return behind;
}

static void byte_arrays(void **s)
{
    for (int round = 0; round < 300; round++) {
        size_t n = rnd() % 400, bytes = 0;
        uint32_t *off = malloc((n + 1) * 4), *len = malloc((n + 1) * 4);
        unsigned share = rnd() % 3, max = 1 + rnd() % 40;
        uint8_t *data = malloc(n * 80 + 80);
        for (size_t i = 0; i < n; i++) {
            uint32_t k = (uint32_t)(rnd() % max), keep = i && share ? (uint32_t)(rnd() % (len[i - 1] + 1)) : 0;
            keep = keep > 40 ? 40 : keep;
            off[i] = (uint32_t)bytes;
            len[i] = keep + k;
            if (keep)
                memcpy(data + bytes, data + off[i - 1], keep);
            for (uint32_t j = 0; j < k; j++)
                data[bytes + keep + j] = (uint8_t)(rnd() % 3);
            bytes += len[i];
        }
        byte_values v = {data, off, len, n};
        size_t bound = bytes_bound(n, bytes);
        int64_t *scratch = malloc((2 * n + 1) * sizeof *scratch);
        int32_t *a = malloc((n + 1) * 4), *b = malloc((n + 1) * 4);
        uint8_t *out = calloc(1, bound + BITUNPACK_SLACK);
        size_t size = bytes_encode_lengths(&v, scratch, out), shared = 0;
        assert_true(size <= bound);
        const uint8_t *p = lengths(out, out + size, n, a);
        for (size_t i = 0; i < n; i++) {
            assert_int_equal(a[i], len[i]);
            assert_memory_equal(p, data + off[i], len[i]);
            p += len[i];
        }
        assert_ptr_equal(p, out + size);
        memset(out, 0, bound);
        size = bytes_encode_prefixes(&v, scratch, out);
        assert_true(size <= bound);
        p = lengths(out, out + size, n, a);
        p = lengths(p, out + size, n, b);
        for (size_t i = 0; i < n; i++) {
            assert_int_equal(a[i] + b[i], len[i]);
            if (i)
                assert_memory_equal(data + off[i - 1], data + off[i], (size_t)a[i]);
            /* no longer prefix is shared */
            if (i && (uint32_t)a[i] < len[i] && (uint32_t)a[i] < len[i - 1])
                assert_int_not_equal(data[off[i - 1] + (uint32_t)a[i]], data[off[i] + (uint32_t)a[i]]);
            assert_memory_equal(p, data + off[i] + a[i], (size_t)b[i]);
            p += b[i];
            shared += (size_t)a[i];
        }
        assert_ptr_equal(p, out + size);
        assert_int_equal(bytes_shared(&v), shared);
        free(off);
        free(len);
        free(data);
        free(scratch);
        free(a);
        free(b);
        free(out);
    }
}

static void bloom(void **s)
{
    assert_true(bloom_hash("", 0) == 0xef46db3751d8e999u); /* xxHash64's own test values */
    assert_true(bloom_hash("abc", 3) == 0x44bc2cf5ad770999u);
    assert_int_equal(bloom_size(1, 0.01, 1 << 20), 32);
    assert_int_equal(bloom_size(1000, 0.01, 1 << 20), 2048);
    assert_int_equal(bloom_size(1000000, 0.01, 1 << 20), 1 << 20);
    assert_int_equal(bloom_size(1000000, 0.01, (1 << 20) - 1), 1 << 19);
    assert_int_equal(bloom_size(1000000000, 1e-9, SIZE_MAX), BLOOM_BYTES_MAX);
    assert_int_equal(bloom_size(0, 0.01, 7), 32);

    uint8_t one[64] = {0};
    uint64_t h = 0x80000000ull << 32 | 1; /* the second of two blocks; key 1: the salts' top five bits */
    bloom_insert(one, sizeof one, h);
    static const uint32_t want[8] = {1u << 8, 1u << 8, 1u << 17, 1u << 20, 1u << 14, 1u << 5, 1u << 19, 1u << 11};
    for (int i = 0; i < 32; i++)
        assert_int_equal(one[i], 0);
    for (int i = 0; i < 8; i++)
        assert_int_equal((uint32_t)one[32 + 4 * i] | (uint32_t)one[33 + 4 * i] << 8 | (uint32_t)one[34 + 4 * i] << 16 |
                             (uint32_t)one[35 + 4 * i] << 24, want[i]);
    assert_true(bloom_probe(one, sizeof one, h));
    assert_false(bloom_probe(one, sizeof one, h ^ 2));
    assert_true(bloom_probe(one, 63, h ^ 2)); /* not a filter */
    assert_true(bloom_probe(one, 0, h));

    size_t n = 20000, size = bloom_size(n, 0.01, 1 << 20), wrong = 0;
    uint8_t *f = calloc(1, size);
    uint64_t *hashes = malloc(n * sizeof *hashes);
    for (uint64_t i = 0; i < n; i++)
        hashes[i] = bloom_hash(&i, sizeof i);
    bloom_insert_all(f, size, hashes, n);
    for (uint64_t i = 0; i < n; i++)
        assert_true(bloom_probe(f, size, hashes[i]));
    for (uint64_t i = n; i < n + 100000; i++)
        wrong += bloom_probe(f, size, bloom_hash(&i, sizeof i));
    assert_true(wrong < 1200);
    free(f);
    free(hashes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(split_every_width),
        cmocka_unit_test(levels_from_the_top),
        cmocka_unit_test(byte_arrays),
        cmocka_unit_test(bloom),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
