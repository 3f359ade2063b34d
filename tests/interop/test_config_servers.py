"""`frazil config check` against servers that run: a REST catalog with OAuth2 and S3 (weed), AWS's token service and regions (moto)."""
import os, subprocess

import pytest

import servers
from test_config import FRAZIL, Place, place  # noqa: F401


@pytest.fixture(scope="module")
def weed():
    try:
        return servers.shared_weed()
    except servers.Missing as e:
        pytest.skip(str(e))


@pytest.fixture(scope="module")
def moto():
    try:
        with servers.moto() as m:
            yield m
    except servers.Missing as e:
        pytest.skip(str(e))


def check(place, properties, **over):
    p = dict(properties, **{k.replace("__", "-").replace("_", "."): v for k, v in over.items()})
    sets = [x for k, v in p.items() if v is not None for x in ("--set", f"{k}={v}")]
    r = place.run(*sets, "config", "check", check=False)
    text = r.stdout + r.stderr
    for k, v in p.items():
        if v and ("secret" in k or k == "credential"):
            assert v.split(":")[-1] not in text, k
    return r.returncode, text


def test_rest_catalog(place, weed):
    p = weed.properties()
    code, text = check(place, p)
    assert code == 0 and "the catalog answers" in text, text
    sets = [x for k, v in p.items() for x in ("--set", f"{k}={v}")]
    name = f"check_{os.getpid()}"
    place.run(*sets, "sql", f"CREATE SCHEMA {name}; CREATE TABLE {name}.t AS SELECT 1 AS n")
    try:
        code, text = check(place, p)
        assert code == 0 and "is loaded" in text and "its files are reached: s3://" in text, text
        for over, words in [
            (dict(credential="nobody:Wr0ngSecret"), ["401", "Invalid client credentials", "credential"]),
            (dict(warehouse="no-such-warehouse"), ["no-such-warehouse", "check warehouse"]),
            (dict(uri=p["uri"] + "/elsewhere"), ["404", "check uri"]),
            (dict(uri=p["uri"].replace("http:", "https:")), ["TLS", "ssl.cabundle"]),
            (dict(uri="http://no-such-host.invalid"), ["resolve", "DNS"]),
            (dict(s3_secret__access__key="Wr0ngSecret"), ["403", "s3.secret-access-key"]),
            (dict(s3_endpoint="http://127.0.0.1:1"), ["nothing listens there", "s3.endpoint"]),
        ]:
            code, text = check(place, p, **over)
            assert code == 1 and all(w in text for w in words), (over, text)
    finally:
        place.run(*sets, "sql", f"DROP TABLE {name}.t PURGE; DROP SCHEMA {name}")


def test_configured_by_file_and_environment(place, weed):
    place.env.update(weed.env("weed"))
    del place.env["PYICEBERG_CATALOG__WEED__URI"]
    place.write("home", f"default-catalog: weed\ncatalog:\n  weed:\n    uri: {weed.rest}\n")
    name = f"both_{os.getpid()}"
    place.run("sql", f"CREATE SCHEMA {name}; CREATE TABLE {name}.t AS SELECT 1 AS n")
    try:
        out = place.pyiceberg("import pyarrow as pa\nfrom pyiceberg.catalog import load_catalog\n"
                              f"t = load_catalog().load_table('{name}.t')\nt.append(pa.table({{'n': pa.array([2], pa.int32())}}))\n"
                              "out = sorted(t.scan().to_arrow().column('n').to_pylist())")
        assert out == [1, 2], out
        assert place.sql(f"SELECT sum(n) FROM weed.{name}.t") == [["3"]]
        # together with a local lake
        assert place.sql(f"CREATE TABLE u AS SELECT n + 10 AS n FROM weed.{name}.t; SELECT sum(u.n) FROM u JOIN weed.{name}.t AS t ON u.n = t.n + 10",
                         "--lake", "local") == [["23"]]
    finally:
        place.run("sql", f"DROP TABLE {name}.t PURGE; DROP SCHEMA {name}")


def s3_catalog(place, moto, bucket):
    return {"uri": f"sqlite:///{place.root}/m.db", "warehouse": f"s3://{bucket}/wh", "s3.endpoint": moto.s3, "s3.region": "us-east-1"}


def make_bucket(moto, bucket, region):
    body = b"" if region == "us-east-1" else f"<CreateBucketConfiguration><LocationConstraint>{region}</LocationConstraint></CreateBucketConfiguration>".encode()
    status, text = servers.s3_request(moto, "PUT", f"/{bucket}", body=body)
    assert status == 200, text


def test_credentials_of_a_role(place, moto):
    """Keys from a profile that assumes a role: the token service and the bucket are moto's."""
    make_bucket(moto, "roles", "us-east-1")
    os.makedirs(place.home + "/.aws")
    with open(place.home + "/.aws/config", "w") as f:
        f.write("[profile base]\naws_access_key_id = AKIABASE\naws_secret_access_key = B4seSecret\nregion = us-east-1\n"
                "[profile job]\nrole_arn = arn:aws:iam::123456789012:role/job\nsource_profile = base\n")
    place.env.update({"AWS_PROFILE": "job", "AWS_ENDPOINT_URL_STS": moto.s3})
    p = s3_catalog(place, moto, "roles")
    sets = [x for k, v in p.items() for x in ("--set", f"{k}={v}")]
    assert place.sql("CREATE SCHEMA s; CREATE TABLE s.t AS SELECT 5 AS n; SELECT n FROM s.t", *sets) == [["5"]]
    code, text = check(place, p)
    assert code == 0 and "its files are reached" in text and "B4seSecret" not in text
    code, text = check(place, p, s3_role__arn="arn:aws:iam::123456789012:role/other", s3_profile__name="base")
    assert code == 0, text
    place.env["AWS_PROFILE"] = "nobody"
    code, text = check(place, p)
    assert code == 1 and 'no AWS profile "nobody"' in text


