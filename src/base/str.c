/* str.c: see str.h. */
#include "base/str.h"

#include <stdio.h>

static inline unsigned char lower(unsigned char c)
{
    return c >= 'A' && c <= 'Z' ? (unsigned char)(c + 32) : c;
}

bool str_ieq(str a, str b)
{
    if (a.n != b.n)
        return false;
    for (size_t i = 0; i < a.n; i++)
        if (lower((unsigned char)a.p[i]) != lower((unsigned char)b.p[i]))
            return false;
    return true;
}

int str_cmp(str a, str b)
{
    size_t n = a.n < b.n ? a.n : b.n;
    int c = n ? memcmp(a.p, b.p, n) : 0;
    return c ? c : (a.n > b.n) - (a.n < b.n);
}

bool str_starts(str s, str prefix)
{
    return s.n >= prefix.n && (prefix.n == 0 || memcmp(s.p, prefix.p, prefix.n) == 0);
}

bool str_ends(str s, str suffix)
{
    return s.n >= suffix.n &&
           (suffix.n == 0 || memcmp(s.p + (s.n - suffix.n), suffix.p, suffix.n) == 0);
}

static inline bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

str str_trim(str s)
{
    while (s.n && is_space(s.p[0])) {
        s.p++;
        s.n--;
    }
    while (s.n && is_space(s.p[s.n - 1]))
        s.n--;
    return s;
}

bool str_to_i64(str s, int64_t *out)
{
    size_t i = 0;
    bool neg = false;
    if (s.n && (s.p[0] == '-' || s.p[0] == '+')) {
        neg = s.p[0] == '-';
        i = 1;
    }
    if (i == s.n)
        return false;
    uint64_t max = (uint64_t)INT64_MAX + neg, v = 0;
    for (; i < s.n; i++) {
        unsigned d = (unsigned char)s.p[i] - (unsigned)'0';
        if (d > 9 || v > (max - d) / 10)
            return false;
        v = v * 10 + d;
    }
    *out = neg ? (int64_t)(0 - v) : (int64_t)v;
    return true;
}

bool str_to_size(str s, int64_t *out)
{
    static const char units[] = "kmg";
    int shift = 0;
    s = str_trim(s);
    if (s.n > 2 && (s.p[s.n - 1] | 0x20) == 'b') /* kB and KiB are the same as k */
        s.n -= (s.p[s.n - 2] | 0x20) == 'i' && memchr(units, s.p[s.n - 3] | 0x20, 3) ? 2 : 1;
    if (s.n > 1) {
        const char *u = memchr(units, s.p[s.n - 1] | 0x20, 3);
        if (u) {
            shift = 10 * (int)(u - units + 1);
            s = str_trim((str){s.p, s.n - 1});
        }
    }
    int64_t v;
    if (!str_to_i64(s, &v) || v < 0 || v > (INT64_MAX >> shift))
        return false;
    *out = v << shift;
    return true;
}

/* Length of the valid multi-byte sequence at p (n bytes left), 0 if there is none: no overlong
 * forms, no surrogates, nothing past U+10FFFF. */
static size_t utf8_sequence(const unsigned char *p, size_t n)
{
    unsigned c = p[0];
    if (c < 0xC2 || c > 0xF4)
        return 0;
    size_t len = c < 0xE0 ? 2 : c < 0xF0 ? 3 : 4;
    if (n < len)
        return 0;
    unsigned lo = c == 0xE0 ? 0xA0 : c == 0xF0 ? 0x90 : 0x80;
    unsigned hi = c == 0xED ? 0x9F : c == 0xF4 ? 0x8F : 0xBF;
    if (p[1] < lo || p[1] > hi)
        return 0;
    for (size_t i = 2; i < len; i++)
        if ((p[i] & 0xC0) != 0x80)
            return 0;
    return len;
}

/* Of at least 8 bytes; the last word overlaps the one before. */
static bool all_ascii(const unsigned char *p, size_t n)
{
    uint64_t w, any;
    memcpy(&any, p + n - 8, 8);
    for (size_t i = 0; i + 8 < n; i += 8) {
        memcpy(&w, p + i, 8);
        any |= w;
    }
    return !(any & 0x8080808080808080u);
}

size_t utf8_valid_prefix(str s)
{
    const unsigned char *p = (const unsigned char *)s.p;
    size_t i = 0;
    if (s.n >= 8 && s.n <= 256 && all_ascii(p, s.n))
        return s.n;
    while (i < s.n) {
        while (s.n - i >= 32) { /* ASCII, 32 bytes at a time */
            uint64_t w[4];
            memcpy(w, p + i, 32);
            if ((w[0] | w[1] | w[2] | w[3]) & 0x8080808080808080u)
                break;
            i += 32;
        }
        for (uint64_t w; s.n - i >= 8; i += 8) {
            memcpy(&w, p + i, 8);
            if (w & 0x8080808080808080u)
                break;
        }
        size_t stop = s.n - i > 32 ? i + 32 : s.n;
        while (i < stop) {
            if (p[i] < 0x80) {
                i++;
                continue;
            }
            size_t len = utf8_sequence(p + i, s.n - i);
            if (!len)
                return i;
            i += len;
        }
    }
    return s.n;
}

