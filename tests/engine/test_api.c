/* The public interface as a program uses it: lakes, sessions, statements, results, loading, errors. */
#include "engine/lake_util.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <time.h>

typedef struct fixture {
    char root[128], lake_dir[160];
    fz_lake *lake;
    fz_session *s;
} fixture;

static char *in_root(const fixture *f, const char *name)
{
    static char path[4][256];
    static int at;
    at = (at + 1) % 4;
    snprintf(path[at], sizeof path[at], "%s/%s", f->root, name);
    return path[at];
}

static int set_up(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    fz_error e;
    dir_make(f->root, sizeof f->root, "test_api");
    snprintf(f->lake_dir, sizeof f->lake_dir, "%s/lake", f->root);
    fine(fz_lake_open(NULL, f->lake_dir, NULL, 0, &f->lake, &e), &e);
    fine(fz_session_open(f->lake, &f->s, &e), &e);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    fz_session_close(f->s);
    fz_lake_close(f->lake);
    dir_remove(f->root);
    free(f);
    return 0;
}

/* ---- lakes and runtimes ---- */

static void options_are_checked(void **state)
{
    fz_runtime *rt = NULL;
    fz_lake *l = NULL;
    fz_error e;
    static const fz_option wrong[][1] = {{{"threads", "0"}}, {{"threads", "many"}}, {{"memory-limit", "1x"}}, {{"memory-limit", "9999999999999G"}},
                                         {{"speed", "high"}}};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_int_equal(fz_runtime_create(wrong[i], 1, NULL, &rt, &e), FZ_INVALID);
        assert_null(rt);
    }
    const fz_option fine_ones[] = {{"threads", "2"}, {"memory-limit", "64m"}, {"temp-dir", NULL}};
    fine(fz_runtime_create(fine_ones, 3, NULL, &rt, &e), &e);
    fz_runtime_release(rt);
    fz_runtime_release(NULL);
    fixture *f = *state;
    const fz_option lake_wrong[] = {{"colour", "blue"}};
    assert_int_equal(fz_lake_open(NULL, f->lake_dir, lake_wrong, 1, &l, &e), FZ_INVALID);
    assert_non_null(strstr(e.hint, "catalog-name"));
    assert_int_equal(fz_lake_open(NULL, "s3://bucket/lake", NULL, 0, &l, &e), FZ_UNSUPPORTED);
    assert_null(l);
}

static void a_lake_begins_with_the_first_write(void **state)
{
    fixture *f = *state;
    fz_error e;
    check(f->s, "SELECT 6 * 7 AS answer", "answer\n42\n");
    check(f->s, "SHOW TABLES", "namespace,table\n");
    assert_int_equal(refused(f->s, "SELECT * FROM t", &e), FZ_NOT_FOUND);
    assert_int_not_equal(access(f->lake_dir, F_OK), 0);
    run(f->s, "CREATE TABLE t (a int)", NULL);
    assert_int_equal(access(f->lake_dir, F_OK), 0);
    check(f->s, "SHOW TABLES", "namespace,table\ndefault,t\n");
}

static void other_folders_are_no_lakes(void **state)
{
    fixture *f = *state;
    fz_lake *l = NULL;
    fz_error e;
    file_write(in_root(f, "notes.txt"), "mine");
    assert_int_equal(fz_lake_open(NULL, f->root, NULL, 0, &l, &e), FZ_INVALID);
    assert_string_equal(e.where, f->root);
    assert_int_not_equal(fz_lake_open(NULL, in_root(f, "notes.txt"), NULL, 0, &l, &e), FZ_OK);
    assert_null(l);
}

static void a_lake_is_the_same_by_every_path(void **state)
{
    fixture *f = *state;
    fz_lake *l;
    fz_session *s;
    fz_error e;
    char link[256], by_link[300];
    snprintf(link, sizeof link, "%s", in_root(f, "link"));
    assert_int_equal(symlink(f->root, link), 0);
    snprintf(by_link, sizeof by_link, "%s/../%s/link/./lake//", f->root, strrchr(f->root, '/') + 1);
    fine(fz_lake_open(NULL, by_link, NULL, 0, &l, &e), &e); /* doesn't exist yet */
    fine(fz_session_open(l, &s, &e), &e);
    run(s, "CREATE TABLE t AS SELECT 1 AS a", NULL);
    fz_session_close(s);
    fz_lake_close(l);
    check(f->s, "SELECT a FROM t", "a\n1\n");
}

static void a_read_only_lake_isnt_written(void **state)
{
    fixture *f = *state;
    fz_lake *l;
    fz_session *s;
    fz_error e;
    const fz_option o[] = {{"read-only", "true"}};
    run(f->s, "CREATE TABLE t AS SELECT 1 AS a", NULL);
    int before = files_count(f->lake_dir, "");
    fine(fz_lake_open(NULL, f->lake_dir, o, 1, &l, &e), &e);
    fine(fz_session_open(l, &s, &e), &e);
    check(s, "SELECT a FROM t", "a\n1\n");
    static const char *const writes[] = {"INSERT INTO t VALUES (2)", "CREATE TABLE u (a int)", "CREATE SCHEMA x", "DROP TABLE t", "CREATE TABLE v AS SELECT 1 AS a",
                                         "DROP SCHEMA \"default\""};
    for (size_t i = 0; i < sizeof writes / sizeof writes[0]; i++) {
        assert_int_equal(refused(s, writes[i], &e), FZ_INVALID);
        assert_string_equal(e.sqlstate, "25006");
    }
    fz_session_close(s);
    fz_lake_close(l);
    assert_int_equal(files_count(f->lake_dir, ".parquet"), 1);
    assert_true(files_count(f->lake_dir, "") <= before);
    check(f->s, "SELECT a FROM t", "a\n1\n");
}

/* ---- statements ---- */

