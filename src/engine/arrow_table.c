/*
 * arrow_table.c: see arrow_table.h.
 *
 * A stream belongs to one thread at a time, and can be read once. So get_next is called under a lock, by whichever worker
 * finds the current chunk used up; a table that is opened a second time is refused. What get_next gives is a chunk, shared by
 * reference count: workers take pieces of it (morsels), and each piece is imported by its worker, without copying where the
 * layouts agree (arrow/bridge.h), with the wanted columns alone. A batch keeps its chunk until the batch goes; the producer's
 * release is called by whoever lets go last, from any thread, as the interface allows.
 *
 *   stream ── get_next, locked ──> chunk ── take, locked ──> morsel ── import, side by side ──> batches
 *
 * A dictionary is imported as a whole with each piece: where a schema has any, pieces are imported by the morsel and sliced
 * into batches, and a morsel has several times as many rows as the chunk's longest dictionary.
 *
 * The first chunks are read when the table is made, up to PEEK_ROWS: a stream that ends there is small, its row count is known,
 * and one worker is enough.
 */
#include "engine/arrow_table.h"

#include "arrow/bridge.h"

#include <errno.h>

#define PEEK_ROWS   65536
#define MORSEL_ROWS (16 * BATCH_ROWS)

typedef struct chunk {
    struct chunk *next;
    _Atomic int refs;
    struct ArrowArray a;
    mem *m;
} chunk;

typedef struct arrow_table {
    table_source base;
    arena a;
    mem *m;
    struct ArrowArrayStream in;
    struct ArrowSchema schema;
    bool dictionaries;
    bool opened;              /* its rows went to a scan */
    bool ended;               /* the stream has no more */
    chunk *first, *last;      /* read ahead */
    int64_t rows;             /* in them */
} arrow_table;

typedef struct arrow_scan {
    scan base;
    arrow_table *t;
    mem *m;
    job *j;
    uint32_t ncols;
    uint32_t *cols;
    row_schema types;         /* of the wanted columns */
    struct ArrowSchema schema; /* the table's with the wanted columns alone; borrows them */
    pthread_mutex_t lock;     /* guards what follows, and the table's stream and chunks */
    chunk *current;
    int64_t at;               /* the current chunk's rows that were handed out */
    uint64_t morsels;
} arrow_scan;

typedef struct local {
    arrow_scan *s;
    chunk *c;                 /* the morsel: rows [at, end) of this chunk; NULL: none */
    int64_t at, end;
    uint64_t morsel;
    uint32_t seq;
    batch piece;              /* imported rows to slice, where there are dictionaries */
    uint32_t done;            /* of them */
} local;

/* ---- chunks ---- */

static void chunk_unref(chunk *c)
{
    if (!c || atomic_fetch_sub(&c->refs, 1) != 1)
        return;
    if (c->a.release)
        c->a.release(&c->a);
    mem_free(c->m, c, sizeof *c);
}

static fz_status producer_failed(arrow_table *t, int code, fz_error *err)
{
    const char *why = t->in.get_last_error ? t->in.get_last_error(&t->in) : NULL;
    fz_status st = code == ENOMEM ? FZ_NOMEM : code == ECANCELED ? FZ_CANCELLED : code == ENOTSUP || code == ENOSYS ? FZ_UNSUPPORTED
                   : code == EIO  ? FZ_IO
                                  : FZ_INVALID;
    return error_set(err, st, "the producer of " STR_FMT " failed: %s", STR_ARG(t->base.name), why && *why ? why : strerror(code));
}

