/*
 * bridge_export.c: schemas and batches to the Arrow C data interface; see bridge.h.
 *
 * Everything that one call hands out lies in the arena of one refcounted block. The parent
 * structure and each of its children hold a reference, because a consumer may move a child out
 * and release the parent before it (the specification's "moving child arrays").
 *
 * A constant column of a result tends to stay the same for many batches: its values are written once, into a
 * block of their own, and every array that has them holds a reference of that block (bridge_shared).
 */
#include "arrow/bridge.h"

#include <limits.h>
#include <pthread.h>
#include <stdio.h>

typedef struct export_block {
    _Atomic int refs;
    mem m;    /* the allocator of who exported, but not his budget: the block outlives it */
    arena a;
    struct lent *lent; /* of other blocks, given back with this one */
} export_block;

typedef struct lent { struct lent *next; export_block *b; } lent;

static export_block *block_new(mem *from)
{
    mem m;
    mem_init(&m, NULL, from ? &from->hooks : NULL, 0);
    export_block *b = mem_zalloc(&m, sizeof *b);
    if (!b)
        return NULL;
    atomic_init(&b->refs, 1);
    mem_init(&b->m, NULL, &m.hooks, 0);
    arena_init(&b->a, &b->m);
    return b;
}

static void block_unref(export_block *b)
{
    if (atomic_fetch_sub_explicit(&b->refs, 1, memory_order_acq_rel) != 1)
        return;
    for (lent *l = b->lent; l; l = l->next)
        block_unref(l->b); /* which has lent nothing itself */
    mem m;
    mem_init(&m, NULL, &b->m.hooks, 0);
    arena_free(&b->a);
    mem_free(&m, b, sizeof *b);
}

static export_block *block_ref(export_block *b)
{
    atomic_fetch_add_explicit(&b->refs, 1, memory_order_relaxed);
    return b;
}

/* ---- schemas ---- */

static void schema_release(struct ArrowSchema *s)
{
    for (int64_t i = 0; i < s->n_children; i++)
        if (s->children[i]->release)
            s->children[i]->release(s->children[i]);
    s->release = NULL;
    block_unref(s->private_data);
}

/* The format string of a type, into `out`; false: it has none. */
static bool type_format(type t, char *out, size_t cap)
{
    static const char *const fixed[T_COUNT_] = {
        [T_NULL] = "n",   [T_BOOL] = "b",   [T_INT32] = "i",          [T_INT64] = "l",
        [T_FLOAT32] = "f", [T_FLOAT64] = "g", [T_DATE] = "tdD",       [T_TIME] = "ttu",
        [T_TIMESTAMP] = "tsu:", [T_TIMESTAMPTZ] = "tsu:UTC", [T_STRING] = "u", [T_BINARY] = "z",
        [T_UUID] = "w:16",  [T_STRUCT] = "+s", [T_LIST] = "+l", [T_MAP] = "+m",
    };
    if (t.id == T_DECIMAL)
        snprintf(out, cap, "d:%u,%u", t.precision, t.scale);
    else if (t.id == T_FIXED)
        snprintf(out, cap, "w:%u", t.width);
    else if (t.id < T_COUNT_ && fixed[t.id])
        snprintf(out, cap, "%s", fixed[t.id]);
    else
        return false;
    return true;
}

/* Key-value metadata of one pair: counts and lengths are int32 in the machine's byte order. */
static const char *metadata_pair(arena *a, str key, str value)
{
    char *p = arena_alloc(a, 12 + key.n + value.n), *at = p;
    if (!p)
        return NULL;
    int32_t n = 1, kn = (int32_t)key.n, vn = (int32_t)value.n;
    memcpy(at, &n, 4);
    memcpy(at + 4, &kn, 4);
    memcpy(at + 8, key.p, key.n);
    at += 8 + key.n;
    memcpy(at, &vn, 4);
    memcpy(at + 4, value.p, value.n);
    return p;
}

/* A schema's n empty children. */
static fz_status children_new(export_block *b, uint32_t n, struct ArrowSchema *out, fz_error *err)
{
    struct ArrowSchema *fields = ARENA_ARRAY(&b->a, struct ArrowSchema, n);
    out->children = ARENA_ARRAY(&b->a, struct ArrowSchema *, n);
    if (!fields || !out->children)
        return error_nomem(err);
    out->n_children = n;
    for (uint32_t i = 0; i < n; i++)
        out->children[i] = &fields[i];
    return FZ_OK;
}

