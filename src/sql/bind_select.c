/*
 * bind_select.c: one SELECT with its ORDER BY and LIMIT:
 *
 *   FROM -> filter (WHERE) -> aggregate -> filter (HAVING) -> project (items, then hidden sort columns)
 *        -> aggregate (DISTINCT) -> sort -> limit -> project (without the hidden ones)
 *
 * All expressions are bound against FROM's columns first; group.c then rewrites them to the aggregate's.
 */
#include "sql/bind_int.h"

#include <stdio.h>

/* ---- names of the result's columns ---- */

static str ident_or(const sql_name *n)
{
    return n->parts[n->n - 1].name;
}

/* The name PostgreSQL would give, or nothing. */
static str natural_name(const ast_expr *e)
{
    switch ((ast_expr_kind)e->kind) {
    case AX_NAME: return ident_or(&e->name);
    case AX_CALL: return e->is_operator ? (str){0} : e->call.written.name;
    case AX_CAST: case AX_TRY_CAST: return natural_name(e->args[0]);
    case AX_CASE: return STR("case");
    case AX_EXISTS: return STR("exists");
    case AX_SCALAR: /* the name of the subquery's column */
        if (e->query->body == BODY_SELECT && e->query->select.n_items == 1 && e->query->select.items[0].e->kind != AX_STAR)
            return bind_item_name(&e->query->select.items[0]);
        return (str){0};
    default: return (str){0};
    }
}

str bind_item_name(const ast_item *it)
{
    if (it->alias.name.p)
        return it->alias.name;
    str s = natural_name(it->e);
    return s.p ? s : it->text;
}

static fz_status copy_str(binder *b, str s, str *out)
{
    char *p = arena_strndup(b->a, s.p ? s.p : "", s.n);
    if (!p)
        return error_nomem(b->err);
    *out = (str){p, s.n};
    return FZ_OK;
}

/* ---- the select list ---- */

typedef struct out_list { uint32_t n, cap; bind_out *list; } out_list;

static int name_in(const sql_ident *ids, uint32_t n, str name)
{
    for (uint32_t i = 0; i < n; i++)
        if (ids[i].quoted ? str_eq(ids[i].name, name) : str_ieq(ids[i].name, name))
            return (int)i;
    return -1;
}

/* EXCLUDE and REPLACE have to name columns that the star stands for. */
static fz_status star_names_exist(bind_ctx *c, const ast_expr *star, uint32_t n_hit, const bool *hit)
{
    for (uint32_t i = 0; i < n_hit; i++)
        if (!hit[i]) {
            const sql_ident *id = i < star->n_exclude ? &star->exclude[i] : &star->replace[i - star->n_exclude].as;
            fz_status st = bind_fail(c->b, FZ_NOT_FOUND, "42703", id->pos, "there is no column \"" STR_FMT "\" to %s", STR_ARG(id->name),
                                     i < star->n_exclude ? "exclude" : "replace");
            str *list = ARENA_ARRAY(c->b->a, str, c->scope->n_cols + 1);
            for (uint32_t k = 0; list && k < c->scope->n_cols; k++)
                list[k] = c->scope->cols[k].name;
            if (list)
                sql_hint_nearest(c->b->err, id->name, c->scope->n_cols, list);
            return st;
        }
    return FZ_OK;
}

static fz_status star_column(bind_ctx *c, const ast_expr *star, uint32_t i, bool *hit, out_list *l)
{
    binder *b = c->b;
    const bind_col *col = &c->scope->cols[i];
    int at = name_in(star->exclude, star->n_exclude, col->name);
    if (at >= 0) {
        hit[at] = true;
        return FZ_OK;
    }
    bind_out o = {.not_null = col->not_null, .doc = col->doc};
    TRY(copy_str(b, col->name, &o.name));
    for (uint32_t k = 0; k < star->n_replace && !o.e; k++)
        if (name_in(&star->replace[k].as, 1, col->name) == 0) {
            hit[star->n_exclude + k] = true;
            TRY(bind_expr(c, star->replace[k].e, &o.e));
            TRY(expr_settle(b, &o.e));
            o.not_null = false;
        }
    if (!o.e && !(o.e = expr_column(b, i, col->t, star->pos)))
        return FZ_NOMEM;
    BIND_PUSH(b, l->list, l->n, l->cap, o);
    return FZ_OK;
}

