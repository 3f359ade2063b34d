"""The history of appends and reads that several processes see of one table is linearizable (tests/linearizability, with porcupine): on a local
lake, through REST on S3, and there with answers that get lost."""
import json, os, random, shutil, subprocess, threading, time

import pyarrow as pa
import pytest

from conftest import FRAZIL, ROOT

LONG = os.environ.get("FRAZIL_TEST_LONG")
pytestmark = pytest.mark.skipif(not LONG, reason="long")
CLIENTS, OPS = 6, 20


@pytest.fixture(scope="session")
def check(tmp_path_factory):
    """Function: history → the checker's verdict; it fails the test unless it is "linearizable"."""
    go = next((g for g in (os.path.join(ROOT, ".venv/servers/bin/go"), shutil.which("go")) if g and os.path.exists(g)), None)
    if not go:
        pytest.skip("no Go: scripts/setup --spark")
    d = tmp_path_factory.mktemp("linearizability")
    b = subprocess.run([go, "build", "-o", str(d / "check"), "."], cwd=os.path.join(ROOT, "tests", "linearizability"), capture_output=True, text=True,
                       timeout=300, env=dict(os.environ, GOFLAGS="-mod=readonly"))
    if b.returncode:
        pytest.skip("the checker can't be built: " + b.stderr[-500:])

    def run(history):
        r = subprocess.run([str(d / "check"), str(d / "history.html")], input=json.dumps(history), capture_output=True, text=True, timeout=300)
        assert r.returncode == 0, f"{r.stdout}{r.stderr}\n" + "\n".join(map(str, sorted(history, key=lambda e: e["call"])))
        return r.stdout
    return run


def frazil_client(command, table):
    """append(row) → outcome; read() → rows or None."""
    def run(sql):
        return subprocess.run([*command, "sql", sql, "--format", "csv", "--quiet"], capture_output=True, text=True, timeout=120)

    def append(row):
        r = run(f"INSERT INTO {table} VALUES ({row})")
        if r.returncode == 0:
            return "ok"
        return "unknown" if "unknown" in r.stderr or "not known" in r.stderr else "failed"

    def read():
        r = run(f"SELECT id FROM {table}")
        assert r.returncode == 0, r.stderr
        return [int(x) for x in r.stdout.split()[1:]]
    return append, read


def pyiceberg_client(open_catalog, table):
    from pyiceberg.exceptions import CommitFailedException
    catalog = open_catalog()

    def append(row):
        try:
            catalog.load_table(table).append(pa.table({"id": pa.array([row], pa.int64())}))
            return "ok"
        except CommitFailedException:
            return "failed"
        except Exception:
            return "unknown"

    def read():
        return catalog.load_table(table).scan().to_arrow()["id"].to_pylist()
    return append, read


def record(clients, seed):
    """Each client appends and reads in turn, at random; the history of all."""
    history, wrong, lock = [], [], threading.Lock()

    def go(n, append, read):
        rng = random.Random(seed * 100 + n)
        try:
            for i in range(OPS):
                e = {"client": n, "op": rng.choice(["append", "append", "read"]), "call": time.monotonic_ns(), "outcome": "ok"}
                if e["op"] == "append":
                    e["rows"] = [n * 1000 + i]
                    e["outcome"] = append(e["rows"][0])
                else:
                    e["rows"] = read()
                e["return"] = time.monotonic_ns()
                with lock:
                    history.append(e)
        except BaseException as e:
            wrong.append(e)
    threads = [threading.Thread(target=go, args=(n, *c)) for n, c in enumerate(clients)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong, wrong
    last = time.monotonic_ns()
    history.append({"client": len(clients), "op": "read", "call": last, "return": last + 1, "outcome": "ok", "rows": clients[0][1]()})
    return history


def outcomes(history):
    return {o: sum(e["op"] == "append" and e["outcome"] == o for e in history) for o in ("ok", "failed", "unknown")}


def test_the_checker_finds_a_lost_row(check):
    good = [{"client": 0, "call": 1, "return": 2, "op": "append", "rows": [1], "outcome": "ok"}, {"client": 1, "call": 3, "return": 4, "op": "read", "rows": [1], "outcome": "ok"}]
    check(good)
    for rows in ([], [1, 1], [2]):
        with pytest.raises(AssertionError, match="not linearizable"):
            check([good[0], dict(good[1], rows=rows)])


@pytest.mark.parametrize("seed", range(3))
def test_local_lake(lake, check, seed):
    lake.sql("CREATE TABLE t (id bigint)")
    clients = [frazil_client([FRAZIL, "--lake", lake.path], "t") for _ in range(CLIENTS - 1)] + [pyiceberg_client(lake.catalog, "default.t")]
    h = record(clients, seed)
    assert all(e["outcome"] == "ok" for e in h if e["client"] != CLIENTS - 1), outcomes(h)
    check(h)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("faults", ["none", "lost answers"])
def test_rest(weed, spoiled, check, faults, seed, monkeypatch):
    p, far = spoiled
    from pyiceberg.catalog import load_catalog
    near = load_catalog("default", **weed.properties())
    table = f"linear.t{seed}_{faults[:4]}"
    near.create_namespace_if_not_exists("linear")
    near.create_table(table, schema=pa.schema([("id", pa.int64())]))
    for k, v in far.env().items():
        monkeypatch.setenv(k, v)
    if faults != "none":
        p.rule("lost", on="rest", method="POST", path="*/tables/t*", count=0, permille=150)
        p.rule("status", on="rest", method="POST", path="*/tables/t*", count=0, permille=100, arg=503)
        p.rule("reset_before", on="s3", count=0, permille=10)
    clients = [frazil_client([FRAZIL, "--catalog", "default"], table) for _ in range(CLIENTS - 1)]
    clients.append(pyiceberg_client(lambda: near, table))
    h = record(clients, seed)
    seen = outcomes([e for e in h if e["client"] != CLIENTS - 1])
    assert seen["failed"] == 0 and (faults != "none" or seen["unknown"] == 0), seen
    if faults != "none":
        assert p.hits() > 0
    check(h)
