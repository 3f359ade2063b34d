/*
 * compress.c: block compression behind one call: zstd, snappy, gzip/zlib, raw deflate, brotli and lz4.
 *
 * A codec_ctx creates the library contexts it needs on first use and keeps them; what they
 * allocate is charged to its `mem`. Compressors and decompressors are made lazily and apart, so a
 * reader never pays for an encoder's tables.
 *
 * Brotli and lz4 keep nothing between calls: a brotli decoder's window (at most 16 MB) lives as long as a call.
 *
 * Decompression is bounded by the destination: nothing is written past dst_n, and a block that
 * yields fewer or more bytes than asked for is FZ_DATA. Where the size is not known
 * (codec_decompress_unknown) the output grows by doubling up to the caller's maximum.
 */
#include "codec/compress.h"

#include <brotli/decode.h>
#include <brotli/encode.h>
#include <libdeflate.h>
#include <limits.h>
#include <lz4.h>
#include <lz4frame.h>
#include <snappy-c.h>
#include <zstd.h>

#define ZSTD_LEVEL_DEFAULT    3
#define DEFLATE_LEVEL_DEFAULT 6
#define BROTLI_LEVEL_DEFAULT  4

#define LZ4_HADOOP_HEAD 8 /* two big-endian lengths: of the contents, of the block */

struct codec_ctx {
    mem *m;
    ZSTD_CCtx *zc;
    ZSTD_DCtx *zd;
    struct libdeflate_compressor *dc;
    struct libdeflate_decompressor *dd;
    int dc_level;
    int64_t charged;
};

const char *codec_name(codec_id c)
{
    static const char *const names[CODEC_COUNT_] = {"none", "snappy", "zstd", "gzip", "deflate",
                                                     "brotli", "lz4", "lz4 (hadoop)"};
    return (unsigned)c < CODEC_COUNT_ ? names[c] : "unknown";
}

bool codec_levels(codec_id c, int *min, int *max)
{
    *min = *max = 0;
    switch (c) {
    case CODEC_ZSTD:
        *min = 1; /* the negative ones give little compression, and no other writer takes them */
        *max = ZSTD_maxCLevel();
        return true;
    case CODEC_GZIP:
    case CODEC_DEFLATE:
        *min = 1;
        *max = 12;
        return true;
    case CODEC_BROTLI:
        *min = 1; /* 0 asks for the default here; brotli's own 0 is hardly another */
        *max = BROTLI_MAX_QUALITY;
        return true;
    default:
        return false;
    }
}

static int level_in_range(codec_id c, int level, int none)
{
    int min, max;
    if (level == CODEC_LEVEL_DEFAULT || !codec_levels(c, &min, &max))
        return none;
    return level < min ? min : level > max ? max : level;
}

codec_ctx *codec_ctx_new(mem *m)
{
    codec_ctx *c = mem_zalloc(m, sizeof *c);
    if (c)
        c->m = m;
    return c;
}

void codec_ctx_free(codec_ctx *c)
{
    if (!c)
        return;
    ZSTD_freeCCtx(c->zc);
    ZSTD_freeDCtx(c->zd);
    if (c->dc)
        libdeflate_free_compressor(c->dc);
    if (c->dd)
        libdeflate_free_decompressor(c->dd);
    mem_charge(c->m, -c->charged);
    mem_free(c->m, c, sizeof *c);
}

/* The zstd contexts grow as they are used; what they hold now is what is charged. */
static void ctx_charge(codec_ctx *c)
{
    int64_t now = (int64_t)(ZSTD_sizeof_CCtx(c->zc) + ZSTD_sizeof_DCtx(c->zd));
    if (now != c->charged) {
        mem_charge(c->m, now - c->charged);
        c->charged = now;
    }
}

static fz_status ctx_inflater(codec_ctx *c, fz_error *err)
{
    if (!c->dd && !(c->dd = libdeflate_alloc_decompressor()))
        return error_nomem(err);
    return FZ_OK;
}

