"""A table as a lazy Polars frame, through Polars' plug-in for sources.

Polars tells which columns it needs, how many rows at most and which condition holds. Of the condition, the parts that mean the same in SQL
become the scan's (files and row groups that hold no such row aren't read); Polars' own evaluation of the whole decides.
"""

from __future__ import annotations

from ..expressions import (
    And,
    BooleanExpression,
    EqualTo,
    GreaterThan,
    GreaterThanOrEqual,
    In,
    IsNull,
    LessThan,
    LessThanOrEqual,
    NotEqualTo,
    NotNull,
    Or,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    import polars

    from ..schema import Schema
    from . import Table

_OPS = {"Eq": EqualTo, "NotEq": NotEqualTo, "Lt": LessThan, "LtEq": LessThanOrEqual, "Gt": GreaterThan, "GtEq": GreaterThanOrEqual}
_FLIPPED = {"Lt": "Gt", "LtEq": "GtEq", "Gt": "Lt", "GtEq": "LtEq"}
_COMPARED = ("boolean", "int", "long", "string", "date", "decimal")  # what is compared alike: not so floating point (NaN) and what has zones or units


def lazy_frame(table: Table) -> polars.LazyFrame:
    """See ``Table.to_polars``."""
    import polars as pl
    from polars.io.plugins import register_io_source

    scan = table.scan()
    schema = pl.DataFrame(scan.update(limit=0).relation()).schema

    def rows(
        with_columns: list[str] | None, predicate: polars.Expr | None, n_rows: int | None, batch_size: int | None
    ) -> Iterator[polars.DataFrame]:
        # A limit counts rows that fulfil the condition: it goes down only where the whole condition does.
        wanted = list(schema) if with_columns is None else list(with_columns)
        part, whole = (None, True) if predicate is None else pushed(predicate, table.schema())
        s = scan.update(selected_fields=tuple(wanted) or (next(iter(schema)),), limit=n_rows if whole else None)
        left = n_rows
        for batch in (s if part is None else s.filter(part)).relation():
            frame = batch.pl().select(wanted) if wanted else pl.DataFrame(height=len(batch))
            if predicate is not None:
                frame = frame.filter(predicate)
            if left is not None:
                frame = frame.head(left)
                left -= len(frame)
            if len(frame):
                yield frame
            if left == 0:
                return

    return register_io_source(rows, schema=schema, is_pure=True)


def pushed(predicate: polars.Expr, schema: Schema) -> tuple[BooleanExpression | None, bool]:
    """A condition that holds wherever Polars' does (None: nothing is known), and whether it is the same."""
    import json
    import warnings

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = json.loads(predicate.meta.serialize(format="json"))
        return _translate(tree, schema)
    except Exception:  # Polars' own form of expressions changes with its versions: what isn't understood isn't pushed down
        return None, False


def _translate(tree: Any, schema: Schema) -> tuple[BooleanExpression | None, bool]:
    if isinstance(tree, dict) and len(tree) == 1:
        ((kind, e),) = tree.items()
        if kind == "BinaryExpr":
            op, left, right = e["op"], e["left"], e["right"]
            if op in ("And", "LogicalAnd"):
                (a, same_a), (b, same_b) = _translate(left, schema), _translate(right, schema)
                return (And(a, b) if a and b else a or b), same_a and same_b
            if op in ("Or", "LogicalOr"):
                (a, same_a), (b, same_b) = _translate(left, schema), _translate(right, schema)
                return (Or(a, b), same_a and same_b) if a and b else (None, False)
        try:
            return _predicate(kind, e, schema), True
        except (KeyError, TypeError, ValueError, AttributeError):  # something else than a column, or a value that is compared otherwise
            pass
    return None, False


def _predicate(kind: str, e: Any, schema: Schema) -> BooleanExpression:
    if kind == "BinaryExpr":
        op, left, right = e["op"], e["left"], e["right"]
        if "Column" in right:
            left, right, op = right, left, _FLIPPED.get(op, op)
        return _OPS[op](_column(left, schema, True), _value(right["Literal"]))
    if kind != "Function":
        raise KeyError(kind)
    what, column = e["function"]["Boolean"], e["input"][0]
    if what in ("IsNull", "IsNotNull"):
        return (IsNull if what == "IsNull" else NotNull)(_column(column, schema, False))
    if what["IsIn"]["nulls_equal"]:
        raise KeyError("nulls_equal")
    return In(_column(column, schema, True), _list(e["input"][1]["Literal"]))


def _column(tree: Any, schema: Schema, compared: bool) -> str:
    name: str = tree["Column"]
    t = str(schema.as_struct().field_by_name(name).field_type)  # type: ignore[union-attr]
    if compared and not t.startswith(_COMPARED):
        raise TypeError(name)
    return name


def _value(literal: Any) -> Any:
    """A literal's value; KeyError, TypeError for what isn't compared by its value alone."""
    ((kind, v),) = literal.items()
    if kind == "Dyn":
        ((kind, v),) = v.items()
        kind = {"Int": "Int64", "Str": "String"}.get(kind, kind)
    elif kind == "Scalar":
        ((kind, v),) = v.items()
    if kind in ("Int8", "Int16", "Int32", "Int64", "UInt8", "UInt16", "UInt32", "UInt64", "Boolean", "String", "StringOwned"):
        if isinstance(v, (int, str)):
            return v
    if kind == "Date":
        import datetime as dt

        return dt.date(1970, 1, 1) + dt.timedelta(days=v)
    raise TypeError(kind)


def _list(literal: Any) -> list[Any]:
    """The values of a list: an Arrow stream of one row inside the JSON."""
    import polars as pl

    frame = pl.read_ipc_stream(bytes(literal["Scalar"]["List"]))
    values = frame.to_series().to_list()
    if len(values) == 1 and isinstance(values[0], list):
        values = values[0]
    if any(v is not None and (isinstance(v, float) or not isinstance(v, (int, str))) for v in values):
        raise TypeError("is_in")
    return [v for v in values if v is not None]
