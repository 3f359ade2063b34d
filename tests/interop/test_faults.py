"""A lake on S3 behind a REST catalog while the network, the servers and the clock misbehave (tests/faults): each operation succeeds or fails with a
clear error within its time, no row is lost or doubled, no partial file is referenced, uploads are ended, memory stays bounded. PyIceberg, which
goes to the servers directly, is the independent reader."""
import json, os, re, subprocess, sys, time, uuid

import pyarrow as pa
import pytest

from conftest import FRAZIL, ROOT

LONG = bool(os.environ.get("FRAZIL_TEST_LONG"))
ROWS = 1000000 if LONG else 200000
LIMIT_S = 60            # of one operation, whatever is spoiled
MEMORY_MB = 400
TIMEOUTS = ["--set", "s3.connect-timeout=2", "--set", "s3.request-timeout=2"]

# A child's peak memory is at least its parent's; so a small parent of its own starts it.
MEASURE = """import os, subprocess, sys
p = subprocess.Popen(sys.argv[2:]); _, s, u = os.wait4(p.pid, 0)
open(sys.argv[1], 'w').write(str(u.ru_maxrss // 1024)); sys.exit(max(os.waitstatus_to_exitcode(s), -1) & 255)"""

EXPIRED = ('<?xml version="1.0" encoding="UTF-8"?><Error><Code>ExpiredToken</Code><Message>The provided token has expired.</Message></Error>')
SLOW_DOWN = '<?xml version="1.0" encoding="UTF-8"?><Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>'
UNAUTHORIZED = json.dumps({"error": {"message": "The token has expired", "type": "NotAuthorizedException", "code": 401}})
UNAVAILABLE = json.dumps({"error": {"message": "The server is busy", "type": "ServiceUnavailableException", "code": 503}})


@pytest.fixture(scope="module")
def trade(tmp_path_factory):
    path = tmp_path_factory.mktemp("faults") / "trade.csv"
    subprocess.run([os.path.join(os.path.dirname(FRAZIL), "gen_trade"), str(ROWS), str(path)], check=True)
    return path


class Outcome:
    def __init__(self, code, out, err, seconds, mb):
        self.code, self.out, self.err, self.seconds, self.mb = code, out, err, seconds, mb

    def rows(self):
        return [l.split(",") for l in self.out.splitlines()[1:]]


class Table:
    """One table of weed's, seen by frazil through the proxy and by PyIceberg directly."""

    def __init__(self, weed, spoiled, tmp_path):
        from pyiceberg.catalog import load_catalog
        self.weed, (self.proxy, self.far), self.tmp = weed, spoiled, tmp_path
        self.catalog = load_catalog("default", **weed.properties())
        self.ns = "faults_" + uuid.uuid4().hex[:12]
        self.catalog.create_namespace(self.ns)
        self.name = self.ns + ".t"
        self.env = dict(os.environ, HOME=str(tmp_path), **self.far.env())
        self.calls = 0

    def start(self, *args):
        return [sys.executable, "-S", "-c", MEASURE, str(self.tmp / "peak"), FRAZIL, "--catalog", "default", *TIMEOUTS, *map(str, args)]

    def frazil(self, *args, clean=False, limit_s=LIMIT_S):
        """Runs the command; without faults where `clean`, so that it has to succeed."""
        self.calls += 1  # each with a cache of its own, so that what is read comes from the servers
        env = dict(self.env, XDG_CACHE_HOME=str(self.tmp / f"cache-{self.calls}"))
        t0 = time.monotonic()
        try:
            r = subprocess.run(self.start(*args), env=env, capture_output=True, text=True, timeout=limit_s + 10, stdin=subprocess.DEVNULL)
        except subprocess.TimeoutExpired as e:
            pytest.fail(f"no end within {limit_s} s: {args}\n{e.stderr}")
        o = Outcome(r.returncode, r.stdout, r.stderr, time.monotonic() - t0, int((self.tmp / "peak").read_text()))
        assert o.code == 0 or not clean, o.err
        assert o.code in (0, 1), (o.code, o.err)
        assert o.code == 0 or o.err.strip(), "it failed without a word"
        assert o.seconds <= limit_s, o.seconds
        assert o.mb <= MEMORY_MB, o.mb
        assert self.weed.secret not in o.err + o.out
        return o

    def load(self, csv, **kw):
        return self.frazil("load", csv, self.name, "--quiet", **kw)

    def sql(self, text, **kw):
        return self.frazil("sql", text, "--format", "csv", "--quiet", **kw)

    def there(self):
        return self.catalog.table_exists(self.name)

    def check(self, rows):
        """Exactly so many rows, as PyIceberg reads them; every file that is referenced is there, whole; no upload was left open."""
        import servers
        if self.there():
            t = self.catalog.load_table(self.name)
            got = t.scan().to_arrow()
            assert got.num_rows == rows
            fs = self.weed.arrow_fs()
            files = [(x["file_path"], x["file_size_in_bytes"]) for x in t.inspect.files().to_pylist()]
            infos = fs.get_file_info([p.removeprefix("s3://") for p, _ in files])
            assert [(("s3://" + i.path), i.size) for i in infos] == files
        else:
            assert rows == 0
        status, body = servers.s3_request(self.weed, "GET", f"/{self.weed.warehouse}", "uploads=")
        assert status == 200
        left = re.findall(r"<Key>([^<]*)</Key>", body.decode())
        assert not [k for k in left if k.startswith(self.ns)], left


