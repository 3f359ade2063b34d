"""Lakes: connecting, and running statements.

A lake may be used from several threads. Each thread has a session of its own: what ``USE`` and ``SET`` say holds for the
thread that said it, and for threads that use the lake for the first time after that.
"""

from __future__ import annotations

import os
import sys
from _thread import _local

from . import _frazil
from .errors import NotFoundError
from .relation import OneShot, Relation

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
    from types import FrameType
    from typing import Any, Union

    Path = Union[str, os.PathLike[str]]

# Options of the lake itself; everything else is a property of the catalog.
_LAKE_OPTIONS = {"catalog_name": "catalog-name", "read_only": "read-only", "lock_timeout_ms": "lock-timeout-ms"}


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return os.fspath(value) if isinstance(value, os.PathLike) else str(value)


def _is_path(name: str) -> bool:
    return os.sep in name or name in (".", "..") or name.startswith("~") or os.path.isdir(name)


def connect(name_or_path: Path | None = None, *, path: Path | None = None, catalog: str | None = None, **props: Any) -> Lake:
    """Opens a lake.

    ``connect()`` opens the one that the environment says (``$FRAZIL_LAKE``, ``$FRAZIL_CATALOG``, the configured default catalog), else the folder
    ``lake``. ``connect("a/folder")`` opens a folder (a name with a slash in it, or a folder that exists), ``connect("prod")`` a
    configured catalog; ``path=`` and ``catalog=`` say which of the two is meant. Further keyword arguments are properties of the
    catalog, named as PyIceberg names them; ``read_only=True``, ``lock_timeout_ms=`` and ``catalog_name=`` are the folder's.

    >>> connect("a/folder").path
    'a/folder'
    >>> connect(path="b", lock_timeout_ms="soon")
    Traceback (most recent call last):
    ...
    frazil.errors.InvalidError: ...
    """
    if name_or_path is not None:
        if path is not None or catalog is not None:
            raise TypeError("connect: a name is given twice")
        if isinstance(name_or_path, str) and not _is_path(name_or_path):
            try:
                return Lake(None, name_or_path, props)
            except NotFoundError as e:
                e.args = (f"{e}\nhint: a folder of that name is meant by frazil.connect(path={name_or_path!r})",)
                raise
        else:
            path = name_or_path
    return Lake(path, catalog, props)


