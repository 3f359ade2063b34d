/* history.c: the tree of snapshots, and what is too old in it (see history.h). */
#include "iceberg/update/history.h"
#include "iceberg/spec/build.h"

#include <stdlib.h>

const ib_snapshot *ib_parent(const ib_metadata *md, const ib_snapshot *s)
{
    return s->parent_id < 0 ? NULL : ib_snapshot_by_id(md, s->parent_id);
}

bool ib_is_ancestor(const ib_metadata *md, int64_t id, int64_t of)
{
    const ib_snapshot *s = ib_snapshot_by_id(md, of);
    for (uint32_t i = 0; s && i <= md->n_snapshots; i++, s = ib_parent(md, s)) /* bounded: parents of a damaged table may form a ring */
        if (s->snapshot_id == id)
            return true;
    return false;
}

/* ---- expiring ---- */

typedef struct expiry {
    const ib_metadata *md;
    const ib_expire_options *o;
    int64_t older_than_ms, min_keep, max_ref_age_ms;
    const ib_snapshot **sorted; /* by id, to be found fast */
    uint8_t *keep;              /* of each in `sorted` */
    uint8_t *reached;           /* by a ref that stays */
} expiry;

static int by_id(const void *a, const void *b)
{
    int64_t x = (*(const ib_snapshot *const *)a)->snapshot_id, y = (*(const ib_snapshot *const *)b)->snapshot_id;
    return (x > y) - (x < y);
}

static int64_t place_of(const expiry *e, int64_t id)
{
    uint32_t lo = 0, hi = e->md->n_snapshots;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (e->sorted[mid]->snapshot_id < id)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < e->md->n_snapshots && e->sorted[lo]->snapshot_id == id ? (int64_t)lo : -1;
}

static bool ref_stays(const expiry *e, const ib_ref *r)
{
    if (str_eqz(r->name, IB_MAIN))
        return true;
    int64_t at = place_of(e, r->snapshot_id);
    int64_t max = r->max_ref_age_ms >= 0 ? r->max_ref_age_ms : e->max_ref_age_ms;
    return at >= 0 && e->o->now_ms - e->sorted[at]->timestamp_ms <= max;
}

static void keep_of_ref(expiry *e, const ib_ref *r)
{
    int64_t at = place_of(e, r->snapshot_id);
    bool by_ref = r->max_snapshot_age_ms >= 0 && !e->o->only_ids; /* else nothing but those ids goes */
    int64_t older = by_ref ? e->o->now_ms - r->max_snapshot_age_ms : e->older_than_ms;
    int64_t min = r->min_snapshots_to_keep >= 0 ? r->min_snapshots_to_keep : e->min_keep;
    bool keeps = true;
    for (uint32_t n = 0; at >= 0 && n < e->md->n_snapshots; n++) {
        const ib_snapshot *s = e->sorted[at];
        e->reached[at] = 1;
        keeps = keeps && (r->is_tag || n < min || s->timestamp_ms >= older);
        if (keeps)
            e->keep[at] = 1;
        if (r->is_tag) /* those before it stay only if another ref leads there */
            return;
        at = s->parent_id < 0 ? -1 : place_of(e, s->parent_id);
    }
}

static fz_status expiry_init(expiry *e, const ib_metadata *md, const ib_expire_options *o, arena *a, fz_error *err)
{
    int64_t age;
    *e = (expiry){.md = md, .o = o};
    TRY(ib_prop_i64(&md->properties, "history.expire.max-snapshot-age-ms", 5LL * 24 * 3600 * 1000, &age, err));
    TRY(ib_prop_i64(&md->properties, "history.expire.min-snapshots-to-keep", 1, &e->min_keep, err));
    TRY(ib_prop_i64(&md->properties, "history.expire.max-ref-age-ms", INT64_MAX, &e->max_ref_age_ms, err));
    e->older_than_ms = o->older_than_ms >= 0 ? o->older_than_ms : o->only_ids ? INT64_MIN : o->now_ms - age;
    if (o->retain_last >= 0)
        e->min_keep = o->retain_last;
    if (e->min_keep < 1)
        return error_set(err, FZ_INVALID, "at least one snapshot has to be kept");
    e->sorted = ARENA_ARRAY(a, const ib_snapshot *, (size_t)md->n_snapshots + 1);
    e->keep = ARENA_ARRAY(a, uint8_t, (size_t)md->n_snapshots + 1);
    e->reached = ARENA_ARRAY(a, uint8_t, (size_t)md->n_snapshots + 1);
    if (!e->sorted || !e->keep || !e->reached)
        return error_nomem(err);
    for (uint32_t i = 0; i < md->n_snapshots; i++)
        e->sorted[i] = md->snapshots[i];
    qsort(e->sorted, md->n_snapshots, sizeof *e->sorted, by_id);
    return FZ_OK;
}

