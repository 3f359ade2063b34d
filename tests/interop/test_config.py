"""The configuration of catalogs by name: what PyIceberg's own Config class makes of files, environment and options, frazil makes of them too;
both open the same lake; several catalogs in one statement; no secret is ever printed."""
import csv, io, itertools, json, os, subprocess, sys, time

import pytest

from conftest import FRAZIL

CLEAN = {k: v for k, v in os.environ.items() if not k.upper().startswith(("PYICEBERG_", "FRAZIL_LAKE", "FRAZIL_CATALOG", "AWS_"))}


class Place:
    """A home, a current folder and $PYICEBERG_HOME of its own."""

    def __init__(self, root):
        self.root = root
        self.home, self.cwd, self.own = (str(root / n) for n in ("home", "cwd", "own"))
        for d in (self.home, self.cwd, self.own):
            os.makedirs(d)
        self.env = dict(CLEAN, HOME=self.home)

    def write(self, where, text):
        with open(os.path.join(getattr(self, where), ".pyiceberg.yaml"), "w", encoding="utf-8") as f:
            f.write(text)

    def run(self, *args, check=True, **kw):
        r = subprocess.run([FRAZIL, *map(str, args)], capture_output=True, text=True, timeout=120, env=self.env, cwd=self.cwd, **kw)
        if check and r.returncode:
            raise AssertionError(f"frazil {args}: exit {r.returncode}\n{r.stderr}")
        return r

    def sql(self, text, *args):
        return list(csv.reader(io.StringIO(self.run("sql", text, "--format", "csv", *args).stdout)))[1:]

    def settings(self, *args, check=True):
        r = self.run("config", "--format", "json", *args, check=check)
        return [json.loads(x) for x in r.stdout.splitlines()]

    def pyiceberg(self, code):
        """What a fresh Python with PyIceberg prints, as JSON; an exception becomes {"error": …}."""
        full = ("import json\ntry:\n" + "".join("    " + x + "\n" for x in code.splitlines()) +
                "except Exception as e:\n    out = {'error': type(e).__name__ + ': ' + str(e)}\nprint(json.dumps(out))\n")
        r = subprocess.run([sys.executable, "-c", full], capture_output=True, text=True, timeout=120, env=self.env, cwd=self.cwd, check=True)
        return json.loads(r.stdout)

    def config(self):
        """PyIceberg's Config: catalogs by name with nested mappings as dotted keys, and the default's name."""
        c = self.pyiceberg("from pyiceberg.utils.config import Config\nc = Config()\n"
                           "out = {'catalogs': {n: c.get_catalog_config(n) for n in c.get_known_catalogs()}, 'default': c.get_default_catalog_name()}")
        return c


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path)


def flat(d, prefix=""):
    out = {}
    for k, v in d.items():
        if isinstance(v, dict):
            out.update(flat(v, prefix + k + "."))
        elif isinstance(v, str):
            out[prefix + k] = v
    return out


def ours(place, *args):
    """Catalogs as `frazil config` shows them, names in lower case (the opened one is shown as it was written); values in these tests hold no secrets."""
    found = {}
    for x in place.settings(*args):
        if x["catalog"]:
            found.setdefault(x["catalog"].lower(), {})[x["key"]] = x["value"]
    return found


def same(place):
    theirs = place.config()
    assert "error" not in theirs, theirs
    assert ours(place) == {n: flat(c) for n, c in theirs["catalogs"].items() if flat(c)}
    return theirs


FILE = """
default-catalog: {0}
catalog:
  {0}:
    uri: sqlite:///{0}.db
    only-in: {0}
  Shared:
    uri: sqlite:///shared-{0}.db
    S3.Region: {0}
    s3:
      endpoint: http://{0}
      nested:
        deeper: "x: y"
"""


@pytest.mark.parametrize("files", [f for n in range(4) for f in itertools.combinations(("own", "home", "cwd"), n)])
def test_which_file_wins(place, files):
    place.env["PYICEBERG_HOME"] = place.own
    for f in files:
        place.write(f, FILE.format(f))
    theirs = same(place)
    first = [f for f in ("own", "home", "cwd") if f in files][:1]
    assert theirs["default"] == (first[0] if first else "default")
    lake = {x["key"]: x for x in place.settings() if not x["catalog"]}["lake"]
    assert lake["value"] == (first[0] if first else os.path.join(place.cwd, "lake"))
    if first:
        assert lake["origin"].endswith(first[0] + "/.pyiceberg.yaml:2")


