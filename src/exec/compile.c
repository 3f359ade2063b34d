/*
 * compile.c: expression trees to programs of steps (eval.c), and evaluation without a batch.
 *
 * Each node gets a register. Arguments come before their call; AND, OR, CASE and COALESCE put BEGIN, a
 * narrowing step behind each argument, and END around them. Trees are walked recursively to a depth of
 * EXPR_DEPTH_MAX.
 */
#include "exec/eval_int.h"
#include "exec/set_int.h"

/* ---- building ---- */

static step *step_add(evaluator *ev, program *p, uint8_t op, const expr *e, fz_error *err)
{
    if (p->n == p->cap) {
        uint32_t cap = p->cap ? p->cap * 2 : 16;
        step *s = ARENA_ARRAY(&ev->mem, step, cap);
        if (!s) {
            error_nomem(err);
            return NULL;
        }
        if (p->n)
            memcpy(s, p->steps, p->n * sizeof *s);
        p->steps = s;
        p->cap = cap;
    }
    step *s = &p->steps[p->n++];
    *s = (step){.op = op, .e = e, .t = e->t};
    return s;
}

static uint32_t reg_new(evaluator *ev) { return ev->nregs++; }

static fz_status step_args(evaluator *ev, step *s, uint32_t n, fz_error *err)
{
    s->nargs = n;
    s->args = ARENA_ARRAY(&ev->mem, uint32_t, n ? n : 1);
    return s->args ? FZ_OK : error_nomem(err);
}

/* A step with one argument that works on the register `out` of an enclosing BEGIN. */
static fz_status step_on(evaluator *ev, program *p, uint8_t op, const expr *e, uint32_t out, uint32_t arg, fz_error *err)
{
    step *s = step_add(ev, p, op, e, err);
    if (!s)
        return FZ_NOMEM;
    s->out = out;
    TRY(step_args(ev, s, 1, err));
    s->args[0] = arg;
    return FZ_OK;
}

static fz_status emit(evaluator *ev, program *p, const expr *e, uint32_t depth, uint32_t *out, fz_error *err);

/* ---- leaves ---- */

static fz_status emit_const(evaluator *ev, program *p, const expr *e, const datum *d, uint32_t *out, fz_error *err)
{
    step *s = step_add(ev, p, STEP_CONST, e, err);
    if (!s)
        return FZ_NOMEM;
    s->out = *out = reg_new(ev);
    if (d->null) {
        datum null = DATUM_NULL(e->t);
        return vec_const(&s->cache_vec, &null, 1, &ev->mem, err);
    }
    return vec_const(&s->cache_vec, d, 1, &ev->mem, err);
}

/* Converts a parameter to the type that the binder gave it. */
static fz_status param_value(evaluator *ev, const expr *e, datum *d, fz_error *err)
{
    if (e->col >= ev->n_params)
        return error_sql(err, FZ_INVALID, "08P01", "there is no value for parameter $%u", e->col + 1);
    *d = ev->params[e->col];
    if (d->null || type_eq(d->t, e->t))
        return FZ_OK;
    expr value = {.kind = EX_CONST, .t = d->t, .value = *d, .line = e->line, .column = e->column};
    const expr *args[1] = {&value};
    expr cast = {.kind = EX_CAST, .t = e->t, .n = 1, .args = args, .line = e->line, .column = e->column};
    return expr_fold(&cast, &ev->mem, d, err);
}

/* ---- calls ---- */

static fz_status not_u8(kcall *c, fz_error *err)
{
    const uint8_t *a = c->args[0].data;
    uint8_t *o = c->out->data;
    uint32_t s = ARG_STRIDE(&c->args[0]);
    EACH_ROW(c, i) o[i] = !a[i * s];
    return FZ_OK;
}

/* x in (constants): true if found, else null where the list has one. */
static fz_status in_set(kcall *c, fz_error *err)
{
    const value_set *set = c->state;
    uint8_t *o = c->out->data;
    value_set_lookup(set, &c->args[0], c->rows, c->n, o);
    if (value_set_has_null(set))
        EACH_ROW(c, i)
            if (!o[i] && !kcall_null(c, i))
                return error_nomem(err);
    return FZ_OK;
}

