/*
 * read.c: opening a Parquet file, its columns as engine types, and the bounds of its chunks.
 *
 * A file ends with the footer (Thrift), its length in four bytes and "PAR1". The last 64 kB are
 * read at once; a longer footer costs a second read. Columns and their types are schema.c's.
 */
#include "format/parquet/cursor_int.h"

#include <math.h>

#define TAIL_SIZE (64u << 10)
#define FOOTER_MAX (1u << 30)

/* ---- the writer's version, for defects of old writers ---- */

static uint32_t version_part(const char **p, const char *end)
{
    uint32_t v = 0;
    while (*p < end && **p >= '0' && **p <= '9' && v < 1000000)
        v = v * 10 + (uint32_t)(*(*p)++ - '0');
    if (*p < end && **p == '.')
        (*p)++;
    return v;
}

/* Whether `by` is "<name> version a.b.c…" of a version below the given one, or, as the oldest ones have it, the
 * name without a version. */
static bool written_before(str by, const char *name, uint32_t a, uint32_t b, uint32_t c)
{
    size_t n = strlen(name);
    str version = STR(" version ");
    if (by.n >= n && !memcmp(by.p, name, n) && (by.n == n || (by.n > n + 1 && by.p[n] == ' ' && by.p[n + 1] == '(')))
        return true;
    if (by.n < n + version.n || memcmp(by.p, name, n) || memcmp(by.p + n, version.p, version.n))
        return false;
    const char *at = by.p + n + version.n, *end = by.p + by.n;
    if (at == end || *at < '0' || *at > '9')
        return false;
    uint32_t va = version_part(&at, end), vb = version_part(&at, end), vc = version_part(&at, end);
    return va != a ? va < a : vb != b ? vb < b : vc < c;
}

/* ---- open ---- */

/* The footer's bytes as a buf; *start is its offset in the file. */
static fz_status footer_load(io_file *f, mem *m, buf **out, const uint8_t **data, size_t *n,
                             uint64_t *start, fz_error *err)
{
    fz_status st;
    *out = NULL;
    if (f->size < 12)
        return error_set(err, FZ_DATA, "not a Parquet file: %llu bytes", (unsigned long long)f->size);
    size_t tail = f->size < TAIL_SIZE ? (size_t)f->size : TAIL_SIZE;
    buf *b = buf_new(m, tail);
    if (!b)
        return error_nomem(err);
    TRY_GOTO(io_read(f, f->size - tail, b->data, tail, err));
    const uint8_t *end = b->data + tail;
    if (memcmp(end - 4, "PARE", 4) == 0) {
        st = error_set(err, FZ_UNSUPPORTED, "Parquet encryption is not supported");
        goto out;
    }
    if (memcmp(end - 4, "PAR1", 4)) {
        st = error_set(err, FZ_DATA, "not a Parquet file: it doesn't end with PAR1");
        goto out;
    }
    uint32_t len = (uint32_t)end[-8] | (uint32_t)end[-7] << 8 | (uint32_t)end[-6] << 16 | (uint32_t)end[-5] << 24;
    if (len > f->size - 12 || len > FOOTER_MAX) {
        st = error_set(err, FZ_DATA, "Parquet footer of %u bytes doesn't fit in the file", len);
        error_offset(err, (int64_t)f->size - 8);
        goto out;
    }
    *n = len;
    *start = f->size - 8 - len;
    if (len + 8 > tail) {
        buf_unref(b);
        b = buf_new(m, len);
        if (!b)
            return error_nomem(err);
        TRY_GOTO(io_read(f, *start, b->data, len, err));
        *data = b->data;
    } else {
        *data = end - 8 - len;
    }
    *out = b;
    return FZ_OK;
out:
    buf_unref(b);
    return st;
}

static void file_free(pq_file *p)
{
    if (!p)
        return;
    buf_unref(p->footer);
    arena_free(&p->a);
    mem_free(p->m, p, sizeof *p);
}

fz_status pq_open(io_file *f, mem *m, pq_file **out, fz_error *err)
{
    fz_status st;
    *out = NULL;
    pq_file *p = mem_zalloc(m, sizeof *p);
    if (!p)
        return error_nomem(err);
    p->refs = 1;
    p->m = m;
    p->size = f->size;
    arena_init(&p->a, m);
    const uint8_t *data = NULL;
    size_t n = 0;
    uint64_t start = 0;
    TRY_GOTO(footer_load(f, m, &p->footer, &data, &n, &start, err));
    TRY_GOTO(pq_read_footer(data, n, start, f->size, &p->a, &p->meta, err));
    if (!schema_make(p)) {
        st = error_nomem(err);
        goto out;
    }
    str by = p->meta.created_by;
    p->short_chunks = written_before(by, "parquet-mr", 1, 2, 9);
    p->v2_flag_unset = written_before(by, "parquet-cpp-arrow", 3, 0, 0);
    p->decimal_order_wrong = written_before(by, "parquet-cpp-arrow", 4, 0, 0) || written_before(by, "parquet-cpp", 1, 6, 0);
    p->prefixes_carried = written_before(by, "parquet-mr", 1, 8, 0);
    *out = p;
    return FZ_OK;
out:
    error_where(err, f->path);
    file_free(p);
    return st;
}

pq_file *pq_ref(pq_file *p)
{
    atomic_fetch_add_explicit(&p->refs, 1, memory_order_relaxed);
    return p;
}

void pq_close(pq_file *p)
{
    if (p && atomic_fetch_sub_explicit(&p->refs, 1, memory_order_acq_rel) == 1)
        file_free(p);
}

const pq_file_meta *pq_meta(const pq_file *p) { return &p->meta; }
const row_schema *pq_schema(const pq_file *p) { return &p->schema; }

