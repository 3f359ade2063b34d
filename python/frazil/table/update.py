"""Changes of a table's layout, branches and tags. Each is collected and committed at once, by ``commit()`` or at the end of ``with``."""

from __future__ import annotations

from ..transforms import column_sql, parse_transform, transform_sql
from ..types import IcebergType, ListType, MapType, StructType, as_type, type_to_sql
from ..value import quote, text
from .sorting import NullOrder
from .snapshots import SnapshotRefType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Union

    from ..transforms import Transform
    from . import Table, _Changes

    Path = Union[str, tuple[str, ...]]


class _Update:
    def __init__(self, changes: _Changes) -> None:
        self._changes = changes
        self._actions: list[str] = []

    def commit(self) -> None:
        """Commits what was collected."""
        actions, self._actions = self._actions, []
        self._changes._alter(actions)

    def __enter__(self) -> Any:
        return self

    def __exit__(self, kind: object, e: object, trace: object) -> None:
        if kind is None:
            self.commit()


class UpdateSchema(_Update):
    """Changes of columns. A path is a name with dots, or a tuple of names."""

    def __init__(self, changes: _Changes) -> None:
        super().__init__(changes)
        # The fields of each struct in their order, as the collected changes leave them.
        self._order: dict[tuple[str, ...], list[str]] = {}
        self._note((), changes.metadata.schema().as_struct())

    def _note(self, path: tuple[str, ...], t: IcebergType) -> None:
        if isinstance(t, StructType):
            self._order[path] = [f.name for f in t.fields]
            for f in t.fields:
                self._note((*path, f.name), f.field_type)
        elif isinstance(t, ListType):
            self._note((*path, "element"), t.element_type)
        elif isinstance(t, MapType):
            self._note((*path, "value"), t.value_type)

    def _siblings(self, path: tuple[str, ...]) -> list[str]:
        return self._order.setdefault(self._struct(path[:-1]), [])

    def _struct(self, path: tuple[str, ...]) -> tuple[str, ...]:
        """A path to a list of structs, or a map to them, means the structs."""
        for below in ((), ("element",), ("value",)):
            if (*path, *below) in self._order:
                return (*path, *below)
        return path

    def add_column(
        self, path: Path, field_type: IcebergType | Any, doc: str | None = None, required: bool = False, default_value: Any = None
    ) -> UpdateSchema:
        """Adds a column, or a field to a struct."""
        if default_value is not None:
            raise NotImplementedError("columns with a default value aren't supported")
        parts = _parts(path)
        if required:
            raise ValueError(f"Incompatible change: cannot add required column: {'.'.join(parts)}")
        if parts[-1] in self._siblings(parts):
            raise ValueError(f"Cannot add column, name already exists: {'.'.join(parts)}")
        t = as_type(field_type)
        whole = (*self._struct(parts[:-1]), parts[-1])
        self._actions.append(f"add column {column_sql(whole)} {type_to_sql(t)}" + (f" comment {text(doc)}" if doc else ""))
        self._siblings(parts).append(parts[-1])
        self._note(parts, t)
        return self

    def delete_column(self, path: Path) -> UpdateSchema:
        """Drops a column or field."""
        parts = self._known(path)
        self._actions.append(f"drop column {column_sql(parts)}")
        self._siblings(parts).remove(parts[-1])
        return self

    def rename_column(self, path_from: Path, new_name: str) -> UpdateSchema:
        """Renames a column or field."""
        parts = self._known(path_from)
        self._actions.append(f"rename column {column_sql(parts)} to {quote(new_name)}")
        names = self._siblings(parts)
        names[names.index(parts[-1])] = new_name
        moved = (*parts[:-1], new_name)
        self._order = {(*moved, *k[len(parts) :]) if k[: len(parts)] == parts else k: v for k, v in self._order.items()}
        return self

    def update_column(self, path: Path, field_type: IcebergType | Any = None, required: bool | None = None, doc: str | None = None) -> UpdateSchema:
        """Another type (a wider one), comment, or whether it may be null."""
        parts = self._known(path)
        if field_type is not None:
            self._actions.append(f"alter column {column_sql(parts)} type {type_to_sql(as_type(field_type))}")
        if required is not None:
            self._actions.append(f"alter column {column_sql(parts)} {'set' if required else 'drop'} not null")
        if doc is not None:
            self._actions.append(f"alter column {column_sql(parts)} comment {text(doc)}")
        return self

    def make_column_optional(self, path: Path) -> UpdateSchema:
        """Lets a column be null."""
        return self.update_column(path, required=False)

    def set_identifier_fields(self, *fields: str) -> None:
        """The columns that identify a row."""
        now = self._changes.metadata.schema().identifier_field_names()
        if fields:
            self._actions.append(f"set identifier fields {', '.join(column_sql(f) for f in fields)}")
        elif now:
            self._actions.append(f"drop identifier fields {', '.join(column_sql(f) for f in sorted(now))}")

    def move_first(self, path: Path) -> UpdateSchema:
        """Moves a column before all others."""
        return self._move(self._known(path), 0)

    def move_before(self, path: Path, before_path: Path) -> UpdateSchema:
        """Moves a column before another one of the same struct."""
        parts, other = self._pair(path, before_path)
        return self._move(parts, [n for n in self._siblings(parts) if n != parts[-1]].index(other))

    def move_after(self, path: Path, after_name: Path) -> UpdateSchema:
        """Moves a column after another one of the same struct."""
        parts, other = self._pair(path, after_name)
        return self._move(parts, [n for n in self._siblings(parts) if n != parts[-1]].index(other) + 1)

    def _pair(self, path: Path, other: Path) -> tuple[tuple[str, ...], str]:
        a, b = self._known(path), self._known(other)
        if a[:-1] != b[:-1]:
            raise ValueError(f"Cannot move field {'.'.join(a)} to a different struct")
        if a == b:
            raise ValueError(f"Cannot move {'.'.join(a)} before or after itself")
        return a, b[-1]

    def _move(self, parts: tuple[str, ...], to: int) -> UpdateSchema:
        names = self._siblings(parts)
        names.remove(parts[-1])
        place = f"after {quote(names[to - 1])}" if to else "first"
        names.insert(to, parts[-1])
        self._actions.append(f"alter column {column_sql(parts)} {place}")
        return self

    def _known(self, path: Path) -> tuple[str, ...]:
        parts = _parts(path)
        if parts[-1] not in self._siblings(parts) and parts[-1] not in ("element", "value"):
            raise ValueError(f"Could not find field with name {'.'.join(parts)}, case_sensitive=True")
        return (*self._struct(parts[:-1]), parts[-1]) if parts[-1] in self._siblings(parts) else parts

    def union_by_name(self, new_schema: Any, format_version: int = 2) -> UpdateSchema:
        """Adds the columns and fields of another schema that the table lacks, and widens types."""
        from ..schema import as_schema

        self._union((), self._changes.metadata.schema().as_struct(), as_schema(new_schema).as_struct())
        return self

    def _union(self, path: tuple[str, ...], have: IcebergType, want: IcebergType) -> None:
        if isinstance(have, StructType) and isinstance(want, StructType):
            for f in want.fields:
                mine = have.field_by_name(f.name)
                if mine is None:
                    self.add_column((*path, f.name), f.field_type, f.doc)
                    continue
                self._union((*path, f.name), mine.field_type, f.field_type)
                if mine.required and not f.required:
                    self.update_column((*path, f.name), required=False)
        elif isinstance(have, ListType) and isinstance(want, ListType):
            self._union((*path, "element"), have.element_type, want.element_type)
        elif isinstance(have, MapType) and isinstance(want, MapType):
            self._union((*path, "value"), have.value_type, want.value_type)
        elif str(have) != str(want) and (str(want), str(have)) not in (("int", "long"), ("float", "double")):
            self.update_column(path, want)


