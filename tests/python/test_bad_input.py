"""What goes wrong is the matching exception, with a message that names the thing; nothing is written, nothing crashes."""

import os
import pickle
import signal
import threading
import time

import pytest

import frazil


def test_errors_say_where(lake):
    lake.sql("create table t as select 1 as a")
    with pytest.raises(frazil.NotFoundError) as e:
        lake.sql("select a,\n  colour from t")
    assert e.value.sqlstate == "42703" and (e.value.line, e.value.column) == (2, 3) and "colour" in e.value.message
    assert isinstance(e.value, LookupError) and "^" in str(e.value) and e.value.status == "not_found"
    with pytest.raises(frazil.SQLSyntaxError):
        lake.sql("selec 1")
    with pytest.raises(LookupError, match="there is no table"):
        lake.sql("select * from no_such_variable")
    with pytest.raises(frazil.UnsupportedError):
        lake.sql("set timezone = 'Asia/Tokyo'")
    with pytest.raises(ArithmeticError):
        lake.sql("select 1 / (a - 1) from t").fetchall()
    e2 = pickle.loads(pickle.dumps(e.value))
    assert str(e2) == str(e.value) and e2.sqlstate == "42703"


def test_wrong_arguments(lake):
    with pytest.raises(TypeError, match="not a str"):
        lake.sql(5)
    with pytest.raises(frazil.InvalidError, match="colour"):
        lake.load("x", "t", colour=1)
    with pytest.raises(TypeError):
        pickle.dumps(lake)
    with pytest.raises(LookupError, match="connect.path='no_such_catalog'"):
        frazil.connect("no_such_catalog")
    with pytest.raises(TypeError, match="given twice"):
        frazil.connect("a", path="b")
    with pytest.raises(ValueError):
        lake.sql("select 'a\0b'")
    r = lake.sql("select 1 as a")
    with pytest.raises(TypeError):
        r.join(5, on="a")
    with pytest.raises(ValueError, match="how"):
        r.join(r, on="a", how="sideways")
    with pytest.raises(frazil.Error):
        r.filter("b > 1")


@pytest.mark.parametrize(
    "frame, error, words",
    [
        ([{"a": 1}, {"a": "x"}], TypeError, "column a: int and str"),
        ([{"a": 1}, 5], TypeError, "row 1"),
        ([{1: 1}], TypeError, "row 0"),
        ([], ValueError, "without columns"),
        ({}, ValueError, "without columns"),
        ({"a": [1], "b": [1, 2]}, ValueError, "column b has 2"),
        ({"a": "text"}, TypeError, "column a"),
        ({"a": [object()]}, TypeError, "column a: a value of type object"),
        ({"a": [float("nan"), "x"], "b": 5}, TypeError, "column b"),
        ({"a": [10**40]}, OverflowError, "column a"),
        ({1, 2}, TypeError, "set"),
    ],
    ids=repr,
)
def test_frames_that_are_none(lake, frame, error, words):
    with pytest.raises(error, match=words):
        lake.sql("create table t as select * from frame")
    assert lake.tables() == []


def test_a_schema_that_does_not_fit(lake):
    lake.sql("create table t (a int, b text)")
    frame = {"a": ["x"], "b": ["y"]}  # noqa: F841
    with pytest.raises(frazil.Error):
        lake.sql("insert into t select * from frame")
    frame = {"a": [1], "b": ["y"], "c": [1]}  # noqa: F841
    with pytest.raises(frazil.Error):
        lake.sql("insert into t select * from frame")
    assert lake.table("t").count() == 0


def test_a_closed_lake(tmp_path):
    lake = frazil.connect(tmp_path / "lake")
    lake.sql("create table t as select 1 as a")
    r = lake.sql("select * from t")
    lake.close()
    lake.close()
    assert lake.closed
    for what in (lambda: lake.sql("select 1"), r.fetchall, r.execute, r.count, lambda: list(r), lake.tables, lambda: lake.load("x", "t")):
        with pytest.raises(frazil.ClosedError, match="closed"):
            what()


