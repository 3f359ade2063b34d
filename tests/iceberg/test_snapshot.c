/*
 * test_snapshot.c: the commit loop against the embedded catalog in a temporary lake: what a commit writes and leaves, merging,
 * replacing, conflicts, unknown outcomes, and several committers at once.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "catalog/sqlite/sqlite_catalog.h"
#include "iceberg/plan/plan.h"
#include "iceberg/update/layout.h"
#include "iceberg/update/snapshot.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define OK(call)                                                                        \
    do {                                                                                \
        fz_error e_ = {0}, *err __attribute__((unused)) = &e_;                          \
        fz_status s_ = (call);                                                          \
        if (s_ != FZ_OK)                                                                \
            fail_msg("%s: %d %s [%s]", #call, s_, e_.message, e_.where);                \
    } while (0)

static arena mem_;
static char folder[64];
static const ib_ident ID = {STR("n"), STR("t")};

/* ---- a lake with one table: a bigint, partitioned by its bucket where asked ---- */

static ib_catalog *open_lake(void)
{
    sqlite_catalog_options o = {.lake_dir = folder, .create_if_missing = true};
    ib_catalog *c;
    OK(sqlite_catalog_open(&o, NULL, NULL, &c, err));
    return c;
}

static ib_table *make_table(ib_catalog *c, bool partitioned, uint32_t n_props, const ib_kv *kv)
{
    type_fields *f = arena_zalloc(&mem_, sizeof *f + sizeof(type_field));
    ib_partition_field *p = ARENA_NEW(&mem_, ib_partition_field);
    f->n = 1;
    f->f[0] = (type_field){.name = STR("a"), .field_id = 1, .t = TYPE(T_INT64)};
    *p = (ib_partition_field){.source_id = 1, .field_id = 1000, .name = STR("a"), .transform = {.kind = IB_IDENTITY, .text = STR("identity")}};
    ib_schema schema = {.fields = f};
    ib_partition_spec spec = {.n = partitioned, .fields = p};
    ib_props props = {n_props, kv};
    ib_metadata *md;
    ib_table *t;
    str location;
    c->ops->create_namespace(c, ID.ns, NULL, NULL);
    OK(c->ops->default_location(c, ID, &mem_, &location, err));
    OK(ib_metadata_new(location, &schema, &spec, NULL, &props, NULL, &md, err));
    OK(c->ops->create_table(c, ID, md, &t, err));
    ib_metadata_unref(md);
    return t;
}

static void drop_table(ib_catalog *c, ib_table *t)
{
    ib_table_unref(t);
    OK(c->ops->drop_table(c, ID, err));
}

static ib_data_file data_file(const char *path, int64_t value, uint32_t n_partition)
{
    datum *p = ARENA_NEW(&mem_, datum);
    *p = (datum){.t = TYPE(T_INT64), .i64 = value};
    size_t n = strlen(path);
    return (ib_data_file){.file_path = {arena_strndup(&mem_, path, n), n}, .file_format = STR("PARQUET"), .record_count = 10,
                          .file_size_bytes = 100, .sort_order_id = -1, .n_partition = n_partition, .partition = p};
}

static fz_status write_some(ib_catalog *c, ib_operation op, ib_table *base, uint32_t n, const ib_data_file *f,
                            ib_manifest_cache *cache, ib_table **out, fz_error *err)
{
    const ib_kv kv = {STR("note"), STR("x")};
    ib_write w = {.op = op, .n_files = n, .files = f, .summary = {1, &kv}, .cache = cache};
    return ib_write_commit(c, ID, base, &w, out, err);
}

/* Appends one file; the table handed in is let go of. */
static ib_table *append(ib_catalog *c, ib_table *t, const char *path, ib_manifest_cache *cache)
{
    ib_data_file f = data_file(path, 1, ib_spec_by_id(t->md, t->md->default_spec_id)->n);
    ib_table *next;
    OK(write_some(c, IB_APPEND, t, 1, &f, cache, &next, err));
    ib_table_unref(t);
    return next;
}

