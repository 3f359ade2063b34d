/*
 * Every allocation fails in turn: each scenario runs again and again with the allocator refusing its nth call, and from there
 * on all of them (or only that one), until it gets through. Whatever failed: the status is FZ_NOMEM or the statement succeeded
 * all the same, nothing leaks, no file is left that no table has, and the table can be read afterwards.
 *
 * Where a scenario makes many allocations, the first ones and then about SAMPLES more, spread evenly, are tried.
 */
#include "engine/lake_util.h"

#include <pthread.h>
#include <stdbool.h>

#define FIRST   60
#define SAMPLES 90

typedef struct failing {
    pthread_mutex_t lock;
    int64_t live, calls, fail_at; /* fail_at 0: none */
    bool once;
} failing;

static void *fail_resize(void *ctx, void *p, size_t old_size, size_t new_size)
{
    failing *f = ctx;
    size_t *block = p ? (size_t *)p - 2 : NULL; /* what was asked for stands before it */
    if (block && block[0] != old_size)
        abort(); /* the caller has forgotten how much it has */
    pthread_mutex_lock(&f->lock);
    if (new_size) {
        int64_t call = ++f->calls;
        if (f->fail_at && (f->once ? call == f->fail_at : call >= f->fail_at)) {
            pthread_mutex_unlock(&f->lock);
            return NULL;
        }
    }
    f->live += (int64_t)new_size - (int64_t)old_size;
    pthread_mutex_unlock(&f->lock);
    if (!new_size) {
        free(block);
        return NULL;
    }
    block = realloc(block, new_size + 16);
    block[0] = new_size;
    return block + 2;
}

static failing alloc = {.lock = PTHREAD_MUTEX_INITIALIZER};

typedef struct scenario {
    const char *name;
    const char *prepare[3];  /* statements, without failures */
    const char *statement;   /* NULL: a load */
    const char *options[4];  /* of the load: key, value, … */
    const char *check;       /* a query afterwards, without failures; it may fail to find the table if the statement didn't get through */
    const char *before, *after; /* what it gives where the statement failed (NULL: there is no table), where it succeeded */
    int files_before, files_after;
} scenario;

static char root[128], lake_dir[200], csv_path[200];

static fz_status statement(fz_session *s, const char *sql, text *out, fz_error *e)
{
    fz_status st = FZ_OK;
    while (sql && !st) {
        fz_result *r = NULL;
        st = fz_execute(s, sql, &sql, NULL, &r, e);
        if (st == FZ_OK && fz_result_has_rows(r)) {
            out->n = 0;
            out->p[0] = 0;
            st = fz_result_text(r, FZ_TEXT_CSV, NULL, text_add, out, e);
        }
        fz_result_release(r);
    }
    return st;
}

static fz_status load_csv(fz_session *s, const scenario *c, fz_error *e)
{
    fz_option o[2];
    size_t n = 0;
    for (; n < 2 && c->options[2 * n]; n++)
        o[n] = (fz_option){c->options[2 * n], c->options[2 * n + 1]};
    const char *file = csv_path;
    fz_result *r = NULL;
    fz_status st = fz_load(s, &file, 1, "t", o, n, &r, e);
    fz_result_release(r);
    return st;
}

/* The scenario's statement in a runtime of its own; an open lake and a session are part of what can fail. */
static fz_status attempt(const scenario *c, const fz_allocator *a, text *out, fz_error *e)
{
    const fz_option threads[] = {{"threads", "1"}};
    fz_runtime *rt = NULL;
    fz_lake *l = NULL;
    fz_session *s = NULL;
    fz_status st = fz_runtime_create(threads, 1, a, &rt, e);
    if (!st)
        st = fz_lake_open(rt, lake_dir, NULL, 0, &l, e);
    if (!st)
        st = fz_session_open(l, &s, e);
    if (!st)
        st = c->statement ? statement(s, c->statement, out, e) : load_csv(s, c, e);
    fz_session_close(s);
    fz_lake_close(l);
    fz_runtime_release(rt);
    return st;
}

