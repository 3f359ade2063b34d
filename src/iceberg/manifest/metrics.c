/*
 * metrics.c: column metrics of a written Parquet file as statistics of a data file, cut as the
 * table's metrics modes say (see metrics.h).
 */
#include "iceberg/manifest/metrics.h"

#include <stdlib.h>

#define DEFAULT_TRUNCATE 16
#define DEFAULT_MAX_COLUMNS 100

typedef enum mode_kind { MODE_NONE, MODE_COUNTS, MODE_TRUNCATE, MODE_FULL } mode_kind;
typedef struct metrics_mode { mode_kind kind; int32_t length; } metrics_mode;

/* ---- truncation ---- */

/* Bytes of the first n code points. */
static size_t prefix_bytes(str s, int32_t n)
{
    size_t i = 0;
    while (i < s.n) {
        if ((s.p[i] & 0xc0) != 0x80 && n-- == 0)
            return i;
        i++;
    }
    return i;
}

str ib_truncate_text(str s, int32_t n)
{
    return (str){s.p, prefix_bytes(s, n)};
}

static size_t put_utf8(char *p, uint32_t c)
{
    if (c < 0x80) {
        p[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        p[0] = (char)(0xc0 | c >> 6);
        p[1] = (char)(0x80 | (c & 0x3f));
        return 2;
    }
    if (c < 0x10000) {
        p[0] = (char)(0xe0 | c >> 12);
        p[1] = (char)(0x80 | (c >> 6 & 0x3f));
        p[2] = (char)(0x80 | (c & 0x3f));
        return 3;
    }
    p[0] = (char)(0xf0 | c >> 18);
    p[1] = (char)(0x80 | (c >> 12 & 0x3f));
    p[2] = (char)(0x80 | (c >> 6 & 0x3f));
    p[3] = (char)(0x80 | (c & 0x3f));
    return 4;
}

static uint32_t get_utf8(const char *s, size_t n)
{
    const uint8_t *p = (const uint8_t *)s;
    uint32_t c = n == 1 ? p[0] : n == 2 ? p[0] & 0x1f : n == 3 ? p[0] & 0x0f : p[0] & 0x07;
    for (size_t i = 1; i < n; i++)
        c = c << 6 | (p[i] & 0x3f);
    return c;
}

bool ib_raise_text(str s, arena *a, str *out)
{
    size_t end = s.n;
    while (end > 0) {
        size_t at = end - 1;
        while (at > 0 && (s.p[at] & 0xc0) == 0x80)
            at--;
        uint32_t c = get_utf8(s.p + at, end - at) + 1;
        if (c == 0xd800)
            c = 0xe000; /* surrogates aren't characters */
        if (end - at <= 4 && c <= 0x10ffff) {
            char *p = arena_alloc(a, at + 4);
            if (!p)
                return false;
            memcpy(p, s.p, at);
            *out = (str){p, at + put_utf8(p + at, c)};
            return true;
        }
        end = at;
    }
    return false;
}

bool ib_raise_bytes(str s, arena *a, str *out)
{
    size_t n = s.n;
    while (n > 0 && (uint8_t)s.p[n - 1] == 0xff)
        n--;
    char *p = n ? arena_strndup(a, s.p, n) : NULL;
    if (!p)
        return false;
    p[n - 1]++;
    *out = (str){p, n};
    return true;
}

bool ib_truncate_text_up(str s, int32_t n, arena *a, str *out)
{
    size_t bytes = prefix_bytes(s, n);
    if (bytes == s.n) {
        *out = s;
        return true;
    }
    return ib_raise_text((str){s.p, bytes}, a, out);
}

bool ib_truncate_bytes_up(str s, int32_t n, arena *a, str *out)
{
    if (s.n <= (size_t)n) {
        *out = s;
        return true;
    }
    return ib_raise_bytes((str){s.p, (size_t)n}, a, out);
}

/* ---- modes ---- */

static fz_status parse_mode(str text, metrics_mode *out, fz_error *err)
{
    str t = str_trim(text);
    int64_t n;
    if (str_ieq(t, STR("none")))
        *out = (metrics_mode){MODE_NONE, 0};
    else if (str_ieq(t, STR("counts")))
        *out = (metrics_mode){MODE_COUNTS, 0};
    else if (str_ieq(t, STR("full")))
        *out = (metrics_mode){MODE_FULL, 0};
    else if (t.n > 10 && str_ieq((str){t.p, 9}, STR("truncate(")) && t.p[t.n - 1] == ')' &&
             str_to_i64((str){t.p + 9, t.n - 10}, &n) && n > 0 && n <= INT32_MAX)
        *out = (metrics_mode){MODE_TRUNCATE, (int32_t)n};
    else
        return error_set(err, FZ_INVALID,
                         "\"" STR_FMT "\" is not a metrics mode: none, counts, truncate(length) or full", STR_ARG(text));
    return FZ_OK;
}

static bool keeps_order(ib_transform_kind k)
{
    return k == IB_IDENTITY || k == IB_TRUNCATE || k == IB_YEAR || k == IB_MONTH || k == IB_DAY || k == IB_HOUR;
}

/* Columns that a table is sorted by have bounds unless they are asked not to: files differ in them. */
static bool sorted_by(const ib_metadata *md, int32_t field_id)
{
    const ib_sort_order *o = ib_order_by_id(md, md->default_sort_order_id);
    for (uint32_t i = 0; o && i < o->n; i++)
        if (o->fields[i].source_id == field_id && keeps_order(o->fields[i].transform.kind))
            return true;
    return false;
}

/* By the leaf's whole name; top-level columns are what is counted for the default. */
static fz_status mode_of(const ib_metadata *md, const pq_column_metrics *c, metrics_mode *out, fz_error *err)
{
    static const char PREFIX[] = "write.metadata.metrics.column.";
    for (uint32_t i = 0; i < md->properties.n; i++) {
        str k = md->properties.kv[i].key;
        if (str_starts(k, STR(PREFIX)) && str_eq((str){k.p + sizeof PREFIX - 1, k.n - (sizeof PREFIX - 1)}, c->path))
            return parse_mode(md->properties.kv[i].value, out, err);
    }
    str def = ib_prop(&md->properties, "write.metadata.metrics.default");
    int64_t max;
    if (def.p) {
        TRY(parse_mode(def, out, err));
    } else {
        TRY(ib_prop_i64(&md->properties, "write.metadata.metrics.max-inferred-column-defaults", DEFAULT_MAX_COLUMNS, &max, err));
        *out = c->column < max ? (metrics_mode){MODE_TRUNCATE, DEFAULT_TRUNCATE} : (metrics_mode){MODE_NONE, 0};
    }
    if ((out->kind == MODE_NONE || out->kind == MODE_COUNTS) && sorted_by(md, c->field_id))
        *out = (metrics_mode){MODE_TRUNCATE, DEFAULT_TRUNCATE};
    return FZ_OK;
}

/* ---- statistics ---- */

static fz_status set_bounds(const pq_column_metrics *c, metrics_mode mode, arena *a, ib_column_stats *s, fz_error *err)
{
    datum lower = c->min, upper = c->max;
    bool has_upper = true;
    if (mode.kind == MODE_TRUNCATE && lower.t.id == T_STRING) {
        lower.s = ib_truncate_text(lower.s, mode.length);
        has_upper = ib_truncate_text_up(c->max.s, mode.length, a, &upper.s);
    } else if (mode.kind == MODE_TRUNCATE && lower.t.id == T_BINARY) {
        if (lower.s.n > (size_t)mode.length)
            lower.s.n = (size_t)mode.length;
        has_upper = ib_truncate_bytes_up(c->max.s, mode.length, a, &upper.s);
    }
    TRY(ib_bound_encode(&lower, a, &s->lower, err));
    s->has_lower = true;
    if (has_upper)
        TRY(ib_bound_encode(&upper, a, &s->upper, err));
    s->has_upper = has_upper;
    return FZ_OK;
}

/* Of fields within lists and maps the size alone: their entries in a file aren't values of the table's rows. */
static fz_status set_stats(const pq_column_metrics *c, metrics_mode mode, arena *a, ib_column_stats *s, fz_error *err)
{
    *s = (ib_column_stats){.field_id = c->field_id, .size_bytes = c->size_bytes, .value_count = -1, .null_count = -1,
                           .nan_count = -1};
    if (c->repeated)
        return FZ_OK;
    s->value_count = c->value_count;
    s->null_count = c->null_count;
    s->nan_count = c->nan_count;
    return mode.kind != MODE_COUNTS && c->has_bounds ? set_bounds(c, mode, a, s, err) : FZ_OK;
}

static int by_field(const void *x, const void *y)
{
    const ib_column_stats *a = x, *b = y;
    return a->field_id < b->field_id ? -1 : a->field_id > b->field_id;
}

static fz_status copy_partition(const ib_partition_spec *spec, const datum *partition, arena *a, ib_data_file *out,
                                fz_error *err)
{
    out->n_partition = spec->n;
    out->partition = ARENA_ARRAY(a, datum, spec->n + 1);
    if (!out->partition)
        return error_nomem(err);
    for (uint32_t i = 0; i < spec->n; i++) {
        datum *d = &out->partition[i];
        *d = partition[i];
        if (!d->null && type_phys(d->t) == PHYS_STR && !(d->s.p = arena_strndup(a, d->s.p, d->s.n)))
            return error_nomem(err);
    }
    return FZ_OK;
}

fz_status ib_data_file_from_parquet(const ib_metadata *md, const ib_partition_spec *spec,
                                    const datum *partition, const char *location, const pq_write_result *res,
                                    int32_t sort_order_id, arena *a, ib_data_file *out, fz_error *err)
{
    size_t n = strlen(location);
    *out = (ib_data_file){.content = IB_DATA, .file_format = STR("PARQUET"), .spec_id = spec->spec_id,
                          .record_count = res->rows, .file_size_bytes = (int64_t)res->file_size,
                          .sort_order_id = sort_order_id, .n_splits = res->n_splits};
    out->file_path = (str){arena_strndup(a, location, n), n};
    out->stats = ARENA_ARRAY(a, ib_column_stats, res->ncols + 1);
    out->split_offsets = ARENA_ARRAY(a, int64_t, res->n_splits + 1);
    if (!out->file_path.p || !out->stats || !out->split_offsets)
        return error_nomem(err);
    if (res->n_splits)
        memcpy(out->split_offsets, res->split_offsets, res->n_splits * sizeof *out->split_offsets);
    TRY(copy_partition(spec, partition, a, out, err));
    for (uint32_t i = 0; i < res->ncols; i++) {
        metrics_mode mode;
        if (res->cols[i].field_id < 0)
            continue;
        TRY(mode_of(md, &res->cols[i], &mode, err));
        if (mode.kind == MODE_NONE)
            continue;
        TRY(set_stats(&res->cols[i], mode, a, &out->stats[out->n_stats++], err));
    }
    qsort(out->stats, out->n_stats, sizeof *out->stats, by_field);
    return FZ_OK;
}
