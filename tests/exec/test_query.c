/*
 * test_query.c: whole plans over tables in memory, in every encoding, with several workers, against plain loops.
 */
#include "exec_util.h"

enum { C_I, C_S, C_D, C_B, C_N, C_R, NCOLS };
static const type col_types[NCOLS] = {{.id = T_INT64}, {.id = T_STRING}, {.id = T_DECIMAL, .precision = 12, .scale = 2},
                                      {.id = T_BOOL}, {.id = T_INT32}, {.id = T_DATE}};

static pool *pools[2]; /* 0 and 3 workers beside the caller */

static mem_table *table_random(rnd *r, uint32_t nrows, uint32_t groups)
{
    static const char *const words[] = {"", "a", "tokyo", "a longer piece of text", "a longer piece of TEXT", "\xc3\xa9t\xc3\xa9", "zz"};
    mem_table *t = mem_table_new(NCOLS, col_types, nrows);
    t->seed = rnd_next(r);
    t->batch_rows = 1 + rnd_to(r, 700);
    t->batches_per_morsel = 1 + rnd_to(r, 4);
    t->workers = 1 + (int)rnd_to(r, 4);
    t->blocks = rnd_to(r, 2);
    bool runs = rnd_to(r, 2);
    for (uint32_t i = 0; i < nrows; i++) {
        CELL(t, i, C_I).i64 = runs ? i * groups / (nrows + 1) : rnd_to(r, groups);
        CELL(t, i, C_S).s = str_of(words[rnd_to(r, 7)]);
        CELL(t, i, C_D).i64 = (int64_t)rnd_to(r, 1000000) - 500000;
        CELL(t, i, C_B).b = rnd_to(r, 2);
        CELL(t, i, C_N).i32 = (int32_t)rnd_to(r, 2000) - 1000;
        CELL(t, i, C_R).i32 = (int32_t)(i / 50);
        for (uint32_t c = 0; c < C_R; c++)
            if (rnd_to(r, 9) == 0)
                CELL(t, i, c).null = true;
    }
    return t;
}

static void check(const plan *p, rows *want, bool ordered, const char *what)
{
    if (!ordered)
        rows_sort(want);
    for (int k = 0; k < 4; k++) {
        rows got = {0};
        fz_error err = {0};
        fz_status st = run_plan(p, pools[k & 1], k & 2, 0, &got, &err);
        if (st != FZ_OK)
            fail_msg("%s: %s", what, err.message);
        if (!ordered)
            rows_sort(&got);
        assert_rows(&got, want, what);
        rows_free(&got);
    }
    rows_free(want);
}

static void add_row(rows *out, const mem_table *t, uint32_t row, const uint32_t *cols, uint32_t n)
{
    sbuf b;
    sbuf_init(&b, NULL);
    for (uint32_t i = 0; i < n; i++)
        row_cell(&b, i, &CELL(t, row, cols[i]));
    rows_add(out, b.p ? b.p : "");
    sbuf_free(&b);
}

static const uint32_t all_cols[] = {0, 1, 2, 3, 4, 5};
static const expr *col(uint32_t c) { return ex_col(c, col_types[c]); }

/* n between 100 and 500, or the text is 'tokyo', and not b */
static const expr *condition(void)
{
    const expr *range = ex_op(EX_AND, TYPE(T_BOOL), 2, ex_call(">=", 2, col(C_N), ex_i32(100)), ex_call("<", 2, col(C_N), ex_i32(500)));
    const expr *either = ex_op(EX_OR, TYPE(T_BOOL), 2, range, ex_call("=", 2, col(C_S), ex_str("tokyo")));
    return ex_op(EX_AND, TYPE(T_BOOL), 2, either, ex_op(EX_NOT, TYPE(T_BOOL), 1, col(C_B)));
}
static bool condition_row(const mem_table *t, uint32_t i)
{
    const datum *n = &CELL(t, i, C_N), *s = &CELL(t, i, C_S), *b = &CELL(t, i, C_B);
    bool yes = (!n->null && n->i32 >= 100 && n->i32 < 500) || (!s->null && str_eqz(s->s, "tokyo"));
    return yes && !b->null && !b->b;
}

