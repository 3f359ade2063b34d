/* Transactions: what is seen when, several tables in one commit, conflicts, failures, and that nothing is left of what was rolled back. (run with tsan) */
#include "engine/lake_util.h"

#include <pthread.h>
#include <stdbool.h>

typedef struct fixture {
    char root[128], lake_dir[160];
    fz_lake *lake;
    fz_session *s, *o; /* the one that has the transaction, and another one */
} fixture;

static int set_up(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    fz_error e;
    dir_make(f->root, sizeof f->root, "test_transaction");
    snprintf(f->lake_dir, sizeof f->lake_dir, "%s/lake", f->root);
    fine(fz_lake_open(NULL, f->lake_dir, NULL, 0, &f->lake, &e), &e);
    fine(fz_session_open(f->lake, &f->s, &e), &e);
    fine(fz_session_open(f->lake, &f->o, &e), &e);
    run(f->s, "CREATE TABLE t (a int, s text)", NULL);
    run(f->s, "INSERT INTO t VALUES (1, 'x')", NULL);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    fz_session_close(f->s);
    fz_session_close(f->o);
    fz_lake_close(f->lake);
    dir_remove(f->root);
    free(f);
    return 0;
}

static int data_files(const fixture *f)
{
    return files_count(f->lake_dir, ".parquet") + files_count(f->lake_dir, ".avro");
}

/* ---- what is seen ---- */

static void texts_of_statements_may_go_before_the_commit(void **state)
{
    fixture *f = *state;
    static const char *const texts[] = {"BEGIN", "ALTER TABLE t SET TBLPROPERTIES ('owner-of-it' = 'somebody else')", "ALTER TABLE t ADD COLUMN added text COMMENT 'a remark'",
                                        "INSERT INTO t VALUES (7, 'inserted text', 'more text')", "COMMIT"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        char *once = strdup(texts[i]);
        run(f->s, once, NULL);
        memset(once, '#', strlen(once));
        free(once);
    }
    check(f->o, "SELECT key, value FROM t.properties WHERE key = 'owner-of-it'", "key,value\nowner-of-it,somebody else\n");
    check(f->o, "SELECT s, added FROM t WHERE a = 7", "s,added\ninserted text,more text\n");
}

static void changes_are_seen_inside_and_after_commit(void **state)
{
    fixture *f = *state;
    assert_int_equal(fz_session_transaction(f->s), 0);
    run(f->s, "BEGIN TRANSACTION", NULL);
    assert_int_equal(fz_session_transaction(f->s), 1);
    assert_int_equal(run(f->s, "INSERT INTO t VALUES (2, 'y'), (3, 'z')", NULL), 2);
    assert_int_equal(run(f->s, "INSERT INTO t SELECT a + 10, s FROM t", NULL), 3);
    check(f->s, "SELECT count(*) AS n, sum(a) AS a FROM t", "n,a\n6,42\n");
    check(f->s, "SELECT a FROM t WHERE a > 10 ORDER BY a", "a\n11\n12\n13\n");
    check(f->o, "SELECT count(*) AS n FROM t", "n\n1\n");
    run(f->s, "COMMIT WORK", NULL);
    assert_int_equal(fz_session_transaction(f->s), 0);
    check(f->o, "SELECT count(*) AS n, sum(a) AS a FROM t", "n,a\n6,42\n");
    check(f->o, "SELECT operation, summary['total-records'] AS total FROM t.snapshots ORDER BY committed_at, total",
          "operation,total\nappend,1\nappend,3\nappend,6\n");
}

static void tables_stay_as_they_were_when_first_named(void **state)
{
    fixture *f = *state;
    run(f->s, "BEGIN", NULL);
    check(f->s, "SELECT count(*) AS n FROM t", "n\n1\n");
    run(f->o, "INSERT INTO t VALUES (2, 'y')", NULL);
    run(f->o, "CREATE TABLE made_meanwhile (a int)", NULL);
    check(f->s, "SELECT count(*) AS n FROM t", "n\n1\n");
    check(f->s, "SELECT count(*) AS n FROM made_meanwhile", "n\n0\n"); /* first named now */
    run(f->s, "COMMIT", NULL);
    check(f->s, "SELECT count(*) AS n FROM t", "n\n2\n");
}

