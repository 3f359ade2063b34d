/* json.c: see json.h. One table names the kinds; a switch each way knows their members. */
#include "iceberg/update/json.h"

#include "iceberg/spec/build.h"

static const char *const requirement_names[] = {
    [IB_ASSERT_CREATE] = "assert-create",
    [IB_ASSERT_TABLE_UUID] = "assert-table-uuid",
    [IB_ASSERT_REF_SNAPSHOT_ID] = "assert-ref-snapshot-id",
    [IB_ASSERT_LAST_ASSIGNED_FIELD_ID] = "assert-last-assigned-field-id",
    [IB_ASSERT_CURRENT_SCHEMA_ID] = "assert-current-schema-id",
    [IB_ASSERT_LAST_ASSIGNED_PARTITION_ID] = "assert-last-assigned-partition-id",
    [IB_ASSERT_DEFAULT_SPEC_ID] = "assert-default-spec-id",
    [IB_ASSERT_DEFAULT_SORT_ORDER_ID] = "assert-default-sort-order-id",
};

static const char *const update_names[] = {
    [IB_ASSIGN_UUID] = "assign-uuid",
    [IB_UPGRADE_FORMAT_VERSION] = "upgrade-format-version",
    [IB_ADD_SCHEMA] = "add-schema",
    [IB_SET_CURRENT_SCHEMA] = "set-current-schema",
    [IB_ADD_SPEC] = "add-spec",
    [IB_SET_DEFAULT_SPEC] = "set-default-spec",
    [IB_ADD_SORT_ORDER] = "add-sort-order",
    [IB_SET_DEFAULT_SORT_ORDER] = "set-default-sort-order",
    [IB_ADD_SNAPSHOT] = "add-snapshot",
    [IB_SET_SNAPSHOT_REF] = "set-snapshot-ref",
    [IB_REMOVE_SNAPSHOTS] = "remove-snapshots",
    [IB_REMOVE_SNAPSHOT_REF] = "remove-snapshot-ref",
    [IB_SET_LOCATION] = "set-location",
    [IB_SET_PROPERTIES] = "set-properties",
    [IB_REMOVE_PROPERTIES] = "remove-properties",
    [IB_SET_STATISTICS] = "set-statistics",
    [IB_REMOVE_STATISTICS] = "remove-statistics",
    [IB_SET_PARTITION_STATISTICS] = "set-partition-statistics",
    [IB_REMOVE_PARTITION_STATISTICS] = "remove-partition-statistics",
    [IB_REMOVE_SCHEMAS] = "remove-schemas",
    [IB_REMOVE_SPECS] = "remove-partition-specs",
};

/* The member that holds the number of a requirement; NULL: it has none. */
static const char *requirement_number(ib_requirement_kind k)
{
    switch (k) {
    case IB_ASSERT_REF_SNAPSHOT_ID: return "snapshot-id";
    case IB_ASSERT_LAST_ASSIGNED_FIELD_ID: return "last-assigned-field-id";
    case IB_ASSERT_CURRENT_SCHEMA_ID: return "current-schema-id";
    case IB_ASSERT_LAST_ASSIGNED_PARTITION_ID: return "last-assigned-partition-id";
    case IB_ASSERT_DEFAULT_SPEC_ID: return "default-spec-id";
    case IB_ASSERT_DEFAULT_SORT_ORDER_ID: return "default-sort-order-id";
    default: return NULL;
    }
}

/* The same of updates that hold nothing else. */
static const char *update_number(ib_update_kind k)
{
    switch (k) {
    case IB_UPGRADE_FORMAT_VERSION: return "format-version";
    case IB_SET_CURRENT_SCHEMA: return "schema-id";
    case IB_SET_DEFAULT_SPEC: return "spec-id";
    case IB_SET_DEFAULT_SORT_ORDER: return "sort-order-id";
    default: return NULL;
    }
}

/* The member of updates that hold a list of ids. */
static const char *update_ids(ib_update_kind k)
{
    switch (k) {
    case IB_REMOVE_SNAPSHOTS: return "snapshot-ids";
    case IB_REMOVE_SCHEMAS: return "schema-ids";
    case IB_REMOVE_SPECS: return "spec-ids";
    default: return NULL;
    }
}

static const char *statistics_member(ib_update_kind k)
{
    return k == IB_SET_STATISTICS ? "statistics" : k == IB_SET_PARTITION_STATISTICS ? "partition-statistics" : NULL;
}

/* ---- writing ---- */

static void put_i64(json_writer *w, const char *key, int64_t v)
{
    jw_key(w, key);
    jw_i64(w, v);
}

