/*
 * evolve.c: schema evolution (see evolve.h). The schema is copied, then changed in place, then checked as a whole.
 *
 * Functions here call themselves for nested types, whose depth schema_check bounds.
 */
#include "iceberg/update/evolve.h"
#include "iceberg/spec/build.h"

/* A schema that is being changed: everything it points to is this builder's own, so that it may be written to. */
typedef struct editor {
    const ib_metadata *md;
    arena *a;
    ib_schema s;
    int32_t last_id;
    bool incompatible, changed;
    fz_error *err;
} editor;

/* Where a field stands: in which list of members, and at which place of it. */
typedef struct spot {
    const type_fields **in;
    uint32_t at;
    type_id owner;      /* T_STRUCT (also the root), T_LIST, T_MAP */
    bool in_key;        /* below a map's key, or the key itself */
} spot;

static type_field *spot_field(const spot *p)
{
    return (type_field *)&(*p->in)->f[p->at];
}

static fz_status no_column(str name, fz_error *err)
{
    return error_sql(err, FZ_INVALID, "42703", "the table has no column \"" STR_FMT "\"", STR_ARG(name));
}

/* ---- finding ---- */

/* The member a part names; -1: none. */
static fz_status member_at(const type_fields *f, ib_part part, int64_t *out, fz_error *err)
{
    *out = -1;
    for (uint32_t i = 0; i < f->n; i++)
        if (str_eq(f->f[i].name, part.name)) {
            *out = i;
            return FZ_OK;
        }
    for (uint32_t i = 0; i < f->n && !part.quoted; i++)
        if (str_ieq(f->f[i].name, part.name)) {
            if (*out >= 0)
                return error_sql(err, FZ_INVALID, "42702", "the column \"" STR_FMT "\" is ambiguous: \"" STR_FMT "\" and \"" STR_FMT
                                 "\" differ only in case", STR_ARG(part.name), STR_ARG(f->f[*out].name), STR_ARG(f->f[i].name));
            *out = i;
        }
    return FZ_OK;
}

/* *out.in NULL: there is no such field. */
static fz_status locate(const type_fields **root, ib_path path, spot *out, fz_error *err)
{
    *out = (spot){0};
    spot p = {.in = root, .owner = T_STRUCT};
    for (uint32_t i = 0; i < path.n; i++) {
        int64_t at;
        TRY(member_at(*p.in, path.parts[i], &at, err));
        if (at < 0)
            return FZ_OK;
        p.at = (uint32_t)at;
        p.in_key |= p.owner == T_MAP && at == 0;
        if (i + 1 == path.n)
            break;
        type_field *f = spot_field(&p);
        if (!type_is_nested(f->t))
            return FZ_OK;
        p.owner = f->t.id;
        p.in = &f->t.children;
    }
    if (path.n)
        *out = p;
    return FZ_OK;
}

fz_status ib_field_at(const ib_schema *s, ib_path path, const type_field **out, fz_error *err)
{
    const type_fields *root = s->fields;
    spot p;
    TRY(locate(&root, path, &p, err));
    *out = p.in ? spot_field(&p) : NULL;
    return FZ_OK;
}

static void path_text(ib_path path, sbuf *out)
{
    for (uint32_t i = 0; i < path.n; i++) {
        if (i)
            sbuf_addc(out, '.');
        sbuf_str(out, path.parts[i].name);
    }
}

static fz_status missing(editor *e, ib_path path)
{
    sbuf b;
    sbuf_init(&b, e->a->m);
    path_text(path, &b);
    fz_status st = b.failed ? error_nomem(e->err) : no_column((str){b.p, b.n}, e->err);
    sbuf_free(&b);
    return st;
}

static fz_status need_column(editor *e, ib_path path, spot *out)
{
    TRY(locate(&e->s.fields, path, out, e->err));
    return out->in ? FZ_OK : missing(e, path);
}

