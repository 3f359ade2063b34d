/* show.c: SHOW TABLES, SHOW SCHEMAS, SHOW CREATE TABLE, DESCRIBE, EXPLAIN, and fz_inspect: statements whose rows are made here. */
#include "engine/engine_int.h"

#include "engine/rows.h"
#include "engine/transaction.h"
#include "iceberg/plan/plan.h"
#include "iceberg/transform/transform.h"
#include "iceberg/update/evolve.h"

#include <stdio.h>

/* ---- a table of texts that grows by rows (rows.h) ---- */

void rows_init(rows *r, statement *st, uint32_t ncols, const char *const *names)
{
    *r = (rows){.st = st, .schema = {ncols, ARENA_ARRAY(&st->a, column_def, ncols)}};
    for (uint32_t i = 0; r->schema.cols && i < ncols; i++)
        r->schema.cols[i] = (column_def){.name = str_of(names[i]), .t = TYPE(T_STRING), .field_id = -1};
    r->failed = !r->schema.cols;
}

/* A cell: text (copied), or NULL. */
void rows_cell(rows *r, const char *p, size_t n)
{
    if (r->failed)
        return;
    if (r->n == r->cap) {
        uint32_t cap = r->cap ? 2 * r->cap : 64;
        datum *d = ARENA_ARRAY(&r->st->a, datum, cap);
        if (!d) {
            r->failed = true;
            return;
        }
        if (r->n)
            memcpy(d, r->cells, sizeof *d * r->n);
        r->cells = d;
        r->cap = cap;
    }
    datum *d = &r->cells[r->n++];
    *d = DATUM_NULL(TYPE(T_STRING));
    if (p) {
        d->null = false;
        d->s = (str){arena_strndup(&r->st->a, p, n), n};
        r->failed |= !d->s.p;
    }
}

void rows_str(rows *r, str s)
{
    rows_cell(r, s.p, s.n);
}

void rows_z(rows *r, const char *z)
{
    rows_cell(r, z, z ? strlen(z) : 0);
}

void rows_sbuf(rows *r, sbuf *b)
{
    r->failed |= b->failed;
    rows_cell(r, b->p ? b->p : "", b->n);
    sbuf_clear(b);
}

fz_status rows_result(rows *r, const char *tag, fz_result **out, fz_error *err)
{
    if (r->failed) {
        statement_free(r->st);
        return error_nomem(err);
    }
    return result_of_cells(r->st, tag, r->schema, r->n / r->schema.n, r->cells, out, err);
}

/* ---- SHOW ---- */

/* Whether the name is LIKE the pattern; an empty one is none. On a mismatch the last % takes one byte more: earlier
 * ones needn't be tried again. */
static bool wanted(str name, str pattern)
{
    size_t i = 0, p = 0, back_i = 0, back_p = SIZE_MAX;
    if (pattern.n == 0)
        return true;
    while (i < name.n) {
        if (p < pattern.n && pattern.p[p] == '%') {
            back_p = ++p;
            back_i = i;
        } else if (p < pattern.n && (pattern.p[p] == '_' || pattern.p[p] == name.p[i])) {
            bool any = pattern.p[p++] == '_';
            for (i++; any && i < name.n && (name.p[i] & 0xC0) == 0x80;)
                i++; /* _ is a character, not a byte */
        } else if (back_p != SIZE_MAX) {
            p = back_p;
            i = ++back_i;
        } else {
            return false;
        }
    }
    while (p < pattern.n && pattern.p[p] == '%')
        p++;
    return p == pattern.n;
}

static fz_status show_schemas(statement *st, rows *r, fz_error *err)
{
    static const char *const names[] = {"namespace"};
    rows_init(r, st, 1, names);
    ib_catalog *c;
    TRY(lake_catalog(st->s->at, false, &c, err));
    if (!c)
        return FZ_OK;
    uint32_t n;
    str *ns;
    TRY(c->ops->list_namespaces(c, (str){0}, &st->a, &n, &ns, err));
    for (uint32_t i = 0; i < n; i++)
        if (wanted(ns[i], st->ast->show.like))
            rows_str(r, ns[i]);
    return FZ_OK;
}

