/*
 * test_sqlite.c: the embedded catalog: the common suite, the rules of a lake's folder, and many processes
 * at once. Programs that die at a fault point are this one, started again by fork.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "conformance/conformance.h"
#include "catalog/sqlite/sqlite_catalog.h"
#include "catalog/sqlite/sqlite_int.h"
#include "io/io.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static char root[64];
static mem m;

static const char *in_root(const char *name)
{
    static char paths[8][300];
    static int next;
    char *p = paths[next++ & 7];
    snprintf(p, sizeof paths[0], "%s/%s", root, name);
    return p;
}

static fz_status open_as(const char *dir, bool create, const char *name, bool read_only, ib_catalog **c, fz_error *e)
{
    sqlite_catalog_options o = {.lake_dir = dir, .create_if_missing = create, .catalog_name = name, .read_only = read_only,
                                .busy_timeout_ms = 20000};
    return sqlite_catalog_open(&o, &m, NULL, c, e);
}

static ib_catalog *lake(const char *dir)
{
    ib_catalog *c;
    fz_error e = {0};
    if (open_as(dir, true, NULL, false, &c, &e) != FZ_OK)
        fail_msg("%s (%s)", e.message, e.where);
    return c;
}

static void close_lake(ib_catalog *c) { c->ops->close(c); }

static void refused(fz_status st, fz_status want, const fz_error *e, const char *says)
{
    if (st != want || !strstr(e->message, says))
        fail_msg("%d \"%s\", \"%s\" was expected", st, e->message, says);
}

static void sql(const char *dir, const char *text)
{
    char path[400];
    sqlite3 *db;
    char *why = NULL;
    snprintf(path, sizeof path, "%s/catalog.db", dir);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    if (sqlite3_exec(db, text, NULL, NULL, &why) != SQLITE_OK)
        fail_msg("%s: %s", text, why);
    sqlite3_close(db);
}

static int files_below(const char *path)
{
    DIR *d = opendir(path);
    struct dirent *e;
    int n = 0;
    while (d && (e = readdir(d)))
        n += e->d_name[0] != '.';
    if (d)
        closedir(d);
    return n;
}

/* ---- one process ---- */

static void test_conformance(void **state)
{
    ib_catalog *c = lake(in_root("conformance"));
    conformance_run(c);
    close_lake(c);
    assert_int_equal(m.used, 0);
}

static void test_folder(void **state)
{
    ib_catalog *c;
    fz_error e = {0};
    refused(open_as(in_root("none"), false, NULL, false, &c, &e), FZ_NOT_FOUND, &e, "no lake");
    assert_int_equal(access(in_root("none"), F_OK), -1);
    refused(open_as(in_root("none"), true, NULL, true, &c, &e), FZ_NOT_FOUND, &e, "no lake");
    mkdir(in_root("full"), 0755);
    refused(open_as(in_root("full"), false, NULL, false, &c, &e), FZ_NOT_FOUND, &e, "empty");
    mkdir(in_root("full/warehouse"), 0755);
    refused(open_as(in_root("full"), true, NULL, false, &c, &e), FZ_INVALID, &e, "no catalog.db");
    assert_int_equal(access(in_root("full/catalog.db"), F_OK), -1);
    refused(open_as("s3://bucket/lake", true, NULL, false, &c, &e), FZ_UNSUPPORTED, &e, "s3://");
    FILE *f = fopen(in_root("file"), "w");
    fclose(f);
    refused(open_as(in_root("file"), true, NULL, false, &c, &e), FZ_INVALID, &e, "file");
    refused(open_as(in_root("file/x"), true, NULL, false, &c, &e), FZ_IO, &e, "folder can't be made");
    /* a catalog.db that isn't one */
    mkdir(in_root("odd"), 0755);
    f = fopen(in_root("odd/catalog.db"), "w");
    fputs("this is some other file, long enough to look at: 0123456789012345678901234567890123456789", f);
    fclose(f);
    refused(open_as(in_root("odd"), true, NULL, false, &c, &e), FZ_DATA, &e, "damaged");
    /* a creation that died just after the file appeared */
    mkdir(in_root("half"), 0755);
    fclose(fopen(in_root("half/catalog.db"), "w"));
    refused(open_as(in_root("half"), false, NULL, false, &c, &e), FZ_NOT_FOUND, &e, "no tables");
    close_lake(lake(in_root("half")));
    /* several levels, and names that mean something to URLs */
    c = lake(in_root("a/b %41#?/lake"));
    assert_int_equal(c->ops->create_namespace(c, STR("n s"), NULL, NULL), FZ_OK);
    ib_table *t = sample_create(c, (ib_ident){STR("n s"), STR("t%20")});
    char want[400];
    snprintf(want, sizeof want, "file://%s/warehouse/n s/t%%20", in_root("a/b %41#?/lake"));
    assert_string_equal(t->md->location.p, want);
    ib_table_unref(t);
    close_lake(c);
    assert_int_equal(access(in_root("a/b %41#?/lake/warehouse/n s/t%20/metadata"), F_OK), 0);
    assert_int_equal(m.used, 0);
}

