/*
 * catalog_request.c: fz_catalog_request: the Iceberg REST protocol answered in the process, over whatever catalog the lake has. The
 * protocol's routes are a table of method, path and function; each function reads the request's JSON and writes the answer's.
 *
 * Requests act on the catalog at once, whatever transaction the session has open.
 */
#include "engine/new_table.h"

#include "codec/json.h"
#include "iceberg/spec/build.h"
#include "iceberg/update/evolve.h"
#include "iceberg/update/json.h"

#define PARTS 5
#define TABLES_MAX 1000
#define LEVEL '\x1f' /* between the levels of a namespace in a path */

typedef struct request {
    fz_session *s;
    arena a;
    bool read;               /* changes nothing */
    uint32_t n;
    str part[PARTS];         /* of the path, decoded; namespaces with '.' between their levels */
    str query;
    bool has_body;
    json_doc body;
    sbuf out;
    json_writer w;
    ib_catalog *c;           /* NULL: a lake without a catalog yet, for reading */
    fz_error *err;
} request;

/* ---- reading ---- */

static int hex(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* A part of the path without its %XX; levels of a namespace joined by '.'. */
static fz_status decode(request *q, str s, str *out)
{
    char *p = arena_alloc(&q->a, s.n + 1);
    size_t n = 0;
    if (!p)
        return error_nomem(q->err);
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (c == '%') {
            int hi = i + 2 < s.n ? hex(s.p[i + 1]) : -1, lo = hi < 0 ? -1 : hex(s.p[i + 2]);
            if (lo < 0)
                return error_set(q->err, FZ_INVALID, "the path has a %% without two hexadecimal digits");
            c = (char)(hi * 16 + lo);
            i += 2;
        }
        p[n++] = c == LEVEL ? '.' : c;
    }
    p[n] = 0;
    *out = (str){p, n};
    return FZ_OK;
}

static fz_status path_read(request *q, const char *path)
{
    const char *mark = strchr(path, '?'), *end = mark ? mark : path + strlen(path);
    q->query = mark ? str_of(mark + 1) : (str){0};
    while (path < end) {
        const char *slash = memchr(path, '/', (size_t)(end - path));
        size_t n = (size_t)((slash ? slash : end) - path);
        if (n) {
            if (q->n == PARTS)
                return error_set(q->err, FZ_NOT_FOUND, "there is no such request");
            TRY(decode(q, (str){path, n}, &q->part[q->n++]));
        }
        path += n + (slash != NULL);
    }
    return FZ_OK;
}

/* A parameter of the query; empty: not given. */
static fz_status parameter(request *q, const char *name, str *out)
{
    str rest = q->query;
    *out = (str){0};
    while (rest.n) {
        const char *amp = memchr(rest.p, '&', rest.n);
        str one = {rest.p, amp ? (size_t)(amp - rest.p) : rest.n};
        const char *eq = memchr(one.p, '=', one.n);
        if (eq && str_eqz((str){one.p, (size_t)(eq - one.p)}, name))
            return decode(q, (str){eq + 1, one.n - (size_t)(eq + 1 - one.p)}, out);
        rest = amp ? (str){amp + 1, rest.n - one.n - 1} : (str){0};
    }
    return FZ_OK;
}

static fz_status need(request *q, const json_node *in, const char *name, const json_node **out)
{
    *out = json_get(&q->body, in, name);
    return *out ? FZ_OK : json_error(&q->body, in, q->err, "the request lacks \"%s\"", name);
}

static fz_status need_text(request *q, const json_node *in, const char *name, str *out)
{
    const json_node *n;
    TRY(need(q, in, name, &n));
    return json_str(&q->body, n, &q->a, out, q->err);
}

