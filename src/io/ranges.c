/*
 * ranges.c: see ranges.h.
 *
 * io_will_read makes blocks: what is wanted, joined where the gaps are smaller than a request is worth, cut into pieces of at most
 * BLOCK_BYTES, so that several connections share a large run. Blocks are fetched in their order while they fit the read-ahead and memory:
 *
 *   PLANNED ──fetch──> FETCHING ──> READY ──its room is needed, and reads have gone on to later calls──> gone
 *      └── a read comes first ──┘
 *
 * Bytes are often read more than once (two workers share a row group, each from its beginning), so that a block stays for as long as reads lie in
 * its own call of io_will_read or the next one. Small blocks (footers, page indexes) stay longer.
 *
 * A read is cut at the blocks' edges. A piece in a ready block is copied at once, by the reader; one in a block on its way is copied when it arrives;
 * what lies in no block is asked for on its own, straight into the reader's memory. A request that failed as a block fails only those who wait
 * for it: the block goes, and who reads it later asks again.
 *
 * All under one lock; requests are sent and callbacks called without it. Blocks are charged to the file's memory.
 */
#include "io/ranges.h"

#include <pthread.h>

#define BLOCK_BYTES     ((size_t)8 << 20)
#define GAP_BYTES       ((uint64_t)256 << 10)  /* bytes that are cheaper to fetch than another request */
#define READ_AHEAD      ((uint64_t)64 << 20)
#define BLOCKS_MAX      4096
#define SMALL_BYTES     ((size_t)128 << 10)
#define FETCHES_MAX     24

typedef enum { PLANNED, FETCHING, READY } block_state;

/* A read under way: done when its last piece is. */
typedef struct read_op {
    io_req *req;
    uint32_t pieces;        /* left, +1 while pieces are still being made */
    fz_status status;
    fz_error error;
    struct read_op *next;   /* in a list of ended ones */
} read_op;

typedef struct piece {
    struct piece *next;
    read_op *op;
    uint64_t offset;
    size_t len;
    char *dst;
} piece;

typedef struct block {
    struct block *next;
    block_state state;
    uint64_t offset, call;  /* call: of io_will_read */
    size_t len;
    char *data;             /* len bytes from FETCHING on */
    piece *waiting;
} block;

typedef struct fetch {      /* what a range_get belongs to: a block, or a piece of its own */
    range_get get;
    block *b;
    piece *p;
    struct fetch *next;     /* in a list to be sent */
} fetch;

struct range_file {
    io_file base;
    const range_source *ops;
    void *source;
    pthread_mutex_t lock;
    pthread_cond_t quiet;   /* nothing is under way */
    block *blocks;          /* as they were planned */
    uint32_t n_blocks, n_fetching;
    uint64_t calls, read_call; /* of io_will_read; the latest one whose blocks were read */
    uint64_t held;          /* bytes of blocks fetching and ready */
    uint64_t read_ahead;
    uint32_t under_way;
    bool closing;
};

/* What is done once the lock is released. */
typedef struct todo {
    fetch *send;
    read_op *ended;
} todo;

/* ---- blocks ---- */

static void block_unlink(range_file *f, block *b)
{
    for (block **at = &f->blocks; *at; at = &(*at)->next)
        if (*at == b) {
            *at = b->next;
            f->n_blocks--;
            return;
        }
}

static void block_free(range_file *f, block *b)
{
    if (b->data) {
        mem_free(f->base.m, b->data, b->len);
        f->held -= b->len;
    }
    mem_free(f->base.m, b, sizeof *b);
}

static block *block_at(range_file *f, uint64_t offset, uint64_t *next_at)
{
    *next_at = UINT64_MAX;
    for (block *b = f->blocks; b; b = b->next) {
        if (offset >= b->offset && offset - b->offset < b->len)
            return b;
        if (b->offset > offset && b->offset < *next_at)
            *next_at = b->offset;
    }
    return NULL;
}

