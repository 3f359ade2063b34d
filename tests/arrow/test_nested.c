/* Nested vectors against a naive model: random types and values, in every encoding, with junk under
 * nulls and around lists; taken, gathered, sliced, held, as constants, compared and printed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "arrow/bridge.h"

#include <stdio.h>

static uint64_t seed = 42;
static uint32_t rnd(uint32_t n)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(seed >> 33) % n;
}

/* ---- the model: a value as a tree ---- */

typedef struct node {
    bool null;
    int k;              /* flat types: value number k */
    uint32_t n;         /* members, elements, 2 * entries */
    struct node **kids;
} node;

static type type_random(int depth, arena *a)
{
    static const type flat[] = {TYPE(T_BOOL), TYPE(T_INT32), TYPE(T_INT64), TYPE(T_FLOAT64), TYPE(T_STRING),
                                {.id = T_DECIMAL, .precision = 30, .scale = 2}, TYPE(T_DATE), TYPE(T_STRING)};
    static const char *const names[] = {"a", "b", "long name", "d", "e"};
    uint32_t pick = depth > 0 ? rnd(6) : 9;
    type t;
    if (pick > 4)
        return flat[rnd(sizeof flat / sizeof flat[0])];
    uint32_t n = pick < 2 ? rnd(4) : pick < 4 ? 1 : 2;
    t = TYPE(pick < 2 ? T_STRUCT : pick < 4 ? T_LIST : T_MAP);
    type_fields *f = arena_zalloc(a, sizeof *f + n * sizeof f->f[0]);
    f->n = n;
    for (uint32_t i = 0; i < n; i++) {
        const char *name = t.id == T_STRUCT ? names[i] : t.id == T_LIST ? "element" : i ? "value" : "key";
        f->f[i] = (type_field){.name = str_of(name), .field_id = -1, .t = type_random(depth - 1, a)};
    }
    if (t.id == T_MAP)
        f->f[0].t = flat[rnd(8)];
    t.children = f;
    return t;
}

static node *node_random(type t, bool nullable, arena *a)
{
    node *x = ARENA_NEW(a, node);
    if (nullable && rnd(6) == 0) {
        x->null = true;
        return x;
    }
    x->k = (int)rnd(5);
    if (!type_is_nested(t))
        return x;
    x->n = t.id == T_STRUCT ? t.children->n : t.id == T_LIST ? rnd(4) : 2 * rnd(3);
    x->kids = ARENA_ARRAY(a, node *, x->n);
    for (uint32_t i = 0; i < x->n; i++) {
        bool key = t.id == T_MAP && i % 2 == 0;
        type kt = t.children->f[t.id == T_STRUCT ? i : t.id == T_LIST ? 0 : i % 2].t;
        x->kids[i] = node_random(kt, !key, a);
    }
    return x;
}

static str text_of(int k, arena *a)
{
    char tmp[64];
    int n = snprintf(tmp, sizeof tmp, k & 1 ? "v%d" : "it's a longer text, number %d", k);
    return (str){arena_strndup(a, tmp, (size_t)n), (size_t)n};
}

static void node_text(const node *x, type t, bool inside, sbuf *out)
{
    static const char *const quoted[] = {"'it''s a longer text, number 0'", "'v1'", "'it''s a longer text, number 2'",
                                         "'v3'", "'it''s a longer text, number 4'"};
    if (x->null) {
        sbuf_addz(out, inside ? "NULL" : "");
        return;
    }
    switch (t.id) {
    case T_BOOL: sbuf_addz(out, x->k & 1 ? "true" : "false"); return;
    case T_INT32:
    case T_INT64: sbuf_printf(out, "%d", x->k * 1000 - 7); return;
    case T_FLOAT64: sbuf_printf(out, "%d.5", x->k); return;
    case T_DECIMAL: sbuf_printf(out, "%d.00", x->k); return;
    case T_DATE: sbuf_printf(out, "1970-01-%02d", 1 + x->k); return;
    case T_STRING: sbuf_addz(out, quoted[x->k]); return;
    }
    sbuf_addc(out, t.id == T_LIST ? '[' : '{');
    for (uint32_t i = 0; i < x->n; i++) {
        if (i)
            sbuf_addz(out, t.id == T_MAP && i % 2 ? "=" : ", ");
        if (t.id == T_STRUCT)
            sbuf_printf(out, "'%s': ", t.children->f[i].name.p);
        node_text(x->kids[i], t.children->f[t.id == T_STRUCT ? i : t.id == T_LIST ? 0 : i % 2].t, true, out);
    }
    sbuf_addc(out, t.id == T_LIST ? ']' : '}');
}

