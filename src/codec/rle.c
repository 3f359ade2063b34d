/* rle.c: reading the RLE / bit-packing hybrid; see rle.h. */
#include "codec/rle.h"
#include "base/clones.h"
#include "codec/bitpack.h"

#include <string.h>

void rle_init(rle_reader *r, const uint8_t *p, size_t n, unsigned width)
{
    *r = (rle_reader){.at = p, .end = p + n, .width = width};
}

static bool run_open(rle_reader *r)
{
    uint64_t h = 0;
    for (unsigned shift = 0;; shift += 7) {
        if (r->at == r->end || shift > 28)
            return false;
        uint8_t b = *r->at++;
        h |= (uint64_t)(b & 0x7f) << shift;
        if (!(b & 0x80))
            break;
    }
    size_t rest = (size_t)(r->end - r->at);
    r->packed = h & 1;
    if (!r->packed) {
        size_t bytes = (r->width + 7) / 8;
        if (bytes > rest)
            return false;
        r->value = 0;
        for (size_t i = 0; i < bytes; i++)
            r->value |= (uint32_t)r->at[i] << (8 * i);
        r->at += bytes;
        r->left = h >> 1;
        return r->width == 32 || r->value >> r->width == 0;
    }
    uint64_t bytes = (h >> 1) * r->width;
    r->left = (h >> 1) * 8;
    if (bytes > rest) {
        bytes = rest;
        r->left = rest * 8 / r->width;
    }
    r->bits = r->at;
    r->pos = 0;
    r->at += bytes;
    return true;
}

bool rle_run(rle_reader *r)
{
    while (r->left == 0)
        if (!run_open(r))
            return false;
    return true;
}

/* The part of n that the current run has, counted as read. */
static size_t run_take(rle_reader *r, size_t n)
{
    size_t k = r->left < n ? (size_t)r->left : n;
    r->left -= k;
    r->pos += k;
    return k;
}

size_t rle_read(rle_reader *r, uint32_t *dst, size_t n)
{
    size_t done = 0;
    while (done < n && rle_run(r)) {
        uint64_t pos = r->pos;
        size_t k = run_take(r, n - done);
        if (r->packed)
            bitunpack32(r->bits, pos, r->width, dst + done, k);
        else
            for (size_t i = 0; i < k; i++)
                dst[done + i] = r->value;
        done += k;
    }
    return done;
}

size_t rle_skip(rle_reader *r, size_t n)
{
    size_t done = 0;
    while (done < n && rle_run(r))
        done += run_take(r, n - done);
    return done;
}

size_t rle_read_bits(rle_reader *r, uint64_t *dst, size_t at, size_t n, size_t *ones)
{
    size_t done = 0;
    *ones = 0;
    while (done < n && rle_run(r)) {
        uint64_t pos = r->pos;
        size_t k = run_take(r, n - done);
        if (r->packed) {
            *ones += bits_copy(r->bits, pos, dst, at + done, k);
        } else if (r->value) {
            bits_fill(dst, at + done, k);
            *ones += k;
        } else {
            bits_clear(dst, at + done, k);
        }
        done += k;
    }
    return done;
}

size_t rle_skip_bits(rle_reader *r, size_t n, size_t *ones)
{
    size_t done = 0;
    *ones = 0;
    while (done < n && rle_run(r)) {
        uint64_t pos = r->pos;
        size_t k = run_take(r, n - done);
        if (r->packed)
            *ones += bits_ones(r->bits, pos, k);
        else if (r->value)
            *ones += k;
        done += k;
    }
    return done;
}

CLONES uint32_t codes_max(const uint32_t *codes, size_t n)
{
    uint32_t m = 0;
    for (size_t i = 0; i < n; i++)
        m = codes[i] > m ? codes[i] : m;
    return m;
}