static void metadata_changes_in_a_transaction(void **state)
{
    fixture *f = *state;
    run(f->s, "BEGIN", NULL);
    run(f->s, "ALTER TABLE t ADD COLUMN n bigint", NULL);
    run(f->s, "INSERT INTO t VALUES (2, 'y', 20)", NULL);
    run(f->s, "ALTER TABLE t RENAME COLUMN n TO m", NULL);
    run(f->s, "ALTER TABLE t ADD PARTITION FIELD bucket(4, a)", NULL);
    run(f->s, "INSERT INTO t (a, m) VALUES (3, 30)", NULL);
    check(f->s, "SELECT a, m FROM t ORDER BY a", "a,m\n1,\n2,20\n3,30\n");
    check(f->o, "SELECT * FROM t", "a,s\n1,x\n");
    run(f->s, "COMMIT", NULL);
    check(f->o, "SELECT * FROM t ORDER BY a", "a,s,m\n1,x,\n2,y,20\n3,,30\n");
    check(f->o, "SELECT count(*) AS n FROM t.files", "n\n3\n");
}

static void tables_are_made_and_replaced(void **state)
{
    fixture *f = *state;
    int before = data_files(f);
    run(f->s, "BEGIN", NULL);
    run(f->s, "CREATE TABLE u (b bigint)", NULL);
    run(f->s, "INSERT INTO U VALUES (1)", NULL); /* found without regard to case, as a table of the catalog is */
    run(f->s, "INSERT INTO u VALUES (2)", NULL);
    run(f->s, "CREATE TABLE v AS SELECT b * 2 AS c FROM u", NULL);
    run(f->s, "CREATE OR REPLACE TABLE t AS SELECT 7 AS q", NULL);
    check(f->s, "SHOW TABLES", "namespace,table\ndefault,t\ndefault,u\ndefault,v\n");
    check(f->s, "SELECT sum(b) AS b, (SELECT sum(c) FROM v) AS c, (SELECT q FROM t) AS q FROM u", "b,c,q\n3,6,7\n");
    fz_error e;
    assert_int_equal(refused(f->o, "SELECT * FROM u", &e), FZ_NOT_FOUND);
    run(f->s, "ROLLBACK", NULL);
    assert_int_equal(refused(f->s, "SELECT * FROM u", &e), FZ_NOT_FOUND);
    check(f->s, "SELECT * FROM t", "a,s\n1,x\n");
    assert_int_equal(data_files(f), before);
    run(f->s, "BEGIN", NULL);
    run(f->s, "CREATE TABLE u (b bigint)", NULL);
    run(f->s, "INSERT INTO u VALUES (1)", NULL);
    run(f->s, "CREATE OR REPLACE TABLE t AS SELECT 7 AS q", NULL);
    run(f->s, "COMMIT", NULL);
    check(f->o, "SELECT b, q FROM u, t", "b,q\n1,7\n");
}

static void tables_are_dropped(void **state)
{
    fixture *f = *state;
    fz_error e;
    int before = data_files(f);
    run(f->s, "CREATE TABLE other (a int)", NULL);
    run(f->s, "BEGIN", NULL);
    run(f->s, "INSERT INTO t VALUES (2, 'y')", NULL);
    run(f->s, "CREATE TABLE u AS SELECT * FROM t", NULL);
    run(f->s, "DROP TABLE u", NULL);
    run(f->s, "DROP TABLE t", NULL);
    assert_int_equal(data_files(f), before); /* what the transaction wrote to them is gone */
    check(f->s, "SHOW TABLES", "namespace,table\ndefault,other\n");
    run(f->s, "DROP TABLE IF EXISTS t", NULL);
    run(f->s, "INSERT INTO other VALUES (1)", NULL);
    run(f->s, "ROLLBACK", NULL);
    check(f->s, "SELECT * FROM t", "a,s\n1,x\n");
    /* one is dropped, one made in its own place, one changed, at once */
    run(f->s, "CREATE TABLE gone AS SELECT 1 AS a", NULL);
    run(f->s, "BEGIN", NULL);
    run(f->s, "DROP TABLE t", NULL);
    run(f->s, "CREATE TABLE t (b text)", NULL);
    run(f->s, "INSERT INTO t VALUES ('new')", NULL);
    run(f->s, "DROP TABLE gone", NULL);
    run(f->s, "INSERT INTO other VALUES (1)", NULL);
    check(f->s, "SHOW TABLES", "namespace,table\ndefault,other\ndefault,t\n");
    check(f->o, "SELECT * FROM t", "a,s\n1,x\n");
    run(f->o, "INSERT INTO t VALUES (5, 'meanwhile')", NULL);
    run(f->s, "COMMIT", NULL);
    check(f->o, "SELECT b, a FROM t, other", "b,a\nnew,1\n");
    assert_int_equal(refused(f->o, "SELECT * FROM gone", &e), FZ_NOT_FOUND);
    /* alone */
    run(f->s, "BEGIN", NULL);
    run(f->s, "DROP TABLE other", NULL);
    run(f->s, "COMMIT", NULL);
    check(f->o, "SHOW TABLES", "namespace,table\ndefault,t\n");
    /* one that is dropped and made again by others isn't the one that was meant */
    run(f->s, "BEGIN", NULL);
    run(f->s, "DROP TABLE t", NULL);
    run(f->o, "DROP TABLE t", NULL);
    run(f->o, "CREATE TABLE t (c int)", NULL);
    assert_int_equal(refused(f->s, "COMMIT", &e), FZ_CONFLICT);
    check(f->o, "SELECT * FROM t", "c\n");
}