/* The next rows of the stream, one reference; NULL: there are none. */
static fz_status chunk_read(arrow_table *t, chunk **out, fz_error *err)
{
    *out = NULL;
    while (!t->ended) {
        chunk *c = mem_zalloc(t->m, sizeof *c);
        if (!c)
            return error_nomem(err);
        int code = t->in.get_next(&t->in, &c->a);
        if (code || !c->a.release || c->a.length <= 0) {
            bool empty = !code && c->a.release && c->a.length == 0, wrong = !code && c->a.release && c->a.length < 0;
            if (!code && c->a.release)
                c->a.release(&c->a);
            mem_free(t->m, c, sizeof *c);
            if (empty)
                continue;
            t->ended = true;
            if (code)
                return producer_failed(t, code, err);
            return wrong ? error_set(err, FZ_DATA, STR_FMT ": an Arrow array of negative length", STR_ARG(t->base.name)) : FZ_OK;
        }
        atomic_init(&c->refs, 1);
        c->m = t->m;
        *out = c;
        return FZ_OK;
    }
    return FZ_OK;
}

static void slice_release(struct ArrowArray *a)
{
    chunk *c = a->private_data;
    a->release = NULL;
    chunk_unref(c);
}

/* ---- scans ---- */

static fz_status local_open(scan *base, void **out, fz_error *err)
{
    arrow_scan *s = (arrow_scan *)base;
    local *l = mem_zalloc(s->m, sizeof *l);
    if (!l)
        return error_nomem(err);
    l->s = s;
    batch_init(&l->piece, s->m);
    *out = l;
    return FZ_OK;
}

static void local_close(scan *base, void *local_)
{
    local *l = local_;
    batch_free(&l->piece);
    chunk_unref(l->c);
    mem_free(l->s->m, l, sizeof *l);
}

/* How many rows of a chunk one worker takes: more where each piece costs a dictionary. */
static int64_t morsel_rows(const arrow_scan *s, const chunk *c)
{
    int64_t n = MORSEL_ROWS;
    for (uint32_t i = 0; i < s->ncols && s->t->dictionaries; i++) {
        const struct ArrowArray *col = c->a.n_children > s->cols[i] && c->a.children ? c->a.children[s->cols[i]] : NULL;
        int64_t d = col && col->dictionary ? col->dictionary->length : 0;
        if (d > n / 4)
            n = d > INT64_MAX / 4 ? INT64_MAX : 4 * d;
    }
    return n;
}

/* Takes the next rows; l->c stays NULL where none are left. */
static fz_status take(local *l, fz_error *err)
{
    arrow_scan *s = l->s;
    arrow_table *t = s->t;
    fz_status st = FZ_OK;
    pthread_mutex_lock(&s->lock);
    if (!s->current) {
        s->current = t->first;
        s->at = 0;
        if (s->current) {
            t->first = s->current->next;
        } else {
            if (s->j && job_stopped(s->j))
                st = error_set(err, FZ_CANCELLED, "cancelled");
            else
                st = chunk_read(t, &s->current, err);
        }
    }
    if (!st && s->current) {
        int64_t left = s->current->a.length - s->at, n = morsel_rows(s, s->current);
        n = n < left ? n : left;
        l->c = s->current;
        l->at = s->at;
        l->end = s->at += n;
        l->morsel = s->morsels++;
        l->seq = 0;
        if (n == left)
            s->current = NULL; /* its reference is the morsel's */
        else
            atomic_fetch_add(&l->c->refs, 1);
    }
    pthread_mutex_unlock(&s->lock);
    return st;
}

/* Rows [at, at+n) of the morsel's chunk, the wanted columns, as a batch that keeps the chunk. */
static fz_status import(local *l, int64_t at, int64_t n, batch *out, fz_error *err)
{
    arrow_scan *s = l->s;
    const struct ArrowArray *whole = &l->c->a;
    struct ArrowArray *some[64], **cols = some;
    arena a; /* for what doesn't outlive the call */
    batch_reset(out);
    if (whole->n_children != s->t->schema.n_children || (whole->n_children && !whole->children))
        return error_set(err, FZ_DATA, STR_FMT ": an Arrow array of %lld columns for a schema of %lld", STR_ARG(s->t->base.name),
                         (long long)whole->n_children, (long long)s->t->schema.n_children);
    arena_init(&a, s->m);
    if (s->ncols > 64 && !(cols = ARENA_ARRAY(&a, struct ArrowArray *, s->ncols)))
        return error_nomem(err);
    for (uint32_t i = 0; i < s->ncols; i++)
        cols[i] = whole->children[s->cols[i]];
    struct ArrowArray rows = {.length = n, .null_count = whole->null_count == 0 ? 0 : -1, .offset = whole->offset + at,
                              .n_buffers = whole->n_buffers, .buffers = whole->buffers, .n_children = s->ncols, .children = cols,
                              .release = slice_release, .private_data = l->c};
    atomic_fetch_add(&l->c->refs, 1);
    fz_status st = bridge_import_rows(&s->schema, &s->types, &rows, out, err);
    arena_free(&a);
    return st;
}

