/* test_parser.c: statements to trees, scripts to statements, errors rendered. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "fake.h"

static const struct { const char *sql, *tree; } cases[] = {
    {"select [1, 'a',], {'a': 1, \"B c\": 2}, map {'k': [x]}, array[1], a[1], b[1:2], c[:2], d[2:], (e).f, g.h[1].i.j, k['x']::int[][]",
     "((select ((list_value 1 'a') (named_struct 'a' 1 'B c' 2) (map_value 'k' (list_value x)) (list_value 1) (array_extract a 1) "
     "(array_slice b 1 2) (array_slice c 1L 2) (array_slice d 2 -1L) (struct_extract e 'f') "
     "(struct_extract (struct_extract (array_extract g.h 1) 'i') 'j') (cast (array_extract k 'x') integer[][]))))"},
    {"select a::struct(x int not null, y struct<z: date, w: array<map<string, list<int>>>>), cast(b as map(text, row(c int)))",
     "((select ((cast a struct(x integer, y struct(z date, w map(text, integer[])[]))) (cast b map(text, struct(c integer))))))"},
    {"select a + b * c - d / e % f",
     "((select ((- (+ a (* b c)) (% (/ d e) f)))))"},
    {"select a or b and not c = d",
     "((select ((or a (and b (not (= c d)))))))"},
    {"select -2 ^ 2, - a, +3, -9223372036854775808, 9223372036854775808, 2147483648",
     "((select ((power -2 2) (- a) 3 -9223372036854775808L 9223372036854775808 2147483648L)))"},
    {"select a::int::text, cast(a as decimal(9,2)), try_cast(a as date)",
     "((select ((cast (cast a integer) text) (cast a decimal(9,2)) (try_cast a date))))"},
    {"select a between 1 and 2 and b not between 3 and 4",
     "((select ((and (between a 1 2) (not-between b 3 4)))))"},
    {"select a not in (1, 2,), b in (select 1), c like 'x' escape '!', d not ilike 'y'",
     "((select ((not-in a 1 2) (in-query b (select (1))) (like c 'x' '!') (not (ilike d 'y')))))"},
    {"select a is null, b is not null, c is true, d is not false, e is distinct from f, g is not distinct from h",
     "((select ((isnull a) (not-isnull b) (is-true c) (is-not-false d) (is distinct from e f) (not (is distinct from g h)))))"},
    {"select case when a then 1 else 2 end, case x when 1 then 'a' end",
     "((select ((case else a 1 2) (case operand x 1 'a'))))"},
    {"select date '2020-01-01', timestamp with time zone '2020-01-01', interval '1 year 2 days 03:04:05.5', interval 3 hour, interval '-1' day",
     "((select ((cast '2020-01-01' date) (cast '2020-01-01' timestamp with time zone) (interval 12 2 11045500000) (interval 0 0 10800000000) (interval 0 -1 0))))"},
    {"select extract(year from d), substring(s from 2 for 3), trim(leading 'x' from s), trim(s), position('a' in s), current_date",
     "((select ((date_part 'year' d) (substring s 2 3) (ltrim s 'x') (trim s) (strpos s 'a') (current_date))))"},
    {"select count(*), count(distinct a) filter (where b > 1), f()",
     "((select ((count *) (count distinct a filter (> b 1)) (f))))"},
    {"select *, t.*, * exclude (a, \"B\") replace (1 as c) from t",
     "((select (* t.* * exclude (a \"B\") replace 1 as c) from (table t)))"},
    {"from t",
     "((select (*) from (table t)))"},
    {"from t select a where b group by all order by all desc nulls last limit 3 offset 4",
     "((select (a) from (table t) where b group all order all desc nulls-last limit 3 offset 4))"},
    {"select 1 from a, b join c on a.x = c.x left join d using (y, z) cross join e natural join f",
     "((select (1) from (cross (table a) (natural inner (cross (left (inner (table b) (table c) on (= a.x c.x)) (table d) using (y z)) (table e)) (table f)))))"},
    {"select 1 from default.order o, \"select\".t as x(a, b), 'f.csv' f, read_csv('g', header => true, sep = ';')",
     "((select (1) from (cross (cross (cross (table default.order as o) (table \"select\".t as x(a b))) (file 'f.csv' as f)) (function read_csv 'g' header=>true sep=>';'))))"},
    {"select 1 from t version as of 12 join u for system_time as of '2020-01-01' x on true join v version as of 'main' on true",
     "((select (1) from (inner (inner (table t @12) (table u @time '2020-01-01' as x) on true) (table v @'main') on true)))"},
    {"with a(x) as (select 1), b as materialized (values (1, 'x')) select * from a union all select 2 union select 3 order by 1 fetch first 5 rows only",
     "((with a(x) (select (1)) with b (values (1 'x')) union (select (*) from (table a)) all (select (2)) distinct (select (3)) order 1 limit 5))"},
    {"(select 1 limit 1) order by 1",
     "((union (select (1) limit 1) order 1))"},
    {"select ?, ? + 1",
     "((select ($1 (+ $2 1))))"},
    {"select $2, $1",
     "((select ($2 $1)))"},
    {"insert into t (a, \"b\") values (1, 2), (3, 4)",
     "(insert t (a \"b\") (values (1 2) (3 4)))"},
    {"insert overwrite table a.b select * from c",
     "(insert-overwrite a.b (select (*) from (table c)))"},
    {"insert into t by name select 1 as a",
     "(insert t by-name (select (1:a)))"},
    {"create schema if not exists s with ('k' = 'v')",
     "(create-schema if-not-exists s 'k'='v')"},
    {"create table if not exists a.b (id bigint not null comment 'key', \"Q q\" decimal(9,2), n numeric, v varchar(10), s smallint, t timestamp with time zone, f fixed(16), order int) partitioned by (month(t), bucket(16, id), truncate(v, 4), n) with ('write.x' = 'y', a.b = 3) comment 'hello'",
     "(create-table if-not-exists a.b (id bigint not-null 'key') (\"Q q\" decimal(9,2)) (n decimal(38,9)) (v text) (s integer) (t timestamp with time zone) (f fixed(16)) (order integer) [month t] [bucket 16 id] [truncate 4 v] [identity n] 'write.x'='y' 'a.b'='3' comment 'hello')"},
    {"create or replace table t (a, b) as select 1, 2",
     "(create-table or-replace t (a) (b) as (select (1 2)))"},
    {"create table t as from 'x.parquet'",
     "(create-table t as (select (*) from (file 'x.parquet')))"},
    {"create table t (a int, b struct(c int), primary key (a, b.c) not enforced) order by b.c desc nulls last, truncate(3, a)",
     "(create-table t (a integer) (b struct(c integer)) sort [identity b.c] desc nulls-last [truncate 3 a] key a b.c)"},
    {"alter table s.t add column if not exists a.b bigint comment 'x' after c, drop column if exists d, rename e to f, alter g type double",
     "(alter s.t (add quiet a.b bigint 'x' after c) (drop quiet d) (rename e to f) (type g double precision))"},
    {"ALTER TABLE IF EXISTS t ADD COLUMNS (a int, b text FIRST), ALTER COLUMN a SET DATA TYPE bigint, ALTER a DROP NOT NULL, ALTER a SET NOT NULL, ALTER a COMMENT 'c', ALTER a FIRST",
     "(alter if-exists t (add a integer) (add b text first) (type a bigint) (drop-not-null a) (set-not-null a) (comment a 'c') (move a first))"},
    {"alter table t rename to s.u", "(alter t (rename-to s.u))"},
    {"alter table t rename column \"to\" to x", "(alter t (rename \"to\" to x))"},
    {"alter table t add partition field bucket(8, a.b) as n, drop partition field n, replace partition field month(c) with c as d, rename partition field x to y",
     "(alter t (add-partition [bucket 8 a.b] to n) (drop-partition [identity n]) (replace-partition [month c] [identity c] to d) (rename-partition [identity x] to y))"},
    {"alter table t write locally ordered by a desc, set, b nulls first, set identifier fields a, b.c, drop identifier fields d, write unordered",
     "(alter t (order sort [identity a] desc [identity set] [identity b] nulls-first) (set-identifier a b.c) (drop-identifier d) (order))"},
    {"alter table t set tblproperties ('a' = '1', b.c = 2), unset tblproperties if exists ('a'), reset (x), set ('k' = 'v'), set location '/w'",
     "(alter t (set 'a'='1' 'b.c'='2') (unset quiet 'a'='') (unset quiet 'x'='') (set 'k'='v') (location '/w'))"},
    {"alter table t create or replace branch b as of version 12 retain 3 days with snapshot retention 4 snapshots 5 hours, replace tag x, drop tag if exists y, create branch if not exists z",
     "(alter t (ref create-replace-branch b at 12 retain 259200000 min 4 age 18000000) (ref replace-tag x) (drop-ref quiet tag y) (ref quiet create-branch z))"},
    {"alter table t drop branch, add tag int", "(alter t (drop branch) (add tag integer))"},
    {"call cat.system.p('t', 1, x => 2)", "(call cat.system.p 't' 1 x=>2)"},
    {"rollback table a.b to version 7", "(call system.rollback_to_snapshot 'a.b' 7)"},
    {"drop table if exists t purge",
     "(drop-table if-exists t purge)"},
    {"show tables in s like 'a%'",
     "(show-tables in s like 'a%')"},
    {"show schemas",
     "(show-schemas)"},
    {"describe t",
     "(describe t (select (*) from (table t)))"},
    {"describe select 1",
     "(describe (select (1)))"},
    {"explain analyze insert into t select 1",
     "(explain-analyze (insert t (select (1))))"},
    {"use a.b",
     "(use a.b)"},
    {"set time zone 'UTC'",
     "(set timezone 'UTC')"},
    {"set search_path to a, b",
     "(set search_path 'a, b')"},
    {"show timezone",
     "(show timezone)"},
    {"reset all",
     "(reset all)"},
    {"select E'a\\n\\x41\\u00e9', $x$it's$x$, x'0aFF', 'it''s', 1_000, 0xff, .5, 1., 1e3, \"a\"\"b\", `c`",
     "((select ('a\nAé' 'it's' \\x0aff 'it's' 1000 255 0.5 1 1000 \"a\"b\" \"c\")))"},
    {"select /* a /* b */ */ 1 -- c",
     "((select (1)))"},
};