static bool node_eq(const node *x, const node *y)
{
    if (x->null || y->null)
        return x->null == y->null;
    if (x->kids ? x->n != y->n : x->k != y->k)
        return false;
    for (uint32_t i = 0; i < x->n; i++)
        if (!node_eq(x->kids[i], y->kids[i]))
            return false;
    return true;
}

/* ---- from the model to vectors ---- */

static void store(vec *v, uint32_t i, int k, arena *a)
{
    str s;
    switch (type_phys(v->t)) {
    case PHYS_U8: ((uint8_t *)v->data)[i] = k & 1; break;
    case PHYS_I32: ((int32_t *)v->data)[i] = v->t.id == T_DATE ? k : k * 1000 - 7; break;
    case PHYS_I64: ((int64_t *)v->data)[i] = k * 1000 - 7; break;
    case PHYS_I128: ((i128 *)v->data)[i] = (i128)k * 100; break;
    case PHYS_F64: ((double *)v->data)[i] = k + 0.5; break;
    case PHYS_STR:
        s = text_of(k, a);
        ((strview *)v->data)[i] = strview_make(s.p, (uint32_t)s.n);
        break;
    default: fail();
    }
}

/* Memory in a buffer that the batch keeps, or in its arena. */
static void *data_new(batch *b, size_t bytes)
{
    if (!b->stable)
        return arena_alloc(&b->mem, bytes);
    buf *x = buf_new(b->mem.m, bytes);
    batch_keep(b, x, NULL);
    buf_unref(x);
    return x->data;
}

static bool all_equal(node **rows, uint32_t n)
{
    for (uint32_t i = 1; i < n; i++)
        if (!node_eq(rows[0], rows[i]))
            return false;
    return n > 0;
}

static void valid_make(vec *v, node **rows, uint32_t n, arena *a)
{
    for (uint32_t i = 0; i < n; i++)
        if (rows[i]->null) {
            if (!v->valid)
                v->valid = bitmap_alloc(a, n, true);
            bit_clear(v->valid, i);
        }
}

static void vec_make(vec *v, type t, node **rows, uint32_t n, batch *b, arena *texts);

static void flat_make(vec *v, type t, node **rows, uint32_t n, batch *b, arena *texts)
{
    arena *a = &b->mem;
    uint32_t how = rnd(5);
    *v = (vec){.t = t, .enc = VEC_FLAT, .len = n};
    if (how == VEC_DICT || (how == VEC_RLE && n > 0)) {
        uint32_t nv = how == VEC_RLE ? n : 5; /* runs of one: the values may be null */
        v->enc = how == VEC_RLE ? VEC_RLE : VEC_DICT;
        v->values = ARENA_NEW(a, vec);
        *v->values = (vec){.t = t, .len = nv, .data = data_new(b, nv * (size_t)phys_size(type_phys(t)))};
        uint32_t *codes = v->data = data_new(b, n * sizeof *codes);
        for (uint32_t i = 0; i < nv; i++)
            store(v->values, i, how == VEC_RLE ? rows[i]->k : (int)i, texts);
        for (uint32_t i = 0; i < n; i++)
            codes[i] = how == VEC_RLE ? i + 1 : rows[i]->null ? 0 : (uint32_t)rows[i]->k;
        v->nruns = how == VEC_RLE ? n : 0;
        valid_make(how == VEC_RLE ? v->values : v, rows, n, a);
        return;
    }
    v->data = data_new(b, n * (size_t)phys_size(type_phys(t)));
    valid_make(v, rows, n, a);
    for (uint32_t i = 0; i < n; i++) {
        store(v, i, rows[i]->k, texts);
        if (rows[i]->null && type_phys(t) == PHYS_STR) /* nobody may follow it */
            ((strview *)v->data)[i] = (strview){.len = 99, .ptr = (const char *)8};
    }
}

