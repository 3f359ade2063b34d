/*
 * Block compression: round trips of every codec, outputs of the wrong size, damaged and truncated
 * input, bounds on blocks that don't say how large they become, and that contexts are accounted for.
 */
#include "codec/compress.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static uint64_t seed = 3;

static uint64_t rnd(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

static uint8_t *sample(size_t n, unsigned symbols)
{
    uint8_t *p = malloc(n + 1);
    for (size_t i = 0; i < n; i++)
        p[i] = (uint8_t)(rnd() % symbols);
    return p;
}

static const size_t sizes[] = {0, 1, 2, 63, 1000, 70000, 1 << 20};
enum { SIZES = sizeof sizes / sizeof sizes[0] };

static size_t pack(codec_ctx *c, codec_id id, int level, const void *src, size_t n, uint8_t **out)
{
    size_t cap = codec_bound(id, n), got = 0;
    *out = malloc(cap + 1);
    assert_int_equal(codec_compress(c, id, level, src, n, *out, cap, &got, NULL), FZ_OK);
    assert_true(got <= cap);
    return got;
}

static void round_trips(void **s)
{
    mem m;
    mem_init(&m, NULL, NULL, 0);
    codec_ctx *c = codec_ctx_new(&m);
    for (int id = 0; id < CODEC_COUNT_; id++)
        for (int k = 0; k < SIZES; k++)
            for (int level = 0; level <= 2; level++) {
                size_t n = sizes[k];
                uint8_t *src = sample(n, level == 1 ? 256 : 3), *z, *back = malloc(n + 1);
                size_t zn = pack(c, id, level, src, n, &z);
                if (id != CODEC_NONE && n == 1 << 20 && level != 1)
                    assert_true(zn < n / 8 * 5);
                fz_error err;
                assert_int_equal(codec_decompress(c, id, z, zn, back, n, &err), FZ_OK);
                assert_memory_equal(back, src, n);
                assert_int_equal(codec_decompress(c, id, z, zn, back, n + 1, &err), FZ_DATA);
                if (n)
                    assert_int_equal(codec_decompress(c, id, z, zn, back, n - 1, &err), FZ_DATA);
                buf *b = NULL;
                assert_int_equal(codec_decompress_unknown(c, id, z, zn, &m, n + 5, &b, &err), FZ_OK);
                assert_int_equal(b->size, n);
                assert_memory_equal(b->data, src, n);
                buf_unref(b);
                if (n > 100)
                    assert_int_equal(codec_decompress_unknown(c, id, z, zn, &m, n - 1, &b, &err), FZ_DATA);
                free(src);
                free(z);
                free(back);
            }
    codec_ctx_free(c);
    assert_int_equal(atomic_load(&m.used), 0);
    assert_true(atomic_load(&m.peak) > 100000); /* what zstd allocates counts */
}

/* Every flip and cut is an error or a block of the right size, never a crash or a write past the end. */
static void damaged_input(void **s)
{
    codec_ctx *c = codec_ctx_new(NULL);
    size_t n = 3000;
    uint8_t *src = sample(n, 4), *back = malloc(n);
    for (int id = CODEC_SNAPPY; id < CODEC_COUNT_; id++) {
        uint8_t *z;
        size_t zn = pack(c, id, 0, src, n, &z);
        for (size_t cut = 0; cut < zn; cut += 1 + cut / 16) {
            uint8_t *part = malloc(cut + 1);
            memcpy(part, z, cut);
            assert_int_not_equal(codec_decompress(c, id, part, cut, back, n, NULL), FZ_OK);
            free(part);
        }
        for (int k = 0; k < 2000; k++) {
            size_t at = rnd() % zn;
            uint8_t old = z[at];
            buf *b = NULL;
            z[at] ^= (uint8_t)(1 + rnd() % 255);
            codec_decompress(c, id, z, zn, back, n, NULL);
            if (codec_decompress_unknown(c, id, z, zn, NULL, 1 << 16, &b, NULL) == FZ_OK) {
                assert_true(b->size <= 1 << 16);
                buf_unref(b);
            }
            z[at] = old;
        }
        free(z);
    }
    free(src);
    free(back);
    codec_ctx_free(c);
}

static void several_members(void **s)
{
    codec_ctx *c = codec_ctx_new(NULL);
    uint8_t *a, *b, all[400], back[30];
    size_t an = pack(c, CODEC_GZIP, 0, "first member, ", 14, &a), bn = pack(c, CODEC_GZIP, 0, "second", 6, &b);
    memcpy(all, a, an);
    memcpy(all + an, b, bn);
    assert_int_equal(codec_decompress(c, CODEC_GZIP, all, an + bn, back, 20, NULL), FZ_OK);
    assert_memory_equal(back, "first member, second", 20);
    assert_int_equal(codec_decompress(c, CODEC_GZIP, all, an + bn, back, 14, NULL), FZ_DATA);
    buf *x = NULL;
    assert_int_equal(codec_decompress_unknown(c, CODEC_GZIP, all, an + bn, NULL, 100, &x, NULL), FZ_OK);
    assert_int_equal(x->size, 20);
    buf_unref(x);
    /* zlib's wrapper */
    static const uint8_t z[] = {0x78, 0x9c, 0x4b, 0x4c, 0x4a, 0x06, 0x00, 0x02, 0x4d, 0x01, 0x27};
    assert_int_equal(codec_decompress(c, CODEC_GZIP, z, sizeof z, back, 3, NULL), FZ_OK);
    assert_memory_equal(back, "abc", 3);
    free(a);
    free(b);
    codec_ctx_free(c);
}

/* What files call LZ4: hadoop's framing in one or several blocks, a raw block, an lz4 frame. */
static void old_lz4(void **s)
{
    codec_ctx *c = codec_ctx_new(NULL);
    uint8_t *a, *b, all[400], back[64];
    size_t an = pack(c, CODEC_LZ4, 0, "aaaaaaaaaaaaaaaaaaaa", 20, &a), bn = pack(c, CODEC_LZ4, 0, "bbbbbbbbbb", 10, &b);
    static const char both[] = "aaaaaaaaaaaaaaaaaaaabbbbbbbbbb";
    assert_int_equal(codec_decompress(c, CODEC_LZ4_HADOOP, a, an, back, 20, NULL), FZ_OK); /* raw */
    assert_memory_equal(back, both, 20);
    /* one length for the contents, two blocks */
    uint8_t head[8] = {0, 0, 0, 30, 0, 0, 0, (uint8_t)an}, head2[4] = {0, 0, 0, (uint8_t)bn};
    size_t n = 0;
    memcpy(all, head, 8), n += 8;
    memcpy(all + n, a, an), n += an;
    memcpy(all + n, head2, 4), n += 4;
    memcpy(all + n, b, bn), n += bn;
    assert_int_equal(codec_decompress(c, CODEC_LZ4_HADOOP, all, n, back, 30, NULL), FZ_OK);
    assert_memory_equal(back, both, 30);
    assert_int_equal(codec_decompress(c, CODEC_LZ4_HADOOP, all, n, back, 29, NULL), FZ_DATA);
    assert_int_equal(codec_decompress(c, CODEC_LZ4_HADOOP, all, n - 1, back, 30, NULL), FZ_DATA);
    /* two lengths, two blocks */
    free(a);
    n = pack(c, CODEC_LZ4_HADOOP, 0, both, 20, &a);
    memcpy(all, a, n);
    free(b);
    bn = pack(c, CODEC_LZ4_HADOOP, 0, both + 20, 10, &b);
    memcpy(all + n, b, bn);
    assert_int_equal(codec_decompress(c, CODEC_LZ4_HADOOP, all, n + bn, back, 30, NULL), FZ_OK);
    assert_memory_equal(back, both, 30);
    /* what `printf aaaabbbb | lz4` gives */
    static const uint8_t frame[] = {0x04, 0x22, 0x4d, 0x18, 0x64, 0x40, 0xa7, 0x08, 0x00, 0x00, 0x80, 'a', 'a', 'a', 'a',
                                    'b', 'b', 'b', 'b', 0x00, 0x00, 0x00, 0x00};
    uint8_t full[sizeof frame + 4];
    memcpy(full, frame, sizeof frame);
    memcpy(full + sizeof frame, "\xaa\x66\x55\xdb", 4);
    fz_status st = codec_decompress(c, CODEC_LZ4_HADOOP, full, sizeof full, back, 8, NULL);
    assert_int_equal(st, FZ_OK);
    assert_memory_equal(back, "aaaabbbb", 8);
    assert_int_equal(codec_decompress(c, CODEC_LZ4_HADOOP, full, sizeof full, back, 7, NULL), FZ_DATA);
    assert_int_equal(codec_decompress(c, CODEC_LZ4_HADOOP, full, sizeof full, back, 9, NULL), FZ_DATA);
    free(a);
    free(b);
    codec_ctx_free(c);
}

static void levels(void **s)
{
    int min, max;
    assert_true(codec_levels(CODEC_ZSTD, &min, &max) && min == 1 && max == 22);
    assert_true(codec_levels(CODEC_BROTLI, &min, &max) && max == 11);
    assert_false(codec_levels(CODEC_SNAPPY, &min, &max) || codec_levels(CODEC_LZ4, &min, &max));
}

static void names(void **s)
{
    assert_string_equal(codec_name(CODEC_ZSTD), "zstd");
    assert_string_equal(codec_name(99), "unknown");
    codec_ctx *c = codec_ctx_new(NULL);
    fz_error err;
    size_t n;
    uint8_t x[8];
    assert_int_equal(codec_compress(c, 99, 0, "a", 1, x, 8, &n, &err), FZ_UNSUPPORTED);
    assert_int_equal(codec_decompress(c, 99, "a", 1, x, 8, &err), FZ_UNSUPPORTED);
    codec_ctx_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trips),
        cmocka_unit_test(damaged_input),
        cmocka_unit_test(several_members),
        cmocka_unit_test(old_lz4),
        cmocka_unit_test(levels),
        cmocka_unit_test(names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
