/*
 * names.c: namespaces, and the names of tables.
 *
 * A namespace is levels joined by '.' here and a list of levels there; one that has a level with a dot in it (or an empty one) can't be
 * named here and isn't listed. The protocol lists one level at a time, but some servers answer with everything below, and some (that
 * keep no hierarchy) with 404 or 400 for what has nothing below: each is taken as it comes.
 */
#include "catalog/rest/rest_int.h"

#include "catalog/stage.h"

#include <stdio.h>
#include <stdlib.h>

#define PAGES_MAX 100000 /* a server that always has one more page */

fz_status rest_no_namespace(rest_call *k, str ns, fz_error *err)
{
    fz_error said = {0};
    rest_failed(k, &said);
    error_sql(err, FZ_NOT_FOUND, "3F000", "namespace " STR_FMT " doesn't exist: %s", STR_ARG(ns), said.message);
    return FZ_NOT_FOUND;
}

bool rest_odd_name(str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!((s.p[i] >= 'a' && s.p[i] <= 'z') || (s.p[i] >= '0' && s.p[i] <= '9') || s.p[i] == '_' || s.p[i] == '.'))
            return true;
    return false;
}

void rest_levels_to_json(str ns, json_writer *w)
{
    jw_begin(w, '[');
    for (size_t from = 0, i = 0; i <= ns.n && ns.n; i++)
        if (i == ns.n || ns.p[i] == '.') {
            jw_str(w, (str){ns.p + from, i - from});
            from = i + 1;
        }
    jw_end(w, ']');
}

/* ["a", "b"] as a.b; empty: it can't be named. */
static fz_status levels_read(const json_doc *d, const json_node *n, arena *a, str *out, fz_error *err)
{
    *out = (str){0};
    TRY(json_want(d, n, JSON_ARRAY, "a namespace", err));
    sbuf b;
    fz_status st = FZ_OK;
    bool named = n->n > 0;
    const json_node *e = n + 1;
    sbuf_init(&b, a->m);
    for (uint32_t i = 0; i < n->n && st == FZ_OK; i++, e = json_next(e)) {
        str level;
        st = json_str(d, e, a, &level, err);
        if (st != FZ_OK)
            break;
        named = named && level.n && !memchr(level.p, '.', level.n);
        if (i)
            sbuf_addc(&b, '.');
        sbuf_str(&b, level);
    }
    if (st == FZ_OK && named) {
        *out = (str){b.failed ? NULL : arena_strndup(a, b.p, b.n), b.n};
        st = out->p ? FZ_OK : error_nomem(err);
    }
    sbuf_free(&b);
    return st;
}

static int str_order(const void *a, const void *b) { return str_cmp(*(const str *)a, *(const str *)b); }

typedef struct names {
    arena *a;
    uint32_t n, cap;
    str *s;
} names;

static bool names_add(names *l, str s)
{
    if (l->n == l->cap) {
        uint32_t cap = l->cap ? 2 * l->cap : 32;
        str *p = ARENA_ARRAY(l->a, str, cap);
        if (!p)
            return false;
        if (l->n)
            memcpy(p, l->s, l->n * sizeof *p);
        l->s = p;
        l->cap = cap;
    }
    l->s[l->n++] = s;
    return true;
}

/* One page of a list: `each` gets its elements. *next: the token of the next page, empty after the last. */
static fz_status page(rest_call *k, const char *member, fz_status (*each)(void *ctx, const json_doc *d, const json_node *e, fz_error *err),
                      void *ctx, arena *a, str *next, fz_error *err)
{
    json_doc d;
    const json_node *list;
    TRY(rest_json(k, &d, err));
    fz_status st;
    TRY_GOTO(json_want(&d, json_root(&d), JSON_OBJECT, "the server's list", err));
    TRY_GOTO(rest_json_text(&d, json_root(&d), "next-page-token", a, next, err));
    TRY_GOTO(json_need(&d, json_root(&d), member, "the server's list", &list, err));
    TRY_GOTO(json_want(&d, list, JSON_ARRAY, member, err));
    const json_node *e = list + 1;
    for (uint32_t i = 0; i < list->n; i++, e = json_next(e))
        TRY_GOTO(each(ctx, &d, e, err));
out:
    json_free(&d);
    return st;
}

