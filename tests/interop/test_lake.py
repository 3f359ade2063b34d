"""Tables written here are read by others, tables written by others are read here; values are compared exactly."""
import datetime as dt, decimal, glob, math, os, struct, subprocess

import pyarrow as pa
import pyarrow.csv
import pytest

D = decimal.Decimal


def as_rows(t):
    return list(zip(*[c.to_pylist() for c in t.columns])) if t.num_columns else []


def text(v):
    """A value as frazil's CSV output shows it."""
    if v is None:
        return ""
    if isinstance(v, bool):
        return "true" if v else "false"
    if isinstance(v, float):
        if math.isnan(v):
            return "NaN"
        if math.isinf(v):
            return "Infinity" if v > 0 else "-Infinity"
        return repr(v)
    if isinstance(v, bytes):
        return "\\x" + v.hex()
    return str(v)


def test_trade_is_read_by_everybody(lake, trade_csv):
    lake.load(trade_csv, "trade")
    want = pyarrow.csv.read_csv(trade_csv)
    got = lake.table("trade").scan().to_arrow()
    assert got.column_names == want.column_names
    assert got.cast(want.schema).equals(want)  # also the order of rows

    import polars as pl
    frame = pl.scan_iceberg(lake.table("trade")).collect()
    assert frame.to_arrow().cast(want.schema).equals(want)

    import duckdb
    files = glob.glob(lake.path + "/warehouse/**/*.parquet", recursive=True)
    assert duckdb.sql(f"select count(*), sum(Value), sum(Q2), min(hs9), max(hs9) from read_parquet({files})").fetchall()[0] == \
        tuple(int(x) for x in lake.sql("SELECT count(*), sum(Value), sum(Q2), min(hs9), max(hs9) FROM trade")[0])


def test_duckdb_iceberg_reads_it(lake, trade_csv):
    python = os.environ.get("FRAZIL_DUCKDB_PYTHON", ".venv/duckdb-iceberg/bin/python")
    if not os.path.exists(python):
        pytest.skip("no environment with DuckDB's Iceberg extension")
    lake.load(trade_csv, "trade", "--partition-by", "exp_imp, bucket(4, hs9)")
    location = lake.table("trade").metadata_location
    r = subprocess.run([python, "-c", f"""
import duckdb
from duckdb_extensions import import_extension
for e in ("avro", "httpfs", "iceberg"): import_extension(e)
c = duckdb.connect()
for e in ("avro", "httpfs", "iceberg"): c.execute("LOAD " + e)
print(*c.execute("select count(*), sum(Value), sum(Q1) from iceberg_scan('{location}')").fetchone())
"""], capture_output=True, text=True)
    assert r.returncode == 0, r.stderr
    assert r.stdout.split() == lake.sql("SELECT count(*), sum(Value), sum(Q1) FROM trade")[0]


def test_report_equals_polars(lake, trade_csv):
    import polars as pl
    lake.load(trade_csv, "trade")
    got = lake.sql("SELECT ym, sum(Value) AS Value FROM trade WHERE exp_imp = 1 GROUP BY ym ORDER BY ym")
    want = pl.read_csv(trade_csv).filter(pl.col("exp_imp") == 1).group_by("ym").agg(pl.col("Value").sum()).sort("ym")
    assert [[str(a), str(b)] for a, b in want.iter_rows()] == got


ALL_TYPES = pa.schema([
    ("b", pa.bool_()), ("i", pa.int32()), ("l", pa.int64()), ("f", pa.float32()), ("d", pa.float64()), ("d9", pa.decimal128(9, 2)),
    ("d18", pa.decimal128(18, 4)), ("d38", pa.decimal128(38, 10)), ("dt", pa.date32()), ("t", pa.time64("us")), ("ts", pa.timestamp("us")),
    ("tz", pa.timestamp("us", tz="UTC")), ("s", pa.string()), ("bin", pa.binary()), ("fx", pa.binary(5)), ("u", pa.binary(16)), ("n", pa.int32())])