static fz_status show_tables(statement *st, rows *r, fz_error *err)
{
    static const char *const names[] = {"namespace", "table"};
    rows_init(r, st, 2, names);
    const sql_name *in = &st->ast->show.in;
    ib_catalog *c;
    fz_lake *l = st->s->at;
    uint32_t nn = 0;
    str only, *ns = &only;
    if (in->n) {
        bool exists;
        TRY(session_find_namespace(st->s, in, &st->a, &l, &only, &exists, err));
        if (!exists) {
            error_sql(err, FZ_NOT_FOUND, "3F000", "there is no namespace \"" STR_FMT "\"", STR_ARG(only));
            error_line(err, in->parts[0].pos.line, in->parts[0].pos.column);
            return FZ_NOT_FOUND;
        }
        nn = 1;
    }
    TRY(lake_catalog(l, false, &c, err));
    if (!in->n && c) {
        TRY(c->ops->list_namespaces(c, (str){0}, &st->a, &nn, &ns, err));
    }
    for (uint32_t i = 0; i < nn && c; i++) {
        uint32_t n;
        ib_ident *t;
        TRY(c->ops->list_tables(c, ns[i], &st->a, &n, &t, err));
        TRY(transaction_tables(st->s, l, ns[i], &st->a, &n, &t, err));
        for (uint32_t k = 0; k < n; k++)
            if (wanted(t[k].name, st->ast->show.like)) {
                rows_str(r, t[k].ns);
                rows_str(r, t[k].name);
            }
    }
    return FZ_OK;
}

/* The path of a field, each part quoted where it has to be. */
static bool add_path(sbuf *b, const type_fields *fields, int32_t id)
{
    size_t before = b->n;
    for (uint32_t i = 0; i < fields->n; i++) {
        const type_field *f = &fields->f[i];
        sql_ident_text(f->name, b);
        if (f->field_id == id)
            return true;
        sbuf_addc(b, '.');
        if (f->t.children && add_path(b, f->t.children, id))
            return true;
        if (!b->failed)
            b->n = before;
    }
    return false;
}

/* column, month(column), bucket(4, column) */
static void add_term(sbuf *b, const ib_schema *sc, int32_t source_id, const ib_transform *t)
{
    switch (t->kind) {
    case IB_IDENTITY:
        break;
    case IB_BUCKET:
    case IB_TRUNCATE:
        sbuf_printf(b, "%s(%d, ", t->kind == IB_BUCKET ? "bucket" : "truncate", t->param);
        break;
    default:
        sbuf_str(b, t->text);
        sbuf_addc(b, '(');
    }
    if (!add_path(b, sc->fields, source_id))
        sbuf_addc(b, '?');
    if (t->kind != IB_IDENTITY)
        sbuf_addc(b, ')');
}

static void add_partition(sbuf *b, const ib_schema *sc, const ib_partition_field *f)
{
    add_term(b, sc, f->source_id, &f->transform);
}

static void add_sort(sbuf *b, const ib_schema *sc, const ib_sort_field *f, bool upper)
{
    add_term(b, sc, f->source_id, &f->transform);
    if (upper)
        sbuf_printf(b, "%s NULLS %s", f->desc ? " DESC" : "", f->nulls_last ? "LAST" : "FIRST");
    else
        sbuf_printf(b, " %s nulls %s", f->desc ? "desc" : "asc", f->nulls_last ? "last" : "first");
}

static void add_quoted(sbuf *b, str s)
{
    sbuf_addc(b, '\'');
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '\'')
            sbuf_addc(b, '\'');
        sbuf_addc(b, s.p[i]);
    }
    sbuf_addc(b, '\'');
}