static void put_str(json_writer *w, const char *key, str v)
{
    jw_key(w, key);
    jw_str(w, v);
}

void ib_requirement_to_json(const ib_requirement *r, json_writer *w)
{
    const char *number = requirement_number(r->kind);
    jw_begin(w, '{');
    put_str(w, "type", str_of(requirement_names[r->kind]));
    if (r->kind == IB_ASSERT_TABLE_UUID)
        put_str(w, "uuid", r->text);
    if (r->kind == IB_ASSERT_REF_SNAPSHOT_ID)
        put_str(w, "ref", r->text);
    if (number) {
        jw_key(w, number);
        if (r->kind == IB_ASSERT_REF_SNAPSHOT_ID && r->id < 0)
            jw_raw(w, STR("null"));
        else
            jw_i64(w, r->id);
    }
    jw_end(w, '}');
}

static void ref_to_json(const ib_ref *r, json_writer *w)
{
    put_str(w, "ref-name", r->name);
    put_str(w, "type", r->is_tag ? STR("tag") : STR("branch"));
    put_i64(w, "snapshot-id", r->snapshot_id);
    /* 0 and -1 are no limit (apply.c) */
    if (r->min_snapshots_to_keep > 0)
        put_i64(w, "min-snapshots-to-keep", r->min_snapshots_to_keep);
    if (r->max_snapshot_age_ms > 0)
        put_i64(w, "max-snapshot-age-ms", r->max_snapshot_age_ms);
    if (r->max_ref_age_ms > 0)
        put_i64(w, "max-ref-age-ms", r->max_ref_age_ms);
}

static void props_to_json(const ib_update *u, json_writer *w)
{
    bool set = u->kind == IB_SET_PROPERTIES;
    jw_key(w, set ? "updates" : "removals");
    jw_begin(w, set ? '{' : '[');
    for (uint32_t i = 0; i < u->props.n; i++)
        if (set) {
            jw_key_str(w, u->props.kv[i].key);
            jw_str(w, u->props.kv[i].value);
        } else {
            jw_str(w, u->props.kv[i].key);
        }
    jw_end(w, set ? '}' : ']');
}

static fz_status snapshot_to_json(const ib_snapshot *s, int format_version, mem *m, json_writer *w, fz_error *err)
{
    jw_key(w, "snapshot");
    if (s->json.n) {
        jw_raw(w, s->json);
        return FZ_OK;
    }
    const ib_snapshot *made = snapshot_new(s, format_version, m);
    if (!made)
        return error_nomem(err);
    jw_raw(w, made->json);
    snapshot_unref(made);
    return FZ_OK;
}

/* A spec or sort order: by way of a copy, since who made it may have left out the transforms' texts. */
static fz_status layout_to_json(const ib_update *u, mem *m, json_writer *w, fz_error *err)
{
    arena a;
    ib_partition_spec spec;
    ib_sort_order order;
    arena_init(&a, m);
    bool ok = u->kind == IB_ADD_SPEC ? spec_copy(&a, u->spec, &spec) : order_copy(&a, u->order, &order);
    if (ok && u->kind == IB_ADD_SPEC) {
        jw_key(w, "spec");
        spec_to_json(&spec, w);
    } else if (ok) {
        if (order.n && order.order_id <= 0)
            order.order_id = 1; /* 0 is the unsorted order's; the number is given anew where it is applied */
        jw_key(w, "sort-order");
        order_to_json(&order, w);
    }
    arena_free(&a);
    return ok ? FZ_OK : error_nomem(err);
}

