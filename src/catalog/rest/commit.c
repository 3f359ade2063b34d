/*
 * commit.c: the commit protocol.
 *
 * The server checks the requirements and applies the updates. 409 is FZ_CONFLICT, told by the requirement that doesn't hold; where all
 * of them hold the server lost a race of its own, and the commit is sent again. An answer that was lost (the connection broke, 500,
 * 502, 504; 503 may have been half done) leaves open whether the commit happened, so the table is looked at:
 *
 *   it shows what the commit makes (its snapshot; without one, what the updates set)    done
 *   it doesn't, and the requirements no longer hold                                     FZ_CONFLICT: somebody else came first
 *   it doesn't, and they hold                                                           sent again, if that can't do harm
 *   it can't be looked at, or time ran out                                              FZ_UNKNOWN
 *
 * Sending again does no harm where the server has answered (nothing is under way any more; a gateway's 502 and 504 aren't the server's answer), or
 * where the commit adds a snapshot to a ref that it requires to be where it was: whichever of the two comes second is refused. Where one may be under
 * way, a later one's failure for another reason than the table's state (401, a limit) tells nothing of it: FZ_UNKNOWN.
 *
 * A new table is a commit too: assert-create, and updates that make all of it with its first snapshot. Its uuid tells whose it is.
 */
#include "catalog/rest/rest_int.h"

#include "base/fault.h"
#include "catalog/stage.h"
#include "iceberg/spec/build.h"
#include "iceberg/update/json.h"
#include "iceberg/update/layout.h"

#include <time.h>

#define PATIENCE_MS 60000 /* from the first answer that wasn't final */

/* ---- what is sent ---- */

/* {"identifier", "requirements", "updates"}; md: what the updates are applied to, NULL: nothing. */
static fz_status change_to_json(const ib_commit *c, const ib_metadata *md, int format_version, arena *a, json_writer *w, fz_error *err)
{
    jw_begin(w, '{');
    jw_key(w, "identifier");
    jw_begin(w, '{');
    jw_key(w, "namespace");
    rest_levels_to_json(c->id.ns, w);
    jw_key(w, "name");
    jw_str(w, c->id.name);
    jw_end(w, '}');
    jw_key(w, "requirements");
    jw_begin(w, '[');
    for (uint32_t i = 0; i < c->n_requirements; i++)
        ib_requirement_to_json(&c->requirements[i], w);
    jw_end(w, ']');
    jw_key(w, "updates");
    jw_begin(w, '[');
    uint32_t n = c->n_updates;
    const ib_update *u = c->updates;
    if (md)
        TRY(ib_updates_resolve(md, n, u, a, &n, &u, err));
    for (uint32_t i = 0; i < n; i++)
        TRY(ib_update_to_json(&u[i], format_version, a->m, w, err));
    jw_end(w, ']');
    jw_end(w, '}');
    return FZ_OK;
}

/* ---- whether it happened ---- */

static bool props_same(const ib_props *a, const ib_props *b)
{
    bool same = a->n == b->n;
    for (uint32_t i = 0; i < a->n && same; i++) {
        str v = ib_prop(b, a->kv[i].key.p);
        same = v.p && str_eq(a->kv[i].value, v);
    }
    return same;
}

static bool refs_same(const ib_metadata *a, const ib_metadata *b)
{
    bool same = a->n_refs == b->n_refs;
    for (uint32_t i = 0; i < a->n_refs && same; i++) {
        const ib_ref *x = &a->refs_list[i], *y = ib_ref_by_name(b, x->name);
        same = y && x->snapshot_id == y->snapshot_id && x->is_tag == y->is_tag && x->max_ref_age_ms == y->max_ref_age_ms &&
               x->max_snapshot_age_ms == y->max_snapshot_age_ms && x->min_snapshots_to_keep == y->min_snapshots_to_keep;
    }
    return same;
}

