/*
 * render.c: results as text: an aligned table, CSV, JSON lines; and errors as people read them.
 *
 * A table's widths depend on all rows shown: they are collected first, the first and the last half of max_rows where there are more.
 * A table wider than the terminal gets its longest cells cut, then its middle columns hidden.
 */
#include "engine/engine_int.h"
#include "format/csv/csv_write.h"

#include <stdio.h>
#include <utf8proc.h>

#define FLUSH_BYTES 65536
#define CELL_MIN    12 /* cells aren't cut below this width */
#define MANY_ROWS   (1 << 20) /* whoever wants to see so many rows sees all */

typedef struct writer {
    fz_write_fn fn;
    void *ctx;
    sbuf b;
} writer;

static fz_status flush(writer *w, size_t at_least, fz_error *err)
{
    if (w->b.failed)
        return error_nomem(err);
    if (w->b.n && w->b.n >= at_least) {
        if (w->fn(w->ctx, w->b.p, w->b.n))
            return error_set(err, FZ_CANCELLED, "the output was closed");
        sbuf_clear(&w->b);
    }
    return FZ_OK;
}

/* ---- CSV ---- */

static fz_status render_csv(fz_result *r, writer *w, fz_error *err)
{
    csv_write_header(&w->b, &r->schema);
    for (;;) {
        TRY(result_next_batch(r, err));
        if (r->end)
            return flush(w, 0, err);
        csv_write_batch(&w->b, &r->cur);
        TRY(flush(w, FLUSH_BYTES, err));
    }
}

/* ---- JSON ---- */

static void json_string(sbuf *b, str s)
{
    static const char hex[] = "0123456789abcdef";
    sbuf_addc(b, '"');
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        switch (c) {
        case '"': sbuf_addz(b, "\\\""); break;
        case '\\': sbuf_addz(b, "\\\\"); break;
        case '\n': sbuf_addz(b, "\\n"); break;
        case '\r': sbuf_addz(b, "\\r"); break;
        case '\t': sbuf_addz(b, "\\t"); break;
        default:
            if (c < 0x20) {
                char u[6] = {'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]};
                sbuf_add(b, u, 6);
            } else {
                sbuf_addc(b, (char)c);
            }
        }
    }
    sbuf_addc(b, '"');
}

static void json_value(sbuf *b, const datum *d, sbuf *tmp);

/* Structs are objects, lists arrays. A map with text keys is an object, any other one an array of {"key": …, "value": …}. */
static void json_nested(sbuf *b, const datum *d, sbuf *tmp)
{
    uint32_t n = nested_count(d);
    bool pairs = d->t.id == T_MAP && d->t.children->f[0].t.id != T_STRING, array = d->t.id == T_LIST || pairs;
    sbuf_addc(b, array ? '[' : '{');
    for (uint32_t i = 0; i < n; i++) {
        datum m = nested_member(d, i, 0);
        if (i)
            sbuf_addc(b, ',');
        if (pairs)
            sbuf_addz(b, "{\"key\":");
        if (d->t.id == T_STRUCT)
            json_string(b, d->t.children->f[i].name);
        else
            json_value(b, &m, tmp);
        if (d->t.id == T_LIST)
            continue;
        sbuf_addz(b, pairs ? ",\"value\":" : ":");
        if (d->t.id == T_MAP)
            m = nested_member(d, i, 1);
        json_value(b, &m, tmp);
        if (pairs)
            sbuf_addc(b, '}');
    }
    sbuf_addc(b, array ? ']' : '}');
}

static void json_value(sbuf *b, const datum *d, sbuf *tmp)
{
    if (d->null) {
        sbuf_addz(b, "null");
        return;
    }
    if (type_is_nested(d->t)) {
        json_nested(b, d, tmp);
        return;
    }
    sbuf_clear(tmp);
    datum_text(d, tmp);
    b->failed |= tmp->failed;
    str text = {tmp->p ? tmp->p : "", tmp->n};
    bool finite = true;
    if (d->t.id == T_FLOAT64)
        finite = d->f64 - d->f64 == 0;
    else if (d->t.id == T_FLOAT32)
        finite = d->f32 - d->f32 == 0;
    if (d->t.id == T_BOOL || (type_is_numeric(d->t) && finite))
        sbuf_str(b, text);
    else
        json_string(b, text);
}

