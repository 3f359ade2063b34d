/*
 * handout.c: the serial part of reading: the text is cut into blocks of whole records, which are handed to workers.
 *
 * Under the source's lock a block is filled with what was left over (`carry`) and then from the input, and cut behind its last whole
 * record; the rest is the carry of the next one. Where each line is a record (LAYOUT_LINES) that is the last line end: a string can't
 * hold one. Else brackets are counted, outside of strings, from the start of the block, which is between two records; a block of an
 * array ends behind a comma between records, or with the array's end. A block in which no record ends is doubled, up to
 * max_record_bytes.
 */
#include "format/json/json_int.h"

#include <errno.h>
#include <unistd.h>

#define PAD 64 /* zero bytes behind the text */

int64_t text_line_ends(const char *t, size_t n)
{
    int64_t lines = 0;
    while (n) {
        size_t k = n < 16384 ? n : 16384;
        uint32_t part = 0;
        for (size_t i = 0; i < k; i++)
            part += t[i] == '\n';
        lines += part;
        t += k;
        n -= k;
    }
    return lines;
}

/* Behind the string that begins before p, or NULL: it doesn't end. No escapes are checked. */
static const char *string_pass(const char *p, const char *end)
{
    while (p < end) {
        p = json_plain(p);
        if (p >= end)
            break;
        if (*p == '"')
            return p + 1;
        p += *p == '\\' ? 2 : 1;
    }
    return NULL;
}

size_t records_end(layout lay, const char *t, size_t n, bool *closed)
{
    *closed = false;
    if (lay == LAYOUT_LINES) {
        const char *nl = memrchr(t, '\n', n);
        return nl ? (size_t)(nl - t) + 1 : 0;
    }
    static const uint8_t kind[256] = {['"'] = 1, ['{'] = 2, ['['] = 2, ['}'] = 3, [']'] = 3, [','] = 4};
    size_t last = 0;
    uint64_t depth = 0;
    for (const char *p = t, *end = t + n; p < end;) {
        switch (kind[(unsigned char)*p++]) {
        case 0:
            break;
        case 1:
            if (!(p = string_pass(p, end)))
                return last;
            break;
        case 2:
            depth++;
            break;
        case 3:
            if (depth == 0) {
                *closed = lay == LAYOUT_ARRAY && p[-1] == ']';
                return (size_t)(p - t); /* the array's end, or a bracket too many, which the worker finds */
            }
            if (--depth == 0 && lay == LAYOUT_VALUES)
                last = (size_t)(p - t);
            break;
        case 4:
            if (depth == 0 && lay == LAYOUT_ARRAY)
                last = (size_t)(p - t);
            break;
        }
    }
    return last;
}

/* Adds text to a block of n bytes until it has `want`. *carried: all came from the carry. */
static fz_status block_fill(json_rows *s, char *t, size_t *n, size_t want, bool *carried, fz_error *err)
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

static fz_status carry_back(json_rows *s, const char *p, size_t n, bool carried, fz_error *err)
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

static fz_status too_long(json_rows *s, fz_error *err)
{
    error_set(err, FZ_DATA, "a record has more than the %zu bytes that one may have", s->o.max_record_bytes);
    error_where(err, input_name(s->in));
    error_line(err, s->line, (int64_t)s->line_start + 1);
    error_offset(err, (int64_t)s->offset);
    return FZ_DATA;
}

static fz_status block_cut(json_rows *s, buf **block, size_t *out_n, bool *last, fz_error *err)
{
    size_t n = 0, want = s->o.block_bytes;
    bool carried;
    *last = false;
    for (;;) {
        char *t = (char *)(*block)->data;
        TRY(block_fill(s, t, &n, want, &carried, err));
        memset(t + n, 0, PAD);
        bool final = s->eof && s->carry_at == s->carry_n;
        if (n == 0) {
            *out_n = 0;
            return FZ_OK;
        }
        bool closed;
        size_t end = records_end(s->layout, t, n, &closed);
        if (final && !closed && s->layout != LAYOUT_ARRAY)
            end = n;
        if (final && end == 0)
            end = n;
        if (end) {
            TRY(carry_back(s, t + end, n - end, carried, err));
            memset(t + end, 0, n - end < PAD ? n - end : PAD);
            *out_n = end;
            *last = closed;
            return FZ_OK;
        }
        if (n >= s->o.max_record_bytes)
            return too_long(s, err);
        want = want * 2 < s->o.max_record_bytes ? want * 2 : s->o.max_record_bytes;
        buf *larger = blockpool_get(s->pool, want + PAD);
        if (!larger)
            return error_nomem(err);
        memcpy(larger->data, t, n);
        buf_unref(*block);
        *block = larger;
    }
}

