"""Relations: what a statement gives.

A query's relation is lazy: its rows are computed while they are read, in bounded memory, and relations made of it
(``filter``, ``select``, ``join``, ...) are one query with it. The first reading continues the query that ``sql()`` started, with the
tables as they were then; reading again runs it again. What reads all rows (``pl()``, ``fetchall()``, iteration, ...) reads them
from the start; ``fetchone()`` and ``fetchmany()`` go on where they were.
"""

from __future__ import annotations

from . import _frazil

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import Any, TypeVar

    import pandas
    import polars
    import pyarrow

    from .lake import Lake
    from .plot import Plot

    T = TypeVar("T")


class OneShot:
    """A variable whose rows can be had once, as a RecordBatchReader's."""

    def __init__(self, o: Any, name: str) -> None:
        self._o = o
        self._name = name

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        o, self._o = self._o, None
        if o is None:
            raise ValueError(f"the rows of {self._name} can be read once, and were")
        return _frazil.to_stream(o)


class Batch:
    """Some rows of a result; it speaks Arrow (``__arrow_c_array__``).

    >>> import frazil
    >>> [len(b) for b in frazil.sql("select * from (values (1), (2), (3)) as t(n)")]
    [3]
    """

    __slots__ = ("_b", "_columns")

    def __init__(self, b: _frazil.Batch, columns: list[str]) -> None:
        self._b = b
        self._columns = columns

    def __arrow_c_array__(self, requested_schema: object = None) -> tuple[object, object]:
        return self._b.__arrow_c_array__(requested_schema)

    def __arrow_c_schema__(self) -> object:
        return self._b.__arrow_c_schema__()

    def __len__(self) -> int:
        return self._b.num_rows

    @property
    def num_rows(self) -> int:
        """The number of rows."""
        return self._b.num_rows

    @property
    def columns(self) -> list[str]:
        """The names of the columns."""
        return list(self._columns)

    def rows(self) -> list[tuple[Any, ...]]:
        """The rows as tuples."""
        return self._b.rows()

    def arrow(self) -> pyarrow.RecordBatch:
        """As a PyArrow record batch."""
        import pyarrow

        return pyarrow.record_batch(self)

    def pl(self) -> polars.DataFrame:
        """As a Polars frame."""
        import polars

        return polars.DataFrame(self)

    def df(self) -> pandas.DataFrame:
        """As a pandas frame."""
        return self.arrow().to_pandas()

    def __repr__(self) -> str:
        return f"<frazil.Batch of {len(self)} rows: {', '.join(self._columns)}>"


_CASTS = {
    "b": "boolean", "i": "integer", "l": "bigint", "f": "real", "g": "double precision", "u": "text", "U": "text", "vu": "text",
    "z": "bytea", "Z": "bytea", "vz": "bytea", "tdD": "date", "ttu": "time", "tsu:": "timestamp", "tsu:UTC": "timestamp with time zone",
}  # fmt: skip


