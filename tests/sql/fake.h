/*
 * fake.h: a world for the tests of SQL: a resolver over tables in memory, and plans as text.
 *
 * Tables: default.trade, default.custom, default.country, default.order, "default"."Mixed", other.trade. The plan's text is this
 * file's own, so that tests of the binder and optimizer don't depend on how EXPLAIN looks.
 */
#ifndef TESTS_SQL_FAKE_H
#define TESTS_SQL_FAKE_H

#include "sql/sql.h"

#include <stdio.h>
#include <stdlib.h>

typedef struct fake_table {
    table_source src;
    int64_t count, estimate;
    uint32_t nrows;
    datum *rows;            /* row-major */
} fake_table;

static inline int64_t fake_count(const table_source *t) { return ((const fake_table *)t)->count; }
static inline int64_t fake_estimate(const table_source *t) { return ((const fake_table *)t)->estimate; }
static int fake_released;
static inline void fake_release(table_source *t) { fake_released++; }

/* ---- scanning the rows ---- */

typedef struct fake_scan { scan s; const fake_table *t; scan_request r; uint32_t *cols; _Atomic int state; } fake_scan;

static inline fz_status fake_local_open(scan *s, void **local, fz_error *err) { *local = NULL; return FZ_OK; }
static inline void fake_local_close(scan *s, void *local) {}

static inline void fake_put(vec *v, uint32_t r, const datum *d)
{
    switch (type_phys(v->t)) {
    case PHYS_U8: ((uint8_t *)v->data)[r] = d->b; break;
    case PHYS_I32: ((int32_t *)v->data)[r] = d->i32; break;
    case PHYS_I64: ((int64_t *)v->data)[r] = d->i64; break;
    case PHYS_I128: ((i128 *)v->data)[r] = d->i128v; break;
    case PHYS_F32: ((float *)v->data)[r] = d->f32; break;
    case PHYS_F64: ((double *)v->data)[r] = d->f64; break;
    default: ((strview *)v->data)[r] = strview_make(d->s.p, (uint32_t)d->s.n); break;
    }
}

static inline fz_status fake_next(scan *s, void *local, task *waiter, batch *out, source_result *res, fz_error *err)
{
    fake_scan *f = (fake_scan *)s;
    batch_reset(out);
    int step = atomic_fetch_add(&f->state, 1);
    if (step > 1 || (step == 0 && f->t->nrows == 0)) {
        *res = SOURCE_END;
        return FZ_OK;
    }
    out->morsel = 0;
    if (step == 1) {
        *res = SOURCE_MORSEL_END;
        return FZ_OK;
    }
    TRY(batch_columns(out, f->r.ncols, err));
    out->nrows = out->nsel = f->t->nrows;
    for (uint32_t c = 0; c < f->r.ncols; c++) {
        uint32_t col = f->cols[c];
        vec *v = &out->cols[c];
        TRY(vec_alloc(v, f->t->src.schema.cols[col].t, f->t->nrows, &out->mem, err));
        v->valid = bitmap_alloc(&out->mem, f->t->nrows, false);
        memset(v->data, 0, (size_t)f->t->nrows * phys_size(type_phys(v->t)));
        for (uint32_t r = 0; r < f->t->nrows; r++) {
            const datum *d = &f->t->rows[(size_t)r * f->t->src.schema.n + col];
            if (d->null)
                continue;
            bit_set(v->valid, r);
            fake_put(v, r, d);
        }
    }
    *res = SOURCE_BATCH;
    return FZ_OK;
}

static inline void fake_close(scan *s)
{
    free(((fake_scan *)s)->cols);
    free(s);
}
static const scan_ops fake_scan_ops = {fake_local_open, fake_local_close, fake_next, fake_close};

static inline fz_status fake_open(const table_source *t, const scan_request *r, scan **out, bool *filtered, fz_error *err)
{
    fake_scan *f = calloc(1, sizeof *f);
    f->s.ops = &fake_scan_ops;
    f->s.max_workers = 1;
    f->t = (const fake_table *)t;
    f->r = *r;
    f->cols = malloc((r->ncols + 1) * sizeof *f->cols);
    if (r->ncols)
        memcpy(f->cols, r->cols, r->ncols * sizeof *f->cols);
    *filtered = false;
    *out = &f->s;
    return FZ_OK;
}
static const table_source_ops fake_ops = {fake_open, fake_count, fake_estimate, NULL, fake_release};

/* ---- the tables ---- */

