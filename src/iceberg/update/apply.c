/*
 * apply.c: new metadata from old and a list of updates (REST specification, TableUpdate; spec,
 * "Table Metadata Fields" for what must hold afterwards).
 *
 * The new metadata starts as a copy of the old one's structure: snapshots by reference, what is
 * shared (schemas, specs, orders, properties) by reference unless one of the updates changes it
 * (then all of it is copied into a new shared part), logs and refs by copy. The updates are then
 * applied in order to growing arrays, and the result is checked once.
 */
#include "iceberg/spec/build.h"
#include "iceberg/transform/transform.h"
#include "iceberg/update/layout.h"
#include "iceberg/update/update.h"

#include <time.h>

#define PREVIOUS_VERSIONS_MAX "write.metadata.previous-versions-max"

/* The state of one ib_metadata_apply. Arrays are md's, with room for what the updates add. */
typedef struct applier {
    const ib_metadata *base; /* NULL: the first metadata of a table */
    ib_metadata *md;
    mem *m;
    arena *a;                /* of the shared part; written to only if `slow` */
    bool slow;               /* something in the shared part changes */
    bool checked;            /* schema, specs or orders changed: they must fit each other */
    int64_t now;
    ib_schema *schemas;
    ib_partition_spec *specs;
    ib_sort_order *orders;
    ib_kv *props;
    const ib_snapshot **snapshots;
    ib_ref *refs;
    ib_log_entry *log;
    uint32_t log_base;       /* entries of `log` that this commit didn't add */
    int32_t added_schema, added_spec, added_order; /* the last one added, -1: none */
    fz_error *err;
} applier;

static fz_status invalid(applier *x, const char *what, int64_t id)
{
    return error_set(x->err, FZ_INVALID, what, (long long)id);
}

/* ---- schemas, specs, orders ---- */

static bool type_same(type a, type b);

static bool fields_same(const type_fields *a, const type_fields *b)
{
    if (a->n != b->n)
        return false;
    for (uint32_t i = 0; i < a->n; i++) {
        const type_field *f = &a->f[i], *g = &b->f[i];
        if (f->field_id != g->field_id || f->required != g->required || !str_eq(f->name, g->name) ||
            !str_eq(f->doc, g->doc) || !type_same(f->t, g->t))
            return false;
    }
    return true;
}

static bool type_same(type a, type b)
{
    return type_is_nested(a) ? a.id == b.id && fields_same(a.children, b.children) : type_eq(a, b);
}

static bool schema_same(const ib_schema *a, const ib_schema *b)
{
    return a->n_identifier == b->n_identifier &&
           (a->n_identifier == 0 ||
            memcmp(a->identifier_ids, b->identifier_ids, a->n_identifier * sizeof *a->identifier_ids) == 0) &&
           fields_same(a->fields, b->fields);
}

static bool transform_same(const ib_transform *a, const ib_transform *b)
{
    return a->kind == b->kind && a->param == b->param &&
           (a->kind != IB_TRANSFORM_UNKNOWN || str_eq(a->text, b->text));
}

static fz_status schema_add(applier *x, const ib_update *u)
{
    ib_metadata *md = x->md;
    int32_t highest, id = -1, next = 0;
    if (!u->schema)
        return error_set(x->err, FZ_INVALID, "an update adds no schema");
    TRY(schema_check(u->schema, x->m, &highest, x->err));
    for (uint32_t i = 0; i < md->n_schemas; i++) {
        if (schema_same(&x->schemas[i], u->schema))
            id = x->schemas[i].schema_id;
        if (x->schemas[i].schema_id >= next)
            next = x->schemas[i].schema_id + 1;
    }
    if (u->id > highest && u->id <= INT32_MAX)
        highest = (int32_t)u->id;
    if (highest > md->last_column_id)
        md->last_column_id = highest;
    x->added_schema = id;
    if (id >= 0)
        return FZ_OK;
    ib_schema *s = &x->schemas[md->n_schemas];
    if (!schema_copy(x->a, u->schema, s))
        return error_nomem(x->err);
    x->added_schema = s->schema_id = next;
    md->n_schemas++;
    return FZ_OK;
}

/* The id of a field of an earlier spec with the same source and transform (spec, "Partition
 * Evolution"), else the next one. */
static int32_t partition_id_for(applier *x, const ib_partition_field *f)
{
    for (uint32_t i = 0; i < x->md->n_specs; i++)
        for (uint32_t k = 0; k < x->specs[i].n; k++) {
            const ib_partition_field *g = &x->specs[i].fields[k];
            if (g->source_id == f->source_id && transform_same(&g->transform, &f->transform))
                return g->field_id;
        }
    return x->md->last_partition_id + 1;
}

static fz_status spec_names_check(applier *x, const ib_partition_spec *s)
{
    for (uint32_t i = 0; i < s->n; i++) {
        if (!s->fields[i].name.n)
            return error_set(x->err, FZ_INVALID, "a partition field has no name");
        for (uint32_t k = 0; k < i; k++) {
            if (str_eq(s->fields[i].name, s->fields[k].name))
                return error_set(x->err, FZ_INVALID, "two partition fields are named \"" STR_FMT "\"",
                                 STR_ARG(s->fields[i].name));
            if (s->fields[i].field_id == s->fields[k].field_id)
                return invalid(x, "two partition fields have id %lld", s->fields[i].field_id);
        }
    }
    return FZ_OK;
}