/* x in (expressions) */
static fz_status in_any(kcall *c, fz_error *err)
{
    uint8_t *o = c->out->data;
    kcall one = *c;
    const func *eq = func_cmp(CMP_NOT_DISTINCT, PHYS_NONE);
    uint8_t *hit = arena_alloc(c->a, c->len + 1u);
    vec v = *c->out;
    if (!hit)
        return error_nomem(err);
    v.data = hit;
    EACH_ROW(c, i) o[i] = 0;
    for (uint32_t a = 1; a < c->e->n; a++) {
        vec pair[2] = {c->args[0], c->args[a]};
        one.args = pair;
        one.out = &v;
        TRY(eq->run(&one, err));
        EACH_ROW(c, i) o[i] |= hit[i] && !arg_null(&c->args[0], i);
    }
    EACH_ROW(c, i)
    {
        bool null = arg_null(&c->args[0], i);
        for (uint32_t a = 1; a < c->e->n && !null && !o[i]; a++)
            null = arg_null(&c->args[a], i);
        if (null && !o[i] && !kcall_null(c, i))
            return error_nomem(err);
    }
    return FZ_OK;
}

static bool is_value(const expr *e) { return e->kind == EX_CONST; }

static fz_status open_in(evaluator *ev, const expr *e, step *s, bool *constant, fz_error *err)
{
    *constant = true;
    for (uint32_t i = 1; i < e->n; i++)
        *constant &= is_value(e->args[i]) || e->args[i]->kind == EX_PARAM;
    *constant &= !type_is_nested(e->args[0]->t); /* those are compared one by one */
    s->run = in_any;
    s->flags = FN_NULLS;
    if (!*constant)
        return FZ_OK;
    s->run = in_set;
    s->flags = 0;
    value_set *set;
    fz_status st = value_set_new(ev->m, e->args[0]->t, e->n, &set, err);
    s->state = set; /* also one that was made half way */
    s->close = value_set_close;
    TRY(st);
    for (uint32_t i = 1; i < e->n; i++) {
        datum d = e->args[i]->value;
        if (e->args[i]->kind == EX_PARAM)
            TRY(param_value(ev, e->args[i], &d, err));
        TRY(value_set_add(set, &d, err));
    }
    return FZ_OK;
}

static fz_status open_fn(evaluator *ev, const expr *e, step *s, fz_error *err)
{
    s->run = e->fn->run;
    s->flags = e->fn->flags;
    if (!e->fn->open)
        return FZ_OK;
    const datum *consts[16] = {0};
    datum values[16];
    for (uint32_t i = 0; i < e->n && i < 16; i++) {
        if (is_value(e->args[i]))
            values[i] = e->args[i]->value;
        else if (e->args[i]->kind == EX_PARAM)
            TRY(param_value(ev, e->args[i], &values[i], err));
        else
            continue;
        consts[i] = &values[i];
    }
    fz_status st = e->fn->open(e, consts, ev->m, &s->state, err);
    s->close = e->fn->close;
    if (st != FZ_OK && e->line > 0)
        error_line(err, e->line, e->column);
    return st;
}

static fz_status open_cast(const expr *e, step *s, fz_error *err)
{
    type from = e->args[0]->t;
    s->try_ = e->kind == EX_TRY_CAST;
    s->run = cast_kernel(from, e->t);
    s->flags = (cast_fallible(from, e->t) ? FN_FALLIBLE : 0) | (cast_dense(from, e->t) ? FN_DENSE | FN_CHEAP : 0) |
               (type_is_nested(e->t) ? FN_RAW | FN_NULLS : 0);
    if (s->run)
        return FZ_OK;
    sbuf b;
    sbuf_init(&b, NULL);
    type_sql_name(from, &b);
    sbuf_addz(&b, " to ");
    type_sql_name(e->t, &b);
    fz_status st = error_sql(err, FZ_INVALID, "42846", "there is no cast from %s", b.p ? b.p : "?");
    sbuf_free(&b);
    return st;
}

static void step_drop(step *s)
{
    if (s->close && s->state)
        s->close(s->state);
}

static fz_status emit_call(evaluator *ev, program *p, const expr *e, uint32_t depth, uint32_t *out, fz_error *err)
{
    step s = {.op = STEP_CALL, .e = e, .t = e->t};
    bool in_const = false;
    if (e->kind == EX_CAST || e->kind == EX_TRY_CAST) {
        if (e->args[0]->t.id == T_NULL) {
            datum d = DATUM_NULL(e->t);
            return emit_const(ev, p, e, &d, out, err);
        }
        TRY(open_cast(e, &s, err));
    } else if (e->kind == EX_NOT) {
        s.run = not_u8;
        s.flags = FN_DENSE | FN_CHEAP;
    } else if (e->kind == EX_IN || e->kind == EX_CALL) {
        fz_status st = e->kind == EX_IN ? open_in(ev, e, &s, &in_const, err) : open_fn(ev, e, &s, err);
        if (st != FZ_OK) {
            step_drop(&s);
            return st;
        }
    } else {
        s.op = STEP_IS_NULL;
    }
    uint32_t n = in_const ? 1 : e->n;
    fz_status st = step_args(ev, &s, n, err);
    for (uint32_t i = 0; st == FZ_OK && i < n; i++)
        st = emit(ev, p, e->args[i], depth, &s.args[i], err);
    step *at = st == FZ_OK ? step_add(ev, p, s.op, e, err) : NULL;
    if (!at) {
        step_drop(&s);
        return st == FZ_OK ? FZ_NOMEM : st;
    }
    s.out = *out = reg_new(ev);
    *at = s;
    return FZ_OK;
}

