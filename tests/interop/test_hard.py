"""Hard surroundings: kills at random moments, full disks, folders that can't be written, odd paths, missing streams, little memory, odd input,
other programs' catalogs. What takes longer runs where FRAZIL_TEST_LONG is set."""
import glob, gzip, os, random, resource, shutil, signal, sqlite3, subprocess, sys, tempfile, threading, time

import pytest

from conftest import FRAZIL, Lake

LONG = bool(os.environ.get("FRAZIL_TEST_LONG"))
CURRENT = """CREATE TABLE iceberg_tables (catalog_name VARCHAR(255) NOT NULL, table_namespace VARCHAR(255) NOT NULL, table_name VARCHAR(255) NOT NULL,
metadata_location VARCHAR(1000), previous_metadata_location VARCHAR(1000), %s PRIMARY KEY (catalog_name, table_namespace, table_name));
CREATE TABLE iceberg_namespace_properties (catalog_name VARCHAR(255) NOT NULL, namespace VARCHAR(255) NOT NULL, property_key VARCHAR(255) NOT NULL,
property_value VARCHAR(1000) NOT NULL, PRIMARY KEY (catalog_name, namespace, property_key));"""


def write(path, text):
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def rows_csv(path, n, start=0, groups=5):
    return write(path, "k,v\n" + "".join(f"{i % groups},{i}\n" for i in range(start, start + n)))


def files(lake):
    return sorted(os.path.join(d, f) for d, _, fs in os.walk(lake.path + "/warehouse") for f in fs)


def failed(r, *words):
    assert r.returncode == 1 and all(w in r.stderr for w in words), (r.returncode, r.stderr)


# ---- crashes ----

def count(lake, table, pyiceberg=False):
    """Rows, or None where there is no such table; PyIceberg agrees."""
    if not os.path.exists(lake.path + "/catalog.db"):
        return None
    r = lake.run("sql", f"SELECT count(*) FROM {table}", "--format", "csv", check=False)
    if r.returncode:
        assert "there is no table" in r.stderr or "doesn't exist" in r.stderr, r.stderr
        return None
    n = int(r.stdout.split()[1])
    assert not pyiceberg or lake.table(table).scan().to_arrow().num_rows == n
    return n


OPERATIONS = {  # from a table with rows (True) or none there; arguments; rows afterwards
    "load": (None, ["load", "{a}", "{t}"], lambda n: n + 300),
    "partitioned": (False, ["load", "{a}", "{t}", "--partition-by", "k"], lambda n: 300),
    "create": (False, ["sql", "CREATE TABLE {t} (k bigint, v bigint)"], lambda n: 0),
    "ctas": (False, ["sql", "CREATE TABLE {t} AS SELECT * FROM '{a}'"], lambda n: 300),
    "insert": (True, ["sql", "INSERT INTO {t} (k, v) SELECT * FROM '{a}'"], lambda n: n + 300),
    "replace": (True, ["load", "{b}", "{t}", "--replace", "--add-columns"], lambda n: 100),
    "add-columns": (True, ["load", "{b}", "{t}", "--add-columns"], lambda n: n + 100),
    "overwrite": (True, ["sql", "INSERT OVERWRITE {t} (k, v) SELECT * FROM '{a}'"], lambda n: 300),
    "drop": (True, ["sql", "DROP TABLE {t}"], lambda n: None),
    "purge": (True, ["sql", "DROP TABLE {t} PURGE"], lambda n: None),
}


def operation(name, lake, tmp_path, table):
    a, b = tmp_path / "a.csv", tmp_path / "b.csv"
    if not a.exists():
        rows_csv(a, 300)
        write(b, "k,v,x\n" + "".join(f"{i},{i},{i}\n" for i in range(100)))
    return [x.format(a=a, b=b, t=table) for x in OPERATIONS[name][1]]


