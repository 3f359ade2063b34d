"""Transactions killed and failing at each fault point: all of their tables or none, nothing left behind; and several processes at once."""
import os, re, subprocess, sys, threading

import pyarrow as pa
import pytest

from conftest import FRAZIL, ROOT, Lake

sys.path.insert(0, os.path.join(ROOT, "tests"))

SCRIPT = "BEGIN; INSERT INTO a VALUES ({n}); ALTER TABLE a SET TBLPROPERTIES ('n' = '{n}'); INSERT INTO b SELECT x FROM a WHERE x = {n}; {more} COMMIT"


@pytest.fixture
def lake(tmp_path):
    lake = Lake(tmp_path / "lake")
    lake.run("sql", "CREATE TABLE a (x bigint); CREATE TABLE b (x bigint)")
    return lake


def files(lake):
    return sorted(os.path.join(d, f) for d, _, fs in os.walk(lake.path + "/warehouse") for f in fs)


def state(lake):
    a, b = lake.one("SELECT count(*) FROM a"), lake.one("SELECT count(*) FROM b")
    assert a == b
    return int(a), sorted(row[1] for row in lake.sql("SHOW TABLES"))


@pytest.mark.parametrize("action", ["kill", "error"])
def test_every_fault_point(lake, action):
    err = lake.run("sql", SCRIPT.format(n=0, more="CREATE TABLE c AS SELECT 1 AS y;"), env={"FRAZIL_FAULT": "list"}).stderr
    names = sorted(set(re.findall(r"^(?:fault: |fault point: )?([a-z_]+(?:\.[a-z_]+)+)$", err, re.M)))
    assert {"commit.before", "commit.manifest", "catalog.before_cas"} <= set(names), err
    n, tables, before = *state(lake), files(lake)
    for name in names:
        for nth in (1, 2, 4):
            new = f"c{name.replace('.', '_')}{nth}"
            r = lake.run("sql", SCRIPT.format(n=n, more=f"CREATE TABLE {new} AS SELECT 1 AS y;"), check=False, env={"FRAZIL_FAULT": f"{name}:{nth}={action}"})
            now, have = state(lake)
            assert now in (n, n + 1) and (new in have) == (now == n + 1), (name, nth, r.stderr)
            assert now == n + 1 or r.returncode, (name, nth)
            if action == "error" and now == n:
                assert files(lake) == before, (name, nth)
            n, before = now, files(lake)


def test_processes_and_pyiceberg_at_once(lake):
    def ours(k):
        for i in range(4):
            r = subprocess.run([FRAZIL, "--lake", lake.path, "sql", SCRIPT.format(n=1000 * k + i, more="")], capture_output=True, text=True, timeout=120)
            assert r.returncode == 0, r.stderr

    def theirs():
        for i in range(4):
            for name in "ab":
                for _ in range(50):  # PyIceberg doesn't try again by itself
                    try:
                        lake.table(name).append(pa.table({"x": [-i]}))
                        break
                    except Exception:
                        pass
                else:
                    raise AssertionError("PyIceberg never got through")
    failures = []

    def kept(f, *args):
        try:
            f(*args)
        except BaseException as e:
            failures.append(e)
    threads = [threading.Thread(target=kept, args=(ours, k)) for k in (1, 2, 3)] + [threading.Thread(target=kept, args=(theirs,))]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not failures, failures
    for name in "ab":
        got = sorted(lake.table(name).scan().to_arrow()["x"].to_pylist())
        assert got == sorted([1000 * k + i for k in (1, 2, 3) for i in range(4)] + [-i for i in range(4)])


def test_behind_a_rest_catalog(tmp_path):
    """Apache's reference server: two tables in one request; a table alone with its rows; both together are refused, and nothing stays."""
    import servers
    from test_rest import Catalog
    try:
        cat = Catalog(servers.shared("reference"), tmp_path)
    except servers.Missing as e:
        pytest.skip(str(e))
    a, b, c = (f"{cat.ns}.{x}" for x in "abc")
    cat.run("sql", f"CREATE TABLE {a} (x bigint); CREATE TABLE {b} (x bigint)")
    cat.run("sql", f"BEGIN; INSERT INTO {a} VALUES (1); INSERT INTO {a} SELECT x + 1 FROM {a}; ALTER TABLE {a} ADD COLUMN y int; "
                   f"INSERT INTO {b} SELECT sum(x) FROM {a}; COMMIT")
    assert sorted(cat.rows("a")["x"].to_pylist()) == [1, 2] and cat.rows("b")["x"].to_pylist() == [3]
    assert [f.name for f in cat.table("a").schema().fields] == ["x", "y"]
    cat.run("sql", f"BEGIN; CREATE TABLE {c} AS SELECT x FROM {a}; INSERT INTO {c} VALUES (9); COMMIT")
    assert sorted(cat.rows("c")["x"].to_pylist()) == [1, 2, 9]
    r = cat.run("sql", f"BEGIN; INSERT INTO {a} (x) VALUES (5); CREATE TABLE {cat.ns}.d AS SELECT 1 AS x; COMMIT", check=False)
    assert r.returncode == 1 and "can't make or drop a table together" in r.stderr
    assert cat.rows("a").num_rows == 2 and not cat.py.table_exists(f"{cat.ns}.d")
    cat.run("sql", f"BEGIN; DROP TABLE {c}; COMMIT")
    assert not cat.py.table_exists(c)
