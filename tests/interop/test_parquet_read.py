"""Every value that frazil reads from a Parquet file against what PyArrow reads.

Files: parquet-testing, Iceberg's encodings (both in shared/data, skipped where absent), and files
written here over types, nulls, codecs, page versions, encodings and page sizes.
FRAZIL_PQ_DUMP names the built tests/format/pq_dump.
"""
import datetime
import decimal
import glob
import itertools
import os
import random
import struct
import subprocess
import uuid
import zlib

import pytest

pa = pytest.importorskip("pyarrow")
import pyarrow.parquet as pq  # noqa: E402

DUMP = os.environ.get("FRAZIL_PQ_DUMP", "build/format_pq_dump")
DATA = os.environ.get("FRAZIL_SHARED_DATA", "../shared/data")
decimal.getcontext().prec = 80

pytestmark = pytest.mark.skipif(not os.path.exists(DUMP), reason="pq_dump isn't built")


def dump(path, step=None):
    """[(type, name, values or ("error", message))], or a message for the whole file."""
    args = [DUMP] + (["-b", str(step)] if step else []) + [path]
    run = subprocess.run(args, capture_output=True, timeout=300)
    assert run.returncode == 0, run.stderr.decode()[-2000:]
    columns = []
    for line in run.stdout.decode().split("\n")[:-1]:
        if line.startswith("column "):
            _, _, kind, name = line.split(" ", 3)
            columns.append([kind, name, [], None])
        elif line.startswith("error "):
            if not columns:
                return line
            columns[-1][3] = line
        else:
            columns[-1][2].append(line)
    return columns


def bits(array, width):
    words = array.view(pa.uint32() if width == 4 else pa.uint64() if width == 8 else pa.uint16())
    if width == 2:
        words = array.cast(pa.float32()).view(pa.uint32())
    return ["\\N" if w is None else "%0*x" % (max(width, 4) * 2, w) for w in words.to_pylist()]


