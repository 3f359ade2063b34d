/*
 * parquet_mutate.h: a libFuzzer mutator that keeps a Parquet file's frame while it changes what is in it.
 *
 * The footer is parsed, one or a few of its fields are changed, and it is serialised anew behind the old pages; or a
 * page's header is, or its body; offsets behind a page that grows or shrinks move along. What can't be parsed is
 * left to the ordinary mutator, as is every fourth input: the checks before the parser have to be reached too.
 */
#ifndef FUZZ_PARQUET_MUTATE_H
#define FUZZ_PARQUET_MUTATE_H

#include "format/parquet/meta.h"

__attribute__((weak)) size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed);

typedef struct mutation {
    uint64_t rng;
    arena a;
    pq_file_meta meta;
    sbuf pages;            /* the file without its footer */
} mutation;

static uint32_t rnd(mutation *m, uint32_t n)
{
    m->rng = m->rng * 6364136223846793005ull + 1442695040888963407ull;
    return n ? (uint32_t)(m->rng >> 33) % n : 0;
}

/* A number near the old one, or one that is a limit of something. */
static int64_t other_number(mutation *m, int64_t v)
{
    static const int64_t limits[] = {0, 1, -1, 2, 3, 7, 8, 64, 127, 128, 255, 256, 4096, 8192, 65535, INT16_MAX, 1 << 20,
                                     INT32_MAX, INT32_MIN, UINT32_MAX, INT64_MAX, INT64_MIN};
    switch (rnd(m, 6)) {
    case 0: return (int64_t)((uint64_t)v + 1);
    case 1: return (int64_t)((uint64_t)v - 1);
    case 2: return (int64_t)((uint64_t)v * 2);
    case 3: return v ^ (int64_t)(1ull << rnd(m, 32));
    case 4: return (int64_t)m->pages.n - (int64_t)rnd(m, 64);
    default: return limits[rnd(m, sizeof limits / sizeof limits[0])];
    }
}

static int32_t other_i32(mutation *m, int32_t v)
{
    int64_t x = other_number(m, v);
    return x < INT32_MIN || x > INT32_MAX ? (int32_t)(uint32_t)x : (int32_t)x;
}

static str other_bytes(mutation *m, str s)
{
    size_t max = s.n + 16;
    char *p = arena_zalloc(&m->a, max);
    if (!p)
        return s;
    if (s.n)
        memcpy(p, s.p, s.n);
    return (str){p, LLVMFuzzerMutate((uint8_t *)p, s.n, max)};
}

static void mutate_element(mutation *m)
{
    pq_schema_element *e = &m->meta.schema[rnd(m, m->meta.n_schema)];
    switch (rnd(m, 12)) {
    case 0: e->repetition = (pq_repetition)rnd(m, 3); break;
    case 1: e->type = (pq_physical)rnd(m, 8); break;
    case 2: e->converted = (pq_converted)((int)rnd(m, 23) - 1); break;
    case 3: e->logical = (pq_logical)rnd(m, 16); break;
    case 4: e->type_length = other_i32(m, e->type_length); break;
    case 5: e->precision = other_i32(m, e->precision); break;
    case 6: e->scale = other_i32(m, e->scale); break;
    case 7: e->unit = (int)rnd(m, 3); break;
    case 8: e->bit_width = 8 << rnd(m, 4); e->is_signed = rnd(m, 2); break;
    case 9: e->name = rnd(m, 2) ? STR("array") : other_bytes(m, e->name); break;
    case 10: e->field_id = other_i32(m, e->field_id); break;
    default: { /* a child moves to another group */
        pq_schema_element *f = &m->meta.schema[rnd(m, m->meta.n_schema)];
        if (!e->has_type && !f->has_type) {
            e->num_children -= e->num_children > 0;
            f->num_children += f->num_children < INT32_MAX;
        }
        break;
    }
    }
}

