"""The embedded catalog with PyIceberg on the same file, both ways, and transforms against PyIceberg's.

FRAZIL_CAT_TOOL names the built tests/catalog/cat_tool.
"""
import os
import random
import sqlite3
import subprocess
import threading

import pytest

pytest.importorskip("pyiceberg")
from pyiceberg.catalog import load_catalog  # noqa: E402
from pyiceberg.exceptions import CommitFailedException  # noqa: E402
from pyiceberg.partitioning import PartitionField, PartitionSpec  # noqa: E402
from pyiceberg.schema import Schema  # noqa: E402
from pyiceberg.transforms import BucketTransform, MonthTransform, parse_transform  # noqa: E402
from pyiceberg.types import (  # noqa: E402
    DateType, DecimalType, FixedType, IntegerType, ListType, LongType, MapType, NestedField, StringType,
    StructType, TimestampType, TimestamptzType, UUIDType,
)

TOOL = os.environ.get("FRAZIL_CAT_TOOL", "build/catalog_cat_tool")
pytestmark = pytest.mark.skipif(not os.path.exists(TOOL), reason="cat_tool isn't built")


def tool(lake, *args, ok=True, text=None):
    run = subprocess.run([TOOL, str(lake), *args], capture_output=True, text=True, input=text, timeout=120)
    if ok:
        assert run.returncode == 0, run.stderr
        return run.stdout.split("\n")[:-1]
    assert run.returncode == 1
    return run.stderr


def pyiceberg(lake, name="default"):
    return load_catalog(name, type="sql", uri=f"sqlite:///{lake}/catalog.db", warehouse=f"file://{lake}/warehouse")


def test_ours_read_by_pyiceberg(tmp_path):
    lake = tmp_path / "lake"
    tool(lake, "create-namespace", "default")
    tool(lake, "create-namespace", "a.b", "owner", "o'x")
    location = tool(lake, "create-table", "default", "t", "month")[0]
    assert location.startswith(f"file://{lake}/warehouse/default/t/metadata/00000-")
    c = pyiceberg(lake)
    assert sorted(c.list_namespaces()) == [("a",), ("default",)]
    assert c.list_namespaces("a") == [("a", "b")]
    assert c.load_namespace_properties("default") == {"exists": "true"}
    assert c.load_namespace_properties("a.b") == {"owner": "o'x"}
    assert c.list_tables("default") == [("default", "t")]
    t = c.load_table("default.t")
    assert t.metadata_location == location
    assert t.properties == {"made-by": "cat_tool"}
    assert [(f.field_id, f.name, str(f.field_type), f.required, f.doc) for f in t.schema().fields] == [
        (1, "id", "long", True, 'a "key"'), (2, "name", "string", False, None),
        (3, "ts", "timestamptz", False, None), (4, "price", "decimal(9, 2)", False, None)]
    assert [(f.source_id, f.field_id, f.name, f.transform) for f in t.spec().fields] == [(3, 1000, "part", MonthTransform())]
    with t.transaction() as tx:
        tx.set_properties(py="1")
    tool(lake, "set", "default", "t", "ours", "2")
    t = c.load_table("default.t")
    assert t.properties == {"made-by": "cat_tool", "py": "1", "ours": "2"}
    assert [os.path.basename(e.metadata_file)[:5] for e in t.metadata.metadata_log] == ["00000", "00001"]
    assert os.path.basename(t.metadata_location)[:5] == "00002"
    for e in t.metadata.metadata_log:
        assert os.path.exists(e.metadata_file[len("file://"):])


