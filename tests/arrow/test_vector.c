/* Vectors in every encoding, gathered, sliced and held. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "arrow/vector.h"

#include <stdio.h>

#define LEN 200

static const type types[] = {
    TYPE(T_BOOL), TYPE(T_INT32), TYPE(T_INT64), TYPE(T_FLOAT32), TYPE(T_FLOAT64), {.id = T_DECIMAL, .precision = 30, .scale = 2},
    TYPE(T_DATE), TYPE(T_TIMESTAMP), TYPE(T_STRING),
};
enum { NTYPES = sizeof types / sizeof types[0] };

/* Value number k of a type; texts alternate between short and long. */
static datum value(type t, int k, arena *a)
{
    datum d = {.t = t};
    char tmp[64];
    switch (type_phys(t)) {
    case PHYS_U8: d.b = k & 1; break;
    case PHYS_I32: d.i32 = k * 7 - 3; break;
    case PHYS_I64: d.i64 = (int64_t)k << 33; break;
    case PHYS_I128: d.i128v = (i128)k << 70; break;
    case PHYS_F32: d.f32 = (float)k / 4; break;
    case PHYS_F64: d.f64 = k / 8.0; break;
    case PHYS_STR: {
        int n = snprintf(tmp, sizeof tmp, k & 1 ? "v%d" : "a longer text with number %d", k);
        d.s = (str){arena_strndup(a, tmp, (size_t)n), (size_t)n};
        break;
    }
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

static bool is_null(uint32_t i) { return i % 5 == 2; }

/* A vector of LEN rows; expect[i] is what row i must give. */
static void make(vec *v, type t, vec_enc enc, bool nulls, arena *a, datum *expect)
{
    datum d;
    if (enc == VEC_FLAT) {
        assert_int_equal(vec_alloc(v, t, LEN, a, NULL), FZ_OK);
        if (nulls)
            v->valid = bitmap_alloc(a, LEN, true);
        for (uint32_t i = 0; i < LEN; i++) {
            store(v, i, expect[i] = value(t, (int)i, a));
            if (nulls && is_null(i)) {
                bit_clear(v->valid, i);
                expect[i] = DATUM_NULL(t);
                if (type_phys(t) == PHYS_STR) /* a view to nowhere: nobody may follow it */
                    ((strview *)v->data)[i] = (strview){.len = 99, .ptr = (const char *)8};
            }
        }
    } else if (enc == VEC_CONST) {
        d = nulls ? DATUM_NULL(t) : value(t, 6, a);
        assert_int_equal(vec_const(v, &d, LEN, a, NULL), FZ_OK);
        for (uint32_t i = 0; i < LEN; i++)
            expect[i] = d;
    } else {
        uint32_t n = enc == VEC_DICT ? 7 : 40;
        vec *values = ARENA_NEW(a, vec);
        vec_alloc(values, t, n, a, NULL);
        for (uint32_t i = 0; i < n; i++)
            store(values, i, value(t, (int)i, a));
        uint32_t *data = ARENA_ARRAY(a, uint32_t, LEN);
        *v = (vec){.t = t, .enc = (uint8_t)enc, .len = LEN, .data = data, .values = values};
        if (enc == VEC_DICT) {
            v->valid = nulls ? bitmap_alloc(a, LEN, true) : NULL;
            for (uint32_t i = 0; i < LEN; i++) {
                data[i] = i * 3 % n;
                expect[i] = value(t, (int)data[i], a);
                if (nulls && is_null(i)) {
                    bit_clear(v->valid, i);
                    data[i] = 0;
                    expect[i] = DATUM_NULL(t);
                }
            }
            return;
        }
        values->valid = nulls ? bitmap_alloc(a, n, true) : NULL;
        v->nruns = n;
        for (uint32_t r = 0, i = 0; r < n; r++) {
            data[r] = r + 1 == n ? LEN : i + 1 + r % 9;
            d = value(t, (int)r, a);
            if (nulls && is_null(r)) {
                bit_clear(values->valid, r);
                d = DATUM_NULL(t);
            }
            for (; i < data[r]; i++)
                expect[i] = d;
        }
    }
}

static void check_row(const vec *v, uint32_t row, const datum *expect)
{
    datum d = vec_datum(v, row);
    if (!datum_eq(&d, expect))
        fail_msg("row %u of type %u, encoding %u", row, v->t.id, v->enc);
    assert_int_equal(vec_is_null(v, row), expect->null);
    assert_true(!expect->null || vec_may_null(v));
}

typedef void (*check_fn)(const vec *v, const datum *expect, arena *a);

static void each_vector(check_fn fn)
{
    static datum expect[LEN];
    for (int t = 0; t < NTYPES; t++)
        for (int e = VEC_FLAT; e <= VEC_RLE; e++)
            for (int nulls = 0; nulls < 2; nulls++) {
                arena a;
                vec v;
                arena_init(&a, NULL);
                make(&v, types[t], (vec_enc)e, nulls, &a, expect);
                fn(&v, expect, &a);
                arena_free(&a);
            }
}

static void read_one(const vec *v, const datum *expect, arena *a)
{
    for (uint32_t i = 0; i < LEN; i++)
        check_row(v, i, &expect[i]);
}
static void rows_are_read(void **state) { each_vector(read_one); }

static void gather_one(const vec *v, const datum *expect, arena *a)
{
    uint16_t sel[LEN];
    vec out;
    for (int copy = 0; copy < 2; copy++) {
        for (uint32_t step = 1; step < 60; step += 11) {
            uint32_t n = 0;
            for (uint32_t i = step - 1; i < LEN; i += step)
                sel[n++] = (uint16_t)i;
            assert_int_equal(vec_gather(&out, v, sel, n, copy, a, NULL), FZ_OK);
            assert_int_equal(out.enc, VEC_FLAT);
            assert_int_equal(out.len, n);
            for (uint32_t i = 0; i < n; i++)
                check_row(&out, i, &expect[sel[i]]);
        }
        assert_int_equal(vec_gather(&out, v, NULL, LEN, copy, a, NULL), FZ_OK);
        for (uint32_t i = 0; i < LEN; i++)
            check_row(&out, i, &expect[i]);
        assert_int_equal(vec_gather(&out, v, sel, 0, copy, a, NULL), FZ_OK);
        assert_int_equal(out.len, 0);
    }
    assert_int_equal(vec_flatten(&out, v, a, NULL), FZ_OK);
    assert_int_equal(out.enc, VEC_FLAT);
    assert_true(v->enc != VEC_FLAT || out.data == v->data);
    for (uint32_t i = 0; i < LEN; i++)
        check_row(&out, i, &expect[i]);
}
static void rows_are_gathered(void **state) { each_vector(gather_one); }

static void slice_one(const vec *v, const datum *expect, arena *a)
{
    vec out, again, flat;
    for (uint32_t from = 0; from <= LEN; from += 13)
        for (uint32_t n = 0; from + n <= LEN; n += 31) {
            assert_int_equal(vec_slice(&out, v, from, n, a, NULL), FZ_OK);
            assert_int_equal(out.len, n);
            for (uint32_t i = 0; i < n; i++)
                check_row(&out, i, &expect[from + i]);
            assert_int_equal(vec_flatten(&flat, &out, a, NULL), FZ_OK);
            for (uint32_t i = 0; i < n; i++)
                check_row(&flat, i, &expect[from + i]);
            if (n < 3)
                continue;
            assert_int_equal(vec_slice(&again, &out, 2, n - 2, a, NULL), FZ_OK);
            for (uint32_t i = 0; i + 2 < n; i++)
                check_row(&again, i, &expect[from + 2 + i]);
        }
    assert_int_equal(vec_slice(&out, v, LEN, 1, a, NULL), FZ_INTERNAL);
    assert_int_equal(vec_slice(&out, v, 5, UINT32_MAX, a, NULL), FZ_INTERNAL);
}
static void rows_are_sliced(void **state) { each_vector(slice_one); }

/* A held copy must not lean on the memory of a batch that isn't stable. */
static void copies_stand_alone(void **state)
{
    static datum expect[LEN], texts[LEN];
    arena keep; /* what the expected values point to */
    arena_init(&keep, NULL);
    for (int t = 0; t < NTYPES; t++)
        for (int e = VEC_FLAT; e <= VEC_RLE; e++)
            for (int select = 0; select < 2; select++) {
                batch src, dst;
                uint16_t sel[LEN];
                batch_init(&src, NULL);
                batch_init(&dst, NULL);
                batch_columns(&src, 2, NULL);
                make(&src.cols[0], types[t], (vec_enc)e, true, &src.mem, expect);
                make(&src.cols[1], types[t], (vec_enc)e, false, &src.mem, texts);
                for (uint32_t i = 0; i < LEN; i++) {
                    if (!texts[i].null && type_phys(types[t]) == PHYS_STR) {
                        texts[i].s.p = arena_strndup(&keep, texts[i].s.p, texts[i].s.n);
                        if (!expect[i].null)
                            expect[i].s.p = arena_strndup(&keep, expect[i].s.p, expect[i].s.n);
                    }
                }
                src.nrows = src.nsel = LEN;
                src.morsel = 7;
                src.seq = 3;
                for (uint32_t i = 0; i < LEN / 3; i++)
                    sel[i] = (uint16_t)(i * 3);
                if (select) {
                    src.sel = sel;
                    src.nsel = LEN / 3;
                }
                assert_int_equal(batch_hold(&dst, &src, NULL), FZ_OK);
                uint32_t n = src.nsel;
                batch_free(&src);
                memset(sel, 0xff, sizeof sel);
                assert_int_equal(dst.nrows, n);
                assert_int_equal(dst.nsel, n);
                assert_null(dst.sel);
                assert_int_equal(dst.morsel, 7);
                assert_int_equal(dst.seq, 3);
                for (uint32_t i = 0; i < n; i++) {
                    check_row(&dst.cols[0], i, &expect[select ? i * 3 : i]);
                    check_row(&dst.cols[1], i, &texts[select ? i * 3 : i]);
                }
                batch_free(&dst);
            }
    arena_free(&keep);
}

static void stable_batches_are_shared(void **state)
{
    mem m;
    mem_init(&m, NULL, NULL, 0);
    batch src, dst, moved;
    batch_init(&src, &m);
    batch_init(&dst, &m);
    batch_init(&moved, &m);
    buf *codes = buf_new(&m, 100 * 4), *words = buf_new(&m, 64), *views = buf_new(&m, 2 * sizeof(strview));
    memcpy(words->data, "a text that is longerand another one", 37);
    ((strview *)views->data)[0] = strview_make((char *)words->data, 21);
    ((strview *)views->data)[1] = strview_make((char *)words->data + 21, 15);
    batch_columns(&src, 3, NULL);
    vec *values = ARENA_NEW(&src.mem, vec);
    *values = (vec){.t = TYPE(T_STRING), .len = 2, .data = views->data};
    uint64_t *valid = bitmap_alloc(&src.mem, 100, true);
    bit_clear(valid, 4);
    for (int i = 0; i < 100; i++)
        ((uint32_t *)codes->data)[i] = i & 1;
    src.cols[0] = (vec){.t = TYPE(T_STRING), .enc = VEC_DICT, .len = 100, .data = codes->data, .valid = valid, .values = values, .dict_id = 5};
    datum d = {.t = TYPE(T_STRING), .s = STR("a constant in the arena")};
    vec_const(&src.cols[1], &d, 100, &src.mem, NULL);
    uint32_t *ends = ARENA_ARRAY(&src.mem, uint32_t, 2);
    ends[0] = 30;
    ends[1] = 100;
    src.cols[2] = (vec){.t = TYPE(T_STRING), .enc = VEC_RLE, .len = 100, .nruns = 2, .data = ends, .values = values};
    uint16_t sel[3] = {3, 4, 50};
    src.sel = sel;
    src.nrows = 100;
    src.nsel = 3;
    src.stable = true;
    batch_keep(&src, codes, NULL);
    batch_keep(&src, words, NULL);
    batch_keep(&src, views, NULL);
    batch_keep(&src, NULL, NULL);
    buf_unref(codes);
    buf_unref(words);
    buf_unref(views);
    assert_int_equal(batch_hold(&dst, &src, NULL), FZ_OK);
    assert_ptr_equal(dst.cols[0].data, codes->data);
    assert_int_equal(dst.cols[0].dict_id, 5);
    batch_free(&src);
    memset(sel, 0xff, sizeof sel);
    batch_move(&moved, &dst);
    assert_int_equal(dst.ncols, 0);
    batch_free(&dst);
    assert_true(moved.stable);
    assert_int_equal(moved.sel[2], 50);
    assert_true(str_eqz(vec_datum(&moved.cols[0], 3).s, "and another one"));
    assert_true(vec_is_null(&moved.cols[0], 4));
    assert_true(str_eqz(vec_datum(&moved.cols[1], 99).s, "a constant in the arena"));
    assert_true(str_eqz(vec_datum(&moved.cols[2], 29).s, "a text that is longer"));
    assert_true(str_eqz(vec_datum(&moved.cols[2], 30).s, "and another one"));
    batch_free(&moved);
    assert_int_equal(m.used, 0);
}

static void odd_vectors(void **state)
{
    arena a;
    vec v, out;
    fz_error e;
    arena_init(&a, NULL);
    vec none = {.t = TYPE(T_STRING)}; /* a dictionary without values: every row is null */
    uint32_t codes[10] = {0};
    vec d = {.t = TYPE(T_STRING), .enc = VEC_DICT, .len = 10, .data = codes, .valid = bitmap_alloc(&a, 10, false), .values = &none};
    assert_int_equal(vec_gather(&out, &d, NULL, 10, true, &a, NULL), FZ_OK);
    for (uint32_t i = 0; i < 10; i++)
        assert_true(vec_is_null(&out, i));
    datum null = DATUM_NULL(TYPE(T_NULL)); /* the type of a bare NULL */
    assert_int_equal(vec_const(&v, &null, 3, &a, NULL), FZ_OK);
    assert_true(vec_is_null(&v, 2) && vec_may_null(&v) && vec_datum(&v, 1).null);
    assert_int_equal(vec_flatten(&out, &v, &a, NULL), FZ_OK);
    assert_true(vec_is_null(&out, 2));
    assert_int_equal(vec_alloc(&v, (type){.id = T_LIST}, 3, &a, &e), FZ_INTERNAL);
    assert_string_equal(e.message, "a nested type without members");
    assert_int_equal(vec_alloc(&v, TYPE(T_INT32), 0, &a, NULL), FZ_OK);
    assert_non_null(v.data);
    arena_free(&a);
    batch b;
    batch_init(&b, NULL);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 40; i++) {
            buf *x = buf_new(NULL, 8);
            assert_int_equal(batch_keep(&b, x, NULL), FZ_OK);
            buf_unref(x);
        }
        assert_int_equal(b.nkeep, 40);
        batch_reset(&b);
        assert_int_equal(b.nkeep, 0);
    }
    batch_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_read),      cmocka_unit_test(rows_are_gathered),
        cmocka_unit_test(rows_are_sliced),    cmocka_unit_test(copies_stand_alone),
        cmocka_unit_test(stable_batches_are_shared), cmocka_unit_test(odd_vectors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
