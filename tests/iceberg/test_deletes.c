/*
 * Deletes without a catalog: which delete files a plan gives to which data files, and what they take away. Delete files are
 * written here with our own writers; what other engines write is tested by tests/interop (golden tables).
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "format/parquet/parquet.h"
#include "iceberg/deletes/deletes.h"
#include "iceberg/manifest/manifest.h"
#include "iceberg/plan/mapping.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static fz_error error_, *err = &error_;
static arena mem_;
static char root[64];

#define OK(call) do { if ((call) != FZ_OK) fail_msg("%s: %s (%s)", #call, err->message, err->where); } while (0)

static const char METADATA[] =
    "{\"format-version\":2,\"table-uuid\":\"9c12d441-03fe-4693-9a96-a0705ddf69c1\",\"location\":\"/nowhere\",\"last-sequence-number\":9,"
    "\"last-updated-ms\":1,\"last-column-id\":6,\"current-schema-id\":1,\"schemas\":[{\"type\":\"struct\",\"schema-id\":0,\"fields\":["
    "{\"id\":4,\"name\":\"old\",\"required\":false,\"type\":\"int\"}]},{\"type\":\"struct\",\"schema-id\":1,\"fields\":["
    "{\"id\":1,\"name\":\"id\",\"required\":false,\"type\":\"long\"},{\"id\":2,\"name\":\"p\",\"required\":false,\"type\":\"string\"},"
    "{\"id\":3,\"name\":\"x\",\"required\":false,\"type\":\"double\"},{\"id\":5,\"name\":\"st\",\"required\":false,\"type\":{\"type\":"
    "\"struct\",\"fields\":[{\"id\":6,\"name\":\"k\",\"required\":false,\"type\":\"long\"}]}}]}],"
    "\"default-spec-id\":1,\"partition-specs\":[{\"spec-id\":0,\"fields\":[]},{\"spec-id\":1,\"fields\":[{\"source-id\":2,\"field-id\":1000,"
    "\"name\":\"p\",\"transform\":\"identity\"}]}],\"last-partition-id\":1000,\"default-sort-order-id\":0,\"sort-orders\":[{\"order-id\":0,"
    "\"fields\":[]}],\"properties\":{},\"current-snapshot-id\":7,\"snapshots\":[{\"snapshot-id\":7,\"sequence-number\":9,\"timestamp-ms\":1,"
    "\"manifest-list\":\"%s/list.avro\",\"summary\":{\"operation\":\"append\"},\"schema-id\":1}],\"snapshot-log\":[],\"metadata-log\":[],"
    "\"refs\":{\"main\":{\"snapshot-id\":7,\"type\":\"branch\"}}}";

static str text(const char *fmt, ...)
{
    char b[300];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(b, sizeof b, fmt, ap);
    va_end(ap);
    return (str){arena_strndup(&mem_, b, (size_t)n), (size_t)n};
}

static int start(void **state)
{
    (void)state;
    arena_init(&mem_, NULL);
    snprintf(root, sizeof root, "/var/tmp/test_deletes_XXXXXX");
    assert_non_null(mkdtemp(root));
    return 0;
}

static fz_status remove_one(void *ctx, const char *path, const io_stat_info *info, fz_error *e)
{
    return io_remove(NULL, path, e);
}

static int finish(void **state)
{
    (void)state;
    OK(io_list(NULL, root, remove_one, NULL, err));
    rmdir(root);
    arena_free(&mem_);
    return 0;
}

static ib_metadata *metadata(void)
{
    char json[4096];
    ib_metadata *md;
    int n = snprintf(json, sizeof json, METADATA, root);
    OK(ib_metadata_parse(json, (size_t)n, "test", NULL, &md, err));
    return md;
}

/* ---- tables of nothing but manifests ---- */

