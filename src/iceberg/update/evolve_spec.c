/*
 * evolve_spec.c: partition specs and sort orders that are made or changed (see evolve.h; spec, "Partition Evolution").
 */
#include "iceberg/spec/build.h"
#include "iceberg/transform/transform.h"
#include "iceberg/update/evolve.h"

typedef struct builder {
    const ib_schema *schema;
    arena *a;
    fz_error *err;
} builder;

/* The column a term is about, with the transform's text made and its type checked. */
static fz_status resolve(builder *b, const ib_term *t, int32_t *source_id, ib_transform *out)
{
    const type_field *f;
    type result;
    TRY(ib_field_at(b->schema, t->path, &f, b->err));
    sbuf text;
    sbuf_init(&text, b->a->m);
    if (!f) {
        for (uint32_t i = 0; i < t->path.n; i++) {
            sbuf_addz(&text, i ? "." : "");
            sbuf_str(&text, t->path.parts[i].name);
        }
        fz_status st = error_sql(b->err, FZ_INVALID, "42703", "the table has no column \"%s\"", text.p ? text.p : "");
        sbuf_free(&text);
        return st;
    }
    for (uint32_t i = 1; i < t->path.n; i++) { /* only structs may lie on the way: a row has one value */
        const type_field *up;
        TRY(ib_field_at(b->schema, (ib_path){i, t->path.parts}, &up, b->err));
        if (up && up->t.id != T_STRUCT)
            return error_set(b->err, FZ_INVALID, "\"" STR_FMT "\" is a list or a map: a table can't be partitioned or sorted by what is in it",
                             STR_ARG(up->name));
    }
    *out = t->transform;
    ib_transform_write(&t->transform, &text);
    out->text = (str){text.failed ? NULL : arena_strndup(b->a, text.p, text.n), text.n};
    sbuf_free(&text);
    if (!out->text.p)
        return error_nomem(b->err);
    *source_id = f->field_id;
    return ib_transform_result(out, f->t, &result, b->err);
}

static bool same_transform(const ib_transform *x, const ib_transform *y)
{
    return x->kind == y->kind && x->param == y->param && (x->kind != IB_TRANSFORM_UNKNOWN || str_eq(x->text, y->text));
}

/* The name of a field that wasn't given one. `numbered`: with the parameter, as Java names the fields that are added later. */
static fz_status make_name(builder *b, int32_t source_id, const ib_transform *t, bool numbered, str *out)
{
    static const char *const suffix[] = {[IB_IDENTITY] = "", [IB_BUCKET] = "_bucket", [IB_TRUNCATE] = "_trunc", [IB_YEAR] = "_year",
                                         [IB_MONTH] = "_month", [IB_DAY] = "_day", [IB_HOUR] = "_hour", [IB_VOID] = "_null"};
    sbuf n;
    sbuf_init(&n, b->a->m);
    ib_field_path(b->schema, source_id, &n);
    if (t->kind < sizeof suffix / sizeof *suffix)
        sbuf_addz(&n, suffix[t->kind]);
    if (numbered && (t->kind == IB_BUCKET || t->kind == IB_TRUNCATE))
        sbuf_printf(&n, "_%d", t->param);
    *out = (str){n.failed ? NULL : arena_strndup(b->a, n.p, n.n), n.n};
    sbuf_free(&n);
    return out->p ? FZ_OK : error_nomem(b->err);
}

/* A partition field may have a column's name only where it is that column. */
static fz_status name_check(builder *b, const ib_partition_field *f)
{
    const type_field *c = ib_field_by_name(b->schema, f->name);
    if (!f->name.n)
        return error_set(b->err, FZ_INVALID, "a partition field needs a name");
    if (c && !(f->transform.kind == IB_IDENTITY && c->field_id == f->source_id))
        return error_sql(b->err, FZ_INVALID, "42701", "the partition field can't be named \"" STR_FMT "\": that is a column", STR_ARG(f->name));
    return FZ_OK;
}

fz_status ib_spec_build(const ib_schema *s, uint32_t n, const ib_term *terms, const str *names, arena *a, ib_partition_spec *out,
                        fz_error *err)
{
    builder b = {.schema = s, .a = a, .err = err};
    ib_partition_field *f = ARENA_ARRAY(a, ib_partition_field, n + 1);
    if (!f)
        return error_nomem(err);
    for (uint32_t i = 0; i < n; i++) {
        TRY(resolve(&b, &terms[i], &f[i].source_id, &f[i].transform));
        f[i].field_id = IB_FIRST_PARTITION_ID + (int32_t)i;
        if (names && names[i].n)
            f[i].name = names[i];
        else
            TRY(make_name(&b, f[i].source_id, &f[i].transform, false, &f[i].name));
        TRY(name_check(&b, &f[i]));
        for (uint32_t k = 0; k < i; k++)
            if (str_eq(f[k].name, f[i].name) || (f[k].source_id == f[i].source_id && same_transform(&f[k].transform, &f[i].transform)))
                return error_set(err, FZ_INVALID, "the partition field \"" STR_FMT "\" is there twice", STR_ARG(f[i].name));
    }
    *out = (ib_partition_spec){0, n, f};
    return FZ_OK;
}

