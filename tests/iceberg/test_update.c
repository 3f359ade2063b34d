/* test_update.c: requirements and updates: what they check, what they change, what they share. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "iceberg/update/update.h"

#include <stdio.h>

static mem m;

typedef struct { type_fields f; type_field x[3]; } three;
static three cols = {.f = {.n = 2}, .x = {{.name = {"a", 1}, .field_id = 1, .t = {.id = T_INT64}},
                                          {.name = {"b", 1}, .field_id = 2, .t = {.id = T_STRING}},
                                          {.name = {"c", 1}, .field_id = 3, .t = {.id = T_DATE}}}};

static ib_metadata *fresh(void)
{
    ib_schema s = {.fields = &cols.f};
    ib_kv kv[] = {{STR("k"), STR("v")}, {STR("format-version"), STR("2")}};
    ib_props p = {.n = 2, .kv = kv};
    ib_partition_field f = {.source_id = 1, .field_id = -1, .name = STR("a_b"), .transform = {.kind = IB_BUCKET, .param = 4}};
    ib_partition_spec spec = {.n = 1, .fields = &f};
    ib_metadata *md;
    fz_error e = {0};
    cols.f.n = 2;
    if (ib_metadata_new(STR("file:///w/t/"), &s, &spec, NULL, &p, &m, &md, &e) != FZ_OK)
        fail_msg("%s", e.message);
    return md;
}

/* Applies to *md, which becomes the result; or leaves it and returns the error. */
static fz_status step(ib_metadata **md, uint32_t n, const ib_update *u, fz_error *e)
{
    ib_metadata *next;
    fz_status st = ib_metadata_apply(*md, "file:///w/t/metadata/old.json", n, u, &m, &next, e);
    if (st == FZ_OK) {
        ib_metadata_unref(*md);
        *md = next;
    }
    return st;
}

static void must(ib_metadata **md, uint32_t n, const ib_update *u)
{
    fz_error e = {0};
    if (step(md, n, u, &e) != FZ_OK)
        fail_msg("%s", e.message);
}

static void refused(ib_metadata *md, const ib_update *u, fz_status want, const char *says)
{
    fz_error e = {0};
    int64_t used = m.used;
    fz_status st = step(&md, 1, u, &e);
    if (st != want || !strstr(e.message, says))
        fail_msg("%d \"%s\", \"%s\" was expected", st, e.message, says);
    assert_int_equal(m.used, used);
}

static void append(ib_metadata **md, int64_t id)
{
    ib_kv kv = {STR("operation"), STR("append")};
    ib_snapshot s = {.snapshot_id = id, .parent_id = (*md)->current_snapshot_id, .sequence_number = (*md)->last_sequence_number + 1,
                     .timestamp_ms = (*md)->last_updated_ms + 1, .manifest_list = STR("file:///w/t/metadata/l.avro"),
                     .summary = {.n = 1, .kv = &kv}};
    ib_update u[] = {{.kind = IB_ADD_SNAPSHOT, .snapshot = &s},
                     {.kind = IB_SET_SNAPSHOT_REF, .ref = {.name = STR("main"), .snapshot_id = id}}};
    must(md, 2, u);
}

