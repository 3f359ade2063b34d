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
