/*
 * schema.c: the Avro schemas of manifest lists and manifests, version 2 (spec, "Manifests"), with the names
 * and field ids that readers look for.
 */
#include "iceberg/manifest/manifest_int.h"

#include "codec/json.h"

#define REQ(name, id, type) "{\"name\":\"" name "\",\"type\":" type ",\"field-id\":" #id "}"
#define OPT(name, id, type) "{\"name\":\"" name "\",\"type\":[\"null\"," type "],\"default\":null,\"field-id\":" #id "}"
/* A map with integer keys: an array of key-value records. */
#define ID_MAP(k, v, type)                                                                          \
    "{\"type\":\"array\",\"items\":{\"type\":\"record\",\"name\":\"k" #k "_v" #v "\",\"fields\":["   \
    REQ("key", k, "\"int\"") "," REQ("value", v, type) "]},\"logicalType\":\"map\"}"
#define LIST(id, type) "{\"type\":\"array\",\"items\":" type ",\"element-id\":" #id "}"

void manifest_list_schema(sbuf *out)
{
    sbuf_addz(out,
        "{\"type\":\"record\",\"name\":\"manifest_file\",\"fields\":["
        REQ("manifest_path", 500, "\"string\"") ","
        REQ("manifest_length", 501, "\"long\"") ","
        REQ("partition_spec_id", 502, "\"int\"") ","
        REQ("content", 517, "\"int\"") ","
        REQ("sequence_number", 515, "\"long\"") ","
        REQ("min_sequence_number", 516, "\"long\"") ","
        REQ("added_snapshot_id", 503, "\"long\"") ","
        REQ("added_files_count", 504, "\"int\"") ","
        REQ("existing_files_count", 505, "\"int\"") ","
        REQ("deleted_files_count", 506, "\"int\"") ","
        REQ("added_rows_count", 512, "\"long\"") ","
        REQ("existing_rows_count", 513, "\"long\"") ","
        REQ("deleted_rows_count", 514, "\"long\"") ","
        OPT("partitions", 507, LIST(508,
            "{\"type\":\"record\",\"name\":\"r508\",\"fields\":["
            REQ("contains_null", 509, "\"boolean\"") ","
            OPT("contains_nan", 518, "\"boolean\"") ","
            OPT("lower_bound", 510, "\"bytes\"") ","
            OPT("upper_bound", 511, "\"bytes\"") "]}")) ","
        OPT("key_metadata", 519, "\"bytes\"") "]}");
}

/* An Avro name made of any name, as Java does it: what isn't allowed becomes _x and its code in hexadecimal. */
static void avro_name(str name, sbuf *out)
{
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];
        bool digit = c >= '0' && c <= '9';
        if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (digit && i > 0))
            sbuf_addc(out, c);
        else if (digit)
            sbuf_printf(out, "_%c", c);
        else
            sbuf_printf(out, "_x%X", (unsigned)(uint8_t)c);
    }
    if (name.n == 0)
        sbuf_addc(out, '_');
}

int manifest_decimal_bytes(int precision)
{
    i128 max = 1;
    for (int i = 0; i < precision; i++)
        max *= 10;
    int n = 1;
    for (i128 top = 127; n < 16 && max - 1 > top; n++)
        top = top << 8 | 255;
    return n;
}

