/*
 * sigv4.c: see sigv4.h. AWS Signature Version 4:
 *
 *   canonical request = method \n path \n sorted query \n sorted "name:value\n" \n signed names \n payload hash
 *   string to sign    = "AWS4-HMAC-SHA256" \n time \n date/region/service/aws4_request \n hex(sha256(canonical request))
 *   key               = HMAC(HMAC(HMAC(HMAC("AWS4" secret, date), region), service), "aws4_request")
 *
 * The URL is taken as it is sent, escaped once; a service other than S3 wants the path escaped a second time.
 */
#include "io/aws/sigv4.h"

#include "io/libs.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <time.h>

#define DIGEST 32
#define SIGNED_MAX (HTTP_HEADERS_MAX + 1)
#define QUERY_MAX 128

static void hex_of(const unsigned char *p, char *out)
{
    static const char hex[] = "0123456789abcdef";
    for (int i = 0; i < DIGEST; i++) {
        out[2 * i] = hex[p[i] >> 4];
        out[2 * i + 1] = hex[p[i] & 15];
    }
    out[2 * DIGEST] = 0;
}

fz_status sha256_hex(const void *p, size_t n, char out[65], fz_error *err)
{
    const lib_crypto *lib;
    unsigned char md[DIGEST];
    TRY(crypto_lib(&lib, err));
    if (!lib->digest(n ? p : "", n, md, NULL, lib->sha256(), NULL))
        return error_set(err, FZ_IO, "libcrypto has no SHA-256");
    hex_of(md, out);
    return FZ_OK;
}

/* ---- parts of a URL ---- */

typedef struct url_parts {
    str host, path, query; /* as in the URL; host with the port where it isn't the scheme's own */
} url_parts;

static fz_status url_split(str url, url_parts *out, fz_error *err)
{
    bool https = url.n > 8 && strncasecmp(url.p, "https://", 8) == 0;
    if (!https && !(url.n > 7 && strncasecmp(url.p, "http://", 7) == 0))
        return error_set(err, FZ_INVALID, "only http:// and https:// URLs can be signed");
    size_t at = https ? 8 : 7, i = at;
    while (i < url.n && url.p[i] != '/' && url.p[i] != '?' && url.p[i] != '#')
        i++;
    str host = {url.p + at, i - at};
    for (size_t k = 0; k < host.n; k++) /* user info isn't sent in Host */
        if (host.p[k] == '@') {
            host = (str){host.p + k + 1, host.n - k - 1};
            k = 0;
        }
    str port = https ? STR(":443") : STR(":80");
    if (str_ends(host, port))
        host.n -= port.n;
    size_t path = i;
    while (i < url.n && url.p[i] != '?' && url.p[i] != '#')
        i++;
    out->host = host;
    out->path = (str){url.p + path, i - path};
    out->query = (str){url.p + i, 0};
    if (i < url.n && url.p[i] == '?') {
        size_t q = ++i;
        while (i < url.n && url.p[i] != '#')
            i++;
        out->query = (str){url.p + q, i - q};
    }
    return FZ_OK;
}

static void path_canonical(str path, bool twice, sbuf *out)
{
    if (path.n == 0)
        sbuf_addc(out, '/');
    else if (twice)
        http_escape(path, true, out);
    else
        sbuf_str(out, path);
}

typedef struct query_item { str name, value; } query_item;

static int query_cmp(const void *x, const void *y)
{
    const query_item *a = x, *b = y;
    int c = str_cmp(a->name, b->name);
    return c ? c : str_cmp(a->value, b->value);
}

static fz_status query_canonical(str query, sbuf *out, fz_error *err)
{
    query_item items[QUERY_MAX];
    uint32_t n = 0;
    for (size_t at = 0; at < query.n;) {
        size_t end = at;
        while (end < query.n && query.p[end] != '&')
            end++;
        str item = {query.p + at, end - at};
        const char *eq = memchr(item.p, '=', item.n);
        at = end + 1;
        if (item.n == 0)
            continue;
        if (n == QUERY_MAX)
            return error_set(err, FZ_LIMIT, "a URL with more than %d parameters can't be signed", QUERY_MAX);
        items[n].name = (str){item.p, eq ? (size_t)(eq - item.p) : item.n};
        items[n++].value = eq ? (str){eq + 1, (size_t)(item.p + item.n - eq - 1)} : (str){item.p, 0};
    }
    qsort(items, n, sizeof *items, query_cmp);
    for (uint32_t i = 0; i < n; i++) {
        if (i)
            sbuf_addc(out, '&');
        sbuf_str(out, items[i].name);
        sbuf_addc(out, '=');
        sbuf_str(out, items[i].value);
    }
    return FZ_OK;
}

/* ---- signing ---- */

typedef struct stamp {
    char time[17], date[9]; /* 20130524T000000Z, 20130524 */
    sbuf scope;             /* date/region/service/aws4_request */
} stamp;