static fz_status paging(rest_call *k, str token, fz_error *err)
{
    int64_t size;
    TRY(rest_prop_i64(k->c, "rest-page-size", 0, &size, err));
    char text[24];
    if (size > 0) {
        sbuf b;
        sbuf_init(&b, NULL);
        sbuf_i64(&b, size);
        snprintf(text, sizeof text, "%s", b.p ? b.p : "");
        sbuf_free(&b);
        rest_query(k, "pageSize", str_of(text));
    }
    if (token.n || size > 0)
        rest_query(k, "pageToken", token);
    return FZ_OK;
}

/* ---- namespaces ---- */

static fz_status namespace_each(void *ctx, const json_doc *d, const json_node *e, fz_error *err)
{
    names *l = ctx;
    str ns;
    TRY(levels_read(d, e, l->a, &ns, err));
    return !ns.n || names_add(l, ns) ? FZ_OK : error_nomem(err);
}

/* Those right below parent, appended; *there: false if the server doesn't know it. */
static fz_status children(rest_client *c, str parent, names *l, bool *there, fz_error *err)
{
    str token = {0};
    *there = true;
    for (int i = 0; i < PAGES_MAX; i++) {
        rest_call k;
        str next = {0};
        fz_status st = rest_call_begin(c, &k, "GET", err);
        if (st == FZ_OK) {
            rest_path(&k, "namespaces");
            if (parent.n) {
                rest_query(&k, "parent", (str){0});
                rest_path_namespace(&k, parent);
            }
            st = paging(&k, token, err);
        }
        if (st == FZ_OK)
            st = rest_send(&k, err);
        if (st == FZ_OK && rest_ok(&k))
            st = page(&k, "namespaces", namespace_each, l, l->a, &next, err);
        else if (st == FZ_OK && parent.n && (k.r.code == 404 || k.r.code == 400))
            *there = k.r.code == 400;
        else if (st == FZ_OK)
            st = rest_failed(&k, err);
        rest_call_end(&k);
        if (st != FZ_OK || !next.n || str_eq(next, token))
            return st;
        token = next;
    }
    return error_set(err, FZ_LIMIT, "the server's list of namespaces has no end");
}

static bool below(str ns, str parent)
{
    return !parent.n || (ns.n > parent.n && ns.p[parent.n] == '.' && memcmp(ns.p, parent.p, parent.n) == 0);
}

/* Every level of ns below parent. */
static bool levels_add(names *l, str ns, str parent)
{
    for (size_t i = 1; i <= ns.n; i++)
        if ((i == ns.n || ns.p[i] == '.') && below((str){ns.p, i}, parent) && !names_add(l, (str){ns.p, i}))
            return false;
    return true;
}

static uint32_t sort_unique(str *s, uint32_t n)
{
    uint32_t k = 0;
    if (n > 1)
        qsort(s, n, sizeof *s, str_order);
    for (uint32_t i = 0; i < n; i++)
        if (i == 0 || !str_eq(s[i], s[k - 1]))
            s[k++] = s[i];
    return k;
}

fz_status rest_list_namespaces(ib_catalog *b, str parent, arena *a, uint32_t *n, str **out, fz_error *err)
{
    rest_client *c = rest_of(b)->c;
    names todo = {.a = a}, all = {.a = a};
    bool there;
    TRY(children(c, parent, &todo, &there, err));
    if (parent.n && (!there || !todo.n)) { /* nothing below, or nothing there: servers say either for both */
        bool exists = there;
        TRY(rest_namespace_exists(b, parent, &exists, err));
        if (!exists)
            return error_sql(err, FZ_NOT_FOUND, "3F000", "namespace " STR_FMT " doesn't exist", STR_ARG(parent));
    }
    for (uint32_t i = 0; i < todo.n; i++) {
        str ns = todo.s[i];
        bool seen = false;
        for (uint32_t k = 0; k < i && !seen; k++)
            seen = str_eq(todo.s[k], ns);
        if (seen || !below(ns, parent)) /* a server that answers with the parent itself, or again */
            continue;
        if (!levels_add(&all, ns, parent))
            return error_nomem(err);
        TRY(children(c, ns, &todo, &there, err));
    }
    *n = sort_unique(all.s, all.n);
    *out = all.s;
    return FZ_OK;
}

