/* ast.c: trees as text, S-expressions on one line, for tests and debugging; and names as SQL writes them. */
#include "sql/ast.h"
#include "sql/lexer.h"

void sql_ident_text(str name, sbuf *out)
{
    bool plain = name.n > 0 && !(name.p[0] >= '0' && name.p[0] <= '9');
    for (size_t i = 0; i < name.n && plain; i++) {
        unsigned char c = (unsigned char)name.p[i];
        plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c >= 0x80;
    }
    if (plain && !word_flags(name)) {
        sbuf_str(out, name);
        return;
    }
    sbuf_addc(out, '"');
    for (size_t i = 0; i < name.n; i++) {
        if (name.p[i] == '"')
            sbuf_addc(out, '"');
        sbuf_addc(out, name.p[i]);
    }
    sbuf_addc(out, '"');
}

void sql_name_text(const sql_name *n, sbuf *out)
{
    for (uint32_t i = 0; i < n->n; i++) {
        if (i)
            sbuf_addc(out, '.');
        sql_ident_text(n->parts[i].name, out);
    }
}

static void ident(const sql_ident *id, sbuf *out)
{
    if (id->quoted)
        sbuf_printf(out, "\"" STR_FMT "\"", STR_ARG(id->name));
    else
        sbuf_str(out, id->name);
}

static void name(const sql_name *n, sbuf *out)
{
    for (uint32_t i = 0; i < n->n; i++) {
        if (i)
            sbuf_addc(out, '.');
        ident(&n->parts[i], out);
    }
}

static void idents(const sql_ident *ids, uint32_t n, sbuf *out)
{
    sbuf_addc(out, '(');
    for (uint32_t i = 0; i < n; i++) {
        if (i)
            sbuf_addc(out, ' ');
        ident(&ids[i], out);
    }
    sbuf_addc(out, ')');
}

static void args(const ast_expr *e, sbuf *out)
{
    for (uint32_t i = 0; i < e->n; i++) {
        sbuf_addc(out, ' ');
        ast_expr_text(e->args[i], out);
    }
}

static void literal(const datum *d, sbuf *out)
{
    if (d->null) {
        sbuf_addz(out, "null");
    } else if (d->t.id == T_STRING) {
        sbuf_printf(out, "'" STR_FMT "'", STR_ARG(d->s));
    } else {
        datum_text(d, out);
        if (d->t.id == T_INT64)
            sbuf_addc(out, 'L');
    }
}

static void star(const ast_expr *e, sbuf *out)
{
    if (e->name.n) {
        name(&e->name, out);
        sbuf_addc(out, '.');
    }
    sbuf_addc(out, '*');
    if (e->n_exclude) {
        sbuf_addz(out, " exclude ");
        idents(e->exclude, e->n_exclude, out);
    }
    for (uint32_t i = 0; i < e->n_replace; i++) {
        sbuf_addz(out, " replace ");
        ast_expr_text(e->replace[i].e, out);
        sbuf_addz(out, " as ");
        ident(&e->replace[i].as, out);
    }
}

static void call(const ast_expr *e, sbuf *out)
{
    sbuf_printf(out, "(" STR_FMT, STR_ARG(e->call.fn));
    if (e->distinct)
        sbuf_addz(out, " distinct");
    if (e->star)
        sbuf_addz(out, " *");
    args(e, out);
    if (e->call.filter) {
        sbuf_addz(out, " filter ");
        ast_expr_text(e->call.filter, out);
    }
    sbuf_addc(out, ')');
}

