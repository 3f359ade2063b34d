/*
 * bridge_import.c: schemas and arrays of the Arrow C data interface to columns; see bridge.h.
 *
 * Fixed-width values of our own layout are used where they lie; the others are converted into
 * buffers of their own: narrow integers and decimals widened, bits spread to bytes, offsets
 * turned into views, times brought to microseconds (a value that isn't a whole number of them
 * is refused, never rounded). The batch is `stable`: it keeps those buffers and the array.
 *
 * Trust. The interface passes no buffer sizes, so pointers and the sizes that counts imply are
 * taken as they are. What can be checked is: counts, offsets, the order of text offsets, codes
 * against their dictionary, views against their buffers, UTF-8.
 */
#include "arrow/bridge.h"

#include <limits.h>

#define COLUMNS_MAX 100000

/* How the values of an array lie, beside the type they have for us. */
typedef enum layout {
    L_NONE, L_NULL, L_BITS,
    L_INT,    /* `size` bytes, signed unless `is_unsigned`; times `mul`, divided by `div` */
    L_HALF,   /* float of two bytes */
    L_AS_IS,  /* ours */
    L_DEC,    /* decimal of `size` bytes */
    L_TEXT,   /* int32 offsets */
    L_LARGE,  /* int64 offsets */
    L_VIEW,
    L_FIXED,
} layout;

typedef struct format {
    type t;
    layout l;
    uint8_t size;
    bool is_unsigned;
    int64_t mul, div;
} format;

/* ---- formats ---- */

static str cut(str *rest, char at)
{
    const char *hit = rest->n ? memchr(rest->p, at, rest->n) : NULL;
    str head = {rest->p, hit ? (size_t)(hit - rest->p) : rest->n};
    size_t used = head.n + (hit != NULL);
    *rest = (str){rest->p + used, rest->n - used};
    return head;
}

static bool format_decimal(str s, format *f)
{
    int64_t p, scale, bits = 128;
    str ps = cut(&s, ','), ss = cut(&s, ',');
    if (!str_to_i64(ps, &p) || !str_to_i64(ss, &scale) || (s.n && !str_to_i64(s, &bits)))
        return false;
    if (p < 1 || p > 38 || scale < 0 || scale > p || (bits != 32 && bits != 64 && bits != 128))
        return false;
    *f = (format){.t = TYPE_DECIMAL((uint8_t)p, (uint8_t)scale), .l = L_DEC, .size = (uint8_t)(bits / 8)};
    return true;
}

/* Microseconds of a time unit: multiplied, or divided. */
static bool format_unit(char unit, format *f)
{
    f->mul = unit == 's' ? 1000000 : unit == 'm' ? 1000 : 1;
    f->div = unit == 'n' ? 1000 : 1;
    return unit == 's' || unit == 'm' || unit == 'u' || unit == 'n';
}

static bool format_temporal(str s, format *f)
{
    if (str_eqz(s, "tdD")) {
        *f = (format){.t = TYPE(T_DATE), .l = L_AS_IS};
        return true;
    }
    *f = (format){.l = L_INT, .size = 8, .mul = 1, .div = 1};
    if (str_eqz(s, "tdm")) {
        f->t = TYPE(T_DATE);
        f->div = 86400000;
        return true;
    }
    if (s.n == 3 && s.p[1] == 't') {
        f->t = TYPE(T_TIME);
        f->size = s.p[2] == 's' || s.p[2] == 'm' ? 4 : 8;
        return format_unit(s.p[2], f);
    }
    if (s.n >= 4 && s.p[1] == 's' && s.p[3] == ':') {
        f->t = TYPE(s.n > 4 ? T_TIMESTAMPTZ : T_TIMESTAMP);
        return format_unit(s.p[2], f);
    }
    return false;
}