static plan *project(const plan *in, uint32_t n, const expr **e)
{
    type t[16];
    for (uint32_t i = 0; i < n; i++)
        t[i] = e[i]->t;
    plan *p = pl_node(PLAN_PROJECT, in, NULL, schema_of(n, t));
    p->project.e = ARENA_ARRAY(&test_arena, const expr *, n);
    memcpy(p->project.e, e, n * sizeof *e);
    return p;
}

static void test_filter_order(void **state)
{
    rnd r = {1};
    for (int k = 0; k < 25; k++) {
        mem_table *t = table_random(&r, rnd_to(&r, 6000), 10);
        rows want = {0};
        for (uint32_t i = 0; i < t->nrows; i++)
            if (condition_row(t, i))
                add_row(&want, t, i, all_cols, NCOLS);
        check(pl_scan(t, condition()), &want, true, "filter");
        assert_int_equal(atomic_load(&t->open_scans), 0);
    }
}

static void test_project(void **state)
{
    rnd r = {2};
    for (int k = 0; k < 15; k++) {
        mem_table *t = table_random(&r, rnd_to(&r, 4000), 10);
        const expr *e[3] = {ex_call("+", 2, col(C_I), col(C_N)), ex_call("upper", 1, col(C_S)),
                            ex_op(EX_CASE, TYPE(T_INT64), 3, ex_call(">", 2, col(C_N), ex_i32(0)), ex_call("/", 2, col(C_I), col(C_N)), ex_i64(-1))};
        rows want = {0};
        sbuf b;
        sbuf_init(&b, NULL);
        for (uint32_t i = 0; i < t->nrows; i++) {
            const datum *x = &CELL(t, i, C_I), *n = &CELL(t, i, C_N), *s = &CELL(t, i, C_S);
            datum sum = {.t = TYPE(T_INT64), .null = x->null || n->null, .i64 = x->i64 + n->i32};
            datum q = {.t = TYPE(T_INT64), .i64 = -1};
            if (!n->null && n->i32 > 0) {
                q.null = x->null;
                q.i64 = x->i64 / n->i32;
            }
            char up[64];
            size_t len = s->s.n;
            memcpy(up, s->s.p, len);
            for (size_t j = 0; j < len; j++)
                if (up[j] >= 'a' && up[j] <= 'z')
                    up[j] -= 32;
                else if ((unsigned char)up[j] == 0xc3) /* é to É */
                    up[++j] = (char)0x89;
            datum u = {.t = TYPE(T_STRING), .null = s->null, .s = {up, len}};
            sbuf_clear(&b);
            row_cell(&b, 0, &sum);
            row_cell(&b, 1, &u);
            row_cell(&b, 2, &q);
            rows_add(&want, b.p);
        }
        sbuf_free(&b);
        check(project(pl_scan(t, NULL), 3, e), &want, true, "project");
    }
}

/* ---- limit ---- */

static void test_limit(void **state)
{
    rnd r = {3};
    for (int k = 0; k < 30; k++) {
        mem_table *t = table_random(&r, rnd_to(&r, 5000), 10);
        int64_t limit = rnd_to(&r, 4) ? (int64_t)rnd_to(&r, 800) : -1, offset = rnd_to(&r, 700);
        plan *scan = pl_scan(t, rnd_to(&r, 2) ? condition() : NULL);
        plan *p = pl_node(PLAN_LIMIT, scan, NULL, scan->out);
        p->limit.limit = limit;
        p->limit.offset = offset;
        rows want = {0};
        int64_t seen = 0;
        for (uint32_t i = 0; i < t->nrows; i++)
            if ((!scan->scan.filter || condition_row(t, i)) && seen++ >= offset && (limit < 0 || seen <= offset + limit))
                add_row(&want, t, i, all_cols, NCOLS);
        if (rnd_to(&r, 2)) { /* the same as an inner limit */
            plan *f = pl_node(PLAN_FILTER, p, NULL, scan->out);
            f->filter.e = ex_bool(true);
            p = f;
        }
        check(p, &want, true, "limit");
    }
}

