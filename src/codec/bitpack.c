/*
 * bitpack.c: unpacking bit-packed values, and copying runs of bits.
 *
 * All vector kernels have one shape, whatever the width: the bytes that a lane's value lies in
 * are moved to that lane by a byte shuffle whose indexes follow from the width, then each
 * lane is shifted by its own count and masked. A step covers as many values as a register
 * has lanes, always a multiple of four, so that the bit position within a byte repeats
 * from step to step (for steps of eight values it is 0). Widths whose value and in-byte shift
 * don't fit in a lane take the next kind of lane or the scalar loop.
 */
#include "codec/bitpack.h"
#include "base/clones.h"

#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>
#define SIMD_X86 1
#endif

static inline uint64_t load64(const uint8_t *p)
{
    uint64_t v;
    memcpy(&v, p, 8);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    v = __builtin_bswap64(v);
#endif
    return v;
}

static inline uint64_t width_mask(unsigned width) { return width >= 64 ? ~0ull : (1ull << width) - 1; }

static inline uint64_t unpack_one(const uint8_t *src, uint64_t i, unsigned width)
{
    uint64_t bit = i * width;
    unsigned shift = bit & 7;
    const uint8_t *p = src + (bit >> 3);
    uint64_t v = load64(p) >> shift;
    if (width + shift > 64)
        v |= (uint64_t)p[8] << (64 - shift);
    return v & width_mask(width);
}

#if SIMD_X86

/* Byte patterns within 16 bytes, the same in every part of a register: a lane's lowest byte in all of
 * its bytes, and 0, 1, … in the bytes of a lane. Miniblocks of deltas are short, so that setting up
 * a width must cost little. */
#define SPLAT32 0x0c0c0c0c08080808, 0x0404040400000000
#define SPLAT64 0x0808080808080808, 0x0000000000000000
#define STEP32 0x0302010003020100
#define STEP64 0x0706050403020100

/* 16 values a step, in lanes of 32 bits. */
__attribute__((target("avx512f,avx512bw,avx512vbmi"))) static size_t
unpack32_avx512(const uint8_t *src, unsigned width, uint32_t *dst, size_t n)
{
    __m512i lane = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    __m512i bit = _mm512_mullo_epi32(lane, _mm512_set1_epi32((int)width));
    __m512i vs = _mm512_and_si512(bit, _mm512_set1_epi32(7));
    __m512i splat = _mm512_broadcast_i32x4(_mm_set_epi64x(SPLAT32));
    __m512i vi = _mm512_add_epi8(_mm512_shuffle_epi8(_mm512_srli_epi32(bit, 3), splat), _mm512_set1_epi64(STEP32));
    __m512i mask = _mm512_set1_epi32((int)(uint32_t)width_mask(width));
    size_t i = 0;
    for (; i + 16 <= n; i += 16, src += 2 * width) {
        __m512i x = _mm512_permutexvar_epi8(vi, _mm512_loadu_si512(src));
        _mm512_storeu_si512(dst + i, _mm512_and_si512(_mm512_srlv_epi32(x, vs), mask));
    }
    return i;
}

/* 8 values a step, in lanes of 64 bits. */
__attribute__((target("avx512f,avx512bw,avx512vbmi"))) static size_t
unpack64_avx512(const uint8_t *src, unsigned width, uint64_t *dst, size_t n)
{
    __m512i lane = _mm512_setr_epi64(0, 1, 2, 3, 4, 5, 6, 7);
    __m512i bit = _mm512_mul_epu32(lane, _mm512_set1_epi64(width));
    __m512i vs = _mm512_and_si512(bit, _mm512_set1_epi64(7));
    __m512i splat = _mm512_broadcast_i32x4(_mm_set_epi64x(SPLAT64));
    __m512i vi = _mm512_add_epi8(_mm512_shuffle_epi8(_mm512_srli_epi64(bit, 3), splat), _mm512_set1_epi64(STEP64));
    __m512i mask = _mm512_set1_epi64((long long)width_mask(width));
    size_t i = 0;
    for (; i + 8 <= n; i += 8, src += width) {
        __m512i x = _mm512_permutexvar_epi8(vi, _mm512_loadu_si512(src));
        _mm512_storeu_si512(dst + i, _mm512_and_si512(_mm512_srlv_epi64(x, vs), mask));
    }
    return i;
}