static void struct_make(vec *v, node **rows, uint32_t n, batch *b, arena *texts)
{
    type t = v->t;
    for (uint32_t k = 0; k < t.children->n; k++) {
        node **members = ARENA_ARRAY(texts, node *, n);
        for (uint32_t i = 0; i < n; i++)
            members[i] = rows[i]->null ? node_random(t.children->f[k].t, true, texts) : rows[i]->kids[k];
        vec_make(&v->kids[k], t.children->f[k].t, members, n, b, texts);
    }
}

static void list_make(vec *v, node **rows, uint32_t n, batch *b, arena *texts)
{
    type t = v->t;
    uint32_t parts = t.id == T_MAP ? 2 : 1, total = 0;
    uint32_t *offsets = v->data = data_new(b, (n + 1) * sizeof *offsets);
    node **members[2] = {ARENA_ARRAY(texts, node *, n * 4 + 8), ARENA_ARRAY(texts, node *, n * 4 + 8)};
    for (uint32_t i = 0; i <= n + 1; i++) { /* junk lies before the first list, under nulls, and behind */
        const node *row = i == 0 || i > n || rows[i - 1]->null ? NULL : rows[i - 1];
        uint32_t count = row ? row->n / parts : rnd(3);
        for (uint32_t j = 0; j < count; j++, total++)
            for (uint32_t k = 0; k < parts; k++)
                members[k][total] = row ? row->kids[j * parts + k]
                                        : node_random(t.children->f[k].t, k || parts == 1, texts);
        if (i <= n)
            offsets[i] = total;
    }
    for (uint32_t k = 0; k < parts; k++)
        vec_make(&v->kids[k], t.children->f[k].t, members[k], total, b, texts);
}

static void vec_make(vec *v, type t, node **rows, uint32_t n, batch *b, arena *texts)
{
    uint32_t len = n;
    bool same = all_equal(rows, n) && rnd(4);
    if (same) {
        n = 1;
    } else if (!type_is_nested(t)) {
        flat_make(v, t, rows, n, b, texts);
        return;
    }
    *v = (vec){.t = t, .enc = same ? VEC_CONST : VEC_FLAT, .len = len};
    valid_make(v, rows, n, &b->mem);
    if (!type_is_nested(t)) {
        v->data = data_new(b, phys_size(type_phys(t)));
        memset(v->data, 0, phys_size(type_phys(t)));
        if (!rows[0]->null)
            store(v, 0, rows[0]->k, texts);
    } else if (!same || !rows[0]->null) {
        v->kids = ARENA_ARRAY(&b->mem, vec, t.children->n);
        if (t.id == T_STRUCT)
            struct_make(v, rows, n, b, texts);
        else
            list_make(v, rows, n, b, texts);
    }
}

/* ---- checks ---- */

static void row_check(const vec *v, uint32_t row, const node *want)
{
    sbuf x, y;
    sbuf_init(&x, NULL);
    sbuf_init(&y, NULL);
    assert_int_equal(vec_is_null(v, row), want->null);
    datum d = vec_datum(v, row);
    if (type_is_nested(v->t)) {
        datum_text(&d, &x);
        node_text(want, v->t, false, &y);
        if (x.n != y.n || (x.n && memcmp(x.p, y.p, x.n) != 0))
            fail_msg("row %u: %s instead of %s", row, x.p ? x.p : "", y.p ? y.p : "");
    }
    sbuf_free(&x);
    sbuf_free(&y);
}

static node nothing = {.null = true};

