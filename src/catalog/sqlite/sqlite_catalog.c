/*
 * sqlite_catalog.c: opening and closing the embedded catalog, its table of functions, its queue.
 */
#include "catalog/queue.h"
#include "catalog/sqlite/sqlite_int.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>

#define BUSY_MS 30000

/* ---- the queue: <lake>/.frazil/locks/<hash of the name>.lock ---- */

static fz_status sq_queue_lock(ib_catalog *b, ib_ident id, int64_t timeout_ms, void **token, fz_error *err)
{
    sq_catalog *c = sq_of(sql_of(b));
    *token = NULL;
    if (c->sql.read_only || c->network)
        return FZ_OK;
    char folder[PATH_MAX + 32];
    int n = snprintf(folder, sizeof folder, "%s/.frazil/locks", c->lake);
    if (n < 0 || (size_t)n >= sizeof folder)
        return FZ_OK;
    return queue_table_lock(folder, 3, (str[]){str_of(c->sql.name), id.ns, id.name}, timeout_ms, token, err);
}

static void sq_queue_unlock(ib_catalog *b, void *token)
{
    queue_table_unlock(token);
}

/* ---- opening and closing ---- */

static void sq_close(ib_catalog *b)
{
    sq_catalog *c = sq_of(sql_of(b));
    sq_conn_close(&c->read);
    sq_conn_close(&c->write);
    pthread_mutex_destroy(&c->read.lock);
    pthread_mutex_destroy(&c->write.lock);
    file_io_unref(b->io);
    arena_free(&c->mem);
    mem_free(b->m, c, sizeof *c);
}

static const ib_catalog_ops ops = {
    .kind = "sqlite",
    .close = sq_close,
    SQL_CATALOG_OPS,
    .queue_lock = sq_queue_lock,
    .queue_unlock = sq_queue_unlock,
};

static fz_status connections_open(sq_catalog *c, const sqlite_catalog_options *o, bool create, fz_error *err)
{
    if (create)
        TRY(sq_conn_open(c, &c->write, true, true, err));
    if (c->immutable && stat(c->db_path, &c->seen) < 0)
        return error_errno(err, errno, c->db_path, "the catalog can't be opened");
    fz_status st = sq_conn_open(c, &c->read, false, false, err);
    if (st == FZ_NOT_FOUND && !create && o->create_if_missing && !c->sql.read_only) {
        /* A SQLite file without the tables: PyIceberg would make them too. */
        TRY(sq_conn_open(c, &c->write, true, true, err));
        st = sq_conn_open(c, &c->read, false, false, err);
    }
    TRY(st);
    return sq_name_find(c, o->catalog_name, err);
}

fz_status sqlite_catalog_open(const sqlite_catalog_options *o, mem *m, logger *log, ib_catalog **out, fz_error *err)
{
    sq_catalog *c = mem_zalloc(m, sizeof *c);
    if (!c)
        return error_nomem(err);
    c->sql.base = (ib_catalog){.ops = &ops, .m = m};
    c->sql.db = &sq_db;
    c->log = log;
    c->sql.busy_ms = o->busy_timeout_ms > 0 ? o->busy_timeout_ms : BUSY_MS;
    c->sql.read_only = o->read_only;
    arena_init(&c->mem, m);
    pthread_mutex_init(&c->read.lock, NULL);
    pthread_mutex_init(&c->write.lock, NULL);
    bool create = false;
    fz_status st = o->db_file ? sq_file_find(c, o, &create, err) : sq_lake_find(c, o, &create, err);
    if (st == FZ_OK)
        st = connections_open(c, o, create, err);
    if (st != FZ_OK) {
        sq_close(&c->sql.base);
        return st;
    }
    *out = &c->sql.base;
    return FZ_OK;
}
