"""Checks every table of a lake against the Iceberg table specification, format versions 1 and 2: required members, types and ids of
metadata.json, manifest lists and manifests, counts, sequence numbers, refs, totals of summaries, and that the files named are there.

    validate_iceberg.py LAKE …      prints what is wrong, exits 1 if anything is
    validate_lake(path)             a list of texts, empty if all is well

Only what belongs to a table's current metadata is followed down to its data files; older metadata files (of the metadata log) are
checked by themselves, since their snapshots may be expired. It reads with fastavro and json alone: nothing of the code under test.
"""
import gzip, json, os, re, sqlite3, sys, urllib.parse, uuid

import fastavro

MAX_FOOTERS = 40  # data files of a table whose Parquet footer is read too

# id: (name, type, required), of version 2
MANIFEST_FILE = {
    500: ("manifest_path", "string", True), 501: ("manifest_length", "long", True), 502: ("partition_spec_id", "int", True),
    517: ("content", "int", True), 515: ("sequence_number", "long", True), 516: ("min_sequence_number", "long", True),
    503: ("added_snapshot_id", "long", True), 504: ("added_files_count", "int", True), 505: ("existing_files_count", "int", True),
    506: ("deleted_files_count", "int", True), 512: ("added_rows_count", "long", True), 513: ("existing_rows_count", "long", True),
    514: ("deleted_rows_count", "long", True), 507: ("partitions", "array", False), 519: ("key_metadata", "bytes", False),
}
V1_OPTIONAL = {517, 515, 516, 504, 505, 506, 512, 513, 514}
FIELD_SUMMARY = {509: ("contains_null", "boolean", True), 518: ("contains_nan", "boolean", False), 510: ("lower_bound", "bytes", False),
                 511: ("upper_bound", "bytes", False)}
ENTRY = {0: ("status", "int", True), 1: ("snapshot_id", "long", False), 3: ("sequence_number", "long", False),
         4: ("file_sequence_number", "long", False), 2: ("data_file", "record", True)}
DATA_FILE = {
    134: ("content", "int", True), 100: ("file_path", "string", True), 101: ("file_format", "string", True), 102: ("partition", "record", True),
    103: ("record_count", "long", True), 104: ("file_size_in_bytes", "long", True), 108: ("column_sizes", "map", False),
    109: ("value_counts", "map", False), 110: ("null_value_counts", "map", False), 137: ("nan_value_counts", "map", False),
    125: ("lower_bounds", "map", False), 128: ("upper_bounds", "map", False), 131: ("key_metadata", "bytes", False),
    132: ("split_offsets", "array", False), 135: ("equality_ids", "array", False), 140: ("sort_order_id", "int", False),
}
MAP_IDS = {108: (117, 118), 109: (119, 120), 110: (121, 122), 137: (138, 139), 125: (126, 127), 128: (129, 130)}
LIST_IDS = {132: 133, 135: 136, 507: 508}
PRIMITIVES = re.compile(r"boolean|int|long|float|double|date|time|timestamp|timestamptz|string|uuid|binary|fixed\[\d+\]|decimal\(\d+,\s*\d+\)")
TRANSFORMS = re.compile(r"identity|void|year|month|day|hour|bucket\[[1-9]\d*\]|truncate\[[1-9]\d*\]")
AVRO_PARTITION = {"int": {"int"}, "date": {"int"}, "long": {"long"}, "time": {"long"}, "timestamp": {"long"}, "timestamptz": {"long"},
                  "string": {"string"}, "boolean": {"boolean"}, "float": {"float"}, "double": {"double"}, "binary": {"bytes"}, "uuid": {"fixed"}}


def local(path):
    for p in ("file://", "file:"):
        if path.startswith(p):
            return path[len(p):]
    return path


