/*
 * s3_write.c: writing an object: a single PUT if it fits one part, else a multipart upload whose parts are sent while the next is
 * filled.
 *
 *   write:   buffer ──full──> part sent (at most parts_in_flight at once; then write waits)
 *   finish:  no part was sent: PUT of the buffer, else the last part, all awaited, CompleteMultipartUpload
 *   abort:   parts under way are cancelled and awaited, AbortMultipartUpload
 *
 * The last request of finish carries If-None-Match: *, so that an object that is there is FZ_EXISTS. If that request was sent more than once, an earlier
 * sending may be what is there: then the object is compared with what was written (size, and ETag or CRC-32) before anything is said.
 * A store may ignore If-None-Match without a word. The first small object that is written to one that isn't AWS's is therefore sent again: an
 * honest store answers 412; for one that doesn't, every file is looked for first (HEAD) from then on.
 * Past the memory limit parts are sent as soon as they are large enough, one at a time.
 * The first failure is kept; afterwards nothing is sent but the abort.
 */
#include "io/s3_int.h"

#include "io/libs.h"

#include <libdeflate.h>
#include <stdio.h>

#define PARTS_MAX     10000       /* S3's own limit */
#define PART_MIN      ((size_t)5 << 20) /* but for the last */
#define BUFFER_FIRST  ((size_t)64 << 10)
#define UPLOAD_ID_MAX 2048
#define PROBE_MAX     ((size_t)64 << 10)
#define COMPLETE_TRIES 3          /* a 200 may hold an error, to be tried again */

typedef struct part_info {
    char etag[72];
    char crc[9];
} part_info;

typedef struct s3_writer {
    io_writer base;
    s3_fs *fs;
    str bucket, key;              /* of base.path */
    char *data;                   /* the part being filled */
    size_t cap, n;
    char *upload;                 /* "uploadId=…", escaped; NULL: no multipart upload */
    size_t upload_n;
    uint32_t n_parts, cap_parts;  /* sent */
    part_info *parts;
    job stop;                     /* only its flag */
    pthread_mutex_t lock;         /* what follows */
    pthread_cond_t ended;
    uint32_t in_flight;
    fz_status status;             /* the first failure */
    fz_error error;
} s3_writer;

typedef struct part {
    s3_call call;
    s3_writer *w;
    uint32_t number;              /* from 0 */
    char *data;
    size_t n, cap;
    char query[UPLOAD_ID_MAX + 64];
} part;

uint32_t s3_crc(const void *p, size_t n) { return libdeflate_crc32(0, p, n); }

static void writer_fail(s3_writer *w, fz_status st, const fz_error *e)
{
    pthread_mutex_lock(&w->lock);
    if (w->status == FZ_OK) {
        w->status = st;
        w->error = *e;
    }
    pthread_mutex_unlock(&w->lock);
}

static fz_status writer_status(s3_writer *w, fz_error *err)
{
    pthread_mutex_lock(&w->lock);
    fz_status st = w->status;
    if (st != FZ_OK && err)
        *err = w->error;
    pthread_mutex_unlock(&w->lock);
    return st;
}

/* A body with its checksum, which also stands for the hash in the signature. */
static void body_set(s3_call *c, const void *p, size_t n, char crc[9])
{
    c->r.body = p;
    c->r.body_n = n;
    s3_crc_text(s3_crc(p, n), crc);
    if (!atomic_load(&c->fs->no_checksum)) {
        s3_call_header(c, "x-amz-checksum-crc32", (str){crc, 8});
        c->unsigned_payload = true;
    }
}

/* ---- parts ---- */

