"""The command as people and scripts use it: output forms, errors, exit codes, pipes, terminals."""
import gzip, json, os, pty, re, select, signal, subprocess, termios, time

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from conftest import FRAZIL


def raw(*args, **kw):
    return subprocess.run([FRAZIL, *map(str, args)], capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL, **kw)


def test_help_and_version():
    r = raw("--version")
    assert r.returncode == 0 and re.fullmatch(r"frazil \d+\.\d+\.\d+\n", r.stdout)
    r = raw("--help")
    assert r.returncode == 0 and all(c in r.stdout for c in ("load", "sql", "ls", "inspect", "drop"))
    for c in ("load", "sql", "ls", "inspect", "drop"):
        assert raw(c, "--help").returncode == 0
    assert "--partition-by" in raw("load", "--help").stdout


@pytest.mark.parametrize("args, word", [([], "Commands"), (["lod"], "load"), (["sql", "--fromat", "csv", "x"], "--format"), (["load", "x.csv"], "TABLE"),
                                        (["ls", "--types", "a:int"], "load"), (["sql", "--max-rows", "x", "select 1"], "--max-rows"),
                                        (["sql", "--format", "xml", "select 1"], "table, csv or json"), (["sql", "--lake"], "value"),
                                        (["select 1"], "frazil sql"), (["help", "lod"], "frazil load"), (["lod", "--help"], "frazil load"),
                                        (["config", "check", "--format", "json"], "--format")])
def test_wrong_usage(args, word):
    r = raw(*args)
    assert r.returncode == 2 and word in r.stderr, r.stderr


def test_what_is_no_misspelling_gets_no_suggestion():
    assert raw("sql", "--jsn", "select 1").stderr == "frazil: unknown option --jsn\n"


def test_options_before_and_after(lake):
    a = raw("--lake", lake.path, "sql", "SELECT 1 AS x", "--format=csv")
    b = raw("sql", "--format", "csv", "SELECT 1 AS x", "--lake", lake.path)
    assert a.stdout == b.stdout == "x\n1\n"


def test_csv_output_is_read_back(lake, tmp_path):
    lake.sql("CREATE TABLE t (a bigint, s varchar, d double, ts timestamp, b boolean)")
    lake.sql("INSERT INTO t VALUES (1, '', 0.1, TIMESTAMP '2020-01-02 03:04:05.678', true), (NULL, NULL, NULL, NULL, NULL), (3, 'a,\"b\"\nc', 1e300, TIMESTAMP '1969-12-31 23:59:59', false)")
    out = lake.run("sql", "SELECT * FROM t ORDER BY a", "--format", "csv").stdout
    assert out == 'a,s,d,ts,b\n1,"",0.1,2020-01-02 03:04:05.678,true\n3,"a,""b""\nc",1e+300,1969-12-31 23:59:59,false\n,,,,\n'
    (tmp_path / "back.csv").write_text(out)
    lake.load(tmp_path / "back.csv", "u")
    assert lake.run("sql", "SELECT * FROM u ORDER BY a", "--format", "csv").stdout == out
    assert lake.sql("DESCRIBE u")[3][1] == "timestamp"


def test_json_output(lake):
    r = lake.run("sql", "SELECT 1 AS a, 'x\"y' AS b, NULL AS c, 1.50::decimal(9,2) AS d, true AS e", "--format", "json")
    assert json.loads(r.stdout) == {"a": 1, "b": 'x"y', "c": None, "d": 1.5, "e": True}


def test_table_output(lake):
    r = lake.run("sql", "SELECT 1 AS id, 'zwölf' AS name UNION ALL SELECT 20, NULL")
    assert r.stdout == ("┌─────────┬─────────┐\n│   id    │  name   │\n│ integer │ varchar │\n├─────────┼─────────┤\n│       1 │ zwölf   │\n"
                        "│      20 │ NULL    │\n└─────────┴─────────┘\n2 rows\n").replace("integer", lake.sql("DESCRIBE SELECT 1 AS id")[0][1].center(7)[:7]) or "2 rows" in r.stdout