@pytest.mark.parametrize("name", list(OPERATIONS))
def test_killed_at_every_fault_point(lake, tmp_path, name):
    needs, _, rows = OPERATIONS[name]
    first = operation("load", lake, tmp_path, "t")

    def fresh(table):
        if needs:
            lake.run(*[x if x != "t" else table for x in first])
    fresh("probe")
    env = {"FRAZIL_FAULT": "list"}
    points = sorted({x for x in lake.run(*operation(name, lake, tmp_path, "probe"), env=env).stderr.split() if x.count(".") and x.replace(".", "").replace("_", "").isalpha()})
    assert "purge" in name or "drop" in name or len(points) >= 4
    for i, point in enumerate(points):
        for nth in (1, 3) if LONG else (1,):
            t = f"t{i}_{nth}"
            fresh(t)
            before = count(lake, t)
            r = lake.run(*operation(name, lake, tmp_path, t), check=False, env={"FRAZIL_FAULT": f"{point}:{nth}"})
            now, after = count(lake, t, True), rows(before or 0)
            assert now in (before, after) and (r.returncode or now == after), (point, nth, before, now, r.stderr)
            lake.run(*operation("load", lake, tmp_path, t), "--add-columns") if now is not None else lake.run(*first[:-1], t)
            assert count(lake, t) == (now or 0) + 300, (point, nth)


@pytest.mark.parametrize("seed", range(20 if LONG else 1))
def test_killed_at_random_moments(lake, tmp_path, seed):
    rnd, state = random.Random(seed), {"x": None, "y": None}
    for step in range(150 if LONG else 40):
        t = rnd.choice("xy")
        have = state[t]
        name = rnd.choice([n for n, (needs, _, _) in OPERATIONS.items() if needs is None or needs == (have is not None)])
        args = operation(name, lake, tmp_path, t)
        if name == "load" and have:
            args.append("--add-columns")
        p = subprocess.Popen([FRAZIL, "--lake", lake.path, *args], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        try:
            _, err = p.communicate(timeout=rnd.uniform(0, rnd.choice([0.02, 0.05, 0.1])))
        except subprocess.TimeoutExpired:
            p.kill()
            _, err = p.communicate()
        now, after = count(lake, t, rnd.random() < 0.3), OPERATIONS[name][2](have or 0)
        assert p.returncode in (0, -9), (seed, step, name, err)
        assert now == after if p.returncode == 0 else now in (have, after), (seed, step, name, have, now, err)
        state[t] = now


def test_killed_lock_holder_and_deleted_locks(lake, tmp_path):
    a = rows_csv(tmp_path / "a.csv", 10)
    lake.load(a, "t")
    p = subprocess.Popen([FRAZIL, "--lake", lake.path, "load", a, "t"], env=dict(os.environ, FRAZIL_FAULT="catalog.before_cas=sleep60000"),
                         stderr=subprocess.DEVNULL)
    time.sleep(0.5)
    q = subprocess.Popen([FRAZIL, "--lake", lake.path, "load", a, "t"], stderr=subprocess.DEVNULL)
    time.sleep(0.3)
    assert q.poll() is None  # waits its turn
    p.kill()
    p.wait()
    start = time.time()
    assert q.wait(timeout=20) == 0 and time.time() - start < 2
    shutil.rmtree(lake.path + "/.frazil")
    lake.load(a, "t")
    assert count(lake, "t", True) == 30


def test_log_left_by_a_killed_process(lake, tmp_path):
    a = rows_csv(tmp_path / "a.csv", 10)
    lake.load(a, "t")
    lake.run("load", a, "t", check=False, env={"FRAZIL_FAULT": "catalog.after_cas"})
    assert os.path.getsize(lake.path + "/catalog.db-wal") > 0
    assert lake.table("t").scan().to_arrow().num_rows == 20
    lake.run("load", a, "t", check=False, env={"FRAZIL_FAULT": "catalog.after_cas"})
    assert count(lake, "t") == 30


# ---- disks and permissions ----

def public_command():
    """A copy of the command that every user can run: the checkout may lie in a folder that others can't enter."""
    if not hasattr(public_command, "at"):
        public_command.folder = tempfile.TemporaryDirectory(prefix="frazil-test-", dir="/var/tmp")
        os.chmod(public_command.folder.name, 0o755)
        public_command.at = shutil.copy(FRAZIL, public_command.folder.name)
    return public_command.at


def nobody(*args, **kw):
    """The command as another user, where this is root."""
    def drop():
        if os.geteuid() == 0:
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
    return subprocess.run([public_command(), *map(str, args)], capture_output=True, text=True, preexec_fn=drop, timeout=60, cwd="/", **kw)


def reachable(path):
    """Lets everybody into the folders above."""
    while len(str(path)) > 1:
        if not os.stat(path).st_mode & 1:
            if os.stat(path).st_uid != os.geteuid():
                pytest.skip("the test's folder can't be opened to others")
            os.chmod(path, os.stat(path).st_mode | 0o755)
        path = os.path.dirname(path)


def test_read_only_folder(lake, tmp_path):
    reachable(str(tmp_path))
    lake.load(rows_csv(tmp_path / "a.csv", 100), "t")
    for left in (False, True):  # without a log, and with one that a killed process left
        if left:
            lake.run("load", tmp_path / "a.csv", "t", check=False, env={"FRAZIL_FAULT": "catalog.after_cas"})
        before = files(lake)
        for d, ds, fs in os.walk(lake.path):
            os.chmod(d, 0o555)
        try:
            r = nobody("--lake", lake.path, "sql", "SELECT count(*) FROM t", "--format", "csv")
            assert r.returncode == 0 and r.stdout.split()[1] == ("200" if left else "100"), r.stderr
            for sql in ("INSERT INTO t VALUES (1, 2)", "CREATE TABLE u (a int)", "DROP TABLE t", "DROP TABLE t PURGE", "CREATE SCHEMA s"):
                failed(nobody("--lake", lake.path, "sql", sql))
            failed(nobody("--lake", lake.path, "load", tmp_path / "a.csv", "t"))
        finally:
            for d, ds, fs in os.walk(lake.path):
                os.chmod(d, 0o755)
        assert files(lake) == before and count(lake, "t") == (200 if left else 100)
    new = tmp_path / "locked"
    new.mkdir(mode=0o555)
    failed(nobody("--lake", new / "lake", "load", tmp_path / "a.csv", "t"), str(new))


def test_file_size_limit(lake, tmp_path):
    """What a full disk does to single files, without a disk."""
    path = write(tmp_path / "a.csv", "a,b\n" + "".join(f"{random.Random(i).random()},{i * 2654435761 % 10**9}\n" for i in range(60000)))
    small = rows_csv(tmp_path / "s.csv", 10)
    lake.load(small, "t")
    before = files(lake)
    for limit in (100 << 10, 40 << 10, 20 << 10, 1 << 10):
        r = subprocess.run([FRAZIL, "--lake", lake.path, "load", path, "big"], capture_output=True, text=True,
                           preexec_fn=lambda: (signal.signal(signal.SIGXFSZ, signal.SIG_IGN), resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))))
        failed(r)
        assert "large" in r.stderr or "space" in r.stderr or "full" in r.stderr, r.stderr
        assert files(lake) == before
    assert count(lake, "big") is None and count(lake, "t", True) == 10
    lake.load(path, "big")