static bool nothing_changed(const ib_metadata *a, const ib_metadata *b)
{
    return a->n_schemas == b->n_schemas && a->n_specs == b->n_specs && a->n_orders == b->n_orders && a->n_snapshots == b->n_snapshots &&
           a->current_schema_id == b->current_schema_id && a->default_spec_id == b->default_spec_id &&
           a->default_sort_order_id == b->default_sort_order_id && a->format_version == b->format_version &&
           str_eq(a->location, b->location) && props_same(&a->properties, &b->properties) && refs_same(a, b) &&
           str_eq(a->statistics_json, b->statistics_json) && str_eq(a->partition_statistics_json, b->partition_statistics_json);
}

/* The ids that an update removes and that are still there. */
static uint32_t left_of(const ib_metadata *md, const ib_update *u)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < u->n_ids; i++)
        n += u->kind == IB_REMOVE_SNAPSHOTS ? ib_snapshot_by_id(md, u->ids[i]) != NULL
             : u->kind == IB_REMOVE_SCHEMAS ? ib_schema_by_id(md, (int32_t)u->ids[i]) != NULL
                                            : ib_spec_by_id(md, (int32_t)u->ids[i]) != NULL;
    return n;
}

static bool happened(const ib_metadata *md, const ib_commit *c, mem *m)
{
    arena a;
    arena_init(&a, m);
    ib_update *rest = ARENA_ARRAY(&a, ib_update, c->n_updates);
    uint32_t n = 0;
    bool snapshot = false, there = rest != NULL;
    for (uint32_t i = 0; i < c->n_updates && there; i++) {
        const ib_update *u = &c->updates[i];
        if (u->kind == IB_ADD_SNAPSHOT) {
            snapshot = true;
            there = ib_snapshot_by_id(md, u->snapshot->snapshot_id) != NULL;
        } else if (u->kind == IB_REMOVE_SNAPSHOTS || u->kind == IB_REMOVE_SCHEMAS || u->kind == IB_REMOVE_SPECS) {
            there = left_of(md, u) == 0;
        } else {
            rest[n++] = *u;
        }
    }
    if (there && !snapshot && n) { /* a snapshot tells for all: its id is nobody else's */
        ib_metadata *after = NULL;
        there = ib_metadata_apply(md, NULL, n, rest, m, &after, NULL) == FZ_OK && nothing_changed(md, after);
        ib_metadata_unref(after);
    }
    arena_free(&a);
    return there;
}

static bool guarded(const ib_commit *c)
{
    bool snapshot = false, ref = false;
    for (uint32_t i = 0; i < c->n_updates; i++)
        snapshot |= c->updates[i].kind == IB_ADD_SNAPSHOT;
    for (uint32_t i = 0; i < c->n_requirements; i++)
        ref |= c->requirements[i].kind == IB_ASSERT_REF_SNAPSHOT_ID || c->requirements[i].kind == IB_ASSERT_CREATE;
    return snapshot && ref;
}

/* ---- sending ---- */

static void nap(int attempt)
{
    uint64_t random = 0;
    ib_random(&random, sizeof random, NULL);
    int64_t most = attempt < 6 ? 100 << attempt : 5000, ms = most / 2 + (int64_t)(random % (uint64_t)(most / 2 + 1));
    struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = (ms % 1000) * 1000000};
    nanosleep(&t, NULL);
}

/* The table as it is now, past every cache. FZ_NOT_FOUND. */
static fz_status look(rest_catalog *c, ib_ident id, ib_table **out, fz_error *err)
{
    rest_doubt(c, id);
    return rest_load_table(&c->base, id, NULL, out, err);
}

static fz_status conflict(rest_call *k, ib_ident id, fz_error *err)
{
    fz_error said = {0};
    rest_failed(k, &said);
    return error_set(err, FZ_CONFLICT, "table " STR_FMT "." STR_FMT " changed: %s", STR_ARG(id.ns), STR_ARG(id.name), said.message);
}

static fz_status unknown(fz_error *err, const fz_error *why)
{
    error_set(err, FZ_UNKNOWN, "whether the commit happened isn't known: %s", why->message);
    error_hint(err, "look at the table before it is tried again");
    return FZ_UNKNOWN;
}