static bool format_flat(str s, format *f)
{
    static const struct { char c; format f; } plain[] = {
        {'n', {TYPE(T_NULL), L_NULL}},
        {'b', {TYPE(T_BOOL), L_BITS}},
        {'c', {TYPE(T_INT32), L_INT, 1, false, 1, 1}},
        {'C', {TYPE(T_INT32), L_INT, 1, true, 1, 1}},
        {'s', {TYPE(T_INT32), L_INT, 2, false, 1, 1}},
        {'S', {TYPE(T_INT32), L_INT, 2, true, 1, 1}},
        {'i', {TYPE(T_INT32), L_AS_IS}},
        {'I', {TYPE(T_INT64), L_INT, 4, true, 1, 1}},
        {'l', {TYPE(T_INT64), L_AS_IS}},
        {'L', {TYPE_DECIMAL(20, 0), L_INT, 8, true, 1, 1}},
        {'e', {TYPE(T_FLOAT32), L_HALF}},
        {'f', {TYPE(T_FLOAT32), L_AS_IS}},
        {'g', {TYPE(T_FLOAT64), L_AS_IS}},
        {'u', {TYPE(T_STRING), L_TEXT}},
        {'U', {TYPE(T_STRING), L_LARGE}},
        {'z', {TYPE(T_BINARY), L_TEXT}},
        {'Z', {TYPE(T_BINARY), L_LARGE}},
    };
    int64_t width;
    if (s.n == 1) {
        for (size_t i = 0; i < sizeof plain / sizeof plain[0]; i++)
            if (plain[i].c == s.p[0]) {
                *f = plain[i].f;
                return true;
            }
        return false;
    }
    if (str_eqz(s, "vu") || str_eqz(s, "vz")) {
        *f = (format){.t = TYPE(s.p[1] == 'u' ? T_STRING : T_BINARY), .l = L_VIEW};
        return true;
    }
    if (str_starts(s, STR("d:")))
        return format_decimal((str){s.p + 2, s.n - 2}, f);
    if (str_starts(s, STR("w:"))) {
        if (!str_to_i64((str){s.p + 2, s.n - 2}, &width) || width < 0 || width > INT32_MAX)
            return false;
        *f = (format){.t = {.id = T_FIXED, .width = (uint32_t)width}, .l = L_FIXED};
        return true;
    }
    return s.n && s.p[0] == 't' && format_temporal(s, f);
}

/* The value of a metadata key; empty if it isn't there. */
static str metadata_get(const char *md, str key)
{
    int32_t n, len;
    if (!md)
        return (str){0};
    memcpy(&n, md, 4);
    md += 4;
    while (n-- > 0) {
        str part[2];
        for (int i = 0; i < 2; i++) {
            memcpy(&len, md, 4);
            if (len < 0)
                return (str){0};
            part[i] = (str){md + 4, (size_t)len};
            md += 4 + len;
        }
        if (str_eq(part[0], key))
            return part[1];
    }
    return (str){0};
}

static str field_name(const struct ArrowSchema *s) { return str_of(s->name ? s->name : ""); }

static fz_status format_refuse(const struct ArrowSchema *s, fz_error *err)
{
    return error_set(err, FZ_UNSUPPORTED, "column %s: Arrow format '%s' isn't supported",
                     s->name ? s->name : "", s->format ? s->format : "");
}

/* A flat column's format; of a dictionary, that of its values. */
static fz_status format_of(const struct ArrowSchema *s, format *f, fz_error *err)
{
    const struct ArrowSchema *v = s->dictionary ? s->dictionary : s;
    if (!s->release || !v->format || !format_flat(str_of(v->format), f) || v->dictionary)
        return format_refuse(v->dictionary ? v : s, err);
    if (f->l == L_FIXED && f->t.width == 16 &&
        str_eqz(metadata_get(s->metadata, STR("ARROW:extension:name")), "arrow.uuid"))
        f->t = TYPE(T_UUID);
    return FZ_OK;
}

/* ---- schemas ---- */

static fz_status children_check(const struct ArrowSchema *s, fz_error *err)
{
    if (s->n_children < 0 || s->n_children > COLUMNS_MAX || (s->n_children && !s->children))
        return error_set(err, FZ_DATA, "an Arrow schema with %lld children", (long long)s->n_children);
    for (int64_t i = 0; i < s->n_children; i++) {
        if (!s->children[i] || !s->children[i]->release)
            return error_set(err, FZ_DATA, "an Arrow schema whose child %lld is missing", (long long)i);
        str name = field_name(s->children[i]);
        if (utf8_valid_prefix(name) != name.n)
            return error_set(err, FZ_DATA, "the name of column %lld isn't UTF-8", (long long)i + 1);
    }
    return FZ_OK;
}

/* The length of "+w:N"'s lists; -1: the format is another. */
static int64_t fixed_list(str f)
{
    int64_t n;
    bool ok = str_starts(f, STR("+w:")) && str_to_i64((str){f.p + 3, f.n - 3}, &n) && n >= 0 && n <= INT32_MAX;
    return ok ? n : -1;
}

