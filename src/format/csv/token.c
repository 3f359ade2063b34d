/*
 * token.c: one row of text, byte by byte: the exact grammar, which the fast paths must agree
 * with and fall back to.
 *
 *   row      = field *( delim field ) line-end        line-end = LF / CR LF / CR / end of text
 *   field    = quote *( quote quote / escape any / any but quote ) quote
 *            / *( any but delim, LF, CR )
 *
 * A quote inside an unquoted field is an ordinary byte. What follows a closing quote other than
 * a delimiter or line end makes the row faulty (ROW_QUOTE); it is read on as if unquoted, so
 * that the next row is found. A comment line and a blank line have no fields.
 */
#include "format/csv/csv_int.h"

static inline bool is_eol(char c) { return c == '\n' || c == '\r'; }

static inline uint32_t eol_skip(const char *t, uint32_t n, uint32_t at)
{
    if (at >= n)
        return n;
    return t[at] == '\r' && at + 1 < n && t[at + 1] == '\n' ? at + 2 : at + 1;
}

void token_row(const char *t, uint32_t n, uint32_t pos, const dialect *d, uint32_t max, uint32_t *beg,
               uint32_t *end, row_token *r)
{
    *r = (row_token){.start = pos};
    uint32_t i = pos;
    bool comment = d->comment && (uint8_t)t[i] == d->comment;
    if (comment || is_eol(t[i])) {
        while (i < n && !is_eol(t[i]))
            i++;
        r->comment = comment;
        r->blank = !comment;
        r->end = i;
        r->next = eol_skip(t, n, i);
        return;
    }
    for (;;) {
        uint32_t b = i, e;
        bool quoted = d->quote && i < n && (uint8_t)t[i] == d->quote;
        if (quoted) {
            uint32_t open = i++;
            b = i;
            for (;; i++) {
                if (i >= n) {
                    r->fault = ROW_OPEN_QUOTE;
                    r->fault_at = open;
                    e = n;
                    break;
                }
                uint8_t c = (uint8_t)t[i];
                if (d->escape && c == d->escape && i + 1 < n) {
                    i++;
                } else if (c == d->quote) {
                    if (i + 1 < n && (uint8_t)t[i + 1] == d->quote) {
                        i++;
                    } else {
                        e = i++;
                        break;
                    }
                }
            }
            if (i < n && (uint8_t)t[i] != d->delim && !is_eol(t[i]) && r->fault == ROW_OK) {
                r->fault = ROW_QUOTE;
                r->fault_at = i;
            }
            while (i < n && (uint8_t)t[i] != d->delim && !is_eol(t[i]))
                i++;
        } else {
            while (i < n && (uint8_t)t[i] != d->delim && !is_eol(t[i]))
                i++;
            e = i;
        }
        if (r->nfields < max) {
            beg[r->nfields] = b;
            end[r->nfields] = e;
        }
        r->nfields++;
        if (e > b || quoted)
            r->filled = r->nfields;
        if (i >= n || is_eol(t[i]))
            break;
        i++; /* the delimiter */
    }
    r->end = i < n ? i : n;
    r->next = eol_skip(t, n, i);
}
