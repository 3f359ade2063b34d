#!/usr/bin/env python3
"""Makes the golden tables: small Iceberg tables written by Spark, each with Spark's own answers.

    .venv/spark/bin/python tests/golden/make_golden.py [--out DIR] [TABLE ...]

`scripts/setup --spark` makes the environment. For each table named (default: all of golden_cases.py) two files are
written to DIR (default: tables/ beside this file):

    TABLE.tar.xz   the table's folder as it lies below ROOT: Iceberg's metadata holds absolute paths, so a golden table is
                   always unpacked to the place where it was written. Also metadata_tables.json: a list of cases
    TABLE.json     where its metadata is, and what Spark answers: {"table", "metadata", "cases": [...]}; a case is
                   {"sql", "columns", "types", "rows"} or, for what has to be refused, {"sql", "error"}. "{t}" in a text
                   stands for the table's name. Rows are in no particular order.

The values in "rows" are those of `plain` in golden_values.py, which the test uses for its own side too.
"""
import argparse, json, os, sys, tarfile, time, traceback

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
from golden_values import ROOT, plain, root_clear, root_locked, sort_rows, type_name

JARS = os.environ.get("FRAZIL_SPARK_JARS") or os.path.join(HERE, "..", "..", ".venv", "spark", "jars")


def start_spark(more={}):
    os.environ["TZ"] = "UTC"
    time.tzset()
    from pyspark.sql import SparkSession
    jars = [os.path.join(JARS, j) for j in sorted(os.listdir(JARS)) if j.endswith(".jar")]
    b = SparkSession.builder.master("local[1]").appName("golden")
    settings = {
        "spark.driver.extraClassPath": ":".join(jars), "spark.driver.memory": "1400m", "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1", "spark.ui.enabled": "false", "spark.sql.session.timeZone": "UTC",
        "spark.sql.shuffle.partitions": "1", "spark.sql.catalogImplementation": "in-memory",
        "spark.sql.warehouse.dir": ROOT + "/spark", "spark.sql.ansi.enabled": "true",
        "spark.sql.extensions": "org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions",
        # its cache of deletes mixes up values of one delete file read under two schemas
        "spark.sql.iceberg.executor-cache.enabled": "false",
        # the catalog of most tables: their metadata files have UUIDs in their names
        "spark.sql.catalog.g": "org.apache.iceberg.spark.SparkCatalog", "spark.sql.catalog.g.type": "jdbc",
        "spark.sql.catalog.g.uri": f"jdbc:sqlite:{ROOT}/catalog.db", "spark.sql.catalog.g.warehouse": ROOT + "/warehouse",
        "spark.sql.catalog.g.jdbc.schema-version": "V1", "spark.sql.catalog.g.cache-enabled": "false",
        # tables that are folders: v1.metadata.json, version-hint.text
        "spark.sql.catalog.h": "org.apache.iceberg.spark.SparkCatalog", "spark.sql.catalog.h.type": "hadoop",
        "spark.sql.catalog.h.warehouse": ROOT + "/hadoop", "spark.sql.catalog.h.cache-enabled": "false",
    }
    for k, v in {**settings, **more}.items():
        b = b.config(k, v)
    spark = b.getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    return spark


