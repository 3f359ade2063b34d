"""Tables for the SQL tests: every type, nulls, NaN, both zeros, extreme values, runs, few and many values, several
files and row groups, a partitioned table, an empty one; the same for frazil and, as views over its Parquet files, for DuckDB."""
import datetime
import decimal
import glob
import random

import pyarrow as pa
import pyarrow.parquet as pq

D = decimal.Decimal
WORDS = ["", "a", "A", "ab", "abc", "b%", "b_c", "zebra", "Äpfel", "日本", "naïve", "x" * 40, " pad ", "10", "-3.5", "NULL"]
FILES = (6000, 5000, 3001)

SCHEMA = pa.schema([
    ("id", pa.int64()), ("b", pa.bool_()), ("i", pa.int32()), ("j", pa.int64()), ("k", pa.int64()), ("c", pa.int32()), ("r", pa.string()),
    ("f", pa.float64()), ("g", pa.float32()), ("v", pa.float64()), ("d", pa.decimal128(9, 2)), ("e", pa.decimal128(18, 4)),
    ("h", pa.decimal128(30, 6)), ("dt", pa.date32()), ("tm", pa.time64("us")), ("ts", pa.timestamp("us")),
    ("tz", pa.timestamp("us", "UTC")), ("s", pa.string()), ("t", pa.string()), ("bin", pa.binary()),
])


def some(rng, p, make):
    return None if rng.random() < p else make()


def row(rng, n, file):
    epoch = datetime.datetime(1970, 1, 1)
    when = epoch + datetime.timedelta(microseconds=rng.randrange(-10 ** 15, 2 * 10 ** 15) // (unit := rng.choice([1, 10 ** 6, 864 * 10 ** 8])) * unit)
    odd = [float("nan"), 0.0, -0.0, float("inf"), float("-inf"), 1e308, -1e308, 5e-324, 0.1, -1.5, 2.5, 1e15, 2.0 ** 53]
    big = [2 ** 63 - 1, -2 ** 63, 0, -1, 2 ** 31, -2 ** 31 - 1, 2 ** 53 + 1]
    return (
        n,
        some(rng, .1, lambda: rng.random() < .3),
        some(rng, .05, lambda: rng.randrange(-50, 51) if rng.random() < .95 else rng.choice([2 ** 31 - 1, -2 ** 31])),
        some(rng, .05, lambda: rng.choice(big) if rng.random() < .1 else rng.randrange(-10 ** 12, 10 ** 12)),
        some(rng, 0 if n // 700 % 5 else 1, lambda: n // 700),
        None if file == 2 else 7 + file,
        some(rng, .0, lambda: "run %d" % (n // 300)),
        some(rng, .1, lambda: rng.choice(odd) if rng.random() < .3 else rng.gauss(0, 1000)),
        some(rng, .05, lambda: rng.choice([0.5, -0.0, 0.0, float("nan"), 1.25, 3e38, -7.0])),
        some(rng, .05, lambda: rng.lognormvariate(2, 1)),
        some(rng, .05, lambda: D(rng.choice([rng.randrange(-500, 500), rng.randrange(-999999999, 999999999)])).scaleb(-2)),
        some(rng, .05, lambda: D(rng.randrange(-10 ** 12, 10 ** 12)).scaleb(-4)),
        some(rng, .05, lambda: D(rng.choice([rng.randrange(-10 ** 8, 10 ** 8), rng.randrange(-10 ** 29, 10 ** 29)])).scaleb(-6)),
        some(rng, .05, when.date),
        some(rng, .05, when.time),
        some(rng, .05, lambda: when),
        some(rng, .05, lambda: when.replace(tzinfo=datetime.timezone.utc) + datetime.timedelta(hours=rng.randrange(99))),
        some(rng, .08, lambda: rng.choice(WORDS)),
        some(rng, .03, lambda: "%s/%06d" % (rng.choice(WORDS), rng.randrange(10 ** 6))),
        some(rng, .1, lambda: rng.randbytes(rng.choice([0, 1, 1, 2, 20]))),
    )


def make_tables(lake, folder, seed=20):
    """Loads the tables w (wide), p (the same rows, partitioned), dim, tiny and none; returns DuckDB's connection with views of those names."""
    import duckdb
    rng, n = random.Random(seed), 0
    paths = []
    for file, rows in enumerate(FILES):
        data = [row(rng, n + i, file) for i in range(rows)]
        n += rows
        path = str(folder / f"w{file}.parquet")
        pq.write_table(pa.table([[r[c] for r in data] for c in range(len(SCHEMA))], schema=SCHEMA), path)
        paths.append(path)
    small = ["--property", "write.parquet.row-group-limit=1500", "--property", "write.parquet.page-row-limit=400"]
    for i, path in enumerate(paths):
        lake.load(path, "w", *(small if i == 0 else ()))
    lake.load(*paths, "p", "--partition-by", "bucket(3, i), truncate(2, s)", *small)
    dim = pa.table({"key": pa.array([None, None] + [x for x in range(-55, 40) for _ in range(1 + (x % 7 == 0))], pa.int32())})
    m = dim.num_rows
    dim = dim.append_column("name", pa.array([None if x % 11 == 0 else WORDS[x % len(WORDS)] for x in range(m)]))
    dim = dim.append_column("big", pa.array([None if x % 13 == 0 else x for x in range(m)], pa.int64()))
    pq.write_table(dim, folder / "dim.parquet")
    lake.load(folder / "dim.parquet", "dim")
    lake.run("sql", "create table tiny (a int, x text, y double, z decimal(6,3)); insert into tiny values (1, 'one', 1.5, 1.125), "
             "(2, 'two', 'NaN', -2.5), (null, null, null, null), (2, 'two', -0.0, 0), (3, '', 'Infinity', 999.999);"
             "create table none as select * from w where false")
    con = duckdb.connect()
    con.execute("set default_null_order='postgres'; set timezone='UTC'; set threads=1")
    for t in ("w", "p", "dim", "tiny"):
        files = glob.glob(f"{lake.path}/warehouse/default/{t}/data/**/*.parquet", recursive=True)
        con.execute(f"create table {t} as select * from read_parquet({files!r}, hive_partitioning=false)")
    con.execute("create view none as select * from w where false")
    return con