class Lake:
    """A lake: made by :func:`connect`.

    >>> with connect("lake/") as lake:
    ...     lake.sql("select 6 * 7 as answer").fetchone()
    (42,)
    >>> lake.sql("select 1")
    Traceback (most recent call last):
    ...
    frazil.errors.ClosedError: the lake is closed
    """

    def __init__(self, path: Path | None, catalog: str | None, props: Mapping[str, Any]) -> None:
        options: list[tuple[str, str]] = []
        location = None
        if path is not None:
            location = os.path.expanduser(os.fspath(path))
            if not isinstance(location, str):
                raise TypeError(f"connect: the path {path!r} is not a str")
        if catalog is not None:
            if not isinstance(catalog, str):
                raise TypeError(f"connect: the catalog {catalog!r} is not a str")
            options.append(("catalog", catalog))
        for k, v in props.items():
            if k in _LAKE_OPTIONS:
                options.append((_LAKE_OPTIONS[k], _text(v)))
            elif v is not None:
                options.append(("set", f"{k}={_text(v)}"))
        self._lake = _frazil.Lake(location, options)
        self._local = _local()
        self._settings: list[str] = []
        #: The folder or the name of the catalog that was given, or None.
        self.path: str | None = location if location is not None else catalog
        #: Called with each notice of a statement (a type that was widened, say); None: they are dropped.
        self.on_notice: Callable[[str], object] | None = None

    # ---- sessions ----

    def _session(self) -> _frazil.Session:
        s: _frazil.Session | None = getattr(self._local, "session", None)
        if s is None:
            s = self._local.session = self._new_session()
        elif s.busy:  # this thread is in the middle of a statement that asks a variable of the program for its rows
            return self._new_session()
        elif not s.idle and not s.transaction:
            # The session goes with its results; several in one would have to wait for each other.
            s = self._local.session = self._new_session()
        return s

    def _new_session(self) -> _frazil.Session:
        s = self._lake.session()
        for text in self._settings:
            s.execute(text)
        return s

    def _run(self, text: str, params: Sequence[Any] | None, lookup: Callable[[str], object] | None) -> _frazil.Result | None:
        s = self._session()
        try:
            r = s.execute(text, params, lookup)
        finally:
            if self.on_notice is not None:
                for n in s.notices():
                    self.on_notice(n)
        if r is not None and not r.has_rows:
            if r.tag in ("USE", "SET", "RESET"):
                schema = s.execute("show schema")
                if schema is not None:
                    value = schema.fetch(1)[0][0].replace("'", "''")
                    self._settings = [f"set schema = '{value}'"]
        return r

    # ---- statements ----

    def sql(self, text: str, params: Sequence[Any] | Mapping[str, Any] | None = None) -> Relation:
        """Runs SQL text and gives its result.

        ``params`` are the values of ``?`` (or ``$1``, ``$2``, ...). Names in FROM that no table has are variables of the caller:
        anything with ``__arrow_c_stream__`` or ``__arrow_c_array__`` (Polars, pandas, PyArrow, DuckDB, ...), a relation, a list of dicts, a
        dict of lists.

        A query is started, and computed while its rows are read: see :class:`Relation`. Everything else is done on return.

        >>> lake = connect("lake/")
        >>> people = [{"name": "Ada", "born": 1815}, {"name": "Grace", "born": 1906}]
        >>> lake.sql("select name from people where born > ?", [1900]).fetchall()
        [('Grace',)]
        """
        return self._sql(text, params, sys._getframe(1))

    def _sql(self, text: str, params: Sequence[Any] | Mapping[str, Any] | None, frame: FrameType | None) -> Relation:
        if not isinstance(text, str):
            raise TypeError(f"sql: the statement is not a str but a {type(text).__name__}")
        if isinstance(params, (str, bytes, dict)):
            raise TypeError("sql: parameters are a list or tuple of values")
        values = None if params is None else list(params)
        found: dict[str, Any] = {}
        r = self._run(text, values, _finder(frame, found))
        return Relation(self, text, values, found, r)

    def sql_async(self, text: str, params: Sequence[Any] | None = None) -> Coroutine[Any, Any, Relation]:
        """The same, for servers: runs in a thread of the loop's executor, until the whole result is there. Cancelling the task
        cancels the statement.

        >>> import asyncio
        >>> asyncio.run(connect("lake/").sql_async("select 6 * 7")).fetchone()
        (42,)
        """
        return self._sql_async(text, params, sys._getframe(1))

    def _sql_async(self, text: str, params: Sequence[Any] | None, frame: FrameType | None) -> Coroutine[Any, Any, Relation]:
        import asyncio

        found: dict[str, Any] = {}
        s = self._new_session()

        def work() -> Relation:
            r = s.execute(text, None if params is None else list(params), finder)
            if r is not None and r.has_rows:
                r.read_all()
            return Relation(self, text, None if params is None else list(params), found, r)

        finder = _finder(frame, found)

        async def wait() -> Relation:
            future = asyncio.get_running_loop().run_in_executor(None, work)
            try:
                return await asyncio.shield(future)
            except asyncio.CancelledError:
                while not future.done():  # a statement that only begins forgets an earlier cancel
                    s.cancel()
                    await asyncio.wait([future], timeout=0.02)
                future.exception()
                raise

        return wait()

    def load(self, files: Path | Iterable[Path], table: str, **options: Any) -> Relation:
        """Loads CSV, JSON, Parquet or Avro files into a table, as one commit; the table is made where it is missing.

        Options are those of ``frazil load``, with underscores: ``replace=True``, ``partition_by="month(ts)"``, ``types={"zip": "text"}``,
        ``null=["", "NA"]``, ``property={"write.format.default": "parquet"}``, ...

        >>> with open("t.csv", "w") as f:
        ...     _ = f.write("a,b\\n1,x\\n2,y\\n")
        >>> connect("lake/").load("t.csv", "from_csv")
        LOAD, 2 rows
        """
        paths = [files] if isinstance(files, (str, os.PathLike)) else list(files)
        pairs: list[tuple[str, str]] = []
        for k, v in options.items():
            key = k.replace("_", "-")
            if v is None:
                continue
            if isinstance(v, dict):
                mark = ":" if key == "types" else "="
                pairs.extend((key, f"{a}{mark}{_text(b)}") for a, b in v.items())
            elif isinstance(v, (list, tuple)):
                pairs.extend((key, _text(x)) for x in v)
            else:
                pairs.append((key, _text(v)))
        s = self._session()
        try:
            r = s.load([os.fspath(p) for p in paths], table, pairs)
        finally:
            if self.on_notice is not None:
                for n in s.notices():
                    self.on_notice(n)
        return Relation(self, None, None, {}, r)

    def table(self, name: str) -> Relation:
        """A table as a relation: ``select * from name``.

        >>> lake = connect("lake/")
        >>> _ = lake.sql("create table if not exists numbers as select 7 as n")
        >>> lake.table("numbers").fetchall()
        [(7,)]
        """
        return self._sql(f"select * from {name}", None, None)

    def tables(self) -> list[str]:
        """The tables, as ``namespace.name``.

        >>> connect("no/such/lake").tables()
        []
        """
        r = self._run("show tables", None, None)
        return [".".join(row[:2]) for row in r.fetch(-1)] if r is not None else []

    def cancel(self) -> None:
        """Stops the statement that this thread's session runs; for another thread's use the loop's or a signal."""
        self._session().cancel()

    def close(self) -> None:
        """Refuses further statements. Results that are open fail when they are read on."""
        self._lake.close()

    @property
    def closed(self) -> bool:
        """Whether :meth:`close` was called."""
        return self._lake.closed

    def __enter__(self) -> Lake:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<frazil.Lake {self.path or 'of the environment'}{', closed' if self.closed else ''}>"

    def __reduce__(self) -> Any:
        raise TypeError("a lake can't be pickled: connect again in the other process")


