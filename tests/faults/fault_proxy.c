/*
 * fault_proxy.c: an HTTP/1.1 proxy on 127.0.0.1 that spoils what goes through it, by rules; and a stub server.
 *
 *     fault_proxy LOG PORT=UPSTREAM_PORT …        (UPSTREAM_PORT 0: nothing behind it, only `answer` rules)
 *
 * Requests and answers are carried byte for byte, the Host header too, so that signatures stay right: what was signed for the proxy's
 * address arrives saying the proxy's address. One thread per client connection, each with its own connection to the server.
 *
 * Commands come on standard input, one a line, each answered by a line on standard output; its end ends the program:
 *
 *     rule action=… [port=P] [method=M] [path=GLOB] [auth=TEXT] [skip=N] [count=N] [permille=N] [hold=MS] [arg=N] [arg2=N] [file=F]
 *     delay PORT MS                  hold each request so long (PORT 0: of every port)
 *     clear                          forget rules and delays
 *     hits                           how often each rule was applied, in the order they were given
 *     sync                           answered when what was done is in the log (what still runs is waited for, 100 ms at most)
 *
 * A request takes the first rule that fits it: its port, method, target (path?query, a glob) and Authorization header (contains TEXT), of these
 * not the first `skip`, and no more than `count` (0: all), each with the chance permille/1000. It is held for `hold` ms first. Actions:
 *
 *     reset_before               reset the connection, nothing is forwarded
 *     reset_after  lost          forward, take the whole answer, reset; lost: close instead
 *     stall                      hold the request arg ms, then close without forwarding; arg2=1: forward after it
 *     status                     answer with status arg, Retry-After arg2 (0: none), body from file or a plain one; not forwarded
 *     answer                     like status with 200 and JSON from file: the stub server
 *     truncate cut stall_body    after arg bytes of the answer's body: close, reset, or hold for arg2 ms and close
 *     corrupt  corrupt_request   flip one bit of byte arg of the answer's body, the request's body
 *     cut_request                reset both sides after arg bytes of the request's body
 *     trickle                    the answer's body at arg bytes a second
 *     date                       the answer's Date header is arg seconds later
 *     skew                       like date, and a request whose x-amz-date is more than arg2 seconds away from that clock is refused
 *                                as S3 does (403 RequestTimeTooSkewed)
 *
 * LOG gets a line per request when it has ended: start and end in µs, connection, port, method, target, status (0: none was passed on),
 * body bytes up, body bytes down, the rule's action or "-".
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fnmatch.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { HEAD_MAX = 256 * 1024, PIECE = 256 * 1024, RULES_MAX = 64, PORTS_MAX = 8, IDLE_S = 300 };

typedef struct rule {
    char action[24], method[16], path[512], auth[256];
    int port, permille;
    long skip, count, arg, arg2, hold_ms;
    long matched, hits;
    char *body;
    size_t body_len;
} rule;

typedef struct port_map { int port, upstream, listener; long delay_ms; } port_map;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static rule *rules[RULES_MAX];      /* kept until the program ends: a connection may still use a forgotten one */
static int n_rules;
static port_map ports[PORTS_MAX];
static int n_ports, n_conns, n_busy; /* n_busy: requests that aren't in the log yet */
static uint64_t chance = 88172645463325252u;
static FILE *log_file;

static int64_t now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000ll + t.tv_nsec / 1000;
}

static void sleep_ms(long ms)
{
    struct timespec t = {ms / 1000, ms % 1000 * 1000000};
    while (nanosleep(&t, &t) && errno == EINTR) {}
}

/* ---- connections ---- */

/* A socket with what was read ahead of it. */
typedef struct stream { int fd; size_t pos, have; char *buf; } stream;

static bool stream_fill(stream *s)
{
    ssize_t n;
    do n = recv(s->fd, s->buf, PIECE, 0); while (n < 0 && errno == EINTR);
    s->pos = 0;
    s->have = n > 0 ? (size_t)n : 0;
    return n > 0;
}

static bool send_all(int fd, const char *p, size_t n)
{
    while (n) {
        ssize_t k = send(fd, p, n, MSG_NOSIGNAL);
        if (k < 0 && errno == EINTR) continue;
        if (k <= 0) return false;
        p += k;
        n -= (size_t)k;
    }
    return true;
}