static fz_status field_export(export_block *b, str name, type t, bool not_null, struct ArrowSchema *out, fz_error *err)
{
    char format[32];
    struct ArrowSchema *of = out; /* whose children are the members */
    if (!type_format(t, format, sizeof format))
        return error_set(err, FZ_INTERNAL, "column " STR_FMT ": a type without Arrow format", STR_ARG(name));
    out->format = arena_strndup(&b->a, format, strlen(format));
    out->name = arena_strndup(&b->a, name.p, name.n);
    if (!out->format || !out->name)
        return error_nomem(err);
    if (t.id == T_UUID && !(out->metadata = metadata_pair(&b->a, STR("ARROW:extension:name"), STR("arrow.uuid"))))
        return error_nomem(err);
    out->flags = not_null ? 0 : ARROW_FLAG_NULLABLE;
    if (!type_is_nested(t))
        return FZ_OK;
    if (t.id == T_MAP) {
        TRY(children_new(b, 1, out, err));
        of = out->children[0];
        of->format = "+s";
        of->name = "entries";
    }
    TRY(children_new(b, t.children->n, of, err));
    for (uint32_t i = 0; i < t.children->n; i++) {
        const type_field *f = &t.children->f[i];
        TRY(field_export(b, f->name, f->t, f->required, of->children[i], err));
    }
    return FZ_OK;
}

/* Every level holds a reference of the block. */
static void schema_own(export_block *b, struct ArrowSchema *s)
{
    s->release = schema_release;
    s->private_data = block_ref(b);
    for (int64_t i = 0; i < s->n_children; i++)
        schema_own(b, s->children[i]);
}

fz_status bridge_export_schema(const row_schema *s, struct ArrowSchema *out, fz_error *err)
{
    memset(out, 0, sizeof *out);
    export_block *b = block_new(NULL);
    if (!b)
        return error_nomem(err);
    struct ArrowSchema top = {.format = "+s", .name = ""};
    fz_status st = children_new(b, s->n, &top, err);
    for (uint32_t i = 0; i < s->n && st == FZ_OK; i++)
        st = field_export(b, s->cols[i].name, s->cols[i].t, s->cols[i].not_null, top.children[i], err);
    if (st == FZ_OK) {
        schema_own(b, &top);
        *out = top;
    }
    block_unref(b);
    return st;
}

/* ---- arrays ---- */

static void array_release(struct ArrowArray *a)
{
    for (int64_t i = 0; i < a->n_children; i++)
        if (a->children[i]->release)
            a->children[i]->release(a->children[i]);
    a->release = NULL;
    block_unref(a->private_data);
}

static int64_t nulls_count(const uint64_t *valid, uint32_t n)
{
    int64_t ones = 0;
    for (uint32_t w = 0; w < n / 64; w++)
        ones += __builtin_popcountll(valid[w]);
    if (n % 64)
        ones += __builtin_popcountll(valid[n / 64] & ((1ull << n % 64) - 1));
    return n - ones;
}

static fz_status bits_export(export_block *b, const vec *v, const void **out, fz_error *err)
{
    uint64_t *bits = bitmap_alloc(&b->a, v->len, false);
    const uint8_t *bytes = v->data;
    if (!bits)
        return error_nomem(err);
    for (uint32_t i = 0; i < v->len; i++)
        bits[i >> 6] |= (uint64_t)(bytes[i] != 0) << (i & 63);
    *out = bits;
    return FZ_OK;
}

/* Values of a vector as they are exported from: FLAT, or a dictionary's by code. Both loops of each export are compiled. */
typedef struct items {
    const void *values;
    const uint32_t *codes; /* NULL: FLAT */
    const uint64_t *valid;
    uint32_t n;
} items;

static items items_of(const vec *v)
{
    if (v->enc == VEC_DICT)
        return (items){v->values->data, v->data, v->valid, v->len};
    return (items){v->data, NULL, v->valid, v->len};
}

static inline __attribute__((always_inline)) void widen(i128 *dst, const int64_t *from, const uint32_t *codes, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        dst[i] = from[codes ? codes[i] : i];
}

