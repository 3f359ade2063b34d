/*
 * http_attempt.c: one try of one request: its headers and signature, its handle, where the bytes go, and what becomes of it.
 *
 *            attempt_start                 attempt_end
 *   waiting ───────────────> under way ──────────────────> done
 *      ^                         │
 *      └─────────────────────────┘  a failure that may be tried again, after a back-off
 *
 * All of it runs on the event loop, but for signing, which also happens in http_send and on threads of its own.
 * A request whose body went to dst or take is resumed behind the last byte where it has a range header.
 */
#include "io/http_int.h"

#include <sys/random.h>

#define AGAIN_MAX      3
#define ATTEMPTS_MAX   100   /* also of one that makes a little progress each time */
#define BACKOFF_MS     100
#define BACKOFF_MAX_MS 8000
#define RETRY_AFTER_MAX_MS 60000
#define NAME_RETRY_MS  3000
#define CONNECT_RETRY_MS 10000
#define REDIRECTS_MAX  5

/* ---- headers and signature ---- */

fz_status attempt_sign(http_private *p, bool may_wait, fz_error *err)
{
    http_request *r = p->r;
    arena_reset(&p->attempt);
    r->n_headers = p->n_own;
    if (p->range_header >= 0) {
        http_header *h = &r->headers[p->range_header];
        h->value = p->range_own;
        if (p->got) {
            char text[64];
            uint64_t from = p->range_first + p->got;
            int n = p->range_open ? snprintf(text, sizeof text, "bytes=%llu-", (unsigned long long)from)
                                  : snprintf(text, sizeof text, "bytes=%llu-%llu", (unsigned long long)from, (unsigned long long)p->range_last);
            h->value = (str){arena_strndup(&p->attempt, text, (size_t)n), (size_t)n};
            if (!h->value.p)
                return error_nomem(err);
        }
    }
    r->sign_later = false;
    r->may_wait = may_wait;
    return r->sign ? r->sign(r, &p->attempt, err) : FZ_OK;
}

static bool line_is_clean(str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] == '\r' || s.p[i] == '\n' || s.p[i] == 0)
            return false;
    return true;
}

static fz_status line_add(http_private *p, const char *line, fz_error *err)
{
    struct curl_slist *more = p->c->lib->slist_append(p->lines, line);
    if (!more)
        return error_nomem(err);
    p->lines = more;
    return FZ_OK;
}

static fz_status lines_make(http_private *p, fz_error *err)
{
    const http_request *r = p->r;
    sbuf line;
    sbuf_init(&line, p->c->m);
    fz_status st = FZ_OK;
    for (uint32_t i = 0; i < r->n_headers && st == FZ_OK; i++) {
        const http_header *h = &r->headers[i];
        if (h->name.n == 0 || !line_is_clean(h->name) || !line_is_clean(h->value)) {
            st = error_set(err, FZ_INVALID, "a request header holds a line break or no name");
            break;
        }
        sbuf_clear(&line);
        sbuf_str(&line, h->name);
        sbuf_addz(&line, h->value.n ? ": " : ";"); /* libcurl's way to say an empty value */
        sbuf_str(&line, h->value);
        st = line.failed ? error_nomem(err) : line_add(p, line.p, err);
    }
    sbuf_free(&line);
    /* Not wanted: a wait for "100 Continue", which costs a round trip, and a content type nobody gave. */
    return st == FZ_OK ? line_add(p, "Expect:", err) : st;
}

/* ---- libcurl's callbacks ---- */

static size_t write_fails(http_private *p, fz_status st)
{
    p->write_status = st;
    return CURL_WRITEFUNC_ERROR;
}

/* Whether a partial answer begins where it should: "bytes first-last/total". */
static fz_status content_range_check(http_private *p)
{
    str v = http_response_header(p->r, "content-range");
    uint64_t want = p->range_first + p->got_before;
    int64_t first = -1;
    if (str_starts(v, STR("bytes "))) {
        v = (str){v.p + 6, v.n - 6};
        const char *dash = memchr(v.p, '-', v.n);
        if (dash && !str_to_i64((str){v.p, (size_t)(dash - v.p)}, &first))
            first = -1;
    }
    if (first < 0 || (uint64_t)first != want)
        return error_set(&p->write_error, FZ_DATA, "the server sent another range than was asked for (from byte %llu)", (unsigned long long)want);
    return FZ_OK;
}