static fz_status ctx_deflater(codec_ctx *c, int level, fz_error *err)
{
    level = level_in_range(CODEC_DEFLATE, level, DEFLATE_LEVEL_DEFAULT);
    if (c->dc && c->dc_level != level) {
        libdeflate_free_compressor(c->dc);
        c->dc = NULL;
    }
    if (!c->dc && !(c->dc = libdeflate_alloc_compressor(level)))
        return error_nomem(err);
    c->dc_level = level;
    return FZ_OK;
}

static fz_status ctx_zstd_in(codec_ctx *c, fz_error *err)
{
    if (!c->zd && !(c->zd = ZSTD_createDCtx()))
        return error_nomem(err);
    return FZ_OK;
}

size_t codec_bound(codec_id c, size_t n)
{
    switch (c) {
    case CODEC_SNAPPY:
        return snappy_max_compressed_length(n);
    case CODEC_ZSTD:
        return ZSTD_compressBound(n);
    case CODEC_GZIP:
        return libdeflate_gzip_compress_bound(NULL, n);
    case CODEC_DEFLATE:
        return libdeflate_deflate_compress_bound(NULL, n);
    case CODEC_BROTLI:
        return BrotliEncoderMaxCompressedSize(n);
    case CODEC_LZ4:
    case CODEC_LZ4_HADOOP:
        return n + n / 255 + 16 + LZ4_HADOOP_HEAD;
    default:
        return n;
    }
}

/* ---- compression ---- */

static fz_status compress_zstd(codec_ctx *ctx, int level, const void *src, size_t n, void *dst, size_t cap,
                               size_t *out_n, fz_error *err)
{
    if (!ctx->zc && !(ctx->zc = ZSTD_createCCtx()))
        return error_nomem(err);
    size_t r = ZSTD_compressCCtx(ctx->zc, dst, cap, src, n, level_in_range(CODEC_ZSTD, level, ZSTD_LEVEL_DEFAULT));
    ctx_charge(ctx);
    if (ZSTD_isError(r))
        return error_set(err, FZ_INTERNAL, "zstd could not compress a block of %zu bytes: %s", n,
                         ZSTD_getErrorName(r));
    *out_n = r;
    return FZ_OK;
}

static fz_status compress_deflate(codec_ctx *ctx, bool gzip, int level, const void *src, size_t n, void *dst,
                                  size_t cap, size_t *out_n, fz_error *err)
{
    TRY(ctx_deflater(ctx, level, err));
    size_t r = gzip ? libdeflate_gzip_compress(ctx->dc, src, n, dst, cap)
                    : libdeflate_deflate_compress(ctx->dc, src, n, dst, cap);
    if (!r)
        return error_set(err, FZ_INTERNAL, "deflate: a block of %zu bytes does not fit in %zu bytes", n, cap);
    *out_n = r;
    return FZ_OK;
}

static fz_status compress_brotli(int level, const void *src, size_t n, void *dst, size_t cap, size_t *out_n,
                                 fz_error *err)
{
    size_t got = cap;
    if (!BrotliEncoderCompress(level_in_range(CODEC_BROTLI, level, BROTLI_LEVEL_DEFAULT), BROTLI_DEFAULT_WINDOW,
                               BROTLI_MODE_GENERIC, n, src, &got, dst))
        return error_set(err, FZ_INTERNAL, "brotli could not compress a block of %zu bytes", n);
    *out_n = got;
    return FZ_OK;
}

static void put_be32(uint8_t *p, size_t v)
{
    for (int i = 0; i < 4; i++)
        p[i] = (uint8_t)(v >> (24 - 8 * i));
}

