/*
 * csv_reference.h: a CSV reader that is as plain as it can be, to hold the real one against,
 * and a way to run the real one and write down what it delivers. Shared by test_csv.c and the
 * fuzzer.
 */
#ifndef TESTS_CSV_REFERENCE_H
#define TESTS_CSV_REFERENCE_H

#include "format/csv/csv.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

/* What reading gave: rows as text, one a line, fields as <value> or NULL; or the first error. */
typedef struct outcome {
    fz_status st;
    int64_t line, column, offset;
    char message[256];
    sbuf rows;
    int64_t n, rejected, restarts;
    size_t fields;
} outcome;

static inline void outcome_free(outcome *o) { sbuf_free(&o->rows); }

/* ---- the reference: text columns, quote and escape as given ---- */

typedef struct ref_field {
    char *p;
    size_t n;
    int quoted;
} ref_field;

typedef struct ref_row {
    ref_field *f;
    size_t nf, filled;
    size_t start, end;
    int blank;
    const char *fault;
    size_t fault_at;
} ref_row;

static inline size_t ref_line(const char *t, size_t at, int64_t *line, int64_t *column)
{
    size_t bol = 0;
    *line = 1;
    for (size_t i = 0; i < at; i++)
        if (t[i] == '\n' || (t[i] == '\r' && t[i + 1] != '\n')) {
            ++*line;
            bol = i + 1;
        } else if (t[i] == '\r') {
            bol = i + 1; /* columns count from behind any line end byte */
        }
    if (bol == 0 && at >= 3 && memcmp(t, "\xEF\xBB\xBF", 3) == 0)
        bol = 3; /* the byte order mark is no column */
    *column = (int64_t)(at - bol) + 1;
    return bol;
}

static inline void ref_row_free(ref_row *r)
{
    for (size_t i = 0; i < r->nf; i++)
        free(r->f[i].p);
    free(r->f);
}

/* Reads one row from *pos. Text is t[0, n), and t[n] is readable. */
static inline ref_row ref_read(const char *t, size_t n, size_t *pos, char delim, char quote, char escape, char comment)
{
    ref_row r = {.start = *pos};
    size_t i = *pos;
    int eol = 0;
    if (comment && t[i] == comment) {
        r.blank = 2;
        while (i < n && t[i] != '\n' && t[i] != '\r')
            i++;
        eol = 1;
    } else if (t[i] == '\n' || t[i] == '\r') {
        r.blank = 1;
        eol = 1;
    }
    while (!eol) {
        char *v = malloc(n - i + 1);
        size_t k = 0;
        int quoted = 0, state = 0; /* 0 start, 1 plain, 2 in quotes, 3 behind them */
        size_t open = 0;
        for (;; i++) {
            if (i >= n) {
                if (state == 2) { /* whatever else is wrong with the row */
                    r.fault = "open";
                    r.fault_at = open;
                }
                eol = 1;
                break;
            }
            char c = t[i];
            if (state == 0 && quote && c == quote) {
                state = 2;
                quoted = 1;
                open = i;
            } else if (state == 2) {
                if (escape && escape != quote && c == escape && i + 1 < n) {
                    v[k++] = t[++i];
                } else if (c == quote && i + 1 < n && t[i + 1] == quote) {
                    v[k++] = quote;
                    i++;
                } else if (c == quote) {
                    state = 3;
                } else {
                    v[k++] = c;
                }
            } else if (c == delim) {
                break;
            } else if (c == '\n' || c == '\r') {
                eol = 1;
                break;
            } else if (state == 3) {
                if (!r.fault) {
                    r.fault = "behind";
                    r.fault_at = i;
                }
            } else {
                state = 1;
                v[k++] = c;
            }
        }
        r.f = realloc(r.f, (r.nf + 1) * sizeof *r.f);
        r.f[r.nf++] = (ref_field){v, k, quoted};
        if (k || quoted)
            r.filled = r.nf;
        if (i < n && !eol)
            i++;
    }
    r.end = i;
    if (i < n)
        i += t[i] == '\r' && i + 1 < n && t[i + 1] == '\n' ? 2 : 1;
    *pos = i;
    return r;
}

static inline void ref_put(sbuf *b, const char *p, size_t n, int null)
{
    if (null) {
        sbuf_addz(b, "NULL;");
        return;
    }
    sbuf_addc(b, '<');
    sbuf_add(b, p, n);
    sbuf_addz(b, ">;");
}

static inline void ref_fail(outcome *o, const char *t, size_t at)
{
    o->st = FZ_DATA;
    ref_line(t, at, &o->line, &o->column);
    o->offset = (int64_t)at;
}