/* ---- evolving ---- */

typedef struct editor {
    builder b;
    const ib_metadata *md;
    ib_partition_field *f;
    uint32_t n;
    int32_t last_id;
    uint64_t added;      /* bits by place: fields that this change brought */
} editor;

static bool is_time(ib_transform_kind k) { return k >= IB_YEAR && k <= IB_HOUR; }

static int64_t by_name(const editor *e, str name)
{
    int64_t ci = -1;
    for (uint32_t i = 0; i < e->n; i++) {
        if (str_eq(e->f[i].name, name))
            return i;
        if (str_ieq(e->f[i].name, name))
            ci = ci == -1 ? (int64_t)i : -2;
    }
    return ci < 0 ? -1 : ci;
}

static int64_t by_term(const editor *e, int32_t source_id, const ib_transform *t)
{
    for (uint32_t i = 0; i < e->n; i++)
        if (e->f[i].source_id == source_id && same_transform(&e->f[i].transform, t))
            return i;
    return -1;
}

/* The field a change is about: by name, or by its term. A bare word may be either: a partition field's name comes first. */
static fz_status find(editor *e, const ib_spec_change *c, int64_t *out)
{
    *out = -1;
    if (c->field.n)
        *out = by_name(e, c->field);
    if (*out < 0 && c->old.path.n) {
        const type_field *f;
        TRY(ib_field_at(e->b.schema, c->old.path, &f, e->b.err));
        if (f)
            *out = by_term(e, f->field_id, &c->old.transform);
    }
    if (*out >= 0 && e->f[*out].transform.kind == IB_VOID)
        *out = -1;
    if (*out >= 0 || c->if_exists)
        return FZ_OK;
    sbuf b;
    sbuf_init(&b, e->b.a->m);
    for (uint32_t i = 0; i < e->n; i++)
        if (e->f[i].transform.kind != IB_VOID) {
            sbuf_addz(&b, b.n ? ", " : "");
            sbuf_str(&b, e->f[i].name);
        }
    str asked = c->field.n ? c->field : c->old.path.n ? c->old.path.parts[c->old.path.n - 1].name : STR("");
    error_sql(e->b.err, FZ_INVALID, "42704", "the table has no partition field \"" STR_FMT "\"%s", STR_ARG(asked), c->field.n ? "" : " of that kind");
    if (b.n)
        error_hint(e->b.err, "its partition fields are %s", b.p);
    sbuf_free(&b);
    return FZ_INVALID;
}

/* Version 1 knows fields by their place: there a dropped one stays, with nulls. */
static fz_status drop(editor *e, uint32_t at)
{
    if (e->added >> (at < 64 ? at : 63) & 1 && at < 64)
        return error_set(e->b.err, FZ_INVALID, "the partition field \"" STR_FMT "\" is added and dropped in one statement", STR_ARG(e->f[at].name));
    if (e->md->format_version == 1) {
        e->f[at].transform = (ib_transform){.kind = IB_VOID, .text = STR("void")};
        return FZ_OK;
    }
    memmove(e->f + at, e->f + at + 1, (--e->n - at) * sizeof *e->f);
    uint64_t low = at < 64 ? ((uint64_t)1 << at) - 1 : UINT64_MAX;
    e->added = (e->added & low) | (e->added >> 1 & ~low);
    return FZ_OK;
}

/* A field of an earlier spec with the same source and transform, which a new one continues. */
static const ib_partition_field *earlier(const editor *e, int32_t source_id, const ib_transform *t, str name)
{
    const ib_metadata *md = e->md;
    for (uint32_t i = md->n_specs; i-- > 0 && md->format_version >= 2;)
        for (uint32_t k = 0; k < md->specs[i].n; k++) {
            const ib_partition_field *f = &md->specs[i].fields[k];
            if (f->source_id == source_id && same_transform(&f->transform, t) && (!name.n || str_eq(name, f->name)))
                return f;
        }
    return NULL;
}

