/*
 * test_manifest.c: bounds, manifests and manifest lists written and read back, metrics modes, the cache.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "iceberg/manifest/index.h"
#include "iceberg/manifest/cache.h"
#include "iceberg/manifest/manifest_int.h"
#include "iceberg/manifest/metrics.h"
#include "iceberg/update/update.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define OK(call)                                                                        \
    do {                                                                                \
        fz_error e_ = {0}, *err = &e_;                                                  \
        fz_status s_ = (call);                                                          \
        if (s_ != FZ_OK)                                                                \
            fail_msg("%s: %d %s [%s]", #call, s_, e_.message, e_.where);                \
    } while (0)

static arena mem_;
static char folder[64];

static char *at(const char *name)
{
    char *p = arena_alloc(&mem_, 200);
    snprintf(p, 200, "file://%s/%s", folder, name);
    return p;
}

static const datum VALUES[] = {
    {.t = TYPE(T_BOOL), .b = true},
    {.t = TYPE(T_INT32), .i32 = -5},
    {.t = TYPE(T_INT64), .i64 = INT64_MIN},
    {.t = TYPE(T_FLOAT32), .f32 = 1.5f},
    {.t = TYPE(T_FLOAT64), .f64 = -2.25},
    {.t = TYPE_DECIMAL(9, 2), .i64 = -12345},
    {.t = TYPE_DECIMAL(38, 3), .i128v = -((i128)7 << 90)},
    {.t = TYPE(T_DATE), .i32 = 18321},
    {.t = TYPE(T_TIME), .i64 = 86399999999},
    {.t = TYPE(T_TIMESTAMP), .i64 = -1},
    {.t = TYPE(T_TIMESTAMPTZ), .i64 = 1582977662000003},
    {.t = TYPE(T_STRING), .s = {"\xe6\x97\xa5", 3}},
    {.t = TYPE(T_BINARY), .s = {"\0\xff", 2}},
    {.t = TYPE(T_UUID), .s = {"0123456789abcdef", 16}},
    {.t = {.id = T_FIXED, .width = 3}, .s = {"xyz", 3}},
};
#define N_VALUES (sizeof VALUES / sizeof *VALUES)

static void bounds(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_VALUES; i++) {
        str s;
        datum back;
        OK(ib_bound_encode(&VALUES[i], &mem_, &s, err));
        OK(ib_bound_decode(VALUES[i].t, s, &back, err));
        assert_true(datum_eq(&VALUES[i], &back));
    }
    static const struct { int64_t v; const char *bytes; size_t n; } DECIMALS[] = {
        {0, "\0", 1}, {127, "\x7f", 1}, {128, "\0\x80", 2}, {-128, "\x80", 1}, {-129, "\xff\x7f", 2}, {-1, "\xff", 1},
    };
    for (size_t i = 0; i < sizeof DECIMALS / sizeof *DECIMALS; i++) {
        datum d = {.t = TYPE_DECIMAL(9, 0), .i64 = DECIMALS[i].v};
        str s;
        OK(ib_bound_encode(&d, &mem_, &s, err));
        assert_int_equal(s.n, DECIMALS[i].n);
        assert_memory_equal(s.p, DECIMALS[i].bytes, s.n);
    }
    datum d; /* of the type before a promotion */
    OK(ib_bound_decode(TYPE(T_INT64), (str){"\xfe\xff\xff\xff", 4}, &d, err));
    assert_int_equal(d.i64, -2);
    OK(ib_bound_decode(TYPE(T_FLOAT64), (str){"\0\0\xc0\x3f", 4}, &d, err));
    assert_true(d.f64 == 1.5);
    assert_int_equal(ib_bound_decode(TYPE(T_INT32), STR("abc"), &d, NULL), FZ_DATA);
    assert_int_equal(ib_bound_decode(TYPE(T_INT32), STR("abcdefgh"), &d, NULL), FZ_DATA);
    assert_int_equal(ib_bound_decode(TYPE_DECIMAL(9, 0), STR("abcdefghi"), &d, NULL), FZ_DATA);
    assert_int_equal(ib_bound_decode(TYPE(T_UUID), STR("abc"), &d, NULL), FZ_DATA);
}

