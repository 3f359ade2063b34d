"""kill -9 at each fault point in turn, failing disks, read-only folders: the last committed table stays readable."""
import os, re, stat

import pytest


def csv(tmp_path, name, n, start=0):
    p = tmp_path / name
    p.write_text("k,v\n" + "".join(f"{i % 5},{i}\n" for i in range(start, start + n)))
    return p


def points(lake, path):
    err = lake.run("load", path, "probe", env={"FRAZIL_FAULT": "list"}).stderr
    found = sorted(set(re.findall(r"^(?:fault: |fault point: )?([a-z_]+(?:\.[a-z_]+)+)$", err, re.M)))
    assert len(found) >= 8, err
    return found


@pytest.mark.parametrize("action", ["kill", "error", "enospc"])
def test_every_fault_point(lake, tmp_path, action):
    first, second = csv(tmp_path, "a.csv", 100), csv(tmp_path, "b.csv", 50, 1000)
    names = points(lake, first)
    lake.load(first, "t")
    rows = 100
    for name in names:
        for nth in (1, 2):
            r = lake.run("load", second, "t", check=False, env={"FRAZIL_FAULT": f"{name}:{nth}={action}"})
            now = int(lake.one("SELECT count(*) FROM t"))
            assert now in (rows, rows + 50), (name, nth, r.stderr)
            if r.returncode == 0:
                assert now == rows + 50, (name, nth)
            elif action != "kill":
                assert r.returncode == 1 and r.stderr.strip(), (name, nth, r.returncode)
            rows = now
            assert lake.table("t").scan().to_arrow().num_rows == rows, (name, nth)
    lake.load(second, "t")  # and the table still takes rows
    assert int(lake.one("SELECT count(*) FROM t")) == rows + 50


@pytest.mark.parametrize("action", ["error", "enospc"])
def test_failed_loads_leave_no_files(lake, tmp_path, action):
    first, second = csv(tmp_path, "a.csv", 100), csv(tmp_path, "b.csv", 50, 1000)
    names = points(lake, first)
    lake.load(first, "t")

    def files():
        return sorted(os.path.join(d, f) for d, _, fs in os.walk(lake.path + "/warehouse") for f in fs)
    before, rows = files(), lake.one("SELECT count(*) FROM t")
    for name in names:
        lake.run("load", second, "t", check=False, env={"FRAZIL_FAULT": f"{name}={action}"})
        if lake.one("SELECT count(*) FROM t") == rows:
            assert files() == before, name
        before, rows = files(), lake.one("SELECT count(*) FROM t")


def test_new_table_killed_at_every_point(lake, tmp_path):
    path = csv(tmp_path, "a.csv", 100)
    names = points(lake, path)
    for i, name in enumerate(names):
        lake.run("load", path, f"n{i}", check=False, env={"FRAZIL_FAULT": name})
        lake.load(path, f"n{i}")
        assert lake.one(f"SELECT count(*) FROM n{i}") in ("100", "200"), name


def test_read_only_lake_can_be_queried(lake, tmp_path):
    if os.geteuid() == 0:
        pytest.skip("root writes everywhere")
    lake.load(csv(tmp_path, "a.csv", 100), "t")
    for d, ds, fs in os.walk(lake.path):
        os.chmod(d, stat.S_IRUSR | stat.S_IXUSR)
    try:
        assert lake.one("SELECT count(*) FROM t") == "100"
        r = lake.run("sql", "INSERT INTO t VALUES (1, 2)", check=False)
        assert r.returncode == 1 and r.stderr
    finally:
        for d, ds, fs in os.walk(lake.path):
            os.chmod(d, 0o755)


def test_read_only_option(lake, tmp_path):
    lake.load(csv(tmp_path, "a.csv", 10), "t")
    assert lake.run("sql", "SELECT count(*) FROM t", "--read-only", "--format", "csv").stdout.split()[1] == "10"
    r = lake.run("sql", "INSERT INTO t VALUES (1, 2)", "--read-only", check=False)
    assert r.returncode == 1 and "read" in r.stderr
