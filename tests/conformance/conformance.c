/* conformance.c: see conformance.h. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "conformance/conformance.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define OK(call)                                                                     \
    do {                                                                             \
        fz_error e_ = {0};                                                           \
        fz_error *err = &e_;                                                         \
        fz_status s_ = (call);                                                       \
        if (s_ != FZ_OK)                                                             \
            fail_msg("%s: %d %s (%s)", #call, s_, e_.message, e_.where);             \
    } while (0)
#define FAILS(want, says, call)                                                      \
    do {                                                                             \
        fz_error e_ = {0};                                                           \
        fz_error *err = &e_;                                                         \
        fz_status s_ = (call);                                                       \
        if (s_ != (want) || !strstr(e_.message, says))                               \
            fail_msg("%s: %d \"%s\"", #call, s_, e_.message);                        \
    } while (0)

ib_metadata *sample_metadata(ib_catalog *c, ib_ident id)
{
    struct { type_fields f; type_field x[1]; } cols = {.f = {.n = 1}, .x = {{.name = STR("a"), .field_id = 1, .t = TYPE(T_INT64)}}};
    ib_schema s = {.fields = &cols.f};
    ib_metadata *md;
    arena a;
    str location;
    arena_init(&a, NULL);
    OK(c->ops->default_location(c, id, &a, &location, err));
    OK(ib_metadata_new(location, &s, NULL, NULL, NULL, c->m, &md, err));
    arena_free(&a);
    md->io = file_io_ref(c->io);
    return md;
}

ib_table *sample_create(ib_catalog *c, ib_ident id)
{
    ib_metadata *md = sample_metadata(c, id);
    ib_table *t;
    OK(c->ops->create_table(c, id, md, &t, err));
    ib_metadata_unref(md);
    return t;
}

fz_status sample_append(ib_catalog *c, ib_ident id, ib_table *base, int64_t snapshot_id, int64_t parent, int64_t sequence,
                        bool strict, ib_table **out, fz_error *err)
{
    ib_kv kv = {STR("operation"), STR("append")};
    ib_snapshot s = {.snapshot_id = snapshot_id, .parent_id = parent, .sequence_number = sequence, .timestamp_ms = (int64_t)time(NULL) * 1000 + 2000,
                     .manifest_list = STR("file:///none.avro"), .schema_id = 0, .summary = {1, &kv}};
    ib_requirement r = {IB_ASSERT_REF_SNAPSHOT_ID, STR("main"), parent};
    ib_update u[] = {{.kind = IB_ADD_SNAPSHOT, .snapshot = &s},
                     {.kind = IB_SET_SNAPSHOT_REF, .ref = {.name = STR("main"), .snapshot_id = snapshot_id}}};
    ib_commit k = {.id = id, .n_requirements = strict, .requirements = &r, .n_updates = 2, .updates = u};
    return c->ops->commit(c, 1, &k, base ? &base : NULL, out, err);
}

fz_status sample_set(ib_catalog *c, ib_ident id, const char *key, const char *value, ib_table **out, fz_error *err)
{
    ib_kv kv = {str_of(key), str_of(value)};
    ib_update u = {.kind = IB_SET_PROPERTIES, .props = {1, &kv}};
    ib_commit k = {.id = id, .n_updates = 1, .updates = &u};
    return c->ops->commit(c, 1, &k, NULL, out, err);
}

/* The names, joined by spaces. */
static void names_are(ib_catalog *c, const char *parent, const char *want)
{
    arena a;
    uint32_t n;
    str *l;
    sbuf b;
    arena_init(&a, NULL);
    sbuf_init(&b, NULL);
    sbuf_addz(&b, "");
    OK(c->ops->list_namespaces(c, str_of(parent), &a, &n, &l, err));
    for (uint32_t i = 0; i < n; i++) {
        if (i)
            sbuf_addc(&b, ' ');
        sbuf_str(&b, l[i]);
    }
    assert_string_equal(b.n ? b.p : "", want);
    sbuf_free(&b);
    arena_free(&a);
}

static void tables_are(ib_catalog *c, const char *ns, const char *want)
{
    arena a;
    uint32_t n;
    ib_ident *l;
    sbuf b;
    arena_init(&a, NULL);
    sbuf_init(&b, NULL);
    OK(c->ops->list_tables(c, str_of(ns), &a, &n, &l, err));
    for (uint32_t i = 0; i < n; i++) {
        if (i)
            sbuf_addc(&b, ' ');
        assert_true(str_eqz(l[i].ns, ns));
        sbuf_str(&b, l[i].name);
    }
    assert_string_equal(b.n ? b.p : "", want);
    sbuf_free(&b);
    arena_free(&a);
}

/* A namespace that may be there already. */
static void ensure(ib_catalog *c, const char *ns)
{
    fz_error e = {0};
    fz_status st = c->ops->create_namespace(c, str_of(ns), NULL, &e);
    if (st != FZ_OK && st != FZ_EXISTS)
        fail_msg("%s: %s", ns, e.message);
}

/* ---- names ---- */

