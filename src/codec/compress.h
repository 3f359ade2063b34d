/*
 * compress.h: block compression behind one call, for Parquet pages and Avro blocks.
 */
#ifndef CODEC_COMPRESS_H
#define CODEC_COMPRESS_H

#include "base/error.h"
#include "base/mem.h"

typedef enum codec_id {
    CODEC_NONE = 0,
    CODEC_SNAPPY,
    CODEC_ZSTD,
    CODEC_GZIP,    /* gzip or zlib wrapper, concatenated members allowed */
    CODEC_DEFLATE, /* raw deflate, as Avro has it */
    CODEC_BROTLI,
    CODEC_LZ4,        /* one raw block */
    CODEC_LZ4_HADOOP, /* Parquet's old LZ4: hadoop's framing; read also where it is really a raw block or an lz4 frame */
    CODEC_COUNT_
} codec_id;

const char *codec_name(codec_id c);

#define CODEC_LEVEL_DEFAULT 0

/* State that is worth keeping between calls (zstd and libdeflate contexts); one thread at a time. */
typedef struct codec_ctx codec_ctx;
codec_ctx *codec_ctx_new(mem *m);
void codec_ctx_free(codec_ctx *c);

/* Worst-case size of the compressed form of n bytes. */
size_t codec_bound(codec_id c, size_t n);
/* Whether `level` means something to the codec, and its range. */
bool codec_levels(codec_id c, int *min, int *max);
/* level: CODEC_LEVEL_DEFAULT or one in the codec's range; others are brought into it. dst has codec_bound() bytes; *out_n bytes are written. */
fz_status codec_compress(codec_ctx *ctx, codec_id c, int level, const void *src, size_t n, void *dst,
                         size_t cap, size_t *out_n, fz_error *err);
/* Exactly dst_n bytes must come out, else FZ_DATA; never writes past dst_n. */
fz_status codec_decompress(codec_ctx *ctx, codec_id c, const void *src, size_t n, void *dst,
                           size_t dst_n, fz_error *err);
/* For blocks that don't say how large they become: at most max bytes, else FZ_DATA. */
fz_status codec_decompress_unknown(codec_ctx *ctx, codec_id c, const void *src, size_t n, mem *m,
                                   size_t max, buf **out, fz_error *err);

#endif
