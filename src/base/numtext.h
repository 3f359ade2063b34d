/*
 * numtext.h: numbers to text and back, independent of the locale.
 *
 * Floats are written with the fewest digits that read back as the same value, in the layout
 * that PostgreSQL uses: 0.1, 1e+20, 1e-05, NaN, Infinity, -0.
 */
#ifndef BASE_NUMTEXT_H
#define BASE_NUMTEXT_H

#include "base/str.h"

#define F64_TEXT_MAX 32 /* bytes that f64_text and f32_text may need; no NUL is written */
#define I64_TEXT_MAX 20

size_t f64_text(double v, char *out);
size_t f32_text(float v, char *out);
size_t i64_text(int64_t v, char *out);
size_t u64_text(uint64_t v, char *out);

/* The whole slice as a decimal float, correctly rounded: [+-] digits [. digits] [e [+-] digits],
 * with at least one digit before the exponent; without regard to case also nan, inf, infinity.
 * False: not one. A value past the range gives an infinity or zero, and true. */
bool str_to_f64(str s, double *out);

#endif
