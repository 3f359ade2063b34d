/* new_table.c: see new_table.h. */
#include "engine/new_table.h"

#include "iceberg/update/update.h"

new_table new_table_of(const ast_create_table *ct)
{
    return (new_table){ct->n_partitions, ct->partitions, ct->n_properties, ct->properties, ct->n_sort, ct->sort,
                       ct->n_identifier, ct->identifier, ct->location, ct->comment};
}

/* ---- names and terms ---- */

fz_status path_of_name(const sql_name *n, arena *a, ib_path *out, fz_error *err)
{
    ib_part *parts = ARENA_ARRAY(a, ib_part, n->n + 1);
    if (!parts)
        return error_nomem(err);
    for (uint32_t i = 0; i < n->n; i++)
        parts[i] = (ib_part){n->parts[i].name, n->parts[i].quoted};
    *out = (ib_path){n->n, parts};
    return FZ_OK;
}

fz_status term_of(const ast_partition *p, arena *a, ib_term *out, fz_error *err)
{
    static const ib_transform_kind kinds[] = {
        [PT_IDENTITY] = IB_IDENTITY, [PT_BUCKET] = IB_BUCKET, [PT_TRUNCATE] = IB_TRUNCATE, [PT_YEAR] = IB_YEAR,
        [PT_MONTH] = IB_MONTH, [PT_DAY] = IB_DAY, [PT_HOUR] = IB_HOUR, [PT_VOID] = IB_VOID,
    };
    out->transform = (ib_transform){.kind = kinds[p->transform], .param = p->param};
    return path_of_name(&p->column, a, &out->path, err);
}

fz_status order_of(const ib_schema *s, uint32_t n, const ast_sort *sort, arena *a, ib_sort_order *out, fz_error *err)
{
    ib_order_term *t = ARENA_ARRAY(a, ib_order_term, n + 1);
    if (!t)
        return error_nomem(err);
    for (uint32_t i = 0; i < n; i++) {
        TRY(term_of(&sort[i].term, a, &t[i].term, err));
        t[i].desc = sort[i].desc;
        t[i].nulls_last = sort[i].nulls_given ? !sort[i].nulls_first : sort[i].desc; /* the specification's own defaults */
        fz_status st = ib_order_build(s, i + 1, t, a, out, err);
        if (st) {
            error_line(err, sort[i].term.pos.line, sort[i].term.pos.column);
            return st;
        }
    }
    return ib_order_build(s, n, t, a, out, err);
}

static fz_status spec_of(const ib_schema *s, uint32_t n, const ast_partition *parts, arena *a, ib_partition_spec *out, fz_error *err)
{
    ib_term *terms = ARENA_ARRAY(a, ib_term, n + 1);
    if (!terms)
        return error_nomem(err);
    for (uint32_t i = 0; i < n; i++) {
        TRY(term_of(&parts[i], a, &terms[i], err));
        fz_status st = ib_spec_build(s, i + 1, terms, NULL, a, out, err); /* an error is this one's */
        if (st) {
            error_line(err, parts[i].pos.line, parts[i].pos.column);
            return st;
        }
    }
    return ib_spec_build(s, n, terms, NULL, a, out, err);
}

/* ---- schemas ---- */

static fz_status identifiers_of(ib_schema *s, uint32_t n, const sql_name *names, arena *a, fz_error *err)
{
    int32_t *ids = ARENA_ARRAY(a, int32_t, n + 1);
    if (!ids)
        return error_nomem(err);
    for (uint32_t i = 0; i < n; i++) {
        ib_path path;
        const type_field *f;
        TRY(path_of_name(&names[i], a, &path, err));
        TRY(ib_field_at(s, path, &f, err));
        if (!f) {
            error_sql(err, FZ_INVALID, "42703", "the table has no column \"" STR_FMT "\"", STR_ARG(names[i].parts[0].name));
            error_line(err, names[i].parts[0].pos.line, names[i].parts[0].pos.column);
            return FZ_INVALID;
        }
        if (names[i].n == 1) /* as PostgreSQL has it: a key's columns are NOT NULL */
            ((type_field *)f)->required = true;
        ids[i] = f->field_id;
    }
    s->n_identifier = n;
    s->identifier_ids = ids;
    return ib_identifiers_check(s, err);
}

