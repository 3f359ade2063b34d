"""Structs, lists and maps: frazil's answers, taken as Arrow through its C interface, against DuckDB's over the same rows."""
import datetime, decimal, math

import pyarrow as pa
import pytest

pytest.importorskip("duckdb")

import sql_data
from conftest import Lake
from frazil_arrow import FrazilError, Session

# Over the table w of sql_data.py, whose columns come in all encodings; a tuple gives DuckDB's form where it differs.
QUERIES = [
    # constructors and access
    "select {'a': i, 'b': s} as st from w where id < 3000 order by id",
    "select id, st.a, st.b, st['b'] from (select id, {'a': i, 'b': s, 'c': r} as st from w where k > 2) x order by id",
    "select x.st.n.a from (select id, {'n': {'a': k}} as st from w) x order by id",
    "select [i, j, k] as l, [r] as m, [] as e from w where id < 5000 order by id",
    "select l[1], l[2], l[-1], l[4], l[k], l[-k] from (select id, k, [i, j, k] as l from w where id % 3 = 0) x order by id",
    "select l[1:2], l[2:], l[:-2], l[-1:], l[3:2], l[0:1], l[-9:2], l[k:] from (select id, k, [i, j, 7] as l from w where i > 0) x order by id",
    "select map {'x': i, r: k} as m from w where r <> 'x' and id < 4000 order by id",
    "select m['x'], m[r], m['nothing'] from (select id, r, map {'x': i, r: k} as m from w) x order by id",
    "select map_keys(m), map_values(m), cardinality(m) from (select id, map {k: s, -7: r} as m from w where k is not null) x order by id",
    "select map([i, j], [r, s]) as m from w where i <> j order by id",
    "select len([i]), len(case when k > 3 then [i, j] end), array_length([1, 2, 3]) from w order by id",
    "select struct_pack(a := i, b := [s]) as x, struct_extract({'q': r}, 'q') as y from w where id < 3000 order by id",
    "select list_contains([i, j, 5], k), list_contains([s, 'a'], r), list_contains([i], null) from w order by id",
    "select [i] || [j, k] as l from w order by id",
    # nulls at every level, branches
    "select case when k > 3 then {'a': i} when k > 1 then {'a': j} end as x from w order by id",
    "select case when k > 3 then [i, j] when k = 2 then [] else [k] end as x, coalesce(case when k = 1 then [s] end, [r]) as y from w order by id",
    "select case when k > 3 then map {'a': [i]} end as x from w order by id",
    "select st.a, st is null, st.a is null from (select id, case when k > 2 then {'a': i, 'b': [s]} end as st from w) x order by id",
    "select l[1].a, l[2].b[1] from (select id, [{'a': i, 'b': [s]}, {'a': k, 'b': [r, s]}] as l from w where j > 0) x order by id",
    "select st.m['k'].z from (select id, {'m': map {'k': {'z': f}}} as st from w) x order by id",
    # comparisons
    "select count(*) from w where {'a': i, 'b': s} = {'a': 3, 'b': 'ab'}",
    "select count(*) from w where [i, j] = [j, i]", "select count(*) from w where [i, k] <> [k, i]",
    "select count(*) from w where [i] is distinct from [j]", "select count(*) from w where [i] is not distinct from [null]",
    "select count(*) from w where [k] in ([1], [2])", "select count(*) from w where [k, 1] not in ([1, 1], [2, 2])",
    "select count(*) from w where [k, i] < [3, 0]", "select count(*) from w where {'x': k, 'y': s} >= {'x': 3, 'y': 'a'}",
    "select count(*) from w where (case when k > 2 then [i] end) is null",
    # casts, unions, values
    "select cast({'a': i, 'b': k} as struct(a bigint, b varchar)) as x, [i, j]::double[] as y from w order by id",
    "select map {'a': i}::map(varchar, decimal(18, 2)) as m from w order by id",
    "select [1, 2]::varchar[] as x, try_cast(['1', 'x'] as int[]) as y",
    "select * from (select [k] as l from w where id < 10 union all select [f] from w where id < 10) x order by l[1]",
    "select * from (values ({'a': 1, 'b': 'x'}, [1]), ({'a': null, 'b': 'y'}, []), (null, null)) t(st, l)",
    "select id, st from (select id, {'a': i, 'l': [s, r]} as st from w) x where st.a > 0 and st.l[2] like 'run 1%' order by id",
    "select x.st.k, count(*), sum(x.st.i) from (select {'k': k, 'i': i} as st from w) x group by x.st.k order by 1",
    "select l[2] as x from (select id, [i, j] as l from w) y order by l[2], id",
]

# What fails, and a word of the message.
ERRORS = [
    ("select [1] + 1", "integer[]"), ("select {'a': 1}.b", "there is no field \"b\""), ("select i.x from w", "\"i\""),
    ("select i[1] from w", "integer has no elements"), ("select map {'a': 1, 'a': 2}", "twice"), ("select map {null: 1}", "null"),
    ("select map([1], [1, 2])", "1 keys and 2 values"), ("select [1, 'x']", "integer"), ("select [[1], 2]", "integer[]"),
    ("select {'a': 1}::struct(b int)", "cast"), ("select ['x']::int[]", "x"), ("select sum([1])", "sum"),
    ("select {'a': 1, 'a': 2}", "two fields"), ("select len(1)", "len"),
]


