/* csv_write.c: see csv_write.h. */
#include "format/csv/csv_write.h"

#include "arrow/civil.h"
#include "base/numtext.h"

void csv_write_field(sbuf *out, str s)
{
    bool quote = s.n == 0 || s.p[0] == '#'; /* or a first line could look like a comment */
    for (size_t i = 0; i < s.n && !quote; i++)
        quote = s.p[i] == ',' || s.p[i] == '"' || s.p[i] == '\n' || s.p[i] == '\r';
    if (!quote) {
        sbuf_add(out, s.p, s.n);
        return;
    }
    sbuf_addc(out, '"');
    for (size_t i = 0; i < s.n;) {
        const char *q = memchr(s.p + i, '"', s.n - i);
        size_t n = q ? (size_t)(q - s.p) + 1 - i : s.n - i;
        sbuf_add(out, s.p + i, n);
        if (q)
            sbuf_addc(out, '"');
        i += n;
    }
    sbuf_addc(out, '"');
}

void csv_write_header(sbuf *out, const row_schema *s)
{
    for (uint32_t c = 0; c < s->n; c++) {
        if (c)
            sbuf_addc(out, ',');
        csv_write_field(out, s->cols[c].name);
    }
    sbuf_addc(out, '\n');
}

/* tmp: for the text of nested values, which may need quotes. */
static void write_value(sbuf *out, const vec *v, uint32_t row, sbuf *tmp)
{
    if (vec_is_null(v, row))
        return;
    datum d = vec_datum(v, row);
    if (d.t.id == T_STRING) {
        csv_write_field(out, d.s);
    } else if (type_is_nested(d.t)) {
        sbuf_clear(tmp);
        datum_text(&d, tmp);
        out->failed |= tmp->failed;
        csv_write_field(out, (str){tmp->p ? tmp->p : "", tmp->n});
    } else if (d.t.id == T_INT64 && sbuf_reserve(out, I64_TEXT_MAX)) {
        out->n += i64_text(d.i64, out->p + out->n);
        out->p[out->n] = 0;
    } else {
        datum_text(&d, out); /* numbers, dates, hexadecimal: nothing to quote */
    }
}

void csv_write_batch(sbuf *out, const batch *b)
{
    sbuf tmp;
    sbuf_init(&tmp, out->m);
    for (uint32_t i = 0; i < b->nsel; i++) {
        uint32_t row = b->sel ? b->sel[i] : i;
        for (uint32_t c = 0; c < b->ncols; c++) {
            if (c)
                sbuf_addc(out, ',');
            write_value(out, &b->cols[c], row, &tmp);
        }
        sbuf_addc(out, '\n');
    }
    sbuf_free(&tmp);
}
