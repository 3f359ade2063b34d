/* test_metadata.c: table metadata from JSON and back: Java's example files, members nobody knows, wrong ids. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "iceberg/spec/spec.h"
#include "io/io.h"

#include <stdio.h>
#include <stdlib.h>

static mem m;

static const char base[] =
    "{\"format-version\":2,\"table-uuid\":\"9c12d441-03fe-4693-9a96-a0705ddf69c1\",\"location\":\"file:///t/\","
    "\"last-sequence-number\":2,\"last-updated-ms\":1602638573590,\"last-column-id\":4,\"current-schema-id\":0,"
    "\"schemas\":[{\"type\":\"struct\",\"schema-id\":0,\"fields\":[{\"id\":1,\"name\":\"x\",\"required\":true,\"type\":\"long\"},"
    "{\"id\":2,\"name\":\"l\",\"required\":false,\"type\":{\"type\":\"list\",\"element-id\":4,\"element\":\"decimal(9, 2)\","
    "\"element-required\":false},\"doc\":\"a \\\"list\\\"\"}]}],\"default-spec-id\":0,"
    "\"partition-specs\":[{\"spec-id\":0,\"fields\":[{\"source-id\":1,\"field-id\":1000,\"transform\":\"bucket[4]\",\"name\":\"b\"}]}],"
    "\"last-partition-id\":1000,\"default-sort-order-id\":0,\"sort-orders\":[{\"order-id\":0,\"fields\":[]}],"
    "\"properties\":{\"a\":\"1\"},\"current-snapshot-id\":5,\"refs\":{\"main\":{\"snapshot-id\":5,\"type\":\"branch\"},"
    "\"v1\":{\"snapshot-id\":3,\"type\":\"tag\",\"max-ref-age-ms\":10}},"
    "\"snapshots\":[{\"sequence-number\":1,\"snapshot-id\":3,\"timestamp-ms\":100,\"summary\":{\"operation\":\"append\",\"k\":\"v\\u00e9\"},"
    "\"manifest-list\":\"file:///t/metadata/s3.avro\",\"schema-id\":0,\"later\":[1,2]},"
    "{\"sequence-number\":2,\"snapshot-id\":5,\"parent-snapshot-id\":3,\"timestamp-ms\":200,\"summary\":{\"operation\":\"overwrite\"},"
    "\"manifest-list\":\"file:///t/metadata/s5.avro\",\"schema-id\":0}],"
    "\"statistics\":[{\"snapshot-id\":3,\"x\":1}],"
    "\"snapshot-log\":[{\"timestamp-ms\":100,\"snapshot-id\":3},{\"timestamp-ms\":200,\"snapshot-id\":5}],"
    "\"metadata-log\":[{\"timestamp-ms\":90,\"metadata-file\":\"file:///t/metadata/0.json\"}],\"made-up\":{\"deep\":[true]}}";

/* base with the first `from` replaced */
static char *edited(const char *from, const char *to)
{
    const char *at = strstr(base, from);
    if (!at)
        fail_msg("\"%s\" isn't in the text", from);
    size_t head = (size_t)(at - base), n = strlen(base) + strlen(to) + 1;
    char *s = malloc(n);
    assert_non_null(s);
    snprintf(s, n, "%.*s%s%s", (int)head, base, to, at + strlen(from));
    return s;
}

