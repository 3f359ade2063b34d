"""The golden tables: what each one holds, and what Spark is asked about it. See make_golden.py."""
TABLES = {}


def golden(name, **options):
    def add(f):
        TABLES[name] = (f, options)
        return f
    return add


# ---- primitive types ----

TYPES = ("id INT, b BOOLEAN, i INT, l BIGINT, f FLOAT, d DOUBLE, d9 DECIMAL(9,2), d18 DECIMAL(18,4), d38 DECIMAL(38,10), "
         "dt DATE, ts TIMESTAMP, tsn TIMESTAMP_NTZ, s STRING, bin BINARY")
TYPE_ROWS = [
    "1, true, 0, 0, 0.0, 0.0, 0, 0, 0, DATE '1970-01-01', TIMESTAMP '1970-01-01 00:00:00', TIMESTAMP_NTZ '1970-01-01 00:00:00', '', X''",
    "2, false, -2147483648, -9223372036854775808, FLOAT('-Infinity'), DOUBLE('-Infinity'), -9999999.99, -99999999999999.9999, "
    "-9999999999999999999999999999.9999999999, DATE '0002-01-01', TIMESTAMP '0002-01-01 00:00:00.000001', "
    "TIMESTAMP_NTZ '0002-01-01 00:00:00.000001', 'a', X'00'",
    "3, true, 2147483647, 9223372036854775807, FLOAT('Infinity'), DOUBLE('Infinity'), 9999999.99, 99999999999999.9999, "
    "9999999999999999999999999999.9999999999, DATE '9999-12-31', TIMESTAMP '9999-12-31 23:59:59.999999', "
    "TIMESTAMP_NTZ '9999-12-31 23:59:59.999999', 'ünïcödé 漢字 😀 and more than twelve bytes', X'00FF7F80'",
    "4, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL",
    "5, false, -1, -1, FLOAT('NaN'), DOUBLE('NaN'), -0.01, -0.0001, -0.0000000001, DATE '1969-12-31', TIMESTAMP '1969-12-31 23:59:59.999999', "
    "TIMESTAMP_NTZ '1969-12-31 23:59:59.999999', 'line\\nbreak', X'C3'",
    "6, NULL, 34, 34, FLOAT('-0.0'), DOUBLE('-0.0'), 14.20, 14.2000, 14.2, DATE '2017-11-16', TIMESTAMP '2017-11-16 22:31:08', "
    "TIMESTAMP_NTZ '2017-11-16 22:31:08', 'iceberg', X'00010203'",
]


def type_questions(g):
    g.ask("SELECT * FROM {t}", "SELECT count(*) AS n, count(b) AS b, count(d38) AS d38 FROM {t}")
    g.ask("SELECT min(i) AS a, max(i) AS b, min(l) AS c, max(l) AS d, min(f) AS e, max(f) AS f, min(d) AS g, max(d) AS h FROM {t}",
          "SELECT min(d9) AS a, max(d9) AS b, min(d18) AS c, max(d18) AS d, min(d38) AS e, max(d38) AS f FROM {t}",
          "SELECT min(dt) AS a, max(dt) AS b, min(ts) AS c, max(ts) AS d, min(tsn) AS e, max(tsn) AS f, min(s) AS g, max(s) AS h FROM {t}")
    g.filters("b", "true", ops=("=",))
    g.filters("i", "-1", "34")
    g.filters("l", "-1")
    g.filters("f", "0.0", "CAST('NaN' AS FLOAT)", spark="f * 1F")
    g.filters("d", "0.0", "CAST('NaN' AS DOUBLE)", "CAST('-Infinity' AS DOUBLE)", spark="d * 1D")
    g.filters("d9", "-0.01", "14.2")
    g.filters("d38", "-0.0000000001")
    g.filters("dt", "DATE '1969-12-31'")
    g.filters("tsn", "CAST('1969-12-31 23:59:59.999999' AS TIMESTAMP_NTZ)", ops=())
    g.filters("s", "''", "'iceberg'")


@golden("types_v1")
def types_v1(g):
    g.create(TYPES, **{"format-version": "1"})
    g.insert(*TYPE_ROWS[:3])
    g.insert(*TYPE_ROWS[3:])
    type_questions(g)


@golden("types_v2")
def types_v2(g):
    g.create(TYPES)
    g.insert(*TYPE_ROWS)
    type_questions(g)
    g.metadata_tables("files", "data_files", "entries", "manifests", "snapshots", "history", "refs", "partitions", "metadata_log_entries")


@golden("types_uuid_fixed")
def types_uuid_fixed(g):
    jvm = g.jvm
    T, F = jvm.org.apache.iceberg.types.Types, jvm.org.apache.iceberg.types.Types.NestedField
    schema = jvm.org.apache.iceberg.Schema(g.java_list([
        F.required(1, "id", T.IntegerType.get()), F.optional(2, "u", T.UUIDType.get()), F.optional(3, "x", T.FixedType.ofLength(5))]))
    catalog = g.spark._jvm.org.apache.iceberg.spark.Spark3Util.loadIcebergCatalog(g.spark._jsparkSession, "g")
    ident = jvm.org.apache.iceberg.catalog.TableIdentifier.parse("db." + g.name)
    catalog.createTable(ident, schema, jvm.org.apache.iceberg.PartitionSpec.unpartitioned(), f"file://{g.dir}/table", jvm.java.util.HashMap())
    U = jvm.java.util.UUID
    rows = [{"id": 1, "u": U.fromString("f79c3e09-677c-4bbd-a479-3f349cb785e7"), "x": bytes([0, 1, 2, 255, 4])},
            {"id": 2, "u": U.fromString("00000000-0000-0000-0000-000000000000"), "x": bytes(5)},
            {"id": 3, "u": U.fromString("ffffffff-ffff-ffff-ffff-ffffffffffff"), "x": bytes([255] * 5)}, {"id": 4}]
    g.append_records(rows[:2])
    g.append_records(rows[2:])
    g.append_records(rows, fmt="avro")
    g.ask("SELECT id, u, x FROM {t}")
    # Java orders UUIDs as signed numbers and prunes a file that has it: it isn't asked to prune
    g.ask("SELECT count(*) AS n FROM {t} WHERE concat(u, '') = 'f79c3e09-677c-4bbd-a479-3f349cb785e7'",
          frazil="SELECT count(*) AS n FROM {t} WHERE u = 'f79c3e09-677c-4bbd-a479-3f349cb785e7'")


# ---- deletes ----

def shop(g, **props):
    """Three commits; deletes of rows in all of them follow in the callers."""
    g.create("id BIGINT, region STRING, amount DECIMAL(10,2), note STRING", **props)


def shop_rows(a, b):
    return [f"{i}, '{['north', 'south', 'east'][i % 3]}', {i * 1.25:.2f}, " + ("NULL" if i % 4 == 0 else f"'note {i}'") for i in range(a, b)]


def shop_questions(g):
    g.ask("SELECT * FROM {t}", "SELECT count(*) AS n FROM {t}", "SELECT count(*) AS n, sum(id) AS s FROM {t} WHERE region = 'south'",
          "SELECT id, note FROM {t} WHERE id >= 10 AND note IS NULL", "SELECT region, count(*) AS n, max(amount) AS m FROM {t} GROUP BY region",
          "SELECT min(id) AS a, max(id) AS b FROM {t}")
    g.travel("id", "note")


def position_deletes(g, granularity, partitioned=None, **props):
    g.create("id BIGINT, region STRING, amount DECIMAL(10,2), note STRING", partitioned, write_delete_mode="merge-on-read",
             write_update_mode="merge-on-read", write_merge_mode="merge-on-read", write_delete_granularity=granularity, **props)
    for a in range(0, 30, 10):
        g.insert(*shop_rows(a, a + 10))
    g.sql("DELETE FROM {t} WHERE id % 7 = 3")
    g.sql("DELETE FROM {t} WHERE id BETWEEN 11 AND 14")
    g.insert(*shop_rows(10, 13))
    g.sql("UPDATE {t} SET note = concat(coalesce(note, ''), '!') WHERE id % 10 = 1")
    shop_questions(g)


