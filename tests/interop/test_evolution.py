"""ALTER TABLE, branches, expiry and orphans: PyIceberg does the same to a twin and the metadata are compared; each goes on with what the
other made. Every lake is checked against the specification afterwards (conftest)."""
import glob, gzip, json, os, sqlite3, subprocess, time
from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa
import pytest

from conftest import FRAZIL, Lake


def metadata(lake, name):
    from validate_iceberg import read_metadata
    return read_metadata(lake.table(name).metadata_location)


def pointer(lake, ns, name):
    con = sqlite3.connect(lake.path + "/catalog.db")
    return con.execute("SELECT metadata_location FROM iceberg_tables WHERE table_namespace = ? AND table_name = ?", (ns, name)).fetchone()[0]


def shape(md):
    """What evolution changes, without what differs between any two tables."""
    current = next(s for s in md["schemas"] if s["schema-id"] == md["current-schema-id"])
    spec = next(s for s in md["partition-specs"] if s["spec-id"] == md["default-spec-id"])
    order = next(s for s in md["sort-orders"] if s["order-id"] == md["default-sort-order-id"])
    fields = json.loads(json.dumps(current["fields"]))
    return {"fields": fields, "identifier": sorted(current.get("identifier-field-ids", [])), "last": md["last-column-id"],
            "spec": [{k: f[k] for k in ("source-id", "field-id", "transform", "name")} for f in spec["fields"]],
            "last-partition": md["last-partition-id"], "order": order["fields"]}


def refused(lake, statement, *words):
    r = lake.run("sql", statement, check=False)
    assert r.returncode, statement
    for w in words:
        assert w in r.stderr, r.stderr


@pytest.fixture
def twins(lake):
    """One table made here, one by PyIceberg with the same columns."""
    from pyiceberg.schema import Schema
    from pyiceberg.types import DateType, DecimalType, FloatType, IntegerType, NestedField, StringType, TimestampType
    lake.sql("CREATE TABLE ours (id int NOT NULL, name text, f float(20), d decimal(9,2), ts timestamp, dt date)")
    lake.catalog().create_table("default.theirs", Schema(
        NestedField(1, "id", IntegerType(), required=True), NestedField(2, "name", StringType()), NestedField(3, "f", FloatType()),
        NestedField(4, "d", DecimalType(9, 2)), NestedField(5, "ts", TimestampType()), NestedField(6, "dt", DateType())))
    return lake


def both_equal(lake):
    ours, theirs = shape(metadata(lake, "ours")), shape(metadata(lake, "theirs"))
    for x in (ours, theirs):  # PyIceberg leaves "doc" out or writes it, by version
        for f in x["fields"]:
            f.pop("doc", None) if not f.get("doc") else None
    assert ours == theirs


def test_schema_twins(twins):
    from pyiceberg.types import DecimalType, DoubleType, IntegerType, ListType, LongType, NestedField, StringType, StructType
    twins.sql("ALTER TABLE ours ADD COLUMN n bigint COMMENT 'new' AFTER name, ADD z text FIRST")
    with twins.table("theirs").update_schema() as u:
        u.add_column("n", LongType(), doc="new")
        u.move_after("n", "name")
        u.add_column("z", StringType())
        u.move_first("z")
    both_equal(twins)
    twins.sql("ALTER TABLE ours ALTER id TYPE bigint, ALTER COLUMN f SET DATA TYPE double precision, ALTER d TYPE decimal(20,2)")
    with twins.table("theirs").update_schema() as u:
        u.update_column("id", field_type=LongType())
        u.update_column("f", field_type=DoubleType())
        u.update_column("d", field_type=DecimalType(20, 2))
    both_equal(twins)
    twins.sql("ALTER TABLE ours RENAME COLUMN name TO title, DROP COLUMN dt, ALTER id DROP NOT NULL, ALTER title COMMENT 'what'")
    with twins.table("theirs").update_schema() as u:
        u.rename_column("name", "title")
        u.delete_column("dt")
        u.make_column_optional("id")
        u.update_column("name", doc="what")
    both_equal(twins)
    # a name that comes back is another column
    twins.sql("ALTER TABLE ours ADD COLUMN dt int")
    with twins.table("theirs").update_schema() as u:
        u.add_column("dt", IntegerType())
    both_equal(twins)
    assert metadata(twins, "ours")["last-column-id"] == 9


