"""Metadata tables against PyIceberg's inspect, on tables of frazil, PyIceberg and Spark; tables named by their path; what is refused."""
import os, random, shutil

import pyarrow as pa
import pytest

import golden
from frazil_arrow import FrazilError, Session

INSPECT = ["snapshots", "history", "refs", "files", "data_files", "delete_files", "all_files", "all_data_files", "all_delete_files", "manifests",
           "all_manifests", "partitions", "entries", "metadata_log_entries"]


def common(v):
    """A value in what both sides have in common: PyIceberg has empty maps and lists where there are none, times without zone, enums."""
    if not isinstance(v, dict):
        v = golden.plain(v)
    if isinstance(v, dict):
        if set(v) == {"map"}:
            return v
        return {k: common(x) for k, x in v.items() if (k, x) != ("partition", {})}  # an unpartitioned table has no such column here
    if v == []:
        return None
    if isinstance(v, list):
        return [common(x) for x in v]
    return v.removesuffix("+00:00") if isinstance(v, str) else v


def only(theirs, ours):
    """Ours, cut to the members that theirs has."""
    if isinstance(theirs, dict) and isinstance(ours, dict) and "map" not in theirs:
        return {k: only(theirs[k], ours.get(k, "missing")) for k in theirs}
    return ours


def without_nested_metrics(row, table):
    """PyIceberg's readable_metrics tell nothing right about nested columns: they have their own under other names here."""
    for m in (row.get("readable_metrics"),):
        for f in table.schema().fields if m else []:
            if not f.field_type.is_primitive:
                m.pop(f.name, None)
    return row


def compare(s, name, table):
    for kind in INSPECT:
        try:
            theirs = getattr(table.inspect, kind)()
        except ValueError as e:
            assert "does not have any" in str(e)  # partitions and entries of an empty table
            theirs = None
        ours = s.query(f"SELECT * FROM {name}.{kind}").to_pylist()
        if theirs is None:
            assert ours == []
            continue
        if kind == "snapshots":
            theirs = theirs.to_pylist()
            for r in theirs:
                r["operation"] = r["operation"].removeprefix("Operation.").lower()
        else:
            theirs = theirs.to_pylist()
        theirs = [common(without_nested_metrics(r, table)) for r in theirs]
        ours = [common(r) for r in ours]
        assert len(ours) == len(theirs), (name, kind)
        key = lambda r: str([r.get(k) for k in ("file_path", "path", "snapshot_id", "data_file", "partition", "timestamp", "made_current_at", "name", "file", "reference_snapshot_id")])
        for a, b in zip(sorted((only(t, o) for t, o in pair(theirs, ours)), key=key), sorted(theirs, key=key)):
            assert a == b, (name, kind)


def pair(theirs, ours):
    """Every one of ours with one of theirs, whose members are the same in all rows of a table."""
    return [(theirs[0], o) for o in ours]


@pytest.fixture(scope="module")
def spark_tables(tmp_path_factory):
    golden.unpack()
    path = str(tmp_path_factory.mktemp("meta") / "lake")
    golden.make_lake(path, golden.names())
    with Session(path) as s:
        yield s, path


# Not among them: what PyIceberg fails on (locations with '#', version 3, delete files without column sizes) and float partitions, which it writes as inf
@pytest.mark.parametrize("name", ["types_v1", "types_v2", "pos_file", "pos_partition_partitioned", "pos_rewritten", "eq_partitioned", "maintained",
                                  "branches", "rolled_back", "empty", "empty_snapshot", "part_day", "part_bucket", "nested", "wide_metrics",
                                  "delete_after_commit", "manifests_unmerged", "sorted", "cow_merge"])
def test_spark_tables(spark_tables, name):
    from pyiceberg.catalog import load_catalog
    s, path = spark_tables
    c = load_catalog("default", type="sql", uri=f"sqlite:///{path}/catalog.db", warehouse=f"file://{path}/warehouse")
    compare(s, f"golden.{name}", c.load_table(f"golden.{name}"))


