/*
 * pq_make_nested.c: writes a Parquet file of random nested columns, and prints its rows as JSON lines for other readers'
 * answers to be compared with.
 *
 *     pq_make_nested FILE [key=value …]
 *
 * rows, batch, threads, seed
 * nulls=P   per cent of the values that are null, at every level
 * max=N     lists and maps have up to N elements
 * vec       flat sel dict rle const slice: the vectors that are handed to the writer
 * codec, level, page_rows, page_bytes, rg_rows, dict_bytes, version: the options
 */
#include "arrow/grow.h"
#include "base/task.h"
#include "format/parquet/parquet.h"

#include <stdio.h>
#include <stdlib.h>

typedef struct settings {
    const char *vec;
    uint32_t rows, batch, threads, nulls, max;
    uint64_t seed;
    pq_write_options o;
} settings;

static uint64_t rnd(settings *s)
{
    s->seed ^= s->seed << 13;
    s->seed ^= s->seed >> 7;
    s->seed ^= s->seed << 17;
    return s->seed * 0x2545f4914f6cdd1dull;
}

/* ---- the schema ---- */

typedef struct node { const char *name; type_id id; bool required; uint8_t kids; } node;

/* In preorder. */
static const node nodes[] = {
    {"id", T_INT64, true, 0},
    {"st", T_STRUCT, false, 3},
        {"a", T_INT64, false, 0},
        {"b", T_STRING, true, 0},
        {"inner", T_STRUCT, false, 2},
            {"x", T_FLOAT64, false, 0},
            {"y", T_LIST, false, 1},
                {"element", T_INT32, false, 0},
    {"l", T_LIST, false, 1},
        {"element", T_INT64, false, 0},
    {"lr", T_LIST, true, 1},
        {"element", T_INT64, true, 0},
    {"ls", T_LIST, false, 1},
        {"element", T_STRUCT, false, 3},
            {"k", T_STRING, false, 0},
            {"v", T_BOOL, false, 0},
            {"t", T_LIST, false, 1},
                {"element", T_STRING, false, 0},
    {"m", T_MAP, false, 2},
        {"key", T_STRING, true, 0},
        {"value", T_INT64, false, 0},
    {"ml", T_MAP, false, 2},
        {"key", T_INT32, true, 0},
        {"value", T_LIST, false, 1},
            {"element", T_STRUCT, false, 2},
                {"p", T_DATE, false, 0},
                {"q", T_FLOAT32, false, 0},
    {"req", T_STRUCT, true, 2},
        {"r", T_INT64, true, 0},
        {"o", T_DECIMAL, false, 0},
    {"deep", T_LIST, false, 1},
        {"element", T_LIST, false, 1},
            {"element", T_LIST, true, 1},
                {"element", T_STRING, false, 0},
    {"flat", T_STRING, false, 0},
};
enum { NODES = sizeof nodes / sizeof nodes[0], TOP = 10 };

static type node_type(uint32_t *at, arena *a)
{
    const node *n = &nodes[(*at)++];
    if (n->id == T_DECIMAL)
        return TYPE_DECIMAL(25, 3);
    if (!n->kids)
        return TYPE(n->id);
    type_fields *f = arena_zalloc(a, sizeof *f + n->kids * sizeof f->f[0]);
    f->n = n->kids;
    for (uint32_t i = 0; i < n->kids; i++) {
        const node *k = &nodes[*at];
        f->f[i] = (type_field){.name = str_of(k->name), .field_id = (int32_t)*at + 1, .required = k->required};
        f->f[i].t = node_type(at, a);
    }
    return (type){.id = n->id, .children = f};
}

/* ---- values ---- */

static const char letters[] = "abcdefghijklmnopqrstuvwxyz";

static strview random_text(settings *s, arena *a)
{
    size_t n = rnd(s) % 8 == 0 ? rnd(s) % 40 : rnd(s) % 5;
    char *p = arena_alloc(a, n + 1);
    for (size_t i = 0; i < n; i++)
        p[i] = letters[rnd(s) % 26];
    return strview_make(p, (uint32_t)n);
}

