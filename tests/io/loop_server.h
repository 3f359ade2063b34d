/* loop_server.h: a small HTTP server of a test's own, on loopback: a thread per connection hands each request to the test, which writes
 * whatever bytes it likes. */
#ifndef TESTS_IO_LOOP_SERVER_H
#define TESTS_IO_LOOP_SERVER_H

#include <stdbool.h>
#include <stddef.h>

typedef struct loop_request {
    char method[16], target[1024];
    const char *head;      /* all header lines, NUL-terminated */
    const char *body;
    size_t body_n;
} loop_request;

typedef struct loop_server loop_server;
/* Returns whether the connection is kept. Called by several threads. */
typedef bool (*loop_handler)(void *ctx, int fd, const loop_request *q);

loop_server *loop_server_start(loop_handler fn, void *ctx);
int loop_server_port(const loop_server *s);
int loop_server_connections(loop_server *s); /* made so far */
void loop_server_stop(loop_server *s);

void loop_send(int fd, const void *p, size_t n);
/* "HTTP/1.1 <status>\r\n" + headers (lines, each with \r\n) + content-length + body. */
void loop_answer(int fd, const char *status, const char *headers, const void *body, size_t n);
/* Closes with a reset instead of an end. */
void loop_reset(int fd);
/* A header's value in q; "" where it isn't there. `out` of n bytes. */
const char *loop_header(const loop_request *q, const char *name, char *out, size_t n);

#endif
