"""S3 as the library reads and writes it, against real servers: weed (conditional writes, signatures), rclone (no conditional writes, ranges under
status 200), moto. What was written is read by PyArrow and the other way round; io_s3_tool is tests/io/s3_tool.c."""
import hashlib, os, subprocess, threading, uuid

import pytest

from conftest import FRAZIL

TOOL = os.path.join(os.path.dirname(FRAZIL), "io_s3_tool")
KINDS = ["weed", "rclone", "moto"]


class Store:
    def __init__(self, server, kind):
        self.server, self.kind = server, kind
        self.bucket = server.private
        self.prefix = "test-s3-" + uuid.uuid4().hex[:12]
        self.fs = server.arrow_fs()

    def at(self, name):
        return f"s3://{self.bucket}/{self.prefix}/{name}"

    def path(self, name):
        return f"{self.bucket}/{self.prefix}/{name}"

    def run(self, *args, check=True, timeout=120, **changed):
        p = {"s3.endpoint": self.server.s3, "s3.region": "us-east-1", "s3.access-key-id": self.server.key, "s3.secret-access-key": self.server.secret}
        p.update({k.replace("_", "."): v for k, v in changed.items()})
        r = subprocess.run([TOOL, *[f"{k}={v}" for k, v in p.items()], *map(str, args)], capture_output=True, text=True, timeout=timeout)
        if check:
            assert r.returncode == 0, (args, r.stdout)
            assert "left 0" in r.stderr, r.stderr  # every byte that was allocated was given back
        return r.stdout

    def fails(self, *args, **kw):
        out = self.run(*args, check=False, **kw)
        assert out.startswith("error "), out
        return out

    def read(self, name):
        with self.fs.open_input_file(self.path(name)) as f:
            return f.read()

    def write(self, name, data):
        if self.kind == "rclone":  # it doesn't take the chunked signatures of PyArrow's uploads
            import servers
            assert servers.s3_request(self.server, "PUT", "/" + self.path(name), body=data)[0] == 200
            return
        with self.fs.open_output_stream(self.path(name)) as f:
            f.write(data)


@pytest.fixture(params=KINDS)
def store(request):
    import servers
    try:
        s = servers.shared_weed() if request.param == "weed" else servers.shared(request.param)
    except servers.Missing as e:
        pytest.skip(str(e))
    if not os.path.exists(TOOL):
        pytest.skip("io_s3_tool isn't built")
    return Store(s, request.param)


@pytest.fixture
def store_weed(weed):
    return Store(weed, "weed")


def data_of(n, seed=1):
    out, block = bytearray(), hashlib.sha256(str(seed).encode()).digest()
    while len(out) < n:
        block = hashlib.sha256(block).digest()
        out += block * 997
    return bytes(out[:n])


