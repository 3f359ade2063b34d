/*
 * vended.c: how the files of one table are reached when the server says so: settings ("config") and keys for prefixes of
 * locations ("storage-credentials").
 *
 * Keys become a provider (aws_credentials) that asks the server for newer ones a while before they expire, or when the store says that
 * they have: at the table's credentials endpoint where the server has one, else by loading the table. So a read or write that lasts
 * longer than its keys goes on. A provider holds the client, never the catalog: it outlives that.
 *
 * Each answer to a load brings keys. Where nothing else differs from what an earlier answer said, they go into the providers that are
 * there, so that open files profit and connections stay.
 */
#include "catalog/rest/rest_int.h"

#include "base/hash.h"

#define RENEW_MS  (5 * 60 * 1000) /* of life left when they are renewed; keys that live shorter: a fifth */
#define ENOUGH_MS (60 * 1000)

typedef struct vended {
    aws_credentials base;
    rest_client *c;
    pthread_mutex_t renewing; /* held while the server is asked; taken before `lock` */
    pthread_mutex_t lock;     /* of what follows; held for moments only */
    arena texts;              /* of k */
    aws_keys k;
    int64_t life_ms;
    bool stale;               /* the store refused them */
    arena a;                  /* what never changes */
    ib_ident id;
    str prefix;               /* empty: of the table's config */
    str endpoint;             /* where newer ones are; empty: by the protocol */
} vended;

struct rest_creds {
    _Atomic int refs;
    mem *m;
    file_io *io;
    uint64_t shape;           /* of all that was said but the keys */
    uint32_t n, cap;
    vended **v;
};

/* ---- keys ---- */

static str prop_last(uint32_t n, const io_prop *p, const char *key)
{
    for (uint32_t i = n; i-- > 0;)
        if (str_eqz(p[i].key, key))
            return p[i].value;
    return (str){0};
}

static bool keys_of(uint32_t n, const io_prop *p, aws_keys *out)
{
    *out = (aws_keys){prop_last(n, p, "s3.access-key-id"), prop_last(n, p, "s3.secret-access-key"), prop_last(n, p, "s3.session-token"),
                      INT64_MAX};
    int64_t at;
    if (str_to_i64(prop_last(n, p, "s3.session-token-expires-at-ms"), &at) && at > 0)
        out->expires_ms = at;
    return out->access_key_id.n && out->secret_access_key.n;
}

static bool keys_copy(arena *a, const aws_keys *k, aws_keys *out)
{
    const str from[3] = {k->access_key_id, k->secret_access_key, k->session_token};
    str to[3];
    for (int i = 0; i < 3; i++) {
        to[i] = (str){arena_strndup(a, from[i].p ? from[i].p : "", from[i].n), from[i].n};
        if (!to[i].p)
            return false;
    }
    *out = (aws_keys){to[0], to[1], to[2], k->expires_ms};
    return true;
}

static fz_status keys_set(vended *v, const aws_keys *k, fz_error *err)
{
    pthread_mutex_lock(&v->lock);
    arena_reset(&v->texts);
    bool ok = keys_copy(&v->texts, k, &v->k);
    if (!ok)
        v->k = (aws_keys){0};
    v->life_ms = k->expires_ms == INT64_MAX ? INT64_MAX : k->expires_ms - rest_now_ms();
    v->stale = !ok;
    pthread_mutex_unlock(&v->lock);
    return ok ? FZ_OK : error_nomem(err);
}

/* Under the lock: how long they are good for; 0: not at all. */
static int64_t left_ms(const vended *v)
{
    if (v->stale)
        return 0;
    if (v->k.expires_ms == INT64_MAX)
        return INT64_MAX;
    int64_t left = v->k.expires_ms - rest_now_ms();
    return left > 0 ? left : 0;
}

/* ---- renewing ---- */

/* The keys for our prefix: the very one, else the longest that ours begins with, else (a server that names it otherwise) the first. */
static bool choose(const vended *v, const json_doc *d, const json_node *answer, arena *a, aws_keys *out)
{
    const json_node *list = json_get(d, answer, "storage-credentials");
    size_t best = 0;
    bool found = false;
    uint32_t n;
    io_prop *p;
    if (list && list->type == JSON_ARRAY) {
        const json_node *e = list + 1;
        for (uint32_t i = 0; i < list->n; i++, e = json_next(e)) {
            str prefix;
            aws_keys k;
            if (e->type != JSON_OBJECT || rest_json_text(d, e, "prefix", a, &prefix, NULL) || rest_json_props(d, e, "config", a, &n, &p, NULL) ||
                !keys_of(n, p, &k))
                continue;
            size_t fits = str_starts(v->prefix, prefix) ? prefix.n + 1 : 0;
            if (!found || fits > best) {
                *out = k;
                best = fits;
                found = true;
            }
        }
    }
    if (found && (best || v->prefix.n))
        return true;
    aws_keys k;
    if (rest_json_props(d, answer, "config", a, &n, &p, NULL) == FZ_OK && keys_of(n, p, &k)) {
        *out = k;
        return true;
    }
    return found;
}