/* FZ_NOMEM leaves the block planned. */
static bool block_fetch(range_file *f, block *b, todo *t)
{
    fetch *x = mem_zalloc(f->base.m, sizeof *x);
    char *data = x ? mem_alloc(f->base.m, b->len) : NULL;
    if (!data) {
        mem_free(f->base.m, x, sizeof *x);
        return false;
    }
    b->data = data;
    b->state = FETCHING;
    f->held += b->len;
    f->n_fetching++;
    f->under_way++;
    x->get = (range_get){f, b->offset, b->len, data, x};
    x->b = b;
    x->next = t->send;
    t->send = x;
    return true;
}

static bool fits(const range_file *f, size_t len)
{
    return f->held == 0 || (f->held + len <= f->read_ahead && !mem_over(f->base.m, (int64_t)len));
}

/* Makes room for len bytes, the earliest blocks first. */
static bool room_make(range_file *f, size_t len)
{
    for (block **at = &f->blocks; *at && !fits(f, len);) {
        block *b = *at;
        if (b->state != READY || b->call + 2 > f->read_call || b->len <= SMALL_BYTES) {
            at = &b->next;
            continue;
        }
        *at = b->next;
        f->n_blocks--;
        block_free(f, b);
    }
    return fits(f, len);
}

static void fetch_ahead(range_file *f, todo *t)
{
    if (f->closing)
        return;
    for (block *b = f->blocks; b && f->n_fetching < FETCHES_MAX; b = b->next) {
        if (b->state != PLANNED)
            continue;
        if (!room_make(f, b->len) || !block_fetch(f, b, t))
            return;
    }
}

/* ---- pieces of reads ---- */

static void op_fail(read_op *op, fz_status st, const fz_error *err)
{
    if (op->status != FZ_OK)
        return;
    op->status = st;
    if (err)
        op->error = *err;
}

static void op_piece_done(read_op *op, todo *t)
{
    if (--op->pieces == 0) {
        op->next = t->ended;
        t->ended = op;
    }
}

static void block_used(range_file *f, const block *b)
{
    if (b->call > f->read_call)
        f->read_call = b->call;
}

static void block_give(range_file *f, block *b, piece *p)
{
    memcpy(p->dst, b->data + (p->offset - b->offset), p->len);
}

static void piece_plan(range_file *f, read_op *op, uint64_t offset, size_t len, char *dst, block *b, todo *t)
{
    if (b && b->state == READY) {
        piece p = {.offset = offset, .len = len, .dst = dst};
        block_give(f, b, &p);
        block_used(f, b);
        return;
    }
    piece *p = mem_zalloc(f->base.m, sizeof *p);
    fetch *x = p && !b ? mem_zalloc(f->base.m, sizeof *x) : NULL;
    if (!p || (!b && !x) || (b && b->state == PLANNED && !block_fetch(f, b, t))) {
        mem_free(f->base.m, p, sizeof *p);
        fz_error e;
        error_nomem(&e);
        op_fail(op, FZ_NOMEM, &e);
        return;
    }
    *p = (piece){.op = op, .offset = offset, .len = len, .dst = dst};
    op->pieces++;
    if (b) {
        block_used(f, b);
        p->next = b->waiting;
        b->waiting = p;
        return;
    }
    x->get = (range_get){f, offset, len, dst, x};
    x->p = p;
    x->next = t->send;
    t->send = x;
    f->under_way++;
}

static void read_plan(range_file *f, io_req *r, todo *t)
{
    read_op *op = mem_zalloc(f->base.m, sizeof *op);
    if (!op) {
        r->status = error_nomem(&r->error);
        r->done(r); /* nothing else is touched afterwards */
        return;
    }
    op->req = r;
    op->pieces = 1;
    uint64_t at = r->offset, end = r->offset + r->len;
    if (end < at || end > f->base.size) {
        fz_error e;
        error_set(&e, FZ_DATA, "the file ends at byte %llu; byte %llu was expected", (unsigned long long)f->base.size, (unsigned long long)end);
        op_fail(op, FZ_DATA, &e);
        at = end;
    }
    while (at < end && op->status == FZ_OK) {
        uint64_t next_at, stop = end;
        block *b = block_at(f, at, &next_at);
        if (b && b->offset + b->len < stop)
            stop = b->offset + b->len;
        if (!b && next_at < stop)
            stop = next_at;
        if (!b && stop - at > BLOCK_BYTES)
            stop = at + BLOCK_BYTES;
        piece_plan(f, op, at, (size_t)(stop - at), (char *)r->dst + (at - r->offset), b, t);
        at = stop;
    }
    op_piece_done(op, t);
}

