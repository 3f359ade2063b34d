"""Statements, results, relations."""

import asyncio
import datetime as dt
import decimal
import threading
import uuid

import pytest

import frazil


def test_statements_and_results(lake):
    assert repr(lake.sql("create table t (a int, b text)")) == "CREATE TABLE"
    assert repr(lake.sql("insert into t values (1, 'x'), (2, null)")) == "INSERT, 2 rows"
    r = lake.sql("select * from t order by a")
    assert r.columns == ["a", "b"] and r.types == ["integer", "text"] and r.tag == "SELECT"
    assert r.fetchall() == [(1, "x"), (2, None)]
    assert r.fetchall() == [(1, "x"), (2, None)], "a relation can be read again"
    assert [r.fetchone(), r.fetchone(), r.fetchone()] == [(1, "x"), (2, None), None]
    assert r.dicts() == [{"a": 1, "b": "x"}, {"a": 2, "b": None}]
    assert lake.tables() == ["default.t"]
    assert lake.table("t").count() == 2
    assert lake.sql("").tag == ""
    assert lake.sql("insert into t values (3, 'y'); select count(*) from t").fetchall() == [(3,)]
    with pytest.raises(TypeError, match="INSERT has no rows"):
        lake.sql("insert into t values (4, 'z')").fetchall()


def test_the_first_reading_is_of_the_state_when_it_was_asked(lake):
    lake.sql("create table t as select 1 as a")
    r = lake.sql("select * from t")
    lake.sql("insert into t values (2)")
    assert r.fetchall() == [(1,)]
    assert len(r.fetchall()) == 2


VALUES = [
    True, 0, -(2**63), 2**63 - 1, 10**30, 1.5, float("inf"), decimal.Decimal("-12.340"), decimal.Decimal("1E+3"), "", "żółw", b"", b"\0\xff",
    dt.date(1, 1, 1), dt.date(9999, 12, 31), dt.time(23, 59, 59, 999999), dt.datetime(1969, 12, 31, 23, 59, 59, 1),
    dt.datetime(2020, 2, 29, tzinfo=dt.timezone.utc), uuid.UUID(int=1), [1, None, 3], {"a": 1, "b": "x"}, [{"a": [1]}],
]


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_values_survive_as_parameters(lake, value):
    got = lake.sql("select ? as v", [value]).fetchone()[0]
    assert got == value and (type(got) is type(value) or isinstance(value, int))


@pytest.mark.parametrize("value", [v for v in VALUES if not isinstance(v, (list, dict))] + [[1, 2], {"a": 1}], ids=repr)
def test_values_survive_in_tables(lake, value):
    rows = [{"n": 1, "v": value}, {"n": 2, "v": None}, {"n": 3}]
    lake.sql("create table t as select * from rows")
    assert lake.sql("select v from t order by n").fetchall() == [(value,), (None,), (None,)]


def test_parameters(lake):
    assert lake.sql("select $2 || $1", ["a", "b"]).fetchone() == ("ba",)
    assert lake.sql("select ?::int + ?", [1, 2]).fetchone() == (3,)
    assert lake.sql("select * from (values (1), (2)) as t(n) where n = ?", (2,)).fetchall() == [(2,)]
    assert lake.sql("select ? is null", [None]).fetchone() == (True,)
    with pytest.raises(frazil.Error, match="2 parameters, but 1 was given"):
        lake.sql("select ? + ?", [1])
    with pytest.raises(TypeError, match="column 1: a value of type object"):
        lake.sql("select ?", [object()])
    with pytest.raises(TypeError, match="list or tuple"):
        lake.sql("select ?", "x")
    with pytest.raises(OverflowError):
        lake.sql("select ?", [10**38])


def test_relations_compose(lake):
    r = lake.sql("select * from (values (1, 'a'), (2, 'b'), (3, 'b')) as t(n, s) -- with a comment at the end")
    assert r.filter("n > ?", [1]).filter("n < ?", [3]).fetchall() == [(2, "b")]
    assert r.select("n + 1 as m", "s").order("m desc").limit(1).fetchall() == [(4, "b")]
    assert sorted(r.aggregate("sum(n) as v", by="s").fetchall()) == [("a", 1), ("b", 5)]
    assert r.aggregate("max(n)").fetchall() == [(3,)]
    other = lake.sql("select 'b' as s, 10 as k")
    assert sorted(r.join(other, on="s").select("n", "k").fetchall()) == [(2, 10), (3, 10)]
    assert r.join(other, on="l.n > r.k").fetchall() == []
    assert r.join(other, on=["s"], how="left").filter("k is null").select("n").fetchall() == [(1,)]
    assert r.union(r).count() == 6 and r.distinct().count() == 3
    assert lake.sql("select sum(n) from r").fetchall() == [(6,)]
    r.create("made")
    r.insert_into("made")
    assert lake.table("made").count() == 6
    assert lake.sql("show tables").filter("\"table\" = 'made'").count() == 1


