"""Tables, as PyIceberg's users know them: made by a catalog (:mod:`frazil.catalog`).

A ``Table`` is a state: what others commit later is seen after ``refresh()``. What changes a table commits, and the object then is the new
state. Rows go through SQL and Arrow streams; they need PyArrow, Polars, pandas or DuckDB only where one of these is asked for.
"""

from __future__ import annotations

from ..exceptions import translating
from ..expressions import AlwaysFalse, AlwaysTrue, And, as_expression, to_sql
from ..value import Value, quote
from .metadata import TableMetadata

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    import pandas
    import polars
    import pyarrow

    from ..catalog import Catalog
    from ..expressions import BooleanExpression
    from ..partitioning import PartitionSpec
    from ..relation import Relation
    from ..schema import Schema
    from .inspect import InspectTable
    from .snapshots import Snapshot, SnapshotLogEntry, SnapshotRef
    from .sorting import SortOrder
    from .update import ManageSnapshots, UpdateSchema, UpdateSortOrder, UpdateSpec

    Identifier = tuple[str, ...]

__all__ = ["DataScan", "FileScanTask", "Table", "Transaction", "UpsertResult"]

ALWAYS_TRUE = AlwaysTrue()
_FRAME = "frame_of_python"


class UpsertResult(Value):
    """How many rows an upsert changed and added."""

    _parts = ("rows_updated", "rows_inserted")
    rows_updated: int
    rows_inserted: int

    def __init__(self, rows_updated: int = 0, rows_inserted: int = 0) -> None:
        self._set(rows_updated=rows_updated, rows_inserted=rows_inserted)


def _target(identifier: Identifier, branch: str | None) -> str:
    return ".".join(map(quote, identifier if branch in (None, "main") else (*identifier, f"branch_{branch}")))


