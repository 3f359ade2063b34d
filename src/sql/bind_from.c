/* bind_from.c: FROM: tables, files, functions, sub-selects and joins become a plan and a scope. */
#include "sql/bind_int.h"

/* ---- scopes ---- */

static fz_status scope_rel(binder *b, bind_scope *s, const sql_name *name, uint32_t *rel)
{
    bind_rel r = {.name = *name};
    for (uint32_t i = 0; i < s->n_rels && name->n; i++) {
        const sql_name *o = &s->rels[i].name;
        bool same = o->n == name->n;
        for (uint32_t k = 0; k < name->n && same; k++)
            same = str_eq(o->parts[k].name, name->parts[k].name);
        if (same && name->n)
            return bind_fail(b, FZ_INVALID, "42712", name->parts[name->n - 1].pos, "\"" STR_FMT "\" stands in FROM twice; give one an alias",
                             STR_ARG(name->parts[name->n - 1].name));
    }
    *rel = s->n_rels;
    BIND_PUSH(b, s->rels, s->n_rels, s->cap_rels, r);
    return FZ_OK;
}

/* Adds a relation's columns, renamed by an alias's column list. */
static fz_status scope_add(binder *b, bind_scope *s, const sql_name *name, const row_schema *out, uint32_t n_columns, const sql_ident *columns)
{
    uint32_t rel;
    TRY(scope_rel(b, s, name, &rel));
    if (n_columns > out->n)
        return bind_fail(b, FZ_INVALID, "42P10", columns[out->n].pos, "there are %u columns, but %u names for them", out->n, n_columns);
    for (uint32_t i = 0; i < out->n; i++) {
        const column_def *d = &out->cols[i];
        bind_col c = {.name = i < n_columns ? columns[i].name : d->name, .t = d->t, .not_null = d->not_null, .rel = rel, .doc = d->doc};
        BIND_PUSH(b, s->cols, s->n_cols, s->cap_cols, c);
    }
    return FZ_OK;
}

static fz_status alias_name(binder *b, const ast_from *f, const sql_name *otherwise, sql_name *out)
{
    *out = (sql_name){0};
    if (otherwise)
        *out = *otherwise;
    if (f->alias.name.p) {
        sql_ident *id = ARENA_NEW(b->a, sql_ident);
        if (!id)
            return error_nomem(b->err);
        *id = f->alias;
        *out = (sql_name){1, id};
    }
    return FZ_OK;
}

/* ---- leaves ---- */

static fz_status plan_scan(binder *b, table_source *t, const plan **out)
{
    bool known = false;
    for (uint32_t i = 0; i < b->n_tables; i++)
        known |= b->tables[i] == t;
    if (known) {
        if (atomic_fetch_sub(&t->refs, 1) == 1 && t->ops->release) /* the list holds one reference already */
            t->ops->release(t);
    } else {
        fz_status st = FZ_OK;
        if (b->n_tables == b->cap_tables)
            st = bind_list_grow(b, &b->tables, b->n_tables, &b->cap_tables, sizeof *b->tables);
        if (st != FZ_OK) {
            if (atomic_fetch_sub(&t->refs, 1) == 1 && t->ops->release)
                t->ops->release(t);
            return st;
        }
        b->tables[b->n_tables++] = t;
    }
    plan *p = plan_new(b->a, PLAN_SCAN, 0, NULL, NULL);
    if (!p)
        return error_nomem(b->err);
    p->out = t->schema;
    p->scan.table = t;
    p->scan.cols = ARENA_ARRAY(b->a, uint32_t, t->schema.n ? t->schema.n : 1);
    if (!p->scan.cols)
        return error_nomem(b->err);
    for (uint32_t i = 0; i < t->schema.n; i++)
        p->scan.cols[i] = i;
    p->scan.limit = -1;
    p->rows = t->ops->estimate ? t->ops->estimate(t) : -1;
    *out = p;
    return FZ_OK;
}

