/* The Arrow C data interface: what goes out comes back, and what is wrong is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "arrow/bridge.h"

#include <math.h>
#include <stdlib.h>

#define ROWS 100

static const column_def defs[] = {
    {.name = STR("b"), .t = TYPE(T_BOOL)},
    {.name = STR("i"), .t = TYPE(T_INT32), .not_null = true},
    {.name = STR("l"), .t = TYPE(T_INT64)},
    {.name = STR("f"), .t = TYPE(T_FLOAT32)},
    {.name = STR("g"), .t = TYPE(T_FLOAT64)},
    {.name = STR("d9"), .t = TYPE_DECIMAL(9, 2)},
    {.name = STR("d30"), .t = TYPE_DECIMAL(30, 10)},
    {.name = STR("day"), .t = TYPE(T_DATE)},
    {.name = STR("time"), .t = TYPE(T_TIME)},
    {.name = STR("ts"), .t = TYPE(T_TIMESTAMP)},
    {.name = STR("tz"), .t = TYPE(T_TIMESTAMPTZ)},
    {.name = STR("text \xc3\xa9"), .t = TYPE(T_STRING)},
    {.name = STR("bin"), .t = TYPE(T_BINARY)},
    {.name = STR("uuid"), .t = TYPE(T_UUID)},
    {.name = STR("fix"), .t = {.id = T_FIXED, .width = 3}},
};
enum { NCOLS = sizeof defs / sizeof defs[0] };
static const row_schema schema = {NCOLS, (column_def *)defs};

static datum cell(uint32_t col, uint32_t row)
{
    static char bytes[ROWS + 40];
    memset(bytes, 'q', sizeof bytes);
    type t = defs[col].t;
    datum d = DATUM_NULL(t);
    if (!defs[col].not_null && (row + col) % 4 == 1)
        return d;
    d.null = false;
    switch (type_phys(t)) {
    case PHYS_U8: d.b = row % 3 == 0; break;
    case PHYS_I32: d.i32 = (int32_t)row * 1001 - 50000; break;
    case PHYS_I64: d.i64 = ((int64_t)row - 50) * 1234567; break;
    case PHYS_I128: d.i128v = ((i128)row - 50) * ((i128)1 << 80); break;
    case PHYS_F32: d.f32 = (float)row / 3; break;
    case PHYS_F64: d.f64 = row == 7 ? (double)NAN : row / 7.0; break;
    case PHYS_STR:
        d.s = (str){bytes + row, t.id == T_UUID ? 16 : t.id == T_FIXED ? 3 : row % 25};
        break;
    default: break;
    }
    return d;
}

static void store(vec *v, uint32_t i, datum d)
{
    switch (type_phys(v->t)) {
    case PHYS_U8: ((uint8_t *)v->data)[i] = d.b; break;
    case PHYS_I32: ((int32_t *)v->data)[i] = d.i32; break;
    case PHYS_I64: ((int64_t *)v->data)[i] = d.i64; break;
    case PHYS_I128: ((i128 *)v->data)[i] = d.i128v; break;
    case PHYS_F32: ((float *)v->data)[i] = d.f32; break;
    case PHYS_F64: ((double *)v->data)[i] = d.f64; break;
    case PHYS_STR: ((strview *)v->data)[i] = strview_make(d.s.p, (uint32_t)d.s.n); break;
    default: break;
    }
}

static void fill(batch *b)
{
    assert_int_equal(batch_columns(b, NCOLS, NULL), FZ_OK);
    b->nrows = b->nsel = ROWS;
    for (uint32_t c = 0; c < NCOLS; c++) {
        vec *v = &b->cols[c];
        vec_alloc(v, defs[c].t, ROWS, &b->mem, NULL);
        v->valid = bitmap_alloc(&b->mem, ROWS, true);
        for (uint32_t i = 0; i < ROWS; i++) {
            datum d = cell(c, i);
            if (d.null) {
                bit_clear(v->valid, i);
                memset((char *)v->data + (size_t)i * phys_size(type_phys(d.t)), 0, phys_size(type_phys(d.t)));
            } else {
                store(v, i, d);
            }
        }
    }
}

static void what_goes_out_comes_back(void **state)
{
    mem m;
    mem_init(&m, NULL, NULL, 0);
    uint16_t sel[33];
    for (uint32_t i = 0; i < 33; i++)
        sel[i] = (uint16_t)(i * 3);
    for (int select = 0; select < 2; select++) {
        batch src, dst;
        struct ArrowSchema s;
        struct ArrowArray a;
        arena names;
        row_schema back;
        fz_error e;
        batch_init(&src, &m);
        batch_init(&dst, &m);
        arena_init(&names, &m);
        fill(&src);
        if (select) {
            src.sel = sel;
            src.nsel = 33;
        }
        assert_int_equal(bridge_export_schema(&schema, &s, &e), FZ_OK);
        assert_int_equal(bridge_export_batch(&schema, &src, &m, &a, &e), FZ_OK);
        batch_free(&src); /* the array stands alone */
        static const char *const formats[] = {"b", "i", "l", "f", "g", "d:9,2", "d:30,10", "tdD", "ttu", "tsu:", "tsu:UTC", "u", "z", "w:16", "w:3"};
        assert_string_equal(s.format, "+s");
        for (int i = 0; i < NCOLS; i++)
            assert_string_equal(s.children[i]->format, formats[i]);
        assert_int_equal(s.children[1]->flags, 0);
        assert_int_equal(s.children[2]->flags, ARROW_FLAG_NULLABLE);
        assert_int_equal(a.children[1]->null_count, 0);
        assert_null(a.children[1]->buffers[0]);
        assert_int_equal(bridge_import_schema(&s, &names, &back, &e), FZ_OK);
        assert_int_equal(back.n, NCOLS);
        int64_t length = a.length;
        if (bridge_import_rows(&s, &back, &a, &dst, &e) != FZ_OK)
            fail_msg("%s", e.message);
        assert_null(a.release);
        assert_true(dst.stable);
        assert_int_equal(dst.nrows, length);
        assert_int_equal(length, select ? 33 : ROWS);
        for (uint32_t c = 0; c < NCOLS; c++) {
            assert_true(type_eq(back.cols[c].t, defs[c].t));
            assert_true(str_eq(back.cols[c].name, defs[c].name));
            assert_int_equal(back.cols[c].not_null, defs[c].not_null);
            for (uint32_t i = 0; i < dst.nrows; i++) {
                datum got = vec_datum(&dst.cols[c], i), want = cell(c, select ? sel[i] : i);
                if (!datum_eq(&got, &want))
                    fail_msg("column %u row %u", c, i);
            }
        }
        s.release(&s);
        assert_null(s.release);
        batch_free(&dst);
        arena_free(&names);
        assert_int_equal(m.used, 0);
    }
}

