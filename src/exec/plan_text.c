/*
 * plan_text.c: expressions and plans as text, for EXPLAIN.
 */
#include "exec/agg_int.h"
#include "exec/plan.h"

#define TEXT_DEPTH_MAX 200 /* deeper parts are written as … */

static void datum_sql(const datum *d, sbuf *out)
{
    bool quoted = type_phys(d->t) == PHYS_STR || d->t.id == T_DATE || d->t.id == T_TIME || d->t.id == T_TIMESTAMP || d->t.id == T_TIMESTAMPTZ;
    if (d->null) {
        sbuf_addz(out, "NULL");
        return;
    }
    if (!quoted) {
        datum_text(d, out);
        return;
    }
    if (d->t.id != T_STRING) {
        type_sql_name(d->t, out);
        sbuf_addc(out, ' ');
    }
    sbuf_addc(out, '\'');
    size_t at = out->n;
    datum_text(d, out);
    for (size_t i = at; !out->failed && i < out->n; i++)
        if (out->p[i] == '\'') {
            sbuf_addc(out, ' ');
            if (out->failed)
                return;
            memmove(out->p + i + 1, out->p + i, out->n - i - 1);
            i++;
        }
    sbuf_addc(out, '\'');
}

static void text(const expr *e, const row_schema *in, uint32_t depth, sbuf *out);

static void list(const expr *e, uint32_t from, const char *sep, const row_schema *in, uint32_t depth, sbuf *out)
{
    for (uint32_t i = from; i < e->n; i++) {
        if (i > from)
            sbuf_addz(out, sep);
        text(e->args[i], in, depth, out);
    }
}

static bool is_infix(const char *name)
{
    char c = name[0];
    return !((c >= 'a' && c <= 'z') || c == '_') || strcmp(name, "like") == 0 || strcmp(name, "ilike") == 0 || strncmp(name, "is ", 3) == 0;
}

static void call_text(const expr *e, const row_schema *in, uint32_t depth, sbuf *out)
{
    const char *name = func_name(e->fn);
    if (e->fn == func_field() && e->n == 2) { /* st.a */
        text(e->args[0], in, depth, out);
        sbuf_addc(out, '.');
        sbuf_str(out, e->args[1]->value.s);
        return;
    }
    if (is_infix(name) && e->n == 2) {
        sbuf_addc(out, '(');
        text(e->args[0], in, depth, out);
        sbuf_printf(out, " %s ", name);
        text(e->args[1], in, depth, out);
        sbuf_addc(out, ')');
        return;
    }
    sbuf_printf(out, "%s(", name);
    list(e, 0, ", ", in, depth, out);
    sbuf_addc(out, ')');
}

static void case_text(const expr *e, const row_schema *in, uint32_t depth, sbuf *out)
{
    uint32_t i = 0;
    sbuf_addz(out, "CASE");
    for (; i + 1 < e->n; i += 2) {
        sbuf_addz(out, " WHEN ");
        text(e->args[i], in, depth, out);
        sbuf_addz(out, " THEN ");
        text(e->args[i + 1], in, depth, out);
    }
    if (i < e->n) {
        sbuf_addz(out, " ELSE ");
        text(e->args[i], in, depth, out);
    }
    sbuf_addz(out, " END");
}

