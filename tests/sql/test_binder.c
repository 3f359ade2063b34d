/* test_binder.c: names, types, grouping and joins, as plans that are not optimized. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "fake.h"

static const struct { const char *sql, *plan, *schema; } cases[] = {
    {"SELECT ym, sum(Value) AS Value FROM default.trade WHERE exp_imp = 1 GROUP BY ym ORDER BY ym",
     "sort(#0 top -1 project([#0 #1] aggregate([#2] agg(#5) filter(=(#0,1) scan(default.trade 0 1 2 3 4 5 6 7 8 9 10)))))",
     "ym:bigint, Value:bigint"},
    {"select 1, 'a' x, 2+3*4 as y, 1.5, 1e3, null",
     "project([1 'a' 14 1.5 1000 null] values(1 [true]))",
     "1:integer, x:text, y:integer, 1.5:decimal(2,1), 1e3:double precision, null:text"},
    {"select VALUE, \"Value\", trade.value, default.trade.ym from default.trade",
     "project([#5 #5 #5 #2] scan(default.trade 0 1 2 3 4 5 6 7 8 9 10))",
     "Value:bigint, Value:bigint, Value:bigint, ym:bigint"},
    {"select a, A, \"A\", B from mixed",
     "project([#0 #1 #1 #2] scan(default.Mixed 0 1 2))",
     "a:integer, A:integer, A:integer, b:text"},
    {"select order.group, \"select\" from default.order",
     "project([#0 #1] scan(default.order 0 1))",
     "group:integer, select:text"},
    {"select sum(value), count(*), ym::text, case when ok then 1 end, case when ok then 1 else 2.5 end, -value from trade group by 3, 4, 5, 6",
     "project([#4 #5 #0 #1 #2 #3] aggregate([cast(#2 as text) case(#10,1,null) case(#10,1.0,2.5) -(#5)] agg(#5) agg(*) scan(default.trade 0 1 2 3 4 5 6 7 8 9 10)))",
     "sum:bigint, count:bigint, ym:text, case:integer, case:decimal(11,1), -value:bigint"},
    {"select value v from trade where v > 3",
     "project([#5] filter(>(#5,3) scan(default.trade 0 1 2 3 4 5 6 7 8 9 10)))",
     "v:bigint"},
    {"select value * 2 as ym from trade group by value, ym order by ym",
     "sort(#0 top -1 project([*(#0,2)] aggregate([#5 #2] scan(default.trade 0 1 2 3 4 5 6 7 8 9 10))))",
     "ym:bigint"},
    {"select ym as value from trade order by value",
     "sort(#0 top -1 project([#2] scan(default.trade 0 1 2 3 4 5 6 7 8 9 10)))",
     "value:bigint"},
    {"select ym, count(*) as n from trade group by all having n > 1 order by 2 desc, ym nulls first",
     "sort(#1 desc nf #0 nf top -1 project([#0 #1] filter(>(#1,1) aggregate([#2] agg(*) scan(default.trade 0 1 2 3 4 5 6 7 8 9 10)))))",
     "ym:bigint, n:bigint"},
    {"select d = '2020-01-01', ts > d, price = 5, ym = 1.5, f = 1, hs9 = 'x' from trade",
     "project([=(#7,2020-01-01) >(#8,cast(#7 as timestamp)) =(cast(#6 as decimal(12,2)),5.00) =(cast(#2 as decimal(20,1)),1.5) =(#9,1) =(#4,'x')] scan(default.trade 0 1 2 3 4 5 6 7 8 9 10))",
     "d = '2020-01-01':boolean, ts > d:boolean, price = 5:boolean, ym = 1.5:boolean, f = 1:boolean, hs9 = 'x':boolean"},
    {"select value between 1 and 2, ym not between 1 and 2, ok is true, ok is not false from trade",
     "project([and(>=(#5,1),<=(#5,2)) or(<(#2,1),>(#2,2)) coalesce(#10,false) not(coalesce(not(#10),false))] scan(default.trade 0 1 2 3 4 5 6 7 8 9 10))",
     "value between 1 and 2:boolean, ym not between 1 and 2:boolean, ok is true:boolean, ok is not false:boolean"},
    {"select coalesce(ym, exp_imp, 1), nullif(ym, 1), if(ok, 'a', null) from trade",
     "project([coalesce(#2,cast(#0 as bigint),1) case(=(#2,1),null,#2) case(#10,'a',null)] scan(default.trade 0 1 2 3 4 5 6 7 8 9 10))",
     "coalesce:bigint, nullif:bigint, if:text"},
    {"select * from trade t join custom c using (Country) join country k on k.country = c.country and k.cname = c.name",
     "project([#0 #1 #2 #3 #4 #5 #6 #7 #8 #9 #10 #11 #12 #14 #15] inner-join([#13 #12]=[#0 #1] inner-join([#3]=[#2] scan(default.trade 0 1 2 3 4 5 6 7 8 9 10) scan(default.custom 0 1 2)) scan(default.country 0 1)))",
     "exp_imp:integer, Year:integer, ym:bigint, Country:integer, hs9:text, Value:bigint, price:decimal(9,2), d:date, ts:timestamp, f:double precision, ok:boolean, id:bigint, name:text, Country:integer, cname:text"},
    {"select c.* from trade left join custom c on value = id and name = 'x'",
     "project([#11 #12 #13] left-join([#5]=[#0] on =(#12,'x') scan(default.trade 0 1 2 3 4 5 6 7 8 9 10) scan(default.custom 0 1 2)))",
     "id:bigint, name:text, Country:integer"},
    {"select count(distinct ym), count(distinct ym) filter (where ok) from trade having count(distinct ym) > 2",
     "project([#0 #1] filter(>(#0,2) aggregate([] distinct-agg(#2) distinct-agg(#2 where #10) scan(default.trade 0 1 2 3 4 5 6 7 8 9 10))))",
     "count:bigint, count:bigint"},
    {"select ym, exists (select 1 from custom) from trade where country in (select country from country)",
     "project([#2 >(#11,0)] cross-join([]=[] semi-join([#3]=[#0] scan(default.trade 0 1 2 3 4 5 6 7 8 9 10) project([#0] scan(default.country 0 1))) aggregate([] agg(*) limit(1 0 project([1] scan(default.custom 0 1 2))))))",
     "ym:bigint, exists:boolean"},
    {"values (1, 'a'), (2.5, null) order by column1 desc limit 1",
     "limit(1 0 sort(#0 desc nf top -1 values(2 [1.0 'a'] [2.5 null])))",
     "column1:decimal(11,1), column2:text"},
    {"select 1 as a union select 2 union all select null order by a",
     "sort(#0 top -1 union( aggregate([#0] union( project([1] values(1 [true])) project([2] values(1 [true])))) project([cast(#0 as integer)] project([null] values(1 [true])))))",
     "a:integer"},
    {"with a as (select ym x from trade), b(y) as (select x from a) select y, x from b join a on x = y",
     "project([#0 #1] inner-join([#0]=[#0] project([#0] project([#2] scan(default.trade 0 1 2 3 4 5 6 7 8 9 10))) project([#2] scan(default.trade 0 1 2 3 4 5 6 7 8 9 10))))",
     "y:bigint, x:bigint"},
    {"select distinct exp_imp from trade order by 1 limit 2 offset 1",
     "limit(2 1 sort(#0 top -1 aggregate([#0] project([#0] scan(default.trade 0 1 2 3 4 5 6 7 8 9 10)))))",
     "exp_imp:integer"},
    {"select * exclude (d, ts, f, ok, price) replace (ym + 1 as ym) from trade",
     "project([#0 #1 +(#2,1) #3 #4 #5] scan(default.trade 0 1 2 3 4 5 6 7 8 9 10))",
     "exp_imp:integer, Year:integer, ym:bigint, Country:integer, hs9:text, Value:bigint"},
    {"select 1 from 'custom.csv' where custom.id = 1",
     "project([1] filter(=(#0,1) scan(default.custom 0 1 2)))",
     "1:integer"},
    {"select id from read_csv('a', header => true)",
     "project([#0] scan(default.custom 0 1 2))",
     "id:bigint"},
    {"insert into custom values (1, 'x', '3'), (2, null, 4)",
     "values(2 [1 'x' 3] [2 null 4])",
     "id:bigint, name:text, Country:integer"},
    {"insert into custom (name, id) select hs9, exp_imp from trade",
     "project([cast(#1 as bigint) #0 null] project([#4 #0] scan(default.trade 0 1 2 3 4 5 6 7 8 9 10)))",
     "id:bigint, name:text, Country:integer"},
    {"insert into custom by name select value as id, 5 as country from trade",
     "project([#0 null #1] project([#5 5] scan(default.trade 0 1 2 3 4 5 6 7 8 9 10)))",
     "id:bigint, name:text, Country:integer"},
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
        sql_bind_options o = {.resolver = &fake_resolver, .a = &a, .no_optimize = true};
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

static void parameters(void **state)
{
    arena a;
    const ast_query *q;
    sql_bound b;
    arena_init(&a, NULL);
    assert_int_equal(sql_parse_query(STR("select $1 + value, $2, $4 || 'x' from trade where d = $3 and price < $5"), &a, &q, NULL), FZ_OK);
    sql_bind_options o = {.resolver = &fake_resolver, .a = &a};
    assert_int_equal(sql_bind_query(q, &o, &b, NULL), FZ_OK);
    assert_int_equal(b.n_params, 5);
    static const type_id want[] = {T_INT64, T_STRING, T_DATE, T_STRING, T_DECIMAL};
    for (int i = 0; i < 5; i++)
        assert_int_equal(b.param_types[i].id, want[i]);
    sql_bound_release(&b);
    type given[] = {TYPE(T_FLOAT64)};
    o.param_types = given;
    o.n_params = 1;
    assert_int_equal(sql_bind_query(q, &o, &b, NULL), FZ_OK);
    assert_int_equal(b.param_types[0].id, T_FLOAT64);
    assert_int_equal(b.plan->out.cols[0].t.id, T_FLOAT64);
    sql_bound_release(&b);
    arena_free(&a);
}

static void travel(void **state)
{
    arena a;
    const ast_query *q;
    sql_bound b;
    arena_init(&a, NULL);
    sql_bind_options o = {.resolver = &fake_resolver, .a = &a};
    assert_int_equal(sql_parse_query(STR("from trade version as of 17"), &a, &q, NULL), FZ_OK);
    assert_int_equal(sql_bind_query(q, &o, &b, NULL), FZ_OK);
    assert_int_equal(fake_travel.kind, TRAVEL_SNAPSHOT);
    assert_int_equal(fake_travel.snapshot_id, 17);
    sql_bound_release(&b);
    assert_int_equal(sql_parse_query(STR("from trade for timestamp as of '1970-01-01 00:00:01+00'"), &a, &q, NULL), FZ_OK);
    assert_int_equal(sql_bind_query(q, &o, &b, NULL), FZ_OK);
    assert_int_equal(fake_travel.kind, TRAVEL_TIME);
    assert_int_equal(fake_travel.time_us, 1000000);
    sql_bound_release(&b);
    assert_int_equal(sql_parse_query(STR("from read_csv('x', delim => ';', 3, header = yes)"), &a, &q, NULL), FZ_SYNTAX);
    assert_int_equal(sql_parse_query(STR("from read_csv('x', Delim => ';', n => 1 + 2, header = yes)"), &a, &q, NULL), FZ_OK);
    assert_int_equal(sql_bind_query(q, &o, &b, NULL), FZ_OK);
    assert_string_equal(fake_function_call, "read_csv =x delim=; n=3 header=yes");
    sql_bound_release(&b);
    arena_free(&a);
}

/* WITH queries that use each other twice multiply: refused before memory runs out. */
static void explosion(void **state)
{
    arena a;
    sbuf t;
    const ast_query *q;
    sql_bound b;
    fz_error err = {0};
    arena_init(&a, NULL);
    sbuf_init(&t, NULL);
    sbuf_addz(&t, "with q0 as (select 1 as x)");
    for (int i = 1; i < 40; i++)
        sbuf_printf(&t, ", q%d as (select a.x from q%d a, q%d b)", i, i - 1, i - 1);
    sbuf_addz(&t, " select * from q39");
    assert_int_equal(sql_parse_query((str){t.p, t.n}, &a, &q, NULL), FZ_OK);
    sql_bind_options o = {.resolver = &fake_resolver, .a = &a};
    assert_int_equal(sql_bind_query(q, &o, &b, &err), FZ_LIMIT);
    sbuf_free(&t);
    arena_free(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(plans), cmocka_unit_test(parameters), cmocka_unit_test(travel), cmocka_unit_test(explosion)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
