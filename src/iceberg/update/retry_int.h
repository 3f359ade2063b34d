/*
 * retry_int.h: how long a commit is tried: until commit.retry.total-timeout-ms has passed, or commit.retry.num-retries attempts
 * failed, where that is set. Between attempts it waits a random time up to a bound that doubles from
 * commit.retry.min-wait-ms to commit.retry.max-wait-ms.
 */
#ifndef ICEBERG_RETRY_INT_H
#define ICEBERG_RETRY_INT_H

#include "base/task.h"
#include "iceberg/spec/spec.h"

typedef struct retry {
    int64_t min_wait_ms, max_wait_ms, total_ms, max_retries; /* max_retries -1: no limit */
    int64_t began_ms;
    uint32_t failed;
} retry;

fz_status retry_init(retry *r, const ib_props *props, fz_error *err);
/* Waits before the next attempt; false when there is to be none. j (may be NULL): its end ends the waiting. */
bool retry_wait(retry *r, const job *j);
/* How long the table's queue is waited for at most. */
int64_t retry_queue_ms(const retry *r);
/* The hint for who gave up. */
void retry_gave_up(const retry *r, fz_error *err);

#endif
