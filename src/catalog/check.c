/*
 * check.c: trying a configured catalog out.
 */
#include "catalog/check.h"

#include "io/io.h"

#include <stdio.h>
#include <time.h>

/* ---- why something failed ---- */

static bool says(const char *text, const char *part)
{
    return strcasestr(text, part) != NULL;
}

static bool at_storage(const config_catalog *c, const fz_error *e)
{
    const config_entry *endpoint = c ? config_get(c, "s3.endpoint") : NULL;
    return strncmp(e->where, "s3", 2) == 0 || (endpoint && strncmp(e->where, endpoint->value.p, endpoint->value.n) == 0) || says(e->where, "amazonaws.com");
}

void catalog_explain(const config_catalog *c, fz_error *e)
{
    const char *t = e->message;
    bool storage = at_storage(c, e);
    const char *key = storage ? "s3.endpoint" : "uri";
    const char had = e->hint[0];
    e->hint[0] = 0; /* what is certain replaces it; else it is put back */
    if (says(t, "resolve host") || says(t, "resolving") || says(t, "translate host name") || says(t, "name or service not known"))
        error_hint(e, "no server of that name is known (DNS): check %s, and that this machine reaches the network it is in", key);
    else if (says(t, "certificate") || says(t, "SSL") || says(t, "TLS") || says(t, "ssl "))
        error_hint(e, "the encrypted connection isn't trusted or can't be made (TLS): a private authority's certificate goes into ssl.cabundle, a client's own "
                      "into ssl.client.cert and ssl.client.key; a server without TLS is http:// in %s", key);
    else if (says(t, "refused") || says(t, "connect to server"))
        error_hint(e, "nothing listens there: check host and port in %s, and that the server runs", key);
    else if (says(t, "timed out") || says(t, "timeout") || says(t, "no route") || says(t, "unreachable"))
        error_hint(e, "nothing answers there: check %s, a proxy (https_proxy, s3.proxy-uri) or firewall in between", key);
    else if (says(t, "scope"))
        error_hint(e, "the server wants another scope: set scope, as PRINCIPAL_ROLE:<role>");
    else if (says(t, "region") || (storage && (says(t, "answered 301") || says(t, "answered 307"))))
        error_hint(e, "the bucket is in another region than s3.region says");
    else if (says(t, "warehouse"))
        error_hint(e, "the server knows no warehouse of that name: check warehouse");
    else if (says(t, "SignatureDoesNotMatch") || says(t, "InvalidAccessKeyId"))
        error_hint(e, "the storage refuses the keys: check s3.access-key-id and s3.secret-access-key");
    else if (storage && says(t, "answered 403"))
        error_hint(e, "the storage doesn't allow it with these keys: check s3.access-key-id, s3.secret-access-key and the bucket's policy; public data needs "
                      "s3.anonymous true");
    else if (says(t, "NoSuchBucket"))
        error_hint(e, "there is no such bucket: check warehouse and s3.endpoint");
    else if (had)
        e->hint[0] = had;
    else if (says(t, "answered 401") || says(t, "invalid_client") || says(t, "unauthorized"))
        error_hint(e, "the server doesn't accept who you are: check credential (id:secret) or token, and oauth2-server-uri");
    else if (says(t, "answered 403"))
        error_hint(e, "the server knows who you are and doesn't allow it: check scope (PRINCIPAL_ROLE:<role>) and what that role may do");
    else if (says(t, "answered 404"))
        error_hint(e, "the server has no such thing: check uri (often it ends in /catalog or /iceberg) and warehouse");
    else if (says(t, "password authentication failed") || says(t, "no password supplied"))
        error_hint(e, "the database refuses user or password: check uri, or ~/.pgpass");
    else if (says(t, "database") && says(t, "does not exist"))
        error_hint(e, "check the database's name at the end of uri");
}

/* ---- the steps ---- */

