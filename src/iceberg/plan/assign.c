/*
 * assign.c: which delete files are for which data files (spec, "Scan Planning").
 *
 *   position deletes   of a sequence number not below the data file's; for the one file they name (referenced_data_file,
 *                      or equal bounds of file_path), else for the files of their spec and partition
 *   equality deletes   of a greater sequence number; for the files of their spec and partition, or for all files
 *                      where their spec has no fields
 *
 * Delete files are put in groups: by the path they are for, by spec and partition, or the one global group. A data file
 * looks at no more than three groups. What its bounds rule out is left out.
 *
 * Partitions are compared by their values as numbers and bytes, so that values that were read before and after a
 * promotion of their type are equal.
 */
#include "base/hash.h"
#include "iceberg/plan/plan_int.h"

#include <stdlib.h>

#define FILE_PATH_ID 2147483546 /* of position delete files */

typedef struct group {
    uint32_t number;         /* of a partition: from 1 */
    uint32_t n, cap;
    ib_scan_delete **at;
} group;

typedef struct assigner {
    const ib_metadata *md;
    mem *m;
    ib_scan *s;
    arena a;                 /* groups */
    strmap paths, partitions;
    group global;
    uint32_t n_groups;
    sbuf key;
    ib_scan_delete *all;
    const ib_scan_delete **picked;
} assigner;

static const ib_column_stats *stats_of(const ib_data_file *f, int32_t id)
{
    for (uint32_t i = 0; i < f->n_stats; i++)
        if (f->stats[i].field_id == id)
            return &f->stats[i];
    return NULL;
}

static void add_number(sbuf *b, i128 v)
{
    sbuf_add(b, &v, sizeof v);
}

static void partition_key(sbuf *b, const ib_data_file *f)
{
    sbuf_clear(b);
    add_number(b, f->spec_id);
    for (uint32_t i = 0; i < f->n_partition; i++) {
        const datum *d = &f->partition[i];
        sbuf_addc(b, d->null ? 0 : 1);
        if (d->null)
            continue;
        double v;
        switch (type_phys(d->t)) {
        case PHYS_U8: add_number(b, d->b); break;
        case PHYS_I32: add_number(b, d->i32); break;
        case PHYS_I64: add_number(b, d->i64); break;
        case PHYS_I128: add_number(b, d->i128v); break;
        case PHYS_F32:
        case PHYS_F64:
            v = d->t.id == T_FLOAT32 ? (double)d->f32 : d->f64;
            if (v != v)
                v = __builtin_nan("");
            sbuf_add(b, &v, sizeof v);
            break;
        default:
            add_number(b, (i128)d->s.n);
            sbuf_str(b, d->s);
        }
    }
}

static fz_status group_add(assigner *x, group *g, ib_scan_delete *d, fz_error *err)
{
    if (g->n == g->cap) {
        uint32_t cap = g->cap ? g->cap * 2 : 4;
        ib_scan_delete **at = ARENA_ARRAY(&x->a, ib_scan_delete *, cap);
        if (!at)
            return error_nomem(err);
        if (g->n)
            memcpy(at, g->at, g->n * sizeof *at);
        g->at = at;
        g->cap = cap;
    }
    g->at[g->n++] = d;
    return FZ_OK;
}

static fz_status group_put(assigner *x, strmap *map, str key, ib_scan_delete *d, fz_error *err)
{
    void **at = strmap_put(map, key);
    if (at && !*at) {
        group *g = ARENA_NEW(&x->a, group);
        if (g)
            g->number = ++x->n_groups;
        *at = g;
    }
    if (!at || !*at)
        return error_nomem(err);
    d->group = ((group *)*at)->number;
    return group_add(x, *at, d, err);
}

/* The file that position deletes are for, or {NULL, 0}. */
static str only_file(const ib_data_file *f)
{
    if (f->referenced_data_file.n)
        return f->referenced_data_file;
    const ib_column_stats *s = stats_of(f, FILE_PATH_ID);
    if (s && s->has_lower && s->has_upper && str_eq(s->lower, s->upper))
        return s->lower;
    return (str){0};
}

static fz_status put_in_group(assigner *x, ib_scan_delete *d, fz_error *err)
{
    const ib_data_file *f = d->file;
    if (f->content == IB_POSITION_DELETES) {
        str path = only_file(f);
        if (path.n)
            return group_put(x, &x->paths, path, d, err);
    } else {
        const ib_partition_spec *spec = ib_spec_by_id(x->md, f->spec_id);
        if (spec && spec->n == 0)
            return group_add(x, &x->global, d, err);
    }
    partition_key(&x->key, f);
    if (x->key.failed)
        return error_nomem(err);
    return group_put(x, &x->partitions, (str){x->key.p, x->key.n}, d, err);
}

/* ---- what bounds rule out ---- */

static bool path_can(const ib_data_file *del, str path)
{
    const ib_column_stats *s = stats_of(del, FILE_PATH_ID);
    return !s || !((s->has_lower && str_cmp(path, s->lower) < 0) || (s->has_upper && str_cmp(path, s->upper) > 0));
}

