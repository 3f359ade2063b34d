/*
 * s3.c: the file system of s3.h: its making, one call to a bucket, and what an answer means.
 *
 * A call is signed anew at each attempt, with the keys, the region and the clock known by then. What a server teaches on the way is kept
 * for the file system, and the call is sent again at once:
 *
 *   301, 307, 400 with another region (header or XML)   the bucket's region; the URL is made anew
 *   403 RequestTimeTooSkewed, or a HEAD's 403 with a   the difference of the clocks
 *       Date more than SKEW_MS away
 *   400, 403 ExpiredToken and its like                  keys are fetched anew, once per call
 *   400 RequestTimeout, 409 ConditionalRequestConflict nothing: it is simply tried again
 */
#include "io/s3_int.h"

#include "io/aws/credentials.h"
#include "io/aws/sigv4.h"

#include <stdio.h>
#include <strings.h>

#define SKEW_MS (4 * 60 * 1000)

static fz_status s3_open(const io_fs *base, const char *location, mem *m, io_file **out, fz_error *err);
static fz_status s3_open_sized(const io_fs *base, const char *location, uint64_t size, mem *m, io_file **out, fz_error *err);
static fz_status s3_stat(const io_fs *base, const char *location, io_stat_info *out, fz_error *err);
static fz_status s3_remove(const io_fs *base, const char *location, fz_error *err);
static void s3_close(io_fs *base) { s3_fs_unref((s3_fs *)base); }

/* ---- the file system ---- */

s3_fs *s3_fs_ref(s3_fs *fs)
{
    atomic_fetch_add_explicit(&fs->refs, 1, memory_order_relaxed);
    return fs;
}

void s3_fs_unref(s3_fs *fs)
{
    if (atomic_fetch_sub_explicit(&fs->refs, 1, memory_order_acq_rel) != 1)
        return;
    aws_credentials_unref(fs->keys);
    http_client_unref(fs->http);
    arena_free(&fs->texts);
    pthread_mutex_destroy(&fs->lock);
    mem_free(fs->m, fs, sizeof *fs);
}

io_fs *s3_fs_again(io_fs *fs) { return &s3_fs_ref((s3_fs *)fs)->base; }

static bool text_copy(arena *a, const char **text)
{
    if (!*text)
        return true;
    *text = arena_strndup(a, *text, strlen(*text));
    return *text != NULL;
}

/* "host:port" is https; no '/' at the end. */
static fz_status endpoint_set(s3_fs *fs, fz_error *err)
{
    const char *e = fs->o.endpoint;
    if (!e || !e[0]) {
        fs->o.endpoint = NULL;
        return FZ_OK;
    }
    size_t n = strlen(e);
    while (n && e[n - 1] == '/')
        n--;
    bool scheme = strncasecmp(e, "http://", 7) == 0 || strncasecmp(e, "https://", 8) == 0;
    if (!scheme && strstr(e, "://"))
        return error_set(err, FZ_INVALID, "s3.endpoint has to be an http:// or https:// address");
    char *z = arena_alloc(&fs->texts, n + 9);
    if (!z)
        return error_nomem(err);
    memcpy(z, "https://", 8);
    memcpy(z + (scheme ? 0 : 8), e, n);
    z[n + (scheme ? 0 : 8)] = 0;
    fs->o.endpoint = z;
    return FZ_OK;
}

