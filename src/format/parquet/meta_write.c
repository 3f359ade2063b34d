/*
 * meta_write.c: the footer, page headers and indexes of a Parquet file in Thrift's compact
 * protocol.
 *
 * A `thrift_out` appends to an sbuf, which keeps a sticky out-of-memory flag: callers check once.
 * Field ids are written as differences to the one before within the same struct, so a struct
 * within a struct starts from 0 and the outer id is put back behind it (the depth is fixed by
 * parquet.thrift, four at most). Field numbers below are those of parquet.thrift.
 */
#include "format/parquet/meta.h"

enum { W_TRUE = 1, W_FALSE = 2, W_I8 = 3, W_I16 = 4, W_I32 = 5, W_I64 = 6, W_BINARY = 8, W_LIST = 9, W_STRUCT = 12 };

typedef struct thrift_out {
    sbuf *b;
    int last;       /* id of the last field of the struct being written */
    int stack[8];
    int depth;
} thrift_out;

static void put_varint(thrift_out *t, uint64_t v)
{
    char tmp[10];
    size_t n = 0;
    for (; v >= 0x80; v >>= 7)
        tmp[n++] = (char)(v | 0x80);
    tmp[n++] = (char)v;
    sbuf_add(t->b, tmp, n);
}

static void put_zigzag(thrift_out *t, int64_t v) { put_varint(t, (uint64_t)v << 1 ^ (uint64_t)(v >> 63)); }

static void put_field(thrift_out *t, int id, int kind)
{
    int step = id - t->last;
    if (step > 0 && step <= 15) {
        sbuf_addc(t->b, (char)(step << 4 | kind));
    } else {
        sbuf_addc(t->b, (char)kind);
        put_zigzag(t, id);
    }
    t->last = id;
}

static void put_i32(thrift_out *t, int id, int64_t v)
{
    put_field(t, id, W_I32);
    put_zigzag(t, v);
}

static void put_i64(thrift_out *t, int id, int64_t v)
{
    put_field(t, id, W_I64);
    put_zigzag(t, v);
}

static void put_bool(thrift_out *t, int id, bool v) { put_field(t, id, v ? W_TRUE : W_FALSE); }

static void put_bytes(thrift_out *t, str s)
{
    put_varint(t, s.n);
    sbuf_str(t->b, s);
}

static void put_binary(thrift_out *t, int id, str s)
{
    put_field(t, id, W_BINARY);
    put_bytes(t, s);
}

static void put_list(thrift_out *t, int id, int kind, uint64_t n)
{
    put_field(t, id, W_LIST);
    if (n < 15) {
        sbuf_addc(t->b, (char)(n << 4 | (unsigned)kind));
    } else {
        sbuf_addc(t->b, (char)(0xf0 | kind));
        put_varint(t, n);
    }
}

/* The fields of a struct that is an element of a list, or the outermost one. */
static void begin(thrift_out *t)
{
    t->stack[t->depth++] = t->last;
    t->last = 0;
}

static void end(thrift_out *t)
{
    sbuf_addc(t->b, 0);
    t->last = t->stack[--t->depth];
}

static void begin_field(thrift_out *t, int id)
{
    put_field(t, id, W_STRUCT);
    begin(t);
}

static void put_empty(thrift_out *t, int id)
{
    begin_field(t, id);
    end(t);
}

/* ---- schema ---- */

/* LogicalType is a union: a struct with one field set. */
static void put_logical(thrift_out *t, int id, const pq_schema_element *e)
{
    begin_field(t, id);
    switch (e->logical) {
    case PQ_LOG_DECIMAL:
        begin_field(t, PQ_LOG_DECIMAL);
        put_i32(t, 1, e->scale);
        put_i32(t, 2, e->precision);
        end(t);
        break;
    case PQ_LOG_TIME:
    case PQ_LOG_TIMESTAMP:
        begin_field(t, (int)e->logical);
        put_bool(t, 1, e->adjusted_to_utc);
        begin_field(t, 2);
        put_empty(t, e->unit + 1); /* MILLIS, MICROS, NANOS */
        end(t);
        end(t);
        break;
    case PQ_LOG_INTEGER:
        begin_field(t, PQ_LOG_INTEGER);
        put_field(t, 1, W_I8);
        sbuf_addc(t->b, (char)e->bit_width);
        put_bool(t, 2, e->is_signed);
        end(t);
        break;
    default:
        put_empty(t, (int)e->logical);
    }
    end(t);
}