static ib_manifest_entry entry(ib_content content, const char *path, int spec, const char *p, int64_t sequence)
{
    static const datum none = {.t = {.id = T_STRING}, .null = true};
    ib_manifest_entry e = {.status = IB_ADDED, .snapshot_id = 7, .sequence_number = sequence, .file_sequence_number = sequence,
                           .file = {.content = content, .file_path = text("%s/%s", root, path), .file_format = STR("PARQUET"), .spec_id = spec,
                                    .record_count = 100, .file_size_bytes = 1000, .sort_order_id = -1}};
    e.file.n_partition = spec;
    e.file.partition = ARENA_NEW(&mem_, datum);
    *e.file.partition = p ? (datum){.t = TYPE(T_STRING), .s = text("%s", p)} : none;
    return e;
}

static ib_manifest_entry eq(const char *path, int spec, const char *p, int64_t sequence, int n, const int32_t *ids)
{
    ib_manifest_entry e = entry(IB_EQUALITY_DELETES, path, spec, p, sequence);
    e.file.n_equality = (uint32_t)n;
    e.file.equality_ids = (int32_t *)ids;
    return e;
}

static void bounds(ib_manifest_entry *e, int32_t id, type t, const datum *lo, const datum *hi)
{
    ib_column_stats *s = ARENA_NEW(&mem_, ib_column_stats);
    *s = (ib_column_stats){.field_id = id, .size_bytes = -1, .value_count = 100, .null_count = 0, .nan_count = -1, .has_lower = true, .has_upper = true};
    OK(ib_bound_encode(lo, &mem_, &s->lower, err));
    OK(ib_bound_encode(hi, &mem_, &s->upper, err));
    e->file.stats = s;
    e->file.n_stats = 1;
    (void)t;
}

static void long_bounds(ib_manifest_entry *e, int32_t id, int64_t lo, int64_t hi)
{
    const datum a = {.t = TYPE(T_INT64), .i64 = lo}, b = {.t = TYPE(T_INT64), .i64 = hi};
    bounds(e, id, TYPE(T_INT64), &a, &b);
}

static void path_bounds(ib_manifest_entry *e, const char *lo, const char *hi)
{
    const datum a = {.t = TYPE(T_STRING), .s = text("%s/%s", root, lo)}, b = {.t = TYPE(T_STRING), .s = text("%s/%s", root, hi)};
    bounds(e, 2147483546, TYPE(T_STRING), &a, &b);
}

/* Writes the manifests (one per content and spec) and the list; plans. */
static ib_scan *plan(const ib_metadata *md, const ib_pred *pred, int n, const ib_manifest_entry *all)
{
    ib_manifest_file files[6];
    uint32_t n_files = 0;
    for (int deletes = 0; deletes < 2; deletes++)
        for (int spec = 0; spec < 2; spec++) {
            ib_manifest_entry some[16];
            uint32_t k = 0;
            for (int i = 0; i < n; i++)
                if ((all[i].file.content != IB_DATA) == deletes && all[i].file.spec_id == spec)
                    some[k++] = all[i];
            if (!k)
                continue;
            str path = text("%s/m%d%d.avro", root, deletes, spec);
            unlink(path.p);
            OK(ib_manifest_write(NULL, path.p, NULL, ib_current_schema(md), ib_spec_by_id(md, spec), deletes ? IB_POSITION_DELETES : IB_DATA, 7, k, some,
                                 &mem_, &files[n_files++], err));
        }
    str list = text("%s/list.avro", root);
    unlink(list.p);
    OK(ib_manifest_list_write(NULL, list.p, NULL, 7, -1, 9, n_files, files, err));
    ib_scan *s;
    OK(ib_plan(md, ib_current_snapshot(md), pred, NULL, NULL, NULL, &s, err));
    return s;
}

/* The names of the delete files that a data file has, in order. */
static const char *deletes_of(const ib_scan *s, const char *name)
{
    static char out[200];
    out[0] = 0;
    for (uint32_t i = 0; i < s->n; i++) {
        if (!str_ends(s->files[i].file->file_path, str_of(name)))
            continue;
        for (uint32_t k = 0; k < s->files[i].n_deletes; k++) {
            str p = s->files[i].deletes[k]->file->file_path;
            snprintf(out + strlen(out), sizeof out - strlen(out), "%s%.*s", k ? " " : "", (int)(p.n - strlen(root) - 1), p.p + strlen(root) + 1);
        }
        return out;
    }
    fail_msg("no file %s in the plan", name);
    return "";
}

