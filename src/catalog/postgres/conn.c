/*
 * conn.c: connections to PostgreSQL: a pool, statements, transactions, errors.
 *
 * One caller, one connection; idle ones are kept. Statements go out unnamed with binary text arguments, one round
 * trip each, so sessions have no state. Time limits of transactions are the server's (SET LOCAL); behind them a
 * limit of our own gives up a connection that doesn't answer.
 *
 * What happens when a connection is lost:
 *
 *   a read by itself               asked again on a new connection
 *   before a transaction's COMMIT  the server rolls back: done again as a whole
 *   at COMMIT                      *unknown: the caller looks (sql/commit.c)
 *
 * Trying again goes on for connect_ms: long enough for a server that is being restarted. A first connection isn't
 * waited for; who can't be reached now is told so at once.
 */
#include "catalog/postgres/postgres_int.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define GRACE_MS 5000  /* behind the server's own limit */
#define NAP_MS 100     /* between attempts to connect */
#define ARGS_MAX 8
#define TEXT_OID 25

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void nap(void)
{
    struct timespec t = {.tv_nsec = NAP_MS * 1000000L};
    nanosleep(&t, NULL);
}

/* ---- errors ---- */

/* libpq's text on one line. */
static void tidy(const char *text, char *out, size_t size)
{
    size_t n = 0;
    for (const char *p = text; *p && n + 1 < size; p++) {
        if (*p != '\n' && *p != '\t')
            out[n++] = *p;
        else if (n && out[n - 1] != ' ' && p[1])
            out[n++] = ' ';
    }
    out[n] = 0;
}

/* The connection itself failed: it isn't used any more. */
static fz_status lost(pg_catalog *c, pg_conn *k, const char *what, fz_error *err)
{
    char text[600];
    tidy(c->pq->PQerrorMessage(k->pq), text, sizeof text);
    k->lost = true;
    error_sql(err, FZ_IO, "08006", "%s%s%s", what, text[0] ? ": " : "", text);
    error_where(err, c->sql.place);
    return FZ_IO;
}

/* Status of a SQLSTATE. */
static fz_status status_of(const char *state)
{
    static const struct { const char *state; fz_status st; } map[] = {
        {"23505", FZ_EXISTS},      /* unique_violation */
        {"42P07", FZ_EXISTS},      /* duplicate_table: two programs made it at once */
        {"22001", FZ_INVALID},     /* longer than its column */
        {"22021", FZ_INVALID},     /* not text */
        {"57014", FZ_BUSY},        /* statement_timeout: others' locks */
        {"55P03", FZ_BUSY},        /* lock_timeout of the user's */
        {"40001", FZ_CONFLICT},    /* serialization_failure */
        {"40P01", FZ_CONFLICT},    /* deadlock_detected */
        {"42P01", FZ_NOT_FOUND},   /* undefined_table: of the catalog's own */
    };
    for (size_t i = 0; i < sizeof map / sizeof map[0]; i++)
        if (strcmp(map[i].state, state) == 0)
            return map[i].st;
    return FZ_IO;
}

static fz_status failed(pg_catalog *c, pg_conn *k, const PGresult *r, fz_error *err)
{
    const char *state = c->pq->PQresultErrorField(r, PG_DIAG_SQLSTATE);
    const char *text = c->pq->PQresultErrorField(r, PG_DIAG_MESSAGE_PRIMARY);
    const char *hint = c->pq->PQresultErrorField(r, PG_DIAG_MESSAGE_HINT);
    if (c->pq->PQstatus(k->pq) == CONNECTION_BAD || !state)
        return lost(c, k, "the connection to the catalog was lost", err);
    fz_status st = status_of(state);
    if (st == FZ_BUSY) {
        error_sql(err, st, state, "the catalog was locked by another program for %lld ms", (long long)c->statement_ms);
        error_hint(err, "find out which program keeps a transaction open on it");
    } else {
        k->again = st == FZ_CONFLICT;
        error_sql(err, st, state, "the catalog's server says: %s", text ? text : "");
        if (hint)
            error_hint(err, "%s", hint);
    }
    error_where(err, c->sql.place);
    return st;
}

/* ---- one connection ---- */

static void drop_notice(void *ctx, const PGresult *r)
{
}

static fz_status conn_open(pg_catalog *c, pg_conn *k, fz_error *err)
{
    k->pq = c->pq->PQconnectdbParams(c->keys, c->values, 0);
    if (!k->pq)
        return error_nomem(err);
    if (c->pq->PQstatus(k->pq) != CONNECTION_OK)
        return lost(c, k, "the catalog's server can't be reached", err);
    c->pq->PQsetNoticeReceiver(k->pq, drop_notice, NULL);
    return FZ_OK;
}