@pytest.mark.parametrize("size", [0, 1, 65536, 5_000_000, 16 << 20, (16 << 20) + 1, 40_000_003])
def test_what_is_written_is_read_by_others(store, tmp_path, size):
    data = data_of(size)
    f = tmp_path / "f"
    f.write_bytes(data)
    store.run("put", store.at("x.bin"), f)
    assert store.read("x.bin") == data
    store.run("get", store.at("x.bin"), tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == data


@pytest.mark.parametrize("size", [0, 1, 200_000, 30_000_001])
def test_what_others_write_is_read(store, tmp_path, size):
    data = data_of(size, 2)
    store.write("y.bin", data)
    store.run("get", store.at("y.bin"), tmp_path / "all")
    assert (tmp_path / "all").read_bytes() == data
    for piece in (70_001, 3_000_000, 9_000_000):
        store.run("ahead", store.at("y.bin"), tmp_path / "ahead", piece)
        assert (tmp_path / "ahead").read_bytes() == data
    if size > 100:
        store.run("open", store.at("y.bin"), tmp_path / "some", "0:7", f"{size - 9}:9", f"{size // 2}:50")
        assert (tmp_path / "some").read_bytes() == data[:7] + data[-9:] + data[size // 2:size // 2 + 50]
        assert "data" in store.fails("open", store.at("y.bin"), tmp_path / "some", f"{size - 5}:6")


@pytest.mark.parametrize("name", ["plain", "two words", "ü€𝄞", "a+b&c=d", "100%25", "semi;colon,comma", "quote'\"", "(x)[y]{z}", "~tilde-_.", "k=v/d=2026-01-01"])
def test_names(store, tmp_path, name):
    if store.kind == "rclone" and name == "quote'\"":
        pytest.skip("rclone writes this name to a file system in its own way")
    f = tmp_path / "f"
    f.write_bytes(b"named " + name.encode())
    store.run("put", store.at("n/" + name), f)
    assert store.read("n/" + name) == f.read_bytes()
    assert store.at("n/" + name) in store.run("ls", store.at("n"))
    store.run("get", store.at("n/" + name), tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == f.read_bytes()
    store.run("rm", store.at("n/" + name))
    assert store.run("ls", store.at("n")) == ""


@pytest.mark.parametrize("size", [1000, 20_000_000])
def test_a_file_that_is_there_stays(store, tmp_path, size):
    f, g = tmp_path / "f", tmp_path / "g"
    f.write_bytes(data_of(size, 3))
    g.write_bytes(data_of(size, 4))
    store.run("put", store.at("once"), f)
    if store.kind == "rclone" and size > 1000:
        pytest.skip("that rclone ignores the condition is only found out with the first small file of a process")
    out = store.run("put", store.at("once"), g, check=False)
    if store.kind == "rclone":  # a process that has written nothing yet doesn't know what the store is like
        return
    assert out.startswith("error exists:"), out
    assert store.read("once") == f.read_bytes()


def test_one_of_many_creators_wins(store_weed, tmp_path):
    wins = []

    def make(i):
        f = tmp_path / f"f{i}"
        f.write_bytes(b"%d" % i)
        if store_weed.run("put", store_weed.at("race"), f, check=False) == "":
            wins.append(i)
    threads = [threading.Thread(target=make, args=(i,)) for i in range(8)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    assert len(wins) == 1
    assert store_weed.read("race") == b"%d" % wins[0]


def test_given_up_uploads_leave_nothing(store, tmp_path):
    store.run("give-up", store.at("gone"), 50_000_000)
    assert store.run("ls", store.at("")) == ""
    boto = pytest.importorskip("boto3", reason="boto3 lists uploads that are under way")
    c = store.server.boto()
    assert not [u for u in c.list_multipart_uploads(Bucket=store.bucket).get("Uploads", []) if u["Key"].startswith(store.prefix)]


def test_listing_pages_and_removing_many(store, tmp_path):
    n = 1203 if store.kind != "moto" else 1003
    for i in range(n):
        store.write(f"many/{i:05}", b"x" * (i % 3))
    store.write("many-more", b"")
    lines = store.run("ls", store.at("many")).splitlines()
    assert sorted(lines) == sorted(f"{i % 3} {store.at(f'many/{i:05}')}" for i in range(n))
    store.run("rm", *[store.at(f"many/{i:05}") for i in range(n)], store.at("many/not-there"))
    assert store.run("ls", store.at("many")) == ""
    assert store.run("stat", store.at("many-more")).startswith("0 0 ")


def test_errors_say_what_is_wrong(store_weed, tmp_path):
    s = store_weed
    assert s.fails("get", s.at("no"), tmp_path / "x").startswith("error not_found: there is no such file [s3://")
    assert "NoSuchBucket" in s.fails("get", "s3://no-such-bucket-here/x", tmp_path / "x")
    assert "SignatureDoesNotMatch" in s.fails("ls", s.at(""), **{"s3_secret-access-key": "wrong"})
    assert "InvalidAccessKeyId" in s.fails("ls", s.at(""), **{"s3_access-key-id": "nobody"})
    assert "AccessDenied" in s.fails("ls", s.at(""), s3_anonymous="true")
    assert "s3://bucket/key" in s.fails("get", "s3:///x", tmp_path / "x")
    assert s.fails("put", f"s3://{s.bucket}", __file__).startswith("error invalid:")
    refused = s.fails("get", s.at("x"), tmp_path / "x", s3_endpoint="http://127.0.0.1:1")
    assert "127.0.0.1 port 1" in refused and "08001" in refused
    for out in (s.fails("ls", s.at(""), **{"s3_secret-access-key": "hush-hush"}),):
        assert "hush" not in out


def test_a_wrong_size_in_the_metadata_is_found(store, tmp_path):
    store.write("z", data_of(100_000, 5))
    store.run("sized", store.at("z"), 100_000, tmp_path / "x", "99990:10")
    for wrong in (99_999, 100_001):
        assert store.fails("sized", store.at("z"), wrong, tmp_path / "x", "0:10").startswith("error data:")


def test_sources_by_http_and_anonymously(weed, tmp_path):
    fs = weed.arrow_fs()
    prefix = f"{weed.public}/sources-{uuid.uuid4().hex[:8]}"
    for i in range(3):
        with fs.open_output_stream(f"{prefix}/p{i}.csv") as f:
            f.write(b"a,b\n" + b"".join(b"%d,t%d\n" % (k, i) for k in range(1000)))
    env = dict(os.environ, XDG_CACHE_HOME=str(tmp_path / "cache"), AWS_ENDPOINT_URL=weed.s3, AWS_REGION="us-east-1")
    for k in list(env):
        if k.startswith("PYICEBERG_") or k in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            del env[k]

    def frazil(*args):
        r = subprocess.run([FRAZIL, "--lake", str(tmp_path / "lake"), *args], capture_output=True, text=True, env=env, timeout=60)
        assert r.returncode == 0, r.stderr
        return r.stdout
    frazil("load", "--anonymous", f"s3://{prefix}/p*.csv", "default.t")
    assert frazil("sql", "select count(*), sum(a), count(distinct b) from t", "--format", "csv").split()[-1] == "3000,1498500,3"
    frazil("load", f"{weed.s3}/{prefix}/p1.csv", "default.u")
    assert frazil("sql", "select count(*), sum(a) from u", "--format", "csv").split()[-1] == "1000,499500"
    frazil("load", "--source-set", "s3.anonymous=true", "--source-set", f"s3.endpoint={weed.s3}", f"s3://{prefix}/p2.csv", "default.v")
    assert frazil("sql", f"select max(b) from '{weed.s3}/{prefix}/p2.csv'", "--format", "csv").split()[-1] == "t2"


def test_tls(tmp_path):
    """A server whose certificate nobody vouches for is refused, with the reason; named as a CA it is trusted, but only for its own name."""
    import http.server, ssl
    cert = tmp_path / "cert.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", str(tmp_path / "key.pem"), "-out", str(cert), "-days", "2",
                    "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"], check=True, capture_output=True)
    (tmp_path / "web").mkdir()
    (tmp_path / "web" / "t.csv").write_text("a,b\n1,x\n2,y\n")

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *a, **kw):
            super().__init__(*a, directory=str(tmp_path / "web"), **kw)

        def log_message(self, *a):
            pass
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet) as web:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cert, tmp_path / "key.pem")
        web.socket = context.wrap_socket(web.socket, server_side=True)
        thread = threading.Thread(target=web.serve_forever, daemon=True)
        thread.start()
        port = web.server_address[1]
        env = {k: v for k, v in os.environ.items() if not k.startswith("PYICEBERG_")}

        def load(host, *options):
            return subprocess.run([FRAZIL, "--lake", str(tmp_path / "lake"), "--cache", "none", "load", *options, f"https://{host}:{port}/t.csv", "t"],
                                  capture_output=True, text=True, env=env, timeout=60)
        try:
            r = load("localhost")
            assert r.returncode and "certificate" in r.stderr, r.stderr
            r = load("localhost", "--source-set", f"ssl.cabundle={cert}")
            assert r.returncode == 0, r.stderr
            r = load("127.0.0.1", "--source-set", f"ssl.cabundle={cert}")
            assert r.returncode and ("name" in r.stderr or "certificate" in r.stderr), r.stderr
        finally:
            web.shutdown()
            thread.join()