static void test_location(void **state)
{
    ib_catalog *c = lake(in_root("where"));
    assert_int_equal(c->ops->create_namespace(c, STR("n"), NULL, NULL), FZ_OK);
    ib_ident id = IDENT("n", "a/b");
    ib_table *t = sample_create(c, id);
    assert_non_null(strstr(t->md->location.p, "/warehouse/n/a_b"));
    ib_table_unref(t);
    id = IDENT("n", "x");
    t = sample_create(c, id);
    const char *end = "/where/warehouse/n/x";
    assert_true(str_ends(t->md->location, str_of(end)));
    assert_non_null(strstr(t->metadata_location, "/where/warehouse/n/x/metadata/00000-"));
    ib_table_unref(t);
    assert_int_equal(c->ops->drop_table(c, id, NULL), FZ_OK);
    t = sample_create(c, id);
    assert_non_null(strstr(t->md->location.p, "/where/warehouse/n/x-"));
    ib_table_unref(t);
    ib_kv kv = {STR("location"), STR("file:///elsewhere/")};
    ib_props p = {1, &kv};
    assert_int_equal(c->ops->create_namespace(c, STR("own"), &p, NULL), FZ_OK);
    arena a;
    arena_init(&a, NULL);
    str l;
    assert_int_equal(c->ops->default_location(c, IDENT("own", "t"), &a, &l, NULL), FZ_OK);
    assert_true(str_eqz(l, "file:///elsewhere/t"));
    arena_free(&a);
    close_lake(c);
}

static void test_catalog_name(void **state)
{
    const char *dir = in_root("named");
    ib_catalog *c;
    fz_error e = {0};
    bool there;
    assert_int_equal(open_as(dir, true, "x", false, &c, &e), FZ_OK);
    assert_int_equal(c->ops->create_namespace(c, STR("of_x"), NULL, &e), FZ_OK);
    close_lake(c);
    c = lake(dir); /* the only name there is */
    assert_int_equal(c->ops->namespace_exists(c, STR("of_x"), &there, &e), FZ_OK);
    assert_true(there);
    close_lake(c);
    assert_int_equal(open_as(dir, true, "y", false, &c, &e), FZ_OK);
    assert_int_equal(c->ops->create_namespace(c, STR("of_y"), NULL, &e), FZ_OK);
    close_lake(c);
    refused(open_as(dir, true, NULL, false, &c, &e), FZ_INVALID, &e, "\"x\" and \"y\"");
    assert_non_null(strstr(e.hint, "catalog-name"));
    assert_int_equal(open_as(dir, true, "default", false, &c, &e), FZ_OK);
    assert_int_equal(c->ops->create_namespace(c, STR("of_default"), NULL, &e), FZ_OK);
    close_lake(c);
    c = lake(dir);
    assert_int_equal(c->ops->namespace_exists(c, STR("of_default"), &there, &e), FZ_OK);
    assert_true(there);
    close_lake(c);
}