void ast_expr_text(const ast_expr *e, sbuf *out)
{
    static const char *const heads[] = {[AX_AND] = "and", [AX_OR] = "or", [AX_NOT] = "not", [AX_IN] = "in", [AX_BETWEEN] = "between",
                                        [AX_IS_NULL] = "isnull"};
    switch (e->kind) {
    case AX_LITERAL: literal(&e->value, out); return;
    case AX_INTERVAL:
        sbuf_printf(out, "(interval %lld %lld %lld)", (long long)e->interval.months, (long long)e->interval.days,
                    (long long)e->interval.micros);
        return;
    case AX_NAME: name(&e->name, out); return;
    case AX_STAR: star(e, out); return;
    case AX_PARAM: sbuf_printf(out, "$%u", e->param + 1); return;
    case AX_CALL: call(e, out); return;
    case AX_CAST: case AX_TRY_CAST:
        sbuf_addz(out, e->kind == AX_CAST ? "(cast " : "(try_cast ");
        ast_expr_text(e->args[0], out);
        sbuf_addc(out, ' ');
        type_sql_name(e->t, out);
        sbuf_addc(out, ')');
        return;
    case AX_CASE:
        sbuf_printf(out, "(case%s%s", e->has_operand ? " operand" : "", e->has_else ? " else" : "");
        args(e, out);
        sbuf_addc(out, ')');
        return;
    case AX_IS_BOOL:
        sbuf_printf(out, "(is%s-%s", e->negated ? "-not" : "", e->is_true ? "true" : "false");
        args(e, out);
        sbuf_addc(out, ')');
        return;
    case AX_IN_QUERY: case AX_EXISTS: case AX_SCALAR:
        sbuf_printf(out, "(%s%s", e->negated ? "not-" : "", e->kind == AX_SCALAR ? "scalar" : e->kind == AX_EXISTS ? "exists" : "in-query");
        args(e, out);
        sbuf_addc(out, ' ');
        ast_query_text(e->query, out);
        sbuf_addc(out, ')');
        return;
    default:
        sbuf_printf(out, "(%s%s", e->negated ? "not-" : "", heads[e->kind]);
        args(e, out);
        sbuf_addc(out, ')');
    }
}

static void travel(const sql_travel *t, sbuf *out)
{
    if (t->kind == TRAVEL_SNAPSHOT)
        sbuf_printf(out, " @%lld", (long long)t->snapshot_id);
    else if (t->kind == TRAVEL_REF)
        sbuf_printf(out, " @'" STR_FMT "'", STR_ARG(t->ref));
    else if (t->kind == TRAVEL_TIME) {
        sbuf_addz(out, " @time ");
        ast_expr_text(t->time, out);
    }
}

static void from_text(const ast_from *f, sbuf *out)
{
    static const char *const joins[] = {"inner", "left", "right", "full", "cross"};
    sbuf_addc(out, '(');
    switch (f->kind) {
    case FROM_TABLE:
        sbuf_addz(out, "table ");
        name(&f->table.name, out);
        travel(&f->table.travel, out);
        break;
    case FROM_FILE:
        sbuf_printf(out, "file '" STR_FMT "'", STR_ARG(f->file.path));
        travel(&f->file.travel, out);
        break;
    case FROM_FUNCTION:
        sbuf_addz(out, "function ");
        ident(&f->function.name, out);
        for (uint32_t i = 0; i < f->function.n_args; i++) {
            sbuf_addc(out, ' ');
            ast_expr_text(f->function.args[i], out);
        }
        for (uint32_t i = 0; i < f->function.n_options; i++) {
            sbuf_addc(out, ' ');
            ident(&f->function.options[i].name, out);
            sbuf_addz(out, "=>");
            ast_expr_text(f->function.options[i].value, out);
        }
        break;
    case FROM_QUERY: ast_query_text(f->query, out); break;
    default:
        sbuf_printf(out, "%s%s ", f->join.natural ? "natural " : "", joins[f->join.kind]);
        from_text(f->join.left, out);
        sbuf_addc(out, ' ');
        from_text(f->join.right, out);
        if (f->join.on) {
            sbuf_addz(out, " on ");
            ast_expr_text(f->join.on, out);
        }
        if (f->join.n_using) {
            sbuf_addz(out, " using ");
            idents(f->join.cols_using, f->join.n_using, out);
        }
    }
    if (f->alias.name.p) {
        sbuf_addz(out, " as ");
        ident(&f->alias, out);
    }
    if (f->n_columns)
        idents(f->columns, f->n_columns, out);
    sbuf_addc(out, ')');
}

static void select_text(const ast_select *s, sbuf *out)
{
    sbuf_addz(out, s->distinct ? "select distinct (" : "select (");
    for (uint32_t i = 0; i < s->n_items; i++) {
        if (i)
            sbuf_addc(out, ' ');
        ast_expr_text(s->items[i].e, out);
        if (s->items[i].alias.name.p) {
            sbuf_addc(out, ':');
            ident(&s->items[i].alias, out);
        }
    }
    sbuf_addc(out, ')');
    if (s->from) {
        sbuf_addz(out, " from ");
        from_text(s->from, out);
    }
    if (s->where) {
        sbuf_addz(out, " where ");
        ast_expr_text(s->where, out);
    }
    if (s->group_all)
        sbuf_addz(out, " group all");
    if (s->n_group) {
        sbuf_addz(out, " group");
        for (uint32_t i = 0; i < s->n_group; i++) {
            sbuf_addc(out, ' ');
            ast_expr_text(s->group[i], out);
        }
    }
    if (s->having) {
        sbuf_addz(out, " having ");
        ast_expr_text(s->having, out);
    }
}

