"""Parquet files that frazil writes, read by PyArrow, DuckDB and Polars: every type, null pattern, shape of
values, vector encoding and option, compared exactly with the formulas in tests/format/pq_make.c.

FRAZIL_PQ_MAKE names the built tests/format/pq_make.
"""
import datetime as dt
import decimal
import functools
import math
import os
import struct
import subprocess
import uuid

import pytest

pa = pytest.importorskip("pyarrow")
import pyarrow.parquet as pq  # noqa: E402

MAKE = os.environ.get("FRAZIL_PQ_MAKE", "build/format_pq_make")
pytestmark = pytest.mark.skipif(not os.path.exists(MAKE), reason="pq_make isn't built")

M64 = (1 << 64) - 1
D = decimal.Decimal
decimal.getcontext().prec = 60
EPOCH = dt.datetime(1970, 1, 1)
UTC = dt.timezone.utc

TYPES = [
    ("b", pa.bool_()), ("i", pa.int32()), ("l", pa.int64()), ("f", pa.float32()), ("d", pa.float64()),
    ("dec9", pa.decimal128(9, 2)), ("dec18", pa.decimal128(18, 3)), ("dec38", pa.decimal128(38, 10)),
    ("dec20", pa.decimal128(20, 0)), ("date", pa.date32()), ("time", pa.time64("us")), ("ts", pa.timestamp("us")),
    ("tstz", pa.timestamp("us", "UTC")), ("s", pa.string()), ("bin", pa.binary()), ("uuid", pa.binary(16)),
    ("fix", pa.binary(5)),
]
NAMES = [n for n, _ in TYPES]


def mix(z):
    z = (z + 0x9E3779B97F4A7C15) & M64
    z = ((z ^ z >> 30) * 0xBF58476D1CE4E5B9) & M64
    z = ((z ^ z >> 27) * 0x94D049BB133111EB) & M64
    return z ^ z >> 31


