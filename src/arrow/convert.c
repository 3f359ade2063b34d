/*
 * convert.c: see convert.h.
 *
 * Floats. Up to 19 significant digits are collected in 64 bits. If they fit 53 bits and the
 * power of ten is exact as a double, one operation rounds correctly (Clinger). If they fit 64
 * bits and the power of ten is exact with a 64-bit mantissa (up to 10^27), one operation of
 * that width has an error of half its last bit, and rounding it again to 53 bits is right
 * unless it lies exactly between two doubles: that case and all others go to str_to_f64.
 *
 * Decimals. The digits are collected in 128 bits up to the wanted scale; the first digit
 * behind it rounds, and any digit that isn't zero makes the result inexact.
 */
#include "arrow/convert.h"

#include "arrow/civil.h"
#include "base/numtext.h"

#include <float.h>
#include <locale.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>

static inline bool is_digit(char c) { return (unsigned char)(c - '0') <= 9; }

conv text_to_i64(const char *p, size_t n, int64_t *out)
{
    const char *end = p + n;
    bool neg = false;
    if (n && (*p == '-' || *p == '+'))
        neg = *p++ == '-';
    if (p == end)
        return CONV_BAD;
    uint64_t v = 0;
    const char *safe = end - p > 18 ? p + 18 : end; /* 18 digits can't overflow */
    for (; p < safe; p++) {
        unsigned d = (unsigned char)(*p - '0');
        if (d > 9)
            return CONV_BAD;
        v = v * 10 + d;
    }
    bool over = false;
    for (; p < end; p++) {
        unsigned d = (unsigned char)(*p - '0');
        if (d > 9)
            return CONV_BAD;
        over |= v > ((uint64_t)INT64_MAX + neg - d) / 10;
        if (!over)
            v = v * 10 + d;
    }
    if (over)
        return CONV_RANGE;
    *out = neg ? (int64_t)(0 - v) : (int64_t)v;
    return CONV_OK;
}

/* ---- numbers with fraction and exponent ---- */

/* The parts of a number's text; digits are p[0, int_n) and frac[0, frac_n). */
typedef struct number {
    bool neg;
    const char *ints, *frac;
    size_t int_n, frac_n;
    int64_t exp10; /* of the exponent, within ±10^9 */
} number;

static bool number_split(const char *p, size_t n, number *o)
{
    const char *end = p + n;
    *o = (number){0};
    if (p < end && (*p == '-' || *p == '+'))
        o->neg = *p++ == '-';
    o->ints = p;
    while (p < end && is_digit(*p))
        p++;
    o->int_n = (size_t)(p - o->ints);
    o->frac = p;
    if (p < end && *p == '.') {
        o->frac = ++p;
        while (p < end && is_digit(*p))
            p++;
        o->frac_n = (size_t)(p - o->frac);
    }
    if (o->int_n + o->frac_n == 0)
        return false;
    if (p < end && (*p | 32) == 'e') {
        bool eneg = false;
        if (++p < end && (*p == '-' || *p == '+'))
            eneg = *p++ == '-';
        if (p == end)
            return false;
        int64_t e = 0;
        for (; p < end && is_digit(*p); p++)
            if (e < 100000000)
                e = e * 10 + (*p - '0');
        o->exp10 = eneg ? -e : e;
    }
    return p == end;
}