static void text(const expr *e, const row_schema *in, uint32_t depth, sbuf *out)
{
    if (depth >= TEXT_DEPTH_MAX) {
        sbuf_addz(out, "\xe2\x80\xa6");
        return;
    }
    depth++;
    switch ((expr_kind)e->kind) {
    case EX_COLUMN:
        if (in && e->col < in->n)
            sbuf_str(out, in->cols[e->col].name);
        else
            sbuf_printf(out, "#%u", e->col);
        break;
    case EX_CONST: datum_sql(&e->value, out); break;
    case EX_PARAM: sbuf_printf(out, "$%u", e->col + 1); break;
    case EX_CALL: call_text(e, in, depth, out); break;
    case EX_CAST:
    case EX_TRY_CAST:
        sbuf_addz(out, e->kind == EX_CAST ? "CAST(" : "TRY_CAST(");
        text(e->args[0], in, depth, out);
        sbuf_addz(out, " AS ");
        type_sql_name(e->t, out);
        sbuf_addc(out, ')');
        break;
    case EX_AND:
    case EX_OR:
        sbuf_addc(out, '(');
        list(e, 0, e->kind == EX_AND ? " AND " : " OR ", in, depth, out);
        sbuf_addc(out, ')');
        break;
    case EX_NOT:
        sbuf_addz(out, "NOT ");
        text(e->args[0], in, depth, out);
        break;
    case EX_CASE: case_text(e, in, depth, out); break;
    case EX_COALESCE:
        sbuf_addz(out, "coalesce(");
        list(e, 0, ", ", in, depth, out);
        sbuf_addc(out, ')');
        break;
    case EX_IN:
        text(e->args[0], in, depth, out);
        sbuf_addz(out, " IN (");
        list(e, 1, ", ", in, depth, out);
        sbuf_addc(out, ')');
        break;
    case EX_IS_NULL:
    case EX_IS_NOT_NULL:
        text(e->args[0], in, depth, out);
        sbuf_addz(out, e->kind == EX_IS_NULL ? " IS NULL" : " IS NOT NULL");
        break;
    }
}

void expr_text(const expr *e, const row_schema *in, sbuf *out) { text(e, in, 0, out); }

/* ---- plans ---- */

static void agg_text(const agg_expr *a, const row_schema *in, sbuf *out)
{
    sbuf_printf(out, "%s(%s", a->fn->name, a->distinct ? "DISTINCT " : "");
    if (a->arg)
        text(a->arg, in, 0, out);
    else
        sbuf_addc(out, '*');
    sbuf_addc(out, ')');
    if (a->filter) {
        sbuf_addz(out, " FILTER (WHERE ");
        text(a->filter, in, 0, out);
        sbuf_addc(out, ')');
    }
}

/* The name; behind it, where only some fields of a struct are read, those: st(a, b(c)). */
static void name_text(str name, type full, type read, sbuf *out)
{
    sbuf_str(out, name);
    if (full.id != T_STRUCT || type_eq(full, read))
        return;
    sbuf_addc(out, '(');
    for (uint32_t i = 0, k = 0; i < read.children->n; i++, k++) {
        const type_field *f = &read.children->f[i];
        while (k + 1 < full.children->n && !str_eq(full.children->f[k].name, f->name))
            k++;
        sbuf_addz(out, i ? ", " : "");
        name_text(f->name, full.children->f[k].t, f->t, out);
    }
    sbuf_addc(out, ')');
}

static void scan_text(const plan *p, sbuf *out)
{
    sbuf_addz(out, "SCAN ");
    sbuf_str(out, p->scan.table->name);
    sbuf_addz(out, " (");
    for (uint32_t i = 0; i < p->out.n; i++) {
        type t = p->out.cols[i].t;
        sbuf_addz(out, i ? ", " : "");
        name_text(p->out.cols[i].name, t, p->scan.types ? p->scan.types[i] : t, out);
    }
    sbuf_addc(out, ')');
    if (p->scan.filter) {
        sbuf_addz(out, " WHERE ");
        text(p->scan.filter, &p->out, 0, out);
    }
    if (p->scan.limit >= 0)
        sbuf_printf(out, " LIMIT %lld", (long long)p->scan.limit);
    if (p->scan.table->ops->explain) {
        scan_request r = {.ncols = p->out.n, .cols = p->scan.cols, .filter = p->scan.filter, .limit = p->scan.limit};
        sbuf_addz(out, ": ");
        p->scan.table->ops->explain(p->scan.table, &r, out);
    }
}

