/* transaction.c: see transaction.h. */
#include "engine/transaction.h"

struct transaction {
    ib_tx *t;
    fz_lake *in;      /* the catalog whose tables it changes; NULL: none yet */
    bool failed;
};

/* ---- life ---- */

static void transaction_end(fz_session *s, fz_status outcome)
{
    struct transaction *tx = s->tx;
    s->tx = NULL; /* statements that are let go now are statements like others */
    if (!tx)
        return;
    ib_tx_end(tx->t, outcome);
    mem_free(&s->m, tx, sizeof *tx);
}

void transaction_drop(fz_session *s)
{
    transaction_end(s, FZ_CANCELLED);
}

void transaction_failed(fz_session *s)
{
    if (s->tx)
        s->tx->failed = true;
}

int fz_session_transaction(const fz_session *s)
{
    return !s->tx ? 0 : s->tx->failed ? 2 : 1;
}

fz_status transaction_check(const fz_session *s, const ast_stmt *ast, fz_error *err)
{
    if (!s->tx || !s->tx->failed || (ast && (ast->kind == ST_COMMIT || ast->kind == ST_ROLLBACK)))
        return FZ_OK;
    error_sql(err, FZ_INVALID, "25P02", "the transaction has failed: statements are ignored until it ends");
    error_hint(err, "ROLLBACK ends it");
    return FZ_INVALID;
}

fz_status transaction_outside(fz_session *s, const char *what, fz_error *err)
{
    if (!s->tx)
        return FZ_OK;
    if (ib_tx_changed(s->tx->t)) {
        error_sql(err, FZ_INVALID, "25001", "%s can't be part of a transaction, and this one has changed tables already", what);
        error_hint(err, "COMMIT or ROLLBACK first");
        return FZ_INVALID;
    }
    ib_tx_forget(s->tx->t); /* what was read may be another thing afterwards */
    session_notice(s, "%s takes effect at once: it isn't part of the transaction", what);
    return FZ_OK;
}

/* ---- BEGIN, COMMIT, ROLLBACK ---- */

static fz_status begin(fz_session *s, fz_error *err)
{
    if (s->tx) {
        session_notice(s, "a transaction is open already"); /* as PostgreSQL has it */
        return FZ_OK;
    }
    struct transaction *tx = mem_zalloc(&s->m, sizeof *tx);
    if (!tx)
        return error_nomem(err);
    fz_status st = ib_tx_new(s->lake->m, &tx->t, err);
    if (st)
        mem_free(&s->m, tx, sizeof *tx);
    else
        s->tx = tx;
    return st;
}

static void remember(void *lake, ib_ident id, ib_table *t)
{
    if (t)
        lake_remember(lake, t);
    else
        lake_forget(lake, id);
}

/* *tag: what came of it. */
static fz_status commit(fz_session *s, const char **tag, fz_error *err)
{
    ib_catalog *c;
    if (!s->tx) {
        session_notice(s, "there is no transaction");
        return FZ_OK;
    }
    if (s->tx->failed) {
        *tag = "ROLLBACK";
        transaction_end(s, FZ_CANCELLED);
        return FZ_OK;
    }
    fz_status st = FZ_OK;
    if (ib_tx_changed(s->tx->t)) {
        st = lake_catalog(s->tx->in, true, &c, err);
        if (!st)
            st = ib_tx_commit(s->tx->t, c, remember, s->tx->in, err);
    }
    transaction_end(s, st);
    return st;
}

fz_status run_transaction(statement *st, fz_result **out, fz_error *err)
{
    fz_session *s = st->s;
    ast_stmt_kind kind = st->ast->kind;
    fz_result *done;
    const char *tag = st->ast->what;
    fz_status r = result_begin(s, tag, &done, err);
    statement_free(st);
    if (!r && kind == ST_BEGIN) {
        r = begin(s, err);
    } else if (!r && kind == ST_COMMIT) {
        r = commit(s, &done->tag, err);
    } else if (!r) {
        if (!s->tx)
            session_notice(s, "there is no transaction");
        transaction_end(s, FZ_CANCELLED);
    }
    return result_end(done, r, -1, out);
}

/* ---- tables ---- */

fz_status session_table(fz_session *s, ib_ident id, ib_table **out, fz_error *err)
{
    id.home = ident_lake(s, id);
    if (!s->tx)
        return lake_table(id.home, id, out, err);
    if (ib_tx_find(s->tx->t, id, out))
        return *out ? FZ_OK
                    : error_sql(err, FZ_NOT_FOUND, "42P01", "there is no table " STR_FMT "." STR_FMT, STR_ARG(id.ns), STR_ARG(id.name));
    TRY(lake_table(id.home, id, out, err)); /* a name that means nothing isn't pinned: others may make the table */
    fz_status st = ib_tx_pin(s->tx->t, id, *out, err);
    if (st) {
        ib_table_unref(*out);
        *out = NULL;
    }
    return st;
}