@golden("pos_file")
def pos_file(g):
    position_deletes(g, "file")
    g.metadata_tables()


@golden("pos_partition")
def pos_partition(g):
    position_deletes(g, "partition")
    g.metadata_tables("files", "delete_files", "position_deletes", "entries", "all_entries", "partitions")


@golden("pos_file_partitioned")
def pos_file_partitioned(g):
    position_deletes(g, "file", "region")
    g.metadata_tables("files", "position_deletes", "partitions", "manifests")


@golden("pos_partition_partitioned")
def pos_partition_partitioned(g):
    position_deletes(g, "partition", "region, bucket(2, id)")
    g.metadata_tables()


@golden("pos_avro")
def pos_avro(g):
    position_deletes(g, "partition", write_delete_format_default="avro")


@golden("pos_rewritten")
def pos_rewritten(g):
    """Position deletes after their data files were compacted, and delete files rewritten into one."""
    g.create("id BIGINT, region STRING, amount DECIMAL(10,2), note STRING", write_delete_mode="merge-on-read", write_delete_granularity="file")
    for a in range(0, 40, 10):
        g.insert(*shop_rows(a, a + 10))
    for i in (3, 13, 14, 35):
        g.sql(f"DELETE FROM {{t}} WHERE id = {i}")
    g.call("rewrite_position_delete_files", "options => map('rewrite-all', 'true')")
    g.sql("DELETE FROM {t} WHERE id IN (20, 21)")
    g.call("rewrite_data_files", "options => map('rewrite-all', 'true', 'delete-file-threshold', '1')")
    g.sql("DELETE FROM {t} WHERE id IN (22, 0)")
    g.call("rewrite_manifests")
    shop_questions(g)
    g.metadata_tables()


@golden("eq_one")
def eq_one(g):
    """Deletes by one column; rows added later with the same key stay: a delete applies to older sequence numbers only."""
    shop(g)
    g.insert(*shop_rows(0, 10))
    g.insert(*shop_rows(10, 20))
    g.equality_delete([{"id": i} for i in (1, 12, 15, 99)])
    g.insert(*shop_rows(12, 14))
    g.equality_delete([{"id": 13}], data=[{"id": 13, "region": "west", "amount": decimal(g, "1.00"), "note": "same commit"}])
    g.equality_delete([{"note": None}, {"note": "note 5"}], fmt="avro")
    shop_questions(g)
    g.metadata_tables("files", "delete_files", "entries", "manifests", "snapshots", "position_deletes", "partitions")


def decimal(g, text):
    return g.jvm.java.math.BigDecimal(text)


@golden("eq_several")
def eq_several(g):
    """Deletes by several columns, of different columns, with nulls and NaN in them."""
    g.create("id INT, a STRING, b INT, x DOUBLE, d DATE")
    g.insert("1, 'p', 1, 0.0, DATE '2020-01-01'", "2, 'p', 2, -0.0, DATE '1960-01-01'", "3, 'q', 1, DOUBLE('NaN'), NULL", "4, NULL, 1, NULL, NULL",
             "5, 'q', NULL, 1.5, DATE '2020-01-02'", "6, NULL, NULL, NULL, DATE '2020-01-01'", "7, 'a long text of many bytes', 7, 7.0, NULL")
    g.equality_delete([{"a": "p", "b": 2}, {"a": None, "b": 1}, {"a": "q", "b": 3}])
    g.equality_delete([{"x": float("nan")}])
    g.equality_delete([{"a": "a long text of many bytes", "d": None}])
    g.insert("2, 'p', 2, 5.0, DATE '2020-01-01'", "4, NULL, 1, NULL, NULL")
    g.ask("SELECT * FROM {t}", "SELECT count(*) AS n FROM {t}", "SELECT id FROM {t} WHERE b IS NULL", "SELECT x FROM {t} WHERE id > 3")
    g.travel("id")


@golden("eq_partitioned")
def eq_partitioned(g):
    """Deletes within one partition; others written under an older, unpartitioned spec, which apply everywhere."""
    g.create("id BIGINT, region STRING, amount DECIMAL(10,2), note STRING")
    g.insert(*shop_rows(0, 6))
    g.sql("ALTER TABLE {t} ADD PARTITION FIELD region")
    g.insert(*shop_rows(6, 18))
    g.equality_delete([{"id": 7}, {"id": 8}, {"id": 1}], partition=g.partition(["south"]))
    g.equality_delete([{"id": 0}, {"id": 10}, {"id": 17}], spec_id=0)
    g.insert(*shop_rows(16, 19))
    g.sql("ALTER TABLE {t} SET TBLPROPERTIES ('write.delete.mode'='merge-on-read')")
    g.sql("DELETE FROM {t} WHERE id = 9")
    shop_questions(g)
    g.metadata_tables("files", "partitions", "entries")


@golden("eq_evolved")
def eq_evolved(g):
    """Equality columns that were renamed and promoted after the delete was written, and one that older files lack."""
    g.create("id INT, k STRING, v FLOAT")
    g.insert("1, 'a', 1.5", "2, 'b', 2.5", "3, 'c', 3.5", "4, 'd', 4.5")
    g.equality_delete([{"k": "b"}])
    g.equality_delete([{"v": 3.5}])
    g.sql("ALTER TABLE {t} RENAME COLUMN k TO key")
    g.sql("ALTER TABLE {t} ALTER COLUMN v TYPE DOUBLE")
    g.insert("5, 'b', 3.5", "6, 'x', 9.25")
    g.sql("ALTER TABLE {t} ADD COLUMN extra STRING")
    g.insert("7, 'y', 1, 'e'")
    g.equality_delete([{"extra": None, "id": 6}])  # files without the column have null in it
    g.ask("SELECT * FROM {t}", "SELECT id FROM {t}", "SELECT count(*) AS n FROM {t}")
    g.travel()


@golden("eq_dropped")
def eq_dropped(g):
    """The equality column was dropped after the delete was written: the specification has it applied all the same. Spark 4.0 with
    Iceberg 1.11 fails on such a table, so the answers are the specification's."""
    g.create("id INT, w INT, s STRING")
    g.insert("1, 10, 'a'", "2, 20, 'b'", "3, NULL, 'c'")
    g.equality_delete([{"w": 20}, {"w": None}])
    g.insert("4, 20, 'd'")
    g.sql("ALTER TABLE {t} DROP COLUMN w")
    g.insert("5, 'e'")
    g.state("SELECT * FROM {t}", ["id", "s"], [[1, "a"], [4, "d"], [5, "e"]])
    g.state("SELECT id FROM {t} WHERE id < 4", ["id"], [[1]])
    g.state("SELECT count(*) AS n FROM {t}", ["n"], [[3]])


@golden("eq_nested")
def eq_nested(g):
    """Deletes by a struct's member."""
    g.create("id INT, st STRUCT<k: INT, name: STRING>, l ARRAY<INT>")
    g.insert("1, named_struct('k', 1, 'name', 'a'), array(1)", "2, named_struct('k', 2, 'name', 'b'), NULL", "3, NULL, array()",
             "4, named_struct('k', NULL, 'name', 'd'), array(NULL)")
    t = g.table()
    jvm = g.jvm
    schema = t.schema().select(g.java_list(["st.k"]))
    inner = jvm.org.apache.iceberg.data.GenericRecord.create(schema.findType("st").asStructType())
    inner.setField("k", 2)
    ids = [t.schema().findField("st.k").fieldId()]
    _, f = g.writer(None, ids, schema)
    w = f.newEqDeleteWriter(g.new_file(t, "eq-nested.parquet"), g.format("parquet"), None)
    w.write(g.record(schema, {"st": inner}))
    w.close()
    t.newRowDelta().addDeletes(w.toDeleteFile()).commit()
    g.ask("SELECT * FROM {t}")
    g.state("SELECT id FROM {t}", ["id"], [[1], [3], [4]])  # Spark forgets the delete where its column isn't selected


