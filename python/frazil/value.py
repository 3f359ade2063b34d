"""What the plain values of the object API have in common: named parts, equality by them, no change after they are made.

Each kind knows its JSON of the Iceberg specification; objects of PyIceberg are taken by theirs.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Value:
    """A value with named parts, listed in ``_parts``; those in ``_aside`` don't count in a comparison."""

    _parts: tuple[str, ...] = ()
    _aside: tuple[str, ...] = ()

    def _set(self, **parts: Any) -> None:
        self.__dict__.update(parts)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{type(self).__name__} can't be changed: make another one")

    def _key(self) -> tuple[Any, ...]:
        return tuple(_hashable(getattr(self, p)) for p in self._parts if p not in self._aside)

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and isinstance(other, Value) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash((type(self).__name__, self._key()))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{p}={getattr(self, p)!r}' for p in self._parts)})"


def _hashable(x: Any) -> Any:
    if isinstance(x, list):
        return tuple(_hashable(e) for e in x)
    if isinstance(x, dict):
        return tuple(sorted((k, _hashable(v)) for k, v in x.items()))
    return x


def foreign_json(o: object) -> Any:
    """The JSON of an object of PyIceberg (or of anything that writes itself as that does), or None."""
    dump = getattr(o, "model_dump_json", None)
    if dump is None:
        return None
    import json

    return json.loads(dump())


def quote(name: str) -> str:
    """A name in SQL."""
    return '"' + name.replace('"', '""') + '"'


def text(value: str) -> str:
    """A text in SQL."""
    return "'" + value.replace("'", "''") + "'"