static fz_status compress_lz4(bool hadoop, const void *src, size_t n, uint8_t *dst, size_t cap, size_t *out_n,
                              fz_error *err)
{
    size_t head = hadoop ? LZ4_HADOOP_HEAD : 0;
    int got = 0;
    if (n <= LZ4_MAX_INPUT_SIZE && cap >= head)
        got = LZ4_compress_default(src, (char *)dst + head, (int)n, cap - head < INT_MAX ? (int)(cap - head) : INT_MAX);
    if (got <= 0)
        return error_set(err, FZ_INTERNAL, "lz4 could not compress a block of %zu bytes", n);
    if (hadoop) {
        put_be32(dst, n);
        put_be32(dst + 4, (size_t)got);
    }
    *out_n = head + (size_t)got;
    return FZ_OK;
}

fz_status codec_compress(codec_ctx *ctx, codec_id c, int level, const void *src, size_t n, void *dst,
                         size_t cap, size_t *out_n, fz_error *err)
{
    switch (c) {
    case CODEC_NONE:
        if (n > cap)
            return error_set(err, FZ_INTERNAL, "a block of %zu bytes does not fit in %zu bytes", n, cap);
        if (n)
            memcpy(dst, src, n);
        *out_n = n;
        return FZ_OK;
    case CODEC_SNAPPY: {
        size_t len = cap;
        if (snappy_compress(src, n, dst, &len) != SNAPPY_OK)
            return error_set(err, FZ_INTERNAL, "snappy could not compress a block of %zu bytes", n);
        *out_n = len;
        return FZ_OK;
    }
    case CODEC_ZSTD:
        return compress_zstd(ctx, level, src, n, dst, cap, out_n, err);
    case CODEC_GZIP:
        return compress_deflate(ctx, true, level, src, n, dst, cap, out_n, err);
    case CODEC_DEFLATE:
        return compress_deflate(ctx, false, level, src, n, dst, cap, out_n, err);
    case CODEC_BROTLI:
        return compress_brotli(level, src, n, dst, cap, out_n, err);
    case CODEC_LZ4:
    case CODEC_LZ4_HADOOP:
        return compress_lz4(c == CODEC_LZ4_HADOOP, src, n, dst, cap, out_n, err);
    default:
        return error_set(err, FZ_UNSUPPORTED, "compression codec %d is not supported", (int)c);
    }
}

/* ---- decompression ---- */

static fz_status bad_block(codec_id c, const char *why, fz_error *err)
{
    return error_set(err, FZ_DATA, "a block compressed with %s is damaged: %s", codec_name(c), why);
}

/* One member of a gzip, zlib or raw deflate stream into dst. */
static enum libdeflate_result inflate_one(codec_ctx *ctx, codec_id c, const uint8_t *src, size_t n, void *dst,
                                          size_t cap, size_t *used, size_t *made)
{
    if (c == CODEC_DEFLATE)
        return libdeflate_deflate_decompress_ex(ctx->dd, src, n, dst, cap, used, made);
    if (n >= 2 && src[0] == 0x1f && src[1] == 0x8b)
        return libdeflate_gzip_decompress_ex(ctx->dd, src, n, dst, cap, used, made);
    return libdeflate_zlib_decompress_ex(ctx->dd, src, n, dst, cap, used, made);
}

static fz_status inflate_known(codec_ctx *ctx, codec_id c, const uint8_t *src, size_t n, uint8_t *dst,
                               size_t dst_n, fz_error *err)
{
    TRY(ctx_inflater(ctx, err));
    size_t at = 0;
    do {
        size_t used = 0, made = 0;
        enum libdeflate_result r = inflate_one(ctx, c, src, n, dst + at, dst_n - at, &used, &made);
        if (r == LIBDEFLATE_INSUFFICIENT_SPACE)
            return bad_block(c, "it holds more bytes than announced", err);
        if (r != LIBDEFLATE_SUCCESS)
            return bad_block(c, "not a valid stream", err);
        src += used;
        n -= used;
        at += made;
    } while (n && c == CODEC_GZIP);
    if (at != dst_n || n)
        return bad_block(c, n ? "bytes follow its end" : "it holds fewer bytes than announced", err);
    return FZ_OK;
}

