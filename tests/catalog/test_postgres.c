/*
 * test_postgres.c: what is particular to the catalog in PostgreSQL: its URI, its tables, its connections, servers that
 * restart and networks that lose answers. What it has in common with all catalogs is tested in tests/conformance/.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "catalog/postgres/postgres_int.h"
#include "conformance/conformance.h"
#include "conformance/pg_proxy.h"
#include "conformance/pg_server.h"
#include "io/io.h"

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static pg_server pg;
static pg_proxy proxy;
static char warehouse[300], proxied[400], folder[280];
static mem m;

static fz_status open_with(postgres_options o, ib_catalog **c, fz_error *e)
{
    if (!o.uri)
        o.uri = pg.uri;
    if (!o.warehouse)
        o.warehouse = warehouse;
    return postgres_catalog_open(&o, NULL, &m, NULL, c, e);
}

static ib_catalog *catalog(postgres_options o)
{
    ib_catalog *c;
    fz_error e = {0};
    if (open_with(o, &c, &e) != FZ_OK)
        fail_msg("%s (%s)", e.message, e.where);
    return c;
}

static void close_catalog(ib_catalog *c)
{
    c->ops->close(c);
    assert_int_equal(m.used, 0);
}

static void well(fz_status st, const fz_error *e)
{
    if (st != FZ_OK)
        fail_msg("%d %s (%s)", st, e->message, e->where);
}

static void refused(fz_status st, fz_status want, const fz_error *e, const char *says)
{
    if (st != want || !strstr(e->message, says))
        fail_msg("%d \"%s\", \"%s\" was expected", st, e->message, says);
}

/* Nothing that was printed or could be shows the secret. */
static void no_secret(const fz_error *e)
{
    static const char *const secret[] = {"secret", PG_PASSWORD, PG_PASSWORD_URI};
    for (int i = 0; i < 3; i++)
        if (strstr(e->message, secret[i]) || strstr(e->hint, secret[i]) || strstr(e->where, secret[i]))
            fail_msg("the password is in \"%s\" \"%s\" \"%s\"", e->message, e->hint, e->where);
}

static const char *uri_of(const char *scheme, const char *password, int port, const char *rest)
{
    static char uri[400];
    snprintf(uri, sizeof uri, "%s://frazil:%s@127.0.0.1:%d/%s", scheme, password, port, rest);
    return uri;
}

static int files_of(const ib_table *t)
{
    char path[400];
    snprintf(path, sizeof path, "%s/metadata", io_local_path(t->md->location.p));
    DIR *d = opendir(path);
    struct dirent *e;
    int n = 0;
    while (d && (e = readdir(d)))
        n += e->d_name[0] != '.';
    if (d)
        closedir(d);
    return n;
}

static void make_ns(ib_catalog *c, const char *ns)
{
    fz_error e = {0};
    fz_status st = c->ops->create_namespace(c, str_of(ns), NULL, &e);
    if (st != FZ_EXISTS)
        well(st, &e);
}

/* ---- opening ---- */

static bool is_loaded(const char *lib)
{
    char line[1000];
    bool found = false;
    FILE *f = fopen("/proc/self/maps", "r");
    while (fgets(line, sizeof line, f))
        found |= strstr(line, lib) != NULL;
    fclose(f);
    return found;
}

/* First: nothing has opened a catalog yet. */
static void test_loaded_on_use(void **state)
{
    assert_false(is_loaded("libpq.so"));
    close_catalog(catalog((postgres_options){.catalog_name = "first"}));
    assert_true(is_loaded("libpq.so"));
}