typedef struct run {
    const config_catalog *c;
    ib_catalog *cat;
    mem *m;
    arena a;
    http_client *http;  /* or NULL */
    catalog_say_fn say;
    void *ctx;
    int64_t from_us;
} run;

static int64_t now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

__attribute__((format(printf, 3, 4))) static fz_status tell(run *r, fz_error *err, const char *fmt, ...)
{
    va_list ap;
    fz_error line; /* cuts long texts between characters */
    va_start(ap, fmt);
    error_vset(&line, FZ_OK, fmt, ap);
    va_end(ap);
    config_redact(r->c, line.message);
    return r->say(r->ctx, line.message) ? FZ_OK : error_set(err, FZ_CANCELLED, "cancelled");
}

static double took_ms(run *r)
{
    int64_t now = now_us();
    double ms = (double)(now - r->from_us) / 1000;
    r->from_us = now;
    return ms;
}

static fz_status say_kind(run *r, fz_error *err)
{
    config_type t;
    sbuf uri;
    const config_entry *e = config_get(r->c, "uri");
    TRY(config_catalog_type(r->c, &t, err));
    sbuf_init(&uri, r->m);
    if (e)
        config_mask(e, &uri);
    fz_status st = tell(r, err, "catalog %s: %s%s%s", r->c->name, config_type_name(t), e ? ", " : "", uri.p ? uri.p : "");
    sbuf_free(&uri);
    for (uint32_t i = 0; i < r->c->n && !st; i++) {
        const char *why;
        const config_entry *x = &r->c->entries[i];
        if (config_key_use(x->key, &why) == CONFIG_NO_USE)
            st = tell(r, err, "note: %s does nothing here: %s", x->key.p, why);
    }
    return st;
}

/* AWS tells anybody which region a bucket is in. S3 requests find it out by themselves, at the price of a detour that is worth a word. */
static fz_status check_region(run *r, const char *location, fz_error *err)
{
    const char *region = config_text(r->c, "s3.region", NULL), *endpoint = config_text(r->c, "s3.endpoint", NULL);
    const char *bucket = location ? strstr(location, "://") : NULL;
    if (!region || !bucket || strncmp(location, "s3", 2) != 0 || !r->http)
        return FZ_OK;
    bucket += 3;
    sbuf url;
    sbuf_init(&url, r->m);
    if (endpoint)
        sbuf_addz(&url, endpoint);
    else
        sbuf_printf(&url, "https://s3.%s.amazonaws.com", region);
    while (url.n && url.p[url.n - 1] == '/')
        url.p[--url.n] = 0;
    sbuf_addc(&url, '/');
    str name = {bucket, strcspn(bucket, "/")};
    http_escape(name, false, &url);
    http_request q = {.method = "HEAD", .url = url.p, .timeout_ms = 5000};
    fz_status st = FZ_OK;
    if (!url.failed && http_fetch(r->http, &q, NULL) == FZ_OK) { /* what fails here fails again where it matters */
        str is = http_response_header(&q, "x-amz-bucket-region");
        if (is.n && !str_eqz(is, region))
            st = tell(r, err, "note: bucket " STR_FMT " is in the region " STR_FMT ", s3.region says %s", STR_ARG(name), STR_ARG(is), region);
    }
    http_response_free(&q);
    sbuf_free(&url);
    return st;
}

static fz_status stop_at_first(void *ctx, const char *path, const io_stat_info *info, fz_error *err)
{
    *(bool *)ctx = true;
    return FZ_CANCELLED;
}