@golden("mixed_deletes")
def mixed_deletes(g):
    shop(g, write_delete_mode="merge-on-read")
    g.insert(*shop_rows(0, 10))
    g.equality_delete([{"id": 2}, {"id": 4}])
    g.sql("DELETE FROM {t} WHERE id IN (4, 5)")
    g.insert(*shop_rows(2, 6))
    g.equality_delete([{"region": "north", "id": 3}])
    g.sql("DELETE FROM {t} WHERE id = 2")
    g.insert(*shop_rows(2, 3))
    shop_questions(g)


@golden("delete_all")
def delete_all(g):
    shop(g, write_delete_mode="merge-on-read")
    g.insert(*shop_rows(0, 5))
    g.sql("DELETE FROM {t} WHERE id >= 0 AND note IS NOT NULL")
    g.sql("DELETE FROM {t} WHERE note IS NULL")
    g.sql("DELETE FROM {t}")
    shop_questions(g)
    g.metadata_tables("files", "all_files", "all_entries", "manifests", "all_manifests")


@golden("mor_merge")
def mor_merge(g):
    shop(g, write_delete_mode="merge-on-read", write_update_mode="merge-on-read", write_merge_mode="merge-on-read")
    merge(g)


@golden("cow_merge")
def cow_merge(g):
    shop(g, write_delete_mode="copy-on-write", write_update_mode="copy-on-write", write_merge_mode="copy-on-write")
    merge(g)


def merge(g):
    g.insert(*shop_rows(0, 10))
    g.insert(*shop_rows(10, 20))
    g.sql("UPDATE {t} SET amount = amount + 1 WHERE region = 'east'")
    g.sql("DELETE FROM {t} WHERE id IN (0, 19)")
    g.sql("""MERGE INTO {t} AS t USING (SELECT * FROM VALUES (1, 'x', 1.00, 'merged'), (11, 'y', 2.00, 'gone'), (50, 'z', 3.00, 'new')
             AS s(id, region, amount, note)) s ON t.id = s.id WHEN MATCHED AND s.note = 'gone' THEN DELETE
             WHEN MATCHED THEN UPDATE SET * WHEN NOT MATCHED THEN INSERT *""")
    shop_questions(g)
    g.metadata_tables("snapshots", "files", "entries", "all_entries")


# ---- schema evolution ----

@golden("evolution")
def evolution(g):
    g.create("id INT, a STRING, b FLOAT, c DECIMAL(9,2), gone STRING")
    g.insert("1, 'x', 1.5, 10.01, 'g1'", "2, NULL, NULL, NULL, NULL", "-3, 'y', FLOAT('NaN'), -0.01, 'g3'")
    g.sql("ALTER TABLE {t} ADD COLUMN added BIGINT COMMENT 'later' AFTER id")
    g.insert("4, 40, 'z', 2.5, 3.00, 'g4'")
    g.sql("ALTER TABLE {t} DROP COLUMN gone")
    g.sql("ALTER TABLE {t} RENAME COLUMN a TO text")
    g.sql("ALTER TABLE {t} ALTER COLUMN id TYPE BIGINT")
    g.sql("ALTER TABLE {t} ALTER COLUMN b TYPE DOUBLE")
    g.sql("ALTER TABLE {t} ALTER COLUMN c TYPE DECIMAL(20,2)")
    g.insert("9000000000, 50, 'w', 1e300, 123456789012345678.25")
    g.sql("ALTER TABLE {t} ALTER COLUMN text FIRST")
    g.sql("ALTER TABLE {t} ALTER COLUMN c AFTER text")
    g.insert("'first', -1.00, 6, 60, 6.0")
    g.ask("SELECT * FROM {t}", "SELECT count(*) AS n, count(added) AS a FROM {t}")
    for c, v in (("id", ("4", "9000000000", "-3")), ("added", ("40",)), ("text", ("'z'",)), ("c", ("-0.01", "3"))):
        g.filters(c, *v)
    g.filters("b", "1.5", "CAST('NaN' AS DOUBLE)", spark="b * 1D")
    g.ask("SELECT min(id) AS a, max(id) AS b, min(b) AS c, max(b) AS d, min(c) AS e, max(c) AS f, max(added) AS g FROM {t}")
    g.travel()
    g.metadata_tables("files", "metadata_log_entries")


@golden("rename_readd")
def rename_readd(g):
    """A name that comes back is a new column; so is one that two columns exchanged."""
    g.create("id INT, a STRING, b STRING")
    g.insert("1, 'old a', 'old b'")
    g.sql("ALTER TABLE {t} DROP COLUMN a")
    g.sql("ALTER TABLE {t} ADD COLUMN a STRING")
    g.insert("2, 'b2', 'new a'")
    g.sql("ALTER TABLE {t} RENAME COLUMN b TO tmp")
    g.sql("ALTER TABLE {t} RENAME COLUMN a TO b")
    g.sql("ALTER TABLE {t} RENAME COLUMN tmp TO a")
    g.insert("3, 'a3', 'b3'")
    g.sql("ALTER TABLE {t} RENAME COLUMN id TO ident")
    g.sql("ALTER TABLE {t} ADD COLUMN id DOUBLE")
    g.insert("4, 'a4', 'b4', 4.5")
    g.ask("SELECT * FROM {t}", "SELECT ident FROM {t} WHERE a = 'old a'", "SELECT ident FROM {t} WHERE b IS NULL", "SELECT ident FROM {t} WHERE a = 'old b'",
          "SELECT ident FROM {t} WHERE id IS NULL", "SELECT count(id) AS n FROM {t}")
    g.travel()


# ---- nested types ----

NESTED = ("id INT, st STRUCT<x: INT, y: STRING, deep: STRUCT<p: DOUBLE, q: ARRAY<INT>>>, l ARRAY<INT>, ll ARRAY<ARRAY<STRING>>, "
          "m MAP<STRING, INT>, ms MAP<INT, STRUCT<u: DATE, v: DECIMAL(5,1)>>, ls ARRAY<STRUCT<k: STRING, n: BIGINT>>, lm ARRAY<MAP<STRING, DOUBLE>>")
NESTED_ROWS = [
    "1, named_struct('x', 1, 'y', 'one', 'deep', named_struct('p', 1.5, 'q', array(1, 2))), array(1, 2, 3), array(array('a', 'b'), array('c')), "
    "map('k1', 1, 'k2', 2), map(1, named_struct('u', DATE '2020-01-01', 'v', 1.5), -2, named_struct('u', DATE '1969-01-01', 'v', -1.5)), "
    "array(named_struct('k', 'p', 'n', 1L), named_struct('k', 'q', 'n', 2L)), array(map('z', 1.5D))",
    "2, NULL, NULL, NULL, NULL, NULL, NULL, NULL",
    "3, named_struct('x', NULL, 'y', NULL, 'deep', NULL), array(), array(), map(), map(), array(), array()",
    "4, named_struct('x', -4, 'y', '', 'deep', named_struct('p', NULL, 'q', NULL)), array(NULL), array(NULL, array(), array(NULL)), map('', NULL), "
    "map(4, NULL), array(NULL, named_struct('k', NULL, 'n', NULL)), array(NULL, map(), map('n', NULL))",
    "5, named_struct('x', 5, 'y', 'a text that is longer than twelve bytes', 'deep', named_struct('p', DOUBLE('NaN'), 'q', array(NULL, 5, NULL))), "
    "array(5, NULL, 5), array(array('five', NULL, ''), NULL, array()), map('five', 5, 'null', NULL), map(5, named_struct('u', NULL, 'v', NULL)), "
    "array(named_struct('k', 'five', 'n', NULL)), array(map('a', 1D, 'b', NULL))",
]


def nested_questions(g):
    g.ask("SELECT * FROM {t}", "SELECT id, st FROM {t}", "SELECT id, st.x AS x, st.deep.p AS p FROM {t}", "SELECT id, l FROM {t} WHERE id = 5",
          "SELECT id, ls, lm FROM {t}", "SELECT count(*) AS n, count(st) AS st, count(l) AS l, count(m) AS m FROM {t}",
          "SELECT id FROM {t} WHERE st.x = 5", "SELECT id FROM {t} WHERE st.y IS NULL", "SELECT id FROM {t} WHERE if(id > 0, st.deep.p, NULL) IS NULL",
          "SELECT id FROM {t} WHERE st IS NULL", "SELECT id FROM {t} WHERE l IS NULL", "SELECT id FROM {t} WHERE m IS NOT NULL")
    # Spark's metrics of a member don't count the nulls of its parents: it isn't asked to prune
    g.cases[8]["sql"] = "SELECT id FROM {t} WHERE st.deep.p IS NULL"
    g.ask("SELECT id, try_element_at(l, 1) AS e FROM {t}", frazil="SELECT id, l[1] AS e FROM {t}")
    g.ask("SELECT id, try_element_at(m, 'five') AS e FROM {t}", frazil="SELECT id, m['five'] AS e FROM {t}")


