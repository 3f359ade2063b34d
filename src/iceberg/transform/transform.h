/*
 * transform.h: partition transforms (spec, "Partition Transforms"): their result types, their values
 * for columns and for single values, and their text.
 */
#ifndef ICEBERG_TRANSFORM_H
#define ICEBERG_TRANSFORM_H

#include "arrow/vector.h"
#include "iceberg/spec/spec.h"

fz_status ib_transform_parse(str text, arena *a, ib_transform *out); /* unknown text: IB_TRANSFORM_UNKNOWN */
void ib_transform_write(const ib_transform *t, sbuf *out);
/* The type of the transform's values; FZ_INVALID if it doesn't take that source type. */
fz_status ib_transform_result(const ib_transform *t, type source, type *out, fz_error *err);
/* One value; strings are allocated in the arena where they change. Negative, null, NaN and pre-1970 values as
 * the specification says. */
fz_status ib_transform_value(const ib_transform *t, const datum *in, arena *a, datum *out, fz_error *err);
/* A column: v FLAT out, rows all of in (selection not looked at). */
fz_status ib_transform_vec(const ib_transform *t, const vec *in, arena *a, vec *out, fz_error *err);
/* A partition value as people read it ("2020-01", "a b"; base64 for bytes), as Java's Transform.toHumanString. */
void ib_transform_text(const ib_transform *t, const datum *value, sbuf *out);
/* The text of a partition value in a path ("2020-01", "a+b"): URL-encoded as Java's PartitionSpec.partitionToPath. */
void ib_transform_path(const ib_transform *t, const datum *value, sbuf *out);
uint32_t ib_murmur3_32(const void *p, size_t n); /* seed 0, as bucket uses it */

#endif
