/*
 * column_encode.c: the parts of a data page: definition levels, values, dictionary codes.
 *
 * A page of version 1, before compression:
 *
 *   within lists       4 bytes length, then repetition levels as RLE
 *   unless required    4 bytes length, then definition levels as RLE (of one bit: 1 = there is a value)
 *   then               PLAIN: the values, booleans as bits
 *                      RLE (booleans): 4 bytes length, then RLE of one bit
 *                      RLE_DICTIONARY: 1 byte width, then RLE of codes
 *                      DELTA_BINARY_PACKED: as delta_encode.h
 *                      DELTA_LENGTH_BYTE_ARRAY, DELTA_BYTE_ARRAY: as bytes_encode.h
 *                      BYTE_STREAM_SPLIT (numbers): as split.h
 *
 * In a page of version 2 the lengths are in its header and levels aren't compressed.
 *
 * Each function appends to s->body at `at` and says where it ended.
 */
#include "base/clones.h"
#include "codec/bitpack_encode.h"
#include "codec/delta_encode.h"
#include "codec/rle_encode.h"
#include "codec/split.h"
#include "format/parquet/column_write_int.h"

codec_id codec_of(pq_codec c)
{
    static const codec_id ids[] = {[PQ_UNCOMPRESSED] = CODEC_NONE, [PQ_SNAPPY] = CODEC_SNAPPY, [PQ_GZIP] = CODEC_GZIP,
                                   [PQ_BROTLI] = CODEC_BROTLI, [PQ_LZ4] = CODEC_LZ4_HADOOP, [PQ_ZSTD] = CODEC_ZSTD,
                                   [PQ_LZ4_RAW] = CODEC_LZ4};
    return ids[c];
}

unsigned code_width(uint32_t n_entries, bool whole_bytes)
{
    unsigned w = n_entries > 1 ? bit_width_u64(n_entries - 1) : 0;
    return !whole_bytes || w == 0 ? w : w <= 8 ? 8 : w <= 16 ? 16 : w;
}

fz_status body_room(column_scratch *s, mem *m, size_t keep, size_t want, fz_error *err)
{
    if (keep + want <= s->body_cap)
        return FZ_OK;
    size_t cap = s->body_cap * 2 > keep + want ? s->body_cap * 2 : keep + want;
    uint8_t *p = mem_resize(m, s->body, s->body_cap, cap);
    if (!p)
        return error_nomem(err);
    s->body = p;
    s->body_cap = cap;
    return FZ_OK;
}

static void put_le32(uint8_t *p, uint64_t v)
{
    for (int i = 0; i < 4; i++)
        p[i] = (uint8_t)(v >> 8 * i);
}

CLONES
static void widen(uint32_t *restrict out, const uint8_t *restrict in, size_t n)
{
    for (size_t i = 0; i < n; i++)
        out[i] = in[i];
}

/* n levels of several bits; `same`: all are `top`. */
static fz_status put_levels(column_writer *c, column_scratch *s, const uint8_t *levels, bool same, uint8_t top, uint32_t n,
                            size_t *at, uint32_t *len, fz_error *err)
{
    unsigned width = bit_width_u64(top);
    size_t head = c->o->page_version == 2 ? 0 : 4;
    TRY(body_room(s, c->m, *at, head + rle_bound(n, width), err));
    uint8_t *out = s->body + *at + head;
    size_t used;
    if (same) {
        used = rle_encode_run(top, n, width, out);
    } else {
        TRY(scratch_room(&s->codes_mem, &s->codes_cap, n * sizeof(uint32_t), c->m, err));
        uint32_t *wide = (uint32_t *)(void *)s->codes_mem;
        widen(wide, levels, n);
        used = rle_encode(wide, n, width, out);
    }
    if (head)
        put_le32(out - 4, used);
    *len = (uint32_t)used;
    *at += head + used;
    return FZ_OK;
}

/* Definition levels of one bit are the bitmap. */
static fz_status put_validity(column_writer *c, column_scratch *s, uint32_t from, uint32_t n, size_t *at, fz_error *err)
{
    size_t head = c->o->page_version == 2 ? 0 : 4;
    TRY(body_room(s, c->m, *at, head + rle_bound(n, 1), err));
    uint8_t *out = s->body + *at + head;
    size_t used = c->stage.has_nulls ? rle_encode_bits(c->stage.valid, from, n, out) : rle_encode_run(1, n, 1, out);
    if (head)
        put_le32(out - 4, used);
    s->def_len = (uint32_t)used;
    *at += head + used;
    return FZ_OK;
}

fz_status encode_levels(column_writer *c, column_scratch *s, uint32_t from, uint32_t n, size_t *size, fz_error *err)
{
    const column_stage *g = &c->stage;
    *size = 0;
    s->rep_len = s->def_len = 0;
    if (c->max_rep)
        TRY(put_levels(c, s, g->rep + from, false, c->max_rep, n, size, &s->rep_len, err));
    if (c->max_def == 1)
        return put_validity(c, s, from, n, size, err);
    if (c->max_def)
        TRY(put_levels(c, s, g->has_nulls ? g->def + from : NULL, !g->has_nulls, c->max_def, n, size, &s->def_len, err));
    return FZ_OK;
}

