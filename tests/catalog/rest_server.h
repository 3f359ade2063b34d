/*
 * rest_server.h: an Iceberg REST server of a test's own: the protocol in front of any catalog of this library (requirements and updates are
 * read by iceberg/update/json.h, the way a real server will), on loopback, with what tests want to provoke.
 */
#ifndef TESTS_CATALOG_REST_SERVER_H
#define TESTS_CATALOG_REST_SERVER_H

#include "iceberg/catalog.h"

typedef struct rest_server rest_server;

typedef struct rest_server_options {
    /* The catalog of a warehouse, opened once for each name; closed with the server. */
    fz_status (*open)(void *ctx, const char *warehouse, mem *m, ib_catalog **out, fz_error *err);
    void *ctx;
    const char *location;    /* where new tables go: a folder */
    const char *credential;  /* "id:secret" that tokens are given for; NULL: no tokens are asked for */
    int token_seconds;       /* they live for; 0: the answer doesn't say */
    const char *config;      /* further members of /v1/config's answer: "\"endpoints\":[…]"; may be NULL */
    const char *table;       /* further members of a loaded table: "\"config\":{…}"; may be NULL */
    bool no_etags, no_staging;
    bool gzip_etags;         /* they are marked "--gzip", and not recognised so, as Jetty does it */
    int page;                /* names on a page of a list; 0: all */
} rest_server_options;

rest_server *rest_server_start(const rest_server_options *o);
void rest_server_stop(rest_server *s);
const char *rest_server_uri(const rest_server *s);
/* Requests so far that hold both texts, in "METHOD target" and in the head. */
int rest_server_count(rest_server *s, const char *in_line, const char *in_head);
int rest_server_requests(rest_server *s);
void rest_server_expire_tokens(rest_server *s); /* those given so far are refused from now on */

typedef enum rest_fault {
    REST_LOSE_ANSWER,   /* done, then the connection breaks */
    REST_LOSE_REQUEST,  /* not done, and it breaks */
    REST_500_DONE, REST_500_UNDONE, REST_503_UNDONE,
    REST_409_DONE,      /* as if it had arrived twice, and this were the second one's answer */
    REST_403_UNDONE,
    REST_LOSE_THEN_403, /* not done, and the connection breaks; those that follow are refused */
} rest_fault;
/* The next `times` requests that begin with "METHOD target" fail so. */
void rest_server_fault(rest_server *s, const char *line, rest_fault f, int times);

#endif
