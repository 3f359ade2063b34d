/*
 * meta_read.c: the footer, page headers and page indexes from their Thrift form, checked.
 *
 * One function per struct of parquet.thrift; fields that nobody uses are stepped over. What
 * can be judged from the structures alone is judged here, so that the readers rely on it:
 *
 *   - the schema is a tree: the children counts add up to the list's length
 *   - every row group has one chunk per leaf, of the leaf's physical type
 *   - row counts are not negative and add up to the file's
 *   - chunks lie within the file, behind the leading magic
 *   - minima and maxima are kept only where their order is known
 *
 * Sizes are bounded by the input: a list is allocated only if its elements' least sizes fit
 * in the bytes that are left.
 */
#include "format/parquet/meta.h"
#include "format/parquet/thrift.h"

/* Least encoded sizes of the elements of lists: their required fields. */
#define SCHEMA_ELEMENT_LEAST 3
#define ROW_GROUP_LEAST 6
#define COLUMN_CHUNK_LEAST 16
#define PAGE_LOCATION_LEAST 7

typedef struct footer {
    arena *a;
    thrift_in in;
    pq_file_meta *m;
    uint32_t n_orders;   /* column_orders, by leaf: whether min_value and max_value are defined */
    bool *order_known;
    const char *refused; /* a feature that isn't supported */
    bool nomem;
} footer;

static void *list_alloc(footer *f, uint32_t n, size_t size)
{
    void *p = arena_zalloc(f->a, (n ? n : 1) * size);
    if (!p) {
        f->nomem = true;
        thrift_fail(&f->in, "needs more memory than there is"); /* ends the parse */
    }
    return p;
}

/* ---- schema ---- */

static void time_unit_read(thrift_in *t, pq_schema_element *e)
{
    thrift_field f = {0};
    while (thrift_next(t, &f)) {
        if (f.id >= 1 && f.id <= 3)
            e->unit = f.id - 1;
        thrift_skip(t, f.type);
    }
}

/* The parameters of one member of the union LogicalType. */
static void logical_params_read(thrift_in *t, pq_schema_element *e)
{
    thrift_field f = {0};
    while (thrift_next(t, &f)) {
        bool time = e->logical == PQ_LOG_TIME || e->logical == PQ_LOG_TIMESTAMP;
        if (e->logical == PQ_LOG_DECIMAL && f.id == 1)
            e->scale = thrift_i32(t, f.type);
        else if (e->logical == PQ_LOG_DECIMAL && f.id == 2)
            e->precision = thrift_i32(t, f.type);
        else if (time && f.id == 1)
            e->adjusted_to_utc = thrift_bool(t, f.type);
        else if (time && f.id == 2 && thrift_struct(t, f.type))
            time_unit_read(t, e);
        else if (e->logical == PQ_LOG_INTEGER && f.id == 1)
            e->bit_width = thrift_i32(t, f.type);
        else if (e->logical == PQ_LOG_INTEGER && f.id == 2)
            e->is_signed = thrift_bool(t, f.type);
        else
            thrift_skip(t, f.type);
    }
}

static void logical_read(thrift_in *t, pq_schema_element *e)
{
    thrift_field f = {0};
    while (thrift_next(t, &f)) {
        bool known = f.id >= PQ_LOG_STRING && f.id <= PQ_LOG_FLOAT16 && f.id != 9;
        if (known && thrift_struct(t, f.type)) {
            e->logical = (pq_logical)f.id;
            logical_params_read(t, e);
        } else {
            thrift_skip(t, f.type);
        }
    }
}

