/*
 * rows.c: runs of blocks into batches: the loop that carries out a plan's program.
 *
 * A block's bytes have at least BUF_PAD readable bytes behind them, so a varint is read without looking where the block ends; every
 * operation looks afterwards, before what it read counts. Lists are loops: a stack of as many frames as lists can be nested.
 * A batch takes rows of as many blocks as fit; texts point into the blocks, which it keeps.
 */
#include "format/avro/avro_file_int.h"

#include "arrow/convert.h"

#include <libdeflate.h>

#define BATCH_BYTES (16u << 20) /* of unpacked text: a batch ends behind the row that passes it */
#define DAY_MICROS INT64_C(86400000000)

typedef struct frame {
    uint64_t left;     /* items of the block of items, this one included */
} frame;

struct avro_rows {
    avro_file *p;
    io_file *f;
    const avro_plan *plan;
    mem *m;
    blockpool *pool;
    codec_ctx *ctx;
    grow g;
    avro_run run;
    buf *packed;           /* the run's bytes */
    size_t at;             /* of the next block in them */
    int64_t row;           /* in the file, of the next record */
    int64_t run_left;      /* records of the run that no block has had yet */
    /* the block */
    buf *block;            /* that its bytes lie in */
    size_t block_at;       /* in packed */
    const uint8_t *cur, *end;
    uint64_t left;
    const char *bad;
    frame stack[TYPE_DEPTH_MAX + 1];
};

fz_status avro_rows_open(avro_file *p, io_file *f, const avro_plan *plan, mem *m, avro_rows **out, fz_error *err)
{
    avro_rows *r = mem_zalloc(m, sizeof *r);
    if (!r)
        return error_nomem(err);
    r->p = avro_file_ref(p);
    r->f = f;
    r->plan = plan;
    r->m = m;
    fz_status st = FZ_OK;
    r->pool = blockpool_new(m);
    if (!r->pool || (p->codec != CODEC_NONE && !(r->ctx = codec_ctx_new(m)))) {
        st = error_nomem(err);
        goto out;
    }
    TRY_GOTO(grow_init(&r->g, plan->n, plan->types, r->pool, m, err));
    for (uint32_t i = 0; i < r->g.n; i++)
        r->g.cols[i].absent = plan->absent[i];
    *out = r;
out:
    if (st)
        avro_rows_close(r);
    return st;
}

void avro_rows_close(avro_rows *r)
{
    if (!r)
        return;
    if (r->g.cols)
        grow_free(&r->g);
    buf_unref(r->packed);
    buf_unref(r->block);
    codec_ctx_free(r->ctx);
    blockpool_unref(r->pool);
    avro_file_close(r->p);
    mem_free(r->m, r, sizeof *r);
}

fz_status avro_rows_start(avro_rows *r, const avro_run *run, fz_error *err)
{
    buf_unref(r->packed);
    buf_unref(r->block);
    r->packed = r->block = NULL;
    r->left = 0;
    r->at = 0;
    r->row = run->row;
    r->run = *run;
    r->run_left = run->rows;
    if (run->bytes > SIZE_MAX / 2)
        return avro_damaged(r->p, run->offset, "a block passes the end of the file", err);
    r->packed = blockpool_get(r->pool, (size_t)run->bytes + BUF_PAD);
    if (!r->packed)
        return error_nomem(err);
    TRY(io_read(r->f, run->offset, r->packed->data, (size_t)run->bytes, err));
    memset(r->packed->data + run->bytes, 0, BUF_PAD);
    return FZ_OK;
}

/* ---- blocks ---- */

static fz_status damaged(avro_rows *r, const char *what, fz_error *err)
{
    return avro_damaged(r->p, r->run.offset + r->block_at, what, err);
}

static fz_status unpack(avro_rows *r, const uint8_t *p, size_t n, fz_error *err)
{
    uint32_t crc = 0;
    if (r->p->codec == CODEC_SNAPPY) {
        if (n < 4)
            return damaged(r, "a snappy block without its checksum", err);
        n -= 4;
        crc = (uint32_t)p[n] << 24 | (uint32_t)p[n + 1] << 16 | (uint32_t)p[n + 2] << 8 | p[n + 3];
    }
    fz_status st = codec_decompress_unknown(r->ctx, r->p->codec, p, n, r->m, AVRO_BLOCK_MAX, &r->block, err);
    if (st) {
        error_where(err, r->p->path);
        error_offset(err, (int64_t)(r->run.offset + r->block_at));
        return st;
    }
    if (r->p->codec == CODEC_SNAPPY && libdeflate_crc32(0, r->block->data, r->block->size) != crc)
        return damaged(r, "a block's checksum doesn't fit its bytes", err);
    r->cur = r->block->data;
    r->end = r->cur + r->block->size;
    return FZ_OK;
}

