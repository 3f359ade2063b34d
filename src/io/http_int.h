/* http_int.h: what http.c (interface, texts), http_loop.c (the thread) and http_attempt.c (one try of one request) share. */
#ifndef IO_HTTP_INT_H
#define IO_HTTP_INT_H

#include "io/http.h"
#include "io/libs.h"

#define ERROR_BODY_MAX   ((size_t)1 << 20)   /* of an answer that isn't 2xx, the rest is dropped */
#define BODY_MAX_DEFAULT ((size_t)64 << 20)
#define RESPONSE_HEADERS_MAX 128
#define IDLE_EASIES_MAX  32

typedef struct http_private http_private;

/* What belongs to a request between http_send and http_response_free. Owned by the loop until done is called. */
struct http_private {
    http_request *r;
    http_client *c;
    http_private *next;
    arena answer;           /* response headers; until http_response_free */
    arena attempt;          /* signature, header lines; reset before each */
    uint32_t n_own;         /* the caller's headers */
    int range_header;       /* the caller's header "range", or -1 */
    str range_own;          /* its value */
    uint64_t range_first, range_last;
    bool range_open;        /* "bytes=n-" */

    CURL *easy;             /* NULL: not under way */
    struct curl_slist *lines;
    char what[CURL_ERROR_SIZE];
    bool signed_already;    /* by http_send */
    bool sign_failed;

    size_t got;             /* body bytes handed over by all attempts (dst, take) */
    size_t got_before;      /* … by those before this one */
    uint64_t skip;          /* bytes of this body to drop: the server ignored the range */
    bool body_seen;         /* the code was looked at */
    bool body_ours;         /* the body goes to dst or take, not to the buffer */
    bool partial;           /* the body is the range that was asked for */
    bool complete;          /* dst is full: the rest of the body isn't wanted */
    size_t sent;            /* of r->body in this attempt */
    bool rewound;           /* the transport wanted to send a body twice that must not be */
    fz_status write_status; /* what a callback of ours failed with */
    fz_error write_error;

    uint32_t attempts, agains;
    int64_t begun_ms, first_failure_ms, due_ms, deadline_ms; /* monotonic; deadline 0: none */
};

struct http_client {
    _Atomic int refs;
    mem *m;
    http_options o;
    arena texts;            /* of o */
    const lib_curl *lib;    /* NULL until the first request */
    CURLM *multi;
    pthread_mutex_t lock;   /* started, incoming, stop */
    pthread_t thread;
    _Atomic int64_t owner;  /* the process that the thread belongs to; 0: none yet, -1: being made anew after a fork */
    bool started, stop;
    bool free_self;         /* the last reference went on the loop's own thread */
    http_private *incoming;
    /* the loop's own: */
    http_private *active, *waiting;
    uint32_t n_jobs;        /* requests with a job, whose cancelling is looked for */
    CURL *idle[IDLE_EASIES_MAX];
    uint32_t n_idle;
};

int64_t clock_ms(void);      /* monotonic */

void *http_loop(void *client);
void http_client_free(http_client *c);

/* Prepares and adds p to the multi handle; a failure that isn't the network's. signing may put it off: *later. */
fz_status attempt_start(http_private *p, bool *later, fz_error *err);
/* Signs it on a thread that may wait. */
fz_status attempt_sign(http_private *p, bool may_wait, fz_error *err);
/* Takes its handle back. */
void attempt_drop(http_private *p);
/* What became of it: true, the request is done (r->status says how); false, it is tried again at p->due_ms. */
bool attempt_end(http_private *p, CURLcode code);

#endif
