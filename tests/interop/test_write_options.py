"""The write.parquet.* properties of a table, seen in the files that PyArrow and DuckDB read; Bloom filters asked by DuckDB;
metrics of nested fields as PyIceberg reads them from the manifests; sorting columns."""
import glob, random

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

ROWS = 30000


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    rng = random.Random(5)
    path = str(tmp_path_factory.mktemp("src") / "s.parquet")
    st = [None if i % 11 == 0 else {"a": i * 7 % 5000, "b": None if i % 5 == 0 else f"user-{i * 31 % 9999:05d}"} for i in range(ROWS)]
    t = pa.table({
        "id": pa.array(range(ROWS), pa.int64()),
        "code": pa.array([f"{rng.getrandbits(64):016x}" for _ in range(ROWS)]),
        "x": pa.array([rng.random() for _ in range(ROWS)]),
        "dup": pa.array([rng.randrange(300) * 3 for _ in range(ROWS)], pa.int32()),
        "st": pa.array(st, pa.struct([("a", pa.int64()), ("b", pa.string())])),
        "l": pa.array([[rng.randrange(1000) for _ in range(i % 4)] if i % 9 else None for i in range(ROWS)], pa.list_(pa.int64())),
    })
    pq.write_table(t, path)
    return path, t


def write(lake, source, table="t", **props):
    """A table with these properties; its only file."""
    with_ = ", ".join(f"'{k}' = '{v}'" for k, v in props.items())
    lake.sql(f"CREATE TABLE {table} WITH ({with_}) AS SELECT * FROM '{source[0]}'" if props else
             f"CREATE TABLE {table} AS SELECT * FROM '{source[0]}'")
    files = glob.glob(f"{lake.path}/warehouse/**/*.parquet", recursive=True)
    assert len(files) == 1
    got = pq.read_table(files[0], page_checksum_verification=True)
    for name in got.column_names:
        want = source[1][name]
        assert got[name].cast(want.type).equals(want), name
    return files[0]


def chunk(path, column, group=0):
    f = pq.ParquetFile(path)
    names = [f.metadata.schema.column(i).path for i in range(f.metadata.num_columns)]
    return f.metadata.row_group(group).column(names.index(column))


def key(name):
    return "write.parquet." + name


@pytest.mark.parametrize("codec,name", [("uncompressed", "UNCOMPRESSED"), ("snappy", "SNAPPY"), ("gzip", "GZIP"), ("zstd", "ZSTD"),
                                        ("lz4", "LZ4"), ("LZ4_RAW", "LZ4"), ("brotli", "BROTLI")])
@pytest.mark.parametrize("version", ["v1", "v2"])
def test_codecs_and_page_versions(lake, source, codec, name, version):
    path = write(lake, source, **{key("compression-codec"): codec, key("page-version"): version})
    meta = pq.ParquetFile(path).metadata
    assert {meta.row_group(0).column(i).compression for i in range(meta.num_columns)} == {name}
    import duckdb, polars as pl
    assert duckdb.sql(f"SELECT count(*), sum(id), sum(st.a), count(st.b), sum(len(l)) FROM '{path}'").fetchall() == duckdb.sql(
        f"SELECT count(*), sum(id), sum(st.a), count(st.b), sum(len(l)) FROM '{source[0]}'").fetchall()
    assert pl.read_parquet(path)["code"].to_list() == source[1]["code"].to_pylist()


def test_levels(lake, source):
    sizes = []
    for level in (1, 12):
        path = write(lake, source, **{key("compression-codec"): "gzip", key("compression-level"): level})
        sizes.append(chunk(path, "code").total_compressed_size)
        lake.sql("DROP TABLE t")
        import os
        os.remove(path)
    assert sizes[1] < sizes[0]


def test_sizes(lake, source):
    path = write(lake, source, **{key("row-group-limit"): 9000, key("page-row-limit"): 500, key("dict-size-bytes"): 100})
    meta = pq.ParquetFile(path).metadata
    assert [meta.row_group(i).num_rows for i in range(meta.num_row_groups)] == [9000, 9000, 9000, 3000]
    assert not chunk(path, "dup").has_dictionary_page


