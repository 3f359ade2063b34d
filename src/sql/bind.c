/* bind.c: the binder's entry points, and queries: VALUES, UNION, WITH. */
#include "sql/bind_int.h"

fz_status bind_fail(binder *b, fz_status st, const char *sqlstate, sql_pos pos, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    error_vset(b->err, st, fmt, ap);
    va_end(ap);
    if (b->err) {
        memcpy(b->err->sqlstate, sqlstate, 6);
        if (pos.line > 0)
            error_line(b->err, pos.line, pos.column);
    }
    return st;
}

fz_status bind_list_grow(binder *b, void *items, uint32_t n, uint32_t *cap, size_t size)
{
    uint32_t want = *cap ? *cap * 2 : 8;
    if (want < *cap)
        return error_nomem(b->err);
    void *q = arena_array(b->a, size, want), *old;
    if (!q)
        return error_nomem(b->err);
    memcpy(&old, items, sizeof old);
    if (n)
        memcpy(q, old, n * size);
    memcpy(items, &q, sizeof q);
    *cap = want;
    return FZ_OK;
}

/* ---- VALUES ---- */

static fz_status values_cells(binder *b, const ast_query *q, const bind_env *env, const bind_scope *outer, const type *want, const expr **cells)
{
    uint32_t nr = q->values.nrows, nc = q->values.ncols;
    bind_scope none = {.outer = outer};
    bind_ctx c = {.b = b, .scope = &none, .env = env, .clause = "VALUES"};
    for (size_t i = 0; i < (size_t)nr * nc; i++) {
        TRY(bind_expr(&c, q->values.cells[i], &cells[i]));
        if (expr_has_mark(cells[i], COL_SUB))
            return bind_fail(b, FZ_UNSUPPORTED, "0A000", q->values.cells[i]->pos, "a subquery in VALUES is not supported");
        if (want && want[i % nc].id != T_NULL) {
            bool ok;
            char have[64], to[64];
            TRY(expr_cast(b, cells[i], want[i % nc], CAST_ASSIGN, &ok, &cells[i]));
            if (ok)
                continue;
            type_name_z(cells[i]->t, have, sizeof have);
            type_name_z(want[i % nc], to, sizeof to);
            return bind_fail(b, FZ_INVALID, "42804", q->values.cells[i]->pos, "the column is %s, this is %s", to, have);
        }
    }
    const expr **column = want ? NULL : ARENA_ARRAY(b->a, const expr *, nr ? nr : 1);
    for (uint32_t k = 0; k < nc && !want; k++) {
        type t;
        if (!column)
            return error_nomem(b->err);
        for (uint32_t r = 0; r < nr; r++)
            column[r] = cells[(size_t)r * nc + k];
        TRY(expr_unify(b, nr, column, "a column of VALUES", &t));
        for (uint32_t r = 0; r < nr; r++) {
            TRY(expr_settle(b, &column[r]));
            cells[(size_t)r * nc + k] = column[r];
        }
    }
    return FZ_OK;
}

static bool is_cell(const expr *e)
{
    return e->kind == EX_CONST || e->kind == EX_PARAM;
}

/* Rows [from, to) as a node of their own: VALUES, or a projection where a cell has to be computed. */
static fz_status values_rows(binder *b, const row_schema *out, const expr **cells, uint32_t from, uint32_t to, bool computed, const plan **p)
{
    if (computed) {
        bind_out *cols = ARENA_ARRAY(b->a, bind_out, out->n);
        if (!cols)
            return error_nomem(b->err);
        for (uint32_t i = 0; i < out->n; i++)
            cols[i] = (bind_out){.name = out->cols[i].name, .e = cells[(size_t)from * out->n + i]};
        TRY(plan_one_row(b, p));
        return plan_project(b, *p, out->n, cols, p);
    }
    plan *v = plan_new(b->a, PLAN_VALUES, 0, NULL, NULL);
    if (!v)
        return error_nomem(b->err);
    v->out = *out;
    v->values.nrows = to - from;
    v->values.cells = cells + (size_t)from * out->n;
    v->rows = to - from;
    *p = v;
    return FZ_OK;
}