/* AVX2 shuffles bytes within halves of 16 bytes only, so each half loads its own bytes. */
__attribute__((target("avx2"))) static size_t unpack32_avx2(const uint8_t *src, unsigned width,
                                                            uint32_t *dst, size_t n)
{
    int high = (int)(4 * width >> 3), w = (int)width; /* high: the byte in which value 4 starts */
    __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    __m256i start = _mm256_setr_epi32(0, 0, 0, 0, high * 8, high * 8, high * 8, high * 8);
    __m256i bit = _mm256_sub_epi32(_mm256_mullo_epi32(lane, _mm256_set1_epi32(w)), start);
    __m256i vs = _mm256_and_si256(bit, _mm256_set1_epi32(7));
    __m256i splat = _mm256_broadcastsi128_si256(_mm_set_epi64x(SPLAT32));
    __m256i vi = _mm256_add_epi8(_mm256_shuffle_epi8(_mm256_srli_epi32(bit, 3), splat), _mm256_set1_epi64x(STEP32));
    __m256i mask = _mm256_set1_epi32((int)(uint32_t)width_mask(width));
    size_t i = 0;
    for (; i + 8 <= n; i += 8, src += width) {
        __m256i x = _mm256_inserti128_si256(
            _mm256_castsi128_si256(_mm_loadu_si128((const __m128i *)src)),
            _mm_loadu_si128((const __m128i *)(src + high)), 1);
        x = _mm256_and_si256(_mm256_srlv_epi32(_mm256_shuffle_epi8(x, vi), vs), mask);
        _mm256_storeu_si256((__m256i *)(dst + i), x);
    }
    return i;
}

__attribute__((target("avx2"))) static inline __m256i unpack64_quad(const uint8_t *lo, const uint8_t *hi,
                                                                    __m256i vi, __m256i vs, __m256i mask)
{
    __m256i x = _mm256_inserti128_si256(_mm256_castsi128_si256(_mm_loadu_si128((const __m128i *)lo)),
                                        _mm_loadu_si128((const __m128i *)hi), 1);
    return _mm256_and_si256(_mm256_srlv_epi64(_mm256_shuffle_epi8(x, vi), vs), mask);
}

__attribute__((target("avx2"))) static size_t unpack64_avx2(const uint8_t *src, unsigned width,
                                                            uint64_t *dst, size_t n)
{
    /* Four pairs of values: pair p starts in byte at[p] */
    unsigned at[4];
    int64_t bit[8], w = width;
    for (unsigned p = 0; p < 4; p++) {
        at[p] = 2 * p * width >> 3;
        bit[2 * p] = 2 * p * width & 7;
        bit[2 * p + 1] = bit[2 * p] + w;
    }
    __m256i splat = _mm256_broadcastsi128_si256(_mm_set_epi64x(SPLAT64)), step = _mm256_set1_epi64x(STEP64);
    __m256i b0 = _mm256_loadu_si256((const __m256i *)bit), b1 = _mm256_loadu_si256((const __m256i *)(bit + 4));
    __m256i vs0 = _mm256_and_si256(b0, _mm256_set1_epi64x(7)), vs1 = _mm256_and_si256(b1, _mm256_set1_epi64x(7));
    __m256i vi0 = _mm256_add_epi8(_mm256_shuffle_epi8(_mm256_srli_epi64(b0, 3), splat), step);
    __m256i vi1 = _mm256_add_epi8(_mm256_shuffle_epi8(_mm256_srli_epi64(b1, 3), splat), step);
    __m256i mask = _mm256_set1_epi64x((long long)width_mask(width));
    size_t i = 0;
    for (; i + 8 <= n; i += 8, src += width) {
        _mm256_storeu_si256((__m256i *)(dst + i), unpack64_quad(src + at[0], src + at[1], vi0, vs0, mask));
        _mm256_storeu_si256((__m256i *)(dst + i + 4), unpack64_quad(src + at[2], src + at[3], vi1, vs1, mask));
    }
    return i;
}

/* A lane of 32 bits holds a value and its shift up to 25 bits (shifts of multiples of 4 alone
 * would allow more), one of 64 bits up to 57. */
#define LANE32_WIDTH 25
#define LANE64_WIDTH 57

static size_t unpack32_isa(bitunpack_isa isa, const uint8_t *src, unsigned width, uint32_t *dst, size_t n)
{
    if (width > LANE32_WIDTH || n < 16 || isa == BITUNPACK_SCALAR)
        return 0;
    return isa == BITUNPACK_AVX512 ? unpack32_avx512(src, width, dst, n) : unpack32_avx2(src, width, dst, n);
}

static size_t unpack64_isa(bitunpack_isa isa, const uint8_t *src, unsigned width, uint64_t *dst, size_t n)
{
    if (width > LANE64_WIDTH || n < 16 || isa == BITUNPACK_SCALAR)
        return 0;
    return isa == BITUNPACK_AVX512 ? unpack64_avx512(src, width, dst, n) : unpack64_avx2(src, width, dst, n);
}

bitunpack_isa bitunpack_best(void)
{
    if (__builtin_cpu_supports("avx512vbmi") && __builtin_cpu_supports("avx512bw"))
        return BITUNPACK_AVX512;
    return __builtin_cpu_supports("avx2") ? BITUNPACK_AVX2 : BITUNPACK_SCALAR;
}

#else

