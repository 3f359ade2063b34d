"""Random queries over the tables of sql_data.py, in frazil's dialect with the marks of sql_compare.py.

Every query is a function of its random source alone. Whatever would be answered differently for a documented reason
(docs/sql-differences.md) is left out, as is what may fail for a row that one of the two engines doesn't compute."""
from sql_data import WORDS

# column: kind
WIDE = {"id": "int", "b": "bool", "i": "int", "j": "huge", "k": "int", "c": "int", "r": "text", "f": "float", "g": "float", "v": "tame", "d": "dec", "e": "dec",
        "h": "wide", "dt": "date", "tm": "time", "ts": "ts", "tz": "tz", "s": "text", "t": "text", "bin": "bin"}
DIM = {"key": "int", "name": "text", "big": "int"}
TINY = {"a": "int", "x": "text", "y": "float", "z": "dec"}
TABLES = {"w": WIDE, "p": WIDE, "dim": DIM, "tiny": TINY, "none": WIDE}
NUMBERS = ("int", "huge", "dec", "wide", "float", "tame")


def quote(s):
    return "'" + s.replace("'", "''") + "'"


def literal(rng, kind):
    if rng.random() < .02:
        return "null"
    if kind == "int":
        return str(rng.choice([rng.randrange(-60, 60), rng.randrange(0, 25), rng.randrange(0, 14000), 7, 8]))
    if kind == "huge":
        return str(rng.choice([0, -1, 2 ** 31, 10 ** 11, -10 ** 11, 9223372036854775807, 9007199254740993, -5]))
    if kind == "dec":
        return rng.choice(["0", "1.5", "-2.25", "0.01", "100", "-4.999", "12345.67", "3", "-0.0001"])
    if kind == "wide":
        return rng.choice(["0", "1.5", "-99.000001", "123456789012345678.123456", "7"])
    if kind == "float":
        return rng.choice(["0", "0.5", "-1.5", "1e3", "'nan'::double", "'inf'::double", "1.25", "-7", "1e-300", "100"])
    if kind == "tame":
        return rng.choice(["1", "2.5", "7.389", "20", "0.3"])
    if kind == "bool":
        return rng.choice(["true", "false"])
    if kind == "text":
        return quote(rng.choice(WORDS + ["run 1", "run 20", "run 44", "ab/5", "zz", "b"]))
    if kind == "date":
        return "date '%04d-%02d-%02d'" % (rng.randrange(1938, 2034), rng.randrange(1, 13), rng.randrange(1, 29))
    if kind == "time":
        return "time '%02d:%02d:%02d'" % (rng.randrange(24), rng.randrange(60), rng.choice([0, 30]))
    if kind in ("ts", "tz"):
        return "%s '%04d-%02d-%02d %02d:00:00%s'" % ("timestamp" if kind == "ts" else "timestamptz", rng.randrange(1938, 2034), rng.randrange(1, 13), rng.randrange(1, 29),
                                                    rng.randrange(24), "" if kind == "ts" else rng.choice(["+00", "+05:30", "-08"]))
    return "''::binary" if kind == "bin" else "null"


def column(rng, cols, kinds):
    names = [n for n, k in cols.items() if k in kinds]
    return rng.choice(names) if names else None


def number(rng, cols, depth):
    """(text, kind) of a number that can't overflow."""
    c = column(rng, cols, ("int", "dec", "tame", "float"))
    if c is None or rng.random() < .1:
        k = rng.choice(["int", "dec"])
        return "(" + literal(rng, k).replace("null", "3") + ")", k
    kind = cols[c]
    if depth <= 0 or rng.random() < .35:
        return c, kind
    if kind == "int":
        x, y = integer(rng, cols, depth - 1), integer(rng, cols, depth - 1)
        return rng.choice([lambda: x, lambda: f"({x} + {y})", lambda: f"({x} - {y})", lambda: f"({x} {{/}} {rng.choice([2, 7, -3, 100])})", lambda: f"({x} % {rng.choice([2, 5, -7])})",
                           lambda: f"(-{x})", lambda: f"abs({x})", lambda: f"coalesce({x}, {y})", lambda: f"nullif({x}, {y})",
                           lambda: f"case when {predicate(rng, cols, depth - 2)} then {x} else {y} end", lambda: f"({x} {{/}} nullif({y}, 0))", lambda: f"({x} % nullif({y}, 0))",
                           lambda: f"length({text(rng, cols, depth - 1)})", lambda: f"({rng.randrange(-3, 9)} * {x})"])(), "int"
    if kind == "dec":
        x = c
        return rng.choice([f"({x} + 1)", f"({x} - 0.5)", f"({x} * 2)", f"abs({x})", f"(-{x})", f"round({x}, 1)", f"coalesce({x}, 0)", f"({x} + {x})", f"({x} * 3)"]), "dec"
    x = c
    return rng.choice([f"({x} + 1)", f"({x} * 0.5)", f"abs({x})", f"(-{x})", f"coalesce({x}, 0)", f"floor({x})", f"({x} / 4)"]), kind