/* Up to and with `end`, into out; 0 when the connection ended before, or it doesn't fit. */
static size_t stream_until(stream *s, const char *end, char *out, size_t max)
{
    size_t n = 0, m = strlen(end);
    for (;;) {
        if (s->pos == s->have && !stream_fill(s)) return 0;
        while (s->pos < s->have) {
            if (n + 1 >= max) return 0;
            out[n++] = s->buf[s->pos++];
            if (n >= m && out[n - 1] == end[m - 1] && !memcmp(out + n - m, end, m)) {
                out[n] = 0;
                return n;
            }
        }
    }
}

static void reset_fd(int fd)
{
    struct linger l = {1, 0};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &l, sizeof l);
}

static void no_delay(int fd)
{
    int one = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
}

static int connect_to(int port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&a, sizeof a)) {
        close(fd);
        return -1;
    }
    if (fd >= 0) no_delay(fd);
    return fd;
}

/* ---- heads ---- */

/* The value of a header, not terminated; NULL if it isn't there. */
static const char *header(const char *head, const char *name, size_t *len)
{
    size_t n = strlen(name);
    for (const char *line = strstr(head, "\r\n"); line && line[2] && line[2] != '\r'; line = strstr(line + 2, "\r\n"))
        if (!strncasecmp(line + 2, name, n) && line[2 + n] == ':') {
            const char *v = line + 3 + n;
            while (*v == ' ') v++;
            *len = strcspn(v, "\r");
            return v;
        }
    return NULL;
}

static bool header_has(const char *head, const char *name, const char *word)
{
    size_t len, n = strlen(word);
    const char *v = header(head, name, &len);
    for (; v && len >= n; v++, len--)
        if (!strncasecmp(v, word, n)) return true;
    return false;
}

typedef struct framing { bool chunked, to_end; long long length; } framing;

static framing framing_of(const char *head)
{
    framing f = {0};
    size_t len;
    const char *v = header(head, "content-length", &len);
    if (header_has(head, "transfer-encoding", "chunked")) f.chunked = true;
    else if (v) f.length = strtoll(v, NULL, 10);
    else f.to_end = true;
    return f;
}

/* ---- bodies ---- */

/* What is done to the bytes of a body on their way. */
typedef struct spoil { long long done, cut_at, flip_at; long rate; } spoil;
typedef enum { MOVED, FROM_ENDED, TO_ENDED, CUT } moved;

static moved move_bytes(stream *from, int to, long long n, spoil *sp)
{
    while (n) {
        if (sp->cut_at >= 0 && sp->done >= sp->cut_at) return CUT;
        if (from->pos == from->have && !stream_fill(from)) return FROM_ENDED;
        long long k = (long long)(from->have - from->pos);
        if (n > 0 && k > n) k = n;
        if (sp->cut_at >= 0 && k > sp->cut_at - sp->done) k = sp->cut_at - sp->done;
        if (sp->rate > 0 && k > sp->rate / 20 + 1) k = sp->rate / 20 + 1;
        if (sp->flip_at >= sp->done && sp->flip_at < sp->done + k) from->buf[from->pos + (size_t)(sp->flip_at - sp->done)] ^= 4;
        if (to >= 0 && !send_all(to, from->buf + from->pos, (size_t)k)) return TO_ENDED;
        from->pos += (size_t)k;
        sp->done += k;
        if (n > 0) n -= k;
        if (sp->rate > 0) sleep_ms(50);
    }
    return sp->cut_at >= 0 && sp->done >= sp->cut_at ? CUT : MOVED;
}