/* ---- what happens without the lock ---- */

static void todo_run(range_file *f, todo *t)
{
    while (t->ended) {
        read_op *op = t->ended;
        io_req *r = op->req;
        t->ended = op->next;
        r->status = op->status;
        if (op->status != FZ_OK) {
            r->error = op->error;
            error_where(&r->error, f->base.path);
            if (r->error.offset < 0)
                error_offset(&r->error, (int64_t)r->offset);
        }
        mem_free(f->base.m, op, sizeof *op);
        r->done(r);
    }
    fetch *send = NULL;
    while (t->send) { /* planned first, sent first */
        fetch *x = t->send;
        t->send = x->next;
        x->next = send;
        send = x;
    }
    while (send) {
        fetch *x = send;
        send = x->next;
        f->ops->send(f->source, &x->get);
    }
}

static void block_arrived(range_file *f, block *b, fz_status st, const fz_error *err, todo *t)
{
    f->n_fetching--;
    b->state = READY;
    piece *p = b->waiting;
    b->waiting = NULL;
    while (p) {
        piece *next = p->next;
        if (st == FZ_OK)
            block_give(f, b, p);
        else
            op_fail(p->op, st, err);
        op_piece_done(p->op, t);
        mem_free(f->base.m, p, sizeof *p);
        p = next;
    }
    if (st != FZ_OK) {
        block_unlink(f, b);
        block_free(f, b);
    }
}

void range_got(range_get *g, fz_status st, const fz_error *err)
{
    fetch *x = g->owner;
    range_file *f = g->f;
    todo t = {0};
    pthread_mutex_lock(&f->lock);
    if (x->b) {
        block_arrived(f, x->b, st, err, &t);
    } else {
        if (st != FZ_OK)
            op_fail(x->p->op, st, err);
        op_piece_done(x->p->op, &t);
        mem_free(f->base.m, x->p, sizeof *x->p);
    }
    mem_free(f->base.m, x, sizeof *x);
    fetch_ahead(f, &t);
    pthread_mutex_unlock(&f->lock);
    todo_run(f, &t);
    pthread_mutex_lock(&f->lock); /* until now f was held by what was under way */
    if (--f->under_way == 0)
        pthread_cond_broadcast(&f->quiet);
    pthread_mutex_unlock(&f->lock);
}

/* ---- io_file ---- */

static void ranges_submit(io_file *base, io_req *reqs, size_t n)
{
    range_file *f = (range_file *)base;
    todo t = {0};
    pthread_mutex_lock(&f->lock);
    f->under_way++; /* f stays until the callbacks have run */
    for (size_t i = 0; i < n; i++) {
        reqs[i].status = FZ_OK;
        reqs[i].error.offset = -1;
        read_plan(f, &reqs[i], &t);
    }
    fetch_ahead(f, &t);
    pthread_mutex_unlock(&f->lock);
    todo_run(f, &t);
    pthread_mutex_lock(&f->lock);
    if (--f->under_way == 0)
        pthread_cond_broadcast(&f->quiet);
    pthread_mutex_unlock(&f->lock);
}

static void block_add(range_file *f, uint64_t offset, size_t len)
{
    block *b = f->n_blocks < BLOCKS_MAX ? mem_zalloc(f->base.m, sizeof *b) : NULL;
    if (!b)
        return; /* a hint */
    *b = (block){.state = PLANNED, .offset = offset, .len = len, .call = f->calls};
    block **tail = &f->blocks;
    while (*tail)
        tail = &(*tail)->next;
    *tail = b;
    f->n_blocks++;
}