static const double pow10_f64[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                   1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                   1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

#if LDBL_MANT_DIG == 64
static const long double pow10_ld[] = {
    1e0L,  1e1L,  1e2L,  1e3L,  1e4L,  1e5L,  1e6L,  1e7L,  1e8L,  1e9L,
    1e10L, 1e11L, 1e12L, 1e13L, 1e14L, 1e15L, 1e16L, 1e17L, 1e18L, 1e19L,
    1e20L, 1e21L, 1e22L, 1e23L, 1e24L, 1e25L, 1e26L, 1e27L};

static bool f64_extended(uint64_t m, int e, double *out)
{
    if (e < -27 || e > 27)
        return false;
    long double v = e < 0 ? (long double)m / pow10_ld[-e] : (long double)m * pow10_ld[e];
    uint64_t mantissa;
    memcpy(&mantissa, &v, sizeof mantissa);
    if ((mantissa & 0x7ff) == 0x400)
        return false;
    *out = (double)v;
    return true;
}
#else
static bool f64_extended(uint64_t m, int e, double *out)
{
    (void)m, (void)e, (void)out;
    return false;
}
#endif

/* The most common form, [-]digits[.digits] with at most 19 digits; false: look again. */
static bool f64_plain(const char *p, size_t n, double *out)
{
    const char *end = p + n;
    bool neg = n && *p == '-';
    p += neg;
    const char *first = p;
    uint64_t m = 0;
    while (p < end && is_digit(*p))
        m = m * 10 + (unsigned)(*p++ - '0');
    size_t digits = (size_t)(p - first);
    int e = 0;
    if (p < end && *p == '.') {
        const char *frac = ++p;
        while (p < end && is_digit(*p))
            m = m * 10 + (unsigned)(*p++ - '0');
        e = (int)(p - frac);
        digits += (size_t)(p - frac);
    }
    if (p != end || digits == 0 || digits > 19)
        return false;
    double v;
    if (m <= 1ull << 53 && e <= 22) {
        v = (double)m / pow10_f64[e];
    } else if (!f64_extended(m, -e, &v)) {
        return false;
    }
    *out = neg ? -v : v;
    return true;
}

/* Beyond this many significant digits only whether any of them isn't zero can matter. */
#define F64_DIGITS 800

/* The number as digits and exponent, without sign, cut to what can matter; NUL-terminated. */
static size_t number_text(const number *x, char text[F64_DIGITS + 32])
{
    size_t n = 0;
    int64_t exp10 = x->exp10;
    bool sticky = false;
    size_t all = x->int_n + x->frac_n, i = 0;
    for (; i < all && (i < x->int_n ? x->ints[i] : x->frac[i - x->int_n]) == '0'; i++)
        exp10 -= i >= x->int_n;
    for (; i < all; i++) {
        char c = i < x->int_n ? x->ints[i] : x->frac[i - x->int_n];
        if (n < F64_DIGITS) {
            text[n++] = c;
            exp10 -= i >= x->int_n;
        } else {
            sticky |= c != '0';
            exp10 += i < x->int_n;
        }
    }
    if (n == 0)
        text[n++] = '0';
    if (sticky) {
        text[n++] = '1';
        exp10--;
    }
    if (exp10 > 9000)
        exp10 = 9000;
    if (exp10 < -9000)
        exp10 = -9000;
    text[n++] = 'e';
    n += i64_text(exp10, text + n);
    text[n] = 0;
    return n;
}

static conv f64_word(const char *p, size_t n, double *out)
{
    str s = {p, n};
    bool neg = n && *p == '-';
    if (n && (*p == '-' || *p == '+'))
        s = (str){p + 1, n - 1};
    if (str_ieq(s, STR("inf")) || str_ieq(s, STR("infinity")))
        *out = neg ? -INFINITY : INFINITY;
    else if (str_ieq(s, STR("nan")))
        *out = NAN;
    else
        return CONV_BAD;
    return CONV_OK;
}

conv text_to_f64(const char *p, size_t n, double *out)
{
    if (f64_plain(p, n, out))
        return CONV_OK;
    number x;
    if (!number_split(p, n, &x))
        return f64_word(p, n, out);
    double v;
    if (n < 400 && x.exp10 > -9000 && x.exp10 < 9000) {
        bool in_range = false;
        if (x.int_n + x.frac_n <= 19) {
            uint64_t m = 0;
            for (size_t i = 0; i < x.int_n; i++)
                m = m * 10 + (unsigned)(x.ints[i] - '0');
            for (size_t i = 0; i < x.frac_n; i++)
                m = m * 10 + (unsigned)(x.frac[i] - '0');
            in_range = m && f64_extended(m, (int)x.exp10 - (int)x.frac_n, &v);
        }
        if (in_range)
            v = x.neg ? -v : v;
        else if (!str_to_f64((str){p, n}, &v))
            return CONV_BAD;
    } else {
        char text[F64_DIGITS + 32];
        if (!str_to_f64((str){text, number_text(&x, text)}, &v))
            return CONV_BAD;
        v = x.neg ? -v : v;
    }
    if (isinf(v))
        return CONV_RANGE;
    *out = v;
    return CONV_OK;
}

static locale_t c_locale;
static pthread_once_t c_locale_once = PTHREAD_ONCE_INIT;
static void c_locale_load(void) { c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0); }

/* Rounding to double and then to float is wrong only where the double lies exactly between two
 * floats: those go to strtof. */
conv text_to_f32(const char *p, size_t n, float *out)
{
    double d;
    conv c = text_to_f64(p, n, &d);
    if (c != CONV_OK)
        return c;
    float f = (float)d;
    double gap = d - (double)f;
    if (isfinite(d) && gap != 0) {
        float next = nextafterf(f, gap > 0 ? INFINITY : -INFINITY);
        number x;
        pthread_once(&c_locale_once, c_locale_load);
        if ((isinf(f) || gap == (double)next - d) && c_locale && number_split(p, n, &x)) {
            char text[F64_DIGITS + 32];
            number_text(&x, text);
            f = strtof_l(text, NULL, c_locale);
            f = x.neg ? -f : f;
        }
        if (isinf(f))
            return CONV_RANGE;
    }
    *out = f;
    return CONV_OK;
}

