/* opt_int.h: the passes of the optimizer; each takes a plan and makes a new one. A binder lends arena and helpers. */
#ifndef SQL_OPT_INT_H
#define SQL_OPT_INT_H

#include "sql/bind_int.h"

plan *plan_copy(arena *a, const plan *p); /* the node; inputs and expressions are shared, the array of inputs isn't */
bool expr_is_bool(const expr *e, bool value); /* that constant */

/* optimize.c: constants folded, conditions flattened, comparisons freed of casts of columns. */
fz_status opt_simplify(binder *b, const expr *e, const expr **out);
/* opt_filter.c: conditions down to where they can be tested first. */
fz_status opt_filters(binder *b, const plan *p, const plan **out);
/* opt_prune.c: only the columns that are used; the root keeps all of its own. */
fz_status opt_prune(binder *b, const plan *p, const plan **out);
/* opt_fields.c: only the fields of structs that are used, where a projection or an aggregate stands on a scan. */
fz_status opt_fields(binder *b, const plan *p, const plan **out);
/* opt_rows.c: estimates, counts from metadata, limits and top-N, join order and build sides. */
fz_status opt_rows(binder *b, const plan *p, const plan **out);
fz_status opt_join_order(binder *b, const plan *p, const plan **out);
int64_t opt_estimate(const plan *p); /* -1: unknown */

/* Appends the conjuncts of e. */
typedef struct conjuncts { uint32_t n, cap; const expr **list; } conjuncts;
fz_status conjuncts_add(binder *b, conjuncts *c, const expr *e);
fz_status conjuncts_join(binder *b, const conjuncts *c, const expr **out); /* cheap ones first; NULL: none */
bool expr_can_fail(const expr *e);
/* The columns an expression uses: marks used[col]. */
void expr_columns(const expr *e, bool *used);
bool expr_within(const expr *e, uint32_t from, uint32_t to); /* uses columns of [from, to) only (or none) */
/* Column i becomes map[i] (an expression). */
fz_status expr_substitute(binder *b, const expr *e, const expr *const *map, const expr **out);
fz_status expr_shift(binder *b, const expr *e, int64_t by, const expr **out);
fz_status expr_renumber(binder *b, const expr *e, const uint32_t *map, const expr **out);

#endif