def _quote(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


class Relation:
    """What :meth:`Lake.sql` gives.

    >>> import frazil
    >>> r = frazil.sql("select * from (values (1, 'a'), (2, 'b'), (3, 'b')) as t(n, s)")
    >>> r
    ┌─────────┬──────┐
    │ n       │ s    │
    │ integer │ text │
    ├─────────┼──────┤
    │       1 │ a    │
    │       2 │ b    │
    │       3 │ b    │
    └─────────┴──────┘
    3 rows
    >>> r.filter("n > 1").aggregate("sum(n) as n", by="s").fetchall()
    [('b', 5)]
    """

    def __init__(self, lake: Lake, text: str | None, params: list[Any] | None, found: dict[str, Any], result: _frazil.Result | None) -> None:
        self._lake = lake
        self._text = text
        self._params = params
        self._found = found
        self._has_rows = result is not None and result.has_rows
        self._tag = result.tag if result is not None else ""
        self._affected = result.rows_affected if result is not None else -1
        self._fresh = result if self._has_rows else None  # a result of which nobody has read
        self._schema: tuple[list[str], list[str], object] | None = None
        self._cursor: _frazil.Result | None = None
        self._columns = result.columns if result is not None and self._has_rows else []
        self._types = result.types if result is not None and self._has_rows else []

    # ---- what it is ----

    @property
    def columns(self) -> list[str]:
        """The names of the columns.

        >>> import frazil
        >>> frazil.sql("select 1 as a, 'x' as b").columns
        ['a', 'b']
        """
        return list(self._columns)

    @property
    def types(self) -> list[str]:
        """SQL's names of the columns' types.

        >>> import frazil
        >>> frazil.sql("select 1 as a, [1.5] as b, date '2020-01-01' as c").types
        ['integer', 'decimal(2,1)[]', 'date']
        """
        return list(self._types)

    @property
    def schema(self) -> list[tuple[str, str]]:
        """Names and types.

        >>> import frazil
        >>> frazil.sql("select 1 as a").schema
        [('a', 'integer')]
        """
        return list(zip(self._columns, self._types))

    @property
    def rows_affected(self) -> int:
        """How many rows a statement without rows of its own wrote, or -1."""
        return self._affected

    @property
    def tag(self) -> str:
        """What was done: ``"SELECT"``, ``"INSERT"``, ``"CREATE TABLE"``, ..."""
        return self._tag

    # ---- reading ----

    def _need_rows(self) -> None:
        if not self._has_rows:
            raise TypeError(f"{self._tag or 'the statement'} has no rows")

    def _result(self) -> _frazil.Result:
        """A result from its first row on."""
        self._need_rows()
        r, self._fresh = self._fresh, None
        if r is not None:
            return r
        assert self._text is not None
        again = self._lake._run(self._text, self._params, self._again)
        assert again is not None
        return again

    def _again(self, name: str) -> object:
        return self._found.get(name)

    def _read(self, consumer: Callable[[Any], T]) -> T:
        """Gives the rows to another library; its exception is replaced by ours, where ours was the cause."""
        r = self._result()
        try:
            return consumer(_Stream(r))
        except BaseException:
            failure = r.take_failure()
            if failure is not None:
                raise failure from None
            raise

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        r = self._result()
        try:
            return r.stream(requested_schema)
        except ValueError:
            self._fresh = r
            if requested_schema is None:
                raise
            cast = self._cast(requested_schema)
            if cast is None:
                raise
            return cast._result().stream(requested_schema)

    def __arrow_c_schema__(self) -> object:
        if self._fresh is not None:
            return self._fresh.schema()
        self._need_rows()
        r = self._result()
        self._fresh = r
        return r.schema()

    def _cast(self, requested: object) -> Relation | None:
        """The same rows with other types; None where SQL has no such type."""
        formats = _frazil.schema_formats(requested)
        if len(formats) != len(self._columns):
            return None
        casts = []
        for name, f in zip(self._columns, formats):
            t = f"decimal({f[2:]})" if f.startswith("d:") and f.count(",") == 1 else _CASTS.get(f)
            if t is None:
                return None
            casts.append(f"cast({_quote(name)} as {t}) as {_quote(name)}")
        return self.select(*casts)

    def pl(self) -> polars.DataFrame:
        """All rows as a Polars frame.

        >>> import frazil
        >>> frazil.sql("select 1 as a").pl().rows()
        [(1,)]
        """
        import polars

        return self._read(polars.DataFrame)

    def arrow(self) -> pyarrow.Table:
        """All rows as a PyArrow table.

        >>> import frazil
        >>> frazil.sql("select 1 as a").arrow().num_rows
        1
        """
        import pyarrow

        return self._read(pyarrow.table)

    def reader(self) -> pyarrow.RecordBatchReader:
        """The rows as a PyArrow reader, which computes them while they are read."""
        import pyarrow

        return self._read(pyarrow.RecordBatchReader.from_stream)

    def df(self) -> pandas.DataFrame:
        """All rows as a pandas frame.

        >>> import frazil
        >>> frazil.sql("select 1 as a").df().shape
        (1, 1)
        """
        try:
            import pyarrow  # noqa: F401
        except ImportError:
            import pandas

            rows = self.fetchall()
            return pandas.DataFrame({c: [row[i] for row in rows] for i, c in enumerate(self._columns)})
        return self.arrow().to_pandas()

    def fetchall(self) -> list[tuple[Any, ...]]:
        """All rows, or those that ``fetchone()`` and ``fetchmany()`` have left, as tuples.

        >>> import frazil
        >>> frazil.sql("select 1, null, true").fetchall()
        [(1, None, True)]
        """
        r, self._cursor = self._cursor, None
        return (r or self._result()).fetch(-1)

    def fetchmany(self, size: int = 1000) -> list[tuple[Any, ...]]:
        """The next rows, at most so many; an empty list at the end.

        >>> import frazil
        >>> r = frazil.sql("select * from (values (1), (2), (3)) as t(n)")
        >>> r.fetchmany(2), r.fetchmany(2), r.fetchmany(2)
        ([(1,), (2,)], [(3,)], [])
        """
        if size < 0:
            raise ValueError("fetchmany: a negative number of rows")
        if self._cursor is None:
            self._cursor = self._result()
        return self._cursor.fetch(size)

    def fetchone(self) -> tuple[Any, ...] | None:
        """The next row, or None.

        >>> import frazil
        >>> frazil.sql("select 6 * 7").fetchone()
        (42,)
        """
        rows = self.fetchmany(1)
        return rows[0] if rows else None

    def dicts(self) -> list[dict[str, Any]]:
        """All rows as dicts.

        >>> import frazil
        >>> frazil.sql("select 1 as a, 'x' as b").dicts()
        [{'a': 1, 'b': 'x'}]
        """
        return [dict(zip(self._columns, row)) for row in self._result().fetch(-1)]

    def __iter__(self) -> Iterator[Batch]:
        r = self._result()
        while True:
            b = r.batch()
            if b is None:
                return
            yield Batch(b, self._columns)

    def execute(self) -> Relation:
        """Computes all rows now and keeps them for the next reading.

        >>> import frazil
        >>> frazil.sql("select 1 as a").execute().fetchall()
        [(1,)]
        """
        r = self._result()
        r.read_all()
        self._fresh = r
        return self

    def close(self) -> None:
        """Ends the query; the rows can be read again from the start."""
        for r in (self._fresh, self._cursor):
            if r is not None:
                r.close()
        self._fresh = self._cursor = None

    # ---- composing ----

    def _plain(self) -> bool:
        """Whether the text can stand in another query."""
        return self._text is not None and self._tag == "SELECT" and not any(isinstance(o, OneShot) for o in self._found.values())

    def _from(self, found: dict[str, Any], params: list[Any]) -> str:
        """This relation in a FROM clause; what it needs is added to found and params."""
        self._need_rows()
        clash = any(k in found and found[k] is not o for k, o in self._found.items())
        numbered = bool(self._params) and "$" in (self._text or "")  # the numbers are this text's own
        if self._plain() and not clash and not numbered:
            found.update(self._found)
            params.extend(self._params or [])
            assert self._text is not None
            return f"({self._text.rstrip().rstrip(';')}\n)"
        name = f"relation_{len(found) + 1}_of_python"
        found[name] = self
        return name

    def _compose(self, head: str, tail: str, params: Sequence[Any] | None = None) -> Relation:
        found: dict[str, Any] = {}
        values: list[Any] = []
        text = f"{head} from {self._from(found, values)} as r {tail}"
        return self._query(text, found, values, params)

    def _query(self, text: str, found: dict[str, Any], values: list[Any], params: Sequence[Any] | None = None) -> Relation:
        all_values = values + list(params or [])
        r = self._lake._run(text, all_values or None, found.get)
        return Relation(self._lake, text, all_values or None, found, r)

    def filter(self, condition: str, params: Sequence[Any] | None = None) -> Relation:
        """The rows for which a condition holds.

        >>> import frazil
        >>> frazil.sql("select * from (values (7), (8), (9)) as t(n)").filter("n > ?", [7]).fetchall()
        [(8,), (9,)]
        """
        return self._compose("select *", f"where ({condition}\n)", params)

    where = filter

    def select(self, *columns: str) -> Relation:
        """Columns or expressions.

        >>> import frazil
        >>> frazil.sql("select 1 as a, 2 as b").select("b", "a + b as c").fetchall()
        [(2, 3)]
        """
        if not columns:
            raise TypeError("select: no columns")
        return self._compose("select " + ", ".join(columns), "")

    project = select

    def limit(self, n: int, offset: int = 0) -> Relation:
        """The first n rows, after some.

        >>> import frazil
        >>> frazil.sql("select * from (values (4), (5), (6)) as t(n)").limit(2, offset=1).fetchall()
        [(5,), (6,)]
        """
        return self._compose("select *", f"limit {int(n)} offset {int(offset)}")

    def order(self, *by: str) -> Relation:
        """The rows in an order: ``"a"``, ``"b desc"``.

        >>> import frazil
        >>> frazil.sql("select * from (values (1), (2), (3)) as t(n)").order("n desc").fetchall()
        [(3,), (2,), (1,)]
        """
        if not by:
            raise TypeError("order: by what?")
        return self._compose("select *", "order by " + ", ".join(by))

    sort = order

    def distinct(self) -> Relation:
        """Each row once.

        >>> import frazil
        >>> frazil.sql("select 1 as a union all select 1").distinct().fetchall()
        [(1,)]
        """
        return self._compose("select distinct *", "")

    def aggregate(self, *aggregates: str, by: str | Sequence[str] = ()) -> Relation:
        """Aggregates, for each group of `by`.

        >>> import frazil
        >>> frazil.sql("select * from (values (1), (2), (3), (4)) as t(n)").aggregate("sum(n) as s", by="n % 2 as odd").order("odd").fetchall()
        [(0, 6), (1, 4)]
        """
        keys = [by] if isinstance(by, str) else list(by)
        if not aggregates and not keys:
            raise TypeError("aggregate: no aggregates")
        group = ", ".join(str(i + 1) for i in range(len(keys)))
        return self._compose("select " + ", ".join([*keys, *aggregates]), f"group by {group}" if keys else "")

    def join(self, other: Relation, on: str | Sequence[str], how: str = "inner") -> Relation:
        """Joins another relation. `on`: the names of columns that both have, or a condition in which this relation is ``l`` and
        the other one ``r``; `how`: inner, left, right or full.

        >>> import frazil
        >>> a = frazil.sql("select * from (values (1, 'x'), (2, 'y')) as t(id, a)")
        >>> b = frazil.sql("select * from (values (2, 'z')) as t(id, b)")
        >>> a.join(b, on=["id"]).fetchall()
        [(2, 'y', 'z')]
        >>> a.join(b, on="l.id < r.id").select("a", "b").fetchall()
        [('x', 'z')]
        """
        if not isinstance(other, Relation):
            raise TypeError(f"join: a relation is needed, not a {type(other).__name__}")
        if how not in ("inner", "left", "right", "full"):
            raise ValueError(f"join: how={how!r} is none of inner, left, right, full")
        words = [on] if isinstance(on, str) and (on in self._columns and on in other._columns) else None if isinstance(on, str) else list(on)
        link = f"on ({on}\n)" if words is None else "using (" + ", ".join(_quote(w) for w in words) + ")"
        found: dict[str, Any] = {}
        values: list[Any] = []
        left = self._from(found, values)
        right = other._from(found, values)
        return self._query(f"select * from {left} as l {how} join {right} as r {link}", found, values)

    def union(self, other: Relation) -> Relation:
        """The rows of both, one after the other.

        >>> import frazil
        >>> frazil.sql("select 1 as a").union(frazil.sql("select 2")).fetchall()
        [(1,), (2,)]
        """
        found: dict[str, Any] = {}
        values: list[Any] = []
        left = self._from(found, values)
        right = other._from(found, values)
        return self._query(f"select * from {left} as l union all select * from {right} as r", found, values)

    def count(self) -> int:
        """The number of rows.

        >>> import frazil
        >>> frazil.sql("select * from (values (4), (5), (6)) as t(n)").count()
        3
        """
        row = self._compose("select count(*)", "").fetchone()
        assert row is not None
        n: int = row[0]
        return n

    def create(self, table: str) -> Relation:
        """Makes a table of the rows.

        >>> import frazil
        >>> frazil.sql("select 1 as a").create("made_of_a_relation")
        CREATE TABLE, 1 row
        """
        return self._write(f"create table {table} as")

    def insert_into(self, table: str) -> Relation:
        """Appends the rows to a table.

        >>> import frazil
        >>> _ = frazil.sql("create table if not exists grown (a int)")
        >>> frazil.sql("select 1 as a").insert_into("grown")
        INSERT, 1 row
        """
        return self._write(f"insert into {table}")

    def _write(self, what: str) -> Relation:
        found: dict[str, Any] = {}
        values: list[Any] = []
        return self._query(f"{what} select * from {self._from(found, values)} as r", found, values)

    # ---- showing ----

    def show(self, max_rows: int = 40, width: int = 0) -> None:
        """Prints the rows as a table."""
        print(self._text_table(max_rows, width))

    def _first(self, n: int) -> Relation | None:
        """The first rows as a relation of their own; None where looking would take them away."""
        if any(isinstance(o, OneShot) for o in self._found.values()):
            return None
        return self.limit(n)

    def _text_table(self, max_rows: int = 40, width: int = 0) -> str:
        first = self._first(_SHOWN + 1)
        if first is None:
            return f"<frazil.Relation of rows that can be read once: {', '.join(self._columns)}>"
        text = first._result().text(0, width, max_rows).rstrip("\n")
        body, _, foot = text.rpartition("\n")
        if foot.startswith((f"{_SHOWN + 1} rows", f"{_SHOWN + 1:,} rows")):
            text = f"{body}\nmore than {_SHOWN} rows"
        return text

    def __repr__(self) -> str:
        if not self._has_rows:
            n = self._affected
            return (self._tag or "nothing") + ("" if n < 0 else f", {n} row{'' if n == 1 else 's'}")
        try:
            import os

            width = os.get_terminal_size().columns
        except OSError:
            width = 0
        return self._text_table(40, width)

    def _repr_html_(self) -> str | None:
        if not self._has_rows:
            return None
        from html import escape

        first = self._first(21)
        if first is None:
            return None
        rows = first.fetchall()
        head = "".join(f"<th>{escape(c)}<br><small>{escape(t)}</small></th>" for c, t in self.schema)
        body = "".join(
            "<tr>" + "".join(f"<td>{'<i>NULL</i>' if v is None else escape(str(v))}</td>" for v in row) + "</tr>" for row in rows[:20]
        )
        more = "<p>…</p>" if len(rows) > 20 else ""
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{more}"

    @property
    def plot(self) -> Plot:
        """Pictures by Altair, or else Matplotlib: ``r.plot.bar("ym", "v")``, ``line``, ``area``, ``scatter``, ``hist``."""
        from .plot import Plot

        return Plot(self)


_SHOWN = 10_000


class _Stream:
    """A result as the object that Arrow libraries take."""

    __slots__ = ("_r",)

    def __init__(self, r: _frazil.Result) -> None:
        self._r = r

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self._r.stream(requested_schema)

    def __arrow_c_schema__(self) -> object:
        return self._r.schema()
