/*
 * plan_int.h: what pred.c gives to prune.c: evaluating a leaf against one source of knowledge, so that several
 * (partition value, column bounds) can be intersected.
 */
#ifndef ICEBERG_PLAN_INT_H
#define ICEBERG_PLAN_INT_H

#include "iceberg/plan/plan.h"

/* Outcomes of a leaf; never too few. */
unsigned pred_leaf(const ib_pred *p, const ib_bounds *b);

typedef unsigned (*pred_leaf_fn)(void *ctx, const ib_pred *leaf);
unsigned pred_tree(const ib_pred *p, pred_leaf_fn leaf, void *ctx);
ib_match pred_match(unsigned outcomes);

#endif