static fz_status bind_star(bind_ctx *c, const ast_expr *star, out_list *l)
{
    const bind_scope *s = c->scope;
    uint32_t n_hit = star->n_exclude + star->n_replace;
    bool *hit = ARENA_ARRAY(c->b->a, bool, n_hit + 1), any = star->name.n == 0;
    if (!hit)
        return error_nomem(c->b->err);
    if (!s->n_rels)
        return bind_fail(c->b, FZ_SYNTAX, "42601", star->pos, "* needs a FROM");
    for (uint32_t r = 0; r < s->n_rels && !any; r++)
        any = rel_matches(&s->rels[r], &star->name, star->name.n);
    if (!any)
        return bind_no_relation(c->b, s, &star->name, star->name.n);
    for (uint32_t i = 0; i < s->n_cols; i++)
        if (star->name.n ? rel_matches(&s->rels[s->cols[i].rel], &star->name, star->name.n) : !s->cols[i].merged)
            TRY(star_column(c, star, i, hit, l));
    return star_names_exist(c, star, n_hit, hit);
}

/* A column (cast or not) that has no alias keeps the case of its stored name, however it was written. */
static fz_status item_name(bind_ctx *c, const ast_item *it, str *out)
{
    str name = bind_item_name(it);
    const ast_expr *e = it->e;
    const expr *col;
    while (e->kind == AX_CAST || e->kind == AX_TRY_CAST)
        e = e->args[0];
    if (!it->alias.name.p && e->kind == AX_NAME) {
        TRY(bind_name(c, e, &col));
        if (col->kind == EX_COLUMN && !(col->col & COL_MARK) && str_ieq(c->scope->cols[col->col].name, name))
            name = c->scope->cols[col->col].name;
        else if (col->kind == EX_CALL && col->fn == func_field())
            name = col->args[1]->value.s;
    }
    return copy_str(c->b, name, out);
}

fz_status bind_items(bind_ctx *c, const ast_select *s, uint32_t *n, bind_out **out)
{
    out_list l = {0};
    for (uint32_t i = 0; i < s->n_items; i++) {
        const ast_item *it = &s->items[i];
        if (it->e->kind == AX_STAR) {
            TRY(bind_star(c, it->e, &l));
            continue;
        }
        bind_out o = {0};
        c->n_items = i; /* an item sees the aliases in front of it */
        TRY(bind_expr(c, it->e, &o.e));
        TRY(expr_settle(c->b, &o.e));
        TRY(item_name(c, it, &o.name));
        BIND_PUSH(c->b, l.list, l.n, l.cap, o);
    }
    if (!l.n)
        return bind_fail(c->b, FZ_INVALID, "42601", s->pos, "no columns are left to select");
    *n = l.n;
    *out = l.list;
    return FZ_OK;
}

/* ---- GROUP BY, ORDER BY, LIMIT ---- */

/* An integer literal as the ordinal of an output column. */
static fz_status ordinal(binder *b, const ast_expr *e, const char *clause, uint32_t n, bool *is, uint32_t *out)
{
    *is = e->kind == AX_LITERAL && !e->value.null && type_is_integer(e->value.t);
    if (!*is)
        return FZ_OK;
    int64_t v = e->value.t.id == T_INT32 ? e->value.i32 : e->value.i64;
    if (v < 1 || v > n)
        return bind_fail(b, FZ_INVALID, "42P10", e->pos, "%s %lld: the select list has columns 1 to %u", clause, (long long)v, n);
    *out = (uint32_t)v - 1;
    return FZ_OK;
}

static fz_status bind_group_keys(bind_ctx *c, const ast_select *s, uint32_t n_outs, const bind_out *outs, uint32_t *n, const expr ***out)
{
    binder *b = c->b;
    uint32_t cap = 0;
    const expr **keys = NULL;
    *n = 0;
    if (s->group_all)
        for (uint32_t i = 0; i < n_outs; i++)
            if (!expr_has_mark(outs[i].e, COL_AGG) && outs[i].e->kind != EX_CONST)
                BIND_PUSH(b, keys, *n, cap, outs[i].e);
    for (uint32_t i = 0; i < s->n_group; i++) {
        const expr *e;
        uint32_t at = 0;
        bool is;
        TRY(ordinal(b, s->group[i], "GROUP BY", n_outs, &is, &at));
        if (is)
            e = outs[at].e;
        else
            TRY(bind_expr(c, s->group[i], &e));
        if (expr_has_mark(e, COL_AGG))
            return bind_fail(b, FZ_INVALID, "42803", s->group[i]->pos, "aggregates can't be used in GROUP BY");
        TRY(expr_settle(b, &e));
        bool known = false;
        for (uint32_t k = 0; k < *n && !known; k++)
            known = expr_equal(keys[k], e);
        if (!known)
            BIND_PUSH(b, keys, *n, cap, e);
    }
    *out = keys;
    return FZ_OK;
}

fz_status bind_order_key(binder *b, const ast_order *o, const expr *e, sort_key *out)
{
    TRY(expr_settle(b, &e));
    if (type_is_nested(e->t)) {
        char t[128];
        type_name_z(e->t, t, sizeof t);
        return bind_fail(b, FZ_UNSUPPORTED, "0A000", o->e ? o->e->pos : (sql_pos){e->line, e->column}, "ORDER BY %s is not supported", t);
    }
    *out = (sort_key){.e = e, .desc = o->desc, .nulls_first = o->nulls_given ? o->nulls_first : o->desc};
    return FZ_OK;
}