static void rows_go_in_and_come_out(void **state)
{
    fixture *f = *state;
    run(f->s, "CREATE TABLE t (id bigint NOT NULL, name text, price decimal(9,2), day date, ok boolean)", NULL);
    assert_int_equal(run(f->s, "INSERT INTO t VALUES (1, 'a', 1.5, DATE '2020-01-02', true), (2, NULL, -0.25, NULL, false)", NULL), 2);
    assert_int_equal(run(f->s, "INSERT INTO t (name, id) SELECT 'c', 3", NULL), 1);
    check(f->s, "SELECT * FROM t ORDER BY id", "id,name,price,day,ok\n1,a,1.50,2020-01-02,true\n2,,-0.25,,false\n3,c,,,\n");
    check(f->s, "SELECT count(*) AS n, sum(price) AS s FROM t", "n,s\n3,1.25\n");
    assert_int_equal(run(f->s, "INSERT OVERWRITE t SELECT id, name, price, day, ok FROM t WHERE id > 1", NULL), 2);
    check(f->s, "SELECT id FROM t ORDER BY id", "id\n2\n3\n");
    fz_error e;
    assert_int_equal(refused(f->s, "INSERT INTO t (id) SELECT nullif(id, 3) FROM t", &e), FZ_VALUE);
    assert_string_equal(e.sqlstate, "23502");
    check(f->s, "SELECT count(*) AS n FROM t", "n\n2\n");
}

static void a_script_runs_statement_by_statement(void **state)
{
    fixture *f = *state;
    const char *sql = " ; CREATE TABLE t (a int); -- one\nINSERT INTO t VALUES (1), (2); /* two */ SELECT a\nFROM t ; ;-- end\n;", *rest = sql;
    fz_result *r;
    fz_error e;
    static const char *const tags[] = {"CREATE TABLE", "INSERT", "SELECT"};
    for (int i = 0; i < 3; i++) {
        assert_non_null(rest);
        fine(fz_execute(f->s, rest, &rest, NULL, &r, &e), &e);
        assert_string_equal(fz_result_tag(r), tags[i]);
        assert_int_equal(fz_result_has_rows(r), i == 2);
        fz_result_release(r);
    }
    assert_null(rest);
    rest = "x";
    fine(fz_execute(f->s, " -- nothing\n;", &rest, NULL, &r, &e), &e);
    assert_null(r);
    assert_null(rest);
    /* an error doesn't hide what stands behind it */
    sql = "SELEC 1; SELECT 2 AS b";
    assert_int_equal(fz_execute(f->s, sql, &rest, NULL, &r, &e), FZ_SYNTAX);
    assert_non_null(rest);
    fine(fz_execute(f->s, rest, &rest, NULL, &r, &e), &e);
    fz_result_release(r);
    assert_null(rest);
}

static void errors_say_where_and_what(void **state)
{
    fixture *f = *state;
    fz_error e;
    static text t;
    run(f->s, "CREATE TABLE trade (value int, hs9 int)", NULL);
    assert_int_equal(refused(f->s, "SELECT 1,\n  valu FROM trade", &e), FZ_NOT_FOUND);
    assert_string_equal(e.sqlstate, "42703");
    assert_int_equal(e.line, 2);
    assert_int_equal(e.column, 3);
    assert_non_null(strstr(e.hint, "value"));
    t.n = 0;
    fine(fz_error_text(&e, "SELECT 1,\n  valu FROM trade", text_add, &t), &e);
    assert_non_null(strstr(t.p, "line 2:   valu FROM trade\n          ^\n"));
    assert_int_equal(refused(f->s, "SELECT * FROM trad", &e), FZ_NOT_FOUND);
    assert_string_equal(e.sqlstate, "42P01");
    assert_int_equal(e.column, 15);
    assert_non_null(strstr(e.hint, "trade"));
    assert_int_equal(refused(f->s, "SELECT 1 +", &e), FZ_SYNTAX);
    assert_string_equal(e.sqlstate, "42601");
    assert_int_equal(refused(f->s, "SELECT 1 / (value - value) FROM (VALUES (3)) v(value)", &e), FZ_VALUE);
    assert_string_equal(e.sqlstate, "22012");
    assert_int_equal(e.column, 10);
    assert_int_equal(refused(f->s, "CREATE TABLE trade (a int)", &e), FZ_EXISTS);
    assert_string_equal(e.sqlstate, "42P07");
    assert_int_equal(refused(f->s, "DROP TABLE trade CASCADE", &e), FZ_UNSUPPORTED);
    assert_int_equal(refused(f->s, "EXPLAIN ANALYZE SELECT 1", &e), FZ_UNSUPPORTED);
    assert_int_equal(refused(f->s, "SELECT * FROM 'missing.csv'", &e), FZ_NOT_FOUND);
    assert_int_equal(refused(f->s, "USE nowhere", &e), FZ_NOT_FOUND);
    assert_string_equal(e.sqlstate, "3F000");
    assert_int_equal(refused(f->s, "CREATE TABLE x.y (a int)", &e), FZ_NOT_FOUND);
    assert_int_equal(refused(f->s, "CREATE TABLE d (a int, a text)", &e), FZ_INVALID);
}