static bool spec_same(const ib_partition_spec *a, const ib_partition_spec *b)
{
    if (a->n != b->n)
        return false;
    for (uint32_t i = 0; i < a->n; i++) {
        const ib_partition_field *f = &a->fields[i], *g = &b->fields[i];
        if (f->source_id != g->source_id || f->field_id != g->field_id || !str_eq(f->name, g->name) ||
            !transform_same(&f->transform, &g->transform))
            return false;
    }
    return true;
}

static fz_status spec_add(applier *x, const ib_update *u)
{
    ib_metadata *md = x->md;
    ib_partition_spec *s = &x->specs[md->n_specs];
    if (!u->spec)
        return error_set(x->err, FZ_INVALID, "an update adds no partition spec");
    if (!spec_copy(x->a, u->spec, s))
        return error_nomem(x->err);
    ib_partition_field *fields = (ib_partition_field *)s->fields;
    for (uint32_t i = 0; i < s->n; i++) {
        if (fields[i].field_id < 0)
            fields[i].field_id = partition_id_for(x, &fields[i]);
        if (fields[i].field_id > md->last_partition_id)
            md->last_partition_id = fields[i].field_id;
    }
    TRY(spec_names_check(x, s));
    int32_t next = 0;
    for (uint32_t i = 0; i < md->n_specs; i++) {
        if (spec_same(&x->specs[i], s)) {
            x->added_spec = x->specs[i].spec_id;
            return FZ_OK;
        }
        if (x->specs[i].spec_id >= next)
            next = x->specs[i].spec_id + 1;
    }
    x->added_spec = s->spec_id = next;
    md->n_specs++;
    return FZ_OK;
}

static bool order_same(const ib_sort_order *a, const ib_sort_order *b)
{
    if (a->n != b->n)
        return false;
    for (uint32_t i = 0; i < a->n; i++) {
        const ib_sort_field *f = &a->fields[i], *g = &b->fields[i];
        if (f->source_id != g->source_id || f->desc != g->desc || f->nulls_last != g->nulls_last ||
            !transform_same(&f->transform, &g->transform))
            return false;
    }
    return true;
}

static fz_status order_add(applier *x, const ib_update *u)
{
    ib_metadata *md = x->md;
    if (!u->order)
        return error_set(x->err, FZ_INVALID, "an update adds no sort order");
    int32_t next = 1; /* 0 is the unsorted order's */
    for (uint32_t i = 0; i < md->n_orders; i++) {
        if (order_same(&x->orders[i], u->order)) {
            x->added_order = x->orders[i].order_id;
            return FZ_OK;
        }
        if (x->orders[i].order_id >= next)
            next = x->orders[i].order_id + 1;
    }
    ib_sort_order *s = &x->orders[md->n_orders];
    if (!order_copy(x->a, u->order, s))
        return error_nomem(x->err);
    x->added_order = s->order_id = u->order->n ? next : 0;
    md->n_orders++;
    return FZ_OK;
}

/* An id in an update: -1 means the one that this commit added last. */
static fz_status id_resolve(applier *x, int64_t id, int32_t added, const char *of, int32_t *out)
{
    if (id == -1 && added < 0)
        return error_set(x->err, FZ_INVALID, "the %s added last is asked for, but none was added", of);
    *out = id == -1 ? added : id > INT32_MAX ? -2 : (int32_t)id;
    return FZ_OK;
}

static fz_status current_schema_set(applier *x, const ib_update *u)
{
    int32_t id = -2;
    TRY(id_resolve(x, u->id, x->added_schema, "schema", &id));
    if (!ib_schema_by_id(x->md, id))
        return invalid(x, "schema %lld doesn't exist", u->id);
    x->md->current_schema_id = id;
    return FZ_OK;
}

static fz_status default_spec_set(applier *x, const ib_update *u)
{
    int32_t id = -2;
    TRY(id_resolve(x, u->id, x->added_spec, "partition spec", &id));
    if (!ib_spec_by_id(x->md, id))
        return invalid(x, "partition spec %lld doesn't exist", u->id);
    x->md->default_spec_id = id;
    return FZ_OK;
}

static fz_status default_order_set(applier *x, const ib_update *u)
{
    int32_t id = -2;
    TRY(id_resolve(x, u->id, x->added_order, "sort order", &id));
    if (!ib_order_by_id(x->md, id))
        return invalid(x, "sort order %lld doesn't exist", u->id);
    x->md->default_sort_order_id = id;
    return FZ_OK;
}

/* ---- snapshots and refs ---- */

