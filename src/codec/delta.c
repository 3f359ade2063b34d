/*
 * delta.c: reading DELTA_BINARY_PACKED; see delta.h for the format.
 *
 * A piece of a miniblock is unpacked to the destination and summed in place, 512 values at a
 * time at most, so that both passes work in the first-level cache.
 */
#include "codec/delta.h"
#include "codec/bitpack.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#define PIECE 512
#define BLOCK_MAX (1u << 20) /* values per block; writers use 128 to some thousands */

static bool varint_get(const uint8_t **at, const uint8_t *end, uint64_t *v)
{
    *v = 0;
    for (unsigned shift = 0; shift < 64 && *at < end; shift += 7) {
        uint8_t b = *(*at)++;
        *v |= (uint64_t)(b & 0x7f) << shift;
        if (!(b & 0x80))
            return true;
    }
    return false;
}

static bool zigzag_get(const uint8_t **at, const uint8_t *end, int64_t *v)
{
    uint64_t u;
    if (!varint_get(at, end, &u))
        return false;
    *v = (int64_t)(u >> 1) ^ -(int64_t)(u & 1);
    return true;
}

bool delta_init(delta_reader *r, const uint8_t *p, size_t n)
{
    uint64_t block, minis, total;
    int64_t first;
    *r = (delta_reader){.at = p, .end = p + n};
    if (!varint_get(&r->at, r->end, &block) || !varint_get(&r->at, r->end, &minis) ||
        !varint_get(&r->at, r->end, &total) || !zigzag_get(&r->at, r->end, &first))
        return false;
    if (block == 0 || block > BLOCK_MAX || minis == 0 || minis > block || block % minis ||
        block / minis % 32 || total > INT32_MAX)
        return false;
    r->minis = r->mini = (uint32_t)minis;
    r->per_mini = (uint32_t)(block / minis);
    r->total = r->left = total;
    r->first = total > 0;
    r->last = first;
    return true;
}

/* Opens the next miniblock; `left` values remain, of which it holds some. */
static bool mini_open(delta_reader *r)
{
    if (r->mini == r->minis) {
        if (!zigzag_get(&r->at, r->end, &r->least) || (size_t)(r->end - r->at) < r->minis)
            return false;
        r->widths = r->at;
        r->at += r->minis;
        r->mini = 0;
    }
    r->width = r->widths[r->mini++];
    if (r->width > 64)
        return false;
    uint64_t want = r->left < r->per_mini ? r->left : r->per_mini;
    uint64_t rest = (uint64_t)(r->end - r->at), full = (uint64_t)r->per_mini * r->width / 8;
    if ((want * r->width + 7) / 8 > rest)
        return false;
    r->bits = r->at;
    r->at += full < rest ? full : rest; /* the last one may be cut behind its last value */
    r->pos = 0;
    r->mini_left = (uint32_t)want;
    return true;
}

/* Sums up whole registers: within one by three or four shifted additions, and from one to the next
 * by its last lane, so that the chain of dependent steps is per register and not per value. Returns
 * how many values that were; *last is the sum so far. */
#if defined(__x86_64__)

#define SHIFTED64(x, k) _mm512_alignr_epi64((x), zero, 8 - (k))
#define SHIFTED32(x, k) _mm512_alignr_epi32((x), zero, 16 - (k))

__attribute__((target("avx512f"))) static size_t sum64_avx512(uint64_t *dst, size_t n, uint64_t *last, uint64_t least)
{
    const __m512i zero = _mm512_setzero_si512(), top = _mm512_set1_epi64(7);
    const __m512i add = _mm512_set1_epi64((long long)least);
    __m512i carry = _mm512_set1_epi64((long long)*last);
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        __m512i x = _mm512_add_epi64(_mm512_loadu_si512(dst + i), add);
        x = _mm512_add_epi64(x, SHIFTED64(x, 1));
        x = _mm512_add_epi64(x, SHIFTED64(x, 2));
        x = _mm512_add_epi64(x, SHIFTED64(x, 4));
        x = _mm512_add_epi64(x, carry);
        _mm512_storeu_si512(dst + i, x);
        carry = _mm512_permutexvar_epi64(top, x);
    }
    *last = i ? dst[i - 1] : *last;
    return i;
}