def _parts(path: Path) -> tuple[str, ...]:
    parts = tuple(path.split(".")) if isinstance(path, str) else tuple(path)
    if not parts or not all(parts):
        raise ValueError(f"not a column's name: {path!r}")
    return parts


def _field_name(column: str, transform: Transform) -> str:
    """A partition field's name, as PyIceberg makes it."""
    kind, _, argument = str(transform).rstrip("]").partition("[")
    kind = {"truncate": "trunc", "void": "null"}.get(kind, kind)
    return column if kind == "identity" else "_".join(filter(None, (column, kind, argument)))


class UpdateSpec(_Update):
    """Changes of the partition spec."""

    def add_field(self, source_column_name: str, transform: str | Any, partition_field_name: str | None = None) -> UpdateSpec:
        """Partitions by a transform (an object, or its name as ``"bucket[16]"``) of a column too."""
        t = parse_transform(transform)
        name = partition_field_name or _field_name(source_column_name, t)
        self._actions.append(f"add partition field {transform_sql(t, source_column_name)} as {quote(name)}")
        return self

    def add_identity(self, source_column_name: str) -> UpdateSpec:
        """Partitions by a column too."""
        return self.add_field(source_column_name, "identity", None)

    def remove_field(self, name: str) -> UpdateSpec:
        """Partitions no longer by a field."""
        self._actions.append(f"drop partition field {quote(name)}")
        return self

    def rename_field(self, name: str, new_name: str) -> UpdateSpec:
        """Renames a field."""
        self._actions.append(f"rename partition field {quote(name)} to {quote(new_name)}")
        return self