static int64_t summary_number(const ib_table *t, const char *key)
{
    int64_t n = -1;
    OK(ib_prop_i64(&ib_current_snapshot(t->md)->summary, key, -1, &n, err));
    return n;
}

static fz_status count_file(void *ctx, const char *path, const io_stat_info *info, fz_error *err)
{
    (void)info, (void)err;
    *(int *)ctx += str_ends(str_of(path), STR(".avro"));
    return FZ_OK;
}

/* Avro files of the table: manifests and lists. */
static int avro_files(const ib_table *t)
{
    int n = 0;
    char *location = arena_strndup(&mem_, t->md->location.p, t->md->location.n);
    io_list(NULL, location, count_file, &n, NULL);
    return n;
}

static void check_rows(const ib_table *t, ib_manifest_cache *cache, int64_t files)
{
    ib_scan *s;
    int64_t rows;
    bool known;
    OK(ib_plan(t->md, ib_current_snapshot(t->md), NULL, cache, NULL, NULL, &s, err));
    assert_int_equal(s->n, files);
    assert_int_equal(s->rows, 10 * files);
    ib_scan_free(s);
    OK(ib_count_rows(t->md, ib_current_snapshot(t->md), cache, NULL, &rows, &known, err));
    assert_true(known);
    assert_int_equal(rows, 10 * files);
}

/* ---- tests ---- */

static void append_and_replace(void **state)
{
    (void)state;
    ib_catalog *c = open_lake();
    ib_table *t = make_table(c, true, 0, NULL), *next;
    ib_manifest_cache *cache = ib_manifest_cache_new(NULL, 16 << 20);
    ib_data_file f[3] = {data_file("a", 1, 1), data_file("b", 2, 1), data_file("c", 1, 1)};
    OK(write_some(c, IB_APPEND, t, 3, f, cache, &next, err));
    ib_table_unref(t);
    t = next;
    const ib_snapshot *s = ib_current_snapshot(t->md);
    assert_true(str_eqz(ib_prop(&s->summary, "operation"), "append"));
    assert_true(str_eqz(ib_prop(&s->summary, "engine-name"), "frazil"));
    assert_true(str_eqz(ib_prop(&s->summary, "note"), "x"));
    assert_int_equal(summary_number(t, "added-data-files"), 3);
    assert_int_equal(summary_number(t, "added-records"), 30);
    assert_int_equal(summary_number(t, "added-files-size"), 300);
    assert_int_equal(summary_number(t, "changed-partition-count"), 2);
    assert_int_equal(summary_number(t, "total-records"), 30);
    assert_int_equal(summary_number(t, "total-delete-files"), 0);
    assert_int_equal(s->sequence_number, 1);
    assert_int_equal(s->parent_id, -1);
    check_rows(t, cache, 3);
    check_rows(t, NULL, 3);
    assert_int_equal(avro_files(t), 2);

    OK(write_some(c, IB_APPEND, t, 0, NULL, cache, &next, err)); /* nothing to append: no snapshot */
    assert_int_equal(next->md->n_snapshots, 1);
    ib_table_unref(next);

    ib_data_file g = data_file("d", 5, 1);
    OK(write_some(c, IB_REPLACE, t, 1, &g, cache, &next, err));
    ib_table_unref(t);
    t = next;
    assert_true(str_eqz(ib_prop(&ib_current_snapshot(t->md)->summary, "operation"), "overwrite"));
    assert_int_equal(summary_number(t, "deleted-data-files"), 3);
    assert_int_equal(summary_number(t, "deleted-records"), 30);
    assert_int_equal(summary_number(t, "removed-files-size"), 300);
    assert_int_equal(summary_number(t, "changed-partition-count"), 3);
    assert_int_equal(summary_number(t, "total-records"), 10);
    check_rows(t, cache, 1);
    check_rows(t, NULL, 1);
    OK(write_some(c, IB_REPLACE, t, 0, NULL, NULL, &next, err));
    ib_table_unref(t);
    t = next;
    assert_true(str_eqz(ib_prop(&ib_current_snapshot(t->md)->summary, "operation"), "delete"));
    check_rows(t, NULL, 0);
    /* the first snapshot is as it was */
    ib_scan *scan;
    OK(ib_plan(t->md, t->md->snapshots[0], NULL, NULL, NULL, NULL, &scan, err));
    assert_int_equal(scan->n, 3);
    assert_true(str_eqz(scan->files[1].file->file_path, "b"));
    ib_scan_free(scan);
    ib_manifest_cache_free(cache);
    drop_table(c, t);
    c->ops->close(c);
}