static bool path_of(const type_fields *f, int32_t id, sbuf *out)
{
    size_t before = out->n;
    for (uint32_t i = 0; i < f->n; i++) {
        if (before)
            sbuf_addc(out, '.');
        sbuf_str(out, f->f[i].name);
        if (f->f[i].field_id == id || (f->f[i].t.children && path_of(f->f[i].t.children, id, out)))
            return true;
        out->n = before;
    }
    return false;
}

bool ib_field_path(const ib_schema *s, int32_t id, sbuf *out)
{
    sbuf b;
    sbuf_init(&b, out->m);
    bool found = path_of(s->fields, id, &b);
    if (found)
        sbuf_add(out, b.p, b.n);
    out->failed |= b.failed;
    sbuf_free(&b);
    return found;
}

/* ---- ids ---- */

fz_status ib_assign_ids(type *t, int32_t *last_id, arena *a, fz_error *err)
{
    if (!type_is_nested(*t))
        return FZ_OK;
    uint32_t n = t->children->n;
    type_fields *f = arena_zalloc(a, sizeof *f + n * sizeof(type_field));
    if (!f)
        return error_nomem(err);
    memcpy(f, t->children, sizeof *f + n * sizeof(type_field));
    if (*last_id > INT32_MAX - (int32_t)n)
        return error_set(err, FZ_LIMIT, "the table has no field ids left");
    for (uint32_t i = 0; i < n; i++)
        f->f[i].field_id = ++*last_id;
    for (uint32_t i = 0; i < n; i++)
        TRY(ib_assign_ids(&f->f[i].t, last_id, a, err));
    t->children = f;
    return FZ_OK;
}

/* ---- members of a struct ---- */

static type_fields *fields_alloc(arena *a, uint32_t n)
{
    type_fields *f = arena_zalloc(a, sizeof(type_fields) + (size_t)n * sizeof(type_field));
    if (f)
        f->n = n;
    return f;
}

/* Puts a member before place `at`. */
static fz_status member_insert(editor *e, const type_fields **in, uint32_t at, const type_field *x)
{
    const type_fields *old = *in;
    type_fields *f = fields_alloc(e->a, old->n + 1);
    if (!f)
        return error_nomem(e->err);
    memcpy(f->f, old->f, at * sizeof *x);
    f->f[at] = *x;
    memcpy(f->f + at + 1, old->f + at, (old->n - at) * sizeof *x);
    *in = f;
    return FZ_OK;
}

static void member_remove(const type_fields **in, uint32_t at)
{
    type_fields *f = (type_fields *)*in;
    memmove(f->f + at, f->f + at + 1, (f->n - at - 1) * sizeof f->f[0]);
    f->n--;
}

/* The place in a struct that FIRST, AFTER and BEFORE mean; STAY: its end. */
static fz_status place_of(editor *e, const type_fields *f, const ib_schema_change *c, uint32_t *out)
{
    int64_t at;
    switch (c->place) {
    case IB_PLACE_FIRST:
        *out = 0;
        return FZ_OK;
    case IB_PLACE_AFTER:
    case IB_PLACE_BEFORE:
        TRY(member_at(f, c->after, &at, e->err));
        if (at < 0)
            return no_column(c->after.name, e->err);
        *out = (uint32_t)at + (c->place == IB_PLACE_AFTER);
        return FZ_OK;
    default:
        *out = f->n;
        return FZ_OK;
    }
}

/* A name may stand once in a struct, whatever its case: other engines don't tell the two apart. `except`: the place
 * of the field that is renamed, or -1. */
static fz_status name_free(editor *e, const type_fields *f, str name, int64_t except)
{
    if (!name.n)
        return error_set(e->err, FZ_INVALID, "a column needs a name");
    for (uint32_t i = 0; i < f->n; i++)
        if (i != except && str_ieq(f->f[i].name, name))
            return error_sql(e->err, FZ_INVALID, "42701", str_eq(f->f[i].name, name) ? "there is a column \"" STR_FMT "\" already"
                             : "there is a column \"" STR_FMT "\" already, which differs only in case", STR_ARG(f->f[i].name));
    return FZ_OK;
}