static void join_text(const plan *p, sbuf *out)
{
    static const char *const kinds[] = {"INNER", "LEFT", "SEMI", "ANTI", "CROSS"};
    sbuf_printf(out, "HASH JOIN %s", kinds[p->join.kind]);
    for (uint32_t i = 0; i < p->join.nkeys; i++) {
        sbuf_addz(out, i ? " AND " : " ON ");
        text(p->join.left_keys[i], &p->in[0]->out, 0, out);
        sbuf_addz(out, " = ");
        text(p->join.right_keys[i], &p->in[1]->out, 0, out);
    }
    if (p->join.residual) {
        sbuf_addz(out, " IF ");
        text(p->join.residual, p->join.kind == JOIN_SEMI || p->join.kind == JOIN_ANTI ? NULL : &p->out, 0, out);
    }
    sbuf_addz(out, p->join.build_left ? " (build left)" : " (build right)");
}

static void node_text(const plan *p, sbuf *out)
{
    const row_schema *in = p->n ? &p->in[0]->out : NULL;
    switch (p->kind) {
    case PLAN_SCAN: scan_text(p, out); break;
    case PLAN_VALUES: sbuf_printf(out, "VALUES %u rows", p->values.nrows); break;
    case PLAN_FILTER:
        sbuf_addz(out, "FILTER ");
        text(p->filter.e, in, 0, out);
        break;
    case PLAN_PROJECT:
        sbuf_addz(out, "PROJECT ");
        for (uint32_t i = 0; i < p->out.n; i++) {
            sbuf_addz(out, i ? ", " : "");
            text(p->project.e[i], in, 0, out);
        }
        break;
    case PLAN_AGGREGATE:
        sbuf_addz(out, p->aggregate.naggs ? "AGGREGATE " : "DISTINCT ");
        for (uint32_t i = 0; i < p->aggregate.naggs; i++) {
            sbuf_addz(out, i ? ", " : "");
            agg_text(&p->aggregate.aggs[i], in, out);
        }
        for (uint32_t i = 0; i < p->aggregate.nkeys; i++) {
            sbuf_addz(out, i ? ", " : p->aggregate.naggs ? " BY " : "");
            text(p->aggregate.keys[i], in, 0, out);
        }
        break;
    case PLAN_JOIN: join_text(p, out); break;
    case PLAN_SORT:
        sbuf_addz(out, p->sort.limit >= 0 ? "TOP " : "SORT ");
        if (p->sort.limit >= 0)
            sbuf_printf(out, "%lld ", (long long)p->sort.limit);
        for (uint32_t i = 0; i < p->sort.nkeys; i++) {
            sbuf_addz(out, i ? ", " : "BY ");
            text(p->sort.keys[i].e, in, 0, out);
            sbuf_addz(out, p->sort.keys[i].desc ? " DESC" : "");
            if (p->sort.keys[i].nulls_first != p->sort.keys[i].desc)
                sbuf_addz(out, p->sort.keys[i].nulls_first ? " NULLS FIRST" : " NULLS LAST");
        }
        break;
    case PLAN_LIMIT:
        sbuf_addz(out, "LIMIT ");
        if (p->limit.limit >= 0)
            sbuf_printf(out, "%lld", (long long)p->limit.limit);
        else
            sbuf_addz(out, "ALL");
        if (p->limit.offset)
            sbuf_printf(out, " OFFSET %lld", (long long)p->limit.offset);
        break;
    case PLAN_UNION_ALL: sbuf_addz(out, "UNION ALL"); break;
    }
    if (p->rows >= 0)
        sbuf_printf(out, "  [about %lld rows]", (long long)p->rows);
}

static void plan_lines(const plan *p, uint32_t depth, sbuf *out)
{
    for (uint32_t i = 0; i < depth; i++)
        sbuf_addz(out, "  ");
    if (depth >= TEXT_DEPTH_MAX) {
        sbuf_addz(out, "\xe2\x80\xa6\n");
        return;
    }
    node_text(p, out);
    sbuf_addc(out, '\n');
    for (uint32_t i = 0; i < p->n; i++)
        plan_lines(p->in[i], depth + 1, out);
}

void plan_text(const plan *p, sbuf *out) { plan_lines(p, 0, out); }