/* A planned table reads nothing: its files can even be gone. */
static void warm(void **state)
{
    (void)state;
    ib_catalog *c = open_lake();
    ib_manifest_cache *cache = ib_manifest_cache_new(NULL, 16 << 20);
    ib_table *t = make_table(c, true, 0, NULL);
    for (int i = 0; i < 5; i++)
        t = append(c, t, "f", cache);
    char *list = arena_strndup(&mem_, ib_current_snapshot(t->md)->manifest_list.p, ib_current_snapshot(t->md)->manifest_list.n);
    ib_decoded *d;
    OK(ib_manifest_list_get(cache, NULL, str_of(list), NULL, &d, err));
    assert_int_equal(d->n, 5);
    for (uint32_t i = 0; i < d->n; i++)
        OK(io_remove(NULL, arena_strndup(&mem_, d->files[i].path.p, d->files[i].path.n), err));
    OK(io_remove(NULL, list, err));
    ib_decoded_unref(d);
    check_rows(t, cache, 5);
    t = append(c, t, "f", cache); /* nor does an append read */
    check_rows(t, cache, 6);
    const datum one = {.t = TYPE(T_INT64), .i64 = 1}, two = {.t = TYPE(T_INT64), .i64 = 2};
    ib_scan *s;
    OK(ib_plan(t->md, ib_current_snapshot(t->md), ib_pred_cmp(&mem_, IB_PRED_EQ, 1, &one), cache, NULL, NULL, &s, err));
    assert_int_equal(s->n, 6);
    assert_true(s->files[0].all_match);
    ib_scan_free(s);
    OK(ib_plan(t->md, ib_current_snapshot(t->md), ib_pred_cmp(&mem_, IB_PRED_EQ, 1, &two), cache, NULL, NULL, &s, err));
    assert_int_equal(s->n + s->manifests_read, 0);
    ib_scan_free(s);
    ib_manifest_cache_free(cache);
    drop_table(c, t);
    c->ops->close(c);
}

static void rolling(void **state)
{
    (void)state;
    const ib_kv kv[] = {{STR("commit.manifest.target-size-bytes"), STR("20000")},
                        {STR("commit.manifest-merge.enabled"), STR("false")}};
    ib_catalog *c = open_lake();
    ib_table *t = make_table(c, true, 2, kv), *next;
    static ib_data_file f[3000];
    char name[64];
    for (int i = 0; i < 3000; i++) {
        snprintf(name, sizeof name, "file:///somewhere/%08x.parquet", (unsigned)i * 2654435761u);
        f[i] = data_file(name, i, 1);
    }
    OK(write_some(c, IB_APPEND, t, 3000, f, NULL, &next, err));
    ib_decoded *d;
    OK(ib_manifest_list_get(NULL, NULL, ib_current_snapshot(next->md)->manifest_list, NULL, &d, err));
    assert_in_range(d->n, 2, 40);
    for (uint32_t i = 0; i < d->n; i++)
        assert_in_range(d->files[i].length, 1, 50000);
    ib_decoded_unref(d);
    ib_scan *s;
    OK(ib_plan(next->md, ib_current_snapshot(next->md), NULL, NULL, NULL, NULL, &s, err));
    assert_int_equal(s->n, 3000);
    for (int i = 0; i < 3000; i++)
        assert_true(str_eq(s->files[i].file->file_path, f[i].file_path)); /* in row order over all manifests */
    ib_scan_free(s);

    /* the same by several threads, with a cache that is too small for all of it */
    pool *pool_ = pool_create(NULL, 3);
    job j;
    ib_manifest_cache *cache = ib_manifest_cache_new(NULL, 3 << 20);
    assert_non_null(pool_);
    OK(job_init(&j, pool_, NULL, NULL));
    for (int k = 0; k < 3; k++) {
        OK(ib_plan(next->md, ib_current_snapshot(next->md), ib_pred_const(&mem_, IB_PRED_UNKNOWN), cache, &j, NULL, &s, err));
        assert_int_equal(s->n, 3000);
        for (int i = 0; i < 3000; i++)
            assert_true(str_eq(s->files[i].file->file_path, f[i].file_path));
        ib_scan_free(s);
    }
    job_destroy(&j);
    pool_destroy(pool_);
    ib_manifest_cache_free(cache);
    ib_table_unref(t);
    drop_table(c, next);
    c->ops->close(c);
}

