/*
 * opt_join.c: the order of inner joins. A tree of three and more inputs whose sizes are all known is taken apart into inputs and key
 * equalities, and put together again left-deep: the largest input first, as what is streamed, then always the smallest one that
 * a key connects to what stands there (its hash table is the small side). A projection restores the columns' order.
 */
#include "sql/opt_int.h"

#define INPUTS_MAX 32

typedef struct leaf { const plan *p; int64_t rows; uint32_t first, at; bool placed; } leaf;
typedef struct pair { const expr *l, *r; bool used; } pair;   /* over the tree's columns */
typedef struct tree {
    uint32_t n, n_pairs, cap_pairs, n_cols;
    leaf leaves[INPUTS_MAX];
    pair *pairs;
    conjuncts rest;
    bool too_many;
} tree;

/* Rows of a plan, whose nodes don't have estimates yet. */
static int64_t deep_rows(const plan *p, arena *a)
{
    plan *q = plan_copy(a, p);
    if (!q)
        return -1;
    for (uint32_t i = 0; i < p->n; i++) {
        plan *in = plan_copy(a, p->in[i]);
        if (!in)
            return -1;
        in->rows = deep_rows(p->in[i], a);
        q->in[i] = in;
    }
    return opt_estimate(q);
}

static bool is_inner(const plan *p)
{
    return p->kind == PLAN_JOIN && p->join.kind == JOIN_INNER;
}

static fz_status take_apart(binder *b, const plan *p, uint32_t first, tree *t)
{
    if (!is_inner(p)) {
        if (t->n == INPUTS_MAX) {
            t->too_many = true;
            return FZ_OK;
        }
        t->leaves[t->n++] = (leaf){p, deep_rows(p, b->a), first, 0, false};
        return FZ_OK;
    }
    uint32_t nl = p->in[0]->out.n;
    TRY(take_apart(b, p->in[0], first, t));
    TRY(take_apart(b, p->in[1], first + nl, t));
    for (uint32_t i = 0; i < p->join.nkeys; i++) {
        pair k = {0};
        TRY(expr_shift(b, p->join.left_keys[i], first, &k.l));
        TRY(expr_shift(b, p->join.right_keys[i], first + nl, &k.r));
        BIND_PUSH(b, t->pairs, t->n_pairs, t->cap_pairs, k);
    }
    if (p->join.residual) {
        const expr *e;
        TRY(expr_shift(b, p->join.residual, first, &e));
        TRY(conjuncts_add(b, &t->rest, e));
    }
    return FZ_OK;
}

static bool within_leaf(const expr *e, const leaf *l)
{
    return expr_within(e, l->first, l->first + l->p->out.n) && !expr_is_const(e);
}

/* Whether all columns of e belong to inputs that are placed. */
static bool placed(const expr *e, const tree *t)
{
    if (e->kind == EX_COLUMN)
        for (uint32_t i = 0; i < t->n; i++)
            if (e->col >= t->leaves[i].first && e->col < t->leaves[i].first + t->leaves[i].p->out.n)
                return t->leaves[i].placed;
    for (uint32_t i = 0; i < e->n; i++)
        if (!placed(e->args[i], t))
            return false;
    return true;
}

static bool connects(const tree *t, const pair *k, const leaf *l)
{
    return !k->used && ((within_leaf(k->r, l) && placed(k->l, t)) || (within_leaf(k->l, l) && placed(k->r, t)));
}