static void files_are_loaded_in_a_transaction(void **state)
{
    fixture *f = *state;
    fz_error e;
    fz_result *r;
    char path[200];
    const char *files[] = {path};
    const fz_option add[] = {{"add-columns", "true"}};
    snprintf(path, sizeof path, "%s/in.csv", f->root);
    file_write(path, "a,s,extra\n5,five,0.5\n6,six,0.6\n");
    int before = data_files(f);
    for (int commit = 0; commit < 2; commit++) {
        run(f->s, "BEGIN", NULL);
        fine(fz_load(f->s, files, 1, "t", add, 1, &r, &e), &e);
        assert_int_equal(fz_result_rows_affected(r), 2);
        fz_result_release(r);
        fine(fz_load(f->s, files, 1, "fresh", NULL, 0, &r, &e), &e);
        fz_result_release(r);
        check(f->s, "SELECT a, extra FROM t ORDER BY a", "a,extra\n1,\n5,0.5\n6,0.6\n");
        check(f->s, "SELECT count(*) AS n FROM fresh", "n\n2\n");
        run(f->s, commit ? "COMMIT" : "ROLLBACK", NULL);
        if (!commit)
            assert_int_equal(data_files(f), before);
    }
    check(f->o, "SELECT a, extra FROM t ORDER BY a", "a,extra\n1,\n5,0.5\n6,0.6\n");
}

/* ---- others commit meanwhile ---- */

static void appends_and_columns_are_rebased(void **state)
{
    fixture *f = *state;
    run(f->s, "BEGIN", NULL);
    run(f->s, "INSERT INTO t VALUES (2, 'mine')", NULL);
    run(f->s, "INSERT INTO t VALUES (3, 'mine')", NULL);
    run(f->s, "ALTER TABLE t ADD COLUMN mine int", NULL);
    run(f->o, "INSERT INTO t VALUES (4, 'theirs')", NULL);
    run(f->o, "ALTER TABLE t ADD COLUMN theirs int", NULL);
    run(f->o, "INSERT INTO t VALUES (5, 'theirs', 5)", NULL);
    run(f->s, "COMMIT", NULL);
    check(f->s, "SELECT a, mine, theirs FROM t ORDER BY a", "a,mine,theirs\n1,,\n2,,\n3,,\n4,,\n5,,5\n");
    check(f->s, "SELECT count(*) AS n FROM t.snapshots", "n\n5\n");
}

static void a_conflict_rolls_everything_back(void **state)
{
    fixture *f = *state;
    fz_error e;
    run(f->s, "CREATE TABLE other (a int)", NULL);
    static const char *const steps[][2] = {
        {"INSERT OVERWRITE t SELECT a, s FROM t", "INSERT INTO t VALUES (9, 'theirs')"},
        {"ALTER TABLE t ADD COLUMN x int", "ALTER TABLE t ADD COLUMN x text"},
        {"ALTER TABLE t ADD COLUMN y int; INSERT INTO t (a, y) VALUES (5, 5)", "ALTER TABLE t ADD COLUMN z text"}, /* takes y's number */
        {"ALTER TABLE t ADD PARTITION FIELD a; INSERT INTO t (a) VALUES (5)", "ALTER TABLE t ADD PARTITION FIELD bucket(2, s)"},
        {"INSERT INTO t (a) VALUES (1)", "DROP TABLE t"},
    };
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        run(f->s, "BEGIN", NULL);
        run(f->s, "INSERT INTO other VALUES (1)", NULL);
        for (const char *rest = steps[i][0]; rest;) {
            fz_result *r;
            fine(fz_execute(f->s, rest, &rest, NULL, &r, &e), &e);
            fz_result_release(r);
        }
        run(f->o, steps[i][1], NULL);
        int before = data_files(f);
        fz_status st = refused(f->s, "COMMIT", &e);
        assert_int_equal(st, FZ_CONFLICT);
        assert_string_equal(e.sqlstate, "40001");
        assert_int_equal(fz_session_transaction(f->s), 0);
        assert_true(data_files(f) < before);
        check(f->s, "SELECT count(*) AS n FROM other", "n\n0\n");
    }
}