/* Files of PyIceberg's older releases have no iceberg_type; views of other programs aren't tables. */
static void test_schemas(void **state)
{
    const char *dir = in_root("old");
    mkdir(dir, 0755);
    sql(dir, "CREATE TABLE iceberg_tables (catalog_name VARCHAR(255) NOT NULL, table_namespace VARCHAR(255) NOT NULL, "
             "table_name VARCHAR(255) NOT NULL, metadata_location VARCHAR(1000), previous_metadata_location VARCHAR(1000), "
             "PRIMARY KEY (catalog_name, table_namespace, table_name));"
             "CREATE TABLE iceberg_namespace_properties (catalog_name VARCHAR(255) NOT NULL, namespace VARCHAR(255) NOT NULL, "
             "property_key VARCHAR(255) NOT NULL, property_value VARCHAR(1000) NOT NULL, "
             "PRIMARY KEY (catalog_name, namespace, property_key));");
    ib_catalog *c = lake(dir);
    conformance_run(c);
    close_lake(c);
    sql(dir, "INSERT INTO iceberg_tables VALUES ('default', 'one', 'without', NULL, NULL)"); /* five columns still */
    dir = in_root("views");
    c = lake(dir);
    assert_int_equal(c->ops->create_namespace(c, STR("n"), NULL, NULL), FZ_OK);
    sql(dir, "INSERT INTO iceberg_tables VALUES ('default', 'n', 'v', 'file:///v', NULL, 'VIEW')");
    ib_table *t;
    fz_error e = {0};
    refused(c->ops->load_table(c, IDENT("n", "v"), NULL, &t, &e), FZ_NOT_FOUND, &e, "n.v");
    refused(c->ops->drop_table(c, IDENT("n", "v"), &e), FZ_NOT_FOUND, &e, "n.v");
    arena a;
    uint32_t n;
    ib_ident *l;
    arena_init(&a, NULL);
    assert_int_equal(c->ops->list_tables(c, STR("n"), &a, &n, &l, &e), FZ_OK);
    assert_int_equal(n, 0);
    arena_free(&a);
    ib_metadata *md = sample_metadata(c, IDENT("n", "v"));
    refused(c->ops->create_table(c, IDENT("n", "v"), md, &t, &e), FZ_EXISTS, &e, "n.v");
    ib_metadata_unref(md);
    close_lake(c);
    assert_int_equal(m.used, 0);
}

static void test_moved(void **state)
{
    ib_catalog *c = lake(in_root("here"));
    ib_table *t;
    fz_error e = {0};
    assert_int_equal(c->ops->create_namespace(c, STR("n"), NULL, NULL), FZ_OK);
    ib_table_unref(sample_create(c, IDENT("n", "t")));
    close_lake(c);
    /* another way to the same folder is fine */
    assert_int_equal(symlink(in_root("here"), in_root("link")), 0);
    c = lake(in_root("link"));
    assert_int_equal(c->ops->load_table(c, IDENT("n", "t"), NULL, &t, &e), FZ_OK);
    ib_table_unref(t);
    close_lake(c);
    assert_int_equal(rename(in_root("here"), in_root("there")), 0);
    c = lake(in_root("there"));
    refused(c->ops->load_table(c, IDENT("n", "t"), NULL, &t, &e), FZ_INVALID, &e, "moved");
    assert_non_null(strstr(e.message, in_root("here/warehouse/n/t")));
    assert_non_null(strstr(e.message, in_root("there/warehouse/n/t")));
    assert_non_null(strstr(e.hint, in_root("here")));
    close_lake(c);
    /* a copy doesn't write to the original */
    char cmd[900];
    snprintf(cmd, sizeof cmd, "cp -r '%s' '%s'", in_root("there"), in_root("here"));
    assert_int_equal(system(cmd), 0);
    c = lake(in_root("there"));
    refused(c->ops->load_table(c, IDENT("n", "t"), NULL, &t, &e), FZ_INVALID, &e, "moved or copied");
    close_lake(c);
    c = lake(in_root("here"));
    assert_int_equal(c->ops->load_table(c, IDENT("n", "t"), NULL, &t, &e), FZ_OK);
    assert_int_equal(unlink(io_local_path(t->metadata_location)), 0);
    ib_table_unref(t);
    refused(c->ops->load_table(c, IDENT("n", "t"), NULL, &t, &e), FZ_DATA, &e, "is gone");
    close_lake(c);
}