@pytest.fixture
def table(weed, spoiled, tmp_path):
    if "--catalog" not in subprocess.run([FRAZIL, "--help"], capture_output=True, text=True).stdout:
        pytest.skip("this build opens no catalogs")
    return Table(weed, spoiled, tmp_path)


def file_of(tmp_path, text):
    p = tmp_path / f"body-{len(os.listdir(tmp_path))}"
    p.write_text(text)
    return p


# What may go wrong between the library and S3: name → (action, parameters); body: text that becomes a file.
S3_FAULTS = {
    "reset": ("reset_before", {}), "reset after": ("reset_after", {}), "answer lost": ("lost", {}), "stall": ("stall", {"arg": 4000}),
    "stall in the body": ("stall_body", {"arg": 500, "arg2": 4000}), "truncated": ("truncate", {"arg": 500}), "cut": ("cut", {"arg": 500}),
    "corrupted": ("corrupt", {"arg": 40}), "upload corrupted": ("corrupt_request", {"arg": 400}), "upload cut": ("cut_request", {"arg": 400}),
    "500": ("status", {"arg": 500, "count": 3}), "503 burst": ("status", {"arg": 503, "arg2": 1, "count": 4, "body": SLOW_DOWN}),
    "trickle": ("trickle", {"arg": 300000, "count": 3}), "expired": ("status", {"arg": 400, "body": EXPIRED}),
}


def spoil(t, fault, on, **more):
    action, parameters = (S3_FAULTS if on == "s3" else REST_FAULTS)[fault]
    parameters = dict(parameters, **more)
    if "body" in parameters:
        parameters["file"] = file_of(t.tmp, parameters.pop("body"))
    return t.proxy.rule(action, on=on, **parameters)


@pytest.mark.parametrize("nth", [0, 3, 6] if LONG else [0, 2])
@pytest.mark.parametrize("fault", S3_FAULTS)
def test_load_with_a_fault_of_s3(table, trade, fault, nth):
    """The nth upload, or part of one, is spoiled."""
    spoil(table, fault, "s3", method="PUT", skip=nth)
    o = table.load(trade)
    assert table.proxy.hits() > 0
    if fault not in ("expired",):  # what can be tried again has to succeed
        assert o.code == 0, o.err
    table.check(ROWS if o.code == 0 else 0)
    table.proxy.clear()
    again = table.load(trade, clean=True)
    assert again.code == 0
    table.check(ROWS * (2 if o.code == 0 else 1))


@pytest.mark.parametrize("nth", [0, 1, 2, 4] if LONG else [0, 2])
@pytest.mark.parametrize("fault", [f for f in S3_FAULTS if not f.startswith("upload")])
def test_read_with_a_fault_of_s3(table, trade, fault, nth):
    """The nth thing that is read is spoiled: a manifest list, a manifest, a footer, a piece of a column."""
    table.load(trade, clean=True)
    query = f"SELECT ym, sum(Value), count(*) FROM {table.name} WHERE exp_imp = 1 GROUP BY ym ORDER BY ym"
    right = table.sql(query, clean=True).rows()
    assert len(right) == 46
    spoil(table, fault, "s3", method="GET", skip=nth)
    o = table.sql(query)
    assert table.proxy.hits() > 0
    if o.code == 0:
        assert o.rows() == right
    else:
        assert fault in ("expired", "corrupted"), o.err
    table.proxy.clear()
    assert table.sql(query, clean=True).rows() == right
    table.check(ROWS)


