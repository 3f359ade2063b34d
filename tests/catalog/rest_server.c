/* rest_server.c: see rest_server.h. One mutex around everything but the network. */
#include "catalog/rest_server.h"

#include "codec/json.h"
#include "iceberg/spec/build.h"
#include "iceberg/update/json.h"
#include "io/loop_server.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define WAREHOUSES 64

struct rest_server {
    rest_server_options o;
    loop_server *net;
    char uri[64];
    pthread_mutex_t lock;
    mem m;
    struct { char name[64]; ib_catalog *c; } w[WAREHOUSES];
    int n_w, tokens, first_good, requests;
    struct { char line[200]; rest_fault f; int times; } fault;
    sbuf seen; /* "METHOD target\nhead\n\0" of each request */
};

/* One request being answered. */
typedef struct call {
    rest_server *s;
    const loop_request *q;
    ib_catalog *c;
    arena a;
    int code;
    sbuf out;         /* the body */
    char headers[512];
    uint32_t n;       /* segments of the path behind the prefix */
    str seg[8];
    const char *query;
} call;

/* ---- texts ---- */

static str decode(arena *a, const char *p, size_t n)
{
    char *out = arena_alloc(a, n + 1);
    size_t k = 0;
    for (size_t i = 0; i < n; i++)
        if (p[i] == '%' && i + 2 < n) {
            char hex[3] = {p[i + 1], p[i + 2], 0};
            out[k++] = (char)strtol(hex, NULL, 16);
            i += 2;
        } else {
            out[k++] = p[i];
        }
    out[k] = 0;
    return (str){out, k};
}

static str parameter(call *x, const char *name)
{
    size_t len = strlen(name);
    for (const char *p = x->query; p && *p; p = strchr(p, '&') ? strchr(p, '&') + 1 : NULL)
        if (strncmp(p, name, len) == 0 && p[len] == '=')
            return decode(&x->a, p + len + 1, strcspn(p + len + 1, "&"));
    return (str){0};
}

/* Levels between 0x1f as dots. */
static str dotted(call *x, str s)
{
    char *p = arena_strndup(&x->a, s.p, s.n);
    for (size_t i = 0; i < s.n; i++)
        if (p[i] == 0x1f)
            p[i] = '.';
    return (str){p, s.n};
}

static void levels(json_writer *w, str ns)
{
    jw_begin(w, '[');
    for (size_t from = 0, i = 0; i <= ns.n; i++)
        if (i == ns.n || ns.p[i] == '.') {
            jw_str(w, (str){ns.p + from, i - from});
            from = i + 1;
        }
    jw_end(w, ']');
}

static void fail(call *x, int code, const char *type, const char *message)
{
    x->code = code;
    sbuf_clear(&x->out);
    json_writer w = json_writer_on(&x->out);
    jw_begin(&w, '{');
    jw_key(&w, "error");
    jw_begin(&w, '{');
    jw_key(&w, "message");
    jw_str(&w, str_of(message));
    jw_key(&w, "type");
    jw_str(&w, str_of(type));
    jw_key(&w, "code");
    jw_i64(&w, code);
    jw_end(&w, '}');
    jw_end(&w, '}');
}

/* What the catalog said, as a server says it. */
static void failed(call *x, const fz_error *e, bool of_commit)
{
    bool ns = strcmp(e->sqlstate, "3F000") == 0;
    switch (e->status) {
    case FZ_NOT_FOUND: fail(x, 404, ns ? "NoSuchNamespaceException" : "NoSuchTableException", e->message); break;
    case FZ_EXISTS: fail(x, 409, of_commit ? "CommitFailedException" : "AlreadyExistsException", e->message); break;
    case FZ_CONFLICT: fail(x, 409, "CommitFailedException", e->message); break;
    case FZ_UNSUPPORTED: fail(x, 406, "UnsupportedOperationException", e->message); break;
    case FZ_INVALID:
        if (strstr(e->message, "isn't empty"))
            fail(x, 409, "NamespaceNotEmptyException", e->message);
        else
            fail(x, 400, "BadRequestException", e->message);
        break;
    default: fail(x, 500, "InternalServerError", e->message);
    }
}

