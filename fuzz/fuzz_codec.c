/*
 * fuzz_codec: the codecs that files are made of. The first byte chooses one, the second its parameter, two more a size; the
 * rest is what is decoded. What a decompressor accepts must be accepted again, with the same bytes, once it was compressed
 * anew; a number of values is never greater than was asked for; pieces give what the whole gives.
 */
#include "codec/bitpack.h"
#include "codec/bloom.h"
#include "codec/compress.h"
#include "codec/delta.h"
#include "codec/rle.h"
#include "codec/split.h"

#include <stdlib.h>

enum { VALUES = 3000 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void insist(bool ok)
{
    if (!ok)
        __builtin_trap();
}

static void compression(codec_id id, size_t want, const uint8_t *data, size_t size)
{
    codec_ctx *c = codec_ctx_new(NULL);
    buf *out = NULL;
    uint8_t *exact = malloc(want ? want : 1);
    if (codec_decompress(c, id, data, size, exact, want, NULL) == FZ_OK) {
        size_t cap = codec_bound(id, want), n;
        uint8_t *z = malloc(cap ? cap : 1), *back = malloc(want ? want : 1);
        insist(codec_compress(c, id, 0, exact, want, z, cap, &n, NULL) == FZ_OK && n <= cap);
        insist(codec_decompress(c, id, z, n, back, want, NULL) == FZ_OK && memcmp(exact, back, want) == 0);
        free(z);
        free(back);
    }
    if (codec_decompress_unknown(c, id, data, size, NULL, 1 << 18, &out, NULL) == FZ_OK) {
        insist(out->size <= 1 << 18);
        buf_unref(out);
    }
    free(exact);
    codec_ctx_free(c);
}

static void runs(unsigned width, const uint8_t *data, size_t size)
{
    uint32_t whole[VALUES], part[VALUES];
    rle_reader a, b;
    rle_init(&a, data, size, width);
    b = a;
    size_t n = rle_read(&a, whole, VALUES), at = 0;
    insist(n <= VALUES);
    for (size_t k = 1; at < n; k = k * 3 + 1) {
        size_t ask = k < n - at ? k : n - at;
        insist(rle_read(&b, part + at, ask) == ask);
        at += ask;
    }
    insist(memcmp(whole, part, n * sizeof *whole) == 0);
    rle_init(&a, data, size, width);
    insist(rle_skip(&a, n) == n);
}

static void deltas(const uint8_t *data, size_t size)
{
    int64_t whole[VALUES], part[VALUES];
    int32_t narrow[VALUES];
    delta_reader a, b;
    if (!delta_init(&a, data, size))
        return;
    delta_end(&a);
    b = a;
    size_t n = delta_read64(&a, whole, VALUES), at = 0;
    insist(n <= VALUES);
    for (size_t k = 1; at < n; k = k * 3 + 1) {
        size_t ask = k < n - at ? k : n - at;
        insist(delta_read64(&b, part + at, ask) == ask);
        at += ask;
    }
    insist(memcmp(whole, part, n * sizeof *whole) == 0);
    delta_init(&a, data, size);
    insist(delta_read32(&a, narrow, VALUES) == n);
    for (size_t i = 0; i < n; i++)
        insist(narrow[i] == (int32_t)(uint32_t)(uint64_t)whole[i]);
}

static void from_the_top(unsigned width, size_t first, const uint8_t *data, size_t size)
{
    uint32_t whole[VALUES], part[VALUES];
    size_t n = bitunpack_msb(data, size, first, width, whole, VALUES);
    insist(n <= VALUES);
    for (size_t i = 0; i < n; i += 7)
        insist(bitunpack_msb(data, size, first + i, width, part, 1) == 1 && part[0] == whole[i]);
}

static void split(unsigned width, const uint8_t *data, size_t size)
{
    size_t n = size / width;
    uint8_t *v = malloc(size + 1), *again = malloc(size + 1);
    split_read(data, n, width, 0, v, n);
    split_write(v, n, width, again);
    insist(memcmp(data, again, n * width) == 0);
    free(v);
    free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 4)
        return 0;
    unsigned what = data[0] % 16, arg = data[1];
    size_t want = (size_t)data[2] | (size_t)data[3] << 8;
    size -= 4;
    uint8_t *padded = malloc(size + BITUNPACK_SLACK); /* decoders of bits read that far */
    if (!padded)
        return 0;
    memcpy(padded, data + 4, size);
    memset(padded + size, 0, BITUNPACK_SLACK);
    if (what < CODEC_COUNT_)
        compression((codec_id)what, want, data + 4, size);
    else if (what == 8)
        runs(arg % 33, padded, size);
    else if (what == 9)
        deltas(padded, size);
    else if (what == 10)
        from_the_top(arg % 33, want, data + 4, size);
    else if (what == 11)
        split(1 + arg % 20, data + 4, size);
    else if (what == 12)
        bloom_probe(data + 4, size, (uint64_t)want << 32 | arg);
    free(padded);
    return 0;
}