/* A batch whose columns are each the cell of one row, in `n` rows. */
static void fill_constant(batch *b, uint32_t row, uint32_t n)
{
    batch_reset(b);
    assert_int_equal(batch_columns(b, NCOLS, NULL), FZ_OK);
    b->nrows = b->nsel = n;
    for (uint32_t c = 0; c < NCOLS; c++) {
        datum d = cell(c, row);
        assert_int_equal(vec_const(&b->cols[c], &d, n, &b->mem, NULL), FZ_OK);
    }
}

static void constants_come_back(struct ArrowArray *a, uint32_t row, uint32_t n, mem *m)
{
    struct ArrowSchema s;
    arena names;
    row_schema back;
    batch dst;
    fz_error e;
    batch_init(&dst, m);
    arena_init(&names, m);
    assert_int_equal(bridge_export_schema(&schema, &s, &e), FZ_OK);
    assert_int_equal(bridge_import_schema(&s, &names, &back, &e), FZ_OK);
    if (bridge_import_rows(&s, &back, a, &dst, &e) != FZ_OK)
        fail_msg("%s", e.message);
    assert_int_equal(dst.nrows, n);
    for (uint32_t c = 0; c < NCOLS; c++)
        for (uint32_t i = 0; i < n; i++) {
            datum got = vec_datum(&dst.cols[c], i), want = cell(c, row);
            if (!datum_eq(&got, &want))
                fail_msg("column %u row %u", c, i);
        }
    s.release(&s);
    batch_free(&dst);
    arena_free(&names);
}

/* Constant columns that stay the same lie in memory once, also when the arrays have different numbers of rows. */
static void constants_are_shared(void **state)
{
    enum { N = 40 };
    mem m;
    mem_init(&m, NULL, NULL, 0);
    static const uint32_t row[N] = {5, 5, 5, 6, 6, 5, 0, 1, 2, 3, 4, 7, 5, 6}, n[N] = {700, 700, 1, 90, 900, 699, 1, 2, 3, 4, 5, 6, 70, 80};
    struct ArrowArray a[N];
    uint16_t sel[2] = {3, 6};
    bridge_shared *x = bridge_shared_new(NCOLS);
    batch src;
    fz_error e;
    assert_non_null(x);
    batch_init(&src, &m);
    for (int i = 0; i < 14; i++) {
        fill_constant(&src, row[i], n[i]);
        if (i == 13) {
            src.sel = sel;
            src.nsel = 2;
        }
        assert_int_equal(bridge_export_shared(&schema, &src, &m, x, &a[i], &e), FZ_OK);
    }
    batch_free(&src);
    bridge_shared_free(x); /* arrays outlive it */
    for (int c = 0; c < NCOLS; c++) {
        assert_ptr_equal(a[0].children[c]->buffers[1], a[1].children[c]->buffers[1]);
        assert_ptr_equal(a[0].children[c]->buffers[1], a[2].children[c]->buffers[1]);
        assert_ptr_equal(a[0].children[c]->buffers[1], a[5].children[c]->buffers[1]);
        assert_ptr_not_equal(a[3].children[c]->buffers[1], a[4].children[c]->buffers[1]); /* too few rows */
    }
    for (int i = 0; i < 14; i++)
        constants_come_back(&a[(i + 5) % 14], row[(i + 5) % 14], (i + 5) % 14 == 13 ? 2 : n[(i + 5) % 14], &m);
    assert_int_equal(m.used, 0);
}