static void test_read_only(void **state)
{
    ib_catalog *c = lake(in_root("ro")), *r;
    ib_table *t;
    fz_error e = {0};
    assert_int_equal(c->ops->create_namespace(c, STR("n"), NULL, NULL), FZ_OK);
    ib_table_unref(sample_create(c, IDENT("n", "t")));
    assert_int_equal(open_as(in_root("ro"), false, NULL, true, &r, &e), FZ_OK);
    assert_int_equal(r->ops->load_table(r, IDENT("n", "t"), NULL, &t, &e), FZ_OK);
    refused(r->ops->create_namespace(r, STR("x"), NULL, &e), FZ_IO, &e, "only be read");
    refused(sample_set(r, IDENT("n", "t"), "k", "v", &t, &e), FZ_IO, &e, "only be read");
    ib_table *now;
    assert_int_equal(sample_set(c, IDENT("n", "t"), "k", "v", &now, &e), FZ_OK);
    ib_table_unref(now);
    assert_int_equal(r->ops->load_table(r, IDENT("n", "t"), t, &now, &e), FZ_OK);
    assert_ptr_not_equal(now, t);
    ib_table_unref(now);
    ib_table_unref(t);
    close_lake(r);
    close_lake(c);
    assert_int_equal(m.used, 0);
}

/* As another user, since root may write everywhere: a folder without write permission is read without locks. */
static void test_read_only_folder(void **state)
{
    if (getuid() != 0)
        skip();
    const char *dir = in_root("locked");
    ib_catalog *c = lake(dir);
    assert_int_equal(c->ops->create_namespace(c, STR("n"), NULL, NULL), FZ_OK);
    ib_table_unref(sample_create(c, IDENT("n", "t")));
    close_lake(c);
    assert_int_equal(access(in_root("locked/catalog.db-wal"), F_OK), -1);
    chmod(root, 0755);
    chmod(dir, 0755);
    pid_t pid = fork();
    if (pid == 0) {
        fz_error e = {0};
        ib_table *t, *t2;
        void *token;
        if (setuid(65534) != 0 || open_as(dir, true, NULL, false, &c, &e) != FZ_OK)
            _exit(1);
        if (c->ops->load_table(c, IDENT("n", "t"), NULL, &t, &e) != FZ_OK ||
            c->ops->load_table(c, IDENT("n", "t"), t, &t2, &e) != FZ_OK || t != t2)
            _exit(2);
        if (sample_set(c, IDENT("n", "t"), "k", "v", &t2, &e) != FZ_IO)
            _exit(3);
        if (c->ops->queue_lock(c, IDENT("n", "t"), 10, &token, &e) != FZ_OK || token)
            _exit(4);
        _exit(0);
    }
    int status;
    waitpid(pid, &status, 0);
    assert_int_equal(status, 0);
}

static void test_busy(void **state)
{
    ib_catalog *c;
    fz_error e = {0};
    sqlite_catalog_options o = {.lake_dir = in_root("busy"), .create_if_missing = true, .busy_timeout_ms = 50};
    assert_int_equal(sqlite_catalog_open(&o, &m, NULL, &c, &e), FZ_OK);
    assert_int_equal(c->ops->create_namespace(c, STR("n"), NULL, &e), FZ_OK);
    ib_table *t = sample_create(c, IDENT("n", "t")), *t2;
    char path[400];
    sqlite3 *db;
    snprintf(path, sizeof path, "%s/catalog.db", o.lake_dir);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    int files = files_below(in_root("busy/warehouse/n/t/metadata"));
    refused(sample_set(c, IDENT("n", "t"), "k", "v", &t2, &e), FZ_BUSY, &e, "locked by another program");
    refused(c->ops->create_namespace(c, STR("x"), NULL, &e), FZ_BUSY, &e, "locked");
    assert_int_equal(files_below(in_root("busy/warehouse/n/t/metadata")), files); /* nothing left behind */
    assert_int_equal(c->ops->load_table(c, IDENT("n", "t"), t, &t2, &e), FZ_OK); /* reading goes on */
    assert_ptr_equal(t, t2);
    ib_table_unref(t2);
    sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
    sqlite3_close(db);
    assert_int_equal(sample_set(c, IDENT("n", "t"), "k", "v", &t2, &e), FZ_OK);
    ib_table_unref(t2);
    ib_table_unref(t);
    close_lake(c);
}

static void test_delete_after_commit(void **state)
{
    ib_catalog *c = lake(in_root("tidy"));
    ib_table *t;
    fz_error e = {0};
    assert_int_equal(c->ops->create_namespace(c, STR("n"), NULL, NULL), FZ_OK);
    ib_table_unref(sample_create(c, IDENT("n", "t")));
    const char *keys[] = {"write.metadata.previous-versions-max", "write.metadata.delete-after-commit.enabled"};
    const char *values[] = {"2", "true"};
    for (int i = 0; i < 6; i++) {
        assert_int_equal(sample_set(c, IDENT("n", "t"), i < 2 ? keys[i] : "k", i < 2 ? values[i] : "v", &t, &e), FZ_OK);
        ib_table_unref(t);
    }
    assert_int_equal(files_below(in_root("tidy/warehouse/n/t/metadata")), 3);
    close_lake(c);
}