/* Whether an answer (or the want of one) leaves the outcome open. */
static bool unclear(fz_status st, int code) { return st == FZ_UNKNOWN || (st == FZ_OK && code >= 500 && code != 501); }

/* The numbers of the snapshots it adds were given away meanwhile, to another branch: no requirement speaks of them, and no server takes them. */
static fz_status numbers_check(const ib_metadata *md, const ib_commit *c, fz_error *err)
{
    for (uint32_t i = 0; i < c->n_updates && md->format_version > 1; i++)
        if (c->updates[i].kind == IB_ADD_SNAPSHOT && c->updates[i].snapshot->sequence_number <= md->last_sequence_number)
            return error_set(err, FZ_CONFLICT, "the table changed: its last sequence number is %lld", (long long)md->last_sequence_number);
    return FZ_OK;
}

/* What a look at the table shows. *out: it happened. FZ_OK with *out NULL: it didn't, and may be sent again. */
static fz_status find_out(rest_catalog *c, const ib_commit *k, const char *uuid, ib_table **out, fz_error *err)
{
    ib_table *now;
    fz_error e = {0};
    *out = NULL;
    fz_status st = look(c, k->id, &now, &e);
    if (uuid && st == FZ_NOT_FOUND)
        return FZ_OK;
    if (st != FZ_OK)
        return st == FZ_NOT_FOUND ? (err ? (*err = e, st) : st) : unknown(err, &e);
    if (uuid ? str_ieq(now->md->table_uuid, str_of(uuid)) : happened(now->md, k, c->base.m)) {
        *out = now;
        return FZ_OK;
    }
    st = uuid ? error_sql(err, FZ_EXISTS, "42P07", "table " STR_FMT "." STR_FMT " exists already", STR_ARG(k->id.ns), STR_ARG(k->id.name))
              : ib_requirements_check(now->md, k->n_requirements, k->requirements, err);
    if (st == FZ_OK)
        st = numbers_check(now->md, k, err);
    ib_table_unref(now);
    return st;
}

/* One try; the answer is in k, which the caller ends. */
static fz_status post(rest_catalog *c, rest_call *k, const ib_commit *commit, str body, fz_error *err)
{
    TRY(rest_call_begin(c->c, k, "POST", err));
    k->once = true;
    rest_path_table(k, commit->id);
    sbuf_str(&k->body, body);
    TRY(fault_point("catalog.before_cas", err));
    TRY(rest_send(k, err));
    if (rest_ok(k) && fault_point("catalog.after_cas", err) != FZ_OK) /* as if the answer had been lost */
        return err ? (err->status = FZ_UNKNOWN) : FZ_UNKNOWN;
    return FZ_OK;
}

/* What an answer that isn't a success means; `late`: an earlier try may have succeeded. *again: another try may. */
static fz_status refused(rest_catalog *c, rest_call *k, const ib_commit *commit, const char *uuid, bool late, bool *again, ib_table **out,
                         fz_error *err)
{
    int code = k->r.code;
    ib_table *there = NULL;
    fz_status st = FZ_OK;
    fz_error found = {0};
    rest_doubt(c, commit->id);
    if (code == 409 || (late && (code == 400 || code == 422))) {
        st = find_out(c, commit, uuid, &there, &found);
        if (there && (late || uuid || guarded(commit))) { /* ours: also where something on the way has sent it twice */
            *out = there;
            return FZ_OK;
        }
        ib_table_unref(there);
        if (late && st == FZ_UNKNOWN)
            return err ? (*err = found, st) : st;
    }
    if (code == 409 && uuid) {
        fz_error said = {0};
        rest_failed(k, &said);
        return error_sql(err, FZ_EXISTS, "42P07", "table " STR_FMT "." STR_FMT " exists already: %s", STR_ARG(commit->id.ns),
                         STR_ARG(commit->id.name), said.message);
    }
    if (code == 409) { /* which requirement it was, in our words; and the newest state for the next try */
        if (st == FZ_CONFLICT || st == FZ_NOT_FOUND)
            return err ? (*err = found, st) : st;
        *again = true; /* none: the server lost a race of its own */
        return conflict(k, commit->id, err);
    }
    if (code == 404) {
        rest_failed(k, NULL);
        return strstr(k->type, "Namespace") || uuid ? rest_no_namespace(k, commit->id.ns, err) : rest_no_table(k, commit->id, err);
    }
    return rest_failed(k, err);
}

