"""Snapshots, and what refers to them.

>>> from frazil.table.snapshots import Summary
>>> Summary("append", {"added-records": "3"})["added-records"]
'3'
"""

from __future__ import annotations

from enum import Enum

from ..value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any


class Operation(Enum):
    """What made a snapshot."""

    APPEND = "append"
    REPLACE = "replace"
    OVERWRITE = "overwrite"
    DELETE = "delete"

    def __repr__(self) -> str:
        return f"Operation.{self.name}"


class Summary(Value):
    """A snapshot's summary: its operation, and texts by their names."""

    _parts = ("operation", "additional_properties")
    operation: Operation
    additional_properties: dict[str, str]

    def __init__(self, operation: Operation | str, properties: dict[str, str]) -> None:
        self._set(operation=Operation(operation), additional_properties=dict(properties))

    def __getitem__(self, key: str) -> Any:
        return self.operation if key == "operation" else self.additional_properties.get(key)

    def get(self, key: str, default: Any = None) -> Any:
        return self.operation if key == "operation" else self.additional_properties.get(key, default)

    def __contains__(self, key: object) -> bool:
        return key == "operation" or key in self.additional_properties

    def __iter__(self) -> Iterator[str]:
        yield "operation"
        yield from self.additional_properties

    def __len__(self) -> int:
        return 1 + len(self.additional_properties)

    def keys(self) -> list[str]:
        return list(self)

    def __repr__(self) -> str:
        rest = "".join(f", **{self.additional_properties!r}" for _ in [0] if self.additional_properties)
        return f"Summary({self.operation!r}{rest})"


class Snapshot(Value):
    """A state of a table's rows."""

    _parts = (
        "snapshot_id", "parent_snapshot_id", "sequence_number", "timestamp_ms", "manifest_list", "summary", "schema_id", "first_row_id",
        "added_rows",
    )  # fmt: skip
    snapshot_id: int
    parent_snapshot_id: int | None
    sequence_number: int | None
    timestamp_ms: int
    manifest_list: str
    summary: Summary | None
    schema_id: int | None
    first_row_id: int | None
    added_rows: int | None

    def __init__(self, j: dict[str, Any]) -> None:
        summary = dict(j.get("summary") or {})
        operation = summary.pop("operation", None)
        self._set(
            snapshot_id=j["snapshot-id"],
            parent_snapshot_id=j.get("parent-snapshot-id"),
            sequence_number=j.get("sequence-number", 0),
            timestamp_ms=j["timestamp-ms"],
            manifest_list=j.get("manifest-list", ""),
            summary=Summary(operation or "overwrite", summary) if operation or summary else None,
            schema_id=j.get("schema-id"),
            first_row_id=j.get("first-row-id"),
            added_rows=j.get("added-rows"),
        )

    def __str__(self) -> str:
        operation = f"{self.summary.operation.value}: " if self.summary else ""
        parent = f", parent_id={self.parent_snapshot_id}" if self.parent_snapshot_id else ""
        schema = f", schema_id={self.schema_id}" if self.schema_id is not None else ""
        return f"{operation}id={self.snapshot_id}{parent}{schema}"


class SnapshotLogEntry(Value):
    """When a snapshot became the current one."""

    _parts = ("snapshot_id", "timestamp_ms")
    snapshot_id: int
    timestamp_ms: int

    def __init__(self, snapshot_id: int, timestamp_ms: int) -> None:
        self._set(snapshot_id=snapshot_id, timestamp_ms=timestamp_ms)


class MetadataLogEntry(Value):
    """An earlier metadata file."""

    _parts = ("metadata_file", "timestamp_ms")
    metadata_file: str
    timestamp_ms: int

    def __init__(self, metadata_file: str, timestamp_ms: int) -> None:
        self._set(metadata_file=metadata_file, timestamp_ms=timestamp_ms)


class SnapshotRefType(Enum):
    """Branch or tag."""

    BRANCH = "branch"
    TAG = "tag"


class SnapshotRef(Value):
    """A branch or a tag."""

    _parts = ("snapshot_id", "snapshot_ref_type", "min_snapshots_to_keep", "max_snapshot_age_ms", "max_ref_age_ms")
    snapshot_id: int
    snapshot_ref_type: SnapshotRefType
    min_snapshots_to_keep: int | None
    max_snapshot_age_ms: int | None
    max_ref_age_ms: int | None

    def __init__(self, j: dict[str, Any]) -> None:
        self._set(
            snapshot_id=j["snapshot-id"],
            snapshot_ref_type=SnapshotRefType(j["type"]),
            min_snapshots_to_keep=j.get("min-snapshots-to-keep"),
            max_snapshot_age_ms=j.get("max-snapshot-age-ms"),
            max_ref_age_ms=j.get("max-ref-age-ms"),
        )