static i128 pow10_i128(unsigned e)
{
    i128 v = 1;
    while (e--)
        v *= 10;
    return v;
}

conv text_to_decimal(const char *p, size_t n, unsigned precision, unsigned scale, i128 *out)
{
    number x;
    if (!number_split(p, n, &x))
        return CONV_BAD;
    if (precision > 38)
        precision = 38;
    const i128 limit = pow10_i128(precision), full = limit / 10; /* from there on there is no room for a further digit */
    size_t all = x.int_n + x.frac_n;
    /* digits [0, want) make up the value; more are appended as zeros */
    int64_t want = (int64_t)x.int_n + x.exp10 + (int64_t)scale;
    i128 v = 0;
    bool over = false, inexact = false, round_up = false;
    for (size_t i = 0; i < all; i++) {
        unsigned d = (unsigned)((i < x.int_n ? x.ints[i] : x.frac[i - x.int_n]) - '0');
        if ((int64_t)i < want) {
            if (v >= full)
                over = true;
            else
                v = v * 10 + d;
        } else {
            inexact |= d != 0;
            round_up |= (int64_t)i == want && d >= 5;
        }
    }
    if (v != 0)
        for (int64_t i = (int64_t)all; i < want && !over; i++) {
            over = v >= full;
            if (!over)
                v *= 10;
        }
    v += round_up;
    if (over || v >= limit)
        return CONV_RANGE;
    *out = x.neg ? -v : v;
    return inexact ? CONV_INEXACT : CONV_OK;
}

conv text_to_bool(const char *p, size_t n, bool *out)
{
    static const struct { char text[6]; bool value; } words[] = {
        {"true", true}, {"false", false}, {"t", true},   {"f", false}, {"yes", true}, {"no", false},
        {"y", true},    {"n", false},     {"on", true},  {"off", false}, {"1", true},  {"0", false}};
    if (n > 5)
        return CONV_BAD;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (str_ieq((str){p, n}, str_of(words[i].text))) {
            *out = words[i].value;
            return CONV_OK;
        }
    return CONV_BAD;
}

/* ---- dates and times ---- */

/* Two digits, or 255. */
static inline unsigned two(const char *p)
{
    unsigned a = (unsigned char)(p[0] - '0'), b = (unsigned char)(p[1] - '0');
    return a > 9 || b > 9 ? 255 : a * 10 + b;
}

conv text_to_date(const char *p, size_t n, int32_t *out)
{
    if (n != 10 || p[4] != '-' || p[7] != '-')
        return CONV_BAD;
    unsigned c = two(p), y = two(p + 2), m = two(p + 5), d = two(p + 8);
    if (c > 99 || y > 99 || m > 99 || d > 99)
        return CONV_BAD;
    int year = (int)(c * 100 + y);
    if (year < 1 || !civil_valid(year, (int)m, (int)d))
        return CONV_RANGE;
    *out = (int32_t)civil_to_days(year, (int)m, (int)d);
    return CONV_OK;
}

/* HH:MM[:SS[.digits]] from p; *used is its length, which may be less than n. */
static conv time_prefix(const char *p, size_t n, size_t *used, int64_t *out)
{
    if (n < 5 || p[2] != ':')
        return CONV_BAD;
    unsigned h = two(p), m = two(p + 3), s = 0;
    if (h > 99 || m > 99)
        return CONV_BAD;
    size_t i = 5;
    int64_t frac = 0;
    bool inexact = false, up = false;
    if (n >= 8 && p[5] == ':') {
        s = two(p + 6);
        if (s > 99)
            return CONV_BAD;
        i = 8;
        if (i < n && p[i] == '.') {
            size_t first = ++i;
            for (; i < n && is_digit(p[i]); i++) {
                unsigned d = (unsigned)(p[i] - '0');
                if (i - first < 6) {
                    frac = frac * 10 + d;
                } else {
                    inexact |= d != 0;
                    up |= i - first == 6 && d >= 5;
                }
            }
            if (i == first)
                return CONV_BAD;
            for (size_t k = i - first; k < 6; k++)
                frac *= 10;
        }
    }
    *used = i;
    if (h > 23 || m > 59 || s > 59)
        return CONV_RANGE;
    *out = ((int64_t)(h * 60 + m) * 60 + s) * MICROS_PER_SECOND + frac + up;
    return inexact ? CONV_INEXACT : CONV_OK;
}