static fz_status wide_export(export_block *b, const vec *v, const void **out, fz_error *err)
{
    items x = items_of(v);
    i128 *wide = arena_alloc(&b->a, (size_t)x.n * sizeof *wide);
    if (!wide)
        return error_nomem(err);
    if (x.codes)
        widen(wide, x.values, x.codes, x.n);
    else
        widen(wide, x.values, NULL, x.n);
    *out = wide;
    return FZ_OK;
}

/* The view of a row, empty where it is null: what lies there may be anything. */
static inline str row_str(const vec *v, uint32_t i)
{
    return v->valid && !bit_get(v->valid, i) ? (str){"", 0} : strview_str((const strview *)v->data + i);
}

/* n+1 offsets, the sum of all lengths; the offsets are wrong where that is more than they can say. */
static inline __attribute__((always_inline)) int64_t text_offsets(const strview *from, const uint32_t *codes, const uint64_t *valid,
                                                                  uint32_t n, int32_t *offsets)
{
    int64_t total = 0;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t len = from[codes ? codes[i] : i].len;
        if (valid)
            len &= 0u - (uint32_t)bit_get(valid, i);
        offsets[i] = (int32_t)total;
        total += len;
    }
    offsets[n] = (int32_t)total;
    return total;
}

#define TEXT_SLACK 12 /* bytes that are written behind a text, before the next one takes their place */

/* n bytes of a view, with as few branches on its length as can be: lengths vary from row to row. */
static inline void text_put(char *dst, const strview *v, uint32_t n)
{
    if (v->len <= 12) {
        memcpy(dst, v->inl, 12);
    } else if (n >= 16 && n <= 64) {
        const char *p = v->ptr;
        for (uint32_t k = 0; k + 16 < n; k += 16)
            memcpy(dst + k, p + k, 16);
        memcpy(dst + n - 16, p + n - 16, 16);
    } else {
        memcpy(dst, v->ptr, n);
    }
}

static inline __attribute__((always_inline)) void text_bytes(const strview *from, const uint32_t *codes, uint32_t n, const int32_t *offsets,
                                                             char *bytes)
{
    for (uint32_t i = 0; i < n; i++)
        text_put(bytes + offsets[i], &from[codes ? codes[i] : i], (uint32_t)(offsets[i + 1] - offsets[i]));
}

static fz_status text_export(export_block *b, const vec *v, str name, const void **out, fz_error *err)
{
    items x = items_of(v);
    int32_t *offsets = arena_alloc(&b->a, ((size_t)x.n + 1) * sizeof *offsets);
    if (!offsets)
        return error_nomem(err);
    int64_t total = x.codes ? text_offsets(x.values, x.codes, x.valid, x.n, offsets)
                    : x.valid ? text_offsets(x.values, NULL, x.valid, x.n, offsets)
                              : text_offsets(x.values, NULL, NULL, x.n, offsets);
    if (total > INT32_MAX)
        return error_set(err, FZ_LIMIT, "column " STR_FMT ": more than 2 GB of text in one batch", STR_ARG(name));
    char *bytes = arena_alloc(&b->a, (size_t)total + TEXT_SLACK);
    if (!bytes)
        return error_nomem(err);
    if (x.codes)
        text_bytes(x.values, x.codes, x.n, offsets, bytes);
    else
        text_bytes(x.values, NULL, x.n, offsets, bytes);
    out[0] = offsets;
    out[1] = bytes;
    return FZ_OK;
}

static fz_status fixed_export(export_block *b, const vec *v, str name, const void **out,
                              fz_error *err)
{
    size_t width = v->t.id == T_UUID ? 16 : v->t.width;
    if (width && v->len > SIZE_MAX / width)
        return error_nomem(err);
    char *bytes = arena_zalloc(&b->a, width * v->len);
    if (!bytes)
        return error_nomem(err);
    for (uint32_t i = 0; i < v->len; i++) {
        str s = row_str(v, i);
        bool null = v->valid && !bit_get(v->valid, i);
        if (s.n != width && !null)
            return error_set(err, FZ_INTERNAL, "column " STR_FMT ": a value of %zu bytes instead of %zu",
                             STR_ARG(name), s.n, width);
        memcpy(bytes + i * width, s.p, s.n);
    }
    *out = bytes;
    return FZ_OK;
}

