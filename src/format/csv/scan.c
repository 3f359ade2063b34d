/*
 * scan.c: see scan.h. Each instruction set defines how 64 bytes become a bit mask and how a
 * mask becomes a list of positions; scan_tmpl.h has the loops.
 */
#include "format/csv/scan.h"

#include <string.h>

/* ---- any machine: byte by byte ---- */

typedef struct bytes64 {
    uint8_t b[64];
} bytes64;

static inline bytes64 bytes_load(const char *p)
{
    bytes64 v;
    memcpy(&v, p, 64);
    return v;
}

static inline uint64_t bytes_eq(const bytes64 *v, uint8_t c)
{
    uint64_t m = 0;
    for (int i = 0; i < 64; i++)
        m |= (uint64_t)(v->b[i] == c) << i;
    return m;
}

static inline uint64_t bytes_high(const bytes64 *v)
{
    uint64_t m = 0;
    for (int i = 0; i < 64; i++)
        m |= (uint64_t)(v->b[i] >> 7) << i;
    return m;
}

static inline uint64_t prefix_xor(uint64_t m)
{
    m ^= m << 1;
    m ^= m << 2;
    m ^= m << 4;
    m ^= m << 8;
    m ^= m << 16;
    m ^= m << 32;
    return m;
}

static inline void emit_loop(uint32_t *pos, uint32_t base, uint64_t m)
{
    while (m) {
        *pos++ = base + (unsigned)__builtin_ctzll(m);
        m &= m - 1;
    }
}

#define FN(name) name##_scalar
#define TARGET
#define BLOCK bytes64
#define LOAD(p) bytes_load(p)
#define EQ(v, c) bytes_eq(&(v), (c))
#define HIGH(v) bytes_high(&(v))
#define PREFIX_XOR(m) prefix_xor(m)
#define EMIT(pos, base, m) emit_loop(pos, base, m)
#include "format/csv/scan_tmpl.h"

static const scan_ops ops_scalar = {"scalar",    survey_scalar, list_plain_scalar, list_quoted_scalar,
                                    split_scalar, digits_scalar};

#ifdef __x86_64__
#include <immintrin.h>

/* Eight at a time: more entries than needed may be written, which the caller has room for. */
#define EMIT_UNROLLED(pos_, base_, m_)                                   \
    do {                                                                 \
        uint32_t *e_pos = (pos_);                                        \
        uint64_t e_m = (m_);                                             \
        while (e_m) {                                                    \
            for (int e_i = 0; e_i < 8; e_i++) {                          \
                e_pos[e_i] = (base_) + (unsigned)__builtin_ctzll(e_m | 1ull << 63); \
                e_m &= e_m - 1;                                          \
            }                                                            \
            e_pos += 8;                                                  \
        }                                                                \
    } while (0)

/* ---- SSE2: every x86-64 ---- */

typedef struct sse64 {
    __m128i v[4];
} sse64;

static inline sse64 sse_load(const char *p)
{
    sse64 r;
    for (int i = 0; i < 4; i++)
        r.v[i] = _mm_loadu_si128((const __m128i *)(const void *)(p + 16 * i));
    return r;
}

static inline uint64_t sse_eq(sse64 v, uint8_t c)
{
    __m128i k = _mm_set1_epi8((char)c);
    uint64_t m = 0;
    for (int i = 0; i < 4; i++)
        m |= (uint64_t)(uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(v.v[i], k)) << 16 * i;
    return m;
}

static inline uint64_t sse_high(sse64 v)
{
    uint64_t m = 0;
    for (int i = 0; i < 4; i++)
        m |= (uint64_t)(uint32_t)_mm_movemask_epi8(v.v[i]) << 16 * i;
    return m;
}

#define FN(name) name##_sse2
#define TARGET
#define BLOCK sse64
#define LOAD(p) sse_load(p)
#define EQ(v, c) sse_eq(v, c)
#define HIGH(v) sse_high(v)
#define PREFIX_XOR(m) prefix_xor(m)
#define EMIT(pos, base, m) EMIT_UNROLLED(pos, base, m)
#include "format/csv/scan_tmpl.h"

static const scan_ops ops_sse2 = {"sse2",     survey_sse2, list_plain_sse2, list_quoted_sse2,
                                  split_sse2, digits_scalar};

/* ---- AVX2 ---- */

#define AVX2_TARGET __attribute__((target("avx2,bmi,bmi2,popcnt,lzcnt,pclmul")))

typedef struct avx64 {
    __m256i a, b;
} avx64;

AVX2_TARGET static inline avx64 avx_load(const char *p)
{
    return (avx64){_mm256_loadu_si256((const __m256i *)(const void *)p),
                   _mm256_loadu_si256((const __m256i *)(const void *)(p + 32))};
}

AVX2_TARGET static inline uint64_t avx_eq(avx64 v, uint8_t c)
{
    __m256i k = _mm256_set1_epi8((char)c);
    return (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(v.a, k)) |
           (uint64_t)(uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(v.b, k)) << 32;
}