/* How decompressing into a buffer of a given size went: it may have been too small. */
typedef enum fit { FIT_OK, FIT_MORE, FIT_BAD } fit;

static fit brotli_into(const uint8_t *src, size_t n, uint8_t *dst, size_t cap, size_t *made)
{
    BrotliDecoderState *s = BrotliDecoderCreateInstance(NULL, NULL, NULL);
    if (!s)
        return FIT_BAD;
    size_t in = n, room = cap;
    BrotliDecoderResult r = BrotliDecoderDecompressStream(s, &in, &src, &room, &dst, NULL);
    BrotliDecoderDestroyInstance(s);
    *made = cap - room;
    return r == BROTLI_DECODER_RESULT_SUCCESS && !in   ? FIT_OK
           : r == BROTLI_DECODER_RESULT_NEEDS_MORE_OUTPUT ? FIT_MORE
                                                          : FIT_BAD;
}

/* lz4 doesn't say whether a block is damaged or the room too small: both are FIT_MORE. */
static fit lz4_into(const uint8_t *src, size_t n, uint8_t *dst, size_t cap, size_t *made)
{
    uint8_t none;
    if (n > INT_MAX)
        return FIT_BAD;
    int r = LZ4_decompress_safe((const char *)src, (char *)(cap ? dst : &none), (int)n, cap < INT_MAX ? (int)cap : INT_MAX);
    *made = r > 0 ? (size_t)r : 0;
    return r >= 0 ? FIT_OK : FIT_MORE;
}

static size_t get_be32(const uint8_t *p)
{
    return (size_t)p[0] << 24 | (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3];
}

/* Hadoop's block stream: length of the contents, then blocks with their length until the contents are complete; again
 * until the input ends. */
static fit hadoop_into(const uint8_t *src, size_t n, uint8_t *dst, size_t cap, size_t *made)
{
    *made = 0;
    while (n) {
        if (n < 4)
            return FIT_BAD;
        size_t whole = get_be32(src), got;
        src += 4;
        n -= 4;
        if (whole > cap - *made)
            return FIT_MORE;
        do {
            size_t block = n >= 4 ? get_be32(src) : 0;
            if (n < 4 && whole == 0)
                break; /* nothing, without even an empty block */
            if (n < 4 || block > n - 4 || lz4_into(src + 4, block, dst + *made, whole, &got) != FIT_OK || (whole && !got))
                return FIT_BAD;
            src += 4 + block;
            n -= 4 + block;
            *made += got;
            whole -= got;
        } while (whole);
    }
    return FIT_OK;
}

static fit lz4_frame_into(const uint8_t *src, size_t n, uint8_t *dst, size_t cap, size_t *made)
{
    LZ4F_dctx *d;
    size_t hint = 1;
    *made = 0;
    if (LZ4F_isError(LZ4F_createDecompressionContext(&d, LZ4F_VERSION)))
        return FIT_BAD;
    while (n) {
        size_t in = n, out = cap - *made;
        hint = LZ4F_decompress(d, dst + *made, &out, src, &in, NULL);
        if (LZ4F_isError(hint) || (in == 0 && out == 0))
            break;
        src += in;
        n -= in;
        *made += out;
    }
    LZ4F_freeDecompressionContext(d);
    return !n && hint == 0 ? FIT_OK : !LZ4F_isError(hint) && *made == cap ? FIT_MORE : FIT_BAD;
}

/* What Parquet calls LZ4: hadoop's framing, an lz4 frame (from parquet-cpp 0.x), or a raw block, tried in this order as
 * other readers do. */
