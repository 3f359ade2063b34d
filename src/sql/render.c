/*
 * render.c: an error with the line it is about, for a terminal:
 *
 *     error: there is no column "valu" (42703)
 *     line 2: SELECT ym, sum(valu) FROM t
 *                            ^
 *     hint: did you mean "Value"?
 */
#include "sql/sql.h"

#define SHOWN 100 /* characters of a line that are shown */

/* Bytes of the character at p (n > 0 left); broken bytes count one. */
static size_t char_bytes(const char *p, size_t n)
{
    size_t k = 1;
    while (k < n && ((unsigned char)p[k] & 0xC0) == 0x80 && k < 4)
        k++;
    return k;
}

/* Columns on a terminal, roughly: East Asian wide characters and emoji take two, combining marks none. */
static int char_width(const char *p, size_t k)
{
    uint32_t c = (unsigned char)p[0];
    if (k > 1) {
        c &= 0x7Fu >> k;
        for (size_t i = 1; i < k; i++)
            c = c << 6 | ((unsigned char)p[i] & 63);
    }
    if ((c >= 0x300 && c < 0x370) || c == 0x200B || c == 0x200D || (c >= 0xFE00 && c < 0xFE10))
        return 0;
    return (c >= 0x1100 && c < 0x1160) || (c >= 0x2E80 && c < 0xA4D0) || (c >= 0xAC00 && c < 0xD7A4) || (c >= 0xF900 && c < 0xFB00) ||
                   (c >= 0xFE30 && c < 0xFE70) || (c >= 0xFF00 && c < 0xFF61) || (c >= 0x1F300 && c < 0x1F650) ||
                   (c >= 0x1F900 && c < 0x1FA00) || (c >= 0x20000 && c < 0x30000)
               ? 2 : 1;
}

/* Line number `line` of the text, without its end. */
static bool find_line(str text, int64_t line, str *out)
{
    size_t at = 0;
    for (int64_t i = 1; i < line; i++) {
        const char *nl = at < text.n ? memchr(text.p + at, '\n', text.n - at) : NULL;
        if (!nl)
            return false;
        at = (size_t)(nl - text.p) + 1;
    }
    const char *end = at < text.n ? memchr(text.p + at, '\n', text.n - at) : NULL;
    *out = (str){text.p + at, (end ? (size_t)(end - text.p) : text.n) - at};
    if (out->n && out->p[out->n - 1] == '\r')
        out->n--;
    return true;
}

/* The line from character `from` on, at most SHOWN characters, tabs and control characters as blanks; returns the
 * width in front of character `column` (from 1). */
static int64_t put_line(str line, int64_t from, int64_t column, sbuf *out)
{
    int64_t width = 0, at = 1;
    size_t i = 0;
    if (from > 1) {
        sbuf_addz(out, "…");
        width++;
    }
    for (; i < line.n && at < from + SHOWN; at++) {
        size_t k = char_bytes(line.p + i, line.n - i);
        if (at >= from) {
            bool control = k == 1 && ((unsigned char)line.p[i] < 0x20 || (unsigned char)line.p[i] >= 0x7F);
            if (control)
                sbuf_addc(out, ' ');
            else
                sbuf_add(out, line.p + i, k);
            if (at < column)
                width += control ? 1 : char_width(line.p + i, k);
        }
        i += k;
    }
    if (column > at)
        width += column - at; /* behind the end */
    if (i < line.n)
        sbuf_addz(out, "…");
    sbuf_addc(out, '\n');
    return width;
}

void sql_error_render(const fz_error *err, str sql_text, sbuf *out)
{
    str line;
    sbuf_printf(out, "error: %s", err->message);
    if (err->sqlstate[0])
        sbuf_printf(out, " (%s)", err->sqlstate);
    sbuf_addc(out, '\n');
    if (err->where[0]) {
        /* the position is one in a file, not in the statement */
        sbuf_printf(out, "in %s", err->where);
        if (err->line > 0)
            sbuf_printf(out, ", line %lld", (long long)err->line);
        if (err->line > 0 && err->column > 0)
            sbuf_printf(out, ", column %lld", (long long)err->column);
        if (err->offset >= 0)
            sbuf_printf(out, ", byte %lld", (long long)err->offset);
        sbuf_addc(out, '\n');
    } else if (err->line > 0 && find_line(sql_text, err->line, &line)) {
        int64_t column = err->column > 0 ? err->column : 1;
        int64_t from = column > SHOWN - 20 ? column - SHOWN / 2 : 1;
        size_t head = out->n;
        sbuf_printf(out, "line %lld: ", (long long)err->line);
        int64_t width = (int64_t)(out->n - head) + put_line(line, from, column, out);
        if (err->column > 0) {
            for (int64_t i = 0; i < width; i++)
                sbuf_addc(out, ' ');
            sbuf_addz(out, "^\n");
        }
    }
    if (err->hint[0])
        sbuf_printf(out, "hint: %s\n", err->hint);
}