fz_status encode_codes(column_scratch *s, mem *m, const uint32_t *codes, size_t n, unsigned width, size_t at,
                       size_t *size, fz_error *err)
{
    TRY(body_room(s, m, at, 1 + rle_bound(n, width), err));
    s->body[at] = (uint8_t)width;
    *size = at + 1 + rle_encode(codes, n, width, s->body + at + 1);
    return FZ_OK;
}

/* ---- lanes ---- */

static void put_lanes8(uint8_t *out, const uint64_t *lanes, size_t n)
{
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    for (size_t i = 0; i < n; i++) {
        uint64_t v = __builtin_bswap64(lanes[i]);
        memcpy(out + 8 * i, &v, 8);
    }
#else
    if (n) /* a page of NULLs has no lanes */
        memcpy(out, lanes, n * 8);
#endif
}

CLONES
static void narrow_lanes(uint32_t *restrict out, const uint64_t *restrict lanes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        out[i] = (uint32_t)lanes[i];
}

static void put_lanes4(uint8_t *out, const uint64_t *lanes, size_t n)
{
    uint32_t tmp[256];
    for (size_t i = 0; i < n; i += 256) {
        size_t k = n - i < 256 ? n - i : 256;
        narrow_lanes(tmp, lanes + i, k);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
        for (size_t j = 0; j < k; j++)
            tmp[j] = __builtin_bswap32(tmp[j]);
#endif
        memcpy(out + i * 4, tmp, k * 4);
    }
}

/* Booleans as a bitmap in out, in whole words. */
static void put_bits(uint64_t *out, const uint64_t *lanes, size_t n)
{
    for (size_t i = 0; i < n; i += 64) {
        size_t k = n - i < 64 ? n - i : 64;
        uint64_t w = 0;
        for (size_t j = 0; j < k; j++)
            w |= (lanes[i + j] & 1) << j;
        out[i / 64] = w;
    }
}

static fz_status encode_bools(column_writer *c, column_scratch *s, const uint64_t *lanes, size_t n, pq_encoding enc,
                              size_t at, size_t *size, fz_error *err)
{
    TRY(scratch_room(&s->packed, &s->packed_cap, (n + 63) / 64 * 8 + 8, c->m, err));
    TRY(body_room(s, c->m, at, 4 + rle_bound(n, 1), err));
    uint64_t *bits = (uint64_t *)s->packed;
    put_bits(bits, lanes, n);
    if (enc == PQ_ENC_RLE) {
        size_t used = rle_encode_bits(bits, 0, n, s->body + at + 4);
        put_le32(s->body + at, used);
        *size = at + 4 + used;
        return FZ_OK;
    }
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    for (size_t i = 0; i < (n + 63) / 64; i++)
        bits[i] = __builtin_bswap64(bits[i]);
#endif
    memcpy(s->body + at, bits, (n + 7) / 8);
    *size = at + (n + 7) / 8;
    return FZ_OK;
}

fz_status encode_lanes(column_writer *c, column_scratch *s, const uint64_t *lanes, size_t n, pq_encoding enc,
                       size_t at, size_t *size, fz_error *err)
{
    if (c->physical == PQ_BOOLEAN)
        return encode_bools(c, s, lanes, n, enc, at, size, err);
    if (enc == PQ_ENC_DELTA_BINARY_PACKED) {
        TRY(body_room(s, c->m, at, delta_bound(n), err));
        *size = at + delta_encode((const int64_t *)lanes, n, c->width == 4, s->body + at);
        return FZ_OK;
    }
    TRY(body_room(s, c->m, at, n * c->width, err));
    uint8_t *to = s->body + at;
    if (enc == PQ_ENC_BYTE_STREAM_SPLIT) {
        TRY(scratch_room(&s->packed, &s->packed_cap, n * c->width + 8, c->m, err));
        to = s->packed;
    }
    if (c->width == 4)
        put_lanes4(to, lanes, n);
    else
        put_lanes8(to, lanes, n);
    if (enc == PQ_ENC_BYTE_STREAM_SPLIT)
        split_write(to, n, c->width, s->body + at);
    *size = at + n * c->width;
    return FZ_OK;
}

/* ---- bytes ---- */

static void put_bytes_plain(const byte_values *v, bool prefixed, uint8_t *out)
{
    for (size_t i = 0; i < v->n; i++) {
        if (prefixed) {
            put_le32(out, v->len[i]);
            out += 4;
        }
        if (v->len[i])
            memcpy(out, v->data + v->off[i], v->len[i]);
        out += v->len[i];
    }
}

fz_status encode_bytes(column_writer *c, column_scratch *s, const byte_values *v, size_t bytes, pq_encoding enc, size_t at,
                       size_t *size, fz_error *err)
{
    if (enc == PQ_ENC_PLAIN) {
        *size = at + bytes + (c->width ? 0 : 4 * v->n);
        TRY(body_room(s, c->m, at, *size - at, err));
        put_bytes_plain(v, !c->width, s->body + at);
        return FZ_OK;
    }
    TRY(body_room(s, c->m, at, bytes_bound(v->n, bytes), err));
    TRY(scratch_room(&s->packed, &s->packed_cap, (2 * v->n + 1) * sizeof(int64_t), c->m, err));
    int64_t *lens = (int64_t *)(void *)s->packed;
    *size = at + (enc == PQ_ENC_DELTA_BYTE_ARRAY ? bytes_encode_prefixes(v, lens, s->body + at)
                                                 : bytes_encode_lengths(v, lens, s->body + at));
    return FZ_OK;
}