fz_status s3_fs_new(const s3_options *o, http_client *http, mem *m, io_fs **out, fz_error *err)
{
    s3_fs *fs = mem_zalloc(m, sizeof *fs);
    if (!fs)
        return error_nomem(err);
    fs->base = (io_fs){.scheme = "s3", .open = s3_open, .create = s3_create, .stat = s3_stat, .remove = s3_remove, .list = s3_list, .open_sized = s3_open_sized,
                       .close = s3_close, .read_all = s3_read_all, .remove_many = s3_remove_many};
    atomic_init(&fs->refs, 1);
    fs->m = m;
    fs->o = *o;
    fs->http = http_client_ref(http);
    fs->keys = aws_credentials_ref(o->keys);
    pthread_mutex_init(&fs->lock, NULL);
    arena_init(&fs->texts, m);
    fs->no_checksum = o->no_checksum;
    if (fs->o.part_bytes == 0)
        fs->o.part_bytes = 16u << 20;
    if (fs->o.part_bytes < 5u << 20)
        fs->o.part_bytes = 5u << 20; /* S3's least */
    if (fs->o.parts_in_flight == 0)
        fs->o.parts_in_flight = 4;
    bool ok = text_copy(&fs->texts, &fs->o.region) && text_copy(&fs->texts, &fs->o.sse) && text_copy(&fs->texts, &fs->o.sse_kms_key_id) &&
              text_copy(&fs->texts, &fs->o.profile);
    fz_status st = ok ? endpoint_set(fs, err) : error_nomem(err);
    if (st != FZ_OK) {
        s3_fs_unref(fs);
        return st;
    }
    *out = &fs->base;
    return FZ_OK;
}

fz_status s3_split(const char *location, str *bucket, str *key, fz_error *err)
{
    const char *rest = strstr(location, "://");
    size_t n = 0;
    rest = rest ? rest + 3 : location;
    while (rest[n] && rest[n] != '/')
        n++;
    *bucket = (str){rest, n};
    *key = str_of(rest[n] ? rest + n + 1 : rest + n);
    if (n && memchr(rest, '@', n) == NULL && memchr(rest, ':', n) == NULL && memchr(rest, '?', n) == NULL && memchr(rest, '#', n) == NULL)
        return FZ_OK;
    error_set(err, FZ_INVALID, n ? "a bucket's name has no @ : ? #" : "a location on S3 is s3://bucket/key");
    error_where(err, location);
    return FZ_INVALID;
}

static str region_of(s3_fs *fs, str bucket)
{
    pthread_mutex_lock(&fs->lock);
    if (fs->o.default_region && !fs->o.region) {
        str found;
        fs->o.default_region = false;
        if (aws_default_region(fs->o.profile, &fs->texts, &found, NULL) == FZ_OK && found.n)
            fs->o.region = arena_strndup(&fs->texts, found.p, found.n);
    }
    str out = str_of(fs->o.region && fs->o.region[0] ? fs->o.region : "us-east-1");
    for (s3_region *r = fs->regions; r; r = r->next)
        if (str_eqz(bucket, r->bucket)) {
            out = str_of(r->region);
            break;
        }
    pthread_mutex_unlock(&fs->lock);
    return out;
}

static bool region_learn(s3_fs *fs, str bucket, str region)
{
    if (region.n == 0 || region.n > 63 || str_eq(region, region_of(fs, bucket)))
        return false; /* it is what was used: nothing learned */
    for (size_t i = 0; i < region.n; i++) { /* it becomes part of a host's name */
        char c = region.p[i];
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'))
            return false;
    }
    pthread_mutex_lock(&fs->lock);
    s3_region *r = ARENA_NEW(&fs->texts, s3_region);
    const char *b = arena_strndup(&fs->texts, bucket.p, bucket.n), *g = arena_strndup(&fs->texts, region.p, region.n);
    if (r && b && g) {
        *r = (s3_region){fs->regions, b, g};
        fs->regions = r;
    }
    pthread_mutex_unlock(&fs->lock);
    return r && b && g;
}

/* ---- one call ---- */

/* Whether a bucket can be part of a host's name under a certificate for *.host. */
static bool bucket_is_label(str b)
{
    for (size_t i = 0; i < b.n; i++)
        if (!((b.p[i] >= 'a' && b.p[i] <= 'z') || (b.p[i] >= '0' && b.p[i] <= '9') || b.p[i] == '-'))
            return false;
    return b.n >= 3 && b.n <= 63;
}

