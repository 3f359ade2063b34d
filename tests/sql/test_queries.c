/* test_queries.c: small queries from text to rows, through the executor. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "fake.h"

/* The rows as text: columns joined by '|', rows by '/', NULL as '-'. */
static fz_status run(const char *sql, bool optimize, sbuf *out, fz_error *err)
{
    arena a;
    const ast_query *q;
    sql_bound b = {0};
    query *x = NULL;
    batch rows;
    pool *p = pool_create(NULL, 0);
    fz_status st;
    arena_init(&a, NULL);
    batch_init(&rows, NULL);
    TRY_GOTO(sql_parse_query(str_of(sql), &a, &q, err));
    sql_bind_options o = {.resolver = &fake_resolver, .a = &a, .no_optimize = !optimize};
    TRY_GOTO(sql_bind_query(q, &o, &b, err));
    exec_options eo = {.p = p, .temp_dir = "/tmp"};
    TRY_GOTO(query_open(b.plan, &eo, &x, err));
    for (;;) {
        bool end;
        TRY_GOTO(query_next(x, &rows, &end, err));
        if (end)
            break;
        for (uint32_t r = 0; r < rows.nrows; r++) {
            sbuf_addz(out, out->n ? "/" : "");
            for (uint32_t c = 0; c < rows.ncols; c++) {
                datum d = vec_datum(&rows.cols[c], r);
                sbuf_addz(out, c ? "|" : "");
                if (d.null)
                    sbuf_addc(out, '-');
                else
                    datum_text(&d, out);
            }
        }
    }
out:
    query_close(x);
    batch_free(&rows);
    sql_bound_release(&b);
    arena_free(&a);
    pool_destroy(p);
    return st;
}