static fz_status body_begin(http_private *p)
{
    long code = 0;
    p->c->lib->easy_getinfo(p->easy, CURLINFO_RESPONSE_CODE, &code);
    p->r->code = (int)code;
    p->body_seen = true;
    p->body_ours = code >= 200 && code < 300 && (p->r->dst || p->r->take);
    p->skip = 0;
    p->partial = false;
    if (!p->body_ours || p->range_header < 0)
        return FZ_OK;
    p->partial = code == 206 || http_response_header(p->r, "content-range").n; /* some send a part with 200 */
    if (p->partial)
        return content_range_check(p);
    p->skip = p->range_first + p->got_before; /* a server that knows no ranges sends all of it */
    return FZ_OK;
}

/* How many bytes are still wanted. */
static size_t body_room(const http_private *p)
{
    if (p->r->dst)
        return p->r->dst_n - p->got;
    if (p->range_header < 0 || p->range_open)
        return SIZE_MAX;
    uint64_t all = p->range_last - p->range_first + 1;
    return all > p->got ? (size_t)(all - p->got) : 0;
}

static size_t body_ours_take(http_private *p, const char *at, size_t n)
{
    http_request *r = p->r;
    size_t all = n;
    if (p->skip) {
        size_t drop = p->skip < n ? (size_t)p->skip : n;
        p->skip -= drop;
        at += drop;
        n -= drop;
    }
    size_t room = body_room(p), keep = n < room ? n : room;
    if (n > room && p->partial)
        return write_fails(p, error_set(&p->write_error, FZ_DATA, "the server sent more bytes than were asked for"));
    if (keep && r->dst) {
        memcpy((char *)r->dst + p->got, at, keep);
    } else if (keep) {
        fz_status st = r->take(r, at, keep, &p->write_error);
        if (st != FZ_OK)
            return write_fails(p, st);
    }
    p->got += keep;
    if (n > room) {
        if (p->range_header < 0)
            return write_fails(p, error_set(&p->write_error, FZ_DATA, "the server sent more bytes than the file has"));
        p->complete = true;
        return CURL_WRITEFUNC_ERROR;
    }
    return all;
}

static size_t body_buffer(http_private *p, const char *at, size_t n)
{
    http_request *r = p->r;
    bool good = r->code >= 200 && r->code < 300;
    size_t max = !good ? ERROR_BODY_MAX : r->max_body ? r->max_body : BODY_MAX_DEFAULT, all = n;
    size_t have = r->response ? r->response->size : 0;
    if (n > max - have) {
        if (good)
            return write_fails(p, error_set(&p->write_error, FZ_LIMIT, "the answer has more than %zu bytes", max));
        n = max - have;
    }
    if (!r->response) {
        r->response = buf_new(r->m, n < 4096 ? 4096 : n);
        if (!r->response)
            return write_fails(p, error_nomem(&p->write_error));
        r->response->size = 0;
    }
    if (have + n > r->response->cap && !buf_reserve(r->response, (have + n) * 2 < max ? (have + n) * 2 : max))
        return write_fails(p, error_nomem(&p->write_error));
    memcpy(r->response->data + have, at, n);
    r->response->size = have + n;
    return all;
}

static size_t on_write(char *at, size_t size, size_t count, void *ctx)
{
    http_private *p = ctx;
    size_t n = size * count;
    if (!p->body_seen) {
        fz_status st = body_begin(p);
        if (st != FZ_OK)
            return write_fails(p, st);
    }
    return p->body_ours ? body_ours_take(p, at, n) : body_buffer(p, at, n);
}

