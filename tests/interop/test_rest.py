"""Tables behind real REST catalogs: SeaweedFS's with OAuth2 and S3, Apache's reference server. PyIceberg and frazil write the same tables in turn
and read what the other wrote, values compared exactly; eight writers lose nothing."""
import csv, datetime, decimal, io, os, subprocess, sys, time, uuid

import pyarrow as pa
import pytest

from conftest import FRAZIL, ROOT

sys.path.insert(0, os.path.join(ROOT, "tests"))
import servers

LONG = bool(os.environ.get("FRAZIL_TEST_LONG"))


class Catalog:
    """A namespace of its own on a server, seen by both."""

    def __init__(self, server, tmp_path):
        from pyiceberg.catalog import load_catalog
        self.server, self.tmp = server, tmp_path
        self.env = dict(os.environ, HOME=str(tmp_path), XDG_CACHE_HOME=str(tmp_path / "cache"), **server.env())
        self.py = load_catalog("default", **server.properties())
        self.ns = "rest_" + uuid.uuid4().hex[:10]
        self.py.create_namespace(self.ns)

    def run(self, *args, check=True, env=None, **kw):
        r = subprocess.run([FRAZIL, "--catalog", "default", *map(str, args)], capture_output=True, text=True, timeout=120,
                           env=dict(self.env, **(env or {})), **kw)
        if check and r.returncode:
            raise AssertionError(f"frazil {args}: exit {r.returncode}\n{r.stderr}")
        return r

    def start(self, *args):
        return subprocess.Popen([FRAZIL, "--catalog", "default", *map(str, args)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=self.env)

    def sql(self, text, **kw):
        return list(csv.reader(io.StringIO(self.run("sql", text, "--format", "csv", **kw).stdout)))[1:]

    def table(self, name):
        return self.py.load_table(f"{self.ns}.{name}")

    def rows(self, name):
        return self.table(name).scan().to_arrow()


@pytest.fixture
def weed(tmp_path):
    try:
        return Catalog(servers.shared_weed(), tmp_path)
    except servers.Missing as e:
        pytest.skip(str(e))


@pytest.fixture
def reference(tmp_path):
    try:
        return Catalog(servers.shared("reference"), tmp_path)
    except servers.Missing as e:
        pytest.skip(str(e))


SCHEMA = pa.schema([
    pa.field("i", pa.int32()), pa.field("l", pa.int64()), pa.field("f", pa.float32()), pa.field("d", pa.float64()), pa.field("b", pa.bool_()),
    pa.field("n", pa.decimal128(20, 3)), pa.field("s", pa.string()), pa.field("bin", pa.binary()), pa.field("day", pa.date32()),
    pa.field("ts", pa.timestamp("us")), pa.field("tz", pa.timestamp("us", "UTC")), pa.field("list", pa.list_(pa.int64())),
    pa.field("st", pa.struct([("x", pa.int32()), ("y", pa.string())])), pa.field("m", pa.map_(pa.string(), pa.float64()))])
UTC = datetime.timezone.utc
ROW = dict(i=-2147483648, l=2**62 + 1, f=0.1, d=-1e-300, b=True, n=decimal.Decimal("-12345678901234567.891"), s="é \"q\" \n 🧊", bin=b"\x00\xff",
           day=datetime.date(1969, 12, 31), ts=datetime.datetime(2020, 2, 29, 23, 59, 59, 999999), tz=datetime.datetime(1900, 1, 1, tzinfo=UTC),
           list=[1, None, -1], st={"x": 7, "y": None}, m=[("a", 1.5), ("b", None)])
NULLS = {f.name: None for f in SCHEMA}


def test_every_type_there_and_back(weed):
    c, table = weed, f"{weed.ns}.types"
    want = pa.Table.from_pylist([ROW, NULLS], SCHEMA)
    c.py.create_table(table, SCHEMA)
    c.table("types").append(want)
    c.run("sql", f"insert into {table} select * from {table}")          # read by frazil, written by frazil
    got = c.rows("types").cast(want.schema)
    assert got.num_rows == 4
    got = got.sort_by([("i", "ascending")])
    for k, expect in ((0, ROW), (1, ROW), (2, NULLS), (3, NULLS)):
        row = got.slice(k, 1)
        assert row.equals(pa.Table.from_pylist([expect], SCHEMA)), (row.to_pylist(), expect)
    assert c.sql(f"select i, l, n, s, day, ts, list from {table} where b limit 1") == [
        ["-2147483648", str(2**62 + 1), "-12345678901234567.891", ROW["s"], "1969-12-31", "2020-02-29 23:59:59.999999", "[1, NULL, -1]"]]


def test_appends_in_turn(weed):
    c, table = weed, f"{weed.ns}.turns"
    c.run("sql", f"create table {table} as select 0::bigint as id, 'frazil' as who")
    want = [(0, "frazil")]
    for i in range(1, 9):
        if i & 1:
            c.table("turns").append(pa.table({"id": pa.array([i], pa.int64()), "who": ["pyiceberg"]}))
        else:
            c.run("sql", f"insert into {table} values ({i}, 'frazil')")
        want.append((i, "pyiceberg" if i & 1 else "frazil"))
        assert [(int(a), b) for a, b in c.sql(f"select * from {table} order by id")] == want
        assert sorted(zip(*c.rows("turns").to_pydict().values())) == want
    t = c.table("turns")
    assert len(t.history()) == 9
    assert [r[0] for r in c.sql(f"select count(*) from {table}.snapshots")] == ["9"]
    first = t.history()[0].snapshot_id
    assert c.sql(f"select * from {table} for version as of {first}") == [["0", "frazil"]]
    assert t.scan(snapshot_id=first).to_arrow().to_pylist() == [{"id": 0, "who": "frazil"}]


def test_tables_of_frazil(weed):
    """Partitioned, nested, evolved: made by frazil, read by PyIceberg and Polars."""
    import polars as pl
    from pyiceberg.types import StringType
    c, table = weed, f"{weed.ns}.parts"
    c.run("sql", f"create table {table} (ts timestamp, id bigint, s struct(x int, y int[])) partitioned by (month(ts), bucket(4, id)) "
                 "with ('owner' = 'me')")
    day = datetime.datetime(2020, 1, 15)
    c.run("sql", f"insert into {table} values " + ", ".join(
        f"(timestamp '{day + datetime.timedelta(days=20 * i)}', {i}, {{'x': {i}, 'y': [{i}, 1]}})" for i in range(30)))
    c.run("sql", f"alter table {table} add column extra text")
    c.run("sql", f"alter table {table} rename column id to key")
    c.run("sql", f"insert into {table} values (timestamp '2031-01-01', 99, null, 'new')")
    t = c.table("parts")
    assert t.properties["owner"] == "me"
    assert [f.name for f in t.schema().fields] == ["ts", "key", "s", "extra"]
    rows = t.scan(row_filter="key >= 28").to_arrow().sort_by("key").to_pylist()
    assert [r["key"] for r in rows] == [28, 29, 99]
    assert rows[0]["s"] == {"x": 28, "y": [28, 1]} and rows[2]["extra"] == "new"
    got = pl.scan_iceberg(t).filter(pl.col("ts") < datetime.datetime(2020, 2, 1)).select("key").collect()["key"].to_list()
    assert sorted(got) == [0]
    assert c.sql(f"select sum(key), count(*) from {table}") == [[str(sum(range(30)) + 99), "31"]]
    # PyIceberg evolves and writes it, frazil goes on
    with t.update_schema() as u:
        u.add_column("later", StringType())
    c.run("sql", f"insert into {table} (key, later) values (100, 'seen')")
    assert c.rows("parts").filter(pa.compute.field("key") == 100)["later"].to_pylist() == ["seen"]


def test_names(weed):
    c = weed
    c.run("sql", f"create schema {c.ns}_two")
    c.run("sql", f"create table {c.ns}.a as select 1 as x")
    c.run("sql", f"create table {c.ns}.b (x int)")
    assert sorted(t[1] for t in c.py.list_tables(c.ns)) == ["a", "b"]
    assert sorted(r[1] for r in c.sql("show tables") if r[0] == c.ns) == ["a", "b"]
    c.run("sql", f"alter table {c.ns}.a rename to {c.ns}_two.moved")
    assert c.sql(f"select * from {c.ns}_two.moved") == [["1"]]
    r = c.run("sql", f"drop schema {c.ns}_two", check=False)
    assert r.returncode and "isn't empty" in r.stderr
    c.run("sql", f"drop table {c.ns}_two.moved")
    c.run("sql", f"drop schema {c.ns}_two")
    assert (c.ns + "_two",) not in c.py.list_namespaces()
    r = c.run("sql", f"select * from {c.ns}.bb", check=False)
    assert r.returncode and "there is no table" in r.stderr and f"{c.ns}.b" in r.stderr
    r = c.run("sql", f"create table {c.ns}.b (x int)", check=False)
    assert r.returncode and "exists" in r.stderr
    assert c.sql(f"select * from {c.ns.upper()}.B") == []           # unquoted: without regard to case where that is the only one


def test_errors_are_the_servers(weed):
    c = weed
    var = "PYICEBERG_CATALOG__DEFAULT__CREDENTIAL"
    r = c.run("sql", "show tables", check=False, env={var: c.server.key + ":wrong-secret"})
    assert r.returncode and "401" in r.stderr and "wrong-secret" not in r.stderr, r.stderr
    r = c.run("sql", "show tables", check=False, env={"PYICEBERG_CATALOG__DEFAULT__URI": "http://127.0.0.1:1"})
    assert r.returncode and "127.0.0.1" in r.stderr, r.stderr


def writers(c, table, n, commits):
    """n processes, each with `commits` one-row commits of its own."""
    ps = [c.start("sql", ";".join(f"insert into {table} values ({w}, {i})" for i in range(commits))) for w in range(n)]
    for p in ps:
        out, _ = p.communicate(timeout=300)
        assert p.returncode == 0, out


def test_eight_writers(weed):
    c, table, n, commits = weed, f"{weed.ns}.busy", 8, 10 if LONG else 5
    c.run("sql", f"create table {table} (w int, i int)")
    t0 = time.monotonic()
    writers(c, table, n, commits)
    print(f"{n * commits} commits by {n} writers: {n * commits / (time.monotonic() - t0):.0f} a second")
    want = sorted((w, i) for w in range(n) for i in range(commits))
    assert sorted(zip(*c.rows("busy").to_pydict().values())) == want
    assert [(int(a), int(b)) for a, b in c.sql(f"select * from {table} order by w, i")] == want
    assert len(c.table("busy").history()) == n * commits


def test_writers_of_both_kinds(weed):
    """PyIceberg commits while frazil does: what it reports as done is there, once; frazil's are all there."""
    c, table = weed, f"{weed.ns}.mixed"
    c.run("sql", f"create table {table} (w int, i int)")
    ps = [c.start("sql", ";".join(f"insert into {table} values ({w}, {i})" for i in range(5))) for w in range(3)]
    done = []
    for i in range(6):
        try:
            c.table("mixed").append(pa.table({"w": pa.array([100], pa.int32()), "i": pa.array([i], pa.int32())}))
            done.append((100, i))
        except Exception as e:
            assert "CommitFailed" in type(e).__name__, e
    for p in ps:
        out, _ = p.communicate(timeout=120)
        assert p.returncode == 0, out
    want = sorted([(w, i) for w in range(3) for i in range(5)] + done)
    assert sorted(zip(*c.rows("mixed").to_pydict().values())) == want


@pytest.mark.parametrize("kind", ["weed", "reference"])
def test_conformance(kind):
    """The suite that every catalog passes, against a server by other people; what a client can't change there is listed as its quirks."""
    program = os.path.join(os.path.dirname(FRAZIL), "t_conformance_test_conformance")
    if not os.path.exists(program):
        pytest.skip("the C tests aren't built")
    try:
        server = servers.shared(kind)
    except servers.Missing as e:
        pytest.skip(str(e))
    r = subprocess.run([program, "only", kind], capture_output=True, text=True, timeout=300, env=dict(os.environ, **servers.variables(server)))
    assert r.returncode == 0 and f"] {kind}: 8 threads" in r.stdout + r.stderr, r.stdout[-3000:] + r.stderr[-3000:]


def test_reference_server(reference, tmp_path):
    """Apache's own server: everything once, PyIceberg on the same tables."""
    c, table = reference, f"{reference.ns}.t"
    (tmp_path / "rows.csv").write_text("id,s\n" + "".join(f"{i},row {i}\n" for i in range(1000)))
    c.run("load", tmp_path / "rows.csv", table)
    c.table("t").append(pa.table({"id": pa.array([1000], pa.int64()), "s": ["py"]}))
    c.run("sql", f"insert into {table} values (1001, 'frazil')")
    assert c.sql(f"select count(*), sum(id), max(id) from {table}") == [["1002", str(sum(range(1002))), "1001"]]
    got = c.rows("t")
    assert sorted(got["id"].to_pylist()) == list(range(1002)) and set(got["s"].to_pylist()) >= {"py", "frazil", "row 7"}
    c.run("sql", f"alter table {table} add column extra double")
    c.run("sql", f"alter table {table} set ('k' = 'v')", check=False)
    c.run("sql", f"create or replace table {table} as select 5 as only")
    assert c.rows("t").to_pylist() == [{"only": 5}]
    assert len(c.table("t").history()) >= 1
    c.run("sql", f"create table {c.ns}.p (ts timestamp, x int) partitioned by (day(ts))")
    c.run("sql", f"insert into {c.ns}.p values (timestamp '2020-01-01', 1), (timestamp '2020-01-02', 2)")
    assert c.table("p").scan(row_filter="ts >= '2020-01-02T00:00:00'").to_arrow()["x"].to_pylist() == [2]
    c.run("sql", f"alter table {c.ns}.p rename to {c.ns}.q")
    table = f"{c.ns}.q"
    c.run("sql", f"create table {c.ns}.busy (w int, i int)")
    writers(c, f"{c.ns}.busy", 4, 3)
    assert sorted(zip(*c.rows("busy").to_pydict().values())) == sorted((w, i) for w in range(4) for i in range(3))
    for name in ("q", "t", "busy"):
        c.run("sql", f"drop table {c.ns}.{name}")
    c.run("sql", f"drop schema {c.ns}")
    assert (c.ns,) not in c.py.list_namespaces()