static bool row_computed(const expr *const *cells, uint32_t nc, uint32_t r)
{
    for (uint32_t k = 0; k < nc; k++)
        if (!is_cell(cells[(size_t)r * nc + k]))
            return true;
    return false;
}

static fz_status bind_values(binder *b, const ast_query *q, const bind_env *env, const bind_scope *outer, const type *want, const plan **out)
{
    uint32_t nr = q->values.nrows, nc = q->values.ncols;
    const expr **cells = ARENA_ARRAY(b->a, const expr *, (size_t)nr * nc);
    row_schema s = {nc, ARENA_ARRAY(b->a, column_def, nc)};
    if (!cells || !s.cols)
        return error_nomem(b->err);
    TRY(values_cells(b, q, env, outer, want, cells));
    for (uint32_t k = 0; k < nc; k++) {
        sbuf name;
        sbuf_init(&name, NULL);
        sbuf_printf(&name, "column%u", k + 1);
        char *z = name.p ? arena_strndup(b->a, name.p, name.n) : NULL;
        s.cols[k] = (column_def){.name = {z, name.n}, .t = cells[k]->t, .field_id = -1, .not_null = true};
        sbuf_free(&name);
        if (!z)
            return error_nomem(b->err);
        for (uint32_t r = 0; r < nr; r++) {
            const expr *e = cells[(size_t)r * nc + k];
            s.cols[k].not_null &= e->kind == EX_CONST && !e->value.null;
        }
    }
    uint32_t n = 0, cap = 0, r = 0;
    const plan **parts = NULL;
    while (r < nr) { /* runs of rows that are constant, single rows that aren't */
        bool computed = row_computed(cells, nc, r);
        uint32_t to = r + 1;
        while (!computed && to < nr && !row_computed(cells, nc, to))
            to++;
        const plan *p;
        TRY(values_rows(b, &s, cells, r, to, computed, &p));
        BIND_PUSH(b, parts, n, cap, p);
        if (n > 1000)
            return bind_fail(b, FZ_LIMIT, "54001", q->pos, "VALUES has more than 1000 rows with expressions that aren't constant");
        r = to;
    }
    *out = parts[0];
    if (n == 1)
        return FZ_OK;
    plan *u = plan_new(b->a, PLAN_UNION_ALL, 0, NULL, NULL);
    if (!u)
        return error_nomem(b->err);
    u->n = n;
    u->in = parts;
    u->out = s;
    u->rows = nr;
    *out = u;
    return FZ_OK;
}

/* ---- UNION ---- */

/* The plan with its columns cast to those of `out`, under those names. */
static fz_status conform(binder *b, const plan *p, const row_schema *out, const plan **to)
{
    bool same = true;
    bind_out *cols = ARENA_ARRAY(b->a, bind_out, out->n);
    if (!cols)
        return error_nomem(b->err);
    for (uint32_t i = 0; i < out->n; i++) {
        bool ok;
        const expr *e = expr_column(b, i, p->out.cols[i].t, (sql_pos){0, 0});
        if (!e)
            return FZ_NOMEM;
        same &= type_eq(e->t, out->cols[i].t);
        TRY(expr_cast(b, e, out->cols[i].t, CAST_EXPLICIT, &ok, &e));
        cols[i] = (bind_out){.name = out->cols[i].name, .e = e, .not_null = p->out.cols[i].not_null};
    }
    *to = p;
    return same ? FZ_OK : plan_project(b, p, out->n, cols, to);
}

/* A column that is nothing but NULLs or text literals takes the other side's type. */
static bool column_is_literal(const plan *p, uint32_t i)
{
    if (p->kind == PLAN_PROJECT)
        return p->project.e[i]->kind == EX_CONST && (p->project.e[i]->value.null || p->project.e[i]->col == LITERAL);
    return false;
}

