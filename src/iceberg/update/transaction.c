/* transaction.c: see transaction.h. */
#include "iceberg/update/transaction.h"

#include "base/fault.h"
#include "iceberg/update/retry_int.h"

#include <stdlib.h>

typedef struct step {
    struct step *next;
    ib_change_fn fn;           /* a change without rows; NULL: rows */
    void *ctx;
    arena a;                   /* of its updates, taken anew with each attempt */
    ib_write w;
    ib_producer *p;            /* NULL: no snapshot comes of it */
    uint32_t n_updates;        /* of the last attempt */
    const ib_update *updates;
    ib_tx_owner owner;
} step;

typedef struct tx_table {
    struct tx_table *next;
    ib_ident id;
    ib_table *base;            /* what the catalog had, or has by the last attempt; NULL: made here, or there is none */
    ib_table *now;             /* NULL: there is no such table */
    bool created;              /* where base isn't NULL: in its place */
    step *steps, **end;
} tx_table;

struct ib_tx {
    mem *m;
    arena a;
    tx_table *tables, **end;
};

/* ---- life ---- */

fz_status ib_tx_new(mem *m, ib_tx **out, fz_error *err)
{
    ib_tx *x = mem_zalloc(m, sizeof *x);
    if (!x)
        return error_nomem(err);
    x->m = m;
    arena_init(&x->a, m);
    x->end = &x->tables;
    *out = x;
    return FZ_OK;
}

static void step_end(step *s, fz_status outcome)
{
    ib_producer_finish(s->p, outcome);
    arena_free(&s->a);
    if (s->owner.done)
        s->owner.done(s->owner.ctx, outcome);
}

void ib_tx_end(ib_tx *x, fz_status outcome)
{
    if (!x)
        return;
    for (tx_table *t = x->tables; t; t = t->next) {
        for (step *s = t->steps, *next; s; s = next) {
            next = s->next;
            step_end(s, outcome);
        }
        ib_table_unref(t->base);
        ib_table_unref(t->now);
    }
    arena_free(&x->a);
    mem_free(x->m, x, sizeof *x);
}

static tx_table *find(const ib_tx *x, ib_ident id)
{
    for (tx_table *t = x->tables; t; t = t->next)
        if (t->id.home == id.home && str_eq(t->id.ns, id.ns) && str_eq(t->id.name, id.name))
            return t;
    return NULL;
}

bool ib_tx_find(const ib_tx *x, ib_ident id, ib_table **out)
{
    const tx_table *t = find(x, id);
    *out = t ? ib_table_ref(t->now) : NULL;
    return t != NULL;
}

fz_status ib_tx_pin(ib_tx *x, ib_ident id, ib_table *base, fz_error *err)
{
    tx_table *t = ARENA_NEW(&x->a, tx_table);
    char *ns = arena_strndup(&x->a, id.ns.p, id.ns.n), *name = arena_strndup(&x->a, id.name.p, id.name.n);
    if (!t || !ns || !name)
        return error_nomem(err);
    *t = (tx_table){.id = {.ns = {ns, id.ns.n}, .name = {name, id.name.n}, .home = id.home}, .base = ib_table_ref(base), .now = ib_table_ref(base)};
    t->end = &t->steps;
    *x->end = t;
    x->end = &t->next;
    return FZ_OK;
}

static bool dropped(const tx_table *t)
{
    return t->base && !t->now;
}

static bool touched(const tx_table *t)
{
    return t->steps || t->created || dropped(t);
}

bool ib_tx_changed(const ib_tx *x)
{
    for (const tx_table *t = x->tables; t; t = t->next)
        if (touched(t))
            return true;
    return false;
}

void ib_tx_forget(ib_tx *x)
{
    for (tx_table *t = x->tables; t; t = t->next) {
        ib_table_unref(t->base);
        ib_table_unref(t->now);
    }
    x->tables = NULL;
    x->end = &x->tables;
    arena_reset(&x->a);
}

bool ib_tx_created(const ib_tx *x, uint32_t n, ib_ident *out)
{
    for (const tx_table *t = x->tables; t; t = t->next)
        if (t->created && n-- == 0) {
            *out = t->id;
            return true;
        }
    return false;
}

bool ib_tx_makes(const ib_tx *x, ib_ident id)
{
    const tx_table *t = find(x, id);
    return t && t->created;
}

/* ---- steps ---- */