def all_types_table(n):
    def col(f):
        return [None if i % 7 == 3 else f(i) for i in range(n)]
    day = dt.date(1969, 12, 28)
    ts = dt.datetime(1969, 12, 31, 23, 59, 59, 999990)
    return pa.table([
        col(lambda i: i % 3 == 0), col(lambda i: (i * 2654435761) % 2**32 - 2**31), col(lambda i: (i * 6364136223846793005) % 2**64 - 2**63),
        col(lambda i: [0.5, -0.0, float("inf"), 3.25, -1e30][i % 5] if i % 11 else float("nan")),
        col(lambda i: [0.1, -0.0, float("-inf"), 1e300, 5e-324][i % 5] if i % 13 else float("nan")),
        col(lambda i: D(i * 7919 % 10**9 - 5 * 10**8).scaleb(-2)), col(lambda i: D((i * 10**13 + i) % 10**18 - 5 * 10**17).scaleb(-4)),
        col(lambda i: decimal.Context(prec=60).create_decimal((i * 10**33 + 7 * i) % 10**38 - 5 * 10**37).scaleb(-10, decimal.Context(prec=60))),
        col(lambda i: day + dt.timedelta(days=i * 37)), col(lambda i: (dt.datetime.min + dt.timedelta(microseconds=i * 86399999 % 86400000000)).time()),
        col(lambda i: ts + dt.timedelta(microseconds=i * 1234567)),
        col(lambda i: (ts + dt.timedelta(hours=i)).replace(tzinfo=dt.timezone.utc)),
        col(lambda i: ["", "a", "zwölf Boxkämpfer", "日本" * (i % 9), "x" * (i % 40)][i % 5]), col(lambda i: bytes([i % 256] * (i % 20))),
        col(lambda i: bytes([i % 256, 1, 2, 3, 255])), col(lambda i: bytes([i % 256] * 16)), col(lambda i: i * 37 % 1001 - 500)], schema=ALL_TYPES)


@pytest.mark.parametrize("n", [1, 1000, 30000])
def test_reads_what_pyiceberg_wrote(lake, n):
    want = all_types_table(n)
    c = lake.catalog()
    c.create_namespace("default")
    c.create_table("default.t", schema=want.schema).append(want)
    got = lake.sql("SELECT * FROM t")
    assert len(got) == n
    for name, i in zip(want.column_names, range(want.num_columns)):
        column = [r[i] for r in got]
        values = want[name].to_pylist()
        if name in ("f", "d"):  # compared as numbers: shortest texts may be written in two ways
            for a, b in zip(column, values):
                assert (a == "" and b is None) or float(a) == b or (name == "f" and struct.pack("f", float(a)) == struct.pack("f", b)) or (math.isnan(float(a)) and math.isnan(b)), (name, a, b)
        elif name in ("dt", "t", "ts", "tz", "d9", "d18", "d38", "i", "l", "b", "s"):
            for a, b in zip(column, values):
                if b is None:
                    assert a == ""
                elif name.startswith("d") and name != "dt":
                    assert D(a) == b
                elif name == "ts" or name == "tz":
                    assert dt.datetime.fromisoformat(a.replace("+00", "+00:00")) == b
                elif name == "t":
                    assert dt.time.fromisoformat(a) == b
                else:
                    assert a == text(b), name
    assert lake.one("SELECT count(*) FROM t WHERE u IS NULL AND fx IS NULL") == str(sum(1 for i in range(n) if i % 7 == 3))


def test_copy_of_all_types_is_equal_for_pyiceberg(lake):
    want = all_types_table(5000)
    c = lake.catalog()
    c.create_namespace("default")
    c.create_table("default.t", schema=want.schema).append(want)
    lake.sql("CREATE TABLE copy AS SELECT * FROM t")
    got = c.load_table("default.copy").scan().to_arrow()
    assert got.cast(want.schema).equals(want) or as_text(got.cast(want.schema)) == as_text(want)


def as_text(t):
    return [[repr(v) for v in c.to_pylist()] for c in t.columns]


@pytest.mark.parametrize("spec", ["l", "bucket(8, l)", "bucket(5, s)", "truncate(3, s)", "truncate(10, n)", "year(ts)", "month(ts)", "day(ts)",
                                  "hour(tz)", "month(dt)", "b, bucket(3, d9)", "bucket(4, u)", "truncate(2, bin)", "dt", "d18", "bucket(7, ts)"])
def test_partitions_agree_with_pyiceberg(lake, spec):
    want = all_types_table(300)
    c = lake.catalog()
    c.create_namespace("default")
    c.create_table("default.src", schema=want.schema).append(want)
    lake.sql(f"CREATE TABLE p PARTITIONED BY ({spec}) AS SELECT * FROM src")
    t = c.load_table("default.p")
    assert sorted(as_rows_text(t.scan().to_arrow())) == sorted(as_rows_text(want))
    # PyIceberg, writing the same rows into the same partition spec, makes the same partitions.
    t2 = c.create_table("default.q", schema=t.schema(), partition_spec=t.spec())
    t2.append(want)

    def parts(x):
        p = x.inspect.partitions()
        return sorted((repr(r["partition"]), r["record_count"]) for r in p.to_pylist())
    assert parts(c.load_table("default.p")) == parts(c.load_table("default.q"))
    # and frazil reads PyIceberg's partitioned table.
    assert lake.one("SELECT count(*) FROM q") == "300"


def as_rows_text(t):
    return [tuple(repr(v) for v in row) for row in as_rows(t)]


