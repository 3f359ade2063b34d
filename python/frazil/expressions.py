"""Row filters: expressions, the text that stands for them, and what they are in SQL.

>>> from frazil.expressions import And, EqualTo, In, parse
>>> parse("ym = 202001 and country in ('JP', 'KR')") == And(EqualTo("ym", 202001), In("country", ["JP", "KR"]))
True
>>> str(~EqualTo("a", 1))
'NOT ("a" = 1)'

Objects of ``pyiceberg.expressions`` are taken wherever these are.
"""

from __future__ import annotations

from .transforms import column_sql
from .types import (
    DateType,
    DoubleType,
    FixedType,
    FloatType,
    IcebergType,
    StringType,
    TimestampType,
    TimestamptzType,
    TimeType,
    UUIDType,
    type_to_sql,
)
from .value import Value, text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from .schema import Schema


class BooleanExpression(Value):
    """A condition on rows. ``&``, ``|`` and ``~`` make others of it."""

    def __and__(self, other: BooleanExpression) -> BooleanExpression:
        return And(self, other)

    def __or__(self, other: BooleanExpression) -> BooleanExpression:
        return Or(self, other)

    def __invert__(self) -> BooleanExpression:
        return Not(self)

    def __str__(self) -> str:
        return to_sql(self)


class AlwaysTrue(BooleanExpression):
    """Every row."""

    def __invert__(self) -> BooleanExpression:
        return AlwaysFalse()


class AlwaysFalse(BooleanExpression):
    """No row."""

    def __invert__(self) -> BooleanExpression:
        return AlwaysTrue()


class _Pair(BooleanExpression):
    _parts = ("left", "right")
    left: BooleanExpression
    right: BooleanExpression

    def __init__(self, left: BooleanExpression, right: BooleanExpression, *rest: BooleanExpression) -> None:
        for more in rest:
            left, right = type(self)(left, right), more
        self._set(left=left, right=right)


class And(_Pair):
    """Both."""


class Or(_Pair):
    """Either."""


class Not(BooleanExpression):
    """The rows for which a condition is false."""

    _parts = ("child",)
    child: BooleanExpression

    def __init__(self, child: BooleanExpression) -> None:
        self._set(child=child)

    def __invert__(self) -> BooleanExpression:
        return self.child


class Reference(Value):
    """A column by its name."""

    _parts = ("name",)
    name: str

    def __init__(self, name: str) -> None:
        self._set(name=name)


class SQLCondition(BooleanExpression):
    """A condition as SQL says it: what a text is that isn't in PyIceberg's grammar."""

    _parts = ("sql",)
    sql: str

    def __init__(self, sql: str) -> None:
        if not _is_one(sql):
            raise ValueError(f"row_filter: {sql!r} isn't one condition")
        self._set(sql=sql)


def _is_one(sql: str) -> bool:
    """Whether a text stays within parentheses that are put around it: its own are in pairs, it has no comments and nothing after it."""
    import re

    if "\\'" in sql or "$" in sql:  # texts whose end isn't plain
        return False
    depth = 0
    for token in re.findall(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|`[^`]*`|--|/\*|['\"`();]", sql):
        if token in ("--", "/*", ";", "'", '"', "`"):
            return False
        depth += {"(": 1, ")": -1}.get(token, 0)
        if depth < 0:
            return False
    return depth == 0


class UnboundPredicate(BooleanExpression):
    """A condition on one column."""

    _parts: tuple[str, ...] = ("term",)
    term: Reference

    def __init__(self, term: str | Reference) -> None:
        self._set(term=Reference(term) if isinstance(term, str) else term)


class UnaryPredicate(UnboundPredicate):
    """A condition without a value."""

    _sql = ""


class IsNull(UnaryPredicate):
    """Null."""

    _sql = "{} IS NULL"


class NotNull(UnaryPredicate):
    """Not null."""

    _sql = "{} IS NOT NULL"


class IsNaN(UnaryPredicate):
    """Not a number."""

    _sql = "{} = 'NaN'::double precision"


class NotNaN(UnaryPredicate):
    """A number."""

    _sql = "{} <> 'NaN'::double precision"


class LiteralPredicate(UnboundPredicate):
    """A comparison with a value."""

    _parts = ("term", "literal")
    literal: Any
    _sql = ""

    def __init__(self, term: str | Reference, literal: Any) -> None:
        super().__init__(term)
        self._set(literal=literal)


class EqualTo(LiteralPredicate):
    """``=``"""

    _sql = "="


class NotEqualTo(LiteralPredicate):
    """``!=``"""

    _sql = "<>"


