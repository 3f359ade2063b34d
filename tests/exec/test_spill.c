/*
 * test_spill.c: grouping, joining and sorting with so little memory that they have to use temporary files, against plain
 * loops; stopped at any moment, and with every kind of allocation failing in turn. Nothing may be left: no memory, no open file, no
 * name in the temporary folder.
 */
#include "exec_util.h"

#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

static pool *pools[2];
static char folder[64];

/* ---- running a plan with an allocator that fails or interrupts ---- */

typedef struct hook { _Atomic int64_t calls, fail_at, stop_at; _Atomic bool stop; } hook;

static void *hook_resize(void *ctx, void *p, size_t old_size, size_t new_size)
{
    hook *h = ctx;
    if (!new_size) {
        free(p);
        return NULL;
    }
    if (table_reads)
        return realloc(p, new_size);
    int64_t n = atomic_fetch_add(&h->calls, 1) + 1;
    if (n == h->stop_at)
        atomic_store(&h->stop, true);
    return n == h->fail_at ? NULL : realloc(p, new_size);
}

static uint32_t entries_of(const char *dir)
{
    uint32_t n = 0;
    DIR *d = opendir(dir);
    assert_non_null(d);
    while (readdir(d))
        n++;
    closedir(d);
    return n;
}

typedef struct keep_sink { sink s; rows *out; } keep_sink;
static fz_status keep(sink *s, const batch *b, fz_error *err)
{
    keep_sink *k = (keep_sink *)s;
    sbuf t;
    sbuf_init(&t, NULL);
    for (uint32_t i = 0; k->out && i < (b->sel ? b->nsel : b->nrows); i++) {
        sbuf_clear(&t);
        for (uint32_t c = 0; c < b->ncols; c++) {
            datum d = vec_datum(&b->cols[c], b->sel ? b->sel[i] : i);
            row_cell(&t, c, &d);
        }
        rows_add(k->out, t.p ? t.p : "");
    }
    sbuf_free(&t);
    return FZ_OK;
}
static const sink_ops keep_ops = {keep};

static int64_t last_peak;
static fz_status run(const plan *p, pool *po, int64_t limit, hook *h, const char *dir, rows *out, fz_error *err)
{
    mem m;
    mem_hooks hooks = {hook_resize, h};
    mem_init(&m, NULL, h ? &hooks : NULL, limit);
    exec_options o = {.p = po, .m = &m, .temp_dir = dir, .interrupt = h ? &h->stop : NULL};
    keep_sink s = {{&keep_ops}, out};
    query *q = NULL;
    uint32_t fds = entries_of("/proc/self/fd");
    fz_status st = query_open(p, &o, &q, err);
    if (st == FZ_OK)
        st = query_run(q, &s.s, err);
    query_close(q);
    assert_int_equal(atomic_load(&m.used), 0);
    assert_int_equal(entries_of("/proc/self/fd"), fds);
    assert_int_equal(entries_of(folder), 2);
    last_peak = atomic_load(&m.peak);
    return st;
}

static void check(const plan *p, int64_t limit, rows *want, bool ordered, const char *what)
{
    if (!ordered)
        rows_sort(want);
    for (int k = 0; k < 2; k++) {
        rows got = {0};
        fz_error err = {0};
        if (run(p, pools[k], limit, NULL, folder, &got, &err) != FZ_OK)
            fail_msg("%s: %s", what, err.message);
        if (!ordered)
            rows_sort(&got);
        assert_rows(&got, want, what);
        rows_free(&got);
    }
}

/* ---- grouping ---- */

enum { K_TEXT, K_INT, V, W, NCOLS };
static const type types[NCOLS] = {{.id = T_STRING}, {.id = T_INT64}, {.id = T_INT64}, {.id = T_INT32}};

