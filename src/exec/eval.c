/*
 * eval.c: runs compiled expressions (compile.c) on batches.
 *
 * A program is a list of steps that write registers (vectors), each for the rows of the current
 * selection. AND, OR, CASE and COALESCE narrow the selection and jump over steps that no row needs, so
 * that errors happen only for rows that count:
 *
 *     a AND b:   BEGIN  [a]  ARG ──(no row left)──> END        ARG: decided rows leave the selection
 *                       [b]  ARG                    END        END: the selection from before BEGIN
 *     CASE:      BEGIN  [when]  WHEN ──(none true)──┐          WHEN: the selection becomes the true rows
 *                       [then]  THEN  (rest empty: jump to END) THEN: copies into the result, then the rest
 *                       [else]  THEN                END
 *
 * As the root of a filter an AND needs no result: FILTER narrows the selection to the true rows, and
 * the selection that is left at the end is the answer.
 *
 * Encodings. A call whose only varying argument is RLE runs on the values of the runs; with a
 * dictionary it runs on the dictionary, once per dictionary (cached by dict_id) or, where it could fail, on
 * the entries that selected rows use. All constant: once. Everything else is flattened at the selected rows.
 */
#include "exec/eval_int.h"

/* ---- selections ---- */

/* Rows of v (boolean) that are true, among rows[0..n) (NULL: 0..n-1), ascending. */
static uint32_t rows_true_flat(const uint8_t *x, const uint64_t *valid, const uint16_t *rows, uint32_t n, uint16_t *out)
{
    uint32_t m = 0;
    if (rows) {
        for (uint32_t k = 0; k < n; k++) {
            uint32_t i = rows[k];
            out[m] = (uint16_t)i;
            m += x[i] & (valid ? bit_get(valid, i) : 1);
        }
        return m;
    }
    if (valid) {
        for (uint32_t i = 0; i < n; i++) {
            out[m] = (uint16_t)i;
            m += x[i] & bit_get(valid, i);
        }
        return m;
    }
    uint32_t i = 0;
    for (; i + 8 <= n; i += 8) { /* eight at once: long stretches are all true or all false */
        uint64_t w;
        memcpy(&w, x + i, 8);
        if (w == 0)
            continue;
        for (uint32_t j = i; j < i + 8; j++) {
            out[m] = (uint16_t)j;
            m += x[j];
        }
    }
    for (; i < n; i++) {
        out[m] = (uint16_t)i;
        m += x[i];
    }
    return m;
}

static uint32_t rows_range(const uint16_t *rows, uint32_t n, uint32_t *at, uint32_t from, uint32_t to, bool take, uint16_t *out, uint32_t m)
{
    if (!rows) {
        if (take)
            for (uint32_t i = from; i < to; i++)
                out[m++] = (uint16_t)i;
        return m;
    }
    uint32_t k = *at;
    for (; k < n && rows[k] < to; k++)
        if (take)
            out[m++] = rows[k];
    *at = k;
    return m;
}

uint32_t rows_true(const vec *v, const uint16_t *rows, uint32_t n, uint16_t *out)
{
    if (v->enc == VEC_CONST) {
        if ((v->valid && !bit_get(v->valid, 0)) || !*(const uint8_t *)v->data)
            return 0;
        if (rows)
            memmove(out, rows, n * sizeof *out);
        else
            for (uint32_t i = 0; i < n; i++)
                out[i] = (uint16_t)i;
        return n;
    }
    if (v->enc == VEC_RLE) {
        const uint32_t *ends = v->data;
        const uint8_t *x = v->values->data;
        uint32_t m = 0, at = 0, from = 0;
        for (uint32_t r = 0; r < v->nruns; r++) {
            bool take = x[r] && (!v->values->valid || bit_get(v->values->valid, r));
            m = rows_range(rows, n, &at, from, ends[r], take, out, m);
            from = ends[r];
        }
        return m;
    }
    if (v->enc == VEC_DICT) {
        const uint32_t *code = v->data;
        const uint8_t *x = v->values->data;
        uint32_t m = 0;
        for (uint32_t k = 0; k < n; k++) {
            uint32_t i = rows ? rows[k] : k;
            if ((!v->valid || bit_get(v->valid, i)) && x[code[i]])
                out[m++] = (uint16_t)i;
        }
        return m;
    }
    return rows_true_flat(v->data, v->valid, rows, n, out);
}

