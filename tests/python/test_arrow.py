"""Arrow both ways: what other packages take and give."""

import pytest

import frazil

pa = pytest.importorskip("pyarrow")
pl = pytest.importorskip("polars")
pd = pytest.importorskip("pandas")


@pytest.fixture
def r(lake):
    rows = [{"n": 1, "s": "a"}, {"n": 2, "s": None}, {"n": 3, "s": "more than twelve bytes"}]
    lake.sql("create table t as select * from rows")
    return lake.sql("select * from t order by n")


def test_to_others(r, lake):
    import duckdb

    want = [(1, "a"), (2, None), (3, "more than twelve bytes")]
    assert r.pl().rows() == want
    assert [tuple(x.values()) for x in r.arrow().to_pylist()] == want
    assert pl.DataFrame(r).rows() == want and pa.table(r).num_rows == 3
    assert r.df()["n"].tolist() == [1, 2, 3]
    assert pa.RecordBatchReader.from_stream(r).read_all().num_rows == 3
    assert r.reader().read_all().num_rows == 3
    assert pa.schema(r).names == ["n", "s"]
    assert duckdb.sql("select * from r order by n").fetchall() == want
    assert pl.DataFrame(lake.sql("select * from t where n > 5")).shape == (0, 2)
    for b in r:
        assert pa.record_batch(b).num_rows == b.arrow().num_rows == b.pl().height == len(b)


def test_to_datafusion(r):
    datafusion = pytest.importorskip("datafusion")
    assert datafusion.SessionContext().from_arrow(r).count() == 3


@pytest.mark.parametrize("t", ["string", "large_string", "string_view"])
def test_requested_schema(r, t):
    t = getattr(pa, t)()
    s = pa.schema([("n", pa.int64()), ("s", t)])
    got = pa.RecordBatchReader.from_stream(r, schema=s).read_all()
    assert got.schema.types == s.types
    got.validate(full=True)
    assert got.column("s").to_pylist() == ["a", None, "more than twelve bytes"]


def test_requested_types_are_cast(r):
    s = pa.schema([("n", pa.int32()), ("s", pa.string())])
    assert pa.RecordBatchReader.from_stream(r, schema=s).read_all().schema.types == s.types
    s = pa.schema([("n", pa.int64()), ("s", pa.int64())])
    with pytest.raises(pa.ArrowInvalid, match="isn't a value of type bigint"):
        pa.RecordBatchReader.from_stream(r, schema=s).read_all()


def test_requested_types_that_cannot_be(r):
    for t in (pa.dictionary(pa.int32(), pa.string()), pa.list_(pa.string()), pa.duration("s")):
        with pytest.raises(ValueError, match="column s"):
            r.__arrow_c_stream__(pa.schema([("n", pa.int64()), ("s", t)]).__arrow_c_schema__())
    with pytest.raises(ValueError, match="2"):
        r.__arrow_c_stream__(pa.schema([("n", pa.int64())]).__arrow_c_schema__())
    assert r.count() == 3


FRAMES = {
    "polars": lambda: pl.DataFrame({"a": [1, 2, None], "b": ["x", None, "z" * 20]}),
    "lazy": lambda: pl.LazyFrame({"a": [1, 2, None], "b": ["x", None, "z" * 20]}),
    "categorical": lambda: pl.DataFrame({"a": [1, 2, None], "b": pl.Series(["x", None, "z" * 20], dtype=pl.Categorical)}),
    "pandas": lambda: pd.DataFrame({"a": pd.array([1, 2, None], dtype="Int64"), "b": ["x", None, "z" * 20]}),
    "pyarrow": lambda: pa.table({"a": [1, 2, None], "b": ["x", None, "z" * 20]}),
    "views": lambda: pa.table({"a": [1, 2, None], "b": pa.array(["x", None, "z" * 20], pa.string_view())}),
    "large": lambda: pa.table({"a": pa.array([1, 2, None], pa.int16()), "b": pa.array(["x", None, "z" * 20], pa.large_string())}),
    "dictionary": lambda: pa.table({"a": [1, 2, None], "b": pa.array(["x", None, "z" * 20]).dictionary_encode()}),
    "batch": lambda: pa.record_batch({"a": [1, 2, None], "b": ["x", None, "z" * 20]}),
    "sliced": lambda: pa.table({"a": [0, 1, 2, None, 4], "b": ["w", "x", None, "z" * 20, ""]}).slice(1, 3),
    "reader": lambda: pa.table({"a": [1, 2, None], "b": ["x", None, "z" * 20]}).to_reader(max_chunksize=2),
    "rows": lambda: [{"a": 1, "b": "x"}, {"a": 2}, {"b": "z" * 20}],
    "columns": lambda: {"a": [1, 2, None], "b": ("x", None, "z" * 20)},
}


