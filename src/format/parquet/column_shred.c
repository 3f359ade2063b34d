/*
 * column_shred.c: from vectors of nested columns to the entries of a leaf: definition level, repetition level and, where the
 * levels say that there is one, the value's position in the leaf's vector.
 *
 * The way to the leaf is walked a step at a time for a block of rows, all entries of the block at each step: an entry is
 * a row of the vector reached so far, or DEAD if a null or an empty list ended it above; then its levels stay as they are. A
 * struct leaves the number of entries as it is, a list or map makes of each entry one per element, or a dead one
 * where it has none. Values under null parents are never looked at.
 *
 *   def   one more for each optional level that isn't null and each list that isn't empty
 *   rep   of the first element what its list had, of the others the level of their list
 */
#include "base/clones.h"
#include "format/parquet/column_write_int.h"

#define DEAD      UINT32_MAX
#define ENTRIES_MAX (1u << 30)

static fz_status level_room(shred_level *l, size_t n, mem *m, fz_error *err)
{
    if (n > ENTRIES_MAX)
        return error_set(err, FZ_LIMIT, "a row of more than %u list elements", ENTRIES_MAX);
    if (n <= l->cap)
        return FZ_OK;
    size_t cap = 2 * (size_t)l->cap > n ? 2 * (size_t)l->cap : n;
    shred_level x = {.at = mem_alloc(m, cap * sizeof *x.at), .def = mem_alloc(m, cap), .rep = mem_alloc(m, cap),
                     .cap = (uint32_t)cap};
    if (!x.at || !x.def || !x.rep) {
        shred_level_free(&x, m);
        return error_nomem(err);
    }
    shred_level_free(l, m);
    *l = x;
    return FZ_OK;
}

void shred_level_free(shred_level *l, mem *m)
{
    mem_free(m, l->at, l->cap * sizeof *l->at);
    mem_free(m, l->def, l->cap);
    mem_free(m, l->rep, l->cap);
    *l = (shred_level){0};
}

CLONES
static void add_one(uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        p[i]++;
}

/* Entries of a vector that is CONST stand for its only row. */
static void to_only_row(shred_level *l)
{
    for (uint32_t i = 0; i < l->n; i++)
        l->at[i] = l->at[i] == DEAD ? DEAD : 0;
}

/* Ends entries whose row is null and counts a level for the others. v: FLAT or CONST, or a leaf's. */
static fz_status nulls_end(column_writer *c, shred_level *l, const vec *v, bool optional, fz_error *err)
{
    const uint64_t *valid = v->valid;
    if (!valid) {
        if (!optional)
            return FZ_OK;
        if (!l->dead) {
            add_one(l->def, l->n);
            return FZ_OK;
        }
        for (uint32_t i = 0; i < l->n; i++)
            l->def[i] += l->at[i] != DEAD;
        return FZ_OK;
    }
    bool dead = false, null = false;
    for (uint32_t i = 0; i < l->n; i++) {
        uint32_t at = l->at[i];
        bool live = at != DEAD, there = live && bit_get(valid, at);
        l->def[i] += there & optional;
        null |= live & !there;
        dead |= !there;
        l->at[i] = there ? at : DEAD;
    }
    l->dead |= dead;
    if (null && !optional)
        return error_set(err, FZ_VALUE, "null in column \"" STR_FMT "\", or in a part of it that is required", STR_ARG(c->name));
    return FZ_OK;
}

/* One entry per element. */
static fz_status expand(column_writer *c, shred_level *from, shred_level *to, const uint32_t *off, uint8_t rep, fz_error *err)
{
    size_t total = 0;
    for (uint32_t i = 0; i < from->n; i++) {
        uint32_t at = from->at[i], k = at == DEAD ? 0 : off[at + 1] - off[at];
        total += k ? k : 1;
    }
    TRY(level_room(to, total, c->m, err));
    uint32_t n = 0;
    to->dead = false;
    for (uint32_t i = 0; i < from->n; i++) {
        uint32_t at = from->at[i], k = at == DEAD ? 0 : off[at + 1] - off[at];
        uint8_t def = from->def[i];
        to->rep[n] = from->rep[i];
        if (k == 0) {
            to->at[n] = DEAD;
            to->def[n++] = def;
            to->dead = true;
            continue;
        }
        uint32_t e = off[at];
        def++;
        to->at[n] = e;
        to->def[n++] = def;
        for (uint32_t j = 1; j < k; j++, n++) {
            to->at[n] = e + j;
            to->def[n] = def;
            to->rep[n] = rep;
        }
    }
    to->n = n;
    return FZ_OK;
}

