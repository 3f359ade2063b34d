/*
 * auth.c: who we are: the Authorization header.
 *
 *   auth (PyIceberg) or rest.auth.type (Java)   none/noop, basic, oauth2
 *   credential        "id:secret", or a secret alone: OAuth2 client credentials, with scope ("catalog"), audience and resource, at
 *                     oauth2-server-uri or <uri>/v1/oauth/tokens
 *   token             sent as it is; exchanged for a new one before it expires where an OAuth2 server is named
 *   rest.sigv4-enabled   signs requests; what the above give goes along as Original-Authorization
 *
 * A token is renewed when a minute (auth.oauth2.refresh_margin) of its life is left, or a fifth where it lives for less than five; and
 * once after a 401. When it expires is said by the answer, else by the token where it is a JWT.
 */
#include "catalog/rest/rest_int.h"

#include <stdlib.h>

#define MARGIN_MS 60000

static str prop_any(const rest_client *c, const char *a, const char *b)
{
    str v = rest_prop(c, a);
    return v.n ? v : rest_prop(c, b);
}

/* ---- base64 ---- */

static void base64_add(str s, sbuf *out)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *p = (const unsigned char *)s.p;
    for (size_t i = 0; i < s.n; i += 3) {
        size_t left = s.n - i;
        uint32_t v = (uint32_t)p[i] << 16 | (left > 1 ? (uint32_t)p[i + 1] << 8 : 0) | (left > 2 ? p[i + 2] : 0);
        char four[4] = {digits[v >> 18], digits[v >> 12 & 63], left > 1 ? digits[v >> 6 & 63] : '=', left > 2 ? digits[v & 63] : '='};
        sbuf_add(out, four, 4);
    }
}

/* Base64 as JWTs have it; stops at what isn't. */
static void base64url_read(str s, sbuf *out)
{
    uint32_t v = 0;
    int bits = 0;
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        int d = c >= 'A' && c <= 'Z' ? c - 'A' : c >= 'a' && c <= 'z' ? c - 'a' + 26 : c >= '0' && c <= '9' ? c - '0' + 52 : c == '-' ? 62 : c == '_' ? 63 : -1;
        if (d < 0)
            return;
        v = v << 6 | (uint32_t)d;
        if ((bits += 6) >= 8)
            sbuf_addc(out, (char)(v >> (bits -= 8) & 255));
    }
}

/* When a JWT says that it expires, in ms; INT64_MAX: it doesn't, or is none. */
static int64_t jwt_expiry(str token, mem *m)
{
    const char *first = memchr(token.p, '.', token.n), *second;
    if (!first || !(second = memchr(first + 1, '.', (size_t)(token.p + token.n - first - 1))))
        return INT64_MAX;
    sbuf b;
    json_doc d;
    int64_t at, result = INT64_MAX;
    sbuf_init(&b, m);
    base64url_read((str){first + 1, (size_t)(second - first - 1)}, &b);
    if (!b.failed && b.n && json_parse(&d, b.p, b.n, NULL, m, NULL) == FZ_OK) {
        const json_node *v = json_root(&d)->type == JSON_OBJECT ? json_get(&d, json_root(&d), "exp") : NULL;
        if (v && json_i64(&d, v, &at, NULL) == FZ_OK && at > 0 && at < INT64_MAX / 1000)
            result = at * 1000;
        json_free(&d);
    }
    sbuf_free(&b);
    return result;
}

/* ---- the token ---- */

static fz_status token_set(rest_client *c, str token, int64_t expires_ms, fz_error *err)
{
    char *copy = mem_alloc(c->m, token.n + 1);
    if (!copy)
        return error_nomem(err);
    memcpy(copy, token.p, token.n);
    copy[token.n] = 0;
    if (c->token)
        mem_free(c->m, c->token, strlen(c->token) + 1);
    c->token = copy;
    c->token_expires_ms = expires_ms;
    c->token_life_ms = expires_ms == INT64_MAX ? INT64_MAX : expires_ms - rest_now_ms();
    return FZ_OK;
}

static bool has_control(str s)
{
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7f)
            return true;
    return false;
}

static str credential_of(const rest_client *c) { return rest_prop(c, "credential"); }

