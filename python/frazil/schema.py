"""Schemas.

>>> from frazil.schema import Schema
>>> from frazil.types import LongType, NestedField, StringType
>>> s = Schema(NestedField(1, "id", LongType(), required=True), NestedField(2, "name", StringType()), identifier_field_ids=[1])
>>> s.column_names
['id', 'name']
>>> print(s)
table {
  1: id: required long
  2: name: optional string
}
"""

from __future__ import annotations

from . import _frazil
from .types import (
    IcebergType,
    ListType,
    MapType,
    NestedField,
    StructType,
    field_from_json,
    field_to_arrow,
    field_to_json,
    fields_from_arrow,
)
from .value import Value, foreign_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any


class Schema(Value):
    """The columns of a table, at one time."""

    _parts = ("fields", "schema_id", "identifier_field_ids")
    _aside = ("schema_id",)
    fields: tuple[NestedField, ...]
    schema_id: int
    identifier_field_ids: list[int]

    def __init__(self, *fields: NestedField, schema_id: int = 0, identifier_field_ids: Sequence[int] = ()) -> None:
        self._set(fields=tuple(fields), schema_id=schema_id, identifier_field_ids=list(identifier_field_ids))

    @property
    def columns(self) -> tuple[NestedField, ...]:
        return self.fields

    def as_struct(self) -> StructType:
        return StructType(*self.fields)

    def _all(self) -> Iterator[tuple[str, NestedField]]:
        """Every field with its path, from the top."""
        todo = [(f.name, f) for f in reversed(self.fields)]
        while todo:
            path, f = todo.pop()
            yield path, f
            t = f.field_type
            if isinstance(t, StructType):
                below = list(t.fields)
            elif isinstance(t, ListType):
                below = [t.element_field]
            elif isinstance(t, MapType):
                below = [t.key_field, t.value_field]
            else:
                continue
            todo.extend((f"{path}.{b.name}", b) for b in reversed(below))

    @property
    def column_names(self) -> list[str]:
        """The names of all fields, with dots, nested ones too."""
        return [path for path, _ in self._all()]

    @property
    def field_ids(self) -> set[int]:
        return {f.field_id for _, f in self._all()}

    @property
    def highest_field_id(self) -> int:
        return max(self.field_ids, default=0)

    def find_field(self, name_or_id: str | int, case_sensitive: bool = True) -> NestedField:
        """A field by its id, or by its name with dots; ValueError if there is none."""
        for path, f in self._all():
            if f.field_id == name_or_id or path == name_or_id:
                return f
            if isinstance(name_or_id, str) and not case_sensitive and path.lower() == name_or_id.lower():
                return f
        raise ValueError(f"Could not find field with {'id' if isinstance(name_or_id, int) else 'name'} {name_or_id}, case_sensitive={case_sensitive}")

    def find_type(self, name_or_id: str | int, case_sensitive: bool = True) -> IcebergType:
        return self.find_field(name_or_id, case_sensitive).field_type

    def find_column_name(self, column_id: int) -> str | None:
        """A field's name with dots."""
        return next((path for path, f in self._all() if f.field_id == column_id), None)

    def identifier_field_names(self) -> set[str]:
        return {self.find_column_name(i) or "" for i in self.identifier_field_ids}

    def select(self, *names: str, case_sensitive: bool = True) -> Schema:
        """The schema with these columns only.

        >>> from frazil.types import LongType
        >>> Schema(NestedField(1, "a", LongType()), NestedField(2, "b", LongType())).select("b").column_names
        ['b']
        """
        if "*" in names:
            return self
        picked = set()
        for name in names:
            f = self.as_struct().field_by_name(name, case_sensitive)
            if f is None:
                nested = any(path == name for path, _ in self._all())
                raise (NotImplementedError if nested else ValueError)(
                    f"a field inside a column can't be selected by itself: {name}" if nested else f"Could not find column: '{name}'"
                )
            picked.add(f.field_id)
        return Schema(*(f for f in self.fields if f.field_id in picked), schema_id=self.schema_id)

    def as_arrow(self) -> Any:
        """As a PyArrow schema."""
        import pyarrow as pa

        return pa.schema([field_to_arrow(f) for f in self.fields])

    def __str__(self) -> str:
        return "table {\n" + "".join(f"  {f}\n" for f in self.fields) + "}"

    def __repr__(self) -> str:
        fields = "".join(f"{f!r}, " for f in self.fields)
        return f"Schema({fields}schema_id={self.schema_id}, identifier_field_ids={self.identifier_field_ids})"


def schema_from_json(j: Any) -> Schema:
    """A schema from the specification's JSON."""
    return Schema(*map(field_from_json, j["fields"]), schema_id=j.get("schema-id", 0), identifier_field_ids=j.get("identifier-field-ids") or ())


def schema_to_json(s: Schema) -> dict[str, Any]:
    """A schema as the specification's JSON."""
    return {
        "type": "struct",
        "schema-id": s.schema_id,
        "identifier-field-ids": s.identifier_field_ids,
        "fields": [field_to_json(f) for f in s.fields],
    }


def as_schema(o: Any) -> Schema:
    """A schema of this library, of PyIceberg, of PyArrow, or of anything with ``__arrow_c_schema__``."""
    if isinstance(o, Schema):
        return o
    if hasattr(o, "__arrow_c_schema__"):
        tree = _frazil.schema_tree(o.__arrow_c_schema__())
        if tree[1] != "+s":
            raise TypeError(f"schema: a struct of columns is expected, not {o!r}")
        last = 0

        def next_id() -> int:
            nonlocal last
            last += 1
            return last

        return Schema(*fields_from_arrow(tree[4], next_id))
    j = foreign_json(o)
    if j is None or "fields" not in j:
        raise TypeError(f"schema: a schema of Arrow or Iceberg is expected, not a {type(o).__name__}")
    return schema_from_json(j)
