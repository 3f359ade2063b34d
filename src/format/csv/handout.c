/*
 * handout.c: the serial part of reading: the text is cut into blocks of whole rows, which are
 * handed to workers.
 *
 * Under the source's lock: a block is filled with what was left over (`carry`) and then from
 * the input, surveyed (one pass at memory speed), and cut behind its last whole row; the rest
 * becomes the carry of the next one. A block in which no row ends is doubled, up to
 * max_record_bytes. The line number, offset and ordinal of a block are exact for that reason.
 */
#include "format/csv/csv_int.h"

#include <errno.h>
#include <unistd.h>

#define HEAD 64 /* bytes before the text; the last is a line feed */

static char *block_text(buf *b) { return (char *)b->data + HEAD; }

static buf *block_new(csv_source *s, size_t room)
{
    buf *b = blockpool_get(s->pool, room + HEAD + 64);
    if (b)
        memset(b->data, '\n', HEAD);
    return b;
}

/* Adds text to a block of n bytes until it has `want`. *carried: all came from the carry. */
static fz_status block_fill(csv_source *s, char *t, size_t *n, size_t want, bool *carried, fz_error *err)
{
    size_t left = s->carry_n - s->carry_at, k = want - *n < left ? want - *n : left;
    if (k)
        memcpy(t + *n, s->carry + s->carry_at, k);
    s->carry_at += k;
    *n += k;
    *carried = *n == want || s->carry_at < s->carry_n;
    if (*n < want && !s->eof) {
        size_t got;
        *carried = false;
        TRY(input_read(s->in, t + *n, want - *n, &got, err));
        s->eof = got < want - *n;
        *n += got;
    }
    return FZ_OK;
}

/* Gives the last `n` bytes of what was taken back to the carry. */
static fz_status carry_back(csv_source *s, const char *p, size_t n, bool carried, fz_error *err)
{
    if (carried) {
        s->carry_at -= n;
        return FZ_OK;
    }
    if (n > s->carry_cap) {
        char *c = mem_resize(s->m, s->carry, s->carry_cap, n);
        if (!c)
            return error_nomem(err);
        s->carry = c;
        s->carry_cap = n;
    }
    if (n)
        memcpy(s->carry, p, n);
    s->carry_at = 0;
    s->carry_n = n;
    return FZ_OK;
}

static fz_status fail_at(csv_source *s, const char *t, size_t at, fz_error *err, fz_status st)
{
    size_t bol = at;
    while (bol && t[bol - 1] != '\n' && t[bol - 1] != '\r')
        bol--;
    error_where(err, input_name(s->in));
    error_line(err, s->line + (int64_t)text_lines(t, bol), (int64_t)(at - bol) + 1);
    error_offset(err, (int64_t)(s->offset + at));
    return st;
}

static fz_status open_quote(csv_source *s, const char *t, size_t n, bool at_end, fz_error *err)
{
    text_split sp;
    text_split_exact(t, n, &s->d, &sp);
    if (at_end)
        error_set(err, FZ_DATA, "the quote that opens here isn't closed before the end of the input");
    else
        error_set(err, FZ_DATA, "the quote that opens here isn't closed within the %zu bytes that a row may have",
                  s->o.max_record_bytes);
    return fail_at(s, t, sp.open_at, err, FZ_DATA);
}

static fz_status block_cut(csv_source *s, buf **block, size_t *out_n, scan_survey *sv, bool *clean, fz_error *err)
{
    size_t n = 0, want = s->o.block_bytes;
    bool carried;
    for (;;) {
        char *t = block_text(*block);
        TRY(block_fill(s, t, &n, want, &carried, err));
        bool final = s->eof && s->carry_at == s->carry_n;
        if (n == 0) {
            *out_n = 0;
            return FZ_OK;
        }
        if (final && t[n - 1] != '\n')
            t[n++] = '\n';
        s->ops->survey(t, n, s->d.quote, sv);
        text_split sp;
        text_split_rows(t, n, &s->d, s->ops, sv, &sp);
        if (final && sp.open && sp.end == 0) /* rows before it are handed out first */
            return open_quote(s, t, n, true, err);
        if (sp.end) {
            if (sp.end < n && (sv->quote || sv->cr)) {
                scan_survey tail;
                s->ops->survey(t + sp.end, n - sp.end, s->d.quote, &tail);
                sv->lines -= tail.lines;
            }
            TRY(carry_back(s, t + sp.end, n - sp.end, carried, err));
            *out_n = sp.end;
            *clean = sp.clean;
            return FZ_OK;
        }
        if (n >= s->o.max_record_bytes) {
            if (sp.open)
                return open_quote(s, t, n, false, err);
            error_set(err, FZ_DATA, "a row has more than the %zu bytes that one may have", s->o.max_record_bytes);
            return fail_at(s, t, 0, err, FZ_DATA);
        }
        want = want * 2 < s->o.max_record_bytes ? want * 2 : s->o.max_record_bytes;
        buf *larger = block_new(s, want);
        if (!larger)
            return error_nomem(err);
        memcpy(block_text(larger), t, n);
        buf_unref(*block);
        *block = larger;
    }
}

