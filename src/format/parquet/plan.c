/*
 * plan.c: which members of a nested column are read, from which leaves: the type that is wanted matched to the
 * file's tree.
 *
 * A plan is a list of nodes, parents before their members (they are found breadth first, so that nothing recurses
 * on a type's depth). Members of structs are found by name or field id, elements, keys and values by their
 * place. A member that the file doesn't have is a node without a counterpart: null. Every leaf that is wanted
 * has a chunk; a struct or list takes its own levels from one of the chunks below it, the one with the fewest
 * repetitions. If none is wanted below it, the smallest chunk in the file is read for its levels alone.
 */
#include "format/parquet/cursor_int.h"

#define NONE UINT32_MAX

static fz_status nodes_add(pq_cursor *c, type t, const pq_node *f, uint32_t parent, fz_error *err)
{
    if (c->n_nodes == c->cap_nodes) {
        uint32_t cap = c->cap_nodes ? c->cap_nodes * 2 : 8;
        plan_node *x = mem_resize(c->m, c->nodes, c->cap_nodes * sizeof *x, cap * sizeof *x);
        if (!x)
            return error_nomem(err);
        c->nodes = x;
        c->cap_nodes = cap;
    }
    c->nodes[c->n_nodes++] = (plan_node){.f = f, .t = t, .parent = parent, .chunk = NONE};
    return FZ_OK;
}

static const pq_node *member_find(const pq_file *p, const pq_node *f, const type_field *want, const pq_match *how)
{
    const pq_schema_element *e = p->meta.schema;
    for (uint32_t i = 0; i < f->n; i++) {
        uint32_t at = f->kids[i]->element;
        if (how && how->by_name ? str_eq(e[at].name, want->name)
                                : want->field_id >= 0 && element_id(p, how, at) == want->field_id)
            return f->kids[i];
    }
    return NULL;
}

static fz_status mismatch(const pq_file *p, const pq_node *f, type want, fz_error *err)
{
    sbuf have, as;
    sbuf_init(&have, NULL);
    sbuf_init(&as, NULL);
    type_sql_name(f->t, &have);
    type_sql_name(want, &as);
    error_set(err, FZ_INVALID, "Parquet column \"" STR_FMT "\" of type %.100s can't be read as %.100s",
              STR_ARG(p->meta.schema[f->element].name), have.p ? have.p : "?", as.p ? as.p : "?");
    sbuf_free(&have);
    sbuf_free(&as);
    return FZ_INVALID;
}

/* Appends the members of node i. `whole`: the type is the file's own. */
static fz_status members_add(pq_cursor *c, uint32_t i, bool whole, const pq_match *how, fz_error *err)
{
    plan_node x = c->nodes[i];
    static const uint8_t ids[] = {[NODE_LEAF] = T_NULL, [NODE_STRUCT] = T_STRUCT, [NODE_LIST] = T_LIST, [NODE_MAP] = T_MAP};
    if (!x.f)
        return FZ_OK;
    if (x.f->kind == NODE_LEAF)
        return type_is_nested(x.t) ? mismatch(c->p, x.f, x.t, err) : FZ_OK;
    if (x.t.id != ids[x.f->kind])
        return mismatch(c->p, x.f, x.t, err);
    const type_fields *w = x.t.children;
    c->nodes[i].kids = c->n_nodes;
    c->nodes[i].n_kids = w->n;
    for (uint32_t j = 0; j < w->n; j++) {
        const pq_node *f = whole || x.f->kind != NODE_STRUCT ? x.f->kids[j] : member_find(c->p, x.f, &w->f[j], how);
        if (!f && w->f[j].required)
            return error_set(err, FZ_DATA, "Parquet column \"" STR_FMT "\" lacks the required member \"" STR_FMT "\"",
                             STR_ARG(c->p->meta.schema[x.f->element].name), STR_ARG(w->f[j].name));
        TRY(nodes_add(c, w->f[j].t, f, i, err));
    }
    return FZ_OK;
}

static fz_status chunk_add(pq_cursor *c, io_file *f, uint32_t row_group, uint32_t i, uint32_t leaf, bool no_values,
                           fz_error *err)
{
    plan_node *x = &c->nodes[i];
    const pq_leaf *l = &c->p->leaves[leaf];
    bool with_levels = no_values || l->max_rep || (x->parent != NONE && c->nodes[x->parent].f->def > 0);
    x->chunk = c->n_chunks;
    TRY(chunk_open(c->p, f, row_group, leaf, x->t, with_levels, no_values, c->m, &c->chunks[c->n_chunks], err));
    c->n_chunks++;
    return FZ_OK;
}

/* The leaf below f whose levels cost least. */
static uint32_t cheapest_leaf(const pq_file *p, const pq_node *f, uint32_t row_group)
{
    const pq_column_chunk *ch = p->meta.row_groups[row_group].columns;
    uint32_t best = f->first_leaf;
    for (uint32_t l = f->first_leaf + 1; l < f->first_leaf + f->n_leaves; l++) {
        int more = (int)p->leaves[l].max_rep - (int)p->leaves[best].max_rep;
        if (more < 0 || (more == 0 && ch[l].total_compressed_size < ch[best].total_compressed_size))
            best = l;
    }
    return best;
}

/* Opens the chunks, members before parents. */
static fz_status chunks_open(pq_cursor *c, io_file *f, uint32_t row_group, fz_error *err)
{
    c->cap_chunks = c->n_nodes; /* a leaf has one; so may a node without wanted leaves */
    c->chunks = mem_zalloc(c->m, c->cap_chunks * sizeof *c->chunks);
    c->values = mem_zalloc(c->m, c->cap_chunks * sizeof *c->values);
    if (!c->chunks || !c->values)
        return error_nomem(err);
    for (uint32_t i = c->n_nodes; i-- > 0;) {
        plan_node *x = &c->nodes[i];
        if (!x->f)
            continue;
        if (x->f->kind == NODE_LEAF) {
            TRY(chunk_add(c, f, row_group, i, x->f->first_leaf, false, err));
            continue;
        }
        for (uint32_t j = x->kids; j < x->kids + x->n_kids; j++) {
            uint32_t k = c->nodes[j].chunk;
            if (k != NONE && (x->chunk == NONE || c->chunks[k]->leaf->max_rep < c->chunks[x->chunk]->leaf->max_rep))
                x->chunk = k;
        }
        if (x->chunk == NONE)
            TRY(chunk_add(c, f, row_group, i, cheapest_leaf(c->p, x->f, row_group), true, err));
    }
    return FZ_OK;
}

fz_status plan_make(pq_cursor *c, io_file *f, uint32_t row_group, const pq_node *column, const pq_match *how, fz_error *err)
{
    bool whole = type_eq(c->as, column->t);
    TRY(nodes_add(c, c->as, column, NONE, err));
    for (uint32_t i = 0; i < c->n_nodes; i++)
        TRY(members_add(c, i, whole, how, err));
    return chunks_open(c, f, row_group, err);
}