def test_split_bytes(lake, source):
    path = write(lake, source, **{"frazil.parquet.byte-stream-split": "all"})
    import duckdb, polars as pl
    assert duckdb.sql(f"SELECT sum(id), sum(x) FROM '{path}'").fetchall() == duckdb.sql(f"SELECT sum(id), sum(x) FROM '{source[0]}'").fetchall()
    assert pl.read_parquet(path)["x"].to_list() == source[1]["x"].to_pylist()


def test_text_encodings(lake, tmp_path):
    """Sorted text shares prefixes, long random text is told by its lengths, a few values are a dictionary."""
    rng = random.Random(3)
    n = 60000
    t = pa.table({
        "url": sorted(f"https://www.example.com/shop/category-{rng.randrange(50):03d}/product-{rng.randrange(10**7):08d}" for _ in range(n)),
        "word": ["".join(rng.choice("abcdefghij") for _ in range(rng.randrange(5, 40))) if i % 4 else None for i in range(n)],
        "few": [f"group {rng.randrange(20)}" for _ in range(n)],
        "tags": pa.array([[f"t{i:07d}/{j}" for j in range(i % 4)] for i in range(n)], pa.list_(pa.string())),
    })
    source = str(tmp_path / "text.parquet")
    pq.write_table(t, source)
    path = write(lake, (source, t))
    assert "DELTA_BYTE_ARRAY" in chunk(path, "url").encodings
    assert "DELTA_LENGTH_BYTE_ARRAY" in chunk(path, "word").encodings
    assert "RLE_DICTIONARY" in chunk(path, "few").encodings
    assert "DELTA_BYTE_ARRAY" in chunk(path, "tags.list.element").encodings
    import duckdb, polars as pl
    frame = pl.read_parquet(path)
    for name in t.column_names:
        want = t[name].to_pylist()
        assert frame[name].to_list() == want
        assert [r[0] for r in duckdb.sql(f"SELECT {name} FROM '{path}'").fetchall()] == want
    assert lake.sql("SELECT count(*), min(url), max(url), max(word) FROM t") == lake.sql(f"SELECT count(*), min(url), max(url), max(word) FROM '{source}'")


def test_bloom_filters(lake, source):
    path = write(lake, source, **{key("bloom-filter-enabled.column.code"): "true", key("bloom-filter-enabled.column.dup"): "true",
                                  key("bloom-filter-enabled.column.st.b"): "true", key("bloom-filter-enabled.column.l.element"): "true",
                                  key("bloom-filter-fpp.column.code"): "0.001", key("bloom-filter-enabled.column.gone"): "true",
                                  key("row-group-limit"): 7500})
    import duckdb
    meta = duckdb.sql(f"""SELECT path_in_schema, row_group_id, bloom_filter_offset, bloom_filter_length FROM parquet_metadata('{path}')
                          WHERE bloom_filter_offset IS NOT NULL""").fetchall()
    assert {m[0] for m in meta} == {"code", "dup", "st, b", "l, list, element"}
    sizes = {}
    for name, _, _, n in meta:
        sizes[name] = max(sizes.get(name, 0), n)
    assert 16384 <= sizes["code"] <= 33000 and sizes["dup"] < 1100  # 7,500 and 300 distinct values

    def kept(column, value):
        return {r[1] for r in duckdb.sql(f"SELECT * FROM parquet_bloom_probe('{path}', '{column}', {value})").fetchall() if not r[2]}
    codes = source[1]["code"].to_pylist()
    for i in range(0, ROWS, 501):
        assert i // 7500 in kept("code", f"'{codes[i]}'")
    wrong = sum(len(kept("code", f"'{i:016x}'")) for i in range(300))
    assert wrong <= 8  # of 1,200
    dup = source[1]["dup"].to_pylist()
    assert all(0 in kept("dup", f"{v}::INTEGER") for v in dup[:50])
    assert sum(len(kept("dup", f"{v}::INTEGER")) for v in range(1, 300, 3)) <= 20