static void leaf_value(settings *s, grow *g, uint32_t c, const node *n, arena *a, sbuf *json)
{
    int64_t v = (int64_t)(rnd(s) % 2000) - 1000;
    switch (n->id) {
    case T_INT64: *GROW_AT(g, int64_t, c) = v * 1000003; break;
    case T_INT32:
    case T_DATE: *GROW_AT(g, int32_t, c) = (int32_t)v; break;
    case T_BOOL: *GROW_AT(g, uint8_t, c) = v & 1; break;
    case T_FLOAT64: *GROW_AT(g, double, c) = (double)v / 8; break;
    case T_FLOAT32: *GROW_AT(g, float, c) = (float)v / 8; break;
    case T_DECIMAL: *GROW_AT(g, i128, c) = (i128)v * 1000000000000000000; break;
    default: {
        strview t = random_text(s, a);
        *GROW_AT(g, strview, c) = t;
        sbuf_printf(json, "\"%.*s\"", (int)t.len, strview_ptr(&t));
    }
    }
    if (n->id == T_INT64)
        sbuf_i64(json, v * 1000003);
    else if (n->id == T_BOOL)
        sbuf_addz(json, v & 1 ? "true" : "false");
    else if (n->id == T_FLOAT64 || n->id == T_FLOAT32)
        sbuf_printf(json, "%.4f", (double)v / 8);
    else if (n->id == T_DECIMAL)
        sbuf_printf(json, "\"%lld%s\"", (long long)v, v ? "000000000000000.000" : ".000");
    else if (n->id != T_STRING)
        sbuf_i64(json, v);
    g->cols[c].n++;
}

static fz_status any_value(settings *s, grow *g, uint32_t c, arena *a, sbuf *json, bool key, fz_error *err)
{
    const node *n = &nodes[c]; /* grow's columns are in preorder too */
    if (!n->required && rnd(s) % 100 < s->nulls) {
        grow_null(g, c);
        sbuf_addz(json, "null");
        return FZ_OK;
    }
    if (!n->kids) {
        leaf_value(s, g, c, n, a, json);
        return FZ_OK;
    }
    if (n->id == T_STRUCT) {
        sbuf_addc(json, '{');
        for (uint32_t i = 0; i < n->kids; i++) {
            uint32_t m = grow_member(g, c, i);
            sbuf_printf(json, "%s\"%s\":", i ? "," : "", nodes[m].name);
            TRY(any_value(s, g, m, a, json, false, err));
        }
        grow_struct(g, c);
        sbuf_addc(json, '}');
        return FZ_OK;
    }
    uint32_t k = (uint32_t)(rnd(s) % (s->max + 1));
    sbuf_addc(json, '[');
    for (uint32_t i = 0; i < k; i++) {
        sbuf_addz(json, i ? "," : "");
        if (n->id == T_MAP)
            sbuf_addc(json, '[');
        for (uint32_t j = 0; j < n->kids; j++) {
            uint32_t m = grow_member(g, c, j);
            TRY(grow_room(g, m, 1, err));
            sbuf_addz(json, j ? "," : "");
            TRY(any_value(s, g, m, a, json, n->id == T_MAP && j == 0, err));
        }
        if (n->id == T_MAP)
            sbuf_addc(json, ']');
    }
    grow_list(g, c);
    sbuf_addc(json, ']');
    return FZ_OK;
}

/* ---- other encodings of the same rows ---- */

