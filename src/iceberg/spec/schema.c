/*
 * schema.c: schemas: from and to JSON (spec, "Appendix C"), copying, checking, looking up fields.
 *
 * Functions here call themselves for nested types. The depth is bounded: a schema that was parsed
 * lies in a text of at most JSON_MAX_DEPTH levels, and schema_check() refuses deeper ones that
 * were made in memory.
 */
#include "iceberg/spec/build.h"

#include "base/hash.h"

#include <stdlib.h>

#define TYPE_DEPTH_MAX 64

static type_fields *fields_new(arena *a, uint32_t n)
{
    type_fields *f = arena_zalloc(a, sizeof(type_fields) + (size_t)n * sizeof(type_field));
    if (f)
        f->n = n;
    return f;
}

/* ---- from JSON ---- */

static fz_status type_from_json(const json_doc *d, const json_node *n, arena *a, type *out, fz_error *err);

static fz_status struct_from_json(const json_doc *d, const json_node *n, arena *a, const type_fields **out,
                                  fz_error *err)
{
    const json_node *list, *v;
    TRY(json_need(d, n, "fields", "a struct", &list, err));
    TRY(json_want(d, list, JSON_ARRAY, "\"fields\"", err));
    type_fields *fields = fields_new(a, list->n);
    if (!fields)
        return error_nomem(err);
    const json_node *e = list + 1;
    for (uint32_t i = 0; i < list->n; i++, e = json_next(e)) {
        type_field *f = &fields->f[i];
        TRY(json_need(d, e, "id", "a field", &v, err));
        TRY(json_i32(d, v, &f->field_id, err));
        TRY(json_need(d, e, "name", "a field", &v, err));
        TRY(json_str(d, v, a, &f->name, err));
        TRY(json_need(d, e, "required", "a field", &v, err));
        TRY(json_bool(d, v, &f->required, err));
        TRY(json_need(d, e, "type", "a field", &v, err));
        TRY(type_from_json(d, v, a, &f->t, err));
        v = json_get(d, e, "doc");
        if (v && v->type != JSON_NULL)
            TRY(json_str(d, v, a, &f->doc, err));
        /* Rows of files that lack the column would read as null where the writer meant this value. */
        v = json_get(d, e, "initial-default");
        if (v && v->type != JSON_NULL)
            return error_set(err, FZ_UNSUPPORTED, "the initial-default of column \"" STR_FMT "\" isn't supported",
                             STR_ARG(f->name));
    }
    *out = fields;
    return FZ_OK;
}

static fz_status list_from_json(const json_doc *d, const json_node *n, arena *a, type *out, fz_error *err)
{
    const json_node *v;
    type_fields *fields = fields_new(a, 1);
    if (!fields)
        return error_nomem(err);
    type_field *f = fields->f;
    f->name = STR("element");
    TRY(json_need(d, n, "element-id", "a list", &v, err));
    TRY(json_i32(d, v, &f->field_id, err));
    TRY(json_need(d, n, "element-required", "a list", &v, err));
    TRY(json_bool(d, v, &f->required, err));
    TRY(json_need(d, n, "element", "a list", &v, err));
    TRY(type_from_json(d, v, a, &f->t, err));
    *out = (type){.id = T_LIST, .children = fields};
    return FZ_OK;
}

static fz_status map_from_json(const json_doc *d, const json_node *n, arena *a, type *out, fz_error *err)
{
    const json_node *v;
    type_fields *fields = fields_new(a, 2);
    if (!fields)
        return error_nomem(err);
    type_field *key = &fields->f[0], *value = &fields->f[1];
    key->name = STR("key");
    key->required = true;
    value->name = STR("value");
    TRY(json_need(d, n, "key-id", "a map", &v, err));
    TRY(json_i32(d, v, &key->field_id, err));
    TRY(json_need(d, n, "key", "a map", &v, err));
    TRY(type_from_json(d, v, a, &key->t, err));
    TRY(json_need(d, n, "value-id", "a map", &v, err));
    TRY(json_i32(d, v, &value->field_id, err));
    TRY(json_need(d, n, "value-required", "a map", &v, err));
    TRY(json_bool(d, v, &value->required, err));
    TRY(json_need(d, n, "value", "a map", &v, err));
    TRY(type_from_json(d, v, a, &value->t, err));
    *out = (type){.id = T_MAP, .children = fields};
    return FZ_OK;
}

static fz_status type_from_json(const json_doc *d, const json_node *n, arena *a, type *out, fz_error *err)
{
    if (n->type == JSON_STRING) {
        str text;
        TRY(json_str(d, n, a, &text, err));
        fz_status st = ib_type_parse(text, out, err);
        if (st == FZ_DATA)
            return json_error(d, n, err, "\"" STR_FMT "\" isn't an Iceberg type", (int)(text.n < 100 ? text.n : 100),
                              text.p);
        return st;
    }
    const json_node *kind;
    TRY(json_need(d, n, "type", "a type", &kind, err));
    if (json_is(d, kind, "struct")) {
        *out = TYPE(T_STRUCT);
        return struct_from_json(d, n, a, &out->children, err);
    }
    if (json_is(d, kind, "list"))
        return list_from_json(d, n, a, out, err);
    if (json_is(d, kind, "map"))
        return map_from_json(d, n, a, out, err);
    return json_error(d, kind, err, "a type that is neither struct nor list nor map");
}

