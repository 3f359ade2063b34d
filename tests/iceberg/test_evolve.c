/* test_evolve.c: what a schema, a partition spec, a sort order may become, which ids are given, and what is refused. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "iceberg/update/evolve.h"
#include "iceberg/update/history.h"
#include "iceberg/update/layout.h"

#include <stdio.h>

static mem m;

/* a required int, b string, st struct<x float, y decimal(9,2)>, l list<struct<p int>>, mp map<struct<k int>, struct<v int>>, d date */
static const char SCHEMA[] =
    "{\"type\":\"struct\",\"schema-id\":0,\"identifier-field-ids\":[1],\"fields\":["
    "{\"id\":1,\"name\":\"a\",\"required\":true,\"type\":\"int\"},"
    "{\"id\":2,\"name\":\"b\",\"required\":false,\"type\":\"string\",\"doc\":\"old\"},"
    "{\"id\":3,\"name\":\"st\",\"required\":true,\"type\":{\"type\":\"struct\",\"fields\":["
    "{\"id\":7,\"name\":\"x\",\"required\":false,\"type\":\"float\"},{\"id\":8,\"name\":\"y\",\"required\":true,\"type\":\"decimal(9, 2)\"}]}},"
    "{\"id\":4,\"name\":\"l\",\"required\":false,\"type\":{\"type\":\"list\",\"element-id\":9,\"element-required\":false,\"element\":"
    "{\"type\":\"struct\",\"fields\":[{\"id\":10,\"name\":\"p\",\"required\":false,\"type\":\"int\"}]}}},"
    "{\"id\":5,\"name\":\"mp\",\"required\":false,\"type\":{\"type\":\"map\",\"key-id\":11,\"value-id\":12,\"value-required\":false,\"key\":"
    "{\"type\":\"struct\",\"fields\":[{\"id\":13,\"name\":\"k\",\"required\":true,\"type\":\"int\"}]},\"value\":"
    "{\"type\":\"struct\",\"fields\":[{\"id\":14,\"name\":\"v\",\"required\":false,\"type\":\"int\"},{\"id\":15,\"name\":\"w\",\"required\":false,\"type\":\"int\"}]}}},"
    "{\"id\":6,\"name\":\"d\",\"required\":false,\"type\":\"date\"}]}";

static ib_metadata *table(int version, arena *a)
{
    ib_schema s;
    fz_error e = {0};
    ib_metadata *md;
    assert_int_equal(ib_schema_parse(STR(SCHEMA), a, &s, &e), FZ_OK);
    ib_partition_field f[] = {{.source_id = 6, .field_id = -1, .name = STR("d_month"), .transform = {.kind = IB_MONTH}},
                              {.source_id = 2, .field_id = -1, .name = STR("b_bucket"), .transform = {.kind = IB_BUCKET, .param = 4}}};
    ib_partition_spec spec = {.n = 2, .fields = f};
    ib_sort_field sf[] = {{.source_id = 8, .transform = {.kind = IB_IDENTITY}}};
    ib_sort_order order = {.n = 1, .fields = sf};
    assert_int_equal(ib_metadata_new(STR("file:///w/t"), &s, &spec, &order, NULL, &m, &md, &e), FZ_OK);
    md->format_version = version; /* a table of version 1 can't be made, only read */
    return md;
}

/* "st.x" to a path; a part in double quotes counts as quoted. */
static ib_path path(const char *text, arena *a)
{
    ib_part *parts = ARENA_ARRAY(a, ib_part, 8);
    uint32_t n = 0;
    for (const char *p = text; *p;) {
        size_t len = strcspn(p, ".");
        bool q = *p == '"';
        parts[n++] = (ib_part){{p + q, len - 2 * q}, q};
        p += len + (p[len] == '.');
    }
    return (ib_path){n, parts};
}

static fz_status evolve(const ib_metadata *md, arena *a, ib_schema_change c, const char *at, bool incompatible, ib_schema *out, int32_t *last, fz_error *e)
{
    bool changed;
    if (at)
        c.path = path(at, a);
    return ib_schema_evolve(md, 1, &c, incompatible, a, out, last, &changed, e);
}

static void gives(ib_schema_change c, const char *at, const char *want)
{
    int64_t used = m.used;
    arena a;
    arena_init(&a, &m);
    ib_metadata *md = table(2, &a);
    ib_schema s;
    int32_t last;
    fz_error e = {0};
    sbuf b;
    sbuf_init(&b, &m);
    if (evolve(md, &a, c, at, false, &s, &last, &e) != FZ_OK)
        fail_msg("%s", e.message);
    ib_schema_write(&s, &b);
    if (!strstr(b.p, want))
        fail_msg("%s\nlacks %s", b.p, want);
    sbuf_free(&b);
    ib_metadata_unref(md);
    arena_free(&a);
    assert_int_equal(m.used, used);
}