/* rows (ascending; NULL: 0..n-1) without `less` (a part of them). */
static uint32_t rows_minus(const uint16_t *rows, uint32_t n, const uint16_t *less, uint32_t nless, uint16_t *out)
{
    uint32_t m = 0, l = 0;
    for (uint32_t k = 0; k < n; k++) {
        uint16_t i = rows ? rows[k] : (uint16_t)k;
        if (l < nless && less[l] == i)
            l++;
        else
            out[m++] = i;
    }
    return m;
}

/* ---- flat arguments ---- */

#define PICK(T)                                                                                    \
    {                                                                                              \
        const T *from = src->values->data;                                                         \
        T *to = dst->data;                                                                         \
        for (uint32_t k = 0; k < n; k++)                                                           \
            to[rows[k]] = from[code[rows[k]]];                                                     \
        break;                                                                                     \
    }

fz_status vec_flatten_rows(vec *dst, const vec *src, const uint16_t *rows, uint32_t n, arena *a, fz_error *err)
{
    if (src->enc == VEC_FLAT || src->enc == VEC_CONST) {
        *dst = *src;
        return FZ_OK;
    }
    if (src->enc == VEC_RLE || !rows)
        return vec_flatten(dst, src, a, err);
    TRY(vec_alloc(dst, src->t, src->len, a, err));
    dst->valid = src->valid;
    const uint32_t *code = src->data;
    switch (phys_size(type_phys(src->t))) { /* codes of rows that aren't selected may be anything */
    case 1: PICK(uint8_t)
    case 4: PICK(uint32_t)
    case 8: PICK(uint64_t)
    case 16: PICK(u128)
    default: break;
    }
    return FZ_OK;
}

/* ---- calls ---- */

static fz_status rows_and_valid(evaluator *ev, const uint64_t *valid, const uint16_t **rows, uint32_t *n, fz_error *err)
{
    uint16_t *out = arena_alloc(&ev->scratch, (*n + 1u) * sizeof *out);
    if (!out)
        return error_nomem(err);
    uint32_t m = 0;
    for (uint32_t k = 0; k < *n; k++) {
        uint32_t i = *rows ? (*rows)[k] : k;
        out[m] = (uint16_t)i;
        m += valid ? bit_get(valid, i) : 1;
    }
    *rows = out;
    *n = m;
    return FZ_OK;
}

/* The conjunction of the arguments' validity; *all_null when a constant argument is null. */
static fz_status valid_of_args(evaluator *ev, const vec *args, uint32_t n, uint32_t len, uint64_t **out, bool *all_null, arena *a, fz_error *err)
{
    const uint64_t *one = NULL;
    uint64_t *both = NULL;
    *out = NULL;
    *all_null = false;
    for (uint32_t i = 0; i < n; i++) {
        if (!args[i].valid)
            continue;
        if (args[i].enc == VEC_CONST) {
            *all_null |= !bit_get(args[i].valid, 0);
            continue;
        }
        if (!one) {
            one = args[i].valid;
            continue;
        }
        if (!both) {
            both = bitmap_alloc(a, len, true);
            if (!both)
                return error_nomem(err);
            memcpy(both, one, (len + 7) / 8);
        }
        for (size_t w = 0; w < (len + 7) / 8; w++)
            ((uint8_t *)both)[w] &= ((const uint8_t *)args[i].valid)[w];
    }
    if (one && !both) { /* own copy: the kernel may clear bits */
        both = bitmap_alloc(a, len, true);
        if (!both)
            return error_nomem(err);
        memcpy(both, one, (len + 7) / 8);
    }
    *out = both;
    return FZ_OK;
}

static fz_status const_null(evaluator *ev, vec *out, type t, uint32_t len, arena *a, fz_error *err)
{
    datum d = DATUM_NULL(t);
    return vec_const(out, &d, len, a, err);
}

