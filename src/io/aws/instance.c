/*
 * instance.c: keys that the place a program runs in hands out: a container's (ECS, EKS), an instance's (EC2).
 *
 * Both answer with JSON: AccessKeyId, SecretAccessKey, Token, Expiration. An instance is asked as IMDSv2 wants it: a token first. Where there is no such
 * service nothing answers, so the time limits are short.
 */
#include "codec/json.h"
#include "io/aws/credentials_int.h"

#include <stdio.h>
#include <stdlib.h>

#define ANSWER_MAX   (64 << 10)
#define CONTAINER_MS 5000
#define INSTANCE_MS  1000

static const char *from_env(const char *name)
{
    const char *v = getenv(name);
    return v && *v ? v : NULL;
}

static str body_of(const http_request *q)
{
    return q->response ? (str){(const char *)q->response->data, q->response->size} : (str){0};
}

static fz_status text_member(const json_doc *d, const char *name, arena *a, str *out, fz_error *err)
{
    const json_node *n = json_get(d, json_root(d), name);
    *out = (str){0};
    return n && n->type == JSON_STRING ? json_str(d, n, a, out, err) : FZ_OK;
}

static fz_status read_keys(const http_request *q, arena *a, aws_keys *out, fz_error *err)
{
    json_doc d;
    str body = body_of(q), when;
    if (q->code / 100 != 2)
        return http_status_error(q, (str){0}, err);
    fz_status st = json_parse(&d, body.p ? body.p : "", body.n, q->url, a->m, err);
    if (st)
        return st;
    if (json_root(&d)->type != JSON_OBJECT) {
        st = json_error(&d, json_root(&d), err, "this isn't an answer with keys");
        goto out;
    }
    TRY_GOTO(text_member(&d, "AccessKeyId", a, &out->access_key_id, err));
    TRY_GOTO(text_member(&d, "SecretAccessKey", a, &out->secret_access_key, err));
    TRY_GOTO(text_member(&d, "Token", a, &out->session_token, err));
    TRY_GOTO(text_member(&d, "Expiration", a, &when, err));
    out->expires_ms = INT64_MAX;
    if (!out->access_key_id.n || !out->secret_access_key.n || (when.n && !aws_parse_time(when, &out->expires_ms))) {
        st = error_set(err, FZ_DATA, "the answer holds no keys");
        error_where(err, q->url);
    }
out:
    json_free(&d);
    return st;
}

/* ---- a container ---- */

/* The token is sent over plain HTTP only to where it can't be overheard. */
static bool uri_allowed(const char *uri)
{
    static const char *const hosts[] = {"http://127.0.0.1", "http://localhost", "http://[::1]", "http://169.254.170.2", "http://169.254.170.23",
                                        "http://[fd00:ec2::23]"};
    if (strncmp(uri, "https://", 8) == 0)
        return true;
    for (size_t i = 0; i < sizeof hosts / sizeof hosts[0]; i++) {
        size_t n = strlen(hosts[i]);
        if (strncmp(uri, hosts[i], n) == 0 && (uri[n] == '/' || uri[n] == ':' || uri[n] == 0))
            return true;
    }
    return false;
}