static size_t on_header(char *at, size_t size, size_t count, void *ctx)
{
    http_private *p = ctx;
    http_request *r = p->r;
    size_t n = size * count;
    str line = str_trim((str){at, n});
    if (str_starts(line, STR("HTTP/"))) { /* of a redirect's target, or after "100 Continue" */
        arena_reset(&p->answer);
        r->n_response_headers = 0;
        r->response_headers = NULL;
        return n;
    }
    const char *colon = memchr(line.p, ':', line.n);
    if (!colon || r->n_response_headers == RESPONSE_HEADERS_MAX)
        return n;
    if (!r->response_headers) {
        r->response_headers = ARENA_ARRAY(&p->answer, http_header, RESPONSE_HEADERS_MAX);
        if (!r->response_headers)
            return 0;
    }
    str name = {line.p, (size_t)(colon - line.p)}, value = str_trim((str){colon + 1, (size_t)(line.p + line.n - colon - 1)});
    char *k = arena_strndup(&p->answer, name.p, name.n), *v = arena_strndup(&p->answer, value.p, value.n);
    if (!k || !v)
        return 0;
    for (size_t i = 0; i < name.n; i++)
        if (k[i] >= 'A' && k[i] <= 'Z')
            k[i] = (char)(k[i] + 32);
    r->response_headers[r->n_response_headers++] = (http_header){{k, name.n}, {v, value.n}};
    return n;
}

static size_t on_read(char *to, size_t size, size_t count, void *ctx)
{
    http_private *p = ctx;
    size_t n = size * count, left = p->r->body_n - p->sent;
    n = n < left ? n : left;
    if (n)
        memcpy(to, (const char *)p->r->body + p->sent, n);
    p->sent += n;
    return n;
}

/* libcurl sends a body again by itself where a kept connection turns out to be closed. What must not reach the server twice
 * must not. */
static int on_seek(void *ctx, curl_off_t offset, int origin)
{
    http_private *p = ctx;
    if (!p->r->retry && p->sent) {
        p->rewound = true;
        return CURL_SEEKFUNC_FAIL;
    }
    p->r->attempts += p->sent > 0;
    if (origin != SEEK_SET || offset < 0 || (uint64_t)offset > p->r->body_n)
        return CURL_SEEKFUNC_FAIL;
    p->sent = (size_t)offset;
    return CURL_SEEKFUNC_OK;
}

/* ---- the handle ---- */

static void options_tls(const http_client *c, CURL *e)
{
    const lib_curl *lib = c->lib;
    if (c->o.ca_file)
        lib->easy_setopt(e, CURLOPT_CAINFO, c->o.ca_file);
    if (c->o.cert_file)
        lib->easy_setopt(e, CURLOPT_SSLCERT, c->o.cert_file);
    if (c->o.key_file)
        lib->easy_setopt(e, CURLOPT_SSLKEY, c->o.key_file);
    if (c->o.insecure) {
        lib->easy_setopt(e, CURLOPT_SSL_VERIFYPEER, 0L);
        lib->easy_setopt(e, CURLOPT_SSL_VERIFYHOST, 0L);
    }
    if (c->o.proxy)
        lib->easy_setopt(e, CURLOPT_PROXY, c->o.proxy);
}

