"""Sources from the web through the local cache, against a server that counts what it is asked for."""
import http.server, json, threading

import pytest


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def answer(self, body):
        s = self.server
        data = s.files.get(self.path)
        s.asked.append((self.command, self.path, self.headers.get("Range")))
        if data is None:
            self.send_response(404)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        at, end, code = 0, len(data), 200
        if "Range" in self.headers:
            a, _, b = self.headers["Range"].removeprefix("bytes=").partition("-")
            at, end, code = int(a), min(int(b) + 1, len(data)) if b else len(data), 206
        self.send_response(code)
        if s.etag:
            self.send_header("ETag", f'"{hash(data) & 0xffffffff:x}"')
        else:
            self.send_header("Last-Modified", s.modified)
        if code == 206:
            self.send_header("Content-Range", f"bytes {at}-{end - 1}/{len(data)}")
        self.send_header("Content-Length", str(end - at))
        self.end_headers()
        if body:
            s.sent += end - at
            self.wfile.write(data[at:end])

    def do_GET(self):
        self.answer(True)

    def do_HEAD(self):
        self.answer(False)


@pytest.fixture
def web():
    s = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    s.files, s.asked, s.sent, s.etag, s.modified = {}, [], 0, True, "Mon, 01 Jan 2024 00:00:00 GMT"
    s.url = f"http://127.0.0.1:{s.server_port}"
    threading.Thread(target=s.serve_forever, daemon=True).start()
    yield s
    s.shutdown()


CSV = "a,b\n" + "".join(f"{i},text {i}\n" for i in range(300_000))


@pytest.mark.parametrize("etag", [True, False])
def test_a_second_load_asks_once(lake, web, tmp_path, etag):
    web.files["/x.csv"] = CSV.encode()
    web.etag = etag
    cache = ("--cache", tmp_path / "cache")
    lake.load(web.url + "/x.csv", "t", *cache)
    assert lake.sql("SELECT count(*), sum(a), max(b) FROM t") == [["300000", str(sum(range(300_000))), "text 99999"]]
    assert web.sent < 1.1 * len(CSV)
    web.sent, web.asked = 0, []
    lake.load(web.url + "/x.csv", "t", *cache)
    assert web.sent == 0 and [a[0] for a in web.asked] == ["HEAD"], web.asked
    assert lake.one("SELECT count(*) FROM t") == "600000"
    # another content is asked for
    web.files["/x.csv"] = CSV.replace("text 7\n", "TEXT 7\n").encode()
    web.modified = "Tue, 02 Jan 2024 00:00:00 GMT"
    assert lake.run("sql", f"SELECT b FROM '{web.url}/x.csv' WHERE a = 7", "--format", "csv", *cache).stdout == "b\nTEXT 7\n"
    # and what is kept can be seen and removed
    r = lake.run("cache", "ls", *cache)
    assert r.stdout.count(web.url + "/x.csv") == 2 and "2 files" in r.stderr
    rows = [json.loads(line) for line in lake.run("cache", "ls", "--format", "json", *cache).stdout.splitlines()]
    assert [(x["location"], x["size_bytes"]) for x in rows] == [(web.url + "/x.csv", len(CSV))] * 2
    assert "removed" in lake.run("cache", "clear", *cache).stderr
    assert lake.run("cache", "ls", *cache).stdout == ""


def test_no_cache_and_a_small_one(lake, web, tmp_path):
    web.files["/x.csv"] = CSV.encode()
    for i in range(2):
        lake.load(web.url + "/x.csv", "t", "--cache", "none")
    assert web.sent >= 2 * len(CSV)
    for i in range(5):
        web.files[f"/{i}.csv"] = (CSV + f"{i},{i}\n").encode()
        lake.load(web.url + f"/{i}.csv", "t", "--cache", tmp_path / "cache", "--cache-size", "6MB")
    kept = sum(p.stat().st_size for p in (tmp_path / "cache").rglob("*") if p.is_file())
    assert 3_000_000 < kept < 6_000_000 + len(CSV) + 100_000


def test_what_is_missing_is_told(lake, web):
    r = lake.load(web.url + "/none.csv", "t", "--cache", "none", check=False)
    assert r.returncode == 1 and "404" in r.stderr and "/none.csv" in r.stderr