static fz_status union_types(binder *b, const ast_query *q, uint32_t n, const plan **in, row_schema *out)
{
    *out = (row_schema){in[0]->out.n, ARENA_ARRAY(b->a, column_def, in[0]->out.n)};
    if (!out->cols)
        return error_nomem(b->err);
    memcpy(out->cols, in[0]->out.cols, out->n * sizeof *out->cols);
    for (uint32_t c = 0; c < out->n; c++) {
        type t = TYPE(T_NULL);
        out->cols[c].doc = (str){0};
        for (uint32_t i = 0; i < n; i++) {
            type have = in[i]->out.cols[c].t, joint;
            out->cols[c].not_null &= in[i]->out.cols[c].not_null;
            if (column_is_literal(in[i], c))
                continue;
            if (!type_common_in(b->a, t, have, &joint)) {
                char x[64], y[64];
                type_name_z(t, x, sizeof x);
                type_name_z(have, y, sizeof y);
                return bind_fail(b, FZ_INVALID, "42804", q->set.in[i]->pos, "column %u of UNION is %s in one query and %s in another", c + 1, x, y);
            }
            t = joint;
        }
        if (t.id != T_NULL)
            out->cols[c].t = t;
        else
            for (uint32_t i = 0; i < n; i++)
                if (in[i]->out.cols[c].t.id != T_STRING || out->cols[c].t.id == T_NULL)
                    out->cols[c].t = in[i]->out.cols[c].t;
    }
    return FZ_OK;
}

static fz_status union_all(binder *b, uint32_t n, const plan **in, const row_schema *out, const plan **p)
{
    *p = in[0];
    if (n == 1)
        return FZ_OK;
    plan *u = plan_new(b->a, PLAN_UNION_ALL, 0, NULL, NULL);
    if (!u)
        return error_nomem(b->err);
    u->n = n;
    u->in = ARENA_ARRAY(b->a, const plan *, n);
    if (!u->in)
        return error_nomem(b->err);
    memcpy(u->in, in, n * sizeof *in);
    u->out = *out;
    *p = u;
    return FZ_OK;
}

static fz_status bind_union(binder *b, const ast_query *q, const bind_env *env, const bind_scope *outer, const plan **out)
{
    uint32_t n = q->set.n;
    const plan **in = ARENA_ARRAY(b->a, const plan *, n);
    row_schema s;
    if (!in)
        return error_nomem(b->err);
    for (uint32_t i = 0; i < n; i++) {
        TRY(bind_query(b, q->set.in[i], env, outer, &in[i]));
        if (in[i]->out.n != in[0]->out.n)
            return bind_fail(b, FZ_SYNTAX, "42601", q->set.in[i]->pos, "the queries of UNION have %u and %u columns", in[0]->out.n, in[i]->out.n);
    }
    if (n == 1) {
        *out = in[0];
        return FZ_OK;
    }
    TRY(union_types(b, q, n, in, &s));
    for (uint32_t i = 0; i < n; i++)
        TRY(conform(b, in[i], &s, &in[i]));
    uint32_t from = 0; /* in[from..i) are to be appended to what stands in in[from] */
    for (uint32_t i = 1; i <= n; i++) {
        if (i < n && q->set.all[i])
            continue;
        /* up to here all rows; UNION then drops doubles of everything so far */
        if (i == n) {
            TRY(union_all(b, n - from, in + from, &s, out));
            break;
        }
        uint32_t to = i + 1;
        TRY(union_all(b, to - from, in + from, &s, out));
        TRY(plan_distinct(b, *out, out));
        from = i;
        in[from] = *out;
    }
    return FZ_OK;
}

