"""What the interoperability tests share: the command under test, lakes, catalogs of PyIceberg over them."""
import os, subprocess, sys

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
FRAZIL = os.environ.get("FRAZIL_COMMAND") or os.path.join(os.environ.get("FRAZIL_BUILD") or os.path.join(ROOT, "build"), "frazil")


class Lake:
    """damaged: the test breaks the lake on purpose, so that nobody checks what it leaves."""
    made = []

    def __init__(self, path):
        self.path = str(path)
        self.damaged = False
        Lake.made.append(self)

    def run(self, *args, check=True, stdin=None, env=None, timeout=300):
        r = subprocess.run([FRAZIL, "--lake", self.path, *map(str, args)], input=stdin, capture_output=True, timeout=timeout,
                           text=not isinstance(stdin, bytes), env=dict(os.environ, **(env or {})))
        if check and r.returncode:
            raise AssertionError(f"frazil {args}: exit {r.returncode}\n{r.stderr}")
        return r

    def sql(self, text, **kw):
        """Rows of the statement as lists of texts."""
        import csv, io
        out = self.run("sql", text, "--format", "csv", **kw).stdout
        return list(csv.reader(io.StringIO(out)))[1:]

    def one(self, text):
        return self.sql(text)[0][0]

    def load(self, *args, **kw):
        return self.run("load", *args, **kw)

    def catalog(self):
        from pyiceberg.catalog import load_catalog
        os.makedirs(self.path + "/warehouse", exist_ok=True)
        return load_catalog("default", type="sql", uri=f"sqlite:///{self.path}/catalog.db", warehouse=f"file://{self.path}/warehouse")

    def table(self, name):
        return self.catalog().load_table(name if "." in name else "default." + name)


@pytest.fixture(autouse=True)
def lakes_are_valid(request):
    """Every lake that a test leaves is checked against the specification."""
    Lake.made.clear()
    yield
    from validate_iceberg import validate_lake
    failed = getattr(request.node, "failed", False)
    for path in sorted({x.path for x in Lake.made} - {x.path for x in Lake.made if x.damaged}):
        wrong = validate_lake(path)
        assert failed or not wrong, "\n".join(wrong[:20])


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    if report.when == "call":
        item.failed = report.failed


@pytest.fixture
def lake(tmp_path):
    return Lake(tmp_path / "lake")


@pytest.fixture
def trade_csv(tmp_path):
    path = tmp_path / "trade.csv"
    subprocess.run([os.path.join(os.path.dirname(FRAZIL), "gen_trade"), "20000", str(path)], check=True)
    return str(path)


sys.path.insert(0, os.path.join(ROOT, "tests"))


@pytest.fixture(scope="session")
def weed():
    """S3 and a REST catalog with OAuth2: one server for the whole run, so that a test keeps to a namespace of its own."""
    import servers
    try:
        return servers.shared_weed()
    except servers.Missing as e:
        pytest.skip(str(e))


@pytest.fixture
def spoiled(weed):
    """A fault proxy before weed: (proxy, weed through it)."""
    sys.path.insert(0, os.path.join(ROOT, "tests", "faults"))
    import proxy
    with proxy.between(weed, limit_s=600) as both:
        yield both