static fz_status valid_export(export_block *b, const uint64_t *valid, struct ArrowArray *out, fz_error *err)
{
    uint32_t n = (uint32_t)out->length;
    if (!valid || (out->null_count = nulls_count(valid, n)) == 0)
        return FZ_OK;
    uint64_t *bits = arena_alloc(&b->a, BITMAP_WORDS(n) * 8);
    if (!bits)
        return error_nomem(err);
    memcpy(bits, valid, BITMAP_WORDS(n) * 8);
    out->buffers[0] = bits;
    return FZ_OK;
}

/* The rows that are exported: sel[0..n) of a column, all n of a member. */
typedef struct rows { const uint16_t *sel; uint32_t n; } rows;

static fz_status vec_export(export_block *b, str name, const vec *src, rows r, arena *scratch, struct ArrowArray *out,
                            fz_error *err);

static fz_status array_children(export_block *b, uint32_t n, struct ArrowArray *out, fz_error *err)
{
    struct ArrowArray *kids = ARENA_ARRAY(&b->a, struct ArrowArray, n);
    out->children = ARENA_ARRAY(&b->a, struct ArrowArray *, n);
    if (!kids || !out->children)
        return error_nomem(err);
    out->n_children = n;
    for (uint32_t i = 0; i < n; i++)
        out->children[i] = &kids[i];
    return FZ_OK;
}

/* Members are gathered by the struct's own selection. */
static fz_status struct_export(export_block *b, const vec *src, rows r, arena *scratch, struct ArrowArray *out, fz_error *err)
{
    vec flat;
    uint32_t n = src->t.children->n;
    if (src->enc == VEC_CONST) {
        TRY(vec_gather(&flat, src, r.sel, r.n, false, scratch, err));
        src = &flat;
        r.sel = NULL;
    }
    vec nulls = {.t = TYPE(T_NULL), .enc = VEC_FLAT, .len = src->len, .valid = src->valid}, picked;
    TRY(vec_gather(&picked, &nulls, r.sel, r.n, false, scratch, err));
    TRY(valid_export(b, picked.valid, out, err));
    TRY(array_children(b, n, out, err));
    for (uint32_t i = 0; i < n; i++)
        TRY(vec_export(b, src->t.children->f[i].name, &src->kids[i], r, scratch, out->children[i], err));
    return FZ_OK;
}

static fz_status list_export(export_block *b, str name, const vec *src, rows r, arena *scratch, struct ArrowArray *out,
                             fz_error *err)
{
    vec v = *src;
    if (r.sel || v.enc != VEC_FLAT || v.len != r.n)
        TRY(vec_gather(&v, src, r.sel, r.n, false, scratch, err));
    const uint32_t *from = v.data;
    uint32_t n = r.n, first = from[0], total = from[n] - first;
    int32_t *offsets = ARENA_ARRAY(&b->a, int32_t, (size_t)n + 1);
    if (!offsets)
        return error_nomem(err);
    if (total > INT32_MAX)
        return error_set(err, FZ_LIMIT, "column " STR_FMT ": more than 2 billion elements in one batch", STR_ARG(name));
    for (uint32_t i = 0; i <= n; i++)
        offsets[i] = (int32_t)(from[i] - first);
    out->buffers[1] = offsets;
    out->n_buffers = 2;
    TRY(valid_export(b, v.valid, out, err));
    TRY(array_children(b, 1, out, err));
    struct ArrowArray *of = out; /* whose children the members are */
    if (v.t.id == T_MAP) {
        of = out->children[0];
        *of = (struct ArrowArray){.length = total, .n_buffers = 1, .buffers = ARENA_ARRAY(&b->a, const void *, 1)};
        if (!of->buffers)
            return error_nomem(err);
        TRY(array_children(b, 2, of, err));
    }
    for (uint32_t k = 0; k < v.t.children->n; k++) {
        vec kid;
        TRY(vec_slice(&kid, &v.kids[k], first, total, scratch, err));
        TRY(vec_export(b, name, &kid, (rows){NULL, total}, scratch, of->children[k], err));
    }
    return FZ_OK;
}

/* Values whose layout is Arrow's are gathered straight into the block; of others, those that lie as an export reads them
 * are taken from there, and the rest gathered into `scratch` first. */
