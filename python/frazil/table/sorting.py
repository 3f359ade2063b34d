"""Sort orders.

>>> from frazil.table.sorting import SortField, SortOrder
>>> print(SortOrder(SortField(1)))
[
  1 ASC NULLS FIRST
]
"""

from __future__ import annotations

from enum import Enum

from ..transforms import IdentityTransform, Transform, parse_transform
from ..value import Value, foreign_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class SortDirection(Enum):
    """Up or down."""

    ASC = "asc"
    DESC = "desc"

    def __str__(self) -> str:
        return self.name


class NullOrder(Enum):
    """Where nulls come."""

    NULLS_FIRST = "nulls-first"
    NULLS_LAST = "nulls-last"

    def __str__(self) -> str:
        return self.name.replace("_", " ")


class SortField(Value):
    """One field of an order. Nulls come first when it goes up, last when down, if nothing else is said."""

    _parts = ("source_id", "transform", "direction", "null_order")
    source_id: int
    transform: Transform
    direction: SortDirection
    null_order: NullOrder

    def __init__(
        self,
        source_id: int,
        transform: Transform | str | None = None,
        direction: SortDirection | None = None,
        null_order: NullOrder | None = None,
    ) -> None:
        way = direction or SortDirection.ASC
        nulls = NullOrder.NULLS_FIRST if way is SortDirection.ASC else NullOrder.NULLS_LAST
        self._set(
            source_id=source_id,
            transform=parse_transform(transform) if transform else IdentityTransform(),
            direction=way,
            null_order=null_order or nulls,
        )

    def __str__(self) -> str:
        what = self.source_id if isinstance(self.transform, IdentityTransform) else f"{self.transform}({self.source_id})"
        return f"{what} {self.direction} {self.null_order}"

    def __repr__(self) -> str:
        return (
            f"SortField(source_id={self.source_id}, transform={self.transform!r}, direction=SortDirection.{self.direction.name}, "
            f"null_order=NullOrder.{self.null_order.name})"
        )


class SortOrder(Value):
    """How rows are sorted within each file."""

    _parts = ("fields", "order_id")
    fields: list[SortField]
    order_id: int

    def __init__(self, *fields: SortField, order_id: int = 1) -> None:
        self._set(fields=list(fields), order_id=order_id)

    @property
    def is_unsorted(self) -> bool:
        return not self.fields

    def __str__(self) -> str:
        return "[" + "".join(f"\n  {f}" for f in self.fields) + ("\n]" if self.fields else "]")

    def __repr__(self) -> str:
        return f"SortOrder({''.join(f'{f!r}, ' for f in self.fields)}order_id={self.order_id})"


UNSORTED_SORT_ORDER = SortOrder(order_id=0)


def order_from_json(j: Any) -> SortOrder:
    """An order from the specification's JSON."""
    return SortOrder(
        *(SortField(f["source-id"], f["transform"], SortDirection(f["direction"]), NullOrder(f["null-order"])) for f in j["fields"]),
        order_id=j["order-id"],
    )


def order_to_json(o: SortOrder) -> dict[str, Any]:
    """An order as the specification's JSON."""
    return {
        "order-id": o.order_id,
        "fields": [
            {"source-id": f.source_id, "transform": str(f.transform), "direction": f.direction.value, "null-order": f.null_order.value}
            for f in o.fields
        ],
    }


def as_order(o: Any) -> SortOrder:
    """An order of this library or of PyIceberg."""
    j = None if isinstance(o, SortOrder) else foreign_json(o)
    if isinstance(o, SortOrder):
        return o
    if j is None:
        raise TypeError(f"sort_order: a SortOrder is expected, not a {type(o).__name__}")
    return order_from_json(j)