def test_theirs_read_by_us(tmp_path):
    lake = tmp_path / "lake"
    os.makedirs(lake)
    c = pyiceberg(lake)
    c.create_namespace("db")
    c.create_namespace("x.y", {"k": "v"})
    schema = Schema(
        NestedField(1, "i", IntegerType(), required=True), NestedField(2, "f", FixedType(7)),
        NestedField(3, "d", DecimalType(30, 4)), NestedField(4, "u", UUIDType()),
        NestedField(5, "l", ListType(6, StringType(), False)),
        NestedField(7, "m", MapType(8, StringType(), 9, StructType(NestedField(10, "x", LongType())))),
        identifier_field_ids=[1])
    spec = PartitionSpec(PartitionField(1, 1000, BucketTransform(5), "i_b"))
    c.create_table("db.t", schema, partition_spec=spec, properties={"a": "b"})
    assert tool(lake, "namespaces") == ["db", "x", "x.y"]
    assert tool(lake, "namespace-props", "x.y") == ["k=v"]
    assert tool(lake, "namespace-props", "db") == []
    assert tool(lake, "tables", "db") == ["t"]
    shown = tool(lake, "show", "db", "t")
    assert shown[0] == f"file://{lake}/warehouse/db/t"
    assert shown[1:5] == ["1 i int required", "2 f fixed[7]", "3 d decimal(30, 4)", "4 u uuid"]
    assert shown[-1] == "partition i_b bucket[5] 1"
    tool(lake, "set", "db", "t", "from", "c")
    t = c.load_table("db.t")
    assert t.properties == {"a": "b", "from": "c"}
    assert t.schema().identifier_field_ids == [1]
    assert str(t.schema().find_type("m")) == str(schema.find_type("m"))
    c.drop_table("db.t")
    assert "doesn't exist" in tool(lake, "show", "db", "t", ok=False)
    tool(lake, "create-table", "db", "t")
    assert tool(lake, "show", "db", "t")[0].startswith(f"file://{lake}/warehouse/db/t-")


def test_snapshots_of_pyiceberg(tmp_path):
    pa = pytest.importorskip("pyarrow")
    lake = tmp_path / "lake"
    tool(lake, "create-namespace", "default")
    tool(lake, "create-table", "default", "t")
    t = pyiceberg(lake).load_table("default.t")
    rows = pa.table({"id": pa.array([1, 2], pa.int64())}, schema=pa.schema([pa.field("id", pa.int64(), nullable=False)]))
    t.append(rows)
    tool(lake, "set", "default", "t", "between", "x")
    t = pyiceberg(lake).load_table("default.t")
    t.append(rows)
    t.overwrite(rows)
    assert tool(lake, "show", "default", "t")[-4:] == [
        "snapshot 1 append", "snapshot 2 append", "snapshot 3 delete", "snapshot 4 append"]
    tool(lake, "set", "default", "t", "after", "x")
    assert pyiceberg(lake).load_table("default.t").scan().to_arrow().num_rows == 2


def test_older_schema(tmp_path):
    lake = tmp_path / "lake"
    os.makedirs(lake)
    c = pyiceberg(lake)
    c.create_namespace("n")
    c.create_table("n.t", Schema(NestedField(1, "i", IntegerType())))
    with sqlite3.connect(lake / "catalog.db") as db:
        db.execute("ALTER TABLE iceberg_tables DROP COLUMN iceberg_type")
    assert tool(lake, "tables", "n") == ["t"]
    tool(lake, "set", "n", "t", "k", "v")
    tool(lake, "create-table", "n", "ours")
    with sqlite3.connect(lake / "catalog.db") as db:
        assert len(db.execute("PRAGMA table_info(iceberg_tables)").fetchall()) == 5
    c = pyiceberg(lake)
    assert sorted(c.list_tables("n")) == [("n", "ours"), ("n", "t")]
    assert c.load_table("n.t").properties == {"k": "v"}


def test_other_catalog_name(tmp_path):
    lake = tmp_path / "lake"
    os.makedirs(lake)
    pyiceberg(lake, "prod").create_namespace("n")
    assert tool(lake, "namespaces") == ["n"]
    tool(lake, "create-table", "n", "t")
    assert pyiceberg(lake, "prod").list_tables("n") == [("n", "t")]
    pyiceberg(lake, "dev").create_namespace("n")
    assert "several catalogs" in tool(lake, "namespaces", ok=False)