/* Behind the array's end there is nothing but white space. */
static fz_status tail_check(json_rows *s, fz_error *err)
{
    char tmp[4096];
    for (;;) {
        const char *p = s->carry + s->carry_at;
        size_t n = s->carry_n - s->carry_at;
        for (size_t i = 0; i < n; i++)
            if (!json_is_space(p[i])) {
                error_set(err, FZ_DATA, "text follows the array's end");
                error_where(err, input_name(s->in));
                error_offset(err, (int64_t)(s->offset + i));
                error_line(err, s->line + text_line_ends(p, i), -1);
                return FZ_DATA;
            }
        s->offset += n;
        s->line += text_line_ends(p, n);
        s->carry_at = s->carry_n = 0;
        if (s->eof)
            return FZ_OK;
        size_t got;
        TRY(input_read(s->in, tmp, sizeof tmp, &got, err));
        s->eof = got < sizeof tmp;
        TRY(carry_back(s, tmp, got, false, err));
    }
}

void rows_fail(json_rows *s, uint64_t morsel, const fz_error *err)
{
    if (!s->failed || morsel < s->failed_morsel) {
        s->error = *err;
        s->failed_morsel = morsel;
    }
    s->failed = true;
}

/* Takes over a block of n bytes. */
static void hand_out(json_rows *s, json_local *l, buf *b, size_t n, bool last)
{
    l->block = b;
    l->text = (char *)b->data;
    l->n = (uint32_t)n;
    l->offset = s->offset;
    l->line = s->line;
    l->line_start = s->line_start;
    l->lines = text_line_ends(l->text, n);
    l->last = last;
    l->morsel = s->morsel++;
    const char *nl = memrchr(l->text, '\n', n);
    s->line_start = nl ? (size_t)(l->text + n - nl - 1) : s->line_start + n;
    s->offset += n;
    s->line += l->lines;
    s->closed |= last;
    s->active++;
}

fz_status rows_block(json_rows *s, json_local *l, bool *got, fz_error *err)
{
    *got = false;
    pthread_mutex_lock(&s->lock);
    s->started = true;
    if (s->done || s->failed) {
        pthread_mutex_unlock(&s->lock);
        return FZ_OK;
    }
    fz_error e = {.status = FZ_OK, .offset = -1, .line = -1, .column = -1};
    buf *b = NULL;
    size_t n = 0;
    bool last = false;
    fz_status st = FZ_OK;
    if (s->o.j && job_stopped(s->o.j))
        st = error_set(&e, FZ_CANCELLED, "cancelled");
    else if (s->closed)
        st = tail_check(s, &e);
    else if (!(b = blockpool_get(s->pool, s->o.block_bytes + PAD)))
        st = error_nomem(&e);
    else
        st = block_cut(s, &b, &n, &last, &e);
    if (st == FZ_OK && n == 0 && s->layout == LAYOUT_ARRAY && !s->closed) {
        st = error_set(&e, FZ_DATA, "the array isn't closed before the end of the input");
        error_where(&e, input_name(s->in));
        error_line(&e, s->line, (int64_t)s->line_start + 1);
        error_offset(&e, (int64_t)s->offset);
    }
    if (st != FZ_OK) {
        rows_fail(s, s->morsel, &e);
    } else if (n == 0) {
        s->done = true;
    } else {
        hand_out(s, l, b, n, last);
        *got = true;
        b = NULL;
    }
    pthread_mutex_unlock(&s->lock);
    buf_unref(b);
    return FZ_OK;
}

static fz_status rejects_write(json_rows *s, json_local *l, fz_error *err)
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
            return error_errno(err, k < 0 ? errno : ENOSPC, s->o.reject_path, "can't write the rejected records");
        p += k;
        n -= (size_t)k;
    }
    sbuf_clear(&l->rejects);
    return FZ_OK;
}

fz_status rows_block_done(json_rows *s, json_local *l, fz_error *err)
{
    fz_status st = FZ_OK;
    pthread_mutex_lock(&s->lock);
    s->active--;
    if (l->probe && !s->failed) {
        st = tally_merge(s->root, l->probe, &s->a, err);
        l->probe = NULL;
    }
    if (l->nrejects) {
        s->rejected += l->nrejects;
        if (!atomic_load(&s->probing) && !st)
            st = rejects_write(s, l, err);
    }
    pthread_mutex_unlock(&s->lock);
    l->nrejects = 0;
    buf_unref(l->block);
    l->block = NULL;
    return st;
}

static void tell(json_rows *s)
{
    if (s->told)
        return;
    s->told = true;
    if (s->rejected)
        log_msg(s->o.log, LOG_NOTICE, "%s: %lld record%s left out because of errors%s%s", input_name(s->in), (long long)s->rejected,
                s->rejected == 1 ? " was" : "s were", s->o.reject_path ? "; see " : "", s->o.reject_path ? s->o.reject_path : "");
}

fz_status rows_end(json_rows *s, json_event *ev, fz_error *err)
{
    fz_status st = FZ_OK;
    *ev = JSON_ROWS_END;
    pthread_mutex_lock(&s->lock);
    if (s->failed) {
        if (s->active == 0) {
            st = s->error.status;
            if (err)
                *err = s->error;
        }
    } else if (atomic_load(&s->probing)) {
        *ev = JSON_ROWS_WIDEN;
    } else if (s->active == 0) {
        tell(s);
    }
    pthread_mutex_unlock(&s->lock);
    return st;
}