class LessThan(LiteralPredicate):
    """``<``"""

    _sql = "<"


class LessThanOrEqual(LiteralPredicate):
    """``<=``"""

    _sql = "<="


class GreaterThan(LiteralPredicate):
    """``>``"""

    _sql = ">"


class GreaterThanOrEqual(LiteralPredicate):
    """``>=``"""

    _sql = ">="


class StartsWith(LiteralPredicate):
    """Text that begins so."""

    _sql = "LIKE"


class NotStartsWith(LiteralPredicate):
    """Text that doesn't."""

    _sql = "NOT LIKE"


class SetPredicate(UnboundPredicate):
    """A comparison with several values."""

    _parts = ("term", "literals")
    literals: tuple[Any, ...]
    _sql = ""

    def __init__(self, term: str | Reference, literals: Iterable[Any]) -> None:
        super().__init__(term)
        self._set(literals=tuple(literals))

    def _key(self) -> tuple[Any, ...]:
        return (self.term, frozenset(self.literals))


class In(SetPredicate):
    """One of them."""

    _sql = "IN"


class NotIn(SetPredicate):
    """None of them; null is none of them."""

    _sql = "NOT IN"


_KINDS: dict[str, type[BooleanExpression]] = {
    k.__name__: k
    for k in (
        AlwaysTrue, AlwaysFalse, And, Or, Not, IsNull, NotNull, IsNaN, NotNaN, EqualTo, NotEqualTo, LessThan, LessThanOrEqual, GreaterThan,
        GreaterThanOrEqual, StartsWith, NotStartsWith, In, NotIn,
    )
}  # fmt: skip


def as_expression(o: Any) -> BooleanExpression:
    """An expression: of this module, of PyIceberg, or by its text."""
    if isinstance(o, BooleanExpression):
        return o
    if isinstance(o, str):
        return parse(o)
    kind = _KINDS.get(type(o).__name__)
    if kind is None:
        raise TypeError(f"row_filter: an expression is expected, not {o!r}")
    if issubclass(kind, _Pair):
        return kind(as_expression(o.left), as_expression(o.right))
    if issubclass(kind, Not):
        return kind(as_expression(o.child))
    if issubclass(kind, SetPredicate):
        return kind(o.term.name, sorted((_plain(x) for x in o.literals), key=repr))
    if issubclass(kind, LiteralPredicate):
        return kind(o.term.name, _plain(o.literal))
    return kind(o.term.name) if issubclass(kind, UnaryPredicate) else kind()


class _Days(int):
    """PyIceberg's literal of a date, a time or a timestamp: days or microseconds. It is known by its column's type."""


def _plain(x: Any) -> Any:
    """The value of PyIceberg's Literal."""
    value = getattr(x, "value", x)
    if type(x).__name__ in ("DateLiteral", "TimeLiteral", "TimestampLiteral", "TimestamptzLiteral"):
        return _Days(value)
    if type(x).__name__ == "UUIDLiteral" and isinstance(value, bytes):
        import uuid

        return uuid.UUID(bytes=value)
    return value


# ---- SQL ----


def to_sql(e: BooleanExpression, schema: Schema | None = None, negated: bool = False) -> str:
    """A condition in SQL. Values are brought to the types that the schema gives the columns; ValueError for a column it lacks.

    >>> to_sql(GreaterThan("a", 3) & NotNull("b"))
    '("a" > 3 AND "b" IS NOT NULL)'
    """
    if isinstance(e, (AlwaysTrue, AlwaysFalse)):
        return "true" if isinstance(e, AlwaysTrue) else "false"
    if isinstance(e, _Pair):
        word = "AND" if isinstance(e, And) else "OR"
        parts: list[str] = []
        left: BooleanExpression = e  # chains lean to the left; they may be long
        while type(left) is type(e) and isinstance(left, _Pair):
            parts.append(to_sql(left.right, schema, negated))
            left = left.left
        parts.append(to_sql(left, schema, negated))
        return "(" + f" {word} ".join(reversed(parts)) + ")"
    if isinstance(e, Not):
        return f"NOT ({to_sql(e.child, schema, True)})"
    if isinstance(e, SQLCondition):
        return f"({e.sql}\n)"
    if not isinstance(e, UnboundPredicate):
        raise TypeError(f"row_filter: {e!r} isn't an expression")
    kind = schema.find_type(e.term.name) if schema is not None else None
    column = column_sql(e.term.name)
    if isinstance(e, UnaryPredicate):
        return e._sql.format(column)
    if isinstance(e, SetPredicate):
        if not e.literals:
            return "false" if isinstance(e, In) else "true"
        one_of = f"{column} {e._sql} ({', '.join(literal_sql(x, kind) for x in e.literals)})"
        if isinstance(e, NotIn):
            return f"({one_of} OR {column} IS NULL)"
        return f"({one_of} AND {column} IS NOT NULL)" if negated else one_of  # false for null, not unknown
    assert isinstance(e, LiteralPredicate)
    if isinstance(e, (StartsWith, NotStartsWith)):
        escaped = str(e.literal).replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
        return f"{column} {e._sql} {text(escaped + '%')} ESCAPE '\\'"
    compared = f"{column} {e._sql} {literal_sql(e.literal, kind)}"
    if isinstance(e, (GreaterThan, GreaterThanOrEqual)) and isinstance(kind, (FloatType, DoubleType)):
        return f"({compared} AND {column} <> 'NaN'::double precision)"  # in SQL NaN is the greatest number, here it is none
    return compared