def _finder(frame: FrameType | None, found: dict[str, Any]) -> Callable[[str], object] | None:
    """What a statement asks for names that no table has: variables where sql() was called, locals first. What is given is kept in
    `found`, for when the statement is run again as a part of another one."""
    if frame is None:
        return None

    def lookup(name: str) -> object:
        if name in found:
            o = found[name]
        else:
            f: FrameType | None = frame
            o = None
            if f is not None:
                o = f.f_locals.get(name)
                if o is None:
                    o = f.f_globals.get(name)
            if o is None or isinstance(o, type(sys)) or not _may_be_table(o):
                return None
            if type(o).__name__ == "LazyFrame" and type(o).__module__.startswith("polars."):
                o = o.collect()
            elif _read_once(o):
                o = OneShot(o, name)
            found[name] = o
        return o

    return lookup


def _may_be_table(o: object) -> bool:
    """Whether a variable is meant at all: functions and numbers aren't, so that a misspelt table stays one."""
    return not (callable(o) and not hasattr(o, "__arrow_c_stream__")) and not isinstance(o, (int, float, str, bytes, bool))


def _read_once(o: object) -> bool:
    """Whether an object's rows can be had once only."""
    return type(o).__name__ in ("RecordBatchReader", "DuckDBPyRelation", "PyCapsule") and not isinstance(o, Relation)


_default: tuple[int, Lake] | None = None


def default_lake() -> Lake:
    """The lake that :func:`sql` uses: ``connect()``, made once.

    >>> default_lake() is default_lake()
    True
    """
    global _default
    pid = os.getpid()
    if _default is None or _default[0] != pid or _default[1].closed:
        _default = (pid, connect())
    return _default[1]


def sql(text: str, params: Sequence[Any] | None = None) -> Relation:
    """:meth:`Lake.sql` on the default lake.

    >>> sql("select 6 * 7 as answer").fetchall()
    [(42,)]
    """
    return default_lake()._sql(text, params, sys._getframe(1))


def sql_async(text: str, params: Sequence[Any] | None = None) -> Coroutine[Any, Any, Relation]:
    """:meth:`Lake.sql_async` on the default lake.

    >>> import asyncio
    >>> asyncio.run(sql_async("select 1 as a")).fetchall()
    [(1,)]
    """
    return default_lake()._sql_async(text, params, sys._getframe(1))


def adbc_driver() -> str:
    """The path of the ADBC driver, which is this package's extension module: for
    ``adbc_driver_manager.dbapi.connect(driver=frazil.adbc_driver(), db_kwargs={"uri": "lake/"})``.

    >>> adbc_driver().endswith(".so")
    True
    """
    path = _frazil.__file__
    assert path is not None
    return path


def load(files: Path | Iterable[Path], table: str, **options: Any) -> Relation:
    """:meth:`Lake.load` into the default lake.

    >>> load("no-such-file.csv", "t")
    Traceback (most recent call last):
    ...
    frazil.errors.NotFoundError: ...
    """
    return default_lake().load(files, table, **options)


def _at_exit() -> None:
    _frazil.close_all()


def _setup() -> None:
    import atexit

    atexit.register(_at_exit)
    from .progress import draw

    _frazil.on_progress(draw)


_setup()