static void put_element(thrift_out *t, const pq_schema_element *e, bool root)
{
    begin(t);
    if (e->has_type)
        put_i32(t, 1, e->type);
    if (e->has_type && e->type == PQ_FIXED)
        put_i32(t, 2, e->type_length);
    if (!root)
        put_i32(t, 3, e->repetition);
    put_binary(t, 4, e->name);
    if (!e->has_type)
        put_i32(t, 5, e->num_children);
    if (e->converted != PQ_CONV_NONE)
        put_i32(t, 6, e->converted);
    if (e->converted == PQ_CONV_DECIMAL || e->logical == PQ_LOG_DECIMAL) {
        put_i32(t, 7, e->scale);
        put_i32(t, 8, e->precision);
    }
    if (e->field_id >= 0)
        put_i32(t, 9, e->field_id);
    if (e->logical != PQ_LOG_NONE)
        put_logical(t, 10, e);
    end(t);
}

/* ---- footer ---- */

static void put_statistics(thrift_out *t, int id, const pq_statistics *s)
{
    if (!s->has_null_count && !s->has_min && !s->has_max)
        return;
    begin_field(t, id);
    if (s->has_null_count)
        put_i64(t, 3, s->null_count);
    if (s->has_max)
        put_binary(t, 5, s->max);
    if (s->has_min)
        put_binary(t, 6, s->min);
    if (s->has_max)
        put_bool(t, 7, s->max_exact);
    if (s->has_min)
        put_bool(t, 8, s->min_exact);
    if (s->has_nan_count)
        put_i64(t, 9, s->nan_count);
    end(t);
}

static void put_chunk(thrift_out *t, const pq_column_chunk *c, str name)
{
    begin(t);
    put_i64(t, 2, 0); /* file_offset: deprecated, 0 since metadata lies in the footer alone */
    begin_field(t, 3);
    put_i32(t, 1, c->type);
    put_list(t, 2, W_I32, (uint64_t)__builtin_popcount(c->encodings));
    for (int e = 0; e < 32; e++)
        if (c->encodings >> e & 1)
            put_zigzag(t, e);
    put_list(t, 3, W_BINARY, c->n_path ? c->n_path : 1);
    for (uint32_t i = 0; i < (c->n_path ? c->n_path : 1); i++)
        put_bytes(t, c->n_path ? c->path[i] : name);
    put_i32(t, 4, c->codec);
    put_i64(t, 5, c->num_values);
    put_i64(t, 6, c->total_uncompressed_size);
    put_i64(t, 7, c->total_compressed_size);
    put_i64(t, 9, c->data_page_offset);
    if (c->dictionary_page_offset >= 0)
        put_i64(t, 11, c->dictionary_page_offset);
    put_statistics(t, 12, &c->stats);
    if (c->n_encoding_stats) {
        put_list(t, 13, W_STRUCT, c->n_encoding_stats);
        for (uint32_t i = 0; i < c->n_encoding_stats; i++) {
            begin(t);
            put_i32(t, 1, c->encoding_stats[i].page_type);
            put_i32(t, 2, c->encoding_stats[i].encoding);
            put_i32(t, 3, c->encoding_stats[i].count);
            end(t);
        }
    }
    if (c->bloom_length) {
        put_i64(t, 14, c->bloom_offset);
        put_i32(t, 15, c->bloom_length);
    }
    end(t);
    if (c->offset_index_offset >= 0) {
        put_i64(t, 4, c->offset_index_offset);
        put_i32(t, 5, c->offset_index_length);
    }
    if (c->column_index_offset >= 0) {
        put_i64(t, 6, c->column_index_offset);
        put_i32(t, 7, c->column_index_length);
    }
    end(t);
}

static void put_row_group(thrift_out *t, const pq_file_meta *m, uint32_t rg)
{
    const pq_row_group *g = &m->row_groups[rg];
    begin(t);
    put_list(t, 1, W_STRUCT, m->n_leaves);
    for (uint32_t i = 0; i < m->n_leaves; i++)
        put_chunk(t, &g->columns[i], m->schema[m->leaf_element[i]].name);
    put_i64(t, 2, g->total_byte_size);
    put_i64(t, 3, g->num_rows);
    if (g->n_sorting) {
        put_list(t, 4, W_STRUCT, g->n_sorting);
        for (uint32_t i = 0; i < g->n_sorting; i++) {
            begin(t);
            put_i32(t, 1, g->sorting[i].leaf);
            put_bool(t, 2, g->sorting[i].descending);
            put_bool(t, 3, g->sorting[i].nulls_first);
            end(t);
        }
    }
    put_i64(t, 5, g->file_offset);
    put_i64(t, 6, g->total_compressed_size);
    if (rg <= INT16_MAX) {
        put_field(t, 7, W_I16);
        put_zigzag(t, rg);
    }
    end(t);
}

