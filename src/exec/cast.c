/*
 * cast.c: conversions between types.
 *
 *   text → x        as arrow/convert.h reads it, strictly: 22P02 (or 22007/22008 for dates) otherwise
 *   x → text        datum_text
 *   float → integer, decimal → integer, decimal → smaller scale: rounded half away from zero (floats:
 *                   half to even, as PostgreSQL's rint); 22003 past the range, also for NaN
 *   integer → bool  0 is false; bool → integer 0 and 1
 *   timestamp[tz] → date cuts (UTC); date → timestamp is midnight; timestamp ↔ timestamptz in UTC
 *   uuid, binary, fixed ↔ text in their text forms
 *
 *   nested types    member by member: cast_nested.c
 *
 * TRY_CAST gives null where CAST fails.
 */
#include "arrow/civil.h"
#include "arrow/convert.h"
#include "exec/func_int.h"

#include <math.h>

static fz_status cast_fail(kcall *c, uint32_t row, fz_error *err)
{
    if (c->try_)
        return kcall_null(c, row) ? FZ_OK : error_nomem(err);
    return kernel_overflow(c, err);
}

/* ---- number to number ---- */

#define CAST_PLAIN(NAME, FROM, TO, EXPR)                                                           \
    static HOT void NAME##_loop(const FROM *a, TO *o, uint32_t n)                                  \
    {                                                                                              \
        for (uint32_t i = 0; i < n; i++) {                                                         \
            FROM x = a[i];                                                                         \
            o[i] = (TO)(EXPR);                                                                     \
        }                                                                                          \
    }                                                                                              \
    static fz_status NAME(kcall *c, fz_error *err)                                                 \
    {                                                                                              \
        const FROM *a = c->args[0].data;                                                           \
        TO *o = c->out->data;                                                                      \
        uint32_t s = ARG_STRIDE(&c->args[0]);                                                      \
        if (!c->rows && s)                                                                         \
            NAME##_loop(a, o, c->n);                                                               \
        else                                                                                       \
            EACH_ROW(c, i)                                                                         \
            {                                                                                      \
                FROM x = a[i * s];                                                                 \
                o[i] = (TO)(EXPR);                                                                 \
            }                                                                                      \
        return FZ_OK;                                                                              \
    }
/* OK: a condition on x. */
#define CAST_CHECKED(NAME, FROM, TO, OK, EXPR)                                                     \
    static fz_status NAME(kcall *c, fz_error *err)                                                 \
    {                                                                                              \
        const FROM *a = c->args[0].data;                                                           \
        TO *o = c->out->data;                                                                      \
        uint32_t s = ARG_STRIDE(&c->args[0]);                                                      \
        EACH_ROW(c, i)                                                                             \
        {                                                                                          \
            FROM x = a[i * s];                                                                     \
            if (OK)                                                                                \
                o[i] = (TO)(EXPR);                                                                 \
            else {                                                                                 \
                o[i] = 0;                                                                          \
                TRY(cast_fail(c, i, err));                                                         \
            }                                                                                      \
        }                                                                                          \
        return FZ_OK;                                                                              \
    }
CAST_PLAIN(i32_i64, int32_t, int64_t, x)
CAST_PLAIN(i32_f32, int32_t, float, x)
CAST_PLAIN(i32_f64, int32_t, double, x)
CAST_PLAIN(i64_f32, int64_t, float, x)
CAST_PLAIN(i64_f64, int64_t, double, x)
CAST_PLAIN(f32_f64, float, double, x)
CAST_PLAIN(bool_i32, uint8_t, int32_t, x)
CAST_PLAIN(bool_i64, uint8_t, int64_t, x)
CAST_PLAIN(i32_bool, int32_t, uint8_t, x != 0)
CAST_PLAIN(i64_bool, int64_t, uint8_t, x != 0)
CAST_PLAIN(date_ts, int32_t, int64_t, x *MICROS_PER_DAY)
CAST_PLAIN(ts_date, int64_t, int32_t, civil_floor_div(x, MICROS_PER_DAY))
CAST_PLAIN(ts_time, int64_t, int64_t, x - civil_floor_div(x, MICROS_PER_DAY) * MICROS_PER_DAY)
CAST_PLAIN(same_i32, int32_t, int32_t, x)
CAST_PLAIN(same_i64, int64_t, int64_t, x)
CAST_CHECKED(i64_i32, int64_t, int32_t, x == (int32_t)x, x)
CAST_CHECKED(f32_i32, float, int32_t, rint(x) >= -0x1p31 && rint(x) < 0x1p31, rint(x))
CAST_CHECKED(f64_i32, double, int32_t, rint(x) >= -0x1p31 && rint(x) < 0x1p31, rint(x))
CAST_CHECKED(f32_i64, float, int64_t, rint(x) >= -0x1p63 && rint(x) < 0x1p63, rint(x))
CAST_CHECKED(f64_i64, double, int64_t, rint(x) >= -0x1p63 && rint(x) < 0x1p63, rint(x))
CAST_CHECKED(f64_f32, double, float, isinf(x) || x != x || !isinf((float)x), x)

