/*
 * requirements.c: whether a commit's requirements hold for metadata (REST specification,
 * TableRequirement).
 */
#include "iceberg/update/update.h"

static fz_status ref_check(const ib_metadata *md, const ib_requirement *r, fz_error *err)
{
    int64_t now = -1;
    for (uint32_t i = 0; i < md->n_refs; i++)
        if (str_eq(md->refs_list[i].name, r->text))
            now = md->refs_list[i].snapshot_id;
    if (now == r->id)
        return FZ_OK;
    if (now < 0)
        return error_set(err, FZ_CONFLICT, "the table changed: \"" STR_FMT "\" no longer exists, snapshot %lld was expected",
                         STR_ARG(r->text), (long long)r->id);
    if (r->id < 0)
        return error_set(err, FZ_CONFLICT, "the table changed: \"" STR_FMT "\" was created meanwhile, at snapshot %lld",
                         STR_ARG(r->text), (long long)now);
    return error_set(err, FZ_CONFLICT, "the table changed: \"" STR_FMT "\" is at snapshot %lld, %lld was expected",
                     STR_ARG(r->text), (long long)now, (long long)r->id);
}

static fz_status number_check(const char *name, int64_t now, int64_t expected, fz_error *err)
{
    if (now == expected)
        return FZ_OK;
    return error_set(err, FZ_CONFLICT, "the table changed: its %s is %lld, %lld was expected", name, (long long)now,
                     (long long)expected);
}

static fz_status requirement_check(const ib_metadata *md, const ib_requirement *r, fz_error *err)
{
    if (r->kind == IB_ASSERT_CREATE)
        return md ? error_set(err, FZ_CONFLICT, "the table exists already") : FZ_OK;
    if (!md)
        return error_set(err, FZ_CONFLICT, "the table doesn't exist");
    switch (r->kind) {
    case IB_ASSERT_TABLE_UUID:
        if (str_ieq(md->table_uuid, r->text))
            return FZ_OK;
        return error_set(err, FZ_CONFLICT,
                         "the table was replaced: its uuid is " STR_FMT ", " STR_FMT " was expected",
                         STR_ARG(md->table_uuid), STR_ARG(r->text));
    case IB_ASSERT_REF_SNAPSHOT_ID:
        return ref_check(md, r, err);
    case IB_ASSERT_LAST_ASSIGNED_FIELD_ID:
        return number_check("last assigned field id", md->last_column_id, r->id, err);
    case IB_ASSERT_CURRENT_SCHEMA_ID:
        return number_check("current schema", md->current_schema_id, r->id, err);
    case IB_ASSERT_LAST_ASSIGNED_PARTITION_ID:
        return number_check("last assigned partition field id", md->last_partition_id, r->id, err);
    case IB_ASSERT_DEFAULT_SPEC_ID:
        return number_check("default partition spec", md->default_spec_id, r->id, err);
    case IB_ASSERT_DEFAULT_SORT_ORDER_ID:
        return number_check("default sort order", md->default_sort_order_id, r->id, err);
    default:
        return error_set(err, FZ_UNSUPPORTED, "a commit requirement of unknown kind %d", (int)r->kind);
    }
}

fz_status ib_requirements_check(const ib_metadata *md, uint32_t n, const ib_requirement *r, fz_error *err)
{
    for (uint32_t i = 0; i < n; i++)
        TRY(requirement_check(md, &r[i], err));
    return FZ_OK;
}
