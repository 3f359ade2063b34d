/*
 * metadata_rows.c: the columns of metadata tables: their names and types, and how a value gets from a table's metadata into a
 * vector that grows. Names, types and order are Spark's (Iceberg's own Java classes for them).
 *
 * A partition is a struct of the fields of all the table's specs, ordered by field id, so that files of different specs lie in
 * one column; a field that a file's spec doesn't have is null. readable_metrics is a struct with a member for each primitive
 * column, at any depth, under its full name, sorted by it.
 */
#include "engine/metadata_int.h"

#include "iceberg/transform/transform.h"

#include <stdlib.h>

typedef enum meta_type {
    MT_BOOL, MT_INT, MT_LONG, MT_TEXT, MT_BYTES, MT_TIME, MT_TEXTS /* map text to text */, MT_COUNTS /* map int to long */,
    MT_BOUNDS /* map int to bytes */, MT_LONGS, MT_INTS, MT_SUMMARIES, MT_PARTITION, MT_METRICS, MT_FILE, MT_ROW,
} meta_type;

static const struct { const char *name; uint8_t t; bool required; } COLUMNS[MC_COUNT_] = {
    [MC_COMMITTED_AT] = {"committed_at", MT_TIME, true}, [MC_SNAPSHOT_ID] = {"snapshot_id", MT_LONG, true},
    [MC_PARENT_ID] = {"parent_id", MT_LONG}, [MC_OPERATION] = {"operation", MT_TEXT}, [MC_MANIFEST_LIST] = {"manifest_list", MT_TEXT},
    [MC_SUMMARY] = {"summary", MT_TEXTS}, [MC_MADE_CURRENT_AT] = {"made_current_at", MT_TIME, true},
    [MC_IS_ANCESTOR] = {"is_current_ancestor", MT_BOOL, true},
    [MC_REF_NAME] = {"name", MT_TEXT, true}, [MC_REF_TYPE] = {"type", MT_TEXT, true}, [MC_REF_MAX_AGE] = {"max_reference_age_in_ms", MT_LONG},
    [MC_REF_MIN_KEEP] = {"min_snapshots_to_keep", MT_INT}, [MC_REF_MAX_SNAPSHOT_AGE] = {"max_snapshot_age_in_ms", MT_LONG},
    [MC_LOG_TIME] = {"timestamp", MT_TIME, true}, [MC_LOG_FILE] = {"file", MT_TEXT, true}, [MC_LOG_SNAPSHOT] = {"latest_snapshot_id", MT_LONG},
    [MC_LOG_SCHEMA] = {"latest_schema_id", MT_INT}, [MC_LOG_SEQUENCE] = {"latest_sequence_number", MT_LONG},
    [MC_KEY] = {"key", MT_TEXT, true}, [MC_VALUE] = {"value", MT_TEXT, true},
    [MC_M_CONTENT] = {"content", MT_INT, true}, [MC_M_PATH] = {"path", MT_TEXT, true}, [MC_M_LENGTH] = {"length", MT_LONG, true},
    [MC_M_SPEC] = {"partition_spec_id", MT_INT, true}, [MC_M_SNAPSHOT] = {"added_snapshot_id", MT_LONG},
    [MC_M_ADDED_DATA] = {"added_data_files_count", MT_INT}, [MC_M_EXISTING_DATA] = {"existing_data_files_count", MT_INT},
    [MC_M_DELETED_DATA] = {"deleted_data_files_count", MT_INT}, [MC_M_ADDED_DELETE] = {"added_delete_files_count", MT_INT},
    [MC_M_EXISTING_DELETE] = {"existing_delete_files_count", MT_INT}, [MC_M_DELETED_DELETE] = {"deleted_delete_files_count", MT_INT},
    [MC_M_SUMMARIES] = {"partition_summaries", MT_SUMMARIES}, [MC_M_REFERENCE] = {"reference_snapshot_id", MT_LONG, true},
    [MC_M_KEY] = {"key_metadata", MT_BYTES},
    [MC_STATUS] = {"status", MT_INT, true}, [MC_E_SNAPSHOT] = {"snapshot_id", MT_LONG}, [MC_SEQUENCE] = {"sequence_number", MT_LONG},
    [MC_FILE_SEQUENCE] = {"file_sequence_number", MT_LONG}, [MC_DATA_FILE] = {"data_file", MT_FILE, true},
    [MC_CONTENT] = {"content", MT_INT}, [MC_FILE_PATH] = {"file_path", MT_TEXT, true}, [MC_FILE_FORMAT] = {"file_format", MT_TEXT, true},
    [MC_SPEC_ID] = {"spec_id", MT_INT}, [MC_PARTITION] = {"partition", MT_PARTITION, true}, [MC_RECORD_COUNT] = {"record_count", MT_LONG, true},
    [MC_FILE_SIZE] = {"file_size_in_bytes", MT_LONG, true}, [MC_COLUMN_SIZES] = {"column_sizes", MT_COUNTS},
    [MC_VALUE_COUNTS] = {"value_counts", MT_COUNTS}, [MC_NULL_COUNTS] = {"null_value_counts", MT_COUNTS},
    [MC_NAN_COUNTS] = {"nan_value_counts", MT_COUNTS}, [MC_LOWER] = {"lower_bounds", MT_BOUNDS}, [MC_UPPER] = {"upper_bounds", MT_BOUNDS},
    [MC_KEY_METADATA] = {"key_metadata", MT_BYTES}, [MC_SPLITS] = {"split_offsets", MT_LONGS}, [MC_EQUALITY_IDS] = {"equality_ids", MT_INTS},
    [MC_SORT_ORDER] = {"sort_order_id", MT_INT}, [MC_FIRST_ROW_ID] = {"first_row_id", MT_LONG},
    [MC_REFERENCED] = {"referenced_data_file", MT_TEXT}, [MC_CONTENT_OFFSET] = {"content_offset", MT_LONG},
    [MC_CONTENT_SIZE] = {"content_size_in_bytes", MT_LONG}, [MC_METRICS] = {"readable_metrics", MT_METRICS},
    [MC_P_PARTITION] = {"partition", MT_PARTITION, true}, [MC_P_SPEC] = {"spec_id", MT_INT, true}, [MC_P_RECORDS] = {"record_count", MT_LONG, true},
    [MC_P_FILES] = {"file_count", MT_INT, true}, [MC_P_SIZE] = {"total_data_file_size_in_bytes", MT_LONG, true},
    [MC_P_POS_RECORDS] = {"position_delete_record_count", MT_LONG, true}, [MC_P_POS_FILES] = {"position_delete_file_count", MT_INT, true},
    [MC_P_EQ_RECORDS] = {"equality_delete_record_count", MT_LONG, true}, [MC_P_EQ_FILES] = {"equality_delete_file_count", MT_INT, true},
    [MC_P_UPDATED_AT] = {"last_updated_at", MT_TIME}, [MC_P_UPDATED_BY] = {"last_updated_snapshot_id", MT_LONG},
    [MC_D_PATH] = {"file_path", MT_TEXT, true}, [MC_D_POS] = {"pos", MT_LONG, true}, [MC_D_ROW] = {"row", MT_ROW},
    [MC_D_PARTITION] = {"partition", MT_PARTITION, true}, [MC_D_SPEC] = {"spec_id", MT_INT, true}, [MC_D_FILE] = {"delete_file_path", MT_TEXT, true},
};