/* A consumer may take a child and release the parent first. */
static void children_can_be_moved_out(void **state)
{
    mem m;
    mem_init(&m, NULL, NULL, 0);
    batch src;
    struct ArrowSchema s, field;
    struct ArrowArray a, column;
    batch_init(&src, &m);
    fill(&src);
    assert_int_equal(bridge_export_schema(&schema, &s, NULL), FZ_OK);
    assert_int_equal(bridge_export_batch(&schema, &src, &m, &a, NULL), FZ_OK);
    batch_free(&src);
    field = *s.children[2];
    s.children[2]->release = NULL;
    s.release(&s);
    assert_string_equal(field.format, "l");
    assert_string_equal(field.name, "l");
    field.release(&field);
    column = *a.children[2];
    a.children[2]->release = NULL;
    a.release(&a);
    datum want = cell(2, 98);
    assert_int_equal(((const int64_t *)column.buffers[1])[98], want.i64);
    assert_int_equal(m.used, 0); /* what was handed out is on nobody's account: it may outlive the runtime */
    column.release(&column);
    assert_int_equal(m.used, 0);
}

/* ---- arrays of others, made by hand ---- */

static int releases;
static void release_array(struct ArrowArray *a)
{
    releases++;
    a->release = NULL;
}
static void release_schema(struct ArrowSchema *s) { s->release = NULL; }

/* One column "c" of some format over the given buffers, imported. */
typedef struct foreign {
    struct ArrowSchema top, col, dict_s, *kids[1];
    struct ArrowArray rows, a, dict, *akids[1];
    const void *none[1];
} foreign;

static void foreign_make(foreign *f, const char *format, int64_t length, int64_t nbuf, const void **buffers)
{
    memset(f, 0, sizeof *f);
    f->kids[0] = &f->col;
    f->akids[0] = &f->a;
    f->top = (struct ArrowSchema){.format = "+s", .n_children = 1, .children = f->kids, .release = release_schema};
    f->col = (struct ArrowSchema){.format = format, .name = "c", .flags = ARROW_FLAG_NULLABLE, .release = release_schema};
    f->rows = (struct ArrowArray){.length = length, .n_buffers = 1, .buffers = f->none, .n_children = 1, .children = f->akids, .release = release_array};
    f->a = (struct ArrowArray){.length = length, .null_count = -1, .n_buffers = nbuf, .buffers = buffers, .release = release_array};
}

static arena types; /* of the last import */
static int types_free(void **state)
{
    arena_free(&types);
    return 0;
}

static fz_status foreign_import(foreign *f, batch *b, fz_error *e)
{
    row_schema back;
    arena_free(&types);
    arena_init(&types, NULL);
    fz_status st = bridge_import_schema(&f->top, &types, &back, e);
    if (st != FZ_OK)
        return st;
    batch_reset(b); /* gives an earlier array back */
    releases = 0;
    st = bridge_import_rows(&f->top, &back, &f->rows, b, e);
    assert_null(f->rows.release);
    assert_int_equal(releases, st == FZ_OK ? 0 : 1); /* refused: given back at once */
    return st;
}

static void check_text(const batch *b, uint32_t row, const char *expect)
{
    sbuf t;
    sbuf_init(&t, NULL);
    datum d = vec_datum(&b->cols[0], row);
    sbuf_addc(&t, '>');
    datum_text(&d, &t);
    if (d.null)
        sbuf_addz(&t, "NULL");
    assert_string_equal(t.p + 1, expect);
    sbuf_free(&t);
}

