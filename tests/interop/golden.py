"""The golden tables of tests/golden for tests: unpacked where their metadata says they are, and what Spark answers about them."""
import hashlib, json, os, sys, tarfile

from conftest import ROOT as SOURCE

FOLDER = os.environ.get("FRAZIL_GOLDEN") or os.path.join(SOURCE, "tests", "golden", "tables")
sys.path.insert(0, os.path.join(SOURCE, "tests", "golden"))
from golden_values import ROOT, plain, root_clear, root_locked, sort_rows, type_name


def names():
    return sorted(f[:-5] for f in os.listdir(FOLDER) if f.endswith(".json")) if os.path.isdir(FOLDER) else []


def read(name):
    with open(os.path.join(FOLDER, name + ".json")) as f:
        return json.load(f)


def unpack():
    """All tables to ROOT; what an earlier run unpacked is used again if it is the same."""
    files = [os.path.join(FOLDER, n + ".tar.xz") for n in names()]
    h = hashlib.sha256()
    for f in files:
        with open(f, "rb") as x:
            h.update(x.read())
    with root_locked():
        marker = os.path.join(ROOT, "unpacked")
        if os.path.exists(marker) and open(marker).read() == h.hexdigest():
            return
        root_clear()
        for f in files:
            with tarfile.open(f) as t:
                t.extractall(ROOT, **({"filter": "data"} if hasattr(tarfile, "data_filter") else {}))  # older Pythons have no filters
        with open(marker, "w") as m:
            m.write(h.hexdigest())


def make_lake(path, tables):
    """A lake whose catalog has these golden tables in the namespace golden, at the metadata that Spark wrote last."""
    import sqlite3
    from pyiceberg.catalog import load_catalog
    os.makedirs(path + "/warehouse")
    c = load_catalog("default", type="sql", uri=f"sqlite:///{path}/catalog.db", warehouse=f"file://{path}/warehouse")
    c.create_namespace("golden")
    with sqlite3.connect(path + "/catalog.db") as db:  # PyIceberg would open the files, and reads no location with a #
        db.executemany("INSERT INTO iceberg_tables (catalog_name, table_namespace, table_name, metadata_location) VALUES ('default', 'golden', ?, ?)",
                       [(n, read(n)["metadata"]) for n in tables])
    db.close()


def metadata_cases(name):
    path = os.path.join(ROOT, name, "metadata_tables.json")
    if not os.path.exists(path):
        path = os.path.join(ROOT, "hadoop", "db", name, "metadata_tables.json")
    if not os.path.exists(path):
        return []
    with open(path) as f:
        return json.load(f)


def answer(table):
    """Columns, types and rows as a case has them."""
    rows = sort_rows([[plain(v) for v in row] for row in zip(*[c.to_pylist() for c in table.columns])])
    return table.column_names, [type_name(f.type) for f in table.schema], rows
