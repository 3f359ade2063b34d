/* infer.c: the types of a sample's columns, from which types their texts fit (text/fit.h). */
#include "format/csv/csv_int.h"

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
