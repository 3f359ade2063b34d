/*
 * metadata_parse.c: table metadata from JSON, versions 1 and 2 (spec, "Table Metadata Fields").
 *
 * Version 1 is brought to version 2's form: "schema" and "partition-spec" become the only entries
 * of the lists where these are missing. Every id that points to something is checked here, so that
 * nobody behind has to: current schema, default spec and order, current snapshot, refs. Metadata
 * whose "last" counters lag behind what it holds gets the counters it should have, since ids must
 * never be given twice.
 */
#include "codec/compress.h"
#include "iceberg/spec/build.h"
#include "io/io.h"

#include <stdlib.h>

typedef struct parser {
    const json_doc *d;
    const json_node *root;
    ib_metadata *md;
    arena *a;      /* the shared part's */
    fz_error *err;
} parser;

static const char what[] = "table metadata";

/* Members that have a field in ib_metadata; others are kept as text. */
static const char *const known[] = {
    "format-version", "table-uuid", "location", "last-sequence-number", "last-updated-ms", "last-column-id",
    "schema", "schemas", "current-schema-id", "partition-spec", "partition-specs", "default-spec-id",
    "last-partition-id", "sort-orders", "default-sort-order-id", "properties", "current-snapshot-id",
    "snapshots", "snapshot-log", "metadata-log", "refs", "statistics", "partition-statistics",
};

/* NULL for a member that is missing or null. */
static const json_node *member(const parser *p, const char *name)
{
    const json_node *v = json_get(p->d, p->root, name);
    return v && v->type != JSON_NULL ? v : NULL;
}

static fz_status array_member(const parser *p, const char *name, bool required, const json_node **out)
{
    *out = member(p, name);
    if (*out)
        return json_want(p->d, *out, JSON_ARRAY, name, p->err);
    return required ? json_error(p->d, p->root, p->err, "%s lacks \"%s\"", what, name) : FZ_OK;
}

/* `required` false: *out keeps its value where the member is missing. */
static fz_status i64_member(const parser *p, const char *name, bool required, int64_t *out)
{
    const json_node *v = member(p, name);
    if (v)
        return json_i64(p->d, v, out, p->err);
    return required ? json_error(p->d, p->root, p->err, "%s lacks \"%s\"", what, name) : FZ_OK;
}

static fz_status i32_member(const parser *p, const char *name, bool required, int32_t *out)
{
    const json_node *v = member(p, name);
    if (v)
        return json_i32(p->d, v, out, p->err);
    return required ? json_error(p->d, p->root, p->err, "%s lacks \"%s\"", what, name) : FZ_OK;
}

static fz_status str_member(const parser *p, const char *name, bool required, str *out)
{
    const json_node *v = member(p, name);
    if (v)
        return json_str(p->d, v, p->a, out, p->err);
    return required ? json_error(p->d, p->root, p->err, "%s lacks \"%s\"", what, name) : FZ_OK;
}