/* Whether a row of the file can be equal to one of the delete file in a column. */
static bool column_can(const assigner *x, const ib_data_file *del, const ib_data_file *f, int32_t id)
{
    const type_field *field = plan_find_field(x->md, id);
    const ib_column_stats *a = stats_of(f, id), *b = stats_of(del, id);
    if (!field || type_is_nested(field->t) || !a || !b)
        return true;
    bool nulls_a = a->null_count != 0, nulls_b = b->null_count != 0; /* can be */
    if (nulls_a && nulls_b)
        return true;
    bool all_a = a->null_count >= 0 && a->null_count == a->value_count, all_b = b->null_count >= 0 && b->null_count == b->value_count;
    if ((all_a && !nulls_b) || (all_b && !nulls_a))
        return false;
    bool floats = field->t.id == T_FLOAT32 || field->t.id == T_FLOAT64;
    if (floats && a->nan_count != 0 && b->nan_count != 0)
        return true;
    datum lo, hi;
    if (a->has_upper && b->has_lower && ib_bound_decode(field->t, a->upper, &hi, NULL) == FZ_OK &&
        ib_bound_decode(field->t, b->lower, &lo, NULL) == FZ_OK && datum_cmp(&hi, &lo) < 0)
        return false;
    return !(a->has_lower && b->has_upper && ib_bound_decode(field->t, a->lower, &lo, NULL) == FZ_OK &&
             ib_bound_decode(field->t, b->upper, &hi, NULL) == FZ_OK && datum_cmp(&lo, &hi) > 0);
}

static bool can_delete(const assigner *x, const ib_scan_delete *d, const ib_scan_file *f)
{
    if (d->file->content == IB_POSITION_DELETES)
        return d->sequence_number >= f->sequence_number && path_can(d->file, f->file->file_path);
    if (d->sequence_number <= f->sequence_number)
        return false;
    for (uint32_t i = 0; i < d->file->n_equality; i++)
        if (!column_can(x, d->file, f->file, d->file->equality_ids[i]))
            return false;
    return true;
}

/* ---- assigning ---- */

static void pick(assigner *x, const group *g, ib_content content, const ib_scan_file *f, uint32_t *n)
{
    for (uint32_t i = 0; g && i < g->n; i++)
        if (g->at[i]->file->content == content && can_delete(x, g->at[i], f)) {
            g->at[i]->users++;
            x->picked[(*n)++] = g->at[i];
        }
}

static fz_status assign_to(assigner *x, ib_scan_file *f, fz_error *err)
{
    group *part = NULL;
    uint32_t n = 0;
    if (x->partitions.n) {
        partition_key(&x->key, f->file);
        if (x->key.failed)
            return error_nomem(err);
        part = strmap_get(&x->partitions, (str){x->key.p, x->key.n});
    }
    pick(x, strmap_get(&x->paths, f->file->file_path), IB_POSITION_DELETES, f, &n);
    pick(x, part, IB_POSITION_DELETES, f, &n);
    pick(x, part, IB_EQUALITY_DELETES, f, &n);
    pick(x, &x->global, IB_EQUALITY_DELETES, f, &n);
    if (n == 0)
        return FZ_OK;
    const ib_scan_delete **own = ARENA_ARRAY(&x->s->mem, const ib_scan_delete *, n);
    if (!own)
        return error_nomem(err);
    memcpy(own, x->picked, n * sizeof *own);
    f->deletes = own;
    f->n_deletes = n;
    return FZ_OK;
}

static fz_status assign_all(assigner *x, uint32_t n_tasks, const manifest_task *tasks, size_t n, fz_error *err)
{
    ib_scan *s = x->s;
    x->all = ARENA_ARRAY(&s->mem, ib_scan_delete, n);
    x->picked = ARENA_ARRAY(&x->a, const ib_scan_delete *, n + 1);
    const ib_scan_delete **used = ARENA_ARRAY(&s->mem, const ib_scan_delete *, n + 1);
    if (!x->all || !x->picked || !used)
        return error_nomem(err);
    size_t k = 0;
    for (uint32_t t = 0; t < n_tasks; t++)
        for (uint32_t i = 0; tasks[t].deletes && i < tasks[t].n; i++, k++) {
            const ib_manifest_entry *e = tasks[t].files[i].e;
            x->all[k] = (ib_scan_delete){.file = &e->file, .sequence_number = e->sequence_number};
            if (e->file.content == IB_EQUALITY_DELETES && e->file.n_equality == 0) {
                error_set(err, FZ_DATA, "an equality delete file without equality_ids: " STR_FMT, STR_ARG(e->file.file_path));
                return FZ_DATA;
            }
            TRY(put_in_group(x, &x->all[k], err));
        }
    for (uint32_t i = 0; i < s->n; i++)
        TRY(assign_to(x, &s->files[i], err));
    for (size_t i = 0; i < n; i++)
        if (x->all[i].users) {
            x->all[i].ordinal = s->n_deletes;
            used[s->n_deletes++] = &x->all[i];
        }
    s->deletes = used;
    return FZ_OK;
}

fz_status assign_deletes(const ib_metadata *md, uint32_t n_tasks, const manifest_task *tasks, mem *m, ib_scan *s, fz_error *err)
{
    size_t n = 0;
    for (uint32_t t = 0; t < n_tasks; t++)
        n += tasks[t].deletes ? tasks[t].n : 0;
    if (n == 0)
        return FZ_OK;
    assigner x = {.md = md, .m = m, .s = s};
    arena_init(&x.a, m);
    strmap_init(&x.paths, &x.a);
    strmap_init(&x.partitions, &x.a);
    sbuf_init(&x.key, m);
    fz_status st = assign_all(&x, n_tasks, tasks, n, err);
    sbuf_free(&x.key);
    arena_free(&x.a);
    return st;
}
