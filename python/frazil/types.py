"""Iceberg's types, named as PyIceberg names them.

>>> from frazil.types import ListType, LongType, NestedField, StringType
>>> print(NestedField(1, "tags", ListType(2, StringType(), True), required=False))
1: tags: optional list<string>
>>> LongType() == LongType()
True
"""

from __future__ import annotations

from .value import Value, foreign_json, quote, text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any


class IcebergType(Value):
    """What all types are."""

    @property
    def is_primitive(self) -> bool:
        return isinstance(self, PrimitiveType)

    @property
    def is_struct(self) -> bool:
        return isinstance(self, StructType)


class PrimitiveType(IcebergType):
    """A type without fields; ``str()`` gives its name in Iceberg.

    >>> str(DecimalType(9, 2))
    'decimal(9, 2)'
    """

    _name = ""
    _sql = ""

    def __str__(self) -> str:
        return self._name


class BooleanType(PrimitiveType):
    """True or false."""

    _name, _sql = "boolean", "boolean"


class IntegerType(PrimitiveType):
    """Whole numbers of 32 bits."""

    _name, _sql = "int", "integer"


class LongType(PrimitiveType):
    """Whole numbers of 64 bits."""

    _name, _sql = "long", "bigint"


class FloatType(PrimitiveType):
    """Floating point, 32 bits."""

    _name, _sql = "float", "real"


class DoubleType(PrimitiveType):
    """Floating point, 64 bits."""

    _name, _sql = "double", "double precision"


class DateType(PrimitiveType):
    """Days."""

    _name, _sql = "date", "date"


class TimeType(PrimitiveType):
    """Microseconds of a day."""

    _name, _sql = "time", "time"


class TimestampType(PrimitiveType):
    """Date and time without a zone, in microseconds."""

    _name, _sql = "timestamp", "timestamp"


class TimestamptzType(PrimitiveType):
    """A moment, in microseconds."""

    _name, _sql = "timestamptz", "timestamp with time zone"


class TimestampNanoType(PrimitiveType):
    """Date and time without a zone, in nanoseconds."""

    _name = "timestamp_ns"


class TimestamptzNanoType(PrimitiveType):
    """A moment, in nanoseconds."""

    _name = "timestamptz_ns"


class StringType(PrimitiveType):
    """Text."""

    _name, _sql = "string", "text"


class UUIDType(PrimitiveType):
    """A UUID."""

    _name, _sql = "uuid", "uuid"


class BinaryType(PrimitiveType):
    """Bytes."""

    _name, _sql = "binary", "bytea"


class UnknownType(PrimitiveType):
    """No value but null."""

    _name = "unknown"


class DecimalType(PrimitiveType):
    """Decimal numbers of ``precision`` digits, ``scale`` of them after the point."""

    _parts = ("precision", "scale")
    precision: int
    scale: int

    def __init__(self, precision: int, scale: int) -> None:
        self._set(precision=precision, scale=scale)

    def __str__(self) -> str:
        return f"decimal({self.precision}, {self.scale})"


class FixedType(PrimitiveType):
    """So many bytes."""

    _parts = ("length",)
    length: int

    def __init__(self, length: int) -> None:
        self._set(length=length)

    def __len__(self) -> int:
        return self.length

    def __str__(self) -> str:
        return f"fixed[{self.length}]"


class OtherType(PrimitiveType):
    """A type that this library doesn't know, by its name."""

    _parts = ("name",)
    name: str

    def __init__(self, name: str) -> None:
        self._set(name=name)

    def __str__(self) -> str:
        return self.name


