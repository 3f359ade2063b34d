/*
 * ordered.c: the sinks that keep the source's order: the result of a query, and an inner LIMIT.
 *
 * Workers bring batches of different morsels at the same time. The batches of the morsel whose turn it is
 * (`turn`) go straight to the consumer; those of later morsels are held. When a morsel ends, the turn
 * passes to the next one, and what is held of it is consumed by whoever finds it. One thread consumes at a
 * time (`busy`), without the lock.
 *
 *   push(key)   key == turn, nothing held of it, not busy:  consume
 *               else:                                       hold
 *   end(key)    marks the morsel; turn == key: drain
 *   drain       while not busy: consume what is held of `turn`; ended: turn + 1
 *
 * The window is bounded: past a number of bytes a worker that isn't at its turn waits. Morsels that never
 * come (a source with gaps) are passed over when every worker that still works waits, or has left the branch.
 */
#include "exec/pipe_int.h"

#include <pthread.h>

#define HELD_BYTES_MAX  ((int64_t)64 << 20)
#define READY_BATCHES_MAX 32

typedef struct held {
    struct held *next;
    batch b;
    void *made;           /* instead of b: what the query's maker made of it */
    int64_t bytes;
} held;

typedef struct entry {
    uint64_t key;
    held *head, *tail;
    bool ended;
} entry;

typedef struct output {
    psink s;
    query *q;
    sink *to;
    int64_t left, skip;   /* rows still wanted (-1: all) and to pass over */
    bool all;             /* neither limit nor offset */
    pthread_mutex_t lock;
    bool lock_made;
    uint64_t turn;
    bool busy;
    entry *entries;       /* by key, ascending */
    uint32_t n, cap;
    int64_t held_bytes;
    uint32_t nworkers, working, waiting;
    uint32_t *left_branch; /* workers that have left branch b */
    uint32_t nbranches;
    worker **waiters;
    held *ready, *ready_tail;
    _Atomic uint32_t nready;
    _Atomic bool ended;
    _Atomic bool enough;  /* the limit is reached: what the workers still do doesn't matter */
} output;

/* Whether batches of this sink are the result, which is to be made into something else. */
static bool makes(const output *o)
{
    return o->q->maker && &o->s == o->q->out && !o->to;
}

static void held_free(output *o, held *h)
{
    if (h->made)
        o->q->maker->drop(o->q->maker->ctx, h->made);
    batch_free(&h->b);
    mem_free(o->q->o.m, h, sizeof *h);
}

static int64_t batch_bytes(const batch *b)
{
    return (int64_t)b->mem.total + (b->stable ? (int64_t)b->nrows * b->ncols * 8 : 0);
}

/* `last`: for the consumer, who wants it dense or made into something. */
static fz_status held_new(output *o, const batch *b, bool last, held **out, fz_error *err)
{
    held *h = mem_zalloc(o->q->o.m, sizeof *h);
    *out = NULL;
    if (!h)
        return error_nomem(err);
    batch_init(&h->b, o->q->o.m); /* the caller may free it after the query */
    batch from = *b;
    if (last && b->sel)
        from.stable = false; /* copies what is selected */
    fz_status st;
    if (last && makes(o))
        st = o->q->maker->make(o->q->maker->ctx, b, &h->made, err);
    else
        st = batch_hold(&h->b, &from, err);
    if (st != FZ_OK) {
        held_free(o, h);
        return st;
    }
    h->bytes = h->made ? (int64_t)(b->sel ? b->nsel : b->nrows) * b->ncols * 8 : batch_bytes(&h->b);
    *out = h;
    return FZ_OK;
}

/* ---- consuming; not under the lock, one thread at a time ---- */

/* Under the lock. */
static void ready_link(output *o, held *h)
{
    h->next = NULL;
    if (o->ready_tail)
        o->ready_tail->next = h;
    else
        o->ready = h;
    o->ready_tail = h;
    atomic_fetch_add_explicit(&o->nready, 1, memory_order_release);
}

static fz_status ready_add(output *o, const batch *b, fz_error *err)
{
    held *h;
    TRY(held_new(o, b, true, &h, err));
    pthread_mutex_lock(&o->lock);
    ready_link(o, h);
    pthread_mutex_unlock(&o->lock);
    return FZ_OK;
}

static fz_status cut(const batch *b, uint32_t from, uint32_t n, batch *out, uint16_t *sel)
{
    *out = *b;
    for (uint32_t k = 0; k < n; k++)
        sel[k] = b->sel ? b->sel[from + k] : (uint16_t)(from + k);
    out->sel = sel;
    out->nsel = n;
    return FZ_OK;
}