static void namespaces(conformance_env *e)
{
    ib_catalog *c = e->c;
    arena a;
    ib_props got;
    bool there;
    arena_init(&a, NULL);
    names_are(c, "", "");
    ib_kv kv[] = {{STR("owner"), STR("o'x \"q\"")}, {STR("comment"), STR("c")}};
    ib_props props = {2, kv};
    OK(c->ops->create_namespace(c, STR("one"), NULL, err));
    OK(c->ops->create_namespace(c, STR("a.b.c"), &props, err));
    OK(c->ops->create_namespace(c, STR("a_b"), NULL, err));
    OK(c->ops->create_namespace(c, STR("\xc3\xa9 %x"), NULL, err));
    names_are(c, "", "a a.b a.b.c a_b one \xc3\xa9 %x");
    names_are(c, "a", "a.b a.b.c");
    names_are(c, "a.b.c", "");
    FAILS(FZ_NOT_FOUND, "a.x", c->ops->list_namespaces(c, STR("a.x"), &a, &(uint32_t){0}, &(str *){0}, err));
    FAILS(FZ_EXISTS, "one exists already", c->ops->create_namespace(c, STR("one"), NULL, err));
    FAILS(FZ_EXISTS, "a.b exists already", c->ops->create_namespace(c, STR("a.b"), NULL, err));
    static const char *const bad[] = {"", ".", "a.", ".a", "a..b", "a\n", "\xff"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        FAILS(FZ_INVALID, "", c->ops->create_namespace(c, str_of(bad[i]), NULL, err));
    OK(c->ops->namespace_exists(c, STR("a.b"), &there, err));
    assert_true(there);
    OK(c->ops->namespace_exists(c, STR("a.bb"), &there, err));
    assert_false(there);
    OK(c->ops->namespace_props(c, STR("a.b.c"), &a, &got, err));
    assert_int_equal(got.n, 2);
    assert_true(str_eqz(ib_prop(&got, "owner"), "o'x \"q\""));
    OK(c->ops->namespace_props(c, STR("one"), &a, &got, err));
    assert_int_equal(got.n, 0);
    FAILS(FZ_NOT_FOUND, "none", c->ops->namespace_props(c, STR("none"), &a, &got, err));
    FAILS(FZ_INVALID, "isn't empty", c->ops->drop_namespace(c, STR("a.b"), err));
    FAILS(FZ_NOT_FOUND, "none", c->ops->drop_namespace(c, STR("none"), err));
    OK(c->ops->drop_namespace(c, STR("a.b.c"), err));
    OK(c->ops->drop_namespace(c, STR("a_b"), err));
    names_are(c, "", "one \xc3\xa9 %x");
    OK(c->ops->create_namespace(c, STR("a.b.c"), NULL, err));
    arena_free(&a);
}

/* Names that mean something to SQL, to URLs, to file systems or to patterns, and the longest ones. */
static void odd_names(conformance_env *e)
{
    ib_catalog *c = e->c;
    static const char *const odd[] = {"a%b", "a_b", "a\\b", "it's", "say \"no\"", "sp ace", "x/y", "q?m#h", "$1 ?1 @t", "\xe6\x97\xa5\xe6\x9c\xac",
                                      "\xf0\x9f\xa7\x8a", "--", ";drop", "NULL", "exists", "A", "a"};
    char longest[256];
    memset(longest, 'n', 255);
    longest[255] = 0;
    for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++) {
        bool there;
        OK(c->ops->create_namespace(c, str_of(odd[i]), NULL, err));
        OK(c->ops->namespace_exists(c, str_of(odd[i]), &there, err));
        assert_true(there);
        ib_table *t = sample_create(c, IDENT(odd[i], odd[i])), *again;
        OK(sample_set(c, IDENT(odd[i], odd[i]), odd[i], odd[i], &again, err));
        ib_table_unref(t);
        OK(c->ops->load_table(c, IDENT(odd[i], odd[i]), NULL, &t, err));
        assert_string_equal(t->ns, odd[i]);
        assert_string_equal(t->name, odd[i]);
        assert_true(str_eqz(ib_prop(&t->md->properties, odd[i]), odd[i]));
        ib_table_unref(t);
        ib_table_unref(again);
        tables_are(c, odd[i], odd[i]);
    }
    for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++) {
        OK(c->ops->drop_table(c, IDENT(odd[i], odd[i]), err));
        OK(c->ops->drop_namespace(c, str_of(odd[i]), err));
    }
    OK(c->ops->create_namespace(c, str_of(longest), NULL, err));
    ib_table_unref(sample_create(c, IDENT(longest, "t")));
    OK(c->ops->drop_table(c, IDENT(longest, "t"), err));
    OK(c->ops->drop_namespace(c, str_of(longest), err));
    char longer[257];
    memset(longer, 'n', 256);
    longer[256] = 0;
    FAILS(FZ_INVALID, "255", c->ops->create_namespace(c, str_of(longer), NULL, err));
    ensure(c, "one");
    FAILS(FZ_INVALID, "255", c->ops->rename_table(c, IDENT("one", "x"), IDENT("one", longer), err));
    OK(c->ops->drop_namespace(c, STR("one"), err));
    names_are(c, "", "");
}

