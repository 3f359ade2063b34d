/* grow.c: see grow.h. */
#include "arrow/grow.h"

#define VALUES_MAX (1u << 26) /* of one column in one batch */
#define HINT_MIN 64
#define HINT_MAX (1u << 18) /* one odd batch doesn't make all later ones large */
#define BYTES_CHUNK (64u << 10)
#define ALIGN64(n) (((size_t)(n) + 63) & ~(size_t)63)

static bool is_list(const grow_col *c) { return c->t.id == T_LIST || c->t.id == T_MAP; }

static uint32_t count_type(type t, unsigned depth)
{
    uint32_t n = 1;
    if (type_is_nested(t) && depth < TYPE_DEPTH_MAX)
        for (uint32_t i = 0; i < t.children->n; i++)
            n += count_type(t.children->f[i].t, depth + 1);
    return n;
}

/* Down to TYPE_DEPTH_MAX: deeper types aren't built by anybody. */
static void add_type(grow *g, type t, uint32_t parent, uint32_t ord, unsigned depth)
{
    uint32_t at = g->n++;
    grow_col *c = &g->cols[at];
    *c = (grow_col){.t = t, .phys = (uint8_t)type_phys(t), .parent = parent, .ord = ord, .hint = HINT_MIN};
    c->size = (uint8_t)(is_list(c) ? 4 : phys_size(c->phys));
    if (type_is_nested(t) && depth < TYPE_DEPTH_MAX)
        for (uint32_t i = 0; i < t.children->n; i++)
            add_type(g, t.children->f[i].t, at, i, depth + 1);
    c->end = g->n;
}

fz_status grow_init(grow *g, uint32_t n, const type *types, blockpool *pool, mem *m, fz_error *err)
{
    *g = (grow){.m = m, .pool = pool, .ntop = n};
    uint32_t all = 0;
    for (uint32_t i = 0; i < n; i++)
        all += count_type(types[i], 0);
    g->cols = mem_alloc(m, sizeof *g->cols * all);
    g->top = mem_alloc(m, sizeof *g->top * n);
    if (!g->cols || !g->top) {
        mem_free(m, g->cols, sizeof *g->cols * all);
        mem_free(m, g->top, sizeof *g->top * n);
        *g = (grow){0};
        return error_nomem(err);
    }
    for (uint32_t i = 0; i < n; i++) {
        g->top[i] = g->n;
        add_type(g, types[i], UINT32_MAX, i, 0);
    }
    return FZ_OK;
}

static void drop(grow *g)
{
    for (uint32_t i = 0; i < g->n; i++) {
        buf_unref(g->cols[i].own);
        g->cols[i].own = NULL;
    }
    buf_unref(g->slab);
    g->slab = NULL;
}

void grow_free(grow *g)
{
    drop(g);
    mem_free(g->m, g->cols, sizeof *g->cols * g->n);
    mem_free(g->m, g->top, sizeof *g->top * g->ntop);
    *g = (grow){0};
}

uint32_t grow_member(const grow *g, uint32_t col, uint32_t ord)
{
    uint32_t i = col + 1;
    while (ord--)
        i = g->cols[i].end;
    return i;
}

static size_t data_bytes(const grow_col *c, uint32_t cap)
{
    return ALIGN64((size_t)c->size * (cap + (size_t)is_list(c)));
}

static size_t valid_bytes(uint32_t cap) { return ALIGN64(BITMAP_WORDS(cap) * 8); }

fz_status grow_begin(grow *g, uint32_t rows, batch *out, fz_error *err)
{
    drop(g);
    g->out = out;
    g->bytes = NULL;
    size_t total = 0;
    for (uint32_t i = 0; i < g->n; i++) {
        grow_col *c = &g->cols[i], *p = c->parent == UINT32_MAX ? NULL : &g->cols[c->parent];
        c->n = 0;
        c->has_null = false;
        c->cap = !p ? rows : is_list(p) ? c->hint : p->cap;
        if (!c->absent)
            total += data_bytes(c, c->cap) + valid_bytes(c->cap);
    }
    g->slab = blockpool_get(g->pool, total + 64);
    if (!g->slab)
        return error_nomem(err);
    char *at = (char *)g->slab->data;
    for (uint32_t i = 0; i < g->n; i++) {
        grow_col *c = &g->cols[i];
        if (c->absent)
            continue;
        c->data = at;
        at += data_bytes(c, c->cap);
        c->valid = (uint64_t *)(void *)at;
        at += valid_bytes(c->cap);
        if (is_list(c))
            *(uint32_t *)c->data = 0;
    }
    return FZ_OK;
}