static const struct { const char *sql, *rows; } cases[] = {
    /* nested values */
    {"select {'a': 1, b: 'it''s'}, [1, null], map {'k': 1.5}, row(1, 'x'), [], array[1]",
     "{'a': 1, 'b': 'it''s'}|[1, NULL]|{'k'=1.5}|{'f1': 1, 'f2': 'x'}|[]|[1]"},
    {"select s.a, t.s.b.c, (s).b, s['a'] from (select {'a': value, 'b': {'c': ym}} s from trade where value < 250) t",
     "100|201701|{'c': 201701}|100/200|201701|{'c': 201701}|200"},
    {"select t.a from (select 1 a, {'a': 2} t) t", "1"},               /* the table's column before the column's field */
    {"select t.t.a from (select 1 a, {'a': 2} t) t", "2"},
    {"select l[1], l[-1], l[3], l[0], l[null], l[2:], l[:-2] from (values ([1, 2]), ([]), (null)) v(l)",
     "1|2|-|-|-|[2]|[1]/-|-|-|-|-|[]|[]/-|-|-|-|-|-|-"},
    {"select m['a'], m[k], len(m), map_keys(m), map_values(m) from (values (map {'a': 1, 'b': 2}, 'b'), (null, 'a')) v(m, k)",
     "1|2|2|['a', 'b']|[1, 2]/-|-|-|-|-"},
    {"select case when value > 250 then [value, 0] when value > 150 then [value] end from trade where value < 350",
     "-/[200]/[300, 0]"},
    {"select coalesce(case when value > 250 then {'a': value} end, {'a': 0}) from (select value from trade order by value limit 3)",
     "{'a': 0}/{'a': 0}/{'a': 300}"},
    {"select value from trade where {'c': country, 'v': value} = {'c': 103, 'v': 100}", "100"},
    {"select count(*) from trade where [country] in ([103], [304])", "3"},
    {"select count(*) from trade where [country] is distinct from [103]", "3"},
    {"select [value] || [1], [hs9, 'x'][2] from trade where value = 200", "[200, 1]|x"},
    {"select cast({'a': 1, 'b': '2'} as struct(b int, a text, c date)), cast(row(1, 2) as struct(x text, y int))",
     "{'b': 2, 'a': '1', 'c': NULL}|{'x': '1', 'y': 2}"},
    {"select try_cast(['1', 'x'] as int[]), map {1: 'a'}::map(text, text), [{'a': 1}]::struct(a double)[]", "[1, NULL]|{'1'='a'}|[{'a': 1}]"},
    {"select {'a': 1} || 'x', [1]::text, null::struct(a int) is null, (null::struct(a int)).a is null", "{'a': 1}x|[1]|true|true"},
    {"select typeof([{'a': 1, 'b c': map {'x': 1.5}}]), typeof(row(1, [date '2020-01-01']))",
     "struct(a integer, \"b c\" map(text, decimal(2,1)))[]|struct(f1 integer, f2 date[])"},
    {"select x from (select [value] x from trade union all select [1.5]) where x[1] < 150", "[100.0]/[1.5]"},
    {"select cast(l as text[]) from (values ([1, 2]), (null), ([3])) v(l)", "['1', '2']/-/['3']"},
    {"select s::struct(a bigint, b text) from (values ({'a': 1, 'b': 2}), (null), ({'a': null, 'b': 3})) v(s)",
     "{'a': 1, 'b': '2'}/-/{'a': NULL, 'b': '3'}"},
    {"select list_contains(l, 2), list_contains(l, null) from (values ([1, 2]), ([null, 3]), (null)) v(l)", "true|-/false|-/-|-"},
    {"select l[1].a, l[2].b[1] from (values ([{'a': 1, 'b': ['x']}, {'a': 2, 'b': ['y']}]), ([]), (null)) v(l)", "1|y/-|-/-|-"},
    {"select map([1, 2], ['a', null]), map(null::int[], [1]), map(), map_from_arrays([1], ['x'])[1]", "{1='a', 2=NULL}|-|{}|x"},
    {"select [[1, 2], [], null][1][2], [[1]] = [[1]], [1, null] = [1, null], [1] < [1, 2], [null] > [9]", "2|true|true|true|true"},
    {"select named_struct('a', 1).a, struct_pack(x := 1, y => 2).y, struct_extract({'q': 3}, 'Q'), {'Key': 1}.key", "1|2|3|1"},
    {"select 1, 'a', 1.5, null, 2 + 3 * 4, 7 / 2, -7 % 3", "1|a|1.5|-|14|3|-1"},
    {"select ym, sum(value) v from trade where exp_imp = 1 group by ym order by ym", "201701|100/201802|300/201803|400"},
    {"select count(*), count(country), sum(value), min(ym), max(hs9) from trade", "5|4|1500|201701|a long text value, longer than twelve"},
    {"select count(*) from trade where value > 10000", "0"},
    {"select sum(value) from trade where value > 10000", "-"},
    {"select value from trade order by value desc limit 2 offset 1", "400/300"},
    {"select country from trade order by country", "103/103/105/304/-"},
    {"select country from trade order by country desc nulls last limit 2", "304/105"},
    {"select distinct exp_imp from trade order by 1", "1/2"},
    {"select t.value, k.cname from trade t join country k using (country) order by value", "100|Korea/200|China/300|Korea/400|USA"},
    {"select t.value, k.cname from trade t left join country k on t.country = k.country and k.cname <> 'USA' order by 1",
     "100|Korea/200|China/300|Korea/400|-/500|-"},
    {"select k.cname, value from trade t right join country k on t.country = k.country and value > 150 order by 1, 2",
     "China|200/Korea|300/USA|400"},
    {"select c.name, k.cname, sum(value) from trade t, custom c, country k where t.country = c.country and c.country = k.country "
     "group by 1, 2 order by 3", "Osaka|China|200/Tokyo|Korea|400"},
    {"select value from trade where value > (select avg(value) from trade) order by 1", "400/500"},
    {"select (select name from custom where id = 7), (select name from custom where id = 1)", "-|Tokyo"},
    {"select value from trade where country in (select country from custom) order by 1", "100/200/300"},
    {"select value from trade where country not in (select country from custom) order by 1", "400"},
    {"select value, country in (select country from custom) from trade order by 1", "100|true/200|true/300|true/400|false/500|-"},
    {"select exists (select 1 from custom where id = 2), exists (select 1 from custom where id = 9)", "true|false"},
    {"select 1 union all select 2.5 union all select null order by 1", "1.0/2.5/-"},
    {"select 1 union select 1 union all select 1", "1/1"},
    {"with a(x) as (values (1), (2), (null)) select x, x is null, coalesce(x, 0), nullif(x, 2) from a order by x nulls first",
     "-|true|0|-/1|false|1|1/2|false|2|-"},
    {"select case when value > 250 then 'big' else 'small' end k, count(*) n from trade group by k order by k", "big|3/small|2"},
    {"select exp_imp, count(*) n from trade group by all having n > 2", "1|3"},
    {"select ym / 100 as y, avg(value) from trade group by y order by y", "2017|150/2018|350/2019|500"},
    {"select value from trade where not (ok and value < 150) order by 1", "200/300/400/500"},
    {"select value from trade where ok is not true order by 1", "200/300/500"},
    {"select value from trade where hs9 like '0000%' and hs9 not like '%200' order by 1", "100/300"},
    {"select value from trade where d between '2017-01-01' and date '2017-01-01' order by 1", "100"},
    {"select d + interval '1 month', extract(year from d) from trade where value = 100", "2017-02-01 00:00:00|2017"},
    {"select count(*) filter (where ok), count(distinct exp_imp) from trade", "2|2"},
    {"select cast('12' as int) + 1, '3'::bigint * 2, try_cast('x' as int), 1::text || 'a'", "13|6|-|1a"},
    {"select 1 in (2, null), 1 in (1, null), 1 not in (2, 3), null in (1)", "-|true|true|-"},
    {"select substring('hello' from 2 for 3), trim(both 'x' from 'xax'), position('l' in 'hello'), 'a' || 1", "ell|a|3|a1"},
    {"select q from (select value, 1000 / (value - 100) as q from trade where value <> 100) where q > 4 order by 1", "5/10"},
    {"select count(*) from (select ym, hs9 from trade where ok union all select 1, 'x')", "3"},
    {"select * from custom order by name desc", "3|-|999/1|Tokyo|103/2|Osaka|105"},
    {"select \"group\" from default.order", ""},
    {"select max(value) - min(value) from trade where exp_imp = 3 or 1 = 2", "-"},
    {"select * exclude (name) replace (id * 10 as id) from custom order by id limit 1", "10|103"},
    {"select ym from trade where 1 = 2", ""},
    {"select concat('a', 1, null, true, 1.5), concat_ws('-', 2, 'b', null, date '2020-01-02')", "a1true1.5|2-b-2020-01-02"},
    {"select count(distinct value), count(distinct hs9), count(distinct country), sum(distinct country) from trade", "5|3|3|512"},
    {"select value::double * 1e306 > 0 from trade where value < 200", "true"},
    {"select case when value < 200 then value::double * 1e306 else 0 end < 1e300 from trade order by value limit 2", "false/true"},
    {"select 1e308::double * 'inf'::double, 'inf'::double + 1", "Infinity|Infinity"},
};

