/*
 * sts.c: temporary keys of a role from AWS's Security Token Service: AssumeRole and AssumeRoleWithWebIdentity.
 *
 * A request is a form; the answer is a small XML document, of which four texts are wanted. $AWS_ENDPOINT_URL_STS and $AWS_ENDPOINT_URL name
 * another server, as for AWS's own tools.
 */
#include "io/aws/credentials_int.h"
#include "io/aws/sigv4.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define ANSWER_MAX (64 << 10)
#define TIMEOUT_MS 20000

/* The text of the first element of that name, with XML's five entities resolved; p NULL: there is none. */
static fz_status xml_text(str doc, const char *name, arena *a, str *out, fz_error *err)
{
    char open[64];
    int n = snprintf(open, sizeof open, "<%s>", name);
    *out = (str){0};
    const char *p = doc.n ? memmem(doc.p, doc.n, open, (size_t)n) : NULL;
    if (!p)
        return FZ_OK;
    p += n;
    const char *end = memchr(p, '<', (size_t)(doc.p + doc.n - p));
    if (!end)
        return FZ_OK;
    char *to = arena_alloc(a, (size_t)(end - p) + 1);
    if (!to)
        return error_nomem(err);
    out->p = to;
    static const struct { const char *text; char c; } entities[] = {{"&amp;", '&'}, {"&lt;", '<'}, {"&gt;", '>'}, {"&quot;", '"'}, {"&apos;", '\''}};
    while (p < end) {
        size_t skip = 0;
        for (size_t i = 0; i < 5 && *p == '&' && !skip; i++) {
            size_t k = strlen(entities[i].text);
            if ((size_t)(end - p) >= k && memcmp(p, entities[i].text, k) == 0) {
                *to++ = entities[i].c;
                skip = k;
            }
        }
        if (!skip) {
            *to++ = *p;
            skip = 1;
        }
        p += skip;
    }
    *to = 0;
    out->n = (size_t)(to - out->p);
    return FZ_OK;
}

static void form_add(sbuf *b, const char *name, str value)
{
    if (b->n)
        sbuf_addc(b, '&');
    sbuf_addz(b, name);
    sbuf_addc(b, '=');
    http_escape(value, false, b);
}

/* The server's address, and the region that requests are signed for. */
static fz_status endpoint_of(const aws_role *r, arena *a, str *url, str *region, fz_error *err)
{
    *region = r->region ? str_of(r->region) : (str){0};
    if (!region->n)
        TRY(aws_default_region(NULL, a, region, err));
    const char *set = r->endpoint;
    if (!set || !*set)
        set = getenv("AWS_ENDPOINT_URL_STS");
    if (!set || !*set)
        set = getenv("AWS_ENDPOINT_URL");
    sbuf b;
    sbuf_init(&b, a->m);
    if (set && *set) {
        sbuf_addz(&b, set);
        if (set[strlen(set) - 1] != '/')
            sbuf_addc(&b, '/');
    } else if (region->n) {
        sbuf_printf(&b, "https://sts." STR_FMT ".amazonaws.com%s/", STR_ARG(*region), str_starts(*region, STR("cn-")) ? ".cn" : "");
    } else {
        sbuf_addz(&b, "https://sts.amazonaws.com/");
    }
    if (!region->n)
        *region = STR("us-east-1");
    *url = (str){arena_strndup(a, b.p ? b.p : "", b.n), b.n};
    bool failed = b.failed || !url->p;
    sbuf_free(&b);
    return failed ? error_nomem(err) : FZ_OK;
}

typedef struct signed_request {
    http_request q; /* first */
    const aws_keys *keys;
    str region;
} signed_request;

static fz_status sign(http_request *q, arena *a, fz_error *err)
{
    const signed_request *s = (const signed_request *)q;
    sigv4_scope scope = {.region = s->region, .service = STR("sts"), .escape_path_twice = true, .now_ms = aws_now_ms()};
    return sigv4_sign(q, s->keys, &scope, (str){0}, a, err);
}

static fz_status read_answer(const http_request *q, const char *arn, arena *a, aws_keys *out, fz_error *err)
{
    str doc = q->response ? (str){(const char *)q->response->data, q->response->size} : (str){0}, said, when;
    if (q->code / 100 != 2) {
        TRY(xml_text(doc, "Message", a, &said, err));
        http_status_error(q, said, err);
        error_hint(err, "the role %s couldn't be assumed", arn);
        return err ? err->status : FZ_IO;
    }
    TRY(xml_text(doc, "AccessKeyId", a, &out->access_key_id, err));
    TRY(xml_text(doc, "SecretAccessKey", a, &out->secret_access_key, err));
    TRY(xml_text(doc, "SessionToken", a, &out->session_token, err));
    TRY(xml_text(doc, "Expiration", a, &when, err));
    if (out->access_key_id.n && out->secret_access_key.n && aws_parse_time(when, &out->expires_ms))
        return FZ_OK;
    error_set(err, FZ_DATA, "the token service's answer holds no keys");
    error_where(err, q->url);
    return FZ_DATA;
}

static fz_status send_form(const aws_role *r, sbuf *form, const aws_keys *base, http_client *http, arena *a, aws_keys *out, fz_error *err)
{
    str url, region;
    TRY(endpoint_of(r, a, &url, &region, err));
    if (form->failed)
        return error_nomem(err);
    signed_request s = {.keys = base, .region = region};
    s.q = (http_request){.method = "POST", .url = url.p, .n_headers = 1, .headers = {{STR("content-type"), STR("application/x-www-form-urlencoded; charset=utf-8")}},
                      .body = form->p, .body_n = form->n, .retry = true, .timeout_ms = TIMEOUT_MS, .max_body = ANSWER_MAX,
                      .sign = base ? sign : NULL};
    fz_status st = http_fetch(http, &s.q, err);
    if (!st)
        st = read_answer(&s.q, r->arn, a, out, err);
    http_response_free(&s.q);
    return st;
}

static void form_begin(sbuf *form, const char *action, const aws_role *r)
{
    char session[64];
    snprintf(session, sizeof session, "frazil-%lld-%d", (long long)aws_now_ms() / 1000, (int)getpid());
    form_add(form, "Action", str_of(action));
    form_add(form, "Version", STR("2011-06-15"));
    form_add(form, "RoleArn", str_of(r->arn));
    form_add(form, "RoleSessionName", str_of(r->session && *r->session ? r->session : session));
}

fz_status aws_sts_assume(const aws_role *r, const aws_keys *base, http_client *http, arena *a, aws_keys *out, fz_error *err)
{
    sbuf form;
    sbuf_init(&form, a->m);
    form_begin(&form, "AssumeRole", r);
    if (r->external_id && *r->external_id)
        form_add(&form, "ExternalId", str_of(r->external_id));
    fz_status st = send_form(r, &form, base, http, a, out, err);
    sbuf_free(&form);
    return st;
}

fz_status aws_sts_web_identity(const aws_role *r, const char *token_file, http_client *http, arena *a, aws_keys *out, fz_error *err)
{
    char *token;
    size_t n;
    TRY(aws_read_file(a, token_file, &token, &n, err));
    if (!token) {
        error_set(err, FZ_NOT_FOUND, "the web identity token's file isn't there");
        error_where(err, token_file);
        return FZ_NOT_FOUND;
    }
    sbuf form;
    sbuf_init(&form, a->m);
    form_begin(&form, "AssumeRoleWithWebIdentity", r);
    form_add(&form, "WebIdentityToken", str_trim((str){token, n}));
    fz_status st = send_form(r, &form, NULL, http, a, out, err);
    sbuf_free(&form);
    return st;
}