static fz_status limit_value(binder *b, const ast_expr *e, const char *clause, int64_t none, int64_t *out)
{
    datum d;
    const expr *x;
    bind_scope scope = {0};
    bind_ctx c = {.b = b, .scope = &scope, .clause = clause};
    *out = none;
    if (!e)
        return FZ_OK;
    TRY(bind_expr(&c, e, &x));
    if (x->kind == EX_PARAM)
        return bind_fail(b, FZ_UNSUPPORTED, "0A000", e->pos, "a parameter in %s is not supported", clause);
    bool ok;
    TRY(expr_cast(b, x, TYPE(T_INT64), CAST_ASSIGN, &ok, &x));
    if (!ok || !expr_is_const(x))
        return bind_fail(b, FZ_INVALID, "42804", e->pos, "%s takes a constant whole number", clause);
    fz_status st = expr_fold(x, b->a, &d, b->err);
    if (st != FZ_OK) {
        error_line(b->err, e->pos.line, e->pos.column);
        return st;
    }
    if (d.null)
        return FZ_OK;
    if (d.i64 < 0)
        return bind_fail(b, FZ_INVALID, clause[0] == 'L' ? "2201W" : "2201X", e->pos, "%s can't be negative", clause);
    *out = d.i64;
    return FZ_OK;
}

fz_status bind_limit(binder *b, const ast_query *q, int64_t *limit, int64_t *offset)
{
    TRY(limit_value(b, q->limit, "LIMIT", -1, limit));
    return limit_value(b, q->offset, "OFFSET", 0, offset);
}

/* ORDER BY's keys as expressions over FROM's columns (and aggregates). */
static fz_status bind_order(bind_ctx *c, const ast_query *q, uint32_t n_outs, const bind_out *outs, uint32_t *n, sort_key **out)
{
    binder *b = c->b;
    uint32_t count = q->order_all ? n_outs : q->n_order;
    sort_key *keys = ARENA_ARRAY(b->a, sort_key, count ? count : 1);
    if (!keys)
        return error_nomem(b->err);
    for (uint32_t i = 0; i < count; i++) {
        if (q->order_all) {
            ast_order all = {.desc = q->order_all_desc, .nulls_given = q->order_all_nulls_given, .nulls_first = q->order_all_nulls_first};
            TRY(bind_order_key(b, &all, outs[i].e, &keys[i]));
            continue;
        }
        const expr *e;
        uint32_t at = 0;
        bool is;
        TRY(ordinal(b, q->order[i].e, "ORDER BY", n_outs, &is, &at));
        if (is)
            e = outs[at].e;
        else
            TRY(bind_expr(c, q->order[i].e, &e));
        TRY(bind_order_key(b, &q->order[i], e, &keys[i]));
    }
    *n = count;
    *out = keys;
    return FZ_OK;
}

/* ---- WHERE ---- */

/* x IN (query) as a condition of its own is a semi-join; the rest filters. */
static fz_status bind_where(bind_ctx *c, const ast_expr *e, bind_level *level, const expr **rest)
{
    if (e->kind == AX_AND) {
        for (uint32_t i = 0; i < e->n; i++)
            TRY(bind_where(c, e->args[i], level, rest));
        return FZ_OK;
    }
    if (e->kind == AX_IN_QUERY && !e->negated)
        return level_semi_join(c, level, e);
    const expr *x;
    TRY(bind_bool(c, e, &x));
    return expr_conjunction(c->b, *rest, x, rest);
}

static fz_status where_filter(bind_ctx *c, const ast_select *s, bind_level *level)
{
    const expr *where = NULL;
    if (!s->where)
        return FZ_OK;
    TRY(bind_where(c, s->where, level, &where));
    if (!where)
        return FZ_OK;
    TRY(level_attach(c->b, level, 1, &where));
    return plan_filter(c->b, level->p, where, &level->p);
}

/* ---- putting it together ---- */

typedef struct select_parts {
    uint32_t n_outs, n_keys, n_order;
    bind_out *outs;
    const expr **keys;
    sort_key *order;
    const expr *having;
} select_parts;