static fz_status render_json(fz_result *r, writer *w, fz_error *err)
{
    sbuf tmp;
    sbuf_init(&tmp, &r->s->m);
    fz_status st = FZ_OK;
    for (;;) {
        TRY_GOTO(result_next_batch(r, err));
        if (r->end)
            break;
        for (uint32_t i = 0; i < r->cur.nrows; i++) {
            for (uint32_t c = 0; c < r->schema.n; c++) {
                sbuf_addc(&w->b, c ? ',' : '{');
                json_string(&w->b, r->schema.cols[c].name);
                sbuf_addc(&w->b, ':');
                datum d = vec_datum(&r->cur.cols[c], i);
                json_value(&w->b, &d, &tmp);
            }
            sbuf_addz(&w->b, r->schema.n ? "}\n" : "{}\n");
        }
        TRY_GOTO(flush(w, FLUSH_BYTES, err));
    }
    st = flush(w, 0, err);
out:
    sbuf_free(&tmp);
    return st;
}

/* ---- tables ---- */

typedef struct table {
    arena a;            /* of the head and the structure */
    uint32_t ncols;
    str *head;          /* cells of the first rows */
    int64_t n_head, cap_head;
    str *tail;          /* ring of the last ones */
    arena tail_mem[2];  /* in turns: the older half of the ring's texts is freed at once */
    int64_t half;       /* rows in each part; 0: all rows are in the head */
    int64_t rows;
    bool *right;        /* numbers are aligned to the right */
} table;

/* Columns on a terminal; control characters were replaced before. */
static int text_width(str s)
{
    int w = 0;
    for (size_t i = 0; i < s.n;) {
        utf8proc_int32_t cp;
        utf8proc_ssize_t n = utf8proc_iterate((const utf8proc_uint8_t *)s.p + i, (utf8proc_ssize_t)(s.n - i), &cp);
        if (n <= 0) {
            n = 1;
            cp = '?';
        }
        w += utf8proc_charwidth(cp);
        i += (size_t)n;
    }
    return w;
}

/* Bytes of the longest prefix that is at most `width` wide. */
static size_t text_cut(str s, int width)
{
    int w = 0;
    size_t i = 0;
    while (i < s.n) {
        utf8proc_int32_t cp;
        utf8proc_ssize_t n = utf8proc_iterate((const utf8proc_uint8_t *)s.p + i, (utf8proc_ssize_t)(s.n - i), &cp);
        if (n <= 0) {
            n = 1;
            cp = '?';
        }
        w += utf8proc_charwidth(cp);
        if (w > width)
            break;
        i += (size_t)n;
    }
    return i;
}

/* A cell's text: NULL as such, line ends and other control characters visible. p NULL: no memory. */
static str cell_text(const datum *d, arena *a, sbuf *tmp)
{
    if (d->null)
        return STR("NULL");
    sbuf_clear(tmp);
    datum_text(d, tmp);
    if (tmp->failed)
        return (str){0};
    size_t extra = 0;
    for (size_t i = 0; i < tmp->n; i++)
        extra += (unsigned char)tmp->p[i] < 0x20 || tmp->p[i] == 0x7f;
    char *p = arena_alloc(a, tmp->n + extra + 1);
    if (!p)
        return (str){0};
    size_t n = 0;
    for (size_t i = 0; i < tmp->n; i++) {
        unsigned char c = (unsigned char)tmp->p[i];
        if (c >= 0x20 && c != 0x7f) {
            p[n++] = (char)c;
        } else {
            p[n++] = '\\';
            p[n++] = c == '\n' ? 'n' : c == '\r' ? 'r' : c == '\t' ? 't' : '?';
        }
    }
    return (str){p, n};
}

static fz_status collect_row(table *t, const batch *b, uint32_t row, sbuf *tmp, fz_error *err)
{
    str *cells;
    arena *a = &t->a;
    bool head = t->half == 0 || t->rows < t->half;
    if (head) {
        if (t->rows == t->cap_head) {
            int64_t cap = t->cap_head ? 2 * t->cap_head : 64;
            str *p = ARENA_ARRAY(&t->a, str, cap * t->ncols);
            if (!p)
                return error_nomem(err);
            if (t->n_head)
                memcpy(p, t->head, sizeof *p * (size_t)(t->n_head * t->ncols));
            t->head = p;
            t->cap_head = cap;
        }
        cells = t->head + t->n_head++ * t->ncols;
    } else {
        int64_t k = t->rows - t->half;
        a = &t->tail_mem[k / t->half & 1];
        if (k % t->half == 0)
            arena_reset(a);
        cells = t->tail + (k % (2 * t->half)) * t->ncols;
    }
    for (uint32_t c = 0; c < t->ncols; c++) {
        datum d = vec_datum(&b->cols[c], row);
        cells[c] = cell_text(&d, a, tmp);
        if (!cells[c].p)
            return error_nomem(err);
    }
    t->rows++;
    return FZ_OK;
}

/* Row i of those shown: heads, then tails. */
static const str *shown_row(const table *t, int64_t i)
{
    if (i < t->n_head)
        return t->head + i * t->ncols;
    int64_t tails = t->rows - t->n_head;
    int64_t n_tail = tails < t->half ? tails : t->half;
    int64_t k = tails - n_tail + (i - t->n_head);
    return t->tail + (k % (2 * t->half)) * t->ncols;
}

