/*
 * commit.c: loading, creating and committing tables of a catalog in SQL.
 *
 * A commit:
 *
 *   look up ──> requirements ──> new metadata file ──> one transaction: UPDATE … WHERE
 *      ^         no: conflict      (durable)            metadata_location = old
 *      │                                                      │ no row changed
 *      └───────────── file removed, newest metadata <─────────┘
 *
 * Going round again needs nobody's consent: the requirements say what must hold. A table of
 * several that didn't change keeps its new file.
 *
 * Where the transaction's end fails in a way that leaves open whether it happened, the catalog is asked, and only a
 * plain "no" removes the files. The question must not overtake the transaction, which a server may still be busy with:
 * a swap holds the row's lock until its end, so the question is a read that waits for that lock; a creation holds the
 * key, so the question is the same insertion, rolled back. It finds the key taken, or nothing is in flight any more.
 */
#include "base/fault.h"
#include "catalog/sql/sql_catalog.h"
#include "catalog/stage.h"

#include <time.h>

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* ---- loading ---- */

typedef struct pointer { const ib_table *have; sbuf *location; bool same, found; } pointer;

static fz_status pointer_row(void *ctx, uint32_t n, const str *columns, fz_error *err)
{
    pointer *p = ctx;
    p->found = columns[0].n > 0;
    p->same = p->have && str_eqz(columns[0], p->have->metadata_location);
    if (!p->same)
        sbuf_str(p->location, columns[0]);
    return FZ_OK;
}

/* The table's pointer, in *location (the caller frees it with sbuf_free); nothing is copied when it is
 * `have`'s: then *same is set. */
static fz_status pointer_read(sql_catalog *c, sql_stmt how, ib_ident id, const ib_table *have, sbuf *location, bool *same,
                              fz_error *err)
{
    pointer p = {.have = have, .location = location};
    TRY(c->db->query(c, NULL, how, SQL_ARGS(str_of(c->name), id.ns, id.name), pointer_row, &p, err));
    *same = p.same;
    return location->failed ? error_nomem(err) : p.found ? FZ_OK : sql_no_table(id, err);
}

static fz_status table_load(sql_catalog *c, sql_stmt how, ib_ident id, ib_table *have, ib_table **out, fz_error *err)
{
    ib_catalog *b = &c->base;
    sbuf location, before;
    bool same;
    fz_status st;
    sbuf_init(&location, b->m);
    sbuf_init(&before, b->m);
    for (;;) {
        ib_metadata *md;
        sbuf_clear(&location);
        TRY_GOTO(pointer_read(c, how, id, have, &location, &same, err));
        if (same) {
            *out = ib_table_ref(have);
            break;
        }
        if (c->db->place_check)
            TRY_GOTO(c->db->place_check(c, id, location.p, err));
        st = ib_metadata_load(b->io, location.p, b->m, &md, err);
        if (st == FZ_OK) {
            *out = ib_table_new(b->m, id, location.p, md);
            st = *out ? FZ_OK : error_nomem(err);
            break;
        }
        /* Old metadata files may be removed by a commit between the two steps: look again once it moved. */
        if (st != FZ_NOT_FOUND || (before.n && str_eq((str){before.p, before.n}, (str){location.p, location.n})))
            break;
        sbuf_clear(&before);
        sbuf_add(&before, location.p, location.n);
    }
    if (st == FZ_NOT_FOUND && location.n) { /* the table is known, its file is gone: not the same as no such table */
        error_set(err, FZ_DATA, "the metadata file of table " STR_FMT "." STR_FMT " is gone", STR_ARG(id.ns),
                  STR_ARG(id.name));
        error_where(err, location.p);
        st = FZ_DATA;
    }
out:
    sbuf_free(&location);
    sbuf_free(&before);
    return st;
}

fz_status sql_load_table(ib_catalog *b, ib_ident id, ib_table *have, ib_table **out, fz_error *err)
{
    return table_load(sql_of(b), SQL_LOAD, id, have, out, err);
}

/* ---- after a transaction ---- */

/* FZ_UNKNOWN from why it can't be told. */
static fz_status not_known(ib_ident id, const char *location, const fz_error *why, fz_error *err)
{
    error_set(err, FZ_UNKNOWN, "whether the commit to " STR_FMT "." STR_FMT " happened isn't known: %.400s",
              STR_ARG(id.ns), STR_ARG(id.name), why->message);
    error_where(err, location);
    return FZ_UNKNOWN;
}