def test_own_and_pyicebergs_tables(lake):
    r = random.Random(4)
    with Session(lake.path) as s:
        s.query("CREATE TABLE own PARTITIONED BY (bucket(3, id), month(d)) WITH ('owner' = 'me') AS SELECT i AS id, DATE '2020-01-01' + i AS d, CAST(i * 0.5 AS double) AS x FROM "
                "(VALUES (1), (50), (100), (NULL)) v(i)")
        s.query("INSERT INTO own VALUES (7, NULL, 1.5), (8, DATE '1969-12-31', CAST('NaN' AS double))")
        s.query("INSERT OVERWRITE own VALUES (9, DATE '1999-12-31', 2)")
        c = lake.catalog()
        t = c.create_table("default.theirs", pa.schema([("id", pa.int64()), ("s", pa.string())]))
        for n in (1, 3):
            t.append(pa.table({"id": [r.randrange(100) for _ in range(n)], "s": ["x"] * n}))
        t.delete("id > 50")
        for name in ("own", "theirs"):
            compare(s, name, lake.table(name))
        assert dict(s.rows("SELECT * FROM own.properties"))["owner"] == "me"


def test_names(lake):
    with Session(lake.path) as s:
        s.query("CREATE SCHEMA t")
        s.query("CREATE TABLE t (a int)")
        s.query("INSERT INTO t VALUES (1)")
        want = s.rows("SELECT snapshot_id FROM default.t.snapshots")
        for name in ("t.snapshots", "T.SNAPSHOTS", '"t$snapshots"', 'default."t$snapshots"'):
            assert s.rows(f"SELECT snapshot_id FROM {name}") == want
        assert s.rows("SELECT f.record_count, m.content FROM default.t.files f, default.t.manifests m WHERE f.file_path LIKE '%.parquet'") == [[1, 0]]
        assert s.rows("SELECT count(*) FROM default.t.files") == [[1]]
        assert s.rows("SELECT readable_metrics.a.upper_bound FROM default.t.files") == [[1]]
        with pytest.raises(FrazilError, match="no table"):
            s.query("SELECT * FROM nix.snapshots")
        with pytest.raises(FrazilError, match="older states"):
            s.query(f"SELECT * FROM default.t.snapshots VERSION AS OF {want[0][0]}")
        assert s.rows(f"SELECT record_count FROM default.t.files VERSION AS OF {want[0][0]}") == [[1]]
        with pytest.raises(FrazilError, match="no snapshot"):
            s.query("SELECT * FROM default.t.files VERSION AS OF 5")
        with pytest.raises(FrazilError, match="no snapshot"):
            s.query("SELECT * FROM t VERSION AS OF 5")
        s.query("CREATE TABLE t.snapshots (own int)")  # a table's own name comes first
        assert s.query("SELECT * FROM t.snapshots").column_names == ["own"]


def test_large(lake):
    """More rows than a batch, several manifests."""
    with Session(lake.path) as s:
        s.query("CREATE TABLE t (a int, p int) PARTITIONED BY (p) WITH (" + ", ".join(f"'k{i}' = 'v{i}'" for i in range(2500)) + ")")
        got = dict(s.rows("SELECT * FROM t.properties WHERE key LIKE 'k%'"))
        assert got == {f"k{i}": f"v{i}" for i in range(2500)}
        for i in range(3):
            s.query("INSERT INTO t VALUES " + ", ".join(f"({j}, {j})" for j in range(i * 7, i * 7 + 12)))
        assert s.rows("SELECT count(*), sum(record_count), count(DISTINCT file_path) FROM t.files") == [[36, 36, 36]]
        assert s.rows("SELECT count(*), sum(file_count), max(file_count) FROM t.partitions") == [[26, 36, 2]]
        assert s.rows("SELECT status, count(*) FROM t.all_entries GROUP BY ALL ORDER BY 1")[-1] == [1, 36]