static void prepare(const scenario *c)
{
    fz_lake *l;
    fz_session *s;
    fz_error e;
    dir_remove(lake_dir);
    fine(fz_lake_open(NULL, lake_dir, NULL, 0, &l, &e), &e);
    fine(fz_session_open(l, &s, &e), &e);
    for (int i = 0; i < 3 && c->prepare[i]; i++)
        run(s, c->prepare[i], NULL);
    fz_session_close(s);
    fz_lake_close(l);
}

static void verify(const scenario *c, bool done)
{
    static text t;
    fz_lake *l;
    fz_session *s;
    fz_error e = {0};
    fine(fz_lake_open(NULL, lake_dir, NULL, 0, &l, &e), &e);
    fine(fz_session_open(l, &s, &e), &e);
    const char *want = done ? c->after : c->before;
    fz_status st = statement(s, c->check, &t, &e);
    if (want) {
        fine(st, &e);
        assert_string_equal(t.p, want);
    } else {
        assert_int_equal(st, FZ_NOT_FOUND);
    }
    fz_session_close(s);
    fz_lake_close(l);
    assert_int_equal(files_count(lake_dir, ".parquet"), done ? c->files_after : c->files_before);
}

static void every_allocation_fails(void **state)
{
    const scenario *c = *state;
    fz_allocator a = {fail_resize, &alloc};
    static text out;
    fz_error e = {0};
    prepare(c);
    alloc.fail_at = 0;
    alloc.calls = alloc.live = 0;
    fine(attempt(c, &a, &out, &e), &e);
    assert_int_equal(alloc.live, 0);
    verify(c, true);
    int64_t total = alloc.calls, step = total > FIRST + SAMPLES ? (total - FIRST) / SAMPLES + 1 : 1;
    bool reads = strncmp(c->statement ? c->statement : "", "SELECT", 6) == 0;
    for (int once = 0; once < 2; once++) {
        prepare(c);
        bool clean = true;
        for (int64_t n = 1; n <= total; n += n < FIRST ? 1 : step) {
            if (!clean)
                prepare(c);
            clean = true;
            alloc.fail_at = n + once; /* the second round meets others */
            alloc.once = once;
            alloc.calls = alloc.live = 0;
            e = (fz_error){0};
            fz_status st = attempt(c, &a, &out, &e);
            alloc.fail_at = 0;
            if (st && (st != FZ_NOMEM || e.status != FZ_NOMEM))
                fail_msg("%s, allocation %lld of %lld: %s: %s", c->name, (long long)(n + once), (long long)total, fz_status_name(st), e.message);
            if (alloc.live)
                fail_msg("%s, allocation %lld of %lld: %lld bytes leak", c->name, (long long)(n + once), (long long)total, (long long)alloc.live);
            if (!st && reads)
                assert_string_equal(out.p, c->options[0]);
            if (st == FZ_OK || n % 7 == 0 || files_count(lake_dir, ".parquet") != c->files_before) {
                verify(c, st == FZ_OK);
                clean = reads || st != FZ_OK;
            }
        }
    }
}