AVX2_TARGET static inline uint64_t avx_high(avx64 v)
{
    return (uint32_t)_mm256_movemask_epi8(v.a) | (uint64_t)(uint32_t)_mm256_movemask_epi8(v.b) << 32;
}

AVX2_TARGET static inline uint64_t clmul_prefix_xor(uint64_t m)
{
    return (uint64_t)_mm_cvtsi128_si64(
        _mm_clmulepi64_si128(_mm_set_epi64x(0, (long long)m), _mm_set1_epi8((char)0xff), 0));
}

#define FN(name) name##_avx2
#define TARGET AVX2_TARGET
#define BLOCK avx64
#define LOAD(p) avx_load(p)
#define EQ(v, c) avx_eq(v, c)
#define HIGH(v) avx_high(v)
#define PREFIX_XOR(m) clmul_prefix_xor(m)
#define EMIT(pos, base, m) EMIT_UNROLLED(pos, base, m)
#include "format/csv/scan_tmpl.h"

static const scan_ops ops_avx2 = {"avx2",     survey_avx2, list_plain_avx2, list_quoted_avx2,
                                  split_avx2, digits_avx2};

/* ---- AVX-512 with VBMI2 ---- */

#define AVX512_TARGET \
    __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512vbmi,avx512vbmi2,avx2,bmi,bmi2,popcnt,lzcnt,pclmul")))

AVX512_TARGET static inline uint64_t zmm_prefix_xor(uint64_t m)
{
    return (uint64_t)_mm_cvtsi128_si64(
        _mm_clmulepi64_si128(_mm_set_epi64x(0, (long long)m), _mm_set1_epi8((char)0xff), 0));
}

/* The set bits' numbers are compressed as bytes and widened, 16 positions for each store. */
AVX512_TARGET static inline void zmm_emit(uint32_t *pos, uint32_t base, uint64_t m)
{
    const __m512i iota = _mm512_set_epi64(0x3f3e3d3c3b3a3938, 0x3736353433323130, 0x2f2e2d2c2b2a2928,
                                          0x2726252423222120, 0x1f1e1d1c1b1a1918, 0x1716151413121110,
                                          0x0f0e0d0c0b0a0908, 0x0706050403020100);
    const __m512i b = _mm512_set1_epi32((int)base);
    __m512i bytes = _mm512_maskz_compress_epi8(m, iota);
    unsigned n = (unsigned)__builtin_popcountll(m);
    _mm512_storeu_si512(pos, _mm512_add_epi32(b, _mm512_cvtepu8_epi32(_mm512_castsi512_si128(bytes))));
    if (__builtin_expect(n > 16, 0)) {
        _mm512_storeu_si512(pos + 16, _mm512_add_epi32(b, _mm512_cvtepu8_epi32(_mm512_extracti32x4_epi32(bytes, 1))));
        if (n > 32) {
            _mm512_storeu_si512(pos + 32, _mm512_add_epi32(b, _mm512_cvtepu8_epi32(_mm512_extracti32x4_epi32(bytes, 2))));
            _mm512_storeu_si512(pos + 48, _mm512_add_epi32(b, _mm512_cvtepu8_epi32(_mm512_extracti32x4_epi32(bytes, 3))));
        }
    }
}

#define FN(name) name##_avx512
#define TARGET AVX512_TARGET
#define BLOCK __m512i
#define LOAD(p) _mm512_loadu_si512((const void *)(p))
#define EQ(v, c) _mm512_cmpeq_epi8_mask((v), _mm512_set1_epi8((char)(c)))
#define HIGH(v) _mm512_movepi8_mask(v)
#define PREFIX_XOR(m) zmm_prefix_xor(m)
#define EMIT(pos, base, m) zmm_emit(pos, base, m)
#include "format/csv/scan_tmpl.h"

static const scan_ops ops_avx512 = {"avx512",     survey_avx512, list_plain_avx512, list_quoted_avx512,
                                    split_avx512, digits_avx512};
#endif

const scan_ops *scan_ops_for(csv_isa isa)
{
#ifdef __x86_64__
    if (isa == CSV_ISA_BEST)
        isa = CSV_ISA_AVX512;
    if (isa >= CSV_ISA_AVX512 && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vbmi") &&
        __builtin_cpu_supports("avx512vbmi2") && __builtin_cpu_supports("pclmul") &&
        __builtin_cpu_supports("bmi2"))
        return &ops_avx512;
    if (isa >= CSV_ISA_AVX2 && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") &&
        __builtin_cpu_supports("bmi2") && __builtin_cpu_supports("pclmul") && __builtin_cpu_supports("popcnt"))
        return &ops_avx2;
    if (isa >= CSV_ISA_SSE2)
        return &ops_sse2;
#endif
    (void)isa;
    return &ops_scalar;
}
