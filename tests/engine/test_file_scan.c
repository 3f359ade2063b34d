/*
 * Scans against the plain truth: a random filter as WHERE prunes files, row groups and pages and reads columns late; the same filter
 * inside an aggregate over all rows reads everything. Both have to find the same rows. The tables have small row groups
 * and pages, files of several sizes, NULLs, NaNs, columns that were added later, and partitions; and the writer is made to spill.
 */
#include "engine/lake_util.h"

#include <stdbool.h>

static char root[128], lake_dir[200];
static fz_lake *lake;
static fz_session *s;
static uint64_t seed = 20240607;

static uint32_t rnd(uint32_t n)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(seed >> 33) % n;
}

static void load(const char *csv, const char *table, const char *const *kv)
{
    fz_option o[8];
    size_t n = 0;
    fz_error e;
    fz_result *r;
    for (; kv && kv[2 * n]; n++)
        o[n] = (fz_option){kv[2 * n], kv[2 * n + 1]};
    fine(fz_load(s, &csv, 1, table, o, n, &r, &e), &e);
    fz_result_release(r);
}

static void write_rows(const char *path, int rows, int from, bool more)
{
    static const char *const words[] = {"alpha", "beta", "gamma", "delta and a longer text", "", "alphabet"};
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fprintf(f, "id,grp,v,x,s,day%s\n", more ? ",late" : "");
    for (int i = 0; i < rows; i++) {
        int id = from + i;
        fprintf(f, "%d,%d,", id, id / 700);
        if (rnd(10))
            fprintf(f, "%d", (int)rnd(1000) - 500);
        fprintf(f, ",%s,", rnd(12) ? (rnd(2) ? "1.5" : "-0.25") : rnd(2) ? "" : "inf");
        if (rnd(8))
            fprintf(f, "\"%s\"", words[rnd(6)]);
        fprintf(f, ",2020-%02d-%02d", 1 + id / 1000 % 12, 1 + (int)rnd(28));
        if (more)
            fprintf(f, ",%d", (int)rnd(5));
        fputc('\n', f);
    }
    assert_int_equal(fclose(f), 0);
}

static int set_up(void **state)
{
    fz_error e;
    char csv[200];
    dir_make(root, sizeof root, "test_scan");
    snprintf(lake_dir, sizeof lake_dir, "%s/lake", root);
    snprintf(csv, sizeof csv, "%s/rows.csv", root);
    const fz_option threads[] = {{"threads", "3"}};
    fz_runtime *rt;
    fine(fz_runtime_create(threads, 1, NULL, &rt, &e), &e);
    fine(fz_lake_open(rt, lake_dir, NULL, 0, &lake, &e), &e);
    fz_runtime_release(rt);
    fine(fz_session_open(lake, &s, &e), &e);
    static const char *const small[] = {"property", "write.parquet.row-group-limit=3000", "property", "write.parquet.page-row-limit=500",
                                        "types", "x:double,grp:int", NULL};
    static const char *const parts[] = {"property", "write.parquet.row-group-limit=3000", "partition-by", "month(day), bucket(3, grp)",
                                        "types", "x:double,grp:int", NULL};
    static const char *const add[] = {"add-columns", "true", NULL};
    for (int t = 0; t < 2; t++) {
        write_rows(csv, 140000, 0, false); /* larger than FILE_SCAN_SMALL: split into morsels */
        load(csv, t ? "p" : "t", t ? parts : small);
        write_rows(csv, 900, 140000, false);
        load(csv, t ? "p" : "t", NULL);
        write_rows(csv, 5000, 141000, true);
        load(csv, t ? "p" : "t", add);
    }
    return 0;
}

static int tear_down(void **state)
{
    fz_session_close(s);
    fz_lake_close(lake);
    dir_remove(root);
    return 0;
}

static void leaf(char *out, size_t cap)
{
    static const char *const ops[] = {"=", "<>", "<", "<=", ">", ">="};
    const char *op = ops[rnd(6)];
    switch (rnd(13)) {
    case 0: snprintf(out, cap, "id %s %d", op, (int)rnd(150000)); break;
    case 1: snprintf(out, cap, "grp %s %d", op, (int)rnd(215)); break;
    case 2: snprintf(out, cap, "v %s %d", op, (int)rnd(1100) - 550); break;
    case 3: snprintf(out, cap, "x %s %s", op, rnd(2) ? "1.5" : "0"); break;
    case 4: snprintf(out, cap, "s %s '%s'", op, rnd(2) ? "beta" : "alphabet"); break;
    case 5: snprintf(out, cap, "s LIKE '%s'", rnd(2) ? "alph%" : "%longer%"); break;
    case 6: snprintf(out, cap, "%s IS %sNULL", rnd(2) ? "v" : rnd(2) ? "late" : "s", rnd(2) ? "NOT " : ""); break;
    case 7: snprintf(out, cap, "day %s DATE '2020-%02d-15'", op, 1 + (int)rnd(12)); break;
    case 8: snprintf(out, cap, "grp IN (%d, %d, %s)", (int)rnd(210), (int)rnd(210), rnd(3) ? "7" : "NULL"); break;
    case 9: snprintf(out, cap, "late %s %d", op, (int)rnd(5)); break;
    case 10: snprintf(out, cap, "%s %s NULL", rnd(2) ? "grp" : "s", op); break;
    case 11: snprintf(out, cap, "id + v > %d", (int)rnd(150000)); break;
    default: snprintf(out, cap, "id BETWEEN %d AND %d", (int)rnd(140000), (int)rnd(150000)); break;
    }
}

