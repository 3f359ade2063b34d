"""Terminals, pictures, other doors."""

import os
import sys
import time

import pytest

import frazil


def test_a_progress_bar_in_a_terminal(tmp_path):
    """Drawn after a second on a terminal's standard error, and wiped in the end; never in a pipe."""
    import pty

    text = """
import frazil
n = {"n": range(300_000)}
try:
    frazil.connect("l/").sql("select count(*) from n a, n b where a.n * b.n % 7 = 3 and a.n + b.n > 5").fetchall()
except KeyboardInterrupt:
    print("interrupted")
"""
    pid, fd = pty.fork()
    if pid == 0:
        os.chdir(tmp_path)
        os.environ["TERM"] = "xterm"
        os.execv(sys.executable, [sys.executable, "-c", text])
    got, asked, end = b"", False, time.time() + 30
    while time.time() < end:
        try:
            got += os.read(fd, 65536)
        except OSError:
            break
        if not asked and b" rows" in got:
            os.write(fd, b"\x03")  # Ctrl-C, as typed
            asked = True
    os.close(fd)
    os.waitpid(pid, 0)
    assert b"rows" in got and b"interrupted" in got, got
    bar = got[got.index(b"\r") + 1 :].split(b"\r")
    assert any(b" rows" in x for x in bar)
    assert b"Traceback" not in got


def test_no_progress_bar_in_a_pipe(run):
    import subprocess

    r = subprocess.run(
        [sys.executable, "-c", "import frazil.progress as p; p.draw(1, 2, 3); p.draw(None)"], capture_output=True, text=True, check=True
    )
    assert r.stderr == r.stdout == ""


ROWS = [{"ym": "2020-01", "v": 1, "w": 2.5}, {"ym": "2020-02", "v": 3, "w": None}]


def test_plots_by_altair(lake):
    pytest.importorskip("altair")
    rows = ROWS  # noqa: F841
    r = lake.sql("select * from rows")
    one = r.plot.bar("ym", "v").to_dict()
    assert one["mark"]["type"] == "bar" and [x["value"] for x in one["data"]["values"]] == [1, 3]
    two = r.plot.line().to_dict()
    assert {x["series"] for x in two["data"]["values"]} == {"v", "w"}
    for chart in (r.plot.area("ym"), r.plot.scatter("v", "w"), r.plot.hist("v")):
        chart.to_dict()


def test_plots_by_matplotlib(lake, monkeypatch):
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    monkeypatch.setitem(sys.modules, "altair", None)
    rows = ROWS  # noqa: F841
    r = lake.sql("select * from rows")
    assert len(r.plot.bar("ym", "v").patches) == 2
    assert len(r.plot.line("ym").lines) == 2
    for axes in (r.plot.area("ym"), r.plot.scatter("v", "w"), r.plot.hist("v")):
        assert axes.has_data()


def test_plots_of_nothing(lake, monkeypatch):
    r = lake.sql("select 'a' as a, 1 as b")
    with pytest.raises(KeyError, match="colour"):
        r.plot.bar("a", "colour")
    with pytest.raises(ValueError, match="no numeric column"):
        lake.sql("select 'a' as a").plot.bar()
    monkeypatch.setitem(sys.modules, "altair", None)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match="neither altair nor matplotlib"):
        r.plot.bar()


def test_the_extension_is_the_adbc_driver(tmp_path):
    dbapi = pytest.importorskip("adbc_driver_manager.dbapi")
    pytest.importorskip("pyarrow")
    path = tmp_path / "lake"
    frazil.connect(path).sql("create table t as select 42 as a")
    with dbapi.connect(driver=frazil.adbc_driver(), db_kwargs={"uri": str(path)}) as c, c.cursor() as cursor:
        cursor.execute("select a from t")
        assert cursor.fetchall() == [(42,)]


def test_the_stubs_name_what_is_there():
    """The extension module and its stub have the same names."""
    import ast
    import pathlib

    from frazil import _frazil

    tree = ast.parse((pathlib.Path(frazil.__file__).parent / "_frazil.pyi").read_text())
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            stub = {n.name if isinstance(n, ast.FunctionDef) else n.target.id for n in node.body} - {"__new__"}
            have = {n for n in vars(getattr(_frazil, node.name)) if not n.startswith("__") or n.startswith("__arrow")}
            assert stub == have, node.name
        elif isinstance(node, ast.FunctionDef):
            assert callable(getattr(_frazil, node.name))


def test_types_are_complete(tmp_path, monkeypatch):
    api = pytest.importorskip("mypy.api")
    above = os.path.dirname(os.path.dirname(frazil.__file__))
    if not above.endswith("site-packages"):
        monkeypatch.setenv("MYPYPATH", above)
    out, err, code = api.run(["--strict", "--ignore-missing-imports", "--follow-imports=skip", "--cache-dir", str(tmp_path), "-p", "frazil"])
    assert code == 0, out + err
