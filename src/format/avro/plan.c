/*
 * plan.c: what is wanted of a file, resolved against its schema and compiled to a flat program: one operation per value of a record, in
 * the writer's order. An operation reads a value into a column or passes it; one with `opt` reads the branch of its union first.
 * Structs and lists are brackets: a null struct jumps behind its end, a list repeats what lies between (rows.c has the loop).
 *
 * Compiling recurses down the schema, whose depth is bounded.
 */
#include "format/avro/avro_file_int.h"

typedef struct compiler {
    const avro_file *f;
    avro_plan *p;
    const avro_match *how;
    uint32_t n_enums;
} compiler;

static fz_status emit(compiler *k, avro_op op, uint32_t *at, fz_error *err)
{
    avro_plan *p = k->p;
    if (p->n_ops == p->cap_ops) {
        uint32_t cap = p->cap_ops ? p->cap_ops * 2 : 64;
        avro_op *x = mem_resize(p->m, p->ops, sizeof *x * p->cap_ops, sizeof *x * cap);
        if (!x)
            return error_nomem(err);
        p->ops = x;
        p->cap_ops = cap;
    }
    if (at)
        *at = p->n_ops;
    p->ops[p->n_ops++] = op;
    return FZ_OK;
}

static fz_status skip_value(compiler *k, const avro_type *t, fz_error *err)
{
    avro_op op = {0};
    const avro_type *inner = avro_strip(t, &op.opt);
    switch (inner ? inner->kind : AVRO_UNION) {
    case AVRO_BOOL:
        op.code = AV_SKIP_FIXED, op.a = 1;
        break;
    case AVRO_FLOAT:
        op.code = AV_SKIP_FIXED, op.a = 4;
        break;
    case AVRO_DOUBLE:
        op.code = AV_SKIP_FIXED, op.a = 8;
        break;
    case AVRO_FIXED:
        op.code = AV_SKIP_FIXED, op.a = inner->size;
        break;
    case AVRO_INT:
    case AVRO_LONG:
    case AVRO_ENUM:
        op.code = AV_SKIP_VARINT;
        break;
    case AVRO_BYTES:
    case AVRO_STRING:
        op.code = AV_SKIP_BYTES;
        break;
    default:
        op = (avro_op){.code = AV_SKIP, .type = t};
    }
    avro_op *last = k->p->n_ops ? &k->p->ops[k->p->n_ops - 1] : NULL;
    if (last && op.code == AV_SKIP_FIXED && !op.opt && last->code == AV_SKIP_FIXED && !last->opt && last->a < 1u << 30 && op.a < 1u << 30) {
        last->a += op.a;
        return FZ_OK;
    }
    return emit(k, op, NULL, err);
}

/* The operation that reads a plain value of `have` as `want`; false: there is none. */
static bool leaf_code(const avro_type *t, type have, type want, avro_op *op)
{
    bool same = have.id == want.id;
    switch (t->kind) {
    case AVRO_BOOL:
        op->code = AV_BOOL;
        return same;
    case AVRO_INT:
        if (have.id == T_INT32 && want.id == T_INT64) {
            op->code = AV_I32_I64;
            return true;
        }
        op->code = t->logical == AVRO_TIME_MILLIS ? AV_TIME_MILLIS : AV_I32;
        return same;
    case AVRO_LONG:
        op->code = AV_I64;
        if (t->logical == AVRO_TIME_MICROS)
            op->code = AV_TIME;
        else if (t->logical == AVRO_TIMESTAMP_MILLIS || t->logical == AVRO_LOCAL_TIMESTAMP_MILLIS)
            op->code = AV_MILLIS;
        /* writers differ in how they say that a timestamp has a zone; its value is the same */
        return same || ((have.id == T_TIMESTAMP || have.id == T_TIMESTAMPTZ) && (want.id == T_TIMESTAMP || want.id == T_TIMESTAMPTZ));
    case AVRO_FLOAT:
        op->code = want.id == T_FLOAT64 ? AV_F32_F64 : AV_F32;
        return same || want.id == T_FLOAT64;
    case AVRO_DOUBLE:
        op->code = AV_F64;
        return same;
    case AVRO_STRING:
        op->code = have.id == T_UUID ? AV_UUID_TEXT : AV_TEXT;
        return same;
    case AVRO_ENUM:
        op->code = AV_ENUM;
        op->type = t;
        return same;
    case AVRO_BYTES:
    case AVRO_FIXED:
        op->a = t->size;
        if (have.id == T_DECIMAL) {
            op->code = t->kind == AVRO_FIXED ? AV_DECIMAL_FIXED : AV_DECIMAL;
            return same && have.scale == want.scale && have.precision <= want.precision;
        }
        op->code = t->kind == AVRO_FIXED ? AV_FIXED : AV_BYTES;
        return same ? have.width == want.width : have.id == T_FIXED && want.id == T_UUID && have.width == 16;
    default:
        return false;
    }
}