/* The next block; its buffer joins the batch where there is one. */
static fz_status next_block(avro_rows *r, fz_error *err)
{
    const uint8_t *data = r->packed->data;
    avro_cursor c = {.p = data + r->at, .end = data + r->run.bytes};
    r->block_at = r->at;
    int64_t rows = avro_varint(&c), size = avro_varint(&c);
    if (c.bad || rows < 0 || size < 0 || c.end - c.p < 16 || size > c.end - c.p - 16)
        return damaged(r, "a block isn't what it was when the file was opened", err);
    if (memcmp(c.p + size, r->p->sync, 16) != 0)
        return damaged(r, "a block doesn't end in the file's sync marker", err);
    r->at = (size_t)(c.p + size + 16 - data);
    buf_unref(r->block);
    r->block = NULL;
    if (rows > r->run_left)
        return damaged(r, "a block isn't what it was when the file was opened", err);
    r->run_left -= rows;
    r->left = (uint64_t)rows;
    if (r->p->codec == CODEC_NONE) {
        r->block = buf_ref(r->packed);
        r->cur = c.p;
        r->end = c.p + size;
    } else {
        TRY(unpack(r, c.p, (size_t)size, err));
    }
    uint64_t min = r->p->root->min_size;
    if (rows && (min == 0 || (uint64_t)rows > (uint64_t)(r->end - r->cur) / min))
        return damaged(r, "a block of more records than it has bytes for", err);
    return FZ_OK;
}

/* ---- values ---- */

/* May read up to ten bytes past the end, which is for the caller to notice. */
static inline int64_t varint(const uint8_t **pp, const char **bad)
{
    const uint8_t *p = *pp;
    uint64_t v = *p & 0x7f;
    if (__builtin_expect(*p < 0x80, 1)) {
        *pp = p + 1;
        return (int64_t)(v >> 1) ^ -(int64_t)(v & 1);
    }
    unsigned shift = 7;
    do {
        p++;
        if (shift == 63 && *p > 1) {
            *bad = "a number of more than 64 bits";
            break;
        }
        v |= (uint64_t)(*p & 0x7f) << shift;
        shift += 7;
    } while (*p & 0x80);
    *pp = p + 1;
    return (int64_t)(v >> 1) ^ -(int64_t)(v & 1);
}

static inline uint32_t load32(const uint8_t *p)
{
    uint32_t v;
    memcpy(&v, p, 4);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    v = __builtin_bswap32(v);
#endif
    return v;
}

static inline uint64_t load64(const uint8_t *p)
{
    uint64_t v;
    memcpy(&v, p, 8);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    v = __builtin_bswap64(v);
#endif
    return v;
}

static inline bool valid_text(const uint8_t *p, size_t n)
{
    size_t i = 0;
    uint64_t high = 0;
    for (; i + 8 <= n; i += 8) {
        uint64_t v;
        memcpy(&v, p + i, 8);
        high |= v;
    }
    high &= UINT64_C(0x8080808080808080);
    for (; i < n; i++)
        high |= p[i] & 0x80;
    return high == 0 || utf8_valid_prefix((str){(const char *)p, n}) == n;
}

/* Big-endian two's complement; false: more than 128 bits. */
static bool big_endian(const uint8_t *p, size_t n, i128 *out)
{
    uint8_t fill = n && p[0] & 0x80 ? 0xff : 0;
    u128 v = fill ? ~(u128)0 : 0;
    for (; n > 16; n--, p++)
        if (*p != fill)
            return false;
    if (n == 16 && (p[0] & 0x80) != (fill & 0x80))
        return false;
    for (size_t i = 0; i < n; i++)
        v = v << 8 | p[i];
    *out = (i128)v;
    return true;
}

static const char *put_decimal(grow_col *c, const uint8_t *p, size_t n)
{
    static const uint64_t E18 = 1000000000000000000u;
    i128 v, limit = 1;
    if (!big_endian(p, n, &v))
        return "a decimal of more than 128 bits";
    unsigned digits = c->t.precision;
    for (; digits > 18; digits -= 18)
        limit *= E18;
    for (; digits; digits--)
        limit *= 10;
    if (v >= limit || v <= -limit)
        return "a decimal of more digits than its type has";
    if (c->phys == PHYS_I64)
        ((int64_t *)c->data)[c->n++] = (int64_t)v;
    else
        ((i128 *)c->data)[c->n++] = v;
    return NULL;
}

static const char *put_uuid(avro_rows *r, grow_col *c, const uint8_t *p, size_t n)
{
    char *bytes = grow_bytes(&r->g, 16);
    if (!bytes)
        return "there is no memory for it";
    if (text_to_uuid((const char *)p, n, (uint8_t *)bytes) != CONV_OK)
        return "a text that isn't a uuid";
    ((strview *)c->data)[c->n++] = strview_make(bytes, 16);
    return NULL;
}

