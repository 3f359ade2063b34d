"""Partition specs.

>>> from frazil.partitioning import PartitionField, PartitionSpec
>>> from frazil.transforms import MonthTransform
>>> print(PartitionSpec(PartitionField(1, 1000, MonthTransform(), "ts_month")))
[
  1000: ts_month: month(1)
]
"""

from __future__ import annotations

from .transforms import Transform, parse_transform
from .value import Value, foreign_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class PartitionField(Value):
    """One field of a spec."""

    _parts = ("source_id", "field_id", "transform", "name")
    source_id: int
    field_id: int
    transform: Transform
    name: str

    def __init__(self, source_id: int, field_id: int, transform: Transform | str, name: str) -> None:
        self._set(source_id=source_id, field_id=field_id, transform=parse_transform(transform), name=name)

    def __str__(self) -> str:
        return f"{self.field_id}: {self.name}: {self.transform}({self.source_id})"


class PartitionSpec(Value):
    """How a table is partitioned, at one time."""

    _parts = ("fields", "spec_id")
    fields: tuple[PartitionField, ...]
    spec_id: int

    def __init__(self, *fields: PartitionField, spec_id: int = 0) -> None:
        self._set(fields=tuple(fields), spec_id=spec_id)

    def is_unpartitioned(self) -> bool:
        return not self.fields

    def fields_by_source_id(self, field_id: int) -> list[PartitionField]:
        return [f for f in self.fields if f.source_id == field_id]

    def compatible_with(self, other: PartitionSpec) -> bool:
        """Whether the other one makes the same partitions."""
        mine, its = ([(f.source_id, f.transform, f.name) for f in s.fields] for s in (self, other))
        return mine == its

    def __str__(self) -> str:
        return "[" + "".join(f"\n  {f}" for f in self.fields) + ("\n]" if self.fields else "]")

    def __repr__(self) -> str:
        return f"PartitionSpec({''.join(f'{f!r}, ' for f in self.fields)}spec_id={self.spec_id})"


UNPARTITIONED_PARTITION_SPEC = PartitionSpec()


def spec_from_json(j: Any) -> PartitionSpec:
    """A spec from the specification's JSON."""
    return PartitionSpec(
        *(PartitionField(f["source-id"], f.get("field-id", 1000 + i), f["transform"], f["name"]) for i, f in enumerate(j["fields"])),
        spec_id=j.get("spec-id", 0),
    )


def spec_to_json(s: PartitionSpec) -> dict[str, Any]:
    """A spec as the specification's JSON."""
    return {
        "spec-id": s.spec_id,
        "fields": [
            {"source-id": f.source_id, "field-id": f.field_id, "transform": str(f.transform), "name": f.name} for f in s.fields
        ],
    }


def as_spec(o: Any) -> PartitionSpec:
    """A spec of this library or of PyIceberg."""
    j = None if isinstance(o, PartitionSpec) else foreign_json(o)
    if isinstance(o, PartitionSpec):
        return o
    if j is None:
        raise TypeError(f"partition_spec: a PartitionSpec is expected, not a {type(o).__name__}")
    return spec_from_json(j)