static fz_status mismatch(compiler *k, str name, type have, type want, fz_error *err)
{
    sbuf a, b;
    sbuf_init(&a, k->p->m);
    sbuf_init(&b, k->p->m);
    type_sql_name(have, &a);
    type_sql_name(want, &b);
    error_set(err, FZ_INVALID, "column \"" STR_FMT "\" is %s in the file, which can't be read as %s", STR_ARG(name), a.p ? a.p : "?",
              b.p ? b.p : "?");
    error_where(err, k->f->path);
    sbuf_free(&a);
    sbuf_free(&b);
    return FZ_INVALID;
}

/* The wanted member that a member of the file is: its ordinal, or UINT32_MAX. */
static uint32_t find_member(const compiler *k, str name, int32_t id, uint32_t elem, const type_fields *want)
{
    if (k->how && !k->how->by_name && k->how->ids)
        id = k->how->ids[elem];
    for (uint32_t i = 0; i < want->n; i++)
        if (k->how && k->how->by_name ? str_eq(want->f[i].name, name) : id >= 0 && want->f[i].field_id == id)
            return i;
    return UINT32_MAX;
}

static fz_status read_value(compiler *k, str name, const avro_type *t, type have, uint32_t elem, type want, uint32_t col, fz_error *err);

static fz_status read_struct(compiler *k, str name, const avro_type *t, type have, uint32_t elem, type want, uint32_t col, uint8_t opt,
                             fz_error *err)
{
    uint32_t at;
    TRY(emit(k, (avro_op){.code = AV_STRUCT, .opt = opt, .col = col}, &at, err));
    elem++;
    for (uint32_t i = 0; i < t->n; i++) {
        const type_field *h = &have.children->f[i];
        uint32_t ord = find_member(k, h->name, h->field_id, elem, want.children), to = col + 1;
        for (uint32_t j = 0; ord != UINT32_MAX && j < ord; j++)
            to += avro_type_members(want.children->f[j].t);
        if (ord == UINT32_MAX || !k->p->absent[to])
            TRY(skip_value(k, t->fields[i].type, err));
        else
            TRY(read_value(k, name, t->fields[i].type, h->t, elem, want.children->f[ord].t, to, err));
        elem += avro_type_members(h->t);
    }
    TRY(emit(k, (avro_op){.code = AV_STRUCT_END, .col = col}, NULL, err));
    k->p->ops[at].a = k->p->n_ops;
    return FZ_OK;
}

static fz_status read_list(compiler *k, str name, const avro_type *t, type have, uint32_t elem, type want, uint32_t col, uint8_t opt,
                           fz_error *err)
{
    const avro_type *item = t->fields[0].type;
    bool pairs = want.id == T_MAP && t->kind == AVRO_ARRAY;
    uint32_t at, first = col + 1, second = first + avro_type_members(want.children->f[0].t);
    TRY(emit(k, (avro_op){.code = AV_LIST, .opt = opt, .col = col, .size = item->min_size + (t->kind == AVRO_MAP)}, &at, err));
    elem++;
    if (want.id == T_LIST) {
        TRY(read_value(k, name, item, have.children->f[0].t, elem, want.children->f[0].t, first, err));
    } else {
        static const avro_type text = {.kind = AVRO_STRING, .min_size = 1};
        const avro_type *key = pairs ? item->fields[0].type : &text, *value = pairs ? item->fields[1].type : item;
        TRY(read_value(k, name, key, have.children->f[0].t, elem, want.children->f[0].t, first, err));
        elem += avro_type_members(have.children->f[0].t);
        TRY(read_value(k, name, value, have.children->f[1].t, elem, want.children->f[1].t, second, err));
    }
    TRY(emit(k, (avro_op){.code = AV_LIST_END, .col = col, .a = at + 1, .size = k->p->ops[at].size}, NULL, err));
    k->p->ops[at].a = k->p->n_ops;
    return FZ_OK;
}

static fz_status read_value(compiler *k, str name, const avro_type *t, type have, uint32_t elem, type want, uint32_t col, fz_error *err)
{
    avro_op op = {.col = col};
    t = avro_strip(t, &op.opt);
    k->p->absent[col] = false;
    if (type_is_nested(want)) {
        if (have.id != want.id)
            return mismatch(k, name, have, want, err);
        return want.id == T_STRUCT ? read_struct(k, name, t, have, elem, want, col, op.opt, err)
                                   : read_list(k, name, t, have, elem, want, col, op.opt, err);
    }
    if (type_is_nested(have) || !leaf_code(t, have, want, &op))
        return mismatch(k, name, have, want, err);
    if (op.code == AV_ENUM)
        op.size = k->n_enums++;
    return emit(k, op, NULL, err);
}