static void properties(conformance_env *e)
{
    ib_catalog *c = e->c;
    ib_kv kv[] = {{STR("comment"), STR("")}, {STR("k'1"), STR("line\nbreak \xc3\xa9")}, {STR("location"), STR("memory:///elsewhere/")}};
    ib_props in = {3, kv}, got;
    arena a;
    str where;
    arena_init(&a, NULL);
    OK(c->ops->create_namespace(c, STR("p"), &in, err));
    OK(c->ops->namespace_props(c, STR("p"), &a, &got, err));
    assert_int_equal(got.n, 3);
    for (int i = 0; i < 3; i++)
        assert_true(str_eq(ib_prop(&got, kv[i].key.p), kv[i].value));
    /* a level that was never made by itself has none */
    OK(c->ops->create_namespace(c, STR("q.r"), &in, err));
    OK(c->ops->namespace_props(c, STR("q"), &a, &got, err));
    assert_int_equal(got.n, 0);
    FAILS(FZ_NOT_FOUND, "none", c->ops->default_location(c, IDENT("none", "t"), &a, &where, err));
    FAILS(FZ_INVALID, "", c->ops->default_location(c, IDENT("p", ""), &a, &where, err));
    arena_free(&a);
    OK(c->ops->drop_namespace(c, STR("p"), err));
    OK(c->ops->drop_namespace(c, STR("q.r"), err));
}

static void tables(conformance_env *e)
{
    ib_catalog *c = e->c;
    ensure(c, "one");
    ensure(c, "a.b.c");
    ib_ident id = IDENT("one", "t");
    ib_table *t, *again;
    FAILS(FZ_NOT_FOUND, "one.t", c->ops->load_table(c, id, NULL, &t, err));
    t = sample_create(c, id);
    assert_string_equal(t->ns, "one");
    assert_string_equal(t->name, "t");
    OK(c->ops->load_table(c, id, t, &again, err));
    assert_ptr_equal(again, t);
    ib_table_unref(again);
    OK(c->ops->load_table(c, id, NULL, &again, err));
    assert_true(str_eq(again->md->table_uuid, t->md->table_uuid));
    assert_string_equal(again->metadata_location, t->metadata_location);
    ib_table_unref(again);
    ib_metadata *other = sample_metadata(c, id); /* of another uuid: by its own one a creation is known again */
    FAILS(FZ_EXISTS, "one.t exists already", c->ops->create_table(c, id, other, &again, err));
    ib_metadata_unref(other);
    FAILS(FZ_NOT_FOUND, "none", c->ops->create_table(c, IDENT("none", "t"), t->md, &again, err));
    FAILS(FZ_INVALID, "dot", c->ops->create_table(c, IDENT("one", "a.b"), t->md, &again, err));
    FAILS(FZ_INVALID, "", c->ops->create_table(c, IDENT("one", ""), t->md, &again, err));
    ib_table_unref(sample_create(c, IDENT("one", "S")));
    ib_table_unref(sample_create(c, IDENT("one", "s")));
    ib_table_unref(sample_create(c, IDENT("one", "a'b \"c\" %20")));
    tables_are(c, "one", "S a'b \"c\" %20 s t");
    tables_are(c, "a.b.c", "");
    tables_are(c, "a", "");
    arena a;
    arena_init(&a, NULL);
    FAILS(FZ_NOT_FOUND, "none", c->ops->list_tables(c, STR("none"), &a, &(uint32_t){0}, &(ib_ident *){0}, err));
    arena_free(&a);
    FAILS(FZ_INVALID, "isn't empty", c->ops->drop_namespace(c, STR("one"), err));
    OK(c->ops->rename_table(c, IDENT("one", "s"), IDENT("a.b.c", "moved"), err));
    FAILS(FZ_NOT_FOUND, "one.s", c->ops->rename_table(c, IDENT("one", "s"), IDENT("one", "x"), err));
    FAILS(FZ_EXISTS, "one.t", c->ops->rename_table(c, IDENT("one", "S"), id, err));
    FAILS(FZ_NOT_FOUND, "none", c->ops->rename_table(c, IDENT("one", "S"), IDENT("none", "x"), err));
    tables_are(c, "a.b.c", "moved");
    OK(c->ops->load_table(c, IDENT("a.b.c", "moved"), NULL, &again, err));
    ib_table_unref(again);
    OK(c->ops->drop_table(c, IDENT("one", "S"), err));
    FAILS(FZ_NOT_FOUND, "one.S", c->ops->drop_table(c, IDENT("one", "S"), err));
    /* made again, it is another table in another place */
    again = sample_create(c, IDENT("one", "S"));
    ib_table *first;
    OK(c->ops->drop_table(c, id, err));
    first = sample_create(c, id);
    assert_false(str_eq(first->md->location, t->md->location));
    assert_false(str_eq(first->md->table_uuid, t->md->table_uuid));
    ib_table *newest;
    OK(c->ops->load_table(c, id, t, &newest, err));
    assert_true(str_eq(first->md->table_uuid, newest->md->table_uuid));
    ib_table_unref(newest);
    ib_table_unref(t);
    ib_table_unref(first);
    ib_table_unref(again);
}

