/*
 * alter.c: ALTER TABLE. The actions of a statement are one commit: each is worked out on the table as those before it leave
 * it, and all are worked out again on the newest state when somebody else committed meanwhile.
 */
#include "engine/new_table.h"
#include "engine/transaction.h"

#include "iceberg/update/change.h"
#include "iceberg/update/evolve.h"

static bool is_schema(ast_alter_kind k)
{
    return k == AL_ADD_COLUMN || k == AL_DROP_COLUMN || k == AL_RENAME_COLUMN || k == AL_TYPE || k == AL_SET_NOT_NULL || k == AL_DROP_NOT_NULL ||
           k == AL_COMMENT || k == AL_MOVE || k == AL_SET_IDENTIFIER || k == AL_DROP_IDENTIFIER;
}

static bool is_partition(ast_alter_kind k)
{
    return k == AL_ADD_PARTITION || k == AL_DROP_PARTITION || k == AL_REPLACE_PARTITION || k == AL_RENAME_PARTITION;
}

/* ---- columns ---- */

static fz_status schema_change(const ast_alter *x, arena *a, ib_schema_change *out, fz_error *err)
{
    static const ib_schema_op ops[] = {
        [AL_ADD_COLUMN] = IB_COL_ADD, [AL_DROP_COLUMN] = IB_COL_DROP, [AL_RENAME_COLUMN] = IB_COL_RENAME, [AL_TYPE] = IB_COL_TYPE,
        [AL_SET_NOT_NULL] = IB_COL_REQUIRED, [AL_DROP_NOT_NULL] = IB_COL_OPTIONAL, [AL_COMMENT] = IB_COL_DOC, [AL_MOVE] = IB_COL_MOVE,
        [AL_SET_IDENTIFIER] = IB_COL_IDENTIFIER, [AL_DROP_IDENTIFIER] = IB_COL_NO_IDENTIFIER,
    };
    *out = (ib_schema_change){.op = ops[x->kind], .name = x->to.name, .t = x->t, .doc = x->comment, .required = x->not_null, .if_exists = x->quiet,
                              .place = x->place == PLACE_FIRST ? IB_PLACE_FIRST : x->place == PLACE_AFTER ? IB_PLACE_AFTER : IB_PLACE_STAY,
                              .after = {x->after.name, x->after.quoted}, .n_paths = x->n_names};
    if (x->column.n)
        TRY(path_of_name(&x->column, a, &out->path, err));
    ib_path *paths = ARENA_ARRAY(a, ib_path, x->n_names + 1);
    if (!paths)
        return error_nomem(err);
    for (uint32_t i = 0; i < x->n_names; i++)
        TRY(path_of_name(&x->names[i], a, &paths[i], err));
    out->paths = paths;
    return FZ_OK;
}

static fz_status columns_build(const ib_metadata *md, uint32_t n, const ast_alter *x, ib_change *out, fz_error *err)
{
    ib_schema_change *c = ARENA_ARRAY(out->a, ib_schema_change, n);
    ib_schema *s = ARENA_NEW(out->a, ib_schema);
    int32_t last;
    bool changed = false;
    if (!c || !s)
        return error_nomem(err);
    for (uint32_t i = 0; i < n; i++) {
        TRY(schema_change(&x[i], out->a, &c[i], err));
        /* An error is this action's: those before it went well. */
        fz_status st = ib_schema_evolve(md, i + 1, c, md->n_snapshots == 0, out->a, s, &last, &changed, err);
        if (st) {
            error_line(err, x[i].pos.line, x[i].pos.column);
            return st;
        }
    }
    if (!changed)
        return FZ_OK;
    TRY(ib_change_require(out, (ib_requirement){IB_ASSERT_CURRENT_SCHEMA_ID, {0}, md->current_schema_id}, err));
    TRY(ib_change_require(out, (ib_requirement){IB_ASSERT_LAST_ASSIGNED_FIELD_ID, {0}, md->last_column_id}, err));
    if (md->n_snapshots == 0) /* what may be done because there are no rows */
        TRY(ib_change_require(out, (ib_requirement){IB_ASSERT_REF_SNAPSHOT_ID, STR("main"), -1}, err));
    ib_props set, removed;
    TRY(ib_change_update(out, (ib_update){.kind = IB_ADD_SCHEMA, .schema = s, .id = last}, err));
    TRY(ib_change_update(out, (ib_update){.kind = IB_SET_CURRENT_SCHEMA, .id = -1}, err));
    TRY(ib_props_evolve(md, s, out->a, &set, &removed, err));
    if (removed.n)
        TRY(ib_change_update(out, (ib_update){.kind = IB_REMOVE_PROPERTIES, .props = removed}, err));
    return set.n ? ib_change_update(out, (ib_update){.kind = IB_SET_PROPERTIES, .props = set}, err) : FZ_OK;
}