@golden("nested")
def nested(g):
    g.create(NESTED)
    g.insert(*NESTED_ROWS[:3])
    g.insert(*NESTED_ROWS[3:])
    nested_questions(g)
    g.metadata_tables("files")


@golden("nested_v1_avro")
def nested_v1_avro(g):
    g.create(NESTED, write_format_default="avro", **{"format-version": "1"})
    g.insert(*NESTED_ROWS[:3])
    g.insert(*NESTED_ROWS[3:])
    nested_questions(g)


@golden("nested_evolution")
def nested_evolution(g):
    g.create("id INT, st STRUCT<a: INT, b: STRING, c: FLOAT>, l ARRAY<STRUCT<x: INT, y: STRING>>, m MAP<STRING, STRUCT<v: INT, w: INT>>, li ARRAY<INT>, mv MAP<STRING, FLOAT>")
    g.insert("1, named_struct('a', 1, 'b', 'b1', 'c', 1.5), array(named_struct('x', 1, 'y', 'y1'), NULL), map('k', named_struct('v', 1, 'w', 2)), array(1, NULL), map('f', 0.5)",
             "2, NULL, NULL, NULL, NULL, NULL")
    g.sql("ALTER TABLE {t} ADD COLUMN st.d STRUCT<e: INT, f: STRING>")
    g.sql("ALTER TABLE {t} ADD COLUMN l.element.z BIGINT")
    g.sql("ALTER TABLE {t} ADD COLUMN m.value.u STRING FIRST")
    g.insert("3, named_struct('a', 3, 'b', 'b3', 'c', 3.5, 'd', named_struct('e', 33, 'f', 'f3')), array(named_struct('x', 3, 'y', 'y3', 'z', 333L)), "
             "map('k3', named_struct('u', 'u3', 'v', 3, 'w', 33)), array(3), map('f3', 3.5)")
    g.sql("ALTER TABLE {t} DROP COLUMN st.b")
    g.sql("ALTER TABLE {t} RENAME COLUMN st.a TO aa")
    g.sql("ALTER TABLE {t} RENAME COLUMN l.element.y TO yy")
    g.sql("ALTER TABLE {t} ALTER COLUMN st.c TYPE DOUBLE")
    g.sql("ALTER TABLE {t} ALTER COLUMN l.element.x TYPE BIGINT")
    g.sql("ALTER TABLE {t} ALTER COLUMN m.value.v TYPE BIGINT")
    g.sql("ALTER TABLE {t} ALTER COLUMN li.element TYPE BIGINT")
    g.sql("ALTER TABLE {t} ALTER COLUMN mv.value TYPE DOUBLE")
    g.sql("ALTER TABLE {t} DROP COLUMN m.value.w")
    g.sql("ALTER TABLE {t} ADD COLUMN m.value.w STRING")
    g.insert("4, named_struct('aa', 4, 'c', 1e300D, 'd', NULL), array(named_struct('x', 40000000000L, 'yy', 'y4', 'z', NULL), named_struct('x', NULL, 'yy', NULL, 'z', 4L)), "
             "map('k4', named_struct('u', NULL, 'v', 40000000000L, 'w', 'w4')), array(40000000000L), map('f4', 4.5D)")
    g.sql("ALTER TABLE {t} ALTER COLUMN st.d FIRST")
    g.sql("ALTER TABLE {t} ALTER COLUMN m FIRST")
    g.insert("map(), 5, named_struct('d', named_struct('e', 5, 'f', NULL), 'aa', 5, 'c', 5.5D), array(), array(), map()")
    g.ask("SELECT * FROM {t}", "SELECT id, st.aa AS a, st.d.e AS e FROM {t}", "SELECT id FROM {t} WHERE st.aa >= 3", "SELECT id FROM {t} WHERE st.d.e IS NULL",
          "SELECT id FROM {t} WHERE st.c > 3")
    g.travel()


@golden("nested_struct_new")
def nested_struct_new(g):
    """Structs, lists and maps that files written before them lack, and structs of which a file has no selected member."""
    g.create("id INT, st STRUCT<old: INT>")
    g.insert("1, named_struct('old', 1)", "2, NULL")
    g.sql("ALTER TABLE {t} ADD COLUMN st.fresh STRING")
    g.sql("ALTER TABLE {t} ADD COLUMNS (l ARRAY<STRING>, m MAP<STRING, INT>, s2 STRUCT<p: INT, q: ARRAY<INT>>)")
    g.insert("3, named_struct('old', 3, 'fresh', 'f'), array('l'), map('m', 1), named_struct('p', 1, 'q', array(1))")
    g.sql("ALTER TABLE {t} DROP COLUMN st.old")
    g.ask("SELECT id, st.fresh AS f FROM {t}", "SELECT id, s2.q AS q FROM {t}", "SELECT id, l, m, s2 FROM {t}")
    # row 1's struct is there, though nothing of it is selected any more: Spark takes it for null
    g.state("SELECT id, st FROM {t}", ["id", "st"], [[1, {"fresh": None}], [2, None], [3, {"fresh": "f"}]])
    g.state("SELECT id FROM {t} WHERE st IS NULL", ["id"], [[2]])


# ---- partition transforms ----

@golden("part_identity")
def part_identity(g):
    g.create(TYPES, "b, i, l, f, d, d9, d38, dt, ts, tsn, s, bin", **{"write_distribution__mode": "none", "write_spark_fanout_enabled": "true"})
    rows = [r for r in TYPE_ROWS]
    rows[2] = rows[2].replace("and more than twelve bytes", "a/b=c&d e%20+")
    g.insert(*rows)
    type_questions(g)
    g.ask("SELECT b, count(*) AS n FROM {t} GROUP BY b", "SELECT count(*) AS n FROM {t} WHERE s LIKE 'i%'")
    g.metadata_tables("partitions", "files", "manifests")


@golden("part_bucket")
def part_bucket(g):
    g.create(TYPES, "bucket(3, i), bucket(4, l), bucket(5, d9), bucket(6, d38), bucket(7, dt), bucket(8, ts), bucket(9, tsn), bucket(10, s), bucket(11, bin)",
             write_spark_fanout_enabled="true")
    g.insert(*TYPE_ROWS)
    type_questions(g)
    g.metadata_tables("partitions")


@golden("part_truncate")
def part_truncate(g):
    g.create("id INT, i INT, l BIGINT, d9 DECIMAL(9,2), d38 DECIMAL(38,10), s STRING, bin BINARY",
             "truncate(i, 10), truncate(l, 100), truncate(d9, 50), truncate(d38, 1000), truncate(s, 3), truncate(bin, 2)", write_spark_fanout_enabled="true")
    g.insert("1, 0, 0, 0, 0, '', X''", "2, -1, -1, -0.01, -0.0000000001, 'iceberg', X'0001020304'", "3, 9, 99, 0.49, 1.5, 'ünïcödé', X'C3BC'",
             "4, 10, 100, 0.50, 10, '漢字漢字', X'FFFFFF'", "5, NULL, NULL, NULL, NULL, NULL, NULL", "6, -11, -101, -1.00, -10, '😀😀😀😀', X'00'",
             "7, 2147483647, 9223372036854775807, 9999999.99, 9999999999999999999999999999.9999999999, 'ice', X'FF'",
             "8, -2147483641, -9223372036854775801, -9999999.50, -9999999999999999999999999999.0000000000, 'ic', X'80'")
    g.ask("SELECT * FROM {t}")
    # truncating the lowest numbers overflows in Iceberg's Java, whose pruning loses row 8 then: it isn't asked to prune
    g.filters("i", "-1", "0", "10", "-11", "2147483647", spark="if(id > 0, i, NULL)")
    g.filters("l", "-1", "99", "100", spark="if(id > 0, l, NULL)")
    g.filters("d9", "-0.01", "0.50", "0.49", "-1")
    g.filters("d38", "0", "-10")
    g.filters("s", "'ice'", "'iceberg'", "'ic'", "'ünïcödé'", "''")
    g.ask("SELECT id FROM {t} WHERE s LIKE 'ice%'", "SELECT id FROM {t} WHERE s LIKE 'i%'", "SELECT id FROM {t} WHERE s LIKE 'icebergs%'",
          "SELECT id FROM {t} WHERE s <> 'ice'")
    g.ask("SELECT id FROM {t} WHERE NOT (if(id > 0, i, NULL) > 0)", frazil="SELECT id FROM {t} WHERE NOT (i > 0)")
    # Iceberg's own evaluation of IN fails on the null partition: it isn't asked to prune
    g.ask("SELECT id FROM {t} WHERE concat(s, '') IN ('ice', '漢字漢字')", frazil="SELECT id FROM {t} WHERE s IN ('ice', '漢字漢字')")
    g.metadata_tables("partitions")