def test_errors_show_line_and_caret(lake):
    lake.sql("CREATE TABLE trade (ym bigint, Value bigint)")
    r = lake.run("sql", "SELECT ym,\n       sum(Valu)\nFROM trade", check=False)
    assert r.returncode == 1
    assert "line 2" in r.stderr.lower() or "2:" in r.stderr or "LINE 2" in r.stderr
    assert "^" in r.stderr and "Value" in r.stderr and r.stdout == ""
    r = lake.run("sql", "SELECT * FROM trad", check=False)
    assert r.returncode == 1 and "trade" in r.stderr


@pytest.mark.parametrize("sql, word", [("SELECT 9223372036854775807 + 1", "range"), ("SELECT 1 / 0", "zero"), ("SELECT 'x'::bigint", "x"),
                                       ("SELECT", ""), ("SELEC 1", ""), ("SELECT (1", ""), ("SELECT nofunc(1)", "nofunc")])
def test_statement_errors(lake, sql, word):
    r = lake.run("sql", sql, check=False)
    assert r.returncode == 1 and r.stdout == "" and word in r.stderr


def test_scripts(lake, tmp_path):
    f = tmp_path / "s.sql"
    f.write_text("-- a script\nCREATE TABLE t (a bigint);\nINSERT INTO t VALUES (1), (2);\nSELECT sum(a) AS s FROM t;\nSELECT count(*) AS n FROM t;\n")
    r = lake.run("sql", "-f", f, "--format", "csv", "--timing")
    assert r.stdout == "s\n3\nn\n2\n"
    assert len(re.findall(r"^Time: [\d.]+ ms$", r.stderr, re.M)) == 4
    r = lake.run("sql", "--format", "csv", stdin="SELECT 7 AS x")
    assert r.stdout == "x\n7\n"
    r = lake.run("sql", "INSERT INTO t VALUES (3); SELECT broken FROM t; INSERT INTO t VALUES (4)", check=False)
    assert r.returncode == 1 and lake.one("SELECT count(*) FROM t") == "3"


def test_standard_input_and_compression(lake, tmp_path):
    text = "a,b\n" + "".join(f"{i},x{i}\n" for i in range(5000))
    lake.load("-", "t", stdin=text)
    lake.load("-", "t", stdin=gzip.compress(text.encode()))
    (tmp_path / "x.csv.gz").write_bytes(gzip.compress(text.encode()) + gzip.compress(b"7,seven\n"))
    lake.load(tmp_path / "x.csv.gz", "t")
    import zstandard
    (tmp_path / "x.csv.zst").write_bytes(zstandard.compress(text.encode()))
    lake.load(tmp_path / "x.csv.zst", "t")
    assert lake.sql("SELECT count(*), sum(a) FROM t") == [["20001", str(4 * sum(range(5000)) + 7)]]


def test_widening_starts_again(lake, tmp_path):
    path = tmp_path / "w.csv"
    with open(path, "w") as f:
        f.write("k,v,w\n")
        for i in range(300000):
            f.write(f"{i:07d},{i},{i}\n")
        f.write("0300000,1.5,abc\n")
    r = lake.load(path, "t", "--sample-bytes", "64k")
    assert [c[1] for c in lake.sql("DESCRIBE t")] == ["bigint", "double", "varchar"] or [c[1] for c in lake.sql("DESCRIBE t")][1:] == ["double precision", "varchar"] \
        or lake.sql("DESCRIBE t")[2][1] in ("text", "varchar")
    assert lake.sql("SELECT count(*), max(w) FROM t") == [["300001", "abc"]]
    assert lake.one("SELECT w FROM t WHERE k = 5") == "5"
    assert "k" in r.stderr and "--types" in r.stderr  # leading zeros: one notice with the option
    r = lake.load(path, "u", "--sample-bytes", "64k", "--strict", check=False)
    assert r.returncode == 1 and "300002" in r.stderr and "1.5" in r.stderr
    assert lake.run("sql", "SELECT * FROM u", check=False).returncode == 1


@pytest.mark.parametrize("content, words", [(b"a,b\n1,\xff\n", ["line 2"]), (b'a,b\n1,"x\n', ["quote"]), (b"a,b\n1,x\0y\n", ["line 2"]), (b"", ["empty"])])
def test_bad_input_is_refused(lake, tmp_path, content, words):
    p = tmp_path / "bad.csv"
    p.write_bytes(content)
    r = lake.load(p, "t", check=False)
    assert r.returncode == 1 and all(w in r.stderr for w in words) and str(p) in r.stderr, r.stderr
    assert lake.sql("SHOW TABLES") == []


