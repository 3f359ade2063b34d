/*
 * write.c: pq_writer: batches in, row groups out.
 *
 *   append ──> queue of items ──> columns, each at its own place in it ──> row groups ──> file
 *
 * An item is a part of a held batch that lies within one row group. The queue is a ring; each
 * column has passed some of it (column_state.next) and takes the next items in order, so a column
 * is encoded by one thread at a time while different columns go on at once. An item is let go
 * when all columns have passed it. The thread that brings the last column to the end of a row
 * group writes it; if another is writing already, that one goes on with it: row groups and, within
 * them, columns reach the file in order and no thread waits for another's writing.
 *
 * Who encodes. encode() takes the column that is furthest behind and nobody works on. It runs in
 * tasks of the job (made when there is work, gone when there is none, so that a job_wait doesn't
 * wait for more input), in append when the queue is full, and in finish. Without a job the
 * appending thread does all. A thread waits only where every column with work is being encoded by
 * another thread at that moment.
 *
 * Invariants, under `lock`
 *   head <= columns[i].next <= tail <= head + QUEUE
 *   a column with `busy` belongs to one thread, its column_writer is touched by that one only
 *   the first failure is kept in `error`; after that nothing is encoded or written
 *
 * Lifetime. Tasks may still be queued when the file is finished; each holds a reference to the
 * pq_writer, finds it closed and goes. What the writer used is freed at finish or abort.
 */
#include "base/fault.h"
#include "format/parquet/column_write_int.h"

#include <stdlib.h>

#ifndef FRAZIL_VERSION
#define FRAZIL_VERSION "0.1.0"
#endif

#define QUEUE      16 /* items */
#define GRAIN      4  /* items a column should have behind it before a task is made for it */
#define TASKS_MAX  64

typedef struct row_group {
    struct row_group *next;
    int64_t rows;
    chunk **chunks;
    uint32_t done;        /* columns that have ended their chunk */
    bool closed;          /* no more rows */
} row_group;

typedef struct held {
    batch b;
    uint32_t items;       /* that refer to it */
    bool used;
} held;

typedef struct item {
    held *h;              /* NULL: no rows, only the end of the group */
    row_group *g;
    uint32_t from, n, passed;
    bool ends;            /* the row group ends behind these rows */
} item;

typedef struct column_state {
    column_writer c;
    uint64_t next;
    bool busy;
} column_state;

/* What the footer and the indexes need of a row group that was written. */
typedef struct page_place { uint32_t size, rows; } page_place;
typedef struct written_chunk {
    page_place *pages;
    uint32_t n_pages;
    str index;            /* column index, serialised */
} written_chunk;
typedef struct written {
    pq_row_group meta;
    written_chunk *chunks;
} written;

struct pq_writer {
    mem *m;
    job *j;
    io_writer *io;
    pq_write_options o;
    arena a;              /* schema, key-value pairs, footer */
    uint32_t n_columns;
    file_schema schema;
    struct pq_kv *kv;
    uint32_t n_kv;
    pq_sorting_column *sorting;
    uint32_t n_sorting;
    column_state *cols;   /* one per leaf */

    pthread_mutex_t lock;
    pthread_cond_t change; /* a column became free or an item was let go */
    int refs, tasks, tasks_max;
    bool closed, writing, failed;
    uint64_t head, tail;
    item ring[QUEUE];
    held held[QUEUE];
    row_group *open, *first, *last; /* to be filled; to be written */
    column_scratch *scratch;
    fz_error error;

    /* the file; the writing thread's while `writing` */
    uint32_t n_groups, cap_groups;
    written *groups;
    int64_t rows;
    int64_t group_base;   /* done_bytes of all columns when the open group began; append's */
};

void pq_write_options_default(pq_write_options *o)
{
    *o = (pq_write_options){.row_group_bytes = 128 << 20, .row_group_rows = 1048576, .page_bytes = 1 << 20,
                            .page_rows = 20000, .dict_bytes = 2 << 20, .codec = -1, .codec_level = 0,
                            .bounds_truncate = 64, .page_version = 1, .split = PQ_SPLIT_FLOATS,
                            .bloom_max_bytes = 1 << 20};
}

/* ---- small things ---- */

static void keep_error(pq_writer *w, fz_status st, const fz_error *err)
{
    if (w->failed)
        return;
    w->failed = true;
    w->error = *err;
    w->error.status = st;
    pthread_cond_broadcast(&w->change);
}

static fz_status first_error(pq_writer *w, fz_error *err)
{
    if (err)
        *err = w->error;
    return w->error.status;
}