fz_status s3_call_url(s3_call *c, fz_error *err)
{
    s3_fs *fs = c->fs;
    sbuf *u = &c->url;
    sbuf_clear(u);
    bool host;
    if (fs->o.endpoint) {
        const char *rest = strstr(fs->o.endpoint, "://") + 3;
        host = fs->o.virtual_host && bucket_is_label(c->bucket);
        sbuf_add(u, fs->o.endpoint, (size_t)(rest - fs->o.endpoint));
        if (host) {
            sbuf_str(u, c->bucket);
            sbuf_addc(u, '.');
        }
        sbuf_addz(u, rest);
    } else {
        str region = region_of(fs, c->bucket);
        host = bucket_is_label(c->bucket); /* AWS asks for it, but for names with dots */
        sbuf_addz(u, "https://");
        if (host) {
            sbuf_str(u, c->bucket);
            sbuf_addc(u, '.');
        }
        sbuf_printf(u, "s3." STR_FMT ".amazonaws.com%s", STR_ARG(region), str_starts(region, STR("cn-")) ? ".cn" : "");
    }
    if (!host) {
        sbuf_addc(u, '/');
        http_escape(c->bucket, false, u);
    }
    sbuf_addc(u, '/');
    http_escape(c->key, true, u);
    if (c->query) {
        sbuf_addc(u, '?');
        sbuf_addz(u, c->query);
    }
    c->r.url = u->p;
    return u->failed ? error_nomem(err) : FZ_OK;
}

static fz_status call_sign(http_request *r, arena *a, fz_error *err)
{
    s3_call *c = (s3_call *)r;
    s3_fs *fs = c->fs;
    aws_keys k;
    if (r->may_wait) {
        TRY(fs->keys->ops->get(fs->keys, a, &k, err));
    } else if (!fs->keys->ops->cached(fs->keys, a, &k)) {
        r->sign_later = true;
        return FZ_OK;
    }
    sigv4_scope s = {.region = region_of(fs, c->bucket), .service = STR("s3"), .now_ms = aws_now_ms() + atomic_load(&fs->skew_ms)};
    return sigv4_sign(r, &k, &s, c->unsigned_payload ? STR("UNSIGNED-PAYLOAD") : (str){NULL, 0}, a, err);
}

static bool clock_learn(s3_fs *fs, const http_request *r)
{
    int64_t server = http_date_ms(http_response_header(r, "date"));
    int64_t skew = server - aws_now_ms(), off = skew - atomic_load(&fs->skew_ms);
    if (server < 0 || (off < SKEW_MS && off > -SKEW_MS))
        return false;
    atomic_store(&fs->skew_ms, skew);
    return true;
}

static bool keys_renew(s3_call *c)
{
    aws_credentials *k = c->fs->keys;
    if (c->key_expired || !k || !k->ops->expire)
        return false;
    c->key_expired = true;
    k->ops->expire(k);
    return true;
}

static bool call_again(http_request *r)
{
    s3_call *c = (s3_call *)r;
    if (r->code < 300)
        return false;
    char code[64] = "", region[64] = "";
    s3_answer_text(c, "Code", code, sizeof code);
    str learned = http_response_header(r, "x-amz-bucket-region");
    if (learned.n == 0 && s3_answer_text(c, "Region", region, sizeof region))
        learned = str_of(region);
    if ((r->code == 301 || r->code == 307 || r->code == 400 || r->code == 403) && region_learn(c->fs, c->bucket, learned))
        return s3_call_url(c, NULL) == FZ_OK;
    bool mute = code[0] == 0; /* the answer to a HEAD has no body */
    if (r->code == 403 && (mute || strcmp(code, "RequestTimeTooSkewed") == 0) && c->fs->keys && clock_learn(c->fs, r))
        return true;
    bool expired = strcmp(code, "ExpiredToken") == 0 || strcmp(code, "ExpiredTokenException") == 0 || strcmp(code, "TokenRefreshRequired") == 0 ||
                   strcmp(code, "InvalidToken") == 0 || (mute && strcmp(r->method, "HEAD") == 0 && (r->code == 400 || r->code == 403));
    if (expired && (r->code == 400 || r->code == 403 || r->code == 401))
        return keys_renew(c);
    bool spoiled = strcmp(code, "BadDigest") == 0 || strcmp(code, "XAmzContentSHA256Mismatch") == 0; /* on its way: what is sent was summed here */
    return (r->code == 400 && (spoiled || strcmp(code, "RequestTimeout") == 0)) || (r->code == 409 && strcmp(code, "ConditionalRequestConflict") == 0);
}

