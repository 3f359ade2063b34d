"""One query through frazil and DuckDB, and whether the answers are the same.

A query is written once, in frazil's dialect. Where DuckDB says the same differently (docs/sql-differences.md) the
second form is given, or these marks are used: {/} for the division of integers, which truncates in both."""
import decimal
import math
import re
import struct

from test_csv import read_strict

SUMS = re.compile(r"\b(sum|avg|ln|log|log10|log2|exp|pow|power|sqrt|cbrt|sin|cos|tan|asin|acos|atan|atan2)\s*\(")


def both(query):
    """The texts for frazil and for DuckDB."""
    if isinstance(query, tuple):
        return query
    return query.replace("{/}", "/"), query.replace("{/}", "//")


def value_of(text, kind):
    if text is None:
        return None
    if kind == "BOOLEAN":
        return {"true": True, "false": False}[text]
    if kind == "FLOAT":
        x = struct.unpack("f", struct.pack("f", float(text)))[0]
        return 0.0 if x == 0 else x
    if kind == "DOUBLE":
        x = float(text)
        return 0.0 if x == 0 else x
    if kind.endswith("INT") or kind.endswith("INTEGER") or kind.startswith("DECIMAL"):
        return decimal.Decimal(text)
    if kind == "BLOB":
        assert text.startswith("\\x")
        return bytes.fromhex(text[2:])
    return text


def peer_value(x, kind):
    if x is None:
        return None
    if kind in ("DOUBLE", "FLOAT"):
        return 0.0 if x == 0 else float(x)
    if isinstance(x, bool) or kind in ("BLOB", "VARCHAR"):
        return x
    if isinstance(x, int):
        return decimal.Decimal(x)
    return x


def same(a, b, near):
    if a is None or b is None:
        return a is b
    if isinstance(a, float):
        if math.isnan(a) or math.isnan(b):
            return math.isnan(a) and math.isnan(b)
        return a == b or (near and math.isclose(a, b, rel_tol=near, abs_tol=near))
    return a == b


def order_key(kinds):
    """Exact columns first, so that rows whose sums differ in the last digit meet their like."""
    exact = [i for i, k in enumerate(kinds) if k not in ("DOUBLE", "FLOAT")]
    order = exact + [i for i in range(len(kinds)) if i not in exact]

    def one(x):
        if x is None:
            return (2, 0)
        if isinstance(x, float) and math.isnan(x):
            return (1, 0)
        return (0, x)
    return lambda row: [one(row[i]) for i in order]


class Peer:
    def __init__(self, lake, con):
        self.lake, self.con = lake, con

    def mine(self, text, *args):
        """(rows of texts, None) or (None, error)."""
        r = self.lake.run("sql", text, "--format", "csv", *args, check=False)
        if r.returncode not in (0, 1):
            raise AssertionError(f"frazil ended with {r.returncode}: {r.stderr}\n{text}")
        return (read_strict(r.stdout)[1:], None) if r.returncode == 0 else (None, r.stderr)

    def theirs(self, text):
        """(rows, kinds, None) or (None, None, error)."""
        import duckdb
        try:
            rel = self.con.sql(text)
            kinds = [str(k) for k in rel.types]
            plain = [k in ("BOOLEAN", "DOUBLE", "FLOAT", "BLOB", "VARCHAR") or k.endswith("INT") or k.endswith("INTEGER") or k.startswith("DECIMAL")
                     for k in kinds]
            if not all(plain): # dates and times are compared as texts
                rel = self.con.sql(f"select {', '.join(('#%d' if p else '#%d::varchar') % (i + 1) for i, p in enumerate(plain))} from ({text}) ")
                kinds = [str(k) for k in rel.types]
            return rel.fetchall(), kinds, None
        except duckdb.Error as e:
            return None, None, str(e)

    def differs(self, query, ordered=None, args=(), error_free=True):
        """What is different, or None."""
        text, other = both(query)
        rows, err = self.mine(text, *args)
        want, kinds, peer_err = self.theirs(other)
        if peer_err:
            return f"DuckDB fails: {peer_err}" if rows is not None or error_free else None
        if err:
            return f"frazil fails: {err}"
        near = 1e-12 if SUMS.search(text.lower()) else 0
        try:
            got = [tuple(value_of(x, k) for x, k in zip(r, kinds, strict=True)) for r in rows]
        except (ValueError, decimal.InvalidOperation, KeyError, AssertionError) as e:
            return f"not of the types {kinds}: {e!r}: {rows[:3]}"
        want = [tuple(peer_value(x, k) for x, k in zip(r, kinds)) for r in want]
        if ordered is None:
            ordered = re.search(r"\border\s+by\b[^)]*$", text, re.I) is not None
        if not ordered:
            got, want = sorted(got, key=order_key(kinds)), sorted(want, key=order_key(kinds))
        for i, (a, b) in enumerate(zip(got, want)):
            if not all(same(x, y, near) for x, y in zip(a, b)):
                return f"row {i} of {len(got)} / {len(want)}:\n  frazil {a}\n  DuckDB {b}"
        if len(got) != len(want):
            return f"{len(got)} rows, DuckDB has {len(want)}"
        return None
