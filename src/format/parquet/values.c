/*
 * values.c: decoders of the values of a page, one per encoding, all streaming: they are asked for
 * so many values and keep their place. Memory doesn't grow with what a page claims to hold.
 *
 * Values come out in source form (read_int.h). Byte arrays are views into the page; only
 * DELTA_BYTE_ARRAY, which shares prefixes, makes bytes of its own, per call.
 * Text is checked: one pass over the page, or over what is read of it where lengths lie between the values, finds out whether
 * all is ASCII, which is the common case; otherwise each value is checked when it is read.
 */
#include "format/parquet/read_int.h"

#include "codec/split.h"

#define LENS 256                 /* lengths that are decoded at a time */
#define MADE_MAX (256u << 20)    /* bytes that shared prefixes may expand to in one read */

static fz_status values_short(fz_error *err)
{
    return error_set(err, FZ_DATA, "Parquet page has fewer values than it says");
}

static bool all_ascii(const uint8_t *p, size_t n)
{
    uint64_t any = 0;
    size_t i = 0;
    for (; i + 32 <= n; i += 32) {
        uint64_t w[4];
        memcpy(w, p + i, 32);
        any |= (w[0] | w[1]) | (w[2] | w[3]);
    }
    for (; i < n; i++)
        any |= (uint64_t)p[i];
    return !(any & 0x8080808080808080u);
}

static uint32_t fixed_width(pq_physical p, uint32_t width)
{
    switch (p) {
    case PQ_INT32:
    case PQ_FLOAT: return 4;
    case PQ_INT64:
    case PQ_DOUBLE: return 8;
    case PQ_INT96: return 12;
    case PQ_FIXED: return width;
    default: return 0;
    }
}

static fz_status encoding_refuse(pq_encoding enc, pq_physical p, fz_error *err)
{
    static const char *const types[] = {"BOOLEAN", "INT32", "INT64", "INT96", "FLOAT", "DOUBLE", "BYTE_ARRAY",
                                        "FIXED_LEN_BYTE_ARRAY"};
    static const char *const encodings[] = {"PLAIN", "encoding 1", "PLAIN_DICTIONARY", "RLE", "BIT_PACKED",
                                            "DELTA_BINARY_PACKED", "DELTA_LENGTH_BYTE_ARRAY",
                                            "DELTA_BYTE_ARRAY", "RLE_DICTIONARY", "BYTE_STREAM_SPLIT"};
    if ((unsigned)enc >= sizeof encodings / sizeof encodings[0])
        return error_set(err, FZ_UNSUPPORTED, "Parquet encoding %d of %s values is not supported", (int)enc, types[p]);
    return error_set(err, FZ_UNSUPPORTED, "Parquet encoding %s of %s values is not supported", encodings[enc], types[p]);
}

static fz_status delta_open(delta_reader *d, const uint8_t **at, const uint8_t *end, bool to_end, fz_error *err)
{
    if (!delta_init(d, *at, (size_t)(end - *at)))
        return error_set(err, FZ_DATA, "Parquet page has a malformed delta header");
    if (to_end && !(*at = delta_end(d)))
        return error_set(err, FZ_DATA, "Parquet page has malformed deltas");
    return FZ_OK;
}

static fz_status rle_bits_open(pq_values *v, const uint8_t *data, size_t n, fz_error *err)
{
    if (n < 4)
        return values_short(err);
    uint32_t len = (uint32_t)data[0] | (uint32_t)data[1] << 8 | (uint32_t)data[2] << 16 | (uint32_t)data[3] << 24;
    if (len > n - 4)
        return values_short(err);
    v->kind = VALUES_RLE_BITS;
    rle_init(&v->rle, data + 4, len, 1);
    return FZ_OK;
}

