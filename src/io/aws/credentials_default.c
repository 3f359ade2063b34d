/*
 * credentials_default.c: AWS's own order of looking for keys, and roles.
 *
 *   a profile that was asked for by name, and nothing else; without one:
 *   1. AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN
 *   2. the profile that AWS_PROFILE names
 *   3. AWS_WEB_IDENTITY_TOKEN_FILE with AWS_ROLE_ARN
 *   4. the profile "default", if there is one with keys or a role
 *   5. the container's service
 *   6. the instance's: asked only where nothing else says anything, and not again for a minute where it doesn't answer
 */
#include "io/aws/credentials_int.h"

#include <stdlib.h>

#define CHAIN_MAX 8 /* source profiles behind one another */
#define NO_INSTANCE_MS 60000

static const char *from_env(const char *name)
{
    const char *v = getenv(name);
    return v && *v ? v : NULL;
}

static fz_status keep(arena *a, const char *z, str *out, fz_error *err)
{
    *out = (str){arena_strndup(a, z ? z : "", z ? strlen(z) : 0), z ? strlen(z) : 0};
    return out->p ? FZ_OK : error_nomem(err);
}

/* FZ_NOT_FOUND: no keys there. */
static fz_status env_keys(arena *a, aws_keys *out, fz_error *err)
{
    const char *id = from_env("AWS_ACCESS_KEY_ID"), *secret = from_env("AWS_SECRET_ACCESS_KEY"), *token = from_env("AWS_SESSION_TOKEN");
    const char *until = from_env("AWS_CREDENTIAL_EXPIRATION");
    if (!id && !secret)
        return error_set(err, FZ_NOT_FOUND, "the environment has no AWS keys");
    if (!id || !secret)
        return error_sql(err, FZ_INVALID, "28000", "of AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY only one is set");
    out->expires_ms = INT64_MAX;
    if (until && !aws_parse_time(str_of(until), &out->expires_ms))
        return error_set(err, FZ_INVALID, "AWS_CREDENTIAL_EXPIRATION isn't a time");
    TRY(keep(a, id, &out->access_key_id, err));
    TRY(keep(a, secret, &out->secret_access_key, err));
    return keep(a, token ? token : from_env("AWS_SECURITY_TOKEN"), &out->session_token, err);
}

static const char *zero_ended(arena *a, str s)
{
    return s.n ? arena_strndup(a, s.p, s.n) : NULL;
}

static fz_status unsupported(const char *profile, const char *what, fz_error *err)
{
    error_set(err, FZ_UNSUPPORTED, "AWS profile \"%s\": %s isn't supported", profile, what);
    error_hint(err, "give keys by the environment or the catalog's s3.access-key-id and s3.secret-access-key");
    return FZ_UNSUPPORTED;
}

static fz_status source_keys(str source, const char *profile, http_client *http, arena *a, aws_keys *out, fz_error *err)
{
    if (str_ieq(source, STR("Environment")))
        return env_keys(a, out, err);
    if (str_ieq(source, STR("Ec2InstanceMetadata")))
        return aws_instance_keys(http, a, out, err);
    if (str_ieq(source, STR("EcsContainer")))
        return aws_container_keys(http, a, out, err);
    return error_set(err, FZ_INVALID, "AWS profile \"%s\": credential_source " STR_FMT " isn't known", profile, STR_ARG(source));
}

/* Keys that stand in the profile itself. */
static bool own_keys(const aws_profile *p, aws_keys *out)
{
    if (!p->access_key_id.n || !p->secret_access_key.n)
        return false;
    *out = (aws_keys){p->access_key_id, p->secret_access_key, p->session_token, INT64_MAX};
    return true;
}