static fz_status snapshot_add(applier *x, const ib_update *u)
{
    ib_metadata *md = x->md;
    const ib_snapshot *s = u->snapshot;
    if (!s || s->snapshot_id < 0)
        return error_set(x->err, FZ_INVALID, "an update adds no snapshot");
    if (ib_snapshot_by_id(md, s->snapshot_id))
        return invalid(x, "snapshot %lld exists already", s->snapshot_id);
    if (s->schema_id >= 0 && !ib_schema_by_id(md, s->schema_id))
        return invalid(x, "a snapshot's schema %lld doesn't exist", s->schema_id);
    if (md->format_version >= 2) {
        if (!s->manifest_list.n)
            return invalid(x, "snapshot %lld has no manifest list", s->snapshot_id);
        if (s->sequence_number <= md->last_sequence_number) /* somebody committed to another branch: a newer snapshot will do */
            return error_set(x->err, FZ_CONFLICT,
                             "the sequence number %lld of a new snapshot isn't past the table's last one, %lld",
                             (long long)s->sequence_number, (long long)md->last_sequence_number);
        md->last_sequence_number = s->sequence_number;
    }
    const ib_snapshot *copy = snapshot_new(s, md->format_version, x->m);
    if (!copy)
        return error_nomem(x->err);
    x->snapshots[md->n_snapshots++] = copy;
    if (s->timestamp_ms > md->last_updated_ms)
        md->last_updated_ms = s->timestamp_ms;
    return FZ_OK;
}

static ib_ref *ref_find(applier *x, str name)
{
    for (uint32_t i = 0; i < x->md->n_refs; i++)
        if (str_eq(x->refs[i].name, name))
            return &x->refs[i];
    return NULL;
}

static fz_status ref_set(applier *x, const ib_update *u)
{
    ib_metadata *md = x->md;
    const ib_ref *r = &u->ref;
    bool is_main = str_eqz(r->name, IB_MAIN);
    if (!r->name.n)
        return error_set(x->err, FZ_INVALID, "a ref needs a name");
    if (is_main && r->is_tag)
        return error_set(x->err, FZ_INVALID, "main is a branch, it can't become a tag");
    if (!ib_snapshot_by_id(md, r->snapshot_id))
        return error_set(x->err, FZ_INVALID, "\"" STR_FMT "\" can't be set to snapshot %lld, which doesn't exist",
                         STR_ARG(r->name), (long long)r->snapshot_id);
    ib_ref *at = ref_find(x, r->name);
    if (!at) {
        at = &x->refs[md->n_refs];
        if (!str_copy(&md->mem, r->name, &at->name))
            return error_nomem(x->err);
        md->n_refs++;
    }
    str name = at->name;
    *at = *r;
    at->name = name;
    /* 0 is what a caller leaves that sets no limit. */
    if (at->min_snapshots_to_keep <= 0)
        at->min_snapshots_to_keep = -1;
    if (at->max_snapshot_age_ms <= 0)
        at->max_snapshot_age_ms = -1;
    if (at->max_ref_age_ms <= 0)
        at->max_ref_age_ms = -1;
    if (is_main && md->current_snapshot_id != r->snapshot_id) {
        md->current_snapshot_id = r->snapshot_id;
        /* States between two commits never existed for readers: only the last one is logged. */
        md->n_snapshot_log = x->log_base;
        x->log[md->n_snapshot_log++] = (ib_log_entry){.snapshot_id = r->snapshot_id};
    }
    return FZ_OK;
}

static void ref_remove_at(applier *x, uint32_t i)
{
    if (str_eqz(x->refs[i].name, IB_MAIN))
        x->md->current_snapshot_id = -1;
    x->md->n_refs--;
    memmove(&x->refs[i], &x->refs[i + 1], (x->md->n_refs - i) * sizeof *x->refs);
}

static bool is_removed(const ib_update *u, int64_t id)
{
    for (uint32_t i = 0; i < u->n_ids; i++)
        if (u->ids[i] == id)
            return true;
    return false;
}

/* The history before a snapshot that is gone can't be told any more: it goes too. */
static void log_prune(applier *x, const ib_update *u)
{
    uint32_t keep = x->md->n_snapshot_log;
    while (keep > 0 && !is_removed(u, x->log[keep - 1].snapshot_id))
        keep--;
    uint32_t n = x->md->n_snapshot_log - keep;
    memmove(x->log, x->log + keep, n * sizeof *x->log);
    x->md->n_snapshot_log = n;
    x->log_base = x->log_base > keep ? x->log_base - keep : 0;
}

/* `json`, an array of statistics files, without those of the snapshots in u->ids, and with the object `more` (or empty) at
 * its end; empty if none is left. */
static fz_status statistics_change(applier *x, const ib_update *u, str more, str *json)
{
    if (!json->n && !more.n)
        return FZ_OK;
    json_doc d = {0};
    if (json->n)
        TRY(json_parse(&d, json->p, json->n, NULL, x->m, x->err));
    sbuf b;
    sbuf_init(&b, x->m);
    json_writer w = json_writer_on(&b);
    const json_node *root = json->n ? json_root(&d) : NULL, *e = root ? root + 1 : NULL;
    uint32_t left = 0, n = root && root->type == JSON_ARRAY ? root->n : 0;
    jw_begin(&w, '[');
    for (uint32_t i = 0; i < n; i++, e = json_next(e)) {
        const json_node *v = json_get(&d, e, "snapshot-id");
        int64_t id;
        if (v && json_i64(&d, v, &id, NULL) == FZ_OK && is_removed(u, id))
            continue;
        jw_raw(&w, json_raw(&d, e));
        left++;
    }
    if (more.n)
        jw_raw(&w, more);
    jw_end(&w, ']');
    json_free(&d);
    bool ok = !b.failed;
    if (ok && (left < n || more.n)) {
        *json = (str){b.p, left || more.n ? b.n : 0};
        ok = str_copy(&x->md->mem, *json, json);
    }
    sbuf_free(&b);
    return ok ? FZ_OK : error_nomem(x->err);
}