fz_status aws_container_keys(http_client *http, arena *a, aws_keys *out, fz_error *err)
{
    const char *relative = from_env("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"), *full = from_env("AWS_CONTAINER_CREDENTIALS_FULL_URI");
    const char *token = from_env("AWS_CONTAINER_AUTHORIZATION_TOKEN"), *token_file = from_env("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
    if (!relative && !full)
        return error_set(err, FZ_NOT_FOUND, "this isn't a container that hands out keys");
    sbuf url;
    sbuf_init(&url, a->m);
    if (relative)
        sbuf_addz(&url, "http://169.254.170.2");
    sbuf_addz(&url, relative ? relative : full);
    fz_status st = FZ_OK;
    http_request q = {.method = "GET", .retry = true, .timeout_ms = CONTAINER_MS, .max_body = ANSWER_MAX};
    if (url.failed) {
        st = error_nomem(err);
    } else if (!uri_allowed(url.p)) {
        st = error_set(err, FZ_INVALID, "AWS_CONTAINER_CREDENTIALS_FULL_URI must be https, or a loopback or link-local address");
    } else if (token_file) {
        char *text;
        size_t n;
        st = aws_read_file(a, token_file, &text, &n, err);
        if (!st && !text) {
            st = error_set(err, FZ_NOT_FOUND, "the container's authorization token isn't there");
            error_where(err, token_file);
        }
        if (!st)
            q.headers[q.n_headers++] = (http_header){STR("authorization"), str_trim((str){text, n})};
    } else if (token) {
        q.headers[q.n_headers++] = (http_header){STR("authorization"), str_of(token)};
    }
    q.url = url.p;
    if (!st)
        st = http_fetch(http, &q, err);
    if (!st)
        st = read_keys(&q, a, out, err);
    http_response_free(&q);
    sbuf_free(&url);
    return st;
}

/* ---- an instance ---- */

typedef struct imds {
    http_client *http;
    const char *base;
    str token;
} imds;

static fz_status imds_send(imds *s, const char *method, const char *path, str more, http_request *q, arena *a, fz_error *err)
{
    sbuf url;
    sbuf_init(&url, a->m);
    sbuf_addz(&url, s->base);
    sbuf_addz(&url, path);
    http_escape(more, true, &url);
    *q = (http_request){.method = method, .url = arena_strndup(a, url.p ? url.p : "", url.n), .timeout_ms = INSTANCE_MS, .max_body = ANSWER_MAX};
    bool failed = url.failed || !q->url;
    sbuf_free(&url);
    if (failed)
        return error_nomem(err);
    if (s->token.n)
        q->headers[q->n_headers++] = (http_header){STR("x-aws-ec2-metadata-token"), s->token};
    else
        q->headers[q->n_headers++] = (http_header){STR("x-aws-ec2-metadata-token-ttl-seconds"), STR("21600")};
    return http_fetch(s->http, q, err);
}

/* The answer's text in the arena. */
static fz_status imds_text(imds *s, const char *method, const char *path, arena *a, str *out, fz_error *err)
{
    http_request q;
    fz_status st = imds_send(s, method, path, (str){0}, &q, a, err);
    if (!st && q.code / 100 != 2)
        st = http_status_error(&q, (str){0}, err);
    if (!st) {
        str body = str_trim(body_of(&q));
        const char *nl = body.n ? memchr(body.p, '\n', body.n) : NULL;
        if (nl) /* the first of several names */
            body.n = (size_t)(nl - body.p);
        *out = (str){arena_strndup(a, body.p ? body.p : "", body.n), body.n};
        if (!out->p)
            st = error_nomem(err);
    }
    http_response_free(&q);
    return st;
}

fz_status aws_instance_keys(http_client *http, arena *a, aws_keys *out, fz_error *err)
{
    static const char roles[] = "/latest/meta-data/iam/security-credentials/";
    const char *off = from_env("AWS_EC2_METADATA_DISABLED"), *base = from_env("AWS_EC2_METADATA_SERVICE_ENDPOINT");
    if (off && str_ieq(str_of(off), STR("true")))
        return error_set(err, FZ_NOT_FOUND, "AWS_EC2_METADATA_DISABLED is set");
    sbuf b;
    sbuf_init(&b, a->m);
    sbuf_addz(&b, base ? base : "http://169.254.169.254");
    while (b.n && b.p[b.n - 1] == '/')
        b.p[--b.n] = 0;
    imds s = {.http = http, .base = b.failed ? NULL : arena_strndup(a, b.p, b.n)};
    sbuf_free(&b);
    if (!s.base)
        return error_nomem(err);
    str token = {0}, role = {0};
    http_request q = {0};
    fz_status st = imds_text(&s, "PUT", "/latest/api/token", a, &token, err);
    s.token = token;
    if (!st && !token.n)
        st = error_set(err, FZ_NOT_FOUND, "the instance gives no token");
    if (!st)
        st = imds_text(&s, "GET", roles, a, &role, err);
    if (!st && !role.n)
        st = error_set(err, FZ_NOT_FOUND, "the instance has no role");
    if (!st) {
        st = imds_send(&s, "GET", roles, role, &q, a, err);
        if (!st)
            st = read_keys(&q, a, out, err);
        http_response_free(&q);
    }
    return st;
}