static void moves_check(const vec *v, node **rows, uint32_t n, arena *a)
{
    vec out, again;
    uint16_t sel[300];
    uint32_t idx[400], m = 0;
    for (uint32_t i = 0; i < n; i++) {
        row_check(v, i, rows[i]);
        if (rnd(3))
            sel[m++] = (uint16_t)i;
    }
    for (int copy = 0; copy < 2; copy++) {
        assert_int_equal(vec_gather(&out, v, sel, m, copy, a, NULL), FZ_OK);
        assert_int_equal(out.enc, VEC_FLAT);
        assert_int_equal(out.len, m);
        for (uint32_t i = 0; i < m; i++)
            row_check(&out, i, rows[sel[i]]);
        uint32_t k = rnd(400);
        for (uint32_t i = 0; i < k; i++)
            idx[i] = n == 0 || rnd(5) == 0 ? UINT32_MAX : rnd(n);
        assert_int_equal(vec_take(&out, v, idx, k, copy, a, NULL), FZ_OK);
        for (uint32_t i = 0; i < k; i++)
            row_check(&out, i, idx[i] == UINT32_MAX ? &nothing : rows[idx[i]]);
    }
    assert_int_equal(vec_flatten(&out, v, a, NULL), FZ_OK);
    for (uint32_t i = 0; i < n; i++)
        row_check(&out, i, rows[i]);
    uint32_t from = rnd(n + 1), count = rnd(n - from + 1), from2 = rnd(count + 1);
    assert_int_equal(vec_slice(&out, v, from, count, a, NULL), FZ_OK);
    for (uint32_t i = 0; i < count; i++)
        row_check(&out, i, rows[from + i]);
    assert_int_equal(vec_slice(&again, &out, from2, count - from2, a, NULL), FZ_OK);
    for (uint32_t i = from2; i < count; i++)
        row_check(&again, i - from2, rows[from + i]);
    assert_int_equal(vec_gather(&out, &again, NULL, again.len, true, a, NULL), FZ_OK);
    for (uint32_t i = from2; i < count; i++)
        row_check(&out, i - from2, rows[from + i]);
    vec parts[3];
    assert_int_equal(vec_slice(&parts[0], v, 0, from, a, NULL), FZ_OK);
    parts[1] = *v;
    assert_int_equal(vec_slice(&parts[2], v, from, n - from, a, NULL), FZ_OK);
    assert_int_equal(vec_concat(&out, v->t, parts, 3, a, NULL), FZ_OK);
    assert_int_equal(out.len, 2 * n);
    for (uint32_t i = 0; i < 2 * n; i++)
        row_check(&out, i, rows[i < from ? i : i < from + n ? i - from : i - n]);
    for (uint32_t i = 0; i < n && i < 20; i++) {
        uint32_t other = rnd(n);
        datum x = vec_datum(v, i), y = vec_datum(v, other);
        assert_int_equal(datum_eq(&x, &y), node_eq(rows[i], rows[other]) || (!type_is_nested(v->t) && datum_eq(&x, &y)));
        if (!x.null && !y.null)
            assert_int_equal(datum_cmp(&x, &y) < 0, datum_cmp(&y, &x) > 0);
        assert_int_equal(vec_const(&out, &x, 5, a, NULL), FZ_OK);
        assert_int_equal(out.enc, VEC_CONST);
        row_check(&out, 4, rows[i]);
        assert_int_equal(vec_gather(&again, &out, NULL, 5, false, a, NULL), FZ_OK);
        row_check(&again, 3, rows[i]);
    }
}

/* Booleans have two values for five numbers: as the model compares numbers, they are made equal. */
static void booleans_fold(node *x, type t)
{
    if (t.id == T_BOOL)
        x->k &= 1;
    for (uint32_t i = 0; i < x->n; i++)
        booleans_fold(x->kids[i], t.children->f[t.id == T_STRUCT ? i : t.id == T_LIST ? 0 : i % 2].t);
}