static void check_column(const char *format, const void *data, const void *valid, int64_t n, const char *const *expect)
{
    foreign f;
    batch b;
    fz_error e;
    const void *buffers[2] = {valid, data};
    batch_init(&b, NULL);
    foreign_make(&f, format, n, 2, buffers);
    if (foreign_import(&f, &b, &e) != FZ_OK)
        fail_msg("%s", e.message);
    for (uint32_t i = 0; i < n; i++)
        check_text(&b, i, expect[i]);
    /* the same rows but the first, by either offset */
    for (int which = 0; which < 2; which++) {
        foreign_make(&f, format, n, 2, buffers);
        f.rows.length = n - 1;
        *(which ? &f.rows.offset : &f.a.offset) = 1;
        f.a.length = which ? n : n - 1;
        assert_int_equal(foreign_import(&f, &b, &e), FZ_OK);
        assert_int_equal(b.nrows, n - 1);
        for (uint32_t i = 0; i + 1 < n; i++)
            check_text(&b, i, expect[i + 1]);
    }
    batch_free(&b);
}
#define COLUMN(FORMAT, DATA, ...) \
    check_column(FORMAT, DATA, NULL, sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *), (const char *[]){__VA_ARGS__})

static void other_layouts_are_converted(void **state)
{
    COLUMN("c", ((int8_t[]){-128, 0, 127}), "-128", "0", "127");
    COLUMN("C", ((uint8_t[]){0, 200, 255}), "0", "200", "255");
    COLUMN("s", ((int16_t[]){-32768, 5}), "-32768", "5");
    COLUMN("S", ((uint16_t[]){65535, 5}), "65535", "5");
    COLUMN("I", ((uint32_t[]){4294967295u, 5}), "4294967295", "5");
    COLUMN("L", ((uint64_t[]){18446744073709551615u, 5}), "18446744073709551615", "5");
    COLUMN("e", ((uint16_t[]){0x3c00, 0xc000, 0x7bff, 0x0001, 0x7c00, 0x7e00, 0x8000}), "1", "-2", "65504", "5.9604645e-08", "Infinity", "NaN", "-0");
    COLUMN("tdm", ((int64_t[]){86400000, -86400000}), "1970-01-02", "1969-12-31");
    COLUMN("tss:", ((int64_t[]){1600000000, -1}), "2020-09-13 12:26:40", "1969-12-31 23:59:59");
    COLUMN("tsm:Asia/Tokyo", ((int64_t[]){1600000000123, 0}), "2020-09-13 12:26:40.123+00", "1970-01-01 00:00:00+00");
    COLUMN("tsn:", ((int64_t[]){1600000000123456000, -1000}), "2020-09-13 12:26:40.123456", "1969-12-31 23:59:59.999999");
    COLUMN("tts", ((int32_t[]){3600, 1}), "01:00:00", "00:00:01");
    COLUMN("ttn", ((int64_t[]){3600000000000, 1000}), "01:00:00", "00:00:00.000001");
    COLUMN("d:5,2,32", ((int32_t[]){12345, -1}), "123.45", "-0.01");
    COLUMN("d:15,2,64", ((int64_t[]){12345, -1}), "123.45", "-0.01");
    COLUMN("d:15,2", ((i128[]){12345, -1}), "123.45", "-0.01");
    COLUMN("d:38,0", ((i128[]){(i128)1 << 64, -1}), "18446744073709551616", "-1");
    COLUMN("w:2", "abcd", "\\x6162", "\\x6364");
    COLUMN("b", "\x05", "true", "false", "true");
    uint8_t raw[40] = {0}; /* values that aren't aligned */
    int64_t v[3] = {7, -8, 1ll << 60};
    memcpy(raw + 3, v, sizeof v);
    COLUMN("l", raw + 3, "7", "-8", "1152921504606846976");
    check_column("s", (int16_t[]){1, 2, 3, 4}, "\x0d", 4, (const char *[]){"1", "NULL", "3", "4"});
}

static void text_layouts_are_converted(void **state)
{
    foreign f;
    batch b;
    fz_error e;
    batch_init(&b, NULL);
    static const char bytes[] = "oneeleven bytes and moretwo";
    int32_t o32[] = {0, 3, 3, 24, 27};
    int64_t o64[] = {0, 3, 3, 24, 27};
    for (int large = 0; large < 2; large++) {
        const void *buffers[3] = {"\x0d", large ? (void *)o64 : o32, bytes};
        foreign_make(&f, large ? "U" : "u", 4, 3, buffers);
        assert_int_equal(foreign_import(&f, &b, &e), FZ_OK);
        check_text(&b, 0, "one");
        check_text(&b, 1, "NULL");
        check_text(&b, 2, "eleven bytes and more");
        check_text(&b, 3, "two");
    }
    struct { int32_t len; char p[4]; int32_t index, offset; } views[3] = {{3, "abc"}, {21, "elev", 1, 3}, {0}};
    int64_t sizes[2] = {1, 27};
    const void *buffers[5] = {NULL, views, "x", bytes, sizes};
    foreign_make(&f, "vu", 3, 5, buffers);
    assert_int_equal(foreign_import(&f, &b, &e), FZ_OK);
    check_text(&b, 0, "abc");
    check_text(&b, 1, "eleven bytes and more");
    check_text(&b, 2, "");
    sizes[1] = 23;
    foreign_make(&f, "vu", 3, 5, buffers);
    assert_int_equal(foreign_import(&f, &b, &e), FZ_DATA);
    sizes[1] = 27;
    views[1].index = 2;
    foreign_make(&f, "vz", 3, 5, buffers);
    assert_int_equal(foreign_import(&f, &b, &e), FZ_DATA);
    batch_free(&b);
}