static fz_status type_import(const struct ArrowSchema *s, arena *a, int depth, type *out, fz_error *err)
{
    str f = str_of(s->format ? s->format : "");
    int64_t want = str_eqz(f, "+l") || str_eqz(f, "+L") || str_eqz(f, "+m") || fixed_list(f) >= 0 ? 1 : -1;
    if (want < 0 && !str_eqz(f, "+s")) {
        format flat;
        TRY(format_of(s, &flat, err));
        *out = flat.t;
        return FZ_OK;
    }
    TRY(children_check(s, err));
    if (depth >= TYPE_DEPTH_MAX || s->dictionary)
        return format_refuse(s, err);
    if (want == 1 && s->n_children != 1)
        return error_set(err, FZ_DATA, "column %s: '%s' with %lld children", s->name ? s->name : "",
                         s->format, (long long)s->n_children);
    *out = TYPE(want < 0 ? T_STRUCT : str_eqz(f, "+m") ? T_MAP : T_LIST);
    const struct ArrowSchema *from = s;
    if (out->id == T_MAP) { /* the one child is the struct of key and value */
        from = s->children[0];
        TRY(children_check(from, err));
        if (from->n_children != 2)
            return format_refuse(s, err);
    }
    type_fields *tf = arena_zalloc(a, sizeof *tf + (size_t)from->n_children * sizeof tf->f[0]);
    if (!tf)
        return error_nomem(err);
    tf->n = (uint32_t)from->n_children;
    out->children = tf;
    for (uint32_t i = 0; i < tf->n; i++) {
        const struct ArrowSchema *c = from->children[i];
        str name = out->id == T_LIST ? STR("element") : out->id == T_STRUCT ? field_name(c)
                   : i == 0          ? STR("key")
                                     : STR("value");
        const char *copy = arena_strndup(a, name.p, name.n);
        if (!copy)
            return error_nomem(err);
        tf->f[i] = (type_field){.name = {copy, name.n}, .field_id = -1,
                                .required = !(c->flags & ARROW_FLAG_NULLABLE)};
        TRY(type_import(c, a, depth + 1, &tf->f[i].t, err));
    }
    return FZ_OK;
}

static fz_status top_check(const struct ArrowSchema *in, fz_error *err)
{
    if (!in->release || !in->format || strcmp(in->format, "+s") != 0)
        return error_set(err, FZ_INVALID, "an Arrow schema of format '%s'; rows come as a struct, '+s'",
                         in->release && in->format ? in->format : "");
    return children_check(in, err);
}

fz_status bridge_import_schema(const struct ArrowSchema *in, arena *a, row_schema *out, fz_error *err)
{
    TRY(top_check(in, err));
    column_def *cols = ARENA_ARRAY(a, column_def, in->n_children);
    if (!cols)
        return error_nomem(err);
    for (int64_t i = 0; i < in->n_children; i++) {
        const struct ArrowSchema *c = in->children[i];
        str name = field_name(c);
        const char *copy = arena_strndup(a, name.p, name.n);
        if (!copy)
            return error_nomem(err);
        cols[i] = (column_def){.name = {copy, name.n}, .field_id = -1,
                               .not_null = !(c->flags & ARROW_FLAG_NULLABLE)};
        TRY(type_import(c, a, 0, &cols[i].t, err));
    }
    *out = (row_schema){(uint32_t)in->n_children, cols};
    return FZ_OK;
}

/* ---- arrays ---- */

/* One column being imported: rows [at, at+n) of the array's buffers. */
typedef struct source {
    const struct ArrowArray *a;
    const char *name;
    format f;
    int64_t at;
    uint32_t n;
} source;

static fz_status column_bad(const source *s, fz_error *err, const char *what)
{
    return error_set(err, FZ_DATA, "column %s: Arrow array with %s", s->name, what);
}

/* Where row 0 of a buffer of fixed-width values lies. */
static const char *values_at(const source *s, size_t width)
{
    return (const char *)s->a->buffers[1] + (size_t)s->at * width;
}

/* `bytes` of memory that the batch keeps. */
static void *data_new(batch *b, size_t count, size_t width, fz_error *err)
{
    size_t bytes;
    buf *x = __builtin_mul_overflow(count, width, &bytes) ? NULL : buf_new(b->mem.m, bytes);
    if (!x) {
        error_nomem(err);
        return NULL;
    }
    fz_status st = batch_keep(b, x, err);
    void *data = x->data;
    buf_unref(x);
    return st == FZ_OK ? data : NULL;
}

/* Rows of a bitmap with any alignment and no padding. */
static fz_status valid_import(const source *s, batch *b, uint64_t **out, fz_error *err)
{
    const uint8_t *bits = s->a->n_buffers > 0 ? s->a->buffers[0] : NULL;
    *out = NULL;
    if (!bits || s->a->null_count == 0 || s->n == 0)
        return FZ_OK;
    uint64_t *valid = bitmap_alloc(&b->mem, s->n, false);
    if (!valid)
        return error_nomem(err);
    bits += s->at >> 3;
    unsigned shift = s->at & 7;
    size_t bytes = ((size_t)s->n + 7) / 8, have = ((size_t)shift + s->n + 7) / 8;
    uint8_t *dst = (uint8_t *)valid;
    for (size_t i = 0; i < bytes; i++)
        dst[i] = (uint8_t)(bits[i] >> shift | (i + 1 < have ? bits[i + 1] << (8 - shift) : 0));
    *out = valid;
    return FZ_OK;
}

static inline bool row_valid(const vec *v, uint32_t i) { return !v->valid || bit_get(v->valid, i); }