static void refused(ib_schema_change c, const char *at, const char *says)
{
    int64_t used = m.used;
    arena a;
    arena_init(&a, &m);
    ib_metadata *md = table(2, &a);
    ib_schema s;
    int32_t last;
    fz_error e = {0};
    fz_status st = evolve(md, &a, c, at, false, &s, &last, &e);
    if (st != FZ_INVALID || !strstr(e.message, says))
        fail_msg("%d \"%s\", \"%s\" was expected", st, e.message, says);
    ib_metadata_unref(md);
    arena_free(&a);
    assert_int_equal(m.used, used);
}

static void test_add(void **state)
{
    ib_schema_change c = {.op = IB_COL_ADD, .t = TYPE(T_INT64)};
    gives(c, "n", "{\"id\":6,\"name\":\"d\",\"required\":false,\"type\":\"date\"},{\"id\":16,\"name\":\"n\",\"required\":false,\"type\":\"long\"}]");
    gives(c, "st.n", "\"decimal(9, 2)\"},{\"id\":16,\"name\":\"n\"");
    gives(c, "ST.n", "\"decimal(9, 2)\"},{\"id\":16,\"name\":\"n\"");
    gives(c, "l.n", "{\"id\":10,\"name\":\"p\",\"required\":false,\"type\":\"int\"},{\"id\":16,\"name\":\"n\"");
    gives(c, "l.element.n", "\"type\":\"int\"},{\"id\":16,\"name\":\"n\"");
    gives(c, "mp.n", "{\"id\":15,\"name\":\"w\",\"required\":false,\"type\":\"int\"},{\"id\":16,\"name\":\"n\"");
    gives(c, "mp.value.n", "{\"id\":15,\"name\":\"w\",\"required\":false,\"type\":\"int\"},{\"id\":16,\"name\":\"n\"");
    refused(c, "mp.key.n", "of a map's key");
    refused(c, "a", "already");
    refused(c, "A", "differs only in case");
    refused(c, "st.X", "differs only in case");
    refused(c, "a.n", "isn't a struct");
    refused(c, "zz.n", "no column \"zz\"");
    refused(c, "st.zz.n", "no column \"st.zz\"");
    refused(c, "\"ST\".n", "no column \"ST\"");
    c.if_exists = true;
    gives(c, "b", "\"id\":2,\"name\":\"b\",\"required\":false,\"type\":\"string\"");
    c = (ib_schema_change){.op = IB_COL_ADD, .t = TYPE(T_INT64), .required = true};
    refused(c, "n", "can't be NOT NULL");
    c = (ib_schema_change){.op = IB_COL_ADD, .t = TYPE(T_INT64), .place = IB_PLACE_FIRST, .doc = STR("why")};
    gives(c, "n", "\"fields\":[{\"id\":16,\"name\":\"n\",\"required\":false,\"type\":\"long\",\"doc\":\"why\"},{\"id\":1");
    c = (ib_schema_change){.op = IB_COL_ADD, .t = TYPE(T_INT64), .place = IB_PLACE_AFTER, .after = {STR("X")}};
    gives(c, "st.n", "\"float\"},{\"id\":16,\"name\":\"n\",\"required\":false,\"type\":\"long\"},{\"id\":8");
    refused(c, "n", "no column \"X\"");
}

/* A new struct's fields get their ids before what is below them. */
static void test_add_nested(void **state)
{
    static const struct { type_fields f; type_field x[1]; } element = {.f = {.n = 1}, .x = {{.name = {"element", 7}, .t = {.id = T_INT32}}}};
    static const struct { type_fields f; type_field x[2]; } members = {
        .f = {.n = 2}, .x = {{.name = {"l", 1}, .t = {.id = T_LIST, .children = &element.f}}, {.name = {"i", 1}, .required = true, .t = {.id = T_INT32}}}};
    ib_schema_change c = {.op = IB_COL_ADD, .t = {.id = T_STRUCT, .children = &members.f}};
    gives(c, "n", "{\"id\":16,\"name\":\"n\",\"required\":false,\"type\":{\"type\":\"struct\",\"fields\":[{\"id\":17,\"name\":\"l\",\"required\":false,\"type\":"
          "{\"type\":\"list\",\"element-id\":19,\"element\":\"int\",\"element-required\":false}},{\"id\":18,\"name\":\"i\",\"required\":true,\"type\":\"int\"}]}}");
}