def test_region_differs(place, moto):
    make_bucket(moto, "faraway", "eu-central-1")
    p = dict(s3_catalog(place, moto, "faraway"), **{"s3.access-key-id": "any", "s3.secret-access-key": "any"})
    place.run(*[x for k, v in p.items() for x in ("--set", f"{k}={v}")], "sql", "CREATE SCHEMA s")
    code, text = check(place, p)
    assert code == 0 and "bucket faraway is in the region eu-central-1, s3.region says us-east-1" in text, text
    code, text = check(place, p, s3_region="eu-central-1")
    assert code == 0 and "in the region" not in text, text
    code, text = check(place, p, warehouse="s3://no-such-bucket/wh")
    assert code == 1 and "no such bucket" in text, text


# ---- a server of the test's own, for answers that real ones don't give on request ----

class Stub:
    """Answers by path: (status, JSON). tls: a certificate that only `ca` vouches for."""

    def __init__(self, answers, tls=None):
        import http.server
        import json as j

        stub = self
        self.seen = []

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def reply(self):
                n = int(self.headers.get("Content-Length") or 0)
                stub.seen.append((self.command, self.path, self.rfile.read(n).decode()))
                status, body = answers.get(self.path.split("?")[0], (404, {"error": {"message": "no such path", "type": "NotFound", "code": 404}}))
                data = j.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = do_HEAD = reply

            def log_message(self, *a):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        if tls:
            import ssl
            ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            ctx.load_cert_chain(*tls)
            self.server.socket = ctx.wrap_socket(self.server.socket, server_side=True)
        self.url = f"http{'s' if tls else ''}://127.0.0.1:{self.server.server_address[1]}"

    def __enter__(self):
        import threading
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *a):
        self.server.shutdown()
        self.server.server_close()


EMPTY = {"/v1/config": (200, {"defaults": {}, "overrides": {}}), "/v1/namespaces": (200, {"namespaces": []})}
TOKEN = {"/v1/oauth/tokens": (200, {"access_token": "Secr3tOfTheServer", "token_type": "bearer", "expires_in": 3600})}


def test_what_servers_say(place):
    cases = [
        ({"/v1/oauth/tokens": (400, {"error": "invalid_scope", "error_description": "The scope is invalid: a role is needed"})},
         {"credential": "cid:MySecr3t"}, ["400", "a role is needed", "PRINCIPAL_ROLE:<role>"]),
        ({"/v1/oauth/tokens": (401, {"error": "invalid_client", "error_description": "unknown client cid with MySecr3t"})},
         {"credential": "cid:MySecr3t"}, ["401", "unknown client cid with ****", "credential"]),
        (dict(TOKEN, **{"/v1/config": (404, {"error": {"message": "Unable to find warehouse nope", "type": "NotFoundException", "code": 404}})}),
         {"credential": "cid:MySecr3t", "warehouse": "nope"}, ["404", "Unable to find warehouse nope", "check warehouse"]),
        ({"/v1/config": (403, {"error": {"message": "Principal may not do that", "type": "ForbiddenException", "code": 403}})},
         {"token": "MySecr3tToken"}, ["403", "Principal may not do that", "scope"]),
        ({"/v1/config": (401, {"error": {"message": "Not authorized: MySecr3tToken has expired", "type": "NotAuthorizedException", "code": 401}})},
         {"token": "MySecr3tToken"}, ["401", "Not authorized: **** has expired"]),
    ]
    for answers, properties, words in cases:
        with Stub(answers) as s:
            code, text = check(place, dict(properties, uri=s.url))
            assert code == 1 and all(w in text for w in words) and "Secr3t" not in text, text
            sets = [x for k, v in dict(properties, uri=s.url).items() for x in ("--set", f"{k}={v}")]
            for args in (["sql", "SELECT * FROM a.b"], ["ls"], ["inspect", "a.b"], ["config"]):
                r = place.run(*sets, *args, check=False)
                assert "Secr3t" not in r.stdout + r.stderr and (r.returncode == 1 or args == ["config"]), r
    with Stub(dict(EMPTY, **TOKEN)) as s:
        code, text = check(place, {"uri": s.url, "credential": "cid:MySecr3t"})
        assert code == 0 and "0 namespaces" in text and "Secr3t" not in text, text
        assert any("client_secret=MySecr3t" in body for _, path, body in s.seen if path.endswith("/tokens"))


def test_a_private_authority(place):
    cert, key = str(place.root / "cert.pem"), str(place.root / "key.pem")
    made = subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1", "-addext",
                           "subjectAltName=IP:127.0.0.1", "-out", cert, "-keyout", key], capture_output=True)
    if made.returncode:
        pytest.skip("openssl makes no certificate")
    with Stub(EMPTY, tls=(cert, key)) as s:
        code, text = check(place, {"uri": s.url, "token": "MySecr3tToken"})
        assert code == 1 and "certificate" in text and "ssl.cabundle" in text, text
        code, text = check(place, {"uri": s.url, "token": "MySecr3tToken", "ssl.cabundle": cert})
        assert code == 0, text