static void options_method(http_private *p, CURL *e)
{
    const lib_curl *lib = p->c->lib;
    http_request *r = p->r;
    bool post = strcmp(r->method, "POST") == 0, put = strcmp(r->method, "PUT") == 0;
    if (strcmp(r->method, "HEAD") == 0) {
        lib->easy_setopt(e, CURLOPT_NOBODY, 1L);
    } else if (r->body_n || post || put || strcmp(r->method, "PATCH") == 0) {
        lib->easy_setopt(e, CURLOPT_UPLOAD, 1L);
        lib->easy_setopt(e, CURLOPT_INFILESIZE_LARGE, (curl_off_t)r->body_n);
        lib->easy_setopt(e, CURLOPT_READFUNCTION, on_read);
        lib->easy_setopt(e, CURLOPT_READDATA, p);
        lib->easy_setopt(e, CURLOPT_SEEKFUNCTION, on_seek);
        lib->easy_setopt(e, CURLOPT_SEEKDATA, p);
        if (r->body_n > 65536)
            lib->easy_setopt(e, CURLOPT_UPLOAD_BUFFERSIZE, 512L << 10);
        if (!put)
            lib->easy_setopt(e, CURLOPT_CUSTOMREQUEST, r->method);
    } else if (strcmp(r->method, "GET") != 0) {
        lib->easy_setopt(e, CURLOPT_CUSTOMREQUEST, r->method);
    }
    /* Without a body nothing tells on_seek of a second sending: such a request gets a connection that no one closed meanwhile. */
    if (!r->retry && r->body_n == 0 && strcmp(r->method, "GET") != 0 && strcmp(r->method, "HEAD") != 0)
        lib->easy_setopt(e, CURLOPT_FRESH_CONNECT, 1L);
    bool follow = !r->sign && (strcmp(r->method, "GET") == 0 || strcmp(r->method, "HEAD") == 0);
    if (follow) {
        lib->easy_setopt(e, CURLOPT_FOLLOWLOCATION, 1L);
        lib->easy_setopt(e, CURLOPT_MAXREDIRS, (long)REDIRECTS_MAX);
    }
}

static fz_status options_set(http_private *p, CURL *e, fz_error *err)
{
    const lib_curl *lib = p->c->lib;
    const http_request *r = p->r;
    bool https = strncasecmp(r->url, "https:", 6) == 0;
    if (lib->easy_setopt(e, CURLOPT_URL, r->url) != CURLE_OK)
        return error_nomem(err);
    lib->easy_setopt(e, CURLOPT_PRIVATE, p);
    lib->easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
    lib->easy_setopt(e, CURLOPT_PATH_AS_IS, 1L); /* keys are used byte for byte */
    lib->easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https");
    lib->easy_setopt(e, CURLOPT_REDIR_PROTOCOLS_STR, https ? "https" : "http,https");
    lib->easy_setopt(e, CURLOPT_USERAGENT, "frazil/" FRAZIL_VERSION);
    lib->easy_setopt(e, CURLOPT_ERRORBUFFER, p->what);
    lib->easy_setopt(e, CURLOPT_HTTPHEADER, p->lines);
    lib->easy_setopt(e, CURLOPT_WRITEFUNCTION, on_write);
    lib->easy_setopt(e, CURLOPT_WRITEDATA, p);
    lib->easy_setopt(e, CURLOPT_HEADERFUNCTION, on_header);
    lib->easy_setopt(e, CURLOPT_HEADERDATA, p);
    lib->easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS, (long)p->c->o.connect_timeout_ms);
    lib->easy_setopt(e, CURLOPT_LOW_SPEED_LIMIT, 1L);
    lib->easy_setopt(e, CURLOPT_LOW_SPEED_TIME, (long)((p->c->o.stall_timeout_ms + 999) / 1000));
    lib->easy_setopt(e, CURLOPT_TCP_KEEPALIVE, 1L);
    if (p->deadline_ms) {
        int64_t left = p->deadline_ms - clock_ms();
        lib->easy_setopt(e, CURLOPT_TIMEOUT_MS, (long)(left > 1 ? left : 1));
    }
    if (r->dst || r->take)
        lib->easy_setopt(e, CURLOPT_BUFFERSIZE, r->dst && r->dst_n <= 65536 ? 64L << 10 : 256L << 10);
    else if (strcmp(r->method, "HEAD") != 0) /* whose content-length is asked for */
        lib->easy_setopt(e, CURLOPT_ACCEPT_ENCODING, ""); /* whatever libcurl can undo */
    options_tls(p->c, e);
    options_method(p, e);
    return FZ_OK;
}

static CURL *easy_get(http_client *c)
{
    if (c->n_idle == 0)
        return c->lib->easy_init();
    return c->idle[--c->n_idle];
}

