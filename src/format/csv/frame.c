/*
 * frame.c: from a block's text to frames: some hundred rows whose fields' starts and ends are
 * known.
 *
 * LISTING: all separators of the frame's text are listed; if each row has as many as it must,
 * the list itself says where fields are (and in blocks with quotes or CRs, is turned into starts
 * and ends). Where it isn't regular, rows are read by the grammar (token.c), first 8 and twice
 * as many each time, until listing works again for a good while.
 */
#include "format/csv/frame.h"

#include "format/csv/csv_write.h"

#define EXACT_FIRST 8
#define EXACT_MOST  4096
#define LISTED_GOOD 64 /* rows of a listed frame that show that listing works */

static inline bool is_eol(char c) { return c == '\n' || c == '\r'; }

/* How many of the first `rows` rows listed have their line end where it must be, and none before. */
static uint32_t regular_rows(const csv_local *l, uint32_t rows)
{
    const uint32_t *idx = l->idx + 1;
    uint32_t nf = l->nf;
    for (uint32_t r = 0; r < rows; r++) {
        for (uint32_t c = 0; c + 1 < nf; c++)
            if (is_eol(l->text[idx[r * nf + c]]))
                return r;
        if (!is_eol(l->text[idx[r * nf + nf - 1]]))
            return r;
    }
    return rows;
}

static bool all_regular(const csv_local *l, uint32_t rows)
{
    if (rows != l->scan.lines)
        return false;
    const uint32_t *idx = l->idx;
    uint32_t nf = l->nf, bad = 0;
    for (uint32_t r = 1; r <= rows; r++) {
        char c = l->text[idx[r * nf]];
        bad |= (c != '\n') & (c != '\r');
    }
    return !bad;
}

/* Starts and ends of the fields of listed rows with quotes or CRs. */
static void quoted_fields(csv_local *l, uint32_t rows)
{
    const char *t = l->text;
    uint8_t quote = l->s->d.quote;
    uint32_t nf = l->nf, k = 0;
    for (uint32_t r = 0; r < rows; r++)
        for (uint32_t c = 0; c < nf; c++, k++) {
            uint32_t b = l->idx[k] + 1, e = l->idx[k + 1];
            if (c == nf - 1 && e > b && t[e] == '\n' && t[e - 1] == '\r')
                e--;
            if (quote && e > b && (uint8_t)t[b] == quote) {
                b++;
                e--;
            }
            l->beg[k] = b;
            l->end[k] = e;
        }
}

static void list_more(csv_local *l, uint32_t max)
{
    if (l->taken) {
        l->scan.n -= l->taken;
        memmove(l->idx, l->idx + l->taken, (l->scan.n + 1) * sizeof *l->idx);
        l->taken = 0;
    }
    uint64_t want = (uint64_t)max * l->nf;
    if (want > l->idx_cap)
        want = l->idx_cap;
    if (l->scan.n < want && l->scan.at < l->n) {
        scan_chars chars = {l->s->d.delim, l->s->d.quote};
        const scan_ops *ops = l->s->ops;
        (l->mode == MODE_PLAIN ? ops->list_plain : ops->list_quoted)(l->text, l->n, chars, (uint32_t)want,
                                                                     l->idx + 1, &l->scan);
    }
}

static void listed_frame(csv_local *l, uint32_t max, csv_frame *f)
{
    list_more(l, max);
    uint32_t rows = l->scan.n / l->nf, good = all_regular(l, rows) ? rows : regular_rows(l, rows);
    uint32_t n = good < max ? good : max;
    if (n > l->rows_cap)
        n = l->rows_cap;
    if (n == 0) { /* read the next rows by the grammar, or the block is at its end */
        l->pos = l->idx[0] + 1;
        l->listing = false;
        l->exact_left = l->exact_step;
        if (l->exact_step < EXACT_MOST)
            l->exact_step *= 2;
        return;
    }
    if (good >= LISTED_GOOD)
        l->exact_step = EXACT_FIRST;
    if (l->mode == MODE_PLAIN) {
        *f = (csv_frame){.beg = l->idx, .end = l->idx + 1, .bias = 1};
    } else {
        quoted_fields(l, n);
        *f = (csv_frame){.beg = l->beg, .end = l->end, .bias = 0};
    }
    f->text = l->text;
    f->stride = l->nf;
    f->n = n;
    f->row_start = l->idx;
    f->row_end = l->idx + l->nf;
    f->row_stride = l->nf;
    f->row_bias = 1;
    l->taken = n * l->nf;
    l->scan.lines -= n;
}

/* ---- rows by the grammar ---- */

