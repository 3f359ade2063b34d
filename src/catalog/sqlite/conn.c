/*
 * conn.c: SQLite connections of the embedded catalog: opening, statements, transactions, errors.
 */
#include "catalog/sqlite/sqlite_int.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void nap_us(long us)
{
    struct timespec t = {.tv_nsec = us * 1000};
    nanosleep(&t, NULL);
}

/* ---- errors ---- */

#define SQLITE_PATH_MAX 500 /* SQLite's MAX_PATHNAME without room for what it appends */

fz_status sq_fail(sq_catalog *c, sqlite3 *db, int rc, const char *what, fz_error *err)
{
    const char *text = db ? sqlite3_errmsg(db) : sqlite3_errstr(rc);
    int errnum = db ? sqlite3_system_errno(db) : 0;
    fz_status st;
    switch (rc & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        st = error_set(err, FZ_BUSY, "the catalog was locked by another program for %lld ms", (long long)c->sql.busy_ms);
        error_hint(err, "find out which program keeps a transaction open on it");
        break;
    case SQLITE_NOMEM:
        st = error_nomem(err);
        break;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        st = error_set(err, FZ_DATA, "the catalog is damaged or not a SQLite file: %s", text);
        break;
    case SQLITE_CONSTRAINT:
        st = error_set(err, FZ_EXISTS, "%s: %s", what, text);
        break;
    case SQLITE_FULL:
        st = error_errno(err, ENOSPC, c->db_path, what);
        break;
    case SQLITE_CANTOPEN:
        if (strlen(c->db_path) > SQLITE_PATH_MAX) {
            st = error_set(err, FZ_INVALID, "%s: its path has %zu bytes, more than SQLite takes", what, strlen(c->db_path));
            break;
        }
        /* fallthrough */
    case SQLITE_IOERR:
        st = errnum ? error_errno(err, errnum, c->db_path, what) : error_set(err, FZ_IO, "%s: %s", what, text);
        break;
    default:
        st = error_set(err, FZ_IO, "%s: %s", what, text);
    }
    error_where(err, c->db_path);
    return st;
}

/* ---- opening ---- */

/* Short naps: a write transaction lasts about as long as one sync. */
static int busy_wait(void *ctx, int n)
{
    sq_conn *k = ctx;
    if (n == 0)
        k->wait_from_ms = now_ms();
    if (now_ms() - k->wait_from_ms >= k->busy_ms)
        return 0;
    nap_us(n < 4 ? 250 : n < 20 ? 1000 : 4000);
    return 1;
}

/* A path as SQLite's URI form takes it. */
static void uri_add(sbuf *b, const char *path)
{
    sbuf_addz(b, "file:");
    for (const char *p = path; *p; p++) {
        if (*p == '%' || *p == '?' || *p == '#')
            sbuf_printf(b, "%%%02X", (unsigned char)*p);
        else
            sbuf_addc(b, *p);
    }
}

static fz_status db_open(sq_catalog *c, sq_conn *k, int flags, fz_error *err)
{
    sbuf uri;
    sbuf_init(&uri, c->sql.base.m);
    uri_add(&uri, c->db_path);
    if (c->immutable)
        sbuf_addz(&uri, "?immutable=1");
    if (uri.failed) {
        sbuf_free(&uri);
        return error_nomem(err);
    }
    int rc = sqlite3_open_v2(uri.p, &k->db, flags | SQLITE_OPEN_URI | SQLITE_OPEN_NOMUTEX, NULL);
    sbuf_free(&uri);
    if (rc != SQLITE_OK) {
        fz_status st = sq_fail(c, k->db, rc, "the catalog can't be opened", err);
        sqlite3_close(k->db);
        k->db = NULL;
        return st;
    }
    sqlite3_extended_result_codes(k->db, 1);
    k->busy_ms = c->sql.busy_ms;
    sqlite3_busy_handler(k->db, busy_wait, k);
    return FZ_OK;
}

fz_status sq_exec(sq_catalog *c, sq_conn *k, const char *text, fz_error *err)
{
    int64_t start = now_ms();
    for (;;) {
        int rc = sqlite3_exec(k->db, text, NULL, NULL, NULL);
        if (rc == SQLITE_OK)
            return FZ_OK;
        fz_status st = sq_fail(c, k->db, rc, "the catalog can't be written", err);
        if (!sqlite3_get_autocommit(k->db))
            sqlite3_exec(k->db, "ROLLBACK", NULL, NULL, NULL);
        if (st != FZ_BUSY || now_ms() - start >= c->sql.busy_ms)
            return st;
        nap_us(2000); /* SQLite doesn't wait by itself where that could be a deadlock */
    }
}

/* The write-ahead log lets others read while one commits; it needs memory that all users of the file
 * share, so across machines the rollback journal has to do. */