/* Reads a text without header, all columns as text. */
static inline void ref_run(const char *text, size_t n, char delim, char quote, char escape, char comment,
                           int skip_errors, int strict, outcome *o)
{
    *o = (outcome){.st = FZ_OK, .line = -1, .column = -1, .offset = -1};
    sbuf_init(&o->rows, NULL);
    char *t = malloc(n + 2);
    memcpy(t, text, n);
    t[n] = t[n + 1] = 0;
    size_t skip = n >= 3 && memcmp(t, "\xEF\xBB\xBF", 3) == 0 ? 3 : 0;
    size_t nf = 0;
    int first = 1;
    if (n >= 2 && (memcmp(t, "\xFF\xFE", 2) == 0 || memcmp(t, "\xFE\xFF", 2) == 0)) {
        ref_fail(o, t, 0);
        free(t);
        return;
    }
    /* how many fields, and whether the first row can be read at all */
    for (size_t pos = skip; pos < n && o->st == FZ_OK;) {
        ref_row r = ref_read(t, n, &pos, delim, quote, escape, comment);
        size_t bad = utf8_valid_prefix((str){t + r.start, r.end - r.start});
        const char *nul = memchr(t + r.start, 0, r.end - r.start);
        if (!r.blank && first) {
            first = 0;
            nf = r.filled ? r.filled : 1;
            if (r.fault)
                ref_fail(o, t, r.fault_at);
            else if (nul)
                ref_fail(o, t, (size_t)(nul - t));
            else if (bad < r.end - r.start)
                ref_fail(o, t, r.start + bad);
        } else if (!r.blank && !r.fault && r.filled > nf) {
            nf = r.filled;
        }
        ref_row_free(&r);
    }
    o->fields = nf;
    if (first && o->st == FZ_OK) {
        o->st = FZ_DATA; /* no rows */
        o->line = o->column = 1;
        o->offset = 0;
    }
    /* an open quote fails even where errors are skipped */
    for (size_t pos = skip; pos < n && o->st == FZ_OK;) {
        ref_row r = ref_read(t, n, &pos, delim, quote, escape, comment);
        size_t bad = utf8_valid_prefix((str){t + r.start, r.end - r.start});
        const char *nul = memchr(t + r.start, 0, r.end - r.start);
        size_t nul_at = nul ? (size_t)(nul - t) - r.start : r.end - r.start;
        if (r.blank == 2 || (r.blank && nf > 1)) {
            /* nothing */
        } else if (r.fault && strcmp(r.fault, "open") == 0) {
            ref_fail(o, t, r.fault_at);
        } else if (r.fault || bad < r.end - r.start || nul || (r.nf > nf && r.filled > nf) ||
                   (r.nf < nf && strict && !r.blank)) {
            size_t at = r.fault_at;
            if (!r.fault)
                at = r.start;
            if (!r.fault && (bad < r.end - r.start || nul))
                at = r.start + (bad < nul_at ? bad : nul_at);
            if (!skip_errors)
                ref_fail(o, t, at);
            o->rejected++;
        } else {
            for (size_t c = 0; c < nf; c++) {
                if (c < r.nf)
                    ref_put(&o->rows, r.f[c].p, r.f[c].n, !r.f[c].n && !r.f[c].quoted);
                else
                    ref_put(&o->rows, "", 0, 1);
            }
            sbuf_addc(&o->rows, '\n');
            o->n++;
        }
        ref_row_free(&r);
    }
    free(t);
}

/* ---- the real one ---- */

typedef struct piece {
    uint64_t morsel;
    uint32_t seq;
    sbuf text;
    int64_t n;
} piece;

typedef struct pieces {
    pthread_mutex_t lock;
    csv_source *s;
    piece *p;
    size_t n;
    fz_status st;
    fz_error err;
    uint64_t ends; /* morsel ends seen */
} pieces;

static inline void rows_write(sbuf *out, const batch *b)
{
    for (uint32_t i = 0; i < b->nsel; i++) {
        uint32_t row = b->sel ? b->sel[i] : i;
        for (uint32_t c = 0; c < b->ncols; c++) {
            datum d = vec_datum(&b->cols[c], row);
            sbuf v;
            sbuf_init(&v, NULL);
            if (!d.null && type_phys(d.t) == PHYS_STR)
                sbuf_str(&v, d.s);
            else if (!d.null)
                datum_text(&d, &v);
            ref_put(out, v.p ? v.p : "", v.n, d.null);
            sbuf_free(&v);
        }
        sbuf_addc(out, '\n');
    }
}