/* Whether a failure of a later try says that an earlier one, which nobody answered, can't succeed any more either. */
static bool settled(fz_status st) { return st == FZ_OK || st == FZ_CONFLICT || st == FZ_EXISTS || st == FZ_NOT_FOUND || st == FZ_UNKNOWN; }

/* The snapshot that a commit adds, or NULL. */
static const ib_snapshot *added_by(const ib_commit *c)
{
    for (uint32_t i = c->n_updates; i-- > 0;)
        if (c->updates[i].kind == IB_ADD_SNAPSHOT)
            return c->updates[i].snapshot;
    return NULL;
}

/* Sends the commit until its outcome is known or patience ends. uuid: of a new table, else NULL. */
static fz_status send_until_known(rest_catalog *c, const ib_commit *commit, str body, const char *uuid, const rest_known *known, ib_table *basis,
                                  file_io *io, ib_table **out, fz_error *err)
{
    int64_t end = 0, begun = rest_clock_ms();
    bool late = false, under_way = false;
    for (int attempt = 0;; attempt++) {
        rest_call k;
        fz_error why = {0};
        fz_status st = post(c, &k, commit, body, &why);
        int code = st == FZ_OK ? k.r.code : 0;
        bool open = unclear(st, code), again = false;
        if (open && st == FZ_OK)
            rest_failed(&k, &why);
        else if (st == FZ_OK && rest_ok(&k))
            open = (st = rest_take_table(c, commit->id, &k, known, basis, true, io, out, &why)) != FZ_OK; /* it happened; the answer can't be read */
        else if (st == FZ_OK)
            st = refused(c, &k, commit, uuid, late, &again, out, &why);
        rest_call_end(&k);
        if (!end)
            end = rest_clock_ms() + PATIENCE_MS;
        if (again && rest_clock_ms() < end) {
            nap(attempt);
            continue;
        }
        if (!open && under_way && (again || !settled(st)))
            return unknown(err, &why);
        if (!open) {
            if (st != FZ_OK && err)
                *err = why;
            if (st == FZ_OK)
                rest_report_commit(c, commit->id, added_by(commit), attempt + 1, rest_clock_ms() - begun);
            return st;
        }
        ib_table *there;
        fz_error e = {0};
        st = find_out(c, commit, uuid, &there, &e);
        if (there) {
            *out = there;
            rest_report_commit(c, commit->id, added_by(commit), attempt + 1, rest_clock_ms() - begun);
            return FZ_OK;
        }
        late = true;
        under_way |= code < 300 || code == 502 || code == 504; /* a gateway's answer isn't the server's */
        if (st != FZ_OK && st != FZ_UNKNOWN) {
            if (err)
                *err = e;
            return st;
        }
        if (st != FZ_OK || (under_way && !guarded(commit)) || rest_clock_ms() >= end)
            return unknown(err, &why);
        nap(attempt);
    }
}

/* ---- the operations ---- */

static fz_status commit_one(rest_catalog *c, const ib_commit *commit, ib_table *base, ib_table **out, fz_error *err)
{
    rest_known known;
    ib_table *basis = NULL;
    arena a;
    sbuf body;
    fz_status st = FZ_OK;
    arena_init(&a, c->base.m);
    sbuf_init(&body, c->base.m);
    rest_recall(c, commit->id, &known);
    if (commit->n_updates && (base || known.t))
        basis = ib_table_ref(base ? base : known.t);
    else
        TRY_GOTO(rest_load_table(&c->base, commit->id, base, &basis, err));
    if (!commit->n_updates) {
        TRY_GOTO(ib_requirements_check(basis->md, commit->n_requirements, commit->requirements, err));
        *out = ib_table_ref(basis);
        goto out;
    }
    json_writer w = json_writer_on(&body);
    TRY_GOTO(change_to_json(commit, basis->md, basis->md->format_version, &a, &w, err));
    TRY_GOTO(body.failed ? error_nomem(err) : FZ_OK);
    st = send_until_known(c, commit, (str){body.p, body.n}, NULL, &known, basis, basis->md->io, out, err);
out:
    ib_table_unref(basis);
    rest_known_free(c, &known);
    sbuf_free(&body);
    arena_free(&a);
    return st;
}