static fz_status same_str(kcall *c, fz_error *err)
{
    const strview *a = c->args[0].data;
    strview *o = c->out->data;
    uint32_t s = ARG_STRIDE(&c->args[0]);
    EACH_ROW(c, i) o[i] = a[i * s];
    return FZ_OK;
}
static fz_status same_bool(kcall *c, fz_error *err)
{
    const uint8_t *a = c->args[0].data;
    uint8_t *o = c->out->data;
    uint32_t s = ARG_STRIDE(&c->args[0]);
    EACH_ROW(c, i) o[i] = a[i * s];
    return FZ_OK;
}

/* ---- decimals ---- */

static fz_status decimal_put(kcall *c, uint32_t i, i128 v, bool ok, fz_error *err)
{
    unsigned p = c->out->t.precision;
    ok = ok && i128_fits(v, p);
    if (p <= 18)
        ((int64_t *)c->out->data)[i] = ok ? (int64_t)v : 0;
    else
        ((i128 *)c->out->data)[i] = ok ? v : 0;
    return ok ? FZ_OK : cast_fail(c, i, err);
}

static fz_status int_dec(kcall *c, fz_error *err)
{
    const vec *a = &c->args[0];
    bool wide = a->t.id == T_INT64;
    uint32_t s = ARG_STRIDE(a);
    EACH_ROW(c, i)
    {
        i128 v, x = wide ? ((const int64_t *)a->data)[i * s] : ((const int32_t *)a->data)[i * s];
        bool ok = !__builtin_mul_overflow(x, pow10_i128[c->out->t.scale], &v);
        TRY(decimal_put(c, i, v, ok, err));
    }
    return FZ_OK;
}
static fz_status dec_dec(kcall *c, fz_error *err)
{
    const vec *a = &c->args[0];
    int up = (int)c->out->t.scale - a->t.scale;
    EACH_ROW(c, i)
    {
        i128 v = decimal_at(a, i);
        bool ok = true;
        if (up >= 0)
            ok = !__builtin_mul_overflow(v, pow10_i128[up], &v);
        else
            v = i128_scale_down(v, (unsigned)-up);
        TRY(decimal_put(c, i, v, ok, err));
    }
    return FZ_OK;
}
static fz_status dec_int(kcall *c, fz_error *err)
{
    const vec *a = &c->args[0];
    bool wide = c->out->t.id == T_INT64;
    EACH_ROW(c, i)
    {
        i128 v = i128_scale_down(decimal_at(a, i), a->t.scale);
        bool ok = wide ? v == (int64_t)v : v == (int32_t)v;
        if (wide)
            ((int64_t *)c->out->data)[i] = ok ? (int64_t)v : 0;
        else
            ((int32_t *)c->out->data)[i] = ok ? (int32_t)v : 0;
        if (!ok)
            TRY(cast_fail(c, i, err));
    }
    return FZ_OK;
}

