/*
 * value.c: records into columns, by the types. One pass: a key is guessed to be the one that stood at this place of the object before, and
 * compared with it (16 bytes at once), so that records which all look alike cost no look-up; a value is read by what its column is.
 * Recursion goes down the types, whose depth is bounded; what is kept as text or passed is walked without any.
 */
#include "format/json/json_int.h"

#include "format/text/fit.h"

#define ORDER_MAX 4096 /* places of an object that are remembered */

/* ---- nodes ---- */

static fz_status node_make(json_local *l, jnode *n, type t, str name, uint32_t col, bool inferred, fz_error *err)
{
    *n = (jnode){.t = t, .name = name, .col = col, .inferred = inferred};
    if (!type_is_nested(t))
        return FZ_OK;
    n->nkids = t.children->n;
    n->kids = ARENA_ARRAY(&l->a, jnode, n->nkids);
    if (!n->kids)
        return error_nomem(err);
    strmap_init(&n->keys, &l->a);
    for (uint32_t i = 0; i < n->nkids; i++) {
        const type_field *f = &t.children->f[i];
        uint32_t kid = col == UINT32_MAX ? UINT32_MAX : i == 0 ? col + 1 : l->g.cols[n->kids[i - 1].col].end;
        TRY(node_make(l, &n->kids[i], f->t, f->name, kid, inferred, err));
        n->kids[i].not_null = f->required && !inferred;
        if (t.id != T_STRUCT)
            continue;
        void **v = strmap_put(&n->keys, f->name);
        if (!v)
            return error_nomem(err);
        *v = &n->kids[i];
    }
    return FZ_OK;
}

/* Types whose tally says that no value was seen wait for the first one. */
static void mark_undecided(jnode *n, const tally *y, unsigned depth)
{
    if (!n->inferred || depth > TYPE_DEPTH_MAX)
        return;
    if (!y || tally_undecided(y)) {
        n->undecided = true;
        return;
    }
    for (uint32_t i = 0; i < n->nkids; i++)
        mark_undecided(&n->kids[i], i < y->n ? y->kids[i] : NULL, depth + 1);
}

fz_status nodes_make(json_local *l, fz_error *err)
{
    const json_rows *s = l->s;
    type *types = ARENA_ARRAY(&l->a, type, s->nproj);
    l->root = (jnode){.t = TYPE(T_STRUCT), .col = UINT32_MAX, .nkids = s->ncols};
    l->root.kids = ARENA_ARRAY(&l->a, jnode, s->ncols);
    if (!types || !l->root.kids)
        return error_nomem(err);
    strmap_init(&l->root.keys, &l->a);
    for (uint32_t i = 0; i < s->nproj; i++)
        types[i] = s->cols[s->proj[i]].t;
    TRY(grow_init(&l->g, s->nproj, types, s->pool, s->m, err));
    for (uint32_t c = 0; c < s->ncols; c++) {
        uint32_t p = 0;
        while (p < s->nproj && s->proj[p] != c)
            p++;
        jnode *n = &l->root.kids[c];
        const json_column *col = &s->cols[c];
        TRY(node_make(l, n, col->t, s->schema.cols[c].name, p < s->nproj ? l->g.top[p] : UINT32_MAX, col->inferred, err));
        n->not_null = col->not_null;
        mark_undecided(n, col->y, 0);
        void **v = strmap_put(&l->root.keys, s->schema.cols[c].name);
        if (!v)
            return error_nomem(err);
        *v = n;
    }
    return FZ_OK;
}

/* ---- faults ---- */

static const char *syntax(json_local *l, const char *what, const char *at)
{
    l->why = WHY_SYNTAX;
    l->fault = (json_fault){what, at};
    return NULL;
}

static const char *broken(json_local *l)
{
    l->why = WHY_SYNTAX;
    return NULL;
}

static const char *refused(json_local *l, json_why why, const jnode *n, const char *at, conv c)
{
    l->why = why;
    l->node = n;
    l->value = at;
    l->conv = c;
    return NULL;
}

static const char *failed(json_local *l, fz_status st)
{
    l->why = WHY_STATUS;
    l->status = st;
    return NULL;
}

/* An inferred type widens, a given one doesn't take the value. The value itself must be whole first. */
static const char *misfit(json_local *l, const jnode *n, const char *at, conv c)
{
    json_fault f;
    if (!json_value_skip(at, &f)) {
        l->fault = f;
        return broken(l);
    }
    return refused(l, n->inferred ? WHY_MISFIT : WHY_VALUE, n, at, c);
}

/* ---- values ---- */

