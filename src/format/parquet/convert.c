/*
 * convert.c: values as the file has them to values as the engine has them.
 *
 * Sources are u8, int32_t, int64_t, float, double or strview, after the physical type; times and
 * timestamps become microseconds (nanoseconds are rounded down), decimals int64_t up to 18 digits and
 * int128 above, INT96 a timestamp. What doesn't fit is FZ_DATA.
 */
#include "format/parquet/read_int.h"

#define JULIAN_EPOCH 2440588 /* Julian day of 1970-01-01 */
#define DAY_US 86400000000ll

uint32_t source_size(pq_physical p)
{
    switch (p) {
    case PQ_BOOLEAN: return 1;
    case PQ_INT32:
    case PQ_FLOAT: return 4;
    case PQ_INT64:
    case PQ_DOUBLE: return 8;
    default: return sizeof(strview);
    }
}

static bool is_bytes(pq_physical p) { return p == PQ_BYTE_ARRAY || p == PQ_FIXED; }

/* The conversion to the leaf's own type. */
static pq_conv conv_own(const pq_leaf *l)
{
    const pq_schema_element *e = l->element;
    bool wide = type_phys(l->t) == PHYS_I128;
    bool millis = e->converted == PQ_CONV_TIME_MILLIS || e->converted == PQ_CONV_TIMESTAMP_MILLIS;
    bool nanos = false;
    if (e->logical == PQ_LOG_TIME || e->logical == PQ_LOG_TIMESTAMP) {
        millis = e->unit == 0;
        nanos = e->unit == 2;
    }
    switch (e->type) {
    case PQ_INT32:
        if (l->t.id == T_TIME)
            return CONV_I32_MILLIS;
        if (l->t.id == T_INT64)
            return CONV_U32_I64;
        if (l->t.id == T_DECIMAL)
            return wide ? CONV_I32_I128 : CONV_I32_I64;
        return CONV_COPY;
    case PQ_INT64:
        if (l->t.id == T_DECIMAL && (e->logical == PQ_LOG_INTEGER || e->converted == PQ_CONV_UINT_64))
            return CONV_U64_I128;
        if (l->t.id == T_DECIMAL)
            return wide ? CONV_I64_I128 : CONV_COPY;
        if (l->t.id == T_INT64)
            return CONV_COPY;
        return millis ? CONV_MILLIS : nanos ? CONV_NANOS : CONV_COPY;
    case PQ_INT96: return CONV_INT96;
    case PQ_BYTE_ARRAY:
    case PQ_FIXED:
        if (l->t.id == T_FLOAT32)
            return CONV_F16_F32;
        if (l->t.id == T_DECIMAL)
            return wide ? CONV_BYTES_I128 : CONV_BYTES_I64;
        return CONV_COPY;
    default: return CONV_COPY;
    }
}

fz_status conv_find(const pq_leaf *l, type as, pq_conv *out, fz_error *err)
{
    pq_conv c = conv_own(l);
    *out = c;
    if (type_eq(as, l->t))
        return FZ_OK;
    if (l->t.id == T_INT32 && as.id == T_INT64) {
        *out = CONV_I32_I64;
        return FZ_OK;
    }
    if (l->t.id == T_FLOAT32 && as.id == T_FLOAT64) {
        *out = c == CONV_F16_F32 ? CONV_F16_F64 : CONV_F32_F64;
        return FZ_OK;
    }
    if (l->t.id == T_DECIMAL && as.id == T_DECIMAL && as.scale == l->t.scale && as.precision >= l->t.precision) {
        if (type_phys(as) == PHYS_I128)
            *out = c == CONV_I32_I64     ? CONV_I32_I128
                   : c == CONV_COPY      ? CONV_I64_I128
                   : c == CONV_BYTES_I64 ? CONV_BYTES_I128
                                         : c;
        return FZ_OK;
    }
    /* The same bytes under another name: columns without an annotation, and INT96, which has none. */
    if (is_bytes(l->element->type) && (l->t.id == T_BINARY || l->t.id == T_STRING) &&
        (as.id == T_BINARY || as.id == T_STRING))
        return FZ_OK;
    if (l->element->type == PQ_FIXED && l->t.id == T_FIXED && l->t.width == 16 && as.id == T_UUID)
        return FZ_OK;
    if (l->t.id == T_FIXED && as.id == T_BINARY)
        return FZ_OK;
    if (l->element->type == PQ_INT96 && as.id == T_TIMESTAMPTZ)
        return FZ_OK;
    sbuf have, want;
    sbuf_init(&have, NULL);
    sbuf_init(&want, NULL);
    type_sql_name(l->t, &have);
    type_sql_name(as, &want);
    error_set(err, FZ_INVALID, "Parquet column \"" STR_FMT "\" of type %s can't be read as %s",
              STR_ARG(l->element->name), have.p ? have.p : "?", want.p ? want.p : "?");
    sbuf_free(&have);
    sbuf_free(&want);
    return FZ_INVALID;
}

static fz_status millis_convert(const int64_t *src, int64_t *dst, size_t n, fz_error *err)
{
    bool bad = false;
    for (size_t i = 0; i < n; i++)
        bad |= __builtin_mul_overflow(src[i], 1000, &dst[i]);
    return bad ? error_set(err, FZ_DATA, "Parquet timestamp is out of range") : FZ_OK;
}

static void nanos_convert(const int64_t *src, int64_t *dst, size_t n)
{
    for (size_t i = 0; i < n; i++)
        dst[i] = src[i] / 1000 - (src[i] % 1000 < 0);
}