static bool history_has(const ib_table *t, const char *location)
{
    bool has = strcmp(t->metadata_location, location) == 0;
    for (uint32_t i = 0; i < t->md->n_metadata_log && !has; i++)
        has = str_eqz(t->md->metadata_log[i].metadata_file, location);
    return has;
}

/* Whether the table's history holds that metadata file, once nothing is in flight. Others may have gone on from it so often that its log no longer
 * reaches back: without the file it would have come after, `before`, it says nothing. */
static fz_status swapped_ask(sql_catalog *c, ib_ident id, const char *before, const char *location, bool *yes, fz_error *err)
{
    ib_table *t;
    *yes = false;
    TRY(table_load(c, SQL_LOAD_SETTLED, id, NULL, &t, err));
    *yes = history_has(t, location);
    bool known = *yes || history_has(t, before);
    ib_table_unref(t);
    return known ? FZ_OK : error_set(err, FZ_IO, "others have changed the table too often since");
}

/* The fault point after a transaction: a failure there stands for an answer that got lost. */
static fz_status answer(fz_status st, bool *unknown, fz_error *err)
{
    if (st == FZ_OK) {
        st = fault_point("catalog.after_cas", err);
        *unknown = st != FZ_OK;
    }
    return st;
}

/* Whether what is known not to have happened is tried again: where it failed by its connection alone. */
static bool may_repeat(sql_catalog *c, int64_t start_ms)
{
    return c->db->reconnects && now_ms() - start_ms < c->busy_ms;
}

/* ---- creating ---- */

typedef struct create_job { ib_ident id; const char *location; str uuid; } create_job; /* uuid: of the table's metadata; empty: it has none */

static fz_status exists_already(ib_ident id, fz_error *err)
{
    return error_sql(err, FZ_EXISTS, "42P07", "table " STR_FMT "." STR_FMT " exists already", STR_ARG(id.ns),
                     STR_ARG(id.name));
}

static fz_status row_insert(sql_catalog *c, sql_tx *tx, void *ctx, fz_error *err)
{
    create_job *j = ctx;
    bool there;
    TRY(sql_ns_exists(c, tx, j->id.ns, &there, err));
    if (!there)
        return sql_no_namespace(j->id.ns, err);
    fz_status st = c->db->run(c, tx, SQL_INSERT,
                              SQL_ARGS(str_of(c->name), j->id.ns, j->id.name, str_of(j->location)), NULL, err);
    return st == FZ_EXISTS ? exists_already(j->id, err) : st;
}

/* Never stays: FZ_NOT_FOUND says that the key was free. */
static fz_status row_probe(sql_catalog *c, sql_tx *tx, void *ctx, fz_error *err)
{
    create_job *j = ctx;
    TRY(c->db->run(c, tx, SQL_INSERT, SQL_ARGS(str_of(c->name), j->id.ns, j->id.name, str_of(j->location)), NULL, err));
    return FZ_NOT_FOUND;
}

/* The table that is there may be ours and have moved on. */
static fz_status created_ask(sql_catalog *c, create_job *j, bool *yes, fz_error *err)
{
    bool unknown;
    ib_table *t;
    *yes = false;
    fz_status st = c->db->transaction(c, row_probe, j, &unknown, err);
    if (st == FZ_NOT_FOUND)
        return FZ_OK;
    if (st != FZ_EXISTS)
        return st;
    TRY(table_load(c, SQL_LOAD, j->id, NULL, &t, err));
    *yes = j->uuid.n ? str_ieq(t->md->table_uuid, j->uuid) : history_has(t, j->location);
    ib_table_unref(t);
    return FZ_OK;
}

static fz_status row_create(sql_catalog *c, const ib_table *made, ib_ident id, fz_error *err)
{
    create_job j = {id, made->metadata_location, made->md->table_uuid};
    int64_t start = now_ms();
    for (;;) {
        bool unknown, yes;
        fz_error why = {0};
        fz_status st = answer(c->db->transaction(c, row_insert, &j, &unknown, err), &unknown, err);
        if (st == FZ_OK || !unknown)
            return st;
        if (created_ask(c, &j, &yes, &why) != FZ_OK)
            return not_known(id, j.location, &why, err);
        if (yes || !may_repeat(c, start))
            return yes ? FZ_OK : st;
    }
}

