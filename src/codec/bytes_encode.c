/*
 * bytes_encode.c: DELTA_LENGTH_BYTE_ARRAY and DELTA_BYTE_ARRAY; see bytes_encode.h.
 */
#include "codec/bytes_encode.h"

#include "codec/delta_encode.h"

#include <string.h>

/* The bytes that two texts have in common at their start, at most n; words while both have eight. */
static inline size_t common_prefix(const uint8_t *a, const uint8_t *b, size_t n)
{
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        uint64_t x, y;
        memcpy(&x, a + i, 8);
        memcpy(&y, b + i, 8);
        if (x != y)
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
            return i + (size_t)__builtin_clzll(x ^ y) / 8;
#else
            return i + (size_t)__builtin_ctzll(x ^ y) / 8;
#endif
    }
    while (i < n && a[i] == b[i])
        i++;
    return i;
}

static inline size_t shared_with_last(const byte_values *v, size_t i)
{
    if (i == 0)
        return 0;
    uint32_t n = v->len[i] < v->len[i - 1] ? v->len[i] : v->len[i - 1];
    return common_prefix(v->data + v->off[i - 1], v->data + v->off[i], n);
}

size_t bytes_bound(size_t n, size_t bytes)
{
    return 2 * delta_bound(n) + bytes;
}

size_t bytes_shared(const byte_values *v)
{
    size_t sum = 0;
    for (size_t i = 1; i < v->n; i++)
        sum += shared_with_last(v, i);
    return sum;
}

size_t bytes_encode_lengths(const byte_values *v, int64_t *scratch, uint8_t *out)
{
    for (size_t i = 0; i < v->n; i++)
        scratch[i] = v->len[i];
    size_t at = delta_encode(scratch, v->n, true, out);
    for (size_t i = 0; i < v->n; i++) {
        if (v->len[i])
            memcpy(out + at, v->data + v->off[i], v->len[i]);
        at += v->len[i];
    }
    return at;
}

size_t bytes_encode_prefixes(const byte_values *v, int64_t *scratch, uint8_t *out)
{
    int64_t *pre = scratch, *suf = scratch + v->n;
    for (size_t i = 0; i < v->n; i++) {
        pre[i] = (int64_t)shared_with_last(v, i);
        suf[i] = (int64_t)v->len[i] - pre[i];
    }
    size_t at = delta_encode(pre, v->n, true, out);
    at += delta_encode(suf, v->n, true, out + at);
    for (size_t i = 0; i < v->n; i++) {
        if (suf[i])
            memcpy(out + at, v->data + v->off[i] + pre[i], (size_t)suf[i]);
        at += (size_t)suf[i];
    }
    return at;
}