/* An array of levels, joined by '.'. */
static fz_status need_namespace(request *q, const json_node *in, const char *name, str *out)
{
    const json_node *n;
    sbuf b;
    fz_status st = FZ_OK;
    TRY(need(q, in, name, &n));
    TRY(json_want(&q->body, n, JSON_ARRAY, "a namespace", q->err));
    sbuf_init(&b, &q->s->m);
    const json_node *e = n + 1;
    for (uint32_t i = 0; i < n->n && !st; i++, e = json_next(e)) {
        str level;
        st = json_str(&q->body, e, &q->a, &level, q->err);
        if (i)
            sbuf_addc(&b, '.');
        if (!st)
            sbuf_str(&b, level);
    }
    char *copy = st ? NULL : b.failed ? NULL : arena_strndup(&q->a, b.p ? b.p : "", b.n);
    *out = (str){copy, b.n};
    sbuf_free(&b);
    return st ? st : copy ? FZ_OK : error_nomem(q->err);
}

static fz_status need_identifier(request *q, const json_node *in, const char *name, ib_ident *out)
{
    const json_node *n;
    TRY(need(q, in, name, &n));
    TRY(need_namespace(q, n, "namespace", &out->ns));
    return need_text(q, n, "name", &out->name);
}

static const json_node *root(const request *q) { return json_root(&q->body); }

/* ---- writing ---- */

static void put_namespace(request *q, str ns)
{
    jw_begin(&q->w, '[');
    while (ns.n) {
        const char *dot = memchr(ns.p, '.', ns.n);
        size_t n = dot ? (size_t)(dot - ns.p) : ns.n;
        jw_str(&q->w, (str){ns.p, n});
        ns = dot ? (str){dot + 1, ns.n - n - 1} : (str){0};
    }
    jw_end(&q->w, ']');
}

static void put_properties(request *q, const char *name, const ib_props *p)
{
    jw_key(&q->w, name);
    jw_begin(&q->w, '{');
    for (uint32_t i = 0; i < p->n; i++) {
        jw_key_str(&q->w, p->kv[i].key);
        jw_str(&q->w, p->kv[i].value);
    }
    jw_end(&q->w, '}');
}

static void put_table(request *q, const ib_table *t)
{
    sbuf md;
    sbuf_init(&md, &q->s->m);
    ib_metadata_write(t->md, &md);
    jw_begin(&q->w, '{');
    jw_key(&q->w, "metadata-location");
    jw_str(&q->w, str_of(t->metadata_location));
    jw_key(&q->w, "metadata");
    if (md.failed)
        q->out.failed = true;
    else
        jw_raw(&q->w, (str){md.p, md.n});
    put_properties(q, "config", &(ib_props){0});
    jw_end(&q->w, '}');
    sbuf_free(&md);
}

/* ---- namespaces ---- */

static fz_status no_namespace(request *q, str ns)
{
    return error_sql(q->err, FZ_NOT_FOUND, "3F000", "there is no namespace " STR_FMT, STR_ARG(ns));
}

static fz_status namespace_there(request *q, str ns)
{
    bool there = false;
    if (q->c)
        TRY(q->c->ops->namespace_exists(q->c, ns, &there, q->err));
    return there ? FZ_OK : no_namespace(q, ns);
}

static fz_status list_namespaces(request *q)
{
    str parent, *all = NULL;
    uint32_t n = 0;
    TRY(parameter(q, "parent", &parent));
    if (parent.n)
        TRY(namespace_there(q, parent));
    if (q->c)
        TRY(q->c->ops->list_namespaces(q->c, parent, &q->a, &n, &all, q->err));
    jw_begin(&q->w, '{');
    jw_key(&q->w, "namespaces");
    jw_begin(&q->w, '[');
    for (uint32_t i = 0; i < n; i++) {
        size_t from = parent.n ? parent.n + 1 : 0;
        if (all[i].n > from && !memchr(all[i].p + from, '.', all[i].n - from)) /* the next level alone */
            put_namespace(q, all[i]);
    }
    jw_end(&q->w, ']');
    jw_end(&q->w, '}');
    return FZ_OK;
}