/* 10^n exactly where a double can; past 22 the text is the way that rounds once. */
static double dec_to_f64(i128 v, unsigned scale)
{
    if (v >= -(1ll << 53) && v <= 1ll << 53 && scale <= 22) {
        double d = 1;
        for (unsigned i = 0; i < scale; i++)
            d *= 10;
        return (double)(int64_t)v / d;
    }
    datum d = {.t = TYPE_DECIMAL(38, scale), .i128v = v};
    sbuf b;
    sbuf_init(&b, NULL);
    datum_text(&d, &b);
    double out = 0;
    if (b.failed || text_to_f64(b.p, b.n, &out) != CONV_OK)
        out = (double)v / pow(10, scale);
    sbuf_free(&b);
    return out;
}
static fz_status dec_float(kcall *c, fz_error *err)
{
    const vec *a = &c->args[0];
    EACH_ROW(c, i)
    {
        double d = dec_to_f64(decimal_at(a, i), a->t.scale);
        if (c->out->t.id == T_FLOAT32)
            ((float *)c->out->data)[i] = (float)d;
        else
            ((double *)c->out->data)[i] = d;
    }
    return FZ_OK;
}
/* Through the shortest text of the number, so that 0.1 becomes 0.1 at any scale. */
static fz_status float_dec(kcall *c, fz_error *err)
{
    const vec *a = &c->args[0];
    type t = c->out->t;
    uint32_t s = ARG_STRIDE(a);
    fz_status st = FZ_OK;
    sbuf b;
    sbuf_init(&b, NULL);
    EACH_ROW(c, i)
    {
        datum d = {.t = a->t};
        if (a->t.id == T_FLOAT32)
            d.f32 = ((const float *)a->data)[i * s];
        else
            d.f64 = ((const double *)a->data)[i * s];
        sbuf_clear(&b);
        datum_text(&d, &b);
        i128 v = 0;
        conv r = b.failed ? CONV_BAD : text_to_decimal(b.p, b.n, t.precision, t.scale, &v);
        TRY_GOTO(decimal_put(c, i, v, r == CONV_OK || r == CONV_INEXACT, err));
    }
out:
    sbuf_free(&b);
    return st;
}

/* ---- text ---- */

static fz_status view_from(kcall *c, uint32_t row, const char *p, size_t n, fz_error *err)
{
    strview *o = (strview *)c->out->data + row;
    if (n > 12) {
        char *copy = arena_alloc(c->a, n);
        if (!copy)
            return error_nomem(err);
        memcpy(copy, p, n);
        p = copy;
    }
    *o = strview_make(p, (uint32_t)n);
    return FZ_OK;
}

static fz_status x_text(kcall *c, fz_error *err)
{
    const vec *a = &c->args[0];
    fz_status st = FZ_OK;
    sbuf b;
    sbuf_init(&b, NULL);
    EACH_ROW(c, i)
    {
        datum d = vec_datum(a, i);
        sbuf_clear(&b);
        datum_text(&d, &b);
        if (b.failed)
            TRY_GOTO(error_nomem(err));
        TRY_GOTO(view_from(c, i, b.p ? b.p : "", b.n, err));
    }
out:
    sbuf_free(&b);
    return st;
}

static void store_datum(vec *out, uint32_t i, const datum *d)
{
    switch (type_phys(out->t)) {
    case PHYS_U8: ((uint8_t *)out->data)[i] = d->b; break;
    case PHYS_I32: ((int32_t *)out->data)[i] = d->i32; break;
    case PHYS_I64: ((int64_t *)out->data)[i] = d->i64; break;
    case PHYS_I128: ((i128 *)out->data)[i] = d->i128v; break;
    case PHYS_F32: ((float *)out->data)[i] = d->f32; break;
    case PHYS_F64: ((double *)out->data)[i] = d->f64; break;
    case PHYS_STR: ((strview *)out->data)[i] = strview_make(d->s.p, (uint32_t)d->s.n); break;
    default: break;
    }
}
static fz_status text_x(kcall *c, fz_error *err)
{
    const strview *a = c->args[0].data;
    uint32_t s = ARG_STRIDE(&c->args[0]);
    uint32_t size = phys_size(type_phys(c->out->t));
    EACH_ROW(c, i)
    {
        datum d;
        fz_status st = text_to_datum(strview_str(&a[i * s]), c->out->t, c->a, &d, c->try_ ? NULL : err);
        if (st == FZ_OK) {
            store_datum(c->out, i, &d);
            continue;
        }
        if (!c->try_ || st != FZ_VALUE) {
            error_line(err, c->e->line, c->e->column);
            return st;
        }
        memset((char *)c->out->data + (size_t)i * size, 0, size);
        if (!kcall_null(c, i))
            return error_nomem(err);
    }
    return FZ_OK;
}