static column_scratch *scratch_take(pq_writer *w)
{
    column_scratch *s = w->scratch;
    if (s)
        w->scratch = s->next;
    return s;
}

static int64_t encoded_bytes(const pq_writer *w)
{
    int64_t n = 0;
    for (uint32_t i = 0; i < w->schema.n_leaves; i++)
        n += atomic_load_explicit(&w->cols[i].c.done_bytes, memory_order_relaxed) +
             atomic_load_explicit(&w->cols[i].c.staged_bytes, memory_order_relaxed);
    return n;
}

static void group_free(pq_writer *w, row_group *g)
{
    if (!g)
        return;
    for (uint32_t i = 0; g->chunks && i < w->schema.n_leaves; i++)
        chunk_free(g->chunks[i], w->m);
    mem_free(w->m, g->chunks, w->schema.n_leaves * sizeof *g->chunks);
    mem_free(w->m, g, sizeof *g);
}

/* ---- writing row groups ---- */

static fz_status write_chunk(pq_writer *w, chunk *k, fz_error *err)
{
    if (k->dict) {
        k->meta.dictionary_page_offset = (int64_t)w->io->pos;
        TRY(io_write(w->io, k->dict->data, k->dict->size, err));
    }
    k->meta.data_page_offset = (int64_t)w->io->pos;
    for (page_blob *p = k->first; p; p = p->next)
        TRY(io_write(w->io, p->data, p->size, err));
    return FZ_OK;
}

/* What the footer needs of a chunk outlives it in the writer's arena. */
static fz_status keep_chunk(pq_writer *w, chunk *k, pq_column_chunk *meta, written_chunk *out, fz_error *err)
{
    *meta = k->meta;
    pq_statistics *st = &meta->stats;
    if (st->has_min && !(st->min.p = arena_strndup(&w->a, st->min.p, st->min.n)))
        return error_nomem(err);
    if (st->has_max && !(st->max.p = arena_strndup(&w->a, st->max.p, st->max.n)))
        return error_nomem(err);
    out->pages = ARENA_ARRAY(&w->a, page_place, k->n_pages);
    if (!out->pages)
        return error_nomem(err);
    out->n_pages = k->n_pages;
    for (uint32_t i = 0; i < k->n_pages; i++)
        out->pages[i] = (page_place){k->pages[i].size, k->pages[i].rows};
    out->index = (str){arena_strndup(&w->a, k->column_index.p ? k->column_index.p : "", k->column_index.n),
                       k->column_index.n};
    return out->index.p ? FZ_OK : error_nomem(err);
}

/* Behind the row group, so that filters needn't be held until the file ends. */
static fz_status write_bloom(pq_writer *w, const chunk *k, pq_column_chunk *meta, fz_error *err)
{
    sbuf b;
    if (!k->bloom)
        return FZ_OK;
    sbuf_init(&b, w->m);
    pq_write_bloom_header(&b, (int32_t)k->bloom_n);
    meta->bloom_offset = (int64_t)w->io->pos;
    meta->bloom_length = (int32_t)(b.n + k->bloom_n);
    fz_status st = b.failed ? error_nomem(err) : io_write(w->io, b.p, b.n, err);
    sbuf_free(&b);
    return st ? st : io_write(w->io, k->bloom, k->bloom_n, err);
}

static fz_status write_group(pq_writer *w, row_group *g, fz_error *err)
{
    if (w->n_groups == w->cap_groups) {
        uint32_t cap = w->cap_groups ? w->cap_groups * 2 : 8;
        written *p = mem_resize(w->m, w->groups, w->cap_groups * sizeof *p, cap * sizeof *p);
        if (!p)
            return error_nomem(err);
        w->groups = p;
        w->cap_groups = cap;
    }
    written *out = &w->groups[w->n_groups];
    *out = (written){.meta = {.num_rows = g->rows, .first_row = w->rows, .file_offset = (int64_t)w->io->pos}};
    out->meta.columns = ARENA_ARRAY(&w->a, pq_column_chunk, w->schema.n_leaves);
    out->chunks = ARENA_ARRAY(&w->a, written_chunk, w->schema.n_leaves);
    if (!out->meta.columns || !out->chunks)
        return error_nomem(err);
    for (uint32_t i = 0; i < w->schema.n_leaves; i++) {
        chunk *k = g->chunks[i];
        TRY(write_chunk(w, k, err));
        k->meta.path = w->schema.leaves[i].path;
        k->meta.n_path = w->schema.leaves[i].n_path;
        TRY(keep_chunk(w, k, &out->meta.columns[i], &out->chunks[i], err));
        out->meta.total_byte_size += k->meta.total_uncompressed_size;
        out->meta.total_compressed_size += k->meta.total_compressed_size;
        if (!k->bloom) {
            chunk_free(k, w->m);
            g->chunks[i] = NULL;
        }
    }
    for (uint32_t i = 0; i < w->schema.n_leaves; i++)
        if (g->chunks[i])
            TRY(write_bloom(w, g->chunks[i], &out->meta.columns[i], err));
    out->meta.sorting = w->sorting;
    out->meta.n_sorting = w->n_sorting;
    w->rows += g->rows;
    w->n_groups++;
    return FZ_OK;
}