static const scenario scenarios[] = {
    {.name = "create", .statement = "CREATE TABLE t (a bigint NOT NULL, s text COMMENT 'x') PARTITIONED BY (bucket(4, a)) WITH ('k' = 'v')",
     .check = "SELECT count(*) AS n FROM t", .after = "n\n0\n"},
    {.name = "insert", .prepare = {"CREATE TABLE t (a bigint, s text)", "INSERT INTO t VALUES (1, 'one')"},
     .statement = "INSERT INTO t VALUES (2, 'two'), (3, 'a text that is longer than twelve bytes')", .check = "SELECT count(*) AS n, sum(a) AS s FROM t",
     .before = "n,s\n1,1\n", .after = "n,s\n3,6\n", .files_before = 1, .files_after = 2},
    {.name = "transaction", .prepare = {"CREATE TABLE t (a bigint, s text)", "INSERT INTO t VALUES (1, 'one')"},
     .statement = "BEGIN; INSERT INTO t VALUES (2, 'two'); ALTER TABLE t ADD COLUMN c int; CREATE TABLE u AS SELECT a FROM t; "
                  "INSERT INTO t SELECT a + 2, s, 3 FROM u JOIN t USING (a); COMMIT",
     .check = "SELECT count(*) AS n, sum(a) AS s FROM t", .before = "n,s\n1,1\n", .after = "n,s\n4,10\n", .files_before = 1, .files_after = 4},
    {.name = "create as", .prepare = {"CREATE TABLE u AS SELECT 1 AS a"}, .statement = "CREATE TABLE t AS SELECT a + 1 AS a FROM u",
     .check = "SELECT a FROM t", .after = "a\n2\n", .files_before = 1, .files_after = 2},
    {.name = "select", .prepare = {"CREATE TABLE t AS SELECT x % 3 AS k, x AS v, 'name ' || x AS s FROM (VALUES (1),(2),(3),(4),(5),(6)) v(x)"},
     .statement = "SELECT k, sum(v) AS v, max(s) AS s, count(distinct s) AS d FROM t WHERE v > 1 AND s LIKE 'name%' GROUP BY k ORDER BY k",
     .options = {"k,v,s,d\n0,9,name 6,2\n1,4,name 4,1\n2,7,name 5,2\n"},
     .check = "SELECT count(*) AS n FROM t", .before = "n\n6\n", .after = "n\n6\n", .files_before = 1, .files_after = 1},
    {.name = "join", .prepare = {"CREATE TABLE t AS SELECT x AS k, 'name ' || x AS s FROM (VALUES (1),(2),(3),(4),(5),(6)) v(x)"},
     .statement = "SELECT DISTINCT a.s AS s, b.k AS k FROM t a JOIN t b ON a.k = b.k + 1 AND a.s <> b.s WHERE b.k IN (2, 3, NULL) ORDER BY b.k DESC LIMIT 5",
     .options = {"s,k\nname 4,3\nname 3,2\n"},
     .check = "SELECT count(*) AS n FROM t", .before = "n\n6\n", .after = "n\n6\n", .files_before = 1, .files_after = 1},
    {.name = "load", .check = "SELECT count(*) AS n, sum(k) AS k, max(s) AS s FROM t", .after = "n,k,s\n300,1350,text 99\n", .files_after = 1},
    {.name = "load partitions", .options = {"partition-by", "k"}, .check = "SELECT count(*) AS n, sum(k) AS k, max(s) AS s FROM t",
     .after = "n,k,s\n300,1350,text 99\n", .files_after = 10},
    {.name = "add columns", .prepare = {"CREATE TABLE t AS SELECT 1::bigint AS k"}, .options = {"add-columns", "true"},
     .check = "SELECT count(*) AS n, sum(k) AS k FROM t", .before = "n,k\n1,1\n", .after = "n,k\n301,1351\n", .files_before = 1, .files_after = 2},
};

static int set_up(void **state)
{
    dir_make(root, sizeof root, "test_alloc");
    snprintf(lake_dir, sizeof lake_dir, "%s/lake", root);
    snprintf(csv_path, sizeof csv_path, "%s/rows.csv", root);
    FILE *f = fopen(csv_path, "w");
    if (!f)
        return -1;
    fputs("k,s,d\n", f);
    for (int i = 0; i < 300; i++)
        fprintf(f, "%d,text %d,2020-01-%02d\n", i % 10, i, i % 28 + 1);
    return fclose(f);
}

static int tear_down(void **state)
{
    dir_remove(root);
    return 0;
}

int main(void)
{
    enum { N = sizeof scenarios / sizeof scenarios[0] };
    struct CMUnitTest tests[N];
    for (int i = 0; i < N; i++)
        tests[i] = (struct CMUnitTest){scenarios[i].name, every_allocation_fails, NULL, NULL, (void *)&scenarios[i]};
    return cmocka_run_group_tests_name("alloc", tests, set_up, tear_down);
}