/* One body as it is framed; to is -1 where nobody gets it. */
static moved move_body(stream *from, int to, framing f, spoil *sp)
{
    if (!f.chunked) {
        moved m = f.to_end ? move_bytes(from, to, -1, sp) : move_bytes(from, to, f.length, sp);
        return f.to_end && m == FROM_ENDED ? MOVED : m;
    }
    for (;;) {
        char line[256];
        size_t k = stream_until(from, "\r\n", line, sizeof line);
        if (!k) return FROM_ENDED;
        if (to >= 0 && !send_all(to, line, k)) return TO_ENDED;
        long long n = strtoll(line, NULL, 16);
        if (!n) {
            do {
                if (!(k = stream_until(from, "\r\n", line, sizeof line))) return FROM_ENDED;
                if (to >= 0 && !send_all(to, line, k)) return TO_ENDED;
            } while (k > 2);
            return MOVED;
        }
        moved m = move_bytes(from, to, n, sp);
        if (m != MOVED) return m;
        if (!(k = stream_until(from, "\r\n", line, sizeof line))) return FROM_ENDED;
        if (to >= 0 && !send_all(to, line, k)) return TO_ENDED;
    }
}

/* ---- rules ---- */

/* The rule for a request, counted as applied, or NULL. */
static rule *rule_for(int port, const char *method, const char *target, const char *head)
{
    rule *found = NULL;
    pthread_mutex_lock(&lock);
    for (int i = 0; i < n_rules && !found; i++) {
        rule *r = rules[i];
        if (r->port && r->port != port) continue;
        if (r->method[0] && strcmp(r->method, method)) continue;
        if (r->path[0] && fnmatch(r->path, target, 0)) continue;
        if (r->auth[0] && !header_has(head, "authorization", r->auth)) continue;
        if (r->matched++ < r->skip || (r->count && r->hits >= r->count)) continue;
        chance ^= chance << 13, chance ^= chance >> 7, chance ^= chance << 17;
        if ((long)(chance % 1000) >= r->permille) continue;
        r->hits++;
        found = r;
    }
    pthread_mutex_unlock(&lock);
    return found;
}

static bool is(const rule *r, const char *action) { return r && !strcmp(r->action, action); }

static long delay_of(int port)
{
    long ms = 0;
    pthread_mutex_lock(&lock);
    for (int i = 0; i < n_ports; i++)
        if (ports[i].port == port) ms = ports[i].delay_ms;
    pthread_mutex_unlock(&lock);
    return ms;
}

static void http_date(char *out, size_t n, time_t t)
{
    struct tm tm;
    gmtime_r(&t, &tm);
    strftime(out, n, "%a, %d %b %Y %H:%M:%S GMT", &tm);
}

/* The time of a signed request is too far from the clock that the rule pretends. */
static bool skewed(const rule *r, const char *head)
{
    size_t len;
    struct tm tm = {0};
    const char *v = header(head, "x-amz-date", &len);
    if (!v || !strptime(v, "%Y%m%dT%H%M%SZ", &tm)) return false;
    double off = difftime(timegm(&tm), time(NULL) + r->arg);
    return off > (double)r->arg2 || off < -(double)r->arg2;
}

/* The answer's head with its Date later by so many seconds. */
static size_t move_date(char *head, size_t n, size_t max, long seconds)
{
    size_t len;
    const char *v = header(head, "date", &len);
    struct tm tm = {0};
    if (!v || !strptime(v, "%a, %d %b %Y %H:%M:%S", &tm)) return n;
    char date[64];
    http_date(date, sizeof date, timegm(&tm) + seconds);
    size_t at = (size_t)(v - head), k = strlen(date);
    if (n - len + k + 1 > max) return n;
    memmove(head + at + k, head + at + len, n - at - len + 1);
    memcpy(head + at, date, k);
    return n - len + k;
}

/* ---- one request ---- */

typedef struct talk {
    stream client, server;
    int port, upstream, id;
    char *head, *reply;
    char method[16], target[4096];
    int status;
    long long up, down;
} talk;

static bool say(talk *t, int status, long retry_after, long clock, const char *type, const char *body, size_t len)
{
    char head[512], date[64], retry[64] = "";
    http_date(date, sizeof date, time(NULL) + clock);
    if (retry_after) snprintf(retry, sizeof retry, "Retry-After: %ld\r\n", retry_after);
    int k = snprintf(head, sizeof head, "HTTP/1.1 %d %s\r\nDate: %s\r\nContent-Type: %s\r\n%sContent-Length: %zu\r\n\r\n", status,
                     status < 300 ? "OK" : "Spoiled", date, type, retry, len);
    t->status = status;
    if (!strcmp(t->method, "HEAD")) return send_all(t->client.fd, head, (size_t)k);
    t->down = (long long)len;
    if (len > 60000) return send_all(t->client.fd, head, (size_t)k) && send_all(t->client.fd, body, len);
    char whole[60512];
    memcpy(whole, head, (size_t)k);
    memcpy(whole + k, body, len);
    return send_all(t->client.fd, whole, (size_t)k + len);
}

