/*
 * cast_nested.c: conversions between nested types, member by member, and the common type of two of them.
 *
 * A list's element becomes the other's element, a map's key and value the other's. Members of a struct are found by name:
 * each of the source's has to have its counterpart (the exact name, else the only one without regard to case), and
 * what only the target has becomes null. A struct as row(…) makes it, whose fields are named f1, f2, …, goes by
 * position instead where those names aren't the target's.
 *
 * A conversion may fail for values that count only. So members are converted on vectors in which
 * everything counts: rows that aren't selected, rows under null parents and elements of no list are left out first.
 */
#include "exec/func_int.h"

#include <stdio.h>

/* ---- which types ---- */

/* The field of that name; UINT32_MAX: none, or several that differ in case. */
static uint32_t field_find(const type_fields *in, str name)
{
    uint32_t found = UINT32_MAX, count = 0;
    for (uint32_t i = 0; i < in->n; i++)
        if (str_eq(in->f[i].name, name))
            return i;
    for (uint32_t i = 0; i < in->n; i++)
        if (str_ieq(in->f[i].name, name) && count++ == 0)
            found = i;
    return count == 1 ? found : UINT32_MAX;
}

/* A struct as row() makes it. */
static bool fields_unnamed(const type_fields *f)
{
    char name[16];
    for (uint32_t i = 0; i < f->n; i++) {
        snprintf(name, sizeof name, "f%u", i + 1);
        if (!str_eqz(f->f[i].name, name))
            return false;
    }
    return f->n > 0;
}

static bool all_named_in(const type_fields *from, const type_fields *to)
{
    for (uint32_t i = 0; i < from->n; i++) {
        uint32_t k = field_find(to, from->f[i].name);
        if (k == UINT32_MAX || field_find(from, to->f[k].name) != i)
            return false;
    }
    return true;
}

bool cast_members(type from, type to)
{
    if (from.id != to.id || !type_is_nested(from))
        return false;
    return from.id != T_STRUCT || all_named_in(from.children, to.children) ||
           (from.children->n == to.children->n && fields_unnamed(from.children));
}

uint32_t cast_member(type from, type to, uint32_t k)
{
    if (from.id != T_STRUCT)
        return k;
    return all_named_in(from.children, to.children) ? field_find(from.children, to.children->f[k].name) : k;
}

static bool members_all(type from, type to, bool (*fn)(type from, type to))
{
    if (!cast_members(from, to))
        return false;
    for (uint32_t k = 0; k < to.children->n; k++) {
        uint32_t i = cast_member(from, to, k);
        if (i != UINT32_MAX && !fn(from.children->f[i].t, to.children->f[k].t))
            return false;
    }
    return true;
}

bool cast_nested_exists(type from, type to) { return members_all(from, to, cast_exists); }

bool cast_nested_implicit(type from, type to)
{
    return members_all(from, to, cast_implicit) && from.children->n == to.children->n;
}

bool type_common_in(arena *a, type x, type y, type *out)
{
    if (!type_is_nested(x) || !type_is_nested(y) || type_eq(x, y))
        return type_common(x, y, out);
    if (x.id != y.id || x.children->n != y.children->n || !cast_members(y, x))
        return false;
    type_fields *f = arena_zalloc(a, sizeof *f + x.children->n * sizeof f->f[0]);
    if (!f)
        return false;
    f->n = x.children->n;
    for (uint32_t k = 0; k < f->n; k++) {
        const type_field *p = &x.children->f[k], *q = &y.children->f[cast_member(y, x, k)];
        f->f[k] = *p;
        f->f[k].required = p->required && q->required;
        f->f[k].field_id = p->field_id == q->field_id ? p->field_id : -1;
        if (!type_common_in(a, p->t, q->t, &f->f[k].t))
            return false;
    }
    *out = (type){.id = x.id, .children = f};
    return true;
}

/* ---- values ---- */

static fz_status cast_vec(const kcall *c, const vec *in, type to, vec *out, fz_error *err);

static fz_status index_upto(const kcall *c, uint32_t n, uint32_t **out, fz_error *err)
{
    *out = arena_alloc(c->a, (size_t)n * sizeof **out);
    if (!*out)
        return error_nomem(err);
    for (uint32_t i = 0; i < n; i++)
        (*out)[i] = i;
    return FZ_OK;
}

/* The kernel on a FLAT vector without nulls. */
static fz_status leaf_run(const kcall *c, const vec *in, type to, vec *out, fz_error *err)
{
    expr arg = {.kind = EX_CONST, .t = in->t, .line = c->e->line, .column = c->e->column}, e = *c->e;
    const expr *args[1] = {&arg};
    kernel_fn *run = cast_kernel(in->t, to);
    if (!run)
        return error_set(err, FZ_INTERNAL, "a cast of members that doesn't exist");
    e.t = to;
    e.args = args;
    e.n = 1;
    TRY(vec_alloc(out, to, in->len, c->a, err));
    kcall k = {.e = &e, .a = c->a, .n = in->len, .len = in->len, .args = in, .out = out, .try_ = c->try_};
    return run(&k, err);
}