fz_status schema_from_json(const json_doc *d, const json_node *n, arena *a, ib_schema *out, fz_error *err)
{
    const json_node *v;
    *out = (ib_schema){0};
    TRY(json_need(d, n, "type", "a schema", &v, err));
    if (!json_is(d, v, "struct"))
        return json_error(d, v, err, "a schema's type isn't \"struct\"");
    v = json_get(d, n, "schema-id");
    if (v && v->type != JSON_NULL)
        TRY(json_i32(d, v, &out->schema_id, err));
    TRY(struct_from_json(d, n, a, &out->fields, err));
    v = json_get(d, n, "identifier-field-ids");
    if (v && v->type != JSON_NULL) {
        TRY(json_want(d, v, JSON_ARRAY, "\"identifier-field-ids\"", err));
        int32_t *ids = ARENA_ARRAY(a, int32_t, v->n);
        if (!ids)
            return error_nomem(err);
        const json_node *e = v + 1;
        for (uint32_t i = 0; i < v->n; i++, e = json_next(e))
            TRY(json_i32(d, e, &ids[i], err));
        out->n_identifier = v->n;
        out->identifier_ids = ids;
    }
    fz_error why;
    fz_status st = schema_check(out, a->m, NULL, &why);
    if (st == FZ_INVALID)
        return json_error(d, n, err, "%s", why.message);
    return st == FZ_OK ? st : error_set(err, st, "%s", why.message);
}

fz_status ib_schema_parse(str json, arena *a, ib_schema *out, fz_error *err)
{
    json_doc d;
    TRY(json_parse(&d, json.p, json.n, NULL, a->m, err));
    fz_status st = schema_from_json(&d, json_root(&d), a, out, err);
    json_free(&d);
    return st;
}

/* ---- to JSON ---- */

static void type_to_json(type t, json_writer *w);

static void fields_to_json(const type_fields *fields, json_writer *w)
{
    jw_key(w, "fields");
    jw_begin(w, '[');
    for (uint32_t i = 0; i < fields->n; i++) {
        const type_field *f = &fields->f[i];
        jw_begin(w, '{');
        jw_key(w, "id");
        jw_i64(w, f->field_id);
        jw_key(w, "name");
        jw_str(w, f->name);
        jw_key(w, "required");
        jw_bool(w, f->required);
        jw_key(w, "type");
        type_to_json(f->t, w);
        if (f->doc.n) {
            jw_key(w, "doc");
            jw_str(w, f->doc);
        }
        jw_end(w, '}');
    }
    jw_end(w, ']');
}

static void type_to_json(type t, json_writer *w)
{
    if (!type_is_nested(t)) {
        /* Type names have nothing to escape. */
        if (w->comma)
            sbuf_addc(w->out, ',');
        sbuf_addc(w->out, '"');
        ib_type_name(t, w->out);
        sbuf_addc(w->out, '"');
        w->comma = true;
        return;
    }
    const type_field *f = t.children->f;
    jw_begin(w, '{');
    jw_key(w, "type");
    if (t.id == T_STRUCT) {
        jw_str(w, STR("struct"));
        fields_to_json(t.children, w);
    } else if (t.id == T_LIST) {
        jw_str(w, STR("list"));
        jw_key(w, "element-id");
        jw_i64(w, f->field_id);
        jw_key(w, "element");
        type_to_json(f->t, w);
        jw_key(w, "element-required");
        jw_bool(w, f->required);
    } else {
        jw_str(w, STR("map"));
        jw_key(w, "key-id");
        jw_i64(w, f[0].field_id);
        jw_key(w, "key");
        type_to_json(f[0].t, w);
        jw_key(w, "value-id");
        jw_i64(w, f[1].field_id);
        jw_key(w, "value");
        type_to_json(f[1].t, w);
        jw_key(w, "value-required");
        jw_bool(w, f[1].required);
    }
    jw_end(w, '}');
}

void schema_to_json(const ib_schema *s, json_writer *w)
{
    jw_begin(w, '{');
    jw_key(w, "type");
    jw_str(w, STR("struct"));
    jw_key(w, "schema-id");
    jw_i64(w, s->schema_id);
    if (s->n_identifier) {
        jw_key(w, "identifier-field-ids");
        jw_begin(w, '[');
        for (uint32_t i = 0; i < s->n_identifier; i++)
            jw_i64(w, s->identifier_ids[i]);
        jw_end(w, ']');
    }
    fields_to_json(s->fields, w);
    jw_end(w, '}');
}

void ib_schema_write(const ib_schema *s, sbuf *out)
{
    json_writer w = json_writer_on(out);
    schema_to_json(s, &w);
}

/* ---- copying ---- */

bool str_copy(arena *a, str s, str *out)
{
    *out = s;
    if (!s.p)
        return true;
    out->p = arena_strndup(a, s.p, s.n);
    return out->p != NULL;
}