static void renew_url(vended *v, rest_call *k)
{
    const rest_client *c = v->c;
    if (v->endpoint.n) {
        str at = v->endpoint;
        sbuf_clear(&k->url);
        if (!str_starts(at, STR("http://")) && !str_starts(at, STR("https://"))) {
            sbuf_str(&k->url, c->base);
            if (*at.p != '/')
                sbuf_addc(&k->url, '/');
        }
        sbuf_str(&k->url, at);
        return;
    }
    rest_path_table(k, v->id);
    if (rest_can(c, REST_LOAD_CREDENTIALS))
        rest_path(k, "/credentials");
    else
        rest_query(k, "snapshots", STR("refs"));
}

static fz_status renew(vended *v, fz_error *err)
{
    rest_call k;
    json_doc d = {0};
    aws_keys keys;
    fz_status st;
    TRY_GOTO(rest_call_begin(v->c, &k, "GET", err));
    renew_url(v, &k);
    TRY_GOTO(rest_send(&k, err));
    if (!rest_ok(&k)) {
        st = rest_failed(&k, err);
        goto out;
    }
    TRY_GOTO(rest_json(&k, &d, err));
    if (json_root(&d)->type == JSON_OBJECT && choose(v, &d, json_root(&d), &k.a, &keys))
        st = keys_set(v, &keys, err);
    else
        st = error_set(err, FZ_IO, "the catalog sent no new credentials for table " STR_FMT "." STR_FMT, STR_ARG(v->id.ns), STR_ARG(v->id.name));
out:
    json_free(&d);
    rest_call_end(&k);
    return st;
}

static fz_status vended_get(aws_credentials *b, arena *a, aws_keys *out, fz_error *err)
{
    vended *v = (vended *)b;
    pthread_mutex_lock(&v->lock);
    int64_t left = left_ms(v), early = v->life_ms / 5 < RENEW_MS ? v->life_ms / 5 : RENEW_MS;
    pthread_mutex_unlock(&v->lock);
    fz_status st = FZ_OK;
    fz_error why;
    if (left <= early || left < ENOUGH_MS) {
        pthread_mutex_lock(&v->renewing);
        pthread_mutex_lock(&v->lock);
        bool still = left_ms(v) <= left; /* else somebody else renewed them meanwhile */
        pthread_mutex_unlock(&v->lock);
        st = still ? renew(v, &why) : FZ_OK;
        pthread_mutex_unlock(&v->renewing);
    }
    pthread_mutex_lock(&v->lock);
    if (st != FZ_OK && left_ms(v) > 0)
        st = FZ_OK; /* the present ones still have a moment */
    if (st != FZ_OK && err)
        *err = why;
    if (st == FZ_OK && !keys_copy(a, &v->k, out))
        st = error_nomem(err);
    pthread_mutex_unlock(&v->lock);
    return st;
}

static bool vended_cached(aws_credentials *b, arena *a, aws_keys *out)
{
    vended *v = (vended *)b;
    pthread_mutex_lock(&v->lock);
    bool ok = left_ms(v) > 5000 && keys_copy(a, &v->k, out);
    pthread_mutex_unlock(&v->lock);
    return ok;
}

static void vended_expire(aws_credentials *b)
{
    vended *v = (vended *)b;
    pthread_mutex_lock(&v->lock);
    v->stale = true;
    pthread_mutex_unlock(&v->lock);
}

static void vended_free(aws_credentials *b)
{
    vended *v = (vended *)b;
    mem *m = b->m;
    rest_client_unref(v->c);
    pthread_mutex_destroy(&v->lock);
    pthread_mutex_destroy(&v->renewing);
    arena_free(&v->texts);
    arena_free(&v->a);
    mem_free(m, v, sizeof *v);
}

static const struct aws_credentials_ops vended_ops = {vended_get, vended_cached, vended_expire, vended_free};

static bool text_copy(arena *a, str s, str *out)
{
    *out = (str){arena_strndup(a, s.p ? s.p : "", s.n), s.n};
    return out->p != NULL;
}