static void easy_put(http_client *c, CURL *e)
{
    if (c->n_idle < IDLE_EASIES_MAX) {
        c->lib->easy_reset(e);
        c->idle[c->n_idle++] = e;
    } else {
        c->lib->easy_cleanup(e);
    }
}

fz_status attempt_start(http_private *p, bool *later, fz_error *err)
{
    http_client *c = p->c;
    http_request *r = p->r;
    *later = false;
    if (!p->signed_already) {
        TRY(attempt_sign(p, false, err));
        if (r->sign_later) {
            *later = true;
            return FZ_OK;
        }
    }
    p->signed_already = false;
    p->attempts++;
    r->attempts++;
    p->body_seen = p->body_ours = p->complete = p->rewound = false;
    p->got_before = p->got;
    p->sent = 0;
    p->what[0] = 0;
    p->write_status = FZ_OK;
    r->code = 0;
    r->n_response_headers = 0;
    if (r->response)
        r->response->size = 0;
    CURL *e = easy_get(c);
    if (!e)
        return error_nomem(err);
    fz_status st = lines_make(p, err);
    if (st == FZ_OK)
        st = options_set(p, e, err);
    if (st == FZ_OK && c->lib->multi_add_handle(c->multi, e) != CURLM_OK)
        st = error_set(err, FZ_IO, "libcurl takes no further request");
    if (st != FZ_OK) {
        easy_put(c, e);
        c->lib->slist_free_all(p->lines);
        p->lines = NULL;
        return st;
    }
    p->easy = e;
    return FZ_OK;
}

void attempt_drop(http_private *p)
{
    if (!p->easy)
        return;
    p->c->lib->multi_remove_handle(p->c->multi, p->easy);
    easy_put(p->c, p->easy);
    p->easy = NULL;
    p->c->lib->slist_free_all(p->lines);
    p->lines = NULL;
}

/* ---- what becomes of it ---- */

/* A wait between half of the step and all of it: clients that failed together don't come back together. */
static int64_t backoff_ms(const http_private *p)
{
    uint32_t shift = p->attempts < 8 ? p->attempts - 1 : 7;
    int64_t step = BACKOFF_MS << shift;
    uint32_t random = 0;
    if (getrandom(&random, sizeof random, GRND_NONBLOCK) != sizeof random)
        random = (uint32_t)clock_ms() * 2654435761u;
    step = step < BACKOFF_MAX_MS ? step : BACKOFF_MAX_MS;
    return step / 2 + (int64_t)(random % (uint32_t)(step / 2 + 1));
}

/* How long the server asks to wait; 0: it doesn't say. */
static int64_t retry_after_ms(const http_request *r)
{
    str v = http_response_header(r, "retry-after");
    int64_t n = 0;
    if (v.n == 0)
        return 0;
    if (str_to_i64(v, &n)) {
        n = n > 0 && n < RETRY_AFTER_MAX_MS / 1000 ? n * 1000 : n > 0 ? RETRY_AFTER_MAX_MS : 0;
    } else {
        int64_t at = http_date_ms(v), now = http_date_ms(http_response_header(r, "date"));
        n = at > 0 && now > 0 && at > now ? at - now : 0;
    }
    return n < RETRY_AFTER_MAX_MS ? n : RETRY_AFTER_MAX_MS;
}

/* Sets when to try again; false: not any more. */
static bool retry_plan(http_private *p, int64_t limit_ms)
{
    int64_t now = clock_ms();
    if (p->first_failure_ms == 0 || p->got > p->got_before)
        p->first_failure_ms = now;
    int64_t wait = backoff_ms(p), asked = retry_after_ms(p->r);
    wait = asked > wait ? asked : wait;
    limit_ms = limit_ms < p->c->o.retry_ms ? limit_ms : p->c->o.retry_ms;
    if (p->attempts >= ATTEMPTS_MAX || now + wait > p->first_failure_ms + limit_ms || (p->deadline_ms && now + wait >= p->deadline_ms))
        return false;
    p->due_ms = now + wait;
    return true;
}