/* The rows of files, one after the other; st: what the resolver said. */
static fz_status plan_sources(binder *b, const sql_sources *t, fz_status st, sql_pos pos, const plan **out)
{
    const plan **parts = ARENA_ARRAY(b->a, const plan *, t->n + 1);
    if (st != FZ_OK && (!b->err || !b->err->where[0]))
        error_line(b->err, pos.line, pos.column);
    if (st == FZ_OK && !parts)
        st = error_nomem(b->err);
    for (uint32_t i = 0; i < t->n; i++)
        if (st == FZ_OK)
            st = plan_scan(b, t->at[i], &parts[i]);
        else if (atomic_fetch_sub(&t->at[i]->refs, 1) == 1 && t->at[i]->ops->release)
            t->at[i]->ops->release(t->at[i]);
    TRY(st);
    *out = parts[0];
    if (t->n == 1)
        return FZ_OK;
    plan *u = plan_new(b->a, PLAN_UNION_ALL, 0, NULL, NULL);
    if (!u)
        return error_nomem(b->err);
    u->n = t->n;
    u->in = parts;
    u->out = parts[0]->out;
    u->rows = -1;
    *out = u;
    return FZ_OK;
}

typedef struct names { binder *b; uint32_t n, cap; str *list; } names;

static void names_add(void *ctx, str name)
{
    names *l = ctx;
    char *copy = l->n < 100000 ? arena_strndup(l->b->a, name.p, name.n) : NULL;
    if (!copy)
        return;
    if (l->n == l->cap && bind_list_grow(l->b, &l->list, l->n, &l->cap, sizeof *l->list) != FZ_OK)
        return;
    l->list[l->n++] = (str){copy, name.n};
}

static fz_status table_missing(binder *b, const sql_name *n, const bind_env *env)
{
    sbuf t;
    names l = {.b = b};
    sbuf_init(&t, NULL);
    sql_name_text(n, &t);
    char hint[sizeof b->err->hint] = "";
    if (b->err)
        memcpy(hint, b->err->hint, sizeof hint);
    fz_status st = bind_fail(b, FZ_NOT_FOUND, "42P01", n->parts[0].pos, "there is no table \"%s\"", t.p ? t.p : "");
    if (hint[0])
        error_hint(b->err, "%s", hint); /* the resolver knows better */
    for (; env; env = env->next)
        names_add(&l, env->cte->name.name);
    if (b->o->resolver->ops->table_names)
        b->o->resolver->ops->table_names(b->o->resolver, n, names_add, &l);
    if (b->err)
        sql_hint_nearest(b->err, (str){t.p ? t.p : "", t.n}, l.n, l.list);
    if (n->n > 1 && b->err)
        sql_hint_nearest(b->err, n->parts[n->n - 1].name, l.n, l.list);
    sbuf_free(&t);
    return st;
}

/* The moment of TIMESTAMP AS OF as microseconds since 1970 UTC. */
static fz_status travel_time(binder *b, sql_travel *t)
{
    bind_scope none = {0};
    bind_ctx c = {.b = b, .scope = &none, .clause = "AS OF"};
    const expr *e;
    bool ok = false;
    TRY(bind_expr(&c, t->time, &e));
    TRY(expr_cast(b, e, TYPE(T_TIMESTAMPTZ), CAST_ASSIGN, &ok, &e));
    if (!ok || expr_reads_input(e))
        return bind_fail(b, FZ_INVALID, "42804", t->time->pos, "AS OF takes a constant timestamp");
    datum d;
    fz_status st = expr_fold(e, b->a, &d, b->err);
    if (st != FZ_OK) {
        error_line(b->err, t->time->pos.line, t->time->pos.column);
        return st;
    }
    if (d.null)
        return bind_fail(b, FZ_INVALID, "22004", t->time->pos, "AS OF takes a timestamp, not NULL");
    t->time_us = d.i64;
    return FZ_OK;
}

