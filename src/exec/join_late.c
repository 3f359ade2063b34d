/*
 * join_late.c: hash joins: partitions that didn't fit in memory, as a source: a branch of the probe side's pipeline
 * that begins when all workers are through with the branches before it (psource_ops.fed).
 *
 * A worker takes a partition, loads the rows of its build side, and hands out the batches of its probe side, which
 * find the directory in this source's state when they come to the probe operator (join_probe.c). A partition that is
 * too large even so is parted by the next bits of the hash, both sides of it. Where that brings nothing, because
 * its rows have one key, it is loaded all the same, if it isn't larger than the limit itself.
 */
#include "exec/join_int.h"

#define FAN_LOG2  4
#define FAN       (1u << FAN_LOG2)
#define BITS_MAX  40
#define SHARE_MIN ((int64_t)64 << 10)

#define JOIN_OF_LATE(s) ((join_op *)((char *)(s) - offsetof(join_op, late)))

static bool late_fed(psource *s) { return JOIN_OF_LATE(s)->away; }

static fz_status late_start(psource *s, query *q, int *workers, fz_error *err)
{
    *workers = late_fed(s) ? (int)JOIN_PARTS : 1;
    return FZ_OK;
}

static fz_status late_open(psource *s, void **local, fz_error *err)
{
    join_op *o = JOIN_OF_LATE(s);
    late_local *l = mem_zalloc(&o->q->m, sizeof *l);
    *local = l;
    if (!l)
        return error_nomem(err);
    arena_init(&l->rows, &o->q->m);
    arena_init(&l->scratch, &o->q->m);
    return FZ_OK;
}

static void late_end_part(join_op *o, late_local *l)
{
    spill_close(l->build);
    spill_close(l->probe);
    l->build = l->probe = NULL;
    directory_free(o, &l->d);
    arena_free(&l->rows);
}

static void late_local_close(psource *s, void *local)
{
    join_op *o = JOIN_OF_LATE(s);
    late_local *l = local;
    if (!l)
        return;
    late_end_part(o, l);
    join_keys_close(o, &l->keys);
    arena_free(&l->scratch);
    mem_free(&o->q->m, l, sizeof *l);
}

/* ---- the list ---- */

/* Takes both files, also where it fails. With the lock. */
static fz_status item_push(join_op *o, spill_file *build, spill_file *probe, uint64_t nbuild, uint32_t bits, bool stuck, fz_error *err)
{
    join_item *i = mem_alloc(&o->q->m, sizeof *i);
    if (!i) {
        spill_close(build);
        spill_close(probe);
        return error_nomem(err);
    }
    *i = (join_item){o->items, build, probe, nbuild, bits, stuck};
    o->items = i;
    return FZ_OK;
}

/* The partitions of the first round; those that were in memory have done their work. */
static fz_status list_make(join_op *o, fz_error *err)
{
    o->listed = true;
    for (uint32_t i = JOIN_PARTS; i-- > 0;) {
        join_part *p = &o->parts[i];
        directory_free(o, &p->d);
        arena_free(&p->rows);
        if (!p->away)
            continue;
        spill_file *build = p->build, *probe = p->probe;
        p->build = p->probe = NULL;
        if (!probe) { /* nothing on this side: no pairs, and no row without one */
            spill_close(build);
            continue;
        }
        TRY(item_push(o, build, probe, p->nbuild, JOIN_PARTS_LOG2, false, err));
        TRY(spill_flush(probe, err));
    }
    return FZ_OK;
}

static fz_status item_take(join_op *o, join_item *out, bool *end, fz_error *err)
{
    pthread_mutex_lock(&o->lock);
    fz_status st = o->listed ? FZ_OK : list_make(o, err);
    join_item *i = st == FZ_OK ? o->items : NULL;
    *end = !i;
    if (i) {
        *out = *i;
        o->items = i->next;
        mem_free(&o->q->m, i, sizeof *i);
    }
    pthread_mutex_unlock(&o->lock);
    return st;
}

/* ---- parting ---- */

typedef struct fan { spill_file *build[FAN], *probe[FAN]; uint64_t n[FAN]; } fan;

static uint32_t fan_of(uint64_t hash, uint32_t bits) { return (uint32_t)(hash << bits >> (64 - FAN_LOG2)); }

static fz_status fan_file(join_op *o, spill_file **f, fz_error *err)
{
    return *f ? FZ_OK : spill_create(o->q->o.temp_dir, &o->q->m, f, err);
}

static fz_status fan_build(join_op *o, late_local *l, const join_item *it, fan *to, fz_error *err)
{
    uint8_t *rows, *list[FAN][ROWFILE_BLOCK];
    uint32_t got, n[FAN];
    TRY(spill_rewind(it->build, err));
    for (;;) {
        if (job_stopped(&o->q->j))
            return error_set(err, FZ_CANCELLED, "cancelled");
        arena_reset(&l->scratch);
        TRY(rowfile_read(it->build, &o->shape, &l->scratch, &rows, &got, err));
        if (!got)
            return FZ_OK;
        memset(n, 0, sizeof n);
        for (uint32_t k = 0; k < got; k++) {
            uint8_t *row = rows + (size_t)k * o->shape.width;
            uint64_t hash;
            memcpy(&hash, row + 8, 8);
            uint32_t i = fan_of(hash, it->bits);
            list[i][n[i]++] = row;
        }
        for (uint32_t i = 0; i < FAN; i++) {
            if (!n[i])
                continue;
            to->n[i] += n[i];
            TRY(fan_file(o, &to->build[i], err));
            TRY(rowfile_write(to->build[i], &o->shape, list[i], n[i], err));
        }
    }
}

