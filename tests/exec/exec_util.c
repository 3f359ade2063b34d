/*
 * exec_util.c: see exec_util.h.
 */
#include "exec_util.h"

arena test_arena;

uint64_t rnd_next(rnd *r)
{
    uint64_t z = (r->s += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* ---- expressions ---- */

static expr *ex_new(expr_kind k, type t)
{
    expr *e = ARENA_NEW(&test_arena, expr);
    e->kind = (uint8_t)k;
    e->t = t;
    e->line = 3;
    e->column = 7;
    return e;
}
const expr *ex_col(uint32_t i, type t)
{
    expr *e = ex_new(EX_COLUMN, t);
    e->col = i;
    return e;
}
const expr *ex_datum(datum d)
{
    expr *e = ex_new(EX_CONST, d.t);
    e->value = d;
    return e;
}
const expr *ex_i32(int32_t v) { return ex_datum((datum){.t = TYPE(T_INT32), .i32 = v}); }
const expr *ex_i64(int64_t v) { return ex_datum((datum){.t = TYPE(T_INT64), .i64 = v}); }
const expr *ex_f64(double v) { return ex_datum((datum){.t = TYPE(T_FLOAT64), .f64 = v}); }
const expr *ex_bool(bool v) { return ex_datum((datum){.t = TYPE(T_BOOL), .b = v}); }
const expr *ex_str(const char *s) { return ex_datum((datum){.t = TYPE(T_STRING), .s = str_of(s)}); }
const expr *ex_null(type t) { return ex_datum(DATUM_NULL(t)); }
const expr *ex_cast(const expr *e, type t, bool try_)
{
    expr *c = ex_new(try_ ? EX_TRY_CAST : EX_CAST, t);
    c->n = 1;
    c->args = ARENA_ARRAY(&test_arena, const expr *, 1);
    c->args[0] = e;
    return c;
}
const expr *ex_dec(const char *text, unsigned p, unsigned s)
{
    datum d;
    fz_error err;
    const expr *e = ex_cast(ex_str(text), TYPE_DECIMAL(p, s), false);
    assert_int_equal(expr_fold(e, &test_arena, &d, &err), FZ_OK);
    return ex_datum(d);
}

const expr *ex_call(const char *fn, uint32_t n, ...)
{
    const expr **args = ARENA_ARRAY(&test_arena, const expr *, n + 1);
    type types[16];
    bool lit[16];
    va_list ap;
    va_start(ap, n);
    for (uint32_t i = 0; i < n; i++) {
        args[i] = va_arg(ap, const expr *);
        types[i] = args[i]->t;
        lit[i] = args[i]->kind == EX_CONST && args[i]->t.id == T_STRING;
    }
    va_end(ap);
    func_match m;
    fz_error err = {0};
    fz_status st = func_resolve(str_of(fn), n, types, lit, &m, &err);
    if (st != FZ_OK)
        fail_msg("%s: %s", fn, err.message);
    expr *e = ex_new(EX_CALL, m.result);
    e->fn = m.fn;
    e->n = n;
    e->args = args;
    for (uint32_t i = 0; i < n; i++)
        if (!type_eq(args[i]->t, m.args[i]))
            args[i] = ex_cast(args[i], m.args[i], false);
    return e;
}

const expr *ex_op(expr_kind k, type t, uint32_t n, ...)
{
    expr *e = ex_new(k, t);
    va_list ap;
    e->n = n;
    e->args = ARENA_ARRAY(&test_arena, const expr *, n + 1);
    va_start(ap, n);
    for (uint32_t i = 0; i < n; i++)
        e->args[i] = va_arg(ap, const expr *);
    va_end(ap);
    return e;
}

const char *folded(const expr *e)
{
    datum d;
    fz_error err = {0};
    sbuf b;
    sbuf_init(&b, NULL);
    fz_status st = expr_fold(e, &test_arena, &d, &err);
    if (st != FZ_OK)
        sbuf_printf(&b, "!%s %s", err.sqlstate, err.message);
    else if (d.null)
        sbuf_addz(&b, "NULL");
    else
        datum_text(&d, &b);
    char *s = arena_strndup(&test_arena, b.p ? b.p : "", b.n);
    sbuf_free(&b);
    return s;
}

agg_expr ex_agg(const char *fn, const expr *arg)
{
    agg_match m;
    fz_error err = {0};
    if (agg_resolve(str_of(fn), arg != NULL, arg ? arg->t : TYPE(T_NULL), &m, &err) != FZ_OK)
        fail_msg("%s: %s", fn, err.message);
    if (arg && !type_eq(arg->t, m.arg))
        arg = ex_cast(arg, m.arg, false);
    return (agg_expr){.fn = m.fn, .arg = arg, .t = m.result, .line = 2, .column = 5};
}

/* ---- tables ---- */

typedef struct mem_scan {
    scan s;
    mem_table *t;
    uint32_t ncols;
    const uint32_t *cols;
    _Atomic uint64_t next;
} mem_scan;

typedef struct mem_local {
    bool open, blocked;
    uint64_t morsel;
    uint32_t seq;
    rnd r;
} mem_local;

static void put(vec *v, uint32_t i, const datum *d)
{
    if (d->null) {
        if (v->valid)
            bit_clear(v->valid, i);
        memset((char *)v->data + (size_t)i * phys_size(type_phys(v->t)), 0, phys_size(type_phys(v->t)));
        return;
    }
    switch (type_phys(v->t)) {
    case PHYS_U8: ((uint8_t *)v->data)[i] = d->b; break;
    case PHYS_I32: ((int32_t *)v->data)[i] = d->i32; break;
    case PHYS_I64: ((int64_t *)v->data)[i] = d->i64; break;
    case PHYS_I128: ((i128 *)v->data)[i] = d->i128v; break;
    case PHYS_F32: ((float *)v->data)[i] = d->f32; break;
    case PHYS_F64: ((double *)v->data)[i] = d->f64; break;
    case PHYS_STR: ((strview *)v->data)[i] = strview_make(d->s.p, (uint32_t)d->s.n); break;
    case PHYS_NONE:
    case PHYS_NESTED: break;
    }
}

/* A column of the batch: slot[i] is the table's row at row i, or -1: garbage. */
static void encode(batch *b, vec *v, mem_table *t, uint32_t col, const int64_t *slot, uint32_t n, rnd *r)
{
    type ty = t->t.schema.cols[col].t;
    bool garbage = false, equal = true;
    int64_t first = -1;
    for (uint32_t i = 0; i < n; i++) {
        garbage |= slot[i] < 0;
        if (slot[i] < 0)
            continue;
        if (first < 0)
            first = slot[i];
        equal &= datum_eq(&CELL(t, slot[i], col), &CELL(t, first, col));
    }
    uint32_t way = t->plain ? 0 : rnd_to(r, 4);
    if (equal && first >= 0 && way) {
        vec_const(v, &CELL(t, first, col), n, &b->mem, NULL);
        return;
    }
    if (way == 3) { /* runs; garbage rows take part in the run before */
        uint32_t *ends = ARENA_ARRAY(&b->mem, uint32_t, n);
        vec *values = ARENA_ARRAY(&b->mem, vec, 1);
        uint32_t runs = 0;
        int64_t last = -1;
        vec_alloc(values, ty, n, &b->mem, NULL);
        values->valid = bitmap_alloc(&b->mem, n, true);
        for (uint32_t i = 0; i < n; i++) {
            int64_t row = slot[i] < 0 ? (last < 0 ? 0 : last) : slot[i];
            if (last < 0 || !datum_eq(&CELL(t, row, col), &CELL(t, last, col))) {
                put(values, runs++, &CELL(t, row, col));
            }
            ends[runs - 1] = i + 1;
            last = row;
        }
        values->len = runs;
        *v = (vec){.t = ty, .enc = VEC_RLE, .len = n, .nruns = runs, .data = ends, .values = values};
        return;
    }
    if (way == 2) { /* a dictionary with entries that nothing uses */
        uint32_t *code = ARENA_ARRAY(&b->mem, uint32_t, n);
        vec *values = ARENA_ARRAY(&b->mem, vec, 1);
        uint32_t entries = 1;
        vec_alloc(values, ty, n + 1, &b->mem, NULL);
        datum zero = {.t = ty};
        if (type_phys(ty) == PHYS_STR)
            zero.s = STR("");
        put(values, 0, &zero);
        *v = (vec){.t = ty, .enc = VEC_DICT, .len = n, .data = code, .values = values};
        v->valid = bitmap_alloc(&b->mem, n, true);
        for (uint32_t i = 0; i < n; i++) {
            if (slot[i] < 0) {
                code[i] = 0xfffffff0u; /* must not be looked at */
                continue;
            }
            const datum *d = &CELL(t, slot[i], col);
            if (d->null) {
                bit_clear(v->valid, i);
                continue;
            }
            uint32_t k = 1;
            for (; k < entries; k++) {
                datum have = vec_datum(values, k);
                if (datum_cmp(&have, d) == 0 && memcmp((char *)values->data + (size_t)k * phys_size(type_phys(ty)), (char *)values->data, 0) == 0)
                    break;
            }
            if (k == entries)
                put(values, entries++, d);
            code[i] = k;
        }
        values->len = entries;
        return;
    }
    vec_alloc(v, ty, n, &b->mem, NULL);
    v->valid = bitmap_alloc(&b->mem, n, true);
    bool nulls = false;
    for (uint32_t i = 0; i < n; i++) {
        if (slot[i] < 0) {
            memset((char *)v->data + (size_t)i * phys_size(type_phys(ty)), type_phys(ty) == PHYS_U8 ? 1 : 0xa5, phys_size(type_phys(ty)));
        } else {
            put(v, i, &CELL(t, slot[i], col));
            nulls |= CELL(t, slot[i], col).null;
        }
    }
    if (!nulls)
        v->valid = NULL;
}

_Thread_local bool table_reads;

static fz_status table_next(scan *s, void *local, task *waiter, batch *out, source_result *res, fz_error *err)
{
    mem_scan *m = (mem_scan *)s;
    mem_table *t = m->t;
    mem_local *l = local;
    uint32_t per = t->batch_rows * t->batches_per_morsel;
    batch_reset(out);
    if (!l->open) {
        l->morsel = atomic_fetch_add(&m->next, 1);
        l->seq = 0;
        if (l->morsel * per >= t->nrows) {
            *res = SOURCE_END;
            return FZ_OK;
        }
        l->open = true;
        l->r.s = t->seed * 1000003 + l->morsel;
    }
    if (t->blocks && !l->blocked && rnd_to(&l->r, 3) == 0) {
        l->blocked = true;
        task_wake(waiter);
        *res = SOURCE_BLOCKED;
        return FZ_OK;
    }
    l->blocked = false;
    out->morsel = l->morsel;
    uint64_t from = l->morsel * per + (uint64_t)l->seq * t->batch_rows, end = (l->morsel + 1) * per;
    if (end > t->nrows)
        end = t->nrows;
    if (from >= end) {
        l->open = false;
        *res = SOURCE_MORSEL_END;
        return FZ_OK;
    }
    uint32_t n = end - from < t->batch_rows ? (uint32_t)(end - from) : t->batch_rows, rows = 0;
    bool garbage = !t->plain && rnd_to(&l->r, 2);
    int64_t *slot = ARENA_ARRAY(&out->mem, int64_t, n * 4 + 8);
    uint16_t *sel = ARENA_ARRAY(&out->mem, uint16_t, n + 8);
    for (uint32_t i = 0; i < n; i++) {
        while (garbage && rows < n * 4 && rnd_to(&l->r, 3) == 0)
            slot[rows++] = -1;
        sel[i] = (uint16_t)rows;
        slot[rows++] = (int64_t)(from + i);
    }
    batch_columns(out, m->ncols, NULL);
    for (uint32_t c = 0; c < m->ncols; c++)
        encode(out, &out->cols[c], t, m->cols[c], slot, rows, &l->r);
    out->nrows = rows;
    out->nsel = n;
    out->sel = rows != n ? sel : NULL;
    out->seq = l->seq++;
    atomic_fetch_add(&t->delivered, n);
    *res = SOURCE_BATCH;
    return FZ_OK;
}
static fz_status mem_next(scan *s, void *local, task *waiter, batch *out, source_result *res, fz_error *err)
{
    table_reads = true;
    fz_status st = table_next(s, local, waiter, out, res, err);
    table_reads = false;
    return st;
}

static fz_status mem_local_open(scan *s, void **local, fz_error *err)
{
    *local = calloc(1, sizeof(mem_local));
    return FZ_OK;
}
static void mem_local_close(scan *s, void *local) { free(local); }
static void mem_close(scan *s)
{
    atomic_fetch_sub(&((mem_scan *)s)->t->open_scans, 1);
    free(s);
}
static const scan_ops mem_scan_ops = {mem_local_open, mem_local_close, mem_next, mem_close};
static fz_status mem_open(const table_source *t, const scan_request *r, scan **out, bool *filtered, fz_error *err)
{
    mem_scan *m = calloc(1, sizeof *m);
    m->t = (mem_table *)(uintptr_t)t;
    m->s.ops = &mem_scan_ops;
    m->s.max_workers = m->t->workers;
    m->ncols = r->ncols;
    m->cols = r->cols;
    atomic_fetch_add(&m->t->open_scans, 1);
    *filtered = false;
    *out = &m->s;
    return FZ_OK;
}
static const table_source_ops mem_table_ops = {.open = mem_open};

row_schema schema_of(uint32_t n, const type *t)
{
    row_schema s = {.n = n, .cols = ARENA_ARRAY(&test_arena, column_def, n + 1)};
    for (uint32_t i = 0; i < n; i++) {
        char *name = arena_alloc(&test_arena, 16);
        snprintf(name, 16, "c%u", i);
        s.cols[i] = (column_def){.name = str_of(name), .t = t[i], .field_id = -1};
    }
    return s;
}

mem_table *mem_table_new(uint32_t ncols, const type *types, uint32_t nrows)
{
    mem_table *t = ARENA_NEW(&test_arena, mem_table);
    t->t.ops = &mem_table_ops;
    t->t.name = STR("t");
    t->t.schema = schema_of(ncols, types);
    t->ncols = ncols;
    t->nrows = nrows;
    t->cells = ARENA_ARRAY(&test_arena, datum, (size_t)nrows * ncols + 1);
    for (uint32_t r = 0; r < nrows; r++)
        for (uint32_t c = 0; c < ncols; c++)
            CELL(t, r, c) = type_phys(types[c]) == PHYS_STR ? (datum){.t = types[c], .s = STR("")} : (datum){.t = types[c]};
    t->batch_rows = 100;
    t->batches_per_morsel = 3;
    t->workers = 1;
    return t;
}

/* ---- plans ---- */

plan *pl_node(plan_kind k, const plan *a, const plan *b, row_schema out)
{
    plan *p = ARENA_NEW(&test_arena, plan);
    p->kind = k;
    p->out = out;
    p->rows = -1;
    p->n = (a != NULL) + (b != NULL);
    p->in = ARENA_ARRAY(&test_arena, const plan *, 2);
    p->in[0] = a;
    p->in[1] = b;
    return p;
}
plan *pl_scan(mem_table *t, const expr *filter)
{
    plan *p = pl_node(PLAN_SCAN, NULL, NULL, t->t.schema);
    p->scan.table = &t->t;
    p->scan.cols = ARENA_ARRAY(&test_arena, uint32_t, t->ncols + 1);
    for (uint32_t i = 0; i < t->ncols; i++)
        p->scan.cols[i] = i;
    p->scan.filter = filter;
    p->scan.limit = -1;
    return p;
}

/* ---- results ---- */

void rows_add(rows *r, const char *text)
{
    if (r->n == r->cap) {
        r->cap = r->cap ? r->cap * 2 : 64;
        r->row = realloc(r->row, r->cap * sizeof *r->row);
    }
    r->row[r->n++] = strdup(text);
}
static int row_order(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }
void rows_sort(rows *r)
{
    if (r->n)
        qsort(r->row, r->n, sizeof *r->row, row_order);
}
void rows_free(rows *r)
{
    for (uint32_t i = 0; i < r->n; i++)
        free(r->row[i]);
    free(r->row);
    *r = (rows){0};
}
void row_cell(sbuf *b, uint32_t col, const datum *d)
{
    if (col)
        sbuf_addc(b, '|');
    if (d->null)
        sbuf_addz(b, "NULL");
    else
        datum_text(d, b);
}
static void add_batch(rows *out, const batch *b)
{
    uint32_t n = b->sel ? b->nsel : b->nrows;
    sbuf s;
    sbuf_init(&s, NULL);
    for (uint32_t k = 0; k < n; k++) {
        sbuf_clear(&s);
        for (uint32_t c = 0; c < b->ncols; c++) {
            datum d = vec_datum(&b->cols[c], b->sel ? b->sel[k] : k);
            row_cell(&s, c, &d);
        }
        rows_add(out, s.p ? s.p : "");
    }
    sbuf_free(&s);
}
typedef struct rows_sink { sink s; rows *out; } rows_sink;
static fz_status rows_consume(sink *s, const batch *b, fz_error *err)
{
    add_batch(((rows_sink *)s)->out, b);
    return FZ_OK;
}
static const sink_ops rows_sink_ops = {rows_consume};

fz_status run_plan(const plan *p, pool *po, bool push, int64_t mem_limit, rows *out, fz_error *err)
{
    mem m;
    mem_init(&m, NULL, NULL, mem_limit);
    exec_options o = {.p = po, .m = &m};
    query *q;
    fz_status st = query_open(p, &o, &q, err);
    assert_int_equal(st, FZ_OK);
    if (push) {
        rows_sink s = {{&rows_sink_ops}, out};
        st = query_run(q, &s.s, err);
    } else {
        batch b;
        bool end = false;
        batch_init(&b, &m);
        while ((st = query_next(q, &b, &end, err)) == FZ_OK && !end) {
            assert_null(b.sel);
            add_batch(out, &b);
        }
        query_close(q);
        q = NULL;
        batch_free(&b);
    }
    query_close(q);
    assert_int_equal(atomic_load(&m.used), 0);
    return st;
}

void assert_rows(const rows *got, const rows *want, const char *what)
{
    for (uint32_t i = 0; i < got->n && i < want->n; i++)
        if (strcmp(got->row[i], want->row[i]) != 0)
            fail_msg("%s: row %u of %u is %s, not %s", what, i, want->n, got->row[i], want->row[i]);
    if (got->n != want->n)
        fail_msg("%s: %u rows, not %u", what, got->n, want->n);
}
