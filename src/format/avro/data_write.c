/*
 * data_write.c: see avro_write.h. Rows are encoded one after the other into the open block; a full block is compressed and written at
 * once, so one block is in memory. The header waits for the first block, whose hash is in the sync marker.
 */
#include "format/avro/avro_file_int.h"
#include "format/avro/avro_write.h"

#include <libdeflate.h>
#include <xxhash.h>

#define BLOCK_BYTES (256u << 10)

struct avro_data {
    mem *m;
    arena a;               /* header */
    arena scratch;         /* of one batch */
    io_writer *w;
    const row_schema *schema;
    avro_data_options o;
    uint32_t n_meta;
    avro_kv *meta;
    sbuf json, body;
    codec_ctx *ctx;
    uint8_t sync[16];
    bool begun;            /* the header is written */
    uint64_t records;      /* in the open block */
    int64_t rows;
};

static const char *codec_text(codec_id c)
{
    return c == CODEC_NONE ? "null" : c == CODEC_DEFLATE ? "deflate" : c == CODEC_SNAPPY ? "snappy" : c == CODEC_ZSTD ? "zstandard" : NULL;
}

static void data_free(avro_data *d)
{
    sbuf_free(&d->json);
    sbuf_free(&d->body);
    codec_ctx_free(d->ctx);
    arena_free(&d->scratch);
    arena_free(&d->a);
    mem_free(d->m, d, sizeof *d);
}

fz_status avro_data_open(io_writer *w, const row_schema *schema, const avro_data_options *o, uint32_t n_meta, const avro_kv *meta, mem *m,
                         avro_data **out, fz_error *err)
{
    avro_data *d = mem_zalloc(m, sizeof *d);
    if (!d) {
        io_writer_abort(w);
        return error_nomem(err);
    }
    *d = (avro_data){.m = m, .w = w, .schema = schema, .o = *o, .n_meta = n_meta};
    if (!d->o.block_bytes)
        d->o.block_bytes = BLOCK_BYTES;
    arena_init(&d->a, m);
    arena_init(&d->scratch, m);
    sbuf_init(&d->json, m);
    sbuf_init(&d->body, m);
    fz_status st = FZ_OK;
    if (!codec_text(o->codec)) {
        st = error_set(err, FZ_UNSUPPORTED, "Avro files with codec %s aren't supported", codec_name(o->codec));
        goto out;
    }
    avro_schema_write(schema, &d->json);
    d->meta = ARENA_ARRAY(&d->a, avro_kv, n_meta);
    if (d->json.failed || !d->meta || (o->codec != CODEC_NONE && !(d->ctx = codec_ctx_new(m)))) {
        st = error_nomem(err);
        goto out;
    }
    for (uint32_t i = 0; i < n_meta; i++) {
        d->meta[i].key = (str){arena_strndup(&d->a, meta[i].key.p, meta[i].key.n), meta[i].key.n};
        d->meta[i].value = (str){arena_strndup(&d->a, meta[i].value.p, meta[i].value.n), meta[i].value.n};
        if (!d->meta[i].key.p || !d->meta[i].value.p) {
            st = error_nomem(err);
            goto out;
        }
    }
    *out = d;
out:
    if (st)
        avro_data_abort(d);
    return st;
}

/* ---- blocks ---- */

static void put_entry(sbuf *b, str key, str value)
{
    avro_put_bytes(b, key);
    avro_put_bytes(b, value);
}

static fz_status put_header(avro_data *d, fz_error *err)
{
    sbuf b;
    sbuf_init(&b, d->m);
    XXH128_hash_t h = XXH3_128bits_withSeed(d->body.p ? d->body.p : "", d->body.n, XXH3_64bits(d->json.p, d->json.n));
    XXH128_canonical_t canon;
    XXH128_canonicalFromHash(&canon, h);
    memcpy(d->sync, canon.digest, sizeof d->sync);
    sbuf_add(&b, "Obj\1", 4);
    avro_put_long(&b, (int64_t)d->n_meta + 2);
    put_entry(&b, STR("avro.schema"), (str){d->json.p, d->json.n});
    put_entry(&b, STR("avro.codec"), str_of(codec_text(d->o.codec)));
    for (uint32_t i = 0; i < d->n_meta; i++)
        put_entry(&b, d->meta[i].key, d->meta[i].value);
    avro_put_long(&b, 0);
    sbuf_add(&b, d->sync, sizeof d->sync);
    fz_status st = b.failed ? error_nomem(err) : io_write(d->w, b.p, b.n, err);
    sbuf_free(&b);
    d->begun = true;
    return st;
}

