"""A catalog in PostgreSQL shared with PyIceberg: the same tables, rows of both, writers that are killed, a server that restarts."""
import csv, datetime, decimal, io, os, random, signal, subprocess, threading, time

import pytest

pytest.importorskip("psycopg2")
pytest.importorskip("pyiceberg")
import psycopg2
import pyarrow as pa
from pyiceberg.catalog import load_catalog
from pyiceberg.exceptions import CommitFailedException

from conftest import FRAZIL
from postgres_server import Postgres, programs
from validate_iceberg import validate_table

pytestmark = pytest.mark.skipif(not programs(), reason="PostgreSQL isn't installed")


@pytest.fixture(scope="module")
def server():
    s = Postgres()
    yield s
    s.close()


class Shared:
    """One catalog, by a name of its own, for both."""

    def __init__(self, server, name, warehouse):
        self.name, self.uri, self.warehouse = name, server.uri(), f"file://{warehouse}"
        key = f"PYICEBERG_CATALOG__{name.upper()}__"
        self.env = {k: v for k, v in os.environ.items() if not k.startswith(("PYICEBERG_", "FRAZIL_LAKE", "FRAZIL_CATALOG"))}
        self.env.update({key + "URI": self.uri, key + "WAREHOUSE": self.warehouse, "HOME": str(warehouse), "PYICEBERG_HOME": str(warehouse)})

    def start(self, *args, **kw):
        return subprocess.Popen([FRAZIL, "--catalog", self.name, *args], env=self.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True, **kw)

    def sql(self, text, check=True, timeout=120):
        p = self.start("sql", text, "--format", "csv")
        try:
            out, err = p.communicate(timeout=timeout)
        finally:
            p.kill()
        assert not check or p.returncode == 0, err
        return list(csv.reader(io.StringIO(out)))[1:] if check else (p.returncode, err)

    def pyiceberg(self):
        return load_catalog(self.name, type="sql", uri=self.uri, warehouse=self.warehouse)

    def append(self, table, rows):
        """PyIceberg gives up at the first lost race: as its users do, again."""
        for _ in range(100):
            t = self.pyiceberg().load_table(table)
            try:
                return t.append(pa.Table.from_pylist(rows, schema=t.schema().as_arrow()))
            except CommitFailedException:
                time.sleep(random.random() / 50)
        raise AssertionError("PyIceberg never got its turn")

    def ids(self, table):
        """All ids, as PyIceberg reads them, after the whole table was checked against the specification."""
        t = self.pyiceberg().load_table(table)
        wrong = validate_table(t.metadata_location)
        assert not wrong, "\n".join(wrong[:20])
        return sorted(t.scan().to_arrow()["id"].to_pylist())


@pytest.fixture
def shared(server, tmp_path, request):
    os.makedirs(tmp_path / "w")
    return Shared(server, "c" + format(abs(hash(request.node.name)), "x")[:10], tmp_path / "w")


def test_rows_of_both(shared):
    shared.sql("CREATE SCHEMA s")
    shared.sql("CREATE TABLE s.t (id bigint, name text, price decimal(12,3), at timestamptz, day date, x double)")
    utc = datetime.timezone.utc
    rows = []
    for i in range(6):
        row = {"id": i, "name": f"n'{i} é\n" if i % 3 else None, "price": decimal.Decimal(f"-{i}12.34{i}"),
               "at": datetime.datetime(2020 + i, 1, 2, 3, 4, 5, 678900 + i, tzinfo=utc), "day": datetime.date(1960 + i, 2, 28), "x": i / 3}
        rows.append(row)
        if i % 2:
            shared.append("s.t", [row])
        else:
            name = "NULL" if row["name"] is None else "'" + row["name"].replace("'", "''") + "'"
            shared.sql(f"INSERT INTO s.t VALUES ({i}, {name}, {row['price']}, timestamptz '{row['at'].isoformat()}', "
                       f"date '{row['day']}', CAST({i} AS double) / 3)")
    t = shared.pyiceberg().load_table("s.t")
    assert len(t.metadata.snapshots) == 6
    assert sorted(t.scan().to_arrow().to_pylist(), key=lambda r: r["id"]) == rows
    ours = shared.sql("SELECT id, name, price, day, x, extract(year from at) FROM s.t ORDER BY id")
    assert [(int(r[0]), r[1] or None, decimal.Decimal(r[2]), r[3], float(r[4]), int(float(r[5]))) for r in ours] == [
        (r["id"], r["name"], r["price"], str(r["day"]), r["x"], r["at"].year) for r in rows]
    assert shared.ids("s.t") == [0, 1, 2, 3, 4, 5]
    shared.pyiceberg().load_table("s.t").delete("id = 4")
    assert shared.sql("SELECT id FROM s.t ORDER BY id") == [["0"], ["1"], ["2"], ["3"], ["5"]]


def test_names_of_both(shared):
    c = shared.pyiceberg()
    c.create_namespace("a.b", {"owner": "o'x"})
    c.create_table("a.b.t", pa.schema([("id", pa.int64())]))
    shared.sql("INSERT INTO a.b.t VALUES (1)")
    shared.append("a.b.t", [{"id": 2}])
    assert shared.sql("SELECT id FROM a.b.t ORDER BY id") == [["1"], ["2"]]
    shared.sql("CREATE SCHEMA ours")
    shared.sql("ALTER TABLE a.b.t RENAME TO u")
    assert c.list_tables("a.b") == [("a", "b", "u")]
    c.rename_table("a.b.u", "ours.v")
    assert shared.sql("SELECT count(*) FROM ours.v") == [["2"]]
    shared.sql("DROP TABLE ours.v")
    assert c.list_tables("ours") == []
    assert ("ours",) in c.list_namespaces()
    c.drop_namespace("ours")
    assert shared.sql("DROP SCHEMA ours", check=False)[0] != 0


