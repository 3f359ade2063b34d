/*
 * dialect.c: what the options leave open about a text's grammar is found from its first rows.
 *
 * Delimiter: the one of , tab ; | with which the largest share of rows has the same number of
 * fields (more than one). Quote: ", unless fields stand in ' and the text has no ". Escape: \
 * if reading it so removes faults. Comment: # if the first line starts with it and isn't a
 * header by its number of fields. Header: the first row is one unless a field of it is a number,
 * a date or the like; it also is if a column is text there and another type below.
 */
#include "format/csv/csv_int.h"

#define DETECT_BYTES (128 * 1024)
#define DETECT_ROWS 1000
#define COUNT_MAX 512

typedef struct trial {
    uint32_t rows, faults, quoted;
    uint32_t modal, modal_rows; /* the most frequent number of fields */
} trial;

static bool trial_quoted(const char *t, uint32_t start, uint32_t beg, uint8_t quote)
{
    return quote && beg > start && (uint8_t)t[beg - 1] == quote;
}

static trial trial_run(const char *t, uint32_t n, bool whole, const dialect *d)
{
    trial r = {0};
    uint32_t counts[COUNT_MAX] = {0}, beg[COUNT_MAX], end[COUNT_MAX];
    for (uint32_t pos = 0; pos < n && r.rows < DETECT_ROWS;) {
        row_token row;
        token_row(t, n, pos, d, COUNT_MAX, beg, end, &row);
        pos = row.next;
        if (row.blank || row.comment)
            continue;
        if (pos >= n && !whole && r.rows)
            break; /* cut off */
        r.rows++;
        r.faults += row.fault != ROW_OK;
        uint32_t k = row.nfields < COUNT_MAX ? row.nfields : COUNT_MAX - 1;
        counts[k]++;
        for (uint32_t c = 0; c < k; c++)
            r.quoted += trial_quoted(t, row.start, beg[c], d->quote);
    }
    for (uint32_t k = 0; k < COUNT_MAX; k++)
        if (counts[k] > r.modal_rows) {
            r.modal = k;
            r.modal_rows = counts[k];
        }
    return r;
}

static void detect_delimiter(const char *t, uint32_t n, bool whole, dialect *d)
{
    static const char candidates[] = {',', '\t', ';', '|'};
    double best = 0;
    d->delim = ',';
    for (size_t i = 0; i < sizeof candidates; i++) {
        dialect x = *d;
        x.delim = (uint8_t)candidates[i];
        if (x.delim == x.quote || x.delim == x.escape || x.delim == x.comment)
            continue;
        trial r = trial_run(t, n, whole, &x);
        double share = r.rows && r.modal > 1 ? (double)r.modal_rows / r.rows : 0;
        if (share > best) {
            best = share;
            d->delim = x.delim;
        }
    }
}

/* A text's first line, without its end. */
static str first_line(const char *t, uint32_t n)
{
    uint32_t i = 0;
    while (i < n && t[i] != '\n' && t[i] != '\r')
        i++;
    return (str){t, i};
}

static fz_status options_check(const csv_options *o, fz_error *err)
{
    const int v[] = {o->delimiter, o->quote, o->escape, o->comment};
    static const char *const names[] = {"delimiter", "quote", "escape", "comment"};
    for (int i = 0; i < 4; i++) {
        if (v[i] == CSV_DETECT || (i > 0 && v[i] == CSV_NONE))
            continue;
        if (v[i] <= 0 || v[i] > 127 || v[i] == '\n' || v[i] == '\r')
            return error_set(err, FZ_INVALID, "the %s must be one ASCII character, and no line end", names[i]);
        for (int k = 0; k < i; k++)
            if (v[k] == v[i] && !(i == 2 && k == 1))
                return error_set(err, FZ_INVALID, "%s and %s can't be the same character", names[k], names[i]);
    }
    return FZ_OK;
}