/* ---- partition fields, sort order ---- */

static fz_status spec_change(const ast_alter *x, arena *a, ib_spec_change *out, fz_error *err)
{
    static const ib_spec_op ops[] = {[AL_ADD_PARTITION] = IB_PART_ADD, [AL_DROP_PARTITION] = IB_PART_DROP, [AL_REPLACE_PARTITION] = IB_PART_REPLACE,
                                     [AL_RENAME_PARTITION] = IB_PART_RENAME};
    *out = (ib_spec_change){.op = ops[x->kind], .name = x->to.name, .if_exists = x->quiet};
    if (x->kind == AL_ADD_PARTITION)
        return term_of(&x->term, a, &out->term, err);
    /* DROP PARTITION FIELD x: a partition field's name, else a column that the table is partitioned by as it is. */
    if (x->term.transform == PT_IDENTITY && x->term.column.n == 1)
        out->field = x->term.column.parts[0].name;
    TRY(term_of(&x->term, a, &out->old, err));
    return x->kind == AL_REPLACE_PARTITION ? term_of(&x->by, a, &out->term, err) : FZ_OK;
}

static fz_status partitions_build(const ib_metadata *md, uint32_t n, const ast_alter *x, ib_change *out, fz_error *err)
{
    ib_spec_change *c = ARENA_ARRAY(out->a, ib_spec_change, n);
    ib_partition_spec *s = ARENA_NEW(out->a, ib_partition_spec);
    if (!c || !s)
        return error_nomem(err);
    for (uint32_t i = 0; i < n; i++) {
        TRY(spec_change(&x[i], out->a, &c[i], err));
        fz_status st = ib_spec_evolve(md, i + 1, c, out->a, s, err);
        if (st) {
            error_line(err, x[i].pos.line, x[i].pos.column);
            return st;
        }
    }
    TRY(ib_change_require(out, (ib_requirement){IB_ASSERT_LAST_ASSIGNED_PARTITION_ID, {0}, md->last_partition_id}, err));
    TRY(ib_change_require(out, (ib_requirement){IB_ASSERT_DEFAULT_SPEC_ID, {0}, md->default_spec_id}, err));
    TRY(ib_change_require(out, (ib_requirement){IB_ASSERT_CURRENT_SCHEMA_ID, {0}, md->current_schema_id}, err));
    TRY(ib_change_update(out, (ib_update){.kind = IB_ADD_SPEC, .spec = s}, err));
    return ib_change_update(out, (ib_update){.kind = IB_SET_DEFAULT_SPEC, .id = -1}, err);
}

static fz_status order_build(const ib_metadata *md, const ast_alter *x, ib_change *out, fz_error *err)
{
    ib_sort_order *o = ARENA_NEW(out->a, ib_sort_order);
    if (!o)
        return error_nomem(err);
    TRY(order_of(ib_current_schema(md), x->n_sort, x->sort, out->a, o, err));
    TRY(ib_change_require(out, (ib_requirement){IB_ASSERT_DEFAULT_SORT_ORDER_ID, {0}, md->default_sort_order_id}, err));
    TRY(ib_change_require(out, (ib_requirement){IB_ASSERT_CURRENT_SCHEMA_ID, {0}, md->current_schema_id}, err));
    TRY(ib_change_update(out, (ib_update){.kind = IB_ADD_SORT_ORDER, .order = o}, err));
    return ib_change_update(out, (ib_update){.kind = IB_SET_DEFAULT_SORT_ORDER, .id = -1}, err);
}

/* ---- properties ---- */

static fz_status properties_build(const ib_metadata *md, const ast_alter *x, ib_change *out, fz_error *err)
{
    ib_kv *kv = ARENA_ARRAY(out->a, ib_kv, x->n_properties + 1);
    bool set = x->kind == AL_SET_PROPERTIES;
    if (!kv)
        return error_nomem(err);
    for (uint32_t i = 0; i < x->n_properties; i++) {
        kv[i] = (ib_kv){x->properties[i].key, x->properties[i].value};
        char *z = set || x->quiet ? NULL : arena_strndup(out->a, kv[i].key.p, kv[i].key.n);
        if (!set && !x->quiet && z && !ib_prop(&md->properties, z).p) {
            error_sql(err, FZ_INVALID, "42704", "the table has no property '%s'", z);
            error_hint(err, "UNSET TBLPROPERTIES IF EXISTS passes over it");
            error_line(err, x->properties[i].pos.line, x->properties[i].pos.column);
            return FZ_INVALID;
        }
    }
    return ib_change_update(out, (ib_update){.kind = set ? IB_SET_PROPERTIES : IB_REMOVE_PROPERTIES, .props = {x->n_properties, kv}}, err);
}