static void assigned(void **state)
{
    (void)state;
    static const int32_t one[] = {1}, two[] = {1, 3};
    ib_metadata *md = metadata();
    ib_manifest_entry e[] = {
        entry(IB_DATA, "a1", 1, "a", 1), entry(IB_DATA, "a5", 1, "a", 5), entry(IB_DATA, "b3", 1, "b", 3), entry(IB_DATA, "u3", 0, NULL, 3),
        entry(IB_DATA, "n3", 1, NULL, 3),
        entry(IB_POSITION_DELETES, "pos-a3", 1, "a", 3),   /* a1, not the later a5 */
        entry(IB_POSITION_DELETES, "pos-a5", 1, "a", 5),   /* a1 and a5: of the same commit counts */
        entry(IB_POSITION_DELETES, "pos-u3", 0, NULL, 3),  /* only files of its spec */
        entry(IB_POSITION_DELETES, "pos-b3", 1, "a", 9),   /* names the file b3, whatever its own partition */
        entry(IB_POSITION_DELETES, "pos-n9", 1, NULL, 9),  /* the partition of nulls */
        eq("eq-a5", 1, "a", 5, 1, one),                    /* a1, not a5: a later number is needed */
        eq("eq-all4", 0, NULL, 4, 2, two),                 /* everything before it */
        eq("eq-far", 0, NULL, 9, 1, one),                  /* its bounds rule it out for a1 alone */
    };
    path_bounds(&e[8], "b3", "b3");
    long_bounds(&e[12], 1, 1000, 2000);
    long_bounds(&e[0], 1, 0, 999);
    long_bounds(&e[1], 1, 2000, 5000);
    ib_scan *s = plan(md, NULL, 13, e);
    assert_int_equal(s->n, 5);
    assert_string_equal(deletes_of(s, "a1"), "pos-a3 pos-a5 eq-a5 eq-all4");
    assert_string_equal(deletes_of(s, "a5"), "pos-a5 eq-far");
    assert_string_equal(deletes_of(s, "b3"), "pos-b3 eq-all4 eq-far");
    assert_string_equal(deletes_of(s, "u3"), "pos-u3 eq-all4 eq-far");
    assert_string_equal(deletes_of(s, "n3"), "pos-n9 eq-all4 eq-far");
    assert_int_equal(s->n_deletes, 8);
    ib_scan_free(s);
    /* a filter on the partition prunes data and deletes alike */
    const datum b = {.t = TYPE(T_STRING), .s = STR("b")};
    s = plan(md, ib_pred_cmp(&mem_, IB_PRED_EQ, 2, &b), 13, e);
    assert_int_equal(s->n, 2); /* b3, and u3 of which nothing is known */
    assert_string_equal(deletes_of(s, "b3"), "eq-all4 eq-far");
    ib_scan_free(s);
    int64_t rows;
    bool known;
    OK(ib_count_rows(md, ib_current_snapshot(md), NULL, NULL, &rows, &known, err));
    assert_false(known);
    ib_metadata_unref(md);
}

/* ---- reading them ---- */

static batch *rows_of(uint32_t ncols, const type *types, uint32_t n)
{
    batch *b = arena_zalloc(&mem_, sizeof *b);
    batch_init(b, NULL);
    OK(batch_columns(b, ncols, err));
    b->nrows = b->nsel = n;
    for (uint32_t i = 0; i < ncols; i++)
        OK(vec_alloc(&b->cols[i], types[i], n, &b->mem, err));
    return b;
}

static void write_parquet(const char *name, const row_schema *schema, batch *b)
{
    str path = text("%s/%s", root, name);
    io_writer *w;
    pq_write_options o;
    pq_writer *pw;
    pq_write_result res;
    unlink(path.p);
    pq_write_options_default(&o);
    OK(io_create(NULL, path.p, NULL, &w, err));
    OK(pq_writer_open(w, schema, &o, NULL, 0, NULL, NULL, &pw, err));
    OK(pq_writer_append(pw, b, err));
    OK(pq_writer_finish(pw, &mem_, &res, err));
    batch_free(b);
}