static void test_uri(void **state)
{
    ib_catalog *c;
    fz_error e = {0};
    static const char *const good[] = {"postgresql", "postgres", "postgresql+psycopg2", "postgresql+psycopg", "PostgreSQL+asyncpg"};
    for (int i = 0; i < 5; i++)
        close_catalog(catalog((postgres_options){.uri = uri_of(good[i], PG_PASSWORD_URI, pg.port, "postgres?sslmode=prefer&connect_timeout=5")}));
    static const char *const bad[] = {"", "mysql://u:secret@h/db", "postgresql", "secret://", "postgresqlx://u:secret@h", "host=h password=secret",
                                      "postgresql://u:sec%zzsecret@h/db", "postgresql://u:secret@h/db?nosuch=1", "postgresql://u:secret@h:x%/db",
                                      "postgresql://h/db?password=secret%", "postgresql://u:secret@[h/db"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        refused(open_with((postgres_options){.uri = bad[i]}, &c, &e), FZ_INVALID, &e, "postgresql://");
        no_secret(&e);
    }
    refused(open_with((postgres_options){.uri = uri_of("postgresql", "secret", pg.port, "postgres")}, &c, &e), FZ_IO, &e,
            "password authentication failed");
    no_secret(&e);
    char where[100];
    snprintf(where, sizeof where, "postgresql://127.0.0.1:%d/postgres", pg.port);
    assert_string_equal(e.where, where);
    refused(open_with((postgres_options){.uri = uri_of("postgresql", PG_PASSWORD_URI, pg.port, "none")}, &c, &e), FZ_IO, &e, "\"none\" does not exist");
    no_secret(&e);
    time_t before = time(NULL);
    refused(open_with((postgres_options){.uri = uri_of("postgresql", PG_PASSWORD_URI, 1, "x")}, &c, &e), FZ_IO, &e, "can't be reached");
    no_secret(&e);
    assert_true(time(NULL) - before < 5);
    assert_int_equal(m.used, 0);
    /* a socket's folder instead of a host */
    char uri[600];
    snprintf(uri, sizeof uri, "postgresql://frazil:%s@/postgres?host=%s&port=%d", PG_PASSWORD_URI, pg.dir, pg.port);
    close_catalog(catalog((postgres_options){.uri = uri}));
}

static int open_once(int nr)
{
    ib_catalog *c;
    fz_error e = {0};
    if (open_with((postgres_options){.uri = uri_of("postgresql", PG_PASSWORD_URI, pg.port, "fresh")}, &c, &e) == FZ_OK)
        return 0;
    fprintf(stderr, "%s\n", e.message);
    return 1;
}

static void test_tables(void **state)
{
    ib_catalog *c;
    fz_error e = {0};
    pg_server_sql(&pg, "postgres", "CREATE DATABASE fresh");
    const char *uri = uri_of("postgresql", PG_PASSWORD_URI, pg.port, "fresh");
    refused(open_with((postgres_options){.uri = uri, .keep_tables = true}, &c, &e), FZ_NOT_FOUND, &e, "no tables of an Iceberg catalog");
    refused(open_with((postgres_options){.uri = uri, .read_only = true}, &c, &e), FZ_NOT_FOUND, &e, "no tables");
    pid_t pids[6]; /* all at once */
    for (int i = 0; i < 6; i++)
        if ((pids[i] = fork()) == 0)
            _exit(open_once(i));
    for (int i = 0; i < 6; i++) {
        int status;
        waitpid(pids[i], &status, 0);
        assert_int_equal(status, 0);
    }
    assert_string_equal(pg_server_sql(&pg, "fresh", "SELECT table_name, column_name, data_type, character_maximum_length, is_nullable FROM "
                                      "information_schema.columns WHERE table_name LIKE 'iceberg%' ORDER BY table_name, ordinal_position"),
                        "iceberg_namespace_properties|catalog_name|character varying|255|NO\n"
                        "iceberg_namespace_properties|namespace|character varying|255|NO\n"
                        "iceberg_namespace_properties|property_key|character varying|255|NO\n"
                        "iceberg_namespace_properties|property_value|character varying|1000|NO\n"
                        "iceberg_tables|catalog_name|character varying|255|NO\n"
                        "iceberg_tables|table_namespace|character varying|255|NO\n"
                        "iceberg_tables|table_name|character varying|255|NO\n"
                        "iceberg_tables|metadata_location|character varying|1000|YES\n"
                        "iceberg_tables|previous_metadata_location|character varying|1000|YES\n"
                        "iceberg_tables|iceberg_type|character varying|5|YES\n");
    /* as PyIceberg made them before views existed */
    pg_server_sql(&pg, "fresh", "ALTER TABLE iceberg_tables DROP COLUMN iceberg_type");
    c = catalog((postgres_options){.uri = uri});
    conformance_run(c);
    close_catalog(c);
    assert_string_equal(pg_server_sql(&pg, "fresh", "SELECT count(*) FROM information_schema.columns WHERE table_name = 'iceberg_tables'"), "5\n");
}