/* Writes row groups that are complete. Entered and left with the lock. */
static void write_ready(pq_writer *w)
{
    if (w->writing)
        return;
    w->writing = true;
    while (!w->failed && w->first && w->first->closed && w->first->done == w->schema.n_leaves) {
        row_group *g = w->first;
        w->first = g->next;
        if (!w->first)
            w->last = NULL;
        pthread_mutex_unlock(&w->lock);
        fz_error e;
        fz_status st = write_group(w, g, &e);
        group_free(w, g);
        pthread_mutex_lock(&w->lock);
        if (st != FZ_OK)
            keep_error(w, st, &e);
    }
    w->writing = false;
    pthread_cond_broadcast(&w->change);
}

/* ---- encoding ---- */

/* The column that is furthest behind and nobody works on; with at least `grain` items to do. */
static column_state *pick(pq_writer *w, uint64_t grain)
{
    column_state *best = NULL;
    for (uint32_t i = 0; i < w->schema.n_leaves; i++) {
        column_state *c = &w->cols[i];
        if (!c->busy && w->tail - c->next >= grain && (!best || c->next < best->next))
            best = c;
    }
    return best;
}

static void let_go(pq_writer *w, item *it)
{
    held *h = it->h;
    if (h && --h->items == 0) {
        batch_reset(&h->b);
        h->used = false;
    }
    it->h = NULL;
}

static fz_status encode_item(pq_writer *w, uint32_t col, column_scratch *s, const item *it, fz_error *err)
{
    column_writer *c = &w->cols[col].c;
    if (it->n)
        TRY(column_add(c, s, &it->h->b.cols[c->leaf->column], it->h->b.sel, it->from, it->n, err));
    if (it->ends)
        TRY(column_end_chunk(c, s, &it->g->chunks[col], err));
    return FZ_OK;
}

/* Encodes what waits for column c, up to the end of a row group that it is the last one to reach.
 * Entered and left with the lock. */
static void run_column(pq_writer *w, column_state *c, column_scratch *s)
{
    c->busy = true;
    while (c->next < w->tail && !w->failed) {
        item *it = &w->ring[c->next % QUEUE];
        pthread_mutex_unlock(&w->lock);
        fz_error e;
        fz_status st = encode_item(w, (uint32_t)(c - w->cols), s, it, &e);
        pthread_mutex_lock(&w->lock);
        if (st != FZ_OK) {
            keep_error(w, st, &e);
            break;
        }
        bool ended = it->ends && ++it->g->done == w->schema.n_leaves;
        c->next++;
        if (++it->passed == w->schema.n_leaves) {
            let_go(w, it);
            w->head++;
            pthread_cond_broadcast(&w->change);
        }
        if (ended)
            break;
    }
    c->busy = false;
    pthread_cond_broadcast(&w->change);
    write_ready(w); /* another thread may go on with the column meanwhile */
}

/* One column's work; false if there was none. Entered and left with the lock. */
static bool encode(pq_writer *w, uint64_t grain)
{
    column_state *c = w->failed ? NULL : pick(w, grain);
    if (!c)
        return false;
    c->busy = true;
    column_scratch *s = scratch_take(w);
    if (!s) {
        pthread_mutex_unlock(&w->lock);
        s = scratch_new(w->m);
        pthread_mutex_lock(&w->lock);
    }
    if (s) {
        run_column(w, c, s);
        s->next = w->scratch;
        w->scratch = s;
    } else {
        fz_error e;
        c->busy = false;
        keep_error(w, error_nomem(&e), &e);
    }
    return true;
}

/* ---- tasks ---- */

typedef struct encoder {
    task t; /* first, so that the task is the encoder */
    pq_writer *w;
    mem *m;
} encoder;