static fz_status add(editor *e, const ib_term *term, str name)
{
    ib_partition_field f = {.name = name};
    TRY(resolve(&e->b, term, &f.source_id, &f.transform));
    int64_t there = by_term(e, f.source_id, &f.transform);
    if (there >= 0)
        return error_set(e->b.err, FZ_INVALID, "the table is partitioned like that already, by \"" STR_FMT "\"", STR_ARG(e->f[there].name));
    for (uint32_t i = 0; i < e->n && i < 64; i++)
        if (e->added >> i & 1 && e->f[i].source_id == f.source_id && is_time(e->f[i].transform.kind) && is_time(f.transform.kind))
            return error_set(e->b.err, FZ_INVALID, "two partition fields of time by one column: \"" STR_FMT "\" is enough or too little", STR_ARG(e->f[i].name));
    const ib_partition_field *old = earlier(e, f.source_id, &f.transform, name);
    f.field_id = old ? old->field_id : -1;
    if (!name.n && old && !str_copy(e->b.a, old->name, &f.name)) /* the metadata may go before the result */
        return error_nomem(e->b.err);
    if (!f.name.n)
        TRY(make_name(&e->b, f.source_id, &f.transform, true, &f.name));
    TRY(name_check(&e->b, &f));
    int64_t clash = by_name(e, f.name);
    if (clash >= 0 && e->f[clash].transform.kind == IB_VOID) { /* what was dropped makes room */
        sbuf b;
        sbuf_init(&b, e->b.a->m);
        sbuf_str(&b, e->f[clash].name);
        sbuf_printf(&b, "_%d", e->f[clash].field_id);
        e->f[clash].name = (str){b.failed ? NULL : arena_strndup(e->b.a, b.p, b.n), b.n};
        sbuf_free(&b);
        if (!e->f[clash].name.p)
            return error_nomem(e->b.err);
    } else if (clash >= 0) {
        return error_set(e->b.err, FZ_INVALID, "there is a partition field \"" STR_FMT "\" already", STR_ARG(e->f[clash].name));
    }
    if (f.field_id < 0) {
        if (e->last_id == INT32_MAX)
            return error_set(e->b.err, FZ_LIMIT, "the table has no partition field ids left");
        f.field_id = ++e->last_id;
    }
    if (e->n < 64)
        e->added |= (uint64_t)1 << e->n;
    e->f[e->n++] = f;
    return FZ_OK;
}

static fz_status rename_field(editor *e, uint32_t at, str name)
{
    int64_t clash = by_name(e, name);
    if (clash >= 0 && clash != at)
        return error_set(e->b.err, FZ_INVALID, "there is a partition field \"" STR_FMT "\" already", STR_ARG(e->f[clash].name));
    e->f[at].name = name;
    return name_check(&e->b, &e->f[at]);
}

static fz_status change(editor *e, const ib_spec_change *c)
{
    int64_t at = -1;
    if (c->op != IB_PART_ADD) {
        TRY(find(e, c, &at));
        if (at < 0)
            return FZ_OK;
    }
    switch (c->op) {
    case IB_PART_ADD: return add(e, &c->term, c->name);
    case IB_PART_DROP: return drop(e, (uint32_t)at);
    case IB_PART_RENAME: return rename_field(e, (uint32_t)at, c->name);
    default:
        TRY(drop(e, (uint32_t)at));
        return add(e, &c->term, c->name);
    }
}

fz_status ib_spec_evolve(const ib_metadata *md, uint32_t n, const ib_spec_change *c, arena *a, ib_partition_spec *out, fz_error *err)
{
    const ib_partition_spec *now = ib_spec_by_id(md, md->default_spec_id);
    ib_partition_spec copy;
    editor e = {.b = {.schema = ib_current_schema(md), .a = a, .err = err}, .md = md, .last_id = md->last_partition_id, .n = now->n};
    e.f = ARENA_ARRAY(a, ib_partition_field, (size_t)now->n + n + 1);
    if (!e.f || !spec_copy(a, now, &copy))
        return error_nomem(err);
    memcpy(e.f, copy.fields, now->n * sizeof *e.f);
    for (uint32_t i = 0; i < n; i++)
        TRY(change(&e, &c[i]));
    *out = (ib_partition_spec){.n = e.n, .fields = e.f};
    return FZ_OK;
}

/* ---- sort orders ---- */

fz_status ib_order_build(const ib_schema *s, uint32_t n, const ib_order_term *t, arena *a, ib_sort_order *out, fz_error *err)
{
    builder b = {.schema = s, .a = a, .err = err};
    ib_sort_field *f = ARENA_ARRAY(a, ib_sort_field, n + 1);
    if (!f)
        return error_nomem(err);
    for (uint32_t i = 0; i < n; i++) {
        TRY(resolve(&b, &t[i].term, &f[i].source_id, &f[i].transform));
        if (f[i].transform.kind == IB_VOID)
            return error_set(err, FZ_INVALID, "a table can't be sorted by void");
        f[i].desc = t[i].desc;
        f[i].nulls_last = t[i].nulls_last;
        for (uint32_t k = 0; k < i; k++)
            if (f[k].source_id == f[i].source_id && same_transform(&f[k].transform, &f[i].transform))
                return error_set(err, FZ_INVALID, "the table is sorted by the same thing twice");
    }
    *out = (ib_sort_order){.n = n, .fields = f};
    return FZ_OK;
}