static const char *put_null(json_local *l, const jnode *n, const char *p)
{
    if (strncmp(p, "null", 4) != 0)
        return syntax(l, json_not_value(p), p);
    if (n->not_null)
        return refused(l, WHY_NULL, n, p, CONV_OK);
    grow_null(&l->g, n->col);
    return p + 4;
}

/* A string's value: in the block, or unescaped into the batch's memory. */
static const char *take_string(json_local *l, const char *p, str *out)
{
    const char *from = p + 1, *end;
    bool escaped;
    if (!(p = json_string(from, &end, &escaped, &l->fault)))
        return broken(l);
    *out = (str){from, (size_t)(end - from)};
    if (escaped) {
        char *d = grow_bytes(&l->g, out->n);
        if (!d)
            return failed(l, FZ_NOMEM);
        size_t n = json_string_value(from, end, d);
        grow_bytes_back(&l->g, out->n - n);
        *out = (str){d, n};
    }
    return p;
}

static bool is_null_text(const json_local *l, str s)
{
    for (uint32_t i = 0; i < l->s->o.nnulls; i++)
        if (str_eq(l->s->o.nulls[i], s))
            return true;
    return false;
}

static const char *put_null_text(json_local *l, const jnode *n, const char *at, const char *p)
{
    if (n->not_null)
        return refused(l, WHY_NULL, n, at, CONV_OK);
    grow_null(&l->g, n->col);
    return p;
}

static const char *text_value(json_local *l, jnode *n, const char *p)
{
    const char *at = p;
    str s;
    if (*p == '"') {
        if (!(p = take_string(l, p, &s)))
            return NULL;
        if (__builtin_expect(l->s->o.nnulls && is_null_text(l, s), 0))
            return put_null_text(l, n, at, p);
        if (__builtin_expect(n->undecided, 0)) {
            if (s.n >= 5 && s.p[0] >= '0' && s.p[0] <= '9' && fit_value(s) & (FIT_DATE | FIT_TIME | FIT_STAMP | FIT_STAMPTZ))
                return refused(l, WHY_MISFIT, n, at, CONV_BAD);
            n->undecided = false;
        }
    } else if (*p == 'n') {
        return put_null(l, n, p);
    } else {
        if (n->undecided)
            return misfit(l, n, p, CONV_BAD);
        if (!(p = json_value_skip(p, &l->fault)))
            return broken(l);
        s = (str){at, (size_t)(p - at)};
    }
    if (s.n > UINT32_MAX)
        return syntax(l, "a text of more than 4 GiB", at);
    *GROW_AT(&l->g, strview, n->col) = strview_make(s.p, (uint32_t)s.n);
    l->g.cols[n->col].n++;
    return p;
}

/* A datum of the node's type into the column; texts are copied. */
static bool put_datum(json_local *l, const jnode *n, const datum *d)
{
    grow_col *c = &l->g.cols[n->col];
    void *to = (char *)c->data + (size_t)c->n * c->size;
    if (c->phys == PHYS_STR) {
        char *bytes = d->s.n > 12 ? grow_bytes(&l->g, d->s.n) : (char *)d->s.p;
        if (!bytes)
            return false;
        if (d->s.n > 12)
            memcpy(bytes, d->s.p, d->s.n);
        *(strview *)to = strview_make(bytes, (uint32_t)d->s.n);
    } else if (c->phys == PHYS_U8) {
        *(uint8_t *)to = d->b;
    } else {
        memcpy(to, &d->i128v, c->size); /* members of one union */
    }
    c->n++;
    return true;
}

static conv text_to(str s, type t, arena *a, datum *d)
{
    *d = (datum){.t = t};
    i128 wide;
    int64_t i;
    conv c;
    switch (t.id) {
    case T_BOOL:
        return text_to_bool(s.p, s.n, &d->b);
    case T_INT32:
        c = text_to_i64(s.p, s.n, &i);
        d->i32 = (int32_t)i;
        return c != CONV_OK ? c : i == d->i32 ? CONV_OK : CONV_RANGE;
    case T_INT64:
        return text_to_i64(s.p, s.n, &d->i64);
    case T_FLOAT32:
        return text_to_f32(s.p, s.n, &d->f32);
    case T_FLOAT64:
        return text_to_f64(s.p, s.n, &d->f64);
    case T_DECIMAL:
        c = text_to_decimal(s.p, s.n, t.precision, t.scale, &wide);
        if (type_phys(t) == PHYS_I64)
            d->i64 = (int64_t)wide;
        else
            d->i128v = wide;
        return c;
    case T_DATE:
        return text_to_date(s.p, s.n, &d->i32);
    case T_TIME:
        return text_to_time(s.p, s.n, &d->i64);
    case T_TIMESTAMP:
        return text_to_timestamp(s.p, s.n, &d->i64);
    case T_TIMESTAMPTZ:
        return text_to_timestamptz(s.p, s.n, &d->i64);
    default:
        return text_to_datum(s, t, a, d, NULL) == FZ_OK ? CONV_OK : CONV_BAD;
    }
}