static void renames(conformance_env *e)
{
    ib_catalog *c = e->c;
    ensure(c, "r1");
    ensure(c, "r2.deep");
    ib_table *t = sample_create(c, IDENT("r1", "t")), *moved, *next;
    OK(c->ops->rename_table(c, IDENT("r1", "t"), IDENT("r2.deep", "t"), err));
    tables_are(c, "r2.deep", "t");
    tables_are(c, "r1", "");
    OK(c->ops->load_table(c, IDENT("r2.deep", "t"), NULL, &moved, err));
    assert_true(str_eq(moved->md->table_uuid, t->md->table_uuid));
    assert_string_equal(moved->ns, "r2.deep");
    FAILS(FZ_NOT_FOUND, "r1.t", c->ops->load_table(c, IDENT("r1", "t"), NULL, &next, err));
    FAILS(FZ_NOT_FOUND, "r1.t", sample_set(c, IDENT("r1", "t"), "k", "v", &next, err));
    OK(sample_set(c, IDENT("r2.deep", "t"), "k", "v", &next, err)); /* it goes on under its new name */
    ib_table_unref(next);
    /* the old name is free, but its folder is not */
    next = sample_create(c, IDENT("r1", "t"));
    assert_false(str_eq(next->md->location, t->md->location));
    FAILS(FZ_EXISTS, "r2.deep.t", c->ops->rename_table(c, IDENT("r1", "t"), IDENT("r2.deep", "t"), err));
    FAILS(FZ_EXISTS, "r1.t", c->ops->rename_table(c, IDENT("r1", "t"), IDENT("r1", "t"), err));
    FAILS(FZ_INVALID, "dot", c->ops->rename_table(c, IDENT("r1", "t"), IDENT("r1", "a.b"), err));
    ib_table_unref(next);
    ib_table_unref(moved);
    ib_table_unref(t);
}

static void registers(conformance_env *e)
{
    ib_catalog *c = e->c;
    ensure(c, "reg");
    ib_table *t = sample_create(c, IDENT("reg", "t")), *again;
    FAILS(FZ_EXISTS, "reg.t", c->ops->register_table(c, IDENT("reg", "t"), t->metadata_location, &again, err));
    OK(c->ops->drop_table(c, IDENT("reg", "t"), err));
    OK(c->ops->register_table(c, IDENT("reg", "back"), t->metadata_location, &again, err));
    assert_true(str_eq(again->md->table_uuid, t->md->table_uuid));
    assert_string_equal(again->metadata_location, t->metadata_location);
    ib_table_unref(again);
    FAILS(FZ_NOT_FOUND, "none", c->ops->register_table(c, IDENT("none", "t"), t->metadata_location, &again, err));
    FAILS(FZ_NOT_FOUND, "", c->ops->register_table(c, IDENT("reg", "lost"), "file:///none/00000-x.metadata.json", &again, err));
    FAILS(FZ_UNSUPPORTED, "nowhere", c->ops->register_table(c, IDENT("reg", "lost"), "nowhere://x/00000-x.metadata.json", &again, err));
    tables_are(c, "reg", "back");
    OK(sample_set(c, IDENT("reg", "back"), "k", "v", &again, err));
    ib_table_unref(again);
    ib_table_unref(t);
}

/* ---- commits ---- */

static void commits(conformance_env *e)
{
    ib_catalog *c = e->c;
    ensure(c, "one");
    ib_ident id = IDENT("one", "log"), other = IDENT("one", "other");
    ib_table *t = sample_create(c, id), *o = sample_create(c, other), *t1, *t2, *out[2];
    OK(sample_append(c, id, t, 10, -1, 1, true, &t1, err));
    assert_int_equal(t1->md->n_snapshots, 1);
    assert_int_equal(t1->md->n_metadata_log, 1);
    assert_string_equal(t1->md->metadata_log[0].metadata_file.p, t->metadata_location);
    assert_string_not_equal(t1->metadata_location, t->metadata_location);
    /* what the loser built on is no longer the newest */
    FAILS(FZ_CONFLICT, "at snapshot 10", sample_append(c, id, t, 11, -1, 1, true, &t2, err));
    OK(c->ops->load_table(c, id, t, &t2, err));
    assert_string_equal(t2->metadata_location, t1->metadata_location);
    ib_table_unref(t2);
    /* without that requirement an old base is no hindrance */
    OK(sample_append(c, id, t, 12, 10, 2, false, &t2, err));
    assert_int_equal(t2->md->n_snapshots, 2);
    ib_table_unref(t1);
    ib_table_unref(t2);
    FAILS(FZ_INVALID, "exists already", sample_append(c, id, NULL, 12, 12, 3, true, &t2, err));
    FAILS(FZ_NOT_FOUND, "none", sample_append(c, IDENT("one", "none"), NULL, 1, -1, 1, true, &t2, err));
    OK(sample_set(c, id, "k", "v", &t2, err));
    assert_true(str_eqz(ib_prop(&t2->md->properties, "k"), "v"));
    ib_table_unref(t2);
    /* nothing to change */
    ib_requirement right = {IB_ASSERT_CURRENT_SCHEMA_ID, {0}, 0}, wrong = {IB_ASSERT_CURRENT_SCHEMA_ID, {0}, 5};
    ib_commit none = {.id = id, .n_requirements = 1, .requirements = &right};
    OK(c->ops->load_table(c, id, NULL, &t1, err));
    OK(c->ops->commit(c, 1, &none, &t1, &t2, err));
    assert_ptr_equal(t1, t2);
    ib_table_unref(t1);
    ib_table_unref(t2);
    none.requirements = &wrong;
    FAILS(FZ_CONFLICT, "current schema is 0, 5", c->ops->commit(c, 1, &none, NULL, &t2, err));
    /* two tables: both or none */
    ib_kv kv = {STR("both"), STR("yes")};
    ib_update u = {.kind = IB_SET_PROPERTIES, .props = {1, &kv}};
    ib_commit two[2] = {{.id = other, .n_updates = 1, .updates = &u},
                        {.id = id, .n_requirements = 1, .requirements = &wrong, .n_updates = 1, .updates = &u}};
    FAILS(FZ_CONFLICT, "current schema", c->ops->commit(c, 2, two, NULL, out, err));
    OK(c->ops->load_table(c, other, o, &t2, err));
    assert_ptr_equal(t2, o);
    ib_table_unref(t2);
    two[1].requirements = &right;
    OK(c->ops->commit(c, 2, two, (ib_table *[2]){o, NULL}, out, err));
    assert_true(str_eqz(ib_prop(&out[0]->md->properties, "both"), "yes"));
    assert_true(str_eqz(ib_prop(&out[1]->md->properties, "both"), "yes"));
    ib_table_unref(out[0]);
    ib_table_unref(out[1]);
    two[1] = two[0];
    FAILS(FZ_INVALID, "twice", c->ops->commit(c, 2, two, NULL, out, err));
    ib_table_unref(t);
    ib_table_unref(o);
}