static int64_t int_load(const char *p, const format *f)
{
    int64_t v = 0;
    switch (f->size) {
    case 1:
        v = f->is_unsigned ? *(const uint8_t *)p : *(const int8_t *)p;
        break;
    case 2: {
        uint16_t x;
        memcpy(&x, p, 2);
        v = f->is_unsigned ? x : (int16_t)x;
        break;
    }
    case 4: {
        uint32_t x;
        memcpy(&x, p, 4);
        v = f->is_unsigned ? (int64_t)x : (int32_t)x;
        break;
    }
    case 8:
        memcpy(&v, p, 8);
        break;
    }
    return v;
}

/* Integers of other widths and units. Rows that are null become 0. */
static fz_status ints_import(const source *s, batch *b, vec *v, fz_error *err)
{
    phys p = type_phys(s->f.t);
    uint32_t size = phys_size(p);
    const char *src = values_at(s, s->f.size);
    char *dst = v->data = data_new(b, s->n, size, err);
    if (!dst)
        return FZ_NOMEM;
    for (uint32_t i = 0; i < s->n; i++, dst += size) {
        int64_t x = row_valid(v, i) ? int_load(src + (size_t)i * s->f.size, &s->f) : 0;
        if (p == PHYS_I128) { /* uint64 */
            i128 wide = (i128)(uint64_t)x;
            memcpy(dst, &wide, 16);
            continue;
        }
        if (s->f.div > 1 && x % s->f.div != 0)
            return error_set(err, FZ_VALUE, "column %s: %lld is finer than %s", s->name, (long long)x,
                             s->f.t.id == T_DATE ? "a day" : "a microsecond");
        x /= s->f.div;
        if (__builtin_mul_overflow(x, s->f.mul, &x) || (size == 4 && (x < INT32_MIN || x > INT32_MAX)))
            return error_set(err, FZ_VALUE, "column %s: a time is out of range", s->name);
        int32_t narrow = (int32_t)x;
        if (size == 4)
            memcpy(dst, &narrow, 4);
        else
            memcpy(dst, &x, 8);
    }
    return FZ_OK;
}

static fz_status decimals_import(const source *s, batch *b, vec *v, fz_error *err)
{
    phys p = type_phys(s->f.t);
    const char *src = values_at(s, s->f.size);
    if (p == PHYS_I128 && s->f.size == 16 && (uintptr_t)src % 16 == 0) {
        v->data = (void *)(uintptr_t)src;
        return FZ_OK;
    }
    uint32_t size = phys_size(p);
    char *dst = v->data = data_new(b, s->n, size, err);
    if (!dst)
        return FZ_NOMEM;
    format ints = {.size = s->f.size};
    for (uint32_t i = 0; i < s->n; i++, dst += size) {
        i128 x = 0;
        if (!row_valid(v, i))
            ;
        else if (s->f.size == 16)
            memcpy(&x, src + (size_t)i * 16, 16);
        else
            x = int_load(src + (size_t)i * s->f.size, &ints);
        int64_t narrow = (int64_t)x;
        if (size == 8 && narrow != x)
            return error_set(err, FZ_VALUE, "column %s: a decimal passes its precision", s->name);
        if (size == 8)
            memcpy(dst, &narrow, 8);
        else
            memcpy(dst, &x, 16);
    }
    return FZ_OK;
}

static fz_status halves_import(const source *s, batch *b, vec *v, fz_error *err)
{
    const char *src = values_at(s, 2);
    float *dst = v->data = data_new(b, s->n, 4, err);
    if (!dst)
        return FZ_NOMEM;
    for (uint32_t i = 0; i < s->n; i++) {
        uint16_t h;
        memcpy(&h, src + (size_t)i * 2, 2);
        uint32_t sign = (uint32_t)(h >> 15) << 31, e = h >> 10 & 31, frac = h & 1023, bits;
        if (e == 0) { /* zero and subnormals: exact as frac * 2^-24 */
            dst[i] = (sign ? -1.0f : 1.0f) * (float)frac * 0x1p-24f;
            continue;
        }
        bits = sign | (e == 31 ? 0x7f800000u : (e + 112) << 23) | frac << 13;
        memcpy(&dst[i], &bits, 4);
    }
    return FZ_OK;
}

static fz_status bits_import(const source *s, batch *b, vec *v, fz_error *err)
{
    const uint8_t *bits = s->a->buffers[1];
    uint8_t *dst = v->data = data_new(b, s->n, 1, err);
    if (!dst)
        return FZ_NOMEM;
    for (uint32_t i = 0; i < s->n; i++) {
        size_t at = (size_t)s->at + i;
        dst[i] = bits[at >> 3] >> (at & 7) & 1;
    }
    return FZ_OK;
}

static fz_status as_is_import(const source *s, batch *b, vec *v, fz_error *err)
{
    uint32_t size = phys_size(type_phys(s->f.t));
    const char *src = values_at(s, size);
    if ((uintptr_t)src % size == 0) {
        v->data = (void *)(uintptr_t)src;
        return FZ_OK;
    }
    if (!(v->data = data_new(b, s->n, size, err)))
        return FZ_NOMEM;
    memcpy(v->data, src, (size_t)s->n * size);
    return FZ_OK;
}