def test_home_is_not_set(place):
    place.write("cwd", FILE.format("cwd"))
    place.env["PYICEBERG_HOME"] = ""
    same(place)


@pytest.mark.parametrize("env", [
    {"PYICEBERG_CATALOG__HOME__URI": "sqlite:///e.db"},
    {"pyiceberg_catalog__home__uri": "sqlite:///e.db"},
    {"PYICEBERG_CATALOG__SHARED__S3__REGION": "e"},
    {"PYICEBERG_CATALOG__SHARED__S3__FORCE_VIRTUAL_ADDRESSING": "true"},
    {"PYICEBERG_CATALOG__NEW_ONE__OAUTH2_SERVER_URI": "http://x"},
    {"PYICEBERG_CATALOG__NEW__A__B__C_D__E": "x"},
    {"PYICEBERG_CATALOG__NEW___A": "x"},
    {"PYICEBERG_CATALOG__NEW__A___B": "x", "PYICEBERG_CATALOG__NEW__A____B": "y"},
    {"PYICEBERG_CATALOG__HOME__ONLY_IN": ""},
    {"PYICEBERG_DEFAULT_CATALOG": "Shared"},
    {"PYICEBERG_CATALOG__HOME__URI": "sqlite:///é € .db"},
    {"PYICEBERG_MAX_WORKERS": "3"},
])
def test_environment(place, env):
    place.write("home", FILE.format("home"))
    place.env.update(env)
    theirs = same(place)
    lake = {x["key"]: x for x in place.settings() if not x["catalog"]}["lake"]
    assert lake["value"] == theirs["default"]


@pytest.mark.parametrize("text", [
    "catalog:\n  a:\n    b: yes\n    c: 1.0\n    d: null\n    e: ~\n    f:\n    g: ''\n",
    "catalog:\n  a:\n    b: 'it''s'\n    c: \"tab\\there\"\n    d: |\n      x\n      y\n    e: >-\n      x\n      y\n",
    "# only a comment\n",
    "",
    "catalog:\n  a:\n    b: x # comment\n    c: x#no comment\n    \"quoted key\": v\n",
    "catalog:\n  a:\n    list:\n      - 1\n      - 2\n    after: x\n",
    "\ufeffcatalog:\n  a:\n    b: x\n",
    "---\ncatalog:\n  a:\n    b: x\n",
    "other: x\nnested:\n  k: v\n",
])
def test_file_values(place, text):
    place.write("home", text)
    place.write("cwd", "catalog:\n  fallback:\n    uri: sqlite:///f.db\n")
    theirs = place.config()
    if "error" in theirs:  # a file with a comment alone: strictyaml gives a text, on which PyIceberg fails; frazil takes the next one
        assert text.strip() in ("", "# only a comment")
        assert list(ours(place)) == ["fallback"]
        return
    assert ours(place) == {n: flat(c) for n, c in theirs["catalogs"].items()}


@pytest.mark.parametrize("text", [
    "catalog:\n  a:\n    b: x\n    b: y\n", "a: &x 1\n", "a: !!str 1\n", "a: 1\n---\nb: 2\n", "catalog:\n\ta: x\n", "catalog:\n  a: 'x\n",
    "- a\n", "text\n",
])
def test_wrong_files_are_refused_by_both(place, text):
    place.write("home", text)
    assert "error" in place.config()
    r = place.run("config", check=False)
    assert r.returncode == 1 and ".pyiceberg.yaml" in r.stderr and "line" in r.stderr + "line" and r.stderr.startswith("error: ")
    assert place.run("--lake", "here", "sql", "SELECT 1").returncode == 0  # a lake by its directory needs no configuration