/* The metadata after a change, on top of t. */
static fz_status take_change(step *s, const ib_table *t, mem *m, ib_metadata **out, fz_error *err)
{
    arena_reset(&s->a);
    ib_change ch = {.a = &s->a};
    TRY(s->fn(s->ctx, t, &ch, err));
    s->n_updates = ch.n_updates;
    s->updates = ch.updates;
    if (!ch.n_updates) {
        *out = ib_metadata_ref(t->md);
        return FZ_OK;
    }
    return ib_metadata_apply(t->md, NULL, ch.n_updates, ch.updates, m, out, err);
}

/* Before: what the commit does to the table before the rows come. */
static fz_status take_before(const step *s, const ib_metadata *md, mem *m, ib_metadata **out, fz_error *err)
{
    TRY(ib_requirements_check(md, s->w.n_before_requirements, s->w.before_requirements, err));
    if (s->w.n_before)
        return ib_metadata_apply(md, NULL, s->w.n_before, s->w.before, m, out, err);
    *out = ib_metadata_ref((ib_metadata *)md);
    return FZ_OK;
}

static fz_status take_rows(step *s, const ib_table *t, mem *m, ib_metadata **out, fz_error *err)
{
    ib_metadata *md;
    uint32_t nr, nu = 0;
    const ib_requirement *r;
    const ib_update *u = NULL;
    TRY(take_before(s, t->md, m, &md, err));
    fz_status st = FZ_OK;
    if (s->w.op != IB_APPEND || s->w.n_files) {
        if (!s->p)
            TRY_GOTO(ib_producer_new(md, &s->w, &s->p, err));
        TRY_GOTO(ib_producer_prepare(s->p, md, &nr, &r, &nu, &u, err));
        TRY_GOTO(ib_producer_settle(s->p, err)); /* a transaction may have many steps: none keeps files open */
    }
    arena_reset(&s->a);
    ib_update *all = ARENA_ARRAY(&s->a, ib_update, s->w.n_before + nu + 1);
    if (!all) {
        st = error_nomem(err);
        goto out;
    }
    if (s->w.n_before)
        memcpy(all, s->w.before, s->w.n_before * sizeof *all);
    if (nu)
        memcpy(all + s->w.n_before, u, nu * sizeof *all);
    s->n_updates = s->w.n_before + nu;
    s->updates = all;
    if (nu)
        st = ib_metadata_apply(md, NULL, nu, u, m, out, err);
    else
        *out = ib_metadata_ref(md);
out:
    ib_metadata_unref(md);
    return st;
}

/* Takes a step on the state *t, which becomes the one after it. */
static fz_status step_take(ib_tx *x, step *s, ib_ident id, ib_table **t, fz_error *err)
{
    ib_metadata *md;
    TRY(s->fn ? take_change(s, *t, x->m, &md, err) : take_rows(s, *t, x->m, &md, err));
    ib_table *next = ib_table_new(x->m, id, (*t)->metadata_location, md);
    if (!next)
        return error_nomem(err);
    ib_table_unref(*t);
    *t = next;
    return FZ_OK;
}

static fz_status step_add(ib_tx *x, ib_ident id, step made, ib_tx_owner owner, bool *kept, fz_error *err)
{
    tx_table *t = find(x, id);
    step *s = ARENA_NEW(&x->a, step);
    *kept = false;
    if (!t || !t->now)
        return error_set(err, FZ_INTERNAL, "a step on a table that the transaction doesn't know");
    if (!s)
        return error_nomem(err);
    *s = made;
    arena_init(&s->a, x->m);
    fz_status st = step_take(x, s, t->id, &t->now, err);
    *kept = !st && s->n_updates;
    if (!*kept) {
        step_end(s, st ? st : FZ_CANCELLED);
        return st;
    }
    s->owner = owner;
    *t->end = s;
    t->end = &s->next;
    return FZ_OK;
}

fz_status ib_tx_change(ib_tx *x, ib_ident id, ib_change_fn fn, void *ctx, ib_tx_owner owner, bool *kept, fz_error *err)
{
    return step_add(x, id, (step){.fn = fn, .ctx = ctx}, owner, kept, err);
}

fz_status ib_tx_write(ib_tx *x, ib_ident id, const ib_write *w, ib_tx_owner owner, bool *kept, fz_error *err)
{
    step s = {.w = *w};
    s.w.j = NULL; /* the job of the statement is gone by the time of the commit */
    return step_add(x, id, s, owner, kept, err);
}

