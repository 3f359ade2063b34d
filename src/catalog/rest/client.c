/*
 * client.c: the server: its configuration, and requests to it.
 *
 * Properties. The server's defaults stand below what the user gave, its overrides above; the list is made once, when /v1/config has
 * answered, and never changes after that, so readers need no lock. Before it (for the token and the question itself) what was given counts.
 */
#include "catalog/rest/rest_int.h"

#include "iceberg/update/layout.h"
#include "io/aws/sigv4.h"

#include <stdlib.h>
#include <time.h>

int64_t rest_clock_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int64_t rest_now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* ---- properties ---- */

static str prop_in(uint32_t n, const io_prop *p, const char *key)
{
    for (uint32_t i = n; i-- > 0;)
        if (str_eqz(p[i].key, key))
            return p[i].value;
    return (str){0};
}

str rest_prop(const rest_client *c, const char *key)
{
    return prop_in(c->n_props, c->props, key);
}

fz_status rest_prop_bool(const rest_client *c, const char *key, bool def, bool *out, fz_error *err)
{
    static const char *const yes[] = {"true", "1", "yes", "y", "t", "on"}, *const no[] = {"false", "0", "no", "n", "f", "off"};
    str v = rest_prop(c, key);
    *out = def;
    if (!v.n)
        return FZ_OK;
    for (size_t i = 0; i < sizeof yes / sizeof *yes; i++) {
        if (str_ieq(v, str_of(yes[i])))
            return *out = true, FZ_OK;
        if (str_ieq(v, str_of(no[i])))
            return *out = false, FZ_OK;
    }
    return error_set(err, FZ_INVALID, "%s is \"" STR_FMT "\", which is neither true nor false", key, STR_ARG(v));
}

fz_status rest_prop_i64(const rest_client *c, const char *key, int64_t def, int64_t *out, fz_error *err)
{
    str v = rest_prop(c, key);
    *out = def;
    if (!v.n || str_to_i64(v, out))
        return FZ_OK;
    return error_set(err, FZ_INVALID, "%s is \"" STR_FMT "\", which isn't a number", key, STR_ARG(v));
}

static bool prop_copy(arena *a, io_prop p, io_prop *out)
{
    out->key = (str){arena_strndup(a, p.key.p, p.key.n), p.key.n};
    out->value = (str){arena_strndup(a, p.value.p, p.value.n), p.value.n};
    return out->key.p && out->value.p;
}

/* Without what can't stand in a path's middle. */
static str trim_slashes(str s)
{
    while (s.n && s.p[s.n - 1] == '/')
        s.n--;
    return s;
}

/* ---- life ---- */

/* A client of its own where the server wants other certificates than everybody else's. */
static fz_status http_open(rest_client *c, const storage *shared, fz_error *err)
{
    str ca = rest_prop(c, "ssl.cabundle"), cert = rest_prop(c, "ssl.client.cert"), key = rest_prop(c, "ssl.client.key");
    if (!ca.n && !cert.n) {
        c->http = shared->http ? http_client_ref(shared->http) : http_client_new(NULL, c->m);
    } else {
        http_options o = {.ca_file = ca.n ? ca.p : NULL, .cert_file = cert.n ? cert.p : NULL, .key_file = key.n ? key.p : NULL};
        c->http = http_client_new(&o, c->m);
    }
    return c->http ? FZ_OK : error_nomem(err);
}

static fz_status uri_set(rest_client *c, fz_error *err)
{
    str uri = trim_slashes(rest_prop(c, "uri"));
    if (!str_starts(uri, STR("http://")) && !str_starts(uri, STR("https://")))
        return error_set(err, FZ_INVALID, "the uri of a REST catalog begins with http:// or https://");
    c->base = uri;
    return FZ_OK;
}

static fz_status client_fill(rest_client *c, const rest_options *o, fz_error *err)
{
    io_prop *p = ARENA_ARRAY(&c->a, io_prop, o->n_props);
    c->name = arena_strndup(&c->a, o->name ? o->name : "", o->name ? strlen(o->name) : 0);
    if (!p || !c->name)
        return error_nomem(err);
    for (uint32_t i = 0; i < o->n_props; i++)
        if (!prop_copy(&c->a, o->props[i], &p[i]))
            return error_nomem(err);
    c->given = c->props = p;
    c->n_given = c->n_props = o->n_props;
    c->keep = o->keep_tokens;
    c->staleness_ms = o->staleness_ms;
    c->shared.http = http_client_ref(o->shared.http);
    c->shared.cache = o->shared.cache ? file_cache_ref(o->shared.cache) : NULL;
    TRY(uri_set(c, err));
    TRY(http_open(c, &o->shared, err));
    if (!c->shared.http)
        c->shared.http = http_client_ref(c->http);
    return rest_auth_init(c, err);
}