static void schema_element_read(thrift_in *t, pq_schema_element *e)
{
    thrift_field f = {0};
    e->field_id = -1;
    e->converted = PQ_CONV_NONE;
    int32_t scale = 0, precision = 0;
    while (thrift_next(t, &f)) {
        int32_t v;
        switch (f.id) {
        case 1:
            v = thrift_i32(t, f.type);
            if (v < PQ_BOOLEAN || v > PQ_FIXED)
                thrift_fail(t, "has an unknown physical type");
            e->has_type = true;
            e->type = (pq_physical)v;
            break;
        case 2: e->type_length = thrift_i32(t, f.type); break;
        case 3:
            v = thrift_i32(t, f.type);
            if (v < PQ_REQUIRED || v > PQ_REPEATED)
                thrift_fail(t, "has an unknown repetition type");
            e->repetition = (pq_repetition)v;
            break;
        case 4: e->name = thrift_binary(t, f.type); break;
        case 5: e->num_children = thrift_i32(t, f.type); break;
        case 6:
            v = thrift_i32(t, f.type);
            e->converted = v >= PQ_CONV_UTF8 && v <= PQ_CONV_INTERVAL ? (pq_converted)v : PQ_CONV_NONE;
            break;
        case 7: scale = thrift_i32(t, f.type); break;
        case 8: precision = thrift_i32(t, f.type); break;
        case 9: e->field_id = thrift_i32(t, f.type); break;
        case 10:
            if (thrift_struct(t, f.type))
                logical_read(t, e);
            break;
        default: thrift_skip(t, f.type);
        }
    }
    if (e->logical != PQ_LOG_DECIMAL) {
        e->scale = scale;
        e->precision = precision;
    }
    if (e->field_id < -1)
        e->field_id = -1;
    if (e->num_children < 0)
        thrift_fail(t, "has a negative number of children");
    /* Some writers put num_children = 0 beside a type; children make it a group. */
    if (e->has_type && e->num_children)
        thrift_fail(t, "has a leaf with children");
    if (e->has_type && e->type == PQ_FIXED && e->type_length <= 0)
        thrift_fail(t, "has a fixed-length type without a length");
}

static void schema_read(footer *f, uint8_t ftype)
{
    uint32_t n = thrift_list(&f->in, ftype, THRIFT_STRUCT, SCHEMA_ELEMENT_LEAST);
    f->m->schema = list_alloc(f, n, sizeof *f->m->schema);
    f->m->leaf_element = list_alloc(f, n, sizeof *f->m->leaf_element);
    for (uint32_t i = 0; i < n && !f->in.fault; i++) {
        schema_element_read(&f->in, &f->m->schema[i]);
        if (f->m->schema[i].has_type)
            f->m->leaf_element[f->m->n_leaves++] = i;
    }
    f->m->n_schema = f->in.fault ? 0 : n;
}

/* Whether the elements form one tree below [0]. */
static bool schema_is_tree(const pq_file_meta *m)
{
    int32_t left[SCHEMA_DEPTH];
    int depth = 0;
    if (m->n_schema == 0 || m->schema[0].has_type)
        return false;
    left[0] = m->schema[0].num_children;
    for (uint32_t i = 1; i < m->n_schema; i++) {
        while (depth >= 0 && left[depth] == 0)
            depth--;
        if (depth < 0)
            return false;
        left[depth]--;
        if (m->schema[i].num_children) {
            if (++depth == SCHEMA_DEPTH)
                return false;
            left[depth] = m->schema[i].num_children;
        }
    }
    while (depth >= 0 && left[depth] == 0)
        depth--;
    return depth < 0;
}

/* ---- row groups ---- */

static void statistics_read(thrift_in *t, pq_statistics *s)
{
    thrift_field f = {0};
    str old_min = {0}, old_max = {0}, min = {0}, max = {0};
    while (thrift_next(t, &f)) {
        switch (f.id) {
        case 1: old_max = thrift_binary(t, f.type); break;
        case 2: old_min = thrift_binary(t, f.type); break;
        case 3:
            s->null_count = thrift_i64(t, f.type);
            s->has_null_count = s->null_count >= 0;
            break;
        case 5: max = thrift_binary(t, f.type); break;
        case 6: min = thrift_binary(t, f.type); break;
        case 7: s->max_exact = thrift_bool(t, f.type); break;
        case 8: s->min_exact = thrift_bool(t, f.type); break;
        case 9:
            s->nan_count = thrift_i64(t, f.type);
            s->has_nan_count = s->nan_count >= 0;
            break;
        default: thrift_skip(t, f.type);
        }
    }
    s->deprecated = !min.p && !max.p && (old_min.p || old_max.p);
    if (s->deprecated) {
        min = old_min;
        max = old_max;
    }
    s->min = min;
    s->max = max;
    s->has_min = min.p != NULL;
    s->has_max = max.p != NULL;
}