/* The kernel on FLAT and CONST arguments of `len` rows, for rows (NULL: all n = len). */
static fz_status call_flat(evaluator *ev, step *s, const vec *args, uint32_t len, const uint16_t *rows, uint32_t n, vec *out, arena *a, fz_error *err)
{
    uint64_t *valid = NULL;
    if (!(s->flags & FN_NULLS)) {
        bool all_null;
        TRY(valid_of_args(ev, args, s->nargs, len, &valid, &all_null, a, err));
        if (all_null)
            return const_null(ev, out, s->e->t, len, a, err);
    }
    TRY(vec_alloc(out, s->t, len, a, err));
    out->valid = valid;
    kcall c = {.e = s->e, .a = a, .state = s->state, .n = n, .len = len, .rows = rows, .args = args, .out = out, .try_ = s->try_};
    bool fallible = s->flags & FN_FALLIBLE;
    if ((s->flags & FN_DENSE) && (!rows || n * 4 >= len)) {
        c.rows = NULL;
        c.n = len;
        fz_status st = s->run(&c, err);
        if (st != KERNEL_RETRY)
            return st;
    } else if (!valid || ((s->flags & FN_DENSE) && !fallible)) {
        return s->run(&c, err);
    }
    if (len > 65536)
        return error_set(err, FZ_INTERNAL, "a vector of %u rows in an expression", len);
    c.rows = rows;
    c.n = n;
    TRY(rows_and_valid(ev, valid, &c.rows, &c.n, err));
    return s->run(&c, err);
}

fz_status vec_make_const(vec *v, uint32_t len, arena *a, fz_error *err)
{
    if (v->enc == VEC_DICT || v->enc == VEC_RLE || (v->valid && !bit_get(v->valid, 0))) {
        datum d = vec_datum(v, 0);
        return vec_const(v, &d, len, a, err);
    }
    v->enc = VEC_CONST;
    v->valid = NULL;
    v->len = len;
    return FZ_OK;
}

/* A function that makes the result's vector itself. */
static fz_status call_raw(evaluator *ev, step *s, vec *args, bool constant, uint32_t len, vec *out, fz_error *err)
{
    kcall c = {.e = s->e, .a = &ev->scratch, .state = s->state, .n = ev->sel ? ev->nsel : len, .len = len,
               .rows = ev->sel, .args = args, .out = out, .try_ = s->try_};
    *out = (vec){.t = s->t, .len = len};
    if (!constant)
        return s->run(&c, err);
    for (uint32_t i = 0; i < s->nargs; i++)
        args[i].len = 1;
    c.n = c.len = out->len = 1;
    c.rows = NULL;
    TRY(s->run(&c, err));
    return vec_make_const(out, len, &ev->scratch, err);
}

/* All arguments constant: once. */
static fz_status call_const(evaluator *ev, step *s, const vec *args, uint32_t len, vec *out, fz_error *err)
{
    vec flat[16], *a = flat;
    if (s->nargs > 16 && !(a = arena_alloc(&ev->scratch, s->nargs * sizeof *a)))
        return error_nomem(err);
    for (uint32_t i = 0; i < s->nargs; i++) {
        a[i] = args[i];
        a[i].enc = VEC_FLAT; /* one row */
        a[i].len = 1;
    }
    TRY(call_flat(ev, s, a, 1, NULL, 1, out, &ev->scratch, err));
    out->enc = VEC_CONST;
    out->len = len;
    if (out->valid && bit_get(out->valid, 0))
        out->valid = NULL;
    return FZ_OK;
}

/* One RLE argument, the rest constant: on the runs. */
static fz_status call_runs(evaluator *ev, step *s, const vec *args, uint32_t which, uint32_t len, vec *out, fz_error *err)
{
    const vec *v = &args[which];
    vec a[16];
    memcpy(a, args, s->nargs * sizeof *a);
    a[which] = *v->values;
    const uint16_t *rows = NULL;
    uint32_t n = v->nruns;
    if ((s->flags & FN_FALLIBLE) && ev->sel) { /* the runs that selected rows lie in */
        uint16_t *used = arena_alloc(&ev->scratch, (v->nruns + 1u) * sizeof *used);
        if (!used)
            return error_nomem(err);
        const uint32_t *ends = v->data;
        n = 0;
        for (uint32_t k = 0, r = 0; k < ev->nsel && r < v->nruns; r++) {
            if (ev->sel[k] >= ends[r])
                continue;
            used[n++] = (uint16_t)r;
            while (k < ev->nsel && ev->sel[k] < ends[r])
                k++;
        }
        rows = used;
    }
    vec *values = arena_zalloc(&ev->scratch, sizeof *values);
    if (!values)
        return error_nomem(err);
    TRY(call_flat(ev, s, a, v->nruns, rows, n, values, &ev->scratch, err));
    *out = *v;
    if (values->enc == VEC_CONST) {
        *out = *values;
        out->len = len;
        return FZ_OK;
    }
    out->t = s->t;
    out->values = values;
    return FZ_OK;
}

