/*
 * lower.h: from the executor's filters to Iceberg's predicates by field id. What a predicate can't say becomes
 * IB_PRED_UNKNOWN, which prunes nothing: the filter itself is always kept and evaluated where it has to be.
 */
#ifndef ENGINE_LOWER_H
#define ENGINE_LOWER_H

#include "exec/expr.h"
#include "iceberg/plan/plan.h"

/* field_ids[i]: the field id of column i of the expression's input, or -1. Values are copied to the arena but for
 * the bytes of strings. NULL: no memory. */
const ib_pred *lower_filter(const expr *e, const int32_t *field_ids, const datum *params, uint32_t n_params, arena *a);

#endif
