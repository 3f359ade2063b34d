/*
 * next.c: a worker's side of reading: blocks into batches; what is wrong with a record into an error, a reject or a wider type.
 *
 * Once a misfit was met anywhere (`probing`), workers emit nothing any more: they take the values of their blocks into account, so that one
 * restart is enough in nearly all cases.
 */
#include "format/json/json_int.h"

#include "format/csv/csv_write.h"

#define ROWS_FIRST 256 /* of the first batch where lines don't tell how many records a block has */

fz_status json_local_new(json_rows *s, json_local **out, fz_error *err)
{
    json_local *l = mem_zalloc(s->m, sizeof *l);
    if (!l)
        return error_nomem(err);
    l->s = s;
    arena_init(&l->a, s->m);
    arena_init(&l->tally_mem, s->m);
    sbuf_init(&l->scratch, s->m);
    sbuf_init(&l->rejects, s->m);
    fz_status st = nodes_make(l, err);
    if (st) {
        json_local_free(l);
        return st;
    }
    *out = l;
    return FZ_OK;
}

void json_local_free(json_local *l)
{
    if (!l)
        return;
    json_rows *s = l->s;
    if (l->block)
        rows_block_done(s, l, NULL);
    if (l->g.cols)
        grow_free(&l->g);
    sbuf_free(&l->scratch);
    sbuf_free(&l->rejects);
    arena_free(&l->tally_mem);
    arena_free(&l->a);
    mem_free(s->m, l, sizeof *l);
}

/* ---- errors ---- */

static void place(const json_local *l, uint32_t at, int64_t *line, int64_t *column)
{
    const char *nl = memrchr(l->text, '\n', at);
    *line = l->line + text_line_ends(l->text, at);
    *column = nl ? l->text + at - nl : (int64_t)(l->line_start + at) + 1;
}

static fz_status error_at(json_local *l, uint32_t at, fz_error *err)
{
    int64_t line, column;
    place(l, at, &line, &column);
    error_where(err, input_name(l->s->in));
    error_line(err, line, column);
    error_offset(err, (int64_t)(l->offset + at));
    return err ? err->status : FZ_DATA;
}

/* A value or key for a message: cut at a character, without control characters. */
static void show(const char *from, char *out, size_t cap)
{
    json_fault f;
    const char *end = json_value_skip(from, &f);
    if (!end)
        end = from + 1;
    str v = {from, (size_t)(end - from)};
    if (v.n >= 2 && *v.p == '"')
        v = (str){v.p + 1, v.n - 2};
    size_t n = v.n < cap - 4 ? v.n : utf8_valid_prefix((str){v.p, cap - 4});
    for (size_t i = 0; i < n; i++)
        out[i] = (unsigned char)v.p[i] < 32 || v.p[i] == 127 ? ' ' : v.p[i];
    if (n < v.n) {
        memcpy(out + n, "...", 3);
        n += 3;
    }
    out[n] = 0;
}

static void value_error(json_local *l, const char *shown, fz_error *err)
{
    sbuf t;
    sbuf_init(&t, l->s->m);
    type_sql_name(l->node->t, &t);
    error_sql(err, FZ_VALUE, l->conv == CONV_RANGE ? "22003" : "22P02", "\"" STR_FMT "\": \"%s\" %s %s", STR_ARG(l->node->name), shown,
              l->conv == CONV_RANGE     ? "is out of the range of type"
              : l->conv == CONV_INEXACT ? "has more digits than type"
                                        : "isn't a value of type",
              t.p ? t.p : "?");
    sbuf_free(&t);
}

/* The error of the record's fault. */
static fz_status record_error(json_local *l, fz_error *err)
{
    const json_rows *s = l->s;
    char shown[128] = "";
    const char *at = l->why == WHY_SYNTAX ? l->fault.at : l->value;
    if (l->value && l->why != WHY_SYNTAX)
        show(l->value, shown, sizeof shown);
    switch (l->why) {
    case WHY_SYNTAX:
        error_set(err, FZ_DATA, "%s", l->fault.what);
        break;
    case WHY_MISFIT:
    case WHY_VALUE:
        value_error(l, shown, err);
        break;
    case WHY_KEY:
        if (s->ngiven && (l->node == &l->root || !l->node)) {
            error_set(err, FZ_INVALID, "the table has no column \"%s\"", shown);
        } else if (l->node == &l->root || !l->node) {
            error_set(err, FZ_VALUE, "the key \"%s\" isn't among the columns", shown);
        } else {
            error_set(err, FZ_VALUE, "the key \"%s\" isn't a member of \"" STR_FMT "\"", shown, STR_ARG(l->node->name));
        }
        break;
    case WHY_NULL:
        error_sql(err, FZ_VALUE, "23502", "column \"" STR_FMT "\" is NOT NULL, but this record has no value for it", STR_ARG(l->node->name));
        break;
    case WHY_TWICE:
        error_set(err, FZ_DATA, "the key \"%s\" stands twice in an object", shown);
        break;
    default:
        if (err)
            *err = l->error;
        if (l->status == FZ_NOMEM)
            error_nomem(err);
        return l->status;
    }
    fz_status st = err ? err->status : FZ_DATA;
    error_at(l, (uint32_t)(at - l->text), err);
    if ((l->why == WHY_MISFIT || (l->why == WHY_KEY && !s->ngiven)) && !s->o.strict)
        error_hint(err, "%s", atomic_load(&s->keep_types)
                                  ? "rows were returned already; name the column's type, or let more of the file be looked at"
                                  : "name the column's type with --types, or raise --spool-limit");
    return st;
}