void pq_write_footer(sbuf *out, const pq_file_meta *m)
{
    thrift_out t = {.b = out};
    begin(&t);
    put_i32(&t, 1, m->version);
    put_list(&t, 2, W_STRUCT, m->n_schema);
    for (uint32_t i = 0; i < m->n_schema; i++)
        put_element(&t, &m->schema[i], i == 0);
    put_i64(&t, 3, m->num_rows);
    put_list(&t, 4, W_STRUCT, m->n_row_groups);
    for (uint32_t i = 0; i < m->n_row_groups; i++)
        put_row_group(&t, m, i);
    if (m->n_kv) {
        put_list(&t, 5, W_STRUCT, m->n_kv);
        for (uint32_t i = 0; i < m->n_kv; i++) {
            begin(&t);
            put_binary(&t, 1, m->kv[i].key);
            put_binary(&t, 2, m->kv[i].value);
            end(&t);
        }
    }
    put_binary(&t, 6, m->created_by);
    put_list(&t, 7, W_STRUCT, m->n_leaves); /* column orders: as the type defines it */
    for (uint32_t i = 0; i < m->n_leaves; i++) {
        begin(&t);
        put_empty(&t, 1);
        end(&t);
    }
    end(&t);
}

/* ---- pages and indexes ---- */

/* numBytes, then three unions, each with its only member: split blocks, xxHash, uncompressed. */
void pq_write_bloom_header(sbuf *out, int32_t bytes)
{
    thrift_out t = {.b = out};
    begin(&t);
    put_i32(&t, 1, bytes);
    for (int id = 2; id <= 4; id++) {
        begin_field(&t, id);
        put_empty(&t, 1);
        end(&t);
    }
    end(&t);
}

void pq_write_page_header(sbuf *out, const pq_page_header *h)
{
    thrift_out t = {.b = out};
    begin(&t);
    put_i32(&t, 1, h->type);
    put_i32(&t, 2, h->uncompressed_size);
    put_i32(&t, 3, h->compressed_size);
    if (h->has_crc)
        put_i32(&t, 4, (int32_t)h->crc);
    switch (h->type) {
    case PQ_PAGE_DATA:
        begin_field(&t, 5);
        put_i32(&t, 1, h->num_values);
        put_i32(&t, 2, h->encoding);
        put_i32(&t, 3, h->def_encoding);
        put_i32(&t, 4, h->rep_encoding);
        end(&t);
        break;
    case PQ_PAGE_DICT:
        begin_field(&t, 7);
        put_i32(&t, 1, h->num_values);
        put_i32(&t, 2, h->encoding);
        end(&t);
        break;
    case PQ_PAGE_DATA_V2:
        begin_field(&t, 8);
        put_i32(&t, 1, h->num_values);
        put_i32(&t, 2, h->num_nulls);
        put_i32(&t, 3, h->num_rows);
        put_i32(&t, 4, h->encoding);
        put_i32(&t, 5, h->def_length);
        put_i32(&t, 6, h->rep_length);
        put_bool(&t, 7, h->v2_compressed);
        end(&t);
        break;
    default:
        put_empty(&t, 6);
    }
    end(&t);
}

void pq_write_offset_index(sbuf *out, const pq_offset_index *x)
{
    thrift_out t = {.b = out};
    begin(&t);
    put_list(&t, 1, W_STRUCT, x->n);
    for (uint32_t i = 0; i < x->n; i++) {
        begin(&t);
        put_i64(&t, 1, x->pages[i].offset);
        put_i32(&t, 2, x->pages[i].compressed_size);
        put_i64(&t, 3, x->pages[i].first_row);
        end(&t);
    }
    end(&t);
}

static void put_bounds(thrift_out *t, int id, const str *s, uint32_t n)
{
    put_list(t, id, W_BINARY, n);
    for (uint32_t i = 0; i < n; i++)
        put_bytes(t, s[i]);
}

void pq_write_column_index(sbuf *out, const pq_column_index *x)
{
    thrift_out t = {.b = out};
    begin(&t);
    put_list(&t, 1, W_TRUE, x->n);
    for (uint32_t i = 0; i < x->n; i++)
        sbuf_addc(out, x->null_pages[i] ? W_TRUE : W_FALSE);
    put_bounds(&t, 2, x->min, x->n);
    put_bounds(&t, 3, x->max, x->n);
    put_i32(&t, 4, x->boundary_order);
    if (x->null_counts) {
        put_list(&t, 5, W_I64, x->n);
        for (uint32_t i = 0; i < x->n; i++)
            put_zigzag(&t, x->null_counts[i]);
    }
    end(&t);
}
