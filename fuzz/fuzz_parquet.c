/*
 * fuzz_parquet: bytes as a Parquet file. Opens it and reads every column of every row group,
 * in steps and with skips that the input's size chooses; touches every value.
 */
#include "../tests/format/mem_file.h"
#include "format/parquet/parquet.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static volatile uint64_t sink; /* so that reading the values isn't optimised away */

static void vector_touch(const vec *v)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < v->len; i++) {
        datum d = vec_datum(v, i);
        if (d.null)
            continue;
        if (type_phys(v->t) == PHYS_STR)
            for (size_t j = 0; j < d.s.n && j < 4096; j += 1 + d.s.n / 64)
                sum += (uint8_t)d.s.p[j];
        else
            sum += (uint64_t)d.i64;
    }
    sink += sum;
}

/* Row counts may be any number; a file of nulls makes 2^31 rows from some bytes. */
#define ROWS_MAX 200000

static void column_read(pq_file *p, io_file *f, uint32_t g, uint32_t leaf, uint32_t step, batch *b)
{
    pq_cursor *c;
    pq_bounds bounds;
    pq_column_bounds(p, g, leaf, &bounds);
    if (bounds.known)
        sink += (uint64_t)datum_cmp(&bounds.min, &bounds.max);
    if (pq_cursor_open(p, f, g, leaf, pq_schema(p)->cols[leaf].t, NULL, NULL, &c, NULL) != FZ_OK)
        return;
    uint16_t sel[2] = {(uint16_t)(step / 3), (uint16_t)(step / 2)};
    uint64_t seen = 0;
    for (unsigned i = 0; pq_cursor_left(c) && seen < ROWS_MAX; i++) {
        uint64_t left = pq_cursor_left(c);
        uint32_t n = left < step ? (uint32_t)left : step;
        vec v;
        bool some = i % 3 == 2 && n == step && step > 3;
        if (pq_cursor_read(c, n, some ? sel : NULL, some ? 2 : 0, &v, b, NULL) != FZ_OK)
            break;
        vector_touch(&v);
        batch_reset(b);
        seen += n;
        left -= n;
        if (i % 2 && left && pq_cursor_skip(c, left < step ? 1 : step * 2 < left ? step * 2 : left, NULL) != FZ_OK)
            break;
    }
    pq_cursor_close(c);
}

static bool keep_some(void *ctx, const pq_bounds *b, int64_t rows)
{
    if (b->known)
        sink += (uint64_t)datum_cmp(&b->min, &b->max);
    return rows & 1;
}

static void pages_prune(pq_file *p, io_file *f, uint32_t g, uint32_t leaf)
{
    arena a;
    pq_row_range *r;
    uint32_t n;
    uint64_t at = 0, rows = (uint64_t)pq_meta(p)->row_groups[g].num_rows;
    arena_init(&a, NULL);
    if (pq_prune_pages(p, f, g, leaf, keep_some, NULL, &a, &r, &n, NULL) == FZ_OK)
        for (uint32_t i = 0; i < n; at = r[i++].to)
            if (r[i].from < at || r[i].to <= r[i].from || r[i].to > rows)
                __builtin_trap();
    arena_free(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    mem_file f;
    mem_file_init(&f, data, size);
    pq_file *p;
    if (pq_open(&f.f, NULL, &p, NULL) != FZ_OK)
        return 0;
    static const uint32_t steps[] = {8192, 1000, 17, 1};
    batch b;
    batch_init(&b, NULL);
    uint32_t n_groups = pq_meta(p)->n_row_groups, n_leaves = pq_schema(p)->n;
    for (uint32_t g = 0; g < n_groups && g < 16; g++)
        for (uint32_t i = 0; i < n_leaves && i < 64; i++) {
            pages_prune(p, &f.f, g, i);
            column_read(p, &f.f, g, i, steps[(size + g + i) % 4], &b);
        }
    batch_free(&b);
    pq_close(p);
    return 0;
}
