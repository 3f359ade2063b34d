/*
 * column_bounds.c: minima and maxima of pages, chunks and columns that are written.
 *
 * Integers compare as signed, floats as numbers with NaN left out, text and bytes by unsigned
 * bytes, wide decimals (big-endian two's complement of one length) by unsigned bytes after their
 * sign bit was turned. A text bound keeps at most BOUND_MAX bytes and says so (cut): two values
 * that agree in those bytes are the same bound, which is all that a bound needs.
 */
#include "base/clones.h"
#include "format/parquet/column_write_int.h"

#include <math.h>

int bytes_cmp(bound_kind kind, const uint8_t *a, size_t an, const uint8_t *b, size_t bn)
{
    size_t n = an < bn ? an : bn;
    if (kind == BOUND_SIGNED_BYTES && n && a[0] != b[0])
        return (a[0] ^ 0x80) < (b[0] ^ 0x80) ? -1 : 1;
    int c = n ? memcmp(a, b, n) : 0;
    return c ? c : an < bn ? -1 : an > bn;
}

CLONES
static void range_of(const int64_t *v, size_t n, int64_t *lo, int64_t *hi)
{
    int64_t a = *lo, b = *hi;
    for (size_t i = 0; i < n; i++) {
        a = v[i] < a ? v[i] : a;
        b = v[i] > b ? v[i] : b;
    }
    *lo = a;
    *hi = b;
}

static inline double lane_float(uint64_t v, bool single)
{
    if (single) {
        float f;
        uint32_t u = (uint32_t)v;
        memcpy(&f, &u, 4);
        return f;
    }
    double d;
    memcpy(&d, &v, 8);
    return d;
}

uint32_t bounds_add_lanes(bounds *b, bound_kind kind, bool single, const uint64_t *lanes, size_t n)
{
    if (!n)
        return 0;
    if (kind == BOUND_INT) {
        if (!b->any)
            b->imin = b->imax = (int64_t)lanes[0];
        b->any = true;
        range_of((const int64_t *)lanes, n, &b->imin, &b->imax);
        return 0;
    }
    uint32_t nans = 0;
    double lo = b->any ? b->fmin : INFINITY, hi = b->any ? b->fmax : -INFINITY;
    for (size_t i = 0; i < n; i++) {
        double x = lane_float(lanes[i], single);
        nans += x != x;
        lo = x < lo ? x : lo;
        hi = x > hi ? x : hi;
    }
    if (nans < n) {
        b->fmin = lo;
        b->fmax = hi;
        b->any = true;
    }
    return nans;
}

static fz_status text_set(text_bound *t, const uint8_t *p, size_t n, mem *m, fz_error *err)
{
    if (!t->p && !(t->p = mem_alloc(m, BOUND_MAX)))
        return error_nomem(err);
    t->cut = n > BOUND_MAX;
    t->n = t->cut ? BOUND_MAX : (uint32_t)n;
    if (t->n)
        memcpy(t->p, p, t->n);
    return FZ_OK;
}

fz_status bounds_add_text(bounds *b, bound_kind kind, const uint8_t *lo, size_t lo_n, const uint8_t *hi,
                          size_t hi_n, mem *m, fz_error *err)
{
    if (!b->any || bytes_cmp(kind, lo, lo_n, b->tmin.p, b->tmin.n) < 0)
        TRY(text_set(&b->tmin, lo, lo_n, m, err));
    /* A cut maximum equals every value that starts with it. */
    if (!b->any || bytes_cmp(kind, hi, b->tmax.cut && hi_n > BOUND_MAX ? BOUND_MAX : hi_n, b->tmax.p, b->tmax.n) > 0)
        TRY(text_set(&b->tmax, hi, hi_n, m, err));
    b->any = true;
    return FZ_OK;
}

void bounds_clear(bounds *b) { b->any = false; }

void bounds_free(bounds *b, mem *m)
{
    mem_free(m, b->tmin.p, b->tmin.p ? BOUND_MAX : 0);
    mem_free(m, b->tmax.p, b->tmax.p ? BOUND_MAX : 0);
    *b = (bounds){0};
}

size_t text_cut(const uint8_t *p, size_t n, size_t max, bool utf8)
{
    if (n <= max)
        return n;
    if (!utf8)
        return max ? max : 1;
    size_t k = max;
    while (k > 0 && (p[k] & 0xc0) == 0x80)
        k--;
    if (k == 0)
        for (k = 1; k < n && (p[k] & 0xc0) == 0x80;)
            k++;
    return k;
}

/* The character in front of p[n]: its first byte. */
static size_t char_start(const uint8_t *p, size_t n)
{
    do
        n--;
    while (n > 0 && (p[n] & 0xc0) == 0x80);
    return n;
}

/* The next character of UTF-8 that ; 0 bytes: there is none. */
static size_t next_char(const uint8_t *p, size_t n, uint8_t out[4])
{
    uint32_t c = n == 1 ? p[0] : p[0] & (0xffu >> (n + 1));
    for (size_t i = 1; i < n; i++)
        c = c << 6 | (p[i] & 0x3f);
    c = c == 0xd7ff ? 0xe000 : c + 1;
    if (c > 0x10ffff)
        return 0;
    if (c < 0x80) {
        out[0] = (uint8_t)c;
        return 1;
    }
    size_t k = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (size_t i = k - 1; i > 0; i--, c >>= 6)
        out[i] = (uint8_t)(0x80 | (c & 0x3f));
    out[0] = (uint8_t)(c | (k == 2 ? 0xc0 : k == 3 ? 0xe0 : 0xf0));
    return k;
}

bool text_round_up(uint8_t *p, size_t *n, bool utf8)
{
    while (*n) {
        if (!utf8) {
            if (p[*n - 1] != 0xff) {
                p[*n - 1]++;
                return true;
            }
            --*n;
            continue;
        }
        uint8_t up[4];
        size_t at = char_start(p, *n), len = *n - at, k = len <= 4 ? next_char(p + at, len, up) : 0;
        if (k == len) { /* one that takes more bytes is left for a shorter prefix */
            memcpy(p + at, up, k);
            return true;
        }
        *n = at;
    }
    return false;
}