/* The part of the record from `from` on: for the reject file; where each line is a record, to the end of the line. */
static uint32_t reject(json_local *l, uint32_t from)
{
    fz_error e = {.offset = -1, .line = -1, .column = -1};
    record_error(l, &e);
    int64_t line, column;
    from = (uint32_t)(json_ws(l->text + from) - l->text);
    place(l, from, &line, &column);
    const char *end;
    if (l->s->layout == LAYOUT_LINES) {
        end = memchr(l->text + from, '\n', l->n - from);
        end = end ? end : l->text + l->n;
    } else {
        json_fault f;
        end = json_value_skip(l->text + from, &f);
        end = end ? end : l->text + l->n;
    }
    l->nrejects++;
    if (l->s->reject_fd >= 0) {
        sbuf_i64(&l->rejects, line);
        sbuf_addc(&l->rejects, ',');
        csv_write_field(&l->rejects, str_of(e.message));
        sbuf_addc(&l->rejects, ',');
        csv_write_field(&l->rejects, (str){l->text + from, (size_t)(end - l->text) - from});
        sbuf_addc(&l->rejects, '\n');
    }
    return (uint32_t)(end - l->text);
}

static bool may_widen(const json_local *l)
{
    const json_rows *s = l->s;
    bool key = l->why == WHY_KEY && !s->ngiven && l->node && (l->node == &l->root || l->node->inferred);
    return (l->why == WHY_MISFIT || key) && !s->o.strict && !atomic_load(&s->keep_types) && input_seekable(s->in);
}

/* Notes the first misfit of the file, for the notice, and lets everybody probe. */
static void widen(json_local *l)
{
    json_rows *s = l->s;
    char shown[64];
    int64_t line, column;
    show(l->value, shown, sizeof shown);
    place(l, (uint32_t)(l->value - l->text), &line, &column);
    pthread_mutex_lock(&s->lock);
    if (!s->misfit_set || l->morsel < s->misfit_morsel) {
        s->misfit_set = true;
        s->misfit_morsel = l->morsel;
        s->misfit_line = line;
        sbuf b;
        sbuf_init(&b, s->m);
        if (l->why == WHY_KEY)
            sbuf_printf(&b, "has the key \"%s\"", shown);
        else
            sbuf_printf(&b, "has \"%s\" for \"" STR_FMT "\"", shown, STR_ARG(l->node->name));
        size_t n = b.failed ? 0 : utf8_valid_prefix((str){b.p, b.n < sizeof s->misfit ? b.n : sizeof s->misfit - 1});
        if (n)
            memcpy(s->misfit, b.p, n);
        s->misfit[n] = 0;
        sbuf_free(&b);
    }
    atomic_store(&s->probing, true);
    pthread_mutex_unlock(&s->lock);
}

/* ---- blocks ---- */

/* A text's records, one after the other. */
typedef struct walk {
    const json_rows *s;
    const char *text;
    size_t n, pos;
    bool starts;  /* the text is the start of the data */
    bool ends;    /* the array's end is in it */
    bool first;   /* no record of it was passed */
} walk;