static bool is_utf8_continuation(char c) { return ((unsigned char)c & 0xC0) == 0x80; }

/* Text from offsets, checked as one run of bytes: then each value is valid where it doesn't
 * start inside a character. */
static fz_status text_import(const source *s, batch *b, vec *v, fz_error *err)
{
    bool large = s->f.l == L_LARGE, utf8 = s->f.t.id == T_STRING;
    const char *offsets = values_at(s, large ? 8 : 4);
    const char *bytes = s->a->buffers[2];
    format of = {.size = large ? 8 : 4};
    strview *dst = v->data = data_new(b, s->n, sizeof *dst, err);
    if (!dst)
        return FZ_NOMEM;
    int64_t from = int_load(offsets, &of), first = from;
    if (from < 0)
        return column_bad(s, err, "a negative offset");
    for (uint32_t i = 0; i < s->n; i++) {
        int64_t to = int_load(offsets + ((size_t)i + 1) * of.size, &of);
        if (to < from || to - from > UINT32_MAX)
            return column_bad(s, err, "offsets that don't ascend");
        if (to > from && !bytes)
            return column_bad(s, err, "a missing buffer");
        dst[i] = row_valid(v, i) && to > from ? strview_make(bytes + from, (uint32_t)(to - from))
                                              : (strview){0};
        from = to;
    }
    if (!utf8 || from == first)
        return FZ_OK;
    str all = {bytes + first, (size_t)(from - first)};
    bool whole = utf8_valid_prefix(all) == all.n; /* else: bytes of nulls may be anything */
    for (uint32_t i = 0; i < s->n; i++) {
        str one = strview_str(&dst[i]);
        if (one.n && (whole ? is_utf8_continuation(one.p[0]) : utf8_valid_prefix(one) != one.n))
            return column_bad(s, err, "text that isn't UTF-8");
    }
    return FZ_OK;
}

static fz_status views_import(const source *s, batch *b, vec *v, fz_error *err)
{
    struct { int32_t len; char inl[12]; } view;
    struct { char prefix[4]; int32_t index, offset; } ref;
    int64_t nbufs = s->a->n_buffers - 3;
    const char *src = values_at(s, 16), *sizes = s->a->buffers[s->a->n_buffers - 1];
    strview *dst = v->data = data_new(b, s->n, sizeof *dst, err);
    if (!dst)
        return FZ_NOMEM;
    if (nbufs > 0 && !sizes)
        return column_bad(s, err, "a missing buffer");
    for (uint32_t i = 0; i < s->n; i++) {
        dst[i] = (strview){0};
        if (!row_valid(v, i))
            continue;
        memcpy(&view, src + (size_t)i * 16, 16);
        memcpy(&ref, view.inl, 12);
        if (view.len < 0)
            return column_bad(s, err, "a view of negative length");
        if (view.len <= 12) {
            dst[i] = strview_make(view.inl, (uint32_t)view.len);
        } else {
            int64_t size;
            if (ref.index < 0 || ref.index >= nbufs || ref.offset < 0)
                return column_bad(s, err, "a view into no buffer");
            memcpy(&size, sizes + (size_t)ref.index * 8, 8);
            const char *bytes = s->a->buffers[2 + ref.index];
            if (!bytes || size < view.len || ref.offset > size - view.len)
                return column_bad(s, err, "a view past its buffer");
            dst[i] = strview_make(bytes + ref.offset, (uint32_t)view.len);
        }
        str one = strview_str(&dst[i]);
        if (s->f.t.id == T_STRING && utf8_valid_prefix(one) != one.n)
            return column_bad(s, err, "text that isn't UTF-8");
    }
    return FZ_OK;
}

static fz_status fixed_import(const source *s, batch *b, vec *v, fz_error *err)
{
    uint32_t width = s->f.t.id == T_UUID ? 16 : s->f.t.width;
    const char *src = values_at(s, width);
    strview *dst = v->data = data_new(b, s->n, sizeof *dst, err);
    if (!dst)
        return FZ_NOMEM;
    if (width == 0) /* then there may be no bytes at all to point to */
        memset(dst, 0, (size_t)s->n * sizeof *dst);
    for (uint32_t i = 0; i < s->n && width; i++)
        dst[i] = strview_make(src + (size_t)i * width, width);
    return FZ_OK;
}

