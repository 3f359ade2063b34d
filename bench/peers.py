"""One piece of work of one peer, as a process of its own:  peers.py WORK ARG…

Each prints a line "answer …" that is compared between engines, and where a time inside the process is what
counts, lines "time SECONDS".
"""
import os, sys, time


def catalog(lake):
    """Of a lake's directory; "-": the one that the environment configures as "default"."""
    from pyiceberg.catalog import load_catalog
    if lake == "-":
        return load_catalog("default")
    os.makedirs(f"{lake}/warehouse", exist_ok=True)
    return load_catalog("default", type="sql", uri=f"sqlite:///{lake}/catalog.db", warehouse=f"file://{lake}/warehouse")


def load_pyiceberg(csv, lake):
    import pyarrow.csv
    c = catalog(lake)
    c.create_namespace_if_not_exists("default")
    t = pyarrow.csv.read_csv(csv)
    it = c.create_table_if_not_exists("default.trade", schema=t.schema)
    it.append(t)
    print("answer", t.num_rows)


def load_polars_iceberg(csv, lake):
    import polars as pl
    c = catalog(lake)
    c.create_namespace_if_not_exists("default")
    lf = pl.scan_csv(csv)
    it = c.create_table_if_not_exists("default.trade", schema=lf.head(100).collect().to_arrow().schema)
    lf.sink_iceberg(it, mode="append", storage_options={k: v for k, v in it.io.properties.items() if k.startswith("s3.")})
    print("answer", "written")


def load_polars_parquet(csv, out):
    import polars as pl
    os.makedirs(out, exist_ok=True)
    pl.scan_csv(csv).sink_parquet(f"{out}/trade.parquet")
    print("answer", "written")


def scan_pyarrow(csv):
    import pyarrow.csv, pyarrow.compute as pc
    t = pyarrow.csv.read_csv(csv)
    print("answer", [pc.sum(c).as_py() for c in t.columns])


def scan_polars(csv):
    import polars as pl
    print("answer", list(pl.scan_csv(csv).sum().collect(engine="streaming").row(0)))


def scan_duckdb(csv):
    import duckdb
    cols = open(csv).readline().strip().split(",")
    q = ", ".join(f'sum("{c}"::bigint)' for c in cols)
    print("answer", [int(x) for x in duckdb.sql(f"select {q} from read_csv('{csv}')").fetchall()[0]])


REPORT = 'select ym, sum("Value") as "Value" from {} where exp_imp = 1 group by ym order by ym'


def files_of(lake):
    import glob
    return sorted(glob.glob(f"{lake}/warehouse/**/*.parquet", recursive=True))


def report_duckdb(lake, n=1):
    import duckdb
    src = "read_parquet(" + repr(files_of(lake)) + ")"
    for _ in range(int(n)):
        t0 = time.perf_counter()
        rows = duckdb.sql(REPORT.format(src)).fetchall()
        print("time", time.perf_counter() - t0)
    print("answer", len(rows), sum(int(r[1]) for r in rows))


def report_datafusion(lake, n=1):
    from datafusion import SessionContext
    ctx = SessionContext()
    files = files_of(lake)
    ctx.register_parquet("t", os.path.dirname(files[0]))
    for _ in range(int(n)):
        t0 = time.perf_counter()
        rows = ctx.sql(REPORT.format("t")).to_pydict()
        print("time", time.perf_counter() - t0)
    print("answer", len(rows["ym"]), sum(rows["Value"]))


def report_polars(lake, n=1):
    import polars as pl
    it = catalog(lake).load_table("default.trade")
    for _ in range(int(n)):
        t0 = time.perf_counter()
        df = (pl.scan_iceberg(it).filter(pl.col("exp_imp") == 1).group_by("ym").agg(pl.col("Value").sum()).sort("ym").collect())
        print("time", time.perf_counter() - t0)
    print("answer", df.height, df["Value"].sum())


def first_duckdb(lake):
    import duckdb
    src = "read_parquet(" + repr(files_of(lake)) + ")"
    print("answer", len(duckdb.sql(f"select * from {src} limit 1").fetchall()[0]))


def first_pyiceberg(lake):
    t = catalog(lake).load_table("default.trade").scan(limit=1).to_arrow()
    print("answer", len(t.column_names))


def appends_pyiceberg(lake, n):
    import pyarrow as pa
    c = catalog(lake)
    c.create_namespace_if_not_exists("default")
    row = pa.table({"id": pa.array([1], pa.int64()), "v": pa.array(["x"], pa.string())})
    t = c.create_table_if_not_exists("default.t", schema=row.schema)
    for _ in range(int(n)):
        t0 = time.perf_counter()
        t.append(row)
        print("time", time.perf_counter() - t0)
    print("answer", t.scan().to_arrow().num_rows)


