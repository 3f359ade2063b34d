/*
 * storage.c: see storage.h. Nothing is asked of a server, no file is read and no library loaded here: a lake on local files has its file
 * systems for s3:// and https:// too, at the cost of some hundred bytes.
 */
#include "io/storage.h"

#include "base/numtext.h"
#include "io/s3.h"

#include <stdlib.h>

typedef struct props {
    uint32_t n;
    const io_prop *p;
    arena *a;
} props;

/* The value of the first of the names that is given and not empty; NULL: none. */
static const char *get(const props *p, const char *const *names)
{
    for (; *names; names++)
        for (uint32_t i = p->n; i-- > 0;) /* a later one counts before an earlier one */
            if (str_eqz(p->p[i].key, *names) && p->p[i].value.n)
                return arena_strndup(p->a, p->p[i].value.p, p->p[i].value.n);
    return NULL;
}

#define GET(p, ...) get((p), (const char *const[]){__VA_ARGS__, NULL})

static fz_status bad(fz_error *err, const char *key, const char *what)
{
    return error_set(err, FZ_INVALID, "the property %s is no %s", key, what);
}

/* y yes t true on 1, n no f false off 0, as PyIceberg reads them. */
static fz_status get_bool(const props *p, const char *key, bool def, bool *out, fz_error *err)
{
    static const char *const yes[] = {"true", "1", "yes", "y", "t", "on"}, *const no[] = {"false", "0", "no", "n", "f", "off"};
    const char *v = GET(p, key);
    *out = def;
    if (!v)
        return FZ_OK;
    for (int i = 0; i < 6; i++) {
        if (str_ieq(str_of(v), str_of(yes[i])))
            return *out = true, FZ_OK;
        if (str_ieq(str_of(v), str_of(no[i])))
            return *out = false, FZ_OK;
    }
    return bad(err, key, "boolean");
}

static fz_status get_seconds(const props *p, const char *key, int64_t *ms, fz_error *err)
{
    const char *v = GET(p, key);
    double s;
    *ms = 0;
    if (!v)
        return FZ_OK;
    if (!str_to_f64(str_of(v), &s) || !(s > 0 && s < 1e9))
        return bad(err, key, "number of seconds");
    *ms = (int64_t)(s * 1000) > 0 ? (int64_t)(s * 1000) : 1;
    return FZ_OK;
}

static fz_status get_size(const props *p, const char *key, uint32_t *out, fz_error *err)
{
    const char *v = GET(p, key);
    int64_t n;
    if (!v)
        return FZ_OK;
    if (!str_to_size(str_of(v), &n) || n <= 0 || n > (int64_t)1 << 30)
        return bad(err, key, "size up to 1 GB");
    *out = (uint32_t)n;
    return FZ_OK;
}

static fz_status virtual_host(const props *p, bool endpoint, bool *out, fz_error *err)
{
    if (GET(p, "s3.force-virtual-addressing"))
        return get_bool(p, "s3.force-virtual-addressing", false, out, err);
    if (GET(p, "s3.path-style-access")) {
        TRY(get_bool(p, "s3.path-style-access", true, out, err));
        *out = !*out;
        return FZ_OK;
    }
    *out = !endpoint;
    return FZ_OK;
}

/* The shared client, or one of its own where time limits or a proxy are given. */
static fz_status client_for(const props *p, const storage *shared, mem *m, http_client **out, fz_error *err)
{
    http_options o = {.proxy = GET(p, "s3.proxy-uri"), .ca_file = GET(p, "ssl.cabundle")};
    TRY(get_seconds(p, "s3.connect-timeout", &o.connect_timeout_ms, err));
    TRY(get_seconds(p, "s3.request-timeout", &o.stall_timeout_ms, err));
    bool own = o.proxy || o.ca_file || o.connect_timeout_ms || o.stall_timeout_ms || !shared || !shared->http;
    *out = own ? http_client_new(&o, m) : http_client_ref(shared->http);
    return *out ? FZ_OK : error_nomem(err);
}

