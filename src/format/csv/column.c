/*
 * column.c: the fields of one column of a frame, converted into rows of the batch.
 *
 * The fast loops take fields that are plain values of their type; everything else (NULL
 * strings, white space, escapes, misfits) goes, field by field, through field_any(), which
 * alone knows all rules. A NULL string that looks like a value (`--null -999`) sends the whole
 * column there.
 */
#include "format/csv/csv_int.h"

#define EXTRA_BYTES (64 * 1024)

typedef struct field {
    const char *p;
    uint32_t n;
    bool quoted;
} field;

static inline field field_at(const csv_local *l, const csv_frame *f, uint32_t c, uint32_t r)
{
    uint32_t s = f->beg[r * f->stride + c] + f->bias;
    field x = {f->text + s, f->end[r * f->stride + c] - s, false};
    x.quoted = (uint8_t)x.p[-1] == l->s->d.quote && l->s->d.quote;
    return x;
}

static void row_null(csv_local *l, uint32_t p, uint32_t row)
{
    if (!l->has_null[p]) {
        l->has_null[p] = true;
        memset(l->valid[p], 0xff, BITMAP_WORDS(l->cap) * 8);
    }
    bit_clear(l->valid[p], row);
}

/* Whether a quoted field's content has anything to unescape. */
static inline bool has_escapes(const csv_local *l, const char *p, uint32_t n)
{
    return memchr(p, l->s->d.quote, n) || (l->s->d.escape && memchr(p, l->s->d.escape, n));
}

static uint32_t unescape(const csv_local *l, const char *p, uint32_t n, char *out)
{
    uint8_t quote = l->s->d.quote, escape = l->s->d.escape;
    uint32_t k = 0;
    for (uint32_t i = 0; i < n; i++) {
        if (i + 1 < n && ((uint8_t)p[i] == quote || (escape && (uint8_t)p[i] == escape)))
            i++;
        out[k++] = p[i];
    }
    return k;
}

fz_status field_value(csv_local *l, const char *p, uint32_t n, bool quoted, str *out, fz_error *err)
{
    *out = (str){p, n};
    if (!quoted || !has_escapes(l, p, n))
        return FZ_OK;
    sbuf_clear(&l->scratch);
    if (!sbuf_reserve(&l->scratch, n + 1))
        return error_nomem(err);
    *out = (str){l->scratch.p, unescape(l, p, n, l->scratch.p)};
    return FZ_OK;
}

/* Memory that lives as long as the batch. */
static char *extra_alloc(csv_local *l, size_t n)
{
    if (!l->extra || l->extra->cap - l->extra_at < n) {
        buf *b = blockpool_get(l->s->pool, n > EXTRA_BYTES ? n : EXTRA_BYTES);
        if (!b)
            return NULL;
        fz_status st = batch_keep(l->out, b, NULL);
        buf_unref(b); /* the batch's reference stays */
        if (st != FZ_OK)
            return NULL;
        l->extra = b;
        l->extra_at = 0;
    }
    char *p = (char *)l->extra->data + l->extra_at;
    l->extra_at += n;
    return p;
}

/* ---- any field of any type but text ---- */

static fz_status bytes_convert(csv_local *l, type t, str v, strview *out, conv *c, fz_error *err)
{
    size_t n = t.id == T_UUID ? 16 : v.n >= 2 ? v.n / 2 - 1 : 0;
    char *p = extra_alloc(l, n + 1);
    if (!p)
        return error_nomem(err);
    *c = t.id == T_UUID ? text_to_uuid(v.p, v.n, (uint8_t *)p) : text_to_bytes(v.p, v.n, (uint8_t *)p);
    if (*c == CONV_OK && t.id == T_FIXED && n != t.width)
        *c = CONV_RANGE;
    if (*c == CONV_OK)
        *out = strview_make(p, (uint32_t)n);
    return FZ_OK;
}

