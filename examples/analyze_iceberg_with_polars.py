"""The value of exports by month, with Polars, from the table that write_iceberg_with_pyarrow.py wrote.

    iceberg_table=default.japan_trade_stats_2017_2020 python examples/analyze_iceberg_with_polars.py

The original makes its frame by pl.scan_iceberg(icetable), which is PyIceberg's; icetable.to_polars() needs none. It reads only the three
columns that are asked for, and only files that hold exports.

The frazil way:

    import frazil
    print(frazil.sql("select ym, sum(Value) Value from default.japan_trade_stats_2017_2020 where exp_imp = 1 group by ym order by ym"))
"""

from frazil.catalog import load_catalog
import polars as pl
import os

catalog = load_catalog("default")
iceberg_table_name = os.getenv("iceberg_table")
icetable = catalog.load_table(iceberg_table_name)

# create a Polars dataframe
df = icetable.to_polars()

df2 = (
    df.filter(pl.col("exp_imp") == 1)
    .select([pl.col("ym"), pl.col("Value")])
    .group_by(["ym"])
    .sum()
    .sort("ym")
    .collect()
)
print(df2)
