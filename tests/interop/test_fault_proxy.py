"""The fault proxy itself: each rule does what it says, and what no rule fits goes through unchanged, signatures too."""
import base64, email.utils, http.client, time, zlib

import pytest

import servers

BODY = bytes(range(256)) * 400  # 102,400 bytes


@pytest.fixture
def far(weed, spoiled):
    """(proxy, function: method, body → (status, body) of one request for public/proxy.bin through it)."""
    assert servers.s3_request(weed, "PUT", "/public/proxy.bin", body=BODY)[0] == 200
    p, server = spoiled

    def ask(method="GET", body=None, headers={}, path="/public/proxy.bin"):
        c = http.client.HTTPConnection(server.s3.split("://")[1], timeout=20)
        try:
            c.request(method, path, body, headers)
            r = c.getresponse()
            ask.headers = r.headers
            return r.status, r.read()
        finally:
            c.close()
    ask.server = server
    return p, ask


def test_what_no_rule_fits_is_unchanged(weed, far):
    p, ask = far
    rules = [p.rule("status", arg=500, path="*/other"), p.rule("status", arg=500, method="DELETE"), p.rule("status", arg=500, on="rest"),
             p.rule("status", arg=500, auth="somebody else")]
    assert ask() == (200, BODY)
    assert ask("HEAD")[0] == 200 and ask.headers["content-length"] == str(len(BODY))
    assert servers.s3_request(ask.server, "PUT", "/public/proxy2.bin", body=BODY)[0] == 200  # signed for the proxy's address
    assert servers.s3_request(weed, "GET", "/public/proxy2.bin") == (200, BODY)
    assert [p.hits(r) for r in rules] == [0] * 4
    assert [(r.method, r.status, r.up, r.down) for r in p.log()] == [("GET", 200, 0, len(BODY)), ("HEAD", 200, 0, 0), ("PUT", 200, len(BODY), 0)]


def test_many_requests_on_one_connection(far):
    p, ask = far
    c = http.client.HTTPConnection(ask.server.s3.split("://")[1], timeout=20)
    for _ in range(20):
        c.request("GET", "/public/proxy.bin")
        assert c.getresponse().read() == BODY
    c.close()
    import proxy
    log = p.log()
    assert len({r.conn for r in log}) == 1 and proxy.chain(log) == 20


def test_skip_and_count(far):
    p, ask = far
    r = p.rule("status", arg=503, arg2=7, skip=1, count=2)
    assert [ask()[0] for _ in range(5)] == [200, 503, 503, 200, 200]
    assert p.hits(r) == 2
    p.rule("status", arg=500, count=0)
    assert [ask()[0] for _ in range(3)] == [500] * 3
    p.clear()
    assert ask()[0] == 200


@pytest.mark.parametrize("action", ["reset_before", "reset_after", "lost"])
def test_no_answer(weed, far, action):
    p, ask = far
    p.rule(action)
    with pytest.raises((ConnectionResetError, http.client.RemoteDisconnected)):
        ask()
    assert ask() == (200, BODY)
    # what was forwarded has happened
    p.rule(action, method="PUT")
    name = f"/public/{action}.bin"
    with pytest.raises(OSError):
        servers.s3_request(ask.server, "PUT", name, body=b"x")
    assert servers.s3_request(weed, "GET", name)[0] == (404 if action == "reset_before" else 200)


@pytest.mark.parametrize("action", ["truncate", "cut"])
def test_body_that_ends_early(far, action):
    p, ask = far
    p.rule(action, arg=1000)
    with pytest.raises((http.client.IncompleteRead, ConnectionResetError)):
        ask()
    assert p.log()[-1].down == 1000
    assert ask() == (200, BODY)


def test_one_bit(weed, far):
    p, ask = far
    p.rule("corrupt", arg=50000)
    status, body = ask()
    assert status == 200 and [i for i in range(len(BODY)) if body[i] != BODY[i]] == [50000]
    p.rule("corrupt_request", arg=100)
    crc = base64.b64encode(zlib.crc32(BODY).to_bytes(4, "big")).decode()
    status, text = servers.s3_request(ask.server, "PUT", "/public/proxy3.bin", body=BODY, headers={"x-amz-checksum-crc32": crc})
    assert status == 400 and b"BadDigest" in text  # weed doesn't look at x-amz-content-sha256
    assert servers.s3_request(weed, "GET", "/public/proxy3.bin")[0] == 404


def test_times(far):
    p, ask = far
    for action, more, low in (("stall", {"arg": 300, "arg2": 1}, 0.3), ("trickle", {"arg": 200000}, 0.4), ("pass", {}, 0)):
        p.clear()
        p.rule(action, **more)
        t = time.monotonic()
        assert ask() == (200, BODY)
        assert low <= time.monotonic() - t < low + 2
    p.clear()
    p.delay(50)
    t = time.monotonic()
    assert ask() == (200, BODY)
    assert 0.05 <= time.monotonic() - t < 1


def test_clock(far):
    p, ask = far
    p.rule("date", arg=600)
    ask()
    assert abs(email.utils.parsedate_to_datetime(ask.headers["date"]).timestamp() - time.time() - 600) < 5
    p.clear()
    p.rule("skew", arg=600, arg2=300, count=0)
    status, text = servers.s3_request(ask.server, "GET", "/public/proxy.bin")
    assert status == 403 and b"RequestTimeTooSkewed" in text
    p.clear()
    p.rule("skew", arg=600, arg2=900, count=0)
    assert servers.s3_request(ask.server, "GET", "/public/proxy.bin") == (200, BODY)


def test_answers_without_a_server(tmp_path):
    import proxy
    (tmp_path / "a.json").write_text('{"a": 1}')
    with proxy.Proxy({"stub": 0}) as p:
        p.rule("answer", path="/v1/a*", file=tmp_path / "a.json", count=0)
        c = http.client.HTTPConnection(p.url("stub").split("://")[1], timeout=5)
        for _ in range(3):
            c.request("GET", "/v1/a?b=c")
            assert c.getresponse().read() == b'{"a": 1}'
        c.request("GET", "/v1/b")
        assert c.getresponse().status == 404
        c.close()