/* Big-endian two's complement of any length. */
static bool bytes_to_i128(const strview *v, i128 *out)
{
    const uint8_t *p = (const uint8_t *)strview_ptr(v);
    uint32_t n = v->len;
    u128 x = n && p[0] & 0x80 ? ~(u128)0 : 0;
    uint8_t sign = (uint8_t)x;
    for (; n > 16; n--, p++)
        if (*p != sign || (n == 17 && ((p[1] ^ sign) & 0x80)))
            return false;
    for (uint32_t i = 0; i < n; i++)
        x = x << 8 | p[i];
    *out = (i128)x;
    return true;
}

static fz_status bytes_convert(const strview *src, void *dst, size_t n, bool wide, fz_error *err)
{
    bool ok = true;
    for (size_t i = 0; i < n; i++) {
        i128 x = 0;
        ok &= bytes_to_i128(&src[i], &x);
        if (wide) {
            ((i128 *)dst)[i] = x;
        } else {
            ((int64_t *)dst)[i] = (int64_t)x;
            ok &= (int64_t)x == x;
        }
    }
    return ok ? FZ_OK : error_set(err, FZ_DATA, "Parquet decimal has more digits than its type");
}

/* Spark adds the Julian epoch to its microseconds, modulo 2^64, before it splits them: the last 6,700 years of 64
 * bits come out as days long before them, and are brought back here. */
static fz_status int96_convert(const strview *src, int64_t *dst, size_t n, fz_error *err)
{
    bool bad = false;
    for (size_t i = 0; i < n; i++) {
        int64_t nanos;
        int32_t day;
        memcpy(&nanos, src[i].inl, 8); /* 12 bytes: always inline */
        memcpy(&day, src[i].inl + 8, 4);
        i128 us = (i128)((int64_t)day - JULIAN_EPOCH) * DAY_US + nanos / 1000 - (nanos % 1000 < 0);
        if (us < INT64_MIN && us >= (i128)INT64_MIN - (i128)JULIAN_EPOCH * DAY_US)
            us += (i128)1 << 64;
        dst[i] = (int64_t)us;
        bad |= dst[i] != us;
    }
    return bad ? error_set(err, FZ_DATA, "Parquet INT96 timestamp is out of range") : FZ_OK;
}

/* A half's bits as a float, exactly. */
static float half_float(const strview *v)
{
    uint16_t h = (uint16_t)((uint8_t)v->inl[0] | (uint8_t)v->inl[1] << 8);
    uint32_t sign = (uint32_t)(h & 0x8000) << 16, exponent = h >> 10 & 31, fraction = h & 1023, bits;
    float f;
    if (exponent == 0) { /* zero and subnormals: fraction * 2^-24 */
        f = (float)fraction * 0x1p-24f;
        return sign ? -f : f;
    }
    bits = sign | (exponent == 31 ? 0x7f800000u : (exponent + 112) << 23) | fraction << 13;
    memcpy(&f, &bits, 4);
    return f;
}

#define WIDEN(S, D)                           \
    for (size_t i = 0; i < n; i++)            \
        ((D *)dst)[i] = (D)((const S *)src)[i]

fz_status conv_run(pq_conv c, const void *src, void *dst, size_t n, fz_error *err)
{
    switch (c) {
    case CONV_I32_I64: WIDEN(int32_t, int64_t); break;
    case CONV_U32_I64: WIDEN(uint32_t, int64_t); break;
    case CONV_U64_I128: WIDEN(uint64_t, i128); break;
    case CONV_I32_I128: WIDEN(int32_t, i128); break;
    case CONV_I64_I128: WIDEN(int64_t, i128); break;
    case CONV_F32_F64: WIDEN(float, double); break;
    case CONV_F16_F32:
        for (size_t i = 0; i < n; i++)
            ((float *)dst)[i] = half_float(&((const strview *)src)[i]);
        break;
    case CONV_F16_F64:
        for (size_t i = 0; i < n; i++)
            ((double *)dst)[i] = half_float(&((const strview *)src)[i]);
        break;
    case CONV_I32_MILLIS:
        for (size_t i = 0; i < n; i++)
            ((int64_t *)dst)[i] = (int64_t)((const int32_t *)src)[i] * 1000;
        break;
    case CONV_MILLIS: return millis_convert(src, dst, n, err);
    case CONV_NANOS: nanos_convert(src, dst, n); break;
    case CONV_BYTES_I64: return bytes_convert(src, dst, n, false, err);
    case CONV_BYTES_I128: return bytes_convert(src, dst, n, true, err);
    case CONV_INT96: return int96_convert(src, dst, n, err);
    case CONV_COPY: return error_set(err, FZ_INTERNAL, "conversion of a Parquet column that needs none");
    }
    return FZ_OK;
}

fz_status decimal_check(type t, const void *values, size_t n, fz_error *err)
{
    i128 limit = 1;
    for (unsigned i = 0; i < t.precision; i++)
        limit *= 10;
    bool bad = false;
    if (type_phys(t) == PHYS_I128) {
        const i128 *v = values;
        for (size_t i = 0; i < n; i++)
            bad |= v[i] >= limit || v[i] <= -limit;
    } else {
        const int64_t *v = values;
        int64_t l = (int64_t)limit;
        for (size_t i = 0; i < n; i++)
            bad |= (v[i] >= l) | (v[i] <= -l);
    }
    return bad ? error_set(err, FZ_DATA, "Parquet decimal has more digits than its type") : FZ_OK;
}
