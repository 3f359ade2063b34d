/*
 * http.h: HTTP(S) requests over libcurl, for storage and catalogs.
 *
 * A client is an event-loop thread with libcurl's multi interface, connections that are kept and reused (HTTP/2 where a server
 * offers it), and limits on how many requests run at once for one host. It starts nothing before its first request: libcurl and
 * libcrypto are opened then (dlopen), so that a local query never loads them. Any thread may send.
 *
 * A request is sent by http_send; `done` is called once, from the event loop, which it must not block. http_fetch is the
 * blocking form. Everything in a request is the caller's and stays as it is until done.
 *
 * RETRIES are made here, so that every user of HTTP has the same: 429, 500, 502, 503, 504, resets and timeouts are sent again after a
 * back-off with jitter (Retry-After is heeded, up to its own limit) until `retry_ms` has passed, where `retry` says that the
 * request may be sent twice. Where it doesn't, only what certainly never reached the server (name, connect and
 * TLS failures, 429, and 503 with Retry-After) is sent again; another failure after the request was sent is
 * FZ_UNKNOWN. A name that isn't found is asked for during 3 s, a refused connection tried for 10 s: a mistyped host is told soon.
 * A body that breaks off is FZ_IO (FZ_UNKNOWN likewise), and a range read goes on where it broke off.
 *
 * ERRORS. A response with any status is FZ_OK here: who sent it says what a status means (http_status_error helps). Failures
 * below that are FZ_IO with what libcurl says (name, connect, TLS, timeout), the host in `where`. URLs in messages lose user info and
 * query; header values are never printed.
 */
#ifndef IO_HTTP_H
#define IO_HTTP_H

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/task.h"

typedef struct http_client http_client;

typedef struct http_options {
    int64_t connect_timeout_ms;  /* default 10 s */
    int64_t stall_timeout_ms;    /* no byte moves for so long: default 30 s */
    int64_t retry_ms;            /* for how long a failing request is tried again; default 60 s */
    uint32_t max_per_host;       /* connections; default 24 */
    const char *ca_file, *cert_file, *key_file; /* PEM; NULL: the system's CAs, no client certificate */
    const char *proxy;           /* NULL: as the environment says (https_proxy, no_proxy) */
    bool insecure;               /* certificates aren't checked */
} http_options;

/* o may be NULL; copied. One reference. Cheap: nothing is loaded or started. NULL: no memory. */
http_client *http_client_new(const http_options *o, mem *m);
http_client *http_client_ref(http_client *c);
/* NULL allowed. With the last reference the event loop ends; no request may be under way. */
void http_client_unref(http_client *c);

typedef struct http_header {
    str name, value;
} http_header;

#define HTTP_HEADERS_MAX 24

typedef struct http_request http_request;
struct http_request {
    const char *method;          /* "GET", … */
    const char *url;             /* escaped */
    uint32_t n_headers;
    http_header headers[HTTP_HEADERS_MAX];
    const void *body;
    size_t body_n;
    bool retry;                  /* may reach the server twice */
    int64_t timeout_ms;          /* of all attempts; 0: none but the client's */
    const job *j;                /* its cancelling ends the request (FZ_CANCELLED); may be NULL */

    /* Called before each attempt, on any thread, to sign it as of now: may set headers after the caller's own (the count is put back
     * before each attempt); memory from `a`, which lives as long as the attempt. May be NULL. Where may_wait is false (the event
     * loop), it sets sign_later instead of waiting for keys, and is called again by a thread that may. The first call is http_send's own, but
     * for what is sent from the event loop. */
    fz_status (*sign)(http_request *r, arena *a, fz_error *err);
    bool may_wait, sign_later;
    /* Asked about each response below 600 before retries are considered: true sends it again at once (a token was renewed, a region
     * learned; url may have been changed); at most 3 times. May be NULL. */
    bool (*again)(http_request *r);

    /* Where a 2xx body goes: dst, exactly dst_n bytes (a range read; a shorter body is FZ_DATA), or `take` for each piece in
     * turn, or, where both are NULL, a buffer of at most max_body bytes. Bodies of other answers always go to the buffer. */
    void *dst;
    size_t dst_n;
    fz_status (*take)(http_request *r, const void *p, size_t n, fz_error *err);
    size_t max_body;             /* FZ_LIMIT beyond; 0: 64 MB */

    void (*done)(http_request *r);
    void *ctx;

    /* ---- the answer; freed by http_response_free ---- */
    fz_status status;
    fz_error error;
    int code;                    /* HTTP status */
    uint32_t attempts;           /* how often it was sent, or begun to be */
    buf *response;               /* the body, decompressed; NULL: none */
    uint32_t n_response_headers;
    http_header *response_headers; /* names in lower case; of the final answer */
    mem *m;                      /* that the answer lies in: the client's */
    struct http_private *priv;
    void *wait;                  /* http_fetch's own */
};

void http_send(http_client *c, http_request *r);
/* Blocks until it is done; returns r->status. done is set by it. Not from done, take, sign or again. */
fz_status http_fetch(http_client *c, http_request *r, fz_error *err);
void http_response_free(http_request *r);
/* Looks at the jobs of requests now: the way to make a cancelled one end at once. */
void http_wake(http_client *c);
/* A response header, by lower-case name; empty: not there. */
str http_response_header(const http_request *r, const char *name);

/* What an HTTP status means as a failure, with the message `said` of the server (may be empty): 404 FZ_NOT_FOUND, 409 and 412 FZ_CONFLICT,
 * 401 and 403 FZ_IO (28000, 42501), …: "the server answered 403 Forbidden: Access Denied". */
fz_status http_status_error(const http_request *r, str said, fz_error *err);

/* Appends s escaped for a URL: all but A–Z a–z 0–9 - . _ ~ and, where keep_slash, '/'. */
void http_escape(str s, bool keep_slash, sbuf *out);
/* A URL for messages: without user info, query and fragment. */
void http_url_plain(str url, sbuf *out);
/* A header's date as Unix time in milliseconds; -1: none. */
int64_t http_date_ms(str date);
/* This client's memory, for what belongs to its requests. */
mem *http_client_mem(const http_client *c);

#endif