fz_status rest_client_new(const rest_options *o, mem *m, rest_client **out, fz_error *err)
{
    rest_client *c = mem_zalloc(m, sizeof *c);
    if (!c)
        return error_nomem(err);
    atomic_init(&c->refs, 1);
    c->m = m;
    arena_init(&c->a, m);
    pthread_mutex_init(&c->lock, NULL);
    pthread_mutex_init(&c->config_lock, NULL);
    fz_status st = client_fill(c, o, err);
    if (st != FZ_OK) {
        rest_client_unref(c);
        return st;
    }
    *out = c;
    return FZ_OK;
}

rest_client *rest_client_ref(rest_client *c)
{
    atomic_fetch_add_explicit(&c->refs, 1, memory_order_relaxed);
    return c;
}

static void text_free(mem *m, char *s)
{
    if (s)
        mem_free(m, s, strlen(s) + 1);
}

void rest_client_unref(rest_client *c)
{
    if (!c || atomic_fetch_sub_explicit(&c->refs, 1, memory_order_acq_rel) != 1)
        return;
    aws_credentials_unref(c->signer);
    http_client_unref(c->http);
    http_client_unref(c->shared.http);
    if (c->shared.cache)
        file_cache_unref(c->shared.cache);
    text_free(c->m, c->token);
    pthread_mutex_destroy(&c->lock);
    pthread_mutex_destroy(&c->config_lock);
    arena_free(&c->a);
    mem_free(c->m, c, sizeof *c);
}

/* ---- configuration ---- */

static const struct { const char *name; bool assumed; } endpoints[REST_ENDPOINTS] = {
    [REST_LIST_NAMESPACES] = {"GET /v1/{prefix}/namespaces", true},
    [REST_CREATE_NAMESPACE] = {"POST /v1/{prefix}/namespaces", true},
    [REST_LOAD_NAMESPACE] = {"GET /v1/{prefix}/namespaces/{namespace}", true},
    [REST_NAMESPACE_EXISTS] = {"HEAD /v1/{prefix}/namespaces/{namespace}", false},
    [REST_DROP_NAMESPACE] = {"DELETE /v1/{prefix}/namespaces/{namespace}", true},
    [REST_LIST_TABLES] = {"GET /v1/{prefix}/namespaces/{namespace}/tables", true},
    [REST_CREATE_TABLE] = {"POST /v1/{prefix}/namespaces/{namespace}/tables", true},
    [REST_LOAD_TABLE] = {"GET /v1/{prefix}/namespaces/{namespace}/tables/{table}", true},
    [REST_COMMIT_TABLE] = {"POST /v1/{prefix}/namespaces/{namespace}/tables/{table}", true},
    [REST_DROP_TABLE] = {"DELETE /v1/{prefix}/namespaces/{namespace}/tables/{table}", true},
    [REST_RENAME_TABLE] = {"POST /v1/{prefix}/tables/rename", true},
    [REST_REGISTER_TABLE] = {"POST /v1/{prefix}/namespaces/{namespace}/register", true},
    [REST_LOAD_CREDENTIALS] = {"GET /v1/{prefix}/namespaces/{namespace}/tables/{table}/credentials", false},
    [REST_COMMIT_TRANSACTION] = {"POST /v1/{prefix}/transactions/commit", true},
    [REST_REPORT_METRICS] = {"POST /v1/{prefix}/namespaces/{namespace}/tables/{table}/metrics", true},
};

bool rest_can(const rest_client *c, rest_endpoint e) { return c->endpoints >> e & 1; }

static void endpoints_read(rest_client *c, const json_doc *d, const json_node *list)
{
    c->endpoints = 0;
    bool said = list && list->type == JSON_ARRAY && list->n;
    for (int i = 0; i < REST_ENDPOINTS; i++) {
        bool has = !said && endpoints[i].assumed;
        const json_node *e = said ? list + 1 : NULL;
        for (uint32_t k = 0; said && k < list->n; k++, e = json_next(e))
            has = has || json_is(d, e, endpoints[i].name);
        c->endpoints |= (uint32_t)has << i;
    }
}