static bool status_passes(const http_request *r)
{
    switch (r->code) {
    case 429: return true;
    case 503: return r->retry || http_response_header(r, "retry-after").n;
    case 500:
    case 502:
    case 504: return r->retry;
    default: return false;
    }
}

static fz_status answer_end(http_private *p, bool *again)
{
    http_request *r = p->r;
    *again = false;
    if (r->again && p->agains < AGAIN_MAX && r->again(r)) {
        p->agains++;
        p->due_ms = clock_ms();
        *again = true;
        return FZ_OK;
    }
    if (status_passes(r)) {
        *again = retry_plan(p, INT64_MAX);
        return FZ_OK;
    }
    if (r->code >= 200 && r->code < 300 && r->dst && p->got < r->dst_n)
        return error_set(&r->error, FZ_DATA, "the server has %zu bytes where %zu were expected", p->got, r->dst_n);
    return FZ_OK;
}

/* Failures that trying again doesn't mend. */
static bool code_is_final(CURLcode code)
{
    switch (code) {
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_URL_MALFORMAT:
    case CURLE_NOT_BUILT_IN:
    case CURLE_OUT_OF_MEMORY:
    case CURLE_TOO_MANY_REDIRECTS:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ENGINE_NOTFOUND:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_CRL_BADFILE:
    case CURLE_BAD_FUNCTION_ARGUMENT: return true;
    default: return false;
    }
}

static void error_place(http_private *p, fz_error *err)
{
    sbuf at;
    sbuf_init(&at, NULL);
    http_url_plain(str_of(p->r->url), &at);
    if (!at.failed && at.n)
        error_where(err, at.p);
    sbuf_free(&at);
}

static fz_status failure_end(http_private *p, CURLcode code, bool never_sent, bool *again)
{
    http_request *r = p->r;
    const char *what = p->what[0] ? p->what : p->c->lib->easy_strerror(code);
    bool name = code == CURLE_COULDNT_RESOLVE_HOST || code == CURLE_COULDNT_RESOLVE_PROXY;
    /* What was handed over by take can't be taken back: then only a range goes on. */
    bool can = r->retry && (!r->take || p->got == 0 || p->range_header >= 0);
    *again = false;
    if (r->dst && p->range_header < 0)
        p->got = 0;
    if (!code_is_final(code) && (never_sent || can)) {
        *again = retry_plan(p, name ? NAME_RETRY_MS : code == CURLE_COULDNT_CONNECT ? CONNECT_RETRY_MS : INT64_MAX);
        if (*again)
            return FZ_OK;
    }
    if (code == CURLE_OUT_OF_MEMORY)
        return error_nomem(&r->error);
    if (code == CURLE_URL_MALFORMAT || code == CURLE_UNSUPPORTED_PROTOCOL)
        return error_set(&r->error, FZ_INVALID, "the URL can't be used: %s", what);
    if (never_sent)
        return error_sql(&r->error, FZ_IO, "08001", "%s", what);
    if (!r->retry)
        return error_sql(&r->error, FZ_UNKNOWN, "08007", "whether the server did it isn't known: %s", what);
    return error_sql(&r->error, FZ_IO, "08006", "%s", what);
}

bool attempt_end(http_private *p, CURLcode code)
{
    http_request *r = p->r;
    const lib_curl *lib = p->c->lib;
    long status = 0, request_size = 0;
    lib->easy_getinfo(p->easy, CURLINFO_RESPONSE_CODE, &status);
    lib->easy_getinfo(p->easy, CURLINFO_REQUEST_SIZE, &request_size);
    bool never_sent = request_size == 0;
    attempt_drop(p);
    r->code = (int)status;
    bool again = false;
    if (p->write_status != FZ_OK) {
        r->error = p->write_error;
        r->status = p->write_status;
    } else if (code == CURLE_OK || p->complete) {
        r->status = answer_end(p, &again);
    } else {
        r->status = failure_end(p, code, never_sent, &again);
    }
    if (again)
        return false;
    if (r->status != FZ_OK)
        error_place(p, &r->error);
    return true;
}