/* What stands between two records, from behind one (or the text's start) to the next; *more false: there is none. False: the fault. */
static bool next_record(walk *w, bool *more, json_fault *f)
{
    const char *from = w->text + w->pos, *end = w->text + w->n, *p = json_ws(from);
    bool first = w->first;
    *more = false;
    w->first = false;
    if (w->s->layout != LAYOUT_ARRAY) {
        if (p >= end) {
            w->pos = w->n;
            return true;
        }
        if (!first && p == from && w->s->layout == LAYOUT_LINES) {
            *f = (json_fault){"text follows a record", p};
            return false;
        }
    } else {
        if (*p == ']' && w->ends && p + 1 == end && (!first || w->starts)) {
            w->pos = w->n;
            return true;
        }
        if (!first) {
            if (*p != ',') {
                *f = (json_fault){p >= end ? "the array isn't closed before the end of the input" : "a comma or ] is due here", p};
                return false;
            }
            p = json_ws(p + 1);
            if (p >= end) {
                w->pos = w->n;
                return true;
            }
        }
        if (p >= end) {
            *f = (json_fault){"the array isn't closed before the end of the input", p};
            return false;
        }
    }
    *more = true;
    w->pos = (size_t)(p - w->text);
    return true;
}

static fz_status tally_error(fz_status st, fz_error *err)
{
    return st == FZ_NOMEM ? error_nomem(err) : error_set(err, FZ_LIMIT, "the records have more than %d keys", JSON_COLUMNS_MAX);
}

/* Behind a record that is well-formed JSON, UTF-8, and on one line where each line is a record; NULL: the fault. Where a line
 * ends within a record the fault is there, wherever the text was cut. */
static const char *record_whole(const json_rows *s, const char *p, const char *text_end, bool check, json_fault *f)
{
    const char *end = json_value_skip(p, f), *nl = NULL;
    if (s->layout == LAYOUT_LINES)
        nl = memchr(p, '\n', (size_t)(text_end - p));
    if (nl && (end ? end : f->at) > nl) {
        *f = (json_fault){"a line ends within a record", nl};
        return NULL;
    }
    if (!end || !check)
        return end;
    str r = {p, (size_t)(end - p)};
    size_t ok = utf8_valid_prefix(r);
    if (ok == r.n)
        return end;
    *f = (json_fault){"the text isn't valid UTF-8", p + ok};
    return NULL;
}

fz_status records_tally(const json_rows *s, const char *text, size_t n, bool check, tally *root, arena *a, sbuf *scratch, uint64_t *records,
                        json_fault *first_fault, fz_error *err)
{
    fz_status st = FZ_OK;
    json_fault f = {0};
    tally *y = root;
    if (s->wrapped) { /* the record is the value of the one column */
        static const char unit[64] = "{\"value\":null}";
        if (!tally_value(root, unit, a, scratch, 0, &f, &st))
            return tally_error(st, err);
        y = root->kids[0];
    }
    walk w = {.s = s, .text = text, .n = n, .starts = true, .ends = true, .first = true};
    for (;;) {
        bool more;
        const char *p = NULL, *q = NULL;
        if (next_record(&w, &more, &f)) {
            if (!more)
                return FZ_OK;
            p = text + w.pos;
            const char *end = record_whole(s, p, text + n, check, &f); /* a record that is broken counts for nothing */
            if (end && !s->wrapped && *p != '{')
                f = (json_fault){"a record is an object, this is another value", p};
            else if (end)
                q = tally_value(y, p, a, scratch, s->wrapped ? 1 : 0, &f, &st);
            if (st)
                return tally_error(st, err);
        }
        if (q) {
            w.pos = (size_t)(q - text);
            ++*records;
            continue;
        }
        if (first_fault && !first_fault->what)
            *first_fault = f;
        const char *nl = s->layout == LAYOUT_LINES ? memchr(text + w.pos, '\n', n - w.pos) : NULL;
        if (!nl)
            return FZ_OK;
        w.pos = (size_t)(nl - text) + 1;
        w.first = true;
    }
}

/* Takes the block's records into account; those in error are left to the next pass. */
static fz_status probe_block(json_local *l, fz_error *err)
{
    uint64_t records = 0;
    arena_reset(&l->tally_mem);
    TRY(tally_new(&l->tally_mem, (str){0}, &l->probe, err));
    return records_tally(l->s, l->text, l->n, l->check, l->probe, &l->tally_mem, &l->scratch, &records, NULL, err);
}

static void block_begin(json_local *l)
{
    l->pos = l->seq = 0;
    l->through = false;
    str t = {l->text, l->n};
    l->check = utf8_valid_prefix(t) != t.n;
    if (l->s->layout == LAYOUT_LINES) {
        uint64_t records = (uint64_t)l->lines + 1, batches = (records + BATCH_ROWS - 1) / BATCH_ROWS;
        l->cap = (uint32_t)((records + batches - 1) / batches);
    } else {
        l->cap = l->batch_rows ? l->batch_rows + l->batch_rows / 8 + 16 : ROWS_FIRST;
        if (l->cap > BATCH_ROWS)
            l->cap = BATCH_ROWS;
    }
}