static bool about_storage(uint32_t n, const io_prop *p)
{
    for (uint32_t i = 0; i < n; i++)
        if (str_starts(p[i].key, STR("s3.")) || str_starts(p[i].key, STR("client.")))
            return true;
    return false;
}

static fz_status separator_set(rest_client *c, fz_error *err)
{
    str s = rest_prop(c, "namespace-separator");
    if (!s.n)
        s = STR("%1F");
    char *p = arena_alloc(&c->a, s.n + 1);
    size_t n = 0;
    if (!p)
        return error_nomem(err);
    for (size_t i = 0; i < s.n; i++) {
        unsigned v;
        char hex[3] = {0};
        if (s.p[i] == '%' && i + 2 < s.n && (memcpy(hex, s.p + i + 1, 2), true) && strspn(hex, "0123456789abcdefABCDEF") == 2) {
            v = (unsigned)strtoul(hex, NULL, 16);
            p[n++] = (char)v;
            i += 2;
        } else {
            p[n++] = s.p[i];
        }
    }
    c->separator = (str){p, n};
    return FZ_OK;
}

/* Defaults, what was given, overrides. */
static fz_status config_take(rest_client *c, const json_doc *d, fz_error *err)
{
    uint32_t nd, no;
    io_prop *defaults, *overrides;
    const json_node *root = json_root(d);
    TRY(json_want(d, root, JSON_OBJECT, "the server's configuration", err));
    TRY(rest_json_props(d, root, "defaults", &c->a, &nd, &defaults, err));
    TRY(rest_json_props(d, root, "overrides", &c->a, &no, &overrides, err));
    io_prop *all = ARENA_ARRAY(&c->a, io_prop, (size_t)nd + c->n_given + no);
    if (!all)
        return error_nomem(err);
    memcpy(all, defaults, nd * sizeof *all);
    if (c->n_given)
        memcpy(all + nd, c->given, c->n_given * sizeof *all);
    memcpy(all + nd + c->n_given, overrides, no * sizeof *all);
    str credential = rest_prop(c, "credential"), token = rest_prop(c, "token");
    c->props = all;
    c->n_props = nd + c->n_given + no;
    c->storage_configured = about_storage(nd, defaults) || about_storage(no, overrides);
    endpoints_read(c, d, json_get(d, root, "endpoints"));
    const json_node *life = json_get(d, root, "idempotency-key-lifetime");
    c->idempotent = life && life->type == JSON_STRING && life->to > life->from;
    str prefix = trim_slashes(rest_prop(c, "prefix"));
    while (prefix.n && *prefix.p == '/')
        prefix.p++, prefix.n--;
    c->prefix = prefix;
    TRY(uri_set(c, err));
    TRY(separator_set(c, err));
    if (!str_eq(credential, rest_prop(c, "credential")) || !str_eq(token, rest_prop(c, "token")))
        return rest_auth_init(c, err);
    return FZ_OK;
}

static fz_status config_parse(rest_client *c, str text, fz_error *err)
{
    json_doc d;
    TRY(json_parse(&d, text.p, text.n, NULL, c->m, err));
    fz_status st = config_take(c, &d, err);
    json_free(&d);
    return st;
}

static fz_status call_begin(rest_client *c, rest_call *k, const char *method, fz_error *err);

static fz_status config_ask(rest_client *c, fz_error *err)
{
    rest_call k;
    fz_status st;
    str warehouse = rest_prop(c, "warehouse");
    TRY_GOTO(call_begin(c, &k, "GET", err));
    rest_path(&k, "config");
    if (warehouse.n)
        rest_query(&k, "warehouse", warehouse);
    TRY_GOTO(rest_send(&k, err));
    if (!rest_ok(&k)) {
        st = rest_failed(&k, err);
        if (st == FZ_NOT_FOUND && warehouse.n && strstr(k.type, "Warehouse"))
            error_hint(err, "the warehouse is \"" STR_FMT "\"", STR_ARG(warehouse));
        goto out;
    }
    str text = k.r.response ? (str){(const char *)k.r.response->data, k.r.response->size} : (str){0};
    st = config_parse(c, text, err);
    if (st != FZ_OK) {
        error_where(err, c->base.p);
    } else if (c->keep) {
        pthread_mutex_lock(&c->lock);
        c->config_text = arena_strndup(&c->a, text.p, text.n);
        c->config_ms = rest_now_ms();
        rest_keep_save(c);
        pthread_mutex_unlock(&c->lock);
    }
out:
    rest_call_end(&k);
    return st;
}

