/*
 * evolve_names.c: properties that name columns, after a change of the schema.
 *
 * Properties per column (metrics, statistics, Bloom filters) end in the column's dotted name: they move with a renamed column and go with a
 * dropped one. The name mapping says which names files without field ids may have for a column: names are only added, for those
 * that were written under the old one, but a name that now means another column is taken from the one that had it.
 */
#include "iceberg/update/evolve.h"

#include "codec/json.h"
#include "iceberg/plan/mapping.h"

#define MAPPING "schema.name-mapping.default"

static const char *const prefixes[] = {
    "write.metadata.metrics.column.", "write.parquet.bloom-filter-enabled.column.", "write.parquet.bloom-filter-fpp.column.",
    "write.parquet.bloom-filter-ndv.column.", "write.parquet.stats-enabled.column.",
};

/* ---- properties per column ---- */

/* The id of the field with that dotted name, -1: none. */
static int32_t id_of(const type_fields *f, str name)
{
    for (uint32_t i = 0; f && i < f->n; i++) {
        const type_field *x = &f->f[i];
        if (str_eq(x->name, name))
            return x->field_id;
        if (x->t.children && name.n > x->name.n && name.p[x->name.n] == '.' && str_starts(name, x->name)) {
            int32_t id = id_of(x->t.children, (str){name.p + x->name.n + 1, name.n - x->name.n - 1});
            if (id >= 0)
                return id;
        }
    }
    return -1;
}

static fz_status move_property(const ib_kv *kv, str prefix, const ib_schema *old, const ib_schema *now, arena *a, ib_kv *set, bool *gone,
                               bool *moved, fz_error *err)
{
    str column = {kv->key.p + prefix.n, kv->key.n - prefix.n};
    int32_t id = id_of(old->fields, column);
    sbuf key;
    *gone = *moved = false;
    if (id < 0)
        return FZ_OK;
    sbuf_init(&key, a->m);
    sbuf_str(&key, prefix);
    bool there = ib_field_path(now, id, &key);
    fz_status st = key.failed ? error_nomem(err) : FZ_OK;
    *gone = !there || !str_eq((str){key.p, key.n}, kv->key);
    *moved = there && *gone;
    if (!st && *moved) {
        *set = (ib_kv){{arena_strndup(a, key.p, key.n), key.n}, kv->value};
        if (!set->key.p)
            st = error_nomem(err);
    }
    sbuf_free(&key);
    return st;
}

/* ---- the name mapping ---- */

typedef struct renaming {
    const type_fields *old;  /* top level of the old schema */
    arena *a;
    fz_error *err;
} renaming;

static const type_field *by_id(const type_fields *f, int32_t id)
{
    for (uint32_t i = 0; f && i < f->n; i++) {
        if (f->f[i].field_id == id)
            return &f->f[i];
        const type_field *below = by_id(f->f[i].t.children, id);
        if (below)
            return below;
    }
    return NULL;
}

/* Whether the field of the new schema has its name only since this change. */
static bool newly_named(const renaming *r, const type_field *f)
{
    const type_field *was = by_id(r->old, f->field_id);
    return !was || !str_eq(was->name, f->name);
}

static bool taken(const renaming *r, const type_fields *f, int32_t id, str name)
{
    for (uint32_t i = 0; f && i < f->n; i++)
        if (f->f[i].field_id != id && str_eq(f->f[i].name, name) && newly_named(r, &f->f[i]))
            return true;
    return false;
}

static fz_status update_names(const renaming *r, const ib_mapping *m, const type_fields *f, ib_mapping **out);

static fz_status update_field(const renaming *r, struct ib_mapped *x, const type_fields *f)
{
    const type_field *now = NULL;
    for (uint32_t i = 0; f && i < f->n && !now; i++)
        if (f->f[i].field_id == x->field_id)
            now = &f->f[i];
    str *names = ARENA_ARRAY(r->a, str, x->n_names + 1);
    if (!names)
        return error_nomem(r->err);
    uint32_t n = 0;
    bool has = false;
    for (uint32_t i = 0; i < x->n_names; i++)
        if (!taken(r, f, x->field_id, x->names[i])) {
            has = has || (now && str_eq(x->names[i], now->name));
            names[n++] = x->names[i];
        }
    if (now && !has)
        names[n++] = now->name;
    x->names = names;
    x->n_names = n;
    return now && now->t.children ? update_names(r, x->kids, now->t.children, &x->kids) : FZ_OK;
}

