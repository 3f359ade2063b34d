/*
 * iceberg_tool.c: makes and reads Iceberg tables for test_iceberg_files.py, without a catalog.
 *
 *   iceberg_tool make < description.json     writes a table, prints its metadata file's path
 *   iceberg_tool dump METADATA               prints the current snapshot's files, one JSON object a line
 *   iceberg_tool plan METADATA               reads predicates, "FIELD OP HEX" a line; prints "all" or "some" and the path of
 *                                            each file that is planned, then "end"
 *
 * Description: {"location", "schema", "spec" (fields), "properties": {}, "commits": [{"replace": bool, "files": [{"path",
 * "rows", "size", "partition": [hex or null, …], "stats": {"<id>": {"size", "values", "nulls", "nans", "lower", "upper"}}}]}]}.
 * Values are the hexadecimal form of the single-value serialisation.
 */
#include "codec/json.h"
#include "iceberg/plan/plan.h"
#include "iceberg/transform/transform.h"
#include "iceberg/update/layout.h"
#include "iceberg/update/snapshot.h"
#include "iceberg/update/update.h"

#include <stdio.h>
#include <stdlib.h>

static fz_error error;
static arena mem_;

static void check(fz_status st)
{
    if (st == FZ_OK)
        return;
    fprintf(stderr, "%s: %s [%s]\n", status_name(st), error.message, error.where);
    exit(1);
}

static str unhex(str s)
{
    char *p = arena_alloc(&mem_, s.n / 2 + 1);
    for (size_t i = 0; i < s.n / 2; i++) {
        char two[3] = {s.p[2 * i], s.p[2 * i + 1], 0};
        p[i] = (char)strtoul(two, NULL, 16);
    }
    return (str){p, s.n / 2};
}

static str get_str(const json_doc *d, const json_node *o, const char *key)
{
    str s = {0};
    const json_node *v = json_get(d, o, key);
    if (v && v->type == JSON_STRING)
        check(json_str(d, v, &mem_, &s, &error));
    return s;
}

static int64_t get_i64(const json_doc *d, const json_node *o, const char *key)
{
    int64_t n = -1;
    const json_node *v = json_get(d, o, key);
    if (v && v->type == JSON_INT)
        check(json_i64(d, v, &n, &error));
    return n;
}

static void get_stats(const json_doc *d, const json_node *o, ib_data_file *f)
{
    const json_node *all = json_get(d, o, "stats");
    if (!all)
        return;
    f->stats = ARENA_ARRAY(&mem_, ib_column_stats, all->n + 1);
    const json_node *k = all + 1;
    for (uint32_t i = 0; i < all->n; i++, k = json_next(k + 1)) {
        ib_column_stats *s = &f->stats[f->n_stats++];
        str id;
        int64_t n;
        check(json_str(d, k, &mem_, &id, &error));
        str_to_i64(id, &n);
        *s = (ib_column_stats){.field_id = (int32_t)n, .size_bytes = get_i64(d, k + 1, "size"),
                               .value_count = get_i64(d, k + 1, "values"), .null_count = get_i64(d, k + 1, "nulls"),
                               .nan_count = get_i64(d, k + 1, "nans")};
        s->has_lower = json_get(d, k + 1, "lower") != NULL;
        s->has_upper = json_get(d, k + 1, "upper") != NULL;
        s->lower = unhex(get_str(d, k + 1, "lower"));
        s->upper = unhex(get_str(d, k + 1, "upper"));
    }
}

static void get_file(const json_doc *d, const json_node *o, const ib_schema *schema, const ib_partition_spec *spec,
                     ib_data_file *f)
{
    *f = (ib_data_file){.file_format = STR("PARQUET"), .file_path = get_str(d, o, "path"), .spec_id = spec->spec_id,
                        .record_count = get_i64(d, o, "rows"), .file_size_bytes = get_i64(d, o, "size"),
                        .sort_order_id = -1, .n_partition = spec->n};
    f->partition = ARENA_ARRAY(&mem_, datum, spec->n + 1);
    const json_node *p = json_get(d, o, "partition");
    if (p)
        p++;
    for (uint32_t i = 0; i < spec->n; i++, p = json_next(p)) {
        type t;
        str s;
        const type_field *source = ib_field_by_id(schema, spec->fields[i].source_id);
        check(ib_transform_result(&spec->fields[i].transform, source->t, &t, &error));
        f->partition[i] = DATUM_NULL(t);
        if (p->type == JSON_STRING) {
            check(json_str(d, p, &mem_, &s, &error));
            check(ib_bound_decode(t, unhex(s), &f->partition[i], &error));
        }
    }
    f->n_splits = 1;
    f->split_offsets = ARENA_NEW(&mem_, int64_t);
    f->split_offsets[0] = 4;
    get_stats(d, o, f);
}