static void dictionaries_are_kept(void **state)
{
    foreign f;
    batch b;
    fz_error e;
    batch_init(&b, NULL);
    int8_t codes[] = {1, 0, 2, 1, 77};
    int32_t offsets[] = {0, 3, 3, 8};
    const void *cb[2] = {"\x0f", codes}, *db[3] = {NULL, offsets, "onethree"};
    for (int nulls = 0; nulls < 2; nulls++) {
        db[0] = nulls ? "\x05" : NULL; /* the middle value is null */
        foreign_make(&f, "c", 5, 2, cb);
        f.dict_s = (struct ArrowSchema){.format = "u", .release = release_schema};
        f.dict = (struct ArrowArray){.length = 3, .null_count = nulls, .n_buffers = 3, .buffers = db, .release = release_array};
        f.col.dictionary = &f.dict_s;
        f.a.dictionary = &f.dict;
        assert_int_equal(foreign_import(&f, &b, &e), FZ_OK);
        assert_int_equal(b.cols[0].enc, VEC_DICT);
        assert_null(b.cols[0].values->valid);
        check_text(&b, 0, nulls ? "NULL" : "");
        check_text(&b, 1, "one");
        check_text(&b, 2, "three");
        check_text(&b, 4, "NULL"); /* a null row's code may be anything */
    }
    cb[0] = NULL;
    foreign_make(&f, "c", 5, 2, cb);
    f.dict_s = (struct ArrowSchema){.format = "u", .release = release_schema};
    f.dict = (struct ArrowArray){.length = 3, .n_buffers = 3, .buffers = db, .release = release_array};
    f.col.dictionary = &f.dict_s;
    f.a.dictionary = &f.dict;
    assert_int_equal(foreign_import(&f, &b, &e), FZ_DATA);
    assert_string_equal(e.message, "column c: Arrow array with a code past its dictionary");
    batch_free(&b);
}

static void refuse(foreign *f, fz_status want, const char *message)
{
    batch b;
    fz_error e;
    batch_init(&b, NULL);
    assert_int_equal(foreign_import(f, &b, &e), want);
    assert_string_equal(e.message, message);
    assert_int_equal(b.ncols, 0);
    batch_free(&b);
}