def test_parameters_of_composed_relations(lake):
    a = lake.sql("select * from (values (1), (2), (3)) as t(n) where n <> ?", [2])
    b = lake.sql("select * from (values (1), (2), (3)) as t(n) where n <> $1", [1])
    assert a.join(b, on="n").fetchall() == [(3,)]
    assert b.join(a, on="n").fetchall() == [(3,)]
    assert b.filter("n = ?", [3]).fetchall() == [(3,)]


def test_one_name_for_two_frames(lake):
    def first():
        frame = [{"a": 1}]
        return lake.sql("select * from frame")

    def second():
        frame = [{"a": 1, "b": 2}]
        return lake.sql("select * from frame")

    assert first().join(second(), on="a").fetchall() == [(1, 2)]


def test_batches_stream(lake):
    n = {"n": list(range(50_000))}
    lake.sql("create table t as select * from n")
    batches = list(lake.table("t"))
    assert len(batches) > 1 and sum(len(b) for b in batches) == 50_000
    assert [x for b in batches for (x,) in b.rows()] == n["n"]
    r = lake.table("t")
    assert r.fetchmany(10) == [(i,) for i in range(10)]
    assert len(r.fetchall()) == 49_990
    it = iter(lake.table("t"))
    next(it)
    del it


def test_showing(lake):
    r = lake.sql("select * from (values (1, '<b>'), (2, null)) as t(n, s)")
    assert "integer" in repr(r) and repr(r).endswith("2 rows")
    assert "&lt;b&gt;" in r._repr_html_() and "<i>NULL</i>" in r._repr_html_()
    n = {"n": range(10_500)}
    assert repr(lake.sql("select * from n")).endswith("more than 10000 rows")


def test_sql_async(lake):
    async def go():
        n = [{"n": 1}]
        a, b = await asyncio.gather(lake.sql_async("select * from n"), lake.sql_async("select ? as a", [7]))
        return a.fetchall() + b.fetchall()

    assert asyncio.run(go()) == [(1,), (7,)]


SLOW = "select count(*) from n a, n b where a.n * b.n % 7 = 3 and a.n + b.n > 5"


def test_sql_async_is_cancelled(lake):
    async def go():
        n = {"n": range(200_000)}  # noqa: F841
        task = asyncio.create_task(lake.sql_async(SLOW))
        await asyncio.sleep(0.3)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(asyncio.wait_for(go(), 20))


def test_threads_share_a_lake(lake):
    lake.sql("create table t (a int)")
    failed = []

    def work(k):
        try:
            for i in range(5):
                lake.sql("insert into t values (?)", [k])
                assert lake.sql("select count(*) from t where a = ?", [k]).fetchone() == (i + 1,)
        except BaseException as e:
            failed.append(e)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    assert not failed
    assert lake.table("t").count() == 20


def test_a_result_may_be_read_by_another_thread(lake):
    r = lake.sql("select 1 as a")
    got = []
    t = threading.Thread(target=lambda: got.append(r.fetchall()))
    t.start()
    t.join()
    assert got == [[(1,)]]


def test_use_holds_for_later_threads(lake):
    lake.sql("create schema s; create table s.t as select 1 as a; use s")
    got = []
    t = threading.Thread(target=lambda: got.append(lake.sql("select * from t").fetchall()))
    t.start()
    t.join()
    assert got == [[(1,)]]


def test_load(lake, tmp_path):
    f = tmp_path / "f.csv"
    f.write_text("a;b\n1;x\n2;\n")
    assert lake.load(f, "t", delimiter=";", types={"a": "text"}).rows_affected == 2
    assert lake.load([f], "t", delimiter=";", replace=True, types={"a": "text"}).rows_affected == 2
    assert lake.table("t").fetchall() == [("1", "x"), ("2", None)]
    with pytest.raises(frazil.InvalidError, match="colour"):
        lake.load(f, "t", colour="blue")


def test_notices(lake):
    got = []
    lake.on_notice = got.append
    lake.sql("create table t (a smallint)")
    assert got and "smallint" in got[0]