/* A table with a column of each type, partitioned by all of them. */
static ib_metadata *wide_table(void)
{
    type_fields *f = arena_zalloc(&mem_, sizeof *f + N_VALUES * sizeof(type_field));
    ib_partition_field *p = ARENA_ARRAY(&mem_, ib_partition_field, N_VALUES);
    f->n = N_VALUES;
    for (uint32_t i = 0; i < N_VALUES; i++) {
        char *name = arena_alloc(&mem_, 16);
        snprintf(name, 16, "c%u", i);
        f->f[i] = (type_field){.name = str_of(name), .field_id = (int32_t)i + 1, .t = VALUES[i].t};
        p[i] = (ib_partition_field){.source_id = (int32_t)i + 1, .field_id = 1000 + (int32_t)i, .name = str_of(name),
                                    .transform = {.kind = IB_IDENTITY, .text = STR("identity")}};
    }
    ib_schema schema = {.fields = f};
    ib_partition_spec spec = {.n = N_VALUES, .fields = p};
    ib_metadata *md;
    OK(ib_metadata_new(STR("file:///t"), &schema, &spec, NULL, NULL, NULL, &md, err));
    return md;
}

static ib_manifest_entry entry(ib_entry_status status, int64_t sequence, bool nulls, const char *path)
{
    datum *p = ARENA_ARRAY(&mem_, datum, N_VALUES);
    for (size_t i = 0; i < N_VALUES; i++) {
        p[i] = VALUES[i];
        p[i].null = nulls;
    }
    ib_column_stats *s = ARENA_ARRAY(&mem_, ib_column_stats, 2);
    s[0] = (ib_column_stats){.field_id = 2, .size_bytes = 11, .value_count = 3, .null_count = 1, .nan_count = -1,
                             .has_lower = true, .has_upper = true, .lower = STR("\1\0\0\0"), .upper = STR("\2\0\0\0")};
    s[1] = (ib_column_stats){.field_id = 5, .size_bytes = -1, .value_count = 3, .null_count = -1, .nan_count = 2};
    int64_t *splits = ARENA_ARRAY(&mem_, int64_t, 2);
    splits[0] = 4, splits[1] = 1ll << 33;
    return (ib_manifest_entry){
        .status = status, .snapshot_id = sequence < 0 ? -1 : 40 + sequence, .sequence_number = sequence,
        .file_sequence_number = sequence,
        .file = {.file_path = str_of(path), .file_format = STR("PARQUET"), .n_partition = N_VALUES, .partition = p,
                 .record_count = 3, .file_size_bytes = 1234, .n_stats = 2, .stats = s, .n_splits = 2,
                 .split_offsets = splits, .sort_order_id = -1}};
}