static fz_status from_table(binder *b, const ast_from *f, const bind_env *env, bind_scope *scope, const plan **out)
{
    sql_name name;
    const sql_name *n = &f->table.name;
    TRY(alias_name(b, f, n, &name));
    for (const bind_env *v = env; v && n->n == 1; v = v->next) {
        const ast_cte *cte = v->cte;
        if (!(n->parts[0].quoted || cte->name.quoted ? str_eq(n->parts[0].name, cte->name.name) : str_ieq(n->parts[0].name, cte->name.name)))
            continue;
        if (f->table.travel.kind != TRAVEL_NONE)
            return bind_fail(b, FZ_INVALID, "42601", f->table.travel.pos, "AS OF is for tables; \"" STR_FMT "\" is a WITH query", STR_ARG(cte->name.name));
        TRY(bind_query(b, cte->query, v->next, NULL, out));
        if (cte->n_columns > (*out)->out.n)
            return bind_fail(b, FZ_INVALID, "42P10", cte->columns[(*out)->out.n].pos, "there are %u columns, but %u names for them",
                             (*out)->out.n, cte->n_columns);
        row_schema named = {(*out)->out.n, ARENA_ARRAY(b->a, column_def, (*out)->out.n + 1)};
        if (!named.cols)
            return error_nomem(b->err);
        for (uint32_t i = 0; i < named.n; i++) {
            named.cols[i] = (*out)->out.cols[i];
            if (i < cte->n_columns)
                named.cols[i].name = cte->columns[i].name;
        }
        return scope_add(b, scope, &name, &named, f->n_columns, f->columns);
    }
    sql_travel travel = f->table.travel;
    if (travel.kind == TRAVEL_TIME)
        TRY(travel_time(b, &travel));
    table_source *t = NULL;
    fz_status st = b->o->resolver->ops->table(b->o->resolver, n, &travel, b->a, &t, b->err);
    if (st == FZ_NOT_FOUND && (!b->err || !b->err->sqlstate[0] || strcmp(b->err->sqlstate, "42704") == 0 || strcmp(b->err->sqlstate, "42P01") == 0))
        return table_missing(b, n, env);
    if (st != FZ_OK) {
        if (!b->err || !b->err->where[0])
            error_line(b->err, f->pos.line, f->pos.column);
        return st;
    }
    TRY(plan_scan(b, t, out));
    return scope_add(b, scope, &name, &(*out)->out, f->n_columns, f->columns);
}

static fz_status from_file(binder *b, const ast_from *f, bind_scope *scope, const plan **out)
{
    sql_name name;
    sql_sources t = {0};
    str path = f->file.path, stem = path;
    if (!b->o->resolver->ops->file)
        return bind_fail(b, FZ_UNSUPPORTED, "0A000", f->pos, "a file as a table is not supported here");
    sql_travel travel = f->file.travel;
    if (travel.kind == TRAVEL_TIME)
        TRY(travel_time(b, &travel));
    fz_status st = b->o->resolver->ops->file(b->o->resolver, path, &travel, b->a, &t, b->err);
    TRY(plan_sources(b, &t, st, f->pos, out));
    for (size_t i = path.n; i > 0; i--) /* the file's name without folder and ending names its columns */
        if (path.p[i - 1] == '/') {
            stem = (str){path.p + i, path.n - i};
            break;
        }
    const char *dot = stem.n > 1 ? memchr(stem.p + 1, '.', stem.n - 1) : NULL;
    if (dot)
        stem.n = (size_t)(dot - stem.p);
    sql_ident *id = ARENA_NEW(b->a, sql_ident);
    if (!id)
        return error_nomem(b->err);
    *id = (sql_ident){stem, false, f->pos};
    TRY(alias_name(b, f, &(sql_name){1, id}, &name));
    return scope_add(b, scope, &name, &(*out)->out, f->n_columns, f->columns);
}

static fz_status option_value(binder *b, const ast_expr *e, sql_option *out)
{
    out->pos = e->pos;
    if (e->kind == AX_NAME && e->name.n == 1) { /* a bare word is a text: header => yes, delimiter => tab */
        out->value = (datum){.t = TYPE(T_STRING), .s = e->name.parts[0].name};
        return FZ_OK;
    }
    return sql_const(e, b->a, &out->value, b->err);
}