static void test_new(void **state)
{
    ib_metadata *md = fresh(), *again;
    assert_int_equal(md->format_version, 2);
    assert_int_equal(md->table_uuid.n, 36);
    assert_true(str_eqz(md->location, "file:///w/t"));
    assert_int_equal(md->last_column_id, 2);
    assert_int_equal(md->last_partition_id, 1000);
    assert_int_equal(md->specs[0].fields[0].field_id, 1000);
    assert_true(str_eqz(md->specs[0].fields[0].transform.text, "bucket[4]"));
    assert_int_equal(md->orders[0].order_id, 0);
    assert_int_equal(md->current_snapshot_id, -1);
    assert_int_equal(md->properties.n, 1); /* without format-version */
    assert_int_equal(md->n_metadata_log, 0);
    sbuf b;
    sbuf_init(&b, &m);
    ib_metadata_write(md, &b);
    fz_error e = {0};
    assert_int_equal(ib_metadata_parse(b.p, b.n, "x", &m, &again, &e), FZ_OK);
    assert_int_equal(again->current_snapshot_id, -1);
    sbuf_free(&b);
    ib_metadata_unref(again);
    ib_metadata_unref(md);
    ib_kv old = {STR("format-version"), STR("1")}, late = {STR("format-version"), STR("3")};
    ib_schema s = {.fields = &cols.f};
    assert_int_equal(ib_metadata_new(STR("x"), &s, NULL, NULL, &(ib_props){1, &old}, &m, &md, &e), FZ_UNSUPPORTED);
    assert_int_equal(ib_metadata_new(STR("x"), &s, NULL, NULL, &(ib_props){1, &late}, &m, &md, &e), FZ_UNSUPPORTED);
    assert_int_equal(ib_metadata_new(STR(""), &s, NULL, NULL, NULL, &m, &md, &e), FZ_INVALID);
    assert_int_equal(m.used, 0);
}

static void test_append(void **state)
{
    ib_metadata *md = fresh();
    for (int i = 1; i <= 5; i++)
        append(&md, i * 10);
    assert_int_equal(md->n_snapshots, 5);
    assert_int_equal(md->last_sequence_number, 5);
    assert_int_equal(md->current_snapshot_id, 50);
    assert_int_equal(md->n_snapshot_log, 5);
    assert_int_equal(md->snapshot_log[4].snapshot_id, 50);
    assert_true(md->snapshot_log[4].timestamp_ms >= md->snapshot_log[3].timestamp_ms);
    assert_int_equal(md->n_metadata_log, 5);
    assert_int_equal(md->n_refs, 1);
    assert_int_equal(md->refs_list[0].min_snapshots_to_keep, -1);
    assert_non_null(memmem(md->snapshots[0]->json.p, md->snapshots[0]->json.n, "\"sequence-number\":1,", 20));
    assert_null(memmem(md->snapshots[0]->json.p, md->snapshots[0]->json.n, "parent", 6));
    assert_non_null(memmem(md->snapshots[1]->json.p, md->snapshots[1]->json.n, "\"parent-snapshot-id\":10", 23));
    ib_metadata_unref(md);
    assert_int_equal(m.used, 0);
}

/* A long life of one table: memory holds one metadata, not all of them, and old ones stay whole. */
static void test_shared(void **state)
{
    ib_metadata *md = fresh(), *early = NULL;
    int64_t at100 = 0;
    for (int i = 1; i <= 300; i++) {
        append(&md, i);
        if (i == 20)
            early = ib_metadata_ref(md);
        if (i == 100)
            at100 = m.used;
    }
    assert_ptr_equal(md->snapshots[3], early->snapshots[3]);
    assert_ptr_equal(md->schemas, early->schemas);
    assert_true(m.used < at100 * 4); /* linear in the snapshots: no chain of older states */
    assert_int_equal(early->n_snapshots, 20);
    ib_metadata_unref(md);
    assert_int_equal(ib_current_snapshot(early)->snapshot_id, 20);
    assert_true(str_eqz(ib_prop(&ib_current_snapshot(early)->summary, "operation"), "append"));
    ib_metadata_unref(early);
    assert_int_equal(m.used, 0);
}

static void test_metadata_log(void **state)
{
    ib_metadata *md = fresh();
    ib_kv kv = {STR("write.metadata.previous-versions-max"), STR("3")};
    ib_update u = {.kind = IB_SET_PROPERTIES, .props = {1, &kv}};
    for (int i = 0; i < 120; i++)
        append(&md, i + 1);
    assert_int_equal(md->n_metadata_log, 100);
    must(&md, 1, &u);
    assert_int_equal(md->n_metadata_log, 3);
    kv.value = STR("none");
    refused(md, &u, FZ_INVALID, "previous-versions-max");
    ib_metadata_unref(md);
}