static conv value_convert(const csv_column *col, str v, void *dst)
{
    i128 wide = 0;
    int64_t i = 0;
    conv c;
    switch (col->t.id) {
    case T_BOOL: {
        bool b = false;
        if (col->inferred && v.n < 4) /* inference goes by true and false only */
            return CONV_BAD;
        c = text_to_bool(v.p, v.n, &b);
        *(uint8_t *)dst = b;
        return c;
    }
    case T_INT32:
        c = text_to_i64(v.p, v.n, &i);
        if (c == CONV_OK && (i < INT32_MIN || i > INT32_MAX))
            return CONV_RANGE;
        *(int32_t *)dst = (int32_t)i;
        return c;
    case T_INT64:
        return text_to_i64(v.p, v.n, dst);
    case T_FLOAT32:
        return text_to_f32(v.p, v.n, dst);
    case T_FLOAT64:
        c = text_to_f64(v.p, v.n, dst);
        return c == CONV_OK && col->inferred && double_loses(v, *(double *)dst) ? CONV_INEXACT : c;
    case T_DECIMAL:
        c = text_to_decimal(v.p, v.n, col->t.precision, col->t.scale, &wide);
        if (type_phys(col->t) == PHYS_I64)
            *(int64_t *)dst = (int64_t)wide;
        else
            memcpy(dst, &wide, sizeof wide);
        return c;
    case T_DATE:
        return text_to_date(v.p, v.n, dst);
    case T_TIME:
        return text_to_time(v.p, v.n, dst);
    case T_TIMESTAMP:
        return text_to_timestamp(v.p, v.n, dst);
    case T_TIMESTAMPTZ:
        return text_to_timestamptz(v.p, v.n, dst);
    default:
        return CONV_BAD;
    }
}

/* Values under a NULL are zero: initialised, whatever they are used for. */
static fz_status field_any(csv_local *l, uint32_t p, uint32_t r, uint32_t row, field x, fz_error *err)
{
    uint32_t ci = l->s->proj[p];
    const csv_column *col = &l->cols[ci];
    size_t size = phys_size(type_phys(col->t));
    void *dst = (char *)l->data[p] + size * row;
    bool null = x.n == 0 && !x.quoted;
    conv c = CONV_OK;
    if (!null) {
        str v;
        TRY(field_value(l, x.p, x.n, x.quoted, &v, err));
        v = str_trim(v);
        null = null_match(&l->s->nulls, v);
        if (!null && type_phys(col->t) == PHYS_STR)
            TRY(bytes_convert(l, col->t, v, dst, &c, err));
        else if (!null)
            c = value_convert(col, v, dst);
    }
    if (null || c != CONV_OK) {
        memset(dst, 0, size);
        row_null(l, p, row);
        if (c != CONV_OK || col->not_null)
            return local_bad(l, r, ci, c, err);
    }
    return FZ_OK;
}

/* ---- the fast loops ---- */

#define GATE_NUMBER(ch) ((unsigned char)((ch) - '+') <= '9' - '+') /* digit, sign or point */

/* One loop per type: fields that CONVERT takes, the others through field_any. */
#define DEFINE_LOOP(name, T, CONVERT)                                                                \
    static fz_status name(csv_local *l, uint32_t p, const csv_frame *f, uint32_t c, uint32_t row0,   \
                          fz_error *err)                                                             \
    {                                                                                                \
        const csv_column *col = &l->cols[l->s->proj[p]];                                          \
        T *out = (T *)l->data[p] + row0;                                                             \
        (void)col;                                                                                   \
        for (uint32_t r = 0; r < f->n; r++) {                                                        \
            uint32_t s = f->beg[r * f->stride + c] + f->bias;                                        \
            const char *q = f->text + s;                                                             \
            uint32_t n = f->end[r * f->stride + c] - s;                                              \
            if (__builtin_expect(n != 0 && GATE_NUMBER(*q) && (CONVERT), 1))                         \
                continue;                                                                            \
            TRY(field_any(l, p, r, row0 + r, field_at(l, f, c, r), err));                            \
        }                                                                                            \
        return FZ_OK;                                                                                \
    }

DEFINE_LOOP(loop_f64, double,
            text_to_f64(q, n, &out[r]) == CONV_OK && !(col->inferred && double_loses((str){q, n}, out[r])))
DEFINE_LOOP(loop_date, int32_t, text_to_date(q, n, &out[r]) == CONV_OK)
DEFINE_LOOP(loop_timestamp, int64_t, text_to_timestamp(q, n, &out[r]) == CONV_OK)
DEFINE_LOOP(loop_timestamptz, int64_t, text_to_timestamptz(q, n, &out[r]) == CONV_OK)

