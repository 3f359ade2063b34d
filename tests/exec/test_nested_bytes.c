/*
 * test_nested_bytes.c: nested values as bytes: back as they were, and equal bytes for equal values and no others.
 */
#include "exec_util.h"

#include "exec/nested_bytes_int.h"
#include "exec/spill.h"


/* ---- random types and vectors, with garbage under nulls and offsets that begin anywhere ---- */

static type random_type(rnd *r, uint32_t depth)
{
    static const type leaves[] = {{.id = T_INT64}, {.id = T_STRING}, {.id = T_FLOAT64}, {.id = T_FLOAT32}, {.id = T_BOOL}, {.id = T_INT32},
                                  {.id = T_DECIMAL, .precision = 30, .scale = 2}};
    uint32_t kind = depth ? rnd_to(r, 5) : 4;
    if (kind > 2)
        return leaves[rnd_to(r, sizeof leaves / sizeof *leaves)];
    uint32_t n = kind == 0 ? 1 + rnd_to(r, 3) : kind == 1 ? 1 : 2;
    type_fields *f = arena_zalloc(&test_arena, sizeof *f + n * sizeof *f->f);
    f->n = n;
    for (uint32_t i = 0; i < n; i++)
        f->f[i] = (type_field){.name = STR("m"), .field_id = -1, .t = random_type(r, depth - 1)};
    return (type){.id = kind == 0 ? T_STRUCT : kind == 1 ? T_LIST : T_MAP, .children = f};
}

static void random_leaf(rnd *r, vec *v, uint32_t i)
{
    static const double doubles[] = {0.0, -0.0, 1.5, __builtin_nan(""), -1};
    static const char *const texts[] = {"", "a", "a text that is longer than a view", "a text that is longer than a vieW"};
    switch (type_phys(v->t)) {
    case PHYS_U8: ((uint8_t *)v->data)[i] = rnd_to(r, 2); break;
    case PHYS_I32: ((int32_t *)v->data)[i] = (int32_t)rnd_to(r, 3) - 1; break;
    case PHYS_I64: ((int64_t *)v->data)[i] = (int64_t)rnd_to(r, 3) - 1; break;
    case PHYS_I128: ((i128 *)v->data)[i] = ((i128)1 << 90) * (int)rnd_to(r, 2); break;
    case PHYS_F32: ((float *)v->data)[i] = (float)doubles[rnd_to(r, 5)]; break;
    case PHYS_F64: ((double *)v->data)[i] = doubles[rnd_to(r, 5)]; break;
    case PHYS_STR: {
        const char *t = texts[rnd_to(r, 4)];
        ((strview *)v->data)[i] = strview_make(t, (uint32_t)strlen(t));
        break;
    }
    default: fail();
    }
}

static void random_vec(rnd *r, type t, uint32_t n, bool nulls, vec *v)
{
    assert_int_equal(vec_alloc(v, t, n, &test_arena, NULL), FZ_OK);
    if (nulls && rnd_to(r, 3)) {
        v->valid = bitmap_alloc(&test_arena, n, true);
        for (uint32_t i = 0; i < n; i++)
            if (rnd_to(r, 4) == 0)
                bit_clear(v->valid, i);
    }
    if (!type_is_nested(t)) {
        for (uint32_t i = 0; i < n; i++)
            random_leaf(r, v, i);
        return;
    }
    uint32_t rows = n;
    if (t.id != T_STRUCT) {
        uint32_t *at = v->data;
        at[0] = rnd_to(r, 3);
        for (uint32_t i = 0; i < n; i++)
            at[i + 1] = at[i] + rnd_to(r, 3);
        rows = at[n];
    }
    for (uint32_t k = 0; k < t.children->n; k++)
        random_vec(r, t.children->f[k].t, rows, !(t.id == T_MAP && k == 0), &v->kids[k]);
}