static bool takes_numbers(type_id t)
{
    return t == T_INT32 || t == T_INT64 || t == T_FLOAT32 || t == T_FLOAT64 || t == T_DECIMAL;
}

/* Every other type, the general way. */
static const char *other_value(json_local *l, jnode *n, const char *p)
{
    const char *at = p;
    str s;
    bool quoted = *p == '"';
    if (*p == 'n')
        return put_null(l, n, p);
    if (quoted) {
        const char *end;
        bool escaped;
        if (!(p = json_string(at + 1, &end, &escaped, &l->fault)))
            return broken(l);
        s = (str){at + 1, (size_t)(end - at - 1)};
        if (escaped) {
            sbuf_clear(&l->scratch);
            if (!sbuf_reserve(&l->scratch, s.n + 1))
                return failed(l, FZ_NOMEM);
            s = (str){l->scratch.p, json_string_value(at + 1, end, l->scratch.p)};
        }
        if (l->s->o.nnulls && is_null_text(l, s))
            return put_null_text(l, n, at, p);
        bool of_text = n->t.id == T_DATE || n->t.id == T_TIME || n->t.id == T_TIMESTAMP || n->t.id == T_TIMESTAMPTZ;
        if (n->inferred && (!of_text || escaped))
            return misfit(l, n, at, CONV_BAD);
    } else {
        bool word = *p == 't' || *p == 'f', number = *p == '-' || (*p >= '0' && *p <= '9');
        if (!(number && takes_numbers(n->t.id)) && !(word && n->t.id == T_BOOL))
            return misfit(l, n, at, CONV_BAD);
        if (!(p = json_value_skip(p, &l->fault)))
            return broken(l);
        s = (str){at, (size_t)(p - at)};
    }
    arena tmp;
    arena_init(&tmp, l->s->m);
    datum d;
    conv c = text_to(s, n->t, &tmp, &d);
    if (c == CONV_OK && n->inferred && n->t.id == T_FLOAT64 && double_loses(s, d.f64))
        c = CONV_INEXACT;
    bool ok = c != CONV_OK || put_datum(l, n, &d);
    arena_free(&tmp);
    if (!ok)
        return failed(l, FZ_NOMEM);
    return c == CONV_OK ? p : misfit(l, n, at, c);
}

static const char *int64_value(json_local *l, jnode *n, const char *p)
{
    grow_col *c = &l->g.cols[n->col];
    if (__builtin_expect(json_int_fast(&p, (int64_t *)c->data + c->n), 1)) {
        c->n++;
        return p;
    }
    return other_value(l, n, p);
}

static const char *int32_value(json_local *l, jnode *n, const char *p)
{
    grow_col *c = &l->g.cols[n->col];
    const char *from = p;
    int64_t v;
    if (json_int_fast(&p, &v) && v == (int32_t)v) {
        ((int32_t *)c->data)[c->n++] = (int32_t)v;
        return p;
    }
    return other_value(l, n, from);
}

static const char *f64_value(json_local *l, jnode *n, const char *p)
{
    grow_col *c = &l->g.cols[n->col];
    const char *end;
    json_number kind;
    if (*p != '-' && !(*p >= '0' && *p <= '9'))
        return other_value(l, n, p);
    if (!(end = json_number_scan(p, &kind, &l->fault)))
        return broken(l);
    double *d = (double *)c->data + c->n;
    str s = {p, (size_t)(end - p)};
    conv r = text_to_f64(s.p, s.n, d);
    if (r == CONV_OK && n->inferred && double_loses(s, *d))
        r = CONV_INEXACT;
    if (r != CONV_OK)
        return misfit(l, n, p, r);
    c->n++;
    return end;
}

static const char *bool_value(json_local *l, jnode *n, const char *p)
{
    grow_col *c = &l->g.cols[n->col];
    if (memcmp(p, "true", 4) == 0) {
        ((uint8_t *)c->data)[c->n++] = 1;
        return p + 4;
    }
    if (memcmp(p, "false", 5) == 0) {
        ((uint8_t *)c->data)[c->n++] = 0;
        return p + 5;
    }
    return other_value(l, n, p);
}

static const char *any_value(json_local *l, jnode *n, const char *p);