def test_properties_follow_columns(twins):
    from pyiceberg.types import IntegerType, StringType, StructType, NestedField
    mapping = [{"field-id": 1, "names": ["id"]}, {"field-id": 2, "names": ["name", "label"]}]
    for t in ("ours", "theirs"):
        twins.sql(f"ALTER TABLE {t} SET TBLPROPERTIES ('schema.name-mapping.default'='{json.dumps(mapping)}')")

    def same_mapping():
        ours, theirs = (json.loads(metadata(twins, t)["properties"]["schema.name-mapping.default"]) for t in ("ours", "theirs"))
        key = lambda f: f["field-id"]
        tidy = lambda fs: sorted(({"field-id": f["field-id"], "names": sorted(f["names"]), "fields": tidy(f.get("fields") or [])} for f in fs), key=key)
        assert tidy(ours) == tidy(theirs)
    twins.sql("ALTER TABLE ours RENAME COLUMN name TO title, ADD COLUMN more struct(x int, y text)")
    with twins.table("theirs").update_schema() as u:
        u.rename_column("name", "title")
        u.add_column("more", StructType(NestedField(0, "x", IntegerType()), NestedField(0, "y", StringType())))
    same_mapping()
    # a name that means another column from now on is taken from the one that had it
    twins.sql("ALTER TABLE ours ADD COLUMN name text; ALTER TABLE ours RENAME COLUMN more.x TO z")
    with twins.table("theirs").update_schema() as u:
        u.add_column("name", StringType())
    with twins.table("theirs").update_schema() as u:
        u.rename_column(("more", "x"), "z")
    same_mapping()
    metrics = "write.metadata.metrics.column."
    twins.sql(f"ALTER TABLE ours SET TBLPROPERTIES ('{metrics}id'='none', '{metrics}title'='counts', '{metrics}more.z'='full',"
              " 'write.parquet.bloom-filter-enabled.column.title'='true')")
    twins.sql("ALTER TABLE ours RENAME COLUMN title TO t2, RENAME COLUMN id TO title, RENAME COLUMN more TO less")
    p = {k: v for k, v in metadata(twins, "ours")["properties"].items() if ".column." in k}
    assert p == {metrics + "title": "none", metrics + "t2": "counts", metrics + "less.z": "full", "write.parquet.bloom-filter-enabled.column.t2": "true"}
    twins.sql("ALTER TABLE ours DROP COLUMN less")
    assert metrics + "less.z" not in metadata(twins, "ours")["properties"]


def test_partition_twins(twins):
    from pyiceberg.transforms import BucketTransform, DayTransform, HourTransform, IdentityTransform, MonthTransform, TruncateTransform
    steps = [
        ("ADD PARTITION FIELD month(ts)", lambda u: u.add_field("ts", MonthTransform(), "ts_month")),
        ("ADD PARTITION FIELD bucket(16, id) AS shard", lambda u: u.add_field("id", BucketTransform(16), "shard")),
        ("ADD PARTITION FIELD truncate(4, name)", lambda u: u.add_field("name", TruncateTransform(4), "name_trunc_4")),
        ("DROP PARTITION FIELD shard", lambda u: u.remove_field("shard")),
        ("RENAME PARTITION FIELD ts_month TO m", lambda u: u.rename_field("ts_month", "m")),
        ("ADD PARTITION FIELD bucket(16, id) AS shard", lambda u: u.add_field("id", BucketTransform(16), "shard")),
        ("ADD PARTITION FIELD dt", lambda u: u.add_field("dt", IdentityTransform(), "dt")),
        ("ADD PARTITION FIELD bucket(8, id)", lambda u: u.add_field("id", BucketTransform(8), "id_bucket_8")),
    ]
    for sql, theirs in steps:
        twins.sql("ALTER TABLE ours " + sql)
        with twins.table("theirs").update_spec() as u:
            theirs(u)
        both_equal(twins)
    # drop and add in one statement, by the term instead of the name
    twins.sql("ALTER TABLE ours REPLACE PARTITION FIELD m WITH day(ts) AS d1, DROP PARTITION FIELD truncate(4, name)")
    assert [f["name"] for f in shape(metadata(twins, "ours"))["spec"]] == ["shard", "dt", "id_bucket_8", "d1"]


def test_sort_order_and_identifier(twins):
    twins.sql("ALTER TABLE ours WRITE ORDERED BY name DESC, truncate(2, id), d ASC NULLS LAST, SET IDENTIFIER FIELDS id")
    md = metadata(twins, "ours")
    assert shape(md)["order"] == [
        {"transform": "identity", "source-id": 2, "direction": "desc", "null-order": "nulls-last"},
        {"transform": "truncate[2]", "source-id": 1, "direction": "asc", "null-order": "nulls-first"},
        {"transform": "identity", "source-id": 4, "direction": "asc", "null-order": "nulls-last"}]
    assert shape(md)["identifier"] == [1]
    assert md["default-sort-order-id"] == 1
    refused(twins, "ALTER TABLE ours SET IDENTIFIER FIELDS name", "may be null")
    refused(twins, "ALTER TABLE ours DROP COLUMN d", "sorted by")
    twins.sql("ALTER TABLE ours WRITE UNORDERED, DROP IDENTIFIER FIELDS id")
    md = metadata(twins, "ours")
    assert md["default-sort-order-id"] == 0 and shape(md)["identifier"] == []
    twins.sql("ALTER TABLE ours DROP COLUMN d")


def test_handing_over(lake):
    """PyIceberg evolves what we made, we go on, both read every row."""
    from pyiceberg.types import LongType
    lake.sql("CREATE TABLE t (id int, name text) PARTITIONED BY (bucket(4, id))")
    lake.sql("INSERT INTO t VALUES (1, 'a'), (2, 'b')")
    t = lake.table("t")
    with t.update_schema() as u:
        u.add_column("n", LongType())
        u.rename_column("name", "title")
    with t.update_spec() as u:
        u.remove_field("id_bucket")
        u.add_identity("title")
    t.append(pa.table({"id": pa.array([3], pa.int32()), "title": ["c"], "n": pa.array([30], pa.int64())}))
    lake.sql("ALTER TABLE t DROP COLUMN n, ADD COLUMN n text, ALTER id TYPE bigint")
    lake.sql("INSERT INTO t VALUES (4, 'd', 'four')")
    want = [["1", "a", ""], ["2", "b", ""], ["3", "c", ""], ["4", "d", "four"]]
    assert lake.sql("SELECT id, title, n FROM t ORDER BY id") == want
    got = lake.table("t").scan().to_arrow().sort_by("id").to_pylist()
    assert [[str(r["id"]), r["title"], r["n"] or ""] for r in got] == want
    assert len(lake.table("t").specs()) == 2


