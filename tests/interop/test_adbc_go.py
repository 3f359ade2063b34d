"""The ADBC driver under Go's driver manager (tests/adbc/go). Building it takes a C++ compiler and a minute, so it is a long test."""
import os, shutil, subprocess

import pytest

from conftest import ROOT, Lake
from test_adbc import DRIVER

pytestmark = pytest.mark.skipif(not os.environ.get("FRAZIL_TEST_LONG"), reason="long")


def test_go(tmp_path):
    go = next((g for g in (os.path.join(ROOT, ".venv/servers/bin/go"), shutil.which("go")) if g and os.path.exists(g)), None)
    if not go or not shutil.which("g++"):
        pytest.skip("no Go or no g++: scripts/setup --spark")
    b = subprocess.run([go, "build", "-o", str(tmp_path / "check"), "."], cwd=os.path.join(ROOT, "tests/adbc/go"), capture_output=True, text=True,
                       timeout=600, env=dict(os.environ, GOFLAGS="-mod=readonly"))
    if b.returncode:
        pytest.skip("the program can't be built: " + b.stderr[-500:])
    lake = Lake(tmp_path / "lake")
    r = subprocess.run([str(tmp_path / "check"), DRIVER, lake.path], capture_output=True, text=True, timeout=120)
    assert r.returncode == 0 and r.stdout == "ok\n", r.stdout + r.stderr