static fz_status consume(output *o, pipeline *p, const batch *b, fz_error *err)
{
    uint32_t n = b->sel ? b->nsel : b->nrows, from = 0;
    batch part;
    if (o->left == 0 || n == 0)
        return FZ_OK;
    if (o->skip > 0) {
        from = o->skip < n ? (uint32_t)o->skip : n;
        o->skip -= from;
        n -= from;
    }
    if (o->left >= 0 && n >= o->left) {
        n = (uint32_t)o->left;
        atomic_store_explicit(&p->stop, true, memory_order_relaxed);
    }
    if (o->left > 0)
        o->left -= n;
    if (n == 0)
        return FZ_OK;
    uint16_t sel[BATCH_ROWS];
    if (from || n < (b->sel ? b->nsel : b->nrows)) {
        if (n > BATCH_ROWS)
            return error_set(err, FZ_INTERNAL, "a batch of %u rows", n);
        TRY(cut(b, from, n, &part, sel));
        b = &part;
    }
    TRY(o->to ? o->to->ops->consume(o->to, b, err) : ready_add(o, b, err));
    if (o->left == 0)
        atomic_store_explicit(&o->enough, true, memory_order_release);
    return FZ_OK;
}

/* ---- the window; under the lock ---- */

static entry *entry_find(output *o, uint64_t key, bool add)
{
    uint32_t lo = 0;
    while (lo < o->n && o->entries[lo].key < key)
        lo++;
    if (lo < o->n && o->entries[lo].key == key)
        return &o->entries[lo];
    if (!add)
        return NULL;
    if (o->n == o->cap) {
        uint32_t cap = o->cap ? o->cap * 2 : 16;
        entry *e = mem_resize(&o->q->m, o->entries, o->cap * sizeof *e, cap * sizeof *e);
        if (!e)
            return NULL;
        o->entries = e;
        o->cap = cap;
    }
    memmove(&o->entries[lo + 1], &o->entries[lo], (o->n - lo) * sizeof *o->entries);
    o->entries[lo] = (entry){.key = key};
    o->n++;
    return &o->entries[lo];
}

static void entry_remove(output *o, entry *e)
{
    uint32_t i = (uint32_t)(e - o->entries);
    memmove(e, e + 1, (o->n - i - 1) * sizeof *e);
    o->n--;
}

/* Where nothing of the turn's morsel can come any more: the next key there is. */
static void turn_skip(output *o)
{
    uint64_t branch = o->turn >> 48;
    while (branch < o->nbranches && o->left_branch[branch] == o->nworkers) {
        if (o->n && o->entries[0].key >> 48 <= branch) {
            o->turn = o->entries[0].key;
            return;
        }
        o->turn = MORSEL_KEY(++branch, 0);
    }
}

/* Consumes what can be. Entered and left with the lock. */
static fz_status drain(output *o, pipeline *p, fz_error *err)
{
    fz_status st = FZ_OK;
    while (!o->busy && st == FZ_OK) {
        entry *e = entry_find(o, o->turn, false);
        if (!e || (!e->head && !e->ended)) {
            uint64_t was = o->turn;
            turn_skip(o);
            if (o->turn == was)
                break;
            continue;
        }
        if (!e->head) {
            entry_remove(o, e);
            o->turn++;
            continue;
        }
        held *h = e->head;
        e->head = h->next;
        if (!e->head)
            e->tail = NULL;
        o->held_bytes -= h->bytes;
        if (h->made) {
            ready_link(o, h);
            continue;
        }
        o->busy = true;
        pthread_mutex_unlock(&o->lock);
        st = consume(o, p, &h->b, err);
        held_free(o, h);
        pthread_mutex_lock(&o->lock);
        o->busy = false;
    }
    return st;
}

/* Wakes who waits for room or for the turn, the longest waiting first and each once: one who finds that he still
   has to wait queues up again behind the others, and waking him again and again would never end.
   Called without the lock: waking takes the pool's. */
static void wake_all(output *o)
{
    for (uint32_t i = 0; i < o->nworkers; i++) {
        worker *w = NULL;
        pthread_mutex_lock(&o->lock);
        if (o->waiting) {
            w = o->waiters[0];
            w->waiting = false;
            memmove(o->waiters, o->waiters + 1, --o->waiting * sizeof *o->waiters);
        }
        pthread_mutex_unlock(&o->lock);
        if (!w)
            return;
        task_wake(&w->t);
    }
}

/* ---- the sink ---- */

static fz_status output_start(psink *s, query *q, uint32_t workers, fz_error *err)
{
    output *o = (output *)s;
    o->nworkers = o->working = workers;
    o->waiters = ARENA_ARRAY(&q->mem, worker *, workers);
    o->nbranches = q->pipes[q->now]->nbranches;
    o->left_branch = ARENA_ARRAY(&q->mem, uint32_t, o->nbranches);
    if (o->left == 0)
        atomic_store_explicit(&q->pipes[q->now]->stop, true, memory_order_relaxed);
    return o->waiters && o->left_branch ? FZ_OK : error_nomem(err);
}