def test_together(shared):
    """Four of our processes and PyIceberg append at once: nobody of ours fails, no row is lost or doubled."""
    shared.sql("CREATE SCHEMA s")
    shared.sql("CREATE TABLE s.t (id bigint)")
    done, errors = [], []

    def ours(w):
        for i in range(8):
            code, err = shared.sql(f"INSERT INTO s.t VALUES ({w * 100 + i})", check=False)
            (done.append(w * 100 + i) if code == 0 else errors.append(err))

    threads = [threading.Thread(target=ours, args=(w,)) for w in range(4)]
    for t in threads:
        t.start()
    for i in range(8):
        shared.append("s.t", [{"id": 900 + i}])
        done.append(900 + i)
    for t in threads:
        t.join()
    assert errors == []
    assert shared.ids("s.t") == sorted(done)


def test_killed_writers(shared):
    """What was acknowledged is there, once; what was killed is there once or not at all; the table stays whole."""
    shared.sql("CREATE SCHEMA s")
    shared.sql("CREATE TABLE s.t (id bigint)")
    done, killed = set(), set()
    r = random.Random(5)

    def writer(w):
        for i in range(10):
            n = w * 100 + i
            p = shared.start("sql", f"INSERT INTO s.t VALUES ({n})")
            if i % 2:
                time.sleep(r.random() * 0.06)
                p.kill()
            out, err = p.communicate(timeout=120)
            if p.returncode == 0:
                done.add(n)
            else:
                assert p.returncode == -signal.SIGKILL, err
                killed.add(n)

    threads = [threading.Thread(target=writer, args=(w,)) for w in range(3)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert killed and done
    ids = shared.ids("s.t")
    assert len(ids) == len(set(ids))
    assert done <= set(ids) <= done | killed
    shared.append("s.t", [{"id": 1000}])
    shared.sql("INSERT INTO s.t VALUES (1001)")
    assert shared.ids("s.t") == ids + [1000, 1001]


def test_server_restarts(server, shared):
    """In the middle of writing, in each of the ways a server can go: nobody fails, no row is lost or doubled."""
    shared.sql("CREATE SCHEMA s")
    shared.sql("CREATE TABLE s.t (id bigint)")
    done, errors = [], []
    go_on = threading.Event()

    def writer(w):
        """One process with one connection for all its statements."""
        text = ";".join(f"INSERT INTO s.t VALUES ({w * 1000 + i})" for i in range(60))
        p = shared.start("sql", text)
        out, err = p.communicate(timeout=180)
        (done.extend(w * 1000 + i for i in range(60)) if p.returncode == 0 else errors.append(err))

    threads = [threading.Thread(target=writer, args=(w,)) for w in range(3)]
    for t in threads:
        t.start()
    for how in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
        time.sleep(0.3)
        server.stop(how)
        time.sleep(0.2)
        server.start()
    for t in threads:
        t.join()
    assert errors == []
    server.wait()
    assert shared.ids("s.t") == sorted(done)


def test_password_stays_secret(server, shared):
    shared.env[f"PYICEBERG_CATALOG__{shared.name.upper()}__URI"] = server.uri(password="hunter2%zz")
    code, err = shared.sql("SELECT 1 FROM a.b", check=False)
    assert code != 0 and "password authentication failed" in err
    assert "hunter2" not in err
    shared.env[f"PYICEBERG_CATALOG__{shared.name.upper()}__URI"] = server.uri().replace("frazil:", "frazil:hunter2%zz")
    code, err = shared.sql("SELECT 1 FROM a.b", check=False)
    assert code != 0 and "hunter2" not in err


def test_older_tables(server, shared):
    """Tables of a PyIceberg that knew no views: five columns stay five, and both go on."""
    db = psycopg2.connect(server.uri(scheme="postgresql"))
    db.autocommit = True
    db.cursor().execute("CREATE DATABASE older")
    db.close()
    uri = server.uri("older")
    shared.uri = shared.env[f"PYICEBERG_CATALOG__{shared.name.upper()}__URI"] = uri
    shared.pyiceberg().create_namespace("s")
    db = psycopg2.connect(server.uri("older", "postgresql"))
    db.autocommit = True
    cur = db.cursor()
    cur.execute("ALTER TABLE iceberg_tables DROP COLUMN iceberg_type")
    shared.sql("CREATE TABLE s.t (id bigint)")
    shared.append("s.t", [{"id": 1}])
    shared.sql("INSERT INTO s.t VALUES (2)")
    assert shared.ids("s.t") == [1, 2]
    cur.execute("SELECT count(*) FROM information_schema.columns WHERE table_name = 'iceberg_tables'")
    assert cur.fetchone() == (5,)
    cur.execute("SELECT metadata_location, previous_metadata_location FROM iceberg_tables")
    now, before = cur.fetchone()
    assert now != before and before.startswith(shared.warehouse)
    db.close()


def test_without_libpq(shared, tmp_path):
    """Said in plain words where libpq is needed; a local lake never asks for it."""
    broken = tmp_path / "lib"
    broken.mkdir()
    (broken / "libpq.so.5").write_bytes(b"")
    shared.env["LD_LIBRARY_PATH"] = str(broken)
    code, err = shared.sql("SELECT 1 FROM a.b", check=False)
    assert code != 0 and "libpq.so.5" in err and "libpq5" in err
    lake = str(tmp_path / "lake")
    r = subprocess.run([FRAZIL, "--lake", lake, "sql", "CREATE TABLE default.t (id bigint)"], env=shared.env, capture_output=True, text=True, timeout=60)
    assert r.returncode == 0, r.stderr