static fz_status keys_for(const props *p, const char *region, http_client *http, mem *m, aws_credentials **out, fz_error *err)
{
    bool anonymous;
    *out = NULL;
    TRY(get_bool(p, "s3.anonymous", false, &anonymous, err));
    if (anonymous)
        return FZ_OK;
    const char *id = GET(p, "s3.access-key-id", "client.access-key-id"), *secret = GET(p, "s3.secret-access-key", "client.secret-access-key");
    const char *profile = GET(p, "s3.profile-name", "client.profile-name");
    const char *role = GET(p, "s3.role-arn", "client.role-arn", "client.assume-role.arn");
    if (!id != !secret)
        return error_set(err, FZ_INVALID, "s3.access-key-id and s3.secret-access-key have to be given together");
    if (id) {
        aws_keys k = {str_of(id), str_of(secret), str_of(GET(p, "s3.session-token", "client.session-token")), INT64_MAX};
        *out = aws_credentials_static(&k, m);
    } else {
        *out = aws_credentials_default(profile, http, m);
    }
    if (*out && role)
        *out = aws_credentials_role(*out, role, GET(p, "s3.role-session-name", "client.role-session-name", "client.assume-role.session-name"), region,
                                    GET(p, "client.sts-endpoint", "s3.sts-endpoint"), http, m);
    return *out ? FZ_OK : error_nomem(err);
}

static fz_status s3_make(const props *p, const storage *shared, http_client *http, aws_credentials *given, mem *m, io_fs **out, fz_error *err)
{
    s3_options o = {.endpoint = GET(p, "s3.endpoint"),
                    .region = GET(p, "s3.region", "client.region"),
                    .profile = GET(p, "s3.profile-name", "client.profile-name"),
                    .sse = GET(p, "s3.server-side-encryption", "s3.sse.type"),
                    .sse_kms_key_id = GET(p, "s3.sse-kms-key-id", "s3.sse.key"),
                    .default_region = true};
    bool checksums;
    if (!o.endpoint)
        o.endpoint = getenv("AWS_ENDPOINT_URL_S3");
    if (!o.endpoint)
        o.endpoint = getenv("AWS_ENDPOINT_URL");
    if (o.sse && strcmp(o.sse, "kms") == 0)
        o.sse = "aws:kms"; /* Java's words for it */
    else if (o.sse && strcmp(o.sse, "s3") == 0)
        o.sse = "AES256";
    else if (o.sse && strcmp(o.sse, "custom") == 0)
        return error_set(err, FZ_UNSUPPORTED, "encryption with keys of the client's (s3.sse.type=custom) isn't supported");
    TRY(virtual_host(p, o.endpoint && o.endpoint[0], &o.virtual_host, err));
    TRY(get_bool(p, "s3.checksum-enabled", true, &checksums, err));
    o.no_checksum = !checksums;
    TRY(get_size(p, "s3.multipart.part-size-bytes", &o.part_bytes, err));
    TRY(get_size(p, "s3.multipart.num-threads", &o.parts_in_flight, err));
    aws_credentials *own = NULL;
    if (!given)
        TRY(keys_for(p, o.region, http, m, &own, err));
    o.keys = given ? given : own;
    fz_status st = s3_fs_new(&o, http, m, out, err);
    aws_credentials_unref(own);
    return st;
}

/* Takes fs over. */
static fz_status add(file_io *io, const char *prefix, const storage *shared, io_fs *fs, const char *endpoint, mem *m, fz_error *err)
{
    if (shared->cache)
        TRY(cached_fs_new(shared->cache, fs, endpoint, m, &fs, err));
    return file_io_add(io, prefix, fs, err);
}

fz_status storage_add(file_io *io, const char *prefix, const storage *shared, uint32_t n, const io_prop *list, aws_credentials *keys, mem *m, fz_error *err)
{
    static const char *const schemes[] = {"s3://", "s3a://", "s3n://"};
    arena a;
    arena_init(&a, m);
    props p = {n, list, &a};
    http_client *http = NULL;
    io_fs *s3 = NULL, *web = NULL;
    fz_status st = client_for(&p, shared, m, &http, err);
    if (st == FZ_OK)
        st = s3_make(&p, shared, http, keys, m, &s3, err);
    const char *endpoint = GET(&p, "s3.endpoint");
    if (st == FZ_OK && prefix)
        st = add(io, prefix, shared, s3_fs_again(s3), endpoint, m, err);
    for (int i = 0; i < 3 && st == FZ_OK && !prefix; i++)
        st = add(io, schemes[i], shared, s3_fs_again(s3), endpoint, m, err);
    if (s3)
        s3->close(s3);
    for (int i = 0; i < 2 && st == FZ_OK && !prefix; i++) {
        st = http_fs_new(http, m, &web, err);
        if (st == FZ_OK)
            st = add(io, i ? "http://" : "https://", shared, web, NULL, m, err);
    }
    http_client_unref(http);
    arena_free(&a);
    return st;
}
