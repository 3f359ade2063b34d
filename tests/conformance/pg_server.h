/*
 * pg_server.h: a PostgreSQL server for tests: initdb and postgres of the installed Debian package, in a temporary
 * folder, on a free loopback port and a Unix socket, as another user where the test runs as root. It ends with
 * the test program, whatever becomes of that.
 */
#ifndef TESTS_CONFORMANCE_PG_SERVER_H
#define TESTS_CONFORMANCE_PG_SERVER_H

#include <stdbool.h>
#include <sys/types.h>

typedef struct pg_server {
    char dir[200];
    int port;
    pid_t pid;      /* 0: not running */
    char uri[300];  /* user frazil, password "p@ss/w0rd%" */
} pg_server;

#define PG_PASSWORD "p@ss/w0rd%"
#define PG_PASSWORD_URI "p%40ss%2Fw0rd%25"

/* false: PostgreSQL isn't installed here. Anything else that goes wrong fails the test. */
bool pg_server_make(pg_server *s);
void pg_server_start(pg_server *s);
void pg_server_stop(pg_server *s, int signal); /* SIGINT: at once, SIGQUIT: without tidying up, SIGKILL */
void pg_server_free(pg_server *s);             /* stops it and removes its folder */
/* Runs SQL through psql; the answer's lines, without headers, in a static buffer. */
const char *pg_server_sql(pg_server *s, const char *database, const char *sql);

#endif