def literal_sql(v: Any, kind: IcebergType | None = None) -> str:
    """A value in SQL, of a column's type where that is given.

    >>> literal_sql("2020-01-01", DateType())
    "cast('2020-01-01' as date)"
    """
    name = type(v).__name__
    if isinstance(v, _Days) or (isinstance(v, int) and isinstance(kind, (DateType, TimeType, TimestampType, TimestamptzType))):
        return _moment_sql(int(v), kind)
    if isinstance(v, bool):
        return "true" if v else "false"
    if isinstance(v, int):
        return str(v) if v >= 0 else f"({v})"
    if isinstance(v, float):
        return f"cast('{v!r}' as double precision)"
    if isinstance(v, str):
        return text(v) if kind is None or isinstance(kind, StringType) else f"cast({text(v)} as {type_to_sql(kind)})"
    if isinstance(v, (bytes, bytearray, memoryview)):
        if isinstance(kind, UUIDType) and len(bytes(v)) == 16:
            import uuid

            return f"uuid '{uuid.UUID(bytes=bytes(v))}'"
        raw = f"x'{bytes(v).hex()}'"
        return f"cast({raw} as {type_to_sql(kind)})" if isinstance(kind, FixedType) else raw
    if name == "datetime":
        if v.tzinfo is not None:
            return f"timestamp with time zone '{v.isoformat(sep=' ')}'"
        return f"timestamp '{v.isoformat(sep=' ')}'"
    if name in ("date", "time"):
        return f"{name} '{v.isoformat()}'"
    if name == "Decimal":
        if not v.is_finite():
            raise ValueError(f"row_filter: {v} isn't a decimal number of SQL")
        return f"{v:f}" if v >= 0 else f"({v:f})"
    if name == "UUID":
        return f"uuid '{v}'"
    raise TypeError(f"row_filter: a value of type {name} can't be compared with")


def _moment_sql(v: int, kind: IcebergType | None) -> str:
    import datetime as dt

    epoch = dt.datetime(1970, 1, 1)
    if isinstance(kind, DateType):
        return f"date '{(epoch + dt.timedelta(days=v)).date().isoformat()}'"
    moment = epoch + dt.timedelta(microseconds=v)
    if isinstance(kind, TimeType):
        return f"time '{moment.time().isoformat()}'"
    if isinstance(kind, TimestamptzType):
        return f"timestamp with time zone '{moment.isoformat(sep=' ')}+00:00'"
    if isinstance(kind, TimestampType):
        return f"timestamp '{moment.isoformat(sep=' ')}'"
    raise TypeError(f"row_filter: a date or time is compared with a column of type {kind}")


# ---- text ----

_OPS: dict[str, type[LiteralPredicate]] = {
    "=": EqualTo, "==": EqualTo, "!=": NotEqualTo, "<>": NotEqualTo, "<": LessThan, "<=": LessThanOrEqual, ">": GreaterThan,
    ">=": GreaterThanOrEqual,
}  # fmt: skip
_FLIPPED = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}
_TOKENS = (
    r"\s*(?:(?P<number>[+-]?(?:\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?))|(?P<text>'(?:[^']|'')*')|(?P<quoted>\"(?:[^\"]|\"\")*\")"
    r"|(?P<name>[^\W\d]\w*(?:\.\w+)*)|(?P<op>==|!=|<>|<=|>=|[=<>(),.])|(?P<end>$))"
)


class _NotThisGrammar(Exception):
    pass