static void trees(void **state)
{
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        arena a;
        sbuf b;
        fz_error err = {0};
        sql_script s;
        const ast_stmt *st;
        arena_init(&a, NULL);
        sbuf_init(&b, NULL);
        sql_script_init(&s, str_of(cases[i].sql));
        if (sql_parse_next(&s, &a, &st, &err) != FZ_OK)
            fail_msg("%s: %s", cases[i].sql, err.message);
        ast_stmt_text(st, &b);
        assert_string_equal(b.p, cases[i].tree);
        sbuf_free(&b);
        arena_free(&a);
    }
}

/* A statement's span, and that an error leaves the script behind its semicolon. */
static void scripts(void **state)
{
    arena a;
    fz_error err = {0};
    sql_script s;
    const ast_stmt *st;
    str text = STR("-- first;\n select ';' , $$;$$;; /* ; */ selec 'a;b', \"x;\"; \n  use b -- end\n");
    arena_init(&a, NULL);
    sql_script_init(&s, text);
    assert_int_equal(sql_parse_next(&s, &a, &st, &err), FZ_OK);
    assert_memory_equal(text.p + st->offset, "select ';' , $$;$$", st->length);
    assert_int_equal(st->length, 18);
    assert_int_equal(st->pos.line, 2);
    assert_int_equal(st->pos.column, 2);
    assert_int_equal(sql_parse_next(&s, &a, &st, &err), FZ_SYNTAX);
    assert_int_equal(err.line, 2);
    assert_int_equal(err.column, 31);
    assert_int_equal(sql_parse_next(&s, &a, &st, &err), FZ_OK);
    assert_int_equal(st->kind, ST_USE);
    assert_int_equal(st->pos.line, 3);
    assert_int_equal(st->length, 5);
    assert_int_equal(sql_parse_next(&s, &a, &st, &err), FZ_OK);
    assert_null(st);
    arena_free(&a);
}

