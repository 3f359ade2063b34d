/*
 * reader.c: object container files.
 *
 *   header   "Obj" 1 | metadata: a map of string to bytes | sync marker, 16 bytes
 *   block    long count of records | long size in bytes | size bytes, compressed | sync marker
 *   codecs   null; deflate (raw); snappy (then CRC-32 of the plain bytes, big-endian); zstandard
 *
 * The file lies in memory whole. A block that is compressed is unpacked into a buffer of its own, at
 * most MAX_BLOCK bytes. The format has no end marker: a file that was cut between two blocks can
 * only be told by its length, which the manifest list knows.
 */
#include "format/avro/avro.h"

#include <libdeflate.h>

#define MAX_BLOCK (256u << 20)
#define MAX_META 4096

static fz_status damaged(const avro_reader *r, size_t at, const char *what, fz_error *err)
{
    error_set(err, FZ_DATA, "Avro file: %s", what);
    error_where(err, r->where);
    error_offset(err, (int64_t)at);
    return FZ_DATA;
}

static const avro_type STRING_T = {.kind = AVRO_STRING, .n = 0, .min_size = 1, .nodes = 1};
static const avro_type BYTES_T = {.kind = AVRO_BYTES, .n = 0, .min_size = 1, .nodes = 1};

static fz_status read_meta(avro_reader *r, avro_cursor *c, fz_error *err)
{
    static const avro_field bytes_item = {.field_id = -1, .type = &BYTES_T};
    avro_type map = {.kind = AVRO_MAP, .n = 1, .fields = (avro_field *)&bytes_item, .min_size = 1};
    uint32_t cap = 16;
    r->meta = ARENA_ARRAY(&r->schema_mem, avro_kv, cap);
    if (!r->meta)
        return error_nomem(err);
    for (uint64_t n; (n = avro_items(c, &map)) > 0;)
        for (; n > 0 && !c->bad; n--) {
            if (r->n_meta == cap) {
                if (cap >= MAX_META)
                    return damaged(r, 4, "too many metadata entries", err);
                avro_kv *more = ARENA_ARRAY(&r->schema_mem, avro_kv, cap * 2);
                if (!more)
                    return error_nomem(err);
                memcpy(more, r->meta, cap * sizeof *more);
                r->meta = more;
                cap *= 2;
            }
            r->meta[r->n_meta].key = avro_get_bytes(c, &STRING_T);
            r->meta[r->n_meta++].value = avro_get_bytes(c, &BYTES_T);
        }
    return c->bad ? damaged(r, 4, c->bad, err) : FZ_OK;
}

str avro_reader_meta(const avro_reader *r, const char *key)
{
    for (uint32_t i = 0; i < r->n_meta; i++)
        if (str_eqz(r->meta[i].key, key))
            return r->meta[i].value;
    return (str){0};
}

static fz_status open_codec(avro_reader *r, fz_error *err)
{
    str name = avro_reader_meta(r, "avro.codec");
    if (name.n == 0 || str_eqz(name, "null"))
        r->codec = CODEC_NONE;
    else if (str_eqz(name, "deflate"))
        r->codec = CODEC_DEFLATE;
    else if (str_eqz(name, "snappy"))
        r->codec = CODEC_SNAPPY;
    else if (str_eqz(name, "zstandard"))
        r->codec = CODEC_ZSTD;
    else {
        error_set(err, FZ_UNSUPPORTED, "Avro codec \"" STR_FMT "\" is not supported", STR_ARG(name));
        error_where(err, r->where);
        return FZ_UNSUPPORTED;
    }
    if (r->codec != CODEC_NONE && !(r->ctx = codec_ctx_new(r->m)))
        return error_nomem(err);
    return FZ_OK;
}