static void test_views(void **state)
{
    ib_catalog *c = catalog((postgres_options){.catalog_name = "views"});
    ib_table *t;
    fz_error e = {0};
    arena a;
    uint32_t n;
    ib_ident *l;
    make_ns(c, "n");
    pg_server_sql(&pg, "postgres", "INSERT INTO iceberg_tables VALUES ('views', 'n', 'v', 'file:///v', NULL, 'VIEW')");
    refused(c->ops->load_table(c, IDENT("n", "v"), NULL, &t, &e), FZ_NOT_FOUND, &e, "n.v");
    refused(c->ops->drop_table(c, IDENT("n", "v"), &e), FZ_NOT_FOUND, &e, "n.v");
    arena_init(&a, NULL);
    well(c->ops->list_tables(c, STR("n"), &a, &n, &l, &e), &e);
    assert_int_equal(n, 0);
    arena_free(&a);
    ib_metadata *md = sample_metadata(c, IDENT("n", "v"));
    refused(c->ops->create_table(c, IDENT("n", "v"), md, &t, &e), FZ_EXISTS, &e, "n.v");
    ib_metadata_unref(md);
    close_catalog(c);
}

/* Databases whose text isn't compared by bytes, or whose transactions are stricter. */
static void test_databases(void **state)
{
    if (*pg_server_sql(&pg, "postgres", "SELECT 1 FROM pg_collation WHERE collprovider = 'i' LIMIT 1")) {
        pg_server_sql(&pg, "postgres", "CREATE DATABASE icu LOCALE_PROVIDER icu ICU_LOCALE 'en-US' TEMPLATE template0");
        ib_catalog *c = catalog((postgres_options){.uri = uri_of("postgresql", PG_PASSWORD_URI, pg.port, "icu")});
        conformance_run(c);
        close_catalog(c);
    }
    pg_server_sql(&pg, "postgres", "CREATE DATABASE strict");
    pg_server_sql(&pg, "postgres", "ALTER DATABASE strict SET default_transaction_isolation = 'serializable'");
    ib_catalog *c = catalog((postgres_options){.uri = uri_of("postgresql", PG_PASSWORD_URI, pg.port, "strict")});
    conformance_run(c);
    close_catalog(c);
}

static void test_read_only(void **state)
{
    fz_error e = {0};
    ib_table *t;
    void *token;
    ib_catalog *c = catalog((postgres_options){.read_only = true});
    refused(c->ops->create_namespace(c, STR("x"), NULL, &e), FZ_IO, &e, "only be read");
    assert_int_equal(c->ops->queue_lock(c, IDENT("n", "t"), 0, &token, &e), FZ_OK);
    assert_null(token);
    close_catalog(c);
    c = catalog((postgres_options){.catalog_name = "ro"});
    make_ns(c, "n");
    t = sample_create(c, IDENT("n", "t"));
    close_catalog((ib_table_unref(t), c));
    pg_server_sql(&pg, "postgres", "ALTER DATABASE postgres SET default_transaction_read_only = on");
    c = catalog((postgres_options){.catalog_name = "ro"});
    well(c->ops->load_table(c, IDENT("n", "t"), NULL, &t, &e), &e);
    ib_table *t2;
    int files = files_of(t);
    refused(sample_set(c, IDENT("n", "t"), "k", "v", &t2, &e), FZ_IO, &e, "read-only transaction");
    assert_string_equal(e.sqlstate, "25006");
    assert_int_equal(files_of(t), files);
    ib_table_unref(t);
    close_catalog(c);
    pg_server_sql(&pg, "postgres", "SET transaction_read_only = off; ALTER DATABASE postgres RESET default_transaction_read_only");
}