fz_status transaction_tables(const fz_session *s, const fz_lake *l, str ns, arena *a, uint32_t *n, ib_ident **tables, fz_error *err)
{
    ib_ident id;
    uint32_t more = 0, at = 0;
    if (!s->tx || !ib_tx_changed(s->tx->t))
        return FZ_OK;
    for (uint32_t i = 0; ib_tx_created(s->tx->t, i, &id); i++)
        more += id.home == l && str_eq(id.ns, ns);
    ib_ident *all = ARENA_ARRAY(a, ib_ident, *n + more + 1);
    if (!all)
        return error_nomem(err);
    for (uint32_t i = 0; i < *n; i++) { /* what the transaction has made or dropped isn't as the catalog has it */
        ib_table *t;
        id = (*tables)[i];
        id.home = (void *)l;
        bool known = ib_tx_find(s->tx->t, id, &t);
        if (!known || (t && !ib_tx_makes(s->tx->t, id)))
            all[at++] = (*tables)[i];
        ib_table_unref(t);
    }
    for (uint32_t i = 0; ib_tx_created(s->tx->t, i, &id); i++)
        if (id.home == l && str_eq(id.ns, ns))
            all[at++] = id;
    *tables = all;
    *n = at;
    return FZ_OK;
}

/* ---- steps ---- */

/* What a step points to. */
typedef struct owner {
    statement *st;
    table_writer *w;  /* or NULL */
    ib_metadata *md;  /* that its files are of */
    mem *m;
} owner;

static void owner_done(void *ctx, fz_status outcome)
{
    owner *o = ctx;
    if (o->w && (outcome == FZ_OK || outcome == FZ_UNKNOWN))
        table_writer_committed(o->w);
    table_writer_close(o->w);
    ib_metadata_unref(o->md);
    o->st->kept = false;
    statement_free(o->st);
    mem_free(o->m, o, sizeof *o);
}

static owner *owner_new(statement *st, table_writer *w, const ib_metadata *md)
{
    owner *o = mem_zalloc(&st->s->m, sizeof *o);
    if (o)
        *o = (owner){st, w, md ? ib_metadata_ref((ib_metadata *)md) : NULL, &st->s->m};
    return o;
}

/* The step wasn't kept: what it would have kept goes on as it was. */
static void owner_drop(owner *o)
{
    ib_metadata_unref(o->md);
    mem_free(o->m, o, sizeof *o);
}

/* The table's name as the transaction knows it, if it may change it. */
static fz_status changeable(fz_session *s, ib_ident *id, fz_error *err)
{
    struct transaction *tx = s->tx;
    id->home = ident_lake(s, *id);
    if (tx->in && tx->in != id->home)
        return error_sql(err, FZ_UNSUPPORTED, "0A000", "a transaction that changes tables of two catalogs isn't supported");
    tx->in = id->home;
    return FZ_OK;
}

fz_status transaction_create(statement *st, ib_ident id, ib_metadata *md, fz_error *err)
{
    TRY(changeable(st->s, &id, err));
    return ib_tx_create(st->s->tx->t, id, md, err);
}

fz_status transaction_drop_table(statement *st, ib_ident id, fz_error *err)
{
    TRY(changeable(st->s, &id, err));
    return ib_tx_drop(st->s->tx->t, id, err);
}

fz_status transaction_write(statement *st, const write_target *t, const ib_write *iw, table_writer *w, fz_error *err)
{
    struct transaction *tx = st->s->tx;
    ib_ident id = t->id;
    TRY(changeable(st->s, &id, err));
    if (!t->base)
        TRY(ib_tx_create(tx->t, id, (ib_metadata *)t->md, err));
    if (iw->op == IB_APPEND && !iw->n_files && !iw->n_before)
        return FZ_OK;
    owner *o = owner_new(st, w, t->md);
    if (!o)
        return error_nomem(err);
    fz_status r = ib_tx_write(tx->t, id, iw, (ib_tx_owner){owner_done, o}, &st->kept, err);
    if (!st->kept)
        owner_drop(o);
    return r;
}

fz_status transaction_change(statement *st, ib_ident id, ib_change_fn fn, fz_error *err)
{
    TRY(changeable(st->s, &id, err));
    owner *o = owner_new(st, NULL, NULL);
    if (!o)
        return error_nomem(err);
    fz_status r = ib_tx_change(st->s->tx->t, id, fn, st, (ib_tx_owner){owner_done, o}, &st->kept, err);
    if (!st->kept)
        owner_drop(o);
    return r;
}