class Checker:
    def __init__(self):
        self.wrong = []
        self.where = ""

    def bad(self, text):
        self.wrong.append(f"{self.where}: {text}")

    def check(self, ok, text):
        if not ok:
            self.bad(text)
        return ok

    def need(self, d, name, kinds, required=True):
        v = d.get(name)
        if v is None:
            self.check(not required, f'lacks "{name}"')
            return None
        self.check(isinstance(v, kinds) and not (kinds is int and isinstance(v, bool)), f'"{name}" is {v!r:.60}')
        return v

    # ---- metadata.json ----

    def type(self, t, ids):
        """Checks a type, collects {id: (name, type, required)} of what is in it."""
        if isinstance(t, str):
            self.check(PRIMITIVES.fullmatch(t), f"unknown type {t}")
        elif t.get("type") == "struct":
            names = set()
            for f in t["fields"]:
                for k, kind in (("id", int), ("name", str), ("required", bool)):
                    self.need(f, k, kind)
                self.check(f["name"] not in names, f"two fields named {f['name']}")
                names.add(f["name"])
                self.field(f["id"], f["name"], f["type"], f["required"], ids)
        elif t.get("type") == "list":
            self.field(self.need(t, "element-id", int), "element", t["element"], self.need(t, "element-required", bool), ids)
        elif t.get("type") == "map":
            self.field(self.need(t, "key-id", int), "key", t["key"], True, ids)
            self.field(self.need(t, "value-id", int), "value", t["value"], self.need(t, "value-required", bool), ids)
        else:
            self.bad(f"a type that is {t!r:.60}")

    def field(self, id_, name, t, required, ids):
        self.check(id_ not in ids, f"field id {id_} stands twice")
        ids[id_] = (name, t, required)
        self.type(t, ids)

    def schema(self, s, md):
        ids = {}
        self.check(s.get("type") == "struct", "a schema that is no struct")
        self.type({"type": "struct", "fields": s["fields"]}, ids)
        self.check(max(ids, default=0) <= md["last-column-id"], f"field id {max(ids, default=0)} is past last-column-id {md['last-column-id']}")
        for i in s.get("identifier-field-ids", []):
            if self.check(i in ids, f"identifier field {i} isn't there"):
                self.check(ids[i][2] and isinstance(ids[i][1], str) and ids[i][1] not in ("float", "double"), f"identifier field {i} is {ids[i]}")
        return ids

    def metadata(self, md, older=False):
        v = self.need(md, "format-version", int)
        if not self.check(v in (1, 2), f"format version {v}"):
            return
        v2 = v == 2
        if self.need(md, "table-uuid", str, v2):
            uuid.UUID(md["table-uuid"])
        for k, kind, req in (("location", str, True), ("last-sequence-number", int, v2), ("last-updated-ms", int, True), ("last-column-id", int, True),
                             ("schemas", list, v2), ("current-schema-id", int, v2), ("partition-specs", list, v2), ("default-spec-id", int, v2),
                             ("last-partition-id", int, v2), ("sort-orders", list, v2), ("default-sort-order-id", int, v2), ("properties", dict, False),
                             ("snapshots", list, False), ("snapshot-log", list, False), ("metadata-log", list, False), ("refs", dict, False)):
            self.need(md, k, kind, req)
        schemas = {}
        for s in md.get("schemas") or [md["schema"]]:
            self.check(s.get("schema-id", 0) not in schemas, "a schema id stands twice")
            schemas[s.get("schema-id", 0)] = self.schema(s, md)
        current = schemas.get(md.get("current-schema-id", 0))
        self.check(current is not None, "current-schema-id isn't one of the schemas")
        self.specs(md, current or {})
        self.orders(md, current or {})
        self.check(all(isinstance(x, str) for x in md.get("properties", {}).values()), "a property that isn't a text")
        self.snapshots(md, schemas, v2)

    def specs(self, md, current):
        specs = {s["spec-id"]: s for s in md.get("partition-specs", [])}
        self.check(len(specs) == len(md.get("partition-specs", [])), "a spec id stands twice")
        if specs:
            self.check(md["default-spec-id"] in specs, "default-spec-id isn't one of the specs")
        for s in specs.values():
            seen = set()
            for f in s["fields"]:
                for k, kind in (("source-id", int), ("field-id", int), ("name", str), ("transform", str)):
                    self.need(f, k, kind)
                self.check(TRANSFORMS.fullmatch(f["transform"]), f"unknown transform {f['transform']}")
                self.check(f["field-id"] >= 1000 and f["field-id"] <= md.get("last-partition-id", 10**9), f"partition field id {f['field-id']}")
                self.check(f["field-id"] not in seen and f["name"] not in seen, "a partition field stands twice")
                seen |= {f["field-id"], f["name"]}
                if s["spec-id"] == md["default-spec-id"] and f["transform"] != "void":
                    self.check(f["source-id"] in current, f"partition source {f['source-id']} isn't in the schema")

    def orders(self, md, current):
        orders = {o["order-id"]: o for o in md.get("sort-orders", [])}
        self.check(len(orders) == len(md.get("sort-orders", [])), "an order id stands twice")
        if orders:
            self.check(md["default-sort-order-id"] in orders, "default-sort-order-id isn't one of the orders")
        for o in orders.values():
            self.check((o["order-id"] == 0) == (not o["fields"]), f"order {o['order-id']} has {len(o['fields'])} fields")
            for f in o["fields"]:
                self.check(TRANSFORMS.fullmatch(f["transform"]) and f["direction"] in ("asc", "desc") and f["null-order"] in ("nulls-first", "nulls-last"),
                           f"sort field {f}")
                if o["order-id"] == md["default-sort-order-id"]:
                    self.check(f["source-id"] in current, f"sort source {f['source-id']} isn't in the schema")

    def snapshots(self, md, schemas, v2):
        ids = set()
        for s in md.get("snapshots", []):
            for k, kind, req in (("snapshot-id", int, True), ("timestamp-ms", int, True), ("sequence-number", int, False), ("parent-snapshot-id", int, False),
                                 ("manifest-list", str, v2 and "manifests" not in s), ("summary", dict, v2), ("schema-id", int, False)):
                self.need(s, k, kind, req)
            self.check(s["snapshot-id"] not in ids, "a snapshot id stands twice")
            ids.add(s["snapshot-id"])
            if v2:
                self.check(s.get("sequence-number", 0) <= md["last-sequence-number"], "a sequence number past last-sequence-number")
            if "summary" in s:
                self.check(s["summary"].get("operation") in ("append", "replace", "overwrite", "delete"), f"operation {s['summary'].get('operation')}")
                self.check(all(isinstance(x, str) for x in s["summary"].values()), "a summary's value that isn't a text")
            if s.get("schema-id") is not None:
                self.check(s["schema-id"] in schemas, f"snapshot {s['snapshot-id']} has schema {s['schema-id']}, which isn't there")
        current = md.get("current-snapshot-id", -1)
        current = -1 if current is None else current
        self.check(current == -1 or current in ids, "current-snapshot-id isn't one of the snapshots")
        for name, r in md.get("refs", {}).items():
            self.check(r["snapshot-id"] in ids, f"ref {name} points nowhere")
            self.check(r["type"] in ("branch", "tag"), f"ref {name} is a {r['type']}")
            for k in ("min-snapshots-to-keep", "max-snapshot-age-ms", "max-ref-age-ms"):
                self.check(r.get(k) is None or r[k] > 0, f"ref {name} has {k} {r.get(k)}")
        if current != -1 and md.get("refs"):
            self.check(md["refs"].get("main", {}).get("snapshot-id") == current, "main isn't at current-snapshot-id")
        last = 0
        for e in md.get("snapshot-log", []):
            self.check(e["timestamp-ms"] >= last - 60000, "the snapshot log isn't in order")
            last = e["timestamp-ms"]
        for key in ("statistics", "partition-statistics"):
            for s in md.get(key, []):
                self.check(s["snapshot-id"] in ids, f"{key} of snapshot {s['snapshot-id']}, which isn't there")

    # ---- Avro ----

    def record(self, fields, want, optional=()):
        """Checks a record's fields by id; gives {id: name}."""
        names = {}
        for f in fields:
            id_ = f.get("field-id")
            if not self.check(isinstance(id_, int), f"field {f['name']} has no field-id"):
                continue
            names[id_] = f["name"]
            if id_ not in want:
                continue
            name, kind, required = want[id_]
            t = f["type"]
            nullable = isinstance(t, list)
            if nullable:
                self.check(t[0] == "null" and len(t) == 2, f"{name} is a union {t!r:.60}")
                t = t[-1]
            have = t["type"] if isinstance(t, dict) else t
            self.check(not (required and nullable) or id_ in optional, f"{name} may be null")
            if kind == "map" and have == "array":  # a map with keys that aren't texts
                self.check(t.get("logicalType") == "map", f"{name} is an array without logicalType map")
                kv = {x["name"]: x.get("field-id") for x in t["items"]["fields"]}
                self.check((kv.get("key"), kv.get("value")) == MAP_IDS[id_], f"{name} has the ids {kv}")
            else:
                self.check(have == kind, f"{name} is {have}, not {kind}")
            if kind == "array":
                self.check(t.get("element-id") == LIST_IDS[id_], f"{name} has element-id {t.get('element-id')}")
        for id_, (name, _, required) in want.items():
            self.check(id_ in names or not required or id_ in optional, f"lacks {name} ({id_})")
        return names

    def manifest_list(self, path, md, snapshot):
        with open(local(path), "rb") as f:
            r = fastavro.reader(f)
            rows = list(r)
            schema = r.writer_schema
        old = V1_OPTIONAL if md["format-version"] == 1 or snapshot.get("sequence-number", 0) == 0 else ()
        names = self.record(schema["fields"], MANIFEST_FILE, old)
        for f in schema["fields"]:
            if f.get("field-id") == 507:
                t = f["type"][-1] if isinstance(f["type"], list) else f["type"]
                self.record(t["items"]["fields"], FIELD_SUMMARY)
        out = [{i: row.get(n) for i, n in names.items()} for row in rows]
        self.check(len({m[500] for m in out}) == len(out), "a manifest stands twice")
        return out

    def partition_fields(self, data_file, spec, fields_by_id):
        have = {}
        for f in data_file["fields"]:
            if f.get("field-id") == 102:
                have = {x.get("field-id"): x for x in f["type"]["fields"]}
        self.check(set(have) == {p["field-id"] for p in spec["fields"]}, f"partition ids {sorted(have)} aren't spec {spec['spec-id']}'s")
        for p in spec["fields"]:
            x = have.get(p["field-id"])
            source = fields_by_id.get(p["source-id"])
            if not x or not source or p["transform"] in ("void",):
                continue
            t = x["type"][-1] if isinstance(x["type"], list) else x["type"]
            t = t["type"] if isinstance(t, dict) else t
            kind = source[1] if p["transform"] == "identity" or p["transform"].startswith("truncate") else "int"
            want = AVRO_PARTITION.get(kind, {"fixed", "bytes"})
            self.check(t in want | ({"long"} if kind == "int" else set()), f"partition {p['name']} is {t}, not {want}")

    def manifest(self, m, md, snapshot, fields_by_id):
        path = local(m[500])
        self.where = path
        if not self.check(os.path.exists(path), f"doesn't exist, but snapshot {snapshot['snapshot-id']} has it"):
            return []
        self.check(os.path.getsize(path) == m[501], f"has {os.path.getsize(path)} bytes, not {m[501]}")
        with open(path, "rb") as f:
            r = fastavro.reader(f)
            rows = list(r)
            schema, meta = r.writer_schema, r.metadata
        v = int(meta.get("format-version", 1))
        names = self.record(schema["fields"], ENTRY, {1} if v == 2 else ())
        for k in ("schema", "partition-spec", "partition-spec-id") + (("content",) if v == 2 else ()):
            self.check(k in meta, f'lacks "{k}" in its header')
        self.check(int(meta.get("partition-spec-id", 0)) == m[502], "its partition spec isn't the list's")
        if v == 2:
            self.check({"data": 0, "deletes": 1}.get(meta.get("content")) == m.get(517), "its content isn't the list's")
        file_schema = next(f["type"] for f in schema["fields"] if f.get("field-id") == 2)
        file_names = self.record(file_schema["fields"], DATA_FILE, {134} if v == 1 else ())
        spec = next((s for s in md["partition-specs"] if s["spec-id"] == m[502]), None)
        if self.check(spec is not None, f"has spec {m[502]}, which the table lacks"):
            self.partition_fields(file_schema, spec, fields_by_id)
        entries = []
        counts, records = {0: 0, 1: 0, 2: 0}, {0: 0, 1: 0, 2: 0}
        for row in rows:
            e = {i: row.get(n) for i, n in names.items()}
            f = {i: e[2].get(n) for i, n in file_names.items()}
            status = e[0]
            counts[status] += 1
            records[status] += f[103]
            seq = e.get(3)
            if status != 1:
                self.check(v == 1 or (seq is not None and e.get(4) is not None), "an entry that isn't new has no sequence number")
            seq = m.get(515, 0) if seq is None else seq
            self.check(seq is None or m.get(516) is None or status == 2 or seq >= m[516], "a sequence number below min_sequence_number")
            self.check(seq is None or seq <= snapshot.get("sequence-number", 0), "a sequence number past the snapshot's")
            if v == 2:
                self.check(f.get(134) in ((0,) if m.get(517) == 0 else (1, 2)), f"a file of content {f.get(134)} in a manifest of content {m.get(517)}")
                self.check((f.get(135) is not None) == (f.get(134) == 2), "equality_ids where none belong, or none where they do")
            for k in (125, 128):
                for x in f.get(k) or []:
                    self.check(isinstance(x["value"], bytes), "a bound that isn't bytes")
            self.check(f.get(140) is None or any(o["order-id"] == f[140] for o in md["sort-orders"]) or f[140] == 0, f"sort order {f.get(140)} isn't there")
            if status != 2:
                entries.append((f, seq))
        for ids, have in (((504, 505, 506), counts), ((512, 513, 514), records)):
            for id_, status in zip(ids, (1, 0, 2)):
                if m.get(id_) is not None and m[id_] >= 0:
                    self.check(m[id_] == have[status], f"{MANIFEST_FILE[id_][0]} is {m[id_]}, there are {have[status]}")
        return entries

    # ---- a snapshot and its totals ----

    def snapshot(self, md, s, fields_by_id, footers):
        home = self.where
        manifests = self.manifest_list(s["manifest-list"], md, s)
        data, deletes = {}, {}
        for m in manifests:
            if m.get(515) is not None:
                self.check(m[515] <= s.get("sequence-number", 0) and (m[516] or 0) <= m[515], f"sequence numbers of {m[500]}")
            for f, seq in self.manifest(m, md, s, fields_by_id):
                (data if not f.get(134) else deletes).setdefault(f[100], []).append(f)
            self.where = home
        self.check(all(len(x) == 1 for x in data.values()), "a data file is live twice")
        summary = s.get("summary", {})
        sums = {"total-data-files": len(data), "total-records": sum(x[0][103] for x in data.values()), "total-delete-files": len(deletes),
                "total-files-size": sum(x[0][104] for d in (data, deletes) for x in d.values()),
                "total-position-deletes": sum(x[0][103] for x in deletes.values() if x[0].get(134) == 1),
                "total-equality-deletes": sum(x[0][103] for x in deletes.values() if x[0].get(134) == 2)}
        for k, v in sums.items():
            self.check(k not in summary or int(summary[k]) == v, f"{k} is {summary.get(k)}, there are {v}")
        for path, (f, *_) in list(data.items()) + list(deletes.items()):
            if self.check(os.path.exists(local(path)), f"data file {path} doesn't exist"):
                self.check(os.path.getsize(local(path)) == f[104], f"{path} has {os.path.getsize(local(path))} bytes, not {f[104]}")
                if len(footers) < MAX_FOOTERS and path not in footers and str(f[101]).upper() == "PARQUET":
                    footers.add(path)
                    self.footer(path, f, fields_by_id)

    def footer(self, path, f, fields_by_id):
        import pyarrow.parquet as pq
        p = pq.ParquetFile(local(path))
        self.check(p.metadata.num_rows == f[103], f"{path} has {p.metadata.num_rows} rows, not {f[103]}")
        if f.get(134):
            return
        for x in p.schema_arrow:
            id_ = (x.metadata or {}).get(b"PARQUET:field_id")
            if id_ is not None:
                self.check(int(id_) in fields_by_id, f"{path} has a column with id {id_.decode()}, which no schema has")

    def table(self, location):
        self.where = local(location)
        md = read_metadata(location)
        before = len(self.wrong)
        self.metadata(md)
        if len(self.wrong) > before or md["format-version"] not in (1, 2):
            return
        fields = {}
        for s in md.get("schemas") or [md["schema"]]:
            self.type({"type": "struct", "fields": s["fields"]}, Merge(fields))
        footers = set()
        for s in md.get("snapshots", []):
            if "manifest-list" not in s:
                continue
            self.where = local(s["manifest-list"])
            if self.check(os.path.exists(self.where), f"doesn't exist, but snapshot {s['snapshot-id']} has it"):
                self.snapshot(md, s, fields, footers)
        for e in md.get("metadata-log", []):
            self.where = local(e["metadata-file"])
            if os.path.exists(self.where):
                self.metadata(read_metadata(e["metadata-file"]), older=True)


