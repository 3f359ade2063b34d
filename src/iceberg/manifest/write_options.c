/*
 * write_options.c: see write_options.h.
 *
 * Properties of Iceberg's documentation that don't concern this writer are checked and have no effect: how often rows are
 * counted (row-group-check-*), which it does by every batch. "frazil.parquet.byte-stream-split" (none, floats, all) is our own.
 */
#include "iceberg/manifest/write_options.h"

#include "base/numtext.h"

#define PREFIX "write.parquet."

static fz_status bad(const char *key, str value, const char *want, fz_error *err)
{
    return error_set(err, FZ_INVALID, "property %s is \"" STR_FMT "\": %s is needed", key, STR_ARG(value), want);
}

static fz_status positive(const ib_props *p, const char *key, int64_t *v, fz_error *err)
{
    TRY(ib_prop_i64(p, key, *v, v, err));
    return *v > 0 ? FZ_OK : bad(key, ib_prop(p, key), "a positive number", err);
}

/* ---- words ---- */

typedef struct word { const char *name; int value; } word;

static fz_status choose(const ib_props *p, const char *key, const word *words, size_t n, int *out, fz_error *err)
{
    str v = str_trim(ib_prop(p, key));
    if (!v.n)
        return FZ_OK;
    for (size_t i = 0; i < n; i++)
        if (str_ieq(v, str_of(words[i].name))) {
            *out = words[i].value;
            return FZ_OK;
        }
    sbuf b;
    sbuf_init(&b, NULL);
    for (size_t i = 0; i < n; i++)
        sbuf_printf(&b, "%s%s", i == 0 ? "" : i + 1 < n ? ", " : " or ", words[i].name);
    fz_status st = bad(key, v, b.p && !b.failed ? b.p : "another value", err);
    sbuf_free(&b);
    return st;
}

#define CHOOSE(P, KEY, WORDS, OUT, ERR) choose(P, KEY, WORDS, sizeof WORDS / sizeof WORDS[0], OUT, ERR)

/* "lz4" is written as LZ4_RAW: the format has withdrawn the framing that its LZ4 once meant, and few readers know it. */
static fz_status codec_options(const ib_props *p, pq_write_options *o, fz_error *err)
{
    static const word codecs[] = {
        {"zstd", PQ_ZSTD}, {"snappy", PQ_SNAPPY}, {"gzip", PQ_GZIP}, {"lz4", PQ_LZ4_RAW}, {"lz4_raw", PQ_LZ4_RAW},
        {"brotli", PQ_BROTLI}, {"uncompressed", PQ_UNCOMPRESSED}, {"none", PQ_UNCOMPRESSED},
    };
    int64_t level = 0;
    TRY(CHOOSE(p, PREFIX "compression-codec", codecs, &o->codec, err));
    if (!ib_prop(p, PREFIX "compression-level").n)
        return FZ_OK;
    TRY(ib_prop_i64(p, PREFIX "compression-level", 0, &level, err));
    if (level < -1000000 || level > 1000000)
        return bad(PREFIX "compression-level", ib_prop(p, PREFIX "compression-level"), "a level of the codec", err);
    o->codec_level = (int)level;
    return FZ_OK;
}

/* ---- columns ---- */

static pq_leaf_options *leaf_named(pq_leaf_options *list, uint32_t *n, str name)
{
    for (uint32_t i = 0; i < *n; i++)
        if (str_eq(list[i].name, name))
            return &list[i];
    list[*n] = (pq_leaf_options){.name = name};
    return &list[(*n)++];
}

static fz_status leaf_bool(const ib_kv *kv, bool *out, fz_error *err)
{
    str v = str_trim(kv->value);
    *out = str_ieq(v, STR("true"));
    if (*out || str_ieq(v, STR("false")))
        return FZ_OK;
    return error_set(err, FZ_INVALID, "property " STR_FMT " is \"" STR_FMT "\", which is neither true nor false", STR_ARG(kv->key),
                     STR_ARG(kv->value));
}