static fz_status in_key(editor *e, const char *what)
{
    return error_set(e->err, FZ_INVALID, "%s of a map's key: keys can't change, since equal keys would become others", what);
}

static fz_status add(editor *e, const ib_schema_change *c)
{
    if (!c->path.n)
        return error_set(e->err, FZ_INVALID, "a column needs a name");
    const type_fields **in = &e->s.fields;
    ib_path parent = {c->path.n - 1, c->path.parts};
    str name = c->path.parts[c->path.n - 1].name;
    if (parent.n) {
        spot p;
        TRY(need_column(e, parent, &p));
        if (p.in_key)
            return in_key(e, "a field can't be added to the struct");
        type_field *f = spot_field(&p);
        while (f->t.id == T_LIST || f->t.id == T_MAP)
            f = (type_field *)&f->t.children->f[f->t.id == T_MAP];
        if (f->t.id != T_STRUCT)
            return error_set(e->err, FZ_INVALID, "\"" STR_FMT "\" isn't a struct: it has no fields", STR_ARG(parent.parts[parent.n - 1].name));
        in = &f->t.children;
    }
    int64_t there;
    TRY(member_at(*in, (ib_part){name, true}, &there, e->err));
    if (there >= 0 && c->if_exists)
        return FZ_OK;
    TRY(name_free(e, *in, name, -1));
    if (c->required && !e->incompatible) {
        error_set(e->err, FZ_INVALID, "a column that is added can't be NOT NULL: the rows that are there have no value for it");
        return FZ_INVALID;
    }
    uint32_t at;
    TRY(place_of(e, *in, c, &at));
    if (e->last_id == INT32_MAX)
        return error_set(e->err, FZ_LIMIT, "the table has no field ids left");
    type_field x = {.field_id = ++e->last_id, .required = c->required, .t = c->t};
    if (!str_copy(e->a, name, &x.name) || !str_copy(e->a, c->doc, &x.doc))
        return error_nomem(e->err);
    TRY(ib_assign_ids(&x.t, &e->last_id, e->a, e->err));
    e->changed = true;
    return member_insert(e, in, at, &x);
}

/* ---- dropping ---- */

static bool holds_id(const type_field *f, int32_t id)
{
    if (f->field_id == id)
        return true;
    for (uint32_t i = 0; f->t.children && i < f->t.children->n; i++)
        if (holds_id(&f->t.children->f[i], id))
            return true;
    return false;
}

static fz_status used_check(editor *e, const type_field *f)
{
    const ib_metadata *md = e->md;
    const ib_partition_spec *spec = ib_spec_by_id(md, md->default_spec_id);
    for (uint32_t i = 0; i < e->s.n_identifier; i++)
        if (holds_id(f, e->s.identifier_ids[i]))
            return error_set(e->err, FZ_INVALID, "column \"" STR_FMT "\" is an identifier field; DROP IDENTIFIER FIELDS first", STR_ARG(f->name));
    for (uint32_t i = 0; spec && i < spec->n; i++)
        if (spec->fields[i].transform.kind != IB_VOID && holds_id(f, spec->fields[i].source_id))
            return error_set(e->err, FZ_INVALID, "the table is partitioned by column \"" STR_FMT "\"; DROP PARTITION FIELD \"" STR_FMT "\" first",
                             STR_ARG(f->name), STR_ARG(spec->fields[i].name));
    const ib_sort_order *order = ib_order_by_id(md, md->default_sort_order_id);
    for (uint32_t i = 0; order && i < order->n; i++)
        if (holds_id(f, order->fields[i].source_id))
            return error_set(e->err, FZ_INVALID, "the table is sorted by column \"" STR_FMT "\"; change its order with WRITE ORDERED BY or WRITE UNORDERED first",
                             STR_ARG(f->name));
    return FZ_OK;
}

