#!/usr/bin/env python3
"""Measures frazil against its peers on S3 behind a REST catalog: weed on 127.0.0.1, started here; prints medians and ratios, writes JSON.

    bench/bench_s3.py [--rows N] [--runs N] [--quick] [--peers-only] [MEASURE…]

Measures: load load30 read cold30 warm loadtable writers cache (default: all). Contestants take turns in one run. "30 ms" are added to each request
by the fault proxy (tests/faults); it also counts requests, and how many of them went one after another. What isn't measured with 30 ms goes
to weed directly. Times are wall seconds of whole processes unless the measure says "in process".
"""
import argparse, contextlib, json, os, shutil, statistics as st, subprocess, sys, tempfile, time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path[:0] = [os.path.join(ROOT, "tests"), os.path.join(ROOT, "tests", "faults"), os.path.join(ROOT, "bench")]
import proxy, servers
import bench as local
from bench import FRAZIL, PEERS, PY, TO_ARROW, WORK, answer, fresh, peer, run, times

BENCH_REST = os.path.join(os.path.dirname(FRAZIL), "bench_rest")
TABLE = "default.trade"
REPORT = f"SELECT ym, sum(Value) AS Value FROM {TABLE} WHERE exp_imp = 1 GROUP BY ym ORDER BY ym"


@contextlib.contextmanager
def environment(server, home=None):
    """Children see the server as the catalog "default". home: where they keep files between them; else they find an empty one."""
    made = None if home else tempfile.TemporaryDirectory(dir=WORK)
    names = {**server.env(), "FRAZIL_CATALOG": "default", "HOME": home or made.name, "XDG_CACHE_HOME": home or made.name}
    before = {k: os.environ.get(k) for k in names}
    os.environ.update(names)
    try:
        yield
    finally:
        for k, v in before.items():
            os.environ.pop(k, None) if v is None else os.environ.__setitem__(k, v)
        if made:
            made.cleanup()


def count_of(out):
    """The report's answer in one line, from CSV."""
    rows = [l.split(",") for l in out.splitlines()[1:]]
    return f"{len(rows)} {sum(int(r[1]) for r in rows)}"


