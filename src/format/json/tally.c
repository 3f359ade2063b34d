/*
 * tally.c: what values were seen at each place of the records, and the types that hold them.
 *
 * A tally is a tree as the values are: of objects a tally per key, of lists one for all elements. Tallies only grow, and
 * merging two gives what would have been seen by one; so the types they stand for only widen. Both walks go down as deep as types may
 * be nested: what lies deeper, and what has too many keys, is SEEN_RAW, and so becomes text.
 */
#include "format/json/json_int.h"

#include "format/text/fit.h"

#define DEPTH_MAX (TYPE_DEPTH_MAX - 8)
#define INDEX_FROM 24 /* keys from which on they are looked up by hash */
#define TEXT_FITS (FIT_DATE | FIT_TIME | FIT_STAMP | FIT_STAMPTZ)

fz_status tally_new(arena *a, str key, tally **out, fz_error *err)
{
    tally *y = ARENA_NEW(a, tally);
    char *copy = arena_strndup(a, key.p ? key.p : "", key.n);
    if (!y || !copy)
        return error_nomem(err);
    y->key = (str){copy, key.n};
    y->fits = TEXT_FITS;
    *out = y;
    return FZ_OK;
}

static fz_status add_kid(tally *y, str key, arena *a, tally **out, fz_error *err)
{
    if (y->n == y->cap) {
        uint32_t cap = y->cap ? y->cap * 2 : 4;
        tally **x = ARENA_ARRAY(a, tally *, cap);
        if (!x)
            return error_nomem(err);
        if (y->n)
            memcpy(x, y->kids, sizeof *x * y->n);
        y->kids = x;
        y->cap = cap;
    }
    TRY(tally_new(a, key, out, err));
    y->kids[y->n++] = *out;
    if (y->n < INDEX_FROM)
        return FZ_OK;
    if (!y->index) {
        if (!(y->index = ARENA_NEW(a, strmap)))
            return error_nomem(err);
        strmap_init(y->index, a);
        for (uint32_t i = 0; i + 1 < y->n; i++) {
            void **v = strmap_put(y->index, y->kids[i]->key);
            if (!v)
                return error_nomem(err);
            *v = (void *)(uintptr_t)(i + 1);
        }
    }
    void **v = strmap_put(y->index, key);
    if (!v)
        return error_nomem(err);
    *v = (void *)(uintptr_t)y->n;
    return FZ_OK;
}

static uint32_t find_kid(tally *y, str key)
{
    if (y->next < y->n && str_eq(y->kids[y->next]->key, key))
        return y->next;
    if (y->index) {
        uintptr_t i = (uintptr_t)strmap_get(y->index, key);
        return i ? (uint32_t)i - 1 : UINT32_MAX;
    }
    for (uint32_t i = 0; i < y->n; i++)
        if (str_eq(y->kids[i]->key, key))
            return i;
    return UINT32_MAX;
}

static void see_text(tally *y, const char *p, const char *end, bool escaped)
{
    if (!y->fits)
        return;
    /* no date or time is shorter or longer than these, or begins with anything but a digit */
    bool may = !escaped && end - p >= 5 && end - p <= 40 && p[0] >= '0' && p[0] <= '9';
    y->fits &= may ? fit_value((str){p, (size_t)(end - p)}) : 0;
}

static void see_number(tally *y, const char *p, const char *end, json_number kind)
{
    str s = {p, (size_t)(end - p)};
    int64_t i;
    double d;
    i128 wide;
    if (kind == JSON_NUM_INT) {
        if (text_to_i64(p, s.n, &i) == CONV_OK) {
            y->seen |= SEEN_INT;
            y->loses |= double_loses(s, (double)i);
        } else {
            y->seen |= text_to_decimal(p, s.n, 38, 0, &wide) == CONV_OK ? SEEN_BIG : SEEN_RAW;
            y->loses |= text_to_f64(p, s.n, &d) != CONV_OK || double_loses(s, d);
        }
        return;
    }
    if (text_to_f64(p, s.n, &d) != CONV_OK || double_loses(s, d))
        y->seen |= SEEN_RAW;
    else
        y->seen |= SEEN_REAL;
}