static void test_members(void **state)
{
    ib_metadata *md;
    fz_error e = {0};
    assert_int_equal(ib_metadata_parse(base, strlen(base), "x", &m, &md, &e), FZ_OK);
    assert_true(str_eqz(md->location, "file:///t"));
    assert_int_equal(md->last_sequence_number, 2);
    assert_int_equal(md->last_column_id, 4);
    const ib_schema *s = ib_current_schema(md);
    assert_int_equal(s->fields->n, 2);
    assert_int_equal(ib_field_by_name(s, STR("l"))->t.id, T_LIST);
    assert_true(str_eqz(ib_field_by_name(s, STR("l"))->doc, "a \"list\""));
    const type_field *el = ib_field_by_id(s, 4);
    assert_non_null(el);
    assert_int_equal(el->t.id, T_DECIMAL);
    assert_int_equal(el->t.precision, 9);
    assert_int_equal(el->t.scale, 2);
    assert_null(ib_field_by_name(s, STR("element")));
    const ib_partition_spec *p = ib_spec_by_id(md, 0);
    assert_int_equal(p->fields[0].transform.kind, IB_BUCKET);
    assert_int_equal(p->fields[0].transform.param, 4);
    assert_int_equal(md->n_snapshots, 2);
    assert_int_equal(ib_current_snapshot(md)->snapshot_id, 5);
    assert_int_equal(ib_current_snapshot(md)->parent_id, 3);
    assert_int_equal(md->snapshots[0]->parent_id, -1);
    assert_true(str_eqz(ib_prop(&md->snapshots[0]->summary, "k"), "v\xc3\xa9"));
    assert_int_equal(md->n_refs, 2);
    assert_true(md->refs_list[1].is_tag);
    assert_int_equal(md->refs_list[1].max_ref_age_ms, 10);
    assert_true(str_eqz(md->extra_json.kv[0].key, "made-up"));
    assert_true(str_eqz(md->extra_json.kv[0].value, "{\"deep\":[true]}"));
    assert_true(str_eqz(md->metadata_log[0].metadata_file, "file:///t/metadata/0.json"));
    ib_metadata_unref(md);
}

/* What is read and written stays what it was, whatever white space the first text had. */
static void test_round_trip(void **state)
{
    sbuf spaced, once, twice;
    sbuf_init(&spaced, &m);
    sbuf_init(&once, &m);
    sbuf_init(&twice, &m);
    bool in_string = false;
    for (const char *p = base; *p; p++) {
        sbuf_addc(&spaced, *p);
        if (*p == '"' && p[-1] != '\\')
            in_string = !in_string;
        if (!in_string && (*p == ',' || *p == ':' || *p == '{'))
            sbuf_addz(&spaced, " \n\t");
    }
    ib_metadata *md;
    fz_error e = {0};
    assert_int_equal(ib_metadata_parse(base, strlen(base), "x", &m, &md, &e), FZ_OK);
    ib_metadata_write(md, &once);
    ib_metadata_unref(md);
    assert_int_equal(ib_metadata_parse(spaced.p, spaced.n, "x", &m, &md, &e), FZ_OK);
    assert_true(str_eqz(ib_prop(&md->snapshots[0]->summary, "k"), "v\xc3\xa9"));
    assert_true(str_eqz(md->snapshots[1]->manifest_list, "file:///t/metadata/s5.avro"));
    ib_metadata_write(md, &twice);
    ib_metadata_unref(md);
    assert_string_equal(once.p, twice.p);
    assert_non_null(strstr(once.p, "\"later\":[1,2]"));
    assert_non_null(strstr(once.p, "\"made-up\":{\"deep\":[true]}"));
    assert_non_null(strstr(once.p, "\"statistics\":[{\"snapshot-id\":3,\"x\":1}]"));
    assert_non_null(strstr(once.p, "\"element\":\"decimal(9, 2)\""));
    sbuf_free(&spaced);
    sbuf_free(&once);
    sbuf_free(&twice);
}