static void test_limit_stops(void **state)
{
    mem_table *t = mem_table_new(NCOLS, col_types, 200000);
    t->batch_rows = 1000;
    t->plain = true;
    plan *scan = pl_scan(t, NULL), *p = pl_node(PLAN_LIMIT, scan, NULL, scan->out);
    p->limit.limit = 10;
    rows got = {0};
    assert_int_equal(run_plan(p, pools[0], false, 0, &got, NULL), FZ_OK);
    assert_int_equal(got.n, 10);
    assert_int_equal(atomic_load(&t->delivered), 1000);
    rows_free(&got);
}

/* ---- aggregation ---- */

typedef struct naive { datum key[2]; int64_t count, n_d, n_n, distinct; i128 sum_d; int64_t sum_n; bool has_min; datum min_s; char seen[2001]; double filtered; int64_t n_filtered; } naive;

static const agg_expr *aggs_for(uint32_t *n)
{
    agg_expr *a = ARENA_ARRAY(&test_arena, agg_expr, 7);
    a[0] = ex_agg("count", NULL);
    a[1] = ex_agg("sum", col(C_D));
    a[2] = ex_agg("avg", col(C_N));
    a[3] = ex_agg("min", col(C_S));
    a[4] = ex_agg("count", col(C_N));
    a[4].distinct = true;
    a[5] = ex_agg("sum", col(C_N));
    a[5].filter = col(C_B);
    a[6] = ex_agg("max", col(C_N));
    *n = 7;
    return a;
}

static plan *aggregate(const plan *in, uint32_t nk, const expr **keys, uint32_t na, const agg_expr *aggs)
{
    type t[32];
    for (uint32_t i = 0; i < nk; i++)
        t[i] = keys[i]->t;
    for (uint32_t i = 0; i < na; i++)
        t[nk + i] = aggs[i].t;
    plan *p = pl_node(PLAN_AGGREGATE, in, NULL, schema_of(nk + na, t));
    p->aggregate.nkeys = nk;
    p->aggregate.naggs = na;
    p->aggregate.keys = ARENA_ARRAY(&test_arena, const expr *, nk + 1);
    for (uint32_t i = 0; i < nk; i++)
        p->aggregate.keys[i] = keys[i];
    p->aggregate.aggs = aggs;
    return p;
}

static int32_t max_of(const naive *g)
{
    int32_t v = INT32_MIN;
    for (int i = 0; i < 2001; i++)
        if (g->seen[i])
            v = i - 1000;
    return v;
}

static void naive_rows(const mem_table *t, uint32_t nk, const uint32_t *key, bool filter, rows *out)
{
    naive *g = NULL;
    uint32_t n = 0;
    if (nk == 0) {
        g = calloc(1, sizeof *g);
        n = 1;
    }
    for (uint32_t i = 0; i < t->nrows; i++) {
        uint32_t k = 0;
        if (filter && !condition_row(t, i))
            continue;
        for (; k < n; k++) {
            bool same = true;
            for (uint32_t c = 0; c < nk; c++)
                same &= datum_eq(&g[k].key[c], &CELL(t, i, key[c]));
            if (same)
                break;
        }
        if (k == n) {
            g = realloc(g, ++n * sizeof *g);
            memset(&g[k], 0, sizeof *g);
            for (uint32_t c = 0; c < nk; c++)
                g[k].key[c] = CELL(t, i, key[c]);
        }
        const datum *d = &CELL(t, i, C_D), *nn = &CELL(t, i, C_N), *s = &CELL(t, i, C_S), *b = &CELL(t, i, C_B);
        g[k].count++;
        if (!d->null) {
            g[k].sum_d += d->i64;
            g[k].n_d++;
        }
        if (!nn->null) {
            g[k].sum_n += nn->i32;
            g[k].n_n++;
            g[k].distinct += !g[k].seen[nn->i32 + 1000];
            g[k].seen[nn->i32 + 1000] = 1;
            if (!b->null && b->b) {
                g[k].filtered += nn->i32;
                g[k].n_filtered++;
            }
        }
        if (!s->null && (!g[k].has_min || datum_cmp(s, &g[k].min_s) < 0)) {
            g[k].min_s = *s;
            g[k].has_min = true;
        }
    }
    sbuf b;
    sbuf_init(&b, NULL);
    for (uint32_t k = 0; k < n; k++) {
        sbuf_clear(&b);
        for (uint32_t c = 0; c < nk; c++)
            row_cell(&b, c, &g[k].key[c]);
        datum v[7] = {
            {.t = TYPE(T_INT64), .i64 = g[k].count},
            {.t = TYPE_DECIMAL(38, 2), .null = !g[k].n_d, .i128v = g[k].sum_d},
            {.t = TYPE(T_FLOAT64), .null = !g[k].n_n, .f64 = g[k].n_n ? (double)g[k].sum_n / (double)g[k].n_n : 0},
            {.t = TYPE(T_STRING), .null = !g[k].has_min, .s = g[k].min_s.s},
            {.t = TYPE(T_INT64), .i64 = g[k].distinct},
            {.t = TYPE(T_INT64), .null = !g[k].n_filtered, .i64 = (int64_t)g[k].filtered},
            {.t = TYPE(T_INT32), .null = !g[k].n_n, .i32 = max_of(&g[k])},
        };
        /* the executor adds whole part and rest: the same to the last digit for small numbers */
        v[2].f64 = g[k].n_n ? (double)(g[k].sum_n / g[k].n_n) + (double)(g[k].sum_n % g[k].n_n) / (double)g[k].n_n : 0;
        for (uint32_t c = 0; c < 7; c++)
            row_cell(&b, nk + c, &v[c]);
        rows_add(out, b.p);
    }
    sbuf_free(&b);
    free(g);
}