static void create_text(const ib_table *t, sbuf *b)
{
    const ib_metadata *md = t->md;
    const ib_schema *sc = ib_current_schema(md);
    const ib_partition_spec *spec = ib_spec_by_id(md, md->default_spec_id);
    sbuf_addz(b, "CREATE TABLE ");
    sql_ident_text(str_of(t->ns), b);
    sbuf_addc(b, '.');
    sql_ident_text(str_of(t->name), b);
    sbuf_addz(b, " (\n");
    for (uint32_t i = 0; i < sc->fields->n; i++) {
        const type_field *f = &sc->fields->f[i];
        sbuf_addz(b, "    ");
        sql_ident_text(f->name, b);
        sbuf_addc(b, ' ');
        type_sql_name(f->t, b);
        if (f->required)
            sbuf_addz(b, " NOT NULL");
        if (f->doc.n) {
            sbuf_addz(b, " COMMENT ");
            add_quoted(b, f->doc);
        }
        sbuf_addz(b, i + 1 < sc->fields->n || sc->n_identifier ? ",\n" : "\n");
    }
    for (uint32_t i = 0; i < sc->n_identifier; i++) {
        sbuf_addz(b, i ? ", " : "    PRIMARY KEY (");
        add_path(b, sc->fields, sc->identifier_ids[i]);
    }
    sbuf_addz(b, sc->n_identifier ? ") NOT ENFORCED\n)" : ")");
    if (spec && spec->n) {
        sbuf_addz(b, "\nPARTITIONED BY (");
        for (uint32_t i = 0; i < spec->n; i++) {
            if (i)
                sbuf_addz(b, ", ");
            add_partition(b, sc, &spec->fields[i]);
        }
        sbuf_addc(b, ')');
    }
    const ib_sort_order *order = ib_order_by_id(md, md->default_sort_order_id);
    for (uint32_t i = 0; order && i < order->n; i++) {
        sbuf_addz(b, i ? ", " : "\nORDER BY ");
        add_sort(b, sc, &order->fields[i], true);
    }
    for (uint32_t i = 0; i < md->properties.n; i++) {
        sbuf_addz(b, i ? ", " : "\nWITH (");
        add_quoted(b, md->properties.kv[i].key);
        sbuf_addz(b, " = ");
        add_quoted(b, md->properties.kv[i].value);
    }
    if (md->properties.n)
        sbuf_addc(b, ')');
}

static fz_status show_create(statement *st, rows *r, fz_error *err)
{
    static const char *const names[] = {"statement"};
    rows_init(r, st, 1, names);
    const sql_name *name = &st->ast->describe.name;
    ib_ident id;
    ib_table *t;
    TRY(statement_table(st, name, &id, &t, err));
    if (!t)
        return session_no_table(st->s, name, err);
    sbuf b;
    sbuf_init(&b, &st->s->m);
    create_text(t, &b);
    rows_sbuf(r, &b);
    sbuf_free(&b);
    return FZ_OK;
}

/* ---- DESCRIBE ---- */

static fz_status describe(statement *st, rows *r, fz_error *err)
{
    static const char *const names[] = {"column", "type", "null", "comment", "partition"};
    rows_init(r, st, 5, names);
    row_schema cols;
    const ib_table *t = NULL;
    if (st->ast->describe.name.n) {
        ib_ident id;
        ib_table *found;
        TRY(statement_table(st, &st->ast->describe.name, &id, &found, err));
        if (!found)
            return session_no_table(st->s, &st->ast->describe.name, err);
        t = found;
        TRY(schema_columns(ib_current_schema(t->md), &st->a, &cols, err));
    } else {
        /* The bound plan goes before the rows are made from what it said: names and types are copied cell by cell. */
        sql_bind_options o;
        TRY(statement_bind_options(st, &o, err));
        TRY(sql_bind_query(st->ast->describe.query, &o, &st->bound, err));
        cols = st->bound.plan->out;
    }
    const ib_partition_spec *spec = t ? ib_spec_by_id(t->md, t->md->default_spec_id) : NULL;
    sbuf b;
    sbuf_init(&b, &st->s->m);
    for (uint32_t i = 0; i < cols.n; i++) {
        const column_def *c = &cols.cols[i];
        rows_str(r, c->name);
        type_sql_name(c->t, &b);
        rows_sbuf(r, &b);
        rows_z(r, c->not_null ? "NO" : "YES");
        rows_cell(r, c->doc.n ? c->doc.p : NULL, c->doc.n);
        for (uint32_t k = 0; spec && k < spec->n; k++)
            if (spec->fields[k].source_id == c->field_id) {
                if (b.n)
                    sbuf_addz(&b, ", ");
                sbuf_str(&b, spec->fields[k].transform.text);
            }
        if (b.n)
            rows_sbuf(r, &b);
        else
            rows_z(r, NULL);
    }
    sbuf_free(&b);
    return FZ_OK;
}

fz_status run_show(statement *st, fz_result **out, fz_error *err)
{
    rows r = {0};
    fz_status s = FZ_OK;
    const char *tag = "SHOW";
    switch (st->ast->kind) {
    case ST_SHOW_TABLES: s = show_tables(st, &r, err); break;
    case ST_SHOW_SCHEMAS: s = show_schemas(st, &r, err); break;
    case ST_SHOW_CREATE_TABLE: s = show_create(st, &r, err); break;
    default: s = describe(st, &r, err); tag = "DESCRIBE"; break;
    }
    if (s) {
        statement_free(st);
        return s;
    }
    return rows_result(&r, tag, out, err);
}