static void column_meta_read(footer *ft, pq_column_chunk *c)
{
    thrift_in *t = &ft->in;
    thrift_field f = {0};
    uint32_t seen = 0;
    while (thrift_next(t, &f)) {
        if (f.id > 0 && f.id < 32)
            seen |= 1u << f.id;
        int32_t v;
        switch (f.id) {
        case 1:
            v = thrift_i32(t, f.type);
            if (v < PQ_BOOLEAN || v > PQ_FIXED)
                thrift_fail(t, "has an unknown physical type");
            c->type = (pq_physical)v;
            break;
        case 2:
            for (uint32_t n = thrift_list(t, f.type, THRIFT_I32, 1); n && !t->fault; n--) {
                v = thrift_i32(t, THRIFT_I32);
                if (v >= 0 && v < 32)
                    c->encodings |= 1u << v;
            }
            break;
        case 4: c->codec = (pq_codec)thrift_i32(t, f.type); break;
        case 5: c->num_values = thrift_i64(t, f.type); break;
        case 6: c->total_uncompressed_size = thrift_i64(t, f.type); break;
        case 7: c->total_compressed_size = thrift_i64(t, f.type); break;
        case 9: c->data_page_offset = thrift_i64(t, f.type); break;
        case 11:
            c->dictionary_page_offset = thrift_i64(t, f.type);
            if (c->dictionary_page_offset <= 0) /* some writers say 0 for none */
                c->dictionary_page_offset = -1;
            break;
        case 12:
            if (thrift_struct(t, f.type))
                statistics_read(t, &c->stats);
            break;
        default: /* an old fork of parquet-mr has something else under the numbers of the Bloom filter */
            if (f.id == 14 && f.type == THRIFT_I64)
                c->bloom_offset = thrift_i64(t, f.type);
            else if (f.id == 15 && f.type == THRIFT_I32)
                c->bloom_length = thrift_i32(t, f.type);
            else
                thrift_skip(t, f.type);
        }
    }
    const uint32_t required = 1u << 1 | 1u << 4 | 1u << 5 | 1u << 6 | 1u << 7 | 1u << 9;
    if ((seen & required) != required)
        thrift_fail(t, "has a column chunk without a required field");
}

static void column_chunk_read(footer *ft, pq_column_chunk *c)
{
    thrift_in *t = &ft->in;
    thrift_field f = {0};
    bool meta = false;
    c->dictionary_page_offset = c->offset_index_offset = c->column_index_offset = c->bloom_offset = -1;
    while (thrift_next(t, &f)) {
        switch (f.id) {
        case 1:
            if (thrift_binary(t, f.type).n)
                ft->refused = "column chunks in other files";
            break;
        case 3:
            if (thrift_struct(t, f.type))
                column_meta_read(ft, c);
            meta = true;
            break;
        case 4: c->offset_index_offset = thrift_i64(t, f.type); break;
        case 5: c->offset_index_length = thrift_i32(t, f.type); break;
        case 6: c->column_index_offset = thrift_i64(t, f.type); break;
        case 7: c->column_index_length = thrift_i32(t, f.type); break;
        case 8:
            ft->refused = "encrypted columns";
            thrift_skip(t, f.type);
            break;
        default: thrift_skip(t, f.type);
        }
    }
    if (!meta && !ft->refused)
        thrift_fail(t, "has a column chunk without metadata");
}

