/*
 * commit.c: the commit loop: one producer, attempts on ever newer metadata until one succeeds, the operation no longer
 * applies, or time (or the number of retries, where it is limited) runs out.
 *
 * The table's queue is held over all attempts: committers on this machine then don't meet, and a conflict
 * comes from elsewhere. It is waited for a limited time: somebody who holds it and doesn't move (a stopped process) must
 * not stop the others, and correctness doesn't need it. Between attempts it waits a random time up to a bound that doubles from
 * commit.retry.min-wait-ms to commit.retry.max-wait-ms.
 */
#include "base/fault.h"
#include "iceberg/update/layout.h"
#include "iceberg/update/snapshot.h"

#include <time.h>

#define QUEUE_WAIT_MS 10000

typedef struct retry {
    int64_t min_wait_ms, max_wait_ms, total_ms, max_retries; /* max_retries -1: no limit */
    int64_t began_ms;
    uint32_t failed;
} retry;

static int64_t clock_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static fz_status retry_init(retry *r, const ib_props *props, fz_error *err)
{
    *r = (retry){.began_ms = clock_ms()};
    TRY(ib_prop_i64(props, "commit.retry.min-wait-ms", 100, &r->min_wait_ms, err));
    TRY(ib_prop_i64(props, "commit.retry.max-wait-ms", 60 * 1000, &r->max_wait_ms, err));
    TRY(ib_prop_i64(props, "commit.retry.total-timeout-ms", 30 * 60 * 1000, &r->total_ms, err));
    return ib_prop_i64(props, "commit.retry.num-retries", -1, &r->max_retries, err);
}

static bool stopped(const ib_write *w)
{
    return w->j && job_stopped(w->j);
}

/* Waits before the next attempt; false when there is to be none. */
static bool retry_wait(retry *r, const ib_write *w)
{
    uint32_t tries = r->failed++;
    if (r->max_retries >= 0 && tries >= r->max_retries)
        return false;
    int64_t bound = r->min_wait_ms > 0 ? r->min_wait_ms : 1;
    for (uint32_t i = 0; i < tries && bound < r->max_wait_ms; i++)
        bound *= 2;
    if (bound > r->max_wait_ms)
        bound = r->max_wait_ms > 0 ? r->max_wait_ms : 1;
    uint64_t random = 0;
    if (ib_random(&random, sizeof random, NULL) != FZ_OK)
        random = (uint64_t)clock_ms();
    int64_t end = clock_ms() + (int64_t)(random % (uint64_t)bound);
    if (end - r->began_ms >= r->total_ms)
        return false;
    for (int64_t left; (left = end - clock_ms()) > 0 && !stopped(w);) {
        struct timespec nap = {.tv_nsec = (left < 20 ? left : 20) * 1000000};
        nanosleep(&nap, NULL);
    }
    return !stopped(w);
}

/* One attempt on the newest metadata; *head is replaced by what was found, and by the new state on success.
 * *lost: the catalog refused it for something that another attempt may not meet. A catalog that is busy has
 * waited as long as it was told to. */
static fz_status attempt(ib_catalog *c, ib_ident id, ib_producer *p, ib_table **head, bool *lost, fz_error *err)
{
    ib_table *newest = NULL, *result = NULL;
    ib_commit commit = {.id = id};
    TRY(c->ops->load_table(c, id, *head, &newest, err));
    ib_table_unref(*head);
    *head = newest;
    TRY(ib_producer_prepare(p, newest->md, &commit.n_requirements, &commit.requirements, &commit.n_updates,
                            &commit.updates, err));
    TRY(fault_point("commit.before", err));
    fz_status st = c->ops->commit(c, 1, &commit, head, &result, err);
    *lost = st == FZ_CONFLICT;
    TRY(st);
    ib_table_unref(*head);
    *head = result;
    return FZ_OK;
}

/* After an unknown outcome: whether the catalog's table has the snapshot. */
static bool landed(ib_catalog *c, ib_ident id, int64_t snapshot_id, ib_table **head)
{
    ib_table *now = NULL;
    if (c->ops->load_table(c, id, NULL, &now, NULL) != FZ_OK)
        return false;
    if (!ib_snapshot_by_id(now->md, snapshot_id)) {
        ib_table_unref(now);
        return false;
    }
    ib_table_unref(*head);
    *head = now;
    return true;
}

static fz_status commit_loop(ib_catalog *c, ib_ident id, const ib_write *w, ib_producer *p, retry *r, ib_table **head,
                             fz_error *err)
{
    for (;;) {
        if (stopped(w))
            return error_set(err, FZ_CANCELLED, "cancelled");
        bool lost = false;
        fz_status st = attempt(c, id, p, head, &lost, err);
        if (st == FZ_UNKNOWN && landed(c, id, ib_producer_snapshot_id(p), head))
            st = FZ_OK;
        if (!lost)
            return st;
        if (!retry_wait(r, w)) {
            if (stopped(w))
                return error_set(err, FZ_CANCELLED, "cancelled");
            error_hint(err, "gave up after %u attempts; commit.retry.total-timeout-ms and commit.retry.num-retries "
                       "are properties of the table", r->failed);
            return st;
        }
    }
}

fz_status ib_write_commit(ib_catalog *c, ib_ident id, ib_table *base, const ib_write *w, ib_table **out,
                          fz_error *err)
{
    if (w->op == IB_APPEND && w->n_files == 0)
        return out ? c->ops->load_table(c, id, base, out, err) : FZ_OK;
    retry r;
    ib_producer *p = NULL;
    void *token = NULL;
    TRY(retry_init(&r, &base->md->properties, err));
    TRY(ib_producer_new(base->md, w, &p, err));
    ib_table *head = ib_table_ref(base);
    fz_status st = FZ_OK;
    if (c->ops->queue_lock)
        st = c->ops->queue_lock(c, id, r.total_ms < QUEUE_WAIT_MS ? r.total_ms : QUEUE_WAIT_MS, &token, err);
    if (st == FZ_OK || st == FZ_BUSY) {
        st = commit_loop(c, id, w, p, &r, &head, err);
        if (token)
            c->ops->queue_unlock(c, token);
    }
    ib_producer_finish(p, st);
    if (st == FZ_OK && fault_point("commit.after", err) != FZ_OK)
        st = err ? (err->status = FZ_UNKNOWN) : FZ_UNKNOWN; /* it is committed: nobody may remove its files */
    if (st == FZ_OK && out)
        *out = head;
    else
        ib_table_unref(head);
    return st;
}