/* Through the Arrow C data interface and back. */
static void bridge_check(const batch *b, node **rows, mem *m)
{
    arena names;
    row_schema back;
    struct ArrowSchema s;
    struct ArrowArray a;
    batch dst;
    fz_error e = {0};
    column_def col = {.name = STR("c"), .t = b->cols[0].t, .field_id = -1};
    row_schema schema = {1, &col};
    arena_init(&names, m);
    batch_init(&dst, m);
    assert_int_equal(bridge_export_schema(&schema, &s, NULL), FZ_OK);
    if (bridge_export_batch(&schema, b, m, &a, &e) != FZ_OK)
        fail_msg("%s", e.message);
    assert_int_equal(bridge_import_schema(&s, &names, &back, NULL), FZ_OK);
    assert_true(type_eq(back.cols[0].t, col.t));
    if (bridge_import_rows(&s, &back, &a, &dst, &e) != FZ_OK)
        fail_msg("%s", e.message);
    assert_int_equal(dst.nrows, b->nsel);
    for (uint32_t i = 0; i < dst.nrows; i++)
        row_check(&dst.cols[0], i, rows[b->sel ? b->sel[i] : i]);
    batch_free(&dst);
    s.release(&s);
    arena_free(&names);
}

static void nested_rows_move(void **state)
{
    mem m;
    mem_init(&m, NULL, NULL, 0);
    for (int round = 0; round < 400; round++) {
        arena model, scratch;
        batch src, dst;
        arena_init(&model, &m);
        arena_init(&scratch, &m);
        batch_init(&src, &m);
        batch_init(&dst, &m);
        type t = type_random(4, &model);
        uint32_t n = rnd(8) ? rnd(200) : rnd(3);
        bool constant = rnd(6) == 0;
        node **rows = ARENA_ARRAY(&model, node *, n);
        for (uint32_t i = 0; i < n; i++) {
            rows[i] = constant && i ? rows[0] : node_random(t, true, &model);
            booleans_fold(rows[i], t);
        }
        batch_columns(&src, 1, NULL);
        src.stable = rnd(2);
        src.nrows = src.nsel = n;
        /* texts of an unstable batch lie in its arena; of a stable one in what outlives all */
        vec_make(&src.cols[0], t, rows, n, &src, src.stable ? &model : &src.mem);
        moves_check(&src.cols[0], rows, n, &scratch);
        uint16_t sel[200];
        uint32_t nsel = 0;
        bool select = rnd(2), stable = src.stable;
        for (uint32_t i = 0; i < n; i++)
            if (!select || rnd(3))
                sel[nsel++] = (uint16_t)i;
        if (select) {
            src.sel = sel;
            src.nsel = nsel;
        }
        bridge_check(&src, rows, &m);
        assert_int_equal(batch_hold(&dst, &src, NULL), FZ_OK);
        batch_free(&src);
        uint16_t was[200];
        memcpy(was, sel, sizeof was);
        memset(sel, 0xff, sizeof sel);
        for (uint32_t i = 0; i < nsel; i++)
            row_check(&dst.cols[0], stable ? was[i] : i, rows[was[i]]);
        batch_free(&dst);
        arena_free(&scratch);
        arena_free(&model);
    }
    assert_int_equal(m.used, 0);
}

/* ---- by hand ---- */

static type list_of(type t, arena *a)
{
    type_fields *f = arena_zalloc(a, sizeof *f + sizeof f->f[0]);
    f->n = 1;
    f->f[0] = (type_field){.name = STR("element"), .field_id = -1, .t = t};
    return (type){.id = T_LIST, .children = f};
}