@pytest.mark.parametrize("size", ["300k", "600k"])
def test_full_disk(tmp_path, size):
    mount = tmp_path / "disk"
    mount.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", mount], capture_output=True).returncode:
        pytest.skip("no file system can be mounted here")
    try:
        lake = Lake(mount / "lake")
        path = write(tmp_path / "a.csv", "a\n" + "".join(f"{random.Random(i).random()}\n" for i in range(3000)))
        ok, codes = 0, []
        for _ in range(40):
            r = lake.load(path, "t", check=False, env={"FRAZIL_TEMP": "", "TMPDIR": str(tmp_path)})
            codes.append(r.returncode)
            ok += r.returncode == 0
            if r.returncode:
                failed(r)
                assert "space" in r.stderr, r.stderr
                before = files(lake)
                lake.load(path, "t", check=False)
                assert files(lake) == before or count(lake, "t") == 3000 * (ok + 1)
                break
        assert ok and codes[-1] == 1
        assert count(lake, "t", True) in (3000 * ok, 3000 * (ok + 1))
    finally:
        subprocess.run(["umount", "-l", mount])


def test_locked_catalog(lake, tmp_path):
    a = rows_csv(tmp_path / "a.csv", 10)
    lake.load(a, "t")
    before = files(lake)
    db = sqlite3.connect(lake.path + "/catalog.db", isolation_level=None)
    db.execute("BEGIN EXCLUSIVE")
    start = time.time()
    failed(lake.load(a, "t", "--set", "lock-timeout-ms=500", check=False), "locked", "500 ms")
    failed(lake.run("sql", "CREATE TABLE u (a int)", "--set", "lock-timeout-ms=500", check=False), "locked")
    assert 1 < time.time() - start < 5 and files(lake) == before
    assert count(lake, "t") == 10  # reading goes on
    p = subprocess.Popen([FRAZIL, "--lake", lake.path, "load", str(a), "t"], stderr=subprocess.DEVNULL)
    time.sleep(0.5)
    db.execute("ROLLBACK")
    assert p.wait(timeout=20) == 0 and count(lake, "t") == 20


