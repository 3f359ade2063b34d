"""Nested columns that frazil writes, read by PyArrow, DuckDB and Polars: random rows with nulls and empty lists at every level,
several pages and row groups, every kind of vector, both page versions. tests/format/pq_make_nested.c prints what it wrote.

FRAZIL_PQ_MAKE_NESTED names the built tests/format/pq_make_nested.
"""
import datetime as dt
import decimal
import json
import os
import subprocess

import pytest

pa = pytest.importorskip("pyarrow")
import pyarrow.parquet as pq  # noqa: E402

MAKE = os.environ.get("FRAZIL_PQ_MAKE_NESTED", "build/format_pq_make_nested")
pytestmark = pytest.mark.skipif(not os.path.exists(MAKE), reason="pq_make_nested isn't built")

LEAVES = {
    "id": 1, "st.a": 3, "st.b": 4, "st.inner.x": 6, "st.inner.y.list.element": 8, "l.list.element": 10, "lr.list.element": 12,
    "ls.list.element.k": 15, "ls.list.element.v": 16, "ls.list.element.t.list.element": 18, "m.key_value.key": 20,
    "m.key_value.value": 21, "ml.key_value.key": 23, "ml.key_value.value.list.element.p": 26,
    "ml.key_value.value.list.element.q": 27, "req.r": 29, "req.o": 30, "deep.list.element.list.element.list.element": 34,
    "flat": 35,
}


def make(tmp_path, **settings):
    path = str(tmp_path / "n.parquet")
    run = subprocess.run([MAKE, path, *(f"{k}={v}" for k, v in settings.items())], capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stderr[-3000:]
    lines = run.stdout.splitlines()
    rows = [json.loads(line) for line in lines if line.startswith("{")]
    metrics = [line[1:].split("\t") for line in lines if line.startswith("#")]
    return path, rows, metrics


def plain(v):
    """As pq_make_nested prints it: dates as days, decimals as text, maps as pairs."""
    if isinstance(v, dict):
        return {k: plain(x) for k, x in v.items()}
    if isinstance(v, (list, tuple)):
        return [plain(x) for x in v]
    if isinstance(v, dt.date):
        return (v - dt.date(1970, 1, 1)).days
    if isinstance(v, decimal.Decimal):
        return f"{v:.3f}"
    return v


def check(got, want, reader):
    assert len(got) == len(want), reader
    for i, (g, w) in enumerate(zip(got, want)):
        g = plain(g)
        for name in w:
            assert g[name] == w[name], f"{reader} row {i} {name}: {g[name]!r} is not {w[name]!r}"


def check_pyarrow(path, rows):
    table = pq.read_table(path, page_checksum_verification=True)
    table.validate(full=True)
    check(table.to_pylist(), rows, "pyarrow")


def check_duckdb(path, rows):
    duckdb = pytest.importorskip("duckdb")
    out = []
    rel = duckdb.sql(f"SELECT * REPLACE (map_entries(m) AS m, map_entries(ml) AS ml) FROM read_parquet('{path}')")
    names = rel.columns
    for row in rel.fetchall():
        r = dict(zip(names, row))
        for m in ("m", "ml"):
            r[m] = None if r[m] is None else [[e["key"], e["value"]] for e in r[m]]
        out.append(r)
    check(out, rows, "duckdb")


def check_polars(path, rows):
    pl = pytest.importorskip("polars")
    out = pl.read_parquet(path).to_dicts()
    want = []
    for r, w in zip(out, rows):
        w = dict(w)
        for m in ("m", "ml"):  # newer ones hand maps out as dicts, in which the last of equal keys stays
            if isinstance(r[m], dict):
                r[m] = list(r[m].items())
                w[m] = list(map(list, {k: v for k, v in w[m]}.items()))
            elif r[m] is not None:
                r[m] = [[e["key"], e["value"]] for e in r[m]]
        want.append(w)
    check(out, want, "polars")


def check_structure(path, rows, metrics, version):
    meta = pq.ParquetFile(path).metadata
    names = [meta.schema.column(i).path for i in range(len(LEAVES))]
    assert names == list(LEAVES)
    assert [int(m[0]) for m in metrics] == list(LEAVES.values())
    assert [m[1] for m in metrics] == [n.replace(".list.element", ".element").replace(".key_value", "") for n in names]
    assert [m[2] == "1" for m in metrics] == [".list" in n or ".key_value" in n for n in names]
    for i, m in enumerate(metrics):
        chunks = [meta.row_group(g).column(i) for g in range(meta.num_row_groups)]
        assert sum(c.num_values for c in chunks) == int(m[3])
        assert sum(c.statistics.null_count for c in chunks) == int(m[4])
        assert all(c.has_offset_index and c.has_column_index for c in chunks)
    schema = pq.ParquetFile(path).schema_arrow
    ids = lambda f: int(f.metadata[b"PARQUET:field_id"])  # noqa: E731
    assert ids(schema.field("l")) == 9 and ids(schema.field("l").type.value_field) == 10
    assert ids(schema.field("ml").type.item_field) == 24 and not schema.field("ml").type.key_field.nullable
    assert not schema.field("req").nullable and not schema.field("lr").type.value_field.nullable
    assert schema.field("req").type.field("o").type == pa.decimal128(25, 3)


CASES = {
    "plain": {},
    "no_nulls": {"nulls": 0},
    "mostly_null": {"nulls": 90},
    "all_null": {"nulls": 100},
    "long_lists": {"max": 60, "rows": 300, "batch": 50},
    "no_elements": {"max": 0, "nulls": 0},
    "pages": {"page_rows": 37},
    "small_pages": {"page_bytes": 200},
    "row_groups": {"rg_rows": 333, "page_rows": 50},
    "selected": {"vec": "sel", "page_rows": 100},
    "dict": {"vec": "dict", "page_rows": 100},
    "runs": {"vec": "rle", "page_rows": 100},
    "const": {"vec": "const", "batch": 90, "page_rows": 100},
    "sliced": {"vec": "slice"},
    "small_dictionary": {"dict_bytes": 100, "page_rows": 64},
    "version_2": {"version": 2, "page_rows": 100},
    "version_2_uncompressed": {"version": 2, "codec": 0, "page_rows": 100},
    "snappy": {"codec": 1},
    "brotli": {"codec": 4},
    "lz4_raw": {"codec": 7},
    "threads": {"threads": 3, "rows": 20000, "max": 3},
}


@pytest.mark.parametrize("case", CASES)
def test_nested(tmp_path, case):
    settings = {"rows": 2000, "seed": 1 + list(CASES).index(case), **CASES[case]}
    path, rows, metrics = make(tmp_path, **settings)
    assert len(rows) == settings["rows"]
    check_structure(path, rows, metrics, settings.get("version", 1))
    check_pyarrow(path, rows)
    check_duckdb(path, rows)
    check_polars(path, rows)