def plain(x, t):
    """A value for comparing: floats by their bits, maps as sorted pairs."""
    if x is None:
        return None
    if pa.types.is_struct(t):
        return {t.field(i).name: plain(x[t.field(i).name], t.field(i).type) for i in range(t.num_fields)}
    if pa.types.is_map(t):
        return [(plain(k, t.key_type), plain(v, t.item_type)) for k, v in x]
    if pa.types.is_list(t):
        return [plain(v, t.value_type) for v in x]
    if isinstance(x, float):
        return "nan" if math.isnan(x) else 0.0 if x == 0 else x
    if isinstance(x, (int, decimal.Decimal)) and not isinstance(x, bool):
        return decimal.Decimal(x)
    return x


def rows(table):
    return [[plain(x, table.schema.field(i).type) for i, x in enumerate(r)] for r in zip(*(c.to_pylist() for c in table.columns))]


@pytest.fixture(scope="module")
def sides(tmp_path_factory):
    folder = tmp_path_factory.mktemp("nested")
    lake = Lake(folder / "lake")
    con = sql_data.make_tables(lake, folder)
    with Session(lake.path) as s:
        yield s, con


def test_answers(sides):
    session, con = sides
    found = []
    for query in QUERIES:
        mine, theirs = query if isinstance(query, tuple) else (query, query)
        try:
            table = session.query(mine)
        except FrazilError as e:
            found.append(f"{mine}\n  {e}")
            continue
        table.validate(full=True)
        got, want = rows(table), rows(con.sql(theirs).to_arrow_table())
        if len(got) != len(want):
            found.append(f"{mine}\n  {len(got)} rows, DuckDB has {len(want)}")
            continue
        wrong = [(i, a, b) for i, (a, b) in enumerate(zip(got, want)) if a != b]
        if wrong:
            found.append(f"{mine}\n  {len(wrong)} rows differ; row {wrong[0][0]}: frazil {wrong[0][1]}\n  DuckDB {wrong[0][2]}")
    assert not found, f"{len(found)} queries differ\n\n" + "\n\n".join(found)


def test_errors(sides):
    session, _ = sides
    for query, word in ERRORS:
        with pytest.raises(FrazilError, match=None) as e:
            session.query(query)
        assert word in str(e.value), f"{query}: {e.value}"


def test_types_as_arrow(sides):
    session, _ = sides
    t = session.query("select {'a': 1::bigint, 'b': [date '2020-01-01']} as st, map {'k': 1.5} as m, [] as e, [{'x': null}] as n")
    assert t.schema.field("st").type == pa.struct([pa.field("a", pa.int64()), pa.field("b", pa.list_(pa.field("element", pa.date32())))])
    assert t.schema.field("m").type == pa.map_(pa.string(), pa.decimal128(2, 1))
    assert t.schema.field("e").type == pa.list_(pa.field("element", pa.string()))
    assert t.to_pylist() == [{"st": {"a": 1, "b": [datetime.date(2020, 1, 1)]}, "m": [("k", decimal.Decimal("1.5"))], "e": [], "n": [{"x": None}]}]


def test_tables_of_nested_columns(tmp_path):
    """Written, read, read in part, and shown."""
    lake = Lake(tmp_path / "lake")
    lake.run("sql", "create table t (id int, st struct(a bigint, b varchar, n struct<x: int, y: date>), l list(int), m map<text, double>);"
             "insert into t values (1, {'a': 1, 'b': 'x''y', 'n': {'x': 2, 'y': '2020-01-01'}}, [1, null], map {'k': 1.5}), (2, null, null, null),"
             "(3, {'b': 'z', 'a': null, 'n': null}, [], map {})")
    assert lake.sql("select * from t") == [
        ["1", "{'a': 1, 'b': 'x''y', 'n': {'x': 2, 'y': 2020-01-01}}", "[1, NULL]", "{'k'=1.5}"], ["2", "", "", ""],
        ["3", "{'a': NULL, 'b': 'z', 'n': NULL}", "[]", "{}"]]
    out = lake.run("sql", "select st, l, m from t where id <> 2", "--format", "json").stdout.splitlines()
    assert out == ['{"st":{"a":1,"b":"x\'y","n":{"x":2,"y":"2020-01-01"}},"l":[1,null],"m":{"k":1.5}}',
                   '{"st":{"a":null,"b":"z","n":null},"l":[],"m":{}}']
    # only the fields that are used are read, also those of the condition
    query = "select st.n.y, id from t where st.b like 'x%'"
    assert lake.sql(query) == [["2020-01-01", "1"]]
    assert "st(b, n(y))" in lake.run("sql", "explain " + query).stdout
    assert lake.sql("select sum(st.a), count(st.n.x), max(st.b) from t") == [["1", "1", "z"]]
    assert lake.sql("select st.a, st from t where st.b = 'z'") == [["", "{'a': NULL, 'b': 'z', 'n': NULL}"]]
    assert lake.sql("select x.st.b, y.st.n.x from t x join t y using (id) order by id") == [["x'y", "2"], ["", ""], ["z", ""]]
    r = lake.run("sql", "insert into t (id, st) values (4, {'a': 1, 'q': 2})", check=False)
    assert r.returncode == 1 and "struct" in r.stderr