fz_status values_open(pq_values *v, pq_encoding enc, pq_physical p, uint32_t width, bool utf8,
                      const uint8_t *data, size_t n, mem *m, fz_error *err)
{
    *v = (pq_values){.type = p, .width = fixed_width(p, width), .utf8 = utf8, .at = data, .end = data + n, .m = m};
    bool ints = p == PQ_INT32 || p == PQ_INT64;
    if (enc == PQ_ENC_PLAIN) {
        v->kind = p == PQ_BYTE_ARRAY ? VALUES_BYTES : p == PQ_BOOLEAN ? VALUES_BITS : VALUES_FIXED;
        v->total = n * 8;
    } else if (enc == PQ_ENC_PLAIN_DICTIONARY || enc == PQ_ENC_RLE_DICTIONARY) {
        v->kind = VALUES_DICT;
        if (n && data[0] > 32)
            return error_set(err, FZ_DATA, "Parquet page has dictionary codes of %u bits", data[0]);
        rle_init(&v->rle, data + (n > 0), n - (n > 0), n ? data[0] : 0);
        return FZ_OK;
    } else if (n == 0) { /* a page of nulls */
        v->kind = VALUES_FIXED;
        v->width = v->width ? v->width : 1;
        return FZ_OK;
    } else if (enc == PQ_ENC_RLE && p == PQ_BOOLEAN) {
        return rle_bits_open(v, data, n, err);
    } else if (enc == PQ_ENC_DELTA_BINARY_PACKED && ints) {
        v->kind = VALUES_DELTA;
        return delta_open(&v->ints, &v->at, v->end, false, err);
    } else if (enc == PQ_ENC_DELTA_LENGTH_BYTE_ARRAY && p == PQ_BYTE_ARRAY) {
        v->kind = VALUES_DELTA_LENGTH;
        TRY(delta_open(&v->lens, &v->at, v->end, true, err));
    } else if (enc == PQ_ENC_DELTA_BYTE_ARRAY && (p == PQ_BYTE_ARRAY || p == PQ_FIXED)) {
        v->kind = VALUES_DELTA_BYTES;
        TRY(delta_open(&v->prefixes, &v->at, v->end, true, err));
        TRY(delta_open(&v->lens, &v->at, v->end, true, err));
    } else if (enc == PQ_ENC_BYTE_STREAM_SPLIT && v->width && p != PQ_INT96) {
        v->kind = VALUES_SPLIT;
        v->total = n / v->width;
    } else {
        return encoding_refuse(enc, p, err);
    }
    v->ascii = utf8 && v->kind != VALUES_BYTES && all_ascii(v->at, (size_t)(v->end - v->at));
    return FZ_OK;
}

void values_close(pq_values *v)
{
    buf_unref(v->last);
    buf_unref(v->made);
    v->last = v->made = NULL;
}

static fz_status text_check(const pq_values *v, const strview *s, size_t n, fz_error *err)
{
    if (!v->utf8 || v->ascii)
        return FZ_OK;
    for (size_t i = 0; i < n; i++)
        if (utf8_valid_prefix(strview_str(&s[i])) != s[i].len)
            return error_set(err, FZ_DATA, "Parquet text value is not valid UTF-8");
    return FZ_OK;
}

/* ---- one function per encoding ---- */

static fz_status fixed_read(pq_values *v, void *dst, size_t n, fz_error *err)
{
    if ((size_t)(v->end - v->at) / v->width < n)
        return values_short(err);
    if (v->type == PQ_FIXED || v->type == PQ_INT96) {
        strview *s = dst;
        for (size_t i = 0; i < n; i++)
            s[i] = strview_make((const char *)v->at + i * v->width, v->width);
    } else {
        memcpy(dst, v->at, n * v->width);
    }
    v->at += n * v->width;
    return FZ_OK;
}

