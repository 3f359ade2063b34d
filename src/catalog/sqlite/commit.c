/*
 * commit.c: loading, creating and committing tables in the embedded catalog.
 *
 * A commit:
 *
 *   look up ──> requirements ──> new metadata file ──> BEGIN IMMEDIATE, UPDATE … WHERE
 *      ^         no: conflict      (durable)             metadata_location = old, COMMIT
 *      │                                                      │ no row changed
 *      └───────────── file removed, newest metadata <─────────┘
 *
 * Going round again needs nobody's consent: the requirements say what must hold. A table of
 * several that didn't change keeps its new file. Where COMMIT fails in a way that leaves open whether
 * it happened, the catalog is asked, and only a plain "no" removes the files.
 */
#include "base/fault.h"
#include "catalog/sqlite/sqlite_int.h"
#include "catalog/stage.h"

#include <time.h>

#define ARGS(...) (uint32_t)(sizeof((str[]){__VA_ARGS__}) / sizeof(str)), (str[]){__VA_ARGS__}

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* ---- loading ---- */

/* The table's pointer, in *location (the caller frees it with sbuf_free); nothing is copied when it is
 * `have`'s: then *same is set. */
static fz_status pointer_read(sq_catalog *c, ib_ident id, const ib_table *have, sbuf *location, bool *same, fz_error *err)
{
    sqlite3_stmt *s;
    int rc;
    *same = false;
    TRY(sq_read_begin(c, err));
    fz_status st = sq_bind(c, &c->read, SQ_LOAD, ARGS(str_of(c->name), id.ns, id.name), &s, err);
    if (st == FZ_OK)
        st = sq_step(c, &c->read, s, &rc, err);
    if (st == FZ_OK) {
        str v = rc == SQLITE_ROW ? sq_column(s, 0) : (str){0};
        if (!v.n)
            st = sq_no_table(id, err);
        else if (have && str_eqz(v, have->metadata_location))
            *same = true;
        else
            sbuf_str(location, v);
        sqlite3_reset(s);
    }
    sq_read_end(c);
    if (st == FZ_OK && location->failed)
        st = error_nomem(err);
    return st;
}