static void names_keep_and_forgive_case(void **state)
{
    fixture *f = *state;
    fz_error e;
    run(f->s, "CREATE SCHEMA Sales", NULL);
    run(f->s, "CREATE TABLE Sales.Orders (Id int)", NULL);
    run(f->s, "INSERT INTO sales.orders VALUES (1)", NULL);
    check(f->s, "SELECT * FROM SALES.ORDERS", "Id\n1\n");
    check(f->s, "SELECT id FROM \"default\".sales.orders", "Id\n1\n"); /* catalog.namespace.table */
    assert_int_equal(refused(f->s, "SELECT * FROM \"sales\".orders", &e), FZ_NOT_FOUND);
    assert_int_equal(refused(f->s, "CREATE TABLE sales.orders (a int)", &e), FZ_EXISTS);
    run(f->s, "CREATE TABLE sales.\"orders\" (a int)", NULL);
    assert_int_equal(refused(f->s, "SELECT * FROM sales.ORDERS", &e), FZ_INVALID);
    assert_string_equal(e.sqlstate, "42702");
    check(f->s, "SELECT Id FROM sales.Orders", "Id\n1\n");
    run(f->s, "USE sales", NULL);
    check(f->s, "SELECT Id FROM \"Orders\"", "Id\n1\n");
    check(f->s, "SHOW schema", "schema\nSales\n");
    run(f->s, "USE \"default\"", NULL);
    run(f->s, "CREATE SCHEMA a", NULL);
    run(f->s, "CREATE SCHEMA a.b", NULL);
    run(f->s, "CREATE TABLE a.b.c (x int)", NULL); /* a nested namespace */
    check(f->s, "SELECT x FROM a.b.c", "x\n");
    assert_int_not_equal(refused(f->s, "DROP SCHEMA sales", &e), FZ_OK); /* not empty */
    run(f->s, "DROP TABLE sales.\"orders\"", NULL);
    run(f->s, "DROP TABLE sales.orders PURGE", NULL);
    run(f->s, "DROP SCHEMA sales", NULL);
    run(f->s, "DROP SCHEMA IF EXISTS sales", NULL);
    run(f->s, "DROP TABLE IF EXISTS sales.orders", NULL);
}

static void settings_are_few(void **state)
{
    fixture *f = *state;
    fz_error e;
    run(f->s, "CREATE SCHEMA x", NULL);
    run(f->s, "SET TimeZone = 'UTC'", NULL);
    run(f->s, "SET TIME ZONE 'Etc/UTC'", NULL);
    check(f->s, "SHOW timezone", "timezone\nUTC\n");
    assert_int_equal(refused(f->s, "SET TimeZone TO 'Asia/Tokyo'", &e), FZ_UNSUPPORTED);
    run(f->s, "SET search_path TO x", NULL);
    check(f->s, "SHOW ALL", "name,setting\nschema,x\nsearch_path,x\ntimezone,UTC\n");
    run(f->s, "RESET schema", NULL);
    check(f->s, "SHOW search_path", "search_path\ndefault\n");
    assert_int_equal(refused(f->s, "SET search_path TO nope", &e), FZ_NOT_FOUND);
    assert_int_equal(refused(f->s, "SET search_path TO x, y", &e), FZ_INVALID);
    assert_int_equal(refused(f->s, "SET volume = 11", &e), FZ_INVALID);
    assert_string_equal(e.sqlstate, "42704");
    assert_int_equal(refused(f->s, "SHOW timezoen", &e), FZ_INVALID);
    assert_non_null(strstr(e.hint, "timezone"));
}

/* ---- parameters ---- */

static void nothing_schema(struct ArrowSchema *s) { s->release = NULL; }
static int released;
static void nothing_array(struct ArrowArray *a) { a->release = NULL; released++; }

static void parameters_are_arrow(void **state)
{
    fixture *f = *state;
    fz_error e;
    fz_result *r;
    static text t;
    int64_t numbers[] = {40};
    int32_t offsets[] = {0, 5};
    for (int round = 0; round < 3; round++) {
        struct ArrowSchema cs[] = {{.format = "l", .name = "a", .flags = ARROW_FLAG_NULLABLE, .release = nothing_schema},
                                   {.format = "u", .name = "b", .flags = ARROW_FLAG_NULLABLE, .release = nothing_schema}},
                           *cp[] = {&cs[0], &cs[1]},
                           schema = {.format = "+s", .n_children = round == 2 ? 1 : 2, .children = cp, .release = nothing_schema};
        const void *b0[] = {NULL, numbers}, *b1[] = {NULL, offsets, "hello"}, *none[] = {NULL};
        struct ArrowArray as[] = {{.length = 1, .n_buffers = 2, .buffers = b0, .release = nothing_array},
                                  {.length = 1, .n_buffers = 3, .buffers = b1, .release = nothing_array}},
                          *ap[] = {&as[0], &as[1]},
                          row = {.length = 1, .n_buffers = 1, .buffers = none, .n_children = round == 2 ? 1 : 2, .children = ap,
                                 .release = nothing_array};
        fz_params p = {&schema, &row};
        released = 0;
        const char *sql = round == 1 ? "SELECT $1 FROM nowhere" : "SELECT $1 + 2 AS n, upper($2) AS s";
        fz_status st = fz_execute(f->s, sql, NULL, &p, &r, &e);
        assert_true(released > 0);
        assert_null(row.release);
        if (round == 0) {
            fine(st, &e);
            t.n = 0;
            fine(fz_result_text(r, FZ_TEXT_CSV, NULL, text_add, &t, &e), &e);
            assert_string_equal(t.p, "n,s\n42,HELLO\n");
            fz_result_release(r);
        } else if (round == 1) {
            assert_int_equal(st, FZ_NOT_FOUND);
        } else {
            assert_int_equal(st, FZ_INVALID);
            assert_string_equal(e.sqlstate, "08P01");
        }
    }
    check(f->s, "DESCRIBE SELECT 1 + $1 AS x", "column,type,null,comment,partition\nx,integer,YES,,\n");
}

/* ---- results ---- */

