/*
 * agg.c: aggregates of a plan: calls on the functions of agg_func.c, and DISTINCT.
 *
 * The state of a DISTINCT aggregate is a set of the values seen so far; the function itself runs at
 * the end, over the set. Values are 16-byte words (text: views whose bytes lie in the arena).
 */
#include "exec/agg_int.h"

#include "base/hash.h"

typedef union dword { struct { uint64_t lo, hi; }; strview s; } dword;
typedef struct dset { /* in the state; zero: empty */
    dword *slots;
    uint8_t *used;
    uint32_t n, cap, pad[2];
} dset;

void agg_inst_init(agg_inst *x, const agg_expr *e)
{
    *x = (agg_inst){.e = e, .fn = e->fn, .distinct = e->distinct && e->arg && !e->fn->plain_distinct};
    x->size = x->distinct ? (uint32_t)sizeof(dset) : e->fn->size;
}

static uint64_t canonical_f64(double v)
{
    uint64_t w;
    if (v == 0)
        v = 0;
    if (v != v)
        return 0x7ff8000000000000ull;
    memcpy(&w, &v, 8);
    return w;
}

static dword word_load(const vec *v, uint32_t i)
{
    dword w = {0};
    switch (type_phys(v->t)) {
    case PHYS_U8: w.lo = ((const uint8_t *)v->data)[i]; break;
    case PHYS_I32: w.lo = (uint64_t)(int64_t)((const int32_t *)v->data)[i]; break;
    case PHYS_I64: w.lo = (uint64_t)((const int64_t *)v->data)[i]; break;
    case PHYS_F32: w.lo = canonical_f64(((const float *)v->data)[i]); break;
    case PHYS_F64: w.lo = canonical_f64(((const double *)v->data)[i]); break;
    case PHYS_I128:
    case PHYS_STR: memcpy(&w, (const char *)v->data + (size_t)i * 16, 16); break;
    default: break;
    }
    return w;
}

static void word_store(vec *v, uint32_t i, const dword *w)
{
    double d;
    switch (type_phys(v->t)) {
    case PHYS_U8: ((uint8_t *)v->data)[i] = (uint8_t)w->lo; break;
    case PHYS_I32: ((int32_t *)v->data)[i] = (int32_t)w->lo; break;
    case PHYS_I64: ((int64_t *)v->data)[i] = (int64_t)w->lo; break;
    case PHYS_F32:
        memcpy(&d, &w->lo, 8);
        ((float *)v->data)[i] = (float)d;
        break;
    case PHYS_F64: memcpy((double *)v->data + i, &w->lo, 8); break;
    case PHYS_I128:
    case PHYS_STR: memcpy((char *)v->data + (size_t)i * 16, w, 16); break;
    default: break;
    }
}

static uint64_t word_hash(phys p, const dword *w)
{
    if (p == PHYS_STR)
        return hash_bytes(strview_ptr(&w->s), w->s.len);
    return p == PHYS_I128 ? hash_mix(w->lo, w->hi) : hash_u64(w->lo);
}

static bool word_eq(phys p, const dword *a, const dword *b)
{
    return (a->lo == b->lo && a->hi == b->hi) || (p == PHYS_STR && strview_eq(&a->s, &b->s));
}

static uint32_t dset_slot(const dset *s, phys p, const dword *w)
{
    uint32_t at = (uint32_t)word_hash(p, w) & (s->cap - 1);
    while (s->used[at] && !word_eq(p, &s->slots[at], w))
        at = (at + 1) & (s->cap - 1);
    return at;
}

static fz_status dset_grow(dset *s, phys p, arena *a, fz_error *err)
{
    dset big = {.cap = s->cap ? s->cap * 2 : 8, .n = s->n};
    if (s->cap >= 1u << 30)
        return error_set(err, FZ_LIMIT, "more than %u distinct values in one group", s->n);
    big.slots = ARENA_ARRAY(a, dword, big.cap);
    big.used = arena_zalloc(a, big.cap);
    if (!big.slots || !big.used)
        return error_nomem(err);
    for (uint32_t i = 0; i < s->cap; i++)
        if (s->used[i]) {
            uint32_t at = dset_slot(&big, p, &s->slots[i]);
            big.slots[at] = s->slots[i];
            big.used[at] = 1;
        }
    *s = big;
    return FZ_OK;
}

static fz_status dset_add(dset *s, phys p, dword w, arena *a, fz_error *err)
{
    if (s->n * 4u >= s->cap * 3u)
        TRY(dset_grow(s, p, a, err));
    uint32_t at = dset_slot(s, p, &w);
    if (s->used[at])
        return FZ_OK;
    if (p == PHYS_STR && w.s.len > 12) {
        char *copy = arena_alloc(a, w.s.len);
        if (!copy)
            return error_nomem(err);
        memcpy(copy, w.s.ptr, w.s.len);
        w.s.ptr = copy;
    }
    s->slots[at] = w;
    s->used[at] = 1;
    s->n++;
    return FZ_OK;
}

fz_status agg_update(const agg_inst *x, agg_call *c, fz_error *err)
{
    c->e = x->e;
    c->off = x->off;
    if (!x->distinct)
        return x->fn->update(c, err);
    phys p = type_phys(c->arg->t);
    for (uint32_t k = 0; k < c->n; k++) {
        uint32_t i = c->rows ? c->rows[k] : c->first + k, at = c->arg->enc == VEC_CONST ? 0 : i;
        if (c->arg->valid && !bit_get(c->arg->valid, at))
            continue;
        dset *s = (dset *)((c->groups ? c->groups[k] : c->one) + c->off);
        TRY(dset_add(s, p, word_load(c->arg, at), c->a, err));
    }
    return FZ_OK;
}

fz_status agg_merge(const agg_inst *x, uint8_t *to_row, const uint8_t *from_row, arena *a, fz_error *err)
{
    if (!x->distinct)
        return x->fn->merge(x->e, to_row + x->off, from_row + x->off, a, err);
    dset *to = (dset *)(to_row + x->off);
    const dset *from = (const dset *)(from_row + x->off);
    phys p = type_phys(x->e->arg->t);
    for (uint32_t i = 0; i < from->cap; i++)
        if (from->used[i])
            TRY(dset_add(to, p, from->slots[i], a, err));
    return FZ_OK;
}

fz_status agg_finish(const agg_inst *x, const uint8_t *row, vec *out, uint32_t at, arena *scratch, fz_error *err)
{
    if (!x->distinct)
        return x->fn->finish(x->e, row + x->off, out, at, err);
    const dset *s = (const dset *)(row + x->off);
    _Alignas(16) uint8_t state[64] = {0};
    uint32_t i = 0;
    vec v;
    TRY(vec_alloc(&v, x->e->arg->t, 1024, scratch, err));
    while (i < s->cap) {
        uint32_t n = 0;
        for (; i < s->cap && n < 1024; i++)
            if (s->used[i])
                word_store(&v, n++, &s->slots[i]);
        agg_call c = {.e = x->e, .arg = &v, .n = n, .one = state, .a = scratch};
        TRY(x->fn->update(&c, err));
    }
    return x->fn->finish(x->e, state, out, at, err);
}