static int i64_cmp(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* FZ_DATA if an id stands twice; sorts them. */
static fz_status ids_unique(parser *p, int64_t *ids, uint32_t n, const char *of)
{
    if (n > 1)
        qsort(ids, n, sizeof *ids, i64_cmp);
    for (uint32_t i = 1; i < n; i++)
        if (ids[i] == ids[i - 1])
            return json_error(p->d, p->root, p->err, "%s has two %s with id %lld", what, of, (long long)ids[i]);
    return FZ_OK;
}

static fz_status schemas_parse(parser *p)
{
    ib_metadata *md = p->md;
    bool v2 = md->format_version >= 2;
    const json_node *list, *single = member(p, "schema");
    TRY(array_member(p, "schemas", v2, &list));
    if (list && list->n == 0 && !v2)
        list = NULL;
    uint32_t n = list ? list->n : 1;
    if (!list && !single)
        return json_error(p->d, p->root, p->err, "%s lacks \"schema\"", what);
    ib_schema *s = ARENA_ARRAY(p->a, ib_schema, n);
    int64_t *ids = ARENA_ARRAY(&md->mem, int64_t, n);
    if (!s || !ids)
        return error_nomem(p->err);
    const json_node *e = list ? list + 1 : single;
    for (uint32_t i = 0; i < n; i++, e = json_next(e)) {
        TRY(schema_from_json(p->d, e, p->a, &s[i], p->err));
        int32_t highest;
        TRY(schema_check(&s[i], md->mem.m, &highest, p->err));
        if (highest > md->last_column_id)
            md->last_column_id = highest;
        ids[i] = s[i].schema_id;
    }
    md->schemas = s;
    md->n_schemas = n;
    TRY(ids_unique(p, ids, n, "schemas"));
    md->current_schema_id = list ? 0 : s[0].schema_id;
    TRY(i32_member(p, "current-schema-id", v2, &md->current_schema_id));
    if (!ib_current_schema(md))
        return json_error(p->d, member(p, "current-schema-id"), p->err,
                          "current-schema-id %d isn't one of the schemas", md->current_schema_id);
    return FZ_OK;
}

static fz_status specs_parse(parser *p)
{
    ib_metadata *md = p->md;
    bool v2 = md->format_version >= 2;
    const json_node *list, *single, *v;
    TRY(array_member(p, "partition-specs", v2, &list));
    TRY(array_member(p, "partition-spec", !v2 && !list, &single));
    uint32_t n = list ? list->n : 1;
    ib_partition_spec *s = ARENA_ARRAY(p->a, ib_partition_spec, n);
    int64_t *ids = ARENA_ARRAY(&md->mem, int64_t, n);
    if (!s || !ids)
        return error_nomem(p->err);
    if (!list)
        TRY(spec_fields_from_json(p->d, single, 0, p->a, &s[0], p->err));
    const json_node *e = list ? list + 1 : NULL;
    for (uint32_t i = 0; list && i < n; i++, e = json_next(e)) {
        int32_t id;
        TRY(json_need(p->d, e, "spec-id", "a partition spec", &v, p->err));
        TRY(json_i32(p->d, v, &id, p->err));
        TRY(json_need(p->d, e, "fields", "a partition spec", &v, p->err));
        TRY(spec_fields_from_json(p->d, v, id, p->a, &s[i], p->err));
        ids[i] = id;
    }
    md->specs = s;
    md->n_specs = n;
    TRY(ids_unique(p, ids, n, "partition specs"));
    TRY(i32_member(p, "default-spec-id", v2, &md->default_spec_id));
    if (!ib_spec_by_id(md, md->default_spec_id))
        return json_error(p->d, p->root, p->err, "default-spec-id %d isn't one of the partition specs",
                          md->default_spec_id);
    md->last_partition_id = IB_FIRST_PARTITION_ID - 1;
    TRY(i32_member(p, "last-partition-id", v2, &md->last_partition_id));
    for (uint32_t i = 0; i < n; i++)
        if (spec_highest_id(&s[i]) > md->last_partition_id)
            md->last_partition_id = spec_highest_id(&s[i]);
    return FZ_OK;
}

static fz_status orders_parse(parser *p)
{
    ib_metadata *md = p->md;
    bool v2 = md->format_version >= 2;
    const json_node *list;
    TRY(array_member(p, "sort-orders", v2, &list));
    uint32_t n = list ? list->n : 1; /* one unsorted order, id 0 */
    ib_sort_order *s = ARENA_ARRAY(p->a, ib_sort_order, n);
    int64_t *ids = ARENA_ARRAY(&md->mem, int64_t, n);
    if (!s || !ids)
        return error_nomem(p->err);
    const json_node *e = list ? list + 1 : NULL;
    for (uint32_t i = 0; list && i < n; i++, e = json_next(e)) {
        TRY(order_from_json(p->d, e, p->a, &s[i], p->err));
        ids[i] = s[i].order_id;
    }
    md->orders = s;
    md->n_orders = n;
    TRY(ids_unique(p, ids, n, "sort orders"));
    TRY(i32_member(p, "default-sort-order-id", v2, &md->default_sort_order_id));
    if (md->default_sort_order_id != 0 && !ib_order_by_id(md, md->default_sort_order_id))
        return json_error(p->d, p->root, p->err, "default-sort-order-id %d isn't one of the sort orders",
                          md->default_sort_order_id);
    return FZ_OK;
}

/* *sorted: the snapshots' ids in ascending order, in md's own arena. */
static fz_status snapshots_parse(parser *p, int64_t **sorted)
{
    ib_metadata *md = p->md;
    const json_node *list;
    TRY(array_member(p, "snapshots", false, &list));
    uint32_t n = list ? list->n : 0;
    const ib_snapshot **s = ARENA_ARRAY(&md->mem, const ib_snapshot *, n);
    *sorted = ARENA_ARRAY(&md->mem, int64_t, n);
    if (!s || !*sorted)
        return error_nomem(p->err);
    md->snapshots = s;
    const json_node *e = list ? list + 1 : NULL;
    for (uint32_t i = 0; i < n; i++, e = json_next(e)) {
        TRY(snapshot_parse(p->d, e, md->format_version, md->mem.m, &s[i], p->err));
        md->n_snapshots = i + 1;
        (*sorted)[i] = s[i]->snapshot_id;
        if (md->format_version >= 2 && s[i]->sequence_number > md->last_sequence_number)
            return json_error(p->d, e, p->err, "a snapshot's sequence number %lld is past last-sequence-number %lld",
                              (long long)s[i]->sequence_number, (long long)md->last_sequence_number);
    }
    return ids_unique(p, *sorted, n, "snapshots");
}

static bool has_id(const int64_t *sorted, uint32_t n, int64_t id)
{
    return n && bsearch(&id, sorted, n, sizeof id, i64_cmp);
}

static fz_status ref_limit(parser *p, const json_node *n, const char *name, int64_t *out)
{
    const json_node *v = json_get(p->d, n, name);
    *out = -1;
    if (!v || v->type == JSON_NULL)
        return FZ_OK;
    TRY(json_i64(p->d, v, out, p->err));
    return *out > 0 ? FZ_OK : json_error(p->d, v, p->err, "\"%s\" isn't positive", name);
}

static fz_status ref_parse(parser *p, const json_node *key, const int64_t *ids, ib_ref *r)
{
    const json_node *n = key + 1, *v;
    TRY(json_str(p->d, key, &p->md->mem, &r->name, p->err));
    TRY(json_need(p->d, n, "snapshot-id", "a ref", &v, p->err));
    TRY(json_i64(p->d, v, &r->snapshot_id, p->err));
    if (!has_id(ids, p->md->n_snapshots, r->snapshot_id))
        return json_error(p->d, v, p->err, "ref \"" STR_FMT "\" points to snapshot %lld, which isn't there",
                          STR_ARG(r->name), (long long)r->snapshot_id);
    TRY(json_need(p->d, n, "type", "a ref", &v, p->err));
    r->is_tag = json_is(p->d, v, "tag");
    if (!r->is_tag && !json_is(p->d, v, "branch"))
        return json_error(p->d, v, p->err, "a ref that is neither branch nor tag");
    TRY(ref_limit(p, n, "min-snapshots-to-keep", &r->min_snapshots_to_keep));
    TRY(ref_limit(p, n, "max-snapshot-age-ms", &r->max_snapshot_age_ms));
    return ref_limit(p, n, "max-ref-age-ms", &r->max_ref_age_ms);
}

static fz_status refs_parse(parser *p, const int64_t *ids)
{
    ib_metadata *md = p->md;
    TRY(i64_member(p, "current-snapshot-id", false, &md->current_snapshot_id));
    if (md->current_snapshot_id != -1 && !has_id(ids, md->n_snapshots, md->current_snapshot_id))
        return json_error(p->d, p->root, p->err, "current-snapshot-id %lld isn't one of the snapshots",
                          (long long)md->current_snapshot_id);
    const json_node *refs = member(p, "refs");
    uint32_t n = 0;
    if (refs) {
        TRY(json_want(p->d, refs, JSON_OBJECT, "\"refs\"", p->err));
        n = refs->n;
    }
    ib_ref *r = ARENA_ARRAY(&md->mem, ib_ref, (size_t)n + 1);
    if (!r)
        return error_nomem(p->err);
    const ib_ref *main_ref = NULL;
    const json_node *key = refs ? refs + 1 : NULL;
    for (uint32_t i = 0; i < n; i++, key = json_next(key + 1)) {
        TRY(ref_parse(p, key, ids, &r[i]));
        if (str_eqz(r[i].name, IB_MAIN))
            main_ref = &r[i];
    }
    md->refs_list = r;
    md->n_refs = n;
    if (main_ref && main_ref->snapshot_id != md->current_snapshot_id)
        return json_error(p->d, refs, p->err, "branch main is at snapshot %lld, current-snapshot-id is %lld",
                          (long long)main_ref->snapshot_id, (long long)md->current_snapshot_id);
    if (!main_ref && md->current_snapshot_id != -1)
        r[md->n_refs++] = (ib_ref){.name = STR(IB_MAIN), .snapshot_id = md->current_snapshot_id,
                                   .min_snapshots_to_keep = -1, .max_snapshot_age_ms = -1, .max_ref_age_ms = -1};
    return FZ_OK;
}

static fz_status log_parse(parser *p, const char *name, bool of_files, uint32_t *n_out, const ib_log_entry **out)
{
    ib_metadata *md = p->md;
    const json_node *list, *v;
    TRY(array_member(p, name, false, &list));
    if (!list)
        return FZ_OK;
    ib_log_entry *log = ARENA_ARRAY(&md->mem, ib_log_entry, list->n);
    if (!log)
        return error_nomem(p->err);
    const json_node *e = list + 1;
    for (uint32_t i = 0; i < list->n; i++, e = json_next(e)) {
        TRY(json_need(p->d, e, "timestamp-ms", "a log entry", &v, p->err));
        TRY(json_i64(p->d, v, &log[i].timestamp_ms, p->err));
        log[i].snapshot_id = -1;
        TRY(json_need(p->d, e, of_files ? "metadata-file" : "snapshot-id", "a log entry", &v, p->err));
        if (of_files)
            TRY(json_str(p->d, v, &md->mem, &log[i].metadata_file, p->err));
        else
            TRY(json_i64(p->d, v, &log[i].snapshot_id, p->err));
    }
    *n_out = list->n;
    *out = log;
    return FZ_OK;
}

/* A value as compact JSON text in the arena. */
static fz_status text_keep(parser *p, const json_node *n, str *out)
{
    sbuf b;
    sbuf_init(&b, p->a->m);
    json_compact(json_raw(p->d, n), &b);
    bool ok = !b.failed && str_copy(p->a, (str){b.p, b.n}, out);
    sbuf_free(&b);
    return ok ? FZ_OK : error_nomem(p->err);
}

static bool is_known(const json_doc *d, const json_node *key)
{
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (json_is(d, key, known[i]))
            return true;
    return false;
}

static fz_status extras_parse(parser *p)
{
    ib_metadata *md = p->md;
    const json_node *v = member(p, "statistics");
    if (v)
        TRY(text_keep(p, v, &md->statistics_json));
    v = member(p, "partition-statistics");
    if (v)
        TRY(text_keep(p, v, &md->partition_statistics_json));
    uint32_t n = 0;
    const json_node *key = p->root + 1;
    for (uint32_t i = 0; i < p->root->n; i++, key = json_next(key + 1))
        n += !is_known(p->d, key);
    ib_kv *kv = ARENA_ARRAY(p->a, ib_kv, n);
    if (!kv)
        return error_nomem(p->err);
    md->extra_json = (ib_props){.kv = kv};
    key = p->root + 1;
    for (uint32_t i = 0; i < p->root->n; i++, key = json_next(key + 1))
        if (!is_known(p->d, key)) {
            ib_kv *x = &kv[md->extra_json.n++];
            TRY(json_str(p->d, key, p->a, &x->key, p->err));
            TRY(text_keep(p, key + 1, &x->value));
        }
    return FZ_OK;
}

static fz_status version_parse(parser *p)
{
    int64_t version;
    TRY(i64_member(p, "format-version", true, &version));
    if (version < 1)
        return json_error(p->d, member(p, "format-version"), p->err, "format version %lld doesn't exist",
                          (long long)version);
    if (version > 2) {
        error_set(p->err, FZ_UNSUPPORTED, "Iceberg format version %lld isn't supported", (long long)version);
        error_hint(p->err, "versions 1 and 2 are");
        if (p->d->where)
            error_where(p->err, p->d->where);
        return FZ_UNSUPPORTED;
    }
    p->md->format_version = (int)version;
    return FZ_OK;
}

static fz_status all_parse(parser *p)
{
    ib_metadata *md = p->md;
    TRY(json_want(p->d, p->root, JSON_OBJECT, what, p->err));
    TRY(version_parse(p));
    bool v2 = md->format_version >= 2;
    TRY(str_member(p, "table-uuid", v2, &md->table_uuid));
    TRY(str_member(p, "location", true, &md->location));
    while (md->location.n > 1 && md->location.p[md->location.n - 1] == '/')
        md->location.n--;
    if (v2)
        TRY(i64_member(p, "last-sequence-number", true, &md->last_sequence_number));
    if (md->last_sequence_number < 0)
        return json_error(p->d, member(p, "last-sequence-number"), p->err, "a sequence number can't be negative");
    TRY(i64_member(p, "last-updated-ms", true, &md->last_updated_ms));
    TRY(i32_member(p, "last-column-id", true, &md->last_column_id));
    TRY(schemas_parse(p));
    TRY(specs_parse(p));
    TRY(orders_parse(p));
    const json_node *v = member(p, "properties");
    if (v)
        TRY(props_from_json(p->d, v, p->a, &md->properties, p->err));
    int64_t *ids;
    TRY(snapshots_parse(p, &ids));
    TRY(refs_parse(p, ids));
    TRY(log_parse(p, "snapshot-log", false, &md->n_snapshot_log, &md->snapshot_log));
    TRY(log_parse(p, "metadata-log", true, &md->n_metadata_log, &md->metadata_log));
    return extras_parse(p);
}

fz_status metadata_from_json(const json_doc *d, const json_node *root, mem *m, ib_metadata **out, fz_error *err)
{
    ib_metadata *md = metadata_new(m, NULL);
    if (!md)
        return error_nomem(err);
    parser p = {.d = d, .root = root, .md = md, .a = &md->shared->a, .err = err};
    fz_status st = all_parse(&p);
    if (st != FZ_OK) {
        ib_metadata_unref(md);
        if (d->where)
            error_where(err, d->where);
        return st;
    }
    *out = md;
    return FZ_OK;
}

static fz_status text_parse(const char *text, size_t n, const char *where, mem *m, ib_metadata **out, fz_error *err)
{
    json_doc d;
    TRY(json_parse(&d, text, n, where, m, err));
    fz_status st = metadata_from_json(&d, json_root(&d), m, out, err);
    json_free(&d);
    return st;
}

fz_status ib_metadata_parse(const void *text, size_t n, const char *where, mem *m, ib_metadata **out, fz_error *err)
{
    const uint8_t *p = text;
    if (n < 2 || p[0] != 0x1f || p[1] != 0x8b)
        return text_parse(text, n, where, m, out, err);
    codec_ctx *ctx = codec_ctx_new(m);
    if (!ctx)
        return error_nomem(err);
    buf *plain = NULL;
    fz_status st = codec_decompress_unknown(ctx, CODEC_GZIP, text, n, m, IB_METADATA_MAX, &plain, err);
    codec_ctx_free(ctx);
    if (st == FZ_OK)
        st = text_parse((const char *)plain->data, plain->size, where, m, out, err);
    else if (where)
        error_where(err, where);
    buf_unref(plain);
    return st;
}

fz_status ib_metadata_load(file_io *io, const char *location, mem *m, ib_metadata **out, fz_error *err)
{
    buf *b = NULL;
    TRY(io_read_all(io, location, m, IB_METADATA_MAX, &b, err));
    fz_status st = ib_metadata_parse(b->data, b->size, location, m, out, err);
    if (st == FZ_OK)
        (*out)->io = file_io_ref(io);
    buf_unref(b);
    return st;
}