fz_status ib_tx_create(ib_tx *x, ib_ident id, ib_metadata *md, fz_error *err)
{
    tx_table *t = find(x, id);
    if (!t) {
        TRY(ib_tx_pin(x, id, NULL, err));
        t = find(x, id);
    }
    if (t->now)
        return error_sql(err, FZ_EXISTS, "42P07", "the table " STR_FMT "." STR_FMT " exists", STR_ARG(id.ns), STR_ARG(id.name));
    t->now = ib_table_new(x->m, id, "", ib_metadata_ref(md));
    if (!t->now)
        return error_nomem(err);
    t->created = true;
    return FZ_OK;
}

fz_status ib_tx_drop(ib_tx *x, ib_ident id, fz_error *err)
{
    tx_table *t = find(x, id);
    if (!t || !t->now)
        return error_set(err, FZ_INTERNAL, "a table is dropped that the transaction doesn't know");
    for (step *s = t->steps, *next; s; s = next) {
        next = s->next;
        step_end(s, FZ_CANCELLED);
    }
    t->steps = NULL;
    t->end = &t->steps;
    ib_table_unref(t->now);
    t->now = NULL;
    t->created = false;
    return FZ_OK;
}

/* ---- committing ---- */

/* The requirements under which a table's updates are what they were worked out to be: it is the same table, and what they touch is as it
 * was in `base`. */
static fz_status require(ib_change *ch, const ib_metadata *base, const ib_update *u, fz_error *err)
{
    const ib_ref *ref;
    switch (u->kind) {
    case IB_SET_SNAPSHOT_REF:
    case IB_REMOVE_SNAPSHOT_REF:
        ref = ib_ref_by_name(base, u->ref.name);
        return ib_change_require(ch, (ib_requirement){IB_ASSERT_REF_SNAPSHOT_ID, u->ref.name, ref ? ref->snapshot_id : -1}, err);
    case IB_ADD_SCHEMA:
        if (base->n_snapshots == 0) /* it may be one that rows wouldn't let be */
            TRY(ib_change_require(ch, (ib_requirement){IB_ASSERT_REF_SNAPSHOT_ID, STR("main"), -1}, err));
        TRY(ib_change_require(ch, (ib_requirement){IB_ASSERT_LAST_ASSIGNED_FIELD_ID, {0}, base->last_column_id}, err));
        return ib_change_require(ch, (ib_requirement){IB_ASSERT_CURRENT_SCHEMA_ID, {0}, base->current_schema_id}, err);
    case IB_ADD_SPEC:
        TRY(ib_change_require(ch, (ib_requirement){IB_ASSERT_LAST_ASSIGNED_PARTITION_ID, {0}, base->last_partition_id}, err));
        return ib_change_require(ch, (ib_requirement){IB_ASSERT_DEFAULT_SPEC_ID, {0}, base->default_spec_id}, err);
    case IB_ADD_SORT_ORDER:
        return ib_change_require(ch, (ib_requirement){IB_ASSERT_DEFAULT_SORT_ORDER_ID, {0}, base->default_sort_order_id}, err);
    default:
        return FZ_OK;
    }
}

static fz_status table_commit(const tx_table *t, arena *a, ib_commit *out, fz_error *err)
{
    ib_change ch = {.a = a};
    *out = (ib_commit){.id = t->id};
    const ib_metadata *base = t->base ? t->base->md : NULL;
    if (base && base->table_uuid.n)
        TRY(ib_change_require(&ch, (ib_requirement){IB_ASSERT_TABLE_UUID, base->table_uuid, 0}, err));
    out->create = t->created ? t->now->md : NULL;
    out->drop = dropped(t);
    for (const step *s = t->steps; s; s = s->next)
        for (uint32_t i = 0; i < s->n_updates && !t->created; i++) {
            TRY(require(&ch, base, &s->updates[i], err));
            TRY(ib_change_update(&ch, s->updates[i], err));
        }
    out->n_requirements = ch.n_requirements;
    out->requirements = ch.requirements;
    out->n_updates = ch.n_updates;
    out->updates = ch.updates;
    return FZ_OK;
}