def test_together(tmp_path):
    """Four of our processes and PyIceberg commit at once: it never meets a locked catalog, nothing is lost."""
    lake = tmp_path / "lake"
    tool(lake, "create-namespace", "n")
    tool(lake, "create-table", "n", "t")
    errors = []

    def ours(name):
        run = subprocess.run([TOOL, str(lake), "set-many", "n", "t", "40", name], capture_output=True, text=True, timeout=120)
        if run.returncode:
            errors.append(run.stderr)

    threads = [threading.Thread(target=ours, args=(f"w{i}",)) for i in range(4)]
    for t in threads:
        t.start()
    done = 0
    c = pyiceberg(lake)
    for i in range(20):
        try:
            with c.load_table("n.t").transaction() as tx:
                tx.set_properties({f"py-{i}": "x"})
            done += 1
        except CommitFailedException:
            pass  # somebody was faster: PyIceberg says so, and nothing of it may remain
    for t in threads:
        t.join()
    assert errors == []
    props = c.load_table("n.t").properties
    assert sum(k.startswith("w") for k in props) == 160
    assert sum(k.startswith("py-") for k in props) == done


NUMBERS = [0, 1, -1, 9, 10, -10, -11, 34, 1234567, -1234567]
DAYS = [v // 10 for v in NUMBERS]  # Python's dates end in the year 9999
WIDE = NUMBERS + [2**40 + 3, -(2**40) - 3, 2**53, 1510871468000000, -1510871468000001]
TEXTS = ["a", "iceberg", "a longer text than twelve bytes", "é€", "日本語 text", "ab\tc"]


@pytest.mark.parametrize("transform,kind,name,values", [
    ("bucket[16]", IntegerType(), "int", NUMBERS), ("bucket[16]", LongType(), "long", WIDE),
    ("bucket[100]", DateType(), "date", NUMBERS), ("bucket[100]", TimestampType(), "timestamp", WIDE),
    ("bucket[7]", StringType(), "string", TEXTS), ("truncate[10]", IntegerType(), "int", NUMBERS),
    ("truncate[7]", LongType(), "long", WIDE), ("truncate[3]", StringType(), "string", TEXTS),
    ("year", DateType(), "date", DAYS), ("month", DateType(), "date", DAYS), ("day", DateType(), "date", DAYS),
    ("year", TimestampType(), "timestamp", WIDE), ("month", TimestamptzType(), "timestamptz", WIDE),
    ("day", TimestampType(), "timestamp", WIDE), ("hour", TimestamptzType(), "timestamptz", WIDE),
    ("year", DateType(), "date", "random"), ("month", DateType(), "date", "random"),
    ("day", TimestampType(), "timestamp", "random"), ("hour", TimestampType(), "timestamp", "random"),
    ("bucket[1000]", LongType(), "long", "random"),
])
def test_transforms(transform, kind, name, values):
    if values == "random":
        r = random.Random(7)
        span = 700_000 if name == "date" else 60_000_000_000_000_000
        values = [r.randrange(-span, span) for _ in range(2000)]
    theirs = parse_transform(transform).transform(kind)
    run = subprocess.run([TOOL, "transform", transform, name], input="".join(f"{v}\n" for v in values),
                         capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, run.stderr
    assert run.stdout.split("\n")[:-1] == [str(theirs(v)) for v in values]


def test_decimal_transforms():
    from decimal import Decimal
    values = [0, 1, -1, 1420, -1420, 127, 128, -128, -129, 32767, 32768, 10**15, -(10**15)]
    for p in (18, 30):
        kind = DecimalType(p, 2)
        for transform in ("bucket[100]", "truncate[50]"):
            theirs = parse_transform(transform).transform(kind)
            run = subprocess.run([TOOL, "transform", transform, f"decimal({p}, 2)"], input="".join(f"{v}\n" for v in values),
                                 capture_output=True, text=True, timeout=60)
            want = [theirs(Decimal(v).scaleb(-2)) for v in values]
            want = [int(w.scaleb(2)) if isinstance(w, Decimal) else w for w in want]
            assert run.stdout.split("\n")[:-1] == [str(w) for w in want]
