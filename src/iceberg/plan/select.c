/*
 * select.c: choosing the entries of one manifest, with its index.
 *
 *   1. Each distinct partition is tested once, first by keys, then exactly. That decides for most entries.
 *   2. Where many entries are left, their bounds' keys are compared with the intervals that the predicate's leaves ask
 *      for, all entries at a time.
 *   3. What is left is decoded; where the partition didn't decide, it is tested exactly by its statistics.
 *
 * A mask says for each item (partition or entry) whether the predicate can be true of it. Keys only rule out.
 */
#include "base/clones.h"
#include "iceberg/plan/plan_int.h"

#include <stdio.h>

#define MANY 64 /* entries: fewer are decoded and tested one by one */

/* ---- masks ---- */

typedef struct masker {
    uint32_t n;
    arena *a;
    const ib_metadata *md;
    /* lower and upper keys of a field; *lower NULL: there are none */
    fz_status (*keys)(struct masker *x, int32_t field_id, type *t, const int64_t **lower, const int64_t **upper, fz_error *err);
    ib_manifest_cache *cache;
    ib_decoded *d;
    const ib_partition_spec *spec;
} masker;

static bool is_float(type t)
{
    return t.id == T_FLOAT32 || t.id == T_FLOAT64;
}

/* Whether keys of the two types compare. */
static bool same_keys(type a, type b)
{
    bool ints = (a.id == T_INT32 || a.id == T_INT64) && (b.id == T_INT32 || b.id == T_INT64);
    return ints || (is_float(a) && is_float(b)) || (a.id == b.id && a.scale == b.scale);
}

/* The interval of keys that a value has to lie in for the leaf to be true. */
static bool interval(const ib_pred *p, type t, int64_t *lo, int64_t *hi)
{
    int64_t first, last;
    *lo = INT64_MIN;
    *hi = INT64_MAX;
    for (uint32_t i = 0; i < p->n; i++)
        if (!same_keys(t, p->values[i].t))
            return false;
    if (p->n == 0 || !index_key(&p->values[0], &first) || !index_key(&p->values[p->n - 1], &last))
        return false;
    switch (p->kind) {
    case IB_PRED_LT:
    case IB_PRED_LE: *hi = first; return true;
    case IB_PRED_GT:
    case IB_PRED_GE: *lo = first; return !is_float(t); /* NaN is greater than all, and in no bounds */
    case IB_PRED_EQ: *lo = *hi = first; return true;
    case IB_PRED_IN: *lo = first; *hi = last; return true;
    case IB_PRED_STARTS_WITH: {
        *lo = first;
        size_t n = p->values[0].s.n;
        *hi = n >= 8 ? first : (int64_t)((uint64_t)first | UINT64_MAX >> (8 * n));
        return t.id == T_STRING && n > 0;
    }
    default: return false;
    }
}

CLONES static void overlap(uint32_t n, const int64_t *lower, const int64_t *upper, int64_t lo, int64_t hi, uint8_t *out)
{
    for (uint32_t i = 0; i < n; i++)
        out[i] &= (uint8_t)((lower[i] <= hi) & (upper[i] >= lo));
}

static fz_status mask(masker *x, const ib_pred *p, uint8_t *out, fz_error *err);

static fz_status mask_or(masker *x, const ib_pred *p, uint8_t *out, fz_error *err)
{
    uint8_t *any = arena_zalloc(x->a, x->n + 1), *one = arena_alloc(x->a, x->n + 1);
    if (!any || !one)
        return error_nomem(err);
    for (uint32_t k = 0; k < p->n; k++) {
        memset(one, 1, x->n);
        TRY(mask(x, p->children[k], one, err));
        for (uint32_t i = 0; i < x->n; i++)
            any[i] |= one[i];
    }
    for (uint32_t i = 0; i < x->n; i++)
        out[i] &= any[i];
    return FZ_OK;
}

/* Clears out[i] where p can't be true. */
static fz_status mask(masker *x, const ib_pred *p, uint8_t *out, fz_error *err)
{
    const int64_t *lower, *upper;
    int64_t lo, hi;
    type t;
    switch (p->kind) {
    case IB_PRED_AND:
        for (uint32_t k = 0; k < p->n; k++)
            TRY(mask(x, p->children[k], out, err));
        return FZ_OK;
    case IB_PRED_OR:
        return mask_or(x, p, out, err);
    case IB_PRED_FALSE:
    case IB_PRED_NULL:
        memset(out, 0, x->n);
        return FZ_OK;
    case IB_PRED_LT: case IB_PRED_LE: case IB_PRED_GT: case IB_PRED_GE: case IB_PRED_EQ: case IB_PRED_IN: case IB_PRED_STARTS_WITH: {
        const type_field *f = plan_find_field(x->md, p->field_id);
        if (!f || !interval(p, f->t, &lo, &hi))
            return FZ_OK;
        t = f->t;
        TRY(x->keys(x, p->field_id, &t, &lower, &upper, err));
        if (lower)
            overlap(x->n, lower, upper, lo, hi, out);
        return FZ_OK;
    }
    default:
        return FZ_OK;
    }
}