/* Position deletes: names of data files and positions. */
static void write_positions(const char *name, uint32_t n, const char *const *files, const int64_t *pos)
{
    column_def cols[] = {{STR("file_path"), TYPE(T_STRING), true, 2147483546}, {STR("pos"), TYPE(T_INT64), true, 2147483545}};
    const row_schema schema = {2, cols};
    const type types[] = {TYPE(T_STRING), TYPE(T_INT64)};
    batch *b = rows_of(2, types, n);
    for (uint32_t i = 0; i < n; i++) {
        str p = text("%s/%s", root, files[i]);
        ((strview *)b->cols[0].data)[i] = strview_make(p.p, (uint32_t)p.n);
        ((int64_t *)b->cols[1].data)[i] = pos[i];
    }
    write_parquet(name, &schema, b);
}

static void write_longs(const char *name, int32_t id, type t, uint32_t n, const int64_t *values, int null_at)
{
    column_def cols[] = {{STR("c"), t, false, id}};
    const row_schema schema = {1, cols};
    batch *b = rows_of(1, &t, n);
    for (uint32_t i = 0; i < n; i++)
        if (t.id == T_INT32)
            ((int32_t *)b->cols[0].data)[i] = (int32_t)values[i];
        else
            ((int64_t *)b->cols[0].data)[i] = values[i];
    if (null_at >= 0) {
        b->cols[0].valid = bitmap_alloc(&b->mem, n, true);
        bit_clear(b->cols[0].valid, (size_t)null_at);
    }
    write_parquet(name, &schema, b);
}

static void positions_applied(void **state)
{
    (void)state;
    ib_metadata *md = metadata();
    ib_manifest_entry e[] = {entry(IB_DATA, "f", 0, NULL, 1), entry(IB_DATA, "g", 0, NULL, 2), entry(IB_DATA, "h", 0, NULL, 3),
                             entry(IB_POSITION_DELETES, "d1", 0, NULL, 1), entry(IB_POSITION_DELETES, "d2", 0, NULL, 3)};
    e[0].file.record_count = 20000; /* f: sorted array; h: bitmap */
    static const char *const names1[] = {"f", "f", "g", "f", "f"}, *const names2[] = {"f", "h", "h", "h", "h", "h", "other"};
    static const int64_t pos1[] = {9000, 0, 3, 19999, 30000}, pos2[] = {0, 0, 1, 2, 64, 99, 5};
    write_positions("d1", 5, names1, pos1); /* unordered; g is newer than this; one behind f's end */
    write_positions("d2", 7, names2, pos2);
    ib_scan *s = plan(md, NULL, 5, e);
    ib_deletes *d;
    const ib_file_deletes *x;
    uint32_t n;
    static uint16_t sel[BATCH_ROWS];
    OK(ib_deletes_new(s, md, NULL, &d, err));
    assert_non_null(d);
    ib_deletes_keys(d, &n);
    assert_int_equal(n, 0);
    OK(ib_deletes_file(d, 0, &x, err));
    assert_non_null(x);
    assert_false(file_deletes_compares(x));
    assert_int_equal(file_deletes_positions(x, 0, 8192, sel), 8191);
    assert_int_equal(sel[0], 1);
    assert_int_equal(sel[8190], 8191);
    assert_int_equal(file_deletes_positions(x, 8192, 8192, sel), 8191);
    assert_int_equal(sel[807], 807);
    assert_int_equal(sel[808], 809); /* row 9000 */
    assert_int_equal(file_deletes_positions(x, 10000, 5000, sel), 5000);
    assert_int_equal(file_deletes_positions(x, 19990, 10, sel), 9);
    OK(ib_deletes_file(d, 1, &x, err)); /* d2 is for it, but names none of its rows */
    assert_null(x);
    OK(ib_deletes_file(d, 2, &x, err));
    assert_int_equal(file_deletes_positions(x, 0, 100, sel), 95);
    assert_int_equal(sel[0], 3);
    assert_int_equal(file_deletes_positions(x, 60, 10, sel), 9);
    assert_int_equal(sel[4], 5); /* row 64 */
    ib_deletes_free(d);
    ib_scan_free(s);
    /* a row's position below 0, and a file that isn't there */
    static const int64_t below[] = {-1};
    write_positions("d2", 1, names1, below);
    s = plan(md, NULL, 5, e);
    OK(ib_deletes_new(s, md, NULL, &d, err));
    assert_int_equal(ib_deletes_file(d, 0, &x, err), FZ_DATA);
    assert_int_equal(ib_deletes_file(d, 0, &x, err), FZ_DATA); /* and again the same */
    assert_non_null(strstr(err->where, "/d2"));
    ib_deletes_free(d);
    unlink(text("%s/d2", root).p);
    OK(ib_deletes_new(s, md, NULL, &d, err));
    assert_int_equal(ib_deletes_file(d, 0, &x, err), FZ_NOT_FOUND);
    assert_non_null(strstr(err->where, "/d2"));
    ib_deletes_free(d);
    ib_scan_free(s);
    ib_metadata_unref(md);
}