static void test_drop(void **state)
{
    ib_schema_change c = {.op = IB_COL_DROP};
    refused(c, "a", "is an identifier field");
    refused(c, "b", "partitioned by column \"b\"; DROP PARTITION FIELD \"b_bucket\"");
    refused(c, "st", "sorted by column \"st\"");
    refused(c, "st.y", "sorted by column \"y\"");
    refused(c, "l.element", "can't be dropped");
    refused(c, "l.element.p", "is the only column here");
    refused(c, "mp.key.k", "of a map's key");
    refused(c, "mp.value", "can't be dropped");
    refused(c, "nope", "no column \"nope\"");
    gives(c, "st.x", "\"fields\":[{\"id\":8,\"name\":\"y\",\"required\":true");
    gives(c, "mp.value.v", "\"value\":{\"type\":\"struct\",\"fields\":[{\"id\":15,\"name\":\"w\"");
    gives(c, "l", "\"decimal(9, 2)\"}]}},{\"id\":5");
    c.if_exists = true;
    gives(c, "nope", "\"name\":\"b\"");
}

static void test_rename_move(void **state)
{
    ib_schema_change c = {.op = IB_COL_RENAME, .name = STR("n")};
    gives(c, "b", "{\"id\":2,\"name\":\"n\",\"required\":false,\"type\":\"string\",\"doc\":\"old\"}");
    gives(c, "l.element.p", "{\"id\":10,\"name\":\"n\"");
    refused(c, "l.element", "can't be renamed");
    refused(c, "mp.key.k", "of a map's key");
    c.name = STR("A");
    gives(c, "a", "{\"id\":1,\"name\":\"A\"");
    refused(c, "b", "differs only in case");
    c.name = STR("");
    refused(c, "b", "needs a name");
    c = (ib_schema_change){.op = IB_COL_MOVE, .place = IB_PLACE_FIRST};
    gives(c, "d", "\"fields\":[{\"id\":6,\"name\":\"d\",\"required\":false,\"type\":\"date\"},{\"id\":1,");
    gives(c, "mp.value.w", "\"fields\":[{\"id\":15,\"name\":\"w\",\"required\":false,\"type\":\"int\"},{\"id\":14");
    c = (ib_schema_change){.op = IB_COL_MOVE, .place = IB_PLACE_AFTER, .after = {STR("b")}};
    gives(c, "a", "\"fields\":[{\"id\":2,\"name\":\"b\",\"required\":false,\"type\":\"string\",\"doc\":\"old\"},{\"id\":1,");
    gives(c, "d", "\"doc\":\"old\"},{\"id\":6,");
    refused(c, "b", "next to itself");
    refused(c, "st.x", "no column \"b\"");
}

static void test_types(void **state)
{
    ib_schema_change c = {.op = IB_COL_TYPE, .t = TYPE(T_INT64)};
    gives(c, "a", "\"name\":\"a\",\"required\":true,\"type\":\"long\"");
    gives(c, "l.element.p", "\"name\":\"p\",\"required\":false,\"type\":\"long\"");
    refused(c, "mp.key.k", "of a map's key");
    refused(c, "b", "is string and can't become long");
    refused(c, "d", "is date and can't become long");
    c.t = TYPE(T_INT32);
    gives(c, "a", "\"type\":\"int\""); /* nothing to do */
    c.t = TYPE(T_FLOAT64);
    gives(c, "st.x", "\"name\":\"x\",\"required\":false,\"type\":\"double\"");
    refused(c, "a", "is int and can't become double");
    c.t = TYPE_DECIMAL(38, 2);
    gives(c, "st.y", "\"decimal(38, 2)\"");
    c.t = TYPE_DECIMAL(38, 3);
    refused(c, "st.y", "can't become decimal(38, 3)");
    c.t = TYPE_DECIMAL(8, 2);
    refused(c, "st.y", "can't become decimal(8, 2)");
    c = (ib_schema_change){.op = IB_COL_OPTIONAL};
    gives(c, "st.y", "\"name\":\"y\",\"required\":false");
    refused(c, "a", "holds an identifier field");
    refused(c, "mp.key.k", "of a map's key");
    c.op = IB_COL_REQUIRED;
    refused(c, "b", "can't become NOT NULL");
    c = (ib_schema_change){.op = IB_COL_DOC, .doc = STR("new")};
    gives(c, "b", "\"doc\":\"new\"");
}