static void test_places(void **state)
{
    fz_error e = {0};
    arena a;
    str where;
    ib_catalog *c;
    arena_init(&a, NULL);
    postgres_options none = {.uri = pg.uri, .catalog_name = "places"};
    well(postgres_catalog_open(&none, NULL, &m, NULL, &c, &e), &e);
    make_ns(c, "n");
    refused(c->ops->default_location(c, IDENT("n", "t"), &a, &where, &e), FZ_INVALID, &e, "no warehouse");
    ib_kv kv = {STR("location"), STR("file:///elsewhere/")};
    well(c->ops->create_namespace(c, STR("own"), &(ib_props){1, &kv}, &e), &e);
    well(c->ops->default_location(c, IDENT("own", "t"), &a, &where, &e), &e);
    assert_true(str_eqz(where, "file:///elsewhere/t"));
    close_catalog(c);
    c = catalog((postgres_options){.catalog_name = "places", .warehouse = "s3://bucket/lake//"});
    well(c->ops->default_location(c, IDENT("n", "t"), &a, &where, &e), &e);
    assert_true(str_starts(where, STR("s3://bucket/lake/n/t"))); /* nobody can look there, so it gets a name of its own */
    assert_int_equal(where.n, sizeof "s3://bucket/lake/n/t" - 1 + 9);
    close_catalog(c);
    /* a place whose text is longer than its column */
    char longest[1200];
    int n = snprintf(longest, sizeof longest, "%s/", warehouse);
    while (n < 1000)
        n += snprintf(longest + n, sizeof longest - (size_t)n, "%.100s/", "dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd");
    c = catalog((postgres_options){.catalog_name = "places", .warehouse = longest});
    ib_metadata *md = sample_metadata(c, IDENT("n", "long"));
    ib_table *t;
    refused(c->ops->create_table(c, IDENT("n", "long"), md, &t, &e), FZ_INVALID, &e, "too long");
    ib_metadata_unref(md);
    close_catalog(c);
    arena_free(&a);
}

/* ---- connections ---- */

static void test_costs(void **state)
{
    fz_error e = {0};
    ib_table *t, *again;
    ib_catalog *c = catalog((postgres_options){.uri = proxied, .catalog_name = "costs"});
    make_ns(c, "n");
    t = sample_create(c, IDENT("n", "t"));
    proxy.statements = proxy.queries = 0;
    well(c->ops->load_table(c, IDENT("n", "t"), t, &again, &e), &e);
    assert_ptr_equal(t, again);
    assert_int_equal(proxy.statements, 1); /* one SELECT, no transaction around it */
    assert_int_equal(proxy.queries, 0);
    ib_table_unref(again);
    proxy.statements = 0;
    well(sample_append(c, IDENT("n", "t"), t, 1, -1, 1, true, &again, &e), &e);
    assert_int_equal(proxy.statements, 2); /* is it still the newest; UPDATE */
    assert_int_equal(proxy.queries, 2);    /* BEGIN, COMMIT */
    ib_table_unref(again);
    ib_table_unref(t);
    close_catalog(c);
}

typedef struct worker { ib_catalog *c; int nr, rounds, failed; fz_error e; pthread_t id; } worker;

static void *set_many(void *arg)
{
    worker *w = arg;
    char key[30];
    for (int i = 0; i < w->rounds && !w->failed; i++) {
        ib_table *t;
        snprintf(key, sizeof key, "w%d-%d", w->nr, i);
        if (sample_set(w->c, IDENT("n", "t"), key, "x", &t, &w->e) == FZ_OK)
            ib_table_unref(t);
        else
            w->failed++;
    }
    return NULL;
}