/* ---- types ---- */

static type_fields *fields_new(arena *a, uint32_t n)
{
    type_fields *f = arena_zalloc(a, sizeof *f + (size_t)n * sizeof f->f[0]);
    if (f)
        f->n = n;
    return f;
}

static type_field member(const char *name, type t, bool required)
{
    return (type_field){.name = str_of(name), .field_id = -1, .required = required, .t = t};
}

static fz_status map_of(type key, type value, arena *a, type *out, fz_error *err)
{
    type_fields *f = fields_new(a, 2);
    if (!f)
        return error_nomem(err);
    f->f[0] = member("key", key, true);
    f->f[1] = member("value", value, true);
    *out = (type){.id = T_MAP, .children = f};
    return FZ_OK;
}

static fz_status list_of(type element, arena *a, type *out, fz_error *err)
{
    type_fields *f = fields_new(a, 1);
    if (!f)
        return error_nomem(err);
    f->f[0] = member("element", element, true);
    *out = (type){.id = T_LIST, .children = f};
    return FZ_OK;
}

static fz_status summaries_type(arena *a, type *out, fz_error *err)
{
    type_fields *f = fields_new(a, 4);
    if (!f)
        return error_nomem(err);
    f->f[0] = member("contains_null", TYPE(T_BOOL), true);
    f->f[1] = member("contains_nan", TYPE(T_BOOL), false);
    f->f[2] = member("lower_bound", TYPE(T_STRING), false);
    f->f[3] = member("upper_bound", TYPE(T_STRING), false);
    return list_of((type){.id = T_STRUCT, .children = f}, a, out, err);
}

