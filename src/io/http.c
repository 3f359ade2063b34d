/*
 * http.c: the interface of http.h: clients, sending and waiting, what a status means, texts of URLs. The loop is in http_loop.c, one try of a
 * request in http_attempt.c.
 *
 * A client starts its thread with its first request. After a fork the child has no such thread: the first request there makes everything
 * anew and leaves the parent's half alone (its memory and sockets are lost to the child, which is bounded by one client).
 */
#include "io/http_int.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

int64_t clock_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* ---- clients ---- */

static bool text_keep(arena *a, const char **text)
{
    if (*text)
        *text = arena_strndup(a, *text, strlen(*text));
    return true;
}

http_client *http_client_new(const http_options *o, mem *m)
{
    http_client *c = mem_zalloc(m, sizeof *c);
    if (!c)
        return NULL;
    c->m = m;
    atomic_init(&c->refs, 1);
    atomic_init(&c->owner, 0);
    pthread_mutex_init(&c->lock, NULL);
    arena_init(&c->texts, m);
    if (o)
        c->o = *o;
    http_options *d = &c->o;
    d->connect_timeout_ms = d->connect_timeout_ms > 0 ? d->connect_timeout_ms : 10000;
    d->stall_timeout_ms = d->stall_timeout_ms > 0 ? d->stall_timeout_ms : 30000;
    d->retry_ms = d->retry_ms > 0 ? d->retry_ms : d->retry_ms < 0 ? 0 : 60000;
    d->max_per_host = d->max_per_host ? d->max_per_host : 24;
    const char **texts[] = {&d->ca_file, &d->cert_file, &d->key_file, &d->proxy};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        bool given = *texts[i] != NULL;
        text_keep(&c->texts, texts[i]);
        if (given && !*texts[i]) {
            http_client_free(c);
            return NULL;
        }
    }
    return c;
}

http_client *http_client_ref(http_client *c)
{
    if (c)
        atomic_fetch_add_explicit(&c->refs, 1, memory_order_relaxed);
    return c;
}

mem *http_client_mem(const http_client *c) { return c->m; }

void http_client_free(http_client *c)
{
    for (uint32_t i = 0; i < c->n_idle; i++)
        c->lib->easy_cleanup(c->idle[i]);
    if (c->multi)
        c->lib->multi_cleanup(c->multi);
    pthread_mutex_destroy(&c->lock);
    arena_free(&c->texts);
    mem_free(c->m, c, sizeof *c);
}

void http_client_unref(http_client *c)
{
    if (!c || atomic_fetch_sub_explicit(&c->refs, 1, memory_order_acq_rel) != 1)
        return;
    bool here = atomic_load(&c->owner) == getpid(); /* else: a child that never sent, or nobody */
    if (!here) {
        if (atomic_load(&c->owner) != 0) { /* the parent's handles aren't ours to close */
            c->multi = NULL;
            c->n_idle = 0;
        }
        http_client_free(c);
        return;
    }
    pthread_t thread = c->thread;
    pthread_mutex_lock(&c->lock);
    c->stop = true;
    if (pthread_equal(pthread_self(), thread)) {
        c->free_self = true;
        pthread_mutex_unlock(&c->lock);
        pthread_detach(thread);
        return;
    }
    c->lib->multi_wakeup(c->multi);
    pthread_mutex_unlock(&c->lock);
    pthread_join(thread, NULL);
    http_client_free(c);
}

/* In a child of fork: a new lock, and nothing of what the parent's thread had. */
static void forked_reset(http_client *c)
{
    int64_t owner = atomic_load(&c->owner), me = getpid();
    while (owner != 0 && owner != me) {
        if (owner == -1) {
            sched_yield();
            owner = atomic_load(&c->owner);
        } else if (atomic_compare_exchange_strong(&c->owner, &owner, -1)) {
            pthread_mutex_init(&c->lock, NULL);
            c->multi = NULL;
            c->started = c->stop = false;
            c->incoming = c->active = c->waiting = NULL;
            c->n_idle = c->n_jobs = 0;
            atomic_store(&c->owner, 0);
            return;
        }
    }
}

/* Under the lock. */
static fz_status client_start(http_client *c, fz_error *err)
{
    if (c->started)
        return FZ_OK;
    const lib_curl *lib;
    TRY(curl_lib(&lib, err));
    CURLM *multi = lib->multi_init();
    if (!multi)
        return error_nomem(err);
    lib->multi_setopt(multi, CURLMOPT_MAX_HOST_CONNECTIONS, (long)c->o.max_per_host);
    lib->multi_setopt(multi, CURLMOPT_MAXCONNECTS, (long)c->o.max_per_host * 4);
    c->lib = lib;
    c->multi = multi;
    /* Signals are the program's business; a write to a closed connection must not raise SIGPIPE in it either. */
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int e = pthread_create(&c->thread, NULL, http_loop, c);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (e) {
        lib->multi_cleanup(multi);
        c->multi = NULL;
        return error_errno(err, e, NULL, "starting the thread for HTTP");
    }
    c->started = true;
    atomic_store(&c->owner, getpid());
    return FZ_OK;
}