/* ORDER BY and LIMIT of UNION and VALUES: keys are output columns, and expressions of them. */
static fz_status bind_tail(binder *b, const ast_query *q, const plan *in, const plan **out)
{
    uint32_t n = in->out.n, n_order = q->order_all ? n : q->n_order, n_cols = n, cap = 0, n_hidden = 0;
    *out = in;
    bind_scope scope = {0};
    bind_rel rel = {0};
    BIND_PUSH(b, scope.rels, scope.n_rels, scope.cap_rels, rel);
    bind_out *cols = NULL;
    for (uint32_t i = 0; i < n; i++) {
        const column_def *d = &in->out.cols[i];
        bind_col c = {.name = d->name, .t = d->t, .not_null = d->not_null};
        BIND_PUSH(b, scope.cols, scope.n_cols, scope.cap_cols, c);
        bind_out o = {.name = d->name, .e = expr_column(b, i, d->t, q->pos), .not_null = d->not_null, .doc = d->doc};
        uint32_t k = i;
        BIND_PUSH(b, cols, k, cap, o);
    }
    sort_key *keys = ARENA_ARRAY(b->a, sort_key, n_order ? n_order : 1);
    if (!keys)
        return error_nomem(b->err);
    bind_ctx c = {.b = b, .scope = &scope, .clause = "ORDER BY"};
    for (uint32_t i = 0; i < n_order; i++) {
        const expr *e = NULL;
        ast_order all = {.desc = q->order_all_desc, .nulls_given = q->order_all_nulls_given, .nulls_first = q->order_all_nulls_first};
        const ast_order *o = q->order_all ? &all : &q->order[i];
        if (q->order_all) {
            e = cols[i].e;
        } else if (o->e->kind == AX_LITERAL && !o->e->value.null && type_is_integer(o->e->value.t)) {
            int64_t v = o->e->value.t.id == T_INT32 ? o->e->value.i32 : o->e->value.i64;
            if (v < 1 || v > n)
                return bind_fail(b, FZ_INVALID, "42P10", o->e->pos, "ORDER BY %lld: the result has columns 1 to %u", (long long)v, n);
            e = cols[v - 1].e;
        } else {
            TRY(bind_expr(&c, o->e, &e));
            if (expr_has_mark(e, COL_SUB))
                return bind_fail(b, FZ_UNSUPPORTED, "0A000", o->e->pos, "a subquery in ORDER BY of UNION is not supported");
        }
        if (e->kind != EX_COLUMN) {
            bind_out hidden = {.e = e};
            sql_pos pos = {e->line, e->column};
            BIND_PUSH(b, cols, n_cols, cap, hidden);
            e = expr_column(b, n + n_hidden++, e->t, pos);
            if (!e)
                return FZ_NOMEM;
        }
        TRY(bind_order_key(b, o, e, &keys[i]));
    }
    if (n_hidden)
        TRY(plan_project(b, in, n_cols, cols, out));
    if (n_order) {
        plan *sort = plan_new(b->a, PLAN_SORT, 1, *out, NULL);
        if (!sort)
            return error_nomem(b->err);
        sort->out = (*out)->out;
        sort->sort.nkeys = n_order;
        sort->sort.keys = keys;
        sort->sort.limit = -1;
        *out = sort;
    }
    int64_t limit, offset;
    TRY(bind_limit(b, q, &limit, &offset));
    if (limit >= 0 || offset > 0) {
        plan *l = plan_new(b->a, PLAN_LIMIT, 1, *out, NULL);
        if (!l)
            return error_nomem(b->err);
        l->out = (*out)->out;
        l->limit.limit = limit;
        l->limit.offset = offset;
        *out = l;
    }
    return n_hidden ? plan_project(b, *out, n, cols, out) : FZ_OK;
}

/* ---- queries ---- */

fz_status bind_query_typed(binder *b, const ast_query *q, const bind_env *env, const bind_scope *outer, uint32_t n, const type *want,
                           const plan **out)
{
    if (++b->n_queries > BIND_QUERIES_MAX || ++b->depth > BIND_QUERY_DEPTH)
        return bind_fail(b, FZ_LIMIT, "54001", q->pos, "the statement's queries are nested too deeply, or its WITH queries multiply too far");
    bind_env *envs = ARENA_ARRAY(b->a, bind_env, q->n_ctes ? q->n_ctes : 1);
    if (!envs)
        return error_nomem(b->err);
    for (uint32_t i = 0; i < q->n_ctes; i++) {
        envs[i] = (bind_env){env, &q->ctes[i]};
        env = &envs[i];
    }
    bool tail = q->n_order || q->order_all || q->limit || q->offset;
    if (q->body == BODY_SELECT) {
        TRY(bind_select(b, q, env, outer, out));
    } else {
        if (q->body == BODY_VALUES)
            TRY(bind_values(b, q, env, outer, want && n == q->values.ncols ? want : NULL, out));
        else
            TRY(bind_union(b, q, env, outer, out));
        if (tail)
            TRY(bind_tail(b, q, *out, out));
    }
    b->depth--;
    return FZ_OK;
}