static ib_metadata *commit(ib_metadata *md, const json_doc *d, const json_node *o, ib_manifest_cache *cache)
{
    const json_node *files = json_get(d, o, "files"), *replace = json_get(d, o, "replace");
    ib_data_file *all = ARENA_ARRAY(&mem_, ib_data_file, files->n + 1);
    const json_node *f = files + 1;
    for (uint32_t i = 0; i < files->n; i++, f = json_next(f))
        get_file(d, f, ib_current_schema(md), ib_spec_by_id(md, md->default_spec_id), &all[i]);
    ib_write w = {.op = replace && replace->type == JSON_TRUE ? IB_REPLACE : IB_APPEND, .cache = cache,
                  .schema_id = md->current_schema_id, .n_files = files->n, .files = all};
    ib_producer *p;
    uint32_t nr, nu;
    const ib_requirement *r;
    const ib_update *u;
    ib_metadata *next;
    check(ib_producer_new(md, &w, &p, &error));
    fz_status st = ib_producer_prepare(p, md, &nr, &r, &nu, &u, &error);
    if (st != FZ_OK)
        ib_producer_finish(p, st);
    check(st);
    check(ib_requirements_check(md, nr, r, &error));
    check(ib_metadata_apply(md, NULL, nu, u, NULL, &next, &error));
    ib_producer_finish(p, FZ_OK);
    ib_metadata_unref(md);
    return next;
}

static void get_props(const json_doc *d, const json_node *o, ib_props *out)
{
    if (!o)
        return;
    ib_kv *kv = ARENA_ARRAY(&mem_, ib_kv, o->n + 1);
    const json_node *k = o + 1;
    for (uint32_t i = 0; i < o->n; i++, k = json_next(k + 1)) {
        check(json_str(d, k, &mem_, &kv[i].key, &error));
        check(json_str(d, k + 1, &mem_, &kv[i].value, &error));
    }
    *out = (ib_props){o->n, kv};
}

static void make(void)
{
    sbuf in, out;
    json_doc d;
    ib_schema schema;
    ib_partition_spec spec;
    ib_sort_order order = {0};
    ib_props props = {0};
    ib_metadata *md;
    char tmp[65536], uuid[UUID_TEXT];
    sbuf_init(&in, NULL);
    for (size_t n; (n = fread(tmp, 1, sizeof tmp, stdin)) > 0;)
        sbuf_add(&in, tmp, n);
    check(json_parse(&d, in.p, in.n, "description", NULL, &error));
    const json_node *root = json_root(&d);
    check(ib_schema_parse(json_raw(&d, json_get(&d, root, "schema")), &mem_, &schema, &error));
    check(ib_spec_fields_parse(json_raw(&d, json_get(&d, root, "spec")), 0, &mem_, &spec, &error));
    get_props(&d, json_get(&d, root, "properties"), &props);
    check(ib_metadata_new(get_str(&d, root, "location"), &schema, &spec, &order, &props, NULL, &md, &error));
    ib_manifest_cache *cache = getenv("NO_CACHE") ? NULL : ib_manifest_cache_new(NULL, 64 << 20);
    const json_node *commits = json_get(&d, root, "commits"), *c = commits + 1;
    for (uint32_t i = 0; i < commits->n; i++, c = json_next(c))
        md = commit(md, &d, c, cache);
    sbuf_init(&out, NULL);
    ib_metadata_write(md, &out);
    check(ib_uuid_new(uuid, &error));
    char *location = ib_metadata_location(md, commits->n, uuid, &mem_);
    check(io_write_all(NULL, location, NULL, out.p, out.n, &error));
    printf("%s\n", location);
    ib_metadata_unref(md);
    ib_manifest_cache_free(cache);
    json_free(&d);
    sbuf_free(&in);
    sbuf_free(&out);
}

static void put_hex(json_writer *w, const char *key, str s)
{
    sbuf b;
    sbuf_init(&b, NULL);
    for (size_t i = 0; i < s.n; i++)
        sbuf_printf(&b, "%02x", (uint8_t)s.p[i]);
    if (key)
        jw_key(w, key);
    jw_str(w, (str){b.p ? b.p : "", b.n});
    sbuf_free(&b);
}

static void put_count(json_writer *w, const char *key, int64_t v)
{
    if (v < 0)
        return;
    jw_key(w, key);
    jw_i64(w, v);
}