static void round_trip(void **state)
{
    (void)state;
    ib_metadata *md = wide_table();
    ib_manifest_entry in[3] = {entry(IB_ADDED, -1, false, "a.parquet"), entry(IB_EXISTING, 5, true, "b.parquet"),
                               entry(IB_DELETED, 4, false, "c.parquet")};
    ib_manifest_file mf, lists[2], *files;
    ib_manifest_entry *out;
    uint32_t n;
    char *m = at("m.avro"), *l = at("l.avro");
    OK(ib_manifest_write(NULL, m, NULL, ib_current_schema(md), ib_spec_by_id(md, 0), IB_DATA, 77, 3, in, &mem_, &mf, err));
    assert_int_equal(mf.added_files + 10 * mf.existing_files + 100 * mf.deleted_files, 111);
    assert_int_equal(mf.added_rows, 3);
    assert_int_equal(mf.sequence_number, -1);
    assert_int_equal(mf.min_sequence_number, 5);
    lists[0] = mf;
    lists[1] = (ib_manifest_file){.path = STR("file:///other.avro"), .length = 9, .content = IB_POSITION_DELETES,
                                  .sequence_number = 2, .min_sequence_number = 1, .added_snapshot_id = 3};
    OK(ib_manifest_list_write(NULL, l, NULL, 77, -1, 9, 2, lists, err));
    OK(ib_manifest_list_read(NULL, l, NULL, &mem_, &n, &files, err));
    assert_int_equal(n, 2);
    assert_int_equal(files[0].sequence_number, 9);
    assert_int_equal(files[0].min_sequence_number, 5);
    assert_int_equal(files[0].length, mf.length);
    assert_int_equal(files[1].content, IB_POSITION_DELETES);
    assert_int_equal(files[0].n_partitions, N_VALUES);
    for (uint32_t i = 0; i < N_VALUES; i++) {
        datum d;
        assert_true(files[0].partitions[i].contains_null);
        OK(ib_bound_decode(VALUES[i].t, files[0].partitions[i].lower, &d, err));
        assert_true(datum_eq(&d, &VALUES[i]));
    }
    OK(ib_manifest_read(&files[0], md, true, NULL, &mem_, &n, &out, err));
    assert_int_equal(n, 3);
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(out[i].status, in[i].status);
        assert_int_equal(out[i].snapshot_id, i ? in[i].snapshot_id : 77);
        assert_int_equal(out[i].sequence_number, i ? in[i].sequence_number : 9);
        assert_int_equal(out[i].file_sequence_number, i ? in[i].sequence_number : 9);
        assert_true(str_eq(out[i].file.file_path, in[i].file.file_path));
        assert_int_equal(out[i].file.n_splits, 2);
        assert_int_equal(out[i].file.split_offsets[1], 1ll << 33);
        assert_int_equal(out[i].file.sort_order_id, -1);
        for (uint32_t k = 0; k < N_VALUES; k++) {
            assert_true(type_eq(out[i].file.partition[k].t, VALUES[k].t));
            assert_true(datum_eq(&out[i].file.partition[k], &in[i].file.partition[k]));
        }
        const ib_column_stats *s = out[i].file.stats;
        assert_int_equal(out[i].file.n_stats, 2);
        assert_int_equal(s[0].field_id * 100 + s[1].field_id, 205);
        assert_int_equal(s[0].size_bytes, 11);
        assert_int_equal(s[0].nan_count, -1);
        assert_true(str_eqz(s[0].upper, "\2") == false && s[0].upper.n == 4 && s[0].upper.p[0] == 2);
        assert_int_equal(s[1].size_bytes, -1);
        assert_int_equal(s[1].nan_count, 2);
        assert_false(s[1].has_lower);
    }
    OK(ib_manifest_read(&files[0], md, false, NULL, &mem_, &n, &out, err));
    assert_int_equal(out[0].file.n_stats, 0);
    assert_int_equal(out[0].file.n_splits, 2);

    /* what doesn't fit together */
    ib_manifest_file wrong = files[0];
    wrong.length++;
    assert_int_equal(ib_manifest_read(&wrong, md, false, NULL, &mem_, &n, &out, NULL), FZ_DATA);
    wrong = files[0];
    wrong.spec_id = 8;
    assert_int_equal(ib_manifest_read(&wrong, md, false, NULL, &mem_, &n, &out, NULL), FZ_DATA);
    wrong = files[0];
    wrong.key_metadata = STR("k");
    assert_int_equal(ib_manifest_read(&wrong, md, false, NULL, &mem_, &n, &out, NULL), FZ_UNSUPPORTED);
    fz_error e = {0};
    assert_int_equal(ib_manifest_list_read(NULL, m, NULL, &mem_, &n, &files, &e), FZ_DATA); /* a manifest isn't a list */
    assert_string_equal(e.where, m);
    assert_int_equal(ib_manifest_list_write(NULL, m, NULL, 77, -1, 9, 2, lists, NULL), FZ_EXISTS);
    ib_metadata_unref(md);
}