fz_status rest_create_table(ib_catalog *b, ib_ident id, const ib_metadata *md, ib_table **out, fz_error *err)
{
    rest_catalog *c = rest_of(b);
    rest_known none = {0};
    ib_requirement create = {.kind = IB_ASSERT_CREATE};
    ib_commit commit = {.id = id, .n_requirements = 1, .requirements = &create};
    arena a;
    sbuf body;
    fz_status st;
    TRY(table_name_check(id, err));
    TRY(fault_point("catalog.create", err));
    arena_init(&a, b->m);
    sbuf_init(&body, b->m);
    TRY_GOTO(ib_updates_of_new(md, &a, &commit.n_updates, &commit.updates, err));
    json_writer w = json_writer_on(&body);
    TRY_GOTO(change_to_json(&commit, NULL, md->format_version, &a, &w, err));
    TRY_GOTO(body.failed ? error_nomem(err) : FZ_OK);
    char *uuid = arena_strndup(&a, md->table_uuid.p, md->table_uuid.n);
    TRY_GOTO(uuid ? FZ_OK : error_nomem(err));
    st = send_until_known(c, &commit, (str){body.p, body.n}, uuid, &none, NULL, md->io, out, err);
out:
    sbuf_free(&body);
    arena_free(&a);
    return st;
}

static void let_go(ib_table **t)
{
    ib_table_unref(*t);
    *t = NULL;
}

/* All tables as they are now; *all: every commit happened, *any: one did. */
static fz_status find_out_many(rest_catalog *c, uint32_t n, const ib_commit *commits, ib_table **out, bool *all, bool *any, fz_error *err)
{
    fz_status st = FZ_OK;
    uint32_t i = 0;
    *all = true;
    *any = false;
    for (; i < n && st == FZ_OK; i++) {
        st = look(c, commits[i].id, &out[i], err);
        if (st != FZ_OK)
            break;
        bool did = happened(out[i]->md, &commits[i], c->base.m);
        *all &= did;
        *any |= did;
    }
    if (st == FZ_OK && *all)
        return FZ_OK;
    while (i-- > 0)
        let_go(&out[i]);
    return st;
}

static fz_status changes_to_json(rest_catalog *c, uint32_t n, const ib_commit *commits, ib_table *const *base, arena *a, sbuf *out, fz_error *err)
{
    json_writer w = json_writer_on(out);
    jw_begin(&w, '{');
    jw_key(&w, "table-changes");
    jw_begin(&w, '[');
    for (uint32_t i = 0; i < n; i++) {
        ib_table *t = base ? ib_table_ref(base[i]) : NULL;
        if (!t)
            TRY(rest_load_table(&c->base, commits[i].id, NULL, &t, err));
        fz_status st = change_to_json(&commits[i], t->md, t->md->format_version, a, &w, err);
        ib_table_unref(t);
        TRY(st);
    }
    jw_end(&w, ']');
    jw_end(&w, '}');
    return out->failed ? error_nomem(err) : FZ_OK;
}

/* The tables after a commit that happened. */
static fz_status load_all(rest_catalog *c, uint32_t n, const ib_commit *commits, ib_table **out, fz_error *err)
{
    fz_error why = {0};
    fz_status st = FZ_OK;
    for (uint32_t i = 0; i < n && st == FZ_OK; i++) {
        st = look(c, commits[i].id, &out[i], &why);
        while (st != FZ_OK && i-- > 0)
            let_go(&out[i]);
        if (st != FZ_OK)
            return unknown(err, &why); /* what came of it can't be shown */
    }
    return FZ_OK;
}