static fz_status put_namespace_properties(request *q, str ns, const ib_props *p)
{
    jw_begin(&q->w, '{');
    jw_key(&q->w, "namespace");
    put_namespace(q, ns);
    put_properties(q, "properties", p);
    jw_end(&q->w, '}');
    return FZ_OK;
}

static fz_status create_namespace(request *q)
{
    str ns;
    ib_props p = {0};
    TRY(need_namespace(q, root(q), "namespace", &ns));
    const json_node *n = json_get(&q->body, root(q), "properties");
    if (n && n->type != JSON_NULL)
        TRY(props_from_json(&q->body, n, &q->a, &p, q->err));
    TRY(q->c->ops->create_namespace(q->c, ns, &p, q->err));
    return put_namespace_properties(q, ns, &p);
}

static fz_status load_namespace(request *q)
{
    ib_props p = {0};
    TRY(namespace_there(q, q->part[1]));
    TRY(q->c->ops->namespace_props(q->c, q->part[1], &q->a, &p, q->err));
    return put_namespace_properties(q, q->part[1], &p);
}

/* The keys of `of` that are, or aren't, among those of p. */
static void put_keys(request *q, const char *name, uint32_t n, const str *of, const ib_props *p, bool there)
{
    jw_key(&q->w, name);
    jw_begin(&q->w, '[');
    for (uint32_t i = 0; i < n; i++)
        if ((ib_prop(p, of[i].p).p != NULL) == there)
            jw_str(&q->w, of[i]);
    jw_end(&q->w, ']');
}

static fz_status change_namespace(request *q)
{
    const json_node *n;
    ib_props_change change = {0};
    ib_props had = {0};
    str ns = q->part[1];
    TRY(namespace_there(q, ns));
    if ((n = json_get(&q->body, root(q), "updates")) && n->type != JSON_NULL)
        TRY(props_from_json(&q->body, n, &q->a, &change.updates, q->err));
    uint32_t n_removals = 0;
    str *removals = NULL;
    if ((n = json_get(&q->body, root(q), "removals")) && n->type != JSON_NULL) {
        TRY(json_want(&q->body, n, JSON_ARRAY, "the removals", q->err));
        removals = ARENA_ARRAY(&q->a, str, n->n + 1);
        if (!removals)
            return error_nomem(q->err);
        const json_node *e = n + 1;
        for (; n_removals < n->n; n_removals++, e = json_next(e)) {
            TRY(json_str(&q->body, e, &q->a, &removals[n_removals], q->err));
            for (uint32_t i = 0; i < change.updates.n; i++)
                if (str_eq(change.updates.kv[i].key, removals[n_removals]))
                    return error_set(q->err, FZ_INVALID, "the property " STR_FMT " is to be set and removed", STR_ARG(removals[n_removals]));
        }
    }
    change.n_removals = n_removals;
    change.removals = removals;
    TRY(q->c->ops->namespace_props(q->c, ns, &q->a, &had, q->err));
    if (n_removals + change.updates.n)
        TRY(q->c->ops->change_namespace_props(q->c, ns, &change, q->err));
    str *set = ARENA_ARRAY(&q->a, str, change.updates.n + 1);
    if (!set)
        return error_nomem(q->err);
    for (uint32_t i = 0; i < change.updates.n; i++)
        set[i] = change.updates.kv[i].key;
    jw_begin(&q->w, '{');
    put_keys(q, "updated", change.updates.n, set, &change.updates, true);
    put_keys(q, "removed", n_removals, removals, &had, true);
    put_keys(q, "missing", n_removals, removals, &had, false);
    jw_end(&q->w, '}');
    return FZ_OK;
}

static fz_status head_namespace(request *q) { return namespace_there(q, q->part[1]); }
static fz_status drop_namespace(request *q) { return q->c->ops->drop_namespace(q->c, q->part[1], q->err); }