/* A version 1 manifest: no content, no sequence numbers, required snapshot ids, statistics out of order, unknown fields. */
static void version_1(void **state)
{
    (void)state;
    static const char SCHEMA[] =
        "{\"type\":\"record\",\"name\":\"manifest_entry\",\"fields\":[{\"name\":\"later\",\"type\":{\"type\":\"map\",\"values\":"
        "[\"null\",\"double\"]},\"field-id\":999},{\"name\":\"status\",\"type\":\"int\",\"field-id\":0},{\"name\":\"snapshot_id\","
        "\"type\":\"long\",\"field-id\":1},{\"name\":\"data_file\",\"field-id\":2,\"type\":{\"type\":\"record\",\"name\":\"r2\",\"fields\":["
        "{\"name\":\"file_size_in_bytes\",\"type\":\"long\",\"field-id\":104},{\"name\":\"file_path\",\"type\":\"string\",\"field-id\":100},"
        "{\"name\":\"file_format\",\"type\":\"string\",\"field-id\":101},{\"name\":\"block_size_in_bytes\",\"type\":\"long\",\"field-id\":105},"
        "{\"name\":\"record_count\",\"type\":\"int\",\"field-id\":103},{\"name\":\"value_counts\",\"field-id\":109,\"type\":[\"null\","
        "{\"type\":\"array\",\"logicalType\":\"map\",\"items\":{\"type\":\"record\",\"name\":\"k119_v120\",\"fields\":["
        "{\"name\":\"key\",\"type\":\"int\",\"field-id\":119},{\"name\":\"value\",\"type\":\"long\",\"field-id\":120}]}}]}]}}]}";
    type_fields *f = arena_zalloc(&mem_, sizeof *f + sizeof(type_field));
    f->n = 1;
    f->f[0] = (type_field){.name = STR("a"), .field_id = 1, .t = TYPE(T_INT32)};
    ib_schema schema = {.fields = f};
    ib_metadata *md;
    OK(ib_metadata_new(STR("file:///t"), &schema, NULL, NULL, NULL, NULL, &md, err));
    avro_writer w;
    OK(avro_writer_open(&w, STR(SCHEMA), 0, NULL, CODEC_NONE, NULL, err));
    sbuf *b = &w.body;
    avro_put_long(b, 1); /* later: {"x": null} */
    avro_put_bytes(b, STR("x"));
    avro_put_long(b, 0);
    avro_put_long(b, 0);
    avro_put_long(b, IB_EXISTING);
    avro_put_long(b, 55);
    avro_put_long(b, 4321);
    avro_put_bytes(b, STR("p.orc"));
    avro_put_bytes(b, STR("orc"));
    avro_put_long(b, 1);
    avro_put_long(b, 12);
    avro_put_long(b, 1);
    avro_put_long(b, -3); /* a block whose size is given */
    avro_put_long(b, 6);
    for (int id = 3; id > 0; id--) {
        avro_put_long(b, id);
        avro_put_long(b, 10 * id);
    }
    avro_put_long(b, 0);
    OK(avro_writer_record(&w, err));
    OK(avro_writer_finish(&w, err));
    ib_manifest_file mf = {.path = STR("v1"), .added_snapshot_id = 99};
    ib_manifest_entry *e;
    uint32_t n;
    OK(manifest_decode(w.out.p, w.out.n, "v1", &mf, md, true, NULL, &mem_, &n, &e, err));
    assert_int_equal(n, 1);
    assert_int_equal(e->snapshot_id, 55);
    assert_int_equal(e->sequence_number, 0);
    assert_int_equal(e->file.record_count, 12);
    assert_int_equal(e->file.file_size_bytes, 4321);
    assert_int_equal(e->file.content, IB_DATA);
    assert_true(str_eqz(e->file.file_format, "ORC"));
    assert_int_equal(e->file.n_stats, 3);
    for (int i = 0; i < 3; i++)
        assert_int_equal(e->file.stats[i].value_count, 10 * e->file.stats[i].field_id);
    assert_int_equal(e->file.stats[0].field_id, 1);
    /* each byte changed: an answer, never a crash */
    for (size_t i = 0; i < w.out.n; i++) {
        w.out.p[i] ^= (char)(1 << i % 8);
        arena a;
        arena_init(&a, NULL);
        manifest_decode(w.out.p, w.out.n, "v1", &mf, md, true, NULL, &a, &n, &e, NULL);
        arena_free(&a);
        w.out.p[i] ^= (char)(1 << i % 8);
    }
    avro_writer_free(&w);
    ib_metadata_unref(md);
}