static void filter(char *out, size_t cap, int depth)
{
    char a[600], b[600];
    uint32_t k = depth ? rnd(6) : 0;
    if (k < 2) {
        leaf(out, cap);
    } else if (k == 2) {
        filter(a, sizeof a, depth - 1);
        snprintf(out, cap, "NOT (%s)", a);
    } else {
        filter(a, sizeof a / 2, depth - 1);
        filter(b, sizeof b / 2, depth - 1);
        snprintf(out, cap, "(%s) %s (%s)", a, k == 3 ? "OR" : "AND", b);
    }
}

static void filters_find_what_a_full_read_finds(void **state)
{
    static text pruned, full;
    char f[1300], sql[9000];
    for (int i = 0; i < 160; i++) {
        const char *table = i % 2 ? "p" : "t";
        filter(f, sizeof f, 1 + (int)rnd(2));
        snprintf(sql, sizeof sql, "SELECT count(*) AS n, sum(id) AS id, sum(v) AS v, min(s) AS s, max(day) AS day, sum(late) AS late FROM %s WHERE %s",
                 table, f);
        run(s, sql, &pruned);
        snprintf(sql, sizeof sql,
                 "SELECT coalesce(sum(CASE WHEN %s THEN 1 ELSE 0 END), 0) AS n, sum(CASE WHEN %s THEN id END) AS id, sum(CASE WHEN %s THEN v END) AS v, "
                 "min(CASE WHEN %s THEN s END) AS s, max(CASE WHEN %s THEN day END) AS day, sum(CASE WHEN %s THEN late END) AS late FROM %s",
                 f, f, f, f, f, f, table);
        run(s, sql, &full);
        if (strcmp(pruned.p, full.p) != 0)
            fail_msg("%s WHERE %s: %s instead of %s", table, f, pruned.p, full.p);
    }
}

static void rows_come_in_the_order_they_were_written(void **state)
{
    static text t;
    run(s, "SELECT id FROM t WHERE v > 450 AND s LIKE 'alpha%' LIMIT 1500", &t);
    long last = -1;
    int n = 0;
    for (char *p = strchr(t.p, '\n') + 1; *p; p = strchr(p, '\n') + 1, n++) {
        long id = strtol(p, NULL, 10);
        assert_true(id > last);
        last = id;
    }
    assert_int_equal(n, 1500);
    check(s, "SELECT id FROM t LIMIT 3 OFFSET 140898", "id\n140898\n140899\n141000\n");
    check(s, "SELECT count(*) AS n FROM (SELECT * FROM t LIMIT 66000) q", "n\n66000\n");
}

static void a_clear_cut_prunes_files_and_groups(void **state)
{
    static text t;
    run(s, "EXPLAIN SELECT v FROM t WHERE id = 142000", &t);
    assert_non_null(strstr(t.p, "1 file"));
    check(s, "SELECT count(*) AS n, min(id) AS id FROM t WHERE id >= 141000", "n,id\n5000,141000\n"); /* all rows of a file: no filter */
}

/* Where files count whole, statistics answer; hidden behind an expression, the same aggregates are computed. */
static void statistics_answer_as_rows_do(void **state)
{
    static text t, full;
    char f[1300], sql[3000];
    run(s, "EXPLAIN SELECT count(*), min(id), max(v), count(v), max(day) FROM t", &t);
    assert_non_null(strstr(t.p, "VALUES"));
    run(s, "EXPLAIN SELECT max(id), count(*) FROM t WHERE id >= 141000", &t);
    assert_non_null(strstr(t.p, "VALUES"));
    static const char *const read[] = {"min(s)", "count(DISTINCT id)", "max(id) FILTER (WHERE id < 9)", "sum(id)", "min(id + 1)", "count(late)"};
    for (size_t i = 0; i < sizeof read / sizeof read[0]; i++) { /* cut text, other questions, a column that some files lack */
        snprintf(sql, sizeof sql, "EXPLAIN SELECT %s FROM t", read[i]);
        run(s, sql, &t);
        assert_null(strstr(t.p, "VALUES"));
    }
    run(s, "EXPLAIN SELECT count(*) FROM t WHERE id >= 140500", &t);
    assert_null(strstr(t.p, "VALUES"));
    for (int i = 0; i < 60; i++) {
        const char *table = i % 2 ? "p" : "t";
        int from = (int)rnd(150) * 1000, to = from + (int)rnd(150) * 1000;
        snprintf(f, sizeof f, i % 3 ? "id >= %d AND id < %d" : "id >= %d OR grp > %d", from, i % 3 ? to : to / 700);
        snprintf(sql, sizeof sql, "SELECT count(*) AS n, min(id) AS a, max(id) AS b, count(v) AS c, min(v) AS d, max(v) AS e, min(day) AS f FROM %s WHERE %s",
                 table, f);
        run(s, sql, &t);
        snprintf(sql, sizeof sql, "SELECT count(id + 0) AS n, min(id + 0) AS a, max(id + 0) AS b, count(v + 0) AS c, min(v + 0) AS d, max(v + 0) AS e, "
                 "min(CASE WHEN id >= 0 THEN day END) AS f FROM %s WHERE %s", table, f);
        run(s, sql, &full);
        if (strcmp(t.p, full.p) != 0)
            fail_msg("%s WHERE %s: %s instead of %s", table, f, t.p, full.p);
    }
}