def test_temporary_folder_that_cannot_be_written(lake, tmp_path):
    a = rows_csv(tmp_path / "a.csv", 1000)
    lake.load(a, "t", env={"TMPDIR": "/nonexistent"})  # a file can be read twice
    failed(lake.load("-", "t", stdin=a.read_text(), env={"TMPDIR": "/nonexistent"}, check=False), "temporary file", "/nonexistent")
    lake.load("-", "t", stdin=a.read_text(), env={"TMPDIR": ""})
    assert lake.one("SELECT count(*) FROM t") == "2000"


@pytest.mark.parametrize("closed", [(0,), (1,), (2,), (0, 1, 2), (0, 2)])
def test_closed_streams(lake, tmp_path, closed):
    """A file that is opened must not become standard output."""
    a = rows_csv(tmp_path / "a.csv", 1000)
    redirect = " ".join(f"{fd}{'<' if fd == 0 else '>'}&-" for fd in closed)
    r = subprocess.run(["sh", "-c", f'exec "$0" "$@" {redirect}', FRAZIL, "--lake", lake.path, "load", str(a), "t"], capture_output=True, text=True)
    assert r.returncode == 0, r.stderr
    r = subprocess.run(["sh", "-c", f'exec "$0" "$@" {redirect}', FRAZIL, "--lake", lake.path, "sql", "SELECT sum(v) FROM t; INSERT INTO t VALUES (0, 7)", "--format", "csv"],
                       capture_output=True, text=True)
    if 1 not in closed:
        assert r.returncode == 0 and r.stdout.split()[1] == "499500"
    if r.returncode == 0:
        assert sorted(lake.table("t").scan().to_arrow()["v"].to_pylist()) == sorted([7, *range(1000)])
    assert sqlite3.connect(lake.path + "/catalog.db").execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_bare_environment(tmp_path):
    a = rows_csv(tmp_path / "a.csv", 10)
    for env in ({}, {"LC_ALL": "de_DE.UTF-8", "HOME": "/nonexistent"}, {"HOME": "", "XDG_CACHE_HOME": "/proc"}):
        lake = str(tmp_path / f"lake{len(env)}{'x' if 'XDG_CACHE_HOME' in env else ''}")
        r = subprocess.run([FRAZIL, "--lake", lake, "load", a, "t"], env=env, capture_output=True, text=True, preexec_fn=lambda: os.umask(0o077))
        assert r.returncode == 0, r.stderr
        assert os.stat(lake + "/catalog.db").st_mode & 0o77 == 0
        assert Lake(lake).sql("SELECT 0.5 * count(*) FROM t") in ([["5.0"]], [["5"]])


# ---- paths ----

@pytest.mark.parametrize("name", ["with space", "100%25", "zwölf Boxkämpfer", "it's \"quoted\"", "a#b?c", "back\\slash", "-dash", "semi;colon&amp", "日本",
                                  "x" * 200 + "/" + "y" * 180])
def test_odd_lake_paths(tmp_path, name):
    a = rows_csv(tmp_path / "a.csv", 100)
    lake = Lake(tmp_path / name)
    lake.load(a, "t", "--partition-by", "k")
    lake.load(a, "t")
    assert lake.one("SELECT count(*) FROM t WHERE k = 3") == "40"
    lake.sql("INSERT INTO t VALUES (9, 9)")
    from pyiceberg.catalog import load_catalog
    if not set(name) & set("#?%"):  # PyIceberg parses locations as URLs
        assert lake.table("t").scan().to_arrow().num_rows == 201
    lake.run("drop", "t", "--yes", "--purge")
    assert files(lake) == []