fz_status s3_call_init(s3_call *c, s3_fs *fs, const char *method, const char *location, str bucket, str key, fz_error *err)
{
    *c = (s3_call){.fs = fs, .location = location, .bucket = bucket, .key = key};
    sbuf_init(&c->url, fs->m);
    c->r.method = method;
    c->r.retry = true;
    c->r.timeout_ms = fs->o.request_timeout_ms;
    c->r.sign = fs->keys ? call_sign : NULL;
    c->r.again = call_again;
    return FZ_OK;
}

void s3_call_header(s3_call *c, const char *name, str value)
{
    if (value.n <= sizeof c->text - c->text_n) {
        memcpy(c->text + c->text_n, value.p, value.n);
        value.p = c->text + c->text_n;
        c->text_n += value.n;
    }
    c->r.headers[c->r.n_headers++] = (http_header){str_of(name), value};
}

void s3_call_sse(s3_call *c)
{
    const s3_options *o = &c->fs->o;
    if (!o->sse || !o->sse[0] || strcasecmp(o->sse, "none") == 0)
        return;
    s3_call_header(c, "x-amz-server-side-encryption", str_of(o->sse));
    if (o->sse_kms_key_id && o->sse_kms_key_id[0])
        s3_call_header(c, "x-amz-server-side-encryption-aws-kms-key-id", str_of(o->sse_kms_key_id));
}

void s3_call_free(s3_call *c)
{
    http_response_free(&c->r);
    sbuf_free(&c->url);
}

fz_status s3_call_run_or(s3_call *c, const int *pass, fz_error *err)
{
    fz_status st = s3_call_url(c, err);
    if (st == FZ_OK)
        st = http_fetch(c->fs->http, &c->r, err);
    if (st != FZ_OK) {
        if (err && c->location)
            snprintf(err->where, sizeof err->where, "%s", c->location);
        return st;
    }
    if (c->r.code >= 200 && c->r.code < 300)
        return FZ_OK;
    for (; pass && *pass; pass++)
        if (c->r.code == *pass)
            return FZ_OK;
    return s3_answer_error(c, err);
}

fz_status s3_call_run(s3_call *c, fz_error *err) { return s3_call_run_or(c, NULL, err); }

/* ---- answers ---- */

struct text_wanted {
    const char *name;
    char *out;
    size_t n;
    bool found;
};

static fz_status text_match(void *ctx, const str *path, uint32_t depth, str text, fz_error *err)
{
    struct text_wanted *w = ctx;
    if (depth == 2 && !w->found && str_eqz(path[1], w->name)) {
        w->found = true;
        snprintf(w->out, w->n, STR_FMT, STR_ARG(text));
    }
    return FZ_OK;
}

bool s3_answer_text(const s3_call *c, const char *name, char *out, size_t n)
{
    const buf *b = c->r.response;
    struct text_wanted w = {name, out, n, false};
    out[0] = 0;
    if (!b || b->size == 0)
        return false;
    return xml_read((str){(const char *)b->data, b->size}, c->fs->m, text_match, &w, NULL) == FZ_OK && w.found;
}

fz_status s3_answer_error(s3_call *c, fz_error *err)
{
    char code[64] = "", message[512] = "", said[600] = "";
    s3_answer_text(c, "Code", code, sizeof code);
    s3_answer_text(c, "Message", message, sizeof message);
    if (code[0])
        snprintf(said, sizeof said, "%s%s%s", code, message[0] ? ": " : "", message);
    fz_status st;
    if (c->r.code == 404 && !code[0])
        st = error_set(err, FZ_NOT_FOUND, "there is no such file");
    else if (c->r.code == 404 && strcmp(code, "NoSuchKey") == 0)
        st = error_set(err, FZ_NOT_FOUND, "there is no such file");
    else
        st = http_status_error(&c->r, str_of(said), err);
    if (err && c->location)
        snprintf(err->where, sizeof err->where, "%s", c->location);
    if ((c->r.code == 403 || c->r.code == 401) && !c->fs->keys)
        error_hint(err, "the request was sent without credentials");
    return st;
}