/* Follows source_profile to one with keys, then assumes the roles on the way back. FZ_NOT_FOUND: the profile isn't there or says nothing about keys. */
static fz_status profile_keys(const char *first, http_client *http, arena *a, aws_keys *out, fz_error *err)
{
    aws_profile at[CHAIN_MAX];
    const char *names[CHAIN_MAX];
    uint32_t n = 0;
    for (const char *name = first;;) {
        if (n == CHAIN_MAX)
            return error_set(err, FZ_INVALID, "AWS profile \"%s\": source_profile leads through more than %d profiles", first, CHAIN_MAX);
        aws_profile *p = &at[n];
        names[n++] = name;
        TRY(aws_profile_read(name, a, p, err));
        if (!p->found)
            return error_set(err, FZ_NOT_FOUND, "there is no AWS profile \"%s\"", name);
        if (!p->role_arn.n || p->web_identity_token_file.n || p->credential_source.n)
            break;
        if (!p->source_profile.n)
            return error_set(err, FZ_INVALID, "AWS profile \"%s\" has role_arn, but neither source_profile nor credential_source", name);
        if (str_eqz(p->source_profile, name)) { /* its own keys assume the role */
            if (!own_keys(p, out))
                return error_set(err, FZ_INVALID, "AWS profile \"%s\" is its own source_profile and has no keys", name);
            break;
        }
        if (!(name = zero_ended(a, p->source_profile)))
            return error_nomem(err);
    }
    const aws_profile *last = &at[n - 1];
    const char *name = names[n - 1];
    uint32_t roles = n - 1; /* of at[0 … roles - 1], the last first */
    if (last->mfa_serial.n && last->role_arn.n)
        return unsupported(name, "mfa_serial (a code for each use)", err);
    if (last->web_identity_token_file.n && last->role_arn.n) {
        aws_role r = {.arn = zero_ended(a, last->role_arn), .session = zero_ended(a, last->role_session_name), .region = zero_ended(a, last->region)};
        TRY(aws_sts_web_identity(&r, zero_ended(a, last->web_identity_token_file), http, a, out, err));
    } else if (last->role_arn.n && last->credential_source.n) {
        TRY(source_keys(last->credential_source, name, http, a, out, err));
        roles = n;
    } else if (last->role_arn.n) {
        roles = n;
    } else if (!own_keys(last, out)) {
        if (last->sso.n)
            return unsupported(name, "signing in by SSO", err);
        if (last->credential_process.n)
            return unsupported(name, "credential_process", err);
        return error_set(err, FZ_NOT_FOUND, "AWS profile \"%s\" has no keys", name);
    }
    while (roles-- > 0) {
        const aws_profile *p = &at[roles];
        if (p->mfa_serial.n)
            return unsupported(names[roles], "mfa_serial (a code for each use)", err);
        aws_keys base = *out;
        aws_role r = {.arn = zero_ended(a, p->role_arn), .session = zero_ended(a, p->role_session_name), .external_id = zero_ended(a, p->external_id),
                      .region = zero_ended(a, p->region)};
        if (!r.arn)
            return error_nomem(err);
        TRY(aws_sts_assume(&r, &base, http, a, out, err));
    }
    return FZ_OK;
}

/* ---- the whole order ---- */

typedef struct chain {
    mem *m;
    http_client *http;
    char *profile;                /* NULL: none was asked for */
    int64_t no_instance_until_ms; /* one fetch runs at a time */
} chain;

static fz_status nothing_found(const fz_error *why, fz_error *err)
{
    error_sql(err, FZ_INVALID, "28000", "there are no AWS credentials: not in the environment, a profile, a container's or an instance's service%s%s%s",
              why->message[0] ? " (which says: " : "", why->message, why->message[0] ? ")" : "");
    error_hint(err, "set s3.access-key-id and s3.secret-access-key, AWS_PROFILE or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; a public bucket needs none: "
                    "s3.anonymous true");
    return FZ_INVALID;
}