/* Puts a statistics file in the place of the snapshot's present one. */
static fz_status statistics_set(applier *x, const ib_update *u, str *json)
{
    json_doc d;
    int64_t id;
    if (!ib_snapshot_by_id(x->md, u->id))
        return invalid(x, "statistics are for snapshot %lld, which doesn't exist", u->id);
    TRY(json_parse(&d, u->text.p, u->text.n, NULL, x->m, x->err));
    const json_node *v = json_get(&d, json_root(&d), "snapshot-id");
    bool fits = v && json_i64(&d, v, &id, NULL) == FZ_OK && id == u->id;
    json_free(&d);
    if (!fits)
        return error_set(x->err, FZ_INVALID, "a statistics file is of another snapshot than it is set for");
    ib_update old = {.n_ids = 1, .ids = &u->id};
    return statistics_change(x, &old, u->text, json);
}

/* Schemas and specs that nothing needs: not the current one. */
static fz_status schemas_remove(applier *x, const ib_update *u)
{
    ib_metadata *md = x->md;
    uint32_t n = 0;
    if (is_removed(u, md->current_schema_id))
        return invalid(x, "schema %lld is the current one", md->current_schema_id);
    for (uint32_t i = 0; i < md->n_schemas; i++)
        if (!is_removed(u, x->schemas[i].schema_id))
            x->schemas[n++] = x->schemas[i];
    md->n_schemas = n;
    return FZ_OK;
}

static fz_status specs_remove(applier *x, const ib_update *u)
{
    ib_metadata *md = x->md;
    uint32_t n = 0;
    if (is_removed(u, md->default_spec_id))
        return invalid(x, "partition spec %lld is the current one", md->default_spec_id);
    for (uint32_t i = 0; i < md->n_specs; i++)
        if (!is_removed(u, x->specs[i].spec_id))
            x->specs[n++] = x->specs[i];
    md->n_specs = n;
    return FZ_OK;
}

static fz_status snapshots_remove(applier *x, const ib_update *u)
{
    ib_metadata *md = x->md;
    for (uint32_t i = 0; i < u->n_ids; i++)
        if (!ib_snapshot_by_id(md, u->ids[i]))
            return invalid(x, "snapshot %lld can't be removed: it doesn't exist", u->ids[i]);
    /* Who removes snapshots removes their refs first; one that is left was made meanwhile, and no requirement speaks of it. */
    for (uint32_t i = 0; i < md->n_refs; i++)
        if (is_removed(u, x->refs[i].snapshot_id))
            return error_set(x->err, FZ_CONFLICT, "snapshot %lld can't be removed: \"" STR_FMT "\" is there", (long long)x->refs[i].snapshot_id,
                             STR_ARG(x->refs[i].name));
    uint32_t n = 0;
    for (uint32_t i = 0; i < md->n_snapshots; i++) {
        if (is_removed(u, x->snapshots[i]->snapshot_id))
            snapshot_unref(x->snapshots[i]);
        else
            x->snapshots[n++] = x->snapshots[i];
    }
    md->n_snapshots = n;
    log_prune(x, u);
    TRY(statistics_change(x, u, (str){0}, &md->statistics_json));
    return statistics_change(x, u, (str){0}, &md->partition_statistics_json);
}

/* ---- properties and the rest ---- */

static fz_status version_upgrade(applier *x, int64_t version)
{
    ib_metadata *md = x->md;
    if (version > 2)
        return error_set(x->err, FZ_UNSUPPORTED, "Iceberg format version %lld isn't supported", (long long)version);
    if (version < md->format_version && !x->base)
        return error_set(x->err, FZ_UNSUPPORTED, "new tables of format version %lld aren't supported", (long long)version);
    if (version < md->format_version)
        return error_set(x->err, FZ_INVALID, "a table of format version %d can't go back to version %lld",
                         md->format_version, (long long)version);
    md->format_version = (int)version;
    return FZ_OK;
}

static fz_status prop_set(applier *x, const ib_kv *kv)
{
    ib_metadata *md = x->md;
    int64_t version;
    if (str_eqz(kv->key, "format-version")) { /* a wish, not a property: never stored */
        if (!str_to_i64(kv->value, &version))
            return error_set(x->err, FZ_INVALID, "format-version \"" STR_FMT "\" isn't a number", STR_ARG(kv->value));
        return version_upgrade(x, version);
    }
    uint32_t i = 0;
    while (i < md->properties.n && !str_eq(x->props[i].key, kv->key))
        i++;
    ib_kv copy;
    if (!str_copy(x->a, kv->key, &copy.key) || !str_copy(x->a, kv->value, &copy.value))
        return error_nomem(x->err);
    x->props[i] = copy;
    if (i == md->properties.n)
        md->properties.n++;
    return FZ_OK;
}