def test_branches_and_time_travel(lake):
    lake.sql("CREATE TABLE t (id int)")
    refused(lake, "ALTER TABLE t CREATE BRANCH b", "no snapshot yet")
    lake.sql("INSERT INTO t VALUES (1)")
    first = lake.table("t").current_snapshot().snapshot_id
    lake.sql("ALTER TABLE t CREATE TAG v1 RETAIN 7 DAYS, CREATE BRANCH audit AS OF VERSION %d RETAIN 2 HOURS WITH SNAPSHOT RETENTION 3 SNAPSHOTS 4 DAYS" % first)
    refs = metadata(lake, "t")["refs"]
    assert refs["v1"] == {"snapshot-id": first, "type": "tag", "max-ref-age-ms": 7 * 86400000}
    assert refs["audit"] == {"snapshot-id": first, "type": "branch", "min-snapshots-to-keep": 3, "max-snapshot-age-ms": 4 * 86400000, "max-ref-age-ms": 7200000}
    lake.sql("INSERT INTO t.branch_audit VALUES (2)")
    lake.sql("ALTER TABLE t ADD COLUMN x int")
    lake.sql("INSERT INTO t VALUES (9, 9)")
    assert metadata(lake, "t")["refs"]["audit"]["min-snapshots-to-keep"] == 3  # a commit leaves it
    t = lake.table("t")
    assert sorted(t.scan(snapshot_id=t.snapshot_by_name("audit").snapshot_id).to_arrow()["id"].to_pylist()) == [1, 2]
    assert lake.sql("SELECT * FROM t ORDER BY id") == [["1", ""], ["9", "9"]]
    # a branch has the table's columns, a tag and a snapshot those of then
    for branch in ("t.branch_audit", "t FOR VERSION AS OF 'audit'", "t VERSION AS OF 'audit'", "t AT (BRANCH => 'audit')"):
        assert lake.sql(f"SELECT * FROM {branch} ORDER BY id") == [["1", ""], ["2", ""]]
    for tag in ("t.tag_v1", "t VERSION AS OF 'v1'", f"t VERSION AS OF {first}", f"t.snapshot_id_{first}", f"t AT (VERSION => {first})", "t AT (TAG => 'v1')"):
        assert lake.sql(f"SELECT * FROM {tag}") == [["1"]]
    ms = t.snapshot_by_id(first).timestamp_ms
    from datetime import datetime, timezone
    when = datetime.fromtimestamp(ms / 1000, timezone.utc).strftime("%Y-%m-%d %H:%M:%S.%f+00")
    for at in (f"TIMESTAMP AS OF '{when}'", f"FOR SYSTEM_TIME AS OF timestamptz '{when}'", f"AT (TIMESTAMP => timestamptz '{when}')"):
        assert lake.sql(f"SELECT * FROM t {at}") == [["1"]]
    assert lake.sql(f"SELECT * FROM t.at_timestamp_{ms}") == [["1"]]
    assert lake.sql("SELECT count(*) FROM t TIMESTAMP AS OF now()") == [["2"]]
    refused(lake, "SELECT * FROM t TIMESTAMP AS OF now() - interval '1 day'", "no snapshot as old")
    refused(lake, "INSERT INTO t.tag_v1 VALUES (1, 1)", "is a tag")
    refused(lake, "INSERT INTO t.branch_nope VALUES (1, 1)", "no branch")
    refused(lake, "ALTER TABLE t DROP BRANCH main", "can't be dropped")
    refused(lake, "ALTER TABLE t DROP TAG audit", "is a branch")
    refused(lake, "ALTER TABLE t CREATE BRANCH audit", "exists already")
    refused(lake, "ALTER TABLE t REPLACE TAG nope", "doesn't exist")
    lake.sql("ALTER TABLE t CREATE BRANCH IF NOT EXISTS audit, CREATE OR REPLACE TAG v1, DROP BRANCH IF EXISTS nope")
    assert lake.sql("SELECT count(*) FROM t.tag_v1") == [["2"]]
    lake.sql("ALTER TABLE t DROP TAG v1, DROP BRANCH audit")
    assert list(metadata(lake, "t")["refs"]) == ["main"]


def test_load_into_branch(lake, tmp_path):
    (tmp_path / "a.csv").write_text("id\n1\n2\n")
    lake.load(tmp_path / "a.csv", "t")
    lake.sql("ALTER TABLE t CREATE BRANCH x")
    lake.load(tmp_path / "a.csv", "t", "--branch", "x")
    assert lake.one("SELECT count(*) FROM t") == "2" and lake.one("SELECT count(*) FROM t.branch_x") == "4"
    r = lake.load(tmp_path / "a.csv", "t", "--branch", "y", check=False)
    assert r.returncode and "no branch" in r.stderr