/* The result of a dictionary call from the results for its entries. */
static fz_status dict_result(evaluator *ev, const vec *v, const vec *r, uint32_t len, vec *out, fz_error *err)
{
    if (r->enc == VEC_CONST) {
        if (!v->valid || (r->valid && !bit_get(r->valid, 0))) {
            *out = *r;
            out->len = len;
            return FZ_OK;
        }
    } else if (!r->valid && r->t.id != T_BOOL) {
        vec *values = arena_alloc(&ev->scratch, sizeof *values);
        if (!values)
            return error_nomem(err);
        *values = *r;
        *out = *v;
        out->t = r->t;
        out->values = values;
        out->dict_id = 0;
        return FZ_OK;
    }
    /* At the rows: booleans, and results with nulls of their own. */
    TRY(vec_alloc(out, r->t, len, &ev->scratch, err));
    const uint32_t *code = v->data;
    uint32_t size = phys_size(type_phys(r->t));
    if (v->valid || r->valid) {
        out->valid = bitmap_alloc(&ev->scratch, len, true);
        if (!out->valid)
            return error_nomem(err);
        if (v->valid)
            memcpy(out->valid, v->valid, (len + 7) / 8);
    }
    uint32_t n = ev->sel ? ev->nsel : len;
    bool one = r->enc == VEC_CONST;
    for (uint32_t k = 0; k < n; k++) {
        uint32_t i = ev->sel ? ev->sel[k] : k, c = one ? 0 : code[i];
        if (r->valid && !bit_get(r->valid, c))
            bit_clear(out->valid, i);
        if (size == 1)
            ((uint8_t *)out->data)[i] = ((const uint8_t *)r->data)[c];
        else
            memcpy((char *)out->data + (size_t)i * size, (const char *)r->data + (size_t)c * size, size);
    }
    return FZ_OK;
}

static fz_status dict_used(evaluator *ev, const vec *v, uint32_t len, uint16_t **rows, uint32_t *n, fz_error *err)
{
    uint64_t *mark = bitmap_alloc(&ev->scratch, v->values->len, false);
    *rows = arena_alloc(&ev->scratch, (v->values->len + 1u) * sizeof **rows);
    if (!mark || !*rows)
        return error_nomem(err);
    const uint32_t *code = v->data;
    uint32_t count = ev->sel ? ev->nsel : len, m = 0;
    for (uint32_t k = 0; k < count; k++) {
        uint32_t i = ev->sel ? ev->sel[k] : k;
        if (!v->valid || bit_get(v->valid, i))
            bit_set(mark, code[i]);
    }
    for (uint32_t c = 0; c < v->values->len; c++)
        if (bit_get(mark, c))
            (*rows)[m++] = (uint16_t)c;
    *n = m;
    return FZ_OK;
}

/* Text in a cache outlives the batch whose dictionary it may point into. */
static fz_status text_own(vec *v, arena *a, fz_error *err)
{
    strview *x = v->data;
    if (type_phys(v->t) != PHYS_STR || v->enc != VEC_FLAT)
        return FZ_OK;
    for (uint32_t i = 0; i < v->len; i++) {
        if (x[i].len <= 12 || (v->valid && !bit_get(v->valid, i)))
            continue;
        char *p = arena_alloc(a, x[i].len);
        if (!p)
            return error_nomem(err);
        memcpy(p, x[i].ptr, x[i].len);
        x[i].ptr = p;
    }
    return FZ_OK;
}