static fz_status leaf_cast(const kcall *c, const vec *in, type to, vec *out, fz_error *err)
{
    vec flat, made;
    uint32_t n = 0;
    TRY(vec_flatten(&flat, in, c->a, err));
    if (!flat.valid)
        return leaf_run(c, &flat, to, out, err);
    uint32_t *idx = arena_alloc(c->a, (size_t)flat.len * sizeof *idx), *back = arena_alloc(c->a, (size_t)flat.len * sizeof *back);
    if (!idx || !back)
        return error_nomem(err);
    for (uint32_t i = 0; i < flat.len; i++) {
        bool there = bit_get(flat.valid, i);
        back[i] = there ? n : UINT32_MAX;
        if (there)
            idx[n++] = i;
    }
    vec dense;
    TRY(vec_take(&dense, &flat, idx, n, false, c->a, err));
    TRY(leaf_run(c, &dense, to, &made, err));
    return vec_take(out, &made, back, flat.len, false, c->a, err);
}

/* in: FLAT. */
static fz_status struct_cast(const kcall *c, const vec *in, type to, vec *out, fz_error *err)
{
    uint32_t *idx = NULL;
    *out = (vec){.t = to, .enc = VEC_FLAT, .len = in->len, .valid = in->valid, .kids = ARENA_ARRAY(c->a, vec, to.children->n)};
    if (!out->kids)
        return error_nomem(err);
    if (in->valid) {
        TRY(index_upto(c, in->len, &idx, err));
        for (uint32_t i = 0; i < in->len; i++)
            if (!bit_get(in->valid, i))
                idx[i] = UINT32_MAX;
    }
    for (uint32_t k = 0; k < to.children->n; k++) {
        uint32_t i = cast_member(in->t, to, k);
        if (i == UINT32_MAX) {
            datum null = DATUM_NULL(to.children->f[k].t);
            TRY(vec_const(&out->kids[k], &null, in->len, c->a, err));
            continue;
        }
        vec kid = in->kids[i];
        if (idx && !type_eq(kid.t, to.children->f[k].t))
            TRY(vec_take(&kid, &in->kids[i], idx, in->len, false, c->a, err));
        TRY(cast_vec(c, &kid, to.children->f[k].t, &out->kids[k], err));
    }
    return FZ_OK;
}

/* in: FLAT. */
static fz_status list_cast(const kcall *c, const vec *in, type to, vec *out, fz_error *err)
{
    const uint32_t *o = in->data;
    vec src = *in;
    bool tight = !in->valid && o[0] == 0;
    for (uint32_t k = 0; k < to.children->n; k++)
        tight &= in->kids[k].len == o[in->len];
    if (!tight) { /* without elements of no list */
        uint32_t *idx;
        TRY(index_upto(c, in->len, &idx, err));
        TRY(vec_take(&src, in, idx, in->len, false, c->a, err));
    }
    *out = src;
    out->t = to;
    out->kids = ARENA_ARRAY(c->a, vec, to.children->n);
    if (!out->kids)
        return error_nomem(err);
    for (uint32_t k = 0; k < to.children->n; k++)
        TRY(cast_vec(c, &src.kids[k], to.children->f[k].t, &out->kids[k], err));
    return FZ_OK;
}

/* All values that aren't null count. */
static fz_status cast_vec(const kcall *c, const vec *in, type to, vec *out, fz_error *err)
{
    if (type_eq(in->t, to)) {
        *out = *in;
        return FZ_OK;
    }
    if (in->t.id == T_NULL || (in->enc == VEC_CONST && in->valid && !bit_get(in->valid, 0))) {
        datum null = DATUM_NULL(to);
        return vec_const(out, &null, in->len, c->a, err);
    }
    vec one = *in;
    if (in->enc == VEC_CONST) { /* as one row */
        one.enc = VEC_FLAT;
        one.len = 1;
        one.valid = NULL;
    }
    TRY(!type_is_nested(to) ? leaf_cast(c, &one, to, out, err)
        : to.id == T_STRUCT ? struct_cast(c, &one, to, out, err)
                            : list_cast(c, &one, to, out, err));
    return in->enc == VEC_CONST ? vec_make_const(out, in->len, c->a, err) : FZ_OK;
}

fz_status cast_nested(kcall *c, fz_error *err)
{
    vec in = c->args[0], made;
    if (!c->rows)
        return cast_vec(c, &in, c->e->t, c->out, err);
    uint32_t *idx = arena_alloc(c->a, c->n * sizeof *idx), *back = arena_alloc(c->a, c->len * sizeof *back);
    if (!idx || !back)
        return error_nomem(err);
    memset(back, 0xff, c->len * sizeof *back);
    for (uint32_t k = 0; k < c->n; k++) {
        idx[k] = c->rows[k];
        back[c->rows[k]] = k;
    }
    vec dense;
    TRY(vec_take(&dense, &in, idx, c->n, false, c->a, err));
    TRY(cast_vec(c, &dense, c->e->t, &made, err));
    return vec_take(c->out, &made, back, c->len, false, c->a, err);
}