#define C(NAME, T) {.name = {NAME, sizeof NAME - 1}, .t = T, .field_id = -1}
#define CN(NAME, T) {.name = {NAME, sizeof NAME - 1}, .t = T, .field_id = -1, .not_null = true}
static column_def fake_trade_cols[] = {
    C("exp_imp", TYPE(T_INT32)), C("Year", TYPE(T_INT32)), C("ym", TYPE(T_INT64)), C("Country", TYPE(T_INT32)), C("hs9", TYPE(T_STRING)),
    CN("Value", TYPE(T_INT64)), C("price", TYPE_DECIMAL(9, 2)), C("d", TYPE(T_DATE)), C("ts", TYPE(T_TIMESTAMP)), C("f", TYPE(T_FLOAT64)),
    C("ok", TYPE(T_BOOL)),
};
static column_def fake_custom_cols[] = {CN("id", TYPE(T_INT64)), C("name", TYPE(T_STRING)), C("Country", TYPE(T_INT32))};
static column_def fake_country_cols[] = {CN("Country", TYPE(T_INT32)), C("cname", TYPE(T_STRING))};
static column_def fake_order_cols[] = {C("group", TYPE(T_INT32)), C("select", TYPE(T_STRING))};
static column_def fake_mixed_cols[] = {C("a", TYPE(T_INT32)), C("A", TYPE(T_INT32)), C("b", TYPE(T_STRING))};

#define I32(V) {.t = {.id = T_INT32}, .i32 = (V)}
#define I64(V) {.t = {.id = T_INT64}, .i64 = (V)}
#define TXT(V) {.t = {.id = T_STRING}, .s = {V, sizeof V - 1}}
#define DEC(V) {.t = TYPE_DECIMAL(9, 2), .i64 = (V)}
#define DATE(V) {.t = {.id = T_DATE}, .i32 = (V)}
#define TS(V) {.t = {.id = T_TIMESTAMP}, .i64 = (V)}
#define F64(V) {.t = {.id = T_FLOAT64}, .f64 = (V)}
#define BOOL(V) {.t = {.id = T_BOOL}, .b = (V)}
#define NUL(T) {.t = {.id = T}, .null = true}
static datum fake_trade_rows[] = {
    I32(1), I32(2017), I64(201701), I32(103), TXT("000000190"), I64(100), DEC(150), DATE(17167), TS(1483228800000000), F64(1.5), BOOL(true),
    I32(2), I32(2017), I64(201701), I32(105), TXT("000000200"), I64(200), DEC(-250), DATE(17168), TS(1483315200000000), F64(2.5), BOOL(false),
    I32(1), I32(2018), I64(201802), I32(103), TXT("000000190"), I64(300), NUL(T_DECIMAL), NUL(T_DATE), NUL(T_TIMESTAMP), NUL(T_FLOAT64), NUL(T_BOOL),
    I32(1), I32(2018), I64(201803), I32(304), TXT("a long text value, longer than twelve"), I64(400), DEC(99999), DATE(0), TS(0), F64(-0.5), BOOL(true),
    I32(2), I32(2019), I64(201901), NUL(T_INT32), NUL(T_STRING), I64(500), DEC(0), DATE(-1), TS(-1), F64(0), BOOL(false),
};
static datum fake_custom_rows[] = {
    I64(1), TXT("Tokyo"), I32(103), I64(2), TXT("Osaka"), I32(105), I64(3), NUL(T_STRING), I32(999),
};
static datum fake_country_rows[] = {I32(103), TXT("Korea"), I32(105), TXT("China"), I32(304), TXT("USA")};

static fake_table fake_tables[] = {
    {{&fake_ops, 0, {11, fake_trade_cols}, {"default.trade", 13}}, 5, 1000000, 5, fake_trade_rows},
    {{&fake_ops, 0, {3, fake_custom_cols}, {"default.custom", 14}}, -1, 90, 3, fake_custom_rows},
    {{&fake_ops, 0, {2, fake_country_cols}, {"default.country", 15}}, 3, 230, 3, fake_country_rows},
    {{&fake_ops, 0, {2, fake_order_cols}, {"default.order", 13}}, 0, -1, 0, NULL},
    {{&fake_ops, 0, {3, fake_mixed_cols}, {"default.Mixed", 13}}, 0, -1, 0, NULL},
    {{&fake_ops, 0, {2, fake_country_cols}, {"other.trade", 11}}, 0, 10, 0, NULL},
};
#define FAKE_TABLES (sizeof fake_tables / sizeof fake_tables[0])

static sql_travel fake_travel;      /* what the last table was asked with */
static char fake_function_call[256];