static void test_register(void **state)
{
    ib_catalog *c = lake(in_root("reg"));
    ib_table *t, *t2;
    fz_error e = {0};
    assert_int_equal(c->ops->create_namespace(c, STR("n"), NULL, NULL), FZ_OK);
    t = sample_create(c, IDENT("n", "t"));
    assert_int_equal(c->ops->drop_table(c, IDENT("n", "t"), &e), FZ_OK);
    assert_int_equal(c->ops->register_table(c, IDENT("n", "again"), t->metadata_location, &t2, &e), FZ_OK);
    assert_true(str_eq(t->md->table_uuid, t2->md->table_uuid));
    ib_table_unref(t2);
    refused(c->ops->register_table(c, IDENT("n", "again"), t->metadata_location, &t2, &e), FZ_EXISTS, &e, "n.again");
    refused(c->ops->register_table(c, IDENT("n", "b"), "file:///none.json", &t2, &e), FZ_NOT_FOUND, &e, "");
    ib_table_unref(t);
    close_lake(c);
    assert_int_equal(m.used, 0);
}

/* ---- many processes ---- */

static pid_t start(int (*fn)(int nr), int nr)
{
    pid_t pid = fork();
    if (pid == 0)
        _exit(fn(nr));
    assert_true(pid > 0);
    return pid;
}

static void all_well(pid_t *pids, int n)
{
    for (int i = 0; i < n; i++) {
        int status;
        assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
        assert_int_equal(status, 0);
    }
}

enum { WRITERS = 8, COMMITS = 25 };

/* Everybody makes the same lake, namespace and table: one makes it, the others hear that it exists. */
static int create_one(int nr)
{
    ib_catalog *c;
    fz_error e = {0};
    if (open_as(in_root("race"), true, NULL, false, &c, &e) != FZ_OK) {
        fprintf(stderr, "%s (%s)\n", e.message, e.where);
        return 101;
    }
    fz_status st = c->ops->create_namespace(c, STR("n"), NULL, &e);
    if (st != FZ_OK && st != FZ_EXISTS) {
        fprintf(stderr, "%s\n", e.message);
        return 102;
    }
    ib_metadata *md = sample_metadata(c, IDENT("n", "t"));
    ib_table *t;
    st = c->ops->create_table(c, IDENT("n", "t"), md, &t, &e);
    if (st != FZ_OK && st != FZ_EXISTS) {
        fprintf(stderr, "%s\n", e.message);
        return 103;
    }
    return st == FZ_OK; /* exit code 1 for the one who made it */
}

static void test_create_race(void **state)
{
    pid_t pids[WRITERS];
    int made = 0;
    for (int i = 0; i < WRITERS; i++)
        pids[i] = start(create_one, i);
    for (int i = 0; i < WRITERS; i++) {
        int status;
        waitpid(pids[i], &status, 0);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) <= 1);
        made += WEXITSTATUS(status);
    }
    assert_int_equal(made, 1);
    ib_catalog *c = lake(in_root("race"));
    ib_table *t;
    assert_int_equal(c->ops->load_table(c, IDENT("n", "t"), NULL, &t, NULL), FZ_OK);
    ib_table_unref(t);
    close_lake(c);
}

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int append_many(int nr)
{
    ib_catalog *c;
    fz_error e = {0};
    if (open_as(in_root("many"), true, NULL, false, &c, &e) != FZ_OK)
        return 1;
    ib_ident id = IDENT("n", "t");
    ib_table *t = NULL, *next;
    int64_t longest = 0;
    for (int i = 0; i < COMMITS; i++) {
        void *token;
        int64_t from = now_ms();
        if (c->ops->queue_lock(c, id, 60000, &token, &e) != FZ_OK || !token)
            return 2;
        if (now_ms() - from > longest)
            longest = now_ms() - from;
        for (;;) {
            if (c->ops->load_table(c, id, t, &next, &e) != FZ_OK)
                return 3;
            ib_table_unref(t);
            t = next;
            fz_status st = sample_append(c, id, t, 1000 * (nr + 1) + i, t->md->current_snapshot_id,
                                         t->md->last_sequence_number + 1, true, &next, &e);
            if (st == FZ_OK)
                break;
            if (st != FZ_CONFLICT) /* only the one who doesn't queue can come between */
                return 4;
        }
        ib_table_unref(t);
        t = next;
        c->ops->queue_unlock(c, token);
    }
    ib_table_unref(t);
    close_lake(c);
    return longest > 20000 ? 5 : 0;
}