static void row_group_read(footer *ft, pq_row_group *g)
{
    thrift_in *t = &ft->in;
    thrift_field f = {0};
    g->file_offset = -1;
    uint32_t n = 0;
    while (thrift_next(t, &f)) {
        switch (f.id) {
        case 1:
            n = thrift_list(t, f.type, THRIFT_STRUCT, COLUMN_CHUNK_LEAST);
            if (n != ft->m->n_leaves) {
                thrift_fail(t, "has a row group with another number of columns than the schema");
                break;
            }
            g->columns = list_alloc(ft, n, sizeof *g->columns);
            for (uint32_t i = 0; i < n && !t->fault; i++)
                column_chunk_read(ft, &g->columns[i]);
            break;
        case 2: g->total_byte_size = thrift_i64(t, f.type); break;
        case 3: g->num_rows = thrift_i64(t, f.type); break;
        case 5: g->file_offset = thrift_i64(t, f.type); break;
        case 6: g->total_compressed_size = thrift_i64(t, f.type); break;
        default: thrift_skip(t, f.type);
        }
    }
    if (!g->columns && ft->m->n_leaves)
        thrift_fail(t, "has a row group without columns");
}

static void kv_read(footer *ft, uint8_t ftype)
{
    uint32_t n = thrift_list(&ft->in, ftype, THRIFT_STRUCT, 3);
    ft->m->kv = list_alloc(ft, n, sizeof *ft->m->kv);
    for (uint32_t i = 0; i < n && !ft->in.fault; i++) {
        thrift_field f = {0};
        while (thrift_next(&ft->in, &f)) {
            if (f.id == 1)
                ft->m->kv[i].key = thrift_binary(&ft->in, f.type);
            else if (f.id == 2)
                ft->m->kv[i].value = thrift_binary(&ft->in, f.type);
            else
                thrift_skip(&ft->in, f.type);
        }
    }
    ft->m->n_kv = ft->in.fault ? 0 : n;
}

/* column_orders: 1 is the type's own order, 2 IEEE 754's total order; both are understood. */
static void orders_read(footer *ft, uint8_t ftype)
{
    uint32_t n = thrift_list(&ft->in, ftype, THRIFT_STRUCT, 1);
    ft->order_known = list_alloc(ft, n, sizeof *ft->order_known);
    for (uint32_t i = 0; i < n && !ft->in.fault; i++) {
        thrift_field f = {0};
        while (thrift_next(&ft->in, &f)) {
            ft->order_known[i] = f.id == 1 || f.id == 2;
            thrift_skip(&ft->in, f.type);
        }
    }
    ft->n_orders = ft->in.fault ? 0 : n;
}

/* ---- checks ---- */

static const char *chunk_check(const pq_column_chunk *c, uint64_t file_size)
{
    if (c->num_values < 0 || c->total_compressed_size < 0 || c->total_uncompressed_size < 0)
        return "has a column chunk of negative size";
    int64_t start = c->data_page_offset;
    if (c->dictionary_page_offset >= 0 && c->dictionary_page_offset < start)
        start = c->dictionary_page_offset;
    if (c->num_values == 0) /* nothing is read from it, and some writers leave out the pages */
        return NULL;
    if (start < 4 || (uint64_t)start > file_size ||
        (uint64_t)c->total_compressed_size > file_size - (uint64_t)start)
        return "has a column chunk outside the file";
    if (c->data_page_offset - start > c->total_compressed_size)
        return "has a data page outside its column chunk";
    return NULL;
}

/* Old minima and maxima were compared as signed bytes, whatever the type; only types for which
 * that is right keep them, and only from writers that say who they are. */
static bool deprecated_trusted(const pq_file_meta *m, const pq_schema_element *e)
{
    if (m->created_by.n == 0)
        return false;
    bool is_unsigned = (e->converted >= PQ_CONV_UINT_8 && e->converted <= PQ_CONV_UINT_64) ||
                       (e->logical == PQ_LOG_INTEGER && !e->is_signed);
    return !is_unsigned && (e->type == PQ_INT32 || e->type == PQ_INT64 || e->type == PQ_FLOAT ||
                            e->type == PQ_DOUBLE || e->type == PQ_BOOLEAN);
}

static void index_check(int64_t *offset, int32_t *length, uint64_t file_size)
{
    bool there = *offset >= 4 && *length > 0 && (uint64_t)*offset <= file_size &&
                 (uint64_t)*length <= file_size - (uint64_t)*offset;
    if (!there) {
        *offset = -1;
        *length = 0;
    }
}