int32_t element_id(const pq_file *p, const pq_match *how, uint32_t element)
{
    return how && how->ids ? how->ids[element] : p->meta.schema[element].field_id;
}

int pq_find_field(const pq_file *p, const pq_match *how, int32_t field_id)
{
    for (uint32_t i = 0; i < p->schema.n && field_id >= 0; i++)
        if (element_id(p, how, p->columns[i]->element) == field_id)
            return (int)i;
    return -1;
}

int pq_find_name(const pq_file *p, str name)
{
    for (uint32_t i = 0; i < p->schema.n; i++)
        if (str_eq(p->schema.cols[i].name, name))
            return (int)i;
    return -1;
}

int pq_find_leaf(const pq_file *p, const pq_match *how, int32_t field_id)
{
    for (uint32_t i = 0; i < p->meta.n_leaves && field_id >= 0; i++)
        if (!p->leaves[i].max_rep && element_id(p, how, p->meta.leaf_element[i]) == field_id)
            return (int)i;
    return -1;
}

int pq_column_leaf(const pq_file *p, uint32_t column)
{
    const pq_node *x = column < p->schema.n ? p->columns[column] : NULL;
    return x && x->kind == NODE_LEAF ? (int)x->first_leaf : -1;
}

type pq_leaf_type(const pq_file *p, uint32_t leaf) { return p->leaves[leaf].t; }

/* ---- bounds ---- */

/* A bound's bytes as one value in source form; false if they can't be one. */
static bool bound_source(const pq_schema_element *e, str s, void *dst)
{
    switch (e->type) {
    case PQ_BOOLEAN:
        if (s.n != 1 || (uint8_t)s.p[0] > 1)
            return false;
        memcpy(dst, s.p, 1);
        return true;
    case PQ_INT32:
    case PQ_FLOAT:
    case PQ_INT64:
    case PQ_DOUBLE:
        if (s.n != source_size(e->type))
            return false;
        memcpy(dst, s.p, s.n);
        return true;
    case PQ_FIXED:
    case PQ_BYTE_ARRAY: {
        if (s.n > INT32_MAX)
            return false;
        strview v = strview_make(s.p, (uint32_t)s.n);
        memcpy(dst, &v, sizeof v);
        return true;
    }
    case PQ_INT96: return false; /* no order is defined */
    }
    return false;
}

static bool bound_datum(const pq_leaf *l, str s, datum *d)
{
    union { int64_t align; i128 wide; uint8_t bytes[16]; } source, value;
    if (!bound_source(l->element, s, &source))
        return false;
    pq_conv c;
    if (conv_find(l, l->t, &c, NULL) != FZ_OK)
        return false;
    if (c == CONV_COPY)
        value = source;
    else if (conv_run(c, &source, &value, 1, NULL) != FZ_OK)
        return false;
    if (l->t.id == T_DECIMAL && decimal_check(l->t, &value, 1, NULL) != FZ_OK)
        return false;
    *d = (datum){.t = l->t};
    switch (type_phys(l->t)) {
    case PHYS_U8: d->b = value.bytes[0]; return true;
    case PHYS_I32: memcpy(&d->i32, &value, 4); return true;
    case PHYS_I64: memcpy(&d->i64, &value, 8); return true;
    case PHYS_I128: d->i128v = value.wide; return true;
    case PHYS_F32: memcpy(&d->f32, &value, 4); return !isnan(d->f32);
    case PHYS_F64: memcpy(&d->f64, &value, 8); return !isnan(d->f64);
    case PHYS_STR: d->s = s; return true;
    default: return false;
    }
}

/* Zeros may have lost their sign; NaN, which is greater than every bound, isn't counted in them. */
static void float_widen(pq_bounds *b, bool may_nan)
{
    if (b->min.t.id == T_FLOAT32) {
        if (b->min.f32 == 0)
            b->min.f32 = -0.0f;
        if (b->max.f32 == 0)
            b->max.f32 = 0.0f;
        if (may_nan)
            b->max.f32 = NAN;
    } else {
        if (b->min.f64 == 0)
            b->min.f64 = -0.0;
        if (b->max.f64 == 0)
            b->max.f64 = 0.0;
        if (may_nan)
            b->max.f64 = NAN;
    }
}

void bounds_make(const pq_leaf *l, str min, str max, bool exact, bool may_nan, pq_bounds *out)
{
    if (!bound_datum(l, min, &out->min) || !bound_datum(l, max, &out->max) ||
        datum_cmp(&out->min, &out->max) > 0)
        return;
    phys ph = type_phys(l->t);
    out->known = true;
    out->exact = exact || ph != PHYS_STR;
    if (ph == PHYS_F32 || ph == PHYS_F64) {
        out->exact = out->exact && !may_nan;
        float_widen(out, may_nan);
    }
}

static bool is_byte_decimal(const pq_leaf *l)
{
    return l->t.id == T_DECIMAL && (l->element->type == PQ_BYTE_ARRAY || l->element->type == PQ_FIXED);
}

void pq_column_bounds(const pq_file *p, uint32_t row_group, uint32_t leaf, pq_bounds *out)
{
    const pq_leaf *l = &p->leaves[leaf];
    const pq_statistics *s = &p->meta.row_groups[row_group].columns[leaf].stats;
    *out = (pq_bounds){.null_count = s->has_null_count && !l->max_rep ? s->null_count : -1};
    out->min = out->max = DATUM_NULL(l->t);
    if (l->t.id == T_NULL || !s->has_min || !s->has_max || (p->decimal_order_wrong && is_byte_decimal(l)))
        return;
    bounds_make(l, s->min, s->max, s->min_exact && s->max_exact, !s->has_nan_count || s->nan_count > 0, out);
    if (!out->known)
        out->min = out->max = DATUM_NULL(l->t);
}