static fz_status journal_set(sq_catalog *c, sq_conn *k, fz_error *err)
{
    TRY(sq_exec(c, k, c->network ? "PRAGMA journal_mode = DELETE" : "PRAGMA journal_mode = WAL", err));
    return sq_exec(c, k, "PRAGMA synchronous = FULL", err);
}

static fz_status tables_create(sq_catalog *c, sq_conn *k, fz_error *err)
{
    sbuf text;
    sbuf_init(&text, c->sql.base.m);
    sbuf_printf(&text, "BEGIN IMMEDIATE;%s;%s;COMMIT", sql_create_tables, sql_create_properties);
    fz_status st = text.failed ? error_nomem(err) : sq_exec(c, k, text.p, err);
    sbuf_free(&text);
    return st;
}

/* FZ_NOT_FOUND: the tables aren't there. */
static fz_status tables_find(sq_catalog *c, sq_conn *k, fz_error *err)
{
    static const char *const probe[] = {"SELECT iceberg_type FROM iceberg_tables, iceberg_namespace_properties",
                                        "SELECT 1 FROM iceberg_tables, iceberg_namespace_properties"};
    for (int i = 0; i < 2; i++) {
        sqlite3_stmt *s = NULL;
        int rc = sqlite3_prepare_v2(k->db, probe[i], -1, &s, NULL);
        sqlite3_finalize(s);
        if (rc == SQLITE_OK) {
            c->sql.typed = i == 0;
            return FZ_OK;
        }
        if ((rc & 0xff) != SQLITE_ERROR)
            return sq_fail(c, k->db, rc, "the catalog can't be read", err);
    }
    error_set(err, FZ_NOT_FOUND, "the file has no tables of an Iceberg catalog");
    error_where(err, c->db_path);
    return FZ_NOT_FOUND;
}

fz_status sq_conn_open(sq_catalog *c, sq_conn *k, bool write, bool create, fz_error *err)
{
    int flags = c->sql.read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | (create ? SQLITE_OPEN_CREATE : 0);
    TRY(db_open(c, k, flags, err));
    fz_status st = FZ_OK;
    if (write) {
        st = journal_set(c, k, err);
        if (st == FZ_OK && create)
            st = tables_create(c, k, err);
    } else {
        st = tables_find(c, k, err);
    }
    if (st != FZ_OK)
        sq_conn_close(k);
    return st;
}

void sq_conn_close(sq_conn *k)
{
    for (int i = 0; i < SQ_STMTS_; i++) {
        sqlite3_finalize(k->stmt[i]);
        k->stmt[i] = NULL;
    }
    sqlite3_close(k->db);
    k->db = NULL;
}

/* ---- statements ---- */

static fz_status prepare(sq_catalog *c, sq_conn *k, int id, fz_error *err)
{
    static const char *const own[] = {"BEGIN IMMEDIATE", "COMMIT", "ROLLBACK"};
    sbuf text;
    sbuf_init(&text, c->sql.base.m);
    if (id < SQL_STMTS_)
        sql_text(id, SQL_SQLITE, c->sql.typed, &text);
    else
        sbuf_addz(&text, own[id - SQL_STMTS_]);
    int rc = text.failed ? SQLITE_NOMEM : sqlite3_prepare_v3(k->db, text.p, -1, SQLITE_PREPARE_PERSISTENT, &k->stmt[id], NULL);
    sbuf_free(&text);
    return rc == SQLITE_OK ? FZ_OK : sq_fail(c, k->db, rc, "the catalog can't be read", err);
}

/* The prepared statement, reset, with the strings bound from parameter 1 on. Connection locked. */
static fz_status bind(sq_catalog *c, sq_conn *k, int id, uint32_t n, const str *args, sqlite3_stmt **out, fz_error *err)
{
    if (!k->stmt[id])
        TRY(prepare(c, k, id, err));
    sqlite3_stmt *s = k->stmt[id];
    sqlite3_reset(s);
    for (uint32_t i = 0; i < n; i++) {
        int rc = sqlite3_bind_text64(s, (int)i + 1, args[i].p ? args[i].p : "", args[i].n, SQLITE_STATIC, SQLITE_UTF8);
        if (rc != SQLITE_OK)
            return sq_fail(c, k->db, rc, "a name can't be passed to SQLite", err);
    }
    *out = s;
    return FZ_OK;
}

fz_status sq_step(sq_catalog *c, sq_conn *k, sqlite3_stmt *s, int *rc, fz_error *err)
{
    *rc = sqlite3_step(s);
    if (*rc == SQLITE_ROW || *rc == SQLITE_DONE)
        return FZ_OK;
    fz_status st = sq_fail(c, k->db, *rc, "the catalog can't be used", err);
    sqlite3_reset(s);
    return st;
}