/* Waits for one result more (NULL: that was the last one) until the time is over. */
static fz_status result_wait(pg_catalog *c, pg_conn *k, int64_t deadline, PGresult **out, fz_error *err)
{
    *out = NULL;
    while (c->pq->PQisBusy(k->pq)) {
        int64_t left = deadline - now_ms();
        struct pollfd p = {.fd = c->pq->PQsocket(k->pq), .events = POLLIN};
        if (left <= 0 || p.fd < 0) {
            k->lost = true;
            error_sql(err, FZ_IO, "08006", "the catalog's server didn't answer for %lld ms", (long long)c->statement_ms + GRACE_MS);
            error_where(err, c->sql.place);
            return FZ_IO;
        }
        int rc = poll(&p, 1, left < 60000 ? (int)left : 60000);
        if (rc < 0 && errno != EINTR)
            return lost(c, k, "the connection to the catalog failed", err);
        if (rc > 0 && !c->pq->PQconsumeInput(k->pq))
            return lost(c, k, "the connection to the catalog was lost", err);
    }
    *out = c->pq->PQgetResult(k->pq);
    return FZ_OK;
}

/* Collects what a sent statement gives: the last good result, or the first failure. */
static fz_status results(pg_catalog *c, pg_conn *k, PGresult **out, fz_error *err)
{
    int64_t deadline = now_ms() + c->statement_ms + GRACE_MS;
    fz_status st = FZ_OK;
    PGresult *last = NULL, *r;
    for (;;) {
        fz_status got = result_wait(c, k, deadline, &r, st == FZ_OK ? err : NULL);
        if (got != FZ_OK)
            st = st == FZ_OK ? got : st;
        if (!r)
            break;
        ExecStatusType s = c->pq->PQresultStatus(r);
        if (st == FZ_OK && s != PGRES_COMMAND_OK && s != PGRES_TUPLES_OK)
            st = failed(c, k, r, err);
        c->pq->PQclear(last);
        last = r;
    }
    if (c->pq->PQstatus(k->pq) == CONNECTION_BAD) {
        if (st == FZ_OK)
            st = lost(c, k, "the connection to the catalog was lost", err);
        k->lost = true; /* said its reason before it went */
    }
    if (st != FZ_OK) {
        c->pq->PQclear(last);
        last = NULL;
    }
    if (out)
        *out = last;
    else
        c->pq->PQclear(last);
    return st;
}

static fz_status simple(pg_catalog *c, pg_conn *k, const char *text, fz_error *err)
{
    if (!c->pq->PQsendQuery(k->pq, text))
        return lost(c, k, "the connection to the catalog was lost", err);
    return results(c, k, NULL, err);
}

static fz_status exec(pg_catalog *c, pg_conn *k, sql_stmt id, uint32_t n, const str *args, PGresult **out, fz_error *err)
{
    static const Oid types[ARGS_MAX] = {TEXT_OID, TEXT_OID, TEXT_OID, TEXT_OID, TEXT_OID, TEXT_OID, TEXT_OID, TEXT_OID};
    static const int binary[ARGS_MAX] = {1, 1, 1, 1, 1, 1, 1, 1};
    const char *values[ARGS_MAX];
    int lengths[ARGS_MAX];
    sbuf text;
    for (uint32_t i = 0; i < n; i++) {
        if (args[i].n > INT32_MAX)
            return error_set(err, FZ_INVALID, "a name is too long for the catalog");
        values[i] = args[i].p ? args[i].p : "";
        lengths[i] = (int)args[i].n;
    }
    sbuf_init(&text, c->sql.base.m);
    sql_text(id, SQL_POSTGRES, c->sql.typed, &text);
    fz_status st = FZ_OK;
    if (text.failed)
        st = error_nomem(err);
    else if (!c->pq->PQsendQueryParams(k->pq, text.p, (int)n, types, values, lengths, binary, 0))
        st = lost(c, k, "the connection to the catalog was lost", err);
    sbuf_free(&text);
    return st == FZ_OK ? results(c, k, out, err) : st;
}

/* ---- the pool ---- */

static void conn_free(pg_catalog *c, pg_conn *k)
{
    c->pq->PQfinish(k->pq);
    mem_free(c->sql.base.m, k, sizeof *k);
}

/* The lock is held by the caller. */
static void idle_close(pg_catalog *c)
{
    while (c->idle) {
        pg_conn *k = c->idle;
        c->idle = k->next;
        c->open--;
        conn_free(c, k);
    }
}

