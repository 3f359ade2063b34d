/* pg_proxy.c: see pg_proxy.h. One thread and poll; messages of the client are taken apart, the server's are copied. */
#include <stdarg.h>
#include <stddef.h>
#include <stdbool.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "conformance/pg_proxy.h"

#include <arpa/inet.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { PAIRS = 24, LATE_MS = 1000 };

typedef struct pair {
    int client, server;     /* -1: closed */
    bool started;           /* the first message has no type */
    bool drop_answer;       /* the next bytes of the server end the connection */
    int64_t late_ms;        /* when the message that is held back goes out; 0: none is */
    size_t n;
    unsigned char buf[65536];
} pair;

static pair pairs[PAIRS];

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void send_all(int fd, const void *p, size_t n)
{
    while (n && fd >= 0) {
        ssize_t k = send(fd, p, n, MSG_NOSIGNAL);
        if (k <= 0)
            return;
        p = (const char *)p + k;
        n -= (size_t)k;
    }
}

static void end(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static void pair_end(pair *p)
{
    end(&p->client);
    end(&p->server);
    p->late_ms = 0;
}

/* One whole message of the client; false: the rest of the connection is gone. */
static bool message(pg_proxy *x, pair *p, const unsigned char *m, size_t n)
{
    static const char word[] = "COMMIT";
    x->statements += p->started && m[0] == 'P';
    x->queries += p->started && m[0] == 'Q';
    int mode = x->mode;
    bool is_commit = p->started && m[0] == 'Q' && n == 5 + sizeof word && memcmp(m + 5, word, sizeof word) == 0;
    if (!is_commit || mode == PROXY_PASS) {
        send_all(p->server, m, n);
        return true;
    }
    x->mode = PROXY_PASS;
    if (mode == PROXY_LOSE_COMMIT) {
        pair_end(p);
        return false;
    }
    if (mode == PROXY_LOSE_ANSWER) {
        p->drop_answer = true;
        send_all(p->server, m, n);
        return true;
    }
    end(&p->client);
    memmove(p->buf, m, n);
    p->n = n;
    p->late_ms = now_ms() + LATE_MS;
    return false;
}

static void from_client(pg_proxy *x, pair *p)
{
    ssize_t k = recv(p->client, p->buf + p->n, sizeof p->buf - p->n, 0);
    if (k <= 0) {
        pair_end(p);
        return;
    }
    p->n += (size_t)k;
    size_t at = 0;
    for (;;) {
        size_t head = p->started ? 1 : 0;
        uint32_t len;
        if (p->n - at < head + 4)
            break;
        memcpy(&len, p->buf + at + head, 4);
        len = ntohl(len);
        if (p->n - at < head + len)
            break;
        if (!message(x, p, p->buf + at, head + len))
            return;
        /* an SSLRequest is followed by the real first message */
        if (!p->started) {
            uint32_t code;
            memcpy(&code, p->buf + at + 4, 4);
            p->started = ntohl(code) >> 16 == 3;
        }
        at += head + len;
    }
    memmove(p->buf, p->buf + at, p->n - at);
    p->n -= at;
}

static void from_server(pair *p)
{
    unsigned char b[65536];
    ssize_t k = recv(p->server, b, sizeof b, 0);
    if (k <= 0 || p->drop_answer)
        pair_end(p);
    else
        send_all(p->client, b, (size_t)k);
}

static void accept_one(pg_proxy *x)
{
    int fd = accept(x->fd, NULL, NULL);
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)x->server_port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    for (int i = 0; i < PAIRS && fd >= 0; i++) {
        pair *p = &pairs[i];
        if (p->client >= 0 || p->server >= 0)
            continue;
        p->n = 0;
        p->started = p->drop_answer = false;
        p->client = fd;
        p->server = socket(AF_INET, SOCK_STREAM, 0);
        if (connect(p->server, (struct sockaddr *)&a, sizeof a) != 0)
            pair_end(p);
        return;
    }
    if (fd >= 0)
        close(fd);
}

static void *serve(void *arg)
{
    pg_proxy *x = arg;
    while (!x->stop) {
        struct pollfd fds[1 + 2 * PAIRS] = {{.fd = x->fd, .events = POLLIN}};
        for (int i = 0; i < PAIRS; i++) {
            fds[1 + 2 * i] = (struct pollfd){.fd = pairs[i].client, .events = POLLIN};
            fds[2 + 2 * i] = (struct pollfd){.fd = pairs[i].server, .events = POLLIN};
        }
        poll(fds, 1 + 2 * PAIRS, 20);
        for (int i = 0; i < PAIRS; i++) {
            pair *p = &pairs[i];
            if (p->late_ms && now_ms() >= p->late_ms) {
                send_all(p->server, p->buf, p->n);
                usleep(50000);
                pair_end(p);
            }
            if (p->client >= 0 && fds[1 + 2 * i].revents)
                from_client(x, p);
            if (p->server >= 0 && fds[2 + 2 * i].revents && !p->late_ms)
                from_server(p);
        }
        if (fds[0].revents)
            accept_one(x);
    }
    for (int i = 0; i < PAIRS; i++)
        pair_end(&pairs[i]);
    return NULL;
}

void pg_proxy_start(pg_proxy *x, int server_port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof a;
    for (int i = 0; i < PAIRS; i++)
        pairs[i] = (pair){.client = -1, .server = -1};
    x->mode = PROXY_PASS;
    x->statements = x->queries = 0;
    x->stop = false;
    x->server_port = server_port;
    x->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(x->fd, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(listen(x->fd, 16), 0);
    assert_int_equal(getsockname(x->fd, (struct sockaddr *)&a, &n), 0);
    x->port = ntohs(a.sin_port);
    assert_int_equal(pthread_create(&x->thread, NULL, serve, x), 0);
}

void pg_proxy_end(pg_proxy *x)
{
    x->stop = true;
    pthread_join(x->thread, NULL);
    close(x->fd);
}