static void test_schema(void **state)
{
    ib_metadata *md = fresh();
    cols.f.n = 3;
    ib_schema s = {.schema_id = -1, .fields = &cols.f};
    ib_update u[] = {{.kind = IB_ADD_SCHEMA, .schema = &s, .id = -1}, {.kind = IB_SET_CURRENT_SCHEMA, .id = -1}};
    must(&md, 2, u);
    assert_int_equal(md->current_schema_id, 1);
    assert_int_equal(md->last_column_id, 3);
    must(&md, 2, u); /* the same again isn't a new one */
    assert_int_equal(md->n_schemas, 2);
    refused(md, &u[1], FZ_INVALID, "added last");
    ib_update set = {.kind = IB_SET_CURRENT_SCHEMA, .id = 9};
    refused(md, &set, FZ_INVALID, "schema 9 doesn't exist");
    set.id = 0;
    must(&md, 1, &set);
    assert_int_equal(md->current_schema_id, 0);
    /* a schema that lacks the column the table is partitioned by */
    three other = cols;
    other.x[0].field_id = 7;
    ib_schema lost = {.fields = &other.f};
    u[0].schema = &lost;
    fz_error e = {0};
    assert_int_equal(step(&md, 2, u, &e), FZ_INVALID);
    assert_non_null(strstr(e.message, "column 1 of the partition spec"));
    other.x[0].field_id = 2;
    refused(md, &u[0], FZ_INVALID, "two fields with id 2");
    ib_metadata_unref(md);
    assert_int_equal(m.used, 0);
}

static void test_spec(void **state)
{
    ib_metadata *md = fresh();
    ib_partition_field f[] = {
        {.source_id = 1, .field_id = -1, .name = STR("a_b"), .transform = {.kind = IB_BUCKET, .param = 4}},
        {.source_id = 2, .field_id = -1, .name = STR("b_t"), .transform = {.kind = IB_TRUNCATE, .param = 2}},
    };
    ib_partition_spec s = {.n = 2, .fields = f};
    ib_update u[] = {{.kind = IB_ADD_SPEC, .spec = &s}, {.kind = IB_SET_DEFAULT_SPEC, .id = -1}};
    must(&md, 2, u);
    assert_int_equal(md->default_spec_id, 1);
    assert_int_equal(md->specs[1].fields[0].field_id, 1000); /* as in the earlier spec */
    assert_int_equal(md->specs[1].fields[1].field_id, 1001);
    assert_int_equal(md->last_partition_id, 1001);
    f[1].source_id = 1;
    f[1].transform = (ib_transform){.kind = IB_YEAR};
    fz_error e = {0};
    assert_int_equal(step(&md, 2, u, &e), FZ_INVALID);
    assert_non_null(strstr(e.message, "year can't be applied to the type bigint"));
    f[1] = f[0];
    refused(md, &u[0], FZ_INVALID, "two partition fields");
    f[1] = (ib_partition_field){.source_id = 1, .field_id = -1, .name = STR("b"), .transform = {.kind = IB_IDENTITY}};
    assert_int_equal(step(&md, 2, u, &e), FZ_INVALID);
    assert_non_null(strstr(e.message, "name of another column"));
    ib_sort_field sf = {.source_id = 1, .transform = {.kind = IB_IDENTITY}, .nulls_last = true};
    ib_sort_order o = {.n = 1, .fields = &sf};
    ib_update so[] = {{.kind = IB_ADD_SORT_ORDER, .order = &o}, {.kind = IB_SET_DEFAULT_SORT_ORDER, .id = -1}};
    must(&md, 2, so);
    assert_int_equal(md->default_sort_order_id, 1);
    ib_metadata_unref(md);
    assert_int_equal(m.used, 0);
}