static fz_status body_json(call *x, json_doc *d, fz_error *e) { return json_parse(d, x->q->body, x->q->body_n, "body", &x->s->m, e); }

static str member_text(call *x, const json_doc *d, const json_node *o, const char *name)
{
    const json_node *v = json_get(d, o, name);
    str s = {0};
    if (v && v->type == JSON_STRING)
        json_str(d, v, &x->a, &s, NULL);
    return s;
}

static str member_levels(call *x, const json_doc *d, const json_node *o, const char *name)
{
    const json_node *v = json_get(d, o, name), *e = v + 1;
    sbuf b;
    sbuf_init(&b, NULL);
    for (uint32_t i = 0; v && i < v->n; i++, e = json_next(e)) {
        str level;
        json_str(d, e, &x->a, &level, NULL);
        if (i)
            sbuf_addc(&b, '.');
        sbuf_str(&b, level);
    }
    str s = {arena_strndup(&x->a, b.p ? b.p : "", b.n), b.n};
    sbuf_free(&b);
    return s;
}

/* ---- tables ---- */

static void put_table(call *x, const ib_table *t, bool loaded)
{
    char have[256], tag[64];
    uint64_t h = 1469598103934665603u;
    for (const char *p = t->metadata_location; *p; p++)
        h = (h ^ (unsigned char)*p) * 1099511628211u;
    snprintf(tag, sizeof tag, "\"%016llx\"", (unsigned long long)h);
    loop_header(x->q, "if-none-match", have, sizeof have);
    if (loaded && !x->s->o.no_etags) {
        snprintf(x->headers, sizeof x->headers, "ETag: %.*s%s\r\n", (int)strlen(tag) - 1, tag, x->s->o.gzip_etags ? "--gzip\"" : "\"");
        if (strcmp(have, tag) == 0) {
            x->code = 304;
            return;
        }
    }
    json_writer w = json_writer_on(&x->out);
    jw_begin(&w, '{');
    jw_key(&w, "metadata-location");
    jw_str(&w, str_of(t->metadata_location));
    jw_key(&w, "metadata");
    sbuf md;
    sbuf_init(&md, NULL);
    ib_metadata_write(t->md, &md);
    jw_raw(&w, (str){md.p, md.n});
    sbuf_free(&md);
    if (loaded && x->s->o.table)
        sbuf_printf(&x->out, ",%s", x->s->o.table);
    sbuf_addc(&x->out, '}');
}

/* Requirements and updates of one table; *create: it makes one. */
static fz_status read_change(call *x, const json_doc *d, const json_node *o, ib_commit *c, bool *create, fz_error *e)
{
    const json_node *r, *u, *n;
    TRY(json_need(d, o, "requirements", "a commit", &r, e));
    TRY(json_need(d, o, "updates", "a commit", &u, e));
    ib_requirement *rs = ARENA_ARRAY(&x->a, ib_requirement, r->n);
    ib_update *us = ARENA_ARRAY(&x->a, ib_update, u->n);
    *create = false;
    n = r + 1;
    for (uint32_t i = 0; i < r->n; i++, n = json_next(n)) {
        TRY(ib_requirement_from_json(d, n, &x->a, &rs[i], e));
        *create |= rs[i].kind == IB_ASSERT_CREATE;
    }
    n = u + 1;
    for (uint32_t i = 0; i < u->n; i++, n = json_next(n))
        TRY(ib_update_from_json(d, n, &x->a, &us[i], e));
    *c = (ib_commit){.id = c->id, .n_requirements = r->n, .requirements = rs, .n_updates = u->n, .updates = us};
    return FZ_OK;
}

