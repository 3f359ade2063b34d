/*
 * value.c: the values of transforms: one at a time and by column.
 *
 * A column is transformed where its values are: a constant once, a dictionary once unless it is larger
 * than the column, runs once each. FLAT values go through one loop per transform and layout; rows
 * that are null are computed too (their values are initialised) and stay null. Where a result
 * can't be represented (truncating near the smallest int, the hour of a year past 240,000) that is FZ_VALUE
 * if the row isn't null.
 */
#include "arrow/civil.h"
#include "iceberg/transform/murmur.h"
#include "iceberg/transform/transform.h"

uint32_t ib_murmur3_32(const void *p, size_t n)
{
    const uint8_t *b = p;
    uint32_t h = 0, k;
    size_t i = 0;
    for (; i + 4 <= n; i += 4)
        h = murmur_block(h, (uint32_t)b[i] | (uint32_t)b[i + 1] << 8 | (uint32_t)b[i + 2] << 16 | (uint32_t)b[i + 3] << 24);
    k = 0;
    for (size_t j = n; j-- > i;)
        k = k << 8 | b[j];
    if (i < n) {
        k *= 0xcc9e2d51u;
        h ^= murmur_rotl(k, 15) * 0x1b873593u;
    }
    return murmur_final(h, (uint32_t)n);
}

static inline int32_t bucket_of(uint32_t hash, int32_t n) { return (int32_t)((hash & INT32_MAX) % (uint32_t)n); }

static uint32_t decimal_hash(i128 v)
{
    uint8_t b[16];
    int n = minimal_bytes(v, b);
    return ib_murmur3_32(b, (size_t)n);
}

/* ---- FLAT loops ---- */

static void bucket_i32(const int32_t *in, uint32_t n, int32_t buckets, int32_t *out)
{
    for (uint32_t i = 0; i < n; i++)
        out[i] = bucket_of(murmur_i64(in[i]), buckets);
}

static void bucket_i64(const int64_t *in, uint32_t n, int32_t buckets, int32_t *out)
{
    for (uint32_t i = 0; i < n; i++)
        out[i] = bucket_of(murmur_i64(in[i]), buckets);
}

static void bucket_dec64(const int64_t *in, uint32_t n, int32_t buckets, int32_t *out)
{
    for (uint32_t i = 0; i < n; i++)
        out[i] = bucket_of(decimal_hash(in[i]), buckets);
}

static void bucket_dec128(const i128 *in, uint32_t n, int32_t buckets, int32_t *out)
{
    for (uint32_t i = 0; i < n; i++)
        out[i] = bucket_of(decimal_hash(in[i]), buckets);
}

static void bucket_str(const strview *in, uint32_t n, int32_t buckets, int32_t *out)
{
    for (uint32_t i = 0; i < n; i++)
        out[i] = bucket_of(ib_murmur3_32(strview_ptr(&in[i]), in[i].len), buckets);
}

/* The first row whose result doesn't fit and that isn't null is in *bad; n: none. */
static inline bool counts(const uint64_t *valid, uint32_t i) { return !valid || bit_get(valid, i); }

static uint32_t truncate_i32(const int32_t *in, uint32_t n, int32_t w, const uint64_t *valid, int32_t *out)
{
    uint32_t bad = n;
    for (uint32_t i = 0; i < n; i++) {
        int64_t r = in[i] % w, v = (int64_t)in[i] - (r < 0 ? r + w : r);
        out[i] = (int32_t)v;
        if (v < INT32_MIN && bad == n && counts(valid, i))
            bad = i;
    }
    return bad;
}

static uint32_t truncate_i64(const int64_t *in, uint32_t n, int32_t w, int64_t min, const uint64_t *valid, int64_t *out)
{
    uint32_t bad = n;
    for (uint32_t i = 0; i < n; i++) {
        int64_t r = in[i] % w;
        r = r < 0 ? r + w : r;
        bool under = in[i] < min + r;
        out[i] = under ? 0 : in[i] - r;
        if (under && bad == n && counts(valid, i))
            bad = i;
    }
    return bad;
}

