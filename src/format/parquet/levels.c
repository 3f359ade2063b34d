/*
 * levels.c: definition and repetition levels as bytes, and bitmaps from them.
 *
 * Levels are RLE / bit-packed hybrids (codec/rle.h); those of old files may be BIT_PACKED, most significant bit
 * first, which are packed anew when a page is opened, so that there is one reader. Levels are at most 64: a byte
 * each, eight of which are compared at once in a word.
 */
#include "format/parquet/read_int.h"

#include "base/clones.h"
#include "codec/bitpack.h"

#define PIECE 4096
#define ONES 0x0101010101010101ull
#define TOPS 0x8080808080808080ull

static unsigned level_width(uint8_t max) { return max ? 32u - (unsigned)__builtin_clz(max) : 0; }

void levels_open(pq_level_reader *r, const uint8_t *p, size_t n, uint8_t max)
{
    levels_close(r);
    rle_init(&r->rle, p, n, level_width(max));
    r->max = max;
}

void levels_close(pq_level_reader *r)
{
    buf_unref(r->made);
    r->made = NULL;
}

/* Bit-packed levels as one packed run of the hybrid. */
static fz_status packed_open(pq_level_reader *r, uint8_t max, uint32_t count, const uint8_t *p, size_t bytes, mem *m,
                             fz_error *err)
{
    unsigned width = level_width(max);
    levels_close(r);
    r->max = max;
    r->made = buf_new(m, bytes);
    if (!r->made)
        return error_nomem(err);
    memset(r->made->data, 0, bytes);
    uint32_t piece[256];
    size_t bit = 0;
    for (uint32_t done = 0; done < count;) {
        size_t k = count - done < 256 ? count - done : 256;
        k = bitunpack_msb(p, bytes, done, width, piece, k);
        for (size_t i = 0; i < k; i++)
            for (unsigned j = 0; j < width; j++, bit++)
                r->made->data[bit >> 3] |= (uint8_t)((piece[i] >> j & 1) << (bit & 7));
        done += (uint32_t)k;
    }
    r->rle = (rle_reader){.at = r->made->data + bytes, .end = r->made->data + bytes, .width = width, .packed = true,
                          .left = count, .bits = r->made->data};
    return FZ_OK;
}

