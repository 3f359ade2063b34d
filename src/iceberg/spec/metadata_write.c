/*
 * metadata_write.c: table metadata as JSON (spec, "Appendix C", table metadata), compact, members in
 * the order Java writes them. Version 1 gets its deprecated "schema" and "partition-spec" too.
 */
#include "iceberg/spec/build.h"

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

static void schemas_write(const ib_metadata *md, json_writer *w)
{
    if (md->format_version == 1 && ib_current_schema(md)) {
        jw_key(w, "schema");
        schema_to_json(ib_current_schema(md), w);
    }
    put_i64(w, "current-schema-id", md->current_schema_id);
    jw_key(w, "schemas");
    jw_begin(w, '[');
    for (uint32_t i = 0; i < md->n_schemas; i++)
        schema_to_json(&md->schemas[i], w);
    jw_end(w, ']');
}

static void specs_write(const ib_metadata *md, json_writer *w)
{
    const ib_partition_spec *current = ib_spec_by_id(md, md->default_spec_id);
    if (md->format_version == 1 && current) {
        jw_key(w, "partition-spec");
        spec_fields_to_json(current, w);
    }
    put_i64(w, "default-spec-id", md->default_spec_id);
    jw_key(w, "partition-specs");
    jw_begin(w, '[');
    for (uint32_t i = 0; i < md->n_specs; i++)
        spec_to_json(&md->specs[i], w);
    jw_end(w, ']');
    put_i64(w, "last-partition-id", md->last_partition_id);
    put_i64(w, "default-sort-order-id", md->default_sort_order_id);
    jw_key(w, "sort-orders");
    jw_begin(w, '[');
    for (uint32_t i = 0; i < md->n_orders; i++)
        order_to_json(&md->orders[i], w);
    jw_end(w, ']');
}

static void props_write(const ib_props *p, json_writer *w)
{
    jw_begin(w, '{');
    for (uint32_t i = 0; i < p->n; i++) {
        jw_key_str(w, p->kv[i].key);
        jw_str(w, p->kv[i].value);
    }
    jw_end(w, '}');
}

static void refs_write(const ib_metadata *md, json_writer *w)
{
    jw_key(w, "refs");
    jw_begin(w, '{');
    for (uint32_t i = 0; i < md->n_refs; i++) {
        const ib_ref *r = &md->refs_list[i];
        jw_key_str(w, r->name);
        jw_begin(w, '{');
        put_i64(w, "snapshot-id", r->snapshot_id);
        put_str(w, "type", r->is_tag ? STR("tag") : STR("branch"));
        if (r->min_snapshots_to_keep >= 0)
            put_i64(w, "min-snapshots-to-keep", r->min_snapshots_to_keep);
        if (r->max_snapshot_age_ms >= 0)
            put_i64(w, "max-snapshot-age-ms", r->max_snapshot_age_ms);
        if (r->max_ref_age_ms >= 0)
            put_i64(w, "max-ref-age-ms", r->max_ref_age_ms);
        jw_end(w, '}');
    }
    jw_end(w, '}');
}

static void snapshots_write(const ib_metadata *md, json_writer *w)
{
    jw_key(w, "snapshots");
    jw_begin(w, '[');
    for (uint32_t i = 0; i < md->n_snapshots; i++)
        jw_raw(w, md->snapshots[i]->json);
    jw_end(w, ']');
}

static void log_write(const char *key, uint32_t n, const ib_log_entry *log, bool of_files, json_writer *w)
{
    jw_key(w, key);
    jw_begin(w, '[');
    for (uint32_t i = 0; i < n; i++) {
        jw_begin(w, '{');
        put_i64(w, "timestamp-ms", log[i].timestamp_ms);
        if (of_files)
            put_str(w, "metadata-file", log[i].metadata_file);
        else
            put_i64(w, "snapshot-id", log[i].snapshot_id);
        jw_end(w, '}');
    }
    jw_end(w, ']');
}

void ib_metadata_write(const ib_metadata *md, sbuf *out)
{
    json_writer writer = json_writer_on(out), *w = &writer;
    size_t size = 4096 + md->n_snapshot_log * 64; /* most of it, so that it grows once */
    for (uint32_t i = 0; i < md->n_snapshots; i++)
        size += md->snapshots[i]->json.n + 1;
    sbuf_reserve(out, size);
    jw_begin(w, '{');
    put_i64(w, "format-version", md->format_version);
    if (md->table_uuid.n)
        put_str(w, "table-uuid", md->table_uuid);
    put_str(w, "location", md->location);
    if (md->format_version >= 2)
        put_i64(w, "last-sequence-number", md->last_sequence_number);
    put_i64(w, "last-updated-ms", md->last_updated_ms);
    put_i64(w, "last-column-id", md->last_column_id);
    schemas_write(md, w);
    specs_write(md, w);
    jw_key(w, "properties");
    props_write(&md->properties, w);
    put_i64(w, "current-snapshot-id", md->current_snapshot_id);
    refs_write(md, w);
    snapshots_write(md, w);
    if (md->statistics_json.n) {
        jw_key(w, "statistics");
        jw_raw(w, md->statistics_json);
    }
    if (md->partition_statistics_json.n) {
        jw_key(w, "partition-statistics");
        jw_raw(w, md->partition_statistics_json);
    }
    log_write("snapshot-log", md->n_snapshot_log, md->snapshot_log, false, w);
    log_write("metadata-log", md->n_metadata_log, md->metadata_log, true, w);
    for (uint32_t i = 0; i < md->extra_json.n; i++) {
        jw_key_str(w, md->extra_json.kv[i].key);
        jw_raw(w, md->extra_json.kv[i].value);
    }
    jw_end(w, '}');
}