class _Parser:
    def __init__(self, text: str) -> None:
        import re

        self.tokens: list[tuple[str, str]] = []
        at, pattern = 0, re.compile(_TOKENS)
        while not self.tokens or self.tokens[-1][0] != "end":
            m = pattern.match(text, at)
            if m is None or m.lastgroup is None:
                raise _NotThisGrammar
            self.tokens.append((m.lastgroup, m[m.lastgroup]))
            at = m.end()
        self.i = 0

    def word(self, *words: str) -> bool:
        """Takes these words, if they come."""
        for k, w in enumerate(words):
            kind, t = self.tokens[min(self.i + k, len(self.tokens) - 1)]
            if kind not in ("name", "op") or t.lower() != w:
                return False
        self.i += len(words)
        return True

    def need(self, word: str) -> None:
        if not self.word(word):
            raise _NotThisGrammar

    def either(self) -> BooleanExpression:
        e = self.both()
        while self.word("or"):
            e = Or(e, self.both())
        return e

    def both(self) -> BooleanExpression:
        e = self.one()
        while self.word("and"):
            e = And(e, self.one())
        return e

    def one(self) -> BooleanExpression:
        turned = 0
        while self.word("not"):
            turned += 1
        if self.word("("):
            e = self.either()
            self.need(")")
        else:
            e = self.predicate()
        return Not(e) if turned % 2 else e

    def literal(self) -> Any:
        kind, t = self.tokens[self.i]
        self.i += 1
        if kind == "text":
            return t[1:-1].replace("''", "'")
        if kind == "name" and t.lower() in ("true", "false"):
            return t.lower() == "true"
        if kind != "number":
            raise _NotThisGrammar
        if t.lstrip("+-").isdigit():
            return int(t)
        if "e" in t.lower():
            return float(t)
        import decimal

        return decimal.Decimal(t)

    def column(self) -> str:
        parts = []
        while True:
            kind, t = self.tokens[self.i]
            if kind not in ("name", "quoted") or (kind == "name" and t.lower() in ("true", "false", "null", "case", "exists")):
                raise _NotThisGrammar
            self.i += 1
            parts.append(t if kind == "name" else t[1:-1].replace('""', '"'))
            if not self.word("."):
                return ".".join(parts)

    def predicate(self) -> BooleanExpression:
        kind, t = self.tokens[self.i]
        if kind in ("number", "text") or (kind == "name" and t.lower() in ("true", "false")):
            v = self.literal()
            op = self.tokens[self.i][1]
            if op not in _OPS:
                if isinstance(v, bool):
                    return AlwaysTrue() if v else AlwaysFalse()
                raise _NotThisGrammar
            self.i += 1
            return _OPS[_FLIPPED.get(op, op)](self.column(), v)
        column = self.column()
        if self.word("is", "null"):
            return IsNull(column)
        if self.word("is", "not", "null"):
            return NotNull(column)
        if self.word("is", "nan"):
            return IsNaN(column)
        if self.word("is", "not", "nan"):
            return NotNaN(column)
        turned = self.word("not")
        if self.word("in"):
            self.need("(")
            values = [self.literal()]
            while self.word(","):
                values.append(self.literal())
            self.need(")")
            return (NotIn if turned else In)(column, values)
        if self.word("between"):
            low = self.literal()
            self.need("and")
            e: BooleanExpression = And(GreaterThanOrEqual(column, low), LessThanOrEqual(column, self.literal()))
            return Not(e) if turned else e
        if self.word("like"):
            pattern = self.literal()
            if not isinstance(pattern, str) or "_" in pattern or "\\" in pattern or "%" in pattern[:-1]:
                raise _NotThisGrammar
            if pattern.endswith("%"):
                return (NotStartsWith if turned else StartsWith)(column, pattern[:-1])
            return (NotEqualTo if turned else EqualTo)(column, pattern)
        op = self.tokens[self.i][1]
        if turned or op not in _OPS:
            raise _NotThisGrammar
        self.i += 1
        return _OPS[op](column, self.literal())


def parse(filter: str) -> BooleanExpression:
    """The expression of a text: PyIceberg's grammar, else any condition of SQL.

    >>> parse("a >= 3 or b is nan")
    Or(left=GreaterThanOrEqual(term=Reference(name='a'), literal=3), right=IsNaN(term=Reference(name='b')))
    >>> parse("length(a) > 3")
    SQLCondition(sql='length(a) > 3')
    """
    try:
        p = _Parser(filter)
        e = p.either()
        if p.tokens[p.i][0] != "end":
            raise _NotThisGrammar
        return e
    except (_NotThisGrammar, RecursionError, IndexError):
        if not filter.strip():
            raise ValueError("row_filter: the text is empty") from None
        return SQLCondition(filter)