static fz_status recode(const settings *s, vec *v, arena *a, fz_error *err)
{
    if (type_is_nested(v->t)) {
        for (uint32_t i = 0; v->kids && i < v->t.children->n; i++)
            TRY(recode(s, &v->kids[i], a, err));
        return FZ_OK;
    }
    uint32_t n = v->len, *codes = arena_alloc(a, sizeof *codes * (n + 1));
    vec *u = ARENA_NEW(a, vec);
    if (v->enc != VEC_FLAT || n == 0)
        return FZ_OK;
    *u = *v;
    if (s->vec[0] == 'r') {
        for (uint32_t i = 0; i < n; i++)
            codes[i] = i + 1;
        *v = (vec){.t = v->t, .enc = VEC_RLE, .len = n, .nruns = n, .data = codes, .values = u};
        return FZ_OK;
    }
    u->valid = NULL;
    size_t size = phys_size(type_phys(v->t));
    u->data = arena_alloc(a, size * n);
    for (uint32_t i = 0; i < n; i++) {
        memcpy((char *)u->data + size * (n - 1 - i), (char *)v->data + size * i, size);
        codes[i] = v->valid && !bit_get(v->valid, i) ? 0 : n - 1 - i;
    }
    *v = (vec){.t = v->t, .enc = VEC_DICT, .len = n, .data = codes, .valid = v->valid, .values = u};
    return FZ_OK;
}

static fz_status append_all(settings *s, pq_writer *w, const type *types, mem *m, fz_error *err)
{
    fz_status st = FZ_OK;
    grow g;
    batch b, view;
    arena a;
    sbuf json;
    blockpool *pool = blockpool_new(m);
    batch_init(&b, m);
    batch_init(&view, m);
    arena_init(&a, m);
    sbuf_init(&json, m);
    st = grow_init(&g, TOP, types, pool, m, err);
    bool sel = s->vec[0] == 's' && s->vec[1] == 'e', slice = s->vec[0] == 's' && s->vec[1] == 'l';
    for (uint32_t row = 0; row < s->rows && st == FZ_OK;) {
        uint32_t n = s->rows - row < s->batch ? s->rows - row : s->batch, made = sel ? 2 * n : slice ? n + 3 : n;
        uint16_t *odd = arena_alloc(&a, sizeof *odd * n);
        bool same = s->vec[0] == 'c';
        batch_reset(&b);
        TRY_GOTO(grow_begin(&g, made, &b, err));
        if (same)
            made = 1;
        for (uint32_t i = 0; i < made; i++) {
            size_t start = json.n;
            sbuf_addc(&json, '{');
            for (uint32_t c = 0; c < TOP; c++) {
                sbuf_printf(&json, "%s\"%s\":", c ? "," : "", nodes[g.top[c]].name);
                TRY_GOTO(any_value(s, &g, g.top[c], &a, &json, false, err));
            }
            sbuf_addz(&json, "}\n");
            if ((sel && i % 2 == 0) || (slice && i < 3))
                json.n = start;
            if (sel && i % 2)
                odd[i / 2] = (uint16_t)i;
        }
        if (same) /* the one row n times */
            for (size_t one = json.n, i = 1; i < n; i++) {
                sbuf_reserve(&json, one);
                sbuf_add(&json, json.p, one);
            }
        TRY_GOTO(grow_emit(&g, made, err));
        for (uint32_t c = 0; c < TOP && st == FZ_OK; c++) {
            if (s->vec[0] == 'd' || s->vec[0] == 'r')
                st = recode(s, &b.cols[c], &b.mem, err);
            if (slice)
                st = vec_slice(&b.cols[c], &b.cols[c], 3, n, &b.mem, err);
            if (same) {
                b.cols[c].enc = VEC_CONST;
                b.cols[c].len = n;
            }
        }
        b.nrows = sel ? 2 * n : n;
        b.sel = sel ? odd : NULL;
        b.nsel = n;
        b.stable = false;
        if (st == FZ_OK)
            st = pq_writer_append(w, &b, err);
        fwrite(json.p, 1, json.n, stdout);
        sbuf_clear(&json);
        row += n;
    }
out:
    grow_free(&g);
    batch_free(&b);
    batch_free(&view);
    arena_free(&a);
    sbuf_free(&json);
    blockpool_unref(pool);
    return st;
}