static void what_is_wrong_is_refused(void **state)
{
    foreign f;
    static const char *const formats[] = {"+l", "tDs", "tiM", "d:39,2", "d:5,6", "d:5,2,256", "d:x", "w:-1", "tsx:", "ts", "", "?", "vz?", "+r"};
    int64_t two[] = {1, 2};
    const void *buffers[3] = {NULL, two, NULL};
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
        batch b;
        fz_error e;
        batch_init(&b, NULL);
        foreign_make(&f, formats[i], 2, 2, buffers);
        fz_status st = foreign_import(&f, &b, &e);
        assert_true(st == FZ_UNSUPPORTED || st == FZ_DATA);
        batch_free(&b);
    }
    foreign_make(&f, "tDs", 2, 2, buffers);
    refuse(&f, FZ_UNSUPPORTED, "column c: Arrow format 'tDs' isn't supported");
    foreign_make(&f, "l", 2, 3, buffers);
    refuse(&f, FZ_DATA, "column c: Arrow array with a wrong number of buffers");
    foreign_make(&f, "l", 2, 2, (const void *[]){NULL, NULL});
    refuse(&f, FZ_DATA, "column c: Arrow array with a missing buffer");
    foreign_make(&f, "l", 2, 2, NULL);
    refuse(&f, FZ_DATA, "column c: Arrow array with no buffers");
    foreign_make(&f, "l", 2, 2, buffers);
    f.a.length = 1;
    refuse(&f, FZ_DATA, "column c: Arrow array with a length or offset out of range");
    foreign_make(&f, "l", 2, 2, buffers);
    f.a.offset = INT64_MAX - 1;
    refuse(&f, FZ_DATA, "column c: Arrow array with a length or offset out of range");
    foreign_make(&f, "l", 2, 2, buffers);
    f.rows.n_children = 0;
    refuse(&f, FZ_DATA, "an Arrow array of 0 columns for a schema of 1");
    foreign_make(&f, "l", 2, 2, buffers);
    f.rows.length = -1;
    refuse(&f, FZ_DATA, "an Arrow array of -1 rows at 0");
    foreign_make(&f, "l", 2, 2, buffers);
    f.rows.null_count = 1;
    refuse(&f, FZ_UNSUPPORTED, "an Arrow array whose rows themselves are null");
    foreign_make(&f, "l", 2, 2, buffers);
    f.akids[0] = NULL;
    refuse(&f, FZ_DATA, "column c: no Arrow array");
    foreign_make(&f, "tsn:", 2, 2, buffers);
    refuse(&f, FZ_VALUE, "column c: 1 is finer than a microsecond");
    two[0] = INT64_MAX / 1000;
    foreign_make(&f, "tss:", 2, 2, buffers);
    refuse(&f, FZ_VALUE, "column c: a time is out of range");
    buffers[1] = (i128[]){(i128)1 << 70, 1};
    foreign_make(&f, "d:18,2", 2, 2, buffers);
    refuse(&f, FZ_VALUE, "column c: a decimal passes its precision");
    buffers[1] = (int32_t[]){0, 5, 3};
    buffers[2] = "abcdefgh";
    foreign_make(&f, "u", 2, 3, buffers);
    refuse(&f, FZ_DATA, "column c: Arrow array with offsets that don't ascend");
    buffers[1] = (int32_t[]){-1, 5, 6};
    foreign_make(&f, "u", 2, 3, buffers);
    refuse(&f, FZ_DATA, "column c: Arrow array with a negative offset");
    buffers[1] = (int32_t[]){0, 1, 3};
    buffers[2] = "a\xff" "b";
    foreign_make(&f, "u", 2, 3, buffers);
    refuse(&f, FZ_DATA, "column c: Arrow array with text that isn't UTF-8");
    buffers[2] = "\xc3\xa9" "b"; /* valid as a whole, cut inside a character */
    foreign_make(&f, "u", 2, 3, buffers);
    refuse(&f, FZ_DATA, "column c: Arrow array with text that isn't UTF-8");
    buffers[0] = "\x02"; /* the same, but the bad value is null: its bytes may be anything */
    buffers[1] = (int32_t[]){0, 2, 3};
    buffers[2] = "\xff\xff" "b";
    foreign_make(&f, "u", 2, 3, buffers);
    batch b;
    batch_init(&b, NULL);
    assert_int_equal(foreign_import(&f, &b, NULL), FZ_OK);
    check_text(&b, 0, "NULL");
    check_text(&b, 1, "b");
    batch_free(&b);
}

static void schemas_are_checked(void **state)
{
    arena a;
    row_schema out;
    fz_error e;
    arena_init(&a, NULL);
    foreign f;
    foreign_make(&f, "l", 1, 2, NULL);
    f.top.format = "l";
    assert_int_equal(bridge_import_schema(&f.top, &a, &out, &e), FZ_INVALID);
    foreign_make(&f, "l", 1, 2, NULL);
    f.top.n_children = -1;
    assert_int_equal(bridge_import_schema(&f.top, &a, &out, &e), FZ_DATA);
    foreign_make(&f, "l", 1, 2, NULL);
    f.col.release = NULL;
    assert_int_equal(bridge_import_schema(&f.top, &a, &out, &e), FZ_DATA);
    foreign_make(&f, "l", 1, 2, NULL);
    f.col.name = "\xff";
    assert_int_equal(bridge_import_schema(&f.top, &a, &out, &e), FZ_DATA);
    foreign_make(&f, "l", 1, 2, NULL);
    f.col.name = NULL;
    assert_int_equal(bridge_import_schema(&f.top, &a, &out, &e), FZ_OK);
    assert_int_equal(out.cols[0].name.n, 0);
    foreign_make(&f, "+l", 1, 2, NULL); /* a list that contains itself: no endless descent */
    struct ArrowSchema *self[1] = {&f.col};
    f.col.n_children = 1;
    f.col.children = self;
    assert_int_equal(bridge_import_schema(&f.top, &a, &out, &e), FZ_UNSUPPORTED);
    struct ArrowSchema item = {.format = "u", .name = "item", .release = release_schema};
    self[0] = &item;
    assert_int_equal(bridge_import_schema(&f.top, &a, &out, &e), FZ_OK);
    assert_int_equal(out.cols[0].t.id, T_LIST);
    assert_true(str_eqz(out.cols[0].t.children->f[0].name, "element"));
    row_schema nested = {1, out.cols};
    struct ArrowSchema s;
    assert_int_equal(bridge_export_schema(&nested, &s, &e), FZ_OK);
    assert_string_equal(s.children[0]->format, "+l");
    assert_string_equal(s.children[0]->children[0]->name, "element");
    assert_int_equal(s.children[0]->children[0]->flags, 0);
    struct ArrowSchema moved = *s.children[0]->children[0]; /* a member outlives what it was in */
    s.children[0]->children[0]->release = NULL;
    s.release(&s);
    assert_string_equal(moved.format, "u");
    moved.release(&moved);
    arena_free(&a);
}