/* After 409: FZ_CONFLICT by the requirement that doesn't hold; FZ_OK: all hold. */
static fz_status check_all(rest_catalog *c, uint32_t n, const ib_commit *commits, fz_error *err)
{
    fz_status st = FZ_OK;
    for (uint32_t i = 0; i < n && st == FZ_OK; i++) {
        ib_table *now;
        TRY(look(c, commits[i].id, &now, err));
        st = ib_requirements_check(now->md, commits[i].n_requirements, commits[i].requirements, err);
        if (st == FZ_OK)
            st = numbers_check(now->md, &commits[i], err);
        ib_table_unref(now);
    }
    return st;
}

static fz_status post_many(rest_catalog *c, rest_call *k, str body, fz_error *err)
{
    TRY(rest_call_begin(c->c, k, "POST", err));
    if (!rest_can(c->c, REST_COMMIT_TRANSACTION))
        return error_set(err, FZ_UNSUPPORTED, "this catalog's server can't commit to several tables at once");
    k->once = true;
    rest_path(k, "transactions/commit");
    sbuf_str(&k->body, body);
    TRY(fault_point("catalog.before_cas", err));
    TRY(rest_send(k, err));
    if (rest_ok(k) && fault_point("catalog.after_cas", err) != FZ_OK)
        return err ? (err->status = FZ_UNKNOWN) : FZ_UNKNOWN;
    return FZ_OK;
}

static fz_status send_many(rest_catalog *c, uint32_t n, const ib_commit *commits, str body, ib_table **out, fz_error *err)
{
    int64_t end = rest_clock_ms() + PATIENCE_MS;
    for (int attempt = 0;; attempt++) {
        rest_call k;
        fz_error why = {0};
        bool all = false, any = false, again = false;
        fz_status st = post_many(c, &k, body, &why);
        int code = st == FZ_OK ? k.r.code : 0;
        if (unclear(st, code)) {
            if (st == FZ_OK)
                rest_failed(&k, &why);
            st = find_out_many(c, n, commits, out, &all, &any, NULL);
            if (st != FZ_OK || !all)
                st = unknown(&why, &(fz_error){.message = "the answer was lost"});
        } else if (st == FZ_OK && rest_ok(&k)) {
            st = load_all(c, n, commits, out, &why);
        } else if (st == FZ_OK && code == 409) {
            st = check_all(c, n, commits, &why);
            again = st == FZ_OK && rest_clock_ms() < end;
            if (st == FZ_OK)
                st = conflict(&k, commits[0].id, &why);
        } else if (st == FZ_OK) {
            for (uint32_t i = 0; i < n; i++)
                rest_doubt(c, commits[i].id);
            st = code == 404 ? rest_no_table(&k, commits[0].id, &why) : rest_failed(&k, &why);
        }
        rest_call_end(&k);
        if (!again) {
            if (st != FZ_OK && err)
                *err = why;
            return st;
        }
        nap(attempt);
    }
}

static fz_status commit_many(rest_catalog *c, uint32_t n, const ib_commit *commits, ib_table *const *base, ib_table **out, fz_error *err)
{
    arena a;
    sbuf body;
    arena_init(&a, c->base.m);
    sbuf_init(&body, c->base.m);
    fz_status st = changes_to_json(c, n, commits, base, &a, &body, err);
    if (st == FZ_OK)
        st = send_many(c, n, commits, (str){body.p, body.n}, out, err);
    sbuf_free(&body);
    arena_free(&a);
    return st;
}

fz_status rest_commit(ib_catalog *b, uint32_t n, const ib_commit *commits, ib_table *const *base, ib_table **out, fz_error *err)
{
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t j = 0; j < i; j++)
            if (str_eq(commits[i].id.name, commits[j].id.name) && str_eq(commits[i].id.ns, commits[j].id.ns))
                return error_set(err, FZ_INVALID, "table " STR_FMT "." STR_FMT " stands twice in one commit", STR_ARG(commits[i].id.ns),
                                 STR_ARG(commits[i].id.name));
    if (n == 1)
        return commit_one(rest_of(b), commits, base ? base[0] : NULL, out, err);
    return n ? commit_many(rest_of(b), n, commits, base, out, err) : FZ_OK;
}