/* data_file of entries: the columns of files but for readable_metrics. */
static fz_status file_type(const meta_shape *s, arena *a, type *out, fz_error *err)
{
    type_fields *f = fields_new(a, MC_CONTENT_SIZE - MC_CONTENT + 1);
    if (!f)
        return error_nomem(err);
    f->n = 0;
    for (int c = MC_CONTENT; c <= MC_CONTENT_SIZE; c++) {
        column_def d;
        bool wanted;
        TRY(meta_column(s, (meta_col)c, a, &d, &wanted, err));
        if (wanted)
            f->f[f->n++] = (type_field){.name = d.name, .field_id = -1, .required = d.not_null, .t = d.t};
    }
    *out = (type){.id = T_STRUCT, .children = f};
    return FZ_OK;
}

fz_status meta_column(const meta_shape *s, meta_col c, arena *a, column_def *out, bool *wanted, fz_error *err)
{
    type t = TYPE(T_NULL);
    switch ((meta_type)COLUMNS[c].t) {
    case MT_BOOL: t = TYPE(T_BOOL); break;
    case MT_INT: t = TYPE(T_INT32); break;
    case MT_LONG: t = TYPE(T_INT64); break;
    case MT_TEXT: t = TYPE(T_STRING); break;
    case MT_BYTES: t = TYPE(T_BINARY); break;
    case MT_TIME: t = TYPE(T_TIMESTAMPTZ); break;
    case MT_TEXTS: TRY(map_of(TYPE(T_STRING), TYPE(T_STRING), a, &t, err)); break;
    case MT_COUNTS: TRY(map_of(TYPE(T_INT32), TYPE(T_INT64), a, &t, err)); break;
    case MT_BOUNDS: TRY(map_of(TYPE(T_INT32), TYPE(T_BINARY), a, &t, err)); break;
    case MT_LONGS: TRY(list_of(TYPE(T_INT64), a, &t, err)); break;
    case MT_INTS: TRY(list_of(TYPE(T_INT32), a, &t, err)); break;
    case MT_SUMMARIES: TRY(summaries_type(a, &t, err)); break;
    case MT_PARTITION: t = s->partition; break;
    case MT_METRICS: t = s->metrics; break;
    case MT_FILE: TRY(file_type(s, a, &t, err)); break;
    case MT_ROW: t = s->row; break;
    }
    *wanted = t.id != T_NULL && (c != MC_P_SPEC || s->partition.id != T_NULL);
    *out = (column_def){.name = str_of(COLUMNS[c].name), .t = t, .not_null = COLUMNS[c].required, .field_id = -1};
    return FZ_OK;
}

/* ---- the shape of one table ---- */

/* Primitive members with their full names, depth first; nesting is bounded by TYPE_DEPTH_MAX. */
static fz_status add_leaves(meta_shape *s, const type_fields *f, str prefix, uint32_t *cap, arena *a, fz_error *err)
{
    for (uint32_t i = 0; i < f->n; i++) {
        str name = f->f[i].name;
        if (prefix.n) {
            char *p = arena_alloc(a, prefix.n + 1 + name.n);
            if (!p)
                return error_nomem(err);
            memcpy(p, prefix.p, prefix.n);
            p[prefix.n] = '.';
            memcpy(p + prefix.n + 1, name.p, name.n);
            name = (str){p, prefix.n + 1 + name.n};
        }
        if (type_is_nested(f->f[i].t)) {
            TRY(add_leaves(s, f->f[i].t.children, name, cap, a, err));
            continue;
        }
        if (s->n_leaves == *cap) {
            struct meta_leaf *more = ARENA_ARRAY(a, struct meta_leaf, *cap = *cap ? *cap * 2 : 32);
            if (!more)
                return error_nomem(err);
            if (s->n_leaves)
                memcpy(more, s->leaves, s->n_leaves * sizeof *more);
            s->leaves = more;
        }
        s->leaves[s->n_leaves++] = (struct meta_leaf){name, f->f[i].field_id, f->f[i].t};
    }
    return FZ_OK;
}

static int by_name(const void *x, const void *y)
{
    return str_cmp(((const struct meta_leaf *)x)->name, ((const struct meta_leaf *)y)->name);
}

static fz_status metrics_type(meta_shape *s, arena *a, fz_error *err)
{
    if (s->n_leaves == 0)
        return FZ_OK;
    type_fields *all = fields_new(a, s->n_leaves);
    if (!all)
        return error_nomem(err);
    for (uint32_t i = 0; i < s->n_leaves; i++) {
        type_fields *f = fields_new(a, 6);
        if (!f)
            return error_nomem(err);
        static const char *const counts[] = {"column_size", "value_count", "null_value_count", "nan_value_count"};
        for (uint32_t k = 0; k < 4; k++)
            f->f[k] = member(counts[k], TYPE(T_INT64), false);
        f->f[4] = member("lower_bound", s->leaves[i].t, false);
        f->f[5] = member("upper_bound", s->leaves[i].t, false);
        all->f[i] = (type_field){.name = s->leaves[i].name, .field_id = -1, .t = {.id = T_STRUCT, .children = f}};
    }
    s->metrics = (type){.id = T_STRUCT, .children = all};
    return FZ_OK;
}

