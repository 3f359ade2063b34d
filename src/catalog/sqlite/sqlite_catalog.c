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

/* Part of a file name that several versions of this program must agree on: FNV-1a. */
static uint64_t name_hash(uint64_t h, str s)
{
    for (size_t i = 0; i < s.n; i++)
        h = (h ^ (unsigned char)s.p[i]) * 0x100000001b3u;
    return (h ^ 0xff) * 0x100000001b3u;
}

static fz_status sq_queue_lock(ib_catalog *b, ib_ident id, int64_t timeout_ms, void **token, fz_error *err)
{
    sq_catalog *c = sq_of(sql_of(b));
    *token = NULL;
    if (c->sql.read_only || c->network)
        return FZ_OK;
    char path[PATH_MAX + 64];
    uint64_t h = name_hash(name_hash(name_hash(0xcbf29ce484222325u, str_of(c->sql.name)), id.ns), id.name);
    int n = snprintf(path, sizeof path, "%s/.frazil/locks/%016llx.lock", c->lake, (unsigned long long)h);
    if (n < 0 || (size_t)n >= sizeof path)
        return FZ_OK;
    int fd;
    TRY(queue_enter(path, timeout_ms, &fd, err));
    if (fd < 0) { /* the first time, or somebody tidied up */
        char *end = strrchr(path, '/');
        *end = 0;
        end[-(int)sizeof "/locks" + 1] = 0;
        mkdir(path, 0777);
        end[-(int)sizeof "/locks" + 1] = '/';
        mkdir(path, 0777);
        *end = '/';
        TRY(queue_enter(path, timeout_ms, &fd, err));
    }
    *token = fd < 0 ? NULL : (void *)(intptr_t)(fd + 1);
    return FZ_OK;
}

static void sq_queue_unlock(ib_catalog *b, void *token)
{
    if (token)
        queue_leave((int)(intptr_t)token - 1);
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
    fz_status st = sq_lake_find(c, o, &create, err);
    if (st == FZ_OK)
        st = connections_open(c, o, create, err);
    if (st != FZ_OK) {
        sq_close(&c->sql.base);
        return st;
    }
    *out = &c->sql.base;
    return FZ_OK;
}