void pg_close_connections(pg_catalog *c)
{
    pthread_mutex_lock(&c->lock);
    if (c->owner == getpid())
        idle_close(c);
    pthread_mutex_unlock(&c->lock);
}

/* An idle session that has something to say was ended. */
static bool is_stale(pg_catalog *c, pg_conn *k)
{
    struct pollfd p = {.fd = c->pq->PQsocket(k->pq), .events = POLLIN};
    return p.fd < 0 || (poll(&p, 1, 0) > 0 && (!c->pq->PQconsumeInput(k->pq) || c->pq->PQstatus(k->pq) != CONNECTION_OK));
}

/* An idle connection, or *out NULL with the right to open one. */
static fz_status place_get(pg_catalog *c, bool fresh, pg_conn **out, fz_error *err)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += c->statement_ms / 1000 + 1;
    *out = NULL;
    pthread_mutex_lock(&c->lock);
    if (c->owner != getpid()) { /* after a fork: the parent's sessions are left alone, never ended */
        for (pg_conn *k = c->idle; k; k = k->next)
            close(c->pq->PQsocket(k->pq));
        c->idle = NULL;
        c->open = 0;
        c->owner = getpid();
    }
    if (fresh)
        idle_close(c);
    int rc = 0;
    while (!c->idle && c->open >= c->max && rc == 0)
        rc = pthread_cond_timedwait(&c->freed, &c->lock, &until);
    while (c->idle && !*out) {
        pg_conn *k = c->idle;
        c->idle = k->next;
        if (!is_stale(c, k)) {
            *out = k;
        } else {
            c->open--;
            conn_free(c, k);
        }
    }
    fz_status st = FZ_OK;
    if (!*out && c->open >= c->max)
        st = error_set(err, FZ_BUSY, "all %u connections to the catalog were in use for %lld ms", c->max,
                       (long long)c->statement_ms);
    else if (!*out)
        c->open++;
    pthread_mutex_unlock(&c->lock);
    return st;
}

static void conn_put(pg_catalog *c, pg_conn *k)
{
    bool keep = !k->lost && c->pq->PQtransactionStatus(k->pq) == PQTRANS_IDLE;
    pthread_mutex_lock(&c->lock);
    if (keep) {
        k->next = c->idle;
        c->idle = k;
    } else {
        c->open--;
    }
    pthread_cond_signal(&c->freed);
    pthread_mutex_unlock(&c->lock);
    if (!keep)
        conn_free(c, k);
}

/* `fresh`: one was just lost, so the idle ones aren't trusted either. */
static fz_status conn_get(pg_catalog *c, bool fresh, int64_t deadline, pg_conn **out, fz_error *err)
{
    for (;;) {
        pg_conn *k;
        TRY(place_get(c, fresh, &k, err));
        if (k) {
            k->again = false;
            *out = k;
            return FZ_OK;
        }
        k = mem_zalloc(c->sql.base.m, sizeof *k);
        fz_status st = k ? conn_open(c, k, err) : error_nomem(err);
        if (st == FZ_OK) {
            __atomic_store_n(&c->connected, true, __ATOMIC_RELAXED);
            *out = k;
            return FZ_OK;
        }
        pthread_mutex_lock(&c->lock);
        c->open--;
        pthread_cond_signal(&c->freed);
        pthread_mutex_unlock(&c->lock);
        if (k)
            conn_free(c, k);
        if (st != FZ_IO || !__atomic_load_n(&c->connected, __ATOMIC_RELAXED) || now_ms() >= deadline)
            return st;
        nap();
    }
}

/* ---- statements ---- */

static fz_status rows(pg_catalog *c, PGresult *r, sql_row_fn row, void *ctx, fz_error *err)
{
    int n = c->pq->PQntuples(r), w = c->pq->PQnfields(r);
    str columns[ARGS_MAX];
    if (w > ARGS_MAX)
        return error_set(err, FZ_INTERNAL, "a statement of the catalog gives %d columns", w);
    for (int i = 0; i < n; i++) {
        for (int k = 0; k < w; k++) {
            bool null = c->pq->PQgetisnull(r, i, k);
            columns[k] = null ? (str){0} : (str){c->pq->PQgetvalue(r, i, k), (size_t)c->pq->PQgetlength(r, i, k)};
        }
        TRY(row(ctx, (uint32_t)w, columns, err));
    }
    return FZ_OK;
}

static fz_status query_on(pg_catalog *c, pg_conn *k, sql_stmt id, uint32_t n, const str *args, sql_row_fn row, void *ctx,
                          fz_error *err)
{
    PGresult *r;
    TRY(exec(c, k, id, n, args, &r, err));
    fz_status st = r ? rows(c, r, row, ctx, err) : FZ_OK;
    c->pq->PQclear(r);
    return st;
}