static const char *row_group_check(footer *ft, pq_row_group *g, uint64_t file_size)
{
    for (uint32_t j = 0; j < ft->m->n_leaves; j++) {
        pq_column_chunk *c = &g->columns[j];
        const pq_schema_element *e = &ft->m->schema[ft->m->leaf_element[j]];
        if (c->type != e->type)
            return "has a column chunk of another type than the schema";
        const char *bad = chunk_check(c, file_size);
        if (bad)
            return bad;
        index_check(&c->offset_index_offset, &c->offset_index_length, file_size);
        index_check(&c->column_index_offset, &c->column_index_length, file_size);
        if (c->bloom_offset < 4 || (uint64_t)c->bloom_offset >= file_size)
            c->bloom_offset = -1;
        if (c->bloom_length < 0)
            c->bloom_length = 0;
        pq_statistics *s = &c->stats;
        if (s->has_null_count && s->null_count > c->num_values)
            s->has_null_count = false;
        if (s->deprecated ? !deprecated_trusted(ft->m, e) : j >= ft->n_orders || !ft->order_known[j])
            s->has_min = s->has_max = false;
    }
    return NULL;
}

static const char *footer_check(footer *ft, uint64_t file_size)
{
    pq_file_meta *m = ft->m;
    int64_t rows = 0;
    for (uint32_t i = 0; i < m->n_row_groups; i++) {
        pq_row_group *g = &m->row_groups[i];
        g->first_row = rows;
        if (g->num_rows < 0 || __builtin_add_overflow(rows, g->num_rows, &rows))
            return "has an impossible number of rows";
        const char *bad = row_group_check(ft, g, file_size);
        if (bad)
            return bad;
    }
    if (m->num_rows == 0) /* left out by some old writers */
        m->num_rows = rows;
    return rows == m->num_rows ? NULL : "has row groups whose rows don't add up to the file's";
}

static void file_meta_read(footer *ft)
{
    thrift_in *t = &ft->in;
    pq_file_meta *m = ft->m;
    thrift_field f = {0};
    while (thrift_next(t, &f)) {
        switch (f.id) {
        case 1: m->version = thrift_i32(t, f.type); break;
        case 2:
            if (m->schema)
                thrift_fail(t, "has two schemas");
            else
                schema_read(ft, f.type);
            break;
        case 3: m->num_rows = thrift_i64(t, f.type); break;
        case 4: {
            if (!m->schema || m->row_groups) {
                thrift_fail(t, "has its parts out of order");
                break;
            }
            uint32_t n = thrift_list(t, f.type, THRIFT_STRUCT, ROW_GROUP_LEAST);
            m->row_groups = list_alloc(ft, n, sizeof *m->row_groups);
            for (uint32_t i = 0; i < n && !t->fault; i++)
                row_group_read(ft, &m->row_groups[i]);
            m->n_row_groups = t->fault ? 0 : n;
            break;
        }
        case 5: kv_read(ft, f.type); break;
        case 6: m->created_by = thrift_binary(t, f.type); break;
        case 7: orders_read(ft, f.type); break;
        case 8:
            ft->refused = "encryption";
            thrift_skip(t, f.type);
            break;
        default: thrift_skip(t, f.type);
        }
    }
}

fz_status pq_read_footer(const uint8_t *data, size_t n, uint64_t base, uint64_t file_size, arena *a,
                         pq_file_meta *out, fz_error *err)
{
    memset(out, 0, sizeof *out);
    footer ft = {.a = a, .m = out};
    thrift_init(&ft.in, data, n);
    file_meta_read(&ft);
    if (ft.nomem)
        return error_nomem(err);
    if (!ft.in.fault && ft.refused)
        return error_set(err, FZ_UNSUPPORTED, "Parquet %s is not supported", ft.refused);
    if (!ft.in.fault && !schema_is_tree(out))
        thrift_fail(&ft.in, "has a schema that is no tree of at most 64 levels");
    if (!ft.in.fault) {
        const char *bad = footer_check(&ft, file_size);
        if (bad)
            thrift_fail(&ft.in, bad);
    }
    return thrift_fault(&ft.in, "footer", base, err);
}

