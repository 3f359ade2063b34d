/* rows.c: see rows.h. */
#include "iceberg/deletes/rows.h"

#include "format/avro/avro_file.h"
#include "format/parquet/parquet.h"

struct delete_rows {
    mem *m;
    arena a;
    const char *path;
    uint32_t n;
    const column_def *want;
    io_file *f;
    /* Parquet */
    pq_file *p;
    const pq_match *how;
    int *column;
    pq_cursor **cur;
    uint32_t rg;
    uint64_t left;
    /* Avro */
    avro_file *av;
    avro_plan *plan;
    avro_rows *rows;
    const avro_run *runs;
    uint32_t n_runs, run;
    bool in_run;
};

static const pq_match pq_by_name = {.by_name = true};
static const avro_match avro_by_name = {.by_name = true};

static fz_status missing(const delete_rows *r, uint32_t i, fz_error *err)
{
    return error_set(err, FZ_DATA, "the delete file lacks the column \"" STR_FMT "\" (field id %d)", STR_ARG(r->want[i].name),
                     r->want[i].field_id);
}

static fz_status open_parquet(delete_rows *r, fz_error *err)
{
    TRY(pq_open(r->f, r->m, &r->p, err));
    bool ids = false;
    const pq_file_meta *meta = pq_meta(r->p);
    for (uint32_t i = 1; i < meta->n_schema; i++)
        ids = ids || meta->schema[i].field_id >= 0;
    r->how = ids ? NULL : &pq_by_name;
    r->column = ARENA_ARRAY(&r->a, int, r->n + 1);
    r->cur = ARENA_ARRAY(&r->a, pq_cursor *, r->n + 1);
    if (!r->column || !r->cur)
        return error_nomem(err);
    for (uint32_t i = 0; i < r->n; i++) {
        r->column[i] = ids ? pq_find_field(r->p, NULL, r->want[i].field_id) : pq_find_name(r->p, r->want[i].name);
        if (r->column[i] < 0)
            return missing(r, i, err);
    }
    return FZ_OK;
}

static fz_status open_avro(delete_rows *r, fz_error *err)
{
    TRY(avro_file_open(r->f, r->m, &r->av, err));
    bool ids = false;
    const row_schema *s = avro_file_schema(r->av);
    for (uint32_t i = 0; i < s->n; i++)
        ids = ids || s->cols[i].field_id >= 0;
    TRY(avro_plan_new(r->av, r->n, r->want, ids ? NULL : &avro_by_name, r->m, &r->plan, err));
    for (uint32_t i = 0; i < r->n; i++)
        if (!avro_plan_has(r->plan, i))
            return missing(r, i, err);
    TRY(avro_file_runs(r->av, r->f, &r->runs, &r->n_runs, err));
    return avro_rows_open(r->av, r->f, r->plan, r->m, &r->rows, err);
}

fz_status delete_rows_open(file_io *io, const ib_data_file *f, uint32_t n, const column_def *want, mem *m, delete_rows **out, fz_error *err)
{
    delete_rows *r = mem_zalloc(m, sizeof *r);
    if (!r)
        return error_nomem(err);
    r->m = m;
    r->n = n;
    r->want = want;
    arena_init(&r->a, m);
    fz_status st = FZ_OK;
    if (!(r->path = arena_strndup(&r->a, f->file_path.p, f->file_path.n))) {
        st = error_nomem(err);
        goto out;
    }
    TRY_GOTO(io_open(io, r->path, m, &r->f, err));
    st = str_eqz(f->file_format, "AVRO") ? open_avro(r, err) : open_parquet(r, err);
out:
    if (st) {
        if (r->path)
            error_where(err, r->path);
        delete_rows_close(r);
    } else {
        *out = r;
    }
    return st;
}

static void close_cursors(delete_rows *r)
{
    for (uint32_t i = 0; r->cur && i < r->n; i++) {
        pq_cursor_close(r->cur[i]);
        r->cur[i] = NULL;
    }
}

void delete_rows_close(delete_rows *r)
{
    if (!r)
        return;
    close_cursors(r);
    pq_close(r->p);
    avro_rows_close(r->rows);
    avro_plan_free(r->plan);
    avro_file_close(r->av);
    io_close(r->f);
    arena_free(&r->a);
    mem_free(r->m, r, sizeof *r);
}

const char *delete_rows_path(const delete_rows *r)
{
    return r->path;
}

static fz_status next_parquet(delete_rows *r, batch *out, bool *more, fz_error *err)
{
    const pq_file_meta *meta = pq_meta(r->p);
    while (r->left == 0) {
        close_cursors(r);
        *more = r->rg < meta->n_row_groups;
        if (!*more)
            return FZ_OK;
        r->left = (uint64_t)meta->row_groups[r->rg++].num_rows;
    }
    uint32_t n = r->left < BATCH_ROWS ? (uint32_t)r->left : BATCH_ROWS;
    TRY(batch_columns(out, r->n, err));
    for (uint32_t i = 0; i < r->n; i++) {
        if (!r->cur[i])
            TRY(pq_cursor_open(r->p, r->f, r->rg - 1, (uint32_t)r->column[i], r->want[i].t, r->how, r->m, &r->cur[i], err));
        TRY(pq_cursor_read(r->cur[i], n, NULL, n, &out->cols[i], out, err));
    }
    out->nrows = out->nsel = n;
    r->left -= n;
    *more = true;
    return FZ_OK;
}

static fz_status next_avro(delete_rows *r, batch *out, bool *more, fz_error *err)
{
    int64_t first;
    for (;;) {
        if (!r->in_run) {
            *more = r->run < r->n_runs;
            if (!*more)
                return FZ_OK;
            TRY(avro_rows_start(r->rows, &r->runs[r->run++], err));
            r->in_run = true;
        }
        TRY(avro_rows_next(r->rows, out, &first, &r->in_run, err));
        *more = true;
        if (r->in_run)
            return FZ_OK;
    }
}

fz_status delete_rows_next(delete_rows *r, batch *out, bool *more, fz_error *err)
{
    batch_reset(out);
    fz_status st = r->av ? next_avro(r, out, more, err) : next_parquet(r, out, more, err);
    if (st)
        error_where(err, r->path);
    return st;
}