void source_fail(csv_source *s, uint64_t morsel, const fz_error *err)
{
    if (!s->failed || morsel < s->failed_morsel) {
        s->error = *err;
        s->failed_morsel = morsel;
    }
    s->failed = true;
}

fz_status source_block(csv_source *s, csv_local *l, bool *got, fz_error *err)
{
    *got = false;
    pthread_mutex_lock(&s->lock);
    s->started = true;
    if (s->done || s->failed) {
        pthread_mutex_unlock(&s->lock);
        return FZ_OK;
    }
    fz_error e = {.status = FZ_OK, .offset = -1, .line = -1, .column = -1};
    buf *b = block_new(s, s->o.block_bytes);
    fz_status st = b ? FZ_OK : error_nomem(&e);
    size_t n = 0;
    scan_survey sv = {0};
    bool clean = true;
    if (st == FZ_OK && s->o.j && job_stopped(s->o.j))
        st = error_set(&e, FZ_CANCELLED, "cancelled");
    if (st == FZ_OK)
        st = block_cut(s, &b, &n, &sv, &clean, &e);
    if (st != FZ_OK) {
        source_fail(s, s->morsel, &e);
    } else if (n == 0) {
        s->done = true;
    } else {
        l->block = b;
        l->text = block_text(b);
        l->n = (uint32_t)n;
        l->offset = s->offset;
        l->line = s->line;
        l->lines = sv.lines;
        l->morsel = s->morsel++;
        s->offset += n;
        s->line += (int64_t)sv.lines;
        s->active++;
        *got = true;
        b = NULL;
    }
    pthread_mutex_unlock(&s->lock);
    buf_unref(b);
    if (!*got)
        return FZ_OK;
    /* what follows needs no lock */
    memset(l->text + n, 0, 64);
    l->seq = 0;
    l->pos = 0;
    l->listing = false;
    l->exact_left = 0;
    l->exact_step = 8;
    l->check = sv.nul || (sv.high && utf8_valid_prefix((str){l->text, n}) != n);
    bool exact = l->check || !clean || (s->d.escape && sv.quote) ||
                 (s->d.comment && memchr(l->text, s->d.comment, n));
    l->mode = exact ? MODE_EXACT : sv.quote || sv.cr ? MODE_QUOTED : MODE_PLAIN;
    uint64_t batches = (l->lines + BATCH_ROWS - 1) / BATCH_ROWS;
    l->cap = batches ? (uint32_t)((l->lines + batches - 1) / batches) : 1;
    return FZ_OK;
}

static fz_status rejects_write(csv_source *s, csv_local *l, fz_error *err)
{
    const char *p = l->rejects.p;
    size_t n = l->rejects.n;
    if (l->rejects.failed)
        return error_nomem(err);
    while (n && s->reject_fd >= 0) {
        ssize_t k = write(s->reject_fd, p, n);
        if (k < 0 && errno == EINTR)
            continue;
        if (k <= 0)
            return error_errno(err, k < 0 ? errno : ENOSPC, s->o.reject_path, "can't write the rejected rows");
        p += k;
        n -= (size_t)k;
    }
    sbuf_clear(&l->rejects);
    return FZ_OK;
}

fz_status source_block_done(csv_source *s, csv_local *l, fz_error *err)
{
    fz_status st = FZ_OK;
    pthread_mutex_lock(&s->lock);
    s->active--;
    if (l->nrejects) {
        s->rejected += l->nrejects;
        if (!atomic_load(&s->probing))
            st = rejects_write(s, l, err);
    }
    if (l->nshort) {
        if (!s->rows_short || l->short_line < s->short_line)
            s->short_line = l->short_line;
        s->rows_short += l->nshort;
    }
    pthread_mutex_unlock(&s->lock);
    l->nrejects = l->nshort = 0;
    buf_unref(l->block);
    l->block = NULL;
    return st;
}

/* The notices that can only be given at the end. */
static void tell(csv_source *s)
{
    if (s->told)
        return;
    s->told = true;
    if (s->rows_short)
        log_msg(s->o.log, LOG_NOTICE,
                "%s: %lld row%s fewer than %u fields (the first in line %lld); the missing ones are NULL",
                input_name(s->in), (long long)s->rows_short, s->rows_short == 1 ? " has" : "s have", s->nfields,
                (long long)s->short_line);
    if (s->rejected)
        log_msg(s->o.log, LOG_NOTICE, "%s: %lld row%s left out because of errors%s%s", input_name(s->in),
                (long long)s->rejected, s->rejected == 1 ? " was" : "s were", s->o.reject_path ? "; see " : "",
                s->o.reject_path ? s->o.reject_path : "");
}

fz_status source_end(csv_source *s, csv_event *ev, fz_error *err)
{
    fz_status st = FZ_OK;
    *ev = CSV_END;
    pthread_mutex_lock(&s->lock);
    if (s->failed) {
        if (s->active == 0) {
            st = s->error.status;
            if (err)
                *err = s->error;
        }
    } else if (atomic_load(&s->probing)) {
        *ev = CSV_WIDEN;
    } else if (s->active == 0) {
        tell(s);
    }
    pthread_mutex_unlock(&s->lock);
    return st;
}