static void queries(void **state)
{
    int failed = 0;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        for (int optimize = 0; optimize < 2; optimize++) {
            sbuf b;
            fz_error err = {0};
            sbuf_init(&b, NULL);
            fz_status st = run(cases[i].sql, optimize, &b, &err);
            if (st != FZ_OK || strcmp(b.p ? b.p : "", cases[i].rows) != 0) {
                print_message("%s (%s): %s instead of %s\n", cases[i].sql, optimize ? "optimized" : "as bound",
                              st != FZ_OK ? err.message : b.p ? b.p : "", cases[i].rows);
                failed++;
            }
            sbuf_free(&b);
            assert_int_equal(fake_refs(), 0);
        }
    assert_int_equal(failed, 0);
}

/* Failures while running name the place in the statement. */
static void failures(void **state)
{
    static const struct { const char *sql, *sqlstate; int column; } bad[] = {
        {"select 1 / (value - 100) from trade", "22012", 10},
        {"select (select value from trade)", "21000", 8},
        {"select 9223372036854775807 + value from trade", "22003", 28},
        {"select cast(hs9 as int) from trade", "22P02", 13},
        {"select value::double * 1e306 from trade", "22003", 22},
        {"select -1e308::double - value::double * 1e306 from trade where value < 200", "22003", 23},
        {"select (value::double * 1e300) / 1e-10 from trade", "22003", 32},
        {"select 99999999999999999999999999999999999999 + 99999999999999999999999999999999999999 from trade", "22003", 47},
        {"select [1, 'x']", "22P02", 12},
        {"select map {value: 1, 100: 2} from trade", "22023", 8},
        {"select map {country: 1} from trade", "22004", 8},
        {"select {'a': [1 / (value - 100)]} from trade", "22012", 17},
        {"select [hs9]::int[] from trade", "22P02", 9},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        sbuf b;
        fz_error err = {0};
        sbuf_init(&b, NULL);
        assert_int_not_equal(run(bad[i].sql, true, &b, &err), FZ_OK);
        if (i != 1)
            assert_string_equal(err.sqlstate, bad[i].sqlstate);
        assert_int_equal(err.column, bad[i].column);
        sbuf_free(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(queries), cmocka_unit_test(failures)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
