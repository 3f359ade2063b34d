/*
 * infer.c: which types a text fits, and from that the types of a sample's columns; the lattice
 * of widening (csv.h).
 */
#include "format/csv/csv_int.h"

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

static bool leading_zero(str s)
{
    if (s.n && (s.p[0] == '-' || s.p[0] == '+'))
        s = (str){s.p + 1, s.n - 1};
    return s.n > 1 && s.p[0] == '0';
}

typedef struct tally {
    unsigned fits;
    bool any, zero;
} tally;

static void tally_field(tally *y, str s, bool quoted, const dialect *d, const null_list *nulls)
{
    if (s.n == 0 && !quoted)
        return;
    if (quoted && s.n && (memchr(s.p, d->quote, s.n) || (d->escape && memchr(s.p, d->escape, s.n)))) {
        y->any = true; /* something was escaped: no value of another type needs that */
        y->fits = 0;
        return;
    }
    str v = str_trim(s);
    if (null_match(nulls, v))
        return;
    y->any = true;
    if (!y->fits)
        return;
    y->fits &= fit_value(v);
    if (y->fits & FIT_INT)
        y->zero |= leading_zero(v);
}

fz_status infer_columns(const char *t, uint32_t n, const dialect *d, const null_list *nulls, uint32_t ncols,
                        csv_column *cols, mem *m, fz_error *err)
{
    arena a;
    arena_init(&a, m);
    uint32_t *beg = arena_array(&a, sizeof *beg, ncols), *end = arena_array(&a, sizeof *end, ncols);
    tally *y = arena_array(&a, sizeof *y, ncols);
    if (!beg || !end || !y) {
        arena_free(&a);
        return error_nomem(err);
    }
    for (uint32_t c = 0; c < ncols; c++)
        y[c].fits = FIT_ALL;
    for (uint32_t pos = 0; pos < n;) {
        row_token r;
        token_row(t, n, pos, d, ncols, beg, end, &r);
        pos = r.next;
        if (r.blank || r.comment || r.fault != ROW_OK)
            continue;
        for (uint32_t c = 0; c < ncols && c < r.nfields; c++) {
            bool quoted = d->quote && beg[c] > r.start && (uint8_t)t[beg[c] - 1] == d->quote;
            tally_field(&y[c], (str){t + beg[c], end[c] - beg[c]}, quoted, d, nulls);
        }
    }
    for (uint32_t c = 0; c < ncols; c++) {
        cols[c].undecided = !y[c].any;
        cols[c].t = y[c].any ? fit_type(y[c].fits) : TYPE(T_STRING);
        cols[c].leading_zero = cols[c].t.id == T_INT64 && y[c].zero;
        cols[c].inferred = true;
    }
    arena_free(&a);
    return FZ_OK;
}