static void names_of_types(void **state)
{
    arena a;
    sbuf out;
    arena_init(&a, NULL);
    sbuf_init(&out, NULL);
    type_fields *f = arena_zalloc(&a, sizeof *f + 3 * sizeof f->f[0]);
    f->n = 3;
    f->f[0] = (type_field){.name = STR("a"), .t = TYPE(T_INT64)};
    f->f[1] = (type_field){.name = STR("b \"c\""), .t = list_of(list_of(TYPE_DECIMAL(9, 2), &a), &a)};
    type_fields *m = arena_zalloc(&a, sizeof *m + 2 * sizeof m->f[0]);
    m->n = 2;
    m->f[0] = (type_field){.name = STR("key"), .t = TYPE(T_STRING), .required = true};
    m->f[1] = (type_field){.name = STR("value"), .t = TYPE(T_TIMESTAMPTZ)};
    f->f[2] = (type_field){.name = STR("d"), .t = {.id = T_MAP, .children = m}};
    type_sql_name(list_of((type){.id = T_STRUCT, .children = f}, &a), &out);
    assert_string_equal(out.p, "struct(a bigint, \"b \"\"c\"\"\" decimal(9,2)[][], d map(text, timestamp with time zone))[]");
    sbuf_free(&out);
    arena_free(&a);
}

static vec ints(arena *a, uint32_t n, ...)
{
    vec v;
    va_list ap;
    va_start(ap, n);
    assert_int_equal(vec_alloc(&v, TYPE(T_INT32), n, a, NULL), FZ_OK);
    for (uint32_t i = 0; i < n; i++) {
        int x = va_arg(ap, int);
        ((int32_t *)v.data)[i] = x;
        if (x == INT32_MIN) {
            if (!v.valid)
                v.valid = bitmap_alloc(a, n, true);
            bit_clear(v.valid, i);
        }
    }
    va_end(ap);
    return v;
}

/* [1, 2], [1, NULL], [1], [], NULL: a null element is greater than all, a longer list than its start. */
static void lists_are_ordered(void **state)
{
    arena a;
    vec v, out;
    fz_error e;
    arena_init(&a, NULL);
    assert_int_equal(vec_alloc(&v, list_of(TYPE(T_INT32), &a), 5, &a, NULL), FZ_OK);
    assert_int_equal(v.kids[0].t.id, T_INT32);
    assert_int_equal(v.kids[0].len, 0);
    v.kids[0] = ints(&a, 6, 9, 1, 2, 1, INT32_MIN, 1);
    memcpy(v.data, (uint32_t[]){1, 3, 5, 6, 6, 6}, 24);
    v.valid = bitmap_alloc(&a, 5, true);
    bit_clear(v.valid, 4);
    static const int want[4][4] = {{0, -1, 1, 1}, {1, 0, 1, 1}, {-1, -1, 0, 1}, {-1, -1, -1, 0}};
    for (uint32_t i = 0; i < 4; i++)
        for (uint32_t j = 0; j < 4; j++) {
            datum x = vec_datum(&v, i), y = vec_datum(&v, j);
            assert_int_equal(datum_cmp(&x, &y), want[i][j]);
            assert_int_equal(datum_eq(&x, &y), i == j);
        }
    datum x = vec_datum(&v, 4), y = vec_datum(&v, 0);
    assert_true(x.null && datum_eq(&x, &x) && !datum_eq(&x, &y));
    assert_int_equal(nested_count(&y), 2);
    datum second = nested_member(&y, 1, 0);
    assert_int_equal(second.i32, 2);
    /* sharing: a slice's offsets lie in the vector's, its elements are the vector's */
    assert_int_equal(vec_slice(&out, &v, 2, 2, &a, NULL), FZ_OK);
    assert_ptr_equal(out.data, (uint32_t *)v.data + 2);
    assert_ptr_equal(out.kids[0].data, v.kids[0].data);
    assert_int_equal(vec_alloc(&v, (type){.id = T_STRUCT}, 3, &a, &e), FZ_INTERNAL);
    /* a constant of many elements can't be multiplied past what offsets hold */
    vec many;
    assert_int_equal(vec_alloc(&many, list_of(TYPE(T_NULL), &a), 1, &a, NULL), FZ_OK);
    ((uint32_t *)many.data)[1] = 3000000000u;
    many.kids[0].len = 3000000000u;
    assert_int_equal(vec_take(&out, &many, (uint32_t[]){0, 0}, 2, false, &a, &e), FZ_LIMIT);
    arena_free(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nested_rows_move),
        cmocka_unit_test(names_of_types),
        cmocka_unit_test(lists_are_ordered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
