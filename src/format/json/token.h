/*
 * token.h: JSON's tokens (RFC 8259) in a text that is followed by at least 64 zero bytes: a zero ends every scan, since it is
 * neither a token nor allowed in a string. Functions return the byte behind what they took, or NULL and the fault.
 */
#ifndef FORMAT_JSON_TOKEN_H
#define FORMAT_JSON_TOKEN_H

#include "base/str.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#define JSON_VALUE_DEPTH 1024 /* of brackets in a value that is passed or kept as text */

typedef struct json_fault {
    const char *what;  /* NULL: none */
    const char *at;
} json_fault;

static inline const char *json_ws(const char *p)
{
    if (__builtin_expect((unsigned char)*p > ' ', 1))
        return p;
    while (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t')
        p++;
    return p;
}

static inline bool json_is_space(char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }

/* From behind a string's opening quote to the first byte that is a quote, a backslash or a control character. */
static inline const char *json_plain(const char *p)
{
#if defined(__SSE2__)
    const __m128i quote = _mm_set1_epi8('"'), back = _mm_set1_epi8('\\'), ctl = _mm_set1_epi8(0x1f);
    for (;; p += 16) {
        __m128i x = _mm_loadu_si128((const __m128i *)(const void *)p);
        __m128i hit = _mm_or_si128(_mm_or_si128(_mm_cmpeq_epi8(x, quote), _mm_cmpeq_epi8(x, back)),
                                   _mm_cmpeq_epi8(_mm_min_epu8(x, ctl), x));
        int mask = _mm_movemask_epi8(hit);
        if (mask)
            return p + __builtin_ctz((unsigned)mask);
    }
#else
    while ((unsigned char)*p >= 0x20 && *p != '"' && *p != '\\')
        p++;
    return p;
#endif
}

/* The rest of a string whose first escape is at p: to behind its closing quote. */
const char *json_string_escaped(const char *p, json_fault *f);
/* p is behind the opening quote. *end: the closing quote; *escaped: whether it has backslashes, which were checked. */
static inline const char *json_string(const char *p, const char **end, bool *escaped, json_fault *f)
{
    p = json_plain(p);
    *escaped = false;
    if (__builtin_expect(*p != '"', 0)) {
        *escaped = true;
        if (!(p = json_string_escaped(p, f)))
            return NULL;
        *end = p - 1;
        return p;
    }
    *end = p;
    return p + 1;
}
/* Writes a checked string's value to dst (as long as the text at most); returns its length. */
size_t json_string_value(const char *p, const char *end, char *dst);

typedef enum json_number { JSON_NUM_INT, JSON_NUM_REAL } json_number;
/* p is at '-' or a digit. */
const char *json_number_scan(const char *p, json_number *kind, json_fault *f);
/* Any value, white space before it left out: checked and passed. */
const char *json_value_skip(const char *p, json_fault *f);
/* What is wrong with a byte where a value is due. */
const char *json_not_value(const char *p);

/* Reads up to 16 digits, an optional minus before them; false: something else stands there (nothing is taken). */
static inline bool json_int_fast(const char **pp, int64_t *out)
{
    const char *p = *pp;
    bool neg = *p == '-';
    p += neg;
    const char *first = p;
    uint64_t v = 0;
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    static const uint64_t tens[9] = {1, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000};
    for (int round = 0; round < 2; round++) {
        uint64_t w;
        memcpy(&w, p, 8);
        w ^= UINT64_C(0x3030303030303030);
        uint64_t other = (((w & UINT64_C(0x7f7f7f7f7f7f7f7f)) + UINT64_C(0x7676767676767676)) | w) & UINT64_C(0x8080808080808080);
        unsigned n = other ? (unsigned)__builtin_ctzll(other) / 8 : 8;
        if (n == 0)
            break;
        w <<= (8 - n) * 8;
        w = (w * 10) + (w >> 8);
        w = (((w & UINT64_C(0x000000ff000000ff)) * UINT64_C(0x000f424000000064)) +
             (((w >> 16) & UINT64_C(0x000000ff000000ff)) * UINT64_C(0x0000271000000001))) >> 32;
        v = v * tens[n] + (uint32_t)w;
        p += n;
        if (n < 8)
            break;
    }
#else
    for (; p - first < 16 && *p >= '0' && *p <= '9'; p++)
        v = v * 10 + (uint64_t)(*p - '0');
#endif
    char c = *p;
    if (p == first || (*first == '0' && p - first > 1) || c == '.' || (c | 32) == 'e' || (c >= '0' && c <= '9'))
        return false;
    *out = neg ? -(int64_t)v : (int64_t)v;
    *pp = p;
    return true;
}

#endif
