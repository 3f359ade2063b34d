"""JSON files as rows: random nested records against what Python's json reads and against DuckDB's read_json; loads, widening, standard input."""
import gzip
import json
import random
import string

import pytest

pa = pytest.importorskip("pyarrow")
duckdb = pytest.importorskip("duckdb")
from frazil_arrow import FrazilError, Session  # noqa: E402


@pytest.fixture
def session(tmp_path):
    with Session(tmp_path / "lake") as s:
        yield s


def make_type(rng, depth=0):
    kinds = ["int", "double", "bool", "text", "date", "stamp"] + (["list", "struct"] * 2 if depth < 3 else [])
    kind = rng.choice(kinds)
    if kind == "list":
        return ("list", make_type(rng, depth + 1))
    if kind == "struct":
        return ("struct", {f"{rng.choice(string.ascii_lowercase)}{i}": make_type(rng, depth + 1) for i in range(rng.randint(1, 5))})
    return (kind,)


def make_value(rng, t, fixed=False):
    if not fixed and rng.random() < 0.15:
        return None
    kind = t[0]
    if kind == "int":
        return rng.choice([0, -1, 7, rng.randint(-2**31, 2**31), rng.randint(-2**63, 2**63 - 1), rng.randint(0, 10**16)])
    if kind == "double":
        return rng.choice([0.5, -1.25e-7, 3e100, rng.random(), rng.uniform(-1e6, 1e6)])
    if kind == "bool":
        return rng.random() < 0.5
    if kind == "text":
        return "".join(rng.choice('ab"\\\n\t/é€😀 {}[],:') for _ in range(rng.randint(0, 20))) + "x"
    if kind == "date":
        return f"20{rng.randint(10, 30)}-0{rng.randint(1, 9)}-1{rng.randint(0, 9)}"
    if kind == "stamp":
        return f"2021-03-0{rng.randint(1, 9)} 1{rng.randint(0, 9)}:00:0{rng.randint(0, 9)}"
    if kind == "list":
        return [make_value(rng, t[1]) for _ in range(rng.randint(0, 4))]
    keys = list(t[1])
    if rng.random() < 0.2:
        rng.shuffle(keys)
    return {k: make_value(rng, t[1][k]) for k in keys if fixed or rng.random() < 0.9}


def whole(rng, t):
    """A value without gaps, so that every reader sees every member."""
    if t[0] == "list":
        return [whole(rng, t[1])]
    if t[0] == "struct":
        return {k: whole(rng, v) for k, v in t[1].items()}
    return make_value(rng, t, fixed=True)


def wanted(v, t):
    """As it comes out of Arrow: all members, texts of dates as texts."""
    if v is None:
        return None
    if t[0] == "list":
        return [wanted(x, t[1]) for x in v]
    if t[0] == "struct":
        return {k: wanted(v.get(k), x) for k, x in t[1].items()}
    return v


def plain(v):
    """Dates and timestamps as the texts that they came from."""
    if isinstance(v, dict):
        return {k: plain(x) for k, x in v.items()}
    if isinstance(v, list):
        return [plain(x) for x in v]
    if hasattr(v, "isoformat"):
        return v.isoformat(" ") if hasattr(v, "hour") else v.isoformat()
    return v


def dump(rng, records, layout, path):
    ascii_only = rng.random() < 0.5
    if layout == "lines":
        text = "".join(json.dumps(r, ensure_ascii=ascii_only, separators=rng.choice([(",", ":"), (", ", ": ")])) + "\n" for r in records)
    elif layout == "array":
        text = json.dumps(records, ensure_ascii=ascii_only, indent=rng.choice([None, 1]))
    else:
        text = "\n".join(json.dumps(r, ensure_ascii=ascii_only, indent=2) for r in records)
    path.write_text(text, encoding="utf-8")


@pytest.mark.parametrize("seed", range(24))
def test_random_records(session, tmp_path, seed):
    rng = random.Random(seed)
    t = ("struct", {f"c{i}": make_type(rng) for i in range(rng.randint(1, 12))})
    records = [whole(rng, t)] + [make_value(rng, t, fixed=False) or {} for _ in range(rng.choice([3, 200, 3000]))]
    path = tmp_path / "r.json"
    layout = rng.choice(["lines", "lines", "array", "values"])
    dump(rng, records, layout, path)
    got = session.query(f"select * from '{path}'")
    want = [wanted(r, t) for r in records]
    assert got.column_names == list(t[1])
    assert [plain(r) for r in got.to_pylist()] == want
    if layout != "values" and len(records) > 4:
        how = "newline_delimited" if layout == "lines" else "array"
        duck = duckdb.sql(f"select * from read_json('{path}', format='{how}', sample_size=-1, map_inference_threshold=-1, field_appearance_threshold=0, "
                          "convert_strings_to_integers=false, maximum_object_size=100000000)").to_arrow_table()
        assert [plain(r) for r in duck.to_pylist()] == want