#define DISTANCE_MAX_LEN 255

static unsigned min3(unsigned a, unsigned b, unsigned c)
{
    unsigned m = a < b ? a : b;
    return m < c ? m : c;
}

/* Optimal string alignment: rows of the usual matrix, the last three kept. */
unsigned str_distance(str a, str b, unsigned max)
{
    size_t gap = a.n > b.n ? a.n - b.n : b.n - a.n;
    if (gap > max || a.n > DISTANCE_MAX_LEN || b.n > DISTANCE_MAX_LEN)
        return max + 1;
    unsigned rows[3][DISTANCE_MAX_LEN + 1];
    unsigned *before = rows[0], *prev = rows[1], *cur = rows[2];
    for (size_t j = 0; j <= b.n; j++)
        prev[j] = (unsigned)j;
    for (size_t i = 1; i <= a.n; i++) {
        unsigned least = cur[0] = (unsigned)i;
        unsigned char ca = lower((unsigned char)a.p[i - 1]);
        for (size_t j = 1; j <= b.n; j++) {
            unsigned char cb = lower((unsigned char)b.p[j - 1]);
            unsigned d = min3(prev[j] + 1, cur[j - 1] + 1, prev[j - 1] + (ca != cb));
            if (i > 1 && j > 1 && ca == lower((unsigned char)b.p[j - 2]) &&
                cb == lower((unsigned char)a.p[i - 2]) && before[j - 2] + 1 < d)
                d = before[j - 2] + 1;
            cur[j] = d;
            if (d < least)
                least = d;
        }
        if (least > max)
            return max + 1;
        unsigned *t = before;
        before = prev;
        prev = cur;
        cur = t;
    }
    return prev[b.n] <= max ? prev[b.n] : max + 1;
}

/* ---- sbuf ---- */

void sbuf_init(sbuf *b, mem *m)
{
    *b = (sbuf){.m = m};
}

void sbuf_free(sbuf *b)
{
    mem_free(b->m, b->p, b->cap);
    sbuf_init(b, b->m);
}

void sbuf_clear(sbuf *b)
{
    b->n = 0;
    b->failed = false;
    if (b->p)
        b->p[0] = 0;
}

bool sbuf_reserve(sbuf *b, size_t more)
{
    if (b->failed)
        return false;
    if (more < b->cap - b->n) /* one byte is kept for the NUL */
        return true;
    if (more >= SBUF_MAX - b->n) {
        b->failed = true;
        return false;
    }
    size_t cap = b->cap ? b->cap * 2 : 64;
    if (cap < b->n + more + 1)
        cap = b->n + more + 1;
    char *p = mem_resize(b->m, b->p, b->cap, cap);
    if (!p) {
        b->failed = true;
        return false;
    }
    p[b->n] = 0;
    b->p = p;
    b->cap = cap;
    return true;
}

void sbuf_add(sbuf *b, const void *p, size_t n)
{
    if (!sbuf_reserve(b, n))
        return;
    if (n)
        memcpy(b->p + b->n, p, n);
    b->n += n;
    b->p[b->n] = 0;
}

void sbuf_addz(sbuf *b, const char *z)
{
    sbuf_add(b, z, strlen(z));
}

void sbuf_addc(sbuf *b, char c)
{
    if (!sbuf_reserve(b, 1))
        return;
    b->p[b->n++] = c;
    b->p[b->n] = 0;
}

void sbuf_str(sbuf *b, str s)
{
    sbuf_add(b, s.p, s.n);
}

void sbuf_i64(sbuf *b, int64_t v)
{
    char tmp[20], *at = tmp + sizeof tmp;
    uint64_t u = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;
    do
        *--at = (char)('0' + u % 10);
    while (u /= 10);
    if (v < 0)
        *--at = '-';
    sbuf_add(b, at, (size_t)(tmp + sizeof tmp - at));
}

void sbuf_printf(sbuf *b, const char *fmt, ...)
{
    va_list ap, again;
    va_start(ap, fmt);
    va_copy(again, ap);
    char tmp[256];
    int n = vsnprintf(tmp, sizeof tmp, fmt, ap);
    if (n < 0)
        b->failed = true;
    else if ((size_t)n < sizeof tmp)
        sbuf_add(b, tmp, (size_t)n);
    else if (sbuf_reserve(b, (size_t)n)) {
        vsnprintf(b->p + b->n, (size_t)n + 1, fmt, again);
        b->n += (size_t)n;
    }
    va_end(again);
    va_end(ap);
}
