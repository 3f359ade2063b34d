/*
 * sort_rows.c: rows in a table's sort order on their way into its files: a sort is put on top of the plan (the executor's, which
 * spills).
 *
 * Partitions come first where their values can be had as an expression, so that each is written at one go; the writer keeps the
 * order of rows within a partition, so every file is sorted in itself. A field of the order with a transform sorts by the column
 * itself where nothing follows it (that is a finer order), else by the transform's groups. What can't be said as an expression
 * (bucket, truncate of numbers before another field) leaves the rows as they are, and the files say so: order 0.
 */
#include "engine/new_table.h"

#include "exec/plan.h"

typedef struct sorter {
    arena *a;
    const plan *in;
    const ib_schema *schema;
    sort_key *keys;
    uint32_t n;
    fz_error *err;
} sorter;

static const expr *make_call(sorter *s, const char *name, const expr *x, const expr *y)
{
    type types[2] = {x->t, y->t};
    bool literal[2] = {x->kind == EX_CONST, y->kind == EX_CONST};
    func_match m;
    const expr **args = ARENA_ARRAY(s->a, const expr *, 2);
    expr *e = ARENA_NEW(s->a, expr);
    if (!args || !e || func_resolve(str_of(name), 2, types, literal, &m, NULL) != FZ_OK || !type_eq(m.args[0], x->t) || !type_eq(m.args[1], y->t))
        return NULL;
    args[0] = x;
    args[1] = y;
    *e = (expr){.kind = EX_CALL, .t = m.result, .fn = m.fn, .n = 2, .args = args};
    return e;
}

static const expr *make_const(sorter *s, datum d)
{
    expr *e = ARENA_NEW(s->a, expr);
    if (e)
        *e = (expr){.kind = EX_CONST, .t = d.t, .value = d};
    return e;
}

/* The column of a field id, or a field of a struct below one. */
static const expr *source_expr(sorter *s, const type_fields *fields, int32_t id, const expr *up)
{
    for (uint32_t i = 0; i < fields->n; i++) {
        const type_field *f = &fields->f[i];
        expr *e;
        if (f->field_id != id && f->t.id != T_STRUCT)
            continue;
        if (!(e = ARENA_NEW(s->a, expr)))
            return NULL;
        if (!up) {
            *e = (expr){.kind = EX_COLUMN, .t = s->in->out.cols[i].t, .col = i};
        } else {
            const expr **args = ARENA_ARRAY(s->a, const expr *, 2);
            if (!args || !(args[1] = make_const(s, (datum){.t = TYPE(T_STRING), .s = f->name})))
                return NULL;
            args[0] = up;
            *e = (expr){.kind = EX_CALL, .t = f->t, .fn = func_field(), .n = 2, .args = args};
        }
        if (f->field_id == id)
            return e;
        const expr *below = source_expr(s, f->t.children, id, e);
        if (below)
            return below;
    }
    return NULL;
}

/* An expression that is equal where the transform's values are, and ordered as they are; NULL: there is none. */
static const expr *transform_expr(sorter *s, const ib_transform *t, int32_t source_id, bool finer)
{
    static const char *const units[] = {[IB_YEAR] = "year", [IB_MONTH] = "month", [IB_DAY] = "day", [IB_HOUR] = "hour"};
    const expr *x = source_expr(s, s->schema->fields, source_id, NULL), *y;
    if (!x || t->kind == IB_IDENTITY || (finer && t->kind != IB_BUCKET && t->kind != IB_TRANSFORM_UNKNOWN))
        return x;
    switch (t->kind) {
    case IB_YEAR:
    case IB_MONTH:
    case IB_DAY:
    case IB_HOUR:
        if (t->kind == IB_DAY && x->t.id == T_DATE)
            return x;
        y = make_const(s, (datum){.t = TYPE(T_STRING), .s = str_of(units[t->kind])});
        return y ? make_call(s, "date_trunc", y, x) : NULL;
    case IB_TRUNCATE:
        if (x->t.id != T_STRING)
            return NULL;
        y = make_const(s, (datum){.t = TYPE(T_INT64), .i64 = t->param});
        return y ? make_call(s, "left", x, y) : NULL;
    default:
        return NULL;
    }
}

fz_status sort_rows(const ib_metadata *md, const plan *in, arena *a, const plan **out, int32_t *order_id, fz_error *err)
{
    const ib_sort_order *order = ib_order_by_id(md, md->default_sort_order_id);
    const ib_partition_spec *spec = ib_spec_by_id(md, md->default_spec_id);
    *out = in;
    *order_id = 0;
    if (!order || order->n == 0)
        return FZ_OK;
    sorter s = {.a = a, .in = in, .schema = ib_current_schema(md), .err = err};
    s.keys = ARENA_ARRAY(a, sort_key, (size_t)spec->n + order->n + 1);
    plan *p = ARENA_NEW(a, plan);
    if (!s.keys || !p || !(p->in = ARENA_ARRAY(a, const plan *, 1)))
        return error_nomem(err);
    for (uint32_t i = 0; i < spec->n; i++) {
        const expr *e = transform_expr(&s, &spec->fields[i].transform, spec->fields[i].source_id, false);
        if (e)
            s.keys[s.n++] = (sort_key){.e = e};
    }
    for (uint32_t i = 0; i < order->n; i++) {
        const ib_sort_field *f = &order->fields[i];
        const expr *e = transform_expr(&s, &f->transform, f->source_id, i + 1 == order->n);
        if (!e)
            return FZ_OK;
        s.keys[s.n++] = (sort_key){.e = e, .desc = f->desc, .nulls_first = !f->nulls_last};
    }
    p->kind = PLAN_SORT;
    p->out = in->out;
    p->rows = in->rows;
    p->n = 1;
    p->in[0] = in;
    p->sort.nkeys = s.n;
    p->sort.keys = s.keys;
    p->sort.limit = -1;
    *out = p;
    *order_id = order->order_id;
    return FZ_OK;
}