static mem_table *table(rnd *r, uint32_t nrows, uint32_t keys, bool nulls)
{
    mem_table *t = mem_table_new(NCOLS, types, nrows);
    t->batch_rows = 600;
    t->batches_per_morsel = 8;
    t->workers = 4;
    t->seed = rnd_next(r);
    for (uint32_t i = 0; i < nrows; i++) {
        uint32_t k = rnd_to(r, keys);
        char text[64];
        int n = snprintf(text, sizeof text, k % 3 ? "key %u" : "a key that is longer than a view holds: %u", k);
        CELL(t, i, K_TEXT).s = (str){arena_strndup(&test_arena, text, (size_t)n), (size_t)n};
        CELL(t, i, K_INT).i64 = k;
        CELL(t, i, V).i64 = (int64_t)rnd_to(r, 1000) - 500;
        CELL(t, i, W).i32 = (int32_t)rnd_to(r, 5);
        if (nulls && k % 11 == 0)
            CELL(t, i, K_TEXT).null = true;
        if (rnd_to(r, 10) == 0)
            CELL(t, i, W).null = true;
    }
    return t;
}

static plan *group_by(const mem_table *t, const plan *in, uint32_t nk, const expr **keys, uint32_t na, const agg_expr *aggs)
{
    type out[8];
    for (uint32_t i = 0; i < nk; i++)
        out[i] = keys[i]->t;
    for (uint32_t i = 0; i < na; i++)
        out[nk + i] = aggs[i].t;
    plan *p = pl_node(PLAN_AGGREGATE, in, NULL, schema_of(nk + na, out));
    p->aggregate.nkeys = nk;
    p->aggregate.naggs = na;
    p->aggregate.keys = keys;
    p->aggregate.aggs = aggs;
    return p;
}

typedef struct group { bool any, w[5]; int64_t n, sum, positive[5]; uint32_t least; bool has_least; } group;

/* By text and number: count(*), sum(v), min(text of v), count(distinct w), sum(distinct w) filter (v > 0). */
static plan *plan_groups(mem_table *t)
{
    static const expr *keys[2];
    static agg_expr a[5];
    keys[0] = ex_col(K_TEXT, types[K_TEXT]);
    keys[1] = ex_col(K_INT, types[K_INT]);
    a[0] = ex_agg("count", NULL);
    a[1] = ex_agg("sum", ex_col(V, types[V]));
    a[2] = ex_agg("min", ex_call("||", 2, ex_str("a text of some length, then "), ex_cast(ex_col(V, types[V]), TYPE(T_STRING), false)));
    a[3] = ex_agg("count", ex_col(W, types[W]));
    a[3].distinct = true;
    a[4] = ex_agg("sum", ex_col(W, types[W]));
    a[4].distinct = true;
    a[4].filter = ex_call(">", 2, ex_col(V, types[V]), ex_i64(0));
    return group_by(t, pl_scan(t, NULL), 2, keys, 5, a);
}

static void naive_groups(const mem_table *t, uint32_t keys, rows *want)
{
    group *g = calloc(keys, sizeof *g);
    char least[64], text[64];
    for (uint32_t i = 0; i < t->nrows; i++) {
        group *x = &g[CELL(t, i, K_INT).i64];
        int64_t v = CELL(t, i, V).i64;
        snprintf(text, sizeof text, "%lld", (long long)v);
        snprintf(least, sizeof least, "%lld", (long long)CELL(t, x->least, V).i64);
        if (!x->any || strcmp(text, least) < 0)
            x->least = i;
        x->any = true;
        x->n++;
        x->sum += v;
        if (!CELL(t, i, W).null) {
            x->w[CELL(t, i, W).i32] = true;
            x->positive[CELL(t, i, W).i32] |= v > 0;
        }
    }
    for (uint32_t k = 0; k < keys; k++) {
        char row[256], sums[32] = "NULL";
        int64_t distinct = 0, sum = 0;
        bool some = false;
        if (!g[k].any)
            continue;
        for (int w = 0; w < 5; w++) {
            distinct += g[k].w[w];
            sum += g[k].positive[w] ? w : 0;
            some |= g[k].positive[w];
        }
        if (some)
            snprintf(sums, sizeof sums, "%lld", (long long)sum);
        const datum *d = &CELL(t, g[k].least, K_TEXT);
        snprintf(row, sizeof row, "%.*s|%u|%lld|%lld|a text of some length, then %lld|%lld|%s", d->null ? 4 : (int)d->s.n, d->null ? "NULL" : d->s.p, k,
                 (long long)g[k].n, (long long)g[k].sum, (long long)CELL(t, g[k].least, V).i64, (long long)distinct, sums);
        rows_add(want, row);
    }
    free(g);
}

