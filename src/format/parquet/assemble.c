/*
 * assemble.c: nested vectors from the values and levels of chunks.
 *
 * Chunks have read their leaves: a vector with a value for each place of the leaf's context, and the levels of
 * all entries (schema.c says what contexts, places and levels are). Going from the column down, each struct gets
 * its validity, each list its offsets and validity, from the levels of one chunk below it; a node's places
 * are its parent's, or the elements of the list that it is in.
 *
 * Levels of different chunks tell the same story of the structs and lists they share. Files can lie: where a
 * struct's or map's members part, their levels are compared as far as the struct reaches, and every vector's
 * length is held against its parent's.
 */
#include "format/parquet/cursor_int.h"

#include "base/clones.h"

#define PIECE 4096

static fz_status levels_disagree(const pq_cursor *c, const pq_node *f, fz_error *err)
{
    return error_set(err, FZ_DATA, "Parquet column \"" STR_FMT "\" has members whose levels disagree",
                     STR_ARG(c->p->meta.schema[f->element].name));
}

/* Memory that lives as long as the batch. */
static void *kept(pq_cursor *c, size_t bytes, batch *out, fz_error *err)
{
    buf *b = buf_new(c->m, bytes);
    if (!b || batch_keep(out, b, NULL) != FZ_OK) {
        error_nomem(err);
        buf_unref(b);
        return NULL;
    }
    void *p = b->data;
    buf_unref(b);
    return p;
}

/* ---- levels of one chunk ---- */

/* How many entries are places of a context. */
CLONES static uint32_t places_count(const uint8_t *def, const uint8_t *rep, uint32_t n, uint8_t r, uint8_t ctx)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < n; i++)
        count += (rep[i] <= r) & (def[i] >= ctx);
    return count;
}

/* Definition levels of the entries that are places, dense; their number. */
static uint32_t places_take(const uint8_t *def, const uint8_t *rep, uint32_t n, uint8_t r, uint8_t ctx, uint8_t *out)
{
    uint32_t k = 0;
    for (uint32_t i = 0; i < n; i++) {
        out[k] = def[i];
        k += (rep[i] <= r) & (def[i] >= ctx);
    }
    return k;
}

/* Bits of the places whose value isn't null; how many. */
static size_t valid_fill(const pq_levels *l, const pq_node *f, bool deeper, uint64_t *bits)
{
    if (!deeper)
        return f->ctx_def ? levels_bits_among(l->def, l->n, f->ctx_def, f->def, bits, 0)
                          : levels_bits(l->def, l->n, f->def, bits, 0);
    uint8_t some[PIECE];
    size_t at = 0, ones = 0;
    for (uint32_t done = 0; done < l->n;) {
        uint32_t k = l->n - done < PIECE ? l->n - done : PIECE;
        uint32_t m = places_take(l->def + done, l->rep + done, k, f->rep, f->ctx_def, some);
        ones += levels_bits(some, m, f->def, bits, at);
        at += m;
        done += k;
    }
    return ones;
}

/* Offsets of the lists in n places; the number of elements. The last offset is the caller's to set. */
static uint32_t offsets_fill(const pq_levels *l, const pq_node *f, bool deeper, uint32_t *off)
{
    uint32_t s = 0, e = 0;
    const uint8_t *def = l->def, *rep = l->rep;
    uint8_t r = f->rep, ctx = f->ctx_def, item = f->item_def;
    if (!deeper && l->all) {
        for (uint32_t i = 0; i < l->n; i++) {
            off[s] = i;
            s += rep[i] <= r;
        }
        return l->n;
    }
    if (!deeper) {
        for (uint32_t i = 0; i < l->n; i++) {
            off[s] = e;
            s += (rep[i] <= r) & (def[i] >= ctx);
            e += def[i] >= item;
        }
        return e;
    }
    for (uint32_t i = 0; i < l->n; i++) {
        off[s] = e;
        s += (rep[i] <= r) & (def[i] >= ctx);
        e += (rep[i] <= r + 1) & (def[i] >= item);
    }
    return e;
}

/* ---- levels of two chunks ---- */

static inline uint8_t def_at(const pq_levels *l, const pq_leaf *leaf, uint32_t i, uint8_t most)
{
    uint8_t d = l->all ? leaf->max_def : l->def[i];
    return d < most ? d : most;
}

CLONES static bool defs_agree(const uint8_t *a, const uint8_t *b, uint32_t n, uint8_t most)
{
    uint8_t differ = 0;
    for (uint32_t i = 0; i < n; i++)
        differ |= (a[i] < most ? a[i] : most) ^ (b[i] < most ? b[i] : most);
    return !differ;
}

