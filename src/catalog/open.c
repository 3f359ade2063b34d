/*
 * open.c: from a configuration to a catalog.
 */
#include "catalog/open.h"

#include "catalog/memory/memory_catalog.h"
#include "catalog/postgres/postgres_catalog.h"
#include "catalog/rest/rest_catalog.h"
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

/* Metadata at most this old is taken for the newest, where the user says so (in ms). */
#define STALENESS "metadata-staleness-ms"

static fz_status open_rest(const config_catalog *c, const catalog_open_options *o, arena *a, file_io *io, mem *m, ib_catalog **out, fz_error *err)
{
    rest_options r = {.name = c->name, .shared = o->shared};
    io_prop *p;
    TRY(catalog_props(c, a, &r.n_props, &p, err));
    r.props = p;
    TRY(config_int(c, STALENESS, 0, &r.staleness_ms, err));
    TRY(config_bool(c, "keep-tokens", false, &r.keep_tokens, err));
    return rest_catalog_open(&r, io, m, out, err);
}

/* The catalog's own way to files, above `io`. */
static fz_status files_of(const config_catalog *c, const catalog_open_options *o, arena *a, file_io *io, mem *m, file_io **out, fz_error *err)
{
    uint32_t n;
    io_prop *p;
    TRY(catalog_props(c, a, &n, &p, err));
    *out = file_io_new(m, io);
    return *out ? storage_add(*out, NULL, &o->shared, n, p, NULL, m, err) : error_nomem(err);
}

static fz_status open_kind(const config_catalog *c, config_type t, const catalog_open_options *o, arena *a, file_io *io, mem *m, logger *log,
                           ib_catalog **out, fz_error *err)
{
    switch (t) {
    case CONFIG_SQLITE:
        return open_sqlite(c, o, a, m, log, out, err);
    case CONFIG_POSTGRES:
        return open_postgres(c, o, a, io, m, log, out, err);
    case CONFIG_REST:
        return open_rest(c, o, a, io, m, out, err);
    case CONFIG_MEMORY:
        return memory_catalog_open(config_text(c, "warehouse", NULL), m, out, err);
    }
    return error_set(err, FZ_INTERNAL, "a kind of catalog that nobody opens");
}

fz_status catalog_open(const config_catalog *c, const catalog_open_options *o, file_io *io, mem *m, logger *log, ib_catalog **out, fz_error *err)
{
    config_type t;
    arena a;
    fz_error e = {0};
    arena_init(&a, m);
    file_io *files = NULL;
    catalog_open_options own = *o;
    own.shared.http = o->shared.http ? http_client_ref(o->shared.http) : http_client_new(NULL, m); /* one for all that this catalog reaches */
    o = &own;
    fz_status st = own.shared.http ? config_catalog_type(c, &t, &e) : error_nomem(&e);
    if (!st)
        st = files_of(c, o, &a, io, m, &files, &e);
    if (!st)
        st = open_kind(c, t, o, &a, files, m, log, out, &e);
    if (!st && !(*out)->io)
        (*out)->io = file_io_ref(files);
    file_io_unref(files);
    http_client_unref(own.shared.http);
    arena_free(&a);
    if (st) {
        config_redact_error(c, &e);
        if (err)
            *err = e;
        return st;
    }
    return FZ_OK;
}
