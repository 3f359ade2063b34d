/*
 * convert.h: text to values, for the CSV reader and for SQL's CAST. Nothing here depends on
 * the locale. The text is the whole value: no white space around it is skipped, except by
 * text_to_datum().
 *
 * Every function returns CONV_OK with the value, or
 *   CONV_BAD      the text isn't of that form
 *   CONV_RANGE    it is, but the value is outside the type's range
 *   CONV_INEXACT  the value has more digits than the type: *out is the rounded value
 *                 (half away from zero)
 */
#ifndef ARROW_CONVERT_H
#define ARROW_CONVERT_H

#include "arrow/type.h"

typedef enum conv { CONV_OK = 0, CONV_BAD, CONV_RANGE, CONV_INEXACT } conv;

/* [+-]digits */
conv text_to_i64(const char *p, size_t n, int64_t *out);
/* [+-]digits[.digits][e[+-]digits] with a digit before or behind the point; inf, infinity and
 * nan in any case. The nearest double, ties to even, as strtod; too large: CONV_RANGE. */
conv text_to_f64(const char *p, size_t n, double *out);
conv text_to_f32(const char *p, size_t n, float *out);
/* As a double's form, without inf and nan; at most `precision` digits, `scale` of them fraction. */
conv text_to_decimal(const char *p, size_t n, unsigned precision, unsigned scale, i128 *out);
/* true t yes y on 1, false f no n off 0, in any case. */
conv text_to_bool(const char *p, size_t n, bool *out);
/* YYYY-MM-DD, years 0001 to 9999; days since 1970-01-01. */
conv text_to_date(const char *p, size_t n, int32_t *out);
/* HH:MM[:SS[.digits]]; microseconds. */
conv text_to_time(const char *p, size_t n, int64_t *out);
/* date, or date, 'T' or ' ', and time, without a zone; microseconds since 1970. */
conv text_to_timestamp(const char *p, size_t n, int64_t *out);
/* date, 'T' or ' ', time, zone: Z, " UTC", or [+-]HH[[:]MM] up to 15:59; microseconds UTC. */
conv text_to_timestamptz(const char *p, size_t n, int64_t *out);
/* 8-4-4-4-12 hexadecimal digits, or 32 of them. */
conv text_to_uuid(const char *p, size_t n, uint8_t out[16]);
/* "\x" and pairs of hexadecimal digits; writes (n - 2) / 2 bytes. */
conv text_to_bytes(const char *p, size_t n, uint8_t *out);

/* SQL's CAST of text: ASCII white space around it is ignored (not for text), rounded values
 * are accepted, a timestamptz without a zone is UTC. T_STRING shares s; bytes of T_BINARY,
 * T_FIXED and T_UUID go to the arena. FZ_VALUE with SQLSTATE 22P02, 22003, 22007 or 22008 and
 * the text in the message; FZ_UNSUPPORTED for nested types. */
fz_status text_to_datum(str s, type t, arena *a, datum *out, fz_error *err);

#endif