fz_status dialect_detect(const char *t, uint32_t n, bool whole, const csv_options *o, dialect *d, fz_error *err)
{
    TRY(options_check(o, err));
    if (n > DETECT_BYTES) {
        n = DETECT_BYTES;
        whole = false;
    }
    *d = (dialect){.delim = o->delimiter > 0 ? (uint8_t)o->delimiter : 0,
                   .quote = o->quote == CSV_DETECT ? '"' : (uint8_t)o->quote,
                   .escape = o->escape > 0 ? (uint8_t)o->escape : 0,
                   .comment = o->comment > 0 ? (uint8_t)o->comment : 0};
    if (d->escape == d->quote) /* doubled quotes are always read */
        d->escape = 0;
    if (o->quote == CSV_DETECT && (d->delim == '"' || d->comment == '"'))
        d->quote = 0;
    bool hash = o->comment == CSV_DETECT && n && t[0] == '#' && d->delim != '#' && d->quote != '#';
    if (hash)
        d->comment = '#';
    if (o->delimiter == CSV_DETECT)
        detect_delimiter(t, n, whole, d);
    if (hash) {
        trial body = trial_run(t, n, whole, d);
        str line = first_line(t, n);
        dialect plain = *d;
        plain.comment = 0;
        trial head = trial_run(line.p, (uint32_t)line.n, true, &plain);
        if (body.rows == 0 || (body.modal > 1 && head.modal == body.modal))
            d->comment = 0;
    }
    if (o->quote == CSV_DETECT && d->quote && !memchr(t, '"', n) && memchr(t, '\'', n) && d->delim != '\'') {
        dialect x = *d;
        x.quote = '\'';
        trial r = trial_run(t, n, whole, &x);
        if (r.faults == 0 && r.quoted * 2 > r.rows)
            d->quote = '\'';
    }
    if (o->escape == CSV_DETECT && d->quote && memchr(t, '\\', n) && d->delim != '\\' && d->comment != '\\') {
        dialect x = *d;
        x.escape = '\\';
        if (trial_run(t, n, whole, &x).faults < trial_run(t, n, whole, d).faults)
            d->escape = '\\';
    }
    return FZ_OK;
}

fz_status header_detect(const char *t, uint32_t n, const dialect *d, uint32_t ncols, mem *m, bool *out, fz_error *err)
{
    arena a;
    arena_init(&a, m);
    uint32_t *beg = arena_array(&a, sizeof *beg, ncols), *end = arena_array(&a, sizeof *end, ncols);
    csv_column *below = arena_array(&a, sizeof *below, ncols);
    bool typed = false, contrast = false, named = false;
    row_token r = {.next = n};
    static const null_list none = {0};
    fz_status st = beg && end && below ? FZ_OK : FZ_NOMEM;
    if (st == FZ_OK && n) {
        for (uint32_t pos = 0; pos < n; pos = r.next) {
            token_row(t, n, pos, d, ncols, beg, end, &r);
            if (!r.blank && !r.comment)
                break;
        }
        st = infer_columns(t + r.next, n - r.next, d, &none, ncols, below, m, NULL);
        if (st == FZ_OK)
            for (uint32_t c = 0; c < ncols && c < r.nfields; c++) {
                str s = str_trim((str){t + beg[c], end[c] - beg[c]});
                bool text = s.n && fit_value(s) == 0;
                named |= text;
                typed |= s.n && !text;
                contrast |= text && !below[c].undecided && below[c].t.id != T_STRING;
            }
    }
    arena_free(&a);
    if (st == FZ_NOMEM)
        return error_nomem(err);
    *out = named && (contrast || !typed);
    return FZ_OK;
}

fz_status bom_check(const char *t, size_t n, size_t *skip, fz_error *err)
{
    const uint8_t *p = (const uint8_t *)t;
    *skip = 0;
    if (n >= 3 && p[0] == 0xEF && p[1] == 0xBB && p[2] == 0xBF) {
        *skip = 3;
    } else if (n >= 2 && ((p[0] == 0xFF && p[1] == 0xFE) || (p[0] == 0xFE && p[1] == 0xFF))) {
        error_set(err, FZ_DATA, "the text is UTF-16 or UTF-32, not UTF-8");
        error_line(err, 1, 1);
        error_offset(err, 0);
        error_hint(err, "convert it first, as with: iconv -f utf-16 -t utf-8");
        return FZ_DATA;
    }
    return FZ_OK;
}