conv text_to_time(const char *p, size_t n, int64_t *out)
{
    size_t used;
    int64_t v;
    conv c = time_prefix(p, n, &used, &v);
    if (c == CONV_BAD || used != n)
        return CONV_BAD;
    if (c == CONV_INEXACT && v == MICROS_PER_DAY)
        c = CONV_RANGE; /* rounded into the next day */
    if (c != CONV_RANGE)
        *out = v;
    return c;
}

/* Date and time of day; *used is where a zone may start. */
static conv stamp_prefix(const char *p, size_t n, size_t *used, int64_t *out)
{
    int32_t days;
    if (n < 16 || (p[10] != 'T' && p[10] != ' ' && p[10] != 't'))
        return CONV_BAD;
    conv cd = text_to_date(p, 10, &days);
    if (cd == CONV_BAD)
        return CONV_BAD;
    int64_t micros = 0;
    conv ct = time_prefix(p + 11, n - 11, used, &micros);
    if (ct == CONV_BAD)
        return CONV_BAD;
    *used += 11;
    if (cd == CONV_RANGE || ct == CONV_RANGE)
        return CONV_RANGE;
    *out = days * MICROS_PER_DAY + micros;
    return ct;
}

conv text_to_timestamp(const char *p, size_t n, int64_t *out)
{
    if (n == 10) {
        int32_t days;
        conv c = text_to_date(p, n, &days);
        if (c == CONV_OK)
            *out = days * MICROS_PER_DAY;
        return c;
    }
    size_t used;
    int64_t v;
    conv c = stamp_prefix(p, n, &used, &v);
    if (c == CONV_BAD || used != n)
        return CONV_BAD;
    if (c != CONV_RANGE)
        *out = v;
    return c;
}

/* The zone at the end of a timestamp, as seconds east of UTC. */
static conv zone_parse(const char *p, size_t n, int32_t *out)
{
    *out = 0;
    if (n == 1 && (*p | 32) == 'z')
        return CONV_OK;
    if (n == 4 && memcmp(p, " UTC", 4) == 0)
        return CONV_OK;
    if (n < 3 || (*p != '+' && *p != '-'))
        return CONV_BAD;
    unsigned h = two(p + 1), m = 0;
    if (n == 5)
        m = two(p + 3);
    else if (n == 6 && p[3] == ':')
        m = two(p + 4);
    else if (n != 3)
        return CONV_BAD;
    if (h > 99 || m > 99)
        return CONV_BAD;
    if (h > 15 || m > 59)
        return CONV_RANGE;
    *out = (int32_t)(h * 3600 + m * 60) * (*p == '-' ? -1 : 1);
    return CONV_OK;
}

conv text_to_timestamptz(const char *p, size_t n, int64_t *out)
{
    size_t used;
    int64_t v;
    int32_t east;
    conv c = stamp_prefix(p, n, &used, &v);
    if (c == CONV_BAD)
        return c;
    conv z = zone_parse(p + used, n - used, &east);
    if (z != CONV_OK)
        return z;
    if (c != CONV_RANGE)
        *out = v - east * MICROS_PER_SECOND;
    return c;
}

/* ---- bytes ---- */

static inline unsigned hex(char c)
{
    if (is_digit(c))
        return (unsigned)(c - '0');
    c |= 32;
    return c >= 'a' && c <= 'f' ? (unsigned)(c - 'a' + 10) : 16;
}

conv text_to_uuid(const char *p, size_t n, uint8_t out[16])
{
    if (n != 36 && n != 32)
        return CONV_BAD;
    size_t k = 0;
    for (size_t i = 0; i < n;) {
        if (n == 36 && (i == 8 || i == 13 || i == 18 || i == 23)) {
            if (p[i++] != '-')
                return CONV_BAD;
            continue;
        }
        unsigned a = hex(p[i]), b = hex(p[i + 1]);
        if (a > 15 || b > 15)
            return CONV_BAD;
        out[k++] = (uint8_t)(a << 4 | b);
        i += 2;
    }
    return CONV_OK;
}

conv text_to_bytes(const char *p, size_t n, uint8_t *out)
{
    if (n < 2 || n % 2 || p[0] != '\\' || p[1] != 'x')
        return CONV_BAD;
    for (size_t i = 2; i < n; i += 2) {
        unsigned a = hex(p[i]), b = hex(p[i + 1]);
        if (a > 15 || b > 15)
            return CONV_BAD;
        out[i / 2 - 1] = (uint8_t)(a << 4 | b);
    }
    return CONV_OK;
}