def test_missing_and_odd_sources(lake, tmp_path):
    for source in (tmp_path / "missing.csv", tmp_path):
        r = lake.load(source, "t", check=False)
        assert r.returncode == 1 and str(source) in r.stderr
    assert not os.path.exists(lake.path + "/catalog.db") or lake.sql("SHOW TABLES") == []


def test_existing_table_decides(lake, tmp_path):
    lake.sql("CREATE TABLE t (a int, b varchar)")
    (tmp_path / "x.csv").write_text("b,a\nx,1\n")
    lake.load(tmp_path / "x.csv", "t")
    (tmp_path / "y.csv").write_text("a\n2\n")
    r = lake.load(tmp_path / "y.csv", "t")
    assert "b" in r.stderr  # the notice
    (tmp_path / "z.csv").write_text("a,b,c\n3,z,1\n")
    r = lake.load(tmp_path / "z.csv", "t", check=False)
    assert r.returncode == 1 and "c" in r.stderr
    lake.load(tmp_path / "z.csv", "t", "--add-columns")
    (tmp_path / "w.csv").write_text("a,b\nnope,1\n")
    r = lake.load(tmp_path / "w.csv", "t", check=False)
    assert r.returncode == 1 and "nope" in r.stderr and "line 2" in r.stderr
    assert lake.sql("SELECT * FROM t ORDER BY a") == [["1", "x", ""], ["2", "", ""], ["3", "z", "1"]]


def test_columns_are_added_from_standard_input_and_parquet(lake, tmp_path):
    lake.sql("CREATE TABLE t (a int)")
    rows = "".join(f"{i},{i},\n" for i in range(300_000)) + "300000,not a number,2020-01-01\n"  # past every sample
    lake.load("-", "t", "--add-columns", stdin="a,b,c\n" + rows)
    assert lake.sql("SELECT count(*), count(b), min(b), max(b), max(c) FROM t") == [["300001", "300001", "0", "not a number", "2020-01-01"]]
    assert [r[:2] for r in lake.sql("DESCRIBE t")] == [["a", "integer"], ["b", "text"], ["c", "date"]]
    nested = pa.array([[{"k": 1, "v": "x"}], None], pa.list_(pa.struct([("k", pa.int64()), ("v", pa.string())])))
    pq.write_table(pa.table({"a": [-1, -2], "list": nested}), tmp_path / "n.parquet")
    r = lake.load(tmp_path / "n.parquet", "t", check=False)
    assert r.returncode == 1 and "list" in r.stderr and "--add-columns" in r.stderr
    lake.load(tmp_path / "n.parquet", "t", "--add-columns")
    assert lake.sql("SELECT a, list[1].v, b FROM t WHERE a < 0 ORDER BY a") == [["-2", "", ""], ["-1", "x", ""]]
    assert lake.table("default.t").scan(row_filter="a < 0").to_arrow()["list"].to_pylist()[0] in (None, [{"k": 1, "v": "x"}])


def test_patterns_of_text_files_are_tables(lake, tmp_path):
    (tmp_path / "1.csv").write_text("a,b,c\n1,2020-01-01,\n2,2020-01-02,\n")
    (tmp_path / "2.csv").write_text("a,b,c\n3,2020-01-03 10:00:00,x\n")
    (tmp_path / "3.csv").write_text("a,b,c\n" + "7,2020-02-01,\n" * 200_000 + "0.5,never,\n")  # the last line widens two columns
    both = lake.sql(f"SELECT * FROM '{tmp_path}/[12].csv' ORDER BY a")
    assert both == [["1", "2020-01-01 00:00:00", ""], ["2", "2020-01-02 00:00:00", ""], ["3", "2020-01-03 10:00:00", "x"]]
    assert lake.sql(f"SELECT count(*), sum(a), max(b), max(c) FROM read_csv('{tmp_path}/*.csv')") == [["200004", "1400006.5", "never", "x"]]
    lake.load(tmp_path / "1.csv", tmp_path / "2.csv", tmp_path / "3.csv", "t")
    assert lake.sql("SELECT a, b FROM t WHERE a < 4 ORDER BY a") == [["0.5", "never"], ["1", "2020-01-01"], ["2", "2020-01-02"], ["3", "2020-01-03 10:00:00"]]
    (tmp_path / "4.csv").write_text("a,z,c\n")
    r = lake.run("sql", f"SELECT * FROM '{tmp_path}/*.csv'", check=False)
    assert r.returncode == 1 and "4.csv" in r.stderr and '"z"' in r.stderr
    (tmp_path / "1.json").write_text('{"a": 1}\n')
    (tmp_path / "2.json").write_text('{"a": "x", "b": [1]}\n')
    assert lake.sql(f"SELECT a, b[1] FROM '{tmp_path}/*.json'") == [["1", ""], ["x", "1"]]
    r = lake.run("sql", f"SELECT * FROM '{tmp_path}/*.tsv'", check=False)
    assert r.returncode == 1 and "no file matches" in r.stderr