static void workers_start(worker *w, int n, ib_catalog *c, int rounds)
{
    for (int i = 0; i < n; i++) {
        w[i] = (worker){.c = c, .nr = i, .rounds = rounds};
        assert_int_equal(pthread_create(&w[i].id, NULL, set_many, &w[i]), 0);
    }
}

static void workers_join(worker *w, int n)
{
    for (int i = 0; i < n; i++) {
        pthread_join(w[i].id, NULL);
        if (w[i].failed)
            fail_msg("%s", w[i].e.message);
    }
}

static void test_pool(void **state)
{
    worker w[6];
    ib_catalog *c = catalog((postgres_options){.catalog_name = "pool", .max_connections = 2});
    make_ns(c, "n");
    ib_table_unref(sample_create(c, IDENT("n", "t")));
    workers_start(w, 6, c, 8);
    int most = 0;
    for (int i = 0; i < 3; i++) {
        int n = (int)strtol(pg_server_sql(&pg, "postgres", "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'frazil'"), NULL, 10);
        most = n > most ? n : most;
    }
    workers_join(w, 6);
    assert_in_range(most, 1, 2);
    ib_table *t;
    assert_int_equal(c->ops->load_table(c, IDENT("n", "t"), NULL, &t, NULL), FZ_OK);
    assert_int_equal(t->md->properties.n, 6 * 8);
    ib_table_unref(t);
    close_catalog(c);
    usleep(50000);
    assert_string_equal(pg_server_sql(&pg, "postgres", "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'frazil'"), "0\n");
}

/* A child of fork leaves its parent's sessions alone and has its own. */
static void test_fork(void **state)
{
    ib_catalog *c = catalog((postgres_options){.catalog_name = "fork"});
    bool there;
    int status;
    make_ns(c, "n");
    pid_t pid = fork();
    if (pid == 0) {
        bool ok = c->ops->namespace_exists(c, STR("n"), &there, NULL) == FZ_OK && there;
        c->ops->close(c);
        _exit(!ok);
    }
    waitpid(pid, &status, 0);
    assert_int_equal(status, 0);
    assert_int_equal(c->ops->namespace_exists(c, STR("n"), &there, NULL), FZ_OK);
    close_catalog(c);
}

static void test_locked(void **state)
{
    const pq_api *pq;
    fz_error e = {0};
    ib_catalog *c = catalog((postgres_options){.catalog_name = "locked", .statement_timeout_ms = 300});
    make_ns(c, "n");
    ib_table *t = sample_create(c, IDENT("n", "t")), *t2;
    int files = files_of(t);
    well(pq_load(&pq, &e), &e);
    const char *keys[] = {"dbname", NULL}, *values[] = {uri_of("postgresql", PG_PASSWORD_URI, pg.port, "postgres"), NULL};
    PGconn *other = pq->PQconnectdbParams(keys, values, 1);
    PGresult *r;
    assert_int_equal(pq->PQsendQuery(other, "BEGIN; SELECT 1 FROM iceberg_tables WHERE catalog_name = 'locked' FOR UPDATE"), 1);
    while ((r = pq->PQgetResult(other)))
        pq->PQclear(r);
    refused(sample_set(c, IDENT("n", "t"), "k", "v", &t2, &e), FZ_BUSY, &e, "locked by another program");
    assert_string_equal(e.sqlstate, "57014");
    assert_int_equal(files_of(t), files);
    well(c->ops->load_table(c, IDENT("n", "t"), t, &t2, &e), &e); /* reading goes on */
    assert_ptr_equal(t, t2);
    ib_table_unref(t2);
    pq->PQfinish(other);
    well(sample_set(c, IDENT("n", "t"), "k", "v", &t2, &e), &e);
    ib_table_unref(t2);
    ib_table_unref(t);
    close_catalog(c);
}