/* ---- tables ---- */

static fz_status table_load(request *q, ib_table **out)
{
    ib_ident id = {q->part[1], q->part[3]};
    fz_status st = q->c ? lake_table(q->s->lake, id, out, q->err) : FZ_NOT_FOUND;
    if (st == FZ_NOT_FOUND && (!q->c || !q->err || !q->err->message[0]))
        error_sql(q->err, st, "42P01", "there is no table " STR_FMT "." STR_FMT, STR_ARG(id.ns), STR_ARG(id.name));
    return st;
}

static fz_status list_tables(request *q)
{
    uint32_t n = 0;
    ib_ident *t = NULL;
    TRY(namespace_there(q, q->part[1]));
    TRY(q->c->ops->list_tables(q->c, q->part[1], &q->a, &n, &t, q->err));
    jw_begin(&q->w, '{');
    jw_key(&q->w, "identifiers");
    jw_begin(&q->w, '[');
    for (uint32_t i = 0; i < n; i++) {
        jw_begin(&q->w, '{');
        jw_key(&q->w, "namespace");
        put_namespace(q, t[i].ns);
        jw_key(&q->w, "name");
        jw_str(&q->w, t[i].name);
        jw_end(&q->w, '}');
    }
    jw_end(&q->w, ']');
    jw_end(&q->w, '}');
    return FZ_OK;
}

static fz_status load_table(request *q)
{
    ib_table *t;
    TRY(table_load(q, &t));
    put_table(q, t);
    ib_table_unref(t);
    return FZ_OK;
}

static fz_status head_table(request *q)
{
    ib_table *t;
    TRY(table_load(q, &t));
    ib_table_unref(t);
    return FZ_OK;
}

/* Fresh ids for a schema: the columns' from 1, then those below. from, to: what each was and is. */
typedef struct renumbering { uint32_t n, cap; struct { int32_t from, to; } *at; } renumbering;

static fz_status ids_add(request *q, renumbering *r, const type_fields *was, const type_fields *is)
{
    for (uint32_t i = 0; i < was->n; i++) {
        if (r->n == r->cap) {
            uint32_t cap = r->cap ? 2 * r->cap : 64;
            void *more = arena_alloc(&q->a, cap * sizeof *r->at);
            if (!more)
                return error_nomem(q->err);
            if (r->n)
                memcpy(more, r->at, r->n * sizeof *r->at);
            r->at = more;
            r->cap = cap;
        }
        r->at[r->n].from = was->f[i].field_id;
        r->at[r->n++].to = is->f[i].field_id;
        if (was->f[i].t.children)
            TRY(ids_add(q, r, was->f[i].t.children, is->f[i].t.children));
    }
    return FZ_OK;
}

static fz_status id_now(request *q, const renumbering *r, int32_t *id)
{
    for (uint32_t i = 0; i < r->n; i++)
        if (r->at[i].from == *id) {
            *id = r->at[i].to;
            return FZ_OK;
        }
    return error_set(q->err, FZ_INVALID, "the schema has no field %d", *id);
}