def test_widens_far_into_the_file(lake, tmp_path):
    path = tmp_path / "w.ndjson"
    with open(path, "w") as f:
        for i in range(60000):
            r = {"id": i, "pad": "x" * 40, "v": i, "s": {"a": i}}
            if i == 50000:
                r["v"] = 0.5
            if i == 55000:
                r["s"]["b"] = [{"deep": True}]
            if i == 59999:
                r["last"] = 2**70
            f.write(json.dumps(r) + "\n")
    assert lake.sql(f"select count(*), sum(v), max(s.a) from '{path}'") == [["60000", "1799920000.5", "59999"]]
    with Session(lake.path) as s, pytest.raises(FrazilError, match="isn't a value of type bigint"):
        s.query(f"select * from '{path}'") # rows were handed out before it
    lake.load(path, "t")
    with Session(lake.path) as s:
        got = s.query("select * from default.t")
    assert got.num_rows == 60000
    assert got.schema.field("v").type == pa.float64()
    assert got["v"][50000].as_py() == 0.5 and got["v"][59998].as_py() == 59998.0
    assert got["s"][55000].as_py() == {"a": 55000, "b": [{"deep": True}]}
    assert int(got["last"][59999].as_py()) == 2**70
    assert got["last"].null_count == 59999


def test_load_and_standard_input(lake, tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"id":1,"tags":["x","y"],"at":{"lat":1.5}}\n{"id":2,"tags":[]}\n')
    lake.load(path, "t")
    lake.load("-", "t", "--source-format", "json", stdin='[{"id":3,"at":{"lat":-2}}]')
    (tmp_path / "b.ndjson.gz").write_bytes(gzip.compress(b'{"id":4}\n'))
    lake.load(tmp_path / "b.ndjson.gz", "t")
    assert lake.sql("select id, tags, at.lat from t order by id") == [["1", "['x', 'y']", "1.5"], ["2", "[]", ""], ["3", "", "-2"], ["4", "", ""]]
    r = lake.load("-", "t", "--source-format", "json", stdin='{"id":5,"other":1}', check=False)
    assert r.returncode and 'no column "other"' in r.stderr
    r = lake.load("-", "t", "--source-format", "json", "--delimiter", ";", stdin='{"id":5}', check=False)
    assert r.returncode and "is for CSV" in r.stderr


def test_several_files_have_the_columns_of_all(lake, tmp_path):
    (tmp_path / "1.json").write_text('{"a":1,"s":{"x":1}}\n')
    (tmp_path / "2.json").write_text('{"s":{"y":"t"},"b":true,"a":0.5}\n')
    lake.load(tmp_path / "1.json", tmp_path / "2.json", "t")
    assert lake.sql("select a, s, b from t order by a") == [["0.5", "{'x': NULL, 'y': 't'}", "true"], ["1", "{'x': 1, 'y': NULL}", ""]]


def test_types_and_rejects(lake, tmp_path):
    path = tmp_path / "x.ndjson"
    path.write_text('{"id":"7","d":1.10}\n{"id":"x","d":2}\n{"id":8,\n{"id":9,"d":"3.25"}\n')
    out = tmp_path / "rejects.csv"
    lake.load(path, "t", "--types", "id:integer,d:decimal(9,2)", "--on-error", "skip", "--reject-file", out)
    assert lake.sql("select * from t order by id") == [["7", "1.10"], ["9", "3.25"]]
    lines = out.read_text().splitlines()
    assert lines[0] == "line,reason,text" and [x.split(",")[0] for x in lines[1:]] == ["2", "3"]


def test_errors_name_the_place(session, tmp_path):
    path = tmp_path / "e.json"
    path.write_text('{"a":1}\n{"a":[1,}\n')
    with pytest.raises(FrazilError, match="value is due here"):
        session.query(f"select * from '{path}'")
    (tmp_path / "f.json").write_text("{}")
    with pytest.raises(FrazilError, match="value is due here.*e.json"):
        session.query(f"select * from '{tmp_path}/*.json'")