static fz_status do_commit(call *x, ib_ident id, fz_error *e)
{
    json_doc d;
    ib_commit c = {.id = id};
    ib_table *t = NULL;
    bool create;
    TRY(body_json(x, &d, e));
    fz_status st = read_change(x, &d, json_root(&d), &c, &create, e);
    if (st == FZ_OK && create && x->c->ops->load_table(x->c, id, NULL, &t, NULL) == FZ_OK) {
        st = error_set(e, FZ_EXISTS, "Requirement failed: table already exists");
        ib_table_unref(t);
        t = NULL;
    } else if (st == FZ_OK && create) {
        ib_metadata *md;
        st = ib_metadata_apply(NULL, NULL, c.n_updates, c.updates, &x->s->m, &md, e);
        if (st == FZ_OK) {
            st = x->c->ops->create_table(x->c, id, md, &t, e);
            ib_metadata_unref(md);
        }
    } else if (st == FZ_OK) {
        st = x->c->ops->commit(x->c, 1, &c, NULL, &t, e);
    }
    json_free(&d);
    if (st == FZ_OK)
        put_table(x, t, false);
    ib_table_unref(t);
    return st;
}

static fz_status do_transaction(call *x, fz_error *e)
{
    json_doc d;
    bool create;
    const json_node *list;
    TRY(body_json(x, &d, e));
    fz_status st = json_need(&d, json_root(&d), "table-changes", "a transaction", &list, e);
    ib_commit *c = ARENA_ARRAY(&x->a, ib_commit, st ? 0 : list->n);
    ib_table **out = ARENA_ARRAY(&x->a, ib_table *, st ? 0 : list->n);
    const json_node *n = st ? NULL : list + 1;
    for (uint32_t i = 0; !st && i < list->n; i++, n = json_next(n)) {
        const json_node *id = json_get(&d, n, "identifier");
        c[i].id = (ib_ident){.ns = member_levels(x, &d, id, "namespace"), .name = member_text(x, &d, id, "name")};
        st = read_change(x, &d, n, &c[i], &create, e);
    }
    if (!st)
        st = x->c->ops->commit(x->c, list->n, c, NULL, out, e);
    for (uint32_t i = 0; !st && i < list->n; i++)
        ib_table_unref(out[i]);
    x->code = 204;
    json_free(&d);
    return st;
}

static fz_status stage_create(call *x, str ns, fz_error *e)
{
    json_doc d;
    bool there;
    if (x->s->o.no_staging)
        return error_set(e, FZ_UNSUPPORTED, "stage-create isn't supported");
    TRY(x->c->ops->namespace_exists(x->c, ns, &there, e));
    if (!there)
        return error_sql(e, FZ_NOT_FOUND, "3F000", "Namespace does not exist: %.*s", STR_ARG(ns));
    TRY(body_json(x, &d, e));
    const json_node *root = json_root(&d);
    str name = member_text(x, &d, root, "name"), location = member_text(x, &d, root, "location");
    ib_table *have = NULL;
    if (x->c->ops->load_table(x->c, (ib_ident){.ns = ns, .name = name}, NULL, &have, NULL) == FZ_OK) {
        ib_table_unref(have);
        json_free(&d);
        return error_set(e, FZ_EXISTS, "Table already exists");
    }
    ib_schema schema;
    ib_metadata *md;
    ib_kv kv = {STR("server"), STR("own")};
    ib_props props = {1, &kv};
    fz_status st = schema_from_json(&d, json_get(&d, root, "schema"), &x->a, &schema, e);
    if (!st && !location.n)
        st = x->c->ops->default_location(x->c, (ib_ident){.ns = ns, .name = name}, &x->a, &location, e);
    if (!st)
        st = ib_metadata_new(location, &schema, NULL, NULL, &props, &x->s->m, &md, e);
    json_free(&d);
    TRY(st);
    ib_table *t = ib_table_new(&x->s->m, (ib_ident){.ns = ns, .name = name}, "", md);
    put_table(x, t, true);
    ib_table_unref(t);
    x->headers[0] = 0;
    return FZ_OK;
}

