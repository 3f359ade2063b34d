/*
 * next.c: a worker's side of reading: blocks into batches, misfits into errors, rejects or
 * widenings.
 */
#include "format/csv/frame.h"

#include <stdio.h>

#define INDEX_ENTRIES 4096 /* of a frame: list, fields and their text stay in the first-level cache */

/* ---- the local ---- */

fz_status csv_local_new(csv_source *s, csv_local **out, fz_error *err)
{
    csv_local *l = mem_zalloc(s->m, sizeof *l);
    if (!l)
        return error_nomem(err);
    l->s = s;
    l->nf = s->nfields ? s->nfields : 1;
    l->idx_cap = l->nf * 2 > INDEX_ENTRIES ? l->nf * 2 : INDEX_ENTRIES;
    l->rows_cap = l->idx_cap / l->nf;
    sbuf_init(&l->scratch, s->m);
    sbuf_init(&l->rejects, s->m);
    size_t entries = l->idx_cap + 64 + 16;
    l->idx = mem_alloc(s->m, (entries + 1) * sizeof *l->idx);
    l->beg = mem_alloc(s->m, entries * sizeof *l->beg);
    l->end = mem_alloc(s->m, entries * sizeof *l->end);
    l->row_start = mem_alloc(s->m, l->rows_cap * sizeof *l->row_start);
    l->row_end = mem_alloc(s->m, l->rows_cap * sizeof *l->row_end);
    l->todo = mem_alloc(s->m, l->rows_cap * sizeof *l->todo);
    l->wide = mem_alloc(s->m, l->rows_cap * sizeof *l->wide);
    l->data = mem_zalloc(s->m, s->nproj * sizeof *l->data);
    l->valid = mem_zalloc(s->m, s->nproj * sizeof *l->valid);
    l->has_null = mem_zalloc(s->m, s->nproj);
    l->undecided = mem_zalloc(s->m, s->nproj);
    l->drop = mem_zalloc(s->m, BATCH_ROWS);
    l->cols = mem_zalloc(s->m, s->ncols * sizeof *l->cols);
    if (!l->idx || !l->beg || !l->end || !l->row_start || !l->row_end || !l->todo || !l->wide || !l->data ||
        !l->valid || !l->has_null || !l->undecided || !l->drop || !l->cols) {
        csv_local_free(l);
        return error_nomem(err);
    }
    memcpy(l->cols, s->cols, s->ncols * sizeof *l->cols);
    for (uint32_t p = 0; p < s->nproj; p++)
        l->undecided[p] = s->cols[s->proj[p]].undecided;
    *out = l;
    return FZ_OK;
}

void csv_local_free(csv_local *l)
{
    if (!l)
        return;
    csv_source *s = l->s;
    if (l->block)
        source_block_done(s, l, NULL);
    buf_unref(l->mem);
    size_t entries = l->idx_cap + 64 + 16;
    mem_free(s->m, l->idx, (entries + 1) * sizeof *l->idx);
    mem_free(s->m, l->beg, entries * sizeof *l->beg);
    mem_free(s->m, l->end, entries * sizeof *l->end);
    mem_free(s->m, l->row_start, l->rows_cap * sizeof *l->row_start);
    mem_free(s->m, l->row_end, l->rows_cap * sizeof *l->row_end);
    mem_free(s->m, l->todo, l->rows_cap * sizeof *l->todo);
    mem_free(s->m, l->wide, l->rows_cap * sizeof *l->wide);
    mem_free(s->m, l->data, s->nproj * sizeof *l->data);
    mem_free(s->m, l->valid, s->nproj * sizeof *l->valid);
    mem_free(s->m, l->has_null, s->nproj);
    mem_free(s->m, l->undecided, s->nproj);
    mem_free(s->m, l->drop, BATCH_ROWS);
    mem_free(s->m, l->cols, s->ncols * sizeof *l->cols);
    mem_free(s->m, l->bad, l->capbad * sizeof *l->bad);
    sbuf_free(&l->scratch);
    sbuf_free(&l->rejects);
    mem_free(s->m, l, sizeof *l);
}

void local_place(const csv_local *l, uint32_t at, int64_t *line, int64_t *column)
{
    uint32_t bol = at;
    while (bol && l->text[bol - 1] != '\n' && l->text[bol - 1] != '\r')
        bol--;
    *line = l->line + (int64_t)text_lines(l->text, bol);
    *column = (int64_t)(at - bol) + 1;
}