/* ---- forms that narrow the selection ---- */

static fz_status emit_begin(evaluator *ev, program *p, const expr *e, uint32_t *out, fz_error *err)
{
    step *s = step_add(ev, p, STEP_BEGIN, e, err);
    if (!s)
        return FZ_NOMEM;
    s->out = *out = reg_new(ev);
    ev->max_depth++; /* more than the true depth */
    return FZ_OK;
}

/* END, and the target of the jumps of the steps [from, END) on this register that are marked with 0. */
static fz_status emit_end(evaluator *ev, program *p, const expr *e, uint32_t out, uint32_t from, fz_error *err)
{
    step *s = step_add(ev, p, STEP_END, e, err);
    if (!s)
        return FZ_NOMEM;
    s->out = out;
    for (uint32_t i = from; i + 1 < p->n; i++)
        if (p->steps[i].out == out && p->steps[i].op != STEP_BEGIN && p->steps[i].jump == 0)
            p->steps[i].jump = p->n - 1;
    return FZ_OK;
}

static fz_status emit_chain(evaluator *ev, program *p, const expr *e, uint32_t depth, uint32_t *out, fz_error *err)
{
    uint32_t from = p->n, arg;
    TRY(emit_begin(ev, p, e, out, err));
    for (uint32_t i = 0; i < e->n; i++) {
        TRY(emit(ev, p, e->args[i], depth, &arg, err));
        TRY(step_on(ev, p, e->kind == EX_COALESCE ? STEP_COALESCE : STEP_LOGIC, e, *out, arg, err));
    }
    return emit_end(ev, p, e, *out, from, err);
}

static fz_status emit_case(evaluator *ev, program *p, const expr *e, uint32_t depth, uint32_t *out, fz_error *err)
{
    uint32_t from = p->n, arg;
    TRY(emit_begin(ev, p, e, out, err));
    uint32_t i = 0;
    for (; i + 1 < e->n; i += 2) {
        TRY(emit(ev, p, e->args[i], depth, &arg, err));
        TRY(step_on(ev, p, STEP_WHEN, e, *out, arg, err));
        uint32_t when = p->n - 1;
        TRY(emit(ev, p, e->args[i + 1], depth, &arg, err));
        TRY(step_on(ev, p, STEP_THEN, e, *out, arg, err));
        p->steps[when].jump = p->n;
    }
    if (i < e->n) {
        TRY(emit(ev, p, e->args[i], depth, &arg, err));
        TRY(step_on(ev, p, STEP_THEN, e, *out, arg, err));
    }
    return emit_end(ev, p, e, *out, from, err);
}

static fz_status emit(evaluator *ev, program *p, const expr *e, uint32_t depth, uint32_t *out, fz_error *err)
{
    if (depth >= EXPR_DEPTH_MAX)
        return error_sql(err, FZ_LIMIT, "54001", "the expression is nested more than %d deep", EXPR_DEPTH_MAX);
    switch ((expr_kind)e->kind) {
    case EX_COLUMN: {
        step *s = step_add(ev, p, STEP_COLUMN, e, err);
        if (!s)
            return FZ_NOMEM;
        s->out = *out = reg_new(ev);
        return FZ_OK;
    }
    case EX_CONST: return emit_const(ev, p, e, &e->value, out, err);
    case EX_PARAM: {
        datum d;
        TRY(param_value(ev, e, &d, err));
        return emit_const(ev, p, e, &d, out, err);
    }
    case EX_AND:
    case EX_OR:
    case EX_COALESCE: return emit_chain(ev, p, e, depth + 1, out, err);
    case EX_CASE: return emit_case(ev, p, e, depth + 1, out, err);
    default: return emit_call(ev, p, e, depth + 1, out, err);
    }
}