/* Tables that are made, made in the place of others, and dropped by a commit that changes others: all or none. */
static void makes_and_drops(conformance_env *e)
{
    ib_catalog *c = e->c;
    if (!c->ops->commit_creates)
        return;
    ensure(c, "mad");
    ib_ident changed = IDENT("mad", "changed"), made = IDENT("mad", "made"), again = IDENT("mad", "again"), gone = IDENT("mad", "gone");
    ib_table *t = sample_create(c, changed), *a = sample_create(c, again), *g = sample_create(c, gone), *now, *out[4];
    ib_metadata *first = sample_metadata(c, made), *second = sample_metadata(c, again);
    ib_requirement right = {IB_ASSERT_TABLE_UUID, g->md->table_uuid, 0}, wrong = {IB_ASSERT_TABLE_UUID, t->md->table_uuid, 0};
    ib_kv kv = {STR("k"), STR("v")};
    ib_update u = {.kind = IB_SET_PROPERTIES, .props = {1, &kv}};
    ib_commit four[] = {{.id = gone, .n_requirements = 1, .requirements = &wrong, .drop = true}, {.id = made, .create = first},
                        {.id = changed, .n_updates = 1, .updates = &u}, {.id = again, .create = second}};
    ib_table *base[] = {g, NULL, t, a};
    FAILS(FZ_CONFLICT, "uuid", c->ops->commit(c, 4, four, base, out, err));
    FAILS(FZ_NOT_FOUND, "made", c->ops->load_table(c, made, NULL, &now, err));
    OK(c->ops->load_table(c, again, a, &now, err));
    assert_string_equal(now->metadata_location, a->metadata_location);
    ib_table_unref(now);
    four[0].requirements = &right;
    OK(c->ops->commit(c, 4, four, base, out, err));
    assert_null(out[0]);
    assert_true(str_eq(out[1]->md->table_uuid, first->table_uuid));
    assert_true(str_eqz(ib_prop(&out[2]->md->properties, "k"), "v"));
    assert_true(str_eq(out[3]->md->table_uuid, second->table_uuid));
    for (int i = 1; i < 4; i++) {
        OK(c->ops->load_table(c, four[i].id, NULL, &now, err));
        assert_string_equal(now->metadata_location, out[i]->metadata_location);
        ib_table_unref(now);
        ib_table_unref(out[i]);
    }
    FAILS(FZ_NOT_FOUND, "gone", c->ops->load_table(c, gone, NULL, &now, err));
    /* one that is there isn't made, and nothing else happens */
    kv.value = STR("other");
    FAILS(FZ_EXISTS, "made", c->ops->commit(c, 2, four + 1, base + 1, out, err));
    OK(c->ops->load_table(c, changed, NULL, &now, err));
    assert_true(str_eqz(ib_prop(&now->md->properties, "k"), "v"));
    ib_table_unref(now);
    ib_table_unref(t);
    ib_table_unref(a);
    ib_table_unref(g);
    ib_metadata_unref(first);
    ib_metadata_unref(second);
}

