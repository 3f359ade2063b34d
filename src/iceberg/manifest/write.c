/*
 * write.c: manifests, written (version 2). An entry that was added by the snapshot being made leaves its
 * sequence numbers null: they are inherited from the manifest list, so that a commit that is
 * tried again keeps the file. The file is built in memory and written durably at the end.
 */
#include "iceberg/manifest/manifest_int.h"
#include "iceberg/transform/transform.h"

#include <math.h>
#include <stdio.h>

fz_status manifest_partition_types(const ib_schema *schema, const ib_partition_spec *spec, const datum *values,
                                   arena *a, type **out, fz_error *err)
{
    type *types = ARENA_ARRAY(a, type, spec->n + 1);
    if (!types)
        return error_nomem(err);
    for (uint32_t i = 0; i < spec->n; i++) {
        const ib_partition_field *f = &spec->fields[i];
        const type_field *source = ib_field_by_id(schema, f->source_id);
        if (source)
            TRY(ib_transform_result(&f->transform, source->t, &types[i], err));
        else
            types[i] = values && values[i].t.id != T_NULL ? values[i].t : TYPE(T_STRING);
    }
    *out = types;
    return FZ_OK;
}

static fz_status open_avro(manifest_writer *w, const ib_schema *schema, ib_content content, sbuf *text, fz_error *err)
{
    char schema_id[16], spec_id[16];
    snprintf(schema_id, sizeof schema_id, "%d", schema->schema_id);
    snprintf(spec_id, sizeof spec_id, "%d", w->spec->spec_id);
    manifest_schema(w->spec, w->types, text);
    size_t schema_at = text->n;
    ib_schema_write(schema, text);
    size_t spec_at = text->n;
    ib_spec_fields_write(w->spec, text);
    if (text->failed)
        return error_nomem(err);
    const avro_kv meta[] = {
        {STR("schema"), {text->p + schema_at, spec_at - schema_at}},
        {STR("schema-id"), str_of(schema_id)},
        {STR("partition-spec"), {text->p + spec_at, text->n - spec_at}},
        {STR("partition-spec-id"), str_of(spec_id)},
        {STR("format-version"), STR("2")},
        {STR("content"), content == IB_DATA ? STR("data") : STR("deletes")},
    };
    return avro_writer_open(&w->w, (str){text->p, schema_at}, sizeof meta / sizeof *meta, meta, CODEC_DEFLATE, w->m,
                            err);
}

fz_status manifest_writer_open(manifest_writer *w, mem *m, const ib_schema *schema, const ib_partition_spec *spec,
                               ib_content content, int64_t snapshot_id, const type *types, arena *a, fz_error *err)
{
    *w = (manifest_writer){.m = m, .a = a, .spec = spec};
    w->mf = (ib_manifest_file){.spec_id = spec->spec_id, .content = content == IB_DATA ? IB_DATA : IB_POSITION_DELETES,
                               .sequence_number = -1, .min_sequence_number = -1, .added_snapshot_id = snapshot_id};
    if (types)
        w->types = (type *)types;
    else
        TRY(manifest_partition_types(schema, spec, NULL, a, &w->types, err));
    w->summaries = ARENA_ARRAY(a, struct value_summary, spec->n + 1);
    if (!w->summaries)
        return error_nomem(err);
    sbuf text;
    sbuf_init(&text, m);
    fz_status st = open_avro(w, schema, content, &text, err);
    sbuf_free(&text);
    return st;
}

void manifest_writer_abort(manifest_writer *w)
{
    avro_writer_free(&w->w);
}

size_t manifest_writer_size(const manifest_writer *w)
{
    return avro_writer_size(&w->w);
}

/* ---- values ---- */

static void put_opt_long(sbuf *b, int64_t v, bool has)
{
    avro_put_long(b, has);
    if (has)
        avro_put_long(b, v);
}

static void put_decimal(sbuf *b, i128 v, int precision)
{
    for (int n = manifest_decimal_bytes(precision); n-- > 0;)
        sbuf_addc(b, (char)((u128)v >> 8 * n));
}