/* Files say by which order they are sorted: its number must not become another order's. */
static void an_order_that_others_number_too(void **state)
{
    fixture *f = *state;
    fz_error e;
    run(f->s, "BEGIN", NULL);
    run(f->s, "ALTER TABLE t WRITE ORDERED BY a", NULL);
    run(f->s, "INSERT INTO t VALUES (3, 'p'), (2, 'q')", NULL);
    run(f->o, "ALTER TABLE t WRITE ORDERED BY s DESC", NULL);
    assert_int_equal(refused(f->s, "COMMIT", &e), FZ_CONFLICT);
    assert_string_equal(e.sqlstate, "40001");
    check(f->o, "SELECT * FROM t", "a,s\n1,x\n");
    /* an order alone has none */
    run(f->s, "BEGIN", NULL);
    run(f->s, "INSERT INTO t VALUES (4, 'r')", NULL);
    run(f->o, "ALTER TABLE t WRITE ORDERED BY s", NULL);
    run(f->s, "COMMIT", NULL);
    check(f->o, "SELECT * FROM t ORDER BY a", "a,s\n1,x\n4,r\n");
}

static void a_table_made_twice_exists(void **state)
{
    fixture *f = *state;
    fz_error e;
    run(f->s, "BEGIN", NULL);
    run(f->s, "CREATE TABLE u AS SELECT 1 AS a", NULL);
    run(f->s, "INSERT INTO t VALUES (2, 'y')", NULL);
    run(f->o, "CREATE TABLE u (b int)", NULL);
    int before = data_files(f);
    assert_int_equal(refused(f->s, "COMMIT", &e), FZ_EXISTS);
    assert_true(data_files(f) < before);
    check(f->s, "SELECT * FROM u", "b\n");
    check(f->s, "SELECT count(*) AS n FROM t", "n\n1\n");
}

typedef struct worker { fixture *f; int id; int committed; } worker;

static void *transfers(void *ctx)
{
    worker *w = ctx;
    fz_session *s;
    fz_error e;
    if (fz_session_open(w->f->lake, &s, &e))
        return NULL;
    for (int i = 0; i < 5; i++) {
        char sql[100];
        const char *script[] = {"BEGIN", sql, sql, "COMMIT"};
        bool fine = true;
        for (int k = 0; k < 4 && fine; k++) {
            fz_result *r = NULL;
            snprintf(sql, sizeof sql, "INSERT INTO %s VALUES (%d)", k == 1 ? "left_side" : "right_side", w->id * 100 + i);
            fine = fz_execute(s, script[k], NULL, NULL, &r, &e) == FZ_OK;
            fz_result_release(r);
        }
        w->committed += fine;
    }
    fz_session_close(s);
    return NULL;
}

static void many_commit_to_two_tables_at_once(void **state)
{
    fixture *f = *state;
    pthread_t t[4];
    worker w[4];
    run(f->s, "CREATE TABLE left_side (a int)", NULL);
    run(f->s, "CREATE TABLE right_side (a int)", NULL);
    for (int i = 0; i < 4; i++) {
        w[i] = (worker){f, i, 0};
        assert_int_equal(pthread_create(&t[i], NULL, transfers, &w[i]), 0);
    }
    int committed = 0;
    for (int i = 0; i < 4; i++) {
        pthread_join(t[i], NULL);
        committed += w[i].committed;
    }
    assert_int_equal(committed, 20);
    check(f->s, "SELECT count(*) AS n, count(DISTINCT a) AS d FROM left_side", "n,d\n20,20\n");
    check(f->s, "SELECT count(*) AS n FROM left_side JOIN right_side USING (a)", "n\n20\n");
}

/* ---- failures ---- */

static void a_failed_transaction_waits_for_its_end(void **state)
{
    fixture *f = *state;
    fz_error e;
    int before = data_files(f);
    static const char *const wrong[] = {"SELECT * FROM nothing", "SELEC 1", "INSERT INTO t VALUES (1)", "INSERT INTO t VALUES (1/0, 'x')"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        run(f->s, "BEGIN", NULL);
        run(f->s, "INSERT INTO t VALUES (2, 'y')", NULL);
        refused(f->s, wrong[i], &e);
        assert_int_equal(fz_session_transaction(f->s), 2);
        assert_int_equal(refused(f->s, "SELECT 1", &e), FZ_INVALID);
        assert_string_equal(e.sqlstate, "25P02");
        fz_result *r;
        fine(fz_execute(f->s, i % 2 ? "COMMIT" : "ROLLBACK", NULL, NULL, &r, &e), &e);
        assert_string_equal(fz_result_tag(r), "ROLLBACK");
        fz_result_release(r);
        check(f->s, "SELECT count(*) AS n FROM t", "n\n1\n");
        assert_int_equal(data_files(f), before);
    }
}

