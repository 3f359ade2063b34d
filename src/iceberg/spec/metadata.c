/*
 * metadata.c: the lifetimes of table metadata (spec.h), snapshots, properties, looking things up.
 */
#include "base/hash.h"
#include "iceberg/spec/build.h"

#include <stddef.h>

/* ---- lifetimes ---- */

static ib_shared *shared_new(mem *m)
{
    ib_shared *s = mem_zalloc(m, sizeof *s);
    if (!s)
        return NULL;
    s->refs = 1;
    s->m = m;
    arena_init(&s->a, m);
    return s;
}

ib_shared *shared_ref(ib_shared *s)
{
    atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
    return s;
}

static void shared_unref(ib_shared *s)
{
    if (s && atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) == 1) {
        arena_free(&s->a);
        mem_free(s->m, s, sizeof *s);
    }
}

ib_metadata *metadata_new(mem *m, ib_shared *shared)
{
    if (!shared && !(shared = shared_new(m)))
        return NULL;
    ib_metadata *md = mem_zalloc(m, sizeof *md);
    if (!md) {
        shared_unref(shared);
        return NULL;
    }
    md->refs = 1;
    md->shared = shared;
    md->current_snapshot_id = -1;
    arena_init(&md->mem, m);
    return md;
}

ib_metadata *ib_metadata_ref(const ib_metadata *md)
{
    ib_metadata *p = (ib_metadata *)md;
    if (p)
        atomic_fetch_add_explicit(&p->refs, 1, memory_order_relaxed);
    return p;
}

void ib_metadata_unref(const ib_metadata *md)
{
    ib_metadata *p = (ib_metadata *)md;
    if (!p || atomic_fetch_sub_explicit(&p->refs, 1, memory_order_acq_rel) != 1)
        return;
    for (uint32_t i = 0; i < p->n_snapshots; i++)
        snapshot_unref(p->snapshots[i]);
    shared_unref(p->shared);
    file_io_unref(p->io);
    mem *m = p->mem.m;
    arena_free(&p->mem);
    mem_free(m, p, sizeof *p);
}

/* ---- snapshots ---- */

/*
 * A snapshot and all its bytes in one block:
 *
 *   | snap_box | ib_kv[n] | JSON text | strings that don't stand in the text as they are |
 */
typedef struct snap_box {
    _Atomic int refs;
    mem *m;
    size_t size;
    ib_snapshot s;
} snap_box;

static snap_box *box_of(const ib_snapshot *s)
{
    return (snap_box *)((char *)s - offsetof(snap_box, s));
}

static snap_box *box_new(mem *m, uint32_t n_kv, size_t bytes)
{
    size_t size = sizeof(snap_box) + (size_t)n_kv * sizeof(ib_kv) + bytes;
    snap_box *b = mem_alloc(m, size);
    if (!b)
        return NULL;
    memset(b, 0, sizeof *b);
    b->refs = 1;
    b->m = m;
    b->size = size;
    b->s.summary = (ib_props){.n = n_kv, .kv = (ib_kv *)(b + 1)};
    return b;
}

const ib_snapshot *snapshot_ref(const ib_snapshot *s)
{
    atomic_fetch_add_explicit(&box_of(s)->refs, 1, memory_order_relaxed);
    return s;
}

void snapshot_unref(const ib_snapshot *s)
{
    if (!s)
        return;
    snap_box *b = box_of(s);
    if (atomic_fetch_sub_explicit(&b->refs, 1, memory_order_acq_rel) == 1)
        mem_free(b->m, b, b->size);
}

static void snapshot_to_json(const ib_snapshot *s, int format_version, sbuf *out)
{
    json_writer w = json_writer_on(out);
    jw_begin(&w, '{');
    if (format_version >= 2) {
        jw_key(&w, "sequence-number");
        jw_i64(&w, s->sequence_number);
    }
    jw_key(&w, "snapshot-id");
    jw_i64(&w, s->snapshot_id);
    if (s->parent_id >= 0) {
        jw_key(&w, "parent-snapshot-id");
        jw_i64(&w, s->parent_id);
    }
    jw_key(&w, "timestamp-ms");
    jw_i64(&w, s->timestamp_ms);
    jw_key(&w, "summary");
    jw_begin(&w, '{');
    for (uint32_t i = 0; i < s->summary.n; i++) {
        jw_key_str(&w, s->summary.kv[i].key);
        jw_str(&w, s->summary.kv[i].value);
    }
    jw_end(&w, '}');
    jw_key(&w, "manifest-list");
    jw_str(&w, s->manifest_list);
    if (s->schema_id >= 0) {
        jw_key(&w, "schema-id");
        jw_i64(&w, s->schema_id);
    }
    jw_end(&w, '}');
}