/* ---- requests ---- */

/* "bytes=first-last" or "bytes=first-" */
static void range_parse(http_private *p)
{
    p->range_header = -1;
    for (uint32_t i = 0; i < p->r->n_headers; i++) {
        str v = p->r->headers[i].value;
        if (!str_ieq(p->r->headers[i].name, STR("range")) || !str_starts(v, STR("bytes=")))
            continue;
        str rest = {v.p + 6, v.n - 6};
        const char *dash = memchr(rest.p, '-', rest.n);
        int64_t first, last;
        if (!dash || !str_to_i64((str){rest.p, (size_t)(dash - rest.p)}, &first) || first < 0)
            continue; /* a suffix range, or several: never resumed */
        str tail = {dash + 1, (size_t)(rest.p + rest.n - dash - 1)};
        p->range_open = tail.n == 0;
        if (!p->range_open && (!str_to_i64(tail, &last) || last < first))
            continue;
        p->range_header = (int)i;
        p->range_own = v;
        p->range_first = (uint64_t)first;
        p->range_last = p->range_open ? UINT64_MAX : (uint64_t)last;
        return;
    }
}

static http_private *private_new(http_client *c, http_request *r)
{
    http_private *p = mem_zalloc(c->m, sizeof *p);
    if (!p)
        return NULL;
    p->r = r;
    p->c = c;
    p->n_own = r->n_headers;
    arena_init(&p->answer, c->m);
    arena_init(&p->attempt, c->m);
    range_parse(p);
    p->begun_ms = clock_ms();
    p->deadline_ms = r->timeout_ms > 0 ? p->begun_ms + r->timeout_ms : 0;
    p->due_ms = p->begun_ms;
    return p;
}

void http_send(http_client *c, http_request *r)
{
    r->status = FZ_OK;
    r->code = 0;
    r->attempts = 0;
    r->response = NULL;
    r->n_response_headers = 0;
    r->response_headers = NULL;
    r->m = c->m;
    r->error = (fz_error){.offset = -1, .line = -1, .column = -1};
    http_private *p = r->priv = private_new(c, r);
    fz_status st = p ? FZ_OK : error_nomem(&r->error);
    bool on_loop = atomic_load(&c->owner) == getpid() && pthread_equal(pthread_self(), c->thread); /* a callback sends on: it must not wait */
    if (st == FZ_OK && r->sign && !on_loop) {
        st = attempt_sign(p, true, &r->error);
        p->signed_already = st == FZ_OK;
    }
    if (st == FZ_OK) {
        forked_reset(c);
        pthread_mutex_lock(&c->lock);
        st = client_start(c, &r->error);
        if (st == FZ_OK) {
            p->next = c->incoming;
            c->incoming = p;
            c->lib->multi_wakeup(c->multi);
        }
        pthread_mutex_unlock(&c->lock);
    }
    if (st != FZ_OK) {
        r->status = st;
        r->done(r);
    }
}

void http_wake(http_client *c)
{
    pthread_mutex_lock(&c->lock);
    if (c->started)
        c->lib->multi_wakeup(c->multi);
    pthread_mutex_unlock(&c->lock);
}

struct fetch_wait {
    pthread_mutex_t lock;
    pthread_cond_t cond;
    bool done;
};

static void fetch_done(http_request *r)
{
    struct fetch_wait *w = r->wait;
    pthread_mutex_lock(&w->lock);
    w->done = true;
    pthread_cond_signal(&w->cond); /* under the lock: the waiter may free w once it is released */
    pthread_mutex_unlock(&w->lock);
}

fz_status http_fetch(http_client *c, http_request *r, fz_error *err)
{
    struct fetch_wait w = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false};
    r->done = fetch_done;
    r->wait = &w;
    http_send(c, r);
    pthread_mutex_lock(&w.lock);
    while (!w.done)
        pthread_cond_wait(&w.cond, &w.lock);
    pthread_mutex_unlock(&w.lock);
    pthread_cond_destroy(&w.cond);
    pthread_mutex_destroy(&w.lock);
    r->wait = NULL;
    if (r->status != FZ_OK && err)
        *err = r->error;
    return r->status;
}

void http_response_free(http_request *r)
{
    buf_unref(r->response);
    r->response = NULL;
    r->n_response_headers = 0;
    r->response_headers = NULL;
    http_private *p = r->priv;
    r->priv = NULL;
    if (!p)
        return;
    arena_free(&p->answer);
    arena_free(&p->attempt);
    mem_free(r->m, p, sizeof *p);
}

