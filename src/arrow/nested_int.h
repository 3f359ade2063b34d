/* nested_int.h: what vector.c and type.c need of nested.c. */
#ifndef ARROW_NESTED_INT_H
#define ARROW_NESTED_INT_H

#include "arrow/vector.h"

/* vec_alloc, vec_gather, vec_slice and vec_const of a nested type. */
fz_status nested_alloc(vec *v, uint32_t len, arena *a, fz_error *err);
fz_status nested_gather(vec *dst, const vec *src, const uint16_t *sel, uint32_t n, bool copy_bytes, arena *a,
                        fz_error *err);
fz_status nested_slice(vec *out, const vec *src, uint32_t from, uint32_t n, arena *a, fz_error *err);
fz_status nested_const(vec *v, const datum *d, uint32_t len, arena *a, fz_error *err);

/* datum_cmp and datum_text of two non-null values, of one. */
int nested_cmp(const datum *a, const datum *b);
void nested_text(const datum *d, sbuf *out);

/* The position of a row's value in the flat vector behind it; UINT32_MAX: the row is null. */
uint32_t value_position(const vec *v, uint32_t row);

#endif