static fz_status do_table(call *x, ib_ident id, fz_error *e)
{
    const char *m = x->q->method;
    ib_table *t = NULL;
    fz_status st = FZ_OK;
    if (!strcmp(m, "DELETE")) {
        x->code = 204;
        return x->c->ops->drop_table(x->c, id, e);
    }
    if (!strcmp(m, "POST"))
        return do_commit(x, id, e);
    st = x->c->ops->load_table(x->c, id, NULL, &t, e);
    if (!st)
        put_table(x, t, true);
    ib_table_unref(t);
    return st;
}

static fz_status do_register(call *x, str ns, fz_error *e)
{
    json_doc d;
    ib_table *t = NULL;
    TRY(body_json(x, &d, e));
    str name = member_text(x, &d, json_root(&d), "name"), at = member_text(x, &d, json_root(&d), "metadata-location");
    json_free(&d);
    TRY(x->c->ops->register_table(x->c, (ib_ident){.ns = ns, .name = name}, at.p, &t, e));
    put_table(x, t, true);
    ib_table_unref(t);
    return FZ_OK;
}

static fz_status do_rename(call *x, fz_error *e)
{
    json_doc d;
    TRY(body_json(x, &d, e));
    const json_node *from = json_get(&d, json_root(&d), "source"), *to = json_get(&d, json_root(&d), "destination");
    ib_ident a = {.ns = member_levels(x, &d, from, "namespace"), .name = member_text(x, &d, from, "name")};
    ib_ident b = {.ns = member_levels(x, &d, to, "namespace"), .name = member_text(x, &d, to, "name")};
    json_free(&d);
    x->code = 204;
    return x->c->ops->rename_table(x->c, a, b, e);
}

/* ---- names ---- */

/* Which part of n names the page asked for shows; the token is the number of the first. */
static void page_of(call *x, uint32_t n, uint32_t *from, uint32_t *to)
{
    *from = (uint32_t)atoi(parameter(x, "pageToken").n ? parameter(x, "pageToken").p : "0");
    *to = x->s->o.page && *from + (uint32_t)x->s->o.page < n ? *from + (uint32_t)x->s->o.page : n;
}

static void page_end(call *x, json_writer *w, uint32_t n, uint32_t to)
{
    if (to < n) {
        char token[16];
        snprintf(token, sizeof token, "%u", to);
        jw_key(w, "next-page-token");
        jw_str(w, str_of(token));
    }
    jw_end(w, '}');
}

static fz_status list_namespaces(call *x, fz_error *e)
{
    str parent = dotted(x, parameter(x, "parent")), *all;
    uint32_t n, k = 0, from, to;
    TRY(x->c->ops->list_namespaces(x->c, parent, &x->a, &n, &all, e));
    for (uint32_t i = 0; i < n; i++) /* one level */
        if (!memchr(all[i].p + parent.n + (parent.n > 0), '.', all[i].n - parent.n - (parent.n > 0)))
            all[k++] = all[i];
    page_of(x, k, &from, &to);
    json_writer w = json_writer_on(&x->out);
    jw_begin(&w, '{');
    jw_key(&w, "namespaces");
    jw_begin(&w, '[');
    for (uint32_t i = from; i < to; i++)
        levels(&w, all[i]);
    jw_end(&w, ']');
    page_end(x, &w, k, to);
    return FZ_OK;
}

static fz_status list_tables(call *x, str ns, fz_error *e)
{
    ib_ident *all;
    uint32_t n, from, to;
    TRY(x->c->ops->list_tables(x->c, ns, &x->a, &n, &all, e));
    page_of(x, n, &from, &to);
    json_writer w = json_writer_on(&x->out);
    jw_begin(&w, '{');
    jw_key(&w, "identifiers");
    jw_begin(&w, '[');
    for (uint32_t i = from; i < to; i++) {
        jw_begin(&w, '{');
        jw_key(&w, "namespace");
        levels(&w, ns);
        jw_key(&w, "name");
        jw_str(&w, all[i].name);
        jw_end(&w, '}');
    }
    jw_end(&w, ']');
    page_end(x, &w, n, to);
    return FZ_OK;
}