static inline void *pieces_work(void *arg)
{
    pieces *ps = arg;
    csv_local *l = NULL;
    fz_error e = {0};
    batch b;
    batch_init(&b, NULL);
    fz_status st = csv_local_new(ps->s, &l, &e);
    csv_event ev = CSV_ROWS;
    while (st == FZ_OK && (ev == CSV_ROWS || ev == CSV_MORSEL_END)) {
        st = csv_next(ps->s, l, &b, &ev, &e);
        pthread_mutex_lock(&ps->lock);
        if (st == FZ_OK && ev == CSV_ROWS) {
            ps->p = realloc(ps->p, (ps->n + 1) * sizeof *ps->p);
            piece *p = &ps->p[ps->n++];
            *p = (piece){.morsel = b.morsel, .seq = b.seq, .n = b.nsel};
            sbuf_init(&p->text, NULL);
            rows_write(&p->text, &b);
        } else if (st == FZ_OK && ev == CSV_MORSEL_END) {
            ps->ends++;
        }
        pthread_mutex_unlock(&ps->lock);
    }
    pthread_mutex_lock(&ps->lock);
    if (st != FZ_OK && ps->st == FZ_OK) {
        ps->st = st;
        ps->err = e;
    }
    pthread_mutex_unlock(&ps->lock);
    batch_free(&b);
    csv_local_free(l);
    return NULL;
}

static inline int piece_cmp(const void *a, const void *b)
{
    const piece *x = a, *y = b;
    if (x->morsel != y->morsel)
        return x->morsel < y->morsel ? -1 : 1;
    return x->seq < y->seq ? -1 : x->seq > y->seq;
}

static inline void pieces_free(pieces *ps)
{
    for (size_t i = 0; i < ps->n; i++)
        sbuf_free(&ps->p[i].text);
    free(ps->p);
    ps->p = NULL;
    ps->n = 0;
}

static inline void outcome_error(outcome *o, fz_status st, const fz_error *e)
{
    o->st = st;
    o->line = e->line;
    o->column = e->column;
    o->offset = e->offset;
    snprintf(o->message, sizeof o->message, "%.255s", e->message);
    sbuf_clear(&o->rows);
    o->n = 0;
}

/* Reads a location to the end with `threads` workers; starts again where it must. */
static inline void csv_run(const char *location, const csv_options *opt, int threads, outcome *o)
{
    fz_error e = {0};
    *o = (outcome){.st = FZ_OK, .line = -1, .column = -1, .offset = -1};
    sbuf_init(&o->rows, NULL);
    pieces ps = {.st = FZ_OK};
    fz_status st = csv_open(location, opt, NULL, &ps.s, &e);
    if (st != FZ_OK) {
        outcome_error(o, st, &e);
        return;
    }
    pthread_mutex_init(&ps.lock, NULL);
    for (;;) {
        pthread_t th[8];
        for (int i = 0; i + 1 < threads; i++)
            pthread_create(&th[i], NULL, pieces_work, &ps);
        pieces_work(&ps);
        for (int i = 0; i + 1 < threads; i++)
            pthread_join(th[i], NULL);
        if (ps.st != FZ_OK || !csv_widened(ps.s))
            break;
        pieces_free(&ps);
        ps.ends = 0;
        o->restarts++;
        ps.st = csv_restart(ps.s, &ps.err);
        if (ps.st != FZ_OK)
            break;
    }
    if (ps.st != FZ_OK) {
        outcome_error(o, ps.st, &ps.err);
    } else {
        csv_info info;
        csv_describe(ps.s, &info);
        o->rejected = info.rows_rejected;
        if (ps.n)
            qsort(ps.p, ps.n, sizeof *ps.p, piece_cmp);
        for (size_t i = 0; i < ps.n; i++) {
            sbuf_add(&o->rows, ps.p[i].text.p, ps.p[i].text.n);
            o->n += ps.p[i].n;
        }
    }
    pieces_free(&ps);
    pthread_mutex_destroy(&ps.lock);
    csv_close(ps.s);
}

/* A file in memory that holds a text; `path` gets its name. Close the descriptor afterwards. */
static inline int memory_file(const char *text, size_t n, char path[64])
{
    int fd = memfd_create("csv", MFD_CLOEXEC);
    for (size_t k = 0; k < n;) {
        ssize_t w = write(fd, text + k, n - k);
        if (w <= 0)
            break;
        k += (size_t)w;
    }
    snprintf(path, 64, "/proc/self/fd/%d", fd);
    return fd;
}

static inline void csv_run_text(const char *text, size_t n, const csv_options *opt, int threads, outcome *o)
{
    char path[64];
    int fd = memory_file(text, n, path);
    csv_run(path, opt, threads, o);
    close(fd);
}

#endif