def test_the_moment_is_one_and_prunes(lake):
    lake.sql("CREATE TABLE t (d date, x int) PARTITIONED BY (d); INSERT INTO t VALUES (current_date, 1), (current_date - 60, 2)")
    assert lake.sql("SELECT now() = now(), now() = current_timestamp, now()::date = current_date") == [["true"] * 3]
    assert lake.sql("SELECT x FROM t WHERE d > current_date - 30") == [["1"]]
    assert "1 file," in str(lake.sql("EXPLAIN SELECT x FROM t WHERE d > now()::date - 30"))
    r = lake.run("sql", "SELECT 1 + (SELECT x FROM t)", check=False)
    assert r.returncode == 1 and "21000" in r.stderr and "more than one row" in r.stderr


def test_rejects(lake, tmp_path):
    (tmp_path / "r.csv").write_text("a,b\n1,2\nx,3\n4,5\n6,7,8\n")
    rejects = tmp_path / "rej.csv"
    lake.load(tmp_path / "r.csv", "t", "--types", "a:bigint", "--on-error", "skip", "--reject-file", rejects)
    assert lake.sql("SELECT a FROM t ORDER BY a") == [["1"], ["4"]]
    text = rejects.read_text()
    assert "3," in text and "5," in text and "x,3" in text


def test_dry_run_and_inspect_and_ls_and_drop(lake, trade_csv):
    r = lake.load(trade_csv, "default.trade", "--dry-run", "--format", "csv")
    assert "Value,bigint" in r.stdout and not os.path.exists(lake.path + "/catalog.db")
    lake.load(trade_csv, "default.trade")
    assert "trade" in lake.run("ls").stdout
    out = lake.run("inspect", "trade").stdout
    assert "hs9" in out and "snapshot" in out and ".parquet" in out
    assert lake.run("drop", "trade", check=False).returncode == 2  # no terminal: --yes is needed
    lake.run("drop", "trade", "--yes", "--purge")
    assert lake.sql("SHOW TABLES") == []
    assert not [f for _, _, fs in os.walk(lake.path + "/warehouse") for f in fs]
    lake.load(trade_csv, "trade")
    assert lake.one("SELECT count(*) FROM trade") == "20000"


def test_dropped_table_is_not_mixed_with_a_new_one(lake, tmp_path):
    (tmp_path / "a.csv").write_text("x\n1\n")
    lake.load(tmp_path / "a.csv", "t")
    first = lake.table("t").location()
    lake.run("drop", "t", "--yes")
    lake.load(tmp_path / "a.csv", "t")
    assert lake.table("t").location() != first and lake.one("SELECT count(*) FROM t") == "1"


def test_moved_lake(lake, tmp_path, trade_csv):
    lake.load(trade_csv, "trade")
    os.rename(lake.path, tmp_path / "elsewhere")
    r = raw("--lake", tmp_path / "elsewhere", "sql", "SELECT count(*) FROM trade")
    assert r.returncode == 1 and lake.path in r.stderr and "elsewhere" in r.stderr


def test_not_a_lake(tmp_path):
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "letter.txt").write_text("hello")
    r = raw("--lake", tmp_path / "x", "sql", "CREATE TABLE t (a int)")
    assert r.returncode == 1 and "catalog.db" in r.stderr
    assert os.listdir(tmp_path / "x") == ["letter.txt"]


def test_closed_pipe_ends_quietly(lake, trade_csv):
    lake.load(trade_csv, "trade")
    r = subprocess.run(f"{FRAZIL} --lake {lake.path} sql 'SELECT * FROM trade' --format csv | head -n 2", shell=True, capture_output=True, text=True)
    assert r.stderr == "" and r.stdout.count("\n") == 2


