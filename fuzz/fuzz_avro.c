/*
 * fuzz_avro: bytes as an Avro file, a manifest list and a manifest. What is read is evaluated with a predicate and
 * written again. The first byte says which; the rest is the file.
 */
#include "iceberg/manifest/manifest_int.h"
#include "iceberg/plan/plan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char METADATA[] =
    "{\"format-version\":2,\"table-uuid\":\"9c12d441-03fe-4693-9a96-a0705ddf69c1\",\"location\":\"file:///t\","
    "\"last-sequence-number\":0,\"last-updated-ms\":1,\"last-column-id\":5,\"current-schema-id\":0,\"schemas\":[{"
    "\"type\":\"struct\",\"schema-id\":0,\"fields\":["
    "{\"id\":1,\"name\":\"a\",\"required\":false,\"type\":\"long\"},"
    "{\"id\":2,\"name\":\"s\",\"required\":false,\"type\":\"string\"},"
    "{\"id\":3,\"name\":\"t\",\"required\":false,\"type\":\"timestamptz\"},"
    "{\"id\":4,\"name\":\"d\",\"required\":false,\"type\":\"decimal(9, 2)\"},"
    "{\"id\":5,\"name\":\"f\",\"required\":false,\"type\":\"double\"}]}],"
    "\"default-spec-id\":0,\"partition-specs\":[{\"spec-id\":0,\"fields\":["
    "{\"source-id\":1,\"field-id\":1000,\"name\":\"a_bucket\",\"transform\":\"bucket[4]\"},"
    "{\"source-id\":2,\"field-id\":1001,\"name\":\"s_trunc\",\"transform\":\"truncate[2]\"},"
    "{\"source-id\":3,\"field-id\":1002,\"name\":\"t_month\",\"transform\":\"month\"},"
    "{\"source-id\":4,\"field-id\":1003,\"name\":\"d\",\"transform\":\"identity\"},"
    "{\"source-id\":5,\"field-id\":1004,\"name\":\"f\",\"transform\":\"identity\"}]}],"
    "\"last-partition-id\":1004,\"default-sort-order-id\":0,\"sort-orders\":[{\"order-id\":0,\"fields\":[]}],"
    "\"properties\":{},\"snapshots\":[]}";

static ib_metadata *md;
static arena preds;
static const ib_pred *pred;

static void set_up(void)
{
    if (ib_metadata_parse(METADATA, sizeof METADATA - 1, "fuzz", NULL, &md, NULL) != FZ_OK)
        __builtin_trap();
    arena_init(&preds, NULL);
    const datum a = {.t = TYPE(T_INT64), .i64 = 7}, s = {.t = TYPE(T_STRING), .s = STR("ab")},
                t = {.t = TYPE(T_TIMESTAMPTZ), .i64 = 1}, f = {.t = TYPE(T_FLOAT64), .f64 = 0.5},
                d = {.t = TYPE_DECIMAL(9, 2), .i64 = 100};
    pred = ib_pred_or(&preds, ib_pred_and(&preds, ib_pred_cmp(&preds, IB_PRED_EQ, 1, &a),
                                          ib_pred_cmp(&preds, IB_PRED_STARTS_WITH, 2, &s)),
                      ib_pred_not(&preds, ib_pred_or(&preds, ib_pred_cmp(&preds, IB_PRED_LT, 3, &t),
                                                     ib_pred_or(&preds, ib_pred_in(&preds, 5, 1, &f),
                                                                ib_pred_cmp(&preds, IB_PRED_GE, 4, &d)))));
}

static void read_list(const uint8_t *data, size_t size, arena *a)
{
    uint32_t n;
    ib_manifest_file *files;
    if (manifest_list_decode(data, size, "list", NULL, a, &n, &files, NULL) != FZ_OK)
        return;
    for (uint32_t i = 0; i < n; i++)
        ib_pred_manifest(pred, md, &files[i]);
}

static void read_manifest(const uint8_t *data, size_t size, bool stats, arena *a)
{
    uint32_t n;
    ib_manifest_entry *entries;
    const ib_manifest_file mf = {.path = STR("m"), .sequence_number = 3, .added_snapshot_id = 9};
    manifest_writer w;
    if (manifest_decode(data, size, "manifest", &mf, md, stats, NULL, a, &n, &entries, NULL) != FZ_OK)
        return;
    if (manifest_writer_open(&w, NULL, ib_current_schema(md), ib_spec_by_id(md, 0), IB_DATA, 9, NULL, a, NULL) != FZ_OK)
        return;
    for (uint32_t i = 0; i < n; i++) {
        ib_pred_file(pred, md, &entries[i].file);
        if (manifest_writer_add(&w, &entries[i], NULL) == FZ_INTERNAL)
            __builtin_trap();
    }
    manifest_writer_abort(&w);
}

static void read_any(const uint8_t *data, size_t size)
{
    avro_reader r;
    if (avro_reader_open(&r, data, size, "file", NULL, NULL) != FZ_OK)
        return;
    for (bool more; avro_next(&r, &more, NULL) == FZ_OK && more;)
        avro_skip(&r.cur, r.schema);
    avro_reader_close(&r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    arena a;
    if (!md)
        set_up();
    if (size == 0)
        return 0;
    arena_init(&a, NULL);
    switch (data[0] % 4) {
    case 0: read_list(data + 1, size - 1, &a); break;
    case 1: read_manifest(data + 1, size - 1, true, &a); break;
    case 2: read_manifest(data + 1, size - 1, false, &a); break;
    default: read_any(data + 1, size - 1);
    }
    arena_free(&a);
    return 0;
}