fz_status ib_update_to_json(const ib_update *u, int format_version, mem *m, json_writer *w, fz_error *err)
{
    const char *number = update_number(u->kind), *ids = update_ids(u->kind), *statistics = statistics_member(u->kind);
    if (u->kind == IB_REMOVE_STATISTICS || u->kind == IB_REMOVE_PARTITION_STATISTICS) {
        for (uint32_t i = 0; i < u->n_ids; i++) {
            jw_begin(w, '{');
            put_str(w, "action", str_of(update_names[u->kind]));
            put_i64(w, "snapshot-id", u->ids[i]);
            jw_end(w, '}');
        }
        return FZ_OK;
    }
    fz_status st = FZ_OK;
    jw_begin(w, '{');
    put_str(w, "action", str_of(update_names[u->kind]));
    if (number)
        put_i64(w, number, u->id);
    if (ids) {
        jw_key(w, ids);
        jw_begin(w, '[');
        for (uint32_t i = 0; i < u->n_ids; i++)
            jw_i64(w, u->ids[i]);
        jw_end(w, ']');
    }
    if (statistics) {
        if (u->kind == IB_SET_STATISTICS)
            put_i64(w, "snapshot-id", u->id);
        jw_key(w, statistics);
        jw_raw(w, u->text);
    }
    switch (u->kind) {
    case IB_ASSIGN_UUID: put_str(w, "uuid", u->text); break;
    case IB_SET_LOCATION: put_str(w, "location", u->text); break;
    case IB_ADD_SCHEMA:
        jw_key(w, "schema");
        schema_to_json(u->schema, w);
        if (u->id > 0)
            put_i64(w, "last-column-id", u->id);
        break;
    case IB_ADD_SPEC: case IB_ADD_SORT_ORDER: st = layout_to_json(u, m, w, err); break;
    case IB_ADD_SNAPSHOT: st = snapshot_to_json(u->snapshot, format_version, m, w, err); break;
    case IB_SET_SNAPSHOT_REF: ref_to_json(&u->ref, w); break;
    case IB_REMOVE_SNAPSHOT_REF: put_str(w, "ref-name", u->ref.name); break;
    case IB_SET_PROPERTIES: case IB_REMOVE_PROPERTIES: props_to_json(u, w); break;
    default: break;
    }
    jw_end(w, '}');
    return st;
}

/* ---- reading ---- */

static fz_status kind_from_json(const json_doc *d, const json_node *n, const char *member, const char *what, size_t count,
                                const char *const *names, int *out, fz_error *err)
{
    const json_node *v;
    TRY(json_want(d, n, JSON_OBJECT, what, err));
    TRY(json_need(d, n, member, what, &v, err));
    TRY(json_want(d, v, JSON_STRING, member, err));
    for (size_t i = 0; i < count; i++)
        if (json_is(d, v, names[i])) {
            *out = (int)i;
            return FZ_OK;
        }
    return error_set(err, FZ_UNSUPPORTED, "%s \"" STR_FMT "\" isn't supported", what, (int)(v->to - v->from), d->text + v->from);
}

static fz_status need_i64(const json_doc *d, const json_node *n, const char *name, const char *what, int64_t *out, fz_error *err)
{
    const json_node *v;
    TRY(json_need(d, n, name, what, &v, err));
    return json_i64(d, v, out, err);
}

static fz_status need_str(const json_doc *d, const json_node *n, const char *name, const char *what, arena *a, str *out, fz_error *err)
{
    const json_node *v;
    TRY(json_need(d, n, name, what, &v, err));
    return json_str(d, v, a, out, err);
}

fz_status ib_requirement_from_json(const json_doc *d, const json_node *n, arena *a, ib_requirement *out, fz_error *err)
{
    static const char what[] = "a commit's requirement";
    int kind;
    TRY(kind_from_json(d, n, "type", what, sizeof requirement_names / sizeof *requirement_names, requirement_names, &kind, err));
    *out = (ib_requirement){.kind = (ib_requirement_kind)kind};
    if (out->kind == IB_ASSERT_TABLE_UUID)
        return need_str(d, n, "uuid", what, a, &out->text, err);
    if (out->kind == IB_ASSERT_REF_SNAPSHOT_ID) {
        TRY(need_str(d, n, "ref", what, a, &out->text, err));
        const json_node *v = json_get(d, n, "snapshot-id");
        out->id = -1;
        return v && v->type != JSON_NULL ? json_i64(d, v, &out->id, err) : FZ_OK;
    }
    const char *number = requirement_number(out->kind);
    return number ? need_i64(d, n, number, what, &out->id, err) : FZ_OK;
}

static const char an_update[] = "a table update";

static fz_status ref_from_json(const json_doc *d, const json_node *n, arena *a, ib_ref *r, fz_error *err)
{
    static const struct { const char *name; size_t at; } limits[] = {
        {"min-snapshots-to-keep", offsetof(ib_ref, min_snapshots_to_keep)},
        {"max-snapshot-age-ms", offsetof(ib_ref, max_snapshot_age_ms)},
        {"max-ref-age-ms", offsetof(ib_ref, max_ref_age_ms)},
    };
    const json_node *v;
    TRY(need_str(d, n, "ref-name", an_update, a, &r->name, err));
    TRY(need_i64(d, n, "snapshot-id", an_update, &r->snapshot_id, err));
    TRY(json_need(d, n, "type", an_update, &v, err));
    r->is_tag = json_is(d, v, "tag");
    if (!r->is_tag && !json_is(d, v, "branch"))
        return json_error(d, v, err, "a ref that is neither branch nor tag");
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        int64_t *to = (int64_t *)((char *)r + limits[i].at);
        *to = -1;
        v = json_get(d, n, limits[i].name);
        if (v && v->type != JSON_NULL)
            TRY(json_i64(d, v, to, err));
    }
    return FZ_OK;
}

