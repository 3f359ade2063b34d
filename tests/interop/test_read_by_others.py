"""Tables written here, of every kind, are read by Spark, PyIceberg, DuckDB's Iceberg extension, Polars and PyArrow, and give the same rows.

Spark takes part in the long tests, where scripts/setup --spark was run (or FRAZIL_SPARK_PYTHON names its Python)."""
import datetime as dt, decimal, glob, json, os, random, subprocess, sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import golden
from conftest import ROOT, Lake
from frazil_arrow import Session

SPARK = os.environ.get("FRAZIL_SPARK_PYTHON") or os.path.join(ROOT, ".venv", "spark", "bin", "python")
DUCKDB = os.environ.get("FRAZIL_DUCKDB_PYTHON") or os.path.join(ROOT, ".venv", "duckdb-iceberg", "bin", "python")
UTC = dt.timezone.utc


def flat(n, seed=1):
    """Columns of every flat type, with nulls, and with values that each of our encodings is chosen for."""
    r = random.Random(seed)
    some = lambda make, null=0.1: [None if r.random() < null else make(i) for i in range(n)]
    D = decimal.Decimal
    return pa.table({
        "id": pa.array(range(n), pa.int64()),
        "b": pa.array(some(lambda i: r.random() < 0.3), pa.bool_()),
        "i": pa.array(some(lambda i: r.randrange(-2**31, 2**31)), pa.int32()),
        "seq": pa.array([i * 3 + 7 for i in range(n)], pa.int32()),
        "few": pa.array(some(lambda i: r.randrange(5)), pa.int64()),
        "l": pa.array(some(lambda i: r.randrange(-2**63, 2**63)), pa.int64()),
        "f": pa.array(some(lambda i: r.choice([0.0, -0.0, 1.5, float("inf"), r.random()])), pa.float32()),
        "d": pa.array(some(lambda i: r.choice([float("nan"), -1e300, r.gauss(0, 1), r.random()])), pa.float64()),
        "d9": pa.array(some(lambda i: D(r.randrange(-10**9 + 1, 10**9)).scaleb(-2)), pa.decimal128(9, 2)),
        "d18": pa.array(some(lambda i: D(r.randrange(-10**18 + 1, 10**18)).scaleb(-4)), pa.decimal128(18, 4)),
        "d38": pa.array(some(lambda i: D(r.randrange(-10**38 + 1, 10**38)).scaleb(-10)), pa.decimal128(38, 10)),
        "dt": pa.array(some(lambda i: dt.date(1960, 1, 1) + dt.timedelta(days=r.randrange(20000))), pa.date32()),
        "ts": pa.array(some(lambda i: dt.datetime(1965, 1, 1) + dt.timedelta(microseconds=r.randrange(10**15))), pa.timestamp("us")),
        "tz": pa.array(some(lambda i: dt.datetime(1965, 1, 1, tzinfo=UTC) + dt.timedelta(seconds=i * 60)), pa.timestamp("us", tz="UTC")),
        "word": pa.array(some(lambda i: r.choice(["red", "green", "", "blue and rather long a name"])), pa.string()),
        "text": pa.array(some(lambda i: f"row {i} " + "ü漢😀"[r.randrange(3)] * r.randrange(6)), pa.string()),
        "path": pa.array([f"/a/common/prefix/of/all/{i:08d}" for i in range(n)], pa.string()),
        "bin": pa.array(some(lambda i: r.randbytes(r.randrange(20))), pa.binary()),
        "none": pa.nulls(n, pa.int32()),
    })


def nested(n):
    r = random.Random(2)
    value = lambda: r.choice([None, r.randrange(100)])
    rows = []
    for i in range(n):
        k = i % 7
        rows.append({
            "id": i, "st": None if k == 1 else {"x": value(), "y": {"z": None if k == 2 else f"z{i}", "w": [value() for _ in range(r.randrange(3))]}},
            "l": None if k == 3 else [value() for _ in range(r.randrange(4))],
            "ll": [None if r.random() < 0.2 else [f"s{j}" for j in range(r.randrange(3))] for _ in range(r.randrange(3))],
            "m": None if k == 4 else [(f"k{j}", value()) for j in range(r.randrange(3))],
            "ls": [None if r.random() < 0.1 else {"a": value(), "b": r.choice([None, "t"])} for _ in range(r.randrange(3))]})
    st = pa.struct([("x", pa.int32()), ("y", pa.struct([("z", pa.string()), ("w", pa.list_(pa.int64()))]))])
    return pa.Table.from_pylist(rows, pa.schema([("id", pa.int64()), ("st", st), ("l", pa.list_(pa.int32())), ("ll", pa.list_(pa.list_(pa.string()))),
                                                 ("m", pa.map_(pa.string(), pa.int32())), ("ls", pa.list_(pa.struct([("a", pa.int32()), ("b", pa.string())])))]))