def test_avro_position_deletes(spark_tables):
    s, _ = spark_tables
    got = s.rows("SELECT file_path, pos, delete_file_path FROM golden.pos_avro.position_deletes")
    assert len(got) == s.rows("SELECT sum(record_count) FROM golden.pos_avro.delete_files")[0][0] > 0
    assert {r[0] for r in got} <= {r[0] for r in s.rows("SELECT file_path FROM golden.pos_avro.all_data_files")}
    assert all(r[1] >= 0 and r[2].endswith(".avro") for r in got)


# ---- by path ----

def test_by_path(lake, tmp_path):
    with Session(lake.path) as s:
        s.query("CREATE TABLE t (a int)")
        for i in range(3):
            s.query(f"INSERT INTO t VALUES ({i})")
        ids = [r[0] for r in s.rows("SELECT snapshot_id FROM t.snapshots ORDER BY committed_at")]
        folder = lake.table("t").location().removeprefix("file://")
        first = sorted(f for f in os.listdir(folder + "/metadata") if f.startswith("00001"))[0]
    with Session(tmp_path / "other") as s:
        for path in (folder, folder + "/", "file://" + folder):
            assert s.rows(f"SELECT count(*), max(a) FROM '{path}'") == [[3, 2]]
        assert s.rows(f"SELECT a FROM '{folder}/metadata/{first}'") == [[0]]
        assert s.rows(f"SELECT a FROM '{folder}' VERSION AS OF {ids[0]}") == [[0]]
        assert s.rows(f"SELECT a FROM '{folder}' FOR TIMESTAMP AS OF '2999-01-01' WHERE a > 1") == [[2]]
        assert len(s.rows(f"SELECT * FROM '{folder}$snapshots'")) == 3
        assert s.rows(f"SELECT t.a FROM '{folder}' t JOIN '{folder}' u USING (a) WHERE a = 1") == [[1]]


def test_folder_without_catalog(tmp_path):
    """Tables of Hadoop's kind: version-hint.text may be behind, ahead, or a name."""
    golden.unpack()
    source = golden.ROOT + "/hadoop/db/folder"
    want = [[1, "a"], [3, "c"]]
    with Session(tmp_path / "lake") as s:
        assert sorted(s.rows(f"SELECT * FROM '{source}'")) == want
        copy = tmp_path / "copy"
        for hint, rows in (("4", want), ("4\n", want), ("1", want), ("99", want), ("v2", 2), ("", want), ("v2.metadata.json", 2), (None, want)):
            shutil.rmtree(copy, ignore_errors=True)
            shutil.copytree(source, copy)  # its data stays where it was
            if hint is None:
                os.unlink(copy / "metadata/version-hint.text")
            else:
                (copy / "metadata/version-hint.text").write_text(hint)
            got = s.rows(f"SELECT * FROM '{copy}'")
            assert (sorted(got) if isinstance(rows, list) else len(got)) == rows, hint
        os.unlink(copy / "metadata/v3.metadata.json")  # a gap: what follows the hint counts up to there
        (copy / "metadata/version-hint.text").write_text("1")
        assert len(s.rows(f"SELECT * FROM '{copy}'")) == 2


def test_paths_that_are_no_tables(tmp_path):
    with Session(tmp_path / "lake") as s:
        (tmp_path / "plain").mkdir()
        (tmp_path / "broken/metadata").mkdir(parents=True)
        (tmp_path / "broken/metadata/v1.metadata.json").write_text('{"format-version": 2')
        (tmp_path / "v3.metadata.json").write_text('{"format-version": 3}')
        (tmp_path / "x.csv").write_text("a\n1\n")
        for path, words in (("plain", "isn't an Iceberg table"), ("broken", "v1.metadata.json"), ("v3.metadata.json", "version 3"),
                            ("none.metadata.json", "No such file"), ("plain$files", "isn't an Iceberg table"), ("x.csv$files", "No such file")):
            with pytest.raises(FrazilError, match=words):
                s.query(f"SELECT * FROM '{tmp_path}/{path}'")
        with pytest.raises(FrazilError, match="AS OF is for tables"):
            s.query(f"SELECT * FROM '{tmp_path}/x.csv' VERSION AS OF 3")
        assert s.rows(f"SELECT * FROM '{tmp_path}/x.csv'") == [[1]]
