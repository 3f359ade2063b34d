/*
 * scan_prune.c: which rows of a Parquet file a scan can leave out: row groups by statistics and Bloom filters, pages by the
 * column index. Each column's pages are tested by the whole predicate with nothing known of other columns; what every column
 * keeps is what is read.
 */
#include "engine/file_scan_int.h"

static int leaf_of(const prune_file *x, int32_t field_id)
{
    if (!x->o->by_name)
        return pq_find_leaf(x->p, x->how, field_id);
    if (field_id < 1 || (uint32_t)field_id > x->o->schema->n)
        return -1;
    int column = pq_find_name(x->p, x->o->schema->cols[field_id - 1].name);
    return column < 0 ? -1 : pq_column_leaf(x->p, (uint32_t)column);
}

static void set_bounds(const pq_bounds *x, int64_t rows, ib_bounds *out)
{
    *out = (ib_bounds){.rows = rows, .nulls = x->null_count, .nans = -1, .has_lower = x->known, .has_upper = x->known};
    if (x->known) {
        out->lower = x->min;
        out->upper = x->max;
    }
}

/* ---- row groups ---- */

typedef struct group_ctx {
    const prune_file *x;
    uint32_t rg;
} group_ctx;

static bool group_bounds(void *ctx, int32_t field_id, ib_bounds *out)
{
    const group_ctx *g = ctx;
    int leaf = leaf_of(g->x, field_id);
    if (leaf < 0)
        return false;
    pq_bounds b;
    pq_column_bounds(g->x->p, g->rg, (uint32_t)leaf, &b);
    set_bounds(&b, pq_meta(g->x->p)->row_groups[g->rg].num_rows, out);
    return true;
}

/* Whether the value's hash can be asked for: floats have two zeros. */
static bool bloom_value(type leaf, const datum *v, datum *out)
{
    *out = *v;
    out->t = leaf;
    if (v->null || leaf.id == T_FLOAT32 || leaf.id == T_FLOAT64)
        return false;
    if (leaf.id == T_INT32 && v->t.id == T_INT64) {
        out->i32 = (int32_t)v->i64;
        return v->i64 == (int32_t)v->i64;
    }
    if (leaf.id == T_INT64 && v->t.id == T_INT32) {
        out->i64 = v->i32;
        return true;
    }
    return type_eq(leaf, v->t);
}

/* Whether Bloom filters say that no row of the group satisfies p. */
static bool bloom_excludes(const prune_file *x, uint32_t rg, const ib_pred *p)
{
    switch (p->kind) {
    case IB_PRED_AND:
        for (uint32_t i = 0; i < p->n; i++)
            if (bloom_excludes(x, rg, p->children[i]))
                return true;
        return false;
    case IB_PRED_OR:
        for (uint32_t i = 0; i < p->n; i++)
            if (!bloom_excludes(x, rg, p->children[i]))
                return false;
        return p->n > 0;
    case IB_PRED_EQ:
    case IB_PRED_IN: {
        int leaf = leaf_of(x, p->field_id);
        if (leaf < 0 || pq_meta(x->p)->row_groups[rg].columns[leaf].bloom_offset < 0)
            return false;
        for (uint32_t i = 0; i < p->n; i++) {
            datum v;
            if (!bloom_value(pq_leaf_type(x->p, (uint32_t)leaf), &p->values[i], &v) ||
                pq_bloom_may_contain(x->p, x->f, rg, (uint32_t)leaf, &v))
                return false;
        }
        return p->n > 0;
    }
    default:
        return false;
    }
}

ib_match prune_group(const prune_file *x, uint32_t rg)
{
    if (!x->o->pred)
        return IB_MATCH_SOME;
    group_ctx g = {x, rg};
    ib_match match = ib_pred_eval(x->o->pred, group_bounds, &g);
    return match == IB_MATCH_SOME && bloom_excludes(x, rg, x->o->pred) ? IB_MATCH_NONE : match;
}

/* ---- pages ---- */

#define MAX_PRUNERS 16 /* columns of a predicate whose pages are looked at */

static void collect(const ib_pred *p, int32_t *ids, uint32_t *n)
{
    switch (p->kind) {
    case IB_PRED_AND:
    case IB_PRED_OR:
    case IB_PRED_NOT:
        for (uint32_t i = 0; i < p->n; i++)
            collect(p->children[i], ids, n);
        return;
    case IB_PRED_TRUE:
    case IB_PRED_FALSE:
    case IB_PRED_NULL:
    case IB_PRED_UNKNOWN:
        return;
    default:
        for (uint32_t i = 0; i < *n; i++)
            if (ids[i] == p->field_id)
                return;
        if (*n < MAX_PRUNERS)
            ids[(*n)++] = p->field_id;
    }
}

typedef struct page_ctx {
    const ib_pred *pred;
    int32_t field_id;
    const pq_bounds *page;
    int64_t rows;
} page_ctx;

static bool page_bounds(void *ctx, int32_t field_id, ib_bounds *out)
{
    const page_ctx *c = ctx;
    if (field_id != c->field_id)
        return false;
    set_bounds(c->page, c->rows, out);
    return true;
}

static bool keep_page(void *ctx, const pq_bounds *page, int64_t rows)
{
    page_ctx *c = ctx;
    c->page = page;
    c->rows = rows;
    return ib_pred_eval(c->pred, page_bounds, c) != IB_MATCH_NONE;
}

/* Rows that lie in ranges of both, into room for the sum of their numbers. */
static uint32_t intersect(const pq_row_range *a, uint32_t na, const pq_row_range *b, uint32_t nb, pq_row_range *out)
{
    uint32_t n = 0;
    for (uint32_t i = 0, j = 0; i < na && j < nb;) {
        uint64_t from = a[i].from > b[j].from ? a[i].from : b[j].from, to = a[i].to < b[j].to ? a[i].to : b[j].to;
        if (from < to)
            out[n++] = (pq_row_range){from, to};
        if (a[i].to < b[j].to)
            i++;
        else
            j++;
    }
    return n;
}

fz_status prune_pages(const prune_file *x, uint32_t rg, arena *a, pq_row_range **out, uint32_t *n, fz_error *err)
{
    const pq_row_group *g = &pq_meta(x->p)->row_groups[rg];
    pq_row_range *all = ARENA_ARRAY(a, pq_row_range, 1);
    if (!all)
        return error_nomem(err);
    all[0] = (pq_row_range){0, (uint64_t)g->num_rows};
    *out = all;
    *n = 1;
    int32_t ids[MAX_PRUNERS];
    uint32_t n_ids = 0;
    if (x->o->pred)
        collect(x->o->pred, ids, &n_ids);
    for (uint32_t i = 0; i < n_ids && *n; i++) {
        int leaf = leaf_of(x, ids[i]);
        if (leaf < 0 || g->columns[leaf].column_index_offset < 0)
            continue;
        page_ctx c = {.pred = x->o->pred, .field_id = ids[i]};
        pq_row_range *kept, *both;
        uint32_t n_kept;
        TRY(pq_prune_pages(x->p, x->f, rg, (uint32_t)leaf, keep_page, &c, a, &kept, &n_kept, err));
        if (!(both = ARENA_ARRAY(a, pq_row_range, (size_t)*n + n_kept + 1)))
            return error_nomem(err);
        *n = intersect(*out, *n, kept, n_kept, both);
        *out = both;
    }
    return FZ_OK;
}