/* ---- records ---- */

#define FAIL(what)          \
    do {                    \
        r->bad = (what);    \
        goto bad;           \
    } while (0)
/* What was read lies within the block. */
#define CHECK()                                                    \
    do {                                                           \
        if (__builtin_expect(p > end || r->bad, 0)) {              \
            if (!r->bad)                                           \
                r->bad = "a value passes the end of its block";    \
            goto bad;                                              \
        }                                                          \
    } while (0)
#define NEED(n)                                                    \
    do {                                                           \
        if (__builtin_expect((uint64_t)(end - p) < (uint64_t)(n), 0)) \
            FAIL("a value passes the end of its block");           \
    } while (0)
#define PUT(T, v) (((T *)c->data)[c->n++] = (v))

/* A block of items: their number, 0 at the list's end; negative ones say how many bytes follow. */
static uint64_t items(avro_rows *r, const uint8_t **pp, const uint8_t *end, uint64_t min)
{
    int64_t n = varint(pp, &r->bad);
    if (n < 0) {
        int64_t bytes = varint(pp, &r->bad);
        if (!r->bad && (*pp > end || bytes < 0 || bytes > end - *pp))
            r->bad = "an array's block passes the end of its block";
        n = n == INT64_MIN ? INT64_MAX : -n;
    }
    if (!r->bad && *pp > end)
        r->bad = "a number passes the end of its block";
    if (!r->bad && n && min == 0)
        r->bad = "an array of items that take no bytes";
    if (!r->bad && n && (uint64_t)n > (uint64_t)(end - *pp) / min)
        r->bad = "an array of more items than its block has bytes for";
    return r->bad ? 0 : (uint64_t)n;
}

/* Room for n more values of a list's or map's members. */
static fz_status list_room(grow *g, uint32_t col, uint64_t n, fz_error *err)
{
    if (n > UINT32_MAX)
        return error_set(err, FZ_LIMIT, "a list of %llu values", (unsigned long long)n);
    for (uint32_t i = col + 1; i < g->cols[col].end; i = g->cols[i].end)
        if (!g->cols[i].absent)
            TRY(grow_room(g, i, (uint32_t)n, err));
    return FZ_OK;
}