/* One that doesn't queue, as PyIceberg doesn't. */
static int append_rudely(int nr)
{
    ib_catalog *c;
    fz_error e = {0};
    if (open_as(in_root("many"), true, NULL, false, &c, &e) != FZ_OK)
        return 1;
    ib_table *t;
    for (int i = 0; i < COMMITS; i++) {
        if (sample_set(c, IDENT("n", "t"), "rude", i & 1 ? "a" : "b", &t, &e) != FZ_OK)
            return 2;
        ib_table_unref(t);
        usleep(1000);
    }
    close_lake(c);
    return 0;
}

static void test_many_writers(void **state)
{
    ib_catalog *c = lake(in_root("many"));
    assert_int_equal(c->ops->create_namespace(c, STR("n"), NULL, NULL), FZ_OK);
    ib_table_unref(sample_create(c, IDENT("n", "t")));
    close_lake(c);
    pid_t pids[WRITERS + 1];
    for (int i = 0; i < WRITERS; i++)
        pids[i] = start(append_many, i);
    pids[WRITERS] = start(append_rudely, WRITERS);
    all_well(pids, WRITERS + 1);
    c = lake(in_root("many"));
    ib_table *t;
    assert_int_equal(c->ops->load_table(c, IDENT("n", "t"), NULL, &t, NULL), FZ_OK);
    assert_int_equal(t->md->n_snapshots, WRITERS * COMMITS);
    for (uint32_t i = 1; i < t->md->n_snapshots; i++)
        assert_true(t->md->snapshots[i]->parent_id == t->md->snapshots[i - 1]->snapshot_id);
    for (int w = 0; w < WRITERS; w++)
        for (int i = 0; i < COMMITS; i++)
            assert_non_null(ib_snapshot_by_id(t->md, 1000 * (w + 1) + i));
    /* a metadata file for each commit and none for lost races */
    assert_int_equal(files_below(in_root("many/warehouse/n/t/metadata")), 1 + (WRITERS + 1) * COMMITS);
    ib_table_unref(t);
    close_lake(c);
    assert_int_equal(m.used, 0);
}

/* The turns of those who wait come in the order they asked, also when one of them dies. */
static int turn(int nr)
{
    ib_catalog *c;
    void *token;
    if (open_as(in_root("turns"), false, NULL, false, &c, NULL) != FZ_OK ||
        c->ops->queue_lock(c, IDENT("n", "t"), 30000, &token, NULL) != FZ_OK || !token)
        return 1;
    int fd = open(in_root("turns/order"), O_WRONLY | O_CREAT | O_APPEND, 0644);
    char digit = (char)('0' + nr);
    int ok = write(fd, &digit, 1) == 1;
    usleep(2000);
    c->ops->queue_unlock(c, token);
    return !ok;
}

static void test_queue_order(void **state)
{
    ib_catalog *c = lake(in_root("turns"));
    void *token;
    pid_t pids[6];
    int status;
    assert_int_equal(c->ops->queue_lock(c, IDENT("n", "t"), 0, &token, NULL), FZ_OK);
    for (int i = 0; i < 6; i++) {
        pids[i] = start(turn, i);
        usleep(60000); /* so that they come in this order */
    }
    kill(pids[2], SIGKILL);
    waitpid(pids[2], &status, 0);
    c->ops->queue_unlock(c, token);
    for (int i = 0; i < 6; i++)
        if (i != 2) {
            waitpid(pids[i], &status, 0);
            assert_int_equal(status, 0);
        }
    char order[10] = {0};
    int fd = open(in_root("turns/order"), O_RDONLY);
    assert_true(read(fd, order, 9) == 5);
    close(fd);
    assert_string_equal(order, "01345");
    /* lock files may go at any time */
    char cmd[400];
    snprintf(cmd, sizeof cmd, "rm -r '%s'", in_root("turns/.frazil"));
    assert_int_equal(system(cmd), 0);
    assert_int_equal(c->ops->queue_lock(c, IDENT("n", "t"), 0, &token, NULL), FZ_OK);
    assert_non_null(token);
    c->ops->queue_unlock(c, token);
    close_lake(c);
}

