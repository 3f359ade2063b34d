/*
 * bound.c: the single-value binary serialisation (spec, "Appendix D").
 *
 *   boolean 1 byte · int, date 4 · long, time, timestamp 8 · float 4 · double 8, all little-endian
 *   decimal: the unscaled value, big-endian two's complement, no more bytes than it needs
 *   string UTF-8 · uuid 16 bytes · fixed, binary: the bytes
 *
 * A column whose type was promoted keeps bounds of the type before: 4 bytes of a long are an
 * int, 4 bytes of a double a float.
 */
#include "iceberg/manifest/manifest.h"

static uint64_t little(const char *p, size_t n)
{
    uint64_t v = 0;
    for (size_t i = n; i-- > 0;)
        v = v << 8 | (uint8_t)p[i];
    return v;
}

static fz_status wrong_size(type t, str bytes, fz_error *err)
{
    return error_set(err, FZ_DATA, "a bound of %zu bytes doesn't fit its column's type (%d)", bytes.n, t.id);
}

static fz_status decode_decimal(type t, str bytes, datum *out, fz_error *err)
{
    if (bytes.n == 0 || bytes.n > 16)
        return wrong_size(t, bytes, err);
    u128 v = (int8_t)bytes.p[0] < 0 ? ~(u128)0 : 0;
    for (size_t i = 0; i < bytes.n; i++)
        v = v << 8 | (uint8_t)bytes.p[i];
    if (type_phys(t) == PHYS_I128) {
        out->i128v = (i128)v;
    } else {
        if ((i128)v != (int64_t)v)
            return wrong_size(t, bytes, err);
        out->i64 = (int64_t)v;
    }
    return FZ_OK;
}

fz_status ib_bound_decode(type t, str bytes, datum *out, fz_error *err)
{
    *out = (datum){.t = t};
    if (t.id == T_DECIMAL)
        return decode_decimal(t, bytes, out, err);
    switch (type_phys(t)) {
    case PHYS_U8:
        if (bytes.n != 1)
            return wrong_size(t, bytes, err);
        out->b = bytes.p[0] != 0;
        return FZ_OK;
    case PHYS_I32:
        if (bytes.n != 4)
            return wrong_size(t, bytes, err);
        out->i32 = (int32_t)little(bytes.p, 4);
        return FZ_OK;
    case PHYS_I64:
        if (bytes.n == 4 && t.id == T_INT64)
            out->i64 = (int32_t)little(bytes.p, 4);
        else if (bytes.n == 8)
            out->i64 = (int64_t)little(bytes.p, 8);
        else
            return wrong_size(t, bytes, err);
        return FZ_OK;
    case PHYS_F32:
    case PHYS_F64: {
        float f = 0;
        double d = 0;
        uint64_t u = little(bytes.p, bytes.n < 8 ? bytes.n : 8);
        uint32_t u4 = (uint32_t)u;
        if (bytes.n == 4)
            memcpy(&f, &u4, 4);
        else if (bytes.n == 8 && t.id == T_FLOAT64)
            memcpy(&d, &u, 8);
        else
            return wrong_size(t, bytes, err);
        if (t.id == T_FLOAT32)
            out->f32 = f;
        else
            out->f64 = bytes.n == 4 ? (double)f : d;
        return FZ_OK;
    }
    case PHYS_STR:
        if ((t.id == T_UUID && bytes.n != 16) || (t.id == T_FIXED && bytes.n != t.width))
            return wrong_size(t, bytes, err);
        out->s = bytes;
        return FZ_OK;
    default:
        return error_set(err, FZ_UNSUPPORTED, "bounds of nested columns are not supported");
    }
}

static str put_little(char *p, uint64_t v, size_t n)
{
    for (size_t i = 0; i < n; i++)
        p[i] = (char)(v >> 8 * i);
    return (str){p, n};
}

static str put_decimal(char *p, i128 v)
{
    size_t n = 16;
    for (size_t i = 0; i < 16; i++)
        p[i] = (char)((u128)v >> 8 * (15 - i));
    while (n > 1 && ((p[16 - n] == 0 && p[17 - n] >= 0) || (p[16 - n] == -1 && p[17 - n] < 0)))
        n--;
    return (str){p + 16 - n, n};
}

fz_status ib_bound_encode(const datum *d, arena *a, str *out, fz_error *err)
{
    char *p = arena_alloc(a, 16);
    if (!p)
        return error_nomem(err);
    if (d->t.id == T_DECIMAL) {
        *out = put_decimal(p, type_phys(d->t) == PHYS_I128 ? d->i128v : d->i64);
        return FZ_OK;
    }
    uint64_t u = 0;
    uint32_t u4 = 0;
    switch (type_phys(d->t)) {
    case PHYS_U8:
        *out = put_little(p, d->b, 1);
        return FZ_OK;
    case PHYS_I32:
        *out = put_little(p, (uint32_t)d->i32, 4);
        return FZ_OK;
    case PHYS_I64:
        *out = put_little(p, (uint64_t)d->i64, 8);
        return FZ_OK;
    case PHYS_F32:
        memcpy(&u4, &d->f32, 4);
        *out = put_little(p, u4, 4);
        return FZ_OK;
    case PHYS_F64:
        memcpy(&u, &d->f64, 8);
        *out = put_little(p, u, 8);
        return FZ_OK;
    case PHYS_STR: {
        char *s = arena_strndup(a, d->s.p, d->s.n);
        if (!s)
            return error_nomem(err);
        *out = (str){s, d->s.n};
        return FZ_OK;
    }
    default:
        return error_set(err, FZ_UNSUPPORTED, "bounds of nested columns are not supported");
    }
}