class _Changes:
    """What can be done to a table: each by a statement, which `_run` runs."""

    _identifier: Identifier
    metadata: TableMetadata

    def _run(self, text: str, frame: object = None) -> Any:
        raise NotImplementedError

    def _changed(self) -> None:
        """After a statement that has changed the table."""

    def _alter(self, actions: list[str]) -> None:
        if actions:
            self._run(f"alter table {_target(self._identifier, None)} {', '.join(actions)}")
            self._changed()

    def append(self, df: Any, snapshot_properties: Mapping[str, str] = {}, branch: str | None = "main") -> None:
        """Adds the rows of a frame: anything that speaks Arrow, a list of dicts, a dict of lists. Columns go by their names; those
        that the frame lacks become null.

        >>> from frazil.catalog import load_catalog
        >>> c = load_catalog("lake/")
        >>> frame = c.lake.sql("select 1 as a")
        >>> c.create_namespace_if_not_exists("default")
        >>> t = c.create_table("default.grows", frame)
        >>> t.append(frame)
        >>> t.append({"a": [2, 3]})
        >>> t.scan().count()
        3
        """
        _no_properties(snapshot_properties)
        self._run(f"insert into {_target(self._identifier, branch)} by name select * from {_FRAME}", _frame(df))
        self._changed()

    def overwrite(
        self,
        df: Any,
        overwrite_filter: Any = ALWAYS_TRUE,
        snapshot_properties: Mapping[str, str] = {},
        case_sensitive: bool = True,
        branch: str | None = "main",
    ) -> None:
        """Puts the rows of a frame in the place of those that a filter names, or of all. With a filter the rows that stay are written again.

        >>> from frazil.catalog import load_catalog
        >>> c = load_catalog("lake/")
        >>> t = c.create_table("default.renewed", c.lake.sql("select 1 as a"))
        >>> t.append({"a": [1, 2, 3]})
        >>> t.overwrite({"a": [20]}, "a = 2")
        >>> sorted(t.scan().to_rows())
        [(1,), (3,), (20,)]
        """
        _no_properties(snapshot_properties)
        condition = as_expression(overwrite_filter)
        target = _target(self._identifier, branch)
        if isinstance(condition, AlwaysTrue):
            self._run(f"insert overwrite {target} by name select * from {_FRAME}", _frame(df))
        elif isinstance(condition, AlwaysFalse):
            self._run(f"insert into {target} by name select * from {_FRAME}", _frame(df))
        else:
            self._rewrite(target, self._kept(target, condition), _frame(df), None)
        self._changed()

    def delete(
        self,
        delete_filter: Any = ALWAYS_TRUE,
        snapshot_properties: Mapping[str, str] = {},
        case_sensitive: bool = True,
        branch: str | None = "main",
    ) -> None:
        """Deletes the rows that a filter names, or all. The rows that stay are written again, all of them: for large tables that is
        dear.

        >>> from frazil.catalog import load_catalog
        >>> c = load_catalog("lake/")
        >>> t = c.create_table("default.shrinks", c.lake.sql("select 1 as a where false union all select null"))
        >>> t.append({"a": [1, 2, None]})
        >>> t.delete("a > 1")
        >>> t.scan().to_rows()
        [(1,), (None,)]
        """
        _no_properties(snapshot_properties)
        condition = as_expression(delete_filter)
        target = _target(self._identifier, branch)
        if isinstance(condition, AlwaysFalse):
            return
        if isinstance(condition, AlwaysTrue):
            self._run(f"insert overwrite {target} select * from {target} where false")
        else:
            self._rewrite(target, self._kept(target, condition), None, f"select 1 from {target} where {to_sql(condition, self.metadata.schema())} limit 1")
        self._changed()

    def _columns(self, of: str = "") -> str:
        return ", ".join(of + quote(f.name) for f in self.metadata.schema().fields)

    def _kept(self, target: str, condition: BooleanExpression) -> str:
        """The rows for which a condition isn't true."""
        return f"select {self._columns()} from {target} where ({to_sql(condition, self.metadata.schema())}) is not true"

    def _rewrite(self, target: str, kept: str, frame: object, needed: str | None) -> None:
        """In a transaction: writes a table again from rows of its own and of a frame."""
        self._need_rewrite()
        if needed is not None and not self._run(needed).fetchall():
            return
        text = f"insert overwrite {target} by name {kept}"
        if frame is not None:
            mine, given = [f.name for f in self.metadata.schema().fields], _names(frame)
            extra = [n for n in given if n not in mine]
            if extra:
                raise ValueError(f"the table has no column {extra[0]!r}")
            columns = ", ".join(quote(n) if n in given else f"null as {quote(n)}" for n in mine)
            text += f" union all select {columns} from {_FRAME}"
        self._run(text, frame)

    def _need_rewrite(self) -> None:
        if self.metadata.format_version > 2:
            raise NotImplementedError("single rows of tables of format 3 can't be deleted or replaced yet: the others would lose their ids")

    def upsert(
        self,
        df: Any,
        join_cols: list[str] | None = None,
        when_matched_update_all: bool = True,
        when_not_matched_insert_all: bool = True,
        case_sensitive: bool = True,
        branch: str | None = "main",
        snapshot_properties: Mapping[str, str] = {},
    ) -> UpsertResult:
        """Replaces rows by those of a frame that have the same values in ``join_cols`` (by default the table's identifier fields), and adds the
        others. The rows that stay are written again, all of them, unless nothing is replaced.

        >>> from frazil.catalog import load_catalog
        >>> c = load_catalog("lake/")
        >>> t = c.create_table("default.merged", c.lake.sql("select 1 as k, 'x' as v"))
        >>> t.append({"k": [1, 2], "v": ["a", "b"]})
        >>> t.upsert({"k": [2, 3], "v": ["B", "C"]}, join_cols=["k"])
        UpsertResult(rows_updated=1, rows_inserted=1)
        >>> sorted(t.scan().to_rows())
        [(1, 'a'), (2, 'B'), (3, 'C')]
        """
        _no_properties(snapshot_properties)
        if not when_matched_update_all and not when_not_matched_insert_all:
            raise ValueError("no upsert options selected...exiting")
        schema = self.metadata.schema()
        keys = list(join_cols) if join_cols is not None else sorted(schema.identifier_field_names())
        if not keys:
            raise ValueError("Join columns could not be found, please set identifier-field-ids or pass in explicitly.")
        schema.select(*keys)  # they are there
        columns = [f.name for f in schema.fields]
        given = _names(_frame(df))
        if sorted(given) != sorted(columns):
            raise ValueError(f"upsert: the columns of the table are {', '.join(columns)}, those of the frame {', '.join(given)}")
        if type(df).__name__ == "RecordBatchReader":
            raise TypeError("upsert: the rows of the frame are read several times; a RecordBatchReader gives them once")
        return self._merge(_target(self._identifier, branch), df, keys, columns, when_matched_update_all, when_not_matched_insert_all)

    def _merge(self, target: str, df: object, keys: list[str], columns: list[str], update: bool, insert: bool) -> UpsertResult:
        """In a transaction."""
        on = " and ".join(f"t.{quote(k)} = f.{quote(k)}" for k in keys)
        named, source = ", ".join(map(quote, keys)), f"(select *, true as hit_of_python from {_FRAME})"
        twice = self._run(f"select 1 from {_FRAME} group by {named} having count(*) > 1 limit 1", df).fetchall()
        if twice:
            raise ValueError("Duplicate rows found in source dataset based on the key columns. No upsert executed")
        changed = " or ".join(f"t.{quote(c)} is distinct from f.{quote(c)}" for c in columns if c not in keys) or "false"
        mine = f"(select *, true as hit_of_python from {target})"
        new = f"from {_FRAME} f left join {mine} t on {on} where t.hit_of_python is null"
        updated = self._run(f"select count(*) from {target} t join {_FRAME} f on {on} where {changed}", df).fetchall()[0][0] if update else 0
        inserted = self._run(f"select count(*) {new}", df).fetchall()[0][0] if insert else 0
        of_t, of_f = (", ".join(f"{x}.{quote(c)}" for c in columns) for x in "tf")
        if updated:
            self._need_rewrite()
            text = f"insert overwrite {target} by name select {of_t} from {target} t left join {source} f on {on} where f.hit_of_python is null"
            if insert:
                text += f" union all select {', '.join(map(quote, columns))} from {_FRAME}"
            else:
                text += f" union all select {of_f} from {_FRAME} f join (select distinct {named} from {target}) t on {on}"
            self._run(text, df)
        elif inserted:
            self._run(f"insert into {target} by name select {of_f} {new}", df)
        return UpsertResult(updated, inserted)

    def add_files(
        self,
        file_paths: list[str],
        snapshot_properties: Mapping[str, str] = {},
        check_duplicate_files: bool = True,
        branch: str | None = "main",
    ) -> None:
        """Takes files as they are into a table: not supported yet. ``Lake.load`` copies them."""
        raise NotImplementedError("add_files isn't supported yet; lake.load(files, table) copies the rows of files into a table")

    def dynamic_partition_overwrite(self, df: Any, snapshot_properties: Mapping[str, str] = {}, branch: str | None = "main") -> None:
        """Replaces the partitions that a frame has rows of: not supported yet."""
        raise NotImplementedError("dynamic_partition_overwrite isn't supported yet")

    # ---- layout ----

    def update_schema(self, allow_incompatible_changes: bool = False, case_sensitive: bool = True) -> UpdateSchema:
        """Changes of the columns, as one commit.

        >>> from frazil.catalog import load_catalog
        >>> from frazil.types import StringType
        >>> c = load_catalog("lake/")
        >>> t = c.create_table("default.evolves", c.lake.sql("select 1 as a"))
        >>> with t.update_schema() as update:
        ...     _ = update.add_column("b", StringType(), doc="a text").rename_column("a", "c")
        >>> t.schema().column_names
        ['c', 'b']
        """
        if allow_incompatible_changes:
            raise NotImplementedError("incompatible changes of columns aren't supported")
        from .update import UpdateSchema

        return UpdateSchema(self)

    def update_spec(self, case_sensitive: bool = True) -> UpdateSpec:
        """Changes of the partition spec, as one commit.

        >>> from frazil.catalog import load_catalog
        >>> c = load_catalog("lake/")
        >>> t = c.create_table("default.parts", c.lake.sql("select 1 as a"))
        >>> with t.update_spec() as update:
        ...     _ = update.add_field("a", "bucket[4]", "a_bucket")
        >>> print(t.spec())
        [
          1000: a_bucket: bucket[4](1)
        ]
        """
        from .update import UpdateSpec

        return UpdateSpec(self)

    def update_sort_order(self, case_sensitive: bool = True) -> UpdateSortOrder:
        """A new sort order, as one commit.

        >>> from frazil.catalog import load_catalog
        >>> from frazil.transforms import IdentityTransform
        >>> c = load_catalog("lake/")
        >>> t = c.create_table("default.sorted", c.lake.sql("select 1 as a"))
        >>> with t.update_sort_order() as update:
        ...     _ = update.desc("a", IdentityTransform())
        >>> print(t.sort_order())
        [
          1 DESC NULLS LAST
        ]
        """
        from .update import UpdateSortOrder

        return UpdateSortOrder(self)

    def _set_properties(self, properties: Mapping[str, Any], more: Mapping[str, Any]) -> None:
        from ..catalog import _texts
        from ..value import text

        if properties and more:
            raise ValueError("Cannot pass both properties and kwargs")
        pairs = ", ".join(f"{text(k)} = {text(v)}" for k, v in _texts(properties or more).items())
        if pairs:
            self._alter([f"set tblproperties ({pairs})"])

    def _remove_properties(self, names: Iterable[str]) -> None:
        from ..value import text

        self._alter([f"unset tblproperties if exists ({', '.join(text(n) for n in names)})"])