/* Before any file is written: most failures are known by then. */
static fz_status create_check(sql_catalog *c, ib_ident id, fz_error *err)
{
    bool there;
    TRY(table_name_check(id, err));
    TRY(sql_writable(c, err));
    TRY(sql_ns_exists(c, NULL, id.ns, &there, err));
    if (!there)
        return sql_no_namespace(id.ns, err);
    TRY(sql_any(c, NULL, SQL_EXISTS, SQL_ARGS(str_of(c->name), id.ns, id.name), &there, err));
    return there ? exists_already(id, err) : FZ_OK;
}

fz_status sql_create_table(ib_catalog *b, ib_ident id, const ib_metadata *md, ib_table **out, fz_error *err)
{
    sql_catalog *c = sql_of(b);
    stage s = {0};
    TRY(create_check(c, id, err));
    TRY(stage_create(b->m, id, md, &s, err));
    fz_status st = fault_point("catalog.create", err);
    if (st == FZ_OK)
        st = row_create(c, s.t, id, err);
    if (st == FZ_OK) {
        *out = stage_take(&s);
    } else if (st == FZ_UNKNOWN) {
        catalog_stage_free(&s);
    } else {
        stage_discard(&s);
    }
    return st;
}

fz_status sql_register_table(ib_catalog *b, ib_ident id, const char *location, ib_table **out, fz_error *err)
{
    sql_catalog *c = sql_of(b);
    ib_metadata *md;
    TRY(create_check(c, id, err));
    TRY(ib_metadata_load(b->io, location, b->m, &md, err));
    ib_table *t = ib_table_new(b->m, id, location, md);
    if (!t)
        return error_nomem(err);
    fz_status st = row_create(c, t, id, err);
    if (st == FZ_OK)
        *out = t;
    else
        ib_table_unref(t);
    return st;
}

/* ---- committing ---- */

/* One table of a commit. */
typedef struct part {
    const ib_commit *c;
    ib_table *cur;  /* what `next` was made from; NULL: the table is made */
    stage next;     /* t NULL: not made yet, or nothing to change */
} part;

typedef struct swap_job { uint32_t n; part *parts; } swap_job;

static bool ident_before(ib_ident a, ib_ident b)
{
    int k = str_cmp(a.ns, b.ns);
    return k < 0 || (k == 0 && str_cmp(a.name, b.name) < 0);
}

/* The next part by name behind `after`; NULL at the end. Rows are locked in this order, so that two commits of
 * the same tables wait for each other instead of blocking each other. */
static part *part_next(swap_job *j, const part *after)
{
    part *best = NULL;
    for (uint32_t i = 0; i < j->n; i++) {
        part *p = &j->parts[i];
        if ((p->next.t || p->c->drop) && (!after || ident_before(after->c->id, p->c->id)) && (!best || ident_before(p->c->id, best->c->id)))
            best = p;
    }
    return best;
}

/* FZ_CONFLICT without a message: a pointer moved meanwhile. */
static fz_status rows_swap(sql_catalog *c, sql_tx *tx, void *ctx, fz_error *err)
{
    for (part *p = part_next(ctx, NULL); p; p = part_next(ctx, p)) {
        int changed;
        if (!p->cur) {
            TRY(row_insert(c, tx, &(create_job){p->c->id, p->next.t->metadata_location, {0}}, err));
            continue;
        }
        const char *next = p->c->drop ? p->cur->metadata_location : p->next.t->metadata_location;
        TRY(c->db->run(c, tx, SQL_SWAP,
                       SQL_ARGS(str_of(c->name), p->c->id.ns, p->c->id.name, str_of(next), str_of(p->cur->metadata_location)), &changed, err));
        if (!changed)
            return FZ_CONFLICT;
        if (p->c->drop)
            TRY(c->db->run(c, tx, SQL_DELETE, SQL_ARGS(str_of(c->name), p->c->id.ns, p->c->id.name), &changed, err));
    }
    return FZ_OK;
}

/* Brings a part up to the newest state of its table, where it isn't. */
static fz_status part_prepare(sql_catalog *c, part *p, fz_error *err)
{
    ib_table *newest;
    if (p->c->create && !p->cur) {
        if (p->next.t)
            return FZ_OK;
        TRY(create_check(c, p->c->id, err));
        return stage_create(c->base.m, p->c->id, p->c->create, &p->next, err);
    }
    TRY(sql_load_table(&c->base, p->c->id, p->cur, &newest, err));
    if (newest == p->cur) {
        ib_table_unref(newest);
        if (p->next.t)
            return FZ_OK;
    } else {
        stage_discard(&p->next);
        ib_table_unref(p->cur);
        p->cur = newest;
    }
    if (!p->c->n_updates)
        TRY(ib_requirements_check(p->cur->md, p->c->n_requirements, p->c->requirements, err));
    if (p->c->create)
        return stage_create(c->base.m, p->c->id, p->c->create, &p->next, err);
    if (!p->c->n_updates)
        return FZ_OK;
    return stage_commit(c->base.m, p->c, p->cur, &p->next, err);
}

