/* ddl.c: CREATE SCHEMA, DROP SCHEMA, DROP TABLE [PURGE]. */
#include "engine/engine_int.h"
#include "engine/transaction.h"

#include "iceberg/update/history.h"
#include "io/io.h"

#include <stdlib.h>

static fz_status create_schema(statement *st, fz_error *err)
{
    fz_session *s = st->s;
    const sql_name *name = &st->ast->create_schema.name;
    str ns;
    bool exists;
    fz_lake *in;
    TRY(session_find_namespace(s, name, &st->a, &in, &ns, &exists, err));
    ib_catalog *c;
    TRY(lake_catalog(in, true, &c, err));
    fz_status r = FZ_EXISTS;
    fz_error e;
    if (!exists) {
        uint32_t n = st->ast->create_schema.n_properties;
        ib_kv *kv = ARENA_ARRAY(&st->a, ib_kv, n + 1);
        if (!kv)
            return error_nomem(err);
        for (uint32_t i = 0; i < n; i++)
            kv[i] = (ib_kv){st->ast->create_schema.properties[i].key, st->ast->create_schema.properties[i].value};
        if (st->ast->create_schema.comment.n)
            kv[n++] = (ib_kv){STR("comment"), st->ast->create_schema.comment};
        ib_props props = {n, kv};
        r = c->ops->create_namespace(c, ns, n ? &props : NULL, &e);
    }
    if (r != FZ_EXISTS) {
        if (r && err)
            *err = e;
        return r;
    }
    if (st->ast->create_schema.if_not_exists)
        return FZ_OK;
    error_sql(err, FZ_EXISTS, "42P06", "the namespace \"" STR_FMT "\" exists", STR_ARG(ns));
    error_line(err, name->parts[0].pos.line, name->parts[0].pos.column);
    return FZ_EXISTS;
}

static fz_status no_namespace(const sql_name *name, str ns, fz_error *err)
{
    error_sql(err, FZ_NOT_FOUND, "3F000", "there is no namespace \"" STR_FMT "\"", STR_ARG(ns));
    error_line(err, name->parts[0].pos.line, name->parts[0].pos.column);
    return FZ_NOT_FOUND;
}

static fz_status drop_schema(statement *st, fz_error *err)
{
    fz_session *s = st->s;
    const sql_name *name = &st->ast->drop_schema.name;
    str ns;
    bool exists;
    fz_lake *in;
    if (st->ast->drop_schema.cascade)
        return error_set(err, FZ_UNSUPPORTED, "DROP SCHEMA … CASCADE isn't supported; drop the tables first");
    TRY(session_find_namespace(s, name, &st->a, &in, &ns, &exists, err));
    if (!exists)
        return st->ast->drop_schema.if_exists ? FZ_OK : no_namespace(name, ns, err);
    ib_catalog *c;
    TRY(lake_catalog(in, true, &c, err));
    return c->ops->drop_namespace(c, ns, err);
}

/* ---- purging ---- */

typedef struct purge_list {
    arena *a;
    char **paths;
    uint32_t n, cap;
} purge_list;

static fz_status purge_add(purge_list *l, str path, fz_error *err)
{
    if (l->n == l->cap) {
        uint32_t cap = l->cap ? 2 * l->cap : 256;
        char **p = ARENA_ARRAY(l->a, char *, cap);
        if (!p)
            return error_nomem(err);
        if (l->n)
            memcpy(p, l->paths, sizeof *p * l->n);
        l->paths = p;
        l->cap = cap;
    }
    l->paths[l->n] = arena_strndup(l->a, path.p, path.n);
    return l->paths[l->n++] ? FZ_OK : error_nomem(err);
}