def writer_pyiceberg(lake, n):
    import pyarrow as pa
    row = pa.table({"id": pa.array([1], pa.int64()), "v": pa.array(["x"], pa.string())})
    c = catalog(lake)
    failed = 0
    for _ in range(int(n)):
        try:
            c.load_table("default.t").append(row)
        except Exception:
            failed += 1
    print("answer", failed)


def drop(lake, table):
    c = catalog(lake)
    c.create_namespace_if_not_exists(table.split(".")[0])
    if c.table_exists(table):
        c.drop_table(table)
    print("answer", "gone")


def create(lake, table):
    """An empty table (id bigint, v varchar)."""
    import pyarrow as pa
    c = catalog(lake)
    c.create_namespace_if_not_exists(table.split(".")[0])
    c.create_table(table, schema=pa.schema([("id", pa.int64()), ("v", pa.string())]))
    print("answer", "made")


def count(lake, table):
    t = catalog(lake).load_table(table).scan().to_arrow()
    print("answer", t.num_rows)


def load_table(lake, table, n):
    c = catalog(lake)
    for _ in range(int(n)):
        t0 = time.perf_counter()
        c.load_table(table)
        print("time", time.perf_counter() - t0)
    print("answer", "loaded")


def timed(fn):
    t0 = time.perf_counter()
    t = fn()
    print("time", time.perf_counter() - t0)
    print("answer", t.shape[0], t.shape[1])


def arrow_polars(lake):
    import polars as pl
    it = catalog(lake).load_table("default.trade")
    timed(lambda: pl.scan_iceberg(it).collect())


def arrow_pyiceberg(lake):
    it = catalog(lake).load_table("default.trade")
    timed(lambda: it.scan().to_arrow())


def stream_pyiceberg(lake):
    it = catalog(lake).load_table("default.trade")
    t0 = time.perf_counter()
    rows = sum(len(b) for b in it.scan().to_arrow_batch_reader())
    print("time", time.perf_counter() - t0)
    print("answer", rows, len(it.schema().fields))


def stream_polars(lake):
    import polars as pl
    it = catalog(lake).load_table("default.trade")
    t0 = time.perf_counter()
    rows = sum(b.height for b in pl.scan_iceberg(it).collect_batches())
    print("time", time.perf_counter() - t0)
    print("answer", rows, len(it.schema().fields))


def parquet_pyarrow(path):
    import pyarrow.parquet as pq
    timed(lambda: pq.read_table(path))


def parquet_polars(path):
    import polars as pl
    timed(lambda: pl.read_parquet(path))


MANY = "p = 7 and id between 705 and 710"


def many_polars(lake, n=1):
    import polars as pl
    loc = catalog(lake).load_table("default.many").metadata_location
    for _ in range(int(n)):
        t0 = time.perf_counter()
        c = pl.col
        v = pl.scan_iceberg(loc, reader_override="native").filter((c("p") == 7) & (c("id") >= 705) & (c("id") <= 710)).select(c("id").sum()).collect().item()
        print("time", time.perf_counter() - t0)
    print("answer", v)


def many_pyiceberg(lake, n=1):
    t = catalog(lake).load_table("default.many")
    for _ in range(int(n)):
        t0 = time.perf_counter()
        v = sum(t.scan(row_filter="p = 7 and id >= 705 and id <= 710", selected_fields=("id",)).to_arrow()["id"].to_pylist())
        print("time", time.perf_counter() - t0)
    print("answer", v)


def many_duckdb(lake, n=1):
    import duckdb, glob
    from duckdb_extensions import import_extension
    c = duckdb.connect()
    for e in ("avro", "httpfs", "iceberg"):
        import_extension(e)
        c.load_extension(e)
    loc = max(glob.glob(f"{lake}/warehouse/default/many/metadata/*.metadata.json"))
    for _ in range(int(n)):
        t0 = time.perf_counter()
        v = c.execute(f"select sum(id) from iceberg_scan('{loc}') where {MANY}").fetchall()[0][0]
        print("time", time.perf_counter() - t0)
    print("answer", int(v))


TPCH = ("customer", "lineitem", "nation", "orders", "part", "partsupp", "region", "supplier")


def tpch_files(out, scale="1"):
    """TPC-H tables as Parquet files by DuckDB and by PyArrow: OUT/duckdb/T.parquet, OUT/pyarrow/T.parquet."""
    import duckdb, pyarrow.parquet as pq
    from duckdb_extensions import import_extension
    import_extension("tpch")
    c = duckdb.connect()
    c.load_extension("tpch")
    c.execute(f"CALL dbgen(sf = {scale})")
    for who in ("duckdb", "pyarrow"):
        os.makedirs(f"{out}/{who}", exist_ok=True)
    for t in TPCH:
        c.execute(f"COPY {t} TO '{out}/duckdb/{t}.parquet' (FORMAT parquet)")
        pq.write_table(c.execute(f"FROM {t}").arrow().read_all(), f"{out}/pyarrow/{t}.parquet")
    print("answer", "written")


globals()[sys.argv[1]](*sys.argv[2:])