static void arrays_outlive_everything(void **state)
{
    fixture *f = *state;
    fz_error e;
    fz_lake *l;
    fz_session *s;
    fz_result *r;
    struct ArrowArray a, end;
    struct ArrowSchema sc;
    char other[200];
    fz_runtime *rt;
    snprintf(other, sizeof other, "%s/other", f->root);
    fine(fz_runtime_create(NULL, 0, NULL, &rt, &e), &e);
    fine(fz_lake_open(rt, other, NULL, 0, &l, &e), &e);
    fine(fz_session_open(l, &s, &e), &e);
    run(s, "CREATE TABLE t AS SELECT i::bigint AS i, repeat('x', 20) || i AS s FROM (VALUES (1), (2), (NULL)) v(i)", NULL);
    fine(fz_execute(s, "SELECT * FROM t", NULL, NULL, &r, &e), &e);
    fine(fz_result_schema(r, &sc, &e), &e);
    fine(fz_result_next(r, &a, &e), &e);
    fine(fz_result_next(r, &end, &e), &e);
    assert_null(end.release);
    fine(fz_result_next(r, &end, &e), &e); /* still the end */
    assert_null(end.release);
    fz_result_release(r);
    fz_session_close(s);
    fz_lake_close(l);
    fz_runtime_release(rt);
    assert_string_equal(sc.format, "+s");
    assert_int_equal(sc.n_children, 2);
    assert_string_equal(sc.children[0]->format, "l");
    assert_string_equal(sc.children[1]->name, "s");
    assert_int_equal(a.length, 3);
    assert_int_equal(((const int64_t *)a.children[0]->buffers[1])[1], 2);
    assert_int_equal(a.children[0]->null_count, 1);
    const int32_t *o = a.children[1]->buffers[1];
    assert_memory_equal((const char *)a.children[1]->buffers[2] + o[1], "xxxxxxxxxxxxxxxxxxxx2", 21);
    struct ArrowArray child = *a.children[1]; /* a child may be moved out */
    a.children[1]->release = NULL;
    a.release(&a);
    assert_memory_equal(child.buffers[2], "xxxxxxxxxxxxxxxxxxxx1", 21);
    child.release(&child);
    sc.release(&sc);
}

static void results_become_streams(void **state)
{
    fixture *f = *state;
    fz_error e;
    fz_result *r;
    struct ArrowArrayStream st;
    struct ArrowArray a;
    struct ArrowSchema sc;
    fine(fz_execute(f->s, "SELECT i FROM (VALUES (1), (2)) v(i)", NULL, NULL, &r, &e), &e);
    fine(fz_result_stream(r, &st, &e), &e);
    assert_int_equal(st.get_schema(&st, &sc), 0);
    sc.release(&sc);
    int64_t rows = 0;
    for (;;) {
        assert_int_equal(st.get_next(&st, &a), 0);
        if (!a.release)
            break;
        rows += a.length;
        a.release(&a);
    }
    assert_int_equal(rows, 2);
    assert_null(st.get_last_error(&st));
    st.release(&st);
    assert_null(st.release);
    fine(fz_execute(f->s, "SELECT 1 / (i - i) FROM (VALUES (1), (2)) v(i)", NULL, NULL, &r, &e), &e);
    fine(fz_result_stream(r, &st, &e), &e);
    assert_int_not_equal(st.get_next(&st, &a), 0);
    assert_non_null(strstr(st.get_last_error(&st), "zero"));
    st.release(&st);
}

/* A table of ROWS_MANY rows 0, 1, 2, … in three files, too long for one batch. */
#define ROWS_MANY 300000

static void many_rows(fixture *f)
{
    const char *path = in_root(f, "many.csv");
    FILE *out = fopen(path, "w");
    assert_non_null(out);
    fputs("i,s\n", out);
    for (int i = 0; i < ROWS_MANY; i++)
        fprintf(out, "%d,text %d\n", i, i % 1000);
    fclose(out);
    fz_error e;
    fz_result *r;
    fine(fz_load(f->s, &path, 1, "many", NULL, 0, &r, &e), &e);
    fz_result_release(r);
}

/* The arrays of a result have its rows first, first + 1, … n of them; stops after `stop` arrays. */
static void check_arrays(fz_session *s, const char *sql, int64_t first, int64_t n, int stop)
{
    fz_error e;
    fz_result *r;
    struct ArrowArray a;
    int64_t at = first;
    fine(fz_execute(s, sql, NULL, NULL, &r, &e), &e);
    for (int k = 0; k < stop; k++) {
        fine(fz_result_next(r, &a, &e), &e);
        if (!a.release)
            break;
        const int64_t *v = a.children[0]->buffers[1];
        const int32_t *o = a.children[1]->buffers[1];
        for (int64_t i = 0; i < a.length; i++, at++) {
            char want[32];
            int len = snprintf(want, sizeof want, "text %d", (int)(at % 1000));
            assert_int_equal(v[i], at);
            assert_int_equal(o[i + 1] - o[i], len);
            assert_memory_equal((const char *)a.children[1]->buffers[2] + o[i], want, (size_t)len);
        }
        a.release(&a);
    }
    if (n >= 0)
        assert_int_equal(at - first, n);
    text t = {.n = 0};
    if (n < 0) { /* what is left can't be had as text */
        assert_int_equal(fz_result_text(r, FZ_TEXT_CSV, NULL, text_add, &t, &e), FZ_INVALID);
        assert_non_null(strstr(e.message, "arrays"));
    }
    fz_result_release(r);
}

static void arrays_keep_the_order(void **state)
{
    fixture *f = *state;
    many_rows(f);
    check_arrays(f->s, "SELECT i, s FROM many", 0, ROWS_MANY, 1 << 20);
    check_arrays(f->s, "SELECT i, s FROM many OFFSET 100001", 100001, ROWS_MANY - 100001, 1 << 20);
    check_arrays(f->s, "SELECT i, s FROM many LIMIT 70000 OFFSET 5", 5, 70000, 1 << 20);
    check_arrays(f->s, "SELECT i, s FROM many WHERE i >= 150001", 150001, ROWS_MANY - 150001, 1 << 20);
    check_arrays(f->s, "SELECT i, s FROM many ORDER BY i", 0, ROWS_MANY, 1 << 20);
    check_arrays(f->s, "SELECT i, s FROM many ORDER BY i LIMIT 3000", 0, 3000, 1 << 20);
    check_arrays(f->s, "SELECT i, s FROM many WHERE i < 0", 0, 0, 1 << 20);
    check_arrays(f->s, "SELECT i, s FROM many", 0, -1, 2); /* the rest is dropped */
}