def integer(rng, cols, depth):
    c = column(rng, cols, ("int",))
    if c is None:
        return str(rng.randrange(100))
    if depth <= 0 or rng.random() < .5:
        return c + "::bigint"
    return number(rng, {n: k for n, k in cols.items() if k in ("int", "text", "bool")}, depth)[0] + "::bigint"


def text(rng, cols, depth):
    c = column(rng, cols, ("text",))
    if c is None:
        return quote(rng.choice(WORDS))
    if depth <= 0 or rng.random() < .5:
        return c
    x = text(rng, cols, depth - 1)
    return rng.choice([lambda: f"upper({x})", lambda: f"lower({x})", lambda: f"trim({x})", lambda: f"({x} || '-')", lambda: f"substring({x}, {rng.randrange(1, 5)}, {rng.randrange(0, 6)})",
                       lambda: f"left({x}, {rng.randrange(0, 5)})", lambda: f"coalesce({x}, '?')", lambda: f"nullif({x}, {literal(rng, 'text')})", lambda: f"replace({x}, 'a', 'bb')",
                       lambda: f"case when {predicate(rng, cols, depth - 2)} then {x} else {literal(rng, 'text')} end", lambda: f"concat({x}, {literal(rng, 'text')})", lambda: f"({integer(rng, cols, 1)})::text"])()


def compare(rng):
    return rng.choice(["=", "<>", "<", "<=", ">", ">=", "=", "<", ">"])


def leaf(rng, cols, depth):
    c = rng.choice(list(cols))
    kind = cols[c]
    lit = lambda: literal(rng, kind)  # noqa: E731
    if kind == "bool":
        return rng.choice([c, f"not {c}", f"{c} = {lit()}", f"{c} is null", f"{c} is not true", f"{c} is false", f"{c} is distinct from {lit()}"])
    what = rng.random()
    if what < .12:
        return f"{c} is {rng.choice(['', 'not '])}null"
    if what < .24:
        return f"{c} {rng.choice(['', 'not '])}in ({', '.join(lit() for _ in range(rng.choice([1, 2, 3, 5, 20])))})"
    if what < .34:
        return f"{c} {rng.choice(['', 'not '])}between {lit()} and {lit()}"
    if kind == "text" and what < .6:
        pattern = rng.choice(["a%", "%b%", "_b", "%", "run 1%", "%4", "x%", "%/0%", "b!%%", "", "_", "%a%b%", "ab%", "日%", "zebra"])
        return f"{c} {rng.choice(['', '', 'not '])}{rng.choice(['like', 'like', 'ilike'])} {quote(pattern)}{' escape ' + quote('!') if '!' in pattern else ''}"
    if what < .4:
        return f"{c} is {rng.choice(['', 'not '])}distinct from {lit()}"
    if what < .5:
        other = c if kind == "any" else column(rng, cols, (kind,))  # two of kind "any" may have different types
        return f"{c} {compare(rng)} {other}"
    if kind in NUMBERS and what < .65:
        x, k = number(rng, cols, depth)
        y, l = number(rng, cols, depth - 1)
        if (k == "dec") == (l == "dec") or "float" not in (k, l) and "tame" not in (k, l):
            return f"{x} {compare(rng)} {y}"
        return f"{x} {compare(rng)} {literal(rng, k)}"
    if kind == "text" and what < .75:
        return f"{text(rng, cols, depth)} {compare(rng)} {lit()}"
    if kind in ("date", "ts") and what < .7:
        return f"{rng.choice(['year', 'month', 'day', 'quarter'])}({c}) {compare(rng)} {rng.choice([1, 2, 3, 12, 15, 1999, 2010])}"
    return f"{c} {compare(rng)} {lit()}" if rng.random() < .9 else f"{lit()} {compare(rng)} {c}"


def predicate(rng, cols, depth):
    what = rng.random()
    if depth <= 0 or what < .3:
        return leaf(rng, cols, max(depth, 0))
    a, b = predicate(rng, cols, depth - 1), predicate(rng, cols, depth - 1)
    if what < .55:
        return f"({a} and {b})"
    if what < .8:
        return f"({a} or {b})"
    if what < .9:
        return f"not ({a})"
    if what < .95:
        return f"coalesce({a}, {b})"
    return f"case when {a} then {b} else {predicate(rng, cols, depth - 1)} end"


def scalar(rng, cols, depth):
    """(text, kind)"""
    c = rng.choice(list(cols))
    kind = cols[c]
    if rng.random() < .45:
        return c, kind
    if kind in ("int", "dec", "tame", "float"):
        return number(rng, cols, depth)
    if kind == "text":
        return text(rng, cols, depth), kind
    if kind == "bool":
        return f"({predicate(rng, cols, depth)})", kind
    if kind in ("date", "ts"):
        return rng.choice([f"year({c})", f"month({c})", f"extract(dow from {c})", f"date_trunc('month', {c})::date", f"coalesce({c}, {literal(rng, kind)})",
                           f"date_trunc('{rng.choice(['year', 'quarter', 'week', 'day'])}', {c})::date"]), "any"
    return c, kind