static fit old_lz4_into(const uint8_t *src, size_t n, uint8_t *dst, size_t cap, size_t *made)
{
    static const uint8_t magic[4] = {0x04, 0x22, 0x4d, 0x18};
    fit a = hadoop_into(src, n, dst, cap, made);
    if (a == FIT_OK)
        return a;
    if (n >= 4 && memcmp(src, magic, 4) == 0)
        return lz4_frame_into(src, n, dst, cap, made);
    return lz4_into(src, n, dst, cap, made);
}

static fit other_into(codec_id c, const void *src, size_t n, void *dst, size_t cap, size_t *made)
{
    return c == CODEC_BROTLI ? brotli_into(src, n, dst, cap, made)
           : c == CODEC_LZ4  ? lz4_into(src, n, dst, cap, made)
                             : old_lz4_into(src, n, dst, cap, made);
}

static fz_status other_known(codec_id c, const void *src, size_t n, void *dst, size_t dst_n, fz_error *err)
{
    size_t made;
    switch (other_into(c, src, n, dst, dst_n, &made)) {
    case FIT_OK: return made == dst_n ? FZ_OK : bad_block(c, "it holds fewer bytes than announced", err);
    case FIT_MORE: return bad_block(c, "it holds more bytes than announced, or isn't a valid stream", err);
    default: return bad_block(c, "not a valid stream", err);
    }
}

fz_status codec_decompress(codec_ctx *ctx, codec_id c, const void *src, size_t n, void *dst,
                           size_t dst_n, fz_error *err)
{
    switch (c) {
    case CODEC_NONE:
        if (n != dst_n)
            return error_set(err, FZ_DATA, "a block has %zu bytes where %zu were announced", n, dst_n);
        if (n)
            memcpy(dst, src, n);
        return FZ_OK;
    case CODEC_SNAPPY: {
        size_t len = 0;
        if (snappy_uncompressed_length(src, n, &len) != SNAPPY_OK || len != dst_n)
            return bad_block(c, "its length is not the one announced", err);
        if (snappy_uncompress(src, n, dst, &len) != SNAPPY_OK || len != dst_n)
            return bad_block(c, "not a valid stream", err);
        return FZ_OK;
    }
    case CODEC_ZSTD: {
        TRY(ctx_zstd_in(ctx, err));
        size_t r = ZSTD_decompressDCtx(ctx->zd, dst, dst_n, src, n);
        ctx_charge(ctx);
        if (ZSTD_isError(r))
            return bad_block(c, ZSTD_getErrorName(r), err);
        if (r != dst_n)
            return bad_block(c, "it holds fewer bytes than announced", err);
        return FZ_OK;
    }
    case CODEC_GZIP:
    case CODEC_DEFLATE:
        return inflate_known(ctx, c, src, n, dst, dst_n, err);
    case CODEC_BROTLI:
    case CODEC_LZ4:
    case CODEC_LZ4_HADOOP:
        return other_known(c, src, n, dst, dst_n, err);
    default:
        return error_set(err, FZ_UNSUPPORTED, "compression codec %d is not supported", (int)c);
    }
}

/* Room for more output: doubles up to max. */
static fz_status grow(buf *b, size_t max, codec_id c, fz_error *err)
{
    if (b->cap >= max)
        return error_set(err, FZ_DATA, "a block compressed with %s holds more than %zu bytes", codec_name(c), max);
    size_t cap = b->cap > max / 2 ? max : b->cap * 2;
    return buf_reserve(b, cap) ? FZ_OK : error_nomem(err);
}