fz_status local_bad(csv_local *l, uint32_t row, uint32_t col, conv why, fz_error *err)
{
    if (l->nbad == l->capbad) {
        uint32_t cap = l->capbad ? l->capbad * 2 : 64;
        csv_bad *b = mem_resize(l->s->m, l->bad, l->capbad * sizeof *b, cap * sizeof *b);
        if (!b)
            return error_nomem(err);
        l->bad = b;
        l->capbad = cap;
    }
    l->bad[l->nbad++] = (csv_bad){row, col, why};
    return FZ_OK;
}

/* ---- misfits ---- */

/* A value for a message: cut at a character, without control characters. */
static void value_show(str v, char *out, size_t cap)
{
    size_t n = v.n < cap - 4 ? v.n : utf8_valid_prefix((str){v.p, cap - 4});
    for (size_t i = 0; i < n; i++)
        out[i] = (unsigned char)v.p[i] < 32 || v.p[i] == 127 ? ' ' : v.p[i];
    if (n < v.n) {
        memcpy(out + n, "...", 3);
        n += 3;
    }
    out[n] = 0;
}

typedef struct bad_field {
    str value;       /* in the local's scratch or the text */
    uint32_t at;     /* where the field starts, with its quote */
} bad_field;

static fz_status bad_find(csv_local *l, const csv_frame *f, const csv_bad *b, bad_field *out, fz_error *err)
{
    uint32_t c = l->cols[b->col].field;
    uint32_t s = f->beg[b->row * f->stride + c] + f->bias, e = f->end[b->row * f->stride + c];
    bool quoted = l->s->d.quote && (uint8_t)f->text[(size_t)s - 1] == l->s->d.quote;
    out->at = s - quoted;
    if (e == 0) /* missing from its row */
        out->at = f->row_start[b->row * f->row_stride] + f->row_bias;
    return field_value(l, f->text + s, e - s, quoted, &out->value, err);
}

static fz_status bad_error(csv_local *l, const csv_frame *f, const csv_bad *b, fz_error *err)
{
    csv_source *s = l->s;
    bad_field x;
    TRY(bad_find(l, f, b, &x, err));
    char shown[128];
    value_show(x.value, shown, sizeof shown);
    str name = s->schema.cols[b->col].name;
    if (b->why == CONV_OK) {
        error_sql(err, FZ_VALUE, "23502", "column \"" STR_FMT "\" is NOT NULL, but this row has no value for it",
                  STR_ARG(name));
    } else {
        sbuf t;
        sbuf_init(&t, s->m);
        type_sql_name(l->cols[b->col].t, &t);
        error_sql(err, FZ_VALUE, b->why == CONV_BAD ? "22P02" : "22003", "column \"" STR_FMT "\": \"%s\" %s %s",
                  STR_ARG(name), shown,
                  b->why == CONV_BAD     ? "isn't a value of type"
                  : b->why == CONV_RANGE ? "is out of the range of type"
                                         : "has more digits than type",
                  t.p ? t.p : "?");
        sbuf_free(&t);
    }
    int64_t line, column;
    local_place(l, x.at, &line, &column);
    error_where(err, input_name(s->in));
    error_line(err, line, column);
    error_offset(err, (int64_t)(l->offset + x.at));
    return FZ_VALUE;
}

static bool bad_widens(const csv_local *l, const csv_bad *b)
{
    const csv_source *s = l->s;
    return l->cols[b->col].inferred && !s->o.strict && !atomic_load(&s->keep_types) && input_seekable(s->in);
}

/* Notes what a column has to become. */
static fz_status bad_widen(csv_local *l, const csv_frame *f, const csv_bad *b, fz_error *err)
{
    csv_source *s = l->s;
    const csv_column *col = &l->cols[b->col];
    csv_widening *w = &s->widenings[b->col];
    bad_field x;
    TRY(bad_find(l, f, b, &x, err));
    str v = str_trim(x.value);
    type to = col->undecided ? fit_type(fit_value(v)) : type_widen(col->t, v);
    pthread_mutex_lock(&s->lock);
    if (!w->set || l->morsel < w->morsel) {
        int64_t column;
        local_place(l, x.at, &w->line, &column);
        value_show(v, w->value, sizeof w->value);
        w->morsel = l->morsel;
    }
    type joined = w->set ? type_join(w->to, to) : to;
    if (!w->set || joined.id != w->to.id)
        atomic_fetch_add(&s->widened, 1);
    w->to = joined;
    w->set = true;
    atomic_store(&s->probing, true);
    pthread_mutex_unlock(&s->lock);
    return FZ_OK;
}

