/*
 * page_index.c: offset and column indexes: loaded, held against the footer, and used to find the
 * rows of a row group that can satisfy a predicate.
 *
 * No checksum covers an index. One is used only if it agrees with what the footer says of the
 * chunk: its pages lie in the chunk one behind the other from the first data page on, their first
 * rows ascend from 0 within the row group, their null counts add up to the chunk's, their bounds lie
 * within the chunk's. Otherwise it is as if there were none. Cursors check again: a page they
 * jump to must have the size and the number of rows that the index says (cursor.c).
 */
#include "format/parquet/read_int.h"

static bool offset_index_valid(const pq_offset_index *x, uint64_t data_start, uint64_t end, uint64_t rows)
{
    uint64_t at = data_start;
    if (x->n == 0 || x->pages[0].offset < 0 || (uint64_t)x->pages[0].offset != data_start)
        return false;
    for (uint32_t i = 0; i < x->n; i++) {
        const pq_page_location *p = &x->pages[i];
        if (p->offset < 0 || (uint64_t)p->offset < at || p->compressed_size <= 0 || (uint64_t)p->offset > end ||
            (uint64_t)p->compressed_size > end - (uint64_t)p->offset)
            return false;
        if (p->first_row < 0 || (uint64_t)p->first_row >= rows ||
            (i == 0 ? p->first_row != 0 : p->first_row <= x->pages[i - 1].first_row))
            return false;
        at = (uint64_t)p->offset + (uint64_t)p->compressed_size;
    }
    return true;
}

/* n bytes at offset, in the arena; NULL: they can't be had. */
static const uint8_t *index_bytes(io_file *f, int64_t offset, int32_t n, arena *a)
{
    if (offset < 0 || n <= 0)
        return NULL;
    uint8_t *b = arena_alloc(a, (size_t)n);
    return b && io_read(f, (uint64_t)offset, b, (size_t)n, NULL) == FZ_OK ? b : NULL;
}

bool offset_index_load(io_file *f, const pq_column_chunk *c, uint64_t data_start, uint64_t end, uint64_t rows,
                       arena *a, pq_offset_index *out)
{
    const uint8_t *b = index_bytes(f, c->offset_index_offset, c->offset_index_length, a);
    if (b && pq_read_offset_index(b, (size_t)c->offset_index_length, a, out, NULL) == FZ_OK &&
        offset_index_valid(out, data_start, end, rows))
        return true;
    out->n = 0;
    return false;
}

static uint64_t page_end(const pq_offset_index *x, uint32_t i, uint64_t rows)
{
    return i + 1 < x->n ? (uint64_t)x->pages[i + 1].first_row : rows;
}

/* The bounds of page i; false if they disagree with the chunk's. */
static bool page_bounds(const pq_file *p, uint32_t leaf, const pq_column_index *x, uint32_t i, uint64_t rows,
                        const pq_bounds *chunk, bool may_nan, pq_bounds *out)
{
    const pq_leaf *l = &p->leaves[leaf];
    *out = (pq_bounds){.null_count = x->null_counts ? x->null_counts[i] : -1};
    out->min = out->max = DATUM_NULL(l->t);
    if (out->null_count < -1 || out->null_count > (int64_t)rows)
        return false;
    if (x->null_pages[i]) {
        if (out->null_count >= 0 && out->null_count != (int64_t)rows)
            return false;
        out->null_count = (int64_t)rows;
        return true;
    }
    bounds_make(l, x->min[i], x->max[i], false, may_nan, out);
    /* A page of NaNs alone has none; one whose bounds make no sense spoils the index. */
    if (!out->known)
        return may_nan && (l->t.id == T_FLOAT32 || l->t.id == T_FLOAT64);
    return datum_cmp(&out->min, &chunk->min) >= 0 && datum_cmp(&out->max, &chunk->max) <= 0;
}

/* Whether the sum of the pages' null counts is the chunk's, where both are known. */
static bool nulls_add_up(const pq_column_index *x, int64_t nulls)
{
    int64_t sum = 0;
    if (!x->null_counts || nulls < 0)
        return true;
    for (uint32_t i = 0; i < x->n; i++)
        if (x->null_counts[i] < 0 || __builtin_add_overflow(sum, x->null_counts[i], &sum))
            return false;
    return sum == nulls;
}

/* Appends [from, to), joined to the range before where they touch. */
static void range_add(pq_row_range *r, uint32_t *n, uint64_t from, uint64_t to)
{
    if (*n && r[*n - 1].to == from)
        r[*n - 1].to = to;
    else
        r[(*n)++] = (pq_row_range){from, to};
}

/* Ranges from the indexes; false if there are none that can be used. */
static bool ranges_find(pq_file *p, io_file *f, uint32_t row_group, uint32_t leaf, pq_keep_fn keep, void *ctx,
                        arena *a, pq_row_range **out, uint32_t *n)
{
    const pq_row_group *g = &p->meta.row_groups[row_group];
    const pq_column_chunk *c = &g->columns[leaf];
    const pq_statistics *s = &c->stats;
    uint64_t rows = (uint64_t)g->num_rows, start = (uint64_t)c->data_page_offset, first = start;
    pq_bounds chunk, b;
    pq_column_bounds(p, row_group, leaf, &chunk);
    /* Without bounds of the chunk nothing vouches for the index, nor for the order it goes by. */
    if (!chunk.known || p->leaves[leaf].max_rep || s->deprecated || c->column_index_offset < 0)
        return false;
    if (c->dictionary_page_offset >= 0 && (uint64_t)c->dictionary_page_offset < first)
        first = (uint64_t)c->dictionary_page_offset;
    pq_offset_index oi;
    pq_column_index ci;
    if (!offset_index_load(f, c, start, first + (uint64_t)c->total_compressed_size, rows, a, &oi))
        return false;
    const uint8_t *bytes = index_bytes(f, c->column_index_offset, c->column_index_length, a);
    if (!bytes || pq_read_column_index(bytes, (size_t)c->column_index_length, a, &ci, NULL) != FZ_OK ||
        ci.n != oi.n || !ci.min || !ci.max || !nulls_add_up(&ci, chunk.null_count))
        return false;
    *out = ARENA_ARRAY(a, pq_row_range, oi.n);
    if (!*out)
        return false;
    bool may_nan = !s->has_nan_count || s->nan_count > 0;
    for (uint32_t i = 0; i < oi.n; i++) {
        uint64_t from = (uint64_t)oi.pages[i].first_row, to = page_end(&oi, i, rows);
        if (!page_bounds(p, leaf, &ci, i, to - from, &chunk, may_nan, &b))
            return false;
        if (keep(ctx, &b, (int64_t)(to - from)))
            range_add(*out, n, from, to);
    }
    return true;
}

fz_status pq_prune_pages(pq_file *p, io_file *f, uint32_t row_group, uint32_t leaf, pq_keep_fn keep, void *ctx,
                         arena *a, pq_row_range **out, uint32_t *n, fz_error *err)
{
    if (row_group >= p->meta.n_row_groups || leaf >= p->meta.n_leaves)
        return error_set(err, FZ_INVALID, "no such row group or column in the Parquet file");
    *out = NULL;
    *n = 0;
    if (ranges_find(p, f, row_group, leaf, keep, ctx, a, out, n))
        return FZ_OK;
    *out = ARENA_NEW(a, pq_row_range);
    if (!*out)
        return error_nomem(err);
    **out = (pq_row_range){0, (uint64_t)p->meta.row_groups[row_group].num_rows};
    *n = (*out)->to > 0;
    return FZ_OK;
}