/* ---- any type ---- */

static fz_status cast_bytes(str s, type t, arena *a, datum *out, conv *c, fz_error *err)
{
    size_t n = t.id == T_UUID ? 16 : s.n >= 2 && s.p[0] == '\\' && s.p[1] == 'x' ? s.n / 2 - 1 : s.n;
    uint8_t *bytes = arena_alloc(a, n ? n : 1);
    if (!bytes)
        return error_nomem(err);
    if (t.id == T_UUID)
        *c = text_to_uuid(s.p, s.n, bytes);
    else if (n != s.n)
        *c = text_to_bytes(s.p, s.n, bytes);
    else if (n)
        memcpy(bytes, s.p, n);
    if (t.id == T_FIXED && *c == CONV_OK && n != t.width)
        *c = CONV_RANGE;
    out->s = (str){(const char *)bytes, n};
    return FZ_OK;
}

static conv cast_value(str s, type t, datum *out)
{
    conv c;
    i128 wide = 0;
    switch (t.id) {
    case T_BOOL:
        return text_to_bool(s.p, s.n, &out->b);
    case T_INT32: {
        int64_t v = 0;
        c = text_to_i64(s.p, s.n, &v);
        if (c == CONV_OK && (v < INT32_MIN || v > INT32_MAX))
            return CONV_RANGE;
        out->i32 = (int32_t)v;
        return c;
    }
    case T_INT64:
        return text_to_i64(s.p, s.n, &out->i64);
    case T_FLOAT32:
        return text_to_f32(s.p, s.n, &out->f32);
    case T_FLOAT64:
        return text_to_f64(s.p, s.n, &out->f64);
    case T_DECIMAL:
        c = text_to_decimal(s.p, s.n, t.precision, t.scale, &wide);
        if (type_phys(t) == PHYS_I64)
            out->i64 = (int64_t)wide;
        else
            out->i128v = wide;
        return c;
    case T_DATE: {
        c = text_to_date(s.p, s.n, &out->i32);
        if (c != CONV_BAD)
            return c;
        int64_t ts = 0; /* the date of a timestamp, as PostgreSQL has it */
        c = text_to_timestamp(s.p, s.n, &ts);
        out->i32 = (int32_t)civil_floor_div(ts, MICROS_PER_DAY);
        return c;
    }
    case T_TIME:
        return text_to_time(s.p, s.n, &out->i64);
    case T_TIMESTAMP:
        return text_to_timestamp(s.p, s.n, &out->i64);
    case T_TIMESTAMPTZ:
        c = text_to_timestamptz(s.p, s.n, &out->i64);
        return c == CONV_BAD ? text_to_timestamp(s.p, s.n, &out->i64) : c;
    default:
        return CONV_BAD;
    }
}

fz_status text_to_datum(str s, type t, arena *a, datum *out, fz_error *err)
{
    datum d = {.t = t};
    conv c = CONV_OK;
    if (type_is_nested(t) || t.id == T_NULL || t.id >= T_COUNT_)
        return error_set(err, FZ_UNSUPPORTED, "text can't be cast to a nested type");
    if (t.id == T_STRING) {
        d.s = s;
    } else if (t.id == T_BINARY || t.id == T_FIXED) {
        TRY(cast_bytes(s, t, a, &d, &c, err));
    } else {
        str v = str_trim(s);
        if (t.id == T_UUID)
            TRY(cast_bytes(v, t, a, &d, &c, err));
        else
            c = cast_value(v, t, &d);
    }
    if (c == CONV_OK || c == CONV_INEXACT) {
        *out = d;
        return FZ_OK;
    }
    if (!err)
        return FZ_VALUE;
    sbuf name;
    sbuf_init(&name, a->m);
    type_sql_name(t, &name);
    bool temporal = t.id == T_DATE || t.id == T_TIME || t.id == T_TIMESTAMP || t.id == T_TIMESTAMPTZ;
    const char *state = c == CONV_RANGE ? (temporal ? "22008" : "22003") : temporal ? "22007" : "22P02";
    str shown = {s.p, s.n > 100 ? utf8_valid_prefix((str){s.p, 100}) : s.n};
    error_sql(err, FZ_VALUE, state, "\"" STR_FMT "%s\" %s %s", STR_ARG(shown), s.n > 100 ? "…" : "",
              c == CONV_RANGE ? "is out of the range of type" : "isn't a value of type",
              name.p ? name.p : "?");
    sbuf_free(&name);
    return FZ_VALUE;
}