static void aggregate_case(rnd *r, uint32_t nrows, uint32_t groups, uint32_t nk, uint32_t k0, uint32_t k1, bool filter)
{
    mem_table *t = table_random(r, nrows, groups);
    const expr *keys[2] = {col(k0), col(k1)};
    const uint32_t key[2] = {k0, k1};
    uint32_t na;
    const agg_expr *aggs = aggs_for(&na);
    rows want = {0};
    naive_rows(t, nk, key, filter, &want);
    check(aggregate(pl_scan(t, filter ? condition() : NULL), nk, keys, na, aggs), &want, false, "aggregate");
}

static void test_aggregate(void **state)
{
    rnd r = {4};
    for (int k = 0; k < 8; k++) {
        bool f = k & 1;
        uint32_t n = rnd_to(&r, 4000);
        aggregate_case(&r, n, 5, 0, 0, 0, f);
        aggregate_case(&r, n, 5, 1, C_I, 0, f);
        aggregate_case(&r, n, 1500, 1, C_I, 0, f);
        aggregate_case(&r, n, 20, 1, C_S, 0, f);
        aggregate_case(&r, n, 20, 1, C_B, 0, f);
        aggregate_case(&r, n, 20, 2, C_I, C_S, f);
        aggregate_case(&r, n, 9, 2, C_I, C_R, f);
        aggregate_case(&r, n, 9, 1, C_D, 0, f);
    }
    aggregate_case(&r, 0, 5, 0, 0, 0, false);
    aggregate_case(&r, 0, 5, 1, C_I, 0, false);
}

static void test_many_groups(void **state)
{
    mem_table *t = mem_table_new(2, (type[]){{.id = T_INT64}, {.id = T_STRING}}, 60000);
    t->workers = 4;
    t->batch_rows = 5000;
    t->plain = true;
    rows want = {0};
    for (uint32_t i = 0; i < t->nrows; i++) {
        CELL(t, i, 0).i64 = (int64_t)(i % 30000) * 1000003;
        CELL(t, i, 1).s = STR("a text that lies outside");
        if (i < 30000) {
            char s[64];
            snprintf(s, sizeof s, "%lld|2|a text that lies outside", (long long)CELL(t, i, 0).i64);
            rows_add(&want, s);
        }
    }
    const expr *key = ex_col(0, TYPE(T_INT64));
    agg_expr a[2] = {ex_agg("count", NULL), ex_agg("max", ex_col(1, TYPE(T_STRING)))};
    check(aggregate(pl_scan(t, NULL), 1, &key, 2, a), &want, false, "many groups");
}