/* ---- dying and failing at each step ---- */

/* In a process of its own that doesn't tidy up. */
static int commit_with_fault(int nr, const char *fault)
{
    ib_catalog *c;
    ib_table *t;
    fz_error e = {0};
    if (open_as(in_root("fault"), false, NULL, false, &c, &e) != FZ_OK)
        return 1;
    if (nr == 0)
        return sample_set(c, IDENT("n", "t"), "k", fault, &t, &e) == FZ_OK ? 50 : 60;
    ib_metadata *md = sample_metadata(c, IDENT("n", "new"));
    return c->ops->create_table(c, IDENT("n", "new"), md, &t, &e) == FZ_OK ? 50 : 60;
}

/* This program again, since fault points are read once in a process: its exit code, or -signal. */
static int run_with(int nr, const char *fault)
{
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        setenv("FRAZIL_FAULT", fault, 1);
        execl("/proc/self/exe", "test_sqlite", root, nr ? "1" : "0", fault, (char *)NULL);
        _exit(99);
    }
    waitpid(pid, &status, 0);
    return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

static void test_faults(void **state)
{
    static const struct { const char *fault; int exit; bool happened; int files; } t[] = {
        {"catalog.metadata.write=error", 60, false, 0}, {"catalog.before_cas=error", 60, false, 0},
        {"catalog.after_cas=error", 50, true, 1}, /* asked again: it happened */
        {"catalog.metadata.write=kill", -SIGKILL, false, 0}, {"catalog.before_cas=kill", -SIGKILL, false, 1},
        {"catalog.after_cas=kill", -SIGKILL, true, 1}, {"catalog.before_cas=enospc", 60, false, 0},
    };
    ib_catalog *c = lake(in_root("fault"));
    assert_int_equal(c->ops->create_namespace(c, STR("n"), NULL, NULL), FZ_OK);
    ib_table_unref(sample_create(c, IDENT("n", "t")));
    close_lake(c);
    for (size_t i = 0; i < sizeof t / sizeof t[0]; i++) {
        int before = files_below(in_root("fault/warehouse/n/t/metadata"));
        const char *fault = t[i].fault;
        int code = run_with(0, fault);
        if (code != t[i].exit)
            fail_msg("%s: %d", fault, code);
        ib_table *now;
        c = lake(in_root("fault"));
        assert_int_equal(c->ops->load_table(c, IDENT("n", "t"), NULL, &now, NULL), FZ_OK);
        str v = ib_prop(&now->md->properties, "k");
        assert_int_equal(str_eqz(v, fault), t[i].happened);
        ib_table_unref(now);
        assert_int_equal(sample_set(c, IDENT("n", "t"), "k", "next", &now, NULL), FZ_OK);
        ib_table_unref(now);
        close_lake(c);
        assert_int_equal(files_below(in_root("fault/warehouse/n/t/metadata")), before + 1 + t[i].files);
    }
    assert_int_equal(run_with(1, "catalog.create=error"), 60);
    assert_int_equal(files_below(in_root("fault/warehouse/n/new/metadata")), 0);
    assert_int_equal(run_with(1, "catalog.create=kill"), -SIGKILL);
    c = lake(in_root("fault"));
    ib_table *now;
    assert_int_equal(c->ops->load_table(c, IDENT("n", "new"), NULL, &now, NULL), FZ_NOT_FOUND);
    now = sample_create(c, IDENT("n", "new")); /* beside what the dead one left */
    assert_non_null(strstr(now->md->location.p, "/n/new-"));
    ib_table_unref(now);
    close_lake(c);
    assert_int_equal(m.used, 0);
}

/* ---- answers that got lost, while others went on ---- */

static const char *lost_in;   /* the lake whose next commit's answer is lost */
static int others_commits;    /* to n.t, before anybody asks what became of it */