/* Bytes of another length than a fixed type's don't fit. */
static fz_status bytes_fixed(kcall *c, fz_error *err)
{
    const strview *a = c->args[0].data;
    strview *o = c->out->data;
    uint32_t s = ARG_STRIDE(&c->args[0]), want = c->out->t.id == T_UUID ? 16 : c->out->t.width;
    EACH_ROW(c, i)
    {
        o[i] = a[i * s];
        if (o[i].len == want)
            continue;
        if (!c->try_)
            return kernel_error(c, err, "22000", "a value of %u bytes isn't one of %u bytes", o[i].len, want);
        o[i] = (strview){0};
        if (!kcall_null(c, i))
            return error_nomem(err);
    }
    return FZ_OK;
}

/* ---- which ---- */

static kernel_fn *from_int32(uint8_t to)
{
    switch (to) {
    case T_BOOL: return i32_bool;
    case T_INT32: return same_i32;
    case T_INT64: return i32_i64;
    case T_FLOAT32: return i32_f32;
    case T_FLOAT64: return i32_f64;
    case T_DECIMAL: return int_dec;
    default: return NULL;
    }
}
static kernel_fn *from_int64(uint8_t to)
{
    switch (to) {
    case T_BOOL: return i64_bool;
    case T_INT32: return i64_i32;
    case T_INT64: return same_i64;
    case T_FLOAT32: return i64_f32;
    case T_FLOAT64: return i64_f64;
    case T_DECIMAL: return int_dec;
    default: return NULL;
    }
}
static fz_status f32_same(kcall *c, fz_error *err)
{
    return same_i32(c, err); /* the same bits */
}
static fz_status f64_same(kcall *c, fz_error *err)
{
    return same_i64(c, err);
}
static kernel_fn *from_float(bool wide, uint8_t to)
{
    switch (to) {
    case T_INT32: return wide ? f64_i32 : f32_i32;
    case T_INT64: return wide ? f64_i64 : f32_i64;
    case T_FLOAT32: return wide ? f64_f32 : f32_same;
    case T_FLOAT64: return wide ? f64_same : f32_f64;
    case T_DECIMAL: return float_dec;
    default: return NULL;
    }
}

kernel_fn *cast_kernel(type from, type to)
{
    if (type_is_nested(to))
        return cast_nested_exists(from, to) ? cast_nested : NULL;
    if (to.id == T_NULL || to.id >= T_STRUCT)
        return NULL;
    bool same = from.id == to.id;
    if (to.id == T_STRING && from.id != T_STRING)
        return x_text;
    switch (from.id) {
    case T_BOOL: return same ? same_bool : to.id == T_INT32 ? bool_i32 : to.id == T_INT64 ? bool_i64 : NULL;
    case T_INT32: return from_int32(to.id);
    case T_INT64: return from_int64(to.id);
    case T_FLOAT32: return from_float(false, to.id);
    case T_FLOAT64: return from_float(true, to.id);
    case T_DECIMAL:
        return same ? dec_dec : type_is_integer(to) ? dec_int
             : to.id == T_FLOAT32 || to.id == T_FLOAT64 ? dec_float : NULL;
    case T_DATE: return same ? same_i32 : to.id == T_TIMESTAMP || to.id == T_TIMESTAMPTZ ? date_ts : NULL;
    case T_TIME: return same ? same_i64 : NULL;
    case T_TIMESTAMP:
    case T_TIMESTAMPTZ:
        return to.id == T_TIMESTAMP || to.id == T_TIMESTAMPTZ ? same_i64 : to.id == T_DATE ? ts_date
             : to.id == T_TIME ? ts_time : NULL;
    case T_STRING: return same ? same_str : text_x;
    case T_BINARY:
    case T_FIXED:
    case T_UUID:
        return to.id == T_BINARY ? same_str : to.id == T_FIXED || to.id == T_UUID ? bytes_fixed : NULL;
    default: return NULL;
    }
}

