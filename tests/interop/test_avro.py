"""Avro files both ways: every type against fastavro and Polars, what is refused, manifests as rows, tables of Avro files."""
import datetime as dt
import decimal
import glob
import io
import json
import random
import uuid

import pytest

pa = pytest.importorskip("pyarrow")
fastavro = pytest.importorskip("fastavro")
pl = pytest.importorskip("polars")
from frazil_arrow import FrazilError, Session  # noqa: E402

UTC = dt.timezone.utc


@pytest.fixture
def session(tmp_path):
    with Session(tmp_path / "lake") as s:
        yield s


class Maker:
    """Random schemas, and values of them."""

    def __init__(self, seed):
        self.rng, self.names = random.Random(seed), 0

    def name(self, prefix):
        self.names += 1
        return f"{prefix}{self.names}"

    def type(self, depth=0):
        plain = ["boolean", "int", "long", "float", "double", "bytes", "string",
                 {"type": "int", "logicalType": "date"}, {"type": "int", "logicalType": "time-millis"}, {"type": "long", "logicalType": "time-micros"},
                 {"type": "long", "logicalType": "timestamp-millis"}, {"type": "long", "logicalType": "timestamp-micros"},
                 {"type": "long", "logicalType": "local-timestamp-micros"}, {"type": "string", "logicalType": "uuid"},
                 {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}, "decimal-fixed", "enum", "fixed"]
        r = self.rng
        t = r.choice(plain + (["array", "map", "record"] * 3 if depth < 3 else []))
        if t == "decimal-fixed":
            t = {"type": "fixed", "name": self.name("d"), "size": 16, "logicalType": "decimal", "precision": 38, "scale": 10}
        elif t == "enum":
            t = {"type": "enum", "name": self.name("e"), "symbols": ["A", "B_is_longer_than_a_view_holds", "C"]}
        elif t == "fixed":
            t = {"type": "fixed", "name": self.name("f"), "size": r.choice([1, 5, 40])}
        elif t == "array":
            t = {"type": "array", "items": self.type(depth + 1)}
        elif t == "map":
            t = {"type": "map", "values": self.type(depth + 1)}
        elif t == "record":
            t = self.record(depth + 1, r.randint(1, 4))
        return r.choice([t, ["null", t], [t, "null"]])

    def record(self, depth, n):
        return {"type": "record", "name": self.name("r"), "fields": [{"name": f"c{i}", "type": self.type(depth)} for i in range(n)]}

    def value(self, t):
        r = self.rng
        if isinstance(t, list):
            return None if r.random() < 0.2 else self.value(next(x for x in t if x != "null"))
        kind, logical = (t, None) if isinstance(t, str) else (t["type"], t.get("logicalType"))
        if logical == "date":
            return dt.date(1900, 1, 1) + dt.timedelta(r.randint(0, 100000))
        if logical in ("time-millis", "time-micros"):
            return dt.time(r.randint(0, 23), 5, 6, r.randint(0, 999) * 1000)
        if logical in ("timestamp-millis", "timestamp-micros"):
            return dt.datetime(1969, 1, 1, tzinfo=UTC) + dt.timedelta(milliseconds=r.randint(0, 10**12))
        if logical == "local-timestamp-micros":
            return dt.datetime(1969, 1, 1) + dt.timedelta(microseconds=r.randint(0, 10**15))
        if logical == "uuid":
            return uuid.UUID(int=r.getrandbits(128))
        if logical == "decimal":
            return decimal.Decimal(r.randint(-10**(t["precision"] - 1), 10**(t["precision"] - 1))).scaleb(-t["scale"], decimal.Context(prec=50))
        if kind == "boolean":
            return r.random() < 0.5
        if kind == "int":
            return r.choice([0, -1, 63, 64, 2**31 - 1, -2**31, r.randint(-10**6, 10**6)])
        if kind == "long":
            return r.choice([0, 2**63 - 1, -2**63, r.randint(-10**15, 10**15)])
        if kind == "float":
            return r.randint(-1000, 1000) / 8
        if kind == "double":
            return r.uniform(-1e9, 1e9)
        if kind == "bytes":
            return r.randbytes(r.randint(0, 30))
        if kind == "string":
            return "".join(r.choice("abcé€😀") for _ in range(r.randint(0, 20)))
        if kind == "enum":
            return r.choice(t["symbols"])
        if kind == "fixed":
            return r.randbytes(t["size"])
        if kind == "array":
            return [self.value(t["items"]) for _ in range(r.randint(0, 4))]
        if kind == "map":
            return {f"k{i}": self.value(t["values"]) for i in range(r.randint(0, 3))}
        return {f["name"]: self.value(f["type"]) for f in t["fields"]}