/* A condition as a filter: conjunctions narrow the selection and leave no value. */
static fz_status emit_filter(evaluator *ev, program *p, const expr *e, uint32_t depth, fz_error *err)
{
    uint32_t arg;
    if (depth >= EXPR_DEPTH_MAX)
        return error_sql(err, FZ_LIMIT, "54001", "the expression is nested more than %d deep", EXPR_DEPTH_MAX);
    if (e->kind == EX_AND) {
        for (uint32_t i = 0; i < e->n; i++)
            TRY(emit_filter(ev, p, e->args[i], depth + 1, err));
        return FZ_OK;
    }
    TRY(emit(ev, p, e, depth + 1, &arg, err));
    return step_on(ev, p, STEP_FILTER, e, reg_new(ev), arg, err);
}

/* ---- opening, closing ---- */

static void program_close(program *p)
{
    for (uint32_t i = 0; i < p->n; i++) {
        step_drop(&p->steps[i]);
        if (p->steps[i].cache_ready)
            arena_free(&p->steps[i].cache);
    }
}

static fz_status program_build(evaluator *ev, program *p, bool filter, fz_error *err)
{
    if (filter) {
        TRY(emit_filter(ev, p, ev->e, 0, err));
        for (uint32_t i = 0; i < p->n; i++)
            if (p->steps[i].op == STEP_FILTER)
                p->steps[i].jump = p->n;
    } else {
        TRY(emit(ev, p, ev->e, 0, &p->result, err));
    }
    p->is_const = ARENA_ARRAY(&ev->mem, bool, ev->nregs ? ev->nregs : 1);
    ev->regs = ARENA_ARRAY(&ev->mem, vec, ev->nregs ? ev->nregs : 1);
    ev->frames = ARENA_ARRAY(&ev->mem, frame, ev->max_depth + 1);
    if (!p->is_const || !ev->regs || !ev->frames)
        return error_nomem(err);
    for (uint32_t i = 0; i < p->n; i++)
        if (p->steps[i].op == STEP_CONST)
            p->is_const[p->steps[i].out] = true;
    p->ready = true;
    return FZ_OK;
}

fz_status program_prepare(evaluator *ev, bool filter, fz_error *err)
{
    program *p = filter ? &ev->filter : &ev->value;
    return p->ready ? FZ_OK : program_build(ev, p, filter, err);
}

fz_status evaluator_open(const expr *e, const datum *params, uint32_t n_params, mem *m, evaluator **out, fz_error *err)
{
    evaluator *ev = mem_zalloc(m, sizeof *ev);
    *out = NULL;
    if (!ev)
        return error_nomem(err);
    ev->m = m;
    ev->e = e;
    ev->params = params;
    ev->n_params = n_params;
    arena_init(&ev->mem, m);
    arena_init(&ev->scratch, m);
    *out = ev;
    return FZ_OK;
}

void evaluator_close(evaluator *ev)
{
    if (!ev)
        return;
    program_close(&ev->value);
    program_close(&ev->filter);
    arena_free(&ev->scratch);
    arena_free(&ev->mem);
    mem_free(ev->m, ev, sizeof *ev);
}

/* ---- without a batch ---- */

static bool const_below(const expr *e, uint32_t depth)
{
    if (e->kind == EX_COLUMN || e->kind == EX_PARAM || depth >= EXPR_DEPTH_MAX)
        return false;
    if (e->kind == EX_CALL && (e->fn->flags & FN_VOLATILE))
        return false;
    for (uint32_t i = 0; i < e->n; i++)
        if (!const_below(e->args[i], depth + 1))
            return false;
    return true;
}

bool expr_is_const(const expr *e) { return const_below(e, 0); }

fz_status expr_fold(const expr *e, arena *a, datum *out, fz_error *err)
{
    evaluator *ev;
    vec v;
    TRY(evaluator_open(e, NULL, 0, a->m, &ev, err));
    batch b = {.nrows = 1, .nsel = 1};
    fz_status st = evaluator_run(ev, &b, &v, err);
    if (st == FZ_OK) {
        *out = vec_datum(&v, 0);
        out->t = e->t;
        if (!out->null && type_phys(e->t) == PHYS_STR) {
            out->s.p = arena_strndup(a, out->s.p, out->s.n);
            if (!out->s.p)
                st = error_nomem(err);
        } else if (!out->null && type_is_nested(e->t)) {
            vec *own = ARENA_NEW(a, vec);
            st = own ? vec_const(own, out, 1, a, err) : error_nomem(err);
            out->nested.v = own;
            out->nested.row = 0;
        }
    }
    evaluator_close(ev);
    return st;
}