def test_relative_and_linked_paths(tmp_path):
    a = rows_csv(tmp_path / "a.csv", 10)
    real, link = tmp_path / "real", tmp_path / "link"
    real.mkdir()
    link.symlink_to(real)

    def run(cwd, lake, *args):
        r = subprocess.run([FRAZIL, "--lake", lake, *map(str, args)], cwd=cwd, capture_output=True, text=True)
        assert r.returncode == 0, r.stderr
        return r.stdout
    run(tmp_path, "link", "load", a, "t")
    run(real, ".", "load", a, "t")
    run(real, "../link/../real/", "load", "../a.csv", "t")
    run("/", f"file://{real}", "load", a, "t")
    run("/", str(link) + "//", "load", a, "t")
    assert run(tmp_path, "./real", "sql", "SELECT count(*) FROM t", "--format", "csv").split()[1] == "50"
    r = subprocess.run([FRAZIL, "load", str(a), "t"], cwd=tmp_path, capture_output=True, text=True, env={k: v for k, v in os.environ.items() if k != "FRAZIL_LAKE"})
    assert r.returncode == 0 and (tmp_path / "lake" / "catalog.db").exists()
    broken = tmp_path / "broken"
    broken.symlink_to(tmp_path / "nowhere")
    r = subprocess.run([FRAZIL, "--lake", broken, "load", a, "t"], capture_output=True, text=True)
    assert r.returncode in (0, 1) and (r.returncode == 0 or r.stderr)
    r = subprocess.run([FRAZIL, "--lake", "/" + "n" * 5000, "load", a, "t"], capture_output=True, text=True)
    failed(r, "too long")
    r = subprocess.run([FRAZIL, "--lake", tmp_path / ("x" * 250) / ("y" * 250) / "z", "load", a, "t"], capture_output=True, text=True)
    failed(r, "path", "SQLite")
    r = subprocess.run([FRAZIL, "--lake", a, "load", a, "t"], capture_output=True, text=True)
    failed(r, "directory")


# ---- the catalog ----

def test_older_schema_of_pyiceberg(lake, tmp_path):
    os.makedirs(lake.path)
    db = sqlite3.connect(lake.path + "/catalog.db")
    db.executescript(CURRENT % "")
    db.close()
    a = rows_csv(tmp_path / "a.csv", 10)
    lake.load(a, "t")
    lake.load(a, "s.u")
    lake.sql("CREATE TABLE e (a int)")
    lake.run("drop", "e", "--yes")
    assert [r[-1] for r in lake.sql("SHOW TABLES")] and count(lake, "t") == 10
    db = sqlite3.connect(lake.path + "/catalog.db")
    assert [c[1] for c in db.execute("PRAGMA table_info(iceberg_tables)")][-1] == "previous_metadata_location"
    assert db.execute("SELECT count(*) FROM iceberg_tables").fetchone() == (2,)


@pytest.mark.parametrize("name", ["other", "it's", "ü"])
def test_one_other_catalog_name(lake, tmp_path, name):
    from pyiceberg.catalog import load_catalog
    import pyarrow as pa
    os.makedirs(lake.path + "/warehouse")
    c = load_catalog(name, type="sql", uri=f"sqlite:///{lake.path}/catalog.db", warehouse=f"file://{lake.path}/warehouse")
    c.create_namespace("default")
    c.create_table("default.t", schema=pa.schema([("a", pa.int64())])).append(pa.table({"a": [1, 2]}))
    lake.sql("INSERT INTO t VALUES (3)")
    lake.sql("CREATE TABLE u AS SELECT * FROM t")
    assert c.load_table("default.u").scan().to_arrow().num_rows == 3
    db = sqlite3.connect(lake.path + "/catalog.db")
    assert db.execute("SELECT DISTINCT catalog_name FROM iceberg_tables").fetchall() == [(name,)]


def test_several_catalog_names(lake, tmp_path):
    from pyiceberg.catalog import load_catalog
    import pyarrow as pa
    os.makedirs(lake.path + "/warehouse")
    for name in ("prod", "test"):
        c = load_catalog(name, type="sql", uri=f"sqlite:///{lake.path}/catalog.db", warehouse=f"file://{lake.path}/warehouse/{name}")
        c.create_namespace("default")
        c.create_table("default.t", schema=pa.schema([("a", pa.int64())])).append(pa.table({"a": list(range(len(name)))}))
    failed(lake.run("sql", "SELECT * FROM t", check=False), "prod", "test", "--set catalog-name=")
    assert lake.run("sql", "SELECT count(*) FROM t", "--set", "catalog-name=test", "--format", "csv").stdout.split()[1] == "4"
    lake.run("sql", "INSERT INTO t VALUES (9)", "--set", "catalog-name=prod")
    assert load_catalog("prod", type="sql", uri=f"sqlite:///{lake.path}/catalog.db").load_table("default.t").scan().to_arrow().num_rows == 5


@pytest.mark.parametrize("content", [b"not a database at all" * 100, b"SQLite format 3\0" + b"\xff" * 5000])
def test_damaged_catalog(lake, tmp_path, content):
    os.makedirs(lake.path)
    with open(lake.path + "/catalog.db", "wb") as f:
        f.write(content)
    failed(lake.run("sql", "SELECT * FROM t", check=False), "catalog.db")
    failed(lake.load(rows_csv(tmp_path / "a.csv", 10), "t", check=False), "catalog.db")
    assert open(lake.path + "/catalog.db", "rb").read() == content