class Producer:
    """A stream that fails after some batches."""

    def __init__(self, batches, error):
        self.batches, self.error = batches, error

    def __arrow_c_stream__(self, requested_schema=None):
        import pyarrow as pa

        def rows():
            for i in range(self.batches):
                yield pa.record_batch({"a": list(range(i * 100_000, (i + 1) * 100_000))})
            raise self.error

        return pa.RecordBatchReader.from_batches(pa.schema([("a", pa.int64())]), rows()).__arrow_c_stream__()


def test_a_producer_that_raises(lake):
    pytest.importorskip("pyarrow")
    pytest.importorskip("polars")
    for n in (0, 1, 3):
        frame = Producer(n, RuntimeError("the tape is torn"))
        with pytest.raises(frazil.Error, match="frame failed.*the tape is torn"):
            lake.sql("create table t as select * from frame")
    assert lake.tables() == []
    frame = Producer(2, RuntimeError("the tape is torn"))
    r = lake.sql("select * from frame")
    with pytest.raises(frazil.Error, match="the tape is torn"):
        r.pl()

    class Worse:
        def __arrow_c_stream__(self, requested_schema=None):
            raise KeyError("no rows")

    frame = Worse()
    with pytest.raises(KeyError, match="no rows"):
        lake.sql("select * from frame")

    class Missing:
        def __arrow_c_stream__(self, requested_schema=None):
            import no_such_package  # noqa: F401

    frame = Missing()  # noqa: F841
    with pytest.raises(ModuleNotFoundError, match="no_such_package"):
        lake.sql("select * from frame")


def test_a_variable_that_runs_statements(lake):
    class Nested:
        def __arrow_c_stream__(self, requested_schema=None):
            return lake.sql("select 7 as a").__arrow_c_stream__()

    frame = Nested()  # noqa: F841
    assert lake.sql("select * from frame").fetchall() == [(7,)]
    got = []
    globals()["f"] = Nested()
    t = threading.Thread(target=_in_thread, args=(lake, got))
    t.start()
    t.join(20)
    assert got == [[(7,)]]


def _in_thread(lake, got):
    got.append(lake.sql("select * from f").fetchall())


def test_a_result_let_go_by_the_statement_that_runs(lake):
    """Garbage that a variable's code or a producer collects may be results of the session that is at work."""
    pa = pytest.importorskip("pyarrow")
    lake.sql("create table t as select 1 as a")
    held = []

    def rows():
        for i in range(20):
            if held:
                held.pop().close()
            yield pa.record_batch({"a": list(range(1000))})

    class Holder:
        def __arrow_c_stream__(self, requested_schema=None):
            held.pop()
            return pa.RecordBatchReader.from_batches(pa.schema([("a", pa.int64())]), rows()).__arrow_c_stream__()

    for begin in ("begin", "select 1"):
        lake.sql(begin)
        for _ in range(3):
            held += [lake.sql("select * from t") for _ in range(20)]
            frame = Holder()  # noqa: F841
            assert lake.sql("select count(*) from frame").fetchall() == [(20_000,)]
        reader = pa.table({"a": [1]}).to_reader()  # noqa: F841
        q = lake.sql("select * from reader")
        if begin == "begin":
            with pytest.raises(NotImplementedError, match="same transaction"):
                q.filter("a = 1")
            lake.sql("rollback")
        else:
            assert q.filter("a = 1").fetchall() == [(1,)]


def test_transactions(lake):
    lake.sql("create table t (a int)")
    lake.sql("begin; insert into t values (1)")
    assert lake.table("t").count() == 1 and lake.table("t").filter("a = 1").fetchall() == [(1,)]
    got = []
    t = threading.Thread(target=lambda: got.append(lake.table("t").count()))
    t.start()
    t.join()
    assert got == [0], "a transaction is its thread's"
    lake.sql("rollback")
    assert lake.table("t").count() == 0
    lake.sql("begin; insert into t values (2); commit")
    assert lake.table("t").fetchall() == [(2,)]