/* ---- a catalog that fails as told, around the real one ---- */

typedef struct flaky {
    ib_catalog base;
    ib_catalog *real;
    int foreign;        /* commits to slip in before ours */
    fz_status fail;     /* after that, what the commit says … */
    bool apply;         /* … having done it or not */
    int commits;
} flaky;

static ib_catalog_ops flaky_ops;

static fz_status flaky_commit(ib_catalog *c, uint32_t n, const ib_commit *k, ib_table *const *base, ib_table **out, fz_error *err)
{
    flaky *x = (flaky *)c;
    x->commits++;
    if (x->foreign > 0) {
        x->foreign--;
        ib_table *t;
        TRY(x->real->ops->load_table(x->real, ID, NULL, &t, err));
        ib_table_unref(append(x->real, t, "foreign", NULL));
    }
    if (x->fail != FZ_OK && !x->apply)
        return error_set(err, x->fail, "as told");
    TRY(x->real->ops->commit(x->real, n, k, base, out, err));
    if (x->fail == FZ_OK)
        return FZ_OK;
    ib_table_unref(*out);
    return error_set(err, x->fail, "as told");
}

static fz_status flaky_load(ib_catalog *c, ib_ident id, ib_table *have, ib_table **out, fz_error *err)
{
    return ((flaky *)c)->real->ops->load_table(((flaky *)c)->real, id, have, out, err);
}

static flaky flaky_around(ib_catalog *real)
{
    flaky_ops = (ib_catalog_ops){.kind = "flaky", .commit = flaky_commit, .load_table = flaky_load};
    return (flaky){.base = {.ops = &flaky_ops}, .real = real};
}

static void conflicts(void **state)
{
    (void)state;
    const ib_kv kv[] = {{STR("commit.retry.min-wait-ms"), STR("1")}};
    ib_catalog *c = open_lake();
    ib_table *t = make_table(c, false, 1, kv), *next;
    flaky x = flaky_around(c);
    x.foreign = 3;
    ib_data_file f = data_file("mine", 0, 0);
    OK(write_some(&x.base, IB_APPEND, t, 1, &f, NULL, &next, err));
    assert_int_equal(x.commits, 4);
    check_rows(next, NULL, 4);
    assert_int_equal(ib_current_snapshot(next->md)->sequence_number, 4);
    assert_int_equal(avro_files(next), 4 + 4); /* a manifest and a list each; nothing of the lost attempts */
    ib_table_unref(t);
    t = next;

    x = flaky_around(c); /* a replace removes what came in between, too */
    x.foreign = 1;
    OK(write_some(&x.base, IB_REPLACE, t, 1, &f, NULL, &next, err));
    check_rows(next, NULL, 1);
    assert_int_equal(summary_number(next, "deleted-data-files"), 5);
    ib_table_unref(t);
    t = next;
    drop_table(c, t);
    c->ops->close(c);
}

