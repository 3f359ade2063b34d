/*
 * keys.c: the keys of a catalog: which are known, what else they are called, how their values are read.
 */
#include "catalog/config/config_int.h"

#include "base/numtext.h"

#include <math.h>

/* A key that ends in '.' stands for all that begin so. */
static const struct { const char *key; const char *why_not; } known[] = {
    {"type", NULL}, {"uri", NULL}, {"warehouse", NULL}, {"catalog-name", NULL},
    {"credential", NULL}, {"token", NULL}, {"scope", NULL}, {"oauth2-server-uri", NULL}, {"audience", NULL}, {"resource", NULL},
    {"prefix", NULL}, {"header.", NULL}, {"auth.type", NULL}, {"auth.", NULL}, {"rest.auth.", NULL},
    {"rest.sigv4-enabled", NULL}, {"rest.signing-region", NULL}, {"rest.signing-name", NULL}, {"rest-page-size", NULL}, {"rest-metrics-reporting-enabled", NULL},
    {"rest.sigv4.max-retries", "requests are retried within the time limits"},
    {"ssl.cabundle", NULL}, {"ssl.client.cert", NULL}, {"ssl.client.key", NULL},
    {"snapshot-loading-mode", "all snapshots are loaded"}, {"scan-planning-mode", "scans are planned here"}, {"namespace-separator", NULL},
    {"view-endpoints-supported", "the server's list of endpoints says so"},
    {"jdbc.user", NULL}, {"jdbc.password", NULL}, {"catalog-impl", NULL},
    {"s3.endpoint", NULL}, {"s3.region", NULL}, {"s3.access-key-id", NULL}, {"s3.secret-access-key", NULL}, {"s3.session-token", NULL},
    {"s3.force-virtual-addressing", NULL}, {"s3.path-style-access", NULL}, {"s3.anonymous", NULL}, {"s3.connect-timeout", NULL},
    {"s3.request-timeout", NULL}, {"s3.role-arn", NULL}, {"s3.role-session-name", NULL}, {"s3.profile-name", NULL}, {"s3.proxy-uri", NULL},
    {"s3.resolve-region", NULL}, {"s3.signer", "requests are signed here"}, {"s3.signer.", "requests are signed here"}, {"s3.remote-signing-enabled", NULL},
    {"s3.checksum-enabled", NULL}, {"s3.multipart.part-size-bytes", NULL}, {"s3.multipart.num-threads", NULL}, {"s3.sts-endpoint", NULL},
    {"client.sts-endpoint", NULL}, {"client.assume-role.arn", NULL}, {"client.assume-role.session-name", NULL},
    {"metadata-staleness-ms", NULL}, {"keep-tokens", NULL},
    {"s3.server-side-encryption", NULL}, {"s3.sse-kms-key-id", NULL}, {"s3.sse.type", NULL}, {"s3.sse.key", NULL},
    {"client.region", NULL}, {"client.access-key-id", NULL}, {"client.secret-access-key", NULL}, {"client.session-token", NULL},
    {"client.role-arn", NULL}, {"client.role-session-name", NULL}, {"client.profile-name", NULL},
    {"s3.retry-strategy-impl", "names a Python class; requests are retried with back-off"},
    {"py-io-impl", "names a Python class; files are read and written by frazil itself"},
    {"py-catalog-impl", "names a Python class"},
    {"io-impl", "names a Java class; files are read and written by frazil itself"},
    {"client.factory", "names a Java class"}, {"client.credentials-provider", "names a Java class"},
    {"echo", "is for SQLAlchemy"}, {"pool_pre_ping", "is for SQLAlchemy"}, {"pool-pre-ping", "is for SQLAlchemy"},
    {"init_catalog_tables", NULL}, {"init-catalog-tables", NULL},
    {"adls.", "Azure storage isn't supported"}, {"gcs.", "Google storage isn't supported"}, {"hdfs.", "HDFS isn't supported"},
    {"hf.", "Hugging Face storage isn't supported"}, {"oss.", "OSS isn't supported"},
    {"hive.", "Hive catalogs aren't supported"}, {"glue.", "Glue is reached through its REST interface"},
    {"dynamodb.", "DynamoDB catalogs aren't supported"}, {"gcp.", "BigQuery catalogs aren't supported"},
};

config_use config_key_use(str key, const char **why)
{
    if (why)
        *why = NULL;
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        str k = str_of(known[i].key);
        bool prefix = k.p[k.n - 1] == '.';
        if (prefix ? key.n > k.n && str_starts(key, k) : str_eq(key, k)) {
            if (why)
                *why = known[i].why_not;
            return known[i].why_not ? CONFIG_NO_USE : CONFIG_USED;
        }
    }
    return CONFIG_UNKNOWN;
}

/* ---- other names ---- */

