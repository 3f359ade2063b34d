/*
 * prune.c: which manifests and data files can hold rows that satisfy a predicate.
 *
 * A leaf asks about one column. What is known of it comes from several places: each partition
 * field made from that column, and the file's own statistics. Each gives a set of outcomes that is
 * never too small, so their intersection isn't either. (Where it comes out empty although there
 * are rows, the metadata contradicts itself, and nothing is concluded.)
 *
 * A partition value is turned into the range of source values that it stands for:
 *
 *   identity            the value                      bucket       none; equality is tested by bucket number
 *   truncate[W]         v … v+W-1; text: v … v followed by anything
 *   year month day hour first … last moment of it      void         nothing is known
 *
 * Time transforms of old Java writers rounded values before 1970 towards zero, which can give a value
 * one too great; the range of values up to 0 is widened downwards by one for that.
 */
#include "iceberg/plan/plan_int.h"
#include "arrow/civil.h"
#include "iceberg/manifest/metrics.h"
#include "iceberg/transform/transform.h"

#include <math.h>

typedef struct pruner {
    const ib_metadata *md;
    const ib_partition_spec *spec;  /* NULL: unknown, no partition pruning */
    const ib_manifest_file *mf;     /* one of the two */
    const ib_data_file *file;
    arena scratch;
} pruner;

const type_field *plan_find_field(const ib_metadata *md, int32_t id)
{
    const ib_schema *s = ib_current_schema(md);
    const type_field *f = s ? ib_field_by_id(s, id) : NULL;
    for (uint32_t i = md->n_schemas; !f && i-- > 0;)
        f = ib_field_by_id(&md->schemas[i], id);
    return f;
}

static bool is_nan(const datum *d)
{
    return (d->t.id == T_FLOAT32 && isnan(d->f32)) || (d->t.id == T_FLOAT64 && isnan(d->f64));
}

/* ---- ranges of source values ---- */

static i128 number(const datum *d)
{
    switch (type_phys(d->t)) {
    case PHYS_I32: return d->i32;
    case PHYS_I128: return d->i128v;
    default: return d->i64;
    }
}

/* A value of the source's type; false where it doesn't fit. */
static bool set_number(type t, i128 v, datum *d)
{
    *d = (datum){.t = t};
    switch (type_phys(t)) {
    case PHYS_I32: d->i32 = (int32_t)v; return v == (int32_t)v;
    case PHYS_I64: d->i64 = (int64_t)v; return v == (int64_t)v;
    case PHYS_I128: d->i128v = v; return true;
    default: return false;
    }
}

/* The first moment of unit number v, in days (dates) or microseconds. */
static bool unit_start(ib_transform_kind kind, bool days, i128 v, i128 *out)
{
    if (v < INT32_MIN || v > INT32_MAX)
        return false;
    int64_t n = (int64_t)v;
    if (kind == IB_HOUR) {
        *out = (i128)n * 3600 * MICROS_PER_SECOND;
        return !days;
    }
    if (kind == IB_YEAR)
        n = civil_to_days(1970 + n, 1, 1);
    else if (kind == IB_MONTH)
        n = civil_to_days(1970 + civil_floor_div(n, 12), (int)(n - civil_floor_div(n, 12) * 12) + 1, 1);
    *out = days ? (i128)n : (i128)n * MICROS_PER_DAY;
    return true;
}

static void time_range(const ib_transform *t, type source, const datum *lo, const datum *hi, ib_bounds *b)
{
    bool days = source.id == T_DATE;
    i128 from, to;
    if (type_phys(lo->t) == PHYS_STR || type_phys(hi->t) == PHYS_STR)
        return;
    i128 first = number(lo), last = number(hi);
    if (first <= 0 && !(days && t->kind == IB_DAY))
        first--;
    b->has_lower = unit_start(t->kind, days, first, &from) && set_number(source, from, &b->lower);
    b->has_upper = unit_start(t->kind, days, last + 1, &to) && set_number(source, to - 1, &b->upper);
}

static size_t code_points(str s)
{
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++)
        n += (s.p[i] & 0xc0) != 0x80;
    return n;
}

