/*
 * digits.c: columns of plain digits to integers, many fields at once.
 *
 * A field of up to 16 digits is loaded so that it ends at the end of 16 bytes; what lies before
 * it is masked to zero. Pairs of digits are then joined by multiply-and-add: 16 digits, 8 pairs,
 * 4 fours, 2 eights. Eight fields run side by side; rows are dealt to the two registers so that
 * the results come out in order.
 */
#include "format/csv/scan.h"

#include <string.h>

uint32_t digits_scalar(const char *t, const uint32_t *beg, const uint32_t *end, size_t stride,
                       uint32_t bias, uint32_t n, int64_t *out, uint32_t *todo)
{
    uint32_t k = 0;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t s = beg[i * stride] + bias, len = end[i * stride] - s;
        uint64_t v = 0;
        bool bad = len - 1 > 15;
        if (!bad)
            for (uint32_t j = 0; j < len; j++) {
                unsigned d = (unsigned char)(t[s + j] - '0');
                bad |= d > 9;
                v = v * 10 + d;
            }
        out[i] = bad ? 0 : (int64_t)v;
        if (bad)
            todo[k++] = i;
    }
    return k;
}

#ifdef __x86_64__
#include <immintrin.h>

/* mask_bytes + 16 * len: the last len of 16 bytes */
static const uint8_t keep_last[33] __attribute__((aligned(64))) = {
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255};

#define LOAD16(p) _mm_loadu_si128((const __m128i *)(const void *)(p))

/* Lengths of eight fields from row i; those outside 1..16 become 0 and set their bit. */
#define LENGTHS(i)                                                  \
    uint32_t e[8], len[8], odd = 0;                                 \
    _Pragma("GCC unroll 8")                                         \
    for (int k = 0; k < 8; k++) {                                   \
        e[k] = end[((size_t)(i) + k) * stride];                     \
        len[k] = e[k] - beg[((size_t)(i) + k) * stride] - bias;     \
        odd |= len[k] - 1;                                          \
    }                                                               \
    uint32_t bad = 0;                                               \
    if (__builtin_expect(odd > 15, 0))                              \
        for (int k = 0; k < 8; k++)                                 \
            if (len[k] - 1 > 15) {                                  \
                len[k] = 0;                                         \
                bad |= 1u << k;                                     \
            }

/* Puts the rows whose bit is set on the list. */
#define LIST_BAD(i)                                                  \
    while (bad) {                                                    \
        unsigned k = (unsigned)__builtin_ctz(bad);                   \
        bad &= bad - 1;                                              \
        out[(i) + k] = 0;                                            \
        todo[ntodo++] = (i) + k;                                     \
    }

static uint32_t digits_tail(const char *t, const uint32_t *beg, const uint32_t *end, size_t stride,
                            uint32_t bias, uint32_t i, uint32_t n, int64_t *out, uint32_t *todo)
{
    uint32_t k = digits_scalar(t, beg + i * stride, end + i * stride, stride, bias, n - i, out + i, todo);
    for (uint32_t j = 0; j < k; j++)
        todo[j] += i;
    return k;
}