static fz_status chain_fetch(void *ctx, arena *a, aws_keys *out, fz_error *err)
{
    chain *c = ctx;
    bool chosen;
    const char *profile = aws_profile_name(&chosen), *token_file = from_env("AWS_WEB_IDENTITY_TOKEN_FILE"), *arn = from_env("AWS_ROLE_ARN");
    if (c->profile)
        return profile_keys(c->profile, c->http, a, out, err);
    fz_error e = {0};
    fz_status st = env_keys(a, out, &e);
    if (st == FZ_NOT_FOUND && chosen)
        return profile_keys(profile, c->http, a, out, err);
    if (st == FZ_NOT_FOUND && token_file && arn) {
        aws_role r = {.arn = arn, .session = from_env("AWS_ROLE_SESSION_NAME")};
        return aws_sts_web_identity(&r, token_file, c->http, a, out, err);
    }
    if (st == FZ_NOT_FOUND)
        st = profile_keys("default", c->http, a, out, &e);
    if (st == FZ_NOT_FOUND && (from_env("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI") || from_env("AWS_CONTAINER_CREDENTIALS_FULL_URI")))
        return aws_container_keys(c->http, a, out, err);
    if (st == FZ_NOT_FOUND) {
        int64_t now = aws_now_ms();
        e = (fz_error){0};
        if (now < c->no_instance_until_ms)
            return nothing_found(&e, err);
        st = aws_instance_keys(c->http, a, out, &e);
        if (st) {
            c->no_instance_until_ms = now + NO_INSTANCE_MS;
            return nothing_found(&e, err);
        }
    }
    if (st && err)
        *err = e;
    return st;
}

static void chain_free(void *ctx)
{
    chain *c = ctx;
    if (c->profile)
        mem_free(c->m, c->profile, strlen(c->profile) + 1);
    http_client_unref(c->http);
    mem_free(c->m, c, sizeof *c);
}

static char *copy_text(mem *m, const char *s, bool *failed)
{
    if (!s || !*s)
        return NULL;
    size_t n = strlen(s) + 1;
    char *p = mem_alloc(m, n);
    *failed |= !p;
    return p ? memcpy(p, s, n) : NULL;
}

aws_credentials *aws_credentials_default(const char *profile, http_client *http, mem *m)
{
    chain *c = mem_zalloc(m, sizeof *c);
    if (!c)
        return NULL;
    bool failed = false;
    *c = (chain){.m = m, .http = http_client_ref(http), .profile = copy_text(m, profile, &failed)};
    if (!failed)
        return aws_credentials_fetched(chain_fetch, chain_free, c, m);
    chain_free(c);
    return NULL;
}

fz_status aws_default_region(const char *profile, arena *a, str *out, fz_error *err)
{
    bool chosen;
    const char *v = from_env("AWS_REGION");
    if (!v)
        v = from_env("AWS_DEFAULT_REGION");
    if (v)
        return keep(a, v, out, err);
    aws_profile p;
    TRY(aws_profile_read(profile && *profile ? profile : aws_profile_name(&chosen), a, &p, err));
    *out = p.region;
    return FZ_OK;
}

/* ---- a role ---- */

typedef struct role {
    mem *m;
    http_client *http;
    aws_credentials *base;
    char *arn, *session, *region, *endpoint;
} role;

static fz_status role_fetch(void *ctx, arena *a, aws_keys *out, fz_error *err)
{
    const role *r = ctx;
    aws_keys base;
    TRY(r->base->ops->get(r->base, a, &base, err));
    aws_role x = {.arn = r->arn, .session = r->session, .region = r->region, .endpoint = r->endpoint};
    return aws_sts_assume(&x, &base, r->http, a, out, err);
}

static void role_free(void *ctx)
{
    role *r = ctx;
    char *texts[] = {r->arn, r->session, r->region, r->endpoint};
    for (int i = 0; i < 4; i++)
        if (texts[i])
            mem_free(r->m, texts[i], strlen(texts[i]) + 1);
    aws_credentials_unref(r->base);
    http_client_unref(r->http);
    mem_free(r->m, r, sizeof *r);
}

aws_credentials *aws_credentials_role(aws_credentials *base, const char *role_arn, const char *session, const char *region,
                                      const char *sts_endpoint, http_client *http, mem *m)
{
    role *r = base ? mem_zalloc(m, sizeof *r) : NULL;
    if (!r) {
        aws_credentials_unref(base);
        return NULL;
    }
    bool failed = false;
    *r = (role){.m = m, .http = http_client_ref(http), .base = base, .arn = copy_text(m, role_arn, &failed), .session = copy_text(m, session, &failed),
                .region = copy_text(m, region, &failed), .endpoint = copy_text(m, sts_endpoint, &failed)};
    if (!failed && r->arn)
        return aws_credentials_fetched(role_fetch, role_free, r, m);
    role_free(r);
    return NULL;
}
