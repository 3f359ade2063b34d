/*
 * type.c: see type.h. Names, layouts, and single values. Nested types recurse, bounded by
 * TYPE_DEPTH_MAX, which everything that builds types keeps.
 */
#include "arrow/type.h"

#include "arrow/civil.h"
#include "arrow/nested_int.h"
#include "base/numtext.h"

#include <math.h>

static const struct {
    const char *name; /* without parameters */
    phys p;
} type_table[T_COUNT_] = {
    [T_NULL] = {"unknown", PHYS_NONE},
    [T_BOOL] = {"boolean", PHYS_U8},
    [T_INT32] = {"integer", PHYS_I32},
    [T_INT64] = {"bigint", PHYS_I64},
    [T_FLOAT32] = {"real", PHYS_F32},
    [T_FLOAT64] = {"double precision", PHYS_F64},
    [T_DECIMAL] = {"decimal", PHYS_I64}, /* I128 from 19 digits on */
    [T_DATE] = {"date", PHYS_I32},
    [T_TIME] = {"time", PHYS_I64},
    [T_TIMESTAMP] = {"timestamp", PHYS_I64},
    [T_TIMESTAMPTZ] = {"timestamp with time zone", PHYS_I64},
    [T_STRING] = {"text", PHYS_STR},
    [T_BINARY] = {"bytea", PHYS_STR},
    [T_UUID] = {"uuid", PHYS_STR},
    [T_FIXED] = {"fixed", PHYS_STR},
    [T_STRUCT] = {"struct", PHYS_NESTED},
    [T_LIST] = {"list", PHYS_NESTED},
    [T_MAP] = {"map", PHYS_NESTED},
};

phys type_phys(type t)
{
    if (t.id == T_DECIMAL)
        return t.precision <= 18 ? PHYS_I64 : PHYS_I128;
    return t.id < T_COUNT_ ? type_table[t.id].p : PHYS_NONE;
}

uint32_t phys_size(phys p)
{
    static const uint8_t sizes[] = {[PHYS_NONE] = 0, [PHYS_U8] = 1,   [PHYS_I32] = 4, [PHYS_I64] = 8,
                                    [PHYS_I128] = 16, [PHYS_F32] = 4, [PHYS_F64] = 8, [PHYS_STR] = 16};
    return (unsigned)p < sizeof sizes ? sizes[p] : 0;
}

bool type_is_nested(type t) { return t.id == T_STRUCT || t.id == T_LIST || t.id == T_MAP; }
bool type_is_integer(type t) { return t.id == T_INT32 || t.id == T_INT64; }
bool type_is_numeric(type t)
{
    return type_is_integer(t) || t.id == T_FLOAT32 || t.id == T_FLOAT64 || t.id == T_DECIMAL;
}

bool type_eq(type a, type b)
{
    if (a.id != b.id)
        return false;
    if (a.id == T_DECIMAL)
        return a.precision == b.precision && a.scale == b.scale;
    if (a.id == T_FIXED)
        return a.width == b.width;
    if (!type_is_nested(a) || a.children == b.children)
        return true;
    if (!a.children || !b.children || a.children->n != b.children->n)
        return false;
    for (uint32_t i = 0; i < a.children->n; i++) {
        const type_field *x = &a.children->f[i], *y = &b.children->f[i];
        if (!str_eq(x->name, y->name) || x->field_id != y->field_id || x->required != y->required ||
            !type_eq(x->t, y->t))
            return false;
    }
    return true;
}