/* Rows that were written for a schema, spec or sort order of the transaction's own can't move to where these get other numbers. */
static fz_status check_numbers(const tx_table *t, const ib_metadata *newest, fz_error *err)
{
    const ib_metadata *base = t->base->md;
    bool renumbered = base->last_column_id != newest->last_column_id || base->current_schema_id != newest->current_schema_id ||
                      base->n_schemas != newest->n_schemas || base->last_partition_id != newest->last_partition_id || base->n_specs != newest->n_specs ||
                      base->n_orders != newest->n_orders || base->default_sort_order_id != newest->default_sort_order_id;
    bool own = false;
    for (const step *s = t->steps; s && renumbered; s = s->next) {
        if (own && !s->fn && s->w.n_files)
            return error_set(err, FZ_CONFLICT, "the columns, partitions or order of " STR_FMT "." STR_FMT " were changed meanwhile, as the transaction changed them "
                             "before it wrote rows", STR_ARG(t->id.ns), STR_ARG(t->id.name));
        for (uint32_t i = 0; i < s->n_updates; i++)
            own = own || s->updates[i].kind == IB_ADD_SCHEMA || s->updates[i].kind == IB_ADD_SPEC || s->updates[i].kind == IB_ADD_SORT_ORDER;
    }
    return FZ_OK;
}

/* Rows that somebody else committed may not be replaced unseen. */
static fz_status check_replaced(const tx_table *t, const ib_metadata *newest, fz_error *err)
{
    for (const step *s = t->steps; s; s = s->next) {
        str name = s->w.branch.n ? s->w.branch : STR("main");
        bool replaces = !s->fn && s->w.op == IB_REPLACE;
        for (uint32_t i = 0; i < s->n_updates; i++)
            replaces = replaces || s->updates[i].kind == IB_REMOVE_SNAPSHOT_REF;
        const ib_ref *then = ib_ref_by_name(t->base->md, name), *now = ib_ref_by_name(newest, name);
        if (replaces && (then ? then->snapshot_id : -1) != (now ? now->snapshot_id : -1))
            return error_set(err, FZ_CONFLICT, "the rows of " STR_FMT "." STR_FMT " that the transaction replaces were changed meanwhile",
                             STR_ARG(t->id.ns), STR_ARG(t->id.name));
    }
    return FZ_OK;
}

/* Brings a table that was changed by others up to date: the steps again, on its newest state. */
static fz_status table_rebase(ib_tx *x, ib_catalog *c, tx_table *t, fz_error *err)
{
    ib_table *newest;
    fz_error e;
    fz_status st = c->ops->load_table(c, t->id, t->base, &newest, &e);
    if (st == FZ_NOT_FOUND)
        return error_set(err, FZ_CONFLICT, "the table " STR_FMT "." STR_FMT " was dropped meanwhile", STR_ARG(t->id.ns), STR_ARG(t->id.name));
    if (st) {
        if (err)
            *err = e;
        return st;
    }
    if (newest == t->base || strcmp(newest->metadata_location, t->base->metadata_location) == 0) {
        ib_table_unref(newest);
        return FZ_OK;
    }
    bool keeps = !t->created && !dropped(t);
    ib_table *now = ib_table_ref(keeps ? newest : t->now);
    if (!str_ieq(newest->md->table_uuid, t->base->md->table_uuid))
        st = error_set(err, FZ_CONFLICT, "the table " STR_FMT "." STR_FMT " was dropped and made again meanwhile", STR_ARG(t->id.ns),
                       STR_ARG(t->id.name));
    if (!st && keeps)
        st = check_replaced(t, newest->md, err);
    if (!st && keeps)
        st = check_numbers(t, newest->md, err);
    for (step *s = t->steps; s && !st && keeps; s = s->next)
        st = step_take(x, s, t->id, &now, err);
    if (st == FZ_INVALID || st == FZ_EXISTS || st == FZ_NOT_FOUND) { /* it went well where the transaction stood */
        st = FZ_CONFLICT;
        if (err)
            err->status = st;
    }
    if (st) {
        ib_table_unref(now);
        ib_table_unref(newest);
        return st;
    }
    ib_table_unref(t->base);
    ib_table_unref(t->now);
    t->base = newest;
    t->now = now;
    return FZ_OK;
}

typedef struct parts {
    uint32_t n, n_made;        /* made or dropped */
    tx_table **t;              /* sorted by name: queues are taken in this order */
    void **tokens;
    ib_commit *commits;
    ib_table **base, **out;
} parts;

static int by_name(const void *a, const void *b)
{
    const tx_table *x = *(tx_table *const *)a, *y = *(tx_table *const *)b;
    int c = str_cmp(x->id.ns, y->id.ns);
    return c ? c : str_cmp(x->id.name, y->id.name);
}