/* An answer that comes from here; the request's body is read and dropped first. */
static bool answer_here(talk *t, rule *r, framing f)
{
    spoil none = {.cut_at = -1, .flip_at = -1};
    if (!f.to_end && move_body(&t->client, -1, f, &none) != MOVED) return false;
    t->up = none.done;
    if (is(r, "skew")) {
        char body[300], when[64];
        time_t now = time(NULL) + r->arg;
        struct tm tm;
        strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &tm));
        int n = snprintf(body, sizeof body, "<?xml version=\"1.0\"?><Error><Code>RequestTimeTooSkewed</Code><Message>The difference between the request "
                         "time and the current time is too large.</Message><ServerTime>%s</ServerTime></Error>", when);
        return say(t, 403, 0, r->arg, "application/xml", body, (size_t)n);
    }
    if (r->body) return say(t, is(r, "answer") ? 200 : (int)r->arg, r->arg2, 0, r->body[0] == '<' ? "application/xml" : "application/json",
                            r->body, r->body_len);
    return say(t, (int)r->arg, r->arg2, 0, "text/plain", "spoiled by the fault proxy\n", 27);
}

/* Sends the request to the server. False: nothing more can come of this connection. */
static bool forward(talk *t, rule *r, framing f, size_t head_len)
{
    bool reused = t->server.fd >= 0;
    struct pollfd p = {t->server.fd, POLLIN, 0};
    if (reused && (t->server.pos < t->server.have || poll(&p, 1, 0) > 0)) { /* closed by the server meanwhile */
        close(t->server.fd);
        reused = false;
    }
    if (!reused) {
        t->server.fd = connect_to(t->upstream);
        t->server.pos = t->server.have = 0;
        if (t->server.fd < 0) return false;
    }
    if (header_has(t->head, "expect", "100-continue") && !send_all(t->client.fd, "HTTP/1.1 100 Continue\r\n\r\n", 25)) return false;
    if (!send_all(t->server.fd, t->head, head_len)) return false;
    if (f.to_end) return true; /* a request without length has no body */
    spoil sp = {.cut_at = is(r, "cut_request") ? r->arg : -1, .flip_at = is(r, "corrupt_request") ? r->arg : -1};
    moved m = move_body(&t->client, t->server.fd, f, &sp);
    t->up = sp.done;
    if (m == CUT) {
        reset_fd(t->client.fd);
        reset_fd(t->server.fd);
    }
    return m == MOVED || m == TO_ENDED; /* the server may have answered before it had it all */
}

/* Passes the answer on, spoiled where the rule says so. True: the connection can be used again. */
static bool pass_on(talk *t, rule *r)
{
    size_t n;
    do n = stream_until(&t->server, "\r\n\r\n", t->reply, HEAD_MAX); while (n && !strncmp(t->reply, "HTTP/1.1 1", 10));
    if (!n) return false;
    int status = atoi(t->reply + 9);
    framing f = framing_of(t->reply);
    if (!strcmp(t->method, "HEAD") || status == 204 || status == 304) f = (framing){0};
    bool drop = is(r, "reset_after") || is(r, "lost");
    if (is(r, "date") || is(r, "skew")) n = move_date(t->reply, n, HEAD_MAX, r->arg);
    spoil sp = {.cut_at = is(r, "truncate") || is(r, "cut") || is(r, "stall_body") ? r->arg : -1,
                .flip_at = is(r, "corrupt") ? r->arg : -1, .rate = is(r, "trickle") ? r->arg : 0};
    if (!drop) {
        t->status = status;
        if (!send_all(t->client.fd, t->reply, n)) return false;
    }
    moved m = move_body(&t->server, drop ? -1 : t->client.fd, f, &sp);
    t->down = drop ? 0 : sp.done;
    if (is(r, "reset_after") || (is(r, "cut") && m == CUT)) reset_fd(t->client.fd);
    if (is(r, "stall_body") && m == CUT) sleep_ms(r->arg2);
    if (header_has(t->reply, "connection", "close") || f.to_end) return false;
    return m == MOVED && !drop;
}