/* A column "c" of lists of int32 (child: length 6, offset 1: 1, NULL, 3, 4, 5, 6), to be spoiled. */
typedef struct lists {
    foreign f;
    struct ArrowSchema item, *fields[1];
    struct ArrowArray child, *arrays[1];
    int32_t offsets[5];
    int64_t large[5];
    const void *buffers[2], *child_buffers[2];
} lists;

static void lists_make(lists *l, const char *format)
{
    static const int32_t values[] = {99, 1, 2, 3, 4, 5, 6};
    static const uint8_t valid[] = {0x7b};
    bool fixed = format[1] == 'w', large = format[1] == 'L';
    foreign_make(&l->f, format, 2, fixed ? 1 : 2, l->buffers);
    memcpy(l->offsets, (int32_t[]){0, 1, 3, 3, 6}, sizeof l->offsets);
    for (int i = 0; i < 5; i++)
        l->large[i] = l->offsets[i];
    l->item = (struct ArrowSchema){.format = "i", .name = "item", .flags = ARROW_FLAG_NULLABLE, .release = release_schema};
    l->child = (struct ArrowArray){.length = 6, .offset = 1, .null_count = -1, .n_buffers = 2, .buffers = l->child_buffers, .release = release_array};
    l->child_buffers[0] = valid;
    l->child_buffers[1] = values;
    l->buffers[0] = NULL;
    l->buffers[1] = large ? (const void *)l->large : l->offsets;
    l->fields[0] = &l->item;
    l->arrays[0] = &l->child;
    l->f.col.n_children = l->f.a.n_children = 1;
    l->f.col.children = l->fields;
    l->f.a.children = l->arrays;
    l->f.a.offset = 1;
}

static void check_nested(const batch *b, const char *const *expect)
{
    for (uint32_t i = 0; i < b->nrows; i++) {
        sbuf t;
        sbuf_init(&t, NULL);
        datum d = vec_datum(&b->cols[0], i);
        datum_text(&d, &t);
        assert_string_equal(t.p ? t.p : "", expect[i]);
        sbuf_free(&t);
    }
}

static void nested_layouts_are_read(void **state)
{
    batch b;
    lists l;
    fz_error e = {0};
    batch_init(&b, NULL);
    lists_make(&l, "+l");
    assert_int_equal(foreign_import(&l.f, &b, &e), FZ_OK);
    check_nested(&b, (const char *[]){"[NULL, 3]", "[]"});
    lists_make(&l, "+L");
    assert_int_equal(foreign_import(&l.f, &b, &e), FZ_OK);
    check_nested(&b, (const char *[]){"[NULL, 3]", "[]"});
    lists_make(&l, "+w:2");
    assert_int_equal(foreign_import(&l.f, &b, &e), FZ_OK);
    check_nested(&b, (const char *[]){"[3, 4]", "[5, 6]"});
    lists_make(&l, "+l"); /* nulls of the lists */
    static const uint8_t second[] = {0x02};
    l.buffers[0] = second;
    l.f.a.null_count = 1;
    assert_int_equal(foreign_import(&l.f, &b, &e), FZ_OK);
    check_nested(&b, (const char *[]){"[NULL, 3]", ""});
    lists_make(&l, "+l"); /* elements as codes of a dictionary */
    static const int32_t word_at[] = {0, 1, 3};
    static const int8_t codes[] = {9, 0, 1, 1, 0, 0, 0};
    const void *word_buffers[3] = {NULL, word_at, "abb"};
    struct ArrowSchema words = {.format = "u", .name = "", .release = release_schema};
    struct ArrowArray dict = {.length = 2, .n_buffers = 3, .buffers = word_buffers, .release = release_array};
    l.item.format = "c";
    l.item.dictionary = &words;
    l.child.dictionary = &dict;
    l.child_buffers[0] = NULL;
    l.child_buffers[1] = codes;
    assert_int_equal(foreign_import(&l.f, &b, &e), FZ_OK);
    check_nested(&b, (const char *[]){"['bb', 'bb']", "[]"});
    batch_free(&b);
}

/* A map column of one row, {1=1, 2=2}, to be spoiled. */
typedef struct maps {
    lists l;
    struct ArrowSchema entries, *parts[2], *top[1];
    struct ArrowArray entry_rows, *part_rows[2], *top_rows[1];
    const void *entry_buffers[1];
} maps;