/* Rows that were written before somebody added a column that has to have a value aren't committed without it. */
static void required_meanwhile(void **state)
{
    ib_catalog *c = open_lake();
    ib_table *base = make_table(c, false, 0, NULL), *next;
    type_fields *f = arena_zalloc(&mem_, sizeof *f + 2 * sizeof(type_field));
    f->n = 2;
    f->f[0] = base->md->schemas[0].fields->f[0];
    f->f[1] = (type_field){.name = STR("b"), .field_id = 2, .t = TYPE(T_INT64), .required = true};
    ib_schema schema = {.schema_id = 1, .fields = f};
    ib_update u[] = {{.kind = IB_ADD_SCHEMA, .schema = &schema, .id = 2}, {.kind = IB_SET_CURRENT_SCHEMA, .id = -1}};
    ib_commit alter = {.id = ID, .n_updates = 2, .updates = u};
    OK(c->ops->commit(c, 1, &alter, &base, &next, err));
    ib_data_file file = data_file("file:///x/early.parquet", 1, 0);
    fz_error e = {0};
    ib_table *after = NULL;
    assert_int_equal(write_some(c, IB_APPEND, base, 1, &file, NULL, &after, &e), FZ_CONFLICT);
    assert_non_null(strstr(e.message, "\"b\""));
    ib_write w = {.op = IB_APPEND, .n_files = 1, .files = &file, .schema_id = 1};
    OK(ib_write_commit(c, ID, next, &w, &after, err));
    ib_table_unref(after);
    ib_table_unref(base);
    drop_table(c, next);
    c->ops->close(c);
}

static void retries_end(void **state)
{
    (void)state;
    const ib_kv kv[] = {{STR("commit.retry.num-retries"), STR("2")}, {STR("commit.retry.min-wait-ms"), STR("1")}};
    ib_catalog *c = open_lake();
    ib_table *t = make_table(c, false, 2, kv), *next;
    flaky x = flaky_around(c);
    x.fail = FZ_CONFLICT;
    ib_data_file f = data_file("mine", 0, 0);
    fz_error e = {0};
    assert_int_equal(write_some(&x.base, IB_APPEND, t, 1, &f, NULL, &next, &e), FZ_CONFLICT);
    assert_int_equal(x.commits, 3);
    assert_non_null(strstr(e.hint, "3 attempts"));
    assert_int_equal(avro_files(t), 0);

    x = flaky_around(c); /* a failure that isn't a conflict: once */
    x.fail = FZ_IO;
    assert_int_equal(write_some(&x.base, IB_APPEND, t, 1, &f, NULL, &next, NULL), FZ_IO);
    assert_int_equal(x.commits, 1);
    assert_int_equal(avro_files(t), 0);

    x = flaky_around(c); /* unknown, and it wasn't done: everything stays, it could still come */
    x.fail = FZ_UNKNOWN;
    assert_int_equal(write_some(&x.base, IB_APPEND, t, 1, &f, NULL, &next, NULL), FZ_UNKNOWN);
    assert_int_equal(avro_files(t), 2);

    x = flaky_around(c); /* unknown, but it was done: found by looking */
    x.fail = FZ_UNKNOWN;
    x.apply = true;
    OK(write_some(&x.base, IB_APPEND, t, 1, &f, NULL, &next, err));
    assert_int_equal(x.commits, 1);
    check_rows(next, NULL, 1);
    ib_table_unref(next);

    /* the table was dropped and made again: the rows were for the old one */
    OK(c->ops->drop_table(c, ID, err));
    ib_table *other = make_table(c, false, 2, kv);
    x = flaky_around(c);
    assert_int_equal(write_some(&x.base, IB_APPEND, t, 1, &f, NULL, &next, &e), FZ_CONFLICT);
    assert_int_equal(x.commits, 0);
    assert_non_null(strstr(e.message, "made again"));
    ib_table_unref(t);
    drop_table(c, other);
    c->ops->close(c);
}

/* ---- many committers ---- */