static int64_t shown_count(const table *t)
{
    int64_t tails = t->rows - t->n_head;
    return t->n_head + (tails < t->half ? tails : t->half);
}

/* Cuts the widest columns until the table fits, then hides columns from the middle; visible[c] false: hidden. */
static void fit(const table *t, int width, int *w, bool *visible)
{
    if (width <= 0)
        return;
    for (;;) {
        int total = 1;
        uint32_t widest = 0;
        for (uint32_t c = 0; c < t->ncols; c++) {
            total += w[c] + 3;
            if (w[c] > w[widest])
                widest = c;
        }
        if (total <= width || w[widest] <= CELL_MIN)
            break;
        int over = total - width;
        w[widest] -= over < w[widest] - CELL_MIN ? (over + 1) / 2 : 1;
    }
    int total = 1;
    for (uint32_t c = 0; c < t->ncols; c++)
        total += w[c] + 3;
    uint32_t hidden = 0;
    for (uint32_t k = 0; total + (hidden ? 4 : 0) > width && hidden + 2 < t->ncols; k++) {
        /* from the middle outwards */
        uint32_t mid = t->ncols / 2, c = k % 2 ? mid - (k + 1) / 2 : mid + k / 2;
        if (c >= t->ncols)
            break;
        visible[c] = false;
        hidden++;
        total -= w[c] + 3;
    }
}

static void pad(sbuf *b, int n)
{
    for (; n > 0; n--)
        sbuf_addc(b, ' ');
}

static void put_cell(sbuf *b, str s, int width, int align) /* align: 0 left, 1 right, 2 middle */
{
    int w = text_width(s);
    bool cut = w > width;
    if (cut) {
        s.n = text_cut(s, width - 1);
        w = text_width(s) + 1;
    }
    int left = align == 0 ? 0 : align == 1 ? width - w : (width - w) / 2;
    sbuf_addc(b, ' ');
    pad(b, left);
    sbuf_str(b, s);
    if (cut)
        sbuf_addz(b, "…");
    pad(b, width - w - left);
    sbuf_addc(b, ' ');
}

typedef struct layout {
    const int *w;
    const bool *visible;
    uint32_t ncols;
} layout;

static void put_rule(sbuf *b, const layout *l, const char *left, const char *mid, const char *right)
{
    sbuf_addz(b, left);
    bool gap = false;
    for (uint32_t c = 0; c < l->ncols; c++) {
        if (!l->visible[c] && gap)
            continue;
        if (c)
            sbuf_addz(b, mid);
        int n = l->visible[c] ? l->w[c] + 2 : 3;
        gap = !l->visible[c];
        for (int i = 0; i < n; i++)
            sbuf_addz(b, "─");
    }
    sbuf_addz(b, right);
    sbuf_addc(b, '\n');
}

/* cells NULL: a row of dots */
static void put_row(sbuf *b, const layout *l, const str *cells, const bool *right, bool header)
{
    bool gap = false;
    for (uint32_t c = 0; c < l->ncols; c++) {
        if (!l->visible[c] && gap)
            continue;
        gap = !l->visible[c];
        sbuf_addz(b, "│");
        if (gap)
            sbuf_addz(b, " … ");
        else
            put_cell(b, cells ? cells[c] : STR("…"), l->w[c], header || !cells ? 2 : right[c] ? 1 : 0);
    }
    sbuf_addz(b, "│\n");
}