fz_status levels_open_v1(pq_level_reader *r, pq_encoding enc, uint8_t max, uint32_t count, const uint8_t **at, size_t *n,
                         mem *m, fz_error *err)
{
    if (max == 0)
        return FZ_OK;
    if (enc == PQ_ENC_BIT_PACKED) {
        uint64_t bytes = ((uint64_t)count * level_width(max) + 7) / 8;
        if (bytes > *n)
            return error_set(err, FZ_DATA, "Parquet page ends before its levels");
        TRY(packed_open(r, max, count, *at, (size_t)bytes, m, err));
        *at += bytes;
        *n -= (size_t)bytes;
        return FZ_OK;
    }
    if (enc != PQ_ENC_RLE)
        return error_set(err, FZ_UNSUPPORTED, "Parquet levels of encoding %d are not supported", (int)enc);
    const uint8_t *p = *at;
    if (*n < 4)
        return error_set(err, FZ_DATA, "Parquet page ends before its levels");
    uint32_t len = (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
    if (len > *n - 4)
        return error_set(err, FZ_DATA, "Parquet page has levels that are longer than the page");
    levels_open(r, p + 4, len, max);
    *at += 4 + len;
    *n -= 4 + len;
    return FZ_OK;
}

/* Bits [first, first + n) as bytes. */
static void bits_expand(const uint8_t *src, uint64_t first, uint8_t *dst, size_t n)
{
    size_t i = 0;
    for (; i < n && ((first + i) & 7); i++)
        dst[i] = src[(first + i) >> 3] >> ((first + i) & 7) & 1;
    for (; i + 8 <= n; i += 8) {
        uint64_t x = (src[(first + i) >> 3] * ONES) & 0x8040201008040201ull;
        x = ((x + ~TOPS) >> 7) & ONES;
        for (unsigned j = 0; j < 8; j++)
            dst[i + j] = (uint8_t)(x >> (8 * j));
    }
    for (; i < n; i++)
        dst[i] = src[(first + i) >> 3] >> ((first + i) & 7) & 1;
}

/* Packed levels; false: one is too large. */
static bool packed_read(const rle_reader *r, uint8_t max, uint8_t *dst, size_t n, bool *all)
{
    if (r->width == 1) {
        bits_expand(r->bits, r->pos, dst, n);
        *all = false;
        return true;
    }
    uint32_t piece[256], most = 0, least = max;
    for (size_t done = 0; done < n;) {
        size_t k = n - done < 256 ? n - done : 256;
        bitunpack32(r->bits, r->pos + done, r->width, piece, k);
        for (size_t i = 0; i < k; i++) {
            most = piece[i] > most ? piece[i] : most;
            least = piece[i] < least ? piece[i] : least;
            dst[done + i] = (uint8_t)piece[i];
        }
        done += k;
    }
    *all = *all && least == max;
    return most <= max;
}

size_t levels_read(pq_level_reader *r, uint8_t *dst, size_t n, bool *all)
{
    rle_reader *l = &r->rle;
    size_t done = 0;
    if (r->max == 0) {
        memset(dst, 0, n);
        return n;
    }
    while (done < n && rle_run(l)) {
        size_t k = l->left < n - done ? (size_t)l->left : n - done;
        if (l->packed) {
            if (!packed_read(l, r->max, dst + done, k, all))
                return done;
        } else {
            if (l->value > r->max)
                return done;
            memset(dst + done, (int)l->value, k);
            *all = *all && l->value == r->max;
        }
        l->left -= k;
        l->pos += k;
        done += k;
    }
    return done;
}

/* One byte, 0 or 1, for each of eight levels: whether it is at least `level`. */
static inline uint64_t reach8(const uint8_t *levels, uint8_t level)
{
    uint64_t w;
    memcpy(&w, levels, 8);
    return (((w | TOPS) - level * ONES) & TOPS) >> 7;
}

CLONES size_t levels_count(const uint8_t *levels, size_t n, uint8_t level)
{
    size_t count = 0;
    for (size_t done = 0; done < n;) { /* sums of bytes in bytes: vectors four times as wide */
        size_t k = n - done < 255 ? n - done : 255;
        uint8_t some = 0;
        for (size_t i = 0; i < k; i++)
            some += levels[done + i] >= level;
        count += some;
        done += k;
    }
    return count;
}

size_t levels_bits(const uint8_t *levels, size_t n, uint8_t level, uint64_t *dst, size_t at)
{
    size_t ones = 0;
    for (size_t done = 0; done < n;) {
        uint8_t bits[PIECE / 8];
        size_t k = n - done < PIECE ? n - done : PIECE, i = 0;
        const uint8_t *l = levels + done;
        for (; i + 8 <= k; i += 8)
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
            bits[i / 8] = (uint8_t)(reach8(l + i, level) * 0x0102040810204080ull >> 56);
#else
            bits[i / 8] = (uint8_t)(reach8(l + i, level) * 0x8040201008040201ull >> 56);
#endif
        if (i < k) {
            uint8_t last = 0;
            for (size_t j = i; j < k; j++)
                last |= (uint8_t)((l[j] >= level) << (j - i));
            bits[i / 8] = last;
        }
        ones += bits_copy(bits, 0, dst, at + done, k);
        done += k;
    }
    return ones;
}

size_t levels_bits_among(const uint8_t *levels, size_t n, uint8_t among, uint8_t level, uint64_t *dst, size_t at)
{
    uint8_t some[PIECE];
    size_t ones = 0;
    for (size_t done = 0; done < n;) {
        size_t k = n - done < PIECE ? n - done : PIECE, m = 0;
        const uint8_t *l = levels + done;
        for (size_t i = 0; i < k; i++) {
            some[m] = l[i];
            m += l[i] >= among;
        }
        ones += levels_bits(some, m, level, dst, at);
        at += m;
        done += k;
    }
    return ones;
}

uint32_t rows_find(const uint8_t *rep, uint32_t n, uint64_t *rows)
{
    uint32_t zeros = n - (uint32_t)levels_count(rep, n, 1);
    if (zeros <= *rows) {
        *rows = zeros;
        return n;
    }
    uint32_t at = 0;
    uint64_t left = *rows;
    for (;;) { /* blocks before the one that it is in */
        uint32_t block = n - at < 128 ? n - at : 128, here = block - (uint32_t)levels_count(rep + at, block, 1);
        if (here > left)
            break;
        left -= here;
        at += block;
    }
    for (;; at++)
        if (rep[at] == 0 && left-- == 0)
            break;
    return at;
}