/* The next batch out of the imported piece, which it shares. */
static fz_status slice(local *l, batch *out, fz_error *err)
{
    uint32_t left = l->piece.nrows - l->done, n = left < BATCH_ROWS ? left : BATCH_ROWS;
    batch_reset(out);
    TRY(batch_columns(out, l->piece.ncols, err));
    for (uint32_t i = 0; i < l->piece.nkeep; i++)
        TRY(batch_keep(out, l->piece.keep[i], err));
    for (uint32_t i = 0; i < l->piece.ncols; i++)
        TRY(vec_slice(&out->cols[i], &l->piece.cols[i], l->done, n, &out->mem, err));
    out->nrows = out->nsel = n;
    out->stable = false; /* small structures lie in the piece */
    l->done += n;
    return FZ_OK;
}

static fz_status next(scan *base, void *local_, task *waiter, batch *out, source_result *r, fz_error *err)
{
    arrow_scan *s = (arrow_scan *)base;
    local *l = local_;
    if (s->j && job_stopped(s->j))
        return error_set(err, FZ_CANCELLED, "cancelled");
    if (!l->c) {
        TRY(take(l, err));
        if (!l->c) {
            *r = SOURCE_END;
            return FZ_OK;
        }
    }
    if (l->at == l->end && l->done == l->piece.nrows) {
        batch_reset(&l->piece);
        l->done = 0;
        chunk_unref(l->c);
        l->c = NULL;
        batch_reset(out);
        out->morsel = l->morsel;
        *r = SOURCE_MORSEL_END;
        return FZ_OK;
    }
    int64_t left = l->end - l->at;
    if (!s->t->dictionaries) {
        int64_t n = left < BATCH_ROWS ? left : BATCH_ROWS;
        TRY(import(l, l->at, n, out, err));
        l->at += n;
    } else {
        if (l->done == l->piece.nrows) {
            l->done = 0;
            int64_t n = left < INT32_MAX ? left : INT32_MAX;
            TRY(import(l, l->at, n, &l->piece, err));
            l->at += n;
        }
        TRY(slice(l, out, err));
    }
    out->morsel = l->morsel;
    out->seq = l->seq++;
    *r = SOURCE_BATCH;
    return FZ_OK;
}

static void scan_close(scan *base)
{
    arrow_scan *s = (arrow_scan *)base;
    chunk_unref(s->current);
    pthread_mutex_destroy(&s->lock);
    mem_free(s->m, s, sizeof *s);
}

static const scan_ops arrow_scan_ops = {local_open, local_close, next, scan_close};

/* ---- tables ---- */

static void no_release(struct ArrowSchema *s) { s->release = NULL; }

static fz_status project(arrow_scan *s, const scan_request *r, fz_error *err)
{
    arrow_table *t = s->t;
    s->cols = ARENA_ARRAY(&t->a, uint32_t, r->ncols + 1);
    s->types.cols = ARENA_ARRAY(&t->a, column_def, r->ncols + 1);
    struct ArrowSchema **children = ARENA_ARRAY(&t->a, struct ArrowSchema *, r->ncols + 1);
    if (!s->cols || !s->types.cols || !children)
        return error_nomem(err);
    s->ncols = s->types.n = r->ncols;
    for (uint32_t i = 0; i < r->ncols; i++) {
        s->cols[i] = r->cols[i];
        s->types.cols[i] = t->base.schema.cols[r->cols[i]];
        children[i] = t->schema.children[r->cols[i]];
    }
    s->schema = (struct ArrowSchema){.format = "+s", .n_children = r->ncols, .children = children, .release = no_release};
    return FZ_OK;
}