static void *committer(void *arg)
{
    ib_catalog *c = open_lake();
    ib_manifest_cache *cache = ib_manifest_cache_new(NULL, 16 << 20);
    ib_table *t, *next;
    ib_data_file f = {.file_path = str_of(arg), .file_format = STR("PARQUET"), .record_count = 10, .file_size_bytes = 1, .sort_order_id = -1};
    OK(c->ops->load_table(c, ID, NULL, &t, err));
    for (int i = 0; i < 30; i++) {
        OK(write_some(c, IB_APPEND, t, 1, &f, cache, &next, err));
        ib_table_unref(t);
        t = next;
    }
    ib_table_unref(t);
    ib_manifest_cache_free(cache);
    c->ops->close(c);
    return NULL;
}

static void together(void **state)
{
    (void)state;
    const ib_kv kv[] = {{STR("commit.manifest.min-count-to-merge"), STR("20")}};
    ib_catalog *c = open_lake();
    ib_table *t = make_table(c, false, 1, kv);
    pthread_t th[4];
    static char *names[] = {"w0", "w1", "w2", "w3"};
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&th[i], NULL, committer, names[i]), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(th[i], NULL);
    ib_table_unref(t);
    OK(c->ops->load_table(c, ID, NULL, &t, err));
    check_rows(t, NULL, 120);
    ib_scan *s;
    OK(ib_plan(t->md, ib_current_snapshot(t->md), NULL, NULL, NULL, NULL, &s, err));
    int each[4] = {0};
    for (uint32_t i = 0; i < s->n; i++) {
        assert_int_equal(s->files[i].sequence_number, i + 1);
        each[s->files[i].file->file_path.p[1] - '0']++;
    }
    for (int i = 0; i < 4; i++)
        assert_int_equal(each[i], 30);
    ib_scan_free(s);
    drop_table(c, t);
    c->ops->close(c);
}

/* What a commit writes doesn't grow with the table's history but for the list and the metadata. */
static void many_appends(void **state)
{
    (void)state;
    ib_catalog *c = open_lake();
    ib_table *t = make_table(c, false, 0, NULL);
    ib_manifest_cache *cache = ib_manifest_cache_new(NULL, 64 << 20);
    for (int i = 0; i < 120; i++)
        t = append(c, t, "f", cache);
    ib_decoded *d;
    OK(ib_manifest_list_get(NULL, NULL, ib_current_snapshot(t->md)->manifest_list, NULL, &d, err));
    assert_int_equal(d->n, 1 + 20); /* at 100 they became one */
    assert_int_equal(d->files[20].added_files + d->files[20].existing_files, 100);
    assert_int_equal(d->files[20].min_sequence_number, 1);
    ib_decoded_unref(d);
    check_rows(t, cache, 120);
    assert_int_equal(avro_files(t), 120 + 119 + 1); /* lists, manifests but for the one that was merged at once, the merged one */
    ib_manifest_cache_free(cache);
    drop_table(c, t);
    c->ops->close(c);
}

static int set_up(void **state)
{
    (void)state;
    const char *tmp = getenv("TMPDIR");
    arena_init(&mem_, NULL);
    snprintf(folder, sizeof folder, "%s/test_snapshot_XXXXXX", tmp && strlen(tmp) < 40 ? tmp : "/tmp");
    return mkdtemp(folder) ? 0 : -1;
}

static fz_status remove_it(void *ctx, const char *path, const io_stat_info *info, fz_error *err)
{
    (void)ctx, (void)info;
    return io_remove(NULL, path, err);
}

static int tear_down(void **state)
{
    (void)state;
    char cmd[128];
    io_list(NULL, folder, remove_it, NULL, NULL);
    snprintf(cmd, sizeof cmd, "find '%s' -depth -type d -exec rmdir {} +", folder);
    arena_free(&mem_);
    return system(cmd) != 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(append_and_replace), cmocka_unit_test(warm),         cmocka_unit_test(rolling),
        cmocka_unit_test(required_meanwhile), cmocka_unit_test(conflicts),          cmocka_unit_test(retries_end),  cmocka_unit_test(together),
        cmocka_unit_test(many_appends),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