static void unref(pq_writer *w) /* with the lock; releases it */
{
    bool last = --w->refs == 0;
    pthread_mutex_unlock(&w->lock);
    if (!last)
        return;
    pthread_mutex_destroy(&w->lock);
    pthread_cond_destroy(&w->change);
    mem_free(w->m, w, sizeof *w);
}

static void encoder_end(encoder *e) /* with the lock */
{
    mem *m = e->m;
    e->w->tasks--;
    unref(e->w);
    mem_free(m, e, sizeof *e);
}

static task_result encoder_step(task *t)
{
    encoder *e = (encoder *)t;
    pthread_mutex_lock(&e->w->lock);
    if (!e->w->closed && encode(e->w, GRAIN)) {
        pthread_mutex_unlock(&e->w->lock);
        return TASK_YIELD;
    }
    encoder_end(e);
    return TASK_DONE;
}

static void encoder_drop(task *t)
{
    encoder *e = (encoder *)t;
    pthread_mutex_lock(&e->w->lock);
    encoder_end(e);
}

/* As many tasks as columns wait for one and the pool can run. Entered and left with the lock. */
static void call_tasks(pq_writer *w)
{
    int waiting = 0;
    for (uint32_t i = 0; i < w->schema.n_leaves; i++)
        waiting += !w->cols[i].busy && w->tail - w->cols[i].next >= GRAIN;
    while (w->tasks < w->tasks_max && w->tasks < waiting) {
        encoder *e = mem_zalloc(w->m, sizeof *e);
        if (!e)
            return; /* append will do the work itself */
        *e = (encoder){.t = {.step = encoder_step, .drop = encoder_drop}, .w = w, .m = w->m};
        w->tasks++;
        w->refs++;
        pthread_mutex_unlock(&w->lock);
        task_submit(w->j, &e->t);
        pthread_mutex_lock(&w->lock);
    }
}

/* ---- opening ---- */

static fz_status copy_type(type *t, arena *a, unsigned depth, fz_error *err);

static fz_status copy_name(str *s, arena *a, fz_error *err)
{
    s->p = arena_strndup(a, s->p, s->n);
    return s->p ? FZ_OK : error_nomem(err);
}

static fz_status copy_fields(const type_fields *in, arena *a, unsigned depth, const type_fields **out, fz_error *err)
{
    type_fields *f = arena_alloc(a, sizeof *f + in->n * sizeof f->f[0]);
    if (!f)
        return error_nomem(err);
    f->n = in->n;
    for (uint32_t i = 0; i < in->n; i++) {
        f->f[i] = in->f[i];
        f->f[i].doc = STR("");
        TRY(copy_name(&f->f[i].name, a, err));
        TRY(copy_type(&f->f[i].t, a, depth + 1, err));
    }
    *out = f;
    return FZ_OK;
}

/* Depth is bounded; what is deeper is refused when the file's schema is made. */
static fz_status copy_type(type *t, arena *a, unsigned depth, fz_error *err)
{
    if (!type_is_nested(*t) || !t->children || depth > TYPE_DEPTH_MAX)
        return FZ_OK;
    return copy_fields(t->children, a, depth, &t->children, err);
}

static fz_status copy_schema(pq_writer *w, const row_schema *in, const struct pq_kv *kv, uint32_t n_kv, fz_error *err)
{
    row_schema rows = {in->n, ARENA_ARRAY(&w->a, column_def, in->n)};
    w->n_columns = in->n;
    w->kv = ARENA_ARRAY(&w->a, struct pq_kv, n_kv);
    w->n_kv = n_kv;
    if (!rows.cols || !w->kv)
        return error_nomem(err);
    for (uint32_t i = 0; i < in->n; i++) {
        rows.cols[i] = in->cols[i];
        TRY(copy_name(&rows.cols[i].name, &w->a, err));
        TRY(copy_type(&rows.cols[i].t, &w->a, 0, err));
    }
    for (uint32_t i = 0; i < n_kv; i++) {
        w->kv[i] = (struct pq_kv){{arena_strndup(&w->a, kv[i].key.p, kv[i].key.n), kv[i].key.n},
                                  {arena_strndup(&w->a, kv[i].value.p, kv[i].value.n), kv[i].value.n}};
        if (!w->kv[i].key.p || !w->kv[i].value.p)
            return error_nomem(err);
    }
    return file_schema_make(&w->schema, &rows, &w->a, w->m, err);
}