static str place(char **at, str s)
{
    if (s.n)
        memcpy(*at, s.p, s.n);
    str out = {*at, s.n};
    *at += s.n;
    return out;
}

const ib_snapshot *snapshot_new(const ib_snapshot *s, int format_version, mem *m)
{
    sbuf json;
    sbuf_init(&json, m);
    if (s->json.n)
        sbuf_str(&json, s->json);
    else
        snapshot_to_json(s, format_version, &json);
    size_t bytes = json.n + s->manifest_list.n;
    for (uint32_t i = 0; i < s->summary.n; i++)
        bytes += s->summary.kv[i].key.n + s->summary.kv[i].value.n;
    snap_box *b = json.failed ? NULL : box_new(m, s->summary.n, bytes);
    if (b) {
        ib_kv *kv = (ib_kv *)(b + 1);
        char *at = (char *)(kv + s->summary.n);
        b->s = *s;
        b->s.summary.kv = kv;
        b->s.json = place(&at, (str){json.p, json.n});
        b->s.manifest_list = place(&at, s->manifest_list);
        for (uint32_t i = 0; i < s->summary.n; i++) {
            kv[i].key = place(&at, s->summary.kv[i].key);
            kv[i].value = place(&at, s->summary.kv[i].value);
        }
    }
    sbuf_free(&json);
    return b ? &b->s : NULL;
}

/* A string of a snapshot that is being parsed: in the copy of its text if it stands there as it
 * is, else in the room behind. */
typedef struct boxed {
    const json_doc *d;
    uint32_t base;   /* where the snapshot's text begins in the document */
    char *text;      /* its copy */
    char *spare;
    bool same;       /* the copy has the document's offsets */
} boxed;

static str boxed_str(boxed *b, const json_node *n)
{
    if (b->same && !n->escaped) /* a number's text counts as it stands */
        return (str){b->text + (n->from - b->base), n->to - n->from};
    str s = {b->spare, 0};
    if (n->type == JSON_STRING) {
        s.n = json_unescape(b->d, n, b->spare);
    } else {
        str raw = json_raw(b->d, n);
        memcpy(b->spare, raw.p, raw.n);
        s.n = raw.n;
    }
    b->spare += s.n;
    return s;
}

static fz_status opt_i64(const json_doc *d, const json_node *n, const char *name, int64_t def, int64_t *out,
                         fz_error *err)
{
    const json_node *v = json_get(d, n, name);
    *out = def;
    return v && v->type != JSON_NULL ? json_i64(d, v, out, err) : FZ_OK;
}

static fz_status snapshot_numbers(const json_doc *d, const json_node *n, int format_version, ib_snapshot *s,
                                  fz_error *err)
{
    static const char what[] = "a snapshot";
    const json_node *v;
    int64_t schema_id;
    TRY(json_need(d, n, "snapshot-id", what, &v, err));
    TRY(json_i64(d, v, &s->snapshot_id, err));
    if (s->snapshot_id < 0)
        return json_error(d, v, err, "a snapshot's id is negative");
    TRY(json_need(d, n, "timestamp-ms", what, &v, err));
    TRY(json_i64(d, v, &s->timestamp_ms, err));
    TRY(opt_i64(d, n, "parent-snapshot-id", -1, &s->parent_id, err));
    TRY(opt_i64(d, n, "sequence-number", 0, &s->sequence_number, err));
    TRY(opt_i64(d, n, "schema-id", -1, &schema_id, err));
    if (s->sequence_number < 0)
        return json_error(d, n, err, "a snapshot's sequence number is negative");
    if (schema_id < -1 || schema_id > INT32_MAX)
        return json_error(d, n, err, "a snapshot's schema-id is out of range");
    s->schema_id = (int32_t)schema_id;
    /* A table that was upgraded may still have snapshots of version 1 that name their manifests themselves. */
    const json_node *manifests = json_get(d, n, "manifests");
    if (format_version >= 2 && !(manifests && manifests->type == JSON_ARRAY)) {
        TRY(json_need(d, n, "manifest-list", what, &v, err));
        TRY(json_want(d, v, JSON_STRING, "a snapshot's \"manifest-list\"", err));
    }
    return FZ_OK;
}