static char found[400];

static int find_data(const char *path, const struct stat *sb, int flag, struct FTW *f)
{
    size_t n = strlen(path);
    if (strstr(path, "/broken/") && n > 8 && strcmp(path + n - 8, ".parquet") == 0)
        snprintf(found, sizeof found, "%s", path);
    return 0;
}

/* A manifest that names a missing or a different file. */
static void other_files_are_refused_by_name(void **state)
{
    char csv[200], other[200];
    fz_error e;
    snprintf(csv, sizeof csv, "%s/broken.csv", root);
    file_write(csv, "a,b\n1,x\n2,y\n");
    load(csv, "broken", NULL);
    nftw(lake_dir, find_data, 16, FTW_PHYS);
    assert_true(found[0] != 0);
    snprintf(other, sizeof other, "%s.away", found);
    assert_int_equal(rename(found, other), 0);
    assert_int_equal(refused(s, "SELECT sum(a) FROM broken", &e), FZ_NOT_FOUND);
    assert_non_null(strstr(e.where, strrchr(found, '/')));
    file_write(found, "PAR1 but nothing else of it");
    assert_int_equal(refused(s, "SELECT sum(a) FROM broken", &e), FZ_DATA);
    assert_non_null(strstr(e.where, strrchr(found, '/')));
    file_write(csv, "a,b\n1,x\n2,y\n3,z\n");
    load(csv, "broken", NULL); /* a file of three rows … */
    char first[400];
    snprintf(first, sizeof first, "%s", found);
    found[0] = 0;
    unlink(first);
    nftw(lake_dir, find_data, 16, FTW_PHYS);
    assert_int_equal(link(found, first), 0); /* … in the place of one of two */
    assert_int_equal(refused(s, "SELECT sum(a) FROM broken", &e), FZ_DATA);
    assert_non_null(strstr(e.message, "3 rows"));
    assert_non_null(strstr(e.where, strrchr(first, '/')));
}

static void many_partitions_go_through_buckets(void **state)
{
    char csv[200];
    snprintf(csv, sizeof csv, "%s/parts.csv", root);
    FILE *f = fopen(csv, "w");
    fputs("seq,k,x\n", f);
    for (int i = 0; i < 9000; i++) { /* 2,500 keys, each far from the last */
        if (i % 97)
            fprintf(f, "%d,%d,", i, i * 7919 % 2500);
        else
            fprintf(f, "%d,,", i);
        fprintf(f, "%s\n", i % 5 == 0 ? "-0.0" : i % 5 == 1 ? "0" : i % 5 == 2 ? "" : "2.5");
    }
    fclose(f);
    static const char *const by[] = {"partition-by", "k", "types", "x:double", NULL};
    static const char *const by_float[] = {"partition-by", "x", "types", "x:double", NULL};
    load(csv, "many", by);
    check(s, "SELECT count(*) AS n, count(distinct seq) AS d, min(seq) AS lo, max(seq) AS hi, sum(seq) AS s FROM many",
          "n,d,lo,hi,s\n9000,9000,0,8999,40495500\n");
    check(s, "SELECT count(*) AS n FROM (SELECT k FROM many GROUP BY k) q", "n\n2501\n");
    /* each partition is one file, whose rows have kept their order */
    static text t;
    run(s, "SELECT k, seq FROM many WHERE k < 150", &t);
    long last_k = -1, last_seq = -1;
    for (char *p = strchr(t.p, '\n') + 1; *p; p = strchr(p, '\n') + 1) {
        char *end;
        long k = strtol(p, &end, 10), seq = strtol(end + 1, NULL, 10);
        if (k == last_k)
            assert_true(seq > last_seq);
        last_k = k;
        last_seq = seq;
    }
    load(csv, "floats", by_float);
    check(s, "SELECT count(*) AS n, count(x) AS x, sum(seq) AS s FROM floats", "n,x,s\n9000,7200,40495500\n");
    check(s, "SELECT count(*) AS n FROM floats WHERE x = 0", "n\n3600\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(filters_find_what_a_full_read_finds), cmocka_unit_test(rows_come_in_the_order_they_were_written),
        cmocka_unit_test(a_clear_cut_prunes_files_and_groups), cmocka_unit_test(statistics_answer_as_rows_do), cmocka_unit_test(other_files_are_refused_by_name),
        cmocka_unit_test(many_partitions_go_through_buckets),
    };
    return cmocka_run_group_tests_name("file scan", tests, set_up, tear_down);
}