def test_moving_about(lake):
    lake.sql("CREATE TABLE t (id int)")
    for i in (1, 2, 3):
        lake.sql(f"INSERT INTO t VALUES ({i})")
    s1, s2, s3 = (s.snapshot_id for s in lake.table("t").snapshots())
    assert lake.sql("CALL system.ancestors_of('t')")[0][0] == str(s3)
    assert lake.sql(f"CALL system.rollback_to_snapshot('t', {s1})") == [[str(s3), str(s1)]]
    assert lake.sql("SELECT * FROM t") == [["1"]]
    refused(lake, f"CALL system.rollback_to_snapshot('t', {s3})", "isn't an ancestor")
    assert lake.sql(f"CALL system.cherrypick_snapshot(table => 't', snapshot_id => {s2})") == [[str(s2), str(s2)]]  # forward: its parent is current
    lake.sql(f"CALL system.set_current_snapshot('t', {s1})")
    (_, now), = lake.sql(f"CALL system.cherrypick_snapshot('t', {s3})")
    assert lake.sql("SELECT * FROM t ORDER BY id") == [["1"], ["3"]]
    assert lake.table("t").current_snapshot().summary["source-snapshot-id"] == str(s3)
    refused(lake, f"CALL system.cherrypick_snapshot('t', {s3})", "picked before")
    lake.sql(f"ROLLBACK TABLE t TO VERSION {s1}")
    with ThreadPoolExecutor(2) as two:  # both have looked before either commits: its rows are there once
        pick = lambda _: lake.run("sql", f"CALL system.cherrypick_snapshot('t', {s3})", check=False, env={"FRAZIL_FAULT": "commit.manifest=sleep2000"})
        assert sum(r.returncode == 0 for r in two.map(pick, range(2))) == 1
    assert lake.sql("SELECT * FROM t ORDER BY id") == [["1"], ["3"]]
    lake.sql(f"ROLLBACK TABLE t TO VERSION {s1}")
    assert lake.sql("SELECT * FROM t") == [["1"]]
    lake.sql(f"ALTER TABLE t CREATE BRANCH dev AS OF VERSION {s3}")
    assert lake.sql("CALL system.fast_forward('t', 'main', 'dev')") == [["main", str(s1), str(s3)]]
    refused(lake, "CALL system.fast_forward('t', 'nope2', 'nope')", "no branch or tag")
    lake.sql("CALL system.set_current_snapshot(table => 't', ref => 'dev')")
    refused(lake, "CALL system.set_current_snapshot('t')", "either snapshot_id or ref")
    refused(lake, "CALL system.expire_snapshot('t')", "expire_snapshots")
    refused(lake, "CALL system.expire_snapshots(tabel => 't')", "no argument")
    time.sleep(0.01)
    lake.sql("CREATE TABLE u (id int)")
    refused(lake, "CALL system.rollback_to_timestamp('t', TIMESTAMP '2001-01-01 00:00:00')", "no snapshot as old")


def files(lake):
    return {f for f in glob.glob(lake.path + "/warehouse/**", recursive=True) if os.path.isfile(f)}


def test_expire(lake):
    lake.sql("CREATE TABLE t (id int)")
    for i in range(4):
        lake.sql(f"INSERT INTO t VALUES ({i})")
    lake.sql("ALTER TABLE t CREATE TAG keep")
    lake.sql("INSERT OVERWRITE t VALUES (100)")
    lake.sql("INSERT OVERWRITE t VALUES (200)")
    before = files(lake)
    got = lake.sql("CALL system.expire_snapshots(table => 't', older_than => TIMESTAMP '2100-01-01 00:00:00')")
    # left: the tag's snapshot and the newest; gone: three appends' lists, and the first overwrite with its file and its two manifests
    assert got == [["1", "0", "0", "2", "4", "0"]] or got[0][0] == "1", got
    assert len(lake.table("t").snapshots()) == 2
    assert lake.sql("SELECT * FROM t") == [["200"]]
    assert lake.sql("SELECT * FROM t.tag_keep ORDER BY id") == [["0"], ["1"], ["2"], ["3"]]
    assert sum(int(x) for x in got[0]) == len(before - files(lake))
    lake.sql("ALTER TABLE t DROP TAG keep")
    lake.sql("CALL system.expire_snapshots('t', TIMESTAMP '2100-01-01 00:00:00')")
    data = {f for f in files(lake) if f.endswith(".parquet")}
    assert len(data) == 1 and lake.sql("SELECT * FROM t") == [["200"]]
    refused(lake, "CALL system.expire_snapshots('t', retain_last => 0)", "at least 1")
    lake.sql("ALTER TABLE t SET TBLPROPERTIES ('gc.enabled' = 'false')")
    refused(lake, "CALL system.expire_snapshots('t')", "gc.enabled")


