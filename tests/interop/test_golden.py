"""Tables written by Spark (tests/golden) are registered, queried, and give what Spark gave: columns, types and values."""
import pytest

import golden
from frazil_arrow import FrazilError, Session

# What isn't there yet, and what it failed with first. Each has to fail (strict): who makes it work removes its line.
PENDING = {
    'avro_codecs:rows': "column st: nested types can't be handed out as Arrow",
    'avro_evolved:rows': "column st: nested types can't be handed out as Arrow",
    'branches:rows': "columns ['id', 'region', 'amount', 'note'], not ['id', 'region', 'amount', 'note', 'later'",
    'codecs:rows': 'Parquet compression codec lz4_raw is not supported',
    'delete_all:rows': 'position deletes are not supported',
    'empty:rows': "column st: nested types can't be handed out as Arrow",
    'eq_dropped:rows': 'equality deletes are not supported',
    'eq_evolved:rows': 'equality deletes are not supported',
    'eq_nested:rows': "column st: nested types can't be handed out as Arrow",
    'eq_one:rows': 'equality deletes are not supported',
    'eq_partitioned:rows': 'position deletes are not supported',
    'eq_several:rows': 'equality deletes are not supported',
    'folder:rows': 'position deletes are not supported',
    'identifiers:rows': "column st: nested types can't be handed out as Arrow",
    'manifests_unmerged:rows': 'equality deletes are not supported',
    'many_columns:rows': "column st: nested types can't be handed out as Arrow",
    'mixed_deletes:rows': 'position deletes are not supported',
    'mixed_formats:rows': 'data files of format AVRO are not supported',
    'mor_merge:rows': 'position deletes are not supported',
    'name_mapping:rows': "column st: nested types can't be handed out as Arrow",
    'name_mapping_int96:rows': "column l: nested types can't be handed out as Arrow",
    'nested:rows': "column st: nested types can't be handed out as Arrow",
    'nested_evolution:rows': "column m: nested types can't be handed out as Arrow",
    'nested_struct_new:rows': "column st: nested types can't be handed out as Arrow",
    'nested_v1_avro:rows': "column st: nested types can't be handed out as Arrow",
    'orc_deletes:rows': 'refused as it should be, but not for ORC: position deletes are not supported',
    'pos_avro:rows': 'position deletes are not supported',
    'pos_file:rows': 'position deletes are not supported',
    'pos_file_partitioned:rows': 'position deletes are not supported',
    'pos_partition:rows': 'position deletes are not supported',
    'pos_partition_partitioned:rows': 'position deletes are not supported',
    'pos_rewritten:rows': 'position deletes are not supported',
    'types_uuid_fixed:rows': 'data files of format AVRO are not supported',
}


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


@pytest.mark.xfail(reason="metadata tables are being written", strict=False)
@pytest.mark.parametrize("name", list(cases_of("metadata")))
def test_metadata_tables(lake, name):
    cases = golden.metadata_cases(name)
    if not cases:
        pytest.skip("none kept")
    bad = problems(lake, name, cases)
    assert not bad, f"{len(bad)} differences:\n" + "\n".join(bad[:20])
