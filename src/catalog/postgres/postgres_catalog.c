/*
 * postgres_catalog.c: opening and closing a catalog in PostgreSQL: its URI, its tables, its queue.
 */
#include "catalog/postgres/postgres_int.h"
#include "catalog/queue.h"
#include "io/io.h"

#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#define CONNECT_MS 10000
#define STATEMENT_MS 30000
#define CONNECTIONS 8

/* ---- the queue: among the programs of this user on this machine ---- */

static fz_status pg_queue_lock(ib_catalog *b, ib_ident id, int64_t timeout_ms, void **token, fz_error *err)
{
    sql_catalog *c = sql_of(b);
    char folder[PATH_MAX];
    *token = NULL;
    if (c->read_only || !queue_user_folder(folder, sizeof folder))
        return FZ_OK;
    str names[] = {str_of(c->place), str_of(c->name), id.ns, id.name};
    return queue_table_lock(folder, 4, names, timeout_ms, token, err);
}

static void pg_queue_unlock(ib_catalog *b, void *token)
{
    queue_table_unlock(token);
}

/* ---- the URI ---- */

static fz_status uri_refused(const char *says, fz_error *err)
{
    error_set(err, FZ_INVALID, "%s", says);
    error_hint(err, "write postgresql://user:password@host:port/database, with %%XX for characters that mean something in a URI");
    return FZ_INVALID;
}

/* The URI as libpq takes it: without SQLAlchemy's driver. */
static fz_status uri_plain(const char *uri, sbuf *out, fz_error *err)
{
    const char *rest = uri ? strstr(uri, "://") : NULL;
    str scheme = {uri, rest ? (size_t)(rest - uri) : 0};
    const char *plus = rest ? memchr(scheme.p, '+', scheme.n) : NULL;
    if (plus)
        scheme.n = (size_t)(plus - scheme.p);
    if (!str_ieq(scheme, STR("postgresql")) && !str_ieq(scheme, STR("postgres")))
        return uri_refused("a catalog in PostgreSQL needs a URI that begins with postgresql://", err);
    sbuf_addz(out, "postgresql");
    sbuf_addz(out, rest);
    return out->failed ? error_nomem(err) : FZ_OK;
}

static const char *option_value(const PQconninfoOption *o, const char *key)
{
    for (; o->keyword; o++)
        if (strcmp(o->keyword, key) == 0)
            return o->val;
    return NULL;
}

/* What may be shown: no user, no password. */
static fz_status place_set(pg_catalog *c, const PQconninfoOption *o, fz_error *err)
{
    static const char *const shown[] = {"host", "hostaddr", "port", "dbname", "service"};
    const char *host = option_value(o, "host"), *port = option_value(o, "port"), *db = option_value(o, "dbname");
    sbuf s;
    sbuf_init(&s, c->sql.base.m);
    sbuf_addz(&s, "postgresql://");
    if (host && !strchr(host, '/') && !strchr(host, ',')) {
        sbuf_printf(&s, "%s%s%s/%s", host, port ? ":" : "", port ? port : "", db ? db : "");
    } else {
        sbuf_addc(&s, '/');
        char mark = '?';
        for (size_t i = 0; i < sizeof shown / sizeof shown[0]; i++) {
            const char *v = option_value(o, shown[i]);
            if (v) {
                sbuf_printf(&s, "%c%s=%s", mark, shown[i], v);
                mark = '&';
            }
        }
    }
    c->sql.place = s.failed ? NULL : arena_strndup(&c->mem, s.p, s.n);
    sbuf_free(&s);
    return c->sql.place ? FZ_OK : error_nomem(err);
}

static bool param_add(pg_catalog *c, uint32_t *n, const char *key, const char *value)
{
    c->keys[*n] = arena_strndup(&c->mem, key, strlen(key));
    c->values[*n] = arena_strndup(&c->mem, value, strlen(value));
    return c->keys[*n] && c->values[(*n)++];
}

/* The parameters of every connection: the URI's, and ours where it says nothing. */
static fz_status params_set(pg_catalog *c, const postgres_options *o, const PQconninfoOption *parsed, fz_error *err)
{
    char seconds[24];
    int64_t wanted = 0;
    const char *own = option_value(parsed, "connect_timeout");
    c->connect_ms = o->connect_timeout_ms > 0 ? o->connect_timeout_ms : CONNECT_MS;
    if (o->connect_timeout_ms <= 0 && own && str_to_i64(str_of(own), &wanted) && wanted > 0 && wanted < 100000)
        c->connect_ms = wanted * 1000;
    snprintf(seconds, sizeof seconds, "%lld", (long long)((c->connect_ms + 999) / 1000));
    /* A machine that vanished is noticed within a minute, not within hours. */
    const struct { const char *key, *value; bool always; } ours[] = {
        {"client_encoding", "UTF8", true}, {"connect_timeout", seconds, true}, {"fallback_application_name", "frazil", true},
        {"keepalives_idle", "30", false}, {"keepalives_interval", "10", false}, {"keepalives_count", "3", false},
    };
    enum { OURS = sizeof ours / sizeof ours[0] };
    uint32_t total = 0, n = 0;
    while (parsed[total].keyword)
        total++;
    c->keys = ARENA_ARRAY(&c->mem, const char *, total + OURS + 1);
    c->values = ARENA_ARRAY(&c->mem, const char *, total + OURS + 1);
    bool ok = c->keys && c->values;
    for (uint32_t i = 0; ok && i < total; i++)
        if (parsed[i].val)
            ok = param_add(c, &n, parsed[i].keyword, parsed[i].val);
    for (uint32_t i = 0; ok && i < OURS; i++) /* the last one counts */
        if (ours[i].always || !option_value(parsed, ours[i].key))
            ok = param_add(c, &n, ours[i].key, ours[i].value);
    if (!ok)
        return error_nomem(err);
    c->keys[n] = c->values[n] = NULL;
    return FZ_OK;
}