def test_expire_while_others_commit(lake):
    """No file that a snapshot needs is ever removed, whatever is committed meanwhile."""
    lake.sql("CREATE TABLE t (id int)")
    env = dict(os.environ)
    writers = [subprocess.Popen([FRAZIL, "--lake", lake.path, "sql", ";".join(f"INSERT {'OVERWRITE' if i % 3 == 2 else 'INTO'} t VALUES ({w * 100 + i})" for i in range(8))],
                                env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) for w in range(2)]
    while any(w.poll() is None for w in writers):
        lake.sql("CALL system.expire_snapshots('t', TIMESTAMP '2100-01-01 00:00:00')")
    assert all(w.returncode == 0 for w in writers), [w.stderr.read() for w in writers]
    lake.sql("CALL system.expire_snapshots('t', TIMESTAMP '2100-01-01 00:00:00')")
    n = lake.one("SELECT count(*) FROM t")
    assert str(lake.table("t").scan().to_arrow().num_rows) == n
    live = {f.file.file_path.removeprefix("file://") for f in lake.table("t").scan().plan_files()}
    assert {f for f in files(lake) if f.endswith(".parquet")} == live


def test_orphans(lake):
    lake.sql("CREATE TABLE t (id int)")
    lake.sql("INSERT INTO t VALUES (1)")
    folder = lake.table("t").location().removeprefix("file://")
    known = files(lake)
    old = time.time() - 10 * 86400
    for f in known:
        os.utime(f, (old, old))
    os.makedirs(folder + "/data/_tmp")
    for name, when in (("data/old.parquet", old), ("data/new.parquet", time.time()), ("metadata/old.avro", old), ("data/_tmp/x.parquet", old), ("data/.hidden", old)):
        open(f"{folder}/{name}", "w").close()
        os.utime(f"{folder}/{name}", (when, when))
    assert len(lake.sql("CALL system.remove_orphan_files(table => 't', dry_run => true)")) == 2
    got = sorted(os.path.basename(x[0]) for x in lake.sql("CALL system.remove_orphan_files('t')"))
    assert got == ["old.avro", "old.parquet"]
    assert known <= files(lake) and os.path.exists(folder + "/data/new.parquet") and os.path.exists(folder + "/data/_tmp/x.parquet")
    assert lake.sql("SELECT * FROM t") == [["1"]]
    refused(lake, "CALL system.remove_orphan_files('t', now())", "younger than a day")
    refused(lake, "CALL system.remove_orphan_files('t', now() - interval '23 hours')", "younger than a day")
    assert lake.sql("CALL system.remove_orphan_files(table => 't', older_than => now() - interval '2 days')") == []
    refused(lake, f"CALL system.remove_orphan_files('t', location => '{lake.path}')", "isn't inside")
    # another table inside of this one's folder
    lake.sql(f"CREATE TABLE inner_t (id int) LOCATION '{folder}/inner'")
    lake.sql("INSERT INTO inner_t VALUES (5)")
    for f in glob.glob(folder + "/inner/**", recursive=True):
        os.utime(f, (old, old))
    assert lake.sql("CALL system.remove_orphan_files('t')") == []
    assert lake.sql("SELECT * FROM inner_t") == [["5"]]


def each(lake, *statements):
    for x in statements:
        lake.sql(x)


def test_orphans_of_neighbours(lake):
    """Files of other tables, and of this one under other spellings of its folders, are no orphans."""
    old = time.time() - 10 * 86400

    def age():
        for f in files(lake):
            os.utime(f, (old, old))

    each(lake, "CREATE TABLE t (id int)", "CREATE TABLE spelled (id int)", "CREATE TABLE guest (id int)")
    folder = lake.table("t").location().removeprefix("file://")
    lake.sql(f"ALTER TABLE guest SET TBLPROPERTIES ('write.data.path' = 'file:{folder}/guests/', 'write.metadata.path' = '{folder}//guest_md')")
    own = lake.table("spelled").location().removeprefix("file://")
    lake.sql(f"ALTER TABLE spelled SET TBLPROPERTIES ('write.data.path' = 'file://{own}//there/./')")
    each(lake, "INSERT INTO t VALUES (1)", "INSERT INTO guest VALUES (2)", "INSERT INTO spelled VALUES (3)")
    age()
    known = files(lake)
    for name in ("t", "spelled"):
        assert lake.sql(f"CALL system.remove_orphan_files('{name}')") == []
        refused(lake, f"CALL system.remove_orphan_files('{name}', location => '{lake.table(name).location()}/..')", "isn't inside")
    assert files(lake) == known
    assert lake.sql("SELECT * FROM guest") == [["2"]] and lake.sql("SELECT * FROM spelled") == [["3"]]
    # a folder that belongs to two tables
    lake.sql(f"CREATE TABLE twin (id int) LOCATION '{folder}'")
    lake.sql("INSERT INTO twin VALUES (4)")
    age()
    refused(lake, "CALL system.remove_orphan_files('t')", "twin")
    refused(lake, f"CALL system.remove_orphan_files('t', location => '{folder}/data')", "twin")
    assert lake.sql("SELECT * FROM twin") == [["4"]] and lake.sql("SELECT * FROM t") == [["1"]]


def test_purge_with_statistics(lake):
    lake.sql("CREATE TABLE t (id int)")
    lake.sql("INSERT INTO t VALUES (1)")
    t = lake.table("t")
    folder = t.location().removeprefix("file://")
    from pyiceberg.table.statistics import StatisticsFile
    snapshot = t.current_snapshot().snapshot_id
    open(f"{folder}/metadata/s.puffin", "wb").write(b"PFA1")
    with t.update_statistics() as u:
        u.set_statistics(StatisticsFile.model_validate({"snapshot-id": snapshot, "statistics-path": f"{folder}/metadata/s.puffin", "file-size-in-bytes": 4,
                                                        "file-footer-size-in-bytes": 4, "blob-metadata": []}))
    lake.sql("DROP TABLE t PURGE")
    assert not [f for f in files(lake) if f.startswith(folder)]