static fz_status widen(grow *g, grow_col *c, uint32_t cap, fz_error *err)
{
    size_t data = data_bytes(c, cap);
    buf *b = blockpool_get(g->pool, data + valid_bytes(cap));
    if (!b)
        return error_nomem(err);
    memcpy(b->data, c->data, (size_t)c->size * (c->n + (size_t)is_list(c)));
    uint64_t *valid = (uint64_t *)(void *)(b->data + data);
    if (c->has_null) {
        memcpy(valid, c->valid, BITMAP_WORDS(c->cap) * 8);
        memset(valid + BITMAP_WORDS(c->cap), 0xff, (BITMAP_WORDS(cap) - BITMAP_WORDS(c->cap)) * 8);
        if (c->cap & 63)
            valid[c->cap >> 6] |= ~0ull << (c->cap & 63);
    }
    buf_unref(c->own);
    c->own = b;
    c->data = b->data;
    c->valid = valid;
    c->cap = cap;
    return FZ_OK;
}

fz_status grow_room_slow(grow *g, uint32_t col, uint32_t more, fz_error *err)
{
    uint64_t need = (uint64_t)g->cols[col].n + more;
    if (need > VALUES_MAX)
        return error_set(err, FZ_LIMIT, "the lists of one batch of rows have more than %u values", VALUES_MAX);
    uint32_t cap = g->cols[col].cap;
    while (cap < need)
        cap = cap < HINT_MIN ? HINT_MIN : cap * 2;
    for (uint32_t i = col, end = g->cols[col].end; i < end;) {
        grow_col *c = &g->cols[i];
        if (!c->absent && c->cap < cap)
            TRY(widen(g, c, cap, err));
        i = c->absent || is_list(c) ? c->end : i + 1;
    }
    return FZ_OK;
}

void grow_null_slow(grow *g, uint32_t col)
{
    for (uint32_t i = col, end = g->cols[col].end; i < end;) {
        grow_col *c = &g->cols[i];
        if (c->absent) {
            i = c->end;
            continue;
        }
        if (!c->has_null) {
            memset(c->valid, 0xff, BITMAP_WORDS(c->cap) * 8);
            c->has_null = true;
        }
        bit_clear(c->valid, c->n);
        if (is_list(c)) {
            grow_list(g, i);
            i = c->end;
            continue;
        }
        if (c->size)
            memset((char *)c->data + (size_t)c->n * c->size, 0, c->size);
        c->n++;
        i++;
    }
}

void grow_cut(grow *g, uint32_t col, uint32_t n)
{
    for (uint32_t i = col, end = g->cols[col].end; i < end; i++) {
        grow_col *c = &g->cols[i];
        if (c->absent) {
            i = c->end - 1;
            continue;
        }
        uint32_t keep = n;
        if (i != col) {
            const grow_col *p = &g->cols[c->parent];
            keep = is_list(p) ? ((const uint32_t *)p->data)[p->n] : p->n;
        }
        if (c->n <= keep)
            continue;
        if (c->has_null)
            for (uint32_t k = keep; k < c->n; k++)
                bit_set(c->valid, k);
        c->n = keep;
    }
}

char *grow_bytes(grow *g, size_t n)
{
    if (!g->bytes || n > g->bytes->cap - g->bytes_at) {
        buf *b = blockpool_get(g->pool, n > BYTES_CHUNK ? n : BYTES_CHUNK);
        if (!b)
            return NULL;
        fz_status st = batch_keep(g->out, b, NULL);
        buf_unref(b); /* the batch's reference stays */
        if (st)
            return NULL;
        g->bytes = b;
        g->bytes_at = 0;
    }
    char *p = (char *)g->bytes->data + g->bytes_at;
    g->bytes_at += n;
    return p;
}

fz_status grow_emit(grow *g, uint32_t rows, fz_error *err)
{
    batch *out = g->out;
    TRY(batch_columns(out, g->ntop, err));
    vec **at = arena_array(&out->mem, sizeof *at, g->n);
    if (!at)
        return error_nomem(err);
    for (uint32_t i = 0; i < g->n; i++) {
        grow_col *c = &g->cols[i], *p = c->parent == UINT32_MAX ? NULL : &g->cols[c->parent];
        at[i] = p ? &at[c->parent]->kids[c->ord] : &out->cols[c->ord];
        if (c->absent) {
            datum null = DATUM_NULL(c->t);
            TRY(vec_const(at[i], &null, p ? p->n : rows, &out->mem, err));
            i = c->end - 1;
            continue;
        }
        *at[i] = (vec){.t = c->t, .enc = VEC_FLAT, .len = c->n, .data = c->size ? c->data : NULL, .valid = c->has_null ? c->valid : NULL};
        if (c->end > i + 1 && !(at[i]->kids = ARENA_ARRAY(&out->mem, vec, c->t.children->n)))
            return error_nomem(err);
        if (c->own)
            TRY(batch_keep(out, c->own, err));
        if (c->n > c->hint) /* the next batch's guess */
            c->hint = c->n + c->n / 8 < HINT_MAX ? c->n + c->n / 8 : HINT_MAX;
        else if (c->hint > HINT_MIN)
            c->hint -= (c->hint - c->n) / 8;
    }
    TRY(batch_keep(out, g->slab, err));
    out->nrows = out->nsel = rows;
    out->sel = NULL;
    out->stable = true;
    drop(g);
    return FZ_OK;
}
