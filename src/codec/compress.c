/*
 * compress.c: block compression behind one call: zstd, snappy, gzip/zlib and raw deflate.
 *
 * A codec_ctx creates the library contexts it needs on first use and keeps them; what they
 * allocate is charged to its `mem`. Compressors and decompressors are made lazily and apart, so a
 * reader never pays for an encoder's tables.
 *
 * Decompression is bounded by the destination: nothing is written past dst_n, and a block that
 * yields fewer or more bytes than asked for is FZ_DATA. Where the size is not known
 * (codec_decompress_unknown) the output grows by doubling up to the caller's maximum.
 */
#include "codec/compress.h"

#include <libdeflate.h>
#include <snappy-c.h>
#include <zstd.h>

#define ZSTD_LEVEL_DEFAULT    3
#define DEFLATE_LEVEL_DEFAULT 6

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
    static const char *const names[CODEC_COUNT_] = {"none", "snappy", "zstd", "gzip", "deflate"};
    return (unsigned)c < CODEC_COUNT_ ? names[c] : "unknown";
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
    if (level <= 0)
        level = DEFLATE_LEVEL_DEFAULT;
    if (level > 12)
        level = 12;
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
    size_t r = ZSTD_compressCCtx(ctx->zc, dst, cap, src, n, level ? level : ZSTD_LEVEL_DEFAULT);
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