static void test_wrong(void **state)
{
    static const struct { const char *from, *to, *says; fz_status want; } t[] = {
        {"\"format-version\":2", "\"format-version\":3", "version 3", FZ_UNSUPPORTED},
        {"\"format-version\":2", "\"format-version\":0", "version 0", FZ_DATA},
        {"\"format-version\":2,", "", "format-version", FZ_DATA},
        {"\"format-version\":2", "\"format-version\":\"2\"", "integer", FZ_DATA},
        {"\"table-uuid\"", "\"x\"", "table-uuid", FZ_DATA},
        {"\"last-sequence-number\":2", "\"last-sequence-number\":1", "past last-sequence-number 1", FZ_DATA},
        {"\"current-schema-id\":0", "\"current-schema-id\":7", "current-schema-id 7", FZ_DATA},
        {"\"default-spec-id\":0", "\"default-spec-id\":7", "default-spec-id 7", FZ_DATA},
        {"\"default-sort-order-id\":0", "\"default-sort-order-id\":7", "default-sort-order-id 7", FZ_DATA},
        {"\"current-snapshot-id\":5", "\"current-snapshot-id\":3", "branch main is at snapshot 5", FZ_DATA},
        {"\"current-snapshot-id\":5", "\"current-snapshot-id\":8", "current-snapshot-id 8", FZ_DATA},
        {"\"current-snapshot-id\":5", "\"current-snapshot-id\":-1", "branch main", FZ_DATA},
        {"\"v1\":{\"snapshot-id\":3", "\"v1\":{\"snapshot-id\":4", "ref \"v1\" points to snapshot 4", FZ_DATA},
        {"\"snapshot-id\":5,\"parent", "\"snapshot-id\":3,\"parent", "two snapshots with id 3", FZ_DATA},
        {"\"manifest-list\"", "\"manifests\"", "manifest-list", FZ_DATA},
        {"\"element-id\":4", "\"element-id\":1", "two fields with id 1", FZ_DATA},
        {"\"name\":\"l\"", "\"name\":\"x\"", "two columns named \"x\"", FZ_DATA},
        {"\"type\":\"long\"", "\"type\":\"longer\"", "\"longer\" isn't an Iceberg type", FZ_DATA},
        {"\"type\":\"long\"", "\"type\":\"timestamp_ns\"", "timestamp_ns", FZ_UNSUPPORTED},
        {"\"type\":\"long\"", "\"type\":\"long\",\"initial-default\":1", "initial-default", FZ_UNSUPPORTED},
        {"decimal(9, 2)", "decimal(39, 2)", "isn't an Iceberg type", FZ_DATA},
        {"{\"type\":\"struct\",\"schema-id\":0", "{\"schema-id\":0", "lacks \"type\"", FZ_DATA},
        {"\"a\":\"1\"", "\"a\":{}", "property \"a\"", FZ_DATA},
        {"\"a\":\"1\"", "\"a\":\"1\",\"a\":\"2\"", "twice", FZ_DATA},
        {"\"timestamp-ms\":90,", "", "timestamp-ms", FZ_DATA},
        {"\"last-column-id\":4", "\"last-column-id\":99999999999", "out of range", FZ_DATA},
        {"\"source-id\":1", "\"source-ids\":[1,2]", "source-ids", FZ_UNSUPPORTED},
    };
    for (size_t i = 0; i < sizeof t / sizeof t[0]; i++) {
        char *s = edited(t[i].from, t[i].to);
        ib_metadata *md;
        fz_error e = {0};
        fz_status st = ib_metadata_parse(s, strlen(s), "where.json", &m, &md, &e);
        if (st != t[i].want || !strstr(e.message, t[i].says))
            fail_msg("%s -> %s: %d \"%s\"", t[i].from, t[i].to, st, e.message);
        assert_string_equal(e.where, "where.json");
        free(s);
    }
    assert_int_equal(m.used, 0);
}

/* Counters that lag behind are put right, a missing main branch is made. */
static void test_put_right(void **state)
{
    char *s = edited("\"last-column-id\":4", "\"last-column-id\":1");
    ib_metadata *md;
    assert_int_equal(ib_metadata_parse(s, strlen(s), "x", &m, &md, NULL), FZ_OK);
    assert_int_equal(md->last_column_id, 4);
    ib_metadata_unref(md);
    free(s);
    s = edited("\"main\":{\"snapshot-id\":5,\"type\":\"branch\"},", "");
    assert_int_equal(ib_metadata_parse(s, strlen(s), "x", &m, &md, NULL), FZ_OK);
    assert_int_equal(md->n_refs, 2);
    assert_true(str_eqz(md->refs_list[1].name, "main"));
    ib_metadata_unref(md);
    free(s);
}

static void test_cut(void **state)
{
    for (size_t n = 0; n < strlen(base); n++) {
        ib_metadata *md;
        char *s = malloc(n + 1); /* so that reading past it is seen */
        memcpy(s, base, n);
        assert_int_equal(ib_metadata_parse(s, n, NULL, &m, &md, NULL), FZ_DATA);
        free(s);
    }
    assert_int_equal(m.used, 0);
}