/* The type of a partition field's values; of a column that no schema has any more: T_NULL. */
static type field_type(const ib_metadata *md, const ib_partition_field *f)
{
    const type_field *source = ib_field_by_id(ib_current_schema(md), f->source_id);
    for (uint32_t i = md->n_schemas; !source && i > 0; i--)
        source = ib_field_by_id(&md->schemas[i - 1], f->source_id);
    type t;
    if (!source)
        return TYPE(T_NULL);
    if (f->transform.kind == IB_VOID || f->transform.kind == IB_TRANSFORM_UNKNOWN)
        return f->transform.kind == IB_VOID ? source->t : TYPE(T_STRING);
    return ib_transform_result(&f->transform, source->t, &t, NULL) == FZ_OK ? t : TYPE(T_NULL);
}

typedef struct unified { int32_t field_id; type_field f; bool is_void; } unified;

static int by_field_id(const void *x, const void *y)
{
    const unified *a = x, *b = y;
    return a->field_id < b->field_id ? -1 : a->field_id > b->field_id;
}

static int newest_first(const void *x, const void *y)
{
    const meta_spec *a = x, *b = y;
    return a->spec->spec_id > b->spec->spec_id ? -1 : a->spec->spec_id < b->spec->spec_id;
}

/* Each field once: the newest spec names it; its type is that of a spec in which it isn't void. */
static fz_status partition_type(meta_shape *s, arena *a, fz_error *err)
{
    uint32_t n = 0, total = 0;
    for (uint32_t i = 0; i < s->n_specs; i++)
        total += s->specs[i].spec->n;
    unified *all = ARENA_ARRAY(a, unified, total + 1);
    if (!all)
        return error_nomem(err);
    for (uint32_t i = 0; i < s->n_specs; i++)
        for (uint32_t k = 0; k < s->specs[i].spec->n; k++) {
            const ib_partition_field *f = &s->specs[i].spec->fields[k];
            type t = field_type(s->md, f);
            uint32_t at = 0;
            while (at < n && all[at].field_id != f->field_id)
                at++;
            if (t.id == T_NULL)
                continue;
            bool is_void = f->transform.kind == IB_VOID;
            if (at == n)
                all[n++] = (unified){f->field_id, {.name = f->name, .field_id = f->field_id, .t = t}, is_void};
            else if (all[at].is_void && !is_void)
                all[at].f.t = t, all[at].is_void = false;
        }
    qsort(all, n, sizeof *all, by_field_id);
    type_fields *fields = fields_new(a, n);
    if (!fields)
        return error_nomem(err);
    for (uint32_t i = 0; i < n; i++)
        fields->f[i] = all[i].f;
    if (n)
        s->partition = (type){.id = T_STRUCT, .children = fields};
    for (uint32_t i = 0; i < s->n_specs; i++) {
        meta_spec *p = &s->specs[i];
        if (!(p->from = ARENA_ARRAY(a, int32_t, n + 1)))
            return error_nomem(err);
        for (uint32_t u = 0; u < n; u++) {
            p->from[u] = -1;
            for (uint32_t k = 0; k < p->spec->n; k++)
                if (p->spec->fields[k].field_id == all[u].field_id)
                    p->from[u] = (int32_t)k;
        }
    }
    return FZ_OK;
}

fz_status meta_shape_make(meta_shape *s, const ib_metadata *md, arena *a, fz_error *err)
{
    *s = (meta_shape){.md = md, .n_specs = md->n_specs};
    const ib_schema *schema = ib_current_schema(md);
    uint32_t cap = 0;
    if (!schema)
        return error_set(err, FZ_DATA, "the table's metadata has no current schema");
    TRY(add_leaves(s, schema->fields, (str){0}, &cap, a, err));
    if (s->n_leaves)
        qsort(s->leaves, s->n_leaves, sizeof *s->leaves, by_name);
    TRY(metrics_type(s, a, err));
    s->row = (type){.id = T_STRUCT, .children = schema->fields};
    if (!(s->specs = ARENA_ARRAY(a, meta_spec, md->n_specs + 1)))
        return error_nomem(err);
    for (uint32_t i = 0; i < md->n_specs; i++)
        s->specs[i].spec = &md->specs[i];
    qsort(s->specs, s->n_specs, sizeof *s->specs, newest_first);
    return partition_type(s, a, err);
}

/* ---- values ---- */

static void put_i32(grow *g, uint32_t at, int32_t v)
{
    *GROW_AT(g, int32_t, at) = v;
    g->cols[at].n++;
}