/* A table's first metadata has field ids of its own: what the request calls its fields is translated. */
static fz_status layout_read(request *q, ib_schema *schema, ib_partition_spec *spec, ib_sort_order *order)
{
    const json_node *n;
    ib_schema was;
    renumbering r = {0};
    TRY(need(q, root(q), "schema", &n));
    TRY(schema_from_json(&q->body, n, &q->a, &was, q->err));
    type_fields *f = arena_alloc(&q->a, sizeof *f + sizeof(type_field) * was.fields->n);
    int32_t *ids = ARENA_ARRAY(&q->a, int32_t, was.n_identifier + 1);
    if (!f || !ids)
        return error_nomem(q->err);
    memcpy(f, was.fields, sizeof *f + sizeof(type_field) * was.fields->n);
    int32_t last = (int32_t)f->n;
    for (uint32_t i = 0; i < f->n; i++)
        f->f[i].field_id = (int32_t)i + 1;
    for (uint32_t i = 0; i < f->n; i++)
        TRY(ib_assign_ids(&f->f[i].t, &last, &q->a, q->err));
    TRY(ids_add(q, &r, was.fields, f));
    for (uint32_t i = 0; i < was.n_identifier; i++) {
        ids[i] = was.identifier_ids[i];
        TRY(id_now(q, &r, &ids[i]));
    }
    *schema = (ib_schema){.fields = f, .n_identifier = was.n_identifier, .identifier_ids = ids};
    *spec = (ib_partition_spec){0};
    *order = (ib_sort_order){0};
    if ((n = json_get(&q->body, root(q), "partition-spec")) && n->type != JSON_NULL) {
        TRY(need(q, n, "fields", &n));
        TRY(spec_fields_from_json(&q->body, n, 0, &q->a, spec, q->err));
        ib_partition_field *p = (ib_partition_field *)spec->fields;
        for (uint32_t i = 0; i < spec->n; i++) {
            p[i].field_id = 1000 + (int32_t)i;
            TRY(id_now(q, &r, &p[i].source_id));
        }
    }
    if ((n = json_get(&q->body, root(q), "write-order")) && n->type != JSON_NULL) {
        TRY(order_from_json(&q->body, n, &q->a, order, q->err));
        ib_sort_field *p = (ib_sort_field *)order->fields;
        for (uint32_t i = 0; i < order->n; i++)
            TRY(id_now(q, &r, &p[i].source_id));
        order->order_id = order->n ? 1 : 0;
    }
    return FZ_OK;
}

static fz_status first_metadata(request *q, ib_ident id, ib_metadata **out)
{
    ib_schema schema;
    ib_partition_spec spec;
    ib_sort_order order;
    ib_props props = {0};
    str location = {0};
    TRY(layout_read(q, &schema, &spec, &order));
    const json_node *n = json_get(&q->body, root(q), "properties");
    if (n && n->type != JSON_NULL)
        TRY(props_from_json(&q->body, n, &q->a, &props, q->err));
    if ((n = json_get(&q->body, root(q), "location")) && n->type != JSON_NULL)
        TRY(json_str(&q->body, n, &q->a, &location, q->err));
    return new_table_begin(q->c, id, location, &schema, &spec, &order, &props, q->s->lake->m, &q->a, out, q->err);
}

/* Not every server says so itself when a table is made again. */
static fz_status table_missing(request *q, ib_ident id)
{
    fz_error e = {0};
    ib_table *t;
    fz_status st = lake_table(q->s->lake, id, &t, &e);
    if (!st) {
        ib_table_unref(t);
        return error_sql(q->err, FZ_EXISTS, "42P07", "table " STR_FMT "." STR_FMT " exists already", STR_ARG(id.ns), STR_ARG(id.name));
    }
    if (st != FZ_NOT_FOUND)
        *q->err = e;
    return st == FZ_NOT_FOUND ? FZ_OK : st;
}

static fz_status create_table(request *q)
{
    ib_ident id = {.ns = q->part[1]};
    ib_metadata *md;
    ib_table *t;
    TRY(need_text(q, root(q), "name", &id.name));
    TRY(table_missing(q, id));
    TRY(first_metadata(q, id, &md));
    fz_status st = q->c->ops->create_table(q->c, id, md, &t, q->err);
    ib_metadata_unref(md);
    TRY(st);
    lake_remember(q->s->lake, t);
    put_table(q, t);
    ib_table_unref(t);
    return FZ_OK;
}

static fz_status register_table(request *q)
{
    ib_ident id = {.ns = q->part[1]};
    str location;
    ib_table *t;
    TRY(need_text(q, root(q), "name", &id.name));
    TRY(need_text(q, root(q), "metadata-location", &location));
    TRY(q->c->ops->register_table(q->c, id, location.p, &t, q->err));
    lake_remember(q->s->lake, t);
    put_table(q, t);
    ib_table_unref(t);
    return FZ_OK;
}