/* One dictionary argument, the rest constant: on the dictionary. *done false: not worth it. */
static fz_status call_dict(evaluator *ev, step *s, const vec *args, uint32_t which, uint32_t len, vec *out, bool *done, fz_error *err)
{
    const vec *v = &args[which];
    uint32_t entries = v->values->len, n = ev->sel ? ev->nsel : len;
    *done = false;
    vec a[16];
    memcpy(a, args, s->nargs * sizeof *a);
    a[which] = *v->values;
    if ((s->flags & FN_FALLIBLE) || v->dict_id == 0 || (s->flags & FN_VOLATILE)) {
        if (entries > n || entries > 65535 || (s->flags & FN_VOLATILE))
            return FZ_OK;
        vec r;
        uint16_t *used = NULL;
        uint32_t nused = entries;
        if (s->flags & FN_FALLIBLE)
            TRY(dict_used(ev, v, len, &used, &nused, err));
        TRY(call_flat(ev, s, a, entries, used, nused, &r, &ev->scratch, err));
        *done = true;
        return dict_result(ev, v, &r, len, out, err);
    }
    if (!s->cached || s->cache_id != v->dict_id) {
        if (entries > 65536 && entries > 8 * n)
            return FZ_OK;
        if (!s->cache_ready) {
            arena_init(&s->cache, ev->m);
            s->cache_ready = true;
        }
        s->cached = false;
        arena_reset(&s->cache);
        TRY(call_flat(ev, s, a, entries, NULL, entries, &s->cache_vec, &s->cache, err));
        TRY(text_own(&s->cache_vec, &s->cache, err));
        s->cached = true;
        s->cache_id = v->dict_id;
    }
    *done = true;
    TRY(dict_result(ev, v, &s->cache_vec, len, out, err));
    if (out->enc == VEC_DICT)
        out->dict_id = hash_mix(v->dict_id, (uint64_t)(uintptr_t)s);
    return FZ_OK;
}

static fz_status run_call(evaluator *ev, step *s, uint32_t len, fz_error *err)
{
    vec small[16], *args = small, *out = &ev->regs[s->out];
    if (s->nargs > 16 && !(args = arena_alloc(&ev->scratch, s->nargs * sizeof *args)))
        return error_nomem(err);
    uint32_t varying = 0, which = 0;
    bool prog_consts = true;
    for (uint32_t i = 0; i < s->nargs; i++) {
        args[i] = ev->regs[s->args[i]];
        if (args[i].enc != VEC_CONST) {
            varying++;
            which = i;
        } else {
            prog_consts &= ev->is_const[s->args[i]];
        }
    }
    if (s->flags & FN_RAW)
        return call_raw(ev, s, args, varying == 0, len, out, err);
    if (varying == 0 && !(s->flags & FN_VOLATILE))
        return call_const(ev, s, args, len, out, err);
    if (varying == 1 && s->nargs <= 16 && !(s->flags & FN_VOLATILE)) {
        const vec *v = &args[which];
        bool done = false;
        if (v->enc == VEC_RLE && v->nruns <= 65535)
            return call_runs(ev, s, args, which, len, out, err);
        if (v->enc == VEC_DICT && prog_consts && !((s->flags & FN_NULLS) && v->valid))
            TRY(call_dict(ev, s, args, which, len, out, &done, err));
        if (done)
            return FZ_OK;
    }
    for (uint32_t i = 0; i < s->nargs; i++) {
        vec f;
        TRY(vec_flatten_rows(&f, &args[i], ev->sel, ev->nsel, &ev->scratch, err));
        args[i] = f;
    }
    return call_flat(ev, s, args, len, ev->sel, ev->sel ? ev->nsel : len, out, &ev->scratch, err);
}

/* ---- is null ---- */

static void null_bytes(uint8_t *o, const uint64_t *valid, uint32_t n, bool want_null)
{
    for (uint32_t i = 0; i < n; i++)
        o[i] = (uint8_t)bit_get(valid, i) ^ want_null;
}