CODECS = ("none", "snappy", "gzip", "zstd", "lz4", "brotli")
TABLES = ["flat", "big", "parted", "times", "ordered", "bloom", "pages2", "small_groups", "renamed", "respecced", "nested", "avro", "avro_nested"] + \
    ["codec_" + c for c in CODECS]


def make_tables(s, folder):
    """All tables in the session's lake; the names of those that could be made, and why others couldn't."""
    flat_file, big_file, nested_file = (str(folder / f) for f in ("flat.parquet", "big.parquet", "nested.parquet"))
    pq.write_table(flat(3000), flat_file)
    pq.write_table(flat(40000, 3).select(["id", "seq", "few", "word", "dt", "d9", "b", "path"]), big_file)
    pq.write_table(nested(2000), nested_file)
    f, n = f"SELECT * FROM '{flat_file}'", f"SELECT * FROM '{nested_file}'"
    made = {
        "flat": [f"CREATE TABLE flat AS {f}"],
        "big": [f"CREATE TABLE big AS SELECT * FROM '{big_file}'"],
        "parted": [f"CREATE TABLE parted PARTITIONED BY (word, bucket(4, id), truncate(10, few)) AS {f}"],
        "times": [f"CREATE TABLE times PARTITIONED BY (year(ts), month(dt)) AS {f} WHERE id < 300"],
        "ordered": [f"CREATE TABLE ordered AS {f} WHERE false", "ALTER TABLE ordered WRITE ORDERED BY word, id DESC", f"INSERT INTO ordered {f}"],
        "bloom": [f"CREATE TABLE bloom WITH ('write.parquet.bloom-filter-enabled.column.text' = 'true', 'write.parquet.bloom-filter-enabled.column.i' = 'true') AS {f}"],
        "pages2": [f"CREATE TABLE pages2 WITH ('write.parquet.page-version' = 'v2') AS {f}"],
        "small_groups": [f"CREATE TABLE small_groups WITH ('write.parquet.row-group-limit' = '700', 'write.parquet.page-row-limit' = '100') AS {f}"],
        "renamed": [f"CREATE TABLE renamed AS {f}", "ALTER TABLE renamed RENAME COLUMN text TO words", "ALTER TABLE renamed DROP COLUMN bin",
                    "ALTER TABLE renamed ADD COLUMN bin bigint", "ALTER TABLE renamed ALTER COLUMN seq TYPE bigint",
                    "INSERT INTO renamed (id, words, bin, seq) VALUES (9000, 'new', 7, 5000000000)"],
        "respecced": [f"CREATE TABLE respecced PARTITIONED BY (month(dt)) AS {f} WHERE id < 500", "ALTER TABLE respecced ADD PARTITION FIELD bucket(3, id)",
                      f"INSERT INTO respecced {f} WHERE id BETWEEN 500 AND 700", "ALTER TABLE respecced DROP PARTITION FIELD month(dt)",
                      f"INSERT INTO respecced {f} WHERE id BETWEEN 701 AND 800"],
        "nested": [f"CREATE TABLE nested AS {n}"],
        "avro": [f"CREATE TABLE avro WITH ('write.format.default' = 'avro') AS {f}"],
        "avro_nested": [f"CREATE TABLE avro_nested WITH ('write.format.default' = 'avro', 'write.avro.compression-codec' = 'zstd') AS {n}"],
    }
    made.update({"codec_" + c: [f"CREATE TABLE codec_{c} WITH ('write.parquet.compression-codec' = '{'uncompressed' if c == 'none' else c}') AS {f}"] for c in CODECS})
    failed = {}
    for t, statements in made.items():
        try:
            for x in statements:
                s.query(x)
        except Exception as e:
            failed[t] = str(e)
    return failed


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("written")
    lake = Lake(folder / "lake")
    with Session(lake.path) as s:
        lake.failed = make_tables(s, folder)
        lake.rows = {t: golden.answer(s.query(f"SELECT * FROM {t}")) for t in TABLES if t not in lake.failed}
    return lake