static const uint8_t **starts_of(const vec *bytes)
{
    const uint8_t **at = ARENA_ARRAY(&test_arena, const uint8_t *, bytes->len + 1);
    for (uint32_t i = 0; i < bytes->len; i++)
        if (!vec_is_null(bytes, i))
            at[i] = (const uint8_t *)strview_ptr(&((strview *)bytes->data)[i]);
    return at;
}

static void test_round_trip(void **state)
{
    rnd r = {21};
    for (int k = 0; k < 300; k++) {
        type t = random_type(&r, 4);
        uint32_t n = 1 + rnd_to(&r, 40), m = 0;
        uint16_t sel[40];
        vec v, bytes, back;
        random_vec(&r, t, n, true, &v);
        for (uint32_t i = 0; i < n; i++)
            if (rnd_to(&r, 2))
                sel[m++] = (uint16_t)i;
        for (int way = 0; way < 2; way++) {
            uint32_t rows = way ? m : n;
            assert_int_equal(nested_encode(&v, way ? sel : NULL, 0, rows, false, &bytes, &test_arena, NULL), FZ_OK);
            assert_int_equal(nested_decode(t, starts_of(&bytes), rows, &back, &test_arena, NULL), FZ_OK);
            assert_int_equal(back.len, rows);
            for (uint32_t i = 0; i < rows; i++) {
                datum x = vec_datum(&v, way ? sel[i] : i), y = vec_datum(&back, i);
                assert_true(datum_eq(&x, &y));
            }
        }
    }
}

static void test_canonical(void **state)
{
    rnd r = {22};
    uint32_t equal = 0;
    for (int k = 0; k < 200; k++) {
        type t = random_type(&r, 2);
        vec v, bytes;
        random_vec(&r, t, 40, true, &v);
        assert_int_equal(nested_encode(&v, NULL, 0, 40, true, &bytes, &test_arena, NULL), FZ_OK);
        const strview *s = bytes.data;
        for (uint32_t i = 0; i < 40; i++)
            for (uint32_t j = 0; j < i; j++) {
                datum x = vec_datum(&v, i), y = vec_datum(&v, j);
                bool same = x.null == y.null && (x.null || strview_eq(&s[i], &s[j]));
                assert_int_equal(datum_eq(&x, &y), same);
                equal += same;
            }
    }
    assert_true(equal > 1000);
}

static void test_spill(void **state)
{
    rnd r = {23};
    for (int k = 0; k < 40; k++) {
        batch b, in;
        spill_file *f;
        bool end;
        batch_init(&b, NULL);
        batch_init(&in, NULL);
        assert_int_equal(spill_create(NULL, NULL, &f, NULL), FZ_OK);
        assert_int_equal(batch_columns(&b, 3, NULL), FZ_OK);
        b.nrows = b.nsel = 30;
        for (uint32_t c = 0; c < 3; c++)
            random_vec(&r, random_type(&r, 3), 30, true, &b.cols[c]);
        for (int i = 0; i < 3; i++)
            assert_int_equal(spill_write(f, &b, NULL), FZ_OK);
        assert_int_equal(spill_rewind(f, NULL), FZ_OK);
        for (int i = 0; i < 3; i++) {
            assert_int_equal(spill_read(f, &in, &end, NULL), FZ_OK);
            assert_false(end);
            for (uint32_t c = 0; c < 3; c++)
                for (uint32_t row = 0; row < 30; row++) {
                    datum x = vec_datum(&b.cols[c], row), y = vec_datum(&in.cols[c], row);
                    assert_true(datum_eq(&x, &y));
                }
        }
        assert_int_equal(spill_read(f, &in, &end, NULL), FZ_OK);
        assert_true(end);
        spill_close(f);
        batch_free(&b);
        batch_free(&in);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_round_trip), cmocka_unit_test(test_canonical), cmocka_unit_test(test_spill)};
    arena_init(&test_arena, NULL);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    arena_free(&test_arena);
    return failed;
}