def test_append_after_upgrade_of_inline_manifests(lake):
    """A snapshot of version 1 that names its manifests itself: they have no counts, which a list of version 2 needs."""
    lake.sql("CREATE TABLE t (id int) PARTITIONED BY (id)")
    lake.sql("INSERT INTO t VALUES (1)")
    lake.sql("INSERT INTO t VALUES (2), (3)")
    path = pointer(lake, "default", "t").removeprefix("file://")
    md = json.loads(gzip.open(path).read() if path.endswith("gz.metadata.json") else open(path).read())
    now = lake.table("t")
    md["format-version"] = 1
    md["schema"] = md["schemas"][0]
    md["partition-spec"] = md["partition-specs"][0]["fields"]
    del md["last-sequence-number"]
    for s in md["snapshots"]:
        s["manifests"] = [m.manifest_path for m in now.snapshot_by_id(s["snapshot-id"]).manifests(now.io)]
        del s["manifest-list"], s["sequence-number"]
    old = os.path.dirname(path) + "/00009-00000000-0000-0000-0000-000000000009.metadata.json"
    json.dump(md, open(old, "w"))
    each(lake, "DROP TABLE t", f"CALL system.register_table('t', 'file://{old}')", "ALTER TABLE t SET TBLPROPERTIES ('format-version' = '2')")
    lake.sql("INSERT INTO t VALUES (4)")
    assert lake.sql("SELECT * FROM t ORDER BY id") == [[str(i)] for i in (1, 2, 3, 4)]
    lake.sql("CALL system.expire_snapshots('t', TIMESTAMP '2100-01-01 00:00:00')")  # PyIceberg doesn't read snapshots without a list
    t = lake.table("t")
    assert sorted(t.scan(row_filter="id > 1").to_arrow()["id"].to_pylist()) == [2, 3, 4]
    assert all(m.added_files_count >= 0 and m.existing_files_count >= 0 and m.partitions for m in t.current_snapshot().manifests(t.io))
    each(lake, "INSERT INTO t VALUES (5)", "INSERT OVERWRITE t VALUES (9)")
    assert lake.sql("SELECT * FROM t") == [["9"]]


def test_replace_table(lake):
    lake.sql("CREATE TABLE t (id int, name text) PARTITIONED BY (id)")
    lake.sql("INSERT INTO t VALUES (1, 'a')")
    first, uid = lake.table("t").current_snapshot().snapshot_id, metadata(lake, "t")["table-uuid"]
    lake.sql("CREATE OR REPLACE TABLE t (name text, n bigint)")
    md = metadata(lake, "t")
    assert md["table-uuid"] == uid and md["current-snapshot-id"] == -1 and len(md["snapshots"]) == 1
    assert [(f["id"], f["name"]) for f in shape(md)["fields"]] == [(2, "name"), (3, "n")] and shape(md)["spec"] == []
    assert lake.sql("SELECT * FROM t") == []
    assert lake.sql(f"SELECT * FROM t VERSION AS OF {first}") == [["1", "a"]]
    lake.sql("CREATE OR REPLACE TABLE t PARTITIONED BY (bucket(2, k)) AS SELECT 7 AS k, 'x' AS name")
    assert lake.sql("SELECT * FROM t") == [["7", "x"]]
    md = metadata(lake, "t")
    assert [(f["id"], f["name"]) for f in shape(md)["fields"]] == [(4, "k"), (2, "name")]
    assert "parent-snapshot-id" not in md["snapshots"][-1]
    assert lake.table("t").scan().to_arrow().to_pylist() == [{"k": 7, "name": "x"}]
    assert lake.sql(f"SELECT * FROM t VERSION AS OF {first}") == [["1", "a"]]
    lake.sql("CREATE OR REPLACE TABLE fresh AS SELECT 1 AS a")
    assert lake.sql("SELECT * FROM fresh") == [["1"]]


def test_properties(lake):
    lake.sql("CREATE TABLE t (id int) WITH ('a' = '1')")
    lake.sql("ALTER TABLE t SET TBLPROPERTIES ('b' = '2', c.d = 3)")
    lake.sql("ALTER TABLE t UNSET TBLPROPERTIES IF EXISTS ('a', 'nope')")
    lake.sql("ALTER TABLE t SET ('e' = 'x'), RESET ('b')")
    assert lake.table("t").properties == {"c.d": "3", "e": "x"}
    refused(lake, "ALTER TABLE t UNSET TBLPROPERTIES ('nope')", "no property 'nope'")
    refused(lake, "ALTER TABLE t SET TBLPROPERTIES ('write.metadata.previous-versions-max' = 'many')", "isn't an integer")
    refused(lake, "ALTER TABLE nope ADD COLUMN x int", "no table")
    lake.sql("ALTER TABLE IF EXISTS nope ADD COLUMN x int")
    lake.sql("ALTER TABLE t RENAME TO u")
    assert lake.sql("SELECT count(*) FROM u") == [["0"]]
    lake.sql("CREATE SCHEMA other")
    lake.sql("ALTER TABLE u RENAME TO other.v")
    assert lake.sql("SELECT count(*) FROM other.v") == [["0"]]