str http_response_header(const http_request *r, const char *name)
{
    for (uint32_t i = 0; i < r->n_response_headers; i++)
        if (str_eqz(r->response_headers[i].name, name))
            return r->response_headers[i].value;
    return (str){NULL, 0};
}

/* ---- what a status means ---- */

static const struct status_meaning {
    int code;
    fz_status status;
    const char *sqlstate, *reason;
} meanings[] = {
    {400, FZ_INVALID, "22023", "Bad Request"},
    {401, FZ_IO, "28000", "Unauthorized"},
    {403, FZ_IO, "42501", "Forbidden"},
    {404, FZ_NOT_FOUND, NULL, "Not Found"},
    {405, FZ_UNSUPPORTED, NULL, "Method Not Allowed"},
    {406, FZ_UNSUPPORTED, NULL, "Not Acceptable"},
    {408, FZ_IO, NULL, "Request Timeout"},
    {409, FZ_CONFLICT, NULL, "Conflict"},
    {410, FZ_NOT_FOUND, NULL, "Gone"},
    {411, FZ_IO, NULL, "Length Required"},
    {412, FZ_CONFLICT, NULL, "Precondition Failed"},
    {413, FZ_LIMIT, NULL, "Content Too Large"},
    {416, FZ_DATA, NULL, "Range Not Satisfiable"},
    {419, FZ_IO, "28000", "Authentication Timeout"},
    {422, FZ_INVALID, "22023", "Unprocessable Content"},
    {429, FZ_BUSY, NULL, "Too Many Requests"},
    {500, FZ_IO, NULL, "Internal Server Error"},
    {501, FZ_UNSUPPORTED, NULL, "Not Implemented"},
    {502, FZ_IO, NULL, "Bad Gateway"},
    {503, FZ_IO, NULL, "Service Unavailable"},
    {504, FZ_IO, NULL, "Gateway Timeout"},
    {507, FZ_IO, "53100", "Insufficient Storage"},
};

fz_status http_status_error(const http_request *r, str said, fz_error *err)
{
    const struct status_meaning *w = NULL;
    for (size_t i = 0; i < sizeof meanings / sizeof *meanings; i++)
        if (meanings[i].code == r->code)
            w = &meanings[i];
    fz_status st = w ? w->status : FZ_IO;
    said = str_trim(said);
    said.n = utf8_valid_prefix((str){said.p, said.n < 700 ? said.n : 700});
    error_set(err, st, "the server answered %d%s%s%s" STR_FMT, r->code, w ? " " : "", w ? w->reason : "", said.n ? ": " : "", STR_ARG(said));
    if (w && w->sqlstate && err)
        memcpy(err->sqlstate, w->sqlstate, 6);
    if (err && r->url) {
        sbuf at;
        sbuf_init(&at, NULL);
        http_url_plain(str_of(r->url), &at);
        if (!at.failed && at.n)
            error_where(err, at.p);
        sbuf_free(&at);
    }
    return st;
}

/* ---- texts ---- */

void http_escape(str s, bool keep_slash, sbuf *out)
{
    static const char hex[] = "0123456789ABCDEF";
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        bool plain = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' || c == '~' ||
                     (c == '/' && keep_slash);
        if (plain) {
            sbuf_addc(out, (char)c);
        } else {
            char three[3] = {'%', hex[c >> 4], hex[c & 15]};
            sbuf_add(out, three, 3);
        }
    }
}

void http_url_plain(str url, sbuf *out)
{
    size_t n = 0;
    while (n < url.n && url.p[n] != '?' && url.p[n] != '#')
        n++;
    url.n = n;
    size_t host = 0;
    for (size_t i = 0; i + 2 < url.n && !host; i++)
        if (url.p[i] == ':' && url.p[i + 1] == '/' && url.p[i + 2] == '/')
            host = i + 3;
    size_t end = host, at = host;
    while (end < url.n && url.p[end] != '/')
        end++;
    for (size_t i = host; i < end; i++)
        if (url.p[i] == '@')
            at = i + 1;
    sbuf_add(out, url.p, host);
    sbuf_add(out, url.p + at, url.n - at);
}

int64_t http_date_ms(str date)
{
    const lib_curl *lib;
    char z[64];
    if (date.n == 0 || date.n >= sizeof z || curl_lib(&lib, NULL) != FZ_OK)
        return -1;
    memcpy(z, date.p, date.n);
    z[date.n] = 0;
    time_t t = lib->getdate(z, NULL);
    return t == (time_t)-1 ? -1 : (int64_t)t * 1000;
}