@pytest.mark.parametrize("kind", FRAMES)
def test_from_others(lake, kind):
    frame = FRAMES[kind]()
    want = [(1, "x"), (2, None), (None, "z" * 20)]
    r = lake.sql("select * from frame")
    assert r.filter("true").fetchall() == want
    if kind != "reader":
        assert r.fetchall() == want
        assert r.limit(1).fetchall() == want[:1]
    frame = FRAMES[kind]()
    lake.sql("create table t as select * from frame")
    frame = FRAMES[kind]()
    lake.sql("insert into t select * from frame")
    assert lake.table("t").count() == 6


def test_duckdb_relation(lake):
    import duckdb

    rel = duckdb.sql("select 1 as a, 'x' as b")
    assert lake.sql("select * from rel").fetchall() == [(1, "x")]


def test_nested_and_odd_types(lake):
    import datetime as dt
    import decimal

    t = pa.table({
        "l": pa.array([[1, 2], None, []], pa.list_(pa.int8())),
        "s": pa.array([{"x": 1}, {"x": None}, None], pa.struct([("x", pa.uint32())])),
        "m": pa.array([[("k", 1)], [], None], pa.map_(pa.string(), pa.int64())),
        "d": pa.array([decimal.Decimal("1.50"), None, decimal.Decimal("-2.25")], pa.decimal128(20, 2)),
        "ns": pa.array([dt.datetime(2020, 1, 1), None, dt.datetime(1960, 1, 1)], pa.timestamp("ns")),
        "u": pa.array([2**64 - 1, 0, None], pa.uint64()),
        "b": pa.array([b"x", None, b""], pa.large_binary()),
        "t": pa.array([True, None, False]),
    })  # fmt: skip
    got = lake.sql("select * from t").fetchall()
    assert got == [
        ([1, 2], {"x": 1}, {"k": 1}, decimal.Decimal("1.50"), dt.datetime(2020, 1, 1), decimal.Decimal(2**64 - 1), b"x", True),
        (None, {"x": None}, {}, None, None, decimal.Decimal(0), None, None),
        ([], None, None, decimal.Decimal("-2.25"), dt.datetime(1960, 1, 1), None, b"", False),
    ]
    odd = pa.table({"dur": pa.array([1], pa.duration("s"))})  # noqa: F841
    with pytest.raises(frazil.UnsupportedError, match="column dur"):
        lake.sql("select * from odd")


def test_pandas_without_pyarrow(lake):
    class Frame(pd.DataFrame):
        def __arrow_c_stream__(self, requested_schema=None):
            raise ImportError("pyarrow")

    Frame.__module__ = "pandas"
    f = Frame({"a": [1, 2], "t": pd.to_datetime(["2020-01-01", None]), "s": ["x", None], "f": [1.5, float("nan")]})
    import datetime as dt
    import math

    got = lake.sql("select * from f").fetchall()
    assert got[0] == (1, dt.datetime(2020, 1, 1), "x", 1.5)
    assert got[1][:3] == (2, None, None) and math.isnan(got[1][3])


def test_whole_column_types_are_kept(lake):
    big = pl.DataFrame({"a": range(300_000)}).with_columns(pl.col("a").cast(pl.String).cast(pl.Categorical).alias("c"))
    lake.sql("create table big as select * from big")
    assert lake.sql("select sum(a), count(distinct c) from big").fetchone() == (sum(range(300_000)), 300_000)
    assert lake.table("big").pl()["c"].cast(pl.String).equals(big["c"].cast(pl.String))