static fz_status check_warehouse(run *r, fz_error *err)
{
    const char *w = config_text(r->c, "warehouse", NULL);
    if (!w || (!strstr(w, "://") && w[0] != '/')) /* the name of one, which the server knows */
        return tell(r, err, "there is no table yet to read");
    bool any = false;
    fz_error e = {0};
    TRY(check_region(r, w, err));
    fz_status st = io_list(r->cat->io, w, stop_at_first, &any, &e);
    bool local = io_local_path(w) != NULL;
    if (!st || (st == FZ_NOT_FOUND && local) || any)
        return tell(r, err, "the warehouse %s is reached; %s (%.0f ms)", w, any ? "it holds files" : "it is empty", took_ms(r));
    if (st == FZ_NOT_FOUND) /* an empty one would be listed */
        error_hint(&e, "there is no such bucket: check warehouse and s3.endpoint");
    if (err)
        *err = e;
    return st;
}

/* The first table that there is; name empty: none. Looks into at most 20 namespaces. */
static fz_status first_table(run *r, uint32_t n_ns, const str *ns, ib_ident *out, fz_error *err)
{
    *out = (ib_ident){0};
    for (uint32_t i = 0; i < n_ns && i < 20; i++) {
        uint32_t n;
        ib_ident *t;
        TRY(r->cat->ops->list_tables(r->cat, ns[i], &r->a, &n, &t, err));
        if (n) {
            *out = t[0];
            return FZ_OK;
        }
    }
    return FZ_OK;
}

static fz_status check_table(run *r, ib_ident id, fz_error *err)
{
    ib_table *t;
    TRY(r->cat->ops->load_table(r->cat, id, NULL, &t, err));
    fz_status st = tell(r, err, "table " STR_FMT "." STR_FMT " is loaded (%.0f ms)", STR_ARG(id.ns), STR_ARG(id.name), took_ms(r));
    const ib_snapshot *s = ib_current_snapshot(t->md);
    char *file = s && s->manifest_list.n ? arena_strndup(&r->a, s->manifest_list.p, s->manifest_list.n) : NULL;
    io_stat_info info;
    if (!st)
        st = check_region(r, file ? file : t->metadata_location, err);
    if (!st && file)
        st = io_stat(t->md->io, file, &info, err);
    if (!st && file)
        st = tell(r, err, "its files are reached: %s, %llu bytes (%.0f ms)", file, (unsigned long long)info.size, took_ms(r));
    ib_table_unref(t);
    return st;
}

static fz_status steps(run *r, const catalog_open_options *o, file_io *io, fz_error *err)
{
    TRY(say_kind(r, err));
    r->from_us = now_us();
    fz_error e = {0};
    fz_status st = catalog_open(r->c, o, io, r->m, NULL, &r->cat, &e);
    if (st == FZ_NOT_FOUND && !o->create_if_missing && (config_get(r->c, "uri"))) {
        config_type t;
        TRY(config_catalog_type(r->c, &t, err));
        if (t == CONFIG_SQLITE)
            return tell(r, err, "the database isn't there yet: the first statement that writes makes it");
    }
    if (st) {
        if (err)
            *err = e;
        return st;
    }
    uint32_t n;
    str *ns;
    TRY(r->cat->ops->list_namespaces(r->cat, (str){0}, &r->a, &n, &ns, err));
    TRY(tell(r, err, "the catalog answers: %u namespace%s (%.0f ms)", n, n == 1 ? "" : "s", took_ms(r)));
    ib_ident id;
    TRY(first_table(r, n, ns, &id, err));
    return id.name.n ? check_table(r, id, err) : check_warehouse(r, err);
}

fz_status catalog_check(const config_catalog *c, const catalog_open_options *o, file_io *io, mem *m, catalog_say_fn say, void *ctx, fz_error *err)
{
    run r = {.c = c, .m = m, .http = o->shared.http, .say = say, .ctx = ctx};
    fz_error e = {0};
    arena_init(&r.a, m);
    fz_status st = steps(&r, o, io, &e);
    if (r.cat)
        r.cat->ops->close(r.cat);
    arena_free(&r.a);
    if (!st)
        return FZ_OK;
    catalog_explain(c, &e);
    config_redact_error(c, &e);
    if (err)
        *err = e;
    return st;
}