static fz_status put_value(sbuf *b, type t, const datum *d, fz_error *err)
{
    avro_put_long(b, !d->null);
    if (d->null)
        return FZ_OK;
    if (type_phys(d->t) != type_phys(t) || (t.id == T_DECIMAL) != (d->t.id == T_DECIMAL) ||
        (t.id == T_UUID && d->s.n != 16) || (t.id == T_FIXED && d->s.n != t.width))
        return error_set(err, FZ_INTERNAL, "a partition value isn't of its field's type");
    if (t.id == T_DECIMAL) {
        put_decimal(b, type_phys(t) == PHYS_I128 ? d->i128v : d->i64, t.precision);
        return FZ_OK;
    }
    switch (type_phys(t)) {
    case PHYS_U8: avro_put_bool(b, d->b); break;
    case PHYS_I32: avro_put_long(b, d->i32); break;
    case PHYS_I64: avro_put_long(b, d->i64); break;
    case PHYS_F32: avro_put_float(b, d->f32); break;
    case PHYS_F64: avro_put_double(b, d->f64); break;
    case PHYS_STR:
        if (t.id == T_UUID || t.id == T_FIXED)
            sbuf_str(b, d->s);
        else
            avro_put_bytes(b, d->s);
        break;
    default: return error_set(err, FZ_INTERNAL, "a partition value of a nested type");
    }
    return FZ_OK;
}

static bool is_nan(const datum *d)
{
    return (d->t.id == T_FLOAT32 && isnan(d->f32)) || (d->t.id == T_FLOAT64 && isnan(d->f64));
}

static fz_status summarise(manifest_writer *w, const ib_data_file *f, fz_error *err)
{
    for (uint32_t i = 0; i < w->spec->n; i++) {
        struct value_summary *s = &w->summaries[i];
        const datum *d = &f->partition[i];
        if (d->null) {
            s->null = true;
            continue;
        }
        if (is_nan(d)) {
            s->nan = true;
            continue;
        }
        bool lower = !s->any || datum_cmp(d, &s->min) < 0, upper = !s->any || datum_cmp(d, &s->max) > 0;
        s->any = true;
        if (!lower && !upper)
            continue;
        datum copy = *d;
        if (type_phys(d->t) == PHYS_STR && !(copy.s.p = arena_strndup(w->a, d->s.p, d->s.n)))
            return error_nomem(err);
        if (lower)
            s->min = copy;
        if (upper)
            s->max = copy;
    }
    return FZ_OK;
}

/* One of the maps by column id: `has` and `put` say which columns are in it and what is written of them. */
typedef enum stat_map { SIZES, VALUES, NULLS, NANS, LOWERS, UPPERS } stat_map;

static bool stat_has(const ib_column_stats *s, stat_map m)
{
    switch (m) {
    case SIZES: return s->size_bytes >= 0;
    case VALUES: return s->value_count >= 0;
    case NULLS: return s->null_count >= 0;
    case NANS: return s->nan_count >= 0;
    case LOWERS: return s->has_lower;
    default: return s->has_upper;
    }
}

static void put_map(sbuf *b, const ib_data_file *f, stat_map m)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < f->n_stats; i++)
        n += stat_has(&f->stats[i], m);
    avro_put_long(b, n > 0);
    if (n == 0)
        return;
    avro_put_long(b, n);
    for (uint32_t i = 0; i < f->n_stats; i++) {
        const ib_column_stats *s = &f->stats[i];
        if (!stat_has(s, m))
            continue;
        avro_put_long(b, s->field_id);
        switch (m) {
        case SIZES: avro_put_long(b, s->size_bytes); break;
        case VALUES: avro_put_long(b, s->value_count); break;
        case NULLS: avro_put_long(b, s->null_count); break;
        case NANS: avro_put_long(b, s->nan_count); break;
        case LOWERS: avro_put_bytes(b, s->lower); break;
        case UPPERS: avro_put_bytes(b, s->upper); break;
        }
    }
    avro_put_long(b, 0);
}

static void put_list(sbuf *b, uint32_t n, const int64_t *longs, const int32_t *ints)
{
    avro_put_long(b, n > 0);
    if (n == 0)
        return;
    avro_put_long(b, n);
    for (uint32_t i = 0; i < n; i++)
        avro_put_long(b, longs ? longs[i] : ints[i]);
    avro_put_long(b, 0);
}