/* Partition values of an identity field are their own bounds; a null is in no interval. */
static fz_status part_keys(masker *x, int32_t field_id, type *t, const int64_t **lower, const int64_t **upper, fz_error *err)
{
    const ib_index *ix = x->d->index;
    *lower = *upper = NULL;
    uint32_t f = 0;
    while (x->spec && f < x->spec->n && !(x->spec->fields[f].source_id == field_id && x->spec->fields[f].transform.kind == IB_IDENTITY))
        f++;
    if (!x->spec || f >= ix->n_fields || f >= x->spec->n)
        return FZ_OK;
    int64_t *lo = ARENA_ARRAY(x->a, int64_t, x->n + 1), *hi = ARENA_ARRAY(x->a, int64_t, x->n + 1);
    if (!lo || !hi)
        return error_nomem(err);
    for (uint32_t i = 0; i < x->n; i++) {
        const datum *v = &ix->parts[(size_t)i * ix->n_fields + f];
        lo[i] = hi[i] = 0;
        if (v->null) {
            lo[i] = INT64_MAX;
            hi[i] = INT64_MIN;
        } else if (!same_keys(v->t, *t) || !index_key(v, &lo[i])) {
            lo[i] = INT64_MIN;
            hi[i] = INT64_MAX;
        } else {
            hi[i] = lo[i];
        }
    }
    *lower = lo;
    *upper = hi;
    return FZ_OK;
}

static fz_status entry_keys(masker *x, int32_t field_id, type *t, const int64_t **lower, const int64_t **upper, fz_error *err)
{
    const ib_key_column *c;
    size_t grew;
    TRY(index_keys(x->d, field_id, *t, &c, &grew, err));
    ib_manifest_index_grew(x->cache, x->d, grew);
    *lower = c->lower;
    *upper = c->upper;
    return FZ_OK;
}

/* ---- partitions ---- */

/* match[i]: what the predicate says of partition i (ib_match as bytes). */
static fz_status match_parts(const ib_metadata *md, const ib_pred *p, masker *x, uint8_t *match, fz_error *err)
{
    const ib_index *ix = x->d->index;
    memset(match, IB_MATCH_SOME, x->n);
    if (!ix->n_fields || !x->spec || x->spec->n != ix->n_fields)
        return FZ_OK;
    uint8_t *can = arena_alloc(x->a, x->n + 1);
    if (!can)
        return error_nomem(err);
    memset(can, 1, x->n);
    x->keys = part_keys;
    TRY(mask(x, p, can, err));
    for (uint32_t i = 0; i < x->n; i++) {
        ib_data_file f = {.spec_id = ix->proto.mf.spec_id, .n_partition = ix->n_fields, .record_count = 1,
                          .partition = ix->parts + (size_t)i * ix->n_fields};
        match[i] = can[i] ? (uint8_t)ib_pred_file(p, md, &f) : IB_MATCH_NONE;
    }
    return FZ_OK;
}

/* ---- entries ---- */

static fz_status check_file(const manifest_task *t, const ib_data_file *f, fz_error *err)
{
    const char *what = NULL;
    char text[80];
    if (!t->deletes && f->content != IB_DATA)
        what = "delete files among data files";
    else if (t->deletes && f->content == IB_DATA)
        what = "data files among delete files";
    else if (str_eqz(f->file_format, "PUFFIN"))
        what = "deletion vectors (format version 3)";
    else if (!str_eqz(f->file_format, "PARQUET") && !str_eqz(f->file_format, "AVRO")) {
        snprintf(text, sizeof text, "%s files of format %.*s", t->deletes ? "delete" : "data",
                 (int)(f->file_format.n < 20 ? f->file_format.n : 20), f->file_format.p);
        what = text;
    } else if (f->key_metadata.n)
        what = "encrypted data files";
    if (!what)
        return FZ_OK;
    error_set(err, FZ_UNSUPPORTED, "%s are not supported", what);
    char where[sizeof((fz_error *)0)->where];
    snprintf(where, sizeof where, STR_FMT, STR_ARG(f->file_path));
    error_where(err, where);
    return FZ_UNSUPPORTED;
}

/* Entries that the cache has decoded, as this process wrote them. */
static fz_status select_decoded(const ib_metadata *md, const ib_pred *p, manifest_task *t, fz_error *err)
{
    for (uint32_t k = 0; k < t->d->n; k++) {
        const ib_manifest_entry *e = &t->d->entries[k];
        if (e->status == IB_DELETED)
            continue;
        ib_data_file bare = e->file;
        if (t->deletes)
            bare.n_stats = 0;
        ib_match match = t->match == IB_MATCH_ALL ? IB_MATCH_ALL : ib_pred_file(p, md, &bare);
        if (match == IB_MATCH_NONE) {
            t->pruned++;
            continue;
        }
        TRY(check_file(t, &e->file, err));
        t->files[t->n++] = (chosen){e, match == IB_MATCH_ALL};
    }
    return FZ_OK;
}