static fz_status uri_take(pg_catalog *c, const postgres_options *o, fz_error *err)
{
    sbuf uri;
    sbuf_init(&uri, c->sql.base.m);
    fz_status st = uri_plain(o->uri, &uri, err);
    if (st == FZ_OK) {
        /* Its own message may show a part of the password, so it isn't passed on. */
        PQconninfoOption *parsed = c->pq->PQconninfoParse(uri.p, NULL);
        st = parsed ? place_set(c, parsed, err) : uri_refused("the catalog's postgresql:// URI can't be understood", err);
        if (st == FZ_OK)
            st = params_set(c, o, parsed, err);
        c->pq->PQconninfoFree(parsed);
    }
    sbuf_free(&uri);
    return st;
}

/* ---- its tables ---- */

typedef struct schema_state { bool tables, properties, typed; } schema_state;

static fz_status schema_row(void *ctx, uint32_t n, const str *columns, fz_error *err)
{
    *(schema_state *)ctx = (schema_state){str_eqz(columns[0], "t"), str_eqz(columns[1], "t"), str_eqz(columns[2], "t")};
    return FZ_OK;
}

static fz_status schema_look(pg_catalog *c, schema_state *s, fz_error *err)
{
    return pg_ask(c, "SELECT to_regclass('iceberg_tables') IS NOT NULL, to_regclass('iceberg_namespace_properties') IS NOT NULL, "
                  "EXISTS (SELECT 1 FROM pg_catalog.pg_attribute WHERE attrelid = to_regclass('iceberg_tables') AND "
                  "attname = 'iceberg_type' AND NOT attisdropped)", schema_row, s, err);
}

static fz_status schema_make(sql_catalog *b, sql_tx *tx, void *ctx, fz_error *err)
{
    TRY(pg_text(pg_of(b), tx, sql_create_tables, err));
    return pg_text(pg_of(b), tx, sql_create_properties, err);
}

static fz_status schema_find(pg_catalog *c, const postgres_options *o, fz_error *err)
{
    schema_state s = {0};
    TRY(schema_look(c, &s, err));
    for (int i = 0; !(s.tables && s.properties); i++) {
        if (o->keep_tables || o->read_only) {
            error_set(err, FZ_NOT_FOUND, "the database has no tables of an Iceberg catalog");
            error_where(err, c->sql.place);
            return FZ_NOT_FOUND;
        }
        bool unknown;
        fz_status st = pg_db.transaction(&c->sql, schema_make, NULL, &unknown, err);
        if (st != FZ_OK && (st != FZ_EXISTS || i == 3)) /* several programs at once: one of them makes them */
            return st;
        TRY(schema_look(c, &s, err));
    }
    c->sql.typed = s.typed;
    return FZ_OK;
}

/* ---- opening and closing ---- */

static void pg_close(ib_catalog *b)
{
    pg_catalog *c = pg_of(sql_of(b));
    pg_close_connections(c);
    pthread_cond_destroy(&c->freed);
    pthread_mutex_destroy(&c->lock);
    file_io_unref(b->io);
    arena_free(&c->mem);
    mem_free(b->m, c, sizeof *c);
}

static const ib_catalog_ops ops = {
    .kind = "postgres",
    .close = pg_close,
    SQL_CATALOG_OPS,
    .queue_lock = pg_queue_lock,
    .queue_unlock = pg_queue_unlock,
};

static fz_status names_set(pg_catalog *c, const postgres_options *o, fz_error *err)
{
    const char *name = o->catalog_name && *o->catalog_name ? o->catalog_name : "default";
    size_t n = o->warehouse ? strlen(o->warehouse) : 0;
    while (n > 1 && o->warehouse[n - 1] == '/')
        n--;
    c->sql.name = arena_strndup(&c->mem, name, strlen(name));
    if (n && !(c->sql.warehouse = arena_strndup(&c->mem, o->warehouse, n)))
        return error_nomem(err);
    return c->sql.name ? FZ_OK : error_nomem(err);
}

fz_status postgres_catalog_open(const postgres_options *o, file_io *io, mem *m, logger *log, ib_catalog **out, fz_error *err)
{
    const pq_api *pq;
    pthread_condattr_t clock;
    TRY(pq_load(&pq, err));
    pg_catalog *c = mem_zalloc(m, sizeof *c);
    if (!c)
        return error_nomem(err);
    c->sql = (sql_catalog){.base = {.ops = &ops, .m = m, .io = file_io_ref(io)}, .db = &pg_db, .read_only = o->read_only};
    c->pq = pq;
    c->log = log;
    c->statement_ms = o->statement_timeout_ms > 0 ? o->statement_timeout_ms : STATEMENT_MS;
    c->sql.busy_ms = c->statement_ms;
    c->max = o->max_connections ? o->max_connections : CONNECTIONS;
    c->owner = getpid();
    arena_init(&c->mem, m);
    pthread_mutex_init(&c->lock, NULL);
    pthread_condattr_init(&clock);
    pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
    pthread_cond_init(&c->freed, &clock);
    pthread_condattr_destroy(&clock);
    fz_status st = names_set(c, o, err);
    if (st == FZ_OK)
        st = uri_take(c, o, err);
    if (st == FZ_OK)
        st = schema_find(c, o, err);
    if (st == FZ_OK)
        *out = &c->sql.base;
    else
        pg_close(&c->sql.base);
    return st;
}