static fz_status output_local(psink *s, uint32_t index, void **local, fz_error *err)
{
    *local = NULL;
    return FZ_OK;
}

static fz_status output_push(psink *s, void *local, worker *w, const batch *b, fz_error *err)
{
    output *o = (output *)s;
    if ((b->sel ? b->nsel : b->nrows) == 0)
        return FZ_OK;
    bool early = o->all && makes(o); /* else the rows aren't known before their turn */
    pthread_mutex_lock(&o->lock);
    entry *e = w->morsel == o->turn ? entry_find(o, w->morsel, false) : NULL;
    if (!early && w->morsel == o->turn && !o->busy && (!e || !e->head)) {
        o->busy = true;
        pthread_mutex_unlock(&o->lock);
        fz_status st = consume(o, w->p, b, err);
        pthread_mutex_lock(&o->lock);
        o->busy = false;
        pthread_mutex_unlock(&o->lock);
        return st;
    }
    pthread_mutex_unlock(&o->lock);
    held *h;
    TRY(held_new(o, b, early, &h, err));
    pthread_mutex_lock(&o->lock);
    e = entry_find(o, w->morsel, true);
    fz_status st = e ? FZ_OK : error_nomem(err);
    if (e) {
        if (e->tail)
            e->tail->next = h;
        else
            e->head = h;
        e->tail = h;
        o->held_bytes += h->bytes;
        st = drain(o, w->p, err);
    }
    pthread_mutex_unlock(&o->lock);
    if (!e)
        held_free(o, h);
    return st;
}

static fz_status output_morsel_end(psink *s, worker *w, uint64_t morsel, fz_error *err)
{
    output *o = (output *)s;
    pthread_mutex_lock(&o->lock);
    entry *e = entry_find(o, morsel, true);
    fz_status st = e ? FZ_OK : error_nomem(err);
    if (e) {
        e->ended = true;
        st = drain(o, w->p, err);
    }
    bool wake = o->waiting > 0;
    pthread_mutex_unlock(&o->lock);
    if (wake)
        wake_all(o);
    return st;
}

static fz_status output_branch_end(psink *s, worker *w, fz_error *err)
{
    output *o = (output *)s;
    pthread_mutex_lock(&o->lock);
    o->left_branch[w->at]++;
    /* Who waits for the others before the next branch brings nothing until they are there. */
    bool gathers = branch_gathers(w->p, w->at + 1);
    if (w->at + 1 == o->nbranches || gathers)
        o->working--;
    if (gathers && o->left_branch[w->at] == o->nworkers)
        o->working = o->nworkers;
    fz_status st = drain(o, w->p, err);
    bool wake = o->waiting > 0;
    pthread_mutex_unlock(&o->lock);
    if (wake)
        wake_all(o);
    return st;
}

static bool output_full(psink *s, worker *w)
{
    output *o = (output *)s;
    pthread_mutex_lock(&o->lock); /* also for nready: who takes the last batch must find whom to wake */
    bool ready_full = atomic_load_explicit(&o->nready, memory_order_relaxed) >= READY_BATCHES_MAX;
    bool ahead = w->morsel_open && w->morsel > o->turn && (o->held_bytes > HELD_BYTES_MAX || (o->held_bytes > 0 && mem_over(&o->q->m, 0)));
    if (!ready_full && !ahead) {
        pthread_mutex_unlock(&o->lock);
        return false;
    }
    /* The last one that works mustn't wait for a turn that nobody has: the smallest one at hand comes. */
    if (ahead && !ready_full && !o->busy && o->waiting + 1 >= o->working) {
        uint64_t least = w->morsel;
        for (uint32_t i = 0; i < o->waiting; i++)
            if (o->waiters[i]->morsel_open && o->waiters[i]->morsel < least)
                least = o->waiters[i]->morsel;
        if (o->n && o->entries[0].key < least)
            least = o->entries[0].key;
        if (least > o->turn)
            o->turn = least;
        fz_error e;
        fz_status st = drain(o, w->p, &e);
        pthread_mutex_unlock(&o->lock);
        if (st != FZ_OK)
            job_fail(&o->q->j, &e);
        wake_all(o);
        return false;
    }
    o->waiters[o->waiting++] = w;
    w->waiting = true;
    pthread_mutex_unlock(&o->lock);
    return true;
}

static fz_status output_finish(psink *s, query *q, fz_error *err)
{
    output *o = (output *)s;
    pthread_mutex_lock(&o->lock);
    fz_status st = FZ_OK;
    while (o->n && st == FZ_OK && !atomic_load(&q->pipes[q->now]->stop)) {
        o->turn = o->entries[0].key;
        o->entries[0].ended = true; /* nobody is left who could add to it */
        st = drain(o, q->pipes[q->now], err);
    }
    pthread_mutex_unlock(&o->lock);
    atomic_store_explicit(&o->ended, true, memory_order_release);
    return st;
}