static fz_status stamp_make(const sigv4_scope *s, arena *a, stamp *out, fz_error *err)
{
    time_t t = (time_t)(s->now_ms / 1000);
    struct tm tm;
    if (!gmtime_r(&t, &tm) || tm.tm_year < 0 || tm.tm_year > 8000)
        return error_set(err, FZ_IO, "the clock can't be used to sign a request");
    snprintf(out->time, sizeof out->time, "%04u%02u%02uT%02u%02u%02uZ", (unsigned)(tm.tm_year + 1900) % 10000, (unsigned)(tm.tm_mon + 1) % 100,
             (unsigned)tm.tm_mday % 100, (unsigned)tm.tm_hour % 100, (unsigned)tm.tm_min % 100, (unsigned)tm.tm_sec % 100);
    memcpy(out->date, out->time, 8);
    out->date[8] = 0;
    sbuf_init(&out->scope, a->m);
    sbuf_printf(&out->scope, "%s/" STR_FMT "/" STR_FMT "/aws4_request", out->date, STR_ARG(s->region), STR_ARG(s->service));
    return out->scope.failed ? error_nomem(err) : FZ_OK;
}

static fz_status sign_text(const aws_keys *k, const sigv4_scope *s, const stamp *at, const sbuf *canonical, arena *a, char out[65], fz_error *err)
{
    const lib_crypto *lib;
    char hash[65];
    TRY(crypto_lib(&lib, err));
    TRY(sha256_hex(canonical->p, canonical->n, hash, err));
    sbuf text;
    sbuf_init(&text, a->m);
    sbuf_printf(&text, "AWS4-HMAC-SHA256\n%s\n%s\n%s", at->time, at->scope.p, hash);
    char *first = arena_alloc(a, k->secret_access_key.n + 4);
    fz_status st = first && !text.failed ? FZ_OK : error_nomem(err);
    if (st == FZ_OK) {
        memcpy(first, "AWS4", 4);
        memcpy(first + 4, k->secret_access_key.p, k->secret_access_key.n);
        unsigned char key[DIGEST], next[DIGEST];
        const str steps[] = {{at->date, 8}, s->region, s->service, STR("aws4_request"), {text.p, text.n}};
        const void *with = first;
        size_t with_n = k->secret_access_key.n + 4;
        for (size_t i = 0; i < sizeof steps / sizeof *steps && st == FZ_OK; i++) {
            if (!lib->hmac(lib->sha256(), with, (int)with_n, (const unsigned char *)steps[i].p, steps[i].n, next, NULL))
                st = error_set(err, FZ_IO, "libcrypto can't compute an HMAC");
            memcpy(key, next, DIGEST);
            with = key;
            with_n = DIGEST;
        }
        hex_of(key, out);
        explicit_bzero(first, k->secret_access_key.n + 4);
        explicit_bzero(next, sizeof next);
    }
    sbuf_free(&text);
    return st;
}