/* Counts and pointers that every layout needs. */
static fz_status array_check(const source *s, fz_error *err)
{
    const struct ArrowArray *a = s->a;
    int64_t least = s->f.l == L_NULL ? 0 : s->f.l == L_TEXT || s->f.l == L_LARGE || s->f.l == L_VIEW ? 3 : 2;
    if (a->n_children != 0)
        return column_bad(s, err, "children");
    if (a->n_buffers < least || (a->n_buffers > least && s->f.l != L_VIEW && s->f.l != L_NULL))
        return column_bad(s, err, "a wrong number of buffers");
    if (least && !a->buffers)
        return column_bad(s, err, "no buffers");
    bool empty = s->n == 0 || (s->f.l == L_FIXED && s->f.t.id == T_FIXED && s->f.t.width == 0);
    if (least && !empty && !a->buffers[1])
        return column_bad(s, err, "a missing buffer");
    return FZ_OK;
}

/* Rows at, at+1, … of an array, within its length. */
static fz_status source_open(source *s, const struct ArrowArray *a, const char *name, format f, int64_t at,
                             uint32_t n, fz_error *err)
{
    *s = (source){.a = a, .name = name, .f = f, .n = n};
    if (!a || !a->release)
        return error_set(err, FZ_DATA, "column %s: no Arrow array", name);
    if (a->length < 0 || a->offset < 0 || at < 0 || at > a->length || n > a->length - at ||
        a->offset > INT64_MAX / 32 - a->length) /* positions times the widest value stay in range */
        return column_bad(s, err, "a length or offset out of range");
    s->at = a->offset + at;
    return array_check(s, err);
}

static fz_status flat_import(const source *s, batch *b, vec *v, fz_error *err)
{
    *v = (vec){.t = s->f.t, .enc = VEC_FLAT, .len = s->n};
    if (s->f.l == L_NULL) {
        datum null = DATUM_NULL(s->f.t);
        return vec_const(v, &null, s->n, &b->mem, err);
    }
    TRY(valid_import(s, b, &v->valid, err));
    if (s->n == 0) {
        v->data = arena_alloc(&b->mem, 0);
        return v->data ? FZ_OK : error_nomem(err);
    }
    switch (s->f.l) {
    case L_BITS:
        return bits_import(s, b, v, err);
    case L_INT:
        return ints_import(s, b, v, err);
    case L_HALF:
        return halves_import(s, b, v, err);
    case L_AS_IS:
        return as_is_import(s, b, v, err);
    case L_DEC:
        return decimals_import(s, b, v, err);
    case L_TEXT:
    case L_LARGE:
        return text_import(s, b, v, err);
    case L_VIEW:
        return views_import(s, b, v, err);
    case L_FIXED:
        return fixed_import(s, b, v, err);
    default:
        return error_set(err, FZ_INTERNAL, "column %s: an unknown layout", s->name);
    }
}

/* Codes of any integer width. Rows whose dictionary value is null become null themselves. */
static fz_status codes_import(const source *codes, batch *b, vec *v, vec *values, fz_error *err)
{
    const char *src = codes->n ? values_at(codes, codes->f.size) : NULL;
    uint32_t *dst = v->data = data_new(b, codes->n, 4, err);
    if (!dst)
        return FZ_NOMEM;
    if (values->valid && !v->valid && !(v->valid = bitmap_alloc(&b->mem, codes->n, true)))
        return error_nomem(err);
    for (uint32_t i = 0; i < codes->n; i++) {
        dst[i] = 0;
        if (!row_valid(v, i))
            continue;
        int64_t code = int_load(src + (size_t)i * codes->f.size, &codes->f);
        if (code < 0 || code >= values->len)
            return column_bad(codes, err, "a code past its dictionary");
        if (values->valid && !bit_get(values->valid, (size_t)code))
            bit_clear(v->valid, i);
        else
            dst[i] = (uint32_t)code;
    }
    values->valid = NULL;
    return FZ_OK;
}

static fz_status dict_import(const struct ArrowSchema *schema, const struct ArrowArray *a, format f,
                             int64_t at, uint32_t n, batch *b, vec *v, fz_error *err)
{
    const char *name = schema->name ? schema->name : "";
    static const char kinds[] = "cCsSiIlL";
    const char *kind = schema->format && strlen(schema->format) == 1 ? strchr(kinds, schema->format[0]) : NULL;
    if (!kind)
        return format_refuse(schema, err);
    unsigned k = (unsigned)(kind - kinds);
    format cf = {.t = TYPE(T_INT64), .l = L_INT, .size = (uint8_t)(1u << k / 2), .is_unsigned = k & 1};
    source codes, dict;
    TRY(source_open(&codes, a, name, cf, at, n, err));
    const struct ArrowArray *d = a->dictionary;
    if (!d || d->length < 0 || d->length > UINT32_MAX)
        return column_bad(&codes, err, "no dictionary, or one that is too long");
    TRY(source_open(&dict, d, name, f, 0, (uint32_t)d->length, err));
    vec *values = ARENA_NEW(&b->mem, vec);
    if (!values)
        return error_nomem(err);
    if (f.l == L_NULL) { /* values that are all null */
        datum null = DATUM_NULL(f.t);
        return vec_const(v, &null, n, &b->mem, err);
    }
    TRY(flat_import(&dict, b, values, err));
    *v = (vec){.t = f.t, .enc = VEC_DICT, .len = n, .values = values};
    TRY(valid_import(&codes, b, &v->valid, err));
    return codes_import(&codes, b, v, values, err);
}