class NestedField(Value):
    """A column, or a field of a struct.

    >>> NestedField(1, "a", LongType(), required=True).name
    'a'
    """

    _parts = ("field_id", "name", "field_type", "required", "doc", "initial_default", "write_default")
    field_id: int
    name: str
    field_type: IcebergType
    required: bool
    doc: str | None
    initial_default: Any
    write_default: Any

    def __init__(
        self,
        field_id: int,
        name: str,
        field_type: IcebergType,
        required: bool = False,
        doc: str | None = None,
        initial_default: Any = None,
        write_default: Any = None,
    ) -> None:
        self._set(
            field_id=field_id,
            name=name,
            field_type=as_type(field_type),
            required=required,
            doc=doc,
            initial_default=initial_default,
            write_default=write_default,
        )

    @property
    def optional(self) -> bool:
        return not self.required

    def __str__(self) -> str:
        doc = f" ({self.doc})" if self.doc else ""
        return f"{self.field_id}: {self.name}: {'required' if self.required else 'optional'} {self.field_type}{doc}"

    def __repr__(self) -> str:
        doc = f", doc={self.doc!r}" if self.doc else ""
        return f"NestedField(field_id={self.field_id}, name={self.name!r}, field_type={self.field_type!r}, required={self.required}{doc})"


class StructType(IcebergType):
    """A struct.

    >>> print(StructType(NestedField(1, "a", LongType())))
    struct<1: a: optional long>
    """

    _parts = ("fields",)
    fields: tuple[NestedField, ...]

    def __init__(self, *fields: NestedField) -> None:
        self._set(fields=tuple(fields))

    def __iter__(self) -> Iterator[NestedField]:
        return iter(self.fields)

    def __len__(self) -> int:
        return len(self.fields)

    def field(self, field_id: int) -> NestedField | None:
        return next((f for f in self.fields if f.field_id == field_id), None)

    def field_by_name(self, name: str, case_sensitive: bool = True) -> NestedField | None:
        for f in self.fields:
            if f.name == name or (not case_sensitive and f.name.lower() == name.lower()):
                return f
        return None

    def __str__(self) -> str:
        return f"struct<{', '.join(map(str, self.fields))}>"

    def __repr__(self) -> str:
        return f"StructType(fields=({', '.join(map(repr, self.fields))}{',' if len(self.fields) == 1 else ''}))"


class ListType(IcebergType):
    """A list."""

    _parts = ("element_id", "element_type", "element_required")
    element_id: int
    element_type: IcebergType
    element_required: bool

    def __init__(self, element_id: int, element_type: IcebergType, element_required: bool = True) -> None:
        self._set(element_id=element_id, element_type=as_type(element_type), element_required=element_required)

    @property
    def element_field(self) -> NestedField:
        return NestedField(self.element_id, "element", self.element_type, self.element_required)

    def __str__(self) -> str:
        return f"list<{self.element_type}>"


class MapType(IcebergType):
    """A map."""

    _parts = ("key_id", "key_type", "value_id", "value_type", "value_required")
    key_id: int
    key_type: IcebergType
    value_id: int
    value_type: IcebergType
    value_required: bool

    def __init__(self, key_id: int, key_type: IcebergType, value_id: int, value_type: IcebergType, value_required: bool = True) -> None:
        self._set(key_id=key_id, key_type=as_type(key_type), value_id=value_id, value_type=as_type(value_type), value_required=value_required)

    @property
    def key_field(self) -> NestedField:
        return NestedField(self.key_id, "key", self.key_type, True)

    @property
    def value_field(self) -> NestedField:
        return NestedField(self.value_id, "value", self.value_type, self.value_required)

    def __str__(self) -> str:
        return f"map<{self.key_type}, {self.value_type}>"


_PRIMITIVES = (
    BooleanType, IntegerType, LongType, FloatType, DoubleType, DateType, TimeType, TimestampType, TimestamptzType, TimestampNanoType,
    TimestamptzNanoType, StringType, UUIDType, BinaryType, UnknownType,
)  # fmt: skip
_BY_NAME = {t._name: t for t in _PRIMITIVES}


# ---- JSON ----


