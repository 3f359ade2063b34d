/*
 * partition.c: partition specs and sort orders: from and to JSON, copying, highest ids.
 */
#include "iceberg/spec/build.h"
#include "iceberg/transform/transform.h"

/* "source-id", or the only one of version 3's "source-ids". */
static fz_status source_from_json(const json_doc *d, const json_node *n, const char *what, int32_t *out,
                                  fz_error *err)
{
    const json_node *v = json_get(d, n, "source-id");
    if (!v && (v = json_get(d, n, "source-ids")) && v->type == JSON_ARRAY) {
        if (v->n != 1)
            return error_set(err, FZ_UNSUPPORTED, "transforms of several columns (\"source-ids\") aren't supported");
        return json_i32(d, v + 1, out, err);
    }
    TRY(json_need(d, n, "source-id", what, &v, err));
    return json_i32(d, v, out, err);
}

static fz_status transform_from_json(const json_doc *d, const json_node *n, const char *what, arena *a,
                                     ib_transform *out, fz_error *err)
{
    const json_node *v;
    str text;
    TRY(json_need(d, n, "transform", what, &v, err));
    TRY(json_str(d, v, a, &text, err));
    if (ib_transform_parse(text, a, out) != FZ_OK)
        return error_nomem(err);
    return FZ_OK;
}

fz_status spec_fields_from_json(const json_doc *d, const json_node *n, int32_t spec_id, arena *a,
                                ib_partition_spec *out, fz_error *err)
{
    static const char what[] = "a partition field";
    const json_node *v;
    TRY(json_want(d, n, JSON_ARRAY, "a partition spec's fields", err));
    ib_partition_field *fields = ARENA_ARRAY(a, ib_partition_field, n->n);
    if (!fields)
        return error_nomem(err);
    const json_node *e = n + 1;
    for (uint32_t i = 0; i < n->n; i++, e = json_next(e)) {
        ib_partition_field *f = &fields[i];
        TRY(json_want(d, e, JSON_OBJECT, what, err));
        TRY(source_from_json(d, e, what, &f->source_id, err));
        /* Version 1 had no field ids: they count from 1000 in each spec. */
        f->field_id = IB_FIRST_PARTITION_ID + (int32_t)(i < 1000000 ? i : 1000000);
        v = json_get(d, e, "field-id");
        if (v && v->type != JSON_NULL)
            TRY(json_i32(d, v, &f->field_id, err));
        TRY(json_need(d, e, "name", what, &v, err));
        TRY(json_str(d, v, a, &f->name, err));
        TRY(transform_from_json(d, e, what, a, &f->transform, err));
    }
    *out = (ib_partition_spec){.spec_id = spec_id, .n = n->n, .fields = fields};
    return FZ_OK;
}

fz_status ib_spec_fields_parse(str json, int32_t spec_id, arena *a, ib_partition_spec *out, fz_error *err)
{
    json_doc d;
    TRY(json_parse(&d, json.p, json.n, NULL, a->m, err));
    fz_status st = spec_fields_from_json(&d, json_root(&d), spec_id, a, out, err);
    json_free(&d);
    return st;
}

fz_status order_from_json(const json_doc *d, const json_node *n, arena *a, ib_sort_order *out, fz_error *err)
{
    static const char what[] = "a sort field";
    const json_node *v, *list;
    *out = (ib_sort_order){0};
    TRY(json_need(d, n, "order-id", "a sort order", &v, err));
    TRY(json_i32(d, v, &out->order_id, err));
    TRY(json_need(d, n, "fields", "a sort order", &list, err));
    TRY(json_want(d, list, JSON_ARRAY, "a sort order's fields", err));
    ib_sort_field *fields = ARENA_ARRAY(a, ib_sort_field, list->n);
    if (!fields)
        return error_nomem(err);
    const json_node *e = list + 1;
    for (uint32_t i = 0; i < list->n; i++, e = json_next(e)) {
        ib_sort_field *f = &fields[i];
        TRY(json_want(d, e, JSON_OBJECT, what, err));
        TRY(source_from_json(d, e, what, &f->source_id, err));
        TRY(transform_from_json(d, e, what, a, &f->transform, err));
        TRY(json_need(d, e, "direction", what, &v, err));
        f->desc = json_is(d, v, "desc");
        if (!f->desc && !json_is(d, v, "asc"))
            return json_error(d, v, err, "a sort direction that is neither \"asc\" nor \"desc\"");
        TRY(json_need(d, e, "null-order", what, &v, err));
        f->nulls_last = json_is(d, v, "nulls-last");
        if (!f->nulls_last && !json_is(d, v, "nulls-first"))
            return json_error(d, v, err, "a null order that is neither \"nulls-first\" nor \"nulls-last\"");
    }
    out->n = list->n;
    out->fields = fields;
    return FZ_OK;
}

