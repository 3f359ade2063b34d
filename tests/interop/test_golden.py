"""Tables written by Spark (tests/golden) are registered, queried, and give what Spark gave: columns, types and values."""
import pytest

import golden
from frazil_arrow import FrazilError, Session

# What isn't there yet, as "table:rows" or "table:metadata" and the reason. Each has to fail (strict): who makes it work removes its line.
PENDING = {}


@pytest.fixture(scope="session")
def lake(tmp_path_factory):
    golden.unpack()
    path = str(tmp_path_factory.mktemp("golden") / "lake")
    golden.make_lake(path, golden.names())
    with Session(path) as s:
        yield s


def problems(session, name, cases):
    """What differs, a line each."""
    out = []
    for case in cases:
        sql = case["sql"].replace("{t}", f"golden.{name}")
        try:
            columns, types, rows = golden.answer(session.query(sql))
        except FrazilError as e:
            if "error" not in case:
                out.append(f"{sql}\n    {e}")
            elif case["error"].lower() not in str(e).lower():
                out.append(f"{sql}\n    refused as it should be, but not for {case['error']}: {e}")
            continue
        if "error" in case:
            out.append(f"{sql}\n    should have been refused for {case['error']}")
            continue
        if columns != case["columns"]:
            out.append(f"{sql}\n    columns {columns}, not {case['columns']}")
        elif "types" in case and types != case["types"]:
            differ = [f"{c}: {a}, not {b}" for c, a, b in zip(columns, types, case["types"]) if a != b]
            out.append(f"{sql}\n    types: " + "; ".join(differ))
        if rows != case["rows"]:
            gone = [r for r in case["rows"] if r not in rows]
            more = [r for r in rows if r not in case["rows"]]
            out.append(f"{sql}\n    {len(rows)} rows, not {len(case['rows'])}; missing {gone[:3]}; unexpected {more[:3]}")
    return out


def cases_of(kind):
    for name in golden.names():
        reason = PENDING.get(f"{name}:{kind}")
        yield pytest.param(name, marks=pytest.mark.xfail(reason=reason, strict=True)) if reason else name


@pytest.mark.parametrize("name", list(cases_of("rows")))
def test_rows(lake, name):
    bad = problems(lake, name, golden.read(name)["cases"])
    assert not bad, f"{len(bad)} differences:\n" + "\n".join(bad[:20])


@pytest.mark.parametrize("name", list(cases_of("metadata")))
def test_metadata_tables(lake, name):
    cases = golden.metadata_cases(name)
    if not cases:
        pytest.skip("none kept")
    bad = problems(lake, name, cases)
    assert not bad, f"{len(bad)} differences:\n" + "\n".join(bad[:20])