static void texts_have_formats(void **state)
{
    fixture *f = *state;
    fz_error e;
    fz_result *r;
    static text t;
    const char *sql = "SELECT * FROM (VALUES (1, 'a', true), (NULL, '', false), (3, 'x,\"y\"\n', NULL)) v(i, s, b)";
    check(f->s, sql, "i,s,b\n1,a,true\n,\"\",false\n3,\"x,\"\"y\"\"\n\",\n");
    fine(fz_execute(f->s, sql, NULL, NULL, &r, &e), &e);
    t.n = 0;
    fine(fz_result_text(r, FZ_TEXT_JSON, NULL, text_add, &t, &e), &e);
    fz_result_release(r);
    assert_string_equal(t.p, "{\"i\":1,\"s\":\"a\",\"b\":true}\n{\"i\":null,\"s\":\"\",\"b\":false}\n"
                             "{\"i\":3,\"s\":\"x,\\\"y\\\"\\n\",\"b\":null}\n");
    fz_text_options o = {.max_rows = 2};
    fine(fz_execute(f->s, sql, NULL, NULL, &r, &e), &e);
    t.n = 0;
    fine(fz_result_text(r, FZ_TEXT_TABLE, &o, text_add, &t, &e), &e);
    fz_result_release(r);
    assert_non_null(strstr(t.p, "3 rows (2 shown)\n"));
    assert_non_null(strstr(t.p, "│ integer │"));
    o.max_rows = INT64_MAX;
    o.width = 20;
    fine(fz_execute(f->s, sql, NULL, NULL, &r, &e), &e);
    t.n = 0;
    fine(fz_result_text(r, FZ_TEXT_TABLE, &o, text_add, &t, &e), &e);
    fz_result_release(r);
    assert_non_null(strstr(t.p, "3 rows"));
}

static int stop_at_once(void *ctx, const char *p, size_t n) { return 1; }

static void a_writer_may_stop(void **state)
{
    fixture *f = *state;
    fz_error e;
    fz_result *r;
    fine(fz_execute(f->s, "SELECT 1", NULL, NULL, &r, &e), &e);
    assert_int_equal(fz_result_text(r, FZ_TEXT_CSV, NULL, stop_at_once, NULL, &e), FZ_CANCELLED);
    fz_result_release(r);
}

/* ---- loading ---- */

typedef struct notices { int n; char last[256]; char all[4096]; fz_session *s; } notices;

static void on_notice(void *ctx, const char *message)
{
    notices *x = ctx;
    fz_progress p;
    fz_session_progress(x->s, &p); /* allowed here */
    x->n++;
    snprintf(x->last, sizeof x->last, "%s", message);
    size_t at = strlen(x->all);
    snprintf(x->all + at, sizeof x->all - at, "%s\n", message);
}

static fz_status load_files(fixture *f, size_t n, const char *const *files, const char *table, const fz_option *o, size_t no, int64_t *rows, fz_error *e)
{
    fz_result *r;
    *e = (fz_error){0};
    fz_status st = fz_load(f->s, files, n, table, o, no, &r, e);
    if (st)
        return st;
    *rows = fz_result_rows_affected(r);
    fz_result_release(r);
    return FZ_OK;
}

static void a_late_value_widens_its_column(void **state)
{
    fixture *f = *state;
    fz_error e;
    int64_t rows;
    notices n = {.s = f->s};
    fz_session_on_notice(f->s, on_notice, &n);
    const char *path = in_root(f, "late.csv");
    FILE *out = fopen(path, "w");
    fputs("id,code,v\n", out);
    for (int i = 0; i < 60000; i++)
        fprintf(out, "%d,%d,%d\n", i, i % 7, i);
    fputs("60000,9x,1.25\n60001,3,9007199254740993\n", out);
    fclose(out);
    const fz_option small[] = {{"sample-bytes", "4k"}};
    fine(load_files(f, 1, &path, "late", small, 1, &rows, &e), &e);
    assert_int_equal(rows, 60002);
    assert_true(n.n > 0);
    assert_non_null(strstr(n.all, "code"));
    check(f->s, "SELECT code, v FROM late WHERE id >= 59999 ORDER BY id", "code,v\n2,59999\n9x,1.25\n3,9007199254740993\n");
    check(f->s, "SELECT count(*) AS n FROM late", "n\n60002\n");
    fz_progress p;
    fz_session_progress(f->s, &p);
    /* with strict it fails, and says where */
    const fz_option strict[] = {{"sample-bytes", "4k"}, {"strict", "true"}};
    assert_int_equal(load_files(f, 1, &path, "strict", strict, 2, &rows, &e), FZ_VALUE);
    assert_string_equal(e.where, path);
    assert_int_equal(e.line, 60002);
    assert_int_equal(refused(f->s, "SELECT * FROM strict", &e), FZ_NOT_FOUND);
    /* a table has its types: nothing is loaded */
    assert_int_equal(load_files(f, 1, &path, "late", NULL, 0, &rows, &e), FZ_OK);
    run(f->s, "CREATE TABLE typed (id int, code int, v double)", NULL);
    assert_int_equal(load_files(f, 1, &path, "typed", NULL, 0, &rows, &e), FZ_VALUE);
    check(f->s, "SELECT count(*) AS n FROM typed", "n\n0\n");
    fz_session_on_notice(f->s, NULL, NULL);
}