static uint32_t truncate_i128(const i128 *in, uint32_t n, int32_t w, i128 min, const uint64_t *valid, i128 *out)
{
    uint32_t bad = n;
    for (uint32_t i = 0; i < n; i++) {
        i128 r = in[i] % w;
        r = r < 0 ? r + w : r;
        bool under = in[i] < min + r;
        out[i] = under ? 0 : in[i] - r;
        if (under && bad == n && counts(valid, i))
            bad = i;
    }
    return bad;
}

/* Bytes of the first w code points. */
static uint32_t code_points(const char *p, uint32_t n, int32_t w)
{
    if (n <= (uint32_t)w)
        return n;
    uint32_t i = 0;
    for (; i < n; i++)
        if (((unsigned char)p[i] & 0xC0) != 0x80 && w-- == 0)
            break;
    return i;
}

static void truncate_str(const strview *in, uint32_t n, int32_t w, bool text, strview *out)
{
    for (uint32_t i = 0; i < n; i++) {
        const char *p = strview_ptr(&in[i]);
        uint32_t k = text ? code_points(p, in[i].len, w) : in[i].len < (uint32_t)w ? in[i].len : (uint32_t)w;
        out[i] = k == in[i].len ? in[i] : strview_make(p, k);
    }
}

static void days_of(const int64_t *micros, uint32_t n, int32_t *out)
{
    for (uint32_t i = 0; i < n; i++)
        out[i] = (int32_t)civil_floor_div(micros[i], MICROS_PER_DAY); /* always fits: 2^63 µs are 10^8 days */
}

static uint32_t hours_of(const int64_t *micros, uint32_t n, const uint64_t *valid, int32_t *out)
{
    uint32_t bad = n;
    for (uint32_t i = 0; i < n; i++) {
        int64_t v = civil_floor_div(micros[i], MICROS_PER_DAY / 24);
        out[i] = (int32_t)v;
        if (v != (int32_t)v && bad == n && counts(valid, i))
            bad = i;
    }
    return bad;
}

static void years_of(int32_t *days, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        days[i] = (int32_t)(civil_from_days(days[i]).year - 1970);
}

static void months_of(int32_t *days, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        civil_date d = civil_from_days(days[i]);
        days[i] = (int32_t)((d.year - 1970) * 12 + d.month - 1);
    }
}

/* ---- one FLAT vector ---- */

static i128 power10(int n)
{
    i128 v = 1;
    while (n-- > 0)
        v *= 10;
    return v;
}

static fz_status out_of_range(const ib_transform *t, fz_error *err)
{
    return error_sql(err, FZ_VALUE, "22003", "a value is out of range for the partition transform " STR_FMT,
                     STR_ARG(t->text));
}

static void bucket_flat(const vec *in, int32_t n, int32_t *out)
{
    switch (type_phys(in->t)) {
    case PHYS_I32: bucket_i32(in->data, in->len, n, out); break;
    case PHYS_I64: (in->t.id == T_DECIMAL ? bucket_dec64 : bucket_i64)(in->data, in->len, n, out); break;
    case PHYS_I128: bucket_dec128(in->data, in->len, n, out); break;
    default: bucket_str(in->data, in->len, n, out); break;
    }
}

/* false: a value is out of range */
static bool truncate_flat(const vec *in, int32_t w, void *out)
{
    uint32_t n = in->len;
    i128 min = in->t.id == T_DECIMAL ? -(power10(in->t.precision) - 1) : INT64_MIN;
    switch (type_phys(in->t)) {
    case PHYS_I32: return truncate_i32(in->data, n, w, in->valid, out) == n;
    case PHYS_I64: return truncate_i64(in->data, n, w, (int64_t)min, in->valid, out) == n;
    case PHYS_I128: return truncate_i128(in->data, n, w, min, in->valid, out) == n;
    default: truncate_str(in->data, n, w, in->t.id == T_STRING, out); return true;
    }
}

static bool time_flat(const vec *in, ib_transform_kind kind, int32_t *out)
{
    if (kind == IB_HOUR)
        return hours_of(in->data, in->len, in->valid, out) == in->len;
    if (in->t.id == T_DATE)
        memcpy(out, in->data, in->len * sizeof *out);
    else
        days_of(in->data, in->len, out);
    if (kind == IB_YEAR)
        years_of(out, in->len);
    else if (kind == IB_MONTH)
        months_of(out, in->len);
    return true;
}

