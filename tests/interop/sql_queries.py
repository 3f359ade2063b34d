"""Queries written by hand, over the tables of sql_data.py: what frazil's SQL promises, a line or a few each.
A tuple gives DuckDB's form where it differs."""

PLAIN = [
    # counts, filters, three-valued logic
    "select count(*), count(b), count(i), count(f), count(s), count(bin) from w",
    "select count(*) from w where b", "select count(*) from w where not b", "select count(*) from w where b is null",
    "select count(*) from w where b is true", "select count(*) from w where b is not true", "select count(*) from w where b is false",
    "select count(*) from w where i > 3 and (j < 0 or s = 'ab') and not (k in (1, 2, 3))",
    "select count(*) from w where i in (1, 2, null)", "select count(*) from w where i not in (1, 2, null)",
    "select count(*) from w where i not in (1, 2)", "select count(*) from w where i = null", "select count(*) from w where null",
    "select count(*) from w where i between -5 and 5", "select count(*) from w where i not between -5 and 5",
    "select count(*) from w where i between 5 and -5", "select count(*) from w where k between null and 3",
    "select count(*) from w where s is distinct from 'a'", "select count(*) from w where s is not distinct from null",
    "select count(*) from w where (b or i > 0) is null", "select count(*) from w where (b and i > 0) is not null",
    "select count(*) from w where i = j", "select count(*) from w where i < k", "select count(*) from w where c = 7 or c is null",
    "select count(*) from w where id >= 4000 and id < 4010", "select id from w where id = 7777", "select id, s from w where id in (5, 9000, 13999, -1)",
    "select count(*) from w where r = 'run 17'", "select r, count(*) from w where r like 'run 1_' group by r",
    "select count(*) from w where r > 'run 2' and id < 2000", "select count(*) from w where k = 3 and r = 'run 7'",
    "select count(*) from w where 1 = 1", "select count(*) from w where false or b", "select id from w where k = 4 and i = 7",
    "select count(*) from w where case when i > 0 then b else k > 2 end",
    "select count(*) from w where coalesce(b, i > 0, true)", "select count(*) from w where nullif(s, 'a') is null",
    # likes
    "select count(*) from w where s like 'a%'", "select count(*) from w where s like '%b%'", "select count(*) from w where s like '_b'",
    "select count(*) from w where s not like '%a%'", "select count(*) from w where t like '%/00%'", "select count(*) from w where t like 'x%9'",
    "select count(*) from w where s like 'b!%' escape '!'", "select count(*) from w where s ilike 'A%'", "select count(*) from w where s like ''",
    "select count(*) from w where s like '_'", "select count(*) from w where s like '%'", "select count(*) from w where s like '日_'",
    "select count(*) from w where t like '%a%b%'", "select count(*) from w where s like 'b\\_c' escape '\\'",
    # floats: NaN equals itself and is the greatest, both zeros are one
    "select count(*) from w where f = 'nan'::double", "select count(*) from w where f > 1e308", "select count(*) from w where f >= 'inf'::double",
    "select count(*) from w where f < 'nan'::double", "select count(*) from w where f = 0", "select count(*) from w where f = -0.0",
    "select count(*) from w where f in (0, 0.1)", "select count(*) from w where g = 'nan'::real", "select count(*) from w where g = 0",
    "select count(*) from w where f <> f", "select min(f), max(f), min(g), max(g) from w", "select count(distinct f), count(distinct g) from w",
    "select g, count(*) from w group by g", "select max(f) from w where f < 'inf'", "select count(*) from w where isnan(f)",
    "select f from w where id < 100 order by f, id", "select f, id from w where id < 100 order by f desc, id",
    "select count(*) from w where f > 'nan'::double", "select count(*) from w where not (f < 'nan'::double)",
    "select count(*) from w where g > 1.25", "select count(*) from w where g >= 0.5::real and g <= 3e38::real",
    "select count(*) from w where f between -1.5 and 2.5", "select count(*) from w where g = 1.25 or g = f",
    # integers and decimals
    "select min(i), max(i), sum(i), avg(i), min(j), max(j), avg(k) from w", "select sum(k), sum(c), min(k), max(c) from w",
    "select sum(d), min(d), max(d), sum(e), min(e), max(e), min(h), max(h) from w", "select sum(h) from w where abs(h) < 1000",
    "select id, i + 1, i - 1, -i, i * 2::bigint from w where i between -50 and 50 and id < 300", "select id, i {/} 7, i % 7 from w where id < 500",
    "select id, j {/} 1000003, j % 1000003 from w", "select id, d + e, d - e, d * d, d * 3 from w where id < 3000", "select id, d + 1, 2 * d, -d, abs(d) from w",
    "select count(*) from w where d > 0.5", "select count(*) from w where d = e", "select count(*) from w where d > f", "select count(*) from w where d < i",
    "select count(*) from w where h > 1e6::decimal(20,3)", "select d, count(*) from w where d between -1 and 1 group by d", "select count(*) from w where j > 9.5e11",
    "select count(*) from w where j = 9007199254740993", "select count(*) from w where j > 2147483647", "select count(*) from w where i < 2147483648",
    "select count(*) from w where i > -3000000000", "select count(*) from w where i = 3000000000", "select count(*) from w where d = 4.999",
    "select count(*) from w where i > 3.5", "select count(*) from w where i = 3.0", "select count(*) from w where k < 2.000001", "select count(*) from w where j <= -9223372036854775807",
    "select id, round(d, 1), round(e, 2), floor(d), ceil(e), trunc(e) from w where id < 2000", "select id, floor(f), ceil(f), trunc(f) from w where abs(f) < 1e15",
    "select id, sqrt(v), ln(v), exp(v / 100), power(v, 2), log10(v) from w where v > 0 and id < 3000", "select id, sign(i), sign(f), sign(d) from w where id < 500 and not isnan(f)",
    "select id, greatest(i, k), least(i, k), greatest(i, j, k) from w where id < 5000 and i is not null and k is not null and j is not null",
    # casts
    "select id, i::bigint, i::text, i::double, i::decimal(12,2), j::text from w where id < 3000", "select id, d::text, e::text, h::text, d::double from w where id < 2000",
    "select id, d::int, e::bigint, e::decimal(20,1), h::decimal(38,2) from w where id < 2000", "select id, v::int, (-v)::bigint, v::decimal(20,3) from w where id < 2000",
    "select id, dt::text, ts::text, tm::text, ts::date, dt::timestamp from w where id < 3000", "select id, b::text, b::int, (i <> 0)::int from w where id < 500",
    "select '12'::int, ' 12 '::bigint, '-1.5e3'::double, '1.25'::decimal(5,1), 'true'::boolean, '2020-02-29'::date, '2020-02-29 12:00:01.5'::timestamp",
    "select try_cast('x' as int), try_cast('99999999999' as int), try_cast('7' as int), try_cast(s as int) from w where id < 200 and s not like '%.%'",
    "select 2147483647::bigint + 1, 9223372036854775807, -9223372036854775808, 0.1::double + 0.2::double, 1e100, 1.10",
    # text
    "select id, upper(s), lower(s), length(s), trim(s), s || '!' || t, reverse(s) from w where id < 3000", "select id, substring(t, 2, 4), substr(t, 3), left(t, 3), right(t, 3) from w where id < 3000",
    "select id, strpos(t, '/'), position('a' in t), replace(t, '0', 'oo'), split_part(t, '/', 2), starts_with(t, 'ab') from w where id < 3000",
    "select id, lpad(s, 5, '*'), rpad(s, 5, 'xy'), repeat(s, 2), concat(s, '-', i), concat_ws(',', s, t, 'z') from w where id < 3000 and s is not null",
    "select id, ltrim(s), rtrim(s), ascii(s), translate(s, 'abc', 'xy') from w where id < 2000 and s <> ''", "select min(s), max(s), min(t), max(t) from w",
    "select s, length(s) from w where length(s) > 3 group by s", "select count(*) from w where lower(s) = 'a'", "select upper(r), count(*) from w group by upper(r)",
    "select id, regexp_replace(t, '[0-9]+', '#'), regexp_matches(t, '^a.*[05]$') from w where id < 2000 and t is not null", "select count(*) from w where s < t", "select count(*) from w where s > 'b'",
    "select count(*) from w where s >= 'Ä'", "select s from w group by s order by s", "select s from w group by s order by s desc nulls last",
    "select count(*) from w where left(r, 5) = 'run 3'", "select count(*) from w where r in ('run 1', 'run 2', null, 'nowhere')", "select count(*) from w where contains(s, 'b')",
    # dates and times
    "select min(dt), max(dt), min(ts), max(ts), min(tz), max(tz), min(tm), max(tm) from w", "select count(*) from w where dt >= date '2000-01-01' and dt < date '2010-01-01'",
    "select count(*) from w where ts between timestamp '1990-01-01' and '1999-12-31 23:59:59'", "select count(*) from w where tz > timestamptz '2001-01-01 00:00:00+02'",
    "select count(*) from w where tm < time '06:00:00'", "select year(dt), count(*) from w group by year(dt)", "select extract(year from ts), extract(month from ts), count(*) from w group by 1, 2",
    "select id, year(ts), month(ts), day(ts), hour(ts), minute(ts), quarter(ts), dayofyear(ts) from w where id < 4000", "select id, extract(dow from dt), extract(week from dt), extract(isodow from dt), date_part('doy', dt) from w where id < 4000",
    "select date_trunc('month', ts), count(*), min(id) from w group by 1", "select date_trunc('year', dt)::date, count(*) from w group by 1", "select date_trunc('week', ts), count(*) from w group by 1",
    "select id, date_trunc('hour', tz), date_trunc('quarter', ts), date_trunc('day', ts) from w where id < 2000", "select id, dt + 10, dt - 3, dt - date '1970-01-01' from w where id < 2000",
    "select id, ts + interval '1 month', ts - interval '1 day', dt + interval '2 years' from w where id < 3000", "select id, last_day(dt) from w where id < 500", "select count(*) from w where dt = ts",
    "select count(*) from w where ts::date = dt", "select count(*) from w where dt in (date '2001-01-01', '1999-12-31', null)", "select id, strftime(ts, '%Y-%m-%d %H:%M:%S') from w where id < 1000",
    # grouping
    "select b, count(*), count(i), sum(i::bigint), avg(i), min(i), max(i) from w where abs(i::bigint) < 100 group by b", "select k, count(*), sum(v), avg(v), min(v), max(v) from w group by k", "select s, b, count(*) from w group by s, b",
    "select s, b, k, count(*), min(id), max(ts) from w group by s, b, k", "select i, count(distinct s), count(distinct k), count(distinct b) from w group by i", "select count(distinct s), count(distinct i), count(distinct d), count(distinct ts), count(distinct bin), count(distinct t) from w",
    "select sum(distinct k), avg(distinct k), min(distinct s) from w", "select c, sum(id), count(*) from w group by c", "select r, sum(id), min(s), max(s) from w group by r having count(*) > 299 and sum(id) > 100000", "select k % 3 as m, count(*) from w group by m",
    "select k % 3 as m, count(*) from w group by all", "select bin, count(*) from w group by bin", "select dt, count(*) from w group by dt having count(*) > 1", "select tm, tz, count(*) from w where id < 3000 group by tm, tz", "select h, e, count(*) from w where id < 4000 group by h, e",
    "select t, count(*), sum(k) from w group by t", "select count(*), sum(i), min(s), avg(v) from w where false", "select s, count(*) from w where false group by s", "select count(*) from none", "select s, sum(i) from none group by s", "select max(i) from none having count(*) = 0",
    "select 1 from w having count(*) > 10", "select sum(case when b then 1 else 0 end), sum(case when b then i::bigint end) from w", "select count(*) filter (where i > 0), sum(k) filter (where b) from w", "select upper(s) as u, length(s) as l, count(*) from w group by u, l",
    "select b, s from w group by b, s having max(k) is null or max(k) < 15", "select avg(d)::decimal(20,2) > 0, count(d) from w", "select max(b), min(b) from w", "select sum(i) + 1, sum(i) {/} count(*), max(k) - min(k) from w", "select f, count(*) from w group by f",
    # order, limit, distinct
    "select id from w order by id limit 5", "select id from w order by id desc limit 5 offset 3", "select id, i from w order by i, id limit 20", "select id, i from w order by i desc, id limit 20", "select id, i from w order by i nulls first, id desc limit 20", "select id, i from w order by i desc nulls last, id limit 20 offset 13900",
    "select s, t, id from w order by s, t desc, id", "select id from w order by d * 2, id limit 50", "select id, k as x from w order by x desc nulls last, b, id limit 40", "select s, count(*) as n from w group by s order by n desc, s", "select s, count(*) from w group by s order by 2, 1 desc limit 4", "select id from w order by length(s) desc, id limit 15",
    "select distinct s from w", "select distinct b, k from w order by k, b", "select distinct i from w order by i desc limit 7", "select distinct f from w", "select distinct ts, tz from w where id < 1000", "select * from w order by id limit 30", "select * from w where id % 1000 = 1 order by id", "select id from w order by id limit 0", "select count(*) from (select * from w limit 5000)",
    "select id from w order by f, g, id limit 300", "select id from w order by g desc, f desc, id limit 300", "select id from w order by h, id", "select id from w order by tz desc, tm, id", "select id from w order by bin, id", "select id, e from w order by e desc nulls first, id offset 13000", "select id from w order by t, id", "select id from w order by b, r desc, s, dt, id limit 2000",
    # joins
    "select count(*) from w join dim on w.i = dim.key", "select w.id, dim.name from w join dim on w.i = dim.key where w.id < 2000", "select d2.name, count(*), sum(w.k) from w join dim d2 on w.i = d2.key group by d2.name", "select count(*) from w join dim on w.i = dim.key and w.s = dim.name", "select count(*) from w, dim where w.i = dim.key and dim.big > w.k",
    "select a.key, b.big from dim a join dim b on a.key = b.key order by 1, 2", "select count(*) from w a join w b on a.id = b.id where a.k = 3", "select count(*) from w join tiny on w.i = tiny.a", "select tiny.*, dim.* from tiny join dim on tiny.a = dim.key order by x, y, z, big", "select count(*) from dim join none on dim.key = none.i", "select count(*) from w join dim using (id)" if False else "select count(*) from dim a join dim b using (key)",
    "select key, a.name, b.big from dim a join dim b using (key) order by 1, 2, 3", "select count(*) from tiny a, tiny b", "select a.a, b.x from tiny a cross join tiny b order by 1, 2", "select count(*) from dim a join dim b on a.key = b.key + 1", "select count(*) from w join dim on w.k = dim.key join tiny on dim.key = tiny.a", "select w.b, count(*) from w join dim on w.i::bigint = dim.big group by w.b", "select count(*) from tiny a join tiny b on a.y = b.y", "select count(*) from w join dim on w.d = dim.key",
    # sub-selects, WITH
    "select s, n from (select s, count(*) as n from w group by s) q where n > 100 order by n, s", "with a as (select i, count(*) as n from w group by i) select max(n), min(n), count(*) from a", "with a as (select * from w where b), b as (select i, k from a where k > 2) select count(*), sum(i) from b", "with a(x, y) as (select i, sum(k) from w group by i) select * from a order by x", "select max(n) from (select k, count(*) n from w group by k)", "select count(*) from (select distinct s, b from w) q",
    "select q.s, dim.name from (select s, min(i) as m from w where i > -50 group by s) q join dim on q.m = dim.key order by 1, 2", "with t1 as (select id, i from w where id < 100), t2 as (select id, k from w where id >= 50 and id < 150) select t1.id, t1.i, t2.k from t1 join t2 on t1.id = t2.id order by 1", "select x + 1 from (select id as x from w where id < 10) order by 1", "select * from (values (1, 'a'), (2, null), (null, 'c')) v(n, c) order by n", "select id from (select id, i from w order by i desc, id limit 10) q order by id", "select count(*) from (select id from w where id < 100 union all select id from w where id < 50)",
    # expressions
    "select 1 + 2 * 3 - 4, (1 + 2) * 3, -2 - -3, not true and false, 7 % 4, 2 * (3 + 4) % 5", "select case i when 1 then 'one' when 2 then 'two' else 'many' end as w, count(*) from w group by 1", "select id, case when i < 0 then 'neg' when i = 0 then 'zero' when i > 0 then 'pos' end from w where id < 500", "select id, coalesce(i, k, -1), coalesce(s, 'none'), nullif(i, 1), nullif(s, '') from w where id < 3000",
    "select id, case when i <> 0 then 1000 {/} i else 0 end from w", "select count(*) from w where i <> 0 and 100 {/} i > 5", "select count(*) from w where i = 0 or 100 {/} i > 5", "select id, i is null, i is not null, (i > 5) is null, i = 5 or b from w where id < 1000", "select null + 1, null || 'a', null and false, null or true, not null, null in (1), 1 in (null, 1)", "select count(*) from w where (i, k) is not null" if False else "select count(*) from w where i + k > 10",
    "select id, bin, octet_length(bin) from w where id < 300", "select * from tiny order by a, x, y", "select a, y, y = y, y > 1, z * 2, z + 0.5 from tiny order by a, y", "select sum(y), max(y), min(z), sum(z) from tiny where a < 3 and x <> 'two'", "select \"id\", W.\"i\" from w where ID = 3", "select id as \"Weird Name\" from w where id = 1",
    # the partitioned copy
    "select count(*), sum(id), min(s), max(ts) from p", "select count(*) from p where s = 'ab'", "select count(*) from p where i = 7 and s like 'a%'", "select count(*) from p where s is null", "select count(*) from p where i is null and s is not null", "select s, count(*) from p group by s", "select count(*) from p join w on p.id = w.id where p.s = w.s", "select id from p where i in (3, 4) and s >= 'z' order by id", "select count(*) from p where s like '日%' or s = 'Äpfel'", "select count(*) from p where s < 'ab' and i > 0", "select id from p order by s, i, id limit 100", "select count(*) from p where s not in ('a', 'ab')", "select count(*) from p where s <> ''",
]