static fz_status flat_export(export_block *b, str name, const vec *src, rows r, arena *scratch, struct ArrowArray *out,
                             fz_error *err)
{
    phys p = type_phys(src->t);
    bool direct = p == PHYS_I32 || p == PHYS_F32 || p == PHYS_F64 || p == PHYS_I128 ||
                  (p == PHYS_I64 && src->t.id != T_DECIMAL);
    bool codes = src->enc == VEC_DICT && (p == PHYS_I64 || (p == PHYS_STR && src->t.id != T_UUID && src->t.id != T_FIXED));
    vec v = *src;
    if (direct || r.sel || src->len != r.n || (src->enc != VEC_FLAT && !codes))
        TRY(vec_gather(&v, src, r.sel, r.n, false, direct ? &b->a : scratch, err));
    TRY(valid_export(b, v.valid, out, err));
    out->n_buffers = 2;
    out->buffers[1] = v.data;
    if (p == PHYS_U8)
        return bits_export(b, &v, &out->buffers[1], err);
    if (p == PHYS_I64 && !direct)
        return wide_export(b, &v, &out->buffers[1], err);
    if (p != PHYS_STR)
        return FZ_OK;
    if (src->t.id == T_UUID || src->t.id == T_FIXED)
        return fixed_export(b, &v, name, &out->buffers[1], err);
    out->n_buffers = 3;
    return text_export(b, &v, name, &out->buffers[1], err);
}

static fz_status vec_export(export_block *b, str name, const vec *src, rows r, arena *scratch, struct ArrowArray *out,
                            fz_error *err)
{
    out->length = r.n;
    out->n_buffers = src->t.id == T_NULL ? 0 : 1;
    out->buffers = ARENA_ARRAY(&b->a, const void *, 3);
    if (!out->buffers)
        return error_nomem(err);
    if (src->t.id == T_NULL) {
        out->null_count = r.n;
        return FZ_OK;
    }
    if (src->t.id == T_STRUCT)
        return struct_export(b, src, r, scratch, out, err);
    if (type_is_nested(src->t))
        return list_export(b, name, src, r, scratch, out, err);
    return flat_export(b, name, src, r, scratch, out, err);
}

/* Every level holds a reference of the block. */
static void array_own(export_block *b, struct ArrowArray *a)
{
    a->release = array_release;
    a->private_data = block_ref(b);
    for (int64_t i = 0; i < a->n_children; i++)
        array_own(b, a->children[i]);
}

/* ---- constants ---- */

#define CONSTANTS 4 /* per column: workers at different places of a table meet different ones */

/* A constant that was exported; `b` NULL: a free place. */
typedef struct constant {
    export_block *b;
    struct ArrowArray as;
    bool null;
    size_t n;
    const void *value;    /* n bytes of it, in b */
} constant;

struct bridge_shared {
    uint32_t ncols;
    pthread_mutex_t lock; /* guards what follows */
    struct { constant of[CONSTANTS]; unsigned oldest; } col[];
};

bridge_shared *bridge_shared_new(uint32_t ncols)
{
    mem m;
    mem_init(&m, NULL, NULL, 0);
    bridge_shared *x = mem_zalloc(&m, sizeof *x + ncols * sizeof x->col[0]);
    if (!x)
        return NULL;
    if (pthread_mutex_init(&x->lock, NULL)) {
        mem_free(&m, x, sizeof *x + ncols * sizeof x->col[0]);
        return NULL;
    }
    x->ncols = ncols;
    return x;
}

void bridge_shared_free(bridge_shared *x)
{
    if (!x)
        return;
    for (uint32_t i = 0; i < x->ncols; i++)
        for (unsigned k = 0; k < CONSTANTS; k++)
            if (x->col[i].of[k].b)
                block_unref(x->col[i].of[k].b);
    pthread_mutex_destroy(&x->lock);
    mem m;
    mem_init(&m, NULL, NULL, 0);
    mem_free(&m, x, sizeof *x + x->ncols * sizeof x->col[0]);
}

/* The block takes part in another's memory until its own end. */
static fz_status block_borrow(export_block *b, export_block *from, fz_error *err)
{
    lent *l = ARENA_NEW(&b->a, lent);
    if (!l)
        return error_nomem(err);
    *l = (lent){b->lent, block_ref(from)};
    b->lent = l;
    return FZ_OK;
}

/* As many rows of c as `out` wants. */
static fz_status constant_lend(export_block *b, const constant *c, struct ArrowArray *out, fz_error *err)
{
    out->buffers = ARENA_ARRAY(&b->a, const void *, 3);
    if (!out->buffers)
        return error_nomem(err);
    memcpy(out->buffers, c->as.buffers, 3 * sizeof *out->buffers);
    out->n_buffers = c->as.n_buffers;
    out->null_count = c->null ? out->length : 0;
    return block_borrow(b, c->b, err);
}