static size_t unpack32_isa(bitunpack_isa isa, const uint8_t *src, unsigned width, uint32_t *dst, size_t n) { return 0; }
static size_t unpack64_isa(bitunpack_isa isa, const uint8_t *src, unsigned width, uint64_t *dst, size_t n) { return 0; }
bitunpack_isa bitunpack_best(void) { return BITUNPACK_SCALAR; }

#endif

/* Values up to the next byte boundary and those behind the last whole step one by one. */
#define UNPACK(KERNEL, T)                                                              \
    do {                                                                               \
        size_t i = 0;                                                                  \
        if (width == 0) {                                                              \
            memset(dst, 0, n * sizeof *dst);                                           \
            return;                                                                    \
        }                                                                              \
        for (; i < n && (first + i) % 8; i++)                                          \
            dst[i] = (T)unpack_one(src, first + i, width);                             \
        if (i < n)                                                                     \
            i += KERNEL(isa, src + (first + i) / 8 * width, width, dst + i, n - i);    \
        for (; i < n; i++)                                                             \
            dst[i] = (T)unpack_one(src, first + i, width);                             \
    } while (0)

void bitunpack32_with(bitunpack_isa isa, const uint8_t *src, uint64_t first, unsigned width, uint32_t *dst, size_t n)
{
    UNPACK(unpack32_isa, uint32_t);
}

void bitunpack64_with(bitunpack_isa isa, const uint8_t *src, uint64_t first, unsigned width, uint64_t *dst, size_t n)
{
    UNPACK(unpack64_isa, uint64_t);
}

void bitunpack32(const uint8_t *src, uint64_t first, unsigned width, uint32_t *dst, size_t n)
{
    bitunpack32_with(bitunpack_best(), src, first, width, dst, n);
}

void bitunpack64(const uint8_t *src, uint64_t first, unsigned width, uint64_t *dst, size_t n)
{
    bitunpack64_with(bitunpack_best(), src, first, width, dst, n);
}

/* ---- bits ---- */

/* Up to 64 bits from bit `at` of src; reads no byte that holds none of them. */
static inline uint64_t bits_get(const uint8_t *src, uint64_t at, unsigned n)
{
    const uint8_t *p = src + (at >> 3);
    unsigned shift = at & 7, bytes = (shift + n + 7) / 8;
    uint64_t v = 0;
    if (bytes >= 8)
        v = load64(p);
    else
        for (unsigned i = 0; i < bytes; i++)
            v |= (uint64_t)p[i] << (8 * i);
    v >>= shift;
    if (bytes > 8)
        v |= (uint64_t)p[8] << (64 - shift);
    return v & width_mask(n);
}

CLONES size_t bits_copy(const uint8_t *src, uint64_t first, uint64_t *dst, size_t at, size_t n)
{
    size_t ones = 0;
    while (n) {
        unsigned off = at & 63, take = n < 64 - off ? (unsigned)n : 64 - off;
        uint64_t v = bits_get(src, first, take);
        uint64_t *w = &dst[at >> 6];
        *w = (*w & ~(width_mask(take) << off)) | v << off;
        ones += (size_t)__builtin_popcountll(v);
        first += take;
        at += take;
        n -= take;
    }
    return ones;
}

CLONES size_t bits_ones(const uint8_t *src, uint64_t first, size_t n)
{
    size_t ones = 0;
    while (n) {
        unsigned take = n < 56 ? (unsigned)n : 56;
        ones += (size_t)__builtin_popcountll(bits_get(src, first, take));
        first += take;
        n -= take;
    }
    return ones;
}

static void bits_set(uint64_t *dst, size_t at, size_t n, uint64_t ones)
{
    while (n) {
        unsigned off = at & 63, take = n < 64 - off ? (unsigned)n : 64 - off;
        uint64_t m = width_mask(take) << off;
        dst[at >> 6] = (dst[at >> 6] & ~m) | (ones & m);
        at += take;
        n -= take;
    }
}

void bits_fill(uint64_t *dst, size_t at, size_t n) { bits_set(dst, at, n, ~0ull); }
void bits_clear(uint64_t *dst, size_t at, size_t n) { bits_set(dst, at, n, 0); }

/* Rare: a bit at a time would do; whole bytes are as short. */
size_t bitunpack_msb(const uint8_t *src, size_t bytes, uint64_t first, unsigned width, uint32_t *dst, size_t n)
{
    if (width == 0) {
        for (size_t i = 0; i < n; i++)
            dst[i] = 0;
        return n;
    }
    uint64_t there = (uint64_t)bytes * 8 / width;
    n = first >= there ? 0 : there - first < n ? (size_t)(there - first) : n;
    uint64_t bit = first * width;
    for (size_t i = 0; i < n; i++) {
        uint64_t v = 0;
        for (unsigned left = width; left;) {
            unsigned in = (unsigned)(bit & 7), k = 8 - in < left ? 8 - in : left;
            v = v << k | (src[bit >> 3] >> (8 - in - k) & ((1u << k) - 1));
            bit += k;
            left -= k;
        }
        dst[i] = (uint32_t)v;
    }
    return n;
}