SHAPES = {
    "random": lambda row, col: mix(row * 131 + col),
    "sorted": lambda row, col: row // 7,
    "few": lambda row, col: mix(row * 31 + col) % 10,
    "runs": lambda row, col: mix(row // 50) % 100,
    "const": lambda row, col: 42,
}
NULLS = {
    "required": lambda row, col: False,
    "none": lambda row, col: False,
    "some": lambda row, col: mix(row + 999 * (col + 1)) % 5 == 0,
    "most": lambda row, col: row % 100 != 0,
    "all": lambda row, col: True,
    "blocks": lambda row, col: row // 300 % 2 == 1,
}


def signed(u, bits):
    u &= (1 << bits) - 1
    return u - (1 << bits) if u >> bits - 1 else u


def value(name, u):
    be = struct.pack(">Q", u)
    match name:
        case "b":
            return bool(u & 1)
        case "i":
            return signed(u, 32)
        case "l":
            return signed(u, 64)
        case "f":
            return math.nan if u % 17 == 3 else (u % 1048576 - 524288) / 8
        case "d":
            return math.nan if u % 17 == 3 else (u % 1099511627776 - 549755813888) / 16
        case "dec9":
            return D(u % 1999999999 - 999999999).scaleb(-2)
        case "dec18":
            return D(u % 1999999999999999999 - 999999999999999999).scaleb(-3)
        case "dec38":
            return D(signed(u, 64) * 10**15 + u % 1000).scaleb(-10)
        case "dec20":
            return D(signed(u, 64) * 5)
        case "date":
            return dt.date(1970, 1, 1) + dt.timedelta(days=signed(u, 64) % 40000 - 5000 if u < 1 << 63 else u % 40000 - 5000)
        case "time":
            return (EPOCH + dt.timedelta(microseconds=u % 86400000000)).time()
        case "ts":
            return EPOCH + dt.timedelta(microseconds=u % 4000000000000000 - 1000000000000000)
        case "tstz":
            return (EPOCH + dt.timedelta(microseconds=u % 4000000000000000 - 1000000000000000)).replace(tzinfo=UTC)
        case "s":
            return "é" * (u % 3) + str(u) + "x" * (u % 90)
        case "bin":
            return be[: u % 9]
        case "uuid":
            return be + struct.pack(">Q", ~u & M64)
        case "fix":
            return be[:5]


@functools.lru_cache(maxsize=None)
def expected(shape, nulls, rows):
    u, null = SHAPES[shape], NULLS[nulls]
    return {n: [None if null(r, c) else value(n, u(r, c)) for r in range(rows)] for c, n in enumerate(NAMES)}


def same(got, want, name):
    """NaN equals NaN; the first difference is reported, not the whole column."""
    assert len(got) == len(want), name
    for i, (g, w) in enumerate(zip(got, want)):
        if isinstance(w, float) and w != w and g is not None and g != g:
            continue
        assert g == w and (g is None) == (w is None), f"{name}[{i}]: {g!r} is not {w!r}"


def make(tmp_path, **settings):
    path = str(tmp_path / "t.parquet")
    run = subprocess.run([MAKE, path, *(f"{k}={v}" for k, v in settings.items())], capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr[-3000:]
    lines = [line.split("\t") for line in run.stdout.split("\n")[:-1]]
    return path, {f[0]: f[1:] for f in lines}


def check_pyarrow(path, want):
    table = pq.read_table(path, page_checksum_verification=True)
    for name, t in TYPES:
        got = table[name]
        if isinstance(got.type, pa.BaseExtensionType):
            got = got.combine_chunks().storage if got.num_chunks != 1 else got.chunk(0).storage
        assert got.type == t, (name, got.type)
        same(got.to_pylist(), want[name], f"pyarrow {name}")


def check_duckdb(path, want):
    duckdb = pytest.importorskip("duckdb")
    con = duckdb.connect()
    con.execute("SET TimeZone='UTC'; SET threads=1")
    cols = ", ".join("epoch_us(tstz) AS tstz" if n == "tstz" else n for n in NAMES)
    got = con.execute(f"SELECT {cols} FROM read_parquet(?, file_row_number=true) ORDER BY file_row_number", [path]).fetchall()
    for c, name in enumerate(NAMES):
        col = [row[c] for row in got]
        w = want[name]
        if name == "uuid":
            w = [None if v is None else uuid.UUID(bytes=v) for v in w]
        elif name == "tstz":
            w = [None if v is None else (v - EPOCH.replace(tzinfo=UTC)) // dt.timedelta(microseconds=1) for v in w]
        same(col, w, f"duckdb {name}")


def check_polars(path, want):
    pl = pytest.importorskip("polars")
    frame = pl.read_parquet(path, columns=NAMES, use_pyarrow=False)
    for name, _ in TYPES:
        got = frame[name]
        if name == "tstz":
            got = got.dt.replace_time_zone("UTC")
        got = got.to_list()
        if name == "uuid" and got and isinstance(next((g for g in got if g is not None), b""), uuid.UUID):
            got = [g and g.bytes for g in got]
        same(got, want[name], f"polars {name}")


def check_all(path, shape, nulls, rows):
    want = expected(shape, nulls, rows)
    check_pyarrow(path, want)
    check_duckdb(path, want)
    check_polars(path, want)


@pytest.mark.parametrize("nulls", NULLS)
@pytest.mark.parametrize("shape", SHAPES)
def test_shapes_and_nulls(tmp_path, shape, nulls):
    path, _ = make(tmp_path, rows=1500, shape=shape, nulls=nulls, page_rows=400)
    check_all(path, shape, nulls, 1500)


@pytest.mark.parametrize("nulls", ["none", "some", "blocks"])
@pytest.mark.parametrize("vec,shape", [("sel", "random"), ("dict", "random"), ("rle", "runs"), ("rle", "sorted"),
                                       ("const", "const"), ("sel", "sorted"), ("dict", "few")])
def test_vector_encodings(tmp_path, vec, shape, nulls):
    if vec == "const" and nulls != "none":
        nulls, batch = "blocks", 300
    else:
        batch = 700
    path, _ = make(tmp_path, rows=1500, shape=shape, nulls=nulls, vec=vec, batch=batch, page_rows=333)
    check_all(path, shape, nulls, 1500)


@pytest.mark.parametrize("codec", [-1, 0, 1, 2, 4, 6, 7])
@pytest.mark.parametrize("shape", ["random", "few"])
def test_codecs(tmp_path, codec, shape):
    path, _ = make(tmp_path, rows=1500, shape=shape, nulls="some", codec=codec)
    check_all(path, shape, "some", 1500)
    want = {0: "UNCOMPRESSED", 1: "SNAPPY", 2: "GZIP", 4: "BROTLI", 6: "ZSTD", 7: "LZ4"}.get(codec)
    group = pq.ParquetFile(path).metadata.row_group(0)
    if want:
        assert {group.column(i).compression for i in range(len(TYPES))} == {want}


@pytest.mark.parametrize("options", [
    dict(rg_rows=100), dict(rg_rows=1500), dict(rg_rows=1499), dict(page_rows=1), dict(page_bytes=64), dict(page_bytes=1, page_rows=7),
    dict(dict_bytes=0), dict(dict_bytes=100), dict(rg_bytes=20000, batch=100, rows=5000), dict(batch=1), dict(threads=3), dict(truncate=1),
    dict(split=0), dict(split=2), dict(split=2, shape="runs", page_rows=100), dict(split=2, nulls="required"), dict(split=2, codec=1),
    dict(version=2, page_rows=100), dict(version=2, codec=0), dict(version=2, nulls="blocks", page_rows=300), dict(version=2, split=2),
    dict(rows=1), dict(rows=2, nulls="all"), dict(rows=1, nulls="required"),
], ids=lambda o: " ".join(f"{k}={v}" for k, v in o.items()))
def test_options(tmp_path, options):
    settings = {"rows": 1500, "shape": "random", "nulls": "some"} | options
    path, metrics = make(tmp_path, **settings)
    check_all(path, settings["shape"], settings["nulls"], settings["rows"])
    meta = pq.ParquetFile(path).metadata
    assert int(metrics["file"][0]) == os.path.getsize(path)
    assert len(metrics["file"]) - 2 == meta.num_row_groups
    if "rg_rows" in options:
        sizes = [meta.row_group(i).num_rows for i in range(meta.num_row_groups)]
        assert sizes[:-1] == [options["rg_rows"]] * (len(sizes) - 1) and sum(sizes) == 1500
    if "rg_bytes" in options:
        assert meta.num_row_groups > 3


def test_no_rows(tmp_path):
    path, _ = make(tmp_path, rows=0)
    table = pq.read_table(path)
    assert table.num_rows == 0 and table.column_names == NAMES


@pytest.mark.parametrize("shape,nulls", [("random", "some"), ("runs", "none"), ("few", "blocks")])
def test_many_rows(tmp_path, shape, nulls):
    """Past the sample: the plan is made with rows to come, dictionaries fall back, threads take part."""
    rows = 150000
    path, _ = make(tmp_path, rows=rows, shape=shape, nulls=nulls, threads=3, dict_bytes=200000, rg_rows=100000)
    table = pq.read_table(path, columns=["l", "i", "d", "s", "dec38"], page_checksum_verification=True)
    u, null = SHAPES[shape], NULLS[nulls]
    for name in ("l", "i", "d", "s", "dec38"):
        c = NAMES.index(name)
        got = table[name].to_pylist()
        want = [None if null(r, c) else value(name, u(r, c)) for r in range(0, rows, 37)]
        same(got[::37], want, name)
    assert pq.ParquetFile(path).metadata.num_row_groups == 2




@pytest.mark.parametrize("shape,nulls", [("random", "some"), ("sorted", "none"), ("random", "most"), ("const", "required"),
                                         ("runs", "all")])
def test_statistics_and_metrics(tmp_path, shape, nulls):
    rows = 2000
    path, metrics = make(tmp_path, rows=rows, shape=shape, nulls=nulls, page_rows=500, rg_rows=1000)
    want = expected(shape, nulls, rows)
    meta = pq.ParquetFile(path).metadata
    for c, (name, t) in enumerate(TYPES):
        values = [v for v in want[name] if v is not None]
        field_id, size, count, null_count, nan_count, has_bounds = metrics[name][:6]
        assert (int(field_id), int(count), int(null_count)) == (100 + c, rows, rows - len(values))
        chunks = [meta.row_group(g).column(c) for g in range(meta.num_row_groups)]
        assert int(size) == sum(k.total_compressed_size for k in chunks)
        nans = sum(v != v for v in values)
        assert int(nan_count) == (nans if name in "fd" else -1)
        assert (has_bounds == "1") == (len(values) > nans)
        for g, k in enumerate(chunks):
            part = [v for v in want[name][g * 1000:(g + 1) * 1000] if v is not None and v == v]
            st = k.statistics
            assert st.null_count == 1000 - len([v for v in want[name][g * 1000:(g + 1) * 1000] if v is not None])
            assert st.has_min_max == bool(part), name
            assert k.has_offset_index
            assert k.has_column_index or any(v != v for v in values)
            if not part or name == "uuid":
                continue
            lo, hi = min(part), max(part)
            if name == "s":
                assert lo.startswith(st.min) and (st.max >= hi) and len(st.max.encode()) <= 64
            elif name.startswith("dec") and not isinstance(st.min, D):
                continue
            elif name == "tstz":
                assert st.min.replace(tzinfo=UTC) == lo and st.max.replace(tzinfo=UTC) == hi
            else:
                assert (st.min, st.max) == (lo, hi), name


def test_schema(tmp_path):
    path, _ = make(tmp_path, rows=10, nulls="none")
    f = pq.ParquetFile(path)
    meta = f.metadata
    assert meta.created_by.startswith("frazil version ") and meta.created_by.endswith("(build 0)")
    assert meta.metadata[b"made.by"] == b"pq_make"
    want = {
        "b": ("BOOLEAN", "NONE", "None"), "i": ("INT32", "NONE", "None"), "l": ("INT64", "NONE", "None"),
        "f": ("FLOAT", "NONE", "None"), "d": ("DOUBLE", "NONE", "None"),
        "dec9": ("INT32", "DECIMAL", "Decimal(precision=9, scale=2)"),
        "dec18": ("INT64", "DECIMAL", "Decimal(precision=18, scale=3)"),
        "dec38": ("FIXED_LEN_BYTE_ARRAY", "DECIMAL", "Decimal(precision=38, scale=10)"),
        "dec20": ("FIXED_LEN_BYTE_ARRAY", "DECIMAL", "Decimal(precision=20, scale=0)"),
        "date": ("INT32", "DATE", "Date"), "s": ("BYTE_ARRAY", "UTF8", "String"), "bin": ("BYTE_ARRAY", "NONE", "None"),
        "fix": ("FIXED_LEN_BYTE_ARRAY", "NONE", "None"), "uuid": ("FIXED_LEN_BYTE_ARRAY", "NONE", "UUID"),
    }
    lengths = {"dec38": 16, "dec20": 9, "uuid": 16, "fix": 5}
    for c, (name, _) in enumerate(TYPES):
        col = f.schema.column(c)
        assert col.max_definition_level == 1 and col.max_repetition_level == 0
        assert f.schema_arrow.field(c).metadata[b"PARQUET:field_id"] == str(100 + c).encode()
        if name in want:
            assert (col.physical_type, col.converted_type or "NONE", str(col.logical_type)) == want[name], name
        if name in lengths:
            assert col.length == lengths[name]
    for name, utc in (("time", "false"), ("ts", "false"), ("tstz", "true")):
        text = str(f.schema.column(NAMES.index(name)).logical_type)
        assert f"isAdjustedToUTC={utc}" in text and "microseconds" in text
    path2, _ = make(tmp_path / "..", rows=10, nulls="required", shape="few")
    assert pq.ParquetFile(path2).schema.column(0).max_definition_level == 0


def test_encodings_follow_the_data(tmp_path):
    encodings = {}
    for shape in ("random", "sorted", "few", "const"):
        (tmp_path / shape).mkdir()
        path, _ = make(tmp_path / shape, rows=20000, shape=shape, nulls="none")
        group = pq.ParquetFile(path).metadata.row_group(0)
        encodings[shape] = {n: group.column(c) for c, n in enumerate(NAMES)}
    assert "RLE_DICTIONARY" in encodings["few"]["l"].encodings and encodings["few"]["s"].has_dictionary_page
    assert "DELTA_BINARY_PACKED" in encodings["sorted"]["l"].encodings
    assert "PLAIN" in encodings["random"]["l"].encodings and not encodings["random"]["l"].has_dictionary_page
    assert encodings["random"]["l"].compression == "UNCOMPRESSED"
    assert encodings["random"]["s"].compression == "ZSTD" and not encodings["random"]["s"].has_dictionary_page
    assert encodings["const"]["l"].total_compressed_size < 200


def test_pruning_by_other_readers(tmp_path):
    """Filters that readers answer with statistics and the page index still find every row."""
    path, _ = make(tmp_path, rows=20000, shape="sorted", nulls="none", page_rows=1000, rg_rows=5000)
    duckdb = pytest.importorskip("duckdb")
    pl = pytest.importorskip("polars")
    n = 700
    con = duckdb.connect()
    assert con.execute(f"SELECT count(*) FROM '{path}' WHERE l = {n}").fetchall() == [(7,)]
    assert con.execute(f"SELECT count(*) FROM '{path}' WHERE s = '{value('s', n)}'").fetchall() == [(7,)]
    assert pl.scan_parquet(path).filter(pl.col("l") == n).select(pl.len()).collect().item() == 7
    assert pq.read_table(path, columns=["l"], filters=[("s", "=", value("s", n))]).num_rows == 7


@pytest.mark.parametrize("point", ["parquet.write.page", "parquet.write.page:40", "parquet.write.footer"])
@pytest.mark.parametrize("threads", [1, 3])
def test_failures_leave_no_file(tmp_path, point, threads):
    path = tmp_path / "t.parquet"
    run = subprocess.run([MAKE, str(path), "rows=3000", "page_rows=300", f"threads={threads}"], capture_output=True, text=True,
                         timeout=60, env=dict(os.environ, FRAZIL_FAULT=f"{point}=error"))
    assert run.returncode == 1, run.stderr
    assert "io" in run.stderr
    assert not path.exists()
