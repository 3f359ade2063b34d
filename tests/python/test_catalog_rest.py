"""The object API on real REST catalogs with S3 or local files, beside PyIceberg."""

import os
import sys
import uuid

import pytest

pa = pytest.importorskip("pyarrow")
pytest.importorskip("pyiceberg")
import pyiceberg.catalog  # noqa: E402

import frazil.exceptions  # noqa: E402
from frazil.catalog import load_catalog  # noqa: E402

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


@pytest.fixture(params=["weed", "reference"])
def both(request, tmp_path, monkeypatch):
    import servers

    try:
        props = servers.shared(request.param).properties()
    except servers.Missing as e:
        pytest.skip(str(e))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with load_catalog("served", **props) as ours:
        yield ours, pyiceberg.catalog.load_catalog("served", **props), "py" + uuid.uuid4().hex[:10]


ROWS = pa.table({"i": pa.array([1, 2, None], pa.int64()), "s": ["a", "b", None]})


def rows(t):
    return sorted(map(repr, t.to_pylist()))


def test_served_catalogs(both):
    ours, theirs, ns = both
    ours.create_namespace_if_not_exists(ns)
    ours.create_namespace_if_not_exists(ns)
    assert theirs.namespace_exists(ns) and (ns,) in ours.list_namespaces()
    with pytest.raises(frazil.exceptions.NamespaceAlreadyExistsError):
        ours.create_namespace(ns)
    with pytest.raises(frazil.exceptions.NoSuchTableError):
        ours.load_table((ns, "nope"))
    assert not ours.table_exists((ns, "nope"))
    ours.update_namespace_properties(ns, updates={"k": "v", "l": "w"})
    ours.update_namespace_properties(ns, removals={"k"})
    got = theirs.load_namespace_properties(ns)
    assert got["l"] == "w" and "k" not in got
    t = ours.create_table_if_not_exists(f"{ns}.t", schema=ROWS.schema)
    t.append(ROWS)
    u = theirs.load_table(f"{ns}.t")
    assert rows(t.scan().to_arrow()) == rows(u.scan().to_arrow()) == rows(ROWS)
    u.append(ROWS)
    assert t.refresh().scan("i > 1").count() == 2
    assert [s.snapshot_id for s in t.snapshots()] == [s.snapshot_id for s in u.snapshots()]
    t.delete("i = 1")
    assert rows(t.scan().to_arrow()) == rows(u.refresh().scan().to_arrow())
    with t.transaction() as tx:
        tx.append(ROWS)
        tx.set_properties(owner="me")
    assert t.scan().count() == 7 and u.refresh().properties["owner"] == "me"
    t.manage_snapshots().create_tag(t.snapshots()[0].snapshot_id, "first").commit()
    assert t.scan().use_ref("first").count() == 3
    with t.update_schema() as change:
        change.add_column("more", "long")
    assert [f.name for f in t.schema().fields] == [f.name for f in u.refresh().schema().fields] == ["i", "s", "more"]
    stale = ours.load_table(f"{ns}.t")
    t.append(ROWS)
    with pytest.raises(frazil.exceptions.CommitFailedException):
        stale.manage_snapshots().rollback_to_snapshot(t.snapshots()[0].snapshot_id).commit()
    pl = pytest.importorskip("polars")
    assert t.to_polars().filter(pl.col("i") == 2).collect().height == 4
    assert ours.list_tables(ns) == theirs.list_tables(ns) == [(ns, "t")]
    with pytest.raises(frazil.exceptions.TableAlreadyExistsError):
        ours.create_table(f"{ns}.t", ROWS.schema)
    with pytest.raises(frazil.exceptions.NamespaceNotEmptyError):
        ours.drop_namespace(ns)
    ours.drop_table(f"{ns}.t")
    assert not theirs.table_exists(f"{ns}.t")
    ours.drop_namespace(ns)
    assert not ours.namespace_exists(ns)