TIMES = ["1, DATE '1970-01-01', TIMESTAMP '1970-01-01 00:00:00', TIMESTAMP_NTZ '1970-01-01 00:00:00'",
         "2, DATE '1969-12-31', TIMESTAMP '1969-12-31 23:59:59.999999', TIMESTAMP_NTZ '1969-12-31 23:59:59.999999'",
         "3, DATE '1969-01-01', TIMESTAMP '1969-01-01 00:00:00', TIMESTAMP_NTZ '1969-01-01 00:00:00'",
         "4, DATE '1968-02-29', TIMESTAMP '1968-02-29 12:30:00', TIMESTAMP_NTZ '1968-02-29 12:30:00'",
         "5, NULL, NULL, NULL", "6, DATE '2024-02-29', TIMESTAMP '2024-02-29 23:00:00', TIMESTAMP_NTZ '2024-02-29 23:00:00'",
         "7, DATE '0002-03-01', TIMESTAMP '0002-03-01 00:00:00', TIMESTAMP_NTZ '0002-03-01 00:00:00'",
         "8, DATE '9999-12-31', TIMESTAMP '9999-12-31 23:59:59.999999', TIMESTAMP_NTZ '9999-12-31 23:59:59.999999'",
         "9, DATE '1970-01-02', TIMESTAMP '1970-01-01 00:59:59.999999', TIMESTAMP_NTZ '1970-01-01 00:59:59.999999'",
         "10, DATE '1969-12-30', TIMESTAMP '1969-12-31 22:59:59.999999', TIMESTAMP_NTZ '1969-12-31 22:59:59.999999'"]


def times(g, *fields):
    g.create("id INT, dt DATE, ts TIMESTAMP, tsn TIMESTAMP_NTZ", ", ".join(fields), write_spark_fanout_enabled="true")
    g.insert(*TIMES)
    g.ask("SELECT * FROM {t}")
    g.filters("dt", "DATE '1969-12-31'", "DATE '1970-01-01'", "DATE '1968-02-29'", "DATE '1969-01-01'")
    for x in ("1970-01-01 00:00:00", "1969-12-31 23:59:59.999999", "1969-12-31 23:00:00", "1969-01-01 00:00:00", "2024-02-29 23:00:00"):
        for op in ("=", "<", "<=", ">", ">=", "<>"):
            g.ask(f"SELECT id FROM {{t}} WHERE ts {op} TIMESTAMP '{x}'", frazil=f"SELECT id FROM {{t}} WHERE ts {op} TIMESTAMPTZ '{x}+00'")
            g.ask(f"SELECT id FROM {{t}} WHERE tsn {op} TIMESTAMP_NTZ '{x}'", frazil=f"SELECT id FROM {{t}} WHERE tsn {op} TIMESTAMP '{x}'")
    g.ask("SELECT id FROM {t} WHERE dt IN (DATE '1969-12-31', DATE '2024-02-29')", "SELECT id FROM {t} WHERE dt BETWEEN DATE '1969-06-01' AND DATE '1970-01-01'",
          "SELECT id FROM {t} WHERE ts IS NULL")
    g.metadata_tables("partitions")


@golden("part_year")
def part_year(g):
    times(g, "years(dt)", "years(ts)", "years(tsn)")


@golden("part_month")
def part_month(g):
    times(g, "months(dt)", "months(ts)", "months(tsn)")


@golden("part_day")
def part_day(g):
    times(g, "days(dt)", "days(ts)", "days(tsn)")
    g.metadata_tables("files")


@golden("part_hour")
def part_hour(g):
    times(g, "hours(ts)", "hours(tsn)")


def spec_evolution(g, version):
    g.create("id BIGINT, region STRING, ts TIMESTAMP, amount INT", "days(ts)", **{"format-version": version})
    row = "{0}, '{1}', TIMESTAMP '2020-0{2}-1{3} 0{3}:00:00', {0}0"
    rows = lambda a, b: [row.format(i, "abc"[i % 3], i % 3 + 1, i % 10) for i in range(a, b)]
    g.insert(*rows(0, 6))
    g.sql("ALTER TABLE {t} ADD PARTITION FIELD bucket(4, id)")
    g.insert(*rows(6, 12))
    g.sql("ALTER TABLE {t} DROP PARTITION FIELD days(ts)")
    g.insert(*rows(12, 18))
    g.sql("ALTER TABLE {t} ADD PARTITION FIELD region AS area")
    g.sql("ALTER TABLE {t} ADD PARTITION FIELD months(ts)")
    g.insert(*rows(18, 24))
    g.sql("ALTER TABLE {t} REPLACE PARTITION FIELD bucket(4, id) WITH truncate(id, 10)")
    g.insert(*rows(24, 30))
    g.sql("DELETE FROM {t} WHERE id % 7 = 0")
    g.ask("SELECT * FROM {t}", "SELECT count(*) AS n FROM {t}", "SELECT region, count(*) AS n, sum(amount) AS s FROM {t} GROUP BY region")
    g.filters("id", "5", "13", "22", "29")
    g.filters("region", "'a'")
    g.ask("SELECT id FROM {t} WHERE ts < TIMESTAMP '2020-02-15 00:00:00'", frazil="SELECT id FROM {t} WHERE ts < TIMESTAMPTZ '2020-02-15 00:00:00+00'")
    g.travel("id")
    g.metadata_tables("files", "partitions", "entries", "manifests")


@golden("spec_evolution_v2")
def spec_evolution_v2(g):
    spec_evolution(g, "2")


@golden("spec_evolution_v1")
def spec_evolution_v1(g):
    spec_evolution(g, "1")


@golden("part_source_dropped")
def part_source_dropped(g):
    """A partition field whose column was dropped after the field was."""
    g.create("id INT, p STRING, q STRING", "p")
    g.insert("1, 'a', 'x'", "2, 'b', 'y'")
    g.sql("ALTER TABLE {t} DROP PARTITION FIELD p")
    g.insert("3, 'c', 'z'")
    g.sql("ALTER TABLE {t} DROP COLUMN p")
    g.insert("4, 'w'")
    g.ask("SELECT * FROM {t}", "SELECT id FROM {t} WHERE q = 'y'")
    g.travel()


# ---- name mapping ----