static fz_status loop_any(csv_local *l, uint32_t p, const csv_frame *f, uint32_t c, uint32_t row0, fz_error *err)
{
    for (uint32_t r = 0; r < f->n; r++)
        TRY(field_any(l, p, r, row0 + r, field_at(l, f, c, r), err));
    return FZ_OK;
}

static fz_status loop_int(csv_local *l, uint32_t p, const csv_frame *f, uint32_t c, uint32_t row0, fz_error *err)
{
    bool narrow = l->cols[l->s->proj[p]].t.id == T_INT32;
    int64_t *out = narrow ? l->wide : (int64_t *)l->data[p] + row0;
    uint32_t n = l->s->ops->digits(f->text, f->beg + c, f->end + c, f->stride, f->bias, f->n, out, l->todo);
    if (narrow) {
        int32_t *out32 = (int32_t *)l->data[p] + row0;
        for (uint32_t r = 0; r < f->n; r++) {
            out32[r] = (int32_t)out[r];
            if (out[r] > INT32_MAX)
                TRY(field_any(l, p, r, row0 + r, field_at(l, f, c, r), err));
        }
    }
    for (uint32_t k = 0; k < n; k++) {
        uint32_t r = l->todo[k];
        field x = field_at(l, f, c, r);
        if (!narrow && x.n && text_to_i64(x.p, x.n, &out[r]) == CONV_OK)
            continue;
        TRY(field_any(l, p, r, row0 + r, x, err));
    }
    return FZ_OK;
}

/* ---- text ---- */

/* What the first value of a column that had only NULLs says: text, or another type. */
static fz_status decide(csv_local *l, uint32_t p, uint32_t r, str v, fz_error *err)
{
    v = str_trim(v);
    if (null_match(&l->s->nulls, v))
        return FZ_OK;
    if (fit_value(v))
        return local_bad(l, r, l->s->proj[p], CONV_BAD, err);
    l->undecided[p] = false;
    return FZ_OK;
}

static fz_status text_quoted(csv_local *l, const char *q, uint32_t n, strview *out, fz_error *err)
{
    char *copy = extra_alloc(l, n);
    if (!copy)
        return error_nomem(err);
    *out = strview_make(copy, unescape(l, q, n, copy));
    return FZ_OK;
}

static fz_status loop_text(csv_local *l, uint32_t p, const csv_frame *f, uint32_t c, uint32_t row0, fz_error *err)
{
    const csv_column *col = &l->cols[l->s->proj[p]];
    const null_list *nulls = &l->s->nulls;
    strview *out = (strview *)l->data[p] + row0;
    for (uint32_t r = 0; r < f->n; r++) {
        field x = field_at(l, f, c, r);
        if ((x.n == 0 && !x.quoted) || (nulls->given && !x.quoted && null_match(nulls, (str){x.p, x.n}))) {
            out[r] = (strview){0};
            row_null(l, p, row0 + r);
            if (col->not_null)
                TRY(local_bad(l, r, l->s->proj[p], CONV_OK, err));
            continue;
        }
        if (__builtin_expect(x.quoted && has_escapes(l, x.p, x.n), 0))
            TRY(text_quoted(l, x.p, x.n, &out[r], err));
        else
            out[r] = strview_make(x.p, x.n);
        if (__builtin_expect(l->undecided[p], 0))
            TRY(decide(l, p, r, strview_str(&out[r]), err));
    }
    return FZ_OK;
}

fz_status column_convert(csv_local *l, uint32_t p, const csv_frame *f, uint32_t row0, fz_error *err)
{
    const csv_column *col = &l->cols[l->s->proj[p]];
    uint32_t c = col->field;
    if (c == UINT32_MAX)
        return FZ_OK; /* csv_next makes it a constant */
    if (col->t.id == T_STRING)
        return loop_text(l, p, f, c, row0, err);
    if (col->nulls_first)
        return loop_any(l, p, f, c, row0, err);
    switch (col->t.id) {
    case T_INT32:
    case T_INT64:
        return loop_int(l, p, f, c, row0, err);
    case T_FLOAT64:
        return loop_f64(l, p, f, c, row0, err);
    case T_DATE:
        return loop_date(l, p, f, c, row0, err);
    case T_TIMESTAMP:
        return loop_timestamp(l, p, f, c, row0, err);
    case T_TIMESTAMPTZ:
        return loop_timestamptz(l, p, f, c, row0, err);
    default:
        return loop_any(l, p, f, c, row0, err);
    }
}