/* Java's example files: valid or not, as their names say. */
static void test_java_files(void **state)
{
    static const struct { const char *name; fz_status want; const char *says; } t[] = {
        {"TableMetadataV1Valid", FZ_OK, ""}, {"TableMetadataV2Valid", FZ_OK, ""},
        {"TableMetadataV2ValidMinimal", FZ_OK, ""}, {"TableMetadataStatisticsFiles", FZ_OK, ""},
        {"TableMetadataPartitionStatisticsFiles", FZ_OK, ""},
        {"TableMetadataUnsupportedVersion", FZ_UNSUPPORTED, "version 42"},
        {"TableMetadataV3ValidMinimal", FZ_UNSUPPORTED, "version 3"},
        {"TableMetadataV1MissingSchemaType", FZ_DATA, "\"type\""},
        {"TableMetadataV2CurrentSchemaNotFound", FZ_DATA, "current-schema-id 2"},
        {"TableMetadataV2MissingLastPartitionId", FZ_DATA, "last-partition-id"},
        {"TableMetadataV2MissingPartitionSpecs", FZ_DATA, "partition-specs"},
        {"TableMetadataV2MissingSchemas", FZ_DATA, "schemas"},
        {"TableMetadataV2MissingSortOrder", FZ_DATA, "sort-orders"},
    };
    const char *dir = getenv("FRAZIL_SHARED_DATA");
    for (size_t i = 0; i < sizeof t / sizeof t[0]; i++) {
        char path[500];
        io_stat_info info;
        snprintf(path, sizeof path, "%s/iceberg-java/metadata/%s.json", dir ? dir : "../shared/data", t[i].name);
        if (io_stat(NULL, path, &info, NULL) != FZ_OK)
            skip();
        ib_metadata *md;
        fz_error e = {0};
        fz_status st = ib_metadata_load(NULL, path, &m, &md, &e);
        if (st != t[i].want || !strstr(e.message, t[i].says))
            fail_msg("%s: %d \"%s\"", t[i].name, st, e.message);
        if (st != FZ_OK)
            continue;
        sbuf b;
        sbuf_init(&b, &m);
        ib_metadata_write(md, &b);
        ib_metadata *again;
        assert_int_equal(ib_metadata_parse(b.p, b.n, path, &m, &again, &e), FZ_OK);
        assert_int_equal(again->format_version, md->format_version);
        assert_int_equal(again->n_schemas, md->n_schemas);
        assert_int_equal(again->n_snapshots, md->n_snapshots);
        if (md->format_version == 1) {
            assert_non_null(strstr(b.p, "\"schema\":{"));
            assert_non_null(strstr(b.p, "\"partition-spec\":[{"));
            assert_null(strstr(b.p, "last-sequence-number"));
        }
        sbuf_free(&b);
        ib_metadata_unref(again);
        ib_metadata_unref(md);
    }
    assert_int_equal(m.used, 0);
}

static void test_gzip(void **state)
{
    static const unsigned char gz[] = { /* {"format-version":9} */
        0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0xff, 0xab, 0x56, 0x4a, 0xcb, 0x2f,
        0xca, 0x4d, 0x2c, 0xd1, 0x2d, 0x4b, 0x2d, 0x2a, 0xce, 0xcc, 0xcf, 0x53, 0xb2, 0xb2, 0xac,
        0x05, 0x00, 0x11, 0xe8, 0xd8, 0xe8, 0x14, 0x00, 0x00, 0x00
    };
    ib_metadata *md;
    fz_error e = {0};
    assert_int_equal(ib_metadata_parse(gz, sizeof gz, "x.gz.metadata.json", &m, &md, &e), FZ_UNSUPPORTED);
    assert_non_null(strstr(e.message, "version 9"));
    assert_int_equal(ib_metadata_parse(gz, sizeof gz - 9, "cut", &m, &md, &e), FZ_DATA);
    assert_string_equal(e.where, "cut");
    assert_int_equal(m.used, 0);
}