static fz_status run_is_null(evaluator *ev, step *s, uint32_t len, fz_error *err)
{
    const vec *v = &ev->regs[s->args[0]];
    vec *out = &ev->regs[s->out];
    bool want = s->e->kind == EX_IS_NULL;
    const uint64_t *valid = v->enc == VEC_RLE ? v->values->valid : v->valid;
    if (!valid || v->enc == VEC_CONST) {
        bool null = valid && !bit_get(valid, 0);
        datum d = {.t = TYPE(T_BOOL), .b = null == want};
        return vec_const(out, &d, len, &ev->scratch, err);
    }
    if (v->enc == VEC_RLE) {
        vec *values = arena_alloc(&ev->scratch, sizeof *values);
        if (!values)
            return error_nomem(err);
        TRY(vec_alloc(values, TYPE(T_BOOL), v->nruns, &ev->scratch, err));
        null_bytes(values->data, valid, v->nruns, want);
        *out = *v;
        out->t = TYPE(T_BOOL);
        out->values = values;
        return FZ_OK;
    }
    TRY(vec_alloc(out, TYPE(T_BOOL), len, &ev->scratch, err));
    null_bytes(out->data, valid, len, want);
    return FZ_OK;
}

/* ---- and, or, case, coalesce ---- */

static uint16_t *rows_new(evaluator *ev, uint32_t n, fz_error *err)
{
    uint16_t *r = arena_alloc(&ev->scratch, (n + 8u) * sizeof *r);
    if (!r)
        error_nomem(err);
    return r;
}

static fz_status run_begin(evaluator *ev, step *s, uint32_t len, fz_error *err)
{
    if (ev->depth == ev->max_depth)
        return error_set(err, FZ_INTERNAL, "an expression's selections are nested too deep");
    frame *f = &ev->frames[ev->depth++];
    *f = (frame){.sel = ev->sel, .nsel = ev->nsel};
    vec *out = &ev->regs[s->out];
    if (type_is_nested(s->t)) {
        *out = (vec){.t = s->t, .enc = VEC_FLAT, .len = len, .valid = bitmap_alloc(&ev->scratch, len, false)};
        f->choice = ARENA_NEW(&ev->scratch, choice);
        uint32_t *idx = arena_alloc(&ev->scratch, len * sizeof *idx);
        if (!out->valid || !f->choice || !idx)
            return error_nomem(err);
        memset(idx, 0xff, len * sizeof *idx); /* nulls */
        f->choice->idx = idx;
        return FZ_OK;
    }
    TRY(vec_alloc(out, s->t, len, &ev->scratch, err));
    if (s->e->kind == EX_AND || s->e->kind == EX_OR) {
        memset(out->data, s->e->kind == EX_AND, len);
    } else { /* rows that no branch gives a value are null */
        out->valid = bitmap_alloc(&ev->scratch, len, false);
        if (!out->valid)
            return error_nomem(err);
        memset(out->data, 0, (size_t)len * phys_size(type_phys(s->t)));
    }
    return FZ_OK;
}

/* One argument of AND / OR: decided rows leave. */
static fz_status run_logic(evaluator *ev, step *s, uint32_t len, fz_error *err)
{
    vec arg, *out = &ev->regs[s->out];
    TRY(vec_flatten_rows(&arg, &ev->regs[s->args[0]], ev->sel, ev->nsel, &ev->scratch, err));
    bool decides = s->e->kind == EX_OR;
    uint32_t n = ev->sel ? ev->nsel : len, m = 0;
    uint16_t *rest = rows_new(ev, n, err);
    if (!rest)
        return FZ_NOMEM;
    const uint8_t *x = arg.data;
    uint8_t *o = out->data;
    uint32_t stride = ARG_STRIDE(&arg);
    for (uint32_t k = 0; k < n; k++) {
        uint32_t i = ev->sel ? ev->sel[k] : k;
        if (arg_null(&arg, i)) {
            if (!out->valid && !(out->valid = bitmap_alloc(&ev->scratch, len, true)))
                return error_nomem(err);
            bit_clear(out->valid, i);
            rest[m++] = (uint16_t)i;
        } else if ((x[i * stride] != 0) == decides) {
            o[i] = decides;
            if (out->valid)
                bit_set(out->valid, i);
        } else {
            rest[m++] = (uint16_t)i;
        }
    }
    if (m != n) {
        ev->sel = rest;
        ev->nsel = m;
    }
    return FZ_OK;
}

