/*
 * fuzz_metadata: bytes as table metadata. What is accepted must survive being written: read again it
 * gives the same text, and an update applies to it or says why not.
 */
#include "iceberg/spec/spec.h"
#include "iceberg/update/update.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void again(const ib_metadata *md)
{
    ib_metadata *second;
    sbuf one, two;
    sbuf_init(&one, NULL);
    sbuf_init(&two, NULL);
    ib_metadata_write(md, &one);
    if (ib_metadata_parse(one.p, one.n, NULL, NULL, &second, NULL) != FZ_OK)
        __builtin_trap();
    ib_metadata_write(second, &two);
    if (one.n != two.n || memcmp(one.p, two.p, one.n) != 0)
        __builtin_trap();
    ib_metadata_unref(second);
    sbuf_free(&one);
    sbuf_free(&two);
}

static void updated(const ib_metadata *md)
{
    ib_kv kv = {STR("k"), STR("v")};
    ib_snapshot s = {.snapshot_id = 77, .parent_id = md->current_snapshot_id, .sequence_number = 1, .schema_id = -1,
                     .manifest_list = STR("l"), .summary = {1, &kv}};
    if (md->last_sequence_number < INT64_MAX)
        s.sequence_number = md->last_sequence_number + 1;
    int64_t gone = md->n_snapshots ? md->snapshots[0]->snapshot_id : 0;
    const ib_update u[] = {
        {.kind = IB_ADD_SNAPSHOT, .snapshot = &s},
        {.kind = IB_SET_SNAPSHOT_REF, .ref = {.name = STR("main"), .snapshot_id = 77}},
        {.kind = IB_REMOVE_SNAPSHOTS, .n_ids = 1, .ids = &gone},
        {.kind = IB_ADD_SCHEMA, .schema = ib_current_schema(md)},
        {.kind = IB_SET_PROPERTIES, .props = {1, &kv}},
    };
    for (uint32_t from = 0; from < 4; from++) {
        ib_metadata *next;
        if (ib_metadata_apply(md, "file:///m", from == 0 ? 2 : 5 - from, u + from, NULL, &next, NULL) == FZ_OK) {
            again(next);
            ib_metadata_unref(next);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ib_metadata *md;
    if (ib_metadata_parse(data, size, "fuzz", NULL, &md, NULL) == FZ_OK) {
        again(md);
        updated(md);
        ib_metadata_unref(md);
    }
    arena a;
    ib_schema s;
    ib_partition_spec p;
    arena_init(&a, NULL);
    ib_schema_parse((str){(const char *)data, size}, &a, &s, NULL);
    ib_spec_fields_parse((str){(const char *)data, size}, 0, &a, &p, NULL);
    arena_free(&a);
    return 0;
}