static void test_identifiers(void **state)
{
    arena a;
    arena_init(&a, &m);
    ib_path y = path("st.y", &a), x = path("st.x", &a), b = path("b", &a), p = path("l.element.p", &a), st = path("st", &a), one = path("a", &a);
    ib_schema_change c = {.op = IB_COL_IDENTIFIER, .n_paths = 1, .paths = &y};
    gives(c, NULL, "\"identifier-field-ids\":[8]");
    c.paths = &b;
    refused(c, NULL, "can't be an identifier field: it may be null");
    c.paths = &x;
    refused(c, NULL, "it is a floating-point number");
    c.paths = &p;
    refused(c, NULL, "it is inside of a list or map");
    c.paths = &st;
    refused(c, NULL, "it is nested");
    c = (ib_schema_change){.op = IB_COL_NO_IDENTIFIER, .n_paths = 1, .paths = &one};
    gives(c, NULL, "\"schema-id\":0,\"fields\"");
    c.paths = &y;
    refused(c, NULL, "isn't an identifier field");
    arena_free(&a);
}

/* Several changes in a row see each other; a name that was dropped and added again is a new column. */
static void test_sequence(void **state)
{
    arena a;
    arena_init(&a, &m);
    ib_metadata *md = table(2, &a);
    ib_schema_change c[] = {{.op = IB_COL_DROP, .path = path("l", &a)}, {.op = IB_COL_ADD, .path = path("l", &a), .t = TYPE(T_STRING)},
                            {.op = IB_COL_RENAME, .path = path("l", &a), .name = STR("k")}, {.op = IB_COL_MOVE, .path = path("k", &a), .place = IB_PLACE_FIRST}};
    ib_schema s;
    int32_t last;
    bool changed;
    fz_error e = {0};
    assert_int_equal(ib_schema_evolve(md, 4, c, false, &a, &s, &last, &changed, &e), FZ_OK);
    assert_true(changed);
    assert_int_equal(last, 16);
    assert_true(str_eqz(s.fields->f[0].name, "k"));
    assert_int_equal(s.fields->f[0].field_id, 16);
    /* the required column is allowed where no row was ever written */
    ib_schema_change r = {.op = IB_COL_ADD, .path = path("n", &a), .t = TYPE(T_DATE), .required = true};
    assert_int_equal(ib_schema_evolve(md, 1, &r, true, &a, &s, &last, &changed, &e), FZ_OK);
    assert_true(s.fields->f[6].required);
    ib_metadata_unref(md);
    arena_free(&a);
}

static void test_replace(void **state)
{
    static const char NEW[] = "{\"type\":\"struct\",\"schema-id\":0,\"identifier-field-ids\":[2],\"fields\":[{\"id\":1,\"name\":\"z\",\"required\":false,\"type\":\"int\"},"
        "{\"id\":2,\"name\":\"a\",\"required\":true,\"type\":\"long\"},{\"id\":3,\"name\":\"st\",\"required\":false,\"type\":{\"type\":\"struct\",\"fields\":["
        "{\"id\":4,\"name\":\"n\",\"required\":false,\"type\":\"int\"},{\"id\":5,\"name\":\"x\",\"required\":false,\"type\":\"int\"}]}}]}";
    arena a;
    arena_init(&a, &m);
    ib_metadata *md = table(2, &a);
    ib_schema s, out;
    int32_t last;
    fz_error e = {0};
    assert_int_equal(ib_schema_parse(STR(NEW), &a, &s, &e), FZ_OK);
    assert_int_equal(ib_schema_replace(md, &s, &a, &out, &last, &e), FZ_OK);
    assert_int_equal(out.fields->f[0].field_id, 16);
    assert_int_equal(out.fields->f[1].field_id, 1);
    assert_int_equal(out.fields->f[2].field_id, 3);
    assert_int_equal(out.fields->f[2].t.children->f[0].field_id, 17);
    assert_int_equal(out.fields->f[2].t.children->f[1].field_id, 7);
    assert_int_equal(out.identifier_ids[0], 1);
    assert_int_equal(last, 17);
    ib_metadata_unref(md);
    arena_free(&a);
}

/* ---- partition specs ---- */

static fz_status spec(const ib_metadata *md, arena *a, uint32_t n, const ib_spec_change *c, ib_partition_spec *out, fz_error *e)
{
    return ib_spec_evolve(md, n, c, a, out, e);
}