static fz_status drop_table(request *q)
{
    ib_ident id = {q->part[1], q->part[3]};
    str purge;
    TRY(parameter(q, "purgeRequested", &purge));
    if (str_ieq(purge, STR("true")))
        return error_set(q->err, FZ_UNSUPPORTED, "purging is done by DROP TABLE … PURGE");
    TRY(q->c->ops->drop_table(q->c, id, q->err));
    lake_forget(q->s->lake, id);
    return FZ_OK;
}

static fz_status rename_table(request *q)
{
    ib_ident from, to;
    TRY(need_identifier(q, root(q), "source", &from));
    TRY(need_identifier(q, root(q), "destination", &to));
    TRY(q->c->ops->rename_table(q->c, from, to, q->err));
    lake_forget(q->s->lake, from);
    return FZ_OK;
}

/* ---- commits ---- */

static fz_status change_read(request *q, const json_node *in, ib_commit *out)
{
    const json_node *r, *u, *e;
    TRY(need(q, in, "requirements", &r));
    TRY(need(q, in, "updates", &u));
    TRY(json_want(&q->body, r, JSON_ARRAY, "the requirements", q->err));
    TRY(json_want(&q->body, u, JSON_ARRAY, "the updates", q->err));
    ib_requirement *rs = ARENA_ARRAY(&q->a, ib_requirement, r->n + 1);
    ib_update *us = ARENA_ARRAY(&q->a, ib_update, u->n + 1);
    if (!rs || !us)
        return error_nomem(q->err);
    e = r + 1;
    for (uint32_t i = 0; i < r->n; i++, e = json_next(e))
        TRY(ib_requirement_from_json(&q->body, e, &q->a, &rs[i], q->err));
    e = u + 1;
    for (uint32_t i = 0; i < u->n; i++, e = json_next(e))
        TRY(ib_update_from_json(&q->body, e, &q->a, &us[i], q->err));
    out->n_requirements = r->n;
    out->requirements = rs;
    out->n_updates = u->n;
    out->updates = us;
    return FZ_OK;
}

/* Commits to n tables; out[i] are references. */
static fz_status commit(request *q, uint32_t n, const ib_commit *c, ib_table **out)
{
    ib_table **base = ARENA_ARRAY(&q->a, ib_table *, n + 1);
    fz_status st = base ? FZ_OK : error_nomem(q->err);
    for (uint32_t i = 0; i < n && !st; i++) {
        base[i] = out[i] = NULL;
        st = lake_table(q->s->lake, c[i].id, &base[i], q->err);
    }
    if (!st)
        st = q->c->ops->commit(q->c, n, c, base, out, q->err);
    for (uint32_t i = 0; base && i < n; i++) {
        ib_table_unref(base[i]);
        base[i] = NULL;
        if (!st)
            lake_remember(q->s->lake, out[i]);
    }
    return st;
}

static fz_status commit_table(request *q)
{
    ib_commit c = {.id = {q->part[1], q->part[3]}};
    ib_table *t = NULL;
    TRY(change_read(q, root(q), &c));
    TRY(commit(q, 1, &c, &t));
    put_table(q, t);
    ib_table_unref(t);
    return FZ_OK;
}