static fz_status check_options(const pq_write_options *o, fz_error *err)
{
    if (o->row_group_bytes < 1 || o->row_group_rows < 1 || o->page_bytes < 1 || o->page_rows < 1 ||
        o->dict_bytes < 0 || o->bounds_truncate < 1)
        return error_set(err, FZ_INVALID, "a size or limit for writing Parquet is not positive");
    if (o->bloom_max_bytes < 1)
        return error_set(err, FZ_INVALID, "the largest size of a Bloom filter is not positive");
    for (uint32_t i = 0; i < o->n_leaves; i++)
        if (!(o->leaves[i].bloom_fpp >= 0 && o->leaves[i].bloom_fpp < 1))
            return error_set(err, FZ_INVALID, "the chance of a Bloom filter's false answer is not between 0 and 1");
    int least, most, level = o->codec_level;
    codec_id codec = o->codec < 0 ? CODEC_ZSTD : o->codec <= PQ_LZ4_RAW && o->codec != PQ_LZO ? codec_of((pq_codec)o->codec) : CODEC_NONE;
    if (level && codec_levels(codec, &least, &most) && (level < least || level > most))
        return error_set(err, FZ_INVALID, "compression level %d: %s has levels %d to %d", level, codec_name(codec), least, most);
    if (o->page_version != 1 && o->page_version != 2)
        return error_set(err, FZ_INVALID, "Parquet data pages have version 1 or 2, not %d", o->page_version);
    if (o->codec < -1 || o->codec > PQ_LZ4_RAW || o->codec == PQ_LZO)
        return error_set(err, FZ_UNSUPPORTED, "Parquet compression codec %d can't be written", o->codec);
    return FZ_OK;
}

/* Keys up to the first that no column has: what follows it orders nothing by itself. */
static fz_status find_sorting(pq_writer *w, fz_error *err)
{
    if (!(w->sorting = ARENA_ARRAY(&w->a, pq_sorting_column, w->o.n_sorted)))
        return error_nomem(err);
    for (uint32_t k = 0; k < w->o.n_sorted; k++) {
        const pq_sort_key *key = &w->o.sorted[k];
        uint32_t i = 0;
        while (i < w->schema.n_leaves && (w->schema.leaves[i].field_id != key->field_id || w->schema.leaves[i].max_rep))
            i++;
        if (i == w->schema.n_leaves)
            break;
        w->sorting[w->n_sorting++] = (pq_sorting_column){(int32_t)i, key->descending, key->nulls_first};
    }
    return FZ_OK;
}

/* Frees all but the structure itself, which queued tasks may still look at. */
static void dispose(pq_writer *w)
{
    for (int i = 0; i < QUEUE; i++)
        batch_free(&w->held[i].b);
    for (row_group *g = w->first, *next; g; g = next) {
        next = g->next;
        group_free(w, g);
    }
    for (uint32_t i = 0; w->cols && i < w->schema.n_leaves; i++)
        column_free(&w->cols[i].c);
    mem_free(w->m, w->cols, w->schema.n_leaves * sizeof *w->cols);
    for (column_scratch *s = w->scratch, *next; s; s = next) {
        next = s->next;
        scratch_free(s, w->m);
    }
    mem_free(w->m, w->groups, w->cap_groups * sizeof *w->groups);
    arena_free(&w->a);
    w->cols = NULL;
    w->scratch = NULL;
    w->first = w->last = w->open = NULL;
    w->groups = NULL;
}

fz_status pq_writer_open(io_writer *io, const row_schema *schema, const pq_write_options *o,
                         const struct pq_kv *kv, uint32_t n_kv, job *j, mem *m, pq_writer **out,
                         fz_error *err)
{
    fz_status st = check_options(o, err);
    pq_writer *w = NULL;
    if (st == FZ_OK && schema->n == 0)
        st = error_set(err, FZ_INVALID, "a Parquet file needs at least one column");
    if (st != FZ_OK || !(w = mem_zalloc(m, sizeof *w))) {
        io_writer_abort(io);
        return st != FZ_OK ? st : error_nomem(err);
    }
    w->m = m;
    w->j = j;
    w->o = *o;
    w->refs = 1;
    w->tasks_max = j ? pool_width(j->p) : 0;
    w->tasks_max = w->tasks_max < TASKS_MAX ? w->tasks_max : TASKS_MAX;
    arena_init(&w->a, m);
    for (int i = 0; i < QUEUE; i++)
        batch_init(&w->held[i].b, m);
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->change, NULL);
    w->io = io;
    TRY_GOTO(copy_schema(w, schema, kv, n_kv, err));
    TRY_GOTO(find_sorting(w, err));
    if (!(w->cols = mem_zalloc(m, w->schema.n_leaves * sizeof *w->cols))) {
        st = error_nomem(err);
        goto out;
    }
    for (uint32_t i = 0; i < w->schema.n_leaves; i++) {
        const file_leaf *l = &w->schema.leaves[i];
        column_open(&w->cols[i].c, l, &w->schema.elements[l->element], &w->o, m);
    }
    TRY_GOTO(io_write(w->io, "PAR1", 4, err));
    *out = w;
    return FZ_OK;