class Table(_Changes):
    """A table, in one of its states.

    >>> from frazil.catalog import load_catalog
    >>> import frazil
    >>> _ = frazil.connect("lake/").sql("create or replace table trade as select 1 as a, 'x' as b")
    >>> t = load_catalog("lake/").load_table("default.trade")
    >>> t.name()
    ('default', 'trade')
    >>> print(t.schema())
    table {
      1: a: optional int
      2: b: optional string
    }
    >>> t.current_snapshot().summary["added-records"]
    '1'
    """

    def __init__(self, identifier: Identifier, answer: Any, catalog: Catalog) -> None:
        self._identifier = identifier
        self.catalog = catalog
        self._load(answer)

    def _load(self, answer: Any) -> None:
        self.metadata = TableMetadata(answer["metadata"])
        #: Where the metadata file is.
        self.metadata_location: str = answer["metadata-location"]
        self.config: dict[str, str] = answer.get("config") or {}

    # ---- what it is ----

    def name(self) -> Identifier:
        """Namespace and name."""
        return self._identifier

    def schema(self) -> Schema:
        """The current schema."""
        return self.metadata.schema()

    def schemas(self) -> dict[int, Schema]:
        return {s.schema_id: s for s in self.metadata.schemas}

    def spec(self) -> PartitionSpec:
        """The current partition spec."""
        return self.metadata.spec()

    def specs(self) -> dict[int, PartitionSpec]:
        return self.metadata.specs()

    def sort_order(self) -> SortOrder:
        """The current sort order."""
        return self.metadata.sort_order()

    def sort_orders(self) -> dict[int, SortOrder]:
        return {o.order_id: o for o in self.metadata.sort_orders}

    def last_partition_id(self) -> int:
        return 999 if self.metadata.last_partition_id is None else self.metadata.last_partition_id

    @property
    def properties(self) -> dict[str, str]:
        """The table's properties."""
        return self.metadata.properties

    @property
    def format_version(self) -> int:
        return self.metadata.format_version

    def location(self) -> str:
        """Its folder."""
        return self.metadata.location

    @property
    def last_sequence_number(self) -> int:
        return self.metadata.last_sequence_number

    def current_snapshot(self) -> Snapshot | None:
        """The current snapshot; None for a table without rows ever."""
        return self.metadata.current_snapshot()

    def snapshots(self) -> list[Snapshot]:
        """All snapshots."""
        return self.metadata.snapshots

    def snapshot_by_id(self, snapshot_id: int) -> Snapshot | None:
        return self.metadata.snapshot_by_id(snapshot_id)

    def snapshot_by_name(self, name: str) -> Snapshot | None:
        return self.metadata.snapshot_by_name(name)

    def snapshot_as_of_timestamp(self, timestamp_ms: int, inclusive: bool = True) -> Snapshot | None:
        """The snapshot that was the current one at a time."""
        for e in reversed(self.history()):
            if e.timestamp_ms < timestamp_ms or (inclusive and e.timestamp_ms == timestamp_ms):
                return self.snapshot_by_id(e.snapshot_id)
        return None

    def history(self) -> list[SnapshotLogEntry]:
        """When each snapshot became the current one."""
        return self.metadata.snapshot_log

    def refs(self) -> dict[str, SnapshotRef]:
        """Branches and tags."""
        return self.metadata.refs

    def refresh(self) -> Table:
        """Loads the newest state."""
        self._load(self.catalog.load_table(self._identifier)._answer())
        return self

    def _answer(self) -> Any:
        return {"metadata": self.metadata.json, "metadata-location": self.metadata_location, "config": self.config}

    @property
    def inspect(self) -> InspectTable:
        """The metadata as tables.

        >>> from frazil.catalog import load_catalog
        >>> c = load_catalog("lake/")
        >>> _ = c.lake.sql("create or replace table looked_at as select 1 as a")
        >>> c.load_table("default.looked_at").inspect.files().column("record_count").to_pylist()
        [1]
        """
        from .inspect import InspectTable

        return InspectTable(self)

    # ---- changes ----

    def _run(self, text: str, frame: object = None) -> Relation:
        return self.catalog._sql(text, {} if frame is None else {_FRAME: frame})

    def _changed(self) -> None:
        self.refresh()

    def _rewrite(self, target: str, kept: str, frame: object, needed: str | None) -> None:
        tx = Transaction(self)
        with tx:
            tx._rewrite(target, kept, frame, needed)

    def _merge(self, target: str, df: object, keys: list[str], columns: list[str], update: bool, insert: bool) -> UpsertResult:
        tx = Transaction(self)
        with tx:
            return tx._merge(target, df, keys, columns, update, insert)

    def transaction(self) -> Transaction:
        """Several changes as one commit.

        >>> from frazil.catalog import load_catalog
        >>> c = load_catalog("lake/")
        >>> t = c.create_table("default.several", c.lake.sql("select 1 as a"))
        >>> with t.transaction() as tx:
        ...     tx.append({"a": [1]})
        ...     _ = tx.set_properties(owner="me")
        >>> t.scan().count(), t.properties["owner"]
        (1, 'me')
        """
        return Transaction(self)

    def manage_snapshots(self) -> ManageSnapshots:
        """Branches and tags.

        >>> from frazil.catalog import load_catalog
        >>> c = load_catalog("lake/")
        >>> _ = c.lake.sql("create or replace table tagged as select 1 as a")
        >>> t = c.load_table("default.tagged")
        >>> t.manage_snapshots().create_tag(t.current_snapshot().snapshot_id, "first").commit()
        >>> sorted(t.refs())
        ['first', 'main']
        """
        from .update import ManageSnapshots

        return ManageSnapshots(self)

    def update_statistics(self) -> Any:
        """Statistics files: not supported."""
        raise NotImplementedError("update_statistics isn't supported")

    # ---- reading ----

    def scan(
        self,
        row_filter: Any = ALWAYS_TRUE,
        selected_fields: tuple[str, ...] = ("*",),
        case_sensitive: bool = True,
        snapshot_id: int | None = None,
        options: Mapping[str, str] = {},
        limit: int | None = None,
    ) -> DataScan:
        """A reading of rows: which, of which columns, of which snapshot, and how many at most. ``row_filter`` is an expression (of
        :mod:`frazil.expressions` or of PyIceberg) or a text: PyIceberg's grammar, or any condition of SQL.

        >>> from frazil.catalog import load_catalog
        >>> c = load_catalog("lake/")
        >>> _ = c.lake.sql("create or replace table scanned as select * from (values (1, 'x'), (2, 'y')) as t(a, b)")
        >>> c.load_table("default.scanned").scan("a > 1", selected_fields=("b",)).to_rows()
        [('y',)]
        """
        return DataScan(self, as_expression(row_filter), tuple(selected_fields), case_sensitive, snapshot_id, limit)

    def to_polars(self) -> polars.LazyFrame:
        """A lazy Polars frame; the columns it needs, conditions and limits are pushed down. Needs no PyIceberg.

        >>> from frazil.catalog import load_catalog
        >>> c = load_catalog("lake/")
        >>> _ = c.lake.sql("create or replace table lazy as select * from (values (1, 'x'), (2, 'y')) as t(a, b)")
        >>> import polars as pl
        >>> c.load_table("default.lazy").to_polars().filter(pl.col("a") > 1).select("b").collect().rows()
        [('y',)]
        """
        from .lazy import lazy_frame

        return lazy_frame(self)

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self.scan().relation().__arrow_c_stream__(requested_schema)

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Table)
            and self._identifier == other._identifier
            and self.metadata_location == other.metadata_location
            and self.metadata == other.metadata
        )

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        columns = ",\n  ".join(str(f) for f in self.schema().fields)
        names = [self.schema().find_column_name(f.source_id) for f in self.spec().fields]
        by = ", ".join(f.name if str(f.transform) == "identity" else f"{f.transform}({n})" for f, n in zip(self.spec().fields, names))
        return f"{self._identifier[-1]}(\n  {columns}\n),\npartition by: [{by}],\nsort order: {self.sort_order()},\nsnapshot: {self.current_snapshot()}"