/* Whether entries at most at repetition r tell the same up to definition level `most`. */
static bool levels_agree(const pq_chunk *a, const pq_chunk *b, uint8_t r, uint8_t most)
{
    const pq_levels *x = &a->levels, *y = &b->levels;
    if (a == b || (r == 0 && most == 0))
        return true;
    if (a->leaf->max_rep == r && b->leaf->max_rep == r) {
        if (x->n != y->n || (r && memcmp(x->rep, y->rep, x->n)))
            return false;
        if (x->all && y->all)
            return true;
        if (x->all)
            return levels_count(y->def, y->n, most) == y->n;
        if (y->all)
            return levels_count(x->def, x->n, most) == x->n;
        return defs_agree(x->def, y->def, x->n, most);
    }
    bool ra = a->leaf->max_rep > 0, rb = b->leaf->max_rep > 0;
    uint32_t i = 0, j = 0;
    for (;; i++, j++) {
        while (ra && i < x->n && x->rep[i] > r)
            i++;
        while (rb && j < y->n && y->rep[j] > r)
            j++;
        if (i == x->n || j == y->n)
            return i == x->n && j == y->n;
        if ((ra ? x->rep[i] : 0) != (rb ? y->rep[j] : 0) || def_at(x, a->leaf, i, most) != def_at(y, b->leaf, j, most))
            return false;
    }
}

/* ---- nodes ---- */

/* Sets the validity of a struct or list whose places were counted. */
static fz_status node_valid(pq_cursor *c, plan_node *x, bool deeper, batch *out, fz_error *err)
{
    const pq_levels *l = &c->chunks[x->chunk]->levels;
    if (x->f->def == x->f->ctx_def || l->all || x->places == 0 || levels_count(l->def, l->n, x->f->def) == l->n)
        return FZ_OK;
    uint64_t *bits = kept(c, BITMAP_WORDS(x->places) * 8, out, err);
    if (!bits)
        return FZ_NOMEM;
    if (valid_fill(l, x->f, deeper, bits) < x->places)
        x->v->valid = bits;
    return FZ_OK;
}

static fz_status node_assemble(pq_cursor *c, plan_node *x, batch *out, fz_error *err)
{
    const pq_node *f = x->f;
    const pq_chunk *ch = c->chunks[x->chunk];
    const pq_levels *l = &ch->levels;
    bool list = f->kind != NODE_STRUCT, deeper = ch->leaf->max_rep > f->rep + list;
    *x->v = (vec){.t = x->t, .enc = VEC_FLAT, .len = x->places};
    x->v->kids = ARENA_ARRAY(&out->mem, vec, x->n_kids ? x->n_kids : 1);
    if (!x->v->kids)
        return error_nomem(err);
    /* A chunk's read ends where the row does: the rows themselves need not be counted. */
    uint32_t there = f->rep == 0 && ch->leaf->max_rep ? x->places
                     : l->all && ch->leaf->max_rep == f->rep ? l->n
                     : ch->leaf->max_rep == 0 ? l->n
                     : places_count(l->def, l->rep, l->n, f->rep, f->ctx_def);
    if (there != x->places)
        return levels_disagree(c, f, err);
    TRY(node_valid(c, x, deeper || list, out, err));
    uint32_t places = x->places;
    if (list) {
        uint32_t *off = kept(c, ((size_t)x->places + 1) * sizeof *off, out, err);
        if (!off)
            return FZ_NOMEM;
        places = offsets_fill(l, f, deeper, off);
        off[x->places] = places;
        x->v->data = off;
    }
    for (uint32_t j = 0; j < x->n_kids; j++) {
        plan_node *kid = &c->nodes[x->kids + j];
        kid->v = &x->v->kids[j];
        kid->places = places;
        if (kid->f && !levels_agree(ch, c->chunks[kid->chunk], list ? f->rep + 1 : f->rep, list ? f->item_def : f->def))
            return levels_disagree(c, f, err);
    }
    return FZ_OK;
}

static fz_status leaf_place(pq_cursor *c, plan_node *x, fz_error *err)
{
    *x->v = c->values[x->chunk];
    if (x->v->len != x->places)
        return levels_disagree(c, x->f, err);
    return FZ_OK;
}

/* Keys aren't null where the map is: a file whose keys are declared optional could have such. */
static fz_status keys_check(const pq_cursor *c, const plan_node *x, fz_error *err)
{
    const vec *keys = &x->v->kids[0];
    if (x->f->kind != NODE_MAP || !x->f->kids[0]->optional || !vec_may_null(keys))
        return FZ_OK;
    for (uint32_t i = 0; i < keys->len; i++)
        if (vec_is_null(keys, i))
            return error_set(err, FZ_DATA, "Parquet map \"" STR_FMT "\" has a key that is null",
                             STR_ARG(c->p->meta.schema[x->f->element].name));
    return FZ_OK;
}

fz_status assemble(pq_cursor *c, uint32_t rows, vec *v, batch *out, fz_error *err)
{
    c->nodes[0].v = v;
    c->nodes[0].places = rows;
    for (uint32_t i = 0; i < c->n_nodes; i++) {
        plan_node *x = &c->nodes[i];
        if (!x->f) {
            datum null = DATUM_NULL(x->t);
            TRY(vec_const(x->v, &null, x->places, &out->mem, err));
        } else if (x->f->kind == NODE_LEAF) {
            TRY(leaf_place(c, x, err));
        } else {
            TRY(node_assemble(c, x, out, err));
        }
    }
    for (uint32_t i = 0; i < c->n_nodes; i++)
        if (c->nodes[i].f && c->nodes[i].f->kind == NODE_MAP)
            TRY(keys_check(c, &c->nodes[i], err));
    return FZ_OK;
}