static fz_status snapshot_from_json(const json_doc *d, const json_node *n, arena *a, const ib_snapshot **out, fz_error *err)
{
    /* Version 2's members are read where they are there; a snapshot of a version 1 table has no sequence number. */
    const ib_snapshot *made;
    TRY(snapshot_parse(d, n, json_get(d, n, "sequence-number") ? 2 : 1, a->m, &made, err));
    ib_snapshot *s = ARENA_NEW(a, ib_snapshot);
    bool ok = s != NULL;
    if (ok) {
        *s = *made;
        ok = str_copy(a, made->manifest_list, &s->manifest_list) && str_copy(a, made->json, &s->json) &&
             props_copy(a, &made->summary, &s->summary);
    }
    snapshot_unref(made);
    *out = s;
    return ok ? FZ_OK : error_nomem(err);
}

static fz_status ids_from_json(const json_doc *d, const json_node *n, arena *a, ib_update *u, fz_error *err)
{
    TRY(json_want(d, n, JSON_ARRAY, "a list of ids", err));
    int64_t *ids = ARENA_ARRAY(a, int64_t, n->n);
    if (!ids)
        return error_nomem(err);
    const json_node *e = n + 1;
    for (uint32_t i = 0; i < n->n; i++, e = json_next(e))
        TRY(json_i64(d, e, &ids[i], err));
    u->n_ids = n->n;
    u->ids = ids;
    return FZ_OK;
}

static fz_status removals_from_json(const json_doc *d, const json_node *n, arena *a, ib_props *out, fz_error *err)
{
    TRY(json_want(d, n, JSON_ARRAY, "\"removals\"", err));
    ib_kv *kv = ARENA_ARRAY(a, ib_kv, n->n);
    if (!kv)
        return error_nomem(err);
    const json_node *e = n + 1;
    for (uint32_t i = 0; i < n->n; i++, e = json_next(e))
        TRY(json_str(d, e, a, &kv[i].key, err));
    *out = (ib_props){n->n, kv};
    return FZ_OK;
}

static fz_status schema_member(const json_doc *d, const json_node *n, arena *a, ib_update *u, fz_error *err)
{
    const json_node *v;
    ib_schema *s = ARENA_NEW(a, ib_schema);
    if (!s)
        return error_nomem(err);
    u->schema = s;
    TRY(json_need(d, n, "schema", an_update, &v, err));
    TRY(schema_from_json(d, v, a, s, err));
    v = json_get(d, n, "last-column-id");
    return v && v->type != JSON_NULL ? json_i64(d, v, &u->id, err) : FZ_OK;
}

static fz_status spec_member(const json_doc *d, const json_node *n, arena *a, ib_update *u, fz_error *err)
{
    const json_node *spec, *v;
    ib_partition_spec *s = ARENA_NEW(a, ib_partition_spec);
    int32_t id = 0;
    if (!s)
        return error_nomem(err);
    u->spec = s;
    TRY(json_need(d, n, "spec", an_update, &spec, err));
    v = json_get(d, spec, "spec-id");
    if (v && v->type != JSON_NULL)
        TRY(json_i32(d, v, &id, err));
    TRY(json_need(d, spec, "fields", "a partition spec", &v, err));
    return spec_fields_from_json(d, v, id, a, s, err);
}

static fz_status order_member(const json_doc *d, const json_node *n, arena *a, ib_update *u, fz_error *err)
{
    const json_node *v;
    ib_sort_order *s = ARENA_NEW(a, ib_sort_order);
    if (!s)
        return error_nomem(err);
    u->order = s;
    TRY(json_need(d, n, "sort-order", an_update, &v, err));
    return order_from_json(d, v, a, s, err);
}

static fz_status statistics_from_json(const json_doc *d, const json_node *n, arena *a, ib_update *u, fz_error *err)
{
    const json_node *v;
    TRY(json_need(d, n, statistics_member(u->kind), an_update, &v, err));
    TRY(need_i64(d, v, "snapshot-id", "a statistics file", &u->id, err));
    return str_copy(a, json_raw(d, v), &u->text) ? FZ_OK : error_nomem(err);
}

