/*
 * set_int.h: a set of values of one type, for IN lists; private to exec/.
 */
#ifndef EXEC_SET_INT_H
#define EXEC_SET_INT_H

#include "arrow/vector.h"

typedef struct value_set value_set;
fz_status value_set_new(mem *m, type t, uint32_t room, value_set **out, fz_error *err);
void value_set_close(void *set);
/* Copies the value; a null is noted, not added. */
fz_status value_set_add(value_set *s, const datum *d, fz_error *err);
bool value_set_has_null(const value_set *s);
/* out[i] = whether row i of v (FLAT or CONST) is in the set, for rows[0..n) (NULL: 0..n-1); nulls may be anything. */
void value_set_lookup(const value_set *s, const vec *v, const uint16_t *rows, uint32_t n, uint8_t *out);

#endif