static void test_spec(void **state)
{
    arena a;
    arena_init(&a, &m);
    ib_metadata *md = table(2, &a);
    ib_partition_spec s;
    fz_error e = {0};
    ib_spec_change add = {.op = IB_PART_ADD, .term = {path("b", &a), {.kind = IB_TRUNCATE, .param = 3}}};
    assert_int_equal(spec(md, &a, 1, &add, &s, &e), FZ_OK);
    assert_int_equal(s.n, 3);
    assert_true(str_eqz(s.fields[2].name, "b_trunc_3"));
    assert_true(str_eqz(s.fields[2].transform.text, "truncate[3]"));
    assert_int_equal(s.fields[2].field_id, 1002);
    ib_spec_change drop = {.op = IB_PART_DROP, .field = STR("d_month")};
    assert_int_equal(spec(md, &a, 1, &drop, &s, &e), FZ_OK);
    assert_int_equal(s.n, 1);
    assert_int_equal(s.fields[0].field_id, 1001);
    drop = (ib_spec_change){.op = IB_PART_DROP, .old = {path("b", &a), {.kind = IB_BUCKET, .param = 4}}};
    assert_int_equal(spec(md, &a, 1, &drop, &s, &e), FZ_OK);
    assert_int_equal(s.n, 1);
    assert_true(str_eqz(s.fields[0].name, "d_month"));
    ib_spec_change rep = {.op = IB_PART_REPLACE, .field = STR("d_month"), .term = {path("d", &a), {.kind = IB_DAY}}, .name = STR("day")};
    assert_int_equal(spec(md, &a, 1, &rep, &s, &e), FZ_OK);
    assert_int_equal(s.n, 2);
    assert_true(str_eqz(s.fields[1].name, "day"));
    assert_int_equal(s.fields[1].field_id, 1002);
    ib_spec_change ren = {.op = IB_PART_RENAME, .field = STR("d_month"), .name = STR("mon")};
    assert_int_equal(spec(md, &a, 1, &ren, &s, &e), FZ_OK);
    assert_true(str_eqz(s.fields[0].name, "mon"));
    ren.name = STR("b_bucket");
    assert_int_equal(spec(md, &a, 1, &ren, &s, &e), FZ_INVALID);
    ren.name = STR("a");
    assert_int_equal(spec(md, &a, 1, &ren, &s, &e), FZ_INVALID);
    assert_non_null(strstr(e.message, "that is a column"));
    static const struct { const char *at; ib_transform t; const char *says; } bad[] = {
        {"b", {.kind = IB_BUCKET, .param = 4}, "partitioned like that already"}, {"b", {.kind = IB_MONTH}, "can't be applied"},
        {"l.element.p", {.kind = IB_IDENTITY}, "is a list or a map"}, {"zz", {.kind = IB_IDENTITY}, "no column \"zz\""},
        {"st", {.kind = IB_IDENTITY}, "can't be applied"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ib_spec_change x = {.op = IB_PART_ADD, .term = {path(bad[i].at, &a), bad[i].t}};
        assert_int_equal(spec(md, &a, 1, &x, &s, &e), FZ_INVALID);
        if (!strstr(e.message, bad[i].says))
            fail_msg("%s", e.message);
    }
    ib_spec_change twice[] = {{.op = IB_PART_DROP, .field = STR("d_month")}, {.op = IB_PART_ADD, .term = {path("d", &a), {.kind = IB_DAY}}},
                              {.op = IB_PART_ADD, .term = {path("d", &a), {.kind = IB_YEAR}}}};
    assert_int_equal(spec(md, &a, 3, twice, &s, &e), FZ_INVALID);
    ib_spec_change nested = {.op = IB_PART_ADD, .term = {path("st.y", &a), {.kind = IB_IDENTITY}}};
    assert_int_equal(spec(md, &a, 1, &nested, &s, &e), FZ_OK);
    assert_true(str_eqz(s.fields[2].name, "st.y"));
    ib_metadata_unref(md);
    arena_free(&a);
}

/* A field that was dropped comes back with its id in version 2; in version 1 it never goes. */
static void test_spec_again(void **state)
{
    arena a;
    arena_init(&a, &m);
    ib_metadata *md = table(2, &a), *next;
    ib_partition_spec s;
    fz_error e = {0};
    ib_spec_change drop = {.op = IB_PART_DROP, .field = STR("b_bucket")};
    ib_spec_change add = {.op = IB_PART_ADD, .term = {path("b", &a), {.kind = IB_BUCKET, .param = 4}}};
    assert_int_equal(spec(md, &a, 1, &drop, &s, &e), FZ_OK);
    ib_update u[] = {{.kind = IB_ADD_SPEC, .spec = &s}, {.kind = IB_SET_DEFAULT_SPEC, .id = -1}};
    assert_int_equal(ib_metadata_apply(md, NULL, 2, u, &m, &next, &e), FZ_OK);
    assert_int_equal(next->default_spec_id, 1);
    assert_int_equal(spec(next, &a, 1, &add, &s, &e), FZ_OK);
    assert_int_equal(s.n, 2);
    assert_int_equal(s.fields[1].field_id, 1001);
    assert_true(str_eqz(s.fields[1].name, "b_bucket"));
    add.name = STR("mine");
    assert_int_equal(spec(next, &a, 1, &add, &s, &e), FZ_OK);
    assert_int_equal(s.fields[1].field_id, 1002);
    ib_metadata_unref(next);
    ib_metadata_unref(md);
    md = table(1, &a);
    assert_int_equal(spec(md, &a, 1, &drop, &s, &e), FZ_OK);
    assert_int_equal(s.n, 2);
    assert_int_equal(s.fields[1].transform.kind, IB_VOID);
    assert_int_equal(s.fields[1].field_id, 1001);
    ib_spec_change both[] = {drop, {.op = IB_PART_ADD, .term = {path("b", &a), {.kind = IB_TRUNCATE, .param = 2}}, .name = STR("b_bucket")}};
    assert_int_equal(spec(md, &a, 2, both, &s, &e), FZ_OK);
    assert_true(str_eqz(s.fields[1].name, "b_bucket_1001"));
    assert_int_equal(s.fields[2].field_id, 1002);
    ib_metadata_unref(md);
    arena_free(&a);
}

/* ---- snapshots ---- */

/* main 1-2-3-4, branch "b" 1-2-5, tag "t" at 1; 6 is nobody's. Snapshot n is n days old less one, counted from 10. */
#define DAY 86400000LL
static ib_metadata *history(const char *retention)
{
    sbuf b;
    sbuf_init(&b, &m);
    sbuf_addz(&b, "{\"format-version\":2,\"table-uuid\":\"9c12d441-03fe-4693-9a96-a0705ddf69c1\",\"location\":\"/w/t\",\"last-sequence-number\":9,"
              "\"last-updated-ms\":1,\"last-column-id\":1,\"current-schema-id\":0,\"schemas\":[{\"type\":\"struct\",\"schema-id\":0,\"fields\":["
              "{\"id\":1,\"name\":\"x\",\"required\":true,\"type\":\"long\"}]}],\"default-spec-id\":0,\"partition-specs\":[{\"spec-id\":0,\"fields\":[]}],"
              "\"last-partition-id\":999,\"default-sort-order-id\":0,\"sort-orders\":[{\"order-id\":0,\"fields\":[]}],\"current-snapshot-id\":4,"
              "\"refs\":{\"main\":{\"snapshot-id\":4,\"type\":\"branch\"},\"b\":{\"snapshot-id\":5,\"type\":\"branch\"");
    sbuf_addz(&b, retention);
    sbuf_addz(&b, "},\"t\":{\"snapshot-id\":1,\"type\":\"tag\",\"max-ref-age-ms\":864000000}},\"snapshots\":[");
    static const int parent[] = {0, -1, 1, 2, 3, 2, 4};
    for (int i = 1; i <= 6; i++) {
        sbuf_printf(&b, "%s{\"snapshot-id\":%d,\"sequence-number\":%d,\"timestamp-ms\":%lld,\"manifest-list\":\"/w/l%d\",\"summary\":{\"operation\":\"append\"},\"schema-id\":0",
                    i > 1 ? "," : "", i, i, (long long)i * DAY, i);
        if (parent[i] >= 0)
            sbuf_printf(&b, ",\"parent-snapshot-id\":%d", parent[i]);
        sbuf_addc(&b, '}');
    }
    sbuf_addz(&b, "]}");
    ib_metadata *md;
    fz_error e = {0};
    if (ib_metadata_parse(b.p, b.n, "x", &m, &md, &e) != FZ_OK)
        fail_msg("%s", e.message);
    sbuf_free(&b);
    return md;
}

/* Which snapshots and refs go, as "1 2 -b". */
static void expires(const char *retention, ib_expire_options o, const char *want)
{
    arena a;
    arena_init(&a, &m);
    ib_metadata *md = history(retention);
    ib_change c = {.a = &a};
    fz_error e = {0};
    char got[100] = "";
    if (ib_expire(md, &o, &c, &e) != FZ_OK) {
        snprintf(got, sizeof got, "%s", e.message);
    } else {
        size_t n = 0;
        for (uint32_t i = 0; i < c.n_updates; i++) {
            for (uint32_t k = 0; k < c.updates[i].n_ids; k++)
                n += (size_t)snprintf(got + n, sizeof got - n, "%s%lld", n ? " " : "", (long long)c.updates[i].ids[k]);
            if (c.updates[i].kind == IB_REMOVE_SNAPSHOT_REF)
                n += (size_t)snprintf(got + n, sizeof got - n, "%s-" STR_FMT, n ? " " : "", STR_ARG(c.updates[i].ref.name));
        }
        ib_metadata *next;
        assert_int_equal(ib_metadata_apply(md, NULL, c.n_updates, c.updates, &m, &next, &e), FZ_OK);
        ib_metadata_unref(next);
    }
    if (strcmp(got, want) != 0)
        fail_msg("expires \"%s\", \"%s\" was expected", got, want);
    ib_metadata_unref(md);
    arena_free(&a);
    assert_int_equal(m.used, 0);
}

static void test_expire(void **state)
{
    /* five days back from day 10: what is before day 5 goes, but each branch keeps its newest and the tag its own */
    expires("", (ib_expire_options){.now_ms = 10 * DAY, .older_than_ms = -1, .retain_last = -1}, "2 3");
    expires("", (ib_expire_options){.now_ms = 10 * DAY, .older_than_ms = 100 * DAY, .retain_last = -1}, "2 3 6");
    expires("", (ib_expire_options){.now_ms = 10 * DAY, .older_than_ms = 100 * DAY, .retain_last = 2}, "6");
    expires("", (ib_expire_options){.now_ms = 10 * DAY, .older_than_ms = 3 * DAY, .retain_last = 1}, "2");
    expires(",\"min-snapshots-to-keep\":2", (ib_expire_options){.now_ms = 10 * DAY, .older_than_ms = -1, .retain_last = -1}, "3");
    expires(",\"max-snapshot-age-ms\":777600000", (ib_expire_options){.now_ms = 10 * DAY, .older_than_ms = -1, .retain_last = -1}, "3");
    /* a branch past its age goes with its snapshots, a tag too */
    expires(",\"max-ref-age-ms\":86400000", (ib_expire_options){.now_ms = 10 * DAY, .older_than_ms = 100 * DAY, .retain_last = -1}, "-b 2 3 5 6");
    expires("", (ib_expire_options){.now_ms = 12 * DAY, .older_than_ms = 1, .retain_last = -1}, "-t");
    int64_t ids[] = {6}, held[] = {5}, none[] = {77};
    expires("", (ib_expire_options){.now_ms = 100 * DAY, .older_than_ms = -1, .retain_last = -1, .n_ids = 1, .ids = ids, .only_ids = true}, "6");
    expires("", (ib_expire_options){.now_ms = 10 * DAY, .older_than_ms = -1, .retain_last = -1, .n_ids = 1, .ids = held, .only_ids = true},
            "snapshot 5 can't be expired: \"b\" is there");
    expires("", (ib_expire_options){.now_ms = 10 * DAY, .older_than_ms = -1, .retain_last = -1, .n_ids = 1, .ids = none, .only_ids = true},
            "the table has no snapshot 77");
}

static void test_ancestors(void **state)
{
    ib_metadata *md = history("");
    assert_true(ib_is_ancestor(md, 1, 4) && ib_is_ancestor(md, 4, 4) && ib_is_ancestor(md, 2, 5));
    assert_false(ib_is_ancestor(md, 5, 4) || ib_is_ancestor(md, 3, 5) || ib_is_ancestor(md, 77, 4) || ib_is_ancestor(md, 1, 77));
    ib_metadata_unref(md);
}

/* ---- statistics, locations ---- */

static void test_statistics(void **state)
{
    ib_metadata *md = history(""), *next;
    fz_error e = {0};
    const char *file = "{\"snapshot-id\":4,\"statistics-path\":\"/w/s.puffin\",\"file-size-in-bytes\":1,\"file-footer-size-in-bytes\":1,\"blob-metadata\":[]}";
    ib_update set = {.kind = IB_SET_STATISTICS, .id = 4, .text = str_of(file)};
    assert_int_equal(ib_metadata_apply(md, NULL, 1, &set, &m, &next, &e), FZ_OK);
    ib_metadata_unref(md);
    md = next;
    assert_int_equal(md->statistics_json.n, strlen(file) + 2);
    assert_int_equal(ib_metadata_apply(md, NULL, 1, &set, &m, &next, &e), FZ_OK); /* in its place */
    assert_true(str_eq(next->statistics_json, md->statistics_json));
    ib_metadata_unref(next);
    set.id = 3;
    assert_int_equal(ib_metadata_apply(md, NULL, 1, &set, &m, &next, &e), FZ_INVALID);
    set.id = 77;
    assert_int_equal(ib_metadata_apply(md, NULL, 1, &set, &m, &next, &e), FZ_INVALID);
    int64_t four = 4;
    ib_update gone = {.kind = IB_REMOVE_STATISTICS, .n_ids = 1, .ids = &four};
    assert_int_equal(ib_metadata_apply(md, NULL, 1, &gone, &m, &next, &e), FZ_OK);
    assert_int_equal(next->statistics_json.n, 0);
    ib_metadata_unref(next);
    ib_metadata_unref(md);
    assert_int_equal(m.used, 0);
}

/* The unsorted order is number 0, whenever it comes. */
static void test_unsorted(void **state)
{
    arena a;
    arena_init(&a, &m);
    ib_metadata *md = table(2, &a), *next;
    ib_sort_order none = {0};
    fz_error e = {0};
    assert_int_equal(md->default_sort_order_id, 1);
    ib_update u[] = {{.kind = IB_ADD_SORT_ORDER, .order = &none}, {.kind = IB_SET_DEFAULT_SORT_ORDER, .id = -1}};
    assert_int_equal(ib_metadata_apply(md, NULL, 2, u, &m, &next, &e), FZ_OK);
    assert_int_equal(next->default_sort_order_id, 0);
    ib_metadata_unref(next);
    ib_metadata_unref(md);
    arena_free(&a);
}

static ib_metadata *with_props(uint32_t n, const ib_kv *kv, arena *a)
{
    ib_metadata *md = table(2, a), *next;
    fz_error e = {0};
    ib_update u = {.kind = IB_SET_PROPERTIES, .props = {n, kv}};
    assert_int_equal(ib_metadata_apply(md, NULL, 1, &u, &m, &next, &e), FZ_OK);
    ib_metadata_unref(md);
    return next;
}

static void test_locations(void **state)
{
    arena a;
    arena_init(&a, &m);
    ib_kv kv[] = {{STR("write.object-storage.enabled"), STR("true")}, {STR("write.metadata.compression-codec"), STR("gzip")},
                  {STR("write.data.path"), STR("/other/place/")}, {STR("write.object-storage.partitioned-paths"), STR("false")}};

    ib_metadata *md = with_props(2, kv, &a);
    char *p = ib_data_location(md, (str){0}, 0, 0, "u", &a);
    assert_true(sscanf(p, "file:///w/t/data/%*4[01]/%*4[01]/%*4[01]/%*8[01]/%*s") == 0);
    assert_true(strlen(p) == strlen("file:///w/t/data/0000/0000/0000/00000000/00000-0-u.parquet"));
    p = ib_data_location(md, STR("x=1"), 0, 0, "u", &a);
    assert_non_null(strstr(p, "/x=1/00000-0-u.parquet"));
    p = ib_metadata_location(md, 7, "u", &a);
    assert_string_equal(p, "file:///w/t/metadata/00007-u.gz.metadata.json");
    assert_int_equal(ib_metadata_version(str_of(p)), 7);
    ib_metadata_unref(md);
    md = with_props(4, kv, &a);
    p = ib_data_location(md, STR("x=1"), 0, 0, "u", &a);
    assert_non_null(strstr(p, "/other/place/"));
    assert_non_null(strstr(p, "/w/t/00000-0-u.parquet"));
    assert_null(strstr(p, "x=1"));
    ib_metadata_unref(md);
    arena_free(&a);
}

int main(void)
{
    mem_init(&m, NULL, NULL, 0);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_add), cmocka_unit_test(test_add_nested), cmocka_unit_test(test_drop), cmocka_unit_test(test_rename_move),
        cmocka_unit_test(test_types), cmocka_unit_test(test_identifiers), cmocka_unit_test(test_sequence), cmocka_unit_test(test_replace),
        cmocka_unit_test(test_spec), cmocka_unit_test(test_spec_again), cmocka_unit_test(test_expire), cmocka_unit_test(test_ancestors),
        cmocka_unit_test(test_statistics), cmocka_unit_test(test_unsorted), cmocka_unit_test(test_locations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