static fz_status from_function(binder *b, const ast_from *f, bind_scope *scope, const plan **out)
{
    uint32_t n = f->function.n_args + f->function.n_options;
    sql_option *args = ARENA_ARRAY(b->a, sql_option, n ? n : 1);
    sql_name name;
    const sql_ident *id = &f->function.name;
    char *lower = arena_strndup(b->a, id->name.p, id->name.n);
    if (!args || !lower)
        return error_nomem(b->err);
    for (size_t i = 0; i < id->name.n; i++)
        if (lower[i] >= 'A' && lower[i] <= 'Z')
            lower[i] |= 0x20;
    for (uint32_t i = 0; i < f->function.n_args; i++)
        TRY(option_value(b, f->function.args[i], &args[i]));
    for (uint32_t i = 0; i < f->function.n_options; i++) {
        const ast_option *o = &f->function.options[i];
        sql_option *to = &args[f->function.n_args + i];
        char *key = arena_strndup(b->a, o->name.name.p, o->name.name.n);
        if (!key)
            return error_nomem(b->err);
        for (size_t k = 0; k < o->name.name.n; k++)
            if (key[k] >= 'A' && key[k] <= 'Z')
                key[k] |= 0x20;
        TRY(option_value(b, o->value, to));
        to->name = (str){key, o->name.name.n};
        to->pos = o->name.pos;
    }
    sql_sources t = {0};
    const sql_resolver_ops *ops = b->o->resolver->ops;
    fz_status st = ops->function ? ops->function(b->o->resolver, (str){lower, id->name.n}, n, args, b->a, &t, b->err) : FZ_NOT_FOUND;
    if (st == FZ_NOT_FOUND && (!b->err || !b->err->where[0])) {
        names l = {.b = b};
        st = bind_fail(b, FZ_NOT_FOUND, "42883", f->pos, "there is no table function \"" STR_FMT "\"", STR_ARG(id->name));
        if (ops->function_names)
            ops->function_names(b->o->resolver, names_add, &l);
        sql_hint_nearest(b->err, id->name, l.n, l.list);
    }
    TRY(plan_sources(b, &t, st, f->pos, out));
    TRY(alias_name(b, f, &(sql_name){1, id}, &name));
    return scope_add(b, scope, &name, &(*out)->out, f->n_columns, f->columns);
}

/* ---- joins ---- */

typedef struct range { uint32_t from, to; bool any; } range;

static bool outside(void *ctx, const expr *e)
{
    range *r = ctx;
    if (e->kind != EX_COLUMN)
        return false;
    r->any = true;
    return e->col & COL_MARK || e->col < r->from || e->col >= r->to;
}

/* Whether the expression uses columns of [from, to) and no others. */
static bool only_columns(const expr *e, uint32_t from, uint32_t to)
{
    range r = {from, to, false};
    return !expr_any(e, outside, &r) && r.any;
}

static fz_status shift_column(void *ctx, const expr *e, const expr **out, bool *replaced)
{
    binder *b = ((void **)ctx)[0];
    uint32_t by = *(uint32_t *)((void **)ctx)[1];
    if (e->kind != EX_COLUMN)
        return FZ_OK;
    expr *c = arena_alloc(b->a, sizeof *c);
    if (!c)
        return error_nomem(b->err);
    *c = *e;
    c->col -= by;
    *out = c;
    *replaced = true;
    return FZ_OK;
}

typedef struct join_cond { uint32_t nkeys, cap_l, cap_r; const expr **lk, **rk; const expr *residual; uint32_t n_left, n_all; } join_cond;

/* l = r becomes a key where each side belongs to one input; everything else is the residual. */
static fz_status cond_add(binder *b, join_cond *j, const expr *e)
{
    if (e->kind == EX_AND) {
        for (uint32_t i = 0; i < e->n; i++)
            TRY(cond_add(b, j, e->args[i]));
        return FZ_OK;
    }
    if (e->kind == EX_CALL && e->n == 2 && strcmp(func_name(e->fn), "=") == 0)
        for (int swap = 0; swap < 2; swap++) {
            const expr *l = e->args[swap], *r = e->args[!swap];
            if (!only_columns(l, 0, j->n_left) || !only_columns(r, j->n_left, j->n_all))
                continue;
            void *ctx[2] = {b, &j->n_left};
            TRY(expr_map(b->a, r, shift_column, ctx, &r));
            uint32_t n = j->nkeys;
            BIND_PUSH(b, j->lk, n, j->cap_l, l);
            BIND_PUSH(b, j->rk, j->nkeys, j->cap_r, r);
            return FZ_OK;
        }
    return expr_conjunction(b, j->residual, e, &j->residual);
}