static fz_status basic_init(rest_client *c, fz_error *err)
{
    str user = prop_any(c, "auth.basic.username", "rest.auth.basic.username"), pass = prop_any(c, "auth.basic.password", "rest.auth.basic.password");
    sbuf plain, b;
    if (!user.n)
        return error_set(err, FZ_INVALID, "auth.basic.username is missing");
    sbuf_init(&plain, c->m);
    sbuf_init(&b, c->m);
    sbuf_str(&plain, user);
    sbuf_addc(&plain, ':');
    sbuf_str(&plain, pass);
    base64_add((str){plain.p, plain.n}, &b);
    fz_status st = plain.failed || b.failed ? error_nomem(err) : token_set(c, (str){b.p, b.n}, INT64_MAX, err);
    sbuf_free(&plain);
    sbuf_free(&b);
    c->auth = REST_AUTH_BASIC;
    return st;
}

static fz_status sigv4_init(rest_client *c, fz_error *err)
{
    bool on;
    str type = prop_any(c, "auth.type", "rest.auth.type");
    TRY(rest_prop_bool(c, "rest.sigv4-enabled", str_eqz(type, "sigv4"), &on, err));
    if (!on || c->signer)
        return FZ_OK;
    c->signing_region = prop_any(c, "rest.signing-region", "client.region");
    if (!c->signing_region.n)
        c->signing_region = rest_prop(c, "s3.region");
    if (!c->signing_region.n)
        TRY(aws_default_region(NULL, &c->a, &c->signing_region, err));
    if (!c->signing_region.n)
        return error_set(err, FZ_INVALID, "requests are to be signed (rest.sigv4-enabled), but rest.signing-region isn't set");
    c->signing_name = rest_prop(c, "rest.signing-name");
    if (!c->signing_name.n)
        c->signing_name = STR("execute-api");
    static const char *const keys[][3] = {{"rest.access-key-id", "rest.secret-access-key", "rest.session-token"},
                                          {"client.access-key-id", "client.secret-access-key", "client.session-token"},
                                          {"s3.access-key-id", "s3.secret-access-key", "s3.session-token"}};
    for (size_t i = 0; i < sizeof keys / sizeof *keys && !c->signer; i++)
        if (rest_prop(c, keys[i][0]).n && rest_prop(c, keys[i][1]).n) {
            aws_keys k = {rest_prop(c, keys[i][0]), rest_prop(c, keys[i][1]), rest_prop(c, keys[i][2]), INT64_MAX};
            c->signer = aws_credentials_static(&k, c->m);
            if (!c->signer)
                return error_nomem(err);
        }
    if (!c->signer) {
        str profile = prop_any(c, "client.profile-name", "s3.profile-name");
        c->signer = aws_credentials_default(profile.n ? profile.p : NULL, c->http, c->m);
    }
    return c->signer ? FZ_OK : error_nomem(err);
}

static fz_status auth_init(rest_client *c, fz_error *err)
{
    str type = prop_any(c, "auth.type", "rest.auth.type"), token = rest_prop(c, "token");
    TRY(sigv4_init(c, err));
    if (str_eqz(type, "basic"))
        return basic_init(c, err);
    if (str_eqz(type, "none") || str_eqz(type, "noop")) {
        c->auth = REST_AUTH_NONE;
        return FZ_OK;
    }
    if (type.n && !str_eqz(type, "oauth2") && !str_eqz(type, "legacyoauth2") && !str_eqz(type, "sigv4"))
        return error_set(err, FZ_UNSUPPORTED, "the auth type \"" STR_FMT "\" isn't supported: none, basic, oauth2 and sigv4 are", STR_ARG(type));
    if (str_eqz(type, "oauth2") && !prop_any(c, "auth.oauth2.client_id", "auth.oauth2.client-id").n && !credential_of(c).n && !token.n)
        return error_set(err, FZ_INVALID, "auth.oauth2.client_id is missing");
    bool by_credential = credential_of(c).n || prop_any(c, "auth.oauth2.client_id", "auth.oauth2.client-id").n;
    c->auth = by_credential || token.n ? REST_AUTH_BEARER : REST_AUTH_NONE;
    if (!token.n)
        return FZ_OK;
    if (has_control(token))
        return error_set(err, FZ_INVALID, "the token has a control character in it");
    return token_set(c, token, jwt_expiry(token, c->m), err);
}

fz_status rest_auth_init(rest_client *c, fz_error *err)
{
    pthread_mutex_lock(&c->lock);
    fz_status st = auth_init(c, err);
    pthread_mutex_unlock(&c->lock);
    return st;
}