static void prop_remove(applier *x, str key)
{
    ib_props *p = &x->md->properties;
    for (uint32_t i = 0; i < p->n; i++)
        if (str_eq(x->props[i].key, key)) {
            p->n--;
            memmove(&x->props[i], &x->props[i + 1], (p->n - i) * sizeof *x->props);
            return;
        }
}

static fz_status location_set(applier *x, str location)
{
    while (location.n > 1 && location.p[location.n - 1] == '/')
        location.n--;
    if (!location.n)
        return error_set(x->err, FZ_INVALID, "a table's location can't be empty");
    return str_copy(x->a, location, &x->md->location) ? FZ_OK : error_nomem(x->err);
}

static fz_status update_apply(applier *x, const ib_update *u)
{
    switch (u->kind) {
    case IB_ASSIGN_UUID:
        if (!u->text.n)
            return error_set(x->err, FZ_INVALID, "an empty table uuid");
        return str_copy(x->a, u->text, &x->md->table_uuid) ? FZ_OK : error_nomem(x->err);
    case IB_UPGRADE_FORMAT_VERSION: return version_upgrade(x, u->id);
    case IB_ADD_SCHEMA: return schema_add(x, u);
    case IB_SET_CURRENT_SCHEMA: return current_schema_set(x, u);
    case IB_ADD_SPEC: return spec_add(x, u);
    case IB_SET_DEFAULT_SPEC: return default_spec_set(x, u);
    case IB_ADD_SORT_ORDER: return order_add(x, u);
    case IB_SET_DEFAULT_SORT_ORDER: return default_order_set(x, u);
    case IB_ADD_SNAPSHOT: return snapshot_add(x, u);
    case IB_SET_SNAPSHOT_REF: return ref_set(x, u);
    case IB_REMOVE_SNAPSHOTS: return snapshots_remove(x, u);
    case IB_REMOVE_SNAPSHOT_REF:
        for (uint32_t i = x->md->n_refs; i-- > 0;)
            if (str_eq(x->refs[i].name, u->ref.name))
                ref_remove_at(x, i);
        return FZ_OK;
    case IB_SET_LOCATION: return location_set(x, u->text);
    case IB_SET_PROPERTIES:
        for (uint32_t i = 0; i < u->props.n; i++)
            TRY(prop_set(x, &u->props.kv[i]));
        return FZ_OK;
    case IB_REMOVE_PROPERTIES:
        for (uint32_t i = 0; i < u->props.n; i++)
            prop_remove(x, u->props.kv[i].key);
        return FZ_OK;
    case IB_SET_STATISTICS: return statistics_set(x, u, &x->md->statistics_json);
    case IB_SET_PARTITION_STATISTICS: return statistics_set(x, u, &x->md->partition_statistics_json);
    case IB_REMOVE_STATISTICS: return statistics_change(x, u, (str){0}, &x->md->statistics_json);
    case IB_REMOVE_PARTITION_STATISTICS: return statistics_change(x, u, (str){0}, &x->md->partition_statistics_json);
    case IB_REMOVE_SCHEMAS: return schemas_remove(x, u);
    case IB_REMOVE_SPECS: return specs_remove(x, u);
    }
    return error_set(x->err, FZ_UNSUPPORTED, "a table update of unknown kind %d", (int)u->kind);
}

/* ---- the whole ---- */

/* What the updates add at most; whether they touch the shared part. */
typedef struct growth { uint32_t schemas, specs, orders, snapshots, refs, props; bool slow, checked; } growth;

static growth growth_of(uint32_t n, const ib_update *u)
{
    growth g = {0};
    for (uint32_t i = 0; i < n; i++) {
        bool snap = false;
        switch (u[i].kind) {
        case IB_ADD_SCHEMA: g.schemas++; g.checked = true; break;
        case IB_ADD_SPEC: g.specs++; g.checked = true; break;
        case IB_ADD_SORT_ORDER: g.orders++; g.checked = true; break;
        case IB_SET_CURRENT_SCHEMA: case IB_SET_DEFAULT_SPEC: case IB_SET_DEFAULT_SORT_ORDER: g.checked = true; break;
        case IB_SET_PROPERTIES: g.props += u[i].props.n; break;
        case IB_ADD_SNAPSHOT: g.snapshots++; snap = true; break;
        case IB_SET_SNAPSHOT_REF: g.refs++; snap = true; break;
        case IB_REMOVE_SNAPSHOTS: case IB_REMOVE_SNAPSHOT_REF: case IB_SET_STATISTICS: case IB_REMOVE_STATISTICS:
        case IB_SET_PARTITION_STATISTICS: case IB_REMOVE_PARTITION_STATISTICS: snap = true; break;
        default: break;
        }
        g.slow |= !snap;
    }
    return g;
}