class Transaction(_Changes):
    """Several changes of a table as one commit, at the end of ``with`` or by ``commit_transaction()``. Others see nothing before; a change
    sees those before it. An exception in ``with`` undoes all."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._identifier = table._identifier
        self.metadata = table.metadata
        self._altered = False
        with translating():
            self._session: Any = table.catalog.lake._new_session()
            self._session.execute("begin")

    @property
    def table_metadata(self) -> TableMetadata:
        """The metadata that the transaction began with."""
        return self.metadata

    def _run(self, text: str, frame: object = None) -> Any:
        if self._session is None:
            raise ValueError("the transaction is over")
        with translating():
            return _Rows(self._session.execute(text, None, lambda name: frame if name == _FRAME else None))

    def _alter(self, actions: list[str]) -> None:
        super()._alter(actions)
        self._altered = self._altered or bool(actions)

    def _need_rewrite(self) -> None:
        if self._altered:
            raise NotImplementedError("single rows can't be deleted or replaced after the table's layout was changed in the same transaction")
        super()._need_rewrite()

    def set_properties(self, properties: Mapping[str, Any] = {}, **kwargs: Any) -> Transaction:
        """Sets properties of the table."""
        self._set_properties(properties, kwargs)
        return self

    def remove_properties(self, *removals: str) -> Transaction:
        """Removes properties of the table."""
        self._remove_properties(removals)
        return self

    def update_location(self, location: str) -> Transaction:
        """Moves where new files go."""
        from ..value import text

        self._alter([f"set location {text(location)}"])
        return self

    def upgrade_table_version(self, format_version: int) -> Transaction:
        """Upgrades the table to a newer format."""
        if format_version < self.metadata.format_version:
            raise ValueError(f"Cannot downgrade v{self.metadata.format_version} table to v{format_version}")
        if format_version > self.metadata.format_version:
            self._alter([f"set tblproperties ('format-version' = '{int(format_version)}')"])
        return self

    def update_snapshot(self, *args: Any, **kwargs: Any) -> Any:
        """Single data files in a commit: not supported."""
        raise NotImplementedError("update_snapshot isn't supported")

    def commit_transaction(self) -> Table:
        """Commits; the table is then the new state."""
        self._end("commit")
        return self._table.refresh()

    def _end(self, word: str) -> None:
        s, self._session = self._session, None
        if s is None:
            raise ValueError("the transaction is over")
        with translating():
            s.execute(word)

    def __enter__(self) -> Transaction:
        return self

    def __exit__(self, kind: object, e: object, trace: object) -> None:
        if self._session is None:
            return
        if kind is None:
            self.commit_transaction()
        else:
            self._end("rollback")


class _Rows:
    """A result of a transaction's own session."""

    def __init__(self, result: Any) -> None:
        self._result = result

    def fetchall(self) -> list[tuple[Any, ...]]:
        rows: list[tuple[Any, ...]] = self._result.fetch(-1)
        return rows