def test_metadata_files(lake, tmp_path):
    lake.sql("CREATE TABLE t (id int) WITH ('write.metadata.compression-codec' = 'gzip', 'write.metadata.previous-versions-max' = '2', "
             f"'write.metadata.delete-after-commit.enabled' = 'true', 'write.metadata.path' = '{tmp_path}/meta data%20ü', "
             f"'write.data.path' = '{tmp_path}/däta', 'write.object-storage.enabled' = 'true')")
    for i in range(5):
        lake.sql(f"INSERT INTO t VALUES ({i})")
    meta = glob.glob(f"{tmp_path}/meta data%20ü/*.metadata.json")
    assert len(meta) == 3 and all(f.endswith(".gz.metadata.json") for f in meta)
    for f in meta:
        json.loads(gzip.open(f).read())
    assert lake.one("SELECT count(*) FROM t") == "5"
    assert lake.table("t").scan().to_arrow().num_rows == 5
    for f in lake.table("t").scan().plan_files():
        rest = f.file.file_path.removeprefix(f"{tmp_path}/däta/").split("/")
        assert [len(x) for x in rest[:4]] == [4, 4, 4, 8] and set("".join(rest[:4])) <= {"0", "1"} and rest[4:6] == ["default", "t"]


def test_object_storage_as_pyiceberg(lake):
    """The folders are those that PyIceberg gives the same file name."""
    from pyiceberg.table.locations import ObjectStoreLocationProvider
    for partitioned in ("true", "false"):
        name = "p_" + partitioned
        lake.sql(f"CREATE TABLE {name} (id int, k text) PARTITIONED BY (k) WITH ('write.object-storage.enabled' = 'true', "
                 f"'write.object-storage.partitioned-paths' = '{partitioned}')")
        lake.sql(f"INSERT INTO {name} VALUES (1, 'a b'), (2, 'c'), (3, NULL)")
        t = lake.table(name)
        for f in t.scan().plan_files():
            path = f.file.file_path
            p = ObjectStoreLocationProvider(t.location(), t.properties)
            base = path.rsplit("/", 1)[1]
            if partitioned == "false":
                file = base.split("-", 1)[1]
                assert path == p.new_data_location(file)
            else:
                part = path.rsplit("/", 2)[1]
                inner = f"{part}/{base}"
                assert path == f"{t.location()}/data/{p._compute_hash(inner)}/{inner}"


def test_create_shows_itself(lake):
    lake.sql("CREATE TABLE t (id int NOT NULL, name text COMMENT 'n', PRIMARY KEY (id) NOT ENFORCED) PARTITIONED BY (bucket(4, id)) ORDER BY name DESC NULLS FIRST")
    text = lake.one("SHOW CREATE TABLE t")
    assert "PRIMARY KEY (id) NOT ENFORCED" in text and "ORDER BY name DESC NULLS FIRST" in text
    a = shape(metadata(lake, "t"))
    lake.sql(text.replace("default.t", "default.u").replace('"default".t', "default.u"))
    assert shape(metadata(lake, "u")) == a
    out = lake.run("inspect", "t").stdout
    assert "name desc nulls first" in out and "identifier" in out


def test_rows_are_sorted(lake):
    import pyarrow.parquet as pq
    lake.sql("CREATE TABLE t (id int, k text, p int) PARTITIONED BY (p) ORDER BY k DESC NULLS LAST, id")
    rows = [(i * 7919 % 1000, f"k{i % 10}" if i % 11 else None, i % 3) for i in range(1000)]
    lake.sql("INSERT INTO t VALUES " + ",".join(f"({a}, {'NULL' if b is None else repr(b)}, {p})" for a, b, p in rows))
    t = lake.table("t")
    assert t.sort_order().order_id == 1
    seen = []
    for f in t.scan().plan_files():
        assert f.file.sort_order_id == 1
        got = pq.read_table(f.file.file_path.removeprefix("file://")).to_pylist()
        key = lambda r: (r["k"] is None, [-ord(c) for c in r["k"] or ""], r["id"])
        assert got == sorted(got, key=key)
        seen += [(r["id"], r["k"], r["p"]) for r in got]
    assert sorted(seen, key=str) == sorted(rows, key=str)