/* ---- EXPLAIN ---- */

fz_status statement_bind(statement *st, const ast_stmt *s, fz_error *err)
{
    sql_bind_options o;
    TRY(statement_bind_options(st, &o, err));
    if (s->kind == ST_QUERY)
        return sql_bind_query(s->query, &o, &st->bound, err);
    if (s->kind == ST_CREATE_TABLE && s->create_table.query)
        return sql_bind_query(s->create_table.query, &o, &st->bound, err);
    if (s->kind != ST_INSERT)
        return error_set(err, FZ_UNSUPPORTED, "EXPLAIN of %s isn't supported", s->what);
    ib_ident id;
    ib_table *t;
    row_schema cols;
    TRY(statement_table(st, &s->insert.table, &id, &t, err));
    if (!t)
        return session_no_table(st->s, &s->insert.table, err);
    TRY(schema_columns(ib_current_schema(t->md), &st->a, &cols, err));
    return sql_bind_insert(&s->insert, &cols, &o, &st->bound, err);
}

fz_status run_explain(statement *st, fz_result **out, fz_error *err)
{
    static const char *const names[] = {"plan"};
    rows r;
    rows_init(&r, st, 1, names);
    fz_status s = st->ast->explain.analyze ? error_set(err, FZ_UNSUPPORTED, "EXPLAIN ANALYZE isn't supported")
                                           : statement_bind(st, st->ast->explain.stmt, err);
    if (s) {
        statement_free(st);
        return s;
    }
    sbuf b;
    sbuf_init(&b, &st->s->m);
    plan_text(st->bound.plan, &b);
    for (size_t from = 0; from < b.n;) {
        const char *nl = memchr(b.p + from, '\n', b.n - from);
        size_t end = nl ? (size_t)(nl - b.p) : b.n;
        rows_cell(&r, b.p + from, end - from);
        from = end + 1;
    }
    r.failed |= b.failed;
    sbuf_free(&b);
    return rows_result(&r, "EXPLAIN", out, err);
}

/* ---- inspect ---- */

static void inspect_row(rows *r, const char *section, str name, sbuf *value)
{
    rows_z(r, section);
    rows_str(r, name);
    rows_sbuf(r, value);
}

static void inspect_time(sbuf *b, int64_t ms)
{
    datum d = {.t = TYPE(T_TIMESTAMPTZ), .i64 = ms * 1000};
    datum_text(&d, b);
}