fz_status rest_namespace_exists(ib_catalog *b, str ns, bool *out, fz_error *err)
{
    rest_client *c = rest_of(b)->c;
    rest_call k;
    fz_status st;
    if (rest_space_known(rest_of(b), ns)) {
        *out = true;
        return FZ_OK;
    }
    TRY_GOTO(rest_call_begin(c, &k, "GET", err));
    if (rest_can(c, REST_NAMESPACE_EXISTS))
        k.r.method = "HEAD";
    rest_path(&k, "namespaces/");
    rest_path_namespace(&k, ns);
    TRY_GOTO(rest_send(&k, err));
    *out = rest_ok(&k);
    if (!*out && k.r.code != 404 && !(k.r.code == 400 && rest_odd_name(ns)))
        st = rest_failed(&k, err);
    if (st == FZ_OK)
        rest_space_seen(rest_of(b), ns, *out);
out:
    rest_call_end(&k);
    return st;
}

static void props_to_json(const ib_props *p, json_writer *w)
{
    jw_begin(w, '{');
    for (uint32_t i = 0; p && i < p->n; i++) {
        jw_key_str(w, p->kv[i].key);
        jw_str(w, p->kv[i].value);
    }
    jw_end(w, '}');
}

fz_status rest_create_namespace(ib_catalog *b, str ns, const ib_props *props, fz_error *err)
{
    rest_call k;
    fz_status st;
    TRY(namespace_name_check(ns, err));
    TRY_GOTO(rest_call_begin(rest_of(b)->c, &k, "POST", err));
    k.once = true;
    rest_path(&k, "namespaces");
    json_writer w = json_writer_on(&k.body);
    jw_begin(&w, '{');
    jw_key(&w, "namespace");
    rest_levels_to_json(ns, &w);
    jw_key(&w, "properties");
    props_to_json(props, &w);
    jw_end(&w, '}');
    TRY_GOTO(rest_send(&k, err));
    if (rest_ok(&k)) {
        rest_space_seen(rest_of(b), ns, true);
        goto out;
    }
    fz_error said = {0};
    st = rest_failed(&k, &said);
    if (k.r.code == 409)
        st = error_sql(err, FZ_EXISTS, "42P06", "namespace " STR_FMT " exists already: %s", STR_ARG(ns), said.message);
    else if (err)
        *err = said;
out:
    rest_call_end(&k);
    return st;
}

fz_status rest_drop_namespace(ib_catalog *b, str ns, fz_error *err)
{
    rest_call k;
    fz_status st;
    TRY_GOTO(rest_call_begin(rest_of(b)->c, &k, "DELETE", err));
    k.once = true;
    rest_path(&k, "namespaces/");
    rest_path_namespace(&k, ns);
    rest_space_seen(rest_of(b), ns, false);
    TRY_GOTO(rest_send(&k, err));
    if (rest_ok(&k))
        goto out;
    if (k.r.code == 404) {
        st = rest_no_namespace(&k, ns, err);
        goto out;
    }
    fz_error said = {0};
    st = rest_failed(&k, &said);
    if (k.r.code == 409 || strcmp(k.type, "NamespaceNotEmptyException") == 0)
        st = error_sql(err, FZ_INVALID, "2BP01", "namespace " STR_FMT " isn't empty: %s", STR_ARG(ns), said.message);
    else if (err)
        *err = said;
out:
    rest_call_end(&k);
    return st;
}

fz_status rest_change_namespace_props(ib_catalog *b, str ns, const ib_props_change *change, fz_error *err)
{
    rest_call k;
    fz_status st;
    TRY_GOTO(rest_call_begin(rest_of(b)->c, &k, "POST", err));
    k.once = true;
    rest_path(&k, "namespaces/");
    rest_path_namespace(&k, ns);
    rest_path(&k, "/properties");
    json_writer w = json_writer_on(&k.body);
    jw_begin(&w, '{');
    jw_key(&w, "removals");
    jw_begin(&w, '[');
    for (uint32_t i = 0; i < change->n_removals; i++)
        jw_str(&w, change->removals[i]);
    jw_end(&w, ']');
    jw_key(&w, "updates");
    props_to_json(&change->updates, &w);
    jw_end(&w, '}');
    TRY_GOTO(rest_send(&k, err));
    if (!rest_ok(&k))
        st = k.r.code == 404 ? rest_no_namespace(&k, ns, err) : rest_failed(&k, err);
out:
    rest_call_end(&k);
    return st;
}

