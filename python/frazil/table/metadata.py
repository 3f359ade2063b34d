"""A table's metadata, as its metadata file says it."""

from __future__ import annotations

import json

from ..partitioning import PartitionSpec, spec_from_json
from ..schema import Schema, schema_from_json
from .snapshots import MetadataLogEntry, Snapshot, SnapshotLogEntry, SnapshotRef
from .sorting import SortOrder, order_from_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class TableMetadata:
    """The metadata of one version of a table. What isn't read here is in ``json``, by the specification's names.

    >>> from frazil.catalog import load_catalog
    >>> import frazil
    >>> _ = frazil.connect("lake/").sql("create or replace table m (a int)")
    >>> load_catalog("lake/").load_table("default.m").metadata.format_version
    2
    """

    def __init__(self, j: dict[str, Any]) -> None:
        self.json = j
        self.format_version: int = j["format-version"]
        self.table_uuid: str = j["table-uuid"]
        self.location: str = j["location"]
        self.last_updated_ms: int = j["last-updated-ms"]
        self.last_column_id: int = j["last-column-id"]
        self.last_sequence_number: int = j.get("last-sequence-number", 0)
        self.last_partition_id: int | None = j.get("last-partition-id")
        self.schemas: list[Schema] = [schema_from_json(s) for s in j["schemas"]]
        self.current_schema_id: int = j["current-schema-id"]
        self.partition_specs: list[PartitionSpec] = [spec_from_json(s) for s in j["partition-specs"]]
        self.default_spec_id: int = j["default-spec-id"]
        self.sort_orders: list[SortOrder] = [order_from_json(s) for s in j["sort-orders"]]
        self.default_sort_order_id: int = j["default-sort-order-id"]
        self.properties: dict[str, str] = j.get("properties") or {}
        current = j.get("current-snapshot-id")
        self.current_snapshot_id: int | None = None if current == -1 else current
        self.snapshots: list[Snapshot] = [Snapshot(s) for s in j.get("snapshots") or ()]
        self.snapshot_log = [SnapshotLogEntry(e["snapshot-id"], e["timestamp-ms"]) for e in j.get("snapshot-log") or ()]
        self.metadata_log = [MetadataLogEntry(e["metadata-file"], e["timestamp-ms"]) for e in j.get("metadata-log") or ()]
        self.refs: dict[str, SnapshotRef] = {name: SnapshotRef(r) for name, r in (j.get("refs") or {}).items()}
        self.next_row_id: int | None = j.get("next-row-id")

    def schema(self) -> Schema:
        """The current schema."""
        return next(s for s in self.schemas if s.schema_id == self.current_schema_id)

    def schema_by_id(self, schema_id: int) -> Schema | None:
        return next((s for s in self.schemas if s.schema_id == schema_id), None)

    def spec(self) -> PartitionSpec:
        """The current partition spec."""
        return next(s for s in self.partition_specs if s.spec_id == self.default_spec_id)

    def specs(self) -> dict[int, PartitionSpec]:
        return {s.spec_id: s for s in self.partition_specs}

    def sort_order(self) -> SortOrder:
        """The current sort order."""
        return next((s for s in self.sort_orders if s.order_id == self.default_sort_order_id), SortOrder(order_id=0))

    def snapshot_by_id(self, snapshot_id: int) -> Snapshot | None:
        return next((s for s in self.snapshots if s.snapshot_id == snapshot_id), None)

    def snapshot_by_name(self, name: str) -> Snapshot | None:
        ref = self.refs.get(name)
        return self.snapshot_by_id(ref.snapshot_id) if ref else None

    def current_snapshot(self) -> Snapshot | None:
        return None if self.current_snapshot_id is None else self.snapshot_by_id(self.current_snapshot_id)

    def model_dump_json(self) -> str:
        """The metadata's JSON."""
        return json.dumps(self.json)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TableMetadata) and self.json == other.json

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"<TableMetadata of {self.location}, format {self.format_version}>"
