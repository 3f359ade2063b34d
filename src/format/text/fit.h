/* fit.h: which types a text fits, and the lattice of widening (csv.h), for readers that infer types. */
#ifndef FORMAT_TEXT_FIT_H
#define FORMAT_TEXT_FIT_H

#include "arrow/type.h"

/* Sets of types that a value fits. */
enum { FIT_BOOL = 1, FIT_INT = 2, FIT_FLOAT = 4, FIT_DATE = 8, FIT_TIME = 16, FIT_STAMP = 32, FIT_STAMPTZ = 64, FIT_ALL = 127 };
unsigned fit_value(str s);            /* 0: text only */
type fit_type(unsigned fits);         /* the narrowest, T_STRING for 0 */
/* The inferred type that holds the values of `t` and this one, which doesn't fit t. */
type type_widen(type t, str s);
/* The type that holds the values of two inferred types. */
type type_join(type a, type b);
/* Whether converting this number to double loses digits of it. */
bool double_loses(str s, double v);

#endif