/* The value's type; `i` keeps names of fixed types apart, which may be defined once only. */
static void value_type(type t, uint32_t i, sbuf *out)
{
    switch (t.id) {
    case T_BOOL: sbuf_addz(out, "\"boolean\""); break;
    case T_INT32: sbuf_addz(out, "\"int\""); break;
    case T_INT64: sbuf_addz(out, "\"long\""); break;
    case T_FLOAT32: sbuf_addz(out, "\"float\""); break;
    case T_FLOAT64: sbuf_addz(out, "\"double\""); break;
    case T_DATE: sbuf_addz(out, "{\"type\":\"int\",\"logicalType\":\"date\"}"); break;
    case T_TIME: sbuf_addz(out, "{\"type\":\"long\",\"logicalType\":\"time-micros\"}"); break;
    case T_TIMESTAMP:
    case T_TIMESTAMPTZ:
        sbuf_printf(out, "{\"type\":\"long\",\"logicalType\":\"timestamp-micros\",\"adjust-to-utc\":%s}",
                    t.id == T_TIMESTAMPTZ ? "true" : "false");
        break;
    case T_DECIMAL:
        sbuf_printf(out, "{\"type\":\"fixed\",\"name\":\"decimal_%d_%d_%u\",\"size\":%d,\"logicalType\":\"decimal\","
                    "\"precision\":%d,\"scale\":%d}", t.precision, t.scale, i, manifest_decimal_bytes(t.precision),
                    t.precision, t.scale);
        break;
    case T_UUID:
        sbuf_printf(out, "{\"type\":\"fixed\",\"name\":\"uuid_fixed_%u\",\"size\":16,\"logicalType\":\"uuid\"}", i);
        break;
    case T_FIXED:
        sbuf_printf(out, "{\"type\":\"fixed\",\"name\":\"fixed_%u_%u\",\"size\":%u}", t.width, i, t.width);
        break;
    case T_BINARY: sbuf_addz(out, "\"bytes\""); break;
    default: sbuf_addz(out, "\"string\"");
    }
}

static void partition_type(const ib_partition_spec *spec, const type *types, sbuf *out)
{
    sbuf_addz(out, "{\"type\":\"record\",\"name\":\"r102\",\"fields\":[");
    for (uint32_t i = 0; i < spec->n; i++) {
        const ib_partition_field *f = &spec->fields[i];
        size_t at;
        sbuf_addz(out, i ? ",{\"name\":\"" : "{\"name\":\"");
        at = out->n;
        avro_name(f->name, out);
        bool same = out->n - at == f->name.n && (out->failed || memcmp(out->p + at, f->name.p, f->name.n) == 0);
        sbuf_addz(out, "\",\"type\":[\"null\",");
        value_type(types[i], i, out);
        sbuf_printf(out, "],\"default\":null,\"field-id\":%d", f->field_id);
        if (!same) {
            json_writer w = json_writer_on(out);
            sbuf_addz(out, ",\"iceberg-field-name\":");
            jw_str(&w, f->name);
        }
        sbuf_addc(out, '}');
    }
    sbuf_addz(out, "]}");
}

void manifest_schema(const ib_partition_spec *spec, const type *types, sbuf *out)
{
    sbuf_addz(out,
        "{\"type\":\"record\",\"name\":\"manifest_entry\",\"fields\":["
        REQ("status", 0, "\"int\"") ","
        OPT("snapshot_id", 1, "\"long\"") ","
        OPT("sequence_number", 3, "\"long\"") ","
        OPT("file_sequence_number", 4, "\"long\"") ","
        "{\"name\":\"data_file\",\"field-id\":2,\"type\":{\"type\":\"record\",\"name\":\"r2\",\"fields\":["
        REQ("content", 134, "\"int\"") ","
        REQ("file_path", 100, "\"string\"") ","
        REQ("file_format", 101, "\"string\"") ","
        "{\"name\":\"partition\",\"field-id\":102,\"type\":");
    partition_type(spec, types, out);
    sbuf_addz(out, "},"
        REQ("record_count", 103, "\"long\"") ","
        REQ("file_size_in_bytes", 104, "\"long\"") ","
        OPT("column_sizes", 108, ID_MAP(117, 118, "\"long\"")) ","
        OPT("value_counts", 109, ID_MAP(119, 120, "\"long\"")) ","
        OPT("null_value_counts", 110, ID_MAP(121, 122, "\"long\"")) ","
        OPT("nan_value_counts", 137, ID_MAP(138, 139, "\"long\"")) ","
        OPT("lower_bounds", 125, ID_MAP(126, 127, "\"bytes\"")) ","
        OPT("upper_bounds", 128, ID_MAP(129, 130, "\"bytes\"")) ","
        OPT("key_metadata", 131, "\"bytes\"") ","
        OPT("split_offsets", 132, LIST(133, "\"long\"")) ","
        OPT("equality_ids", 135, LIST(136, "\"int\"")) ","
        OPT("sort_order_id", 140, "\"int\"") "]}}]}");
}