/* ---- to JSON ---- */

void spec_fields_to_json(const ib_partition_spec *s, json_writer *w)
{
    jw_begin(w, '[');
    for (uint32_t i = 0; i < s->n; i++) {
        const ib_partition_field *f = &s->fields[i];
        jw_begin(w, '{');
        jw_key(w, "source-id");
        jw_i64(w, f->source_id);
        jw_key(w, "field-id");
        jw_i64(w, f->field_id);
        jw_key(w, "transform");
        jw_str(w, f->transform.text);
        jw_key(w, "name");
        jw_str(w, f->name);
        jw_end(w, '}');
    }
    jw_end(w, ']');
}

void ib_spec_fields_write(const ib_partition_spec *s, sbuf *out)
{
    json_writer w = json_writer_on(out);
    spec_fields_to_json(s, &w);
}

void spec_to_json(const ib_partition_spec *s, json_writer *w)
{
    jw_begin(w, '{');
    jw_key(w, "spec-id");
    jw_i64(w, s->spec_id);
    jw_key(w, "fields");
    spec_fields_to_json(s, w);
    jw_end(w, '}');
}

void order_to_json(const ib_sort_order *s, json_writer *w)
{
    jw_begin(w, '{');
    jw_key(w, "order-id");
    jw_i64(w, s->order_id);
    jw_key(w, "fields");
    jw_begin(w, '[');
    for (uint32_t i = 0; i < s->n; i++) {
        const ib_sort_field *f = &s->fields[i];
        jw_begin(w, '{');
        jw_key(w, "transform");
        jw_str(w, f->transform.text);
        jw_key(w, "source-id");
        jw_i64(w, f->source_id);
        jw_key(w, "direction");
        jw_str(w, f->desc ? STR("desc") : STR("asc"));
        jw_key(w, "null-order");
        jw_str(w, f->nulls_last ? STR("nulls-last") : STR("nulls-first"));
        jw_end(w, '}');
    }
    jw_end(w, ']');
    jw_end(w, '}');
}

/* ---- copying ---- */

/* The text is made where whoever built the transform left it out. */
static bool transform_copy(arena *a, const ib_transform *t, ib_transform *out)
{
    *out = *t;
    if (t->text.n)
        return str_copy(a, t->text, &out->text);
    sbuf b;
    sbuf_init(&b, a->m);
    ib_transform_write(t, &b);
    out->text.n = b.n;
    out->text.p = b.failed ? NULL : arena_strndup(a, b.p, b.n);
    sbuf_free(&b);
    return out->text.p != NULL;
}

bool spec_copy(arena *a, const ib_partition_spec *s, ib_partition_spec *out)
{
    ib_partition_field *fields = ARENA_ARRAY(a, ib_partition_field, s->n);
    if (!fields)
        return false;
    for (uint32_t i = 0; i < s->n; i++) {
        fields[i] = s->fields[i];
        if (!str_copy(a, s->fields[i].name, &fields[i].name) ||
            !transform_copy(a, &s->fields[i].transform, &fields[i].transform))
            return false;
    }
    *out = *s;
    out->fields = fields;
    return true;
}

bool order_copy(arena *a, const ib_sort_order *s, ib_sort_order *out)
{
    ib_sort_field *fields = ARENA_ARRAY(a, ib_sort_field, s->n);
    if (!fields)
        return false;
    for (uint32_t i = 0; i < s->n; i++) {
        fields[i] = s->fields[i];
        if (!transform_copy(a, &s->fields[i].transform, &fields[i].transform))
            return false;
    }
    *out = *s;
    out->fields = fields;
    return true;
}

int32_t spec_highest_id(const ib_partition_spec *s)
{
    int32_t highest = IB_FIRST_PARTITION_ID - 1;
    for (uint32_t i = 0; i < s->n; i++)
        if (s->fields[i].field_id > highest)
            highest = s->fields[i].field_id;
    return highest;
}