@golden("name_mapping")
def name_mapping(g):
    """Plain Parquet files without field ids, as Spark's own tables have them, in Hive's folders."""
    src = f"{g.dir}/plain"
    g.spark.sql("SELECT * FROM VALUES (1, 'a', 1.5D, named_struct('x', 1, 'y', 'p'), array(1, 2), map('k', 1), 'north'), "
                "(2, NULL, NULL, NULL, NULL, NULL, 'north'), (3, 'c', DOUBLE('NaN'), named_struct('x', NULL, 'y', 'r'), array(), map(), 'south') "
                "AS t(id, s, d, st, l, m, region)").coalesce(1).write.partitionBy("region").parquet(src)
    g.create("id INT, s STRING, d DOUBLE, st STRUCT<x: INT, y: STRING>, l ARRAY<INT>, m MAP<STRING, INT>, region STRING", "region")
    g.sql(f"CALL g.system.add_files(table => 'db.{g.name}', source_table => '`parquet`.`{src}`')")
    g.insert("4, 'own', 4.5, named_struct('x', 4, 'y', 'own'), array(4), map('o', 4), 'south'")
    g.ask("SELECT * FROM {t}", "SELECT id FROM {t} WHERE region = 'south'", "SELECT id, st.x AS x FROM {t}", "SELECT id FROM {t} WHERE s IS NULL",
          "SELECT id FROM {t} WHERE d = 1.5")
    g.sql("ALTER TABLE {t} RENAME COLUMN s TO text")
    g.sql("ALTER TABLE {t} RENAME COLUMN st.x TO xx")
    g.sql("ALTER TABLE {t} ADD COLUMN extra INT")
    g.sql("ALTER TABLE {t} DROP COLUMN d")
    g.insert("5, 'own5', named_struct('xx', 5, 'y', 'own5'), array(5), map('o', 5), 'east', 55")
    g.ask("SELECT * FROM {t}", "SELECT id, text, st.xx AS xx FROM {t}", "SELECT id FROM {t} WHERE text = 'a'")
    g.cases = g.cases[5:]  # those before the changes were only there to see that Spark reads the files
    g.metadata_tables("files", "partitions")


@golden("name_mapping_int96")
def name_mapping_int96(g):
    """INT96 timestamps, two-level lists (legacy format) and decimals in fixed bytes."""
    src = f"{g.dir}/plain"
    g.spark.conf.set("spark.sql.parquet.outputTimestampType", "INT96")
    g.spark.conf.set("spark.sql.parquet.writeLegacyFormat", "true")
    try:
        g.spark.sql("SELECT * FROM VALUES (1, TIMESTAMP '1969-12-31 23:59:59.999999', 1.25BD, array(1, NULL)), (2, NULL, NULL, NULL), "
                    "(3, TIMESTAMP '2024-02-29 12:00:00.123456', -99.99BD, array()), (4, TIMESTAMP '1900-01-01 00:00:00', 0BD, array(4)) AS t(id, ts, d, l)"
                    ).selectExpr("id", "ts", "CAST(d AS DECIMAL(9,2)) AS d", "l").coalesce(1).write.parquet(src)
    finally:
        g.spark.conf.unset("spark.sql.parquet.outputTimestampType")
        g.spark.conf.unset("spark.sql.parquet.writeLegacyFormat")
    g.create("id INT, ts TIMESTAMP, d DECIMAL(9,2), l ARRAY<INT>")
    g.sql(f"CALL g.system.add_files(table => 'db.{g.name}', source_table => '`parquet`.`{src}`')")
    g.ask("SELECT * FROM {t}", "SELECT id FROM {t} WHERE d < 0", "SELECT id FROM {t} WHERE ts IS NULL")


# ---- formats of files ----

@golden("codecs")
def codecs(g):
    """A file for each of Parquet's codecs, page versions, with and without dictionaries and Bloom filters."""
    # Spark's vectorised reader refuses the booleans of its own version 2 pages
    g.create("id INT, l BIGINT, d DOUBLE, s STRING, b BOOLEAN, dec DECIMAL(30,5), ts TIMESTAMP", read_parquet_vectorization_enabled="false")
    rows = lambda a: "SELECT CAST({0} + id AS INT), id * 1000000007 - 500, IF(id % 5 = 0, NULL, id / 7.0D), IF(id % 11 = 0, NULL, concat('row ', " \
                     "CAST(id * id AS STRING))), id % 3 = 0, CAST(id AS DECIMAL(30,5)) / 3, timestamp_micros(id * 86400000000 - 1) FROM range(60)".format(a)
    for n, codec in enumerate(("uncompressed", "snappy", "gzip", "zstd", "lz4_raw")):
        for page, version in enumerate(("v1", "v2")):
            g.set(**{"write_parquet_compression__codec": codec, "write_parquet_page__version": version})
            g.sql(f"INSERT INTO {{t}} {rows((2 * n + page) * 1000)}")
    g.set(**{"write_parquet_compression__codec": "zstd", "write_parquet_page__version": "v2", "write_parquet_dict__size__bytes": "1",
             "write_parquet_page__row__limit": "20", "write_parquet_row__group__size__bytes": "1", "write_parquet_row__group__check__min__record__count": "25"})
    g.sql(f"INSERT INTO {{t}} {rows(20000)}")
    g.set(**{"write_parquet_bloom__filter__enabled_column_s": "true", "write_parquet_bloom__filter__enabled_column_l": "true",
             "write_parquet_page__version": "v1"})
    g.sql(f"INSERT INTO {{t}} {rows(21000)}")
    g.ask("SELECT * FROM {t} WHERE id % 1000 IN (0, 1, 55)", "SELECT count(*) AS n, sum(id) AS a, sum(l) AS b, count(d) AS c, count(s) AS e, sum(dec) AS f FROM {t}",
          "SELECT id, s FROM {t} WHERE s = 'row 1600'", "SELECT id FROM {t} WHERE l = 20000000 * 2 + 1", "SELECT id, s FROM {t} WHERE s = 'no such row'",
          "SELECT id FROM {t} WHERE d > 8.2", "SELECT count(*) AS n, min(ts) AS a, max(ts) AS b, min(dec) AS c, max(dec) AS d FROM {t} WHERE b")
    g.cases[1]["sql"] = g.cases[1]["sql"].replace("sum(dec)", "CAST(sum(dec) AS DECIMAL(38,5))")


@golden("avro_codecs")
def avro_codecs(g):
    """Avro data files: each codec, several blocks, all types."""
    g.create(TYPES + ", st STRUCT<a: INT, l: ARRAY<STRING>>, m MAP<STRING, INT>, mi MAP<INT, STRING>", write_format_default="avro")
    nested = ["named_struct('a', 1, 'l', array('x', NULL)), map('k', 1, 'n', NULL), map(1, 'one')", "NULL, NULL, NULL", "named_struct('a', NULL, 'l', NULL), map(), map(2, NULL)"]
    for n, codec in enumerate(("uncompressed", "gzip", "snappy", "zstd")):
        g.set(**{"write_avro_compression__codec": codec})
        g.insert(*[f"{r}, {nested[(i + n) % 3]}" for i, r in enumerate(TYPE_ROWS)])
    g.sql("INSERT INTO {t} SELECT CAST(1000 + id AS INT), id % 2 = 0, CAST(id AS INT), id, CAST(id AS FLOAT), id / 3D, NULL, NULL, CAST(id AS DECIMAL(38,10)), NULL, "
          "timestamp_micros(id), NULL, concat('text ', CAST(id AS STRING)), NULL, NULL, NULL, NULL FROM range(900)")
    g.ask("SELECT * FROM {t} WHERE id < 1000", "SELECT id, s, d FROM {t} WHERE id >= 1890", "SELECT count(*) AS n, sum(l) AS s, count(b) AS b FROM {t}",
          "SELECT id, st.l AS l FROM {t} WHERE id = 1")


@golden("avro_evolved")
def avro_evolved(g):
    """Avro files of older schemas: members dropped, renamed, promoted, reordered; with deletes."""
    g.create("id INT, a STRING, st STRUCT<x: INT, y: STRING>, f FLOAT, gone ARRAY<MAP<STRING, STRUCT<z: INT>>>", "bucket(2, id)", write_format_default="avro",
             write_delete_mode="merge-on-read", write_delete_format_default="avro")
    g.insert("1, 'a1', named_struct('x', 1, 'y', 'y1'), 1.5, array(map('k', named_struct('z', 1)), NULL)", "2, NULL, NULL, NULL, NULL", "3, 'a3', named_struct('x', NULL, 'y', NULL), 3, array()")
    g.sql("ALTER TABLE {t} DROP COLUMN gone")
    g.sql("ALTER TABLE {t} RENAME COLUMN a TO aa")
    g.sql("ALTER TABLE {t} ADD COLUMN a INT FIRST")
    g.sql("ALTER TABLE {t} ALTER COLUMN id TYPE BIGINT")
    g.sql("ALTER TABLE {t} ALTER COLUMN st.x TYPE BIGINT")
    g.sql("ALTER TABLE {t} ALTER COLUMN f TYPE DOUBLE")
    g.sql("ALTER TABLE {t} ALTER COLUMN st.y FIRST")
    g.insert("40, 4, 'aa4', named_struct('y', 'y4', 'x', 40000000000L), 4.5", "50, 5, 'aa5', NULL, NULL")
    g.sql("DELETE FROM {t} WHERE id IN (3, 5)")
    g.ask("SELECT * FROM {t}", "SELECT id FROM {t} WHERE st.x = 1", "SELECT aa FROM {t} WHERE a IS NULL", "SELECT id FROM {t} WHERE f < 4")
    g.travel()