/* Every kind of requirement, once as it is and once not. */
static void requirements(conformance_env *e)
{
    ib_catalog *c = e->c;
    ib_ident id = IDENT("req", "t");
    ensure(c, "req");
    ib_table *t = sample_create(c, id), *out;
    char uuid[64];
    snprintf(uuid, sizeof uuid, STR_FMT, STR_ARG(t->md->table_uuid));
    static const char other[] = "00000000-0000-0000-0000-000000000001";
    OK(sample_append(c, id, t, 7, -1, 1, true, &out, err));
    ib_table_unref(t);
    t = out;
    const ib_requirement right[] = {
        {IB_ASSERT_TABLE_UUID, str_of(uuid), 0}, {IB_ASSERT_REF_SNAPSHOT_ID, STR("main"), 7}, {IB_ASSERT_REF_SNAPSHOT_ID, STR("none"), -1},
        {IB_ASSERT_LAST_ASSIGNED_FIELD_ID, {0}, 1}, {IB_ASSERT_CURRENT_SCHEMA_ID, {0}, 0}, {IB_ASSERT_LAST_ASSIGNED_PARTITION_ID, {0}, 999},
        {IB_ASSERT_DEFAULT_SPEC_ID, {0}, 0}, {IB_ASSERT_DEFAULT_SORT_ORDER_ID, {0}, 0}};
    const ib_requirement wrong[] = {
        {IB_ASSERT_CREATE, {0}, 0}, {IB_ASSERT_TABLE_UUID, STR(other), 0}, {IB_ASSERT_REF_SNAPSHOT_ID, STR("main"), -1},
        {IB_ASSERT_REF_SNAPSHOT_ID, STR("main"), 8}, {IB_ASSERT_REF_SNAPSHOT_ID, STR("none"), 7}, {IB_ASSERT_LAST_ASSIGNED_FIELD_ID, {0}, 2},
        {IB_ASSERT_CURRENT_SCHEMA_ID, {0}, 1}, {IB_ASSERT_LAST_ASSIGNED_PARTITION_ID, {0}, 1000}, {IB_ASSERT_DEFAULT_SPEC_ID, {0}, 1},
        {IB_ASSERT_DEFAULT_SORT_ORDER_ID, {0}, 1}};
    enum { RIGHT = sizeof right / sizeof right[0], WRONG = sizeof wrong / sizeof wrong[0] };
    ib_kv kv = {STR("k"), STR("v")};
    ib_update u = {.kind = IB_SET_PROPERTIES, .props = {1, &kv}};
    for (int i = 0; i < WRONG; i++) {
        ib_requirement both[] = {right[0], wrong[i]};
        ib_commit k = {.id = id, .n_requirements = 2, .requirements = both, .n_updates = 1, .updates = &u};
        FAILS(FZ_CONFLICT, "", c->ops->commit(c, 1, &k, i & 1 ? &t : NULL, &out, err));
    }
    OK(c->ops->load_table(c, id, t, &out, err)); /* nothing happened */
    assert_ptr_equal(out, t);
    ib_table_unref(out);
    ib_commit k = {.id = id, .n_requirements = RIGHT, .requirements = right, .n_updates = 1, .updates = &u};
    OK(c->ops->commit(c, 1, &k, &t, &out, err));
    assert_true(str_eqz(ib_prop(&out->md->properties, "k"), "v"));
    ib_table_unref(out);
    ib_table_unref(t);
}

/* A table that hasn't changed is the same object, not an equal one; one that has changed is another. */
static void identity(conformance_env *e)
{
    ib_catalog *c = e->c;
    ib_ident id = IDENT("same", "t");
    ensure(c, "same");
    ib_table *t = sample_create(c, id), *a, *b;
    for (int i = 0; i < 3; i++) {
        OK(c->ops->load_table(c, id, t, &a, err));
        assert_ptr_equal(a, t);
        ib_table_unref(a);
    }
    OK(sample_set(c, id, "k", "v", &a, err));
    OK(c->ops->load_table(c, id, a, &b, err)); /* what a commit returns is the newest */
    assert_ptr_equal(a, b);
    ib_table_unref(b);
    OK(c->ops->load_table(c, id, t, &b, err));
    assert_ptr_not_equal(b, t);
    assert_string_equal(b->metadata_location, a->metadata_location);
    ib_table_unref(b);
    ib_table_unref(a);
    ib_table_unref(t);
}

/* Folders of tables of the same name, dropped and made again: each one is new. */
static void locations(conformance_env *e)
{
    enum { TIMES = 5 };
    ib_catalog *c = e->c;
    ib_ident id = IDENT("place", "t");
    char seen[TIMES][300];
    ensure(c, "place");
    for (int i = 0; i < TIMES; i++) {
        ib_table *t = sample_create(c, id);
        snprintf(seen[i], sizeof seen[i], STR_FMT, STR_ARG(t->md->location));
        for (int k = 0; k < i; k++)
            assert_string_not_equal(seen[i], seen[k]);
        ib_table_unref(t);
        OK(c->ops->drop_table(c, id, err));
    }
}

static void queue(conformance_env *e)
{
    ib_catalog *c = e->c;
    ib_ident id = IDENT("one", "q1"), other = IDENT("one", "q2");
    void *a, *b, *d;
    ensure(c, "one");
    ib_table_unref(sample_create(c, id));
    ib_table_unref(sample_create(c, other));
    OK(c->ops->queue_lock(c, id, 1000, &a, err));
    assert_non_null(a);
    FAILS(FZ_BUSY, "other writers", c->ops->queue_lock(c, id, 20, &b, err));
    FAILS(FZ_BUSY, "other writers", c->ops->queue_lock(c, id, 0, &b, err));
    OK(c->ops->queue_lock(c, other, 0, &d, err)); /* another table's queue */
    c->ops->queue_unlock(c, a);
    OK(c->ops->queue_lock(c, id, 1000, &b, err));
    c->ops->queue_unlock(c, b);
    c->ops->queue_unlock(c, d);
    c->ops->queue_unlock(c, NULL);
}

/* ---- threads and processes ---- */

enum { THREADS = 8, ROUNDS = 20, PROCESSES = 4, CROSSED = 10 };
typedef struct worker { ib_catalog *c; int nr; int failed; pthread_t id; } worker;

