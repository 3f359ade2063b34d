"""Transforms of partition and sort fields.

>>> from frazil.transforms import BucketTransform, MonthTransform, parse_transform
>>> print(BucketTransform(16), MonthTransform())
bucket[16] month
>>> parse_transform("truncate[4]")
TruncateTransform(width=4)
"""

from __future__ import annotations

from .value import Value, quote

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Transform(Value):
    """What all transforms are."""

    _name = ""

    def __str__(self) -> str:
        return self._name

    def _sql(self, column: str) -> str:
        return f"{self._name}({column})"


class IdentityTransform(Transform):
    """The value itself."""

    _name = "identity"

    def _sql(self, column: str) -> str:
        return column


class VoidTransform(Transform):
    """Always null."""

    _name = "void"


class YearTransform(Transform):
    """Years since 1970."""

    _name = "year"


class MonthTransform(Transform):
    """Months since 1970."""

    _name = "month"


class DayTransform(Transform):
    """Days since 1970."""

    _name = "day"


class HourTransform(Transform):
    """Hours since 1970."""

    _name = "hour"


class BucketTransform(Transform):
    """A hash, modulo ``num_buckets``."""

    _parts = ("num_buckets",)
    num_buckets: int

    def __init__(self, num_buckets: int) -> None:
        self._set(num_buckets=num_buckets)

    def __str__(self) -> str:
        return f"bucket[{self.num_buckets}]"

    def _sql(self, column: str) -> str:
        return f"bucket({self.num_buckets}, {column})"


class TruncateTransform(Transform):
    """Text, bytes or numbers cut to a width."""

    _parts = ("width",)
    width: int

    def __init__(self, width: int) -> None:
        self._set(width=width)

    def __str__(self) -> str:
        return f"truncate[{self.width}]"

    def _sql(self, column: str) -> str:
        return f"truncate({self.width}, {column})"


class UnknownTransform(Transform):
    """A transform that this library doesn't know."""

    _parts = ("transform",)
    transform: str

    def __init__(self, transform: str) -> None:
        self._set(transform=transform)

    def __str__(self) -> str:
        return self.transform

    def _sql(self, column: str) -> str:
        raise NotImplementedError(f"the transform {self.transform} isn't supported")


_PLAIN = {t._name: t for t in (IdentityTransform, VoidTransform, YearTransform, MonthTransform, DayTransform, HourTransform)}


def parse_transform(o: Any) -> Transform:
    """A transform by its name in the specification, or PyIceberg's object."""
    if isinstance(o, Transform):
        return o
    name = str(o)
    if name in _PLAIN:
        return _PLAIN[name]()
    for prefix, kind in (("bucket[", BucketTransform), ("truncate[", TruncateTransform)):
        number = name[len(prefix) : -1]
        if name.startswith(prefix) and name.endswith("]") and number.isdecimal():
            return kind(int(number))
    return UnknownTransform(name)


def transform_sql(t: Any, path: str) -> str:
    """A transform of a column (with dots) in SQL."""
    return parse_transform(t)._sql(column_sql(path))


def column_sql(path: str | tuple[str, ...]) -> str:
    """A column's path in SQL.

    >>> column_sql("a.b")
    '"a"."b"'
    """
    return ".".join(quote(p) for p in (path.split(".") if isinstance(path, str) else path))
