/*
 * cursor.c: one column of one row group, front to back: a chunk (chunk.c) for a flat one, several and a plan of how to
 * put them together (plan.c, assemble.c) for a nested one. All chunks of a cursor stand at the same row.
 */
#include "format/parquet/cursor_int.h"

#define ENTRIES_GOOD (1u << 20) /* list elements that a read should have about */

static fz_status column_refuse(const pq_file *p, const pq_node *x, fz_error *err)
{
    const pq_schema_element *e = p->meta.schema;
    if (x->refused_element == x->element)
        return error_set(err, FZ_UNSUPPORTED, "Parquet column \"" STR_FMT "\" can't be read: it is %s",
                         STR_ARG(e[x->element].name), x->refused);
    return error_set(err, FZ_UNSUPPORTED, "Parquet column \"" STR_FMT "\" can't be read: its member \"" STR_FMT "\" is %s",
                     STR_ARG(e[x->element].name), STR_ARG(e[x->refused_element].name), x->refused);
}

fz_status pq_cursor_open(pq_file *p, io_file *f, uint32_t row_group, uint32_t column, type as, const pq_match *how,
                         mem *m, pq_cursor **out, fz_error *err)
{
    *out = NULL;
    if (row_group >= p->meta.n_row_groups || column >= p->schema.n)
        return error_set(err, FZ_INVALID, "no such row group or column in the Parquet file");
    const pq_node *x = p->columns[column];
    fz_status st = FZ_OK;
    pq_cursor *c = NULL;
    if (x->refused)
        TRY_GOTO(column_refuse(p, x, err));
    c = mem_zalloc(m, sizeof *c);
    if (!c)
        return error_nomem(err);
    c->m = m;
    c->p = pq_ref(p);
    c->f = f;
    c->as = as;
    c->rows = (uint64_t)p->meta.row_groups[row_group].num_rows;
    TRY_GOTO(plan_make(c, f, row_group, x, how, err));
    *out = c;
    return FZ_OK;
out:
    error_where(err, f->path);
    pq_cursor_close(c);
    return st;
}

void pq_cursor_close(pq_cursor *c)
{
    if (!c)
        return;
    for (uint32_t i = 0; i < c->n_chunks; i++)
        chunk_close(c->chunks[i]);
    mem_free(c->m, c->chunks, c->cap_chunks * sizeof *c->chunks);
    mem_free(c->m, c->values, c->cap_chunks * sizeof *c->values);
    mem_free(c->m, c->nodes, c->cap_nodes * sizeof *c->nodes);
    pq_close(c->p);
    mem_free(c->m, c, sizeof *c);
}

void pq_cursor_inherit(pq_cursor *c, pq_cursor *from)
{
    for (uint32_t i = 0; from && i < c->n_chunks && i < from->n_chunks; i++)
        chunk_inherit(c->chunks[i], from->chunks[i]);
    pq_cursor_close(from);
}

uint64_t pq_cursor_left(const pq_cursor *c) { return c->rows - c->row; }

uint64_t pq_cursor_bytes(const pq_cursor *c)
{
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < c->n_chunks; i++)
        bytes += c->chunks[i]->pages.fetched;
    return bytes;
}

uint32_t pq_read_rows(const pq_file *p, uint32_t row_group, uint32_t column)
{
    const pq_row_group *g = &p->meta.row_groups[row_group];
    const pq_node *x = p->columns[column];
    uint64_t most = 1; /* entries of a row, on the average */
    for (uint32_t i = x->first_leaf; i < x->first_leaf + x->n_leaves && g->num_rows; i++) {
        uint64_t n = (uint64_t)g->columns[i].num_values / (uint64_t)g->num_rows;
        most = n > most ? n : most;
    }
    uint64_t rows = ENTRIES_GOOD / most;
    return rows > BATCH_ROWS ? BATCH_ROWS : rows ? (uint32_t)rows : 1;
}

static void cursor_pass(pq_cursor *c, uint64_t rows)
{
    for (uint32_t i = 0; i < c->n_chunks; i++)
        c->chunks[i]->pending += rows;
    c->row += rows;
}

fz_status pq_cursor_skip(pq_cursor *c, uint64_t rows, fz_error *err)
{
    if (rows > pq_cursor_left(c))
        return error_set(err, FZ_INVALID, "skip past the end of a Parquet row group");
    cursor_pass(c, rows);
    return FZ_OK;
}

static fz_status rows_read(pq_cursor *c, uint32_t rows, uint32_t first, uint32_t last, vec *v, batch *out, fz_error *err)
{
    fz_status st = FZ_OK;
    uint32_t i = 0;
    for (; i < c->n_chunks && st == FZ_OK; i++)
        st = chunk_read(c->chunks[i], rows, first, last, c->n_nodes == 1 ? v : &c->values[i], out, err);
    if (st == FZ_OK && c->n_nodes > 1)
        st = assemble(c, rows, v, out, err);
    if (st != FZ_OK)
        error_offset(err, (int64_t)c->chunks[i - 1]->page.at); /* unless a better one is known */
    return st;
}

fz_status pq_cursor_read(pq_cursor *c, uint32_t rows, const uint16_t *sel, uint32_t nsel, vec *v,
                         batch *out, fz_error *err)
{
    if (c->broken)
        return error_set(err, FZ_INVALID, "read from a Parquet column after a failure");
    if (rows > pq_cursor_left(c) || rows > BATCH_ROWS)
        return error_set(err, FZ_INVALID, "read past the end of a Parquet row group");
    uint32_t first = 0, last = rows;
    if (sel) {
        first = nsel ? sel[0] : rows;
        last = nsel ? sel[nsel - 1] + 1u : rows;
        if (last > rows)
            return error_set(err, FZ_INVALID, "selection past the end of a batch");
    }
    if (first == rows) { /* nothing counts */
        cursor_pass(c, rows);
        datum null = DATUM_NULL(c->as);
        return vec_const(v, &null, rows, &out->mem, err);
    }
    fz_status st = rows_read(c, rows, first, last, v, out, err);
    if (st != FZ_OK) {
        error_where(err, c->f->path);
        c->broken = true;
    }
    c->row += rows;
    return st;
}