bool type_copy(type t, arena *a, type *out)
{
    *out = t;
    if (!type_is_nested(t) || !t.children)
        return true;
    type_fields *f = arena_alloc(a, sizeof *f + t.children->n * sizeof f->f[0]);
    if (!f)
        return false;
    memcpy(f, t.children, sizeof *f + t.children->n * sizeof f->f[0]);
    for (uint32_t i = 0; i < f->n; i++) {
        f->f[i].name.p = arena_strndup(a, f->f[i].name.p, f->f[i].name.n);
        f->f[i].doc.p = arena_strndup(a, f->f[i].doc.p, f->f[i].doc.n);
        if (!f->f[i].name.p || !f->f[i].doc.p || !type_copy(f->f[i].t, a, &f->f[i].t))
            return false;
    }
    out->children = f;
    return true;
}

/* A field's name as SQL reads it back. */
static void field_name_add(str name, sbuf *out)
{
    bool plain = name.n > 0 && !(name.p[0] >= '0' && name.p[0] <= '9');
    for (size_t i = 0; i < name.n && plain; i++)
        plain = (name.p[i] >= 'a' && name.p[i] <= 'z') || (name.p[i] >= 'A' && name.p[i] <= 'Z') ||
                (name.p[i] >= '0' && name.p[i] <= '9') || name.p[i] == '_';
    if (plain) {
        sbuf_str(out, name);
        return;
    }
    sbuf_addc(out, '"');
    for (size_t i = 0; i < name.n; i++) {
        if (name.p[i] == '"')
            sbuf_addc(out, '"');
        sbuf_addc(out, name.p[i]);
    }
    sbuf_addc(out, '"');
}

void type_sql_name(type t, sbuf *out)
{
    const type_fields *m = type_is_nested(t) ? t.children : NULL;
    if (t.id == T_LIST && m) {
        type_sql_name(m->f[0].t, out);
        sbuf_addz(out, "[]");
        return;
    }
    sbuf_addz(out, t.id < T_COUNT_ ? type_table[t.id].name : "?");
    if (t.id == T_DECIMAL)
        sbuf_printf(out, "(%u,%u)", t.precision, t.scale);
    else if (t.id == T_FIXED)
        sbuf_printf(out, "(%u)", t.width);
    else if (m) {
        sbuf_addc(out, '(');
        for (uint32_t i = 0; i < m->n; i++) {
            if (i)
                sbuf_addz(out, ", ");
            if (t.id == T_STRUCT) {
                field_name_add(m->f[i].name, out);
                sbuf_addc(out, ' ');
            }
            type_sql_name(m->f[i].t, out);
        }
        sbuf_addc(out, ')');
    }
}

/* ---- views ---- */

bool strview_eq(const strview *a, const strview *b)
{
    uint64_t x[2], y[2];
    memcpy(x, a, 16);
    memcpy(y, b, 16);
    if (x[0] != y[0]) /* length and first four bytes */
        return false;
    if (x[1] == y[1])
        return true;
    return a->len > 12 && memcmp(a->ptr, b->ptr, a->len) == 0;
}

int strview_cmp(const strview *a, const strview *b)
{
    int c = memcmp(a->prefix, b->prefix, 4); /* padding is zero: no shorter text sorts behind */
    if (c)
        return c;
    return str_cmp(strview_str(a), strview_str(b));
}

/* ---- datums ---- */

static int f64_cmp(double a, double b)
{
    if (isnan(a) || isnan(b))
        return !!isnan(a) - !!isnan(b);
    return (a > b) - (a < b);
}

int datum_cmp(const datum *a, const datum *b)
{
    switch (type_phys(a->t)) {
    case PHYS_U8:
        return (int)a->b - (int)b->b;
    case PHYS_I32:
        return (a->i32 > b->i32) - (a->i32 < b->i32);
    case PHYS_I64:
        return (a->i64 > b->i64) - (a->i64 < b->i64);
    case PHYS_I128:
        return (a->i128v > b->i128v) - (a->i128v < b->i128v);
    case PHYS_F32:
        return f64_cmp((double)a->f32, (double)b->f32);
    case PHYS_F64:
        return f64_cmp(a->f64, b->f64);
    case PHYS_STR:
        return str_cmp(a->s, b->s);
    case PHYS_NESTED:
        return nested_cmp(a, b);
    case PHYS_NONE:
        break;
    }
    return 0;
}