def floor_us(array, unit):
    scale = {"s": 1_000_000, "ms": 1000, "us": 1}.get(unit)
    bits64 = array.cast(pa.int32()).cast(pa.int64()) if pa.types.is_time32(array.type) else array.cast(pa.int64())
    return ["\\N" if v is None else str(v * scale if scale else v // 1000) for v in bits64.to_pylist()]


def lists(array, items, form):
    """The texts of a list's places from those of all its elements."""
    valid, off = array.is_valid().to_pylist(), array.offsets.to_pylist()
    return [form % ",".join(items[off[i]:off[i + 1]]) if ok else "\\N" for i, ok in enumerate(valid)]


def texts(array):
    """What pq_dump prints for each value of an array, nested ones too."""
    t = array.type
    if isinstance(t, pa.BaseExtensionType):
        array, t = array.storage, t.storage_type
    if pa.types.is_dictionary(t):
        array, t = array.cast(t.value_type), t.value_type
    if pa.types.is_map(t):
        entries = [k + ":" + v for k, v in zip(texts(array.keys), texts(array.items))]
        return lists(array, entries, "<%s>")
    if pa.types.is_list(t) or pa.types.is_large_list(t):
        return lists(array, texts(array.values), "[%s]")
    if pa.types.is_struct(t):
        members = [texts(array.field(i)) for i in range(t.num_fields)]
        valid = array.is_valid().to_pylist()
        return ["{%s}" % ",".join(m[i] for m in members) if ok else "\\N" for i, ok in enumerate(valid)]
    if pa.types.is_floating(t):
        return bits(array, t.bit_width // 8)
    if pa.types.is_timestamp(t) or pa.types.is_time(t):
        return floor_us(array, t.unit)
    if pa.types.is_date(t):
        array = array.cast(pa.int32())
    out = []
    for v in array.to_pylist():
        if v is None:
            out.append("\\N")
        elif isinstance(v, bool):
            out.append(str(int(v)))
        elif isinstance(v, decimal.Decimal):
            out.append(str(int(v.scaleb(t.scale))))
        elif isinstance(v, (str, bytes)):
            v = v.encode() if isinstance(v, str) else v
            out.append("x" + v.hex() if len(v) <= 65536 else "z%d:%d" % (len(v), zlib.crc32(v)))
        else:
            out.append(str(v))
    return out


def expected(column):
    return [x for chunk in column.chunks for x in texts(chunk)]


def compare(path, step=None, refused=()):
    """Compares all columns; returns how many."""
    ours = dump(path, step)
    assert not isinstance(ours, str), ours
    f = pq.ParquetFile(path)
    assert len(ours) == len(f.schema_arrow)
    theirs = f.read()
    seen = 0
    for i, (kind, name, values, error) in enumerate(ours):
        if error and any(r in error for r in refused):
            continue
        assert error is None, (name, error)
        want = expected(theirs.column(i))
        assert len(values) == len(want), name
        if values != want:
            at = next(j for j in range(len(want)) if values[j] != want[j])
            pytest.fail("%s %s (%s) row %d: %s, PyArrow has %s" % (path, name, kind, at, values[at], want[at]))
        seen += 1
    return seen


# ---- other people's files ----

BROKEN = {  # refused with these words; PyArrow doesn't look at checksums unless it is told to
    "datapage_v1-corrupt-checksum": "wrong checksum", "rle-dict-uncompressed-corrupt-checksum": "wrong checksum",
}
PYARROW_CANT = {  # what is right, from the file's description
    "incorrect_map_schema": [["<x706172656e74:x616e6f74686572,x6e616d65:x7265706f7274>"]],
    "int96_from_spark": [["1704141296123456", "1704070800000000", "253402225200000000", "1735599600000000", "\\N",
                          "9089380393200000000"]],
    "large_string_map.brotli": [["<z1073741824:261666223:1>"] * 2],  # twice 2^30 times "a"
}


def files(pattern):
    return sorted(glob.glob(os.path.join(DATA, pattern)))


@pytest.mark.parametrize("path", files("parquet-testing/data/*.parquet"), ids=os.path.basename)
def test_parquet_testing(path):
    name = os.path.basename(path)[:-len(".parquet")]
    if name in BROKEN:
        ours = dump(path)
        assert any(c[3] and c[3].startswith("error data") and BROKEN[name] in c[3] for c in ours)
        return
    if name in PYARROW_CANT:
        assert [c[2] for c in dump(path)] == PYARROW_CANT[name]
        return
    for step in (None, 3):
        compare(path, step)


@pytest.mark.parametrize("path", files("parquet-testing/bad_data/*.parquet"), ids=os.path.basename)
def test_bad_data(path):
    ours = dump(path)
    if os.path.basename(path) == "ARROW-GH-43605.parquet":  # readable, it is a reader that was wrong
        assert compare(path) == 1
        return
    assert isinstance(ours, str) and ours.startswith("error data") or any(c[3] for c in ours)


@pytest.mark.parametrize("path", files("iceberg-java/encodings/*/*.parquet"), ids=lambda p: "/".join(p.split("/")[-2:]))
def test_iceberg_encodings(path):
    assert compare(path, 1000) == 1
    plain = os.path.join(os.path.dirname(os.path.dirname(path)), "PLAIN", os.path.basename(path))
    assert dump(path)[0][2] == dump(plain)[0][2]


GOLDEN = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "golden", "parquet")


@pytest.mark.parametrize("path", sorted(glob.glob(GOLDEN + "/*.parquet")), ids=os.path.basename)
def test_golden(path):
    """What Spark wrote (make_parquet.py)."""
    for step in (None, 7):
        assert compare(path, step) == 14


# ---- files written here ----

N = 30_000


def sample(kind, rng, n):
    """Values of a type: spread, repeated, and in runs, in thirds."""
    makers = {
        "bool": (lambda: rng.random() < 0.5, pa.bool_()),
        "int32": (lambda: rng.randint(-2**31, 2**31 - 1), pa.int32()),
        "int64": (lambda: rng.randint(-2**63, 2**63 - 1), pa.int64()),
        "int8": (lambda: rng.randint(-128, 127), pa.int8()),
        "uint16": (lambda: rng.randint(0, 65535), pa.uint16()),
        "uint32": (lambda: rng.randint(0, 2**32 - 1), pa.uint32()),
        "uint64": (lambda: rng.randint(0, 2**64 - 1), pa.uint64()),
        "float": (lambda: struct.unpack("f", struct.pack("f", rng.gauss(0, 1e6)))[0], pa.float32()),
        "double": (lambda: rng.choice([rng.gauss(0, 1e9), float("nan"), 0.0, -0.0]), pa.float64()),
        "dec9": (lambda: decimal.Decimal(rng.randint(-10**9 + 1, 10**9 - 1)).scaleb(-2), pa.decimal128(9, 2)),
        "dec18": (lambda: decimal.Decimal(rng.randint(-10**18 + 1, 10**18 - 1)).scaleb(-4), pa.decimal128(18, 4)),
        "dec38": (lambda: decimal.Decimal(rng.randint(-10**38 + 1, 10**38 - 1)).scaleb(-10), pa.decimal128(38, 10)),
        "date": (lambda: datetime.date(1970, 1, 1) + datetime.timedelta(rng.randint(-500000, 2900000)), pa.date32()),
        "time_ms": (lambda: rng.randint(0, 86399999), pa.time32("ms")),
        "time_us": (lambda: rng.randint(0, 86399999999), pa.time64("us")),
        "time_ns": (lambda: rng.randint(0, 86399999999999), pa.time64("ns")),
        "ts_ms": (lambda: rng.randint(-10**13, 10**13), pa.timestamp("ms")),
        "ts_us": (lambda: rng.randint(-10**16, 10**16), pa.timestamp("us")),
        "ts_ns": (lambda: rng.randint(-10**18, 10**18), pa.timestamp("ns", "UTC")),
        "text": (lambda: rng.choice(["", "a", "é", "日本", "x" * 13, "long " * rng.randint(1, 9),
                                     "%09d" % rng.randint(0, 10**9)]), pa.string()),
        "binary": (lambda: rng.randbytes(rng.randint(0, 20)), pa.binary()),
        "fixed": (lambda: rng.randbytes(7), pa.binary(7)),
        "uuid": (lambda: uuid.UUID(bytes=rng.randbytes(16)).bytes, pa.binary(16)),
    }
    make, t = makers[kind]
    values = [make() for _ in range(n // 3)]
    few = [make() for _ in range(50)]
    values += [rng.choice(few) for _ in range(n // 3)]
    while len(values) < n:
        values += [rng.choice(few)] * min(rng.randint(1, 3000), n - len(values))
    return values, t


def with_nulls(values, mode, rng):
    if mode == "none":
        return values
    if mode == "some":
        return [None if rng.random() < 0.1 else v for v in values]
    if mode == "blocks":
        return [None if i // 2500 % 3 == 1 else v for i, v in enumerate(values)]
    return [None] * len(values)


KINDS = ["bool", "int32", "int64", "int8", "uint16", "uint32", "uint64", "float", "double", "dec9", "dec18", "dec38",
         "date", "time_ms", "time_us", "time_ns", "ts_ms", "ts_us", "ts_ns", "text", "binary", "fixed", "uuid"]


def write(path, nulls, codec, version, dictionary, page_size, encodings=None, kinds=KINDS, n=N, **more):
    rng = random.Random(repr((nulls, codec, version, page_size)))
    arrays, fields = [], []
    for k in kinds:
        values, t = sample(k, rng, n)
        arrays.append(pa.array(with_nulls(values, nulls, rng), t))
        fields.append(pa.field(k, t, nullable=nulls != "required"))
    table = pa.Table.from_arrays(arrays, schema=pa.schema(fields))
    pq.write_table(table, path, compression=codec, data_page_version=version, use_dictionary=dictionary,
                   data_page_size=page_size, column_encoding=encodings, row_group_size=n * 2 // 3,
                   version="2.6", write_page_index=True, store_schema=True, **more)


@pytest.mark.parametrize("nulls", ["required", "none", "some", "blocks", "all"])
@pytest.mark.parametrize("codec,version,dictionary,page_size", [
    ("none", "1.0", True, 1 << 20), ("snappy", "1.0", True, 4096), ("zstd", "2.0", True, 20000),
    ("gzip", "2.0", False, 20000), ("none", "2.0", False, 1 << 20), ("zstd", "1.0", False, 3000)])
def test_written(tmp_path, nulls, codec, version, dictionary, page_size):
    path = str(tmp_path / "t.parquet")
    write(path, "none" if nulls == "required" else nulls, codec, version, dictionary, page_size,
          write_page_checksum=codec == "zstd")
    assert compare(path) == len(KINDS)


@pytest.mark.parametrize("encoding,kinds", [
    ("DELTA_BINARY_PACKED", ["int32", "int64", "date", "ts_us", "time_us", "int8", "uint32"]),
    ("DELTA_LENGTH_BYTE_ARRAY", ["text", "binary"]),
    ("DELTA_BYTE_ARRAY", ["text", "binary", "fixed", "dec38"]),
    ("BYTE_STREAM_SPLIT", ["float", "double", "int32", "int64", "fixed", "uuid", "dec38"]),
    ("RLE", ["bool"])])
@pytest.mark.parametrize("nulls,version,page_size", [("none", "1.0", 1 << 20), ("some", "2.0", 5000),
                                                     ("blocks", "1.0", 5000), ("all", "2.0", 5000)])
def test_encodings(tmp_path, encoding, kinds, nulls, version, page_size):
    path = str(tmp_path / "t.parquet")
    write(path, nulls, "snappy", version, False, page_size, {k: encoding for k in kinds}, kinds)
    assert compare(path, 777) == len(kinds)


def test_dictionary_given_up(tmp_path):
    """Pages of codes, then pages of values, in one chunk."""
    path = str(tmp_path / "t.parquet")
    for nulls in ("none", "some"):
        write(path, nulls, "snappy", "1.0", True, 4000, dictionary_pagesize_limit=20000)
        encodings = pq.ParquetFile(path).metadata.row_group(0).column(2).encodings
        assert "PLAIN" in encodings and "RLE_DICTIONARY" in encodings
        for step in (None, 1000, 37):
            assert compare(path, step) == len(KINDS)


def test_delta_widths(tmp_path):
    """Deltas of each bit width, also those that wrap around."""
    rng = random.Random(5)
    columns = {}
    for w in range(0, 65):
        sums = list(itertools.accumulate(rng.getrandbits(w) if w else 0 for _ in range(3000)))
        columns["w%d" % w] = pa.array([v % 2**64 for v in sums], pa.uint64()).view(pa.int64())
        if w <= 32:
            columns["i%d" % w] = pa.array([v % 2**32 for v in sums], pa.uint32()).view(pa.int32())
    table = pa.table(columns)
    path = str(tmp_path / "t.parquet")
    pq.write_table(table, path, use_dictionary=False, column_encoding={k: "DELTA_BINARY_PACKED" for k in columns})
    for step in (None, 100):
        assert compare(path, step) == len(columns)


def test_dictionary_widths(tmp_path):
    """Codes of each bit width up to 17."""
    rng = random.Random(6)
    n = 150_000
    columns = {}
    for w in range(0, 18):
        columns["w%d" % w] = pa.array([rng.randrange(2**w) for _ in range(n)], pa.int64())
    path = str(tmp_path / "t.parquet")
    pq.write_table(pa.table(columns), path, dictionary_pagesize_limit=1 << 24)
    assert compare(path) == len(columns)


def test_int96(tmp_path):
    path = str(tmp_path / "t.parquet")
    rng = random.Random(7)
    values = [None] + [rng.randint(-2 * 10**9, 9 * 10**9) * 10**6 + rng.randint(0, 999999) for _ in range(5000)]
    pq.write_table(pa.table({"t": pa.array(values, pa.timestamp("us"))}), path, use_deprecated_int96_timestamps=True)
    ours = dump(path)
    assert ours[0][2] == ["\\N" if v is None else str(v) for v in values]


LEAVES = [
    (pa.int32(), lambda r: r.randint(-2**31, 2**31 - 1)), (pa.int64(), lambda r: r.randint(-100, 100)),
    (pa.string(), lambda r: r.choice(["", "é", "a text that is longer", str(r.randint(0, 999))])),
    (pa.float64(), lambda r: r.gauss(0, 1)), (pa.bool_(), lambda r: r.random() < 0.5),
    (pa.decimal128(25, 3), lambda r: decimal.Decimal(r.randint(-10**25 + 1, 10**25 - 1)).scaleb(-3)),
]


def nested_type(rng, depth):
    """A type and a maker of its values."""
    kind = rng.choice(["leaf", "list", "struct", "map"]) if depth else "leaf"
    if kind == "leaf":
        t, make = rng.choice(LEAVES)
        return t, lambda: make(rng)
    nullable, some = rng.random() < 0.7, rng.choice([0, 0.1, 0.5, 1])

    def maybe(make):
        return lambda: None if nullable and rng.random() < some else make()

    if kind == "struct":
        members = [(nested_type(rng, depth - 1), rng.random() < 0.6) for _ in range(rng.randint(1, 4))]
        fields = [pa.field("m%d" % i, t, nullable=null) for i, ((t, _), null) in enumerate(members)]
        makers = [("m%d" % i, (lambda m=m: None if rng.random() < 0.2 else m()) if null else m)
                  for i, ((_, m), null) in enumerate(members)]
        return pa.struct(fields), lambda: {k: m() for k, m in makers}
    t, make = nested_type(rng, depth - 1)
    most = rng.choice([1, 3, 3, 40])
    if kind == "list":
        return (pa.list_(pa.field("element", t, nullable=nullable)),
                lambda: [maybe(make)() for _ in range(rng.randint(0, most))])
    return (pa.map_(pa.string(), pa.field("value", t, nullable=nullable)),
            lambda: [("k%d" % i, maybe(make)()) for i in range(rng.randint(0, most))])


@pytest.mark.parametrize("seed", range(20))
def test_nested(tmp_path, seed):
    rng = random.Random(seed)
    columns, fields = [], []
    n = 1000
    for i in range(3):
        t, make = nested_type(rng, 3)
        null = rng.random() < 0.7
        columns.append([None if null and rng.random() < 0.15 else make() for _ in range(n)])
        fields.append(pa.field("c%d" % i, t, nullable=null))
    table = pa.Table.from_arrays([pa.array(c, f.type) for c, f in zip(columns, fields)], schema=pa.schema(fields))
    path = str(tmp_path / "t.parquet")
    pq.write_table(table, path, compression=rng.choice(["none", "snappy", "zstd", "lz4", "brotli"]),
                   data_page_version=rng.choice(["1.0", "2.0"]), use_dictionary=rng.choice([True, False]),
                   data_page_size=rng.choice([500, 5000, 1 << 20]), row_group_size=rng.choice([700, 5000]),
                   write_batch_size=rng.choice([50, 1024]), write_page_index=rng.choice([True, False]),
                   use_compliant_nested_type=rng.choice([True, False]))
    for step in (None, 1000, 7):
        assert compare(path, step) == 3


def sql(query):
    command = os.environ.get("FRAZIL_COMMAND") or os.path.join(os.path.dirname(DUMP), "frazil")
    if not os.path.exists(command):
        pytest.skip("frazil isn't built")
    run = subprocess.run([command, "sql", query, "--format", "csv"], capture_output=True, text=True, timeout=60)
    return run.stdout.splitlines()[1:] if run.returncode == 0 else run.stderr


def test_files_of_different_schemas(tmp_path):
    """Columns are joined by name, members of structs too; integers and floats have the wider type."""
    pq.write_table(pa.table({"a": pa.array([1, 2], pa.int32()), "s": pa.array([{"x": 1, "y": "u"}, None]),
                             "l": pa.array([[{"p": 1}], []])}), tmp_path / "a.parquet")
    pq.write_table(pa.table({"s": pa.array([{"y": "w", "z": 1.5, "x": 2**40}]), "b": ["new"], "a": pa.array([2**40]),
                             "l": pa.array([[{"q": "t", "p": None}]])}), tmp_path / "b.parquet")
    files = "'%s/*.parquet'" % tmp_path
    assert sql("select a, b, s.x, s.y, s.z, l[1].p, l[1].q from %s order by a" % files) == [
        "1,,1,u,,1,", "2,,,,,,", "1099511627776,new,1099511627776,w,1.5,,t"]
    assert sql("select count(*) from %s where a > 1" % files) == ["2"]
    assert sql("select count(b) from %s" % files) == ["1"]
    pq.write_table(pa.table({"a": ["text"]}), tmp_path / "c.parquet")
    said = sql("select a from %s" % files)
    assert "column \"a\" is of type text" in said and "c.parquet" in said


def test_empty_files(tmp_path):
    path = str(tmp_path / "t.parquet")
    for schema in (pa.schema([]), pa.schema([("a", pa.int64()), ("b", pa.string())])):
        pq.write_table(schema.empty_table(), path)
        assert compare(path) == len(schema)
