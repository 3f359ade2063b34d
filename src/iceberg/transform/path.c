/*
 * path.c: partition values as people read them in paths, as Java's PartitionSpec.partitionToPath writes
 * them: ISO dates, base64 for bytes, everything through URL encoding for forms ("a b" is a+b).
 */
#include "arrow/civil.h"
#include "iceberg/transform/transform.h"

static void encoded(str s, sbuf *out)
{
    static const char hex[] = "0123456789ABCDEF";
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '-' ||
            c == '*' || c == '_') {
            sbuf_addc(out, (char)c);
        } else if (c == ' ') {
            sbuf_addc(out, '+');
        } else {
            char e[3] = {'%', hex[c >> 4], hex[c & 15]};
            sbuf_add(out, e, 3);
        }
    }
}

static void base64(str s, sbuf *out)
{
    static const char digit[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < s.n; i += 3) {
        size_t left = s.n - i;
        uint32_t v = (uint32_t)(unsigned char)s.p[i] << 16;
        if (left > 1)
            v |= (uint32_t)(unsigned char)s.p[i + 1] << 8;
        if (left > 2)
            v |= (unsigned char)s.p[i + 2];
        char e[4] = {digit[v >> 18], digit[v >> 12 & 63], left > 1 ? digit[v >> 6 & 63] : '=',
                     left > 2 ? digit[v & 63] : '='};
        sbuf_add(out, e, 4);
    }
}

static void year_month(int64_t months, bool with_month, sbuf *out)
{
    int64_t year = 1970 + civil_floor_div(months, 12);
    sbuf_printf(out, "%04lld", (long long)year);
    if (with_month)
        sbuf_printf(out, "-%02d", (int)(months - civil_floor_div(months, 12) * 12) + 1);
}

static void day(int64_t days, sbuf *out)
{
    civil_date d = civil_from_days(days);
    sbuf_printf(out, "%04lld-%02d-%02d", (long long)d.year, d.month, d.day);
}

static void identity(const datum *v, sbuf *out)
{
    switch (v->t.id) {
    case T_DATE:
        day(v->i32, out);
        return;
    case T_TIMESTAMP:
    case T_TIMESTAMPTZ: {
        char text[CIVIL_TEXT_MAX];
        int64_t days = civil_floor_div(v->i64, MICROS_PER_DAY);
        day(days, out);
        sbuf_addc(out, 'T');
        sbuf_add(out, text, time_text(v->i64 - days * MICROS_PER_DAY, text));
        if (v->t.id == T_TIMESTAMPTZ)
            sbuf_addz(out, "+00:00");
        return;
    }
    case T_BINARY:
    case T_FIXED:
        base64(v->s, out);
        return;
    default:
        datum_text(v, out);
    }
}

void ib_transform_text(const ib_transform *t, const datum *value, sbuf *out)
{
    if (value->null) {
        sbuf_addz(out, "null");
        return;
    }
    switch (t->kind) {
    case IB_YEAR:
        year_month((int64_t)value->i32 * 12, false, out);
        break;
    case IB_MONTH:
        year_month(value->i32, true, out);
        break;
    case IB_DAY:
        day(value->i32, out);
        break;
    case IB_HOUR: {
        int64_t days = civil_floor_div(value->i32, 24);
        day(days, out);
        sbuf_printf(out, "-%02d", (int)(value->i32 - days * 24));
        break;
    }
    default:
        identity(value, out);
    }
}

void ib_transform_path(const ib_transform *t, const datum *value, sbuf *out)
{
    sbuf text;
    sbuf_init(&text, out->m);
    ib_transform_text(t, value, &text);
    if (text.failed)
        out->failed = true;
    else
        encoded((str){text.p, text.n}, out);
    sbuf_free(&text);
}