static fz_status upload_begin(s3_writer *w, fz_error *err)
{
    s3_call c;
    char id[UPLOAD_ID_MAX / 3];
    fz_status st = s3_call_init(&c, w->fs, "POST", w->base.path, w->bucket, w->key, err);
    c.query = "uploads=";
    s3_call_sse(&c);
    if (!atomic_load(&w->fs->no_checksum))
        s3_call_header(&c, "x-amz-checksum-algorithm", STR("CRC32"));
    if (st == FZ_OK)
        st = s3_call_run(&c, err);
    if (st == FZ_OK && (!s3_answer_text(&c, "UploadId", id, sizeof id) || !id[0] || strlen(id) + 1 == sizeof id)) {
        st = error_set(err, FZ_IO, "the server began a multipart upload without an id");
        error_where(err, w->base.path);
    }
    s3_call_free(&c);
    if (st != FZ_OK)
        return st;
    sbuf q;
    sbuf_init(&q, w->base.m);
    sbuf_addz(&q, "uploadId=");
    http_escape(str_of(id), false, &q);
    w->upload_n = q.n + 1;
    w->upload = q.failed ? NULL : mem_alloc(w->base.m, w->upload_n);
    if (w->upload)
        memcpy(w->upload, q.p, w->upload_n);
    sbuf_free(&q);
    return w->upload ? FZ_OK : error_nomem(err);
}

static void part_done(http_request *r)
{
    part *p = (part *)r;
    s3_writer *w = p->w;
    fz_error e = r->error;
    fz_status st = r->status;
    if (st == FZ_OK && (r->code < 200 || r->code >= 300))
        st = s3_answer_error(&p->call, &e);
    str tag = http_response_header(r, "etag");
    if (st == FZ_OK && (tag.n == 0 || tag.n >= sizeof w->parts->etag))
        st = error_set(&e, FZ_IO, "the server took a part without an ETag");
    if (st != FZ_OK)
        error_where(&e, w->base.path);
    mem_free(w->base.m, p->data, p->cap);
    pthread_mutex_lock(&w->lock);
    if (st == FZ_OK) {
        snprintf(w->parts[p->number].etag, sizeof w->parts->etag, STR_FMT, STR_ARG(tag));
    } else if (w->status == FZ_OK) {
        w->status = st;
        w->error = e;
    }
    pthread_mutex_unlock(&w->lock);
    s3_call_free(&p->call);
    mem_free(w->base.m, p, sizeof *p);
    pthread_mutex_lock(&w->lock);
    w->in_flight--;
    pthread_cond_broadcast(&w->ended);
    pthread_mutex_unlock(&w->lock);
}

/* Waits until at most `n` parts are under way. */
static void parts_await(s3_writer *w, uint32_t n)
{
    pthread_mutex_lock(&w->lock);
    while (w->in_flight > n)
        pthread_cond_wait(&w->ended, &w->lock);
    pthread_mutex_unlock(&w->lock);
}

static fz_status parts_grow(s3_writer *w, fz_error *err)
{
    if (w->n_parts < w->cap_parts)
        return FZ_OK;
    uint32_t cap = w->cap_parts ? w->cap_parts * 2 : 16;
    pthread_mutex_lock(&w->lock); /* parts under way write into it */
    part_info *more = mem_resize(w->base.m, w->parts, w->cap_parts * sizeof *more, cap * sizeof *more);
    if (more) {
        w->parts = more;
        w->cap_parts = cap;
    }
    pthread_mutex_unlock(&w->lock);
    return more ? FZ_OK : error_nomem(err);
}

/* Sends the buffer as the next part, and gives it away. */
static fz_status part_send(s3_writer *w, fz_error *err)
{
    if (w->n_parts == PARTS_MAX) {
        error_set(err, FZ_LIMIT, "a file of more than %d parts of %u bytes can't be written", PARTS_MAX, w->fs->o.part_bytes);
        error_where(err, w->base.path);
        return FZ_LIMIT;
    }
    if (!w->upload)
        TRY(upload_begin(w, err));
    parts_await(w, mem_over(w->base.m, 0) ? 0 : w->fs->o.parts_in_flight - 1);
    TRY(writer_status(w, err));
    TRY(parts_grow(w, err));
    part *p = mem_zalloc(w->base.m, sizeof *p);
    if (!p)
        return error_nomem(err);
    fz_status st = s3_call_init(&p->call, w->fs, "PUT", w->base.path, w->bucket, w->key, err);
    p->w = w;
    p->number = w->n_parts;
    snprintf(p->query, sizeof p->query, "partNumber=%u&%s", p->number + 1, w->upload);
    p->call.query = p->query;
    body_set(&p->call, w->data, w->n, w->parts[p->number].crc);
    if (st == FZ_OK)
        st = s3_call_url(&p->call, err);
    if (st != FZ_OK) {
        s3_call_free(&p->call);
        mem_free(w->base.m, p, sizeof *p);
        return st;
    }
    p->data = w->data;
    p->n = w->n;
    p->cap = w->cap;
    w->data = NULL;
    w->n = w->cap = 0;
    w->n_parts++;
    p->call.r.done = part_done;
    p->call.r.j = &w->stop;
    pthread_mutex_lock(&w->lock);
    w->in_flight++;
    pthread_mutex_unlock(&w->lock);
    http_send(w->fs->http, &p->call.r);
    return FZ_OK;
}