fz_status rest_namespace_props(ib_catalog *b, str ns, arena *a, ib_props *out, fz_error *err)
{
    rest_call k;
    json_doc d = {0};
    fz_status st;
    uint32_t n;
    io_prop *p;
    *out = (ib_props){0};
    TRY_GOTO(rest_call_begin(rest_of(b)->c, &k, "GET", err));
    rest_path(&k, "namespaces/");
    rest_path_namespace(&k, ns);
    TRY_GOTO(rest_send(&k, err));
    if (!rest_ok(&k)) {
        st = k.r.code == 404 ? rest_no_namespace(&k, ns, err) : rest_failed(&k, err);
        goto out;
    }
    TRY_GOTO(rest_json(&k, &d, err));
    TRY_GOTO(rest_json_props(&d, json_root(&d), "properties", a, &n, &p, err));
    ib_kv *kv = ARENA_ARRAY(a, ib_kv, n);
    if (!kv) {
        st = error_nomem(err);
        goto out;
    }
    for (uint32_t i = 0; i < n; i++)
        kv[i] = (ib_kv){p[i].key, p[i].value};
    *out = (ib_props){n, kv};
out:
    json_free(&d);
    rest_call_end(&k);
    return st;
}

/* ---- names of tables ---- */

typedef struct idents { str ns; names names; } idents;

static fz_status table_each(void *ctx, const json_doc *d, const json_node *e, fz_error *err)
{
    idents *l = ctx;
    str name, ns;
    const json_node *v;
    TRY(json_want(d, e, JSON_OBJECT, "a table's identifier", err));
    TRY(json_need(d, e, "namespace", "a table's identifier", &v, err));
    TRY(levels_read(d, v, l->names.a, &ns, err));
    TRY(json_need(d, e, "name", "a table's identifier", &v, err));
    TRY(json_str(d, v, l->names.a, &name, err));
    if (!str_eq(ns, l->ns) || !name.n) /* some list what lies deeper as well */
        return FZ_OK;
    return names_add(&l->names, name) ? FZ_OK : error_nomem(err);
}

fz_status rest_list_tables(ib_catalog *b, str ns, arena *a, uint32_t *n, ib_ident **out, fz_error *err)
{
    rest_client *c = rest_of(b)->c;
    idents l = {.ns = {arena_strndup(a, ns.p, ns.n), ns.n}, .names = {.a = a}};
    str token = {0};
    if (!l.ns.p)
        return error_nomem(err);
    for (int i = 0;; i++) {
        rest_call k;
        str next = {0};
        fz_status st = i < PAGES_MAX ? rest_call_begin(c, &k, "GET", err) : error_set(err, FZ_LIMIT, "the server's list of tables has no end");
        if (i >= PAGES_MAX)
            return st;
        if (st == FZ_OK) {
            rest_path(&k, "namespaces/");
            rest_path_namespace(&k, ns);
            rest_path(&k, "/tables");
            st = paging(&k, token, err);
        }
        if (st == FZ_OK)
            st = rest_send(&k, err);
        if (st == FZ_OK && rest_ok(&k))
            st = page(&k, "identifiers", table_each, &l, a, &next, err);
        else if (st == FZ_OK)
            st = k.r.code == 404 ? rest_no_namespace(&k, ns, err) : rest_failed(&k, err);
        rest_call_end(&k);
        TRY(st);
        if (!next.n || str_eq(next, token))
            break;
        token = next;
    }
    uint32_t count = sort_unique(l.names.s, l.names.n);
    ib_ident *ids = ARENA_ARRAY(a, ib_ident, count);
    if (!ids)
        return error_nomem(err);
    for (uint32_t i = 0; i < count; i++)
        ids[i] = (ib_ident){l.ns, l.names.s[i]};
    *n = count;
    *out = ids;
    return FZ_OK;
}