static fz_status zstd_unknown(codec_ctx *ctx, const void *src, size_t n, size_t max, buf *b, fz_error *err)
{
    TRY(ctx_zstd_in(ctx, err));
    ZSTD_DCtx_reset(ctx->zd, ZSTD_reset_session_only);
    ZSTD_inBuffer in = {src, n, 0};
    size_t r = n ? 1 : 0;
    while (in.pos < n || r) {
        if (b->size == b->cap)
            TRY(grow(b, max, CODEC_ZSTD, err));
        ZSTD_outBuffer out = {b->data, b->cap, b->size};
        size_t in0 = in.pos, out0 = out.pos;
        r = ZSTD_decompressStream(ctx->zd, &out, &in);
        if (ZSTD_isError(r))
            return bad_block(CODEC_ZSTD, ZSTD_getErrorName(r), err);
        b->size = out.pos;
        if (in.pos == in0 && out.pos == out0 && out.pos < out.size)
            return bad_block(CODEC_ZSTD, "it ends within a frame", err);
    }
    ctx_charge(ctx);
    return FZ_OK;
}

static fz_status inflate_unknown(codec_ctx *ctx, codec_id c, const uint8_t *src, size_t n, size_t max, buf *b,
                                 fz_error *err)
{
    TRY(ctx_inflater(ctx, err));
    do {
        size_t used = 0, made = 0;
        enum libdeflate_result r = inflate_one(ctx, c, src, n, b->data + b->size, b->cap - b->size, &used, &made);
        if (r == LIBDEFLATE_INSUFFICIENT_SPACE) {
            TRY(grow(b, max, c, err)); /* this member again, with more room */
            continue;
        }
        if (r != LIBDEFLATE_SUCCESS)
            return bad_block(c, "not a valid stream", err);
        src += used;
        n -= used;
        b->size += made;
        if (n > 4 && c == CODEC_DEFLATE)
            return bad_block(c, "bytes follow its end", err);
        if (!n || c == CODEC_DEFLATE) /* PyIceberg's Avro blocks end in part of a zlib checksum */
            break;
    } while (true);
    return FZ_OK;
}

/* Into more and more room. lz4 expands by no more than 255, which bounds what a damaged block costs. */
static fz_status other_unknown(codec_id c, const void *src, size_t n, size_t max, buf *b, fz_error *err)
{
    if (c != CODEC_BROTLI && n < max / 256)
        max = (n + 1) * 256;
    for (;;) {
        fit f = other_into(c, src, n, b->data, b->cap < max ? b->cap : max, &b->size);
        if (f == FIT_OK)
            return FZ_OK;
        if (f == FIT_BAD)
            return bad_block(c, "not a valid stream", err);
        b->size = 0;
        TRY(grow(b, max, c, err));
    }
}

fz_status codec_decompress_unknown(codec_ctx *ctx, codec_id c, const void *src, size_t n, mem *m,
                                   size_t max, buf **out, fz_error *err)
{
    size_t guess = n < max / 4 ? n * 4 : max;
    if (c == CODEC_NONE || c == CODEC_SNAPPY) {
        guess = n;
        if (c == CODEC_SNAPPY && snappy_uncompressed_length(src, n, &guess) != SNAPPY_OK)
            return bad_block(c, "it has no length", err);
        if (guess > max)
            return error_set(err, FZ_DATA, "a block compressed with %s holds more than %zu bytes",
                             codec_name(c), max);
    } else if (guess < 64) {
        guess = max < 64 ? max : 64;
    }
    buf *b = buf_new(m, guess);
    if (!b)
        return error_nomem(err);
    fz_status st;
    b->size = 0;
    switch (c) {
    case CODEC_ZSTD:
        st = zstd_unknown(ctx, src, n, max, b, err);
        break;
    case CODEC_GZIP:
    case CODEC_DEFLATE:
        st = inflate_unknown(ctx, c, src, n, max, b, err);
        break;
    case CODEC_BROTLI:
    case CODEC_LZ4:
    case CODEC_LZ4_HADOOP:
        st = other_unknown(c, src, n, max, b, err);
        break;
    default:
        st = codec_decompress(ctx, c, src, n, b->data, guess, err);
        b->size = guess;
    }
    if (st != FZ_OK) {
        buf_unref(b);
        return st;
    }
    *out = b;
    return FZ_OK;
}