static void maps_make(maps *m)
{
    lists_make(&m->l, "+m");
    m->l.f.a.length = m->l.f.rows.length = 1;
    m->l.item.flags = 0;
    m->l.child_buffers[0] = NULL;
    m->entries = (struct ArrowSchema){.format = "+s", .name = "entries", .n_children = 2, .children = m->parts, .release = release_schema};
    m->entry_rows = (struct ArrowArray){.length = 3, .offset = 1, .n_buffers = 1, .buffers = m->entry_buffers, .n_children = 2, .children = m->part_rows, .release = release_array};
    m->parts[0] = m->parts[1] = &m->l.item;
    m->part_rows[0] = m->part_rows[1] = &m->l.child;
    m->entry_buffers[0] = NULL;
    m->top[0] = &m->entries;
    m->top_rows[0] = &m->entry_rows;
    m->l.f.col.children = m->top;
    m->l.f.a.children = m->top_rows;
}

static void maps_are_read(void **state)
{
    static const uint8_t some[] = {0xfb};
    batch b;
    maps m;
    fz_error e = {0};
    batch_init(&b, NULL);
    maps_make(&m);
    assert_int_equal(foreign_import(&m.l.f, &b, &e), FZ_OK);
    check_nested(&b, (const char *[]){"{3=3, 4=4}"}); /* three offsets: the column's, the entries', the parts' */
    batch_free(&b);
    maps_make(&m);
    m.entry_rows.null_count = -1;
    m.entry_buffers[0] = some;
    refuse(&m.l.f, FZ_DATA, "column entries: Arrow array with a map's entry that is null");
    maps_make(&m);
    m.l.child_buffers[0] = (const uint8_t[]){0xf7};
    refuse(&m.l.f, FZ_DATA, "column entries: Arrow array with a map's key that is null");
    maps_make(&m);
    m.entry_rows.length = 2;
    refuse(&m.l.f, FZ_DATA, "column entries: Arrow array with a length or offset out of range");
    maps_make(&m);
    m.entry_rows.n_children = 1;
    refuse(&m.l.f, FZ_DATA, "column entries: Arrow array with a wrong number of children");
    maps_make(&m);
    m.part_rows[1] = NULL;
    refuse(&m.l.f, FZ_DATA, "column item: no Arrow array");
}

static void wrong_lists_are_refused(void **state)
{
    lists l;
    lists_make(&l, "+l");
    l.offsets[1] = -1;
    refuse(&l.f, FZ_DATA, "column c: Arrow array with a negative offset");
    lists_make(&l, "+l");
    l.offsets[2] = 0;
    refuse(&l.f, FZ_DATA, "column c: Arrow array with offsets that don't ascend");
    lists_make(&l, "+l");
    l.offsets[3] = 7;
    refuse(&l.f, FZ_DATA, "column item: Arrow array with a length or offset out of range");
    lists_make(&l, "+L");
    l.large[3] = INT64_MAX;
    refuse(&l.f, FZ_LIMIT, "column c: more than 4 billion list elements in one array");
    lists_make(&l, "+l");
    l.buffers[1] = NULL;
    refuse(&l.f, FZ_DATA, "column c: Arrow array with a missing buffer");
    lists_make(&l, "+l");
    l.f.a.n_children = 0;
    refuse(&l.f, FZ_DATA, "column c: Arrow array with a wrong number of children");
    lists_make(&l, "+l");
    l.child.release = NULL;
    refuse(&l.f, FZ_DATA, "column item: no Arrow array");
    lists_make(&l, "+l");
    l.f.a.offset = INT64_MAX;
    refuse(&l.f, FZ_DATA, "column c: Arrow array with a length or offset out of range");
    lists_make(&l, "+l");
    l.f.a.length = 1;
    refuse(&l.f, FZ_DATA, "column c: Arrow array with a length or offset out of range");
    lists_make(&l, "+w:3");
    refuse(&l.f, FZ_DATA, "column item: Arrow array with a length or offset out of range");
    lists_make(&l, "+w:2147483647");
    l.f.a.offset = INT64_MAX / 64;
    refuse(&l.f, FZ_LIMIT, "column c: more than 4 billion list elements in one array");
    lists_make(&l, "+w:-1");
    refuse(&l.f, FZ_UNSUPPORTED, "column c: Arrow format '+w:-1' isn't supported");
    lists_make(&l, "+vl");
    refuse(&l.f, FZ_UNSUPPORTED, "column c: Arrow format '+vl' isn't supported");
    lists_make(&l, "+s");
    refuse(&l.f, FZ_DATA, "column c: Arrow array with a wrong number of buffers");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_goes_out_comes_back),    cmocka_unit_test(constants_are_shared),
        cmocka_unit_test(children_can_be_moved_out),
        cmocka_unit_test(other_layouts_are_converted), cmocka_unit_test(text_layouts_are_converted),
        cmocka_unit_test(dictionaries_are_kept),       cmocka_unit_test(what_is_wrong_is_refused),
        cmocka_unit_test(schemas_are_checked),           cmocka_unit_test(nested_layouts_are_read),
        cmocka_unit_test(maps_are_read),                 cmocka_unit_test(wrong_lists_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, types_free);
}