static fz_status run(sq_catalog *c, sq_conn *k, int id, uint32_t n, const str *args, int *changed, fz_error *err)
{
    sqlite3_stmt *s;
    int rc;
    TRY(bind(c, k, id, n, args, &s, err));
    TRY(sq_step(c, k, s, &rc, err));
    if (changed)
        *changed = sqlite3_changes(k->db);
    sqlite3_reset(s);
    return FZ_OK;
}

str sq_column(sqlite3_stmt *s, int i)
{
    const unsigned char *p = sqlite3_column_text(s, i);
    return (str){(const char *)p, p ? (size_t)sqlite3_column_bytes(s, i) : 0};
}

/* ---- reading and writing ---- */

static bool file_same(const struct stat *a, const struct stat *b)
{
    return a->st_ino == b->st_ino && a->st_dev == b->st_dev && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

/* Locks the connection for reading (opened again where an immutable file was replaced). */
static fz_status read_begin(sq_catalog *c, fz_error *err)
{
    pthread_mutex_lock(&c->read.lock);
    if (!c->immutable)
        return FZ_OK;
    /* SQLite was told that nobody changes the file, so changes are looked for here. */
    struct stat now;
    fz_status st = FZ_OK;
    if (stat(c->db_path, &now) < 0) {
        st = error_set(err, FZ_NOT_FOUND, "the catalog is gone");
        error_where(err, c->db_path);
    } else if (!c->read.db || !file_same(&now, &c->seen)) {
        sq_conn_close(&c->read);
        c->seen = now;
        st = sq_conn_open(c, &c->read, false, false, err);
    }
    if (st != FZ_OK)
        pthread_mutex_unlock(&c->read.lock);
    return st;
}

#define COLUMNS_MAX 4

static fz_status sq_query(sql_catalog *b, sql_tx *tx, sql_stmt id, uint32_t n, const str *args, sql_row_fn row, void *ctx,
                          fz_error *err)
{
    sq_catalog *c = sq_of(b);
    sq_conn *k = tx ? &c->write : &c->read;
    sqlite3_stmt *s = NULL;
    str columns[COLUMNS_MAX];
    int rc;
    if (!tx)
        TRY(read_begin(c, err));
    fz_status st = bind(c, k, id, n, args, &s, err);
    while (st == FZ_OK && (st = sq_step(c, k, s, &rc, err)) == FZ_OK && rc == SQLITE_ROW) {
        int w = sqlite3_column_count(s);
        for (int i = 0; i < w && i < COLUMNS_MAX; i++)
            columns[i] = sq_column(s, i);
        st = row(ctx, (uint32_t)w, columns, err);
    }
    if (s)
        sqlite3_reset(s);
    if (!tx)
        pthread_mutex_unlock(&c->read.lock);
    return st;
}

/* What SQLite needs no statement for is done by its write transaction. */
static fz_status sq_run(sql_catalog *b, sql_tx *tx, sql_stmt id, uint32_t n, const str *args, int *changed, fz_error *err)
{
    return id == SQL_NS_LOCK ? FZ_OK : run(sq_of(b), &sq_of(b)->write, id, n, args, changed, err);
}

/* Another program may hold the file for a moment just when the transaction ends (rollback journal). */
static fz_status commit_run(sq_catalog *c, sq_conn *k, bool *unknown, fz_error *err)
{
    int64_t start = now_ms();
    for (;;) {
        fz_status st = run(c, k, SQ_COMMIT, 0, NULL, NULL, err);
        if (st == FZ_OK)
            return FZ_OK;
        if (st != FZ_BUSY) {
            *unknown = sqlite3_get_autocommit(k->db); /* while the transaction is open, nothing of it counts */
            return st;
        }
        if (now_ms() - start >= c->sql.busy_ms)
            return st;
        nap_us(1000);
    }
}

static fz_status sq_transaction(sql_catalog *b, fz_status (*body)(sql_catalog *c, sql_tx *tx, void *ctx, fz_error *err),
                                void *ctx, bool *unknown, fz_error *err)
{
    sq_catalog *c = sq_of(b);
    sq_conn *k = &c->write;
    fz_status st = FZ_OK;
    *unknown = false;
    pthread_mutex_lock(&k->lock);
    if (!k->db)
        st = sq_conn_open(c, k, true, false, err);
    if (st == FZ_OK)
        st = run(c, k, SQ_BEGIN, 0, NULL, NULL, err);
    if (st == FZ_OK) {
        st = body(b, (sql_tx *)k, ctx, err);
        if (st == FZ_OK)
            st = commit_run(c, k, unknown, err);
        if (!sqlite3_get_autocommit(k->db))
            run(c, k, SQ_ROLLBACK, 0, NULL, NULL, NULL);
        if (!sqlite3_get_autocommit(k->db)) /* nor could that be done: nobody else is to be kept waiting */
            sq_conn_close(k);
    }
    pthread_mutex_unlock(&k->lock);
    return st;
}

const sql_db_ops sq_db = {.query = sq_query, .run = sq_run, .transaction = sq_transaction, .place_check = sq_moved_check};