def type_from_json(j: Any) -> IcebergType:
    """A type from the specification's JSON.

    >>> type_from_json("decimal(9,2)")
    DecimalType(precision=9, scale=2)
    """
    if isinstance(j, str):
        name = j.replace(" ", "")
        if name.startswith("decimal("):
            precision, scale = name[8:-1].split(",")
            return DecimalType(int(precision), int(scale))
        if name.startswith("fixed["):
            return FixedType(int(name[6:-1]))
        return _BY_NAME[name]() if name in _BY_NAME else OtherType(j)
    if j["type"] == "struct":
        return StructType(*map(field_from_json, j["fields"]))
    if j["type"] == "list":
        return ListType(j["element-id"], type_from_json(j["element"]), j["element-required"])
    if j["type"] == "map":
        return MapType(j["key-id"], type_from_json(j["key"]), j["value-id"], type_from_json(j["value"]), j["value-required"])
    raise ValueError(f"the type {j!r} isn't one of Iceberg's")


def field_from_json(j: Any) -> NestedField:
    """A field from the specification's JSON."""
    return NestedField(
        j["id"], j["name"], type_from_json(j["type"]), j["required"], j.get("doc"), j.get("initial-default"), j.get("write-default")
    )


def type_to_json(t: IcebergType) -> Any:
    """A type as the specification's JSON.

    >>> type_to_json(DecimalType(9, 2))
    'decimal(9, 2)'
    """
    if isinstance(t, StructType):
        return {"type": "struct", "fields": [field_to_json(f) for f in t.fields]}
    if isinstance(t, ListType):
        return {"type": "list", "element-id": t.element_id, "element": type_to_json(t.element_type), "element-required": t.element_required}
    if isinstance(t, MapType):
        return {
            "type": "map", "key-id": t.key_id, "key": type_to_json(t.key_type), "value-id": t.value_id, "value": type_to_json(t.value_type),
            "value-required": t.value_required,
        }  # fmt: skip
    return str(t)


def field_to_json(f: NestedField) -> dict[str, Any]:
    """A field as the specification's JSON."""
    j = {"id": f.field_id, "name": f.name, "required": f.required, "type": type_to_json(f.field_type)}
    for key, value in (("doc", f.doc), ("initial-default", f.initial_default), ("write-default", f.write_default)):
        if value is not None:
            j[key] = value
    return j


def as_type(t: Any) -> IcebergType:
    """A type of this library or of PyIceberg, or its name.

    >>> as_type("long")
    LongType()
    """
    if isinstance(t, IcebergType):
        return t
    j = t if isinstance(t, str) else foreign_json(t)
    if j is None:
        raise TypeError(f"a type is expected, not {t!r}")
    return type_from_json(j)


# ---- SQL ----


def type_to_sql(t: IcebergType) -> str:
    """A type's name in SQL.

    >>> type_to_sql(ListType(2, LongType()))
    'list(bigint)'
    """
    if isinstance(t, StructType):
        return "struct(" + ", ".join(_field_to_sql(f) for f in t.fields) + ")"
    if isinstance(t, ListType):
        return f"list({type_to_sql(t.element_type)})"
    if isinstance(t, MapType):
        return f"map({type_to_sql(t.key_type)}, {type_to_sql(t.value_type)})"
    if isinstance(t, DecimalType):
        return f"decimal({t.precision},{t.scale})"
    if isinstance(t, FixedType):
        return f"fixed({t.length})"
    if not isinstance(t, PrimitiveType) or not t._sql:
        raise NotImplementedError(f"columns of type {t} aren't supported")
    return t._sql


def _field_to_sql(f: NestedField) -> str:
    doc = f" comment {text(f.doc)}" if f.doc else ""
    return f"{quote(f.name)} {type_to_sql(f.field_type)}{' not null' if f.required else ''}{doc}"


# ---- Arrow ----

_BY_FORMAT = {
    "b": BooleanType, "c": IntegerType, "C": IntegerType, "s": IntegerType, "S": IntegerType, "i": IntegerType, "I": LongType, "l": LongType,
    "L": LongType, "e": FloatType, "f": FloatType, "g": DoubleType, "u": StringType, "U": StringType, "vu": StringType, "z": BinaryType,
    "Z": BinaryType, "vz": BinaryType, "tdD": DateType, "tdm": DateType, "tts": TimeType, "ttm": TimeType, "ttu": TimeType, "ttn": TimeType,
}  # fmt: skip