def aggregate(rng, cols):
    """(text, exact)"""
    what = rng.choice(["star", "count", "distinct", "sum", "avg", "min", "max", "filter", "case"])
    c = rng.choice(list(cols))
    ints, tame = column(rng, cols, ("int",)), column(rng, cols, ("tame",))
    if what == "distinct":
        return f"count(distinct {c})"
    if what == "count":
        return f"count({scalar(rng, cols, 1)[0]})"
    if what == "sum":
        d = column(rng, cols, ("dec", "int", "tame"))
        return f"sum({d}::bigint)" if cols.get(d) == "int" else f"sum({d})" if d else "count(*)"
    if what == "avg" and (ints or tame):
        return f"avg({rng.choice([x for x in (ints, tame) if x])})"
    if what in ("min", "max"):
        return f"{what}({scalar(rng, cols, 1)[0]})"
    if what == "filter":
        return f"count(*) filter (where {predicate(rng, cols, 1)})"
    if what == "case":
        return f"sum(case when {predicate(rng, cols, 1)} then {(ints + '::bigint') if ints else 1} else 0 end)"
    return "count(*)"


def source(rng, depth):
    """(FROM clause, {column: kind})"""
    what = rng.random()
    if what < .62 or depth <= 0:
        t = rng.choice(["w", "w", "w", "p", "dim", "tiny", "none"] if what < .6 else ["w"])
        return t, dict(TABLES[t])
    if what < .8:
        a, b = rng.choice(["w", "p", "dim", "tiny"]), rng.choice(["dim", "tiny", "dim", "none"])
        ca, cb = {"a." + n: k for n, k in TABLES[a].items()}, {"b." + n: k for n, k in TABLES[b].items()}
        on = []
        for _ in range(rng.choice([1, 1, 2])):
            x = rng.choice(list(ca))
            y = column(rng, cb, (ca[x],))
            if y:
                on.append(f"{x} = {y}")
        if not on:
            on.append(f"{column(rng, ca, ('int',))} = {column(rng, cb, ('int',))}")
        if rng.random() < .3:
            on.append(predicate(rng, {**ca, **cb}, 1))
        return f"{a} a join {b} b on {' and '.join(on)}", {**ca, **cb}
    text, cols = select(rng, depth - 1, inner=True)
    return f"({text}) q", cols


def select(rng, depth, inner=False):
    """(query, {column: kind} of what it gives)"""
    table, cols = source(rng, depth)
    where = f" where {predicate(rng, cols, rng.choice([1, 2, 3]))}" if rng.random() < .7 else ""
    out, items = {}, []

    def item(text, kind):
        name = f"c{len(items)}"
        items.append(f"{text} as {name}")
        out[name] = kind

    tail = ""
    if rng.random() < .5:
        keys = [scalar(rng, cols, 1) for _ in range(rng.choice([0, 1, 1, 2, 2, 3]))]
        keys = [k for k in keys if not k[0].lstrip("-(").rstrip(")").replace(".", "").isdigit()]
        for k in keys:
            item(*k)
        for _ in range(rng.choice([1, 2, 3])):
            item(aggregate(rng, cols), "any")
        if keys:
            tail = " group by " + rng.choice([lambda: ", ".join(str(i + 1) for i in range(len(keys))), lambda: ", ".join(k[0] for k in keys) if len({k[0] for k in keys}) == len(keys) else "all", lambda: "all"])()
        if rng.random() < .25:
            tail += f" having {aggregate(rng, {n: k for n, k in cols.items() if k == 'int'} or {'1': 'int'})} {compare(rng)} {rng.choice([0, 1, 5, 100])}" if any(k == "int" for k in cols.values()) else " having count(*) > 2"
        distinct = ""
    else:
        for _ in range(rng.choice([1, 2, 3, 4])):
            item(*scalar(rng, cols, 2))
        distinct = "distinct " if rng.random() < .25 else ""
    text = f"select {distinct}{', '.join(items)} from {table}{where}{tail}"
    if not inner or rng.random() < .2:
        if rng.random() < .6 or inner: # all columns are keys: the order is total but for equal rows
            order = list(range(1, len(items) + 1))
            rng.shuffle(order)
            how = [f"{n}{rng.choice(['', ' asc', ' desc'])}{rng.choice(['', '', ' nulls first', ' nulls last'])}" for n in order]
            text += " order by " + ", ".join(how)
            if rng.random() < .6 and not (inner and any(k in ("float", "tame", "any") for k in out.values())):
                text += f" limit {rng.choice([0, 1, 5, 100, 3000])}" + (f" offset {rng.choice([0, 1, 7, 500])}" if rng.random() < .4 else "")
    return text, out


def query(rng):
    if rng.random() < .15:
        inner, cols = select(rng, 1, inner=True)
        rows = rng.choice(["q0 a", "q0"])
        return f"with q0 as ({inner}) select count(*), count({rng.choice(list(cols))}), min({rng.choice(list(cols))}) from {rows}"
    return select(rng, 2)[0]