/* ---- OAuth2 ---- */

static void form_add(sbuf *b, const char *name, str value)
{
    if (!value.n)
        return;
    if (b->n)
        sbuf_addc(b, '&');
    sbuf_addz(b, name);
    sbuf_addc(b, '=');
    http_escape(value, false, b);
}

static void token_url(const rest_client *c, sbuf *out)
{
    str url = prop_any(c, "auth.oauth2.token_url", "auth.oauth2.token-url");
    if (!url.n)
        url = rest_prop(c, "oauth2-server-uri");
    if (str_starts(url, STR("http://")) || str_starts(url, STR("https://"))) {
        sbuf_str(out, url);
        return;
    }
    sbuf_str(out, c->base);
    while (url.n && *url.p == '/')
        url.p++, url.n--;
    sbuf_addc(out, '/');
    sbuf_str(out, url.n ? url : STR("v1/oauth/tokens"));
}

/* What is asked for: by client credentials, else an exchange of the token that there is. *basic: goes into the header. */
static void token_request(const rest_client *c, sbuf *form, str *id, str *secret, bool *basic)
{
    str credential = credential_of(c);
    *id = prop_any(c, "auth.oauth2.client_id", "auth.oauth2.client-id");
    *secret = prop_any(c, "auth.oauth2.client_secret", "auth.oauth2.client-secret");
    *basic = id->n != 0;
    if (!*basic && credential.n) {
        const char *colon = memchr(credential.p, ':', credential.n);
        *id = colon ? (str){credential.p, (size_t)(colon - credential.p)} : (str){0};
        *secret = colon ? (str){colon + 1, (size_t)(credential.p + credential.n - colon - 1)} : credential;
    }
    str scope = rest_prop(c, "scope");
    if (*basic || credential.n) {
        form_add(form, "grant_type", STR("client_credentials"));
        if (!*basic) {
            form_add(form, "client_id", *id);
            form_add(form, "client_secret", *secret);
        }
        scope = *basic ? prop_any(c, "auth.oauth2.scope", "scope") : scope.n ? scope : STR("catalog");
    } else {
        form_add(form, "grant_type", STR("urn:ietf:params:oauth:grant-type:token-exchange"));
        form_add(form, "subject_token", str_of(c->token));
        form_add(form, "subject_token_type", STR("urn:ietf:params:oauth:token-type:access_token"));
    }
    form_add(form, "scope", scope);
    form_add(form, "audience", rest_prop(c, "audience"));
    form_add(form, "resource", rest_prop(c, "resource"));
}

static fz_status token_answer(rest_client *c, rest_call *k, fz_error *err)
{
    json_doc d;
    str token = {0};
    int64_t seconds = 0;
    TRY(rest_json(k, &d, err));
    const json_node *v = json_root(&d)->type == JSON_OBJECT ? json_get(&d, json_root(&d), "expires_in") : NULL;
    fz_status st = json_want(&d, json_root(&d), JSON_OBJECT, "the token server's answer", err);
    if (st == FZ_OK)
        st = rest_json_text(&d, json_root(&d), "access_token", &k->a, &token, err);
    bool said = v && json_i64(&d, v, &seconds, NULL) == FZ_OK && seconds > 0 && seconds < INT64_MAX / 2000;
    json_free(&d);
    TRY(st);
    if (!token.n || has_control(token))
        return error_set(err, FZ_DATA, "the token server's answer holds no access_token");
    str configured = prop_any(c, "auth.oauth2.expires_in", "auth.oauth2.expires-in");
    if (!said && configured.n)
        said = str_to_i64(configured, &seconds) && seconds > 0 && seconds < INT64_MAX / 2000;
    return token_set(c, token, said ? rest_now_ms() + seconds * 1000 : jwt_expiry(token, c->m), err);
}

