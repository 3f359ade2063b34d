/* test_errors.c: what is wrong with a statement, where, and what may have been meant. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "fake.h"

static const struct { const char *sql, *sqlstate; int line, column; const char *message, *hint; } cases[] = {
    {"selec 1", "42601", 1, 1, "no statement begins with \"selec\"",
     "did you mean SELECT?"},
    {"select 1 form trade", "42601", 1, 15, "expected the end of the statement, found \"trade\"",
     "is \"form\" meant to be FROM?"},
    {"select a, from trade where (value = 1", "42601", 1, 38, "expected \")\", found the end",
     "it closes the parenthesis of line 1, column 28"},
    {"select 'abc", "42601", 1, 8, "this text has no closing quote",
     ""},
    {"select \"abc", "42601", 1, 8, "this quoted name has no closing quote",
     ""},
    {"select /* abc", "42601", 1, 8, "this comment has no end",
     ""},
    {"select 1a", "42601", 1, 8, "\"1a\" is neither a number nor a name",
     "a name that starts with a digit has to stand in double quotes"},
    {"select e'\\u12'", "42601", 1, 8, "invalid escape sequence in E'…' text",
     ""},
    {"select 1 +", "42601", 1, 11, "expected an expression, found the end",
     ""},
    {"select * from", "42601", 1, 14, "expected a table, a file in quotes or a query in parentheses, found the end",
     ""},
    {"select 1 from trade where group by ym", "42601", 1, 27, "expected an expression, found \"group\"",
     ""},
    {"select a = b = c from trade", "42601", 1, 14, "comparisons can't be chained",
     "join them with AND, or put one into parentheses"},
    {"select case 1 end", "42601", 1, 15, "expected WHEN, found \"end\"",
     ""},
    {"select x::varchr", "42704", 1, 11, "there is no type \"varchr\"",
     "did you mean varchar?"},
    {"select x::json", "0A000", 1, 11, "type json is not supported",
     ""},
    {"select count(*) over () from trade", "0A000", 1, 17, "window functions (OVER) are not supported",
     ""},
    {"select 1 except select 2", "0A000", 1, 10, "EXCEPT is not supported",
     ""},
    {"create view v as select 1", "0A000", 1, 1, "CREATE view is not supported",
     ""},
    {"update t set a = 1", "0A000", 1, 1, "UPDATE is not supported",
     ""},
    {"create table t (a int, a text)", "42701", 1, 24, "column \"a\" stands here twice",
     ""},
    {"create table t (a)", "42601", 1, 18, "column \"a\" needs a type",
     ""},
    {"create table t (a int primary key)", "0A000", 1, 23, "primary on a column is not supported",
     ""},
    {"create table t (a int) partitioned by (foo(a))", "22023", 1, 40, "there is no partition transform \"foo\"",
     "the transforms are identity, year, month, day, hour, bucket(n, column) and truncate(width, column)"},
    {"create table t (a int) with ('a' = 'b', 'a' = 'c')", "22023", 1, 41, "property 'a' stands here twice",
     ""},
    {"values (1, 2), (3)", "42601", 1, 16, "row 2 of VALUES has 1 column, the first row has 2",
     ""},
    {"select $0", "42601", 1, 8, "parameters are numbered from $1 to $65535",
     ""},
    {"select ?, $1", "42601", 1, 11, "a statement's parameters are either all ? or all numbered ($1, …)",
     ""},
    {"insert into t", "42601", 1, 14, "expected VALUES or a query, found the end",
     ""},
    {"\n\n  select\tvalue,\n    é_x from trade", "42703", 4, 5, "there is no column \"é_x\"",
     "the columns are exp_imp, Year, ym, Country, hs9, Value, price, d, ts, f, ok"},
    {"select nosuch from custom", "42703", 1, 8, "there is no column \"nosuch\"",
     "the columns are id, name, Country"},
    {"select valu from trade", "42703", 1, 8, "there is no column \"valu\"",
     "did you mean \"Value\"?"},
    {"select t.valu from trade t", "42703", 1, 10, "\"t\" has no column \"valu\"",
     "did you mean \"Value\"?"},
    {"select trade.value from trade t", "42P01", 1, 8, "there is no table \"trade\" in FROM",
     ""},
    {"select x.y from trade", "42P01", 1, 8, "there is no table \"x\" in FROM",
     ""},
    {"select a from other.trade, country where Country = 1", "42702", 1, 42, "column \"Country\" is ambiguous",
     "it could be trade.Country, country.Country"},
    {"select \"VALUE\" from trade", "42703", 1, 8, "there is no column \"VALUE\"",
     "did you mean \"Value\"?"},
    {"select mIxEd.B, c from mixed", "42703", 1, 17, "there is no column \"c\"",
     "did you mean \"a\", \"A\" or \"b\"?"},
    {"select a from mixed as m(x, y, z, w)", "42P10", 1, 35, "there are 3 columns, but 4 names for them",
     ""},
    {"select * from trde", "42P01", 1, 15, "there is no table \"trde\"",
     "did you mean \"trade\" or \"order\"?"},
    {"select * from other.trad", "42P01", 1, 15, "there is no table \"other.trad\"",
     "did you mean \"other.trade\"?"},
    {"select * from trade, trade", "42712", 1, 22, "\"trade\" stands in FROM twice; give one an alias",
     ""},
    {"select * from 'x.parquet'", "42704", -1, -1, "no such file",
     ""},
    {"select * from read_cvs('x')", "42883", 1, 15, "there is no table function \"read_cvs\"",
     "did you mean \"read_csv\"?"},
    {"select ym, value from trade group by ym", "42803", 1, 12, "column \"Value\" is neither in GROUP BY nor inside of an aggregate",
     "add it to GROUP BY (or write GROUP BY ALL), or use an aggregate such as min(Value)"},
    {"select ym from trade having value > 1", "42803", 1, 8, "column \"ym\" is neither in GROUP BY nor inside of an aggregate",
     "add it to GROUP BY (or write GROUP BY ALL), or use an aggregate such as min(ym)"},
    {"select value, count(*) from trade", "42803", 1, 8, "column \"Value\" is neither in GROUP BY nor inside of an aggregate",
     "add it to GROUP BY (or write GROUP BY ALL), or use an aggregate such as min(Value)"},
    {"select sum(sum(value)) from trade", "42803", 1, 12, "aggregates can't be nested",
     ""},
    {"select ym from trade where sum(value) > 1", "42803", 1, 28, "aggregates can't be used in WHERE",
     "a condition on groups stands in HAVING"},
    {"select ym from trade group by sum(value)", "42803", 1, 31, "aggregates can't be used in GROUP BY",
     ""},
    {"select ym from trade group by 2", "42P10", 1, 31, "GROUP BY 2: the select list has columns 1 to 1",
     ""},
    {"select ym from trade order by 2", "42P10", 1, 31, "ORDER BY 2: the select list has columns 1 to 1",
     ""},
    {"select ym as a, value as a from trade order by a", "42702", 1, 48, "\"a\" names several columns of the result",
     ""},
    {"select distinct ym from trade order by value", "42P10", 1, 40, "with SELECT DISTINCT, ORDER BY can only use selected columns",
     ""},
    {"select * from trade where value", "42804", 1, 27, "a condition has to be boolean, this is bigint",
     ""},
    {"select * from trade where not hs9", "42804", 1, 31, "a condition has to be boolean, this is text",
     ""},
    {"select value + hs9 from trade", "42883", 1, 14, "there is no operator + for bigint and text",
     ""},
    {"select nosuchfn(1)", "42883", 1, 8, "unknown function nosuchfn(integer)",
     ""},
    {"select lower(distinct hs9) from trade", "42809", 1, 8, "DISTINCT is for aggregates, lower isn't one",
     ""},
    {"select sum(*) from trade", "42883", 1, 8, "sum(*) doesn't exist; only count takes *",
     ""},
    {"select case when ok then 1 else 'x'::text end from trade", "42804", 1, 33, "CASE can't have both integer and text",
     "cast one to the other's type: x::integer"},
    {"select ym in (hs9) from trade", "42804", 1, 15, "IN can't have both bigint and text",
     "cast one to the other's type: x::bigint"},
    {"select * from trade where d = '2020-13-01'", "22008", 1, 31, "\"2020-13-01\" is out of the range of type date",
     ""},
    {"select value + 'abc' from trade", "22P02", 1, 16, "\"abc\" isn't a value of type bigint",
     ""},
    {"select cast(ok as date) from trade", "42846", 1, 8, "boolean can't be cast to date",
     ""},
    {"select * from trade limit -1", "2201W", 1, 27, "LIMIT can't be negative",
     ""},
    {"select * from trade limit 'x'", "22P02", 1, 27, "\"x\" isn't a value of type bigint",
     ""},
    {"select * from trade limit ym", "42703", 1, 27, "there is no column \"ym\"",
     ""},
    {"select (select ym, value from trade)", "42601", 1, 9, "a subquery here has one column, this one has 2",
     ""},
    {"select * from trade t where exists (select 1 from custom c where c.id = t.value)", "0A000", 1, 73, "\"value\" is a column of the query around: correlated subqueries are not supported",
     ""},
    {"select * from trade full join custom on ym = id", "0A000", 1, 21, "FULL JOIN is not supported",
     ""},
    {"select * from trade join custom using (nosuch)", "42703", 1, 40, "the left side of the join has no column \"nosuch\"",
     ""},
    {"select Country from trade, custom", "42702", 1, 8, "column \"Country\" is ambiguous",
     "it could be trade.Country, custom.Country"},
    {"select 1 union select 1, 2", "42601", 1, 16, "the queries of UNION have 1 and 2 columns",
     ""},
    {"select 1 union select date '2020-01-01'", "42804", 1, 16, "column 1 of UNION is integer in one query and date in another",
     ""},
    {"select *", "42601", 1, 8, "* needs a FROM",
     ""},
    {"select * exclude (nosuch) from trade", "42703", 1, 19, "there is no column \"nosuch\" to exclude",
     ""},
    {"select count(distinct) from trade", "42601", 1, 22, "expected an expression, found \")\"",
     ""},
    {"with a as (select nosuch from trade) select 1", "42703", 1, 19, "there is no column \"nosuch\"",
     "the columns are exp_imp, Year, ym, Country, hs9, Value, price, d, ts, f, ok"},
    {"with a as (select 1), a as (select 2) select 1", "42712", 1, 23, "WITH names \"a\" twice",
     ""},
    {"insert into custom (id, id) values (1, 2)", "42701", 1, 25, "column \"id\" stands here twice",
     ""},
    {"insert into custom (id, nme) values (1, 2)", "42703", 1, 25, "there is no column \"nme\"",
     "did you mean \"name\"?"},
    {"insert into custom values (1, 'x')", "42601", 1, 20, "the table has 3 columns, but 2 values are given",
     "name the columns that are given: INSERT INTO … (id, name, Country)"},
    {"insert into custom values (1, 'x', 3, 4)", "42601", 1, 39, "the table has 3 columns, but 4 values are given",
     ""},
    {"insert into custom (name) values ('x')", "23502", 1, 13, "column \"id\" is NOT NULL and isn't given",
     ""},
    {"insert into custom values (null, 'x', 3)", "23502", 1, 28, "column \"id\" is NOT NULL",
     ""},
    {"insert into custom select hs9, hs9, country from trade", "42804", 1, 27, "column \"id\" is bigint, but the value is text",
     "cast it: CAST(… AS bigint)"},
    {"insert into custom select ok, hs9, country from trade", "42804", 1, 27, "column \"id\" is bigint, but the value is boolean",
     "cast it: CAST(… AS bigint)"},
    {"insert into custom values (1, 'x', 'y')", "22P02", 1, 36, "\"y\" isn't a value of type integer",
     ""},
    {"select interval '1 day'", "0A000", 1, 8, "an interval that isn't added to or subtracted from a date or timestamp is not supported",
     ""},
    {"select interval '1 dax'", "42601", 1, 17, "'1 dax' isn't an interval",
     "write it as '1 year 2 months 3 days 04:05:06'"},
    {"select * from trade for system_time as of 'yesterday'", "22007", 1, 43, "\"yesterday\" isn't a value of type timestamp with time zone",
     ""},
};

static void errors(void **state)
{
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        arena a;
        fz_error err = {0};
        sql_script s;
        const ast_stmt *st;
        arena_init(&a, NULL);
        sql_script_init(&s, str_of(cases[i].sql));
        fz_status r = sql_parse_next(&s, &a, &st, &err);
        sql_bind_options o = {.resolver = &fake_resolver, .a = &a};
        sql_bound b;
        if (r == FZ_OK && st->kind == ST_INSERT)
            r = sql_bind_insert(&st->insert, &fake_tables[1].src.schema, &o, &b, &err);
        else if (r == FZ_OK)
            r = sql_bind_query(st->query, &o, &b, &err);
        if (r == FZ_OK)
            fail_msg("accepted: %s", cases[i].sql);
        assert_int_equal(r, err.status);
        assert_string_equal(err.message, cases[i].message);
        assert_string_equal(err.sqlstate, cases[i].sqlstate);
        assert_int_equal(err.line, cases[i].line);
        assert_int_equal(err.column, cases[i].column);
        assert_string_equal(err.hint, cases[i].hint);
        assert_int_equal(fake_refs(), 0);
        arena_free(&a);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(errors)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
