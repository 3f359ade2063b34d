"""Run by Spark's own Python: reads tables of a lake through its catalog, as Arrow files for the test to compare.

    spark_read.py LAKE OUT TABLE …      OUT/TABLE.arrow, OUT/TABLE.plain.arrow (without vectorised reading); failures in OUT/TABLE.error
"""
import os, sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "golden"))


def main(lake, out, *tables):
    import make_golden
    import pyarrow as pa
    spark = make_golden.start_spark({
        "spark.sql.catalog.default": "org.apache.iceberg.spark.SparkCatalog", "spark.sql.catalog.default.catalog-impl": "org.apache.iceberg.jdbc.JdbcCatalog",
        "spark.sql.catalog.default.uri": f"jdbc:sqlite:{lake}/catalog.db", "spark.sql.catalog.default.warehouse": f"file://{lake}/warehouse",
        "spark.sql.catalog.default.jdbc.schema-version": "V1", "spark.sql.catalog.default.cache-enabled": "false"})
    for kind, vectorised in (("", "true"), (".plain", "false")):
        spark.conf.set("spark.sql.iceberg.vectorization.enabled", vectorised)
        for t in tables:
            try:
                got = spark.sql(f"SELECT * FROM default.default.`{t}`").toArrow()
                with pa.OSFile(f"{out}/{t}{kind}.arrow", "wb") as f, pa.ipc.new_file(f, got.schema) as w:
                    w.write_table(got)
            except Exception as e:
                with open(f"{out}/{t}{kind}.error", "w") as f:
                    f.write("\n".join(x for x in str(e).split("\n") if not x.startswith("\tat "))[:4000])
    spark.stop()


main(*sys.argv[1:])