REST_FAULTS = {
    "reset": ("reset_before", {}), "stall": ("stall", {"arg": 4000}), "500": ("status", {"arg": 500}), "503": ("status", {"arg": 503, "arg2": 1, "count": 2, "body": UNAVAILABLE}),
    "429": ("status", {"arg": 429, "arg2": 1, "body": UNAVAILABLE}), "truncated": ("truncate", {"arg": 30}), "cut": ("cut", {"arg": 30}),
    "trickle": ("trickle", {"arg": 3000}), "expired": ("status", {"arg": 401, "body": UNAUTHORIZED}), "reset after": ("reset_after", {}), "answer lost": ("lost", {}),
    "corrupted": ("corrupt", {"arg": 1}),
}


@pytest.mark.parametrize("fault", REST_FAULTS)
def test_read_with_a_fault_of_the_catalog(table, fault):
    table.sql(f"CREATE TABLE {table.name} (id bigint); INSERT INTO {table.name} VALUES (1), (2), (3)", clean=True)
    spoil(table, fault, "rest", path="*/tables/t*")
    o = table.sql(f"SELECT id FROM {table.name} ORDER BY id")
    assert table.proxy.hits() > 0
    if o.code == 0:
        assert o.rows() == [["1"], ["2"], ["3"]]
    else:
        assert fault in ("corrupted", "500"), o.err
    table.check(3)


@pytest.mark.parametrize("fault", REST_FAULTS)
def test_commit_with_a_fault_of_the_catalog(table, fault):
    """The commit reaches the server, or doesn't, and the client can't tell: the row is there once, or the error says that it may not be."""
    table.sql(f"CREATE TABLE {table.name} (id bigint); INSERT INTO {table.name} VALUES (1)", clean=True)
    rule = spoil(table, fault, "rest", method="POST", path="*/tables/t*")
    o = table.sql(f"INSERT INTO {table.name} VALUES (2)")
    assert table.proxy.hits(rule) > 0
    table.proxy.clear()
    got = sorted(table.catalog.load_table(table.name).scan().to_arrow()["id"].to_pylist())
    if o.code == 0:
        assert got == [1, 2], o.err
    else:
        assert got in ([1], [1, 2]), o.err
        assert fault not in ("reset", "503", "429", "expired", "answer lost", "reset after", "truncated", "cut", "trickle"), o.err
    table.check(len(got))
    assert sorted(int(r[0]) for r in table.sql(f"SELECT id FROM {table.name}", clean=True).rows()) == got


def test_commit_whose_answer_is_lost_again_and_again(table):
    """All answers to commits are lost, none of the requests: each row is there once."""
    table.sql(f"CREATE TABLE {table.name} (id bigint)", clean=True)
    table.proxy.rule("lost", on="rest", method="POST", path="*/tables/t*", count=0)
    for i in range(5):
        o = table.sql(f"INSERT INTO {table.name} VALUES ({i})")
        assert o.code == 0, o.err
    assert table.proxy.hits() >= 5
    table.proxy.clear()
    assert sorted(table.catalog.load_table(table.name).scan().to_arrow()["id"].to_pylist()) == list(range(5))
    table.check(5)


def test_keys_that_expired_for_good_in_the_middle_of_a_load(table, trade):
    """The first upload is let through; from then on the key is refused. The error says so, and nothing of the load is left referenced."""
    table.sql(f"CREATE TABLE {table.name} AS SELECT * FROM '{trade}' LIMIT 10", clean=True)
    spoil(table, "expired", "s3", skip=1, count=0)
    o = table.load(trade)
    assert o.code == 1 and ("expired" in o.err.lower()), o.err
    table.proxy.clear()
    table.check(10)