class UpdateSortOrder(_Update):
    """Another sort order, field by field; none: unsorted."""

    def __init__(self, changes: _Changes) -> None:
        super().__init__(changes)
        self._fields: list[str] = []

    def asc(self, source_column_name: str, transform: Transform | Any, null_order: Any = NullOrder.NULLS_LAST) -> UpdateSortOrder:
        """By a transform of a column, upwards."""
        return self._add(source_column_name, transform, "asc", null_order)

    def desc(self, source_column_name: str, transform: Transform | Any, null_order: Any = NullOrder.NULLS_LAST) -> UpdateSortOrder:
        """By a transform of a column, downwards."""
        return self._add(source_column_name, transform, "desc", null_order)

    def _add(self, column: str, transform: Any, way: str, nulls: Any) -> UpdateSortOrder:
        self._fields.append(f"{transform_sql(transform, column)} {way} {nulls.value.replace('-', ' ')}")
        return self

    def commit(self) -> None:
        """Commits the order."""
        self._actions = [f"write ordered by {', '.join(self._fields)}" if self._fields else "write unordered"]
        super().commit()


class ManageSnapshots:
    """Branches and tags, and which snapshot is the current one. Fails with ``CommitFailedException`` where somebody else moved the same
    branch or tag meanwhile."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._updates: list[dict[str, Any]] = []
        self._named: dict[str, None] = {}

    def _set(self, name: str, kind: SnapshotRefType, snapshot_id: int, ages: dict[str, int | None]) -> ManageSnapshots:
        if self._table.metadata.snapshot_by_id(snapshot_id) is None:
            raise ValueError(f"Cannot find snapshot with ID {snapshot_id}")
        given = {k: v for k, v in ages.items() if v is not None}
        self._updates.append({"action": "set-snapshot-ref", "ref-name": name, "type": kind.value, "snapshot-id": snapshot_id, **given})
        self._named[name] = None
        return self

    def create_tag(self, snapshot_id: int, tag_name: str, max_ref_age_ms: int | None = None) -> ManageSnapshots:
        """A name for a snapshot."""
        return self._set(tag_name, SnapshotRefType.TAG, snapshot_id, {"max-ref-age-ms": max_ref_age_ms})

    def create_branch(
        self,
        snapshot_id: int,
        branch_name: str,
        max_ref_age_ms: int | None = None,
        max_snapshot_age_ms: int | None = None,
        min_snapshots_to_keep: int | None = None,
    ) -> ManageSnapshots:
        """A branch that begins with a snapshot."""
        ages = {"max-ref-age-ms": max_ref_age_ms, "max-snapshot-age-ms": max_snapshot_age_ms, "min-snapshots-to-keep": min_snapshots_to_keep}
        return self._set(branch_name, SnapshotRefType.BRANCH, snapshot_id, ages)

    def _remove(self, name: str) -> ManageSnapshots:
        if name not in self._table.metadata.refs:
            raise ValueError(f"the table has no branch or tag {name!r}")
        self._updates.append({"action": "remove-snapshot-ref", "ref-name": name})
        self._named[name] = None
        return self

    def remove_tag(self, tag_name: str) -> ManageSnapshots:
        """Removes a tag."""
        return self._remove(tag_name)

    def remove_branch(self, branch_name: str) -> ManageSnapshots:
        """Removes a branch."""
        return self._remove(branch_name)

    def set_current_snapshot(self, snapshot_id: int | None = None, ref_name: str | None = None) -> ManageSnapshots:
        """Makes a snapshot, or what a branch or tag refers to, the current one."""
        if (snapshot_id is None) == (ref_name is None):
            raise ValueError("Either snapshot_id or ref_name must be provided, not both")
        if ref_name is not None:
            ref = self._table.metadata.refs.get(ref_name)
            if ref is None:
                raise ValueError(f"Cannot find matching snapshot ID for ref: {ref_name}")
            snapshot_id = ref.snapshot_id
        assert snapshot_id is not None
        return self._set("main", SnapshotRefType.BRANCH, snapshot_id, {})

    def rollback_to_snapshot(self, snapshot_id: int) -> ManageSnapshots:
        """Goes back to an ancestor of the current snapshot."""
        md = self._table.metadata
        if md.snapshot_by_id(snapshot_id) is None:
            raise ValueError(f"Cannot roll back to unknown snapshot id: {snapshot_id}")
        at = md.current_snapshot()
        while at is not None and at.snapshot_id != snapshot_id:
            at = None if at.parent_snapshot_id is None else md.snapshot_by_id(at.parent_snapshot_id)
        if at is None:
            raise ValueError(f"Cannot roll back to snapshot, not an ancestor of the current state: {snapshot_id}")
        return self.set_current_snapshot(snapshot_id)

    def rollback_to_timestamp(self, timestamp_ms: int) -> ManageSnapshots:
        """Goes back to the newest ancestor that is older than a time."""
        md = self._table.metadata
        at = md.current_snapshot()
        while at is not None and at.timestamp_ms >= timestamp_ms:
            at = None if at.parent_snapshot_id is None else md.snapshot_by_id(at.parent_snapshot_id)
        if at is None:
            raise ValueError(f"Cannot roll back, no valid snapshot older than: {timestamp_ms}")
        return self.set_current_snapshot(at.snapshot_id)

    def commit(self) -> None:
        """Commits what was collected."""
        from ..catalog import _table_path

        md = self._table.metadata
        requirements: list[dict[str, Any]] = [{"type": "assert-table-uuid", "uuid": md.table_uuid}]
        for name in self._named:
            ref = md.refs.get(name)
            requirements.append({"type": "assert-ref-snapshot-id", "ref": name, "snapshot-id": ref.snapshot_id if ref else None})
        updates, self._updates = self._updates, []
        if updates:
            body = {"requirements": requirements, "updates": updates}
            self._table._load(self._table.catalog._request("POST", _table_path(self._table._identifier), body))

    def __enter__(self) -> ManageSnapshots:
        return self

    def __exit__(self, kind: object, e: object, trace: object) -> None:
        if kind is None:
            self.commit()