static void test_snapshot_checks(void **state)
{
    ib_metadata *md = fresh();
    append(&md, 1);
    ib_snapshot s = {.snapshot_id = 1, .parent_id = -1, .sequence_number = 2, .schema_id = -1, .manifest_list = STR("l")};
    ib_update u = {.kind = IB_ADD_SNAPSHOT, .snapshot = &s};
    refused(md, &u, FZ_INVALID, "snapshot 1 exists already");
    s.snapshot_id = 2;
    s.sequence_number = 1;
    refused(md, &u, FZ_CONFLICT, "sequence number 1");
    s.sequence_number = 2;
    s.schema_id = 5;
    refused(md, &u, FZ_INVALID, "schema 5");
    s.schema_id = 0;
    s.manifest_list = (str){0};
    refused(md, &u, FZ_INVALID, "manifest list");
    u = (ib_update){.kind = IB_SET_SNAPSHOT_REF, .ref = {.name = STR("x"), .snapshot_id = 9}};
    refused(md, &u, FZ_INVALID, "snapshot 9");
    u.ref = (ib_ref){.name = STR("main"), .snapshot_id = 1, .is_tag = true};
    refused(md, &u, FZ_INVALID, "branch");
    ib_metadata_unref(md);
}

static void test_refs_and_removal(void **state)
{
    ib_metadata *md = fresh();
    for (int i = 1; i <= 4; i++)
        append(&md, i);
    ib_update tag = {.kind = IB_SET_SNAPSHOT_REF, .ref = {.name = STR("v"), .snapshot_id = 2, .is_tag = true, .max_ref_age_ms = 5}};
    must(&md, 1, &tag);
    assert_int_equal(md->n_refs, 2);
    assert_int_equal(md->refs_list[1].max_ref_age_ms, 5);
    /* back to 3: the log goes on */
    ib_update back = {.kind = IB_SET_SNAPSHOT_REF, .ref = {.name = STR("main"), .snapshot_id = 3}};
    must(&md, 1, &back);
    assert_int_equal(md->current_snapshot_id, 3);
    assert_int_equal(md->n_snapshot_log, 5);
    int64_t gone[] = {2};
    ib_update rm = {.kind = IB_REMOVE_SNAPSHOTS, .n_ids = 1, .ids = gone};
    refused(md, &rm, FZ_CONFLICT, "snapshot 2 can't be removed: \"v\" is there"); /* made while somebody expired snapshots */
    ib_update with_tag[] = {{.kind = IB_REMOVE_SNAPSHOT_REF, .ref = {.name = STR("v")}}, rm};
    must(&md, 2, with_tag);
    assert_int_equal(md->n_snapshots, 3);
    assert_int_equal(md->n_refs, 1);
    assert_int_equal(md->n_snapshot_log, 3); /* 3, 4, 3 */
    assert_int_equal(md->snapshot_log[0].snapshot_id, 3);
    refused(md, &rm, FZ_INVALID, "snapshot 2");
    ib_update drop = {.kind = IB_REMOVE_SNAPSHOT_REF, .ref = {.name = STR("main")}};
    must(&md, 1, &drop);
    assert_int_equal(md->current_snapshot_id, -1);
    sbuf b;
    sbuf_init(&b, &m);
    ib_metadata_write(md, &b);
    ib_metadata *again;
    fz_error e = {0};
    if (ib_metadata_parse(b.p, b.n, "x", &m, &again, &e) != FZ_OK)
        fail_msg("%s", e.message);
    ib_metadata_unref(again);
    sbuf_free(&b);
    ib_metadata_unref(md);
    assert_int_equal(m.used, 0);
}

static void test_properties(void **state)
{
    ib_metadata *md = fresh();
    ib_kv kv[] = {{STR("k"), STR("w")}, {STR("n"), STR("1")}};
    ib_update u = {.kind = IB_SET_PROPERTIES, .props = {2, kv}};
    int64_t before = md->last_updated_ms;
    must(&md, 1, &u);
    assert_true(md->last_updated_ms >= before);
    assert_int_equal(md->properties.n, 2);
    assert_true(str_eqz(ib_prop(&md->properties, "k"), "w"));
    u = (ib_update){.kind = IB_REMOVE_PROPERTIES, .props = {1, (ib_kv[]){{STR("k"), {0}}}}};
    must(&md, 1, &u);
    must(&md, 1, &u);
    assert_int_equal(md->properties.n, 1);
    u = (ib_update){.kind = IB_UPGRADE_FORMAT_VERSION, .id = 3};
    refused(md, &u, FZ_UNSUPPORTED, "version 3");
    u.id = 1;
    refused(md, &u, FZ_INVALID, "can't go back");
    u = (ib_update){.kind = IB_SET_LOCATION, .text = STR("file:///new/")};
    must(&md, 1, &u);
    assert_true(str_eqz(md->location, "file:///new"));
    ib_metadata_unref(md);
    assert_int_equal(m.used, 0);
}