void s3_base64(const unsigned char *p, size_t n, char *out)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < n; i += 3) {
        uint32_t v = (uint32_t)p[i] << 16 | (i + 1 < n ? (uint32_t)p[i + 1] << 8 : 0) | (i + 2 < n ? p[i + 2] : 0);
        *out++ = digits[v >> 18];
        *out++ = digits[v >> 12 & 63];
        *out++ = i + 1 < n ? digits[v >> 6 & 63] : '=';
        *out++ = i + 2 < n ? digits[v & 63] : '=';
    }
    *out = 0;
}

void s3_crc_text(uint32_t crc, char out[9])
{
    unsigned char b[4] = {(unsigned char)(crc >> 24), (unsigned char)(crc >> 16), (unsigned char)(crc >> 8), (unsigned char)crc};
    s3_base64(b, 4, out);
}

/* ---- files ---- */

fz_status s3_head(s3_fs *fs, const char *location, str bucket, str key, io_stat_info *info, char *etag, size_t etag_n, fz_error *err)
{
    s3_call c;
    fz_status st = s3_call_init(&c, fs, "HEAD", location, bucket, key, err);
    if (st == FZ_OK)
        st = s3_call_run(&c, err);
    if (st == FZ_OK) {
        int64_t size, modified;
        if (!str_to_i64(http_response_header(&c.r, "content-length"), &size) || size < 0) {
            st = error_set(err, FZ_IO, "the server doesn't say how large the file is");
            error_where(err, location);
        } else {
            modified = http_date_ms(http_response_header(&c.r, "last-modified"));
            *info = (io_stat_info){.size = (uint64_t)size, .mtime_us = modified < 0 ? 0 : modified * 1000};
        }
        str e = http_response_header(&c.r, "etag");
        if (etag && e.n < etag_n)
            snprintf(etag, etag_n, STR_FMT, STR_ARG(e));
    }
    s3_call_free(&c);
    return st;
}

static fz_status s3_open(const io_fs *base, const char *location, mem *m, io_file **out, fz_error *err)
{
    s3_fs *fs = (s3_fs *)base;
    str bucket, key;
    io_stat_info info;
    char etag[128] = "";
    TRY(s3_split(location, &bucket, &key, err));
    TRY(s3_head(fs, location, bucket, key, &info, etag, sizeof etag, err));
    return s3_file_new(fs, location, info.size, etag, m, out, err);
}

static fz_status s3_open_sized(const io_fs *base, const char *location, uint64_t size, mem *m, io_file **out, fz_error *err)
{
    return s3_file_new((s3_fs *)base, location, size, "", m, out, err);
}

static fz_status s3_stat(const io_fs *base, const char *location, io_stat_info *out, fz_error *err)
{
    s3_fs *fs = (s3_fs *)base;
    str bucket, key;
    fz_error no;
    bool any = false;
    TRY(s3_split(location, &bucket, &key, err));
    fz_status st = FZ_NOT_FOUND;
    if (key.n && key.p[key.n - 1] != '/') {
        st = s3_head(fs, location, bucket, key, out, NULL, 0, &no);
        if (st != FZ_NOT_FOUND) {
            if (st != FZ_OK && err)
                *err = no;
            return st;
        }
    }
    TRY(s3_any_below(fs, location, bucket, key, &any, err));
    if (any) {
        *out = (io_stat_info){.is_dir = true};
        return FZ_OK;
    }
    error_set(err, FZ_NOT_FOUND, "there is no such file");
    error_where(err, location);
    return FZ_NOT_FOUND;
}

static fz_status s3_remove(const io_fs *base, const char *location, fz_error *err)
{
    s3_fs *fs = (s3_fs *)base;
    str bucket, key;
    s3_call c;
    TRY(s3_split(location, &bucket, &key, err));
    TRY(s3_call_init(&c, fs, "DELETE", location, bucket, key, err));
    fz_status st = s3_call_run(&c, err);
    s3_call_free(&c);
    return st;
}