static void test_group(void **state)
{
    rnd r = {11};
    const uint32_t shape[][2] = {{20000, 15000}, {10000, 1}, {20000, 2000}};
    for (uint32_t i = 0; i < sizeof shape / sizeof *shape; i++) {
        mem_table *t = table(&r, shape[i][0], shape[i][1], true);
        rows want = {0};
        naive_groups(t, shape[i][1], &want);
        plan *p = plan_groups(t);
        check(p, 0, &want, false, "groups in memory");
        int64_t all = last_peak;
        check(p, 1 << 19, &want, false, "groups with 512 kB");
        if (i == 0)
            check(p, 1 << 10, &want, false, "groups with 1 kB");
        if (i == 0 && last_peak >= all)
            fail_msg("%lld bytes at the peak, %lld without a limit", (long long)last_peak, (long long)all);
        rows_free(&want);
    }
}

/* No keys: the distinct values are many. */
static void test_distinct_all(void **state)
{
    rnd r = {12};
    mem_table *t = table(&r, 20000, 16000, false);
    bool *seen = calloc(16000, 1);
    int64_t n = 0;
    for (uint32_t i = 0; i < t->nrows; i++) {
        n += !seen[CELL(t, i, K_INT).i64];
        seen[CELL(t, i, K_INT).i64] = true;
    }
    free(seen);
    agg_expr a[3] = {ex_agg("count", ex_col(K_TEXT, types[K_TEXT])), ex_agg("count", NULL), ex_agg("count", ex_col(K_INT, types[K_INT]))};
    a[0].distinct = a[2].distinct = true;
    char row[64];
    rows want = {0};
    snprintf(row, sizeof row, "%lld|20000|%lld", (long long)n, (long long)n);
    rows_add(&want, row);
    check(group_by(t, pl_scan(t, NULL), 0, NULL, 3, a), 0, &want, false, "distinct in memory");
    check(group_by(t, pl_scan(t, NULL), 0, NULL, 3, a), 1 << 19, &want, false, "distinct with 512 kB");
    rows_free(&want);
}

/* ---- joining ---- */

static plan *plan_join(mem_table *a, mem_table *b, join_kind kind, bool residual)
{
    static const expr *keys[2];
    type out[2 * NCOLS];
    uint32_t n = kind == JOIN_SEMI || kind == JOIN_ANTI ? NCOLS : 2 * NCOLS;
    for (uint32_t i = 0; i < n; i++)
        out[i] = types[i % NCOLS];
    plan *p = pl_node(PLAN_JOIN, pl_scan(a, NULL), pl_scan(b, NULL), schema_of(n, out));
    keys[0] = ex_col(K_TEXT, types[K_TEXT]);
    keys[1] = ex_col(K_INT, types[K_INT]);
    p->join.kind = kind;
    p->join.nkeys = 2;
    p->join.left_keys = p->join.right_keys = keys;
    if (residual)
        p->join.residual = ex_call("<", 2, ex_col(V, types[V]), ex_col(NCOLS + V, types[V]));
    return p;
}

static void pair(sbuf *s, const mem_table *a, uint32_t i, const mem_table *b, int64_t j, rows *want)
{
    static const datum null = {.null = true};
    sbuf_clear(s);
    for (uint32_t c = 0; c < NCOLS; c++)
        row_cell(s, c, &CELL(a, i, c));
    for (uint32_t c = 0; b && c < NCOLS; c++)
        row_cell(s, NCOLS + c, j < 0 ? &null : &CELL(b, j, c));
    rows_add(want, s->p);
}