/* ---- branches and tags ---- */

static fz_status ref_fail(const ast_alter *x, fz_status st, const char *state, const char *what, fz_error *err)
{
    error_sql(err, st, state, "%s \"" STR_FMT "\" %s", x->ref.is_tag ? "tag" : "branch", STR_ARG(x->ref.name.name), what);
    error_line(err, x->ref.name.pos.line, x->ref.name.pos.column);
    return st;
}

static fz_status ref_build(const ib_metadata *md, const ast_alter *x, ib_change *out, fz_error *err)
{
    const ast_ref *r = &x->ref;
    const ib_ref *now = ib_ref_by_name(md, r->name.name);
    if (now && now->is_tag != r->is_tag)
        return ref_fail(x, FZ_INVALID, "42809", now->is_tag ? "can't be changed: there is a tag of that name" : "can't be changed: there is a branch of that name", err);
    if (now && r->create && !r->replace)
        return x->quiet ? FZ_OK : ref_fail(x, FZ_EXISTS, "42710", "exists already", err);
    if (!now && r->replace && !r->create)
        return ref_fail(x, FZ_NOT_FOUND, "42704", "doesn't exist", err);
    ib_ref ref = {.min_snapshots_to_keep = -1, .max_snapshot_age_ms = -1, .max_ref_age_ms = -1};
    if (now)
        ref = *now;
    ref.name = r->name.name;
    ref.is_tag = r->is_tag;
    ref.snapshot_id = r->snapshot_id >= 0 ? r->snapshot_id : md->current_snapshot_id;
    if (ref.snapshot_id < 0)
        return ref_fail(x, FZ_INVALID, "55000", "can't be made: the table has no snapshot yet", err);
    if (!ib_snapshot_by_id(md, ref.snapshot_id))
        return error_sql(err, FZ_NOT_FOUND, "42704", "the table has no snapshot %lld", (long long)ref.snapshot_id);
    if (r->max_ref_age_ms >= 0)
        ref.max_ref_age_ms = r->max_ref_age_ms;
    if (r->max_snapshot_age_ms >= 0)
        ref.max_snapshot_age_ms = r->max_snapshot_age_ms;
    if (r->min_snapshots >= 0)
        ref.min_snapshots_to_keep = r->min_snapshots;
    TRY(ib_change_require(out, (ib_requirement){IB_ASSERT_REF_SNAPSHOT_ID, r->name.name, now ? now->snapshot_id : -1}, err));
    return ib_change_update(out, (ib_update){.kind = IB_SET_SNAPSHOT_REF, .ref = ref}, err);
}

static fz_status ref_drop(const ib_metadata *md, const ast_alter *x, ib_change *out, fz_error *err)
{
    const ib_ref *now = ib_ref_by_name(md, x->ref.name.name);
    if (!now)
        return x->quiet ? FZ_OK : ref_fail(x, FZ_NOT_FOUND, "42704", "doesn't exist", err);
    if (now->is_tag != x->ref.is_tag)
        return ref_fail(x, FZ_INVALID, "42809", now->is_tag ? "can't be dropped: it is a tag" : "can't be dropped: it is a branch", err);
    if (str_eqz(x->ref.name.name, "main"))
        return ref_fail(x, FZ_INVALID, "55000", "is the table itself and can't be dropped", err);
    TRY(ib_change_require(out, (ib_requirement){IB_ASSERT_REF_SNAPSHOT_ID, x->ref.name.name, now->snapshot_id}, err));
    return ib_change_update(out, (ib_update){.kind = IB_REMOVE_SNAPSHOT_REF, .ref = {.name = x->ref.name.name}}, err);
}

/* ---- the statement ---- */

