/*
 * read.c: opening a Parquet file, its columns as engine types, and the bounds of its chunks.
 *
 * A file ends with the footer (Thrift), its length in four bytes and "PAR1". The last 64 kB are
 * read at once; a longer footer costs a second read. Leaves are mapped to engine types by the
 * logical annotation, else the converted one, else the physical type; what has no engine type
 * stays in the schema as T_NULL with the reason, and is refused when it is read.
 */
#include "format/parquet/read_int.h"

#include <math.h>

#define TAIL_SIZE (64u << 10)
#define FOOTER_MAX (1u << 30)

/* ---- types of leaves ---- */

static type decimal_type(const pq_schema_element *e, pq_leaf *l)
{
    int digits = e->type == PQ_INT32 ? 9 : e->type == PQ_INT64 ? 18 : 38;
    if (e->precision < 1 || e->precision > 38 || e->scale < 0 || e->scale > e->precision) {
        l->refused = "a decimal of more than 38 digits or an impossible scale";
        return TYPE(T_NULL);
    }
    if (e->precision > digits) {
        l->refused = "a decimal of more digits than its physical type holds";
        return TYPE(T_NULL);
    }
    return TYPE_DECIMAL((uint8_t)e->precision, (uint8_t)e->scale);
}

static type int_type(int bits, bool is_signed, bool is64, pq_leaf *l)
{
    if (is64 != (bits == 64)) {
        l->refused = "an integer annotation that doesn't fit its physical type";
        return TYPE(T_NULL);
    }
    if (is64)
        return is_signed ? TYPE(T_INT64) : TYPE_DECIMAL(20, 0);
    return !is_signed && bits == 32 ? TYPE(T_INT64) : TYPE(T_INT32);
}

static type int32_type(const pq_schema_element *e, pq_leaf *l)
{
    if (e->logical == PQ_LOG_DECIMAL || (e->logical == PQ_LOG_NONE && e->converted == PQ_CONV_DECIMAL))
        return decimal_type(e, l);
    if (e->logical == PQ_LOG_DATE)
        return TYPE(T_DATE);
    if (e->logical == PQ_LOG_TIME && e->unit == 0)
        return TYPE(T_TIME);
    if (e->logical == PQ_LOG_INTEGER)
        return int_type(e->bit_width, e->is_signed, false, l);
    if (e->logical != PQ_LOG_NONE) {
        l->refused = "an annotation that doesn't fit INT32";
        return TYPE(T_NULL);
    }
    switch (e->converted) {
    case PQ_CONV_DATE: return TYPE(T_DATE);
    case PQ_CONV_TIME_MILLIS: return TYPE(T_TIME);
    case PQ_CONV_UINT_32: return TYPE(T_INT64);
    case PQ_CONV_NONE:
    case PQ_CONV_UINT_8:
    case PQ_CONV_UINT_16:
    case PQ_CONV_INT_8:
    case PQ_CONV_INT_16:
    case PQ_CONV_INT_32: return TYPE(T_INT32);
    default: l->refused = "an annotation that doesn't fit INT32"; return TYPE(T_NULL);
    }
}

static type int64_type(const pq_schema_element *e, pq_leaf *l)
{
    if (e->logical == PQ_LOG_DECIMAL || (e->logical == PQ_LOG_NONE && e->converted == PQ_CONV_DECIMAL))
        return decimal_type(e, l);
    if (e->logical == PQ_LOG_TIME && e->unit != 0)
        return TYPE(T_TIME);
    if (e->logical == PQ_LOG_TIMESTAMP)
        return TYPE(e->adjusted_to_utc ? T_TIMESTAMPTZ : T_TIMESTAMP);
    if (e->logical == PQ_LOG_INTEGER)
        return int_type(e->bit_width, e->is_signed, true, l);
    if (e->logical != PQ_LOG_NONE) {
        l->refused = "an annotation that doesn't fit INT64";
        return TYPE(T_NULL);
    }
    switch (e->converted) {
    case PQ_CONV_TIME_MICROS: return TYPE(T_TIME);
    case PQ_CONV_TIMESTAMP_MILLIS:
    case PQ_CONV_TIMESTAMP_MICROS: return TYPE(T_TIMESTAMPTZ); /* the old annotation means UTC */
    case PQ_CONV_UINT_64: return TYPE_DECIMAL(20, 0);
    case PQ_CONV_NONE:
    case PQ_CONV_INT_64: return TYPE(T_INT64);
    default: l->refused = "an annotation that doesn't fit INT64"; return TYPE(T_NULL);
    }
}