static void naive_join(const mem_table *a, const mem_table *b, uint32_t keys, join_kind kind, bool residual, rows *want)
{
    int64_t *first = malloc(keys * sizeof *first), *next = malloc((b->nrows + 1) * sizeof *next);
    sbuf s;
    sbuf_init(&s, NULL);
    memset(first, 0xff, keys * sizeof *first);
    for (uint32_t j = 0; j < b->nrows; j++) {
        next[j] = first[CELL(b, j, K_INT).i64];
        first[CELL(b, j, K_INT).i64] = j;
    }
    for (uint32_t i = 0; i < a->nrows; i++) {
        uint32_t hits = 0;
        for (int64_t j = CELL(a, i, K_TEXT).null ? -1 : first[CELL(a, i, K_INT).i64]; j >= 0; j = next[j]) {
            if (residual && CELL(a, i, V).i64 >= CELL(b, j, V).i64)
                continue;
            hits++;
            if (kind == JOIN_INNER || kind == JOIN_LEFT)
                pair(&s, a, i, b, j, want);
        }
        if (kind == JOIN_LEFT && !hits)
            pair(&s, a, i, b, -1, want);
        if ((kind == JOIN_SEMI && hits) || (kind == JOIN_ANTI && !hits))
            pair(&s, a, i, NULL, 0, want);
    }
    sbuf_free(&s);
    free(first);
    free(next);
}

static void test_join(void **state)
{
    rnd r = {13};
    mem_table *a = table(&r, 5000, 6000, true), *b = table(&r, 8000, 6000, true);
    for (int kind = JOIN_INNER; kind <= JOIN_ANTI; kind++)
        for (int residual = 0; residual < 2; residual++) {
            rows want = {0};
            naive_join(a, b, 6000, (join_kind)kind, residual, &want);
            plan *p = plan_join(a, b, (join_kind)kind, residual);
            check(p, 0, &want, false, "join in memory");
            check(p, 1 << 20, &want, false, "join with 1 MB");
            check(p, 1 << 10, &want, false, "join with 1 kB");
            rows_free(&want);
        }
}

/* What comes of a join that spilled goes through another one, and into groups. */
static void test_join_twice(void **state)
{
    rnd r = {14};
    mem_table *a = table(&r, 9000, 5000, true), *b = table(&r, 8000, 5000, true);
    plan *one = plan_join(a, b, JOIN_SEMI, false), *two = plan_join(a, b, JOIN_ANTI, true);
    two->in = ARENA_ARRAY(&test_arena, const plan *, 2);
    two->in[0] = one;
    two->in[1] = pl_scan(b, NULL);
    rows semi = {0}, want = {0};
    mem_table *kept = mem_table_new(NCOLS, types, a->nrows);
    kept->nrows = 0;
    bool *has = calloc(5000, 1);
    for (uint32_t j = 0; j < b->nrows; j++)
        has[CELL(b, j, K_INT).i64] |= !CELL(b, j, K_TEXT).null;
    for (uint32_t i = 0; i < a->nrows; i++)
        if (!CELL(a, i, K_TEXT).null && has[CELL(a, i, K_INT).i64])
            memcpy(&CELL(kept, kept->nrows++, 0), &CELL(a, i, 0), NCOLS * sizeof(datum));
    free(has);
    naive_join(kept, b, 5000, JOIN_ANTI, true, &want);
    check(two, 0, &want, false, "two joins in memory");
    check(two, 1 << 10, &want, false, "two joins with 1 kB");
    rows_free(&semi);
    rows_free(&want);
}

static void test_join_one_key(void **state)
{
    rnd r = {15};
    mem_table *a = table(&r, 50, 1, false), *b = table(&r, 30000, 1, false);
    plan *p = plan_join(a, b, JOIN_SEMI, false);
    rows want = {0};
    fz_error err = {0};
    naive_join(a, b, 1, JOIN_SEMI, false, &want);
    check(p, 0, &want, false, "one key");
    for (int k = 0; k < 2; k++) {
        assert_int_equal(run(p, pools[k], 1 << 20, NULL, folder, NULL, &err), FZ_LIMIT);
        assert_non_null(strstr(err.message, "30000 rows of one key"));
    }
    rows_free(&want);
}

/* ---- sorting ---- */

static plan *plan_sort(mem_table *t)
{
    static sort_key k[2];
    plan *p = pl_node(PLAN_SORT, pl_scan(t, NULL), NULL, t->t.schema);
    k[0] = (sort_key){ex_col(V, types[V]), true, false};
    k[1] = (sort_key){ex_col(K_TEXT, types[K_TEXT]), false, true};
    p->sort.nkeys = 2;
    p->sort.keys = k;
    p->sort.limit = -1;
    return p;
}