out:
    pq_writer_abort(w);
    return st;
}

/* ---- appending ---- */

static fz_status open_group(pq_writer *w, fz_error *err)
{
    row_group *g = mem_zalloc(w->m, sizeof *g);
    if (!g || !(g->chunks = mem_zalloc(w->m, w->schema.n_leaves * sizeof *g->chunks))) {
        mem_free(w->m, g, sizeof *g);
        return error_nomem(err);
    }
    w->open = g;
    w->group_base = encoded_bytes(w);
    if (w->last)
        w->last->next = g;
    else
        w->first = g;
    w->last = g;
    return FZ_OK;
}

/* Room for one item: encodes here where the queue is full. With the lock. */
static fz_status make_room(pq_writer *w, fz_error *err)
{
    while (w->tail - w->head == QUEUE && !w->failed) {
        if (w->j && job_stopped(w->j))
            return error_set(err, FZ_CANCELLED, "cancelled");
        if (!encode(w, 1))
            pthread_cond_wait(&w->change, &w->lock);
    }
    return w->failed ? first_error(w, err) : FZ_OK;
}

static held *held_free(pq_writer *w)
{
    for (int i = 0; i < QUEUE; i++)
        if (!w->held[i].used)
            return &w->held[i];
    return NULL; /* not with room in the queue: a held batch has an item there */
}

static void push(pq_writer *w, held *h, uint32_t from, uint32_t n, bool ends)
{
    row_group *g = w->open;
    w->ring[w->tail % QUEUE] = (item){.h = h, .g = g, .from = from, .n = n, .ends = ends};
    w->tail++;
    g->rows += n;
    if (h)
        h->items++;
    if (ends) {
        g->closed = true;
        w->open = NULL;
    }
}

/* The batch part by part, cut where row groups end. With the lock. */
static fz_status push_batch(pq_writer *w, held *h, fz_error *err)
{
    uint32_t n = h->b.sel ? h->b.nsel : h->b.nrows, from = 0;
    while (from < n) {
        TRY(make_room(w, err));
        if (w->open && w->open->rows && encoded_bytes(w) - w->group_base >= w->o.row_group_bytes) {
            push(w, NULL, 0, 0, true);
            continue;
        }
        if (!w->open)
            TRY(open_group(w, err));
        int64_t left = w->o.row_group_rows - w->open->rows;
        uint32_t k = n - from < left ? n - from : (uint32_t)left;
        push(w, h, from, k, k == left);
        from += k;
    }
    return FZ_OK;
}

fz_status pq_writer_append(pq_writer *w, const batch *b, fz_error *err)
{
    if ((b->sel ? b->nsel : b->nrows) == 0)
        return FZ_OK;
    if (b->ncols != w->n_columns)
        return error_set(err, FZ_INTERNAL, "a batch of %u columns for a file of %u", (unsigned)b->ncols,
                         (unsigned)w->n_columns);
    pthread_mutex_lock(&w->lock);
    fz_status st = make_room(w, err);
    held *h = st == FZ_OK ? held_free(w) : NULL;
    if (h) {
        h->used = true;
        h->items = 1; /* ours, so that no column lets it go before all its items are queued */
        pthread_mutex_unlock(&w->lock);
        st = batch_hold(&h->b, b, err);
        pthread_mutex_lock(&w->lock);
        if (st == FZ_OK)
            st = push_batch(w, h, err);
        if (--h->items == 0) {
            batch_reset(&h->b);
            h->used = false;
        }
    } else if (st == FZ_OK) {
        st = error_set(err, FZ_INTERNAL, "no place for a batch");
    }
    if (st == FZ_OK && !w->j)
        while (encode(w, GRAIN))
            ;
    call_tasks(w);
    pthread_mutex_unlock(&w->lock);
    return st;
}

uint64_t pq_writer_size(const pq_writer *w)
{
    return (uint64_t)encoded_bytes(w) + 4;
}

/* ---- finishing ---- */