static fz_status create_namespace(call *x, fz_error *e)
{
    json_doc d;
    ib_props props = {0};
    TRY(body_json(x, &d, e));
    str ns = member_levels(x, &d, json_root(&d), "namespace");
    const json_node *p = json_get(&d, json_root(&d), "properties");
    fz_status st = p ? props_from_json(&d, p, &x->a, &props, e) : FZ_OK;
    if (!st)
        st = x->c->ops->create_namespace(x->c, ns, &props, e);
    json_free(&d);
    sbuf_addz(&x->out, "{}");
    return st;
}

static fz_status do_namespace(call *x, str ns, fz_error *e)
{
    ib_props props;
    x->code = 204;
    if (!strcmp(x->q->method, "DELETE"))
        return x->c->ops->drop_namespace(x->c, ns, e);
    TRY(x->c->ops->namespace_props(x->c, ns, &x->a, &props, e));
    if (!strcmp(x->q->method, "HEAD"))
        return FZ_OK;
    x->code = 200;
    json_writer w = json_writer_on(&x->out);
    jw_begin(&w, '{');
    jw_key(&w, "namespace");
    levels(&w, ns);
    jw_key(&w, "properties");
    jw_begin(&w, '{');
    for (uint32_t i = 0; i < props.n; i++) {
        jw_key_str(&w, props.kv[i].key);
        jw_str(&w, props.kv[i].value);
    }
    jw_end(&w, '}');
    jw_end(&w, '}');
    return FZ_OK;
}

/* ---- the server ---- */

static void give_config(call *x)
{
    str w = parameter(x, "warehouse");
    const char *more = x->s->o.config;
    sbuf_printf(&x->out, "{\"defaults\":{},\"overrides\":{\"prefix\":\"%.*s\",\"warehouse\":\"%s\"}%s%s}", STR_ARG(w), x->s->o.location,
                more ? "," : "", more ? more : "");
}

static void give_token(call *x)
{
    char want[256];
    const char *c = x->s->o.credential, *colon = c ? strchr(c, ':') : NULL;
    if (!colon)
        return fail(x, 400, "unsupported_grant_type", "no tokens here");
    snprintf(want, sizeof want, "client_id=%.*s&client_secret=%s&", (int)(colon - c), c, colon + 1);
    if (!strstr(x->q->body, want)) {
        x->code = 401;
        sbuf_addz(&x->out, "{\"error\":\"invalid_client\",\"error_description\":\"Bad credentials\"}");
        return;
    }
    sbuf_printf(&x->out, "{\"access_token\":\"token-%d\",\"token_type\":\"bearer\"", x->s->tokens++);
    if (x->s->o.token_seconds)
        sbuf_printf(&x->out, ",\"expires_in\":%d", x->s->o.token_seconds);
    sbuf_addc(&x->out, '}');
}

static bool token_good(call *x)
{
    char v[128];
    int nr;
    if (!x->s->o.credential)
        return true;
    loop_header(x->q, "authorization", v, sizeof v);
    return sscanf(v, "Bearer token-%d", &nr) == 1 && nr >= x->s->first_good && nr < x->s->tokens;
}

static ib_catalog *catalog_of(rest_server *s, str name)
{
    for (int i = 0; i < s->n_w; i++)
        if (str_eqz(name, s->w[i].name))
            return s->w[i].c;
    fz_error e = {0};
    if (s->n_w == WAREHOUSES || name.n >= sizeof s->w[0].name)
        return NULL;
    snprintf(s->w[s->n_w].name, sizeof s->w[0].name, "%.*s", STR_ARG(name));
    if (s->o.open(s->o.ctx, s->w[s->n_w].name, &s->m, &s->w[s->n_w].c, &e) != FZ_OK) {
        fprintf(stderr, "rest_server: %s\n", e.message);
        return NULL;
    }
    return s->w[s->n_w++].c;
}