static void order_text(const ast_query *q, sbuf *out)
{
    if (q->order_all)
        sbuf_printf(out, " order all%s%s", q->order_all_desc ? " desc" : "",
                    !q->order_all_nulls_given ? "" : q->order_all_nulls_first ? " nulls-first" : " nulls-last");
    if (q->n_order)
        sbuf_addz(out, " order");
    for (uint32_t i = 0; i < q->n_order; i++) {
        const ast_order *o = &q->order[i];
        sbuf_addc(out, ' ');
        ast_expr_text(o->e, out);
        sbuf_printf(out, "%s%s", o->desc ? " desc" : "", !o->nulls_given ? "" : o->nulls_first ? " nulls-first" : " nulls-last");
    }
}

static void values_text(const ast_query *q, sbuf *out)
{
    sbuf_addz(out, "values");
    for (uint32_t r = 0; r < q->values.nrows; r++) {
        sbuf_addz(out, " (");
        for (uint32_t c = 0; c < q->values.ncols; c++) {
            if (c)
                sbuf_addc(out, ' ');
            ast_expr_text(q->values.cells[(size_t)r * q->values.ncols + c], out);
        }
        sbuf_addc(out, ')');
    }
}

void ast_query_text(const ast_query *q, sbuf *out)
{
    sbuf_addc(out, '(');
    for (uint32_t i = 0; i < q->n_ctes; i++) {
        sbuf_addz(out, "with ");
        ident(&q->ctes[i].name, out);
        if (q->ctes[i].n_columns)
            idents(q->ctes[i].columns, q->ctes[i].n_columns, out);
        sbuf_addc(out, ' ');
        ast_query_text(q->ctes[i].query, out);
        sbuf_addc(out, ' ');
    }
    if (q->body == BODY_SELECT) {
        select_text(&q->select, out);
    } else if (q->body == BODY_VALUES) {
        values_text(q, out);
    } else {
        sbuf_addz(out, "union");
        for (uint32_t i = 0; i < q->set.n; i++) {
            sbuf_addz(out, i == 0 ? " " : q->set.all[i] ? " all " : " distinct ");
            ast_query_text(q->set.in[i], out);
        }
    }
    order_text(q, out);
    if (q->limit) {
        sbuf_addz(out, " limit ");
        ast_expr_text(q->limit, out);
    }
    if (q->offset) {
        sbuf_addz(out, " offset ");
        ast_expr_text(q->offset, out);
    }
    sbuf_addc(out, ')');
}

/* ---- statements ---- */

static void properties_text(const ast_property *p, uint32_t n, sbuf *out)
{
    for (uint32_t i = 0; i < n; i++)
        sbuf_printf(out, " '" STR_FMT "'='" STR_FMT "'", STR_ARG(p[i].key), STR_ARG(p[i].value));
}

static const char *const transforms[] = {"identity", "bucket", "truncate", "year", "month", "day", "hour", "void"};

static void term_text(const ast_partition *t, sbuf *out)
{
    sbuf_printf(out, "[%s", transforms[t->transform]);
    if (t->param)
        sbuf_printf(out, " %d", t->param);
    sbuf_addc(out, ' ');
    name(&t->column, out);
    sbuf_addc(out, ']');
}

static void sorts_text(const ast_sort *s, uint32_t n, sbuf *out)
{
    for (uint32_t i = 0; i < n; i++) {
        sbuf_addz(out, i ? " " : " sort ");
        term_text(&s[i].term, out);
        sbuf_addz(out, s[i].desc ? " desc" : "");
        if (s[i].nulls_given)
            sbuf_addz(out, s[i].nulls_first ? " nulls-first" : " nulls-last");
    }
}

static void ref_text(const ast_ref *r, sbuf *out)
{
    sbuf_printf(out, "%s%s%s ", r->create ? "create-" : "", r->replace ? "replace-" : "", r->is_tag ? "tag" : "branch");
    ident(&r->name, out);
    if (r->snapshot_id >= 0)
        sbuf_printf(out, " at %lld", (long long)r->snapshot_id);
    if (r->max_ref_age_ms >= 0)
        sbuf_printf(out, " retain %lld", (long long)r->max_ref_age_ms);
    if (r->min_snapshots >= 0)
        sbuf_printf(out, " min %lld", (long long)r->min_snapshots);
    if (r->max_snapshot_age_ms >= 0)
        sbuf_printf(out, " age %lld", (long long)r->max_snapshot_age_ms);
}