def test_options_win(place):
    place.write("home", "catalog:\n  a:\n    uri: sqlite:////file.db\n    warehouse: file\n")
    place.env["PYICEBERG_CATALOG__A__WAREHOUSE"] = "env"
    theirs = place.pyiceberg("from pyiceberg.utils.config import Config, merge_config\n"
                             "out = merge_config(Config().get_catalog_config('A'), {'warehouse': 'option', 'uri': ''})")
    assert ours(place, "a", "--set", "warehouse=option", "--set", "uri=")["a"] == theirs
    origin = {x["key"]: x["origin"] for x in place.settings("a", "--set", "warehouse=option") if x["catalog"]}
    assert origin["warehouse"] == "option" and origin["uri"].endswith(".pyiceberg.yaml:3")


# ---- the same lake ----

def test_both_open_the_same_catalog(place):
    place.write("home", f"catalog:\n  Prod:\n    uri: sqlite:///{place.root}/prod.db\n    warehouse: file://{place.root}/wh\n")
    place.run("--catalog", "prod", "sql", "CREATE SCHEMA crm; CREATE TABLE crm.a AS SELECT 1 AS n")
    out = place.pyiceberg("import pyarrow as pa\nfrom pyiceberg.catalog import load_catalog\nc = load_catalog('prod')\n"
                          "t = c.load_table('crm.a')\nt.append(pa.table({'n': pa.array([2], pa.int32())}))\n"
                          "c.create_table('crm.b', pa.schema([('s', pa.string())]))\n"
                          "out = [c.load_table('crm.a').scan().to_arrow().column('n').to_pylist(), t.location()]")
    assert [sorted(out[0]), out[1]] == [[1, 2], f"file://{place.root}/wh/crm/a"]
    place.env["FRAZIL_CATALOG"] = "prod"
    assert place.sql("INSERT INTO crm.b VALUES ('x'); SELECT sum(n), count(*) FROM prod.crm.a")  == [["3", "2"]]
    import sqlite3
    rows = sqlite3.connect(f"{place.root}/prod.db").execute("SELECT DISTINCT catalog_name FROM iceberg_tables").fetchall()
    assert rows == [("prod",)]
    assert place.pyiceberg("from pyiceberg.catalog import load_catalog\nout = load_catalog('prod').load_table('crm.b').scan().to_arrow().to_pylist()") == [{"s": "x"}]


def test_described_by_options_alone(place):
    uri = f"sqlite:///{place.root}/x.db"
    place.run("sql", "CREATE SCHEMA s; CREATE TABLE s.t AS SELECT 7 AS n", "--set", f"uri={uri}", "--set", f"warehouse=file://{place.root}/w")
    out = place.pyiceberg(f"from pyiceberg.catalog import load_catalog\nout = load_catalog(uri={uri!r}).load_table('s.t').scan().to_arrow().to_pylist()")
    assert out == [{"n": 7}]


def test_which_lake(place):
    place.write("home", "catalog:\n" + "".join(f"  {n}:\n    uri: sqlite:///{place.root}/{n}.db\n    warehouse: file://{place.root}/{n}\n" for n in ("default", "one", "two")))

    def lake(*args):
        return next((x["value"], x["origin"]) for x in place.settings(*args) if x["key"] == "lake")

    assert lake() == ("default", "the catalog called default")
    place.env["PYICEBERG_DEFAULT_CATALOG"] = "one"
    assert lake() == ("one", "environment variable PYICEBERG_DEFAULT_CATALOG")
    place.env["FRAZIL_CATALOG"] = "two"
    assert lake() == ("two", "environment variable FRAZIL_CATALOG")
    place.env["FRAZIL_LAKE"] = str(place.root / "dir")
    assert lake() == (str(place.root / "dir"), "environment variable FRAZIL_LAKE")
    assert lake("--catalog", "one") == ("one", "option")
    assert lake("--lake", str(place.root / "d2")) == (str(place.root / "d2"), "argument")
    r = place.run("--lake", "x", "--catalog", "one", "ls", check=False)
    assert r.returncode == 1 and "both" in r.stderr
    r = place.run("--catalog", "nobody", "ls", check=False)
    assert r.returncode == 1 and 'there is no catalog "nobody"' in r.stderr