static void bad_reject(csv_local *l, const csv_frame *f, const csv_bad *b, uint32_t row0)
{
    if (l->drop[row0 + b->row])
        return;
    l->drop[row0 + b->row] = true;
    l->ndrop++;
    if (atomic_load_explicit(&l->s->probing, memory_order_relaxed))
        return;
    fz_error e = {0};
    bad_field x = {.at = f->row_start[b->row * f->row_stride] + f->row_bias};
    bad_error(l, f, b, &e);
    uint32_t start = x.at, end = f->row_end[b->row * f->row_stride];
    if (end > start && f->text[end] == '\n' && f->text[end - 1] == '\r')
        end--;
    row_reject(l, start, end, start, e.message);
}

/* After a frame: widenings first (they undo everything), else the first error in the file, or
 * rejects. A column that widened once in this frame isn't looked at again in it. */
static fz_status bad_handle(csv_local *l, const csv_frame *f, uint32_t row0, fz_error *err)
{
    csv_source *s = l->s;
    const csv_bad *first = NULL;
    for (uint32_t i = 0; i < l->nbad; i++) {
        const csv_bad *b = &l->bad[i];
        if (bad_widens(l, b)) {
            TRY(bad_widen(l, f, b, err));
        } else if (s->o.skip_errors) {
            bad_reject(l, f, b, row0);
        } else if (!first || b->row < first->row ||
                   (b->row == first->row && l->cols[b->col].field < l->cols[first->col].field)) {
            first = b;
        }
    }
    l->nbad = 0;
    if (!first)
        return FZ_OK;
    fz_status st = bad_error(l, f, first, err);
    if (l->cols[first->col].inferred && !s->o.strict)
        error_hint(err, "%s", atomic_load(&s->keep_types)
                                  ? "rows were returned already; name the column's type, or let more of the file be looked at"
                                  : "name the column's type with --types, or raise --spool-limit");
    return st;
}

/* ---- batches ---- */

#define ALIGN64(n) (((size_t)(n) + 63) & ~(size_t)63)

/* While probing, a widened column goes on with its new type, so that only what doesn't fit that
 * one is a misfit again. */
static void columns_refresh(csv_local *l)
{
    csv_source *s = l->s;
    if (l->widened == atomic_load_explicit(&s->widened, memory_order_relaxed))
        return;
    pthread_mutex_lock(&s->lock);
    l->widened = atomic_load(&s->widened);
    for (uint32_t p = 0; p < s->nproj; p++) {
        csv_column *c = &l->cols[s->proj[p]];
        if (s->widenings[s->proj[p]].set) {
            c->t = s->widenings[s->proj[p]].to;
            c->undecided = l->undecided[p] = false;
            c->nulls_first = nulls_look_like(s, c->t);
        }
    }
    pthread_mutex_unlock(&s->lock);
}

static fz_status batch_begin(csv_local *l, fz_error *err)
{
    csv_source *s = l->s;
    columns_refresh(l);
    bool text = false;
    size_t total = 0, bitmap = ALIGN64(BITMAP_WORDS(l->cap) * 8);
    for (uint32_t p = 0; p < s->nproj; p++)
        total += ALIGN64(phys_size(type_phys(l->cols[s->proj[p]].t)) * (size_t)l->cap) + bitmap;
    l->mem = blockpool_get(s->pool, total + 64);
    if (!l->mem)
        return error_nomem(err);
    char *at = (char *)l->mem->data;
    for (uint32_t p = 0; p < s->nproj; p++) {
        l->data[p] = at;
        at += ALIGN64(phys_size(type_phys(l->cols[s->proj[p]].t)) * (size_t)l->cap);
        l->valid[p] = (uint64_t *)(void *)at;
        at += bitmap;
        l->has_null[p] = false;
        text |= l->cols[s->proj[p]].t.id == T_STRING;
    }
    l->extra = NULL;
    l->ndrop = 0;
    TRY(batch_keep(l->out, l->mem, err));
    buf_unref(l->mem); /* the batch's reference stays */
    l->mem = NULL;
    return text ? batch_keep(l->out, l->block, err) : FZ_OK;
}