static void mutate_chunk(mutation *m, pq_row_group *g)
{
    if (!m->meta.n_leaves)
        return;
    pq_column_chunk *c = &g->columns[rnd(m, m->meta.n_leaves)];
    pq_statistics *s = &c->stats;
    switch (rnd(m, 14)) {
    case 0: c->num_values = other_number(m, c->num_values); break;
    case 1: c->total_compressed_size = other_number(m, c->total_compressed_size); break;
    case 2: c->data_page_offset = other_number(m, c->data_page_offset); break;
    case 3: c->dictionary_page_offset = rnd(m, 2) ? -1 : other_number(m, c->dictionary_page_offset); break;
    case 4: c->codec = (pq_codec)rnd(m, 9); break;
    case 5: s->min = other_bytes(m, s->min); s->has_min = true; break;
    case 6: s->max = other_bytes(m, s->max); s->has_max = true; break;
    case 7: s->null_count = other_number(m, s->null_count); s->has_null_count = true; break;
    case 8: c->offset_index_offset = other_number(m, c->offset_index_offset); break;
    case 9: c->offset_index_length = other_i32(m, c->offset_index_length); break;
    case 10: c->column_index_offset = other_number(m, c->column_index_offset); break;
    case 11: c->bloom_offset = other_number(m, c->bloom_offset); break;
    case 12: c->type = (pq_physical)rnd(m, 8); break;
    default: *c = g->columns[rnd(m, m->meta.n_leaves)]; break; /* two chunks in one place */
    }
}

static void mutate_footer(mutation *m)
{
    static const char *const writers[] = {"parquet-mr version 1.2.8", "parquet-mr version 1.7.0", "parquet-mr version 1.12.0",
                                          "parquet-cpp-arrow version 2.0.0", "parquet-cpp version 1.2.0", "impala", ""};
    pq_file_meta *f = &m->meta;
    uint32_t what = rnd(m, 8);
    if (what == 0) {
        const char *w = writers[rnd(m, sizeof writers / sizeof writers[0])];
        f->created_by = (str){w, strlen(w)};
    } else if (what <= 3 || !f->n_row_groups) {
        mutate_element(m);
    } else {
        pq_row_group *g = &f->row_groups[rnd(m, f->n_row_groups)];
        if (what == 4) {
            int64_t rows = other_number(m, g->num_rows);
            f->num_rows = (int64_t)((uint64_t)f->num_rows + (uint64_t)rows - (uint64_t)g->num_rows);
            g->num_rows = rows;
            for (uint32_t i = 0; i < f->n_leaves && rnd(m, 2); i++)
                g->columns[i].num_values = rows;
        } else {
            mutate_chunk(m, g);
        }
    }
}

static void moved(int64_t *offset, int64_t at, int64_t by)
{
    if (*offset > at)
        *offset = (int64_t)((uint64_t)*offset + (uint64_t)by);
}

/* Bytes [at, at + was) become the `n` at p; everything that the footer says moves along. */
static void splice(mutation *m, size_t at, size_t was, const void *p, size_t n, pq_column_chunk *in)
{
    sbuf b;
    sbuf_init(&b, NULL);
    sbuf_add(&b, m->pages.p, at);
    sbuf_add(&b, p, n);
    sbuf_add(&b, m->pages.p + at + was, m->pages.n - at - was);
    sbuf_free(&m->pages);
    m->pages = b;
    int64_t by = (int64_t)n - (int64_t)was;
    in->total_compressed_size = (int64_t)((uint64_t)in->total_compressed_size + (uint64_t)by);
    for (uint32_t g = 0; g < m->meta.n_row_groups; g++)
        for (uint32_t i = 0; i < m->meta.n_leaves; i++) {
            pq_column_chunk *c = &m->meta.row_groups[g].columns[i];
            moved(&c->data_page_offset, (int64_t)at, by);
            moved(&c->dictionary_page_offset, (int64_t)at, by);
            moved(&c->offset_index_offset, (int64_t)at, by);
            moved(&c->column_index_offset, (int64_t)at, by);
            moved(&c->bloom_offset, (int64_t)at, by);
        }
}