static void row_cut(json_local *l)
{
    for (uint32_t i = 0; i < l->g.ntop; i++)
        grow_cut(&l->g, l->g.top[i], l->row);
}

/* The record at l->pos into the columns; false: what is wrong with it. */
static bool read_one(json_local *l)
{
    const char *p = l->text + l->pos, *q = record_read(l, p);
    bool lines = l->s->layout == LAYOUT_LINES;
    if (__builtin_expect(q && !l->check && !(lines && memchr(p, '\n', (size_t)(q - p))), 1)) {
        l->pos = (uint32_t)(q - l->text);
        l->row++;
        return true;
    }
    /* Broken JSON comes before what its values are, so that nothing widens for it. */
    const char *end = record_whole(l->s, p, l->text + l->n, l->check, &l->fault);
    if (!end) {
        l->why = l->why == WHY_STATUS ? WHY_STATUS : WHY_SYNTAX;
        return false;
    }
    if (!q)
        return false;
    l->pos = (uint32_t)(q - l->text);
    l->row++;
    return true;
}

/* Up to l->cap records of the block into the columns. *probe: a type has to be wider. */
static fz_status batch_read(json_local *l, batch *out, bool *probe, fz_error *err)
{
    bool more, lines = l->s->layout == LAYOUT_LINES;
    *probe = false;
    l->row = 0;
    walk w = {.s = l->s, .text = l->text, .n = l->n, .pos = l->pos, .starts = l->offset == l->s->data_start, .ends = l->last,
              .first = l->pos == 0};
    TRY(grow_begin(&l->g, l->cap, out, err));
    while (l->row < l->cap && !l->through) {
        bool found = next_record(&w, &more, &l->fault);
        l->pos = (uint32_t)w.pos;
        l->through = found && !more;
        if (l->through)
            break;
        if (!found) {
            l->why = WHY_SYNTAX;
        } else if (__builtin_expect(read_one(l), 1)) {
            w.pos = l->pos;
            continue;
        } else if (may_widen(l)) {
            widen(l);
            *probe = true;
            return FZ_OK;
        }
        row_cut(l);
        if (!l->s->o.skip_errors || l->why == WHY_STATUS || (l->why == WHY_SYNTAX && !lines))
            return record_error(l, err);
        w.pos = l->pos = reject(l, l->pos);
        w.first = lines;
    }
    return FZ_OK;
}

static fz_status batch_finish(json_local *l, batch *out, fz_error *err)
{
    l->batch_rows = l->row;
    TRY(batch_keep(out, l->block, err));
    TRY(grow_emit(&l->g, l->row, err));
    out->morsel = l->morsel;
    out->seq = l->seq++;
    return FZ_OK;
}

static fz_status local_fail(json_local *l, const fz_error *e, json_event *ev, fz_error *err)
{
    json_rows *s = l->s;
    pthread_mutex_lock(&s->lock);
    rows_fail(s, l->morsel, e);
    pthread_mutex_unlock(&s->lock);
    if (l->block)
        rows_block_done(s, l, NULL);
    l->ended = true;
    return rows_end(s, ev, err);
}

fz_status json_rows_next(json_rows *s, json_local *l, batch *out, json_event *ev, fz_error *err)
{
    fz_error e = {.offset = -1, .line = -1, .column = -1};
    batch_reset(out);
    *ev = JSON_ROWS_END;
    if (l->ended)
        return FZ_OK;
    for (;;) {
        if (!l->block) {
            bool got;
            TRY(rows_block(s, l, &got, err));
            if (!got) {
                l->ended = true;
                return rows_end(s, ev, err);
            }
            block_begin(l);
        }
        bool probe = atomic_load_explicit(&s->probing, memory_order_relaxed);
        fz_status st = probe ? FZ_OK : batch_read(l, out, &probe, &e);
        if (st == FZ_OK && !probe && l->row) {
            st = batch_finish(l, out, &e);
            if (st == FZ_OK && !atomic_load_explicit(&s->probing, memory_order_relaxed)) {
                *ev = JSON_ROWS;
                return FZ_OK;
            }
            batch_reset(out);
            if (st == FZ_OK)
                continue;
        }
        batch_reset(out);
        if (st == FZ_OK && probe)
            st = probe_block(l, &e);
        if (st == FZ_OK)
            st = rows_block_done(s, l, &e);
        if (st != FZ_OK)
            return local_fail(l, &e, ev, err);
        if (!probe) {
            out->morsel = l->morsel;
            *ev = JSON_ROWS_MORSEL_END;
            return FZ_OK;
        }
    }
}