static void output_local_close(psink *s, void *local) {}

static void output_close(psink *s)
{
    output *o = (output *)s;
    for (uint32_t i = 0; i < o->n; i++)
        for (held *h = o->entries[i].head, *next; h; h = next) {
            next = h->next;
            held_free(o, h);
        }
    for (held *h = o->ready, *next; h; h = next) {
        next = h->next;
        held_free(o, h);
    }
    mem_free(&o->q->m, o->entries, o->cap * sizeof *o->entries);
    if (o->lock_made)
        pthread_mutex_destroy(&o->lock);
}

static const psink_ops output_ops = {
    .start = output_start, .local_open = output_local, .push = output_push, .morsel_end = output_morsel_end,
    .branch_end = output_branch_end, .full = output_full, .finish = output_finish,
    .local_close = output_local_close, .close = output_close,
};

fz_status output_new(query *q, sink *to, int64_t limit, int64_t offset, psink **out, fz_error *err)
{
    output *o = ARENA_NEW(&q->mem, output);
    if (!o)
        return error_nomem(err);
    o->s.ops = &output_ops;
    o->q = q;
    o->to = to;
    o->left = limit;
    o->skip = offset;
    o->all = limit < 0 && offset <= 0;
    *out = &o->s;
    if (pthread_mutex_init(&o->lock, NULL) != 0)
        return error_nomem(err);
    o->lock_made = true;
    return FZ_OK;
}

bool output_next(psink *s, batch *out, void **made)
{
    output *o = (output *)s;
    pthread_mutex_lock(&o->lock);
    held *h = o->ready;
    if (h) {
        o->ready = h->next;
        if (!o->ready)
            o->ready_tail = NULL;
        atomic_fetch_sub_explicit(&o->nready, 1, memory_order_relaxed);
    }
    bool wake = h && o->waiting > 0;
    pthread_mutex_unlock(&o->lock);
    if (wake)
        wake_all(o);
    if (!h)
        return false;
    if (out)
        batch_move(out, &h->b);
    if (made) {
        *made = h->made;
        h->made = NULL;
    }
    held_free(o, h);
    return true;
}

bool output_ready(void *s)
{
    output *o = s;
    return atomic_load_explicit(&o->nready, memory_order_acquire) > 0 || output_complete(&o->s);
}

bool output_complete(const psink *s)
{
    return atomic_load_explicit(&((const output *)s)->enough, memory_order_acquire) || output_ended(s);
}

bool output_ended(const psink *s)
{
    return atomic_load_explicit(&((const output *)s)->ended, memory_order_acquire);
}

/* ---- an inner LIMIT: the rows, in order, as the source of the next pipeline ---- */

typedef struct limit_source {
    psource s;
    psink *from;
    query *q;
    uint64_t morsel;
} limit_source;

static fz_status limit_start(psource *s, query *q, int *workers, fz_error *err)
{
    *workers = 1;
    return FZ_OK;
}
static fz_status limit_local(psource *s, void **local, fz_error *err)
{
    *local = NULL;
    return FZ_OK;
}
static fz_status limit_next(psource *s, void *local, task *waiter, batch *out, source_result *r, fz_error *err)
{
    limit_source *l = (limit_source *)s;
    batch_reset(out);
    *r = output_next(l->from, out, NULL) ? SOURCE_BATCH : SOURCE_END;
    out->morsel = 0;
    out->seq = (uint32_t)l->morsel++;
    return FZ_OK;
}
static void limit_nothing(psource *s, void *local) {}
static void limit_close(psource *s) {}
static const psource_ops limit_source_ops = {limit_start, limit_local, limit_next, limit_nothing, limit_close};

/* An inner result isn't handed on while it grows: its room is the budget's. */
static bool collect_full(psink *s, worker *w) { return false; }
static const psink_ops collect_ops = {
    .start = output_start, .local_open = output_local, .push = output_push, .morsel_end = output_morsel_end,
    .branch_end = output_branch_end, .full = collect_full, .finish = output_finish,
    .local_close = output_local_close, .close = output_close,
};

fz_status limit_new(query *q, const plan *p, psink **sink, psource **src, fz_error *err)
{
    limit_source *l = ARENA_NEW(&q->mem, limit_source);
    if (!l)
        return error_nomem(err);
    TRY(output_new(q, NULL, p->limit.limit, p->limit.offset, sink, err));
    ((output *)*sink)->s.ops = &collect_ops;
    l->s.ops = &limit_source_ops;
    l->from = *sink;
    l->q = q;
    *src = &l->s;
    return FZ_OK;
}