static fz_status fan_probe(join_op *o, late_local *l, const join_item *it, fan *to, batch *in, fz_error *err)
{
    if (!l->keys.ev)
        TRY(join_keys_open(o, o->probe_keys, &l->keys, err));
    TRY(spill_rewind(it->probe, err));
    for (;;) {
        bool end;
        if (job_stopped(&o->q->j))
            return error_set(err, FZ_CANCELLED, "cancelled");
        TRY(spill_read(it->probe, in, &end, err));
        if (end)
            return FZ_OK;
        arena_reset(&l->scratch);
        uint32_t rows = in->nrows, at[FAN] = {0};
        uint8_t *tuples = arena_alloc(&l->scratch, (size_t)rows * o->key.width + 8);
        uint64_t *hashes = arena_alloc(&l->scratch, (rows + 1) * sizeof *hashes);
        uint16_t *sel = arena_alloc(&l->scratch, (rows + 8u) * FAN * sizeof *sel);
        if (!tuples || !hashes || !sel)
            return error_nomem(err);
        TRY(join_keys_eval(o, &l->keys, in, err));
        TRY(rows_encode(&o->key, l->keys.ptrs, NULL, 0, rows, tuples, o->key.width, &l->scratch, err));
        rows_hash(&o->key, tuples, o->key.width, rows, hashes);
        for (uint32_t k = 0; k < rows; k++) {
            uint32_t i = fan_of(hashes[k], it->bits);
            sel[i * (rows + 8u) + at[i]++] = (uint16_t)k;
        }
        for (uint32_t i = 0; i < FAN; i++) {
            batch some = *in;
            some.sel = sel + i * (rows + 8u);
            some.nsel = at[i];
            if (!at[i])
                continue;
            TRY(fan_file(o, &to->probe[i], err));
            TRY(spill_write(to->probe[i], &some, err));
        }
    }
}

static fz_status item_part(join_op *o, late_local *l, const join_item *it, fz_error *err)
{
    fan to = {0};
    batch in;
    batch_init(&in, &o->q->m);
    fz_status st = fan_build(o, l, it, &to, err);
    if (st == FZ_OK)
        st = fan_probe(o, l, it, &to, &in, err);
    batch_free(&in);
    pthread_mutex_lock(&o->lock);
    for (uint32_t i = 0; i < FAN; i++) {
        if (st == FZ_OK && to.build[i])
            st = spill_flush(to.build[i], err);
        if (st == FZ_OK && to.probe[i])
            st = spill_flush(to.probe[i], err);
        if (st == FZ_OK && to.probe[i]) {
            st = item_push(o, to.build[i], to.probe[i], to.n[i], it->bits + FAN_LOG2, to.n[i] == it->nbuild, err);
        } else {
            spill_close(to.build[i]);
            spill_close(to.probe[i]);
        }
    }
    pthread_mutex_unlock(&o->lock);
    return st;
}

/* ---- reading ---- */

/* Loads the next partition; *end: there is none. */
static fz_status late_take(join_op *o, late_local *l, bool *end, fz_error *err)
{
    int64_t limit = mem_limit(&o->q->m), share = limit / 16 / (int64_t)pool_width(o->q->o.p);
    for (;;) {
        join_item it;
        TRY(item_take(o, &it, end, err));
        if (*end)
            return FZ_OK;
        l->build = it.build; /* closed with the state from here on */
        l->probe = it.probe;
        int64_t need = (it.build ? spill_bytes(it.build) : 0) + (int64_t)it.nbuild * ROW_EXTRA;
        bool large = it.build && need > (share > SHARE_MIN ? share : SHARE_MIN) && mem_over(&o->q->m, need);
        if (large && !it.stuck && it.bits + FAN_LOG2 <= BITS_MAX) {
            TRY(item_part(o, l, &it, err));
            late_end_part(o, l);
            continue;
        }
        if (large && limit && need > limit)
            return error_set(err, FZ_LIMIT, "a join has %llu rows of one key on the side that is kept in memory: %lld MB, the limit is %lld MB",
                             (unsigned long long)it.nbuild, (long long)(need >> 20), (long long)(limit >> 20));
        TRY(build_load(o, it.build, it.nbuild, &l->rows, &l->d, err));
        spill_close(l->build);
        l->build = NULL;
        return spill_rewind(l->probe, err);
    }
}

static fz_status late_next(psource *s, void *local, task *waiter, batch *out, source_result *r, fz_error *err)
{
    join_op *o = JOIN_OF_LATE(s);
    late_local *l = local;
    bool end = false;
    batch_reset(out);
    if (!l->open) {
        TRY(late_take(o, l, &end, err));
        if (end) {
            *r = SOURCE_END;
            return FZ_OK;
        }
        l->open = true;
        l->seq = 0;
        l->morsel = atomic_fetch_add_explicit(&o->morsels, 1, memory_order_relaxed);
    }
    TRY(spill_read(l->probe, out, &end, err));
    out->morsel = l->morsel;
    out->seq = l->seq++;
    *r = end ? SOURCE_MORSEL_END : SOURCE_BATCH;
    if (end) {
        l->open = false;
        late_end_part(o, l);
    }
    return FZ_OK;
}

static void late_close(psource *s) {}

const psource_ops join_late_ops = {late_start, late_open, late_next, late_local_close, late_close, late_fed};