/* Joins l to what stands in *p; map: the tree's columns to the plan's. */
static fz_status join_leaf(binder *b, tree *t, leaf *l, uint32_t *map, const plan **p)
{
    uint32_t n = 0, cap_l = 0, cap_r = 0, k = 0;
    const expr **lk = NULL, **rk = NULL;
    l->at = (*p)->out.n;
    for (uint32_t i = 0; i < l->p->out.n; i++)
        map[l->first + i] = i; /* as the right input alone */
    for (uint32_t i = 0; i < t->n_pairs; i++) {
        pair *x = &t->pairs[i];
        if (!connects(t, x, l))
            continue;
        bool swap = within_leaf(x->l, l);
        const expr *le, *re;
        TRY(expr_renumber(b, swap ? x->r : x->l, map, &le));
        TRY(expr_renumber(b, swap ? x->l : x->r, map, &re));
        BIND_PUSH(b, lk, n, cap_l, le);
        BIND_PUSH(b, rk, k, cap_r, re);
        x->used = true;
    }
    for (uint32_t i = 0; i < l->p->out.n; i++)
        map[l->first + i] = l->at + i;
    l->placed = true;
    TRY(plan_join(b, n ? JOIN_INNER : JOIN_CROSS, *p, l->p, n, lk, rk, NULL, p));
    return FZ_OK;
}

static fz_status put_together(binder *b, tree *t, const plan *old, const plan **out)
{
    uint32_t *map = ARENA_ARRAY(b->a, uint32_t, t->n_cols + 1), big = 0;
    bind_out *cols = ARENA_ARRAY(b->a, bind_out, t->n_cols + 1);
    if (!map || !cols)
        return error_nomem(b->err);
    for (uint32_t i = 1; i < t->n; i++)
        if (t->leaves[i].rows > t->leaves[big].rows)
            big = i;
    const plan *p = t->leaves[big].p;
    t->leaves[big].placed = true;
    for (uint32_t i = 0; i < p->out.n; i++)
        map[t->leaves[big].first + i] = i;
    for (uint32_t done = 1; done < t->n; done++) {
        leaf *best = NULL;
        bool best_connected = false;
        for (uint32_t i = 0; i < t->n; i++) {
            leaf *l = &t->leaves[i];
            bool connected = false;
            for (uint32_t k = 0; k < t->n_pairs && !l->placed; k++)
                connected |= connects(t, &t->pairs[k], l);
            if (!l->placed && (!best || connected > best_connected || (connected == best_connected && l->rows < best->rows))) {
                best = l;
                best_connected = connected;
            }
        }
        TRY(join_leaf(b, t, best, map, &p));
    }
    /* equalities that weren't usable as keys, and the residuals */
    for (uint32_t i = 0; i < t->n_pairs; i++)
        if (!t->pairs[i].used) {
            const expr *args[2] = {t->pairs[i].l, t->pairs[i].r}, *e;
            TRY(expr_function(b, "=", (sql_pos){0, 0}, 2, args, &e));
            TRY(conjuncts_add(b, &t->rest, e));
        }
    const expr *rest;
    TRY(conjuncts_join(b, &t->rest, &rest));
    if (rest) {
        TRY(expr_renumber(b, rest, map, &rest));
        TRY(plan_filter(b, p, rest, &p));
    }
    for (uint32_t i = 0; i < t->n_cols; i++) {
        const column_def *d = &old->out.cols[i];
        cols[i] = (bind_out){.name = d->name, .e = expr_column(b, map[i], d->t, (sql_pos){0, 0}), .not_null = d->not_null, .doc = d->doc};
        if (!cols[i].e)
            return FZ_NOMEM;
    }
    return plan_project(b, p, t->n_cols, cols, out);
}

static fz_status order_tree(binder *b, const plan *p, const plan **out)
{
    tree t = {.n_cols = p->out.n};
    *out = p;
    TRY(take_apart(b, p, 0, &t));
    if (t.too_many || t.n < 3)
        return FZ_OK;
    for (uint32_t i = 0; i < t.n; i++)
        if (t.leaves[i].rows < 0)
            return FZ_OK;
    return put_together(b, &t, p, out);
}

static fz_status order_below(binder *b, const plan *p, bool in_tree, const plan **out)
{
    plan *q = plan_copy(b->a, p);
    if (!q)
        return error_nomem(b->err);
    for (uint32_t i = 0; i < p->n; i++)
        TRY(order_below(b, p->in[i], is_inner(p), &q->in[i]));
    *out = q;
    return is_inner(q) && !in_tree ? order_tree(b, q, out) : FZ_OK;
}

fz_status opt_join_order(binder *b, const plan *p, const plan **out)
{
    return order_below(b, p, false, out);
}
