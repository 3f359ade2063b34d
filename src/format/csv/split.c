/*
 * split.c: where the last whole row of a text ends.
 *
 * Without quotes (and with nothing that could hide them) that is the last line end. With quotes
 * their parity is followed (scan.h); where a quote stands that parity could misread, where
 * escapes or comments are in play, the grammar of token.c is followed byte by byte.
 */
#include "format/csv/csv_int.h"

uint64_t text_lines(const char *t, size_t n)
{
    uint64_t lines = 0;
    for (size_t i = 0; i < n; i++)
        lines += t[i] == '\n' || (t[i] == '\r' && !(i + 1 < n && t[i + 1] == '\n'));
    return lines;
}

/* The last line end. A CR at the very end may be half of a CRLF and doesn't count. */
static size_t last_line(const char *t, size_t n)
{
    const char *lf = memrchr(t, '\n', n);
    if (lf)
        return (size_t)(lf - t) + 1;
    const char *cr = n > 1 ? memrchr(t, '\r', n - 1) : NULL;
    return cr ? (size_t)(cr - t) + 1 : 0;
}

void text_split_exact(const char *t, size_t n, const dialect *d, text_split *out)
{
    size_t i = 0;
    *out = (text_split){0};
    while (i < n) { /* a row starts */
        bool comment = d->comment && (uint8_t)t[i] == d->comment;
        bool field_start = !comment;
        for (; i < n && t[i] != '\n' && t[i] != '\r'; i++) {
            uint8_t c = (uint8_t)t[i];
            if (field_start && d->quote && c == d->quote) {
                out->open_at = i;
                for (i++; i < n; i++) {
                    c = (uint8_t)t[i];
                    if (d->escape && c == d->escape && i + 1 < n)
                        i++;
                    else if (c == d->quote && i + 1 < n && (uint8_t)t[i + 1] == d->quote)
                        i++;
                    else if (c == d->quote)
                        break;
                }
                if (i >= n) {
                    out->open = true;
                    return;
                }
                field_start = false;
            } else {
                field_start = !comment && c == d->delim;
            }
        }
        if (i >= n)
            return;
        if (t[i] == '\r') {
            if (i + 1 >= n)
                return;
            i += t[i + 1] == '\n';
        }
        out->end = ++i;
    }
}

void text_split_rows(const char *t, size_t n, const dialect *d, const scan_ops *ops, const scan_survey *sv,
                     text_split *out)
{
    if (!sv->quote || !d->quote) {
        *out = (text_split){.end = last_line(t, n), .clean = true};
        return;
    }
    if (!d->escape && !(d->comment && memchr(t, d->comment, n))) {
        scan_split s;
        ops->split(t, n, (scan_chars){d->delim, d->quote}, &s);
        if (s.clean) {
            *out = (text_split){.end = s.end, .clean = true, .open = s.in_quote};
            return;
        }
    }
    text_split_exact(t, n, d, out);
}