static void what_is_no_part_of_it(void **state)
{
    fixture *f = *state;
    fz_error e;
    static const char *const outside[] = {"CREATE SCHEMA x", "DROP SCHEMA x", "DROP TABLE t PURGE", "ALTER TABLE t RENAME TO u",
                                          "CALL system.expire_snapshots(table => 'default.t')"};
    for (size_t i = 0; i < sizeof outside / sizeof *outside; i++) {
        run(f->s, "BEGIN", NULL);
        run(f->s, "INSERT INTO t VALUES (2, 'y')", NULL);
        assert_int_equal(refused(f->s, outside[i], &e), FZ_INVALID);
        assert_string_equal(e.sqlstate, "25001");
        run(f->s, "ROLLBACK", NULL);
    }
    run(f->s, "BEGIN", NULL);
    run(f->s, "CREATE SCHEMA x", NULL); /* at once */
    check(f->o, "SHOW SCHEMAS", "namespace\ndefault\nx\n");
    run(f->s, "ROLLBACK", NULL);
    check(f->o, "SHOW SCHEMAS", "namespace\ndefault\nx\n");
}

static void statements_about_transactions(void **state)
{
    fixture *f = *state;
    fz_error e;
    run(f->s, "COMMIT", NULL);   /* a notice, as in PostgreSQL */
    run(f->s, "ROLLBACK", NULL);
    run(f->s, "START TRANSACTION", NULL);
    run(f->s, "BEGIN WORK", NULL);
    assert_int_equal(fz_session_transaction(f->s), 1);
    run(f->s, "ROLLBACK TRANSACTION", NULL);
    static const char *const wrong[] = {"ROLLBACK TO SAVEPOINT a", "BEGIN READ ONLY", "COMMIT AND CHAIN", "SAVEPOINT a", "COMMIT PREPARED 'x'"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_int_equal(refused(f->s, wrong[i], &e), FZ_UNSUPPORTED);
    assert_int_equal(refused(f->s, "START", &e), FZ_SYNTAX);
    assert_int_equal(refused(f->s, "COMMIT nonsense", &e), FZ_SYNTAX);
    assert_int_equal(refused(f->s, "ROLLBACK TABLE nothing TO VERSION 1", &e), FZ_NOT_FOUND); /* another statement */
}

static void a_closed_session_rolls_back(void **state)
{
    fixture *f = *state;
    fz_session *s;
    fz_error e;
    int before = data_files(f);
    fine(fz_session_open(f->lake, &s, &e), &e);
    run(s, "BEGIN", NULL);
    run(s, "INSERT INTO t VALUES (2, 'y')", NULL);
    run(s, "CREATE TABLE u AS SELECT 1 AS a", NULL);
    assert_true(data_files(f) > before);
    fz_session_close(s);
    assert_int_equal(data_files(f), before);
    check(f->s, "SHOW TABLES", "namespace,table\ndefault,t\n");
}

static void nothing_to_commit(void **state)
{
    fixture *f = *state;
    run(f->s, "BEGIN", NULL);
    run(f->s, "INSERT INTO t SELECT * FROM t WHERE a > 100", NULL);
    run(f->s, "ALTER TABLE t ADD COLUMN IF NOT EXISTS a int", NULL);
    run(f->s, "COMMIT", NULL);
    check(f->s, "SELECT count(*) AS n FROM t.snapshots", "n\n1\n");
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(changes_are_seen_inside_and_after_commit),
        TEST(texts_of_statements_may_go_before_the_commit),
        TEST(tables_stay_as_they_were_when_first_named),
        TEST(metadata_changes_in_a_transaction),
        TEST(tables_are_made_and_replaced),
        TEST(tables_are_dropped),
        TEST(files_are_loaded_in_a_transaction),
        TEST(appends_and_columns_are_rebased),
        TEST(a_conflict_rolls_everything_back), TEST(an_order_that_others_number_too),
        TEST(a_table_made_twice_exists),
        TEST(many_commit_to_two_tables_at_once),
        TEST(a_failed_transaction_waits_for_its_end),
        TEST(what_is_no_part_of_it),
        TEST(statements_about_transactions),
        TEST(a_closed_session_rolls_back),
        TEST(nothing_to_commit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