fz_status snapshot_parse(const json_doc *d, const json_node *n, int format_version, mem *m,
                         const ib_snapshot **out, fz_error *err)
{
    ib_snapshot s = {0};
    TRY(json_want(d, n, JSON_OBJECT, "a snapshot", err));
    TRY(snapshot_numbers(d, n, format_version, &s, err));
    const json_node *list = json_get(d, n, "manifest-list"), *summary = json_get(d, n, "summary"), *e;
    if (list && list->type != JSON_STRING)
        list = NULL;
    if (summary && summary->type == JSON_NULL)
        summary = NULL;
    if (summary) {
        TRY(json_want(d, summary, JSON_OBJECT, "a snapshot's summary", err));
        e = summary + 1;
        for (uint32_t i = 0; i < summary->n; i++, e = json_next(e + 1))
            if (e[1].type == JSON_NULL || e[1].type >= JSON_ARRAY)
                return json_error(d, e + 1, err, "a snapshot's summary has a value that isn't a string");
    }
    str raw = json_raw(d, n);
    bool same = d->compact;
    bool spare = !same || memchr(raw.p, '\\', raw.n);
    uint32_t n_kv = summary ? summary->n : 0;
    snap_box *b = box_new(m, n_kv, raw.n * (spare ? 2 : 1));
    if (!b)
        return error_nomem(err);
    ib_kv *kv = (ib_kv *)(b + 1);
    boxed x = {.d = d, .base = n->from, .text = (char *)(kv + n_kv), .same = same};
    x.spare = x.text + raw.n;
    s.summary = b->s.summary;
    s.json = (str){x.text, raw.n};
    if (same) {
        memcpy(x.text, raw.p, raw.n);
    } else {
        sbuf c;
        sbuf_init(&c, m);
        json_compact(raw, &c);
        if (c.failed) {
            sbuf_free(&c);
            snapshot_unref(&b->s);
            return error_nomem(err);
        }
        memcpy(x.text, c.p, c.n);
        s.json.n = c.n;
        sbuf_free(&c);
    }
    if (list)
        s.manifest_list = boxed_str(&x, list);
    e = summary ? summary + 1 : NULL;
    for (uint32_t i = 0; i < n_kv; i++, e = json_next(e + 1)) {
        kv[i].key = boxed_str(&x, e);
        kv[i].value = boxed_str(&x, e + 1);
    }
    b->s = s;
    *out = &b->s;
    return FZ_OK;
}

/* ---- properties ---- */

bool props_copy(arena *a, const ib_props *p, ib_props *out)
{
    ib_kv *kv = ARENA_ARRAY(a, ib_kv, p->n);
    if (!kv)
        return false;
    for (uint32_t i = 0; i < p->n; i++)
        if (!str_copy(a, p->kv[i].key, &kv[i].key) || !str_copy(a, p->kv[i].value, &kv[i].value))
            return false;
    *out = (ib_props){.n = p->n, .kv = kv};
    return true;
}

