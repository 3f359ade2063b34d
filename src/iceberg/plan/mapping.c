/*
 * mapping.c: see mapping.h. A list's member is called "element", a map's "key" and "value", whatever the file calls them. Recursion is
 * as deep as a name mapping's JSON or a file's schema, both bounded where they were parsed.
 */
#include "iceberg/plan/mapping.h"

#include "codec/json.h"

static fz_status parse_fields(const json_doc *d, const json_node *n, arena *a, ib_mapping **out, fz_error *err)
{
    TRY(json_want(d, n, JSON_ARRAY, "a name mapping's fields", err));
    ib_mapping *m = ARENA_NEW(a, ib_mapping);
    if (!m || !(m->fields = ARENA_ARRAY(a, struct ib_mapped, n->n + 1)))
        return error_nomem(err);
    m->n = n->n;
    const json_node *e = n + 1;
    for (uint32_t i = 0; i < n->n; i++, e = json_next(e)) {
        struct ib_mapped *f = &m->fields[i];
        TRY(json_want(d, e, JSON_OBJECT, "a mapped field", err));
        const json_node *id = json_get(d, e, "field-id"), *names = json_get(d, e, "names"), *kids = json_get(d, e, "fields");
        f->field_id = -1;
        if (id && id->type != JSON_NULL)
            TRY(json_i32(d, id, &f->field_id, err));
        if (names) {
            TRY(json_want(d, names, JSON_ARRAY, "a mapped field's names", err));
            if (!(f->names = ARENA_ARRAY(a, str, names->n + 1)))
                return error_nomem(err);
            const json_node *x = names + 1;
            for (; f->n_names < names->n; x = json_next(x))
                TRY(json_str(d, x, a, &f->names[f->n_names++], err));
        }
        if (kids && kids->type != JSON_NULL)
            TRY(parse_fields(d, kids, a, &f->kids, err));
    }
    *out = m;
    return FZ_OK;
}

fz_status ib_mapping_parse(str json, arena *a, ib_mapping **out, fz_error *err)
{
    json_doc d;
    TRY(json_parse(&d, json.p, json.n, "schema.name-mapping.default", a->m, err));
    fz_status st = parse_fields(&d, json_root(&d), a, out, err);
    json_free(&d);
    return st;
}

fz_status ib_mapping_of(const ib_metadata *md, arena *a, ib_mapping **out, fz_error *err)
{
    str json = ib_prop(&md->properties, "schema.name-mapping.default");
    *out = NULL;
    return json.n ? ib_mapping_parse(json, a, out, err) : FZ_OK;
}

static const struct ib_mapped *find(const ib_mapping *m, str name)
{
    for (uint32_t i = 0; m && i < m->n; i++)
        for (uint32_t k = 0; k < m->fields[i].n_names; k++)
            if (str_eq(m->fields[i].names[k], name))
                return &m->fields[i];
    return NULL;
}

/* ---- Parquet ---- */

static bool is_list(const pq_schema_element *e)
{
    return e->num_children == 1 && (e->logical == PQ_LOG_LIST || e->converted == PQ_CONV_LIST);
}

static bool is_map(const pq_schema_element *e)
{
    return e->num_children == 1 && (e->logical == PQ_LOG_MAP || e->converted == PQ_CONV_MAP || e->converted == PQ_CONV_MAP_KEY_VALUE);
}

/* Gives the element at *at and what is below it their ids; *at moves behind them. name: what the mapping calls it. */
static void map_element(const ib_mapping *m, const pq_file_meta *meta, str name, uint32_t *at, int32_t *ids)
{
    const pq_schema_element *e = &meta->schema[*at];
    const struct ib_mapped *f = find(m, name);
    const ib_mapping *kids = f ? f->kids : NULL;
    ids[(*at)++] = f ? f->field_id : -1;
    if ((is_list(e) || is_map(e)) && *at < meta->n_schema) {
        const pq_schema_element *rep = &meta->schema[*at];
        bool wrapped = rep->num_children == 1 && !str_eqz(rep->name, "array") && !str_ends(rep->name, STR("_tuple"));
        if (is_map(e) && rep->num_children == 2) {
            ids[(*at)++] = -1;
            map_element(kids, meta, STR("key"), at, ids);
            map_element(kids, meta, STR("value"), at, ids);
        } else if (wrapped) {
            ids[(*at)++] = -1;
            map_element(kids, meta, STR("element"), at, ids);
        } else {
            map_element(kids, meta, STR("element"), at, ids);
        }
        return;
    }
    for (int32_t i = 0; i < e->num_children && *at < meta->n_schema; i++)
        map_element(kids, meta, meta->schema[*at].name, at, ids);
}

fz_status ib_match_parquet(const ib_mapping *mapping, const pq_file *p, arena *a, const pq_match **out, fz_error *err)
{
    const pq_file_meta *meta = pq_meta(p);
    *out = NULL;
    for (uint32_t i = 1; i < meta->n_schema; i++)
        if (meta->schema[i].field_id >= 0)
            return FZ_OK;
    pq_match *how = ARENA_NEW(a, pq_match);
    int32_t *ids = ARENA_ARRAY(a, int32_t, meta->n_schema + 1);
    if (!how || !ids)
        return error_nomem(err);
    for (uint32_t i = 0; i < meta->n_schema; i++)
        ids[i] = -1;
    if (mapping) {
        for (uint32_t at = 1; at < meta->n_schema;)
            map_element(mapping, meta, meta->schema[at].name, &at, ids);
    } else {
        int32_t id = 1;
        int64_t below = 0; /* elements still to come below the current column */
        for (uint32_t at = 1; at < meta->n_schema; at++) {
            if (below == 0)
                ids[at] = id++;
            else
                below--;
            below += meta->schema[at].num_children;
        }
    }
    how->ids = ids;
    *out = how;
    return FZ_OK;
}

/* ---- Avro ---- */

static bool has_ids(type t)
{
    for (uint32_t i = 0; type_is_nested(t) && i < t.children->n; i++)
        if (t.children->f[i].field_id >= 0 || has_ids(t.children->f[i].t))
            return true;
    return false;
}

static void map_member(const ib_mapping *m, str name, type t, int32_t *ids, uint32_t *at)
{
    static const str list[] = {{"element", 7}}, map[] = {{"key", 3}, {"value", 5}};
    const struct ib_mapped *f = find(m, name);
    ids[(*at)++] = f ? f->field_id : -1;
    for (uint32_t i = 0; type_is_nested(t) && i < t.children->n; i++) {
        str kid = t.id == T_LIST ? list[0] : t.id == T_MAP ? map[i & 1] : t.children->f[i].name;
        map_member(f ? f->kids : NULL, kid, t.children->f[i].t, ids, at);
    }
}

fz_status ib_match_avro(const ib_mapping *mapping, const avro_file *p, arena *a, const avro_match **out, fz_error *err)
{
    const row_schema *s = avro_file_schema(p);
    *out = NULL;
    for (uint32_t i = 0; i < s->n; i++)
        if (s->cols[i].field_id >= 0 || has_ids(s->cols[i].t))
            return FZ_OK;
    avro_match *how = ARENA_NEW(a, avro_match);
    int32_t *ids = ARENA_ARRAY(a, int32_t, avro_file_members(p) + 1);
    if (!how || !ids)
        return error_nomem(err);
    uint32_t at = 0;
    how->by_name = !mapping;
    for (uint32_t i = 0; mapping && i < s->n; i++)
        map_member(mapping, s->cols[i].name, s->cols[i].t, ids, &at);
    how->ids = mapping ? ids : NULL;
    *out = how;
    return FZ_OK;
}