static inline fz_status fake_table_find(sql_resolver *r, const sql_name *n, const sql_travel *travel, arena *a, table_source **out, fz_error *err)
{
    char full[256];
    fake_travel = *travel;
    if (n->n > 2)
        return error_set(err, FZ_NOT_FOUND, "no such table");
    snprintf(full, sizeof full, STR_FMT ".%.*s", STR_ARG(n->n == 2 ? n->parts[0].name : STR("default")), (int)n->parts[n->n - 1].name.n,
             n->parts[n->n - 1].name.p);
    for (size_t i = 0; i < FAKE_TABLES; i++)
        if (str_ieq(fake_tables[i].src.name, str_of(full))) {
            atomic_fetch_add(&fake_tables[i].src.refs, 1);
            *out = &fake_tables[i].src;
            return FZ_OK;
        }
    return error_set(err, FZ_NOT_FOUND, "no such table");
}

static inline fz_status fake_one(arena *a, sql_sources *out)
{
    atomic_fetch_add(&fake_tables[1].src.refs, 1);
    out->at = ARENA_ARRAY(a, table_source *, 1);
    out->at[0] = &fake_tables[1].src;
    out->n = 1;
    return FZ_OK;
}

static inline fz_status fake_file(sql_resolver *r, str path, const sql_travel *travel, arena *a, sql_sources *out, fz_error *err)
{
    if (!str_ends(path, STR(".csv"))) {
        error_set(err, FZ_NOT_FOUND, "no such file");
        error_where(err, "missing.parquet");
        return FZ_NOT_FOUND;
    }
    return fake_one(a, out);
}

static inline fz_status fake_function(sql_resolver *r, str name, uint32_t n, const sql_option *args, arena *a, sql_sources *out, fz_error *err)
{
    sbuf b;
    sbuf_init(&b, NULL);
    sbuf_str(&b, name);
    for (uint32_t i = 0; i < n; i++) {
        sbuf_printf(&b, " " STR_FMT "=", STR_ARG(args[i].name));
        datum_text(&args[i].value, &b);
    }
    snprintf(fake_function_call, sizeof fake_function_call, "%s", b.p ? b.p : "");
    sbuf_free(&b);
    if (!str_eqz(name, "read_csv"))
        return error_set(err, FZ_NOT_FOUND, "no such function");
    return fake_one(a, out);
}

static inline void fake_names(sql_resolver *r, const sql_name *missing, void (*each)(void *, str), void *ctx)
{
    for (size_t i = 0; i < FAKE_TABLES; i++) {
        str s = fake_tables[i].src.name;
        each(ctx, s);
        if (str_starts(s, STR("default.")))
            each(ctx, (str){s.p + 8, s.n - 8});
    }
}
static inline void fake_function_names(sql_resolver *r, void (*each)(void *, str), void *ctx)
{
    each(ctx, STR("read_csv"));
    each(ctx, STR("read_parquet"));
}

static const sql_resolver_ops fake_resolver_ops = {fake_table_find, fake_file, fake_function, fake_names, fake_function_names, NULL};
static sql_resolver fake_resolver __attribute__((unused)) = {&fake_resolver_ops};

static inline int fake_refs(void)
{
    int n = 0;
    for (size_t i = 0; i < FAKE_TABLES; i++)
        n += atomic_load(&fake_tables[i].src.refs);
    return n;
}

/* ---- plans as text ---- */

static inline void dump_expr(const expr *e, sbuf *o)
{
    switch (e->kind) {
    case EX_COLUMN: sbuf_printf(o, "#%u", e->col); return;
    case EX_PARAM:
        sbuf_printf(o, "$%u:", e->col + 1);
        type_sql_name(e->t, o);
        return;
    case EX_CONST:
        if (e->value.null)
            sbuf_addz(o, "null");
        else if (e->t.id == T_STRING)
            sbuf_printf(o, "'" STR_FMT "'", STR_ARG(e->value.s));
        else
            datum_text(&e->value, o);
        return;
    case EX_CALL:
        sbuf_printf(o, "%s(", func_name(e->fn));
        break;
    default: {
        static const char *const names[] = {[EX_CAST] = "cast", [EX_TRY_CAST] = "try_cast", [EX_AND] = "and", [EX_OR] = "or", [EX_NOT] = "not",
                                            [EX_CASE] = "case", [EX_COALESCE] = "coalesce", [EX_IN] = "in", [EX_IS_NULL] = "isnull",
                                            [EX_IS_NOT_NULL] = "notnull"};
        sbuf_printf(o, "%s(", names[e->kind]);
    }
    }
    for (uint32_t i = 0; i < e->n; i++) {
        sbuf_addz(o, i ? "," : "");
        dump_expr(e->args[i], o);
    }
    if (e->kind == EX_CAST || e->kind == EX_TRY_CAST) {
        sbuf_addz(o, " as ");
        type_sql_name(e->t, o);
    }
    sbuf_addc(o, ')');
}

