"""One piece of work from Python, as a process of its own:  python_work.py WORK ARG…   (the measures of bench.py's `python`)

Each prints a line "answer …", compared between engines where it is a result, and where a time inside the process counts lines "time SECONDS".
"""
import glob, os, sys, time


def data(lake):
    return glob.glob(f"{lake}/warehouse/**/*.parquet", recursive=True)


def newest(lake):
    return max(glob.glob(f"{lake}/warehouse/**/*.metadata.json", recursive=True), key=os.path.getmtime)


def empty():
    print("answer imported")


def import_frazil():
    import frazil
    print("answer imported")


def import_duckdb():
    import duckdb
    print("answer imported")


def import_polars():
    import polars
    print("answer imported")


def import_pyiceberg():
    import pyiceberg.catalog.sql
    print("answer imported")


def first_frazil(lake):
    import frazil
    print("answer", len(frazil.connect(path=lake).sql("select * from default.trade limit 1").fetchone()))


def first_duckdb(lake):
    import duckdb
    print("answer", len(duckdb.sql(f"select * from read_parquet({data(lake)!r}) limit 1").fetchall()[0]))


def first_polars(lake):
    import polars as pl
    print("answer", len(pl.scan_iceberg(newest(lake)).head(1).collect().row(0)))


def first_pyiceberg(lake):
    from pyiceberg.catalog import load_catalog
    c = load_catalog("default", type="sql", uri=f"sqlite:///{lake}/catalog.db", warehouse=f"file://{lake}/warehouse")
    print("answer", len(c.load_table("default.trade").scan(limit=1).to_arrow().to_pylist()[0]))


def whole_frazil(lake):
    import frazil
    d = frazil.connect(path=lake).sql("select * from default.trade").pl()
    print("answer", d.shape, d["Value"].sum())


def whole_polars(lake):
    import polars as pl
    d = pl.scan_iceberg(newest(lake)).collect()
    print("answer", d.shape, d["Value"].sum())


def append_frazil(csv, lake):
    import pyarrow.csv, frazil
    t = pyarrow.csv.read_csv(csv)
    x = frazil.connect(path=lake)
    x.sql("create table default.trade as select * from t limit 0")
    t0 = time.perf_counter()
    x.sql("insert into default.trade select * from t")
    print("time", time.perf_counter() - t0)
    print("answer", t.num_rows)


def append_pyiceberg(csv, lake):
    import pyarrow.csv
    from pyiceberg.catalog import load_catalog
    t = pyarrow.csv.read_csv(csv)
    os.makedirs(f"{lake}/warehouse", exist_ok=True)
    c = load_catalog("default", type="sql", uri=f"sqlite:///{lake}/catalog.db", warehouse=f"file://{lake}/warehouse")
    c.create_namespace_if_not_exists("default")
    it = c.create_table("default.trade", schema=t.schema)
    t0 = time.perf_counter()
    it.append(t)
    print("time", time.perf_counter() - t0)
    print("answer", t.num_rows)


def small_frazil(lake):
    import frazil
    x = frazil.connect(path=lake)
    x.sql("create table default.small as select * from default.trade limit 1000")
    q = "select count(*), sum(Value) from default.small where exp_imp = ?"
    x.sql(q, [1]).fetchall()
    t0 = time.perf_counter()
    for i in range(1000):
        r = x.sql(q, [1 + i % 2]).fetchall()
    print("time", time.perf_counter() - t0)
    x.sql("drop table default.small")
    print("answer counted")


def small_duckdb(lake):
    import duckdb, tempfile
    c = duckdb.connect()
    with tempfile.TemporaryDirectory() as d:
        c.sql(f"copy (select * from read_parquet({data(lake)!r}) limit 1000) to '{d}/small.parquet'")
        q = f"select count(*), sum(Value) from '{d}/small.parquet' where exp_imp = ?"
        c.execute(q, [1]).fetchall()
        t0 = time.perf_counter()
        for i in range(1000):
            c.execute(q, [1 + i % 2]).fetchall()
        print("time", time.perf_counter() - t0)
    print("answer counted")


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])