def plain(v):
    """Maps come out of Arrow as lists of pairs, of fastavro as dicts; structs as dicts in both."""
    if isinstance(v, list):
        if v and all(isinstance(x, tuple) for x in v):
            return {k: plain(x) for k, x in v}
        return [plain(x) for x in v]
    if isinstance(v, dict):
        return {k: plain(x) for k, x in v.items()}
    if isinstance(v, uuid.UUID):
        return v.bytes
    if isinstance(v, decimal.Decimal):
        return +v
    return v


def empty_maps(v):
    """An empty map is [] or {}."""
    if isinstance(v, dict):
        return {k: empty_maps(x) for k, x in v.items()} or []
    if isinstance(v, list):
        return [empty_maps(x) for x in v]
    return v


def same(got, want):
    assert [empty_maps(plain(r)) for r in got.to_pylist()] == [empty_maps(plain(r)) for r in want]


@pytest.mark.parametrize("seed", range(24))
def test_random_files(session, tmp_path, seed):
    m = Maker(seed)
    schema = m.record(0, m.rng.randint(1, 12))
    rows = [m.value(schema) for _ in range(m.rng.choice([0, 1, 300, 4000]))]
    path = tmp_path / "x.avro"
    with open(path, "wb") as f:
        fastavro.writer(f, schema, rows, codec=m.rng.choice(["null", "deflate", "snappy", "zstandard"]), sync_interval=m.rng.choice([100, 16000, 10**6]))
    got = session.query(f"select * from '{path}'")
    assert got.num_rows == len(rows)
    with open(path, "rb") as f:
        same(got, list(fastavro.reader(f)))
    some = [f["name"] for f in schema["fields"]][::2]
    same(session.query(f"select {', '.join(reversed(some))} from '{path}'"), [{k: r[k] for k in reversed(some)} for r in fastavro.reader(open(path, "rb"))])
    assert session.query(f"select count(*) n from '{path}'")["n"][0].as_py() == len(rows)


def test_polars(session, tmp_path):
    df = pl.DataFrame({"a": list(range(10000)), "b": [None if i % 3 else f"text {i}" for i in range(10000)], "c": [[i, i + 1] for i in range(10000)],
                       "d": [i / 7 for i in range(10000)]})
    for codec in ("uncompressed", "deflate", "snappy"):
        df.write_avro(tmp_path / "p.avro", compression=codec)
        assert pl.from_arrow(session.query(f"select * from '{tmp_path}/p.avro'")).equals(df)


@pytest.mark.parametrize("damage", ["cut", "sync", "crc", "count", "branch", "codec"])
def test_damaged(session, tmp_path, damage):
    out = io.BytesIO()
    schema = {"type": "record", "name": "r", "fields": [{"name": "a", "type": ["null", "long"]}]}
    fastavro.writer(out, schema, [{"a": 1} for _ in range(50)], codec="snappy" if damage == "crc" else "null", sync_marker=b"0123456789abcdef")
    data = bytearray(out.getvalue())
    body = data.index(b"0123456789abcdef") + 16
    if damage == "cut":
        data = data[:-20]
    elif damage == "sync":
        data[-1] ^= 1
    elif damage == "crc":
        data[-18] ^= 1
    elif damage == "count":
        data[body] = 0x7f
    elif damage == "branch":
        data[body + 3] = 4
    else:
        data = data.replace(b"\x08null", b"\x08lzma", 1)
    path = tmp_path / "x.avro"
    path.write_bytes(data)
    with pytest.raises(FrazilError):
        session.query(f"select * from '{path}'")


