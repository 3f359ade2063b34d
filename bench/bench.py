#!/usr/bin/env python3
"""Measures frazil against its peers in one run on one machine, interleaved; prints medians and ratios, writes JSON.

    bench/bench.py [--rows N] [--runs N] [--quick] [MEASURE…]

Measures: load scan cold warm first arrow tpch many deletes appends writers python size (default: all). Files and lakes go to build/bench/ and are
made anew where they are missing. Peers read both frazil's files and PyIceberg's; the faster counts. Times are wall seconds of whole processes
unless the measure says "in process"; memory is the peak resident size (about 24 MB at least: what this program has when it starts another).
"""
import argparse, json, os, re, shutil, statistics as st, subprocess, sys, tempfile, time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
os.chdir(ROOT)
BUILD = os.path.join(ROOT, os.environ.get("FRAZIL_BUILD") or "build")
WORK = os.path.join(ROOT, "build", "bench")
FRAZIL = os.path.join(BUILD, "frazil")
TO_ARROW = os.path.join(BUILD, "to_arrow")
PY = os.path.join(ROOT, ".venv", "peers", "bin", "python")
PY_EXTENSIONS = os.path.join(ROOT, ".venv", "duckdb-iceberg", "bin", "python")
TABLES = os.path.join(ROOT, "bench", "make_tables.py")
PEERS = os.path.join(ROOT, "bench", "peers.py")
REPORT = "SELECT ym, sum(Value) AS Value FROM trade WHERE exp_imp = 1 GROUP BY ym ORDER BY ym"


def run(cmd, **kw):
    """(seconds, peak MB, stdout, stderr) of one process; its failure ends the benchmark."""
    out, err = tempfile.TemporaryFile(dir=WORK), tempfile.TemporaryFile(dir=WORK)
    t0 = time.perf_counter()
    p = subprocess.Popen(cmd, stdout=out, stderr=err, stdin=subprocess.DEVNULL, **kw)
    _, status, ru = os.wait4(p.pid, 0)
    secs = time.perf_counter() - t0
    p.returncode = os.waitstatus_to_exitcode(status)
    out.seek(0), err.seek(0)
    o, e = out.read().decode(), err.read().decode()
    if p.returncode:
        sys.exit(f"{' '.join(cmd)[:300]}: exit {p.returncode}\n{e[-2000:]}")
    return secs, ru.ru_maxrss / 1024, o, e


def peer(work, *args):
    return run([PY, PEERS, work, *map(str, args)])


def answer(out):
    return re.search(r"^answer (.*)$", out, re.M)[1]


def times(out):
    return [float(x) for x in re.findall(r"^time (.*)$", out, re.M)]


def fresh(path):
    shutil.rmtree(path, ignore_errors=True)
    return path


def size_of(path):
    return sum(os.path.getsize(os.path.join(d, f)) for d, _, fs in os.walk(path) for f in fs if f.endswith(".parquet")) / 1e6