/* The rows' values that aren't null are added to what is gathered. */
static fz_status choose(evaluator *ev, choice *c, vec *out, const vec *v, const uint16_t *rows, uint32_t n, fz_error *err)
{
    arena *a = &ev->scratch;
    uint32_t *idx = arena_alloc(a, n * sizeof *idx), m = 0;
    bool one = v->enc == VEC_CONST; /* its value is kept once */
    if (c->n == c->cap) {
        uint32_t cap = c->cap ? 2 * c->cap : 4;
        vec *parts = ARENA_ARRAY(a, vec, cap);
        if (!parts)
            return error_nomem(err);
        if (c->n)
            memcpy(parts, c->parts, c->n * sizeof *parts);
        c->parts = parts;
        c->cap = cap;
    }
    if (!idx)
        return error_nomem(err);
    for (uint32_t k = 0; k < n; k++) {
        uint32_t i = rows ? rows[k] : k;
        if (arg_null(v, i))
            continue;
        bit_set(out->valid, i);
        c->idx[i] = c->total + (one ? 0 : m);
        idx[one ? 0 : m++] = one ? 0 : i;
        m = one ? 1 : m;
    }
    if (m == 0)
        return FZ_OK;
    TRY(vec_take(&c->parts[c->n++], v, idx, m, false, a, err));
    c->total += m;
    return FZ_OK;
}

/* out[rows] = v[rows] */
static fz_status scatter(evaluator *ev, vec *out, const vec *v, const uint16_t *rows, uint32_t n, fz_error *err)
{
    vec f;
    if (type_is_nested(out->t))
        return choose(ev, ev->frames[ev->depth - 1].choice, out, v, rows, n, err);
    TRY(vec_flatten_rows(&f, v, rows, n, &ev->scratch, err));
    uint32_t size = phys_size(type_phys(out->t)), stride = ARG_STRIDE(&f);
    for (uint32_t k = 0; k < n; k++) {
        uint32_t i = rows ? rows[k] : k;
        if (arg_null(&f, i))
            continue;
        bit_set(out->valid, i);
        char *to = (char *)out->data + (size_t)i * size;
        const char *from = (const char *)f.data + (size_t)i * stride * size;
        switch (size) {
        case 1: *to = *from; break;
        case 4: memcpy(to, from, 4); break;
        case 8: memcpy(to, from, 8); break;
        case 16: memcpy(to, from, 16); break;
        default: break;
        }
    }
    return FZ_OK;
}

static fz_status run_when(evaluator *ev, step *s, uint32_t len, bool *jump, fz_error *err)
{
    frame *f = &ev->frames[ev->depth - 1];
    uint32_t n = ev->sel ? ev->nsel : len;
    uint16_t *yes = rows_new(ev, n, err), *no = rows_new(ev, n, err);
    if (!yes || !no)
        return FZ_NOMEM;
    uint32_t nyes = rows_true(&ev->regs[s->args[0]], ev->sel, n, yes);
    *jump = nyes == 0;
    if (nyes == 0)
        return FZ_OK;
    f->nrest = rows_minus(ev->sel, n, yes, nyes, no);
    f->rest = no;
    ev->sel = nyes == len ? NULL : yes;
    ev->nsel = nyes;
    return FZ_OK;
}

static fz_status run_then(evaluator *ev, step *s, uint32_t len, bool *jump, fz_error *err)
{
    frame *f = &ev->frames[ev->depth - 1];
    TRY(scatter(ev, &ev->regs[s->out], &ev->regs[s->args[0]], ev->sel, ev->sel ? ev->nsel : len, err));
    *jump = f->nrest == 0;
    ev->sel = f->rest;
    ev->nsel = f->nrest;
    return FZ_OK;
}

/* One argument of COALESCE: rows with a value leave. */
static fz_status run_coalesce(evaluator *ev, step *s, uint32_t len, bool *jump, fz_error *err)
{
    vec *out = &ev->regs[s->out];
    uint32_t n = ev->sel ? ev->nsel : len, m = 0;
    TRY(scatter(ev, out, &ev->regs[s->args[0]], ev->sel, n, err));
    uint16_t *rest = rows_new(ev, n, err);
    if (!rest)
        return FZ_NOMEM;
    for (uint32_t k = 0; k < n; k++) {
        uint32_t i = ev->sel ? ev->sel[k] : k;
        if (!bit_get(out->valid, i))
            rest[m++] = (uint16_t)i;
    }
    *jump = m == 0;
    ev->sel = rest;
    ev->nsel = m;
    return FZ_OK;
}