static fz_status token_fetch(rest_client *c, fz_error *err)
{
    rest_call k = {.c = c, .r = {.method = "POST", .retry = true, .timeout_ms = 120000}};
    str id, secret;
    bool basic;
    sbuf plain, header;
    fz_status st;
    arena_init(&k.a, c->m);
    sbuf_init(&k.url, c->m);
    sbuf_init(&k.body, c->m);
    sbuf_init(&plain, c->m);
    sbuf_init(&header, c->m);
    token_url(c, &k.url);
    token_request(c, &k.body, &id, &secret, &basic);
    rest_header(&k, "Content-Type", STR("application/x-www-form-urlencoded"));
    rest_header(&k, "Accept", STR("application/json"));
    if (basic) {
        sbuf_str(&plain, id);
        sbuf_addc(&plain, ':');
        sbuf_str(&plain, secret);
        sbuf_addz(&header, "Basic ");
        base64_add((str){plain.p, plain.n}, &header);
    } else if (!credential_of(c).n) {
        sbuf_addz(&header, "Bearer ");
        sbuf_addz(&header, c->token);
    }
    if (header.n)
        rest_header(&k, "Authorization", (str){header.p, header.n});
    if (k.url.failed || k.body.failed || plain.failed || header.failed) {
        st = error_nomem(err);
        goto out;
    }
    k.r.url = k.url.p;
    k.r.body = k.body.p;
    k.r.body_n = k.body.n;
    k.r.max_body = (size_t)1 << 20;
    TRY_GOTO(http_fetch(c->http, &k.r, err));
    if (!rest_ok(&k)) {
        st = rest_failed(&k, err);
        if (st == FZ_INVALID || st == FZ_NOT_FOUND) /* 400 invalid_client …, or no such door: it is the log-in that failed */
            st = err ? (err->status = FZ_IO, memcpy(err->sqlstate, "28000", 6), FZ_IO) : FZ_IO;
        if (k.r.code == 400 || k.r.code == 401)
            error_hint(err, "the catalog's credential (id:secret) or scope was refused");
        goto out;
    }
    st = token_answer(c, &k, err);
    if (st == FZ_OK)
        rest_keep_save(c);
out:
    sbuf_free(&plain);
    sbuf_free(&header);
    rest_call_end(&k);
    return st;
}

static bool can_fetch(const rest_client *c)
{
    if (c->auth != REST_AUTH_BEARER)
        return false;
    if (credential_of(c).n || prop_any(c, "auth.oauth2.client_id", "auth.oauth2.client-id").n)
        return true;
    bool exchange = true;
    rest_prop_bool(c, "token-exchange-enabled", true, &exchange, NULL);
    return c->token && exchange && rest_prop(c, "oauth2-server-uri").n;
}

static int64_t margin_ms(const rest_client *c)
{
    int64_t margin = MARGIN_MS / 1000;
    str v = prop_any(c, "auth.oauth2.refresh_margin", "auth.oauth2.refresh-margin");
    if (!v.n || !str_to_i64(v, &margin) || margin < 0 || margin > 86400)
        margin = MARGIN_MS / 1000;
    margin *= 1000;
    return c->token_life_ms / 5 < margin ? c->token_life_ms / 5 : margin;
}

fz_status rest_auth_header(rest_client *c, arena *a, str *out, fz_error *err)
{
    fz_status st = FZ_OK;
    *out = (str){0};
    pthread_mutex_lock(&c->lock);
    if (c->auth != REST_AUTH_NONE) {
        int64_t now = rest_now_ms();
        bool late = c->token && c->token_expires_ms != INT64_MAX && now >= c->token_expires_ms - margin_ms(c);
        if (!c->token || (late && can_fetch(c)))
            st = token_fetch(c, err);
        if (st != FZ_OK && c->token && now < c->token_expires_ms)
            st = FZ_OK; /* the present one still has a moment */
        if (st == FZ_OK) {
            const char *kind = c->auth == REST_AUTH_BASIC ? "Basic " : "Bearer ";
            size_t nk = strlen(kind), nt = strlen(c->token);
            char *p = arena_alloc(a, nk + nt + 1);
            if (p) {
                memcpy(p, kind, nk);
                memcpy(p + nk, c->token, nt + 1);
                *out = (str){p, nk + nt};
            } else {
                st = error_nomem(err);
            }
        }
    }
    pthread_mutex_unlock(&c->lock);
    return st;
}

bool rest_auth_renew(rest_client *c, str refused, fz_error *err)
{
    bool another = false;
    pthread_mutex_lock(&c->lock);
    if (can_fetch(c) && refused.n > 7) {
        str now = str_of(c->token);
        another = c->token && !str_eq(now, (str){refused.p + 7, refused.n - 7}); /* somebody else was faster */
        if (!another)
            another = token_fetch(c, err) == FZ_OK;
    }
    pthread_mutex_unlock(&c->lock);
    return another;
}