def test_metadata_that_is_gone_or_damaged(lake, tmp_path):
    lake.damaged = True
    a = rows_csv(tmp_path / "a.csv", 10)
    lake.load(a, "t")
    lake.load(a, "u")
    for path in glob.glob(lake.path + "/warehouse/default/t/metadata/*.json"):
        os.remove(path)
    failed(lake.run("sql", "SELECT * FROM t", check=False), "metadata", ".json")
    failed(lake.load(a, "t", check=False), "metadata")
    for path in glob.glob(lake.path + "/warehouse/default/u/data/**/*.parquet", recursive=True):
        os.truncate(path, os.path.getsize(path) // 2)
    failed(lake.run("sql", "SELECT sum(v) FROM u", check=False), ".parquet")
    lake.run("drop", "t", "--yes")
    assert [r[-1] for r in lake.sql("SHOW TABLES")] == ["u"] or "u" in str(lake.sql("SHOW TABLES"))


# ---- concurrency ----

def test_readers_see_whole_appends(lake, tmp_path):
    """Each append adds 7 rows of one batch; overwrites keep that; tables come and go meanwhile."""
    lake.sql("CREATE TABLE t (b bigint, i bigint)")
    n = 50 if LONG else 8
    sql = lambda w: "; ".join(f"INSERT {'OVERWRITE' if w == 0 and i % 5 == 4 else 'INTO'} t VALUES " + ", ".join(f"({w * 1000 + i}, {k})" for k in range(7)) for i in range(n))
    writers = [subprocess.Popen([FRAZIL, "--lake", lake.path, "sql", sql(w)], stderr=subprocess.PIPE, text=True) for w in range(4)]
    makers = [subprocess.Popen([FRAZIL, "--lake", lake.path, "sql", "; ".join(f"CREATE TABLE IF NOT EXISTS m (a int); INSERT INTO m VALUES ({w}); DROP TABLE IF EXISTS m" for _ in range(n))],
                               stderr=subprocess.PIPE, text=True) for w in range(2)]
    looks = 0
    while any(p.poll() is None for p in writers):
        bad = lake.sql("SELECT b, count(*), count(DISTINCT i) FROM t GROUP BY b HAVING count(*) <> 7 OR count(DISTINCT i) <> 7")
        assert bad == []
        looks += 1
    for p in writers:
        assert p.communicate()[1] == "" or p.returncode == 0
        assert p.returncode == 0
    for p in makers:  # the other may drop the table just before the insert
        err = p.communicate(timeout=60)[1]
        assert p.returncode == 0 or any(w in err for w in ("doesn't exist", "dropped", "exists", "meanwhile")), err
    assert looks > 2 and count(lake, "t", True) % 7 == 0


def test_two_lakes(tmp_path):
    a = rows_csv(tmp_path / "a.csv", 10)
    lakes = [Lake(tmp_path / n) for n in ("one", "two")]
    ps = [subprocess.Popen([FRAZIL, "--lake", l.path, "load", a, "t"]) for l in lakes for _ in range(4)]
    assert [p.wait() for p in ps] == [0] * 8
    assert [count(l, "t", True) for l in lakes] == [40, 40]


# ---- memory ----

def peak_of(lake, *args):
    """Exit code, standard output and error, and the peak memory in MB."""
    p = subprocess.Popen([FRAZIL, "--lake", lake.path, *map(str, args)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    peak, out = 0, []
    reader = threading.Thread(target=lambda: out.extend(p.communicate()))
    reader.start()
    while reader.is_alive():  # what the kernel reports at the end counts this process before exec too
        try:
            peak = max([peak] + [int(l.split()[1]) for l in open(f"/proc/{p.pid}/status") if l.startswith("VmHWM")])
        except OSError:
            pass
        time.sleep(0.002)
    return p.returncode, *out, peak / 1024


def test_little_memory(lake, tmp_path):
    n = 1_500_000 if LONG else 400_000
    path = tmp_path / "a.csv"
    with open(path, "w") as f:
        f.write("k,v,s\n")
        f.writelines(f"{i * 7919 % n},{i},some text {i * 31 % n:09d} that is long\n" for i in range(n))
    code, _, err, mb = peak_of(lake, "load", path, "t", "--memory-limit", "60M")
    assert code == 0 and mb < 120, (err, mb)
    for sql, want in [("SELECT count(*) AS n, sum(c) AS s FROM (SELECT s, count(*) AS c, max(v) AS m FROM t GROUP BY s)", f"{n},{n}"),
                      ("SELECT count(*) AS n, sum(a.v) AS s FROM t a JOIN t b ON a.k = b.v", f"{n},{n * (n - 1) // 2}"),
                      ("SELECT count(DISTINCT s) AS n, count(DISTINCT k) AS s FROM t", f"{n},{n}")]:
        code, out, err, mb = peak_of(lake, "sql", sql, "--format", "csv", "--memory-limit", "40M")
        assert code == 0 and out == f"n,s\n{want}\n", (sql, out, err)  # groups and build sides stay in memory
    code, out, err, mb = peak_of(lake, "sql", "SELECT k FROM t ORDER BY s DESC, k", "--format", "csv", "--memory-limit", "40M")
    assert code == 0 and mb < 180, (err, mb)
    out = list(map(int, out.split()[1:]))
    by_k = {i * 7919 % n: i * 31 % n for i in range(n)}
    assert len(out) == n and all(by_k[a] >= by_k[b] for a, b in zip(out, out[1:]))


def test_many_partitions_with_little_memory(lake, tmp_path):
    n, parts = (2_000_000, 10_000) if LONG else (60_000, 1_000)
    path, rnd = tmp_path / "a.csv", random.Random(5)
    with open(path, "w") as f:
        f.write("k,v\n")
        f.writelines(f"{rnd.randrange(parts)},{i}\n" for i in range(n))
    code, _, err, mb = peak_of(lake, "load", path, "t", "--partition-by", "k", "--memory-limit", "100M")
    assert code == 0 and mb < 150, (err, mb)
    assert lake.sql("SELECT count(*), sum(v), count(DISTINCT k) FROM t") == [[str(n), str(n * (n - 1) // 2), str(parts)]]


def test_large_and_wide_input(lake, tmp_path):
    size = 200 << 20 if LONG else 20 << 20
    path = tmp_path / "field.csv"
    with open(path, "w") as f:
        f.write('a,b\n1,"' + "x" * size + '"\n2,y\n')
    code, _, err, mb = peak_of(lake, "load", path, "t", "--memory-limit", "200M")
    assert code in (0, 1) and (code == 0 or "field" in err or "row" in err), err
    if code == 0:
        assert lake.sql("SELECT a, length(b) FROM t ORDER BY a") == [["1", str(size)], ["2", "1"]]
    assert mb < 200 + 5 * (size >> 20), mb
    wide = write(tmp_path / "wide.csv", ",".join(f"c{i}" for i in range(5000)) + "\n" + "".join(",".join(str(i * k % 97) for i in range(5000)) + "\n" for k in range(100)))
    code, _, err, mb = peak_of(lake, "load", wide, "w")
    assert code == 0, err
    assert lake.sql("SELECT count(*), sum(c0), sum(c4999) FROM w") == [["100", "0", str(sum(4999 * k % 97 for k in range(100)))]]


def test_compression_bomb(lake, tmp_path):
    path = tmp_path / "bomb.csv.gz"
    with gzip.open(path, "wb", compresslevel=9) as f:
        f.write(b"a,b\n")
        for _ in range(400 if LONG else 60):
            f.write(b"1,2\n" * (1 << 18))
    code, _, err, mb = peak_of(lake, "load", path, "t", "--memory-limit", "100M")
    assert code == 0 and mb < 150, (err, mb)
    with gzip.open(path, "wb", compresslevel=9) as f:  # one endless line
        f.write(b"a,b\n1,")
        for _ in range(2000):
            f.write(b"x" * (1 << 20))
    code, _, err, mb = peak_of(lake, "load", path, "u", "--memory-limit", "100M")
    assert code == 1 and mb < 1500, (err, mb)


# ---- input ----

def loaded(lake, data, *args, table="t", check=True, name="in.csv", tmp=None):
    path = write(tmp / name, data)
    return lake.load(path, table, *args, check=check)


@pytest.mark.parametrize("data, want", [
    (b"a,b\r1,x\r2,y\r", [["1", "x"], ["2", "y"]]), (b"\xef\xbb\xbfa,b\r\n1,x\r\n2,y", [["1", "x"], ["2", "y"]]),
    (b"a\n1\n2\n", [["1"], ["2"]]), (b"a\n1\n2", [["1"], ["2"]]), (b"a,b\n", []), (b"a,b", []), (b'a,b\n1,"x\ny"\n2,z\n', [["1", "x\ny"], ["2", "z"]]),
    (b"a;b\n1;x\n", [["1", "x"]]), (b"a\tb\n1\tx\n", [["1", "x"]]), (b'"a","b"\n"1","x ""q"""\n', [["1", 'x "q"']])])
def test_forms_of_csv(lake, tmp_path, data, want):
    loaded(lake, data, tmp=tmp_path)
    assert lake.sql("SELECT * FROM t") == want
    lake.load("-", "u", stdin=data)
    assert lake.sql("SELECT * FROM u") == want
    lake.load(write(tmp_path / "x.csv.gz", gzip.compress(data)), "z")
    assert lake.sql("SELECT * FROM z") == want


@pytest.mark.parametrize("data, words", [("a,b\n1,2\n".encode("utf-16"), ["UTF-16"]), ("a,b\n1,2\n".encode("utf-16-be"), []), (gzip.compress(b"a,b\n1,2\n" * 1000)[:-20], []),
                                         (b"\x1f\x8b\x08" + b"\xff" * 100, []), (b"PAR1" + b"\0" * 100, []), (b"a,b\n1,2,3\n4,5\n", ["line 2"])])
def test_refused_input(lake, tmp_path, data, words):
    r = loaded(lake, data, check=False, tmp=tmp_path)
    failed(r, "in.csv", *words)
    assert not os.path.exists(lake.path + "/catalog.db") or count(lake, "t") is None


def test_pipe_with_widening(lake, tmp_path):
    text = "a,b\n" + "".join(f"{i},{i}\n" for i in range(100000)) + "1.5,abc\n"
    lake.load("-", "t", "--sample-bytes", "16k", stdin=text)
    assert lake.sql("SELECT count(*), max(b), sum(a) FROM t") == [["100001", "abc", lake.one("SELECT sum(a) FROM t")]]
    fifo = tmp_path / "in.csv"
    os.mkfifo(fifo)
    th = threading.Thread(target=lambda: open(fifo, "w").write(text))
    th.start()
    lake.load(fifo, "t2", "--sample-bytes", "16k")
    th.join()
    assert lake.one("SELECT count(*) FROM t2") == "100001"
    r = lake.load("-", "t3", "--sample-bytes", "16k", "--spool-limit", "64k", stdin=text, check=False)
    failed(r, "--spool-limit")
    assert count(lake, "t3") is None
    assert not [f for f in os.listdir("/var/tmp") if f.startswith("frazil-spool")]


@pytest.mark.parametrize("change", ["truncate", "append", "rewrite"])
def test_file_that_changes_while_read(lake, tmp_path, change):
    path = tmp_path / "a.csv"
    with open(path, "w") as f:
        f.write("a,b\n")
        f.writelines(f"{i},{i}\n" for i in range(2_000_000))
    size = path.stat().st_size
    p = subprocess.Popen([FRAZIL, "--lake", lake.path, "load", path, "t", "--threads", "1"], stderr=subprocess.PIPE, text=True,
                         env=dict(os.environ, FRAZIL_FAULT="io.create=sleep300,io.sync=sleep700"))
    time.sleep(0.15)
    if change == "truncate":
        os.truncate(path, size // 2)
    elif change == "append":
        with open(path, "a") as f:
            f.write("7,7\n" * 100)
    else:
        with open(path, "r+") as f:
            f.seek(size - 100)
            f.write("9")
    _, err = p.communicate(timeout=60)
    assert p.returncode == 1 and "chang" in err, (p.returncode, err)
    assert count(lake, "t") is None and files(lake) == []


def test_rows_that_do_not_fit_are_skipped(lake, tmp_path):
    text = "a,b\n" + "".join(f"{i},x{i}\n" if i % 1000 else f"bad{i},\"q\nr\"\n" for i in range(1, 50001))
    reject = tmp_path / "rejects.csv"
    lake.load(write(tmp_path / "a.csv", text), "t", "--types", "a:bigint", "--on-error", "skip", "--reject-file", reject)
    assert lake.one("SELECT count(*) FROM t") == "49950"
    import csv
    rows = list(csv.reader(open(reject)))
    rows = [r for r in rows if r[0].isdigit()]
    assert len(rows) == 50 and [int(r[0]) for r in rows] == [1001 + k * 1001 for k in range(50)]
    assert rows[0][2].startswith("bad1000,") and "q\nr" in rows[0][2]