static bool fields_copy(arena *a, const type_fields *src, const type_fields **out)
{
    type_fields *dst = fields_new(a, src->n);
    if (!dst)
        return false;
    for (uint32_t i = 0; i < src->n; i++) {
        const type_field *s = &src->f[i];
        type_field *f = &dst->f[i];
        *f = *s;
        if (!str_copy(a, s->name, &f->name) || !str_copy(a, s->doc, &f->doc))
            return false;
        if (s->t.children && !fields_copy(a, s->t.children, &f->t.children))
            return false;
    }
    *out = dst;
    return true;
}

bool schema_copy(arena *a, const ib_schema *s, ib_schema *out)
{
    *out = *s;
    int32_t *ids = ARENA_ARRAY(a, int32_t, s->n_identifier);
    if (!ids)
        return false;
    if (s->n_identifier)
        memcpy(ids, s->identifier_ids, s->n_identifier * sizeof *ids);
    out->identifier_ids = ids;
    return fields_copy(a, s->fields, &out->fields);
}

/* ---- checking ---- */

typedef struct checker {
    mem *m;
    int32_t *ids;
    size_t n, cap;
    fz_error *err;
} checker;

static fz_status names_check(checker *c, const type_fields *fields)
{
    if (fields->n < 2)
        return FZ_OK;
    arena a;
    arena_init(&a, c->m);
    strmap names;
    strmap_init(&names, &a);
    fz_status st = FZ_OK;
    for (uint32_t i = 0; i < fields->n && st == FZ_OK; i++) {
        void **slot = strmap_put(&names, fields->f[i].name);
        if (!slot)
            st = error_nomem(c->err);
        else if (*slot)
            st = error_set(c->err, FZ_INVALID, "the schema has two columns named \"" STR_FMT "\"",
                           STR_ARG(fields->f[i].name));
        else
            *slot = (void *)fields;
    }
    arena_free(&a);
    return st;
}

static fz_status fields_check(checker *c, const type_fields *fields, int depth)
{
    if (depth > TYPE_DEPTH_MAX)
        return error_set(c->err, FZ_INVALID, "the schema's types are nested too deeply");
    TRY(names_check(c, fields));
    for (uint32_t i = 0; i < fields->n; i++) {
        const type_field *f = &fields->f[i];
        if (f->name.n == 0)
            return error_set(c->err, FZ_INVALID, "a column has an empty name");
        if (f->field_id < 0)
            return error_set(c->err, FZ_INVALID, "column \"" STR_FMT "\" has no field id", STR_ARG(f->name));
        if (c->n == c->cap) {
            size_t cap = c->cap ? c->cap * 2 : 64;
            int32_t *p = mem_resize(c->m, c->ids, c->cap * sizeof *p, cap * sizeof *p);
            if (!p)
                return error_nomem(c->err);
            c->ids = p;
            c->cap = cap;
        }
        c->ids[c->n++] = f->field_id;
        if (f->t.children)
            TRY(fields_check(c, f->t.children, depth + 1));
    }
    return FZ_OK;
}

static int id_cmp(const void *a, const void *b)
{
    int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    return (x > y) - (x < y);
}

fz_status schema_check(const ib_schema *s, mem *m, int32_t *highest, fz_error *err)
{
    checker c = {.m = m, .err = err};
    fz_status st = fields_check(&c, s->fields, 0);
    if (st == FZ_OK && c.n) {
        qsort(c.ids, c.n, sizeof *c.ids, id_cmp);
        for (size_t i = 1; i < c.n && st == FZ_OK; i++)
            if (c.ids[i] == c.ids[i - 1])
                st = error_set(err, FZ_INVALID, "the schema has two fields with id %d", c.ids[i]);
    }
    for (uint32_t i = 0; i < s->n_identifier && st == FZ_OK; i++)
        if (!c.n || !bsearch(&s->identifier_ids[i], c.ids, c.n, sizeof *c.ids, id_cmp))
            st = error_set(err, FZ_INVALID, "identifier field %d isn't in the schema", s->identifier_ids[i]);
    if (highest)
        *highest = c.n && st == FZ_OK ? c.ids[c.n - 1] : 0;
    mem_free(m, c.ids, c.cap * sizeof *c.ids);
    return st;
}

/* ---- looking up ---- */

static const type_field *field_find(const type_fields *fields, int32_t id)
{
    for (uint32_t i = 0; i < fields->n; i++) {
        const type_field *f = &fields->f[i];
        if (f->field_id == id)
            return f;
        if (f->t.children) {
            f = field_find(f->t.children, id);
            if (f)
                return f;
        }
    }
    return NULL;
}

const type_field *ib_field_by_id(const ib_schema *s, int32_t id)
{
    return field_find(s->fields, id);
}

const type_field *ib_field_by_name(const ib_schema *s, str name)
{
    for (uint32_t i = 0; i < s->fields->n; i++)
        if (str_eq(s->fields->f[i].name, name))
            return &s->fields->f[i];
    return NULL;
}