static void inspect_table(rows *r, const ib_table *t, sbuf *b)
{
    const ib_metadata *md = t->md;
    sbuf_str(b, md->table_uuid);
    inspect_row(r, "table", STR("uuid"), b);
    sbuf_str(b, md->location);
    inspect_row(r, "table", STR("location"), b);
    sbuf_addz(b, t->metadata_location);
    inspect_row(r, "table", STR("metadata"), b);
    sbuf_i64(b, md->format_version);
    inspect_row(r, "table", STR("format version"), b);
    inspect_time(b, md->last_updated_ms);
    inspect_row(r, "table", STR("last updated"), b);
    const ib_schema *sc = ib_current_schema(md);
    for (uint32_t i = 0; i < sc->fields->n; i++) {
        type_sql_name(sc->fields->f[i].t, b);
        if (sc->fields->f[i].required)
            sbuf_addz(b, " not null");
        inspect_row(r, "column", sc->fields->f[i].name, b);
    }
    const ib_partition_spec *spec = ib_spec_by_id(md, md->default_spec_id);
    for (uint32_t i = 0; spec && i < spec->n; i++) {
        add_partition(b, sc, &spec->fields[i]);
        inspect_row(r, "partition", spec->fields[i].name, b);
    }
    const ib_sort_order *order = ib_order_by_id(md, md->default_sort_order_id);
    for (uint32_t i = 0; order && i < order->n; i++) {
        add_sort(b, sc, &order->fields[i], false);
        char n[16];
        snprintf(n, sizeof n, "%u", i + 1);
        inspect_row(r, "sorted by", str_of(n), b);
    }
    for (uint32_t i = 0; i < sc->n_identifier; i++) {
        sbuf path;
        sbuf_init(&path, b->m);
        ib_field_path(sc, sc->identifier_ids[i], &path);
        sbuf_i64(b, sc->identifier_ids[i]);
        inspect_row(r, "identifier", (str){path.p ? path.p : "", path.n}, b);
        sbuf_free(&path);
    }
    for (uint32_t i = 0; i < md->properties.n; i++) {
        sbuf_str(b, md->properties.kv[i].value);
        inspect_row(r, "property", md->properties.kv[i].key, b);
    }
    for (uint32_t i = 0; i < md->n_refs; i++) {
        const ib_ref *ref = &md->refs_list[i];
        if (str_eqz(ref->name, "main"))
            continue;
        sbuf_i64(b, ref->snapshot_id);
        const struct { const char *what; int64_t v; } kept[] = {{", kept %lld ms", ref->max_ref_age_ms}, {", at least %lld snapshots", ref->min_snapshots_to_keep},
                                                               {", snapshots kept %lld ms", ref->max_snapshot_age_ms}};
        for (int k = 0; k < 3; k++)
            if (kept[k].v >= 0)
                sbuf_printf(b, kept[k].what, (long long)kept[k].v);
        inspect_row(r, ref->is_tag ? "tag" : "branch", ref->name, b);
    }
    for (uint32_t i = 0; i < md->n_snapshots; i++) {
        const ib_snapshot *s = md->snapshots[i];
        char id[32];
        snprintf(id, sizeof id, "%lld%s", (long long)s->snapshot_id, s->snapshot_id == md->current_snapshot_id ? " (current)" : "");
        inspect_time(b, s->timestamp_ms);
        static const char *const keys[] = {"operation", "added-records", "deleted-records", "total-records", "total-data-files", "total-files-size"};
        for (size_t k = 0; k < sizeof keys / sizeof keys[0]; k++) {
            str v = ib_prop(&s->summary, keys[k]);
            if (v.n) {
                sbuf_addz(b, k ? ", " : ": ");
                if (k)
                    sbuf_printf(b, "%s ", keys[k]);
                sbuf_str(b, v);
            }
        }
        inspect_row(r, "snapshot", str_of(id), b);
    }
}

static fz_status inspect_files(rows *r, fz_session *s, const ib_table *t, sbuf *b, fz_error *err)
{
    ib_scan *found;
    fz_error e;
    const ib_snapshot *snap = ib_current_snapshot(t->md);
    if (!snap)
        return FZ_OK;
    fz_status st = ib_plan(t->md, snap, NULL, s->lake->rt->manifests, NULL, &s->m, &found, &e);
    if (st == FZ_UNSUPPORTED) { /* all else can be told */
        sbuf_addz(b, e.message);
        inspect_row(r, "file", STR("…"), b);
        return FZ_OK;
    }
    if (st) {
        if (err)
            *err = e;
        return st;
    }
    for (uint32_t i = 0; i < found->n && i < 1000; i++) {
        const ib_data_file *f = found->files[i].file;
        str path = f->file_path;
        if (str_starts(path, t->md->location) && path.n > t->md->location.n + 1)
            path = (str){path.p + t->md->location.n + 1, path.n - t->md->location.n - 1};
        sbuf_printf(b, "%lld rows, %lld bytes", (long long)f->record_count, (long long)f->file_size_bytes);
        inspect_row(r, "file", path, b);
    }
    if (found->n > 1000) {
        sbuf_printf(b, "%u more", found->n - 1000);
        inspect_row(r, "file", STR("…"), b);
    }
    ib_scan_free(found);
    return FZ_OK;
}

fz_status fz_inspect(fz_session *s, const char *table, fz_result **out, fz_error *err)
{
    static const char *const names[] = {"section", "name", "value"};
    statement *st;
    session_begin(s);
    TRY(statement_new(s, &st, err));
    rows r;
    rows_init(&r, st, 3, names);
    sql_name name;
    ib_ident id;
    ib_table *t = NULL;
    sbuf b;
    sbuf_init(&b, &s->m);
    fz_status f = sql_parse_name(str_of(table), &st->a, &name, err);
    if (!f)
        f = statement_table(st, &name, &id, &t, err);
    if (!f && !t)
        f = session_no_table(s, &name, err);
    if (!f) {
        inspect_table(&r, t, &b);
        f = inspect_files(&r, s, t, &b, err);
    }
    sbuf_free(&b);
    if (f) {
        statement_free(st);
        return session_failed(s, f, err);
    }
    return rows_result(&r, "INSPECT", out, err);
}