static type bytes_type(const pq_schema_element *e, pq_leaf *l)
{
    bool fixed = e->type == PQ_FIXED;
    switch (e->logical) {
    case PQ_LOG_STRING:
    case PQ_LOG_ENUM:
    case PQ_LOG_JSON:
        if (!fixed)
            return TYPE(T_STRING);
        break;
    case PQ_LOG_BSON: return TYPE(T_BINARY);
    case PQ_LOG_DECIMAL: return decimal_type(e, l);
    case PQ_LOG_UUID:
        if (fixed && e->type_length == 16)
            return TYPE(T_UUID);
        break;
    case PQ_LOG_FLOAT16: l->refused = "a 16-bit float"; return TYPE(T_NULL);
    default: break;
    }
    if (e->logical == PQ_LOG_NONE)
        switch (e->converted) {
        case PQ_CONV_UTF8:
        case PQ_CONV_ENUM:
        case PQ_CONV_JSON:
            if (!fixed)
                return TYPE(T_STRING);
            break;
        case PQ_CONV_DECIMAL: return decimal_type(e, l);
        case PQ_CONV_INTERVAL: l->refused = "an interval"; return TYPE(T_NULL);
        default: break;
        }
    return fixed ? (type){.id = T_FIXED, .width = (uint32_t)e->type_length} : TYPE(T_BINARY);
}

static type leaf_type(const pq_schema_element *e, pq_leaf *l)
{
    if (!l->flat) {
        l->refused = "nested or repeated";
        return TYPE(T_NULL);
    }
    if (e->logical == PQ_LOG_UNKNOWN) {
        l->refused = "of the type that holds only nulls";
        return TYPE(T_NULL);
    }
    switch (e->type) {
    case PQ_BOOLEAN: return TYPE(T_BOOL);
    case PQ_INT32: return int32_type(e, l);
    case PQ_INT64: return int64_type(e, l);
    case PQ_INT96: return TYPE(T_TIMESTAMP);
    case PQ_FLOAT: return TYPE(T_FLOAT32);
    case PQ_DOUBLE: return TYPE(T_FLOAT64);
    case PQ_BYTE_ARRAY:
    case PQ_FIXED: return bytes_type(e, l);
    }
    return TYPE(T_NULL);
}

/* Fills leaves and schema. A leaf is flat if its index is that of a child of the root: children
 * are found by stepping over whole subtrees. */
static bool leaves_map(pq_file *p)
{
    pq_file_meta *m = &p->meta;
    uint32_t n = m->n_leaves ? m->n_leaves : 1;
    p->leaves = ARENA_ARRAY(&p->a, pq_leaf, n);
    p->schema.cols = ARENA_ARRAY(&p->a, column_def, n);
    if (!p->leaves || !p->schema.cols)
        return false;
    p->schema.n = m->n_leaves;
    uint64_t inside = 0; /* elements still to come of the subtree of a top-level group */
    uint32_t leaf = 0;
    for (uint32_t i = 1; i < m->n_schema; i++) {
        const pq_schema_element *e = &m->schema[i];
        bool top = inside == 0;
        if (!top)
            inside--;
        inside += (uint64_t)e->num_children;
        if (!e->has_type)
            continue;
        pq_leaf *l = &p->leaves[leaf];
        *l = (pq_leaf){.element = e, .flat = top && e->repetition != PQ_REPEATED,
                       .optional = e->repetition == PQ_OPTIONAL};
        l->t = leaf_type(e, l);
        p->schema.cols[leaf++] = (column_def){.name = e->name, .t = l->t, .not_null = !l->optional,
                                              .field_id = e->field_id};
    }
    return true;
}

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

/* Whether `by` is "<name> version a.b.c…" of a version below the given one. */
static bool written_before(str by, const char *name, uint32_t a, uint32_t b, uint32_t c)
{
    size_t n = strlen(name);
    str version = STR(" version ");
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
    if (!leaves_map(p)) {
        st = error_nomem(err);
        goto out;
    }
    str by = p->meta.created_by;
    p->short_chunks = written_before(by, "parquet-mr", 1, 2, 9);
    p->v2_flag_unset = written_before(by, "parquet-cpp-arrow", 3, 0, 0);
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

int pq_find_field(const pq_file *p, const pq_match *how, int32_t field_id)
{
    (void)how;
    for (uint32_t i = 0; i < p->schema.n; i++)
        if (p->schema.cols[i].field_id == field_id && field_id >= 0)
            return (int)i;
    return -1;
}

int pq_find_name(const pq_file *p, str name)
{
    for (uint32_t i = 0; i < p->schema.n; i++)
        if (p->leaves[i].flat && str_eq(p->schema.cols[i].name, name))
            return (int)i;
    return -1;
}

int pq_find_leaf(const pq_file *p, const pq_match *how, int32_t field_id)
{
    return pq_find_field(p, how, field_id);
}

int pq_column_leaf(const pq_file *p, uint32_t column)
{
    return column < p->schema.n ? (int)column : -1;
}

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

void pq_column_bounds(const pq_file *p, uint32_t row_group, uint32_t leaf, pq_bounds *out)
{
    const pq_leaf *l = &p->leaves[leaf];
    const pq_statistics *s = &p->meta.row_groups[row_group].columns[leaf].stats;
    *out = (pq_bounds){.null_count = s->has_null_count && l->flat ? s->null_count : -1};
    out->min = out->max = DATUM_NULL(l->t);
    if (l->t.id == T_NULL || !s->has_min || !s->has_max)
        return;
    bounds_make(l, s->min, s->max, s->min_exact && s->max_exact, !s->has_nan_count || s->nan_count > 0, out);
    if (!out->known)
        out->min = out->max = DATUM_NULL(l->t);
}