static void test_sum_overflow(void **state)
{
    mem_table *t = mem_table_new(1, (type[]){{.id = T_INT64}}, 3);
    for (int i = 0; i < 3; i++)
        CELL(t, i, 0).i64 = i < 2 ? INT64_MAX : -INT64_MAX;
    agg_expr a[1] = {ex_agg("sum", ex_col(0, TYPE(T_INT64)))};
    rows got = {0};
    fz_error err = {0};
    assert_int_equal(run_plan(aggregate(pl_scan(t, NULL), 0, NULL, 1, a), pools[0], false, 0, &got, &err), FZ_OK);
    assert_string_equal(got.row[0], "9223372036854775807"); /* passes the range on the way */
    rows_free(&got);
    t->nrows = 2;
    assert_int_equal(run_plan(aggregate(pl_scan(t, NULL), 0, NULL, 1, a), pools[0], false, 0, &got, &err), FZ_VALUE);
    assert_string_equal(err.sqlstate, "22003");
    assert_int_equal(err.line, 2);
    assert_int_equal(err.column, 5);
    rows_free(&got);
}

/* ---- joins ---- */

static bool residual_row(const mem_table *a, uint32_t i, const mem_table *b, uint32_t j)
{
    const datum *x = &CELL(a, i, C_N), *y = &CELL(b, j, C_N);
    return !x->null && !y->null && x->i32 < y->i32;
}

static void join_case(rnd *r, join_kind kind, bool build_left, bool residual, bool two)
{
    mem_table *a = table_random(r, rnd_to(r, kind == JOIN_CROSS ? 60 : 900), 200), *b = table_random(r, rnd_to(r, kind == JOIN_CROSS ? 60 : 300), 200);
    uint32_t n = kind == JOIN_SEMI || kind == JOIN_ANTI ? NCOLS : 2 * NCOLS;
    type t[2 * NCOLS];
    for (uint32_t i = 0; i < n; i++)
        t[i] = col_types[i % NCOLS];
    plan *p = pl_node(PLAN_JOIN, pl_scan(a, NULL), pl_scan(b, NULL), schema_of(n, t));
    const expr *keys[2] = {col(C_I), col(C_S)};
    p->join.kind = kind;
    p->join.nkeys = kind == JOIN_CROSS ? 0 : two ? 2 : 1;
    p->join.left_keys = p->join.right_keys = keys;
    p->join.build_left = build_left;
    if (residual)
        p->join.residual = ex_call("<", 2, col(C_N), ex_col(NCOLS + C_N, col_types[C_N]));
    rows want = {0};
    sbuf s;
    sbuf_init(&s, NULL);
    for (uint32_t i = 0; i < a->nrows; i++) {
        uint32_t hits = 0;
        for (uint32_t j = 0; j < b->nrows; j++) {
            bool match = true;
            for (uint32_t k = 0; k < p->join.nkeys; k++) {
                const datum *x = &CELL(a, i, k ? C_S : C_I), *y = &CELL(b, j, k ? C_S : C_I);
                match &= !x->null && !y->null && datum_eq(x, y);
            }
            if (!match || (residual && !residual_row(a, i, b, j)))
                continue;
            hits++;
            if (n == NCOLS)
                continue;
            sbuf_clear(&s);
            for (uint32_t c = 0; c < n; c++)
                row_cell(&s, c, c < NCOLS ? &CELL(a, i, c) : &CELL(b, j, c - NCOLS));
            rows_add(&want, s.p);
        }
        if (kind == JOIN_LEFT && !hits) {
            datum null = {.null = true};
            sbuf_clear(&s);
            for (uint32_t c = 0; c < n; c++)
                row_cell(&s, c, c < NCOLS ? &CELL(a, i, c) : &null);
            rows_add(&want, s.p);
        }
        if ((kind == JOIN_SEMI && hits) || (kind == JOIN_ANTI && !hits))
            add_row(&want, a, i, all_cols, NCOLS);
    }
    sbuf_free(&s);
    check(p, &want, false, "join");
}

static void test_join(void **state)
{
    rnd r = {5};
    for (int k = 0; k < 5; k++)
        for (int kind = JOIN_INNER; kind <= JOIN_CROSS; kind++)
            for (int bits = 0; bits < 8; bits++)
                join_case(&r, (join_kind)kind, bits & 1, bits & 2, bits & 4);
}

/* ---- sorting ---- */