static fz_status row_fail(csv_local *l, const row_token *r, fz_error *err)
{
    csv_source *s = l->s;
    switch (r->fault) {
    case ROW_LONG:
        error_set(err, FZ_DATA, "the row has %u fields, not %u", r->filled, l->nf);
        break;
    case ROW_SHORT:
        error_set(err, FZ_DATA, "the row has %u field%s, not %u", r->nfields, r->nfields == 1 ? "" : "s", l->nf);
        break;
    case ROW_UTF8:
        error_set(err, FZ_DATA, "the text isn't valid UTF-8");
        break;
    case ROW_NUL:
        error_set(err, FZ_DATA, "the text has a NUL byte");
        break;
    case ROW_QUOTE:
        error_set(err, FZ_DATA, "text follows a closing quote");
        error_hint(err, "a quote inside a quoted field is written twice; --quote '' reads quotes as text");
        break;
    default:
        error_set(err, FZ_DATA, "the quote that opens here isn't closed");
    }
    int64_t line, column;
    local_place(l, r->fault_at, &line, &column);
    error_where(err, input_name(s->in));
    error_line(err, line, column);
    error_offset(err, (int64_t)(l->offset + r->fault_at));
    return FZ_DATA;
}

void row_reject(csv_local *l, uint32_t start, uint32_t end, uint32_t at, const char *reason)
{
    int64_t line, column;
    local_place(l, at, &line, &column);
    l->nrejects++;
    if (l->s->reject_fd < 0)
        return;
    sbuf_i64(&l->rejects, line);
    sbuf_addc(&l->rejects, ',');
    csv_write_field(&l->rejects, str_of(reason));
    sbuf_addc(&l->rejects, ',');
    csv_write_field(&l->rejects, (str){l->text + start, end - start});
    sbuf_addc(&l->rejects, '\n');
}

/* Counts of fields and bytes of a row that the grammar took. */
static void row_check(csv_local *l, row_token *r)
{
    if (r->fault != ROW_OK)
        return;
    r->fault_at = r->start;
    if (r->nfields > l->nf && r->filled > l->nf)
        r->fault = ROW_LONG;
    else if (r->nfields < l->nf && l->s->o.strict)
        r->fault = ROW_SHORT;
    if (l->check) {
        str row = {l->text + r->start, r->end - r->start};
        size_t valid = utf8_valid_prefix(row);
        const char *nul = memchr(row.p, 0, row.n);
        size_t nul_at = nul ? (size_t)(nul - row.p) : row.n;
        if (valid < row.n || nul) {
            r->fault = valid < nul_at ? ROW_UTF8 : ROW_NUL;
            r->fault_at = r->start + (uint32_t)(valid < nul_at ? valid : nul_at);
        }
    }
}

/* Fields that the row doesn't have are the empty one at position 0. */
static void row_pad(csv_local *l, const row_token *r, uint32_t *beg, uint32_t *end)
{
    if (r->nfields >= l->nf)
        return;
    for (uint32_t c = r->nfields; c < l->nf; c++)
        beg[c] = end[c] = 0;
    int64_t line, column;
    if (!l->nshort++) {
        local_place(l, r->start, &line, &column);
        l->short_line = line;
    }
}

static fz_status exact_frame(csv_local *l, uint32_t max, csv_frame *f, fz_error *err)
{
    uint32_t k = 0, limit = max < l->rows_cap ? max : l->rows_cap;
    bool bounded = l->mode != MODE_EXACT;
    if (bounded && limit > l->exact_left)
        limit = l->exact_left;
    while (k < limit && l->pos < l->n) {
        uint32_t *beg = l->beg + (size_t)k * l->nf, *end = l->end + (size_t)k * l->nf;
        row_token r;
        token_row(l->text, l->n, l->pos, &l->s->d, l->nf, beg, end, &r);
        if (r.comment || (r.blank && l->nf > 1)) {
            l->pos = r.next;
            continue;
        }
        if (r.blank) { /* of one column: a NULL */
            r.nfields = 1;
            beg[0] = end[0] = 0;
        }
        row_check(l, &r);
        if (r.fault != ROW_OK) {
            if (k)
                break; /* the rows before it may have errors of their own */
            if (!l->s->o.skip_errors)
                return row_fail(l, &r, err);
            if (!atomic_load_explicit(&l->s->probing, memory_order_relaxed)) {
                fz_error e = {0};
                row_fail(l, &r, &e);
                row_reject(l, r.start, r.end, r.fault_at, e.message);
            }
            l->pos = r.next;
            continue;
        }
        row_pad(l, &r, beg, end);
        l->row_start[k] = r.start;
        l->row_end[k] = r.end;
        l->pos = r.next;
        k++;
    }
    if (bounded)
        l->exact_left = k < limit || k >= l->exact_left ? 0 : l->exact_left - k;
    *f = (csv_frame){.text = l->text, .beg = l->beg, .end = l->end, .stride = l->nf, .n = k,
                     .row_start = l->row_start, .row_end = l->row_end, .row_stride = 1};
    return FZ_OK;
}

static void listing_start(csv_local *l)
{
    l->listing = true;
    l->idx[0] = l->pos - 1;
    l->scan = (scan_state){.at = l->pos};
    l->taken = 0;
}

fz_status frame_next(csv_local *l, uint32_t max, csv_frame *f, fz_error *err)
{
    f->n = 0;
    while (f->n == 0) {
        if (l->listing) {
            listed_frame(l, max, f);
            continue;
        }
        if (l->pos >= l->n)
            break;
        if (l->mode == MODE_EXACT || l->exact_left)
            TRY(exact_frame(l, max, f, err));
        else
            listing_start(l);
    }
    return FZ_OK;
}