static void mutate_header(mutation *m, pq_page_header *h)
{
    h->has_crc = false;
    switch (rnd(m, 10)) {
    case 0: h->num_values = other_i32(m, h->num_values); break;
    case 1: h->num_nulls = other_i32(m, h->num_nulls); break;
    case 2: h->num_rows = other_i32(m, h->num_rows); break;
    case 3: h->encoding = (pq_encoding)rnd(m, 11); break;
    case 4: h->def_encoding = rnd(m, 2) ? PQ_ENC_BIT_PACKED : PQ_ENC_RLE; break;
    case 5: h->rep_encoding = rnd(m, 2) ? PQ_ENC_BIT_PACKED : PQ_ENC_RLE; break;
    case 6: h->def_length = other_i32(m, h->def_length); break;
    case 7: h->rep_length = other_i32(m, h->rep_length); break;
    case 8: h->uncompressed_size = other_i32(m, h->uncompressed_size); break;
    default: h->type = (pq_page_type)rnd(m, 4); break;
    }
}

/* A page of some chunk: its header or its body. */
static void mutate_page(mutation *m)
{
    if (!m->meta.n_row_groups || !m->meta.n_leaves)
        return;
    pq_column_chunk *c = &m->meta.row_groups[rnd(m, m->meta.n_row_groups)].columns[rnd(m, m->meta.n_leaves)];
    int64_t at = c->dictionary_page_offset >= 4 && c->dictionary_page_offset < c->data_page_offset ? c->dictionary_page_offset
                                                                                                  : c->data_page_offset;
    for (unsigned skip = rnd(m, 4);; skip--) {
        pq_page_header h;
        size_t used;
        if (at < 4 || (uint64_t)at >= m->pages.n ||
            pq_read_page_header((const uint8_t *)m->pages.p + at, m->pages.n - (size_t)at, 0, &h, &used, NULL) != FZ_OK)
            return;
        size_t body = (size_t)at + used, n = (size_t)h.compressed_size, was = used + n;
        if (n > m->pages.n - body)
            return;
        if (skip && body + n < m->pages.n) {
            at = (int64_t)(body + n);
            continue;
        }
        char *copy = arena_zalloc(&m->a, n + 64);
        if (!copy)
            return;
        memcpy(copy, m->pages.p + body, n);
        bool plain = c->codec == PQ_UNCOMPRESSED || (h.type == PQ_PAGE_DATA_V2 && !h.v2_compressed);
        if (rnd(m, 2)) {
            n = LLVMFuzzerMutate((uint8_t *)copy, n, n + 64);
            h.compressed_size = (int32_t)n;
            if (plain)
                h.uncompressed_size = h.compressed_size;
            h.has_crc = false;
        } else {
            mutate_header(m, &h);
        }
        sbuf page;
        sbuf_init(&page, NULL);
        pq_write_page_header(&page, &h);
        sbuf_add(&page, copy, n);
        splice(m, (size_t)at, was, page.p, page.n, c);
        sbuf_free(&page);
        return;
    }
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
    mutation m = {.rng = seed * 2862933555777941757ull + 3037000493ull};
    if (rnd(&m, 4) == 0 || size < 12)
        return LLVMFuzzerMutate(data, size, max_size);
    uint32_t len = (uint32_t)data[size - 8] | (uint32_t)data[size - 7] << 8 | (uint32_t)data[size - 6] << 16 |
                   (uint32_t)data[size - 5] << 24;
    if (len > size - 12)
        return LLVMFuzzerMutate(data, size, max_size);
    arena_init(&m.a, NULL);
    sbuf_init(&m.pages, NULL);
    uint8_t *footer = arena_alloc(&m.a, len + 1);
    size_t made = 0;
    if (footer) {
        memcpy(footer, data + size - 8 - len, len);
        if (pq_read_footer(footer, len, 0, size, &m.a, &m.meta, NULL) == FZ_OK) {
            sbuf_add(&m.pages, data, size - 8 - len);
            for (unsigned i = 1 + rnd(&m, 3); i--;)
                if (rnd(&m, 3))
                    mutate_page(&m);
                else
                    mutate_footer(&m);
            size_t at = m.pages.n;
            pq_write_footer(&m.pages, &m.meta);
            uint32_t n = (uint32_t)(m.pages.n - at);
            sbuf_add(&m.pages, &n, 4);
            sbuf_add(&m.pages, "PAR1", 4);
            if (!m.pages.failed && m.pages.n <= max_size)
                memcpy(data, m.pages.p, made = m.pages.n);
        }
    }
    sbuf_free(&m.pages);
    arena_free(&m.a);
    return made ? made : LLVMFuzzerMutate(data, size, max_size);
}

#endif