static void files_of_one_load_share_types(void **state)
{
    fixture *f = *state;
    fz_error e;
    int64_t rows;
    const char *files[] = {in_root(f, "a.csv"), in_root(f, "b.csv"), in_root(f, "c.csv")};
    file_write(files[0], "a,b,c\n1,,x\n");
    file_write(files[1], "a,b,c\n2.5,2020-01-01,y\n");
    file_write(files[2], "a,b,c\n3,2020-01-02,7\n");
    fine(load_files(f, 3, files, "ns.t", NULL, 0, &rows, &e), &e);
    assert_int_equal(rows, 3);
    check(f->s, "SELECT * FROM ns.t", "a,b,c\n1,,x\n2.5,2020-01-01,y\n3,2020-01-02,7\n");
    check(f->s, "DESCRIBE ns.t", "column,type,null,comment,partition\na,double precision,YES,,\nb,date,YES,,\nc,text,YES,,\n");
    char pattern[256];
    snprintf(pattern, sizeof pattern, "%s", in_root(f, "[ab].csv"));
    const char *p = pattern;
    const fz_option replace[] = {{"replace", "true"}};
    fine(load_files(f, 1, &p, "ns.t", replace, 1, &rows, &e), &e);
    check(f->s, "SELECT count(*) AS n FROM ns.t", "n\n2\n");
}

static void columns_are_added_with_their_rows_or_not_at_all(void **state)
{
    fixture *f = *state;
    fz_error e;
    int64_t rows;
    const char *files[] = {in_root(f, "x.csv"), in_root(f, "y.csv")};
    run(f->s, "CREATE TABLE t AS SELECT 1::bigint AS a", NULL);
    file_write(files[0], "extra,a\nhello,2\n");
    assert_int_equal(load_files(f, 1, files, "t", NULL, 0, &rows, &e), FZ_INVALID);
    const fz_option add[] = {{"add-columns", "true"}};
    file_write(files[1], "a,extra\n3,7\n\"x\",8\n");
    assert_int_not_equal(load_files(f, 1, files + 1, "t", add, 1, &rows, &e), FZ_OK);
    check(f->s, "SELECT * FROM t", "a\n1\n");
    fine(load_files(f, 1, files, "t", add, 1, &rows, &e), &e);
    check(f->s, "SELECT * FROM t ORDER BY a", "a,extra\n1,\n2,hello\n");
    file_write(files[0], "more,a\n0.5,4\n");
    file_write(files[1], "a,other,more\n5,z,1\n");
    fine(load_files(f, 2, files, "t", add, 1, &rows, &e), &e);
    check(f->s, "SELECT * FROM t ORDER BY a", "a,extra,more,other\n1,,,\n2,hello,,\n4,,0.5,\n5,,1,z\n");
}

static void a_broken_file_leaves_the_table(void **state)
{
    fixture *f = *state;
    fz_error e;
    int64_t rows;
    const char *path = in_root(f, "broken.csv");
    run(f->s, "CREATE TABLE t (a int, s text)", NULL);
    run(f->s, "INSERT INTO t VALUES (1, 'one')", NULL);
    static const char *const broken[] = {"", "a,s\n1,\xff\xfe\n", "a,s\n1,\"open\n2,x\n", "b,s\n1,x\n", "a,s\n99999999999,x\n"};
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
        file_write(path, broken[i]);
        fz_status st = load_files(f, 1, &path, "t", NULL, 0, &rows, &e);
        if (i == 0 && st == FZ_OK) /* an empty file for a table that exists: no rows */
            assert_int_equal(rows, 0);
        else
            assert_int_not_equal(st, FZ_OK);
    }
    const char *dir = f->root;
    assert_int_not_equal(load_files(f, 1, &dir, "t", NULL, 0, &rows, &e), FZ_OK);
    check(f->s, "SELECT * FROM t", "a,s\n1,one\n");
    assert_int_equal(files_count(f->lake_dir, ".parquet"), 1);
}

static void partitions_are_written_and_pruned(void **state)
{
    fixture *f = *state;
    fz_error e;
    int64_t rows;
    static text t;
    const char *path = in_root(f, "p.csv");
    FILE *out = fopen(path, "w");
    fputs("k,s\n", out);
    for (int i = 0; i < 3000; i++)
        fprintf(out, "%d,v%d\n", i % 100, i);
    fclose(out);
    const fz_option o[] = {{"partition-by", "k"}, {"property", "owner=me"}};
    fine(load_files(f, 1, &path, "p", o, 2, &rows, &e), &e);
    check(f->s, "SELECT count(*) AS n, count(distinct k) AS k, min(s) AS s FROM p", "n,k,s\n3000,100,v0\n");
    assert_int_equal(files_count(f->lake_dir, ".parquet"), 100);
    check(f->s, "SELECT s FROM p WHERE k = 42 LIMIT 3", "s\nv42\nv142\nv242\n");
    run(f->s, "EXPLAIN SELECT s FROM p WHERE k = 42", &t);
    assert_non_null(strstr(t.p, "1 file"));
    run(f->s, "SHOW CREATE TABLE p", &t);
    assert_non_null(strstr(t.p, "PARTITIONED BY (k)"));
    assert_non_null(strstr(t.p, "'owner' = 'me'"));
    fz_result *r;
    fine(fz_inspect(f->s, "p", &r, &e), &e);
    t.n = 0;
    fine(fz_result_text(r, FZ_TEXT_CSV, NULL, text_add, &t, &e), &e);
    fz_result_release(r);
    assert_non_null(strstr(t.p, "partition,k,k\n"));
    assert_int_equal(fz_inspect(f->s, "q", &r, &e), FZ_NOT_FOUND);
    run(f->s, "DROP TABLE p PURGE", NULL);
    assert_int_equal(files_count(f->lake_dir, ".parquet"), 0);
    assert_int_equal(files_count(f->lake_dir, ".avro"), 0);
}