/* Ends the row group and brings everything to the file. */
static fz_status drain(pq_writer *w, fz_error *err)
{
    pthread_mutex_lock(&w->lock);
    fz_status st = make_room(w, err);
    if (st == FZ_OK && w->open)
        push(w, NULL, 0, 0, true);
    while (st == FZ_OK && (w->head < w->tail || w->first || w->writing) && !w->failed) {
        if (w->j && job_stopped(w->j))
            st = error_set(err, FZ_CANCELLED, "cancelled");
        else if (!encode(w, 1))
            pthread_cond_wait(&w->change, &w->lock);
    }
    if (st == FZ_OK && w->failed)
        st = first_error(w, err);
    pthread_mutex_unlock(&w->lock);
    return st;
}

static fz_status write_indexes(pq_writer *w, fz_error *err)
{
    fz_status st = FZ_OK;
    sbuf b;
    arena a;
    arena_init(&a, w->m);
    sbuf_init(&b, w->m);
    for (uint32_t g = 0; g < w->n_groups; g++)
        for (uint32_t i = 0; i < w->schema.n_leaves; i++) {
            pq_column_chunk *k = &w->groups[g].meta.columns[i];
            str x = w->groups[g].chunks[i].index;
            if (!x.n)
                continue;
            k->column_index_offset = (int64_t)w->io->pos;
            k->column_index_length = (int32_t)x.n;
            TRY_GOTO(io_write(w->io, x.p, x.n, err));
        }
    for (uint32_t g = 0; g < w->n_groups; g++)
        for (uint32_t i = 0; i < w->schema.n_leaves; i++) {
            pq_column_chunk *k = &w->groups[g].meta.columns[i];
            const written_chunk *c = &w->groups[g].chunks[i];
            arena_reset(&a);
            sbuf_clear(&b);
            pq_offset_index x = {c->n_pages, ARENA_ARRAY(&a, pq_page_location, c->n_pages)};
            int64_t at = k->data_page_offset, row = 0;
            for (uint32_t p = 0; x.pages && p < c->n_pages; p++) {
                x.pages[p] = (pq_page_location){at, (int32_t)c->pages[p].size, row};
                at += c->pages[p].size;
                row += c->pages[p].rows;
            }
            if (x.pages)
                pq_write_offset_index(&b, &x);
            if (!x.pages || b.failed) {
                st = error_nomem(err);
                goto out;
            }
            k->offset_index_offset = (int64_t)w->io->pos;
            k->offset_index_length = (int32_t)b.n;
            TRY_GOTO(io_write(w->io, b.p, b.n, err));
        }
out:
    sbuf_free(&b);
    arena_free(&a);
    return st;
}

static fz_status write_footer(pq_writer *w, fz_error *err)
{
    uint32_t n = w->schema.n_leaves;
    pq_file_meta m = {.version = 2, .num_rows = w->rows, .schema = w->schema.elements, .n_schema = w->schema.n,
                      .n_leaves = n,
                      .n_row_groups = w->n_groups, .created_by = STR("frazil version " FRAZIL_VERSION " (build 0)"),
                      .n_kv = w->n_kv, .kv = w->kv};
    m.leaf_element = ARENA_ARRAY(&w->a, uint32_t, n);
    m.row_groups = ARENA_ARRAY(&w->a, pq_row_group, w->n_groups);
    if (!m.leaf_element || !m.row_groups)
        return error_nomem(err);
    for (uint32_t i = 0; i < n; i++)
        m.leaf_element[i] = w->schema.leaves[i].element;
    for (uint32_t i = 0; i < w->n_groups; i++)
        m.row_groups[i] = w->groups[i].meta;
    TRY(fault_point("parquet.write.footer", err));
    sbuf b;
    sbuf_init(&b, w->m);
    pq_write_footer(&b, &m);
    uint32_t len = (uint32_t)b.n;
    char tail[8] = {(char)len, (char)(len >> 8), (char)(len >> 16), (char)(len >> 24), 'P', 'A', 'R', '1'};
    sbuf_add(&b, tail, sizeof tail);
    fz_status st = b.failed ? error_nomem(err)
                   : b.n > INT32_MAX ? error_set(err, FZ_LIMIT, "a Parquet footer of %zu bytes", b.n)
                                     : io_write(w->io, b.p, b.n, err);
    sbuf_free(&b);
    return st;
}