/* Copies base's shared things into the new shared part, with room to grow. */
static fz_status shared_copy(applier *x, const growth *g)
{
    const ib_metadata *base = x->base;
    ib_metadata *md = x->md;
    arena *a = x->a;
    uint32_t ns = base ? base->n_schemas : 0, np = base ? base->n_specs : 0, no = base ? base->n_orders : 0,
             nk = base ? base->properties.n : 0;
    x->schemas = ARENA_ARRAY(a, ib_schema, (size_t)ns + g->schemas);
    x->specs = ARENA_ARRAY(a, ib_partition_spec, (size_t)np + g->specs);
    x->orders = ARENA_ARRAY(a, ib_sort_order, (size_t)no + g->orders);
    x->props = ARENA_ARRAY(a, ib_kv, (size_t)nk + g->props);
    if (!x->schemas || !x->specs || !x->orders || !x->props)
        return error_nomem(x->err);
    bool ok = true;
    for (uint32_t i = 0; i < ns; i++)
        ok = ok && schema_copy(a, &base->schemas[i], &x->schemas[i]);
    for (uint32_t i = 0; i < np; i++)
        ok = ok && spec_copy(a, &base->specs[i], &x->specs[i]);
    for (uint32_t i = 0; i < no; i++)
        ok = ok && order_copy(a, &base->orders[i], &x->orders[i]);
    for (uint32_t i = 0; i < nk; i++)
        ok = ok && str_copy(a, base->properties.kv[i].key, &x->props[i].key) &&
             str_copy(a, base->properties.kv[i].value, &x->props[i].value);
    if (base)
        ok = ok && str_copy(a, base->table_uuid, &md->table_uuid) && str_copy(a, base->location, &md->location) &&
             props_copy(a, &base->extra_json, &md->extra_json);
    if (!ok)
        return error_nomem(x->err);
    md->schemas = x->schemas;
    md->n_schemas = ns;
    md->specs = x->specs;
    md->n_specs = np;
    md->orders = x->orders;
    md->n_orders = no;
    md->properties = (ib_props){.n = nk, .kv = x->props};
    return FZ_OK;
}

static void shared_take(ib_metadata *md, const ib_metadata *base)
{
    md->table_uuid = base->table_uuid;
    md->location = base->location;
    md->schemas = base->schemas;
    md->n_schemas = base->n_schemas;
    md->specs = base->specs;
    md->n_specs = base->n_specs;
    md->orders = base->orders;
    md->n_orders = base->n_orders;
    md->properties = base->properties;
    md->extra_json = base->extra_json;
}

/* What every metadata has for its own: snapshot pointers, refs, the snapshot log. */
static fz_status own_copy(applier *x, const growth *g)
{
    const ib_metadata *base = x->base;
    ib_metadata *md = x->md;
    arena *a = &md->mem;
    uint32_t ns = base ? base->n_snapshots : 0, nr = base ? base->n_refs : 0, nl = base ? base->n_snapshot_log : 0;
    x->snapshots = ARENA_ARRAY(a, const ib_snapshot *, (size_t)ns + g->snapshots);
    x->refs = ARENA_ARRAY(a, ib_ref, (size_t)nr + g->refs);
    x->log = ARENA_ARRAY(a, ib_log_entry, (size_t)nl + 1);
    if (!x->snapshots || !x->refs || !x->log)
        return error_nomem(x->err);
    md->snapshots = x->snapshots;
    md->refs_list = x->refs;
    md->snapshot_log = x->log;
    if (!base)
        return FZ_OK;
    for (uint32_t i = 0; i < ns; i++)
        x->snapshots[i] = snapshot_ref(base->snapshots[i]);
    md->n_snapshots = ns;
    for (uint32_t i = 0; i < nr; i++) {
        x->refs[i] = base->refs_list[i];
        if (!str_copy(a, base->refs_list[i].name, &x->refs[i].name))
            return error_nomem(x->err);
    }
    md->n_refs = nr;
    if (nl)
        memcpy(x->log, base->snapshot_log, nl * sizeof *x->log);
    md->n_snapshot_log = x->log_base = nl;
    /* In the own part, since removing snapshots changes them. */
    if (!str_copy(a, base->statistics_json, &md->statistics_json) ||
        !str_copy(a, base->partition_statistics_json, &md->partition_statistics_json))
        return error_nomem(x->err);
    return FZ_OK;
}

static fz_status metadata_log_extend(applier *x, const char *base_location)
{
    const ib_metadata *base = x->base;
    ib_metadata *md = x->md;
    int64_t max;
    TRY(ib_prop_i64(&md->properties, PREVIOUS_VERSIONS_MAX, 100, &max, x->err));
    if (max < 1)
        max = 1;
    uint32_t old = base ? base->n_metadata_log : 0, add = base && base_location, from = 0;
    if ((int64_t)old + add > max)
        from = (uint32_t)((int64_t)old + add - max);
    ib_log_entry *log = ARENA_ARRAY(&md->mem, ib_log_entry, (size_t)old + add);
    if (!log)
        return error_nomem(x->err);
    md->metadata_log = log;
    for (uint32_t i = from; i < old; i++) {
        ib_log_entry *e = &log[md->n_metadata_log++];
        *e = base->metadata_log[i];
        if (!str_copy(&md->mem, e->metadata_file, &e->metadata_file))
            return error_nomem(x->err);
    }
    if (add) {
        ib_log_entry *e = &log[md->n_metadata_log++];
        *e = (ib_log_entry){.timestamp_ms = base->last_updated_ms, .snapshot_id = -1};
        if (!str_copy(&md->mem, str_of(base_location), &e->metadata_file))
            return error_nomem(x->err);
    }
    return FZ_OK;
}

