"""The golden tables, made anew by Spark and compared like those that are kept. Long, and only where scripts/setup --spark was run."""
import os, subprocess, sys

import pytest

import golden
from conftest import ROOT
from test_read_by_others import SPARK


@pytest.mark.timeout(3000)
def test_made_afresh(tmp_path):
    if not os.environ.get("FRAZIL_TEST_LONG") or not os.path.exists(SPARK):
        pytest.skip("needs FRAZIL_TEST_LONG and scripts/setup --spark")
    try:
        r = subprocess.run([SPARK, os.path.join(ROOT, "tests", "golden", "make_golden.py"), "--out", str(tmp_path)], capture_output=True, text=True)
        assert r.returncode == 0, r.stdout[-3000:] + r.stderr[-3000:]
        r = subprocess.run([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", os.path.join(ROOT, "tests", "interop", "test_golden.py")],
                           env=dict(os.environ, FRAZIL_GOLDEN=str(tmp_path)), capture_output=True, text=True, cwd=ROOT)
        assert r.returncode == 0, r.stdout[-6000:]
    finally:
        golden.unpack()  # for tests that come after this one