/* ---- metrics ---- */

static void truncation(void **state)
{
    (void)state;
    str s;
    assert_true(str_eqz(ib_truncate_text(STR("h\xc3\xa9llo"), 2), "h\xc3\xa9"));
    assert_true(ib_truncate_text_up(STR("hello"), 5, &mem_, &s) && str_eqz(s, "hello"));
    assert_true(ib_truncate_text_up(STR("hello"), 4, &mem_, &s) && str_eqz(s, "helm"));
    assert_true(ib_truncate_text_up(STR("h\x7f!"), 2, &mem_, &s) && str_eqz(s, "h\xc2\x80")); /* grows by a byte */
    assert_true(ib_truncate_text_up(STR("\xed\x9f\xbf!"), 1, &mem_, &s) && str_eqz(s, "\xee\x80\x80")); /* over the surrogates */
    assert_true(ib_truncate_text_up(STR("a\xf4\x8f\xbf\xbf!"), 2, &mem_, &s) && str_eqz(s, "b"));
    assert_false(ib_truncate_text_up(STR("\xf4\x8f\xbf\xbf!"), 1, &mem_, &s));
    assert_true(ib_truncate_bytes_up(STR("a\xff\xff!"), 3, &mem_, &s) && str_eqz(s, "b"));
    assert_false(ib_truncate_bytes_up(STR("\xff\xff!"), 2, &mem_, &s));
    assert_true(ib_truncate_bytes_up(STR("\xff\xff"), 2, &mem_, &s) && s.n == 2);
}

static void metrics(void **state)
{
    (void)state;
    type_fields *f = arena_zalloc(&mem_, sizeof *f + 3 * sizeof(type_field));
    f->n = 3;
    for (int i = 0; i < 3; i++)
        f->f[i] = (type_field){.name = (str){"abc" + i, 1}, .field_id = i + 1, .t = TYPE(T_STRING)};
    ib_schema schema = {.fields = f};
    const ib_kv kv[] = {{STR("write.metadata.metrics.column.b"), STR("counts")},
                        {STR("write.metadata.metrics.column.c"), STR("truncate(3)")}};
    ib_props props = {2, kv};
    ib_metadata *md;
    OK(ib_metadata_new(STR("file:///t"), &schema, NULL, NULL, &props, NULL, &md, err));
    pq_column_metrics cols[3];
    for (int i = 0; i < 3; i++)
        cols[i] = (pq_column_metrics){.field_id = 3 - i, .column = 2u - (uint32_t)i, .path = {"abc" + 2 - i, 1}, .size_bytes = 50, .value_count = 9, .null_count = 2, .nan_count = -1,
                                      .has_bounds = true, .min = {.t = TYPE(T_STRING), .s = STR("abcdefghijklmnopqrstuvwxyz")},
                                      .max = {.t = TYPE(T_STRING), .s = STR("bcdefghijklmnopqrstuvwxyz")}};
    int64_t splits[] = {4, 100};
    pq_write_result r = {.file_size = 777, .rows = 9, .ncols = 3, .cols = cols, .n_splits = 2, .split_offsets = splits};
    ib_data_file d;
    OK(ib_data_file_from_parquet(md, ib_spec_by_id(md, 0), NULL, "file:///x", &r, 0, &mem_, &d, err));
    assert_int_equal(d.record_count, 9);
    assert_int_equal(d.file_size_bytes, 777);
    assert_int_equal(d.split_offsets[1], 100);
    assert_int_equal(d.n_stats, 3);
    assert_true(str_eqz(d.stats[0].lower, "abcdefghijklmnop"));
    assert_true(str_eqz(d.stats[0].upper, "bcdefghijklmnopr"));
    assert_int_equal(d.stats[1].null_count, 2);
    assert_false(d.stats[1].has_lower);
    assert_true(str_eqz(d.stats[2].lower, "abc"));
    assert_true(str_eqz(d.stats[2].upper, "bce"));
    ib_metadata_unref(md);
    const ib_kv wrong[] = {{STR("write.metadata.metrics.default"), STR("some")}};
    props = (ib_props){1, wrong};
    OK(ib_metadata_new(STR("file:///t"), &schema, NULL, NULL, &props, NULL, &md, err));
    assert_int_equal(ib_data_file_from_parquet(md, ib_spec_by_id(md, 0), NULL, "file:///x", &r, 0, &mem_, &d, NULL),
                     FZ_INVALID);
    ib_metadata_unref(md);
}

