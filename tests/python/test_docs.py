"""The examples in the docstrings, and that importing costs little."""

import doctest
import importlib
import os

import pytest


@pytest.mark.parametrize(
    "name",
    ["frazil", "frazil.lake", "frazil.relation", "frazil.progress", "frazil.errors", "frazil.catalog", "frazil.table", "frazil.table.inspect",
     "frazil.table.metadata", "frazil.table.snapshots", "frazil.table.sorting", "frazil.schema", "frazil.types", "frazil.transforms",
     "frazil.partitioning", "frazil.expressions", "frazil.exceptions"],
)  # fmt: skip
def test_docstrings(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for v in ("FRAZIL_LAKE", "FRAZIL_CATALOG"):
        monkeypatch.delenv(v, raising=False)
    if name in ("frazil.relation", "frazil.catalog", "frazil.table", "frazil.table.inspect"):
        for package in ("polars", "pandas", "pyarrow"):
            pytest.importorskip(package)
    import frazil.lake

    frazil.lake._default = None
    m = importlib.import_module(name)
    result = doctest.testmod(m, optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    assert result.attempted and not result.failed


def test_import_brings_little(run):
    heavy = run("""
import sys
before = set(sys.modules)
import frazil
print(" ".join(sorted(m for m in set(sys.modules) - before if not m.startswith("frazil"))))
""").split()
    assert not {"pyarrow", "polars", "pandas", "numpy", "typing", "asyncio", "datetime", "decimal", "threading", "inspect"} & set(heavy), heavy


def test_progress_line():
    import frazil.progress as p

    assert os.environ.get("FRAZIL_PROGRESS") == "0" or p.enabled is None