static fz_status batch_finish(csv_local *l, uint32_t rows, fz_error *err)
{
    csv_source *s = l->s;
    batch *b = l->out;
    TRY(batch_columns(b, s->nproj, err));
    for (uint32_t p = 0; p < s->nproj; p++) {
        const csv_column *col = &l->cols[s->proj[p]];
        if (col->field == UINT32_MAX) {
            datum null = DATUM_NULL(col->t);
            TRY(vec_const(&b->cols[p], &null, rows, &b->mem, err));
        } else {
            b->cols[p] = (vec){.t = col->t, .enc = VEC_FLAT, .len = rows, .data = l->data[p],
                               .valid = l->has_null[p] ? l->valid[p] : NULL};
        }
    }
    b->nrows = b->nsel = rows;
    if (l->ndrop) {
        uint16_t *sel = arena_alloc(&b->mem, rows * sizeof *sel);
        if (!sel)
            return error_nomem(err);
        b->nsel = 0;
        for (uint32_t r = 0; r < rows; r++)
            if (!l->drop[r])
                sel[b->nsel++] = (uint16_t)r;
        b->sel = sel;
        memset(l->drop, 0, rows);
    }
    b->morsel = l->morsel;
    b->seq = l->seq++;
    b->stable = true;
    return FZ_OK;
}

/* Up to l->cap rows of the block; *rows 0: none are left. */
static fz_status batch_read(csv_local *l, uint32_t *rows, fz_error *err)
{
    *rows = 0;
    while (*rows < l->cap) {
        csv_frame f;
        TRY(frame_next(l, l->cap - *rows, &f, err));
        if (f.n == 0)
            break;
        if (*rows == 0)
            TRY(batch_begin(l, err));
        for (uint32_t p = 0; p < l->s->nproj; p++)
            TRY(column_convert(l, p, &f, *rows, err));
        if (l->nbad)
            TRY(bad_handle(l, &f, *rows, err));
        *rows += f.n;
    }
    if (*rows)
        TRY(batch_finish(l, *rows, err));
    return FZ_OK;
}

/* The worker's block failed: its error counts if none before it in the file does. */
static fz_status local_fail(csv_local *l, const fz_error *e, csv_event *ev, fz_error *err)
{
    csv_source *s = l->s;
    pthread_mutex_lock(&s->lock);
    source_fail(s, l->morsel, e);
    pthread_mutex_unlock(&s->lock);
    l->nbad = 0;
    memset(l->drop, 0, BATCH_ROWS);
    source_block_done(s, l, NULL);
    l->ended = true;
    return source_end(s, ev, err);
}

fz_status csv_next(csv_source *s, csv_local *l, batch *out, csv_event *ev, fz_error *err)
{
    fz_error e = {.offset = -1, .line = -1, .column = -1};
    batch_reset(out);
    *ev = CSV_END;
    l->out = out;
    if (l->ended)
        return FZ_OK;
    for (;;) {
        bool got = l->block != NULL;
        if (!got)
            TRY(source_block(s, l, &got, err));
        if (!got) {
            l->ended = true;
            return source_end(s, ev, err);
        }
        uint32_t rows;
        fz_status st = batch_read(l, &rows, &e);
        if (st != FZ_OK) {
            batch_reset(out);
            return local_fail(l, &e, ev, err);
        }
        bool probing = atomic_load_explicit(&s->probing, memory_order_relaxed);
        if (rows && out->nsel && !probing) {
            *ev = CSV_ROWS;
            return FZ_OK;
        }
        batch_reset(out);
        if (rows)
            continue;
        st = source_block_done(s, l, &e);
        if (st != FZ_OK) {
            pthread_mutex_lock(&s->lock);
            source_fail(s, l->morsel, &e);
            pthread_mutex_unlock(&s->lock);
            l->ended = true;
            return source_end(s, ev, err);
        }
        if (!probing) {
            out->morsel = l->morsel;
            *ev = CSV_MORSEL_END;
            return FZ_OK;
        }
    }
}