static fz_status parts_commit(sql_catalog *c, uint32_t n, part *parts, fz_error *err)
{
    int64_t start = now_ms();
    for (;;) {
        part *any = NULL;
        for (uint32_t i = 0; i < n; i++) {
            TRY(part_prepare(c, &parts[i], err));
            bool changed = parts[i].next.t || parts[i].c->drop, telling = any && any->next.t && !any->c->create;
            if (changed && !telling) /* one that is changed tells best what happened */
                any = &parts[i];
        }
        if (!any)
            return FZ_OK;
        TRY(fault_point("catalog.before_cas", err));
        bool unknown, yes;
        fz_status st = answer(c->db->transaction(c, rows_swap, &(swap_job){n, parts}, &unknown, err), &unknown, err);
        if (unknown) {
            fz_error why = {0};
            const char *location = any->c->drop ? any->cur->metadata_location : any->next.t->metadata_location;
            fz_status asked;
            if (any->cur)
                asked = swapped_ask(c, any->c->id, any->cur->metadata_location, location, &yes, &why);
            else
                asked = created_ask(c, &(create_job){any->c->id, location, any->next.t->md->table_uuid}, &yes, &why);
            if (any->c->drop && (asked == FZ_OK || asked == FZ_NOT_FOUND)) {
                yes = asked == FZ_NOT_FOUND;
                asked = FZ_OK;
            }
            if (asked != FZ_OK)
                return not_known(any->c->id, location, &why, err);
            if (yes)
                return FZ_OK;
            if (!may_repeat(c, start))
                return st;
            continue;
        }
        if (st != FZ_CONFLICT)
            return st;
        if (now_ms() - start >= c->busy_ms)
            return error_set(err, FZ_CONFLICT, "other programs committed to " STR_FMT "." STR_FMT " all the time",
                             STR_ARG(any->c->id.ns), STR_ARG(any->c->id.name));
    }
}

static fz_status commits_check(uint32_t n, const ib_commit *commits, fz_error *err)
{
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t k = 0; k < i; k++)
            if (str_eq(commits[i].id.ns, commits[k].id.ns) && str_eq(commits[i].id.name, commits[k].id.name))
                return error_set(err, FZ_INVALID, "table " STR_FMT "." STR_FMT " stands twice in one commit",
                                 STR_ARG(commits[i].id.ns), STR_ARG(commits[i].id.name));
    return FZ_OK;
}

/* out[i] for each part. It is committed: nothing can fail here. */
static void parts_publish(uint32_t n, part *parts, ib_table **out)
{
    for (uint32_t i = 0; i < n; i++) {
        part *p = &parts[i];
        if (p->next.t && p->cur && !p->c->create)
            stage_clean(p->cur->md, p->next.t->md);
        out[i] = p->c->drop ? NULL : p->next.t ? stage_take(&p->next) : ib_table_ref(p->cur);
    }
}

fz_status sql_commit(ib_catalog *b, uint32_t n, const ib_commit *commits, ib_table *const *base, ib_table **out,
                     fz_error *err)
{
    sql_catalog *c = sql_of(b);
    TRY(sql_writable(c, err));
    TRY(commits_check(n, commits, err));
    part one = {0}, *parts = n == 1 ? &one : mem_zalloc(b->m, n * sizeof *parts);
    if (!parts)
        return error_nomem(err);
    for (uint32_t i = 0; i < n; i++)
        parts[i] = (part){.c = &commits[i], .cur = ib_table_ref(base ? base[i] : NULL)};
    fz_status st = parts_commit(c, n, parts, err);
    if (st == FZ_OK)
        parts_publish(n, parts, out);
    else if (st != FZ_UNKNOWN)
        for (uint32_t i = 0; i < n; i++)
            stage_discard(&parts[i].next);
    for (uint32_t i = 0; i < n; i++) {
        catalog_stage_free(&parts[i].next);
        ib_table_unref(parts[i].cur);
    }
    if (parts != &one)
        mem_free(b->m, parts, n * sizeof *parts);
    return st;
}
