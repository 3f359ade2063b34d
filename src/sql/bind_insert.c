/* bind_insert.c: the rows of INSERT in the target's columns. */
#include "sql/bind_int.h"

/* from[i]: the query's column for the target's column i, or -1. */
static fz_status insert_columns(binder *b, const ast_insert *s, const row_schema *t, uint32_t *n, int32_t *from)
{
    for (uint32_t i = 0; i < t->n; i++)
        from[i] = s->n_columns || s->by_name ? -1 : (int32_t)i;
    *n = s->n_columns ? s->n_columns : t->n;
    for (uint32_t i = 0; i < s->n_columns; i++) {
        uint32_t at;
        TRY(sql_find_column(&s->columns[i], t, &at, b->err));
        if (from[at] >= 0)
            return bind_fail(b, FZ_INVALID, "42701", s->columns[i].pos, "column \"" STR_FMT "\" stands here twice", STR_ARG(s->columns[i].name));
        from[at] = (int32_t)i;
    }
    return FZ_OK;
}

/* INSERT … BY NAME: the query's columns go where their names say. */
static fz_status by_name(binder *b, const ast_insert *s, const row_schema *t, const plan *p, int32_t *from)
{
    for (uint32_t i = 0; i < p->out.n; i++) {
        uint32_t at;
        sql_ident id = {p->out.cols[i].name, false, s->query->pos};
        TRY(sql_find_column(&id, t, &at, b->err));
        if (from[at] >= 0)
            return bind_fail(b, FZ_INVALID, "42701", s->query->pos, "the query has two columns for \"" STR_FMT "\"", STR_ARG(t->cols[at].name));
        from[at] = (int32_t)i;
    }
    return FZ_OK;
}

static fz_status wrong_count(binder *b, const ast_insert *s, const row_schema *t, uint32_t want, uint32_t have)
{
    sql_pos pos = s->query->pos;
    if (s->query->body == BODY_VALUES && have > want)
        pos = s->query->values.cells[want]->pos;
    fz_status st = bind_fail(b, FZ_INVALID, "42601", pos, "%s has %u column%s, but %u value%s given",
                             s->n_columns ? "the column list" : "the table", want, want == 1 ? "" : "s", have, have == 1 ? " is" : "s are");
    if (!s->n_columns && have < want) {
        sbuf l;
        sbuf_init(&l, NULL);
        for (uint32_t i = 0; i < t->n && i < 20; i++) {
            sbuf_addz(&l, i ? ", " : "");
            sql_ident_text(t->cols[i].name, &l);
        }
        error_hint(b->err, "name the columns that are given: INSERT INTO … (%s)", l.p ? l.p : "");
        sbuf_free(&l);
    }
    return st;
}

static bool literal_column(const plan *p, uint32_t i)
{
    if (p->kind != PLAN_PROJECT)
        return false;
    const expr *e = p->project.e[i];
    return e->kind == EX_CONST && (e->value.null || e->col == LITERAL);
}

/* One target column: cast, or NULL where nothing is given. */
static fz_status target_column(binder *b, const ast_insert *s, const column_def *d, const plan *p, int32_t from, bind_out *out)
{
    bool ok;
    char have[64], want[64];
    *out = (bind_out){.name = d->name};
    if (from < 0) {
        if (d->not_null)
            return bind_fail(b, FZ_INVALID, "23502", s->table.parts[0].pos, "column \"" STR_FMT "\" is NOT NULL and isn't given", STR_ARG(d->name));
        return expr_const(b, DATUM_NULL(d->t), (sql_pos){0, 0}, &out->e);
    }
    const expr *e = literal_column(p, (uint32_t)from) ? p->project.e[from] : NULL;
    sql_pos pos = s->query->pos;
    if (!e && p->kind == PLAN_PROJECT && p->project.e[from]->line > 0)
        pos = (sql_pos){p->project.e[from]->line, p->project.e[from]->column};
    if (e && e->value.null && d->not_null)
        return bind_fail(b, FZ_INVALID, "23502", (sql_pos){e->line, e->column}, "column \"" STR_FMT "\" is NOT NULL", STR_ARG(d->name));
    if (!e && !(e = expr_column(b, (uint32_t)from, p->out.cols[from].t, pos)))
        return FZ_NOMEM;
    type t = e->t;
    TRY(expr_cast(b, e, d->t, CAST_ASSIGN, &ok, &out->e));
    if (ok)
        return FZ_OK;
    type_name_z(t, have, sizeof have);
    type_name_z(d->t, want, sizeof want);
    fz_status st = bind_fail(b, FZ_INVALID, "42804", pos, "column \"" STR_FMT "\" is %s, but the value is %s", STR_ARG(d->name), want, have);
    if (cast_exists(t, d->t))
        error_hint(b->err, "cast it: CAST(… AS %s)", want);
    return st;
}