class Bench:
    def __init__(self, a):
        self.a = a
        self.results = {}
        self.csv = os.path.join(WORK, f"trade-{a.rows}.csv")
        if not os.path.exists(self.csv):
            subprocess.run([os.path.join(ROOT, "build", "gen_trade"), str(a.rows), self.csv + ".part"], check=True)
            os.rename(self.csv + ".part", self.csv)
        subprocess.run(["cat", self.csv], stdout=subprocess.DEVNULL)  # into the page cache
        self.ours = os.path.join(WORK, f"lake-frazil-{a.rows}")
        self.theirs = os.path.join(WORK, f"lake-pyiceberg-{a.rows}")

    def lakes(self):
        if not os.path.exists(self.ours):
            run([FRAZIL, "--lake", self.ours, "load", self.csv, "trade", "--quiet"])
        if not os.path.exists(self.theirs):
            peer("load_pyiceberg", self.csv, self.theirs)
        for lake in (self.ours, self.theirs):
            for d, _, fs in os.walk(lake):
                for f in fs:  # not read in here: a child starts with this process's peak memory as its own
                    subprocess.run(["cat", os.path.join(d, f)], stdout=subprocess.DEVNULL)

    def interleave(self, name, contestants, runs=None):
        """contestants: {label: fn() -> dict of numbers}. Runs them in turns; keeps all, reports medians."""
        got = {k: [] for k in contestants}
        for i in range((runs or self.a.runs) + 1):
            for label, fn in contestants.items():
                r = fn()
                if i or (runs or self.a.runs) == 1:  # the first round warms up
                    got[label].append(r)
            if (runs or self.a.runs) == 1:
                break
        med = {k: {f: st.median(r[f] for r in rs) for f in rs[0]} for k, rs in got.items()}
        self.results[name] = {"median": med, "runs": got}
        print(f"\n{name}")
        base = med["frazil"]
        for label, m in med.items():
            line = f"  {label:40}" + "".join(f"{f} {v:12.4f}  " for f, v in m.items())
            if label != "frazil":
                line += "  frazil is at " + ", ".join(f"{base[f] / m[f]:.3f} of its {f}" for f in m if f in base and m[f])
            print(line, flush=True)

    def load(self):
        def ours():
            lake = fresh(os.path.join(WORK, "l1"))
            s, mb, *_ = run([FRAZIL, "--lake", lake, "load", self.csv, "trade", "--quiet"])
            return {"s": s, "peak_MB": mb, "written_MB": size_of(lake)}

        def other(work):
            def go():
                lake = fresh(os.path.join(WORK, "l2"))
                s, mb, *_ = peer(work, self.csv, lake)
                return {"s": s, "peak_MB": mb, "written_MB": size_of(lake)}
            return go
        self.interleave("load (CSV file to table)", {"frazil": ours, "PyArrow + PyIceberg": other("load_pyiceberg"),
                        "Polars sink_iceberg": other("load_polars_iceberg"), "Polars to plain Parquet": other("load_polars_parquet")})

    def scan(self):
        cols = open(self.csv).readline().strip().split(",")
        q = "SELECT " + ", ".join(f"sum({c})" for c in cols) + f" FROM '{self.csv}'"
        seen = {}

        def ours():
            s, mb, o, _ = run([FRAZIL, "sql", q, "--format", "csv", "--quiet"])
            seen["frazil"] = [int(x) for x in o.splitlines()[1].split(",")]
            return {"s": s, "peak_MB": mb}

        def other(work):
            def go():
                s, mb, o, _ = peer(work, self.csv)
                seen[work] = json.loads(answer(o))
                return {"s": s, "peak_MB": mb}
            return go
        self.interleave("CSV scan (sum of all columns)", {"frazil": ours, "PyArrow": other("scan_pyarrow"), "Polars": other("scan_polars"),
                        "DuckDB": other("scan_duckdb")})
        assert all(v == seen["frazil"] for v in seen.values()), f"answers differ: {seen}"

    def answers(self, seen, out):
        rows = [l.split(",") for l in out.splitlines()[1:]]
        seen.add(f"{len(rows)} {sum(int(r[1]) for r in rows)}")

    def cold(self):
        self.lakes()
        seen = set()

        def ours():
            s, mb, o, _ = run([FRAZIL, "--lake", self.ours, "sql", REPORT, "--format", "csv", "--quiet"])
            self.answers(seen, o)
            return {"s": s, "peak_MB": mb}

        def other(work, lake):
            def go():
                s, mb, o, _ = peer(work, lake)
                seen.add(answer(o))
                return {"s": s, "peak_MB": mb}
            return go
        c = {"frazil": ours}
        for label, work in (("DataFusion", "report_datafusion"), ("DuckDB over Parquet", "report_duckdb"), ("PyIceberg + Polars", "report_polars")):
            for where, lake in (("frazil's files", self.ours), ("PyIceberg's files", self.theirs)):
                c[f"{label}, {where}"] = other(work, lake)
        self.interleave("report, cold (whole process)", c)
        assert len(seen) == 1, f"answers differ: {seen}"

    def warm(self):
        self.lakes()
        n = 15

        def ours():
            *_, e = run([FRAZIL, "--lake", self.ours, "sql", "; ".join([REPORT] * n), "--format", "csv", "--quiet", "--timing"])
            return {"s": st.median([float(x) / 1e3 for x in re.findall(r"Time: ([\d.]+) ms", e)][3:])}

        def other(work, lake):
            return lambda: {"s": st.median(times(peer(work, lake, n)[2])[3:])}
        c = {"frazil": ours}
        for label, work in (("DuckDB over Parquet", "report_duckdb"), ("DataFusion", "report_datafusion"), ("Polars", "report_polars")):
            for where, lake in (("frazil's files", self.ours), ("PyIceberg's files", self.theirs)):
                c[f"{label}, {where}"] = other(work, lake)
        self.interleave("report, warm (in process)", c)

    def first(self):
        self.lakes()

        def ours():
            s, mb, *_ = run([FRAZIL, "--lake", self.ours, "sql", "SELECT * FROM trade LIMIT 1", "--format", "csv", "--quiet"])
            return {"s": s, "peak_MB": mb}

        def other(work):
            def go():
                s, mb, *_ = peer(work, self.ours)
                return {"s": s, "peak_MB": mb}
            return go
        self.interleave("exec to first row of LIMIT 1", {"frazil": ours, "DuckDB": other("first_duckdb"), "PyIceberg": other("first_pyiceberg")},
                        runs=2 * self.a.runs)

    def in_process(self, seen, *cmd):
        """{"s", "peak_MB"} of a process that times one piece of work itself."""
        s, mb, o, _ = run(list(map(str, cmd)))
        seen.add(answer(o))
        return {"s": st.median(times(o)), "peak_MB": mb}

    def arrow(self):
        """The whole table as Arrow arrays that are kept; and as a stream whose arrays aren't."""
        self.lakes()
        for name, keep, peers in (("table to Arrow (in process)", "keep", ("arrow_polars", "arrow_pyiceberg")),
                                  ("table as an Arrow stream (in process)", "stream", ("stream_polars", "stream_pyiceberg"))):
            seen = set()
            c = {"frazil": lambda: self.in_process(seen, TO_ARROW, self.ours, "SELECT * FROM trade", 1, keep)}
            for work in peers:
                for where, lake in (("frazil's files", self.ours), ("PyIceberg's files", self.theirs)):
                    c[f"{ {'polars': 'Polars', 'pyiceberg': 'PyIceberg'}[work.split('_')[1]]}, {where}"] = (
                        lambda work=work, lake=lake: self.in_process(seen, PY, PEERS, work, lake))
            self.interleave(name, c)
            assert len(seen) == 1, f"answers differ: {seen}"

    def tpch(self):
        """Parquet files of TPC-H's tables as other programs write them, to Arrow arrays."""
        files = os.path.join(WORK, "tpch" if not self.a.quick else "tpch-0.1")
        if not os.path.exists(files):
            run([PY_EXTENSIONS, PEERS, "tpch_files", files + ".part", "0.1" if self.a.quick else "1"])
            os.rename(files + ".part", files)
        for writer in sorted(os.listdir(files)):
            for f in sorted(os.listdir(os.path.join(files, writer))):
                path = os.path.join(files, writer, f)
                if os.path.getsize(path) < 100000:  # nation, region
                    continue
                subprocess.run(["cat", path], stdout=subprocess.DEVNULL)
                seen = set()
                self.interleave(f"TPC-H {f} by {writer} to Arrow (in process)", {
                    "frazil": lambda: self.in_process(seen, TO_ARROW, os.path.join(WORK, "none"), f"SELECT * FROM '{path}'", 1, "keep"),
                    "PyArrow": lambda: self.in_process(seen, PY, PEERS, "parquet_pyarrow", path),
                    "Polars": lambda: self.in_process(seen, PY, PEERS, "parquet_polars", path)})
                assert len(seen) == 1, f"answers differ: {seen}"

    def many(self):
        """One file of many, by a selective filter: planning, mostly."""
        q = "SELECT sum(id) FROM many WHERE p = 7 AND id BETWEEN 705 AND 710"
        for n in (10000,) if self.a.quick else (10000, 100000):
            lake = os.path.join(WORK, f"lake-many-{n}")
            if not os.path.exists(lake):
                run([PY, TABLES, "many", lake, str(n)])
            seen = set()

            def ours():
                s, mb, o, _ = run([FRAZIL, "--lake", lake, "sql", q, "--format", "csv", "--quiet"])
                seen.add(o.split()[1])
                return {"s": s, "peak_MB": mb}

            def inside(python, work):  # cold in a process that has everything imported
                s, mb, o, _ = run([python, PEERS, work, lake, "1"])
                seen.add(answer(o))
                return {"s": times(o)[0], "peak_MB": mb}
            self.interleave(f"1 file of {n:,}, cold (frazil: whole process; others: without their imports)", {
                "frazil": ours, "Polars": lambda: inside(PY, "many_polars"), "DuckDB": lambda: inside(PY_EXTENSIONS, "many_duckdb"),
                "PyIceberg": lambda: inside(PY, "many_pyiceberg")})

            def warm(*cmd):
                t = times(run(list(map(str, cmd)))[2])
                return {"s": st.median(t[2:])}
            self.interleave(f"1 file of {n:,}, warm (in process)", {
                "frazil": lambda: warm(TO_ARROW, lake, q, 12), "Polars": lambda: warm(PY, PEERS, "many_polars", lake, 7),
                "DuckDB": lambda: warm(PY_EXTENSIONS, PEERS, "many_duckdb", lake, 5), "PyIceberg": lambda: warm(PY, PEERS, "many_pyiceberg", lake, 4)})
            assert len(seen) == 1, f"answers differ: {seen}"

    def deletes(self):
        """The trade table with 1 % of its rows deleted by position, against the same without."""
        self.lakes()
        lake = os.path.join(WORK, f"lake-deletes-{self.a.rows}")
        if not os.path.exists(lake):
            run([FRAZIL, "--lake", lake, "load", self.csv, "trade", "--quiet"])
            run([PY, TABLES, "deletes", lake, "trade", "1"])
        for name, q in (("all columns as an Arrow stream", "SELECT * FROM trade"), ("sums by country", "SELECT Country, sum(Value) FROM trade GROUP BY Country"),
                        ("two sums", "SELECT sum(Value), sum(Q2) FROM trade")):
            def scan(lake):
                return {"s": st.median(times(run([TO_ARROW, lake, q, "7"])[2])[2:])}
            self.interleave(f"1 % position deletes: {name} (in process)", {"frazil": lambda: scan(lake), "frazil, no deletes": lambda: scan(self.ours)})

    def appends(self):
        n = 60 if self.a.quick else 500

        def summary(t):
            return {"per_s": len(t) / sum(t), "first_s": st.median(t[10:30]), "last_s": st.median(t[-20:]), "last/first": st.median(t[-20:]) / st.median(t[10:30])}

        def ours():
            lake = fresh(os.path.join(WORK, "a1"))
            run([FRAZIL, "--lake", lake, "sql", "CREATE TABLE t (id bigint, v varchar)", "--quiet"])
            sql = os.path.join(WORK, "appends.sql")
            open(sql, "w").write("INSERT INTO t VALUES (1, 'x');\n" * n)
            *_, e = run([FRAZIL, "--lake", lake, "sql", "-f", sql, "--quiet", "--timing"])
            return summary([float(x) / 1e3 for x in re.findall(r"Time: ([\d.]+) ms", e)])
        self.interleave(f"{n} one-row appends (in process)", {"frazil": ours,
                        "PyIceberg": lambda: summary(times(peer("appends_pyiceberg", fresh(os.path.join(WORK, "a2")), n)[2]))}, runs=1)

    def writers(self):
        def race(cmds):
            t0 = time.perf_counter()
            ps = [subprocess.Popen(c, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for c in cmds]
            outs = [p.communicate() for p in ps]
            return time.perf_counter() - t0, outs, [p.returncode for p in ps]

        def ours():
            lake = fresh(os.path.join(WORK, "w1"))
            run([FRAZIL, "--lake", lake, "sql", "CREATE TABLE t (id bigint, v varchar)", "--quiet"])
            s, _, codes = race([[FRAZIL, "--lake", lake, "sql", "; ".join(["INSERT INTO t VALUES (1, 'x')"] * 25), "--quiet"]] * 8)
            rows = int(run([FRAZIL, "--lake", lake, "sql", "SELECT count(*) FROM t", "--format", "csv"])[2].split()[1])
            return {"commits_per_s": rows / s, "failed": 200 - rows + sum(c != 0 for c in codes)}

        def pyiceberg():
            lake = fresh(os.path.join(WORK, "w2"))
            peer("appends_pyiceberg", lake, 1)
            s, outs, _ = race([[PY, PEERS, "writer_pyiceberg", lake, "25"]] * 8)
            failed = sum(int(answer(o)) for o, _ in outs)
            return {"commits_per_s": (200 - failed) / s, "failed": failed}
        self.interleave("8 writers x 25 appends", {"frazil": ours, "PyIceberg": pyiceberg}, runs=1)

    def python(self):
        """The Python package beside those that do the same; it is put together without installing it, compiled as pip would."""
        self.lakes()
        subprocess.run(["ninja", "-C", BUILD, "--quiet", "python"], check=True)
        stage = subprocess.run(["python/stage", BUILD], capture_output=True, text=True, check=True).stdout.strip()
        env = {**os.environ, "PYTHONPATH": stage}
        env.pop("PYTHONDONTWRITEBYTECODE", None)
        subprocess.run([PY, "-m", "compileall", "-q", stage], check=True)
        work = os.path.join(ROOT, "bench", "python_work.py")

        def contest(name, works, args, inside=False, lake=None):
            seen = set()

            def go(what):
                if lake:
                    fresh(lake)
                s, mb, o, _ = run([PY, work, what, *args], env=env)
                seen.add(answer(o))
                return {"s": st.median(times(o)) if inside else s, "peak_MB": mb}
            self.interleave("Python: " + name, {label: (lambda w=w: go(w)) for label, w in works.items()})
            assert len(seen) == 1, f"answers differ: {seen}"

        contest("import (the first line less the second)", {"frazil": "import_frazil", "the interpreter alone": "empty", "DuckDB": "import_duckdb",
                "Polars": "import_polars", "PyIceberg": "import_pyiceberg"}, [])
        contest("interpreter to first row", {"frazil": "first_frazil", "DuckDB over Parquet": "first_duckdb",
                "Polars": "first_polars", "PyIceberg": "first_pyiceberg"}, [self.ours])
        contest("whole table into Polars", {"frazil": "whole_frazil", "Polars": "whole_polars"}, [self.ours])
        made = os.path.join(WORK, "lake-python")
        contest("append an Arrow table (in process)", {"frazil": "append_frazil", "PyIceberg": "append_pyiceberg"}, [self.csv, made], True, made)
        contest("1,000 small queries (in process)", {"frazil": "small_frazil", "DuckDB over Parquet": "small_duckdb"}, [self.ours], True)

    def size(self):
        def tree(*names):
            site = subprocess.run([PY, "-c", "import site; print(site.getsitepackages()[0])"], capture_output=True, text=True).stdout.strip()
            total = 0
            for n in names:
                for d in os.listdir(site):
                    if d.lower().startswith(n):
                        p = os.path.join(site, d)
                        total += os.path.getsize(p) if os.path.isfile(p) else sum(
                            os.path.getsize(os.path.join(r, f)) for r, _, fs in os.walk(p) for f in fs if os.path.exists(os.path.join(r, f)))
            return total / 1e6
        prefix = fresh(os.path.join(WORK, "prefix"))
        subprocess.run(["scripts/install", "", prefix], check=True, stdout=subprocess.DEVNULL)
        ours = sum(os.path.getsize(os.path.join(r, f)) for r, _, fs in os.walk(prefix) for f in fs if not os.path.islink(os.path.join(r, f))) / 1e6
        self.interleave("installed size", {"frazil": lambda: {"MB": ours}, "DuckDB": lambda: {"MB": tree("duckdb", "_duckdb")},
                        "PyIceberg + PyArrow + Polars": lambda: {"MB": tree("pyiceberg", "pyarrow", "polars", "_polars")}}, runs=1)


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--rows", type=int, default=14897200)
    ap.add_argument("--runs", type=int, default=5)
    ap.add_argument("--quick", action="store_true", help="a million rows, three runs, fewer appends")
    ap.add_argument("measures", nargs="*")
    a = ap.parse_args()
    if a.quick:
        a.rows, a.runs = 1000000, 3
    os.makedirs(WORK, exist_ok=True)
    b = Bench(a)
    for m in a.measures or ["load", "scan", "cold", "warm", "first", "arrow", "tpch", "many", "deletes", "appends", "writers", "python", "size"]:
        getattr(b, m)()
    path = os.path.join(WORK, "results.json")
    json.dump({"rows": a.rows, "cpus": os.cpu_count(), "results": b.results}, open(path, "w"), indent=1)
    print(f"\nwritten: {os.path.relpath(path)}")


if __name__ == "__main__":
    main()
