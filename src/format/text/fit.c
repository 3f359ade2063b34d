/* fit.c: see fit.h. */
#include "format/text/fit.h"

#include "arrow/convert.h"

#include <math.h>

#define DOUBLE_INTEGERS 9007199254740992.0 /* 2^53: every integer below is a double of its own */

static bool has_exponent(str s)
{
    for (size_t i = 0; i < s.n; i++)
        if ((s.p[i] | 32) == 'e')
            return true;
    return false;
}

bool double_loses(str s, double v)
{
    if (fabs(v) < DOUBLE_INTEGERS || !isfinite(v) || has_exponent(s))
        return false;
    int64_t i;
    /* a whole number may still be one that a double holds */
    if (text_to_i64(s.p, s.n, &i) == CONV_OK)
        return v >= 9223372036854775808.0 || (int64_t)v != i;
    return true;
}

/* Words for booleans that inference goes by; more are taken where the type is given. */
static bool is_bool_word(str s) { return str_ieq(s, STR("true")) || str_ieq(s, STR("false")); }

unsigned fit_value(str s)
{
    int64_t i;
    double f;
    int32_t days;
    if (s.n == 0)
        return 0;
    char c = s.p[0];
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) {
        if (is_bool_word(s))
            return FIT_BOOL;
        return text_to_f64(s.p, s.n, &f) == CONV_OK ? FIT_FLOAT : 0;
    }
    conv ci = text_to_i64(s.p, s.n, &i);
    if (ci == CONV_RANGE)
        return 0;
    if (ci == CONV_OK)
        return FIT_INT | (double_loses(s, (double)i) ? 0 : FIT_FLOAT);
    if (text_to_f64(s.p, s.n, &f) == CONV_OK)
        return double_loses(s, f) ? 0 : FIT_FLOAT;
    if (text_to_date(s.p, s.n, &days) == CONV_OK)
        return FIT_DATE | FIT_STAMP;
    if (text_to_time(s.p, s.n, &i) == CONV_OK)
        return FIT_TIME;
    if (text_to_timestamp(s.p, s.n, &i) == CONV_OK)
        return FIT_STAMP;
    if (text_to_timestamptz(s.p, s.n, &i) == CONV_OK)
        return FIT_STAMPTZ;
    return 0;
}

type fit_type(unsigned fits)
{
    static const struct { unsigned fit; type_id id; } order[] = {
        {FIT_BOOL, T_BOOL}, {FIT_INT, T_INT64},       {FIT_FLOAT, T_FLOAT64},    {FIT_DATE, T_DATE},
        {FIT_TIME, T_TIME}, {FIT_STAMP, T_TIMESTAMP}, {FIT_STAMPTZ, T_TIMESTAMPTZ}};
    for (size_t i = 0; i < sizeof order / sizeof *order; i++)
        if (fits & order[i].fit)
            return TYPE(order[i].id);
    return TYPE(T_STRING);
}

type type_widen(type t, str s)
{
    unsigned fits = fit_value(s);
    if (t.id == T_INT64 && fits & FIT_FLOAT)
        return TYPE(T_FLOAT64);
    if (t.id == T_DATE && fits & FIT_STAMP)
        return TYPE(T_TIMESTAMP);
    return TYPE(T_STRING);
}

type type_join(type a, type b)
{
    if (a.id == b.id)
        return a;
    if (a.id > b.id) {
        type x = a;
        a = b;
        b = x;
    }
    if (a.id == T_INT64 && b.id == T_FLOAT64)
        return b;
    if (a.id == T_DATE && b.id == T_TIMESTAMP)
        return b;
    return TYPE(T_STRING);
}