static void put_i64(grow *g, uint32_t at, int64_t v)
{
    *GROW_AT(g, int64_t, at) = v;
    g->cols[at].n++;
}

static void put_bool(grow *g, uint32_t at, bool v)
{
    *GROW_AT(g, uint8_t, at) = v;
    g->cols[at].n++;
}

static void put_str(grow *g, uint32_t at, str v)
{
    *GROW_AT(g, strview, at) = strview_make(v.p, (uint32_t)v.n);
    g->cols[at].n++;
}

/* -1 stands for "not said" in metadata. */
static void put_i32_known(grow *g, uint32_t at, int64_t v)
{
    if (v < 0)
        grow_null(g, at);
    else
        put_i32(g, at, (int32_t)v);
}

static void put_i64_known(grow *g, uint32_t at, int64_t v)
{
    if (v < 0)
        grow_null(g, at);
    else
        put_i64(g, at, v);
}

static void put_str_known(grow *g, uint32_t at, str v)
{
    if (!v.n)
        grow_null(g, at);
    else
        put_str(g, at, v);
}

/* A value as one of type t: one of an older type is promoted, one that doesn't fit is null. */
static datum datum_as(type t, const datum *d)
{
    phys to = type_phys(t), from = type_phys(d->t);
    datum out = *d;
    out.t = t;
    if (d->null)
        return DATUM_NULL(t);
    if (t.id == T_DECIMAL && d->t.id == T_DECIMAL) {
        i128 v = datum_decimal(d);
        if (to == PHYS_I64)
            out.i64 = (int64_t)v;
        else
            out.i128v = v;
        return out;
    }
    if (to == PHYS_I64 && from == PHYS_I32)
        out.i64 = d->i32;
    else if (to == PHYS_F64 && from == PHYS_F32)
        out.f64 = d->f32;
    else if (to != from)
        return DATUM_NULL(t);
    return out;
}

static void put_datum(grow *g, uint32_t at, const datum *d)
{
    if (d->null) {
        grow_null(g, at);
        return;
    }
    switch (type_phys(d->t)) {
    case PHYS_U8: put_bool(g, at, d->b); return;
    case PHYS_I32: put_i32(g, at, d->i32); return;
    case PHYS_I64: put_i64(g, at, d->i64); return;
    case PHYS_I128: *GROW_AT(g, i128, at) = d->i128v; break;
    case PHYS_F32: *GROW_AT(g, float, at) = d->f32; break;
    case PHYS_F64: *GROW_AT(g, double, at) = d->f64; break;
    case PHYS_STR: put_str(g, at, d->s); return;
    default: grow_null(g, at); return;
    }
    g->cols[at].n++;
}

static const meta_spec *spec_of(const meta_shape *s, int32_t id)
{
    for (uint32_t i = 0; i < s->n_specs; i++)
        if (s->specs[i].spec->spec_id == id)
            return &s->specs[i];
    return NULL;
}

void meta_partition_values(const meta_shape *s, const ib_data_file *f, datum *out)
{
    const meta_spec *p = spec_of(s, f->spec_id);
    for (uint32_t u = 0; s->partition.id != T_NULL && u < s->partition.children->n; u++) {
        int32_t k = p ? p->from[u] : -1;
        type t = s->partition.children->f[u].t;
        out[u] = k >= 0 && (uint32_t)k < f->n_partition ? datum_as(t, &f->partition[k]) : DATUM_NULL(t);
    }
}

static void put_struct(const meta_shape *s, const datum *values, grow *g, uint32_t at)
{
    const type_fields *f = s->partition.children;
    for (uint32_t u = 0; u < f->n; u++)
        put_datum(g, at + 1 + u, &values[u]);
    grow_struct(g, at);
}

static fz_status put_file_partition(const meta_shape *s, const meta_row *r, grow *g, uint32_t at, fz_error *err)
{
    datum *values = ARENA_ARRAY(r->text, datum, s->partition.children->n + 1);
    if (!values)
        return error_nomem(err);
    meta_partition_values(s, &r->entry->file, values);
    put_struct(s, values, g, at);
    return FZ_OK;
}

static fz_status put_summary(const ib_props *p, grow *g, uint32_t at, fz_error *err)
{
    uint32_t key = grow_member(g, at, 0), value = grow_member(g, at, 1);
    TRY(grow_room(g, key, p->n, err));
    TRY(grow_room(g, value, p->n, err));
    for (uint32_t i = 0; i < p->n; i++)
        if (!str_eqz(p->kv[i].key, "operation")) {
            put_str(g, key, p->kv[i].key);
            put_str(g, value, p->kv[i].value);
        }
    grow_list(g, at);
    return FZ_OK;
}