/* ---- servers that go away, answers that get lost ---- */

static void test_restart(void **state)
{
    fz_error e = {0};
    ib_table *t, *again;
    ib_catalog *c = catalog((postgres_options){.catalog_name = "restart"});
    make_ns(c, "n");
    t = sample_create(c, IDENT("n", "t"));
    static const int how[] = {SIGINT, SIGQUIT, SIGKILL};
    for (int i = 0; i < 3; i++) { /* the idle connections are dead: nobody notices */
        pg_server_stop(&pg, how[i]);
        pg_server_start(&pg);
        well(c->ops->load_table(c, IDENT("n", "t"), t, &again, &e), &e);
        ib_table_unref(again);
        pg_server_stop(&pg, how[i]);
        pg_server_start(&pg);
        well(sample_set(c, IDENT("n", "t"), "k", "v", &again, &e), &e);
        ib_table_unref(t);
        t = again;
    }
    /* commits that run into it: none fails, none is lost, none happens twice */
    enum { WORKERS = 4, ROUNDS = 30 };
    worker w[WORKERS];
    int64_t before = t->md->n_metadata_log;
    workers_start(w, WORKERS, c, ROUNDS);
    for (int i = 0; i < 3; i++) {
        usleep(150000);
        pg_server_stop(&pg, how[i]);
        pg_server_start(&pg);
    }
    workers_join(w, WORKERS);
    well(c->ops->load_table(c, IDENT("n", "t"), NULL, &again, &e), &e);
    assert_int_equal(again->md->properties.n, WORKERS * ROUNDS + 1);
    int64_t commits = before + WORKERS * ROUNDS;
    assert_int_equal(again->md->n_metadata_log, commits < 100 ? commits : 100);
    /* one file for each commit and the first one: what lost a race or an answer is gone */
    assert_int_equal(files_of(again), commits + 1);
    ib_table_unref(again);
    ib_table_unref(t);
    /* nobody comes back: an error, after the time that was given */
    close_catalog(c);
    c = catalog((postgres_options){.catalog_name = "restart", .connect_timeout_ms = 700});
    pg_server_stop(&pg, SIGINT);
    refused(c->ops->load_table(c, IDENT("n", "t"), NULL, &again, &e), FZ_IO, &e, "can't be reached");
    no_secret(&e);
    pg_server_start(&pg);
    well(c->ops->load_table(c, IDENT("n", "t"), NULL, &again, &e), &e);
    ib_table_unref(again);
    close_catalog(c);
}

static const pg_proxy_mode losses[] = {PROXY_LOSE_COMMIT, PROXY_LOSE_ANSWER, PROXY_LATE_COMMIT};

/* What became of a commit is found out: it has happened once in the end, and its file is there. The late one is still
 * to reach the server when the catalog is asked, so the question has to wait for it. */