static void notices(void **state)
{
    arena a;
    sql_script s;
    const ast_stmt *st;
    arena_init(&a, NULL);
    sql_script_init(&s, STR("create table t (a varchar(3), b smallint, c varchar(9), d text)"));
    assert_int_equal(sql_parse_next(&s, &a, &st, NULL), FZ_OK);
    assert_int_equal(st->n_notices, 2);
    assert_true(str_eqz(st->notices[0], "varchar(n) keeps no length: any length is stored"));
    assert_true(str_eqz(st->notices[1], "smallint is stored as int"));
    arena_free(&a);
}

/* Any depth of anything is refused, not a stack used up. */
static void nesting(void **state)
{
    static const char *const units[][2] = {{"(", ")"}, {"- ", ""}, {"not ", ""}, {"1 + ", ""}, {"(select ", ")"}, {"case when ", " then 1 end"},
                                           {"1 in (", ")"}, {"cast(", " as int)"}, {"f(", ")"}};
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        arena a;
        sbuf b;
        fz_error err = {0};
        sql_script s;
        const ast_stmt *st;
        arena_init(&a, NULL);
        sbuf_init(&b, NULL);
        sbuf_addz(&b, "select ");
        for (int k = 0; k < 20000; k++)
            sbuf_addz(&b, units[i][0]);
        sbuf_addz(&b, "1");
        for (int k = 0; k < 20000; k++)
            sbuf_addz(&b, units[i][1]);
        sql_script_init(&s, (str){b.p, b.n});
        assert_int_equal(sql_parse_next(&s, &a, &st, &err), FZ_LIMIT);
        assert_string_equal(err.sqlstate, "54001");
        sbuf_free(&b);
        arena_free(&a);
    }
}