/* in is FLAT; not identity or void. out shares in's validity. */
static fz_status flat_transform(const ib_transform *t, const vec *in, type result, arena *a, vec *out, fz_error *err)
{
    bool ok = true;
    TRY(vec_alloc(out, result, in->len, a, err));
    out->valid = in->valid;
    if (t->kind == IB_BUCKET)
        bucket_flat(in, t->param, out->data);
    else if (t->kind == IB_TRUNCATE)
        ok = truncate_flat(in, t->param, out->data);
    else
        ok = time_flat(in, t->kind, out->data);
    return ok ? FZ_OK : out_of_range(t, err);
}

/* ---- columns ---- */

static fz_status all_null(type t, uint32_t n, arena *a, vec *out, fz_error *err)
{
    TRY(vec_alloc(out, t, n, a, err));
    out->valid = bitmap_alloc(a, n, false);
    if (!out->valid)
        return error_nomem(err);
    if (n)
        memset(out->data, 0, (size_t)n * phys_size(type_phys(t)));
    return FZ_OK;
}

fz_status ib_transform_vec(const ib_transform *t, const vec *in, arena *a, vec *out, fz_error *err)
{
    type result;
    vec flat, values;
    TRY(ib_transform_result(t, in->t, &result, err));
    if (t->kind == IB_VOID)
        return all_null(result, in->len, a, out, err);
    if (t->kind == IB_IDENTITY)
        return vec_flatten(out, in, a, err);
    switch (in->enc) {
    case VEC_FLAT:
        return flat_transform(t, in, result, a, out, err);
    case VEC_CONST: {
        datum d = vec_datum(in, 0);
        datum r;
        if (in->len == 0 || d.null)
            return all_null(result, in->len, a, out, err);
        TRY(ib_transform_value(t, &d, a, &r, err));
        TRY(vec_const(&values, &r, in->len, a, err));
        return vec_flatten(out, &values, a, err);
    }
    default:
        /* Transforming more values than there are rows isn't worth it, and an unused one could fail. */
        if (in->values->len > in->len || (t->kind == IB_TRUNCATE && type_phys(in->t) != PHYS_STR) || t->kind == IB_HOUR) {
            TRY(vec_flatten(&flat, in, a, err));
            return flat_transform(t, &flat, result, a, out, err);
        }
        TRY(flat_transform(t, in->values, result, a, &values, err));
        flat = *in;
        flat.t = result;
        flat.values = &values;
        flat.dict_id = 0;
        return vec_flatten(out, &flat, a, err);
    }
}

/* ---- one value ---- */

fz_status ib_transform_value(const ib_transform *t, const datum *in, arena *a, datum *out, fz_error *err)
{
    type result;
    TRY(ib_transform_result(t, in->t, &result, err));
    if (in->null || t->kind == IB_VOID) {
        *out = DATUM_NULL(result);
        return FZ_OK;
    }
    if (t->kind == IB_IDENTITY) {
        *out = *in;
        return FZ_OK;
    }
    /* A column of one row. The value lies where the datum has it; text needs a view. */
    datum d = *in;
    strview text;
    vec v = {.t = in->t, .enc = VEC_FLAT, .len = 1}, r;
    switch (type_phys(in->t)) {
    case PHYS_I32: v.data = &d.i32; break;
    case PHYS_I64: v.data = &d.i64; break;
    case PHYS_I128: v.data = &d.i128v; break;
    default:
        if (d.s.n > UINT32_MAX)
            return error_set(err, FZ_LIMIT, "a text of %zu bytes is too long", d.s.n);
        text = strview_make(d.s.p ? d.s.p : "", (uint32_t)d.s.n);
        v.data = &text;
    }
    TRY(flat_transform(t, &v, result, a, &r, err));
    *out = vec_datum(&r, 0);
    if (type_phys(result) == PHYS_STR && out->s.n) {
        /* Short text lies in the vector, which lives in the arena; longer text in the caller's bytes. */
        out->s.p = arena_strndup(a, out->s.p, out->s.n);
        if (!out->s.p)
            return error_nomem(err);
    }
    return FZ_OK;
}