static const mem_table *sorting;
static int sort_order(const void *x, const void *y)
{
    uint32_t a = *(const uint32_t *)x, b = *(const uint32_t *)y;
    int64_t v = CELL(sorting, a, V).i64, w = CELL(sorting, b, V).i64;
    const datum *s = &CELL(sorting, a, K_TEXT), *t = &CELL(sorting, b, K_TEXT);
    if (v != w)
        return v > w ? -1 : 1;
    if (s->null || t->null)
        return s->null != t->null ? (s->null ? -1 : 1) : a < b ? -1 : 1;
    int c = datum_cmp(s, t);
    return c ? c : a < b ? -1 : 1;
}

static void test_sort(void **state)
{
    rnd r = {16};
    mem_table *t = table(&r, 60000, 30000, true);
    uint32_t *order = malloc(t->nrows * sizeof *order);
    rows want = {0};
    sbuf s;
    sbuf_init(&s, NULL);
    for (uint32_t i = 0; i < t->nrows; i++)
        order[i] = i;
    sorting = t;
    qsort(order, t->nrows, sizeof *order, sort_order);
    for (uint32_t i = 0; i < t->nrows; i++)
        pair(&s, t, order[i], NULL, 0, &want);
    check(plan_sort(t), 0, &want, true, "sort in memory");
    int64_t all = last_peak;
    check(plan_sort(t), 2 << 20, &want, true, "sort with 2 MB");
    if (last_peak >= all)
        fail_msg("%lld bytes at the peak, %lld without a limit", (long long)last_peak, (long long)all);
    sbuf_free(&s);
    free(order);
    rows_free(&want);
}

/* ---- trouble ---- */

static void test_no_folder(void **state)
{
    rnd r = {17};
    mem_table *t = table(&r, 20000, 15000, false);
    for (int k = 0; k < 2; k++) {
        fz_error err = {0};
        assert_int_equal(run(plan_groups(t), pools[k], 1 << 10, NULL, "/nowhere/at/all", NULL, &err), FZ_NOT_FOUND);
        assert_non_null(strstr(err.message, "temporary file"));
        assert_int_equal(run(plan_join(t, t, JOIN_INNER, false), pools[k], 1 << 10, NULL, "/nowhere/at/all", NULL, &err), FZ_NOT_FOUND);
    }
}

static void trouble(const plan *p, const char *what)
{
    for (int k = 0; k < 2; k++) {
        hook h = {0};
        fz_error err = {0};
        assert_int_equal(run(p, pools[k], 1 << 10, &h, folder, NULL, &err), FZ_OK);
        int64_t calls = h.calls;
        for (int64_t at = 1; at < calls; at += 1 + at / 3) {
            h = (hook){.fail_at = at};
            fz_status st = run(p, pools[k], 1 << 10, &h, folder, NULL, &err);
            if (st != FZ_NOMEM && !(st == FZ_OK && h.calls < at))
                fail_msg("%s: allocation %lld of %lld: status %d, %s", what, (long long)at, (long long)calls, (int)st, err.message);
            h = (hook){.stop_at = at};
            st = run(p, pools[k], 1 << 10, &h, folder, NULL, &err);
            if (st != FZ_CANCELLED && st != FZ_OK)
                fail_msg("%s: stopped at %lld: status %d, %s", what, (long long)at, (int)st, err.message);
        }
    }
}

static void test_trouble(void **state)
{
    rnd r = {18};
    mem_table *t = table(&r, 2500, 2000, true), *b = table(&r, 2500, 2000, true);
    trouble(plan_groups(t), "groups");
    trouble(plan_join(t, b, JOIN_LEFT, true), "join");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_group), cmocka_unit_test(test_distinct_all), cmocka_unit_test(test_join), cmocka_unit_test(test_join_twice),
        cmocka_unit_test(test_join_one_key), cmocka_unit_test(test_sort), cmocka_unit_test(test_no_folder), cmocka_unit_test(test_trouble),
    };
    arena_init(&test_arena, NULL);
    pools[0] = pool_create(NULL, 0);
    pools[1] = pool_create(NULL, 3);
    snprintf(folder, sizeof folder, "%s/frazil-test-XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
    if (!mkdtemp(folder))
        return 1;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    rmdir(folder);
    pool_destroy(pools[0]);
    pool_destroy(pools[1]);
    arena_free(&test_arena);
    return failed;
}