static fz_status drop(editor *e, const ib_schema_change *c)
{
    spot p;
    TRY(locate(&e->s.fields, c->path, &p, e->err));
    if (!p.in)
        return c->if_exists ? FZ_OK : missing(e, c->path);
    if (p.owner != T_STRUCT)
        return error_set(e->err, FZ_INVALID, "a list's element and a map's key and value can't be dropped");
    if (p.in_key)
        return in_key(e, "a field can't be dropped");
    if ((*p.in)->n == 1)
        return error_set(e->err, FZ_INVALID, "\"" STR_FMT "\" is the only column here; a table or struct needs one", STR_ARG(spot_field(&p)->name));
    TRY(used_check(e, spot_field(&p)));
    member_remove(p.in, p.at);
    e->changed = true;
    return FZ_OK;
}

/* ---- changing ---- */

static fz_status rename_field(editor *e, const ib_schema_change *c)
{
    spot p;
    TRY(need_column(e, c->path, &p));
    if (p.owner != T_STRUCT)
        return error_set(e->err, FZ_INVALID, "a list's element and a map's key and value can't be renamed");
    if (p.in_key)
        return in_key(e, "a field can't be renamed");
    TRY(name_free(e, *p.in, c->name, p.at));
    type_field *f = spot_field(&p);
    e->changed |= !str_eq(f->name, c->name);
    return str_copy(e->a, c->name, &f->name) ? FZ_OK : error_nomem(e->err);
}

static fz_status move(editor *e, const ib_schema_change *c)
{
    spot p;
    uint32_t to;
    TRY(need_column(e, c->path, &p));
    if (p.owner != T_STRUCT)
        return error_set(e->err, FZ_INVALID, "a list's element and a map's key and value can't be moved");
    if (p.in_key)
        return in_key(e, "a field can't be moved");
    type_field f = *spot_field(&p);
    int64_t self;
    if (c->place == IB_PLACE_AFTER || c->place == IB_PLACE_BEFORE) {
        TRY(member_at(*p.in, c->after, &self, e->err));
        if (self == p.at)
            return error_set(e->err, FZ_INVALID, "column \"" STR_FMT "\" can't be moved next to itself", STR_ARG(f.name));
    }
    TRY(place_of(e, *p.in, c, &to));
    if (to > p.at)
        to--;
    if (to == p.at)
        return FZ_OK;
    type_field *all = (type_field *)(*p.in)->f;
    if (to > p.at)
        memmove(all + p.at, all + p.at + 1, (to - p.at) * sizeof *all);
    else
        memmove(all + to + 1, all + to, (p.at - to) * sizeof *all);
    all[to] = f;
    e->changed = true;
    return FZ_OK;
}

static bool widens(type from, type to)
{
    return (from.id == T_INT32 && to.id == T_INT64) || (from.id == T_FLOAT32 && to.id == T_FLOAT64) ||
           (from.id == T_DECIMAL && to.id == T_DECIMAL && to.scale == from.scale && to.precision >= from.precision);
}

static fz_status set_type(editor *e, const ib_schema_change *c)
{
    spot p;
    TRY(need_column(e, c->path, &p));
    type_field *f = spot_field(&p);
    if (!type_is_nested(f->t) && type_eq(f->t, c->t))
        return FZ_OK;
    if (!widens(f->t, c->t)) {
        char have[64] = "", want[64] = "";
        sbuf b;
        sbuf_init(&b, e->a->m);
        ib_type_name(f->t, &b);
        memcpy(have, b.p ? b.p : "", b.n < 63 ? b.n : 63);
        sbuf_clear(&b);
        ib_type_name(c->t, &b);
        memcpy(want, b.p ? b.p : "", b.n < 63 ? b.n : 63);
        sbuf_free(&b);
        error_sql(e->err, FZ_INVALID, "42804", "column \"" STR_FMT "\" is %s and can't become %s", STR_ARG(f->name), have, want);
        error_hint(e->err, "int can become long, float double, and a decimal one of more digits and the same scale");
        return FZ_INVALID;
    }
    if (p.in_key)
        return in_key(e, "the type can't be changed");
    f->t = c->t;
    e->changed = true;
    return FZ_OK;
}

