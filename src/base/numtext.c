/*
 * numtext.c: see numtext.h.
 *
 * Floats out. Values that are a short decimal (most of what people store) are found by one
 * multiplication and one division: v = n / 10^k with n < 10^15 is exact in both directions.
 * The others go through Schubfach (Raffaello Giulietti, "The Schubfach way to render doubles",
 * 2020): scale the value and the middles to its two neighbours by a power of ten with 128 bits,
 * rounding to odd, and pick the shortest integer in between. The powers are computed once per
 * process by exact long arithmetic (about 30 us) instead of being a 10 kB constant.
 *
 * Floats in. Up to 19 digits and a power of ten that a double holds exactly need one rounding
 * (Clinger); what is left goes to strtod in the C locale.
 */
#include "base/numtext.h"

#include <locale.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>

typedef unsigned __int128 u128_t;

static const double pow10_exact[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                     1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                     1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

/* ---- powers of ten with 128 bits ---- */

#define POW10_MIN (-292)
#define POW10_MAX 324
#define LONG_WORDS 40 /* 1280 bits: 10^324 has 1077, 2^1220 / 10^292 still has 250 */

/* ceil(10^k * 2^s) with s such that it has exactly 128 bits */
static u128_t pow10_table[POW10_MAX - POW10_MIN + 1];
static pthread_once_t pow10_once = PTHREAD_ONCE_INIT;

/* The top 128 bits of a number, rounded up if anything below them (or `sticky`) is set. */
static u128_t long_top(const uint32_t *w, bool sticky)
{
    int hi = LONG_WORDS - 1;
    while (w[hi] == 0)
        hi--;
    int top = hi * 32 + 32 - __builtin_clz(w[hi]); /* number of bits */
    u128_t v = 0;
    for (int bit = top - 1; bit >= top - 128; bit--)
        v = v << 1 | (bit >= 0 ? w[bit >> 5] >> (bit & 31) & 1 : 0);
    for (int bit = top - 129; bit >= 0 && !sticky; bit--)
        sticky = w[bit >> 5] >> (bit & 31) & 1;
    return v + sticky; /* never carries: no power of ten is that close below one of two */
}

static void pow10_load(void)
{
    uint32_t w[LONG_WORDS] = {1};
    for (int k = 0; k <= POW10_MAX; k++) {
        pow10_table[k - POW10_MIN] = long_top(w, false);
        uint64_t carry = 0;
        for (int i = 0; i < LONG_WORDS; i++) {
            carry += (uint64_t)w[i] * 10;
            w[i] = (uint32_t)carry;
            carry >>= 32;
        }
    }
    /* floor(floor(x / 10) / 10) = floor(x / 100), so the quotients stay exact floors */
    memset(w, 0, sizeof w);
    w[LONG_WORDS - 1] = 1u << 4;
    for (int k = -1; k >= POW10_MIN; k--) {
        uint64_t rest = 0;
        for (int i = LONG_WORDS - 1; i >= 0; i--) {
            rest = rest << 32 | w[i];
            w[i] = (uint32_t)(rest / 10);
            rest %= 10;
        }
        pow10_table[k - POW10_MIN] = long_top(w, true);
    }
}

static inline int floor_log2_pow10(int e) { return (e * 1741647) >> 19; }

/* floor(g * cp / 2^128), its lowest bit set where something was cut off */
static inline uint64_t round_to_odd(u128_t g, uint64_t cp)
{
    u128_t x = (u128_t)(uint64_t)g * cp, y = (u128_t)(uint64_t)(g >> 64) * cp;
    y += (uint64_t)(x >> 64);
    return (uint64_t)(y >> 64) | ((uint64_t)y > 1);
}

/* The shortest decimal digits * 10^*exp10 that reads back as c * 2^q. `closer`: the lower
 * neighbour is at half the distance (c is the smallest of its binade). */
static uint64_t shortest(uint64_t c, int q, bool closer, int *exp10)
{
    pthread_once(&pow10_once, pow10_load);
    int k = (q * 1262611 - (closer ? 524031 : 0)) >> 22; /* floor(log10(2^q)), or of 3/4 2^q */
    int h = q + floor_log2_pow10(-k) + 1;
    u128_t g = pow10_table[-k - POW10_MIN];
    uint64_t odd = c & 1;
    uint64_t lower = round_to_odd(g, (4 * c - 2 + closer) << h) + odd;
    uint64_t value = round_to_odd(g, (4 * c) << h);
    uint64_t upper = round_to_odd(g, (4 * c + 2) << h) - odd;
    uint64_t s = value / 4;
    if (s >= 10) {
        uint64_t tens = s / 10;
        bool down = lower <= 40 * tens, up = 40 * tens + 40 <= upper;
        if (down != up) {
            *exp10 = k + 1;
            return tens + up;
        }
    }
    bool down = lower <= 4 * s, up = 4 * s + 4 <= upper;
    *exp10 = k;
    if (down != up)
        return s + up;
    uint64_t mid = 4 * s + 2;
    return s + (value > mid || (value == mid && (s & 1)));
}

/* v > 0 as n * 10^-k with n < 10^15, if it is such a decimal: then n has the fewest digits. */
static bool short_decimal(double v, uint64_t *digits, int *exp10)
{
    if (!(v >= 1e-5 && v < 1e15))
        return false;
    for (int k = 0; k <= 6; k++) {
        double scaled = v * pow10_exact[k];
        if (scaled >= 1e15)
            return false;
        uint64_t n = (uint64_t)(scaled + 0.5);
        if ((double)n / pow10_exact[k] == v) {
            *digits = n;
            *exp10 = -k;
            return n != 0;
        }
    }
    return false;
}

size_t u64_text(uint64_t v, char *out)
{
    char tmp[20], *at = tmp + sizeof tmp;
    do
        *--at = (char)('0' + v % 10);
    while (v /= 10);
    size_t n = (size_t)(tmp + sizeof tmp - at);
    memcpy(out, at, n);
    return n;
}

size_t i64_text(int64_t v, char *out)
{
    size_t neg = v < 0;
    if (neg)
        *out = '-';
    return neg + u64_text(neg ? 0 - (uint64_t)v : (uint64_t)v, out + neg);
}

/* digits * 10^exp10 with an exponent where the first digit stands at 10^-5 and below, or at
 * 10^sci_from and above. */
static size_t layout(uint64_t digits, int exp10, int sci_from, char *out)
{
    while (digits % 10 == 0) { /* digits > 0 */
        digits /= 10;
        exp10++;
    }
    char d[20];
    int n = (int)u64_text(digits, d), first = exp10 + n - 1;
    char *at = out;
    if (first < -4 || first >= sci_from) {
        *at++ = d[0];
        if (n > 1) {
            *at++ = '.';
            memcpy(at, d + 1, (size_t)n - 1);
            at += n - 1;
        }
        *at++ = 'e';
        *at++ = first < 0 ? '-' : '+';
        unsigned e = (unsigned)(first < 0 ? -first : first);
        if (e < 10)
            *at++ = '0';
        at += u64_text(e, at);
    } else if (exp10 >= 0) {
        memcpy(at, d, (size_t)n);
        memset(at + n, '0', (size_t)exp10);
        at += n + exp10;
    } else if (first >= 0) {
        memcpy(at, d, (size_t)first + 1);
        at += first + 1;
        *at++ = '.';
        memcpy(at, d + first + 1, (size_t)(n - first - 1));
        at += n - first - 1;
    } else {
        memcpy(at, "0.0000", (size_t)(1 - first));
        at += 1 - first;
        memcpy(at, d, (size_t)n);
        at += n;
    }
    return (size_t)(at - out);
}

/* What isn't a finite non-zero number; 0: it is one. The sign stands in front already. */
static size_t special(double v, char *out)
{
    const char *z = isnan(v) ? "NaN" : isinf(v) ? "Infinity" : v == 0 ? "0" : "";
    size_t n = strlen(z);
    memcpy(out, z, n);
    return n;
}

size_t f64_text(double v, char *out)
{
    size_t neg = signbit(v) && !isnan(v);
    if (neg)
        *out++ = '-';
    size_t n = special(v, out);
    if (n)
        return neg + n;
    uint64_t digits, bits;
    int exp10;
    v = fabs(v);
    if (!short_decimal(v, &digits, &exp10)) {
        memcpy(&bits, &v, sizeof bits);
        uint64_t frac = bits & 0xfffffffffffffu;
        int e = (int)(bits >> 52);
        digits = shortest(e ? frac | 1ull << 52 : frac, (e ? e : 1) - 1075, frac == 0 && e > 1, &exp10);
    }
    return neg + layout(digits, exp10, 15, out);
}

size_t f32_text(float v, char *out)
{
    size_t neg = signbit(v) && !isnan(v);
    if (neg)
        *out++ = '-';
    size_t n = special((double)v, out);
    if (n)
        return neg + n;
    uint32_t bits;
    int exp10;
    v = fabsf(v);
    memcpy(&bits, &v, sizeof bits);
    uint32_t frac = bits & 0x7fffffu;
    int e = (int)(bits >> 23);
    uint64_t digits =
        shortest(e ? frac | 1u << 23 : frac, (e ? e : 1) - 150, frac == 0 && e > 1, &exp10);
    return neg + layout(digits, exp10, 6, out);
}

/* ---- floats in ---- */

static locale_t c_locale;
static pthread_once_t c_locale_once = PTHREAD_ONCE_INIT;
static void c_locale_load(void) { c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0); }