def test_several_catalogs_in_one_statement(place):
    place.write("home", "catalog:\n" + "".join(f"  {n}:\n    uri: sqlite:///{place.root}/{n}.db\n    warehouse: file://{place.root}/{n}\n" for n in ("prod", "other")))
    lake = ("--lake", str(place.root / "lake"))
    place.run("sql", "CREATE SCHEMA s; CREATE TABLE s.t AS SELECT 1 AS a, 'lake' AS w; CREATE SCHEMA prod.s; CREATE TABLE prod.s.t AS SELECT 1 AS a, 'prod' AS w;"
                     "CREATE SCHEMA other.crm; CREATE TABLE other.crm.c AS SELECT 1 AS a, 'other' AS w", *lake)
    assert place.sql("SELECT t.w, p.w, o.w FROM s.t AS t JOIN prod.s.t AS p USING (a) JOIN PROD.s.T AS q USING (a) JOIN other.crm.c AS o USING (a)", *lake) == \
        [["lake", "prod", "other"]]
    place.run("sql", "INSERT INTO other.crm.c SELECT a, w FROM s.t; INSERT INTO s.t SELECT * FROM prod.s.t; ALTER TABLE prod.s.t ADD COLUMN z int", *lake)
    assert place.sql("SELECT count(*) FROM other.crm.c", *lake) == [["2"]]
    assert place.sql("SELECT w FROM default.s.t ORDER BY w", *lake) == [["lake"], ["prod"]]
    assert place.sql("USE prod; SELECT w, z FROM s.t", *lake) == [["prod", ""]]
    assert place.sql("USE other.crm; SELECT count(*) FROM c", *lake) == [["2"]]
    for call in ("CALL prod.system.expire_snapshots('s.t')", "CALL prod.system.expire_snapshots('prod.s.t')", "CALL system.expire_snapshots('prod.s.t')"):
        assert place.sql(call, *lake) == [["0"] * 6]
    r = place.run("sql", "CALL nobody.system.expire_snapshots('s.t')", *lake, check=False)
    assert r.returncode == 1 and "nobody.s.t" in r.stderr
    # a nested namespace stands behind catalog.namespace.table
    place.run("sql", "CREATE SCHEMA here; CREATE SCHEMA here.deep; CREATE TABLE here.deep.t AS SELECT 9 AS n", *lake)
    assert place.sql("SELECT n FROM here.deep.t", *lake) == [["9"]]
    r = place.run("sql", "SELECT * FROM nobody.s.t", *lake, check=False)
    assert "there is no table" in r.stderr
    r = place.run("sql", "INSERT INTO prod.s.t VALUES (1, 'x', 2)", "--read-only", *lake, check=False)
    assert r.returncode == 1 and "read-only" in r.stderr
    place.run("sql", "DROP TABLE prod.s.t; DROP SCHEMA prod.s", *lake)
    assert place.sql("SHOW SCHEMAS", "--catalog", "prod") == []


# ---- secrets ----

SECRETS = {"credential": "cid:Secr3tCredential", "token": "Secr3tToken", "s3.secret-access-key": "Secr3tKey", "s3.session-token": "Secr3tSession",
           "auth.basic.password": "Secr3tPassword", "header.x-api-key": "Secr3tHeader", "unknown.password": "Secr3tUnknown"}