static void truncate_range(pruner *p, const ib_transform *t, type source, const datum *lo, const datum *hi,
                           ib_bounds *b)
{
    *b = (ib_bounds){.rows = b->rows, .nulls = b->nulls, .has_lower = true, .has_upper = true, .lower = *lo,
                     .upper = *hi};
    if (type_phys(source) != PHYS_STR) {
        /* The truncation of the least ints or longs lies below them, and Java wraps it around to a great one. */
        i128 min = source.id == T_INT32 ? INT32_MIN : INT64_MIN, below = (min % t->param + t->param) % t->param;
        i128 wrapped = -min - below;
        if (type_is_integer(source) && below && number(lo) <= wrapped && number(hi) >= wrapped) {
            b->has_lower = b->has_upper = false;
            return;
        }
        b->has_upper = set_number(source, number(hi) + t->param - 1, &b->upper);
        return;
    }
    size_t n = source.id == T_STRING ? code_points(hi->s) : hi->s.n;
    if (n < (size_t)t->param)
        return; /* short enough to be the whole value */
    b->has_upper = source.id == T_STRING ? ib_raise_text(hi->s, &p->scratch, &b->upper.s)
                                         : ib_raise_bytes(hi->s, &p->scratch, &b->upper.s);
}

/* Fills b's bounds with the source values whose transform lies within lo … hi. */
static void source_range(pruner *p, const ib_transform *t, type source, const datum *lo, const datum *hi, ib_bounds *b)
{
    switch (t->kind) {
    case IB_IDENTITY:
        b->has_lower = b->has_upper = true;
        b->lower = *lo;
        b->upper = *hi;
        break;
    case IB_TRUNCATE:
        if (t->param > 0 && type_phys(lo->t) == type_phys(source) && type_phys(hi->t) == type_phys(source))
            truncate_range(p, t, source, lo, hi, b);
        break;
    case IB_YEAR:
    case IB_MONTH:
    case IB_DAY:
    case IB_HOUR:
        time_range(t, source, lo, hi, b);
        break;
    default:
        break;
    }
}

/* ---- leaves ---- */

/* Whether a value equal to c can be in buckets lo … hi. */
static bool bucket_can(pruner *p, const ib_transform *t, type source, const datum *c, const datum *lo, const datum *hi)
{
    datum v = *c, bucket;
    if (!type_eq(source, c->t)) {
        bool ints = (source.id == T_INT64 && c->t.id == T_INT32) || (source.id == T_INT32 && c->t.id == T_INT64);
        if (!ints || !set_number(source, number(c), &v))
            return true;
    }
    if (ib_transform_value(t, &v, &p->scratch, &bucket, NULL) != FZ_OK || bucket.null)
        return true;
    return number(&bucket) >= number(lo) && number(&bucket) <= number(hi);
}

static unsigned bucket_leaf(pruner *p, const ib_pred *leaf, const ib_transform *t, type source, const datum *lo,
                            const datum *hi)
{
    if (leaf->kind != IB_PRED_EQ && leaf->kind != IB_PRED_NE && leaf->kind != IB_PRED_IN)
        return IB_CAN_ANY;
    for (uint32_t i = 0; i < leaf->n; i++)
        if (bucket_can(p, t, source, &leaf->values[i], lo, hi))
            return IB_CAN_ANY;
    return leaf->kind == IB_PRED_NE ? IB_CAN_TRUE | IB_CAN_NULL : IB_CAN_FALSE | IB_CAN_NULL;
}

/* What the i-th partition field says: range of its values, nulls, NaN. False: nothing. */
static bool partition_known(const pruner *p, uint32_t i, type result, ib_bounds *b)
{
    *b = (ib_bounds){.rows = -1, .nulls = -1, .nans = -1};
    if (p->file) {
        const datum *d = &p->file->partition[i];
        b->rows = p->file->record_count;
        b->nulls = d->null ? b->rows : 0;
        b->nans = !d->null && is_nan(d) ? b->rows : 0;
        b->has_lower = b->has_upper = !d->null && !is_nan(d);
        b->lower = b->upper = *d;
        return true;
    }
    if (i >= p->mf->n_partitions)
        return false;
    const ib_field_summary *s = &p->mf->partitions[i];
    bool floats = result.id == T_FLOAT32 || result.id == T_FLOAT64;
    b->nulls = s->contains_null ? -1 : 0;
    b->nans = !floats || s->contains_nan == 0 ? 0 : -1;
    if (!s->has_lower && !s->has_upper) {
        if (!s->contains_null || b->nans != 0)
            return false;
        b->rows = b->nulls = 1; /* every value is null */
        return true;
    }
    b->has_lower = s->has_lower && ib_bound_decode(result, s->lower, &b->lower, NULL) == FZ_OK;
    b->has_upper = s->has_upper && ib_bound_decode(result, s->upper, &b->upper, NULL) == FZ_OK;
    return true;
}