class FileScanTask(Value):
    """A data file that a scan reads, and the condition that remains for its rows."""

    _parts = ("file", "delete_files", "residual")
    file: DataFile
    delete_files: frozenset[DataFile]
    residual: BooleanExpression

    def __init__(self, file: DataFile, delete_files: Iterable[DataFile], residual: BooleanExpression) -> None:
        self._set(file=file, delete_files=frozenset(delete_files), residual=residual)


class DataFile(Value):
    """A file of a table: the columns of its row in the metadata table ``files``."""

    def __init__(self, row: Mapping[str, Any]) -> None:
        self._set(**row)

    def _key(self) -> tuple[Any, ...]:
        return (self.__dict__["file_path"], self.__dict__.get("content_offset"))

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"a data file has no {name}")

    def __repr__(self) -> str:
        return f"DataFile(file_path={self.__dict__['file_path']!r}, record_count={self.__dict__['record_count']})"


class DataScan:
    """A reading of rows, made by :meth:`Table.scan`; nothing is read before one of the ``to_...`` methods."""

    def __init__(
        self,
        table: Table,
        row_filter: BooleanExpression,
        selected_fields: tuple[str, ...],
        case_sensitive: bool,
        snapshot_id: int | None,
        limit: int | None,
    ) -> None:
        self.table = table
        self.row_filter = row_filter
        self.selected_fields = selected_fields
        self.case_sensitive = case_sensitive
        self.snapshot_id = snapshot_id
        self.limit = limit
        self.catalog = table.catalog
        self.table_metadata = table.metadata
        self._identifier = table._identifier
        if limit is not None and limit < 0:
            raise ValueError(f"limit: {limit} is negative")

    # ---- other scans ----

    def update(self, **overrides: Any) -> DataScan:
        """The same with other arguments."""
        parts = {
            "table": self.table, "row_filter": self.row_filter, "selected_fields": self.selected_fields, "case_sensitive": self.case_sensitive,
            "snapshot_id": self.snapshot_id, "limit": self.limit, **overrides,
        }  # fmt: skip
        other = DataScan(**parts)
        other.table_metadata = self.table_metadata
        return other

    def filter(self, expr: Any) -> DataScan:
        """A further condition."""
        more = as_expression(expr)
        return self.update(row_filter=more if isinstance(self.row_filter, AlwaysTrue) else And(self.row_filter, more))

    def select(self, *field_names: str) -> DataScan:
        """Only these columns, of those that are selected."""
        if "*" in self.selected_fields:
            return self.update(selected_fields=field_names)
        return self.update(selected_fields=tuple(f for f in self.selected_fields if f in field_names))

    def use_ref(self, name: str) -> DataScan:
        """What a branch or tag refers to."""
        if self.snapshot_id is not None:
            raise ValueError(f"Cannot override ref, already set snapshot id={self.snapshot_id}")
        snapshot = self.table_metadata.snapshot_by_name(name)
        if snapshot is None:
            raise ValueError(f"Cannot scan unknown ref={name}")
        return self.update(snapshot_id=snapshot.snapshot_id)

    def with_case_sensitive(self, case_sensitive: bool = True) -> DataScan:
        return self.update(case_sensitive=case_sensitive)

    # ---- what it is ----

    def snapshot(self) -> Snapshot | None:
        """The snapshot that is read."""
        if self.snapshot_id is not None:
            return self.table_metadata.snapshot_by_id(self.snapshot_id)
        return self.table_metadata.current_snapshot()

    def _schema(self) -> Schema:
        """The schema that rows are read with: of now, or of the snapshot that was asked for."""
        if self.snapshot_id is None:
            return self.table_metadata.schema()
        snapshot = self.snapshot()
        if snapshot is None:
            raise ValueError(f"Snapshot not found: {self.snapshot_id}")
        schema = None if snapshot.schema_id is None else self.table_metadata.schema_by_id(snapshot.schema_id)
        return schema or self.table_metadata.schema()

    def projection(self) -> Schema:
        """The columns that are read."""
        return self._schema().select(*self.selected_fields, case_sensitive=self.case_sensitive)

    def _source(self) -> str:
        """What stands behind FROM: the state of the table that this object is, whatever was committed since."""
        name = _target(self._identifier, None)
        snapshot = self.snapshot()
        if snapshot is None or (self.snapshot_id is None and snapshot.schema_id != self.table_metadata.current_schema_id):
            return name  # columns were changed since: these are read by the table's own
        return f"{name} version as of {snapshot.snapshot_id}"

    def _where(self) -> str:
        conditions = []
        if not isinstance(self.row_filter, AlwaysTrue):
            conditions.append(to_sql(self.row_filter, self._schema()))
        if self.snapshot() is None:
            conditions.append("false")  # rows that were added since aren't of this state
        return f" where {' and '.join(conditions)}" if conditions else ""

    def sql(self) -> str:
        """The query.

        >>> from frazil.catalog import load_catalog
        >>> c = load_catalog("lake/")
        >>> c.create_namespace_if_not_exists("default")
        >>> _ = c.create_table("default.asked", c.lake.sql("select 1 as a"))
        >>> c.load_table("default.asked").scan("a = 1", limit=3).sql()
        'select "a" from "default"."asked" where "a" = 1 and false limit 3'
        """
        columns = ", ".join(quote(f.name) for f in self.projection().fields)
        limit = "" if self.limit is None else f" limit {self.limit}"
        return f"select {columns} from {self._source()}{self._where()}{limit}"

    # ---- rows ----

    def relation(self) -> Relation:
        """The rows as a relation of frazil."""
        return self.catalog._sql(self.sql())

    def to_rows(self) -> list[tuple[Any, ...]]:
        """The rows as tuples."""
        return self.relation().fetchall()

    def to_arrow(self, dictionary_columns: tuple[str, ...] = ()) -> pyarrow.Table:
        """The rows as a PyArrow table."""
        if dictionary_columns:
            raise NotImplementedError("dictionary_columns aren't supported")
        with translating():
            return self.relation().arrow()

    def to_arrow_batch_reader(self, dictionary_columns: tuple[str, ...] = ()) -> pyarrow.RecordBatchReader:
        """The rows as a PyArrow reader, in bounded memory."""
        if dictionary_columns:
            raise NotImplementedError("dictionary_columns aren't supported")
        with translating():
            return self.relation().reader()

    def to_pandas(self, **kwargs: Any) -> pandas.DataFrame:
        """The rows as a pandas frame; arguments are those of PyArrow's ``to_pandas``."""
        if kwargs:
            return self.to_arrow().to_pandas(**kwargs)
        return self.relation().df()

    def to_polars(self) -> polars.DataFrame:
        """The rows as a Polars frame."""
        with translating():
            return self.relation().pl()

    def to_duckdb(self, table_name: str, connection: Any = None) -> Any:
        """The rows as a table of a DuckDB connection."""
        import duckdb

        con = connection or duckdb.connect(database=":memory:")
        con.register(table_name, self.to_arrow())
        return con

    def to_ray(self) -> Any:
        """Ray: not supported."""
        raise NotImplementedError("to_ray isn't supported; ray.data.from_arrow(scan.to_arrow()) does it")

    def count(self) -> int:
        """How many rows there are."""
        inner = f"select 1 as n from {self._source()}{self._where()}" + ("" if self.limit is None else f" limit {self.limit}")
        row = self.catalog._sql(f"select count(*) from ({inner}) as r").fetchone()
        assert row is not None
        n: int = row[0]
        return n

    def plan_files(self) -> list[FileScanTask]:
        """The data files of the snapshot, each with the whole condition to apply. (Files that hold no such row are among them.)"""
        snapshot = self.snapshot()
        if snapshot is None:
            return []
        name = f"{_target(self._identifier, None)}.files version as of {snapshot.snapshot_id}"
        files = [DataFile(row) for row in self.catalog._sql(f"select * from {name}").dicts()]
        if any(f.content for f in files):
            raise NotImplementedError("plan_files of a table with delete files isn't supported yet")
        return [FileScanTask(f, (), self.row_filter) for f in files]

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self.relation().__arrow_c_stream__(requested_schema)


def _no_properties(properties: Mapping[str, str]) -> None:
    if properties:
        raise NotImplementedError("snapshot_properties aren't supported yet")


def _frame(df: Any) -> Any:
    if df is None or isinstance(df, (str, bytes, int)):
        raise TypeError(f"Expected something that speaks Arrow (__arrow_c_stream__), a list of dicts or a dict of lists, got: {df!r}")
    return df


def _names(frame: Any) -> list[str]:
    """The names of a frame's columns."""
    from .. import _frazil

    if isinstance(frame, dict):
        return list(frame)
    if hasattr(frame, "__arrow_c_schema__"):
        return [f[0] for f in _frazil.schema_tree(frame.__arrow_c_schema__())[4]]
    names = getattr(frame, "column_names", None) or getattr(frame, "columns", None)
    if names is not None:
        return [str(n) for n in names]
    seen: dict[str, None] = {}
    for row in frame:
        seen.update(dict.fromkeys(row))
    return list(seen)


