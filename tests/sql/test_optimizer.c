/* test_optimizer.c: plans after the optimizer: where filters, columns and limits end up. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "fake.h"

static const struct { const char *sql, *plan, *schema; } cases[] = {
    {"SELECT ym, sum(Value) AS Value FROM default.trade WHERE exp_imp = 1 GROUP BY ym ORDER BY ym",
     "sort(#0 top -1 aggregate([#1] agg(#2) scan(default.trade 0 2 5 where =(#0,1))))",
     "ym:bigint, Value:bigint"},
    {"select count(*) from trade",
     "values(1 [5])",
     "count:bigint"},
    {"select count(*) + 1, count(value) from trade",
     "values(1 [6 5])",
     "count(*) + 1:bigint, count:bigint"},
    {"select count(ym) from trade",
     "aggregate([] agg(#0) scan(default.trade 2))",
     "count:bigint"},
    {"select count(*) from custom",
     "aggregate([] agg(*) scan(default.custom))",
     "count:bigint"},
    {"select * from trade t join custom c using (Country) where c.id > 3 and t.exp_imp = 1 order by Value desc limit 10 offset 5",
     "limit(10 5 sort(#5 desc nf top 15 project([#0 #1 #2 #3 #4 #5 #6 #7 #8 #9 #10 #11 #12] inner-join([#3]=[#2] scan(default.trade 0 1 2 3 4 5 6 7 8 9 10 where =(#0,1)) scan(default.custom 0 1 2 where >(#0,3))))))",
     "exp_imp:integer, Year:integer, ym:bigint, Country:integer, hs9:text, Value:bigint, price:decimal(9,2), d:date, ts:timestamp, f:double precision, ok:boolean, id:bigint, name:text"},
    {"with a as (select * from trade where ym=3), b(x) as (select ym from a) select * from b, a where b.x = a.ym and a.hs9 like 'x%'",
     "inner-join([#0]=[#2] scan(default.trade 2 where =(#0,3)) scan(default.trade 0 1 2 3 4 5 6 7 8 9 10 where and(=(#2,3),like(#4,'x%'))))",
     "x:bigint, exp_imp:integer, Year:integer, ym:bigint, Country:integer, hs9:text, Value:bigint, price:decimal(9,2), d:date, ts:timestamp, f:double precision, ok:boolean"},
    {"select * from (select ym as m, sum(value) s from trade group by ym) x where m = 5 and s > 3",
     "filter(>(#1,3) aggregate([#0] agg(#1) scan(default.trade 2 5 where =(#0,5))))",
     "m:bigint, s:bigint"},
    {"select ym from trade limit 3",
     "limit(3 0 scan(default.trade 2 limit 3))",
     "ym:bigint"},
    {"select ym from trade where exp_imp = 1 limit 3",
     "limit(3 0 project([#1] scan(default.trade 0 2 where =(#0,1))))",
     "ym:bigint"},
    {"select ym from trade order by value limit 3",
     "project([#0] limit(3 0 sort(#1 top 3 scan(default.trade 2 5))))",
     "ym:bigint"},
    {"select ym from trade where 1 = 2 and value > 3",
     "values(0)",
     "ym:bigint"},
    {"select ym from trade where 1 = 1",
     "scan(default.trade 2)",
     "ym:bigint"},
    {"select ym from trade where hs9 like 'a%' and value / 0 > 1 and hs9 = 'x' and ym = 3",
     "project([#0] scan(default.trade 2 4 5 where and(=(#0,3),=(#1,'x'),like(#1,'a%'),>(/(#2,0),1))))",
     "ym:bigint"},
    {"select * from (select ym, 10 / value as q from trade where value <> 0) where q > 1 and ym = 2",
     "project([#0 /(10,#1)] scan(default.trade 2 5 where and(<>(#1,0),=(#0,2),>(/(10,#1),1))))",
     "ym:bigint, q:bigint"},
    {"select t.value, c.cname from trade t left join country c using (country) where c.cname = 'x'",
     "project([#1 #3] inner-join([#0]=[#0] scan(default.trade 3 5) scan(default.country 0 1 where =(#1,'x'))))",
     "Value:bigint, cname:text"},
    {"select t.value from trade t left join country c on t.country = c.country and c.cname = 'x' and t.ok where t.ym = 3",
     "project([#2] left-join([#1]=[#0] on #3 scan(default.trade 2 3 5 10 where =(#0,3)) scan(default.country 0 1 where =(#1,'x'))))",
     "Value:bigint"},
    {"select t.value from trade t join country c on t.country = c.country where t.country = 5",
     "project([#1] inner-join([#0]=[#0] scan(default.trade 3 5 where =(#0,5)) scan(default.country 0 where =(#0,5))))",
     "Value:bigint"},
    {"select c.name, co.cname, sum(t.value) from custom c, country co, trade t where t.country = c.country and co.country = c.country and t.ym=201701 group by 1,2",
     "aggregate([#0 #1] agg(#2) project([#3 #6 #2] inner-join([#4]=[#0] inner-join([#1]=[#1] scan(default.trade 2 3 5 where =(#0,201701)) scan(default.custom 1 2)) scan(default.country 0 1))))",
     "name:text, cname:text, sum:bigint"},
    {"select * from trade where d >= timestamp '2020-01-01' and exp_imp = 1::bigint and price > 5 and exp_imp in (1, 2::bigint) and ym > 1.5",
     "scan(default.trade 0 1 2 3 4 5 6 7 8 9 10 where and(>=(#7,2020-01-01),=(#0,1),>(#6,5.00),in(#0,1,2),>(cast(#2 as decimal(20,1)),1.5)))",
     "exp_imp:integer, Year:integer, ym:bigint, Country:integer, hs9:text, Value:bigint, price:decimal(9,2), d:date, ts:timestamp, f:double precision, ok:boolean"},
    {"select ym from (select * from trade union all select * from trade) where ym = 1",
     "union( scan(default.trade 2 where =(#0,1)) scan(default.trade 2 where =(#0,1)))",
     "ym:bigint"},
    {"select count(*) from (select ym, hs9 from trade where ok union all select 1, 'x')",
     "aggregate([] agg(*) union( project([#0] scan(default.trade 2 10 where #1)) values(1 [1])))",
     "count:bigint"},
    {"select value from trade where value > (select avg(value) from trade)",
     "project([#0] filter(>(cast(#0 as double precision),#1) cross-join([]=[] scan(default.trade 5) aggregate([] agg(#0) aggregate([] agg(#0) scan(default.trade 5))))))",
     "Value:bigint"},
    {"select * from trade where ym in (select id from custom where name = 'x') and value = 3",
     "semi-join([#2]=[#0] scan(default.trade 0 1 2 3 4 5 6 7 8 9 10 where =(#5,3)) project([#0] scan(default.custom 0 1 where =(#1,'x'))))",
     "exp_imp:integer, Year:integer, ym:bigint, Country:integer, hs9:text, Value:bigint, price:decimal(9,2), d:date, ts:timestamp, f:double precision, ok:boolean"},
    {"select name from custom order by id",
     "project([#0] sort(#1 top -1 project([#1 #0] scan(default.custom 0 1))))",
     "name:text"},
    {"select x from (select name x, id + 1 y from custom order by y) limit 2",
     "limit(2 0 project([#0] sort(#1 top 2 project([#1 +(#0,1)] scan(default.custom 0 1)))))",
     "x:text"},
    {"select distinct ym from trade where ym > 3",
     "aggregate([#0] scan(default.trade 2 where >(#0,3)))",
     "ym:bigint"},
};

static void plans(void **state)
{
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        arena a;
        sbuf p, s;
        fz_error err = {0};
        sql_script script;
        const ast_stmt *st;
        sql_bound b;
        arena_init(&a, NULL);
        sbuf_init(&p, NULL);
        sbuf_init(&s, NULL);
        sql_script_init(&script, str_of(cases[i].sql));
        if (sql_parse_next(&script, &a, &st, &err) != FZ_OK)
            fail_msg("%s: %s", cases[i].sql, err.message);
        sql_bind_options o = {.resolver = &fake_resolver, .a = &a, .no_optimize = false};
        fz_status r = st->kind == ST_INSERT ? sql_bind_insert(&st->insert, &fake_tables[1].src.schema, &o, &b, &err)
                                            : sql_bind_query(st->query, &o, &b, &err);
        if (r != FZ_OK)
            fail_msg("%s: %s", cases[i].sql, err.message);
        dump_plan(b.plan, &p);
        dump_schema(&b.plan->out, &s);
        assert_string_equal(p.p, cases[i].plan);
        assert_string_equal(s.p, cases[i].schema);
        sql_bound_release(&b);
        assert_int_equal(fake_refs(), 0);
        sbuf_free(&p);
        sbuf_free(&s);
        arena_free(&a);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(plans)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