/* The block's bytes as they go into the file. */
static fz_status pack(avro_data *d, const void **p, size_t *n, fz_error *err)
{
    *p = d->body.p;
    *n = d->body.n;
    if (d->o.codec == CODEC_NONE)
        return FZ_OK;
    size_t cap = codec_bound(d->o.codec, d->body.n) + 4;
    uint8_t *to = arena_alloc(&d->scratch, cap);
    if (!to)
        return error_nomem(err);
    TRY(codec_compress(d->ctx, d->o.codec, d->o.level, d->body.p, d->body.n, to, cap - 4, n, err));
    *p = to;
    if (d->o.codec == CODEC_SNAPPY) {
        uint32_t crc = libdeflate_crc32(0, d->body.p, d->body.n);
        for (int i = 0; i < 4; i++)
            to[(*n)++] = (uint8_t)(crc >> (24 - 8 * i));
    }
    return FZ_OK;
}

static fz_status put_block(avro_data *d, fz_error *err)
{
    if (d->body.failed)
        return error_nomem(err);
    if (!d->begun)
        TRY(put_header(d, err));
    if (d->records == 0)
        return FZ_OK;
    const void *p;
    size_t n;
    TRY(pack(d, &p, &n, err));
    sbuf head;
    sbuf_init(&head, d->m);
    avro_put_long(&head, (int64_t)d->records);
    avro_put_long(&head, (int64_t)n);
    fz_status st = head.failed ? error_nomem(err) : io_write(d->w, head.p, head.n, err);
    sbuf_free(&head);
    TRY(st);
    TRY(io_write(d->w, p, n, err));
    TRY(io_write(d->w, d->sync, sizeof d->sync, err));
    sbuf_clear(&d->body);
    d->records = 0;
    return FZ_OK;
}

/* ---- rows ---- */

/* A vector all of whose members are FLAT. */
static fz_status flatten(vec *dst, const vec *src, arena *a, fz_error *err)
{
    TRY(vec_flatten(dst, src, a, err));
    if (!dst->kids || !type_is_nested(dst->t))
        return FZ_OK;
    uint32_t n = dst->t.children->n;
    vec *kids = ARENA_ARRAY(a, vec, n);
    if (!kids)
        return error_nomem(err);
    for (uint32_t i = 0; i < n; i++)
        TRY(flatten(&kids[i], &dst->kids[i], a, err));
    dst->kids = kids;
    return FZ_OK;
}

static void put_decimal(sbuf *b, const vec *v, uint32_t row)
{
    i128 x = type_phys(v->t) == PHYS_I64 ? ((const int64_t *)v->data)[row] : ((const i128 *)v->data)[row];
    char bytes[16];
    uint32_t n = avro_decimal_bytes(v->t.precision);
    for (uint32_t i = 0; i < n; i++)
        bytes[n - 1 - i] = (char)(x >> 8 * i);
    sbuf_add(b, bytes, n);
}

static fz_status put_value(avro_data *d, const vec *v, uint32_t row, bool required, str name, fz_error *err);

static fz_status put_items(avro_data *d, const vec *v, uint32_t row, str name, fz_error *err)
{
    const uint32_t *offsets = v->data;
    uint32_t from = offsets[row], to = offsets[row + 1];
    const type_field *f = v->t.children->f;
    if (to > from)
        avro_put_long(&d->body, to - from);
    for (uint32_t i = from; i < to; i++) {
        if (v->t.id == T_MAP)
            TRY(put_value(d, &v->kids[0], i, true, name, err));
        const type_field *item = v->t.id == T_MAP ? &f[1] : &f[0];
        TRY(put_value(d, &v->kids[v->t.id == T_MAP], i, item->required, name, err));
    }
    avro_put_long(&d->body, 0);
    return FZ_OK;
}