fz_status rest_configure(rest_client *c, fz_error *err)
{
    pthread_mutex_lock(&c->config_lock);
    fz_status st = FZ_OK;
    if (!c->configured) {
        str kept = {0};
        if (c->keep)
            rest_keep_load(c, &c->a, &kept);
        if (!kept.n || config_parse(c, kept, NULL) != FZ_OK)
            st = config_ask(c, err);
        else
            c->config_text = arena_strndup(&c->a, kept.p, kept.n);
        c->configured = st == FZ_OK;
    }
    pthread_mutex_unlock(&c->config_lock);
    return st;
}

/* ---- requests ---- */

static fz_status call_begin(rest_client *c, rest_call *k, const char *method, fz_error *err)
{
    *k = (rest_call){.c = c, .r = {.method = method, .timeout_ms = 0}};
    arena_init(&k->a, c->m);
    sbuf_init(&k->url, c->m);
    sbuf_init(&k->body, c->m);
    sbuf_str(&k->url, c->base);
    sbuf_addz(&k->url, "/v1/");
    return k->url.failed ? error_nomem(err) : FZ_OK;
}

fz_status rest_call_begin(rest_client *c, rest_call *k, const char *method, fz_error *err)
{
    TRY(call_begin(c, k, method, err)); /* so that there is something to end */
    TRY(rest_configure(c, err));
    rest_call_end(k);
    TRY(call_begin(c, k, method, err));
    if (c->prefix.n) {
        sbuf_str(&k->url, c->prefix);
        sbuf_addc(&k->url, '/');
    }
    return FZ_OK;
}

void rest_call_end(rest_call *k)
{
    http_response_free(&k->r);
    sbuf_free(&k->url);
    sbuf_free(&k->body);
    arena_free(&k->a);
}

void rest_path(rest_call *k, const char *text) { sbuf_addz(&k->url, text); }
void rest_path_escaped(rest_call *k, str s) { http_escape(s, false, &k->url); }

void rest_path_namespace(rest_call *k, str ns)
{
    for (size_t from = 0, i = 0; i <= ns.n; i++)
        if (i == ns.n || ns.p[i] == '.') {
            if (from)
                http_escape(k->c->separator, false, &k->url);
            http_escape((str){ns.p + from, i - from}, false, &k->url);
            from = i + 1;
        }
}

void rest_path_table(rest_call *k, ib_ident id)
{
    rest_path(k, "namespaces/");
    rest_path_namespace(k, id.ns);
    rest_path(k, "/tables/");
    rest_path_escaped(k, id.name);
}

void rest_query(rest_call *k, const char *name, str value)
{
    bool first = !k->url.p || !memchr(k->url.p, '?', k->url.n);
    sbuf_addc(&k->url, first ? '?' : '&');
    sbuf_addz(&k->url, name);
    sbuf_addc(&k->url, '=');
    http_escape(value, false, &k->url);
}

void rest_header(rest_call *k, const char *name, str value)
{
    if (k->r.n_headers < HTTP_HEADERS_MAX)
        k->r.headers[k->r.n_headers++] = (http_header){str_of(name), value};
}

/* Headers of the user (header.*), and ours that the user may replace; an empty value leaves one out. */
static void headers_add(rest_call *k)
{
    static const char *const ours[][2] = {
        {"X-Iceberg-Access-Delegation", "vended-credentials"},
        {"X-Client-Version", "frazil " FRAZIL_VERSION},
        {"User-Agent", "frazil/" FRAZIL_VERSION},
    };
    const rest_client *c = k->c;
    for (size_t o = 0; o < sizeof ours / sizeof *ours; o++) {
        bool replaced = false;
        for (uint32_t i = 0; i < c->n_props; i++)
            replaced |= str_starts(c->props[i].key, STR("header.")) &&
                        str_ieq((str){c->props[i].key.p + 7, c->props[i].key.n - 7}, str_of(ours[o][0]));
        if (!replaced)
            rest_header(k, ours[o][0], str_of(ours[o][1]));
    }
    for (uint32_t i = 0; i < c->n_props; i++) {
        const io_prop *p = &c->props[i];
        bool last = true;
        if (!str_starts(p->key, STR("header.")) || p->key.n == 7 || !p->value.n)
            continue;
        for (uint32_t j = i + 1; j < c->n_props && last; j++)
            last = !str_eq(c->props[j].key, p->key);
        if (last && k->r.n_headers < HTTP_HEADERS_MAX - 6) /* room for a signature's */
            k->r.headers[k->r.n_headers++] = (http_header){{p->key.p + 7, p->key.n - 7}, p->value};
    }
    if (k->body.n)
        rest_header(k, "Content-Type", STR("application/json"));
    rest_header(k, "Accept", STR("application/json"));
}

