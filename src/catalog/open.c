/*
 * open.c: from a configuration to a catalog.
 */
#include "catalog/open.h"

#include "catalog/memory/memory_catalog.h"
#include "catalog/postgres/postgres_catalog.h"
#include "catalog/sqlite/sqlite_catalog.h"

/* Keys that other parts read by their first name only. */
static const char *const first_names[] = {"s3.region", "s3.access-key-id", "s3.secret-access-key", "s3.session-token", "s3.role-arn",
                                          "s3.role-session-name", "s3.profile-name", "s3.server-side-encryption", "s3.sse-kms-key-id",
                                          "rest.signing-region", "auth.type", "auth.basic.username", "auth.basic.password",
                                          "auth.oauth2.client_id", "auth.oauth2.client_secret", "auth.oauth2.token_url",
                                          "auth.oauth2.refresh_margin", "auth.oauth2.expires_in"};
#define N_FIRST (sizeof first_names / sizeof first_names[0])

fz_status catalog_props(const config_catalog *c, arena *a, uint32_t *n, io_prop **out, fz_error *err)
{
    io_prop *p = ARENA_ARRAY(a, io_prop, c->n + N_FIRST + 2);
    if (!p)
        return error_nomem(err);
    *n = 0;
    *out = p;
    for (uint32_t i = 0; i < c->n; i++)
        if (c->entries[i].value.n)
            p[(*n)++] = (io_prop){c->entries[i].key, c->entries[i].value};
    for (size_t i = 0; i < N_FIRST; i++) {
        const config_entry *e = config_get(c, first_names[i]);
        if (e && !str_eqz(e->key, first_names[i]))
            p[(*n)++] = (io_prop){str_of(first_names[i]), e->value};
    }
    if (!config_get(c, "s3.force-virtual-addressing") && config_get(c, "s3.path-style-access")) {
        bool virtual_host;
        TRY(config_virtual_addressing(c, &virtual_host, err));
        p[(*n)++] = (io_prop){STR("s3.force-virtual-addressing"), virtual_host ? STR("true") : STR("false")};
    }
    return FZ_OK;
}

/* Whether missing catalog tables are made; written with underscores, which a variable's name can't have. */
static fz_status makes_tables(const config_catalog *c, bool *out, fz_error *err)
{
    return config_bool(c, config_get(c, "init_catalog_tables") ? "init_catalog_tables" : "init-catalog-tables", true, out, err);
}

static fz_status open_postgres(const config_catalog *c, const catalog_open_options *o, arena *a, file_io *io, mem *m, logger *log, ib_catalog **out,
                               fz_error *err)
{
    str uri;
    bool make;
    TRY(config_postgres_uri(c, a, &uri, err));
    TRY(makes_tables(c, &make, err));
    postgres_options p = {.uri = uri.p, .catalog_name = config_text(c, "catalog-name", c->name), .warehouse = config_text(c, "warehouse", NULL),
                          .keep_tables = !make, .read_only = o->read_only, .statement_timeout_ms = o->lock_timeout_ms};
    return postgres_catalog_open(&p, io, m, log, out, err);
}

static fz_status open_sqlite(const config_catalog *c, const catalog_open_options *o, arena *a, mem *m, logger *log, ib_catalog **out, fz_error *err)
{
    str path;
    bool make;
    const char *warehouse = config_text(c, "warehouse", NULL);
    TRY(config_sqlite_path(c, a, &path, err));
    TRY(makes_tables(c, &make, err));
    if (!path.n)
        return memory_catalog_open(warehouse, m, out, err);
    sqlite_catalog_options s = {.db_file = path.p, .warehouse = warehouse, .create_if_missing = o->create_if_missing && make,
                                .catalog_name = config_text(c, "catalog-name", c->name), .busy_timeout_ms = o->lock_timeout_ms,
                                .read_only = o->read_only};
    return sqlite_catalog_open(&s, m, log, out, err);
}

static fz_status open_kind(const config_catalog *c, config_type t, const catalog_open_options *o, arena *a, file_io *io, mem *m, logger *log,
                           ib_catalog **out, fz_error *err)
{
    switch (t) {
    case CONFIG_SQLITE:
        return open_sqlite(c, o, a, m, log, out, err);
    case CONFIG_POSTGRES:
        return open_postgres(c, o, a, io, m, log, out, err);
    case CONFIG_MEMORY:
        return memory_catalog_open(config_text(c, "warehouse", NULL), m, out, err);
    default:
        return error_set(err, FZ_UNSUPPORTED, "catalog \"%s\": catalogs of the kind %s aren't supported", c->name, config_type_name(t));
    }
}

fz_status catalog_open(const config_catalog *c, const catalog_open_options *o, file_io *io, mem *m, logger *log, ib_catalog **out, fz_error *err)
{
    config_type t;
    arena a;
    fz_error e = {0};
    arena_init(&a, m);
    fz_status st = config_catalog_type(c, &t, &e);
    if (!st)
        st = open_kind(c, t, o, &a, io, m, log, out, &e);
    arena_free(&a);
    if (st) {
        config_redact_error(c, &e);
        if (err)
            *err = e;
        return st;
    }
    if (!(*out)->io)
        (*out)->io = file_io_ref(io);
    return FZ_OK;
}
