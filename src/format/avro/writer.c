/*
 * writer.c: writes object container files, in memory; the layout stands in reader.c.
 *
 * A block is closed when its plain bytes pass BLOCK_BYTES. Failures to allocate are sticky in the sbufs
 * and reported when a block is closed.
 */
#include "format/avro/avro.h"

#include <errno.h>
#include <sys/random.h>

#define BLOCK_BYTES (64u << 10)

void avro_put_long(sbuf *b, int64_t v)
{
    char tmp[10];
    unsigned n = 0;
    uint64_t z = (uint64_t)v << 1 ^ (uint64_t)(v >> 63);
    for (; z > 0x7f; z >>= 7)
        tmp[n++] = (char)(z | 0x80);
    tmp[n++] = (char)z;
    sbuf_add(b, tmp, n);
}

void avro_put_bytes(sbuf *b, str s)
{
    avro_put_long(b, (int64_t)s.n);
    sbuf_add(b, s.p, s.n);
}

static void put_little(sbuf *b, uint64_t v, int n)
{
    char tmp[8];
    for (int i = 0; i < n; i++)
        tmp[i] = (char)(v >> 8 * i);
    sbuf_add(b, tmp, (size_t)n);
}

void avro_put_float(sbuf *b, float v)
{
    uint32_t u;
    memcpy(&u, &v, 4);
    put_little(b, u, 4);
}

void avro_put_double(sbuf *b, double v)
{
    uint64_t u;
    memcpy(&u, &v, 8);
    put_little(b, u, 8);
}

static void put_meta(sbuf *b, str key, str value)
{
    avro_put_bytes(b, key);
    avro_put_bytes(b, value);
}

fz_status avro_writer_open(avro_writer *w, str schema, uint32_t n_meta, const avro_kv *meta, codec_id codec, mem *m,
                           fz_error *err)
{
    *w = (avro_writer){.codec = codec, .m = m};
    sbuf_init(&w->out, m);
    sbuf_init(&w->body, m);
    if (codec != CODEC_NONE && codec != CODEC_DEFLATE)
        return error_set(err, FZ_UNSUPPORTED, "writing Avro files with codec %s is not supported", codec_name(codec));
    for (size_t got = 0; got < sizeof w->sync;) {
        ssize_t k = getrandom(w->sync + got, sizeof w->sync - got, 0);
        if (k < 0 && errno != EINTR)
            return error_errno(err, errno, NULL, "can't get random bytes");
        got += k > 0 ? (size_t)k : 0;
    }
    if (codec != CODEC_NONE && !(w->ctx = codec_ctx_new(m)))
        return error_nomem(err);
    sbuf_add(&w->out, "Obj\1", 4);
    avro_put_long(&w->out, (int64_t)n_meta + 2);
    put_meta(&w->out, STR("avro.schema"), schema);
    put_meta(&w->out, STR("avro.codec"), codec == CODEC_NONE ? STR("null") : STR("deflate"));
    for (uint32_t i = 0; i < n_meta; i++)
        put_meta(&w->out, meta[i].key, meta[i].value);
    avro_put_long(&w->out, 0);
    sbuf_add(&w->out, w->sync, 16);
    if (w->out.failed) {
        avro_writer_free(w);
        return error_nomem(err);
    }
    return FZ_OK;
}

static fz_status close_block(avro_writer *w, fz_error *err)
{
    if (w->body.failed || w->out.failed)
        return error_nomem(err);
    if (w->records == 0)
        return FZ_OK;
    avro_put_long(&w->out, (int64_t)w->records);
    if (w->codec == CODEC_NONE) {
        avro_put_bytes(&w->out, (str){w->body.p, w->body.n});
    } else {
        size_t cap = codec_bound(w->codec, w->body.n), n = 0;
        buf *packed = buf_new(w->m, cap);
        if (!packed)
            return error_nomem(err);
        fz_status st = codec_compress(w->ctx, w->codec, 0, w->body.p, w->body.n, packed->data, cap, &n, err);
        if (st == FZ_OK)
            avro_put_bytes(&w->out, (str){(char *)packed->data, n});
        buf_unref(packed);
        TRY(st);
    }
    sbuf_add(&w->out, w->sync, 16);
    sbuf_clear(&w->body);
    w->records = 0;
    return w->out.failed ? error_nomem(err) : FZ_OK;
}

fz_status avro_writer_record(avro_writer *w, fz_error *err)
{
    w->records++;
    return w->body.n >= BLOCK_BYTES || w->body.failed ? close_block(w, err) : FZ_OK;
}

size_t avro_writer_size(const avro_writer *w)
{
    return w->out.n + (w->codec == CODEC_NONE ? w->body.n : w->body.n / 3);
}

fz_status avro_writer_finish(avro_writer *w, fz_error *err)
{
    return close_block(w, err);
}

void avro_writer_free(avro_writer *w)
{
    sbuf_free(&w->out);
    sbuf_free(&w->body);
    codec_ctx_free(w->ctx);
    w->ctx = NULL;
}