static const char *see_list(tally *y, const char *p, arena *a, sbuf *scratch, unsigned depth, json_fault *f, fz_status *st)
{
    y->seen |= SEEN_LIST;
    p = json_ws(p + 1);
    if (*p == ']')
        return p + 1;
    if (y->n == 0) {
        tally *kid;
        if ((*st = add_kid(y, STR("element"), a, &kid, NULL)))
            return NULL;
    }
    for (;;) {
        if (!(p = tally_value(y->kids[0], p, a, scratch, depth + 1, f, st)))
            return NULL;
        p = json_ws(p);
        if (*p == ']')
            return p + 1;
        if (*p != ',') {
            *f = (json_fault){"a comma or ] is due here", p};
            return NULL;
        }
        p++;
    }
}

/* The key at p, which is behind its quote: its tally's index. */
static const char *see_key(tally *y, const char *p, arena *a, sbuf *scratch, uint32_t *kid, json_fault *f, fz_status *st)
{
    const char *from = p, *end;
    bool escaped;
    if (!(p = json_string(p, &end, &escaped, f)))
        return NULL;
    str key = {from, (size_t)(end - from)};
    if (escaped) {
        sbuf_clear(scratch);
        if (!sbuf_reserve(scratch, key.n + 1)) {
            *st = FZ_NOMEM;
            return NULL;
        }
        key = (str){scratch->p, json_string_value(from, end, scratch->p)};
    }
    *kid = find_kid(y, key);
    if (*kid == UINT32_MAX) {
        tally *x;
        if ((*st = add_kid(y, key, a, &x, NULL)))
            return NULL;
        *kid = y->n - 1;
    }
    y->next = *kid + 1;
    p = json_ws(p);
    if (*p != ':') {
        *f = (json_fault){"a colon is due after the key", p};
        return NULL;
    }
    return p + 1;
}

static const char *see_object(tally *y, const char *p, arena *a, sbuf *scratch, unsigned depth, json_fault *f, fz_status *st)
{
    y->seen |= SEEN_OBJECT;
    y->next = 0;
    const char *from = p;
    p = json_ws(p + 1);
    if (*p == '}')
        return p + 1;
    for (;;) {
        uint32_t kid;
        if (*p != '"') {
            *f = (json_fault){"a key is due here", p};
            return NULL;
        }
        if (!(p = see_key(y, p + 1, a, scratch, &kid, f, st)))
            return NULL;
        if (!(p = tally_value(y->kids[kid], p, a, scratch, depth + 1, f, st)))
            return NULL;
        p = json_ws(p);
        if (*p == '}')
            return p + 1;
        if (*p != ',') {
            *f = (json_fault){"a comma or } is due here", p};
            return NULL;
        }
        p = json_ws(p + 1);
        if (y->n > JSON_KEYS_MAX && depth > 0) {
            y->seen |= SEEN_RAW;
            return json_value_skip(from, f);
        }
        if (y->n > JSON_COLUMNS_MAX) {
            *st = FZ_LIMIT;
            return NULL;
        }
    }
}

const char *tally_value(tally *y, const char *p, arena *a, sbuf *scratch, unsigned depth, json_fault *f, fz_status *st)
{
    p = json_ws(p);
    if (depth >= DEPTH_MAX || y->seen & SEEN_RAW) {
        if (*p != 'n')
            y->seen |= SEEN_RAW;
        return json_value_skip(p, f);
    }
    switch (*p) {
    case '{':
        return see_object(y, p, a, scratch, depth, f, st);
    case '[':
        return see_list(y, p, a, scratch, depth, f, st);
    case '"': {
        const char *from = p + 1, *end;
        bool escaped;
        if (!(p = json_string(from, &end, &escaped, f)))
            return NULL;
        y->seen |= SEEN_TEXT;
        see_text(y, from, end, escaped);
        return p;
    }
    case 't':
    case 'f':
        if ((p = json_value_skip(p, f)))
            y->seen |= SEEN_BOOL;
        return p;
    case 'n':
        return json_value_skip(p, f);
    default: {
        const char *from = p;
        json_number kind;
        if (*p != '-' && !(*p >= '0' && *p <= '9'))
            return json_value_skip(p, f);
        if ((p = json_number_scan(p, &kind, f)))
            see_number(y, from, p, kind);
        return p;
    }
    }
}