/* A column of one side by USING's name. */
static fz_status using_column(binder *b, const bind_scope *s, const sql_ident *id, uint32_t from, uint32_t to, const char *side, uint32_t *out)
{
    for (int fold = 0; fold <= !id->quoted; fold++) {
        uint32_t found = 0;
        for (uint32_t i = from; i < to; i++)
            if (!s->cols[i].merged && (fold ? str_ieq(s->cols[i].name, id->name) : str_eq(s->cols[i].name, id->name)) && found++ == 0)
                *out = i;
        if (found == 1)
            return FZ_OK;
        if (found > 1)
            return bind_fail(b, FZ_INVALID, "42702", id->pos, "column \"" STR_FMT "\" stands on the %s side more than once", STR_ARG(id->name), side);
    }
    fz_status st = bind_fail(b, FZ_NOT_FOUND, "42703", id->pos, "the %s side of the join has no column \"" STR_FMT "\"", side, STR_ARG(id->name));
    str *list = ARENA_ARRAY(b->a, str, to - from + 1);
    for (uint32_t i = from; list && i < to; i++)
        list[i - from] = s->cols[i].name;
    if (list)
        sql_hint_nearest(b->err, id->name, to - from, list);
    return st;
}

static fz_status join_using(binder *b, bind_scope *s, join_cond *j, const sql_ident *id, uint32_t l, uint32_t r)
{
    const expr *pair[2] = {expr_column(b, l, s->cols[l].t, id->pos), expr_column(b, r, s->cols[r].t, id->pos)}, *eq;
    if (!pair[0] || !pair[1])
        return FZ_NOMEM;
    TRY(expr_function(b, "=", id->pos, 2, pair, &eq));
    s->cols[r].merged = true;
    return cond_add(b, j, eq);
}

/* Columns of the plan and the scope change places: the right input's come first after LEFT JOIN with sides swapped. */
static fz_status swap_sides(binder *b, const plan *joined, uint32_t n_first, const plan **out)
{
    uint32_t n = joined->out.n;
    bind_out *cols = ARENA_ARRAY(b->a, bind_out, n ? n : 1);
    if (!cols)
        return error_nomem(b->err);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t from = i < n - n_first ? n_first + i : i - (n - n_first);
        const column_def *d = &joined->out.cols[from];
        cols[i] = (bind_out){.name = d->name, .e = expr_column(b, from, d->t, (sql_pos){0, 0}), .not_null = d->not_null, .doc = d->doc};
        if (!cols[i].e)
            return FZ_NOMEM;
    }
    return plan_project(b, joined, n, cols, out);
}

static fz_status mirror(binder *b, const expr *residual, uint32_t n_left, uint32_t n_all, const expr **out);

static fz_status join_plan(binder *b, const ast_from *f, bind_scope *scope, const plan *l, const plan *r, join_cond *j, uint32_t first,
                           const plan **out)
{
    uint32_t nl = l->out.n, nr = r->out.n;
    switch ((ast_join_kind)f->join.kind) {
    case AJ_CROSS:
        return plan_join(b, JOIN_CROSS, l, r, 0, NULL, NULL, NULL, out);
    case AJ_INNER:
        if (j->nkeys)
            return plan_join(b, JOIN_INNER, l, r, j->nkeys, j->lk, j->rk, j->residual, out);
        TRY(plan_join(b, JOIN_CROSS, l, r, 0, NULL, NULL, NULL, out));
        return j->residual ? plan_filter(b, *out, j->residual, out) : FZ_OK;
    case AJ_LEFT:
        for (uint32_t i = nl; i < nl + nr; i++)
            scope->cols[first + i].not_null = false;
        return plan_join(b, JOIN_LEFT, l, r, j->nkeys, j->lk, j->rk, j->residual, out);
    case AJ_RIGHT:
        for (uint32_t i = 0; i < nl; i++)
            scope->cols[first + i].not_null = false;
        if (j->residual)
            TRY(mirror(b, j->residual, nl, nl + nr, &j->residual));
        TRY(plan_join(b, JOIN_LEFT, r, l, j->nkeys, j->rk, j->lk, j->residual, out));
        return swap_sides(b, *out, nr, out);
    default:
        return bind_fail(b, FZ_UNSUPPORTED, "0A000", f->pos, "FULL JOIN is not supported");
    }
}