__attribute__((target("avx512f"))) static size_t sum32_avx512(uint32_t *dst, size_t n, uint32_t *last, uint32_t least)
{
    const __m512i zero = _mm512_setzero_si512(), top = _mm512_set1_epi32(15);
    const __m512i add = _mm512_set1_epi32((int)least);
    __m512i carry = _mm512_set1_epi32((int)*last);
    size_t i = 0;
    for (; i + 16 <= n; i += 16) {
        __m512i x = _mm512_add_epi32(_mm512_loadu_si512(dst + i), add);
        x = _mm512_add_epi32(x, SHIFTED32(x, 1));
        x = _mm512_add_epi32(x, SHIFTED32(x, 2));
        x = _mm512_add_epi32(x, SHIFTED32(x, 4));
        x = _mm512_add_epi32(x, SHIFTED32(x, 8));
        x = _mm512_add_epi32(x, carry);
        _mm512_storeu_si512(dst + i, x);
        carry = _mm512_permutexvar_epi32(top, x);
    }
    *last = i ? dst[i - 1] : *last;
    return i;
}

static size_t sum64_simd(uint64_t *dst, size_t n, uint64_t *last, uint64_t least)
{
    return __builtin_cpu_supports("avx512f") ? sum64_avx512(dst, n, last, least) : 0;
}

static size_t sum32_simd(uint32_t *dst, size_t n, uint32_t *last, uint32_t least)
{
    return __builtin_cpu_supports("avx512f") ? sum32_avx512(dst, n, last, least) : 0;
}

#else
static size_t sum64_simd(uint64_t *dst, size_t n, uint64_t *last, uint64_t least) { return 0; }
static size_t sum32_simd(uint32_t *dst, size_t n, uint32_t *last, uint32_t least) { return 0; }
#endif

/* n values at dst are deltas less the least one; sums them up. */
static uint64_t sum64(uint64_t *dst, size_t n, uint64_t last, uint64_t least)
{
    for (size_t i = sum64_simd(dst, n, &last, least); i < n; i++)
        dst[i] = last += dst[i] + least;
    return last;
}

static uint32_t sum32(uint32_t *dst, size_t n, uint32_t last, uint32_t least)
{
    for (size_t i = sum32_simd(dst, n, &last, least); i < n; i++)
        dst[i] = last += dst[i] + least;
    return last;
}

size_t delta_read64(delta_reader *r, int64_t *dst, size_t n)
{
    size_t done = 0;
    if (n && r->first) {
        r->first = false;
        r->left--;
        dst[done++] = r->last;
    }
    while (done < n && r->left) {
        if (r->mini_left == 0 && !mini_open(r))
            break;
        size_t k = r->mini_left < n - done ? r->mini_left : n - done;
        k = k < PIECE ? k : PIECE;
        uint64_t *d = (uint64_t *)dst + done;
        bitunpack64(r->bits, r->pos, r->width, d, k);
        r->last = (int64_t)sum64(d, k, (uint64_t)r->last, (uint64_t)r->least);
        r->pos += (uint32_t)k;
        r->mini_left -= (uint32_t)k;
        r->left -= k;
        done += k;
    }
    return done;
}

size_t delta_read32(delta_reader *r, int32_t *dst, size_t n)
{
    size_t done = 0;
    if (n && r->first) {
        r->first = false;
        r->left--;
        dst[done++] = (int32_t)(uint32_t)r->last;
    }
    while (done < n && r->left) {
        if (r->mini_left == 0 && !mini_open(r))
            break;
        size_t k = r->mini_left < n - done ? r->mini_left : n - done;
        k = k < PIECE ? k : PIECE;
        uint32_t *d = (uint32_t *)dst + done;
        if (r->width <= 32) {
            bitunpack32(r->bits, r->pos, r->width, d, k);
        } else { /* differences that were not wrapped to 32 bits */
            uint64_t wide[PIECE];
            bitunpack64(r->bits, r->pos, r->width, wide, k);
            for (size_t i = 0; i < k; i++)
                d[i] = (uint32_t)wide[i];
        }
        r->last = sum32(d, k, (uint32_t)r->last, (uint32_t)r->least);
        r->pos += (uint32_t)k;
        r->mini_left -= (uint32_t)k;
        r->left -= k;
        done += k;
    }
    return done;
}

size_t delta_skip(delta_reader *r, size_t n)
{
    int64_t scratch[PIECE];
    size_t done = 0;
    while (done < n) {
        size_t k = n - done < PIECE ? n - done : PIECE, got = delta_read64(r, scratch, k);
        done += got;
        if (got < k)
            break;
    }
    return done;
}

const uint8_t *delta_end(const delta_reader *r)
{
    delta_reader x = *r;
    x.left -= x.first + x.mini_left;
    while (x.left) {
        if (!mini_open(&x))
            return NULL;
        x.left -= x.mini_left;
    }
    return x.at;
}