class Golden:
    """One table while it is made."""

    def __init__(self, spark, name, catalog="g", folder=None):
        self.spark, self.name, self.catalog = spark, name, catalog
        self.jvm = spark._jvm
        self.cases, self.metadata_cases = [], []
        self.scheme = "file://"
        self.dir = f"{ROOT}/{name}" if catalog == "g" else f"{ROOT}/hadoop/db/{name}"
        self.folder = folder or "table"
        self.t = f"{catalog}.db.`{name}`"

    # -- writing

    def sql(self, text):
        return self.spark.sql(text.replace("{t}", self.t))

    def create(self, columns, partitioned=None, location=True, **props):
        props = {k.replace("__", "-").replace("_", "."): v for k, v in props.items()}
        props.setdefault("format-version", "2")
        self.sql(f"CREATE TABLE {self.t} ({columns}) USING iceberg "
                 + (f"PARTITIONED BY ({partitioned}) " if partitioned else "")
                 + (f"LOCATION '{self.scheme}{self.dir}/{self.folder}' " if self.catalog == "g" and location else "")
                 + "TBLPROPERTIES (" + ", ".join(f"'{k}'='{v}'" for k, v in props.items()) + ")")

    def set(self, **props):
        self.sql("ALTER TABLE {t} SET TBLPROPERTIES (" + ", ".join(
            f"'{k.replace('__', '-').replace('_', '.')}'='{v}'" for k, v in props.items()) + ")")

    def insert(self, *rows):
        self.sql("INSERT INTO {t} VALUES " + ", ".join(f"({r})" for r in rows))

    def insert_rows(self, *rows):
        """One commit and one file for each row."""
        for r in rows:
            self.insert(r)

    def call(self, procedure, arguments=""):
        arguments = arguments.replace("{t}", f"db.{self.name}")
        return self.sql(f"CALL {self.catalog}.system.{procedure}(table => 'db.{self.name}'{', ' + arguments if arguments else ''})").collect()

    # -- Iceberg's own Java interface, for what Spark doesn't write

    def table(self):
        return self.jvm.org.apache.iceberg.spark.Spark3Util.loadIcebergTable(self.spark._jsparkSession, f"{self.catalog}.db.{self.name}")

    def java_list(self, values):
        out = self.jvm.java.util.ArrayList()
        for v in values:
            out.add(v)
        return out

    def int_array(self, values):
        a = self.spark._sc._gateway.new_array(self.jvm.int, len(values))
        for i, v in enumerate(values):
            a[i] = v
        return a

    def record(self, schema, values):
        """Values that JSON has pass through Iceberg's own reader of JSON, which gives them the Java type of their field."""
        is_json = lambda v: v is None or isinstance(v, (bool, int, str, dict)) or isinstance(v, float) and v == v
        simple = {str(schema.findField(k).fieldId()): v for k, v in values.items() if is_json(v)}
        r = self.jvm.org.apache.iceberg.SingleValueParser.fromJson(schema.asStruct(), json.dumps(simple))
        for k, v in values.items():
            if not is_json(v):
                r.setField(k, v)
        return r

    def partition(self, values, spec_id=None):
        """A partition tuple for values in the specification's internal form (days, unscaled, …)."""
        t = self.table()
        spec = t.specs().get(spec_id) if spec_id is not None else t.spec()
        p = self.jvm.org.apache.iceberg.PartitionData(spec.partitionType())
        for i, v in enumerate(values):
            p.put(i, v)
        return p

    def writer(self, spec_id=None, equality=(), row_schema=None, position_rows=False):
        t = self.table()
        spec = t.specs().get(spec_id) if spec_id is not None else t.spec()
        props = self.jvm.java.util.HashMap()
        f = self.jvm.org.apache.iceberg.data.GenericAppenderFactory(
            t, t.schema(), spec, props, self.int_array(equality) if equality else None, row_schema,
            t.schema() if position_rows else None)
        return t, f

    def new_file(self, t, name):
        jvm = self.jvm
        out = t.io().newOutputFile(t.locationProvider().newDataLocation(name))
        return jvm.org.apache.iceberg.encryption.EncryptionUtil.plainAsEncryptedOutput(out)

    def format(self, name):
        return self.jvm.org.apache.iceberg.FileFormat.fromString(name)

    def equality_delete(self, rows, spec_id=None, partition=None, fmt="parquet", commit=True, data=(), name=None):
        """An equality delete file by the columns that the rows (dicts) name; `data` are rows added by the same commit."""
        t = self.table()
        names = list(rows[0])
        schema = t.schema().select(self.java_list(names))
        ids = [t.schema().findField(n).fieldId() for n in names]
        t, f = self.writer(spec_id, ids, schema)
        self.n_files = getattr(self, "n_files", 0) + 1
        w = f.newEqDeleteWriter(self.new_file(t, f"{name or 'eq'}-{self.n_files}.{fmt}"), self.format(fmt), partition)
        for r in rows:
            w.write(self.record(schema, r))
        w.close()
        delta = t.newRowDelta().addDeletes(w.toDeleteFile())
        for d in self.data_files(data, spec_id, partition) if data else []:
            delta.addRows(d)
        delta.commit()

    def data_files(self, rows, spec_id=None, partition=None, fmt="parquet", settings=None):
        t, f = self.writer(spec_id)
        for k, v in (settings or {}).items():
            f.set(k, v)
        self.n_files = getattr(self, "n_files", 0) + 1
        w = f.newDataWriter(self.new_file(t, f"data-{self.n_files}.{fmt}"), self.format(fmt), partition)
        for r in rows:
            w.write(self.record(t.schema(), r))
        w.close()
        return [w.toDataFile()]

    def append_records(self, rows, **kw):
        files = self.data_files(rows, **kw)
        a = self.table().newAppend()
        for f in files:
            a.appendFile(f)
        a.commit()

    # -- answers

    def ask(self, *texts, frazil=None, types=False, into=None):
        """Spark's answer to each text becomes a case; `frazil`: the same question in frazil's words where they differ."""
        for text in texts:
            got = self.sql(text).toArrow()
            case = {"sql": frazil or text, "columns": got.column_names}
            if types or text.startswith("SELECT * FROM {t}"):
                case["types"] = [type_name(f.type) for f in got.schema]
            case["rows"] = sort_rows([[plain(v) for v in row] for row in zip(*[c.to_pylist() for c in got.columns])])
            (self.cases if into is None else into).append(case)

    def state(self, text, columns, rows):
        """An answer that isn't Spark's: the case says why Spark has none."""
        self.cases.append({"sql": text, "columns": columns, "rows": sort_rows(rows)})

    def filters(self, column, *literals, ops=("=", "<", ">="), spark=None):
        """spark: the column as an expression that isn't used to prune files: pruning by floats, Spark's answers would depend
        on how rows are spread over files, since Iceberg's order has -0 before +0 and its filters no place for NaN."""
        for x in literals:
            for op in ops:
                self.ask(f"SELECT id FROM {{t}} WHERE {spark or column} {op} {x}", frazil=f"SELECT id FROM {{t}} WHERE {column} {op} {x}")
        self.ask(f"SELECT id FROM {{t}} WHERE {column} IS NULL")

    def refused(self, text, error):
        self.cases.append({"sql": text, "error": error})

    def snapshots(self):
        """Snapshot ids, oldest first."""
        return [r[0] for r in self.sql("SELECT snapshot_id FROM {t}.snapshots ORDER BY committed_at").collect()]

    def travel(self, *columns):
        what = ", ".join(columns) or "*"
        for s in self.snapshots():
            self.ask(f"SELECT {what} FROM {{t}} VERSION AS OF {s}")
        for r in self.sql("SELECT date_format(committed_at, 'yyyy-MM-dd HH:mm:ss.SSS') FROM {t}.snapshots").collect():
            self.ask(f"SELECT {what} FROM {{t}} TIMESTAMP AS OF '{r[0]}'")

    METADATA = ("snapshots", "history", "refs", "files", "data_files", "delete_files", "all_files", "all_data_files", "all_delete_files",
                "manifests", "all_manifests", "partitions", "entries", "all_entries", "metadata_log_entries", "position_deletes")

    def metadata_tables(self, *names):
        for n in names or self.METADATA:
            self.ask(f"SELECT * FROM {{t}}.{n}", types=True, into=self.metadata_cases)
            if n.endswith("manifests"):  # a bound that is missing is the text "null" in Spark's answer; it is NULL, as in PyIceberg's
                case = self.metadata_cases[-1]
                at = case["columns"].index("partition_summaries")
                for summary in (x for row in case["rows"] for x in row[at] or []):
                    for bound in ("lower_bound", "upper_bound"):
                        summary[bound] = None if summary[bound] == "null" else summary[bound]

    # -- keeping it

    def save(self, out):
        """Both files; the name is free for another table then."""
        metadata = self.table().operations().current().metadataFileLocation()
        head = {"table": self.name, "metadata": metadata}
        lines = lambda cases: "[\n" + ",\n".join(json.dumps(c, ensure_ascii=False, separators=(",", ":")) for c in cases) + "\n]"
        with open(os.path.join(out, self.name + ".json"), "w") as f:
            f.write(json.dumps(head, ensure_ascii=False)[:-1] + ', "cases": ' + lines(self.cases) + "}\n")
        if self.metadata_cases:
            with open(os.path.join(self.dir, "metadata_tables.json"), "w") as f:
                f.write(lines(self.metadata_cases) + "\n")
        path = os.path.join(out, self.name + ".tar.xz")
        with tarfile.open(path, "w:xz", preset=9) as tar:
            for base, dirs, files in os.walk(self.dir):
                dirs.sort()
                for name in sorted(files):
                    if name.endswith(".crc"):
                        continue
                    full = os.path.join(base, name)
                    info = tarfile.TarInfo(os.path.relpath(full, ROOT))
                    info.size, info.mtime, info.mode = os.path.getsize(full), 0, 0o644
                    with open(full, "rb") as f:
                        tar.addfile(info, f)
        return os.path.getsize(path) + os.path.getsize(path[:-7] + ".json")


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--out", default=os.path.join(HERE, "tables"))
    ap.add_argument("tables", nargs="*")
    a = ap.parse_args()
    import golden_cases
    names = a.tables or list(golden_cases.TABLES)
    unknown = [n for n in names if n not in golden_cases.TABLES]
    if unknown:
        ap.error(f"no such table: {', '.join(unknown)}; there are {', '.join(golden_cases.TABLES)}")
    os.makedirs(a.out, exist_ok=True)
    with root_locked():
        root_clear()
        failed = make_tables(names, golden_cases.TABLES, a.out)
        root_clear()
    if failed:
        sys.exit("failed: " + " ".join(failed))


def make_tables(names, tables, out):
    spark = start_spark()
    failed = []
    for n in names:
        t0 = time.time()
        make, options = tables[n]
        g = Golden(spark, n, **options)
        try:
            make(g)
            size = g.save(out)
            print(f"{n}: {len(g.cases)} cases, {size} bytes, {time.time() - t0:.1f} s", flush=True)
        except Exception:
            traceback.print_exc()
            failed.append(n)
    spark.stop()
    return failed


if __name__ == "__main__":
    main()