static fz_status call_sign(http_request *r, arena *a, fz_error *err)
{
    rest_client *c = r->ctx;
    aws_keys keys;
    if (!c->signer->ops->cached(c->signer, a, &keys))
        return error_set(err, FZ_IO, "the credentials that requests are signed with expired");
    sigv4_scope s = {.region = c->signing_region, .service = c->signing_name, .escape_path_twice = true, .now_ms = rest_now_ms()};
    return sigv4_sign(r, &keys, &s, (str){0}, a, err);
}

/* A version 7 UUID: time first, so that a server can forget old ones. */
static fz_status idempotency_key(rest_call *k, fz_error *err)
{
    unsigned char b[16];
    TRY(ib_random(b, sizeof b, err));
    uint64_t now = (uint64_t)rest_now_ms();
    for (int i = 0; i < 6; i++)
        b[i] = (unsigned char)(now >> (40 - 8 * i));
    b[6] = (unsigned char)(0x70 | (b[6] & 15));
    b[8] = (unsigned char)(0x80 | (b[8] & 63));
    static const char hex[] = "0123456789abcdef";
    char *z = arena_alloc(&k->a, 37);
    if (!z)
        return error_nomem(err);
    size_t n = 0;
    for (int i = 0; i < 16; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            z[n++] = '-';
        z[n++] = hex[b[i] >> 4];
        z[n++] = hex[b[i] & 15];
    }
    z[n] = 0;
    rest_header(k, "Idempotency-Key", (str){z, n});
    return FZ_OK;
}

static fz_status attempt(rest_call *k, uint32_t n_headers, fz_error *err)
{
    rest_client *c = k->c;
    k->r.n_headers = n_headers;
    TRY(rest_auth_header(c, &k->a, &k->sent_auth, err));
    if (k->sent_auth.n)
        rest_header(k, c->signer ? "Original-Authorization" : "Authorization", k->sent_auth);
    if (c->signer) {
        aws_keys keys;
        TRY(c->signer->ops->get(c->signer, &k->a, &keys, err));
        k->r.ctx = c;
        k->r.sign = call_sign;
    }
    return http_fetch(c->http, &k->r, err);
}

fz_status rest_send(rest_call *k, fz_error *err)
{
    rest_client *c = k->c;
    if (k->url.failed || k->body.failed)
        return error_nomem(err);
    k->r.url = k->url.p;
    k->r.body = k->body.n ? k->body.p : NULL;
    k->r.body_n = k->body.n;
    k->r.max_body = (size_t)1 << 30;
    headers_add(k);
    if (k->once && c->idempotent)
        TRY(idempotency_key(k, err));
    k->r.retry = !k->once || c->idempotent;
    uint32_t own = k->r.n_headers;
    TRY(attempt(k, own, err));
    if ((k->r.code == 401 || k->r.code == 419) && rest_auth_renew(c, k->sent_auth, NULL)) {
        http_response_free(&k->r);
        return attempt(k, own, err);
    }
    return FZ_OK;
}

/* ---- answers ---- */

/* {"error": {"message", "type", "code"}}, OAuth2's {"error", "error_description"}, or what gateways say: {"message"}. */
static void error_read(rest_call *k, const json_doc *d, str *said)
{
    const json_node *root = json_root(d), *e, *type = NULL;
    if (root->type != JSON_OBJECT)
        return;
    e = json_get(d, root, "error");
    if (e && e->type == JSON_OBJECT) {
        type = json_get(d, e, "type");
        e = json_get(d, e, "message");
    } else if (e && e->type == JSON_STRING) {
        const json_node *more = json_get(d, root, "error_description");
        type = e;
        e = more && more->type == JSON_STRING ? more : e;
    } else {
        e = json_get(d, root, "message");
        e = e ? e : json_get(d, root, "Message");
    }
    if (e && e->type == JSON_STRING)
        json_str(d, e, &k->a, said, NULL);
    str t = {0};
    if (type && type->type == JSON_STRING && json_str(d, type, &k->a, &t, NULL) == FZ_OK) {
        size_t n = t.n < sizeof k->type - 1 ? t.n : sizeof k->type - 1;
        memcpy(k->type, t.p, n);
        k->type[n] = 0;
    }
}