static fz_status table_open(const table_source *base, const scan_request *r, scan **out, bool *filtered, fz_error *err)
{
    arrow_table *t = (arrow_table *)base;
    if (t->opened)
        return error_set(err, FZ_INVALID, STR_FMT " is an Arrow stream, which can be read once", STR_ARG(base->name));
    arrow_scan *s = mem_zalloc(t->m, sizeof *s);
    if (!s)
        return error_nomem(err);
    s->base.ops = &arrow_scan_ops;
    s->base.max_workers = t->ended && t->rows <= PEEK_ROWS ? 1 : 1024;
    s->t = t;
    s->m = t->m;
    s->j = r->j;
    fz_status st = project(s, r, err);
    if (st) {
        mem_free(t->m, s, sizeof *s);
        return st;
    }
    pthread_mutex_init(&s->lock, NULL);
    t->opened = true;
    *out = &s->base;
    *filtered = false;
    return FZ_OK;
}

static int64_t known_rows(const table_source *base)
{
    const arrow_table *t = (const arrow_table *)base;
    return t->ended ? t->rows : -1;
}

static void explain(const table_source *base, const scan_request *r, sbuf *out)
{
    sbuf_printf(out, "arrow stream");
}

static void release(table_source *base)
{
    arrow_table *t = (arrow_table *)base;
    for (chunk *c = t->first, *after; c; c = after) {
        after = c->next;
        chunk_unref(c);
    }
    if (t->schema.release)
        t->schema.release(&t->schema);
    if (t->in.release)
        t->in.release(&t->in);
    arena_free(&t->a);
    mem_free(t->m, t, sizeof *t);
}

static const table_source_ops arrow_table_ops = {table_open, known_rows, known_rows, explain, release};

static fz_status read_schema(arrow_table *t, fz_error *err)
{
    int code = t->in.get_schema(&t->in, &t->schema);
    if (code) {
        t->schema.release = NULL;
        return producer_failed(t, code, err);
    }
    TRY(bridge_import_schema(&t->schema, &t->a, &t->base.schema, err));
    for (int64_t i = 0; i < t->schema.n_children; i++)
        t->dictionaries |= t->schema.children[i]->dictionary != NULL;
    return FZ_OK;
}

static fz_status peek(arrow_table *t, fz_error *err)
{
    while (!t->ended && t->rows <= PEEK_ROWS) {
        chunk *c;
        TRY(chunk_read(t, &c, err));
        if (!c)
            break;
        t->rows += c->a.length;
        *(t->last ? &t->last->next : &t->first) = c;
        t->last = c;
    }
    return FZ_OK;
}

fz_status arrow_table_new(struct ArrowArrayStream *in, str name, mem *m, table_source **out, fz_error *err)
{
    struct ArrowArrayStream s = *in;
    in->release = NULL;
    if (!s.release || !s.get_schema || !s.get_next)
        return error_set(err, FZ_INVALID, STR_FMT " is an Arrow stream that was released already", STR_ARG(name));
    arrow_table *t = mem_zalloc(m, sizeof *t);
    if (!t) {
        s.release(&s);
        return error_nomem(err);
    }
    t->base.ops = &arrow_table_ops;
    atomic_init(&t->base.refs, 1);
    t->in = s;
    t->m = m;
    arena_init(&t->a, m);
    t->base.name = (str){arena_strndup(&t->a, name.p, name.n), name.n};
    fz_status st = t->base.name.p ? FZ_OK : error_nomem(err);
    if (!st)
        st = read_schema(t, err);
    if (!st)
        st = peek(t, err);
    if (st)
        release(&t->base);
    else
        *out = &t->base;
    return st;
}