/* One of the maps of statistics. A map that the manifest had without entries stays one. */
static fz_status put_stats(const ib_data_file *f, meta_col c, grow *g, uint32_t at, fz_error *err)
{
    uint32_t key = grow_member(g, at, 0), value = grow_member(g, at, 1), before = g->cols[key].n;
    TRY(grow_room(g, key, f->n_stats, err));
    TRY(grow_room(g, value, f->n_stats, err));
    for (uint32_t i = 0; i < f->n_stats; i++) {
        const ib_column_stats *x = &f->stats[i];
        int64_t count = c == MC_COLUMN_SIZES ? x->size_bytes : c == MC_VALUE_COUNTS ? x->value_count
                        : c == MC_NULL_COUNTS ? x->null_count : x->nan_count;
        bool bounds = c >= MC_LOWER;
        if (bounds ? !(c == MC_LOWER ? x->has_lower : x->has_upper) : count < 0)
            continue;
        put_i32(g, key, x->field_id);
        if (bounds)
            put_str(g, value, c == MC_LOWER ? x->lower : x->upper);
        else
            put_i64(g, value, count);
    }
    if (g->cols[key].n == before && !(f->has_maps >> (c - MC_COLUMN_SIZES) & 1))
        grow_null(g, at);
    else
        grow_list(g, at);
    return FZ_OK;
}

static fz_status put_numbers(const ib_data_file *f, meta_col c, grow *g, uint32_t at, fz_error *err)
{
    uint32_t element = grow_member(g, at, 0), n = c == MC_SPLITS ? f->n_splits : f->n_equality;
    if (n == 0) {
        grow_null(g, at);
        return FZ_OK;
    }
    TRY(grow_room(g, element, n, err));
    for (uint32_t i = 0; i < n; i++)
        if (c == MC_SPLITS)
            put_i64(g, element, f->split_offsets[i]);
        else
            put_i32(g, element, f->equality_ids[i]);
    grow_list(g, at);
    return FZ_OK;
}

static const ib_column_stats *stats_of(const ib_data_file *f, int32_t id)
{
    uint32_t lo = 0, hi = f->n_stats;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (f->stats[mid].field_id < id)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < f->n_stats && f->stats[lo].field_id == id ? &f->stats[lo] : NULL;
}

static void put_bound(grow *g, uint32_t at, type t, bool has, str bytes)
{
    datum d = DATUM_NULL(t);
    if (!has || ib_bound_decode(t, bytes, &d, NULL) != FZ_OK)
        d.null = true;
    put_datum(g, at, &d);
}

static void put_metrics(const meta_shape *s, const ib_data_file *f, grow *g, uint32_t at)
{
    for (uint32_t i = 0, col = at + 1; i < s->n_leaves; i++, col = g->cols[col].end) {
        static const ib_column_stats none = {.size_bytes = -1, .value_count = -1, .null_count = -1, .nan_count = -1};
        const ib_column_stats *x = stats_of(f, s->leaves[i].field_id);
        if (!x)
            x = &none;
        put_i64_known(g, col + 1, x->size_bytes); /* its members are leaves: they follow it */
        put_i64_known(g, col + 2, x->value_count);
        put_i64_known(g, col + 3, x->null_count);
        put_i64_known(g, col + 4, x->nan_count);
        put_bound(g, col + 5, s->leaves[i].t, x->has_lower, x->lower);
        put_bound(g, col + 6, s->leaves[i].t, x->has_upper, x->upper);
        grow_struct(g, col);
    }
    grow_struct(g, at);
}

/* A bound of a partition field as people read it. */
static fz_status put_bound_text(const meta_shape *s, const ib_partition_field *f, bool has, str bytes, arena *text, grow *g, uint32_t at, fz_error *err)
{
    datum d;
    type t = field_type(s->md, f);
    if (!has || t.id == T_NULL || ib_bound_decode(t, bytes, &d, NULL) != FZ_OK) {
        grow_null(g, at);
        return FZ_OK;
    }
    sbuf b;
    sbuf_init(&b, text->m);
    ib_transform_text(&f->transform, &d, &b);
    char *p = b.failed ? NULL : arena_strndup(text, b.p ? b.p : "", b.n);
    size_t n = b.n;
    sbuf_free(&b);
    if (!p)
        return error_nomem(err);
    put_str(g, at, (str){p, n});
    return FZ_OK;
}