static const struct { const char *key, *others[3]; } aliases[] = {
    {"s3.region", {"client.region"}},
    {"s3.access-key-id", {"client.access-key-id"}},
    {"s3.secret-access-key", {"client.secret-access-key"}},
    {"s3.session-token", {"client.session-token"}},
    {"s3.role-arn", {"client.role-arn", "client.assume-role.arn"}},
    {"s3.role-session-name", {"client.role-session-name", "client.assume-role.session-name"}},
    {"s3.profile-name", {"client.profile-name"}},
    {"s3.server-side-encryption", {"s3.sse.type"}},
    {"s3.sse-kms-key-id", {"s3.sse.key"}},
    {"rest.signing-region", {"client.region"}},
    {"auth.type", {"rest.auth.type"}},
    {"auth.basic.username", {"rest.auth.basic.username"}},
    {"auth.basic.password", {"rest.auth.basic.password"}},
    /* a variable's name gives hyphens */
    {"auth.oauth2.client_id", {"auth.oauth2.client-id"}},
    {"auth.oauth2.client_secret", {"auth.oauth2.client-secret"}},
    {"auth.oauth2.token_url", {"auth.oauth2.token-url"}},
    {"auth.oauth2.refresh_margin", {"auth.oauth2.refresh-margin"}},
    {"auth.oauth2.expires_in", {"auth.oauth2.expires-in"}},
};

uint32_t config_aliases(const char *key, const char *out[4])
{
    uint32_t n = 0;
    out[n++] = key;
    for (size_t i = 0; i < sizeof aliases / sizeof aliases[0]; i++)
        if (strcmp(aliases[i].key, key) == 0)
            for (size_t k = 0; k < 3 && aliases[i].others[k]; k++)
                out[n++] = aliases[i].others[k];
    return n;
}

static const config_entry *exact(const config_catalog *c, const char *key)
{
    uint32_t lo = 0, hi = c->n;
    str k = str_of(key);
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        int r = str_cmp(c->entries[mid].key, k);
        if (r == 0)
            return c->entries[mid].value.n ? &c->entries[mid] : NULL;
        if (r < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return NULL;
}

const config_entry *config_get(const config_catalog *c, const char *key)
{
    const char *names[4];
    uint32_t n = config_aliases(key, names);
    for (uint32_t i = 0; i < n; i++) {
        const config_entry *e = exact(c, names[i]);
        if (e)
            return e;
    }
    return NULL;
}

/* ---- values ---- */

const char *config_text(const config_catalog *c, const char *key, const char *def)
{
    const config_entry *e = config_get(c, key);
    return e ? e->value.p : def;
}

fz_status config_wrong(const config_entry *e, fz_error *err, const char *what)
{
    if (config_secret(e->key))
        error_set(err, FZ_INVALID, STR_FMT " %s", STR_ARG(e->key), what);
    else
        error_set(err, FZ_INVALID, STR_FMT ": \"%.200s\" %s", STR_ARG(e->key), e->value.p, what);
    error_where(err, e->origin.p);
    return FZ_INVALID;
}

static bool one_of(str s, const char *const *words, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (str_ieq(s, str_of(words[i])))
            return true;
    return false;
}

static fz_status entry_bool(const config_entry *e, bool *out, fz_error *err)
{
    static const char *const yes[] = {"y", "yes", "t", "true", "on", "1"}, *const no[] = {"n", "no", "f", "false", "off", "0"};
    *out = one_of(e->value, yes, 6);
    if (*out || one_of(e->value, no, 6))
        return FZ_OK;
    return config_wrong(e, err, "is neither true nor false");
}

fz_status config_bool(const config_catalog *c, const char *key, bool def, bool *out, fz_error *err)
{
    const config_entry *e = config_get(c, key);
    *out = def;
    return e ? entry_bool(e, out, err) : FZ_OK;
}

fz_status config_int(const config_catalog *c, const char *key, int64_t def, int64_t *out, fz_error *err)
{
    const config_entry *e = config_get(c, key);
    *out = def;
    if (!e || str_to_i64(str_trim(e->value), out))
        return FZ_OK;
    return config_wrong(e, err, "isn't a whole number");
}

fz_status config_seconds_ms(const config_catalog *c, const char *key, int64_t def_ms, int64_t *out, fz_error *err)
{
    const config_entry *e = config_get(c, key);
    double v;
    *out = def_ms;
    if (!e)
        return FZ_OK;
    str s = str_trim(e->value);
    if (!str_to_f64(s, &v) || !(v >= 0) || v > 1e9)
        return config_wrong(e, err, "isn't a number of seconds");
    *out = (int64_t)llround(v * 1000);
    if (v > 0 && *out == 0)
        *out = 1;
    return FZ_OK;
}

fz_status config_virtual_addressing(const config_catalog *c, bool *out, fz_error *err)
{
    const config_entry *e = config_get(c, "s3.force-virtual-addressing");
    if (e)
        return entry_bool(e, out, err);
    e = config_get(c, "s3.path-style-access");
    if (e) {
        TRY(entry_bool(e, out, err));
        *out = !*out;
        return FZ_OK;
    }
    *out = !config_get(c, "s3.endpoint");
    return FZ_OK;
}