/* Schemas and specs that nothing names any more. Which specs the manifests have isn't known here: with more than the current one they stay. */
static fz_status clean_schemas(const expiry *e, ib_change *out, fz_error *err)
{
    const ib_metadata *md = e->md;
    int64_t *gone = ARENA_ARRAY(out->a, int64_t, md->n_schemas);
    uint32_t n = 0;
    if (!gone)
        return error_nomem(err);
    for (uint32_t i = 0; i < md->n_schemas; i++) {
        int32_t id = md->schemas[i].schema_id;
        bool used = id == md->current_schema_id;
        for (uint32_t k = 0; k < md->n_snapshots && !used; k++)
            used = e->keep[k] && (e->sorted[k]->schema_id == id || e->sorted[k]->schema_id < 0);
        if (!used)
            gone[n++] = id;
    }
    return n ? ib_change_update(out, (ib_update){.kind = IB_REMOVE_SCHEMAS, .n_ids = n, .ids = gone}, err) : FZ_OK;
}

fz_status ib_expire(const ib_metadata *md, const ib_expire_options *o, ib_change *out, fz_error *err)
{
    expiry e;
    TRY(expiry_init(&e, md, o, out->a, err));
    for (uint32_t i = 0; i < md->n_refs; i++) {
        const ib_ref *r = &md->refs_list[i];
        if (o->only_ids || ref_stays(&e, r)) {
            keep_of_ref(&e, r);
            TRY(ib_change_require(out, (ib_requirement){IB_ASSERT_REF_SNAPSHOT_ID, r->name, r->snapshot_id}, err));
        } else {
            TRY(ib_change_require(out, (ib_requirement){IB_ASSERT_REF_SNAPSHOT_ID, r->name, r->snapshot_id}, err));
            TRY(ib_change_update(out, (ib_update){.kind = IB_REMOVE_SNAPSHOT_REF, .ref = *r}, err));
        }
    }
    for (uint32_t i = 0; i < md->n_snapshots; i++) /* nobody leads there: staged, or rolled back */
        if (!e.reached[i] && e.sorted[i]->timestamp_ms >= e.older_than_ms)
            e.keep[i] = 1;
    for (uint32_t i = 0; i < o->n_ids; i++) {
        int64_t at = place_of(&e, o->ids[i]);
        if (at < 0)
            return error_set(err, FZ_INVALID, "the table has no snapshot %lld", (long long)o->ids[i]);
        for (uint32_t k = 0; k < md->n_refs; k++)
            if (md->refs_list[k].snapshot_id == o->ids[i])
                return error_set(err, FZ_INVALID, "snapshot %lld can't be expired: \"" STR_FMT "\" is there", (long long)o->ids[i],
                                 STR_ARG(md->refs_list[k].name));
        e.keep[at] = 0;
    }
    int64_t *gone = ARENA_ARRAY(out->a, int64_t, (size_t)md->n_snapshots + 1);
    uint32_t n = 0;
    if (!gone)
        return error_nomem(err);
    for (uint32_t i = 0; i < md->n_snapshots; i++)
        if (!e.keep[i])
            gone[n++] = e.sorted[i]->snapshot_id;
    if (n)
        TRY(ib_change_update(out, (ib_update){.kind = IB_REMOVE_SNAPSHOTS, .n_ids = n, .ids = gone}, err));
    return o->clean_metadata ? clean_schemas(&e, out, err) : FZ_OK;
}