static fz_status set_doc(editor *e, const ib_schema_change *c)
{
    spot p;
    TRY(need_column(e, c->path, &p));
    if (p.owner != T_STRUCT)
        return error_set(e->err, FZ_INVALID, "a list's element and a map's key and value have no comment");
    type_field *f = spot_field(&p);
    e->changed |= !str_eq(f->doc, c->doc);
    return str_copy(e->a, c->doc, &f->doc) ? FZ_OK : error_nomem(e->err);
}

static fz_status set_required(editor *e, const ib_schema_change *c)
{
    spot p;
    bool required = c->op == IB_COL_REQUIRED;
    TRY(need_column(e, c->path, &p));
    type_field *f = spot_field(&p);
    if (f->required == required)
        return FZ_OK;
    if (p.in_key)
        return in_key(e, "whether it may be null can't be changed");
    if (required && !e->incompatible) {
        error_set(e->err, FZ_INVALID, "column \"" STR_FMT "\" can't become NOT NULL: rows that were written may have no value in it", STR_ARG(f->name));
        return FZ_INVALID;
    }
    for (uint32_t i = 0; i < e->s.n_identifier && !required; i++)
        if (holds_id(f, e->s.identifier_ids[i]))
            return error_set(e->err, FZ_INVALID, "column \"" STR_FMT "\" holds an identifier field, which is NOT NULL", STR_ARG(f->name));
    f->required = required;
    e->changed = true;
    return FZ_OK;
}

static fz_status set_identifier(editor *e, const ib_schema_change *c)
{
    bool set = c->op == IB_COL_IDENTIFIER;
    uint32_t n = 0, old = e->s.n_identifier;
    int32_t *ids = ARENA_ARRAY(e->a, int32_t, (size_t)c->n_paths + old);
    if (!ids)
        return error_nomem(e->err);
    if (!set) {
        memcpy(ids, e->s.identifier_ids, old * sizeof *ids);
        n = old;
    }
    for (uint32_t i = 0; i < c->n_paths; i++) {
        spot p;
        TRY(need_column(e, c->paths[i], &p));
        int32_t id = spot_field(&p)->field_id;
        uint32_t at = 0;
        while (at < n && ids[at] != id)
            at++;
        if (set && at == n) {
            ids[n++] = id;
        } else if (!set) {
            if (at == n)
                return error_set(e->err, FZ_INVALID, "column \"" STR_FMT "\" isn't an identifier field", STR_ARG(spot_field(&p)->name));
            memmove(ids + at, ids + at + 1, (--n - at) * sizeof *ids);
        }
    }
    e->s.identifier_ids = ids;
    e->s.n_identifier = n;
    e->changed = true;
    return FZ_OK;
}

/* ---- checks of the whole ---- */

/* *why: what forbids it, NULL: nothing. Returns whether the field was found. */
static bool identifier_walk(const type_fields *f, int32_t id, const char *above, const char **why, const type_field **out)
{
    for (uint32_t i = 0; i < f->n; i++) {
        const type_field *x = &f->f[i];
        if (x->field_id == id) {
            *out = x;
            *why = above ? above : type_is_nested(x->t) ? "is nested" : x->t.id == T_FLOAT32 || x->t.id == T_FLOAT64 ? "is a floating-point number"
                 : !x->required ? "may be null" : NULL;
            return true;
        }
        if (!x->t.children)
            continue;
        const char *next = above ? above : x->t.id != T_STRUCT ? "is inside of a list or map" : !x->required ? "is inside of a struct that may be null" : NULL;
        if (identifier_walk(x->t.children, id, next, why, out))
            return true;
    }
    return false;
}

fz_status ib_identifiers_check(const ib_schema *s, fz_error *err)
{
    for (uint32_t i = 0; i < s->n_identifier; i++) {
        const char *why = NULL;
        const type_field *f = NULL;
        if (!identifier_walk(s->fields, s->identifier_ids[i], NULL, &why, &f))
            return error_set(err, FZ_INVALID, "identifier field %d isn't in the schema", s->identifier_ids[i]);
        if (why)
            return error_set(err, FZ_INVALID, "column \"" STR_FMT "\" can't be an identifier field: it %s", STR_ARG(f->name), why);
    }
    return FZ_OK;
}

