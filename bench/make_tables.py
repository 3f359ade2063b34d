"""Tables that the benchmark reads and that no engine here writes quickly: written with PyIceberg's metadata classes.

    make_tables.py many LAKE N          default.many: N data files of 100 rows, three columns, identity partitions of 100 files
                                        each, ten appends. Only the files of partition 7 exist: nothing else may be read.
    make_tables.py deletes LAKE NAME P  deletes P % of the rows of default.NAME by position, in one delete file
"""
import os, random, sys, time, uuid

import pyarrow as pa, pyarrow.parquet as pq
from pyiceberg.catalog import load_catalog
from pyiceberg.conversions import to_bytes
from pyiceberg.manifest import (DataFile, DataFileContent, FileFormat, ManifestContent, ManifestEntry, ManifestEntryStatus, ManifestWriterV2,
                                write_manifest_list)
from pyiceberg.partitioning import PartitionField, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.table.snapshots import Operation, Snapshot, Summary
from pyiceberg.table.update import AddSnapshotUpdate, AssertRefSnapshotId, SetSnapshotRefUpdate
from pyiceberg.transforms import IdentityTransform
from pyiceberg.typedef import Record
from pyiceberg.types import IntegerType, LongType, NestedField, StringType

ROWS = 100  # of a data file


def catalog(lake):
    os.makedirs(f"{lake}/warehouse", exist_ok=True)
    c = load_catalog("default", type="sql", uri=f"sqlite:///{lake}/catalog.db", warehouse=f"file://{lake}/warehouse")
    c.create_namespace_if_not_exists("default")
    return c


def field(name, t, i, **kw):
    return pa.field(name, t, metadata={"PARQUET:field_id": str(i)}, **kw)


def data_file(table, i, p):
    lo, hi = i * ROWS, i * ROWS + ROWS - 1
    path = f"{table.location().removeprefix('file://')}/data/p={p}/{i:08d}.parquet"
    size = 1800
    if p == 7:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        schema = pa.schema([field("p", pa.int32(), 1), field("id", pa.int64(), 2), field("s", pa.string(), 3)])
        ids = range(lo, hi + 1)
        pq.write_table(pa.table({"p": [p] * ROWS, "id": ids, "s": [f"s{x:010d}" for x in ids]}, schema=schema), path)
        size = os.path.getsize(path)
    f = DataFile.from_args(
        content=DataFileContent.DATA, file_path="file://" + path, file_format=FileFormat.PARQUET, partition=Record(p), record_count=ROWS,
        file_size_in_bytes=size, column_sizes={1: 60, 2: 300, 3: 400}, value_counts={1: ROWS, 2: ROWS, 3: ROWS},
        null_value_counts={1: 0, 2: 0, 3: 0}, nan_value_counts={}, key_metadata=None, split_offsets=[4], equality_ids=None, sort_order_id=None,
        lower_bounds={1: to_bytes(IntegerType(), p), 2: to_bytes(LongType(), lo), 3: to_bytes(StringType(), f"s{lo:010d}")},
        upper_bounds={1: to_bytes(IntegerType(), p), 2: to_bytes(LongType(), hi), 3: to_bytes(StringType(), f"s{hi:010d}")})
    f.spec_id = 0
    return f


def many(lake, n):
    n = int(n)
    table = catalog(lake).create_table(
        "default.many", Schema(NestedField(1, "p", IntegerType()), NestedField(2, "id", LongType()), NestedField(3, "s", StringType())),
        partition_spec=PartitionSpec(PartitionField(1, 1000, IdentityTransform(), "p")))
    for append in range(10):
        with table.transaction() as tx, tx.update_snapshot().fast_append() as snapshot:
            for i in range(append * n // 10, (append + 1) * n // 10):
                snapshot.append_data_file(data_file(table, i, i % (n // 100)))


class DeletesWriter(ManifestWriterV2):
    def content(self):
        return ManifestContent.DELETES

    @property
    def _meta(self):
        return {**super()._meta, "content": "deletes"}


def deletes(lake, name, percent):
    c = catalog(lake)
    t = c.load_table(f"default.{name}")
    rnd, paths, positions = random.Random(1), [], []
    for f in sorted((x.file for x in t.scan().plan_files()), key=lambda f: f.file_path):
        at = sorted(rnd.sample(range(f.record_count), int(f.record_count * float(percent) / 100)))
        paths += [f.file_path] * len(at)
        positions += at
    folder = t.location().removeprefix("file://")
    path = f"{folder}/data/{uuid.uuid4()}-deletes.parquet"
    schema = pa.schema([field("file_path", pa.string(), 2147483546, nullable=False), field("pos", pa.int64(), 2147483545, nullable=False)])
    pq.write_table(pa.table({"file_path": paths, "pos": positions}, schema=schema), path, compression="zstd")
    f = DataFile.from_args(
        content=DataFileContent.POSITION_DELETES, file_path="file://" + path, file_format=FileFormat.PARQUET, partition=Record(),
        record_count=len(positions), file_size_in_bytes=os.path.getsize(path), column_sizes={}, value_counts={}, null_value_counts={},
        nan_value_counts={}, lower_bounds={}, upper_bounds={}, key_metadata=None, split_offsets=None, equality_ids=None, sort_order_id=None)
    f.spec_id = t.spec().spec_id
    snapshot_id, parent = random.getrandbits(62), t.current_snapshot()
    with DeletesWriter(t.spec(), t.schema(), t.io.new_output(f"file://{folder}/metadata/{uuid.uuid4()}-m0.avro"), snapshot_id, "deflate") as w:
        w.add_entry(ManifestEntry.from_args(status=ManifestEntryStatus.ADDED, snapshot_id=snapshot_id, data_file=f))
    manifests = [w.to_manifest_file(), *parent.manifests(t.io)]
    listed = f"file://{folder}/metadata/snap-{snapshot_id}-0-{uuid.uuid4()}.avro"
    sequence = t.metadata.last_sequence_number + 1
    with write_manifest_list(2, t.io.new_output(listed), snapshot_id, parent.snapshot_id, sequence, "deflate") as w:
        w.add_manifests(manifests)
    s = Snapshot(snapshot_id=snapshot_id, parent_snapshot_id=parent.snapshot_id, sequence_number=sequence, timestamp_ms=int(time.time() * 1000),
                 manifest_list=listed, summary=Summary(Operation.DELETE), schema_id=t.schema().schema_id)
    c.commit_table(t, (AssertRefSnapshotId(ref="main", snapshot_id=parent.snapshot_id),),
                   (AddSnapshotUpdate(snapshot=s), SetSnapshotRefUpdate(ref_name="main", type="branch", snapshot_id=snapshot_id)))


globals()[sys.argv[1]](*sys.argv[2:])