static fz_status put_summaries(const meta_shape *s, const meta_row *r, grow *g, uint32_t at, fz_error *err)
{
    const ib_manifest_file *m = r->manifest;
    const meta_spec *spec = spec_of(s, m->spec_id);
    uint32_t element = grow_member(g, at, 0), n = spec && m->n_partitions <= spec->spec->n ? m->n_partitions : 0;
    TRY(grow_room(g, element, n, err));
    for (uint32_t i = 0; i < n; i++) {
        const ib_field_summary *x = &m->partitions[i];
        const ib_partition_field *f = &spec->spec->fields[i];
        put_bool(g, grow_member(g, element, 0), x->contains_null);
        if (x->contains_nan < 0)
            grow_null(g, grow_member(g, element, 1));
        else
            put_bool(g, grow_member(g, element, 1), x->contains_nan);
        TRY(put_bound_text(s, f, x->has_lower, x->lower, r->text, g, grow_member(g, element, 2), err));
        TRY(put_bound_text(s, f, x->has_upper, x->upper, r->text, g, grow_member(g, element, 3), err));
        grow_struct(g, element);
    }
    grow_list(g, at);
    return FZ_OK;
}

static fz_status put_manifest(const meta_shape *s, meta_col c, const meta_row *r, grow *g, uint32_t at, fz_error *err)
{
    const ib_manifest_file *m = r->manifest;
    bool deletes = m->content != IB_DATA;
    switch (c) {
    case MC_M_CONTENT: put_i32(g, at, deletes); break;
    case MC_M_PATH: put_str(g, at, m->path); break;
    case MC_M_LENGTH: put_i64(g, at, m->length); break;
    case MC_M_SPEC: put_i32(g, at, m->spec_id); break;
    case MC_M_SNAPSHOT: put_i64_known(g, at, m->added_snapshot_id); break;
    case MC_M_ADDED_DATA: put_i32_known(g, at, deletes ? 0 : m->added_files); break;
    case MC_M_EXISTING_DATA: put_i32_known(g, at, deletes ? 0 : m->existing_files); break;
    case MC_M_DELETED_DATA: put_i32_known(g, at, deletes ? 0 : m->deleted_files); break;
    case MC_M_ADDED_DELETE: put_i32_known(g, at, deletes ? m->added_files : 0); break;
    case MC_M_EXISTING_DELETE: put_i32_known(g, at, deletes ? m->existing_files : 0); break;
    case MC_M_DELETED_DELETE: put_i32_known(g, at, deletes ? m->deleted_files : 0); break;
    case MC_M_SUMMARIES: return put_summaries(s, r, g, at, err);
    case MC_M_REFERENCE: put_i64(g, at, r->snapshot->snapshot_id); break;
    default: put_str_known(g, at, m->key_metadata);
    }
    return FZ_OK;
}

static fz_status put_file(const meta_shape *s, meta_col c, const meta_row *r, grow *g, uint32_t at, fz_error *err)
{
    const ib_data_file *f = &r->entry->file;
    switch (c) {
    case MC_CONTENT: put_i32(g, at, f->content); break;
    case MC_FILE_PATH: put_str(g, at, f->file_path); break;
    case MC_FILE_FORMAT: put_str(g, at, f->file_format); break;
    case MC_SPEC_ID: put_i32(g, at, f->spec_id); break;
    case MC_PARTITION: return put_file_partition(s, r, g, at, err);
    case MC_RECORD_COUNT: put_i64(g, at, f->record_count); break;
    case MC_FILE_SIZE: put_i64(g, at, f->file_size_bytes); break;
    case MC_COLUMN_SIZES: case MC_VALUE_COUNTS: case MC_NULL_COUNTS: case MC_NAN_COUNTS: case MC_LOWER: case MC_UPPER:
        return put_stats(f, c, g, at, err);
    case MC_KEY_METADATA: put_str_known(g, at, f->key_metadata); break;
    case MC_SPLITS: case MC_EQUALITY_IDS: return put_numbers(f, c, g, at, err);
    case MC_SORT_ORDER: put_i32_known(g, at, f->sort_order_id); break;
    case MC_REFERENCED: put_str_known(g, at, f->referenced_data_file); break;
    case MC_METRICS: put_metrics(s, f, g, at); break;
    default: grow_null(g, at); /* of format version 3 */
    }
    return FZ_OK;
}

static fz_status put_entry(const meta_shape *s, meta_col c, const meta_row *r, grow *g, uint32_t at, fz_error *err)
{
    const ib_manifest_entry *e = r->entry;
    switch (c) {
    case MC_STATUS: put_i32(g, at, e->status); break;
    case MC_E_SNAPSHOT: put_i64_known(g, at, e->snapshot_id); break;
    case MC_SEQUENCE: put_i64_known(g, at, e->sequence_number); break;
    case MC_FILE_SEQUENCE: put_i64_known(g, at, e->file_sequence_number); break;
    default:
        for (uint32_t k = MC_CONTENT, col = at + 1; k <= MC_CONTENT_SIZE; k++)
            if (k != MC_PARTITION || s->partition.id != T_NULL) {
                TRY(put_file(s, (meta_col)k, r, g, col, err));
                col = g->cols[col].end;
            }
        grow_struct(g, at);
    }
    return FZ_OK;
}