static bool one_request(talk *t, rule **used, int64_t *start)
{
    size_t n = stream_until(&t->client, "\r\n\r\n", t->head, HEAD_MAX);
    if (!n) return false;
    *start = now_us();
    __atomic_add_fetch(&n_busy, 1, __ATOMIC_SEQ_CST);
    t->status = 0;
    t->up = t->down = 0;
    if (sscanf(t->head, "%15s %4095s", t->method, t->target) != 2) return false;
    framing f = framing_of(t->head);
    long ms = delay_of(t->port);
    if (ms) sleep_ms(ms);
    rule *r = *used = rule_for(t->port, t->method, t->target, t->head);
    bool go_on = !header_has(t->head, "connection", "close");
    if (r && r->hold_ms) sleep_ms(r->hold_ms);
    if (is(r, "reset_before")) {
        reset_fd(t->client.fd);
        return false;
    }
    if (is(r, "stall")) {
        sleep_ms(r->arg);
        if (!r->arg2) return false;
    }
    if (is(r, "status") || is(r, "answer") || (is(r, "skew") && skewed(r, t->head))) return answer_here(t, r, f) && go_on;
    if (!t->upstream) {
        say(t, 404, 0, 0, "text/plain", "no rule\n", 8);
        return false;
    }
    return forward(t, r, f, n) && pass_on(t, r) && go_on;
}

static void *serve(void *arg)
{
    talk *t = arg;
    for (bool more = true; more;) {
        rule *r = NULL;
        int64_t start = 0;
        more = one_request(t, &r, &start);
        if (!start) break;
        pthread_mutex_lock(&lock);
        fprintf(log_file, "%lld\t%lld\t%d\t%d\t%s\t%s\t%d\t%lld\t%lld\t%s\n", (long long)start, (long long)now_us(), t->id, t->port, t->method,
                t->target, t->status, t->up, t->down, r ? r->action : "-");
        __atomic_sub_fetch(&n_busy, 1, __ATOMIC_SEQ_CST);
        pthread_mutex_unlock(&lock);
    }
    close(t->client.fd);
    if (t->server.fd >= 0) close(t->server.fd);
    free(t->client.buf);
    free(t->server.buf);
    free(t->head);
    free(t->reply);
    free(t);
    return NULL;
}

static void *listen_on(void *arg)
{
    port_map *m = arg;
    for (;;) {
        int fd = accept4(m->listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0) {
            sleep_ms(10);
            continue;
        }
        no_delay(fd);
        struct timeval idle = {IDLE_S, 0};
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &idle, sizeof idle);
        talk *t = calloc(1, sizeof *t);
        t->client = (stream){fd, 0, 0, malloc(PIECE)};
        t->server = (stream){-1, 0, 0, malloc(PIECE)};
        t->head = malloc(HEAD_MAX);
        t->reply = malloc(HEAD_MAX);
        t->port = m->port;
        t->upstream = m->upstream;
        t->id = __atomic_add_fetch(&n_conns, 1, __ATOMIC_RELAXED);
        pthread_t th;
        if (pthread_create(&th, NULL, serve, t)) exit(1);
        pthread_detach(th);
    }
    return NULL;
}

/* ---- commands ---- */

static char *slurp(const char *path, size_t *len)
{
    FILE *f = fopen(path, "rb");
    struct stat st;
    if (!f || fstat(fileno(f), &st)) return NULL;
    char *p = malloc((size_t)st.st_size + 1);
    *len = fread(p, 1, (size_t)st.st_size, f);
    fclose(f);
    return p;
}