/* ---- the cache ---- */

static void cache(void **state)
{
    (void)state;
    ib_manifest_cache *c = ib_manifest_cache_new(NULL, 256 << 10);
    ib_manifest_file mf = {.path = STR("file:///m"), .length = 1, .added_snapshot_id = 1};
    ib_decoded *d, *first = NULL;
    char name[32];
    for (int i = 0; i < 2000; i++) {
        snprintf(name, sizeof name, "list%d", i);
        ib_manifest_list_put(c, str_of(name), 1, &mf);
        OK(ib_manifest_list_get(c, NULL, STR("list0"), NULL, &d, err)); /* used all the time: stays; the file doesn't exist */
        if (!first)
            first = ib_decoded_ref(d);
        assert_ptr_equal(d, first);
        ib_decoded_unref(d);
    }
    assert_int_equal(ib_manifest_list_get(c, NULL, STR("/nowhere/list1"), NULL, &d, NULL), FZ_NOT_FOUND);
    assert_int_equal(ib_manifest_list_get(c, NULL, STR("list1"), NULL, &d, NULL), FZ_NOT_FOUND); /* long gone */
    OK(ib_manifest_list_get(c, NULL, STR("list1999"), NULL, &d, err));
    ib_manifest_cache_free(c);
    assert_true(str_eqz(d->files[0].path, "file:///m")); /* outlives the cache */
    ib_decoded_unref(d);
    ib_decoded_unref(first);
}

static int set_up(void **state)
{
    (void)state;
    arena_init(&mem_, NULL);
    const char *tmp = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%s/test_manifest_XXXXXX", tmp && strlen(tmp) < 40 ? tmp : "/tmp");
    return mkdtemp(folder) ? 0 : -1;
}

static fz_status remove_it(void *ctx, const char *path, const io_stat_info *info, fz_error *err)
{
    (void)ctx, (void)info;
    return io_remove(NULL, path, err);
}

static int tear_down(void **state)
{
    (void)state;
    io_list(NULL, folder, remove_it, NULL, NULL);
    rmdir(folder);
    arena_free(&mem_);
    return 0;
}

/* ---- the index that planning uses ---- */

static ib_decoded *index_of(const void *data, size_t n, const ib_manifest_file *mf, const ib_metadata *md, fz_status *st)
{
    ib_decoded *d = mem_zalloc(NULL, sizeof *d);
    atomic_init(&d->refs, 1);
    arena_init(&d->mem, NULL);
    d->path = STR("m.avro");
    *st = index_build(data, n, "m.avro", mf, md, d, NULL);
    return d;
}

