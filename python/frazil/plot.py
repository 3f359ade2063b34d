"""Pictures of a relation, by the library that is there: Altair, else Matplotlib."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from .relation import Relation

MAX_ROWS = 50_000


class Plot:
    """``relation.plot``: each method gives an Altair chart, or Matplotlib axes.

    x and y are columns; without them the first column is x, and the numeric ones among the others are y.
    """

    def __init__(self, relation: Relation) -> None:
        self._relation = relation

    def bar(self, x: str | None = None, y: str | Sequence[str] | None = None, **options: Any) -> Any:
        """Bars."""
        return self._draw("bar", x, y, options)

    def line(self, x: str | None = None, y: str | Sequence[str] | None = None, **options: Any) -> Any:
        """Lines."""
        return self._draw("line", x, y, options)

    def area(self, x: str | None = None, y: str | Sequence[str] | None = None, **options: Any) -> Any:
        """Areas."""
        return self._draw("area", x, y, options)

    def scatter(self, x: str | None = None, y: str | Sequence[str] | None = None, **options: Any) -> Any:
        """Points."""
        return self._draw("point", x, y, options)

    def hist(self, x: str | None = None, bins: int = 20, **options: Any) -> Any:
        """How often the values of a column occur."""
        return self._draw("hist", x, None, {**options, "bins": bins})

    def _data(self, columns: list[str]) -> list[dict[str, Any]]:
        names = ", ".join('"' + c.replace('"', '""') + '"' for c in columns)
        rows = self._relation.select(names).limit(MAX_ROWS + 1).dicts()
        if len(rows) > MAX_ROWS:
            raise ValueError(f"plot: more than {MAX_ROWS} rows; aggregate or limit the relation first")
        return rows

    def _draw(self, mark: str, x: str | None, y: str | Sequence[str] | None, options: dict[str, Any]) -> Any:
        schema = dict(self._relation.schema)
        numeric = [c for c, t in schema.items() if t in ("integer", "bigint", "real", "double precision") or t.startswith("decimal")]
        if x is None:
            x = numeric[0] if mark == "hist" and numeric else next(iter(schema))
        ys = [y] if isinstance(y, str) else list(y) if y is not None else [c for c in numeric if c != x]
        if mark == "hist":
            ys = []
        for c in [x, *ys]:
            if c not in schema:
                raise KeyError(f"plot: there is no column {c!r}; there are {', '.join(schema)}")
        if mark != "hist" and not ys:
            raise ValueError("plot: no numeric column to draw")
        rows = [{k: _plain(v) for k, v in r.items()} for r in self._data(list(dict.fromkeys([x, *ys])))]
        try:
            import altair
        except ImportError:
            return _matplotlib(mark, x, ys, rows, options)
        return _altair(altair, mark, x, ys, rows, options, schema[x])


def _plain(v: Any) -> Any:
    """What drawing libraries take: no decimals."""
    return float(v) if type(v).__name__ == "Decimal" else v


def _altair(alt: Any, mark: str, x: str, ys: list[str], rows: list[dict[str, Any]], options: dict[str, Any], x_type: str) -> Any:
    def field(name: str, kind: str) -> str:
        for c in "\\:.[]":
            name = name.replace(c, "\\" + c)
        return f"{name}:{kind}"

    kind = "T" if x_type.startswith(("date", "timestamp")) else "Q" if x_type not in ("text", "boolean", "uuid") and mark != "bar" else "N"
    long = [{x: r[x], "series": y, "value": r[y]} for r in rows for y in ys]
    data = alt.Data(values=[{k: v.isoformat() if hasattr(v, "isoformat") else v for k, v in r.items()} for r in (long or rows)])
    chart = alt.Chart(data)
    if mark == "hist":
        bins = options.pop("bins")
        return chart.mark_bar(**options).encode(x=alt.X(field(x, "Q"), bin=alt.Bin(maxbins=bins)), y="count():Q")
    encoding = {"x": field(x, kind), "y": alt.Y("value:Q", title=", ".join(ys))}
    if len(ys) > 1:
        encoding["color"] = "series:N"
    return getattr(chart, f"mark_{mark}")(**options).encode(**encoding)


def _matplotlib(mark: str, x: str, ys: list[str], rows: list[dict[str, Any]], options: dict[str, Any]) -> Any:
    try:
        from matplotlib import pyplot
    except ImportError:
        raise ImportError("plot: neither altair nor matplotlib is installed") from None
    axes = options.pop("ax", None) or pyplot.subplots()[1]
    xs = [r[x] for r in rows]
    if mark == "hist":
        axes.hist([v for v in xs if v is not None], **options)
        axes.set_xlabel(x)
        return axes
    if mark == "bar":
        width = 0.8 / len(ys)
        for k, y in enumerate(ys):
            axes.bar([i + width * k for i in range(len(xs))], [r[y] or 0 for r in rows], width, label=y, **options)
        axes.set_xticks([i + width * (len(ys) - 1) / 2 for i in range(len(xs))], [str(v) for v in xs], rotation=90 if len(xs) > 8 else 0)
    for y in ys:
        values = [float("nan") if r[y] is None else r[y] for r in rows]
        if mark == "line":
            axes.plot(xs, values, label=y, **options)
        elif mark == "area":
            axes.fill_between(xs, values, label=y, **options)
        elif mark == "point":
            axes.scatter(xs, values, label=y, **options)
    axes.set_xlabel(x)
    axes.set_ylabel(", ".join(ys))
    if len(ys) > 1:
        axes.legend()
    return axes