typedef struct sort_ctx { const mem_table *t; const uint32_t *cols; const bool *desc, *first; uint32_t n; } sort_ctx;
static sort_ctx sorting;
static int naive_order(const void *x, const void *y)
{
    uint32_t a = *(const uint32_t *)x, b = *(const uint32_t *)y;
    for (uint32_t k = 0; k < sorting.n; k++) {
        const datum *p = &CELL(sorting.t, a, sorting.cols[k]), *q = &CELL(sorting.t, b, sorting.cols[k]);
        int c;
        if (p->null || q->null)
            c = p->null == q->null ? 0 : (p->null == sorting.first[k] ? -1 : 1);
        else
            c = sorting.desc[k] ? -datum_cmp(p, q) : datum_cmp(p, q);
        if (c)
            return c;
    }
    return a < b ? -1 : a > b;
}

static void sort_case(rnd *r, uint32_t nrows, int64_t limit, int64_t mem_limit)
{
    mem_table *t = table_random(r, nrows, 50);
    uint32_t cols[3], nk = 1 + rnd_to(r, 3);
    bool desc[3], first[3];
    sort_key keys[3];
    for (uint32_t i = 0; i < nk; i++) {
        cols[i] = rnd_to(r, NCOLS);
        desc[i] = rnd_to(r, 2);
        first[i] = rnd_to(r, 2);
        const expr *e = col(cols[i]);
        if (rnd_to(r, 3) == 0)
            e = ex_op(EX_COALESCE, e->t, 1, e); /* a key that isn't a column */
        keys[i] = (sort_key){e, desc[i], first[i]};
    }
    plan *scan = pl_scan(t, NULL), *p = pl_node(PLAN_SORT, scan, NULL, scan->out);
    p->sort.nkeys = nk;
    p->sort.keys = keys;
    p->sort.limit = limit;
    uint32_t *order = malloc((nrows + 1) * sizeof *order);
    for (uint32_t i = 0; i < nrows; i++)
        order[i] = i;
    sorting = (sort_ctx){t, cols, desc, first, nk};
    qsort(order, nrows, sizeof *order, naive_order);
    rows want = {0};
    for (uint32_t i = 0; i < nrows && (limit < 0 || i < limit); i++)
        add_row(&want, t, order[i], all_cols, NCOLS);
    free(order);
    if (!mem_limit) {
        check(p, &want, true, "sort");
        return;
    }
    rows got = {0};
    fz_error err = {0};
    if (run_plan(p, pools[1], false, mem_limit, &got, &err) != FZ_OK)
        fail_msg("%s", err.message);
    assert_rows(&got, &want, "sort in files");
    rows_free(&got);
    rows_free(&want);
}

static void test_sort(void **state)
{
    rnd r = {6};
    for (int k = 0; k < 25; k++) {
        sort_case(&r, rnd_to(&r, 3000), -1, 0);
        sort_case(&r, rnd_to(&r, 3000), rnd_to(&r, 50), 0);
    }
    sort_case(&r, 40000, 10, 0);
}

static void test_sort_spill(void **state)
{
    rnd r = {7};
    sort_case(&r, 300000, -1, 1 << 20);
}

/* ---- union, values ---- */

static void test_union(void **state)
{
    rnd r = {8};
    for (int k = 0; k < 10; k++) {
        mem_table *a = table_random(&r, rnd_to(&r, 3000), 10), *b = table_random(&r, rnd_to(&r, 3000), 10);
        plan *p = pl_node(PLAN_UNION_ALL, pl_scan(a, condition()), pl_scan(b, NULL), a->t.schema);
        const expr *e[2] = {col(C_S), col(C_N)};
        rows want = {0};
        for (uint32_t i = 0; i < a->nrows; i++)
            if (condition_row(a, i))
                add_row(&want, a, i, (uint32_t[]){C_S, C_N}, 2);
        for (uint32_t i = 0; i < b->nrows; i++)
            add_row(&want, b, i, (uint32_t[]){C_S, C_N}, 2);
        check(project(p, 2, e), &want, true, "union all");
    }
}

static void test_values(void **state)
{
    type t[2] = {{.id = T_INT64}, {.id = T_STRING}};
    plan *p = pl_node(PLAN_VALUES, NULL, NULL, schema_of(2, t));
    const expr *cells[4] = {ex_i64(1), ex_str("x"), ex_call("+", 2, ex_i64(40), ex_i64(2)), ex_null(TYPE(T_STRING))};
    p->values.nrows = 2;
    p->values.cells = cells;
    rows want = {0};
    rows_add(&want, "1|x");
    rows_add(&want, "42|NULL");
    check(p, &want, true, "values");
}

