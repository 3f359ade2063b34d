/*
 * agg.c: aggregates of a plan: calls on the functions of agg_func.c, and DISTINCT.
 *
 * The state of a DISTINCT aggregate is a set of the values seen so far; the function itself runs at
 * the end, over the set. Values are 16-byte words (text: views whose bytes lie in the arena); a byte of each
 * value's hash, apart from them, says whether a slot is taken and nearly always whether it is another value's.
 */
#include "exec/agg_int.h"

#include "base/hash.h"

typedef union dword { struct { uint64_t lo, hi; }; strview s; } dword;
typedef struct dset { /* in the state; zero: empty */
    dword *slots;
    uint8_t *tags;
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

static inline dword word_load(const vec *v, phys p, uint32_t i)
{
    dword w = {0};
    switch (p) {
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

static void word_store(vec *v, phys p, uint32_t i, const dword *w)
{
    double d;
    switch (p) {
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

static inline uint64_t word_hash(phys p, const dword *w)
{
    if (p == PHYS_STR)
        return hash_bytes(strview_ptr(&w->s), w->s.len);
    return p == PHYS_I128 ? hash_mix(w->lo, w->hi) : hash_u64(w->lo);
}

static inline bool word_eq(phys p, const dword *a, const dword *b)
{
    return (a->lo == b->lo && a->hi == b->hi) || (p == PHYS_STR && strview_eq(&a->s, &b->s));
}

static inline uint8_t tag_of(uint64_t hash) { return (uint8_t)(hash >> 57 | 0x80); }

static inline uint32_t dset_slot(const dset *s, phys p, const dword *w, uint64_t hash)
{
    uint32_t at = (uint32_t)hash & (s->cap - 1);
    uint8_t tag = tag_of(hash);
    while (s->tags[at] && (s->tags[at] != tag || !word_eq(p, &s->slots[at], w)))
        at = (at + 1) & (s->cap - 1);
    return at;
}

static fz_status dset_reserve(dset *s, phys p, uint64_t n, arena *a, fz_error *err)
{
    dset big = {.cap = s->cap ? s->cap : 8, .n = s->n};
    while (n * 4 > big.cap * 3ull && big.cap < 1u << 31)
        big.cap *= 2;
    if (big.cap == s->cap)
        return FZ_OK;
    if (big.cap > 1u << 30)
        return error_set(err, FZ_LIMIT, "more than %u distinct values in one group", s->n);
    big.slots = arena_alloc(a, big.cap * sizeof *big.slots);
    big.tags = arena_zalloc(a, big.cap);
    if (!big.slots || !big.tags)
        return error_nomem(err);
    for (uint32_t i = 0; i < s->cap; i++)
        if (s->tags[i]) {
            uint64_t hash = word_hash(p, &s->slots[i]);
            uint32_t at = dset_slot(&big, p, &s->slots[i], hash);
            big.slots[at] = s->slots[i];
            big.tags[at] = tag_of(hash);
        }
    *s = big;
    return FZ_OK;
}

static inline fz_status dset_add(dset *s, phys p, dword w, uint64_t hash, arena *a, fz_error *err)
{
    if ((s->n + 1) * 4ull > s->cap * 3ull)
        TRY(dset_reserve(s, p, s->cap, a, err));
    uint32_t at = dset_slot(s, p, &w, hash);
    if (s->tags[at])
        return FZ_OK;
    if (p == PHYS_STR && w.s.len > 12) {
        char *copy = arena_alloc(a, w.s.len);
        if (!copy)
            return error_nomem(err);
        memcpy(copy, w.s.ptr, w.s.len);
        w.s.ptr = copy;
    }
    s->slots[at] = w;
    s->tags[at] = tag_of(hash);
    s->n++;
    return FZ_OK;
}

/* Values of up to AHEAD rows are hashed and their cache lines asked for before the first is looked up. */
#define AHEAD 64
static fz_status dset_update(const agg_call *c, fz_error *err)
{
    phys p = type_phys(c->arg->t);
    dword words[AHEAD];
    uint64_t hashes[AHEAD];
    dset *sets[AHEAD];
    for (uint32_t k = 0; k < c->n;) {
        uint32_t n = 0;
        for (; k < c->n && n < AHEAD; k++) {
            uint32_t i = c->rows ? c->rows[k] : c->first + k, at = c->arg->enc == VEC_CONST ? 0 : i;
            if (c->arg->valid && !bit_get(c->arg->valid, at))
                continue;
            dset *s = sets[n] = (dset *)((c->groups ? c->groups[k] : c->one) + c->off);
            words[n] = word_load(c->arg, p, at);
            hashes[n] = word_hash(p, &words[n]);
            if (s->cap) {
                __builtin_prefetch(&s->tags[(uint32_t)hashes[n] & (s->cap - 1)]);
                __builtin_prefetch(&s->slots[(uint32_t)hashes[n] & (s->cap - 1)]);
            }
            n++;
        }
        for (uint32_t j = 0; j < n; j++)
            TRY(dset_add(sets[j], p, words[j], hashes[j], c->a, err));
    }
    return FZ_OK;
}

fz_status agg_update(const agg_inst *x, agg_call *c, fz_error *err)
{
    c->e = x->e;
    c->off = x->off;
    if (!x->distinct)
        return x->fn->update(c, err);
    return dset_update(c, err);
}

fz_status agg_merge(const agg_inst *x, uint8_t *to_row, const uint8_t *from_row, arena *a, fz_error *err)
{
    if (!x->distinct)
        return x->fn->merge(x->e, to_row + x->off, from_row + x->off, a, err);
    dset *to = (dset *)(to_row + x->off);
    const dset *from = (const dset *)(from_row + x->off);
    phys p = type_phys(x->e->arg->t);
    if (!from->n)
        return FZ_OK;
    /* Room for all first: values come in the order of their hashes, a smaller table would fill from one end. */
    TRY(dset_reserve(to, p, (uint64_t)to->n + from->n, a, err));
    for (uint32_t i = 0; i < from->cap; i++)
        if (from->tags[i])
            TRY(dset_add(to, p, from->slots[i], word_hash(p, &from->slots[i]), a, err));
    return FZ_OK;
}

fz_status agg_finish(const agg_inst *x, const uint8_t *row, vec *out, uint32_t at, arena *scratch, fz_error *err)
{
    if (!x->distinct)
        return x->fn->finish(x->e, row + x->off, out, at, err);
    const dset *s = (const dset *)(row + x->off);
    _Alignas(16) uint8_t state[64] = {0};
    uint32_t i = 0;
    phys p = type_phys(x->e->arg->t);
    vec v;
    TRY(vec_alloc(&v, x->e->arg->t, 1024, scratch, err));
    while (i < s->cap) {
        uint32_t n = 0;
        for (; i < s->cap && n < 1024; i++)
            if (s->tags[i])
                word_store(&v, p, n++, &s->slots[i]);
        agg_call c = {.e = x->e, .arg = &v, .n = n, .one = state, .a = scratch};
        TRY(x->fn->update(&c, err));
    }
    return x->fn->finish(x->e, state, out, at, err);
}
