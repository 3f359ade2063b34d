/*
 * uri.c: which kind of catalog a configuration means, and where its database is.
 */
#include "catalog/config/config_int.h"

const char *config_type_name(config_type t)
{
    static const char *const names[] = {"rest", "sqlite", "postgres", "memory"};
    return names[t];
}

static fz_status no_uri(const config_catalog *c, fz_error *err)
{
    str name = str_of(c->name);
    char var[128];
    size_t n = 0;
    for (; n < name.n && n < sizeof var - 1; n++)
        var[n] = name.p[n] == '-' ? '_' : name.p[n] >= 'a' && name.p[n] <= 'z' ? (char)(name.p[n] - 'a' + 'A') : name.p[n];
    var[n] = 0;
    if (!c->n)
        error_set(err, FZ_NOT_FOUND, "there is no catalog \"%s\": neither .pyiceberg.yaml nor the environment knows it", c->name);
    else
        error_set(err, FZ_INVALID, "catalog \"%s\" has no uri", c->name);
    error_hint(err, "say where it is with uri: in .pyiceberg.yaml, in PYICEBERG_CATALOG__%s__URI, or with --set uri=…", var);
    return c->n ? FZ_INVALID : FZ_NOT_FOUND;
}

/* The part of the URI behind "jdbc:", which Java puts before it. */
static str bare_uri(const config_entry *e)
{
    str u = e->value;
    if (str_starts(u, STR("jdbc:")))
        u = (str){u.p + 5, u.n - 5};
    return u;
}

static fz_status sql_type(const config_catalog *c, config_type *out, fz_error *err)
{
    const config_entry *e = config_get(c, "uri");
    if (!e)
        return no_uri(c, err);
    str u = bare_uri(e);
    if (str_starts(u, STR("sqlite"))) {
        str path;
        arena a;
        arena_init(&a, c->m);
        fz_status st = config_sqlite_path(c, &a, &path, err);
        arena_free(&a);
        *out = CONFIG_SQLITE;
        return st;
    }
    if (str_starts(u, STR("postgres"))) {
        *out = CONFIG_POSTGRES;
        return FZ_OK;
    }
    size_t n = 0;
    while (n < u.n && n < 40 && u.p[n] != ':')
        n++;
    error_set(err, FZ_UNSUPPORTED, "catalog \"%s\": a database of the kind \"%.*s\" isn't supported as a catalog", c->name, (int)n, u.p);
    error_hint(err, "sqlite:/// and postgresql:// are");
    error_where(err, e->origin.p);
    return FZ_UNSUPPORTED;
}

static fz_status infer(const config_catalog *c, config_type *out, fz_error *err)
{
    const config_entry *e = config_get(c, "uri");
    if (!e)
        return no_uri(c, err);
    str u = bare_uri(e);
    if (str_starts(u, STR("http"))) {
        *out = CONFIG_REST;
        return FZ_OK;
    }
    if (str_starts(u, STR("sqlite")) || str_starts(u, STR("postgres")))
        return sql_type(c, out, err);
    if (str_starts(u, STR("thrift"))) {
        error_set(err, FZ_UNSUPPORTED, "catalog \"%s\": a Hive metastore isn't supported as a catalog", c->name);
        error_where(err, e->origin.p);
        return FZ_UNSUPPORTED;
    }
    error_set(err, FZ_INVALID, "catalog \"%s\": its uri doesn't say what kind of catalog it is", c->name);
    error_hint(err, "http(s):// is a REST catalog, sqlite:/// and postgresql:// are databases; or give type");
    error_where(err, e->origin.p);
    return FZ_INVALID;
}

fz_status config_catalog_type(const config_catalog *c, config_type *out, fz_error *err)
{
    const config_entry *e = config_get(c, "type"), *impl = config_get(c, "catalog-impl");
    str t = e ? e->value : (str){0};
    if (!e && impl) { /* Java's names of the same */
        e = impl;
        t = str_eqz(impl->value, "org.apache.iceberg.rest.RESTCatalog")   ? STR("rest")
            : str_eqz(impl->value, "org.apache.iceberg.jdbc.JdbcCatalog") ? STR("sql")
                                                                           : impl->value;
    }
    if (!e)
        return infer(c, out, err);
    if (str_ieq(t, STR("rest"))) {
        *out = CONFIG_REST;
        return config_get(c, "uri") ? FZ_OK : no_uri(c, err);
    }
    if (str_ieq(t, STR("sql")) || str_ieq(t, STR("jdbc")) || str_ieq(t, STR("sqlite")) || str_ieq(t, STR("postgres")) || str_ieq(t, STR("postgresql")))
        return sql_type(c, out, err);
    if (str_ieq(t, STR("in-memory")) || str_ieq(t, STR("memory"))) {
        *out = CONFIG_MEMORY;
        return FZ_OK;
    }
    error_set(err, FZ_UNSUPPORTED, "catalog \"%s\": catalogs of the type \"%.100s\" aren't supported", c->name, t.p);
    error_hint(err, str_ieq(t, STR("glue")) ? "AWS Glue is reached as type rest, with uri https://glue.<region>.amazonaws.com/iceberg and "
                                              "rest.sigv4-enabled true"
                                            : "there are rest, sql (SQLite, PostgreSQL) and in-memory");
    error_where(err, e->origin.p);
    return FZ_UNSUPPORTED;
}