fz_status ib_update_from_json(const json_doc *d, const json_node *n, arena *a, ib_update *out, fz_error *err)
{
    const json_node *v;
    int kind;
    TRY(kind_from_json(d, n, "action", an_update, sizeof update_names / sizeof *update_names, update_names, &kind, err));
    *out = (ib_update){.kind = (ib_update_kind)kind};
    const char *number = update_number(out->kind), *ids = update_ids(out->kind);
    if (number)
        return need_i64(d, n, number, an_update, &out->id, err);
    if (ids) {
        TRY(json_need(d, n, ids, an_update, &v, err));
        return ids_from_json(d, v, a, out, err);
    }
    switch (out->kind) {
    case IB_ASSIGN_UUID: return need_str(d, n, "uuid", an_update, a, &out->text, err);
    case IB_SET_LOCATION: return need_str(d, n, "location", an_update, a, &out->text, err);
    case IB_ADD_SCHEMA: return schema_member(d, n, a, out, err);
    case IB_ADD_SPEC: return spec_member(d, n, a, out, err);
    case IB_ADD_SORT_ORDER: return order_member(d, n, a, out, err);
    case IB_ADD_SNAPSHOT:
        TRY(json_need(d, n, "snapshot", an_update, &v, err));
        return snapshot_from_json(d, v, a, &out->snapshot, err);
    case IB_SET_SNAPSHOT_REF: return ref_from_json(d, n, a, &out->ref, err);
    case IB_REMOVE_SNAPSHOT_REF: return need_str(d, n, "ref-name", an_update, a, &out->ref.name, err);
    case IB_SET_PROPERTIES:
        v = json_get(d, n, "updates");
        TRY(v ? FZ_OK : json_need(d, n, "updated", an_update, &v, err)); /* an older name that Java still takes */
        return props_from_json(d, v, a, &out->props, err);
    case IB_REMOVE_PROPERTIES:
        v = json_get(d, n, "removals");
        TRY(v ? FZ_OK : json_need(d, n, "removed", an_update, &v, err));
        return removals_from_json(d, v, a, &out->props, err);
    case IB_SET_STATISTICS: case IB_SET_PARTITION_STATISTICS: return statistics_from_json(d, n, a, out, err);
    case IB_REMOVE_STATISTICS: case IB_REMOVE_PARTITION_STATISTICS: {
        int64_t *id = ARENA_NEW(a, int64_t);
        if (!id)
            return error_nomem(err);
        out->n_ids = 1;
        out->ids = id;
        return need_i64(d, n, "snapshot-id", an_update, id, err);
    }
    default: return error_set(err, FZ_UNSUPPORTED, "%s \"%s\" isn't supported", an_update, update_names[kind]);
    }
}

/* ---- a whole table ---- */

fz_status ib_updates_of_new(const ib_metadata *md, arena *a, uint32_t *n, const ib_update **out, fz_error *err)
{
    const ib_schema *schema = ib_current_schema(md);
    const ib_partition_spec *spec = ib_spec_by_id(md, md->default_spec_id);
    const ib_sort_order *order = ib_order_by_id(md, md->default_sort_order_id);
    ib_update *u = ARENA_ARRAY(a, ib_update, (size_t)16 + md->n_snapshots + md->n_refs);
    uint32_t k = 0;
    if (!u)
        return error_nomem(err);
    if (!schema || !spec)
        return error_set(err, FZ_INVALID, "a table's metadata has no current schema or partition spec");
    u[k++] = (ib_update){.kind = IB_ASSIGN_UUID, .text = md->table_uuid};
    u[k++] = (ib_update){.kind = IB_UPGRADE_FORMAT_VERSION, .id = md->format_version};
    u[k++] = (ib_update){.kind = IB_ADD_SCHEMA, .schema = schema, .id = md->last_column_id};
    u[k++] = (ib_update){.kind = IB_SET_CURRENT_SCHEMA, .id = -1};
    u[k++] = (ib_update){.kind = IB_ADD_SPEC, .spec = spec};
    u[k++] = (ib_update){.kind = IB_SET_DEFAULT_SPEC, .id = -1};
    static const ib_sort_order unsorted = {0};
    u[k++] = (ib_update){.kind = IB_ADD_SORT_ORDER, .order = order ? order : &unsorted};
    u[k++] = (ib_update){.kind = IB_SET_DEFAULT_SORT_ORDER, .id = -1};
    u[k++] = (ib_update){.kind = IB_SET_LOCATION, .text = md->location};
    if (md->properties.n)
        u[k++] = (ib_update){.kind = IB_SET_PROPERTIES, .props = md->properties};
    for (uint32_t i = 0; i < md->n_snapshots; i++)
        u[k++] = (ib_update){.kind = IB_ADD_SNAPSHOT, .snapshot = md->snapshots[i]};
    for (uint32_t i = 0; i < md->n_refs; i++)
        u[k++] = (ib_update){.kind = IB_SET_SNAPSHOT_REF, .ref = md->refs_list[i]};
    *n = k;
    *out = u;
    return FZ_OK;
}