static fz_status change(editor *e, const ib_schema_change *c)
{
    switch (c->op) {
    case IB_COL_ADD: return add(e, c);
    case IB_COL_DROP: return drop(e, c);
    case IB_COL_RENAME: return rename_field(e, c);
    case IB_COL_MOVE: return move(e, c);
    case IB_COL_TYPE: return set_type(e, c);
    case IB_COL_DOC: return set_doc(e, c);
    case IB_COL_OPTIONAL:
    case IB_COL_REQUIRED: return set_required(e, c);
    default: return set_identifier(e, c);
    }
}

fz_status ib_schema_evolve(const ib_metadata *md, uint32_t n, const ib_schema_change *c, bool incompatible, arena *a,
                           ib_schema *out, int32_t *last_column_id, bool *changed, fz_error *err)
{
    const ib_schema *now = ib_current_schema(md);
    editor e = {.md = md, .a = a, .last_id = md->last_column_id, .incompatible = incompatible, .err = err};
    if (!schema_copy(a, now, &e.s))
        return error_nomem(err);
    for (uint32_t i = 0; i < n; i++)
        TRY(change(&e, &c[i]));
    TRY(schema_check(&e.s, a->m, NULL, err));
    TRY(ib_identifiers_check(&e.s, err));
    *out = e.s;
    *last_column_id = e.last_id;
    *changed = e.changed;
    return FZ_OK;
}

/* ---- replacing ---- */

/* Ids for the members of `f`: those of `old` (NULL: none) where the name is the same, else fresh ones. */
static fz_status ids_from(editor *e, type_fields *f, const type_fields *old)
{
    for (uint32_t pass = 0; pass < 2; pass++)
        for (uint32_t i = 0; i < f->n; i++) {
            const type_field *same = NULL;
            for (uint32_t k = 0; old && k < old->n && !same; k++)
                if (str_eq(old->f[k].name, f->f[i].name))
                    same = &old->f[k];
            if (pass == 0) {
                if (!same && e->last_id == INT32_MAX)
                    return error_set(e->err, FZ_LIMIT, "the table has no field ids left");
                f->f[i].field_id = same ? same->field_id : ++e->last_id;
            } else if (f->f[i].t.children) {
                bool kind = same && same->t.id == f->f[i].t.id;
                TRY(ids_from(e, (type_fields *)f->f[i].t.children, kind ? same->t.children : NULL));
            }
        }
    return FZ_OK;
}

fz_status ib_schema_replace(const ib_metadata *md, const ib_schema *s, arena *a, ib_schema *out, int32_t *last_column_id,
                            fz_error *err)
{
    editor e = {.md = md, .a = a, .last_id = md->last_column_id, .err = err};
    if (!schema_copy(a, s, &e.s))
        return error_nomem(err);
    /* Identifier fields are known by their path, since ids change. */
    TRY(ids_from(&e, (type_fields *)e.s.fields, ib_current_schema(md)->fields));
    int32_t *ids = (int32_t *)e.s.identifier_ids;
    for (uint32_t i = 0; i < s->n_identifier; i++) {
        const type_fields *f = e.s.fields, *g = s->fields;
        bool found = false;
        while (!found && f) { /* the same places in both trees */
            const type_fields *next = NULL, *next_g = NULL;
            for (uint32_t k = 0; k < g->n && !found; k++) {
                if (g->f[k].field_id == s->identifier_ids[i]) {
                    ids[i] = f->f[k].field_id;
                    found = true;
                } else if (holds_id(&g->f[k], s->identifier_ids[i])) {
                    next = f->f[k].t.children;
                    next_g = g->f[k].t.children;
                }
            }
            f = next;
            g = next_g;
        }
    }
    TRY(schema_check(&e.s, a->m, NULL, err));
    TRY(ib_identifiers_check(&e.s, err));
    *out = e.s;
    *last_column_id = e.last_id;
    return FZ_OK;
}