class Merge(dict):
    """Collects the fields of several schemas, in which ids come back."""
    def __init__(self, into):
        super().__init__()
        self.into = into

    def __setitem__(self, k, v):
        super().__setitem__(k, v)
        self.into[k] = v


def read_metadata(location):
    with open(local(location), "rb") as f:
        data = f.read()
    return json.loads(gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data)


def validate_lake(path):
    """What is wrong with a lake's tables; nothing where there is no lake."""
    db = os.path.join(str(path), "catalog.db")
    if not os.path.exists(db):
        return []
    con = sqlite3.connect(f"file:{urllib.parse.quote(db)}?mode=ro", uri=True)
    try:
        rows = con.execute("SELECT table_namespace, table_name, metadata_location FROM iceberg_tables").fetchall()
    except sqlite3.DatabaseError:
        return []
    finally:
        con.close()
    return [text for ns, name, location in rows for text in validate_table(location, f"{ns}.{name}")]


def validate_table(location, name=""):
    """What is wrong with the table of that metadata file."""
    c = Checker()
    try:
        c.table(location)
    except Exception as e:  # whatever can't be read is wrong
        c.bad(f"{name}: {type(e).__name__}: {e}")
    return c.wrong


if __name__ == "__main__":
    failed = False
    for lake in sys.argv[1:]:
        for text in validate_lake(lake):
            failed = True
            print(text)
    sys.exit(failed)