static void equality_applied(void **state)
{
    (void)state;
    static const int32_t one[] = {1}, old[] = {4};
    static const int64_t early[] = {3, 5, 0}, late[] = {5, 7}, dropped[] = {2};
    ib_metadata *md = metadata();
    ib_manifest_entry e[] = {entry(IB_DATA, "f1", 0, NULL, 1), entry(IB_DATA, "f3", 0, NULL, 3), eq("e2", 0, NULL, 2, 1, one),
                             eq("e4", 0, NULL, 4, 1, one), eq("e5", 0, NULL, 5, 1, old)};
    write_longs("e2", 1, TYPE(T_INT32), 3, early, 2); /* written before id was promoted; the third is null */
    write_longs("e4", 1, TYPE(T_INT64), 2, late, -1);
    write_longs("e5", 4, TYPE(T_INT32), 1, dropped, -1); /* a column that was dropped */
    ib_scan *s = plan(md, NULL, 5, e);
    ib_deletes *d;
    const ib_file_deletes *x[2];
    uint32_t n;
    OK(ib_deletes_new(s, md, NULL, &d, err));
    const ib_delete_key *keys = ib_deletes_keys(d, &n);
    assert_int_equal(n, 2);
    uint32_t id = keys[0].field_id == 1 ? 0 : 1;
    assert_int_equal(keys[id].col.t.id, T_INT64);
    assert_int_equal(keys[!id].field_id, 4);
    const type types[] = {TYPE(T_INT64), TYPE(T_INT32)};
    batch *b = rows_of(2, types, 9);
    for (int i = 0; i < 9; i++) {
        ((int64_t *)b->cols[0].data)[i] = i;
        ((int32_t *)b->cols[1].data)[i] = i == 6 ? 2 : 0;
    }
    b->cols[0].valid = bitmap_alloc(&b->mem, 9, true);
    bit_clear(b->cols[0].valid, 8);
    const vec *v[2];
    v[id] = &b->cols[0];
    v[!id] = &b->cols[1];
    for (int f = 0; f < 2; f++) {
        OK(ib_deletes_file(d, (uint32_t)f, &x[f], err));
        assert_true(file_deletes_compares(x[f]) && file_deletes_uses(x[f], 0) && file_deletes_uses(x[f], 1));
    }
    uint16_t sel[9];
    static const uint16_t gone1[] = {0, 1, 2, 4}, gone3[] = {0, 1, 2, 3, 4, 8}, some[] = {2, 3, 5, 6}, left[] = {2, 3};
    OK(file_deletes_equality(x[0], v, 9, NULL, sel, &n, NULL, err)); /* 3, 5, 7, the null, and 6 by the dropped column */
    assert_int_equal(n, 4);
    assert_memory_equal(sel, gone1, sizeof gone1);
    OK(file_deletes_equality(x[1], v, 9, NULL, sel, &n, NULL, err)); /* newer than e2: 5, 7, and 6 */
    assert_int_equal(n, 6);
    assert_memory_equal(sel, gone3, sizeof gone3);
    memcpy(sel, some, sizeof some);
    OK(file_deletes_equality(x[1], v, 4, sel, sel, &n, NULL, err));
    assert_int_equal(n, 2);
    assert_memory_equal(sel, left, sizeof left);
    batch_free(b);
    ib_deletes_free(d);
    ib_scan_free(s);
    ib_metadata_unref(md);
}