/* Text that was checked to be a number; any length. */
static double f64_slow(str s)
{
    char tmp[1200]; /* a double has at most 767 significant digits; more only break ties */
    size_t n = s.n;
    pthread_once(&c_locale_once, c_locale_load);
    if (n < sizeof tmp) {
        memcpy(tmp, s.p, n);
        tmp[n] = 0;
        return c_locale ? strtod_l(tmp, NULL, c_locale) : strtod(tmp, NULL);
    }
    /* Longer: keep 800 significant digits (and a 1 for what was cut), adjust the exponent. */
    size_t i = 0, kept = 0, at = 0;
    int64_t shift = 0, exp = 0;
    bool point = false, sticky = false;
    if (s.p[i] == '-' || s.p[i] == '+')
        tmp[at++] = s.p[i++];
    for (; i < n && (s.p[i] | 32) != 'e'; i++) {
        if (s.p[i] == '.') {
            point = true;
            continue;
        }
        if (kept == 0 && s.p[i] == '0') {
            shift -= point;
        } else if (kept < 800) {
            tmp[at++] = s.p[i];
            kept++;
            shift -= point;
        } else {
            sticky |= s.p[i] != '0';
            shift += !point;
        }
    }
    if (sticky) {
        tmp[at++] = '1';
        shift--;
    }
    if (kept == 0)
        tmp[at++] = '0';
    if (i < n && !str_to_i64((str){s.p + i + 1, n - i - 1}, &exp))
        exp = s.p[i + 1] == '-' ? INT32_MIN : INT32_MAX;
    if (exp > INT32_MAX || exp < INT32_MIN)
        exp = exp < 0 ? INT32_MIN : INT32_MAX;
    tmp[at++] = 'e';
    at += i64_text(exp + shift, tmp + at);
    tmp[at] = 0;
    return c_locale ? strtod_l(tmp, NULL, c_locale) : strtod(tmp, NULL);
}