def check(written, t, got):
    want = written.rows[t]
    columns, _, rows = golden.answer(got.select(want[0]))
    assert columns == want[0]
    if rows != want[2]:
        differ = [(a, b) for a, b in zip(want[2], rows) if a != b][:2]
        raise AssertionError(f"{t}: {len(rows)} rows, not {len(want[2])}; {differ}")


@pytest.fixture
def table(request, written):
    t = request.param
    if t in written.failed:
        pytest.fail(f"{t} couldn't be written: {written.failed[t]}")
    return t


every = pytest.mark.parametrize("table", TABLES, indirect=True)
parquet = pytest.mark.parametrize("table", [t for t in TABLES if "avro" not in t], indirect=True)  # for those who read nothing else


@parquet
def test_pyiceberg(written, table):
    check(written, table, written.table(table).scan().to_arrow())


@parquet
def test_polars(written, table):
    import polars as pl
    check(written, table, pl.scan_iceberg(written.table(table)).collect().to_arrow())


@parquet
def test_pyarrow(written, table):
    files = [f.file.file_path for f in written.table(table).scan().plan_files()]
    if table in ("renamed", "respecced"):
        pytest.skip("the files have several schemas")
    check(written, table, pa.concat_tables([pq.read_table(f.removeprefix("file://"), partitioning=None) for f in files], promote_options="permissive"))


@pytest.fixture(scope="module")
def by_duckdb(written, tmp_path_factory):
    if not os.path.exists(DUCKDB):
        pytest.skip("no environment with DuckDB's Iceberg extension")
    out = str(tmp_path_factory.mktemp("duckdb"))
    places = {t: written.table(t).metadata_location for t in written.rows}
    r = subprocess.run([DUCKDB, "-c", """
import sys, json, duckdb
from duckdb_extensions import import_extension
for e in ("avro", "httpfs", "iceberg"): import_extension(e)
c = duckdb.connect()
for e in ("avro", "httpfs", "iceberg"): c.execute("LOAD " + e)
c.execute("SET TimeZone = 'UTC'")
for t, place in json.loads(sys.argv[2]).items():
    try: c.execute(f"copy (select * from iceberg_scan('{place}')) to '{sys.argv[1]}/{t}.parquet'")
    except Exception as e: open(f"{sys.argv[1]}/{t}.error", "w").write(str(e))
""", out, json.dumps(places)], capture_output=True, text=True)
    assert r.returncode == 0, r.stderr
    return out


@parquet
def test_duckdb(written, table, by_duckdb):
    if os.path.exists(f"{by_duckdb}/{table}.error"):
        pytest.fail(open(f"{by_duckdb}/{table}.error").read())
    check(written, table, pq.read_table(f"{by_duckdb}/{table}.parquet"))


@pytest.fixture(scope="module")
def by_spark(written, tmp_path_factory):
    if not os.environ.get("FRAZIL_TEST_LONG") or not os.path.exists(SPARK):
        pytest.skip("needs FRAZIL_TEST_LONG and scripts/setup --spark")
    out = str(tmp_path_factory.mktemp("spark"))
    r = subprocess.run([SPARK, os.path.join(ROOT, "tests", "interop", "spark_read.py"), written.path, out, *written.rows],
                       capture_output=True, text=True, timeout=550)
    assert r.returncode == 0, r.stdout[-3000:] + r.stderr[-3000:]
    return out


@every
@pytest.mark.parametrize("kind", ["", ".plain"])
def test_spark(written, table, kind, by_spark):
    name = f"{by_spark}/{table}{kind}"
    if os.path.exists(name + ".error"):
        error = open(name + ".error").read()
        if table == "codec_brotli" and "BrotliCodec was not found" in error:
            pytest.skip("Spark has no brotli of its own")
        pytest.fail(error)
    with pa.memory_map(name + ".arrow") as f:
        check(written, table, pa.ipc.open_file(f).read_all())