/* The run of an RLE vector that has the row. */
static uint32_t run_find(const vec *v, uint32_t row)
{
    const uint32_t *ends = v->data;
    uint32_t lo = 0, hi = v->nruns ? v->nruns - 1 : 0;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (ends[mid] > row)
            hi = mid;
        else
            lo = mid + 1;
    }
    return lo;
}

/* The leaf's own nulls, and positions of the values that are left. */
static fz_status leaf_values(column_writer *c, shred_level *l, const vec *v, shredded *out, fz_error *err)
{
    const vec *u = v;
    if (v->enc == VEC_RLE) {
        u = v->values;
        for (uint32_t i = 0, run = 0; i < l->n; i++) {
            if (l->at[i] == DEAD)
                continue;
            const uint32_t *ends = v->data;
            if (l->at[i] >= ends[run] || (run && l->at[i] < ends[run - 1]))
                run = run_find(v, l->at[i]);
            l->at[i] = run;
        }
    } else if (v->enc == VEC_CONST) {
        to_only_row(l);
    }
    TRY(nulls_end(c, l, v->enc == VEC_RLE ? u : v, c->leaf->optional, err));
    uint32_t k = 0;
    if (!l->dead)
        k = l->n;
    else
        for (uint32_t i = 0; i < l->n; i++) {
            l->at[k] = l->at[i];
            k += l->at[i] != DEAD;
        }
    if (v->enc == VEC_DICT) {
        u = v->values;
        for (uint32_t i = 0; i < k; i++)
            l->at[i] = ((const uint32_t *)v->data)[l->at[i]];
    }
    *out = (shredded){.n = l->n, .n_values = k, .def = l->def, .rep = l->rep, .at = l->at, .values = u};
    return FZ_OK;
}

const vec *shred_plain_path(const column_writer *c, const vec *v)
{
    const file_leaf *leaf = c->leaf;
    for (uint32_t i = 0; i < leaf->n_steps; i++) {
        if (leaf->steps[i].list || v->enc != VEC_FLAT || v->valid)
            return NULL;
        v = &v->kids[leaf->steps[i].member];
    }
    return v;
}

fz_status shred(column_writer *c, column_scratch *s, const vec *v, const uint16_t *sel, uint32_t from, uint32_t n,
                shredded *out, fz_error *err)
{
    const file_leaf *leaf = c->leaf;
    shred_level *l = &s->shred[0], *other = &s->shred[1];
    TRY(level_room(l, n, c->m, err));
    l->n = n;
    l->dead = false;
    for (uint32_t i = 0; i < n; i++)
        l->at[i] = sel ? sel[from + i] : from + i;
    memset(l->def, 0, n);
    memset(l->rep, 0, n);
    for (uint32_t i = 0; i < leaf->n_steps; i++) {
        const leaf_step *step = &leaf->steps[i];
        if (v->enc == VEC_CONST)
            to_only_row(l);
        TRY(nulls_end(c, l, v, step->optional, err));
        if (step->list) {
            static const uint32_t none[2];
            TRY(expand(c, l, other, v->data ? v->data : none, step->rep, err));
            shred_level *t = l;
            l = other;
            other = t;
        }
        if (!v->kids) { /* a null constant: nothing is left to walk to */
            *out = (shredded){.n = l->n, .def = l->def, .rep = l->rep, .at = l->at};
            return FZ_OK;
        }
        v = &v->kids[step->member];
    }
    return leaf_values(c, l, v, out, err);
}