static fz_status buffer_grow(s3_writer *w, size_t need, fz_error *err)
{
    size_t cap = w->cap ? w->cap : BUFFER_FIRST;
    /* What goes on after a full part will most likely fill the next one too. */
    if (w->upload)
        cap = w->fs->o.part_bytes;
    while (cap < need)
        cap *= 2;
    if (cap > w->fs->o.part_bytes)
        cap = w->fs->o.part_bytes;
    if (cap <= w->cap)
        return FZ_OK;
    char *more = mem_resize(w->base.m, w->data, w->cap, cap);
    if (!more)
        return error_nomem(err);
    w->data = more;
    w->cap = cap;
    return FZ_OK;
}

static fz_status s3_write(io_writer *base, const void *from, size_t n, fz_error *err)
{
    s3_writer *w = (s3_writer *)base;
    const char *at = from;
    TRY(writer_status(w, err));
    while (n) {
        fz_status st = FZ_OK;
        if (w->n == w->fs->o.part_bytes || (w->n >= PART_MIN && mem_over(w->base.m, 0)))
            st = part_send(w, err);
        size_t room = w->fs->o.part_bytes - w->n, take = n < room ? n : room;
        if (st == FZ_OK)
            st = buffer_grow(w, w->n + take, err);
        if (st != FZ_OK) {
            fz_error e = {.offset = -1, .line = -1, .column = -1};
            if (err)
                e = *err;
            writer_fail(w, st, &e);
            return st;
        }
        memcpy(w->data + w->n, at, take);
        w->n += take;
        at += take;
        n -= take;
        base->pos += take;
    }
    return FZ_OK;
}

/* ---- the end ---- */

static void writer_free(s3_writer *w)
{
    mem *m = w->base.m;
    mem_free(m, w->data, w->cap);
    mem_free(m, w->upload, w->upload_n);
    mem_free(m, w->parts, w->cap_parts * sizeof *w->parts);
    mem_free(m, w->base.path, strlen(w->base.path) + 1);
    pthread_cond_destroy(&w->ended);
    pthread_mutex_destroy(&w->lock);
    s3_fs_unref(w->fs);
    mem_free(m, w, sizeof *w);
}

static void s3_abort(io_writer *base)
{
    s3_writer *w = (s3_writer *)base;
    atomic_store(&w->stop.cancelled, true);
    pthread_mutex_lock(&w->lock);
    bool busy = w->in_flight > 0;
    pthread_mutex_unlock(&w->lock);
    if (busy)
        http_wake(w->fs->http);
    parts_await(w, 0);
    if (w->upload) {
        s3_call c;
        if (s3_call_init(&c, w->fs, "DELETE", base->path, w->bucket, w->key, NULL) == FZ_OK) {
            c.query = w->upload;
            c.r.timeout_ms = 20000; /* what remains is the business of the bucket's lifecycle rule */
            s3_call_run(&c, NULL);
        }
        s3_call_free(&c);
    }
    writer_free(w);
}

/* The ETag of a multipart object as most stores compute it, where the parts' ETags are MD5: of the digests, and the number of them. */
static bool composite_etag(const s3_writer *w, char *out, size_t n)
{
    const lib_crypto *lib;
    unsigned char md[16];
    sbuf all;
    sbuf_init(&all, w->base.m);
    bool ok = crypto_lib(&lib, NULL) == FZ_OK;
    for (uint32_t i = 0; i < w->n_parts && ok; i++) {
        unsigned byte;
        const char *e = w->parts[i].etag + (w->parts[i].etag[0] == '"');
        ok = strlen(e) >= 32;
        for (int k = 0; k < 16 && ok; k++) {
            ok = sscanf(e + 2 * k, "%2x", &byte) == 1;
            sbuf_addc(&all, (char)byte);
        }
    }
    ok = ok && !all.failed && lib->digest(all.p, all.n, md, NULL, lib->md5(), NULL);
    char hex[33];
    for (int i = 0; i < 16 && ok; i++)
        snprintf(hex + 2 * i, 3, "%02x", md[i]);
    if (ok)
        snprintf(out, n, "\"%s-%u\"", hex, w->n_parts);
    sbuf_free(&all);
    return ok;
}