def test_pruning_never_loses_a_row(lake):
    want = all_types_table(3000)
    c = lake.catalog()
    c.create_namespace("default")
    c.create_table("default.src", schema=want.schema).append(want)
    lake.sql("CREATE TABLE p PARTITIONED BY (month(dt), bucket(4, l)) AS SELECT * FROM src")
    for where in ["dt = DATE '1975-03-01'", "dt < DATE '1970-01-01'", "dt >= DATE '2100-01-01' OR i < 0", "l = -9223372036854775808", "s LIKE 'zw%'",
                  "s = ''", "i IN (1, 2, 3)", "NOT (i > 0)", "d9 BETWEEN -100 AND 100", "f <> f", "d > 1e299", "b", "NOT b", "ts < TIMESTAMP '1970-01-01 00:00:00'",
                  "dt IS NULL", "dt IS NOT NULL AND l > 0", "i < 1000 AND dt > DATE '1990-01-01'"]:
        assert lake.one(f"SELECT count(*) FROM p WHERE {where}") == lake.one(f"SELECT count(*) FROM src WHERE {where}"), where
        assert lake.one(f"SELECT count(*) FROM p WHERE {where}") == lake.one(f"SELECT sum(CASE WHEN {where} THEN 1 ELSE 0 END) FROM src"), where


def test_both_append_to_one_table(lake):
    lake.sql("CREATE TABLE t (id bigint, v varchar)")
    for i in range(3):
        lake.sql(f"INSERT INTO t VALUES ({2 * i}, 'frazil')")
        lake.table("t").append(pa.table({"id": pa.array([2 * i + 1], pa.int64()), "v": ["pyiceberg"]}))
    assert [r[0] for r in lake.sql("SELECT id FROM t ORDER BY id")] == [str(i) for i in range(6)]
    assert sorted(lake.table("t").scan().to_arrow()["id"].to_pylist()) == list(range(6))
    assert [s.summary.operation.value for s in lake.table("t").snapshots()] == ["append"] * 6


def test_replace_keeps_history(lake, tmp_path):
    (tmp_path / "a.csv").write_text("x,y\n1,a\n2,b\n")
    (tmp_path / "b.csv").write_text("x,y\n9,z\n")
    lake.load(tmp_path / "a.csv", "t")
    lake.load(tmp_path / "b.csv", "t", "--replace")
    assert lake.sql("SELECT * FROM t") == [["9", "z"]]
    t = lake.table("t")
    assert len(t.snapshots()) == 2
    assert t.scan(snapshot_id=t.snapshots()[0].snapshot_id).to_arrow()["x"].to_pylist() == [1, 2]
    assert lake.one(f"SELECT count(*) FROM t VERSION AS OF {t.snapshots()[0].snapshot_id}") == "2"


def test_summaries_are_what_pyiceberg_would_write(lake):
    lake.sql("CREATE TABLE t (id bigint)")
    lake.sql("INSERT INTO t VALUES (1), (2), (3)")
    lake.sql("INSERT INTO t VALUES (4)")
    s = lake.table("t").current_snapshot().summary
    assert s["added-records"] == "1" and s["total-records"] == "4" and s["added-data-files"] == "1" and s["total-data-files"] == "2"
    assert int(s["added-files-size"]) > 0 and int(s["total-files-size"]) > int(s["added-files-size"])


def test_many_partitions_in_one_load(lake, tmp_path):
    path = tmp_path / "many.csv"
    with open(path, "w") as f:
        f.write("k,v\n")
        for i in range(40000):
            f.write(f"{i * 7919 % 2000},{i}\n")
    lake.load(path, "t", "--partition-by", "k", "--memory-limit", "256M")
    t = lake.table("t").scan().to_arrow()
    assert t.num_rows == 40000
    assert sorted(t["v"].to_pylist()) == list(range(40000))
    assert lake.one("SELECT count(*) FROM t WHERE k = 77") == "20"
    assert [r[0] for r in lake.sql("SELECT v FROM t WHERE k = 77")] == [str(i) for i in range(40000) if i * 7919 % 2000 == 77]


def test_unsupported_things_are_refused_by_name(lake):
    for sql, what in (("UPDATE t SET k = 1", "UPDATE"), ("DELETE FROM t", "DELETE"), ("MERGE INTO t USING u ON true WHEN MATCHED THEN DELETE", "MERGE"),
                      ("SELECT * FROM t FULL JOIN u ON t.k = u.k", "FULL"), ("SELECT sum(k) OVER () FROM t", "OVER"),
                      ("CREATE TABLE v (k int) WITH ('format-version' = '3')", "3"), ("SELECT * FROM 'x.orc'", "ORC")):
        lake.run("sql", "CREATE TABLE IF NOT EXISTS t (k int); CREATE TABLE IF NOT EXISTS u (k int)")
        r = lake.run("sql", sql, check=False)
        assert r.returncode != 0 and what.lower() in r.stderr.lower(), (sql, r.stderr)
    assert lake.one("SELECT count(*) FROM t") == "0"