/* The mapping of a struct, list or map (NULL: none yet) with the members `f` that it has now. */
static fz_status update_names(const renaming *r, const ib_mapping *m, const type_fields *f, ib_mapping **out)
{
    uint32_t n = m ? m->n : 0;
    ib_mapping *q = ARENA_NEW(r->a, ib_mapping);
    if (!q || !(q->fields = ARENA_ARRAY(r->a, struct ib_mapped, n + f->n + 1)))
        return error_nomem(r->err);
    for (uint32_t i = 0; i < n; i++) {
        q->fields[i] = m->fields[i];
        TRY(update_field(r, &q->fields[i], f));
    }
    for (uint32_t i = 0; i < f->n; i++) {
        if (by_id(r->old, f->f[i].field_id))
            continue;
        struct ib_mapped *x = &q->fields[n++];
        *x = (struct ib_mapped){.field_id = f->f[i].field_id, .n_names = 1, .names = ARENA_ARRAY(r->a, str, 1)};
        if (!x->names)
            return error_nomem(r->err);
        x->names[0] = f->f[i].name;
        if (f->f[i].t.children)
            TRY(update_names(r, NULL, f->f[i].t.children, &x->kids));
    }
    q->n = n;
    *out = q;
    return FZ_OK;
}

static void write_mapping(json_writer *w, const ib_mapping *m)
{
    jw_begin(w, '[');
    for (uint32_t i = 0; i < m->n; i++) {
        const struct ib_mapped *x = &m->fields[i];
        jw_begin(w, '{');
        if (x->field_id >= 0) {
            jw_key(w, "field-id");
            jw_i64(w, x->field_id);
        }
        jw_key(w, "names");
        jw_begin(w, '[');
        for (uint32_t k = 0; k < x->n_names; k++)
            jw_str(w, x->names[k]);
        jw_end(w, ']');
        if (x->kids) {
            jw_key(w, "fields");
            write_mapping(w, x->kids);
        }
        jw_end(w, '}');
    }
    jw_end(w, ']');
}

static fz_status mapping_evolve(const ib_metadata *md, const ib_schema *old, const ib_schema *now, arena *a, ib_kv *out, bool *changed,
                                fz_error *err)
{
    ib_mapping *m;
    *changed = false;
    if (ib_mapping_of(md, a, &m, NULL) != FZ_OK || !m) /* one that can't be read stays what it is */
        return FZ_OK;
    renaming r = {old->fields, a, err};
    TRY(update_names(&r, m, now->fields, &m));
    sbuf text;
    sbuf_init(&text, a->m);
    json_writer w = json_writer_on(&text);
    write_mapping(&w, m);
    *out = (ib_kv){STR(MAPPING), {text.failed ? NULL : arena_strndup(a, text.p, text.n), text.n}};
    sbuf_free(&text);
    if (!out->value.p)
        return error_nomem(err);
    *changed = true;
    return FZ_OK;
}

/* ---- */

fz_status ib_props_evolve(const ib_metadata *md, const ib_schema *now, arena *a, ib_props *set, ib_props *removed, fz_error *err)
{
    const ib_schema *old = ib_current_schema(md);
    const ib_props *p = &md->properties;
    ib_kv *s = ARENA_ARRAY(a, ib_kv, p->n + 1), *r = ARENA_ARRAY(a, ib_kv, p->n + 1);
    uint32_t ns = 0, nr = 0;
    bool changed;
    if (!s || !r)
        return error_nomem(err);
    for (uint32_t i = 0; i < p->n; i++)
        for (size_t k = 0; k < sizeof prefixes / sizeof *prefixes; k++) {
            bool gone = false, moved = false;
            if (str_starts(p->kv[i].key, str_of(prefixes[k])))
                TRY(move_property(&p->kv[i], str_of(prefixes[k]), old, now, a, &s[ns], &gone, &moved, err));
            ns += moved;
            if (gone)
                r[nr++] = p->kv[i];
        }
    if (ib_prop(p, MAPPING).n) {
        TRY(mapping_evolve(md, old, now, a, &s[ns], &changed, err));
        ns += changed;
    }
    uint32_t left = 0; /* two columns that swapped their names: what is set isn't removed */
    for (uint32_t i = 0; i < nr; i++) {
        bool again = false;
        for (uint32_t k = 0; k < ns && !again; k++)
            again = str_eq(s[k].key, r[i].key);
        if (!again)
            r[left++] = r[i];
    }
    *set = (ib_props){ns, s};
    *removed = (ib_props){left, r};
    return FZ_OK;
}
