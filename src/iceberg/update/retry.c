/* retry.c: see retry_int.h. */
#include "iceberg/update/retry_int.h"
#include "iceberg/update/layout.h"

#include <time.h>

#define QUEUE_WAIT_MS 10000

static int64_t clock_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

fz_status retry_init(retry *r, const ib_props *props, fz_error *err)
{
    *r = (retry){.began_ms = clock_ms()};
    TRY(ib_prop_i64(props, "commit.retry.min-wait-ms", 100, &r->min_wait_ms, err));
    TRY(ib_prop_i64(props, "commit.retry.max-wait-ms", 60 * 1000, &r->max_wait_ms, err));
    TRY(ib_prop_i64(props, "commit.retry.total-timeout-ms", 30 * 60 * 1000, &r->total_ms, err));
    return ib_prop_i64(props, "commit.retry.num-retries", -1, &r->max_retries, err);
}

static bool stopped(const job *j)
{
    return j && job_stopped(j);
}

bool retry_wait(retry *r, const job *j)
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
    for (int64_t left; (left = end - clock_ms()) > 0 && !stopped(j);) {
        struct timespec nap = {.tv_nsec = (left < 20 ? left : 20) * 1000000};
        nanosleep(&nap, NULL);
    }
    return !stopped(j);
}

int64_t retry_queue_ms(const retry *r)
{
    return r->total_ms < QUEUE_WAIT_MS ? r->total_ms : QUEUE_WAIT_MS;
}

void retry_gave_up(const retry *r, fz_error *err)
{
    error_hint(err, "gave up after %u attempts; commit.retry.total-timeout-ms and commit.retry.num-retries are properties of the table", r->failed);
}
