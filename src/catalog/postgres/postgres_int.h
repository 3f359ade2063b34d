/*
 * postgres_int.h: the parts of the PostgreSQL catalog among themselves.
 */
#ifndef CATALOG_POSTGRES_POSTGRES_INT_H
#define CATALOG_POSTGRES_POSTGRES_INT_H

#include "catalog/postgres/postgres_catalog.h"
#include "catalog/sql/sql_catalog.h"

#include <libpq-fe.h>
#include <pthread.h>
#include <sys/types.h>

/* ---- libpq.c: the functions of libpq that are used, by their own names ---- */

#define PQ_FUNCTIONS(X)                                                                                            \
    X(PQclear) X(PQcmdTuples) X(PQconnectdbParams) X(PQconninfoFree) X(PQconninfoParse) X(PQconsumeInput)          \
    X(PQerrorMessage) X(PQfinish) X(PQgetisnull) X(PQgetlength) X(PQgetResult) X(PQgetvalue) X(PQisBusy)           \
    X(PQisthreadsafe) X(PQnfields) X(PQntuples) X(PQresultErrorField) X(PQresultStatus) X(PQsendQueryParams)       \
    X(PQsendQuery) X(PQsetNoticeReceiver) X(PQsocket) X(PQstatus) X(PQtransactionStatus)
#define PQ_MEMBER(NAME) __typeof__(NAME) *NAME;
typedef struct pq_api { PQ_FUNCTIONS(PQ_MEMBER) } pq_api;
fz_status pq_load(const pq_api **out, fz_error *err);

/* ---- connections ---- */

typedef struct pg_conn {
    PGconn *pq;
    struct pg_conn *next; /* of the idle ones */
    bool lost;            /* no use any more: the server, the network or the time limit ended it */
    bool again;           /* the transaction failed only because of others: it may be repeated */
} pg_conn;

typedef struct pg_catalog {
    sql_catalog sql;
    const pq_api *pq;
    logger *log;
    arena mem;               /* strings, and what connections are made from: */
    const char **keys, **values;
    int64_t connect_ms, statement_ms;
    bool connected;          /* once at least: then a server that is gone is waited for */
    pthread_mutex_t lock;    /* of what follows */
    pthread_cond_t freed;
    uint32_t open, max;
    pg_conn *idle;
    pid_t owner;             /* the process whose sessions these are */
} pg_catalog;

static inline pg_catalog *pg_of(sql_catalog *c) { return (pg_catalog *)c; }

extern const sql_db_ops pg_db;
/* Runs `text`, which may be several statements, in a transaction of `body`'s. */
fz_status pg_text(pg_catalog *c, sql_tx *tx, const char *text, fz_error *err);
/* One statement by itself, without arguments. */
fz_status pg_ask(pg_catalog *c, const char *text, sql_row_fn row, void *ctx, fz_error *err);
void pg_close_connections(pg_catalog *c);

#endif