static fz_status source_check(applier *x, int32_t source_id, const ib_transform *t, const char *of)
{
    type result;
    if (t->kind == IB_VOID)
        return FZ_OK;
    const ib_schema *s = ib_current_schema(x->md);
    const type_field *f = ib_field_by_id(s, source_id);
    if (!f)
        return error_set(x->err, FZ_INVALID, "column %d of the %s isn't in the schema", source_id, of);
    fz_status st = ib_transform_result(t, f->t, &result, x->err);
    /* What another engine made and nobody can compute here may stay. */
    return st == FZ_UNSUPPORTED && x->base ? FZ_OK : st;
}

/* The default spec and order must fit the current schema. */
static fz_status fit_check(applier *x)
{
    ib_metadata *md = x->md;
    if (!ib_current_schema(md))
        return invalid(x, "schema %lld doesn't exist", md->current_schema_id);
    const ib_partition_spec *spec = ib_spec_by_id(md, md->default_spec_id);
    if (!spec)
        return invalid(x, "partition spec %lld doesn't exist", md->default_spec_id);
    for (uint32_t i = 0; i < spec->n; i++) {
        const ib_partition_field *f = &spec->fields[i];
        TRY(source_check(x, f->source_id, &f->transform, "partition spec"));
        /* A partition field shadows a column's name only where it is that column. */
        const type_field *c = ib_field_by_name(ib_current_schema(md), f->name);
        if (c && !(f->transform.kind == IB_IDENTITY && c->field_id == f->source_id) && f->transform.kind != IB_VOID)
            return error_set(x->err, FZ_INVALID, "the partition field \"" STR_FMT "\" has the name of another column",
                             STR_ARG(f->name));
    }
    const ib_sort_order *order = ib_order_by_id(md, md->default_sort_order_id);
    for (uint32_t i = 0; order && i < order->n; i++)
        TRY(source_check(x, order->fields[i].source_id, &order->fields[i].transform, "sort order"));
    return FZ_OK;
}

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static fz_status finish(applier *x, const char *base_location)
{
    ib_metadata *md = x->md;
    if (x->now > md->last_updated_ms)
        md->last_updated_ms = x->now;
    /* The entry this commit added, if any, is the last one. */
    if (md->n_snapshot_log > x->log_base) {
        const ib_snapshot *s = ib_current_snapshot(md);
        ib_log_entry *e = &x->log[md->n_snapshot_log - 1];
        bool added = s && !(x->base && ib_snapshot_by_id(x->base, s->snapshot_id));
        e->timestamp_ms = added ? s->timestamp_ms : md->last_updated_ms;
        if (md->n_snapshot_log > 1 && e->timestamp_ms < e[-1].timestamp_ms)
            e->timestamp_ms = e[-1].timestamp_ms;
    }
    if (x->slow && md->format_version >= 2 && !md->table_uuid.n) { /* a new table; version 1 could do without */
        char uuid[UUID_TEXT];
        TRY(ib_uuid_new(uuid, x->err));
        if (!str_copy(x->a, str_of(uuid), &md->table_uuid))
            return error_nomem(x->err);
    }
    if (x->checked)
        TRY(fit_check(x));
    return metadata_log_extend(x, base_location);
}

/* The new metadata as the old one is, with room for what the updates add. */
static fz_status start(applier *x, const growth *g)
{
    ib_metadata *md = x->md;
    if (x->base) {
        const ib_metadata *b = x->base;
        md->format_version = b->format_version;
        md->last_sequence_number = b->last_sequence_number;
        md->last_updated_ms = b->last_updated_ms;
        md->last_column_id = b->last_column_id;
        md->current_schema_id = b->current_schema_id;
        md->default_spec_id = b->default_spec_id;
        md->last_partition_id = b->last_partition_id;
        md->default_sort_order_id = b->default_sort_order_id;
        md->current_snapshot_id = b->current_snapshot_id;
    } else {
        md->format_version = 2;
        md->last_partition_id = IB_FIRST_PARTITION_ID - 1;
    }
    if (x->slow)
        TRY(shared_copy(x, g));
    else
        shared_take(md, x->base);
    return own_copy(x, g);
}

static fz_status apply_all(applier *x, const growth *g, const char *base_location, uint32_t n, const ib_update *u)
{
    TRY(start(x, g));
    for (uint32_t i = 0; i < n; i++)
        TRY(update_apply(x, &u[i]));
    return finish(x, base_location);
}

fz_status ib_metadata_apply(const ib_metadata *base, const char *base_location, uint32_t n, const ib_update *u,
                            mem *m, ib_metadata **out, fz_error *err)
{
    growth g = growth_of(n, u);
    bool slow = g.slow || !base;
    ib_metadata *md = metadata_new(m, slow ? NULL : shared_ref(base->shared));
    if (!md)
        return error_nomem(err);
    applier x = {.base = base, .md = md, .m = m, .a = &md->shared->a, .slow = slow, .checked = g.checked || !base,
                 .now = now_ms(), .added_schema = -1, .added_spec = -1, .added_order = -1, .err = err};
    if (base)
        md->io = file_io_ref(base->io);
    fz_status st = apply_all(&x, &g, base_location, n, u);
    if (st != FZ_OK) {
        ib_metadata_unref(md);
        return st;
    }
    *out = md;
    return FZ_OK;
}