/* A text bound for Iceberg: as it is, or cut at BOUND_MAX with the maximum rounded up. */
static fz_status text_datum(const column_writer *c, const text_bound *t, bool max, arena *a, datum *d, bool *exact,
                            bool *any, fz_error *err)
{
    size_t n = t->cut ? text_cut(t->p, t->n, BOUND_MAX - 4, c->utf8) : t->n;
    char *p = arena_strndup(a, (const char *)t->p, n);
    if (!p)
        return error_nomem(err);
    *exact = !t->cut;
    *any = !t->cut || !max || text_round_up((uint8_t *)p, &n, c->utf8);
    if (type_phys(c->t) == PHYS_I128) {
        u128 v = n && (p[0] & 0x80) ? ~(u128)0 : 0;
        for (size_t i = 0; i < n; i++)
            v = v << 8 | (uint8_t)p[i];
        d->i128v = (i128)v;
    } else {
        d->s = (str){p, n};
    }
    return FZ_OK;
}

static void number_datum(const column_writer *c, bool max, datum *d)
{
    int64_t i = max ? c->b.imax : c->b.imin;
    double f = max ? c->b.fmax : c->b.fmin;
    switch (c->ph) {
    case PHYS_U8: d->b = i != 0; break;
    case PHYS_I32: d->i32 = (int32_t)i; break;
    case PHYS_F32: d->f32 = (float)f; break;
    case PHYS_F64: d->f64 = f; break;
    default: d->i64 = i;
    }
}

static fz_status fill_result(pq_writer *w, arena *a, pq_write_result *res, fz_error *err)
{
    *res = (pq_write_result){.rows = w->rows, .file_size = w->io->pos, .ncols = w->schema.n_leaves, .n_splits = w->n_groups};
    res->cols = ARENA_ARRAY(a, pq_column_metrics, w->schema.n_leaves);
    res->split_offsets = ARENA_ARRAY(a, int64_t, w->n_groups);
    if (!res->cols || !res->split_offsets)
        return error_nomem(err);
    for (uint32_t i = 0; i < w->n_groups; i++)
        res->split_offsets[i] = w->groups[i].meta.file_offset;
    for (uint32_t i = 0; i < w->schema.n_leaves; i++) {
        const column_writer *c = &w->cols[i].c;
        pq_column_metrics *r = &res->cols[i];
        *r = (pq_column_metrics){.field_id = c->leaf->field_id, .column = c->leaf->column, .path = c->leaf->name,
                                 .repeated = c->max_rep > 0, .size_bytes = c->size_bytes, .value_count = c->value_count,
                                 .null_count = c->null_count, .min_exact = true, .max_exact = true};
        r->nan_count = c->kind == BOUND_FLOAT ? c->nan_count : -1;
        r->min = r->max = (datum){.t = c->t};
        if (!(r->path.p = arena_strndup(a, r->path.p, r->path.n)))
            return error_nomem(err);
        r->has_bounds = c->b.any;
        if (!c->b.any)
            continue;
        bool any_min = true, any_max = true;
        if (c->bytes) {
            TRY(text_datum(c, &c->b.tmin, false, a, &r->min, &r->min_exact, &any_min, err));
            TRY(text_datum(c, &c->b.tmax, true, a, &r->max, &r->max_exact, &any_max, err));
            r->has_bounds = any_min && any_max;
        } else {
            number_datum(c, false, &r->min);
            number_datum(c, true, &r->max);
        }
    }
    return FZ_OK;
}

/* No thread works for the writer any more when this returns, and none will. */
static void close_writer(pq_writer *w)
{
    pthread_mutex_lock(&w->lock);
    w->closed = true;
    fz_error e;
    if (!w->failed)
        keep_error(w, error_set(&e, FZ_CANCELLED, "the file is closed"), &e);
    for (uint32_t i = 0; w->cols && i < w->schema.n_leaves; i++)
        while (w->cols[i].busy)
            pthread_cond_wait(&w->change, &w->lock);
    while (w->writing)
        pthread_cond_wait(&w->change, &w->lock);
    pthread_mutex_unlock(&w->lock);
}

fz_status pq_writer_finish(pq_writer *w, arena *a, pq_write_result *res, fz_error *err)
{
    fz_status st = drain(w, err);
    if (st == FZ_OK)
        st = write_indexes(w, err);
    if (st == FZ_OK)
        st = write_footer(w, err);
    if (st == FZ_OK)
        st = fill_result(w, a, res, err);
    if (st != FZ_OK) {
        pq_writer_abort(w);
        return st;
    }
    close_writer(w);
    io_writer *io = w->io;
    w->io = NULL;
    dispose(w);
    pthread_mutex_lock(&w->lock);
    unref(w);
    return io_writer_finish(io, err);
}

void pq_writer_abort(pq_writer *w)
{
    if (!w)
        return;
    close_writer(w);
    io_writer_abort(w->io);
    w->io = NULL;
    dispose(w);
    pthread_mutex_lock(&w->lock);
    unref(w);
}