/* The columns as a schema; their ids count from 1, the table's own columns first. */
static fz_status schema_of(row_schema *cols, const new_table *t, arena *a, ib_schema *out, fz_error *err)
{
    if (cols->n == 0)
        return error_set(err, FZ_INVALID, "a table needs at least one column");
    type_fields *f = arena_zalloc(a, sizeof *f + sizeof(type_field) * cols->n);
    if (!f)
        return error_nomem(err);
    f->n = cols->n;
    for (uint32_t i = 0; i < cols->n; i++) {
        column_def *c = &cols->cols[i];
        if (c->name.n == 0)
            return error_set(err, FZ_INVALID, "column %u has no name", i + 1);
        for (uint32_t k = 0; k < i; k++)
            if (str_eq(c->name, cols->cols[k].name)) {
                error_sql(err, FZ_INVALID, "42701", "the column \"" STR_FMT "\" is there twice", STR_ARG(c->name));
                error_hint(err, "give one of them another name with AS");
                return FZ_INVALID;
            }
        if (c->t.id == T_NULL) /* a bare NULL has no type of its own */
            c->t = TYPE(T_STRING);
        f->f[i] = (type_field){.name = c->name, .field_id = (int32_t)i + 1, .required = c->not_null, .t = c->t, .doc = c->doc};
    }
    int32_t last = (int32_t)cols->n;
    for (uint32_t i = 0; i < cols->n; i++)
        TRY(ib_assign_ids(&f->f[i].t, &last, a, err));
    *out = (ib_schema){.schema_id = 0, .fields = f};
    return identifiers_of(out, t->n_identifier, t->identifier, a, err);
}

static void take_columns(const ib_schema *s, row_schema *cols)
{
    for (uint32_t i = 0; i < cols->n; i++) {
        const type_field *f = &s->fields->f[i];
        cols->cols[i].field_id = f->field_id;
        cols->cols[i].t = f->t;
        cols->cols[i].not_null = f->required;
    }
}

static fz_status properties_of(const new_table *t, arena *a, ib_props *out, fz_error *err)
{
    ib_kv *kv = ARENA_ARRAY(a, ib_kv, t->n_properties + 1);
    if (!kv)
        return error_nomem(err);
    uint32_t n = 0;
    for (uint32_t i = 0; i < t->n_properties; i++) {
        const ast_property *p = &t->properties[i];
        if (str_eqz(p->key, "format-version")) {
            if (str_eqz(p->value, "2"))
                continue;
            return error_set(err, FZ_UNSUPPORTED, "format-version " STR_FMT " isn't supported; tables are made with version 2", STR_ARG(p->value));
        }
        kv[n++] = (ib_kv){p->key, p->value};
    }
    if (t->comment.n)
        kv[n++] = (ib_kv){STR("comment"), t->comment};
    *out = (ib_props){n, kv};
    return FZ_OK;
}

fz_status new_table_begin(ib_catalog *c, ib_ident id, str location, const ib_schema *schema, const ib_partition_spec *spec, const ib_sort_order *order,
                          const ib_props *props, mem *m, arena *a, ib_metadata **out, fz_error *err)
{
    bool placed = location.n != 0, begins = c->ops->begin_table != NULL;
    if (!placed && begins)
        location = STR("to-be-given");
    else if (!placed)
        TRY(c->ops->default_location(c, id, a, &location, err));
    TRY(ib_metadata_new(location, schema, spec, order, props, m, out, err));
    if (!begins) {
        (*out)->io = file_io_ref(c->io);
        return FZ_OK;
    }
    ib_metadata *wanted = *out;
    fz_status st = c->ops->begin_table(c, id, wanted, placed, out, err);
    ib_metadata_unref(wanted);
    return st;
}