static fz_status route(call *x, fz_error *e)
{
    bool post = !strcmp(x->q->method, "POST");
    if (x->n == 2 && str_eqz(x->seg[0], "tables") && str_eqz(x->seg[1], "rename"))
        return do_rename(x, e);
    if (x->n == 2 && str_eqz(x->seg[0], "transactions"))
        return do_transaction(x, e);
    if (x->n == 1)
        return post ? create_namespace(x, e) : list_namespaces(x, e);
    str ns = dotted(x, x->seg[1]);
    if (x->n == 2)
        return do_namespace(x, ns, e);
    if (x->n == 3 && str_eqz(x->seg[2], "tables"))
        return post ? stage_create(x, ns, e) : list_tables(x, ns, e);
    if (x->n == 3 && str_eqz(x->seg[2], "register"))
        return do_register(x, ns, e);
    if (x->n == 5 && str_eqz(x->seg[4], "metrics")) { /* taken if it is JSON that names its kind */
        json_doc d;
        TRY(body_json(x, &d, e));
        bool ok = str_eqz(member_text(x, &d, json_root(&d), "report-type"), "commit-report");
        json_free(&d);
        x->code = 204;
        return ok ? FZ_OK : error_set(e, FZ_INVALID, "not a report");
    }
    if (x->n == 4)
        return do_table(x, (ib_ident){.ns = ns, .name = x->seg[3]}, e);
    return error_set(e, FZ_NOT_FOUND, "no such route");
}

static void answer(call *x)
{
    const char *p = x->q->target + 4; /* "/v1/" */
    fz_error e = {0};
    x->query = strchr(p, '?') ? strchr(p, '?') + 1 : NULL;
    size_t n = strcspn(p, "?");
    if (n == 6 && !strncmp(p, "config", 6) && token_good(x))
        return give_config(x);
    if (n == 12 && !strncmp(p, "oauth/tokens", 12))
        return give_token(x);
    if (!token_good(x)) {
        char v[128], said[200];
        snprintf(said, sizeof said, "Token refused: %s", loop_header(x->q, "authorization", v, sizeof v)); /* some repeat what they got */
        return fail(x, 401, "NotAuthorizedException", said);
    }
    str segs[9];
    uint32_t k = 0;
    for (size_t from = 0, i = 0; i <= n && k < 9; i++)
        if (i == n || p[i] == '/') {
            segs[k++] = decode(&x->a, p + from, i - from);
            from = i + 1;
        }
    x->c = catalog_of(x->s, segs[0]);
    if (!x->c)
        return fail(x, 404, "NoSuchWarehouseException", "No such warehouse");
    x->n = k - 1;
    memcpy(x->seg, segs + 1, x->n * sizeof *segs);
    bool commit = x->n == 4 || x->n == 5 || (x->n == 2 && str_eqz(x->seg[0], "transactions"));
    if (route(x, &e) != FZ_OK)
        failed(x, &e, commit);
}