static unsigned partition_leaf(pruner *p, const ib_pred *leaf, uint32_t i, type source)
{
    const ib_transform *t = &p->spec->fields[i].transform;
    type result;
    ib_bounds v;
    if (t->kind == IB_VOID || t->kind == IB_TRANSFORM_UNKNOWN ||
        ib_transform_result(t, source, &result, NULL) != FZ_OK || !partition_known(p, i, result, &v))
        return IB_CAN_ANY;
    ib_bounds b = {.rows = v.rows, .nulls = v.nulls, .nans = v.nans};
    if (v.has_lower && v.has_upper)
        source_range(p, t, source, &v.lower, &v.upper, &b);
    unsigned out = pred_leaf(leaf, &b);
    if (t->kind == IB_BUCKET && v.has_lower && v.has_upper && type_phys(v.lower.t) == PHYS_I32 &&
        type_phys(v.upper.t) == PHYS_I32)
        out &= bucket_leaf(p, leaf, t, source, &v.lower, &v.upper);
    return out;
}

static unsigned stats_leaf(const pruner *p, const ib_pred *leaf, type source)
{
    const ib_data_file *f = p->file;
    uint32_t lo = 0, hi = f->n_stats;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (f->stats[mid].field_id < leaf->field_id)
            lo = mid + 1;
        else
            hi = mid;
    }
    if (lo == f->n_stats || f->stats[lo].field_id != leaf->field_id)
        return IB_CAN_ANY;
    const ib_column_stats *s = &f->stats[lo];
    ib_bounds b = {.rows = f->record_count, .nulls = s->null_count, .nans = s->nan_count};
    b.has_lower = s->has_lower && ib_bound_decode(source, s->lower, &b.lower, NULL) == FZ_OK;
    b.has_upper = s->has_upper && ib_bound_decode(source, s->upper, &b.upper, NULL) == FZ_OK;
    return pred_leaf(leaf, &b);
}

static unsigned prune_leaf(void *ctx, const ib_pred *leaf)
{
    pruner *p = ctx;
    const type_field *field = plan_find_field(p->md, leaf->field_id);
    if (!field || type_is_nested(field->t))
        return IB_CAN_ANY;
    unsigned out = IB_CAN_ANY;
    for (uint32_t i = 0; p->spec && i < p->spec->n; i++)
        if (p->spec->fields[i].source_id == leaf->field_id)
            out &= partition_leaf(p, leaf, i, field->t);
    if (p->file)
        out &= stats_leaf(p, leaf, field->t);
    return out ? out : IB_CAN_ANY;
}

ib_match ib_pred_manifest(const ib_pred *p, const ib_metadata *md, const ib_manifest_file *mf)
{
    if (!p)
        return IB_MATCH_ALL;
    pruner x = {.md = md, .mf = mf, .spec = ib_spec_by_id(md, mf->spec_id)};
    if (x.spec && x.spec->n != mf->n_partitions)
        x.spec = NULL;
    arena_init(&x.scratch, NULL);
    ib_match r = pred_match(pred_tree(p, prune_leaf, &x));
    arena_free(&x.scratch);
    return r;
}

ib_match ib_pred_file(const ib_pred *p, const ib_metadata *md, const ib_data_file *f)
{
    if (!p)
        return IB_MATCH_ALL;
    if (f->record_count == 0)
        return IB_MATCH_NONE;
    pruner x = {.md = md, .file = f, .spec = ib_spec_by_id(md, f->spec_id)};
    if (x.spec && x.spec->n != f->n_partition)
        x.spec = NULL;
    arena_init(&x.scratch, NULL);
    ib_match r = pred_match(pred_tree(p, prune_leaf, &x));
    arena_free(&x.scratch);
    return r;
}