static int path_cmp(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Every file that the table's metadata names, in all its snapshots. */
static fz_status purge_collect(fz_session *s, const ib_table *t, purge_list *l, fz_error *err)
{
    const ib_metadata *md = t->md;
    ib_manifest_cache *cache = s->lake->rt->manifests;
    for (uint32_t i = 0; i < md->n_snapshots; i++) {
        const ib_snapshot *snap = md->snapshots[i];
        ib_decoded *list;
        TRY(ib_snapshot_manifests(cache, md, snap, s->lake->m, &list, err));
        fz_status st = snap->manifest_list.n ? purge_add(l, snap->manifest_list, err) : FZ_OK;
        for (uint32_t k = 0; k < list->n && !st; k++) {
            ib_decoded *m;
            st = ib_manifest_get(cache, &list->files[k], md, false, s->lake->m, &m, err);
            if (st)
                break;
            st = purge_add(l, list->files[k].path, err);
            for (uint32_t e = 0; e < m->n && !st; e++)
                st = purge_add(l, m->entries[e].file.file_path, err);
            ib_decoded_unref(m);
        }
        ib_decoded_unref(list);
        if (st)
            return st;
    }
    ib_path_list stats;
    TRY(ib_statistics_files(md, s->lake->m, l->a, &stats, err));
    for (uint32_t i = 0; i < stats.n; i++)
        TRY(purge_add(l, str_of(stats.at[i].path), err));
    for (uint32_t i = 0; i < md->n_metadata_log; i++)
        TRY(purge_add(l, md->metadata_log[i].metadata_file, err));
    return purge_add(l, str_of(t->metadata_location), err);
}

static fz_status drop_table(statement *st, fz_error *err)
{
    fz_session *s = st->s;
    const sql_name *name = &st->ast->drop_table.name;
    ib_ident id;
    ib_table *t;
    fz_status r = session_find_table(s, name, &st->a, &id, &t, err);
    /* A table whose metadata is gone, damaged or not understood can still be taken out of the catalog. */
    bool unreadable = !st->ast->drop_table.purge && (r == FZ_DATA || r == FZ_UNSUPPORTED);
    if (r && !unreadable)
        return r;
    if (!r && !t)
        return st->ast->drop_table.if_exists ? FZ_OK : session_no_table(s, name, err);
    if (s->tx && !r && !st->ast->drop_table.purge) {
        ib_table_unref(t);
        return transaction_drop_table(st, id, err);
    }
    if (unreadable)
        TRY(transaction_outside(s, "DROP TABLE of a table that can't be read", err));
    ib_catalog *c;
    purge_list l = {.a = &st->a};
    r = lake_catalog(ident_lake(s, id), true, &c, err);
    /* What is to be removed is known before the table goes; it is removed only after that. */
    if (!r && st->ast->drop_table.purge) {
        if (str_ieq(ib_prop(&t->md->properties, "gc.enabled"), STR("false")))
            r = error_set(err, FZ_INVALID, "the table's property gc.enabled is false: its files may belong to others; drop it without PURGE");
        else
            r = purge_collect(s, t, &l, err);
    }
    if (!r)
        r = c->ops->drop_table(c, id, err);
    file_io *io = t ? file_io_ref(t->md->io) : NULL;
    ib_table_unref(t);
    if (r) {
        file_io_unref(io);
        return r;
    }
    lake_forget(ident_lake(s, id), id);
    if (l.n)
        qsort(l.paths, l.n, sizeof *l.paths, path_cmp);
    uint32_t left = 0;
    for (uint32_t i = 0; i < l.n; i++)
        if (i == 0 || strcmp(l.paths[i], l.paths[i - 1]) != 0) {
            fz_status rm = io_remove(io, l.paths[i], NULL);
            left += rm != FZ_OK && rm != FZ_NOT_FOUND;
        }
    file_io_unref(io);
    if (left)
        session_notice(s, "the table is dropped, but %u of its files couldn't be removed", left);
    return FZ_OK;
}

fz_status run_ddl(statement *st, fz_result **out, fz_error *err)
{
    fz_session *s = st->s;
    const char *tag = st->ast->what;
    fz_result *done;
    fz_status r = result_begin(s, tag, &done, err);
    if (!r && (st->ast->kind != ST_DROP_TABLE || st->ast->drop_table.purge))
        r = transaction_outside(s, tag, err);
    if (!r)
        r = st->ast->kind == ST_CREATE_SCHEMA ? create_schema(st, err)
          : st->ast->kind == ST_DROP_SCHEMA   ? drop_schema(st, err)
                                              : drop_table(st, err);
    statement_free(st);
    return result_end(done, r, -1, out);
}