/* Whether any range has a byte in [from, to). */
static bool is_wanted(const io_range *r, size_t n, uint64_t from, uint64_t to)
{
    for (size_t i = 0; i < n; i++)
        if (r[i].offset < to && r[i].offset + r[i].len > from)
            return true;
    return false;
}

/* Adds what n neighbouring ranges span, but for what blocks hold already. */
static void run_add(range_file *f, const io_range *r, size_t n)
{
    uint64_t at = r[0].offset, end = r[n - 1].offset + r[n - 1].len;
    while (at < end) {
        uint64_t next_at;
        block *b = block_at(f, at, &next_at);
        if (b) {
            at = b->offset + b->len;
            continue;
        }
        uint64_t stop = next_at < end ? next_at : end;
        while (at < stop) {
            uint64_t len = stop - at;
            if (len > BLOCK_BYTES)
                len = len < 2 * BLOCK_BYTES ? (len + 1) / 2 : BLOCK_BYTES;
            if (is_wanted(r, n, at, at + len)) /* else a gap beside a block that is there */
                block_add(f, at, (size_t)len);
            at += len;
        }
    }
}

static bool range_lies_in(const range_file *f, const io_range *r)
{
    return r->len && r->offset < f->base.size && r->len <= f->base.size - r->offset;
}

static void ranges_will_read(io_file *base, const io_range *r, size_t n)
{
    range_file *f = (range_file *)base;
    todo t = {0};
    pthread_mutex_lock(&f->lock);
    f->under_way++;
    f->calls++;
    for (size_t i = 0, k; i < n; i = k) {
        k = i + 1;
        if (!range_lies_in(f, &r[i]))
            continue;
        while (k < n && range_lies_in(f, &r[k]) && r[k].offset >= r[k - 1].offset + r[k - 1].len &&
               r[k].offset - (r[k - 1].offset + r[k - 1].len) <= GAP_BYTES)
            k++;
        run_add(f, r + i, k - i);
    }
    fetch_ahead(f, &t);
    pthread_mutex_unlock(&f->lock);
    todo_run(f, &t);
    pthread_mutex_lock(&f->lock);
    if (--f->under_way == 0)
        pthread_cond_broadcast(&f->quiet);
    pthread_mutex_unlock(&f->lock);
}

static void ranges_close(io_file *base)
{
    range_file *f = (range_file *)base;
    pthread_mutex_lock(&f->lock);
    f->closing = true;
    bool busy = f->under_way > 0;
    pthread_mutex_unlock(&f->lock);
    if (busy)
        f->ops->cancel(f->source);
    pthread_mutex_lock(&f->lock);
    while (f->under_way)
        pthread_cond_wait(&f->quiet, &f->lock);
    pthread_mutex_unlock(&f->lock);
    while (f->blocks) {
        block *b = f->blocks;
        f->blocks = b->next;
        block_free(f, b);
    }
    f->ops->free(f->source);
    pthread_cond_destroy(&f->quiet);
    pthread_mutex_destroy(&f->lock);
    mem_free(base->m, base->path, strlen(base->path) + 1);
    mem_free(base->m, f, sizeof *f);
}

static const struct io_file_ops ranges_ops = {.submit = ranges_submit, .close = ranges_close, .will_read = ranges_will_read};

fz_status range_file_new(const char *path, uint64_t size, uint64_t read_ahead, const range_source *ops, void *source, mem *m, io_file **out, fz_error *err)
{
    size_t n = strlen(path) + 1;
    range_file *f = mem_zalloc(m, sizeof *f);
    char *copy = f ? mem_alloc(m, n) : NULL;
    if (!copy) {
        mem_free(m, f, sizeof *f);
        ops->free(source);
        return error_nomem(err);
    }
    memcpy(copy, path, n);
    f->base = (io_file){.ops = &ranges_ops, .path = copy, .size = size, .m = m};
    f->ops = ops;
    f->source = source;
    f->read_ahead = read_ahead ? read_ahead : READ_AHEAD;
    pthread_mutex_init(&f->lock, NULL);
    pthread_cond_init(&f->quiet, NULL);
    *out = &f->base;
    return FZ_OK;
}
