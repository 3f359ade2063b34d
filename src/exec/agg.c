/*
 * agg.c: aggregates of a plan: calls on the functions of agg_func.c.
 */
#include "exec/agg_int.h"

void agg_inst_init(agg_inst *x, const agg_expr *e)
{
    *x = (agg_inst){.e = e, .fn = e->fn, .distinct = e->distinct && e->arg && !e->fn->one_value, .size = e->fn->size};
}

fz_status agg_update(const agg_inst *x, agg_call *c, fz_error *err)
{
    c->e = x->e;
    c->off = x->off;
    return x->fn->update(c, err);
}

fz_status agg_merge(const agg_inst *x, uint8_t *to_row, const uint8_t *from_row, arena *a, fz_error *err)
{
    return x->fn->merge(x->e, to_row + x->off, from_row + x->off, a, err);
}

fz_status agg_finish(const agg_inst *x, const uint8_t *row, vec *out, uint32_t at, fz_error *err)
{
    return x->fn->finish(x->e, row + x->off, out, at, err);
}

bool agg_text_state(const agg_inst *x) { return x->fn->one_value && x->e->arg && type_phys(x->e->arg->t) == PHYS_STR; }
