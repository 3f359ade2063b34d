/*
 * pg_proxy.h: what a network does to a PostgreSQL client: a proxy that loses connections at COMMIT, and counts statements.
 */
#ifndef TESTS_CONFORMANCE_PG_PROXY_H
#define TESTS_CONFORMANCE_PG_PROXY_H

#include <pthread.h>
#include <stdatomic.h>

typedef enum pg_proxy_mode {
    PROXY_PASS,
    PROXY_LOSE_COMMIT,  /* the next COMMIT never reaches the server */
    PROXY_LOSE_ANSWER,  /* it does, and the server's answer gets lost */
    PROXY_LATE_COMMIT,  /* the client loses its connection at once, the server gets the COMMIT a second later */
} pg_proxy_mode;

typedef struct pg_proxy {
    int port;                   /* of the proxy */
    _Atomic int mode;           /* back to PROXY_PASS once it has happened */
    _Atomic int statements;     /* with arguments */
    _Atomic int queries;        /* without: BEGIN, COMMIT, … */
    _Atomic bool stop;
    int server_port, fd;
    pthread_t thread;
} pg_proxy;

void pg_proxy_start(pg_proxy *p, int server_port);
void pg_proxy_end(pg_proxy *p);

#endif