static bool handle(void *ctx, int fd, const loop_request *q)
{
    rest_server *s = ctx;
    call x = {.s = s, .q = q, .code = 200};
    char status[32], line[1100];
    snprintf(line, sizeof line, "%s %s", q->method, q->target);
    arena_init(&x.a, NULL);
    sbuf_init(&x.out, NULL);
    pthread_mutex_lock(&s->lock);
    s->requests++;
    sbuf_addz(&s->seen, line);
    sbuf_addc(&s->seen, '\n');
    sbuf_addz(&s->seen, q->head);
    sbuf_add(&s->seen, "", 1);
    int fault = -1;
    if (s->fault.times > 0 && !strncmp(line, s->fault.line, strlen(s->fault.line))) {
        s->fault.times--;
        fault = (int)s->fault.f;
    }
    if (fault == REST_LOSE_THEN_403) {
        s->fault.f = REST_403_UNDONE;
        fault = REST_LOSE_REQUEST;
    }
    if (fault == REST_500_UNDONE)
        fail(&x, 500, "InternalServerError", "down");
    else if (fault == REST_503_UNDONE)
        fail(&x, 503, "ServiceUnavailableException", "not now");
    else if (fault == REST_403_UNDONE)
        fail(&x, 403, "ForbiddenException", "no longer yours");
    else if (fault != REST_LOSE_REQUEST)
        answer(&x);
    if (fault == REST_500_DONE)
        fail(&x, 500, "CommitStateUnknownException", "who knows");
    if (fault == REST_409_DONE)
        fail(&x, 409, "CommitFailedException", "it is there");
    pthread_mutex_unlock(&s->lock);
    bool keep = fault != REST_LOSE_ANSWER && fault != REST_LOSE_REQUEST;
    if (!keep) {
        loop_reset(fd);
    } else if (x.code == 204 || x.code == 304 || !strcmp(q->method, "HEAD")) {
        char head[700];
        int n = snprintf(head, sizeof head, "HTTP/1.1 %d x\r\n%s%s\r\n", x.code, x.headers, x.code == 204 || x.code == 304 ? "" : "Content-Length: 0\r\n");
        loop_send(fd, head, (size_t)n);
    } else {
        snprintf(status, sizeof status, "%d x", x.code);
        strncat(x.headers, "Content-Type: application/json\r\n", sizeof x.headers - strlen(x.headers) - 1);
        loop_answer(fd, status, x.headers, x.out.p ? x.out.p : "", x.out.n);
    }
    sbuf_free(&x.out);
    arena_free(&x.a);
    return keep;
}

rest_server *rest_server_start(const rest_server_options *o)
{
    rest_server *s = calloc(1, sizeof *s);
    s->o = *o;
    mem_init(&s->m, NULL, NULL, 0);
    pthread_mutex_init(&s->lock, NULL);
    sbuf_init(&s->seen, NULL);
    s->net = loop_server_start(handle, s);
    snprintf(s->uri, sizeof s->uri, "http://127.0.0.1:%d", loop_server_port(s->net));
    return s;
}

void rest_server_stop(rest_server *s)
{
    loop_server_stop(s->net);
    for (int i = 0; i < s->n_w; i++)
        s->w[i].c->ops->close(s->w[i].c);
    sbuf_free(&s->seen);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

const char *rest_server_uri(const rest_server *s) { return s->uri; }

int rest_server_requests(rest_server *s)
{
    pthread_mutex_lock(&s->lock);
    int n = s->requests;
    pthread_mutex_unlock(&s->lock);
    return n;
}

int rest_server_count(rest_server *s, const char *in_line, const char *in_head)
{
    int n = 0;
    pthread_mutex_lock(&s->lock);
    for (size_t at = 0; at < s->seen.n; at += strlen(s->seen.p + at) + 1) {
        const char *line = s->seen.p + at, *end = strchr(line, '\n'), *hit = strstr(line, in_line);
        n += hit && hit < end && strcasestr(end, in_head ? in_head : "");
    }
    pthread_mutex_unlock(&s->lock);
    return n;
}

void rest_server_expire_tokens(rest_server *s)
{
    pthread_mutex_lock(&s->lock);
    s->first_good = s->tokens;
    pthread_mutex_unlock(&s->lock);
}

void rest_server_fault(rest_server *s, const char *line, rest_fault f, int times)
{
    pthread_mutex_lock(&s->lock);
    snprintf(s->fault.line, sizeof s->fault.line, "%s", line);
    s->fault.f = f;
    s->fault.times = times;
    pthread_mutex_unlock(&s->lock);
}