/* One update as the protocol wants it (see ib_updates_resolve), appended at *out unless it does nothing. */
static fz_status resolve(applier *x, const ib_update *u, int32_t reused[3], arena *a, ib_update *out, bool *keep)
{
    ib_metadata *md = x->md;
    uint32_t before[3] = {md->n_schemas, md->n_specs, md->n_orders};
    TRY(update_apply(x, u));
    const uint32_t after[3] = {md->n_schemas, md->n_specs, md->n_orders};
    const int32_t added[3] = {x->added_schema, x->added_spec, x->added_order};
    int add = u->kind == IB_ADD_SCHEMA ? 0 : u->kind == IB_ADD_SPEC ? 1 : u->kind == IB_ADD_SORT_ORDER ? 2 : -1;
    int set = u->kind == IB_SET_CURRENT_SCHEMA ? 0 : u->kind == IB_SET_DEFAULT_SPEC ? 1 : u->kind == IB_SET_DEFAULT_SORT_ORDER ? 2 : -1;
    *out = *u;
    *keep = true;
    if (set >= 0 && u->id == -1 && reused[set] >= 0)
        out->id = reused[set];
    if (add < 0)
        return FZ_OK;
    *keep = after[add] > before[add];
    reused[add] = *keep ? -1 : added[add];
    if (!*keep)
        return FZ_OK;
    /* with the ids that it gets here: servers refuse, or renumber, others */
    ib_schema *schema = ARENA_NEW(a, ib_schema);
    ib_partition_spec *spec = ARENA_NEW(a, ib_partition_spec);
    ib_sort_order *order = ARENA_NEW(a, ib_sort_order);
    if (!schema || !spec || !order)
        return error_nomem(x->err);
    bool ok = add == 0   ? schema_copy(a, &x->schemas[md->n_schemas - 1], schema)
              : add == 1 ? spec_copy(a, &x->specs[md->n_specs - 1], spec)
                         : order_copy(a, &x->orders[md->n_orders - 1], order);
    out->schema = add == 0 ? schema : u->schema;
    out->spec = add == 1 ? spec : u->spec;
    out->order = add == 2 ? order : u->order;
    return ok ? FZ_OK : error_nomem(x->err);
}

fz_status ib_updates_resolve(const ib_metadata *base, uint32_t n, const ib_update *u, arena *a, uint32_t *n_out, const ib_update **out,
                             fz_error *err)
{
    growth g = growth_of(n, u);
    bool any = false;
    for (uint32_t i = 0; i < n; i++)
        any |= u[i].kind == IB_ADD_SCHEMA || u[i].kind == IB_ADD_SPEC || u[i].kind == IB_ADD_SORT_ORDER;
    *n_out = n;
    *out = u;
    if (!any)
        return FZ_OK;
    ib_update *list = ARENA_ARRAY(a, ib_update, n);
    ib_metadata *md = list ? metadata_new(a->m, NULL) : NULL;
    if (!md)
        return error_nomem(err);
    applier x = {.base = base, .md = md, .m = a->m, .a = &md->shared->a, .slow = true, .now = now_ms(), .added_schema = -1, .added_spec = -1,
                 .added_order = -1, .err = err};
    int32_t reused[3] = {-1, -1, -1};
    *n_out = 0;
    *out = list;
    fz_status st = start(&x, &g);
    for (uint32_t i = 0; i < n && st == FZ_OK; i++) {
        bool keep = false;
        st = resolve(&x, &u[i], reused, a, &list[*n_out], &keep);
        *n_out += keep;
    }
    ib_metadata_unref(md);
    return st;
}

fz_status ib_metadata_new(str location, const ib_schema *schema, const ib_partition_spec *spec,
                          const ib_sort_order *order, const ib_props *props, mem *m, ib_metadata **out, fz_error *err)
{
    static const ib_partition_spec unpartitioned = {0};
    static const ib_sort_order unsorted = {0};
    const ib_update updates[] = {
        {.kind = IB_SET_LOCATION, .text = location},
        {.kind = IB_ADD_SCHEMA, .schema = schema},
        {.kind = IB_SET_CURRENT_SCHEMA, .id = -1},
        {.kind = IB_ADD_SPEC, .spec = spec ? spec : &unpartitioned},
        {.kind = IB_SET_DEFAULT_SPEC, .id = -1},
        {.kind = IB_ADD_SORT_ORDER, .order = order ? order : &unsorted},
        {.kind = IB_SET_DEFAULT_SORT_ORDER, .id = -1},
        {.kind = IB_SET_PROPERTIES, .props = props ? *props : (ib_props){0}},
    };
    return ib_metadata_apply(NULL, NULL, sizeof updates / sizeof updates[0], updates, m, out, err);
}