typedef struct mirror_ctx { binder *b; uint32_t n_left, n_all; } mirror_ctx;
static fz_status mirror_column(void *ctx, const expr *e, const expr **out, bool *replaced)
{
    mirror_ctx *m = ctx;
    if (e->kind != EX_COLUMN)
        return FZ_OK;
    *replaced = true;
    uint32_t col = e->col < m->n_left ? e->col + (m->n_all - m->n_left) : e->col - m->n_left;
    *out = expr_column(m->b, col, e->t, (sql_pos){e->line, e->column});
    return *out ? FZ_OK : FZ_NOMEM;
}

static fz_status mirror(binder *b, const expr *residual, uint32_t n_left, uint32_t n_all, const expr **out)
{
    mirror_ctx m = {b, n_left, n_all};
    return expr_map(b->a, residual, mirror_column, &m, out);
}

/* Each side is bound in a scope of its own, so that positions are those of the side's plan; then the scopes are joined. */
static fz_status from_join(binder *b, const ast_from *f, const bind_env *env, bind_scope *scope, const plan **out)
{
    bind_scope both = {.outer = scope->outer};
    const plan *l, *r;
    TRY(bind_from(b, f->join.left, env, &both, &l));
    uint32_t n_left = both.n_cols;
    bind_scope right = {.outer = scope->outer};
    TRY(bind_from(b, f->join.right, env, &right, &r));
    uint32_t rel_shift = both.n_rels;
    for (uint32_t i = 0; i < right.n_rels; i++) {
        uint32_t rel;
        TRY(scope_rel(b, &both, &right.rels[i].name, &rel));
    }
    for (uint32_t i = 0; i < right.n_cols; i++) {
        bind_col col = right.cols[i];
        col.rel += rel_shift;
        BIND_PUSH(b, both.cols, both.n_cols, both.cap_cols, col);
    }
    join_cond j = {.n_left = n_left, .n_all = both.n_cols};
    if (f->join.on) {
        bind_ctx c = {.b = b, .scope = &both, .env = env, .clause = "ON"};
        const expr *on;
        TRY(bind_bool(&c, f->join.on, &on));
        if (expr_has_mark(on, COL_SUB))
            return bind_fail(b, FZ_UNSUPPORTED, "0A000", f->join.on->pos, "a subquery in ON is not supported");
        TRY(cond_add(b, &j, on));
    }
    uint32_t cl, cr;
    /* RIGHT JOIN keeps the right side's rows, so its column stands for both */
    bool keep_right = f->join.kind == AJ_RIGHT;
    for (uint32_t i = 0; i < f->join.n_using; i++) {
        const sql_ident *id = &f->join.cols_using[i];
        TRY(using_column(b, &both, id, 0, n_left, "left", &cl));
        TRY(using_column(b, &both, id, n_left, both.n_cols, "right", &cr));
        TRY(join_using(b, &both, &j, id, cl, cr));
        if (keep_right) {
            both.cols[cl].merged = true;
            both.cols[cr].merged = false;
        }
    }
    for (uint32_t i = 0; f->join.natural && i < n_left; i++)
        for (uint32_t k = n_left; k < both.n_cols; k++)
            if (!both.cols[i].merged && !both.cols[k].merged && str_eq(both.cols[i].name, both.cols[k].name)) {
                TRY(join_using(b, &both, &j, &(sql_ident){both.cols[i].name, true, f->pos}, i, k));
                break;
            }
    TRY(join_plan(b, f, &both, l, r, &j, 0, out));
    const bind_scope *outer = scope->outer;
    *scope = both;
    scope->outer = outer;
    return FZ_OK;
}

fz_status bind_from(binder *b, const ast_from *f, const bind_env *env, bind_scope *scope, const plan **out)
{
    sql_name name;
    switch ((ast_from_kind)f->kind) {
    case FROM_TABLE: return from_table(b, f, env, scope, out);
    case FROM_FILE: return from_file(b, f, scope, out);
    case FROM_FUNCTION: return from_function(b, f, scope, out);
    case FROM_JOIN: return from_join(b, f, env, scope, out);
    case FROM_QUERY:
        TRY(bind_query(b, f->query, env, scope->outer, out));
        TRY(alias_name(b, f, NULL, &name));
        return scope_add(b, scope, &name, &(*out)->out, f->n_columns, f->columns);
    }
    return bind_fail(b, FZ_INTERNAL, "XX000", f->pos, "unknown form of FROM");
}