/* ---- page headers ---- */

static void data_page_read(thrift_in *t, pq_page_header *h)
{
    thrift_field f = {0};
    while (thrift_next(t, &f))
        switch (f.id) {
        case 1: h->num_values = thrift_i32(t, f.type); break;
        case 2: h->encoding = (pq_encoding)thrift_i32(t, f.type); break;
        case 3: h->def_encoding = (pq_encoding)thrift_i32(t, f.type); break;
        case 4: h->rep_encoding = (pq_encoding)thrift_i32(t, f.type); break;
        default: thrift_skip(t, f.type);
        }
    h->num_rows = h->num_values;
}

static void dictionary_page_read(thrift_in *t, pq_page_header *h)
{
    thrift_field f = {0};
    while (thrift_next(t, &f))
        switch (f.id) {
        case 1: h->num_values = thrift_i32(t, f.type); break;
        case 2: h->encoding = (pq_encoding)thrift_i32(t, f.type); break;
        default: thrift_skip(t, f.type);
        }
}

static void data_page_v2_read(thrift_in *t, pq_page_header *h)
{
    thrift_field f = {0};
    h->v2_compressed = true;
    while (thrift_next(t, &f))
        switch (f.id) {
        case 1: h->num_values = thrift_i32(t, f.type); break;
        case 2: h->num_nulls = thrift_i32(t, f.type); break;
        case 3: h->num_rows = thrift_i32(t, f.type); break;
        case 4: h->encoding = (pq_encoding)thrift_i32(t, f.type); break;
        case 5: h->def_length = thrift_i32(t, f.type); break;
        case 6: h->rep_length = thrift_i32(t, f.type); break;
        case 7: h->v2_compressed = thrift_bool(t, f.type); break;
        default: thrift_skip(t, f.type);
        }
}

static const char *page_header_check(const pq_page_header *h, bool body)
{
    if (h->type < PQ_PAGE_DATA || h->type > PQ_PAGE_DATA_V2)
        return "is of an unknown type";
    if (h->compressed_size < 0 || h->uncompressed_size < 0)
        return "has a negative size";
    if (h->type == PQ_PAGE_INDEX)
        return NULL;
    if (!body)
        return "doesn't describe its page";
    if (h->num_values < 0 || h->num_nulls < 0 || h->num_rows < 0 || h->num_nulls > h->num_values)
        return "has impossible counts";
    if (h->type != PQ_PAGE_DATA_V2)
        return NULL;
    if (h->def_length < 0 || h->rep_length < 0 ||
        (int64_t)h->def_length + h->rep_length > h->compressed_size ||
        (int64_t)h->def_length + h->rep_length > h->uncompressed_size)
        return "has levels that are longer than the page";
    return NULL;
}

fz_status pq_read_page_header(const uint8_t *data, size_t n, uint64_t base, pq_page_header *out,
                              size_t *used, fz_error *err)
{
    thrift_in in, *t = &in;
    thrift_init(t, data, n);
    memset(out, 0, sizeof *out);
    thrift_field f = {0};
    int32_t kind = -1;
    int body = -1; /* field id of the struct that was seen */
    while (thrift_next(t, &f))
        switch (f.id) {
        case 1: kind = thrift_i32(t, f.type); break;
        case 2: out->uncompressed_size = thrift_i32(t, f.type); break;
        case 3: out->compressed_size = thrift_i32(t, f.type); break;
        case 4:
            out->crc = (uint32_t)thrift_i32(t, f.type);
            out->has_crc = true;
            break;
        case 5:
        case 7:
        case 8:
            if (body >= 0 || !thrift_struct(t, f.type)) {
                thrift_fail(t, "describes two pages");
                break;
            }
            body = f.id;
            if (f.id == 5)
                data_page_read(t, out);
            else if (f.id == 7)
                dictionary_page_read(t, out);
            else
                data_page_v2_read(t, out);
            break;
        default: thrift_skip(t, f.type);
        }
    if (!t->fault) {
        out->type = (pq_page_type)kind;
        int want = kind == PQ_PAGE_DATA ? 5 : kind == PQ_PAGE_DICT ? 7 : 8;
        const char *bad = kind < 0 ? "has no type" : page_header_check(out, body == want);
        if (bad)
            thrift_fail(t, bad);
    }
    *used = (size_t)(t->at - t->start);
    return thrift_fault(t, "page header", base, err);
}