static void put_partition(const meta_shape *s, meta_col c, const meta_partition *p, grow *g, uint32_t at)
{
    switch (c) {
    case MC_P_PARTITION: put_struct(s, p->values, g, at); break;
    case MC_P_SPEC: put_i32(g, at, p->spec_id); break;
    case MC_P_RECORDS: put_i64(g, at, p->records); break;
    case MC_P_FILES: put_i32(g, at, p->files); break;
    case MC_P_SIZE: put_i64(g, at, p->size); break;
    case MC_P_POS_RECORDS: put_i64(g, at, p->pos_records); break;
    case MC_P_POS_FILES: put_i32(g, at, p->pos_files); break;
    case MC_P_EQ_RECORDS: put_i64(g, at, p->eq_records); break;
    case MC_P_EQ_FILES: put_i32(g, at, p->eq_files); break;
    case MC_P_UPDATED_AT:
        if (p->updated_by < 0)
            grow_null(g, at);
        else
            put_i64(g, at, p->updated_ms * 1000);
        break;
    default: put_i64_known(g, at, p->updated_by);
    }
}

static void put_delete(const meta_shape *s, meta_col c, const meta_row *r, grow *g, uint32_t at)
{
    switch (c) {
    case MC_D_PATH: put_str(g, at, r->path); break;
    case MC_D_POS: put_i64(g, at, r->pos); break;
    case MC_D_PARTITION: put_struct(s, r->values, g, at); break;
    case MC_D_SPEC: put_i32(g, at, r->entry->file.spec_id); break;
    case MC_D_FILE: put_str(g, at, r->entry->file.file_path); break;
    default: grow_null(g, at); /* the deleted row, which hardly anybody writes */
    }
}

fz_status meta_put(const meta_shape *s, meta_col c, const meta_row *r, grow *g, uint32_t at, fz_error *err)
{
    if (c >= MC_D_PATH) {
        put_delete(s, c, r, g, at);
        return FZ_OK;
    }
    if (c >= MC_P_PARTITION) {
        put_partition(s, c, r->partition, g, at);
        return FZ_OK;
    }
    if (c >= MC_CONTENT)
        return put_file(s, c, r, g, at, err);
    if (c >= MC_STATUS)
        return put_entry(s, c, r, g, at, err);
    if (c >= MC_M_CONTENT)
        return put_manifest(s, c, r, g, at, err);
    const ib_snapshot *x = r->snapshot;
    switch (c) {
    case MC_COMMITTED_AT: put_i64(g, at, x->timestamp_ms * 1000); break;
    case MC_SNAPSHOT_ID: put_i64(g, at, r->snapshot_id); break;
    case MC_PARENT_ID: put_i64_known(g, at, x ? x->parent_id : -1); break;
    case MC_OPERATION: put_str_known(g, at, ib_prop(&x->summary, "operation")); break;
    case MC_MANIFEST_LIST: put_str_known(g, at, x->manifest_list); break;
    case MC_SUMMARY: return put_summary(&x->summary, g, at, err);
    case MC_MADE_CURRENT_AT: case MC_LOG_TIME: put_i64(g, at, r->log->timestamp_ms * 1000); break;
    case MC_IS_ANCESTOR: put_bool(g, at, r->is_ancestor); break;
    case MC_REF_NAME: put_str(g, at, r->ref->name); break;
    case MC_REF_TYPE: put_str(g, at, r->ref->is_tag ? STR("TAG") : STR("BRANCH")); break;
    case MC_REF_MAX_AGE: put_i64_known(g, at, r->ref->max_ref_age_ms); break;
    case MC_REF_MIN_KEEP: put_i32_known(g, at, r->ref->min_snapshots_to_keep); break;
    case MC_REF_MAX_SNAPSHOT_AGE: put_i64_known(g, at, r->ref->max_snapshot_age_ms); break;
    case MC_LOG_FILE: put_str(g, at, r->log->metadata_file); break;
    case MC_LOG_SNAPSHOT: put_i64_known(g, at, r->snapshot_id); break;
    case MC_LOG_SCHEMA: put_i32_known(g, at, x ? x->schema_id : -1); break;
    case MC_LOG_SEQUENCE: put_i64_known(g, at, x ? x->sequence_number : -1); break;
    case MC_KEY: put_str(g, at, r->property->key); break;
    default: put_str(g, at, r->property->value);
    }
    return FZ_OK;
}
