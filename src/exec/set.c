/*
 * set.c: see set_int.h. Open addressing over 16-byte words; text compares by content.
 */
#include "exec/set_int.h"

#include "base/hash.h"

typedef union word { struct { uint64_t lo, hi; }; strview s; } word;

struct value_set {
    mem *m;
    type t;
    phys p;
    bool has_null;
    uint32_t n, cap;  /* cap: a power of two */
    word *slots;
    uint8_t *used;
    arena text;
};

fz_status value_set_new(mem *m, type t, uint32_t room, value_set **out, fz_error *err)
{
    value_set *s = mem_zalloc(m, sizeof *s);
    *out = s;
    if (!s)
        return error_nomem(err);
    s->m = m;
    s->t = t;
    s->p = type_phys(t);
    arena_init(&s->text, m);
    s->cap = 16;
    while (s->cap < room * 2u && s->cap < 1u << 30)
        s->cap *= 2;
    s->slots = mem_zalloc(m, s->cap * sizeof *s->slots);
    s->used = mem_zalloc(m, s->cap);
    return s->slots && s->used ? FZ_OK : error_nomem(err);
}

void value_set_close(void *set)
{
    value_set *s = set;
    if (!s)
        return;
    mem_free(s->m, s->slots, s->cap * sizeof *s->slots);
    mem_free(s->m, s->used, s->cap);
    arena_free(&s->text);
    mem_free(s->m, s, sizeof *s);
}

bool value_set_has_null(const value_set *s) { return s->has_null; }

static uint64_t bits_f64(double v)
{
    uint64_t w;
    if (v == 0)
        v = 0; /* -0 */
    if (v != v)
        return 0x7ff8000000000000ull;
    memcpy(&w, &v, 8);
    return w;
}

static word word_at(const value_set *s, const void *data, uint32_t i)
{
    word w = {0};
    switch (s->p) {
    case PHYS_U8: w.lo = ((const uint8_t *)data)[i]; break;
    case PHYS_I32: w.lo = (uint64_t)(int64_t)((const int32_t *)data)[i]; break;
    case PHYS_I64: w.lo = (uint64_t)((const int64_t *)data)[i]; break;
    case PHYS_F32: w.lo = bits_f64(((const float *)data)[i]); break;
    case PHYS_F64: w.lo = bits_f64(((const double *)data)[i]); break;
    case PHYS_I128:
    case PHYS_STR: memcpy(&w, (const char *)data + (size_t)i * 16, 16); break;
    default: break;
    }
    return w;
}

static uint64_t word_hash(const value_set *s, const word *w)
{
    if (s->p != PHYS_STR)
        return hash_u64(w->lo ^ (w->hi * 0x9e3779b97f4a7c15u));
    return hash_bytes(strview_ptr(&w->s), w->s.len);
}

static bool word_eq(const value_set *s, const word *a, const word *b)
{
    if (a->lo == b->lo && a->hi == b->hi)
        return true;
    if (s->p != PHYS_STR || a->lo != b->lo)
        return false;
    return strview_eq(&a->s, &b->s);
}

static bool find(const value_set *s, const word *w, uint32_t *slot)
{
    uint32_t at = (uint32_t)word_hash(s, w) & (s->cap - 1);
    while (s->used[at]) {
        if (word_eq(s, &s->slots[at], w)) {
            *slot = at;
            return true;
        }
        at = (at + 1) & (s->cap - 1);
    }
    *slot = at;
    return false;
}

fz_status value_set_add(value_set *s, const datum *d, fz_error *err)
{
    if (d->null) {
        s->has_null = true;
        return FZ_OK;
    }
    if (s->n * 2 >= s->cap)
        return error_set(err, FZ_INTERNAL, "a set with room for %u values is full", s->cap / 2);
    vec v;
    TRY(vec_const(&v, d, 1, &s->text, err));
    word w = word_at(s, v.data, 0);
    uint32_t slot;
    if (!find(s, &w, &slot)) {
        s->slots[slot] = w;
        s->used[slot] = 1;
        s->n++;
    }
    return FZ_OK;
}

void value_set_lookup(const value_set *s, const vec *v, const uint16_t *rows, uint32_t n, uint8_t *out)
{
    uint32_t stride = v->enc == VEC_CONST ? 0 : 1, slot;
    for (uint32_t k = 0; k < n; k++) {
        uint32_t i = rows ? rows[k] : k;
        word w = word_at(s, v->data, i * stride);
        out[i] = find(s, &w, &slot);
    }
}