fz_status bind_query(binder *b, const ast_query *q, const bind_env *env, const bind_scope *outer, const plan **out)
{
    return bind_query_typed(b, q, env, outer, 0, NULL, out);
}

/* A WITH query that nothing uses is looked at all the same: its errors are errors. */
static fz_status check_unused(binder *b, const ast_query *q)
{
    bind_env *envs = ARENA_ARRAY(b->a, bind_env, q->n_ctes ? q->n_ctes : 1);
    const bind_env *env = NULL;
    const plan *p;
    if (!envs)
        return error_nomem(b->err);
    for (uint32_t i = 0; i < q->n_ctes; i++) {
        TRY(bind_query(b, q->ctes[i].query, env, NULL, &p));
        envs[i] = (bind_env){env, &q->ctes[i]};
        env = &envs[i];
    }
    b->n_queries = 0;
    return FZ_OK;
}

/* ---- entry points ---- */

fz_status bind_finish(binder *b, fz_status st, const plan *p, sql_bound *out)
{
    if (st == FZ_OK && !b->o->no_optimize)
        st = sql_optimize(p, b->a, &p, b->err);
    for (uint32_t i = 0; i < b->n_params; i++)
        if (b->params[i].id == T_NULL)
            b->params[i] = TYPE(T_STRING);
    *out = (sql_bound){p, b->n_params, b->params, b->n_tables, b->tables};
    if (st != FZ_OK) {
        sql_bound_release(out);
        *out = (sql_bound){0};
    }
    return st;
}

fz_status sql_bind_query(const ast_query *q, const sql_bind_options *o, sql_bound *out, fz_error *err)
{
    fz_error own;
    binder b = {.o = o, .a = o->a, .err = err ? err : &own, .moment = o->moment};
    const plan *p = NULL;
    fz_status st = q->n_ctes ? check_unused(&b, q) : FZ_OK;
    if (st == FZ_OK)
        st = bind_query(&b, q, NULL, NULL, &p);
    return bind_finish(&b, st, p, out);
}

void sql_bound_release(sql_bound *b)
{
    for (uint32_t i = 0; i < b->n_tables; i++)
        if (atomic_fetch_sub(&b->tables[i]->refs, 1) == 1 && b->tables[i]->ops->release)
            b->tables[i]->ops->release(b->tables[i]);
    b->n_tables = 0;
}

static fz_status value_of(const ast_expr *e, bool moment, arena *a, datum *out, fz_error *err)
{
    sql_bind_options o = {.a = a};
    fz_error own;
    binder b = {.o = &o, .a = a, .err = err ? err : &own, .no_moment = !moment};
    bind_scope none = {0};
    bind_ctx c = {.b = &b, .scope = &none, .clause = "a constant"};
    const expr *x;
    if (e->kind == AX_SCALAR || e->kind == AX_EXISTS || e->kind == AX_IN_QUERY)
        return bind_fail(&b, FZ_INVALID, "42804", e->pos, "a constant has to stand here");
    TRY(bind_expr(&c, e, &x));
    if (!(moment || expr_is_const(x)) || expr_reads_input(x) || expr_has_mark(x, COL_MARK))
        return bind_fail(&b, FZ_INVALID, "42804", e->pos, "a constant has to stand here");
    fz_status st = expr_fold(x, a, out, err);
    if (st != FZ_OK)
        error_line(err, e->pos.line, e->pos.column);
    return st;
}

fz_status sql_const(const ast_expr *e, arena *a, datum *out, fz_error *err)
{
    return value_of(e, false, a, out, err);
}

fz_status sql_value(const ast_expr *e, arena *a, datum *out, fz_error *err)
{
    return value_of(e, true, a, out, err);
}