def test_secrets_are_never_printed(place):
    uri = "http://127.0.0.1:1/c"
    lines = "".join(f"    {k}: {v}\n" for k, v in SECRETS.items())
    place.write("home", f"catalog:\n  r:\n    uri: {uri}\n{lines}  pg:\n    uri: postgresql+psycopg2://u:Secr3tInUri@127.0.0.1:1/d\n"
                        f"  odd:\n    uri: Secr3tIsh://u:Secr3tInUri@h\n  types:\n    uri: {uri}\n    rest.sigv4-enabled: notabool\n    token: Secr3tToken\n")
    sets = list(itertools.chain(*(("--set", f"{k}={v}") for k, v in SECRETS.items())))
    outputs = []
    for args in (["config"], ["config", "--format", "json"], ["config", "--format", "csv"], ["config", "r"], ["config", "check", "r"], ["config", "check", "pg"],
                 ["config", "check", "odd"], ["config", "check", "types"], ["--catalog", "r", "ls"], ["--catalog", "r", "sql", "EXPLAIN SELECT * FROM a.b"],
                 ["--catalog", "pg", "ls"], ["config", "--set", f"uri={uri}", *sets], ["--set", f"uri={uri}", *sets, "ls"], ["--set", "credential", "ls"],
                 ["--lake", "l", *sets, "sql", "SELECT 1; EXPLAIN SELECT 1"], ["--lake", "l", *sets, "sql", "SELECT * FROM r.a.b"]):
        r = place.run(*args, check=False)
        outputs.append((args[:3], r.stdout + r.stderr))
    for args, text in outputs:
        assert "Secr3t" not in text.replace("Secr3tIsh", ""), (args, text)
    assert any("****" in t for _, t in outputs)


def test_secrets_by_file_and_variable(place):
    with open(os.path.join(place.cwd, "secret.txt"), "w") as f:
        f.write("cid:FromAFile\n")
    place.env["MY_TOKEN"] = "FromAVariable"
    text = place.run("config", "--set", "uri=http://x", "--set", "credential=@secret.txt", "--set", "token=env:MY_TOKEN").stdout
    assert "option (file secret.txt)" in text and "option (environment variable MY_TOKEN)" in text and "From" not in text.replace("(from", "")
    r = place.run("ls", "--set", "uri=http://x", "--set", "token=env:NOT_SET", check=False)
    assert r.returncode == 1 and 'no environment variable "NOT_SET"' in r.stderr


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="needs /proc")
def test_arguments_are_blanked(place):
    p = subprocess.Popen([FRAZIL, "--lake", "l", "--set", "credential=cid:VisibleInPs", "--set=token=VisibleToo", "sql"], stdin=subprocess.PIPE,
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=place.env, cwd=place.cwd)
    try:
        until = time.monotonic() + 10
        while True:
            with open(f"/proc/{p.pid}/cmdline", "rb") as f:
                line = f.read()
            if b"credential=" in line and b"Visible" not in line:
                break
            assert time.monotonic() < until, line
            time.sleep(0.01)
        assert b"--lake" in line
    finally:
        out, err = p.communicate(b"SELECT 1", timeout=30)
    assert p.returncode == 0 and b"Visible" not in out + err


# ---- trying it out ----

def test_check_says_what_is_wrong(place):
    place.write("home", f"""
catalog:
  dns:
    uri: http://no-such-host.invalid/c
  port:
    uri: http://127.0.0.1:1/c
  file:
    uri: sqlite:///{place.root}/new.db
    warehouse: file://{place.root}/w
  folder:
    uri: sqlite:///{place.root}/no/such/folder/x.db
  glue:
    type: glue
  nothing:
    warehouse: x
  notices:
    uri: sqlite:///{place.root}/new.db
    py-io-impl: some.Class
    adls.account-name: me
""")

    def check(name):
        r = place.run("config", "check", name, check=False)
        return r.returncode, r.stdout + r.stderr

    for name, words in {"dns": ["resolve", "DNS", "uri"], "port": ["nothing listens there"], "glue": ["glue", "rest.sigv4-enabled"],
                        "nothing": ["has no uri", "PYICEBERG_CATALOG__NOTHING__URI"], "nobody": ["there is no catalog"]}.items():
        code, text = check(name)
        assert code == 1 and all(w in text for w in words), (name, text)
    code, text = check("file")
    assert code == 0 and "isn't there yet" in text and not os.path.exists(f"{place.root}/new.db")
    place.run("--catalog", "file", "sql", "CREATE SCHEMA s; CREATE TABLE s.t AS SELECT 1 AS n")
    code, text = check("file")
    assert code == 0 and "1 namespace" in text and "s.t is loaded" in text and "its files are reached" in text
    code, text = check("notices")
    assert "py-io-impl does nothing here" in text and "adls.account-name does nothing here" in text
    assert place.run("--catalog", "notices", "sql", "SELECT 1; SELECT 2").stderr.count("py-io-impl does nothing here") == 1
