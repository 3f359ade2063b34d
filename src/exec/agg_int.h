/*
 * agg_int.h: aggregate functions: their table entries and the state of one group. Private to exec/.
 *
 * A state is plain memory, zero at the start, aligned to 16. update() takes rows of one batch, with
 * a state per row (groups[k] + off) or one for all of them; merge() adds another state of the same
 * group; finish() writes the result. Text of a state lies in the arena of the table that
 * owns the state, so that nothing has to be freed one by one. An aggregate over distinct values has the same state: it is
 * given each value once (op_agg.c).
 */
#ifndef EXEC_AGG_INT_H
#define EXEC_AGG_INT_H

#include "exec/func_int.h"

typedef struct agg_call {
    const agg_expr *e;
    const vec *arg;          /* FLAT or CONST; NULL: count(*) */
    const uint16_t *rows;    /* NULL: first..first+n-1 */
    uint32_t first, n;
    uint8_t *const *groups;  /* per row of the call; NULL: all rows to `one` */
    uint8_t *one;
    uint32_t off;
    arena *a;
} agg_call;

struct agg_func {
    const char *name;
    uint8_t arg, result;     /* type ids; ANY_TYPE, SAME_AS_0, AGG_SUM_DEC, AGG_AVG_DEC */
    uint16_t size;           /* of the state; a multiple of 16 */
    fz_status (*update)(const agg_call *c, fz_error *err);
    fz_status (*merge)(const agg_expr *e, uint8_t *to, const uint8_t *from, arena *a, fz_error *err);
    fz_status (*finish)(const agg_expr *e, const uint8_t *state, vec *out, uint32_t row, fz_error *err); /* clears valid's bit for null */
    bool one_value;          /* the state is one of the values, at its start (so DISTINCT makes no difference) */
};
enum { AGG_SUM_DEC = 210, AGG_AVG_DEC };

/* An aggregate of a plan, and where its state lies in a row. */
typedef struct agg_inst {
    const agg_expr *e;
    const agg_func *fn;
    bool distinct;
    uint32_t set;            /* 0: updated by rows of the input; else by the distinct values of that set (op_agg.c) */
    uint32_t off, size;
} agg_inst;

void agg_inst_init(agg_inst *x, const agg_expr *e);
fz_status agg_update(const agg_inst *x, agg_call *c, fz_error *err);
fz_status agg_merge(const agg_inst *x, uint8_t *to_row, const uint8_t *from_row, arena *a, fz_error *err);
fz_status agg_finish(const agg_inst *x, const uint8_t *row, vec *out, uint32_t at, fz_error *err);
/* Whether the state starts with a string view. */
bool agg_text_state(const agg_inst *x);

#endif