fz_status sq_load_table(ib_catalog *b, ib_ident id, ib_table *have, ib_table **out, fz_error *err)
{
    sq_catalog *c = sq_of(b);
    sbuf location, before;
    bool same;
    fz_status st;
    sbuf_init(&location, b->m);
    sbuf_init(&before, b->m);
    for (;;) {
        ib_metadata *md;
        sbuf_clear(&location);
        TRY_GOTO(pointer_read(c, id, have, &location, &same, err));
        if (same) {
            *out = ib_table_ref(have);
            break;
        }
        TRY_GOTO(sq_moved_check(c, id, location.p, err));
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

/* After a commit of unknown outcome: whether the table's history holds that metadata file. */
static fz_status committed_ask(sq_catalog *c, ib_ident id, const char *location, bool *yes, fz_error *err)
{
    ib_table *t;
    fz_status st = sq_load_table(&c->base, id, NULL, &t, err);
    *yes = false;
    if (st == FZ_NOT_FOUND)
        return FZ_OK;
    TRY(st);
    *yes = strcmp(t->metadata_location, location) == 0;
    for (uint32_t i = 0; i < t->md->n_metadata_log && !*yes; i++)
        *yes = str_eqz(t->md->metadata_log[i].metadata_file, location);
    ib_table_unref(t);
    return FZ_OK;
}

/* Turns the status of a transaction into what is known in the end: FZ_OK, a certain failure, FZ_UNKNOWN. */
static fz_status outcome(sq_catalog *c, ib_ident id, const char *location, fz_status st, bool unknown, fz_error *err)
{
    if (st == FZ_OK) {
        st = fault_point("catalog.after_cas", err);
        unknown = st != FZ_OK;
    }
    if (st == FZ_OK || !unknown)
        return st;
    bool yes;
    fz_error why;
    if (committed_ask(c, id, location, &yes, &why) == FZ_OK)
        return yes ? FZ_OK : st;
    error_set(err, FZ_UNKNOWN, "whether the commit to " STR_FMT "." STR_FMT " happened isn't known: %.400s",
              STR_ARG(id.ns), STR_ARG(id.name), why.message);
    error_where(err, location);
    return FZ_UNKNOWN;
}

/* ---- creating ---- */

typedef struct create_job { ib_ident id; const char *location; } create_job;

static fz_status exists_already(ib_ident id, fz_error *err)
{
    return error_sql(err, FZ_EXISTS, "42P07", "table " STR_FMT "." STR_FMT " exists already", STR_ARG(id.ns),
                     STR_ARG(id.name));
}

static fz_status row_insert(sq_catalog *c, void *ctx, fz_error *err)
{
    create_job *j = ctx;
    bool there;
    TRY(sq_ns_exists_on(c, &c->write, j->id.ns, &there, err));
    if (!there)
        return sq_no_namespace(j->id.ns, err);
    fz_status st = sq_run(c, &c->write, SQ_INSERT,
                          ARGS(str_of(c->name), j->id.ns, j->id.name, str_of(j->location)), NULL, err);
    return st == FZ_EXISTS ? exists_already(j->id, err) : st;
}

/* Before any file is written: most failures are known by then. */
static fz_status create_check(sq_catalog *c, ib_ident id, fz_error *err)
{
    sqlite3_stmt *s;
    int rc;
    bool there = false;
    TRY(table_name_check(id, err));
    TRY(sq_writable(c, err));
    TRY(sq_read_begin(c, err));
    fz_status st = sq_ns_exists_on(c, &c->read, id.ns, &there, err);
    if (st == FZ_OK && !there)
        st = sq_no_namespace(id.ns, err);
    if (st == FZ_OK)
        st = sq_bind(c, &c->read, SQ_EXISTS, ARGS(str_of(c->name), id.ns, id.name), &s, err);
    if (st == FZ_OK)
        st = sq_step(c, &c->read, s, &rc, err);
    if (st == FZ_OK) {
        sqlite3_reset(s);
        if (rc == SQLITE_ROW)
            st = exists_already(id, err);
    }
    sq_read_end(c);
    return st;
}

static fz_status row_create(sq_catalog *c, ib_ident id, const char *location, fz_error *err)
{
    bool unknown;
    fz_status st = sq_transaction(c, row_insert, &(create_job){id, location}, &unknown, err);
    return outcome(c, id, location, st, unknown, err);
}

fz_status sq_create_table(ib_catalog *b, ib_ident id, const ib_metadata *md, ib_table **out, fz_error *err)
{
    sq_catalog *c = sq_of(b);
    stage s = {0};
    TRY(create_check(c, id, err));
    TRY(stage_create(b->m, id, md, &s, err));
    fz_status st = fault_point("catalog.create", err);
    if (st == FZ_OK)
        st = row_create(c, id, s.t->metadata_location, err);
    if (st == FZ_OK) {
        *out = stage_take(&s);
    } else if (st == FZ_UNKNOWN) {
        catalog_stage_free(&s);
    } else {
        stage_discard(&s);
    }
    return st;
}

fz_status sq_register_table(ib_catalog *b, ib_ident id, const char *location, ib_table **out, fz_error *err)
{
    sq_catalog *c = sq_of(b);
    ib_metadata *md;
    TRY(create_check(c, id, err));
    TRY(ib_metadata_load(b->io, location, b->m, &md, err));
    ib_table *t = ib_table_new(b->m, id, location, md);
    if (!t)
        return error_nomem(err);
    fz_status st = row_create(c, id, location, err);
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
    ib_table *cur;  /* what `new` was made from */
    stage next;     /* t NULL: not made yet, or nothing to change */
} part;

typedef struct swap_job { uint32_t n; part *parts; } swap_job;

/* FZ_CONFLICT without a message: a pointer moved meanwhile. */
static fz_status rows_swap(sq_catalog *c, void *ctx, fz_error *err)
{
    swap_job *j = ctx;
    for (uint32_t i = 0; i < j->n; i++) {
        part *p = &j->parts[i];
        int changed;
        if (!p->next.t)
            continue;
        TRY(sq_run(c, &c->write, SQ_SWAP,
                   ARGS(str_of(c->name), p->c->id.ns, p->c->id.name, str_of(p->next.t->metadata_location),
                        str_of(p->cur->metadata_location)), &changed, err));
        if (!changed)
            return FZ_CONFLICT;
    }
    return FZ_OK;
}

/* Brings a part up to the newest state of its table, where it isn't. */
static fz_status part_prepare(sq_catalog *c, part *p, fz_error *err)
{
    ib_table *newest;
    TRY(sq_load_table(&c->base, p->c->id, p->cur, &newest, err));
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
        return ib_requirements_check(p->cur->md, p->c->n_requirements, p->c->requirements, err);
    return stage_commit(c->base.m, p->c, p->cur, &p->next, err);
}

static fz_status parts_commit(sq_catalog *c, uint32_t n, part *parts, fz_error *err)
{
    int64_t start = now_ms();
    for (;;) {
        part *any = NULL;
        for (uint32_t i = 0; i < n; i++) {
            TRY(part_prepare(c, &parts[i], err));
            if (parts[i].next.t)
                any = &parts[i];
        }
        if (!any)
            return FZ_OK;
        TRY(fault_point("catalog.before_cas", err));
        bool unknown;
        fz_status st = sq_transaction(c, rows_swap, &(swap_job){n, parts}, &unknown, err);
        if (st != FZ_CONFLICT)
            return outcome(c, any->c->id, any->next.t->metadata_location, st, unknown, err);
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
        if (p->next.t)
            stage_clean(p->cur->md, p->next.t->md);
        out[i] = p->next.t ? stage_take(&p->next) : ib_table_ref(p->cur);
    }
}

fz_status sq_commit(ib_catalog *b, uint32_t n, const ib_commit *commits, ib_table *const *base, ib_table **out,
                    fz_error *err)
{
    sq_catalog *c = sq_of(b);
    TRY(sq_writable(c, err));
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