/* ---- failures and closing early ---- */

static void test_error_wins(void **state)
{
    mem_table *t = mem_table_new(1, (type[]){{.id = T_INT64}}, 5000);
    for (uint32_t i = 0; i < t->nrows; i++)
        CELL(t, i, 0).i64 = (int64_t)i - 2500;
    t->workers = 4;
    const expr *e[1] = {ex_call("/", 2, ex_i64(1), ex_col(0, TYPE(T_INT64)))};
    for (int k = 0; k < 4; k++) {
        rows got = {0};
        fz_error err = {0};
        assert_int_equal(run_plan(project(pl_scan(t, NULL), 1, e), pools[k & 1], k & 2, 0, &got, &err), FZ_VALUE);
        assert_string_equal(err.sqlstate, "22012");
        assert_int_equal(err.line, 3);
        assert_int_equal(err.column, 7);
        rows_free(&got);
    }
    assert_int_equal(atomic_load(&t->open_scans), 0);
}

static void test_close_early(void **state)
{
    rnd r = {9};
    for (int k = 0; k < 20; k++) {
        mem_table *t = table_random(&r, 20000, 10);
        mem m;
        mem_init(&m, NULL, NULL, 0);
        exec_options o = {.p = pools[k & 1], .m = &m};
        query *q;
        batch b;
        bool end;
        batch_init(&b, &m);
        assert_int_equal(query_open(pl_scan(t, NULL), &o, &q, NULL), FZ_OK);
        for (int n = rnd_to(&r, 3); n > 0; n--)
            assert_int_equal(query_next(q, &b, &end, NULL), FZ_OK);
        query_close(q);
        batch_free(&b);
        assert_int_equal(atomic_load(&m.used), 0);
        assert_int_equal(atomic_load(&t->open_scans), 0);
    }
}

static void test_interrupt(void **state)
{
    rnd r = {10};
    mem_table *t = table_random(&r, 20000, 10);
    _Atomic bool stop = true;
    mem m;
    mem_init(&m, NULL, NULL, 0);
    exec_options o = {.p = pools[1], .m = &m, .interrupt = &stop};
    query *q;
    batch b;
    bool end;
    fz_error err = {0};
    batch_init(&b, &m);
    assert_int_equal(query_open(pl_scan(t, NULL), &o, &q, NULL), FZ_OK);
    assert_int_equal(query_next(q, &b, &end, &err), FZ_CANCELLED);
    query_close(q);
    batch_free(&b);
}

static void test_text(void **state)
{
    rnd r = {11};
    mem_table *t = table_random(&r, 10, 10);
    plan *scan = pl_scan(t, condition()), *p = pl_node(PLAN_LIMIT, scan, NULL, scan->out);
    p->limit.limit = 3;
    sbuf b;
    sbuf_init(&b, NULL);
    plan_text(p, &b);
    assert_string_equal(b.p, "LIMIT 3\n  SCAN t (c0, c1, c2, c3, c4, c5) WHERE ((((c4 >= 100) AND (c4 < 500)) OR (c1 = 'tokyo')) AND NOT c3)\n");
    sbuf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_filter_order), cmocka_unit_test(test_project), cmocka_unit_test(test_limit),
        cmocka_unit_test(test_limit_stops), cmocka_unit_test(test_aggregate), cmocka_unit_test(test_many_groups),
        cmocka_unit_test(test_sum_overflow), cmocka_unit_test(test_join), cmocka_unit_test(test_sort),
        cmocka_unit_test(test_sort_spill), cmocka_unit_test(test_union), cmocka_unit_test(test_values),
        cmocka_unit_test(test_error_wins), cmocka_unit_test(test_close_early), cmocka_unit_test(test_interrupt),
        cmocka_unit_test(test_text),
    };
    arena_init(&test_arena, NULL);
    pools[0] = pool_create(NULL, 0);
    pools[1] = pool_create(NULL, 3);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    pool_destroy(pools[0]);
    pool_destroy(pools[1]);
    arena_free(&test_arena);
    return failed;
}