def fields_from_arrow(tree: list[Any], next_id: Callable[[], int]) -> list[NestedField]:
    """Fields from those of ``_frazil.schema_tree``; ids are given out level by level, as Iceberg does."""
    ids = [next_id() for _ in tree]
    out = []
    for i, (name, _, nullable, meta, _kids) in zip(ids, tree):
        doc = next((v for k, v in zip(meta[::2], meta[1::2]) if k == "doc"), None)
        out.append((i, name, not nullable, doc))
    return [NestedField(i, name, _from_arrow(f, name, next_id), required, doc) for (i, name, required, doc), f in zip(out, tree)]


def _from_arrow(f: Any, path: str, next_id: Callable[[], int]) -> IcebergType:
    _, fmt, _, meta, kids = f
    if fmt in _BY_FORMAT:
        return _BY_FORMAT[fmt]()
    if fmt.startswith("ts"):
        return TimestamptzType() if fmt[4:] else TimestampType()
    if fmt.startswith("d:"):
        precision, scale = fmt[2:].split(",")[:2]
        if int(scale) < 0 or int(precision) > 38:
            raise NotImplementedError(f"column {path}: Iceberg has no decimal({precision}, {scale})")
        return DecimalType(int(precision), int(scale))
    if fmt.startswith("w:"):
        uuid = "arrow.uuid" in meta[1::2]
        return UUIDType() if uuid else FixedType(int(fmt[2:]))
    if fmt == "+s":
        return StructType(*fields_from_arrow(kids, next_id))
    if fmt in ("+l", "+L", "+vl", "+vL") or fmt.startswith("+w:"):
        i = next_id()
        return ListType(i, _from_arrow(kids[0], path + ".element", next_id), not kids[0][2])
    if fmt == "+m":
        key, value = kids[0][4]
        i, j = next_id(), next_id()
        return MapType(i, _from_arrow(key, path + ".key", next_id), j, _from_arrow(value, path + ".value", next_id), not value[2])
    raise NotImplementedError(f"column {path}: there is no Iceberg type for Arrow's {'null' if fmt == 'n' else repr(fmt)}")


def type_to_arrow(t: IcebergType) -> Any:
    """A type as PyArrow's."""
    import pyarrow as pa

    if isinstance(t, StructType):
        return pa.struct([field_to_arrow(f) for f in t.fields])
    if isinstance(t, ListType):
        return pa.list_(field_to_arrow(t.element_field))
    if isinstance(t, MapType):
        return pa.map_(field_to_arrow(t.key_field), field_to_arrow(t.value_field))
    if isinstance(t, DecimalType):
        return pa.decimal128(t.precision, t.scale)
    if isinstance(t, FixedType):
        return pa.binary(t.length)
    make = {
        "boolean": pa.bool_, "int": pa.int32, "long": pa.int64, "float": pa.float32, "double": pa.float64, "date": pa.date32,
        "string": pa.string, "binary": pa.binary, "unknown": pa.null,
    }.get(str(t))  # fmt: skip
    if make is not None:
        return make()
    whole = {
        "time": lambda: pa.time64("us"), "timestamp": lambda: pa.timestamp("us"), "timestamptz": lambda: pa.timestamp("us", "UTC"),
        "timestamp_ns": lambda: pa.timestamp("ns"), "timestamptz_ns": lambda: pa.timestamp("ns", "UTC"), "uuid": lambda: pa.uuid(),
    }.get(str(t))  # fmt: skip
    if whole is None:
        raise NotImplementedError(f"there is no Arrow type for {t}")
    return whole()


def field_to_arrow(f: NestedField) -> Any:
    """A field as PyArrow's."""
    import pyarrow as pa

    return pa.field(f.name, type_to_arrow(f.field_type), nullable=not f.required)