class Bench(local.Bench):
    def __init__(self, a, weed):
        super().__init__(a)
        self.weed = weed
        self.loaded = False

    def interleave(self, name, contestants, runs=None, base="frazil"):
        if self.a.peers_only:
            contestants = {k: v for k, v in contestants.items() if not k.startswith("frazil")}
            base = next(iter(contestants), None)
        if not contestants:
            return
        got = {k: [] for k in contestants}
        n = runs or self.a.runs
        for i in range(n + (n > 1)):
            for label, fn in contestants.items():
                r = fn()
                if i or n == 1:  # the first round warms up
                    got[label].append(r)
        med = {k: {f: st.median(r[f] for r in rs) for f in rs[0]} for k, rs in got.items()}
        self.results[name] = {"median": med, "runs": got}
        print(f"\n{name}")
        for label, m in med.items():
            line = f"  {label:40}" + "".join(f"{f} {v:12.4f}  " for f, v in m.items())
            if label != base:
                line += f"  {base} is at " + ", ".join(f"{med[base][f] / m[f]:.3f} of its {f}" for f in m if f in med[base] and m[f])
            print(line, flush=True)

    # ---- the contestants ----

    def load_frazil(self):
        s, mb, *_ = run([FRAZIL, "load", self.csv, TABLE, "--quiet"])
        return {"s": s, "peak_MB": mb}

    def load_peer(self, work):
        s, mb, *_ = peer(work, self.csv, "-")
        return {"s": s, "peak_MB": mb}

    def load_local(self):
        s, mb, *_ = run([FRAZIL, "--lake", fresh(os.path.join(WORK, "l1")), "load", self.csv, "trade", "--quiet"])
        return {"s": s, "peak_MB": mb}

    def table(self):
        """The trade table, there for reading: one that frazil wrote."""
        if not self.loaded:
            peer("drop", "-", TABLE)
            if self.a.peers_only:
                peer("load_pyiceberg", self.csv, "-")
            else:
                run([FRAZIL, "load", self.csv, TABLE, "--quiet"])
        self.loaded = True

    # ---- the measures ----

    def afresh(self, fn):
        """fn, with the table gone before it."""
        def go():
            with environment(self.weed):
                peer("drop", "-", TABLE)
                return fn()
        return go

    def load(self):
        self.interleave("load: CSV file to S3 through REST", {
            "frazil": self.afresh(self.load_frazil), "frazil, to a local lake": self.load_local,
            "PyArrow + PyIceberg": self.afresh(lambda: self.load_peer("load_pyiceberg")),
            "Polars sink_iceberg": self.afresh(lambda: self.load_peer("load_polars_iceberg"))})
        self.loaded = False

    def load30(self):
        def through(ms, fn):
            def go():
                with proxy.between(self.weed) as (p, far), environment(far):
                    p.delay(ms)
                    before = p.mark()
                    r = fn()
                    log = p.log(before)
                return {**r, "requests": len(log), "in_a_row": proxy.chain(log)}
            return go

        self.interleave("load with 30 ms on every request", {
            "frazil": self.afresh(through(30, self.load_frazil)), "frazil, proxy without delay": self.afresh(through(0, self.load_frazil)),
            "frazil, no proxy": self.afresh(self.load_frazil),
            "PyArrow + PyIceberg": self.afresh(through(30, lambda: self.load_peer("load_pyiceberg")))}, runs=min(self.a.runs, 3))
        self.loaded = False

    def read(self):
        with environment(self.weed):
            self.table()
        seen = set()

        def cold(*cmd):
            def go():
                with environment(self.weed):
                    return self.in_process(seen, *cmd)
            return go
        self.interleave("full read from S3 to Arrow (in process)", {
            "frazil": cold(TO_ARROW, "-", f"SELECT * FROM {TABLE}", 1, "keep"), "Polars": cold(PY, PEERS, "arrow_polars", "-"),
            "PyIceberg": cold(PY, PEERS, "arrow_pyiceberg", "-")})
        assert len(seen) == 1, f"answers differ: {seen}"

    def cold30(self):
        with environment(self.weed):
            self.table()
        seen = set()

        def ours(before_it=None, ms=30):
            """before_it: a statement that an earlier process has run, which leaves what it may keep; None: an empty home."""
            keep = before_it is not None

            def go():
                with proxy.between(self.weed) as (p, far), environment(far):
                    cmd = [FRAZIL, *(["--set", "keep-tokens=true"] if keep else []), "sql", REPORT, "--format", "csv", "--quiet"]
                    if keep:
                        run([FRAZIL, "--set", "keep-tokens=true", "sql", before_it, "--quiet"])
                    p.delay(ms)
                    before = p.mark()
                    s, mb, o, _ = run(cmd)
                    log = p.log(before)
                seen.add(count_of(o))
                return {"s": s, "peak_MB": mb, "requests": len(log), "in_a_row": proxy.chain(log)}
            return go

        def theirs(ms=30):
            def go():
                with proxy.between(self.weed) as (p, far), environment(far):
                    p.delay(ms)
                    before = p.mark()
                    s, mb, o, _ = peer("report_polars", "-")
                    log = p.log(before)
                seen.add(answer(o))
                return {"s": s, "peak_MB": mb, "requests": len(log), "in_a_row": proxy.chain(log)}
            return go
        self.interleave("report, whole process, cold, 30 ms on every request", {
            "frazil": ours(), "frazil, token and config kept": ours("SHOW TABLES"), "frazil, files in the cache too": ours(REPORT),
            "PyIceberg + Polars": theirs(), "frazil, no delay": ours(ms=0), "PyIceberg + Polars, no delay": theirs(0)})
        assert len(seen) == 1, f"answers differ: {seen}"

    def warm(self):
        with environment(self.weed):
            self.table()
        n = 15

        def ours():
            with proxy.between(self.weed) as (p, far), environment(far):
                run([TO_ARROW, "-", REPORT, "5"])
                few = len([r for r in p.log() if r.port == "rest"])
                before = p.mark()
                t = times(run([TO_ARROW, "-", REPORT, str(5 + n)])[2])
                log = p.log(before)
            rest = len([r for r in log if r.port == "rest"])
            return {"s": st.median(t[5:]), "catalog_calls_each": (rest - few) / n}

        def direct():
            with environment(self.weed):
                return {"s": st.median(times(run([TO_ARROW, "-", REPORT, str(n)])[2])[3:])}

        def polars():
            with environment(self.weed):
                return {"s": st.median(times(peer("report_polars", "-", n)[2])[3:])}
        self.interleave("report, warm (in process)", {"frazil": direct, "frazil, through the proxy": ours, "Polars": polars})

    def loadtable(self):
        n = 50 if self.a.quick else 200

        def each(server, namespace, name):
            with environment(server):
                c = {"frazil": lambda: {"ms": 1e3 * st.median(times(run([BENCH_REST, "load", "default", namespace, name, str(n)])[2])[5:])},
                     "PyIceberg": lambda: {"ms": 1e3 * st.median(times(peer("load_table", "-", f"{namespace}.{name}", n)[2])[5:])}}
                return c

        def timed(server, fns, extra):
            def within(fn):
                def go():
                    with environment(server):
                        return fn()
                return go
            return {**{k: within(f) for k, f in fns.items()}, **extra}

        def bare(server, target, token):
            headers = [f"Authorization: Bearer {token}"] if token else []
            port = server.rest.rsplit(":", 1)[1]
            return lambda: {"ms": 1e3 * st.median(times(run([BENCH_REST, "get", port, target, str(n), *headers])[2])[5:])}
        with proxy.Proxy({"stub": 0}) as p, tempfile.TemporaryDirectory() as d:
            answers = stub_answers(d)
            for path, file in answers.items():
                p.rule("answer", path=path, file=file, count=0)
            stub = servers.Server(kind="stub", rest=p.url("stub"), key="id", secret="secret")
            self.interleave(f"loadTable, stub with {os.path.getsize(answers['*/tables/t*']) // 1000} kB (in process)", timed(stub, each(stub, "default", "t"), {
                "bare GET": bare(stub, "/v1/namespaces/default/tables/t", None)}))
        for server, start in (("weed", lambda: contextlib.nullcontext(self.weed)), ("reference server", servers.reference)):
            try:
                with start() as s, environment(s):
                    peer("drop", "-", "default.lt")
                    peer("create", "-", "default.lt")
                    token = json.load(urlopen(s.rest + "/v1/oauth/tokens", f"grant_type=client_credentials&client_id={s.key}&client_secret={s.secret}"
                                              f"&scope={s.scope}"))["access_token"] if s.key else None
                    prefix = "/v1/" + (json.load(urlopen(f"{s.rest}/v1/config?warehouse={s.warehouse}")).get("overrides", {}).get("prefix", "") + "/"
                                       if s.warehouse else "")
                    for _ in range(10):  # Java compiles what runs often
                        bare(s, prefix + "namespaces/default/tables/lt", token)()
                    self.interleave(f"loadTable, {server} (in process)", timed(s, each(s, "default", "lt"), {
                        "bare GET": bare(s, prefix + "namespaces/default/tables/lt", token)}))
            except servers.Missing as e:
                print(f"\nloadTable, {server}: {e}")

    def writers(self):
        each = 10

        def race(table, cmds):
            t0 = time.perf_counter()
            ps = [subprocess.Popen(c, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for c in cmds]
            outs = [p.communicate() for p in ps]
            secs = time.perf_counter() - t0
            bad = [o[1][-300:] for p, o in zip(ps, outs) if p.returncode]
            for b in bad[:3]:
                print("  a writer failed:", b)
            rows = int(answer(peer("count", "-", table)[2]))
            return {"commits_per_s": rows / secs, "failed": 8 * each - rows + len(bad)}

        def ours():
            with environment(self.weed):
                peer("drop", "-", "default.w1")
                peer("create", "-", "default.w1")
                return race("default.w1", [[FRAZIL, "sql", "; ".join(["INSERT INTO default.w1 VALUES (1, 'x')"] * each), "--quiet"]] * 8)

        def pyiceberg():
            with environment(self.weed):
                peer("drop", "-", "default.t")
                peer("create", "-", "default.t")
                return race("default.t", [[PY, PEERS, "writer_pyiceberg", "-", str(each)]] * 8)
        self.interleave(f"8 writers x {each} one-row commits, REST", {"frazil": ours, "PyIceberg": pyiceberg}, runs=1)

    def cache(self):
        """The CSV is in a public bucket, read without credentials; loaded twice with a cache."""
        subprocess.run([PY, "-c", "import sys; sys.path.insert(0, 'tests'); import servers; from pyarrow import fs; "
                        "fs.copy_files(sys.argv[1], 'public/trade.csv', fs.LocalFileSystem(), servers.shared_weed().arrow_fs())", self.csv],
                       check=True, cwd=ROOT, env=dict(os.environ, FRAZIL_TEST_SERVERS=json.dumps({"weed": self.weed.__dict__})))

        def load(p, cache):
            with environment(self.weed):
                peer("drop", "-", "default.cached")
            before = p.mark()
            s, mb, *_ = run([FRAZIL, "load", "s3://public/trade.csv", "default.cached", "--anonymous", "--cache", cache, "--quiet"])
            source = [r for r in p.log(before) if "/public/" in r.target]
            return {"s": s, "peak_MB": mb, "source_kB": sum(r.down for r in source) / 1e3, "source_requests": len(source)}

        def both(which):
            def go():
                with proxy.between(self.weed) as (p, far), environment(far), tempfile.TemporaryDirectory(dir=WORK) as cache:
                    first = load(p, cache)
                    return first if which == "first" else load(p, cache)
            return go
        self.interleave("load of a remote CSV with a cache", {"frazil": both("second"), "frazil, first load": both("first")}, runs=1)


def urlopen(url, data=None):
    return servers.NO_PROXY.open(url, data=data.encode() if data else None)


def stub_answers(d):
    """Files with what a catalog answers about the table default.t, whose metadata is about 50 kB; by target."""
    columns = [{"id": i + 1, "name": f"column_{i}", "required": False, "type": ["long", "string", "double", "timestamp"][i % 4]} for i in range(200)]
    snapshots = [{"snapshot-id": 5000000000000000000 + i, "sequence-number": i + 1, "timestamp-ms": 1700000000000 + i, "schema-id": 0,
                  "manifest-list": f"s3://lake/default/t/metadata/snap-{5000000000000000000 + i}-1-5e2a4a3f-8d76-4f0c-9d0e-0123456789ab.avro",
                  "summary": {"operation": "append", "added-data-files": "1", "added-records": "1000", "total-records": str(1000 * (i + 1)),
                              "total-data-files": str(i + 1), "total-files-size": str(4711 * (i + 1))},
                  **({"parent-snapshot-id": 5000000000000000000 + i - 1} if i else {})} for i in range(85)]
    md = {"format-version": 2, "table-uuid": "5e2a4a3f-8d76-4f0c-9d0e-0123456789ab", "location": "s3://lake/default/t", "last-sequence-number": len(snapshots),
          "last-updated-ms": 1700000000000 + len(snapshots), "last-column-id": len(columns), "current-schema-id": 0,
          "schemas": [{"type": "struct", "schema-id": 0, "fields": columns}], "default-spec-id": 0, "partition-specs": [{"spec-id": 0, "fields": []}],
          "last-partition-id": 999, "default-sort-order-id": 0, "sort-orders": [{"order-id": 0, "fields": []}], "properties": {},
          "current-snapshot-id": snapshots[-1]["snapshot-id"], "refs": {"main": {"type": "branch", "snapshot-id": snapshots[-1]["snapshot-id"]}},
          "snapshots": snapshots, "snapshot-log": [{"snapshot-id": s["snapshot-id"], "timestamp-ms": s["timestamp-ms"]} for s in snapshots],
          "metadata-log": []}
    table = {"metadata-location": "s3://lake/default/t/metadata/00085-5e2a4a3f-8d76-4f0c-9d0e-0123456789ab.metadata.json", "metadata": md, "config": {}}
    out = {}
    for path, text in (("/v1/oauth/tokens*", {"access_token": "t", "token_type": "bearer", "expires_in": 3600}),
                       ("/v1/config*", {"defaults": {}, "overrides": {}}), ("*/tables/t*", table)):
        out[path] = os.path.join(d, str(len(out)))
        with open(out[path], "w") as f:
            json.dump(text, f, separators=(",", ":"))
    return out


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--rows", type=int, default=14897200)
    ap.add_argument("--runs", type=int, default=5)
    ap.add_argument("--quick", action="store_true", help="a million rows, three runs")
    ap.add_argument("--peers-only", action="store_true")
    ap.add_argument("measures", nargs="*")
    a = ap.parse_args()
    if a.quick:
        a.rows, a.runs = 1000000, 3
    os.makedirs(WORK, exist_ok=True)
    with servers.weed(limit_s=3 * 3600) as weed:
        b = Bench(a, weed)
        for m in a.measures or ["load", "load30", "read", "cold30", "warm", "loadtable", "writers", "cache"]:
            getattr(b, m)()
    path = os.path.join(WORK, "results-s3.json")
    with open(path, "w") as f:
        json.dump({"rows": a.rows, "cpus": os.cpu_count(), "results": b.results}, f, indent=1)
    print(f"\nwritten: {os.path.relpath(path)}")


if __name__ == "__main__":
    main()
