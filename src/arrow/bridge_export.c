/*
 * bridge_export.c: schemas and batches to the Arrow C data interface; see bridge.h.
 *
 * Everything that one call hands out lies in the arena of one refcounted block. The parent
 * structure and each of its children hold a reference, because a consumer may move a child out
 * and release the parent before it (the specification's "moving child arrays").
 */
#include "arrow/bridge.h"

#include <limits.h>
#include <stdio.h>

typedef struct export_block {
    _Atomic int refs;
    mem m;    /* the allocator of who exported, but not his budget: the block outlives it */
    arena a;
} export_block;

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

/* The format string of a flat type, into `out`; false: it has none. */
static bool type_format(type t, char *out, size_t cap)
{
    static const char *const fixed[T_COUNT_] = {
        [T_NULL] = "n",   [T_BOOL] = "b",   [T_INT32] = "i",          [T_INT64] = "l",
        [T_FLOAT32] = "f", [T_FLOAT64] = "g", [T_DATE] = "tdD",       [T_TIME] = "ttu",
        [T_TIMESTAMP] = "tsu:", [T_TIMESTAMPTZ] = "tsu:UTC", [T_STRING] = "u", [T_BINARY] = "z",
        [T_UUID] = "w:16",
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

static fz_status field_export(export_block *b, const column_def *c, struct ArrowSchema *out, fz_error *err)
{
    char format[32];
    if (!type_format(c->t, format, sizeof format))
        return error_set(err, FZ_UNSUPPORTED, "column %.*s: nested types can't be handed out as Arrow",
                         STR_ARG(c->name));
    out->format = arena_strndup(&b->a, format, strlen(format));
    out->name = arena_strndup(&b->a, c->name.p, c->name.n);
    if (!out->format || !out->name)
        return error_nomem(err);
    if (c->t.id == T_UUID &&
        !(out->metadata = metadata_pair(&b->a, STR("ARROW:extension:name"), STR("arrow.uuid"))))
        return error_nomem(err);
    out->flags = c->not_null ? 0 : ARROW_FLAG_NULLABLE;
    out->private_data = b;
    return FZ_OK;
}

fz_status bridge_export_schema(const row_schema *s, struct ArrowSchema *out, fz_error *err)
{
    memset(out, 0, sizeof *out);
    export_block *b = block_new(NULL);
    if (!b)
        return error_nomem(err);
    fz_status st = FZ_OK;
    struct ArrowSchema *fields = ARENA_ARRAY(&b->a, struct ArrowSchema, s->n);
    struct ArrowSchema **children = ARENA_ARRAY(&b->a, struct ArrowSchema *, s->n);
    if (!fields || !children)
        st = error_nomem(err);
    for (uint32_t i = 0; i < s->n && st == FZ_OK; i++) {
        children[i] = &fields[i];
        st = field_export(b, &s->cols[i], &fields[i], err);
    }
    if (st != FZ_OK) {
        block_unref(b);
        return st;
    }
    for (uint32_t i = 0; i < s->n; i++) {
        fields[i].release = schema_release;
        block_ref(b);
    }
    *out = (struct ArrowSchema){.format = "+s", .name = "", .n_children = s->n, .children = children,
                                .release = schema_release, .private_data = b};
    return FZ_OK;
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

static fz_status wide_export(export_block *b, const vec *v, const void **out, fz_error *err)
{
    i128 *wide = arena_alloc(&b->a, (size_t)v->len * sizeof *wide);
    if (!wide)
        return error_nomem(err);
    for (uint32_t i = 0; i < v->len; i++)
        wide[i] = ((const int64_t *)v->data)[i];
    *out = wide;
    return FZ_OK;
}

/* The view of a row, empty where it is null: what lies there may be anything. */
static inline str row_str(const vec *v, uint32_t i)
{
    return v->valid && !bit_get(v->valid, i) ? (str){"", 0} : strview_str((const strview *)v->data + i);
}

static fz_status text_export(export_block *b, const vec *v, const column_def *c, const void **out,
                             fz_error *err)
{
    int32_t *offsets = arena_alloc(&b->a, ((size_t)v->len + 1) * sizeof *offsets);
    if (!offsets)
        return error_nomem(err);
    int64_t total = 0;
    for (uint32_t i = 0; i < v->len; i++) {
        offsets[i] = (int32_t)total;
        total += (int64_t)row_str(v, i).n;
        if (total > INT32_MAX)
            return error_set(err, FZ_LIMIT, "column %.*s: more than 2 GB of text in one batch",
                             STR_ARG(c->name));
    }
    offsets[v->len] = (int32_t)total;
    char *bytes = arena_alloc(&b->a, (size_t)total);
    if (!bytes)
        return error_nomem(err);
    for (uint32_t i = 0; i < v->len; i++) {
        str s = row_str(v, i);
        memcpy(bytes + offsets[i], s.p, s.n);
    }
    out[0] = offsets;
    out[1] = bytes;
    return FZ_OK;
}

static fz_status fixed_export(export_block *b, const vec *v, const column_def *c, const void **out,
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
            return error_set(err, FZ_INTERNAL, "column %.*s: a value of %zu bytes instead of %zu",
                             STR_ARG(c->name), s.n, width);
        memcpy(bytes + i * width, s.p, s.n);
    }
    *out = bytes;
    return FZ_OK;
}

/* One column of the selected rows. Values whose layout is Arrow's are gathered straight into
 * the block, others through `scratch`. */
static fz_status column_export(export_block *b, const column_def *c, const vec *src, const batch *in,
                               arena *scratch, struct ArrowArray *out, fz_error *err)
{
    phys p = type_phys(src->t);
    bool direct = p == PHYS_I32 || p == PHYS_F32 || p == PHYS_F64 || p == PHYS_I128 ||
                  (p == PHYS_I64 && src->t.id != T_DECIMAL);
    vec v;
    TRY(vec_gather(&v, src, in->sel, in->nsel, false, direct ? &b->a : scratch, err));
    const void **buffers = ARENA_ARRAY(&b->a, const void *, 3);
    if (!buffers)
        return error_nomem(err);
    out->length = v.len;
    out->buffers = buffers;
    out->private_data = b;
    if (src->t.id == T_NULL) {
        out->null_count = v.len;
        return FZ_OK;
    }
    if (v.valid && (out->null_count = nulls_count(v.valid, v.len)) > 0) {
        uint64_t *bits = arena_alloc(&b->a, BITMAP_WORDS(v.len) * 8);
        if (!bits)
            return error_nomem(err);
        memcpy(bits, v.valid, BITMAP_WORDS(v.len) * 8);
        buffers[0] = bits;
    }
    out->n_buffers = 2;
    buffers[1] = v.data;
    if (p == PHYS_U8)
        return bits_export(b, &v, &buffers[1], err);
    if (p == PHYS_I64 && !direct)
        return wide_export(b, &v, &buffers[1], err);
    if (p != PHYS_STR)
        return FZ_OK;
    if (src->t.id == T_UUID || src->t.id == T_FIXED)
        return fixed_export(b, &v, c, &buffers[1], err);
    out->n_buffers = 3;
    return text_export(b, &v, c, &buffers[1], err);
}

fz_status bridge_export_batch(const row_schema *s, const batch *in, mem *m, struct ArrowArray *out,
                              fz_error *err)
{
    memset(out, 0, sizeof *out);
    if (s->n != in->ncols)
        return error_set(err, FZ_INTERNAL, "a batch of %u columns for a schema of %u", in->ncols, s->n);
    export_block *b = block_new(m);
    if (!b)
        return error_nomem(err);
    fz_status st = FZ_OK;
    arena scratch;
    arena_init(&scratch, m);
    struct ArrowArray *cols = ARENA_ARRAY(&b->a, struct ArrowArray, s->n);
    struct ArrowArray **children = ARENA_ARRAY(&b->a, struct ArrowArray *, s->n);
    const void **buffers = ARENA_ARRAY(&b->a, const void *, 1);
    if (!cols || !children || !buffers)
        st = error_nomem(err);
    for (uint32_t i = 0; i < s->n && st == FZ_OK; i++) {
        children[i] = &cols[i];
        st = column_export(b, &s->cols[i], &in->cols[i], in, &scratch, &cols[i], err);
        arena_reset(&scratch);
    }
    arena_free(&scratch);
    if (st != FZ_OK) {
        block_unref(b);
        return st;
    }
    for (uint32_t i = 0; i < s->n; i++) {
        cols[i].release = array_release;
        block_ref(b);
    }
    *out = (struct ArrowArray){.length = in->nsel, .n_buffers = 1, .buffers = buffers, .n_children = s->n,
                               .children = children, .release = array_release, .private_data = b};
    return FZ_OK;
}