static inline void dump_exprs(const char *head, uint32_t n, const expr *const *e, sbuf *o)
{
    sbuf_printf(o, "%s[", head);
    for (uint32_t i = 0; i < n; i++) {
        sbuf_addz(o, i ? " " : "");
        dump_expr(e[i], o);
    }
    sbuf_addc(o, ']');
}

static inline void dump_aggs(const plan *p, sbuf *o)
{
    for (uint32_t i = 0; i < p->aggregate.naggs; i++) {
        const agg_expr *g = &p->aggregate.aggs[i];
        sbuf_printf(o, " %sagg(", g->distinct ? "distinct-" : "");
        if (g->arg)
            dump_expr(g->arg, o);
        else
            sbuf_addc(o, '*');
        if (g->filter) {
            sbuf_addz(o, " where ");
            dump_expr(g->filter, o);
        }
        sbuf_addc(o, ')');
    }
}

static inline void dump_plan(const plan *p, sbuf *o)
{
    static const char *const joins[] = {"inner", "left", "semi", "anti", "cross"};
    switch (p->kind) {
    case PLAN_SCAN:
        sbuf_printf(o, "scan(" STR_FMT, STR_ARG(p->scan.table->name));
        for (uint32_t i = 0; i < p->out.n; i++)
            sbuf_printf(o, " %u", p->scan.cols[i]);
        if (p->scan.filter) {
            sbuf_addz(o, " where ");
            dump_expr(p->scan.filter, o);
        }
        if (p->scan.limit >= 0)
            sbuf_printf(o, " limit %lld", (long long)p->scan.limit);
        sbuf_addc(o, ')');
        return;
    case PLAN_VALUES:
        sbuf_printf(o, "values(%u", p->values.nrows);
        if (p->out.n)
            for (uint32_t r = 0; r < p->values.nrows; r++)
                dump_exprs(" ", p->out.n, p->values.cells + (size_t)r * p->out.n, o);
        sbuf_addc(o, ')');
        return;
    case PLAN_FILTER:
        sbuf_addz(o, "filter(");
        dump_expr(p->filter.e, o);
        break;
    case PLAN_PROJECT: dump_exprs("project(", p->out.n, p->project.e, o); break;
    case PLAN_AGGREGATE:
        dump_exprs("aggregate(", p->aggregate.nkeys, p->aggregate.keys, o);
        dump_aggs(p, o);
        break;
    case PLAN_JOIN:
        sbuf_printf(o, "%s-join(%s", joins[p->join.kind], p->join.build_left ? "build-left " : "");
        dump_exprs("", p->join.nkeys, p->join.left_keys, o);
        dump_exprs("=", p->join.nkeys, p->join.right_keys, o);
        if (p->join.residual) {
            sbuf_addz(o, " on ");
            dump_expr(p->join.residual, o);
        }
        break;
    case PLAN_SORT:
        sbuf_addz(o, "sort(");
        for (uint32_t i = 0; i < p->sort.nkeys; i++) {
            dump_expr(p->sort.keys[i].e, o);
            sbuf_printf(o, "%s%s ", p->sort.keys[i].desc ? " desc" : "", p->sort.keys[i].nulls_first ? " nf" : "");
        }
        sbuf_printf(o, "top %lld", (long long)p->sort.limit);
        break;
    case PLAN_LIMIT: sbuf_printf(o, "limit(%lld %lld", (long long)p->limit.limit, (long long)p->limit.offset); break;
    case PLAN_UNION_ALL: sbuf_addz(o, "union("); break;
    }
    for (uint32_t i = 0; i < p->n; i++) {
        sbuf_addz(o, " ");
        dump_plan(p->in[i], o);
    }
    sbuf_addc(o, ')');
}

/* "name:type, …" */
static inline void dump_schema(const row_schema *s, sbuf *o)
{
    for (uint32_t i = 0; i < s->n; i++) {
        sbuf_printf(o, "%s" STR_FMT ":", i ? ", " : "", STR_ARG(s->cols[i].name));
        type_sql_name(s->cols[i].t, o);
    }
}

#endif