def test_keys_that_are_renewed_in_the_middle_of_a_load(table, trade):
    """Keys come from AWS's file of credentials. The ones there are refused as expired in the middle of the load, while the file gets others."""
    keys = table.tmp / "credentials"

    def write(key, secret):
        (table.tmp / "new").write_text(f"[default]\naws_access_key_id = {key}\naws_secret_access_key = {secret}\n")
        os.rename(table.tmp / "new", keys)
    for k in list(table.env):
        if "ACCESS_KEY" in k:
            del table.env[k]
    table.env["AWS_SHARED_CREDENTIALS_FILE"] = str(keys)
    write(table.weed.key, table.weed.secret)
    table.sql(f"CREATE TABLE {table.name} AS SELECT * FROM '{trade}' LIMIT 10", clean=True)
    write("outdated", "whatever")
    rule = spoil(table, "expired", "s3", auth="Credential=outdated", count=0, hold=1000)
    with subprocess.Popen(table.start("load", trade, table.name, "--quiet"), env=table.env, stderr=subprocess.PIPE, text=True) as p:
        until = time.monotonic() + 30
        while not table.proxy.hits(rule) and time.monotonic() < until:
            time.sleep(0.01)
        write(table.weed.key, table.weed.secret)
        err = p.stderr.read()
        assert p.wait(60) == 0, err
    assert table.proxy.hits(rule) > 0
    table.proxy.clear()
    table.check(10 + ROWS)


def test_a_clock_ten_minutes_off(table, trade):
    """The server's clock is ten minutes ahead, and it refuses requests five minutes away from it: the client corrects itself by the answer's Date."""
    table.proxy.rule("skew", on="s3", arg=600, arg2=300, count=0)
    o = table.load(trade)
    assert o.code == 0, o.err
    o = table.sql(f"SELECT count(*) FROM {table.name}")
    assert o.code == 0 and o.rows() == [[str(ROWS)]], o.err
    table.proxy.clear()
    table.check(ROWS)


@pytest.mark.skipif(not LONG, reason="takes as long as tries are made")
@pytest.mark.parametrize("who", ["s3", "rest"])
def test_server_that_never_answers(table, who):
    """Everything stalls for ever: the operation ends by itself, and names what didn't answer."""
    table.sql(f"CREATE TABLE {table.name} (id bigint)", clean=True)
    table.proxy.rule("stall", on=who, count=0, arg=600000)
    o = table.sql(f"INSERT INTO {table.name} VALUES (1)", limit_s=180)
    assert o.code == 1 and ("s3://lake" if who == "s3" else table.far.rest) in o.err, o.err
    table.proxy.clear()
    table.check(0)


def test_random_faults(table, trade):
    """Some of everything, everywhere, at random: what is said to be loaded is there, once; what failed isn't."""
    table.load(trade, clean=True)
    times, ok = 6 if LONG else 3, 1
    for action, more in (("reset_before", {}), ("truncate", {"arg": 200}), ("cut_request", {"arg": 300}), ("status", {"arg": 503}), ("reset_after", {}),
                         ("stall", {"arg": 3000})):
        table.proxy.rule(action, count=0, permille=15, **more)
    for _ in range(times):
        o = table.load(trade)
        now = table.catalog.load_table(table.name).scan().to_arrow().num_rows
        if o.code == 0:
            ok += 1
        elif now == ROWS * (ok + 1):
            assert "unknown" in o.err or "not known" in o.err, o.err
            ok += 1
        assert now == ROWS * ok, o.err
    table.proxy.clear()
    table.check(ROWS * ok)


@pytest.mark.parametrize("faults", ["none", "lost answers"])
def test_eight_writers(table, faults):
    """All rows are there, none twice, nobody fails."""
    writers, commits = 8, 10
    table.sql(f"CREATE TABLE {table.name} (w bigint, i bigint)", clean=True)
    if faults != "none":
        table.proxy.rule("lost", on="rest", method="POST", path="*/tables/t*", count=0, permille=100)
    ps = [subprocess.Popen([FRAZIL, "--catalog", "default", *TIMEOUTS, "sql", "; ".join(f"INSERT INTO {table.name} VALUES ({w}, {i})" for i in range(commits)),
                            "--quiet"], env=table.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for w in range(writers)]
    for p in ps:
        _, err = p.communicate(timeout=300)
        assert p.returncode == 0, err
    table.proxy.clear()
    got = table.catalog.load_table(table.name).scan().to_arrow()
    assert sorted(zip(got["w"].to_pylist(), got["i"].to_pylist())) == [(w, i) for w in range(writers) for i in range(commits)]
    table.check(writers * commits)