static void alter_text(const ast_alter *x, sbuf *out)
{
    static const char *const kinds[] = {
        [AL_ADD_COLUMN] = "add", [AL_DROP_COLUMN] = "drop", [AL_RENAME_COLUMN] = "rename", [AL_RENAME_TABLE] = "rename-to", [AL_TYPE] = "type",
        [AL_SET_NOT_NULL] = "set-not-null", [AL_DROP_NOT_NULL] = "drop-not-null", [AL_COMMENT] = "comment", [AL_MOVE] = "move",
        [AL_SET_PROPERTIES] = "set", [AL_UNSET_PROPERTIES] = "unset", [AL_SET_LOCATION] = "location", [AL_ADD_PARTITION] = "add-partition",
        [AL_DROP_PARTITION] = "drop-partition", [AL_REPLACE_PARTITION] = "replace-partition", [AL_RENAME_PARTITION] = "rename-partition",
        [AL_ORDER] = "order", [AL_SET_IDENTIFIER] = "set-identifier", [AL_DROP_IDENTIFIER] = "drop-identifier", [AL_SET_REF] = "ref",
        [AL_DROP_REF] = "drop-ref",
    };
    sbuf_printf(out, " (%s%s", kinds[x->kind], x->quiet ? " quiet" : "");
    const sql_name *one = x->column.n ? &x->column : x->table.n ? &x->table : NULL;
    if (one) {
        sbuf_addc(out, ' ');
        name(one, out);
    }
    if (x->kind == AL_ADD_COLUMN || x->kind == AL_TYPE) {
        sbuf_addc(out, ' ');
        type_sql_name(x->t, out);
    }
    sbuf_addz(out, x->not_null ? " not-null" : "");
    if (x->comment.p)
        sbuf_printf(out, " '" STR_FMT "'", STR_ARG(x->comment));
    if (x->place != PLACE_NONE)
        sbuf_addz(out, x->place == PLACE_FIRST ? " first" : " after ");
    if (x->place == PLACE_AFTER)
        ident(&x->after, out);
    const ast_partition *terms[] = {&x->term, &x->by};
    for (int i = 0; i < 2; i++)
        if (terms[i]->column.n) {
            sbuf_addc(out, ' ');
            term_text(terms[i], out);
        }
    if (x->to.name.p) {
        sbuf_addz(out, " to ");
        ident(&x->to, out);
    }
    properties_text(x->properties, x->n_properties, out);
    sorts_text(x->sort, x->n_sort, out);
    for (uint32_t i = 0; i < x->n_names; i++) {
        sbuf_addc(out, ' ');
        name(&x->names[i], out);
    }
    if (x->ref.name.name.p) {
        sbuf_addc(out, ' ');
        ref_text(&x->ref, out);
    }
    sbuf_addc(out, ')');
}

static void create_table_text(const ast_create_table *t, sbuf *out)
{
    sbuf_printf(out, "create-table%s%s ", t->or_replace ? " or-replace" : "", t->if_not_exists ? " if-not-exists" : "");
    name(&t->table, out);
    for (uint32_t i = 0; i < t->n_columns; i++) {
        const ast_column *c = &t->columns[i];
        sbuf_addz(out, " (");
        ident(&c->name, out);
        if (c->t.id != T_NULL) {
            sbuf_addc(out, ' ');
            type_sql_name(c->t, out);
        }
        sbuf_addz(out, c->not_null ? " not-null" : "");
        if (c->comment.n)
            sbuf_printf(out, " '" STR_FMT "'", STR_ARG(c->comment));
        sbuf_addc(out, ')');
    }
    for (uint32_t i = 0; i < t->n_partitions; i++) {
        sbuf_printf(out, " [%s", transforms[t->partitions[i].transform]);
        if (t->partitions[i].param)
            sbuf_printf(out, " %d", t->partitions[i].param);
        sbuf_addc(out, ' ');
        name(&t->partitions[i].column, out);
        sbuf_addc(out, ']');
    }
    sorts_text(t->sort, t->n_sort, out);
    for (uint32_t i = 0; i < t->n_identifier; i++) {
        sbuf_addz(out, i ? " " : " key ");
        name(&t->identifier[i], out);
    }
    properties_text(t->properties, t->n_properties, out);
    if (t->location.n)
        sbuf_printf(out, " location '" STR_FMT "'", STR_ARG(t->location));
    if (t->comment.n)
        sbuf_printf(out, " comment '" STR_FMT "'", STR_ARG(t->comment));
    if (t->query) {
        sbuf_addz(out, " as ");
        ast_query_text(t->query, out);
    }
}