/* key=value words; a value ends at a tab, so that it may hold spaces. */
static const char *add_rule(char *text)
{
    rule *r = calloc(1, sizeof *r);
    r->permille = 1000;
    char *save = NULL;
    for (char *w = strtok_r(text, "\t\n", &save); w; w = strtok_r(NULL, "\t\n", &save)) {
        char *v = strchr(w, '=');
        if (!v) return "no '='";
        *v++ = 0;
        if (!strcmp(w, "action")) snprintf(r->action, sizeof r->action, "%s", v);
        else if (!strcmp(w, "method")) snprintf(r->method, sizeof r->method, "%s", v);
        else if (!strcmp(w, "path")) snprintf(r->path, sizeof r->path, "%s", v);
        else if (!strcmp(w, "auth")) snprintf(r->auth, sizeof r->auth, "%s", v);
        else if (!strcmp(w, "port")) r->port = atoi(v);
        else if (!strcmp(w, "permille")) r->permille = atoi(v);
        else if (!strcmp(w, "skip")) r->skip = atol(v);
        else if (!strcmp(w, "count")) r->count = atol(v);
        else if (!strcmp(w, "hold")) r->hold_ms = atol(v);
        else if (!strcmp(w, "arg")) r->arg = atol(v);
        else if (!strcmp(w, "arg2")) r->arg2 = atol(v);
        else if (!strcmp(w, "file")) {
            if (!(r->body = slurp(v, &r->body_len))) return "no such file";
        } else return "unknown key";
    }
    static const char *const known[] = {"reset_before", "reset_after", "lost", "stall", "status", "answer", "truncate", "cut", "stall_body",
                                        "corrupt", "corrupt_request", "cut_request", "trickle", "date", "skew", "pass"};
    bool ok = false;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) ok |= !strcmp(known[i], r->action);
    if (!ok) return "unknown action";
    pthread_mutex_lock(&lock);
    ok = n_rules < RULES_MAX;
    if (ok) rules[n_rules++] = r;
    pthread_mutex_unlock(&lock);
    return ok ? NULL : "too many rules";
}

static void command(char *line)
{
    const char *wrong = NULL;
    int port;
    long ms;
    if (!strncmp(line, "rule\t", 5)) wrong = add_rule(line + 5);
    else if (sscanf(line, "delay %d %ld", &port, &ms) == 2) {
        pthread_mutex_lock(&lock);
        for (int i = 0; i < n_ports; i++)
            if (!port || ports[i].port == port) ports[i].delay_ms = ms;
        pthread_mutex_unlock(&lock);
    } else if (!strncmp(line, "clear", 5)) {
        pthread_mutex_lock(&lock);
        n_rules = 0;
        for (int i = 0; i < n_ports; i++) ports[i].delay_ms = 0;
        pthread_mutex_unlock(&lock);
    } else if (!strncmp(line, "hits", 4)) {
        pthread_mutex_lock(&lock);
        for (int i = 0; i < n_rules; i++) printf("%ld ", rules[i]->hits);
        pthread_mutex_unlock(&lock);
    } else if (!strncmp(line, "sync", 4)) {
        for (int i = 0; i < 50 && __atomic_load_n(&n_busy, __ATOMIC_SEQ_CST); i++) sleep_ms(2);
        pthread_mutex_lock(&lock);
        fflush(log_file);
        pthread_mutex_unlock(&lock);
    } else wrong = "unknown command";
    printf("%s%s\n", wrong ? "error: " : "ok", wrong ? wrong : "");
    fflush(stdout);
}

int main(int argc, char **argv)
{
    signal(SIGPIPE, SIG_IGN);
    if (argc < 3 || argc - 2 > PORTS_MAX || !(log_file = fopen(argv[1], "w"))) {
        fprintf(stderr, "usage: fault_proxy LOG PORT=UPSTREAM_PORT …\n");
        return 2;
    }
    for (int i = 2; i < argc; i++) {
        port_map *m = &ports[n_ports++];
        struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        int one = 1;
        pthread_t th;
        if (sscanf(argv[i], "%d=%d", &m->port, &m->upstream) != 2) return 2;
        a.sin_port = htons((uint16_t)m->port);
        m->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        setsockopt(m->listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
        if (bind(m->listener, (struct sockaddr *)&a, sizeof a) || listen(m->listener, 256)) {
            perror("fault_proxy");
            return 1;
        }
        if (pthread_create(&th, NULL, listen_on, m)) return 1;
    }
    printf("ready\n");
    fflush(stdout);
    static char line[8192];
    while (fgets(line, sizeof line, stdin)) command(line);
    fflush(log_file);
    return 0;
}