/* NULL in VALUES for a NOT NULL column is known now. */
static fz_status check_nulls(binder *b, const plan *p, const row_schema *t, const int32_t *from)
{
    if (p->kind == PLAN_UNION_ALL)
        for (uint32_t i = 0; i < p->n; i++)
            TRY(check_nulls(b, p->in[i], t, from));
    if (p->kind != PLAN_VALUES)
        return FZ_OK;
    for (uint32_t i = 0; i < t->n; i++)
        for (uint32_t r = 0; t->cols[i].not_null && from[i] >= 0 && r < p->values.nrows; r++) {
            const expr *e = p->values.cells[(size_t)r * p->out.n + (uint32_t)from[i]];
            if (e->kind == EX_CONST && e->value.null)
                return bind_fail(b, FZ_INVALID, "23502", (sql_pos){e->line, e->column}, "column \"" STR_FMT "\" is NOT NULL", STR_ARG(t->cols[i].name));
        }
    return FZ_OK;
}

static fz_status insert_plan(binder *b, const ast_insert *s, const row_schema *t, const plan **out)
{
    uint32_t n;
    int32_t *from = ARENA_ARRAY(b->a, int32_t, t->n ? t->n : 1);
    type *want = ARENA_ARRAY(b->a, type, t->n ? t->n : 1);
    bind_out *cols = ARENA_ARRAY(b->a, bind_out, t->n ? t->n : 1);
    const plan *p;
    if (!from || !want || !cols)
        return error_nomem(b->err);
    TRY(insert_columns(b, s, t, &n, from));
    for (uint32_t i = 0; i < t->n; i++) /* VALUES are read as the target's types at once */
        if (from[i] >= 0)
            want[from[i]] = t->cols[i].t;
    TRY(bind_query_typed(b, s->query, NULL, NULL, s->by_name ? 0 : n, want, &p));
    if (s->by_name)
        TRY(by_name(b, s, t, p, from));
    else if (p->out.n != n)
        return wrong_count(b, s, t, n, p->out.n);
    TRY(check_nulls(b, p, t, from));
    bool same = p->out.n == t->n;
    for (uint32_t i = 0; i < t->n; i++) {
        TRY(target_column(b, s, &t->cols[i], p, from[i], &cols[i]));
        same &= from[i] == (int32_t)i && type_eq(p->out.cols[i].t, t->cols[i].t);
    }
    if (!same) {
        TRY(plan_project(b, p, t->n, cols, out));
        return FZ_OK;
    }
    plan *named = ARENA_NEW(b->a, plan); /* only the names differ */
    column_def *defs = ARENA_ARRAY(b->a, column_def, t->n ? t->n : 1);
    if (!named || !defs)
        return error_nomem(b->err);
    *named = *p;
    for (uint32_t i = 0; i < t->n; i++) {
        defs[i] = p->out.cols[i];
        defs[i].name = t->cols[i].name;
    }
    if (named->kind == PLAN_SCAN) { /* a scan's columns carry the table's names */
        TRY(plan_project(b, p, t->n, cols, out));
        return FZ_OK;
    }
    named->out.cols = defs;
    *out = named;
    return FZ_OK;
}

fz_status sql_bind_insert(const ast_insert *s, const row_schema *target, const sql_bind_options *o, sql_bound *out, fz_error *err)
{
    fz_error own;
    binder b = {.o = o, .a = o->a, .err = err ? err : &own, .moment = o->moment};
    const plan *p = NULL;
    fz_status st = insert_plan(&b, s, target, &p);
    return bind_finish(&b, st, p, out);
}
