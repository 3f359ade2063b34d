/*
 * bloom.c: asking a chunk's Bloom filter for a value.
 *
 * A filter is a header (Thrift: its size; algorithm, hash and compression, of which there is one each) and
 * the bits, of which one block of 32 bytes decides: so two small reads do. No checksum covers a filter; one
 * that isn't as it should be is as if there were none. The hash is of the value as the file has it, so that
 * values whose form in the file isn't certain (zeros and NaN, decimals in bytes of any length) are always maybe.
 */
#include "format/parquet/read_int.h"
#include "format/parquet/thrift.h"

#include "codec/bloom.h"

#include <math.h>

#define HEADER_MAX 256

/* Whether a field is the union whose first member is set: the one algorithm, hash or compression there is. */
static bool first_member(thrift_in *t, uint8_t ftype)
{
    thrift_field f = {0};
    bool first = false;
    if (thrift_struct(t, ftype))
        while (thrift_next(t, &f)) {
            first |= f.id == 1;
            thrift_skip(t, f.type);
        }
    return first;
}

/* The bytes of the filter's bits, and where they start; 0: no filter that is understood. */
static uint64_t filter_find(const pq_file *p, io_file *f, const pq_column_chunk *c, uint64_t *start)
{
    uint8_t head[HEADER_MAX];
    if (c->bloom_offset < 0)
        return 0;
    uint64_t at = (uint64_t)c->bloom_offset, rest = p->size - at;
    size_t n = rest < sizeof head ? (size_t)rest : sizeof head;
    if (io_read(f, at, head, n, NULL) != FZ_OK)
        return 0;
    thrift_in in, *t = &in;
    thrift_init(t, head, n);
    thrift_field x = {0};
    int32_t bytes = 0;
    unsigned good = 0;
    while (thrift_next(t, &x)) {
        if (x.id == 1)
            bytes = thrift_i32(t, x.type);
        else if (x.id >= 2 && x.id <= 4)
            good += first_member(t, x.type);
        else
            thrift_skip(t, x.type);
    }
    uint64_t used = (uint64_t)(t->at - t->start);
    if (t->fault || good != 3 || bytes <= 0 || bytes % BLOOM_BLOCK || (uint64_t)bytes > rest - used)
        return 0;
    if (c->bloom_length && (uint64_t)c->bloom_length != used + (uint64_t)bytes)
        return 0;
    *start = at + used;
    return (uint64_t)bytes;
}

typedef enum plain { PLAIN_BYTES, PLAIN_UNSURE, PLAIN_NEVER } plain;

/* A whole number as 32 or 64 bits. */
static plain int_plain(i128 v, bool wide, bool is_unsigned, uint8_t *out, size_t *n)
{
    i128 low = is_unsigned ? 0 : wide ? INT64_MIN : INT32_MIN;
    i128 high = wide ? (is_unsigned ? (i128)UINT64_MAX : INT64_MAX) : (is_unsigned ? (i128)UINT32_MAX : INT32_MAX);
    if (v < low || v > high)
        return PLAIN_NEVER;
    *n = wide ? 8 : 4;
    for (size_t i = 0; i < *n; i++)
        out[i] = (uint8_t)((uint64_t)v >> (8 * i));
    return PLAIN_BYTES;
}

static plain whole_plain(const pq_leaf *l, const datum *v, uint8_t *out, size_t *n)
{
    pq_conv c;
    if (conv_find(l, l->t, &c, NULL) != FZ_OK || c == CONV_NANOS)
        return PLAIN_UNSURE;
    i128 x = v->t.id == T_DECIMAL ? datum_decimal(v) : type_phys(v->t) == PHYS_I32 ? v->i32 : v->i64;
    if (c == CONV_MILLIS || c == CONV_I32_MILLIS) {
        if (x % 1000)
            return PLAIN_NEVER;
        x /= 1000;
    }
    return int_plain(x, l->element->type == PQ_INT64, c == CONV_U32_I64 || c == CONV_U64_I128, out, n);
}

/* What the file has for v: its PLAIN bytes, at *p. small: 16 bytes of room. */
static plain plain_of(const pq_leaf *l, const datum *v, uint8_t *small, const uint8_t **p, size_t *n)
{
    phys ph = type_phys(v->t);
    *p = small;
    switch (l->element->type) {
    case PQ_INT32:
    case PQ_INT64:
        if (ph != PHYS_I32 && ph != PHYS_I64 && ph != PHYS_I128)
            return PLAIN_UNSURE;
        return whole_plain(l, v, small, n);
    case PQ_FLOAT: {
        if (ph != PHYS_F32 && ph != PHYS_F64)
            return PLAIN_UNSURE;
        float x = ph == PHYS_F32 ? v->f32 : (float)v->f64;
        if (x == 0 || isnan(x) || (ph == PHYS_F64 && (double)x != v->f64))
            return PLAIN_UNSURE;
        memcpy(small, &x, *n = 4);
        return PLAIN_BYTES;
    }
    case PQ_DOUBLE:
        if (ph != PHYS_F64 || v->f64 == 0 || isnan(v->f64))
            return PLAIN_UNSURE;
        memcpy(small, &v->f64, *n = 8);
        return PLAIN_BYTES;
    case PQ_BYTE_ARRAY:
    case PQ_FIXED:
        if (ph != PHYS_STR || type_phys(l->t) != PHYS_STR)
            return PLAIN_UNSURE;
        *p = (const uint8_t *)v->s.p;
        *n = v->s.n;
        return PLAIN_BYTES;
    default: return PLAIN_UNSURE;
    }
}

bool pq_bloom_may_contain(const pq_file *p, io_file *f, uint32_t row_group, uint32_t leaf, const datum *v)
{
    uint8_t small[16], block[BLOOM_BLOCK];
    const uint8_t *bytes;
    size_t n = 0;
    if (row_group >= p->meta.n_row_groups || leaf >= p->meta.n_leaves || v->null)
        return true;
    const pq_column_chunk *c = &p->meta.row_groups[row_group].columns[leaf];
    if (c->bloom_offset < 0)
        return true;
    plain how = plain_of(&p->leaves[leaf], v, small, &bytes, &n);
    uint64_t start = 0, size = how == PLAIN_BYTES ? filter_find(p, f, c, &start) : 0;
    if (size == 0)
        return how != PLAIN_NEVER;
    uint64_t hash = bloom_hash(bytes, n), which = (hash >> 32) * (size / BLOOM_BLOCK) >> 32;
    if (io_read(f, start + which * BLOOM_BLOCK, block, sizeof block, NULL) != FZ_OK)
        return true;
    return bloom_probe(block, sizeof block, hash);
}