static bool f64_word(str s, bool neg, double *out)
{
    if (str_ieq(s, STR("nan")))
        *out = NAN;
    else if (str_ieq(s, STR("inf")) || str_ieq(s, STR("infinity")))
        *out = neg ? -INFINITY : INFINITY;
    else
        return false;
    return true;
}

bool str_to_f64(str s, double *out)
{
    size_t i = 0, ndigits = 0;
    bool neg = false, exact = true;
    if (i < s.n && (s.p[i] == '-' || s.p[i] == '+'))
        neg = s.p[i++] == '-';
    uint64_t m = 0;
    int64_t exp10 = 0;
    bool point = false;
    size_t start = i;
    for (; i < s.n; i++) {
        unsigned d = (unsigned char)s.p[i] - (unsigned)'0';
        if (d <= 9) {
            ndigits++;
            if (m < 1000000000000000000u) { /* 19 digits fit */
                m = m * 10 + d;
                exp10 -= point;
            } else {
                exact = false;
            }
        } else if (s.p[i] == '.' && !point) {
            point = true;
        } else {
            break;
        }
    }
    if (ndigits == 0)
        return f64_word((str){s.p + start, s.n - start}, neg, out);
    if (i < s.n) {
        if ((s.p[i] | 32) != 'e')
            return false;
        size_t j = ++i;
        if (j < s.n && (s.p[j] == '-' || s.p[j] == '+'))
            j++;
        if (j == s.n)
            return false;
        for (size_t k = j; k < s.n; k++)
            if (s.p[k] < '0' || s.p[k] > '9')
                return false;
        int64_t e;
        if (str_to_i64((str){s.p + i, s.n - i}, &e) && e > -10000 && e < 10000)
            exp10 += e;
        else
            exact = false;
    }
    if (exact && m <= 1ull << 53 && exp10 >= -22 && exp10 <= 22) {
        double v = (double)m;
        v = exp10 < 0 ? v / pow10_exact[-exp10] : v * pow10_exact[exp10];
        *out = neg ? -v : v;
        return true;
    }
    *out = f64_slow(s);
    return true;
}