static void insert_text(const ast_insert *s, sbuf *out)
{
    sbuf_addz(out, s->overwrite ? "insert-overwrite " : "insert ");
    name(&s->table, out);
    if (s->by_name)
        sbuf_addz(out, " by-name");
    if (s->n_columns) {
        sbuf_addc(out, ' ');
        idents(s->columns, s->n_columns, out);
    }
    sbuf_addc(out, ' ');
    ast_query_text(s->query, out);
}

void ast_stmt_text(const ast_stmt *s, sbuf *out)
{
    sbuf_addc(out, '(');
    switch (s->kind) {
    case ST_QUERY: ast_query_text(s->query, out); break;
    case ST_INSERT: insert_text(&s->insert, out); break;
    case ST_CREATE_SCHEMA:
        sbuf_addz(out, s->create_schema.if_not_exists ? "create-schema if-not-exists " : "create-schema ");
        name(&s->create_schema.name, out);
        properties_text(s->create_schema.properties, s->create_schema.n_properties, out);
        break;
    case ST_DROP_SCHEMA:
        sbuf_printf(out, "drop-schema%s ", s->drop_schema.if_exists ? " if-exists" : "");
        name(&s->drop_schema.name, out);
        sbuf_addz(out, s->drop_schema.cascade ? " cascade" : "");
        break;
    case ST_CREATE_TABLE: create_table_text(&s->create_table, out); break;
    case ST_BEGIN: sbuf_addz(out, "begin"); break;
    case ST_COMMIT: sbuf_addz(out, "commit"); break;
    case ST_ROLLBACK: sbuf_addz(out, "rollback"); break;
    case ST_DROP_TABLE:
        sbuf_printf(out, "drop-table%s ", s->drop_table.if_exists ? " if-exists" : "");
        name(&s->drop_table.name, out);
        sbuf_addz(out, s->drop_table.purge ? " purge" : "");
        break;
    case ST_ALTER_TABLE:
        sbuf_printf(out, "alter%s ", s->alter.if_exists ? " if-exists" : "");
        name(&s->alter.name, out);
        for (uint32_t i = 0; i < s->alter.n; i++)
            alter_text(&s->alter.actions[i], out);
        break;
    case ST_CALL:
        sbuf_addz(out, "call ");
        name(&s->call.name, out);
        for (uint32_t i = 0; i < s->call.n_args; i++) {
            sbuf_addc(out, ' ');
            if (s->call.args[i].name.name.p) {
                ident(&s->call.args[i].name, out);
                sbuf_addz(out, "=>");
            }
            ast_expr_text(s->call.args[i].value, out);
        }
        break;
    case ST_SHOW_TABLES: case ST_SHOW_SCHEMAS:
        sbuf_addz(out, s->kind == ST_SHOW_TABLES ? "show-tables" : "show-schemas");
        if (s->show.in.n) {
            sbuf_addz(out, " in ");
            name(&s->show.in, out);
        }
        if (s->show.like.n)
            sbuf_printf(out, " like '" STR_FMT "'", STR_ARG(s->show.like));
        break;
    case ST_SHOW_CREATE_TABLE:
        sbuf_addz(out, "show-create-table ");
        name(&s->describe.name, out);
        break;
    case ST_DESCRIBE:
        sbuf_addz(out, "describe ");
        name(&s->describe.name, out);
        sbuf_addz(out, s->describe.name.n ? " " : "");
        ast_query_text(s->describe.query, out);
        break;
    case ST_EXPLAIN:
        sbuf_addz(out, s->explain.analyze ? "explain-analyze " : "explain ");
        ast_stmt_text(s->explain.stmt, out);
        break;
    case ST_USE:
        sbuf_addz(out, "use ");
        name(&s->use.name, out);
        break;
    case ST_SET:
        sbuf_printf(out, "set " STR_FMT " '" STR_FMT "'%s", STR_ARG(s->set.name), STR_ARG(s->set.value), s->set.is_default ? " default" : "");
        break;
    case ST_RESET: case ST_SHOW:
        sbuf_printf(out, "%s " STR_FMT, s->kind == ST_RESET ? "reset" : "show", STR_ARG(s->set.name));
        break;
    }
    sbuf_addc(out, ')');
}