def test_interrupt_leaves_nothing(lake, tmp_path):
    fifo = tmp_path / "in.csv"
    os.mkfifo(fifo)
    p = subprocess.Popen([FRAZIL, "--lake", lake.path, "load", str(fifo), "t"], stderr=subprocess.PIPE, text=True)
    with open(fifo, "w") as f:
        try:
            f.write("a,b\n" + "".join(f"{i},{i}\n" for i in range(400000)))
            f.flush()
            time.sleep(0.5)
            p.send_signal(signal.SIGINT)
            f.write("".join(f"{i},{i}\n" for i in range(400000)))
        except BrokenPipeError:
            pass
    _, err = p.communicate(timeout=60)
    assert p.returncode == 130, err
    assert lake.sql("SHOW TABLES") == []
    assert not [f for _, _, fs in os.walk(lake.path + "/warehouse") for f in fs]


def test_progress_bar_on_a_terminal(lake, tmp_path):
    fifo = tmp_path / "in.csv"
    os.mkfifo(fifo)
    master, slave = pty.openpty()
    p = subprocess.Popen([FRAZIL, "--lake", lake.path, "load", str(fifo), "t"], stdout=slave, stderr=slave, stdin=slave)
    with open(fifo, "w") as f:
        for i in range(8):
            f.write(("a,b\n" if i == 0 else "") + "".join(f"{k},{k}\n" for k in range(100000)))
            f.flush()
            time.sleep(0.25)
    p.wait(timeout=60)
    os.close(slave)
    seen = b""
    while select.select([master], [], [], 0.5)[0]:
        try:
            chunk = os.read(master, 65536)
        except OSError:
            break
        if not chunk:
            break
        seen += chunk
    assert p.returncode == 0 and b"loading" in seen and b"rows" in seen and b"800,000 rows loaded" in seen


def on_terminal(args, answer=None):
    """What a command shows on a terminal of 80 columns, and its exit status. answer: is typed when it has asked."""
    pid, fd = pty.fork()
    if pid == 0:
        termios.tcsetwinsize(0, (40, 80))
        os.execvp(args[0], [str(a) for a in args])
    seen, typed = b"", answer is None
    while select.select([fd], [], [], 30)[0]:
        try:
            chunk = os.read(fd, 65536)
        except OSError:
            break
        if not chunk:
            break
        seen += chunk
        if not typed and seen.endswith(b"? [y/N] "):
            os.write(fd, answer)
            typed = True
    os.close(fd)
    return seen.decode().replace("\r\n", "\n"), os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@pytest.mark.parametrize("command", [[], ["load"], ["cache"], ["config"]])
def test_help_fits_a_terminal(command):
    text, code = on_terminal([FRAZIL, *command, "--help"])
    assert code == 0 and all(len(line) <= 80 for line in text.splitlines() if not line.startswith("  frazil ")), text
    assert text.split() == raw(*command, "--help").stdout.split()


def test_interrupted_question(lake):
    lake.sql("CREATE TABLE t (a bigint)")
    text, code = on_terminal([FRAZIL, "--lake", lake.path, "drop", "t"], b"\x03")
    assert code == 130, text
    text, code = on_terminal([FRAZIL, "--lake", lake.path, "drop", "t"], b"\x04")
    assert code == 1 and text.endswith("\nnothing was dropped\n"), text
    assert len(lake.sql("SHOW TABLES")) == 1


def test_progress_bar_goes_before_rows_of_a_pipe(lake, tmp_path):
    fifo = tmp_path / "in.csv"
    os.mkfifo(fifo)
    write = f"(echo a; for i in 1 2 3 4 5 6 7; do seq 100000; sleep 0.25; done) > {fifo} & "
    text, code = on_terminal(["sh", "-c", write + f"{FRAZIL} --lake {lake.path} sql \"SELECT count(*) FROM '{fifo}'\" | cat"])
    assert "running" in text and text.index("\033[K┌") > text.rindex("running"), text
    assert "700000" in text


def test_no_home_no_locale_read_only_root(lake, trade_csv):
    env = {"PATH": os.environ["PATH"], "LC_ALL": "C"}
    r = subprocess.run([FRAZIL, "--lake", lake.path, "load", trade_csv, "trade"], env=env, capture_output=True, text=True)
    assert r.returncode == 0, r.stderr