/* The file's records in blocks of `per` records that aren't compressed, so that damage reaches the entries. */
static void unpacked(const char *path, uint32_t per, avro_writer *w)
{
    buf *b;
    avro_reader r;
    OK(io_read_all(NULL, path, NULL, 1 << 20, &b, err));
    OK(avro_reader_open(&r, b->data, b->size, path, NULL, err));
    str schema = avro_reader_meta(&r, "avro.schema");
    OK(avro_writer_open(w, schema, 0, NULL, CODEC_NONE, NULL, err));
    sbuf_clear(&w->body);
    uint32_t n = 0;
    for (;;) {
        bool more;
        OK(avro_next(&r, &more, err));
        if (!more)
            break;
        const uint8_t *from = r.cur.p;
        avro_skip(&r.cur, r.schema);
        sbuf_add(&w->body, from, (size_t)(r.cur.p - from));
        n++;
        w->records++;
        if (n % per == 0) { /* close the block by hand */
            avro_put_long(&w->out, (int64_t)w->records);
            avro_put_long(&w->out, (int64_t)w->body.n);
            sbuf_add(&w->out, w->body.p, w->body.n);
            sbuf_add(&w->out, w->sync, 16);
            sbuf_clear(&w->body);
            w->records = 0;
        }
    }
    OK(avro_writer_finish(w, err));
    avro_reader_close(&r);
    buf_unref(b);
}

static void same_entry(const ib_manifest_entry *a, const ib_manifest_entry *b)
{
    assert_int_equal(a->status, b->status);
    assert_int_equal(a->sequence_number, b->sequence_number);
    assert_int_equal(a->snapshot_id, b->snapshot_id);
    assert_true(str_eq(a->file.file_path, b->file.file_path) && str_eq(a->file.file_format, b->file.file_format));
    assert_int_equal(a->file.record_count, b->file.record_count);
    assert_int_equal(a->file.n_stats, b->file.n_stats);
    for (uint32_t i = 0; i < a->file.n_stats; i++)
        assert_true(str_eq(a->file.stats[i].lower, b->file.stats[i].lower) && a->file.stats[i].null_count == b->file.stats[i].null_count);
    for (uint32_t i = 0; i < a->file.n_partition; i++)
        assert_true(datum_eq(&a->file.partition[i], &b->file.partition[i]));
}