static fz_status put_value(avro_data *d, const vec *v, uint32_t row, bool required, str name, fz_error *err)
{
    sbuf *b = &d->body;
    bool null = v->valid && !bit_get(v->valid, row);
    if (null && required)
        return error_sql(err, FZ_VALUE, "23502", "a required member of column \"" STR_FMT "\" is NULL", STR_ARG(name));
    if (!required)
        sbuf_addc(b, null ? 0 : 2); /* the branch, as a zig-zag number */
    if (null)
        return FZ_OK;
    switch (v->t.id) {
    case T_BOOL:
        sbuf_addc(b, (char)((const uint8_t *)v->data)[row]);
        break;
    case T_INT32:
    case T_DATE:
        avro_put_long(b, ((const int32_t *)v->data)[row]);
        break;
    case T_INT64:
    case T_TIME:
    case T_TIMESTAMP:
    case T_TIMESTAMPTZ:
        avro_put_long(b, ((const int64_t *)v->data)[row]);
        break;
    case T_FLOAT32:
        avro_put_float(b, ((const float *)v->data)[row]);
        break;
    case T_FLOAT64:
        avro_put_double(b, ((const double *)v->data)[row]);
        break;
    case T_DECIMAL:
        put_decimal(b, v, row);
        break;
    case T_STRING:
    case T_BINARY:
        avro_put_bytes(b, strview_str((const strview *)v->data + row));
        break;
    case T_UUID:
    case T_FIXED: {
        str s = strview_str((const strview *)v->data + row);
        uint32_t width = v->t.id == T_UUID ? 16 : v->t.width;
        if (s.n != width)
            return error_set(err, FZ_INTERNAL, "a value of fixed(%u) has %zu bytes", width, s.n);
        sbuf_str(b, s);
        break;
    }
    case T_STRUCT:
        for (uint32_t i = 0; i < v->t.children->n; i++)
            TRY(put_value(d, &v->kids[i], row, v->t.children->f[i].required, name, err));
        break;
    case T_LIST:
    case T_MAP:
        return put_items(d, v, row, name, err);
    default:
        return error_set(err, FZ_UNSUPPORTED, "column \"" STR_FMT "\" has a type that Avro files can't have here", STR_ARG(name));
    }
    return FZ_OK;
}

fz_status avro_data_append(avro_data *d, const batch *b, fz_error *err)
{
    arena_reset(&d->scratch);
    vec *cols = ARENA_ARRAY(&d->scratch, vec, b->ncols);
    if (!cols)
        return error_nomem(err);
    for (uint32_t c = 0; c < b->ncols; c++)
        TRY(flatten(&cols[c], &b->cols[c], &d->scratch, err));
    for (uint32_t i = 0; i < b->nsel; i++) {
        uint32_t row = b->sel ? b->sel[i] : i;
        for (uint32_t c = 0; c < b->ncols; c++)
            TRY(put_value(d, &cols[c], row, d->schema->cols[c].not_null, d->schema->cols[c].name, err));
        d->records++;
        d->rows++;
        if (d->body.n >= d->o.block_bytes || d->body.failed)
            TRY(put_block(d, err));
    }
    return FZ_OK;
}

uint64_t avro_data_size(const avro_data *d)
{
    return d->w->pos + (d->o.codec == CODEC_NONE ? d->body.n : d->body.n / 3);
}

fz_status avro_data_finish(avro_data *d, uint64_t *file_size, int64_t *rows, fz_error *err)
{
    arena_reset(&d->scratch);
    fz_status st = put_block(d, err);
    if (st) {
        avro_data_abort(d);
        return st;
    }
    *file_size = d->w->pos;
    *rows = d->rows;
    st = io_writer_finish(d->w, err);
    data_free(d);
    return st;
}

void avro_data_abort(avro_data *d)
{
    if (!d)
        return;
    io_writer_abort(d->w);
    data_free(d);
}