/* All expressions over the level's plan go through here once: grouping, then subqueries. */
static fz_status place_exprs(binder *b, bind_level *level, const bind_scope *scope, bool grouped, bind_aggs *aggs, select_parts *p)
{
    uint32_t n = p->n_outs + p->n_order + (p->having != NULL);
    const expr **all = ARENA_ARRAY(b->a, const expr *, n + 1);
    if (!all)
        return error_nomem(b->err);
    for (uint32_t i = 0; i < p->n_outs; i++)
        all[i] = p->outs[i].e;
    for (uint32_t i = 0; i < p->n_order; i++)
        all[p->n_outs + i] = p->order[i].e;
    if (p->having)
        all[n - 1] = p->having;
    if (grouped)
        TRY(bind_group(b, level, scope, p->n_keys, p->keys, aggs, n, all));
    TRY(level_attach(b, level, n, all));
    for (uint32_t i = 0; i < p->n_outs; i++) {
        p->outs[i].e = all[i];
        if (grouped)
            p->outs[i].not_null = false; /* the aggregate's columns know */
    }
    for (uint32_t i = 0; i < p->n_order; i++)
        p->order[i].e = all[p->n_outs + i];
    if (p->having)
        p->having = all[n - 1];
    return FZ_OK;
}

/* project, DISTINCT, sort, limit, and the projection without sort columns. */
static fz_status finish(binder *b, const ast_query *q, const plan *in, select_parts *p, const plan **out)
{
    const ast_select *s = &q->select;
    uint32_t n = p->n_outs, cap = p->n_outs;
    bind_out *cols = p->outs;
    for (uint32_t i = 0; i < p->n_order; i++) { /* sort keys become columns of the projection */
        uint32_t at = 0;
        while (at < n && !expr_equal(cols[at].e, p->order[i].e))
            at++;
        if (at == n) {
            if (s->distinct)
                return bind_fail(b, FZ_INVALID, "42P10", (sql_pos){p->order[i].e->line, p->order[i].e->column},
                                 "with SELECT DISTINCT, ORDER BY can only use selected columns");
            bind_out hidden = {.e = p->order[i].e};
            BIND_PUSH(b, cols, n, cap, hidden);
        }
        p->order[i].e = expr_column(b, at, cols[at].e->t, (sql_pos){p->order[i].e->line, p->order[i].e->column});
        if (!p->order[i].e)
            return FZ_NOMEM;
    }
    TRY(plan_project(b, in, n, cols, out));
    if (s->distinct)
        TRY(plan_distinct(b, *out, out));
    int64_t limit, offset;
    TRY(bind_limit(b, q, &limit, &offset));
    if (p->n_order) {
        plan *sort = plan_new(b->a, PLAN_SORT, 1, *out, NULL);
        if (!sort)
            return error_nomem(b->err);
        sort->out = (*out)->out;
        sort->sort.nkeys = p->n_order;
        sort->sort.keys = p->order;
        sort->sort.limit = -1;
        *out = sort;
    }
    if (limit >= 0 || offset > 0) {
        plan *l = plan_new(b->a, PLAN_LIMIT, 1, *out, NULL);
        if (!l)
            return error_nomem(b->err);
        l->out = (*out)->out;
        l->limit.limit = limit;
        l->limit.offset = offset;
        *out = l;
    }
    if (n == p->n_outs)
        return FZ_OK;
    for (uint32_t i = 0; i < p->n_outs; i++) {
        cols[i].e = expr_column(b, i, cols[i].e->t, (sql_pos){0, 0});
        if (!cols[i].e)
            return FZ_NOMEM;
    }
    return plan_project(b, *out, p->n_outs, cols, out);
}

fz_status bind_select(binder *b, const ast_query *q, const bind_env *env, const bind_scope *outer, const plan **out)
{
    const ast_select *s = &q->select;
    bind_scope scope = {.outer = outer};
    bind_level level = {0};
    if (s->from)
        TRY(bind_from(b, s->from, env, &scope, &level.p));
    else
        TRY(plan_one_row(b, &level.p));
    bind_aggs aggs = {0};
    bind_ctx c = {.b = b, .scope = &scope, .env = env, .clause = "WHERE", .items = s->items, .n_items = s->n_items};
    TRY(where_filter(&c, s, &level));
    select_parts p = {0};
    c.clause = "the select list";
    c.aggs = &aggs;
    TRY(bind_items(&c, s, &p.n_outs, &p.outs));
    c.n_items = s->n_items;
    if (s->grouped) {
        bind_ctx g = c;
        g.clause = "GROUP BY";
        g.aggs = NULL;
        TRY(bind_group_keys(&g, s, p.n_outs, p.outs, &p.n_keys, &p.keys));
    }
    if (s->having) {
        c.clause = "HAVING";
        TRY(bind_bool(&c, s->having, &p.having));
    }
    c.clause = "ORDER BY";
    c.outs = p.outs;
    c.n_outs = p.n_outs;
    TRY(bind_order(&c, q, p.n_outs, p.outs, &p.n_order, &p.order));
    bool grouped = s->grouped || aggs.n || s->having;
    TRY(place_exprs(b, &level, &scope, grouped, &aggs, &p));
    if (p.having)
        TRY(plan_filter(b, level.p, p.having, &level.p));
    return finish(b, q, level.p, &p, out);
}