static const char *list_value(json_local *l, jnode *n, const char *p)
{
    if (*p != '[')
        return *p == 'n' ? put_null(l, n, p) : misfit(l, n, p, CONV_BAD);
    p = json_ws(p + 1);
    jnode *kid = n->kids;
    fz_status st;
    while (*p != ']') {
        if ((st = grow_room(&l->g, kid->col, 1, &l->error)))
            return failed(l, st);
        if (!(p = any_value(l, kid, p)))
            return NULL;
        p = json_ws(p);
        if (*p == ',') {
            p = json_ws(p + 1);
            if (*p == ']')
                return syntax(l, json_not_value(p), p);
        } else if (*p != ']') {
            return syntax(l, "a comma or ] is due here", p);
        }
    }
    grow_list(&l->g, n->col);
    return p + 1;
}

static const char *map_value(json_local *l, jnode *n, const char *p)
{
    if (*p != '{')
        return *p == 'n' ? put_null(l, n, p) : misfit(l, n, p, CONV_BAD);
    p = json_ws(p + 1);
    jnode *key = &n->kids[0], *value = &n->kids[1];
    fz_status st;
    while (*p != '}') {
        if ((st = grow_room(&l->g, key->col, 1, &l->error)) || (st = grow_room(&l->g, value->col, 1, &l->error)))
            return failed(l, st);
        if (*p != '"')
            return syntax(l, "a key is due here", p);
        if (!(p = key->t.id == T_STRING ? text_value(l, key, p) : other_value(l, key, p)))
            return NULL;
        p = json_ws(p);
        if (*p != ':')
            return syntax(l, "a colon is due after the key", p);
        if (!(p = any_value(l, value, json_ws(p + 1))))
            return NULL;
        p = json_ws(p);
        if (*p == ',') {
            p = json_ws(p + 1);
            if (*p == '}')
                return syntax(l, "a key is due here", p);
        } else if (*p != '}') {
            return syntax(l, "a comma or } is due here", p);
        }
    }
    grow_list(&l->g, n->col);
    return p + 1;
}

/* ---- objects ---- */

/* Remembers that this key stands at this place. The spelling is the first that this kid was met with: others are looked up each time. */
static void remember(json_local *l, jnode *n, uint32_t place, const char *quoted, size_t len, uint32_t kid)
{
    jnode *k = &n->kids[kid];
    if (place >= ORDER_MAX || len > UINT32_MAX)
        return;
    if (!k->quoted.p) {
        k->quoted.p = arena_strndup(&l->a, quoted, len);
        k->quoted.n = k->quoted.p ? len : 0;
    }
    if (!str_eq(k->quoted, (str){quoted, len}))
        return;
    if (place >= n->norder) {
        uint32_t cap = place < 8 ? 16 : place * 2 + 2;
        struct jkey *x = ARENA_ARRAY(&l->a, struct jkey, cap);
        if (!x)
            return;
        if (n->norder)
            memcpy(x, n->order, sizeof *x * n->norder);
        n->order = x;
        n->norder = cap;
    }
    struct jkey *o = &n->order[place];
    *o = (struct jkey){.text = k->quoted.p, .len = (uint32_t)len, .kid = kid};
    uint8_t mask[16] = {0};
    memset(mask, 0xff, len < 16 ? len : 16);
    memcpy(o->head, quoted, len < 16 ? len : 16);
    memcpy(o->mask, mask, 16);
}

/* A key that isn't where it was: by its name. *kid UINT32_MAX: there is no such. */
static const char *find_key(json_local *l, jnode *n, uint32_t place, const char *p, uint32_t *kid)
{
    const char *from = p + 1, *end;
    bool escaped;
    if (!(p = json_string(from, &end, &escaped, &l->fault)))
        return broken(l);
    str key = {from, (size_t)(end - from)};
    if (escaped) {
        sbuf_clear(&l->scratch);
        if (!sbuf_reserve(&l->scratch, key.n + 1))
            return failed(l, FZ_NOMEM);
        key = (str){l->scratch.p, json_string_value(from, end, l->scratch.p)};
    }
    const jnode *found = strmap_get(&n->keys, key);
    if (!found && n == &l->root && l->s->ngiven) { /* names of a table: without regard to case where only one fits */
        for (uint32_t i = 0; i < n->nkids; i++)
            if (str_ieq(n->kids[i].name, key)) {
                if (found)
                    return refused(l, WHY_KEY, NULL, from - 1, CONV_OK);
                found = &n->kids[i];
            }
    }
    *kid = found ? (uint32_t)(found - n->kids) : UINT32_MAX;
    if (found)
        remember(l, n, place, from - 1, (size_t)(p - from + 1), *kid);
    return p;
}