typedef struct settled_job { uint32_t n; const str *args; sql_row_fn row; void *ctx; } settled_job;

static fz_status settled(sql_catalog *b, sql_tx *tx, void *ctx, fz_error *err)
{
    settled_job *j = ctx;
    return query_on(pg_of(b), (pg_conn *)tx, SQL_LOAD_SETTLED, j->n, j->args, j->row, j->ctx, err);
}

static fz_status pg_query(sql_catalog *b, sql_tx *tx, sql_stmt id, uint32_t n, const str *args, sql_row_fn row, void *ctx,
                          fz_error *err)
{
    pg_catalog *c = pg_of(b);
    if (tx)
        return query_on(c, (pg_conn *)tx, id, n, args, row, ctx, err);
    if (id == SQL_LOAD_SETTLED) { /* waits for others, so it needs the server's time limit */
        bool unknown;
        return pg_db.transaction(b, settled, &(settled_job){n, args, row, ctx}, &unknown, err);
    }
    int64_t deadline = now_ms() + c->connect_ms;
    for (bool fresh = false;; fresh = true) {
        pg_conn *k;
        TRY(conn_get(c, fresh, deadline, &k, err));
        fz_status st = query_on(c, k, id, n, args, row, ctx, err);
        bool again = k->lost && now_ms() < deadline;
        conn_put(c, k);
        if (!again)
            return st;
    }
}

static fz_status pg_run(sql_catalog *b, sql_tx *tx, sql_stmt id, uint32_t n, const str *args, int *changed, fz_error *err)
{
    pg_catalog *c = pg_of(b);
    PGresult *r;
    int64_t count = 0;
    TRY(exec(c, (pg_conn *)tx, id, n, args, &r, err));
    if (r)
        str_to_i64(str_of(c->pq->PQcmdTuples(r)), &count);
    if (changed)
        *changed = (int)count;
    c->pq->PQclear(r);
    return FZ_OK;
}

fz_status pg_text(pg_catalog *c, sql_tx *tx, const char *text, fz_error *err)
{
    return simple(c, (pg_conn *)tx, text, err);
}

fz_status pg_ask(pg_catalog *c, const char *text, sql_row_fn row, void *ctx, fz_error *err)
{
    pg_conn *k;
    PGresult *r = NULL;
    TRY(conn_get(c, false, now_ms() + c->connect_ms, &k, err));
    fz_status st = c->pq->PQsendQuery(k->pq, text) ? results(c, k, &r, err) : lost(c, k, "the connection to the catalog was lost", err);
    if (r)
        st = rows(c, r, row, ctx, err);
    c->pq->PQclear(r);
    conn_put(c, k);
    return st;
}

/* ---- transactions ---- */

/* The catalog's own level, whatever the database's default is: the compare-and-swap sees the newest row after a wait. */
static fz_status begin(pg_catalog *c, pg_conn *k, fz_error *err)
{
    char text[120];
    snprintf(text, sizeof text, "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL statement_timeout = %lld",
             (long long)c->statement_ms);
    return simple(c, k, text, err);
}

static fz_status commit(pg_catalog *c, pg_conn *k, bool *unknown, fz_error *err)
{
    fz_status st = simple(c, k, "COMMIT", err);
    *unknown = k->lost;
    return st;
}

static fz_status pg_transaction(sql_catalog *b, fz_status (*body)(sql_catalog *c, sql_tx *tx, void *ctx, fz_error *err),
                                void *ctx, bool *unknown, fz_error *err)
{
    pg_catalog *c = pg_of(b);
    int64_t deadline = now_ms() + c->connect_ms;
    *unknown = false;
    for (bool fresh = false;;) {
        pg_conn *k;
        TRY(conn_get(c, fresh, deadline, &k, err));
        fz_status st = begin(c, k, err);
        if (st == FZ_OK)
            st = body(b, (sql_tx *)k, ctx, err);
        if (st == FZ_OK)
            st = commit(c, k, unknown, err);
        if (!k->lost && c->pq->PQtransactionStatus(k->pq) != PQTRANS_IDLE)
            simple(c, k, "ROLLBACK", NULL);
        bool again = st != FZ_OK && !*unknown && (k->lost || k->again) && now_ms() < deadline;
        fresh = k->lost;
        conn_put(c, k);
        if (!again)
            return st;
    }
}

const sql_db_ops pg_db = {.query = pg_query, .run = pg_run, .transaction = pg_transaction, .reconnects = true};