/* ---- nested columns ---- */

static fz_status any_import(const struct ArrowSchema *schema, const struct ArrowArray *a, type t, int64_t at,
                            uint32_t n, batch *b, vec *v, fz_error *err);

/* Rows at, at+1, … of a nested array with that many buffers and children. */
static fz_status nested_open(source *s, const struct ArrowSchema *schema, const struct ArrowArray *a, int64_t at,
                             uint32_t n, int64_t n_buffers, fz_error *err)
{
    const char *name = schema->name ? schema->name : "";
    *s = (source){.a = a, .name = name, .n = n};
    if (!a || !a->release)
        return error_set(err, FZ_DATA, "column %s: no Arrow array", name);
    if (a->length < 0 || a->offset < 0 || at < 0 || at > a->length || n > a->length - at ||
        a->offset > INT64_MAX / 32 - a->length)
        return column_bad(s, err, "a length or offset out of range");
    s->at = a->offset + at;
    if (a->n_buffers != n_buffers || !a->buffers)
        return column_bad(s, err, "a wrong number of buffers");
    if (a->n_children != schema->n_children || (a->n_children && !a->children))
        return column_bad(s, err, "a wrong number of children");
    return FZ_OK;
}

/* The lists' offsets, from 0 on, and the first element's position in the child. */
static fz_status offsets_import(const source *s, str kind, batch *b, vec *v, int64_t *first, fz_error *err)
{
    uint32_t *o = v->data = data_new(b, (size_t)s->n + 1, 4, err);
    int64_t width = fixed_list(kind), to;
    if (!o)
        return FZ_NOMEM;
    o[0] = 0;
    *first = 0;
    if (width >= 0) {
        if (__builtin_mul_overflow(s->at, width, first) || (int64_t)s->n * width >= UINT32_MAX)
            return error_set(err, FZ_LIMIT, "column %s: more than 4 billion list elements in one array", s->name);
        for (uint32_t i = 0; i < s->n; i++)
            o[i + 1] = o[i] + (uint32_t)width;
        return FZ_OK;
    }
    format of = {.size = str_eqz(kind, "+L") ? 8 : 4};
    if (s->n == 0) /* then there may be no buffer */
        return FZ_OK;
    if (!s->a->buffers[1])
        return column_bad(s, err, "a missing buffer");
    const char *src = values_at(s, of.size);
    int64_t from = *first = int_load(src, &of);
    if (from < 0)
        return column_bad(s, err, "a negative offset");
    for (uint32_t i = 0; i < s->n; i++, from = to) {
        to = int_load(src + ((size_t)i + 1) * of.size, &of);
        if (to < from)
            return column_bad(s, err, "offsets that don't ascend");
        if (to - *first >= UINT32_MAX)
            return error_set(err, FZ_LIMIT, "column %s: more than 4 billion list elements in one array", s->name);
        o[i + 1] = (uint32_t)(to - *first);
    }
    return FZ_OK;
}

/* Keys and values of the m entries from `first` on. */
static fz_status entries_import(const struct ArrowSchema *schema, const struct ArrowArray *a, int64_t first,
                                uint32_t m, batch *b, vec *v, fz_error *err)
{
    source s;
    uint64_t *valid;
    TRY(nested_open(&s, schema, a, first, m, 1, err));
    TRY(valid_import(&s, b, &valid, err));
    for (uint32_t i = 0; valid && i < m; i++)
        if (!bit_get(valid, i))
            return column_bad(&s, err, "a map's entry that is null");
    for (uint32_t k = 0; k < 2; k++)
        TRY(any_import(schema->children[k], a->children[k], v->t.children->f[k].t, s.at, m, b, &v->kids[k], err));
    for (uint32_t i = 0; vec_may_null(&v->kids[0]) && i < m; i++)
        if (vec_is_null(&v->kids[0], i))
            return column_bad(&s, err, "a map's key that is null");
    return FZ_OK;
}

static fz_status nested_import(const struct ArrowSchema *schema, const struct ArrowArray *a, type t, int64_t at,
                               uint32_t n, batch *b, vec *v, fz_error *err)
{
    str f = str_of(schema->format);
    bool is_struct = t.id == T_STRUCT;
    source s;
    TRY(nested_open(&s, schema, a, at, n, is_struct || fixed_list(f) >= 0 ? 1 : 2, err));
    *v = (vec){.t = t, .enc = VEC_FLAT, .len = n, .kids = ARENA_ARRAY(&b->mem, vec, t.children->n)};
    if (!v->kids)
        return error_nomem(err);
    TRY(valid_import(&s, b, &v->valid, err));
    if (is_struct) {
        for (uint32_t i = 0; i < t.children->n; i++)
            TRY(any_import(schema->children[i], a->children[i], t.children->f[i].t, s.at, n, b, &v->kids[i], err));
        return FZ_OK;
    }
    int64_t first;
    TRY(offsets_import(&s, f, b, v, &first, err));
    uint32_t m = ((const uint32_t *)v->data)[n];
    if (t.id == T_MAP)
        return entries_import(schema->children[0], a->children[0], first, m, b, v, err);
    return any_import(schema->children[0], a->children[0], t.children->f[0].t, first, m, b, &v->kids[0], err);
}

