/* loop_server.c: see loop_server.h. */
#include "io/loop_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#define THREADS_MAX 256

struct loop_server {
    int fd, port;
    loop_handler fn;
    void *ctx;
    pthread_t accepting;
    pthread_mutex_t lock;
    pthread_t threads[THREADS_MAX];
    int fds[THREADS_MAX];
    int n;
    bool stop;
};

struct connection {
    loop_server *s;
    int fd, index;
};

void loop_send(int fd, const void *p, size_t n)
{
    const char *at = p;
    while (n) {
        ssize_t k = send(fd, at, n, MSG_NOSIGNAL);
        if (k <= 0)
            return;
        at += k;
        n -= (size_t)k;
    }
}

void loop_answer(int fd, const char *status, const char *headers, const void *body, size_t n)
{
    char head[2048];
    int k = snprintf(head, sizeof head, "HTTP/1.1 %s\r\n%scontent-length: %zu\r\n\r\n", status, headers ? headers : "", n);
    loop_send(fd, head, (size_t)k);
    loop_send(fd, body, n);
}

void loop_reset(int fd)
{
    struct linger l = {1, 0};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &l, sizeof l);
    shutdown(fd, SHUT_RD);
}

const char *loop_header(const loop_request *q, const char *name, char *out, size_t n)
{
    size_t len = strlen(name);
    out[0] = 0;
    for (const char *at = q->head; *at;) {
        const char *end = strstr(at, "\r\n");
        if (!end)
            break;
        if ((size_t)(end - at) > len && strncasecmp(at, name, len) == 0 && at[len] == ':') {
            const char *v = at + len + 1;
            while (*v == ' ')
                v++;
            snprintf(out, n, "%.*s", (int)(end - v), v);
            return out;
        }
        at = end + 2;
    }
    return out;
}

/* One request; false: the other side is gone. */
static bool serve_one(struct connection *c, char *buffer, size_t cap, size_t *have)
{
    char *end;
    buffer[*have] = 0;
    while (!(end = strstr(buffer, "\r\n\r\n"))) {
        ssize_t k = *have + 1 < cap ? recv(c->fd, buffer + *have, cap - 1 - *have, 0) : -1;
        if (k <= 0)
            return false;
        *have += (size_t)k;
        buffer[*have] = 0;
    }
    loop_request q = {0};
    size_t head_n = (size_t)(end + 4 - buffer);
    sscanf(buffer, "%15s %1023s", q.method, q.target);
    char *head = strndup(buffer, head_n), value[64];
    char *lines = strstr(head, "\r\n");
    q.head = lines + 2;
    q.body_n = strtoul(loop_header(&q, "content-length", value, sizeof value), NULL, 10);
    char *body = malloc(q.body_n + 1);
    size_t got = *have - head_n < q.body_n ? *have - head_n : q.body_n;
    memcpy(body, buffer + head_n, got);
    memmove(buffer, buffer + head_n + got, *have - head_n - got);
    *have -= head_n + got;
    bool ok = true;
    while (got < q.body_n && ok) {
        ssize_t k = recv(c->fd, body + got, q.body_n - got, 0);
        ok = k > 0;
        got += ok ? (size_t)k : 0;
    }
    body[got] = 0;
    q.body = body;
    ok = ok && c->s->fn(c->s->ctx, c->fd, &q);
    free(head);
    free(body);
    return ok;
}

static void *serve(void *arg)
{
    struct connection c = *(struct connection *)arg;
    free(arg);
    size_t cap = 65536, have = 0;
    char *buffer = malloc(cap);
    while (serve_one(&c, buffer, cap, &have))
        ;
    free(buffer);
    pthread_mutex_lock(&c.s->lock);
    c.s->fds[c.index] = -1;
    close(c.fd);
    pthread_mutex_unlock(&c.s->lock);
    return NULL;
}

static void *accepting(void *arg)
{
    loop_server *s = arg;
    for (;;) {
        int fd = accept(s->fd, NULL, NULL);
        pthread_mutex_lock(&s->lock);
        if (s->stop || fd < 0 || s->n == THREADS_MAX) {
            pthread_mutex_unlock(&s->lock);
            if (fd >= 0)
                close(fd);
            return NULL;
        }
        struct connection *c = malloc(sizeof *c);
        *c = (struct connection){s, fd, s->n};
        s->fds[s->n] = fd;
        pthread_create(&s->threads[s->n++], NULL, serve, c);
        pthread_mutex_unlock(&s->lock);
    }
}

loop_server *loop_server_start(loop_handler fn, void *ctx)
{
    loop_server *s = calloc(1, sizeof *s);
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof a;
    s->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    s->fn = fn;
    s->ctx = ctx;
    pthread_mutex_init(&s->lock, NULL);
    if (s->fd < 0 || bind(s->fd, (struct sockaddr *)&a, n) || listen(s->fd, 128) || getsockname(s->fd, (struct sockaddr *)&a, &n)) {
        free(s);
        return NULL;
    }
    s->port = ntohs(a.sin_port);
    pthread_create(&s->accepting, NULL, accepting, s);
    return s;
}

int loop_server_port(const loop_server *s) { return s->port; }

int loop_server_connections(loop_server *s)
{
    pthread_mutex_lock(&s->lock);
    int n = s->n;
    pthread_mutex_unlock(&s->lock);
    return n;
}

void loop_server_stop(loop_server *s)
{
    pthread_mutex_lock(&s->lock);
    s->stop = true;
    for (int i = 0; i < s->n; i++)
        if (s->fds[i] >= 0)
            shutdown(s->fds[i], SHUT_RDWR);
    pthread_mutex_unlock(&s->lock);
    shutdown(s->fd, SHUT_RDWR);
    pthread_join(s->accepting, NULL);
    for (int i = 0; i < s->n; i++)
        pthread_join(s->threads[i], NULL);
    close(s->fd);
    pthread_mutex_destroy(&s->lock);
    free(s);
}