def test_java_fixtures_round_trip(tmp_path):
    """What Java's own tests parse is registered, shown, changed and still read by PyIceberg."""
    base = os.path.join(os.environ.get("FRAZIL_SHARED_DATA", "../shared/data"), "iceberg-java", "metadata")
    if not os.path.isdir(base):
        pytest.skip("no fixtures")
    lake = Lake(tmp_path / "lake")
    lake.damaged = True  # the snapshots of the fixtures have no files
    good = ["TableMetadataV1Valid", "TableMetadataV2Valid", "TableMetadataV2ValidMinimal", "TableMetadataStatisticsFiles", "TableMetadataPartitionStatisticsFiles"]
    bad = {"TableMetadataUnsupportedVersion": "version", "TableMetadataV2CurrentSchemaNotFound": "current-schema-id", "TableMetadataV2MissingSortOrder": "sort-orders",
           "TableMetadataV2MissingPartitionSpecs": "partition-specs", "TableMetadataV2MissingSchemas": "schemas", "TableMetadataV1MissingSchemaType": "type",
           "TableMetadataV2MissingLastPartitionId": "last-partition-id", "TableMetadataV3ValidMinimal": "version 3"}
    lake.sql("CREATE SCHEMA IF NOT EXISTS java")
    for name in good + list(bad):
        md = json.load(open(f"{base}/{name}.json"))
        md["location"] = f"file://{tmp_path}/{name}"
        os.makedirs(f"{tmp_path}/{name}/metadata")
        path = f"{tmp_path}/{name}/metadata/00001-{name}.metadata.json"
        json.dump(md, open(path, "w"))
        call = f"CALL system.register_table('java.{name}', 'file://{path}')"
        if name in bad:
            refused(lake, call, bad[name])
            continue
        lake.sql(call)
        lake.sql(f"ALTER TABLE java.{name} SET TBLPROPERTIES ('new' = 'yes'), ADD COLUMN extra text")
        from validate_iceberg import read_metadata
        now = read_metadata(pointer(lake, "java", name))
        assert now["properties"]["new"] == "yes"
        if name != "TableMetadataStatisticsFiles":  # PyIceberg doesn't know its kind of blob
            assert lake.catalog().load_table(f"java.{name}").schema().find_field("extra")
        for key in ("statistics", "partition-statistics", "snapshots", "snapshot-log", "refs", "table-uuid", "location"):
            if key in md and not (key == "refs"):
                assert now[key] == md[key], (name, key)
        for k, r in md.get("refs", {}).items():
            assert now["refs"][k] == r
        if md["format-version"] == 1:
            assert now["schema"]["fields"][-1]["name"] == "extra" and "partition-spec" in now
            lake.sql(f"ALTER TABLE java.{name} SET TBLPROPERTIES ('format-version' = '2')")
            assert read_metadata(pointer(lake, "java", name))["format-version"] == 2


def test_nested_columns(lake):
    """Structs, lists and maps are made, changed and partitioned by; PyIceberg does the same to a twin."""
    from pyiceberg.schema import Schema
    from pyiceberg.types import DoubleType, IntegerType, ListType, LongType, MapType, NestedField, StringType, StructType
    lake.sql("CREATE TABLE ours (id int, st struct(a int, b text), l struct(p int)[], m map(text, struct(x int)))")
    lake.catalog().create_table("default.theirs", Schema(
        NestedField(1, "id", IntegerType()),
        NestedField(2, "st", StructType(NestedField(3, "a", IntegerType()), NestedField(4, "b", StringType()))),
        NestedField(5, "l", ListType(6, StructType(NestedField(7, "p", IntegerType())), element_required=False)),
        NestedField(8, "m", MapType(9, StringType(), 10, StructType(NestedField(11, "x", IntegerType())), value_required=False))))
    both_equal(lake)
    lake.sql("INSERT INTO ours VALUES (1, {'a': 1, 'b': 'q'}, [{'p': 5}], map {'k': {'x': 7}})")
    lake.sql("ALTER TABLE ours ADD st.c double precision, ADD l.q bigint, ADD m.value.y int, "
             "ADD deep struct<r: array<int>>, ALTER st.a TYPE bigint, RENAME st.b TO bb, ALTER st.c FIRST")
    with lake.table("theirs").update_schema() as u:
        u.add_column(("st", "c"), DoubleType())
        u.add_column(("l", "q"), LongType())
        u.add_column(("m", "y"), IntegerType())
        u.add_column("deep", StructType(NestedField(1, "r", ListType(2, IntegerType(), element_required=False))))
        u.update_column(("st", "a"), field_type=LongType())
        u.rename_column(("st", "b"), "bb")
        u.move_first(("st", "c"))
    both_equal(lake)
    lake.sql("ALTER TABLE ours ADD PARTITION FIELD st.bb, ADD PARTITION FIELD bucket(4, st.a)")
    lake.sql("INSERT INTO ours VALUES (2, {'c': 0.5, 'a': 3, 'bb': 'z'}, NULL, NULL, {'r': [1]}), (3, NULL, [], map {}, NULL)")
    got = lake.table("ours").scan().to_arrow().sort_by("id").to_pylist()
    assert [r["st"] for r in got] == [{"c": None, "a": 1, "bb": "q"}, {"c": 0.5, "a": 3, "bb": "z"}, None]
    assert got[0]["l"] == [{"p": 5, "q": None}] and got[1]["deep"] == {"r": [1]}
    assert lake.sql("SELECT id FROM ours WHERE st.bb = 'z'") == [["2"]]
    assert [f["name"] for f in shape(metadata(lake, "ours"))["spec"]] == ["st.bb", "st.a_bucket_4"]
    refused(lake, "ALTER TABLE ours DROP COLUMN st", "partitioned by")
    refused(lake, "ALTER TABLE ours ADD PARTITION FIELD l.element.p", "is a list or a map")
    lake.sql("ALTER TABLE ours WRITE ORDERED BY st.a DESC")
    lake.sql("INSERT INTO ours (id, st) VALUES (4, {'c': 1, 'a': 3, 'bb': 'z'})")