/* A member of a struct; floats by their bits, NaN equal to itself. */
static void keys_of_kinds(void **state)
{
    (void)state;
    static const int32_t k[] = {6}, x_id[] = {3}, none[] = {77};
    ib_metadata *md = metadata();
    ib_manifest_entry e[] = {entry(IB_DATA, "f", 0, NULL, 1), eq("ek", 0, NULL, 2, 1, k), eq("ex", 0, NULL, 2, 1, x_id)};
    column_def col = {STR("x"), TYPE(T_FLOAT64), false, 3};
    const row_schema schema = {1, &col};
    batch *b = rows_of(1, &col.t, 2);
    ((double *)b->cols[0].data)[0] = NAN;
    ((double *)b->cols[0].data)[1] = 0.0;
    write_parquet("ex", &schema, b);
    /* ek: a struct st with k */
    struct { type_fields head; type_field f[1]; } st = {{1}, {{STR("k"), 6, false, TYPE(T_INT64)}}};
    column_def sc = {STR("st"), {.id = T_STRUCT, .children = &st.head}, false, 5};
    const row_schema ss = {1, &sc};
    b = arena_zalloc(&mem_, sizeof *b);
    batch_init(b, NULL);
    OK(batch_columns(b, 1, err));
    b->nrows = b->nsel = 2;
    b->cols[0] = (vec){.t = sc.t, .enc = VEC_FLAT, .len = 2, .kids = arena_zalloc(&b->mem, sizeof(vec))};
    OK(vec_alloc(&b->cols[0].kids[0], TYPE(T_INT64), 2, &b->mem, err));
    ((int64_t *)b->cols[0].kids[0].data)[0] = 40;
    ((int64_t *)b->cols[0].kids[0].data)[1] = 41;
    write_parquet("ek", &ss, b);
    ib_scan *s = plan(md, NULL, 3, e);
    ib_deletes *d;
    const ib_file_deletes *f;
    uint32_t n;
    OK(ib_deletes_new(s, md, NULL, &d, err));
    const ib_delete_key *keys = ib_deletes_keys(d, &n);
    assert_int_equal(n, 2);
    uint32_t ik = keys[0].field_id == 6 ? 0 : 1;
    assert_int_equal(keys[ik].depth, 1);
    assert_int_equal(keys[ik].col.field_id, 5);
    assert_int_equal(keys[ik].col.t.children->n, 1);
    OK(ib_deletes_file(d, 0, &f, err));
    b = rows_of(1, &col.t, 4);
    static const double xs[] = {1, -NAN, 0.0, -0.0};
    memcpy(b->cols[0].data, xs, sizeof xs);
    vec kid, top = {.t = keys[ik].col.t, .enc = VEC_FLAT, .len = 4, .kids = &kid};
    OK(vec_alloc(&kid, TYPE(T_INT64), 4, &b->mem, err));
    static const int64_t ks[] = {41, 1, 2, 40};
    memcpy(kid.data, ks, sizeof ks);
    top.valid = bitmap_alloc(&b->mem, 4, true);
    bit_clear(top.valid, 3); /* the struct is null: so is k */
    const vec *v[2];
    v[ik] = &top;
    v[!ik] = &b->cols[0];
    uint16_t sel[4];
    OK(file_deletes_equality(f, v, 4, NULL, sel, &n, NULL, err));
    assert_int_equal(n, 1);
    assert_int_equal(sel[0], 3);
    batch_free(b);
    ib_deletes_free(d);
    ib_scan_free(s);
    ib_manifest_entry bad[] = {entry(IB_DATA, "f", 0, NULL, 1), eq("ek", 0, NULL, 2, 1, none)};
    s = plan(md, NULL, 2, bad);
    assert_int_equal(ib_deletes_new(s, md, NULL, &d, err), FZ_DATA);
    ib_scan_free(s);
    ib_metadata_unref(md);
}