/* Whether the object that is there is the one that was written here. */
static bool is_ours(s3_writer *w, const char *crc, const char *etag)
{
    s3_call c;
    bool ours = false;
    int64_t size;
    fz_status st = s3_call_init(&c, w->fs, "HEAD", w->base.path, w->bucket, w->key, NULL);
    s3_call_header(&c, "x-amz-checksum-mode", STR("ENABLED"));
    if (st == FZ_OK && s3_call_run(&c, NULL) == FZ_OK && str_to_i64(http_response_header(&c.r, "content-length"), &size) &&
        (uint64_t)size == w->base.pos) {
        str sum = http_response_header(&c.r, "x-amz-checksum-crc32"), tag = http_response_header(&c.r, "etag");
        ours = (crc && str_eqz(sum, crc)) || (etag && etag[0] && str_eqz(tag, etag));
    }
    s3_call_free(&c);
    return ours;
}

static fz_status exists_error(const s3_writer *w, fz_error *err)
{
    error_set(err, FZ_EXISTS, "the file is there already");
    error_where(err, w->base.path);
    return FZ_EXISTS;
}

/* For stores without conditional writes. */
static fz_status must_be_new(s3_writer *w, fz_error *err)
{
    io_stat_info info;
    fz_error e;
    fz_status st = s3_head(w->fs, w->base.path, w->bucket, w->key, &info, NULL, 0, &e);
    if (st == FZ_NOT_FOUND)
        return FZ_OK;
    if (st == FZ_OK)
        return exists_error(w, err);
    if (err)
        *err = e;
    return st;
}

/* Sends the request that makes the object appear. *missing: the upload isn't there (any more). */
static fz_status final_send(s3_writer *w, s3_call *c, const char *crc, const char *etag, fz_error *err)
{
    static const int pass[] = {404, 409, 412, 501, 0};
    uint32_t before = c->r.n_headers;
    for (int tries = 0;; tries++) {
        bool conditional = !atomic_load(&w->fs->no_conditional);
        c->r.n_headers = before;
        if (conditional)
            s3_call_header(c, "if-none-match", STR("*"));
        else
            TRY(must_be_new(w, err));
        fz_status st = s3_call_run_or(c, pass, err);
        if (st != FZ_OK) /* what isn't known is looked for */
            return is_ours(w, crc, etag) ? FZ_OK : st;
        char code[64];
        bool failed = s3_answer_text(c, "Code", code, sizeof code);
        bool sent_twice = c->r.attempts > 1 || tries > 0 || c->r.body_n == 0; /* of one without a body libcurl's own resending isn't seen */
        if (c->r.code < 300 && !failed)
            return FZ_OK;
        if (c->r.code == 501 && conditional) {
            atomic_store(&w->fs->no_conditional, true);
        } else if (sent_twice && is_ours(w, crc, etag)) {
            return FZ_OK;
        } else if (c->r.code == 412) {
            return exists_error(w, err);
        } else if (c->r.code >= 300 || tries + 1 >= COMPLETE_TRIES) {
            if (c->r.code == 404 && strcmp(code, "NoSuchUpload") == 0) {
                error_set(err, FZ_IO, "the server has lost the multipart upload");
                error_where(err, w->base.path);
                return FZ_IO;
            }
            return s3_answer_error(c, err);
        }
        http_response_free(&c->r);
    }
}

/* See the top: c has just made its object. */
static void conditional_probe(s3_writer *w, s3_call *c)
{
    s3_fs *fs = w->fs;
    if (!fs->o.endpoint || w->n > PROBE_MAX || atomic_load(&fs->no_conditional) || atomic_exchange(&fs->probed, true))
        return;
    http_response_free(&c->r);
    for (uint32_t i = 0; i < c->r.n_headers; i++)
        if (str_eqz(c->r.headers[i].name, "if-none-match")) { /* what comes behind it is the signature's */
            c->r.n_headers = i + 1;
            if (s3_call_run(c, NULL) == FZ_OK)
                atomic_store(&fs->no_conditional, true);
            return;
        }
}