/* A column or member: rows at, at+1, …, counted from the array's own offset. The schema has been checked: t was made of it. */
static fz_status any_import(const struct ArrowSchema *schema, const struct ArrowArray *a, type t, int64_t at,
                            uint32_t n, batch *b, vec *v, fz_error *err)
{
    format f;
    source s;
    if (type_is_nested(t))
        return nested_import(schema, a, t, at, n, b, v, err);
    TRY(format_of(schema, &f, err));
    if (!a)
        return error_set(err, FZ_DATA, "column %s: no Arrow array", schema->name ? schema->name : "");
    if (schema->dictionary)
        return dict_import(schema, a, f, at, n, b, v, err);
    TRY(source_open(&s, a, schema->name ? schema->name : "", f, at, n, err));
    return flat_import(&s, b, v, err);
}

struct array_owner {
    mem *m;
    struct ArrowArray a;
};

static void owner_release(buf *b)
{
    struct array_owner *o = b->owner;
    if (o->a.release)
        o->a.release(&o->a);
    mem_free(o->m, o, sizeof *o);
}

/* Moves the array into a buffer without bytes that the batch keeps. */
static fz_status array_own(struct ArrowArray *in, batch *out, struct ArrowArray **moved, fz_error *err)
{
    mem *m = out->mem.m;
    struct array_owner *o = mem_zalloc(m, sizeof *o);
    buf *b = o ? buf_wrap(m, NULL, 0, owner_release, o) : NULL;
    if (!b) {
        mem_free(m, o, sizeof *o);
        in->release(in);
        in->release = NULL;
        return error_nomem(err);
    }
    o->m = m;
    o->a = *in;
    in->release = NULL;
    *moved = &o->a;
    fz_status st = batch_keep(out, b, err);
    buf_unref(b);
    return st;
}

/* Whether a row of the struct itself is null; a negative count means that nobody counted. */
static bool rows_null(const struct ArrowArray *a)
{
    const uint8_t *bits = a->n_buffers > 0 && a->buffers ? a->buffers[0] : NULL;
    if (!bits || a->null_count == 0)
        return a->null_count > 0;
    for (int64_t i = a->offset; i < a->offset + a->length; i++)
        if (!(bits[i >> 3] >> (i & 7) & 1))
            return true;
    return false;
}

static fz_status rows_import(const struct ArrowSchema *schema, const row_schema *types, const struct ArrowArray *a,
                             batch *out, fz_error *err)
{
    TRY(top_check(schema, err));
    if (types->n != schema->n_children)
        return error_set(err, FZ_INTERNAL, "%u types for an Arrow schema of %lld columns", types->n,
                         (long long)schema->n_children);
    if (a->n_children != schema->n_children || (a->n_children && !a->children))
        return error_set(err, FZ_DATA, "an Arrow array of %lld columns for a schema of %lld",
                         (long long)a->n_children, (long long)schema->n_children);
    if (a->length < 0 || a->offset < 0 || a->length > INT32_MAX || a->offset > INT64_MAX / 32)
        return error_set(err, FZ_DATA, "an Arrow array of %lld rows at %lld", (long long)a->length,
                         (long long)a->offset);
    if (rows_null(a))
        return error_set(err, FZ_UNSUPPORTED, "an Arrow array whose rows themselves are null");
    uint32_t n = (uint32_t)a->length;
    TRY(batch_columns(out, (uint32_t)a->n_children, err));
    for (uint32_t i = 0; i < out->ncols; i++)
        TRY(any_import(schema->children[i], a->children[i], types->cols[i].t, a->offset, n, out, &out->cols[i], err));
    out->nrows = out->nsel = n;
    out->stable = true;
    return FZ_OK;
}

fz_status bridge_import_rows(const struct ArrowSchema *schema, const row_schema *types, struct ArrowArray *in,
                             batch *out, fz_error *err)
{
    struct ArrowArray *a = NULL;
    batch_reset(out);
    if (!in->release)
        return error_set(err, FZ_INVALID, "an Arrow array that was released already");
    fz_status st = array_own(in, out, &a, err);
    if (st == FZ_OK)
        st = rows_import(schema, types, a, out, err);
    if (st != FZ_OK)
        batch_reset(out);
    return st;
}
