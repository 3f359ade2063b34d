"""Tests of the Python package. They run against the package staged in a build folder (python/stage), which PYTHONPATH names."""

import os
import signal
import sys

import pytest

# Who starts the tests in the background may have told them to ignore Ctrl-C; what they start would inherit that.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def lake(tmp_path):
    import frazil

    with frazil.connect(tmp_path / "lake") as x:
        yield x


@pytest.fixture
def run(tmp_path):
    """Runs Python text in a new interpreter; its standard output."""
    import subprocess

    def go(text, *, code=0, timeout=60, env=None):
        r = subprocess.run([sys.executable, "-c", text], cwd=tmp_path, capture_output=True, text=True, timeout=timeout, env={**os.environ, **(env or {})})
        assert r.returncode == code, (r.returncode, r.stdout, r.stderr)
        return r.stdout

    return go