static void dump_file(const ib_scan_file *sf)
{
    const ib_data_file *f = sf->file;
    sbuf out;
    sbuf_init(&out, NULL);
    json_writer w = json_writer_on(&out);
    jw_begin(&w, '{');
    jw_key(&w, "path");
    jw_str(&w, f->file_path);
    put_count(&w, "rows", f->record_count);
    put_count(&w, "size", f->file_size_bytes);
    put_count(&w, "spec_id", f->spec_id);
    put_count(&w, "sequence_number", sf->sequence_number);
    put_count(&w, "snapshot_id", sf->snapshot_id);
    put_count(&w, "sort_order_id", f->sort_order_id);
    jw_key(&w, "splits");
    jw_begin(&w, '[');
    for (uint32_t i = 0; i < f->n_splits; i++)
        jw_i64(&w, f->split_offsets[i]);
    jw_end(&w, ']');
    jw_key(&w, "partition");
    jw_begin(&w, '[');
    for (uint32_t i = 0; i < f->n_partition; i++) {
        str s;
        if (f->partition[i].null) {
            jw_raw(&w, STR("null"));
        } else {
            check(ib_bound_encode(&f->partition[i], &mem_, &s, &error));
            put_hex(&w, NULL, s);
        }
    }
    jw_end(&w, ']');
    jw_key(&w, "stats");
    jw_begin(&w, '{');
    for (uint32_t i = 0; i < f->n_stats; i++) {
        const ib_column_stats *s = &f->stats[i];
        char key[16];
        snprintf(key, sizeof key, "%d", s->field_id);
        jw_key(&w, key);
        jw_begin(&w, '{');
        put_count(&w, "size", s->size_bytes);
        put_count(&w, "values", s->value_count);
        put_count(&w, "nulls", s->null_count);
        put_count(&w, "nans", s->nan_count);
        if (s->has_lower)
            put_hex(&w, "lower", s->lower);
        if (s->has_upper)
            put_hex(&w, "upper", s->upper);
        jw_end(&w, '}');
    }
    jw_end(&w, '}');
    jw_end(&w, '}');
    printf("%.*s\n", (int)out.n, out.p);
    sbuf_free(&out);
}

static void dump(const char *path)
{
    ib_metadata *md;
    ib_scan *s;
    check(ib_metadata_load(NULL, path, NULL, &md, &error));
    const ib_pred *p = ib_pred_const(&mem_, IB_PRED_UNKNOWN); /* so that statistics are read */
    check(ib_plan_stats(md, ib_current_snapshot(md), p, true, NULL, NULL, NULL, &s, &error));
    for (uint32_t i = 0; i < s->n; i++)
        dump_file(&s->files[i]);
    ib_scan_free(s);
    ib_metadata_unref(md);
}

static const ib_pred *predicate(int32_t id, type t, const char *op, const char *value)
{
    static const struct { const char *name; ib_pred_kind kind; } OPS[] = {
        {"lt", IB_PRED_LT}, {"le", IB_PRED_LE}, {"gt", IB_PRED_GT}, {"ge", IB_PRED_GE}, {"eq", IB_PRED_EQ},
        {"ne", IB_PRED_NE}, {"starts", IB_PRED_STARTS_WITH}, {"null", IB_PRED_IS_NULL}, {"notnull", IB_PRED_NOT_NULL},
    };
    datum v = {0};
    if (*value)
        check(ib_bound_decode(t, unhex(str_of(value)), &v, &error));
    for (size_t i = 0; i < sizeof OPS / sizeof *OPS; i++)
        if (strcmp(OPS[i].name, op) == 0)
            return OPS[i].kind == IB_PRED_IS_NULL || OPS[i].kind == IB_PRED_NOT_NULL
                       ? ib_pred_test(&mem_, OPS[i].kind, id)
                       : ib_pred_cmp(&mem_, OPS[i].kind, id, &v);
    return ib_pred_not(&mem_, predicate(id, t, op + 4, value)); /* "not-lt" */
}

static void plan(const char *path)
{
    ib_metadata *md;
    check(ib_metadata_load(NULL, path, NULL, &md, &error));
    ib_manifest_cache *cache = ib_manifest_cache_new(NULL, 64 << 20);
    char line[4096];
    while (fgets(line, sizeof line, stdin)) {
        char op[32], hex[2048] = "";
        int id;
        ib_scan *s;
        if (sscanf(line, "%d %31s %2047s", &id, op, hex) < 2)
            exit(2);
        const type_field *f = ib_field_by_id(ib_current_schema(md), id);
        check(ib_plan(md, ib_current_snapshot(md), predicate(id, f->t, op, hex), cache, NULL, NULL, &s, &error));
        for (uint32_t i = 0; i < s->n; i++)
            printf("%s " STR_FMT "\n", s->files[i].all_match ? "all" : "some", STR_ARG(s->files[i].file->file_path));
        printf("end\n");
        ib_scan_free(s);
    }
    ib_manifest_cache_free(cache);
    ib_metadata_unref(md);
}

int main(int argc, char **argv)
{
    arena_init(&mem_, NULL);
    if (argc == 2 && strcmp(argv[1], "make") == 0)
        make();
    else if (argc == 3 && strcmp(argv[1], "dump") == 0)
        dump(argv[2]);
    else if (argc == 3 && strcmp(argv[1], "plan") == 0)
        plan(argv[2]);
    else
        return 2;
    arena_free(&mem_);
    return 0;
}