/* Appends with the requirement that nobody came between, again and again until it holds. Every second worker queues. */
static int append_many(ib_catalog *c, int nr)
{
    ib_ident id = IDENT("one", "race");
    int failed = 0;
    for (int i = 0; i < ROUNDS; i++) {
        void *token = NULL;
        fz_status st = nr & 1 ? c->ops->queue_lock(c, id, 60000, &token, NULL) : FZ_OK;
        failed += st != FZ_OK;
        do {
            ib_table *t, *out;
            st = c->ops->load_table(c, id, NULL, &t, NULL);
            if (st != FZ_OK)
                break;
            st = sample_append(c, id, t, 1000 * (nr + 1) + i, t->md->current_snapshot_id, t->md->last_sequence_number + 1,
                               true, &out, NULL);
            if (st == FZ_OK)
                ib_table_unref(out);
            ib_table_unref(t);
        } while (st == FZ_CONFLICT);
        c->ops->queue_unlock(c, token);
        failed += st != FZ_OK;
    }
    return failed;
}

/* Every append is there, each on top of the one before. */
static void race_check(ib_catalog *c, int workers)
{
    ib_table *t;
    OK(c->ops->load_table(c, IDENT("one", "race"), NULL, &t, err));
    assert_int_equal(t->md->n_snapshots, workers * ROUNDS);
    for (uint32_t i = 1; i < t->md->n_snapshots; i++)
        assert_true(t->md->snapshots[i]->parent_id == t->md->snapshots[i - 1]->snapshot_id);
    for (int w = 0; w < workers; w++)
        for (int i = 0; i < ROUNDS; i++)
            assert_non_null(ib_snapshot_by_id(t->md, 1000 * (w + 1) + i));
    ib_table_unref(t);
}

static void *append_thread(void *arg)
{
    worker *w = arg;
    w->failed = append_many(w->c, w->nr);
    return NULL;
}