fz_status new_table_metadata(fz_session *s, ib_ident id, row_schema *cols, const new_table *t, arena *a, ib_metadata **out, fz_error *err)
{
    ib_schema schema;
    ib_partition_spec spec;
    ib_sort_order order;
    ib_props props;
    TRY(schema_of(cols, t, a, &schema, err));
    take_columns(&schema, cols);
    TRY(spec_of(&schema, t->n_partitions, t->partitions, a, &spec, err));
    TRY(order_of(&schema, t->n_sort, t->sort, a, &order, err));
    TRY(properties_of(t, a, &props, err));
    ib_catalog *c;
    TRY(lake_catalog(ident_lake(s, id), true, &c, err));
    return new_table_begin(c, id, t->location, &schema, &spec, &order, &props, s->lake->m, a, out, err);
}

/* ---- replacing ---- */

fz_status replace_updates(fz_session *s, const ib_metadata *md, row_schema *cols, const new_table *t, ib_change *out, fz_error *err)
{
    arena *a = out->a;
    ib_schema made, *schema = ARENA_NEW(a, ib_schema);
    ib_partition_spec *spec = ARENA_NEW(a, ib_partition_spec);
    ib_sort_order *order = ARENA_NEW(a, ib_sort_order);
    ib_props props;
    int32_t last;
    if (!schema || !spec || !order)
        return error_nomem(err);
    TRY(schema_of(cols, t, a, &made, err));
    TRY(ib_schema_replace(md, &made, a, schema, &last, err));
    take_columns(schema, cols);
    TRY(spec_of(schema, t->n_partitions, t->partitions, a, spec, err));
    for (uint32_t i = 0; i < spec->n; i++)
        ((ib_partition_field *)spec->fields)[i].field_id = -1; /* given when it is applied: an earlier one's where it is the same */
    TRY(order_of(schema, t->n_sort, t->sort, a, order, err));
    TRY(properties_of(t, a, &props, err));
    TRY(ib_change_require(out, (ib_requirement){IB_ASSERT_CURRENT_SCHEMA_ID, {0}, md->current_schema_id}, err));
    TRY(ib_change_require(out, (ib_requirement){IB_ASSERT_LAST_ASSIGNED_FIELD_ID, {0}, md->last_column_id}, err));
    TRY(ib_change_require(out, (ib_requirement){IB_ASSERT_LAST_ASSIGNED_PARTITION_ID, {0}, md->last_partition_id}, err));
    TRY(ib_change_require(out, (ib_requirement){IB_ASSERT_DEFAULT_SPEC_ID, {0}, md->default_spec_id}, err)); /* files will be of these numbers */
    TRY(ib_change_require(out, (ib_requirement){IB_ASSERT_DEFAULT_SORT_ORDER_ID, {0}, md->default_sort_order_id}, err));
    const ib_update updates[] = {
        {.kind = IB_REMOVE_SNAPSHOT_REF, .ref = {.name = STR("main")}},
        {.kind = IB_ADD_SCHEMA, .schema = schema, .id = last},
        {.kind = IB_SET_CURRENT_SCHEMA, .id = -1},
        {.kind = IB_ADD_SPEC, .spec = spec},
        {.kind = IB_SET_DEFAULT_SPEC, .id = -1},
        {.kind = IB_ADD_SORT_ORDER, .order = order},
        {.kind = IB_SET_DEFAULT_SORT_ORDER, .id = -1},
    };
    for (size_t i = 0; i < sizeof updates / sizeof *updates; i++)
        TRY(ib_change_update(out, updates[i], err));
    if (props.n)
        TRY(ib_change_update(out, (ib_update){.kind = IB_SET_PROPERTIES, .props = props}, err));
    return t->location.n ? ib_change_update(out, (ib_update){.kind = IB_SET_LOCATION, .text = t->location}, err) : FZ_OK;
}

fz_status replaced_table(fz_session *s, ib_table *base, row_schema *cols, const new_table *t, arena *a, write_target *out, fz_error *err)
{
    ib_metadata *md;
    out->before = (ib_change){.a = a};
    TRY(replace_updates(s, base->md, cols, t, &out->before, err));
    TRY(ib_metadata_apply(base->md, base->metadata_location, out->before.n_updates, out->before.updates, s->lake->m, &md, err));
    out->md = md;
    out->own_md = true;
    return FZ_OK;
}