bool cast_dense(type from, type to)
{
    kernel_fn *k = cast_kernel(from, to);
    return k == i32_i64 || k == i32_f32 || k == i32_f64 || k == i64_f32 || k == i64_f64 || k == f32_f64 ||
           k == bool_i32 || k == bool_i64 || k == i32_bool || k == i64_bool || k == date_ts || k == ts_date ||
           k == ts_time || k == same_i32 || k == same_i64 || k == f32_same || k == f64_same;
}

bool cast_fallible(type from, type to)
{
    kernel_fn *k = cast_kernel(from, to);
    if (cast_dense(from, to) || k == same_bool || k == same_str || k == x_text || k == dec_float)
        return false;
    /* More digits before the point and behind it never fail. */
    if (k == dec_dec)
        return to.scale < from.scale || to.precision - to.scale < from.precision - from.scale;
    return true;
}

bool cast_exists(type from, type to)
{
    return from.id == T_NULL || (from.id == to.id && type_eq(from, to)) || cast_kernel(from, to) != NULL;
}

bool cast_implicit(type from, type to)
{
    if (from.id == T_NULL || type_eq(from, to))
        return true;
    switch (from.id) {
    case T_INT32:
        return to.id == T_INT64 || to.id == T_FLOAT32 || to.id == T_FLOAT64 ||
               (to.id == T_DECIMAL && to.precision - to.scale >= 10);
    case T_INT64:
        return to.id == T_FLOAT32 || to.id == T_FLOAT64 || (to.id == T_DECIMAL && to.precision - to.scale >= 19);
    case T_FLOAT32: return to.id == T_FLOAT64;
    case T_DECIMAL:
        return to.id == T_FLOAT64 || to.id == T_FLOAT32 ||
               (to.id == T_DECIMAL && to.scale >= from.scale && to.precision - to.scale >= from.precision - from.scale);
    case T_DATE: return to.id == T_TIMESTAMP || to.id == T_TIMESTAMPTZ;
    case T_TIMESTAMP: return to.id == T_TIMESTAMPTZ;
    case T_FIXED:
    case T_UUID: return to.id == T_BINARY;
    case T_STRUCT:
    case T_LIST:
    case T_MAP: return cast_nested_implicit(from, to);
    default: return false;
    }
}

static unsigned most(unsigned a, unsigned b) { return a > b ? a : b; }

bool type_common(type a, type b, type *out)
{
    if (a.id == T_NULL || type_eq(a, b)) {
        *out = b;
        return true;
    }
    if (b.id == T_NULL) {
        *out = a;
        return true;
    }
    if (type_is_numeric(a) && type_is_numeric(b)) {
        bool fa = a.id == T_FLOAT32 || a.id == T_FLOAT64, fb = b.id == T_FLOAT32 || b.id == T_FLOAT64;
        if (fa || fb) {
            *out = TYPE(a.id == T_FLOAT32 && b.id == T_FLOAT32 ? T_FLOAT32 : T_FLOAT64);
        } else if (a.id == T_DECIMAL || b.id == T_DECIMAL) {
            type x = a.id == T_DECIMAL ? a : TYPE_DECIMAL(a.id == T_INT32 ? 10 : 19, 0);
            type y = b.id == T_DECIMAL ? b : TYPE_DECIMAL(b.id == T_INT32 ? 10 : 19, 0);
            unsigned s = most(x.scale, y.scale), p = s + most(x.precision - x.scale, y.precision - y.scale);
            *out = TYPE_DECIMAL(p > 38 ? 38 : p, s);
        } else {
            *out = TYPE(T_INT64);
        }
        return true;
    }
    if (cast_implicit(a, b)) {
        *out = b;
        return true;
    }
    if (cast_implicit(b, a)) {
        *out = a;
        return true;
    }
    if ((a.id == T_FIXED || a.id == T_UUID) && (b.id == T_FIXED || b.id == T_UUID)) {
        *out = TYPE(T_BINARY);
        return true;
    }
    return false;
}