static void test_schema_text(void **state)
{
    arena a;
    fz_error e = {0};
    ib_schema s;
    arena_init(&a, &m);
    str text = STR("{\"type\":\"struct\",\"schema-id\":3,\"identifier-field-ids\":[1],\"fields\":["
                   "{\"id\":1,\"name\":\"k\",\"required\":true,\"type\":\"fixed[16]\"},"
                   "{\"id\":2,\"name\":\"m\",\"required\":false,\"type\":{\"type\":\"map\",\"key-id\":3,\"key\":\"string\",\"value-id\":4,"
                   "\"value\":{\"type\":\"struct\",\"fields\":[{\"id\":5,\"name\":\"d\",\"required\":false,\"type\":\"uuid\"}]},"
                   "\"value-required\":false}}]}");
    assert_int_equal(ib_schema_parse(text, &a, &s, &e), FZ_OK);
    assert_int_equal(s.schema_id, 3);
    assert_int_equal(s.fields->f[0].t.width, 16);
    assert_int_equal(ib_field_by_id(&s, 5)->t.id, T_UUID);
    sbuf b;
    sbuf_init(&b, &m);
    ib_schema_write(&s, &b);
    assert_int_equal(b.n, text.n);
    assert_memory_equal(b.p, text.p, b.n);
    sbuf_free(&b);
    ib_partition_spec p;
    text = STR("[{\"source-id\":1,\"field-id\":1001,\"transform\":\"zigzag[3]\",\"name\":\"z\"}]");
    assert_int_equal(ib_spec_fields_parse(text, 7, &a, &p, &e), FZ_OK);
    assert_int_equal(p.spec_id, 7);
    assert_int_equal(p.fields[0].transform.kind, IB_TRANSFORM_UNKNOWN);
    ib_spec_fields_write(&p, &b);
    assert_memory_equal(b.p, text.p, text.n);
    sbuf_free(&b);
    arena_free(&a);
}

static void test_type_names(void **state)
{
    static const char *const names[] = {"boolean", "int", "long", "float", "double", "date", "time", "timestamp", "timestamptz",
                                        "string", "uuid", "binary", "decimal(38, 0)", "decimal(1, 1)", "fixed[7]"};
    static const char *const bad[] = {"", "Int", "decimal", "decimal(0, 0)", "decimal(5, 6)", "decimal(5)", "decimal(1,2,3)",
                                      "fixed", "fixed[0]", "fixed[]", "fixed[-1]", "fixed[99999999999999999999]", "list"};
    sbuf b;
    sbuf_init(&b, &m);
    type t;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        assert_int_equal(ib_type_parse(str_of(names[i]), &t, NULL), FZ_OK);
        sbuf_clear(&b);
        ib_type_name(t, &b);
        assert_string_equal(b.p, names[i]);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(ib_type_parse(str_of(bad[i]), &t, NULL), FZ_DATA);
    assert_int_equal(ib_type_parse(STR("decimal(9,2)"), &t, NULL), FZ_OK);
    sbuf_free(&b);
}

static void test_props(void **state)
{
    ib_kv kv[] = {{STR("n"), STR(" 12 ")}, {STR("b"), STR("TRUE")}, {STR("x"), STR("yes")}};
    ib_props p = {.n = 3, .kv = kv};
    int64_t n;
    bool b;
    fz_error e = {0};
    assert_int_equal(ib_prop_i64(&p, "n", 1, &n, &e), FZ_OK);
    assert_int_equal(n, 12);
    assert_int_equal(ib_prop_i64(&p, "none", 7, &n, &e), FZ_OK);
    assert_int_equal(n, 7);
    assert_int_equal(ib_prop_i64(&p, "x", 7, &n, &e), FZ_INVALID);
    assert_int_equal(ib_prop_bool(&p, "b", false, &b, &e), FZ_OK);
    assert_true(b);
    assert_int_equal(ib_prop_bool(&p, "x", false, &b, &e), FZ_INVALID);
    assert_null(ib_prop(&p, "none").p);
}

static int set_up(void **state)
{
    mem_init(&m, NULL, NULL, 0);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_members), cmocka_unit_test(test_round_trip), cmocka_unit_test(test_wrong),
        cmocka_unit_test(test_put_right), cmocka_unit_test(test_cut), cmocka_unit_test(test_java_files),
        cmocka_unit_test(test_gzip), cmocka_unit_test(test_schema_text), cmocka_unit_test(test_type_names),
        cmocka_unit_test(test_props),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
