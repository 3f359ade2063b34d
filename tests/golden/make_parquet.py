"""Writes tests/golden/parquet/*.parquet with Spark (pyspark 4.0.1, Java 17): every type, nested ones, in the present form,
in the legacy one (two-level lists, INT96, decimals in bytes) and with pages of version 2. tests/interop/test_parquet_read.py
compares what frazil reads from them with what PyArrow does.

    python tests/golden/make_parquet.py
"""
import glob
import os
import shutil
import tempfile

from pyspark.sql import SparkSession

OUT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "parquet")
QUERY = """
select id, cast(id as smallint) sm, cast(id % 100 as tinyint) ti, cast(id * 1.5 as decimal(9,2)) d9, cast(id * 1.25 as decimal(18,4)) d18,
       cast(id as decimal(38,10)) d38, timestamp_micros(id * 1000003) ts, cast(timestamp_micros(id * 1000003) as timestamp_ntz) tn,
       date_add(date'1960-01-01', cast(id as int)) da, if(id % 7 = 0, null, array(id, null, id + 1)) l,
       if(id % 5 = 0, null, named_struct('a', id, 'b', array(named_struct('x', cast(id as string), 'y', if(id % 3 = 0, null, id))))) st,
       if(id % 4 = 0, map(), map(concat('k', id), array(id, id), concat('j', id), null)) m, array(array(1), null, array()) ll,
       map(cast(id as int), named_struct('q', id % 2 = 0)) ms
from range(400)"""
FORMS = {
    "spark": {},
    "spark_legacy": {"spark.sql.parquet.writeLegacyFormat": "true", "spark.sql.parquet.outputTimestampType": "INT96"},
    "spark_v2": {"parquet.writer.version": "v2"},
}

spark = (SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false").config("spark.driver.host", "127.0.0.1")
         .config("spark.driver.bindAddress", "127.0.0.1").config("spark.sql.session.timeZone", "UTC").getOrCreate())
os.makedirs(OUT, exist_ok=True)
with tempfile.TemporaryDirectory() as tmp:
    for name, conf in FORMS.items():
        settings = {"spark.sql.parquet.writeLegacyFormat": "false", "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS"}
        for k, v in {**settings, **conf}.items():
            spark.conf.set(k, v)
        w = spark.sql(QUERY).coalesce(1).write.option("parquet.page.size", "1024").option("compression", "zstd")
        for k, v in conf.items():
            w = w.option(k, v)
        w.parquet(os.path.join(tmp, name))
        shutil.copy(glob.glob(os.path.join(tmp, name, "*.parquet"))[0], os.path.join(OUT, name + ".parquet"))