static fz_status vended_new(rest_client *c, ib_ident id, str prefix, str endpoint, const aws_keys *k, vended **out, fz_error *err)
{
    vended *v = mem_zalloc(c->m, sizeof *v);
    if (!v)
        return error_nomem(err);
    v->base.ops = &vended_ops;
    v->base.m = c->m;
    atomic_init(&v->base.refs, 1);
    v->c = rest_client_ref(c);
    pthread_mutex_init(&v->lock, NULL);
    pthread_mutex_init(&v->renewing, NULL);
    arena_init(&v->texts, c->m);
    arena_init(&v->a, c->m);
    bool ok = text_copy(&v->a, id.ns, &v->id.ns) && text_copy(&v->a, id.name, &v->id.name) && text_copy(&v->a, prefix, &v->prefix) &&
              text_copy(&v->a, endpoint, &v->endpoint);
    fz_status st = ok ? keys_set(v, k, err) : error_nomem(err);
    if (st != FZ_OK) {
        aws_credentials_unref(&v->base);
        return st;
    }
    *out = v;
    return FZ_OK;
}

/* ---- an answer ---- */

/* One prefix with its settings. */
typedef struct part {
    str prefix;
    uint32_t n;
    io_prop *p;
    bool has_keys;
    aws_keys k;
} part;

static bool about_storage(str key) { return str_starts(key, STR("s3.")) || str_starts(key, STR("client.")); }

static bool is_key(str key)
{
    return str_eqz(key, "s3.access-key-id") || str_eqz(key, "s3.secret-access-key") || str_eqz(key, "s3.session-token") ||
           str_eqz(key, "s3.session-token-expires-at-ms");
}

static uint64_t shape_of(uint32_t n, const part *parts)
{
    uint64_t h = n;
    for (uint32_t i = 0; i < n; i++) {
        h = hash_mix(h, hash_bytes(parts[i].prefix.p, parts[i].prefix.n));
        h = hash_mix(h, parts[i].has_keys);
        for (uint32_t k = 0; k < parts[i].n; k++) {
            const io_prop *p = &parts[i].p[k];
            if (!about_storage(p->key) || is_key(p->key))
                continue;
            h = hash_mix(h, hash_bytes(p->key.p, p->key.n));
            h = hash_mix(h, hash_bytes(p->value.p, p->value.n));
        }
    }
    return h;
}

/* The parts of an answer: first the table's config (prefix empty), then each credential's; *n 0: it says nothing about storage. */
static fz_status parts_read(const json_doc *d, const json_node *answer, arena *a, uint32_t *n, part **out, fz_error *err)
{
    const json_node *list = json_get(d, answer, "storage-credentials");
    uint32_t most = list && list->type == JSON_ARRAY ? list->n : 0;
    part *parts = ARENA_ARRAY(a, part, (size_t)most + 1);
    if (!parts)
        return error_nomem(err);
    TRY(rest_json_props(d, answer, "config", a, &parts[0].n, &parts[0].p, err));
    parts[0].has_keys = keys_of(parts[0].n, parts[0].p, &parts[0].k);
    bool any = false;
    for (uint32_t i = 0; i < parts[0].n; i++)
        any |= about_storage(parts[0].p[i].key);
    uint32_t k = 1;
    const json_node *e = most ? list + 1 : NULL;
    for (uint32_t i = 0; i < most; i++, e = json_next(e)) {
        part *x = &parts[k];
        TRY(json_want(d, e, JSON_OBJECT, "a storage credential", err));
        TRY(rest_json_text(d, e, "prefix", a, &x->prefix, err));
        TRY(rest_json_props(d, e, "config", a, &x->n, &x->p, err));
        x->has_keys = keys_of(x->n, x->p, &x->k);
        if (!x->has_keys)
            continue; /* of another store */
        if (str_eqz(x->prefix, "s3") || str_eqz(x->prefix, "s3://") || !x->prefix.n) { /* every bucket: same as the table's config */
            io_prop *p = ARENA_ARRAY(a, io_prop, (size_t)parts[0].n + x->n);
            if (!p)
                return error_nomem(err);
            memcpy(p, parts[0].p, parts[0].n * sizeof *p);
            memcpy(p + parts[0].n, x->p, x->n * sizeof *p);
            x->prefix = (str){0};
            x->p = p;
            x->n += parts[0].n;
            parts[0] = *x;
        } else {
            k++;
        }
        any = true;
    }
    *n = any ? k : 0;
    *out = parts;
    return FZ_OK;
}