static fz_status action_build(const ib_metadata *md, uint32_t n, const ast_alter *x, ib_change *out, fz_error *err)
{
    if (is_schema(x->kind))
        return columns_build(md, n, x, out, err);
    if (is_partition(x->kind))
        return partitions_build(md, n, x, out, err);
    switch (x->kind) {
    case AL_ORDER: return order_build(md, x, out, err);
    case AL_SET_PROPERTIES:
    case AL_UNSET_PROPERTIES: return properties_build(md, x, out, err);
    case AL_SET_LOCATION: return ib_change_update(out, (ib_update){.kind = IB_SET_LOCATION, .text = x->comment}, err);
    case AL_SET_REF: return ref_build(md, x, out, err);
    case AL_DROP_REF: return ref_drop(md, x, out, err);
    default:
        error_set(err, FZ_UNSUPPORTED, "RENAME TO together with other actions isn't supported");
        error_line(err, x->pos.line, x->pos.column);
        return FZ_UNSUPPORTED;
    }
}

/* How many actions from here are worked out together: columns, or partition fields, in a row. */
static uint32_t run_length(const ast_alter *x, uint32_t n)
{
    uint32_t k = 1;
    bool (*same)(ast_alter_kind) = is_schema(x->kind) ? is_schema : is_partition(x->kind) ? is_partition : NULL;
    while (same && k < n && same(x[k].kind))
        k++;
    return k;
}

static fz_status alter_build(void *ctx, const ib_table *t, ib_change *out, fz_error *err)
{
    const statement *st = ctx;
    ib_metadata *md = ib_metadata_ref(t->md);
    fz_status r = FZ_OK;
    for (uint32_t i = 0, k; i < st->ast->alter.n && !r; i += k) {
        const ast_alter *x = &st->ast->alter.actions[i];
        uint32_t before = out->n_updates;
        k = run_length(x, st->ast->alter.n - i);
        r = action_build(md, k, x, out, err);
        if (r || out->n_updates == before || i + k == st->ast->alter.n)
            continue;
        ib_metadata *next;
        r = ib_metadata_apply(md, NULL, out->n_updates - before, out->updates + before, st->s->lake->m, &next, err);
        if (!r) {
            ib_metadata_unref(md);
            md = next;
        }
    }
    ib_metadata_unref(md);
    return r;
}

static fz_status rename_table(statement *st, ib_ident from, fz_error *err)
{
    fz_session *s = st->s;
    const sql_name *name = &st->ast->alter.actions[0].table;
    fz_lake *l = ident_lake(s, from), *in = l;
    ib_ident to = {.ns = from.ns, .name = name->parts[name->n - 1].name};
    bool exists = true;
    ib_catalog *c;
    TRY(transaction_outside(s, "RENAME TO", err));
    if (name->n > 1) {
        sql_name ns = {name->n - 1, name->parts};
        TRY(session_find_namespace(s, &ns, &st->a, &in, &to.ns, &exists, err));
    }
    if (!exists)
        return error_sql(err, FZ_NOT_FOUND, "3F000", "there is no namespace \"" STR_FMT "\"", STR_ARG(to.ns));
    if (in != l)
        return error_set(err, FZ_UNSUPPORTED, "a table can't be renamed into another catalog");
    TRY(lake_catalog(l, true, &c, err));
    fz_status r = c->ops->rename_table(c, from, to, err);
    if (r)
        error_line(err, name->parts[0].pos.line, name->parts[0].pos.column);
    else
        lake_forget(l, from);
    return r;
}

static fz_status alter(statement *st, fz_error *err)
{
    fz_session *s = st->s;
    const sql_name *name = &st->ast->alter.name;
    ib_ident id;
    ib_table *t, *after = NULL;
    ib_catalog *c;
    TRY(session_find_table(s, name, &st->a, &id, &t, err));
    if (!t)
        return st->ast->alter.if_exists ? FZ_OK : session_no_table(s, name, err);
    fz_status r = lake_catalog(ident_lake(s, id), true, &c, err);
    if (!r && st->ast->alter.n == 1 && st->ast->alter.actions[0].kind == AL_RENAME_TABLE)
        r = rename_table(st, id, err);
    else if (!r && s->tx)
        r = transaction_change(st, id, alter_build, err);
    else if (!r)
        r = ib_change_commit(c, id, t, alter_build, st, NULL, s->lake->m, &after, err);
    ib_table_unref(t);
    if (after) {
        lake_remember(ident_lake(s, id), after);
        ib_table_unref(after);
    }
    return r;
}

fz_status run_alter(statement *st, fz_result **out, fz_error *err)
{
    fz_result *done;
    fz_status r = result_begin(st->s, "ALTER TABLE", &done, err);
    if (!r)
        r = alter(st, err);
    statement_free(st);
    return result_end(done, r, -1, out);
}