static void rendered(const char *sql, const char *want)
{
    arena a;
    sbuf b;
    fz_error err = {0};
    sql_script s;
    const ast_stmt *st;
    arena_init(&a, NULL);
    sbuf_init(&b, NULL);
    sql_script_init(&s, str_of(sql));
    fz_status r;
    do
        r = sql_parse_next(&s, &a, &st, &err);
    while (r == FZ_OK && st);
    assert_int_not_equal(r, FZ_OK);
    sql_error_render(&err, str_of(sql), &b);
    assert_string_equal(b.p, want);
    sbuf_free(&b);
    arena_free(&a);
}

static void carets(void **state)
{
    rendered("select 1;\nselect (1;", "error: expected \")\", found \";\" (42601)\nline 2: select (1;\n                 ^\n"
                                    "hint: it closes the parenthesis of line 2, column 8\n");
    rendered("\tselect 'éé' + 日本 )", "error: expected the end of the statement, found \")\" (42601)\n"
                                    "line 1:  select 'éé' + 日本 )\n                            ^\n");
}

static void single_texts(void **state)
{
    arena a;
    type t;
    fz_error err = {0};
    sql_name n;
    const ast_partition *p;
    uint32_t np;
    arena_init(&a, NULL);
    assert_int_equal(sql_parse_type(STR("character varying(30)"), &a, &t, NULL), FZ_OK);
    assert_int_equal(t.id, T_STRING);
    assert_int_equal(sql_parse_type(STR("double precision"), &a, &t, NULL), FZ_OK);
    assert_int_equal(t.id, T_FLOAT64);
    assert_int_equal(sql_parse_type(STR("map(text, struct(x int, y bigint[]))"), &a, &t, NULL), FZ_OK);
    assert_int_equal(t.children->f[1].t.children->f[1].t.children->f[0].t.id, T_INT64);
    assert_int_equal(sql_parse_type(STR("decimal(39,1)"), &a, &t, &err), FZ_SYNTAX);
    assert_int_equal(err.column, 9);
    assert_int_equal(sql_parse_type(STR("int x"), &a, &t, NULL), FZ_SYNTAX);
    assert_int_equal(sql_parse_name(STR("default.\"a b\".table"), &a, &n, NULL), FZ_OK);
    assert_int_equal(n.n, 3);
    assert_true(n.parts[1].quoted && str_eqz(n.parts[1].name, "a b"));
    assert_int_equal(sql_parse_partitions(STR("month(ts), bucket(id, 16)"), &a, &np, &p, NULL), FZ_OK);
    assert_int_equal(np, 2);
    assert_int_equal(p[1].param, 16);
    assert_true(sql_incomplete(STR("select 'a;")));
    assert_true(sql_incomplete(STR("select 1")));
    assert_false(sql_incomplete(STR("select 1; -- x")));
    arena_free(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(trees), cmocka_unit_test(scripts), cmocka_unit_test(notices), cmocka_unit_test(nesting),
        cmocka_unit_test(carets), cmocka_unit_test(single_texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