__attribute__((target("avx2,bmi,bmi2")))
uint32_t digits_avx2(const char *t, const uint32_t *beg, const uint32_t *end, size_t stride,
                     uint32_t bias, uint32_t n, int64_t *out, uint32_t *todo)
{
    const __m256i zero = _mm256_set1_epi8('0'), nine = _mm256_set1_epi8(9);
    const __m256i tens = _mm256_set1_epi16(0x010a);            /* 10, 1 */
    const __m256i hundreds = _mm256_set1_epi32(0x00010064);    /* 100, 1 */
    const __m256i myriads = _mm256_set1_epi32(0x00012710);     /* 10000, 1 */
    const __m256i hundred_millions = _mm256_set1_epi64x(100000000);
    uint32_t i = 0, ntodo = 0;
#define PAIR(a, b) _mm256_inserti128_si256(_mm256_castsi128_si256(LOAD16(t + e[a] - 16)), LOAD16(t + e[b] - 16), 1)
#define PAIR_MASK(a, b) _mm256_inserti128_si256(_mm256_castsi128_si256(LOAD16(keep_last + len[a])), LOAD16(keep_last + len[b]), 1)
    for (; i + 8 <= n; i += 8) {
        LENGTHS(i)
        for (int h = 0; h < 8; h += 4) { /* rows h..h+3 */
            __m256i x = _mm256_and_si256(_mm256_sub_epi8(PAIR(h, h + 2), zero), PAIR_MASK(h, h + 2));
            __m256i y = _mm256_and_si256(_mm256_sub_epi8(PAIR(h + 1, h + 3), zero), PAIR_MASK(h + 1, h + 3));
            /* where max(x, 9) isn't 9 there is no digit */
            uint32_t bx = ~(uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(_mm256_max_epu8(x, nine), nine));
            uint32_t by = ~(uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(_mm256_max_epu8(y, nine), nine));
            if (__builtin_expect(bx | by, 0))
                bad |= (uint32_t)((bx & 0xffff) != 0) << h | (uint32_t)((by & 0xffff) != 0) << (h + 1) |
                       (uint32_t)(bx >> 16 != 0) << (h + 2) | (uint32_t)(by >> 16 != 0) << (h + 3);
            x = _mm256_madd_epi16(_mm256_maddubs_epi16(x, tens), hundreds);
            y = _mm256_madd_epi16(_mm256_maddubs_epi16(y, tens), hundreds);
            /* per 128 bits: high 8 and low 8 digits of x's row, then of y's */
            __m256i eights = _mm256_madd_epi16(_mm256_packus_epi32(x, y), myriads);
            __m256i v = _mm256_add_epi64(_mm256_mul_epu32(eights, hundred_millions), _mm256_srli_epi64(eights, 32));
            _mm256_storeu_si256((__m256i *)(void *)(out + i + h), v);
        }
        LIST_BAD(i)
    }
    return ntodo + digits_tail(t, beg, end, stride, bias, i, n, out, todo + ntodo);
}
#undef PAIR
#undef PAIR_MASK

__attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx2,bmi,bmi2")))
uint32_t digits_avx512(const char *t, const uint32_t *beg, const uint32_t *end, size_t stride,
                       uint32_t bias, uint32_t n, int64_t *out, uint32_t *todo)
{
    const __m512i zero = _mm512_set1_epi8('0'), nine = _mm512_set1_epi8(9);
    const __m512i tens = _mm512_set1_epi16(0x010a);
    const __m512i hundreds = _mm512_set1_epi32(0x00010064);
    const __m512i myriads = _mm512_set1_epi32(0x00012710);
    const __m512i hundred_millions = _mm512_set1_epi64(100000000);
    uint32_t i = 0, ntodo = 0;
#define FOUR(load, a, b, c, d)                                                                       \
    _mm512_inserti64x4(                                                                              \
        _mm512_castsi256_si512(_mm256_inserti128_si256(_mm256_castsi128_si256(load(a)), load(b), 1)), \
        _mm256_inserti128_si256(_mm256_castsi128_si256(load(c)), load(d), 1), 1)
#define TEXT(k) LOAD16(t + e[k] - 16)
#define MASK(k) LOAD16(keep_last + len[k])
    for (; i + 8 <= n; i += 8) {
        LENGTHS(i)
        __m512i x = _mm512_and_si512(_mm512_sub_epi8(FOUR(TEXT, 0, 2, 4, 6), zero), FOUR(MASK, 0, 2, 4, 6));
        __m512i y = _mm512_and_si512(_mm512_sub_epi8(FOUR(TEXT, 1, 3, 5, 7), zero), FOUR(MASK, 1, 3, 5, 7));
        __mmask64 bx = _mm512_cmpgt_epu8_mask(x, nine), by = _mm512_cmpgt_epu8_mask(y, nine);
        if (__builtin_expect(!_kortestz_mask64_u8(bx, by), 0))
            for (int k = 0; k < 4; k++)
                bad |= (uint32_t)((bx >> 16 * k & 0xffff) != 0) << 2 * k |
                       (uint32_t)((by >> 16 * k & 0xffff) != 0) << (2 * k + 1);
        x = _mm512_madd_epi16(_mm512_maddubs_epi16(x, tens), hundreds);
        y = _mm512_madd_epi16(_mm512_maddubs_epi16(y, tens), hundreds);
        __m512i eights = _mm512_madd_epi16(_mm512_packus_epi32(x, y), myriads);
        __m512i v = _mm512_add_epi64(_mm512_mul_epu32(eights, hundred_millions), _mm512_srli_epi64(eights, 32));
        _mm512_storeu_si512(out + i, v);
        LIST_BAD(i)
    }
    return ntodo + digits_tail(t, beg, end, stride, bias, i, n, out, todo + ntodo);
}
#endif