@golden("mixed_formats")
def mixed_formats(g):
    shop(g)
    for fmt in ("parquet", "avro", "parquet", "avro"):
        g.set(write_format_default=fmt)
        n = g.sql("SELECT count(*) FROM {t}").collect()[0][0]
        g.insert(*shop_rows(n, n + 5))
    shop_questions(g)
    g.metadata_tables("files", "partitions")


@golden("orc")
def orc(g):
    """ORC data files aren't read: the table's metadata is, and asking for rows says why not."""
    g.create("id INT, s STRING", write_format_default="orc")
    g.insert("1, 'a'")
    g.refused("SELECT * FROM {t}", "ORC")
    g.refused("SELECT id FROM {t} WHERE s = 'a'", "ORC")
    g.ask("SELECT count(*) AS n FROM {t}")
    g.metadata_tables("files", "snapshots")


@golden("orc_deletes")
def orc_deletes(g):
    g.create("id INT, s STRING", write_delete_format_default="orc", write_delete_mode="merge-on-read")
    g.insert("1, 'a'", "2, 'b'")
    g.sql("DELETE FROM {t} WHERE id = 1")
    g.refused("SELECT * FROM {t}", "ORC")


@golden("format_v3")
def format_v3(g):
    g.create("id INT, s STRING", **{"format-version": "3", "write_delete_mode": "merge-on-read"})
    g.insert("1, 'a'", "2, 'b'")
    g.sql("DELETE FROM {t} WHERE id = 1")
    g.refused("SELECT * FROM {t}", "version 3")


# ---- snapshots, references, maintenance ----

@golden("branches")
def branches(g):
    shop(g)
    g.insert(*shop_rows(0, 3))
    g.sql("ALTER TABLE {t} CREATE TAG first")
    g.sql("ALTER TABLE {t} CREATE BRANCH audit")
    g.sql("ALTER TABLE {t} CREATE BRANCH `odd name-1` RETAIN 7 DAYS WITH SNAPSHOT RETENTION 2 SNAPSHOTS 3 DAYS")
    g.sql(f"INSERT INTO {g.t}.branch_audit VALUES ({shop_rows(10, 11)[0]})")
    g.insert(*shop_rows(3, 6))
    g.sql("ALTER TABLE {t} CREATE TAG second RETAIN 365 DAYS")
    g.sql("ALTER TABLE {t} ADD COLUMN later INT")
    g.insert(shop_rows(6, 7)[0] + ", 7")
    g.sql("DELETE FROM {t} WHERE id = 0")
    for ref in ("first", "audit", "second", "main", "odd name-1"):
        g.ask(f"SELECT * FROM {{t}} VERSION AS OF '{ref}'")
    g.ask("SELECT * FROM {t}")
    g.travel("id")
    g.metadata_tables("refs", "snapshots", "history", "metadata_log_entries", "all_files", "all_manifests")
    first = g.snapshots()[0]
    g.ask(f"SELECT * FROM {{t}}.files VERSION AS OF {first}", types=True, into=g.metadata_cases)
    g.ask("SELECT * FROM {t}.manifests VERSION AS OF 'audit'", types=True, into=g.metadata_cases)


@golden("rolled_back")
def rolled_back(g):
    """History with a rollback: two snapshots aren't ancestors of the current one."""
    shop(g)
    g.insert(*shop_rows(0, 2))
    g.insert(*shop_rows(2, 4))
    first, second = g.snapshots()
    g.sql(f"CALL g.system.rollback_to_snapshot('db.{g.name}', {first})")
    g.insert(*shop_rows(4, 6))
    g.sql(f"CALL g.system.set_current_snapshot('db.{g.name}', {second})")
    g.sql(f"CALL g.system.cherrypick_snapshot('db.{g.name}', {g.snapshots()[-1]})")
    g.ask("SELECT * FROM {t}")
    g.travel("id")
    g.metadata_tables("history", "snapshots", "metadata_log_entries", "refs")


@golden("empty")
def empty(g):
    g.create("id INT, s STRING, st STRUCT<a: INT>", "s")
    g.ask("SELECT * FROM {t}", "SELECT count(*) AS n, min(id) AS a FROM {t}", "SELECT id FROM {t} WHERE s = 'x'")
    g.metadata_tables()


@golden("empty_snapshot")
def empty_snapshot(g):
    """A snapshot without any file."""
    g.create("id INT, s STRING")
    g.sql("INSERT INTO {t} SELECT 1, 'x' WHERE false")
    g.insert("1, 'x'")
    g.sql("DELETE FROM {t}")
    g.ask("SELECT * FROM {t}", "SELECT count(*) AS n, max(s) AS s FROM {t}")
    g.travel()
    g.metadata_tables("files", "manifests", "all_files", "snapshots")


@golden("maintained")
def maintained(g):
    """Rewritten manifests and data files, overwritten partitions, expired snapshots."""
    g.create("id BIGINT, region STRING, amount DECIMAL(10,2), note STRING", "region")
    for a in range(0, 12, 3):
        g.insert(*shop_rows(a, a + 3))
    g.call("rewrite_manifests")
    g.insert(*shop_rows(12, 15))
    g.call("rewrite_data_files", "options => map('rewrite-all', 'true')")
    g.spark.conf.set("spark.sql.sources.partitionOverwriteMode", "dynamic")
    g.sql("INSERT OVERWRITE {t} VALUES (100, 'south', 1.00, 'overwritten')")
    g.spark.conf.unset("spark.sql.sources.partitionOverwriteMode")
    g.call("expire_snapshots", "older_than => TIMESTAMP '2100-01-01 00:00:00', retain_last => 3")
    shop_questions(g)
    g.metadata_tables()


@golden("manifests_unmerged")
def manifests_unmerged(g):
    """Many manifests; rewritten by one partition field afterwards; existing entries keep their sequence numbers."""
    g.create("id INT, p INT", "p", commit_manifest__merge_enabled="false")
    for i in range(6):
        g.insert(f"{i}, {i % 2}", f"{i + 100}, 5")
    g.equality_delete([{"id": 103}], partition=g.partition([5]))
    g.call("rewrite_manifests")
    g.insert("103, 5")
    g.ask("SELECT * FROM {t}", "SELECT id FROM {t} WHERE p = 5", "SELECT id FROM {t} WHERE p = 1 AND id > 1")
    g.metadata_tables("manifests", "entries", "all_manifests", "partitions")


@golden("stats_files")
def stats_files(g):
    shop(g)
    g.insert(*shop_rows(0, 8))
    g.sql(f"CALL g.system.compute_table_stats('db.{g.name}')")
    g.insert(*shop_rows(8, 9))
    g.sql("ALTER TABLE {t} ADD PARTITION FIELD region")
    g.insert(*shop_rows(9, 12))
    g.sql(f"CALL g.system.compute_partition_stats('db.{g.name}')")
    shop_questions(g)


@golden("delete_after_commit")
def delete_after_commit(g):
    shop(g, **{"write_metadata_delete__after__commit_enabled": "true", "write_metadata_previous__versions__max": "2"})
    for a in range(0, 6, 2):
        g.insert(*shop_rows(a, a + 2))
    g.ask("SELECT * FROM {t}")
    g.metadata_tables("metadata_log_entries", "snapshots")


