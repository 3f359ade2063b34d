/*
 * bench_rest.c: how long a table takes to load from a catalog, and a bare GET of the same answer.
 *
 *     bench_rest load CATALOG NAMESPACE TABLE N             through the catalog that the environment configures
 *     bench_rest get PORT TARGET N [HEADER-LINE]…           GETs over one kept connection to 127.0.0.1, the answer read and dropped
 *
 * Prints "time SECONDS" N times, then "answer BYTES-OR-SCHEMA-FIELDS". Reads no metadata from what it loaded before: each load is a whole one.
 */
#include "catalog/open.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int failed(const char *what)
{
    fprintf(stderr, "error: %s\n", what);
    return 1;
}

static int load(const char *name, const char *ns, const char *table, int n)
{
    fz_error e = {0};
    mem heap, *m = &heap;
    mem_init(m, NULL, NULL, 0);
    config *cfg;
    config_catalog *cc;
    ib_catalog *c;
    catalog_open_options o = {0};
    if (config_load(NULL, m, &cfg, &e) || config_open(cfg, name, 0, NULL, m, &cc, &e) || catalog_open(cc, &o, NULL, m, NULL, &c, &e))
        return failed(e.message);
    uint32_t fields = 0;
    for (int i = 0; i < n; i++) {
        ib_table *t;
        double t0 = now_s();
        if (c->ops->load_table(c, (ib_ident){str_of(ns), str_of(table)}, NULL, &t, &e))
            return failed(e.message);
        printf("time %.9f\n", now_s() - t0);
        fields = t->md->n_schemas;
        ib_table_unref(t);
    }
    printf("answer %u\n", fields);
    c->ops->close(c);
    config_catalog_unref(cc);
    config_unref(cfg);
    return 0;
}

/* Reads one answer into buf; its whole length, 0 when the connection ended or it doesn't fit. */
static size_t read_answer(int fd, char *buf, size_t max)
{
    size_t n = 0, head = 0, want = 0;
    bool chunked = false;
    for (;;) {
        ssize_t k = recv(fd, buf + n, max - 1 - n, 0);
        if (k <= 0) return 0;
        n += (size_t)k;
        buf[n] = 0;
        if (!head) {
            char *end = strstr(buf, "\r\n\r\n"), *v;
            if (!end) continue;
            head = (size_t)(end + 4 - buf);
            if ((v = strcasestr(buf, "\r\ncontent-length:")) && v < end) want = head + strtoul(v + 17, NULL, 10);
            else chunked = true;
        }
        if (chunked ? n >= head + 5 && !memcmp(buf + n - 5, "0\r\n\r\n", 5) : n >= want) return n;
    }
}

static int get(int port, const char *target, int n, int n_headers, char **headers)
{
    static char request[16384], buf[16 << 20];
    int len = snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nAccept: application/json\r\n", target, port), one = 1;
    for (int i = 0; i < n_headers; i++) len += snprintf(request + len, sizeof request - (size_t)len, "%s\r\n", headers[i]);
    len += snprintf(request + len, sizeof request - (size_t)len, "\r\n");
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof a)) return failed("connect");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    size_t bytes = 0;
    for (int i = 0; i < n; i++) {
        double t0 = now_s();
        if (send(fd, request, (size_t)len, 0) != len || !(bytes = read_answer(fd, buf, sizeof buf))) return failed("no answer");
        if (strncmp(buf, "HTTP/1.1 200", 12)) return failed(buf);
        printf("time %.9f\n", now_s() - t0);
    }
    printf("answer %zu\n", bytes);
    close(fd);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 6 && !strcmp(argv[1], "load")) return load(argv[2], argv[3], argv[4], atoi(argv[5]));
    if (argc >= 5 && !strcmp(argv[1], "get")) return get(atoi(argv[2]), argv[3], atoi(argv[4]), argc - 5, argv + 5);
    fprintf(stderr, "usage: bench_rest load CATALOG NAMESPACE TABLE N | get PORT TARGET N [HEADER]…\n");
    return 2;
}
