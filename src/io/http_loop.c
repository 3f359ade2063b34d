/*
 * http_loop.c: the thread of a client. It takes what was sent, starts what is due, lets libcurl move bytes, and ends what is over. Only
 * `incoming`, `stop` and `free_self` are shared (under the lock); multi_poll is left by multi_wakeup.
 *
 *   incoming ──> waiting (until due) ──> active ──> done
 *                   ^                      │
 *                   └──────────────────────┘ back-off
 *
 * Keys that have to be fetched for a signature are fetched by a thread made for it, since that fetch needs this loop.
 */
#include "io/http_int.h"

#include <limits.h>

#define POLL_IDLE_MS 60000
#define POLL_JOBS_MS 50 /* how soon a cancelled job's requests end */

static void list_remove(http_private **head, http_private *p)
{
    while (*head && *head != p)
        head = &(*head)->next;
    if (*head)
        *head = p->next;
    p->next = NULL;
}

static void list_add(http_private **head, http_private *p)
{
    p->next = *head;
    *head = p;
}

static void finish(http_private *p)
{
    if (p->r->j)
        p->c->n_jobs--;
    p->r->done(p->r); /* may free p */
}

static void finish_failed(http_private *p, fz_status st)
{
    p->r->status = st;
    finish(p);
}

/* ---- signing elsewhere ---- */

static void incoming_add(http_client *c, http_private *p)
{
    pthread_mutex_lock(&c->lock);
    list_add(&c->incoming, p);
    c->lib->multi_wakeup(c->multi);
    pthread_mutex_unlock(&c->lock);
}

static void *signer_run(void *arg)
{
    http_private *p = arg;
    fz_status st = attempt_sign(p, true, &p->r->error);
    p->signed_already = true;
    p->sign_failed = st != FZ_OK;
    p->r->status = st;
    incoming_add(p->c, p);
    return NULL;
}

static fz_status sign_elsewhere(http_private *p, fz_error *err)
{
    pthread_t t;
    int e = pthread_create(&t, NULL, signer_run, p);
    if (e)
        return error_errno(err, e, NULL, "starting a thread to fetch credentials");
    pthread_detach(t);
    return FZ_OK;
}

/* ---- steps of the loop ---- */

static bool take_incoming(http_client *c)
{
    pthread_mutex_lock(&c->lock);
    http_private *in = c->incoming, *turned = NULL;
    c->incoming = NULL;
    bool stop = c->stop;
    pthread_mutex_unlock(&c->lock);
    while (in) { /* first come, first started */
        http_private *next = in->next;
        in->next = turned;
        turned = in;
        in = next;
    }
    while (turned) {
        http_private *p = turned;
        turned = p->next;
        if (p->sign_failed) {
            finish(p);
            continue;
        }
        if (p->attempts == 0 && p->agains == 0 && p->r->j)
            c->n_jobs++;
        http_private **tail = &c->waiting;
        while (*tail)
            tail = &(*tail)->next;
        p->next = NULL;
        *tail = p;
    }
    return stop;
}

static void start_due(http_client *c)
{
    int64_t now = clock_ms();
    http_private **at = &c->waiting;
    while (*at) {
        http_private *p = *at;
        if (p->due_ms > now) {
            at = &p->next;
            continue;
        }
        *at = p->next;
        p->next = NULL;
        bool later;
        fz_status st = attempt_start(p, &later, &p->r->error);
        if (st == FZ_OK && later) {
            st = sign_elsewhere(p, &p->r->error);
            if (st == FZ_OK)
                continue;
        }
        if (st == FZ_OK)
            list_add(&c->active, p);
        else
            finish_failed(p, st);
    }
}

static void drop_cancelled(http_client *c, http_private **head)
{
    while (*head) {
        http_private *p = *head;
        if (!p->r->j || !job_stopped(p->r->j)) {
            head = &p->next;
            continue;
        }
        *head = p->next;
        p->next = NULL;
        attempt_drop(p);
        finish_failed(p, error_set(&p->r->error, FZ_CANCELLED, "cancelled"));
    }
}

static void end_finished(http_client *c)
{
    int left;
    CURLMsg *msg;
    while ((msg = c->lib->multi_info_read(c->multi, &left))) {
        http_private *p = NULL;
        if (msg->msg != CURLMSG_DONE)
            continue;
        CURLcode code = msg->data.result; /* msg goes with its handle */
        c->lib->easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, (char **)&p);
        list_remove(&c->active, p);
        if (attempt_end(p, code))
            finish(p);
        else
            list_add(&c->waiting, p);
    }
}

static int poll_ms(const http_client *c)
{
    int64_t wait = c->n_jobs ? POLL_JOBS_MS : POLL_IDLE_MS;
    if (c->waiting) {
        int64_t now = clock_ms();
        for (const http_private *p = c->waiting; p; p = p->next)
            wait = p->due_ms - now < wait ? p->due_ms - now : wait;
    }
    return wait < 0 ? 0 : (int)wait;
}

void *http_loop(void *client)
{
    http_client *c = client;
    for (;;) {
        bool stop = take_incoming(c);
        if (stop && !c->active && !c->waiting)
            break;
        start_due(c);
        if (c->n_jobs) {
            drop_cancelled(c, &c->active);
            drop_cancelled(c, &c->waiting);
        }
        int running;
        c->lib->multi_perform(c->multi, &running);
        end_finished(c);
        c->lib->multi_poll(c->multi, NULL, 0, poll_ms(c), NULL);
    }
    if (c->free_self)
        http_client_free(c);
    return NULL;
}