static void indexed(void **state)
{
    (void)state;
    ib_metadata *md = wide_table();
    enum { N = 40 };
    ib_manifest_entry in[N], *all;
    for (int i = 0; i < N; i++) {
        char *name = arena_alloc(&mem_, 24);
        snprintf(name, 24, "f%d.parquet", i);
        in[i] = entry(i % 5 == 4 ? IB_DELETED : IB_EXISTING, i, i % 3 == 0, name);
        in[i].file.stats[0].lower = (str){arena_strndup(&mem_, (char[]){(char)i, 0, 0, 0}, 4), 4};
    }
    ib_manifest_file mf;
    char *m = at("indexed.avro");
    OK(ib_manifest_write(NULL, m, NULL, ib_current_schema(md), ib_spec_by_id(md, 0), IB_DATA, 77, N, in, &mem_, &mf, err));
    mf.length = 0;
    uint32_t n;
    OK(ib_manifest_read(&mf, md, true, NULL, &mem_, &n, &all, err));
    for (uint32_t per = 1; per < 50; per += 6) { /* one entry in a block, as PyIceberg writes, or several */
        avro_writer w;
        unpacked(m, per, &w);
        fz_status st;
        ib_decoded *d = index_of(w.out.p, w.out.n, &mf, md, &st);
        assert_int_equal(st, FZ_OK);
        assert_int_equal(d->n, N - N / 5);
        assert_int_equal(d->index->n_parts, 2);
        index_cursor c;
        index_cursor_open(&c, d, true, NULL, &mem_);
        const ib_key_column *keys;
        size_t grew;
        OK(index_keys(d, 2, TYPE(T_INT32), &keys, &grew, err));
        assert_true(grew > 0);
        for (uint32_t i = 0, k = 0; i < N; i++) {
            ib_manifest_entry e;
            if (all[i].status == IB_DELETED)
                continue;
            OK(index_read(&c, k, &e, err));
            same_entry(&e, &all[i]);
            assert_int_equal(d->index->part[k], d->index->part[i % 3 == 0 ? 0 : 1]);
            assert_int_equal(keys->lower[k], i);
            assert_int_equal(keys->upper[k], 2);
            k++;
        }
        OK(index_keys(d, 2, TYPE(T_INT32), &keys, &grew, err));
        assert_int_equal(grew, 0);
        OK(index_keys(d, 99, TYPE(T_INT32), &keys, &grew, err));
        assert_true(keys->lower[3] == INT64_MIN && keys->upper[3] == INT64_MAX);
        index_cursor_close(&c);
        ib_decoded_unref(d);

        /* damage anywhere: an error or other values, nothing else */
        uint64_t seed = per;
        arena a;
        arena_init(&a, NULL);
        for (int t = 0; t < 300; t++) {
            char *bytes = arena_strndup(&a, w.out.p, w.out.n);
            size_t len = w.out.n;
            for (int k = 0; k < 1 + t % 4; k++) {
                seed = seed * 6364136223846793005u + 1442695040888963407u;
                bytes[len - 1 - (size_t)(seed >> 33) % (len / 3)] = (char)(seed >> 24);
            }
            if (t % 7 == 0)
                len -= (size_t)(seed >> 33) % (len / 2);
            d = index_of(bytes, len, &mf, md, &st);
            if (st == FZ_OK)
                index_cursor_open(&c, d, true, NULL, &a);
            for (uint32_t i = 0; st == FZ_OK && i < d->n; i++) {
                ib_manifest_entry e;
                index_read(&c, i, &e, NULL);
            }
            if (st == FZ_OK)
                index_keys(d, 2, TYPE(T_INT32), &keys, &grew, NULL);
            if (st == FZ_OK)
                index_cursor_close(&c);
            ib_decoded_unref(d);
            arena_reset(&a);
        }
        arena_free(&a);
        avro_writer_free(&w);
    }
    ib_metadata_unref(md);
}

/* Keys are in the order of the values. */
static void keys_in_order(void **state)
{
    (void)state;
    static const double d[] = {-INFINITY, -2.5, -1e-300, 0, 1e-300, 7, INFINITY};
    static const char *const t[] = {"", "a", "a\x01", "ab", "abcdefgh", "abcdefghz", "b", "\xc3\xa9"};
    int64_t last = INT64_MIN, k;
    for (size_t i = 0; i < sizeof d / sizeof *d; i++, last = k) {
        assert_true(index_key(&(datum){.t = TYPE(T_FLOAT64), .f64 = d[i]}, &k));
        assert_true(i == 0 || k > last);
    }
    int64_t minus;
    index_key(&(datum){.t = TYPE(T_FLOAT64), .f64 = 0.0}, &k);
    index_key(&(datum){.t = TYPE(T_FLOAT32), .f32 = -0.0f}, &minus);
    assert_int_equal(k, minus);
    assert_false(index_key(&(datum){.t = TYPE(T_FLOAT64), .f64 = NAN}, &k));
    assert_false(index_key(&(datum){.t = TYPE(T_INT32), .null = true}, &k));
    last = INT64_MIN;
    for (size_t i = 0; i < sizeof t / sizeof *t; i++, last = k) {
        assert_true(index_key(&(datum){.t = TYPE(T_STRING), .s = str_of(t[i])}, &k));
        assert_true(k >= last);
    }
    assert_true(index_key(&(datum){.t = TYPE_DECIMAL(38, 0), .i128v = (i128)INT64_MAX * 5}, &k));
    assert_int_equal(k, INT64_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(indexed), cmocka_unit_test(keys_in_order),
        cmocka_unit_test(bounds),  cmocka_unit_test(round_trip), cmocka_unit_test(version_1), cmocka_unit_test(truncation),
        cmocka_unit_test(metrics), cmocka_unit_test(cache),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