/* One record. FZ_OK with r->bad set: what is wrong with it. */
static fz_status record(avro_rows *r, fz_error *err)
{
    const avro_op *ops = r->plan->ops, *op = ops;
    grow *g = &r->g;
    frame *top = r->stack;
    const uint8_t *p = r->cur, *end = r->end;
    for (;; op++) {
        if (op->opt) {
            int64_t branch = varint(&p, &r->bad);
            CHECK();
            if ((uint64_t)branch > 1)
                FAIL("a union branch that the schema doesn't have");
            if (branch == op->opt - 1) {
                if (op->code >= AV_BOOL)
                    grow_null(g, op->col);
                if (op->code == AV_STRUCT || op->code == AV_LIST)
                    op = ops + op->a - 1;
                continue;
            }
        }
        grow_col *c = &g->cols[op->col];
        int64_t v;
        switch ((avro_code)op->code) {
        case AV_END:
            r->cur = p;
            return FZ_OK;
        case AV_SKIP_FIXED:
            NEED(op->a);
            p += op->a;
            break;
        case AV_SKIP_VARINT:
            varint(&p, &r->bad);
            CHECK();
            break;
        case AV_SKIP: {
            avro_cursor cur = {.p = p, .end = end};
            avro_skip(&cur, op->type);
            r->bad = cur.bad;
            p = cur.p;
            CHECK();
            break;
        }
        case AV_BOOL:
            NEED(1);
            if (*p > 1)
                FAIL("a boolean that is neither 0 nor 1");
            PUT(uint8_t, *p++);
            break;
        case AV_I32:
        case AV_I32_I64:
            v = varint(&p, &r->bad);
            CHECK();
            if (v != (int32_t)v)
                FAIL("an int of more than 32 bits");
            if (op->code == AV_I32)
                PUT(int32_t, (int32_t)v);
            else
                PUT(int64_t, v);
            break;
        case AV_I64:
            v = varint(&p, &r->bad);
            CHECK();
            PUT(int64_t, v);
            break;
        case AV_F32:
        case AV_F32_F64: {
            NEED(4);
            uint32_t u = load32(p);
            float f;
            memcpy(&f, &u, 4);
            p += 4;
            if (op->code == AV_F32)
                PUT(float, f);
            else
                PUT(double, f);
            break;
        }
        case AV_F64: {
            NEED(8);
            uint64_t u = load64(p);
            double d;
            memcpy(&d, &u, 8);
            p += 8;
            PUT(double, d);
            break;
        }
        case AV_TIME_MILLIS:
        case AV_TIME:
            v = varint(&p, &r->bad);
            CHECK();
            if (v < 0 || v >= (op->code == AV_TIME ? DAY_MICROS : DAY_MICROS / 1000))
                FAIL("a time of day outside the day");
            PUT(int64_t, op->code == AV_TIME ? v : v * 1000);
            break;
        case AV_MILLIS:
            v = varint(&p, &r->bad);
            CHECK();
            if (__builtin_mul_overflow(v, (int64_t)1000, &v))
                FAIL("a timestamp outside the range of microseconds");
            PUT(int64_t, v);
            break;
        case AV_SKIP_BYTES:
        case AV_TEXT:
        case AV_BYTES:
        case AV_DECIMAL:
        case AV_UUID_TEXT:
            v = varint(&p, &r->bad);
            CHECK();
            if (v < 0)
                FAIL("a negative length");
            NEED(v);
            if (op->code == AV_TEXT || op->code == AV_BYTES) {
                if (v > UINT32_MAX)
                    FAIL("a value of more than 4 GiB");
                if (op->code == AV_TEXT && !valid_text(p, (size_t)v))
                    FAIL("a text that isn't valid UTF-8");
                PUT(strview, strview_make((const char *)p, (uint32_t)v));
            } else if (op->code == AV_DECIMAL) {
                r->bad = put_decimal(c, p, (size_t)v);
                CHECK();
            } else if (op->code == AV_UUID_TEXT) {
                r->bad = put_uuid(r, c, p, (size_t)v);
                CHECK();
            }
            p += v;
            break;
        case AV_FIXED:
            NEED(op->a);
            PUT(strview, strview_make((const char *)p, op->a));
            p += op->a;
            break;
        case AV_DECIMAL_FIXED:
            NEED(op->a);
            r->bad = put_decimal(c, p, op->a);
            CHECK();
            p += op->a;
            break;
        case AV_ENUM:
            v = varint(&p, &r->bad);
            CHECK();
            if (v < 0 || v >= op->type->size)
                FAIL("an enum's value that it doesn't have");
            PUT(strview, r->plan->views[op->size][v]);
            break;
        case AV_STRUCT:
            break;
        case AV_STRUCT_END:
            grow_struct(g, op->col);
            break;
        case AV_LIST:
        case AV_LIST_END:
            if (op->code == AV_LIST)
                (++top)->left = 0;
            else if (--top->left > 0) {
                op = ops + op->a - 1;
                break;
            }
            top->left = items(r, &p, end, op->size);
            CHECK();
            if (top->left) {
                TRY(list_room(g, op->col, top->left, err));
                if (op->code == AV_LIST_END)
                    op = ops + op->a - 1;
            } else {
                top--;
                grow_list(g, op->col);
                if (op->code == AV_LIST)
                    op = ops + op->a - 1;
            }
            break;
        }
    }
bad:
    return FZ_OK;
}

/* ---- batches ---- */

static fz_status begin(avro_rows *r, batch *out, fz_error *err)
{
    int64_t rows = (int64_t)r->left + r->run_left;
    TRY(grow_begin(&r->g, rows < BATCH_ROWS ? (uint32_t)rows : BATCH_ROWS, out, err));
    if (r->plan->symbols)
        TRY(batch_keep(out, r->plan->symbols, err));
    return batch_keep(out, r->block, err);
}

fz_status avro_rows_next(avro_rows *r, batch *out, int64_t *first, bool *more, fz_error *err)
{
    batch_reset(out);
    *first = r->row;
    uint32_t n = 0;
    size_t bytes = 0;
    while (n < BATCH_ROWS && bytes < BATCH_BYTES) {
        if (r->left == 0) {
            if (r->cur != r->end && r->block)
                return damaged(r, "a block has bytes left after its last record", err);
            if (r->at == r->run.bytes)
                break;
            TRY(next_block(r, err));
            if (n)
                TRY(batch_keep(out, r->block, err));
            continue;
        }
        if (n == 0)
            TRY(begin(r, out, err));
        const uint8_t *from = r->cur;
        while (n < BATCH_ROWS && r->left && bytes + (size_t)(r->cur - from) < BATCH_BYTES) {
            r->bad = NULL;
            TRY(record(r, err));
            if (r->bad) {
                damaged(r, r->bad, err);
                error_hint(err, "row %lld of the file", (long long)(r->row + 1));
                return FZ_DATA;
            }
            r->left--;
            r->row++;
            n++;
        }
        bytes += (size_t)(r->cur - from);
    }
    *more = n > 0;
    return n ? grow_emit(&r->g, n, err) : FZ_OK;
}
