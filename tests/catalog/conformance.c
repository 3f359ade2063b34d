/* conformance.c: see conformance.h. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "catalog/conformance.h"

#include <pthread.h>
#include <stdio.h>
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
    ib_snapshot s = {.snapshot_id = snapshot_id, .parent_id = parent, .sequence_number = sequence, .timestamp_ms = 1,
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

static void namespaces(ib_catalog *c)
{
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

static void tables(ib_catalog *c)
{
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
    FAILS(FZ_EXISTS, "one.t exists already", c->ops->create_table(c, id, t->md, &again, err));
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

static void commits(ib_catalog *c)
{
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

/* ---- threads ---- */

enum { THREADS = 4, ROUNDS = 15 };
typedef struct worker { ib_catalog *c; int nr; int failed; pthread_t id; } worker;

/* Appends with the requirement that nobody came between, again and again until it holds. */
static void *work(void *arg)
{
    worker *w = arg;
    ib_ident id = IDENT("one", "race");
    for (int i = 0; i < ROUNDS; i++) {
        void *token = NULL;
        fz_status st = w->c->ops->queue_lock(w->c, id, 60000, &token, NULL);
        w->failed += st != FZ_OK;
        do {
            ib_table *t, *out;
            st = w->c->ops->load_table(w->c, id, NULL, &t, NULL);
            if (st != FZ_OK)
                break;
            st = sample_append(w->c, id, t, 1000 * (w->nr + 1) + i, t->md->current_snapshot_id, t->md->last_sequence_number + 1,
                               true, &out, NULL);
            if (st == FZ_OK)
                ib_table_unref(out);
            ib_table_unref(t);
        } while (st == FZ_CONFLICT);
        w->c->ops->queue_unlock(w->c, token);
        w->failed += st != FZ_OK;
    }
    return NULL;
}

static void threads(ib_catalog *c)
{
    worker w[THREADS];
    ib_table_unref(sample_create(c, IDENT("one", "race")));
    for (int i = 0; i < THREADS; i++) {
        w[i] = (worker){.c = c, .nr = i};
        assert_int_equal(pthread_create(&w[i].id, NULL, work, &w[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(w[i].id, NULL);
        assert_int_equal(w[i].failed, 0);
    }
    ib_table *t;
    OK(c->ops->load_table(c, IDENT("one", "race"), NULL, &t, err));
    assert_int_equal(t->md->n_snapshots, THREADS * ROUNDS);
    for (uint32_t i = 1; i < t->md->n_snapshots; i++)
        assert_true(t->md->snapshots[i]->parent_id == t->md->snapshots[i - 1]->snapshot_id);
    ib_table_unref(t);
}

static void queue(ib_catalog *c)
{
    ib_ident id = IDENT("one", "t"), other = IDENT("one", "other");
    void *a, *b, *d;
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

void conformance_run(ib_catalog *c)
{
    namespaces(c);
    tables(c);
    commits(c);
    queue(c);
    threads(c);
}
