"""The fault proxy (fault_proxy.c) from Python: between a client and a server of tests/servers.py.

    with proxy.between(weed) as (p, spoiled):           # spoiled: the server as seen through the proxy
        rule = p.rule("reset_before", path="*.parquet*", method="PUT", count=1)
        … use spoiled.s3, spoiled.rest, spoiled.properties() …
        assert p.hits(rule) == 1
        p.clear()
        p.log()                                         # [Request(…)], p.chain(): how many went one after another

    with proxy.Proxy({"stub": 0}) as p: p.rule("answer", path="/v1/config*", file=…)   # a stub server at p.url("stub")

What the rules do is written at the top of fault_proxy.c, which is compiled here when it has changed (needs cc).
"""
import collections, contextlib, ctypes, fcntl, os, signal, subprocess, sys, tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(ROOT, "tests"))
import servers

Request = collections.namedtuple("Request", "start end conn port method target status up down action")


def program():
    """Path of the compiled proxy."""
    source = os.path.join(HERE, "fault_proxy.c")
    where = os.path.join(ROOT, "build", "tests")
    out = os.path.join(where, "fault_proxy")
    os.makedirs(where, exist_ok=True)
    with open(out + ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.path.exists(out) or os.path.getmtime(out) < os.path.getmtime(source):
            subprocess.run(["cc", "-std=gnu17", "-D_GNU_SOURCE", "-O2", "-g", "-Wall", "-pthread", source, "-o", out + ".new"], check=True)
            os.rename(out + ".new", out)
    return out


class Proxy:
    """upstreams: {name: address "http://127.0.0.1:PORT", or 0 for none}. Listens on a port of its own for each."""

    def __init__(self, upstreams, limit_s=servers.LIMIT_S):
        self.upstreams = upstreams
        self.limit_s = limit_s
        self.rules = []

    def __enter__(self):
        self.dir = tempfile.TemporaryDirectory(prefix="frazil-proxy-")
        self.log_path = os.path.join(self.dir.name, "log")
        self.ports = dict(zip(self.upstreams, servers.free_ports(len(self.upstreams))))
        maps = [f"{self.ports[k]}={int(v.rsplit(':', 1)[1].rstrip('/').split('/')[0]) if v else 0}" for k, v in self.upstreams.items()]
        self.p = subprocess.Popen(["timeout", str(self.limit_s), program(), self.log_path, *maps], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                  text=True, preexec_fn=servers.die_with_parent)
        if self.p.stdout.readline().strip() != "ready":
            raise RuntimeError("the fault proxy doesn't start")
        return self

    def __exit__(self, *_):
        self.p.stdin.close()
        try:
            self.p.wait(5)
        except subprocess.TimeoutExpired:
            self.p.terminate()
            self.p.wait()
        self.p.stdout.close()
        self.dir.cleanup()

    def tell(self, line):
        self.p.stdin.write(line + "\n")
        self.p.stdin.flush()
        said = self.p.stdout.readline().strip()
        if not said.endswith("ok"):
            raise RuntimeError(f"fault proxy: {line!r}: {said}")
        return said

    def url(self, name):
        return f"http://127.0.0.1:{self.ports[name]}"

    def rule(self, action, on=None, count=1, **conditions):
        """Adds a rule; count=0: every request that fits. Returns its number for hits()."""
        if on:
            conditions["port"] = self.ports[on]
        self.tell("\t".join(["rule", f"action={action}", f"count={count}", *(f"{k}={v}" for k, v in conditions.items())]))
        self.rules.append(action)
        return len(self.rules) - 1

    def delay(self, ms, on=None):
        self.tell(f"delay {self.ports[on] if on else 0} {ms}")

    def clear(self):
        self.tell("clear")
        self.rules = []

    def hits(self, rule=None):
        counts = [int(x) for x in self.tell("hits").split()[:-1]]
        return sum(counts) if rule is None else counts[rule]

    def log(self, since=0):
        """Requests that ended, by their start, without the first `since` that had ended (see mark)."""
        self.tell("sync")
        with open(self.log_path, errors="replace") as f:
            lines = f.read().splitlines()[since:]
        out = [l.split("\t") for l in lines]
        names = {v: k for k, v in self.ports.items()}
        return sorted(Request(int(r[0]), int(r[1]), int(r[2]), names[int(r[3])], r[4], r[5], int(r[6]), int(r[7]), int(r[8]), r[9]) for r in out)

    def mark(self):
        self.tell("sync")
        with open(self.log_path, "rb") as f:
            return f.read().count(b"\n")


def chain(requests):
    """How many of the requests went one after another: the longest row of them in which each began after the one before had ended."""
    n, free = 0, -1
    for r in sorted(requests, key=lambda r: r.end):
        if r.start >= free:
            n, free = n + 1, r.end
    return n


@contextlib.contextmanager
def between(server, **kw):
    """A proxy in front of a server's S3 and REST addresses: (proxy, the server through it)."""
    ups = {k: getattr(server, k) for k in ("s3", "rest") if getattr(server, k)}
    with Proxy(ups, **kw) as p:
        yield p, server.through(**{k: p.url(k) + ("/" + v.split("/", 3)[3] if v.count("/") > 2 else "") for k, v in ups.items()})