def test_statistics_can_be_off(lake, source):
    path = write(lake, source, **{key("stats-enabled.column.code"): "false", key("stats-enabled.column.st.b"): "false"})
    assert not chunk(path, "code").is_stats_set and not chunk(path, "code").has_column_index and chunk(path, "code").has_offset_index
    assert not chunk(path, "st.b").is_stats_set and chunk(path, "st.a").statistics.has_min_max


@pytest.mark.parametrize("name,value,says", [
    ("compression-codec", "lzo", "compression-codec"), ("compression-level", "high", "compression-level"),
    ("compression-level", "99", "levels 1 to 22"), ("page-version", "v3", "page-version"), ("page-size-bytes", "0", "page-size-bytes"),
    ("page-row-limit", "-1", "page-row-limit"), ("row-group-size-bytes", "big", "row-group-size-bytes"),
    ("bloom-filter-fpp.column.id", "2", "bloom-filter-fpp.column.id"), ("bloom-filter-ndv.column.id", "0", "bloom-filter-ndv.column.id"),
    ("bloom-filter-enabled.column.id", "yes", "neither true nor false"), ("stats-enabled.column.id", "1", "neither true nor false"),
    ("bloom-filter-max-bytes", "-5", "bloom-filter-max-bytes"), ("dict-size-bytes", "-1", "dict-size-bytes"),
])
def test_values_that_make_no_sense(lake, source, name, value, says):
    r = lake.run("sql", f"CREATE TABLE t WITH ('{key(name)}' = '{value}') AS SELECT * FROM '{source[0]}'", check=False)
    assert r.returncode and says in r.stderr
    assert not glob.glob(f"{lake.path}/warehouse/**/*.parquet", recursive=True)


def metrics(lake, table="t"):
    t = lake.table(table)
    f = next(iter(t.scan().plan_files())).file
    names = {i: t.schema().find_column_name(i) for i in t.schema()._lazy_id_to_name}
    by = lambda m: {names[k]: v for k, v in (m or {}).items()}  # noqa: E731
    return by(f.value_counts), by(f.null_value_counts), by(f.lower_bounds), by(f.column_sizes)


def test_metrics_of_nested_fields(lake, source):
    write(lake, source)
    values, nulls, lower, sizes = metrics(lake)
    flat = {"id", "code", "x", "dup", "st.a", "st.b"}
    assert set(values) == set(lower) == set(nulls) == flat
    assert set(sizes) == flat | {"l.element"}
    assert values["st.b"] == ROWS and nulls["st.b"] == sum(v is None or v["b"] is None for v in source[1]["st"].to_pylist())
    assert lower["st.b"] == min(v["b"] for v in source[1]["st"].to_pylist() if v and v["b"]).encode()


def test_metrics_modes(lake, source):
    write(lake, source, **{"write.metadata.metrics.default": "counts", "write.metadata.metrics.column.st.b": "truncate(2)",
                           "write.metadata.metrics.column.st.a": "none", "write.metadata.metrics.column.code": "full"})
    values, nulls, lower, sizes = metrics(lake)
    assert set(lower) == {"st.b", "code"} and lower["st.b"] == b"us" and len(lower["code"]) == 16
    assert set(values) == {"id", "code", "x", "dup", "st.b"} and "st.a" not in sizes


def test_sorted_files_say_so(lake, source):
    lake.sql("CREATE TABLE t (id BIGINT, dup INTEGER, code VARCHAR)")
    lake.sql("ALTER TABLE t WRITE ORDERED BY dup DESC NULLS LAST, id")
    lake.sql(f"INSERT INTO t SELECT id, dup, code FROM '{source[0]}'")
    path, = glob.glob(f"{lake.path}/warehouse/**/*.parquet", recursive=True)
    f = pq.ParquetFile(path)
    keys = f.metadata.row_group(0).sorting_columns
    assert [(k.column_index, k.descending, k.nulls_first) for k in keys] == [(1, True, False), (0, False, True)]
    t = f.read()
    order = list(zip(t["dup"].to_pylist(), t["id"].to_pylist()))
    assert order == sorted(order, key=lambda r: (-r[0], r[1]))