static fz_status parts_of(ib_tx *x, parts *p, fz_error *err)
{
    uint32_t n = 0;
    *p = (parts){0};
    for (const tx_table *t = x->tables; t; t = t->next)
        n += touched(t);
    p->t = ARENA_ARRAY(&x->a, tx_table *, n + 1);
    p->tokens = arena_zalloc(&x->a, sizeof *p->tokens * (n + 1));
    p->commits = ARENA_ARRAY(&x->a, ib_commit, n + 1);
    p->base = ARENA_ARRAY(&x->a, ib_table *, n + 1);
    p->out = arena_zalloc(&x->a, sizeof *p->out * (n + 1));
    if (!p->t || !p->tokens || !p->commits || !p->base || !p->out)
        return error_nomem(err);
    for (tx_table *t = x->tables; t; t = t->next)
        if (touched(t)) {
            p->t[p->n++] = t;
            p->n_made += t->created || dropped(t);
        }
    qsort(p->t, p->n, sizeof *p->t, by_name);
    return FZ_OK;
}

static fz_status attempt(ib_tx *x, ib_catalog *c, parts *p, bool *lost, fz_error *err)
{
    arena a;
    arena_init(&a, x->m);
    fz_status st = FZ_OK;
    for (uint32_t i = 0; i < p->n; i++) {
        if (p->t[i]->base)
            TRY_GOTO(table_rebase(x, c, p->t[i], err));
        TRY_GOTO(table_commit(p->t[i], &a, &p->commits[i], err));
        p->base[i] = p->t[i]->base;
    }
    TRY_GOTO(fault_point("commit.before", err));
    if (p->n == 1 && dropped(p->t[0]))
        st = c->ops->drop_table(c, p->t[0]->id, err);
    else if (p->n == 1 && p->t[0]->created && !p->t[0]->base)
        st = c->ops->create_table(c, p->t[0]->id, p->t[0]->now->md, &p->out[0], err);
    else
        st = c->ops->commit(c, p->n, p->commits, p->base, p->out, err);
    *lost = st == FZ_CONFLICT;
out:
    arena_free(&a);
    return st;
}

/* After an unknown outcome: whether it happened. All tables or none: the first with a snapshot of ours tells. */
static bool landed(ib_catalog *c, parts *p)
{
    for (uint32_t i = 0; i < p->n; i++)
        for (const step *s = p->t[i]->steps; s; s = s->next) {
            ib_table *now;
            if (!s->p || c->ops->load_table(c, p->t[i]->id, NULL, &now, NULL) != FZ_OK)
                continue;
            bool there = ib_snapshot_by_id(now->md, ib_producer_snapshot_id(s->p)) != NULL;
            ib_table_unref(now);
            return there;
        }
    return false;
}

static fz_status commit_loop(ib_tx *x, ib_catalog *c, parts *p, retry *r, fz_error *err)
{
    for (;;) {
        bool lost = false;
        fz_status st = attempt(x, c, p, &lost, err);
        if (st == FZ_UNKNOWN && landed(c, p))
            st = FZ_OK;
        if (!lost)
            return st;
        if (!retry_wait(r, NULL)) {
            retry_gave_up(r, err);
            return st;
        }
    }
}

fz_status ib_tx_commit(ib_tx *x, ib_catalog *c, void (*committed)(void *ctx, ib_ident id, ib_table *t), void *ctx, fz_error *err)
{
    parts p;
    retry r;
    TRY(parts_of(x, &p, err));
    if (p.n == 0)
        return FZ_OK;
    bool alone = p.n == 1 && !(p.t[0]->created && p.t[0]->base);
    if (p.n_made && !alone && !c->ops->commit_creates)
        return error_sql(err, FZ_UNSUPPORTED, "0A000", "this catalog can't make or drop a table together with other changes; "
                         "do it in a transaction of its own");
    const ib_table *first = p.t[0]->now ? p.t[0]->now : p.t[0]->base;
    TRY(retry_init(&r, &first->md->properties, err));
    fz_status st = FZ_OK;
    for (uint32_t i = 0; i < p.n && c->ops->queue_lock && (!st || st == FZ_BUSY); i++)
        if (p.t[i]->base)
            st = c->ops->queue_lock(c, p.t[i]->id, retry_queue_ms(&r), &p.tokens[i], err);
    if (st == FZ_OK || st == FZ_BUSY)
        st = commit_loop(x, c, &p, &r, err);
    for (uint32_t i = p.n; i-- > 0;)
        if (p.tokens[i])
            c->ops->queue_unlock(c, p.tokens[i]);
    if (st == FZ_CONFLICT && err)
        memcpy(err->sqlstate, "40001", sizeof err->sqlstate);
    for (uint32_t i = 0; i < p.n; i++) {
        if (st == FZ_OK)
            committed(ctx, p.t[i]->id, p.out[i]);
        ib_table_unref(p.out[i]);
    }
    return st;
}