static fz_status commit_tables(request *q)
{
    const json_node *list, *e;
    TRY(need(q, root(q), "table-changes", &list));
    TRY(json_want(&q->body, list, JSON_ARRAY, "the changes of tables", q->err));
    if (list->n > TABLES_MAX)
        return error_set(q->err, FZ_LIMIT, "a commit changes at most %d tables", TABLES_MAX);
    ib_commit *c = arena_zalloc(&q->a, (list->n + 1) * sizeof *c);
    ib_table **t = arena_zalloc(&q->a, (list->n + 1) * sizeof *t);
    if (!c || !t)
        return error_nomem(q->err);
    e = list + 1;
    for (uint32_t i = 0; i < list->n; i++, e = json_next(e)) {
        TRY(need_identifier(q, e, "identifier", &c[i].id));
        TRY(change_read(q, e, &c[i]));
    }
    if (list->n)
        TRY(commit(q, list->n, c, t));
    for (uint32_t i = 0; i < list->n; i++)
        ib_table_unref(t[i]);
    return FZ_OK;
}

/* ---- routes ---- */

typedef fz_status (*answer_fn)(request *q);
static const struct route {
    const char *method, *path; /* "*" stands for any part */
    bool read;                 /* needs no catalog that can be written to */
    answer_fn answer;
} routes[] = {
    {"GET", "namespaces", true, list_namespaces},
    {"POST", "namespaces", false, create_namespace},
    {"GET", "namespaces/*", true, load_namespace},
    {"HEAD", "namespaces/*", true, head_namespace},
    {"DELETE", "namespaces/*", false, drop_namespace},
    {"POST", "namespaces/*/properties", false, change_namespace},
    {"GET", "namespaces/*/tables", true, list_tables},
    {"POST", "namespaces/*/tables", false, create_table},
    {"POST", "namespaces/*/register", false, register_table},
    {"GET", "namespaces/*/tables/*", true, load_table},
    {"HEAD", "namespaces/*/tables/*", true, head_table},
    {"POST", "namespaces/*/tables/*", false, commit_table},
    {"DELETE", "namespaces/*/tables/*", false, drop_table},
    {"POST", "tables/rename", false, rename_table},
    {"POST", "transactions/commit", false, commit_tables},
};

static bool path_matches(const char *pattern, const request *q)
{
    uint32_t i = 0;
    for (; *pattern && i < q->n; i++) {
        size_t n = strcspn(pattern, "/");
        if (!(n == 1 && *pattern == '*') && !str_eq(q->part[i], (str){pattern, n}))
            return false;
        pattern += n + (pattern[n] == '/');
    }
    return !*pattern && i == q->n;
}

static fz_status answer(request *q, const char *method, const char *path, const char *body)
{
    TRY(path_read(q, path));
    const struct route *r = NULL;
    bool known = false;
    for (size_t i = 0; i < sizeof routes / sizeof *routes && !r; i++)
        if (path_matches(routes[i].path, q)) {
            known = true;
            if (strcmp(method, routes[i].method) == 0)
                r = &routes[i];
        }
    if (!r)
        return error_set(q->err, FZ_UNSUPPORTED, known ? "%s isn't a method of %s" : "there is no request %s %s", method, path);
    if (strcmp(method, "POST") == 0) {
        TRY(json_parse(&q->body, body ? body : "", body ? strlen(body) : 0, "the request", &q->s->m, q->err));
        q->has_body = true;
    }
    TRY(lake_catalog(q->s->lake, !r->read, &q->c, q->err));
    return r->answer(q);
}

fz_status fz_catalog_request(fz_session *s, const char *method, const char *path, const char *body, fz_write_fn write, void *ctx, fz_error *err)
{
    fz_error own = {0};
    request q = {.s = s, .err = err ? err : &own};
    if (err)
        *err = (fz_error){0};
    arena_init(&q.a, &s->m);
    sbuf_init(&q.out, &s->m);
    q.w = json_writer_on(&q.out);
    fz_status st = answer(&q, method, path, body);
    if (!st && q.out.failed)
        st = error_nomem(err);
    if (!st && q.out.n && write && write(ctx, q.out.p, q.out.n))
        st = error_set(err, FZ_CANCELLED, "stopped by the caller");
    if (q.has_body)
        json_free(&q.body);
    sbuf_free(&q.out);
    arena_free(&q.a);
    return st;
}