/* Puts four asterisks where a text holds the secret, however long that is. */
static void mask(char *text, str secret)
{
    if (secret.n < 4)
        return;
    for (char *at = text; (at = memmem(at, strlen(at), secret.p, secret.n)); at += 4) {
        memset(at, '*', 4);
        memmove(at + 4, at + secret.n, strlen(at + secret.n) + 1);
    }
}

/* A server that repeats what it was sent must not make a message tell it. */
static void mask_all(rest_client *c, char *text)
{
    static const char *const keys[] = {"token", "auth.basic.password", "auth.oauth2.client_secret", "s3.secret-access-key", "s3.session-token",
                                       "client.secret-access-key", "rest.secret-access-key"};
    str credential = rest_prop(c, "credential");
    const char *colon = credential.n ? memchr(credential.p, ':', credential.n) : NULL;
    mask(text, colon ? (str){colon + 1, (size_t)(credential.p + credential.n - colon - 1)} : credential);
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        mask(text, rest_prop(c, keys[i]));
}

fz_status rest_failed(rest_call *k, fz_error *err)
{
    str said = {0};
    json_doc d;
    k->type[0] = 0;
    if (k->r.response && json_parse(&d, (const char *)k->r.response->data, k->r.response->size, NULL, k->c->m, NULL) == FZ_OK) {
        error_read(k, &d, &said);
        json_free(&d);
    }
    if (said.n) {
        mask_all(k->c, (char *)said.p);
        if (k->sent_auth.n > 7) /* "Bearer …" */
            mask((char *)said.p, (str){k->sent_auth.p + 7, k->sent_auth.n - 7});
    }
    fz_status st = http_status_error(&k->r, said, err);
    if (k->r.code == 401 && k->c->auth == REST_AUTH_NONE && !k->c->signer)
        error_hint(err, "the catalog was given no credential and no token");
    return st;
}

fz_status rest_json(rest_call *k, json_doc *d, fz_error *err)
{
    *d = (json_doc){0};
    if (!k->r.response || !k->r.response->size)
        return error_set(err, FZ_DATA, "the server's answer to %s %s is empty", k->r.method, k->r.url);
    return json_parse(d, (const char *)k->r.response->data, k->r.response->size, k->r.url, k->c->m, err);
}

fz_status rest_json_text(const json_doc *d, const json_node *object, const char *name, arena *a, str *out, fz_error *err)
{
    const json_node *v = json_get(d, object, name);
    *out = (str){0};
    return v && v->type != JSON_NULL ? json_str(d, v, a, out, err) : FZ_OK;
}

fz_status rest_json_props(const json_doc *d, const json_node *object, const char *name, arena *a, uint32_t *n, io_prop **out, fz_error *err)
{
    const json_node *v = object->type == JSON_OBJECT ? json_get(d, object, name) : NULL;
    uint32_t most = v && v->type == JSON_OBJECT ? v->n : 0;
    io_prop *p = ARENA_ARRAY(a, io_prop, most);
    if (!p)
        return error_nomem(err);
    *n = 0;
    *out = p;
    if (v && v->type != JSON_NULL)
        TRY(json_want(d, v, JSON_OBJECT, name, err));
    const json_node *key = most ? v + 1 : NULL;
    for (uint32_t i = 0; i < most; i++, key = json_next(key + 1)) {
        const json_node *x = key + 1;
        if (x->type == JSON_NULL)
            continue;
        TRY(json_str(d, key, a, &p[*n].key, err));
        if (x->type == JSON_STRING) {
            TRY(json_str(d, x, a, &p[*n].value, err));
        } else { /* some servers send numbers and booleans as such */
            str raw = json_raw(d, x);
            p[*n].value = (str){arena_strndup(a, raw.p, raw.n), raw.n};
            if (!p[*n].value.p)
                return error_nomem(err);
        }
        (*n)++;
    }
    return FZ_OK;
}