@golden("wide_metrics")
def wide_metrics(g):
    """Metrics modes: none, counts, truncate(n), full; long texts whose upper bounds are cut, with code points that can't be increased."""
    g.create("id INT, n STRING, c STRING, t4 STRING, f STRING, def STRING, bin BINARY", write_metadata_metrics_default="truncate(8)", write_metadata_metrics_column_n="none",
             write_metadata_metrics_column_c="counts", write_metadata_metrics_column_t4="truncate(4)", write_metadata_metrics_column_f="full")
    g.insert("1, 'none', 'counts', 'abcdefghij', 'full text of more than sixteen characters', 'default of eight', X'000102030405060708090A'",
             "2, NULL, NULL, '😀😀😀😀😀', NULL, NULL, NULL")
    g.sql("INSERT INTO {t} SELECT 3, 'x', 'y', decode(X'F48FBFBFF48FBFBFF48FBFBFF48FBFBF61', 'UTF-8'), 'z', 'zzzzzzzzzzz', X'FFFFFFFFFFFFFFFFFFFFFFFFFF'")
    g.insert("4, 'x', 'y', 'abcd', 'z', 'zzzzzzzz', X'FF'")
    g.ask("SELECT * FROM {t}", "SELECT min(t4) AS a, max(t4) AS b, min(def) AS c, max(def) AS d, min(n) AS e, max(c) AS f, min(id) AS g, max(id) AS h FROM {t}")
    for c in ("n", "c", "t4", "f", "def"):
        g.filters(c, "'abcd'", "'zzzzzzzzz'", "'abcdz'")
    g.metadata_tables("files")


# ---- places ----

@golden("odd_location", folder="a b%20c/é ü%/t#1+?&=")
def odd_location(g):
    """Locations and partition values with spaces, percent signs, and more than ASCII."""
    g.scheme = ""
    g.create("id INT, p STRING, `odd col %` STRING", "p, `odd col %`", write_delete_mode="merge-on-read")
    g.insert("1, 'a b', 'x y'", "2, 'a%20b', '100%'", "3, 'é/ü', 'ß?'", "4, '', NULL", "5, NULL, '+&='", "6, '__HIVE_DEFAULT_PARTITION__', '.'", "7, 'a b', '日本'")
    g.insert("8, 'a b', 'x y'")
    g.sql("DELETE FROM {t} WHERE id = 1")
    g.ask("SELECT * FROM {t}", "SELECT id FROM {t} WHERE p = 'a b'", "SELECT id FROM {t} WHERE p IS NULL", "SELECT id FROM {t} WHERE p = 'é/ü'", "SELECT id FROM {t} WHERE p = ''")
    g.ask("SELECT id FROM {t} WHERE `odd col %` = '100%'", frazil="SELECT id FROM {t} WHERE \"odd col %\" = '100%'")
    g.metadata_tables("files", "partitions", "position_deletes")


@golden("single_slash_location")
def single_slash_location(g):
    """file:/path, as Hadoop writes locations."""
    g.scheme = "file:"
    shop(g)
    g.insert(*shop_rows(0, 3))
    g.ask("SELECT * FROM {t}")
    g.metadata_tables("files", "manifests")


@golden("data_path")
def data_path(g):
    g.create("id INT, p STRING", "p", **{"write_data_path": f"file://{g.dir}/elsewhere/data", "write_metadata_path": f"file://{g.dir}/other meta"})
    g.insert("1, 'a'", "2, 'b'")
    g.ask("SELECT * FROM {t}")
    g.metadata_tables("files")


@golden("object_storage")
def object_storage(g):
    g.create("id INT, p STRING", "p", **{"write_object__storage_enabled": "true", "write_object__storage_partitioned__paths": "false"})
    g.insert("1, 'a'", "2, 'b'")
    g.set(**{"write_object__storage_partitioned__paths": "true", "write_data_path": f"file://{g.dir}/obj"})
    g.insert("3, 'a b'", "4, NULL")
    g.ask("SELECT * FROM {t}")
    g.metadata_tables("files")


@golden("gzip_metadata")
def gzip_metadata(g):
    g.create("id INT, s STRING", **{"write_metadata_compression__codec": "gzip"})
    g.insert("1, 'a'")
    g.insert("2, 'b'")
    g.ask("SELECT * FROM {t}")
    g.travel()
    g.metadata_tables("metadata_log_entries")


@golden("folder", catalog="h")
def folder(g):
    """A table that is a folder: v1.metadata.json and version-hint.text, no catalog."""
    g.create("id INT, s STRING", write_delete_mode="merge-on-read")
    g.insert("1, 'a'", "2, 'b'")
    g.insert("3, 'c'")
    g.sql("DELETE FROM {t} WHERE id = 2")
    g.ask("SELECT * FROM {t}")
    g.travel()
    g.metadata_tables("snapshots", "files")


@golden("folder_gzip", catalog="h")
def folder_gzip(g):
    g.create("id INT, s STRING", **{"write_metadata_compression__codec": "gzip", "format-version": "1"})
    for i in range(11):
        g.insert(f"{i}, 's{i}'")
    g.ask("SELECT * FROM {t}")


# ---- order ----

@golden("sorted")
def sorted_(g):
    g.create("id INT, s STRING, d DOUBLE, ts TIMESTAMP")
    g.sql("ALTER TABLE {t} WRITE ORDERED BY s DESC NULLS LAST, bucket(4, id), d ASC NULLS FIRST")
    g.insert("1, 'b', 1.5, NULL", "2, 'a', DOUBLE('NaN'), TIMESTAMP '2020-01-01 00:00:00'", "3, NULL, NULL, NULL", "4, 'b', -0.0, NULL")
    g.sql("ALTER TABLE {t} WRITE ORDERED BY days(ts), id")
    g.insert("6, 'x', 1, TIMESTAMP '2021-01-01 00:00:00'", "5, 'y', 2, TIMESTAMP '1960-01-01 00:00:00'")
    g.sql("ALTER TABLE {t} WRITE UNORDERED")
    g.insert("8, 'q', 1, NULL", "7, 'r', 2, NULL")
    g.ask("SELECT * FROM {t}")
    g.metadata_tables("files", "entries")


@golden("identifiers")
def identifiers(g):
    """Required columns, identifier fields, comments, column names that need quoting."""
    g.create("id BIGINT NOT NULL COMMENT 'the key', `select` STRING, `a.b` INT, `Mixed Case` INT, `ünï` STRING COMMENT 'näme', st STRUCT<`x y`: INT NOT NULL>")
    g.sql("ALTER TABLE {t} SET IDENTIFIER FIELDS id")
    g.insert("1, 'k', 2, 3, 'u', named_struct('x y', 4)", "2, NULL, NULL, NULL, NULL, named_struct('x y', 5)")
    g.ask("SELECT * FROM {t}")
    g.ask("SELECT `select` AS a, `a.b` AS b, `Mixed Case` AS c, `ünï` AS d, st.`x y` AS e FROM {t}",
          frazil='SELECT "select" AS a, "a.b" AS b, "Mixed Case" AS c, "ünï" AS d, st."x y" AS e FROM {t}')
    g.ask("SELECT id FROM {t} WHERE `a.b` = 2", frazil='SELECT id FROM {t} WHERE "a.b" = 2')
    g.metadata_tables("files")


@golden("many_columns")
def many_columns(g):
    """More columns than metrics are inferred for, and a nested one in between."""
    n = 12
    g.create("id INT, st STRUCT<" + ", ".join(f"m{i}: INT" for i in range(6)) + ">, " + ", ".join(f"c{i} INT" for i in range(n)),
             **{"write_metadata_metrics_max__inferred__column__defaults": "10"})
    g.insert("1, named_struct(" + ", ".join(f"'m{i}', {i}" for i in range(6)) + "), " + ", ".join(str(i) for i in range(n)))
    g.insert("2, NULL, " + ", ".join("NULL" for i in range(n)))
    g.ask("SELECT * FROM {t}", "SELECT id FROM {t} WHERE c11 = 11", "SELECT id FROM {t} WHERE st.m5 = 5", "SELECT min(c11) AS a, max(c0) AS b, count(c11) AS n FROM {t}")
    g.metadata_tables("files")