static fz_status lost_transaction(sql_catalog *b, fz_status (*body)(sql_catalog *c, sql_tx *tx, void *ctx, fz_error *err), void *ctx,
                                  bool *unknown, fz_error *err)
{
    fz_status st = sq_db.transaction(b, body, ctx, unknown, err);
    if (st != FZ_OK || !lost_in)
        return st;
    ib_catalog *other = lake(lost_in);
    lost_in = NULL;
    for (int i = 0; i < others_commits; i++) {
        ib_table *t;
        assert_int_equal(sample_set(other, IDENT("n", "t"), "other", i % 2 ? "a" : "b", &t, NULL), FZ_OK);
        ib_table_unref(t);
    }
    close_lake(other);
    *unknown = true;
    return error_set(err, FZ_IO, "the answer is lost");
}

static void test_lost_answers(void **state)
{
    const char *dir = in_root("lost");
    ib_table *t = NULL, *now;
    fz_error e = {0};
    ib_catalog *c = lake(dir);
    sql_db_ops db = sq_db;
    db.transaction = lost_transaction;
    assert_int_equal(c->ops->create_namespace(c, STR("n"), NULL, NULL), FZ_OK);
    sql_of(c)->db = &db;
    /* a table of ours is ours, also when others have changed it by now: what it refers to must stay */
    lost_in = dir;
    others_commits = 1;
    ib_metadata *md = sample_metadata(c, IDENT("n", "t"));
    fz_status st = c->ops->create_table(c, IDENT("n", "t"), md, &t, &e);
    if (st != FZ_OK)
        fail_msg("%d %s", st, e.message);
    assert_true(str_eq(t->md->table_uuid, md->table_uuid));
    assert_int_equal(access(io_local_path(t->metadata_location), F_OK), 0);
    ib_metadata_unref(md);
    ib_table_unref(t);
    /* a log that no longer reaches back says nothing */
    assert_int_equal(sample_set(c, IDENT("n", "t"), "write.metadata.previous-versions-max", "2", &t, NULL), FZ_OK);
    ib_table_unref(t);
    for (others_commits = 0; others_commits < 5; others_commits += 4) {
        int before = files_below(in_root("lost/warehouse/n/t/metadata"));
        lost_in = dir;
        st = sample_set(c, IDENT("n", "t"), "mine", others_commits ? "2" : "1", &t, &e);
        assert_int_equal(st, others_commits ? FZ_UNKNOWN : FZ_OK);
        if (!st)
            ib_table_unref(t);
        assert_int_equal(files_below(in_root("lost/warehouse/n/t/metadata")), before + 1 + others_commits);
        assert_int_equal(c->ops->load_table(c, IDENT("n", "t"), NULL, &now, NULL), FZ_OK);
        assert_true(str_eqz(ib_prop(&now->md->properties, "mine"), others_commits ? "2" : "1"));
        ib_table_unref(now);
    }
    close_lake(c);
    assert_int_equal(m.used, 0);
}

static int set_up(void **state)
{
    const char *tmp = getenv("TMPDIR");
    snprintf(root, sizeof root, "%s/frazil-cat-XXXXXX", tmp && strlen(tmp) < 40 ? tmp : "/tmp");
    mem_init(&m, NULL, NULL, 0);
    return mkdtemp(root) ? 0 : -1;
}

static int tear_down(void **state)
{
    char cmd[100];
    snprintf(cmd, sizeof cmd, "rm -rf '%s'", root);
    return system(cmd);
}

int main(int argc, char **argv)
{
    if (argc == 4) { /* see run_with */
        snprintf(root, sizeof root, "%s", argv[1]);
        mem_init(&m, NULL, NULL, 0);
        _exit(commit_with_fault(argv[2][0] == '1', argv[3]));
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_conformance), cmocka_unit_test(test_folder), cmocka_unit_test(test_location),
        cmocka_unit_test(test_catalog_name), cmocka_unit_test(test_schemas), cmocka_unit_test(test_moved),
        cmocka_unit_test(test_read_only), cmocka_unit_test(test_read_only_folder), cmocka_unit_test(test_busy),
        cmocka_unit_test(test_delete_after_commit), cmocka_unit_test(test_register), cmocka_unit_test(test_create_race),
        cmocka_unit_test(test_many_writers), cmocka_unit_test(test_queue_order), cmocka_unit_test(test_faults), cmocka_unit_test(test_lost_answers),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