def test_refused_by_name(session, tmp_path):
    schema = {"type": "record", "name": "r", "fields": [{"name": "ok", "type": "int"}, {"name": "u", "type": ["int", "string"]}]}
    fastavro.writer(open(tmp_path / "u.avro", "wb"), schema, [{"ok": 1, "u": "x"}])
    assert session.query(f"select ok from '{tmp_path}/u.avro'").to_pylist() == [{"ok": 1}]
    with pytest.raises(FrazilError, match="a union of int and string"):
        session.query(f"select * from '{tmp_path}/u.avro'")
    for codec in ("bzip2", "xz"):
        fastavro.writer(open(tmp_path / "c.avro", "wb"), schema, [{"ok": 1, "u": "x"}], codec=codec)
        with pytest.raises(FrazilError, match=codec):
            session.query(f"select ok from '{tmp_path}/c.avro'")
    tree = {"type": "record", "name": "t", "fields": [{"name": "next", "type": ["null", "t"]}]}
    fastavro.writer(open(tmp_path / "t.avro", "wb"), tree, [{"next": None}])
    with pytest.raises(FrazilError, match="recursive"):
        session.query(f"select * from '{tmp_path}/t.avro'")


def test_manifests_as_rows(lake, tmp_path):
    lake.sql("create table default.t (a bigint, p text) partitioned by (p)")
    lake.sql("insert into default.t values (1, 'x'), (2, 'y')")
    manifest = glob.glob(lake.path + "/warehouse/default/t/metadata/*-m0.avro")[0]
    rows = lake.sql(f"select data_file.file_path, data_file.record_count, status from '{manifest}' order by 1")
    assert [r[1:] for r in rows] == [["1", "1"], ["1", "1"]] and rows[0][0].endswith(".parquet")
    listed = glob.glob(lake.path + "/warehouse/default/t/metadata/snap-*.avro")[0]
    with Session(tmp_path / "l2") as s, open(listed, "rb") as f:
        same(s.query(f"select * from '{listed}'"), list(fastavro.reader(f)))


@pytest.mark.parametrize("codec", ["gzip", "zstd", "snappy", "uncompressed"])
def test_tables_of_avro_files(lake, tmp_path, codec):
    src = tmp_path / "x.ndjson"
    rng = random.Random(5)
    with open(src, "w") as f:
        for i in range(20000):
            f.write(json.dumps({"id": i, "p": f"p {i % 3}/é", "l": [i, None][:i % 3], "s": {"x y": i / 4, "d": "2020-01-01"} if i % 5 else None,
                                "big": rng.randint(0, 2**90), "b": i % 2 == 0}) + "\n")
    lake.load(src, "t", "--property", "write.format.default=avro", "--property", f"write.avro.compression-codec={codec}", "--partition-by", "p")
    assert lake.sql("select count(*), sum(id), count(s), sum(big) from t") == lake.sql(f"select count(*), sum(id), count(s), sum(big) from '{src}'")
    assert lake.sql("select * from t where id in (0, 5, 19999) order by id") == lake.sql(f"select * from '{src}' where id in (0, 5, 19999) order by id")
    files = [f for f in glob.glob(lake.path + "/warehouse/default/t/**/*.avro", recursive=True) if "/data/" in f and "/metadata/" not in f]
    assert len(files) == 3
    rows = sorted((r for f in files for r in fastavro.reader(open(f, "rb"))), key=lambda r: r["id"])
    assert len(rows) == 20000 and rows[7]["s"]["x_x20y"] == 7 / 4 and rows[7]["l"] == [7]
    lake.sql("alter table default.t rename column id to number")
    assert lake.one("select sum(number) from t") == str(sum(range(20000)))