/* ---- databases ---- */

/* Behind "scheme[+driver]:"; p NULL: there is no colon. */
static str after_scheme(str u)
{
    const char *colon = u.n ? memchr(u.p, ':', u.n) : NULL;
    return colon ? (str){colon + 1, u.n - (size_t)(colon + 1 - u.p)} : (str){0};
}

fz_status config_sqlite_path(const config_catalog *c, arena *a, str *out, fz_error *err)
{
    const config_entry *e = config_get(c, "uri");
    if (!e)
        return no_uri(c, err);
    bool java = str_starts(e->value, STR("jdbc:"));
    str path = after_scheme(bare_uri(e));
    if (java) {
        /* a path as it is, as Java's driver takes it */
    } else if (str_starts(path, STR("///"))) { /* sqlite:///relative.db, sqlite:////absolute.db */
        path = (str){path.p + 3, path.n - 3};
    } else if (str_eqz(path, "//")) {
        path = (str){path.p + 2, 0};
    } else {
        return config_wrong(e, err, "isn't the URI of a SQLite file: there must be three slashes before a path, four before one from the root");
    }
    const char *q = path.n ? memchr(path.p, '?', path.n) : NULL; /* the driver's settings */
    if (q)
        path.n = (size_t)(q - path.p);
    if (str_starts(path, STR("file:")))
        return config_wrong(e, err, "uses SQLite's own \"file:\" URIs, which aren't supported: give the path");
    if (str_eqz(path, ":memory:"))
        path.n = 0;
    sbuf b;
    sbuf_init(&b, c->m);
    if (path.n && path.p[0] != '/' && c->cwd) {
        sbuf_addz(&b, c->cwd);
        sbuf_addc(&b, '/');
    }
    sbuf_str(&b, path);
    *out = config_copy(a, (str){b.p, b.n});
    bool failed = b.failed;
    sbuf_free(&b);
    return failed || !out->p ? error_nomem(err) : FZ_OK;
}

/* Percent-encodes what a URI's user part must not hold. */
static void add_encoded(sbuf *b, const char *s)
{
    static const char hex[] = "0123456789ABCDEF";
    for (; *s; s++) {
        unsigned char x = (unsigned char)*s;
        bool plain = (x >= 'a' && x <= 'z') || (x >= 'A' && x <= 'Z') || (x >= '0' && x <= '9') || strchr("-._~", x);
        if (!plain)
            sbuf_addc(b, '%'), sbuf_addc(b, hex[x >> 4]), sbuf_addc(b, hex[x & 15]);
        else
            sbuf_addc(b, (char)x);
    }
}

fz_status config_postgres_uri(const config_catalog *c, arena *a, str *out, fz_error *err)
{
    const config_entry *e = config_get(c, "uri");
    if (!e)
        return no_uri(c, err);
    str rest = after_scheme(bare_uri(e));
    if (!str_starts(rest, STR("//")))
        return config_wrong(e, err, "isn't the URI of a PostgreSQL database: postgresql://user@host:port/database");
    rest = (str){rest.p + 2, rest.n - 2};
    const char *user = config_text(c, "jdbc.user", NULL), *password = config_text(c, "jdbc.password", NULL);
    size_t host = 0; /* where the user part, if there is one, ends */
    for (size_t i = 0; i < rest.n && rest.p[i] != '/' && rest.p[i] != '?'; i++)
        if (rest.p[i] == '@')
            host = i + 1;
    sbuf b;
    sbuf_init(&b, c->m);
    sbuf_addz(&b, "postgresql://");
    if (!host && user) {
        add_encoded(&b, user);
        if (password) {
            sbuf_addc(&b, ':');
            add_encoded(&b, password);
        }
        sbuf_addc(&b, '@');
    }
    sbuf_str(&b, rest);
    *out = config_copy(a, (str){b.p, b.n});
    bool failed = b.failed;
    sbuf_free(&b);
    return failed || !out->p ? error_nomem(err) : FZ_OK;
}