static void nulls_in_filters_prune_rightly(void **state)
{
    fixture *f = *state;
    run(f->s, "CREATE TABLE n (k int, s text) PARTITIONED BY (k)", NULL);
    run(f->s, "INSERT INTO n VALUES (1, 'a'), (2, 'b'), (NULL, 'c')", NULL);
    check(f->s, "SELECT s FROM n WHERE k IN (1, NULL)", "s\na\n");
    check(f->s, "SELECT s FROM n WHERE k NOT IN (1, NULL)", "s\n");
    check(f->s, "SELECT s FROM n WHERE k = NULL", "s\n");
    check(f->s, "SELECT s FROM n WHERE NOT (k = NULL)", "s\n");
    check(f->s, "SELECT s FROM n WHERE (k = NULL) IS NULL ORDER BY s", "s\na\nb\nc\n");
    check(f->s, "SELECT s FROM n WHERE k = 2 OR k = NULL", "s\nb\n");
    check(f->s, "SELECT s FROM n WHERE NOT (k = 2 AND k = NULL) ORDER BY s", "s\na\n");
    check(f->s, "SELECT s FROM n WHERE NOT (k IN (2) OR k = NULL)", "s\n");
    check(f->s, "SELECT s FROM n WHERE k IS NULL", "s\nc\n");
}

static void a_dry_run_loads_nothing(void **state)
{
    fixture *f = *state;
    fz_error e;
    fz_result *r;
    static text t;
    const char *path = in_root(f, "d.csv");
    file_write(path, "a,b\n000190,1.5\n");
    const fz_option o[] = {{"dry-run", "true"}, {"types", "a:varchar"}};
    fine(fz_load(f->s, &path, 1, "t", o, 2, &r, &e), &e);
    t.n = 0;
    fine(fz_result_text(r, FZ_TEXT_CSV, NULL, text_add, &t, &e), &e);
    fz_result_release(r);
    assert_string_equal(t.p, "column,type\na,text\nb,double precision\n");
    assert_int_not_equal(access(f->lake_dir, F_OK), 0);
}

static void what_was_written_can_be_loaded_as_parquet(void **state)
{
    fixture *f = *state;
    fz_error e;
    int64_t rows;
    char glob_path[300], sql[400];
    run(f->s, "CREATE TABLE src AS SELECT i, 'v' || i AS s FROM (VALUES (1), (2), (3)) v(i)", NULL);
    snprintf(glob_path, sizeof glob_path, "%s/warehouse/default/*/data/*.parquet", f->lake_dir);
    const char *p = glob_path;
    fine(load_files(f, 1, &p, "copy", NULL, 0, &rows, &e), &e);
    assert_int_equal(rows, 3);
    fine(load_files(f, 1, &p, "copy", NULL, 0, &rows, &e), &e); /* its own files, too */
    check(f->s, "SELECT count(*) AS n, sum(i) AS s FROM copy", "n,s\n9,18\n");
    snprintf(sql, sizeof sql, "SELECT count(*) AS n FROM '%s/warehouse/default/src/data/*.parquet' WHERE i > 1 AND s LIKE 'v%%'", f->lake_dir);
    check(f->s, sql, "n\n2\n");
}

/* ---- cancelling, progress, threads ---- */

static const char slow[] = "SELECT count(*) FROM (VALUES (1),(2),(3),(4),(5),(6),(7),(8),(9),(10)) a(x), "
                           "(VALUES (1),(2),(3),(4),(5),(6),(7),(8),(9),(10)) b(x), (VALUES (1),(2),(3),(4),(5),(6),(7),(8),(9),(10)) c(x), "
                           "(VALUES (1),(2),(3),(4),(5),(6),(7),(8),(9),(10)) d(x), (VALUES (1),(2),(3),(4),(5),(6),(7),(8),(9),(10)) e(x), "
                           "(VALUES (1),(2),(3),(4),(5),(6),(7),(8),(9),(10)) f(x), (VALUES (1),(2),(3),(4),(5),(6),(7),(8),(9),(10)) g(x), "
                           "(VALUES (1),(2),(3),(4),(5),(6),(7),(8),(9),(10)) h(x), (VALUES (1),(2),(3),(4),(5),(6),(7),(8),(9),(10)) i(x), "
                           "(VALUES (1),(2),(3),(4),(5),(6),(7),(8),(9),(10)) j(x), (VALUES (1),(2),(3),(4),(5),(6),(7),(8),(9),(10)) k(x)";

static void *cancel_soon(void *session)
{
    nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
    fz_session_cancel(session);
    return NULL;
}

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void another_thread_cancels(void **state)
{
    fixture *f = *state;
    fz_error e;
    char sql[2048];
    run(f->s, "CREATE TABLE t (n bigint)", NULL);
    for (int i = 0; i < 2; i++) {
        pthread_t th;
        double t0 = seconds();
        assert_int_equal(pthread_create(&th, NULL, cancel_soon, f->s), 0);
        snprintf(sql, sizeof sql, "%s%s", i ? "INSERT INTO t " : "", slow);
        assert_int_equal(refused(f->s, sql, &e), FZ_CANCELLED);
        pthread_join(th, NULL);
        assert_true(seconds() - t0 < 5);
    }
    check(f->s, "SELECT count(*) AS n FROM t", "n\n0\n"); /* the session goes on */
    fz_result *r;
    fz_session_cancel(f->s);
    fine(fz_inspect(f->s, "t", &r, &e), &e); /* a cancel is for the statement that ran */
    fz_result_release(r);
    assert_int_equal(files_count(f->lake_dir, ".parquet"), 0);
}

typedef struct watch { fz_session *s; _Atomic bool stop; int64_t most; bool back; } watch;

static void *watch_progress(void *ctx)
{
    watch *w = ctx;
    while (!atomic_load(&w->stop)) {
        fz_progress p;
        fz_session_progress(w->s, &p);
        if (p.rows_done > w->most)
            w->most = p.rows_done;
    }
    return NULL;
}