static fz_status open_header(avro_reader *r, fz_error *err)
{
    if (r->size < 4 || memcmp(r->data, "Obj\1", 4) != 0)
        return damaged(r, 0, "it doesn't begin as one does (\"Obj\", 1)", err);
    avro_cursor c = {.p = r->data + 4, .end = r->data + r->size};
    TRY(read_meta(r, &c, err));
    if (c.end - c.p < 16)
        return damaged(r, r->size, "it ends within its header", err);
    memcpy(r->sync, c.p, 16);
    r->at = (size_t)(c.p + 16 - r->data);
    str schema = avro_reader_meta(r, "avro.schema");
    if (schema.n == 0)
        return damaged(r, 4, "its header has no avro.schema", err);
    fz_status st = avro_schema_parse(schema, &r->schema_mem, &r->schema, err);
    if (st != FZ_OK) {
        if (err) { /* the place is one in the schema's text: name the file that it is part of */
            err->where[0] = 0;
            error_where(err, r->where);
        }
        return st;
    }
    return open_codec(r, err);
}

fz_status avro_reader_open(avro_reader *r, const void *data, size_t n, const char *where, mem *m, fz_error *err)
{
    *r = (avro_reader){.where = where, .data = data, .size = n, .m = m};
    arena_init(&r->schema_mem, m);
    fz_status st = open_header(r, err);
    if (st != FZ_OK)
        avro_reader_close(r);
    return st;
}

void avro_reader_close(avro_reader *r)
{
    codec_ctx_free(r->ctx);
    buf_unref(r->block);
    arena_free(&r->schema_mem);
    r->ctx = NULL;
    r->block = NULL;
}

static fz_status unpack(avro_reader *r, const uint8_t *p, size_t n, fz_error *err)
{
    uint32_t crc = 0;
    if (r->codec == CODEC_SNAPPY) {
        if (n < 4)
            return damaged(r, r->block_at, "a snappy block without its checksum", err);
        n -= 4;
        crc = (uint32_t)p[n] << 24 | (uint32_t)p[n + 1] << 16 | (uint32_t)p[n + 2] << 8 | p[n + 3];
    }
    fz_status st = codec_decompress_unknown(r->ctx, r->codec, p, n, r->m, MAX_BLOCK, &r->block, err);
    if (st != FZ_OK) {
        error_where(err, r->where);
        error_offset(err, (int64_t)r->block_at);
        return st;
    }
    if (r->codec == CODEC_SNAPPY && libdeflate_crc32(0, r->block->data, r->block->size) != crc)
        return damaged(r, r->block_at, "a block's checksum doesn't fit its bytes", err);
    r->cur = (avro_cursor){.p = r->block->data, .end = r->block->data + r->block->size};
    return FZ_OK;
}

static fz_status next_block(avro_reader *r, fz_error *err)
{
    avro_cursor c = {.p = r->data + r->at, .end = r->data + r->size};
    r->block_at = r->at;
    int64_t count = avro_varint(&c), size = avro_varint(&c);
    if (c.bad)
        return damaged(r, r->block_at, c.bad, err);
    if (count < 0 || size < 0 || c.end - c.p < 16 || size > c.end - c.p - 16)
        return damaged(r, r->block_at, "a block passes the end of the file", err);
    if (memcmp(c.p + size, r->sync, 16) != 0)
        return damaged(r, r->block_at, "a block doesn't end in the file's sync marker", err);
    buf_unref(r->block);
    r->block = NULL;
    if (r->codec == CODEC_NONE)
        r->cur = (avro_cursor){.p = c.p, .end = c.p + size};
    else
        TRY(unpack(r, c.p, (size_t)size, err));
    r->at = (size_t)(c.p + size + 16 - r->data);
    r->left = (uint64_t)count;
    uint64_t min = r->schema->min_size;
    if (count && (min == 0 || (uint64_t)count > (uint64_t)(r->cur.end - r->cur.p) / min))
        return damaged(r, r->block_at, "a block of more records than it has bytes for", err);
    return FZ_OK;
}

fz_status avro_next(avro_reader *r, bool *more, fz_error *err)
{
    if (r->cur.bad)
        return damaged(r, r->block_at, r->cur.bad, err);
    while (r->left == 0) {
        if (r->cur.p != r->cur.end)
            return damaged(r, r->block_at, "a block has bytes left after its last record", err);
        if (r->at == r->size) {
            *more = false;
            return FZ_OK;
        }
        TRY(next_block(r, err));
    }
    r->left--;
    *more = true;
    return FZ_OK;
}