static fz_status run(settings *s, const char *path, job *j, mem *m, fz_error *err)
{
    arena a;
    arena_init(&a, m);
    column_def defs[TOP];
    type types[TOP];
    uint32_t at = 0;
    for (uint32_t i = 0; i < TOP; i++) {
        const node *n = &nodes[at];
        defs[i] = (column_def){.name = str_of(n->name), .field_id = (int32_t)at + 1, .not_null = n->required};
        types[i] = defs[i].t = node_type(&at, &a);
    }
    row_schema schema = {TOP, defs};
    io_writer *io;
    pq_writer *w = NULL;
    pq_write_result res;
    fz_status st = FZ_OK;
    TRY_GOTO(io_create(NULL, path, m, &io, err));
    TRY_GOTO(pq_writer_open(io, &schema, &s->o, NULL, 0, j, m, &w, err));
    st = append_all(s, w, types, m, err);
    if (st != FZ_OK)
        pq_writer_abort(w);
    else
        st = pq_writer_finish(w, &a, &res, err);
    for (uint32_t i = 0; st == FZ_OK && i < res.ncols; i++) {
        const pq_column_metrics *c = &res.cols[i];
        printf("#%d\t%.*s\t%d\t%lld\t%lld\n", (int)c->field_id, (int)c->path.n, c->path.p, c->repeated, (long long)c->value_count,
               (long long)c->null_count);
    }
out:
    arena_free(&a);
    return st;
}

static bool setting(settings *s, const char *arg)
{
    const char *eq = strchr(arg, '=');
    if (!eq)
        return false;
    str key = {arg, (size_t)(eq - arg)};
    int64_t n = strtoll(eq + 1, NULL, 10);
    const struct { const char *name; int64_t *to; } sizes[] = {
        {"page_rows", &s->o.page_rows}, {"page_bytes", &s->o.page_bytes}, {"rg_rows", &s->o.row_group_rows},
        {"dict_bytes", &s->o.dict_bytes}};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        if (str_eqz(key, sizes[i].name)) {
            *sizes[i].to = n;
            return true;
        }
    if (str_eqz(key, "rows")) s->rows = (uint32_t)n;
    else if (str_eqz(key, "batch")) s->batch = (uint32_t)n;
    else if (str_eqz(key, "threads")) s->threads = (uint32_t)n;
    else if (str_eqz(key, "seed")) s->seed += (uint64_t)n;
    else if (str_eqz(key, "nulls")) s->nulls = (uint32_t)n;
    else if (str_eqz(key, "max")) s->max = (uint32_t)n;
    else if (str_eqz(key, "codec")) s->o.codec = (int)n;
    else if (str_eqz(key, "level")) s->o.codec_level = (int)n;
    else if (str_eqz(key, "split")) s->o.split = (int)n;
    else if (str_eqz(key, "version")) s->o.page_version = (int)n;
    else if (str_eqz(key, "vec")) s->vec = eq + 1;
    else return false;
    return true;
}

int main(int argc, char **argv)
{
    settings s = {.vec = "flat", .rows = 1000, .batch = 500, .threads = 1, .nulls = 15, .max = 4, .seed = 88172645463325252u};
    pq_write_options_default(&s.o);
    for (int i = 2; i < argc; i++)
        if (!setting(&s, argv[i]))
            argc = 0;
    if (argc < 2 || s.batch == 0 || s.batch > BATCH_ROWS / 2) {
        fprintf(stderr, "usage: pq_make_nested FILE [key=value …]\n");
        return 2;
    }
    mem m;
    mem_init(&m, NULL, NULL, 0);
    pool *p = pool_create(&m, (int)s.threads - 1);
    job j;
    fz_error err = {0};
    job_init(&j, p, &m, NULL);
    fz_status st = run(&s, argv[1], s.threads > 1 ? &j : NULL, &m, &err);
    job_wait(&j, st == FZ_OK ? &err : NULL);
    job_destroy(&j);
    pool_destroy(p);
    if (st != FZ_OK)
        fprintf(stderr, "%s: %s\n", status_name(st), err.message);
    if (atomic_load(&m.used) != 0) {
        fprintf(stderr, "%lld bytes were not given back\n", (long long)atomic_load(&m.used));
        return 3;
    }
    return st == FZ_OK ? 0 : 1;
}