static void progress_is_seen_from_another_thread(void **state)
{
    fixture *f = *state;
    fz_error e;
    int64_t rows;
    const char *path = in_root(f, "big.csv");
    FILE *out = fopen(path, "w");
    fputs("a,b\n", out);
    for (int i = 0; i < 200000; i++)
        fprintf(out, "%d,text %d\n", i, i % 10);
    fclose(out);
    watch w = {.s = f->s};
    pthread_t th;
    assert_int_equal(pthread_create(&th, NULL, watch_progress, &w), 0);
    fine(load_files(f, 1, &path, "big", NULL, 0, &rows, &e), &e);
    for (int i = 0; i < 20; i++)
        check(f->s, "SELECT count(*) AS n FROM big WHERE b LIKE '%3'", "n\n20000\n");
    atomic_store(&w.stop, true);
    pthread_join(th, NULL);
    assert_int_equal(rows, 200000);
    assert_true(w.most > 0 && w.most <= 200000);
    fine(load_files(f, 1, &path, "big", NULL, 0, &rows, &e), &e);
    fz_progress p;
    fz_session_progress(f->s, &p);
    assert_int_equal(p.rows_done, 200000);
    assert_true(p.bytes_total > 0);
    assert_int_equal(p.bytes_done, p.bytes_total);
}

typedef struct writer_thread { fz_lake *lake; int id; char message[512]; } writer_thread;

static void *append_rows(void *ctx)
{
    writer_thread *w = ctx;
    fz_session *s;
    fz_error e;
    if (fz_session_open(w->lake, &s, &e)) {
        snprintf(w->message, sizeof w->message, "%.500s", e.message);
        return NULL;
    }
    for (int i = 0; i < 15 && !w->message[0]; i++) {
        char sql[128];
        fz_result *r = NULL;
        snprintf(sql, sizeof sql, i % 3 == 2 ? "SELECT count(*), max(b) FROM t WHERE a = %d" : "INSERT INTO t VALUES (%d, %d)", w->id, i);
        fz_status st = fz_execute(s, sql, NULL, NULL, &r, &e);
        struct ArrowArray a = {0};
        if (!st && fz_result_has_rows(r)) {
            st = fz_result_next(r, &a, &e);
            if (!st && ((const int64_t *)a.children[0]->buffers[1])[0] != (i / 3 + 1) * 2)
                snprintf(w->message, sizeof w->message, "a row of one's own is missing");
            if (a.release)
                a.release(&a);
        }
        if (st)
            snprintf(w->message, sizeof w->message, "%.500s", e.message);
        fz_result_release(r);
    }
    fz_session_close(s);
    return NULL;
}

static void sessions_of_two_threads_share_a_lake(void **state)
{
    fixture *f = *state;
    run(f->s, "CREATE TABLE t (a int, b int)", NULL);
    writer_thread w[3];
    pthread_t th[3];
    for (int i = 0; i < 3; i++) {
        w[i] = (writer_thread){.lake = f->lake, .id = i};
        assert_int_equal(pthread_create(&th[i], NULL, append_rows, &w[i]), 0);
    }
    for (int i = 0; i < 3; i++) {
        pthread_join(th[i], NULL);
        assert_string_equal(w[i].message, "");
    }
    check(f->s, "SELECT a, count(*) AS n, count(distinct b) AS d FROM t GROUP BY a ORDER BY a", "a,n,d\n0,10,10\n1,10,10\n2,10,10\n");
}

/* ---- statements see one state ---- */

static void a_result_sees_the_table_as_it_was(void **state)
{
    fixture *f = *state;
    fz_error e;
    fz_result *r;
    static text t;
    run(f->s, "CREATE TABLE t AS SELECT 1 AS a", NULL);
    fine(fz_execute(f->s, "SELECT count(*) AS n, sum(a) AS s FROM t", NULL, NULL, &r, &e), &e);
    fz_session *other;
    fine(fz_session_open(f->lake, &other, &e), &e);
    run(other, "INSERT INTO t SELECT 2", NULL);
    run(other, "INSERT INTO t SELECT a FROM t", NULL);
    fz_session_close(other);
    t.n = 0;
    fine(fz_result_text(r, FZ_TEXT_CSV, NULL, text_add, &t, &e), &e);
    fz_result_release(r);
    assert_string_equal(t.p, "n,s\n1,1\n");
    check(f->s, "SELECT count(*) AS n, sum(a) AS s FROM t", "n,s\n4,6\n");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(options_are_checked), TEST(a_lake_begins_with_the_first_write), TEST(other_folders_are_no_lakes),
        TEST(a_lake_is_the_same_by_every_path), TEST(a_read_only_lake_isnt_written), TEST(rows_go_in_and_come_out),
        TEST(a_script_runs_statement_by_statement), TEST(errors_say_where_and_what), TEST(names_keep_and_forgive_case),
        TEST(settings_are_few), TEST(parameters_are_arrow), TEST(arrays_outlive_everything), TEST(results_become_streams), TEST(arrays_keep_the_order),
        TEST(texts_have_formats), TEST(a_writer_may_stop), TEST(a_late_value_widens_its_column), TEST(files_of_one_load_share_types),
        TEST(columns_are_added_with_their_rows_or_not_at_all), TEST(a_broken_file_leaves_the_table), TEST(partitions_are_written_and_pruned),
        TEST(nulls_in_filters_prune_rightly), TEST(a_dry_run_loads_nothing), TEST(what_was_written_can_be_loaded_as_parquet),
        TEST(another_thread_cancels), TEST(progress_is_seen_from_another_thread), TEST(sessions_of_two_threads_share_a_lake),
        TEST(a_result_sees_the_table_as_it_was),
    };
    return cmocka_run_group_tests_name("api", tests, NULL, NULL);
}