static fz_status put_whole(s3_writer *w, fz_error *err)
{
    s3_call c;
    char crc[9], etag[40] = "";
    const lib_crypto *lib;
    unsigned char md[16];
    TRY(crypto_lib(&lib, err));
    if (lib->digest(w->n ? w->data : "", w->n, md, NULL, lib->md5(), NULL)) {
        char *at = etag;
        *at++ = '"';
        for (int i = 0; i < 16; i++, at += 2)
            snprintf(at, 3, "%02x", md[i]);
        memcpy(at, "\"", 2);
    }
    fz_status st = s3_call_init(&c, w->fs, "PUT", w->base.path, w->bucket, w->key, err);
    body_set(&c, w->n ? w->data : "", w->n, crc);
    s3_call_sse(&c);
    if (st == FZ_OK)
        st = final_send(w, &c, crc, etag, err);
    if (st == FZ_OK)
        conditional_probe(w, &c);
    s3_call_free(&c);
    return st;
}

static fz_status complete(s3_writer *w, fz_error *err)
{
    s3_call c;
    sbuf body;
    char etag[64] = "";
    sbuf_init(&body, w->base.m);
    sbuf_addz(&body, "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">");
    for (uint32_t i = 0; i < w->n_parts; i++) {
        sbuf_addz(&body, "<Part><ETag>");
        xml_escape(str_of(w->parts[i].etag), &body);
        sbuf_addz(&body, "</ETag>");
        if (!atomic_load(&w->fs->no_checksum))
            sbuf_printf(&body, "<ChecksumCRC32>%s</ChecksumCRC32>", w->parts[i].crc);
        sbuf_printf(&body, "<PartNumber>%u</PartNumber></Part>", i + 1);
    }
    sbuf_addz(&body, "</CompleteMultipartUpload>");
    composite_etag(w, etag, sizeof etag);
    fz_status st = s3_call_init(&c, w->fs, "POST", w->base.path, w->bucket, w->key, err);
    c.query = w->upload;
    c.r.body = body.p;
    c.r.body_n = body.n;
    s3_call_header(&c, "content-type", STR("application/xml"));
    if (body.failed)
        st = error_nomem(err);
    if (st == FZ_OK)
        st = final_send(w, &c, NULL, etag, err);
    s3_call_free(&c);
    sbuf_free(&body);
    return st;
}

static fz_status s3_finish(io_writer *base, fz_error *err)
{
    s3_writer *w = (s3_writer *)base;
    fz_status st = writer_status(w, err);
    if (st == FZ_OK && !w->upload) {
        st = put_whole(w, err);
    } else if (st == FZ_OK) {
        if (w->n)
            st = part_send(w, err);
        parts_await(w, 0);
        if (st == FZ_OK)
            st = writer_status(w, err);
        if (st == FZ_OK)
            st = complete(w, err);
    }
    if (st != FZ_OK && w->upload) {
        s3_abort(base);
        return st;
    }
    writer_free(w);
    return st;
}

static const struct io_writer_ops s3_writer_ops = {.write = s3_write, .finish = s3_finish, .abort = s3_abort};

fz_status s3_create(const io_fs *fs, const char *location, mem *m, io_writer **out, fz_error *err)
{
    size_t n = strlen(location) + 1;
    str bucket, key;
    TRY(s3_split(location, &bucket, &key, err));
    if (key.n == 0) {
        error_set(err, FZ_INVALID, "a file on S3 needs a name behind its bucket");
        error_where(err, location);
        return FZ_INVALID;
    }
    s3_writer *w = mem_zalloc(m, sizeof *w);
    char *copy = w ? mem_alloc(m, n) : NULL;
    if (!copy) {
        mem_free(m, w, sizeof *w);
        return error_nomem(err);
    }
    memcpy(copy, location, n);
    w->base = (io_writer){.ops = &s3_writer_ops, .path = copy, .m = m};
    w->fs = s3_fs_ref((s3_fs *)fs);
    s3_split(copy, &w->bucket, &w->key, NULL);
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->ended, NULL);
    *out = &w->base;
    return FZ_OK;
}