/* ---- name mapping ---- */

static void mapped(void **state)
{
    (void)state;
    ib_mapping *m;
    OK(ib_mapping_parse(STR("[{\"field-id\":1,\"names\":[\"id\",\"record_id\"]},{\"field-id\":2,\"names\":[\"st\"],\"fields\":["
                            "{\"field-id\":7,\"names\":[\"k\"]},{\"names\":[\"k\\u00e9\"]}]},{\"field-id\":3,\"names\":[\"l\"],\"fields\":["
                            "{\"field-id\":4,\"names\":[\"element\"]}]}]"), &mem_, &m, err));
    assert_int_equal(m->n, 3);
    assert_int_equal(m->fields[0].n_names, 2);
    assert_int_equal(m->fields[1].kids->n, 2);
    assert_int_equal(m->fields[1].kids->fields[1].field_id, -1);
    struct { type_fields head; type_field f[1]; } st = {{1}, {{STR("k"), -1, false, TYPE(T_INT64)}}},
                                                  el = {{1}, {{STR("element"), -1, false, TYPE(T_INT64)}}};
    column_def cols[] = {{STR("other"), TYPE(T_INT64), false, -1}, {STR("record_id"), TYPE(T_INT64), false, -1},
                         {STR("st"), {.id = T_STRUCT, .children = &st.head}, false, -1}, {STR("l"), {.id = T_LIST, .children = &el.head}, false, -1}};
    const row_schema schema = {4, cols};
    batch *b = arena_zalloc(&mem_, sizeof *b);
    batch_init(b, NULL);
    OK(batch_columns(b, 4, err));
    b->nrows = b->nsel = 1;
    for (int i = 0; i < 4; i++) {
        datum null = DATUM_NULL(cols[i].t);
        OK(vec_const(&b->cols[i], &null, 1, &b->mem, err));
    }
    write_parquet("noids", &schema, b);
    io_file *f;
    pq_file *p;
    const pq_match *how;
    OK(io_open(NULL, text("%s/noids", root).p, NULL, &f, err));
    OK(pq_open(f, NULL, &p, err));
    OK(ib_match_parquet(m, p, &mem_, &how, err));
    assert_non_null(how);
    assert_int_equal(pq_find_field(p, how, 1), 1);
    assert_int_equal(pq_find_field(p, how, 2), 2);
    assert_int_equal(pq_find_field(p, how, 3), 3);
    assert_int_equal(pq_find_leaf(p, how, 7), 2);
    OK(ib_match_parquet(NULL, p, &mem_, &how, err)); /* without a mapping: by position, nothing below columns */
    for (int i = 0; i < 4; i++)
        assert_int_equal(pq_find_field(p, how, i + 1), i);
    assert_int_equal(pq_find_leaf(p, how, 7), -1);
    pq_close(p);
    io_close(f);
    assert_int_equal(ib_mapping_parse(STR("{}"), &mem_, &m, err), FZ_DATA);
    assert_int_equal(ib_mapping_parse(STR("[{\"field-id\":\"x\"}]"), &mem_, &m, err), FZ_DATA);
    assert_int_equal(ib_mapping_parse(STR("[{\"names\":[1]}]"), &mem_, &m, err), FZ_DATA);
    assert_int_equal(ib_mapping_parse(STR("[{\"names\":["), &mem_, &m, err), FZ_DATA);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(assigned, start, finish),
        cmocka_unit_test_setup_teardown(positions_applied, start, finish),
        cmocka_unit_test_setup_teardown(equality_applied, start, finish),
        cmocka_unit_test_setup_teardown(keys_of_kinds, start, finish),
        cmocka_unit_test_setup_teardown(mapped, start, finish),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