/* A version 1 table gets version 2's members, and a uuid, when it is upgraded. */
static void test_upgrade(void **state)
{
    static const char v1[] =
        "{\"format-version\":1,\"location\":\"file:///t\",\"last-updated-ms\":5,\"last-column-id\":1,\"schema\":{\"type\":\"struct\","
        "\"fields\":[{\"id\":1,\"name\":\"x\",\"required\":true,\"type\":\"long\"}]},\"partition-spec\":[],\"properties\":{},"
        "\"current-snapshot-id\":-1,\"snapshots\":[]}";
    ib_metadata *md;
    fz_error e = {0};
    assert_int_equal(ib_metadata_parse(v1, strlen(v1), "v1", &m, &md, &e), FZ_OK);
    assert_int_equal(md->table_uuid.n, 0);
    ib_update u = {.kind = IB_UPGRADE_FORMAT_VERSION, .id = 2};
    must(&md, 1, &u);
    assert_int_equal(md->format_version, 2);
    assert_int_equal(md->table_uuid.n, 36);
    append(&md, 1);
    assert_int_equal(md->last_sequence_number, 1);
    assert_int_equal(md->table_uuid.n, 36);
    ib_metadata_unref(md);
    assert_int_equal(m.used, 0);
}

static void test_requirements(void **state)
{
    ib_metadata *md = fresh();
    append(&md, 7);
    ib_requirement good[] = {
        {IB_ASSERT_TABLE_UUID, md->table_uuid, 0}, {IB_ASSERT_REF_SNAPSHOT_ID, STR("main"), 7},
        {IB_ASSERT_REF_SNAPSHOT_ID, STR("none"), -1}, {IB_ASSERT_LAST_ASSIGNED_FIELD_ID, {0}, 2},
        {IB_ASSERT_CURRENT_SCHEMA_ID, {0}, 0}, {IB_ASSERT_LAST_ASSIGNED_PARTITION_ID, {0}, 1000},
        {IB_ASSERT_DEFAULT_SPEC_ID, {0}, 0}, {IB_ASSERT_DEFAULT_SORT_ORDER_ID, {0}, 0},
    };
    uint32_t n = sizeof good / sizeof good[0];
    fz_error e = {0};
    assert_int_equal(ib_requirements_check(md, n, good, &e), FZ_OK);
    for (uint32_t i = 0; i < n; i++) {
        ib_requirement bad = good[i];
        bad.id = bad.id == -1 ? 7 : bad.id + 1;
        if (i == 0)
            bad.text = STR("00000000-0000-0000-0000-000000000000");
        assert_int_equal(ib_requirements_check(md, 1, &bad, &e), FZ_CONFLICT);
        assert_int_equal(ib_requirements_check(NULL, 1, &bad, &e), FZ_CONFLICT);
    }
    ib_requirement create = {IB_ASSERT_CREATE, {0}, 0};
    assert_int_equal(ib_requirements_check(md, 1, &create, &e), FZ_CONFLICT);
    assert_int_equal(ib_requirements_check(NULL, 1, &create, &e), FZ_OK);
    ib_metadata_unref(md);
}

static int set_up(void **state)
{
    mem_init(&m, NULL, NULL, 0);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_new), cmocka_unit_test(test_append), cmocka_unit_test(test_shared),
        cmocka_unit_test(test_metadata_log), cmocka_unit_test(test_schema), cmocka_unit_test(test_spec),
        cmocka_unit_test(test_snapshot_checks), cmocka_unit_test(test_refs_and_removal), cmocka_unit_test(test_properties),
        cmocka_unit_test(test_upgrade), cmocka_unit_test(test_requirements),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
