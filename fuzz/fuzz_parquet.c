/*
 * fuzz_parquet: bytes as a Parquet file. Opens it and reads every column of every row group, nested ones as they are
 * and with members left out and turned round, in steps and with skips that the input's size chooses; touches
 * every value. parquet_mutate.h changes inputs so that they stay files.
 */
#include "../tests/format/mem_file.h"
#include "format/parquet/parquet.h"
#include "parquet_mutate.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static volatile uint64_t sink; /* so that reading the values isn't optimised away */

/* All that a vector's owner may look at: every value, every offset, every member. */
static void vector_touch(const vec *v)
{
    uint64_t sum = 0;
    if (type_is_nested(v->t)) {
        const uint32_t *off = v->data;
        for (uint32_t i = 0; i < v->len && v->enc == VEC_FLAT; i++)
            sum += v->valid && !bit_get(v->valid, i);
        if (v->enc == VEC_FLAT && v->t.id != T_STRUCT) {
            for (uint32_t i = 0; i < v->len; i++)
                if (off[i] > off[i + 1])
                    __builtin_trap();
            if (off[v->len] > v->kids[0].len)
                __builtin_trap();
        }
        for (uint32_t i = 0; v->kids && i < (v->t.id == T_STRUCT ? v->t.children->n : v->t.id == T_MAP ? 2 : 1); i++) {
            if (v->kids[i].len < v->len && v->t.id == T_STRUCT)
                __builtin_trap();
            vector_touch(&v->kids[i]);
        }
        sink += sum;
        return;
    }
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

/* A struct's members in the other order, the first left out, and one that isn't there. */
static type turned(type t, arena *a)
{
    if (t.id != T_STRUCT)
        return t;
    type_fields *f = arena_zalloc(a, sizeof *f + (t.children->n + 1) * sizeof f->f[0]);
    if (!f)
        return t;
    for (uint32_t i = t.children->n; i-- > 1;)
        f->f[f->n++] = t.children->f[i];
    f->f[f->n++] = (type_field){.name = STR("not there"), .field_id = -1, .t = TYPE(T_INT32)};
    t.children = f;
    return t;
}

static void column_read(pq_file *p, io_file *f, uint32_t g, uint32_t column, uint32_t step, mem *m, batch *b)
{
    pq_cursor *c;
    arena a;
    arena_init(&a, m);
    type own = pq_schema(p)->cols[column].t, as = step % 2 ? turned(own, &a) : own;
    static const pq_match by_name = {.by_name = true};
    if (pq_cursor_open(p, f, g, column, as, step % 2 ? &by_name : NULL, m, &c, NULL) != FZ_OK) {
        arena_free(&a);
        return;
    }
    step = step > pq_read_rows(p, g, column) ? pq_read_rows(p, g, column) : step;
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
    batch_reset(b); /* types in vectors are the arena's */
    arena_free(&a);
}

static void leaf_ask(pq_file *p, io_file *f, uint32_t g, uint32_t leaf)
{
    pq_bounds bounds;
    pq_column_bounds(p, g, leaf, &bounds);
    if (bounds.known)
        sink += (uint64_t)datum_cmp(&bounds.min, &bounds.max) + pq_bloom_may_contain(p, f, g, leaf, &bounds.min);
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
    mem m;
    mem_init(&m, NULL, NULL, 128 << 20);
    if (pq_open(&f.f, &m, &p, NULL) != FZ_OK)
        return 0;
    static const uint32_t steps[] = {8192, 1000, 17, 1};
    batch b;
    batch_init(&b, &m);
    uint32_t n_groups = pq_meta(p)->n_row_groups, n_columns = pq_schema(p)->n;
    for (uint32_t g = 0; g < n_groups && g < 16; g++) {
        for (uint32_t i = 0; i < pq_meta(p)->n_leaves && i < 64; i++) {
            pages_prune(p, &f.f, g, i);
            leaf_ask(p, &f.f, g, i);
        }
        for (uint32_t i = 0; i < n_columns && i < 64; i++)
            column_read(p, &f.f, g, i, steps[(size + g + i) % 4], &m, &b);
    }
    batch_free(&b);
    pq_close(p);
    return 0;
}