static int all_threads(ib_catalog *c, void *(*fn)(void *))
{
    worker w[THREADS];
    int failed = 0;
    for (int i = 0; i < THREADS; i++) {
        w[i] = (worker){.c = c, .nr = i};
        assert_int_equal(pthread_create(&w[i].id, NULL, fn, &w[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(w[i].id, NULL);
        failed += w[i].failed;
    }
    return failed;
}

static void threads(conformance_env *e)
{
    ensure(e->c, "one");
    ib_table_unref(sample_create(e->c, IDENT("one", "race")));
    assert_int_equal(all_threads(e->c, append_thread), 0);
    race_check(e->c, THREADS);
}

/* One makes the table, the others hear that it exists. */
static void *create_thread(void *arg)
{
    worker *w = arg;
    ib_table *t;
    ib_metadata *md = sample_metadata(w->c, IDENT("one", "made"));
    fz_status st = w->c->ops->create_table(w->c, IDENT("one", "made"), md, &t, NULL);
    if (st == FZ_OK)
        ib_table_unref(t);
    ib_metadata_unref(md);
    w->failed = st == FZ_OK ? 1 : st == FZ_EXISTS ? 0 : 100;
    return NULL;
}

static void create_race(conformance_env *e)
{
    ensure(e->c, "one");
    assert_int_equal(all_threads(e->c, create_thread), 1);
}

/* Two tables in one commit, in both orders: nobody blocks anybody for good, and both always change together. */
static void *crossed_thread(void *arg)
{
    worker *w = arg;
    char key[20];
    ib_kv kv = {.value = STR("x")};
    ib_update u = {.kind = IB_SET_PROPERTIES, .props = {1, &kv}};
    ib_ident a = IDENT("one", "x"), b = IDENT("one", "y");
    for (int i = 0; i < CROSSED; i++) {
        ib_table *out[2];
        snprintf(key, sizeof key, "k%d-%d", w->nr, i);
        kv.key = str_of(key);
        ib_commit two[] = {{.id = w->nr & 1 ? a : b, .n_updates = 1, .updates = &u}, {.id = w->nr & 1 ? b : a, .n_updates = 1, .updates = &u}};
        if (w->c->ops->commit(w->c, 2, two, NULL, out, NULL) == FZ_OK) {
            ib_table_unref(out[0]);
            ib_table_unref(out[1]);
        } else {
            w->failed++;
        }
    }
    return NULL;
}

static void crossed(conformance_env *e)
{
    ib_catalog *c = e->c;
    static const char *const names[] = {"x", "y"};
    ensure(c, "one");
    for (int i = 0; i < 2; i++)
        ib_table_unref(sample_create(c, IDENT("one", names[i])));
    assert_int_equal(all_threads(c, crossed_thread), 0);
    for (int i = 0; i < 2; i++) {
        ib_table *t;
        OK(c->ops->load_table(c, IDENT("one", names[i]), NULL, &t, err));
        assert_int_equal(t->md->properties.n, THREADS * CROSSED);
        ib_table_unref(t);
    }
}

/* What one handle does the other one sees at once. */
static void handles(conformance_env *e)
{
    ib_catalog *c = e->c, *d;
    ib_ident id = IDENT("one", "shared");
    ib_table *t, *of_d, *next;
    OK(e->b->open(e->catalog, e->m, &d, err));
    ensure(c, "one");
    t = sample_create(c, id);
    OK(d->ops->load_table(d, id, NULL, &of_d, err));
    assert_true(str_eq(of_d->md->table_uuid, t->md->table_uuid));
    OK(sample_set(c, id, "k", "1", &next, err));
    ib_table_unref(t);
    t = next;
    OK(d->ops->load_table(d, id, of_d, &next, err));
    assert_ptr_not_equal(next, of_d);
    assert_true(str_eqz(ib_prop(&next->md->properties, "k"), "1"));
    ib_table_unref(next);
    /* a commit on a state that is behind finds the newest by itself */
    ib_kv kv = {STR("j"), STR("2")};
    ib_update u = {.kind = IB_SET_PROPERTIES, .props = {1, &kv}};
    ib_commit k = {.id = id, .n_updates = 1, .updates = &u};
    OK(d->ops->commit(d, 1, &k, &of_d, &next, err));
    assert_true(str_eqz(ib_prop(&next->md->properties, "k"), "1"));
    ib_table_unref(next);
    OK(d->ops->drop_table(d, id, err));
    FAILS(FZ_NOT_FOUND, "one.shared", c->ops->load_table(c, id, t, &next, err));
    FAILS(FZ_NOT_FOUND, "one.shared", c->ops->commit(c, 1, &k, &t, &next, err));
    ib_table_unref(t);
    ib_table_unref(of_d);
    d->ops->close(d);
}

static int append_process(conformance_env *e, int nr)
{
    ib_catalog *c;
    fz_error why = {0};
    if (e->b->open(e->catalog, e->m, &c, &why) != FZ_OK) {
        fprintf(stderr, "%s\n", why.message);
        return 90;
    }
    int failed = append_many(c, nr);
    c->ops->close(c);
    return failed;
}

static void processes(conformance_env *e)
{
    pid_t pids[PROCESSES];
    ensure(e->c, "one");
    ib_table_unref(sample_create(e->c, IDENT("one", "race")));
    for (int i = 0; i < PROCESSES; i++) {
        pids[i] = fork();
        if (pids[i] == 0)
            _exit(append_process(e, i));
        assert_true(pids[i] > 0);
    }
    for (int i = 0; i < PROCESSES; i++) {
        int status;
        assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
        assert_int_equal(status, 0);
    }
    race_check(e->c, PROCESSES);
}

/* ---- an answer that got lost ---- */

/* A commit and a creation whose answers are lost (a fault point): the catalog is asked and says that they happened. */
int conformance_child(const conformance_backend *b, const char *catalog)
{
    ib_catalog *c;
    ib_table *t;
    mem m;
    mem_init(&m, NULL, NULL, 0);
    if (b->open(catalog, &m, &c, NULL) != FZ_OK)
        return 90;
    fz_error why = {0};
    fz_status st = sample_set(c, IDENT("one", "t"), "k", "v", &t, &why);
    if (st == FZ_OK) {
        ib_table_unref(t);
        ib_metadata *md = sample_metadata(c, IDENT("one", "new"));
        st = c->ops->create_table(c, IDENT("one", "new"), md, &t, &why);
        ib_metadata_unref(md);
        if (st == FZ_OK)
            ib_table_unref(t);
    }
    c->ops->close(c);
    if (st != FZ_OK)
        fprintf(stderr, "%s: %s\n", catalog, why.message);
    return st == FZ_OK ? 0 : 91;
}

static void lost_answer(conformance_env *e)
{
    ib_catalog *c = e->c;
    ib_table *t, *now;
    int status;
    ensure(c, "one");
    t = sample_create(c, IDENT("one", "t"));
    pid_t pid = fork(); /* started again, since fault points are read once in a process */
    if (pid == 0) {
        setenv("FRAZIL_FAULT", "catalog.after_cas:0=error", 1);
        execl("/proc/self/exe", "conformance", "child", e->b->name, e->catalog, (char *)NULL);
        _exit(99);
    }
    waitpid(pid, &status, 0);
    assert_int_equal(status, 0);
    OK(c->ops->load_table(c, IDENT("one", "t"), NULL, &now, err));
    assert_true(str_eqz(ib_prop(&now->md->properties, "k"), "v"));
    assert_int_equal(now->md->n_metadata_log, 1); /* once, not twice */
    ib_table_unref(now);
    OK(c->ops->load_table(c, IDENT("one", "new"), NULL, &now, err));
    ib_table_unref(now);
    ib_table_unref(t);
}

/* ---- all of them ---- */

const conformance_case conformance_cases[] = {
    {"namespaces", namespaces, QUIRK_NAMES},
    {"odd names", odd_names, QUIRK_NAMES},
    {"properties", properties, QUIRK_NAMES},
    {"tables", tables, QUIRK_NAMES | QUIRK_PLACES},
    {"renames", renames, QUIRK_RENAMES},
    {"registers", registers, QUIRK_NO_FILES | QUIRK_PLACES},
    {"commits", commits, QUIRK_WORDS},
    {"makes and drops", makes_and_drops, 0},
    {"requirements", requirements, QUIRK_WORDS},
    {"identity", identity, 0},
    {"locations", locations, 0},
    {"queue", queue, 0},
    {"8 threads", threads, 0},
    {"creations at once", create_race, QUIRK_CREATORS},
    {"two tables crossed", crossed, QUIRK_TOGETHER},
    {"two handles", handles, QUIRK_ONE_HANDLE},
    {"4 processes", processes, QUIRK_ONE_HANDLE | QUIRK_NO_FORK},
    {"a lost answer", lost_answer, QUIRK_ONE_HANDLE},
    {NULL, NULL, 0},
};

void conformance_run(ib_catalog *c)
{
    static void (*const one_handle[])(conformance_env *e) = {namespaces, tables, renames, commits, requirements, queue, threads};
    conformance_env e = {.c = c};
    for (size_t i = 0; i < sizeof one_handle / sizeof one_handle[0]; i++)
        one_handle[i](&e);
}