static void test_lost_commit(void **state)
{
    fz_error e = {0};
    ib_catalog *c = catalog((postgres_options){.uri = proxied, .catalog_name = "lost"});
    make_ns(c, "n");
    ib_table *t = sample_create(c, IDENT("n", "t")), *o = sample_create(c, IDENT("n", "o")), *now;
    for (int i = 0; i < 3; i++) {
        char key[20];
        snprintf(key, sizeof key, "loss%d", i);
        int files = files_of(t);
        proxy.mode = losses[i];
        proxy.queries = 0;
        well(sample_set(c, IDENT("n", "t"), key, "v", &now, &e), &e);
        /* BEGIN, COMMIT; the question is a transaction too; only what certainly didn't happen was done again */
        assert_int_equal(proxy.queries, losses[i] == PROXY_LOSE_COMMIT ? 6 : 4);
        ib_table_unref(now);
        assert_int_equal(files_of(t), files + 1);
        well(c->ops->load_table(c, IDENT("n", "t"), NULL, &now, &e), &e);
        assert_true(str_eqz(ib_prop(&now->md->properties, key), "v"));
        assert_int_equal(now->md->n_metadata_log, i + 1);
        ib_table_unref(now);
    }
    /* several tables */
    for (int i = 0; i < 3; i++) {
        char key[20];
        snprintf(key, sizeof key, "both%d", i);
        ib_kv kv = {str_of(key), STR("v")};
        ib_update u = {.kind = IB_SET_PROPERTIES, .props = {1, &kv}};
        ib_commit two[] = {{.id = IDENT("n", "t"), .n_updates = 1, .updates = &u}, {.id = IDENT("n", "o"), .n_updates = 1, .updates = &u}};
        ib_table *out[2];
        proxy.mode = losses[i];
        well(c->ops->commit(c, 2, two, NULL, out, &e), &e);
        for (int k = 0; k < 2; k++) {
            ib_table_unref(out[k]);
            well(c->ops->load_table(c, two[k].id, NULL, &now, &e), &e);
            assert_true(str_eqz(ib_prop(&now->md->properties, key), "v"));
            assert_int_equal(now->md->n_metadata_log, i + 1 + (k == 0 ? 3 : 0));
            ib_table_unref(now);
        }
    }
    ib_table_unref(o);
    ib_table_unref(t);
    close_catalog(c);
}

static void test_lost_creation(void **state)
{
    fz_error e = {0};
    ib_catalog *c = catalog((postgres_options){.uri = proxied, .catalog_name = "lost2"});
    make_ns(c, "n");
    for (int i = 0; i < 3; i++) {
        char name[20];
        ib_table *t;
        snprintf(name, sizeof name, "t%d", i);
        ib_metadata *md = sample_metadata(c, IDENT("n", name));
        proxy.mode = losses[i];
        well(c->ops->create_table(c, IDENT("n", name), md, &t, &e), &e);
        assert_int_equal(files_of(t), 1);
        ib_table_unref(t);
        well(c->ops->load_table(c, IDENT("n", name), NULL, &t, &e), &e);
        ib_table_unref(t);
        ib_metadata_unref(md);
    }
    /* a change of names has no file to look after: it is only said that nobody knows */
    proxy.mode = PROXY_LOSE_ANSWER;
    refused(c->ops->drop_table(c, IDENT("n", "t1"), &e), FZ_UNKNOWN, &e, "isn't known");
    no_secret(&e);
    close_catalog(c);
}

/* ---- */

static int set_up(void **state)
{
    mem_init(&m, NULL, NULL, 0);
    if (!pg_server_make(&pg))
        return 0;
    snprintf(folder, sizeof folder, "/tmp/frazil-pgtest-XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(warehouse, sizeof warehouse, "file://%s", folder);
    pg_proxy_start(&proxy, pg.port);
    snprintf(proxied, sizeof proxied, "%s", uri_of("postgresql", PG_PASSWORD_URI, proxy.port, "postgres"));
    return 0;
}

static int tear_down(void **state)
{
    char cmd[320];
    if (!pg.dir[0])
        return 0;
    pg_proxy_end(&proxy);
    pg_server_free(&pg);
    snprintf(cmd, sizeof cmd, "rm -rf '%s'", folder);
    return system(cmd);
}

static int installed(void **state)
{
    if (!pg.dir[0])
        skip();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_loaded_on_use, installed), cmocka_unit_test_setup(test_uri, installed),
        cmocka_unit_test_setup(test_tables, installed), cmocka_unit_test_setup(test_views, installed),
        cmocka_unit_test_setup(test_databases, installed), cmocka_unit_test_setup(test_read_only, installed),
        cmocka_unit_test_setup(test_places, installed), cmocka_unit_test_setup(test_costs, installed),
        cmocka_unit_test_setup(test_pool, installed), cmocka_unit_test_setup(test_fork, installed),
        cmocka_unit_test_setup(test_locked, installed), cmocka_unit_test_setup(test_restart, installed),
        cmocka_unit_test_setup(test_lost_commit, installed), cmocka_unit_test_setup(test_lost_creation, installed),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