/* Proxies and libcurl may change or add these. */
static bool header_unsigned(str name)
{
    static const char *const names[] = {"authorization", "connection", "expect", "user-agent", "accept-encoding", "transfer-encoding", "te", "trailer",
                                        "upgrade", "keep-alive", "proxy-authorization", "proxy-connection", "via", "x-amzn-trace-id"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (str_ieq(name, str_of(names[i])))
            return true;
    return false;
}

static int header_cmp(const void *x, const void *y)
{
    const http_header *a = x, *b = y;
    return str_cmp(a->name, b->name);
}

static str lower_copy(arena *a, str s)
{
    char *p = arena_strndup(a, s.p, s.n);
    for (size_t i = 0; p && i < s.n; i++)
        if (p[i] >= 'A' && p[i] <= 'Z')
            p[i] = (char)(p[i] + 32);
    return (str){p, p ? s.n : 0};
}

/* Trimmed, runs of blanks as one. */
static void value_canonical(str v, sbuf *out)
{
    v = str_trim(v);
    for (size_t i = 0; i < v.n; i++)
        if (!(v.p[i] == ' ' && i && v.p[i - 1] == ' '))
            sbuf_addc(out, v.p[i]);
}

/* The canonical request, and the signed headers' names joined by ';'. */
static fz_status canonical_make(const http_request *r, const url_parts *u, bool twice, str payload, arena *a, sbuf *text, sbuf *names, fz_error *err)
{
    http_header h[SIGNED_MAX];
    uint32_t n = 0;
    h[n++] = (http_header){STR("host"), u->host};
    for (uint32_t i = 0; i < r->n_headers; i++) {
        if (header_unsigned(r->headers[i].name))
            continue;
        h[n] = (http_header){lower_copy(a, r->headers[i].name), r->headers[i].value};
        if (!h[n++].name.p)
            return error_nomem(err);
    }
    qsort(h, n, sizeof *h, header_cmp);
    sbuf_addz(text, r->method);
    sbuf_addc(text, '\n');
    path_canonical(u->path, twice, text);
    sbuf_addc(text, '\n');
    TRY(query_canonical(u->query, text, err));
    sbuf_addc(text, '\n');
    for (uint32_t i = 0; i < n; i++) {
        sbuf_str(text, h[i].name);
        sbuf_addc(text, ':');
        value_canonical(h[i].value, text);
        sbuf_addc(text, '\n');
        if (i)
            sbuf_addc(names, ';');
        sbuf_str(names, h[i].name);
    }
    sbuf_addc(text, '\n');
    sbuf_add(text, names->p, names->n);
    sbuf_addc(text, '\n');
    sbuf_str(text, payload);
    return text->failed || names->failed ? error_nomem(err) : FZ_OK;
}

static fz_status header_add(http_request *r, arena *a, const char *name, const void *value, size_t n, fz_error *err)
{
    if (r->n_headers == HTTP_HEADERS_MAX)
        return error_set(err, FZ_LIMIT, "a request has more than %d headers", HTTP_HEADERS_MAX);
    char *copy = arena_strndup(a, value, n);
    if (!copy)
        return error_nomem(err);
    r->headers[r->n_headers++] = (http_header){str_of(name), {copy, n}};
    return FZ_OK;
}

fz_status sigv4_sign(http_request *r, const aws_keys *k, const sigv4_scope *s, str payload, arena *a, fz_error *err)
{
    if (k->access_key_id.n == 0)
        return FZ_OK;
    url_parts u;
    char hash[65], signature[65];
    stamp at = {0};
    sbuf text, names, auth;
    sbuf_init(&text, a->m);
    sbuf_init(&names, a->m);
    sbuf_init(&auth, a->m);
    fz_status st = FZ_OK;
    TRY_GOTO(url_split(str_of(r->url), &u, err));
    if (payload.n == 0) {
        TRY_GOTO(sha256_hex(r->body, r->body_n, hash, err));
        payload = (str){hash, 64};
    }
    TRY_GOTO(stamp_make(s, a, &at, err));
    TRY_GOTO(header_add(r, a, "x-amz-date", at.time, 16, err));
    TRY_GOTO(header_add(r, a, "x-amz-content-sha256", payload.p, payload.n, err));
    if (k->session_token.n)
        TRY_GOTO(header_add(r, a, "x-amz-security-token", k->session_token.p, k->session_token.n, err));
    TRY_GOTO(canonical_make(r, &u, s->escape_path_twice, payload, a, &text, &names, err));
    TRY_GOTO(sign_text(k, s, &at, &text, a, signature, err));
    sbuf_printf(&auth, "AWS4-HMAC-SHA256 Credential=" STR_FMT "/%s,SignedHeaders=%s,Signature=%s", STR_ARG(k->access_key_id), at.scope.p, names.p,
                signature);
    st = auth.failed ? error_nomem(err) : header_add(r, a, "authorization", auth.p, auth.n, err);
out:
    sbuf_free(&text);
    sbuf_free(&names);
    sbuf_free(&auth);
    if (at.scope.m || at.scope.p)
        sbuf_free(&at.scope);
    return st;
}

fz_status sigv4_presign(const char *method, const char *url, const aws_keys *k, const sigv4_scope *s, int64_t seconds, arena *a, str *out, fz_error *err)
{
    url_parts u, with;
    char signature[65];
    stamp at = {0};
    sbuf full, text, names;
    sbuf_init(&full, a->m);
    sbuf_init(&text, a->m);
    sbuf_init(&names, a->m);
    fz_status st = FZ_OK;
    TRY_GOTO(url_split(str_of(url), &u, err));
    TRY_GOTO(stamp_make(s, a, &at, err));
    sbuf_add(&full, url, (size_t)(u.query.p + u.query.n - url));
    if (u.query.n || u.query.p[-1] != '?')
        sbuf_addc(&full, u.query.n ? '&' : '?');
    sbuf_addz(&full, "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=");
    http_escape(k->access_key_id, false, &full);
    sbuf_addz(&full, "%2F");
    http_escape((str){at.scope.p, at.scope.n}, false, &full);
    sbuf_printf(&full, "&X-Amz-Date=%s&X-Amz-Expires=%lld", at.time, (long long)seconds);
    if (k->session_token.n) {
        sbuf_addz(&full, "&X-Amz-Security-Token=");
        http_escape(k->session_token, false, &full);
    }
    sbuf_addz(&full, "&X-Amz-SignedHeaders=host");
    if (full.failed) {
        st = error_nomem(err);
        goto out;
    }
    TRY_GOTO(url_split((str){full.p, full.n}, &with, err));
    http_request r = {.method = method};
    TRY_GOTO(canonical_make(&r, &with, s->escape_path_twice, STR("UNSIGNED-PAYLOAD"), a, &text, &names, err));
    TRY_GOTO(sign_text(k, s, &at, &text, a, signature, err));
    sbuf_printf(&full, "&X-Amz-Signature=%s", signature);
    char *copy = full.failed ? NULL : arena_strndup(a, full.p, full.n);
    if (!copy)
        st = error_nomem(err);
    else
        *out = (str){copy, full.n};
out:
    sbuf_free(&full);
    sbuf_free(&text);
    sbuf_free(&names);
    sbuf_free(&at.scope);
    return st;
}