bool datum_eq(const datum *a, const datum *b)
{
    if (!type_eq(a->t, b->t))
        return false;
    if (a->null || b->null)
        return a->null == b->null;
    return datum_cmp(a, b) == 0;
}

i128 datum_decimal(const datum *d)
{
    return type_phys(d->t) == PHYS_I128 ? d->i128v : (i128)d->i64;
}

size_t decimal_text(i128 v, unsigned scale, char *out)
{
    char tmp[48], *end = tmp + sizeof tmp, *at = end;
    u128 u = v < 0 ? 0 - (u128)v : (u128)v;
    unsigned digits = 0;
    while (u > UINT64_MAX) { /* one slow division per 18 digits */
        uint64_t low = (uint64_t)(u % 1000000000000000000u);
        u /= 1000000000000000000u;
        for (int i = 0; i < 18; i++, low /= 10) {
            if (digits++ == scale && scale)
                *--at = '.';
            *--at = (char)('0' + low % 10);
        }
    }
    for (uint64_t low = (uint64_t)u; low || digits <= scale; low /= 10) {
        if (digits++ == scale && scale)
            *--at = '.';
        *--at = (char)('0' + low % 10);
    }
    if (v < 0)
        *--at = '-';
    memcpy(out, at, (size_t)(end - at));
    return (size_t)(end - at);
}

static void hex_text(str s, sbuf *out)
{
    static const char hex[] = "0123456789abcdef";
    if (!sbuf_reserve(out, s.n * 2))
        return;
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        out->p[out->n++] = hex[c >> 4];
        out->p[out->n++] = hex[c & 15];
    }
    out->p[out->n] = 0;
}

static void uuid_text(str s, sbuf *out)
{
    static const uint8_t parts[] = {0, 4, 6, 8, 10, 16};
    for (int i = 0; i < 5 && s.n == 16; i++) {
        if (i)
            sbuf_addc(out, '-');
        hex_text((str){s.p + parts[i], (size_t)(parts[i + 1] - parts[i])}, out);
    }
}

_Static_assert(CIVIL_TEXT_MAX >= F64_TEXT_MAX && CIVIL_TEXT_MAX >= DECIMAL_TEXT_MAX, "datum_text's tmp");

void datum_text(const datum *d, sbuf *out)
{
    char tmp[CIVIL_TEXT_MAX];
    size_t n = 0;
    if (d->null)
        return;
    switch (d->t.id) {
    case T_BOOL:
        sbuf_addz(out, d->b ? "true" : "false");
        return;
    case T_INT32:
        n = i64_text(d->i32, tmp);
        break;
    case T_INT64:
        n = i64_text(d->i64, tmp);
        break;
    case T_FLOAT32:
        n = f32_text(d->f32, tmp);
        break;
    case T_FLOAT64:
        n = f64_text(d->f64, tmp);
        break;
    case T_DECIMAL:
        n = decimal_text(datum_decimal(d), d->t.scale, tmp);
        break;
    case T_DATE:
        n = date_text(d->i32, tmp);
        break;
    case T_TIME:
        n = time_text(d->i64, tmp);
        break;
    case T_TIMESTAMP:
        n = timestamp_text(d->i64, tmp);
        break;
    case T_TIMESTAMPTZ:
        n = timestamptz_text(d->i64, tmp);
        break;
    case T_STRING:
        sbuf_str(out, d->s);
        return;
    case T_BINARY:
    case T_FIXED:
        sbuf_addz(out, "\\x");
        hex_text(d->s, out);
        return;
    case T_UUID:
        uuid_text(d->s, out);
        return;
    case T_STRUCT:
    case T_LIST:
    case T_MAP:
        nested_text(d, out);
        return;
    }
    sbuf_add(out, tmp, n);
}