static inline const char *guess_key(const json_local *l, const jnode *n, uint32_t place, const char *p, uint32_t *kid)
{
    if (place >= n->norder)
        return NULL;
    const struct jkey *k = &n->order[place];
    uint64_t a, b;
    memcpy(&a, p, 8);
    memcpy(&b, p + 8, 8);
    if ((((a ^ k->head[0]) & k->mask[0]) | ((b ^ k->head[1]) & k->mask[1])) != 0 || k->len == 0)
        return NULL;
    if (k->len > 16 && (k->len > (size_t)(l->text + l->n - p) || memcmp(p + 16, k->text + 16, k->len - 16) != 0))
        return NULL;
    *kid = k->kid;
    return p + k->len;
}

/* The members of an object whose brace is passed; `have` values of each of its columns were there before. */
static const char *object_members(json_local *l, jnode *n, const char *p, uint32_t have)
{
    grow_col *cols = l->g.cols;
    uint32_t seen = 0;
    p = json_ws(p);
    for (uint32_t place = 0; *p != '}'; place++) {
        uint32_t kid;
        const char *key = p, *q = guess_key(l, n, place, p, &kid);
        if (__builtin_expect(!q, 0)) {
            if (*p != '"')
                return syntax(l, *p == 0 ? "the text ends within an object" : "a key is due here", p);
            if (!(q = find_key(l, n, place, p, &kid)))
                return NULL;
        }
        p = json_ws(q);
        if (*p != ':')
            return syntax(l, "a colon is due after the key", p);
        p = json_ws(p + 1);
        if (__builtin_expect(kid == UINT32_MAX, 0) && (n != &l->root || !l->s->lax)) {
            if (!json_value_skip(p, &l->fault))
                return broken(l);
            return refused(l, WHY_KEY, n, key, CONV_OK);
        }
        jnode *k = kid == UINT32_MAX ? NULL : &n->kids[kid];
        if (!k || k->col == UINT32_MAX) {
            if (!(p = json_value_skip(p, &l->fault)))
                return broken(l);
        } else {
            if (__builtin_expect(cols[k->col].n != have, 0))
                return refused(l, WHY_TWICE, k, key, CONV_OK);
            if (!(p = any_value(l, k, p)))
                return NULL;
            seen++;
        }
        p = json_ws(p);
        if (*p == ',') {
            p = json_ws(p + 1);
            if (*p == '}')
                return syntax(l, "a key is due here", p);
        } else if (*p != '}') {
            return syntax(l, *p == 0 ? "the text ends within an object" : "a comma or } is due here", p);
        }
    }
    uint32_t want = n == &l->root ? l->s->nproj : n->nkids;
    for (uint32_t i = 0; seen < want && i < n->nkids; i++) {
        const jnode *k = &n->kids[i];
        if (k->col == UINT32_MAX || cols[k->col].n != have)
            continue;
        if (k->not_null)
            return refused(l, WHY_NULL, k, p, CONV_OK);
        grow_null(&l->g, k->col);
        seen++;
    }
    return p + 1;
}

static const char *struct_value(json_local *l, jnode *n, const char *p)
{
    if (*p != '{')
        return *p == 'n' ? put_null(l, n, p) : misfit(l, n, p, CONV_BAD);
    if (!(p = object_members(l, n, p + 1, l->g.cols[n->col].n)))
        return NULL;
    grow_struct(&l->g, n->col);
    return p;
}

static const char *any_value(json_local *l, jnode *n, const char *p)
{
    switch (n->t.id) {
    case T_INT64:
        return int64_value(l, n, p);
    case T_STRING:
        return text_value(l, n, p);
    case T_FLOAT64:
        return f64_value(l, n, p);
    case T_BOOL:
        return bool_value(l, n, p);
    case T_INT32:
        return int32_value(l, n, p);
    case T_STRUCT:
        return struct_value(l, n, p);
    case T_LIST:
        return list_value(l, n, p);
    case T_MAP:
        return map_value(l, n, p);
    default:
        return other_value(l, n, p);
    }
}

const char *record_read(json_local *l, const char *p)
{
    l->why = WHY_NONE;
    l->error = (fz_error){0};
    p = json_ws(p);
    if (l->s->wrapped) {
        jnode *n = &l->root.kids[0];
        if (n->col != UINT32_MAX)
            return any_value(l, n, p);
        return (p = json_value_skip(p, &l->fault)) ? p : broken(l);
    }
    if (*p != '{') {
        if (!json_value_skip(p, &l->fault))
            return broken(l);
        return syntax(l, "a record is an object, this is another value", p);
    }
    return object_members(l, &l->root, p + 1, l->row);
}