static fz_status put_file(manifest_writer *w, const ib_data_file *f, fz_error *err)
{
    sbuf *b = &w->w.body;
    avro_put_long(b, f->content);
    avro_put_bytes(b, f->file_path);
    avro_put_bytes(b, f->file_format);
    if (f->n_partition != w->spec->n)
        return error_set(err, FZ_INTERNAL, "a data file with %u partition values for a spec of %u fields",
                         f->n_partition, w->spec->n);
    for (uint32_t i = 0; i < w->spec->n; i++)
        TRY(put_value(b, w->types[i], &f->partition[i], err));
    avro_put_long(b, f->record_count);
    avro_put_long(b, f->file_size_bytes);
    for (int m = SIZES; m <= UPPERS; m++)
        put_map(b, f, (stat_map)m);
    avro_put_long(b, f->key_metadata.n > 0);
    if (f->key_metadata.n)
        avro_put_bytes(b, f->key_metadata);
    put_list(b, f->n_splits, f->split_offsets, NULL);
    put_list(b, f->n_equality, NULL, f->equality_ids);
    put_opt_long(b, f->sort_order_id, f->sort_order_id >= 0);
    return FZ_OK;
}

fz_status manifest_writer_add(manifest_writer *w, const ib_manifest_entry *e, fz_error *err)
{
    sbuf *b = &w->w.body;
    if (e->sequence_number < 0 && e->status != IB_ADDED)
        return error_set(err, FZ_INTERNAL, "only added files may inherit their sequence number");
    avro_put_long(b, e->status);
    put_opt_long(b, e->snapshot_id, e->snapshot_id >= 0);
    put_opt_long(b, e->sequence_number, e->sequence_number >= 0);
    put_opt_long(b, e->file_sequence_number, e->file_sequence_number >= 0);
    TRY(put_file(w, &e->file, err));
    TRY(summarise(w, &e->file, err));
    int32_t *files[] = {&w->mf.existing_files, &w->mf.added_files, &w->mf.deleted_files};
    int64_t *rows[] = {&w->mf.existing_rows, &w->mf.added_rows, &w->mf.deleted_rows};
    ++*files[e->status];
    *rows[e->status] += e->file.record_count;
    if (e->status != IB_DELETED && e->sequence_number >= 0 &&
        (w->mf.min_sequence_number < 0 || e->sequence_number < w->mf.min_sequence_number))
        w->mf.min_sequence_number = e->sequence_number;
    return avro_writer_record(&w->w, err);
}

static fz_status finish_summaries(manifest_writer *w, fz_error *err)
{
    w->mf.n_partitions = w->spec->n;
    w->mf.partitions = ARENA_ARRAY(w->a, ib_field_summary, w->spec->n + 1);
    if (!w->mf.partitions)
        return error_nomem(err);
    for (uint32_t i = 0; i < w->spec->n; i++) {
        const struct value_summary *s = &w->summaries[i];
        ib_field_summary *p = &w->mf.partitions[i];
        *p = (ib_field_summary){.contains_null = s->null, .contains_nan = s->nan, .has_lower = s->any,
                                .has_upper = s->any};
        if (s->any) {
            TRY(ib_bound_encode(&s->min, w->a, &p->lower, err));
            TRY(ib_bound_encode(&s->max, w->a, &p->upper, err));
        }
    }
    return FZ_OK;
}

fz_status manifest_writer_finish(manifest_writer *w, file_io *io, const char *location, ib_manifest_file *out, fz_error *err)
{
    fz_status st = FZ_OK;
    TRY_GOTO(finish_summaries(w, err));
    TRY_GOTO(avro_writer_finish(&w->w, err));
    size_t n = strlen(location);
    char *path = arena_strndup(w->a, location, n);
    if (!path) {
        st = error_nomem(err);
        goto out;
    }
    TRY_GOTO(io_write_all(io, location, w->m, w->w.out.p, w->w.out.n, err));
    w->mf.path = (str){path, n};
    w->mf.length = (int64_t)w->w.out.n;
    *out = w->mf;
out:
    avro_writer_free(&w->w);
    return st;
}

fz_status ib_manifest_write(file_io *io, const char *location, mem *m, const ib_schema *schema, const ib_partition_spec *spec,
                            ib_content content, int64_t snapshot_id, uint32_t n, const ib_manifest_entry *entries,
                            arena *a, ib_manifest_file *out, fz_error *err)
{
    manifest_writer w;
    type *types;
    TRY(manifest_partition_types(schema, spec, n ? entries[0].file.partition : NULL, a, &types, err));
    TRY(manifest_writer_open(&w, m, schema, spec, content, snapshot_id, types, a, err));
    for (uint32_t i = 0; i < n; i++) {
        fz_status st = manifest_writer_add(&w, &entries[i], err);
        if (st != FZ_OK) {
            manifest_writer_abort(&w);
            return st;
        }
    }
    return manifest_writer_finish(&w, io, location, out, err);
}