# Queries that have to fail, with what the message names.
ERRORS = [
    ("select 1 / 0", "division by zero"), ("select id / (id - 5) from w", "division by zero"), ("select i % 0 from w", "division by zero"), ("select 1.5 / 0", "division by zero"), ("select max(1 / (k - 3)) from w", "division by zero"),
    ("select i + 2147483647 from w where i > 0", "out of range"), ("select 2147483647 + 1", "out of range"), ("select j * j from w", "out of range"), ("select -j from w", "out of range"), ("select abs(j) from w", "out of range"), ("select j - 1 from w", "out of range"), ("select -i from w", "out of range"),
    ("select sum(j) from (select 9223372036854775807 as j from w) q", "out of range"), ("select sum(j) from w where j > 1000000000000", "out of range"), ("select k, sum(j) from (select k, 9223372036854775807 j from w) q group by k", "out of range"), ("select h * h from w", "out of range"), ("select h * 100000000000 from w", "out of range"), ("select j::int from w", "out of range"), ("select f::int from w", ""), ("select f::bigint from w where isnan(f)", ""),
    ("select h::decimal(9,2) from w", "out of range"), ("select 1e10::int", "out of range"), ("select 99999999999::int", "out of range"), ("select 1000::decimal(3,0)", "out of range"), ("select s::int from w", ""), ("select 'x'::date", ""), ("select '2021-02-29'::date", ""), ("select '25:00'::time", ""), ("select t::timestamp from w", ""), ("select s::boolean from w", ""),
    ("select * from nowhere", "nowhere"), ("select nope from w", "nope"), ("select nofunc(1)", "nofunc"), ("select s + 1 from w", ""), ("select i from w group by k", "i"), ("select sum(sum(i)) from w", ""), ("select count(*) from w where sum(i) > 1", ""), ("select a.id from w a join w b on a.id = b.id where id = 1", "id"), ("select exp(1000::double)", "out of range"), ("select power(10::double, 400)", "out of range"), ("select 1e308::double * 10", "out of range"), ("select sqrt(-1)", ""), ("select ln(0)", ""),
    ("select id from w limit -1", ""), ("select id from w order by 9", ""), ("select", ""), ("select 1 from w where", ""), ("select substring('abc', 1, -1)", ""), ("select dt + 2147483647 from w", ""), ("select make_date(2021, 2, 29)", ""), ("select date '5874897-12-31' + 1000000000", ""),
]

# No row that counts does any of it.
NO_ERRORS = [
    "select count(*) from w where i = 0 or 10 {/} i > 3", "select count(*) from w where i <> 0 and 10 % i = 1", "select sum(case when k = 0 then 0 else 100 {/} k end) from w where k is not null", "select coalesce(1, 1 {/} 0)", "select case when true then 1 else 1 {/} 0 end", "select count(*) from (select i, 1 {/} nullif(i, 0) as q from w) where q = 1",
    "select count(*) from w where s = '10' and s::int = 10", "select id, 100 {/} i from w where i > 40 order by id limit 3", "select 1 {/} i from w where i is null limit 1", "select case when s in ('10') then s::int end as x, count(*) from w group by 1",
    "with a as (select * from w where i <> 0) select sum(100 {/} i) from a", "select sum(j) from (select 4611686018427387904 as j union all select -4611686018427387904 union all select 4611686018427387904)", "select count(*) from none where 1 {/} i > 0", "select max(1 {/} i) from none", "select 1 {/} (id - 5) from w where id <> 5 and id < 10",
]