/* How each entry is to be taken: IB_MATCH_NONE, _SOME (statistics decide), _ALL. */
static fz_status match_entries(const ib_metadata *md, const ib_pred *p, ib_manifest_cache *cache, manifest_task *t, arena *a,
                               uint8_t *match, fz_error *err)
{
    const ib_index *ix = t->d->index;
    uint32_t n = t->d->n, some = 0;
    if (t->match == IB_MATCH_ALL) {
        memset(match, IB_MATCH_ALL, n);
        return FZ_OK;
    }
    masker x = {.n = ix->n_parts, .a = a, .md = md, .cache = cache, .d = t->d, .spec = ib_spec_by_id(md, t->mf->spec_id)};
    uint8_t *parts = arena_alloc(a, ix->n_parts + 1);
    if (!parts)
        return error_nomem(err);
    TRY(match_parts(md, p, &x, parts, err));
    for (uint32_t i = 0; i < n; i++) {
        match[i] = parts[ix->part[i]];
        some += match[i] == IB_MATCH_SOME;
    }
    if (t->deletes || some < MANY || some < n / 8)
        return FZ_OK;
    uint8_t *can = arena_alloc(a, n + 1);
    if (!can)
        return error_nomem(err);
    memset(can, 1, n);
    x.n = n;
    x.keys = entry_keys;
    TRY(mask(&x, p, can, err));
    for (uint32_t i = 0; i < n; i++)
        if (match[i] == IB_MATCH_SOME && !can[i])
            match[i] = IB_MATCH_NONE;
    return FZ_OK;
}

/* Tests an entry by its statistics; what is read for that goes again. */
static fz_status test_entry(const ib_metadata *md, const ib_pred *p, index_cursor *c, uint32_t i, ib_match *out, fz_error *err)
{
    ib_manifest_entry e;
    if (c->e.a->total > 1 << 20)
        arena_reset(c->e.a);
    TRY(index_read(c, i, &e, err));
    *out = ib_pred_file(p, md, &e.file);
    return FZ_OK;
}

static fz_status take_entries(const ib_metadata *md, const ib_pred *p, mem *m, manifest_task *t, const uint8_t *match, fz_error *err)
{
    arena scratch;
    arena_init(&scratch, m);
    index_cursor test, keep;
    index_cursor_open(&test, t->d, true, m, &scratch);
    index_cursor_open(&keep, t->d, t->keep_stats, m, &t->mem);
    fz_status st = FZ_OK;
    for (uint32_t i = 0; i < t->d->n; i++) {
        ib_match how = (ib_match)match[i];
        if (how == IB_MATCH_SOME && !t->deletes)
            TRY_GOTO(test_entry(md, p, &test, i, &how, err));
        if (how == IB_MATCH_NONE)
            continue;
        ib_manifest_entry *e = arena_alloc(&t->mem, sizeof *e);
        if (!e) {
            st = error_nomem(err);
            goto out;
        }
        TRY_GOTO(index_read(&keep, i, e, err));
        if (e->file.record_count == 0 && p)
            continue;
        TRY_GOTO(check_file(t, &e->file, err));
        t->files[t->n++] = (chosen){e, how == IB_MATCH_ALL};
    }
    t->pruned = t->d->n - t->n;
out:
    index_cursor_close(&test);
    index_cursor_close(&keep);
    arena_free(&scratch);
    return st;
}

fz_status select_entries(const ib_metadata *md, const ib_pred *p, ib_manifest_cache *cache, mem *m, manifest_task *t, fz_error *err)
{
    arena_init(&t->mem, m);
    TRY(ib_manifest_index_get(cache, t->mf, md, m, &t->d, err));
    arena a;
    arena_init(&a, m);
    uint8_t *match = arena_alloc(&a, t->d->n + 1);
    fz_status st = FZ_OK;
    if (!match) {
        st = error_nomem(err);
        goto out;
    }
    uint32_t n = t->d->n;
    if (t->d->index) {
        TRY_GOTO(match_entries(md, p, cache, t, &a, match, err));
        n = 0;
        for (uint32_t i = 0; i < t->d->n; i++)
            n += match[i] != IB_MATCH_NONE;
    }
    t->files = arena_alloc(&t->mem, (n + 1) * sizeof *t->files);
    if (!t->files)
        st = error_nomem(err);
    else
        st = t->d->index ? take_entries(md, p, m, t, match, err) : select_decoded(md, p, t, err);
out:
    arena_free(&a);
    return st;
}