def test_a_reader_is_read_once(lake):
    pa = pytest.importorskip("pyarrow")
    reader = pa.table({"a": [1, 2]}).to_reader()
    r = lake.sql("select * from reader")
    assert "read once" in repr(r)
    assert r.fetchall() == [(1,), (2,)]
    with pytest.raises(ValueError, match="reader can be read once"):
        r.fetchall()


SLOW = "select count(*) from n a, n b where a.n * b.n % 7 = 3 and a.n + b.n > 5"


@pytest.mark.parametrize("how", ["sql", "pl", "fetchall", "create"])
def test_ctrl_c(lake, how):
    if how == "pl":
        pytest.importorskip("polars")
    n = {"n": range(200_000)}  # noqa: F841
    timer = threading.Timer(0.4, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    t0 = time.time()
    with pytest.raises(KeyboardInterrupt):
        if how == "create":
            lake.sql("create table t as " + SLOW.replace("count(*)", "count(*) as c"))
        else:
            r = lake.sql(SLOW)
            {"sql": r.fetchall, "pl": r.pl, "fetchall": r.fetchall}[how]()
    timer.join()
    assert time.time() - t0 < 10
    assert lake.tables() == []
    assert lake.sql("select 1").fetchall() == [(1,)]


def test_fork(run):
    out = run("""
import os, sys, frazil
lake = frazil.connect("l/")
lake.sql("create table t as select 1 as a")
r = lake.sql("select * from t")
pid = os.fork()
if pid == 0:
    for f in (lambda: lake.sql("select 1"), r.fetchall, r.pl if 'polars' in sys.modules else r.fetchall):
        try:
            f()
            os._exit(1)
        except frazil.ClosedError as e:
            assert "forked" in str(e), e
    again = frazil.connect("l/")
    again.sql("insert into t values (2)")
    assert again.sql("select count(*) from t").fetchone() == (2,)
    del r, lake
    sys.exit(7)
assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
print(lake.sql("select count(*) from t").fetchall(), r.fetchall())
""")
    assert out == "[(2,)] [(1,)]\n"


@pytest.mark.parametrize("how", ["open", "read", "iterated", "python producer", "thread"])
def test_interpreter_shutdown_with_results_open(run, how):
    if how == "python producer":
        pytest.importorskip("pyarrow")
    run("""
import frazil, threading
lake = frazil.connect("l/")
n = {"n": range(300_000)}
lake.sql("create table t as select * from n")
how = %r
r = lake.sql("select a.n from t a, (values (1), (2), (3), (4), (5)) as b(k)")
if how == "read":
    r.fetchmany(10)
elif how == "iterated":
    it = iter(r)
    next(it)
elif how == "python producer":
    import pyarrow as pa
    def rows():
        for i in range(100000):
            yield pa.record_batch({"a": list(range(1000))})
    frame = pa.RecordBatchReader.from_batches(pa.schema([("a", pa.int64())]), rows())
    r = lake.sql("select * from frame")
    r.fetchmany(1)
elif how == "thread":
    threading.Thread(target=lambda: [b for b in r], daemon=True).start()
    import time; time.sleep(0.3)
""" % how)


def test_broken_capsules(lake):
    class Array:
        def __arrow_c_array__(self, requested_schema=None):
            return 5

    class Stream:
        def __arrow_c_stream__(self, requested_schema=None):
            return "no capsule"

    for frame in (Array(), Stream()):
        with pytest.raises((TypeError, ValueError)):
            lake.sql("select * from frame")


def test_no_leak(run):
    grown = int(run("""
import frazil, resource
def rounds(n):
    for i in range(n):
        lake = frazil.connect("l/")
        rows = [{"a": 1, "b": "x"}]
        lake.sql("select * from rows where a = ?", [1]).fetchall()
        try: lake.sql("select nope")
        except frazil.Error: pass
        lake.close()
rounds(300)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
rounds(%d)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
""" % (10_000 if os.environ.get("FRAZIL_TEST_LONG") else 1000), timeout=300))
    assert grown < 3000, f"{grown} KiB more after the rounds"