static fz_status put_table(const table *t, const row_schema *schema, const fz_text_options *o, writer *w, fz_error *err)
{
    arena *a = (arena *)&t->a;
    int *widths = ARENA_ARRAY(a, int, t->ncols + 1);
    bool *visible = ARENA_ARRAY(a, bool, t->ncols + 1);
    str *names = ARENA_ARRAY(a, str, t->ncols + 1), *types = ARENA_ARRAY(a, str, t->ncols + 1);
    if (!widths || !visible || !names || !types)
        return error_nomem(err);
    sbuf tmp;
    sbuf_init(&tmp, NULL);
    for (uint32_t c = 0; c < t->ncols; c++) {
        visible[c] = true;
        names[c] = schema->cols[c].name;
        sbuf_clear(&tmp);
        type_sql_name(schema->cols[c].t, &tmp);
        types[c] = (str){tmp.failed ? NULL : arena_strndup(a, tmp.p ? tmp.p : "", tmp.n), tmp.n};
        if (!types[c].p) {
            sbuf_free(&tmp);
            return error_nomem(err);
        }
        int n = text_width(names[c]), y = text_width(types[c]);
        widths[c] = n > y ? n : y;
    }
    sbuf_free(&tmp);
    int64_t n = shown_count(t);
    for (int64_t i = 0; i < n; i++) {
        const str *row = shown_row(t, i);
        for (uint32_t c = 0; c < t->ncols; c++) {
            int cw = text_width(row[c]);
            if (cw > widths[c])
                widths[c] = cw;
        }
    }
    fit(t, o ? o->width : 0, widths, visible);
    layout l = {widths, visible, t->ncols};
    put_rule(&w->b, &l, "┌", "┬", "┐");
    put_row(&w->b, &l, names, t->right, true);
    put_row(&w->b, &l, types, t->right, true);
    put_rule(&w->b, &l, "├", "┼", "┤");
    for (int64_t i = 0; i < n; i++) {
        if (i == t->n_head && n < t->rows)
            put_row(&w->b, &l, NULL, t->right, false);
        put_row(&w->b, &l, shown_row(t, i), t->right, false);
        TRY(flush(w, FLUSH_BYTES, err));
    }
    put_rule(&w->b, &l, "└", "┴", "┘");
    sbuf_printf(&w->b, "%lld row%s", (long long)t->rows, t->rows == 1 ? "" : "s");
    if (n < t->rows)
        sbuf_printf(&w->b, " (%lld shown)", (long long)n);
    uint32_t shown_cols = 0;
    for (uint32_t c = 0; c < t->ncols; c++)
        shown_cols += visible[c];
    if (shown_cols < t->ncols)
        sbuf_printf(&w->b, ", %u columns (%u shown)", t->ncols, shown_cols);
    sbuf_addc(&w->b, '\n');
    return flush(w, 0, err);
}

static fz_status render_table(fz_result *r, const fz_text_options *o, writer *w, fz_error *err)
{
    mem *m = &r->s->m;
    table t = {.ncols = r->schema.n, .half = o && o->max_rows > 0 && o->max_rows < MANY_ROWS ? (o->max_rows + 1) / 2 : 0};
    sbuf tmp;
    sbuf_init(&tmp, m);
    arena_init(&t.a, m);
    arena_init(&t.tail_mem[0], m);
    arena_init(&t.tail_mem[1], m);
    fz_status st = FZ_OK;
    t.right = ARENA_ARRAY(&t.a, bool, t.ncols + 1);
    t.tail = ARENA_ARRAY(&t.a, str, 2 * t.half * t.ncols + 1);
    if (!t.right || !t.tail) {
        st = error_nomem(err);
        goto out;
    }
    for (uint32_t c = 0; c < t.ncols; c++)
        t.right[c] = type_is_numeric(r->schema.cols[c].t);
    for (;;) {
        TRY_GOTO(result_next_batch(r, err));
        if (r->end)
            break;
        for (uint32_t i = 0; i < r->cur.nrows; i++)
            TRY_GOTO(collect_row(&t, &r->cur, i, &tmp, err));
    }
    st = put_table(&t, &r->schema, o, w, err);
out:
    sbuf_free(&tmp);
    arena_free(&t.tail_mem[0]);
    arena_free(&t.tail_mem[1]);
    arena_free(&t.a);
    return st;
}

fz_status fz_result_text(fz_result *r, fz_text_format format, const fz_text_options *o, fz_write_fn write, void *ctx,
                         fz_error *err)
{
    if (!r->st)
        return FZ_OK;
    writer w = {.fn = write, .ctx = ctx};
    sbuf_init(&w.b, &r->s->m);
    fz_status st = format == FZ_TEXT_CSV    ? render_csv(r, &w, err)
                 : format == FZ_TEXT_JSON   ? render_json(r, &w, err)
                                            : render_table(r, o, &w, err);
    sbuf_free(&w.b);
    return st;
}

/* ---- errors ---- */

fz_status fz_error_text(const fz_error *e, const char *sql, fz_write_fn write, void *ctx)
{
    sbuf b;
    sbuf_init(&b, NULL);
    if (sql && e->line > 0 && !e->where[0]) {
        sql_error_render(e, str_of(sql), &b);
    } else {
        sbuf_printf(&b, "error: %s\n", e->message);
        if (e->where[0]) {
            sbuf_printf(&b, "  in %s", e->where);
            if (e->line > 0)
                sbuf_printf(&b, ", line %lld", (long long)e->line);
            if (e->line > 0 && e->column > 0)
                sbuf_printf(&b, ", column %lld", (long long)e->column);
            if (e->offset >= 0)
                sbuf_printf(&b, ", byte %lld", (long long)e->offset);
            sbuf_addc(&b, '\n');
        }
        if (e->hint[0])
            sbuf_printf(&b, "hint: %s\n", e->hint);
    }
    fz_status st = b.failed ? FZ_NOMEM : write(ctx, b.p, b.n) ? FZ_CANCELLED : FZ_OK;
    sbuf_free(&b);
    return st;
}