fz_status props_from_json(const json_doc *d, const json_node *n, arena *a, ib_props *out, fz_error *err)
{
    TRY(json_want(d, n, JSON_OBJECT, "properties", err));
    ib_kv *kv = ARENA_ARRAY(a, ib_kv, n->n);
    if (!kv)
        return error_nomem(err);
    strmap seen;
    arena scratch;
    arena_init(&scratch, a->m);
    strmap_init(&seen, &scratch);
    fz_status st = FZ_OK;
    const json_node *e = n + 1;
    for (uint32_t i = 0; i < n->n; i++, e = json_next(e + 1)) {
        TRY_GOTO(json_str(d, e, a, &kv[i].key, err));
        if (e[1].type == JSON_STRING) {
            TRY_GOTO(json_str(d, e + 1, a, &kv[i].value, err));
        } else if (e[1].type == JSON_NULL || e[1].type >= JSON_ARRAY) {
            st = json_error(d, e + 1, err, "the value of property \"" STR_FMT "\" isn't a string", STR_ARG(kv[i].key));
            goto out;
        } else if (!str_copy(a, json_raw(d, e + 1), &kv[i].value)) {
            st = error_nomem(err);
            goto out;
        }
        void **slot = strmap_put(&seen, kv[i].key);
        if (!slot)
            st = error_nomem(err);
        else if (*slot)
            st = json_error(d, e, err, "property \"" STR_FMT "\" stands twice", STR_ARG(kv[i].key));
        else
            *slot = kv;
        if (st != FZ_OK)
            goto out;
    }
    *out = (ib_props){.n = n->n, .kv = kv};
out:
    arena_free(&scratch);
    return st;
}

str ib_prop(const ib_props *p, const char *key)
{
    size_t n = strlen(key);
    for (uint32_t i = 0; i < p->n; i++)
        if (p->kv[i].key.n == n && memcmp(p->kv[i].key.p, key, n) == 0)
            return p->kv[i].value;
    return (str){NULL, 0};
}

fz_status ib_prop_i64(const ib_props *p, const char *key, int64_t def, int64_t *out, fz_error *err)
{
    str v = ib_prop(p, key);
    *out = def;
    if (v.p && !str_to_i64(str_trim(v), out))
        return error_set(err, FZ_INVALID, "property %s is \"" STR_FMT "\", which isn't an integer", key, STR_ARG(v));
    return FZ_OK;
}

fz_status ib_prop_bool(const ib_props *p, const char *key, bool def, bool *out, fz_error *err)
{
    str v = str_trim(ib_prop(p, key));
    *out = def;
    if (!v.p)
        return FZ_OK;
    if (str_ieq(v, STR("true")))
        *out = true;
    else if (str_ieq(v, STR("false")))
        *out = false;
    else
        return error_set(err, FZ_INVALID, "property %s is \"" STR_FMT "\", which is neither true nor false", key,
                         STR_ARG(v));
    return FZ_OK;
}

/* ---- looking up ---- */

const ib_schema *ib_schema_by_id(const ib_metadata *md, int32_t id)
{
    for (uint32_t i = 0; i < md->n_schemas; i++)
        if (md->schemas[i].schema_id == id)
            return &md->schemas[i];
    return NULL;
}

const ib_schema *ib_current_schema(const ib_metadata *md)
{
    return ib_schema_by_id(md, md->current_schema_id);
}

const ib_partition_spec *ib_spec_by_id(const ib_metadata *md, int32_t id)
{
    for (uint32_t i = 0; i < md->n_specs; i++)
        if (md->specs[i].spec_id == id)
            return &md->specs[i];
    return NULL;
}

const ib_sort_order *ib_order_by_id(const ib_metadata *md, int32_t id)
{
    for (uint32_t i = 0; i < md->n_orders; i++)
        if (md->orders[i].order_id == id)
            return &md->orders[i];
    return NULL;
}

const ib_snapshot *ib_snapshot_by_id(const ib_metadata *md, int64_t id)
{
    /* The newest is what is nearly always asked for. */
    for (uint32_t i = md->n_snapshots; i-- > 0;)
        if (md->snapshots[i]->snapshot_id == id)
            return md->snapshots[i];
    return NULL;
}

const ib_snapshot *ib_current_snapshot(const ib_metadata *md)
{
    return md->current_snapshot_id < 0 ? NULL : ib_snapshot_by_id(md, md->current_snapshot_id);
}

const ib_ref *ib_ref_by_name(const ib_metadata *md, str name)
{
    for (uint32_t i = 0; i < md->n_refs; i++)
        if (str_eq(md->refs_list[i].name, name))
            return &md->refs_list[i];
    return NULL;
}