/* The symbols of enums as texts in one buffer. */
static fz_status enum_texts(compiler *k, fz_error *err)
{
    avro_plan *p = k->p;
    size_t total = 0;
    for (uint32_t i = 0; i < p->n_ops; i++)
        for (uint32_t s = 0; p->ops[i].code == AV_ENUM && s < p->ops[i].type->size; s++)
            total += p->ops[i].type->symbols[s].n;
    if (!k->n_enums)
        return FZ_OK;
    p->symbols = buf_new(p->m, total);
    p->views = ARENA_ARRAY(&p->mem_, strview *, k->n_enums);
    if (!p->symbols || !p->views)
        return error_nomem(err);
    char *at = (char *)p->symbols->data;
    for (uint32_t i = 0; i < p->n_ops; i++) {
        if (p->ops[i].code != AV_ENUM)
            continue;
        const avro_type *t = p->ops[i].type;
        strview *v = p->views[p->ops[i].size] = ARENA_ARRAY(&p->mem_, strview, t->size);
        if (!v)
            return error_nomem(err);
        for (uint32_t s = 0; s < t->size; s++) {
            memcpy(at, t->symbols[s].p, t->symbols[s].n);
            v[s] = strview_make(at, (uint32_t)t->symbols[s].n);
            at += t->symbols[s].n;
        }
    }
    return FZ_OK;
}

static fz_status compile(compiler *k, uint32_t n, const column_def *want, fz_error *err)
{
    const avro_file *f = k->f;
    uint32_t elem = 0;
    for (uint32_t i = 0; i < f->schema.n; i++) {
        const column_def *h = &f->schema.cols[i];
        int32_t id = k->how && !k->how->by_name && k->how->ids ? k->how->ids[elem] : h->field_id;
        uint32_t ord = 0, to = 0;
        while (ord < n && !(k->how && k->how->by_name ? str_eq(want[ord].name, h->name) : id >= 0 && want[ord].field_id == id)) {
            to += avro_type_members(want[ord].t);
            ord++;
        }
        const avro_type *t = f->root->fields[i].type;
        if (ord == n || k->p->has[ord]) {
            TRY(skip_value(k, t, err));
        } else if (f->why[i]) {
            error_set(err, FZ_UNSUPPORTED, "column \"" STR_FMT "\" has a type that can't be read: %s", STR_ARG(h->name), f->why[i]);
            error_where(err, f->path);
            return FZ_UNSUPPORTED;
        } else {
            k->p->has[ord] = true;
            TRY(read_value(k, h->name, t, h->t, elem, want[ord].t, to, err));
        }
        elem += avro_type_members(h->t);
    }
    TRY(emit(k, (avro_op){.code = AV_END}, NULL, err));
    return enum_texts(k, err);
}

fz_status avro_plan_new(avro_file *f, uint32_t n, const column_def *want, const avro_match *how, mem *m, avro_plan **out, fz_error *err)
{
    avro_plan *p = mem_zalloc(m, sizeof *p);
    if (!p)
        return error_nomem(err);
    p->m = m;
    p->n = n;
    arena_init(&p->mem_, m);
    fz_status st = FZ_OK;
    for (uint32_t i = 0; i < n; i++)
        p->n_cols += avro_type_members(want[i].t);
    p->types = ARENA_ARRAY(&p->mem_, type, n);
    p->has = ARENA_ARRAY(&p->mem_, bool, n);
    p->absent = ARENA_ARRAY(&p->mem_, bool, p->n_cols);
    if (!p->types || !p->has || !p->absent) {
        st = error_nomem(err);
        goto out;
    }
    memset(p->absent, true, p->n_cols);
    for (uint32_t i = 0; i < n; i++)
        p->types[i] = want[i].t;
    compiler k = {.f = f, .p = p, .how = how};
    TRY_GOTO(compile(&k, n, want, err));
    *out = p;
out:
    if (st)
        avro_plan_free(p);
    return st;
}

bool avro_plan_has(const avro_plan *p, uint32_t i) { return p->has[i]; }

void avro_plan_free(avro_plan *p)
{
    if (!p)
        return;
    buf_unref(p->symbols);
    mem_free(p->m, p->ops, sizeof *p->ops * p->cap_ops);
    arena_free(&p->mem_);
    mem_free(p->m, p, sizeof *p);
}