/* What makes a constant: its bytes, or that it is null. */
static constant constant_key(const vec *v)
{
    constant k = {.null = v->valid && !bit_get(v->valid, 0)};
    if (k.null)
        return k;
    k.value = v->data;
    k.n = phys_size(type_phys(v->t));
    if (type_phys(v->t) == PHYS_STR) {
        str s = strview_str(v->data);
        k.value = s.p;
        k.n = s.n;
    }
    return k;
}

/* Among the column's, or NULL; under the lock. */
static const constant *constant_find(const bridge_shared *x, uint32_t col, const constant *key, int64_t rows)
{
    for (unsigned i = 0; i < CONSTANTS; i++) {
        const constant *c = &x->col[col].of[i];
        if (c->b && c->as.length >= rows && c->null == key->null && c->n == key->n && (c->n == 0 || memcmp(c->value, key->value, c->n) == 0))
            return c;
    }
    return NULL;
}

static fz_status constant_make(str name, const vec *v, rows r, mem *m, constant *c, fz_error *err)
{
    fz_status st = FZ_NOMEM;
    arena scratch;
    void *value;
    arena_init(&scratch, m);
    c->b = block_new(m);
    if (!c->b || !(value = arena_alloc(&c->b->a, c->n))) {
        error_nomem(err);
        goto out;
    }
    if (c->n)
        memcpy(value, c->value, c->n);
    c->value = value;
    TRY_GOTO(vec_export(c->b, name, v, (rows){NULL, r.n}, &scratch, &c->as, err));
out:
    if (st != FZ_OK && c->b)
        block_unref(c->b);
    arena_free(&scratch);
    return st;
}

/* A column that is CONST and not nested. */
static fz_status constant_export(export_block *b, bridge_shared *x, uint32_t col, str name, const vec *v, rows r, struct ArrowArray *out,
                                 fz_error *err)
{
    constant c = constant_key(v);
    out->length = r.n;
    pthread_mutex_lock(&x->lock);
    const constant *known = constant_find(x, col, &c, r.n);
    fz_status st = known ? constant_lend(b, known, out, err) : FZ_OK;
    pthread_mutex_unlock(&x->lock);
    if (known)
        return st;
    TRY(constant_make(name, v, r, &b->m, &c, err));
    st = constant_lend(b, &c, out, err);
    pthread_mutex_lock(&x->lock);
    constant *to = &x->col[col].of[x->col[col].oldest++ % CONSTANTS];
    export_block *was = to->b;
    *to = c;
    pthread_mutex_unlock(&x->lock);
    if (was)
        block_unref(was);
    return st;
}

fz_status bridge_export_batch(const row_schema *s, const batch *in, mem *m, struct ArrowArray *out, fz_error *err)
{
    return bridge_export_shared(s, in, m, NULL, out, err);
}

fz_status bridge_export_shared(const row_schema *s, const batch *in, mem *m, bridge_shared *x, struct ArrowArray *out, fz_error *err)
{
    memset(out, 0, sizeof *out);
    if (s->n != in->ncols)
        return error_set(err, FZ_INTERNAL, "a batch of %u columns for a schema of %u", in->ncols, s->n);
    export_block *b = block_new(m);
    if (!b)
        return error_nomem(err);
    arena scratch;
    arena_init(&scratch, in->mem.m);
    struct ArrowArray top = {.length = in->nsel, .n_buffers = 1, .buffers = ARENA_ARRAY(&b->a, const void *, 1)};
    fz_status st = top.buffers ? array_children(b, s->n, &top, err) : error_nomem(err);
    for (uint32_t i = 0; i < s->n && st == FZ_OK; i++) {
        const vec *v = &in->cols[i];
        rows r = {in->sel, in->nsel};
        if (x && i < x->ncols && v->enc == VEC_CONST && v->t.id != T_NULL && !type_is_nested(v->t))
            st = constant_export(b, x, i, s->cols[i].name, v, r, top.children[i], err);
        else
            st = vec_export(b, s->cols[i].name, v, r, &scratch, top.children[i], err);
        arena_reset(&scratch);
    }
    arena_free(&scratch);
    if (st == FZ_OK) {
        array_own(b, &top);
        *out = top;
    }
    block_unref(b);
    return st;
}
