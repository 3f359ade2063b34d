"""The ADBC driver under the driver manager from PyPI: DB-API, data of all types, ingest, transactions, partitions in processes, and what
pandas and Polars do with it."""
import concurrent.futures, datetime as dt, decimal, os, resource

import adbc_driver_manager
import adbc_driver_manager.dbapi as dbapi
import pyarrow as pa
import pytest

from conftest import Lake, ROOT

DRIVER = os.path.join(os.environ.get("FRAZIL_BUILD") or os.path.join(ROOT, "build"), "libfrazil.so")


def connect(path, autocommit=True):
    return dbapi.connect(driver=DRIVER, db_kwargs={"uri": str(path)}, autocommit=autocommit)


@pytest.fixture
def lake(tmp_path):
    return Lake(tmp_path / "lake")


def values(con, sql, *params):
    with con.cursor() as cur:
        cur.execute(sql, *params)
        return cur.fetchall()


def test_parameters_and_results(lake):
    with connect(lake.path) as con, con.cursor() as cur:
        cur.execute("SELECT 1 AS one, 'x' AS x, NULL AS nothing")
        assert [c[0] for c in cur.description] == ["one", "x", "nothing"]
        assert cur.fetchone() == (1, "x", None) and cur.fetchone() is None
        cur.execute("CREATE TABLE t (i bigint, s text, d date, ts timestamp, f double precision, b boolean, n decimal(9, 2))")
        rows = [(1, "a", dt.date(2020, 2, 29), dt.datetime(2020, 1, 1, 12, 30, 0, 123456), 1.5, True, decimal.Decimal("12.34")),
                (2, None, None, None, None, None, None)]
        cur.executemany("INSERT INTO t VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
        assert values(con, "SELECT * FROM t ORDER BY i") == rows
        assert values(con, "SELECT s FROM t WHERE d = $1 AND i = $2", (dt.date(2020, 2, 29), 1)) == [("a",)]
        assert values(con, "SELECT count(*) FROM t.snapshots") == [(1,)]
        with pytest.raises(adbc_driver_manager.ProgrammingError) as e:
            cur.execute("SELECT * FROM nowhere")
        assert e.value.sqlstate == "42P01" and ("frazil.column", b"15") in [(k.decode() if isinstance(k, bytes) else k, v) for k, v in e.value.details]
        with pytest.raises(adbc_driver_manager.NotSupportedError):
            cur.execute("DELETE FROM t")


COLUMNS = {
    "i8": pa.array([1, -2, None], pa.int8()), "u16": pa.array([1, 65535, None], pa.uint16()), "i32": pa.array([1, -2, None], pa.int32()),
    "i64": pa.array([1, -2**63, None], pa.int64()), "u64": pa.array([1, 2**64 - 1, None], pa.uint64()),
    "f32": pa.array([1.5, float("inf"), None], pa.float32()), "f64": pa.array([1.5, -0.0, None], pa.float64()),
    "dec": pa.array([decimal.Decimal("1.23"), decimal.Decimal("-9.99"), None], pa.decimal128(20, 2)),
    "s": pa.array(["", "äöü", None]), "ls": pa.array(["a", "b", None], pa.large_string()), "sv": pa.array(["a", "b" * 100, None], pa.string_view()),
    "dict": pa.array(["x", "x", None]).dictionary_encode(), "bin": pa.array([b"", b"\0\1", None]),
    "d": pa.array([dt.date(1, 1, 1), dt.date(9999, 12, 31), None]), "t": pa.array([dt.time(1, 2, 3, 4), dt.time(0), None], pa.time64("us")),
    "ts": pa.array([dt.datetime(1970, 1, 1), dt.datetime(2262, 1, 1), None], pa.timestamp("ms")),
    "tz": pa.array([dt.datetime(1970, 1, 1, tzinfo=dt.timezone.utc), None, None], pa.timestamp("us", "Europe/Berlin")),
    "list": pa.array([[1, None], [], None], pa.list_(pa.int32())), "struct": pa.array([{"a": 1, "b": "x"}, {"a": None, "b": None}, None]),
    "map": pa.array([[("k", 1)], [], None], pa.map_(pa.string(), pa.int64())),
}


def test_ingest_of_all_types_read_by_pyiceberg(lake):
    data = pa.table(COLUMNS)
    with connect(lake.path) as con, con.cursor() as cur:
        assert cur.adbc_ingest("t", data, mode="create") == 3
        ours = values(con, "SELECT * FROM t")
        cur.execute("SELECT * FROM t")
        table = cur.fetch_arrow_table()
        assert table.schema.names == data.schema.names
        theirs = lake.table("t").scan().to_arrow()
        assert theirs.to_pylist() == table.to_pylist()
        assert len(ours) == 3
        for name in ("i8", "i64", "u64", "f64", "dec", "s", "sv", "dict", "bin", "d", "t", "ts", "list", "struct", "map"):
            assert [int(v) if name == "u64" and v is not None else v for v in table[name].to_pylist()] == data[name].to_pylist(), name
        with pytest.raises(adbc_driver_manager.NotSupportedError) as e:
            cur.adbc_ingest("no", pa.table({"x": pa.array([1], pa.duration("s"))}), mode="create")
        assert "x" in str(e.value)
        assert con.adbc_get_objects(depth="tables").read_all()["catalog_db_schemas"][0].as_py()[0]["db_schema_tables"][0]["table_name"] == "t"


def test_ingest_modes_and_streams(lake):
    def batches():
        for i in range(50):
            yield pa.record_batch({"a": pa.array(range(i * 1000, i * 1000 + 1000))})
    schema = pa.schema({"a": pa.int64()})
    with connect(lake.path) as con, con.cursor() as cur:
        assert cur.adbc_ingest("big", pa.RecordBatchReader.from_batches(schema, batches()), mode="create") == 50000
        assert values(con, "SELECT count(*), sum(a) FROM big") == [(50000, sum(range(50000)))]
        with pytest.raises(adbc_driver_manager.Error):
            cur.adbc_ingest("big", pa.table({"a": [1]}), mode="create")
        cur.adbc_ingest("big", pa.table({"a": [-1]}), mode="append")
        cur.adbc_ingest("big", pa.table({"a": [-2]}), mode="create_append")
        assert values(con, "SELECT a FROM big WHERE a < 0 ORDER BY a") == [(-2,), (-1,)]
        cur.adbc_ingest("big", pa.table({"other": ["x"]}), mode="replace")
        assert values(con, "SELECT * FROM big") == [("x",)]

        def broken():
            yield pa.record_batch({"a": pa.array([1])})
            raise ValueError("the source broke half way")
        with pytest.raises(adbc_driver_manager.Error) as e:
            cur.adbc_ingest("half", pa.RecordBatchReader.from_batches(schema, broken()), mode="create")
        assert "the source broke half way" in str(e.value)
        with pytest.raises(adbc_driver_manager.ProgrammingError):
            cur.execute("SELECT * FROM half")
        assert [f for f in os.listdir(os.path.join(lake.path, "warehouse")) if f.startswith("half")] == [] or \
            not [f for _, _, fs in os.walk(os.path.join(lake.path, "warehouse", "default", "half")) for f in fs]


def test_transactions(lake):
    with connect(lake.path) as other, connect(lake.path, autocommit=False) as con, con.cursor() as cur:
        cur.execute("CREATE TABLE a (x bigint)")
        cur.execute("CREATE TABLE b (x bigint)")
        cur.execute("INSERT INTO a VALUES (1)")
        assert values(con, "SELECT * FROM a") == [(1,)]
        with pytest.raises(adbc_driver_manager.ProgrammingError):
            values(other, "SELECT * FROM a")
        con.commit()
        assert values(other, "SELECT * FROM a") == [(1,)]
        cur.execute("INSERT INTO a VALUES (2)")
        cur.execute("INSERT INTO b VALUES (2)")
        con.rollback()
        assert values(con, "SELECT count(*) FROM a") == [(1,)]
        con.rollback()
        cur.execute("INSERT INTO a VALUES (3)")
        cur.execute("INSERT INTO b VALUES (3)")
        lake.table("a").append(pa.table({"x": [4]}))  # PyIceberg commits meanwhile
        con.commit()
        assert sorted(lake.table("a").scan().to_arrow()["x"].to_pylist()) == [1, 3, 4]
        assert values(other, "SELECT * FROM b") == [(3,)]
        cur.execute("INSERT OVERWRITE a SELECT x FROM a WHERE x > 1")
        lake.table("a").append(pa.table({"x": [5]}))
        with pytest.raises(adbc_driver_manager.OperationalError) as e:
            con.commit()
        assert e.value.sqlstate == "40001"
        assert values(other, "SELECT count(*) FROM a") == [(4,)]


def test_a_catalog_by_its_name(tmp_path, monkeypatch):
    os.makedirs(tmp_path / "warehouse")
    monkeypatch.setenv("PYICEBERG_CATALOG__PROD__TYPE", "sql")
    monkeypatch.setenv("PYICEBERG_CATALOG__PROD__URI", f"sqlite:///{tmp_path}/prod.db")
    from pyiceberg.catalog import load_catalog
    theirs = load_catalog("prod", type="sql", uri=f"sqlite:///{tmp_path}/prod.db", warehouse=f"file://{tmp_path}/warehouse")
    theirs.create_namespace("crm")
    theirs.create_table("crm.c", pa.schema({"x": pa.int64()})).append(pa.table({"x": [7]}))
    kwargs = {"uri": "prod", "warehouse": f"file://{tmp_path}/warehouse"}  # what is no option of the lake is a property of the catalog
    with dbapi.connect(driver=DRIVER, db_kwargs=kwargs, autocommit=True) as con, con.cursor() as cur:
        assert con.adbc_current_catalog == "prod"
        assert values(con, "SELECT * FROM crm.c") == [(7,)]
        con.adbc_current_db_schema = "crm"
        cur.adbc_ingest("d", pa.table({"y": [1]}), catalog_name="prod")
        assert con.adbc_get_objects(depth="tables", catalog_filter="pr%").read_all()["catalog_db_schemas"][0].as_py()[0]["db_schema_name"] == "crm"
    assert theirs.load_table("crm.d").scan().to_arrow()["y"].to_pylist() == [1]


def read_part(args):
    path, part = args
    with connect(path) as con, con.cursor() as cur:
        cur.adbc_read_partition(part)
        t = cur.fetch_arrow_table()
        return t.num_rows, sum(t["x"].to_pylist())


def test_partitions_in_processes(lake):
    n = 1_000_000
    with connect(lake.path) as con, con.cursor() as cur:
        cur.adbc_ingest("t", pa.table({"x": pa.array(range(n))}), mode="create")
        cur.adbc_statement.set_options(**{"frazil.partitions": 4})
        parts, schema = cur.adbc_execute_partitions("SELECT x FROM t WHERE x % 3 = 0")
        assert len(parts) == 4 and schema.names == ["x"]
        cur.execute("INSERT INTO t VALUES (3)")  # isn't in the snapshot that is pinned
    with concurrent.futures.ProcessPoolExecutor(2) as pool:
        got = list(pool.map(read_part, [(lake.path, p) for p in parts]))
    assert all(rows > 0 for rows, _ in got)
    assert sum(rows for rows, _ in got) == len(range(0, n, 3)) and sum(s for _, s in got) == sum(range(0, n, 3))


def test_pandas_and_polars(lake):
    import pandas as pd
    import polars as pl
    with connect(lake.path) as con:
        df = pd.DataFrame({"k": [1, 2, 3], "v": ["a", "b", None]})
        df.to_sql("t", con, index=False)
        with pytest.raises(ValueError):
            df.to_sql("t", con, index=False)
        df.to_sql("t", con, index=False, if_exists="append")
        back = pd.read_sql("SELECT k, count(*) AS n FROM t GROUP BY k ORDER BY k", con)
        assert back["n"].tolist() == [2, 2, 2]
        df.to_sql("t", con, index=False, if_exists="replace")
        assert pl.read_database("SELECT * FROM t ORDER BY k", con).rows() == [(1, "a"), (2, "b"), (3, None)]


def test_nothing_leaks(lake):
    with connect(lake.path) as con, con.cursor() as cur:
        cur.adbc_ingest("t", pa.table({"x": [1, 2, 3]}), mode="create")

    def rounds(n):
        for _ in range(n):
            with connect(lake.path) as con, con.cursor() as cur:
                cur.execute("SELECT sum(x) FROM t WHERE x > ?", (1,))
                assert cur.fetchall() == [(5,)]
                with pytest.raises(adbc_driver_manager.Error):
                    cur.execute("SELECT * FROM nothing")
    rounds(200)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    rounds(1500)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 12 * 1024  # KiB