static fz_status leaf_option(const ib_kv *kv, str rest, pq_leaf_options *list, uint32_t *n, fz_error *err)
{
    static const char *const prefixes[] = {"bloom-filter-enabled.column.", "bloom-filter-fpp.column.", "bloom-filter-ndv.column.",
                                           "stats-enabled.column."};
    for (int i = 0; i < 4; i++) {
        str prefix = str_of(prefixes[i]);
        if (!str_starts(rest, prefix) || rest.n == prefix.n)
            continue;
        pq_leaf_options *l = leaf_named(list, n, (str){rest.p + prefix.n, rest.n - prefix.n});
        str v = str_trim(kv->value);
        bool on;
        switch (i) {
        case 0:
            return leaf_bool(kv, &l->bloom, err);
        case 1:
            if (str_to_f64(v, &l->bloom_fpp) && l->bloom_fpp > 0 && l->bloom_fpp < 1)
                return FZ_OK;
            break;
        case 2:
            if (str_to_i64(v, &l->bloom_ndv) && l->bloom_ndv > 0)
                return FZ_OK;
            break;
        default:
            TRY(leaf_bool(kv, &on, err));
            l->no_stats = !on;
            return FZ_OK;
        }
        return error_set(err, FZ_INVALID, "property " STR_FMT " is \"" STR_FMT "\": %s is needed", STR_ARG(kv->key), STR_ARG(kv->value),
                         i == 1 ? "a number between 0 and 1" : "a positive number");
    }
    return FZ_OK;
}

static fz_status leaf_options(const ib_props *p, arena *a, pq_write_options *o, fz_error *err)
{
    pq_leaf_options *list = ARENA_ARRAY(a, pq_leaf_options, p->n + 1);
    if (!list)
        return error_nomem(err);
    uint32_t n = 0;
    for (uint32_t i = 0; i < p->n; i++) {
        str k = p->kv[i].key, prefix = STR(PREFIX);
        if (str_starts(k, prefix))
            TRY(leaf_option(&p->kv[i], (str){k.p + prefix.n, k.n - prefix.n}, list, &n, err));
    }
    o->leaves = list;
    o->n_leaves = n;
    return FZ_OK;
}

/* ---- order ---- */

/* A file can say that it is ordered by values, not by what a transform makes of them. */
static fz_status sort_keys(const ib_sort_order *order, arena *a, pq_write_options *o, fz_error *err)
{
    if (!order || !order->n)
        return FZ_OK;
    pq_sort_key *keys = ARENA_ARRAY(a, pq_sort_key, order->n);
    if (!keys)
        return error_nomem(err);
    while (o->n_sorted < order->n && order->fields[o->n_sorted].transform.kind == IB_IDENTITY) {
        const ib_sort_field *f = &order->fields[o->n_sorted];
        keys[o->n_sorted++] = (pq_sort_key){f->source_id, f->desc, !f->nulls_last};
    }
    o->sorted = keys;
    return FZ_OK;
}

fz_status ib_parquet_options(const ib_metadata *md, const ib_sort_order *order, arena *a, pq_write_options *o, fz_error *err)
{
    static const word versions[] = {{"v1", 1}, {"v2", 2}, {"1", 1}, {"2", 2}};
    static const word splits[] = {{"none", PQ_SPLIT_NONE}, {"floats", PQ_SPLIT_FLOATS}, {"all", PQ_SPLIT_ALL}};
    const ib_props *p = &md->properties;
    int64_t least = 100, most = 10000;
    pq_write_options_default(o);
    TRY(positive(p, PREFIX "row-group-size-bytes", &o->row_group_bytes, err));
    TRY(positive(p, PREFIX "row-group-limit", &o->row_group_rows, err));
    TRY(positive(p, PREFIX "page-size-bytes", &o->page_bytes, err));
    TRY(positive(p, PREFIX "page-row-limit", &o->page_rows, err));
    TRY(positive(p, PREFIX "bloom-filter-max-bytes", &o->bloom_max_bytes, err));
    TRY(positive(p, PREFIX "row-group-check-min-record-count", &least, err));
    TRY(positive(p, PREFIX "row-group-check-max-record-count", &most, err));
    TRY(ib_prop_i64(p, PREFIX "dict-size-bytes", o->dict_bytes, &o->dict_bytes, err));
    if (o->dict_bytes < 0)
        return bad(PREFIX "dict-size-bytes", ib_prop(p, PREFIX "dict-size-bytes"), "a number that isn't negative", err);
    TRY(CHOOSE(p, PREFIX "page-version", versions, &o->page_version, err));
    TRY(CHOOSE(p, "frazil.parquet.byte-stream-split", splits, &o->split, err));
    TRY(codec_options(p, o, err));
    TRY(leaf_options(p, a, o, err));
    return sort_keys(order, a, o, err);
}