/* ---- page indexes ---- */

fz_status pq_read_offset_index(const uint8_t *data, size_t n, arena *a, pq_offset_index *out, fz_error *err)
{
    thrift_in in, *t = &in;
    thrift_init(t, data, n);
    memset(out, 0, sizeof *out);
    thrift_field f = {0};
    while (thrift_next(t, &f)) {
        if (f.id != 1 || out->pages) {
            thrift_skip(t, f.type);
            continue;
        }
        out->n = thrift_list(t, f.type, THRIFT_STRUCT, PAGE_LOCATION_LEAST);
        out->pages = ARENA_ARRAY(a, pq_page_location, out->n ? out->n : 1);
        if (!out->pages)
            return error_nomem(err);
        for (uint32_t i = 0; i < out->n && !t->fault; i++) {
            pq_page_location *p = &out->pages[i];
            thrift_field g = {0};
            while (thrift_next(t, &g))
                switch (g.id) {
                case 1: p->offset = thrift_i64(t, g.type); break;
                case 2: p->compressed_size = thrift_i32(t, g.type); break;
                case 3: p->first_row = thrift_i64(t, g.type); break;
                default: thrift_skip(t, g.type);
                }
        }
    }
    return thrift_fault(t, "offset index", 0, err);
}

static bool strings_read(thrift_in *t, uint8_t ftype, arena *a, uint32_t *n, str **out)
{
    *n = thrift_list(t, ftype, THRIFT_BINARY, 1);
    *out = ARENA_ARRAY(a, str, *n ? *n : 1);
    if (!*out)
        return false;
    for (uint32_t i = 0; i < *n && !t->fault; i++)
        (*out)[i] = thrift_binary(t, THRIFT_BINARY);
    return true;
}

fz_status pq_read_column_index(const uint8_t *data, size_t n, arena *a, pq_column_index *out, fz_error *err)
{
    thrift_in in, *t = &in;
    thrift_init(t, data, n);
    memset(out, 0, sizeof *out);
    uint32_t n_null = 0, n_min = 0, n_max = 0, n_counts = 0;
    thrift_field f = {0};
    while (thrift_next(t, &f)) {
        bool ok = true;
        switch (f.id) {
        case 1:
            n_null = thrift_list(t, f.type, THRIFT_TRUE, 1);
            ok = (out->null_pages = ARENA_ARRAY(a, bool, n_null ? n_null : 1)) != NULL;
            for (uint32_t i = 0; ok && i < n_null && !t->fault; i++)
                out->null_pages[i] = thrift_bool_element(t);
            break;
        case 2: ok = strings_read(t, f.type, a, &n_min, &out->min); break;
        case 3: ok = strings_read(t, f.type, a, &n_max, &out->max); break;
        case 4: out->boundary_order = thrift_i32(t, f.type); break;
        case 5:
            n_counts = thrift_list(t, f.type, THRIFT_I64, 1);
            ok = (out->null_counts = ARENA_ARRAY(a, int64_t, n_counts ? n_counts : 1)) != NULL;
            for (uint32_t i = 0; ok && i < n_counts && !t->fault; i++)
                out->null_counts[i] = thrift_i64(t, THRIFT_I64);
            break;
        default: thrift_skip(t, f.type);
        }
        if (!ok)
            return error_nomem(err);
    }
    out->n = n_null;
    if (n_min != n_null || n_max != n_null || (out->null_counts && n_counts != n_null))
        thrift_fail(t, "has lists of different lengths");
    return thrift_fault(t, "column index", 0, err);
}