static fz_status merge(tally *into, const tally *from, arena *a, unsigned depth, fz_error *err)
{
    into->seen |= from->seen;
    into->fits &= from->fits;
    into->loses |= from->loses;
    if (depth > TYPE_DEPTH_MAX || into->seen & SEEN_RAW)
        return FZ_OK;
    into->next = 0;
    for (uint32_t i = 0; i < from->n; i++) {
        uint32_t k = find_kid(into, from->kids[i]->key);
        tally *kid;
        if (k == UINT32_MAX)
            TRY(add_kid(into, from->kids[i]->key, a, &kid, err));
        else
            kid = into->kids[k];
        into->next = k + 1;
        TRY(merge(kid, from->kids[i], a, depth + 1, err));
    }
    if (depth == 0 && into->n > JSON_COLUMNS_MAX)
        return error_set(err, FZ_LIMIT, "the records have more than %d keys", JSON_COLUMNS_MAX);
    if (depth > 0 && into->n > JSON_KEYS_MAX)
        into->seen |= SEEN_RAW;
    return FZ_OK;
}

fz_status tally_merge(tally *into, const tally *from, arena *a, fz_error *err) { return merge(into, from, a, 0, err); }

static fz_status nested_type(const tally *y, arena *a, unsigned depth, type *out, fz_error *err);

static fz_status type_of(const tally *y, arena *a, unsigned depth, type *out, fz_error *err)
{
    *out = TYPE(T_STRING);
    switch (y->seen) {
    case SEEN_BOOL:
        *out = TYPE(T_BOOL);
        return FZ_OK;
    case SEEN_INT:
        *out = TYPE(T_INT64);
        return FZ_OK;
    case SEEN_BIG:
    case SEEN_INT | SEEN_BIG:
        *out = TYPE_DECIMAL(38, 0);
        return FZ_OK;
    case SEEN_REAL:
    case SEEN_INT | SEEN_REAL:
    case SEEN_BIG | SEEN_REAL:
    case SEEN_INT | SEEN_BIG | SEEN_REAL:
        if (!y->loses)
            *out = TYPE(T_FLOAT64);
        return FZ_OK;
    case SEEN_TEXT:
        *out = fit_type(y->fits);
        return FZ_OK;
    case SEEN_LIST:
    case SEEN_OBJECT:
        return nested_type(y, a, depth, out, err);
    default:
        return FZ_OK;
    }
}

static fz_status nested_type(const tally *y, arena *a, unsigned depth, type *out, fz_error *err)
{
    bool list = y->seen == SEEN_LIST;
    uint32_t n = list ? 1 : y->n;
    if (n == 0 || depth > TYPE_DEPTH_MAX) /* objects without keys */
        return FZ_OK;
    type_fields *f = arena_zalloc(a, sizeof *f + sizeof(type_field) * n);
    if (!f)
        return error_nomem(err);
    f->n = n;
    for (uint32_t i = 0; i < n; i++) {
        f->f[i] = (type_field){.name = list ? STR("element") : y->kids[i]->key, .field_id = -1, .t = TYPE(T_STRING)};
        if (i < y->n)
            TRY(type_of(y->kids[i], a, depth + 1, &f->f[i].t, err));
    }
    *out = (type){.id = list ? T_LIST : T_STRUCT, .children = f};
    return FZ_OK;
}

fz_status tally_type(const tally *y, arena *a, type *out, fz_error *err) { return type_of(y, a, 0, out, err); }