static fz_status run_filter_arg(evaluator *ev, step *s, uint32_t len, fz_error *err)
{
    uint32_t n = ev->sel ? ev->nsel : len;
    uint16_t *yes = rows_new(ev, n, err);
    if (!yes)
        return FZ_NOMEM;
    uint32_t m = rows_true(&ev->regs[s->args[0]], ev->sel, n, yes);
    if (m == n)
        return FZ_OK;
    ev->sel = yes;
    ev->nsel = m;
    return FZ_OK;
}

/* ---- a program ---- */

static fz_status run_end(evaluator *ev, step *s, uint32_t len, fz_error *err)
{
    frame *f = &ev->frames[--ev->depth];
    ev->sel = f->sel;
    ev->nsel = f->nsel;
    vec all;
    const choice *c = f->choice;
    if (!c)
        return FZ_OK;
    TRY(vec_concat(&all, s->t, c->parts, c->n, &ev->scratch, err));
    return vec_take(&ev->regs[s->out], &all, c->idx, len, false, &ev->scratch, err);
}

static fz_status run_step(evaluator *ev, const batch *b, step *s, bool *jump, fz_error *err)
{
    uint32_t len = b->nrows;
    switch (s->op) {
    case STEP_COLUMN:
        if (s->e->col >= b->ncols)
            return error_set(err, FZ_INTERNAL, "an expression refers to column %u of %u", s->e->col, b->ncols);
        ev->regs[s->out] = b->cols[s->e->col];
        return FZ_OK;
    case STEP_CONST:
        ev->regs[s->out] = s->cache_vec;
        ev->regs[s->out].len = len;
        return FZ_OK;
    case STEP_CALL: return run_call(ev, s, len, err);
    case STEP_IS_NULL: return run_is_null(ev, s, len, err);
    case STEP_BEGIN: return run_begin(ev, s, len, err);
    case STEP_LOGIC:
        TRY(run_logic(ev, s, len, err));
        *jump = ev->sel && ev->nsel == 0;
        return FZ_OK;
    case STEP_WHEN: return run_when(ev, s, len, jump, err);
    case STEP_THEN: return run_then(ev, s, len, jump, err);
    case STEP_COALESCE: return run_coalesce(ev, s, len, jump, err);
    case STEP_FILTER:
        TRY(run_filter_arg(ev, s, len, err));
        *jump = ev->sel && ev->nsel == 0;
        return FZ_OK;
    case STEP_END: return run_end(ev, s, len, err);
    default: return error_set(err, FZ_INTERNAL, "an unknown step %d", s->op);
    }
}

fz_status program_run(evaluator *ev, const program *p, const batch *b, fz_error *err)
{
    arena_reset(&ev->scratch);
    ev->depth = 0;
    ev->sel = b->sel;
    ev->nsel = b->sel ? b->nsel : b->nrows;
    ev->is_const = p->is_const;
    for (uint32_t i = 0; i < p->n;) {
        bool jump = false;
        TRY(run_step(ev, b, &p->steps[i], &jump, err));
        i = jump ? p->steps[i].jump : i + 1;
    }
    return FZ_OK;
}

fz_status evaluator_run(evaluator *ev, const batch *b, vec *out, fz_error *err)
{
    TRY(program_prepare(ev, false, err));
    TRY(program_run(ev, &ev->value, b, err));
    *out = ev->regs[ev->value.result];
    return FZ_OK;
}

fz_status evaluator_filter(evaluator *ev, const batch *b, uint16_t *sel, uint32_t *nsel, fz_error *err)
{
    *nsel = 0;
    if (b->nsel == 0 || b->nrows == 0)
        return FZ_OK;
    TRY(program_prepare(ev, true, err));
    TRY(program_run(ev, &ev->filter, b, err));
    if (ev->sel) {
        memcpy(sel, ev->sel, ev->nsel * sizeof *sel);
        *nsel = ev->nsel;
        return FZ_OK;
    }
    for (uint32_t i = 0; i < b->nrows; i++)
        sel[i] = (uint16_t)i;
    *nsel = b->nrows;
    return FZ_OK;
}