static fz_status part_add(rest_creds *x, rest_client *c, ib_ident id, const part *parts, const part *one, arena *a, fz_error *err)
{
    size_t n = (size_t)c->n_props + parts[0].n + one->n;
    io_prop *p = ARENA_ARRAY(a, io_prop, n);
    if (!p)
        return error_nomem(err);
    memcpy(p, c->props, c->n_props * sizeof *p);
    memcpy(p + c->n_props, parts[0].p, parts[0].n * sizeof *p);
    memcpy(p + c->n_props + parts[0].n, one->p, one->n * sizeof *p);
    vended *v = NULL;
    if (one->has_keys) {
        str endpoint = prop_last((uint32_t)n, p, "client.refresh-credentials-endpoint");
        TRY(vended_new(c, id, one->prefix, endpoint, &one->k, &v, err));
        x->v[x->n++] = v;
    }
    return storage_add(x->io, one->prefix.n ? one->prefix.p : NULL, &c->shared, (uint32_t)n, p, v ? &v->base : NULL, c->m, err);
}

static fz_status remote_signing_check(const rest_client *c, uint32_t n, const part *parts, fz_error *err)
{
    bool keys = rest_prop(c, "s3.access-key-id").n != 0;
    for (uint32_t i = 0; i < n; i++)
        keys |= parts[i].has_keys;
    if (!keys && str_ieq(prop_last(parts[0].n, parts[0].p, "s3.remote-signing-enabled"), STR("true"))) {
        error_set(err, FZ_UNSUPPORTED, "the catalog wants to sign each request to the store itself (s3.remote-signing-enabled), which isn't supported");
        error_hint(err, "have the server vend credentials, or give s3.access-key-id and s3.secret-access-key");
        return FZ_UNSUPPORTED;
    }
    return FZ_OK;
}

static fz_status creds_make(rest_client *c, ib_ident id, uint32_t n, const part *parts, file_io *parent, arena *a, rest_creds **out,
                            fz_error *err)
{
    TRY(remote_signing_check(c, n, parts, err));
    rest_creds *x = mem_zalloc(c->m, sizeof *x);
    if (!x)
        return error_nomem(err);
    atomic_init(&x->refs, 1);
    x->m = c->m;
    x->cap = n;
    x->shape = shape_of(n, parts);
    x->v = mem_zalloc(c->m, n * sizeof *x->v);
    x->io = file_io_new(c->m, parent);
    fz_status st = x->v && x->io ? FZ_OK : error_nomem(err);
    for (uint32_t i = 0; i < n && st == FZ_OK; i++)
        st = part_add(x, c, id, parts, &parts[i], a, err);
    if (st != FZ_OK) {
        rest_creds_unref(x);
        return st;
    }
    *out = x;
    return FZ_OK;
}

/* The same but for keys: they go into the providers that are there. */
static fz_status creds_update(rest_creds *x, uint32_t n, const part *parts, fz_error *err)
{
    for (uint32_t i = 0, k = 0; i < n; i++)
        if (parts[i].has_keys && k < x->n)
            TRY(keys_set(x->v[k++], &parts[i].k, err));
    return FZ_OK;
}

fz_status rest_creds_read(rest_client *c, ib_ident id, const json_doc *d, const json_node *answer, file_io *parent, rest_creds *before,
                          rest_creds **out, fz_error *err)
{
    arena a;
    uint32_t n;
    part *parts;
    *out = NULL;
    arena_init(&a, c->m);
    fz_status st = parts_read(d, answer, &a, &n, &parts, err);
    if (st == FZ_OK && n) {
        if (before && before->shape == shape_of(n, parts)) {
            st = creds_update(before, n, parts, err);
            if (st == FZ_OK)
                *out = rest_creds_ref(before);
        } else {
            st = creds_make(c, id, n, parts, parent, &a, out, err);
        }
    }
    arena_free(&a);
    return st;
}

rest_creds *rest_creds_ref(rest_creds *x)
{
    if (x)
        atomic_fetch_add_explicit(&x->refs, 1, memory_order_relaxed);
    return x;
}

void rest_creds_unref(rest_creds *x)
{
    if (!x || atomic_fetch_sub_explicit(&x->refs, 1, memory_order_acq_rel) != 1)
        return;
    for (uint32_t i = 0; i < x->n; i++)
        aws_credentials_unref(&x->v[i]->base);
    file_io_unref(x->io);
    if (x->v)
        mem_free(x->m, x->v, x->cap * sizeof *x->v);
    mem_free(x->m, x, sizeof *x);
}

file_io *rest_creds_io(const rest_creds *x) { return x ? x->io : NULL; }