static inline uint32_t length_get(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ && UINTPTR_MAX == UINT64_MAX

/* The bytes of a short view that count, by length. */
static const uint64_t view_masks[13][2] = {
    {0, 0}, {0xff, 0}, {0xffff, 0}, {0xffffff, 0}, {0xffffffff, 0}, {0xffffffffff, 0}, {0xffffffffffff, 0},
    {0xffffffffffffff, 0}, {~0ull, 0}, {~0ull, 0xff}, {~0ull, 0xffff}, {~0ull, 0xffffff}, {~0ull, 0xffffffff},
};

/* As strview_make where 16 bytes from p are readable: lengths vary, so nothing branches on a short
 * one; two words are stored, so that nothing waits for a store that another load takes apart. */
static inline void view_put(strview *dst, const uint8_t *p, uint32_t n)
{
    uint64_t lo, hi, w[2];
    memcpy(&lo, p, 8);
    memcpy(&hi, p + 8, 8);
    if (n <= 12) {
        lo &= view_masks[n][0];
        hi &= view_masks[n][1];
        w[0] = lo << 32 | n;
        w[1] = hi << 32 | lo >> 32;
    } else {
        w[0] = lo << 32 | n;
        w[1] = (uint64_t)(uintptr_t)p;
    }
    memcpy(dst, w, sizeof w);
}

#else
static inline void view_put(strview *dst, const uint8_t *p, uint32_t n) { *dst = strview_make((const char *)p, n); }
#endif

static fz_status bytes_read(pq_values *v, strview *dst, size_t n, fz_error *err)
{
    const uint8_t *at = v->at;
    for (size_t i = 0; i < n; i++) {
        if (v->end - at < 4)
            return values_short(err);
        uint32_t len = length_get(at);
        at += 4;
        if (len > (size_t)(v->end - at))
            return error_set(err, FZ_DATA, "Parquet page has a value that passes its end");
        view_put(&dst[i], at, len);
        at += len;
    }
    bool ascii = v->utf8 && all_ascii(v->at, (size_t)(at - v->at)); /* lengths too: those from 128 on aren't */
    v->at = at;
    return ascii ? FZ_OK : text_check(v, dst, n, err);
}

static fz_status bytes_skip(pq_values *v, size_t n, fz_error *err)
{
    for (size_t i = 0; i < n; i++) {
        if (v->end - v->at < 4)
            return values_short(err);
        uint32_t len = length_get(v->at);
        v->at += 4;
        if (len > (size_t)(v->end - v->at))
            return error_set(err, FZ_DATA, "Parquet page has a value that passes its end");
        v->at += len;
    }
    return FZ_OK;
}

static fz_status bits_read(pq_values *v, uint8_t *dst, size_t n, fz_error *err)
{
    if (v->total - v->pos < n)
        return values_short(err);
    for (size_t i = 0; i < n; i++)
        dst[i] = v->at[(v->pos + i) >> 3] >> ((v->pos + i) & 7) & 1;
    v->pos += n;
    return FZ_OK;
}

static fz_status rle_bits_read(pq_values *v, uint8_t *dst, size_t n, fz_error *err)
{
    uint32_t codes[LENS];
    for (size_t done = 0; done < n;) {
        size_t k = n - done < LENS ? n - done : LENS;
        if (rle_read(&v->rle, codes, k) < k)
            return values_short(err);
        for (size_t i = 0; i < k; i++)
            dst[done + i] = (uint8_t)codes[i];
        done += k;
    }
    return FZ_OK;
}

/* The next k ≤ LENS lengths, none negative. */
static fz_status lens_read(delta_reader *d, int32_t *lens, size_t k, fz_error *err)
{
    if (delta_read32(d, lens, k) < k)
        return values_short(err);
    int32_t any = 0;
    for (size_t i = 0; i < k; i++)
        any |= lens[i];
    return any < 0 ? error_set(err, FZ_DATA, "Parquet page has a value of negative length") : FZ_OK;
}

static fz_status delta_length_read(pq_values *v, strview *dst, size_t n, fz_error *err)
{
    int32_t lens[LENS];
    for (size_t done = 0; done < n;) {
        size_t k = n - done < LENS ? n - done : LENS;
        TRY(lens_read(&v->lens, lens, k, err));
        for (size_t i = 0; i < k; i++) {
            uint32_t len = (uint32_t)lens[i];
            if (len > (size_t)(v->end - v->at))
                return error_set(err, FZ_DATA, "Parquet page has a value that passes its end");
            if (dst)
                view_put(&dst[done + i], v->at, len);
            v->at += len;
        }
        done += k;
    }
    return dst ? text_check(v, dst, n, err) : FZ_OK;
}

/* Appends the values that k prefixes and suffixes make; `prev` (of *prev_n bytes) is the value before. */
static fz_status delta_bytes_piece(pq_values *v, const int32_t *pre, const int32_t *suf, size_t k, buf *made,
                                   const uint8_t **prev, uint32_t *prev_n, strview *dst, fz_error *err)
{
    for (size_t i = 0; i < k; i++) {
        uint32_t p = (uint32_t)pre[i], s = (uint32_t)suf[i];
        if (p > *prev_n || s > (size_t)(v->end - v->at))
            return error_set(err, FZ_DATA, "Parquet page has a value that passes its end");
        if (v->type == PQ_FIXED && p + s != v->width)
            return error_set(err, FZ_DATA, "Parquet page has a value of another length than its type");
        uint8_t *to = made->data + made->size;
        if (p)
            memcpy(to, *prev, p);
        memcpy(to + p, v->at, s);
        v->at += s;
        made->size += p + s;
        *prev = to;
        *prev_n = p + s;
        dst[i] = strview_make((const char *)to, p + s);
    }
    return FZ_OK;
}

/* All lengths first: they say how many bytes the values make. */
static fz_status delta_bytes_read(pq_values *v, strview *dst, size_t n, fz_error *err)
{
    fz_status st = FZ_OK;
    buf *lens = buf_new(v->m, (n ? n : 1) * 2 * sizeof(int32_t)), *made = NULL, *last = NULL;
    if (!lens)
        return error_nomem(err);
    int32_t *pre = (int32_t *)lens->data, *suf = pre + n;
    TRY_GOTO(lens_read(&v->prefixes, pre, n, err));
    TRY_GOTO(lens_read(&v->lens, suf, n, err));
    uint64_t bytes = 0;
    for (size_t i = 0; i < n; i++)
        bytes += (uint64_t)pre[i] + (uint64_t)suf[i];
    if (bytes > MADE_MAX) {
        st = error_set(err, FZ_LIMIT, "Parquet page has shared prefixes that expand to %llu bytes in %zu values",
                       (unsigned long long)bytes, n);
        goto out;
    }
    st = FZ_NOMEM;
    made = buf_new(v->m, bytes ? bytes : 1);
    if (!made)
        goto out;
    made->size = 0;
    const uint8_t *prev = v->last ? v->last->data : NULL;
    uint32_t prev_n = v->last ? (uint32_t)v->last->size : 0;
    TRY_GOTO(delta_bytes_piece(v, pre, suf, n, made, &prev, &prev_n, dst, err));
    TRY_GOTO(text_check(v, dst, n, err));
    if (n) {
        last = buf_new(v->m, prev_n ? prev_n : 1);
        st = FZ_NOMEM;
        if (!last)
            goto out;
        memcpy(last->data, prev, prev_n);
        last->size = prev_n;
        buf_unref(v->last);
        v->last = last;
    }
    buf_unref(v->made);
    v->made = made;
    made = NULL;
    st = FZ_OK;
out:
    if (st == FZ_NOMEM)
        error_nomem(err);
    buf_unref(lens);
    buf_unref(made);
    return st;
}

static fz_status split_values_read(pq_values *v, void *dst, size_t n, fz_error *err)
{
    if (v->total - v->pos < n)
        return values_short(err);
    uint64_t pos = v->pos;
    v->pos += n;
    if (v->type != PQ_FIXED) {
        split_read(v->at, v->total, v->width, pos, dst, n);
        return FZ_OK;
    }
    uint32_t w = v->width;
    buf_unref(v->made);
    v->made = buf_new(v->m, n ? (size_t)n * w : 1);
    if (!v->made)
        return error_nomem(err);
    split_read(v->at, v->total, w, pos, v->made->data, n);
    for (size_t i = 0; i < n; i++)
        ((strview *)dst)[i] = strview_make((const char *)v->made->data + i * w, w);
    return FZ_OK;
}

fz_status values_read(pq_values *v, void *dst, size_t n, fz_error *err)
{
    switch (v->kind) {
    case VALUES_FIXED: return fixed_read(v, dst, n, err);
    case VALUES_BYTES: return bytes_read(v, dst, n, err);
    case VALUES_BITS: return bits_read(v, dst, n, err);
    case VALUES_RLE_BITS: return rle_bits_read(v, dst, n, err);
    case VALUES_DELTA: {
        size_t got = v->type == PQ_INT32 ? delta_read32(&v->ints, dst, n) : delta_read64(&v->ints, dst, n);
        return got < n ? values_short(err) : FZ_OK;
    }
    case VALUES_DELTA_LENGTH: return delta_length_read(v, dst, n, err);
    case VALUES_DELTA_BYTES: return delta_bytes_read(v, dst, n, err);
    case VALUES_SPLIT: return split_values_read(v, dst, n, err);
    case VALUES_DICT: break;
    }
    return error_set(err, FZ_INTERNAL, "dictionary codes read as values");
}

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
static inline uint64_t load_be64(const uint8_t *p)
{
    uint64_t w;
    memcpy(&w, p, 8);
    return __builtin_bswap64(w);
}
#else
static inline uint64_t load_be64(const uint8_t *p)
{
    uint64_t w;
    memcpy(&w, p, 8);
    return w;
}
#endif

/* Loads pass the value's end; BUF_PAD covers it. */
static void be_i64(const uint8_t *p, uint32_t width, int64_t *dst, size_t n)
{
    for (size_t i = 0; i < n; i++, p += width)
        dst[i] = (int64_t)load_be64(p) >> (64 - 8 * width);
}

static void be_i128(const uint8_t *p, uint32_t width, i128 *dst, size_t n)
{
    if (width <= 8) {
        for (size_t i = 0; i < n; i++, p += width)
            dst[i] = (int64_t)load_be64(p) >> (64 - 8 * width);
        return;
    }
    for (size_t i = 0; i < n; i++, p += width)
        dst[i] = (i128)((u128)load_be64(p) << 64 | load_be64(p + 8)) >> (128 - 8 * width);
}

bool values_are_be(const pq_values *v, bool wide)
{
    return v->kind == VALUES_FIXED && v->type == PQ_FIXED && v->width <= (wide ? 16 : 8);
}

fz_status values_read_be(pq_values *v, void *dst, size_t n, bool wide, fz_error *err)
{
    if ((size_t)(v->end - v->at) / v->width < n)
        return values_short(err);
    if (wide)
        be_i128(v->at, v->width, dst, n);
    else
        be_i64(v->at, v->width, dst, n);
    v->at += n * v->width;
    return FZ_OK;
}

fz_status values_skip(pq_values *v, size_t n, fz_error *err)
{
    strview passed[LENS];
    switch (v->kind) {
    case VALUES_FIXED:
        if ((size_t)(v->end - v->at) / v->width < n)
            return values_short(err);
        v->at += n * v->width;
        return FZ_OK;
    case VALUES_BYTES: return bytes_skip(v, n, err);
    case VALUES_BITS:
    case VALUES_SPLIT:
        if (v->total - v->pos < n)
            return values_short(err);
        v->pos += n;
        return FZ_OK;
    case VALUES_RLE_BITS:
    case VALUES_DICT: return rle_skip(&v->rle, n) < n ? values_short(err) : FZ_OK;
    case VALUES_DELTA: return delta_skip(&v->ints, n) < n ? values_short(err) : FZ_OK;
    case VALUES_DELTA_LENGTH: return delta_length_read(v, NULL, n, err);
    case VALUES_DELTA_BYTES:
        for (size_t k; n; n -= k) {
            k = n < LENS ? n : LENS;
            TRY(delta_bytes_read(v, passed, k, err));
        }
        return FZ_OK;
    }
    return FZ_OK;
}
